#include "broker/net/porch.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

struct waiting {
    struct link on_porch;
    struct stranger stranger;
};

void porch_init(struct porch *p)
{
    list_init(&p->waiting);
    p->count = 0;
}

void porch_fini(struct porch *p)
{
    CHECK(p->count == 0);
}

void porch_add(struct porch *p, const struct stranger *s)
{
    struct waiting *w = alloc(sizeof *w);
    link_init(&w->on_porch);
    w->stranger = *s;
    list_append(&p->waiting, &w->on_porch);
    p->count++;
}

const struct stranger *porch_first(const struct porch *p)
{
    return p->count == 0 ? NULL : &item_of(p->waiting.ring.next, struct waiting, on_porch)->stranger;
}

struct stranger porch_take(struct porch *p)
{
    CHECK(p->count > 0);
    struct waiting *w = item_of(p->waiting.ring.next, struct waiting, on_porch);
    struct stranger s = w->stranger;
    list_remove(&w->on_porch);
    free(w);
    p->count--;
    return s;
}
