/* What has been counted (the command SAMPLE): of every object with traffic what its counters say by now, so that
 * whoever asks again and again can tell rates.  The model only counts; rates and histories are the asker's.
 *
 * There is one who asks: of two, each would be told a part.
 *
 * An object has an id for this from its first traffic on, never the same for two; rows of INSPECT say it, too, in
 * `statistics` (inspection.h).  What has not changed since a desk last asked is not said again, so a SAMPLE costs what
 * has happened, not what is there.
 */
#ifndef BROKER_PORT_SAMPLE_H
#define BROKER_PORT_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* COUNTER(ID, NAME): how many since the object, or the broker, is there; by the names of reference operations 1.6. */
#define SAMPLE_COUNTERS                                                                                                \
    COUNTER(PUBLISH, "publish")         /* of a queue: put into it, dead letters, too; of all else: by clients */      \
    COUNTER(PUBLISH_IN, "publish_in")   /* of an exchange: published to it, dead letters, too … */                   \
    COUNTER(PUBLISH_OUT, "publish_out") /* … and copies of that in queues, over whichever exchanges */               \
    COUNTER(CONFIRM, "confirm")                                                                                        \
    COUNTER(RETURN_UNROUTABLE, "return_unroutable")                                                                    \
    COUNTER(DROP_UNROUTABLE, "drop_unroutable")                                                                        \
    COUNTER(DELIVER, "deliver")               /* to consumers that acknowledge … */                                  \
    COUNTER(DELIVER_NO_ACK, "deliver_no_ack") /* … and to those that do not */                                       \
    COUNTER(GET, "get")                                                                                                \
    COUNTER(GET_NO_ACK, "get_no_ack")                                                                                  \
    COUNTER(GET_EMPTY, "get_empty")                                                                                    \
    COUNTER(REDELIVER, "redeliver") /* those of the four deliveries that were redeliveries */                          \
    COUNTER(ACK, "ack")                                                                                                \
    COUNTER(DISK_READS, "disk_reads")   /* messages loaded because they were cold */                                   \
    COUNTER(DISK_WRITES, "disk_writes") /* messages recorded */                                                        \
    COUNTER(RECV_OCT, "recv_oct")       /* of a connection, as it last reported: bytes … */                          \
    COUNTER(RECV_CNT, "recv_cnt")       /* … and reads */                                                            \
    COUNTER(SEND_OCT, "send_oct")                                                                                      \
    COUNTER(SEND_CNT, "send_cnt")

enum sample_counter {
#define COUNTER(id, name) COUNT_##id,
    SAMPLE_COUNTERS
#undef COUNTER
        COUNTERS
};

/* The names, by number: "publish". */
extern const char *const sample_names[COUNTERS];

enum sample_kind { SAMPLE_QUEUE, SAMPLE_EXCHANGE, SAMPLE_CHANNEL, SAMPLE_CONNECTION, SAMPLE_VHOST, SAMPLE_BROKER };

struct sample {
    enum sample_kind kind;
    uint64_t id; /* 0: the broker's */
    uint64_t counts[COUNTERS];
    uint64_t ready, unacknowledged, messages; /* of a queue, a virtual host and the broker, now */
    bool is_gone;                             /* it is no more: this is the last that is said of it */
};

enum { SAMPLES_MAX = 512 /* of one answer */ };

struct samples {
    size_t n;
    bool is_all;     /* of this round; false: ask again at once */
    uint64_t now_ms; /* instant.ms of the answer */
    struct sample at[SAMPLES_MAX];
};

struct samples *samples_create(void);
void samples_destroy(struct samples *s); /* NULL is allowed */

/* What a session reports of its connection from time to time (the command REPORT), and of its channels. */
enum { REPORT_MS = 5000, REPORT_CHANNELS_MAX = 64 };

struct report_channel {
    uint16_t stream;
    uint32_t unconfirmed, uncommitted, acks_uncommitted; /* messages */
};

struct report {
    uint64_t recv_oct, recv_cnt, send_oct, send_cnt, send_pend; /* since it began; bytes that are unwritten */
    bool is_blocked, is_blocking; /* an alarm is set, and it has published since; or it has not */
    unsigned n_channels;          /* those that changed; a connection with more reports the rest next time */
    struct report_channel channels[REPORT_CHANNELS_MAX];
};
#endif
