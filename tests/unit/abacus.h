/* Counts a model's events, and holds what the model has counted itself (broker/model/statistics.h) to that. */
#ifndef TESTS_UNIT_ABACUS_H
#define TESTS_UNIT_ABACUS_H

#include "broker/model/broker.h"
#include "broker/port/sample.h"

struct abacus {
    uint64_t counts[COUNTERS]; /* what events tell: deliveries of all sorts, confirms, returns */
    uint64_t refused;
    size_t watched;   /* events of the effects that are in that */
    uint64_t last_id; /* of what the model counts: less than it was, and it is another model */
};

/* The events that have come since. */
void abacus_watch(struct abacus *a, const struct broker *b, const struct effects *e);

/* The events, which it has seen, are going to be forgotten. */
void abacus_forget(struct abacus *a);

/* Dies if the model says otherwise. */
void abacus_check(const struct abacus *a, struct broker *b);
#endif
