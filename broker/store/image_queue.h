/* The messages of one queue in the image (image.h): where each is that lives, and what has become of it.
 *
 * The newest are in the journal, by segment and offset: a spot each.  Older ones are in packs: a chunk for thousands.
 * Chunks do not overlap, and are before all spots.  What is done to a queue that is not known, or to a position where
 * nothing lives, does nothing: both may come from a damaged file.
 */
#ifndef BROKER_STORE_IMAGE_QUEUE_H
#define BROKER_STORE_IMAGE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

struct chunk_meta;
struct image;
struct image_definition;
struct pack;

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

/* Live messages in a pack, and dead ones among them. */
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

/* Owned by the image; its spots and chunks are in order of their positions. */
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

/* The i-th spot, dead or alive. */
static inline struct spot *queue_spot(const struct image_queue *q, size_t i)
{
    return &q->spots[(q->first_spot + i) & (q->spot_room - 1)];
}

/* Index of the first spot at or behind a position; n_spots: none. */
size_t queue_find_spot(const struct image_queue *q, uint64_t position);
/* Index of the first chunk whose last position is at or behind this one; n_chunks: none. */
size_t queue_find_chunk(const struct image_queue *q, uint64_t position);

/* FATE_DEAD where it holds no such message. */
uint16_t chunk_fate(const struct chunk *c, uint64_t position);

/* ---- Changes, by a record that is written or read. */

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
struct chunk *image_move(struct image *im, const struct chunk_meta *m, struct pack *p);

void image_drop_chunk(struct image *im, struct chunk *c); /* with all that lives in it */

/* ---- From a checkpoint. */

/* A chunk with the fates that it had (NULL: none known). */
struct chunk *image_add_chunk(struct image *im, const struct chunk_meta *m, struct pack *p);
/* Two bytes a position, little-endian; bytes: of the bodies of those that live. */
void image_load_fates(struct image *im, struct chunk *c, struct bytes fates, uint64_t bytes);
void image_restore_spot(struct image *im, uint64_t queue, const struct spot *spot);

/* ---- A queue as a whole, for the image. */

void image_queue_return_all(struct image_queue *q);              /* what is out has been given back */
void image_queue_clear(struct image *im, struct image_queue *q); /* nothing lives in it any more */
void image_queue_free(struct image *im, struct image_queue *q);  /* with its chunks, whose packs stay as they are */
#endif
