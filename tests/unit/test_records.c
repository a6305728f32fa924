#include "tests/unit/recorded.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/str.h"
#include "broker/port/message.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

/* ---- Definitions. */

TEST(without_records_nothing_is_said_and_nothing_waits)
{
    struct pair p;
    world_init(&p.w);
    keepsake_init(&p.k);
    recorded_queue(&p, "q", plain);
    assert_int_equal(recorded_publish_confirmed(&p, "", "q")->after, 0);
    assert_int_equal(p.w.effects.records.n, 0);
    pair_fini(&p);
}

TEST(what_is_durable_is_defined_and_nothing_else)
{
    struct pair p;
    recorded_begin(&p);
    pair_expect_records(&p, "");
    recorded_queue(&p, "a", plain);
    pair_expect_records(&p, "define queue 1");
    world_queue(&p.w, 0, "t", NULL);
    world_queue(&p.w, 0, "x", &(struct spec){.durable = true, .exclusive = true, .options = plain});
    world_exchange(&p.w, "transient", "fanout");
    world_bind(&p.w, "t", "amq.fanout", "");
    world_bind(&p.w, "a", "transient", "");
    pair_expect_records(&p, "");
    world_bind(&p.w, "a", "amq.fanout", "k");
    pair_expect_records(&p, "define binding");
    world_bind(&p.w, "a", "amq.fanout", "k");
    pair_expect_records(&p, "");
    recorded_say_spec(&p, DECLARE_EXCHANGE, 0,
                      (struct spec){.name = BYTES("d"), .type = BYTES("topic"), .durable = true});
    recorded_say_spec(&p, BIND, 0,
                      (struct spec){.name = BYTES("d"), .source = BYTES("amq.topic"), .to_exchange = true});
    pair_expect_records(&p, "define exchange, define binding");
    pair_fini(&p);
}

TEST(answers_wait_for_what_they_changed)
{
    struct pair p;
    recorded_begin(&p);
    struct spec q = {.name = BYTES("q"), .durable = true, .options = plain};
    struct spec bd = {.name = BYTES("q"), .source = BYTES("amq.direct")};
    struct spec x = {.name = BYTES("x"), .type = BYTES("topic"), .durable = true};
    assert_int_equal(recorded_say_spec(&p, DECLARE_QUEUE, 0, q)->after, 1);
    assert_int_equal(recorded_say_spec(&p, DECLARE_EXCHANGE, 0, x)->after, 2);
    assert_int_equal(recorded_say_spec(&p, BIND, 0, bd)->after, 3);
    assert_int_equal(recorded_say_spec(&p, UNBIND, 0, bd)->after, 4);
    assert_int_equal(recorded_say_spec(&p, BIND, 0, bd)->after, 5);
    assert_int_equal(recorded_say_spec(&p, DELETE_QUEUE, 0, q)->after, 7);
    assert_int_equal(recorded_say_spec(&p, DELETE_EXCHANGE, 0, x)->after, 8);
    pair_fini(&p);
}

TEST(who_finds_it_there_waits_for_the_one_who_made_it)
{
    struct pair p;
    recorded_begin(&p);
    world_attach(&p.w, 1);
    struct spec q = {.name = BYTES("q"), .durable = true, .options = plain};
    struct spec x = {.name = BYTES("x"), .type = BYTES("topic"), .durable = true};
    struct spec bd = {.name = BYTES("q"), .source = BYTES("x")};
    recorded_say_spec(&p, DECLARE_EXCHANGE, 0, x);
    recorded_say_spec(&p, DECLARE_QUEUE, 0, q);
    recorded_say_spec(&p, BIND, 0, bd);
    recorded_publish(&p, "", "q");
    assert_int_equal(recorded_say_spec(&p, DECLARE_EXCHANGE, 1, x)->after, 1);
    assert_int_equal(recorded_say_spec(&p, DECLARE_QUEUE, 1, q)->after, 2);
    q.passive = true;
    assert_int_equal(recorded_say_spec(&p, DECLARE_QUEUE, 1, q)->after, 2);
    assert_int_equal(recorded_say_spec(&p, BIND, 1, bd)->after, 3);
    pair_expect_records(&p, "define exchange, define queue 1, define binding, publish 1:0");
    pair_fini(&p);
}

TEST(what_goes_is_undefined_after_what_hangs_on_it)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "a", "b");
    world_bind(&p.w, "a", "amq.fanout", "");
    world_bind(&p.w, "a", "amq.direct", "");
    pair_expect_records(&p, "define binding, define binding");
    recorded_say_spec(&p, DELETE_QUEUE, 0, (struct spec){.name = BYTES("a")});
    pair_expect_records(&p, "undefine binding, undefine binding, undefine queue 1");
    struct spec x = {.name = BYTES("x"), .type = BYTES("fanout"), .durable = true, .auto_delete = true};
    recorded_say_spec(&p, DECLARE_EXCHANGE, 0, x);
    world_bind(&p.w, "b", "x", "");
    pair_expect_records(&p, "define exchange, define binding");
    struct event *e = recorded_say_spec(&p, UNBIND, 0, (struct spec){.name = BYTES("b"), .source = BYTES("x")});
    assert_int_equal(e->after, p.w.effects.records.last);
    pair_expect_records(&p, "undefine binding, undefine exchange");
    pair_fini(&p);
}

TEST(queues_that_go_by_themselves_are_undefined)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options leased = plain;
    leased.expires_ms = 100;
    recorded_queue(&p, "leased", leased);
    world_queue(&p.w, 0, "auto", &(struct spec){.durable = true, .auto_delete = true, .options = plain});
    pair_expect_records(&p, "define queue 1, define queue 2");
    world_wait(&p.w, 100);
    pair_expect_records(&p, "undefine queue 1");
    world_consume(&p.w, 0, "auto", 3, 0, true);
    struct event *e = recorded_say(&p, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 3}}, 0);
    assert_int_equal(e->after, 4);
    pair_expect_records(&p, "undefine queue 2");
    pair_fini(&p);
}

TEST(a_shutdown_undefines_nothing)
{
    struct pair p;
    recorded_begin(&p);
    world_attach(&p.w, 1);
    world_queue(&p.w, 0, "auto", &(struct spec){.durable = true, .auto_delete = true, .options = plain});
    world_queue(&p.w, 1, "mine", &(struct spec){.exclusive = true, .options = plain});
    struct spec x = {.name = BYTES("x"), .type = BYTES("fanout"), .durable = true, .auto_delete = true};
    recorded_say_spec(&p, DECLARE_EXCHANGE, 0, x);
    recorded_say_spec(&p, BIND, 1, (struct spec){.name = BYTES("mine"), .source = BYTES("x")});
    world_consume(&p.w, 1, "auto", 0, 0, false);
    recorded_publish(&p, "", "auto");
    pair_expect_records(&p, "define queue 1, define exchange, publish 1:0, deliver 1:0");
    broker_shut_down(p.w.broker);
    world_detach(&p.w, 1);
    pair_expect_records(&p, "return 1:0");
    assert_int_equal(broker_totals(p.w.broker).queues, 1);
    world_detach(&p.w, 0);
    pair_expect_records(&p, "");
    world_attach(&p.w, 0);
    pair_fini(&p);
}

/* ---- Publishes. */

TEST(a_message_for_many_queues_is_one_record)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "a", "b");
    world_queue(&p.w, 0, "t", NULL);
    recorded_queue(&p, "c", plain);
    const char *const all[] = {"a", "b", "t", "c"};
    for (unsigned i = 0; i < 4; i++)
        world_bind(&p.w, all[i], "amq.fanout", "");
    world_consume(&p.w, 0, "a", 0, 1, false); /* deliveries come between */
    world_consume(&p.w, 0, "b", 1, 0, true);
    pair_take(&p);
    recorded_publish(&p, "amq.fanout", "");
    pair_expect_records(&p, "publish 1:0 4:0, deliver 1:0");
    recorded_publish(&p, "amq.fanout", "");
    pair_expect_records(&p, "publish 1:1 4:1");
    pair_fini(&p);
}

TEST(what_need_not_survive_is_not_recorded)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_queue(&p.w, 0, "t", NULL);
    world_publish(&p.w, "", "q", "transient");
    recorded_publish(&p, "", "t");
    recorded_publish(&p, "", "nowhere");
    world_consume(&p.w, 0, "q", 0, 0, false);
    world_settle(&p.w, 0, recorded_next_ticket(&p), REQUEUED);
    world_settle(&p.w, 0, recorded_next_ticket(&p), ACCEPTED);
    message_unref(world_get(&p.w, "t"));
    pair_expect_records(&p, "");
    assert_int_equal(recorded_publish_confirmed(&p, "", "t")->after, 0);
    assert_int_equal(recorded_publish_confirmed(&p, "", "nowhere")->after, 0);
    world_detach(&p.w, 0);
    pair_expect_records(&p, "");
    world_attach(&p.w, 0);
    message_unref(world_get(&p.w, "t"));
    pair_fini(&p);
}

TEST(what_goes_through_to_a_no_ack_consumer_leaves_nothing)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    world_consume(&p.w, 0, "q", 0, 0, true);
    struct event *e = recorded_publish_confirmed(&p, "", "q");
    assert_int_equal(e->what, CONFIRMED);
    assert_int_equal(e->after, 0);
    pair_expect_records(&p, "");
    pair_fini(&p);
}

TEST(the_ttl_is_what_is_left)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options o = plain;
    o.message_ttl_ms = 500;
    recorded_queue(&p, "q", o);
    recorded_publish(&p, "", "q");
    pair_expect_records(&p, "define queue 1, publish 1:0 ttl 500");
    world_wait(&p.w, 500);
    pair_expect_records(&p, "settle 1:0");
    pair_fini(&p);
}

TEST(a_confirm_waits_for_its_record_alone)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options one = plain;
    one.max_length = 1;
    recorded_queue(&p, "q", one);
    assert_int_equal(recorded_publish_confirmed(&p, "", "q")->after, 2);
    struct event *e = recorded_publish_confirmed(&p, "", "q");
    assert_int_equal(e->after, 3);
    assert_int_equal(p.w.effects.records.last, 4);
    pair_expect_records(&p, "define queue 1, publish 1:0, publish 1:1, settle 1:0");
    pair_fini(&p);
}

/* Publishes them in one step, by stream 0 of client 0, with these cookies, and answers what confirms say: "first+more
 * after N" each. */
static char *confirms_of(struct pair *p, const char *const *keys, const uint64_t *cookies, size_t n)
{
    struct command c[8];
    char *said = str_copy(BYTES(""));
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++)
        c[i] = (struct command){.verb = PUBLISH,
                                .from = {.outlet = {.slot = 0, .generation = 1}},
                                .cookie = cookies[i],
                                .publish = {.msg = recorded_message("", keys[i], "body", true), .confirm = true}};
    for (size_t i = 0; i < n; i++)
        c[i].publish.mandatory = keys[i][0] == '?';
    world_forget(&p->w);
    p->w.effects.n = 0;
    broker_step(p->w.broker, &p->w.now, c, n, &p->w.effects);
    abacus_watch(&p->w.abacus, p->w.broker, &p->w.effects);
    for (size_t i = 0; i < p->w.effects.n; i++) {
        const struct event *e = &p->w.effects.events[i];
        char *before = said;
        if (e->what == CONFIRMED || e->what == REFUSED)
            said = str_format("%s%s%llu+%u after %llu, ", before, e->what == REFUSED ? "no " : "",
                              (unsigned long long)e->cookie, (unsigned)e->confirmed.more, (unsigned long long)e->after);
        else
            said = str_format("%s%s, ", before, e->what == RETURNED ? "returned" : "else");
        free(before);
    }
    return said;
}

#define EXPECT_CONFIRMS(p, keys, cookies, expected)                                                                    \
    do {                                                                                                               \
        char *said = confirms_of(p, keys, cookies, sizeof(cookies) / sizeof(cookies)[0]);                              \
        assert_string_equal(said, expected);                                                                           \
        free(said);                                                                                                    \
        keepsake_take(&(p)->k, &(p)->w.effects.records);                                                               \
        world_forget(&(p)->w);                                                                                         \
    } while (0)

TEST(publishes_that_follow_each_other_are_confirmed_together)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL); /* record 1 */
    EXPECT_CONFIRMS(&p, ((const char *[]){"q", "q", "q"}), ((uint64_t[]){7, 8, 9}), "7+2 after 4, ");
    EXPECT_CONFIRMS(&p, ((const char *[]){"q", "q", "q"}), ((uint64_t[]){10, 12, 13}), "10+0 after 5, 12+1 after 7, ");
    pair_fini(&p);
}

TEST(what_is_confirmed_together_is_of_one_step_and_one_kind)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queues(&p, "q", NULL);
    EXPECT_CONFIRMS(&p, ((const char *[]){"q"}), ((uint64_t[]){7}), "7+0 after 2, ");
    EXPECT_CONFIRMS(&p, ((const char *[]){"q", "nowhere", "q"}), ((uint64_t[]){8, 9, 10}),
                    "8+0 after 3, 9+0 after 0, 10+0 after 4, ");
    struct queue_options o = plain;
    o.max_length = 1;
    o.overflow = OVERFLOW_REJECT_PUBLISH;
    recorded_queue(&p, "full", o);
    pair_take(&p);
    EXPECT_CONFIRMS(&p, ((const char *[]){"full", "full", "full"}), ((uint64_t[]){11, 12, 13}),
                    "11+0 after 6, no 12+1 after 0, ");
    pair_fini(&p);
}

TEST(a_confirm_joins_none_that_is_before_its_return)
{
    struct pair p;
    recorded_begin(&p);
    EXPECT_CONFIRMS(&p, ((const char *[]){"nowhere", "?", "nowhere"}), ((uint64_t[]){7, 8, 9}),
                    "7+0 after 0, returned, 8+1 after 0, ");
    pair_fini(&p);
}

TEST(a_refusal_waits_for_those_who_took_it)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options full = plain;
    full.max_length = 0;
    full.overflow = OVERFLOW_REJECT_PUBLISH;
    recorded_queue(&p, "full", full);
    recorded_queue(&p, "q", plain);
    world_bind(&p.w, "full", "amq.fanout", "");
    world_bind(&p.w, "q", "amq.fanout", "");
    pair_take(&p);
    struct event *e = recorded_publish_confirmed(&p, "amq.fanout", "");
    assert_int_equal(e->what, REFUSED);
    assert_int_equal(e->after, 5);
    pair_expect_records(&p, "publish 2:0");
    e = recorded_publish_confirmed(&p, "", "full");
    assert_int_equal(e->what, REFUSED);
    assert_int_equal(e->after, 0);
    pair_expect_records(&p, "");
    pair_fini(&p);
}

/* ---- Transactions. */

static struct command held(struct pair *p, const char *key)
{
    struct message *m = recorded_message("", key, "body", true);
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = message_ref(m), .hold = true}}, 0, 0);
    return (struct command){.verb = PUBLISH, .publish = {.msg = m}};
}

TEST(a_transaction_is_one_run_with_all_that_follows_from_it)
{
    struct pair p;
    recorded_begin(&p);
    recorded_queue(&p, "q", recorded_dead_lettered("dlq"));
    recorded_queue(&p, "dlq", plain);
    recorded_publish(&p, "", "q");
    world_consume(&p.w, 0, "q", 0, 1, false);
    pair_take(&p);
    ticket t = recorded_next_ticket(&p);
    struct command c[] = {
        held(&p, "q"), held(&p, "dlq"), {.verb = SETTLE, .settle = {.ticket = t, .outcome = REJECTED}}};
    pair_expect_records(&p, "");
    struct event *e = recorded_say(&p, (struct command){.verb = COMMIT, .tx = recorded_tx_of(c, 3)}, 0);
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->after, p.w.effects.records.last);
    pair_expect_records(&p, "tx publish 1:1, tx publish 2:0, tx deliver 1:1, tx publish 2:1 for 1:0, commit");
    recorded_publish(&p, "", "dlq");
    pair_expect_records(&p, "publish 2:2"); /* no more */
    pair_fini(&p);
}

TEST(a_transaction_without_records_waits_for_nothing)
{
    struct pair p;
    recorded_begin(&p);
    world_queue(&p.w, 0, "t", NULL);
    struct command c[] = {held(&p, "t")};
    struct event *e = recorded_say(&p, (struct command){.verb = COMMIT, .tx = recorded_tx_of(c, 1)}, 0);
    assert_int_equal(e->after, 0);
    pair_expect_records(&p, "");
    pair_fini(&p);
}

TEST(a_transaction_that_a_queue_refuses_is_ended_too)
{
    struct pair p;
    recorded_begin(&p);
    struct queue_options o = plain;
    o.max_length = 1;
    o.overflow = OVERFLOW_REJECT_PUBLISH;
    recorded_queue(&p, "q", o);
    pair_take(&p);
    struct command c[] = {held(&p, "q"), held(&p, "q")};
    struct event *e = recorded_say(&p, (struct command){.verb = COMMIT, .tx = recorded_tx_of(c, 2)}, 0);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->after, 3);
    pair_expect_records(&p, "tx publish 1:0, commit");
    pair_fini(&p);
}

/* ---- Order of what waits. */

TEST(nothing_overtakes_an_answer_of_its_stream)
{
    struct pair p;
    recorded_begin(&p);
    world_attach(&p.w, 1);
    recorded_queue(&p, "q", plain); /* 1 */
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, true);
    recorded_publish(&p, "", "q");
    for (struct event *e; (e = world_next(&p.w)) != NULL;)
        assert_int_equal(e->after, 1);
    world_forget(&p.w);
    world_consume(&p.w, 1, "q", 0, 0, true); /* it has not heard of the queue */
    assert_int_equal(p.w.effects.events[0].after, 0);
    pair_fini(&p);
}

TEST(a_client_and_a_stream_end_behind_all_that_they_were_told)
{
    struct pair p;
    recorded_begin(&p);
    world_attach(&p.w, 1);
    recorded_queues(&p, "q", NULL);
    assert_int_equal(recorded_publish_confirmed(&p, "", "q")->after, 2);
    assert_int_equal(recorded_say(&p, (struct command){.verb = RESET}, 0)->after, 2);
    world_publish(&p.w, "", "q", "x");
    world_forget(&p.w);
    world_detach(&p.w, 0);
    struct event *e = &p.w.effects.events[0];
    assert_int_equal(e->what, DETACHED);
    assert_int_equal(e->after, 2);
    world_attach(&p.w, 0);
    world_forget(&p.w);
    world_detach(&p.w, 1);
    assert_int_equal(p.w.effects.events[0].after, 0);
    pair_fini(&p);
}

/* ---- Alarms. */

TEST(an_alarm_from_outside_is_told_with_the_next_step)
{
    struct pair p;
    recorded_begin(&p);
    broker_set_alarm(p.w.broker, ALARM_DISK, true);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    assert_true(p.w.effects.alarms_changed);
    assert_int_equal(p.w.effects.alarms, ALARM_DISK);
    world_forget(&p.w);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    assert_false(p.w.effects.alarms_changed);
    assert_int_equal(p.w.effects.alarms, ALARM_DISK);
    broker_set_alarm(p.w.broker, ALARM_DISK, false);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    assert_true(p.w.effects.alarms_changed);
    assert_int_equal(p.w.effects.alarms, 0);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_records_nothing_is_said_and_nothing_waits),
        cmocka_unit_test(what_is_durable_is_defined_and_nothing_else),
        cmocka_unit_test(answers_wait_for_what_they_changed),
        cmocka_unit_test(who_finds_it_there_waits_for_the_one_who_made_it),
        cmocka_unit_test(what_goes_is_undefined_after_what_hangs_on_it),
        cmocka_unit_test(queues_that_go_by_themselves_are_undefined),
        cmocka_unit_test(a_shutdown_undefines_nothing),
        cmocka_unit_test(a_message_for_many_queues_is_one_record),
        cmocka_unit_test(what_need_not_survive_is_not_recorded),
        cmocka_unit_test(what_goes_through_to_a_no_ack_consumer_leaves_nothing),
        cmocka_unit_test(the_ttl_is_what_is_left),
        cmocka_unit_test(a_confirm_waits_for_its_record_alone),
        cmocka_unit_test(publishes_that_follow_each_other_are_confirmed_together),
        cmocka_unit_test(what_is_confirmed_together_is_of_one_step_and_one_kind),
        cmocka_unit_test(a_confirm_joins_none_that_is_before_its_return),
        cmocka_unit_test(a_refusal_waits_for_those_who_took_it),
        cmocka_unit_test(a_transaction_is_one_run_with_all_that_follows_from_it),
        cmocka_unit_test(a_transaction_without_records_waits_for_nothing),
        cmocka_unit_test(a_transaction_that_a_queue_refuses_is_ended_too),
        cmocka_unit_test(nothing_overtakes_an_answer_of_its_stream),
        cmocka_unit_test(a_client_and_a_stream_end_behind_all_that_they_were_told),
        cmocka_unit_test(an_alarm_from_outside_is_told_with_the_next_step),
    };
    return unit_main("records", tests, argc, argv);
}
