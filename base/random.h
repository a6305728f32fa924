/* Unguessable bytes, from the kernel: nothing is kept in between, and nothing must be seeded. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

/* Fills to with n of them; any thread. */
void random_fill(void *to, size_t n);
#endif
