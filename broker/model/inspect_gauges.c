/* Columns of INSPECT that say how it is in a queue now, and the rows of what is out. */
#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/inspect_page.h"
#include "broker/model/log.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

/* ---- A queue's. */

/* The bodies of what was given back, and is not ready yet: it is in memory, and seldom much. */
enum { WAITING_LOOKED = 1024 };

static uint64_t waiting_bytes(const struct queue *q)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < q->waiting.count && i < WAITING_LOOKED; i++)
        bytes += item_of(q->waiting.nodes[i], struct entry, in_returned)->msg->body_size;
    return bytes;
}

static void put_bytes(struct pen *row, const struct queue *q)
{
    uint64_t waiting = waiting_bytes(q), cold = q->cold.bytes, paged = q->cold.count;
    uint64_t all = q->ready_bytes + q->out_bytes + waiting;
    if (q->log != NULL) { /* of a stream only the newest are in memory */
        paged = q->ready_count - q->log->n_recent;
        cold = q->log->recent_cost < q->ready_bytes ? q->ready_bytes - q->log->recent_cost : 0;
    }
    uint64_t out = q->log != NULL ? 0 : q->out_count;
    row_put_number(row, "message_bytes", all);
    row_put_number(row, "message_bytes_unacknowledged", q->out_bytes);
    row_put_number(row, "message_bytes_ram", all - cold);
    row_put_number(row, "messages_ram", q->ready_count - paged + out + q->waiting.count);
    row_put_number(row, "messages_ready_ram", q->ready_count - paged);
    row_put_number(row, "messages_unacknowledged_ram", q->out_count);
    row_put_number(row, "messages_paged_out", paged);
    row_put_number(row, "message_bytes_paged_out", cold);
    bool is_durable = q->spec->durable, is_log = q->log != NULL;
    row_put_number(row, "messages_persistent", !is_durable ? 0 : is_log ? q->ready_count : q->stored_count + paged);
    row_put_number(row, "message_bytes_persistent", !is_durable ? 0 : is_log ? all : q->stored_bytes + cold);
}

/* What it takes, with what it holds in memory; a body that is in several queues counts in each. */
static uint64_t memory_of(const struct queue *q)
{
    uint64_t warm = q->ready_count - q->cold.count, entries = q->out_count + q->waiting.count;
    if (q->log != NULL)
        return sizeof *q + q->log->recent_cost + entries * sizeof(struct entry);
    entries += warm - q->ready.pile.count;
    return sizeof *q + q->cold.warm_cost + q->out_bytes + (q->out_count + q->waiting.count) * sizeof(struct message) +
           entries * sizeof(struct entry) + q->ready.pile.count * PILED_COST;
}

static void put_ages(const struct broker *b, struct pen *row, const struct queue *q)
{
    struct properties props;
    const struct entry *head = q->log == NULL ? queue_head(q) : NULL;
    int64_t now = (int64_t)b->now.ms;
    if (head != NULL)
        row_put_number(row, "head_message_age_ms", (uint64_t)(now - head->msg->arrived_ms));
    if (head != NULL && properties_decode(message_properties(head->msg), &props) &&
        properties_has(&props, PROPERTY_timestamp))
        row_put_number(row, "head_message_timestamp", props.timestamp);
    if (!list_is_empty(&q->out)) {
        const struct entry *e = item_of(q->out.ring.next, struct entry, in_queue);
        row_put_number(row, "oldest_unacked_age_ms", (uint32_t)b->now.ms - e->out_since);
    }
}

size_t row_gauges_room(const struct queue *q)
{
    return (q->active != NULL ? q->active->tag.len : 0) +
           (q->exclusive_consumer != NULL ? q->exclusive_consumer->tag.len : 0);
}

void row_put_gauges(const struct page *p, struct pen *row, struct queue *q)
{
    double share = q->consumer_count > 0 ? utilisation_share(&q->utilisation, p->b->now.ms) : 0;
    put_bytes(row, q);
    put_ages(p->b, row, q);
    row_put_number(row, "memory", memory_of(q));
    table_put_double(row, BYTES("consumer_utilisation"), share);
    table_put_double(row, BYTES("consumer_capacity"), share);
    if (q->options->single_active_consumer && q->active != NULL)
        row_put_text(row, "single_active_consumer_tag", q->active->tag);
    if (q->exclusive_consumer != NULL)
        row_put_text(row, "exclusive_consumer_tag", q->exclusive_consumer->tag);
}

/* ---- What is out. */

static void put_unacked(const struct page *p, const struct entry *e)
{
    const struct queue *q = e->queue;
    const struct stream *s = e->stream;
    const struct consumer *c = e->consumer;
    struct bytes tag = c != NULL ? c->tag : (struct bytes){0}, connection = connection_name(s->outlet);
    struct bytes user = s->outlet->access->user->name;
    struct pen row = row_open(p, q->name.len + q->vhost->name.len + tag.len + connection.len + user.len +
                                     e->msg->exchange_len + e->msg->key_len);
    uint64_t age_ms = (uint32_t)p->b->now.ms - e->out_since;
    row_put_text(&row, "queue_name", q->name);
    row_put_text(&row, "vhost", q->vhost->name);
    if (c != NULL)
        row_put_text(&row, "consumer_tag", tag);
    row_put_number(&row, "channel", s->channel);
    row_put_text(&row, "connection", connection);
    row_put_text(&row, "user", user);
    row_put_number(&row, "age_ms", age_ms);
    row_put_number(&row, "since_ms", p->b->now.wall_ms - age_ms);
    row_put_flag(&row, "redelivered", e->redelivered);
    row_put_number(&row, "delivery_count", e->deliveries);
    row_put_number(&row, "position", e->position);
    row_put_text(&row, "exchange", message_exchange(e->msg));
    row_put_text(&row, "routing_key", message_key(e->msg));
    row_put_number(&row, "payload_bytes", e->msg->body_size);
    row_close(p, &row);
}

void inspect_unacked(const struct page *p)
{
    struct inspection *to = p->to;
    const struct slots *tickets = &p->b->tickets;
    uint64_t i = to->cursor;
    for (uint64_t end = i + BUCKETS_PER_PAGE; i < tickets->count && i < end && !page_is_full(p); i++) {
        const struct entry *e = tickets->at[i].item;
        if (e != NULL && e->queue->vhost == p->vhost && page_wants(p, e->queue->name))
            put_unacked(p, e);
    }
    to->cursor = i < tickets->count ? i : 0;
}
