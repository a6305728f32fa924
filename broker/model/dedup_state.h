/* What the two halves of deduplication share: keys (dedup.c), and how they outlive the broker (dedup_store.c). */
#ifndef BROKER_MODEL_DEDUP_STATE_H
#define BROKER_MODEL_DEDUP_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "broker/model/dedup.h"

struct dedup_key {
    struct map_node in_keys; /* by the first half of its hash */
    struct link by_age;      /* oldest first */
    uint64_t rest;           /* the other half */
    uint64_t expires_at;     /* instant.ms; DEDUP_FOREVER */
    uint64_t position;       /* of its record in the store; of a queue's own rule: of the message in the queue */
    bool is_stored;
};

/* A queue of keys that only the journal knows. */
struct key_store {
    struct map_node in_stores;
    uint64_t id;
    uint64_t next_position;
    uint64_t restored;   /* keys in it that nobody has learned yet */
    struct vhost *vhost; /* borrowed; likewise */
    struct spec *spec;   /* owned: as it was defined */
    struct dedup *cache; /* borrowed; NULL: gone, or not found yet: there for a load that is under way */
    bool is_loading;
};

struct dedup {
    struct map keys;
    struct list ages;
    struct bytes header; /* owned */
    uint64_t size_max, ttl_ms;
    uint64_t secret[2];
    struct queue *queue;       /* borrowed: whose it is, either this … */
    struct exchange *exchange; /* … or this */
    struct vhost *vhost;       /* borrowed */
    struct key_store *store;   /* owned; NULL: nothing was recorded yet */
    bool is_by_queue;          /* a key is known while its message is in the queue */
    bool keeps;                /* it is to be remembered */
    bool is_learning, is_loading;
    struct link wanting; /* on dedup_state.wanting */
    uint64_t learn_from;
};

/* Another key, the newest; what is too old or too much goes. */
struct dedup_key *dedup_add_key(struct broker *b, struct dedup *d, const uint64_t hash[2], uint64_t expires_at,
                                uint64_t position);
struct dedup_key *dedup_find_key(struct broker *b, struct dedup *d, const uint64_t hash[2]);
bool dedup_reads_key(struct dedup *d, const struct message *msg, uint64_t hash[2]); /* false: it has none */

/* Records it, in a store that is made if need be. */
void dedup_store_key(struct broker *b, struct dedup *d, struct dedup_key *k, const struct dedup_pending *p);

/* The store goes, with all that is in it. */
void dedup_store_remove(struct broker *b, struct key_store *s);

/* The cache has learned what there was, or will never. */
void dedup_end_learning(struct broker *b, struct dedup *d);
#endif
