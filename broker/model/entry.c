#include "broker/model/entry.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"

enum { SLAB_ENTRIES = 512 };

struct entry_slab {
    struct entry_slab *next;
    struct entry entries[SLAB_ENTRIES];
};

void entry_pool_init(struct entry_pool *p)
{
    *p = (struct entry_pool){0};
}

void entry_pool_fini(struct entry_pool *p)
{
    for (struct entry_slab *s = p->slabs, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    entry_pool_init(p);
}

void entry_pool_extend(struct entry_pool *p)
{
    struct entry_slab *s = alloc(sizeof *s);
    s->next = p->slabs;
    p->slabs = s;
    for (size_t i = SLAB_ENTRIES; i-- > 0;)
        entry_pool_give(p, &s->entries[i]);
}

void entry_forget_record(const struct entry *e)
{
    queue_uncount_stored(e->queue, e->msg);
}

void entry_destroy(struct broker *b, struct entry *e)
{
    if (e->queue->dedup != NULL)
        dedup_forget(b, e->queue, e->msg, e->position);
    entry_discard(b, e);
}

void entry_end(struct broker *b, struct entry *e)
{
    remember_entry(b, RECORD_SETTLE, e);
    entry_destroy(b, e);
}
