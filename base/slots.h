/* Slots: numbers for things, each with a generation, so that a number which outlived its thing finds nothing.  Taking,
 * finding and giving back are O(1); numbers are dense and used again. */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

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

/* A free slot for item; its generation is in *generation. */
uint32_t slots_take(struct slots *s, void *item, uint32_t *generation);

/* Frees a slot that is in use. */
void slots_give(struct slots *s, uint32_t slot);

static inline void *slots_find(const struct slots *s, uint32_t slot, uint32_t generation)
{
    return slot < s->count && s->at[slot].generation == generation ? s->at[slot].item : NULL;
}
#endif
