/* Where events wait for the journal: one with after > 0 goes when the journal is durable up to there, all others at
 * once.  On the hub's thread.
 *
 * What one client is told keeps its order: while an answer waits, whatever comes behind it for the same outlet waits
 * too, deliveries and DETACHED among them.  Confirms (CONFIRMED, REFUSED) neither hold up nor are held up, but for one
 * thing: they do not overtake a RETURNED.
 */
#ifndef BROKER_NET_GATE_H
#define BROKER_NET_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/port/event.h"

/* The positions that an outlet's next events have to wait for, if they are not durable yet. */
struct fence {
    uint64_t all;      /* all but confirms */
    uint64_t confirms; /* confirms */
};

struct gate {
    uint64_t durable;      /* everything up to here is safe */
    uint64_t fence;        /* the highest position of any fence */
    struct fence *fences;  /* owned: by outlet slot */
    size_t n_fences;       /* slots beyond have none */
    struct event *waiting; /* owned, with what they own: a ring; positions rise */
    size_t first, count, capacity;
};

void gate_init(struct gate *g, uint64_t durable);
void gate_fini(struct gate *g); /* drops what waits */

/* Takes from the n events those that have to wait; answers how many are left, at the front and in order. */
size_t gate_hold(struct gate *g, struct event *events, size_t n);

/* The journal is durable up to position.  What gate_take() answers now has to be handed out before anything that
 * gate_hold() leaves later. */
void gate_open(struct gate *g, uint64_t position);

/* The next event that may go, its owner's now; false: no other may. */
bool gate_take(struct gate *g, struct event *e);
#endif
