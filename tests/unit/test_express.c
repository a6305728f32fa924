/* The short way of publishes and acknowledgements: it is gone, and nobody can tell. */
#include "tests/unit/rig.h"

#include "amqp/state.h"
#include "base/alloc.h"
#include "tests/unit/twins.h"

enum { STREAM_MAX = 16384, SCRIPTS = 1000, SCRIPT_BYTES = 3000 };

/* Publishes on channel 1 as a client would write them, one behind the other. */
struct stream {
    uint8_t at[STREAM_MAX];
    struct pen p;
};

static struct stream *stream_create(void)
{
    struct stream *s = alloc(sizeof *s);
    s->p = pen_over(s->at, sizeof s->at);
    return s;
}

static void put_frame(struct stream *s, uint8_t type, struct bytes payload)
{
    uint8_t *mark = frame_open(&s->p, type, 1);
    pen_bytes(&s->p, payload);
    frame_close(&s->p, mark);
    assert_false(s->p.full);
}

static void put_publish(struct stream *s, const char *key, struct bytes properties, const char *body)
{
    uint8_t room[600];
    struct pen p = pen_over(room, sizeof room);
    method_encode(&p,
                  &(union method){.basic_publish = {.id = METHOD_basic_publish, .routing_key = bytes_of_string(key)}});
    put_frame(s, FRAME_METHOD, pen_written(&p));
    p = pen_over(room, sizeof room);
    pen_u32(&p, 60 << 16);
    pen_u64(&p, strlen(body));
    pen_bytes(&p, properties);
    put_frame(s, FRAME_HEADER, pen_written(&p));
    if (body[0] != '\0')
        put_frame(s, FRAME_BODY, bytes_of_string(body));
}

static void expect_publish(struct rig *r, const char *key, struct bytes properties, const char *body)
{
    struct command c = rig_command(r, PUBLISH);
    assert_true(bytes_equal(message_key(c.publish.msg), bytes_of_string(key)));
    assert_true(bytes_equal(message_properties(c.publish.msg), properties));
    assert_true(bytes_equal(message_body(c.publish.msg, 0), bytes_of_string(body)));
    assert_int_equal(message_missing(c.publish.msg), 0);
    command_drop(&c);
}

static bool has_gone_the_ordinary_road(struct rig *r)
{
    return channel_find(r->session, 1)->content.names != NULL;
}

TEST(whole_publishes_go_the_short_way)
{
    struct rig *r = rig_open();
    struct stream *s = stream_create();
    const struct bytes persistent = BYTES("\x10\0\2");
    put_publish(s, "a", rig_no_properties(), "one");
    put_publish(s, "a", rig_no_properties(), "two2");
    put_publish(s, "b", rig_no_properties(), "");
    put_publish(s, "b", persistent, "four");
    put_publish(s, "a", persistent, "five");
    rig_bytes(r, pen_written(&s->p));
    expect_publish(r, "a", rig_no_properties(), "one");
    expect_publish(r, "a", rig_no_properties(), "two2");
    expect_publish(r, "b", rig_no_properties(), "");
    expect_publish(r, "b", persistent, "four");
    expect_publish(r, "a", persistent, "five");
    assert_false(has_gone_the_ordinary_road(r));
    free(s);
    rig_destroy(r);
}

TEST(the_long_way_is_taken_where_it_is_asked_for)
{
    struct rig *r = rig_open();
    struct stream *s = stream_create();
    r->config.decodes_all = true;
    put_publish(s, "a", rig_no_properties(), "one");
    rig_bytes(r, pen_written(&s->p));
    expect_publish(r, "a", rig_no_properties(), "one");
    assert_true(has_gone_the_ordinary_road(r));
    free(s);
    rig_destroy(r);
}

TEST(a_stream_of_publishes_may_be_torn_anywhere)
{
    static const char *const keys[] = {"a", "a", "b", "b"};
    static const char *const bodies[] = {"one", "", "three", "four"};
    struct stream *s = stream_create();
    for (unsigned i = 0; i < 4; i++)
        put_publish(s, keys[i], i < 3 ? rig_no_properties() : BYTES("\x10\0\2"), bodies[i]);
    struct bytes all = pen_written(&s->p);
    for (size_t at = 0; at <= all.len; at++) {
        struct rig *r = rig_open();
        rig_bytes(r, bytes_of(all.at, at));
        rig_bytes(r, bytes_of(all.at + at, all.len - at));
        for (unsigned i = 0; i < 4; i++)
            expect_publish(r, keys[i], i < 3 ? rig_no_properties() : BYTES("\x10\0\2"), bodies[i]);
        rig_expect_no_command(r);
        rig_destroy(r);
    }
    free(s);
}

TEST(two_sessions_of_which_one_decodes_all_are_the_same)
{
    uint8_t *script = alloc(SCRIPT_BYTES);
    uint64_t x = 88172645463325252U;
    for (unsigned n = 0; n < SCRIPTS; n++) {
        for (unsigned i = 0; i < SCRIPT_BYTES; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            script[i] = (uint8_t)(x >> 32);
        }
        twins_run(bytes_of(script, SCRIPT_BYTES));
    }
    free(script);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_publishes_go_the_short_way),
        cmocka_unit_test(the_long_way_is_taken_where_it_is_asked_for),
        cmocka_unit_test(a_stream_of_publishes_may_be_torn_anywhere),
        cmocka_unit_test(two_sessions_of_which_one_decodes_all_are_the_same),
    };
    return unit_main("amqp/express", tests, argc, argv);
}
