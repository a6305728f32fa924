/* A result for people (a table), for programs (JSON) and for a page (a picture). */
#ifndef BROKER_PERF_REPORT_H
#define BROKER_PERF_REPORT_H

#include <stdio.h>

#include "broker/perf/machine.h"
#include "broker/perf/result.h"

/* The percentiles that all of them tell. */
struct perf_percentile {
    const char *name; /* "p99.9" */
    double percent;
};
enum { PERF_PERCENTILES = 5 };
extern const struct perf_percentile perf_percentiles[PERF_PERCENTILES];

/* Each writes a whole report; whether that went well, ferror() knows. */
void perf_report_table(FILE *to, const struct perf_result *r);

/* One object, and a line's end:
 *
 *   format            1; a change that could break a reader makes it 2
 *   label, tool, started_at, seconds
 *   broker            product, version, as it announced itself
 *   machine           cpu, cores, kernel, memory
 *   options           what was asked for: by the long names, with _ for -; no password
 *   counts, rates     published, confirmed, refused, returned, consumed, settled, redelivered, sent, received,
 *                     operations; rates: a second; sent and received are bytes
 *   unit, units       what the costs below are for (broker/perf/summary.h): message, delivery, publish, operation
 *   latency, confirm_latency     null, or nanoseconds: min, mean, p50, p75, p95, p99, p99.9, max, and their count
 *   server            null, or ns (for a unit), user_ns, kernel_ns, busy (processors), rss, rss_peak, written (bytes to
 *                     disk), disk_per_byte, threads: [name, threads, ns, busy]
 *   client            ns, busy, sends, fills
 *   blocked           times
 *   churn             null, or kind, done, failed, rate
 *   idle              null, or kind, count, rss_before, rss_after, rss_each
 *   samples           [seconds (since what is measured began; warming up is below 0), published, consumed, confirmed,
 *                     operations (a second, since the sample before), client_busy, server_busy, server_rss]
 */
void perf_report_json(FILE *to, const struct perf_result *r, const struct perf_machine *m);

/* One SVG without scripts and without anything from elsewhere; it follows the page's light or dark. */
void perf_report_svg(FILE *to, const struct perf_result *r, const struct perf_machine *m);
#endif
