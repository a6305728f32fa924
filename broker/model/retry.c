#include "broker/model/retry.h"

#include "base/check.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"

enum { DOUBLINGS_MAX = 39 }; /* more would be longer than any maximum */

static bool is_delayed(const struct queue_options *o, bool has_failed)
{
    switch ((enum retry_type)o->retry_type) {
    case RETRY_ALL:
        return true;
    case RETRY_FAILED:
        return has_failed;
    case RETRY_RETURNED:
        return !has_failed;
    case RETRY_DISABLED:
        break;
    }
    return false;
}

/* A time is no longer than ten years (amqp/options.h, admin/policy.c), so none of this overflows. */
static uint64_t grown(const struct queue_options *o, unsigned deliveries)
{
    unsigned again = deliveries > 0 ? deliveries - 1 : 0;
    switch ((enum retry_growth)o->retry_growth) {
    case RETRY_LINEAR:
        return o->retry_min_ms * (again + 1);
    case RETRY_EXPONENTIAL:
        return again > DOUBLINGS_MAX || o->retry_min_ms > UINT64_MAX >> again ? UINT64_MAX : o->retry_min_ms << again;
    case RETRY_CONSTANT:
        break;
    }
    return o->retry_min_ms;
}

uint64_t retry_delay(const struct queue_options *o, unsigned deliveries, bool has_failed)
{
    if (o->retry_min_ms == SPEC_NONE || !is_delayed(o, has_failed))
        return 0;
    uint64_t ms = grown(o, deliveries);
    if (ms > o->retry_max_ms) /* SPEC_NONE: any is less */
        ms = o->retry_max_ms;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void watch(struct broker *b, struct queue *q)
{
    const struct heap_node *next = heap_top(&q->waiting);
    wakeup_set(b, &q->retry, next != NULL ? next->key : UINT64_MAX);
}

static struct entry *take_next(struct broker *b, struct queue *q)
{
    struct entry *e = item_of(heap_top(&q->waiting), struct entry, in_returned);
    heap_remove(&q->waiting, &e->in_returned);
    b->totals.messages_waiting--;
    q->tally->waiting--;
    queue_touch_counters(b, q);
    return e;
}

static void on_due(struct broker *b, struct wakeup *t)
{
    struct queue *q = item_of(t, struct queue, retry);
    for (unsigned n = 0; n < EXPIRED_PER_STEP && q->waiting.count > 0 && heap_top(&q->waiting)->key <= b->now.ms; n++)
        queue_readmit(b, q, take_next(b, q));
    watch(b, q);
}

void retry_init(struct queue *q)
{
    heap_init(&q->waiting);
    wakeup_init(&q->retry, on_due);
}

bool retry_takes(struct broker *b, struct queue *q, struct entry *e, bool has_failed)
{
    uint64_t ms = retry_delay(q->options, e->deliveries, has_failed);
    if (ms == 0 || q->gone)
        return false;
    uint64_t due = b->now.ms + ms;
    e->state = ENTRY_WAITING;
    heap_node_init(&e->in_returned);
    heap_add(&q->waiting, &e->in_returned, due < e->expires_at ? due : e->expires_at);
    b->totals.messages_waiting++;
    q->tally->waiting++;
    watch(b, q);
    return true;
}

void retry_redate(struct broker *b, struct queue *q)
{
    for (size_t i = 0; i < q->waiting.count; i++) { /* a node that rises passes none that is still to come */
        struct entry *e = item_of(q->waiting.nodes[i], struct entry, in_returned);
        e->expires_at = queue_deadline(q, e->msg);
        if (e->expires_at < e->in_returned.key)
            heap_set(&q->waiting, &e->in_returned, e->expires_at);
    }
    watch(b, q);
}

uint64_t retry_purge(struct broker *b, struct queue *q)
{
    uint64_t n = 0;
    for (; q->waiting.count > 0; n++)
        entry_end(b, take_next(b, q));
    watch(b, q);
    return n;
}

void retry_check(const struct broker *b, const struct queue *q)
{
    (void)b;
    for (size_t i = 0; i < q->waiting.count; i++) {
        const struct entry *e = item_of(q->waiting.nodes[i], struct entry, in_returned);
        CHECK(e->state == ENTRY_WAITING && e->queue == q && e->deliveries > 0 && e->redelivered);
    }
    CHECK(heap_has(&q->retry.node) == (q->waiting.count > 0));
}
