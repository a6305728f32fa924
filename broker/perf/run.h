/* A run: declares what it needs, connects, publishes and consumes for as long as it was told, and cleans up. */
#ifndef BROKER_PERF_RUN_H
#define BROKER_PERF_RUN_H

#include "broker/perf/options.h"
#include "broker/perf/result.h"

/* Whoever wants to see the run while it goes on: called with each sample, the last of r, on the caller's thread. */
struct perf_watcher {
    void (*on_sample)(void *arg, const struct perf_result *r);
    void *arg; /* borrowed */
};

/* Fills r, which is new.  SIGINT and SIGTERM end the run early; whatever goes wrong ends the program (die()). */
void perf_run(const struct perf_options *o, struct perf_result *r, const struct perf_watcher *watcher);
#endif
