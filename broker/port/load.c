#include "broker/port/load.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/message.h"

struct load *load_create(uint32_t capacity)
{
    struct load *l = alloc(sizeof *l + capacity * sizeof(struct load_entry));
    *l = (struct load){.capacity = capacity};
    return l;
}

void load_destroy(struct load *l)
{
    if (l == NULL)
        return;
    for (uint32_t i = 0; i < l->n; i++)
        message_unref(l->entries[i].msg);
    free(l);
}
