/* What a transaction needs of the journal: all of it finds room, or none of it does. */
#ifndef BROKER_STORE_NEED_H
#define BROKER_STORE_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/record.h"

struct need {
    uint64_t bytes;        /* at most */
    bool publishes, drops; /* drops: what a queue holds */
};

/* Of the transaction whose first record is the i-th of the sheaf. */
struct need need_of(const struct sheaf *h, size_t i);
#endif
