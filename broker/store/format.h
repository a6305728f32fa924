/* The bytes on disk: file headers and items (docs/journal-format.md; reliability D6 to D8, D11).
 *
 * Every file of the store is a header of FORMAT_FILE_HEADER bytes and then items, back to back.  An item is a header of
 * FORMAT_ITEM_HEADER bytes, its meta (what the store must understand), its body (what it only keeps), and zeroes up to
 * the next multiple of FORMAT_ALIGN.  Header, meta and body each have a CRC32C of their own: a bad body still leaves a
 * file that can be walked, and a message that can be named.  Integers are little-endian; those in metas are varints
 * (seven bits a byte, least first).
 *
 * Nothing here allocates but message_from_item(); everything that reads is a pure function of its bytes, and fuzzed.
 */
#ifndef BROKER_STORE_FORMAT_H
#define BROKER_STORE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/port/record.h"
#include "codec/cursor.h"

struct message;

enum {
    FORMAT_MAJOR = 1, /* a reader refuses another */
    FORMAT_MINOR = 0, /* a reader does not mind another */
    FORMAT_ALIGN = 8,
    FORMAT_FILE_HEADER = 128,
    FORMAT_ITEM_HEADER = 40,
    FORMAT_META_MAX = 64 << 20,  /* bytes of a meta */
    FORMAT_BODY_MAX = 768 << 20, /* bytes of a body: names, properties and the largest message */
};

enum file_kind { FILE_JOURNAL = 1, FILE_PACK, FILE_CHECKPOINT };

struct file_header {
    enum file_kind kind;
    uint16_t major, minor;
    uint32_t incompatible, compatible; /* feature bits */
    uint8_t node[16];                  /* random, of the data folder */
    uint64_t number;                   /* of the file, among its kind */
    uint32_t epoch;                    /* random, of this life of the file: its items bear it too */
    uint64_t first_lsn;                /* JOURNAL, CHECKPOINT: of its first item; 0: none */
    uint64_t after_lsn;                /* JOURNAL: of the item before that; what lies between never happened */
    char version[32];                  /* of the program that made it, zero-padded */
};

enum header_verdict { HEADER_FINE, HEADER_FOREIGN /* no magic */, HEADER_DAMAGED, HEADER_NEWER };

void file_header_encode(uint8_t to[FORMAT_FILE_HEADER], const struct file_header *h);
enum header_verdict file_header_decode(const uint8_t from[FORMAT_FILE_HEADER], struct file_header *h);

/* Which items there are.  Types from ITEM_COMPATIBLE on may be skipped by a reader that does not know them. */
enum item_type {
    ITEM_PAD = 1,      /* nothing, of any length */
    ITEM_MESSAGE = 2,  /* meta: struct message_meta; body: message_from_item() */
    ITEM_SETTLE = 3,   /* meta: struct run, as run_writer writes them */
    ITEM_DELIVER = 4,  /* likewise */
    ITEM_RETURN = 5,   /* likewise */
    ITEM_PURGE = 6,    /* meta: queue, position */
    ITEM_DEFINE = 7,   /* meta: struct definition */
    ITEM_UNDEFINE = 8, /* likewise */
    ITEM_COMMIT = 9,   /* no meta: the items with ITEM_TX before it count */
    ITEM_BATCH = 10,   /* meta: struct batch_meta; ends a group */
    ITEM_CHUNK = 11,   /* meta: struct chunk_meta; in a pack: heads a chunk; in the journal: it is in force */
    ITEM_QUEUE = 12,   /* checkpoint: meta: struct queue_meta */
    ITEM_PLACES = 13,  /* checkpoint: meta: struct run with locations; see checkpoint.c */
    ITEM_STATE = 14,   /* checkpoint: meta: number of state, see checkpoint.c */
    ITEM_END = 15,     /* checkpoint: it is whole; journal segment: it is sealed */
    ITEM_RESTART = 16, /* no meta: the broker began anew: what was out was given back, undefined queues are gone */
    ITEM_TRIM = 17,    /* meta: queue, position */
    ITEM_COMPATIBLE = 128,
};

enum item_flag { ITEM_TX = 1 << 0 /* counts only with the COMMIT behind it */ };

struct item {
    uint8_t type, flags;
    uint32_t epoch;
    uint64_t lsn; /* rises by one from item to item of the journal; in packs: 1, 2, … */
    uint32_t meta_crc, body_crc;
    struct bytes meta, body; /* borrowed */
};

static inline size_t format_pad(size_t n)
{
    return (n + FORMAT_ALIGN - 1) & ~(size_t)(FORMAT_ALIGN - 1);
}

/* Bytes of an item with its header and padding. */
static inline size_t item_size(size_t meta, size_t body)
{
    return format_pad(FORMAT_ITEM_HEADER + meta + body);
}

/* Writes the header of an item whose meta and body have these lengths and CRCs (of nothing: 0). */
struct item_head {
    uint8_t type, flags;
    uint32_t epoch;
    uint64_t lsn;
    uint32_t meta_len, body_len;
    uint32_t meta_crc, body_crc;
};
void item_head_encode(uint8_t to[FORMAT_ITEM_HEADER], const struct item_head *h);

/* False: these 40 bytes are no item's header (magic, CRC, or a length beyond the limits). */
bool item_head_decode(const uint8_t from[FORMAT_ITEM_HEADER], struct item_head *h);

enum item_verdict {
    ITEM_FINE,
    ITEM_SHORT,    /* b ends before the item does (*need: how many bytes it wants) */
    ITEM_NOTHING,  /* no item begins here */
    ITEM_BAD_META, /* there is one of this length, but … */
    ITEM_BAD_BODY, /* … and its meta is fine */
};

/* Reads the item at the front of b, and checks all of it.  *need: its whole length, if it has a good header. */
enum item_verdict item_decode(struct bytes b, struct item *out, size_t *need);

/* The offset from `from` on, a multiple of FORMAT_ALIGN, at which an item of this epoch begins that is whole and whose
 * lsn is at least lsn_min; b.len if there is none.  Magic alone never suffices: contents can imitate it. */
size_t item_find(struct bytes b, size_t from, uint32_t epoch, uint64_t lsn_min);

/* ---- Metas.  The writers want the room that the constant beside them says; a pen that is full has written nonsense,
 * a cursor that is bad has read it: each reader answers false then, and also if a number is out of its range. */

enum { VARINT_MAX = 10, RUN_BYTES_MAX = 4 * VARINT_MAX };
void pen_long_varint(struct pen *p, uint64_t v);
uint64_t cursor_long_varint(struct cursor *c);

/* Most of them are a byte long. */
static inline void pen_varint(struct pen *p, uint64_t v)
{
    if (v < 0x80 && p->at < p->end && !p->full)
        *p->at++ = (uint8_t)v;
    else
        pen_long_varint(p, v);
}

static inline uint64_t cursor_varint(struct cursor *c)
{
    return !c->bad && c->at < c->end && *c->at < 0x80 ? *c->at++ : cursor_long_varint(c);
}

/* A message where it is published, and in a chunk (there with one place and what became of it). */
struct message_meta {
    uint64_t wall_ms; /* of its places' ttl_ms */
    uint8_t exchange_len, key_len;
    uint32_t properties_len, extra_keys_len;
    uint16_t cc_count, deaths;
    uint8_t message_flags, priority;
    bool transient;
    uint64_t expiration_ms; /* MESSAGE_NO_EXPIRATION */
    uint64_t body_size;
    uint16_t deliveries;   /* in chunks: as of the copy */
    bool redelivered;      /* likewise */
    struct place replaces; /* queue 0: none; bytes: of its body */
    uint32_t n_places;     /* behind it, each read with place_read() */
};

enum { MESSAGE_META_MAX = 160, PLACE_META_MAX = 3 * VARINT_MAX };
void message_meta_write(struct pen *p, const struct message_meta *m);
void place_write(struct pen *p, const struct place *place); /* with ttl_ms */
bool message_meta_read(struct cursor *c, struct message_meta *m);
bool place_read(struct cursor *c, struct place *place);

/* The meta of m as it is published; n_places, replaces and transient are the caller's to say. */
void message_meta_of(struct message_meta *meta, const struct message *m, uint64_t wall_ms);

/* The body of a message's item is its names, properties, extra keys and body, in the order of struct message's data:
 * message_item_body_size() bytes, copied and summed up in one go; to has room for them. */
size_t message_item_body_size(const struct message *m);
void message_item_body_write(uint8_t *to, const struct message *m, uint32_t *crc);

/* The message, whose only reference is the caller's; NULL: meta and body do not fit each other. */
struct message *message_from_item(const struct message_meta *meta, struct bytes body);

/* Runs of neighbouring positions of one queue with one size of body, for SETTLE, DELIVER and RETURN (there bytes is 0).
 * The writer is fed positions in any order and joins what it can; it keeps its own room. */
struct run {
    uint64_t queue, first, count, bytes; /* bytes: of each */
};

struct run_writer {
    struct run run;                     /* open; count 0: none */
    uint64_t last_queue, last_position; /* what the next is told relative to */
    uint8_t *at;                        /* owned */
    size_t len, capacity;
};

void run_writer_init(struct run_writer *w);
void run_writer_fini(struct run_writer *w);
void run_add(struct run_writer *w, uint64_t queue, uint64_t position, uint64_t bytes);
struct bytes run_end(struct run_writer *w); /* the meta so far; valid until the next call */
void run_clear(struct run_writer *w);

struct run_reader {
    struct cursor c;
    uint64_t last_queue, last_position;
};
void run_reader_init(struct run_reader *r, struct bytes meta);
bool run_next(struct run_reader *r, struct run *out); /* false: at the end (r->c.bad: because of nonsense) */

struct batch_meta {
    uint64_t first_lsn, count; /* of the group's items, itself not counted */
    uint64_t durable;          /* the highest LSN known to be on disk when it was written */
    uint64_t position;         /* the model's, after it */
    uint64_t wall_ms;
};
enum { BATCH_META_MAX = 5 * VARINT_MAX };
void batch_meta_write(struct pen *p, const struct batch_meta *m);
bool batch_meta_read(struct cursor *c, struct batch_meta *m);

/* A chunk: so many messages of one queue, in one piece of a pack. */
struct chunk_meta {
    uint64_t queue, chunk;       /* its number, for ever */
    uint64_t pack, offset, size; /* where: of its ITEM_CHUNK, and with all its messages; 0 in the pack itself */
    uint64_t first, last;        /* positions */
    uint64_t count, bytes;       /* live messages when it was written, and their bodies' bytes */
    uint64_t replaces;           /* the chunk that it takes the place of; 0: messages of the journal */
};
enum { CHUNK_META_MAX = 10 * VARINT_MAX };
void chunk_meta_write(struct pen *p, const struct chunk_meta *m);
bool chunk_meta_read(struct cursor *c, struct chunk_meta *m);

/* Definitions: class, queue, then key and value, each with its length. */
size_t definition_size(const struct definition *d); /* at most */
void definition_write(struct pen *p, const struct definition *d);
bool definition_read(struct cursor *c, enum definition_class *what, uint64_t *queue, struct bytes *key,
                     struct bytes *value);
#endif
