/* The share of the time in which a queue could have given a message to a consumer at once, of late: what was long ago
 * counts ever less.  Kept when that changes, so that it costs nothing while it does not.
 */
#ifndef BROKER_MODEL_UTILISATION_H
#define BROKER_MODEL_UTILISATION_H

#include <stdbool.h>
#include <stdint.h>

enum { UTILISATION_MS = 10000 }; /* after that long everything before counts half */

struct utilisation {
    uint32_t since_ms; /* the low half of instant.ms: it is so since then … */
    uint32_t able_ms, all_ms;
    bool is_able; /* … that somebody would take a message */
};

static inline void utilisation_begin(struct utilisation *u, uint64_t now_ms)
{
    *u = (struct utilisation){.since_ms = (uint32_t)now_ms};
}

/* What has passed is added up. */
static inline void utilisation_add_up(struct utilisation *u, uint64_t now_ms)
{
    uint32_t ms = (uint32_t)now_ms - u->since_ms;
    ms = ms < UINT32_MAX / 2 ? ms : UINT32_MAX / 2;
    u->since_ms = (uint32_t)now_ms;
    u->all_ms += ms;
    u->able_ms += u->is_able ? ms : 0;
    while (u->all_ms > UTILISATION_MS) {
        u->all_ms /= 2;
        u->able_ms /= 2;
    }
}

static inline void utilisation_set(struct utilisation *u, uint64_t now_ms, bool is_able)
{
    if (__builtin_expect(u->is_able == is_able, 1))
        return;
    utilisation_add_up(u, now_ms);
    u->is_able = is_able;
}

/* From 0 to 1. */
static inline double utilisation_share(struct utilisation *u, uint64_t now_ms)
{
    utilisation_add_up(u, now_ms);
    if (u->all_ms == 0)
        return u->is_able ? 1 : 0;
    return (double)u->able_ms / u->all_ms;
}
#endif
