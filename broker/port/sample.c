#include "broker/port/sample.h"

#include <stdlib.h>

#include "base/alloc.h"

const char *const sample_names[COUNTERS] = {
#define COUNTER(id, name) [COUNT_##id] = (name),
    SAMPLE_COUNTERS
#undef COUNTER
};

struct samples *samples_create(void)
{
    return alloc_zeroed(sizeof(struct samples));
}

void samples_destroy(struct samples *s)
{
    free(s);
}
