/* Large body frames that are taken as they come, or read straight into the message, beside the same frames waited for
 * until they are whole: commands, output and ends must be the same. */
#include "tests/unit/rig.h"

#include <stdlib.h>

#include "amqp/bulk.h"
#include "amqp/state.h"
#include "base/alloc.h"
#include "base/str.h"

enum { WIRE_MAX = 4 << 20, FRAME_LIMIT = 131072, PAYLOAD_MAX = FRAME_LIMIT - FRAME_OVERHEAD };

/* What a client says. */
struct script {
    uint8_t *at; /* owned */
    size_t len;
};

static void put_frame(struct script *w, uint8_t type, uint16_t channel, struct bytes payload)
{
    struct pen p = pen_over(w->at + w->len, WIRE_MAX - w->len);
    uint8_t *mark = frame_open(&p, type, channel);
    pen_bytes(&p, payload);
    frame_close(&p, mark);
    assert_false(p.full);
    w->len += pen_written(&p).len;
}

static void put_method(struct script *w, uint16_t channel, const union method *m)
{
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof room);
    method_encode(&p, m);
    put_frame(w, FRAME_METHOD, channel, pen_written(&p));
}

static const uint8_t *noise(void)
{
    static uint8_t all[PAYLOAD_MAX + 1];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)(i * 7 + i / 253);
    return all;
}

/* A publish up to its body. */
static void begin(struct script *w, uint16_t channel, uint64_t size)
{
    uint8_t room[32];
    struct pen p = pen_over(room, sizeof room);
    struct basic_publish publish = {.id = METHOD_basic_publish, .routing_key = BYTES("key")};
    put_method(w, channel, &(union method){.basic_publish = publish});
    pen_u32(&p, 60 << 16);
    pen_u64(&p, size);
    pen_u16(&p, 0);
    put_frame(w, FRAME_HEADER, channel, pen_written(&p));
}

static void put_body(struct script *w, uint16_t channel, size_t size, size_t frame)
{
    for (size_t n; size > 0; size -= n) {
        n = size < frame ? size : frame;
        put_frame(w, FRAME_BODY, channel, bytes_of(noise(), n));
    }
}

/* ---- Two sessions. */

struct pair {
    struct rig *bulk, *whole;
    struct script wire;
    size_t said_bulk, said_whole; /* of the wire */
    size_t direct;                /* bytes that went straight into a message */
};

static void set_up(struct pair *p)
{
    *p = (struct pair){.bulk = rig_open_with(RIG_CAPABLE, FRAME_LIMIT),
                       .whole = rig_open_with(RIG_CAPABLE, FRAME_LIMIT)};
    p->whole->config.decodes_all = true;
    p->wire.at = alloc(WIRE_MAX);
    put_method(&p->wire, 2, &(union method){.channel_open = {.id = METHOD_channel_open}});
}

/* Says the next n bytes: in pieces of at most step bytes, and where the session wants them. */
static void say_to_bulk(struct pair *p, size_t n, size_t step)
{
    struct rig *r = p->bulk;
    while (n > 0) {
        size_t piece = (size_t)rand() % step + 1, room;
        piece = piece < n ? piece : n;
        uint8_t *at = r->in_len == 0 ? session_room(r->session, &room) : NULL;
        if (at != NULL) {
            piece = piece < room ? piece : room;
            memcpy(at, p->wire.at + p->said_bulk, piece);
            session_got(r->session, piece, r->now);
            p->direct += piece;
        } else {
            rig_bytes(r, bytes_of(p->wire.at + p->said_bulk, piece));
        }
        p->said_bulk += piece;
        n -= piece;
    }
}

static void compare(struct pair *p)
{
    rig_turn(p->bulk);
    rig_turn(p->whole);
    assert_int_equal(p->bulk->last, p->whole->last);
    for (; p->bulk->first < p->bulk->last; p->bulk->first++, p->whole->first++) {
        struct command *a = &p->bulk->commands[p->bulk->first], *b = &p->whole->commands[p->whole->first];
        assert_int_equal(a->verb, b->verb);
        assert_int_equal(a->from.stream, b->from.stream);
        if (a->verb == PUBLISH) {
            struct bytes part;
            assert_int_equal(a->publish.msg->body_size, b->publish.msg->body_size);
            assert_int_equal(message_missing(a->publish.msg), 0);
            for (uint64_t at = 0; (part = message_body(a->publish.msg, at)).len > 0; at += part.len)
                assert_memory_equal(part.at, message_body(b->publish.msg, at).at, part.len);
        }
        if (a->verb == RESET || a->verb == DETACH) {
            rig_done(p->bulk, a);
            rig_done(p->whole, b);
        } else {
            command_drop(a);
            command_drop(b);
        }
    }
    assert_int_equal(p->bulk->out_len, p->whole->out_len);
    assert_memory_equal(p->bulk->out, p->whole->out, p->bulk->out_len);
    assert_int_equal(session_wants(p->bulk->session), session_wants(p->whole->session));
    p->bulk->out_len = p->whole->out_len = 0;
}

/* Says the next n bytes to both. */
static void say(struct pair *p, size_t n, size_t step)
{
    say_to_bulk(p, n, step);
    rig_bytes(p->whole, bytes_of(p->wire.at + p->said_whole, n));
    p->said_whole += n;
    compare(p);
}

static size_t unsaid(const struct pair *p)
{
    return p->wire.len - p->said_whole;
}

static void tear_down(struct pair *p)
{
    for (unsigned i = 0; i < 3; i++)
        compare(p);
    rig_destroy(p->bulk);
    rig_destroy(p->whole);
    free(p->wire.at);
}

/* ---- What must be the same. */

TEST(bodies_of_all_sizes_torn_anywhere_come_out_the_same)
{
    static const size_t sizes[] = {
        0,           1,      BULK_MIN - 1,    BULK_MIN,        BULK_MIN + 20, 50000,  PAYLOAD_MAX - 1,
        PAYLOAD_MAX, 131072, PAYLOAD_MAX + 1, 2 * PAYLOAD_MAX, 400000,        1 << 20};
    static const size_t steps[] = {300, 4096, 20000, 70000, 262144};
    for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
        struct pair p;
        srand((unsigned)k);
        set_up(&p);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            begin(&p.wire, 1, sizes[i]);
            put_body(&p.wire, 1, sizes[i], i % 3 == 0 ? 40000 : PAYLOAD_MAX);
        }
        while (unsaid(&p) > 0)
            say(&p, unsaid(&p) < 100000 ? unsaid(&p) : 100000, steps[k]);
        assert_true(p.direct > 100000);
        tear_down(&p);
    }
}

TEST(channels_may_take_turns_frame_by_frame)
{
    struct pair p;
    set_up(&p);
    begin(&p.wire, 1, 300000);
    begin(&p.wire, 2, 300000);
    for (unsigned i = 0; i < 5; i++) {
        put_body(&p.wire, 1, 60000, PAYLOAD_MAX);
        put_body(&p.wire, 2, 60000, PAYLOAD_MAX);
    }
    while (unsaid(&p) > 0)
        say(&p, unsaid(&p) < 50000 ? unsaid(&p) : 50000, 30000);
    assert_true(p.direct > 100000);
    tear_down(&p);
}

/* A frame that is half read, on channel 1, and a publish of channel 2 behind it. */
static size_t say_half_a_frame(struct pair *p)
{
    set_up(p);
    begin(&p->wire, 1, 200000);
    size_t until = p->wire.len + 40000;
    put_body(&p->wire, 1, 200000, PAYLOAD_MAX);
    size_t end = p->wire.len;
    begin(&p->wire, 2, 5);
    put_body(&p->wire, 2, 5, 5);
    say(p, until, 10000);
    assert_true(bulk_is_under_way(&p->bulk->session->bulk));
    assert_true(p->direct > 10000);
    return end;
}

TEST(a_wrong_end_is_complained_of_in_the_same_words)
{
    for (unsigned step = 0; step < 2; step++) {
        struct pair p;
        say_half_a_frame(&p);
        size_t end = p.said_whole - 40000 + FRAME_OVERHEAD + PAYLOAD_MAX - 1;
        assert_int_equal(p.wire.at[end], FRAME_END);
        p.wire.at[end] = 0;
        if (step > 0)
            say(&p, end - p.said_whole, 5000); /* the end octet comes by itself */
        say(&p, unsaid(&p), 5000);
        tear_down(&p);
    }
}

TEST(an_alarm_holds_the_frame_at_its_end)
{
    struct pair p;
    say_half_a_frame(&p);
    session_alarm(p.bulk->session, ALARM_MEMORY, p.bulk->now);
    session_alarm(p.whole->session, ALARM_MEMORY, p.whole->now);
    while (unsaid(&p) > 0)
        say(&p, unsaid(&p) < 20000 ? unsaid(&p) : 20000, 5000);
    session_alarm(p.bulk->session, 0, p.bulk->now);
    session_alarm(p.whole->session, 0, p.whole->now);
    rig_feed_again(p.bulk);
    rig_feed_again(p.whole);
    compare(&p);
    assert_int_equal(p.bulk->in_len, 0);
    tear_down(&p);
}

/* The model says that something older on the channel has failed. */
static void fail_channel(struct rig *r, enum reason reason)
{
    struct event e = {.what = FAILED, .verb = PUBLISH, .to = {.outlet = {.slot = 3, .generation = 9}}};
    e.cookie = (uint64_t)channel_find(r->session, 1)->serial << COOKIE_SERIAL;
    e.failed.reason = reason;
    e.failed.text = str_copy(BYTES("no"));
    rig_event(r, &e);
}

TEST(a_channel_that_fails_meanwhile_swallows_the_rest)
{
    struct pair p;
    say_half_a_frame(&p);
    fail_channel(p.bulk, NO_SUCH_EXCHANGE);
    fail_channel(p.whole, NO_SUCH_EXCHANGE);
    compare(&p);
    size_t room;
    assert_null(session_room(p.bulk->session, &room));
    while (unsaid(&p) > 0)
        say(&p, unsaid(&p) < 20000 ? unsaid(&p) : 20000, 5000);
    tear_down(&p);
}

TEST(a_connection_that_is_closed_meanwhile_swallows_the_rest)
{
    struct pair p;
    say_half_a_frame(&p);
    session_force_close(p.bulk->session, "so be it", p.bulk->now);
    session_force_close(p.whole->session, "so be it", p.whole->now);
    compare(&p);
    while (unsaid(&p) > 0)
        say(&p, unsaid(&p) < 20000 ? unsaid(&p) : 20000, 5000);
    struct script *w = &p.wire;
    put_method(w, 0, &(union method){.connection_close_ok = {.id = METHOD_connection_close_ok}});
    say(&p, unsaid(&p), 5000);
    tear_down(&p);
}

TEST(a_peer_may_go_in_the_middle_of_it)
{
    struct pair p;
    say_half_a_frame(&p);
    tear_down(&p);
}

TEST(a_frame_that_is_too_large_for_the_body_waits_to_be_complained_of)
{
    struct pair p;
    set_up(&p);
    begin(&p.wire, 1, 50000);
    put_body(&p.wire, 1, 60000, PAYLOAD_MAX);
    while (unsaid(&p) > 0)
        say(&p, unsaid(&p) < 20000 ? unsaid(&p) : 20000, 5000);
    assert_int_equal(p.direct, 0);
    tear_down(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_all_sizes_torn_anywhere_come_out_the_same),
        cmocka_unit_test(channels_may_take_turns_frame_by_frame),
        cmocka_unit_test(a_wrong_end_is_complained_of_in_the_same_words),
        cmocka_unit_test(an_alarm_holds_the_frame_at_its_end),
        cmocka_unit_test(a_channel_that_fails_meanwhile_swallows_the_rest),
        cmocka_unit_test(a_connection_that_is_closed_meanwhile_swallows_the_rest),
        cmocka_unit_test(a_peer_may_go_in_the_middle_of_it),
        cmocka_unit_test(a_frame_that_is_too_large_for_the_body_waits_to_be_complained_of),
    };
    return unit_main("amqp/bulk", tests, argc, argv);
}
