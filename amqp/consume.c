#include "amqp/consume.h"

#include <stdlib.h>

#include "amqp/options.h"
#include "amqp/prepared.h"
#include "amqp/state.h"
#include "amqp/topology.h"
#include "base/alloc.h"
#include "base/str.h"
#include "broker/port/reply.h"
#include "broker/port/spec.h"

/* --- the table -----------------------------------------------------------------------------------------------------
 */

struct consumer {
    struct channel *channel; /* borrowed */
    struct link in_channel;
    struct map_node by_tag;
    uint32_t number;
    bool is_leaving; /* UNSUBSCRIBE is under way: its tag is free already */
    bool is_reply;   /* it has the channel's reply_to */
    uint16_t prepared_len;
    uint8_t prepared[]; /* what its deliveries begin with, of which the tag is the end */
};

static uint64_t hash_tag(struct session *s, const struct channel *c, struct bytes tag)
{
    while (s->hash_seed == 0)
        s->config->random(s->config->arg, &s->hash_seed, sizeof s->hash_seed);
    return hash_bytes(tag, s->hash_seed ^ c->number);
}

static struct bytes consumer_tag(const struct consumer *k)
{
    return bytes_of(k->prepared + PREPARED_HEAD, (size_t)k->prepared_len - PREPARED_HEAD);
}

static struct consumer *consumer_find(struct session *s, const struct channel *c, struct bytes tag)
{
    for (struct map_node *n = map_first(&s->consumers_by_tag, hash_tag(s, c, tag)); n != NULL; n = map_next(n)) {
        struct consumer *k = item_of(n, struct consumer, by_tag);
        if (k->channel == c && bytes_equal(consumer_tag(k), tag))
            return k;
    }
    return NULL;
}

static struct consumer *consumer_create(struct session *s, struct channel *c, struct bytes tag)
{
    struct consumer *k = alloc(sizeof *k + PREPARED_HEAD + tag.len);
    uint32_t generation;
    *k = (struct consumer){.channel = c};
    k->prepared_len = (uint16_t)prepared_write(k->prepared, c->number, tag);
    k->number = slots_take(&s->consumers, k, &generation);
    list_append(&c->consumers, &k->in_channel);
    map_add(&s->consumers_by_tag, &k->by_tag, hash_tag(s, c, tag));
    return k;
}

static void consumer_leave(struct session *s, struct consumer *k)
{
    if (k->is_leaving)
        return;
    map_remove(&s->consumers_by_tag, &k->by_tag);
    k->is_leaving = true;
    if (k->is_reply) {
        free(k->channel->reply_to);
        k->channel->reply_to = NULL;
    }
}

static void consumer_free(struct session *s, struct consumer *k)
{
    consumer_leave(s, k);
    list_remove(&k->in_channel);
    slots_give(&s->consumers, k->number);
    free(k);
}

static struct consumer *consumer_get(const struct session *s, const struct channel *c, uint32_t number)
{
    struct consumer *k = number < s->consumers.count ? s->consumers.at[number].item : NULL;
    return k != NULL && k->channel == c ? k : NULL;
}

struct bytes consume_find_prepared(const struct session *s, const struct channel *c, uint32_t number)
{
    const struct consumer *k = consumer_get(s, c, number);
    return k != NULL ? bytes_of(k->prepared, k->prepared_len) : (struct bytes){0};
}

bool consume_find_tag(const struct session *s, const struct channel *c, uint32_t number, struct bytes *tag)
{
    const struct consumer *k = consumer_get(s, c, number);
    if (k != NULL)
        *tag = consumer_tag(k);
    return k != NULL;
}

void consume_forget_channel(struct session *s, struct channel *c)
{
    struct consumer *k;
    list_each (k, &c->consumers, struct consumer, in_channel)
        consumer_free(s, k);
}

void consume_fini(struct session *s)
{
    slots_fini(&s->consumers);
    map_fini(&s->consumers_by_tag);
}

/* --- handlers ------------------------------------------------------------------------------------------------------
 */

/* RabbitMQ leaves them as they are; frameworks that raise the prefetch while they consume wish it did not. */
static void change_live_consumers(struct session *s, const struct channel *c)
{
    const struct consumer *k;
    list_each (k, &c->consumers, const struct consumer, in_channel) {
        if (k->is_leaving || k->is_reply)
            continue;
        struct command *limit = session_tell(s, c, LIMIT, 0);
        limit->subscribe.consumer = k->number;
        limit->subscribe.limit = c->prefetch;
    }
}

struct error *consume_on_qos(struct session *s, struct channel *c, const union method *m)
{
    const struct basic_qos *qos = &m->basic_qos;
    if (qos->prefetch_size != 0)
        return error_create(AMQP_NOT_IMPLEMENTED, "prefetch_size!=0 (%u)", qos->prefetch_size);
    if (!qos->global)
        c->prefetch = qos->prefetch_count;
    /* global=0 takes the channel's own limit off, whatever the count. */
    struct command *credit = session_ask(s, c, CREDIT, m->id, 0);
    credit->credit.limit = qos->global ? qos->prefetch_count : 0;
    credit->credit.prefetch = c->prefetch;
    if (!qos->global && s->config->live_prefetch)
        change_live_consumers(s, c); /* behind the answer */
    return NULL;
}

/* Answers what is wrong with a consume, in the order of reference 4.7. */
static struct error *check_consume(struct session *s, struct channel *c, struct bytes tag)
{
    if (s->consumers.used >= CONSUME_MAX)
        return error_create(AMQP_NOT_ALLOWED, "reached maximum (%d) of consumers per channel", CONSUME_MAX);
    if (tag.len > 0 && consumer_find(s, c, tag) != NULL)
        return error_create(AMQP_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'", BYTES_ARG(tag));
    return NULL;
}

/* Direct reply-to: the only queue here is the address, which nobody has heard of yet (queue-features 9.5). */
static struct error *complete_reply(struct session *s, struct channel *c, struct spec *spec,
                                    char room[SESSION_NAME_ROOM])
{
    if (c->reply_to != NULL)
        return error_create(AMQP_PRECONDITION_FAILED, "reply consumer already set");
    if (!spec->no_ack)
        return error_create(AMQP_PRECONDITION_FAILED, "reply consumer cannot acknowledge");
    *spec = (struct spec){.name = session_make_name(s, REPLY_TO ".", room), .no_ack = true, .is_reply = true};
    c->reply_to = str_copy(spec->name);
    return NULL;
}

struct error *consume_on_consume(struct session *s, struct channel *c, const union method *m)
{
    const struct basic_consume *consume = &m->basic_consume;
    /* cppcheck-suppress variableScope; tag borrows it */
    char room[SESSION_NAME_ROOM], address[SESSION_NAME_ROOM];
    struct spec spec = {
        .name = consume->queue,
        .arguments = consume->arguments,
        .exclusive = consume->exclusive,
        .no_ack = consume->no_ack,
    };
    struct error *e = topology_complete_queue(c, &spec.name);
    if (e == NULL)
        e = check_consume(s, c, consume->consumer_tag);
    if (e == NULL && reply_is_pseudo_queue(spec.name))
        e = complete_reply(s, c, &spec, address);
    if (e != NULL)
        return e;
    struct bytes tag = consume->consumer_tag;
    if (tag.len == 0)
        tag = session_make_name(s, "amq.ctag-", room);
    char *objection = options_read_consumer(&spec, session_vhost(s));
    if (objection != NULL)
        spec.objection = bytes_of_string(objection);
    spec.key = tag;
    struct consumer *k = consumer_create(s, c, tag);
    k->is_reply = spec.is_reply;
    struct command *subscribe = session_ask(s, c, SUBSCRIBE, m->id, k->number << 1 | consume->no_wait);
    subscribe->subscribe.spec = spec_create(&spec);
    subscribe->subscribe.consumer = k->number;
    subscribe->subscribe.limit = c->prefetch; /* without acknowledgements it bounds nothing, and is told all the same */
    free(objection);
    return NULL;
}

struct error *consume_on_cancel(struct session *s, struct channel *c, const union method *m)
{
    const struct basic_cancel *cancel = &m->basic_cancel;
    struct spec spec = {.name = cancel->consumer_tag};
    struct consumer *k = consumer_find(s, c, cancel->consumer_tag);
    if (k == NULL) { /* no error: it may have gone by itself */
        session_ask(s, c, ECHO, m->id, cancel->no_wait)->spec = spec_create(&spec);
        return NULL;
    }
    consumer_leave(s, k);
    struct command *unsubscribe = session_ask(s, c, UNSUBSCRIBE, m->id, k->number << 1 | cancel->no_wait);
    unsubscribe->subscribe.spec = spec_create(&spec);
    unsubscribe->subscribe.consumer = k->number;
    return NULL;
}

struct error *consume_on_get(struct session *s, struct channel *c, const union method *m)
{
    struct spec spec = {.name = m->basic_get.queue, .no_ack = m->basic_get.no_ack};
    struct error *e = topology_complete_queue(c, &spec.name);
    if (e == NULL)
        session_ask(s, c, GET, m->id, 0)->spec = spec_create(&spec);
    return e;
}

/* --- events --------------------------------------------------------------------------------------------------------
 */

void consume_on_unsubscribed(struct session *s, struct channel *c, uint32_t number)
{
    struct consumer *k = consumer_get(s, c, number);
    if (k != NULL)
        consumer_free(s, k);
}

static void log_overdue(const struct session *s, const struct channel *c, const struct consumer *k,
                        const struct event *e)
{
    struct bytes tag = k != NULL ? consumer_tag(k) : BYTES("");
    session_log(s, LOG_QUEUE, LOG_WARNING_LEVEL, "",
                ": Consumer '%.*s' on channel %u and queue '%s' in vhost '%s' has timed out waiting for a consumer "
                "acknowledgement of a delivery. Timeout used: %llu ms. This timeout value can be configured, see "
                "consumers doc guide to learn more",
                BYTES_ARG(tag), c->number, e->overdue.queue, s->vhost, (unsigned long long)e->overdue.timeout_ms);
}

void consume_on_overdue(struct session *s, struct channel *c, const struct event *e)
{
    struct consumer *k = e->overdue.has_consumer ? consumer_get(s, c, e->overdue.consumer) : NULL;
    bool is_told = k != NULL && (s->capabilities & CAPABILITY_CONSUMER_CANCEL_NOTIFY);
    uint64_t timeout_ms = e->overdue.timeout_ms;
    if (c->state == CHANNEL_OPEN)
        log_overdue(s, c, k, e);
    if (is_told && c->state == CHANNEL_OPEN && !k->is_leaving) {
        struct basic_cancel cancel = {.id = METHOD_basic_cancel, .consumer_tag = consumer_tag(k), .no_wait = true};
        session_send(s, c->number, &(union method){.basic_cancel = cancel});
    }
    if (k != NULL && !k->is_leaving)
        consumer_free(s, k);
    if (!is_told && c->state == CHANNEL_OPEN)
        channel_fail(s, c,
                     error_create(AMQP_PRECONDITION_FAILED,
                                  "delivery acknowledgement on channel %u timed out. Timeout value used: %llu ms. "
                                  "This timeout value can be configured, see consumers doc guide to learn more",
                                  c->number, (unsigned long long)timeout_ms));
}

void consume_on_cancelled(struct session *s, struct channel *c, const struct event *e)
{
    struct consumer *k = consumer_get(s, c, e->cancelled.consumer);
    if (k == NULL || k->is_leaving) /* then UNSUBSCRIBE's answer frees it */
        return;
    if (c->state == CHANNEL_OPEN && (s->capabilities & CAPABILITY_CONSUMER_CANCEL_NOTIFY)) {
        struct basic_cancel cancel = {.id = METHOD_basic_cancel, .consumer_tag = consumer_tag(k), .no_wait = true};
        session_send(s, c->number, &(union method){.basic_cancel = cancel});
    }
    consumer_free(s, k);
}
