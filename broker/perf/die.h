/* What every part of a measuring tool needs: to give up saying why, and to know what time it is. */
#ifndef BROKER_PERF_DIE_H
#define BROKER_PERF_DIE_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Says why on standard error and ends the program with 2: who cannot measure never answers a figure. */
__attribute__((format(printf, 1, 2))) static inline _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}
#endif
