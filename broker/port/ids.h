/* Names that may cross threads: numbers, never pointers.  Each is a slot and a generation, so a name that outlives its
 * object finds nothing instead of something else. */
#ifndef BROKER_PORT_IDS_H
#define BROKER_PORT_IDS_H

#include <stdbool.h>
#include <stdint.h>

/* One client connection, as the model sees it.  The runtime chooses it when it accepts the connection: slots are dense
 * and used again, with a higher generation, after DETACHED. */
typedef struct {
    uint32_t slot, generation;
} outlet_id;

/* A client's generation is never 0.  That is a desk: the administration, whose commands are about no client.  Its slot
 * is its own choice, and comes back with the answer. */
enum { DESK_GENERATION = 0 };

/* Clients that the desk itself is, for a moment: their slots are the first, and theirs alone. */
enum { DESK_SLOTS = 64 };

static inline bool outlet_is_desks(outlet_id id)
{
    return id.slot < DESK_SLOTS || id.generation == DESK_GENERATION;
}

/* One message that is out with one consumer, unsettled.  The model chooses it. */
typedef struct {
    uint32_t slot, generation;
} ticket;

/* Where a command comes from and an event goes to.  The stream is what a channel is to the model: a scope of ownership
 * and of order.  The session chooses streams, densely from 0; it may use a number again once RESET was answered. */
struct origin {
    outlet_id outlet;
    uint16_t stream;
    uint16_t channel; /* what the session calls the stream: for listings */
};
#endif
