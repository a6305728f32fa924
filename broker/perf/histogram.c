#include "broker/perf/histogram.h"

#include <math.h>

uint64_t perf_histogram_bucket_first(unsigned bucket)
{
    if (bucket < HISTOGRAM_EXACT)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
}

uint64_t perf_histogram_bucket_last(unsigned bucket)
{
    return bucket + 1 < HISTOGRAM_BUCKETS ? perf_histogram_bucket_first(bucket + 1) - 1 : HISTOGRAM_MOST;
}

void perf_histogram_merge(struct perf_histogram *to, const struct perf_histogram *from)
{
    if (from->count == 0)
        return;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->min = to->count == 0 || from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    to->sum += from->sum;
    to->count += from->count;
}

void perf_histogram_subtract(struct perf_histogram *l, const struct perf_histogram *before)
{
    uint64_t least = l->min, most = l->max, new_min = 0, new_max = 0, n = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        l->buckets[i] -= before->buckets[i];
        if (l->buckets[i] == 0)
            continue;
        new_min = n == 0 ? perf_histogram_bucket_first(i) : new_min;
        new_max = i + 1 < HISTOGRAM_BUCKETS ? perf_histogram_bucket_last(i) : most;
        n += l->buckets[i];
    }
    l->count = n;
    l->sum -= before->sum;
    l->min = new_min > least ? new_min : least;
    l->max = new_max < most ? new_max : most;
}

uint64_t perf_histogram_percentile(const struct perf_histogram *l, double percent)
{
    if (l->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil((double)l->count * percent / 100), seen = 0;
    if (rank >= l->count)
        return l->max;
    unsigned i = 0;
    for (rank = rank == 0 ? 1 : rank; seen + l->buckets[i] < rank; i++)
        seen += l->buckets[i];
    uint64_t first = perf_histogram_bucket_first(i), middle = first + (perf_histogram_bucket_last(i) - first) / 2;
    if (middle < l->min)
        return l->min;
    return middle < l->max ? middle : l->max;
}

double perf_histogram_mean(const struct perf_histogram *l)
{
    return l->count > 0 ? (double)l->sum / (double)l->count : 0;
}
