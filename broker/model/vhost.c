#include "broker/model/vhost.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/exchange.h"
#include "broker/model/parameter.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static struct exchange *predeclare(struct broker *b, struct vhost *v, struct bytes name, struct bytes type,
                                   bool internal)
{
    struct spec *spec = spec_create(&(struct spec){.name = name, .type = type, .durable = true, .internal = internal});
    struct exchange *x = exchange_create(b, v, spec);
    free(spec);
    return x;
}

static void read_spec(struct vhost *v, const struct spec *spec)
{
    struct field f;
    v->spec = spec_create(spec);
    v->name = v->spec->name;
    v->is_traced = table_find(spec->arguments, BYTES("tracing"), &f) && f.type == 't' && f.boolean;
}

struct vhost *vhost_create(struct broker *b, const struct spec *spec)
{
    struct vhost *v = alloc_zeroed(sizeof *v);
    read_spec(v, spec);
    v->folded = alloc_zeroed(sizeof *v->folded);
    link_init(&v->folding);
    v->hash_seed = b->hash_seed;
    v->connections_max = v->queues_max = v->exchanges_max = v->bindings_max = v->queue_bytes_max = LIMIT_NONE;
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        list_init(&v->policies[kind]);
    link_init(&v->stale);
    pace_init(&v->pace);
    map_init(&v->accesses);
    map_init(&v->topics);
    map_init(&v->exchanges);
    map_init(&v->queues);
    map_init(&v->replies);
    map_init(&v->bindings);
    map_add(&b->vhosts, &v->in_broker, hash_bytes(v->name, b->hash_seed));
    v->default_exchange = predeclare(b, v, BYTES(""), BYTES("direct"), false);
    predeclare(b, v, BYTES("amq.direct"), BYTES("direct"), false);
    predeclare(b, v, BYTES("amq.fanout"), BYTES("fanout"), false);
    predeclare(b, v, BYTES("amq.topic"), BYTES("topic"), false);
    predeclare(b, v, BYTES("amq.headers"), BYTES("headers"), false);
    predeclare(b, v, BYTES("amq.match"), BYTES("headers"), false);
    v->trace = predeclare(b, v, BYTES("amq.rabbitmq.trace"), BYTES("topic"), true);
    if (b->event_vhost != NULL && bytes_equal(v->name, bytes_of_string(b->event_vhost)))
        b->notices = predeclare(b, v, BYTES("amq.rabbitmq.event"), BYTES("topic"), true);
    return v;
}

/* What new ones get, by their names. */
struct vhost_default {
    struct link in_broker;
    struct pattern *vhosts;     /* owned */
    enum definition_class what; /* a parameter, a user, a permission */
    struct spec *spec;          /* owned */
};

char *broker_add_vhost_default(struct broker *b, struct bytes pattern, enum definition_class what,
                               const struct spec *spec)
{
    char *why = what == DEFINE_USER         ? user_refuse(spec)
                : what == DEFINE_PERMISSION ? access_refuse(spec)
                                            : parameter_refuse(spec);
    struct pattern *vhosts = why == NULL ? pattern_create(pattern, &why) : NULL;
    if (why != NULL)
        return why;
    struct vhost_default *d = alloc(sizeof *d);
    *d = (struct vhost_default){.vhosts = vhosts, .what = what, .spec = spec_create(spec)};
    list_append(&b->vhost_defaults, &d->in_broker);
    return NULL;
}

void vhost_forget_defaults(struct broker *b)
{
    struct vhost_default *d;
    list_each (d, &b->vhost_defaults, struct vhost_default, in_broker) {
        list_remove(&d->in_broker);
        pattern_destroy(d->vhosts);
        free(d->spec);
        free(d);
    }
}

static void give_default(struct broker *b, struct vhost *v, const struct vhost_default *d)
{
    struct spec spec = *d->spec;
    struct user *u = user_find(b, spec.name);
    if (d->what != DEFINE_USER)
        spec.vhost = v->name;
    if (d->what == DEFINE_USER && u == NULL)
        user_put(b, &spec);
    else if (d->what == DEFINE_PERMISSION && u != NULL && access_find(v, spec.name) == NULL)
        access_put(b, v, u, &spec);
    else if (d->what == DEFINE_PARAMETER && parameter_find(b, v->name, spec.type, spec.name) == NULL)
        parameter_put(b, &spec);
}

static void give_defaults(struct broker *b, struct vhost *v)
{
    const struct vhost_default *d;
    list_each (d, &b->vhost_defaults, struct vhost_default, in_broker)
        if (pattern_match(d->vhosts, v->name) == PATTERN_MATCHES)
            give_default(b, v, d);
}

static void vhost_free(struct broker *b, struct vhost *v)
{
    statistics_end_vhost(b, v);
    free(v->folded);
    free(v->spec);
    free(v);
}

void vhost_pin(struct vhost *v)
{
    v->pins++;
}

void vhost_unpin(struct broker *b, struct vhost *v)
{
    CHECK(v->pins > 0);
    if (--v->pins == 0 && v->gone)
        vhost_free(b, v);
}

void vhost_destroy(struct broker *b, struct vhost *v)
{
    struct map_node *n, *next;
    if (b->notices != NULL && b->notices->vhost == v)
        b->notices = NULL; /* nobody is left there to be told */
    vhost_pin(v);
    while (v->queues.count > 0) /* a map that shrinks under a walk may leave some for the next one */
        for (n = map_walk(&v->queues, NULL); n != NULL; n = next) {
            next = map_walk(&v->queues, n);
            queue_delete(b, item_of(n, struct queue, in_vhost));
        }
    while ((n = map_walk(&v->exchanges, NULL)) != NULL)
        exchange_delete(b, item_of(n, struct exchange, in_vhost));
    access_forget_all(v);
    CHECK(v->replies.count == 0);
    policy_forget_all(v);
    map_fini(&v->queues);
    map_fini(&v->replies);
    map_fini(&v->exchanges);
    map_fini(&v->bindings);
    map_fini(&v->accesses);
    map_fini(&v->topics);
    map_remove(&b->vhosts, &v->in_broker);
    pace_fini(b, &v->pace);
    v->default_exchange = v->trace = NULL;
    statistics_end(b, &v->counted);
    v->gone = true;
    vhost_unpin(b, v);
}

char *vhost_refuse(const struct spec *spec)
{
    if (spec->name.len == 0 || spec->name.len > DEFINITION_NAME_MAX)
        return str_format("a virtual host's name has 1 to %d bytes", DEFINITION_NAME_MAX);
    return NULL;
}

bool vhost_put(struct broker *b, const struct spec *spec)
{
    struct vhost *v = vhost_find(b, spec->name);
    bool is_new = v == NULL;
    if (is_new) {
        v = vhost_create(b, spec);
        parameter_apply_limits(b, v);
    } else if (v->is_defined && table_same_entries(v->spec->arguments, spec->arguments)) {
        return false;
    } else {
        free(v->spec);
        read_spec(v, spec);
    }
    v->is_defined = true;
    remember_definition(b, RECORD_DEFINE, DEFINE_VHOST, v->spec);
    if (is_new && b->effects != NULL) /* one that is restored has what it has */
        give_defaults(b, v);
    return true;
}

/* All rights in it.  Each time from the beginning would be a walk over ever more empty buckets. */
static void take_rights(struct broker *b, struct vhost *v, const char *why)
{
    struct map_node *n, *next;
    while (v->accesses.count > 0) /* a map that shrinks under a walk may leave some for the next one */
        for (n = map_walk(&v->accesses, NULL); n != NULL; n = next) {
            next = map_walk(&v->accesses, n);
            access_remove(b, item_of(n, struct access, in_vhost), why);
        }
    while (v->topics.count > 0)
        for (n = map_walk(&v->topics, NULL); n != NULL; n = next) {
            next = map_walk(&v->topics, n);
            topic_access_remove(b, item_of(n, struct topic_access, in_vhost));
        }
}

void vhost_remove(struct broker *b, struct vhost *v)
{
    char *why = str_format("vhost '%.*s' is deleted", BYTES_ARG(v->name));
    take_rights(b, v, why);
    if (v->machine != NULL)
        access_expel(b, v->machine, why);
    free(why);
    parameter_remove_vhost(b, v->name);
    if (v->is_defined)
        remember_definition(b, RECORD_UNDEFINE, DEFINE_VHOST, v->spec);
    vhost_destroy(b, v);
}

struct vhost *vhost_find(const struct broker *b, struct bytes name)
{
    for (struct map_node *n = map_first(&b->vhosts, hash_bytes(name, b->hash_seed)); n != NULL; n = map_next(n)) {
        struct vhost *v = item_of(n, struct vhost, in_broker);
        if (bytes_equal(v->name, name))
            return v;
    }
    return NULL;
}

struct exchange *vhost_find_exchange(const struct broker *b, const struct vhost *v, struct bytes name)
{
    for (struct map_node *n = map_first(&v->exchanges, hash_bytes(name, b->hash_seed)); n != NULL; n = map_next(n)) {
        struct exchange *x = item_of(n, struct exchange, in_vhost);
        if (bytes_equal(x->name, name))
            return x;
    }
    return NULL;
}

struct queue *vhost_find_queue(const struct broker *b, const struct vhost *v, struct bytes name)
{
    for (struct map_node *n = map_first(&v->queues, hash_bytes(name, b->hash_seed)); n != NULL; n = map_next(n)) {
        struct queue *q = item_of(n, struct queue, in_vhost);
        if (bytes_equal(q->name, name))
            return q;
    }
    return NULL;
}
