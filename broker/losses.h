/* What the store could not read any more: a JSON line each in lost.jsonl in the data folder, and a warning in the log
 * for each queue (reliability D27).  Nothing that was lost is left unsaid, but beyond LOSSES_LINES_MAX only in sum.
 */
#ifndef BROKER_LOSSES_H
#define BROKER_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

struct losses;

enum {
    LOSSES_LINES_MAX = 10000, /* in lost.jsonl, of one run */
    LOSSES_QUEUES_MAX = 1000, /* that have a warning of their own each time */
};

struct losses *losses_create(const char *data_dir);
void losses_destroy(struct losses *l); /* NULL is allowed */

void losses_add(struct losses *l, const struct store_loss *loss);

/* Warns of what was added since the last time, and makes lost.jsonl durable. */
void losses_warn(struct losses *l);
#endif
