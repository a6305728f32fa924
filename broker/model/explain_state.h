/* What explain.c, explain_queue.c and explain_death.c share. */
#ifndef BROKER_MODEL_EXPLAIN_STATE_H
#define BROKER_MODEL_EXPLAIN_STATE_H

#include "broker/model/explain.h"
#include "broker/model/look.h"
#include "broker/port/inspection.h"
#include "codec/cursor.h"

enum { EXPLAIN_ROW_ROOM = 2048 /* of keys, numbers, flags, sentences; names and arguments come on top */ };

struct explain {
    struct broker *b;      /* borrowed */
    struct inspection *to; /* borrowed */
    struct message *msg;   /* borrowed */
    struct look look;
    size_t bindings, misses, exchanges; /* rows of those so far */
    uint64_t matches;
    uint64_t left_off;
    unsigned walks;                                    /* that were made for dead letters … */
    uint64_t found;                                    /* … and bindings that matched in them */
    uint64_t looked_before;                            /* the route's `looked`, as it began */
    const struct binding *matched[EXPLAIN_MISSES_MAX]; /* borrowed: of the exchange that is being looked at */
    size_t n_matched;                                  /* it may be more than there is room for */
};

/* A row of that sort, with room for so many bytes of names. */
struct pen explain_open(struct explain *e, const char *sort, size_t room);
void explain_close(struct explain *e, const struct pen *row);

/* Adds what the format says. */
void explain_say(struct pen *row, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* explain_queue.c: the queue's row, and those of its consumers. */
void explain_queue(struct explain *e, struct queue *q, const struct look_place *place);

/* explain_death.c: what becomes of the message if it dies there, for each reason that it may have. */
void explain_deaths(struct explain *e, struct queue *q);
#endif
