/* INSPECT: a page of a list, each row a field table (broker/port/inspection.h). */
#include <stdlib.h>

#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/active.h"
#include "broker/model/commands.h"
#include "broker/model/consumer.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/explain.h"
#include "broker/model/outlet.h"
#include "broker/model/parameter.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/model/waiting.h"
#include "broker/port/inspection.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum {
    ROW_ROOM = 2048,         /* of keys, numbers and flags; names and arguments come on top */
    BUCKETS_PER_PAGE = 4096, /* looked at, if few of them have what is asked for */
};

struct page {
    const struct broker *b;
    struct inspection *to;
    const struct vhost *vhost; /* the one that was named, or NULL */
};

/* --- rows
 * -----------------------------------------------------------------------------------------------------------*/

static struct pen row_open(const struct page *p, size_t room)
{
    return pen_over(inspection_open_row(p->to, ROW_ROOM + room), ROW_ROOM + room);
}

static void row_close(const struct page *p, const struct pen *row)
{
    inspection_close_row(p->to, pen_written(row).len);
}

static void put_table(struct pen *row, const char *key, struct bytes table)
{
    uint8_t *mark = table_open(row, bytes_of_string(key), 'F');
    pen_bytes(row, table);
    table_close(row, mark);
}

static void put_text(struct pen *row, const char *key, struct bytes text)
{
    table_put_string(row, bytes_of_string(key), text);
}

static void put_number(struct pen *row, const char *key, uint64_t n)
{
    table_put_i64(row, bytes_of_string(key), (int64_t)n);
}

static void put_flag(struct pen *row, const char *key, bool is_set)
{
    table_put_bool(row, bytes_of_string(key), is_set);
}

static bool is_wanted(const struct page *p, struct bytes name)
{
    return !p->to->has_name || bytes_equal(p->to->name, name);
}

static struct bytes connection_name(const struct outlet *o)
{
    struct field f;
    bool has = table_find(o->facts->arguments, BYTES("name"), &f) && f.type == 'S';
    return has ? f.bytes : (struct bytes){0};
}

/* --- users and rights
 * ----------------------------------------------------------------------------------------------*/

static void on_vhost(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct vhost *v = item_of(n, struct vhost, in_broker);
    if (!is_wanted(p, v->name))
        return;
    const struct parameter *limits = parameter_find(p->b, v->name, BYTES("vhost-limits"), BYTES("limits"));
    struct field value;
    struct pen row =
        row_open(p, v->name.len + v->spec->arguments.len + (limits != NULL ? limits->spec->arguments.len : 0));
    uint64_t ready = 0, out = 0, all = 0;
    for (struct map_node *m = map_walk(&v->queues, NULL); m != NULL; m = map_walk(&v->queues, m)) {
        const struct queue *q = item_of(m, struct queue, in_vhost);
        ready += q->ready_count;
        out += q->out_count;
        all += q->ready_count + (q->log != NULL ? 0 : q->out_count);
    }
    put_text(&row, "name", v->name);
    pen_bytes(&row, v->spec->arguments);
    put_number(&row, "messages", all);
    put_number(&row, "messages_ready", ready);
    put_number(&row, "messages_unacknowledged", out);
    if (limits != NULL && table_find(limits->spec->arguments, BYTES("value"), &value) && value.type == 'F')
        put_table(&row, "limits", value.bytes);
    row_close(p, &row);
}

static void on_user(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct user *u = item_of(n, struct user, in_broker);
    if (!is_wanted(p, u->name))
        return;
    struct pen row = row_open(p, u->name.len + u->spec->arguments.len);
    put_text(&row, "name", u->name);
    pen_bytes(&row, u->spec->arguments);
    row_close(p, &row);
}

static void on_access(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct access *a = item_of(n, struct access, in_vhost);
    if (!is_wanted(p, a->user->name))
        return;
    struct pen row = row_open(p, a->user->name.len + a->vhost->name.len + a->spec->arguments.len);
    put_text(&row, "user", a->user->name);
    put_text(&row, "vhost", a->vhost->name);
    pen_bytes(&row, a->spec->arguments);
    row_close(p, &row);
}

static void on_topic_access(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct spec *spec = item_of(n, struct topic_access, in_vhost)->spec;
    if (!is_wanted(p, spec->name))
        return;
    struct pen row = row_open(p, spec->name.len + spec->vhost.len + spec->key.len + spec->arguments.len);
    put_text(&row, "user", spec->name);
    put_text(&row, "vhost", spec->vhost);
    put_text(&row, "exchange", spec->key);
    pen_bytes(&row, spec->arguments);
    row_close(p, &row);
}

static void on_parameter(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct spec *spec = item_of(n, struct parameter, in_broker)->spec;
    if (!is_wanted(p, spec->name) || (p->to->has_vhost && !bytes_equal(p->to->vhost, spec->vhost)))
        return;
    struct pen row = row_open(p, spec->name.len + spec->vhost.len + spec->type.len + spec->arguments.len);
    put_text(&row, "vhost", spec->vhost);
    put_text(&row, "component", spec->type);
    put_text(&row, "name", spec->name);
    pen_bytes(&row, spec->arguments);
    row_close(p, &row);
}

/* --- exchanges, queues, bindings, consumers
 * ------------------------------------------------------------------------*/

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
        put_text(row, "policy", p->of[POLICY_OF_USER]->name);
    if (policy_in_pair(p, POLICY_OF_OPERATOR) != NULL)
        put_text(row, "operator_policy", p->of[POLICY_OF_OPERATOR]->name);
    if (p != NULL)
        put_table(row, "effective_policy_definition", p->definition);
}

static void on_exchange(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct exchange *x = item_of(n, struct exchange, in_vhost);
    if (!is_wanted(p, x->name))
        return;
    struct pen row =
        row_open(p, x->name.len + x->vhost->name.len + x->spec->arguments.len + policies_room(x->policies));
    put_text(&row, "name", x->name);
    put_text(&row, "vhost", x->vhost->name);
    put_text(&row, "type", x->spec->type);
    put_flag(&row, "durable", x->spec->durable);
    put_flag(&row, "auto_delete", x->spec->auto_delete);
    put_flag(&row, "internal", x->spec->internal);
    if (x->delays || x->waiting != NULL)
        put_number(&row, "messages_delayed", delayed_count(x));
    put_table(&row, "arguments", x->spec->arguments);
    put_policies(&row, x->policies);
    row_close(p, &row);
}

static void on_queue(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct queue *q = item_of(n, struct queue, in_vhost);
    if (!is_wanted(p, q->name))
        return;
    struct bytes owner = q->owner != NULL ? connection_name(q->owner) : (struct bytes){0};
    struct pen row =
        row_open(p, q->name.len + q->vhost->name.len + q->spec->arguments.len + owner.len + policies_room(q->policies));
    put_text(&row, "name", q->name);
    put_text(&row, "vhost", q->vhost->name);
    put_flag(&row, "durable", q->spec->durable);
    put_flag(&row, "auto_delete", q->spec->auto_delete);
    put_flag(&row, "exclusive", q->owner != NULL);
    put_table(&row, "arguments", q->spec->arguments);
    /* What is out of a stream is in it still. */
    uint64_t out = q->log != NULL ? 0 : q->out_count;
    put_number(&row, "messages", q->ready_count + out + q->waiting.count);
    put_number(&row, "messages_ready", q->ready_count);
    if (q->options->retry_type != RETRY_DISABLED || q->waiting.count > 0)
        put_number(&row, "messages_delayed", q->waiting.count);
    put_number(&row, "messages_unacknowledged", q->out_count);
    put_number(&row, "message_bytes_ready", q->ready_bytes);
    put_number(&row, "messages_dlx", letters_count(q));
    put_number(&row, "message_bytes_dlx", letters_bytes(q));
    put_number(&row, "consumers", q->consumer_count);
    put_text(&row, "type", bytes_of_string(queue_type_words[q->options->type]));
    put_text(&row, "state", q->is_paused ? BYTES("paused") : BYTES("running"));
    put_policies(&row, q->policies);
    if (q->owner != NULL)
        put_text(&row, "owner_pid", owner);
    row_close(p, &row);
}

static void put_binding(const struct page *p, const struct binding *bd)
{
    struct bytes to = bd->queue != NULL ? bd->queue->name : bd->to->name;
    if (!is_wanted(p, to))
        return;
    const struct vhost *v = bd->source->vhost;
    struct pen row = row_open(p, bd->source->name.len + v->name.len + to.len + bd->key.len + bd->arguments.len);
    put_text(&row, "source", bd->source->name);
    put_text(&row, "vhost", v->name);
    put_text(&row, "destination", to);
    put_text(&row, "destination_type", bd->queue != NULL ? BYTES("queue") : BYTES("exchange"));
    put_text(&row, "routing_key", bd->key);
    put_table(&row, "arguments", bd->arguments);
    row_close(p, &row);
}

static void on_binding(void *arg, struct map_node *n)
{
    put_binding(arg, item_of(n, struct binding, in_vhost));
}

static void put_consumer(const struct page *p, const struct consumer *c)
{
    struct bytes connection = connection_name(c->outlet), user = c->outlet->access->user->name;
    struct pen row = row_open(p, c->queue->name.len + c->queue->vhost->name.len + c->tag.len + c->arguments.len +
                                     connection.len + user.len + WAITING_ROOM);
    put_text(&row, "queue_name", c->queue->name);
    put_text(&row, "vhost", c->queue->vhost->name);
    put_text(&row, "consumer_tag", c->tag);
    put_flag(&row, "ack_required", !c->no_ack);
    put_flag(&row, "exclusive", c->exclusive);
    put_number(&row, "prefetch_count", c->limit);
    put_flag(&row, "active", active_may_serve(c->queue, c));
    table_put_i64(&row, BYTES("priority"), c->priority);
    put_table(&row, "arguments", c->arguments);
    put_number(&row, "channel", c->stream->channel);
    put_text(&row, "connection", connection);
    put_text(&row, "user", user);
    waiting_put(&row, p->b, c);
    row_close(p, &row);
}

static void on_consumed_queue(void *arg, struct map_node *n)
{
    const struct queue *q = item_of(n, struct queue, in_vhost);
    if (!is_wanted(arg, q->name))
        return;
    const struct consumer *c;
    list_each (c, &q->consumers, const struct consumer, in_queue)
        put_consumer(arg, c);
}

/* --- connections and channels
 * --------------------------------------------------------------------------------------*/

static void put_channel(const struct page *p, const struct outlet *o, const struct stream *s)
{
    const struct consumer *c;
    struct bytes connection = connection_name(o);
    struct pen row = row_open(p, connection.len + o->vhost->name.len + o->access->user->name.len);
    uint64_t consumers = 0, out = 0, prefetch = 0;
    list_each (c, &s->consumers, const struct consumer, in_stream) {
        consumers += !c->queue->spec->is_reply;
        prefetch = c->limit;
    }
    for (const struct link *l = s->out.ring.next; l != &s->out.ring; l = l->next)
        out++;
    put_text(&row, "connection", connection);
    put_number(&row, "number", s->channel);
    put_text(&row, "user", o->access->user->name);
    put_text(&row, "vhost", o->vhost->name);
    put_flag(&row, "confirm", s->confirms);
    put_flag(&row, "transactional", s->is_transactional);
    put_number(&row, "consumer_count", consumers);
    put_number(&row, "messages_unacknowledged", out);
    put_number(&row, "prefetch_count", prefetch);
    put_number(&row, "global_prefetch_count", s->credit_limit);
    row_close(p, &row);
}

static void put_connection(const struct page *p, const struct outlet *o)
{
    struct pen row = row_open(p, o->vhost->name.len + o->access->user->name.len + o->facts->arguments.len);
    uint64_t channels = 0;
    for (size_t i = 0; i < o->stream_count; i++)
        channels += o->streams[i] != NULL;
    put_text(&row, "vhost", o->vhost->name);
    put_text(&row, "user", o->access->user->name);
    put_number(&row, "channels", channels);
    put_number(&row, "connected_at", o->since_ms);
    put_text(&row, "state", o->slow.is_slowed ? BYTES("flow") : BYTES("running"));
    pen_bytes(&row, o->facts->arguments);
    row_close(p, &row);
}

static void inspect_outlets(const struct page *p)
{
    struct inspection *to = p->to;
    size_t i = to->cursor;
    for (size_t end = i + BUCKETS_PER_PAGE; i < p->b->outlet_count && i < end && to->n < INSPECTION_ROWS_MAX; i++) {
        const struct outlet *o = p->b->outlets[i];
        if (o == NULL || !is_wanted(p, connection_name(o)) || (p->vhost != NULL && o->vhost != p->vhost))
            continue;
        if (to->what == INSPECT_CONNECTIONS)
            put_connection(p, o);
        for (size_t j = 0; to->what == INSPECT_CHANNELS && j < o->stream_count; j++)
            if (o->streams[j] != NULL)
                put_channel(p, o, o->streams[j]);
    }
    to->cursor = i < p->b->outlet_count ? i : 0;
}

/* --- */

static void inspect_totals(const struct page *p)
{
    const struct broker_totals *t = &p->b->totals;
    struct pen row = row_open(p, 0);
    uint64_t channels = 0;
    for (size_t i = 0; i < p->b->outlet_count; i++)
        for (size_t j = 0; p->b->outlets[i] != NULL && j < p->b->outlets[i]->stream_count; j++)
            channels += p->b->outlets[i]->streams[j] != NULL;
    put_number(&row, "queues", t->queues);
    put_number(&row, "exchanges", t->exchanges);
    put_number(&row, "bindings", t->bindings);
    put_number(&row, "consumers", t->consumers);
    put_number(&row, "connections", t->outlets);
    put_number(&row, "channels", channels);
    put_number(&row, "messages_ready", t->messages_ready);
    put_number(&row, "messages_unacknowledged", t->messages_out);
    put_number(&row, "messages", t->messages_ready + t->messages_out - t->messages_read);
    put_number(&row, "vhosts", p->b->vhosts.count);
    put_number(&row, "users", p->b->users.count);
    row_close(p, &row);
    p->to->cursor = 0;
}

static void inspect_map(struct page *p, const struct map *m, void (*each)(void *arg, struct map_node *n))
{
    unsigned buckets = 0;
    do {
        p->to->cursor = map_scan(m, p->to->cursor, each, p);
    } while (p->to->cursor != 0 && p->to->n < INSPECTION_ROWS_MAX && ++buckets < BUCKETS_PER_PAGE);
}

/* One queue's, when it was named: no need to look through all. */
static void inspect_queue(struct page *p, void (*each)(void *arg, struct map_node *n))
{
    struct queue *q = p->to->has_name ? vhost_find_queue(p->b, p->vhost, p->to->name) : NULL;
    p->to->cursor = p->to->has_name ? 0 : p->to->cursor;
    if (q != NULL)
        each(p, &q->in_vhost);
    else if (!p->to->has_name)
        inspect_map(p, &p->vhost->queues, each);
}

static void inspect_in_vhost(struct page *p)
{
    const struct vhost *v = p->vhost;
    switch ((int)p->to->what) {
    case INSPECT_PERMISSIONS:
        inspect_map(p, &v->accesses, on_access);
        break;
    case INSPECT_TOPIC_PERMISSIONS:
        inspect_map(p, &v->topics, on_topic_access);
        break;
    case INSPECT_EXCHANGES:
        inspect_map(p, &v->exchanges, on_exchange);
        break;
    case INSPECT_QUEUES:
        inspect_queue(p, on_queue);
        break;
    case INSPECT_BINDINGS:
        inspect_map(p, &v->bindings, on_binding);
        break;
    case INSPECT_CONSUMERS:
        inspect_queue(p, on_consumed_queue);
        break;
    default:
        break;
    }
}

static void inspect(struct page *p)
{
    switch (p->to->what) {
    case INSPECT_TOTALS:
        inspect_totals(p);
        break;
    case INSPECT_VHOSTS:
        inspect_map(p, &p->b->vhosts, on_vhost);
        break;
    case INSPECT_USERS:
        inspect_map(p, &p->b->users, on_user);
        break;
    case INSPECT_PARAMETERS:
        inspect_map(p, &p->b->parameters, on_parameter);
        break;
    case INSPECT_CONNECTIONS:
    case INSPECT_CHANNELS:
        inspect_outlets(p);
        break;
    case INSPECT_PERMISSIONS:
    case INSPECT_TOPIC_PERMISSIONS:
    case INSPECT_EXCHANGES:
    case INSPECT_QUEUES:
    case INSPECT_BINDINGS:
    case INSPECT_CONSUMERS:
    case INSPECT_MESSAGES:
    case INSPECT_DELAYED:
    case INSPECT_ROUTE:
        if (p->vhost != NULL)
            inspect_in_vhost(p);
        else
            p->to->cursor = 0;
        break;
    }
}

/* Answered when the store has been asked, maybe. */
static void inspect_delayed(struct broker *b, struct command *c, const struct page *p)
{
    struct exchange *x = p->vhost != NULL ? vhost_find_exchange(b, p->vhost, p->to->name) : NULL;
    if (x != NULL) {
        delayed_list(b, c, x);
        return;
    }
    broker_fail(b, c, NO_SUCH_EXCHANGE,
                str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(p->to);
}

static void inspect_messages(struct broker *b, struct command *c, const struct page *p)
{
    struct queue *q = p->vhost != NULL && p->to->has_name ? vhost_find_queue(b, p->vhost, p->to->name) : NULL;
    if (q != NULL) {
        peek(b, c, q);
        return;
    }
    broker_fail(b, c, NO_SUCH_QUEUE,
                str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(c->inspection);
}

static void inspect_route(struct broker *b, struct command *c, const struct page *p)
{
    struct exchange *x = NULL;
    if (p->vhost != NULL && p->to->has_name && p->to->msg != NULL)
        x = p->to->name.len == 0 ? p->vhost->default_exchange : vhost_find_exchange(b, p->vhost, p->to->name);
    if (x != NULL) {
        explain(b, p->to, x);
        broker_done(b, c, NULL)->done.inspection = p->to;
        return;
    }
    broker_fail(b, c, NO_SUCH_EXCHANGE,
                str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(p->to);
}

void command_inspect(struct broker *b, struct command *c)
{
    struct page p = {.b = b, .to = c->inspection};
    b->changed = 0;
    inspection_clear(p.to);
    if (p.to->has_vhost)
        p.vhost = vhost_find(b, p.to->vhost);
    if (p.to->has_vhost && p.vhost == NULL && p.to->what != INSPECT_PARAMETERS) {
        broker_fail(b, c, NO_SUCH_VHOST, str_format("vhost '%.*s' does not exist", BYTES_ARG(p.to->vhost)));
        inspection_destroy(c->inspection);
        return;
    }
    if (p.to->what == INSPECT_DELAYED) {
        inspect_delayed(b, c, &p);
        return;
    }
    if (p.to->what == INSPECT_MESSAGES) {
        inspect_messages(b, c, &p);
        return;
    }
    if (p.to->what == INSPECT_ROUTE) {
        inspect_route(b, c, &p);
        return;
    }
    inspect(&p);
    broker_done(b, c, NULL)->done.inspection = p.to;
}
