/* A copy of a store, made while it works, that opens as the store would have at one moment: the mark (reliability D37).
 *
 *     store_backup_begin(s)            the state when the next checkpoint is taken is the mark
 *     … the store works on …
 *     b = store_backup_ready(s)        says which files hold it, and how much of each
 *     backup_copy(b, from, to, …)      on any thread
 *     store_backup_end(s)              files may go again
 *
 * What the plan names does not change meanwhile: files are only appended to, and none is deleted or used again.
 */
#ifndef BROKER_STORE_BACKUP_H
#define BROKER_STORE_BACKUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/disk.h"

struct store;

enum {
    BACKUP_BLOCK_BYTES = 1 << 20,
    BACKUP_SYNC_BYTES = 4 << 20, /* unsynced at most, so that the journal's syncs do not wait for more than that */
    BACKUP_REST_MS = 200,        /* beside a broker, after each such stretch: as long as it took, but no longer */
};

struct backup_file {
    char from[40], to[40];
    uint64_t size; /* of what is copied, from the front */
};

struct backup {
    struct backup_file *files; /* owned */
    size_t n, room;
    uint64_t bytes;                     /* of all files */
    uint64_t position;                  /* the mark, as the model counts */
    uint64_t checkpoint;                /* its number */
    void (*random)(void *to, size_t n); /* called on the thread that copies, too */
};

/* ---- The store's part, on its thread. */

void store_backup_begin(struct store *s);
const struct backup *store_backup_ready(const struct store *s); /* borrowed, until the end; NULL: not yet */
void store_backup_end(struct store *s);

/* ---- Copying. */

/* Adds a file to a plan that was made by hand, for a store that nobody works on. */
void backup_add(struct backup *b, const char *from, const char *to, uint64_t size);
void backup_fini(struct backup *b);

struct backup_result {
    uint64_t files, bytes, messages;
    uint64_t lost; /* could not be read in the original any more */
};

/* Copies, syncs, reads back what was written, and opens the copy to read every message.  `to` is the disk of a folder
 * that is empty.  False: *text says why, the caller frees it; `stop` may be set by another thread, to give up;
 * where there is one, copying takes half of the disk's time and not all of it. */
bool backup_copy(const struct backup *b, struct disk *from, struct disk *to, const atomic_bool *stop,
                 struct backup_result *result, char **text);

/* A data folder for a copy: made under a name that nobody takes for a backup, and given its own when all is in it. */
struct backup_target {
    char *path, *partial, *store; /* owned: store is the folder in it */
    struct disk *disk;            /* owned: of that */
};

/* path must not exist.  0 or -errno. */
int backup_target_make(struct backup_target *t, const char *path);
int backup_target_keep(struct backup_target *t);  /* 0 or -errno; frees it */
void backup_target_drop(struct backup_target *t); /* deletes what is there; frees it */
#endif
