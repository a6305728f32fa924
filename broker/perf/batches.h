/* Connections on which the same two things happen again and again, many at once: channels opened and closed, queues
 * declared and deleted.
 *
 * A batch is so many requests of the first kind in one piece, all their answers, so many of the second, all their
 * answers.  The bytes are made once; where the broker makes up the queues' names, the second half is made from its
 * answers.
 */
#ifndef BROKER_PERF_BATCHES_H
#define BROKER_PERF_BATCHES_H

#include "broker/perf/link.h"

enum batch_kind { BATCH_CHANNELS, BATCH_QUEUES, BATCH_SERVER_NAMED };

struct batches_config {
    enum batch_kind kind;
    unsigned links, size; /* connections, and requests that each has under way at most */
    uint64_t goal;        /* of each connection: pairs of requests; UINT64_MAX: none */
};

struct batches;

/* Connects, all of them; to is borrowed only until then. */
struct batches *batches_create(const struct link_to *to, const struct batches_config *config);
void batches_destroy(struct batches *b);

/* Does what there is to do, and waits for it up to ms. */
void batches_turn(struct batches *b, int ms);

/* Pairs whose answers have come; true: all of them have reached their goal; bytes in either direction. */
uint64_t batches_done(const struct batches *b);
bool batches_are_through(const struct batches *b);
uint64_t batches_sent(const struct batches *b);
uint64_t batches_received(const struct batches *b);
#endif
