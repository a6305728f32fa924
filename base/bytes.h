/* A view of bytes that somebody else owns: valid while what it was cut from is.  Not terminated, may hold anything. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at; /* borrowed; may be NULL when len is 0 */
    size_t len;
};

/* A view of a string literal, for initialisers and arguments. */
#define BYTES(literal) ((struct bytes){.at = (const uint8_t *)("" literal), .len = sizeof(literal) - 1})

/* The same where the compiler wants a constant: in the initialiser of a static. */
#define BYTES_CONSTANT(literal)                                                                                        \
    {                                                                                                                  \
        .at = (const uint8_t *)("" literal), .len = sizeof(literal) - 1                                                \
    }

/* For printf: "%.*s", BYTES_ARG(b). */
#define BYTES_ARG(b) (int)(b).len, (const char *)(b).at

static inline struct bytes bytes_of(const void *at, size_t len)
{
    return (struct bytes){.at = (const uint8_t *)at, .len = len};
}

static inline struct bytes bytes_of_string(const char *s)
{
    return bytes_of(s, strlen(s));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Negative, zero, positive: bytewise, the shorter first. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_start_with(struct bytes b, struct bytes prefix)
{
    return b.len >= prefix.len && (prefix.len == 0 || memcmp(b.at, prefix.at, prefix.len) == 0);
}
#endif
