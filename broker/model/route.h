/* Routing: from one exchange, over bindings to exchanges and alternate exchanges, to queues.  Each exchange is visited
 * once for a message, each queue is named once, nothing recurses (reference amqp-protocol 5.4, 5.8, 5.9; reliability
 * C9).
 */
#ifndef BROKER_MODEL_ROUTE_H
#define BROKER_MODEL_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct binding;
struct broker;
struct exchange;
struct field;
struct message;
struct queue;
struct topic_node;

/* Somebody who only looks where a message would go (look.h), and is told of each binding that matches. */
struct route_watch {
    void (*on_binding)(struct route_watch *w, const struct binding *bd);
};

/* Where a message goes.  Valid until the topology changes. */
struct route {
    struct queue **queues; /* owned array of borrowed pointers */
    size_t n, capacity;
    bool is_fleeting; /* more than names and keys had a say: the same ones may go elsewhere next time */

    struct route_watch *watch; /* borrowed; NULL: a message is routed */
    uint64_t looked;           /* bindings that were looked at one by one, of all walks */

    /* Scratch of the walk. */
    struct exchange **walk; /* owned */
    size_t walk_n, walk_capacity;
    struct topic_node **states[2]; /* owned */
    struct field *fields;          /* owned: the message's headers, by key */
    size_t field_capacity;
    size_t state_capacity[2];
};

/* What exchanges look at. */
struct routing {
    struct bytes key;            /* the routing key … */
    struct bytes extra_keys;     /* … and more: each a 4-byte length and bytes */
    const struct message *msg;   /* borrowed; NULL: none is known */
    const struct field *headers; /* sorted by key when first asked for: in the route's scratch */
    size_t header_count;
    bool headers_known;
    bool is_held; /* whether it is a duplicate is not looked at: when it is committed, or not at all */
};

void route_init(struct route *r);
void route_fini(struct route *r);

/* Finds where a message published to x goes; the answer is b->route. */
const struct route *route_message(struct broker *b, struct exchange *x, struct routing *message);

/* A walk begins, with that exchange; another is on the way, unless it was already. */
void route_begin(struct broker *b, struct route *r, struct exchange *x);
void route_visit(struct broker *b, struct route *r, struct exchange *x);

/* For exchange kinds: one binding matched. */
void route_add_binding(struct broker *b, struct route *r, const struct binding *bd);
void route_add_queue(struct broker *b, struct route *r, struct queue *q);

/* Calls each for the routing key and every extra key. */
struct key_walk {
    struct bytes first, rest;
    bool begun;
};
struct key_walk routing_keys(const struct routing *message);
bool key_walk_next(struct key_walk *w, struct bytes *key);

/* The message's header of that name, or NULL; the first, if there are several. */
const struct field *routing_header(struct route *r, struct routing *message, struct bytes key);
#endif
