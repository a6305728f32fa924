/* Message groups: of the messages of a queue that have the same group, only one consumer has any at a time, in order;
 * other groups go to other consumers meanwhile.  A queue's argument x-message-group-header says which header names the
 * group (true: JMSXGroupID), whose value may be of any type; a message without it is a group of its own.
 *
 * A group is whoever's has messages of it out.  When all of them are settled it is anybody's again, and moves to
 * whoever is next.  What comes back takes its place before what came later, as ever.  Who fetches with GET is a
 * consumer of one message; who takes without acknowledging has nothing out, so order is all there is to it.
 *
 * All messages stay in queue->ready, where limits, expiry and purges find them.  Beside it, this knows them by group:
 * each group's by rank, the groups that are nobody's by the rank of their first, and each consumer's own likewise.
 * So a message costs a few steps in heaps however many wait behind a busy consumer: nothing is ever skipped.
 *
 * What is cold is in no group yet.  While all that is in memory waits for busy consumers, more is loaded, up to
 * GROUPS_AHEAD_MESSAGES: behind so many of busy groups other groups have to wait.
 */
#ifndef BROKER_MODEL_GROUPS_H
#define BROKER_MODEL_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct consumer;
struct entry;
struct groups;
struct message;
struct queue;

enum { GROUPS_AHEAD_MESSAGES = 8192, GROUPS_AHEAD_BYTES = 8 << 20 };

/* What its declaration asks for, or NULL. */
struct groups *groups_create(struct broker *b, const struct queue *q);
void groups_destroy(struct groups *g); /* all has been removed; NULL is allowed */

/* The queue's options have changed.  What consumers have out already of one group may be with several. */
void groups_refit(struct broker *b, struct queue *q);

/* An entry comes into queue->ready, leaves it. */
void groups_add(struct broker *b, struct queue *q, struct entry *e);
void groups_remove(struct broker *b, struct queue *q, struct entry *e);

/* It goes out to the consumer (NULL: GET), or was out and is not any more. */
void groups_send(struct broker *b, struct queue *q, const struct message *msg, struct consumer *c);
void groups_settle(struct broker *b, struct queue *q, const struct message *msg);

/* What the consumer (NULL: GET) may be given next; it stays where it is.  NULL: nothing. */
struct entry *groups_pick(const struct groups *g, const struct consumer *c);

/* There is nothing for the consumer, who is on the ring: waits until there is. */
void groups_wait(struct groups *g, struct consumer *c);

/* Another consumer looks again, if there is something for anybody: true if so. */
bool groups_wake(struct broker *b, struct groups *g);

/* The consumer goes; its groups are nobody's when what it has out is settled. */
void groups_leave(struct consumer *c);

/* Does all that is in memory wait for busy consumers, and is more to be loaded? */
bool groups_want_more(const struct queue *q);

void groups_check(const struct broker *b, const struct queue *q);
#endif
