/* Slots: numbers for things, each with a generation, so that a number which outlived its thing finds nothing.  Taking,
 * finding and giving back are O(1); numbers are dense and used again. */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct slot {
    void *item; /* borrowed; NULL while the slot is free */
    uint32_t generation;
    uint32_t next_free;
};

struct slots {
    struct slot *at; /* owned */
    uint32_t count, capacity;
    uint32_t first_free; /* UINT32_MAX: none */
    uint32_t used;
};

void slots_init(struct slots *s);
void slots_fini(struct slots *s);

/* A slot that never was used; for slots_take(). */
uint32_t slots_extend(struct slots *s);

/* A free slot for item, which is not NULL; its generation is in *generation. */
static inline uint32_t slots_take(struct slots *s, void *item, uint32_t *generation)
{
    CHECK(item != NULL);
    uint32_t slot = s->first_free;
    if (slot != UINT32_MAX)
        s->first_free = s->at[slot].next_free;
    else
        slot = slots_extend(s);
    s->at[slot].item = item;
    *generation = ++s->at[slot].generation;
    s->used++;
    return slot;
}

/* Frees a slot that is in use. */
static inline void slots_give(struct slots *s, uint32_t slot)
{
    CHECK(slot < s->count && s->at[slot].item != NULL);
    s->at[slot].item = NULL;
    s->at[slot].next_free = s->first_free;
    s->first_free = slot;
    s->used--;
}

static inline void *slots_find(const struct slots *s, uint32_t slot, uint32_t generation)
{
    return slot < s->count && s->at[slot].generation == generation ? s->at[slot].item : NULL;
}
#endif
