/* What a dead letter's headers say about its past (reference queue-features 1.4). */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "base/bytes.h"
#include "tests/sim/topology.h"

/* How many deaths these properties count in x-death; 0: it never died. */
uint32_t history_count(struct bytes properties);

/* Dies unless the history fits a message that came into this queue by its death in another. */
void history_check(const struct topology *t, uint8_t queue, struct bytes properties);
#endif
