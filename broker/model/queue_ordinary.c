#include "broker/model/queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/deadletter.h"
#include "broker/model/discard.h"
#include "broker/model/groups.h"
#include "broker/model/letters.h"
#include "broker/model/parked.h"
#include "broker/model/remember.h"
#include "broker/model/reply.h"
#include "broker/model/retry.h"
#include "broker/model/statistics.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

/* ---- What is ready. */

static void ready_count_add(struct broker *b, struct queue *q, const struct entry *e)
{
    queue_count_ready(b, q, 1);
    queue_add_bytes(q, e->msg->body_size);
    q->cold.warm_cost += message_cost(e->msg);
    if (q->groups != NULL)
        groups_add(b, q, (struct entry *)(uintptr_t)e);
}

/* Up to n of the pile are entries from now on; they are counted already.  A TTL may have come since: it is the same for
 * all of them, so they are overdue in the order in which they lie, and none before the head. */
static void thaw(struct broker *b, struct queue *q, uint64_t n)
{
    struct pile *pile = &q->ready.pile;
    for (; n > 0 && pile->count > 0; n--) {
        struct piled piled = pile_take(pile);
        struct entry *e = entry_create(b, q, piled.msg);
        piled.msg->entries--;
        b->totals.message_bytes -= PILED_COST;
        pile->stored_count -= piled.stored;
        pile->stored_bytes -= piled.stored ? piled.msg->body_size : 0;
        e->position = piled.position;
        e->expires_at = queue_deadline(q, piled.msg);
        e->stored = piled.stored;
        ready_append(&q->ready, e);
        expiring_append(b, q, e);
    }
}

bool queue_thaw(struct broker *b, struct queue *q)
{
    bool has_more = q->ready.pile.count > 0;
    thaw(b, q, PILE_THAW);
    return has_more;
}

void queue_thaw_all(struct broker *b, struct queue *q)
{
    thaw(b, q, UINT64_MAX);
}

/* Is there nothing to know about the message but its place, and enough before it?  Where there is a pile the queue may
 * have become something else since (queue_change_options()). */
static bool pile_takes(const struct broker *b, const struct queue *q, const struct message *msg, uint64_t deadline)
{
    bool has_pile = q->ready.pile.count > 0;
    bool is_alike = deadline == ENTRY_NEVER || (has_pile && message_expiration_ms(msg) == MESSAGE_NO_EXPIRATION);
    return q->ready_count >= PILE_FROM && (q->is_plain || has_pile) && is_alike && q->ready.levels == NULL &&
           q->cold.count == 0 && !list_is_empty(&q->ready.list) && !b->takes_detours;
}

static void queue_pile(struct broker *b, struct queue *q, struct piled piled)
{
    struct pile *pile = &q->ready.pile;
    pile_add(pile, piled);
    pile->stored_count += piled.stored;
    pile->stored_bytes += piled.stored ? piled.msg->body_size : 0;
    entry_hold(b, piled.msg);
    b->totals.message_bytes += PILED_COST;
    queue_count_ready_touched(b, q, 1);
    queue_add_bytes(q, piled.msg->body_size);
    q->cold.warm_cost += message_cost(piled.msg);
}

void queue_append(struct broker *b, struct queue *q, struct entry *e)
{
    queue_thaw_all(b, q);
    ready_append(&q->ready, e);
    ready_count_add(b, q, e);
    expiring_append(b, q, e);
}

void queue_readmit(struct broker *b, struct queue *q, struct entry *e)
{
    ready_return(&q->ready, e);
    ready_count_add(b, q, e);
    expiring_return(b, q, e);
    queue_mark_dirty(b, q);
}

void queue_take_out(struct broker *b, struct queue *q, struct entry *e)
{
    if (q->groups != NULL)
        groups_remove(b, q, e);
    expiring_remove(q, e);
    ready_remove(&q->ready, e);
    if (q->ready.pile.count > 0 && list_is_empty(&q->ready.list))
        thaw(b, q, PILE_THAW);
    queue_count_ready(b, q, UINT64_MAX);
    queue_take_bytes(q, e->msg->body_size);
    q->cold.warm_cost -= message_cost(e->msg);
    if (q->cold.count > 0)
        cold_look(b, q);
    if (q->is_awaited)
        letters_find_room(b, q);
}

void queue_die(struct broker *b, struct entry *e, enum death death)
{
    struct queue *q = e->queue;
    if (observer_is_on(b))
        observer_died(b, e, death);
    if (q->dedup != NULL) /* its own letter may come back here */
        dedup_forget(b, q, e->msg, e->position);
    bool has_exchange = deadletter_has_exchange(q, e->msg);
    statistics_death(q, death, !has_exchange ? DROPPED : letters_must_arrive(q) ? AT_LEAST_ONCE : AT_MOST_ONCE);
    if (!has_exchange) {
        entry_end(b, e);
        return;
    }
    e->state = ENTRY_DYING;
    e->death = death;
    q->pins++;
    list_append(&b->fresh, &e->in_queue);
}

/* Makes sure that somebody looks when something is overdue.  The timer may fire too early, never too late. */
static void queue_watch_head(struct broker *b, struct queue *q)
{
    uint64_t next = expiring_next(b, q);
    if (next == ENTRY_NEVER)
        return;
    if (!heap_has(&q->expiry.node) || next < q->expiry.node.key)
        wakeup_set(b, &q->expiry, next);
}

void queue_expire_cold(struct broker *b, struct queue *q, struct entry *e)
{
    (void)q;
    queue_die(b, e, DEATH_EXPIRED);
}

/* Has the step removed as many messages as it may?  Then the next one goes on here. */
static bool queue_must_pause(struct broker *b, struct queue *q)
{
    if (b->removals_left == 0) {
        wakeup_set(b, &q->expiry, b->now.ms);
        return true;
    }
    b->removals_left--;
    return false;
}

void queue_expire(struct broker *b, struct queue *q)
{
    struct entry *next;
    while ((next = expiring_first(b, q)) != NULL && next->expires_at <= b->now.ms) {
        if (queue_must_pause(b, q))
            return;
        queue_take_out(b, q, next);
        queue_die(b, next, DEATH_EXPIRED);
        q->cold.is_expiring = true;
    }
    if (queue_head(q) != NULL)
        q->cold.is_expiring = false;
    expiring_clean_cold(b, q);
}

bool queue_is_clearing(const struct broker *b, const struct queue *q)
{
    const struct entry *head = queue_head(q);
    return head != NULL && (q->is_shrinking || q->returners > 0 || head->expires_at <= b->now.ms);
}

bool queue_has_head(struct broker *b, struct queue *q)
{
    const struct entry *head = queue_head(q);
    if (head != NULL && head->expires_at <= b->now.ms)
        queue_expire(b, q);
    return queue_head(q) != NULL && !queue_is_clearing(b, q);
}

/* Whoever GETs takes what is in nobody's group. */
static struct entry *queue_take_of_groups(struct broker *b, struct queue *q)
{
    struct entry *e;
    while ((e = groups_pick(q->groups, NULL)) != NULL) {
        queue_take_out(b, q, e);
        if (e->expires_at > b->now.ms)
            break;
        queue_die(b, e, DEATH_EXPIRED);
    }
    return e;
}

struct entry *queue_take(struct broker *b, struct queue *q)
{
    struct entry *head = queue_head(q);
    if (q->groups != NULL)
        return queue_take_of_groups(b, q);
    if (head != NULL && head->expires_at <= b->now.ms) {
        queue_expire(b, q);
        head = queue_head(q);
        if (head != NULL && head->expires_at <= b->now.ms)
            return NULL; /* more are overdue than one step expires */
    }
    if (head != NULL)
        queue_take_out(b, q, head);
    return head;
}

bool queue_is_over(const struct queue *q)
{
    const struct queue_options *o = q->options;
    return q->ready_count > o->max_length || q->ready_bytes > o->max_length_bytes ||
           (q->spec->is_reply && q->cold.warm_cost > REPLY_BACKLOG_COST_MAX);
}

static bool queue_drops_head(const struct queue *q)
{
    return q->options->overflow == OVERFLOW_DROP_HEAD && queue_is_over(q);
}

static void queue_drop_head(struct broker *b, struct queue *q)
{
    struct entry *head;
    bool has_dropped = false;
    while (queue_drops_head(q) && (head = queue_head(q)) != NULL) { /* without a head all is cold: when it has come */
        if (queue_must_pause(b, q)) {
            q->is_shrinking = true;
            return;
        }
        queue_take_out(b, q, head);
        queue_die(b, head, DEATH_MAXLEN);
        has_dropped = true;
    }
    if (has_dropped && b->expires_at_head)
        queue_watch_head(b, q); /* what lay behind may be overdue, or will be */
    if (q->is_shrinking)
        queue_mark_dirty(b, q); /* consumers have waited */
    q->is_shrinking = false;
}

/* Publishers must not be faster than what has to go comes from disk to be dropped. */
static void queue_judge_behind(struct broker *b, struct queue *q)
{
    bool must_go = q->cold.is_expiring || queue_drops_head(q);
    bool is_behind = must_go && q->cold.count > 0 && queue_head(q) == NULL;
    if (is_behind != q->cold.is_behind)
        cold_set_behind(b, q, is_behind);
}

/* Gives out what is ready to those who can take it. */
static void queue_dispatch_groups(struct broker *b, struct queue *q)
{
    struct consumer *c;
    while ((c = consumer_next(b, q)) != NULL || groups_wake(b, q->groups)) {
        struct entry *e = c != NULL ? groups_pick(q->groups, c) : NULL;
        if (c == NULL)
            continue;
        if (e == NULL) {
            groups_wait(q->groups, c);
            continue;
        }
        queue_take_out(b, q, e);
        if (e->expires_at <= b->now.ms)
            queue_die(b, e, DEATH_EXPIRED);
        else
            consumer_deliver(b, c, e);
    }
}

static void queue_dispatch(struct broker *b, struct queue *q)
{
    struct consumer *c;
    if (q->is_paused || q->is_shrinking || q->returners > 0)
        return;
    if (q->groups != NULL) {
        queue_dispatch_groups(b, q);
        return;
    }
    while (q->ready_count > 0 && (c = consumer_next(b, q)) != NULL) {
        struct entry *e = queue_take(b, q);
        if (e == NULL)
            break;
        consumer_deliver(b, c, e);
    }
}

/* ---- Coming. */

bool queue_has_room(const struct queue *q, const struct message *msg)
{
    const struct queue_options *o = q->options;
    if (o->type == QUEUE_STREAM) /* its limits take from its other end */
        return true;
    uint64_t count = q->ready_count + letters_count(q), bytes = q->ready_bytes + letters_bytes(q);
    return count + 1 <= o->max_length && bytes + msg->body_size <= o->max_length_bytes;
}

static bool queue_refuses(const struct queue *q, const struct message *msg)
{
    return q->options->overflow != OVERFLOW_DROP_HEAD && !queue_has_room(q, msg);
}

uint64_t queue_reckon_deadline(const struct queue *q, const struct message *msg)
{
    uint64_t ttl = q->options->message_ttl_ms;
    if (message_expiration_ms(msg) < ttl)
        ttl = message_expiration_ms(msg);
    if (ttl == SPEC_NONE)
        return ENTRY_NEVER;
    if (msg->arrived_ms < 0 && ttl < (uint64_t)-msg->arrived_ms)
        return 0;
    uint64_t end = (uint64_t)msg->arrived_ms + ttl;
    return msg->arrived_ms >= 0 && end < ttl ? ENTRY_NEVER : end;
}

static bool queue_refuse(struct broker *b, struct queue *q, struct message *msg)
{
    struct entry *e = entry_create(b, q, msg);
    if (observer_is_on(b))
        observer_refused(b, q, msg);
    if (q->options->overflow == OVERFLOW_REJECT_PUBLISH_DLX)
        queue_die(b, e, DEATH_MAXLEN);
    else
        entry_destroy(b, e);
    return false;
}

static void queue_publish_cold(struct broker *b, struct queue *q, struct message *msg)
{
    uint64_t deadline = queue_deadline(q, msg);
    queue_count_touched(q, COUNT_PUBLISH, 1);
    expiring_add_cold(b, q, q->next_position, deadline, msg->body_size);
    cold_add(b, q, msg, q->next_position++, queue_ttl_left(b, deadline));
    message_unref(msg);
    if (deadline != ENTRY_NEVER)
        queue_watch_head(b, q);
    if (q->groups != NULL)
        cold_look(b, q); /* somebody may wait for another group */
    if (!link_is_linked(&q->dirty))
        queue_drop_head(b, q);
    queue_judge_behind(b, q);
}

static bool ordinary_publish(struct broker *b, struct queue *q, struct message *msg)
{
    if (q->dedup != NULL && dedup_stops(b, q, msg)) {
        message_unref(msg);
        return true;
    }
    if (queue_refuses(q, msg))
        return queue_refuse(b, q, msg);
    if (q->dedup != NULL)
        dedup_learn(b, q, msg, q->next_position);
    bool may_pass = q->ready_count == 0 && q->groups == NULL && !q->is_paused && q->returners == 0;
    struct consumer *c = may_pass ? consumer_next(b, q) : NULL;
    b->removals_left += c == NULL;
    b->arrivals += c == NULL;
    if (c == NULL && b->records && !q->spec->is_reply && cold_takes(b, q, msg)) {
        queue_publish_cold(b, q, msg);
        return true;
    }
    queue_count_touched(q, COUNT_PUBLISH, 1);
    uint64_t position = q->next_position++, deadline = queue_deadline(q, msg);
    bool is_stored = b->records && (c == NULL || !c->no_ack) && remember_is_durable(q, msg);
    if (is_stored) {
        remember_place(b, q, position, queue_ttl_left(b, deadline));
        queue_count_stored(q, msg);
    }
    if (c == NULL && pile_takes(b, q, msg, deadline)) {
        queue_pile(b, q, (struct piled){.msg = msg, .position = position, .stored = is_stored});
        if (!link_is_linked(&q->dirty))
            queue_drop_head(b, q);
        return true;
    }
    struct entry *e = entry_create(b, q, msg);
    e->position = position;
    e->expires_at = deadline;
    e->stored = is_stored;
    if (c != NULL) {
        consumer_deliver(b, c, e);
        return true;
    }
    queue_append(b, q, e);
    if (e->expires_at <= b->now.ms)
        queue_mark_dirty(b, q);
    else if (e->expires_at != ENTRY_NEVER)
        queue_watch_head(b, q);
    if (!link_is_linked(&q->dirty)) /* else when those who wait have had theirs */
        queue_drop_head(b, q);
    return true;
}

/* ---- The kind. */

/* What was in the queue's pile, and is still counted: of all that is in memory, it is what is left.  Nothing that stays
 * has a position behind its first. */
static void drop_pile(struct broker *b, struct queue *q, struct pile *pile)
{
    if (pile->count == 0)
        return;
    if (pile->stored_count > 0 && !q->gone)
        remember_purge(b, q, pile->first->position + pile->first->from);
    q->stored_count -= pile->stored_count;
    q->stored_bytes -= pile->stored_bytes;
    queue_count_ready(b, q, -pile->count);
    queue_take_bytes(q, q->ready_bytes - q->cold.bytes);
    q->cold.warm_cost = 0;
    discard_take(b, pile);
}

static uint64_t ordinary_purge(struct broker *b, struct queue *q)
{
    uint64_t count = q->ready_count;
    struct pile pile = q->ready.pile;
    struct entry *head;
    pile_init(&q->ready.pile);
    while ((head = ready_head(&q->ready)) != NULL) {
        queue_take_out(b, q, head);
        entry_end(b, head);
    }
    drop_pile(b, q, &pile);
    cold_purge(b, q);
    count += retry_purge(b, q);
    if (q->is_awaited)
        letters_find_room(b, q);
    if (!list_is_empty(&q->parked))
        queue_mark_dirty(b, q);
    return count;
}

static void ordinary_clean(struct broker *b, struct queue *q)
{
    if (!list_is_empty(&q->parked))
        parked_answer(b, q);
    queue_dispatch(b, q);
    queue_expire(b, q);
    queue_drop_head(b, q);
    queue_watch_head(b, q);
    if (q->cold.count > 0)
        cold_look(b, q);
    queue_judge_behind(b, q);
}

static char *ordinary_refuse(const struct queue *q, enum verb verb, const struct spec *spec, uint32_t limit,
                             enum reason *reason)
{
    static const char *const of_streams[] = {"x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"};
    struct field f;
    (void)limit;
    if (verb == GET && q->options->type == QUEUE_QUORUM && q->options->single_active_consumer) {
        *reason = LOCKED;
        char *name = queue_describe(q);
        char *text = str_format("cannot obtain access to locked %s. basic.get operations are not supported by quorum "
                                "queues with single active consumer",
                                name);
        free(name);
        return text;
    }
    for (size_t i = 0; verb == SUBSCRIBE && i < sizeof of_streams / sizeof of_streams[0]; i++) {
        if (!table_find(spec->arguments, bytes_of_string(of_streams[i]), &f))
            continue;
        *reason = BAD_ARGUMENT;
        char *name = queue_describe(q);
        char *text = str_format("invalid arg '%s' for %s of queue type %s", of_streams[i], name,
                                queue_type_module(q->options->type));
        free(name);
        return text;
    }
    return NULL;
}

const struct queue_kind queue_ordinary = {
    .publish = ordinary_publish,
    .clean = ordinary_clean,
    .purge = ordinary_purge,
    .refuse = ordinary_refuse,
};
