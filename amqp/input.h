/* Input: the protocol header, frames, and what a frame that cannot be is answered with (reference amqp-protocol 1). */
#ifndef AMQP_INPUT_H
#define AMQP_INPUT_H

#include <stddef.h>

#include "base/bytes.h"

struct session;

/* Takes what it can off the front of in; answers how many bytes. */
size_t input_take(struct session *s, struct bytes in);
#endif
