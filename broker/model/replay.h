/* A replay: how one consumer reads a stream's log, from where it wanted to begin.
 *
 * It has a cursor, the offset of what is next, and takes nothing from anybody: what is near the end of the log it finds
 * in memory, with all other readers (log.h); for what is before that it asks the store (RECORD_LOAD), a load while the
 * one before is being given out, so that neither waits for the other, and no more than these two are in memory.
 */
#ifndef BROKER_MODEL_REPLAY_H
#define BROKER_MODEL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "broker/model/offset.h"
#include "codec/table.h"

struct broker;
struct consumer;
struct load;
struct message;
struct queue;

enum {
    REPLAY_LOAD_MESSAGES = 2048,
    REPLAY_LOAD_BYTES = 512 << 10, /* message_cost() of a load, and one message more */
    REPLAY_SCANT_MESSAGES = 32,    /* of a load when there is no memory to spare … */
    REPLAY_SCANT_BYTES = 32 << 10, /* … in so many bytes */
    REPLAY_LOADS = 2,              /* that one reader has at once */
    REPLAY_LOADS_MAX = 64,         /* under way at once, for all readers */
};

/* Which messages a consumer wants: by their header x-stream-filter-value. */
struct replay_filter {
    bool is_set, takes_unfiltered;
    struct field wanted; /* S, or A of S: in the consumer's arguments */
};

/* NULL, or what is wrong with x-stream-filter, on the heap. */
char *replay_filter_read(struct bytes arguments, struct replay_filter *out);
bool replay_filter_takes(const struct replay_filter *f, const struct message *m);

struct replay {
    struct consumer *consumer; /* borrowed; it owns this */
    struct queue *queue;       /* borrowed */
    struct link in_log;        /* on log->replays */
    struct link wanting;       /* on log_state.wanting */
    uint64_t id;               /* what its loads are called */
    uint64_t next;             /* offset of what it looks at next; it may be beyond the end */
    struct replay_filter filter;

    struct load *loads[REPLAY_LOADS]; /* owned: the first is being read, from `at` on */
    uint32_t at;
    bool is_loading;
    uint64_t load_end; /* what is being loaded: from there on the log did not go when it was asked for */

    struct bookmark *bookmark; /* borrowed; NULL: it has none */
    uint64_t settled_to;       /* with one: the highest offset that its consumer has settled, plus one */

    bool is_seeking; /* it begins with the first message that is not older than this, between low and high */
    uint64_t seek_ms, low, high;
};

/* The consumer's, from now on. */
struct replay *replay_create(struct broker *b, struct queue *q, struct consumer *c, const struct offset *from);
void replay_destroy(struct broker *b, struct replay *r);

/* Gives its consumer what there is and what it can take. */
void replay_run(struct broker *b, struct replay *r);

/* Is there anything to ask for, and nothing to wait for first?  Asks: once a step, when all else is done. */
bool replay_is_due(const struct broker *b);
void replay_ask(struct broker *b);

/* What was asked for has come.  Takes it over. */
void replay_take_load(struct broker *b, struct load *l);

void replay_check(const struct broker *b, const struct replay *r);
#endif
