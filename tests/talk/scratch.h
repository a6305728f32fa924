/* Memory for one conversation: taken piece by piece, given back all at once. */
#ifndef TALK_SCRATCH_H
#define TALK_SCRATCH_H

#include <stddef.h>

#include "base/bytes.h"

struct scratch {
    struct scratch_block *blocks;
};

void scratch_fini(struct scratch *s);

/* Zeroed. */
void *scratch_take(struct scratch *s, size_t size);
struct bytes scratch_copy(struct scratch *s, struct bytes b);

/* A terminated copy. */
char *scratch_string(struct scratch *s, struct bytes b);

/* Bytes that grow at their end; what lies before start has been used up. */
struct buffer {
    uint8_t *at;
    size_t start, end, capacity;
};

static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return b->at == NULL ? (struct bytes){0} : bytes_of(b->at + b->start, b->end - b->start);
}

void buffer_add(struct buffer *b, struct bytes more);
void buffer_use(struct buffer *b, size_t n); /* the first n bytes have been used up */
void buffer_fini(struct buffer *b);
#endif
