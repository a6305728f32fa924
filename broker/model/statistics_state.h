/* What the model has counted (statistics.h): the structs that other modules embed. */
#ifndef BROKER_MODEL_STATISTICS_STATE_H
#define BROKER_MODEL_STATISTICS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/model/entry.h"
#include "broker/port/sample.h"
#include "broker/port/spec.h"

struct stream;

enum {
    QUEUE_TYPES = QUEUE_STREAM + 1,
    MESSAGE_SIZES = 9, /* bodies of at most 100 bytes, 1e3, 1e4, 1e5, 1e6, 1e7, 5e7, 1e8, and of more */
    MESSAGE_SMALL = 100,
    FOLDS_MAX = 1024,     /* virtual hosts that one look at the totals adds up; the rest comes with the next */
    BROKER_SAMPLE_ID = 0, /* as port/sample.h says */
};

/* An object's, from its first traffic on. */
struct statistics {
    struct link in_round;    /* on statistics_state.touched or .telling; of one that is gone: on .gone */
    struct counted *counted; /* borrowed: whose it is; NULL: it is gone */
    uint64_t id;
    uint64_t first_position; /* of a queue: next_position when counting began */
    uint8_t kind;            /* enum sample_kind */
    bool was_told;           /* a SAMPLE has said it */
    uint64_t counts[COUNTERS];
};

/* What such an object embeds. */
struct counted {
    struct statistics *own; /* owned; NULL: nothing was counted yet */
    uint64_t round;         /* in which it was touched last; another than the broker's: not in this one */
};

/* Why a message that died went nowhere, or how it went. */
enum strategy { DROPPED, AT_MOST_ONCE, AT_LEAST_ONCE, STRATEGIES };

/* Of all queues of one type in a virtual host, those too that are gone.  Numbers of 64 bits alone: they are added up as
 * an array. */
struct tally {
    uint64_t counts[COUNTERS];
    uint64_t handed, handed_out; /* COUNT_PUBLISH, and COUNT_DELIVER_NO_ACK or COUNT_DELIVER, both at once */
    uint64_t deaths[STRATEGIES][DEATH_DUE];
    uint64_t letters_arrived;           /* of those at least once */
    uint64_t ready, out, read, waiting; /* now; read: those of out that are ready still, in a stream */
    uint64_t ready_bytes, out_bytes;    /* of their bodies */
};

struct tallies {
    struct tally types[QUEUE_TYPES];
    uint64_t counts[COUNTERS]; /* of clients: publishes, confirms, what went nowhere; bytes of connections */
    uint64_t refused;          /* negative confirms */
    uint64_t routed;           /* copies of publishes that went into queues */
    uint64_t bytes;            /* of bodies that were published */
    uint64_t sizes[MESSAGE_SIZES];
};

enum { TALLIES = sizeof(struct tallies) / sizeof(uint64_t) };

/* Publishes of one stream over one route, one after the other, not yet added to anything. */
struct publish_run {
    struct stream *stream; /* borrowed; NULL: none */
    uint64_t n, bytes, confirmed, refused;
    uint64_t sizes[MESSAGE_SIZES]; /* [0] is what is left of n */
};

struct statistics_state {
    uint64_t round; /* from 1 on */
    struct publish_run run;
    struct list touched; /* in this round */
    struct list telling; /* in the last one, and still to be told */
    struct list gone;    /* that were told before, and not since; owned */
    bool is_telling;     /* a round has not been told to its end */
    uint64_t last_id;
    struct list vhosts;         /* that may have counted since they were added to all */
    struct tallies all;         /* of all virtual hosts, those too that are gone, as of their last folding */
    struct statistics unlisted; /* of what no listing shows: what is counted there nobody asks for */
    struct tally unlisted_tally;
    uint64_t connections_opened, connections_closed, channels_opened, channels_closed;
    uint64_t queues_declared, queues_created, queues_deleted;
    uint64_t publishers; /* streams that have published */
    uint64_t streams;
    /* Of all streams and outlets: what listings show of each. */
    uint64_t unconfirmed, uncommitted, acks_uncommitted, credit_limits, send_pend;
};
#endif
