#include "broker/port/change.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/spec.h"

struct changes *changes_create(void)
{
    return alloc_zeroed(sizeof(struct changes));
}

void changes_destroy(struct changes *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->at[i].spec);
        free(c->at[i].text);
    }
    free(c->at);
    free(c->user);
    free(c);
}

struct change *changes_add(struct changes *c, enum change_kind kind, enum definition_class what, struct spec *spec)
{
    if (c->n == c->capacity) {
        c->capacity = alloc_grown(c->capacity, c->n + 1);
        c->at = alloc_array(c->at, c->capacity, sizeof *c->at);
    }
    c->at[c->n] = (struct change){.kind = kind, .what = what, .spec = spec};
    return &c->at[c->n++];
}
