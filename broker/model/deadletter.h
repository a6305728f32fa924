/* Dead letters: what becomes of a message that was rejected, expired or pushed out of a queue that has a dead-letter
 * exchange (reference queue-features 1).  A dead letter is a new message: the body of the one that died, its properties
 * with the history in x-death, the routing key of the queue's choice. */
#ifndef BROKER_MODEL_DEADLETTER_H
#define BROKER_MODEL_DEADLETTER_H

#include <stdbool.h>

#include "base/bytes.h"

struct broker;
struct entry;
struct exchange;
struct message;
struct queue;

/* Has the queue a dead-letter exchange, or the message one of its own?  (Its header x-dead-letter-exchange counts
 * before the queue's argument, and x-dead-letter-routing-key likewise; reference queue-features 1.1.) */
bool deadletter_has_exchange(const struct queue *q, const struct message *msg);

/* NULL: there is none of that name. */
struct exchange *deadletter_exchange(const struct broker *b, const struct queue *q, const struct message *msg);

/* What it is called, be it there or not; false: there is to be none. */
bool deadletter_find_name(const struct queue *q, const struct message *msg, struct bytes *name);

/* The dead letter of an entry that dies, for that exchange; the caller holds the only reference. */
struct message *deadletter_write(const struct broker *b, const struct entry *e, const struct exchange *x);

/* The same in two steps, with time between them: what died with its history, but otherwise as it was; and what becomes
 * of that, which died in q, for that exchange. */
struct message *deadletter_describe(const struct broker *b, const struct entry *e);
struct message *deadletter_address(const struct queue *q, const struct message *described, const struct exchange *x);

/* Is there any on its way? */
bool deadletter_is_due(const struct broker *b);

/* Moves the next one.  are_caused: those that have died since are of the one before, and are next, so that what letters
 * cause in a fan of queues is as deep as it is, not as wide.  Else they are behind all that died before them. */
void deadletter_next(struct broker *b, bool are_caused);

/* No more is moved for now. */
void deadletter_pause(struct broker *b, bool are_caused);

/* Drops them all. */
void deadletter_forget(struct broker *b);
#endif
