/* The log of a queue of type stream: messages that nobody takes out.  They are numbered from 0 on, by their position in
 * the queue, which is called their offset; all of them are recorded, and the newest are in memory, too.
 *
 * A log is cut into parts (the reference calls them segments; it has nothing to do with the journal's), for what goes
 * by size or age goes by whole parts, oldest first and never the one that is being written (reference queue-features
 * 7.3).  A part that is closed is a definition (DEFINE_PART), so that a restart knows where it begins and how old it
 * is. Without a store (config.records is false) all that there is of a log is in memory.
 */
#ifndef BROKER_MODEL_LOG_H
#define BROKER_MODEL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "broker/model/state.h"

struct message;
struct queue;

enum {
    LOG_PART_BYTES = 500000000,        /* of a part, if nobody says otherwise */
    LOG_PARTS_MAX = 4096,              /* a part is no smaller than this part of the log, whoever says so */
    LOG_MESSAGE_BYTES = 64,            /* what a message counts for besides its text */
    LOG_RECENT_SCANT = 32,             /* messages in memory where there is none to spare … */
    LOG_RECENT_SCANT_BYTES = 32 << 10, /* … in so many bytes */
    LOG_MILESTONES = 8,
    LOG_MILESTONE_MESSAGES = 512, /* from one to the next */
};

#define LOG_UNKNOWN_MS UINT64_MAX /* of a part that was being written before a restart */

struct log_part {
    uint64_t first;        /* offset of its first message */
    uint64_t defined;      /* the one that its definition says, if it is closed */
    uint64_t count, bytes; /* that it holds, and of their bodies */
    uint64_t size;         /* what counts for limits: of all that came with them */
    uint64_t last_ms;      /* when its last one came, by the wall clock; LOG_UNKNOWN_MS */
};

/* When something is safe: what is told of it is not told before (event.after). */
struct log_stamp {
    uint64_t record; /* position of the message's record, 0: it is safe … */
    bool is_in_tx;   /* … or of a transaction's that it belongs to, which was not over then */
};

struct log_recent {
    struct message *msg; /* a reference */
    uint64_t wall_ms;
    struct log_stamp stamp;
};

struct log {
    struct log_part *parts; /* owned; the last is being written, those before `first_part` are gone */
    size_t first_part, n_parts, parts_room;
    uint64_t size;   /* of all parts */
    uint64_t *stale; /* owned: offsets of parts that are defined, and not there */
    size_t n_stale;

    struct log_recent *recent; /* owned: a ring; the last is the newest message */
    size_t first_recent, n_recent, recent_room;
    uint64_t recent_cost; /* message_cost() */

    /* All before this offset is as safe as that says; the first is the oldest. */
    struct {
        uint64_t before;
        struct log_stamp stamp;
    } milestones[LOG_MILESTONES];
    struct log_stamp last; /* of the newest message */

    struct list replays;   /* all readers */
    struct wakeup aging;   /* when the first part may be too old */
    struct list bookmarks; /* owned: all */
    uint64_t n_bookmarks;
    struct wakeup saving;    /* when those that have moved are recorded */
    struct message *receipt; /* shared: stands for what is out in entries, which keep no messages here */
    struct link suspended;   /* on log_state.suspended */
    struct queue *queue;     /* borrowed */
};

struct log *log_create(struct broker *b, struct queue *q);
void log_destroy(struct log *l); /* NULL is allowed */

/* Another message; takes the reference.  It is the one that remember_begin() was told of. */
void log_append(struct broker *b, struct queue *q, struct message *msg);

/* Drops parts that are too much or too old. */
void log_retain(struct broker *b, struct queue *q);

/* Drops everything: the queue is deleted.  Answers how many messages that were.  Parts' definitions go before the
 * queue's: log_forget_parts(). */
uint64_t log_drop(struct broker *b, struct queue *q);
void log_forget_parts(struct broker *b, struct queue *q);

/* Offsets: of the oldest message, and of those in memory.  There may be none, then it is the next one's. */
uint64_t log_first(const struct log *l);
uint64_t log_recent_first(const struct log *l);

/* The message at an offset, which is in memory. */
const struct log_recent *log_recent_at(const struct log *l, uint64_t offset);

/* What a delivery of a message from the store waits for. */
uint64_t log_stamp_before(const struct broker *b, const struct log *l, uint64_t offset);
uint64_t log_stamp_value(const struct broker *b, struct log_stamp s);

/* [*low, *high]: the first message that is not older than ms (by the wall clock) has an offset in there. */
void log_find_time(const struct log *l, uint64_t ms, uint64_t *low, uint64_t *high);

/* The transaction is over. */
void log_resume(struct broker *b);

/* Before the first step: a part that was closed, and then what the queue holds.  False: it is nonsense. */
bool log_restore_part(struct broker *b, uint64_t queue, struct bytes key, struct bytes value);
void log_restore(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes, uint64_t next_position);

void log_check(const struct broker *b, const struct queue *q);
#endif
