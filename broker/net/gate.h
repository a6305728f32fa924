/* Where events wait for the journal: one with after > 0 goes when the journal is durable up to there, all others at
 * once.  Those that wait keep their order.  On the hub's thread.
 */
#ifndef BROKER_NET_GATE_H
#define BROKER_NET_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/port/event.h"

struct gate {
    uint64_t durable;      /* everything up to here is safe */
    struct event *waiting; /* owned, with what they own: a ring */
    size_t first, count, capacity;
};

void gate_init(struct gate *g, uint64_t durable);
void gate_fini(struct gate *g); /* drops what waits */

/* Takes from the n events those that have to wait; answers how many are left, at the front and in order. */
size_t gate_hold(struct gate *g, struct event *events, size_t n);

/* The journal is durable up to position. */
void gate_open(struct gate *g, uint64_t position);

/* The next event that may go, its owner's now; false: no other may. */
bool gate_take(struct gate *g, struct event *e);
#endif
