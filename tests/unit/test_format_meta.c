#include "tests/unit/unit.h"

#include <string.h>

#include "broker/store/format.h"
#include "tests/unit/vectors.h"

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
        cmocka_unit_test(a_batch_comes_back),
        cmocka_unit_test(a_chunk_comes_back),
        cmocka_unit_test(a_definition_comes_back),
    };
    return unit_main("format_meta", tests, argc, argv);
}
