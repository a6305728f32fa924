#include "tests/talk/scratch.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct scratch_block {
    struct scratch_block *next;
    _Alignas(max_align_t) uint8_t at[];
};

void scratch_fini(struct scratch *s)
{
    while (s->blocks != NULL) {
        struct scratch_block *b = s->blocks;
        s->blocks = b->next;
        free(b);
    }
}

void *scratch_take(struct scratch *s, size_t size)
{
    struct scratch_block *b = alloc_zeroed(sizeof *b + size);
    b->next = s->blocks;
    s->blocks = b;
    return b->at;
}

struct bytes scratch_copy(struct scratch *s, struct bytes b)
{
    return bytes_of(scratch_string(s, b), b.len);
}

char *scratch_string(struct scratch *s, struct bytes b)
{
    char *copy = scratch_take(s, b.len + 1);
    if (b.len > 0)
        memcpy(copy, b.at, b.len);
    return copy;
}

void buffer_add(struct buffer *b, struct bytes more)
{
    if (more.len == 0)
        return;
    if (b->start > 0 && b->end + more.len > b->capacity) {
        memmove(b->at, b->at + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    if (b->end + more.len > b->capacity) {
        b->capacity = alloc_grown(b->capacity, b->end + more.len);
        b->at = alloc_array(b->at, b->capacity, 1);
    }
    memcpy(b->at + b->end, more.at, more.len);
    b->end += more.len;
}

void buffer_use(struct buffer *b, size_t n)
{
    b->start += n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buffer_fini(struct buffer *b)
{
    free(b->at);
    *b = (struct buffer){0};
}
