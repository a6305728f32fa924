#include <stdlib.h>

#include "base/str.h"
#include "broker/model/commands.h"
#include "broker/model/exchange.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/queue_type.h"
#include "broker/model/remember.h"
#include "broker/model/reply.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/reply.h"
#include "broker/port/spec.h"

static uint32_t at_most_32(uint64_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static struct event *done_with_counts(struct broker *b, struct command *c, const struct queue *q)
{
    struct event *e = broker_done(b, c, c->spec);
    e->done.messages = at_most_32(q->ready_count);
    e->done.consumers = q->consumer_count;
    return e;
}

/* An exclusive queue is another's, or this declare says otherwise than the first one did. */
static bool exclusivity_is_fine(struct broker *b, struct command *c, struct stream *s, struct queue *q)
{
    struct spec *spec = c->spec;
    struct outlet *owner = q->owner;
    if (!spec->passive && spec->exclusive != (owner != NULL)) {
        struct outlet *nobody = &(struct outlet){0};
        q->owner = nobody; /* locked even to its owner: this declares something else */
        bool fine = resource_unlocked(b, c, s, spec, q);
        q->owner = owner;
        return fine;
    }
    return resource_unlocked(b, c, s, spec, q);
}

static void redeclare(struct broker *b, struct command *c, struct stream *s, struct queue *q)
{
    if (!exclusivity_is_fine(b, c, s, q))
        return;
    char *difference = c->spec->passive ? NULL : queue_type_redeclare(b, q, c->spec);
    if (difference != NULL) {
        resource_fail(b, c, c->spec, DIFFERS, difference);
        return;
    }
    b->statistics.queues_declared += !c->spec->passive;
    queue_touch(b, q);
    b->changed = q->defined; /* maybe by another client, just now */
    done_with_counts(b, c, q);
}

void command_declare_queue(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct vhost *v = s->outlet->vhost;
    struct queue *q = vhost_find_queue(b, v, spec->name);
    if (q == NULL && reply_is_name(spec->name)) {
        reply_declare(b, c, s);
        return;
    }
    if (q != NULL) {
        redeclare(b, c, s, q);
        return;
    }
    if (spec->passive) {
        resource_any_queue(b, c, s, spec);
        return;
    }
    if (spec->objection.len > 0) {
        resource_fail(b, c, spec, OBJECTION, str_copy(spec->objection));
        return;
    }
    char *refusal = queue_type_refuse(b, v, spec);
    if (refusal != NULL) {
        resource_fail(b, c, spec, OBJECTION, refusal);
        return;
    }
    refusal = resource_refuse_queue(v, spec->name);
    if (refusal != NULL) {
        resource_fail(b, c, spec, TOO_MUCH, refusal);
        return;
    }
    struct spec *resolved = queue_type_resolve(b, v, spec);
    q = queue_create(b, v, resolved != NULL ? resolved : spec, spec->exclusive ? s->outlet : NULL, b->next_queue_id++);
    free(resolved);
    b->statistics.queues_declared++;
    remember_queue(b, RECORD_DEFINE, q);
    done_with_counts(b, c, q)->done.is_change = true;
}

void command_delete_queue(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    struct queue *q = vhost_find_queue(b, s->outlet->vhost, spec->name);
    if (q == NULL) {
        broker_done(b, c, spec);
        return;
    }
    if (!resource_unlocked(b, c, s, spec, q))
        return;
    bool asks = q->log == NULL; /* of a stream it does not matter (reference queue-features 7.3) */
    bool not_empty = asks && spec->if_empty && q->ready_count + q->waiting.count + letters_count(q) > 0;
    bool used = asks && spec->if_unused && q->consumer_count > 0;
    if (not_empty || used) {
        char *name = queue_describe(q);
        resource_fail(b, c, spec, not_empty ? NOT_EMPTY : IN_USE,
                      str_format(not_empty ? "%s not empty" : "%s in use", name));
        free(name);
        return;
    }
    size_t answer = b->effects->n;
    done_with_counts(b, c, q)->done.is_change = true; /* the answer comes before the cancels that it causes … */
    queue_delete(b, q);
    exchange_delete_doomed(b);
    if (b->records)
        remember_answer(b, &b->effects->events[answer]); /* … but waits for what was changed */
}

void command_purge_queue(struct broker *b, struct command *c, struct stream *s)
{
    struct queue *q = resource_queue(b, c, s, c->spec);
    if (q == NULL)
        return;
    enum reason reason;
    char *refusal = q->kind->refuse(q, PURGE_QUEUE, c->spec, 0, &reason);
    if (refusal != NULL) {
        resource_fail(b, c, c->spec, reason, refusal);
        return;
    }
    uint64_t before = b->position;
    struct event *answer = done_with_counts(b, c, q);
    answer->done.is_change = true;
    answer->done.messages = at_most_32(queue_purge(b, q)); /* which tells nobody anything */
    if (b->position != before) {
        remember_changed(b);
        remember_answer(b, answer);
    }
}
