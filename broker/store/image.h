/* The image: what recovery would find, had it to begin now.  Definitions, and for each queue where its live messages
 * are (image_queue.h): in the journal, or in packs.
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
#include "broker/store/image_queue.h"

struct image_definition {
    struct map_node in_image;
    struct link in_class;
    enum definition_class what;
    uint64_t queue;
    struct bytes key, value; /* in data */
    uint8_t data[];
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
struct image_queue *image_queue_make(struct image *im, uint64_t id); /* if it is not known yet */
struct segment *image_segment(struct image *im, uint64_t number);
struct segment *image_spot_segment(struct image *im, const struct spot *s);
struct pack *image_pack(struct image *im, uint64_t number);

struct segment *image_add_segment(struct image *im, uint64_t number); /* the next, or any after it */
void image_drop_segment(struct image *im, struct segment *s);         /* frees it; nothing lives in it */
struct pack *image_add_pack(struct image *im, uint64_t number);
void image_drop_pack(struct image *im, struct pack *p); /* frees it; it has no chunks */

void image_define(struct image *im, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value);
void image_undefine(struct image *im, enum definition_class what, uint64_t queue, struct bytes key);

/* From a checkpoint: how far a queue was (struct image_queue). */
void image_restore_queue(struct image *im, uint64_t queue, uint64_t next_position, uint64_t suspect_before);

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
