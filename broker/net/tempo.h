/* How the hub is doing, in numbers: how long its turns take, and how long confirms wait for the disk.  The hub's thread
 * measures, a few stores a turn; any thread reads.
 */
#ifndef BROKER_NET_TEMPO_H
#define BROKER_NET_TEMPO_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "broker/port/event.h"

enum { TEMPO_TURNS_MAX = 1024 }; /* whose confirms wait, and that are told apart */

struct hub_measures {
    struct histogram turns_us;    /* a turn, from its reading of the clock to its events' leaving */
    uint64_t stalls;              /* turns longer than HUB_TURN_MS */
    struct histogram confirms_us; /* of each publish that waited for the disk: from its record's handing over until its
                                     confirm may go */
    uint64_t batches, commands;
};

/* The records of a turn: the last one's position, and when they were handed over. */
struct tempo_turn {
    uint64_t position, at_us;
};

struct tempo {
    /* The hub's. */
    uint64_t began_us;
    uint64_t batches, commands;               /* of this turn */
    struct tempo_turn turns[TEMPO_TURNS_MAX]; /* a ring: handed over, and maybe not durable yet */
    size_t first, count;
    struct histogram confirms_us; /* of this turn */

    pthread_mutex_t lock;
    struct hub_measures measures; /* under lock */
};

struct tempo *tempo_create(void);
void tempo_destroy(struct tempo *p); /* NULL is allowed */

/* A turn begins, steps through a batch of so many commands, and is over. */
void tempo_begin(struct tempo *p);
static inline void tempo_count_batch(struct tempo *p, unsigned commands)
{
    p->batches++;
    p->commands += commands;
}
void tempo_end(struct tempo *p, uint64_t stall_us);

/* Records up to that position go to the keeper. */
void tempo_hand_over(struct tempo *p, uint64_t position);

/* Events that have waited for the disk go, in the order of the gate. */
void tempo_release(struct tempo *p, const struct event *events, size_t n);

/* Any thread. */
void tempo_read(struct tempo *p, struct hub_measures *to);
#endif
