/* Memory for what comes and goes by the million, on any thread: messages above all.
 *
 * Freed blocks are kept by size, on the thread that freed them, for its next pool_alloc(); a thread that frees what
 * others allocate passes them on by the magazine, through a depot that all threads share, so they travel home in
 * bulk: one lock for many blocks.  Beyond its bounds, and for sizes above POOL_BLOCK_MAX, this is malloc and free.
 *
 * A block is the caller's until pool_free(), which any thread may call.  Running out of memory ends the program.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

enum {
    POOL_BLOCK_MAX = 320 << 10,     /* bytes of the largest block that is kept */
    POOL_MAGAZINE_BYTES = 64 << 10, /* what moves at once, of one size, … */
    POOL_MAGAZINE_BLOCKS = 256,     /* … and no more blocks than these; a thread keeps two magazines of a size */
    POOL_MAGAZINE_LEAST = 2,        /* … nor fewer than these */
    POOL_DEPOT_BYTES = 4 << 20,     /* what the depot keeps, of all sizes together */
};

/* At least size bytes; what is in them is undefined. */
void *pool_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));

/* Gives back what pool_alloc(size) answered; NULL is allowed. */
void pool_free(void *at, size_t size);

/* How many bytes pool_alloc(size) takes. */
size_t pool_room(size_t size);

/* Frees what the depot keeps, and what the calling thread does: before memory is given back to the system. */
void pool_trim(void);

/* Bytes that the depot keeps. */
size_t pool_kept(void);
#endif
