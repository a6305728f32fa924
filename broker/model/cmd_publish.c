#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/commands.h"
#include "broker/model/exchange.h"
#include "broker/model/handover.h"
#include "broker/model/outlet.h"
#include "broker/model/pace.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/rights.h"
#include "broker/model/route.h"
#include "broker/model/route_recent.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/trace.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

/* The queues that a message goes to: borrowed, valid until the topology changes. */
struct targets {
    struct exchange *exchange; /* borrowed */
    struct queue **queues;
    size_t n;
    bool is_walked;                 /* just now: the exchanges on its way have the walk's stamp */
    const struct dedup_round *keys; /* borrowed: what exchanges on the way have said; NULL: nothing */
};

/* Equal bytes; most names are so short that asking the library costs more than the answer. */
static inline bool names_are_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t x, y;
    if (n < sizeof x)
        return memcmp(a, b, n) == 0;
    for (size_t i = 0; i + sizeof x <= n; i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y)
            return false;
    }
    memcpy(&x, a + n - sizeof x, sizeof x);
    memcpy(&y, b + n - sizeof y, sizeof y);
    return x == y;
}

static inline bool route_is_remembered(const struct broker *b, const struct remembered_route *r,
                                       const struct message *m)
{
    return r != NULL && r->version == b->topology_version && message_extra_keys_len(m) == 0 &&
           (m->flags & MESSAGE_HAS_DEAD_LETTER) == 0 && r->exchange_len == m->exchange_len &&
           r->key_len == m->key_len && names_are_equal(r->names, m->data, (size_t)m->exchange_len + m->key_len);
}

/* Whatever goes over a remembered route counts on that. */
static void touch_route(struct broker *b, struct stream *s, struct exchange *x, const struct route *route)
{
    statistics_begin_publishing(b, s);
    stream_touch_counters(b, s);
    exchange_counters(b, x);
    for (size_t i = 0; i < route->n; i++)
        queue_touch_counters(b, route->queues[i]);
}

static void remember_route(struct broker *b, struct stream *s, const struct message *m, struct exchange *x,
                           const struct route *route)
{
    if (route->is_fleeting || message_extra_keys_len(m) > 0)
        return;
    if (s->route == NULL)
        s->route = alloc_zeroed(sizeof *s->route);
    struct remembered_route *r = s->route;
    if (r->capacity < route->n) {
        r->capacity = alloc_grown(r->capacity, route->n);
        r->queues = alloc_array(r->queues, r->capacity, sizeof(struct queue *));
    }
    if (route->n > 0)
        memcpy(r->queues, route->queues, route->n * sizeof(struct queue *));
    r->n = route->n;
    r->exchange = x;
    r->exchange_len = m->exchange_len;
    r->key_len = m->key_len;
    memcpy(r->names, m->data, (size_t)m->exchange_len + m->key_len);
    r->version = b->topology_version;
    touch_route(b, s, x, route);
}

/* Some may publish in another user's name. */
static void lift_objection(struct command *c, const struct stream *s)
{
    if (!c->publish.impersonates || !s->outlet->access->user->impersonates)
        return;
    free(c->publish.objection);
    c->publish.objection = NULL;
}

/* What the session found wrong; the right to the keys is asked for before a name that is not the user's own is held
 * against it, and after all else (reference amqp-protocol 4.7). */
static bool content_is_fine(struct broker *b, struct command *c, struct stream *s, const struct exchange *x)
{
    bool is_content = c->publish.objection != NULL && !c->publish.impersonates;
    if (!is_content && (!rights_permit_keys(b, c, s, x) || !rights_permit_dead_letter(b, c, s)))
        return false;
    if (c->publish.objection == NULL)
        return true;
    broker_fail(b, c, OBJECTION, c->publish.objection);
    c->publish.objection = NULL;
    return false;
}

/* The exchange, if a client may publish to it; else NULL, and the command has failed. */
static struct exchange *publish_exchange(struct broker *b, struct command *c, struct stream *s)
{
    const struct vhost *v = s->outlet->vhost;
    struct bytes name = message_exchange(c->publish.msg);
    if (!rights_permit_publish(b, c, s))
        return NULL;
    lift_objection(c, s);
    struct exchange *x = name.len == 0 ? v->default_exchange : vhost_find_exchange(b, v, name);
    if (x == NULL) {
        broker_fail(b, c, NO_SUCH_EXCHANGE,
                    str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(name), BYTES_ARG(v->name)));
    } else if (x->spec->internal) {
        char *described = exchange_describe(x);
        broker_fail(b, c, DENIED, str_format("cannot publish to internal %s", described));
        free(described);
        x = NULL;
    } else if (!content_is_fine(b, c, s, x)) {
        x = NULL;
    }
    return x;
}

static bool find_targets(struct broker *b, struct command *c, struct stream *s, struct targets *out)
{
    struct message *m = c->publish.msg;
    if (c->publish.objection == NULL && !observer_is_on(b) && route_is_remembered(b, s->route, m)) {
        *out = (struct targets){.exchange = s->route->exchange, .queues = s->route->queues, .n = s->route->n};
        return true;
    }
    struct exchange *x = publish_exchange(b, c, s);
    if (x == NULL)
        return false;
    struct routing routing = {.key = message_key(m), .extra_keys = message_extra_keys(m), .msg = m};
    routing.is_held = c->publish.hold;
    const struct route *route = route_message(b, x, &routing);
    remember_route(b, s, m, x, route);
    *out = (struct targets){
        .exchange = x, .queues = route->queues, .n = route->n, .is_walked = true, .keys = &b->dedup.round};
    return true;
}

/* Puts the message into all its queues.  Takes the reference.  False: one of them refused it. */
static bool enqueue(struct broker *b, const struct stream *s, struct message *m, const struct targets *to)
{
    bool taken = true, is_some = to->n > 0;
    bool is_tx = dedup_begin(b, to->keys, to->queues, to->n);
    if (trace_is_on(s->outlet->vhost))
        trace_published(b, s, m, to->queues, to->n);
    if (observer_is_on(b))
        observer_published(b, s, m, to->queues, to->n, to->is_walked);
    remember_begin(b, m);
    for (size_t i = 0; i + 1 < to->n; i++)
        taken &= queue_publish(b, to->queues[i], message_ref(m));
    if (to->n > 0)
        taken &= queue_publish(b, to->queues[to->n - 1], m);
    else
        message_unref(m);
    dedup_end(b, to->keys, taken && is_some, is_tx);
    return taken;
}

/* Would it be more than the virtual host may hold? */
static bool quota_is_exceeded(const struct message *m, const struct targets *to)
{
    const struct vhost *v = to->n > 0 ? to->queues[0]->vhost : NULL;
    return v != NULL && v->queue_bytes_max != LIMIT_NONE && v->queue_bytes + to->n * m->body_size > v->queue_bytes_max;
}

/* Its confirm comes behind it. */
static void tell_returned(struct broker *b, struct origin to, const struct stream *s, struct message *m)
{
    if (observer_is_on(b))
        observer_returned(b, s, m);
    broker_tell(b, RETURNED, to)->delivered.msg = message_ref(m);
    b->confirming = SIZE_MAX;
}

/* It has gone nowhere, and is no duplicate. */
static void count_unroutable(struct broker *b, struct stream *s, bool is_mandatory)
{
    enum sample_counter counter = is_mandatory ? COUNT_RETURN_UNROUTABLE : COUNT_DROP_UNROUTABLE;
    stream_counters(b, s)[counter]++;
    client_counters(s)[counter]++;
}

/* Routes and enqueues.  False: a queue refused it. */
static bool publish(struct broker *b, struct command *c, struct stream *s, const struct targets *to)
{
    struct message *m = c->publish.msg;
    bool is_unroutable = to->n == 0 && !(to->keys != NULL && to->keys->is_duplicate);
    statistics_publish(b, s, to->exchange, m, statistics_copies(to->queues, to->n));
    if (is_unroutable)
        count_unroutable(b, s, c->publish.mandatory);
    if (quota_is_exceeded(m, to)) {
        remember_begin(b, m);
        message_unref(m);
        return false;
    }
    if (is_unroutable && c->publish.mandatory)
        tell_returned(b, c->from, s, m);
    return enqueue(b, s, m, to);
}

/* The last event of this step that answers for publishes, if the next one of the same stream can be told with it. */
static struct event *confirm_to_join(struct broker *b, const struct command *c, enum happening what)
{
    struct event *e = b->confirming < b->effects->n ? &b->effects->events[b->confirming] : NULL;
    if (e == NULL || e->what != what || e->cookie + e->confirmed.more + 1 != c->cookie ||
        e->to.stream != c->from.stream || e->to.outlet.slot != c->from.outlet.slot ||
        e->to.outlet.generation != c->from.outlet.generation)
        return NULL;
    return (e->after > 0) == (b->publishing.after > 0) ? e : NULL;
}

/* Publishes that follow each other are answered together, when the last of them is safe: they are in the same step, and
 * so in the same group of the journal. */
static void tell_confirm(struct broker *b, const struct command *c, struct stream *s, bool taken)
{
    enum happening what = taken ? CONFIRMED : REFUSED;
    struct event *e = confirm_to_join(b, c, what);
    if (e != NULL) {
        e->confirmed.more++;
    } else {
        b->confirming = b->effects->n;
        e = broker_tell(b, what, c->from);
        e->cookie = c->cookie;
    }
    remember_confirm(b, e, s);
}

void command_publish(struct broker *b, struct command *c, struct stream *s)
{
    struct targets to;
    publish_run_end(b);
    s->confirms |= c->publish.confirm;
    s->is_transactional |= c->publish.hold;
    bool fine = find_targets(b, c, s, &to);
    if (fine && c->publish.hold && !stream_hold(s, to.queues, to.n))
        broker_fail(b, c, TOO_MUCH, str_copy(BYTES("the transaction goes to too many queues")));
    if (!fine || c->publish.hold) {
        command_drop(c);
        return;
    }
    bool confirm = c->publish.confirm;
    if (b->paces > 0)
        pace_publish(b, s->outlet, c->publish.msg, to.queues, to.n);
    bool taken = publish(b, c, s, &to);
    if (!confirm)
        return;
    if (taken) {
        stream_counters(b, s)[COUNT_CONFIRM]++;
        client_counters(s)[COUNT_CONFIRM]++;
    } else {
        s->outlet->vhost->tallies.refused++;
    }
    tell_confirm(b, c, s, taken);
}

/* Is there nothing to do for a publish but to put it into its queues?  No rate, key, trace or quota is looked at. */
static inline bool is_usual(const struct broker *b, const struct vhost *v)
{
    return (b->paces | b->dedup.exchanges | b->dedup.queues | b->observers.n) == 0 && !b->takes_detours &&
           !v->is_traced && v->queue_bytes_max == LIMIT_NONE;
}

bool command_publish_again(struct broker *b, struct command *c, struct stream *s, bool *is_left)
{
    struct message *m = c->publish.msg;
    const struct remembered_route *r = s->route;
    if (c->publish.objection != NULL || c->publish.hold || !route_is_remembered(b, r, m) || r->n == 0 ||
        !is_usual(b, s->outlet->vhost))
        return false;
    bool taken = true, has_stayed = false;
    publish_run_add(b, s, m->body_size);
    remember_begin(b, m);
    m->arrived_ms = (int64_t)b->now.ms;
    if (r->n > 1)
        message_ref_many(m, (unsigned)r->n - 1);
    for (size_t i = 0; i < r->n; i++) {
        if (handover_unobserved(b, r->queues[i], m)) /* is_usual() has looked */
            continue;
        if (!has_stayed)
            b->actor = s->outlet->access->user;
        has_stayed = true;
        taken &= r->queues[i]->kind->publish(b, r->queues[i], m);
    }
    *is_left = has_stayed;
    if (!c->publish.confirm)
        return true;
    s->confirms = true;
    b->statistics.run.confirmed += taken;
    b->statistics.run.refused += !taken;
    tell_confirm(b, c, s, taken);
    return true;
}

/* What its exchange knows of a message that is committed. */
static const struct dedup_round *look_at_key(struct broker *b, const struct stream *s, const struct message *m)
{
    const struct vhost *v = s->outlet->vhost;
    struct exchange *x = b->dedup.exchanges > 0 ? vhost_find_exchange(b, v, message_exchange(m)) : NULL;
    if (x == NULL || x->dedup == NULL)
        return NULL;
    dedup_round_begin(&b->dedup.round);
    dedup_visit(b, x->dedup, m);
    return &b->dedup.round;
}

/* A publish of a transaction was checked and routed when it came: *at is where its queues stand among the held ones.
 * Those that have gone since take nothing. */
static bool commit_publish(struct broker *b, struct command *c, struct stream *s, size_t *at)
{
    struct message *m = c->publish.msg;
    struct targets to = {.queues = &s->held.queues[*at]};
    size_t n = 0;
    for (; *at < s->held.n && s->held.queues[*at] != NULL; ++*at) {
        struct queue *q = s->held.queues[*at];
        if (q->gone)
            queue_bury(b, q);
        else
            to.queues[to.n++] = q;
        n++;
    }
    ++*at;
    c->publish.msg = NULL;
    to.keys = look_at_key(b, s, m);
    if (to.keys != NULL && to.keys->is_duplicate) {
        for (size_t i = 0; i < to.n; i++)
            queue_bury(b, to.queues[i]);
        message_unref(m);
        return true;
    }
    if (b->paces > 0)
        pace_publish(b, s->outlet, m, to.queues, to.n);
    if (n == 0)
        count_unroutable(b, s, c->publish.mandatory);
    if (n == 0 && c->publish.mandatory && observer_is_on(b))
        observer_returned(b, s, m);
    if (n == 0 && c->publish.mandatory)
        broker_tell(b, RETURNED, c->from)->delivered.msg = message_ref(m);
    bool taken = !quota_is_exceeded(m, &to);
    struct exchange *x = vhost_find_exchange(b, s->outlet->vhost, message_exchange(m));
    statistics_publish(b, s, x, m, statistics_copies(to.queues, to.n));
    if (taken && x != NULL)
        recent_commit(b, x, m);
    if (taken)
        taken = enqueue(b, s, m, &to);
    else
        message_unref(m);
    for (size_t i = 0; i < to.n; i++)
        queue_bury(b, to.queues[i]);
    return taken;
}

/* Answers a COMMIT.  What follows from it belongs to the transaction, and ends with its own record; the answer comes
 * before that, but waits for it. */
static void commit_answer(struct broker *b, struct command *c, bool taken)
{
    size_t answer = b->effects->n;
    if (taken)
        broker_done(b, c, NULL);
    else
        broker_fail(b, c, TX_REFUSED, str_copy(BYTES("partial tx completion")));
    if (!b->records)
        return;
    broker_finish(b);
    b->effects->events[answer].nothing_published = !remember_tx_publishes(b);
    b->changed = remember_tx_end(b);
    remember_answer(b, &b->effects->events[answer]);
}

void command_commit(struct broker *b, struct command *c, struct stream *s)
{
    struct tx *tx = c->tx;
    bool taken = true;
    size_t held = 0;
    remember_tx_begin(b);
    for (size_t i = 0; i < tx->n; i++)
        if (tx->commands[i].verb == PUBLISH && held < s->held.n)
            taken &= commit_publish(b, &tx->commands[i], s, &held);
    for (size_t i = 0; i < held; i++)
        s->held.queues[i] = NULL; /* each let go of its queues */
    stream_release_held(b, s);
    for (size_t i = 0; i < tx->n; i++)
        if (tx->commands[i].verb == SETTLE)
            command_settle(b, &tx->commands[i], s);
    tx_destroy(tx);
    commit_answer(b, c, taken);
}

void command_rollback(struct broker *b, struct command *c, struct stream *s)
{
    stream_release_held(b, s);
    stream_unhold(s);
    broker_done(b, c, NULL);
}
