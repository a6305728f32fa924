/* Options of queues, read from where they are said: a queue's x-… arguments, or the definition of a policy, whose keys
 * are the same without the x-.  Nothing is refused here: a value of the wrong type or out of its range counts as not
 * given (the session has refused it before, with amqp/options.h; reference queue-features 0.3, 6.5, 8.2).
 *
 * Pure, any thread.
 */
#ifndef BROKER_PORT_QUEUE_OPTIONS_H
#define BROKER_PORT_QUEUE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/port/spec.h"

/* Bytes of a routing key, for which the wire has an octet. */
enum { ROUTING_KEY_MAX = 255 };

/* Nothing given. */
#define QUEUE_OPTIONS_NONE                                                                                             \
    {                                                                                                                  \
        .message_ttl_ms = SPEC_NONE, .expires_ms = SPEC_NONE, .max_length = SPEC_NONE, .max_length_bytes = SPEC_NONE,  \
        .delivery_limit = SPEC_NONE, .consumer_timeout_ms = SPEC_NONE, .retry_min_ms = SPEC_NONE,                      \
        .retry_max_ms = SPEC_NONE, .max_age_ms = SPEC_NONE, .segment_bytes = SPEC_NONE, .cache_size = SPEC_NONE,       \
        .cache_ttl_ms = SPEC_NONE, .publish_rate = SPEC_NONE                                                           \
    }
extern const struct queue_options queue_options_none;

/* What a checked table says; texts in *out are views into it. */
void queue_options_of_arguments(struct bytes arguments, struct queue_options *out);
void queue_options_of_policy(struct bytes definition, struct queue_options *out);

/* "7D" in ms (reference queue-features 7.3: ^[0-9]+[YMDhms]$, more than 0); false: it is no such thing. */
bool duration_read(struct bytes text, uint64_t *ms);

/* The words that an option knows, in the order of its enum; ends with NULL. */
extern const char *const overflow_words[], *const queue_type_words[], *const retry_type_words[],
                                                                          *const retry_growth_words[],
                                                                              *const dead_letter_strategy_words[];

/* What RabbitMQ calls a type in its errors: "rabbit_quorum_queue". */
const char *queue_type_module(enum queue_type type);
#endif
