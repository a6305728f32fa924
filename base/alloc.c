#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "millrace: out of memory (%zu bytes)\n", size);
    abort();
}

void *alloc(size_t size)
{
    void *at = malloc(size > 0 ? size : 1);
    if (at == NULL)
        out_of_memory(size);
    return at;
}

void *alloc_zeroed(size_t size)
{
    void *at = calloc(1, size > 0 ? size : 1);
    if (at == NULL)
        out_of_memory(size);
    return at;
}

void *alloc_aligned(size_t alignment, size_t size)
{
    void *at = aligned_alloc(alignment, size > 0 ? size : alignment);
    if (at == NULL)
        out_of_memory(size);
    return at;
}

void *alloc_copy(const void *from, size_t size)
{
    void *at = alloc(size);
    if (size > 0)
        memcpy(at, from, size);
    return at;
}

void *alloc_array(void *at, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory(SIZE_MAX);
    void *moved = realloc(at, total > 0 ? total : 1);
    if (moved == NULL)
        out_of_memory(total);
    return moved;
}

size_t alloc_grown(size_t capacity, size_t need)
{
    size_t grown = capacity < 8 ? 8 : capacity;
    while (grown < need)
        grown *= 2;
    return grown;
}
