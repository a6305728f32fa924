/* The image: what recovery would find, had it to begin now.  Definitions, and for each queue where its live messages
 * are: in the journal by segment and offset (a spot each), or in packs (a chunk for thousands).
 *
 * The store changes it with every record that it writes, recovery with every item that it reads: the same functions.
 * It does no I/O.  Queues, positions and counts come from the disk at recovery: nonsense is ignored, never trusted.
 */
#ifndef BROKER_STORE_IMAGE_H
#define BROKER_STORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/port/record.h"

enum {
    CHUNK_SPAN_MAX = 1 << 16, /* positions from a chunk's first to its last */
    DELIVERIES_MAX = 8191,    /* counted; more are as many */
};

/* What became of a message, beside its place. */
enum {
    FATE_DEAD = 1 << 15,
    FATE_OUT = 1 << 14,         /* with somebody who may give it back */
    FATE_REDELIVERED = 1 << 13, /* was out before */
    FATE_DELIVERIES = (1 << 13) - 1,
};

/* A live message in the journal. */
struct spot {
    uint64_t position;
    uint32_t segment; /* its number's low half */
    uint32_t offset;  /* of its item, in FORMAT_ALIGN bytes */
    uint32_t bytes;   /* of its body */
    uint16_t fate;
};

struct chunk {
    struct link in_pack;
    struct image_queue *queue; /* borrowed */
    struct pack *pack;         /* borrowed */
    uint64_t number;
    uint64_t offset, first, last;
    uint64_t bytes; /* of the bodies of those that live */
    uint32_t size;  /* on disk */
    uint32_t count, live;
    uint16_t *fates; /* owned: by position - first; NULL: all live, and have never been out */
    bool is_moving;  /* a copy is under way */
};

struct image_definition {
    struct map_node in_image;
    struct link in_class;
    enum definition_class what;
    uint64_t queue;
    struct bytes key, value; /* in data */
    uint8_t data[];
};

struct image_queue {
    struct map_node by_id;
    uint64_t id;
    struct image_definition *definition; /* borrowed; NULL: there is none (yet) */
    uint64_t next_position;
    uint64_t messages, bytes; /* that live */

    struct spot *spots;                    /* owned: a ring, by position; the first is alive, if there is one */
    size_t first_spot, n_spots, spot_room; /* room is a power of two */
    size_t dead_spots;
    uint64_t moved_to;       /* spots before this position are being copied */
    uint64_t suspect_before; /* messages before this position may have been out when the broker crashed */

    struct chunk **chunks; /* owned: by position, and before all spots */
    size_t n_chunks, chunk_room;
    uint32_t last_segment; /* the one it has told of itself last */
};

/* A file of the journal. */
struct segment {
    uint64_t number;
    uint32_t epoch;
    uint64_t first_lsn, last_lsn; /* last: 0 while it is open */
    uint64_t after_lsn;           /* of the item that its first one follows */
    uint64_t size, used;
    int file;
    bool is_dirty;           /* written since the last sync began */
    uint64_t live;           /* spots in it */
    uint64_t dead_since_lsn; /* when live came to 0, if it did and was noticed; 0: not */
    uint64_t *queues;        /* owned: those that may have spots in it */
    size_t n_queues, queue_room, queues_done;
};

/* A file of chunks. */
struct pack {
    struct map_node by_number;
    struct link in_order;
    uint64_t number;
    uint32_t epoch;
    uint64_t size, used; /* size: allocated; used: written, or to be */
    int file;            /* -1: not open */
    struct list chunks;
    uint64_t live_bytes; /* about: each chunk's size by the share of it that lives */
    uint64_t pending;    /* chunks that were written and are not in force yet */
    uint64_t dead_since_lsn;
    uint64_t next_lsn; /* of its items */
    bool is_sealed, is_dirty, is_compacted;
};

struct image {
    struct map queues;      /* by id; owned */
    struct map definitions; /* by class and key; owned */
    uint64_t hash_seed;     /* of those: clients choose the keys */
    struct list classes[DEFINE_CLASSES];
    uint64_t next_queue;
    struct image_queue *last_queue; /* that was looked for */

    struct segment **segments; /* owned: by number from first_segment on; NULL: gone */
    size_t n_segments, segment_room;
    uint64_t first_segment;
    struct list packs; /* owned, oldest first */
    struct map packs_by_number;
    uint64_t next_chunk, n_chunks, n_spots;
};

void image_init(struct image *im);
void image_fini(struct image *im);

/* NULL: it is not known. */
struct image_queue *image_queue_find(struct image *im, uint64_t id);
struct segment *image_segment(struct image *im, uint64_t number);
struct segment *image_spot_segment(struct image *im, const struct spot *s);
struct pack *image_pack(struct image *im, uint64_t number);

struct segment *image_add_segment(struct image *im, uint64_t number); /* the next, or any after it */
void image_drop_segment(struct image *im, struct segment *s);         /* frees it; nothing lives in it */
struct pack *image_add_pack(struct image *im, uint64_t number);
void image_drop_pack(struct image *im, struct pack *p); /* frees it; it has no chunks */

void image_define(struct image *im, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value);
void image_undefine(struct image *im, enum definition_class what, uint64_t queue, struct bytes key);

/* A message comes to the end of its queue. */
void image_publish(struct image *im, uint64_t queue, const struct spot *spot);
/* What becomes of it.  False: it does not live, and nothing has changed. */
bool image_settle(struct image *im, uint64_t queue, uint64_t position);
bool image_deliver(struct image *im, uint64_t queue, uint64_t position);
bool image_return(struct image *im, uint64_t queue, uint64_t position);
void image_purge(struct image *im, uint64_t queue, uint64_t from);
void image_trim(struct image *im, uint64_t queue, uint64_t before);

/* A chunk is in force: it holds, of the positions from first to last, those that live now.  NULL: nothing lives any
 * more, or it makes no sense, and its messages stay where they are. */
struct chunk_meta;
struct chunk *image_move(struct image *im, const struct chunk_meta *m, struct pack *p);

/* From a checkpoint: a chunk with the fates that it had (NULL: none known). */
struct chunk *image_add_chunk(struct image *im, const struct chunk_meta *m, struct pack *p);
/* Two bytes a position, little-endian; bytes: of the bodies of those that live. */
void image_load_fates(struct image *im, struct chunk *c, struct bytes fates, uint64_t bytes);
void image_restore_spot(struct image *im, uint64_t queue, const struct spot *spot);
void image_restore_queue(struct image *im, uint64_t queue, uint64_t next_position, uint64_t suspect_before);
uint16_t chunk_fate(const struct chunk *c, uint64_t position);
void image_drop_chunk(struct image *im, struct chunk *c); /* with all that lives in it */

/* The i-th spot, dead or alive. */
static inline struct spot *queue_spot(const struct image_queue *q, size_t i)
{
    return &q->spots[(q->first_spot + i) & (q->spot_room - 1)];
}

/* Index of the first spot at or behind a position; n_spots: none. */
size_t queue_find_spot(const struct image_queue *q, uint64_t position);
/* Index of the first chunk whose last position is at or behind this one; n_chunks: none. */
size_t queue_find_chunk(const struct image_queue *q, uint64_t position);

/* What was out when the broker crashed is not known for certain: it may have been given out a moment before. */
void image_suspect_all(struct image *im);

/* After a crash nobody has anything any more: what was out has been given back. */
void image_return_all(struct image *im);

/* Queues that nobody defined go: they were not durable. */
void image_drop_undefined(struct image *im);

/* Bytes of memory, about. */
uint64_t image_memory(const struct image *im);

/* Dies if its counts do not agree. */
void image_check(const struct image *im);
#endif
