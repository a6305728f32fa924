#include "tests/unit/mover.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "broker/port/message.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

/* ---- Moving to a queue. */

TEST(all_that_is_ready_moves_in_order)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 3);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 3);
    assert_null(s.stopped);
    assert_int_equal(mover_count(&p, "a"), 0);
    mover_expect_numbers(&p, "b", 0, 3);
    pair_fini(&p);
}

TEST(a_message_moves_by_one_record)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 2);
    pair_take(&p);
    move_destroy(mover_do(&p, mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")})));
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "publish 2:0 for 1:0, publish 2:1 for 1:1");
    free(text);
    pair_fini(&p);
}

TEST(the_answer_waits_until_it_is_durable)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 1);
    pair_take(&p);
    const struct event *e =
        mover_say(&p, mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->after, p.w.effects.records.last);
    pair_fini(&p);
}

TEST(a_command_moves_no_more_than_its_limit_and_goes_on_where_it_was)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 3);
    struct move *m =
        mover_do(&p, mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b"), .limit = 2}));
    assert_int_equal(m->moved, 2);
    assert_false(m->is_over);
    m->limit = 0;
    m = mover_do(&p, m);
    assert_int_equal(m->moved, 1);
    assert_true(m->is_over);
    move_destroy(m);
    pair_fini(&p);
}

TEST(more_than_a_command_moves_takes_several)
{
    enum { ALL = 2 * MOVES_MAX + 1 };
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, ALL);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, ALL);
    assert_in_range(s.commands, 3, MOVER_PLENTY - 1);
    mover_expect_numbers(&p, "b", 0, ALL);
    pair_fini(&p);
}

TEST(what_is_cold_is_waited_for)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 20);
    pair_take(&p);
    struct move *m =
        mover_do(&p, mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(m->moved, PAIR_WINDOW);
    assert_true(m->is_waiting);
    assert_false(m->is_over);
    move_destroy(m);
    pair_serve(&p);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 20 - PAIR_WINDOW);
    mover_expect_numbers(&p, "b", 0, 20);
    pair_fini(&p);
}

TEST(what_was_given_back_moves_in_its_place)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 4);
    ticket first = mover_fetch(&p, "a"), second = mover_fetch(&p, "a");
    world_settle(&p.w, 0, second, REQUEUED);
    world_settle(&p.w, 0, first, REQUEUED);
    world_forget(&p.w);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 4);
    world_consume(&p.w, 1, "b", 0, 0, true);
    for (unsigned i = 0; i < 4; i++) /* nobody has had them yet */
        world_expect_delivery(&p.w, 0, (const char *[]){"0", "1", "2", "3"}[i], false);
    pair_fini(&p);
}

TEST(what_is_out_stays)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 2);
    ticket t = mover_fetch(&p, "a");
    world_forget(&p.w);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 1);
    world_settle(&p.w, 0, t, REQUEUED);
    assert_int_equal(mover_count(&p, "a"), 1);
    pair_fini(&p);
}

TEST(a_full_queue_stops_it_and_nothing_is_lost)
{
    struct pair p;
    struct queue_options full = plain;
    mover_begin(&p);
    full.max_length = 2;
    for (int overflow = OVERFLOW_DROP_HEAD; overflow <= OVERFLOW_REJECT_PUBLISH_DLX; overflow++) {
        static const char *const names[] = {"b", "c", "d"};
        full.overflow = (enum overflow)overflow;
        pair_queue(&p, "a", plain);
        pair_queue(&p, names[overflow], full);
        mover_publish(&p, "a", 0, 3);
        struct mover_sum s = mover_do_all(
            &p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = bytes_of_string(names[overflow])});
        assert_int_equal(s.moved, 2);
        assert_non_null(strstr(s.stopped, "has no room for more"));
        free(s.stopped);
        mover_expect_numbers(&p, names[overflow], 0, 2);
        mover_expect_numbers(&p, "a", 2, 3);
    }
    pair_fini(&p);
}

TEST(what_is_overdue_dies_and_does_not_move)
{
    struct pair p;
    struct queue_options brief = mover_dying("dead");
    brief.message_ttl_ms = 50;
    mover_begin(&p);
    pair_queue(&p, "a", brief);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "dead", plain);
    mover_publish(&p, "a", 0, 2);
    p.w.now.ms += 50; /* nothing has been done about it yet */
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 0);
    mover_expect_numbers(&p, "dead", 0, 2);
    pair_fini(&p);
}

TEST(a_consumer_there_gets_it_at_once)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 2);
    world_consume(&p.w, 1, "b", 0, 1, false);
    world_forget(&p.w);
    struct event *e =
        mover_say(&p, mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(e->what, DONE);
    world_expect_delivery(&p.w, 0, "0", false);
    assert_int_equal(mover_count(&p, "b"), 1);
    pair_fini(&p);
}

TEST(what_cannot_be_is_refused)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    world_queue(&p.w, 0, "mine", &(struct spec){.exclusive = true, .options = plain});
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("none"), .key = BYTES("a")},
                         NO_SUCH_QUEUE);
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("none")},
                         NO_SUCH_QUEUE);
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("a")}, BAD_ARGUMENT);
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("mine"), .key = BYTES("a")}, LOCKED);
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("none")},
                         NO_SUCH_EXCHANGE);
    pair_fini(&p);
}

TEST(of_a_priority_queue_they_go_in_the_order_in_which_they_came)
{
    struct pair p;
    struct queue_options o = plain;
    mover_begin(&p);
    o.max_priority = 3;
    pair_queue(&p, "a", o);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "c", o);
    for (uint8_t i = 0; i < 3; i++)
        mover_publish_with(&p, "", "a", i, i);
    mover_publish(&p, "a", 3, 4);
    assert_int_equal(mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}).moved,
                     4);
    assert_int_equal(
        mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("b"), .key = BYTES("c"), .end = 4}).moved,
        4);
    world_consume(&p.w, 1, "c", 0, 0, true);
    const char *const order[] = {"2", "1", "0", "3"}; /* and there by their priorities again */
    for (unsigned i = 0; i < 4; i++)
        world_expect_delivery(&p.w, 0, order[i], false);
    pair_fini(&p);
}

TEST(into_a_stream_they_go_and_out_of_it_they_do_not)
{
    struct pair p;
    struct queue_options o = plain;
    mover_begin(&p);
    o.type = QUEUE_STREAM;
    pair_queue(&p, "a", plain);
    pair_queue(&p, "s", o);
    mover_publish(&p, "a", 0, 3);
    assert_int_equal(mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("s")}).moved,
                     3);
    assert_int_equal(mover_count(&p, "s"), 3);
    assert_int_equal(mover_count(&p, "a"), 0);
    mover_expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("s"), .key = BYTES("a")}, BAD_ARGUMENT);
    pair_fini(&p);
}

TEST(one_message_is_deleted_by_its_position)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    mover_publish(&p, "a", 0, 10);
    for (uint64_t position = 8; position > 6; position--) { /* they are cold */
        struct mover_sum s = mover_do_all(
            &p, (struct move){.to = MOVE_TO_NOTHING, .queue = BYTES("a"), .position = position, .end = position + 1});
        assert_int_equal(s.moved, 1);
        assert_int_equal(s.kept, 0);
    }
    mover_restart(&p);
    pair_serve(&p);
    assert_int_equal(mover_count(&p, "a"), 8);
    const unsigned left[] = {0, 1, 2, 3, 4, 5, 6, 9};
    for (unsigned i = 0; i < 8; i++, pair_serve(&p)) {
        struct message *m = world_get(&p.w, "a");
        assert_int_equal(message_body(m, 0).at[0], '0' + left[i]);
        message_unref(m);
        world_forget(&p.w);
    }
    pair_fini(&p);
}

TEST(an_alarm_stops_it)
{
    struct pair p;
    mover_begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    mover_publish(&p, "a", 0, 2);
    broker_set_alarm(p.w.broker, ALARM_DISK, true);
    struct mover_sum s = mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 0);
    assert_non_null(strstr(s.stopped, "alarm"));
    free(s.stopped);
    pair_fini(&p);
}

/* ---- The broker ends in the middle of it. */

TEST(after_a_crash_every_message_is_in_one_queue)
{
    enum { ALL = 3 * MOVES_MAX };
    for (unsigned commands = 0; commands < 5; commands++) {
        struct pair p;
        mover_begin(&p);
        pair_queue(&p, "a", plain);
        pair_queue(&p, "b", plain);
        mover_publish(&p, "a", 0, ALL);
        struct move *m = mover_ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
        for (unsigned i = 0; i < commands; i++, pair_serve(&p))
            m = mover_do(&p, m);
        move_destroy(m);
        mover_restart(&p);
        struct broker_totals t = broker_totals(p.w.broker);
        assert_int_equal(t.messages_ready, ALL);
        struct mover_sum s =
            mover_do_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
        assert_int_equal(keepsake_count(&p.k, keepsake_queue(&p.k, "b")), ALL);
        assert_int_equal(keepsake_count(&p.k, keepsake_queue(&p.k, "a")), 0);
        assert_in_range(s.moved, 0, ALL);
        pair_fini(&p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_ready_moves_in_order),
        cmocka_unit_test(a_message_moves_by_one_record),
        cmocka_unit_test(the_answer_waits_until_it_is_durable),
        cmocka_unit_test(a_command_moves_no_more_than_its_limit_and_goes_on_where_it_was),
        cmocka_unit_test(more_than_a_command_moves_takes_several),
        cmocka_unit_test(what_is_cold_is_waited_for),
        cmocka_unit_test(what_was_given_back_moves_in_its_place),
        cmocka_unit_test(what_is_out_stays),
        cmocka_unit_test(a_full_queue_stops_it_and_nothing_is_lost),
        cmocka_unit_test(what_is_overdue_dies_and_does_not_move),
        cmocka_unit_test(a_consumer_there_gets_it_at_once),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(of_a_priority_queue_they_go_in_the_order_in_which_they_came),
        cmocka_unit_test(into_a_stream_they_go_and_out_of_it_they_do_not),
        cmocka_unit_test(one_message_is_deleted_by_its_position),
        cmocka_unit_test(an_alarm_stops_it),
        cmocka_unit_test(after_a_crash_every_message_is_in_one_queue),
    };
    return unit_main("move", tests, argc, argv);
}
