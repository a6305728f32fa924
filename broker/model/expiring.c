#include "broker/model/expiring.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/cold.h"
#include "broker/model/deadletter.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/port/load.h"

/* Of a key: those of the same time go in the order in which they would be delivered, as far as these bits say. */
enum { RANK_BITS = 20, LEVEL_BITS = 8 };

void expiring_init(struct expiring *x)
{
    *x = (struct expiring){0};
    heap_init(&x->heap);
}

void expiring_fini(struct expiring *x)
{
    heap_fini(&x->heap);
    if (x->cold != NULL)
        schedule_fini(x->cold);
    free(x->cold);
}

/* ---- In memory. */

static uint64_t key_of(const struct queue *q, const struct entry *e)
{
    unsigned bits = q->ready.levels != NULL ? RANK_BITS - LEVEL_BITS : RANK_BITS;
    uint64_t level = q->ready.levels != NULL ? UINT8_MAX - ready_level(&q->ready, e->msg) : 0;
    uint64_t at = e->expires_at < UINT64_MAX >> RANK_BITS ? e->expires_at : UINT64_MAX >> RANK_BITS; /* 500 years */
    return at << RANK_BITS | level << bits | (e->position & ((UINT64_C(1) << bits) - 1));
}

static void add(struct queue *q, struct entry *e)
{
    heap_node_init(&e->in_expiring);
    heap_add(&q->expiring.heap, &e->in_expiring, key_of(q, e));
    e->is_expiring = true;
}

void expiring_append(struct broker *b, struct queue *q, struct entry *e)
{
    struct expiring *x = &q->expiring;
    if (b->expires_at_head)
        return;
    if (q->ready.levels == NULL) {
        bool is_first = q->ready.list.ring.next == &e->in_queue;
        if (is_first || e->expires_at >= x->latest) {
            x->latest = e->expires_at;
            return;
        }
    }
    if (e->expires_at != ENTRY_NEVER)
        add(q, e);
}

void expiring_return(struct broker *b, struct queue *q, struct entry *e)
{
    if (!b->expires_at_head && e->expires_at != ENTRY_NEVER)
        add(q, e);
}

void expiring_remove(struct queue *q, struct entry *e)
{
    if (!e->is_expiring)
        return;
    heap_remove(&q->expiring.heap, &e->in_expiring);
    e->is_expiring = false;
    e->consumer = NULL;
    e->stream = NULL;
}

struct entry *expiring_first(const struct broker *b, const struct queue *q)
{
    if (b->expires_at_head)
        return queue_head(q);
    struct heap_node *n = heap_top(&q->expiring.heap);
    struct entry *late = n != NULL ? item_of(n, struct entry, in_expiring) : NULL;
    if (q->ready.levels != NULL || list_is_empty(&q->ready.list))
        return late;
    struct entry *first = item_of(q->ready.list.ring.next, struct entry, in_queue);
    return late == NULL || key_of(q, first) < key_of(q, late) ? first : late;
}

static void put_in(void *arg, struct entry *e)
{
    if (!e->is_expiring && e->expires_at != ENTRY_NEVER)
        add(arg, e);
}

static void put_out(void *arg, struct entry *e)
{
    expiring_remove(arg, e);
}

/* Who was in order may be so no more: all are looked at by their own deadlines, until the queue is empty. */
void expiring_begin_anew(struct broker *b, struct queue *q)
{
    if (b->expires_at_head)
        return;
    ready_each(&q->ready, put_out, q);
    ready_each(&q->ready, put_in, q);
    q->expiring.latest = ENTRY_NEVER;
    expiring_know_nothing(q);
}

/* ---- Cold. */

void expiring_add_cold(struct broker *b, struct queue *q, uint64_t position, uint64_t deadline, uint64_t bytes)
{
    struct expiring *x = &q->expiring;
    if (b->expires_at_head || deadline > INT64_MAX) {
        x->latest_cold = ENTRY_NEVER;
        return;
    }
    if (q->cold.count == 0)
        x->latest_cold = q->ready.levels != NULL ? ENTRY_NEVER : list_is_empty(&q->ready.list) ? 0 : x->latest;
    if (deadline >= x->latest_cold) {
        x->latest_cold = deadline;
        return;
    }
    if (x->cold == NULL) {
        x->cold = alloc(sizeof *x->cold);
        schedule_init(x->cold);
    }
    schedule_add(x->cold, position, (int64_t)deadline, bytes);
}

void expiring_forget_cold(struct queue *q)
{
    if (q->expiring.cold != NULL)
        schedule_fini(q->expiring.cold);
}

void expiring_know_nothing(struct queue *q)
{
    expiring_forget_cold(q);
    q->expiring.latest_cold = ENTRY_NEVER;
}

/* The next that is cold, overdue or not; what has come into memory meanwhile is forgotten. */
static struct due *first_cold(struct queue *q)
{
    struct schedule *s = q->expiring.cold;
    struct due *top = NULL;
    while (s != NULL && (top = schedule_top(s)) != NULL && (q->cold.count == 0 || top->position < q->cold.from))
        schedule_remove(s, top);
    return top;
}

uint64_t expiring_next(const struct broker *b, struct queue *q)
{
    const struct entry *first = expiring_first(b, q);
    uint64_t at = first != NULL ? first->expires_at : ENTRY_NEVER;
    if (q->cold.is_loading || q->cold.is_held || link_is_linked(&q->cold.wanting))
        return at; /* when that has come, somebody looks */
    const struct due *cold = first_cold(q);
    return cold != NULL && (uint64_t)cold->due_ms < at ? (uint64_t)cold->due_ms : at;
}

/* Somebody wants to know what becomes of it. */
static bool is_to_be_read(const struct queue *q)
{
    return q->options->has_dead_letter_exchange || q->dedup != NULL || q->groups != NULL;
}

bool expiring_asks(struct broker *b, struct queue *q)
{
    struct expiring *x = &q->expiring;
    const struct due *due = first_cold(q);
    if (due == NULL || due->due_ms > (int64_t)b->now.ms || !is_to_be_read(q))
        return false;
    x->fetch_from = x->fetch_to = due->position;
    if (!x->is_narrow)
        schedule_widen(x->cold, (int64_t)b->now.ms, (unsigned)b->cold.window_messages, &x->fetch_from, &x->fetch_to);
    if (x->fetch_from < q->cold.from)
        x->fetch_from = q->cold.from;
    x->is_fetching = true;
    cold_fetch(b, q, x->fetch_from, x->fetch_to - x->fetch_from + 1);
    return true;
}

void expiring_clean_cold(struct broker *b, struct queue *q)
{
    struct due *due;
    if (q->expiring.cold == NULL || q->cold.is_loading || q->cold.is_held)
        return;
    while ((due = first_cold(q)) != NULL && due->due_ms <= (int64_t)b->now.ms) {
        if (is_to_be_read(q)) {
            cold_want(b, q);
            return;
        }
        if (b->removals_left == 0) {
            wakeup_set(b, &q->expiry, b->now.ms);
            return;
        }
        b->removals_left--;
        remember_settle(b, q, due->position, due->bytes);
        cold_drop(b, q, 1, due->bytes);
        schedule_remove(q->expiring.cold, due);
    }
}

void expiring_take_load(struct broker *b, struct queue *q, struct load *l)
{
    struct expiring *x = &q->expiring;
    size_t before = x->cold != NULL ? x->cold->live : 0;
    x->is_fetching = false;
    for (uint32_t i = 0; i < l->n; i++) {
        struct load_entry *le = &l->entries[i];
        struct due *due = x->cold != NULL ? schedule_find(x->cold, le->position) : NULL;
        if (due == NULL || due->due_ms > (int64_t)b->now.ms || le->position < q->cold.from)
            continue;
        schedule_remove(x->cold, due);
        cold_drop(b, q, 1, le->msg->body_size);
        queue_expire_cold(b, q, cold_entry(b, q, le));
    }
    if (!q->cold.is_stale)
        cold_drop(b, q, l->lost, l->lost_bytes);
    /* What was asked for and has not come cannot be read any more, as far as the load has looked. */
    uint64_t end = l->is_end || l->next > x->fetch_to ? x->fetch_to + 1 : l->next;
    struct due *due;
    for (uint64_t p = x->fetch_from; x->cold != NULL && (due = schedule_from(x->cold, p)) != NULL;) {
        if (due->position >= end)
            break;
        p = due->position + 1;
        if (due->due_ms <= (int64_t)b->now.ms)
            schedule_remove(x->cold, due);
    }
    /* Between those that are due others may lie: then only the next one is asked for. */
    x->is_narrow = x->cold != NULL && x->cold->live == before;
}

void expiring_check(const struct broker *b, const struct queue *q)
{
    const struct expiring *x = &q->expiring;
    for (size_t i = 0; i < x->heap.count; i++) {
        const struct entry *e = item_of(x->heap.nodes[i], struct entry, in_expiring);
        CHECK(e->is_expiring && e->queue == q && x->heap.nodes[i]->key == key_of(q, e));
        CHECK(e->state == ENTRY_READY || e->state == ENTRY_RETURNED);
    }
    CHECK(!x->is_fetching || q->cold.is_loading);
    if (x->cold != NULL)
        schedule_check(x->cold);
    if (b->expires_at_head || q->ready.levels != NULL)
        return;
    const struct entry *e;
    uint64_t latest = 0;
    list_each (e, &q->ready.list, struct entry, in_queue) {
        CHECK(e->is_expiring || e->expires_at >= latest);
        if (!e->is_expiring)
            latest = e->expires_at;
    }
}
