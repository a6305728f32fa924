/* A line a second about a run that is under way.
 *
 * On a terminal each line takes the place of the one before; elsewhere each stays.
 */
#ifndef BROKER_PERF_PROGRESS_H
#define BROKER_PERF_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "broker/perf/result.h"

struct perf_progress {
    FILE *to; /* borrowed; NULL: nothing is said */
    bool is_terminal, is_open;
};

/* Says nothing if the options do not ask for it. */
void perf_progress_init(struct perf_progress *p, FILE *to, const struct perf_options *o);

/* Tells what happened since the sample before the last.  Call it when a sample was added. */
void perf_progress_tell(struct perf_progress *p, const struct perf_result *r);

/* Before anything else is written there. */
void perf_progress_end(struct perf_progress *p);
#endif
