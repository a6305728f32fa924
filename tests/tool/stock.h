/* A store with known contents: made by random records from a seed, some of each kind, in segments and packs that are
 * small enough for everything to happen.  It remembers what must be in it. */
#ifndef TESTS_TOOL_STOCK_H
#define TESTS_TOOL_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/store.h"

enum { STOCK_QUEUES = 4, STOCK_SEGMENT_BYTES = 64 << 10 };

struct stock_message {
    uint64_t position;
    uint32_t sum; /* of its body */
    unsigned returned;
    bool is_out, is_gone;
};

struct stock_queue {
    const char *name;
    struct stock_message *messages; /* owned */
    size_t n, room;
};

struct stock {
    uint64_t seed;
    struct disk *disk;                       /* owned */
    struct store *store;                     /* owned; NULL: closed */
    struct stock_queue queues[STOCK_QUEUES]; /* number i + 1 */
    uint64_t position;                       /* of records */
    uint64_t wall_ms;
};

struct store_config stock_config(struct disk *d); /* how its store is opened */

void stock_open(struct stock *k, const char *folder, uint64_t seed); /* a new one */
void stock_fill(struct stock *k, unsigned records);                  /* some more of everything */
void stock_hand_over(struct stock *k, struct sheaf *h);              /* records that change nothing of what is known */
void stock_write(struct stock *k);                                   /* and synced */
void stock_close(struct stock *k, bool is_clean);                    /* false: as if the process was killed */
void stock_reopen(struct stock *k);                                  /* after that */
void stock_free(struct stock *k);

/* Compares what a store holds with what must be in it: how many messages are not there, or are others. */
uint64_t stock_compare(const struct stock *k, struct store *s);

/* How many there must be. */
uint64_t stock_count(const struct stock *k);
#endif
