/* Bytes on their way: appended at the back, taken off the front. */
#ifndef SIM_BUF_H
#define SIM_BUF_H

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"

struct buf {
    uint8_t *at; /* owned */
    size_t start, end, capacity;
};

static inline struct bytes buf_view(const struct buf *b)
{
    return b->start == b->end ? (struct bytes){0} : bytes_of(b->at + b->start, b->end - b->start);
}

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

static inline void buf_add(struct buf *b, struct bytes more)
{
    if (more.len == 0)
        return;
    if (b->end + more.len > b->capacity) {
        b->capacity = alloc_grown(b->capacity, b->end + more.len);
        b->at = alloc_array(b->at, b->capacity, 1);
    }
    memcpy(b->at + b->end, more.at, more.len);
    b->end += more.len;
}

static inline void buf_drop(struct buf *b, size_t n)
{
    b->start += n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

static inline void buf_clear(struct buf *b)
{
    b->start = b->end = 0;
}

static inline void buf_fini(struct buf *b)
{
    free(b->at);
    *b = (struct buf){0};
}
#endif
