/* A virtual host: a name space of exchanges and queues, the bindings between them, and who may do what there. */
#ifndef BROKER_MODEL_VHOST_H
#define BROKER_MODEL_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/model/pace.h"
#include "broker/model/policy.h"
#include "broker/model/statistics_state.h"

struct broker;
struct exchange;
struct queue;
struct spec;

enum { VHOST_PREDECLARED = 7 }; /* exchanges that every virtual host has: they count for no limit */

struct vhost {
    struct map_node in_broker;
    struct map exchanges, queues;      /* by name; owned */
    struct map replies;                /* by address; owned by their consumers' clients (reply.h) */
    struct map bindings;               /* by what makes them one (reference amqp-protocol 5.7); owned */
    struct exchange *default_exchange; /* borrowed: the one without a name */
    struct exchange *trace;            /* borrowed: amq.rabbitmq.trace */
    bool is_traced;                    /* its definition says so: trace.h */
    struct spec *spec;                 /* owned: as it was defined (port/definition.h) */
    struct bytes name;                 /* in spec */
    bool is_defined;                   /* it was put, or restored; else it came with broker_create() */
    uint64_t hash_seed;
    struct map accesses, topics; /* access.h; owned */
    struct access *machine;      /* owned: of the machine's administrator; NULL until it comes in */
    /* user.h, LIMIT_NONE; by the parameter vhost-limits: */
    uint64_t connections_max, queues_max, exchanges_max, bindings_max;
    uint64_t queue_bytes;     /* of bodies that are ready in all queues … */
    uint64_t queue_bytes_max; /* … and how many may be */
    uint64_t connections;
    struct list policies[POLICY_KINDS]; /* policy.h */
    struct link stale;                  /* on broker->stale: they have changed … */
    uint64_t refresh_cursor;            /* … and who was looked at since: of exchanges, then of queues */
    bool has_fresh_exchanges;
    uint64_t learners; /* caches that still learn which keys they knew (dedup.h): nobody is let in meanwhile */
    struct pace pace;  /* max-publish-rate, max-publish-bytes-rate */
    struct counted counted;
    struct tallies tallies;
    struct tallies *folded; /* owned: what of that is in the broker's (statistics.h) */
    struct link folding;    /* on broker->statistics.vhosts */
    uint64_t pins;          /* queues that still ask for it, those too that are gone */
    bool gone;              /* removed; there only for them */
};

/* A new virtual host with the predeclared exchanges (reference amqp-protocol 5.1). */
struct vhost *vhost_create(struct broker *b, const struct spec *spec);

/* Empties it, and frees it when nobody asks for it any more.  Its connections and what is recorded of it are
 * vhost_remove()'s. */
void vhost_destroy(struct broker *b, struct vhost *v);

/* NULL, or why there can be no such one; on the heap. */
char *vhost_refuse(const struct spec *spec);

/* There is such a one from now on, or it is so from now on.  True: that changes something. */
bool vhost_put(struct broker *b, const struct spec *spec);

/* broker_add_vhost_default() was never called. */
void vhost_forget_defaults(struct broker *b);

/* Takes its connections, all that is in it and itself away. */
void vhost_remove(struct broker *b, struct vhost *v);

/* A queue of it is made, is freed. */
void vhost_pin(struct vhost *v);
void vhost_unpin(struct broker *b, struct vhost *v);

struct vhost *vhost_find(const struct broker *b, struct bytes name);
struct exchange *vhost_find_exchange(const struct broker *b, const struct vhost *v, struct bytes name);
struct queue *vhost_find_queue(const struct broker *b, const struct vhost *v, struct bytes name);
#endif
