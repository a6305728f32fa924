/* A strict client: reads what a session wrote and dies at the first thing that no client should be sent (reference
 * amqp-protocol 10). */
#ifndef TESTS_FUZZ_WITNESS_H
#define TESTS_FUZZ_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct witness;

struct witness *witness_create(void);
void witness_destroy(struct witness *w);

/* More of what was written. */
void witness_read(struct witness *w, struct bytes b);

#endif
