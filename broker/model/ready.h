/* What is ready in a queue and in memory, in the order in which it is delivered: the higher priority first, and of the
 * same priority by position (reference queue-features 4).
 *
 * A message that comes back keeps its position, and of one priority everything that ever was out lies before everything
 * that never was: so those that came back are in a heap by rank, the others in a list a priority, and the head is the
 * first of one or of the other.  A queue without priorities has one list, and pays for nothing else; but behind that
 * list it may have a pile.
 */
#ifndef BROKER_MODEL_READY_H
#define BROKER_MODEL_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "broker/model/entry.h"
#include "broker/model/pile.h"

enum { READY_POSITION_BITS = 56 };

/* The lists of the priorities above 0. */
struct ready_levels {
    uint8_t max;
    uint64_t filled[4]; /* bit l: there is something on at[l] */
    struct list at[];   /* by priority, max + 1 of them; at[0] is not used */
};

struct ready {
    struct list list;            /* READY entries of priority 0, by position */
    struct ready_levels *levels; /* owned; NULL: there are no priorities */
    struct heap returned;        /* RETURNED entries, by rank */
    struct pile pile;            /* behind list, which is not empty then; only where there are no priorities */
};

/* max_priority 0: there are none. */
void ready_init(struct ready *r, uint8_t max_priority);
void ready_fini(struct ready *r); /* is empty */

/* The priority that a message has here. */
static inline uint8_t ready_level(const struct ready *r, const struct message *msg)
{
    if (r->levels == NULL)
        return 0;
    return msg->priority < r->levels->max ? msg->priority : r->levels->max;
}

/* The lower, the sooner. */
static inline uint64_t ready_rank(const struct ready *r, const struct entry *e)
{
    return (uint64_t)(UINT8_MAX - ready_level(r, e->msg)) << READY_POSITION_BITS | e->position;
}

/* Its first of those with levels. */
struct entry *ready_head_of_levels(const struct ready *r);

/* The first; NULL: it is empty. */
static inline struct entry *ready_head(const struct ready *r)
{
    if (r->levels != NULL)
        return ready_head_of_levels(r);
    struct heap_node *n = heap_top(&r->returned);
    if (n != NULL)
        return item_of(n, struct entry, in_returned);
    return list_is_empty(&r->list) ? NULL : item_of(r->list.ring.next, struct entry, in_queue);
}

static inline bool ready_is_empty(const struct ready *r)
{
    return ready_head(r) == NULL;
}

/* The highest priority that it tells apart, and the entries of one that never were out, by position. */
static inline unsigned ready_level_max(const struct ready *r)
{
    return r->levels != NULL ? r->levels->max : 0;
}
static inline const struct list *ready_list(const struct ready *r, unsigned level)
{
    return level == 0 ? &r->list : &r->levels->at[level];
}

/* An entry that is on no list comes to the end of those of its priority. */
void ready_append(struct ready *r, struct entry *e);

/* One that was out, or otherwise not to be had for a while, is ready again, at its old place. */
void ready_return(struct ready *r, struct entry *e);

/* It is on no list any more; keeps its state. */
void ready_remove(struct ready *r, struct entry *e);

/* Calls each for all entries, in no certain order, but not for what is in the pile; each may remove the one it is
 * given. */
void ready_each(struct ready *r, void (*each)(void *arg, struct entry *e), void *arg);

/* Dies if anything is out of order. */
void ready_check(const struct ready *r);
#endif
