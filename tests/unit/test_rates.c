#include "broker/admin/rates.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/unit/unit.h"

enum { S = 1000, INTERVAL = 5 * S };

/* 2026-01-01, and a second: no slot begins when the other clock says 0. */
static const uint64_t epoch = UINT64_C(1767225601000);

static const uint64_t publish = RATES_BIT(COUNT_PUBLISH), messages = RATES_BIT(RATES_MESSAGES);

struct world {
    struct rates *r;
    struct samples *s;
    uint64_t now;
};

static struct world world_create(void)
{
    return (struct world){.r = rates_create(INTERVAL, epoch), .s = samples_create(), .now = 1000 * S};
}

static void world_destroy(struct world *w)
{
    rates_destroy(w->r);
    samples_destroy(w->s);
}

static struct sample *add(struct world *w, enum sample_kind kind, uint64_t id)
{
    w->s->at[w->s->n] = (struct sample){.kind = kind, .id = id};
    return &w->s->at[w->s->n++];
}

/* A round with what was added, and then the time until the next. */
static void pass(struct world *w, uint64_t ms)
{
    w->s->now_ms = w->now;
    rates_begin(w->r, w->now);
    rates_take_samples(w->r, w->s);
    rates_end(w->r);
    w->s->n = 0;
    w->now += ms;
}

static void publish_to(struct world *w, uint64_t queue, uint64_t total)
{
    add(w, SAMPLE_QUEUE, queue)->counts[COUNT_PUBLISH] = total;
}

static double rate(const struct world *w, unsigned kind, uint64_t id, uint64_t columns)
{
    return rates_of(w->r, rates_find(w->r, kind, id), columns, w->now);
}

static void assert_near(double got, double want)
{
    if (fabs(got - want) > fabs(want) * 0.001)
        fail_msg("%f is not %f", got, want);
}

static void a_steady_flow_has_its_rate(void **state)
{
    (void)state;
    struct world w = world_create();
    uint64_t n = 0;
    for (unsigned i = 0; i < 6; i++, n += 500) { /* 100 a second */
        publish_to(&w, 1, n);
        pass(&w, INTERVAL);
    }
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    world_destroy(&w);
}

static void the_time_between_samples_counts_not_the_interval(void **state)
{
    (void)state;
    struct world w = world_create();
    publish_to(&w, 1, 10);
    pass(&w, 8 * S);
    publish_to(&w, 1, 10 + 800);
    pass(&w, S);
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    world_destroy(&w);
}

static void one_sample_has_no_rate(void **state)
{
    (void)state;
    struct world w = world_create();
    pass(&w, INTERVAL);
    publish_to(&w, 1, 500);
    pass(&w, S);
    assert_true(rate(&w, SAMPLE_QUEUE, 1, publish) == 0.0);
    assert_true(rate(&w, SAMPLE_QUEUE, 2, publish) == 0.0);
    assert_true(rate(&w, SAMPLE_EXCHANGE, 1, publish) == 0.0);
    world_destroy(&w);
}

static void silence_brings_the_rate_down_with_the_next_round(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 3; i++) {
        publish_to(&w, 1, 500 * i);
        pass(&w, INTERVAL);
    }
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    pass(&w, 0); /* nothing has changed */
    assert_true(rate(&w, SAMPLE_QUEUE, 1, publish) == 0.0);
    world_destroy(&w);
}

static void a_stale_sample_has_no_rate(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 3; i++) {
        publish_to(&w, 1, 500 * i);
        pass(&w, INTERVAL);
    }
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    w.now += 2 * INTERVAL; /* no round came */
    assert_true(rate(&w, SAMPLE_QUEUE, 1, publish) == 0.0);
    world_destroy(&w);
}

static void a_round_under_way_makes_no_sample_stale(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 3; i++) {
        publish_to(&w, 1, 500 * i);
        pass(&w, INTERVAL);
    }
    rates_begin(w.r, w.now); /* its answer is not there yet */
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    world_destroy(&w);
}

static void after_a_pause_the_rate_is_of_the_last_interval(void **state)
{
    (void)state;
    struct world w = world_create();
    publish_to(&w, 1, 7);
    pass(&w, INTERVAL);
    for (unsigned i = 0; i < 20; i++)
        pass(&w, INTERVAL);
    publish_to(&w, 1, 7 + 500);
    pass(&w, S);
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    world_destroy(&w);
}

static void a_level_may_fall_and_a_counter_may_not(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 2; i++) {
        struct sample *s = add(&w, SAMPLE_QUEUE, 1);
        s->counts[COUNT_PUBLISH] = i == 0 ? 1000 : 3;
        s->messages = i == 0 ? 1000 : 500;
        pass(&w, i == 0 ? INTERVAL : 0);
    }
    assert_true(rate(&w, SAMPLE_QUEUE, 1, publish) == 0.0);
    assert_near(rate(&w, SAMPLE_QUEUE, 1, messages), -100.0);
    world_destroy(&w);
}

static void columns_add_up(void **state)
{
    (void)state;
    struct world w = world_create();
    const uint64_t both = RATES_BIT(COUNT_DELIVER) | RATES_BIT(COUNT_GET);
    for (unsigned i = 0; i < 2; i++) {
        struct sample *s = add(&w, SAMPLE_QUEUE, 1);
        s->counts[COUNT_DELIVER] = 50 * i;
        s->counts[COUNT_GET] = 100 * i;
        pass(&w, i == 0 ? INTERVAL : 0);
    }
    assert_near(rate(&w, SAMPLE_QUEUE, 1, both), 30.0);
    assert_int_equal(rates_value(rates_find(w.r, SAMPLE_QUEUE, 1), both), 150);
    world_destroy(&w);
}

/* Reports come about as often as rounds, so a round may see none and the next one two. */
static void a_connection_that_reports_late_keeps_its_rate(void **state)
{
    (void)state;
    struct world w = world_create();
    const uint64_t received = RATES_BIT(COUNT_RECV_OCT);
    const uint64_t seen[] = {5000, 10000, 10000, 20000, 25000};
    for (unsigned i = 0; i < 5; i++) {
        if (i == 0 || seen[i] != seen[i - 1])
            add(&w, SAMPLE_CONNECTION, 1)->counts[COUNT_RECV_OCT] = seen[i];
        pass(&w, INTERVAL);
        if (i > 0)
            assert_near(rate(&w, SAMPLE_CONNECTION, 1, received), 1000.0);
    }
    pass(&w, INTERVAL);
    pass(&w, 0);
    assert_true(rate(&w, SAMPLE_CONNECTION, 1, received) == 0.0);
    world_destroy(&w);
}

static void a_connection_has_a_history_from_its_first_traffic_on(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 10; i++) { /* a handshake, and heartbeats */
        for (uint64_t id = 1; id <= 100; id++)
            add(&w, SAMPLE_CONNECTION, id)->counts[COUNT_RECV_OCT] = 5000 + i * 8;
        pass(&w, INTERVAL);
    }
    assert_int_equal(rates_size(w.r).histories, 0);
    add(&w, SAMPLE_CONNECTION, 7)->counts[COUNT_RECV_OCT] = 100000;
    pass(&w, INTERVAL);
    assert_int_equal(rates_size(w.r).histories, 1);
    world_destroy(&w);
}

/* ---- Histories. */

static struct rates_samples *history(const struct world *w, unsigned kind, uint64_t id, uint64_t columns,
                                     uint32_t age_s, uint32_t incr_s)
{
    struct rates_samples *to = alloc_zeroed(sizeof *to);
    rates_read(w->r, rates_find(w->r, kind, id), columns, 0, (struct rates_range){age_s, incr_s}, w->now, to);
    return to;
}

static void a_history_says_what_was_newest_first(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i <= 8; i++) {
        if (i != 5) /* which stands still */
            publish_to(&w, 1, i < 5 ? 10 * i : 10 * (i - 1));
        pass(&w, INTERVAL);
    }
    w.now -= INTERVAL;
    struct rates_samples *h = history(&w, SAMPLE_QUEUE, 1, publish, 20, 5);
    const uint64_t want[] = {70, 60, 50, 40, 40};
    assert_int_equal(h->n, 5);
    assert_int_equal(h->at_ms % INTERVAL, 0);
    assert_in_range(h->at_ms, w.now + epoch - INTERVAL, w.now + epoch);
    for (unsigned i = 0; i < h->n; i++)
        assert_int_equal(h->values[i], want[i]);
    free(h);
    world_destroy(&w);
}

/* A queue that counts seconds, for longer than the ring is. */
static void rings_keep_what_they_promise(void **state)
{
    (void)state;
    struct world w = world_create();
    const uint64_t begin = w.now;
    for (; w.now - begin <= 2 * 3600 * S;) {
        publish_to(&w, 1, (w.now - begin) / S);
        add(&w, SAMPLE_VHOST, 2)->counts[COUNT_PUBLISH] = (w.now - begin) / S;
        pass(&w, INTERVAL);
    }
    static const struct {
        enum sample_kind kind;
        uint32_t age, incr, width;
    } asked[] = {{SAMPLE_QUEUE, 600, 5, 5},      {SAMPLE_QUEUE, 540, 60, 60},     {SAMPLE_QUEUE, 3600, 60, 60},
                 {SAMPLE_VHOST, 7200, 600, 600}, {SAMPLE_VHOST, 7200, 1800, 600}, {SAMPLE_QUEUE, 1000, 10, 60}};
    for (unsigned a = 0; a < sizeof asked / sizeof asked[0]; a++) {
        struct rates_samples *h =
            history(&w, asked[a].kind, asked[a].kind == SAMPLE_QUEUE ? 1 : 2, publish, asked[a].age, asked[a].incr);
        assert_int_equal(h->n, asked[a].age / asked[a].incr + 1);
        for (unsigned i = 0; i < h->n; i++) {
            int64_t at = (int64_t)(h->at_ms - epoch - begin) / S - (int64_t)i * asked[a].incr;
            if (at < 0)
                continue;
            /* The last of its slot, of which at most a slot is left. */
            if (h->values[i] + INTERVAL / S < (uint64_t)at || h->values[i] > (uint64_t)at + asked[a].width)
                fail_msg("ring %u of %u: sample %u is %llu at %lld", asked[a].width, asked[a].age, i,
                         (unsigned long long)h->values[i], (long long)at);
        }
        free(h);
    }
    world_destroy(&w);
}

static void before_a_ring_begins_the_oldest_counts(void **state)
{
    (void)state;
    struct world w = world_create();
    for (uint64_t i = 0; i < 300; i++) {
        publish_to(&w, 1, 1000 + i);
        pass(&w, INTERVAL);
    }
    w.now -= INTERVAL;
    struct rates_samples *h = history(&w, SAMPLE_QUEUE, 1, publish, 600, 5);
    assert_int_equal(h->values[0], 1299);
    assert_int_equal(h->values[h->n - 1], 1299 - 120);
    free(h);
    h = history(&w, SAMPLE_QUEUE, 1, publish, 3600 * 2, 600); /* a queue has an hour */
    assert_in_range(h->values[h->n - 1], 0, 1000);
    free(h);
    world_destroy(&w);
}

static void a_new_object_began_with_nothing(void **state)
{
    (void)state;
    struct world w = world_create();
    pass(&w, INTERVAL);
    publish_to(&w, 1, 42);
    pass(&w, 0);
    struct rates_samples *h = history(&w, SAMPLE_QUEUE, 1, publish, 10, 5);
    const uint64_t want[] = {42, 0, 0};
    for (unsigned i = 0; i < h->n; i++)
        assert_int_equal(h->values[i], want[i]);
    free(h);
    world_destroy(&w);
}

static void what_is_not_known_stood_still(void **state)
{
    (void)state;
    struct world w = world_create();
    struct rates_samples h;
    rates_read(w.r, NULL, messages, 17, (struct rates_range){20, 5}, w.now, &h);
    assert_int_equal(h.n, 5);
    for (unsigned i = 0; i < h.n; i++)
        assert_int_equal(h.values[i], 17);
    rates_read(w.r, NULL, messages, 17, (struct rates_range){0, 0}, w.now, &h);
    assert_int_equal(h.n, 0);
    world_destroy(&w);
}

static void the_node_has_a_history_of_its_own(void **state)
{
    (void)state;
    struct world w = world_create();
    uint64_t values[RATES_COLUMNS] = {0};
    for (unsigned i = 0; i < 3; i++, w.now += INTERVAL) {
        values[RATES_DISK_FREE] = 1000000 - 5000 * i;
        values[RATES_QUEUE_DECLARED] = 10 * i;
        rates_begin(w.r, w.now);
        rates_take_node(w.r, w.now, values);
        rates_end(w.r);
    }
    w.now -= INTERVAL;
    assert_near(rate(&w, RATES_NODE, 0, RATES_BIT(RATES_DISK_FREE)), -1000.0);
    assert_near(rate(&w, RATES_NODE, 0, RATES_BIT(RATES_QUEUE_DECLARED)), 2.0);
    struct rates_samples *h = history(&w, RATES_NODE, 0, RATES_BIT(RATES_DISK_FREE), 10, 5);
    assert_int_equal(h->values[0], 990000);
    assert_int_equal(h->values[2], 1000000);
    free(h);
    world_destroy(&w);
}

/* ---- What is forgotten. */

static void what_is_gone_is_forgotten(void **state)
{
    (void)state;
    struct world w = world_create();
    publish_to(&w, 1, 5);
    pass(&w, INTERVAL);
    assert_non_null(rates_find(w.r, SAMPLE_QUEUE, 1));
    add(&w, SAMPLE_QUEUE, 1)->is_gone = true;
    add(&w, SAMPLE_QUEUE, 2)->is_gone = true; /* came and went between two rounds */
    pass(&w, INTERVAL);
    assert_null(rates_find(w.r, SAMPLE_QUEUE, 1));
    assert_null(rates_find(w.r, SAMPLE_QUEUE, 2));
    assert_int_equal(rates_size(w.r).bytes, 0);
    world_destroy(&w);
}

/* The hub reads the clock later than whoever asks it. */
static void answers_come_after_their_round_began(void **state)
{
    (void)state;
    struct world w = world_create();
    for (unsigned i = 0; i < 2; i++, w.now += INTERVAL) {
        publish_to(&w, 1, 500 * i);
        w.s->now_ms = w.now + 20;
        rates_begin(w.r, w.now);
        rates_take_samples(w.r, w.s);
        rates_end(w.r);
        w.s->n = 0;
        assert_non_null(rates_find(w.r, SAMPLE_QUEUE, 1));
    }
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    world_destroy(&w);
}

static void what_stands_still_for_an_hour_is_forgotten(void **state)
{
    (void)state;
    struct world w = world_create();
    publish_to(&w, 1, 5);
    pass(&w, INTERVAL);
    publish_to(&w, 2, 5);
    pass(&w, RATES_IDLE_MS - 2 * S);
    pass(&w, INTERVAL);
    assert_null(rates_find(w.r, SAMPLE_QUEUE, 1));
    assert_non_null(rates_find(w.r, SAMPLE_QUEUE, 2));
    /* It comes back: what it counted meanwhile is no burst. */
    publish_to(&w, 1, 1000005);
    pass(&w, 0);
    assert_true(rate(&w, SAMPLE_QUEUE, 1, publish) == 0.0);
    struct rates_samples *h = history(&w, SAMPLE_QUEUE, 1, publish, 10, 5);
    assert_int_equal(h->values[2], 1000005);
    free(h);
    world_destroy(&w);
}

/* Each has a few columns with traffic, as busy queues have. */
static void add_busy(struct world *w, uint64_t id, uint64_t n)
{
    struct sample *s = add(w, SAMPLE_QUEUE, id);
    for (unsigned i = 0; i < COUNTERS; i++)
        s->counts[i] = n;
    s->messages = s->ready = s->unacknowledged = n;
    if (w->s->n == SAMPLES_MAX) {
        w->s->now_ms = w->now;
        rates_take_samples(w->r, w->s);
        w->s->n = 0;
    }
}

static void histories_are_bounded_and_the_idle_go_first(void **state)
{
    (void)state;
    struct world w = world_create();
    add(&w, SAMPLE_BROKER, 1)->counts[COUNT_PUBLISH] = 1;
    publish_to(&w, 1, 5);
    pass(&w, INTERVAL);
    publish_to(&w, 2, 5);
    pass(&w, INTERVAL);
    assert_int_equal(rates_size(w.r).histories, 3);
    rates_begin(w.r, w.now);
    for (uint64_t id = 3; id < 3 + 3 * (uint64_t)RATES_HISTORIES_MAX; id++)
        add_busy(&w, id, 1);
    rates_take_samples(w.r, w.s);
    rates_end(w.r);
    w.s->n = 0;
    struct rates_size size = rates_size(w.r);
    assert_in_range(size.histories, 1000, RATES_HISTORIES_MAX + 1);
    assert_in_range(size.bytes, 0, RATES_HISTORY_BYTES_MAX + 3 * RATES_HISTORIES_MAX * 400 + (64 << 10));
    assert_int_equal(size.objects, 3 + 3 * RATES_HISTORIES_MAX);
    /* Those without have rates all the same, and the broker has kept its history. */
    w.now += INTERVAL;
    publish_to(&w, 1, 5 + 500);
    pass(&w, 0);
    assert_near(rate(&w, SAMPLE_QUEUE, 1, publish), 100.0);
    struct rates_samples *h = history(&w, SAMPLE_BROKER, 0, publish, 60, 5);
    assert_int_equal(h->values[0], 1);
    assert_int_equal(h->values[h->n - 1], 0);
    free(h);
    world_destroy(&w);
}

static void objects_are_bounded(void **state)
{
    (void)state;
    struct world w = world_create();
    for (uint64_t round = 0; round < 3; round++) {
        rates_begin(w.r, w.now);
        for (uint64_t id = 1; id <= RATES_OBJECTS_MAX / 2; id++) {
            publish_to(&w, round * RATES_OBJECTS_MAX + id, id);
            if (w.s->n == SAMPLES_MAX) {
                rates_take_samples(w.r, w.s);
                w.s->n = 0;
            }
        }
        rates_end(w.r);
        w.now += INTERVAL;
    }
    assert_int_equal(rates_size(w.r).objects, RATES_OBJECTS_MAX);
    assert_null(rates_find(w.r, SAMPLE_QUEUE, 1));
    assert_non_null(rates_find(w.r, SAMPLE_QUEUE, 2 * (uint64_t)RATES_OBJECTS_MAX + 1));
    world_destroy(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_flow_has_its_rate),
        cmocka_unit_test(the_time_between_samples_counts_not_the_interval),
        cmocka_unit_test(one_sample_has_no_rate),
        cmocka_unit_test(silence_brings_the_rate_down_with_the_next_round),
        cmocka_unit_test(a_stale_sample_has_no_rate),
        cmocka_unit_test(a_round_under_way_makes_no_sample_stale),
        cmocka_unit_test(after_a_pause_the_rate_is_of_the_last_interval),
        cmocka_unit_test(a_level_may_fall_and_a_counter_may_not),
        cmocka_unit_test(columns_add_up),
        cmocka_unit_test(a_connection_that_reports_late_keeps_its_rate),
        cmocka_unit_test(a_connection_has_a_history_from_its_first_traffic_on),
        cmocka_unit_test(a_history_says_what_was_newest_first),
        cmocka_unit_test(rings_keep_what_they_promise),
        cmocka_unit_test(before_a_ring_begins_the_oldest_counts),
        cmocka_unit_test(a_new_object_began_with_nothing),
        cmocka_unit_test(what_is_not_known_stood_still),
        cmocka_unit_test(the_node_has_a_history_of_its_own),
        cmocka_unit_test(what_is_gone_is_forgotten),
        cmocka_unit_test(answers_come_after_their_round_began),
        cmocka_unit_test(what_stands_still_for_an_hour_is_forgotten),
        cmocka_unit_test(histories_are_bounded_and_the_idle_go_first),
        cmocka_unit_test(objects_are_bounded),
    };
    return unit_main("rates", tests, argc, argv);
}
