/* Rates and histories, made from what was counted (port/sample.h): of every object the two samples that say how fast it
 * goes now, and of those with traffic what they said before, for charts (reference operations 1.6).
 *
 *     rates_begin(r, now)              every few seconds
 *     rates_take_samples(r, samples)   until is_all
 *     rates_end(r)
 *
 * A round says only what has changed, so an object that it leaves out has stood still.  What has not changed for
 * RATES_IDLE_MS is forgotten, and so are those that have stood still longest where there are too many: then their rates
 * begin again with the next sample.
 *
 * A history is a few rings, whose slots are as wide as RabbitMQ's retention policies say: ten minutes by 5 s and an
 * hour by 60 s; of the broker, its node and virtual hosts also eight hours by 600 s and a day by 1800 s.  A ring is
 * made when its counter first is not 0, so most objects have a few of a dozen.
 *
 * Time comes as an argument, in milliseconds that never go back.
 */
#ifndef BROKER_ADMIN_RATES_H
#define BROKER_ADMIN_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/sample.h"

enum {
    RATES_OBJECTS_MAX = 131072,         /* with rates: about 350 bytes each */
    RATES_HISTORIES_MAX = 4096,         /* of queues, exchanges, channels and connections, … */
    RATES_HISTORY_BYTES_MAX = 40 << 20, /* … which take so much together */
    RATES_LASTING_MAX = 1024,           /* of virtual hosts, with the broker and its node, … */
    RATES_LASTING_BYTES_MAX = 64 << 20,
    RATES_IDLE_MS = 3600000,
    RATES_QUIET_BYTES = 1024, /* in a round: a connection that has no more, and no history, begins none */
    RATES_SAMPLES_MAX = 501,  /* of one answer */
};

/* MEASURE(ID, NAME): what is measured of the node, besides the counters. */
#define NODE_MEASURES                                                                                                  \
    MEASURE(CONNECTION_CREATED, "connection_created")                                                                  \
    MEASURE(CONNECTION_CLOSED, "connection_closed")                                                                    \
    MEASURE(CHANNEL_CREATED, "channel_created")                                                                        \
    MEASURE(CHANNEL_CLOSED, "channel_closed")                                                                          \
    MEASURE(QUEUE_DECLARED, "queue_declared")                                                                          \
    MEASURE(QUEUE_CREATED, "queue_created")                                                                            \
    MEASURE(QUEUE_DELETED, "queue_deleted")                                                                            \
    MEASURE(CONTEXT_SWITCHES, "context_switches")                                                                      \
    MEASURE(IO_READ_COUNT, "io_read_count")                                                                            \
    MEASURE(IO_READ_BYTES, "io_read_bytes")                                                                            \
    MEASURE(IO_WRITE_COUNT, "io_write_count")                                                                          \
    MEASURE(IO_WRITE_BYTES, "io_write_bytes")                                                                          \
    MEASURE(IO_WRITE_US, "io_write_us") /* that all of them took together */                                           \
    MEASURE(IO_SYNC_COUNT, "io_sync_count")                                                                            \
    MEASURE(IO_SYNC_US, "io_sync_us")                                                                                  \
    MEASURE(MSG_STORE_READS, "msg_store_read_count")                                                                   \
    MEASURE(MSG_STORE_WRITES, "msg_store_write_count")                                                                 \
    MEASURE(MEM_USED, "mem_used")                                                                                      \
    MEASURE(FD_USED, "fd_used")                                                                                        \
    MEASURE(SOCKETS_USED, "sockets_used")                                                                              \
    MEASURE(PROC_USED, "proc_used")                                                                                    \
    MEASURE(DISK_FREE, "disk_free")

/* What a sample has: the counters first, by the numbers of enum sample_counter. */
enum rates_column {
    RATES_READY = COUNTERS,
    RATES_UNACKNOWLEDGED,
    RATES_MESSAGES,
#define MEASURE(id, name) RATES_##id,
    NODE_MEASURES
#undef MEASURE
        RATES_COLUMNS
};

/* A set of columns. */
#define RATES_BIT(column) (UINT64_C(1) << (column))

/* Whose: what samples are of, and the node, which is not sampled but measured.  There is one broker and one node, both
 * with the id 0. */
enum rates_kind { RATES_NODE = SAMPLE_BROKER + 1, RATES_KINDS };

struct rates;
struct rates_object;

/* interval_ms: between rounds.  epoch_ms: milliseconds since 1970 when the other clock says 0, so that slots begin
 * where people's minutes do. */
struct rates *rates_create(uint64_t interval_ms, uint64_t epoch_ms);
void rates_destroy(struct rates *r); /* NULL is allowed */

void rates_begin(struct rates *r, uint64_t now_ms);
void rates_take_samples(struct rates *r, const struct samples *s);
void rates_take_node(struct rates *r, uint64_t now_ms, const uint64_t values[RATES_COLUMNS]);
void rates_end(struct rates *r);

/* Borrowed, until the next round.  NULL: nothing is known of it.  kind: enum sample_kind, or RATES_NODE. */
const struct rates_object *rates_find(const struct rates *r, unsigned kind, uint64_t id);

/* Those columns together, as the newest sample says. */
uint64_t rates_value(const struct rates_object *o, uint64_t columns);

/* How much they rise a second: between the two newest samples, 0.0 if there is only one, or it is stale.  Counters do
 * not fall, other columns may.  o may be NULL. */
double rates_of(const struct rates *r, const struct rates_object *o, uint64_t columns, uint64_t now_ms);

/* So many seconds back from now in steps of so many; incr_s 0: nothing. */
struct rates_range {
    uint32_t age_s, incr_s; /* age_s / incr_s < RATES_SAMPLES_MAX */
};

struct rates_samples {
    unsigned n;
    uint64_t at_ms;                     /* of the newest, since 1970, a multiple of the range's step … */
    uint64_t values[RATES_SAMPLES_MAX]; /* … and each a step older than the one before it */
};

/* What they were; `now` is what they are, for an object without a history, which has stood still.  o may be NULL. */
void rates_read(const struct rates *r, const struct rates_object *o, uint64_t columns, uint64_t now,
                struct rates_range range, uint64_t now_ms, struct rates_samples *to);

/* Since when it has stood still, in milliseconds since 1970; 0: it does not. */
uint64_t rates_idle_since(const struct rates *r, const struct rates_object *o);

/* What was is not known any more; rates stay. */
void rates_forget_histories(struct rates *r);

/* What all of it takes, for tests and whoever wonders. */
struct rates_size {
    size_t objects, histories, bytes;
};
struct rates_size rates_size(const struct rates *r);
#endif
