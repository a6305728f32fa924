#include "broker/model/parameter.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static uint64_t parameter_hash(const struct broker *b, struct bytes vhost, struct bytes component, struct bytes name)
{
    uint64_t h = hash_mix(hash_bytes(vhost, b->hash_seed), hash_bytes(component, b->hash_seed));
    return hash_mix(h, hash_bytes(name, b->hash_seed));
}

struct parameter *parameter_find(const struct broker *b, struct bytes vhost, struct bytes component, struct bytes name)
{
    uint64_t hash = parameter_hash(b, vhost, component, name);
    for (struct map_node *n = map_first(&b->parameters, hash); n != NULL; n = map_next(n)) {
        struct parameter *p = item_of(n, struct parameter, in_broker);
        if (bytes_equal(p->spec->vhost, vhost) && bytes_equal(p->spec->type, component) &&
            bytes_equal(p->spec->name, name))
            return p;
    }
    return NULL;
}

static bool is_limits(const struct spec *spec)
{
    return bytes_equal(spec->type, BYTES("vhost-limits"));
}

static char *refuse_policy(const struct field *value)
{
    struct field pattern;
    char *why = NULL;
    if (value->type != 'F' || !table_find(value->bytes, BYTES("pattern"), &pattern) || pattern.type != 'S')
        return str_copy(BYTES("a policy needs a pattern"));
    struct pattern *p = pattern_create(pattern.bytes, &why);
    pattern_destroy(p);
    if (p != NULL)
        return NULL;
    char *refusal = str_format("pattern should be regular expression but is invalid: %s", why);
    free(why);
    return refusal;
}

char *parameter_refuse(const struct spec *spec)
{
    struct field value;
    if (spec->name.len == 0 || spec->name.len > DEFINITION_NAME_MAX || spec->type.len > DEFINITION_NAME_MAX)
        return str_format("a parameter's name has 1 to %d bytes", DEFINITION_NAME_MAX);
    if (!table_find(spec->arguments, BYTES("value"), &value))
        return str_copy(BYTES("a parameter needs a value"));
    if (policy_is_one(spec))
        return refuse_policy(&value);
    if (is_limits(spec) && value.type != 'F')
        return str_copy(BYTES("limits are a table"));
    return NULL;
}

void parameter_apply_limits(struct broker *b, struct vhost *v)
{
    const struct parameter *p = parameter_find(b, v->name, BYTES("vhost-limits"), BYTES("limits"));
    struct field value = {0};
    bool has = p != NULL && table_find(p->spec->arguments, BYTES("value"), &value) && value.type == 'F';
    struct bytes limits = has ? value.bytes : (struct bytes){0};
    v->connections_max = limit_read(limits, "max-connections");
    v->queues_max = limit_read(limits, "max-queues");
    v->exchanges_max = limit_read(limits, "max-exchanges");
    v->bindings_max = limit_read(limits, "max-bindings");
    v->queue_bytes_max = limit_read(limits, "max-queue-bytes");
    pace_set(b, &v->pace, limit_read(limits, "max-publish-rate"), limit_read(limits, "max-publish-bytes-rate"));
    pace_look_again(b);
}

static bool is_pause(const struct spec *spec)
{
    return bytes_equal(spec->type, BYTES("paused-queue"));
}

/* A queue of that name is paused if the parameter says true. */
static void apply_pause(struct broker *b, const struct spec *spec, bool is_there)
{
    struct field value;
    struct vhost *v = vhost_find(b, spec->vhost);
    struct queue *q = v != NULL ? vhost_find_queue(b, v, spec->name) : NULL;
    bool is_true =
        is_there && table_find(spec->arguments, BYTES("value"), &value) && value.type == 't' && value.boolean;
    if (q != NULL && q->is_paused != is_true)
        queue_set_paused(b, q, is_true);
}

void parameter_forget_pause(struct broker *b, struct bytes vhost, struct bytes queue)
{
    struct parameter *p = parameter_find(b, vhost, BYTES("paused-queue"), queue);
    if (p != NULL)
        parameter_remove(b, p);
}

/* What depends on it looks again.  p->spec is as it is now; NULL: it goes. */
static void parameter_changed(struct broker *b, struct parameter *p, const struct spec *spec)
{
    struct vhost *v = is_limits(spec) || policy_is_one(spec) ? vhost_find(b, spec->vhost) : NULL;
    policy_drop(b, v, p->policy);
    p->policy = v != NULL && p->spec != NULL && policy_is_one(spec) ? policy_add(b, v, p->spec) : NULL;
    if (v != NULL && is_limits(spec))
        parameter_apply_limits(b, v);
}

bool parameter_put(struct broker *b, const struct spec *spec)
{
    struct parameter *p = parameter_find(b, spec->vhost, spec->type, spec->name);
    if (p == NULL) {
        p = alloc_zeroed(sizeof *p);
        map_add(&b->parameters, &p->in_broker, parameter_hash(b, spec->vhost, spec->type, spec->name));
    } else if (table_same_entries(p->spec->arguments, spec->arguments)) {
        return false;
    }
    free(p->spec);
    p->spec = spec_create(spec);
    parameter_changed(b, p, spec);
    if (is_pause(spec))
        apply_pause(b, p->spec, true);
    remember_definition(b, RECORD_DEFINE, DEFINE_PARAMETER, p->spec);
    return true;
}

void parameter_free(struct broker *b, struct parameter *p)
{
    map_remove(&b->parameters, &p->in_broker);
    policy_drop(b, NULL, p->policy);
    free(p->spec);
    free(p);
}

void parameter_remove(struct broker *b, struct parameter *p)
{
    struct spec *spec = p->spec;
    remember_definition(b, RECORD_UNDEFINE, DEFINE_PARAMETER, spec);
    p->spec = NULL;
    map_remove(&b->parameters, &p->in_broker);
    parameter_changed(b, p, spec);
    if (is_pause(spec))
        apply_pause(b, spec, false);
    free(spec);
    free(p);
}

void parameter_remove_vhost(struct broker *b, struct bytes vhost)
{
    bool again;
    do { /* a map that shrinks under a walk may leave some for the next one */
        again = false;
        for (struct map_node *n = map_walk(&b->parameters, NULL), *next; n != NULL; n = next) {
            struct parameter *p = item_of(n, struct parameter, in_broker);
            next = map_walk(&b->parameters, n);
            if (bytes_equal(p->spec->vhost, vhost)) {
                parameter_remove(b, p);
                again = true;
            }
        }
    } while (again);
}
