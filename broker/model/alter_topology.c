#include <stdlib.h>

#include "base/str.h"
#include "broker/model/alter.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/queue_change.h"
#include "broker/model/queue_type.h"
#include "broker/model/remember.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/change.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"
#include "codec/table.h"

char *alter_refuse_topology(const struct change *c, enum reason *why)
{
    const struct spec *spec = c->spec;
    if (spec->name.len > DEFINITION_NAME_MAX || spec->source.len > DEFINITION_NAME_MAX ||
        spec->key.len > DEFINITION_NAME_MAX)
        return str_format("a name has at most %d bytes", DEFINITION_NAME_MAX);
    if (c->what == DEFINE_EXCHANGE && exchange_kind_find(spec->type) == NULL) {
        *why = UNKNOWN_EXCHANGE_TYPE;
        return str_format("invalid exchange type '%.*s'", BYTES_ARG(spec->type));
    }
    if (spec->objection.len > 0) {
        *why = OBJECTION;
        return str_copy(spec->objection);
    }
    return c->what == DEFINE_EXCHANGE ? exchange_refuse(spec) : NULL;
}

/* Takes the text. */
static void skip(struct change *c, char *why)
{
    c->outcome = CHANGE_SKIPPED;
    c->text = why;
}

/* ---- Exchanges. */

static bool is_reserved(struct bytes name)
{
    return name.len == 0 || bytes_start_with(name, BYTES("amq."));
}

/* Owned: why x, NULL if there is none, cannot be as spec says; NULL if it can. */
static char *refuse_exchange(const struct vhost *v, const struct exchange *x, const struct spec *spec)
{
    if (x != NULL)
        return exchange_differs(x, spec);
    if (is_reserved(spec->name))
        return str_format("exchange name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(spec->name));
    char *why = resource_refuse_alternate(v, spec);
    return why != NULL ? why : resource_refuse_exchange(v, spec->name);
}

static void put_exchange(struct broker *b, struct vhost *v, struct change *c)
{
    struct exchange *x = vhost_find_exchange(b, v, c->spec->name);
    char *refusal = refuse_exchange(v, x, c->spec);
    if (refusal != NULL) {
        skip(c, refusal);
    } else if (x == NULL) {
        x = exchange_create(b, v, c->spec);
        remember_exchange(b, RECORD_DEFINE, x);
        c->outcome = CHANGE_MADE;
    }
}

static void remove_exchange(struct broker *b, struct vhost *v, struct change *c)
{
    struct exchange *x = vhost_find_exchange(b, v, c->spec->name);
    if (x == NULL)
        return;
    if (is_reserved(x->name)) {
        skip(c, str_format("deletion of system exchange '%.*s' in vhost '%.*s' not allowed", BYTES_ARG(x->name),
                           BYTES_ARG(v->name)));
        return;
    }
    if (c->spec->if_unused && !list_is_empty(&x->outgoing)) {
        char *name = exchange_describe(x);
        skip(c, str_format("%s in use", name));
        free(name);
        return;
    }
    exchange_delete(b, x);
    exchange_delete_doomed(b);
    c->outcome = CHANGE_REMOVED;
}

static void cancel(struct broker *b, struct vhost *v, struct change *c)
{
    struct exchange *x = vhost_find_exchange(b, v, c->spec->name);
    if (x != NULL)
        delayed_cancel(b, x, c->spec->serial, c);
}

/* ---- Queues. */

static char *locked(const struct queue *q)
{
    char *name = queue_describe(q);
    char *text = str_format("cannot obtain exclusive access to locked %s", name);
    free(name);
    return text;
}

/* Owned: why q, NULL if there is none, cannot be as spec says; NULL if it can. */
static char *refuse_queue(struct broker *b, struct vhost *v, struct queue *q, const struct spec *spec)
{
    if (q != NULL)
        return q->owner != NULL ? locked(q) : queue_type_redeclare(b, q, spec);
    if (spec->name.len == 0)
        return str_copy(BYTES("a queue needs a name"));
    if (bytes_start_with(spec->name, BYTES("amq.")) && !spec->server_named)
        return str_format("queue name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(spec->name));
    char *why = resource_refuse_queue(v, spec->name);
    return why != NULL ? why : queue_type_refuse(b, v, spec);
}

static void put_queue(struct broker *b, struct vhost *v, struct change *c)
{
    struct queue *q = vhost_find_queue(b, v, c->spec->name);
    char *why = refuse_queue(b, v, q, c->spec);
    if (why != NULL) {
        skip(c, why);
    } else if (q == NULL) {
        struct spec *resolved = queue_type_resolve(b, v, c->spec);
        q = queue_create(b, v, resolved != NULL ? resolved : c->spec, NULL, b->next_queue_id++);
        free(resolved);
        b->statistics.queues_declared++;
        remember_queue(b, RECORD_DEFINE, q);
        c->outcome = CHANGE_MADE;
    }
}

static void update_queue(struct broker *b, struct vhost *v, struct change *c)
{
    struct queue *q = vhost_find_queue(b, v, c->spec->name);
    if (q == NULL || table_same_entries(q->spec->arguments, c->spec->arguments))
        return;
    char *why = q->owner != NULL ? locked(q) : queue_type_refuse(b, v, c->spec);
    if (why == NULL)
        why = queue_refuse_change(q, c->spec);
    if (why != NULL) {
        skip(c, why);
        return;
    }
    queue_change_arguments(b, q, c->spec);
    remember_queue(b, RECORD_DEFINE, q);
    c->outcome = CHANGE_CHANGED;
}

static void remove_queue(struct broker *b, struct vhost *v, struct change *c)
{
    struct queue *q = vhost_find_queue(b, v, c->spec->name);
    if (q == NULL)
        return;
    bool not_empty = c->spec->if_empty && q->ready_count + q->waiting.count + letters_count(q) > 0;
    bool used = c->spec->if_unused && q->consumer_count > 0;
    if (q->owner != NULL) {
        skip(c, locked(q));
    } else if (not_empty || used) {
        char *name = queue_describe(q);
        skip(c, str_format(not_empty ? "%s not empty" : "%s in use", name));
        free(name);
    } else {
        c->count = q->ready_count;
        c->outcome = CHANGE_REMOVED;
        queue_delete(b, q);
        exchange_delete_doomed(b);
    }
}

static void purge_queue(struct broker *b, struct vhost *v, struct change *c)
{
    struct queue *q = vhost_find_queue(b, v, c->spec->name);
    if (q != NULL && q->owner != NULL) {
        skip(c, locked(q));
    } else if (q != NULL) {
        enum reason reason;
        char *why = q->kind->refuse(q, PURGE_QUEUE, c->spec, 0, &reason);
        if (why != NULL) {
            skip(c, why);
            return;
        }
        c->count = queue_purge(b, q);
        c->outcome = CHANGE_REMOVED;
    }
}

/* ---- Bindings. */

/* The binding that is meant: what is missing for it is NULL. */
struct meant {
    struct exchange *source, *to;
    struct queue *queue;
    struct binding *binding;
};

static struct meant find_meant(struct broker *b, const struct vhost *v, const struct spec *spec)
{
    struct meant m = {.source = vhost_find_exchange(b, v, spec->source)};
    if (spec->to_exchange)
        m.to = vhost_find_exchange(b, v, spec->name);
    else
        m.queue = vhost_find_queue(b, v, spec->name);
    if (m.source != NULL && (m.to != NULL || m.queue != NULL))
        m.binding = binding_find(b, m.source, m.queue, m.to, spec);
    return m;
}

static char *refuse_binding(const struct vhost *v, const struct meant *m, const struct spec *spec)
{
    if (m->source == v->default_exchange || (m->to != NULL && m->to == v->default_exchange))
        return str_copy(BYTES("operation not permitted on the default exchange"));
    if (m->source == NULL)
        return str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(spec->source), BYTES_ARG(v->name));
    if (m->to == NULL && m->queue == NULL)
        return str_format("no %s '%.*s' in vhost '%.*s'", spec->to_exchange ? "exchange" : "queue",
                          BYTES_ARG(spec->name), BYTES_ARG(v->name));
    if (m->queue != NULL && m->queue->owner != NULL)
        return locked(m->queue);
    return binding_refuse(m->source, spec);
}

static void put_binding(struct broker *b, struct vhost *v, struct change *c)
{
    const struct meant m = find_meant(b, v, c->spec);
    if (m.binding != NULL)
        return;
    char *why = refuse_binding(v, &m, c->spec);
    if (why == NULL)
        why = resource_refuse_binding(v);
    if (why != NULL) {
        skip(c, why);
        return;
    }
    struct binding *bd = binding_create(b, m.source, m.queue, m.to, c->spec);
    remember_binding(b, RECORD_DEFINE, bd);
    binding_announce(b, bd);
    c->outcome = CHANGE_MADE;
}

static void remove_binding(struct broker *b, struct vhost *v, struct change *c)
{
    const struct meant m = find_meant(b, v, c->spec);
    if (m.binding == NULL)
        return;
    if (m.queue != NULL && m.queue->owner != NULL) {
        skip(c, locked(m.queue));
        return;
    }
    binding_delete(b, m.binding);
    exchange_delete_doomed(b);
    c->outcome = CHANGE_REMOVED;
}

char *alter_refuse_put(struct broker *b, struct vhost *v, const struct change *c, bool *is_there)
{
    const struct spec *spec = c->spec;
    if (c->what == DEFINE_EXCHANGE) {
        const struct exchange *x = vhost_find_exchange(b, v, spec->name);
        *is_there = x != NULL;
        return refuse_exchange(v, x, spec);
    }
    if (c->what == DEFINE_QUEUE) {
        struct queue *q = vhost_find_queue(b, v, spec->name);
        *is_there = q != NULL;
        return refuse_queue(b, v, q, spec);
    }
    const struct meant m = find_meant(b, v, spec);
    *is_there = m.binding != NULL;
    return m.binding != NULL ? NULL : refuse_binding(v, &m, spec);
}

void alter_topology(struct broker *b, struct change *c)
{
    static void (*const how[][CHANGE_KINDS])(struct broker * b, struct vhost * v, struct change * c) = {
        [DEFINE_EXCHANGE] = {[CHANGE_PUT] = put_exchange, [CHANGE_REMOVE] = remove_exchange, [CHANGE_CANCEL] = cancel},
        [DEFINE_QUEUE] = {[CHANGE_PUT] = put_queue,
                          [CHANGE_REMOVE] = remove_queue,
                          [CHANGE_PURGE] = purge_queue,
                          [CHANGE_UPDATE] = update_queue},
        [DEFINE_BINDING] = {[CHANGE_PUT] = put_binding, [CHANGE_REMOVE] = remove_binding},
    };
    struct vhost *v = vhost_find(b, c->spec->vhost);
    if (v != NULL && how[c->what][c->kind] != NULL)
        how[c->what][c->kind](b, v, c);
}
