/* What the broker keeps of all logs (log.h) together. */
#ifndef BROKER_MODEL_LOG_STATE_H
#define BROKER_MODEL_LOG_STATE_H

#include <stdint.h>

#include "base/list.h"

struct log_state {
    struct list wanting;   /* replays that want to load */
    struct list suspended; /* logs that were changed in a transaction: readers see it when that is over */
    unsigned loads;        /* under way, also for readers that are gone */
    uint64_t last_reader;
    uint64_t committed; /* position of the last COMMIT */
};

void log_state_init(struct log_state *s);
#endif
