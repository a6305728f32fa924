#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "broker/net/address.h"

static struct address v4(const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
    struct address a = {.len = sizeof in};
    memcpy(&a.storage, &in, sizeof in);
    return a;
}

static struct address v6(const char *host, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
    struct address a = {.len = sizeof in6};
    memcpy(&a.storage, &in6, sizeof in6);
    return a;
}

static void assert_text(struct address a, const char *expect)
{
    char text[ADDRESS_TEXT_MAX];
    address_format(&a, text);
    assert_string_equal(text, expect);
}

TEST(addresses_are_written_as_people_write_them)
{
    assert_text(v4("127.0.0.1", 5672), "127.0.0.1:5672");
    assert_text(v6("::1", 5672), "[::1]:5672");
    assert_text(v6("::ffff:10.1.2.3", 1), "10.1.2.3:1");
    assert_text(v6("fe80::1234:5678:9abc:def0", 65535), "[fe80::1234:5678:9abc:def0]:65535");
}

TEST(loopback_is_known_in_every_form)
{
    struct address yes[] = {v4("127.8.9.1", 1), v6("::1", 1), v6("::ffff:127.0.0.1", 1)};
    struct address no[] = {v4("128.0.0.1", 1), v6("::2", 1), v6("::ffff:10.0.0.1", 1), v6("::127.0.0.1", 1)};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(address_is_loopback(&yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(address_is_loopback(&no[i]));
}

static int compare_groups(struct address a, struct address b)
{
    uint8_t x[ADDRESS_GROUP_BYTES], y[ADDRESS_GROUP_BYTES];
    address_group(&a, x);
    address_group(&b, y);
    return memcmp(x, y, sizeof x);
}

TEST(a_place_is_an_ipv4_address_or_an_ipv6_network)
{
    assert_int_equal(compare_groups(v4("10.0.0.1", 1), v4("10.0.0.1", 2)), 0);
    assert_int_equal(compare_groups(v4("10.0.0.1", 1), v6("::ffff:10.0.0.1", 2)), 0);
    assert_int_not_equal(compare_groups(v4("10.0.0.1", 1), v4("10.0.0.2", 1)), 0);
    assert_int_equal(compare_groups(v6("2001:db8:0:1::1", 1), v6("2001:db8:0:1:ffff::", 1)), 0);
    assert_int_not_equal(compare_groups(v6("2001:db8:0:1::1", 1), v6("2001:db8:0:2::1", 1)), 0);
}

static void assert_split(const char *text, const char *expect_host, uint16_t expect_port)
{
    char host[ADDRESS_TEXT_MAX];
    uint16_t port = 0;
    assert_true(address_split(text, host, &port));
    assert_string_equal(host, expect_host);
    assert_int_equal(port, expect_port);
}

TEST(listeners_are_read_in_every_form)
{
    assert_split("5672", "", 5672);
    assert_split("0", "", 0);
    assert_split("127.0.0.1:5672", "127.0.0.1", 5672);
    assert_split("localhost:1", "localhost", 1);
    assert_split("[::1]:5672", "::1", 5672);
    assert_split("::1:5672", "::1", 5672);
    assert_split(":::5672", "::", 5672);
}

TEST(nonsense_is_no_address)
{
    static const char *const nonsense[] = {"",      ":",        "abc",           ":5672",
                                           "65536", "1.2.3.4:", "1.2.3.4:65536", "h:123456",
                                           "[]:1",  "a b:1",    "1.2.3.4:-1",    "1.2.3.4:+1"};
    char host[ADDRESS_TEXT_MAX];
    uint16_t port;
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        assert_false(address_split(nonsense[i], host, &port));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_as_people_write_them),
        cmocka_unit_test(loopback_is_known_in_every_form),
        cmocka_unit_test(a_place_is_an_ipv4_address_or_an_ipv6_network),
        cmocka_unit_test(listeners_are_read_in_every_form),
        cmocka_unit_test(nonsense_is_no_address),
    };
    return unit_main("net/address", tests, argc, argv);
}
