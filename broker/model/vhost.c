#include "broker/model/vhost.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/port/spec.h"

static void predeclare(struct broker *b, struct vhost *v, struct bytes name, struct bytes type, bool internal)
{
    struct spec *spec = spec_create(&(struct spec){.name = name, .type = type, .durable = true, .internal = internal});
    struct exchange *x = exchange_create(b, v, spec);
    if (name.len == 0)
        v->default_exchange = x;
    free(spec);
}

struct vhost *vhost_create(struct broker *b, struct bytes name)
{
    struct vhost *v = alloc(sizeof *v + name.len);
    *v = (struct vhost){.name = bytes_of(v->data, name.len)};
    if (name.len > 0)
        memcpy(v->data, name.at, name.len);
    map_init(&v->exchanges);
    map_init(&v->queues);
    map_init(&v->bindings);
    map_add(&b->vhosts, &v->in_broker, hash_bytes(name, b->hash_seed));
    predeclare(b, v, BYTES(""), BYTES("direct"), false);
    predeclare(b, v, BYTES("amq.direct"), BYTES("direct"), false);
    predeclare(b, v, BYTES("amq.fanout"), BYTES("fanout"), false);
    predeclare(b, v, BYTES("amq.topic"), BYTES("topic"), false);
    predeclare(b, v, BYTES("amq.headers"), BYTES("headers"), false);
    predeclare(b, v, BYTES("amq.match"), BYTES("headers"), false);
    predeclare(b, v, BYTES("amq.rabbitmq.trace"), BYTES("topic"), true);
    return v;
}

void vhost_destroy(struct broker *b, struct vhost *v)
{
    struct map_node *n, *next;
    while (v->queues.count > 0) /* a map that shrinks under a walk may leave some for the next one */
        for (n = map_walk(&v->queues, NULL); n != NULL; n = next) {
            next = map_walk(&v->queues, n);
            queue_delete(b, item_of(n, struct queue, in_vhost));
        }
    while ((n = map_walk(&v->exchanges, NULL)) != NULL)
        exchange_delete(b, item_of(n, struct exchange, in_vhost));
    map_fini(&v->queues);
    map_fini(&v->exchanges);
    map_fini(&v->bindings);
    map_remove(&b->vhosts, &v->in_broker);
    free(v);
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
