/* How long things took, in nanoseconds: how many took how long, in memory that does not grow.
 *
 * Buckets are log-linear: exact below HISTOGRAM_EXACT, then HISTOGRAM_STEPS equal ones to each doubling, so a
 * percentile is wrong by less than one part in 128; what is longer than HISTOGRAM_MOST (18 minutes) counts as that, but
 * the largest value is always exact.  One thread writes; another may read a copy that is a little behind.
 *
 * Coordinated omission: a load generator that waits for a slow broker sends less while it is slow, and so hardly
 * measures what it came for.  Who sends at a rate therefore records from the time at which a message was due, not from
 * when it went out: perf_histogram_add_since(l, due, now).
 */
#ifndef BROKER_PERF_HISTOGRAM_H
#define BROKER_PERF_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 7,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_EXACT = 2 * HISTOGRAM_STEPS,
    HISTOGRAM_BITS = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS
};
#define HISTOGRAM_MOST ((UINT64_C(1) << HISTOGRAM_BITS) - 1)

struct perf_histogram {
    uint64_t count, sum, min, max; /* min: of no meaning while count is 0 */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* The bucket of a value, and the smallest and the largest value of a bucket. */
static inline unsigned perf_histogram_bucket(uint64_t ns)
{
    if (ns < HISTOGRAM_EXACT)
        return (unsigned)ns;
    if (ns > HISTOGRAM_MOST)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - HISTOGRAM_STEP_BITS - (unsigned)__builtin_clzll(ns);
    return (shift << HISTOGRAM_STEP_BITS) + (unsigned)(ns >> shift);
}
uint64_t perf_histogram_bucket_first(unsigned bucket);
uint64_t perf_histogram_bucket_last(unsigned bucket);

static inline void perf_histogram_add(struct perf_histogram *l, uint64_t ns)
{
    l->buckets[perf_histogram_bucket(ns)]++;
    l->min = l->count == 0 || ns < l->min ? ns : l->min;
    l->max = ns > l->max ? ns : l->max;
    l->sum += ns;
    l->count++;
}

/* From when it was due to now; what came before it was due took no time. */
static inline void perf_histogram_add_since(struct perf_histogram *l, uint64_t due_ns, uint64_t now_ns)
{
    perf_histogram_add(l, now_ns > due_ns ? now_ns - due_ns : 0);
}

void perf_histogram_merge(struct perf_histogram *to, const struct perf_histogram *from);

/* What came into l after it was as in before; its min and max are as exact as a bucket. */
void perf_histogram_subtract(struct perf_histogram *l, const struct perf_histogram *before);

/* The value that percent (0 to 100) of all do not exceed: the middle of its bucket, but never beyond min and max; 0 if
 * there are none. */
uint64_t perf_histogram_percentile(const struct perf_histogram *l, double percent);

double perf_histogram_mean(const struct perf_histogram *l);
#endif
