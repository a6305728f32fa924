/* How often values of which magnitude were seen: a bucket a power of two.  Whoever shares one brings the lock. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 32 };

struct histogram {
    uint64_t count, sum, max;
    uint64_t buckets[HISTOGRAM_BUCKETS]; /* [0]: zeros; [i]: values below 2^i, and not of a bucket before */
};

/* The value was seen so often. */
static inline void histogram_add_many(struct histogram *h, uint64_t value, uint64_t n)
{
    unsigned bucket = value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
    h->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1] += n;
    h->count += n;
    h->sum += value * n;
    h->max = value > h->max && n > 0 ? value : h->max;
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    histogram_add_many(h, value, 1);
}
#endif
