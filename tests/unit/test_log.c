/* Streams in the model (log.h, replay.h): with a naive store that answers their loads, and through restarts. */
#include "broker/port/queue_options.h"
#include "tests/unit/guest.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/bookmark.h"
#include "broker/model/log.h"
#include "broker/model/queue.h"
#include "broker/model/replay.h"
#include "broker/port/definition.h"
#include "broker/port/message.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { WINDOW_MESSAGES = 4, CLIENTS = 4, BODY = 100 };

struct pair {
    struct world w;
    struct keepsake k;
    struct broker_config config;
    struct queue_options options;
};

static void pair_init_with(struct pair *p, const struct broker_config *config)
{
    *p = (struct pair){.config = *config, .options = QUEUE_OPTIONS_NONE};
    p->options.type = QUEUE_STREAM;
    world_init_with(&p->w, &p->config);
    for (unsigned i = 1; i < CLIENTS; i++)
        world_attach(&p->w, i);
    world_forget(&p->w);
    keepsake_init(&p->k);
}

static void pair_init(struct pair *p)
{
    pair_init_with(p, &(struct broker_config){.memory_high = UINT64_MAX,
                                              .records = true,
                                              .window_messages = WINDOW_MESSAGES,
                                              .window_queue_bytes = 1 << 20});
}

static void take(struct pair *p)
{
    keepsake_take(&p->k, &p->w.effects.records);
}

/* The store answers one load; false: none is asked for. */
static bool serve_one(struct pair *p)
{
    take(p);
    struct load *l = keepsake_load(&p->k);
    if (l != NULL)
        world_do(&p->w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    take(p);
    return l != NULL;
}

static void serve(struct pair *p)
{
    while (serve_one(p))
        continue;
}

static void pair_fini(struct pair *p)
{
    serve(p);
    world_fini(&p->w);
    keepsake_fini(&p->k);
}

/* With arguments that say the same as the options: these are what a restart reads. */
static void declare(struct pair *p)
{
    uint8_t buf[300];
    char age[20];
    struct pen t = pen_over(buf, sizeof buf);
    const struct queue_options *o = &p->options;
    table_put_string(&t, BYTES("x-queue-type"), BYTES("stream"));
    if (o->segment_bytes != SPEC_NONE)
        table_put_i64(&t, BYTES("x-stream-max-segment-size-bytes"), (int64_t)o->segment_bytes);
    if (o->max_length_bytes != SPEC_NONE)
        table_put_i64(&t, BYTES("x-max-length-bytes"), (int64_t)o->max_length_bytes);
    snprintf(age, sizeof age, "%us", (unsigned)(o->max_age_ms / 1000));
    if (o->max_age_ms != SPEC_NONE)
        table_put_string(&t, BYTES("x-max-age"), bytes_of_string(age));
    world_queue(&p->w, 0, "s", &(struct spec){.durable = true, .options = p->options, .arguments = pen_written(&t)});
    take(p);
    world_forget(&p->w);
}

static const struct queue *stream(const struct pair *p)
{
    const struct queue *q = queue_find_by_id(p->w.broker, keepsake_queue(&p->k, "s"));
    CHECK(q != NULL && q->log != NULL);
    return q;
}

/* Without its store: what was kept is in another broker, a minute later. */
static void restart(struct pair *p)
{
    struct broker_config c = p->config;
    take(p);
    world_forget(&p->w);
    broker_destroy(p->w.broker);
    keepsake_restart(&p->k);
    c.default_vhost = "/";
    p->w.broker = broker_create(&c);
    guest_let_in(p->w.broker);
    keepsake_restore(&p->k, p->w.broker);
    broker_check(p->w.broker);
    p->w.now.ms += 50;
    p->w.now.wall_ms += 60000;
    for (unsigned i = 0; i < CLIENTS; i++)
        world_attach(&p->w, i);
    world_forget(&p->w);
    take(p);
}

/* A body that begins with its number; with a header x-stream-filter-value, or none. */
static void publish_with(struct pair *p, unsigned number, const char *filter, uint8_t flags, bool hold)
{
    char body[BODY] = {0};
    uint8_t table[100], encoded[200];
    struct pen t = pen_over(table, sizeof table), e = pen_over(encoded, sizeof encoded);
    if (filter != NULL)
        table_put_string(&t, BYTES("x-stream-filter-value"), bytes_of_string(filter));
    struct properties props = {.flags = filter != NULL ? PROPERTY_headers : 0, .headers = pen_written(&t)};
    properties_encode(&e, &props);
    snprintf(body, sizeof body, "%u", number);
    struct message *m =
        message_create(&(struct message_spec){.exchange = BYTES(""),
                                              .routing_key = BYTES("s"),
                                              .properties = pen_written(&e),
                                              .body_size = sizeof body,
                                              .flags = (uint8_t)(flags | (filter != NULL ? MESSAGE_HAS_HEADERS : 0)),
                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of(body, sizeof body));
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .hold = hold}}, 0, 0);
}

static void publish(struct pair *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        publish_with(p, i, NULL, 0, false);
        take(p);
    }
}

static struct spec *consume_spec(struct pen *table)
{
    return spec_create(&(struct spec){
        .name = BYTES("s"), .arguments = pen_written(table), .options = {.consumer_timeout_ms = SPEC_NONE}});
}

static void consume(struct pair *p, unsigned client, struct pen *table, unsigned limit)
{
    struct command c = {.verb = SUBSCRIBE, .subscribe = {.spec = consume_spec(table), .consumer = 0, .limit = limit}};
    uint64_t cookie = world_do(&p->w, c, client, 0);
    const struct event *e;
    do {
        e = world_next(&p->w);
        CHECK(e != NULL);
    } while (e->what != DONE || e->cookie != cookie);
}

static void consume_from(struct pair *p, unsigned client, int64_t offset, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_i64(&table, BYTES("x-stream-offset"), offset);
    consume(p, client, &table, limit);
}

static void consume_at(struct pair *p, unsigned client, const char *word, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_string(&table, BYTES("x-stream-offset"), bytes_of_string(word));
    consume(p, client, &table, limit);
}

static void cancel(struct pair *p, unsigned client)
{
    world_do(&p->w, (struct command){.verb = UNSUBSCRIBE}, client, 0);
}

/* The next delivery among the events, whoever it is for; NULL: none. */
static struct event *next_delivery(struct pair *p)
{
    struct event *e;
    while ((e = world_next(&p->w)) != NULL)
        if (e->what == DELIVERED)
            return e;
    return NULL;
}

static uint64_t number_of(const struct event *e)
{
    return strtoul((const char *)message_body(e->delivered.msg, 0).at, NULL, 10);
}

/* The next delivery is of this offset, and the message has the same number. */
static struct event *expect_offset(struct pair *p, unsigned client, uint64_t offset)
{
    struct event *e = next_delivery(p);
    CHECK(e != NULL);
    assert_int_equal(e->to.outlet.slot, client);
    assert_int_equal(e->delivered.stamp, STAMP_OFFSET);
    assert_int_equal(e->delivered.stamp_value, offset);
    assert_int_equal(number_of(e), offset);
    assert_false(e->delivered.redelivered);
    return e;
}

static void expect_offsets(struct pair *p, unsigned client, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        expect_offset(p, client, i);
}

static struct broker_totals totals(const struct pair *p)
{
    return broker_totals(p->w.broker);
}

static void settle(struct pair *p, unsigned client, const struct event *e)
{
    world_settle(&p->w, client, e->delivered.ticket, ACCEPTED);
}

/* --- reading */

TEST(everything_is_recorded_and_near_the_end_in_memory)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish_with(&p, 0, NULL, 0, false);
    publish_with(&p, 1, NULL, MESSAGE_PERSISTENT, false);
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "publish 1:0, publish 1:1");
    free(text);
    take(&p);
    publish(&p, 2, 50);
    assert_int_equal(totals(&p).messages_ready, 50);
    assert_int_equal(keepsake_count(&p.k, 1), 50);
    assert_int_equal(stream(&p)->log->n_recent, WINDOW_MESSAGES);
    consume_from(&p, 1, 46, 10);
    expect_offsets(&p, 1, 46, 50);
    assert_false(serve_one(&p)); /* nobody had to ask */
    pair_fini(&p);
}

TEST(what_is_older_comes_from_the_store)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 50);
    consume_at(&p, 1, "first", 100);
    assert_null(next_delivery(&p));
    serve(&p);
    expect_offsets(&p, 1, 0, 50);
    publish(&p, 50, 52);
    expect_offsets(&p, 1, 50, 52);
    pair_fini(&p);
}

TEST(readers_do_not_wait_for_one_another)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 30);
    consume_at(&p, 1, "first", 2); /* it settles nothing */
    serve(&p);
    expect_offsets(&p, 1, 0, 2);
    consume_from(&p, 2, 10, 100);
    serve(&p);
    expect_offsets(&p, 2, 10, 30);
    consume_at(&p, 3, "next", 100);
    publish(&p, 30, 31);
    expect_offset(&p, 2, 30);
    expect_offset(&p, 3, 30);
    assert_null(next_delivery(&p));
    pair_fini(&p);
}

/* With credit for one message at a time, while others are published. */
TEST(a_slow_reader_misses_nothing)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 10);
    consume_at(&p, 1, "first", 1);
    for (unsigned i = 0; i < 200; i++) {
        serve(&p);
        settle(&p, 1, expect_offset(&p, 1, i));
        if (i < 180)
            publish(&p, 10 + i, 11 + i);
        if (i == 189)
            break;
    }
    serve(&p);
    assert_null(next_delivery(&p));
    pair_fini(&p);
}

TEST(a_reader_has_no_more_in_memory_than_its_loads)
{
    enum { ALL = 12000, READERS = 3 };
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, ALL);
    uint64_t before = totals(&p).message_bytes, most = 0;
    unsigned read = 0;
    for (unsigned i = 0; i < READERS; i++)
        consume_from(&p, i + 1, i * 1000, 10);
    serve(&p);
    for (struct event *e; read < 6000;) {
        uint64_t now = totals(&p).message_bytes - before;
        most = now > most ? now : most;
        e = next_delivery(&p);
        if (e == NULL) {
            world_forget(&p.w);
            assert_true(serve_one(&p));
            continue;
        }
        settle(&p, e->to.outlet.slot, e);
        read++;
    }
    assert_true(most <= READERS * REPLAY_LOADS * (REPLAY_LOAD_BYTES + (8 << 10)) + (16 << 10));
    assert_true(most > REPLAY_LOAD_BYTES / 2); /* else this shows nothing */
    for (unsigned i = 0; i < READERS; i++)
        cancel(&p, i + 1);
    pair_fini(&p);
}

TEST(two_loads_are_under_way_or_there_and_no_third)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 3 * REPLAY_LOAD_MESSAGES);
    consume_at(&p, 1, "first", 1);
    unsigned loads = 0;
    while (serve_one(&p))
        loads++;
    assert_int_equal(loads, REPLAY_LOADS);
    pair_fini(&p);
}

TEST(an_offset_beyond_the_end_waits_for_it)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 5);
    consume_from(&p, 1, 8, 10);
    publish(&p, 5, 8);
    assert_null(next_delivery(&p));
    publish(&p, 8, 10);
    expect_offsets(&p, 1, 8, 10);
    pair_fini(&p);
}

TEST(a_message_that_is_lost_is_passed_by)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 20);
    keepsake_lose(&p.k, 1, 0);
    keepsake_lose(&p.k, 1, 7);
    consume_at(&p, 1, "first", 100);
    serve(&p);
    expect_offsets(&p, 1, 1, 7);
    expect_offsets(&p, 1, 8, 20);
    pair_fini(&p);
}

TEST(a_load_for_who_is_gone_is_dropped)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 20);
    consume_at(&p, 1, "first", 100);
    consume_at(&p, 2, "first", 100);
    take(&p);
    cancel(&p, 1);
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("s")})}, 0,
             0);
    serve(&p);
    assert_null(next_delivery(&p));
    assert_int_equal(totals(&p).message_bytes, 0);
    pair_fini(&p);
}

/* --- what a delivery waits for: nobody is told of an offset that may become another message's */

TEST(a_delivery_waits_for_its_message)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    consume_at(&p, 1, "next", 100);
    publish_with(&p, 0, NULL, 0, false);
    uint64_t at = p.w.effects.records.last;
    assert_int_equal(expect_offset(&p, 1, 0)->after, at);
    take(&p);
    for (unsigned i = 1; i < 20; i++)
        publish_with(&p, i, NULL, 0, false);
    at = p.w.effects.records.last;
    consume_at(&p, 2, "first", 100);
    world_forget(&p.w);
    serve(&p);
    for (unsigned i = 0; i < 16; i++) /* from the store: nobody knows better than that */
        assert_int_equal(expect_offset(&p, 2, i)->after, at);
    pair_fini(&p);
}

TEST(a_delivery_from_a_transaction_waits_for_its_commit)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    consume_at(&p, 1, "next", 100);
    publish_with(&p, 0, NULL, 0, true);
    struct tx *tx = alloc_zeroed(sizeof *tx);
    tx->commands = alloc_zeroed(sizeof *tx->commands);
    tx->n = tx->capacity = 1;
    struct message *m = message_create(&(struct message_spec){
        .routing_key = BYTES("s"), .properties = bytes_of("\0\0", 2), .expiration_ms = MESSAGE_NO_EXPIRATION});
    tx->commands[0] = (struct command){.verb = PUBLISH, .publish = {.msg = m}};
    take(&p);
    world_do(&p.w, (struct command){.verb = COMMIT, .tx = tx}, 0, 0);
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "tx publish 1:0, commit");
    free(text);
    struct event *e = next_delivery(&p);
    CHECK(e != NULL);
    assert_int_equal(e->after, p.w.effects.records.last);
    pair_fini(&p);
}

TEST(what_was_there_before_a_restart_is_safe)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 20);
    restart(&p);
    consume_at(&p, 1, "first", 100);
    serve(&p);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(expect_offset(&p, 1, i)->after, 0);
    pair_fini(&p);
}

/* --- filters */

TEST(a_filter_passes_by_what_it_does_not_want)
{
    struct pair p;
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    pair_init(&p);
    declare(&p);
    for (unsigned i = 0; i < 3 * REPLAY_LOAD_MESSAGES; i++) {
        publish_with(&p, i, i % 1000 == 999 ? "a" : i % 2 == 0 ? "b" : NULL, 0, false);
        take(&p);
    }
    uint64_t before = totals(&p).message_bytes;
    table_put_string(&table, BYTES("x-stream-offset"), BYTES("first"));
    table_put_string(&table, BYTES("x-stream-filter"), BYTES("a"));
    consume(&p, 1, &table, 100);
    serve(&p);
    for (unsigned i = 999; i < 3 * REPLAY_LOAD_MESSAGES; i += 1000)
        expect_offset(&p, 1, i);
    assert_null(next_delivery(&p));
    const struct replay *r = item_of(stream(&p)->log->replays.ring.next, struct replay, in_log);
    assert_null(r->loads[0]);
    assert_true(totals(&p).message_bytes < before + (16 << 10));
    pair_fini(&p);
}

/* --- time */

TEST(a_time_finds_the_first_message_that_is_not_older)
{
    enum { ALL = 60 };
    struct pair p;
    uint64_t ms[ALL];
    pair_init(&p);
    p.options.segment_bytes = 2000;
    declare(&p);
    p.w.now.wall_ms = 5000000;
    for (unsigned i = 0; i < ALL; i++) {
        world_wait(&p.w, 700 * (i % 5));
        ms[i] = p.w.now.wall_ms;
        publish(&p, i, i + 1);
    }
    for (unsigned round = 0; round < 2; round++, restart(&p))
        for (uint64_t s = ms[0] / 1000 - 1; s <= ms[ALL - 1] / 1000 + 1; s++) {
            uint8_t buf[100];
            struct pen table = pen_over(buf, sizeof buf);
            unsigned first = 0;
            while (first < ALL && ms[first] < s * 1000)
                first++;
            table_put_timestamp(&table, BYTES("x-stream-offset"), s);
            consume(&p, 1, &table, 1);
            serve(&p);
            if (first < ALL)
                settle(&p, 1, expect_offset(&p, 1, first));
            cancel(&p, 1);
            world_forget(&p.w);
            serve(&p);
        }
    pair_fini(&p);
}

/* --- what goes */

TEST(what_is_too_much_goes_by_whole_parts)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_length_bytes = 4000;
    declare(&p);
    uint64_t first = 0;
    for (unsigned i = 0; i < 200; i++) {
        publish(&p, i, i + 1);
        const struct log *l = stream(&p)->log;
        assert_true(log_first(l) >= first);
        first = log_first(l);
        assert_true(l->size <= 4000);
        assert_int_equal(keepsake_count(&p.k, 1), i + 1 - first);
        assert_int_equal(totals(&p).messages_ready, i + 1 - first);
    }
    assert_true(first > 150);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_PART),
                     stream(&p)->log->n_parts - stream(&p)->log->first_part - 1);
    pair_fini(&p);
}

TEST(a_reader_of_what_goes_continues_with_what_is_left)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_length_bytes = 4000;
    declare(&p);
    publish(&p, 0, 10);
    consume_at(&p, 1, "first", 1);
    serve(&p);
    const struct event *e = expect_offset(&p, 1, 0);
    ticket t = e->delivered.ticket;
    publish(&p, 10, 300);
    uint64_t first = log_first(stream(&p)->log);
    world_settle(&p.w, 1, t, ACCEPTED);
    serve(&p);
    expect_offset(&p, 1, first);
    pair_fini(&p);
}

TEST(the_records_of_what_goes_end_with_a_trim)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1;
    p.options.max_length_bytes = 1;
    declare(&p);
    publish(&p, 0, 1);
    publish_with(&p, 1, NULL, 0, false);
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "define part of a stream, publish 1:1, undefine part of a stream, trim 1:1");
    free(text);
    pair_fini(&p);
}

TEST(what_is_too_old_goes_without_anybody_coming)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_age_ms = 10000;
    declare(&p);
    for (unsigned i = 0; i < 20; i++) {
        publish(&p, i, i + 1);
        world_wait(&p.w, 100);
    }
    world_wait(&p.w, 9000);
    take(&p);
    uint64_t kept = totals(&p).messages_ready;
    assert_true(kept < 20 && kept > 8);
    world_wait(&p.w, 100000);
    take(&p);
    assert_true(totals(&p).messages_ready > 0 && totals(&p).messages_ready <= 6); /* the part that is written */
    assert_int_equal(keepsake_count(&p.k, 1), totals(&p).messages_ready);
    pair_fini(&p);
}

TEST(parts_are_not_more_than_can_be_counted)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 0;
    declare(&p);
    publish(&p, 0, 5 * LOG_PARTS_MAX);
    assert_true(stream(&p)->log->n_parts <= 3 * LOG_PARTS_MAX);
    pair_fini(&p);
}

/* --- restarts */

TEST(a_restart_changes_neither_offsets_nor_what_goes)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_length_bytes = 6000;
    declare(&p);
    for (unsigned round = 0; round < 10; round++) {
        unsigned end = (round + 1) * 27;
        publish(&p, round * 27, end);
        uint64_t first = log_first(stream(&p)->log), size = stream(&p)->log->size;
        restart(&p);
        assert_int_equal(log_first(stream(&p)->log), first);
        assert_int_equal(totals(&p).messages_ready, end - first);
        assert_true(stream(&p)->log->size <= size + 500 && stream(&p)->log->size + 500 >= size);
        consume_at(&p, 1, "first", 1000);
        serve(&p);
        expect_offsets(&p, 1, first, end);
        assert_null(next_delivery(&p));
        cancel(&p, 1);
        world_forget(&p.w);
    }
    pair_fini(&p);
}

TEST(what_became_too_old_meanwhile_goes_after_a_restart)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_age_ms = 30000; /* a restart takes a minute */
    declare(&p);
    publish(&p, 0, 22);
    assert_int_equal(totals(&p).messages_ready, 22);
    restart(&p);
    world_wait(&p.w, 1);
    take(&p);
    uint64_t first = log_first(stream(&p)->log);
    assert_true(first > 10 && first < 22);
    assert_int_equal(keepsake_count(&p.k, 1), 22 - first);
    pair_fini(&p);
}

/* Only some of the records reached the disk. */
TEST(a_crash_while_parts_go_leaves_messages_that_are_read_and_go_later)
{
    struct pair p;
    pair_init(&p);
    p.options.segment_bytes = 1000;
    p.options.max_length_bytes = 4000;
    declare(&p);
    unsigned n = 0;
    for (bool trims = false; !trims; n++) {
        take(&p);
        publish_with(&p, n, NULL, 0, false);
        trims = p.w.effects.records.records[p.w.effects.records.n - 1].kind == RECORD_TRIM;
    }
    uint64_t left = totals(&p).messages_ready;
    p.w.effects.records.n--; /* not the TRIM */
    p.w.effects.records.last--;
    restart(&p);
    assert_int_equal(totals(&p).messages_ready, n);
    consume_at(&p, 1, "first", 1000);
    serve(&p);
    expect_offsets(&p, 1, 0, n);
    publish(&p, n, n + 10);
    assert_true(totals(&p).messages_ready <= left + 10);
    assert_int_equal(keepsake_count(&p.k, 1), totals(&p).messages_ready);
    pair_fini(&p);
}

TEST(a_restored_part_that_is_nonsense_is_refused)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 1);
    struct definition_part part = {.queue = 1, .first = 0, .count = 5};
    struct broker_config c = p.config;
    struct broker *b;
    c.default_vhost = "/";
    b = broker_create(&c);
    guest_let_in(b);
    struct definition *d = definition_of_part(&part, true);
    assert_false(broker_restore_definition(b, DEFINE_PART, 1, d->key, d->value)); /* of which queue? */
    free(d);
    broker_destroy(b);
    restart(&p);
    d = definition_of_part(&part, true);
    assert_false(broker_restore_definition(p.w.broker, DEFINE_PART, 1, d->key, d->value)); /* too late */
    free(d);
    pair_fini(&p);
}

static bool restores_part(struct broker *b, uint64_t first, uint64_t count)
{
    struct definition *d =
        definition_of_part(&(struct definition_part){.queue = 1, .first = first, .count = count, .bytes = count}, true);
    bool is_fine = broker_restore_definition(b, DEFINE_PART, 1, d->key, d->value);
    free(d);
    return is_fine;
}

/* While the disk is full, one overtakes another that waits with its transaction. */
TEST(parts_are_restored_in_any_order_but_never_overlap)
{
    struct pair p;
    pair_init(&p);
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_string(&pen, BYTES("x-queue-type"), BYTES("stream"));
    struct spec spec = {
        .name = BYTES("s"), .durable = true, .arguments = pen_written(&pen), .options = QUEUE_OPTIONS_NONE};
    struct broker_config c = p.config;
    c.default_vhost = "/";
    struct broker *b = broker_create(&c);
    struct definition *d = definition_define(DEFINE_QUEUE, 1, BYTES("/"), &spec);
    assert_true(broker_restore_definition(b, DEFINE_QUEUE, 1, d->key, d->value));
    free(d);
    assert_true(restores_part(b, 10, 5));
    assert_true(restores_part(b, 0, 4));
    assert_false(restores_part(b, 3, 3));
    assert_false(restores_part(b, 8, 3));
    assert_false(restores_part(b, 12, 1));
    assert_true(restores_part(b, 4, 6));
    assert_true(broker_restore_queue(b, 1, 20, 20, 20));
    broker_check(b);
    broker_destroy(b);
    pair_fini(&p);
}

/* A part that overtook its messages, for want of room: the one that is being written, or none. */
TEST(parts_of_messages_that_never_came_are_taken_back)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 5);
    const uint64_t firsts[] = {0, 10, 15};
    for (size_t i = 0; i < 3; i++) {
        const struct definition_part part = {.queue = 1, .first = firsts[i], .count = 5 + 5 * (i == 0), .bytes = 500};
        struct sheaf *to = &p.w.effects.records;
        sheaf_add(to, RECORD_DEFINE)->definition = definition_of_part(&part, true);
        to->last = p.k.position + i + 1;
    }
    restart(&p);
    take(&p);
    world_wait(&p.w, 1);
    take(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_PART), 1); /* it is replaced when the part is closed */
    assert_int_equal(totals(&p).messages_ready, 5);
    publish(&p, 5, 40);
    restart(&p);
    consume_at(&p, 1, "first", 1000);
    serve(&p);
    expect_offsets(&p, 1, 0, 40);
    pair_fini(&p);
}

/* --- bookmarks */

static void consume_tracked(struct pair *p, unsigned client, const char *tag, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_string(&table, BYTES("x-stream-offset"), BYTES("first"));
    table_put_bool(&table, BYTES("x-stream-automatic-offset-tracking"), true);
    struct spec *spec = spec_create(&(struct spec){.name = BYTES("s"),
                                                   .key = bytes_of_string(tag),
                                                   .arguments = pen_written(&table),
                                                   .options = {.consumer_timeout_ms = SPEC_NONE}});
    world_do(&p->w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = spec, .limit = limit}}, client, 0);
    serve(p);
}

TEST(a_tracked_reader_goes_on_where_it_stopped_after_a_crash_too)
{
    struct pair p;
    ticket tickets[10];
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 30);
    consume_tracked(&p, 1, "me", 10);
    for (unsigned i = 0; i < 10; i++)
        tickets[i] = expect_offset(&p, 1, i)->delivered.ticket;
    for (unsigned i = 0; i < 7; i++)
        if (i != 4)
            world_settle(&p.w, 1, tickets[i], ACCEPTED);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_BOOKMARK), 0);
    world_wait(&p.w, BOOKMARK_MS);
    take(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_BOOKMARK), 1);
    restart(&p);
    consume_tracked(&p, 1, "me", 100);
    expect_offsets(&p, 1, 4, 30);
    consume_tracked(&p, 2, "you", 100);
    expect_offsets(&p, 2, 0, 30);
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("s")})}, 0,
             0);
    take(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_BOOKMARK), 0);
    pair_fini(&p);
}

TEST(bookmarks_are_not_more_than_can_be_counted)
{
    struct pair p;
    pair_init(&p);
    declare(&p);
    publish(&p, 0, 1);
    for (unsigned i = 0; i < BOOKMARKS_MAX + 20; i++) {
        char tag[20];
        snprintf(tag, sizeof tag, "t%u", i);
        world_forget(&p.w);
        consume_tracked(&p, 1, tag, 1);
        settle(&p, 1, expect_offset(&p, 1, 0));
        cancel(&p, 1);
        take(&p);
    }
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_BOOKMARK), BOOKMARKS_MAX);
    restart(&p);
    assert_int_equal(stream(&p)->log->n_bookmarks, BOOKMARKS_MAX);
    pair_fini(&p);
}

/* --- without a store */

TEST(without_records_all_of_it_is_in_memory)
{
    struct pair p;
    pair_init_with(&p, &(struct broker_config){.memory_high = UINT64_MAX, .window_messages = WINDOW_MESSAGES});
    p.options.segment_bytes = 1000;
    p.options.max_length_bytes = 20000;
    declare(&p);
    publish(&p, 0, 100);
    consume_at(&p, 1, "first", 1000);
    expect_offsets(&p, 1, 0, 100);
    publish(&p, 100, 1000);
    cancel(&p, 1);
    assert_true(totals(&p).messages_ready < 200);
    assert_true(totals(&p).message_bytes < 300000);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_recorded_and_near_the_end_in_memory),
        cmocka_unit_test(what_is_older_comes_from_the_store),
        cmocka_unit_test(readers_do_not_wait_for_one_another),
        cmocka_unit_test(a_slow_reader_misses_nothing),
        cmocka_unit_test(a_reader_has_no_more_in_memory_than_its_loads),
        cmocka_unit_test(two_loads_are_under_way_or_there_and_no_third),
        cmocka_unit_test(an_offset_beyond_the_end_waits_for_it),
        cmocka_unit_test(a_message_that_is_lost_is_passed_by),
        cmocka_unit_test(a_load_for_who_is_gone_is_dropped),
        cmocka_unit_test(a_delivery_waits_for_its_message),
        cmocka_unit_test(a_delivery_from_a_transaction_waits_for_its_commit),
        cmocka_unit_test(what_was_there_before_a_restart_is_safe),
        cmocka_unit_test(a_filter_passes_by_what_it_does_not_want),
        cmocka_unit_test(a_time_finds_the_first_message_that_is_not_older),
        cmocka_unit_test(what_is_too_much_goes_by_whole_parts),
        cmocka_unit_test(a_reader_of_what_goes_continues_with_what_is_left),
        cmocka_unit_test(the_records_of_what_goes_end_with_a_trim),
        cmocka_unit_test(what_is_too_old_goes_without_anybody_coming),
        cmocka_unit_test(parts_are_not_more_than_can_be_counted),
        cmocka_unit_test(a_restart_changes_neither_offsets_nor_what_goes),
        cmocka_unit_test(what_became_too_old_meanwhile_goes_after_a_restart),
        cmocka_unit_test(a_crash_while_parts_go_leaves_messages_that_are_read_and_go_later),
        cmocka_unit_test(a_restored_part_that_is_nonsense_is_refused),
        cmocka_unit_test(parts_are_restored_in_any_order_but_never_overlap),
        cmocka_unit_test(parts_of_messages_that_never_came_are_taken_back),
        cmocka_unit_test(a_tracked_reader_goes_on_where_it_stopped_after_a_crash_too),
        cmocka_unit_test(bookmarks_are_not_more_than_can_be_counted),
        cmocka_unit_test(without_records_all_of_it_is_in_memory),
    };
    return unit_main("log", tests, argc, argv);
}
