/* What must hold between two steps: broker_check() and its parts. */
#include "base/check.h"
#include "broker/model/broker.h"
#include "broker/model/consumer.h"
#include "broker/model/deadletter.h"
#include "broker/model/delayed.h"
#include "broker/model/outlet.h"
#include "broker/model/parked.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

void queue_check(const struct broker *b, const struct queue *q)
{
    uint64_t ready = q->returned.count, bytes = q->cold.bytes, out = 0, consumers = 0, last = 0, cost = 0;
    struct entry *e;
    struct consumer *c;
    for (size_t i = 0; i < q->returned.count; i++) {
        e = item_of(q->returned.nodes[i], struct entry, in_returned);
        CHECK(e->state == ENTRY_RETURNED && e->queue == q && e->redelivered && e->position < q->next_position);
        CHECK(e->deliveries > 0);
        bytes += e->msg->body_size;
        cost += message_cost(e->msg);
    }
    list_each (e, &q->ready, struct entry, in_queue) {
        CHECK(e->state == ENTRY_READY && e->queue == q && e->position < q->next_position);
        CHECK(ready == q->returned.count || e->position > last);
        last = e->position;
        CHECK(q->cold.count == 0 || e->position < q->cold.from);
        CHECK(!e->stored || q->was_stored);
        bytes += e->msg->body_size;
        cost += message_cost(e->msg);
        ready++;
    }
    if (!list_is_empty(&q->ready)) /* whatever was out lies before whatever never was */
        for (size_t i = 0; i < q->returned.count; i++)
            CHECK(q->returned.nodes[i]->key < item_of(q->ready.ring.next, struct entry, in_queue)->position);
    list_each (e, &q->out, struct entry, in_queue) {
        CHECK(e->state == ENTRY_OUT && e->queue == q && e->stream != NULL);
        out++;
    }
    list_each (c, &q->consumers, struct consumer, in_queue) {
        CHECK(c->queue == q && !c->gone);
        consumers++;
        /* P11: nothing waits while somebody could take it. */
        CHECK(queue_head(q) == NULL || !consumer_can_take(c) || link_is_linked(&q->dirty) || heap_has(&q->expiry.node));
    }
    cold_check(b, q, ready, cost);
    CHECK(list_is_empty(&q->parked) || (ready == 0 && q->cold.count > 0));
    CHECK(queue_find_by_id(b, q->id) == q && q->id < b->next_queue_id);
    CHECK(bytes == q->ready_bytes && out == q->out_count && consumers == q->consumer_count);
    CHECK(!queue_is_over(q) || q->spec->options.overflow != OVERFLOW_DROP_HEAD || ready == 0);
}

static void outlet_check(const struct broker *b, const struct outlet *o)
{
    for (size_t i = 0; i < o->stream_count; i++) {
        const struct stream *s = o->streams[i];
        uint32_t used = 0;
        struct entry *e;
        if (s == NULL)
            continue;
        parked_check(s);
        CHECK(s->after <= s->stamped && s->stamped <= b->position);
        list_each (e, &s->out, struct entry, in_stream) {
            CHECK(e->state == ENTRY_OUT && e->stream == s);
            CHECK(b->tickets.at[e->ticket_slot].item == e);
            used += e->consumer != NULL;
        }
        CHECK(used == s->credit_used);
    }
}

/* Answers how many there are. */
static uint64_t check_hidden(const struct broker *b, unsigned *loads)
{
    uint64_t n = 0, delayed = 0;
    for (struct map_node *m = map_walk(&b->queues_by_id, NULL); m != NULL; m = map_walk(&b->queues_by_id, m)) {
        const struct queue *q = item_of(m, struct queue, in_ids);
        if (!q->spec->hidden)
            continue;
        delayed_check(b, q);
        delayed += q->delayed->count;
        *loads += q->delayed->loading != LOADS_NOTHING;
        n++;
    }
    CHECK(delayed == b->totals.messages_delayed);
    return n;
}

void broker_check(const struct broker *b)
{
    uint64_t ready = 0, out = 0, queues = 0;
    unsigned loads = 0;
    for (struct map_node *v = map_walk(&b->vhosts, NULL); v != NULL; v = map_walk(&b->vhosts, v)) {
        const struct vhost *vhost = item_of(v, struct vhost, in_broker);
        for (struct map_node *n = map_walk(&vhost->queues, NULL); n != NULL; n = map_walk(&vhost->queues, n)) {
            const struct queue *q = item_of(n, struct queue, in_vhost);
            queue_check(b, q);
            ready += q->ready_count;
            out += q->out_count;
            loads += q->cold.is_loading;
            queues++;
        }
    }
    for (size_t i = 0; i < b->outlet_count; i++)
        if (b->outlets[i] != NULL)
            outlet_check(b, b->outlets[i]);
    CHECK(ready == b->totals.messages_ready && out == b->totals.messages_out && queues == b->totals.queues);
    CHECK(out == b->tickets.used);
    uint64_t hidden = check_hidden(b, &loads);
    CHECK(loads <= b->cold.loads && b->cold.loads <= COLD_LOADS_MAX && !b->is_in_tx);
    CHECK(list_is_empty(&b->dirty) && list_is_empty(&b->resumed) && list_is_empty(&b->doomed));
    CHECK(b->queues_by_id.count == queues + hidden && (b->records || b->position == 0));
    CHECK(ready + out + b->totals.messages_delayed > 0 || deadletter_is_due(b) || b->totals.message_bytes == 0);
}
