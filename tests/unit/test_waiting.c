#include "tests/unit/asker.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "broker/model/waiting.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

/* What is said of the only consumer of the queue with that tag; the sentence must hold what is given. */
static void expect(struct world *w, const char *queue, const char *tag, const char *word, const char *in_text)
{
    const struct bytes vhost = BYTES("/"), name = bytes_of_string(queue);
    struct inspection *i = asker_inspect(w, inspection_create(INSPECT_CONSUMERS, &vhost, &name));
    struct bytes row;
    bool is_found = false;
    assert_non_null(i);
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        char *its = asker_text(row, "consumer_tag"), *said = asker_text(row, "waiting_for");
        char *text = asker_text(row, "explanation");
        if (strcmp(its, tag) == 0) {
            is_found = true;
            assert_string_equal(said, word);
            if (strstr(text, in_text) == NULL)
                fail_msg("'%s' does not say '%s'", text, in_text);
        }
        free(its);
        free(said);
        free(text);
    }
    assert_true(is_found);
    inspection_destroy(i);
}

struct taste {
    const char *tag;
    uint32_t limit;
    int64_t priority;
    bool no_ack;
};

static void subscribe(struct world *w, unsigned client, const char *queue, unsigned number, struct taste t)
{
    struct spec s = {.name = bytes_of_string(queue),
                     .key = bytes_of_string(t.tag),
                     .priority = t.priority,
                     .no_ack = t.no_ack,
                     .options = QUEUE_OPTIONS_NONE};
    world_forget(w);
    world_do(w,
             (struct command){.verb = SUBSCRIBE,
                              .subscribe = {.spec = spec_create(&s), .consumer = number, .limit = t.limit}},
             client, 0);
    struct event *e = world_next(w);
    assert_int_equal(e->what, DONE);
}

static void publish(struct world *w, const char *queue, const char *body)
{
    world_forget(w);
    world_publish(w, "", queue, body);
}

TEST(an_idle_consumer_waits_for_messages)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a"});
    expect(&w, "q", "a", "queue_empty", "The queue is empty.");
    publish(&w, "q", "x");
    ticket t = world_expect_delivery(&w, 1, "x", false);
    expect(&w, "q", "a", "queue_empty", "1 is out with consumers and not acknowledged, 1 of them with it");
    world_settle(&w, 0, t, ACCEPTED);
    world_fini(&w);
}

TEST(a_full_prefetch_is_named_with_its_numbers_and_age)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a", .limit = 2});
    publish(&w, "q", "1");
    ticket t = world_expect_delivery(&w, 1, "1", false);
    publish(&w, "q", "2");
    world_wait(&w, 34500);
    publish(&w, "q", "3");
    expect(&w, "q", "a", "prefetch", "2 unacknowledged deliveries and its prefetch is 2; the oldest is 34 s old");
    world_forget(&w);
    world_settle(&w, 0, t, ACCEPTED);
    world_expect_delivery(&w, 1, "3", false);
    world_fini(&w);
}

TEST(a_full_channel_is_not_the_consumers_own_prefetch)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "p", NULL);
    world_queue(&w, 0, "q", NULL);
    world_do(&w, (struct command){.verb = CREDIT, .credit = {.limit = 1}}, 0, 0);
    subscribe(&w, 0, "p", 1, (struct taste){.tag = "a"});
    subscribe(&w, 0, "q", 2, (struct taste){.tag = "b"});
    publish(&w, "p", "1");
    ticket t = world_expect_delivery(&w, 1, "1", false);
    publish(&w, "q", "2");
    expect(&w, "q", "b", "channel_prefetch", "the channel's prefetch is 1; 0 of them are its own");
    world_forget(&w);
    world_settle(&w, 0, t, ACCEPTED);
    world_expect_delivery(&w, 2, "2", false);
    world_fini(&w);
}

TEST(a_client_that_does_not_read_is_named)
{
    struct world w;
    static char body[WINDOW_BYTES + 1];
    world_init(&w);
    memset(body, 'x', WINDOW_BYTES);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a"});
    publish(&w, "q", body);
    publish(&w, "q", "2");
    expect(&w, "q", "a", "client_not_reading", "does not read");
    world_forget(&w);
    world_do(&w, (struct command){.verb = WINDOW, .window = {.bytes = 2 * WINDOW_BYTES}}, 0, 0);
    world_expect_delivery(&w, 1, "2", false);
    world_fini(&w);
}

TEST(a_paused_queue_is_named_before_all_else)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a", .limit = 1});
    publish(&w, "q", "1");
    publish(&w, "q", "2");
    asker_pause(&w, "q", true);
    expect(&w, "q", "a", "queue_paused", "1 message is ready");
    asker_pause(&w, "q", false);
    expect(&w, "q", "a", "prefetch", "its prefetch is 1;");
    world_fini(&w);
}

TEST(pausing_is_over_when_it_is_resumed)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a"});
    asker_pause(&w, "q", true);
    publish(&w, "q", "1");
    world_expect_nothing(&w);
    expect(&w, "q", "a", "queue_paused", "is paused");
    asker_pause(&w, "q", false);
    world_expect_delivery(&w, 1, "1", false);
    world_fini(&w);
}

TEST(who_is_not_the_active_one_learns_who_is)
{
    struct world w;
    struct spec options = {.options = QUEUE_OPTIONS_NONE};
    options.options.single_active_consumer = true;
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", &options);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "first", .limit = 1});
    subscribe(&w, 1, "q", 2, (struct taste){.tag = "second"});
    publish(&w, "q", "1");
    publish(&w, "q", "2");
    expect(&w, "q", "second", "not_active", "single active consumer, which is 'first'");
    expect(&w, "q", "first", "prefetch", "its prefetch is 1");
    world_forget(&w);
    world_detach(&w, 0);
    world_expect_delivery(&w, 2, "1", true);
    expect(&w, "q", "second", "queue_empty", "2 are out");
    world_fini(&w);
}

TEST(a_higher_priority_is_named)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "low", .priority = -1});
    subscribe(&w, 0, "q", 2, (struct taste){.tag = "high", .priority = 7, .limit = 1});
    expect(&w, "q", "low", "lower_priority", "to 'high', whose priority is 7; this one's is -1");
    expect(&w, "q", "high", "queue_empty", "is empty");
    publish(&w, "q", "1");
    world_expect_delivery(&w, 2, "1", false);
    expect(&w, "q", "low", "queue_empty", "1 is out"); /* who is preferred can take no more */
    publish(&w, "q", "2");
    world_expect_delivery(&w, 1, "2", false);
    world_fini(&w);
}

static void publish_in_group(struct world *w, const char *group, const char *body)
{
    uint8_t room[256], headers[64];
    struct pen h = pen_over(headers, sizeof headers), p = pen_over(room, sizeof room);
    table_put_string(&h, BYTES("group"), bytes_of_string(group));
    struct properties properties = {.flags = PROPERTY_headers, .headers = pen_written(&h)};
    properties_encode(&p, &properties);
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = pen_written(&p),
                                                              .flags = MESSAGE_HAS_HEADERS,
                                                              .body_size = strlen(body),
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of_string(body));
    world_forget(w);
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

TEST(a_group_that_another_has_is_named)
{
    struct world w;
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    struct spec options = {.options = QUEUE_OPTIONS_NONE};
    table_put_string(&p, BYTES("x-message-group-header"), BYTES("group"));
    options.arguments = pen_written(&p);
    queue_options_of_arguments(options.arguments, &options.options);
    world_init(&w);
    world_queue(&w, 0, "q", &options);
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a", .limit = 1});
    publish_in_group(&w, "g", "1");
    ticket t = world_expect_delivery(&w, 1, "1", false);
    subscribe(&w, 0, "q", 2, (struct taste){.tag = "b"});
    publish_in_group(&w, "g", "2");
    world_expect_nothing(&w);
    expect(&w, "q", "b", "group_locked", "1 message is ready");
    world_forget(&w);
    world_settle(&w, 0, t, ACCEPTED);
    struct event *e = world_next(&w);
    assert_int_equal(e->what, DELIVERED);
    world_fini(&w);
}

TEST(what_comes_from_disk_is_loading)
{
    struct world w;
    struct keepsake k;
    struct load *l;
    const struct broker_config c = {
        .memory_high = UINT64_MAX, .records = true, .window_bytes = 1, .window_messages = 1, .window_queue_bytes = 1};
    struct spec options = {.durable = true, .options = QUEUE_OPTIONS_NONE};
    world_init_with(&w, &c);
    keepsake_init(&k);
    world_queue(&w, 0, "q", &options);
    for (unsigned i = 0; i < 2000; i++) {
        struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                                  .properties = bytes_of("\0\0", 2),
                                                                  .flags = MESSAGE_PERSISTENT,
                                                                  .expiration_ms = MESSAGE_NO_EXPIRATION});
        world_do(&w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
        keepsake_take(&k, &w.effects.records);
    }
    subscribe(&w, 0, "q", 1, (struct taste){.tag = "a", .no_ack = true});
    expect(&w, "q", "a", "loading", "being read from disk");
    world_forget(&w);
    keepsake_take(&k, &w.effects.records);
    assert_non_null(l = keepsake_load(&k));
    world_do(&w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    assert_int_equal(world_next(&w)->what, DELIVERED);
    keepsake_take(&k, &w.effects.records);
    world_fini(&w);
    keepsake_fini(&k);
}

TEST(names_are_cut_between_characters)
{
    char name[256];
    for (size_t i = 0; i < 255; i += 3)
        memcpy(name + i, "\xe2\x82\xac", 3);
    struct bytes cut = waiting_name(bytes_of(name, 255));
    assert_int_equal(cut.len % 3, 0);
    assert_true(cut.len > 90 && cut.len <= 100);
    assert_int_equal(waiting_name(BYTES("short")).len, 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_consumer_waits_for_messages),
        cmocka_unit_test(a_full_prefetch_is_named_with_its_numbers_and_age),
        cmocka_unit_test(a_full_channel_is_not_the_consumers_own_prefetch),
        cmocka_unit_test(a_client_that_does_not_read_is_named),
        cmocka_unit_test(a_paused_queue_is_named_before_all_else),
        cmocka_unit_test(pausing_is_over_when_it_is_resumed),
        cmocka_unit_test(who_is_not_the_active_one_learns_who_is),
        cmocka_unit_test(a_higher_priority_is_named),
        cmocka_unit_test(a_group_that_another_has_is_named),
        cmocka_unit_test(what_comes_from_disk_is_loading),
        cmocka_unit_test(names_are_cut_between_characters),
    };
    return unit_main("waiting", tests, argc, argv);
}
