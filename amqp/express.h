/* The short way for the two things that a busy client says a million times: a publish that lies in the input whole
 * (method, header, one body frame or none), and an acknowledgement.
 *
 * A channel remembers a publish that came this way: the bytes of its method and of its properties, and what they were
 * found to mean.  The next one mostly has the same, so that two comparisons stand for decoding it.  Everything that is
 * unusual (an error, a property that the broker must work on, a transaction, an alarm, a body of many frames)
 * is left to the ordinary road, input.h, and both roads come to the same commands and the same output.
 */
#ifndef AMQP_EXPRESS_H
#define AMQP_EXPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct express; /* what a channel remembers */
struct session;

enum {
    EXPRESS_METHOD_MAX = 519,     /* bytes of a method that is remembered: any */
    EXPRESS_PROPERTIES_MAX = 512, /* … and of its properties */
    EXPRESS_TRIES = 8,            /* one of so many is remembered while none recurs */
};

/* Takes what it can off the front of in, on a session that is RUNNING and reads; answers how many bytes: 0 if the first
 * frame must go the ordinary road.  payload_max: of a frame.  Whether the session still reads is to be asked after it.
 */
size_t express_take(struct session *s, struct bytes in, uint32_t payload_max);

void express_destroy(struct express *x); /* NULL is allowed */
#endif
