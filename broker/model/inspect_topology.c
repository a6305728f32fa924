/* Rows of INSPECT: exchanges, queues, bindings, consumers. */
#include "broker/model/access.h"
#include "broker/model/active.h"
#include "broker/model/consumer.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/inspect_page.h"
#include "broker/model/outlet.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/model/waiting.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static size_t policies_room(const struct policy_pair *p)
{
    size_t room = p == NULL ? 0 : p->definition.len;
    for (unsigned kind = 0; kind < POLICY_KINDS; kind++)
        room += policy_in_pair(p, kind) != NULL ? p->of[kind]->name.len : 0;
    return room;
}

/* Nothing of what does not apply. */
static void put_policies(struct pen *row, const struct policy_pair *p)
{
    if (policy_in_pair(p, POLICY_OF_USER) != NULL)
        row_put_text(row, "policy", p->of[POLICY_OF_USER]->name);
    if (policy_in_pair(p, POLICY_OF_OPERATOR) != NULL)
        row_put_text(row, "operator_policy", p->of[POLICY_OF_OPERATOR]->name);
    if (p != NULL)
        row_put_table(row, "effective_policy_definition", p->definition);
}

void inspect_exchange(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    struct exchange *x = item_of(n, struct exchange, in_vhost);
    if (!page_wants(p, x->name))
        return;
    struct pen row =
        row_open(p, x->name.len + x->vhost->name.len + x->spec->arguments.len + policies_room(x->policies));
    row_put_text(&row, "name", x->name);
    row_put_text(&row, "vhost", x->vhost->name);
    row_put_text(&row, "type", x->spec->type);
    row_put_flag(&row, "durable", x->spec->durable);
    row_put_flag(&row, "auto_delete", x->spec->auto_delete);
    row_put_flag(&row, "internal", x->spec->internal);
    if (x->delays || x->waiting != NULL)
        row_put_number(&row, "messages_delayed", delayed_count(x));
    row_put_table(&row, "arguments", x->spec->arguments);
    row_put_statistics(p, &row, &x->counted);
    put_policies(&row, x->policies);
    row_close(p, &row);
}

void inspect_queue(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    struct queue *q = item_of(n, struct queue, in_vhost);
    if (!page_wants(p, q->name))
        return;
    struct bytes owner = q->owner != NULL ? connection_name(q->owner) : (struct bytes){0};
    struct pen row = row_open(p, q->name.len + q->vhost->name.len + q->spec->arguments.len + owner.len +
                                     policies_room(q->policies) + row_gauges_room(q));
    row_put_text(&row, "name", q->name);
    row_put_text(&row, "vhost", q->vhost->name);
    row_put_flag(&row, "durable", q->spec->durable);
    row_put_flag(&row, "auto_delete", q->spec->auto_delete);
    row_put_flag(&row, "exclusive", q->owner != NULL);
    row_put_table(&row, "arguments", q->spec->arguments);
    row_put_number(&row, "messages", queue_depth(q).messages);
    row_put_number(&row, "messages_ready", q->ready_count);
    if (q->options->retry_type != RETRY_DISABLED || q->waiting.count > 0)
        row_put_number(&row, "messages_delayed", q->waiting.count);
    row_put_number(&row, "messages_unacknowledged", q->out_count);
    row_put_number(&row, "message_bytes_ready", q->ready_bytes);
    row_put_number(&row, "messages_dlx", letters_count(q));
    row_put_number(&row, "message_bytes_dlx", letters_bytes(q));
    row_put_number(&row, "consumers", q->consumer_count);
    row_put_statistics(p, &row, &q->counted);
    row_put_gauges(p, &row, q);
    row_put_text(&row, "type", bytes_of_string(queue_type_words[q->options->type]));
    row_put_text(&row, "state", q->is_paused ? BYTES("paused") : BYTES("running"));
    put_policies(&row, q->policies);
    if (q->owner != NULL)
        row_put_text(&row, "owner_pid", owner);
    row_close(p, &row);
}

/* Of 100,000 queues for a list that is sorted: little more than the names. */
void inspect_queue_briefly(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    struct queue *q = item_of(n, struct queue, in_vhost);
    uint64_t counts[COUNTERS], count = 0;
    const struct statistics *own = statistics_of(p->b, &q->counted, counts);
    struct pen row = row_open(p, q->name.len);
    row_put_text(&row, "name", q->name);
    row_put_number(&row, "messages", queue_depth(q).messages);
    row_put_number(&row, "messages_ready", q->ready_count);
    row_put_number(&row, "messages_unacknowledged", q->out_count);
    row_put_number(&row, "consumers", q->consumer_count);
    for (unsigned i = 0; own != NULL && i < COUNTERS; i++)
        count += (p->to->counters >> i & 1) != 0 ? counts[i] : 0;
    if (own != NULL)
        row_put_number(&row, "id", own->id);
    row_put_number(&row, "count", count);
    row_close(p, &row);
}

static void put_binding(const struct page *p, const struct binding *bd)
{
    struct bytes to = bd->queue != NULL ? bd->queue->name : bd->to->name;
    if (!page_wants(p, to))
        return;
    const struct vhost *v = bd->source->vhost;
    struct pen row = row_open(p, bd->source->name.len + v->name.len + to.len + bd->key.len + bd->arguments.len);
    row_put_text(&row, "source", bd->source->name);
    row_put_text(&row, "vhost", v->name);
    row_put_text(&row, "destination", to);
    row_put_text(&row, "destination_type", bd->queue != NULL ? BYTES("queue") : BYTES("exchange"));
    row_put_text(&row, "routing_key", bd->key);
    row_put_table(&row, "arguments", bd->arguments);
    row_close(p, &row);
}

void inspect_binding(void *arg, struct map_node *n)
{
    put_binding(arg, item_of(n, struct binding, in_vhost));
}

static struct bytes activity(const struct consumer *c)
{
    if (!c->queue->options->single_active_consumer)
        return BYTES("up");
    return c->queue->active == c ? BYTES("single_active") : BYTES("waiting");
}

static void put_consumer(const struct page *p, const struct consumer *c)
{
    struct bytes connection = connection_name(c->outlet), user = c->outlet->access->user->name;
    struct pen row = row_open(p, c->queue->name.len + c->queue->vhost->name.len + c->tag.len + c->arguments.len +
                                     connection.len + user.len + WAITING_ROOM);
    row_put_text(&row, "queue_name", c->queue->name);
    row_put_text(&row, "vhost", c->queue->vhost->name);
    row_put_text(&row, "consumer_tag", c->tag);
    row_put_flag(&row, "ack_required", !c->no_ack);
    row_put_flag(&row, "exclusive", c->exclusive);
    row_put_number(&row, "prefetch_count", c->limit);
    row_put_flag(&row, "active", active_may_serve(c->queue, c));
    row_put_text(&row, "activity_status", activity(c));
    table_put_i64(&row, BYTES("priority"), c->priority);
    row_put_table(&row, "arguments", c->arguments);
    row_put_number(&row, "channel", c->stream->channel);
    row_put_text(&row, "connection", connection);
    row_put_text(&row, "user", user);
    waiting_put(&row, p->b, c);
    row_close(p, &row);
}

void inspect_consumers(void *arg, struct map_node *n)
{
    struct page *p = arg;
    const struct queue *q = item_of(n, struct queue, in_vhost);
    if (!page_wants(p, q->name) || p->is_cut)
        return;
    const struct consumer *c;
    list_each (c, &q->consumers, const struct consumer, in_queue) {
        if (p->index++ < p->to->skip)
            continue;
        if (page_is_full(p)) {
            p->is_cut = true;
            p->index--;
            return;
        }
        put_consumer(p, c);
    }
}
