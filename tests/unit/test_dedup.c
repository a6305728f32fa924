#include "tests/unit/guest.h"
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

static const struct broker_config with_records = {
    .memory_high = UINT64_MAX, .records = true, .window_bytes = 1, .window_messages = 4};

static void begin(struct pair *p)
{
    pair_init(p, &with_records);
}

/* The broker ends without a warning, and another one begins with what was kept, a minute later; another secret is
 * drawn.  Nobody is there yet. */
static void crash(struct pair *p)
{
    p->config.hash_seed = 1234567;
    pair_crash(p);
    p->w.now.ms += 50;
    p->w.now.wall_ms += 60000;
}

static void restart(struct pair *p)
{
    crash(p);
    world_do(&p->w, (struct command){.verb = ECHO}, 9, 0);
    pair_serve(p);
    world_attach(&p->w, 0);
    world_forget(&p->w);
}

static void queue(struct pair *p, const char *name, struct bytes arguments)
{
    struct spec s = {.durable = true, .arguments = arguments};
    queue_options_of_arguments(arguments, &s.options);
    world_queue(&p->w, 0, name, &s);
}

struct table {
    uint8_t room[256];
    struct pen pen;
};

static struct table *table(struct table *t)
{
    t->pen = pen_over(t->room, sizeof t->room);
    return t;
}

/* An exchange x that knows so many keys, each for so long (0: for ever), and q, which it fills. */
static void topology(struct pair *p, int64_t size, int64_t ttl_ms, const char *persistence)
{
    struct table t;
    struct pen *pen = &table(&t)->pen;
    table_put_i64(pen, BYTES("x-cache-size"), size);
    if (ttl_ms > 0)
        table_put_i64(pen, BYTES("x-cache-ttl"), ttl_ms);
    if (persistence != NULL)
        table_put_string(pen, BYTES("x-cache-persistence"), bytes_of_string(persistence));
    struct spec x = {
        .name = BYTES("x"), .type = BYTES("x-message-deduplication"), .durable = true, .arguments = pen_written(pen)};
    world_do(&p->w, (struct command){.verb = DECLARE_EXCHANGE, .spec = spec_create(&x)}, 0, 0);
    queue(p, "q", BYTES(""));
    struct spec bd = {.name = BYTES("q"), .source = BYTES("x"), .key = BYTES("")};
    world_do(&p->w, (struct command){.verb = BIND, .spec = spec_create(&bd)}, 0, 0);
    world_forget(&p->w);
}

static struct message *make(const char *exchange, const char *routing_key, const char *key, bool is_persistent)
{
    uint8_t room[256];
    struct table t;
    struct pen *headers = &table(&t)->pen, all = pen_over(room, sizeof room);
    table_put_string(headers, BYTES("x-deduplication-header"), bytes_of_string(key));
    struct properties properties = {.flags = PROPERTY_headers, .headers = pen_written(headers)};
    properties_encode(&all, &properties);
    return message_create(
        &(struct message_spec){.exchange = bytes_of_string(exchange),
                               .routing_key = bytes_of_string(routing_key),
                               .properties = pen_written(&all),
                               .flags = (is_persistent ? MESSAGE_PERSISTENT : 0) | MESSAGE_HAS_HEADERS,
                               .expiration_ms = MESSAGE_NO_EXPIRATION});
}

/* Publishes, and answers the position that the confirm waits for. */
static uint64_t publish(struct pair *p, const char *exchange, const char *routing_key, const char *key)
{
    struct message *m = make(exchange, routing_key, key, true);
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .confirm = true}}, 0, 0);
    struct event *e;
    do
        e = world_next(&p->w);
    while (e != NULL && e->what != CONFIRMED);
    CHECK(e != NULL);
    return e->after;
}

static uint32_t count(struct pair *p)
{
    world_forget(&p->w);
    return world_count(&p->w, "q");
}

static char *spell(struct pair *p)
{
    return keepsake_spell(&p->w.effects.records, 0);
}

TEST(a_key_and_its_message_are_one_transaction)
{
    struct pair p;
    begin(&p);
    topology(&p, 10, 0, NULL);
    pair_take(&p);
    uint64_t before = p.k.position;
    uint64_t after = publish(&p, "x", "", "a");
    char *words = spell(&p);
    assert_string_equal(words, "tx publish 1:0, tx define queue 2, tx publish 2:0, commit");
    free(words);
    assert_int_equal(after, before + 4);
    pair_take(&p);
    /* Its confirm waits as long as the first one's. */
    assert_int_equal(publish(&p, "x", "", "a"), after);
    assert_int_equal(p.w.effects.records.n, 0);
    publish(&p, "x", "", "b");
    words = spell(&p);
    assert_string_equal(words, "tx publish 1:1, tx publish 2:1, commit");
    free(words);
    pair_fini(&p);
}

TEST(an_exchange_knows_after_a_crash_what_it_has_confirmed)
{
    struct pair p;
    begin(&p);
    topology(&p, 10, 0, NULL);
    publish(&p, "x", "", "a");
    publish(&p, "x", "", "b");
    restart(&p);
    publish(&p, "x", "", "a");
    publish(&p, "x", "", "c");
    assert_int_equal(count(&p), 3);
    restart(&p); /* and again, with what was learned and what was new */
    publish(&p, "x", "", "a");
    publish(&p, "x", "", "b");
    publish(&p, "x", "", "c");
    assert_int_equal(count(&p), 3);
    publish(&p, "x", "", "d");
    assert_int_equal(count(&p), 4);
    pair_fini(&p);
}

TEST(the_size_holds_in_the_journal_too)
{
    struct pair p;
    char key[8];
    begin(&p);
    topology(&p, 3, 0, NULL);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%u", i);
        publish(&p, "x", "", key);
    }
    pair_take(&p);
    assert_int_equal(keepsake_count(&p.k, 2), 3);
    restart(&p);
    publish(&p, "x", "", "19");
    assert_int_equal(count(&p), 20);
    publish(&p, "x", "", "16");
    assert_int_equal(count(&p), 21);
    pair_take(&p);
    assert_int_equal(keepsake_count(&p.k, 2), 3);
    pair_fini(&p);
}

TEST(a_key_has_its_time_whatever_happens_meanwhile)
{
    struct pair p;
    begin(&p);
    topology(&p, 10, 60010, NULL);
    publish(&p, "x", "", "a");
    restart(&p); /* it took 60 s */
    world_wait(&p.w, 9);
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 1);
    world_wait(&p.w, 1);
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 2);
    pair_serve(&p);
    assert_int_equal(keepsake_count(&p.k, 2), 1);
    restart(&p);
    restart(&p); /* more than its time: nothing is left of it */
    publish(&p, "x", "", "b");
    assert_int_equal(keepsake_count(&p.k, 2), 0);
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 4);
    pair_fini(&p);
}

TEST(what_is_kept_in_memory_or_came_with_a_transient_message_is_not_recorded)
{
    struct pair p;
    begin(&p);
    topology(&p, 10, 0, "memory");
    publish(&p, "x", "", "a");
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 1);
    restart(&p);
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 2);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 1);
    pair_fini(&p);

    begin(&p);
    topology(&p, 10, 0, "disk");
    struct message *m = make("x", "", "a", false);
    world_do(&p.w, (struct command){.verb = PUBLISH, .publish = {.msg = message_ref(m)}}, 0, 0);
    world_do(&p.w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
    assert_int_equal(count(&p), 1);
    restart(&p); /* the message is gone: so is its key */
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 1);
    pair_fini(&p);
}

TEST(the_store_goes_with_its_exchange)
{
    struct pair p;
    begin(&p);
    topology(&p, 10, 0, NULL);
    publish(&p, "x", "", "a");
    pair_serve(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 2);
    assert_int_equal(broker_totals(p.w.broker).queues, 1);
    restart(&p);
    struct spec x = {.name = BYTES("x")};
    world_do(&p.w, (struct command){.verb = DELETE_EXCHANGE, .spec = spec_create(&x)}, 0, 0);
    pair_serve(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 1);
    topology(&p, 10, 0, NULL);
    publish(&p, "x", "", "a");
    assert_int_equal(count(&p), 2);
    pair_fini(&p);
}

static void deduplicating_queue(struct pair *p, int64_t ttl_ms)
{
    struct table t;
    struct pen *pen = &table(&t)->pen;
    table_put_bool(pen, BYTES("x-message-deduplication"), true);
    if (ttl_ms > 0)
        table_put_i64(pen, BYTES("x-cache-ttl"), ttl_ms);
    queue(p, "q", pen_written(pen));
    world_forget(&p->w);
}

static void publish_many(struct pair *p, unsigned from, unsigned to)
{
    char key[8];
    for (unsigned i = from; i < to; i++) {
        snprintf(key, sizeof key, "%u", i);
        publish(p, "", "q", key);
    }
}

TEST(a_queue_knows_what_it_holds_though_it_is_cold)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 0);
    publish_many(&p, 0, 50);
    publish_many(&p, 0, 50);
    assert_int_equal(count(&p), 50);
    restart(&p);
    publish_many(&p, 0, 60);
    assert_int_equal(count(&p), 60);
    for (unsigned i = 0; i < 30; i++) {
        struct message *m = world_get(&p.w, "q");
        assert_non_null(m);
        message_unref(m);
        pair_serve(&p);
    }
    publish_many(&p, 0, 31);
    assert_int_equal(count(&p), 60);
    struct spec s = {.name = BYTES("q")};
    world_do(&p.w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&s)}, 0, 0);
    publish_many(&p, 0, 60);
    assert_int_equal(count(&p), 60);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 1);
    pair_fini(&p);
}

TEST(what_is_out_when_all_is_purged_stays_known)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 0);
    publish_many(&p, 0, 20);
    world_consume(&p.w, 0, "q", 0, 2, false);
    struct spec s = {.name = BYTES("q")};
    world_do(&p.w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&s)}, 0, 0);
    publish_many(&p, 0, 20);
    assert_int_equal(count(&p), 18);
    pair_fini(&p);
}

TEST(keys_of_messages_that_cannot_be_read_are_forgotten)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 0);
    publish_many(&p, 0, 20);
    pair_take(&p);
    keepsake_lose(&p.k, 1, 10);
    for (unsigned i = 0; i < 8; i++) {
        message_unref(world_get(&p.w, "q"));
        pair_serve(&p);
    }
    publish_many(&p, 8, 20);
    assert_int_equal(count(&p), 12);
    publish(&p, "", "q", "10");
    pair_fini(&p);
}

TEST(a_queue_with_a_ttl_keeps_keys_of_its_own)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 60010);
    publish(&p, "", "q", "a");
    char *words = spell(&p);
    assert_string_equal(words, "define queue 1, tx publish 1:0, tx define queue 2, tx publish 2:0 ttl 60010, commit");
    free(words);
    message_unref(world_get(&p.w, "q"));
    restart(&p);
    publish(&p, "", "q", "a");
    assert_int_equal(count(&p), 0);
    world_wait(&p.w, 10);
    publish(&p, "", "q", "a");
    assert_int_equal(count(&p), 1);
    pair_fini(&p);
}

TEST(a_queue_with_a_ttl_loads_its_messages_and_its_keys)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 1000000);
    publish_many(&p, 0, 100);
    crash(&p);
    world_do(&p.w, (struct command){.verb = ECHO}, 9, 0); /* both are asked for at once */
    pair_serve(&p);
    world_attach(&p.w, 0);
    publish_many(&p, 0, 100);
    assert_int_equal(count(&p), 100);
    for (unsigned i = 0; i < 100; i++) {
        struct message *m = world_get(&p.w, "q");
        assert_non_null(m);
        message_unref(m);
        pair_serve(&p);
    }
    assert_int_equal(count(&p), 0);
    pair_fini(&p);
}

TEST(nobody_is_let_in_before_all_is_learned)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 0);
    publish_many(&p, 0, 5000);
    crash(&p);
    world_do(&p.w, (struct command){.verb = ATTACH, .spec = guest_attach()}, 0, 0);
    world_do(&p.w, (struct command){.verb = ATTACH, .spec = guest_attach()}, 1, 0);
    assert_int_equal(p.w.effects.n, 0);
    assert_true(pair_serve_one(&p));
    assert_int_equal(p.w.effects.n, 0); /* there is more */
    world_do(&p.w, (struct command){.verb = DETACH}, 1, 0);
    struct event *e = world_next(&p.w);
    assert_int_equal(e->what, DETACHED);
    pair_serve(&p);
    e = world_next(&p.w);
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->to.outlet.slot, 0);
    assert_int_equal(broker_totals(p.w.broker).outlets, 1); /* who has gone did not come in */
    publish_many(&p, 0, 5000);
    assert_int_equal(count(&p), 5000);
    pair_fini(&p);
}

TEST(a_queue_that_goes_while_it_learns_is_no_trouble)
{
    struct pair p;
    begin(&p);
    deduplicating_queue(&p, 0);
    publish_many(&p, 0, 100);
    topology(&p, 100, 0, NULL); /* the same q */
    for (unsigned i = 200; i < 210; i++) {
        char key[8];
        snprintf(key, sizeof key, "%u", i);
        publish(&p, "x", "", key);
    }
    crash(&p);
    world_do(&p.w, (struct command){.verb = ATTACH, .spec = guest_attach()}, 0, 0);
    struct changes *all = changes_create();
    changes_add(all, CHANGE_REMOVE, DEFINE_QUEUE, spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("q")}));
    changes_add(all, CHANGE_REMOVE, DEFINE_EXCHANGE,
                spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("x")}));
    world_do(&p.w, (struct command){.verb = ALTER, .changes = all}, 9, 0);
    pair_serve(&p);
    assert_int_equal(broker_totals(p.w.broker).outlets, 1);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 0);
    world_forget(&p.w);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_and_its_message_are_one_transaction),
        cmocka_unit_test(an_exchange_knows_after_a_crash_what_it_has_confirmed),
        cmocka_unit_test(the_size_holds_in_the_journal_too),
        cmocka_unit_test(a_key_has_its_time_whatever_happens_meanwhile),
        cmocka_unit_test(what_is_kept_in_memory_or_came_with_a_transient_message_is_not_recorded),
        cmocka_unit_test(the_store_goes_with_its_exchange),
        cmocka_unit_test(a_queue_knows_what_it_holds_though_it_is_cold),
        cmocka_unit_test(what_is_out_when_all_is_purged_stays_known),
        cmocka_unit_test(keys_of_messages_that_cannot_be_read_are_forgotten),
        cmocka_unit_test(a_queue_with_a_ttl_keeps_keys_of_its_own),
        cmocka_unit_test(a_queue_with_a_ttl_loads_its_messages_and_its_keys),
        cmocka_unit_test(nobody_is_let_in_before_all_is_learned),
        cmocka_unit_test(a_queue_that_goes_while_it_learns_is_no_trouble),
    };
    return unit_main("deduplication", tests, argc, argv);
}
