#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "broker/net/proxy.h"

enum { V4_BYTES = 12, V6_BYTES = 36, UNIX_BYTES = 216, ROOM = 70000 };

/* A header that a test puts together. */
struct header {
    uint8_t at[ROOM];
    size_t len;
};

static void add(struct header *h, const void *from, size_t n)
{
    assert_true(h->len + n <= sizeof h->at);
    memcpy(h->at + h->len, from, n);
    h->len += n;
}

static void add_u16(struct header *h, unsigned n)
{
    const uint8_t be[] = {(uint8_t)(n >> 8), (uint8_t)n};
    add(h, be, sizeof be);
}

static void add_tlv(struct header *h, uint8_t type, const void *value, size_t n)
{
    add(h, &type, 1);
    add_u16(h, (unsigned)n);
    add(h, value, n);
}

/* Version 2, with a length that seal() sets. */
static void begin(struct header *h, uint8_t command, uint8_t family)
{
    static const uint8_t signature[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
    h->len = 0;
    add(h, signature, sizeof signature);
    add(h, &command, 1);
    add(h, &family, 1);
    add_u16(h, 0);
}

static void seal(struct header *h)
{
    h->at[14] = (uint8_t)((h->len - 16) >> 8);
    h->at[15] = (uint8_t)(h->len - 16);
}

static void begin_v4(struct header *h)
{
    static const uint8_t addresses[V4_BYTES] = {192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x40, 0x16, 0x28};
    begin(h, 0x21, 0x11);
    add(h, addresses, sizeof addresses);
}

static void begin_v6(struct header *h)
{
    static const uint8_t addresses[V6_BYTES] = {
        0x20, 1, 0x0d, 0xb8, [15] = 5, [16] = 0xfd, [31] = 9, [32] = 0xff, 0xff, 0, 1};
    begin(h, 0x21, 0x21);
    add(h, addresses, sizeof addresses);
}

/* The verdict on exactly these bytes, in memory of their own, so that a sanitizer sees whoever reads beyond. */
static enum proxy_verdict judge(const void *at, size_t len, size_t *used, char text[2 * ADDRESS_TEXT_MAX])
{
    struct address from, to;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, at, len);
    enum proxy_verdict verdict = proxy_read(bytes_of(copy, len), used, &from, &to);
    free(copy);
    text[0] = '\0';
    if (verdict == PROXY_FINE) {
        char a[ADDRESS_TEXT_MAX], b[ADDRESS_TEXT_MAX];
        address_format(&from, a);
        address_format(&to, b);
        snprintf(text, 2 * ADDRESS_TEXT_MAX, "%s %s", a, b);
    }
    return verdict;
}

/* That it is so, also with more behind it, and that every beginning of it asks for more. */
static void assert_header(const void *at, size_t len, enum proxy_verdict expect, const char *addresses)
{
    char text[2 * ADDRESS_TEXT_MAX];
    size_t used;
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(judge(at, n, &used, text), PROXY_MORE);
        assert_int_equal(used, 0);
    }
    assert_int_equal(judge(at, len, &used, text), expect);
    assert_int_equal(used, len);
    assert_string_equal(text, addresses);

    static uint8_t more[ROOM];
    memcpy(more, at, len);
    memcpy(more + len, "AMQP\0\0\x09\x01", 8);
    assert_int_equal(judge(more, len + 8, &used, text), expect);
    assert_int_equal(used, len);
    assert_string_equal(text, addresses);
}

static void assert_sealed(struct header *h, enum proxy_verdict expect, const char *addresses)
{
    seal(h);
    assert_header(h->at, h->len, expect, addresses);
}

static void assert_bad(const void *at, size_t len)
{
    char text[2 * ADDRESS_TEXT_MAX];
    size_t used = 1;
    assert_int_equal(judge(at, len, &used, text), PROXY_BAD);
    assert_int_equal(used, 0);
}

static void assert_sealed_bad(struct header *h)
{
    seal(h);
    assert_bad(h->at, h->len);
}

#define V4_TEXT "192.0.2.1:40000 198.51.100.7:5672"
#define V6_TEXT "[2001:db8::5]:65535 [fd00::9]:1"

TEST(a_line_states_addresses)
{
    static const struct {
        const char *line, *addresses;
    } lines[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 40000 5672\r\n", V4_TEXT},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535 255.255.255.255:65535"},
        {"PROXY TCP4 0.0.0.0 1.2.3.4 0 1\r\n", "0.0.0.0:0 1.2.3.4:1"},
        {"PROXY TCP6 2001:db8::5 fd00::9 65535 1\r\n", V6_TEXT},
        {"PROXY TCP6 ::ffff:127.0.0.1 ::1 1 2\r\n", "127.0.0.1:1 [::1]:2"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_header(lines[i].line, strlen(lines[i].line), PROXY_FINE, lines[i].addresses);
}

TEST(a_line_may_know_no_addresses)
{
    static const char *const lines[] = {
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN whatever follows  is ignored\r\n",
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_header(lines[i], strlen(lines[i]), PROXY_LOCAL, "");
}

TEST(a_line_that_is_not_exact_is_none)
{
    static const char *const lines[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 5672\r\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 5672 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 5672 7\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 5672\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 040000 5672\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 -1 5672\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 4e4 5672\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4 192.0.513 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4 ::1 ::1 40000 5672\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY TCP6 ::1%lo ::1 40000 5672\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4\t192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.7 40000 5672\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 99999999999 5672\r\n",
        "GET / HTTP/1.1\r\n",
        "AMQP\1",
        "PROXZ",
        "\r\n\r\nX",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_bad(lines[i], strlen(lines[i]));
    static const char hidden[] = "PROXY TCP4 192.0.2.1\0 198.51.100.7 40000 5672\r\n";
    assert_bad(hidden, sizeof hidden - 1);
}

TEST(a_line_without_an_end_is_given_up)
{
    char line[PROXY_LINE_MAX + 1], text[2 * ADDRESS_TEXT_MAX];
    size_t used;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(judge(line, PROXY_LINE_MAX - 1, &used, text), PROXY_MORE);
    assert_bad(line, PROXY_LINE_MAX);
    line[PROXY_LINE_MAX - 1] = '\r'; /* its end would be one byte too far */
    line[PROXY_LINE_MAX] = '\n';
    assert_bad(line, PROXY_LINE_MAX);
    assert_bad(line, PROXY_LINE_MAX + 1);
    line[PROXY_LINE_MAX - 2] = '\r';
    line[PROXY_LINE_MAX - 1] = '\n';
    assert_header(line, PROXY_LINE_MAX, PROXY_LOCAL, "");
}

TEST(a_binary_header_states_addresses)
{
    static struct header h;
    begin_v4(&h);
    assert_sealed(&h, PROXY_FINE, V4_TEXT);
    begin_v6(&h);
    assert_sealed(&h, PROXY_FINE, V6_TEXT);
    begin_v4(&h);
    h.at[13] = 0x12; /* the client's side may be datagrams */
    assert_sealed(&h, PROXY_FINE, V4_TEXT);
}

TEST(additions_are_skipped)
{
    static struct header h;
    static const uint8_t value[300];
    begin_v6(&h);
    add_tlv(&h, 0x01, "amqp", 4);
    add_tlv(&h, 0x04, value, sizeof value);
    add_tlv(&h, 0x20, "", 0);
    add_tlv(&h, 0xff, value, 1);
    assert_sealed(&h, PROXY_FINE, V6_TEXT);
}

TEST(additions_must_be_well_formed)
{
    static struct header h;
    static const uint8_t short_one[] = {0x04, 0}, long_one[] = {0x04, 0, 2, 'x'};
    begin_v4(&h);
    add(&h, short_one, sizeof short_one);
    assert_sealed_bad(&h);
    begin_v4(&h);
    add(&h, long_one, sizeof long_one);
    assert_sealed_bad(&h);
}

/* A header with a checksum, and additions around it. */
static size_t add_crc(struct header *h)
{
    begin_v4(h);
    add_tlv(h, 0x01, "amqp", 4);
    add_tlv(h, 0x03, "\0\0\0\0", 4);
    const size_t at = h->len - 4;
    add_tlv(h, 0x04, "x", 1);
    seal(h);
    uint32_t crc = crc32c_by_table(0, h->at, h->len);
    for (int i = 0; i < 4; i++)
        h->at[at + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    return at;
}

TEST(a_checksum_is_checked)
{
    static struct header h;
    const size_t crc_at = add_crc(&h), addition_at = 16 + V4_BYTES, len = h.len;
    assert_header(h.at, len, PROXY_FINE, V4_TEXT);
    for (size_t i = 16; i < len; i++) {
        if ((i >= addition_at && i < addition_at + 3) || (i >= crc_at - 3 && i < crc_at))
            continue; /* without these bytes there is no checksum to find */
        h.at[i] ^= 0x10;
        assert_bad(h.at, len);
        h.at[i] ^= 0x10;
    }
    add_tlv(&h, 0x03, "\0\0\0\0", 4);
    assert_sealed_bad(&h); /* one is enough */
    begin_v4(&h);
    add_tlv(&h, 0x03, "\0\0\0", 3);
    assert_sealed_bad(&h);
}

TEST(a_known_vector_of_a_checksum)
{
    /* Made with Python, bit by bit, from the definition of CRC32C. */
    static const uint8_t header[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
                                     0x21, 0x11, 0x00, 0x13, 0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x02,
                                     0x30, 0x39, 0x16, 0x28, 0x03, 0x00, 0x04, 0x12, 0xcb, 0x21, 0xb7};
    assert_header(header, sizeof header, PROXY_FINE, "127.0.0.1:12345 127.0.0.2:5672");
}

TEST(a_binary_header_may_be_the_proxys_own)
{
    static struct header h;
    static const uint8_t anything[] = {0x04, 0xff, 0xff, 1, 2};
    begin(&h, 0x20, 0x00);
    assert_sealed(&h, PROXY_LOCAL, "");
    begin(&h, 0x20, 0xff); /* everything behind the command is to be ignored */
    add(&h, anything, sizeof anything);
    assert_sealed(&h, PROXY_LOCAL, "");
}

TEST(a_client_without_an_internet_address_is_local)
{
    static struct header h;
    static const uint8_t paths[UNIX_BYTES];
    begin(&h, 0x21, 0x31);
    add(&h, paths, sizeof paths);
    add_tlv(&h, 0x04, "x", 1);
    assert_sealed(&h, PROXY_LOCAL, "");
    begin(&h, 0x21, 0x00);
    assert_sealed(&h, PROXY_LOCAL, "");
    begin(&h, 0x21, 0x31);
    add(&h, paths, sizeof paths - 1);
    assert_sealed_bad(&h);
}

TEST(a_binary_header_that_is_not_exact_is_none)
{
    static struct header h;
    for (unsigned command = 0; command <= UINT8_MAX; command++) {
        begin_v4(&h);
        h.at[12] = (uint8_t)command;
        if (command != 0x20 && command != 0x21)
            assert_sealed_bad(&h);
    }
    for (unsigned family = 0; family <= UINT8_MAX; family++) {
        begin_v6(&h);
        h.at[13] = (uint8_t)family;
        if (family >> 4 > 3 || (family & 0xf) > 2)
            assert_sealed_bad(&h);
    }
    begin_v4(&h);
    h.len--;
    assert_sealed_bad(&h); /* no room for the addresses that it should have */
    begin_v6(&h);
    h.len--;
    assert_sealed_bad(&h);
    begin_v4(&h);
    h.at[12] = 0x31;
    assert_bad(h.at, 13); /* known at once */
}

TEST(a_header_is_as_long_as_it_may_be)
{
    static struct header h;
    static const uint8_t value[ROOM];
    const size_t room = PROXY_HEADER_MAX - 16 - V4_BYTES - 3;
    begin_v4(&h);
    add_tlv(&h, 0x04, value, room);
    assert_sealed(&h, PROXY_FINE, V4_TEXT);
    begin_v4(&h);
    add_tlv(&h, 0x04, value, room + 1);
    seal(&h);
    assert_bad(h.at, h.len);
    assert_bad(h.at, 16); /* nobody waits for it */
    begin_v4(&h);
    h.at[14] = h.at[15] = 0xff;
    assert_bad(h.at, 16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_states_addresses),
        cmocka_unit_test(a_line_may_know_no_addresses),
        cmocka_unit_test(a_line_that_is_not_exact_is_none),
        cmocka_unit_test(a_line_without_an_end_is_given_up),
        cmocka_unit_test(a_binary_header_states_addresses),
        cmocka_unit_test(additions_are_skipped),
        cmocka_unit_test(additions_must_be_well_formed),
        cmocka_unit_test(a_checksum_is_checked),
        cmocka_unit_test(a_known_vector_of_a_checksum),
        cmocka_unit_test(a_binary_header_may_be_the_proxys_own),
        cmocka_unit_test(a_client_without_an_internet_address_is_local),
        cmocka_unit_test(a_binary_header_that_is_not_exact_is_none),
        cmocka_unit_test(a_header_is_as_long_as_it_may_be),
    };
    return unit_main("net/proxy", tests, argc, argv);
}
