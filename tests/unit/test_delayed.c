#include "broker/model/delayed.h"
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/check.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

static void declare(struct pair *p)
{
    uint8_t room[64];
    struct pen arguments = pen_over(room, sizeof room);
    table_put_string(&arguments, BYTES("x-delayed-type"), BYTES("fanout"));
    struct spec *s = spec_create(&(struct spec){
        .name = BYTES("d"), .type = BYTES("x-delayed-message"), .durable = true, .arguments = pen_written(&arguments)});
    world_do(&p->w, (struct command){.verb = DECLARE_EXCHANGE, .spec = s}, 0, 0);
}

/* An exchange d that delays and is a fanout, durable, with a queue q, and a naive store.  q is number 1; what waits at
 * d is in number 2, as soon as there is anything.  window_messages: of the hidden queue, too; 0: nothing stays in
 * memory. */
static void begin(struct pair *p, uint32_t window_messages)
{
    const struct broker_config config = {.memory_high = UINT64_MAX,
                                         .records = true,
                                         .window_bytes = window_messages > 0 ? 0 : 1,
                                         .window_messages = window_messages > 0 ? window_messages : 1024};
    pair_init(p, &config);
    world_queue(&p->w, 0, "q", &(struct spec){.durable = true, .options = QUEUE_OPTIONS_NONE});
    declare(p);
    world_bind(&p->w, "q", "d", "");
    pair_take(p);
    world_forget(&p->w);
}

/* The store answers all loads; answers how many. */
static unsigned serve(struct pair *p)
{
    unsigned n = 0;
    for (; pair_serve_one(p); n++)
        world_wait(&p->w, 0);
    return n;
}

static void restart(struct pair *p, uint64_t down_ms)
{
    pair_crash(p);
    p->w.now.ms = 5; /* a clock that has begun anew */
    p->w.now.wall_ms += down_ms;
    world_attach(&p->w, 0);
    world_forget(&p->w);
}

static void publish_as(struct pair *p, unsigned number, int64_t delay_ms, uint8_t flags)
{
    uint8_t table[64], properties[128];
    char body[16];
    struct pen headers = pen_over(table, sizeof table), out = pen_over(properties, sizeof properties);
    table_put_i64(&headers, BYTES("x-delay"), delay_ms);
    properties_encode(&out, &(struct properties){.flags = PROPERTY_headers, .headers = pen_written(&headers)});
    snprintf(body, sizeof body, "%u", number);
    struct message *m = message_create(&(struct message_spec){.exchange = BYTES("d"),
                                                              .routing_key = BYTES("k"),
                                                              .properties = pen_written(&out),
                                                              .body_size = strlen(body),
                                                              .flags = MESSAGE_HAS_HEADERS | flags,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of_string(body));
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .confirm = true}}, 0, 0);
}

/* Persistent or not: that must not matter. */
static void publish(struct pair *p, unsigned number, int64_t delay_ms)
{
    publish_as(p, number, delay_ms, 0);
}

static unsigned got(struct pair *p)
{
    struct message *m = world_get(&p->w, "q");
    CHECK(m != NULL);
    unsigned number = pair_number(m);
    message_unref(m);
    return number;
}

static uint64_t delayed(const struct pair *p)
{
    return broker_totals(p->w.broker).messages_delayed;
}

/* ---- What is recorded. */

TEST(what_waits_is_recorded_and_when_it_is_due_it_moves_in_one_record)
{
    struct pair p;
    begin(&p, 4);
    publish(&p, 1, 100);
    pair_expect_records(&p, "define queue 2, publish 2:0 ttl 100");
    publish(&p, 2, 100);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].what, CONFIRMED);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].after, 6); /* transient as it is, it waits for its record */
    pair_expect_records(&p, "publish 2:1 ttl 100");
    assert_int_equal(delayed(&p), 2);
    assert_int_equal(broker_totals(p.w.broker).queues, 1);
    world_wait(&p.w, 99);
    pair_expect_records(&p, "");
    world_wait(&p.w, 1);
    /* q does not keep what is transient. */
    pair_expect_records(&p, "settle 2:0, settle 2:1");
    assert_int_equal(delayed(&p), 0);
    assert_int_equal(got(&p), 1);
    assert_int_equal(got(&p), 2);
    pair_fini(&p);
}

TEST(what_is_not_in_memory_is_loaded_when_it_is_due)
{
    struct pair p;
    begin(&p, 0);
    publish(&p, 0, 1);
    uint64_t before = broker_totals(p.w.broker).message_bytes;
    for (unsigned i = 1; i < 100; i++)
        publish(&p, i, 100);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, before);
    world_wait(&p.w, 200);
    unsigned loads = serve(&p);
    assert_in_range(loads, 1, 2);
    for (unsigned i = 0; i < 100; i++) {
        serve(&p);
        assert_int_equal(got(&p), i);
    }
    assert_int_equal(keepsake_count(&p.k, 2), 0);
    pair_fini(&p);
}

/* Whatever the order in which they fall due, and however little a load may bring. */
TEST(order_is_by_time_though_loads_are_by_position)
{
    enum { ALL = 60 };
    for (uint32_t bytes = 1; bytes < 1024; bytes *= 4) {
        struct pair p;
        begin(&p, 0);
        world_fini(&p.w);
        keepsake_fini(&p.k);
        begin(&p, 0);
        p.config.window_queue_bytes = bytes;
        restart(&p, 0);
        for (unsigned i = 0; i < ALL; i++)
            publish(&p, i, 1 + (int64_t)(i * 37 % ALL));
        world_wait(&p.w, 1000);
        serve(&p);
        for (unsigned i = 0; i < ALL; i++) {
            serve(&p);
            assert_int_equal(got(&p) * 37 % ALL, i);
        }
        assert_int_equal(delayed(&p), 0);
        pair_fini(&p);
    }
}

TEST(a_message_that_cannot_be_read_does_not_hold_up_others)
{
    struct pair p;
    begin(&p, 0);
    for (unsigned i = 0; i < 3; i++)
        publish(&p, i, 100);
    pair_take(&p);
    keepsake_lose(&p.k, 2, 1);
    world_wait(&p.w, 100);
    serve(&p);
    assert_int_equal(got(&p), 0);
    serve(&p);
    assert_int_equal(got(&p), 2);
    assert_int_equal(delayed(&p), 0);
    pair_fini(&p);
}

/* ---- A restart. */

TEST(after_a_restart_what_is_overdue_comes_at_once_and_the_rest_in_its_time)
{
    struct pair p;
    begin(&p, 4);
    publish(&p, 1, 61000);
    publish(&p, 2, 50000);
    publish(&p, 3, 40000);
    restart(&p, 60000);
    assert_int_equal(delayed(&p), 3);
    serve(&p);
    assert_int_equal(delayed(&p), 1);
    assert_int_equal(got(&p), 3);
    assert_int_equal(got(&p), 2);
    world_wait(&p.w, 999);
    assert_null(world_get(&p.w, "q"));
    world_wait(&p.w, 1);
    serve(&p);
    assert_int_equal(got(&p), 1);
    pair_fini(&p);
}

TEST(what_is_published_while_the_queue_is_swept_keeps_its_place)
{
    struct pair p;
    begin(&p, 0);
    p.config.window_messages = 8;
    for (unsigned i = 0; i < 50; i++)
        publish(&p, i, 1000 + i);
    restart(&p, 100);
    publish(&p, 100, 890); /* overtakes those that were there */
    publish(&p, 101, 5000);
    publish(&p, 102, 900); /* due together with number 0, and published later */
    world_wait(&p.w, 949);
    assert_int_equal(delayed(&p), 53);
    assert_in_range(serve(&p), 7, 30);
    static const unsigned first[] = {100, 0, 102, 1};
    for (unsigned i = 0; i < 4; i++) {
        serve(&p);
        assert_int_equal(got(&p), first[i]);
    }
    for (unsigned i = 2; i < 50; i++) {
        serve(&p);
        assert_int_equal(got(&p), i);
    }
    assert_int_equal(delayed(&p), 1);
    world_wait(&p.w, 5000);
    serve(&p);
    assert_int_equal(got(&p), 101);
    assert_int_equal(keepsake_count(&p.k, 2), 0);
    pair_fini(&p);
}

TEST(what_was_settled_does_not_come_again_after_a_restart)
{
    struct pair p;
    begin(&p, 4);
    publish(&p, 1, 100);
    publish(&p, 2, 200);
    world_wait(&p.w, 100);
    assert_int_equal(got(&p), 1);
    restart(&p, 1000);
    serve(&p);
    assert_int_equal(got(&p), 2);
    assert_null(world_get(&p.w, "q"));
    restart(&p, 1000);
    serve(&p);
    assert_null(world_get(&p.w, "q"));
    publish(&p, 3, 100); /* the queue is still the exchange's own */
    world_wait(&p.w, 100);
    serve(&p);
    assert_int_equal(got(&p), 3);
    pair_fini(&p);
}

TEST(an_exchange_that_is_deleted_leaves_nothing)
{
    struct pair p;
    begin(&p, 2);
    for (unsigned i = 0; i < 5; i++)
        publish(&p, i, 100);
    pair_take(&p);
    world_wait(&p.w, 100); /* what is not in memory is asked for */
    struct spec *s = spec_create(&(struct spec){.name = BYTES("d")});
    world_do(&p.w, (struct command){.verb = DELETE_EXCHANGE, .spec = s}, 0, 0);
    serve(&p);
    assert_int_equal(delayed(&p), 0);
    assert_int_equal(keepsake_queue(&p.k, "amq.delayed.2"), 0);
    restart(&p, 0);
    assert_int_equal(delayed(&p), 0);
    pair_fini(&p);
}

/* ---- Listing, cancelling. */

static struct inspection *list(struct pair *p, struct inspection *i)
{
    if (i == NULL)
        i = inspection_create(INSPECT_DELAYED, &BYTES("/"), &BYTES("d"));
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = INSPECT, .inspection = i}, 0, 0);
    serve(p);
    struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == DONE);
    i = e->done.inspection;
    e->done.inspection = NULL;
    return i;
}

static int64_t number_in(struct bytes row, const char *key)
{
    struct field f;
    CHECK(table_find(row, bytes_of_string(key), &f) && f.type == 'l');
    return f.integer;
}

static void lists_all(uint32_t window_messages)
{
    enum { ALL = 1000 };
    struct pair p;
    struct bytes row;
    unsigned n = 0;
    begin(&p, window_messages);
    for (unsigned i = 0; i < ALL; i++)
        publish(&p, i, 5000 - i);
    struct inspection *i = NULL;
    do {
        i = list(&p, i);
        assert_in_range(i->n, 1, INSPECTION_ROWS_MAX);
        for (size_t at = 0; inspection_next(i, &at, &row); n++) {
            assert_int_equal(number_in(row, "id"), n);
            assert_int_equal(number_in(row, "due_at"), p.w.now.wall_ms + 5000 - n);
            assert_int_equal(number_in(row, "bytes"), n < 10 ? 1 : n < 100 ? 2 : 3);
            assert_true(bytes_equal(table_find_string(row, "exchange"), BYTES("d")));
            assert_true(bytes_equal(table_find_string(row, "routing_key"), BYTES("k")));
        }
    } while (i->cursor != 0);
    inspection_destroy(i);
    assert_int_equal(n, ALL);
    pair_fini(&p);
}

TEST(what_waits_is_listed_page_by_page)
{
    lists_all(0);
    lists_all(2000);
}

static enum change_outcome cancel(struct pair *p, uint64_t id)
{
    struct changes *c = changes_create();
    struct spec s = {.vhost = BYTES("/"), .name = BYTES("d"), .serial = id};
    changes_add(c, CHANGE_CANCEL, DEFINE_EXCHANGE, spec_create(&s));
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = ALTER, .changes = c}, 0, 0);
    struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == DONE);
    return e->done.changes->at[0].outcome;
}

TEST(what_is_cancelled_does_not_come)
{
    for (uint32_t window = 0; window <= 8; window += 8) {
        struct pair p;
        begin(&p, window);
        for (unsigned i = 0; i < 4; i++)
            publish(&p, i, 100);
        pair_take(&p);
        assert_int_equal(cancel(&p, 1), CHANGE_REMOVED);
        pair_expect_records(&p, "tx settle 2:1, commit");
        assert_int_equal(cancel(&p, 1), CHANGE_NOTHING);
        assert_int_equal(cancel(&p, 4), CHANGE_NOTHING);
        assert_int_equal(delayed(&p), 3);
        world_wait(&p.w, 100); /* those that are not in memory are under way */
        if (window == 0) {
            assert_int_equal(cancel(&p, 2), CHANGE_REMOVED);
            assert_int_equal(cancel(&p, 0), CHANGE_NOTHING); /* the first was in memory, and is there */
        }
        serve(&p);
        assert_int_equal(got(&p), 0);
        if (window > 0)
            assert_int_equal(got(&p), 2);
        assert_int_equal(got(&p), 3);
        assert_null(world_get(&p.w, "q"));
        restart(&p, 0);
        serve(&p);
        assert_null(world_get(&p.w, "q"));
        pair_fini(&p);
    }
}

TEST(what_is_not_known_yet_cannot_be_cancelled)
{
    struct pair p;
    begin(&p, 0);
    publish(&p, 1, 1000);
    publish(&p, 2, 1000);
    restart(&p, 0);
    publish(&p, 3, 1000);
    assert_int_equal(cancel(&p, 0), CHANGE_SKIPPED);
    assert_int_equal(cancel(&p, 2), CHANGE_REMOVED);
    serve(&p);
    assert_int_equal(cancel(&p, 0), CHANGE_REMOVED);
    assert_int_equal(delayed(&p), 1);
    world_wait(&p.w, 1000);
    serve(&p);
    assert_int_equal(got(&p), 2);
    assert_null(world_get(&p.w, "q"));
    pair_fini(&p);
}

TEST(a_list_under_way_is_answered_when_its_exchange_goes)
{
    struct pair p;
    begin(&p, 0);
    publish(&p, 1, 1000);
    pair_take(&p);
    world_forget(&p.w);
    struct inspection *i = inspection_create(INSPECT_DELAYED, &BYTES("/"), &BYTES("d"));
    world_do(&p.w, (struct command){.verb = INSPECT, .inspection = i}, 0, 0);
    world_expect_nothing(&p.w);
    struct spec *s = spec_create(&(struct spec){.name = BYTES("d")});
    world_do(&p.w, (struct command){.verb = DELETE_EXCHANGE, .spec = s}, 0, 0);
    struct event *e = world_next(&p.w);
    assert_int_equal(e->verb, INSPECT);
    assert_int_equal(e->done.inspection->n, 0);
    assert_int_equal(world_next(&p.w)->verb, DELETE_EXCHANGE);
    pair_fini(&p);
}

TEST(ten_years_are_not_too_long)
{
    struct pair p;
    begin(&p, 4);
    publish(&p, 1, (int64_t)DELAYED_MAX_MS);
    publish(&p, 2, (int64_t)DELAYED_MAX_MS + 1);
    assert_int_equal(got(&p), 2);
    world_wait(&p.w, DELAYED_MAX_MS - 1);
    assert_null(world_get(&p.w, "q"));
    world_wait(&p.w, 1);
    serve(&p);
    assert_int_equal(got(&p), 1);
    pair_fini(&p);
}

/* ---- All of it at once. */

enum { ALL = 400 };

/* What is to become of each message: by the wall clock. */
struct account {
    uint64_t due[ALL];
    bool is_cancelled[ALL];
    unsigned n;
};

static void drain(struct pair *p, const struct account *a)
{
    unsigned expected = 0, before = 0;
    for (unsigned i = 0; i < a->n; i++)
        expected += !a->is_cancelled[i];
    for (unsigned n = 0; n < expected; n++) {
        serve(p);
        unsigned number = got(p);
        assert_in_range(number, 0, a->n - 1);
        assert_false(a->is_cancelled[number]);
        if (n > 0) /* by time, and of the same time by number */
            assert_true(a->due[before] < a->due[number] || (a->due[before] == a->due[number] && before < number));
        before = number;
    }
    assert_null(world_get(&p->w, "q"));
    assert_int_equal(delayed(p), 0);
}

static void cancel_any(struct pair *p, struct account *a, uint64_t id)
{
    enum change_outcome outcome = cancel(p, id);
    if (outcome == CHANGE_REMOVED) {
        assert_in_range(id, 0, a->n - 1);
        assert_false(a->is_cancelled[id]);
        a->is_cancelled[id] = true;
    } else if (outcome == CHANGE_NOTHING) { /* it is there already, or has gone */
        assert_true(id >= a->n || a->is_cancelled[id] || a->due[id] <= p->w.now.wall_ms);
    }
}

/* Publishes, cancels, waits, restarts, with loads that come late; nothing is lost, nothing comes twice, all in order.
 */
static void run(uint64_t random, uint32_t window_messages, uint32_t window_bytes)
{
    struct pair p;
    struct account a = {0};
    begin(&p, window_messages);
    p.config.window_queue_bytes = window_bytes;
    restart(&p, 0);
    for (unsigned step = 0; step < 3 * ALL; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        unsigned what = (unsigned)(random >> 59), how_long = (unsigned)(random >> 32) % 300;
        if (what < 14 && a.n < ALL) {
            a.due[a.n] = p.w.now.wall_ms + how_long + 1;
            publish_as(&p, a.n++, how_long + 1, MESSAGE_PERSISTENT);
        } else if (what < 20) {
            world_wait(&p.w, how_long / 10);
        } else if (what < 22) {
            cancel_any(&p, &a, (random >> 40) % (a.n + 2));
        } else if (what == 22 && step % 4 == 0) {
            restart(&p, how_long);
        } else if (what < 27) {
            serve(&p);
        }
        pair_take(&p); /* records of one instant at a time */
    }
    world_forget(&p.w);
    world_wait(&p.w, 1000);
    drain(&p, &a);
    assert_int_equal(keepsake_count(&p.k, 2), 0);
    pair_fini(&p);
}

TEST(nothing_is_lost_and_nothing_comes_twice)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(seed, 0, 0);
        run(seed, 8, 0);
        run(seed, 8, 2000);
        run(seed, 64, 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_recorded_and_when_it_is_due_it_moves_in_one_record),
        cmocka_unit_test(what_is_not_in_memory_is_loaded_when_it_is_due),
        cmocka_unit_test(order_is_by_time_though_loads_are_by_position),
        cmocka_unit_test(a_message_that_cannot_be_read_does_not_hold_up_others),
        cmocka_unit_test(after_a_restart_what_is_overdue_comes_at_once_and_the_rest_in_its_time),
        cmocka_unit_test(what_is_published_while_the_queue_is_swept_keeps_its_place),
        cmocka_unit_test(what_was_settled_does_not_come_again_after_a_restart),
        cmocka_unit_test(an_exchange_that_is_deleted_leaves_nothing),
        cmocka_unit_test(what_waits_is_listed_page_by_page),
        cmocka_unit_test(what_is_cancelled_does_not_come),
        cmocka_unit_test(what_is_not_known_yet_cannot_be_cancelled),
        cmocka_unit_test(a_list_under_way_is_answered_when_its_exchange_goes),
        cmocka_unit_test(ten_years_are_not_too_long),
        cmocka_unit_test(nothing_is_lost_and_nothing_comes_twice),
    };
    return unit_main("delayed", tests, argc, argv);
}
