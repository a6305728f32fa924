/* The first messages that are ready in a queue's memory from a position on, in the order in which they came: for those
 * who go through a queue without taking its messages one after the other. */
#ifndef BROKER_MODEL_PICK_H
#define BROKER_MODEL_PICK_H

#include <stdint.h>

struct broker;
struct entry;
struct queue;

enum { PICK_MAX = 1024 };

struct picked {
    struct entry *at[2 * PICK_MAX]; /* borrowed; the first n count */
    unsigned n;                     /* PICK_MAX: there may be more */
    uint64_t below;                 /* only those before this position can be among the first */
};

/* Those at `from` or behind it, and before `end`.  What was out and came back may be many, in no order that could be
 * walked: all of that is looked at. */
void pick_next(struct broker *b, struct queue *q, uint64_t from, uint64_t end, struct picked *p);
#endif
