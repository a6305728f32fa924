/* Dead letters: what becomes of a message that was rejected, expired or pushed out of a queue that has a dead-letter
 * exchange (reference queue-features 1).  A dead letter is a new message: the body of the one that died, its properties
 * with the history in x-death, the routing key of the queue's choice. */
#ifndef BROKER_MODEL_DEADLETTER_H
#define BROKER_MODEL_DEADLETTER_H

#include <stdbool.h>

struct broker;

/* Is there any on its way? */
bool deadletter_is_due(const struct broker *b);

/* Moves the next one. */
void deadletter_next(struct broker *b);

/* Drops them all. */
void deadletter_forget(struct broker *b);
#endif
