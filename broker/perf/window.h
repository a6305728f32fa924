/* A producer's publishes that wait for their confirms, by sequence number: confirms may come in any order, alone or for
 * all up to one, and what counts is up to where there is no gap. */
#ifndef BROKER_PERF_WINDOW_H
#define BROKER_PERF_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/perf/latency.h"

struct window {
    uint64_t size;      /* publishes that may be unconfirmed; 0: there are no confirms, and all this is not used */
    uint64_t mask;      /* of the rings below, whose size is a power of two above that */
    uint64_t confirmed; /* every publish up to this one; the first is 1 */
    bool *is_confirmed; /* owned; ring */
    uint64_t *sent_ns;  /* owned; ring; NULL: nobody asks how long it took */
};

void window_init(struct window *w, unsigned size, bool has_times);
void window_fini(struct window *w);

/* When publish number seq was sent, or due. */
static inline void window_note_sent(struct window *w, uint64_t seq, uint64_t ns)
{
    if (w->sent_ns != NULL)
        w->sent_ns[seq & w->mask] = ns;
}

/* A confirm, at now_ns; how many publishes are confirmed with it that were not before, or -1 if that one was never
 * published.  latency NULL: this is not measured. */
int64_t window_note_confirm(struct window *w, uint64_t seq, bool multiple, uint64_t now_ns, struct latency *latency);
#endif
