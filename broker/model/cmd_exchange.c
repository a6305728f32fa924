#include <stdlib.h>

#include "base/str.h"
#include "broker/model/commands.h"
#include "broker/model/exchange.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/reply.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static void fail_no_exchange(struct broker *b, struct command *c, const struct vhost *v, struct bytes name)
{
    resource_fail(b, c, c->spec, NO_SUCH_EXCHANGE,
                  str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(name), BYTES_ARG(v->name)));
}

/* Whether a new exchange may be made of this. */
static bool new_exchange_is_fine(struct broker *b, struct command *c, const struct vhost *v)
{
    struct spec *spec = c->spec;
    if (bytes_start_with(spec->name, BYTES("amq."))) {
        resource_fail(b, c, spec, RESERVED,
                      str_format("exchange name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(spec->name)));
        return false;
    }
    char *refusal = resource_refuse_exchange(v, spec->name);
    if (refusal != NULL) {
        resource_fail(b, c, spec, TOO_MUCH, refusal);
        return false;
    }
    refusal = resource_refuse_alternate(v, spec);
    if (refusal == NULL)
        refusal = exchange_refuse(spec);
    if (refusal != NULL)
        resource_fail(b, c, spec, BAD_ARGUMENT, refusal);
    return refusal == NULL;
}

void command_declare_exchange(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct vhost *v = s->outlet->vhost;
    struct exchange *x = vhost_find_exchange(b, v, spec->name);
    char *difference = x == NULL || spec->passive ? NULL : exchange_differs(x, spec);
    if (x == NULL && spec->passive) {
        fail_no_exchange(b, c, v, spec->name);
        return;
    }
    if (difference != NULL) {
        resource_fail(b, c, spec, DIFFERS, difference);
        return;
    }
    bool is_new = x == NULL;
    if (is_new) {
        if (!new_exchange_is_fine(b, c, v))
            return;
        x = exchange_create(b, v, spec);
        remember_exchange(b, RECORD_DEFINE, x);
    }
    b->changed = x->defined; /* maybe by another client, just now */
    broker_done(b, c, spec)->done.is_change = is_new;
}

void command_delete_exchange(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct vhost *v = s->outlet->vhost;
    struct exchange *x = vhost_find_exchange(b, v, spec->name);
    if (x != NULL && spec->if_unused && !list_is_empty(&x->outgoing)) {
        char *name = exchange_describe(x);
        resource_fail(b, c, spec, IN_USE, str_format("%s in use", name));
        free(name);
        return;
    }
    if (x != NULL)
        exchange_delete(b, x);
    exchange_delete_doomed(b); /* the answer waits for that too */
    broker_done(b, c, spec)->done.is_change = x != NULL;
}

/* The two ends of a binding. */
struct ends {
    struct exchange *source, *to;
    struct queue *queue;
};

static struct ends find_ends(struct broker *b, const struct vhost *v, const struct spec *spec)
{
    struct ends e = {.source = vhost_find_exchange(b, v, spec->source)};
    if (spec->to_exchange)
        e.to = vhost_find_exchange(b, v, spec->name);
    else
        e.queue = vhost_find_queue(b, v, spec->name);
    return e;
}

void command_bind(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct vhost *v = s->outlet->vhost;
    struct ends ends = find_ends(b, v, spec);
    if (reply_refuses_binding(b, c))
        return;
    if (ends.source == NULL) {
        fail_no_exchange(b, c, v, spec->source);
        return;
    }
    if (spec->to_exchange && ends.to == NULL) {
        fail_no_exchange(b, c, v, spec->name);
        return;
    }
    if (!spec->to_exchange && resource_any_queue(b, c, s, spec) == NULL)
        return;
    char *refusal = binding_refuse(ends.source, spec);
    if (refusal != NULL) {
        resource_fail(b, c, spec, BAD_ARGUMENT, refusal);
        return;
    }
    if (ends.queue != NULL && !resource_unlocked(b, c, s, spec, ends.queue))
        return;
    struct binding *bd = binding_find(b, ends.source, ends.queue, ends.to, spec);
    bool is_new = bd == NULL;
    refusal = is_new ? resource_refuse_binding(v) : NULL;
    if (refusal != NULL) {
        resource_fail(b, c, spec, TOO_MUCH, refusal);
        return;
    }
    if (is_new) {
        bd = binding_create(b, ends.source, ends.queue, ends.to, spec);
        remember_binding(b, RECORD_DEFINE, bd);
    }
    b->changed = bd->defined;
    broker_done(b, c, spec)->done.is_change = is_new;
    if (is_new)
        binding_announce(b, bd);
}

void command_unbind(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct ends ends = find_ends(b, s->outlet->vhost, spec);
    struct binding *bd = NULL;
    if (reply_refuses_binding(b, c))
        return;
    if (ends.source != NULL && (ends.queue != NULL || ends.to != NULL))
        bd = binding_find(b, ends.source, ends.queue, ends.to, spec);
    if (bd != NULL && ends.queue != NULL && !resource_unlocked(b, c, s, spec, ends.queue))
        return;
    if (bd != NULL)
        binding_delete(b, bd);
    exchange_delete_doomed(b);
    broker_done(b, c, spec)->done.is_change = bd != NULL;
}
