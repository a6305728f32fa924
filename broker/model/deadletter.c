#include "broker/model/deadletter.h"

#include <stdlib.h>

#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/obituary.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

/* The dead letter of e for exchange x; the caller holds the only reference. */
static struct message *write_letter(const struct broker *b, const struct entry *e, const struct exchange *x)
{
    static const struct bytes none = {0};
    const struct message *died = e->msg;
    const struct queue_options *o = &e->queue->options;
    const struct death_record record = {
        .msg = died, .queue = e->queue->name, .death = e->death, .wall_ms = b->now.wall_ms};
    struct message_spec spec = {
        .exchange = x->name,
        .routing_key = o->has_dead_letter_routing_key ? o->dead_letter_routing_key : message_key(died),
        .extra_keys = o->has_dead_letter_routing_key ? none : message_extra_keys(died),
        .cc_count = o->has_dead_letter_routing_key ? 0 : died->cc_count,
        .expiration_ms = MESSAGE_NO_EXPIRATION,
        .flags = died->flags | MESSAGE_HAS_HEADERS,
        .priority = died->priority,
    };
    spec.deaths = obituary_write(&record, &spec.properties);
    struct message *letter = message_create_with_body(&spec, e->msg);
    free((void *)(uintptr_t)spec.properties.at);
    return letter;
}

/* Answers true if the letter's record has settled e. */
static bool send_letter(struct broker *b, struct entry *e, struct exchange *x)
{
    bool is_due = e->death == DEATH_DUE;
    struct message *letter = is_due ? delayed_write_letter(e->msg) : write_letter(b, e, x);
    struct routing routing = {.key = message_key(letter), .extra_keys = message_extra_keys(letter), .msg = letter};
    const struct route *route = route_message(b, x, &routing);
    bool is_tx = dedup_begin(b, &b->dedup.round, route->queues, route->n);
    remember_begin_letter(b, letter, e);
    for (size_t i = 0; i < route->n; i++) {
        struct queue *q = route->queues[i];
        if (is_due || e->death == DEATH_REJECTED ||
            obituary_allows(message_properties(letter), letter->deaths, q->name))
            queue_publish(b, q, message_ref(letter));
    }
    message_unref(letter);
    bool is_settled = b->publishing.is_open;
    dedup_end(b, &b->dedup.round, route->n > 0, is_tx);
    return is_settled;
}

/* Where it goes; NULL: nowhere, any more. */
static struct exchange *exchange_of(const struct broker *b, const struct entry *e)
{
    const struct queue *q = e->queue;
    if (e->death == DEATH_DUE)
        return q->gone ? NULL : q->delayed->exchange;
    return vhost_find_exchange(b, q->vhost, q->options.dead_letter_exchange);
}

bool deadletter_is_due(const struct broker *b)
{
    return !list_is_empty(&b->fresh) || !list_is_empty(&b->deaths);
}

void deadletter_next(struct broker *b)
{
    list_prepend_all(&b->deaths, &b->fresh);
    if (!list_is_empty(&b->deaths)) {
        struct entry *e = item_of(b->deaths.ring.next, struct entry, in_queue);
        struct queue *q = e->queue;
        list_remove(&e->in_queue);
        struct exchange *x = exchange_of(b, e);
        if (x != NULL && send_letter(b, e, x))
            entry_destroy(b, e);
        else
            entry_end(b, e);
        queue_bury(b, q);
    }
}

void deadletter_forget(struct broker *b)
{
    list_prepend_all(&b->deaths, &b->fresh);
    while (!list_is_empty(&b->deaths)) {
        struct entry *e = item_of(b->deaths.ring.next, struct entry, in_queue);
        struct queue *q = e->queue;
        list_remove(&e->in_queue);
        entry_destroy(b, e);
        queue_bury(b, q);
    }
}
