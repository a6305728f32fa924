/* A pair whose messages an administrator moves from queue to queue (broker/port/move.h). */
#ifndef TESTS_UNIT_MOVER_H
#define TESTS_UNIT_MOVER_H

#include "broker/port/move.h"
#include "tests/unit/pair.h"

enum { MOVER_PLENTY = 1000 };

void mover_begin(struct pair *p);

/* The broker ends without a warning, and another one begins with what was kept. */
void mover_restart(struct pair *p);

/* A queue whose dead letters go to `dead` by the default exchange. */
struct queue_options mover_dying(const char *dead);

/* Persistent messages; the events are forgotten. */
void mover_publish_with(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t priority);
void mover_publish_to(struct pair *p, const char *exchange, const char *key, unsigned number);
void mover_publish(struct pair *p, const char *queue, unsigned from, unsigned to);

/* Such a command of the virtual host /, for mover_do() or mover_say(). */
struct move *mover_ask(struct move from);

/* The answer, which is the broker's. */
struct event *mover_say(struct pair *p, struct move *m);

/* The answer, which is no failure, and is the caller's. */
struct move *mover_do(struct pair *p, struct move *m);

struct mover_sum {
    uint64_t moved, kept, commands;
    char *stopped; /* the caller's */
};

/* Repeats the command until it is over, with all loads answered between. */
struct mover_sum mover_do_all(struct pair *p, struct move what);
void mover_expect_failure(struct pair *p, struct move what, enum reason reason);

/* Fetches all of a queue without acknowledgement and expects these numbers. */
void mover_expect_numbers(struct pair *p, const char *name, unsigned from, unsigned to);
uint32_t mover_count(struct pair *p, const char *name);

/* Fetches the first message of the queue; rejects it. */
ticket mover_fetch(struct pair *p, const char *name);
void mover_reject(struct pair *p, const char *name);
#endif
