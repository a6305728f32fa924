/* Memory that is never refused: running out ends the program, so no caller handles "no memory".  In exchange every
 * size that a peer chooses has a limit that is checked before it comes here. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* The caller owns what these answer, and gives it to free(). */
void *alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *alloc_zeroed(size_t size) __attribute__((malloc, returns_nonnull));
void *alloc_copy(const void *from, size_t size) __attribute__((malloc, returns_nonnull));

/* At a multiple of alignment, which is a power of two and divides size. */
void *alloc_aligned(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));

/* Room for n items of size bytes; at may be NULL.  Dies when n * size overflows. */
void *alloc_array(void *at, size_t n, size_t size) __attribute__((returns_nonnull));

/* The next capacity of an array that must hold at least need items: doubles, never below 8. */
size_t alloc_grown(size_t capacity, size_t need);
#endif
