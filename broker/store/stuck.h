/* What found no room: publishes, and transactions that have some, in their order.  Other records overtake them, and
 * take from them what they have settled (docs/adr/0007).  There is something here only while the file system is full.
 */
#ifndef BROKER_STORE_STUCK_H
#define BROKER_STORE_STUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "broker/port/record.h"

struct stuck_record {
    struct record record; /* owned; places: how many live */
    uint64_t position;    /* the journal's */
    uint64_t wall_ms;
    uint64_t tx_bytes; /* the first of a transaction: room that all of it needs */
    size_t first_place;
    uint32_t places; /* how many it had */
    bool is_held;    /* no publish, and does not belong to one: nothing is safe from here on */
};

/* A place of a publish, and what became of the message since. */
struct stuck_place {
    struct place place;
    size_t record; /* its index */
    uint32_t returns;
    bool is_out, is_gone;
};

/* The places of one queue, by position. */
struct stuck_queue {
    struct map_node by_id;
    uint64_t id;
    size_t *places; /* owned: indices; those before `first` are gone */
    size_t first, n, room;
    size_t letters;      /* that are stuck, and replace a message of it … */
    uint64_t letters_to; /* … no further than here */
};

struct stuck {
    struct stuck_record *records; /* owned; those before `next` are written or gone */
    size_t next, n, room;
    struct stuck_place *places; /* owned */
    size_t n_places, places_room;
    struct map queues; /* owned: struct stuck_queue */
    size_t fated;      /* what became of the messages of the records before this one is written, too */
    size_t held;       /* how many are */
};

void stuck_init(struct stuck *k);
void stuck_fini(struct stuck *k);

static inline bool stuck_is_empty(const struct stuck *k)
{
    return k->next == k->n && k->fated == k->next;
}

/* Takes the record over, which comes behind all others.  It is as if it had been one of nothing afterwards. */
struct stuck_record *stuck_add(struct stuck *k, struct record *r, const struct place *places);

/* The next to be written; it, and what became of it, must be. */
static inline struct stuck_record *stuck_first(struct stuck *k)
{
    return &k->records[k->next];
}

void stuck_next(struct stuck *k);                  /* the first was written, or needs not */
void stuck_skip(struct stuck *k);                  /* over publishes that nobody wants any more */
void stuck_clear(struct stuck *k);                 /* it is empty: gives its memory back */
uint64_t stuck_before(const struct stuck *k);      /* the position before the first */
uint64_t stuck_held_before(const struct stuck *k); /* before the first that is held; UINT64_MAX: none is */

/* NULL: it is in no publish here. */
struct stuck_place *stuck_find(struct stuck *k, uint64_t queue, uint64_t position);

/* The first place of a queue from a position on; NULL: there is none. */
struct stuck_place *stuck_find_from(struct stuck *k, uint64_t queue, uint64_t position);

static inline bool stuck_has_queue(struct stuck *k, uint64_t queue)
{
    return stuck_find_from(k, queue, 0) != NULL;
}

/* It was settled.  True: with it went a letter that has replaced *at, which is settled therefore. */
bool stuck_settle(struct stuck *k, struct stuck_place *p, struct place *at);

/* Does a letter wait to replace a message of the queue from that position on?  It must not go before the letter came.
 */
bool stuck_has_letters(struct stuck *k, uint64_t queue, uint64_t from);
#endif
