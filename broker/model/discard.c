#include "broker/model/discard.h"

#include "broker/model/state.h"

void discard_take(struct broker *b, struct pile *p)
{
    b->totals.message_bytes -= p->count * PILED_COST;
    pile_take_all(&b->discarded, p);
}

static void discard(struct broker *b, uint64_t n)
{
    for (; n > 0 && b->discarded.count > 0; n--)
        entry_release(b, pile_take(&b->discarded).msg);
}

void discard_some(struct broker *b)
{
    discard(b, DISCARDS_PER_STEP);
}

bool discard_is_due(const struct broker *b)
{
    return b->discarded.count > 0;
}

void discard_all(struct broker *b)
{
    discard(b, UINT64_MAX);
}
