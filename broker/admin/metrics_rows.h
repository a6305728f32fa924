/* What a scrape keeps of objects: their names, as labels, and the numbers that it shows; nothing else of their rows. */
#ifndef BROKER_ADMIN_METRICS_ROWS_H
#define BROKER_ADMIN_METRICS_ROWS_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "broker/admin/metrics.h"

enum metrics_object {
    METRICS_VHOSTS,
    METRICS_QUEUES,
    METRICS_EXCHANGES,
    METRICS_CONNECTIONS,
    METRICS_CHANNELS,
    METRICS_OBJECTS
};

/* What a metric is of; METRICS_OBJECTS: of none of these. */
enum metrics_object metrics_object_of(const struct metric *m);

struct metrics_rows;

/* wanted: by number of the metric (metrics.h); those of other objects do not count. */
struct metrics_rows *metrics_rows_create(enum metrics_object what, const bool *wanted);
void metrics_rows_destroy(struct metrics_rows *rows); /* NULL is allowed */

/* Takes what is wanted of a row of INSPECT, a checked table. */
void metrics_rows_take(struct metrics_rows *rows, struct bytes row);

/* When all are there: puts them in order, and each that was seen twice there once. */
void metrics_rows_sort(struct metrics_rows *rows);

size_t metrics_rows_count(const struct metrics_rows *rows);
size_t metrics_rows_bytes(const struct metrics_rows *rows); /* of memory */

/* A metric's series, from that row on, until the buffer has so many bytes; answers the row to go on with. */
size_t metrics_rows_print(const struct metrics_rows *rows, size_t metric, bool is_detailed, size_t from,
                          struct evbuffer *to, size_t bytes);
#endif
