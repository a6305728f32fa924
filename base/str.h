/* Strings on the heap. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/bytes.h"

/* printf into a new string, which the caller gives to free(). */
char *str_format(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* A terminated copy, which the caller gives to free(). */
char *str_copy(struct bytes b) __attribute__((malloc, returns_nonnull));

/* Overwrites a string that was a secret, so that no later look at memory finds it; NULL is allowed. */
void str_wipe(char *s);

/* Writes the last so many digits of n, zeros in front; answers their end.  No terminator. */
static inline char *str_digits(char *to, unsigned digits, uint64_t n)
{
    for (unsigned i = digits; i-- > 0; n /= 10)
        to[i] = (char)('0' + n % 10);
    return to + digits;
}

/* The same with as many digits as it takes. */
static inline char *str_number(char *to, uint64_t n)
{
    unsigned digits = 1;
    for (uint64_t v = n; v > 9; v /= 10)
        digits++;
    return str_digits(to, digits, n);
}

/* How many letters must be changed, added or left out to make b of a; SIZE_MAX if one is longer than
 * STR_DISTANCE_MAX. */
enum { STR_DISTANCE_MAX = 64 };
size_t str_distance(const char *a, const char *b);
#endif
