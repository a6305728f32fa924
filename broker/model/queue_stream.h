/* The kind of queues of type stream: what they do otherwise than others (queue.h), with a log (log.h) that consumers
 * read by replays (replay.h) and take nothing from (reference queue-features 7.3). */
#ifndef BROKER_MODEL_QUEUE_STREAM_H
#define BROKER_MODEL_QUEUE_STREAM_H

#include "broker/model/queue.h"

extern const struct queue_kind queue_stream;

/* A message that is out comes to its end, whatever the outcome. */
void queue_stream_settled(struct broker *b, const struct entry *e);

/* The consumer has just been made: it begins to read. */
void queue_stream_begin(struct broker *b, struct queue *q, struct consumer *c);
#endif
