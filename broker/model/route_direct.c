/* The exchanges that need no pattern: the default one (queues by name), direct (an index by key) and fanout. */
#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/reply.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/reply.h"

static bool default_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    bool any = false;
    struct bytes key;
    for (struct key_walk w = routing_keys(message); key_walk_next(&w, &key);) {
        struct queue *q = vhost_find_queue(b, x->vhost, key);
        if (q == NULL && reply_is_address(key))
            q = reply_find(b, x->vhost, key);
        if (q != NULL) {
            route_add_queue(b, to, q);
            any = true;
        }
    }
    return any;
}

static bool fanout_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    (void)message;
    struct binding *bd;
    list_each (bd, &x->outgoing, struct binding, in_source)
        route_add_binding(b, to, bd);
    return !list_is_empty(&x->outgoing);
}

/* ---- Direct: the bindings of one key together. */

struct key_group {
    struct map_node in_keys;
    struct list bindings;
    size_t len;
    uint8_t key[];
};

static struct key_group *group_find(const struct exchange *x, struct bytes key, uint64_t hash)
{
    for (struct map_node *n = map_first(&x->keys, hash); n != NULL; n = map_next(n)) {
        struct key_group *g = item_of(n, struct key_group, in_keys);
        if (bytes_equal(bytes_of(g->key, g->len), key))
            return g;
    }
    return NULL;
}

static void direct_init(struct broker *b, struct exchange *x)
{
    (void)b;
    map_init(&x->keys);
}

static void direct_fini(struct broker *b, struct exchange *x)
{
    (void)b;
    map_fini(&x->keys);
}

static void direct_bind(struct broker *b, struct exchange *x, struct binding *bd)
{
    uint64_t hash = hash_bytes(bd->key, b->hash_seed);
    struct key_group *g = group_find(x, bd->key, hash);
    if (g == NULL) {
        g = alloc(sizeof *g + bd->key.len);
        g->len = bd->key.len;
        if (g->len > 0)
            memcpy(g->key, bd->key.at, g->len);
        list_init(&g->bindings);
        map_add(&x->keys, &g->in_keys, hash);
    }
    list_append(&g->bindings, &bd->in_index);
    bd->index_node = g;
}

static void direct_unbind(struct exchange *x, struct binding *bd)
{
    struct key_group *g = bd->index_node;
    list_remove(&bd->in_index);
    if (list_is_empty(&g->bindings)) {
        map_remove(&x->keys, &g->in_keys);
        free(g);
    }
}

static bool direct_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    bool any = false;
    struct bytes key;
    struct binding *bd;
    for (struct key_walk w = routing_keys(message); key_walk_next(&w, &key);) {
        struct key_group *g = group_find(x, key, hash_bytes(key, b->hash_seed));
        if (g == NULL)
            continue;
        any = true;
        list_each (bd, &g->bindings, struct binding, in_index)
            route_add_binding(b, to, bd);
    }
    return any;
}

const struct exchange_kind exchange_default = {.name = BYTES_CONSTANT("direct"), .route = default_route};
const struct exchange_kind exchange_direct = {.name = BYTES_CONSTANT("direct"),
                                              .route = direct_route,
                                              .init = direct_init,
                                              .fini = direct_fini,
                                              .bind = direct_bind,
                                              .unbind = direct_unbind};
const struct exchange_kind exchange_dedup = {.name = BYTES_CONSTANT("x-message-deduplication"), .route = fanout_route};
const struct exchange_kind exchange_fanout = {.name = BYTES_CONSTANT("fanout"), .route = fanout_route};
