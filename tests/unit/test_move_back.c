/* Moving messages to an exchange, back to where they came from, and looking at what would be moved. */
#include "tests/unit/mover.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "codec/properties.h"
#include "codec/table.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

/* ---- Looking without touching. */

/* A page: the numbers of its bodies, one after the other. */
static uint64_t look(struct pair *p, uint64_t cursor, uint32_t limit, char *numbers)
{
    struct bytes vhost = BYTES("/"), name = BYTES("a"), row;
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &vhost, &name);
    struct field f;
    i->cursor = cursor;
    i->limit = limit;
    struct command c = {.verb = INSPECT, .inspection = i, .cookie = p->w.cookie++};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    pair_serve(p);
    const struct event *e = &p->w.effects.events[p->w.effects.n - 1];
    CHECK(e->what == DONE && e->verb == INSPECT);
    i = e->done.inspection;
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        CHECK(table_check(row, TABLE_DEPTH_MAX) && table_find(row, BYTES("payload"), &f));
        *numbers++ = (char)f.bytes.at[0];
    }
    *numbers = '\0';
    cursor = i->cursor;
    world_forget(&p->w);
    return cursor;
}

TEST(who_looks_sees_all_and_leaves_no_trace)
{
    struct pair p;
    char numbers[32], more[32];
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    mover_publish(&p, "a", 0, 10);
    pair_take(&p);
    uint64_t next = look(&p, 0, 3, numbers);
    assert_string_equal(numbers, "012");
    for (size_t n = 3; next != 0; n += strlen(more)) {
        next = look(&p, next, 4, more);
        CHECK(n + strlen(more) < sizeof numbers);
        memcpy(numbers + n, more, strlen(more) + 1);
    }
    assert_string_equal(numbers, "0123456789");
    assert_int_equal(p.w.effects.records.n, 0);
    world_consume(&p.w, 1, "a", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 0; i < 10; i++)
        world_expect_delivery(&p.w, 0, (const char[]){(char)('0' + i), '\0'}, false);
    pair_fini(&p);
}

TEST(a_broker_may_end_while_somebody_looks)
{
    struct pair p;
    struct bytes vhost = BYTES("/"), name = BYTES("a");
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    mover_publish(&p, "a", 0, 10);
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &vhost, &name);
    i->cursor = 9;
    struct command c = {.verb = INSPECT, .inspection = i};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p.w.broker, &p.w.now, &c, 1, &p.w.effects);
    pair_take(&p);
    world_fini(&p.w);
    keepsake_fini(&p.k);
}

/* ---- To an exchange. */

TEST(to_an_exchange_every_message_goes_with_its_own_key_or_with_that_one)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "c", plain);
    world_bind(&p.w, "a", "amq.fanout", "");
    world_bind(&p.w, "b", "amq.direct", "one");
    world_bind(&p.w, "c", "amq.direct", "two");
    mover_publish_to(&p, "amq.fanout", "one", 0);
    mover_publish_to(&p, "amq.fanout", "one", 1);
    const struct move what = {.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.direct")};
    struct move once = what;
    once.limit = 1;
    move_destroy(mover_do(&p, mover_ask(once)));
    once.key = BYTES("two");
    move_destroy(mover_do(&p, mover_ask(once)));
    mover_expect_numbers(&p, "b", 0, 1);
    mover_expect_numbers(&p, "c", 1, 2);
    pair_fini(&p);
}

TEST(where_nothing_would_arrive_nothing_goes)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    mover_publish(&p, "a", 0, 2);
    struct mover_sum s =
        mover_do_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.direct")});
    assert_int_equal(s.moved, 0);
    assert_string_equal(s.stopped, "exchange 'amq.direct' in vhost '/' routes a message with routing key 'a' nowhere");
    free(s.stopped);
    assert_int_equal(mover_count(&p, "a"), 2);
    pair_fini(&p);
}

TEST(one_full_queue_of_several_keeps_the_message_out_of_all)
{
    struct pair p;
    struct queue_options full = plain;
    mover_begin(&p);
    full.max_length = 0;
    full.overflow = OVERFLOW_REJECT_PUBLISH;
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "full", full);
    world_bind(&p.w, "b", "amq.fanout", "");
    world_bind(&p.w, "full", "amq.fanout", "");
    mover_publish(&p, "a", 0, 1);
    struct mover_sum s =
        mover_do_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.fanout")});
    assert_int_equal(s.moved, 0);
    free(s.stopped);
    assert_int_equal(mover_count(&p, "b"), 0);
    assert_int_equal(mover_count(&p, "a"), 1);
    pair_fini(&p);
}

TEST(what_comes_back_at_once_is_moved_once)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    world_bind(&p.w, "a", "amq.fanout", "");
    mover_publish(&p, "a", 0, 10);
    struct mover_sum s =
        mover_do_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.fanout")});
    assert_int_equal(s.moved, 10);
    assert_null(s.stopped);
    mover_expect_numbers(&p, "a", 0, 10);
    pair_fini(&p);
}

/* ---- Back to where it came from. */

#define REDRIVE                                                                                                        \
    (struct move)                                                                                                      \
    {                                                                                                                  \
        .to = MOVE_TO_ORIGIN, .queue = BYTES("dead")                                                                   \
    }

/* Number i has died in the i-th of two queues. */
static void bury_two(struct pair *p)
{
    pair_queue(p, "dead", plain);
    pair_queue(p, "work", mover_dying("dead"));
    pair_queue(p, "play", mover_dying("dead"));
    world_bind(&p->w, "work", "amq.direct", "w");
    world_bind(&p->w, "play", "amq.direct", "p");
    mover_publish_to(p, "amq.direct", "w", 0);
    mover_publish_to(p, "amq.direct", "p", 1);
    mover_reject(p, "work");
    mover_reject(p, "play");
    assert_int_equal(mover_count(p, "dead"), 2);
}

TEST(each_goes_back_to_the_queue_that_it_died_in_as_it_was)
{
    struct pair p;
    mover_begin(&p);
    bury_two(&p);
    struct mover_sum s = mover_do_all(&p, REDRIVE);
    assert_int_equal(s.moved, 2);
    assert_int_equal(s.kept, 0);
    struct message *m = world_get(&p.w, "work");
    assert_true(bytes_equal(message_exchange(m), BYTES("amq.direct")));
    assert_true(bytes_equal(message_key(m), BYTES("w")));
    message_unref(m);
    mover_expect_numbers(&p, "play", 1, 2);
    pair_fini(&p);
}

static bool has_header(const struct message *m, const char *name)
{
    struct properties props;
    struct field f;
    assert_true(properties_decode(message_properties(m), &props));
    return table_find(props.headers, bytes_of_string(name), &f);
}

TEST(its_history_stays_or_goes)
{
    struct pair p;
    mover_begin(&p);
    bury_two(&p);
    struct move once = REDRIVE;
    once.limit = 1;
    move_destroy(mover_do(&p, mover_ask(once)));
    once.drops_history = true;
    move_destroy(mover_do(&p, mover_ask(once)));
    struct message *kept = world_get(&p.w, "work"), *stripped = world_get(&p.w, "play");
    assert_true(has_header(kept, "x-death") && has_header(kept, "x-first-death-queue"));
    assert_false(has_header(stripped, "x-death") || has_header(stripped, "x-first-death-queue") ||
                 has_header(stripped, "x-last-death-queue"));
    message_unref(kept);
    message_unref(stripped);
    pair_fini(&p);
}

TEST(what_has_no_history_or_no_such_queue_stays_and_is_counted)
{
    struct pair p;
    mover_begin(&p);
    bury_two(&p);
    mover_publish(&p, "dead", 7, 17); /* of unknown origin, some of them cold */
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("play")})},
             0, 0);
    mover_publish_to(&p, "amq.direct", "w", 2);
    mover_reject(&p, "work");
    struct mover_sum s = mover_do_all(&p, REDRIVE);
    assert_int_equal(s.moved, 2);
    assert_int_equal(s.kept, 11);
    assert_null(s.stopped);
    assert_int_equal(mover_count(&p, "work"), 2);
    assert_int_equal(mover_count(&p, "dead"), 11);
    pair_fini(&p);
}

TEST(by_exchange_it_is_published_again_as_it_was)
{
    struct pair p;
    mover_begin(&p);
    bury_two(&p);
    pair_queue(&p, "copy", plain);
    world_bind(&p.w, "copy", "amq.direct", "w");
    struct move what = REDRIVE;
    what.to = MOVE_TO_ORIGIN_EXCHANGE;
    struct mover_sum s = mover_do_all(&p, what);
    assert_int_equal(s.moved, 2);
    mover_expect_numbers(&p, "copy", 0, 1);
    mover_expect_numbers(&p, "work", 0, 1);
    mover_expect_numbers(&p, "play", 1, 2);
    pair_fini(&p);
}

/* Rejected by its own queue's consumer again and again, it may still expire, and is no cycle. */
TEST(what_was_moved_may_die_there_again)
{
    struct pair p;
    struct queue_options brief = mover_dying("dead");
    brief.message_ttl_ms = 50;
    mover_begin(&p);
    pair_queue(&p, "dead", plain);
    pair_queue(&p, "work", brief);
    mover_publish(&p, "work", 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        world_wait(&p.w, 100);
        world_forget(&p.w);
        assert_int_equal(mover_count(&p, "dead"), 1);
        assert_int_equal(mover_do_all(&p, REDRIVE).moved, 1);
    }
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_looks_sees_all_and_leaves_no_trace),
        cmocka_unit_test(a_broker_may_end_while_somebody_looks),
        cmocka_unit_test(to_an_exchange_every_message_goes_with_its_own_key_or_with_that_one),
        cmocka_unit_test(where_nothing_would_arrive_nothing_goes),
        cmocka_unit_test(one_full_queue_of_several_keeps_the_message_out_of_all),
        cmocka_unit_test(what_comes_back_at_once_is_moved_once),
        cmocka_unit_test(each_goes_back_to_the_queue_that_it_died_in_as_it_was),
        cmocka_unit_test(its_history_stays_or_goes),
        cmocka_unit_test(what_has_no_history_or_no_such_queue_stays_and_is_counted),
        cmocka_unit_test(by_exchange_it_is_published_again_as_it_was),
        cmocka_unit_test(what_was_moved_may_die_there_again),
    };
    return unit_main("move_back", tests, argc, argv);
}
