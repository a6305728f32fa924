/* What the store's modules share.  Private to broker/store/. */
#ifndef BROKER_STORE_STATE_H
#define BROKER_STORE_STATE_H

#include "broker/store/backup.h"
#include "broker/store/format.h"
#include "broker/store/image.h"
#include "broker/store/store.h"
#include "broker/store/stuck.h"

struct recovery;

enum {
    NAME_MAX_BYTES = 40,         /* of a file's */
    BUFFER_BYTES = 1 << 20,      /* written at once, when there is more to write */
    DIRECT_BACKLOG = 2,          /* sealed segments that live on, from which on others are written through the cache */
    LATE_BYTES = 1 << 20,        /* of publishes, that need not be encoded during the sync of the group before */
    EMPTY_MAX = 32,              /* sheaves that were encoded and are kept for whoever takes them back … */
    EMPTY_BYTES_MAX = 512 << 10, /* … if they have no more bytes of publishes than these */
    GATHER_BYTES = 256 << 10,    /* of a group, that may wait for the sync of the one before it */
    RUNS_BYTES = 256 << 10,      /* of runs in one item: far below FORMAT_META_MAX, and a segment */
    BLOCK_BYTES = 1 << 20,       /* read at once */
    BLOCK_KEPT_MAX = 4 << 20,    /* room above this is given back when it is not needed */
    SEGMENT_TAIL_BYTES = 4096,   /* kept free at the end of a segment, for what ends a group and the segment */
    IDLE_TENDS = 8,              /* slices without a group between them, before nothing seems to happen */
    CHUNKS_KEPT = 32,            /* in memory, of those that were loaded from last, … */
    CHUNKS_KEPT_BYTES = 8 << 20, /* … unless one alone is more */
    LOADS_MAX = 64,              /* that one group is asked for and answered with */
};

/* A window over a file that is read from front to back. */
struct block {
    int file;
    uint64_t number; /* of the segment; 0: empty */
    uint64_t offset;
    size_t len, capacity;
    uint8_t *at; /* owned */
};

/* A chunk in memory, and how far it was read. */
struct kept_chunk {
    uint64_t chunk; /* its number; 0: none */
    uint8_t *at;    /* owned */
    size_t len, capacity, offset;
    uint64_t position; /* of what is at offset; 0: nobody knows */
    uint64_t used;     /* when: the least goes first */
};

/* A chunk that was written and is not in force before its pack is synced. */
struct pending_chunk {
    struct pending_chunk *next;
    struct chunk_meta meta;
    struct pack *pack;
    uint64_t serial; /* the sync job that makes it durable; 0: none yet */
};

/* A file that is to be deleted, or becomes a spare. */
struct doomed_file {
    struct doomed_file *next;
    char name[NAME_MAX_BYTES];
    uint64_t size;
    uint64_t lsn; /* not before this is durable */
};

struct store {
    struct store_config config;
    struct store_witness witness;
    struct disk *disk;
    struct image image;
    uint8_t node[16];
    enum store_verdict verdict; /* once it is STORE_FAILED it stays so */
    char *trouble;              /* owned: what failed */

    /* The journal. */
    struct segment *open; /* borrowed */
    uint64_t lsn;         /* of the last item */
    uint64_t durable_lsn;
    uint64_t written_lsn;
    uint64_t after_lsn; /* of the last item that recovery kept */
    uint64_t group_lsn; /* of the last BATCH that ended something: marks behind it change nothing */
    uint64_t position, written_position, durable_position; /* the model's: everything up to there … */
    uint64_t changes, written_changes, durable_changes;    /* … but for publishes that are stuck */
    uint64_t taken;                                        /* of the last that was encoded, or is stuck */
    uint64_t group_first_lsn, wall_ms;
    uint8_t *buffer; /* owned: for the open segment, from buffer_at on */
    size_t buffered, buffer_room;
    size_t buffer_written; /* of what is in it: the beginning of a block, which is written again with the rest */
    uint64_t buffer_at;
    int direct;                           /* a handle that writes to the open segment past the cache; -1: none */
    bool no_direct;                       /* this file system has none */
    uint64_t journal_loads, loads_direct; /* messages loaded from the journal: ever, and before the open segment */
    struct run_writer settles, delivers, returns;
    bool in_tx;
    bool is_group_open;    /* something was appended since the last BATCH */
    bool is_awaited;       /* … or before: something that an answer waits for, and no sync has begun since */
    bool is_mark_due;      /* the disk knows more than the last BATCH says */
    struct sheaf *waiting; /* owned: sheaves that were appended, oldest first */
    size_t n_waiting, waiting_room, next_record, next_place; /* of the first */
    struct sheaf empty[EMPTY_MAX];                           /* owned: encoded, with what they hold */
    size_t n_empty;
    uint64_t waiting_bytes; /* of publishes in them, at most */
    bool is_load_waiting;   /* there may be a LOAD in them */
    struct stuck stuck;     /* what found no room, and may be overtaken */
    bool is_tx_stuck;       /* what comes belongs to it, until its COMMIT */
    bool is_tx_late;        /* the one that is being written was stuck */
    bool is_retry_due;      /* there may be room again */
    struct record *loads;   /* owned: to be answered when the group is written */
    size_t n_loads, loads_room;
    store_answer_fn *answer;
    void *answer_arg;

    /* Files. */
    uint64_t next_spare, next_pack, next_checkpoint, next_segment;
    uint64_t spares[STORE_SPARES_MAX];
    unsigned n_spares;
    bool is_tight; /* the last allocation failed */
    bool names_changed;
    bool is_backing_up;         /* no file may go */
    struct backup backup;       /* while that is so: the plan; checkpoint 0: none yet */
    struct doomed_file *doomed; /* owned */

    /* Packs. */
    struct pack *pack;                             /* the open one; borrowed */
    uint64_t dirty_packs;                          /* written since the last sync of theirs began */
    struct pending_chunk *pending, **pending_last; /* owned: written, oldest first */
    unsigned n_pending;
    uint64_t compacting; /* the pack that is copied; 0: none */
    uint64_t tends;
    uint8_t *chunk_buffer; /* owned */
    size_t chunk_room;
    struct block block;      /* of the segment that is being copied */
    struct block load_block; /* of the segment that is being loaded from */
    struct {
        struct kept_chunk chunks[CHUNKS_KEPT];
        uint64_t uses;
        size_t bytes; /* of room, in all of them */
    } kept;           /* those that were loaded from last: several may read one queue, each in another place */

    /* Syncs and checkpoints. */
    uint64_t serial, synced_serial;
    struct {
        uint64_t number; /* 0: there is none */
        uint64_t lsn;    /* what it says is so after this item */
        uint8_t *at;     /* owned: until it is written; it waits until the journal is durable up to lsn */
        size_t len;
        uint64_t size; /* of each of its files */
        int files[2];  /* -1: not open */
        bool is_written, is_last;
        uint64_t serial; /* of the sync job that makes it durable; 0: not begun */
    } next;              /* the checkpoint that is being made */
    uint64_t checkpoint, checkpoint_lsn, checkpoint_size, checkpoint_file_size; /* the one in force; 0: none */
    uint64_t journal_since;                                                     /* bytes since it */
    bool is_closing;     /* the checkpoint that is taken is the last: nothing is out any more */
    bool was_closed;     /* the one in force is such a one */
    uint64_t idle_lsn;   /* group_lsn at the last slice of store_tend() … */
    unsigned idle_tends; /* … and how many slices it has been that */

    struct {
        int file;         /* -1: none */
        bool is_in_packs; /* not in the journal */
        uint64_t number, offset, end;
        uint32_t epoch;
    } scrub; /* what is being reread */

    struct recovery *recovery; /* borrowed: while it goes on */
    struct store_stats stats;
};

static inline bool store_is_idle(const struct store *s)
{
    return s->idle_tends >= IDLE_TENDS;
}

/* files.c: names, the pool of spare files, the buffer of deletions. */
void file_name(char to[NAME_MAX_BYTES], const char *kind, uint64_t number);
enum store_verdict store_fail(struct store *s, const char *what, const char *name, int error);
void store_note(struct store *s, bool is_warning, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A file of that name with room for size bytes, from the pool if it can be: its handle in *file. */
enum store_verdict file_take(struct store *s, const char *name, uint64_t *size, int *file);
void file_untake(struct store *s, const char *name, int file); /* it is not wanted after all */
/* What a write has answered: STORE_FINE if it is more than 0. */
enum store_verdict file_wrote(struct store *s, const char *name, ssize_t put);
enum store_verdict file_write(struct store *s, int file, const char *name, const void *from, size_t n, uint64_t offset);
void file_doom(struct store *s, const char *name, uint64_t size, uint64_t lsn);
enum store_verdict files_tend(struct store *s, bool *more);
/* At least n spares from now on; STORE_FULL: there is no room. */
enum store_verdict files_reserve(struct store *s, unsigned n);
/* So many messages of q from this position on cannot be read: they are gone, and somebody is told. */
void store_lose(struct store *s, struct image_queue *q, uint64_t position, const struct store_loss *loss);
/* All of a file, on the heap; NULL: it cannot be read. */
uint8_t *store_read_file(struct store *s, const char *name, uint64_t *size);
/* Items of the journal from one LSN to another cannot be read; nobody knows whose they were. */
void store_lose_items(struct store *s, uint64_t first_lsn, uint64_t last_lsn, const char *file, uint64_t offset,
                      const char *reason);
uint32_t store_random_epoch(struct store *s);
struct file_header store_header(struct store *s, enum file_kind kind, uint64_t number, uint32_t epoch, uint64_t lsn);

/* journal.c: segments, groups. */
enum store_verdict journal_begin_segment(struct store *s);
/* Room for an item of that many bytes in the open segment's buffer: where to write it; NULL: STORE_FULL or worse, in
 * s->verdict or *verdict.  journal_put() ends it. */
uint8_t *journal_room(struct store *s, size_t size, enum store_verdict *verdict);
/* May that many bytes of publishes be written?  Then they fit into the open segment.  STORE_FULL: only what is left for
 * other records would have room. */
enum store_verdict journal_spare(struct store *s, uint64_t size);
void journal_put(struct store *s, enum item_type type, uint8_t flags, size_t meta_len, size_t body_len,
                 uint32_t body_crc);
enum store_verdict journal_put_meta(struct store *s, enum item_type type, uint8_t flags, struct bytes meta);
enum store_verdict journal_end_group(struct store *s);
enum store_verdict journal_flush(struct store *s);
void journal_close_direct(struct store *s);
/* So many bytes of the open segment are written. */
static inline uint64_t journal_written(const struct store *s)
{
    return s->buffer_at + s->buffer_written;
}
static inline bool journal_is_flushed(const struct store *s)
{
    return s->buffered == s->buffer_written;
}
enum store_verdict journal_mark(struct store *s);
void journal_tend(struct store *s);
/* The image is what it is when everything up to this item is durable. */
uint64_t journal_image_lsn(const struct store *s);

/* append.c: records to items. */
void append_free(struct store *s);
/* Writes what was gathered, and ends the group.  All records that were appended are in it. */
enum store_verdict append_end_group(struct store *s);

/* pack.c */
enum store_verdict pack_tend(struct store *s, uint64_t budget, bool *more);
enum store_verdict pack_enforce(struct store *s); /* puts chunks whose packs are durable in force */
void pack_synced(struct store *s, uint64_t serial);
struct bytes block_at(struct store *s, struct block *b, const struct segment *g, uint64_t offset, size_t n,
                      uint64_t end);

/* checkpoint.c */
enum store_verdict checkpoint_tend(struct store *s, bool force, bool *more);
/* Fills the image from one; false: it cannot be read, or not all of it and it must be whole. */
bool checkpoint_read(struct store *s, uint64_t number, bool must_be_whole, bool *is_whole);
void checkpoint_synced(struct store *s);
/* The one that recovery used: it may never have been synced, so it is in force when it has been. */
void checkpoint_adopt(struct store *s, uint64_t number, uint64_t lsn);
void checkpoint_free(struct store *s);

/* backup.c */
void backup_plan(struct store *s); /* of the state that the checkpoint has that was just taken */

/* scrub.c */
void scrub_free(struct store *s);

/* load.c */
struct load *load_messages(struct store *s, const struct record *r);
void load_free(struct store *s);

/* recover.c */
/* Makes the segments from `first` on known, those whose files are missing too. */
bool recover_segments(struct store *s, uint64_t first);
/* There is an item of a type that this version does not know. */
void recover_unknown(struct store *s, uint8_t type);
enum store_verdict recover(struct store *s, char **text);
#endif
