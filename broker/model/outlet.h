/* Outlets and streams: a client as the model sees it, and its channels.  What a stream has out is requeued when it
 * ends; an outlet owns exclusive queues and a window. */
#ifndef BROKER_MODEL_OUTLET_H
#define BROKER_MODEL_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "broker/model/pace.h"
#include "broker/model/statistics_state.h"
#include "broker/port/ids.h"

struct broker;
struct consumer;
struct queue;
struct access;
struct spec;
struct vhost;

/* Where the last publish went: while the topology stays as it is, the next with the same names goes there too. */
struct remembered_route {
    struct queue **queues;     /* owned array of borrowed pointers; valid while version is the topology's */
    struct exchange *exchange; /* borrowed, likewise */
    size_t n, capacity;
    uint64_t version;
    uint8_t exchange_len, key_len;
    uint8_t names[510]; /* exchange, routing key */
};

/* Where the publishes of an open transaction go, one after the other: they are routed when they come, and enqueued at
 * the commit.  A queue that is pinned outlives its deletion as a name that takes nothing. */
enum { OUTLET_QUEUE_ENDS = 8 }; /* of ENDS_PER_STEP, that the deletion of an exclusive queue takes */

enum { HELD_QUEUES_MAX = 1 << 20 }; /* places of one open transaction */

struct held_routes {
    struct queue **queues; /* owned array, pinned; NULL ends a publish's */
    size_t n, capacity;
};

struct stream {
    struct outlet *outlet; /* borrowed */
    uint16_t number;
    uint16_t channel;                /* what its session calls it; 0: not known yet */
    bool poisoned;                   /* ignored until RESET */
    bool confirms, is_transactional; /* it has published so: for listings */
    bool has_published;
    bool has_begun;                 /* a command came for it, and its user's channels were counted */
    struct remembered_route *route; /* owned; NULL until the first publish */
    struct list parked;             /* commands that wait for a GET, itself the first (parked.h) */
    uint64_t after;                 /* position that the last answer waits for: what is told behind it waits too */
    uint64_t stamped;               /* the highest position that anything told to it waits for */
    struct counted counted;
    uint64_t handed, handed_out; /* as in struct queue, to its consumers */
    uint32_t credit_limit;       /* 0: none */
    uint32_t credit_used;        /* what its consumers have out */
    uint64_t out_count;          /* how many there are in … */
    struct list out;             /* … its entries that are out, oldest first */
    struct list starved;         /* consumers that wait for its credit */
    struct list consumers;
    uint32_t consumer_count; /* but for replies */
    uint32_t prefetch;       /* for listings: what its client last said of consumers to come */
    struct held_routes held;
    uint32_t unconfirmed, uncommitted, acks_uncommitted; /* as its session last reported */
    struct link resumed;                                 /* on broker->resumed */
};

struct outlet {
    outlet_id id;
    int64_t window;              /* bytes of deliveries that it may still be sent */
    struct stream **streams;     /* owned, by number; NULL where there is none */
    size_t stream_count;         /* slots in streams[] */
    struct vhost *vhost;         /* borrowed */
    struct access *access;       /* borrowed: what it may do there; lives as long as it is not expelled */
    struct list stalled;         /* consumers that wait for the window */
    struct link in_access;       /* on access->outlets */
    struct spec *facts;          /* owned: what ATTACH said; its arguments are what listings show */
    uint64_t since_ms;           /* by the wall clock */
    struct consumer **consumers; /* owned array, by number; NULL where there is none */
    size_t consumer_count;       /* slots in consumers[] */
    struct list exclusive_queues;
    uint64_t stamped; /* as of the streams that are gone */
    struct slowness slow;
    struct counted counted;
    uint64_t send_pend;           /* bytes, as it last reported … */
    bool is_blocked, is_blocking; /* … and whether an alarm keeps it from publishing, or would */
    bool has_left;                /* its client has gone: what it locks is free for others to declare */
    bool is_ending;               /* outlet_end() has taken its consumers */
};

/* facts is copied. */
struct outlet *outlet_create(struct broker *b, outlet_id id, struct access *a, const struct spec *facts);

/* Its client is gone: ends its streams and deletes its exclusive queues, as far as the step may.  A stream may end in
 * pieces, what it has out in the order in which it went.  False: there is more. */
bool outlet_end(struct broker *b, struct outlet *o);

/* All of that, and frees it. */
void outlet_delete(struct broker *b, struct outlet *o);

/* The same at once, whatever it has under way: its client is told why. */
void outlet_expel(struct broker *b, struct outlet *o, const char *why);

struct outlet *outlet_find(const struct broker *b, outlet_id id);

/* Is it one of those that a desk's command names: connection, user (source), virtual host; empty: any? */
bool outlet_is_meant(const struct outlet *o, const struct spec *which);

/* How many streams all outlets of its user have. */
uint64_t outlet_count_streams(const struct outlet *o);

/* The stream of that number, made if need be. */
struct stream *outlet_stream(struct broker *b, struct outlet *o, uint16_t number);

/* Its consumers go, what it has out is requeued, it is freed. */
void stream_delete(struct broker *b, struct stream *s);

/* Adds a publish to the held ones, false if there are too many; forgets them all. */
bool stream_hold(struct stream *s, struct queue **queues, size_t n);
void stream_release_held(struct broker *b, struct stream *s);

/* Requeues what it has out: because it asks for that; or because it ends (held_too), also what an open transaction has
 * settled. */
void stream_requeue(struct broker *b, struct stream *s, bool held_too);

/* What its transaction has settled is not. */
void stream_unhold(struct stream *s);

/* What its session says that it has: messages without a confirm, and what an open transaction holds. */
void stream_report(struct broker *b, struct stream *s, uint32_t unconfirmed, uint32_t uncommitted, uint32_t acks);

void stream_set_credit(struct broker *b, struct stream *s, uint32_t limit);
void consumer_wake_all(struct broker *b, struct list *waiting); /* consumer.h */

static inline bool stream_is_starved(const struct stream *s)
{
    return s->credit_limit > 0 && s->credit_used >= s->credit_limit;
}

static inline void stream_release(struct broker *b, struct stream *s)
{
    CHECK(s->credit_used > 0);
    s->credit_used--;
    if (!list_is_empty(&s->starved) && !stream_is_starved(s))
        consumer_wake_all(b, &s->starved);
}

static inline struct origin stream_origin(const struct stream *s)
{
    return (struct origin){.outlet = s->outlet->id, .stream = s->number};
}

void outlet_set_consumer(struct outlet *o, uint32_t number, struct consumer *c);
struct consumer *outlet_find_consumer(const struct outlet *o, uint32_t number);

/* The client took so many bytes. */
void outlet_widen(struct broker *b, struct outlet *o, uint64_t bytes);
#endif
