#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/cold.h"
#include "broker/model/entry.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* A window of four messages: loads are asked for when less than two are in memory. */
enum { WINDOW_MESSAGES = 4 };

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static void begin_with(struct pair *p, uint64_t window_bytes, uint32_t queue_bytes)
{
    pair_init(p, &(struct broker_config){.memory_high = UINT64_MAX,
                                         .records = true,
                                         .window_bytes = window_bytes,
                                         .window_messages = WINDOW_MESSAGES,
                                         .window_queue_bytes = queue_bytes});
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

static void begin(struct pair *p)
{
    begin_with(p, 1, 1 << 20);
}

static void publish_as(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t flags)
{
    pair_publish_like(p,
                      (struct message_spec){.exchange = bytes_of_string(exchange),
                                            .routing_key = bytes_of_string(key),
                                            .flags = flags,
                                            .expiration_ms = MESSAGE_NO_EXPIRATION},
                      number);
}

static void publish(struct pair *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        publish_as(p, "", "q", i, MESSAGE_PERSISTENT);
}

static uint32_t count(struct pair *p)
{
    return world_count(&p->w, "q");
}

/* The next event is a delivery of that number. */
static ticket expect_number(struct pair *p, unsigned number, bool redelivered)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == DELIVERED);
    assert_int_equal(pair_number(e->delivered.msg), number);
    assert_int_equal(e->delivered.redelivered, redelivered);
    return e->delivered.ticket;
}

static void get(struct pair *p, unsigned client)
{
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = true});
    world_do(&p->w, (struct command){.verb = GET, .spec = s}, client, 0);
}

static void expect_got(struct pair *p, unsigned client, unsigned number)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL);
    assert_int_equal(e->what, GOT);
    assert_int_equal(e->to.outlet.slot, client);
    assert_int_equal(pair_number(e->delivered.msg), number);
}

static void expect_what(struct pair *p, enum happening what)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL);
    assert_int_equal(e->what, what);
}

static void purge(struct pair *p)
{
    world_do(&p->w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
}

static void delete_queue(struct pair *p)
{
    world_do(&p->w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
}

/* Takes what is in memory, so that a load is asked for, but not yet answered. */
static void drain_memory(struct pair *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        get(p, 0);
        expect_got(p, 0, i);
    }
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
    publish(&p, 0, ALL);
    pair_take(&p);
    world_consume(&p.w, 1, "q", 0, 0, false);
    unsigned got = 0, settled = 0;
    for (unsigned round = 0; got < ALL && round < 100; round++) {
        for (unsigned i = 0; i < 100; i++)
            pair_serve(&p);
        uint64_t out = broker_totals(p.w.broker).messages_out;
        assert_in_range(out, 1, COLD_OUT_MAX + COLD_WINDOW_MESSAGES);
        for (; got < settled + out; got++)
            tickets[got] = expect_number(&p, got, false);
        for (; settled < got; settled++)
            world_settle(&p.w, 1, tickets[settled], ACCEPTED);
    }
    assert_int_equal(got, ALL);
    pair_fini(&p);
}

/* --- the window */

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
    publish(&p, 0, 2);
    pair_take(&p);
    for (unsigned i = 0; i < 4; i++)
        world_publish(&p.w, "", "other", body);
    pair_take(&p);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 6);
    uint64_t before = broker_totals(p.w.broker).message_bytes;
    publish(&p, 2, 10);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, before);
    pair_take(&p);
    drain_memory(&p, 2);
    pair_serve(&p);
    for (unsigned i = 2; i < 10; i++) {
        get(&p, 0);
        pair_serve(&p);
        expect_got(&p, 0, i);
    }
    pair_fini(&p);
}

TEST(beyond_its_window_a_queue_leaves_memory)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 4);
    uint64_t held = broker_totals(p.w.broker).message_bytes;
    publish(&p, 4, 100);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, held);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 100);
    assert_int_equal(count(&p), 100);
    pair_fini(&p);
}

TEST(while_there_is_memory_nothing_leaves_it)
{
    struct pair p;
    begin_with(&p, 0, 0);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 100);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_take(&p);
    for (unsigned i = 0; i < 100; i++)
        expect_number(&p, i, false);
    assert_int_equal(pair_serve(&p), 0);
    pair_fini(&p);
}

TEST(the_bytes_of_a_queue_count_but_one_message_always_stays)
{
    struct pair p;
    begin_with(&p, 1, 1);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 1);
    uint64_t held = broker_totals(p.w.broker).message_bytes;
    assert_true(held > 0);
    publish(&p, 1, 2);
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
        publish_as(&p, "", "q", i, 0);
    pair_expect_records(&p, "transient publish 1:4");
    for (unsigned i = 0; i < 5; i++)
        publish_as(&p, "", "t", i, MESSAGE_PERSISTENT);
    pair_expect_records(&p, "transient publish 2:4");
    world_bind(&p.w, "q", "amq.fanout", "");
    world_bind(&p.w, "t", "amq.fanout", "");
    pair_take(&p);
    publish_as(&p, "amq.fanout", "", 5, MESSAGE_PERSISTENT); /* one of its places counts */
    pair_expect_records(&p, "publish 1:5 2:5");
    publish_as(&p, "amq.fanout", "", 6, 0);
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
    publish(&p, 0, 5);
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

/* --- order */

TEST(order_is_kept_across_window_and_loads)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 10);
    world_consume(&p.w, 0, "q", 0, 0, true);
    publish(&p, 10, 30); /* while the first load is under way */
    pair_serve(&p);
    publish(&p, 30, 50);
    pair_serve(&p);
    for (unsigned i = 0; i < 50; i++)
        expect_number(&p, i, false);
    assert_int_equal(keepsake_count(&p.k, 1), 0);
    assert_int_equal(broker_totals(p.w.broker).message_bytes, 0);
    publish(&p, 50, 52); /* it is not cold any more */
    pair_expect_records(&p, "");
    pair_fini(&p);
}

TEST(what_comes_back_comes_before_what_is_cold)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 8);
    world_consume(&p.w, 1, "q", 0, 3, false);
    ticket t[8];
    for (unsigned i = 0; i < 3; i++)
        t[i] = expect_number(&p, i, false);
    pair_take(&p); /* a load is under way */
    world_settle(&p.w, 1, t[1], ACCEPTED);
    expect_number(&p, 3, false);
    world_forget(&p.w);
    world_detach(&p.w, 1);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, false);
    pair_serve(&p);
    expect_number(&p, 0, true);
    expect_number(&p, 2, true);
    expect_number(&p, 3, true);
    for (unsigned i = 4; i < 8; i++)
        expect_number(&p, i, false);
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
        publish_as(&p, "", "q", i, 0);
    pair_expect_records(&p, "transient publish 1:4, transient publish 1:5");
    drain_memory(&p, 4);
    pair_expect_records(&p, "load 1:4"); /* once, though it was asked three times */
    pair_serve(&p);
    get(&p, 0);
    pair_expect_records(&p, "settle 1:4");
    pair_fini(&p);
}

/* --- loads */

TEST(a_load_is_asked_for_when_memory_runs_low)
{
    struct pair p;
    begin_with(&p, 3 * (sizeof(struct entry) + sizeof(struct message)), 1 << 20); /* about three messages */
    pair_queue(&p, "q", plain);
    publish(&p, 0, 5);
    pair_take(&p);
    get(&p, 0);
    pair_expect_records(&p, "settle 1:0");
    get(&p, 0);
    pair_expect_records(&p, "settle 1:1");
    get(&p, 0);
    pair_expect_records(&p, "settle 1:2, load 1:4");
    get(&p, 0);
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
    publish(&p, 0, 2000);
    pair_take(&p);
    drain_memory(&p, 1000);
    assert_int_equal(p.w.effects.records.records[p.w.effects.records.n - 1].kind, RECORD_SETTLE);
    for (unsigned i = 1000; i < 1023; i++)
        get(&p, 0);
    assert_int_equal(p.w.effects.records.n, 1023); /* no load while there is one message */
    get(&p, 0);
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
    publish(&p, 0, 2000);
    pair_take(&p);
    drain_memory(&p, 1024);
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
        publish_as(&p, "", name, 0, 0);
        publish_as(&p, "", name, 1, 0);
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
    publish(&p, 0, 8);
    pair_take(&p);
    keepsake_lose(&p.k, 1, 4);
    keepsake_lose(&p.k, 1, 6);
    drain_memory(&p, 4);
    pair_serve(&p);
    assert_int_equal(count(&p), 2);
    get(&p, 0);
    expect_got(&p, 0, 5);
    get(&p, 0);
    expect_got(&p, 0, 7);
    get(&p, 0);
    expect_what(&p, EMPTY);
    pair_fini(&p);
}

TEST(a_queue_whose_cold_messages_are_all_lost_is_empty)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    pair_take(&p);
    keepsake_lose(&p.k, 1, 4);
    keepsake_lose(&p.k, 1, 5);
    drain_memory(&p, 4);
    get(&p, 0); /* waits */
    world_expect_nothing(&p.w);
    pair_serve(&p);
    expect_what(&p, EMPTY);
    publish(&p, 6, 7);
    get(&p, 0);
    expect_got(&p, 0, 6);
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
    publish(&p, 0, 20);
    drain_memory(&p, 4);
    pair_take(&p);
    publish(&p, 20, 22); /* behind what was asked for */
    answer(&p, &(struct load){.next = 20, .is_end = true});
    assert_int_equal(count(&p), 2);
    pair_serve(&p);
    get(&p, 0);
    expect_got(&p, 0, 20);
    get(&p, 0);
    expect_got(&p, 0, 21);
    pair_fini(&p);
}

/* The store answers when it writes, and has been given more by then. */
TEST(a_load_may_bring_what_came_since_it_was_asked_for)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    pair_take(&p);
    load_destroy(keepsake_load(&p.k));
    publish(&p, 6, 8); /* 6 comes with the load, 7 does not */
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
    assert_int_equal(count(&p), 4);
    for (unsigned i = 4; i < 8; i++) {
        get(&p, 0);
        pair_serve(&p);
        expect_got(&p, 0, i);
    }
    assert_int_equal(count(&p), 0);
    pair_fini(&p);
}

TEST(a_load_that_does_not_move_on_is_the_end)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    pair_take(&p);
    answer(&p, &(struct load){.next = 0});
    assert_int_equal(count(&p), 0);
    pair_fini(&p);
}

TEST(a_load_of_more_than_was_thought_is_believed)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    pair_take(&p);
    answer(&p, &(struct load){.next = 6, .lost = UINT64_MAX, .lost_bytes = UINT64_MAX});
    assert_int_equal(count(&p), 0);
    pair_fini(&p);
}

TEST(an_answer_that_nobody_asked_for_changes_nothing)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    struct load *l = load_create(1);
    l->queue = 1;
    l->next = 100;
    l->is_end = true;
    world_do(&p.w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    assert_int_equal(count(&p), 6);
    pair_fini(&p);
}

/* --- purge and delete */

TEST(a_purge_is_one_record_for_all_that_is_cold)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 100);
    pair_take(&p);
    purge(&p);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].done.messages, 100);
    assert_int_equal(p.w.effects.events[p.w.effects.n - 1].after, p.w.effects.records.last);
    pair_expect_records(&p, "settle 1:0, settle 1:1, settle 1:2, settle 1:3, purge 1:4");
    assert_int_equal(count(&p), 0);
    publish(&p, 100, 101);
    get(&p, 0);
    world_forget(&p.w);
    pair_fini(&p);
}

TEST(a_load_from_before_a_purge_brings_nothing_back)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 10);
    drain_memory(&p, 4);
    pair_take(&p); /* under way */
    purge(&p);
    publish(&p, 10, 20); /* four in memory, six cold */
    assert_int_equal(count(&p), 10);
    pair_serve(&p);
    assert_int_equal(count(&p), 10);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 10; i < 20; i++)
        expect_number(&p, i, false);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(a_queue_may_go_while_it_is_loading)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 10);
    drain_memory(&p, 4);
    pair_take(&p);
    delete_queue(&p);
    pair_expect_records(&p, "undefine queue 1");
    pair_queue(&p, "q", plain); /* another one of that name */
    publish(&p, 0, 1);
    assert_int_equal(pair_serve(&p), 1);
    assert_int_equal(count(&p), 1);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 1);
    pair_fini(&p);
}

TEST(a_queue_may_go_while_it_wants_to_load)
{
    struct pair p;
    begin_with(&p, 1, 1);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 3);
    struct command c[] = {{.verb = GET, .spec = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = true})},
                          {.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}};
    for (unsigned i = 0; i < 2; i++)
        c[i].from = (struct origin){.outlet = {.slot = 0, .generation = 1}};
    broker_step(p.w.broker, &p.w.now, c, 2, &p.w.effects);
    assert_int_equal(pair_serve(&p), 0);
    pair_fini(&p);
}

/* --- limits and time */

TEST(a_queue_that_drops_its_head_waits_for_the_head)
{
    struct pair p;
    struct queue_options o = plain;
    o.max_length = 10;
    begin(&p);
    pair_queue(&p, "q", o);
    publish(&p, 0, 14); /* four were in memory */
    assert_int_equal(count(&p), 10);
    publish(&p, 14, 17);
    assert_int_equal(count(&p), 13); /* over its limit meanwhile */
    pair_serve(&p);
    assert_int_equal(count(&p), 10);
    world_forget(&p.w);
    world_consume(&p.w, 0, "q", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 7; i < 17; i++)
        expect_number(&p, i, false);
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
    publish(&p, 0, 20);
    assert_int_equal(count(&p), 6);
    pair_fini(&p);
}

TEST(what_is_cold_expires_when_it_is_at_the_head)
{
    struct pair p;
    struct queue_options o = plain;
    o.message_ttl_ms = 100;
    begin(&p);
    pair_queue(&p, "q", o);
    publish(&p, 0, 8);
    pair_serve(&p);
    world_wait(&p.w, 60);
    publish(&p, 8, 10);
    pair_serve(&p);
    world_wait(&p.w, 40);
    pair_serve(&p);
    assert_int_equal(count(&p), 2);
    world_wait(&p.w, 59);
    pair_serve(&p);
    assert_int_equal(count(&p), 2);
    world_wait(&p.w, 1);
    pair_serve(&p);
    assert_int_equal(count(&p), 0);
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
        publish(&p, 0, 6);
        drain_memory(&p, 4);
        pair_take(&p);
        p.w.now.wall_ms += back ? (uint64_t)-1000000 : 30;
        pair_serve(&p);
        assert_int_equal(count(&p), 2);
        world_wait(&p.w, back ? 99 : 69);
        assert_int_equal(count(&p), 2);
        world_wait(&p.w, 1);
        assert_int_equal(count(&p), 0);
        pair_fini(&p);
    }
}

/* --- GETs that wait */

TEST(a_get_waits_for_the_load_and_its_stream_for_it)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 7);
    drain_memory(&p, 4);
    pair_take(&p);
    world_forget(&p.w);
    get(&p, 0);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    get(&p, 1);
    get(&p, 0);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 1); /* another stream */
    expect_what(&p, DONE);
    world_expect_nothing(&p.w);
    pair_serve(&p);
    expect_got(&p, 0, 4);
    expect_got(&p, 1, 5);
    expect_what(&p, DONE);
    expect_got(&p, 0, 6);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(gets_behind_one_that_waits_may_have_to_wait_themselves)
{
    struct pair p;
    begin_with(&p, 1, 1); /* a load brings one message */
    pair_queue(&p, "q", plain);
    publish(&p, 0, 5);
    drain_memory(&p, 1);
    pair_take(&p);
    world_forget(&p.w);
    for (unsigned i = 1; i < 5; i++) {
        get(&p, 0);
        world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    }
    world_expect_nothing(&p.w);
    pair_serve(&p);
    for (unsigned i = 1; i < 5; i++) {
        expect_got(&p, 0, i);
        expect_what(&p, DONE);
    }
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(a_get_is_answered_from_what_comes_back)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    world_consume(&p.w, 1, "q", 0, 4, false);
    pair_take(&p);
    ticket t = expect_number(&p, 0, false);
    world_do(&p.w, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 0}}, 1, 0);
    get(&p, 0);
    world_forget(&p.w);
    world_settle(&p.w, 1, t, REQUEUED);
    expect_got(&p, 0, 0);
    pair_fini(&p);
}

TEST(a_get_whose_queue_is_purged_finds_it_empty)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    get(&p, 1);
    world_forget(&p.w);
    purge(&p);
    expect_what(&p, DONE);
    expect_what(&p, EMPTY);
    pair_fini(&p);
}

TEST(a_get_whose_queue_goes_fails_and_poisons_its_stream)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    get(&p, 1);
    world_do(&p.w, (struct command){.verb = ECHO}, 1, 0);
    world_forget(&p.w);
    delete_queue(&p);
    expect_what(&p, DONE);
    struct event *e = world_next(&p.w);
    CHECK(e != NULL);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, NO_SUCH_QUEUE);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(what_waits_behind_a_get_is_carried_out_before_its_client_ends)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    world_queue(&p.w, 0, "other", NULL);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    get(&p, 0);
    world_publish(&p.w, "", "other", "x");
    get(&p, 0);
    world_do(&p.w, (struct command){.verb = RESET}, 0, 0);
    world_forget(&p.w);
    world_detach(&p.w, 0);
    expect_what(&p, DONE); /* of the RESET; but nobody is there for the messages any more */
    expect_what(&p, DETACHED);
    world_expect_nothing(&p.w);
    world_attach(&p.w, 0);
    pair_serve(&p);
    assert_int_equal(world_count(&p.w, "other"), 1);
    assert_int_equal(count(&p), 2);
    pair_fini(&p);
}

TEST(a_stream_does_not_end_before_its_get_is_answered)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    world_forget(&p.w);
    world_do(&p.w, (struct command){.verb = GET, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0, 0);
    world_do(&p.w, (struct command){.verb = RESET}, 0, 0);
    world_expect_nothing(&p.w);
    pair_serve(&p);
    expect_got(&p, 0, 4);
    expect_what(&p, DONE);
    assert_int_equal(count(&p), 2); /* it came back */
    pair_fini(&p);
}

TEST(a_broker_may_end_with_a_get_that_waits)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    publish(&p, 0, 6);
    drain_memory(&p, 4);
    get(&p, 0);
    world_publish(&p.w, "", "q", "x");
    pair_take(&p);
    world_fini(&p.w);
    keepsake_fini(&p.k);
}

/* --- dead letters */

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
    publish(&p, 0, 12);
    pair_serve(&p);
    for (unsigned i = 0; i < 5; i++) {
        world_wait(&p.w, 10);
        pair_serve(&p);
    }
    assert_int_equal(count(&p), 0);
    assert_int_equal(world_count(&p.w, "dlq"), 12);
    assert_int_equal(keepsake_count(&p.k, 1), 0);
    assert_int_equal(keepsake_count(&p.k, 2), 12);
    world_forget(&p.w);
    world_consume(&p.w, 0, "dlq", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 0; i < 12; i++)
        expect_number(&p, i, false);
    pair_fini(&p);
}

/* --- rights that change while a GET waits */

static void alter(struct pair *p, enum change_kind kind, enum definition_class what, const char *read)
{
    uint8_t room[64];
    struct pen pen = pen_over(room, sizeof room);
    struct changes *all = changes_create();
    table_put_string(&pen, BYTES("read"), bytes_of_string(read));
    const struct spec spec = {.vhost = BYTES("/"), .name = BYTES("guest"), .arguments = pen_written(&pen)};
    changes_add(all, kind, what, spec_create(&spec));
    struct command c = {.verb = ALTER, .changes = all, .from = {.outlet = {.generation = DESK_GENERATION}}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    broker_check(p->w.broker);
    pair_take(p);
}

/* Everything is cold; client 1 waits for a message. */
static void begin_waiting(struct pair *p)
{
    begin(p);
    pair_queue(p, "q", plain);
    publish(p, 0, 8);
    drain_memory(p, WINDOW_MESSAGES);
    get(p, 1);
    get(p, 1);
    world_forget(&p->w);
}

TEST(who_may_not_read_any_more_is_not_given_what_it_waits_for)
{
    struct pair p;
    begin_waiting(&p);
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, "^other$");
    world_forget(&p.w);
    pair_serve(&p);
    struct event *e = world_next(&p.w);
    CHECK(e != NULL);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->verb, GET);
    assert_int_equal(e->failed.reason, DENIED);
    world_expect_nothing(&p.w); /* the second is behind the error */
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, ".*");
    world_forget(&p.w);
    get(&p, 0);
    expect_got(&p, 0, 4); /* nothing is lost */
    pair_fini(&p);
}

TEST(who_is_deleted_while_it_waits_takes_nothing_along)
{
    struct pair p;
    begin_waiting(&p);
    alter(&p, CHANGE_PUT, DEFINE_USER, "new"); /* so that records know both */
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, "^q$");
    alter(&p, CHANGE_REMOVE, DEFINE_USER, "");
    assert_int_equal(broker_totals(p.w.broker).outlets, 0);
    world_forget(&p.w);
    pair_serve(&p);
    world_expect_nothing(&p.w);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 4);
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
        cmocka_unit_test(a_get_waits_for_the_load_and_its_stream_for_it),
        cmocka_unit_test(gets_behind_one_that_waits_may_have_to_wait_themselves),
        cmocka_unit_test(a_get_is_answered_from_what_comes_back),
        cmocka_unit_test(a_get_whose_queue_is_purged_finds_it_empty),
        cmocka_unit_test(a_get_whose_queue_goes_fails_and_poisons_its_stream),
        cmocka_unit_test(what_waits_behind_a_get_is_carried_out_before_its_client_ends),
        cmocka_unit_test(a_stream_does_not_end_before_its_get_is_answered),
        cmocka_unit_test(a_broker_may_end_with_a_get_that_waits),
        cmocka_unit_test(dead_letters_go_cold_too),
        cmocka_unit_test(who_may_not_read_any_more_is_not_given_what_it_waits_for),
        cmocka_unit_test(who_is_deleted_while_it_waits_takes_nothing_along),
    };
    return unit_main("cold", tests, argc, argv);
}
