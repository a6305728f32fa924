/* Two sessions that are told the same: one takes the short way where it may (amqp/express.h), the other decodes
 * everything.  Whatever a client sends, and whatever the model says, they must come to the same commands, take the same
 * bytes, write the same bytes and want the same.
 *
 * What they are told is made from any bytes: publishes of all sorts, right and wrong, often like the one before, on
 * three channels; acknowledgements; what changes a channel; the model's answers; torn at any place.
 */
#ifndef TESTS_UNIT_TWINS_H
#define TESTS_UNIT_TWINS_H

#include "base/bytes.h"

/* Tells a pair what these bytes say; dies when the two differ. */
void twins_run(struct bytes script);
#endif
