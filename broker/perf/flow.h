/* What the producers' and the consumers' thread of a run, which may be one, share with each other and with the thread
 * that watches: how far they are, and when it is over. */
#ifndef BROKER_PERF_FLOW_H
#define BROKER_PERF_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/perf/options.h"

/* One thread writes each of these, and adds without a lock. */
typedef _Atomic uint64_t flow_count;

static inline void flow_add(flow_count *to, uint64_t n)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_release);
}

static inline uint64_t flow_read(const flow_count *of)
{
    return atomic_load_explicit(of, memory_order_acquire);
}

struct flow {
    /* Set before the threads start. */
    const struct perf_options *o;        /* borrowed */
    unsigned copies;                     /* queues that a message goes to */
    uint64_t owner;                      /* of this run's stamps */
    uint64_t publish_goal, consume_goal; /* messages of all; UINT64_MAX: none */
    uint64_t begin_ns;                   /* when the first message is due, if there is a rate */
    int progress;                        /* owned eventfd: rung for a producers' thread that waits for consumers */
    int done;                            /* owned eventfd: rung when a goal is reached */

    /* The producers' thread's. */
    _Alignas(64) flow_count published;
    flow_count confirmed, refused, returned, sent, heard, sends, blocked;

    /* The consumers' thread's. */
    _Alignas(64) flow_count consumed;
    flow_count settled, redelivered, received, fills;

    /* Anybody's. */
    _Alignas(64) _Atomic bool is_waiting; /* the producers' thread sleeps, because the queues are full */
    _Atomic bool is_over, is_measuring;
};

/* Messages that may still be published before the consumers must have had some more. */
static inline uint64_t flow_room(const struct flow *f)
{
    uint64_t waiting = flow_read(&f->published) * f->copies, gone = flow_read(&f->consumed);
    if (f->o->backlog == 0)
        return UINT64_MAX;
    waiting = waiting > gone ? waiting - gone : 0;
    return waiting < f->o->backlog ? (f->o->backlog - waiting + f->copies - 1) / f->copies : 0;
}

/* Writes stay large: who was stopped goes on only when so much room is there again. */
static inline uint64_t flow_least_room(const struct flow *f)
{
    return f->o->backlog / f->copies / 4;
}
#endif
