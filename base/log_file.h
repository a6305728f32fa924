/* A file that log lines are appended to: opened anew when it was renamed away, renamed by itself when it is large or
 * its day is over.
 *
 * Any thread may write.  That a line cannot be written is said nowhere, but counted.
 */
#ifndef BASE_LOG_FILE_H
#define BASE_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct log_file;

enum { LOG_FILE_KEEP_MAX = 1000 };

/* When a file's time is over (reference operations 3.4: $D0, $H30, $W0D23, $M1D0). */
struct log_rotation {
    char unit;             /* 'H' an hour, 'D' a day, 'W' a week, 'M' a month; 0: never */
    unsigned minute, hour; /* H: the minute; else the hour … */
    unsigned day;          /* … W: of which day, Sunday is 0; M: likewise, from 1 */
};

/* False: it is none of these. */
bool log_rotation_parse(const char *text, struct log_rotation *r);

/* The first moment after `now` at which it is over. */
time_t log_rotation_next(const struct log_rotation *r, time_t now);

/* Opens path to append to it, mode 0640 less the umask.  max_bytes 0: any size.  keep: so many old ones stay, path.0
 * the newest, as in RabbitMQ; 0: it is emptied instead.  NULL: *error is -errno. */
struct log_file *log_file_create(const char *path, uint64_t max_bytes, unsigned keep, const struct log_rotation *when,
                                 int *error);
void log_file_destroy(struct log_file *f); /* NULL is allowed */

/* Opens the path anew.  -errno: it goes on with the old file. */
int log_file_reopen(struct log_file *f);

void log_file_write(struct log_file *f, const char *line, size_t n, time_t now);
uint64_t log_file_lost(struct log_file *f); /* lines */
#endif
