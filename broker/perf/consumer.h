/* One connection that consumes. */
#ifndef BROKER_PERF_CONSUMER_H
#define BROKER_PERF_CONSUMER_H

#include "broker/perf/deliveries.h"
#include "broker/perf/flow.h"
#include "broker/perf/link.h"
#include "broker/perf/topology.h"

enum {
    CONSUMER_ROOM = 512 << 10, /* what a read takes: one buffer for all consumers of a thread */

    /* The rest of a frame of a large body is not read but thrown away in the kernel, or copying it would make us the
     * bottleneck; while such bodies come, other reads are small, so that little of them is copied. */
    CONSUMER_DISCARD_MIN = 16 << 10,
    CONSUMER_DISCARD_READ = 4 << 10,
};

struct consumer {
    struct flow *flow; /* borrowed */
    struct link link;  /* its own buffer holds what was left of a read */
    struct deliveries deliveries;
    struct latency *latency; /* borrowed; NULL: not asked for */
    bool is_stuck;           /* acknowledgements wait until the socket takes them */
};

/* Connects, and consumes from every queue that is number i of the run's consumers'. */
void consumer_init(struct consumer *c, struct flow *f, const struct link_to *to, const struct topology *t, unsigned i);
void consumer_fini(struct consumer *c);

/* Reads once into the thread's buffer, counts what is there and acknowledges it.  False: nothing came. */
bool consumer_pull(struct consumer *c, uint8_t room[CONSUMER_ROOM]);

/* Sends the acknowledgements that wait. */
void consumer_answer(struct consumer *c);
#endif
