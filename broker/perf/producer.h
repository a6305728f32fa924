/* One connection that publishes. */
#ifndef BROKER_PERF_PRODUCER_H
#define BROKER_PERF_PRODUCER_H

#include "broker/perf/flow.h"
#include "broker/perf/link.h"
#include "broker/perf/publishes.h"
#include "broker/perf/topology.h"
#include "broker/perf/window.h"

struct producer {
    struct flow *flow; /* borrowed */
    struct link link;
    struct publishes publishes;
    struct window window;
    struct latency *latency;       /* borrowed: of confirms; NULL: not asked for */
    uint64_t sent;                 /* bytes of publishes */
    uint64_t offered;              /* bytes of them that a write had, which TLS wants to see again */
    uint64_t stamped;              /* publishes that have got their time */
    uint64_t most;                 /* publishes; UINT64_MAX: no limit */
    double interval_ns, phase_ns;  /* with a rate: from one publish to the next, and before the first */
    bool is_writable, is_readable; /* as epoll said, edge by edge */
};

/* Connects, and makes ready its publishes: producer number i of the run. */
void producer_init(struct producer *p, struct flow *f, const struct link_to *to, const struct topology *t, unsigned i);
void producer_fini(struct producer *p);

/* One write of what may go out now; false: nothing may, or nothing went. */
bool producer_push(struct producer *p, uint64_t now_ns);

/* Reads what the broker says: confirms, returns, or the end. */
void producer_hear(struct producer *p);

/* When its next publish is due, if there is a rate and nothing else holds it back; else UINT64_MAX. */
uint64_t producer_due(const struct producer *p);

/* Waits until the broker has taken all that was published. */
void producer_settle(struct producer *p);
#endif
