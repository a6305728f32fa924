/* x-… arguments: read into options, and what is wrong with them said in RabbitMQ's words (reference amqp-protocol 6.4,
 * queue-features 0.2 and 0.3).  The model raises it, after its own checks. */
#ifndef AMQP_OPTIONS_H
#define AMQP_OPTIONS_H

#include "amqp/error.h"
#include "base/bytes.h"
#include "broker/port/spec.h"

#define OPTIONS_EXPIRY_MAX_MS INT64_C(315360000000) /* ten years */
#define OPTIONS_SEGMENT_MAX INT64_C(3000000000)     /* bytes of a stream's segment */
enum { OPTIONS_PRIORITY_MAX = 255 };

/* Reads spec->arguments into spec->options; spec->name is the queue.  NULL, or what is wrong, which the caller gives to
 * free(). */
char *options_read_queue(struct spec *spec, struct bytes vhost);

/* The same for a consumer: into spec->priority and spec->options.consumer_timeout_ms. */
char *options_read_consumer(struct spec *spec, struct bytes vhost);

/* NULL, or an exception if there are more than SPEC_ARGUMENTS_MAX. */
struct error *options_check_count(struct bytes arguments);
#endif
