#include "broker/model/outlet.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/exchange.h"
#include "broker/model/notice.h"
#include "broker/model/pace.h"
#include "broker/model/parked.h"
#include "broker/model/queue.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

struct outlet *outlet_create(struct broker *b, outlet_id id, struct access *a, const struct spec *facts)
{
    if (id.slot >= b->outlet_count) {
        size_t count = alloc_grown(b->outlet_count, (size_t)id.slot + 1);
        b->outlets = alloc_array(b->outlets, count, sizeof(struct outlet *));
        for (size_t i = b->outlet_count; i < count; i++)
            b->outlets[i] = NULL;
        b->outlet_count = count;
    }
    CHECK(b->outlets[id.slot] == NULL);
    struct outlet *o = alloc_zeroed(sizeof *o);
    o->id = id;
    o->vhost = a->vhost;
    o->access = a;
    o->facts = spec_create(facts);
    o->since_ms = b->now.wall_ms;
    o->window = WINDOW_BYTES;
    wakeup_init(&o->slow.end, pace_on_wakeup);
    list_append(&a->outlets, &o->in_access);
    a->user->connections++;
    a->vhost->connections++;
    list_init(&o->exclusive_queues);
    list_init(&o->stalled);
    b->outlets[id.slot] = o;
    b->totals.outlets++;
    b->statistics.connections_opened += !facts->hidden;
    if (notice_is_on(b) && !facts->hidden)
        notice_connection(b, o, true);
    return o;
}

struct outlet *outlet_find(const struct broker *b, outlet_id id)
{
    struct outlet *o = id.slot < b->outlet_count ? b->outlets[id.slot] : NULL;
    return o != NULL && o->id.generation == id.generation ? o : NULL;
}

struct stream *outlet_stream(struct broker *b, struct outlet *o, uint16_t number)
{
    if (number >= o->stream_count) {
        size_t count = alloc_grown(o->stream_count, (size_t)number + 1);
        o->streams = alloc_array(o->streams, count, sizeof(struct stream *));
        for (size_t i = o->stream_count; i < count; i++)
            o->streams[i] = NULL;
        o->stream_count = count;
    }
    struct stream *s = o->streams[number];
    if (s != NULL)
        return s;
    s = alloc_zeroed(sizeof *s);
    s->outlet = o;
    s->number = number;
    list_init(&s->out);
    list_init(&s->consumers);
    list_init(&s->starved);
    list_init(&s->parked);
    link_init(&s->resumed);
    o->streams[number] = s;
    b->statistics.streams++;
    return s;
}

void stream_requeue(struct broker *b, struct stream *s, bool held_too)
{
    struct entry *e;
    list_each (e, &s->out, struct entry, in_stream)
        if (held_too || !e->held)
            queue_settle(b, e, held_too ? REQUEUED : HANDED_BACK);
}

void stream_unhold(struct stream *s)
{
    struct entry *e;
    list_each (e, &s->out, struct entry, in_stream)
        e->held = false;
}

static void held_add(struct held_routes *h, struct queue *q)
{
    if (h->n == h->capacity) {
        h->capacity = alloc_grown(h->capacity, h->n + 1);
        h->queues = alloc_array(h->queues, h->capacity, sizeof(struct queue *));
    }
    h->queues[h->n++] = q;
}

bool stream_hold(struct stream *s, struct queue **queues, size_t n)
{
    if (s->held.n + n >= HELD_QUEUES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        queue_pin(queues[i]);
        held_add(&s->held, queues[i]);
    }
    held_add(&s->held, NULL);
    return true;
}

void stream_release_held(struct broker *b, struct stream *s)
{
    for (size_t i = 0; i < s->held.n; i++)
        if (s->held.queues[i] != NULL)
            queue_bury(b, s->held.queues[i]);
    free(s->held.queues);
    s->held = (struct held_routes){0};
}

void stream_delete(struct broker *b, struct stream *s)
{
    struct consumer *c;
    publish_run_end(b);
    if (s->has_begun && notice_is_on(b) && !s->outlet->facts->hidden)
        notice_channel(b, s, false);
    parked_drop(s);
    list_each (c, &s->consumers, struct consumer, in_stream)
        consumer_delete(b, c);
    stream_requeue(b, s, true);
    CHECK(list_is_empty(&s->starved) && s->credit_used == 0);
    stream_release_held(b, s);
    s->outlet->streams[s->number] = NULL;
    if (s->stamped > s->outlet->stamped)
        s->outlet->stamped = s->stamped;
    b->statistics.streams--;
    b->statistics.channels_closed += s->has_begun && !s->outlet->facts->hidden;
    b->statistics.publishers -= s->has_published;
    stream_report(b, s, 0, 0, 0);
    b->statistics.credit_limits -= s->credit_limit;
    statistics_end(b, &s->counted);
    if (s->route != NULL)
        free(s->route->queues);
    free(s->route);
    free(s);
}

void stream_report(struct broker *b, struct stream *s, uint32_t unconfirmed, uint32_t uncommitted, uint32_t acks)
{
    struct statistics_state *all = &b->statistics;
    all->unconfirmed += unconfirmed - (uint64_t)s->unconfirmed;
    all->uncommitted += uncommitted - (uint64_t)s->uncommitted;
    all->acks_uncommitted += acks - (uint64_t)s->acks_uncommitted;
    s->unconfirmed = unconfirmed;
    s->uncommitted = uncommitted;
    s->acks_uncommitted = acks;
}

void stream_set_credit(struct broker *b, struct stream *s, uint32_t limit)
{
    b->statistics.credit_limits += limit - (uint64_t)s->credit_limit;
    s->credit_limit = limit;
    if (!stream_is_starved(s))
        consumer_wake_all(b, &s->starved);
}

/* Nobody is given anything any more, what comes back the least. */
static void end_consumers(struct broker *b, struct outlet *o)
{
    struct consumer *c;
    publish_run_end(b);
    for (size_t i = 0; i < o->stream_count; i++)
        if (o->streams[i] != NULL)
            list_each (c, &o->streams[i]->consumers, struct consumer, in_stream)
                consumer_leave(b, c);
}

static void requeue_some(struct broker *b, const struct stream *s)
{
    for (; b->ends_left > 0 && !list_is_empty(&s->out); b->ends_left--)
        queue_settle(b, item_of(s->out.ring.next, struct entry, in_stream), REQUEUED);
}

static bool end_streams(struct broker *b, struct outlet *o)
{
    for (size_t i = 0; i < o->stream_count; i++) {
        struct stream *s = o->streams[i];
        if (s == NULL)
            continue;
        if (s->out_count >= b->ends_left) {
            if (!o->is_ending)
                end_consumers(b, o);
            o->is_ending = true;
            requeue_some(b, s);
            return false;
        }
        b->ends_left -= 1 + (unsigned)s->out_count;
        stream_delete(b, s);
    }
    return true;
}

bool outlet_end(struct broker *b, struct outlet *o)
{
    struct queue *q;
    if (!end_streams(b, o))
        return false;
    list_each (q, &o->exclusive_queues, struct queue, in_owner) {
        if (b->ends_left < OUTLET_QUEUE_ENDS)
            return false;
        b->ends_left -= OUTLET_QUEUE_ENDS;
        queue_delete(b, q);
    }
    return true;
}

void outlet_delete(struct broker *b, struct outlet *o)
{
    struct queue *q;
    for (size_t i = 0; i < o->stream_count; i++)
        if (o->streams[i] != NULL)
            stream_delete(b, o->streams[i]);
    list_each (q, &o->exclusive_queues, struct queue, in_owner)
        queue_delete(b, q);
    exchange_delete_doomed(b);
    if (notice_is_on(b) && !o->facts->hidden)
        notice_connection(b, o, false);
    b->outlets[o->id.slot] = NULL;
    b->totals.outlets--;
    b->statistics.connections_closed += !o->facts->hidden;
    b->statistics.send_pend -= o->send_pend;
    statistics_end(b, &o->counted);
    o->access->user->connections--;
    o->vhost->connections--;
    list_remove(&o->in_access);
    wakeup_set(b, &o->slow.end, UINT64_MAX);
    free(o->facts);
    free(o->streams);
    free(o->consumers);
    free(o);
}

void outlet_expel(struct broker *b, struct outlet *o, const char *why)
{
    struct event *e = broker_tell(b, EXPELLED, (struct origin){.outlet = o->id});
    e->expelled.text = str_copy(bytes_of_string(why));
    outlet_delete(b, o);
}

static uint64_t count_streams(const struct outlet *o)
{
    uint64_t n = 0;
    for (size_t i = 0; i < o->stream_count; i++)
        n += o->streams[i] != NULL;
    return n;
}

static uint64_t count_streams_of(const struct access *a)
{
    const struct outlet *o;
    uint64_t n = 0;
    list_each (o, &a->outlets, struct outlet, in_access)
        n += count_streams(o);
    return n;
}

uint64_t outlet_count_streams(const struct outlet *o)
{
    const struct access *a;
    uint64_t n = 0;
    list_each (a, &o->access->user->accesses, struct access, in_user)
        n += count_streams_of(a);
    return n;
}

void outlet_set_consumer(struct outlet *o, uint32_t number, struct consumer *c)
{
    if (number >= o->consumer_count) {
        size_t count = alloc_grown(o->consumer_count, (size_t)number + 1);
        o->consumers = alloc_array(o->consumers, count, sizeof(struct consumer *));
        for (size_t i = o->consumer_count; i < count; i++)
            o->consumers[i] = NULL;
        o->consumer_count = count;
    }
    o->consumers[number] = c;
}

struct consumer *outlet_find_consumer(const struct outlet *o, uint32_t number)
{
    return number < o->consumer_count ? o->consumers[number] : NULL;
}

void outlet_widen(struct broker *b, struct outlet *o, uint64_t bytes)
{
    o->window += (int64_t)bytes;
    if (o->window > 0)
        consumer_wake_all(b, &o->stalled);
}
