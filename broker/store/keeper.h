/* Keeps what the model wants remembered: owns the store, works it on a thread of its own (the journal thread), and
 * syncs on a second one.  While one group syncs, the next one gathers.
 *
 *     k = keeper_create(&config)                  the store is open, and what was in it has been read
 *     keeper_start(k, &ear)
 *     keeper_keep(k, &effects->records)           whenever a turn of the hub leaves records
 *     keeper_stop(k)                              everything is on disk
 *
 * A store that fails, or a sync that does, ends the process at once, with KEEPER_EXIT: nobody knows then what is on
 * disk, so nothing may be confirmed any more (reliability D20).  A file system that is full raises the disk alarm, and
 * the write is tried again until there is room; what makes room is written meanwhile.
 */
#ifndef BROKER_STORE_KEEPER_H
#define BROKER_STORE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "broker/port/load.h"
#include "broker/port/record.h"
#include "broker/store/store.h"

struct keeper;

enum {
    KEEPER_TICK_MS = 1000,               /* at least so often it looks at the disk's space, and at what has no hurry */
    KEEPER_ALARM_MS = 1000,              /* the disk alarm does not clear before */
    KEEPER_LAZY_MS = 5,                  /* that what nobody waits for may wait for a sync (P5) */
    KEEPER_RETRY_MS = 100,               /* between attempts to write to a full file system */
    KEEPER_TEND_BYTES = 1 << 20,         /* of what has no hurry, when there is nothing else … */
    KEEPER_TEND_BUSY_BYTES = 256 << 10,  /* … and when there is, … */
    KEEPER_TEND_GROUPS = 8,              /* … after so many groups */
    KEEPER_SCRUB_BYTES = 5 << 20,        /* reread in a second when there is nothing else to do … */
    KEEPER_SCRUB_BUSY_BYTES = 512 << 10, /* … and when there is, … */
    KEEPER_SCRUB_SLICE = 256 << 10,      /* … so much at a time */
    KEEPER_SCRUB_PAUSE_MS = 3600000,     /* between two passes */
    KEEPER_SLOW_SYNC_MS = 1000,          /* worth a warning (D23) */
    KEEPER_DRAIN_MS = 5000,              /* at the end, for a full file system to get room */
    KEEPER_EXIT = 70,                    /* EX_SOFTWARE */
};

struct keeper_config {
    struct store *store;       /* owned */
    struct disk *disk;         /* borrowed */
    uint64_t disk_limit;       /* bytes that must be free, or the alarm is raised … */
    bool is_disk_limit_chosen; /* … if it is; otherwise space_default_limit() */
    uint64_t drain_ms;         /* 0: KEEPER_DRAIN_MS */
    /* Every KEEPER_TICK_MS on the journal thread, between groups; is_last: the store is about to be closed.  Must not
     * wait.  NULL is allowed. */
    void (*on_tick)(void *arg, bool is_last);
    void *tick_arg;
};

/* Who is told what follows; called on the keeper's threads, under its lock, and must neither wait nor call it. */
struct keeper_ear {
    /* Everything is, up to position, and all but publishes that found no room up to changes (store_durable_changes());
     * or half of keeper_pending_max() is pending again. */
    void (*durable)(void *arg, uint64_t position, uint64_t changes);
    void (*loaded)(void *arg, struct load *l); /* owned by the one who is told */
    void (*disk_alarm)(void *arg, bool is_set);
    void *arg;
};

struct keeper *keeper_create(const struct keeper_config *config);
void keeper_start(struct keeper *k, const struct keeper_ear *ear);
void keeper_destroy(struct keeper *k); /* after keeper_stop(), or if it was never started; NULL is allowed */

/* Takes over the records, and leaves the sheaf empty, with room.  On the hub's thread; does not wait. */
void keeper_keep(struct keeper *k, struct sheaf *records);

/* So many bytes must be free from now on.  Any thread; counts when space is looked at the next time. */
void keeper_set_disk_limit(struct keeper *k, uint64_t bytes);

/* Message bytes that were handed over and are not written yet.  Any thread. */
uint64_t keeper_pending(const struct keeper *k);

/* Above so many publishers should pause, until half is left: what is under way when the disk turns out to be full has
 * to fit into the reserve. */
uint64_t keeper_pending_max(const struct keeper *k);

/* Once nothing is handed over any more: makes all of it durable, closes the store, ends the threads.  False: the file
 * system was full for drain_ms; what is missing was confirmed to nobody. */
bool keeper_stop(struct keeper *k);

struct keeper_stats {
    struct histogram queueing_us; /* from keeper_keep() to the journal thread, a sheaf */
    struct histogram write_us;    /* a group */
    struct histogram sync_us;     /* a sync */
    uint64_t slow_syncs;          /* that took longer than KEEPER_SLOW_SYNC_MS */
    uint64_t syncing_since_ms;    /* by clock_ms(): the one under way; 0: none */
    uint64_t full_writes;         /* that found the file system full */
    uint64_t durable;             /* position */
    uint64_t disk_available, disk_limit;
    bool is_disk_alarm;
    struct store_stats store; /* a second old at most */
};

/* For how long the journal thread has done nothing, not even looked whether there is something to do, or the sync under
 * way has not come back.  Any thread. */
uint64_t keeper_standstill_ms(const struct keeper *k);

/* Any thread. */
void keeper_stats(struct keeper *k, struct keeper_stats *to);
#endif
