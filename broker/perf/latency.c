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

void latency_merge(struct latency *to, const struct latency *from)
{
    if (from->count == 0)
        return;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->min = to->count == 0 || from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    to->sum += from->sum;
    to->count += from->count;
}

void latency_subtract(struct latency *l, const struct latency *before)
{
    uint64_t least = l->min, most = l->max, new_min = 0, new_max = 0, n = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        l->buckets[i] -= before->buckets[i];
        if (l->buckets[i] == 0)
            continue;
        new_min = n == 0 ? latency_bucket_first(i) : new_min;
        new_max = i + 1 < LATENCY_BUCKETS ? latency_bucket_last(i) : most;
        n += l->buckets[i];
    }
    l->count = n;
    l->sum -= before->sum;
    l->min = new_min > least ? new_min : least;
    l->max = new_max < most ? new_max : most;
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
