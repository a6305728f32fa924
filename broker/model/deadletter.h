/* Dead letters: what becomes of a message that was rejected, expired or pushed out of a queue that has a dead-letter
 * exchange (reference queue-features 1).  A dead letter is a new message: the body of the one that died, its properties
 * with the history in x-death, the routing key of the queue's choice. */
#ifndef BROKER_MODEL_DEADLETTER_H
#define BROKER_MODEL_DEADLETTER_H

struct broker;

/* Moves up to most of the entries on broker->deaths, oldest first; answers how many. */
unsigned deadletter_some(struct broker *b, unsigned most);

/* Drops them all. */
void deadletter_forget(struct broker *b);
#endif
