/* One line of the log (reference operations 7.1), as plain text
 *
 *     2026-11-21 09:51:54.778765+00:00 [info] <main> text
 *
 * or as JSON
 *
 *     {"time":"2026-11-21 09:51:54.778765+00:00","level":"info","domain":"rabbitmq.connection","pid":"<main>",
 *      "node":"rabbit@host","msg":"text"}
 *
 * Control characters and what is not ASCII are escaped, as \xHH and \u00HH, so nothing that a peer sends can forge a
 * line or reach a terminal.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <stddef.h>
#include <time.h>

#include "base/log.h"

enum {
    LOG_LINE_ROOM = 4096
}; /* for any line, the newline included: what escaping makes longer is cut (reliability C30)
    */

struct log_line {
    struct timespec at; /* since 1970 */
    enum log_category category;
    enum log_level level;
    const char *where, *text;
};

/* Answers how many bytes; the last is the newline. */
size_t log_line_print(const struct log_line *l, const struct log_style *style, char to[LOG_LINE_ROOM]);
#endif
