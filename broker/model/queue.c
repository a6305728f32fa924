#include "broker/model/queue.h"
#include "broker/model/queue_change.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/active.h"
#include "broker/model/consumer.h"
#include "broker/model/exchange.h"
#include "broker/model/groups.h"
#include "broker/model/handover.h"
#include "broker/model/letters.h"
#include "broker/model/log.h"
#include "broker/model/notice.h"
#include "broker/model/outlet.h"
#include "broker/model/overdue.h"
#include "broker/model/parameter.h"
#include "broker/model/parked.h"
#include "broker/model/policy.h"
#include "broker/model/queue_stream.h"
#include "broker/model/remember.h"
#include "broker/model/retry.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"

/* unused_since of a queue that was restored: nobody could have used it yet. */
#define LEASE_NOT_BEGUN UINT64_MAX

static void on_expiry(struct broker *b, struct wakeup *t)
{
    queue_mark_dirty(b, item_of(t, struct queue, expiry));
}

static void on_lease(struct broker *b, struct wakeup *t)
{
    struct queue *q = item_of(t, struct queue, lease);
    if (q->consumer_count > 0)
        return;
    if (q->unused_since == LEASE_NOT_BEGUN)
        q->unused_since = b->now.ms;
    uint64_t end = q->unused_since + q->options->expires_ms;
    if (b->now.ms < end)
        wakeup_set(b, &q->lease, end);
    else
        queue_delete(b, q);
}

struct queue *queue_create(struct broker *b, struct vhost *v, const struct spec *spec, struct outlet *owner,
                           uint64_t id)
{
    struct queue *q = alloc_zeroed(sizeof *q);
    q->id = id;
    q->vhost = v;
    vhost_pin(v);
    q->spec = queue_spec_create(spec);
    q->spec->durable = spec->durable && owner == NULL; /* an exclusive queue never survives */
    q->name = q->spec->name;
    q->owner = owner;
    link_init(&q->in_owner);
    if (owner != NULL)
        list_append(&owner->exclusive_queues, &q->in_owner);
    link_init(&q->dirty);
    list_init(&q->bindings);
    pace_init(&q->pace);
    ready_init(&q->ready, spec->options.max_priority);
    retry_init(q);
    expiring_init(&q->expiring);
    list_init(&q->out);
    list_init(&q->consumers);
    list_init(&q->ring);
    list_init(&q->parked);
    cold_init(&q->cold);
    wakeup_init(&q->expiry, on_expiry);
    wakeup_init(&q->lease, on_lease);
    overdue_init(q);
    queue_set_options(b, q, q->spec->options);
    q->tally = spec->hidden || spec->is_reply ? &b->statistics.unlisted_tally : &v->tallies.types[q->options->type];
    link_init(&q->in_letters);
    q->kind = q->options->type == QUEUE_STREAM ? &queue_stream : &queue_ordinary;
    if (q->kind == &queue_stream)
        q->log = log_create(b, q);
    q->dedup = dedup_create_for_queue(b, q);
    q->groups = groups_create(b, q);
    if (!spec->is_reply && !spec->hidden && policy_are_any(v))
        policy_apply_to_queue(b, q);
    queue_set_pace(b, q);
    queue_judge(q);
    if (!spec->hidden)
        map_add(spec->is_reply ? &v->replies : &v->queues, &q->in_vhost, hash_bytes(q->name, b->hash_seed));
    if (!spec->is_reply) {
        map_add(&b->queues_by_id, &q->in_ids, hash_mix(id, 0));
        b->totals.queues += !spec->hidden;
        b->statistics.queues_created += !spec->hidden && b->effects != NULL;
    }
    b->topology_version += !spec->hidden;
    if (!spec->is_reply && !spec->hidden && notice_is_on(b))
        notice_queue(b, q, true);
    queue_touch(b, q);
    return q;
}

struct queue *queue_find_by_id(const struct broker *b, uint64_t id)
{
    for (struct map_node *n = map_first(&b->queues_by_id, hash_mix(id, 0)); n != NULL; n = map_next(n)) {
        struct queue *q = item_of(n, struct queue, in_ids);
        if (q->id == id)
            return q;
    }
    return NULL;
}

bool queue_is_plain(const struct queue *q)
{
    return q->kind == &queue_ordinary && q->groups == NULL && q->dedup == NULL && !q->is_paused && !q->gone &&
           q->returners == 0 && q->options->overflow == OVERFLOW_DROP_HEAD && !q->options->single_active_consumer;
}

char *queue_describe(const struct queue *q)
{
    return str_format("queue '%.*s' in vhost '%.*s'", BYTES_ARG(q->name), BYTES_ARG(q->vhost->name));
}

/* ---- Coming, going out, coming back. */

bool queue_publish(struct broker *b, struct queue *q, struct message *msg)
{
    msg->arrived_ms = (int64_t)b->now.ms;
    queue_touch_counters(b, q);
    if (handover(b, q, msg))
        return true;
    return q->kind->publish(b, q, msg);
}

uint64_t queue_told_returns(const struct queue *q, const struct entry *e)
{
    bool tells = q->options->type == QUEUE_QUORUM || q->options->has_delivery_limit;
    return tells ? e->deliveries : 0;
}

/* Inlined, whatever the compiler thinks of its size: it is most of what a delivery costs. */
static inline __attribute__((always_inline)) ticket send_out(struct broker *b, struct entry *e, struct consumer *c,
                                                             struct stream *s)
{
    ticket t;
    struct queue *q = e->queue;
    e->state = ENTRY_OUT;
    e->consumer = c;
    e->stream = s;
    e->out_since = (uint32_t)b->now.ms;
    overdue_watch(b, q, c);
    if (q->groups != NULL)
        groups_send(b, q, e->msg, c);
    remember_entry(b, RECORD_DELIVER, e);
    t.slot = e->ticket_slot = slots_take(&b->tickets, e, &t.generation);
    list_append(&q->out, &e->in_queue);
    list_append(&s->out, &e->in_stream);
    s->out_count++;
    queue_count_sent(q, e->msg);
    if (c != NULL)
        consumer_charge(c);
    return t;
}

ticket queue_send_out(struct broker *b, struct entry *e, struct consumer *c, struct stream *s)
{
    return send_out(b, e, c, s);
}

void queue_hand_out(struct broker *b, struct queue *q, struct consumer *c, struct message *msg)
{
    struct stream *s = c->stream;
    struct entry *e = entry_create(b, q, msg);
    e->position = q->next_position++;
    e->expires_at = queue_deadline(q, msg);
    if (b->records && remember_is_durable(q, msg)) {
        remember_place(b, q, e->position, queue_ttl_left(b, e->expires_at));
        e->stored = true;
        queue_count_stored(q, msg);
    }
    struct event *ev = broker_tell(b, DELIVERED, stream_origin(s));
    ev->after = s->after;
    ev->delivered.msg = message_ref(msg);
    ev->delivered.consumer = c->number;
    c->outlet->window -= (int64_t)message_window_cost(msg);
    ev->delivered.ticket = send_out(b, e, c, s);
    q->handed_out++;
    q->tally->handed_out++;
    stream_touch_counters(b, s);
    s->handed_out++;
    if (c->waiting.next != c->waiting.prev)
        consumer_end_turn(c);
}

static inline void queue_end_out(struct broker *b, struct entry *e)
{
    CHECK(e->state == ENTRY_OUT);
    list_remove(&e->in_queue);
    list_remove(&e->in_stream);
    e->stream->out_count--;
    slots_give(&b->tickets, e->ticket_slot);
    queue_count_returned(e->queue, e->msg);
    if (e->queue->groups != NULL)
        groups_settle(b, e->queue, e->msg);
    if (e->consumer != NULL)
        consumer_release(b, e->consumer);
    e->consumer = NULL;
    e->stream = NULL;
    e->held = false;
}

/* An entry that was out comes back; or has come back once too often. */
static void queue_return(struct broker *b, struct entry *e, bool has_failed)
{
    struct queue *q = e->queue;
    e->redelivered = true;
    if (e->deliveries < UINT16_MAX)
        e->deliveries++;
    if (e->deliveries > q->options->delivery_limit) {
        queue_die(b, e, DEATH_DELIVERY_LIMIT);
        return;
    }
    remember_entry(b, RECORD_RETURN, e);
    if (!retry_takes(b, q, e, has_failed))
        queue_readmit(b, q, e);
}

void queue_settle(struct broker *b, struct entry *e, enum outcome outcome)
{
    struct queue *q = e->queue;
    if (observer_is_on(b) && !q->gone)
        observer_settled(b, e, outcome);
    if (outcome == ACCEPTED && q->is_plain && q->cold.count == 0) { /* as below, which looks for all that it has not */
        queue_end_out(b, e);
        remember_entry(b, RECORD_SETTLE, e);
        entry_discard(b, e);
        return;
    }
    queue_touch_counters(b, q);
    if (q->log != NULL)
        queue_stream_settled(b, e);
    queue_end_out(b, e);
    if (q->log != NULL) { /* it was a receipt: whatever becomes of it, the message stays */
        outcome = ACCEPTED;
        b->totals.messages_read--;
        q->tally->read--;
    } else if (q->cold.count > 0) {
        cold_look_again(b, q);
    }
    switch (outcome) {
    case ACCEPTED:
        entry_end(b, e);
        break;
    case REQUEUED:
    case HANDED_BACK:
        queue_return(b, e, outcome == REQUEUED);
        break;
    case REJECTED:
        queue_die(b, e, DEATH_REJECTED);
        break;
    case HELD:
        CHECK(outcome != HELD); /* see command_settle() */
        break;
    }
}

uint64_t queue_purge(struct broker *b, struct queue *q)
{
    uint64_t count = q->kind->purge(b, q);
    if (count > 0 && observer_is_on(b))
        observer_queue(b, q, "purged", count);
    return count;
}

/* ---- Consumers, leases. */

void queue_set_paused(struct broker *b, struct queue *q, bool is_paused)
{
    q->is_paused = is_paused;
    queue_judge(q);
    if (!is_paused)
        queue_mark_dirty(b, q);
}

void queue_touch(struct broker *b, struct queue *q)
{
    uint64_t expires = q->options->expires_ms;
    q->unused_since = b->now.ms;
    if (expires != SPEC_NONE && q->consumer_count == 0 && !heap_has(&q->lease.node))
        wakeup_set(b, &q->lease, b->now.ms + expires);
}

void queue_begin_lease_later(struct queue *q)
{
    q->unused_since = LEASE_NOT_BEGUN;
}

void queue_add_consumer(struct broker *b, struct queue *q, struct consumer *c)
{
    list_append(&q->consumers, &c->in_queue);
    if (q->consumer_count++ == 0)
        utilisation_begin(&q->utilisation, b->now.ms);
    q->had_consumer = true;
    if (c->exclusive)
        q->exclusive_consumer = c;
    b->totals.consumers += !q->spec->is_reply;
    if (q->options->single_active_consumer)
        active_consider(q, c);
    queue_mark_dirty(b, q);
}

void queue_remove_consumer(struct broker *b, struct queue *q, struct consumer *c)
{
    list_remove(&c->in_queue);
    q->consumer_count--;
    b->totals.consumers -= !q->spec->is_reply;
    if (q->exclusive_consumer == c)
        q->exclusive_consumer = NULL;
    if (q->retiring == c)
        active_retire(b, c);
    if (q->active == c && !q->gone)
        active_choose(b, q);
    if (q->consumer_count == 0) {
        queue_touch(b, q);
        if (q->spec->auto_delete)
            queue_mark_dirty(b, q);
    }
}

/* ---- The end. */

static void queue_free(struct broker *b, struct queue *q)
{
    CHECK(q->pins == 0 && list_is_empty(&q->out) && list_is_empty(&q->parked));
    ready_fini(&q->ready);
    expiring_fini(&q->expiring);
    groups_destroy(q->groups);
    log_destroy(q->log);
    policy_pair_unref(q->policies);
    heap_fini(&q->waiting);
    vhost_unpin(b, q->vhost);
    free(q->own_options);
    free(q->spec);
    free(q);
}

void queue_delete(struct broker *b, struct queue *q)
{
    struct binding *bd;
    struct consumer *c;
    struct entry *e;
    CHECK(!q->gone);
    if (!q->spec->is_reply && !q->spec->hidden && notice_is_on(b))
        notice_queue(b, q, false);
    q->gone = true;
    queue_judge(q);
    letters_delete(b, q);
    list_each (bd, &q->bindings, struct binding, in_destination)
        binding_delete(b, bd);
    if (q->log != NULL)
        log_forget_parts(b, q);
    remember_queue(b, RECORD_UNDEFINE, q);
    list_each (c, &q->consumers, struct consumer, in_queue)
        consumer_cancel(b, c);
    uint64_t purged = queue_purge(b, q);
    if (observer_is_on(b) && !q->spec->hidden)
        observer_queue(b, q, "deleted", purged + q->out_count);
    list_each (e, &q->out, struct entry, in_queue)
        queue_settle(b, e, ACCEPTED);
    parked_release(b, q);
    list_remove(&q->in_owner);
    list_remove(&q->dirty);
    if (q->is_paused)
        parameter_forget_pause(b, q->vhost->name, q->name);
    dedup_destroy(b, q->dedup);
    q->dedup = NULL;
    pace_fini(b, &q->pace);
    wakeup_set(b, &q->expiry, UINT64_MAX);
    wakeup_set(b, &q->lease, UINT64_MAX);
    wakeup_set(b, &q->overdue, UINT64_MAX);
    if (!q->spec->hidden)
        map_remove(q->spec->is_reply ? &q->vhost->replies : &q->vhost->queues, &q->in_vhost);
    if (!q->spec->is_reply) {
        map_remove(&b->queues_by_id, &q->in_ids);
        b->totals.queues -= !q->spec->hidden;
        b->statistics.queues_deleted += !q->spec->hidden;
    }
    b->topology_version += !q->spec->hidden;
    q->owner = NULL;
    statistics_end(b, &q->counted);
    if (q->pins == 0)
        queue_free(b, q);
}

void queue_pin(struct queue *q)
{
    q->pins++;
}

void queue_bury(struct broker *b, struct queue *q)
{
    CHECK(q->pins > 0);
    if (--q->pins == 0 && q->gone)
        queue_free(b, q);
}

void queue_mark_dirty(struct broker *b, struct queue *q)
{
    if (!link_is_linked(&q->dirty) && !q->gone)
        list_append(&b->dirty, &q->dirty);
}

static bool queue_has_served(const struct broker *b, const struct queue *q)
{
    return q->spec->auto_delete && q->had_consumer && q->consumer_count == 0 && !(b->is_shut_down && q->spec->durable);
}

static void queue_clean(struct broker *b, struct queue *q)
{
    if (queue_has_served(b, q)) {
        queue_delete(b, q);
        return;
    }
    q->kind->clean(b, q);
}

void queue_clean_dirty(struct broker *b)
{
    while (!list_is_empty(&b->dirty)) {
        struct queue *q = item_of(b->dirty.ring.next, struct queue, dirty);
        list_remove(&q->dirty);
        queue_clean(b, q);
    }
}
