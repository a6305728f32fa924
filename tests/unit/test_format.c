#include "tests/unit/unit.h"

#include <string.h>

#include "broker/port/message.h"
#include "broker/store/crc32c.h"
#include "broker/store/format.h"
#include "tests/unit/vectors.h"

/* --- varints */

TEST(varints_are_as_short_as_can_be)
{
    static const struct {
        uint64_t v;
        const char *bytes;
    } known[] = {
        {0, "00"},
        {1, "01"},
        {127, "7f"},
        {128, "80 01"},
        {300, "ac 02"},
        {UINT32_MAX, "ff ff ff ff 0f"},
        {INT64_MAX, "ff ff ff ff ff ff ff ff 7f"},
        {UINT64_MAX, "ff ff ff ff ff ff ff ff ff 01"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t room[VARINT_MAX];
        struct pen p = pen_over(room, sizeof room);
        struct bytes expect = hex(known[i].bytes);
        pen_varint(&p, known[i].v);
        assert_false(p.full);
        assert_bytes_equal(pen_written(&p), expect);
        struct cursor c = cursor_over(expect);
        assert_true(cursor_varint(&c) == known[i].v);
        assert_false(c.bad);
        assert_int_equal(cursor_left(&c), 0);
        for (size_t len = 0; len < expect.len; len++) {
            struct bytes part = exact(bytes_of(expect.at, len));
            c = cursor_over(part);
            assert_int_equal(cursor_varint(&c), 0);
            assert_true(c.bad);
            drop(part);
            p = pen_over(room, len);
            pen_varint(&p, known[i].v);
            assert_true(p.full);
        }
        drop(expect);
    }
}

TEST(what_is_no_varint_is_refused)
{
    static const char *const wrong[] = {
        "80 00",                            /* longer than it must be */
        "ff 80 00",                         /* likewise */
        "ff ff ff ff ff ff ff ff ff 02",    /* more than 64 bits */
        "ff ff ff ff ff ff ff ff ff 81 00", /* likewise */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes b = hex(wrong[i]);
        struct cursor c = cursor_over(b);
        assert_int_equal(cursor_varint(&c), 0);
        assert_true(c.bad);
        drop(b);
    }
}

/* --- file headers */

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

/* --- items */

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

/* --- messages */

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
    assert_int_equal(a->cc_count, b->cc_count);
    assert_int_equal(a->deaths, b->deaths);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->expiration_ms, b->expiration_ms);
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

/* --- runs */

TEST(neighbours_become_one_run)
{
    struct run_writer w;
    struct run_reader r;
    struct run run;
    run_writer_init(&w);
    for (uint64_t i = 10; i < 20; i++)
        run_add(&w, 1, i, 100);
    for (uint64_t i = 9; i > 4; i--)
        run_add(&w, 1, i, 100);
    struct bytes meta = run_end(&w);
    assert_true(meta.len <= 5);
    run_reader_init(&r, meta);
    assert_true(run_next(&r, &run));
    assert_true(run.queue == 1 && run.first == 5 && run.count == 15 && run.bytes == 100);
    assert_false(run_next(&r, &run));
    assert_false(r.c.bad);
    run_writer_fini(&w);
}

TEST(runs_come_back_in_order)
{
    static const struct run all[] = {
        {.queue = 1, .first = 0, .count = 1, .bytes = 0},
        {.queue = 1, .first = 1, .count = 1, .bytes = 1}, /* another size */
        {.queue = 1, .first = 3, .count = 2, .bytes = 1}, /* a gap */
        {.queue = 2, .first = 5, .count = 1, .bytes = 1}, /* another queue */
        {.queue = UINT64_MAX, .first = UINT64_MAX, .count = 1, .bytes = FORMAT_BODY_MAX},
        {.queue = 1, .first = 0, .count = 3, .bytes = FORMAT_BODY_MAX},
        {.queue = UINT64_MAX / 2 + 2, .first = UINT64_MAX / 2, .count = 1, .bytes = 0},
    };
    enum { N = sizeof all / sizeof all[0] };
    struct run_writer w;
    struct run_reader r;
    struct run run;
    run_writer_init(&w);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            for (uint64_t k = 0; k < all[i].count; k++)
                run_add(&w, all[i].queue, all[i].first + k, all[i].bytes);
            if (i == 3)
                run_end(&w); /* one may look, and go on */
        }
        run_reader_init(&r, run_end(&w));
        for (size_t i = 0; i < N; i++) {
            assert_true(run_next(&r, &run));
            assert_memory_equal(&run, &all[i], sizeof run);
        }
        assert_false(run_next(&r, &run));
        assert_false(r.c.bad);
        run_clear(&w);
        assert_int_equal(run_end(&w).len, 0);
    }
    run_writer_fini(&w);
}

TEST(runs_out_of_range_are_refused)
{
    static const char *const wrong[] = {
        "02",                      /* short */
        "00 00 01 00",             /* queue 0 */
        "02 00 00 00",             /* none */
        "02 01 02 00",             /* beyond the last position */
        "02 00 ff ff ff ff 10 00", /* too many */
        "02 00 01 81 80 80 80 03", /* too large */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes b = hex(wrong[i]);
        struct run_reader r;
        struct run run;
        run_reader_init(&r, b);
        assert_false(run_next(&r, &run));
        assert_true(r.c.bad);
        assert_false(run_next(&r, &run));
        drop(b);
    }
}

/* --- the other metas */

TEST(a_batch_comes_back)
{
    uint8_t room[BATCH_META_MAX];
    struct batch_meta m = {.first_lsn = 10, .count = 20, .durable = 9, .position = UINT64_MAX, .wall_ms = 5}, out;
    struct pen p = pen_over(room, sizeof room);
    batch_meta_write(&p, &m);
    struct cursor c = cursor_over(pen_written(&p));
    assert_true(batch_meta_read(&c, &out));
    assert_memory_equal(&out, &m, sizeof m);
    m.first_lsn = m.count = m.durable = m.wall_ms = UINT64_MAX;
    p = pen_over(room, sizeof room);
    batch_meta_write(&p, &m);
    assert_false(p.full);
    c = cursor_over(pen_written(&p));
    assert_false(batch_meta_read(&c, &out)); /* more than there are numbers */
    c = cursor_over(bytes_of(room, 7));
    assert_false(batch_meta_read(&c, &out));
}

static bool chunk_comes_back(struct chunk_meta m)
{
    uint8_t room[CHUNK_META_MAX];
    struct chunk_meta out;
    struct pen p = pen_over(room, sizeof room);
    chunk_meta_write(&p, &m);
    assert_false(p.full);
    struct cursor c = cursor_over(pen_written(&p));
    if (!chunk_meta_read(&c, &out))
        return false;
    assert_memory_equal(&out, &m, sizeof m);
    return true;
}

TEST(a_chunk_comes_back)
{
    struct chunk_meta m = {.queue = 1, .chunk = 2, .pack = 3, .offset = 4, .size = 5, .replaces = 10};
    m.first = 6, m.last = 8, m.count = 3, m.bytes = 9;
    assert_true(chunk_comes_back(m));
    m.count = 4;
    assert_false(chunk_comes_back(m));
    m.count = 3, m.first = 9;
    assert_false(chunk_comes_back(m));
    m.first = 0, m.last = m.count = UINT64_MAX;
    assert_true(chunk_comes_back(m));
    m.size = UINT64_MAX;
    assert_false(chunk_comes_back(m));
    m.size = 5, m.queue = 0;
    assert_false(chunk_comes_back(m));
    memset(&m, 0xff, sizeof m);
    assert_false(chunk_comes_back(m));
}

TEST(a_definition_comes_back)
{
    for (unsigned what = DEFINE_VHOST; what <= DEFINE_CLASSES; what++) {
        struct definition *d = definition_create(what, 7, BYTES("a key"), BYTES("its value"));
        struct bytes room = exact(bytes_of((uint8_t[128]){0}, definition_size(d)));
        struct pen p = pen_over((uint8_t *)(uintptr_t)room.at, room.len);
        definition_write(&p, d);
        assert_false(p.full);
        enum definition_class class;
        uint64_t queue;
        struct bytes key, value;
        struct cursor c = cursor_over(pen_written(&p));
        assert_int_equal(definition_read(&c, &class, &queue, &key, &value), what < DEFINE_CLASSES);
        assert_int_equal(class, what);
        assert_int_equal(queue, 7);
        assert_bytes_equal(key, BYTES("a key"));
        assert_bytes_equal(value, BYTES("its value"));
        c = cursor_over(bytes_of(room.at, pen_written(&p).len - 1));
        assert_false(definition_read(&c, &class, &queue, &key, &value));
        drop(room);
        free(d);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_as_short_as_can_be),
        cmocka_unit_test(what_is_no_varint_is_refused),
        cmocka_unit_test(a_file_header_comes_back),
        cmocka_unit_test(a_file_header_with_any_bit_wrong_is_refused),
        cmocka_unit_test(what_a_newer_program_wrote_is_told_apart),
        cmocka_unit_test(an_item_comes_back),
        cmocka_unit_test(an_item_cut_short_says_what_it_wants),
        cmocka_unit_test(a_wrong_bit_is_blamed_on_its_part),
        cmocka_unit_test(lengths_beyond_the_limits_are_no_item),
        cmocka_unit_test(the_next_whole_item_of_the_epoch_is_found),
        cmocka_unit_test(searching_among_imitations_ends_soon),
        cmocka_unit_test(a_message_comes_back),
        cmocka_unit_test(a_message_meta_comes_back_with_its_places),
        cmocka_unit_test(the_largest_message_meta_fits),
        cmocka_unit_test(a_message_meta_out_of_range_is_refused),
        cmocka_unit_test(lengths_that_do_not_fit_the_body_make_no_message),
        cmocka_unit_test(neighbours_become_one_run),
        cmocka_unit_test(runs_come_back_in_order),
        cmocka_unit_test(runs_out_of_range_are_refused),
        cmocka_unit_test(a_batch_comes_back),
        cmocka_unit_test(a_chunk_comes_back),
        cmocka_unit_test(a_definition_comes_back),
    };
    return unit_main("format", tests, argc, argv);
}
