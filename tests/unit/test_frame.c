#include "vectors.h"

#include "codec/frame.h"

static const struct {
    const char *frame;
    uint8_t type;
    uint16_t channel;
} vectors[] = {
    {HEX_HEARTBEAT, FRAME_HEARTBEAT, 0},
    {HEX_TUNE, FRAME_METHOD, 0},
    {HEX_TUNE_OK, FRAME_METHOD, 0},
    {HEX_START_OK, FRAME_METHOD, 0},
    {HEX_OPEN, FRAME_METHOD, 0},
    {HEX_OPEN_OK, FRAME_METHOD, 0},
    {HEX_CHANNEL_OPEN, FRAME_METHOD, 1},
    {HEX_CHANNEL_OPEN_OK, FRAME_METHOD, 1},
    {HEX_QUEUE_DECLARE, FRAME_METHOD, 1},
    {HEX_QUEUE_DECLARE_OK, FRAME_METHOD, 1},
    {HEX_BASIC_PUBLISH, FRAME_METHOD, 1},
    {HEX_CONTENT_HEADER, FRAME_HEADER, 1},
    {HEX_BODY, FRAME_BODY, 1},
    {HEX_BASIC_DELIVER, FRAME_METHOD, 1},
    {HEX_BASIC_ACK, FRAME_METHOD, 1},
    {HEX_CHANNEL_CLOSE, FRAME_METHOD, 1},
    {HEX_CHANNEL_CLOSE_OK, FRAME_METHOD, 1},
};
enum { N_VECTORS = sizeof(vectors) / sizeof(vectors[0]), LIMIT = 131072 };

static void cuts_every_vector_without_copying(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = hex(vectors[i].frame);
        struct frame f;
        size_t used;
        assert_int_equal(frame_cut(b, LIMIT, &f, &used), FRAME_OK);
        assert_int_equal(used, b.len);
        assert_int_equal(f.type, vectors[i].type);
        assert_int_equal(f.channel, vectors[i].channel);
        assert_int_equal(f.payload.len, b.len - FRAME_OVERHEAD);
        assert_ptr_equal(f.payload.at, b.at + FRAME_HEAD);
        drop(b);
    }
}

static void every_vector_cut_short_anywhere_is_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = hex(vectors[i].frame);
        for (size_t len = 0; len < b.len; len++) {
            struct bytes part = exact(bytes_of(b.at, len));
            struct frame f;
            size_t used;
            assert_int_equal(frame_cut(part, LIMIT, &f, &used), FRAME_SHORT);
            assert_int_equal(used, 0);
            drop(part);
        }
        drop(b);
    }
}

static void writes_every_vector_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = hex(vectors[i].frame);
        struct frame f;
        size_t used;
        frame_cut(b, LIMIT, &f, &used);
        uint8_t room[256];
        struct pen p = pen_over(room, sizeof(room));
        uint8_t *mark = frame_open(&p, f.type, f.channel);
        pen_bytes(&p, f.payload);
        frame_close(&p, mark);
        assert_false(p.full);
        assert_bytes_equal(pen_written(&p), b);
        drop(b);
    }
}

static void cuts_only_the_first_of_several(void **state)
{
    (void)state;
    struct bytes b = hex(HEX_BODY HEX_HEARTBEAT);
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(b, LIMIT, &f, &used), FRAME_OK);
    assert_bytes_equal(f.payload, BYTES("hi"));
    struct bytes rest = bytes_of(b.at + used, b.len - used);
    assert_int_equal(frame_cut(rest, LIMIT, &f, &used), FRAME_OK);
    assert_int_equal(f.type, FRAME_HEARTBEAT);
    assert_int_equal(used, rest.len);
    drop(b);
}

static void a_wrong_end_octet_is_told_with_the_payload(void **state)
{
    (void)state;
    struct bytes b = hex("03 0102 00000002 6869 cd");
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(b, LIMIT, &f, &used), FRAME_BAD_END);
    assert_int_equal(used, 0);
    assert_int_equal(f.type, FRAME_BODY);
    assert_int_equal(f.channel, 0x0102);
    assert_bytes_equal(f.payload, BYTES("hi"));
    assert_int_equal(f.payload.at[f.payload.len], 0xcd);
    drop(b);
}

static void a_frame_too_large_is_told_by_its_head_alone(void **state)
{
    (void)state;
    struct bytes b = hex("03 0001 ffffffff");
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(b, LIMIT, &f, &used), FRAME_TOO_LARGE);
    assert_int_equal(f.type, FRAME_BODY);
    assert_int_equal(f.channel, 1);
    assert_int_equal(f.payload.len, UINT32_MAX);
    assert_null(f.payload.at);
    assert_int_equal(used, 0);
    assert_int_equal(frame_cut(b, UINT32_MAX, &f, &used), FRAME_SHORT);
    drop(b);
}

static void the_largest_payload_allowed_is_allowed(void **state)
{
    (void)state;
    struct bytes b = hex(HEX_BODY);
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(b, 2, &f, &used), FRAME_OK);
    assert_int_equal(frame_cut(b, 1, &f, &used), FRAME_TOO_LARGE);
    drop(b);
}

static void an_unknown_type_is_not_the_codecs_business(void **state)
{
    (void)state;
    struct bytes b = hex("ff 0000 00000000 ce");
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(b, LIMIT, &f, &used), FRAME_OK);
    assert_int_equal(f.type, 0xff);
    drop(b);
}

static void a_frame_that_does_not_fit_makes_the_pen_full(void **state)
{
    (void)state;
    for (size_t room = 0; room < FRAME_OVERHEAD + 2; room++) {
        uint8_t *at = malloc(room + (room == 0));
        struct pen p = pen_over(at, room);
        uint8_t *mark = frame_open(&p, FRAME_BODY, 1);
        pen_bytes(&p, BYTES("hi"));
        frame_close(&p, mark);
        assert_true(p.full);
        free(at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_every_vector_without_copying),
        cmocka_unit_test(every_vector_cut_short_anywhere_is_short),
        cmocka_unit_test(writes_every_vector_as_it_was),
        cmocka_unit_test(cuts_only_the_first_of_several),
        cmocka_unit_test(a_wrong_end_octet_is_told_with_the_payload),
        cmocka_unit_test(a_frame_too_large_is_told_by_its_head_alone),
        cmocka_unit_test(the_largest_payload_allowed_is_allowed),
        cmocka_unit_test(an_unknown_type_is_not_the_codecs_business),
        cmocka_unit_test(a_frame_that_does_not_fit_makes_the_pen_full),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
