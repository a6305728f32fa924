#include "base/slots.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

void slots_init(struct slots *s)
{
    *s = (struct slots){.first_free = UINT32_MAX};
}

void slots_fini(struct slots *s)
{
    free(s->at);
    slots_init(s);
}

uint32_t slots_take(struct slots *s, void *item, uint32_t *generation)
{
    CHECK(item != NULL);
    uint32_t slot = s->first_free;
    if (slot != UINT32_MAX) {
        s->first_free = s->at[slot].next_free;
    } else {
        CHECK(s->count < UINT32_MAX - 1);
        if (s->count == s->capacity) {
            s->capacity = (uint32_t)alloc_grown(s->capacity, (size_t)s->count + 1);
            s->at = alloc_array(s->at, s->capacity, sizeof(struct slot));
        }
        slot = s->count++;
        s->at[slot].generation = 0;
    }
    s->at[slot].item = item;
    s->at[slot].generation++;
    s->used++;
    *generation = s->at[slot].generation;
    return slot;
}

void slots_give(struct slots *s, uint32_t slot)
{
    CHECK(slot < s->count && s->at[slot].item != NULL);
    s->at[slot].item = NULL;
    s->at[slot].next_free = s->first_free;
    s->first_free = slot;
    s->used--;
}
