#include "broker/model/pile.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

void pile_init(struct pile *p)
{
    *p = (struct pile){0};
}

void pile_fini(struct pile *p)
{
    CHECK(p->count == 0 && p->first == NULL);
}

void pile_add(struct pile *p, struct piled piled)
{
    struct pile_chunk *c = p->last;
    if (c == NULL || c->to == PILE_CHUNK) {
        c = alloc(sizeof *c);
        c->next = NULL;
        c->from = c->to = 0;
        if (p->last != NULL)
            p->last->next = c;
        else
            p->first = c;
        p->last = c;
    }
    c->at[c->to++] = piled;
    p->count++;
}

struct piled pile_take(struct pile *p)
{
    struct pile_chunk *c = p->first;
    CHECK(p->count > 0 && c->from < c->to);
    struct piled piled = c->at[c->from++];
    p->count--;
    if (c->from < c->to)
        return piled;
    p->first = c->next;
    if (p->first == NULL)
        p->last = NULL;
    free(c);
    return piled;
}
