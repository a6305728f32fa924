/* Looking at what is ready in a queue without touching it: nothing is delivered, marked or counted (INSPECT_MESSAGES).
 * What is in memory is shown at once; what is cold is asked for like a stream's reader asks, and the answer waits for
 * it. */
#ifndef BROKER_MODEL_PEEK_H
#define BROKER_MODEL_PEEK_H

#include <stdbool.h>

#include "base/list.h"

struct broker;
struct command;
struct load;
struct queue;

enum {
    PEEKS_MAX = 16,             /* that wait for what is cold */
    PEEK_PAGE_BYTES = 4 << 20,  /* of a page, and a message */
    PEEK_BODY_BYTES = 64 << 10, /* of a body that are shown */
};

/* The broker's: those that wait. */
struct peeks {
    struct list waiting;
    unsigned n;
};

void peeks_init(struct peeks *s);
void peeks_fini(struct peeks *s); /* drops them */

/* Answers the INSPECT, now or later. */
void peek(struct broker *b, struct command *c, struct queue *q);

/* What one of them has asked for has come, and is taken; false: it is for somebody else. */
bool peek_take_load(struct broker *b, struct load *l);
#endif
