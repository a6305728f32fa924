/* A store that keeps nothing: it counts, and does as it is told.  For tests of what stands before one. */
#ifndef TESTS_UNIT_FAKE_STORE_H
#define TESTS_UNIT_FAKE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

/* The one there is.  Everything is under lock. */
struct fake_store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct disk disk; /* only space() works */

    /* What the test says. */
    enum store_verdict write_verdict, tend_verdict, close_verdict;
    bool is_overtaken; /* with STORE_FULL: only publishes are stuck */
    bool holds_sync;   /* syncs do not end … */
    bool is_spared;    /* nothing that is written needs a sync */
    int sync_error;    /* … and how they do */
    uint64_t available, total;
    uint64_t segments;
    bool is_tight;

    /* What happened. */
    uint64_t appended, written, synced; /* positions */
    uint64_t changes_written, changes_synced;
    uint64_t writes, writes_while_syncing, tends, closes;
    bool is_syncing, is_destroyed;
};

extern struct fake_store fake_store;

struct store *fake_store_reset(void); /* as new: everything is fine, and there is room */

/* Waits until a field that a test is told of has changed; dies when that takes too long. */
void fake_store_lock(void);
void fake_store_wait(void);
void fake_store_unlock(void); /* tells that something has changed, too */
#endif
