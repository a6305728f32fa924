#include "broker/port/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){0};
}

void batches_drop(struct batch *first)
{
    for (struct batch *b = first, *next; b != NULL; b = next) {
        next = b->next;
        for (unsigned i = 0; i < b->n; i++)
            command_drop(&b->commands[i]);
        free(b);
    }
}

void outbox_fini(struct outbox *o)
{
    batches_drop(o->first);
    batches_drop(o->spare);
    *o = (struct outbox){0};
}

struct batch *outbox_extend(struct outbox *o)
{
    struct batch *b = o->spare;
    if (b != NULL) {
        o->spare = b->next;
        o->spares--;
    } else {
        b = alloc(sizeof *b);
    }
    b->next = NULL;
    b->n = 0;
    if (o->last != NULL)
        o->last->next = b;
    else
        o->first = b;
    o->last = b;
    return b;
}

struct batch *outbox_take(struct outbox *o)
{
    struct batch *all = o->first;
    o->first = o->last = NULL;
    return all;
}

void outbox_give(struct outbox *o, struct batch *b)
{
    if (o->spares == OUTBOX_SPARE_MAX) {
        free(b);
        return;
    }
    b->n = 0;
    b->next = o->spare;
    o->spare = b;
    o->spares++;
}
