#include "broker/perf/latency.h"

#include <math.h>

uint64_t latency_bucket_first(unsigned bucket)
{
    if (bucket < LATENCY_EXACT)
        return bucket;
    unsigned shift = bucket / LATENCY_STEPS - 1;
    return (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS) << shift;
}

uint64_t latency_bucket_last(unsigned bucket)
{
    return bucket + 1 < LATENCY_BUCKETS ? latency_bucket_first(bucket + 1) - 1 : LATENCY_MOST;
}

uint64_t latency_percentile(const struct latency *l, double percent)
{
    if (l->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil((double)l->count * percent / 100), seen = 0;
    if (rank >= l->count)
        return l->max;
    unsigned i = 0;
    for (rank = rank == 0 ? 1 : rank; seen + l->buckets[i] < rank; i++)
        seen += l->buckets[i];
    uint64_t first = latency_bucket_first(i), middle = first + (latency_bucket_last(i) - first) / 2;
    if (middle < l->min)
        return l->min;
    return middle < l->max ? middle : l->max;
}

double latency_mean(const struct latency *l)
{
    return l->count > 0 ? (double)l->sum / (double)l->count : 0;
}
