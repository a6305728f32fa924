/* Handing over: a message that is published while its queue is empty, and a consumer waits there, goes to that consumer
 * at once, and never is ready.  If the consumer needs not acknowledge, it has no entry, and takes no more memory than
 * the event that carries it; what the queue counts comes and goes in the same moment, so nothing is counted but its
 * position, and that it was handed over: the queue was touched in this round (statistics.h).  The kind's publish() does
 * the same with such a message, at more length.
 */
#ifndef BROKER_MODEL_HANDOVER_H
#define BROKER_MODEL_HANDOVER_H

#include <stdbool.h>

#include "broker/model/consumer.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/message.h"

/* Can the consumer, who is on the ring, take something?  If not, consumer_next() puts it where it belongs. */
static inline bool handover_can_take(const struct consumer *c)
{
    return c->no_ack || ((c->limit == 0 || c->out < c->limit) && !stream_is_starved(c->stream));
}

/* If there is such a consumer, the message, whose reference it takes, is its.  False: nothing has happened.  The caller
 * has seen that nobody looks on, and no detour is wanted. */
static inline bool handover_unobserved(struct broker *b, struct queue *q, struct message *m)
{
    if (!q->is_plain || q->ready_count > 0 || list_is_empty(&q->ring))
        return false;
    struct consumer *c = item_of(q->ring.ring.next, struct consumer, waiting);
    struct outlet *o = c->outlet;
    if (o->window <= 0 || !handover_can_take(c))
        return false;
    if (!c->no_ack) {
        queue_hand_out(b, q, c, m);
        return true;
    }
    struct event *e = effects_add(b->effects);
    *e = (struct event){
        .what = DELIVERED,
        .after = c->stream->after,
        .delivered = {.msg = m, .consumer = c->number, .no_ack = true},
    };
    e->to.outlet.slot = o->id.slot; /* one by one: see broker_tell() */
    e->to.outlet.generation = o->id.generation;
    e->to.stream = c->stream->number;
    o->window -= (int64_t)message_window_cost(m);
    q->next_position++;
    q->handed++;
    q->tally->handed++;
    stream_touch_counters(b, c->stream);
    c->stream->handed++;
    if (c->waiting.next != c->waiting.prev)
        consumer_end_turn(c);
    return true;
}

/* Likewise, whoever looks on: then it goes the long way. */
static inline bool handover(struct broker *b, struct queue *q, struct message *m)
{
    bool is_watched = q->vhost->is_traced || b->takes_detours || observer_is_on(b);
    return !is_watched && handover_unobserved(b, q, m);
}
#endif
