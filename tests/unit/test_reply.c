#include "tests/unit/guest.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "broker/model/reply.h"
#include "broker/port/message.h"

#define ADDRESS "amq.rabbitmq.reply-to.secret"

static void world_await_replies(struct world *w, unsigned client, unsigned consumer)
{
    struct spec *s = spec_create(&(struct spec){.name = BYTES(ADDRESS), .no_ack = true, .is_reply = true});
    world_do(w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = s, .consumer = consumer}}, client, 0);
    world_forget(w);
}

static void world_reply_with(struct world *w, struct bytes properties, size_t size, bool persistent)
{
    static char body[1 << 20];
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES(ADDRESS),
                                                              .properties = properties,
                                                              .body_size = size,
                                                              .flags = persistent ? MESSAGE_PERSISTENT : 0,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of(body, size));
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

static void world_reply(struct world *w, size_t size, bool persistent)
{
    world_reply_with(w, bytes_of("\0\0", 2), size, persistent);
}

/* Reads what came; answers how many deliveries. */
static unsigned deliveries(struct world *w)
{
    unsigned n = 0;
    for (const struct event *e; (e = world_next(w)) != NULL;)
        n += e->what == DELIVERED;
    world_forget(w);
    return n;
}

TEST(an_address_is_not_counted)
{
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    const struct broker_totals before = broker_totals(w.broker);
    world_await_replies(&w, 1, 0);
    const struct broker_totals after = broker_totals(w.broker);
    assert_int_equal(before.queues, after.queues);
    assert_int_equal(before.consumers, after.consumers);
    world_reply(&w, 1, false);
    assert_int_equal(deliveries(&w), 1);
    world_fini(&w);
}

TEST(an_address_goes_with_its_client)
{
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_await_replies(&w, 1, 0);
    world_reply(&w, 1, false);
    assert_int_equal(deliveries(&w), 1);
    world_detach(&w, 1);
    world_forget(&w);
    world_reply(&w, 1, false); /* the remembered way is not gone */
    assert_int_equal(deliveries(&w), 0);
    assert_int_equal(broker_totals(w.broker).message_bytes, 0);
    world_fini(&w);
}

TEST(replies_wait_for_a_client_that_does_not_read_but_not_without_end)
{
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_await_replies(&w, 1, 0);
    for (unsigned i = 0; i < 2; i++)
        world_reply(&w, 1 << 20, false);
    assert_int_equal(deliveries(&w), 1); /* which its window takes, and no more */
    assert_int_equal(broker_totals(w.broker).messages_ready, 1);
    for (unsigned i = 0; i < 3 * (REPLY_BACKLOG_MAX >> 20); i++)
        world_reply(&w, 1 << 20, false);
    assert_int_equal(broker_totals(w.broker).messages_ready, REPLY_BACKLOG_MAX >> 20);
    assert_int_equal(deliveries(&w), 0);
    world_do(&w, (struct command){.verb = WINDOW, .window = {.bytes = 4 << 20}}, 1, 0);
    assert_int_equal(deliveries(&w), 4);
    world_fini(&w);
}

/* Bodies are not all that takes memory. */
TEST(empty_replies_and_long_headers_do_not_wait_without_end_either)
{
    static uint8_t properties[100000]; /* nobody reads them */
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_await_replies(&w, 1, 0);
    world_reply(&w, 1 << 20, false);
    assert_int_equal(deliveries(&w), 1); /* the window is shut */
    for (unsigned i = 0; i < REPLY_BACKLOG_MESSAGES_MAX + 5; i++) {
        world_reply(&w, 0, false);
        world_forget(&w);
    }
    assert_int_equal(broker_totals(w.broker).messages_ready, REPLY_BACKLOG_MESSAGES_MAX);
    for (unsigned i = 0; i < 3 * REPLY_BACKLOG_COST_MAX / sizeof properties; i++) {
        world_reply_with(&w, bytes_of(properties, sizeof properties), 0, false);
        world_forget(&w);
    }
    assert_true(broker_totals(w.broker).message_bytes < REPLY_BACKLOG_COST_MAX / 100 * 105);
    world_fini(&w);
}

/* Those of queues are on disk beyond a window. */
TEST(replies_are_never_recorded)
{
    struct world w;
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX,
                                                .records = true,
                                                .window_bytes = 1,
                                                .window_messages = 1,
                                                .window_queue_bytes = 1});
    world_attach(&w, 1);
    world_await_replies(&w, 1, 0);
    size_t before = w.effects.records.n;
    for (unsigned i = 0; i < 10; i++)
        world_reply(&w, 1 << 20, true);
    assert_int_equal(deliveries(&w), 1);
    assert_int_equal(broker_totals(w.broker).messages_ready, 9);
    world_detach(&w, 1);
    assert_int_equal(w.effects.records.n, before);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_not_counted),
        cmocka_unit_test(an_address_goes_with_its_client),
        cmocka_unit_test(replies_wait_for_a_client_that_does_not_read_but_not_without_end),
        cmocka_unit_test(empty_replies_and_long_headers_do_not_wait_without_end_either),
        cmocka_unit_test(replies_are_never_recorded),
    };
    return unit_main("reply", tests, argc, argv);
}
