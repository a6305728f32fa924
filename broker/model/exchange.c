#include "broker/model/exchange.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/notice.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route_delayed.h"
#include "broker/model/route_headers.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

const struct exchange_kind *exchange_kind_find(struct bytes name)
{
    static const struct exchange_kind *const kinds[] = {
        &exchange_direct,          &exchange_fanout,       &exchange_topic,  &exchange_headers,
        &exchange_consistent_hash, &exchange_modulus_hash, &exchange_random, &exchange_local_random,
        &exchange_recent_history,  &exchange_delayed,      &exchange_dedup};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (bytes_equal(kinds[i]->name, name))
            return kinds[i];
    return NULL;
}

char *exchange_refuse(const struct spec *spec)
{
    const struct exchange_kind *kind = exchange_kind_find(spec->type);
    char *why = kind->refuse != NULL ? kind->refuse(spec) : NULL;
    return why != NULL ? why : dedup_refuse(spec);
}

struct exchange *exchange_create(struct broker *b, struct vhost *v, const struct spec *spec)
{
    struct exchange *x = alloc_zeroed(sizeof *x);
    x->vhost = v;
    x->kind = spec->name.len == 0 ? &exchange_default : exchange_kind_find(spec->type);
    x->delays = x->kind == &exchange_delayed;
    if (x->delays)
        x->kind = delayed_kind(spec);
    CHECK(x->kind != NULL);
    x->spec = spec_create(spec);
    x->name = x->spec->name;
    list_init(&x->outgoing);
    list_init(&x->incoming);
    link_init(&x->doomed);
    if (x->kind->init != NULL)
        x->kind->init(b, x);
    x->dedup = dedup_create_for_exchange(b, x);
    map_add(&v->exchanges, &x->in_vhost, hash_bytes(x->name, b->hash_seed));
    policy_apply_to_exchange(b, x);
    b->totals.exchanges++;
    if (notice_is_on(b))
        notice_exchange(b, x, true);
    return x;
}

void exchange_delete(struct broker *b, struct exchange *x)
{
    struct binding *bd;
    publish_run_end(b);
    if (notice_is_on(b))
        notice_exchange(b, x, false);
    list_remove(&x->doomed);
    list_each (bd, &x->outgoing, struct binding, in_source)
        binding_delete(b, bd);
    list_each (bd, &x->incoming, struct binding, in_destination)
        binding_delete(b, bd);
    list_remove(&x->doomed); /* its own last binding may have doomed it again */
    CHECK(b->doomed.ring.next != &x->doomed);
    remember_exchange(b, RECORD_UNDEFINE, x);
    dedup_destroy(b, x->dedup);
    if (x->waiting != NULL)
        queue_delete(b, x->waiting);
    if (x->kind->fini != NULL)
        x->kind->fini(b, x);
    map_remove(&x->vhost->exchanges, &x->in_vhost);
    b->topology_version++;
    b->totals.exchanges--;
    policy_pair_unref(x->policies);
    statistics_end(b, &x->counted);
    free(x->spec);
    free(x);
}

void exchange_delete_doomed(struct broker *b)
{
    while (!list_is_empty(&b->doomed)) {
        struct exchange *x = item_of(b->doomed.ring.next, struct exchange, doomed);
        if (list_is_empty(&x->outgoing) && !(b->is_shut_down && x->spec->durable))
            exchange_delete(b, x);
        else
            list_remove(&x->doomed);
    }
}

char *exchange_describe(const struct exchange *x)
{
    return str_format("exchange '%.*s' in vhost '%.*s'", BYTES_ARG(x->name), BYTES_ARG(x->vhost->name));
}

/* ---- Bindings. */

/* Two bindings are one if source, destination, key and arguments are (arguments in any order). */
static uint64_t binding_hash(const struct broker *b, const struct exchange *source, struct bytes destination,
                             bool to_exchange, const struct spec *spec)
{
    uint64_t h = hash_bytes(source->name, b->hash_seed);
    h = hash_mix(h, hash_bytes(destination, b->hash_seed + to_exchange));
    h = hash_mix(h, hash_bytes(spec->key, b->hash_seed));
    return hash_mix(h, table_hash(spec->arguments, b->hash_seed));
}

static struct bytes destination_name(const struct queue *queue, const struct exchange *to)
{
    return queue != NULL ? queue->name : to->name;
}

struct binding *binding_find(const struct broker *b, const struct exchange *source, const struct queue *queue,
                             const struct exchange *to, const struct spec *spec)
{
    uint64_t hash = binding_hash(b, source, destination_name(queue, to), to != NULL, spec);
    for (struct map_node *n = map_first(&source->vhost->bindings, hash); n != NULL; n = map_next(n)) {
        struct binding *bd = item_of(n, struct binding, in_vhost);
        if (bd->source == source && bd->queue == queue && bd->to == to && bytes_equal(bd->key, spec->key) &&
            table_same_entries(bd->arguments, spec->arguments))
            return bd;
    }
    return NULL;
}

struct binding *binding_create(struct broker *b, struct exchange *source, struct queue *queue, struct exchange *to,
                               const struct spec *spec)
{
    struct binding *bd = alloc(sizeof *bd + spec->key.len + spec->arguments.len);
    *bd = (struct binding){.source = source, .queue = queue, .to = to};
    struct pen p = pen_over(bd->data, spec->key.len + spec->arguments.len);
    pen_bytes(&p, spec->key);
    pen_bytes(&p, spec->arguments);
    bd->key = bytes_of(bd->data, spec->key.len);
    bd->arguments = bytes_of(bd->data + spec->key.len, spec->arguments.len);
    bd->match = headers_match_of(spec->arguments);
    link_init(&bd->in_index);
    list_append(&source->outgoing, &bd->in_source);
    list_append(queue != NULL ? &queue->bindings : &to->incoming, &bd->in_destination);
    if (source->kind->bind != NULL)
        source->kind->bind(b, source, bd);
    map_add(&source->vhost->bindings, &bd->in_vhost,
            binding_hash(b, source, destination_name(queue, to), to != NULL, spec));
    list_remove(&source->doomed);
    b->topology_version++;
    b->totals.bindings++;
    if (notice_is_on(b))
        notice_binding(b, bd, true);
    return bd;
}

void binding_announce(struct broker *b, struct binding *bd)
{
    if (bd->source->kind->bound != NULL)
        bd->source->kind->bound(b, bd);
}

void binding_delete(struct broker *b, struct binding *bd)
{
    struct exchange *source = bd->source;
    if (notice_is_on(b))
        notice_binding(b, bd, false);
    remember_binding(b, RECORD_UNDEFINE, bd);
    if (source->kind->unbind != NULL)
        source->kind->unbind(source, bd);
    map_remove(&source->vhost->bindings, &bd->in_vhost);
    list_remove(&bd->in_source);
    list_remove(&bd->in_destination);
    b->topology_version++;
    b->totals.bindings--;
    free(bd);
    if (source->spec->auto_delete && list_is_empty(&source->outgoing) && !link_is_linked(&source->doomed))
        list_append(&b->doomed, &source->doomed);
}

char *binding_refuse(const struct exchange *source, const struct spec *spec)
{
    return source->kind->refuse_binding != NULL ? source->kind->refuse_binding(source, spec) : NULL;
}
