/* How long things took, in nanoseconds: how many took how long, in memory that does not grow.
 *
 * Buckets are log-linear: exact below LATENCY_EXACT, then LATENCY_STEPS equal ones to each doubling, so a
 * percentile is wrong by less than one part in 128; what is longer than LATENCY_MOST (18 minutes) counts as that, but
 * the largest value is always exact.  One thread writes; another may read a copy that is a little behind.
 *
 * Coordinated omission: a load generator that waits for a slow broker sends less while it is slow, and so hardly
 * measures what it came for.  Who sends at a rate therefore records from the time at which a message was due, not from
 * when it went out: latency_add_since(l, due, now).
 */
#ifndef BROKER_PERF_LATENCY_H
#define BROKER_PERF_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEP_BITS = 7,
    LATENCY_STEPS = 1 << LATENCY_STEP_BITS,
    LATENCY_EXACT = 2 * LATENCY_STEPS,
    LATENCY_BITS = 40,
    LATENCY_BUCKETS = (LATENCY_BITS - LATENCY_STEP_BITS + 1) * LATENCY_STEPS
};
#define LATENCY_MOST ((UINT64_C(1) << LATENCY_BITS) - 1)

struct latency {
    uint64_t count, sum, min, max; /* min: of no meaning while count is 0 */
    uint64_t buckets[LATENCY_BUCKETS];
};

/* The bucket of a value, and the smallest and the largest value of a bucket. */
static inline unsigned latency_bucket(uint64_t ns)
{
    if (ns < LATENCY_EXACT)
        return (unsigned)ns;
    if (ns > LATENCY_MOST)
        return LATENCY_BUCKETS - 1;
    unsigned shift = 63 - LATENCY_STEP_BITS - (unsigned)__builtin_clzll(ns);
    return (shift << LATENCY_STEP_BITS) + (unsigned)(ns >> shift);
}
uint64_t latency_bucket_first(unsigned bucket);
uint64_t latency_bucket_last(unsigned bucket);

static inline void latency_add(struct latency *l, uint64_t ns)
{
    l->buckets[latency_bucket(ns)]++;
    l->min = l->count == 0 || ns < l->min ? ns : l->min;
    l->max = ns > l->max ? ns : l->max;
    l->sum += ns;
    l->count++;
}

/* From when it was due to now; what came before it was due took no time. */
static inline void latency_add_since(struct latency *l, uint64_t due_ns, uint64_t now_ns)
{
    latency_add(l, now_ns > due_ns ? now_ns - due_ns : 0);
}

/* The value that percent (0 to 100) of all do not exceed: the middle of its bucket, but never beyond min and max; 0 if
 * there are none. */
uint64_t latency_percentile(const struct latency *l, double percent);

double latency_mean(const struct latency *l);
#endif
