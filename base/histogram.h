/* How often values of which magnitude were seen: a bucket a power of two.  Whoever shares one brings the lock. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 32 };

struct histogram {
    uint64_t count, sum, max;
    uint64_t buckets[HISTOGRAM_BUCKETS]; /* [0]: zeros; [i]: values below 2^i, and not of a bucket before */
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    unsigned bucket = value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
    h->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
}
#endif
