/* The log: lines to standard error, in the shape RabbitMQ's readers know (reference operations 7.1):
 *
 *     2026-11-21 09:51:54.778765+00:00 [info] <main> text
 *
 * Global, as only the allocator and the audit log are besides.  Any thread may write; a line is written whole.  Control
 * characters and what is not ASCII in a line are written as \xHH, so nothing that a peer sends can forge one.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_DEBUG_LEVEL,
    LOG_INFO_LEVEL,
    LOG_NOTICE_LEVEL,
    LOG_WARNING_LEVEL,
    LOG_ERROR_LEVEL,
    LOG_CRITICAL_LEVEL,
    LOG_NO_LEVEL
};

enum { LOG_LINE_MAX = 2048 }; /* longer lines are cut */

/* Lines below this level are dropped.  Starts as info.  Set before threads start. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* The level of that name (debug, info, notice, warning, error, critical, none), or -1. */
int log_level_find(const char *name);

/* where: the third column without its angle brackets: "main", "conn-17". */
void log_write(enum log_level level, const char *where, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(where, ...) log_write(LOG_DEBUG_LEVEL, where, __VA_ARGS__)
#define log_info(where, ...) log_write(LOG_INFO_LEVEL, where, __VA_ARGS__)
#define log_notice(where, ...) log_write(LOG_NOTICE_LEVEL, where, __VA_ARGS__)
#define log_warning(where, ...) log_write(LOG_WARNING_LEVEL, where, __VA_ARGS__)
#define log_error(where, ...) log_write(LOG_ERROR_LEVEL, where, __VA_ARGS__)
#endif
