/* Asks the model every few seconds what it has counted, measures the node, and keeps what came of it as rates and
 * histories (rates.h).  On the administration's thread, as a desk of its own. */
#ifndef BROKER_ADMIN_COLLECTOR_H
#define BROKER_ADMIN_COLLECTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/admin/measure.h"
#include "broker/admin/rates.h"
#include "broker/port/event.h"

enum {
    COLLECTOR_MEASURES_MS = 1000, /* what was measured so long ago is measured again, if somebody wants to see it */
};

struct admin;
struct collector;

/* Begins when the loop runs. */
struct collector *collector_create(struct admin *a);
void collector_destroy(struct collector *c); /* NULL is allowed */

/* True: that was for its desk; c may be NULL.  What the event owns is dropped after it. */
bool collector_on_event(struct collector *c, struct event *e);

const struct rates *collector_rates(const struct collector *c);

/* A number of the last totals (INSPECT_TOTALS). */
uint64_t collector_total(const struct collector *c, const char *name);

/* See rates_forget_histories(). */
void collector_forget_histories(struct collector *c);

/* What the node is like now; borrowed until the next call. */
const struct measure *collector_measure(struct collector *c);

/* The node's columns (enum rates_column), from that and the totals (INSPECT_TOTALS), which may be NULL: the last that
 * were seen. */
void collector_node(struct collector *c, const json_t *totals, uint64_t values[RATES_COLUMNS]);
#endif
