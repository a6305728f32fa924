/* A virtual host: a name space of exchanges and queues, and the bindings between them. */
#ifndef BROKER_MODEL_VHOST_H
#define BROKER_MODEL_VHOST_H

#include "base/bytes.h"
#include "base/map.h"

struct broker;
struct exchange;
struct queue;

struct vhost {
    struct map_node in_broker;
    struct map exchanges, queues;      /* by name; owned */
    struct map bindings;               /* by what makes them one (reference amqp-protocol 5.7); owned */
    struct exchange *default_exchange; /* borrowed: the one without a name */
    struct bytes name;
    uint8_t data[];
};

/* A new virtual host with the predeclared exchanges (reference amqp-protocol 5.1). */
struct vhost *vhost_create(struct broker *b, struct bytes name);
void vhost_destroy(struct broker *b, struct vhost *v);

struct vhost *vhost_find(const struct broker *b, struct bytes name);
struct exchange *vhost_find_exchange(const struct broker *b, const struct vhost *v, struct bytes name);
struct queue *vhost_find_queue(const struct broker *b, const struct vhost *v, struct bytes name);
#endif
