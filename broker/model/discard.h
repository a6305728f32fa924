/* What queues have dropped in one piece: they do not count it any more, and it is given back a little at a time,
 * because freeing a million messages takes 50 ms.
 */
#ifndef BROKER_MODEL_DISCARD_H
#define BROKER_MODEL_DISCARD_H

#include <stdbool.h>

struct broker;
struct pile;

enum { DISCARDS_PER_STEP = 4096 }; /* messages; a step carries out 256 commands at most, so publishers are no faster */

/* All that is in the pile, which is empty then.  Its messages still count as memory. */
void discard_take(struct broker *b, struct pile *p);

/* Gives some of it back, if there is any; is there?  All of it. */
void discard_some(struct broker *b);
bool discard_is_due(const struct broker *b);
void discard_all(struct broker *b);
#endif
