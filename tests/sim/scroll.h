/* What clients have read of the stream Q_LOG: which message is at which offset.  An offset that somebody has read is
 * that message's for ever, whatever becomes of the broker (reference queue-features 7.3).
 */
#ifndef SIM_SCROLL_H
#define SIM_SCROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "tests/sim/ledger.h"
#include "tests/sim/topology.h"

struct scroll;

struct scroll *scroll_create(const struct topology *t, struct ledger *l); /* both borrowed */
void scroll_destroy(struct scroll *s);

/* The x-stream-offset of a delivery; dies if there is none. */
uint64_t scroll_offset(struct bytes properties);

/* A consumer has read it.  *next: what it expects, UINT64_MAX: it does not know; dies unless that, or it is something
 * later of a stream that does not keep everything.  Dies if another message was there before, or this one elsewhere. */
void scroll_read(struct scroll *s, uint32_t message, uint64_t offset, uint64_t *next, uint64_t now);

/* All that there is has been read, and it ends before this offset: dies unless every message that is sure is there, and
 * in its publisher's order. */
void scroll_verdict(const struct scroll *s, uint64_t count);
#endif
