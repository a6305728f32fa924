#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

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

/* What accept() says of a UNIX socket with this name, or without one. */
static struct address local(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const size_t n = strlen(path);
    memcpy(un.sun_path, path, n);
    struct address a = {.len = (socklen_t)(sizeof(sa_family_t) + n)};
    memcpy(&a.storage, &un, sizeof un);
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
    assert_text(local("/run/x.sock"), "unix:/run/x.sock");
    assert_text(local(""), "unix:");
    char full[sizeof((struct sockaddr_un *)0)->sun_path + 1],
        expect[ADDRESS_TEXT_MAX]; /* not terminated, on the wire */
    memset(full, 'x', sizeof full - 1);
    full[sizeof full - 1] = '\0';
    snprintf(expect, sizeof expect, "unix:%s", full);
    assert_text(local(full), expect);
}

TEST(loopback_is_known_in_every_form)
{
    struct address yes[] = {v4("127.8.9.1", 1), v6("::1", 1), v6("::ffff:127.0.0.1", 1), local(""), local("/x")};
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
    assert_int_equal(compare_groups(local(""), local("/x")), 0);
    assert_int_not_equal(compare_groups(local(""), v6("::", 1)), 0);
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

static bool is_in(struct address a, const char *range)
{
    struct address_range r;
    assert_true(address_range_parse(range, &r));
    return address_is_in(&a, &r);
}

TEST(a_range_holds_what_begins_with_its_bits)
{
    assert_true(is_in(v4("10.255.1.2", 1), "10.0.0.0/8"));
    assert_false(is_in(v4("11.0.0.0", 1), "10.0.0.0/8"));
    assert_true(is_in(v4("10.1.2.3", 1), "10.1.2.3"));
    assert_false(is_in(v4("10.1.2.2", 1), "10.1.2.3"));
    assert_true(is_in(v4("192.168.7.255", 1), "192.168.4.0/22"));
    assert_false(is_in(v4("192.168.8.0", 1), "192.168.4.0/22"));
    assert_false(is_in(v4("192.168.3.255", 1), "192.168.4.0/22"));
    assert_true(is_in(v4("1.2.3.5", 1), "1.2.3.4/31"));
    assert_true(is_in(v4("255.1.2.3", 1), "0.0.0.0/0"));
    assert_true(is_in(v6("::1", 9), "::1"));
    assert_false(is_in(v6("::2", 9), "::1"));
    assert_true(is_in(v6("fdff:1::2", 1), "fd00::/8"));
    assert_false(is_in(v6("fe00::", 1), "fd00::/8"));
    assert_true(is_in(v6("2001:db8::ffff", 1), "2001:db8::8000/113"));
    assert_false(is_in(v6("2001:db8::7fff", 1), "2001:db8::8000/113"));
}

TEST(ipv4_is_itself_in_every_form)
{
    assert_true(is_in(v6("::ffff:10.9.8.7", 1), "10.0.0.0/8"));
    assert_true(is_in(v4("10.9.8.7", 1), "::ffff:10.0.0.0/104"));
    assert_true(is_in(v6("::ffff:10.9.8.7", 1), "::ffff:10.9.8.7"));
    assert_false(is_in(v6("::ffff:11.9.8.7", 1), "::ffff:10.0.0.0/104"));
    /* All of one family is nothing of the other. */
    assert_false(is_in(v4("10.9.8.7", 1), "::/0"));
    assert_false(is_in(v6("::ffff:10.9.8.7", 1), "::/0"));
    assert_true(is_in(v6("2001:db8::1", 1), "::/0"));
    assert_false(is_in(v6("2001:db8::1", 1), "0.0.0.0/0"));
    assert_false(is_in(v6("::10.9.8.7", 1), "10.0.0.0/8"));
}

TEST(what_is_no_internet_address_is_in_no_range)
{
    struct address nothing = {.len = sizeof(sa_family_t)};
    nothing.storage.ss_family = AF_UNIX;
    assert_false(is_in(nothing, "0.0.0.0/0"));
    assert_false(is_in(nothing, "::/0"));
}

TEST(nonsense_is_no_range)
{
    static const char *const nonsense[] = {"",
                                           "/",
                                           "/8",
                                           "10.0.0.0/",
                                           "10.0.0.0/33",
                                           "10.0.0.0/-1",
                                           "10.0.0.0/ 8",
                                           "10.0.0.0/8 ",
                                           "10.0.0/8",
                                           "10.1.2.3/8",
                                           "10.0.0.0/8/8",
                                           "::/129",
                                           "fd00::1/8",
                                           "::ffff:10.1.0.0/104",
                                           "localhost",
                                           "10.0.0.0:5",
                                           "[::1]",
                                           "::1/0x8",
                                           "10.0.0.0/0008",
                                           " 10.0.0.0/8",
                                           "1.2.3.4.5",
                                           "0000:0000:0000:0000:0000:ffff:0000:0000:255.255.255.255:1/128"};
    struct address_range r;
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        assert_false(address_range_parse(nonsense[i], &r));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_as_people_write_them),
        cmocka_unit_test(loopback_is_known_in_every_form),
        cmocka_unit_test(a_place_is_an_ipv4_address_or_an_ipv6_network),
        cmocka_unit_test(listeners_are_read_in_every_form),
        cmocka_unit_test(nonsense_is_no_address),
        cmocka_unit_test(a_range_holds_what_begins_with_its_bits),
        cmocka_unit_test(ipv4_is_itself_in_every_form),
        cmocka_unit_test(what_is_no_internet_address_is_in_no_range),
        cmocka_unit_test(nonsense_is_no_range),
    };
    return unit_main("net/address", tests, argc, argv);
}
