/* The consumer timeout (reference queue-features 5.6): what was delivered and is not settled in time comes back, and
 * whoever had it is told with OVERDUE, once.
 */
#ifndef BROKER_MODEL_OVERDUE_H
#define BROKER_MODEL_OVERDUE_H

struct broker;
struct consumer;
struct queue;

enum { OVERDUE_PER_STEP = 1024 }; /* deliveries of one queue that are taken back at once */

void overdue_init(struct queue *q);

/* Something goes out to that consumer, or (NULL) to GET. */
void overdue_watch(struct broker *b, struct queue *q, const struct consumer *c);
#endif
