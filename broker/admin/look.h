/* How much of each object is wanted: what the query of a GET says of statistics (reference operations 1.5, 1.6). */
#ifndef BROKER_ADMIN_LOOK_H
#define BROKER_ADMIN_LOOK_H

#include <stdbool.h>

#include "broker/admin/rates.h"

struct request;

struct look {
    bool is_short;   /* disable_stats: what it is called, and no numbers … */
    bool has_totals; /* … but how many messages are in queues (enable_queue_totals) */
    struct rates_range lengths, msg_rates, data_rates, node_stats; /* incr_s 0: no samples */
};

/* Reads it into r->look.  False: a range is wrong, and that was answered. */
bool look_read(struct request *r);
#endif
