/* What a message's x-death says of where it came from, for those who put it back there, and a message without it
 * (reference queue-features 1.4).  obituary.h writes it. */
#ifndef BROKER_MODEL_HISTORY_H
#define BROKER_MODEL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { HISTORY_NAME_MAX = 255 }; /* bytes of a name: longer ones are none */

/* The newest entry; views into the properties. */
struct last_death {
    struct bytes queue;
    bool has_names;         /* how the message had come there is known: */
    struct bytes exchange;  /* published to this exchange, */
    struct bytes key;       /* with this routing key, */
    struct bytes more_keys; /* and these: the rest of the routing-keys array, encoded */
};

/* False: there is no x-death, or its newest entry names no queue. */
bool history_find_last(struct bytes properties, struct last_death *out);

/* The same routing keys as a message has them (broker/port/message.h): at most room bytes, or none at all; answers how
 * many there are. */
unsigned history_read_keys(struct bytes more_keys, uint8_t *to, size_t room, struct bytes *keys);

/* Where a message says itself that its dead letter is to go. */
struct address {
    struct bytes exchange, key;
    bool has_exchange, has_key;
};

/* Puts in what the headers say; views into the properties. */
void history_read_address(struct bytes properties, struct address *a);

/* Is that one of those headers?  And the properties without them, as history_strip(). */
bool history_is_address(struct bytes header);
uint8_t *history_strip_address(struct bytes properties, size_t *size);

/* The properties without x-death, x-first-death-… and x-last-death-…; on the heap, *size bytes. */
uint8_t *history_strip(struct bytes properties, size_t *size);
#endif
