#include "broker/model/overdue.h"

#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/port/event.h"

static uint64_t timeout_of(const struct broker *b, const struct queue *q, const struct consumer *c)
{
    uint64_t ms = c != NULL && c->timeout_ms != SPEC_NONE ? c->timeout_ms : q->options->consumer_timeout_ms;
    if (ms == SPEC_NONE)
        ms = b->consumer_timeout_ms;
    return ms == 0 ? SPEC_NONE : ms;
}

static uint32_t out_for_ms(const struct broker *b, const struct entry *e)
{
    return (uint32_t)b->now.ms - e->out_since;
}

void overdue_watch(struct broker *b, struct queue *q, const struct consumer *c)
{
    uint64_t timeout = timeout_of(b, q, c);
    if (timeout != SPEC_NONE && (!heap_has(&q->overdue.node) || b->now.ms + timeout < q->overdue.node.key))
        wakeup_set(b, &q->overdue, b->now.ms + timeout);
}

static void tell_overdue(struct broker *b, const struct queue *q, const struct stream *s, const struct consumer *c,
                         uint64_t timeout_ms)
{
    struct event *e = broker_tell(b, OVERDUE, stream_origin(s));
    e->after = s->after;
    e->overdue.queue = str_copy(q->name);
    e->overdue.timeout_ms = timeout_ms;
    e->overdue.has_consumer = c != NULL;
    if (c != NULL)
        e->overdue.consumer = c->number;
}

/* One delivery was not settled in time: it comes back, and whoever had it is told, once. */
static void take_back(struct broker *b, struct entry *e, uint64_t timeout_ms)
{
    struct consumer *c = e->consumer;
    if (c == NULL) {
        tell_overdue(b, e->queue, e->stream, NULL, timeout_ms);
    } else if (!c->gone) {
        tell_overdue(b, e->queue, e->stream, c, timeout_ms);
        consumer_delete(b, c);
    }
    queue_settle(b, e, REQUEUED);
}

static void on_overdue(struct broker *b, struct wakeup *t)
{
    struct queue *q = item_of(t, struct queue, overdue);
    struct entry *e;
    uint64_t next = UINT64_MAX;
    unsigned n = 0;
    list_each (e, &q->out, struct entry, in_queue) {
        uint64_t timeout = timeout_of(b, q, e->consumer), out_ms = out_for_ms(b, e);
        if (timeout == SPEC_NONE || e->held)
            continue;
        uint64_t due = out_ms >= timeout ? b->now.ms : b->now.ms + timeout - out_ms;
        if (due <= b->now.ms && n++ < OVERDUE_PER_STEP)
            take_back(b, e, timeout);
        else if (due < next)
            next = due;
        if (next <= b->now.ms)
            break;
    }
    wakeup_set(b, &q->overdue, next);
    queue_mark_dirty(b, q);
}

void overdue_init(struct queue *q)
{
    wakeup_init(&q->overdue, on_overdue);
}
