/* Cold messages: what is ready in a queue but not in memory.
 *
 * A queue keeps its first messages in memory.  Beyond a window a publish leaves nothing there but a higher count: its
 * record is all there is of it.  When the messages in memory run low, RECORD_LOAD asks for the next ones, and LOADED
 * brings them.  Everything cold lies behind everything in memory, so order needs no thought; but a queue may have no
 * head for a while though it is not empty.  Then consumers and GETs wait, and so do x-max-length (the queue is over its
 * limit meanwhile) and expiry.
 *
 * A queue with priorities cannot know what is next before it has seen all: it keeps everything in memory, and what was
 * restored is loaded to the last before it has a head.
 */
#ifndef BROKER_MODEL_COLD_H
#define BROKER_MODEL_COLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct broker;
struct broker_config;
struct entry;
struct load;
struct load_entry;
struct load_entry;
struct message;
struct queue;

enum {
    COLD_WINDOW_BYTES = 64 << 20,        /* memory of all messages, while no more is taken queues may be long … */
    COLD_WINDOW_SHARE = 4,               /* … and no more than this part of memory_high … */
    COLD_WINDOW_MESSAGES = 1024,         /* … and so many of a queue … */
    COLD_WINDOW_QUEUE_BYTES = 512 << 10, /* … in so many bytes (message_cost()), and one, whatever others do */
    COLD_OUT_MAX = 1024,                 /* that a queue may have out, while the memory alarm is on, and load more */
    COLD_LOADS_MAX = 64,                 /* loads under way at once */
    COLD_SCANT_MESSAGES = 32,            /* what a load brings when there is no memory to spare, for a queue … */
    COLD_SCANT_BYTES = 32 << 10,         /* … that nobody reads: enough to see what expires … */
    COLD_SCANT_TIMES = 2,                /* … and one, where this many times as much is in use as was to be */
};

/* A queue's. */
struct cold {
    uint64_t count, bytes; /* bytes: of their bodies */
    uint64_t from; /* they are at this position or behind it; what is ready in memory and never was out, before */
    uint64_t late_count, late_bytes; /* those of them that were published since the load was asked for … */
    uint64_t late_from;              /* … at this position or behind it; the load may bring some of them, too */
    uint64_t warm_cost;              /* message_cost() of what is ready in memory */
    struct link wanting;             /* on cold_state.wanting, or starved */
    bool is_loading;
    bool is_behind;   /* what is ready must go, by its limits or its age, and is not in memory: publishers are slowed */
    bool is_expiring; /* the last that was in memory went by its age */
    bool is_held;     /* its keys are learned first (dedup.h) */
    bool is_stale;    /* there was a purge since the load was asked for: what it brings is gone */
};

/* The broker's. */
struct cold_state {
    uint64_t window_bytes;
    uint64_t paging_bytes; /* in use, above which a queue keeps one message only; 0: no such limit */
    uint64_t window_messages, window_queue_bytes;
    struct list wanting; /* queues that want to load */
    struct list starved; /* those that have enough out for a time in which there is no memory */
    unsigned loads;      /* under way, also for queues that are gone */
    uint64_t behind;     /* queues that are */
};

void cold_state_init(struct cold_state *s, const struct broker_config *config);

void cold_init(struct cold *c);

/* Will the message, which no consumer takes at once, be cold in this queue? */
bool cold_takes(const struct broker *b, const struct queue *q, const struct message *msg);

/* It is, there; the caller keeps its reference. */
void cold_add(struct broker *b, struct queue *q, const struct message *msg, uint64_t position, uint64_t ttl_ms);

/* The queue holds so much cold, which nobody has counted yet. */
void cold_count(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes);

/* Wants a load if there is something cold and little in memory. */
void cold_look(struct broker *b, struct queue *q);

/* Wants a load however much is in memory.  False: nothing is cold. */
bool cold_want(struct broker *b, struct queue *q);

/* Is there anything to ask for, and nothing to wait for first? */
bool cold_is_due(const struct broker *b);

/* Something that was out is not any more; or there is memory again: who starved may load. */
void cold_look_again(struct broker *b, struct queue *q);
void cold_feed(struct broker *b);

/* Asks for what is wanted: once a step, when all else is done. */
void cold_ask(struct broker *b);

/* Asks for so many at or behind a position, at once: they are cold until somebody takes them (expiring.h). */
void cold_fetch(struct broker *b, struct queue *q, uint64_t position, uint64_t messages_max);

/* So many of the cold ones are gone, wherever they were. */
void cold_drop(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes);

/* An entry, on no list, for what was loaded, whose message it takes. */
struct entry *cold_entry(struct broker *b, struct queue *q, struct load_entry *le);

/* What was asked for has come.  Takes it over. */
void cold_take_load(struct broker *b, struct load *l);

/* When it came: the wall clock may have jumped since it was written, but it never stays longer than it may. */
int64_t cold_arrival(const struct broker *b, const struct load_entry *le);

/* The queue is behind, or not any more. */
void cold_set_behind(struct broker *b, struct queue *q, bool is_behind);

/* Drops what is cold: recorded, unless the queue is gone. */
void cold_purge(struct broker *b, struct queue *q);

void cold_check(const struct broker *b, const struct queue *q, uint64_t warm_count, uint64_t warm_cost);
#endif
