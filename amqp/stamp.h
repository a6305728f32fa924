/* Headers that the copy delivered gets and the message in the queue has not: x-delivery-count, x-acquired-count,
 * x-stream-offset (reference queue-features 6.3, 7.3).  What a publisher gave under these names is not shown.
 */
#ifndef AMQP_STAMP_H
#define AMQP_STAMP_H

#include "base/bytes.h"
#include "broker/port/event.h"

/* The properties with these headers, encoded, on the heap: the caller frees them. */
struct bytes stamp_write(struct bytes properties, enum stamp stamp, uint64_t value);
#endif
