#include "broker/model/entry.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
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

static void put_free(struct entry_pool *p, struct entry *e)
{
    e->msg = (struct message *)(void *)p->free;
    p->free = e;
}

static void pool_extend(struct entry_pool *p)
{
    struct entry_slab *s = alloc(sizeof *s);
    s->next = p->slabs;
    p->slabs = s;
    for (size_t i = SLAB_ENTRIES; i-- > 0;)
        put_free(p, &s->entries[i]);
}

void entry_hold(struct broker *b, struct message *msg)
{
    if (msg->entries++ == 0)
        b->totals.message_bytes += message_cost(msg);
}

void entry_release(struct broker *b, struct message *msg)
{
    CHECK(msg->entries > 0);
    if (--msg->entries == 0)
        b->totals.message_bytes -= message_cost(msg);
    message_unref(msg);
}

struct entry *entry_create(struct broker *b, struct queue *q, struct message *msg)
{
    struct entry_pool *p = &b->entries;
    if (p->free == NULL)
        pool_extend(p);
    struct entry *e = p->free;
    p->free = (struct entry *)(void *)e->msg;
    *e = (struct entry){.msg = msg, .queue = q, .expires_at = ENTRY_NEVER};
    link_init(&e->in_queue);
    b->totals.message_bytes += sizeof *e;
    entry_hold(b, msg);
    return e;
}

void entry_destroy(struct broker *b, struct entry *e)
{
    CHECK(!link_is_linked(&e->in_queue));
    struct message *msg = e->msg;
    b->totals.message_bytes -= sizeof *e;
    if (e->queue->dedup != NULL)
        dedup_forget(b, e->queue, msg, e->position);
    entry_release(b, msg);
    put_free(&b->entries, e);
}

void entry_end(struct broker *b, struct entry *e)
{
    remember_entry(b, RECORD_SETTLE, e);
    entry_destroy(b, e);
}
