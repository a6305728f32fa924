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

uint32_t slots_extend(struct slots *s)
{
    CHECK(s->count < UINT32_MAX - 1);
    if (s->count == s->capacity) {
        s->capacity = (uint32_t)alloc_grown(s->capacity, (size_t)s->count + 1);
        s->at = alloc_array(s->at, s->capacity, sizeof(struct slot));
    }
    s->at[s->count].generation = 0;
    return s->count++;
}
