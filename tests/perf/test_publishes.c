/* Prepared publishes: each is read back as a broker would read it. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "broker/perf/options.h"
#include "broker/perf/publishes.h"
#include "codec/frame.h"
#include "codec/method.h"
#include "codec/properties.h"

enum { FRAME_MAX = 4096 };

static const char *const keys[] = {"perf.0", "perf.1", "perf.2"};

static struct frame next_frame(struct bytes *rest)
{
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(*rest, FRAME_MAX - FRAME_OVERHEAD, &f, &used), FRAME_OK);
    *rest = bytes_of(rest->at + used, rest->len - used);
    assert_int_equal(f.channel, 1);
    return f;
}

/* Reads one publish; where its body begins. */
static const uint8_t *assert_publish(struct bytes *rest, const struct publishes_of *of, const char *key)
{
    union method m;
    struct properties props;
    struct frame f = next_frame(rest);
    assert_int_equal(f.type, FRAME_METHOD);
    assert_int_equal(method_decode(f.payload, &m), METHOD_OK);
    assert_int_equal(m.id, METHOD_basic_publish);
    assert_true(bytes_equal(m.basic_publish.exchange, bytes_of_string(of->exchange)));
    assert_true(bytes_equal(m.basic_publish.routing_key, bytes_of_string(key)));
    assert_int_equal(m.basic_publish.mandatory, of->is_mandatory);

    f = next_frame(rest);
    assert_int_equal(f.type, FRAME_HEADER);
    struct cursor c = cursor_over(f.payload);
    assert_int_equal(cursor_u16(&c), METHOD_basic_publish >> 16);
    assert_int_equal(cursor_u16(&c), 0);
    assert_int_equal(cursor_u64(&c), of->size);
    assert_true(properties_decode(bytes_of(c.at, cursor_left(&c)), &props));
    assert_int_equal(props.delivery_mode, of->is_persistent ? 2 : 0);

    const uint8_t *body = rest->at + FRAME_HEAD;
    for (size_t left = of->size; left > 0; left -= f.payload.len) {
        f = next_frame(rest);
        assert_int_equal(f.type, FRAME_BODY);
        assert_true(f.payload.len > 0 && f.payload.len <= left);
    }
    return body;
}

static void assert_readable(const struct publishes_of *of, size_t room)
{
    struct publishes p;
    publishes_init(&p, of, room);
    assert_true(p.count >= of->keys_count && p.count % of->keys_count == 0);
    assert_int_equal(p.len, p.count * p.each);
    assert_true(p.len <= room || p.count == of->keys_count);
    struct bytes rest = bytes_of(p.at, p.len);
    for (uint64_t i = 0; i < p.count; i++) {
        const uint8_t *body = assert_publish(&rest, of, of->keys[i % of->keys_count]);
        if (of->size > 0)
            assert_ptr_equal(body, p.at + i * p.each + p.body);
    }
    assert_int_equal(rest.len, 0);
    publishes_fini(&p);
}

TEST(publishes_are_what_was_asked_for)
{
    static const size_t sizes[] = {0, 1, 16, 4087, 4088, 4089, 8176, 8177, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned flags = 0; flags < 4; flags++) {
            struct publishes_of of = {.exchange = (flags & 1) != 0 ? "perf" : "",
                                      .keys = keys,
                                      .keys_count = 1 + flags % 3,
                                      .size = sizes[i],
                                      .frame_max = FRAME_MAX,
                                      .is_persistent = (flags & 1) != 0,
                                      .is_mandatory = (flags & 2) != 0};
            assert_readable(&of, 0);
            assert_readable(&of, 10000);
            assert_readable(&of, 65536);
        }
}

TEST(a_stamp_goes_into_its_own_body_and_nowhere_else)
{
    struct publishes p, clean;
    const struct publishes_of of = {
        .exchange = "", .keys = keys, .keys_count = 1, .size = PERF_STAMP_SIZE, .frame_max = FRAME_MAX};
    publishes_init(&p, &of, 1000);
    publishes_init(&clean, &of, 1000);
    for (uint64_t i = p.count + 2; i < p.count + 4; i++) /* the second time round */
        publishes_stamp(&p, i, 0x0102030405060708 + i, 0x1112131415161718);
    for (uint64_t i = 0; i < p.count; i++) {
        uint8_t *body = p.at + i * p.each + p.body;
        struct cursor c = cursor_over(bytes_of(body, PERF_STAMP_SIZE));
        bool is_stamped = i == 2 || i == 3;
        assert_int_equal(cursor_u64(&c), is_stamped ? 0x0102030405060708 + p.count + i : 0);
        assert_int_equal(cursor_u64(&c), is_stamped ? 0x1112131415161718 : 0);
        memset(body, 0, PERF_STAMP_SIZE);
    }
    assert_memory_equal(p.at, clean.at, p.len);
    publishes_fini(&p);
    publishes_fini(&clean);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_are_what_was_asked_for),
        cmocka_unit_test(a_stamp_goes_into_its_own_body_and_nowhere_else),
    };
    return unit_main("publishes", tests, argc, argv);
}
