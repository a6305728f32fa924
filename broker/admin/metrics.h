/* What Prometheus scrapes: /metrics and its kin, in the text format 0.0.4, by RabbitMQ's names, so that its dashboards
 * and alert rules work, and some of our own (reference operations 4; docs/metrics.md).
 *
 *     /metrics                      all of an object kind added up; or as the next, if it is configured so
 *     /metrics/per-object           a series for each queue, channel, connection
 *     /metrics/detailed             ?vhost=…&family=…&queue=REGEX: chosen families, rabbitmq_detailed_…
 *     /metrics/memory-breakdown     what memory is for
 *
 * A scrape asks the hub for its totals, and for pages of those objects that it shows; of each object it keeps the
 * numbers alone.  The text is made piece by piece, as the client takes it, so a scrape never holds all of it.
 */
#ifndef BROKER_ADMIN_METRICS_H
#define BROKER_ADMIN_METRICS_H

#include <stddef.h>

#include "broker/admin/request.h"

enum {
    METRICS_CHUNK_BYTES = 64 << 10,
    METRICS_BYTES_MAX = 512 << 20,   /* numbers and names of one scrape: some millions of objects */
    METRICS_AT_ONCE = 4,             /* scrapes of objects; more are answered 503 */
    METRICS_REGEX_FAILURES_MAX = 100 /* names at which the pattern may give up, before it is refused */
};

enum metric_shape {
    METRIC_BROKER,
    METRIC_CLIENTS,
    METRIC_TYPES,
    METRIC_LETTERS,
    METRIC_LOGINS,
    METRIC_HISTOGRAM,
    METRIC_SIZES,
    METRIC_QUEUE, /* from here on: of objects */
    METRIC_INGRESS,
    METRIC_EXCHANGE,
    METRIC_CHANNEL,
    METRIC_TRAFFIC,
    METRIC_CONNECTION,
    METRIC_VHOST
};

struct metric {
    enum metric_shape shape;
    const char *family, *type, *name, *source, *sum, *help; /* as metrics.def says */
};

extern const struct metric metrics[];
extern const size_t metrics_count;

/* Under way for a request. */
struct metrics;
void metrics_destroy(struct metrics *m); /* NULL is allowed */

/* The handler. */
void metrics_get(struct request *r);
#endif
