#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/check.h"
#include "broker/model/cold.h"
#include "broker/model/entry.h"
#include "broker/port/message.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static void begin(struct pair *p)
{
    pair_init(p, &pair_narrow);
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

static void begin_with(struct pair *p, uint64_t window_bytes, uint32_t queue_bytes)
{
    struct broker_config c = pair_narrow;
    c.window_bytes = window_bytes;
    c.window_queue_bytes = queue_bytes;
    pair_init(p, &c);
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

/* A consumer without a limit, that settles nothing while memory is short, gets no more than so much; then it goes on.
 */
TEST(who_takes_without_limit_does_not_take_all_the_memory)
{
    enum { ALL = 4000 };
    struct pair p;
    static ticket tickets[ALL];
    pair_init(&p, &(struct broker_config){.memory_high = 100000, .records = true});
    world_attach(&p.w, 1);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, ALL);
    pair_take(&p);
    world_consume(&p.w, 1, "q", 0, 0, false);
    unsigned got = 0, settled = 0;
    for (unsigned round = 0; got < ALL && round < 100; round++) {
        for (unsigned i = 0; i < 100; i++)
            pair_serve(&p);
        uint64_t out = broker_totals(p.w.broker).messages_out;
        assert_in_range(out, 1, COLD_OUT_MAX + COLD_WINDOW_MESSAGES);
        for (; got < settled + out; got++)
            tickets[got] = pair_expect_number(&p, got, false);
        for (; settled < got; settled++)
            world_settle(&p.w, 1, tickets[settled], ACCEPTED);
    }
    assert_int_equal(got, ALL);
    pair_fini(&p);
}

/* ---- The window. */

/* Many queues, each within its window, may have all the memory that there is; and who is blocked then stays so. */
TEST(where_half_of_the_memory_is_used_a_queue_keeps_one_message)
{
    struct pair p;
    static char body[3001];
    memset(body, 'x', sizeof body - 1);
    pair_init(&p, &(struct broker_config){.memory_high = 20000, .records = true});
    world_attach(&p.w, 1);
    world_queue(&p.w, 0, "other", NULL);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 2);
    pair_take(&p);
    for (unsigned i = 0; i < 4; i++)
        world_publish(&p.w, "", "other", body);
    pair_take(&p);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 6);
    uint64_t before = broker_totals(p.w.broker).message_bytes;
    pair_publish(&p, 2, 10);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, before);
    pair_take(&p);
    pair_drain(&p, 2);
    pair_serve(&p);
    for (unsigned i = 2; i < 10; i++) {
        pair_get(&p, 0);
        pair_serve(&p);
        pair_expect_got(&p, 0, i);
    }
    pair_fini(&p);
}

TEST(beyond_its_window_a_queue_leaves_memory)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 4);
    uint64_t held = broker_totals(p.w.broker).message_bytes;
    pair_publish(&p, 4, 100);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, held);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 100);
    assert_int_equal(pair_count(&p), 100);
    pair_fini(&p);
}

TEST(while_there_is_memory_nothing_leaves_it)
{
    struct pair p;
    begin_with(&p, 0, 0);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 100);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_take(&p);
    for (unsigned i = 0; i < 100; i++)
        pair_expect_number(&p, i, false);
    assert_int_equal(pair_serve(&p), 0);
    pair_fini(&p);
}

TEST(the_bytes_of_a_queue_count_but_one_message_always_stays)
{
    struct pair p;
    begin_with(&p, 1, 1);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 1);
    uint64_t held = broker_totals(p.w.broker).message_bytes;
    assert_true(held > 0);
    pair_publish(&p, 1, 2);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, held);
    pair_fini(&p);
}

TEST(a_cold_message_is_recorded_whatever_it_is)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    world_queue(&p.w, 0, "t", NULL);
    for (unsigned i = 0; i < 5; i++)
        pair_publish_as(&p, "", "q", i, 0);
    pair_expect_records(&p, "transient publish 1:4");
    for (unsigned i = 0; i < 5; i++)
        pair_publish_as(&p, "", "t", i, MESSAGE_PERSISTENT);
    pair_expect_records(&p, "transient publish 2:4");
    world_bind(&p.w, "q", "amq.fanout", "");
    world_bind(&p.w, "t", "amq.fanout", "");
    pair_take(&p);
    pair_publish_as(&p, "amq.fanout", "", 5, MESSAGE_PERSISTENT); /* one of its places counts */
    pair_expect_records(&p, "publish 1:5 2:5");
    pair_publish_as(&p, "amq.fanout", "", 6, 0);
    pair_expect_records(&p, "transient publish 1:6 2:6");
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("t")})}, 0,
             0);
    pair_expect_records(&p, "undefine queue 2 without a name");
    pair_fini(&p);
}

TEST(a_confirm_does_not_wait_for_what_is_transient)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 5);
    for (unsigned persistent = 0; persistent < 2; persistent++) {
        struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                                  .properties = bytes_of("\0\0", 2),
                                                                  .flags = persistent ? MESSAGE_PERSISTENT : 0,
                                                                  .expiration_ms = MESSAGE_NO_EXPIRATION});
        world_forget(&p.w);
        world_do(&p.w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .confirm = true}}, 0, 0);
        assert_int_equal(p.w.effects.events[0].what, CONFIRMED);
        assert_int_equal(p.w.effects.events[0].after, persistent ? 8 : 0);
    }
    pair_fini(&p);
}

/* ---- Order. */

TEST(order_is_kept_across_window_and_loads)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 10);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_publish(&p, 10, 30); /* while the first load is under way */
    pair_serve(&p);
    pair_publish(&p, 30, 50);
    pair_serve(&p);
    for (unsigned i = 0; i < 50; i++)
        pair_expect_number(&p, i, false);
    assert_int_equal(keepsake_count(&p.k, 1), 0);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, 0);
    pair_publish(&p, 50, 52); /* it is not cold any more */
    pair_expect_records(&p, "");
    pair_fini(&p);
}

TEST(what_comes_back_comes_before_what_is_cold)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 8);
    world_consume(&p.w, 1, "q", 0, 3, false);
    ticket t[8];
    for (unsigned i = 0; i < 3; i++)
        t[i] = pair_expect_number(&p, i, false);
    pair_take(&p); /* a load is under way */
    world_settle(&p.w, 1, t[1], ACCEPTED);
    pair_expect_number(&p, 3, false);
    world_forget(&p.w);
    world_detach(&p.w, 1);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, false);
    pair_serve(&p);
    pair_expect_number(&p, 0, true);
    pair_expect_number(&p, 2, true);
    pair_expect_number(&p, 3, true);
    for (unsigned i = 4; i < 8; i++)
        pair_expect_number(&p, i, false);
    world_expect_nothing(&p.w);
    world_attach(&p.w, 1);
    pair_fini(&p);
}

TEST(what_was_loaded_is_settled_too)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    for (unsigned i = 0; i < 6; i++)
        pair_publish_as(&p, "", "q", i, 0);
    pair_expect_records(&p, "transient publish 1:4, transient publish 1:5");
    pair_drain(&p, 4);
    pair_expect_records(&p, "load 1:4"); /* once, though it was asked three times */
    pair_serve(&p);
    pair_get(&p, 0);
    pair_expect_records(&p, "settle 1:4");
    pair_fini(&p);
}

/* ---- Loads. */

TEST(a_load_is_asked_for_when_memory_runs_low)
{
    struct pair p;
    begin_with(&p, 3 * (sizeof(struct entry) + sizeof(struct message)), 1 << 20); /* about three messages */
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 5);
    pair_take(&p);
    pair_get(&p, 0);
    pair_expect_records(&p, "settle 1:0");
    pair_get(&p, 0);
    pair_expect_records(&p, "settle 1:1");
    pair_get(&p, 0);
    pair_expect_records(&p, "settle 1:2, load 1:4");
    pair_get(&p, 0);
    pair_expect_records(&p, "settle 1:3"); /* one at a time */
    pair_fini(&p);
}

/* Something is in another queue that takes all there is to take, and maybe much more. */
static void begin_scant(struct pair *p, unsigned times)
{
    enum { MUCH = 10000 };
    static char body[MUCH + 1];
    memset(body, 'x', MUCH);
    pair_init(p, &(struct broker_config){.memory_high = UINT64_MAX, .records = true, .window_bytes = MUCH});
    world_attach(&p->w, 1);
    world_queue(&p->w, 0, "other", NULL);
    world_queue(&p->w, 0, "another", NULL);
    for (unsigned i = 0; i < times; i++)
        world_publish(&p->w, "", i == 0 ? "other" : "another", body); /* always one */
    world_forget(&p->w);
}

TEST(where_memory_is_scant_a_queue_that_nobody_reads_brings_little)
{
    struct pair p;
    begin_scant(&p, 1);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 2000);
    pair_take(&p);
    pair_drain(&p, 1000);
    assert_int_equal(p.w.effects.records.records[p.w.effects.records.n - 1].kind, RECORD_SETTLE);
    for (unsigned i = 1000; i < 1023; i++)
        pair_get(&p, 0);
    assert_int_equal(p.w.effects.records.n, 1023); /* no load while there is one message */
    pair_get(&p, 0);
    const struct record *r = &p.w.effects.records.records[1024];
    assert_int_equal(r->kind, RECORD_LOAD);
    assert_int_equal(r->load.messages_max, 32);
    assert_int_equal(r->load.bytes_max, 32 << 10);
    pair_serve(&p);
    world_consume(&p.w, 1, "q", 0, 1, false); /* but now it is read */
    r = &p.w.effects.records.records[p.w.effects.records.n - 1];
    assert_int_equal(r->kind, RECORD_LOAD);
    assert_int_equal(r->load.messages_max, 1024);
    assert_int_equal(r->load.bytes_max, 512 << 10);
    pair_fini(&p);
}

/* After a restart, when all queues have left memory: a little of each would be too much. */
TEST(where_memory_is_spent_it_brings_one_message)
{
    struct pair p;
    begin_scant(&p, 2);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 2000);
    pair_take(&p);
    pair_drain(&p, 1024);
    const struct record *r = &p.w.effects.records.records[p.w.effects.records.n - 1];
    assert_int_equal(r->kind, RECORD_LOAD);
    assert_int_equal(r->load.messages_max, 1);
    pair_serve(&p);
    world_consume(&p.w, 1, "q", 0, 1, false); /* but now it is read */
    r = &p.w.effects.records.records[p.w.effects.records.n - 1];
    assert_int_equal(r->kind, RECORD_LOAD);
    assert_int_equal(r->load.messages_max, 1024);
    pair_fini(&p);
}

TEST(no_more_than_so_many_loads_are_under_way)
{
    struct pair p;
    struct load *l;
    unsigned n = 0;
    begin_with(&p, 1, 1); /* one message each in memory */
    for (unsigned i = 0; i < 70; i++) {
        char name[8];
        snprintf(name, sizeof name, "q%u", i);
        world_queue(&p.w, 0, name, NULL);
        pair_publish_as(&p, "", name, 0, 0);
        pair_publish_as(&p, "", name, 1, 0);
        struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(name), .no_ack = true});
        world_do(&p.w, (struct command){.verb = GET, .spec = s}, 0, 0);
    }
    pair_take(&p);
    struct load *asked[70];
    while ((l = keepsake_load(&p.k)) != NULL)
        asked[n++] = l;
    assert_int_equal(n, 64);
    for (unsigned i = 0; i < n; i++)
        world_do(&p.w, (struct command){.verb = LOADED, .load = asked[i]}, 9, 0);
    assert_int_equal(pair_serve(&p), 6);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 70);
    pair_fini(&p);
}

TEST(lost_messages_are_not_counted_any_more)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 8);
    pair_take(&p);
    keepsake_lose(&p.k, 1, 4);
    keepsake_lose(&p.k, 1, 6);
    pair_drain(&p, 4);
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 2);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 5);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 7);
    pair_get(&p, 0);
    pair_expect_what(&p, EMPTY);
    pair_fini(&p);
}

TEST(a_queue_whose_cold_messages_are_all_lost_is_empty)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_take(&p);
    keepsake_lose(&p.k, 1, 4);
    keepsake_lose(&p.k, 1, 5);
    pair_drain(&p, 4);
    pair_get(&p, 0); /* waits */
    world_expect_nothing(&p.w);
    pair_serve(&p);
    pair_expect_what(&p, EMPTY);
    pair_publish(&p, 6, 7);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 6);
    pair_fini(&p);
}

/* An answer to the load under way, of the test's own making. */
static void answer(struct pair *p, const struct load *like)
{
    struct load *asked = keepsake_load(&p->k), *l = load_create(1);
    CHECK(asked != NULL);
    uint32_t capacity = l->capacity;
    *l = *like;
    l->capacity = capacity;
    l->queue = asked->queue;
    load_destroy(asked);
    world_do(&p->w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    pair_take(p);
}

TEST(at_the_end_of_a_load_nothing_more_is_claimed)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 20);
    pair_drain(&p, 4);
    pair_take(&p);
    pair_publish(&p, 20, 22); /* behind what was asked for */
    answer(&p, &(struct load){.next = 20, .is_end = true});
    assert_int_equal(pair_count(&p), 2);
    pair_serve(&p);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 20);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 21);
    pair_fini(&p);
}

/* The store answers when it writes, and has been given more by then. */
TEST(a_load_may_bring_what_came_since_it_was_asked_for)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_take(&p);
    load_destroy(keepsake_load(&p.k));
    pair_publish(&p, 6, 8); /* 6 comes with the load, 7 does not */
    struct load *l = load_create(3);
    *l = (struct load){.queue = 1, .next = 7, .capacity = 3};
    for (unsigned i = 4; i < 7; i++) {
        struct message *m = message_create(&(struct message_spec){
            .properties = bytes_of("\0\0", 2), .body_size = 1, .expiration_ms = MESSAGE_NO_EXPIRATION});
        char digit = (char)('0' + i);
        message_fill(m, bytes_of(&digit, 1));
        l->entries[l->n++] = (struct load_entry){.msg = m, .position = i, .ttl_ms = PLACE_NO_TTL, .persistent = true};
    }
    world_do(&p.w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    assert_int_equal(pair_count(&p), 4);
    for (unsigned i = 4; i < 8; i++) {
        pair_get(&p, 0);
        pair_serve(&p);
        pair_expect_got(&p, 0, i);
    }
    assert_int_equal(pair_count(&p), 0);
    pair_fini(&p);
}

TEST(a_load_that_does_not_move_on_is_the_end)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_take(&p);
    answer(&p, &(struct load){.next = 0});
    assert_int_equal(pair_count(&p), 0);
    pair_fini(&p);
}

TEST(a_load_of_more_than_was_thought_is_believed)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_take(&p);
    answer(&p, &(struct load){.next = 6, .lost = UINT64_MAX, .lost_bytes = UINT64_MAX});
    assert_int_equal(pair_count(&p), 0);
    pair_fini(&p);
}

TEST(an_answer_that_nobody_asked_for_changes_nothing)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    struct load *l = load_create(1);
    l->queue = 1;
    l->next = 100;
    l->is_end = true;
    world_do(&p.w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    assert_int_equal(pair_count(&p), 6);
    pair_fini(&p);
}

/* ---- Purge and delete. */

TEST(a_purge_is_one_record_for_all_that_is_cold)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 100);
    pair_take(&p);
    pair_purge(&p);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].done.messages, 100);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].after, p.w.effects.records.last);
    pair_expect_records(&p, "settle 1:0, settle 1:1, settle 1:2, settle 1:3, purge 1:4");
    assert_int_equal(pair_count(&p), 0);
    pair_publish(&p, 100, 101);
    pair_get(&p, 0);
    world_forget(&p.w);
    pair_fini(&p);
}

TEST(a_load_from_before_a_purge_brings_nothing_back)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 10);
    pair_drain(&p, 4);
    pair_take(&p); /* under way */
    pair_purge(&p);
    pair_publish(&p, 10, 20); /* four in memory, six cold */
    assert_int_equal(pair_count(&p), 10);
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 10);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 10; i < 20; i++)
        pair_expect_number(&p, i, false);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(a_queue_may_go_while_it_is_loading)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 10);
    pair_drain(&p, 4);
    pair_take(&p);
    pair_delete_queue(&p);
    pair_expect_records(&p, "undefine queue 1");
    pair_queue(&p, "q", plain); /* another one of that name */
    pair_publish(&p, 0, 1);
    assert_int_equal(pair_serve(&p), 1);
    assert_int_equal(pair_count(&p), 1);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 1);
    pair_fini(&p);
}

TEST(a_queue_may_go_while_it_wants_to_load)
{
    struct pair p;
    begin_with(&p, 1, 1);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 3);
    struct command c[] = {{.verb = GET, .spec = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = true})},
                          {.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}};
    for (unsigned i = 0; i < 2; i++)
        c[i].from = (struct origin){.outlet = {.slot = 0, .generation = 1}};
    broker_step(p.w.broker, &p.w.now, c, 2, &p.w.effects);
    assert_int_equal(pair_serve(&p), 0);
    pair_fini(&p);
}

/* ---- Limits and time. */

TEST(a_queue_that_drops_its_head_waits_for_the_head)
{
    struct pair p;
    struct queue_options o = plain;
    o.max_length = 10;
    begin(&p);
    pair_queue(&p, "q", o);
    pair_publish(&p, 0, 14); /* four were in memory */
    assert_int_equal(pair_count(&p), 10);
    pair_publish(&p, 14, 17);
    assert_int_equal(pair_count(&p), 13); /* over its limit meanwhile */
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 10);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 7; i < 17; i++)
        pair_expect_number(&p, i, false);
    pair_fini(&p);
}

TEST(a_queue_that_refuses_counts_what_is_cold)
{
    struct pair p;
    struct queue_options o = plain;
    o.max_length = 6;
    o.overflow = OVERFLOW_REJECT_PUBLISH;
    begin(&p);
    pair_queue(&p, "q", o);
    pair_publish(&p, 0, 20);
    assert_int_equal(pair_count(&p), 6);
    pair_fini(&p);
}

TEST(what_is_cold_expires_when_it_is_at_the_head)
{
    struct pair p;
    struct queue_options o = plain;
    o.message_ttl_ms = 100;
    begin(&p);
    pair_queue(&p, "q", o);
    pair_publish(&p, 0, 8);
    pair_serve(&p);
    world_wait(&p.w, 60);
    pair_publish(&p, 8, 10);
    pair_serve(&p);
    world_wait(&p.w, 40);
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 2);
    world_wait(&p.w, 59);
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 2);
    world_wait(&p.w, 1);
    pair_serve(&p);
    assert_int_equal(pair_count(&p), 0);
    pair_fini(&p);
}

TEST(a_clock_that_jumps_neither_keeps_nor_kills)
{
    for (int back = 0; back < 2; back++) {
        struct pair p;
        struct queue_options o = plain;
        o.message_ttl_ms = 100;
        begin(&p);
        pair_queue(&p, "q", o);
        pair_publish(&p, 0, 6);
        pair_drain(&p, 4);
        pair_take(&p);
        p.w.now.wall_ms += back ? (uint64_t)-1000000 : 30;
        pair_serve(&p);
        assert_int_equal(pair_count(&p), 2);
        world_wait(&p.w, back ? 99 : 69);
        assert_int_equal(pair_count(&p), 2);
        world_wait(&p.w, 1);
        assert_int_equal(pair_count(&p), 0);
        pair_fini(&p);
    }
}

/* ---- Dead letters. */

TEST(dead_letters_go_cold_too)
{
    struct pair p;
    struct queue_options o = plain;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_exchange = BYTES("");
    o.dead_letter_routing_key = BYTES("dlq");
    o.message_ttl_ms = 10;
    begin(&p);
    pair_queue(&p, "q", o);
    pair_queue(&p, "dlq", plain);
    pair_publish(&p, 0, 12);
    pair_serve(&p);
    for (unsigned i = 0; i < 5; i++) {
        world_wait(&p.w, 10);
        pair_serve(&p);
    }
    assert_int_equal(pair_count(&p), 0);
    assert_int_equal(world_count(&p.w, "dlq"), 12);
    assert_int_equal(keepsake_count(&p.k, 1), 0);
    assert_int_equal(keepsake_count(&p.k, 2), 12);
    world_forget(&p.w);
    world_consume(&p.w, 0, "dlq", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 0; i < 12; i++)
        pair_expect_number(&p, i, false);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_half_of_the_memory_is_used_a_queue_keeps_one_message),
        cmocka_unit_test(who_takes_without_limit_does_not_take_all_the_memory),
        cmocka_unit_test(beyond_its_window_a_queue_leaves_memory),
        cmocka_unit_test(while_there_is_memory_nothing_leaves_it),
        cmocka_unit_test(the_bytes_of_a_queue_count_but_one_message_always_stays),
        cmocka_unit_test(a_cold_message_is_recorded_whatever_it_is),
        cmocka_unit_test(a_confirm_does_not_wait_for_what_is_transient),
        cmocka_unit_test(order_is_kept_across_window_and_loads),
        cmocka_unit_test(what_comes_back_comes_before_what_is_cold),
        cmocka_unit_test(what_was_loaded_is_settled_too),
        cmocka_unit_test(a_load_is_asked_for_when_memory_runs_low),
        cmocka_unit_test(where_memory_is_scant_a_queue_that_nobody_reads_brings_little),
        cmocka_unit_test(where_memory_is_spent_it_brings_one_message),
        cmocka_unit_test(no_more_than_so_many_loads_are_under_way),
        cmocka_unit_test(lost_messages_are_not_counted_any_more),
        cmocka_unit_test(a_queue_whose_cold_messages_are_all_lost_is_empty),
        cmocka_unit_test(at_the_end_of_a_load_nothing_more_is_claimed),
        cmocka_unit_test(a_load_may_bring_what_came_since_it_was_asked_for),
        cmocka_unit_test(a_load_that_does_not_move_on_is_the_end),
        cmocka_unit_test(a_load_of_more_than_was_thought_is_believed),
        cmocka_unit_test(an_answer_that_nobody_asked_for_changes_nothing),
        cmocka_unit_test(a_purge_is_one_record_for_all_that_is_cold),
        cmocka_unit_test(a_load_from_before_a_purge_brings_nothing_back),
        cmocka_unit_test(a_queue_may_go_while_it_is_loading),
        cmocka_unit_test(a_queue_may_go_while_it_wants_to_load),
        cmocka_unit_test(a_queue_that_drops_its_head_waits_for_the_head),
        cmocka_unit_test(a_queue_that_refuses_counts_what_is_cold),
        cmocka_unit_test(what_is_cold_expires_when_it_is_at_the_head),
        cmocka_unit_test(a_clock_that_jumps_neither_keeps_nor_kills),
        cmocka_unit_test(dead_letters_go_cold_too),
    };
    return unit_main("cold", tests, argc, argv);
}
