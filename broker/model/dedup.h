/* Deduplication: a message whose key is known is dropped as if it had been delivered long ago: confirmed, not returned
 * (reference queue-features 9.10).  Its key is the header x-deduplication-header, of any type, or the one that the
 * argument x-deduplication-header names; a message without it is never a duplicate.
 *
 *   an exchange   of type x-message-deduplication, or any with the argument x-message-deduplication=true, knows the
 *                 last x-cache-size keys (the type must say how many; else DEDUP_SIZE), each for x-cache-ttl or what
 *                 the message's header x-cache-ttl says, in ms
 *   a queue       with x-message-deduplication=true knows a key while a message with it is in the queue, ready or out;
 *                 with x-cache-ttl it does as an exchange does
 *
 * A dead letter is no duplicate of the message that died, and what an administrator moves is none of itself: caches let
 * them pass.
 *
 * A key is remembered when its message has been taken: by at least one queue, and refused by none.  Keys are kept as
 * hashes (base/siphash.h) with a secret of each cache's own, so that every key takes the same room.
 *
 * What a durable exchange or queue knows is remembered, unless x-cache-persistence is "memory": as messages without a
 * body in a queue of their own, which is none but to the journal, in one transaction with the message.  What a queue
 * knows because the message is in it needs no record: after a restart it is learned from the messages.  Until all is
 * learned that way nobody enters the virtual host, so that nothing is judged by half of it.
 */
#ifndef BROKER_MODEL_DEDUP_H
#define BROKER_MODEL_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "broker/port/command.h"

struct broker;
struct dedup;
struct exchange;
struct load;
struct message;
struct queue;
struct spec;
struct vhost;

enum {
    DEDUP_SIZE = 128,           /* keys of a cache that does not say how many (LavinMQ's) */
    DEDUP_SIZE_MAX = 1 << 24,   /* that it may say; of a queue by its messages: beyond it, the oldest are forgotten */
    DEDUP_ROUND_MAX = 16,       /* exchanges on one message's way that have a say; those behind them have none */
    DEDUP_LOAD_MESSAGES = 1024, /* that are learned from at a time, and … */
    DEDUP_LOAD_BYTES = 1 << 20, /* … of so many bytes */
    DEDUP_LOADS_MAX = 16,       /* under way at once */
};

/* A key that one cache has to know if the message is taken. */
struct dedup_pending {
    struct dedup *cache; /* borrowed */
    uint64_t hash[2];
    uint64_t ttl_ms; /* DEDUP_FOREVER */
};

#define DEDUP_FOREVER UINT64_MAX

/* What the exchanges on a message's way have said. */
struct dedup_round {
    struct dedup_pending keys[DEDUP_ROUND_MAX];
    unsigned n;
    bool is_persistent; /* the message is */
    bool is_duplicate;  /* one of them knew it */
};

/* The broker's. */
struct dedup_state {
    struct map stores;          /* of keys, by number: in the journal they are queues; owned */
    uint64_t exchanges, queues; /* that have a cache */
    uint64_t learners;          /* caches that still learn what they knew */
    uint64_t bytes;             /* of memory that all keys take */
    struct list wanting;        /* caches that want a load */
    unsigned loads;             /* under way */
    struct list held;           /* ATTACHes that wait for the learners of their virtual host */
    bool has_begun;
    bool is_moving;                               /* what is put into queues now was in one before */
    struct dedup_round round;                     /* of the message that is being routed */
    struct dedup_pending stored[DEDUP_ROUND_MAX]; /* keys whose records are still to be written */
    unsigned n_stored;
};

void dedup_state_init(struct dedup_state *d);
void dedup_state_fini(struct broker *b);

/* NULL, or why an exchange like this cannot be (the plugin's texts); on the heap. */
char *dedup_refuse(const struct spec *spec);

/* The cache that its arguments ask for, or NULL; nothing is recorded.  Destroying records that there is none any more.
 */
struct dedup *dedup_create_for_exchange(struct broker *b, struct exchange *x);
struct dedup *dedup_create_for_queue(struct broker *b, struct queue *q);
/* The queue's options have changed.  One that begins to deduplicate learns from what it has in memory; what is cold is
 * news to it. */
void dedup_refit(struct broker *b, struct queue *q);
void dedup_destroy(struct broker *b, struct dedup *d); /* NULL is allowed */

/* ---- Exchanges.  A round begins; the exchange on the way says whether the message is new to it: what is not goes no
 * further. */
static inline void dedup_round_begin(struct dedup_round *r)
{
    r->n = 0;
    r->is_duplicate = false;
}
bool dedup_visit(struct broker *b, struct dedup *d, const struct message *msg);

/* Around the putting of a message into queues: true if that is to be a transaction, which the end wants to know.  round
 * is NULL if no exchange on its way has a cache.  At the end the keys are remembered, if it was taken, and
 * b->publishing.after says what a confirm waits for. */
bool dedup_begin(struct broker *b, const struct dedup_round *round, struct queue *const *queues, size_t n);
void dedup_end(struct broker *b, const struct dedup_round *round, bool is_taken, bool is_tx);

/* ---- Queues. */

/* Does the queue know it? */
bool dedup_stops(struct broker *b, struct queue *q, const struct message *msg);

/* For those who only look: would the exchange's, or the queue's, cache stop the message?  Nothing changes. */
bool dedup_knows(const struct broker *b, struct dedup *d, const struct message *msg);

/* It is in the queue, at this position, from now on; or not any more (with the message, or only so far). */
void dedup_learn(struct broker *b, struct queue *q, const struct message *msg, uint64_t position);
void dedup_forget(struct broker *b, struct queue *q, const struct message *msg, uint64_t position);
void dedup_forget_from(struct broker *b, struct queue *q, uint64_t position);

/* The load should have brought what lay from that position on, and lost some: whose keys are forgotten. */
void dedup_forget_lost(struct broker *b, struct queue *q, const struct load *l, uint64_t from);

/* ---- After a restart. */

/* A store's definition is restored: is this one?  And how much it holds. */
bool dedup_restore(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec);
bool dedup_restore_count(struct broker *b, uint64_t id, uint64_t messages, uint64_t next_position);

/* The first step: whoever knew something begins to learn it again; stores that are nobody's any more go. */
void dedup_begin_learning(struct broker *b);
bool dedup_is_to_begin(const struct broker *b);

/* Is there anything to ask for?  Asks for it. */
bool dedup_is_due(const struct broker *b);
void dedup_ask(struct broker *b);

/* A load has come: true if it was asked for here, and then it is taken over. */
bool dedup_take_load(struct broker *b, struct load *l);

/* Nobody enters a virtual host while something is learned there: true if the ATTACH has to wait, and then it is taken
 * over.  Those that may go on come back one by one.  A client that gives up is forgotten: true if it had waited. */
bool dedup_holds(struct broker *b, const struct command *attach);
bool dedup_next_held(struct broker *b, struct command *attach);
void dedup_drop_held(struct broker *b, outlet_id id);

void dedup_check(const struct broker *b, const struct dedup *d);
#endif
