/* What is recorded of what becomes of messages: settled, given back, expired, dead. */
#include "tests/unit/recorded.h"
#include "tests/unit/unit.h"

#include "broker/port/message.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

/* ---- What becomes of them. */

TEST(a_delivery_an_ack_and_what_comes_back)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 0, false);
    recorded_publish(&p, "", "q");
    pair_expect_records(&p, "publish 1:0, deliver 1:0");
    world_settle(&p.w, 0, recorded_next_ticket(&p), REQUEUED);
    pair_expect_records(&p, "return 1:0, deliver 1:0");
    world_do(&p.w, (struct command){.verb = RECOVER}, 0, 0);
    pair_expect_records(&p, "return 1:0, deliver 1:0");
    world_do(&p.w, (struct command){.verb = RESET}, 0, 0);
    pair_expect_records(&p, "return 1:0");
    world_forget(&p.w);
    world_do(&p.w, (struct command){.verb = GET, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0, 0);
    pair_expect_records(&p, "deliver 1:0");
    world_settle(&p.w, 0, recorded_next_ticket(&p), ACCEPTED);
    pair_expect_records(&p, "settle 1:0");
    recorded_publish(&p, "", "q");
    message_unref(world_get(&p.w, "q"));
    pair_expect_records(&p, "publish 1:1, settle 1:1");
    recorded_publish(&p, "", "q");
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_expect_records(&p, "publish 1:2, settle 1:2");
    pair_fini(&p);
}

TEST(an_acknowledged_message_is_settled_for_good)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 0, false);
    assert_true(recorded_is_settled_when(&p, "", ACCEPTED));
    assert_true(recorded_is_settled_when(&p, "", REJECTED)); /* it goes nowhere */
    assert_false(recorded_is_settled_when(&p, "", REQUEUED));
    pair_fini(&p);
}

TEST(what_is_left_in_another_queue_is_not_settled_for_good)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", "other");
    world_bind(&p.w, "q", "amq.fanout", "");
    world_bind(&p.w, "other", "amq.fanout", "");
    world_consume(&p.w, 0, "q", 0, 0, false);
    assert_false(recorded_is_settled_when(&p, "amq.fanout", ACCEPTED));
    pair_fini(&p);
}

TEST(what_becomes_a_dead_letter_is_not_settled_for_good)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queue(&p, "q", recorded_dead_lettered("dlq"));
    recorded_queue(&p, "dlq", plain);
    world_consume(&p.w, 0, "q", 0, 0, false);
    assert_false(recorded_is_settled_when(&p, "", REJECTED));
    assert_true(recorded_is_settled_when(&p, "", ACCEPTED));
    pair_fini(&p);
}

TEST(what_a_transaction_settles_is_not_settled_for_good)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 0, false);
    struct message *m = recorded_message("", "q", "body", true);
    world_do(&p.w, (struct command){.verb = PUBLISH, .publish = {.msg = message_ref(m)}}, 0, 0);
    struct command c[] = {{.verb = SETTLE, .settle = {.ticket = recorded_next_ticket(&p), .outcome = ACCEPTED}}};
    assert_int_equal(recorded_say(&p, (struct command){.verb = COMMIT, .tx = recorded_tx_of(c, 1)}, 0)->what, DONE);
    pair_expect_records(&p, "publish 1:0, deliver 1:0, tx settle 1:0, commit");
    assert_false(message_is_settled(m));
    message_unref(m);
    pair_fini(&p);
}

TEST(a_rejected_message_is_settled)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    recorded_publish(&p, "", "q");
    world_consume(&p.w, 0, "q", 0, 0, false);
    world_settle(&p.w, 0, recorded_next_ticket(&p), REJECTED);
    pair_expect_records(&p, "publish 1:0, deliver 1:0, settle 1:0");
    pair_fini(&p);
}

TEST(a_purge_settles_what_is_ready_and_leaves_what_is_out)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 1, false);
    for (unsigned i = 0; i < 3; i++)
        recorded_publish(&p, "", "q");
    world_publish(&p.w, "", "q", "transient");
    pair_expect_records(&p, "publish 1:0, deliver 1:0, publish 1:1, publish 1:2");
    struct event *e = recorded_say_spec(&p, PURGE_QUEUE, 0, (struct spec){.name = BYTES("q")});
    assert_int_equal(e->done.messages, 3);
    assert_int_equal(e->after, 7);
    pair_expect_records(&p, "settle 1:1, settle 1:2");
    e = recorded_say_spec(&p, PURGE_QUEUE, 0, (struct spec){.name = BYTES("q")});
    assert_int_equal(e->done.messages, 0);
    assert_int_equal(keepsake_count(&p.k, 1), 1);
    pair_fini(&p);
}

TEST(a_queue_takes_its_messages_along)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 1, false);
    recorded_publish(&p, "", "q");
    recorded_publish(&p, "", "q");
    pair_expect_records(&p, "publish 1:0, deliver 1:0, publish 1:1");
    recorded_say_spec(&p, DELETE_QUEUE, 0, (struct spec){.name = BYTES("q")});
    pair_expect_records(&p, "undefine queue 1");
    recorded_queue(&p, "q", plain);
    pair_expect_records(&p, "define queue 2"); /* another one */
    pair_fini(&p);
}

/* ---- Dead letters. */

TEST(a_dead_letter_is_one_record)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options o = recorded_dead_lettered("dlq");
    o.message_ttl_ms = 10;
    recorded_queue(&p, "q", o);
    recorded_queue(&p, "dlq", plain);
    pair_take(&p);
    recorded_publish(&p, "", "q");
    world_wait(&p.w, 10);
    pair_expect_records(&p, "publish 1:0 ttl 10, publish 2:0 for 1:0");
    world_publish(&p.w, "", "q", "transient");
    world_wait(&p.w, 10);
    pair_expect_records(&p, "");
    assert_int_equal(world_count(&p.w, "dlq"), 2);
    pair_fini(&p);
}

TEST(a_dead_letter_that_leaves_no_place_settles_its_source)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options o = recorded_dead_lettered("dlq");
    o.message_ttl_ms = 10;
    recorded_queue(&p, "q", o);
    recorded_queue(&p, "dlq", plain);
    world_consume(&p.w, 0, "dlq", 0, 0, true);
    pair_take(&p);
    recorded_publish(&p, "", "q");
    world_wait(&p.w, 10);
    pair_expect_records(&p, "publish 1:0 ttl 10, settle 1:0");
    recorded_say_spec(&p, DELETE_QUEUE, 0, (struct spec){.name = BYTES("dlq")});
    pair_expect_records(&p, "undefine queue 2");
    recorded_publish(&p, "", "q");
    world_wait(&p.w, 10);
    pair_expect_records(&p, "publish 1:1 ttl 10, settle 1:1");
    world_queue(&p.w, 0, "dlq", NULL); /* a transient one */
    recorded_publish(&p, "", "q");
    world_wait(&p.w, 10);
    pair_expect_records(&p, "publish 1:2 ttl 10, settle 1:2");
    pair_fini(&p);
}

TEST(a_dead_letter_for_a_consumer_replaces_its_source_and_is_out)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queue(&p, "q", recorded_dead_lettered("dlq"));
    recorded_queue(&p, "dlq", plain);
    world_consume(&p.w, 0, "dlq", 0, 0, false);
    world_consume(&p.w, 0, "q", 1, 0, false);
    pair_take(&p);
    world_forget(&p.w);
    recorded_publish(&p, "", "q");
    world_settle(&p.w, 0, recorded_next_ticket(&p), REJECTED);
    pair_expect_records(&p, "publish 1:0, deliver 1:0, publish 2:0 for 1:0, deliver 2:0");
    pair_fini(&p);
}

TEST(a_refused_message_is_dead_lettered_without_a_source)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options o = recorded_dead_lettered("dlq");
    o.max_length = 0;
    o.overflow = OVERFLOW_REJECT_PUBLISH_DLX;
    recorded_queue(&p, "q", o);
    recorded_queue(&p, "dlq", plain);
    pair_take(&p);
    recorded_publish(&p, "", "q");
    pair_expect_records(&p, "publish 2:0");
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivery_an_ack_and_what_comes_back),
        cmocka_unit_test(an_acknowledged_message_is_settled_for_good),
        cmocka_unit_test(what_is_left_in_another_queue_is_not_settled_for_good),
        cmocka_unit_test(what_becomes_a_dead_letter_is_not_settled_for_good),
        cmocka_unit_test(what_a_transaction_settles_is_not_settled_for_good),
        cmocka_unit_test(a_rejected_message_is_settled),
        cmocka_unit_test(a_purge_settles_what_is_ready_and_leaves_what_is_out),
        cmocka_unit_test(a_queue_takes_its_messages_along),
        cmocka_unit_test(a_dead_letter_is_one_record),
        cmocka_unit_test(a_dead_letter_that_leaves_no_place_settles_its_source),
        cmocka_unit_test(a_dead_letter_for_a_consumer_replaces_its_source_and_is_out),
        cmocka_unit_test(a_refused_message_is_dead_lettered_without_a_source),
    };
    return unit_main("records_fate", tests, argc, argv);
}
