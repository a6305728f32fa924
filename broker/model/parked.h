/* Commands that wait: a GET on a queue that has nothing in memory but messages that are cold, and behind it whatever
 * else its stream has said meanwhile, RESET too, so that answers stay in order.
 *
 * A GET that waits is on queue->parked and is the first on stream->parked.  When it can be answered it is, at once;
 * what is behind it goes on between two commands (broker->resumed), never inside of one.
 */
#ifndef BROKER_MODEL_PARKED_H
#define BROKER_MODEL_PARKED_H

#include <stdbool.h>

#include "broker/port/command.h"

struct broker;
struct queue;
struct stream;

/* A GET waits for messages of q.  Takes over what it owns. */
void parked_get(struct queue *q, struct stream *s, const struct command *c);

/* A command waits behind those of its stream. */
void parked_follow(struct stream *s, const struct command *c);

/* Answers those that wait for q, as far as it has something for them or nothing to wait for. */
void parked_answer(struct broker *b, struct queue *q);

/* Nothing is to be had from q any more: those that wait for it are carried out again. */
void parked_release(struct broker *b, struct queue *q);

/* The next command that need not wait any more; false: there is none. */
bool parked_next(struct broker *b, struct stream **s, struct command *c);

/* The stream's next command that is no GET, though there is one before it, which is dropped; false: no more. */
bool parked_take(struct stream *s, struct command *c);

/* Drops all that waits, with the stream. */
void parked_drop(struct stream *s);

/* Dies if a stream's list is not as above. */
void parked_check(const struct stream *s);
#endif
