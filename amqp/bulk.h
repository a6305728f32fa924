/* A large body frame that is taken as it comes, not when all of it is there: so that the socket can be read into the
 * message itself, and the bytes are copied once less.
 *
 *     bulk_begin(s, in, max)      in is the beginning of such a frame: its head is taken, and what there is of it
 *     bulk_take(s, in)            … and more of it, up to its end octet, which is input.c's business
 *     bulk_room(s, &n)            … or memory that it may be read to, and bulk_got() says how much was
 *
 * Nothing of it counts before its end has come: a frame with a wrong end, or one that an alarm stops, is what it would
 * be if it had come in one piece.
 */
#ifndef AMQP_BULK_H
#define AMQP_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct session;

enum {
    BULK_MIN = 16 * 1024, /* bytes that are still to come of a frame, for it to be worth it */
    BULK_SHOWN = 17,      /* bytes of a payload that are kept for an error text: one more than it shows */
};

/* Of a session. */
struct bulk {
    uint32_t size; /* of the payload; 0: no such frame is under way */
    uint32_t left; /* of it to come */
    uint16_t channel;
    uint8_t shown[BULK_SHOWN]; /* the payload's beginning */
};

/* Begins if in is the beginning of such a frame, and answers how much of in it took; 0: it is not.  The session is
 * RUNNING.  payload_max: of a frame. */
size_t bulk_begin(struct session *s, struct bytes in, uint32_t payload_max);

static inline bool bulk_is_under_way(const struct bulk *b)
{
    return b->size > 0;
}

/* Takes what is left of the payload off the front of in; answers how much. */
size_t bulk_take(struct session *s, struct bytes in);

/* Where the next *n bytes of the payload may be put; NULL: nowhere, nobody wants them. */
uint8_t *bulk_room(struct session *s, size_t *n);
void bulk_got(struct session *s, size_t n);
#endif
