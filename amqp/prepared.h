/* Deliveries that are mostly written before they come.  All that goes to a consumer begins with the same bytes, up to
 * the delivery tag; what follows is copied from the message, in one go for the three frames.
 *
 * The bytes are those that the tables of codec/method.h would write: tests hold the two together.
 */
#ifndef AMQP_PREPARED_H
#define AMQP_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/output.h"
#include "base/bytes.h"
#include "broker/port/message.h"

enum {
    PREPARED_HEAD = 12, /* before the consumer tag: head of the frame, class, method, length of the tag */
    PREPARED_MAX = PREPARED_HEAD + 255,
};

/* Writes the beginning of a consumer's deliveries to memory with room for PREPARED_HEAD + consumer_tag.len bytes;
 * answers that. */
size_t prepared_write(uint8_t *to, uint16_t channel, struct bytes consumer_tag);

/* Appends a delivery of m, with its cost.  The body goes in one frame, or in none when it is empty; it must not be
 * larger than MESSAGE_INLINE_MAX. */
void prepared_deliver(struct output *o, struct bytes beginning, uint64_t delivery_tag, bool redelivered,
                      const struct message *m);
#endif
