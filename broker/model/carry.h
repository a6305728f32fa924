/* One message from its queue into others, all of them or none: what dead letters that must arrive, and messages that an
 * administrator moves, have in common.
 *
 * One record settles the old place and fills the new ones (remember.h), so whatever happens the message is in one or
 * the other, and never in both.
 */
#ifndef BROKER_MODEL_CARRY_H
#define BROKER_MODEL_CARRY_H

#include <stdbool.h>
#include <stddef.h>

struct broker;
struct entry;
struct message;
struct queue;

/* Would each of these queues take the message and lose nothing for it?  *full: the first that would not, else NULL. */
bool carry_has_room(struct queue *const *queues, size_t n, const struct message *msg, struct queue **full);

/* The entry, which is on no list, comes to its end, and msg is in those queues instead; n may be 0.  Takes the
 * reference. */
void carry_over(struct broker *b, struct entry *e, struct message *msg, struct queue *const *queues, size_t n);
#endif
