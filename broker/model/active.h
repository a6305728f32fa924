/* Single active consumer (reference queue-features 5.4): of all consumers of such a queue one is given messages; the
 * others wait for its end.
 */
#ifndef BROKER_MODEL_ACTIVE_H
#define BROKER_MODEL_ACTIVE_H

#include <stdbool.h>

struct broker;
struct consumer;
struct queue;

/* May the consumer be given anything?  Of an ordinary queue every one may. */
bool active_may_serve(const struct queue *q, const struct consumer *c);

/* The consumer is new to a queue with one active consumer. */
void active_consider(struct queue *q, struct consumer *c);

/* The active one is not any more: another is. */
void active_choose(struct broker *b, struct queue *q);

/* Who was to settle what it had out, before another becomes active, has done so. */
void active_retire(struct broker *b, struct consumer *c);
#endif
