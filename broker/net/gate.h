/* Where events wait for the journal: one with after > 0 goes when the journal is durable up to there, all others at
 * once.  On the hub's thread.
 *
 * While the file system is full, publishes are stuck and what makes room overtakes them.  So "durable up to" is said
 * twice: of everything, and of all but publishes (and transactions that have some).  What answers for publishes waits
 * for the first: CONFIRMED and REFUSED, DETACHED, deliveries from streams, and the answers to COMMIT and RESET.
 * Everything else waits for the second.
 *
 * What one client is told keeps its order: while an answer waits, whatever comes behind it for the same outlet waits
 * too, deliveries and DETACHED among them.  Confirms (CONFIRMED, REFUSED) neither hold up nor are held up, but for one
 * thing: they do not overtake a RETURNED.
 */
#ifndef BROKER_NET_GATE_H
#define BROKER_NET_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/event.h"

/* The positions that an outlet's next events have to wait for, if they are not durable yet. */
struct fence {
    uint64_t all;      /* all but confirms: … */
    uint64_t sure;     /* … of everything, not of changes alone */
    uint64_t confirms; /* confirms */
};

struct waiting;

/* Those that wait for the same thing: a ring; positions rise, and so do numbers. */
struct gate_line {
    struct waiting *at; /* owned, with what they own */
    size_t first, count, capacity;
};

struct gate {
    uint64_t durable;             /* everything up to here is safe … */
    uint64_t changes;             /* … and up to here all but publishes: never less */
    uint64_t fence;               /* the highest position of any fence */
    uint64_t held;                /* events that ever waited: the number of the last */
    struct fence *fences;         /* owned: by outlet slot */
    size_t n_fences;              /* slots beyond have none */
    struct gate_line sure, light; /* for everything; for changes */
};

void gate_init(struct gate *g, uint64_t durable);
void gate_fini(struct gate *g); /* drops what waits */

/* Takes from the n events those that have to wait; answers how many are left, at the front and in order. */
size_t gate_hold(struct gate *g, struct event *events, size_t n);

/* The journal is durable up to position, and but for publishes up to changes.  What gate_take() answers now has to be
 * handed out before anything that gate_hold() leaves later. */
void gate_open(struct gate *g, uint64_t position, uint64_t changes);

/* The next event that may go, its owner's now; false: no other may. */
bool gate_take(struct gate *g, struct event *e);
#endif
