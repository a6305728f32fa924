#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/config.h"

static struct config *read_text(const char *text)
{
    struct config *c = config_create();
    config_read_text(c, "f", bytes_of_string(text));
    return c;
}

/* The n-th complaint, or "". */
static const char *complaint(const struct config *c, size_t i)
{
    size_t n;
    const struct config_complaint *all = config_complaints(c, &n);
    return i < n ? all[i].text : "";
}

static void assert_silent(const struct config *c)
{
    assert_string_equal(complaint(c, 0), "");
}

/* text leads to this complaint and no other. */
static void assert_complaint(const char *text, bool is_error, const char *expect)
{
    struct config *c = read_text(text);
    assert_string_equal(complaint(c, 0), expect);
    assert_string_equal(complaint(c, 1), "");
    assert_int_equal(config_errors(c), is_error);
    config_destroy(c);
}

static void assert_text(const char *text, enum config_id id, const char *expect)
{
    struct config *c = read_text(text);
    assert_silent(c);
    assert_string_equal(config_text(c, id), expect);
    config_destroy(c);
}

static void assert_number(const char *text, enum config_id id, uint64_t expect)
{
    struct config *c = read_text(text);
    assert_silent(c);
    assert_int_equal(config_number(c, id), expect);
    config_destroy(c);
}

TEST(defaults_are_those_of_rabbitmq)
{
    struct config *c = read_text("");
    assert_silent(c);
    assert_int_equal(config_number(c, KEY_HEARTBEAT), 60);
    assert_int_equal(config_number(c, KEY_FRAME_MAX), 131072);
    assert_int_equal(config_number(c, KEY_CHANNEL_MAX), 2047);
    assert_int_equal(config_number(c, KEY_CONNECTION_MAX), 0);
    assert_int_equal(config_number(c, KEY_NODELAY), 1);
    assert_string_equal(config_text(c, KEY_DEFAULT_USER), "guest");
    assert_true(config_fraction(c, KEY_WATERMARK_RELATIVE) == 0.4);
    assert_null(config_text(c, KEY_WATERMARK_ABSOLUTE));
    assert_false(config_is_set(c, KEY_HEARTBEAT));
    config_destroy(c);
}

TEST(lines_may_be_written_in_many_ways)
{
    assert_number("heartbeat=30", KEY_HEARTBEAT, 30);
    assert_number("  heartbeat\t=  30  \r\n", KEY_HEARTBEAT, 30);
    assert_number("\xef\xbb\xbfheartbeat = 30", KEY_HEARTBEAT, 30);
    assert_number("# a comment\n\n \t\nheartbeat = 30 # s\n#heartbeat = 40", KEY_HEARTBEAT, 30);
    assert_text("default_user = 'a # b' # c", KEY_DEFAULT_USER, "a # b");
    assert_text("default_user = it's", KEY_DEFAULT_USER, "it's");
    assert_text("default_user = \"x\"", KEY_DEFAULT_USER, "\"x\"");
    assert_text("default_user = '''a\nb'c'''\nheartbeat = 3", KEY_DEFAULT_USER, "a\nb'c");
    assert_text("default_user = a = b", KEY_DEFAULT_USER, "a = b");
}

TEST(sizes_have_units)
{
    assert_number("vm_memory_high_watermark.absolute = 1073741824", KEY_WATERMARK_ABSOLUTE, 1073741824);
    assert_number("vm_memory_high_watermark.absolute = 2GB", KEY_WATERMARK_ABSOLUTE, 2000000000);
    assert_number("vm_memory_high_watermark.absolute = 1.5 Gb", KEY_WATERMARK_ABSOLUTE, 1500000000);
    assert_number("vm_memory_high_watermark.absolute = 2GiB", KEY_WATERMARK_ABSOLUTE, 2147483648);
    assert_number("vm_memory_high_watermark.absolute = 512Mi", KEY_WATERMARK_ABSOLUTE, 536870912);
    assert_number("frame_max = 128KB", KEY_FRAME_MAX, 131072);
    assert_complaint("vm_memory_high_watermark.absolute = 2XB", true,
                     "f:1: vm_memory_high_watermark.absolute: expected bytes, perhaps with a unit (kB, MiB, …), "
                     "0..18446744073709551615, got \"2XB\"");
}

TEST(every_mistake_is_named_with_its_place)
{
    assert_complaint("\nhartbeatt = 5", true, "f:2: unknown key 'hartbeatt' (did you mean 'heartbeat'?)");
    assert_complaint("\nheartbeet = 5", true, "f:2: unknown key 'heartbeet' (did you mean 'heartbeat'?)");
    assert_complaint("quite_another_thing = 5", true, "f:1: unknown key 'quite_another_thing'");
    assert_complaint("heartbeat = abc", true, "f:1: heartbeat: expected integer 0..65535, got \"abc\"");
    assert_complaint("heartbeat = 65536", true, "f:1: heartbeat: expected integer 0..65535, got \"65536\"");
    assert_complaint("heartbeat = -1", true, "f:1: heartbeat: expected integer 0..65535, got \"-1\"");
    assert_complaint("frame_max = 1000", true, "f:1: frame_max: expected 0 or at least 4096, got \"1000\"");
    assert_complaint("log.console.level = zzz", true,
                     "f:1: log.console.level: expected one of debug, info, notice, warning, error, critical, alert, "
                     "emergency, none, got \"zzz\"");
    assert_complaint("tcp_listen_options.nodelay = 1", true,
                     "f:1: tcp_listen_options.nodelay: expected true or false, got \"1\"");
    assert_complaint("listeners.tcp.a = 127.0.0.1:70000", true,
                     "f:1: listeners.tcp.a: expected PORT, ADDRESS:PORT, unix:/PATH or none, got \"127.0.0.1:70000\"");
    assert_complaint("\n\n  heartbeat 5", true, "f:3:13: expected '=' behind 'heartbeat'");
    assert_complaint("!", true, "f:1:1: expected 'key = value', found \"!\"");
    assert_complaint("default_user = '''a", true, "f:1: no ''' ends what begins here");
    assert_complaint("[{rabbit, []}].", true,
                     "f:1: these are Erlang terms (advanced.config); Millrace reads 'key = value' lines only");
    assert_complaint("RABBITMQ_NODE_PORT = 1", true,
                     "f:1: RABBITMQ_NODE_PORT is an environment variable, not a configuration key");
    assert_complaint("default_pass = encrypted:abc", true,
                     "f:1: default_pass: encrypted values are not supported; use file:PATH where a password belongs");
}

TEST(all_mistakes_are_found_at_once)
{
    struct config *c = read_text("heartbeat = x\nchannel_max = y\nmotd_file = z\n");
    assert_int_equal(config_errors(c), 2);
    assert_string_equal(complaint(c, 2), "f:3: 'motd_file' has no effect in Millrace");
    config_destroy(c);
}

TEST(words_of_tls_are_words_of_rabbitmq)
{
    struct config *c = read_text("ssl_options.verify = verify_peer\nssl_options.versions.1 = tlsv1.2\n"
                                 "ssl_options.crl_check = best_effort\nssl_cert_login_from = common_name\n"
                                 "ssl_cert_login_san_type = other_name\nssl_options.password = secret\n");
    assert_silent(c);
    assert_int_equal(config_number(c, KEY_TLS_VERIFY), true);
    assert_int_equal(config_number(c, KEY_TLS_CRL_CHECK), 3);
    assert_int_equal(config_number(c, KEY_LOGIN_FROM), 1);
    assert_int_equal(config_number(c, KEY_LOGIN_SAN_TYPE), 4);
    assert_int_equal(config_number(c, KEY_TLS_DEPTH), 1);
    config_destroy(c);
    assert_complaint("ssl_options.verify = verify_all", true,
                     "f:1: ssl_options.verify: expected one of verify_none, verify_peer, got \"verify_all\"");
    assert_complaint("ssl_options.versions.1 = sslv3", true,
                     "f:1: ssl_options.versions.1: expected one of tlsv1.3, tlsv1.2, got \"sslv3\"");
    assert_complaint("ssl_options.bypass_pem_cache = true", false,
                     "f:1: 'ssl_options.bypass_pem_cache' has no effect in Millrace");
}

TEST(what_would_open_the_broker_stops_it)
{
    assert_complaint("auth_backends.1 = ldap", true,
                     "f:1: auth_backends.1: an authentication backend but 'internal' is not supported");
    assert_complaint("auth_backends.1.authn = ldap", true,
                     "f:1: auth_backends.1.authn: an authentication backend but 'internal' is not supported");
    assert_complaint("auth_ldap.servers.1 = x", true, "f:1: auth_ldap.servers.1: LDAP is not supported");
    assert_complaint("auth_backends.1 = rabbit", true,
                     "f:1: auth_backends.1: an authentication backend but 'internal' is not supported");
    struct config *c = read_text("auth_backends.1 = internal\nauth_backends.2 = "
                                 "rabbit_auth_backend_internal\nlisteners.ssl = none\nssl_options.crl_check = false");
    assert_silent(c);
    config_destroy(c);
}

TEST(what_has_no_effect_is_said)
{
    assert_complaint("cluster_partition_handling = autoheal", false,
                     "f:1: 'cluster_partition_handling' has no effect in Millrace");
    assert_complaint("cluster_formation.k8s.host = x", false,
                     "f:1: 'cluster_formation.k8s.host' has no effect in Millrace");
    assert_complaint("reverse_dns_lookups = true", false, "f:1: 'reverse_dns_lookups' has no effect yet");
    assert_complaint("default_pass = a#b", false,
                     "f:1: the value ends at '#'; put it in single quotes if '#' belongs to it");
}

TEST(the_last_setting_wins_and_says_so)
{
    struct config *c = read_text("heartbeat = 1\nheartbeat = 2\nmax_connections = 5\n");
    assert_string_equal(complaint(c, 0), "f:2: 'heartbeat' replaces what f:1 says");
    assert_string_equal(complaint(c, 1), "");
    assert_int_equal(config_number(c, KEY_HEARTBEAT), 2);
    assert_int_equal(config_number(c, KEY_CONNECTION_MAX), 5);
    config_set(c, "heartbeat=3", 1);
    assert_int_equal(config_number(c, KEY_HEARTBEAT), 3);
    assert_string_equal(complaint(c, 1), "");
    config_set(c, "heartbeat", 2);
    assert_string_equal(complaint(c, 1), "--set:2: expected 'key=value', found \"heartbeat\"");
    config_destroy(c);
}

static void collect(void *arg, const char *word, const char *value, uint64_t number)
{
    (void)number;
    char *all = arg;
    strcat(strcat(strcat(strcat(all, word), "="), value), " ");
}

TEST(free_names_come_sorted)
{
    struct config *c = read_text("listeners.tcp.b = 2\nlisteners.tcp.a = 127.0.0.1:1\nloopback_users.guest = false\n");
    assert_silent(c);
    char all[128] = "";
    config_each(c, KEY_LISTENERS_TCP, collect, all);
    assert_string_equal(all, "a=127.0.0.1:1 b=2 ");
    all[0] = '\0';
    config_each(c, KEY_LOOPBACK_USERS, collect, all);
    assert_string_equal(all, "guest=false ");
    config_destroy(c);
}

static void collect_numbers(void *arg, const char *word, const char *value, uint64_t number)
{
    char *all = arg;
    (void)value;
    sprintf(all + strlen(all), "%s=%llu ", word, (unsigned long long)number);
}

TEST(a_free_word_in_the_middle_names_what_belongs_together)
{
    struct config *c = read_text("default_policies.operator.small.max_length = 5\n"
                                 "default_policies.operator.large.max_length = 7\n"
                                 "default_policies.operator.large.expires = 1h30m\n"
                                 "default_policies.operator.small.message_ttl = 1500\n"
                                 "default_policies.operator.large.max_length_bytes = 1MB\n");
    assert_silent(c);
    char all[128] = "";
    config_each(c, KEY_OPERATOR_LENGTH, collect_numbers, all);
    assert_string_equal(all, "large=7 small=5 ");
    all[0] = '\0';
    config_each(c, KEY_OPERATOR_EXPIRES, collect_numbers, all);
    config_each(c, KEY_OPERATOR_TTL, collect_numbers, all);
    config_each(c, KEY_OPERATOR_BYTES, collect_numbers, all);
    assert_string_equal(all, "large=5400000 small=1500 large=1048576 ");
    config_destroy(c);
}

TEST(durations_have_units)
{
    static const char *const wrong[] = {"", "1x", "h", "1h5", "-1s", "1.5s", "99999999999999s", "20000d"};
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {{"1", 1}, {"10ms", 10}, {"1d", 86400000}, {"2w", 1209600000}, {"1h1m1s1ms", 3661001}};
    char text[128];
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        char all[64] = "", expected[64];
        snprintf(text, sizeof text, "default_policies.operator.x.expires = %s", right[i].text);
        snprintf(expected, sizeof expected, "x=%llu ", (unsigned long long)right[i].ms);
        struct config *c = read_text(text);
        config_each(c, KEY_OPERATOR_EXPIRES, collect_numbers, all);
        assert_string_equal(all, expected);
        config_destroy(c);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "default_policies.operator.x.expires = %s", wrong[i]);
        struct config *c = read_text(text);
        assert_int_equal(config_errors(c), 1);
        config_destroy(c);
    }
}

TEST(the_type_of_queues_that_say_none)
{
    assert_number("", KEY_DEFAULT_QUEUE_TYPE, 0);
    assert_number("default_queue_type = quorum", KEY_DEFAULT_QUEUE_TYPE, 1);
    assert_number("default_queue_type = stream", KEY_DEFAULT_QUEUE_TYPE, 2);
    struct config *c = read_text("default_queue_type = mirrored");
    assert_int_equal(config_errors(c), 1);
    config_destroy(c);
}

TEST(the_environment_fills_in)
{
    setenv("MILLRACE_TEST_NAME", "bob", 1);
    unsetenv("MILLRACE_TEST_MISSING");
    assert_text("default_user = x$(MILLRACE_TEST_NAME)y", KEY_DEFAULT_USER, "xboby");
    assert_complaint("default_user = $(MILLRACE_TEST_MISSING)", true,
                     "f:1: the environment has no "
                     "MILLRACE_TEST_MISSING");
}

TEST(a_file_that_is_not_there_is_an_error)
{
    struct config *c = config_create();
    config_read_file(c, "/nonexistent/millrace.conf");
    assert_int_equal(config_errors(c), 1);
    assert_non_null(strstr(complaint(c, 0), "/nonexistent/millrace.conf: cannot be read: No such file or directory"));
    config_destroy(c);
    assert_text("default_user = x\ninclude /nonexistent/*.conf\n", KEY_DEFAULT_USER, "x");
}

TEST(the_table_shows_where_values_come_from_but_no_password)
{
    struct config *c = read_text("heartbeat = 7\ndefault_pass = hush\n");
    char *shown = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&shown, &n);
    config_print(c, f);
    fclose(f);
    assert_non_null(strstr(shown, "heartbeat = 7  # f:1\n"));
    assert_non_null(strstr(shown, "channel_max = 2047  # default\n"));
    assert_null(strstr(shown, "hush"));
    free(shown);
    config_destroy(c);
}

TEST(modes_of_files_are_octal)
{
    struct config *c = read_text("unix_socket_mode = 0600\n");
    assert_silent(c);
    assert_int_equal(config_number(c, KEY_UNIX_SOCKET_MODE), 0600);
    config_destroy(c);
    assert_complaint("unix_socket_mode = 689", true,
                     "f:1: unix_socket_mode: expected the mode of a file, in octal, got \"689\"");
    assert_complaint("unix_socket_mode = 1777", true,
                     "f:1: unix_socket_mode: expected the mode of a file, in octal, got \"1777\"");
}

TEST(threads_are_a_number_or_the_cores_business)
{
    struct config *c = read_text("");
    assert_true(config_number(c, KEY_IO_THREADS) == CONFIG_AUTO);
    config_destroy(c);
    c = read_text("io_threads = 3\n");
    assert_silent(c);
    assert_int_equal(config_number(c, KEY_IO_THREADS), 3);
    config_destroy(c);
    c = read_text("io_threads = 65\n");
    assert_int_equal(config_errors(c), 1);
    config_destroy(c);
}

TEST(secrets_can_be_forgotten)
{
    struct config *c = read_text("default_pass = xyzzy\ndefault_user = me\n");
    const char *borrowed = config_text(c, KEY_DEFAULT_PASS);
    assert_string_equal(borrowed, "xyzzy");
    config_forget_secret(c, KEY_DEFAULT_PASS);
    assert_memory_equal(borrowed, "\0\0\0\0\0", 5);
    assert_string_equal(config_text(c, KEY_DEFAULT_PASS), "");
    assert_string_equal(config_text(c, KEY_DEFAULT_USER), "me");
    config_destroy(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_of_files_are_octal),
        cmocka_unit_test(threads_are_a_number_or_the_cores_business),
        cmocka_unit_test(secrets_can_be_forgotten),
        cmocka_unit_test(defaults_are_those_of_rabbitmq),
        cmocka_unit_test(lines_may_be_written_in_many_ways),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(every_mistake_is_named_with_its_place),
        cmocka_unit_test(all_mistakes_are_found_at_once),
        cmocka_unit_test(words_of_tls_are_words_of_rabbitmq),
        cmocka_unit_test(what_would_open_the_broker_stops_it),
        cmocka_unit_test(what_has_no_effect_is_said),
        cmocka_unit_test(the_last_setting_wins_and_says_so),
        cmocka_unit_test(free_names_come_sorted),
        cmocka_unit_test(a_free_word_in_the_middle_names_what_belongs_together),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(the_type_of_queues_that_say_none),
        cmocka_unit_test(the_environment_fills_in),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error),
        cmocka_unit_test(the_table_shows_where_values_come_from_but_no_password),
    };
    return unit_main("config", tests, argc, argv);
}
