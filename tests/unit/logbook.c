#include "tests/unit/logbook.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/queue.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/unit/unit.h"

void logbook_init_with(struct logbook *book, const struct broker_config *config)
{
    *book = (struct logbook){.options = QUEUE_OPTIONS_NONE};
    book->options.type = QUEUE_STREAM;
    pair_init(&book->pair, config);
    for (unsigned i = 1; i < LOGBOOK_CLIENTS; i++)
        world_attach(&book->pair.w, i);
    world_forget(&book->pair.w);
}

void logbook_init(struct logbook *book)
{
    logbook_init_with(book, &(struct broker_config){.memory_high = UINT64_MAX,
                                                    .records = true,
                                                    .window_messages = LOGBOOK_WINDOW,
                                                    .window_queue_bytes = 1 << 20});
}

void logbook_declare(struct logbook *book)
{
    uint8_t buf[300];
    char age[20];
    struct pen t = pen_over(buf, sizeof buf);
    const struct queue_options *o = &book->options;
    table_put_string(&t, BYTES("x-queue-type"), BYTES("stream"));
    if (o->segment_bytes != SPEC_NONE)
        table_put_i64(&t, BYTES("x-stream-max-segment-size-bytes"), (int64_t)o->segment_bytes);
    if (o->max_length_bytes != SPEC_NONE)
        table_put_i64(&t, BYTES("x-max-length-bytes"), (int64_t)o->max_length_bytes);
    snprintf(age, sizeof age, "%us", (unsigned)(o->max_age_ms / 1000));
    if (o->max_age_ms != SPEC_NONE)
        table_put_string(&t, BYTES("x-max-age"), bytes_of_string(age));
    world_queue(&book->pair.w, 0, "s",
                &(struct spec){.durable = true, .options = book->options, .arguments = pen_written(&t)});
    pair_take(&book->pair);
    world_forget(&book->pair.w);
}

const struct queue *logbook_stream(const struct logbook *book)
{
    const struct queue *q = queue_find_by_id(book->pair.w.broker, keepsake_queue(&book->pair.k, "s"));
    CHECK(q != NULL && q->log != NULL);
    return q;
}

void logbook_restart(struct logbook *book)
{
    pair_crash(&book->pair);
    book->pair.w.now.ms += 50;
    book->pair.w.now.wall_ms += 60000;
    for (unsigned i = 0; i < LOGBOOK_CLIENTS; i++)
        world_attach(&book->pair.w, i);
    world_forget(&book->pair.w);
    pair_take(&book->pair);
}

void logbook_publish_with(struct logbook *book, unsigned number, const char *filter, uint8_t flags, bool hold)
{
    char body[LOGBOOK_BODY] = {0};
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
    world_do(&book->pair.w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .hold = hold}}, 0, 0);
}

void logbook_publish(struct logbook *book, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        logbook_publish_with(book, i, NULL, 0, false);
        pair_take(&book->pair);
    }
}

static struct spec *consume_spec(struct pen *table)
{
    return spec_create(&(struct spec){
        .name = BYTES("s"), .arguments = pen_written(table), .options = {.consumer_timeout_ms = SPEC_NONE}});
}

void logbook_consume(struct logbook *book, unsigned client, struct pen *table, unsigned limit)
{
    struct command c = {.verb = SUBSCRIBE, .subscribe = {.spec = consume_spec(table), .consumer = 0, .limit = limit}};
    uint64_t cookie = world_do(&book->pair.w, c, client, 0);
    const struct event *e;
    do {
        e = world_next(&book->pair.w);
        CHECK(e != NULL);
    } while (e->what != DONE || e->cookie != cookie);
}

void logbook_consume_from(struct logbook *book, unsigned client, int64_t offset, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_i64(&table, BYTES("x-stream-offset"), offset);
    logbook_consume(book, client, &table, limit);
}

void logbook_consume_at(struct logbook *book, unsigned client, const char *word, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_string(&table, BYTES("x-stream-offset"), bytes_of_string(word));
    logbook_consume(book, client, &table, limit);
}

void logbook_cancel(struct logbook *book, unsigned client)
{
    world_do(&book->pair.w, (struct command){.verb = UNSUBSCRIBE}, client, 0);
}

struct event *logbook_next(struct logbook *book)
{
    struct event *e;
    while ((e = world_next(&book->pair.w)) != NULL)
        if (e->what == DELIVERED)
            return e;
    return NULL;
}

static uint64_t number_of(const struct event *e)
{
    return strtoul((const char *)message_body(e->delivered.msg, 0).at, NULL, 10);
}

struct event *logbook_expect_offset(struct logbook *book, unsigned client, uint64_t offset)
{
    struct event *e = logbook_next(book);
    CHECK(e != NULL);
    assert_int_equal(e->to.outlet.slot, client);
    assert_int_equal(e->delivered.stamp, STAMP_OFFSET);
    assert_int_equal(e->delivered.stamp_value, offset);
    assert_int_equal(number_of(e), offset);
    assert_false(e->delivered.redelivered);
    return e;
}

void logbook_expect_offsets(struct logbook *book, unsigned client, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        logbook_expect_offset(book, client, i);
}

struct broker_totals logbook_totals(const struct logbook *book)
{
    return broker_totals(book->pair.w.broker);
}

void logbook_settle(struct logbook *book, unsigned client, const struct event *e)
{
    world_settle(&book->pair.w, client, e->delivered.ticket, ACCEPTED);
}
