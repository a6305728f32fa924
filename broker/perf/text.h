/* Numbers as people read them, and strings from elsewhere made harmless. */
#ifndef BROKER_PERF_TEXT_H
#define BROKER_PERF_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Each answers text that is printed at once and not kept: a struct by value, so that there may be many in one
 * printf(). */
struct perf_text {
    char s[32];
};

struct perf_text perf_text_count(double n);     /* "1,234,567"; rounded; "12.3" and "0.45" if it is below 100 */
struct perf_text perf_text_duration(double ns); /* "840 ns", "25.3 µs", "1.90 ms", "2.00 s" */
struct perf_text perf_text_bytes(double n);     /* "512 B", "4.00 KiB", "13.7 MiB" */
struct perf_text perf_text_short(double n);     /* for axes: "2.5M", "800k", "12", "0.5" */

/* Three significant digits, but whole numbers whole: "0.254", "12.3", "1234". */
struct perf_text perf_text_number(double n);

/* Copies a string, cut to room, for a terminal and a line of its own: control characters and what is not UTF-8 become
 * question marks.  Answers to. */
const char *perf_text_plain(char *to, size_t room, const char *from);
#endif
