#include "amqp/output.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"

enum { PIECES_MIN = 8 };

struct output_block {
    struct output_block *next;
    size_t size;   /* of at[] */
    size_t unread; /* bytes of it that are in pieces, and not yet written */
    uint8_t at[];
};

struct output_piece {
    const uint8_t *at;
    size_t len;
    struct message *msg; /* shared: whose body this is; NULL: it lies in a block */
    uint64_t cost;
};

void output_init(struct output *o)
{
    *o = (struct output){0};
}

static struct output_piece *piece_at(const struct output *o, uint32_t i)
{
    return &o->pieces[(o->head + i) & (o->capacity - 1)];
}

static void block_free(struct output_block *b)
{
    pool_free(b, sizeof *b + b->size);
}

void output_fini(struct output *o)
{
    for (uint32_t i = 0; i < o->count; i++)
        message_unref(piece_at(o, i)->msg);
    for (struct output_block *b = o->first, *next; b != NULL; b = next) {
        next = b->next;
        block_free(b);
    }
    free(o->pieces);
    output_init(o);
}

static void pieces_grow(struct output *o)
{
    uint32_t capacity = o->capacity == 0 ? PIECES_MIN : o->capacity * 2;
    CHECK(capacity > o->capacity);
    struct output_piece *pieces = alloc_array(NULL, capacity, sizeof *pieces);
    for (uint32_t i = 0; i < o->count; i++)
        pieces[i] = *piece_at(o, i);
    free(o->pieces);
    o->pieces = pieces;
    o->head = 0;
    o->capacity = capacity;
}

static void piece_append(struct output *o, struct bytes b, struct message *m)
{
    if (o->count == o->capacity)
        pieces_grow(o);
    *piece_at(o, o->count++) = (struct output_piece){.at = b.at, .len = b.len, .msg = m};
}

/* What was added lately becomes a piece, or the end of the last. */
static void seal(struct output *o)
{
    size_t n = (size_t)(o->at - o->mark);
    if (n == 0)
        return;
    struct output_piece *last = o->count > 0 ? piece_at(o, o->count - 1) : NULL;
    if (last != NULL && last->msg == NULL && last->at + last->len == o->mark)
        last->len += n;
    else
        piece_append(o, bytes_of(o->mark, n), NULL);
    piece_at(o, o->count - 1)->cost += o->cost;
    o->last->unread += n;
    o->mark = o->at;
    o->cost = 0;
}

void output_grow(struct output *o, size_t n)
{
    struct output_block *b;
    size_t size = n > OUTPUT_BLOCK - sizeof *b ? n : OUTPUT_BLOCK - sizeof *b;
    seal(o);
    b = pool_alloc(sizeof *b + size);
    *b = (struct output_block){.size = size};
    if (o->last != NULL)
        o->last->next = b;
    else
        o->first = b;
    o->last = b;
    o->mark = o->at = b->at;
    o->end = b->at + b->size;
}

void output_refer(struct output *o, struct message *m, struct bytes slice)
{
    if (slice.len == 0)
        return;
    seal(o);
    piece_append(o, slice, message_ref(m));
    o->bytes += slice.len;
}

void output_cost(struct output *o, uint64_t cost)
{
    seal(o);
    CHECK(o->count > 0);
    piece_at(o, o->count - 1)->cost += cost;
}

/* writev() only reads what it is given, but cannot say so. */
static void *writable(const uint8_t *at)
{
    union {
        const uint8_t *from;
        void *to;
    } same = {.from = at};
    return same.to;
}

int output_gather(struct output *o, struct iovec *iov, int max)
{
    seal(o);
    int n = 0;
    for (; n < max && (uint32_t)n < o->count; n++) {
        const struct output_piece *p = piece_at(o, (uint32_t)n);
        iov[n] = (struct iovec){.iov_base = writable(p->at), .iov_len = p->len};
    }
    return n;
}

/* The oldest block has been written: its place is for others, unless it is still being filled. */
static void block_release(struct output *o)
{
    struct output_block *b = o->first;
    if (b == o->last)
        return;
    o->first = b->next;
    block_free(b);
}

static void block_wrote(struct output *o, size_t n)
{
    while (o->first->unread == 0 && o->first != o->last)
        block_release(o); /* it was opened and never written to */
    CHECK(n <= o->first->unread);
    o->first->unread -= n;
    if (o->first->unread == 0)
        block_release(o);
}

uint64_t output_wrote(struct output *o, size_t bytes)
{
    uint64_t cost = 0;
    CHECK(bytes <= o->bytes);
    seal(o);
    o->bytes -= bytes;
    while (bytes > 0) {
        struct output_piece *p = piece_at(o, 0);
        size_t n = bytes < p->len ? bytes : p->len;
        if (p->msg == NULL)
            block_wrote(o, n);
        bytes -= n;
        p->at += n;
        p->len -= n;
        if (p->len > 0)
            break;
        cost += p->cost;
        message_unref(p->msg);
        o->head = (o->head + 1) & (o->capacity - 1);
        o->count--;
    }
    if (o->bytes == 0)
        output_fini(o);
    return cost;
}
