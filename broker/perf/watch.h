/* Takes the samples of a run: what has been counted, and what the two sides have used, at moments that the run chooses.
 */
#ifndef BROKER_PERF_WATCH_H
#define BROKER_PERF_WATCH_H

#include "broker/perf/progress.h"
#include "broker/perf/result.h"
#include "broker/perf/server.h"

struct perf_watch {
    struct perf_result *result;       /* borrowed */
    const struct perf_server *server; /* borrowed; NULL: no process is known */
    struct perf_progress *progress;   /* borrowed */
    uint64_t began_ns, next_ns;
};

/* The run begins now: the first sample is all zeros but for the times. */
void perf_watch_init(struct perf_watch *w, struct perf_result *r, const struct perf_server *server,
                     struct perf_progress *progress);

/* Whether a second has gone by since the sample before; then another is due. */
static inline bool perf_watch_is_due(const struct perf_watch *w, uint64_t now_ns)
{
    return now_ns >= w->next_ns;
}

void perf_watch_sample(struct perf_watch *w, const struct perf_counts *at);

/* What comes from here on is what was to be measured, and this is where it ends. */
void perf_watch_begin(struct perf_watch *w, const struct perf_counts *at);
void perf_watch_end(struct perf_watch *w, const struct perf_counts *at);
#endif
