#include "broker/model/ready.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

void ready_init(struct ready *r, uint8_t max_priority)
{
    list_init(&r->list);
    heap_init(&r->returned);
    pile_init(&r->pile);
    r->levels = NULL;
    if (max_priority == 0)
        return;
    r->levels = alloc_zeroed(sizeof *r->levels + (max_priority + 1) * sizeof(struct list));
    r->levels->max = max_priority;
    for (unsigned l = 0; l <= max_priority; l++)
        list_init(&r->levels->at[l]);
}

void ready_fini(struct ready *r)
{
    CHECK(ready_is_empty(r));
    heap_fini(&r->returned);
    pile_fini(&r->pile);
    free(r->levels);
}

/* The highest priority that has something, 0 if none above it has. */
static unsigned highest(const struct ready_levels *levels)
{
    for (unsigned i = 4; i-- > 0;)
        if (levels->filled[i] != 0)
            return i * 64 + 63 - (unsigned)__builtin_clzll(levels->filled[i]);
    return 0;
}

static struct list *list_of(const struct ready *r, unsigned level)
{
    return (struct list *)(uintptr_t)ready_list(r, level);
}

struct entry *ready_head_of_levels(const struct ready *r)
{
    const struct list *l = list_of(r, highest(r->levels));
    struct entry *fresh = list_is_empty(l) ? NULL : item_of(l->ring.next, struct entry, in_queue);
    struct heap_node *n = heap_top(&r->returned);
    if (n == NULL)
        return fresh;
    if (fresh == NULL || n->key < ready_rank(r, fresh))
        return item_of(n, struct entry, in_returned);
    return fresh;
}

void ready_append(struct ready *r, struct entry *e)
{
    uint8_t level = ready_level(r, e->msg);
    e->state = ENTRY_READY;
    list_append(list_of(r, level), &e->in_queue);
    if (level > 0)
        r->levels->filled[level / 64] |= UINT64_C(1) << level % 64;
}

void ready_return(struct ready *r, struct entry *e)
{
    e->state = ENTRY_RETURNED;
    heap_node_init(&e->in_returned);
    heap_add(&r->returned, &e->in_returned, ready_rank(r, e));
}

void ready_remove(struct ready *r, struct entry *e)
{
    if (e->state == ENTRY_RETURNED) {
        heap_remove(&r->returned, &e->in_returned);
        return;
    }
    list_remove(&e->in_queue);
    uint8_t level = ready_level(r, e->msg);
    if (level > 0 && list_is_empty(&r->levels->at[level]))
        r->levels->filled[level / 64] &= ~(UINT64_C(1) << level % 64);
}

void ready_each(struct ready *r, void (*each)(void *arg, struct entry *e), void *arg)
{
    struct entry *e;
    for (size_t i = r->returned.count; i-- > 0;)
        if (i < r->returned.count)
            each(arg, item_of(r->returned.nodes[i], struct entry, in_returned));
    for (unsigned l = 0; l <= ready_level_max(r); l++)
        list_each (e, list_of(r, l), struct entry, in_queue)
            each(arg, e);
}

static void check_list(const struct ready *r, unsigned level)
{
    const struct list *l = list_of(r, level);
    struct entry *e;
    uint64_t last = 0;
    bool is_first = true;
    list_each (e, l, struct entry, in_queue) {
        CHECK(e->state == ENTRY_READY && ready_level(r, e->msg) == level);
        CHECK(is_first || e->position > last);
        for (size_t i = 0; is_first && i < r->returned.count; i++) { /* whatever was out lies before what never was */
            const struct entry *back = item_of(r->returned.nodes[i], struct entry, in_returned);
            CHECK(ready_level(r, back->msg) != level || back->position < e->position);
        }
        last = e->position;
        is_first = false;
    }
    if (level > 0)
        CHECK((r->levels->filled[level / 64] >> level % 64 & 1) == !list_is_empty(l));
}

static void check_piled(void *arg, const struct piled *piled)
{
    uint64_t *last = arg;
    CHECK(piled->position > *last && piled->msg->entries > 0);
    *last = piled->position;
}

static void check_pile(const struct ready *r)
{
    if (r->pile.count == 0)
        return;
    CHECK(r->levels == NULL && !list_is_empty(&r->list));
    uint64_t last = item_of(r->list.ring.prev, struct entry, in_queue)->position;
    pile_each(&r->pile, check_piled, &last);
}

void ready_check(const struct ready *r)
{
    check_pile(r);
    for (size_t i = 0; i < r->returned.count; i++) {
        const struct entry *e = item_of(r->returned.nodes[i], struct entry, in_returned);
        CHECK(e->state == ENTRY_RETURNED && r->returned.nodes[i]->key == ready_rank(r, e));
    }
    for (unsigned l = 0; l <= ready_level_max(r); l++)
        check_list(r, l);
}
