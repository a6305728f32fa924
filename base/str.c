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
