#include "broker/model/consumer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/active.h"
#include "broker/model/groups.h"
#include "broker/model/notice.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/replay.h"
#include "broker/model/statistics.h"
#include "broker/model/trace.h"
#include "broker/port/event.h"
#include "broker/port/spec.h"
#include "codec/cursor.h"

static inline bool limit_is_reached(const struct consumer *c)
{
    return !c->no_ack && c->limit > 0 && c->out >= c->limit;
}

/* Puts c on the ring behind those of its priority. */
static void ring_insert(struct consumer *c)
{
    struct list *ring = &c->queue->ring;
    struct link *after = ring->ring.prev, *before = ring->ring.next;
    /* From both ends at once: few may be before it, or few behind. */
    while (after != &ring->ring && item_of(after, struct consumer, waiting)->priority < c->priority) {
        if (item_of(before, struct consumer, waiting)->priority < c->priority) {
            after = before->prev;
            break;
        }
        before = before->next;
        after = after->prev;
    }
    c->waiting.prev = after;
    c->waiting.next = after->next;
    after->next->prev = &c->waiting;
    after->next = &c->waiting;
}

void consumer_place(struct broker *b, struct consumer *c)
{
    CHECK(c->stream != NULL);
    if (limit_is_reached(c) || !active_may_serve(c->queue, c))
        return;
    if (!c->no_ack && stream_is_starved(c->stream)) {
        list_append(&c->stream->starved, &c->waiting);
    } else if (c->outlet->window <= 0) {
        list_append(&c->outlet->stalled, &c->waiting);
    } else {
        ring_insert(c);
        utilisation_set(&c->queue->utilisation, b->now.ms, true);
        if (c->queue->ready_count > 0)
            queue_mark_dirty(b, c->queue);
    }
}

struct consumer *consumer_create(struct broker *b, struct queue *q, struct stream *s, uint32_t number,
                                 const struct spec *spec, uint32_t limit)
{
    struct consumer *c = alloc(sizeof *c + spec->key.len + spec->arguments.len);
    struct pen p = pen_over(c->data, spec->key.len + spec->arguments.len);
    *c = (struct consumer){
        .queue = q,
        .stream = s,
        .outlet = s->outlet,
        .priority = spec->priority,
        .number = number,
        .limit = limit,
        .timeout_ms = spec->options.consumer_timeout_ms,
        .no_ack = spec->no_ack,
        .exclusive = spec->exclusive && q->log == NULL, /* reference queue-features 7.3 */
    };
    pen_bytes(&p, spec->key);
    pen_bytes(&p, spec->arguments);
    c->tag = bytes_of(c->data, spec->key.len);
    c->arguments = bytes_of(c->data + spec->key.len, spec->arguments.len);
    link_init(&c->waiting);
    heap_init(&c->groups);
    list_append(&s->consumers, &c->in_stream);
    s->consumer_count += !q->spec->is_reply;
    outlet_set_consumer(s->outlet, number, c);
    queue_add_consumer(b, q, c);
    if (!link_is_linked(&c->waiting))
        consumer_place(b, c);
    if (!q->spec->is_reply && notice_is_on(b))
        notice_consumer(b, c, true);
    return c;
}

void consumer_delete(struct broker *b, struct consumer *c)
{
    struct queue *q = c->queue;
    if (!q->spec->is_reply && notice_is_on(b))
        notice_consumer(b, c, false);
    list_remove(&c->waiting);
    groups_leave(c);
    list_remove(&c->in_stream);
    c->stream->consumer_count -= !q->spec->is_reply;
    outlet_set_consumer(c->outlet, c->number, NULL);
    if (c->replay != NULL)
        replay_destroy(b, c->replay);
    c->replay = NULL;
    queue_remove_consumer(b, q, c);
    c->gone = true;
    c->queue = NULL;
    c->outlet = NULL;
    if (c->out == 0)
        free(c);
}

void consumer_leave(struct broker *b, struct consumer *c)
{
    struct queue *q = c->queue;
    if (c->out > 0 && q->log == NULL) {
        c->awaited = q;
        q->returners++;
        queue_judge(q);
    }
    consumer_delete(b, c);
}

/* All that it had has come back. */
static void consumer_free(struct broker *b, struct consumer *c)
{
    struct queue *q = c->awaited;
    if (q != NULL && --q->returners == 0) {
        queue_judge(q);
        queue_mark_dirty(b, q);
    }
    free(c);
}

void consumer_cancel(struct broker *b, struct consumer *c)
{
    struct event *e = broker_tell(b, CANCELLED, stream_origin(c->stream));
    e->cancelled.consumer = c->number;
    e->after = c->stream->after;
    consumer_delete(b, c);
}

static inline bool can_take(const struct consumer *c)
{
    return (!c->queue->options->single_active_consumer || active_may_serve(c->queue, c)) && c->outlet->window > 0 &&
           (c->no_ack || (!limit_is_reached(c) && !stream_is_starved(c->stream)));
}

bool consumer_can_take(const struct consumer *c)
{
    return can_take(c);
}

struct consumer *consumer_next(struct broker *b, struct queue *q)
{
    while (!list_is_empty(&q->ring)) {
        struct consumer *c = item_of(q->ring.ring.next, struct consumer, waiting);
        if (can_take(c))
            return c;
        list_remove(&c->waiting);
        consumer_place(b, c);
    }
    utilisation_set(&q->utilisation, b->now.ms, false);
    return NULL;
}

void consumer_end_turn(struct consumer *c)
{
    list_remove(&c->waiting);
    ring_insert(c);
}

void consumer_deliver(struct broker *b, struct consumer *c, struct entry *e)
{
    struct event *ev = broker_tell(b, DELIVERED, stream_origin(c->stream));
    c->outlet->window -= (int64_t)message_window_cost(e->msg);
    ev->after = c->stream->after;
    ev->delivered.msg = message_ref(e->msg);
    ev->delivered.consumer = c->number;
    ev->delivered.redelivered = e->redelivered;
    ev->delivered.no_ack = c->no_ack;
    ev->delivered.stamp_value = queue_told_returns(e->queue, e);
    ev->delivered.stamp = ev->delivered.stamp_value > 0 ? STAMP_RETURNS : STAMP_NONE;
    if (trace_is_on(c->outlet->vhost))
        trace_delivered(b, c->stream, e->msg, c->queue, e->redelivered);
    if (observer_is_on(b))
        observer_delivered(b, c->stream, c, c->queue, e->msg, e->redelivered);
    queue_count_delivery(b, c->queue, c->stream, c->no_ack ? COUNT_DELIVER_NO_ACK : COUNT_DELIVER, e->redelivered);
    if (c->no_ack)
        entry_end(b, e);
    else
        ev->delivered.ticket = queue_send_out(b, e, c, c->stream);
    if (c->waiting.next != c->waiting.prev) /* not alone on the ring */
        consumer_end_turn(c);
}

bool consumer_set_limit(struct broker *b, struct consumer *c, uint32_t limit)
{
    if (c->no_ack || (limit == 0 && c->queue->options->type == QUEUE_STREAM))
        return false;
    c->limit = limit;
    if (!link_is_linked(&c->waiting))
        consumer_place(b, c); /* who may take less than it has is found out when it is its turn */
    return true;
}

void consumer_release(struct broker *b, struct consumer *c)
{
    CHECK(c->out > 0);
    c->out--;
    if (c->stream != NULL)
        stream_release(b, c->stream);
    if (c->out == 0 && !c->gone && c->queue->retiring == c)
        active_retire(b, c);
    if (!c->gone && !link_is_linked(&c->waiting))
        consumer_place(b, c);
    else if (c->gone && c->out == 0)
        consumer_free(b, c);
}

void consumer_wake_all(struct broker *b, struct list *waiting)
{
    struct list woken;
    list_init(&woken);
    while (!list_is_empty(waiting)) {
        struct link *l = waiting->ring.next;
        list_remove(l);
        list_append(&woken, l);
    }
    while (!list_is_empty(&woken)) {
        struct consumer *c = item_of(woken.ring.next, struct consumer, waiting);
        list_remove(&c->waiting);
        consumer_place(b, c);
    }
}
