#include "tests/unit/unit.h"

#include <string.h>

#include "base/crc32c.h"
#include "broker/store/format.h"
#include "tests/unit/vectors.h"

/* ---- File headers. */

static const struct file_header a_header = {
    .kind = FILE_PACK,
    .major = FORMAT_MAJOR,
    .minor = 7,
    .compatible = 0x80000001,
    .node = {1, 2, 3, [15] = 16},
    .number = UINT64_C(0x1122334455667788),
    .epoch = 0xdeadbeef,
    .first_lsn = 42,
    .version = "0.1.0",
};

TEST(a_file_header_comes_back)
{
    uint8_t at[FORMAT_FILE_HEADER];
    struct file_header h;
    file_header_encode(at, &a_header);
    assert_memory_equal(at, "MILLRACE\2\0\0\0\1\0\7\0", 16);
    assert_int_equal(file_header_decode(at, &h), HEADER_FINE);
    assert_int_equal(h.kind, FILE_PACK);
    assert_int_equal(h.minor, 7);
    assert_int_equal(h.incompatible, 0);
    assert_int_equal(h.compatible, 0x80000001);
    assert_memory_equal(h.node, a_header.node, sizeof h.node);
    assert_int_equal(h.number, UINT64_C(0x1122334455667788));
    assert_int_equal(h.epoch, 0xdeadbeef);
    assert_int_equal(h.first_lsn, 42);
    assert_string_equal(h.version, "0.1.0");
}

/* These bytes were not made by this program.  They are read for ever. */
static const char format_1[] =
    "4d 49 4c 4c 52 41 43 45 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 01 02 03 04 05 06 07 "
    "08 09 0a 0b 0c 0d 0e 0f 03 00 00 00 00 00 00 00 ef be ad de 00 00 00 00 2a 00 00 00 00 00 00 00 "
    "30 2e 31 2e 30 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 1e fa c0 ca";

TEST(a_file_header_of_format_1_is_read)
{
    struct bytes b = hex(format_1);
    uint8_t again[FORMAT_FILE_HEADER];
    struct file_header h;
    assert_int_equal(b.len, FORMAT_FILE_HEADER);
    assert_int_equal(file_header_decode(b.at, &h), HEADER_FINE);
    assert_int_equal(h.kind, FILE_JOURNAL);
    assert_int_equal(h.node[15], 15);
    assert_int_equal(h.number, 3);
    assert_int_equal(h.epoch, 0xdeadbeef);
    assert_int_equal(h.first_lsn, 42);
    assert_string_equal(h.version, "0.1.0");
    file_header_encode(again, &h);
    assert_bytes_equal(bytes_of(again, sizeof again), b);
    drop(b);
}

TEST(a_file_header_with_any_bit_wrong_is_refused)
{
    uint8_t at[FORMAT_FILE_HEADER];
    struct file_header h;
    file_header_encode(at, &a_header);
    for (unsigned bit = 0; bit < 8 * FORMAT_FILE_HEADER; bit++) {
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(file_header_decode(at, &h), bit < 64 ? HEADER_FOREIGN : HEADER_DAMAGED);
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(what_a_newer_program_wrote_is_told_apart)
{
    uint8_t at[FORMAT_FILE_HEADER];
    struct file_header h, major = a_header, feature = a_header, kind = a_header;
    major.major++;
    feature.incompatible = 1;
    kind.kind = (enum file_kind)(FILE_CHECKPOINT + 1);
    const struct file_header *const newer[] = {&major, &feature, &kind};
    for (size_t i = 0; i < 3; i++) {
        file_header_encode(at, newer[i]);
        assert_int_equal(file_header_decode(at, &h), HEADER_NEWER);
        assert_string_equal(h.version, "0.1.0");
    }
}

/* ---- Items. */

static uint8_t *put_item(uint8_t *to, struct item_head h, struct bytes meta, struct bytes body)
{
    size_t size = item_size(meta.len, body.len);
    memset(to, 0, size);
    h.meta_len = (uint32_t)meta.len;
    h.body_len = (uint32_t)body.len;
    h.meta_crc = crc32c(0, meta.at, meta.len);
    h.body_crc = crc32c(0, body.at, body.len);
    item_head_encode(to, &h);
    if (meta.len > 0)
        memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
    if (body.len > 0)
        memcpy(to + FORMAT_ITEM_HEADER + meta.len, body.at, body.len);
    return to + size;
}

TEST(an_item_comes_back)
{
    uint8_t room[256];
    struct item_head h = {.type = ITEM_PURGE, .flags = ITEM_TX, .epoch = 0x01020304, .lsn = UINT64_C(1) << 40};
    for (size_t len = 0; len < 20; len++) {
        struct bytes meta = bytes_of("0123456789abcdefghij", len), body = bytes_of("ABCDEFGHIJKLMNOPQRST", 19 - len);
        struct bytes whole = exact(bytes_of(room, (size_t)(put_item(room, h, meta, body) - room)));
        struct item item;
        size_t need;
        assert_int_equal(whole.len % FORMAT_ALIGN, 0);
        assert_int_equal(item_decode(whole, &item, &need), ITEM_FINE);
        assert_int_equal(need, whole.len);
        assert_int_equal(item.type, ITEM_PURGE);
        assert_int_equal(item.flags, ITEM_TX);
        assert_int_equal(item.epoch, 0x01020304);
        assert_true(item.lsn == UINT64_C(1) << 40);
        assert_bytes_equal(item.meta, meta);
        assert_bytes_equal(item.body, body);
        drop(whole);
    }
}

TEST(an_item_cut_short_says_what_it_wants)
{
    uint8_t room[128];
    size_t size = (size_t)(put_item(room, (struct item_head){.type = ITEM_PAD}, BYTES("meta"), BYTES("body")) - room);
    for (size_t len = 0; len < size; len++) {
        struct bytes part = exact(bytes_of(room, len));
        struct item item;
        size_t need;
        assert_int_equal(item_decode(part, &item, &need), ITEM_SHORT);
        assert_int_equal(need, len < FORMAT_ITEM_HEADER ? FORMAT_ITEM_HEADER : size);
        drop(part);
    }
}

TEST(a_wrong_bit_is_blamed_on_its_part)
{
    uint8_t room[128];
    struct bytes meta = BYTES("meta"), body = BYTES("body!");
    size_t size = (size_t)(put_item(room, (struct item_head){.type = ITEM_PAD}, meta, body) - room);
    for (unsigned bit = 0; bit < 8 * (FORMAT_ITEM_HEADER + 9); bit++) {
        struct item item;
        size_t need;
        room[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum item_verdict v = item_decode(bytes_of(room, size), &item, &need);
        room[bit / 8] ^= (uint8_t)(1 << bit % 8);
        unsigned byte = bit / 8;
        assert_int_equal(v, byte < FORMAT_ITEM_HEADER       ? ITEM_NOTHING
                            : byte < FORMAT_ITEM_HEADER + 4 ? ITEM_BAD_META
                                                            : ITEM_BAD_BODY);
        assert_int_equal(need, v == ITEM_NOTHING ? 0 : size);
    }
}

TEST(lengths_beyond_the_limits_are_no_item)
{
    uint8_t room[FORMAT_ITEM_HEADER];
    struct item_head h = {.type = ITEM_PAD, .meta_len = FORMAT_META_MAX, .body_len = FORMAT_BODY_MAX}, out;
    item_head_encode(room, &h);
    assert_true(item_head_decode(room, &out));
    h.meta_len++;
    item_head_encode(room, &h);
    assert_false(item_head_decode(room, &out));
    h.meta_len = 0;
    h.body_len++;
    item_head_encode(room, &h);
    assert_false(item_head_decode(room, &out));
}

enum { EPOCH = 77 };

static struct item_head numbered(uint32_t epoch, uint64_t lsn)
{
    return (struct item_head){.type = ITEM_PAD, .epoch = epoch, .lsn = lsn};
}

TEST(the_next_whole_item_of_the_epoch_is_found)
{
    uint8_t room[1024] = {0};
    uint8_t *at = room + 8, *start[6];
    start[0] = at, at = put_item(at, numbered(EPOCH, 1), BYTES("one"), BYTES("1"));
    start[1] = at, at = put_item(at, numbered(EPOCH + 1, 9), BYTES("another life of the file"), BYTES(""));
    start[2] = at, at = put_item(at, numbered(EPOCH, 2), BYTES("bad body"), BYTES("2"));
    start[2][FORMAT_ITEM_HEADER + 8] ^= 1;
    start[3] = at, at = put_item(at, numbered(EPOCH, 3), BYTES("three"), BYTES("3"));
    start[4] = at, at = put_item(at, numbered(EPOCH, 4), BYTES("four"), BYTES("44444444444"));
    struct bytes b = exact(bytes_of(room, (size_t)(at - room)));
    assert_int_equal(item_find(b, 0, EPOCH, 0), start[0] - room);
    assert_int_equal(item_find(b, 8, EPOCH, 1), start[0] - room);
    assert_int_equal(item_find(b, 9, EPOCH, 1), start[3] - room);
    assert_int_equal(item_find(b, 0, EPOCH, 4), start[4] - room);
    assert_int_equal(item_find(b, 0, EPOCH, 5), b.len);
    assert_int_equal(item_find(b, 0, EPOCH + 1, 0), start[1] - room);
    assert_int_equal(item_find(b, 0, EPOCH + 2, 0), b.len);
    assert_int_equal(item_find(b, b.len, EPOCH, 0), b.len);
    assert_int_equal(item_find(b, SIZE_MAX, EPOCH, 0), b.len);
    assert_int_equal(item_find(bytes_of(b.at, b.len - 1), 0, EPOCH, 4), b.len - 1);
    drop(b);
}

/* Headers of items that would reach far, and are not there. */
TEST(searching_among_imitations_ends_soon)
{
    enum { SIZE = 4 << 20 };
    uint8_t *room = calloc(1, SIZE);
    assert_non_null(room);
    struct item_head h = numbered(EPOCH, 1);
    h.body_crc = 1;
    for (size_t at = 0; at + 4096 < SIZE; at += FORMAT_ITEM_HEADER) {
        h.body_len = (uint32_t)(SIZE - at - FORMAT_ITEM_HEADER - 4096);
        item_head_encode(room + at, &h);
    }
    size_t last = SIZE - 4096 + FORMAT_ALIGN * 16;
    put_item(room + last, numbered(EPOCH, 2), BYTES("here"), BYTES(""));
    assert_int_equal(item_find(bytes_of(room, SIZE), 0, EPOCH, 1), last);
    free(room);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_header_comes_back),
        cmocka_unit_test(a_file_header_of_format_1_is_read),
        cmocka_unit_test(a_file_header_with_any_bit_wrong_is_refused),
        cmocka_unit_test(what_a_newer_program_wrote_is_told_apart),
        cmocka_unit_test(an_item_comes_back),
        cmocka_unit_test(an_item_cut_short_says_what_it_wants),
        cmocka_unit_test(a_wrong_bit_is_blamed_on_its_part),
        cmocka_unit_test(lengths_beyond_the_limits_are_no_item),
        cmocka_unit_test(the_next_whole_item_of_the_epoch_is_found),
        cmocka_unit_test(searching_among_imitations_ends_soon),
    };
    return unit_main("format", tests, argc, argv);
}
