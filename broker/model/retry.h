/* Delayed retry: a message that was given back waits before it is ready again, at its old place; longer each time, if
 * the queue's options say so (reference queue-features 6.5).
 *
 * While it waits it is neither ready nor out: it has no part in limits, is in no count of those, and does not expire
 * before it is ready.  What is recorded is that it came back, so after a restart it is ready.
 */
#ifndef BROKER_MODEL_RETRY_H
#define BROKER_MODEL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/spec.h"

#define RETRY_MAX_MS UINT64_C(315360000000) /* ten years */

struct broker;
struct entry;
struct queue;

void retry_init(struct queue *q);

/* How long a message is to wait that has come back so many times; 0: it need not. */
uint64_t retry_delay(const struct queue_options *o, unsigned deliveries, bool has_failed);

/* An entry on no list has come back.  True: it waits from now on. */
bool retry_takes(struct broker *b, struct queue *q, struct entry *e, bool has_failed);

/* The queue's TTL has changed: who waits and is to expire sooner now is ready by then. */
void retry_redate(struct broker *b, struct queue *q);

/* All that wait come to their end; answers how many. */
uint64_t retry_purge(struct broker *b, struct queue *q);

/* Dies if its entries are not as they should be. */
void retry_check(const struct broker *b, const struct queue *q);
#endif
