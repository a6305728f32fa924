/* The history that a dead letter carries: x-death, x-first-death-…, x-last-death-… (reference queue-features 1.3, 1.4).
 */
#ifndef BROKER_MODEL_OBITUARY_H
#define BROKER_MODEL_OBITUARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/model/entry.h"

struct death_record {
    const struct message *msg; /* that died; borrowed */
    struct bytes queue;        /* where */
    enum death death;          /* why */
    uint64_t wall_ms;          /* when */
    bool keeps_address;        /* the message's own dead-letter headers stay */
    bool ignores_client;       /* a history that is not the broker's own does not count (1.7) */
};

/* The word for it in x-death: rejected, expired, maxlen, delivery_limit. */
struct bytes death_word(enum death death);

/* The properties of the dead letter, as encoded bytes on the heap in *out (the caller frees out->at), without its
 * expiration.  Answers how many of its x-death entries, from the first, the broker itself recorded. */
uint16_t obituary_write(const struct death_record *r, struct bytes *out);

/* The rule against cycles (reference queue-features 1.6): may a message with this history, whose first `recorded`
 * x-death entries are the broker's own, enter this queue? */
bool obituary_allows(struct bytes properties, uint16_t recorded, struct bytes queue);
#endif
