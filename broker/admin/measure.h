/* What the system says of this process, and the journal of itself. */
#ifndef BROKER_ADMIN_MEASURE_H
#define BROKER_ADMIN_MEASURE_H

#include <stdint.h>

#include "broker/admin/admin.h"

struct measure {
    uint64_t code_bytes;                                   /* of the program */
    uint64_t resident_bytes, context_switches, read_bytes; /* from disks */
    uint64_t descriptors, descriptors_max, threads;
    uint64_t disk_free;
    struct admin_measures own; /* zeros, if the program says nothing */
};

/* Takes some 100 µs, and more if there are many descriptors. */
void measure_take(struct measure *to, const struct admin_config *config);
#endif
