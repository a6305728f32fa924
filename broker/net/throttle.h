/* For log lines that strangers can cause: so many in a while, then silence, then how many there would have been. */
#ifndef BROKER_NET_THROTTLE_H
#define BROKER_NET_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum { THROTTLE_LINES = 10, THROTTLE_MS = 10000 };

struct throttle {
    uint64_t since_ms;
    unsigned lines, hidden;
};

/* Whether a line may be written now; *hidden: how many were not, before it. */
static inline bool throttle_may(struct throttle *t, uint64_t now_ms, unsigned *hidden)
{
    *hidden = 0;
    if (now_ms - t->since_ms >= THROTTLE_MS) {
        *hidden = t->hidden;
        *t = (struct throttle){.since_ms = now_ms};
    }
    if (t->lines == THROTTLE_LINES) {
        t->hidden++;
        return false;
    }
    t->lines++;
    return true;
}
#endif
