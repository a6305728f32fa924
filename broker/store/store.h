/* The store: makes records durable, keeps what has to wait, and finds both again (docs/adr/0007).
 *
 * A state machine without threads.  Its owner (keeper.c, or a test) calls it from one thread at a time, and carries out
 * the sync jobs on another if it likes.  Errors of the disk are answered once and for all: after STORE_FAILED only
 * store_destroy() makes sense.
 */
#ifndef BROKER_STORE_STORE_H
#define BROKER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/load.h"
#include "broker/port/record.h"
#include "broker/store/disk.h"

struct store;

struct store_config {
    struct disk *disk;                    /* borrowed */
    uint64_t segment_bytes;               /* of the journal; 0: STORE_SEGMENT_BYTES */
    uint64_t checkpoint_bytes;            /* of journal between checkpoints; 0: STORE_CHECKPOINT_BYTES */
    uint32_t chunk_messages, chunk_bytes; /* 0: as above */
    uint64_t pack_bytes;
    void (*random)(void *to, size_t n); /* for node id and epochs */
};

enum {
    /* The largest message of the default limit fits into a spare file. */
    STORE_SEGMENT_BYTES = (16 << 20) + (256 << 10),
    STORE_SEGMENTS_KEPT = 3,  /* sealed ones with live messages, before these are moved to packs */
    STORE_SPARE_SEGMENTS = 3, /* kept ready: the next one, and two for a full disk (reliability D26) */
    STORE_RESERVE = 1,        /* of them, that publishes leave to records that make room */
    STORE_SPARES_MAX = 6,     /* while there is much to write: overwriting costs less than making files anew */
    STORE_CHECKPOINT_BYTES = 32 << 20,
    STORE_PACK_BYTES = STORE_SEGMENT_BYTES,
    STORE_CHUNK_BYTES = 512 << 10,
    STORE_CHUNK_MESSAGES = 4096,
};

/* ---- Recovery. */

/* What could not be read: of one queue, or (queue 0) of nobody knows whom. */
struct store_loss {
    uint64_t queue;
    struct bytes definition;  /* the queue's key; empty: not known */
    uint64_t messages, bytes; /* at least */
    uint64_t first_lsn, last_lsn;
    const char *file;
    uint64_t offset;
    const char *reason;
};

/* What happens to whoever wants to know: in order.  Any may be NULL. */
struct store_witness {
    void *arg;
    void (*lost)(void *arg, const struct store_loss *loss);
    void (*note)(void *arg, bool is_warning, const char *text); /* a line for the log */
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* bytes of the journal; while it is recovered */
};

enum store_verdict {
    STORE_FINE,
    STORE_NEWER,  /* a format that we do not know */
    STORE_FAILED, /* the disk answers errors */
    STORE_FULL,   /* no space, and no reserve left: nothing was lost, try again later */
};

/* Recovers what is there, or begins anew.  *text says what is wrong; the caller frees it. */
enum store_verdict store_open(const struct store_config *config, const struct store_witness *witness,
                              struct store **out, char **text);
void store_destroy(struct store *s);              /* as if the process ended here; NULL is allowed */
const char *store_trouble(const struct store *s); /* what failed, after STORE_FAILED */

/* What was recovered: definitions, by class and in the order in which they were made; then queues. */
struct store_reader {
    void *arg;
    void (*definition)(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value);
    /* Every queue that was ever defined and is still: messages in it, their bodies' bytes, and the next position. */
    void (*queue)(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position);
};
void store_read(struct store *s, const struct store_reader *r);

/* The messages of a queue from a position on, at once and without writing: for those who read a store and do not work
 * with it.  What cannot be read is told to the witness and counted.  The caller owns it. */
struct load *store_load(struct store *s, uint64_t queue, uint64_t position, uint32_t messages_max, uint32_t bytes_max);

/* Of an ordinary segment of the journal, and of the reserve for a full disk's each part. */
uint64_t store_segment_bytes(const struct store *s);

/* A number that no queue has or had. */
uint64_t store_next_queue(const struct store *s);

/* ---- At work. */

/* Before anything is served: says in the journal that the broker is at work, so that a crash is known for one.  There
 * may be no room for that; nothing follows from it.  And syncs what was recovered: a process that was killed may have
 * left it unsynced, and whoever is served relies on it. */
enum store_verdict store_begin(struct store *s);

/* Takes the records over (the sheaf is empty afterwards); they are encoded and written by store_write().  That is also
 * where LOADs are answered, each with its load, in order. */
typedef void store_answer_fn(void *arg, struct load *l);
void store_append(struct store *s, struct sheaf *records, store_answer_fn *answer, void *arg);

/* A sheaf that was appended and encoded, with all that is in it still: its messages are best freed by the thread that
 * made them, and its room used again.  False: there is none.  A few wait here; others are dropped. */
bool store_take_back(struct store *s, struct sheaf *to);

/* While a sync is under way: leaves what was appended for the next group.  A message that is done with before it is
 * written is not written at all, so nothing is encoded while that is not much.  False: better not leave it, somebody
 * waits for a load, or it is much. */
bool store_gather(struct store *s);

/* Ends the group and writes it.  STORE_FULL: there is no room for some of it, and nothing is lost: call again when
 * there is space.  Mostly that is publishes, and all other records overtake them. */
enum store_verdict store_write(struct store *s);

/* What a sync would have to do now; false: nothing.  One at a time. */
enum { SYNC_FILES_MAX = 64 };
struct sync_job {
    int files[SYNC_FILES_MAX];
    unsigned n_files;
    bool folder;          /* sync the data folder's names after the files */
    uint64_t position;    /* up to which everything is durable then, … */
    uint64_t changes;     /* … but for publishes, and transactions that have some */
    uint64_t lsn, serial; /* the store's own */
};
bool store_sync_begin(struct store *s, struct sync_job *job);

/* Is somebody waiting for that?  Settles, for one, may wait a few milliseconds for others. */
bool store_sync_is_awaited(const struct store *s);
int sync_job_run(struct disk *d, const struct sync_job *job); /* on any thread; 0, or -errno */
void store_sync_end(struct store *s, const struct sync_job *job);

/* Durable up to this position; goes up in store_sync_end(). */
uint64_t store_durable(const struct store *s);

/* Durable up to this position but for publishes that found no room, and transactions that have some: never less. */
uint64_t store_durable_changes(const struct store *s);

/* A slice of what has no hurry: spare segments, moving to packs, checkpoints, deleting files.  Does about `budget`
 * bytes of it; *more: there is more to do at once. */
enum store_verdict store_tend(struct store *s, uint64_t budget, bool *more);

/* Rereads about `budget` bytes of what is sealed, and notes what is damaged.  False: that was all of it, the next call
 * begins anew. */
bool store_scrub(struct store *s, uint64_t budget);

/* A clean end: syncs everything, writes a checkpoint.  Then store_destroy(). */
enum store_verdict store_close(struct store *s);

struct store_stats {
    uint64_t journal_bytes, pack_bytes, pack_live_bytes, checkpoint_bytes; /* on disk now */
    uint64_t written_bytes;                                                /* all writes since the start */
    uint64_t segments, packs, chunks, syncs, groups;
    uint64_t buffered_bytes; /* in the write buffer */
    uint64_t stuck;          /* records that wait for room */
    uint64_t lost_messages;
    uint64_t spared;                                      /* messages that were done with before they were written */
    bool is_tight;                                        /* the last attempt to make room failed */
    uint64_t memory_bytes;                                /* of the image, about */
    uint64_t scrub_passes, scrubbed_bytes, scrub_damaged; /* damaged: spots that were found */
};
struct store_stats store_stats(const struct store *s);

/* A copy of it all while it works: broker/store/backup.h. */
#endif
