/* For log lines that strangers can cause: so many in a while, then silence, then how many there would have been. */
#ifndef BROKER_NET_HUSH_H
#define BROKER_NET_HUSH_H

#include <stdbool.h>
#include <stdint.h>

enum { HUSH_LINES = 10 /* unless there is a reason for another number */, HUSH_MS = 10000 };

struct hush {
    uint64_t since_ms;
    unsigned lines, hidden;
};

/* Whether a line may be written now, of so many in a while; *hidden: how many were not, before it. */
static inline bool hush_may(struct hush *t, unsigned lines, uint64_t now_ms, unsigned *hidden)
{
    *hidden = 0;
    if (now_ms - t->since_ms >= HUSH_MS) {
        *hidden = t->hidden;
        *t = (struct hush){.since_ms = now_ms};
    }
    if (t->lines == lines) {
        t->hidden++;
        return false;
    }
    t->lines++;
    return true;
}
#endif
