#include "tests/unit/recorded.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/port/message.h"
#include "tests/unit/unit.h"

void recorded_begin(struct pair *p)
{
    pair_init(p, &(struct broker_config){.memory_high = UINT64_MAX, .records = true});
}

void recorded_queue(struct pair *p, const char *name, struct queue_options o)
{
    world_queue(&p->w, 0, name, &(struct spec){.durable = true, .options = o});
}

void recorded_queues(struct pair *p, const char *a, const char *b)
{
    recorded_queue(p, a, (struct queue_options)QUEUE_OPTIONS_NONE);
    if (b != NULL)
        recorded_queue(p, b, (struct queue_options)QUEUE_OPTIONS_NONE);
    pair_take(p);
    world_forget(&p->w);
}

struct message *recorded_message(const char *exchange, const char *key, const char *body, bool persistent)
{
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(exchange),
                                                              .routing_key = bytes_of_string(key),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = strlen(body),
                                                              .flags = persistent ? MESSAGE_PERSISTENT : 0,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of_string(body));
    return m;
}

void recorded_publish(struct pair *p, const char *exchange, const char *key)
{
    world_do(&p->w,
             (struct command){.verb = PUBLISH, .publish = {.msg = recorded_message(exchange, key, "body", true)}}, 0,
             0);
}

struct event *recorded_publish_confirmed(struct pair *p, const char *exchange, const char *key)
{
    world_forget(&p->w);
    world_do(&p->w,
             (struct command){.verb = PUBLISH,
                              .publish = {.msg = recorded_message(exchange, key, "body", true), .confirm = true}},
             0, 0);
    struct event *e;
    do {
        e = world_next(&p->w);
        CHECK(e != NULL);
    } while (e->what != CONFIRMED && e->what != REFUSED);
    return e;
}

struct event *recorded_say(struct pair *p, struct command c, unsigned client)
{
    world_forget(&p->w);
    uint64_t cookie = world_do(&p->w, c, client, 0);
    struct event *e;
    do {
        e = world_next(&p->w);
        CHECK(e != NULL);
    } while ((e->what != DONE && e->what != FAILED) || e->cookie != cookie);
    return e;
}

struct event *recorded_say_spec(struct pair *p, enum verb verb, unsigned client, struct spec s)
{
    return recorded_say(p, (struct command){.verb = verb, .spec = spec_create(&s)}, client);
}

ticket recorded_next_ticket(struct pair *p)
{
    struct event *e;
    do {
        e = world_next(&p->w);
        CHECK(e != NULL);
    } while (e->what != DELIVERED && e->what != GOT);
    return e->delivered.ticket;
}

struct queue_options recorded_dead_lettered(const char *key)
{
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.has_dead_letter_exchange = true;
    o.has_dead_letter_routing_key = true;
    o.dead_letter_exchange = BYTES("");
    o.dead_letter_routing_key = bytes_of_string(key);
    return o;
}

struct tx *recorded_tx_of(struct command *c, size_t n)
{
    struct tx *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->commands = calloc(n, sizeof *c);
    assert_non_null(t->commands);
    memcpy(t->commands, c, n * sizeof *c);
    t->n = n;
    return t;
}

bool recorded_is_settled_when(struct pair *p, const char *exchange, enum outcome outcome)
{
    struct message *m = recorded_message(exchange, "q", "body", true);
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = message_ref(m)}}, 0, 0);
    assert_false(message_is_settled(m));
    world_settle(&p->w, 0, recorded_next_ticket(p), outcome);
    bool is_settled = message_is_settled(m);
    message_unref(m);
    return is_settled;
}
