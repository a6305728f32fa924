/* What every run's broker holds: a few queues of different kinds, whose limits the seed chooses.  A message of a queue
 * that dies goes to at most one other, so where it is after its n-th death is known. */
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/rng.h"

enum sim_queue_id {
    Q_PLAIN,
    Q_TWIN,          /* with Q_PLAIN behind the fanout exchange "fan" */
    Q_LETTERS,       /* dead letters to Q_GRAVE */
    Q_SHORT,         /* drop-head */
    Q_SHORT_LETTERS, /* drop-head, dead letters to Q_GRAVE */
    Q_FULL,          /* reject-publish */
    Q_TTL,           /* messages expire, dead letters to Q_GRAVE */
    Q_FADING,        /* messages expire and vanish */
    Q_WORK,          /* rejected messages go to Q_RETRY … */
    Q_RETRY,         /* … and come back when they expire */
    Q_PRIOR,         /* priorities */
    Q_SINGLE,        /* one consumer at a time */
    Q_LIMITED,       /* a limit of returns, dead letters to Q_GRAVE; of type quorum, maybe */
    Q_LATE,          /* behind the exchange "later", which delays messages */
    Q_GRAVE,
    Q_PASSING, /* auto-delete, deleted and declared again at any time: its messages may vanish */
    Q_LOG,     /* a stream */
    QUEUE_COUNT,
    NO_QUEUE = 0xff
};

enum { DELAY_MAX_MS = 300 }; /* of "later" */

struct sim_queue {
    const char *name;
    const char *letters_exchange, *letters_key; /* NULL: none */
    uint32_t ttl_ms, max_length;                /* 0: none */
    bool refuses;                               /* at max_length; else drops its head */
    uint8_t max_priority;
    bool is_single, is_quorum, has_return_limit;
    uint32_t return_limit; /* has_return_limit: how often a message may come back */
    bool is_passing, is_durable, is_stream;
    bool must_arrive;                   /* its dead letters go at least once */
    uint32_t segment_bytes, keep_bytes; /* is_stream; keep_bytes 0: it keeps everything */
    uint8_t dead_to;                    /* NO_QUEUE: nowhere */
};

struct topology {
    struct sim_queue queues[QUEUE_COUNT];
};

void topology_init(struct topology *t, struct rng *r);

/* NO_QUEUE if there is none of that name. */
uint8_t topology_find(const struct topology *t, const void *name, unsigned long len);
#endif
