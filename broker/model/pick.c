#include "broker/model/pick.h"

#include <stdlib.h>

#include "broker/model/queue.h"

static int by_position(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return ((*x)->position > (*y)->position) - ((*x)->position < (*y)->position);
}

static void picked_cut(struct picked *p)
{
    qsort((void *)p->at, p->n, sizeof(struct entry *), by_position);
    if (p->n < PICK_MAX)
        return;
    p->n = PICK_MAX;
    p->below = p->at[p->n - 1]->position;
}

static void picked_add(struct picked *p, struct entry *e, uint64_t position)
{
    if (e->position < position || e->position >= p->below)
        return;
    p->at[p->n++] = e;
    if (p->n == 2 * PICK_MAX)
        picked_cut(p);
}

void pick_next(struct broker *b, struct queue *q, uint64_t from, uint64_t end, struct picked *p)
{
    p->n = 0;
    p->below = end;
    for (size_t i = 0; i < q->ready.returned.count; i++)
        picked_add(p, item_of(q->ready.returned.nodes[i], struct entry, in_returned), from);
    for (unsigned level = 0; level <= ready_level_max(&q->ready); level++) {
        const struct list *l = ready_list(&q->ready, level);
        for (const struct link *at = &l->ring; at->next != &l->ring || (level == 0 && queue_thaw(b, q));
             at = at->next) {
            struct entry *e = item_of(at->next, struct entry, in_queue);
            if (e->position >= p->below)
                break;
            picked_add(p, e, from);
        }
    }
    picked_cut(p);
}
