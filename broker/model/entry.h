/* An entry: one message in one queue, from its coming to its end.  Where it is, is its state; entry_check() knows what
 * goes with which.
 */
#ifndef BROKER_MODEL_ENTRY_H
#define BROKER_MODEL_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "broker/port/message.h"

struct broker;
struct consumer;
struct queue;
struct stream;

enum entry_state {
    ENTRY_READY,    /* in queue->ready, and never was out */
    ENTRY_RETURNED, /* in queue->ready.returned: it was out, and keeps its position */
    ENTRY_OUT,      /* on queue->out and stream->out, with a ticket */
    ENTRY_WAITING,  /* in queue->waiting: it was given back, and is not ready yet (retry.h) */
    ENTRY_DELAYED,  /* in a schedule (delayed.h), on no list */
    ENTRY_DYING,    /* on broker->deaths, on its way to a dead-letter exchange */
};

enum death { DEATH_REJECTED, DEATH_EXPIRED, DEATH_MAXLEN, DEATH_DELIVERY_LIMIT, DEATH_DUE, DEATH_COUNT };

#define ENTRY_NEVER UINT64_MAX /* no expiry */

struct entry {
    struct link in_queue; /* READY: in queue->ready.  OUT: queue->out.  DYING: broker->deaths */
    union {
        struct heap_node in_returned; /* RETURNED, WAITING */
        struct link in_stream;        /* OUT */
    };
    struct message *msg; /* shared */
    struct queue *queue; /* borrowed; a dying entry has pinned it, though it may be deleted */
    uint64_t position;   /* its place in the queue, for ever */
    uint64_t expires_at; /* instant.ms; ENTRY_NEVER */
    union {
        struct {
            struct consumer *consumer; /* OUT: with whom; NULL: fetched by GET */
            struct stream *stream;     /* OUT */
        };
        struct heap_node in_expiring; /* READY, RETURNED, if is_expiring: in queue->expiring */
    };
    union {
        uint32_t ticket_slot; /* OUT */
        enum death death;     /* DYING */
    };
    uint32_t out_since;  /* OUT: when it went, the low half of instant.ms */
    uint16_t deliveries; /* how often it was given back; no more than UINT16_MAX */
    uint8_t state;       /* enum entry_state */
    bool redelivered : 1;
    bool held : 1;   /* OUT: a transaction has settled it */
    bool stored : 1; /* there is a record of it */
    bool is_expiring : 1;
};

/* Entries come from slabs and go back to a free list. */
struct entry_pool {
    struct entry *free;       /* linked through msg */
    struct entry_slab *slabs; /* owned */
};

void entry_pool_init(struct entry_pool *p);
void entry_pool_fini(struct entry_pool *p);

static inline void entry_pool_give(struct entry_pool *p, struct entry *e)
{
    e->msg = (struct message *)(void *)p->free;
    p->free = e;
}

/* More of them, on the free list. */
void entry_pool_extend(struct entry_pool *p);

/* What it takes to make and end one is in state.h: entry_create(), entry_destroy(), entry_hold() and entry_release().
 */

/* entry_destroy(), and whatever was recorded of it is settled. */
void entry_end(struct broker *b, struct entry *e);
#endif
