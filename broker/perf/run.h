/* A run: declares what it needs, connects, publishes and consumes for as long as it was told, and cleans up. */
#ifndef BROKER_PERF_RUN_H
#define BROKER_PERF_RUN_H

#include "broker/perf/options.h"
#include "broker/perf/progress.h"
#include "broker/perf/result.h"

/* Fills r, which is new, and tells progress.  SIGINT and SIGTERM end the run early; whatever goes wrong ends the
 * program (die()). */
void perf_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress);
#endif
