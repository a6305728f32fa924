#include "broker/model/queue_change.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/dedup.h"
#include "broker/model/groups.h"
#include "broker/model/letters.h"
#include "broker/model/policy.h"
#include "broker/model/queue.h"
#include "broker/model/retry.h"

static void complete(const struct broker *b, struct queue_options *o)
{
    if (o->type == QUEUE_QUORUM && !o->has_delivery_limit)
        o->delivery_limit = b->delivery_limit;
}

void queue_set_options(const struct broker *b, struct queue *q, const struct queue_options *options)
{
    struct queue_options all;
    memcpy(&all, options, sizeof all);
    complete(b, &all);
    free(q->own_options);
    /* What differs in padding alone is copied, which does no harm. */
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
    bool is_as_declared = memcmp(&all, q->spec->options, sizeof all) == 0;
    q->own_options = is_as_declared ? NULL : alloc_copy(&all, sizeof all);
    q->options = is_as_declared ? q->spec->options : q->own_options;
}

void queue_set_pace(struct broker *b, struct queue *q)
{
    uint64_t rate = q->options->publish_rate;
    pace_set(b, &q->pace, rate > 0 ? rate : PACE_NONE, PACE_NONE);
}

static void redate(void *arg, struct entry *e)
{
    (void)arg;
    e->expires_at = queue_deadline(e->queue, e->msg);
}

/* A TTL is of all that is there (reference queue-features 2.2): of what is cold when it comes, of what is in the pile
 * when it thaws. */
static void queue_redate(struct broker *b, struct queue *q)
{
    struct entry *e;
    retry_redate(b, q);
    ready_each(&q->ready, redate, NULL);
    list_each (e, &q->out, struct entry, in_queue)
        redate(NULL, e);
}

void queue_change_options(struct broker *b, struct queue *q, const struct queue_options *options)
{
    if (options->deduplicates || options->group_header.len > 0)
        queue_thaw_all(b, q); /* for what is there is more to know from now on */
    bool has_other_ttl = options->message_ttl_ms != q->options->message_ttl_ms;
    queue_set_options(b, q, options);
    if (has_other_ttl) {
        queue_redate(b, q);
        expiring_begin_anew(b, q);
    }
    queue_set_pace(b, q);
    dedup_refit(b, q);
    groups_refit(b, q);
    queue_judge(q);
    wakeup_set(b, &q->lease, UINT64_MAX);
    queue_touch(b, q);
    if (!list_is_empty(&q->out))
        wakeup_set(b, &q->overdue, b->now.ms);
    letters_judge(b, q);
    queue_mark_dirty(b, q);
}

char *queue_refuse_change(const struct queue *q, const struct spec *spec)
{
    const struct queue_options *is = q->spec->options, *to = &spec->options;
    const char *what = NULL, *when = "";
    if (is->type != to->type && (is->type == QUEUE_STREAM || to->type == QUEUE_STREAM)) {
        what = "x-queue-type";
    } else if (is->max_priority != to->max_priority) {
        what = "x-max-priority";
    } else if (is->single_active_consumer != to->single_active_consumer &&
               (q->consumer_count > 0 || q->retiring != NULL)) {
        what = "x-single-active-consumer";
        when = " while it has consumers";
    }
    if (what == NULL)
        return NULL;
    char *name = queue_describe(q);
    char *text = str_format("arg '%s' of %s cannot be changed%s", what, name, when);
    free(name);
    return text;
}

void queue_change_arguments(struct broker *b, struct queue *q, const struct spec *spec)
{
    struct queue_spec *before = q->spec;
    q->spec = queue_spec_create(spec);
    q->spec->durable = before->durable;
    q->spec->exclusive = before->exclusive;
    q->spec->auto_delete = before->auto_delete;
    q->name = q->spec->name;
    policy_apply_to_queue(b, q); /* anew: some are for one type of queue */
    free(before);                /* last: the options were views into it */
}
