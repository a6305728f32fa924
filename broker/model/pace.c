#include "broker/model/pace.h"

#include "broker/model/access.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/message.h"

enum { PART = 1000 }; /* of a token: what a rate of one a second fills in a millisecond */

void pace_init(struct pace *p)
{
    *p = (struct pace){.messages = {.per_s = PACE_NONE}, .bytes = {.per_s = PACE_NONE}};
}

static uint64_t effective(const struct bucket *k)
{
    return k->per_s == 0 ? 1 : k->per_s > PACE_MAX ? PACE_MAX : k->per_s;
}

static int64_t brim(const struct bucket *k)
{
    return (int64_t)(effective(k) * PACE_BURST_MS);
}

static void bucket_fill(struct bucket *k, uint64_t now_ms)
{
    uint64_t rate = effective(k), elapsed = now_ms - k->at_ms;
    uint64_t room = (uint64_t)(brim(k) - k->level);
    k->at_ms = now_ms;
    if (elapsed >= room / rate + 1)
        k->level = brim(k);
    else
        k->level += (int64_t)(elapsed * rate);
    if (k->level > brim(k))
        k->level = brim(k);
}

static void bucket_take(struct bucket *k, uint64_t now_ms, uint64_t n)
{
    if (k->per_s == PACE_NONE)
        return;
    bucket_fill(k, now_ms);
    k->level -= (int64_t)(n < PACE_MAX ? n : PACE_MAX) * PART;
    if (k->level < -PACE_DEBT_MAX)
        k->level = -PACE_DEBT_MAX;
}

static uint64_t bucket_wait_ms(struct bucket *k, uint64_t now_ms)
{
    if (k->per_s == PACE_NONE)
        return 0;
    bucket_fill(k, now_ms);
    return k->level >= 0 ? 0 : ((uint64_t)-k->level + effective(k) - 1) / effective(k);
}

/* How many takes of n tokens it has; PACE_NONE: it is full, or there is none. */
static uint64_t bucket_holds(struct bucket *k, uint64_t now_ms, uint64_t n)
{
    if (k->per_s == PACE_NONE)
        return PACE_NONE;
    bucket_fill(k, now_ms);
    if (k->level == brim(k))
        return PACE_NONE;
    return k->level <= 0 ? 0 : (uint64_t)k->level / PART / (n > 0 ? n : 1);
}

static void bucket_set(struct broker *b, struct bucket *k, uint64_t per_s)
{
    if (k->per_s == per_s)
        return;
    *k = (struct bucket){.per_s = per_s, .at_ms = b->now.ms};
    if (per_s != PACE_NONE)
        k->level = brim(k);
}

void pace_set(struct broker *b, struct pace *p, uint64_t messages_per_s, uint64_t bytes_per_s)
{
    b->paces -= pace_is_set(p);
    bucket_set(b, &p->messages, messages_per_s);
    bucket_set(b, &p->bytes, bytes_per_s);
    b->paces += pace_is_set(p);
}

void pace_fini(struct broker *b, struct pace *p)
{
    pace_set(b, p, PACE_NONE, PACE_NONE);
}

uint64_t pace_wait_ms(struct pace *p, uint64_t now_ms)
{
    uint64_t messages = bucket_wait_ms(&p->messages, now_ms), bytes = bucket_wait_ms(&p->bytes, now_ms);
    return messages > bytes ? messages : bytes;
}

/* ---- Whoever waits. */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t fewer(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many messages like this one a bucket still has. */
static uint64_t pace_holds(struct pace *p, uint64_t now_ms, uint64_t bytes)
{
    return fewer(bucket_holds(&p->messages, now_ms, 1), bucket_holds(&p->bytes, now_ms, bytes));
}

/* What its user and its virtual host owe is looked up each time: others publish too, and limits change. */
static uint64_t outlet_wait_ms(const struct broker *b, struct outlet *o)
{
    uint64_t wait = o->slow.queues_until > b->now.ms ? o->slow.queues_until - b->now.ms : 0;
    wait = later(wait, pace_wait_ms(&o->access->user->pace, b->now.ms));
    return later(wait, pace_wait_ms(&o->vhost->pace, b->now.ms));
}

static void tell(struct broker *b, struct outlet *o, bool is_slowed)
{
    struct event *e = broker_tell(b, SLOWED, (struct origin){.outlet = o->id});
    e->slowed.is_slowed = o->slow.is_slowed = is_slowed;
    if (is_slowed)
        return;
    uint64_t n = fewer(pace_holds(&o->access->user->pace, b->now.ms, o->slow.last_bytes),
                       pace_holds(&o->vhost->pace, b->now.ms, o->slow.last_bytes));
    n = fewer(n, o->slow.queues_hold);
    e->slowed.publishes = n == PACE_NONE ? 0 : n == 0 ? 1 : (uint32_t)fewer(n, PACE_ALLOWED_MAX);
}

/* Lets it go on when nothing is owed, which is now or later. */
static void judge(struct broker *b, struct outlet *o)
{
    uint64_t wait = outlet_wait_ms(b, o);
    wakeup_set(b, &o->slow.end, wait > 0 ? b->now.ms + wait : UINT64_MAX);
    if (wait == 0 || !o->slow.is_slowed)
        tell(b, o, wait > 0);
}

void pace_on_wakeup(struct broker *b, struct wakeup *t)
{
    judge(b, item_of(t, struct outlet, slow.end));
}

void pace_answer(struct broker *b, struct outlet *o)
{
    o->slow.is_slowed = false; /* it waits by itself, and wants to be told whatever it is */
    judge(b, o);
}

static void pace_take(struct pace *p, uint64_t now_ms, const struct message *msg)
{
    bucket_take(&p->messages, now_ms, 1);
    bucket_take(&p->bytes, now_ms, msg->body_size);
}

void pace_publish(struct broker *b, struct outlet *o, const struct message *msg, struct queue *const *queues, size_t n)
{
    uint64_t now_ms = b->now.ms;
    o->slow.last_bytes = msg->body_size;
    o->slow.queues_hold = PACE_NONE;
    pace_take(&o->access->user->pace, now_ms, msg);
    pace_take(&o->vhost->pace, now_ms, msg);
    for (size_t i = 0; i < n; i++) {
        struct queue *q = queues[i];
        if (q->gone || !pace_is_set(&q->pace))
            continue;
        pace_take(&q->pace, now_ms, msg);
        o->slow.queues_until = later(o->slow.queues_until, now_ms + pace_wait_ms(&q->pace, now_ms));
        o->slow.queues_hold = fewer(o->slow.queues_hold, pace_holds(&q->pace, now_ms, msg->body_size));
    }
    if (outlet_wait_ms(b, o) > 0)
        judge(b, o);
}

void pace_look_again(struct broker *b)
{
    for (size_t i = 0; i < b->outlet_count; i++)
        if (b->outlets[i] != NULL && b->outlets[i]->slow.is_slowed)
            judge(b, b->outlets[i]);
}
