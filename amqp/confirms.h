/* A channel's publisher confirms: what the model said is safe or refused is gathered, and written when the turn is
 * over, as few acks as may be (reference amqp-protocol 8).
 *
 * A byte a publish, from the oldest unconfirmed one on.
 */
#ifndef AMQP_CONFIRMS_H
#define AMQP_CONFIRMS_H

#include <stdbool.h>
#include <stdint.h>

struct confirms;

struct confirms *confirms_create(void);
void confirms_destroy(struct confirms *c); /* NULL is allowed */

/* The number of the next publish: 1, 2, 3, … */
uint64_t confirms_next(struct confirms *c);

/* How many publishes have not been answered yet. */
uint64_t confirms_open(const struct confirms *c);

/* Gathers an answer.  A number that is not awaiting one is ignored. */
void confirms_gather(struct confirms *c, uint64_t number, bool refused);

bool confirms_is_gathered(const struct confirms *c); /* confirms_flush() would write something */

typedef void confirms_write_fn(void *arg, uint64_t number, bool multiple, bool refused);

/* Writes what was gathered, each publish once.  multiple covers everything up to the number, and nothing that is still
 * open or is to be refused. */
void confirms_flush(struct confirms *c, confirms_write_fn *write, void *arg);
#endif
