/* Deliveries, counted however the bytes are torn. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/perf/deliveries.h"
#include "broker/perf/link.h"
#include "codec/frame.h"
#include "codec/method.h"

enum { STREAM_ROOM = 8192, FRAME_MAX = 64, OWNER = 77, NOW = 1000000 };

struct stream {
    uint8_t at[STREAM_ROOM];
    struct pen pen;
    uint64_t tag;
};

static void begin(struct stream *s)
{
    s->pen = pen_over(s->at, sizeof s->at);
    s->tag = 0;
}

static void put_method(struct stream *s, uint16_t channel, const void *method)
{
    uint8_t *mark = frame_open(&s->pen, FRAME_METHOD, channel);
    method_encode(&s->pen, method);
    frame_close(&s->pen, mark);
}

/* A delivery whose body is cut into frames of FRAME_MAX, stamped if there is room. */
static void put_delivery(struct stream *s, const char *consumer, bool redelivered, size_t size, uint64_t owner)
{
    uint8_t body[512] = {0};
    struct pen b = pen_over(body, sizeof body);
    pen_u64(&b, NOW - 10 * (s->tag + 1));
    pen_u64(&b, owner);
    put_method(s, 1,
               &(struct basic_deliver){.id = METHOD_basic_deliver,
                                       .consumer_tag = bytes_of_string(consumer),
                                       .delivery_tag = ++s->tag,
                                       .redelivered = redelivered,
                                       .exchange = BYTES("x"),
                                       .routing_key = BYTES("key")});
    uint8_t *mark = frame_open(&s->pen, FRAME_HEADER, 1);
    pen_u32(&s->pen, METHOD_basic_deliver & 0xffff0000);
    pen_u64(&s->pen, size);
    pen_u16(&s->pen, 0);
    frame_close(&s->pen, mark);
    for (size_t at = 0; at < size; at += FRAME_MAX) {
        mark = frame_open(&s->pen, FRAME_BODY, 1);
        pen_bytes(&s->pen, bytes_of(body + at, size - at < FRAME_MAX ? size - at : FRAME_MAX));
        frame_close(&s->pen, mark);
    }
}

static void put_all(struct stream *s)
{
    begin(s);
    put_delivery(s, "a", false, 0, 0);
    put_delivery(s, "", true, 16, OWNER);
    put_delivery(s, "consumer", false, 200, OWNER);
    pen_bytes(&s->pen, BYTES("\x08\0\0\0\0\0\0\xce")); /* a heartbeat */
    put_delivery(s, "a", true, 64, OWNER + 1);
    put_delivery(s, "a", false, 15, OWNER);
    put_delivery(s, "a", false, 128, OWNER);
    put_delivery(s, "a", false, 16, OWNER);
    assert_false(s->pen.full);
}

/* Takes them as they come in pieces: of so many bytes, or the first of so many and then all the rest. */
static void take(struct deliveries *d, const struct stream *s, size_t first, size_t step)
{
    size_t n = pen_written(&s->pen).len, used = 0, here = 0;
    while (here < n) {
        here += here == 0 ? first : step;
        here = here < n ? here : n;
        /* from a copy of just so much, so that a sanitizer sees a read beyond it */
        uint8_t *copy = malloc(here - used + 1);
        memcpy(copy, s->at + used, here - used);
        used += deliveries_take(d, copy, here - used, NOW);
        free(copy);
    }
    assert_int_equal(used, n);
}

TEST(however_the_bytes_are_torn_the_count_is_the_same)
{
    static struct stream s;
    static struct latency latency;
    put_all(&s);
    size_t n = pen_written(&s.pen).len;
    for (size_t first = 1; first <= n; first++)
        for (size_t step = 1; step <= n; step += step < 9 ? 1 : n - 9) {
            struct deliveries d = {.acks = 2, .has_stamps = true, .owner = OWNER, .latency = &latency};
            memset(&latency, 0, sizeof latency);
            take(&d, &s, first, step);
            assert_int_equal(d.count, 7);
            assert_int_equal(d.redelivered, 2);
            assert_int_equal(d.settled, 6);
            assert_int_equal(d.tag, 7);
            assert_int_equal(d.answers_len, 3 * DELIVERIES_ACK_SIZE);
            assert_int_equal(latency.count, 4); /* one is another run's, one is too short, one has no body */
            assert_int_equal(latency.min, 20);
            assert_int_equal(latency.max, 70);
            assert_int_equal(latency.sum, 20 + 30 + 60 + 70);
            deliveries_fini(&d);
        }
}

TEST(an_acknowledgement_is_for_all_until_it)
{
    static struct stream s;
    put_all(&s);
    for (unsigned acks = 1; acks <= 8; acks++) {
        struct deliveries d = {.acks = acks};
        take(&d, &s, 100, 100);
        assert_int_equal(d.settled, 7 / acks * acks);
        struct bytes rest = bytes_of(d.answers, d.answers_len);
        for (uint64_t tag = acks; tag <= 7; tag += acks) {
            struct frame f;
            size_t used;
            union method m;
            assert_int_equal(frame_cut(rest, 100, &f, &used), FRAME_OK);
            assert_int_equal(f.type, FRAME_METHOD);
            assert_int_equal(f.channel, 1);
            assert_int_equal(method_decode(f.payload, &m), METHOD_OK);
            assert_int_equal(m.id, METHOD_basic_ack);
            assert_int_equal(m.basic_ack.delivery_tag, tag);
            assert_int_equal(m.basic_ack.multiple, acks > 1);
            rest = bytes_of(rest.at + used, rest.len - used);
        }
        assert_int_equal(rest.len, 0);
        deliveries_fini(&d);
    }
}

TEST(nothing_is_measured_while_nobody_asks)
{
    static struct stream s;
    put_all(&s);
    struct deliveries d = {.has_stamps = true, .owner = OWNER};
    take(&d, &s, 1, 1);
    assert_int_equal(d.count, 7);
    assert_int_equal(d.answers_len, 0);
    deliveries_fini(&d);
}

/* True: the program ends with 2, which is how a run that cannot be measured ends. */
static bool is_deadly(const struct stream *s)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct deliveries d = {0};
        (void)!freopen("/dev/null", "w", stderr);
        deliveries_take(&d, s->at, pen_written(&s->pen).len, NOW);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 2;
}

TEST(what_is_no_delivery_ends_the_run)
{
    static struct stream s;
    begin(&s);
    put_delivery(&s, "a", false, 100, OWNER);
    assert_false(is_deadly(&s));
    s.at[pen_written(&s.pen).len - 1] = 0; /* the last end octet */
    assert_true(is_deadly(&s));

    begin(&s);
    put_method(&s, 1, &(struct basic_cancel){.id = METHOD_basic_cancel, .consumer_tag = BYTES("a")});
    assert_true(is_deadly(&s));
    begin(&s);
    put_method(&s, 1, &(struct channel_close){.id = METHOD_channel_close, .reply_code = 406});
    assert_true(is_deadly(&s));
    begin(&s);
    put_method(&s, 0, &(struct connection_close){.id = METHOD_connection_close, .reply_code = 320});
    assert_true(is_deadly(&s));
    begin(&s);
    pen_bytes(&s.pen, BYTES("HTTP/1.1 400 Bad Request"));
    assert_true(is_deadly(&s));
    begin(&s);
    pen_bytes(&s.pen, BYTES("\3\0\1\0\0\0\1x\xce")); /* a body that no header announced */
    assert_true(is_deadly(&s));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_the_bytes_are_torn_the_count_is_the_same),
        cmocka_unit_test(an_acknowledgement_is_for_all_until_it),
        cmocka_unit_test(nothing_is_measured_while_nobody_asks),
        cmocka_unit_test(what_is_no_delivery_ends_the_run),
    };
    return unit_main("deliveries", tests, argc, argv);
}
