#define _GNU_SOURCE
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"

char *str_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(n >= 0);
    char *s = alloc((size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

char *str_copy(struct bytes b)
{
    char *s = alloc(b.len + 1);
    if (b.len > 0)
        memcpy(s, b.at, b.len);
    s[b.len] = '\0';
    return s;
}

void str_wipe(char *s)
{
    if (s != NULL)
        explicit_bzero(s, strlen(s));
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t str_distance(const char *a, const char *b)
{
    size_t row[STR_DISTANCE_MAX + 1], len_a = strlen(a), len_b = strlen(b);
    if (len_a > STR_DISTANCE_MAX || len_b > STR_DISTANCE_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= len_b; k++)
        row[k] = k;
    for (size_t i = 1; i <= len_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= len_b; k++) {
            size_t above = row[k];
            row[k] = smallest(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
            diagonal = above;
        }
    }
    return row[len_b];
}
