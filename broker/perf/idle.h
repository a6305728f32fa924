/* Idle: connections with a channel, or empty queues, that are made and kept, and what each takes of the broker's
 * memory.
 *
 * Before and after, the broker comes to rest; before, one connection and one queue have come and gone, for what it
 * makes once and keeps does not count.
 */
#ifndef BROKER_PERF_IDLE_H
#define BROKER_PERF_IDLE_H

#include "broker/perf/options.h"
#include "broker/perf/progress.h"
#include "broker/perf/result.h"

/* Fills r, which is new.  What is measured is the time of making them, each of which counts as an operation.  Dies if
 * not all of them can be made. */
void idle_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress);
#endif
