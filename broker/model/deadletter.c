#include "broker/model/deadletter.h"

#include <stdlib.h>

#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/history.h"
#include "broker/model/letters.h"
#include "broker/model/obituary.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

static const struct bytes none;

bool deadletter_has_exchange(const struct queue *q, const struct message *msg)
{
    return q->options->has_dead_letter_exchange || (msg->flags & MESSAGE_HAS_DEAD_LETTER) != 0;
}

/* What the message's own headers say counts before the queue's options. */
static struct address address_of(const struct queue *q, const struct message *msg)
{
    const struct queue_options *o = q->options;
    struct address a = {.exchange = o->dead_letter_exchange,
                        .key = o->dead_letter_routing_key,
                        .has_exchange = o->has_dead_letter_exchange,
                        .has_key = o->has_dead_letter_routing_key};
    if ((msg->flags & MESSAGE_HAS_DEAD_LETTER) == 0)
        return a;
    a.has_exchange = false;
    history_read_address(message_properties(msg), &a);
    /* To an exchange that it names itself a publisher may write (rights.h); a key that the queue's owner has fixed for
     * another is not the publisher's to choose. */
    if (!a.has_exchange && o->has_dead_letter_routing_key)
        a.key = o->dead_letter_routing_key;
    if (!a.has_exchange)
        a.exchange = o->dead_letter_exchange;
    a.has_exchange |= o->has_dead_letter_exchange;
    return a;
}

struct exchange *deadletter_exchange(const struct broker *b, const struct queue *q, const struct message *msg)
{
    struct address a = address_of(q, msg);
    return a.has_exchange ? vhost_find_exchange(b, q->vhost, a.exchange) : NULL;
}

bool deadletter_find_name(const struct queue *q, const struct message *msg, struct bytes *name)
{
    struct address a = address_of(q, msg);
    *name = a.exchange;
    return a.has_exchange;
}

/* Of these properties, which move; msg: that died, or as deadletter_describe() has made it. */
static struct message *compose(const struct queue *q, const struct message *msg, struct bytes properties,
                               uint16_t deaths, const struct exchange *x)
{
    struct address a = address_of(q, msg);
    struct message_spec spec = {
        .exchange = x->name,
        .routing_key = a.has_key ? a.key : message_key(msg),
        .extra_keys = a.has_key ? none : message_extra_keys(msg),
        .cc_count = a.has_key ? 0 : message_cc_count(msg),
        .properties = properties,
        .deaths = deaths,
        .expiration_ms = MESSAGE_NO_EXPIRATION,
        .flags = (uint8_t)((msg->flags | MESSAGE_HAS_HEADERS) & ~MESSAGE_HAS_DEAD_LETTER),
        .priority = msg->priority,
    };
    return message_create_with_body(&spec, (struct message *)(uintptr_t)msg);
}

static struct death_record record_of(const struct broker *b, const struct entry *e, bool keeps_address)
{
    return (struct death_record){.msg = e->msg,
                                 .queue = e->queue->name,
                                 .death = e->death,
                                 .wall_ms = b->now.wall_ms,
                                 .keeps_address = keeps_address,
                                 .ignores_client = b->ignores_client_deaths};
}

struct message *deadletter_write(const struct broker *b, const struct entry *e, const struct exchange *x)
{
    const struct death_record record = record_of(b, e, false);
    struct bytes properties;
    uint16_t deaths = obituary_write(&record, &properties);
    struct message *letter = compose(e->queue, e->msg, properties, deaths, x);
    free((void *)(uintptr_t)properties.at);
    return letter;
}

struct message *deadletter_describe(const struct broker *b, const struct entry *e)
{
    const struct message *died = e->msg;
    const struct death_record record = record_of(b, e, true);
    struct message_spec spec = {.exchange = message_exchange(died),
                                .routing_key = message_key(died),
                                .extra_keys = message_extra_keys(died),
                                .cc_count = message_cc_count(died),
                                .expiration_ms = MESSAGE_NO_EXPIRATION,
                                .flags = died->flags | MESSAGE_HAS_HEADERS,
                                .priority = died->priority};
    spec.deaths = obituary_write(&record, &spec.properties);
    struct message *m = message_create_with_body(&spec, e->msg);
    free((void *)(uintptr_t)spec.properties.at);
    return m;
}

struct message *deadletter_address(const struct queue *q, const struct message *described, const struct exchange *x)
{
    if ((described->flags & MESSAGE_HAS_DEAD_LETTER) == 0)
        return compose(q, described, message_properties(described), message_deaths(described), x);
    size_t size;
    uint8_t *properties = history_strip_address(message_properties(described), &size);
    struct message *letter = compose(q, described, bytes_of(properties, size), message_deaths(described), x);
    free(properties);
    return letter;
}

/* Answers true if the letter's record has settled e. */
static bool send_letter(struct broker *b, struct entry *e, struct exchange *x)
{
    bool is_due = e->death == DEATH_DUE;
    struct message *letter = is_due ? delayed_write_letter(e->msg) : deadletter_write(b, e, x);
    struct routing routing = {.key = message_key(letter), .extra_keys = message_extra_keys(letter), .msg = letter};
    const struct route *route = route_message(b, x, &routing);
    if (observer_is_on(b))
        observer_letter(b, e, letter, route->queues, route->n);
    bool is_tx = dedup_begin(b, &b->dedup.round, route->queues, route->n);
    remember_begin_letter(b, letter, e);
    size_t copies = 0;
    for (size_t i = 0; i < route->n; i++) {
        struct queue *q = route->queues[i];
        if (is_due || e->death == DEATH_REJECTED ||
            obituary_allows(message_properties(letter), message_deaths(letter), q->name))
            copies += queue_publish(b, q, message_ref(letter));
    }
    statistics_letter(b, x, is_due ? 0 : 1, copies); /* what is due has come when it was published */
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
    return deadletter_exchange(b, q, e->msg);
}

static void send_at_most_once(struct broker *b, struct entry *e)
{
    struct exchange *x = exchange_of(b, e);
    if (x != NULL && send_letter(b, e, x))
        entry_destroy(b, e);
    else
        entry_end(b, e);
}

bool deadletter_is_due(const struct broker *b)
{
    return !list_is_empty(&b->fresh) || !list_is_empty(&b->deaths);
}

void deadletter_pause(struct broker *b, bool are_caused)
{
    if (are_caused)
        list_prepend_all(&b->deaths, &b->fresh);
}

void deadletter_next(struct broker *b, bool are_caused)
{
    if (!are_caused)
        list_prepend_all(&b->fresh, &b->deaths); /* which were there before */
    list_prepend_all(&b->deaths, &b->fresh);
    if (!list_is_empty(&b->deaths)) {
        struct entry *e = item_of(b->deaths.ring.next, struct entry, in_queue);
        struct queue *q = e->queue;
        list_remove(&e->in_queue);
        if (!q->gone && letters_must_arrive(q))
            letters_send(b, e);
        else
            send_at_most_once(b, e);
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
