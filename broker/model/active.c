#include "broker/model/active.h"

#include "broker/model/consumer.h"
#include "broker/model/queue.h"

/* Who has waited longest among those of the highest priority takes over. */
void active_choose(struct broker *b, struct queue *q)
{
    struct consumer *c, *best = NULL;
    list_each (c, &q->consumers, struct consumer, in_queue)
        if (best == NULL || c->priority > best->priority)
            best = c;
    q->active = best;
    if (best != NULL && q->retiring == NULL)
        consumer_place(b, best);
}

/* The consumer is new.  On a quorum queue one of higher priority takes over when what the other has out is settled. */
void active_consider(struct queue *q, struct consumer *c)
{
    struct consumer *before = q->active;
    bool displaces = before != NULL && q->options->type == QUEUE_QUORUM && c->priority > before->priority;
    if (before != NULL && !displaces)
        return;
    q->active = c;
    if (!displaces)
        return;
    list_remove(&before->waiting);
    if (q->retiring == NULL && before->out > 0)
        q->retiring = before;
}

void active_retire(struct broker *b, struct consumer *c)
{
    struct queue *q = c->queue;
    q->retiring = NULL;
    if (!q->gone && q->active != NULL && q->active != c && !link_is_linked(&q->active->waiting))
        consumer_place(b, q->active);
}

bool active_may_serve(const struct queue *q, const struct consumer *c)
{
    return !q->options->single_active_consumer || (q->active == c && q->retiring == NULL);
}
