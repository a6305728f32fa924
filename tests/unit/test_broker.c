#include "base/alloc.h"
#include "broker/port/queue_options.h"
#include "tests/unit/guest.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "broker/port/message.h"

TEST(a_publish_reaches_its_queue)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_publish(&w, "", "q", "hello");
    struct message *m = world_get(&w, "q");
    assert_non_null(m);
    assert_true(bytes_equal(message_body(m, 0), BYTES("hello")));
    message_unref(m);
    assert_null(world_get(&w, "q"));
    world_fini(&w);
}

TEST(requeued_messages_go_back_to_their_place)
{
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    static const char *const bodies[] = {"1", "2", "3", "4"};
    for (unsigned i = 0; i < 4; i++)
        world_publish(&w, "", "q", bodies[i]);
    world_consume(&w, 1, "q", 0, 0, false);
    ticket t[4];
    for (unsigned i = 0; i < 4; i++)
        t[i] = world_expect_delivery(&w, 0, bodies[i], false);
    world_do(&w, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 0}}, 1, 0);
    world_settle(&w, 1, t[2], REQUEUED);
    world_settle(&w, 1, t[0], REQUEUED);
    world_settle(&w, 1, t[1], ACCEPTED);
    world_forget(&w);
    world_consume(&w, 0, "q", 0, 0, false);
    world_expect_delivery(&w, 0, "1", true);
    world_expect_delivery(&w, 0, "3", true);
    world_expect_nothing(&w);
    world_forget(&w);
    world_detach(&w, 1); /* which had the fourth */
    world_expect_delivery(&w, 0, "4", true);
    world_fini(&w);
}

TEST(many_tickets_are_settled_with_one_command)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 0, 4, false);
    world_forget(&w);
    ticket t[4];
    for (unsigned i = 0; i < 6; i++)
        world_publish(&w, "", "q", "x");
    for (unsigned i = 0; i < 4; i++)
        t[i] = world_expect_delivery(&w, 0, "x", false);
    world_expect_nothing(&w);
    world_forget(&w);
    /* One of them twice, and one that never was: neither is an error. */
    const ticket more[] = {t[1], t[0], {.slot = 77, .generation = 7}, t[3]};
    struct command c = {.verb = SETTLE, .settle = {.ticket = t[0], .outcome = ACCEPTED, .more_count = 4}};
    c.settle.more = alloc_copy(more, sizeof more);
    world_do(&w, c, 0, 0);
    world_expect_delivery(&w, 0, "x", false);
    world_expect_delivery(&w, 0, "x", false);
    world_expect_nothing(&w);
    world_forget(&w);
    world_settle(&w, 0, t[2], REQUEUED); /* it is still out */
    world_expect_delivery(&w, 0, "x", true);
    world_fini(&w);
}

TEST(consumers_take_turns)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    for (unsigned i = 0; i < 3; i++)
        world_consume(&w, 0, "q", i, 0, true);
    world_forget(&w);
    for (unsigned i = 0; i < 7; i++) {
        world_publish(&w, "", "q", "x");
        world_expect_delivery(&w, i % 3, "x", false);
    }
    world_fini(&w);
}

TEST(a_limit_is_never_exceeded)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 0, 2, false);
    for (unsigned i = 0; i < 5; i++)
        world_publish(&w, "", "q", "x");
    ticket first = world_expect_delivery(&w, 0, "x", false);
    world_expect_delivery(&w, 0, "x", false);
    world_expect_nothing(&w);
    world_settle(&w, 0, first, ACCEPTED);
    world_expect_delivery(&w, 0, "x", false);
    world_expect_nothing(&w);
    world_settle(&w, 0, first, ACCEPTED); /* a ticket that is not out any more settles nothing */
    world_expect_nothing(&w);
    world_fini(&w);
}

TEST(stream_credit_is_shared)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "a", NULL);
    world_queue(&w, 0, "b", NULL);
    world_do(&w, (struct command){.verb = CREDIT, .credit = {.limit = 2}}, 0, 0);
    world_consume(&w, 0, "a", 0, 0, false);
    world_consume(&w, 0, "b", 1, 0, false);
    world_forget(&w);
    world_publish(&w, "", "a", "1");
    world_publish(&w, "", "b", "2");
    world_publish(&w, "", "a", "3");
    world_publish(&w, "", "b", "4");
    ticket t = world_expect_delivery(&w, 0, "1", false);
    world_expect_delivery(&w, 1, "2", false);
    world_expect_nothing(&w);
    world_settle(&w, 0, t, ACCEPTED);
    assert_int_equal(world_next(&w)->what, DELIVERED);
    world_expect_nothing(&w);
    world_do(&w, (struct command){.verb = CREDIT, .credit = {.limit = 0}}, 0, 0);
    assert_int_equal(world_next(&w)->what, DONE);
    assert_int_equal(world_next(&w)->what, DELIVERED);
    world_expect_nothing(&w);
    world_fini(&w);
}

TEST(a_client_that_does_not_read_is_not_fed)
{
    static char body[100001];
    memset(body, 'x', 100000);
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 0, 0, true);
    for (unsigned i = 0; i < 40; i++)
        world_publish(&w, "", "q", body);
    uint32_t left = world_count(&w, "q");
    assert_in_range(left, 28, 30); /* 1 MiB takes about eleven */
    world_forget(&w);
    world_do(&w, (struct command){.verb = WINDOW, .window = {.bytes = WINDOW_BYTES}}, 0, 0);
    assert_in_range(world_count(&w, "q"), left - 12, left - 9);
    world_fini(&w);
}

TEST(failure_poisons_the_stream_until_reset)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_forget(&w);
    world_publish(&w, "no such exchange", "q", "x");
    struct event *e = world_next(&w);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, NO_SUCH_EXCHANGE);
    assert_string_equal(e->failed.text, "no exchange 'no such exchange' in vhost '/'");
    world_publish(&w, "", "q", "x");
    world_do(&w, (struct command){.verb = ECHO}, 0, 0);
    world_expect_nothing(&w);
    world_do(&w, (struct command){.verb = RESET}, 0, 0);
    assert_int_equal(world_next(&w)->what, DONE);
    assert_int_equal(world_count(&w, "q"), 0);
    world_publish(&w, "", "q", "x");
    assert_int_equal(world_count(&w, "q"), 1);
    world_fini(&w);
}

TEST(the_memory_alarm_follows_what_is_held)
{
    struct effects fx;
    effects_init(&fx);
    struct instant now = {.ms = 1};
    struct broker *b =
        broker_create(&(struct broker_config){.default_vhost = "/", .hash_seed = 1, .memory_high = 3000});
    outlet_id me = {.slot = 0, .generation = 1};
    guest_let_in(b);
    struct command c = {.verb = ATTACH, .from = {.outlet = me}, .spec = guest_attach()};
    broker_step(b, &now, &c, 1, &fx);
    struct spec q = {.name = BYTES("q"), .options = queue_options_none};
    c = (struct command){.verb = DECLARE_QUEUE, .from = {.outlet = me}, .spec = spec_create(&q)};
    broker_step(b, &now, &c, 1, &fx);
    assert_false(fx.alarms_changed);
    for (unsigned i = 0; i < 4; i++) {
        struct message *m = message_create(&(struct message_spec){
            .routing_key = BYTES("q"), .body_size = 700, .expiration_ms = MESSAGE_NO_EXPIRATION});
        message_fill(m, bytes_of(memset((char[700]){0}, 'x', 700), 700));
        c = (struct command){.verb = PUBLISH, .from = {.outlet = me}, .publish = {.msg = m}};
        broker_step(b, &now, &c, 1, &fx);
    }
    assert_true(fx.alarms_changed);
    assert_int_equal(fx.alarms, ALARM_MEMORY);
    for (size_t i = 0; i < fx.n; i++)
        event_drop(&fx.events[i]);
    effects_clear(&fx);
    c = (struct command){.verb = PURGE_QUEUE, .from = {.outlet = me}, .spec = spec_create(&q)};
    broker_step(b, &now, &c, 1, &fx);
    assert_false(fx.alarms_changed); /* not so soon */
    assert_int_equal(broker_deadline(b), 1001);
    now.ms = 1001;
    broker_step(b, &now, NULL, 0, &fx);
    assert_true(fx.alarms_changed);
    assert_int_equal(fx.alarms, 0);
    assert_int_equal(broker_totals(b).message_bytes, 0);
    effects_fini(&fx);
    broker_destroy(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_reaches_its_queue),
        cmocka_unit_test(requeued_messages_go_back_to_their_place),
        cmocka_unit_test(many_tickets_are_settled_with_one_command),
        cmocka_unit_test(consumers_take_turns),
        cmocka_unit_test(a_limit_is_never_exceeded),
        cmocka_unit_test(stream_credit_is_shared),
        cmocka_unit_test(a_client_that_does_not_read_is_not_fed),
        cmocka_unit_test(failure_poisons_the_stream_until_reset),
        cmocka_unit_test(the_memory_alarm_follows_what_is_held),
    };
    return unit_main("broker", tests, argc, argv);
}
