#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/model/cold.h"
#include "broker/model/commands.h"
#include "broker/model/consumer.h"
#include "broker/model/outlet.h"
#include "broker/model/parked.h"
#include "broker/model/queue.h"
#include "broker/model/queue_stream.h"
#include "broker/model/reply.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/trace.h"
#include "broker/port/spec.h"

void command_subscribe(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->subscribe.spec;
    CHECK(outlet_find_consumer(s->outlet, c->subscribe.consumer) == NULL);
    if (spec->is_reply) {
        reply_subscribe(b, c, s);
        return;
    }
    if (reply_refuses_consumer(b, c, s))
        return;
    struct queue *q = resource_queue(b, c, s, spec);
    if (q == NULL)
        return;
    if (spec->objection.len > 0) {
        resource_fail(b, c, spec, OBJECTION, str_copy(spec->objection));
        return;
    }
    bool is_in_use = q->consumer_count > 0 || q->options->single_active_consumer; /* by several, at some time */
    if (q->exclusive_consumer != NULL || (spec->exclusive && is_in_use && q->log == NULL)) {
        char *name = queue_describe(q);
        resource_fail(b, c, spec, DENIED, str_format("%s in exclusive use", name));
        free(name);
        return;
    }
    enum reason reason;
    /* Reading a stream needs a limit; the stream's own one will do (reference queue-features 7.3). */
    uint32_t limit = c->subscribe.limit == 0 && q->log != NULL ? s->credit_limit : c->subscribe.limit;
    char *refusal = q->kind->refuse(q, SUBSCRIBE, spec, limit, &reason);
    if (refusal != NULL) {
        resource_fail(b, c, spec, reason, refusal);
        return;
    }
    struct consumer *made = consumer_create(b, q, s, c->subscribe.consumer, spec, limit);
    if (q->log != NULL)
        queue_stream_begin(b, q, made);
    broker_done(b, c, spec);
}

void command_unsubscribe(struct broker *b, struct command *c, struct stream *s)
{
    struct consumer *consumer = outlet_find_consumer(s->outlet, c->subscribe.consumer);
    if (consumer != NULL && consumer->stream == s)
        consumer_delete(b, consumer);
    broker_finish(b); /* an auto-delete queue goes before the answer */
    broker_done(b, c, c->subscribe.spec);
}

void command_limit(struct broker *b, struct command *c, struct stream *s)
{
    struct consumer *consumer = outlet_find_consumer(s->outlet, c->subscribe.consumer);
    if (consumer != NULL && consumer->stream == s)
        consumer_set_limit(b, consumer, c->subscribe.limit);
}

/* Its consumer of that tag, on the channel that its session calls so. */
static struct consumer *find_on_channel(const struct outlet *o, uint16_t channel, struct bytes tag)
{
    struct consumer *c;
    for (size_t i = 0; i < o->stream_count; i++) {
        if (o->streams[i] == NULL || o->streams[i]->channel != channel)
            continue;
        list_each (c, &o->streams[i]->consumers, struct consumer, in_stream)
            if (bytes_equal(c->tag, tag))
                return c;
    }
    return NULL;
}

void command_prefetch(struct broker *b, struct command *c)
{
    const struct spec *which = c->prefetch.spec;
    uint32_t n = 0;
    b->changed = 0;
    for (size_t i = 0; i < b->outlet_count; i++) {
        const struct outlet *o = b->outlets[i];
        struct consumer *consumer = NULL;
        if (o != NULL && outlet_is_meant(o, which))
            consumer = find_on_channel(o, c->prefetch.channel, which->key);
        n += consumer != NULL && consumer_set_limit(b, consumer, c->prefetch.limit);
    }
    broker_finish(b);
    broker_done(b, c, c->prefetch.spec)->done.messages = n;
}

/* What it has out stays its channel's, to be settled. */
void command_cancel(struct broker *b, struct command *c)
{
    const struct spec *which = c->prefetch.spec;
    uint32_t n = 0;
    b->changed = 0;
    for (size_t i = 0; i < b->outlet_count; i++) {
        const struct outlet *o = b->outlets[i];
        struct consumer *consumer = NULL;
        if (o != NULL && outlet_is_meant(o, which))
            consumer = find_on_channel(o, c->prefetch.channel, which->key);
        if (consumer == NULL || consumer->queue->spec->is_reply)
            continue;
        consumer_cancel(b, consumer);
        n++;
    }
    broker_finish(b); /* an auto-delete queue goes before the answer */
    broker_done(b, c, c->prefetch.spec)->done.messages = n;
}

void command_credit(struct broker *b, struct command *c, struct stream *s)
{
    stream_set_credit(b, s, c->credit.limit);
    s->prefetch = c->credit.prefetch;
    broker_done(b, c, NULL);
}

void command_get(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct queue *q = resource_queue(b, c, s, spec);
    if (q == NULL)
        return;
    enum reason reason;
    char *refusal = q->kind->refuse(q, GET, spec, 0, &reason);
    if (refusal != NULL) {
        resource_fail(b, c, spec, reason, refusal);
        return;
    }
    queue_touch(b, q);
    struct entry *e = !q->is_paused && queue_has_head(b, q) ? queue_take(b, q) : NULL;
    /* All that is there is in others' groups; or nobody gets anything. */
    bool is_busy = e == NULL && (q->is_paused || (queue_head(q) != NULL && !queue_is_clearing(b, q)));
    if (e == NULL && q->ready_count > 0 && !is_busy) {
        parked_get(q, s, c);
        cold_look_again(b, q);
        return;
    }
    queue_expire(b, q); /* what is left is counted */
    struct event *ev = broker_tell(b, e != NULL ? GOT : EMPTY, c->from);
    ev->verb = c->verb;
    ev->cookie = c->cookie;
    ev->after = s->after;
    queue_touch_counters(b, q);
    queue_count_delivery(b, q, s,
                         e == NULL      ? COUNT_GET_EMPTY
                         : spec->no_ack ? COUNT_GET_NO_ACK
                                        : COUNT_GET,
                         e != NULL && e->redelivered);
    if (e != NULL) {
        ev->delivered.msg = message_ref(e->msg);
        ev->delivered.messages = q->ready_count > UINT32_MAX ? UINT32_MAX : (uint32_t)q->ready_count;
        ev->delivered.redelivered = e->redelivered;
        ev->delivered.no_ack = spec->no_ack;
        ev->delivered.stamp_value = queue_told_returns(q, e);
        ev->delivered.stamp = ev->delivered.stamp_value > 0 ? STAMP_RETURNS : STAMP_NONE;
        if (trace_is_on(s->outlet->vhost))
            trace_delivered(b, s, e->msg, q, e->redelivered);
        if (observer_is_on(b))
            observer_delivered(b, s, NULL, q, e->msg, e->redelivered);
        if (spec->no_ack)
            entry_end(b, e);
        else
            ev->delivered.ticket = queue_send_out(b, e, NULL, s);
        queue_mark_dirty(b, q); /* it has another head */
    }
    free(spec);
}

/* Acknowledgements of messages of one queue, one after the other. */
struct ack_run {
    struct queue *queue; /* borrowed: what is out of it keeps it */
    uint64_t n, all;
};

static void ack_run_end(struct broker *b, struct ack_run *run)
{
    if (run->queue != NULL && run->n > 0)
        queue_count(b, run->queue, COUNT_ACK, run->n);
    run->all += run->n;
    run->n = 0;
}

static inline void ack_run_add(struct broker *b, struct ack_run *run, struct queue *q)
{
    if (run->queue != q) {
        ack_run_end(b, run);
        run->queue = q;
    }
    run->n++;
}

static inline void settle_one(struct broker *b, const struct stream *s, ticket t, enum outcome outcome,
                              struct ack_run *run)
{
    struct entry *e = slots_find(&b->tickets, t.slot, t.generation);
    if (e == NULL || e->stream != s)
        return;
    if (outcome == ACCEPTED)
        ack_run_add(b, run, e->queue);
    if (outcome == HELD)
        e->held = true;
    else
        queue_settle(b, e, outcome);
}

void command_settle(struct broker *b, struct command *c, struct stream *s)
{
    struct ack_run run = {0};
    settle_one(b, s, c->settle.ticket, c->settle.outcome, &run);
    for (uint32_t i = 0; i < c->settle.more_count; i++)
        settle_one(b, s, c->settle.more[i], c->settle.outcome, &run);
    ack_run_end(b, &run);
    if (run.all > 0)
        stream_counters(b, s)[COUNT_ACK] += run.all;
    free(c->settle.more);
    c->settle.more = NULL; /* a transaction's commands are dropped after they were carried out */
    c->settle.more_count = 0;
}

void command_recover(struct broker *b, struct command *c, struct stream *s)
{
    stream_requeue(b, s, false);
    broker_done(b, c, NULL); /* what is redelivered goes out when the command is finished */
}
