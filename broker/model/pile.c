#include "broker/model/pile.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum {
    LINE = 64,
    FETCH_LINES = 3,         /* of a message: a small one is no longer */
    FETCH_AHEAD = PILE_THAW, /* messages */
};

void pile_init(struct pile *p)
{
    *p = (struct pile){0};
}

void pile_fini(struct pile *p)
{
    CHECK(p->count == 0 && p->first == NULL);
}

/* Another last one, whose first message has that position. */
static struct pile_chunk *extend(struct pile *p, uint64_t position)
{
    struct pile_chunk *c = alloc(sizeof *c);
    c->next = NULL;
    c->from = c->to = 0;
    c->position = position;
    if (p->last != NULL)
        p->last->next = c;
    else
        p->first = c;
    p->last = c;
    return c;
}

void pile_add(struct pile *p, struct piled piled)
{
    struct pile_chunk *c = p->last;
    if (c == NULL || c->to == PILE_CHUNK || piled.position != c->position + c->to)
        c = extend(p, piled.position);
    c->at[c->to++] = (uintptr_t)piled.msg | piled.stored;
    p->count++;
}

/* What is taken soon comes into the cache meanwhile: it was put away so long ago that main memory alone has it. */
static inline void fetch_ahead(const struct pile_chunk *c)
{
    uint32_t i = c->from + FETCH_AHEAD;
    if (i >= c->to) {
        i -= c->to;
        c = c->next;
        if (c == NULL || i >= c->to)
            return;
    }
    const uint8_t *at = (const uint8_t *)(c->at[i] & ~(uintptr_t)1); // NOLINT(performance-no-int-to-ptr)
    for (size_t line = 0; line < FETCH_LINES; line++)
        __builtin_prefetch(at + line * LINE);
}

struct piled pile_take(struct pile *p)
{
    struct pile_chunk *c = p->first;
    CHECK(p->count > 0 && c->from < c->to);
    fetch_ahead(c);
    struct piled piled = pile_at(c, c->from++);
    p->count--;
    if (c->from < c->to)
        return piled;
    p->first = c->next;
    if (p->first == NULL)
        p->last = NULL;
    free(c);
    return piled;
}

void pile_take_all(struct pile *p, struct pile *from)
{
    if (from->count == 0)
        return;
    if (p->last != NULL)
        p->last->next = from->first;
    else
        p->first = from->first;
    p->last = from->last;
    p->count += from->count;
    p->stored_count += from->stored_count;
    p->stored_bytes += from->stored_bytes;
    pile_init(from);
}

void pile_each(const struct pile *p, void (*each)(void *arg, const struct piled *piled), void *arg)
{
    for (const struct pile_chunk *c = p->first; c != NULL; c = c->next)
        for (uint32_t i = c->from; i < c->to; i++) {
            struct piled piled = pile_at(c, i);
            each(arg, &piled);
        }
}
