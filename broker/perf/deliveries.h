/* What comes to a consumer, counted where it lies: frames are cut from bytes as they come, bodies are skipped and never
 * kept, acknowledgements pile up to be sent. */
#ifndef BROKER_PERF_DELIVERIES_H
#define BROKER_PERF_DELIVERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/perf/latency.h"

enum { DELIVERIES_ACK_SIZE = 21 };

struct deliveries {
    /* Set by the owner. */
    unsigned acks;           /* an acknowledgement for so many; 0: none */
    bool has_stamps;         /* bodies begin with when they were sent and whose they are … */
    uint64_t owner;          /* … and only those of this one are measured */
    struct latency *latency; /* borrowed; NULL: not now */

    /* What has been counted. */
    uint64_t count, redelivered, settled;
    uint8_t *answers; /* owned; whole acknowledgements, to be sent and forgotten: answers_len = 0 */
    size_t answers_len, answers_room;

    /* Where we are: */
    uint64_t tag;       /* of the message that is coming, or was the last */
    uint64_t body;      /* bytes of its body */
    uint64_t body_left; /* bytes of its body that no frame has announced yet */
    uint64_t skip;      /* of the frame: its end octet included */
    unsigned unsettled;
    bool is_stamp_next, is_redelivered;
};

void deliveries_fini(struct deliveries *d);

/* Takes what it can: answers how many bytes that were.  What is left is a part of a frame, fewer than frame-max bytes,
 * and must be offered again with what follows it.  Dies if these are no frames, or if the broker ends it. */
size_t deliveries_take(struct deliveries *d, const uint8_t *at, size_t n, uint64_t now_ns);
#endif
