#include "tests/unit/unit.h"

#include "base/crc32c.h"
#include "broker/port/message.h"
#include "broker/store/format.h"
#include "tests/unit/vectors.h"

static struct message_spec a_spec(void)
{
    return (struct message_spec){
        .exchange = BYTES("logs"),
        .routing_key = BYTES("a.b.c"),
        .properties = BYTES("\x10\x00\x02"),
        .extra_keys = BYTES("\0\0\0\1x\0\0\0\2yz"),
        .cc_count = 1,
        .deaths = 3,
        .expiration_ms = 60000,
        .flags = MESSAGE_PERSISTENT,
        .priority = 9,
    };
}

static struct message *a_message(size_t body_size)
{
    struct message_spec spec = a_spec();
    spec.body_size = body_size;
    struct message *m = message_create(&spec);
    uint8_t *body = malloc(body_size + 1);
    assert_non_null(body);
    for (size_t i = 0; i < body_size; i++)
        body[i] = (uint8_t)(i * 31 + i / 251);
    message_fill(m, bytes_of(body, body_size));
    free(body);
    return m;
}

static void assert_same_body(const struct message *a, const struct message *b)
{
    struct body_walk walk = message_walk(a);
    uint64_t at = 0;
    for (struct bytes piece; (piece = body_walk_next(&walk)).len > 0;) {
        for (size_t done = 0; done < piece.len;) {
            struct bytes other = message_body(b, at);
            size_t n = other.len < piece.len - done ? other.len : piece.len - done;
            assert_true(n > 0);
            assert_memory_equal(piece.at + done, other.at, n);
            done += n;
            at += n;
        }
    }
    assert_int_equal(at, b->body_size);
}

static void assert_same_message(const struct message *a, const struct message *b)
{
    assert_bytes_equal(message_exchange(a), message_exchange(b));
    assert_bytes_equal(message_key(a), message_key(b));
    assert_bytes_equal(message_properties(a), message_properties(b));
    assert_bytes_equal(message_extra_keys(a), message_extra_keys(b));
    assert_int_equal(message_cc_count(a), message_cc_count(b));
    assert_int_equal(message_deaths(a), message_deaths(b));
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(message_expiration_ms(a), message_expiration_ms(b));
    assert_int_equal(a->body_size, b->body_size);
    assert_int_equal(message_missing(b), 0);
    assert_same_body(a, b);
}

static struct bytes item_body(const struct message *m)
{
    uint32_t crc;
    size_t size = message_item_body_size(m);
    uint8_t *at = malloc(size);
    assert_non_null(at);
    message_item_body_write(at, m, &crc);
    assert_int_equal(crc, crc32c(0, at, size));
    return bytes_of(at, size);
}

static void assert_comes_back(const struct message *m)
{
    struct message_meta meta;
    struct bytes body = item_body(m);
    message_meta_of(&meta, m, 1);
    struct message *back = message_from_item(&meta, body);
    assert_non_null(back);
    assert_same_message(m, back);
    message_unref(back);
    drop(body);
}

TEST(a_message_comes_back)
{
    static const size_t sizes[] = {
        0, 1, 100, 16384, 16385, MESSAGE_INLINE_MAX, MESSAGE_INLINE_MAX + 1, MESSAGE_INLINE_MAX + 3 * MESSAGE_CHUNK_MAX,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct message *m = a_message(sizes[i]);
        assert_comes_back(m);
        struct message_spec spec = a_spec();
        spec.exchange = BYTES("dlx");
        struct message *letter = message_create_with_body(&spec, m);
        assert_comes_back(letter);
        message_unref(letter);
        message_unref(m);
    }
}

/* These bytes were not made by this program.  They are read for ever. */
static const char format_1[] =
    "4d 69 02 01 ef be ad de 2a 00 00 00 00 00 00 00 1d 00 00 00 18 00 00 00 c9 46 ae 35 40 95 f0 dd "
    "00 00 00 00 48 71 0f be 80 d8 c1 a2 8c 34 02 03 03 0b 01 04 01 09 02 e1 d4 03 05 06 07 e8 07 05 "
    "01 08 ac 02 00 65 78 6b 65 79 10 00 02 00 00 00 01 78 00 00 00 02 79 7a 68 65 6c 6c 6f 00 00 00";

TEST(a_message_of_format_1_is_read)
{
    struct bytes b = hex(format_1);
    struct item item;
    struct message_meta meta;
    struct place place;
    size_t need;
    assert_int_equal(item_decode(b, &item, &need), ITEM_FINE);
    assert_true(item.type == ITEM_MESSAGE && item.flags == ITEM_TX && item.epoch == 0xdeadbeef && item.lsn == 42);
    struct cursor c = cursor_over(item.meta);
    assert_true(message_meta_read(&c, &meta));
    assert_true(meta.wall_ms == UINT64_C(1790000000000) && meta.deliveries == 6 && meta.redelivered && !meta.transient);
    assert_true(meta.replaces.queue == 7 && meta.replaces.position == 1000 && meta.replaces.bytes == 5);
    assert_int_equal(meta.n_places, 1);
    assert_true(place_read(&c, &place));
    assert_true(place.queue == 8 && place.position == 300 && place.ttl_ms == PLACE_NO_TTL);
    struct message *m = message_from_item(&meta, item.body);
    assert_non_null(m);
    assert_bytes_equal(message_exchange(m), BYTES("ex"));
    assert_bytes_equal(message_key(m), BYTES("key"));
    assert_bytes_equal(message_properties(m), BYTES("\x10\0\2"));
    assert_bytes_equal(message_body(m, 0), BYTES("hello"));
    assert_true(message_cc_count(m) == 1 && message_deaths(m) == 4);
    assert_true(m->priority == 9 && message_expiration_ms(m) == 60000);
    message_unref(m);
    drop(b);
}

static struct message_meta a_meta(void)
{
    return (struct message_meta){
        .wall_ms = UINT64_C(1790000000000),
        .exchange_len = 4,
        .key_len = 5,
        .properties_len = 300,
        .extra_keys_len = 11,
        .cc_count = 1,
        .deaths = 500,
        .message_flags = MESSAGE_PERSISTENT | MESSAGE_HAS_HEADERS,
        .priority = 255,
        .transient = true,
        .expiration_ms = MESSAGE_NO_EXPIRATION,
        .body_size = 1 << 20,
        .deliveries = 20,
        .redelivered = true,
        .replaces = {.queue = 8, .position = 9, .bytes = 10},
        .n_places = 2,
    };
}

TEST(a_message_meta_comes_back_with_its_places)
{
    uint8_t room[MESSAGE_META_MAX + 2 * PLACE_META_MAX];
    struct message_meta m = a_meta(), out;
    struct place a = {.queue = 1, .position = UINT64_MAX, .ttl_ms = PLACE_NO_TTL}, b = {.queue = 2, .ttl_ms = 0}, place;
    struct pen p = pen_over(room, sizeof room);
    message_meta_write(&p, &m);
    place_write(&p, &a);
    place_write(&p, &b);
    assert_false(p.full);
    struct cursor c = cursor_over(pen_written(&p));
    assert_true(message_meta_read(&c, &out));
    assert_true(out.wall_ms == m.wall_ms && out.expiration_ms == MESSAGE_NO_EXPIRATION && out.body_size == m.body_size);
    assert_true(out.exchange_len == 4 && out.key_len == 5 && out.properties_len == 300 && out.extra_keys_len == 11);
    assert_true(out.cc_count == 1 && out.deaths == 500 && out.priority == 255 && out.deliveries == 20);
    assert_true(out.message_flags == m.message_flags && out.transient && out.redelivered && out.n_places == 2);
    assert_true(out.replaces.queue == 8 && out.replaces.position == 9 && out.replaces.bytes == 10);
    assert_true(place_read(&c, &place));
    assert_true(place.queue == 1 && place.position == UINT64_MAX && place.ttl_ms == PLACE_NO_TTL);
    assert_true(place_read(&c, &place));
    assert_true(place.queue == 2 && place.position == 0 && place.ttl_ms == 0);
    assert_int_equal(cursor_left(&c), 0);
    assert_false(place_read(&c, &place));
}

TEST(the_largest_message_meta_fits)
{
    uint8_t room[MESSAGE_META_MAX];
    struct message_meta m = {.wall_ms = UINT64_MAX,
                             .exchange_len = 255,
                             .key_len = 255,
                             .properties_len = UINT32_MAX,
                             .extra_keys_len = UINT32_MAX,
                             .cc_count = UINT16_MAX,
                             .deaths = UINT16_MAX,
                             .message_flags = 255,
                             .priority = 255,
                             .transient = true,
                             .expiration_ms = UINT64_MAX - 1,
                             .body_size = UINT64_MAX,
                             .deliveries = UINT16_MAX,
                             .redelivered = true,
                             .replaces = {.queue = UINT64_MAX, .position = UINT64_MAX, .bytes = UINT64_MAX},
                             .n_places = UINT32_MAX};
    struct pen p = pen_over(room, sizeof room);
    message_meta_write(&p, &m);
    assert_false(p.full);
}

static bool is_read(const struct message_meta *m, size_t places_bytes)
{
    uint8_t room[MESSAGE_META_MAX + 64] = {0};
    struct message_meta out;
    struct pen p = pen_over(room, MESSAGE_META_MAX);
    message_meta_write(&p, m);
    struct bytes whole = exact(bytes_of(room, pen_written(&p).len + places_bytes));
    struct cursor c = cursor_over(whole);
    bool answer = message_meta_read(&c, &out);
    for (size_t len = 0; len < pen_written(&p).len; len++) {
        c = cursor_over(bytes_of(whole.at, len));
        assert_false(message_meta_read(&c, &out));
    }
    drop(whole);
    return answer;
}

TEST(a_message_meta_out_of_range_is_refused)
{
    struct message_meta m = a_meta();
    assert_true(is_read(&m, 6));
    assert_false(is_read(&m, 5)); /* cannot be two places */
    m.message_flags = 4;
    assert_false(is_read(&m, 6));
    m = a_meta();
    m.body_size = FORMAT_BODY_MAX + UINT64_C(1);
    assert_false(is_read(&m, 6));
    m = a_meta();
    m.replaces.bytes = FORMAT_BODY_MAX + UINT64_C(1);
    assert_false(is_read(&m, 6));
}

static void assert_no_message(struct message_meta meta, struct bytes body)
{
    assert_null(message_from_item(&meta, body));
}

TEST(lengths_that_do_not_fit_the_body_make_no_message)
{
    struct message *m = a_message(50);
    struct bytes body = item_body(m);
    struct message_meta right, wrong;
    message_meta_of(&right, m, 0);
    assert_no_message(right, bytes_of(body.at, body.len - 1));
    assert_no_message(right, bytes_of(body.at, 0));
    wrong = right, wrong.exchange_len++;
    assert_no_message(wrong, body);
    wrong = right, wrong.properties_len = UINT32_MAX;
    assert_no_message(wrong, body);
    wrong = right, wrong.body_size = UINT64_MAX - message_item_body_size(m) + 2 * right.body_size + 1;
    assert_no_message(wrong, body);
    wrong = right, wrong.body_size++, wrong.extra_keys_len--;
    assert_no_message(wrong, body);
    wrong = right, wrong.cc_count = 3;
    assert_no_message(wrong, body);
    wrong = right, wrong.message_flags = 0x80;
    assert_no_message(wrong, body);
    drop(body);
    message_unref(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back),
        cmocka_unit_test(a_message_of_format_1_is_read),
        cmocka_unit_test(a_message_meta_comes_back_with_its_places),
        cmocka_unit_test(the_largest_message_meta_fits),
        cmocka_unit_test(a_message_meta_out_of_range_is_refused),
        cmocka_unit_test(lengths_that_do_not_fit_the_body_make_no_message),
    };
    return unit_main("format_message", tests, argc, argv);
}
