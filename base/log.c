#define _GNU_SOURCE
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

enum { WHERE_MAX = 128 };

static atomic_int lowest = LOG_INFO_LEVEL;

static const char *const names[] = {"debug", "info", "notice", "warning", "error", "critical", "none"};

void log_set_level(enum log_level level)
{
    atomic_store(&lowest, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

int log_level_find(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

/* Copies text to at, unprintable bytes escaped; answers the new end. */
static char *escape(char *at, const char *end, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (; *text != '\0' && end - at > 4; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f && c < 0x80) {
            *at++ = *text;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return at;
}

/* The date and the second, and the zone that it is said in: a thread remembers what it wrote last. */
struct stamp {
    time_t second;
    char text[32], zone[8];
};

static const struct stamp *stamp_of(time_t second)
{
    static _Thread_local struct stamp last;
    if (last.text[0] == '\0' || last.second != second) {
        struct tm local;
        char zone[8];
        localtime_r(&second, &local);
        strftime(last.text, sizeof last.text, "%Y-%m-%d %H:%M:%S.", &local);
        strftime(zone, sizeof zone, "%z", &local);
        snprintf(last.zone, sizeof last.zone, "%.3s:%.2s", zone, zone + 3);
        last.second = second;
    }
    return &last;
}

/* What every line begins with: when, how bad, where. */
static char *put_head(char *at, enum log_level level, const char *where)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const struct stamp *stamp = stamp_of(t.tv_sec);
    at = str_digits(stpcpy(at, stamp->text), 6, (uint64_t)t.tv_nsec / 1000);
    at = stpcpy(stpcpy(stpcpy(stpcpy(at, stamp->zone), " ["), names[level]), "] <");
    at = mempcpy(at, where, strnlen(where, WHERE_MAX));
    return stpcpy(at, "> ");
}

void log_write(enum log_level level, const char *where, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX * 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    char *at = put_head(line, level, where);
    at = escape(at, line + sizeof line - 1, text);
    *at++ = '\n';
    ssize_t done = write(STDERR_FILENO, line, (size_t)(at - line));
    (void)done; /* a log that cannot be written has nobody to tell */
}
