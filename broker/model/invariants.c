/* What must hold between two steps: broker_check() and its parts. */
#include "base/check.h"
#include "broker/model/broker.h"
#include "broker/model/consumer.h"
#include "broker/model/deadletter.h"
#include "broker/model/delayed.h"
#include "broker/model/discard.h"
#include "broker/model/exchange.h"
#include "broker/model/groups.h"
#include "broker/model/log.h"
#include "broker/model/outlet.h"
#include "broker/model/parked.h"
#include "broker/model/queue.h"
#include "broker/model/retry.h"
#include "broker/model/route_recent.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

/* What is ready in a queue's memory. */
struct count {
    const struct queue *queue;
    uint64_t messages, bytes, cost, stored;
};

static void count_ready(void *arg, struct entry *e)
{
    struct count *n = arg;
    const struct queue *q = n->queue;
    CHECK(e->queue == q && e->position < q->next_position);
    CHECK(e->state == ENTRY_READY || (e->redelivered && e->deliveries > 0));
    CHECK(e->state != ENTRY_READY || q->cold.count == 0 || e->position < q->cold.from);
    CHECK(!e->stored || q->was_stored);
    n->stored += e->stored;
    n->messages++;
    n->bytes += e->msg->body_size;
    n->cost += message_cost(e->msg);
}

static void count_piled(void *arg, const struct piled *piled)
{
    struct count *n = arg;
    const struct queue *q = n->queue;
    CHECK(q->groups == NULL && q->dedup == NULL && piled->position < q->next_position);
    CHECK(!piled->stored || q->was_stored);
    CHECK(message_expiration_ms(piled->msg) == MESSAGE_NO_EXPIRATION);
    n->stored += piled->stored;
    n->messages++;
    n->bytes += piled->msg->body_size;
    n->cost += message_cost(piled->msg);
}

void queue_check(const struct broker *b, const struct queue *q)
{
    uint64_t out = 0, out_bytes = 0, consumers = 0;
    struct count ready = {.queue = q};
    struct entry *e;
    struct consumer *c;
    if (q->log != NULL)
        log_check(b, q);
    ready_check(&q->ready);
    ready_each((struct ready *)(uintptr_t)&q->ready, count_ready, &ready);
    uint64_t entries = ready.messages;
    pile_each(&q->ready.pile, count_piled, &ready);
    CHECK(ready.messages - entries == q->ready.pile.count);
    list_each (e, &q->out, struct entry, in_queue) {
        CHECK(e->state == ENTRY_OUT && e->queue == q && e->stream != NULL);
        out++;
        out_bytes += e->msg->body_size;
        ready.stored += e->stored;
    }
    list_each (c, &q->consumers, struct consumer, in_queue) {
        CHECK(c->queue == q && !c->gone);
        consumers++;
        /* P11: nothing waits while somebody could take it. */
        CHECK(queue_head(q) == NULL || q->is_paused || !consumer_can_take(c) ||
              (q->groups != NULL && groups_pick(q->groups, c) == NULL) || link_is_linked(&q->dirty) ||
              heap_has(&q->expiry.node) || q->returners > 0);
    }
    if (q->groups != NULL)
        groups_check(b, q);
    if (q->dedup != NULL)
        dedup_check(b, q->dedup);
    if (q->log != NULL) {
        CHECK(ready.messages == 0 && q->cold.count == 0 && list_is_empty(&q->parked));
        ready.bytes = q->ready_bytes;
    } else {
        cold_check(b, q, ready.messages, ready.cost);
    }
    retry_check(b, q);
    expiring_check(b, q);
    CHECK(list_is_empty(&q->parked) || (queue_head(q) == NULL && q->cold.count > 0) ||
          (queue_is_clearing(b, q) && (heap_has(&q->expiry.node) || q->returners > 0)));
    CHECK(q->spec->is_reply || (queue_find_by_id(b, q->id) == q && q->id < b->next_queue_id));
    CHECK(ready.bytes + q->cold.bytes == q->ready_bytes && out == q->out_count && consumers == q->consumer_count);
    CHECK(q->log != NULL || !queue_is_over(q) || q->options->overflow != OVERFLOW_DROP_HEAD || queue_head(q) == NULL ||
          (q->is_shrinking && heap_has(&q->expiry.node)));
    CHECK(out_bytes == q->out_bytes);
    for (size_t i = 0; i < q->waiting.count; i++)
        ready.stored += item_of(q->waiting.nodes[i], struct entry, in_returned)->stored;
    CHECK(q->pins > 0 ? ready.stored <= q->stored_count : ready.stored == q->stored_count);
    CHECK(q->stored_count > 0 || q->stored_bytes == 0);
    CHECK(q->is_plain == queue_is_plain(q));
    statistics_check_queue(q);
    CHECK(q->active == NULL || (q->options->single_active_consumer && q->active->queue == q));
}

static void outlet_check(const struct broker *b, const struct outlet *o)
{
    for (size_t i = 0; i < o->stream_count; i++) {
        const struct stream *s = o->streams[i];
        uint32_t used = 0;
        uint64_t out = 0, consumers = 0;
        struct entry *e;
        struct consumer *c;
        if (s == NULL)
            continue;
        parked_check(s);
        CHECK(s->after <= s->stamped && s->stamped <= b->position);
        list_each (e, &s->out, struct entry, in_stream) {
            CHECK(e->state == ENTRY_OUT && e->stream == s);
            CHECK(b->tickets.at[e->ticket_slot].item == e);
            used += e->consumer != NULL;
            out++;
        }
        list_each (c, &s->consumers, struct consumer, in_stream)
            consumers += !c->queue->spec->is_reply;
        CHECK(used == s->credit_used && out == s->out_count && consumers == s->consumer_count);
    }
}

/* Answers how many there are. */
static uint64_t check_hidden(const struct broker *b, unsigned *loads, uint64_t *ready)
{
    uint64_t n = 0, delayed = 0;
    for (struct map_node *m = map_walk(&b->queues_by_id, NULL); m != NULL; m = map_walk(&b->queues_by_id, m)) {
        const struct queue *q = item_of(m, struct queue, in_ids);
        if (!q->spec->hidden)
            continue;
        n++;
        if (q->delayed == NULL) {
            queue_check(b, q);
            letters_check(b, q);
            *loads += q->cold.is_loading;
            *ready += q->ready_count;
            continue;
        }
        delayed_check(b, q);
        delayed += q->delayed->count;
        *loads += q->delayed->loading != LOADS_NOTHING;
    }
    CHECK(delayed == b->totals.messages_delayed);
    return n;
}

/* What virtual hosts know of their queues. */
static void check_tallies(const struct broker *b)
{
    const struct tally *t = &b->statistics.unlisted_tally;
    uint64_t ready = t->ready, out = t->out, waiting = t->waiting, read = t->read;
    uint64_t bytes = t->ready_bytes + t->out_bytes;
    for (struct map_node *v = map_walk(&b->vhosts, NULL); v != NULL; v = map_walk(&b->vhosts, v))
        for (size_t i = 0; i < QUEUE_TYPES; i++) {
            t = &item_of(v, struct vhost, in_broker)->tallies.types[i];
            ready += t->ready;
            out += t->out;
            waiting += t->waiting;
            read += t->read;
            bytes += t->ready_bytes + t->out_bytes;
        }
    for (struct map_node *v = map_walk(&b->vhosts, NULL); v != NULL; v = map_walk(&b->vhosts, v)) {
        const struct map *replies = &item_of(v, struct vhost, in_broker)->replies;
        for (struct map_node *n = map_walk(replies, NULL); n != NULL; n = map_walk(replies, n))
            bytes -= item_of(n, struct queue, in_vhost)->ready_bytes;
    }
    for (struct map_node *m = map_walk(&b->queues_by_id, NULL); m != NULL; m = map_walk(&b->queues_by_id, m)) {
        const struct queue *q = item_of(m, struct queue, in_ids);
        bytes -= q->ready_bytes + q->out_bytes;
    }
    CHECK(bytes == 0);
    CHECK(ready == b->totals.messages_ready && out == b->tickets.used);
    CHECK(waiting == b->totals.messages_waiting && read == b->totals.messages_read);
}

/* What is known of all clients together. */
static void check_sums(const struct broker *b)
{
    const struct statistics_state *all = &b->statistics;
    uint64_t pending = 0, limits = 0, unconfirmed = 0, uncommitted = 0, acks = 0;
    for (size_t i = 0; i < b->outlet_count; i++) {
        const struct outlet *o = b->outlets[i];
        pending += o != NULL ? o->send_pend : 0;
        for (size_t j = 0; o != NULL && j < o->stream_count; j++) {
            const struct stream *s = o->streams[j];
            limits += s != NULL ? s->credit_limit : 0;
            unconfirmed += s != NULL ? s->unconfirmed : 0;
            uncommitted += s != NULL ? s->uncommitted : 0;
            acks += s != NULL ? s->acks_uncommitted : 0;
        }
    }
    CHECK(pending == all->send_pend && limits == all->credit_limits);
    CHECK(unconfirmed == all->unconfirmed && uncommitted == all->uncommitted && acks == all->acks_uncommitted);
}

void broker_check(const struct broker *b)
{
    uint64_t ready = 0, out = 0, queues = 0, history = 0, waiting = 0;
    unsigned loads = 0;
    for (struct map_node *v = map_walk(&b->vhosts, NULL); v != NULL; v = map_walk(&b->vhosts, v)) {
        const struct vhost *vhost = item_of(v, struct vhost, in_broker);
        for (struct map_node *n = map_walk(&vhost->queues, NULL); n != NULL; n = map_walk(&vhost->queues, n)) {
            const struct queue *q = item_of(n, struct queue, in_vhost);
            queue_check(b, q);
            ready += q->ready_count;
            out += q->out_count;
            waiting += q->waiting.count;
            loads += q->cold.is_loading;
            queues++;
        }
        for (struct map_node *n = map_walk(&vhost->replies, NULL); n != NULL; n = map_walk(&vhost->replies, n)) {
            const struct queue *q = item_of(n, struct queue, in_vhost);
            queue_check(b, q);
            CHECK(q->consumer_count == 1 && q->owner != NULL && q->out_count == 0 && q->cold.count == 0);
            ready += q->ready_count;
        }
        for (struct map_node *n = map_walk(&vhost->exchanges, NULL); n != NULL; n = map_walk(&vhost->exchanges, n)) {
            const struct exchange *x = item_of(n, struct exchange, in_vhost);
            history += x->kind == &exchange_recent_history ? recent_bytes(x) : 0;
        }
    }
    for (size_t i = 0; i < b->outlet_count; i++)
        if (b->outlets[i] != NULL)
            outlet_check(b, b->outlets[i]);
    uint64_t hidden = check_hidden(b, &loads, &ready);
    CHECK(ready == b->totals.messages_ready && queues == b->totals.queues);
    CHECK(out == b->tickets.used && history == b->history_bytes);
    CHECK(loads <= b->cold.loads && b->cold.loads <= COLD_LOADS_MAX && !b->is_in_tx);
    CHECK(list_is_empty(&b->dirty) && list_is_empty(&b->resumed) && list_is_empty(&b->doomed));
    CHECK(b->queues_by_id.count == queues + hidden && (b->records || b->position == 0));
    CHECK(waiting == b->totals.messages_waiting);
    check_tallies(b);
    check_sums(b);
    CHECK(ready + out + waiting + b->totals.messages_delayed > 0 || deadletter_is_due(b) || discard_is_due(b) ||
          b->totals.message_bytes == 0);
}
