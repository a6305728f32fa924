#define _GNU_SOURCE
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/log_file.h"
#include "base/log_line.h"
#include "base/log_ring.h"

static atomic_int lowest = LOG_DEBUG_LEVEL;
static atomic_int category_levels[LOG_CATEGORIES]; /* debug */
static atomic_int output_levels[LOG_OUTPUTS] = {[LOG_TO_CONSOLE] = LOG_INFO_LEVEL, [LOG_TO_FILE] = LOG_NO_LEVEL};
static struct log_style styles[LOG_OUTPUTS];
static struct log_file *file; /* borrowed */

static const char *const level_names[] = {"debug", "info", "notice", "warning", "error", "critical", "none"};
static const char *const category_names[LOG_CATEGORIES] = {"default", "connection", "channel", "queue", "user"};

/* ---- Levels. */

void log_set_level(enum log_level level)
{
    atomic_store(&lowest, (int)level);
}

void log_set_category_level(enum log_category category, enum log_level level)
{
    atomic_store(&category_levels[category], (int)level);
}

void log_set_output_level(enum log_output output, enum log_level level)
{
    atomic_store(&output_levels[output], (int)level);
}

static bool takes(enum log_output output, enum log_level level)
{
    return (int)level >= atomic_load_explicit(&output_levels[output], memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed) &&
           (takes(LOG_TO_CONSOLE, level) || takes(LOG_TO_FILE, level));
}

int log_level_find(const char *name)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return (int)i;
    return strcasecmp(name, "alert") == 0 || strcasecmp(name, "emergency") == 0 ? LOG_CRITICAL_LEVEL : -1;
}

int log_category_find(const char *name)
{
    for (int i = 0; i < LOG_CATEGORIES; i++)
        if (strcasecmp(name, category_names[i]) == 0)
            return i;
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_category_name(enum log_category category)
{
    return category_names[category];
}

/* ---- Outputs. */

void log_set_style(enum log_output output, const struct log_style *style)
{
    styles[output] = *style;
}

const char *log_node(void)
{
    return styles[LOG_TO_CONSOLE].node != NULL ? styles[LOG_TO_CONSOLE].node : "";
}

void log_set_file(struct log_file *f)
{
    file = f;
}

int log_reopen(void)
{
    return file != NULL ? log_file_reopen(file) : 0;
}

static void put_out(enum log_output output, const struct log_line *l)
{
    char line[LOG_LINE_ROOM];
    size_t n = log_line_print(l, &styles[output], line);
    if (output == LOG_TO_FILE) {
        log_file_write(file, line, n, l->at.tv_sec);
        return;
    }
    ssize_t done = write(STDERR_FILENO, line, n);
    (void)done; /* a log that cannot be written has nobody to tell */
}

/* What somebody was told is kept for a while, too. */
static void keep(const struct log_line *l)
{
    static const struct log_style style = {.is_json = true, .time = LOG_TIME_T};
    char line[LOG_LINE_ROOM];
    log_ring_put(line, log_line_print(l, &style, line));
}

void log_write_in(enum log_category category, enum log_level level, const char *where, const char *format, ...)
{
    if (!log_is_on(level) || (int)level < atomic_load_explicit(&category_levels[category], memory_order_relaxed))
        return;
    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct log_line l = {.category = category, .level = level, .where = where, .text = text};
    clock_gettime(CLOCK_REALTIME, &l.at);
    if (takes(LOG_TO_CONSOLE, level))
        put_out(LOG_TO_CONSOLE, &l);
    if (file != NULL && takes(LOG_TO_FILE, level))
        put_out(LOG_TO_FILE, &l);
    keep(&l);
}
