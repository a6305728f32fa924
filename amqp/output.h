/* What a session wants written, oldest first: small things copied into blocks, the bodies of large messages by
 * reference.  An empty output holds no memory.
 *
 * Deliveries have a cost, which their client's window gets back once the socket has taken them; the cost hangs on the
 * last byte of a delivery.
 */
#ifndef AMQP_OUTPUT_H
#define AMQP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/check.h"
#include "broker/port/message.h"
#include "codec/cursor.h"

enum {
    OUTPUT_BLOCK = 16 * 1024, /* bytes that a block takes; a larger one is made for what does not fit */
    OUTPUT_COPY_MAX = 4096,   /* a larger body is written from where it lies */
};

struct output_block;
struct output_piece;

struct output {
    struct output_block *first, *last; /* owned, oldest first */
    uint8_t *at, *end;                 /* the room that the last block has left … */
    const uint8_t *mark;               /* … and what lies before it, from here on, is in no piece yet … */
    uint64_t cost;                     /* … and has this cost */
    struct output_piece *pieces;       /* owned ring; NULL when empty */
    uint32_t head, count, capacity;    /* of pieces; the capacity is a power of two */
    uint64_t bytes;                    /* not yet written */
};

void output_init(struct output *o);
void output_fini(struct output *o); /* drops what is left */

/* A new block, because the last has no room for n bytes; for output_room(). */
void output_grow(struct output *o, size_t n);

/* Room for n contiguous bytes; output_add() takes what was written there.  Nothing else may happen to o between. */
static inline uint8_t *output_room(struct output *o, size_t n)
{
    if ((size_t)(o->end - o->at) < n)
        output_grow(o, n);
    return o->at;
}

/* So many bytes, which are whole when they are written: that is worth so much. */
static inline void output_add(struct output *o, size_t n, uint64_t cost)
{
    CHECK(n <= (size_t)(o->end - o->at));
    o->at += n;
    o->bytes += n;
    o->cost += cost;
}

/* The same with a pen. */
static inline struct pen output_open(struct output *o, size_t n)
{
    uint8_t *at = output_room(o, n);
    return pen_over(at, n);
}

static inline void output_close(struct output *o, const struct pen *p)
{
    struct bytes written = pen_written(p);
    CHECK(!p->full && written.at == o->at);
    output_add(o, written.len, 0);
}

/* Appends a slice of m's body; takes a reference of its own. */
void output_refer(struct output *o, struct message *m, struct bytes slice);

/* What was appended so far is whole when its last byte is written: that is worth so much.  o must not be empty. */
void output_cost(struct output *o, uint64_t cost);

/* The front of it, in up to max pieces that stay valid until output_wrote(); answers how many. */
int output_gather(struct output *o, struct iovec *iov, int max);

/* Takes bytes off the front; answers the cost of what is whole now. */
uint64_t output_wrote(struct output *o, size_t bytes);

static inline bool output_is_empty(const struct output *o)
{
    return o->bytes == 0;
}
#endif
