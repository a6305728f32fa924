#include "broker/store/space.h"

uint64_t space_default_limit(uint64_t total)
{
    uint64_t limit = total / 20;
    limit = limit > SPACE_LIMIT_MIN ? limit : SPACE_LIMIT_MIN;
    if (total < SPACE_SMALL_FILE_SYSTEM)
        limit = limit < total / 4 ? limit : total / 4;
    return limit < SPACE_LIMIT_MAX ? limit : SPACE_LIMIT_MAX;
}

uint64_t space_limit_at_start(uint64_t total, uint64_t available)
{
    uint64_t limit = space_default_limit(total), half = available / 2;
    if (half >= limit || limit <= SPACE_LIMIT_LEAST)
        return limit;
    return half > SPACE_LIMIT_LEAST ? half : SPACE_LIMIT_LEAST;
}

/* How much must be available for the alarm to clear: more than what raised it, or it would come and go. */
static uint64_t space_clear_at(const struct space *s)
{
    uint64_t more = s->limit / 4;
    if (s->is_chosen && more > SPACE_CLEAR_MAX)
        more = SPACE_CLEAR_MAX;
    return s->limit > UINT64_MAX - more ? UINT64_MAX : s->limit + more;
}

bool space_judge(struct space *s, uint64_t available)
{
    bool is_low = available < (s->is_low ? space_clear_at(s) : s->limit);
    bool has_changed = is_low != s->is_low;
    s->is_low = is_low;
    s->available = available;
    return has_changed;
}
