/* AMQP URIs, as rabbitmq.com/uri-spec.html has them. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "broker/perf/uri.h"

static void assert_uri(const char *text, bool is_tls, const char *user, const char *password, const char *host,
                       unsigned port, const char *vhost)
{
    struct perf_uri uri;
    assert_null(perf_uri_read(&uri, text));
    assert_int_equal(uri.is_tls, is_tls);
    assert_string_equal(uri.user, user);
    assert_string_equal(uri.password, password);
    assert_string_equal(uri.host, host);
    assert_int_equal(uri.port, port);
    assert_string_equal(uri.vhost, vhost);
    perf_uri_fini(&uri);
}

TEST(every_part_may_be_there)
{
    assert_uri("amqp://user:pass@host:10000/vhost", false, "user", "pass", "host", 10000, "vhost");
    assert_uri("amqps://user:pass@host:10000/vhost", true, "user", "pass", "host", 10000, "vhost");
}

TEST(every_part_may_be_left_out)
{
    assert_uri("amqp://", false, "guest", "guest", "127.0.0.1", 5672, "/");
    assert_uri("amqps://host", true, "guest", "guest", "host", 5671, "/");
    assert_uri("amqp://user@host", false, "user", "guest", "host", 5672, "/");
    assert_uri("amqp://user:@host", false, "user", "", "host", 5672, "/");
    assert_uri("amqp://:10000", false, "guest", "guest", "127.0.0.1", 10000, "/");
    assert_uri("amqp:///vhost", false, "guest", "guest", "127.0.0.1", 5672, "vhost");
    assert_uri("amqp://host/", false, "guest", "guest", "host", 5672, "");
}

TEST(parts_are_percent_decoded)
{
    assert_uri("amqp://user%61:%61pass@ho%61st:10000/v%2fhost", false, "usera", "apass", "hoast", 10000, "v/host");
    assert_uri("amqp://host/%2F", false, "guest", "guest", "host", 5672, "/");
    assert_uri("amqp://a%3Ab:c%40d@h", false, "a:b", "c@d", "h", 5672, "/");
}

TEST(an_address_may_stand_in_brackets)
{
    assert_uri("amqp://[::1]", false, "guest", "guest", "::1", 5672, "/");
    assert_uri("amqp://u:p@[fe80::1]:10000/v", false, "u", "p", "fe80::1", 10000, "v");
}

TEST(what_is_no_uri_is_refused)
{
    static const char *const wrong[] = {
        "",
        "host:5672",
        "http://host",
        "amqp:/host",
        "AMQP://host",
        "amqp://host:0",
        "amqp://h:",
        "amqp://h:65536",
        "amqp://h:5672x",
        "amqp://h:99999999999",
        "amqp://[::1",
        "amqp://[::1]5",
        "amqp://h/%",
        "amqp://h/%2",
        "amqp://h/%zz",
        "amqp://h/%00",
        "amqp://h/a/b",
        "amqp://h/v?heartbeat=1",
        "amqp://h#f",
    };
    struct perf_uri uri;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *why = perf_uri_read(&uri, wrong[i]);
        if (strcmp(wrong[i], "amqp://h:") == 0) { /* an empty port is the default one */
            assert_null(why);
            perf_uri_fini(&uri);
        } else if (why == NULL) {
            fail_msg("'%s' was taken", wrong[i]);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_may_be_there),   cmocka_unit_test(every_part_may_be_left_out),
        cmocka_unit_test(parts_are_percent_decoded), cmocka_unit_test(an_address_may_stand_in_brackets),
        cmocka_unit_test(what_is_no_uri_is_refused),
    };
    return unit_main("uri", tests, argc, argv);
}
