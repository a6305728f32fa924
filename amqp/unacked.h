/* A channel's unacknowledged deliveries, by delivery tag.
 *
 * Tags go up and mostly settle in order, so this is a ring of them, oldest first: what settles in order costs O(1), an
 * acknowledgement of many costs what it settles, and anything else a binary search.  What is settled out of order
 * leaves a hole, and holes are squeezed out before the ring grows, so the memory is at most some four times what is
 * outstanding, however long an old delivery stays.
 *
 * A delivery that was settled in a transaction is gone for its client, and comes back if that is rolled back.
 */
#ifndef AMQP_UNACKED_H
#define AMQP_UNACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/ids.h"

struct unacked;

/* Called with each ticket that an acknowledgement settles, oldest first. */
typedef void unacked_each_fn(void *arg, ticket t);

struct unacked *unacked_create(void);
void unacked_destroy(struct unacked *u); /* NULL is allowed */

/* Remembers a delivery.  Tags only go up, and stay below 2^62. */
void unacked_push(struct unacked *u, uint64_t tag, ticket t);

enum unacked_for { FOR_GOOD, IN_TRANSACTION };

/* Settles tag, or every tag up to it; tag 0 with multiple means all.  False, and nothing happens, if tag itself is not
 * outstanding (reference amqp-protocol 7.8). */
bool unacked_settle(struct unacked *u, uint64_t tag, bool multiple, enum unacked_for how, unacked_each_fn *each,
                    void *arg);

/* What was settled in the transaction is settled for good, or outstanding again. */
void unacked_commit(struct unacked *u);
void unacked_rollback(struct unacked *u);

/* Forgets all that is outstanding. */
void unacked_clear(struct unacked *u);

uint32_t unacked_count(const struct unacked *u); /* outstanding */
uint32_t unacked_room(const struct unacked *u);  /* places of the ring: for tests of what it costs */
#endif
