/* The log: lines to standard error and to a file, in the shape RabbitMQ's readers know or as JSON (log_line.h).
 *
 * Global, as only the allocator and the audit log are besides.  Any thread may write; a line is written whole, and the
 * newest are kept for a while (log_ring.h).  What a line is about has a category, as in RabbitMQ; a category and an
 * output have a level each, and lines below either of them are dropped.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_DEBUG_LEVEL,
    LOG_INFO_LEVEL,
    LOG_NOTICE_LEVEL,
    LOG_WARNING_LEVEL,
    LOG_ERROR_LEVEL,
    LOG_CRITICAL_LEVEL,
    LOG_NO_LEVEL
};

enum log_category { LOG_DEFAULT, LOG_CONNECTION, LOG_CHANNEL, LOG_QUEUE, LOG_USER, LOG_CATEGORIES };

enum { LOG_LINE_MAX = 2048 }; /* of text; longer ones are cut */

/* Everything is off below this level, whatever outputs and categories say.  Starts as debug. */
void log_set_level(enum log_level level);
void log_set_category_level(enum log_category category, enum log_level level); /* likewise, for one; as debug */
bool log_is_on(enum log_level level);                                          /* could a line of that level be kept? */

/* The level, or the category, of that name (debug, info, notice, warning, error, critical, also alert and emergency,
 * none; default, connection, channel, queue, user), or -1. */
int log_level_find(const char *name);
int log_category_find(const char *name);
const char *log_level_name(enum log_level level);
const char *log_category_name(enum log_category category);

/* ---- Outputs.  At first standard error takes lines from info on, in plain text. */

enum log_output { LOG_TO_CONSOLE, LOG_TO_FILE, LOG_OUTPUTS };
enum log_time { LOG_TIME_SPACE, LOG_TIME_T, LOG_TIME_USECS, LOG_TIME_SECS, LOG_TIME_LAGER };

struct log_style {
    bool is_json;
    enum log_time time;
    bool has_priorities; /* "<6>" comes first, for a journal */
    const char *node;    /* borrowed, for good: in JSON; NULL: not said */
};

/* Set before threads start; the level any time.  LOG_NO_LEVEL: nothing goes there. */
void log_set_style(enum log_output output, const struct log_style *style);
void log_set_output_level(enum log_output output, enum log_level level);

/* The node, as the console's style says; "": it does not. */
const char *log_node(void);

/* Writes to this file, too (base/log_file.h). */
struct log_file;
void log_set_file(struct log_file *f); /* borrowed; NULL: to none */

/* Opens it anew, as after logrotate has renamed it.  -errno: it goes on with the old one. */
int log_reopen(void);

/* where: the third column without its angle brackets: "main", "conn-17". */
void log_write_in(enum log_category category, enum log_level level, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_write(level, where, ...) log_write_in(LOG_DEFAULT, level, where, __VA_ARGS__)
#define log_debug(where, ...) log_write(LOG_DEBUG_LEVEL, where, __VA_ARGS__)
#define log_info(where, ...) log_write(LOG_INFO_LEVEL, where, __VA_ARGS__)
#define log_notice(where, ...) log_write(LOG_NOTICE_LEVEL, where, __VA_ARGS__)
#define log_warning(where, ...) log_write(LOG_WARNING_LEVEL, where, __VA_ARGS__)
#define log_error(where, ...) log_write(LOG_ERROR_LEVEL, where, __VA_ARGS__)
#endif
