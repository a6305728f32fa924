/* What all runs have in common: the broker's address, its process, and whether somebody wants us to stop. */
#ifndef BROKER_PERF_SITE_H
#define BROKER_PERF_SITE_H

#include "broker/perf/link.h"
#include "broker/perf/options.h"
#include "broker/perf/server.h"
#include "broker/perf/watch.h"

struct perf_site {
    const struct perf_options *o; /* borrowed */
    struct link_to to;
    struct link_tls *tls; /* owned; NULL: plain */
    struct perf_server server;
    struct perf_watch watch;
    int signals; /* owned: a signalfd of SIGINT and SIGTERM, which are blocked from then on */
};

/* Connects once, so that r has the broker's name; the watch begins.  Dies if there is no such broker or process. */
void perf_site_init(struct perf_site *s, const struct perf_options *o, struct perf_result *r,
                    struct perf_progress *progress);
void perf_site_fini(struct perf_site *s);

/* Somebody has sent SIGINT or SIGTERM. */
bool perf_site_is_stopped(const struct perf_site *s);
#endif
