#define _GNU_SOURCE
#include "broker/perf/producer.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum {
    HEAR_ROOM = 16 << 10,
    STAMPED_ROOM = 32 << 10, /* bytes of one write that carries times: they shall not wait long in a buffer of ours */
    CONFIRM_SIZE = 21,       /* of basic.ack's frame */
};

static void fill_publishes(struct producer *p, const struct topology *t, unsigned i)
{
    const struct perf_options *o = t->o;
    unsigned n = 0, step = o->producers < t->keys_count ? o->producers : t->keys_count;
    const char **keys = alloc_array(NULL, t->keys_count / step + 1, sizeof *keys);
    for (unsigned k = i % step; k < t->keys_count; k += step)
        keys[n++] = t->keys[k];
    size_t room = PUBLISHES_OF_ALL / o->producers;
    publishes_init(&p->publishes,
                   &(struct publishes_of){.exchange = t->exchange,
                                          .keys = keys,
                                          .keys_count = n,
                                          .size = o->size,
                                          .frame_max = p->link.frame_max,
                                          .is_persistent = o->is_persistent,
                                          .is_mandatory = o->is_mandatory},
                   room < PUBLISHES_ROOM ? room : PUBLISHES_ROOM);
    free(keys);
}

void producer_init(struct producer *p, struct flow *f, const struct link_to *to, const struct topology *t, unsigned i)
{
    const struct perf_options *o = t->o;
    *p = (struct producer){.flow = f, .most = o->producer_messages > 0 ? o->producer_messages : UINT64_MAX};
    link_init(&p->link, to);
    link_reserve(&p->link, HEAR_ROOM);
    if (o->window > 0)
        link_call(&p->link, 1, &(struct confirm_select){.id = METHOD_confirm_select}, METHOD_confirm_select_ok);
    window_init(&p->window, o->window, o->has_confirm_latency);
    fill_publishes(p, t, i);
    if (o->rate > 0) {
        p->interval_ns = 1e9 * o->producers / (double)o->rate;
        p->phase_ns = p->interval_ns * i / o->producers;
    }
}

void producer_fini(struct producer *p)
{
    link_fini(&p->link);
    publishes_fini(&p->publishes);
    window_fini(&p->window);
}

/* When publish i, counted from 0, is due. */
static uint64_t due_ns(const struct producer *p, uint64_t i)
{
    return p->flow->begin_ns + (uint64_t)(p->phase_ns + p->interval_ns * (double)i);
}

/* Publishes that are due until now. */
static uint64_t due_count(const struct producer *p, uint64_t now_ns)
{
    double since = (double)now_ns - (double)p->flow->begin_ns - p->phase_ns;
    return since < 0 ? 0 : (uint64_t)(since / p->interval_ns) + 1;
}

/* Publishes that may have gone out by now; a few at a time only if they are the last ones, or have a rate. */
static uint64_t limit(const struct producer *p, uint64_t published, bool has_rate)
{
    uint64_t room = flow_room(p->flow), least = has_rate ? 0 : flow_least_room(p->flow);
    uint64_t most = room > UINT64_MAX - published ? UINT64_MAX : published + room;
    if (p->window.size > 0 && p->window.confirmed + p->window.size < most) {
        most = p->window.confirmed + p->window.size;
        least = has_rate ? 0 : p->window.size / 4;
    }
    if (most >= p->most) {
        most = p->most;
        least = 0;
    }
    return most > published + least ? most : published;
}

static uint64_t may_send(const struct producer *p, uint64_t now_ns)
{
    uint64_t each = p->publishes.each, published = p->sent / each, most = limit(p, published, p->interval_ns > 0);
    if (p->interval_ns > 0) {
        uint64_t due = due_count(p, now_ns);
        most = due < most ? due : most;
    }
    if (most > published + p->publishes.count)
        most = published + p->publishes.count;
    uint64_t until = most * each > p->offered ? most * each : p->offered;
    return until > p->sent ? until - p->sent : 0;
}

uint64_t producer_due(const struct producer *p)
{
    uint64_t published = p->sent / p->publishes.each;
    if (p->interval_ns == 0 || !p->is_writable || limit(p, published, true) <= published)
        return UINT64_MAX;
    return due_ns(p, published);
}

/* The publishes that begin before this byte get their times. */
static void stamp(struct producer *p, uint64_t until, uint64_t now_ns)
{
    const struct perf_options *o = p->flow->o;
    for (; p->stamped * p->publishes.each < until; p->stamped++) {
        uint64_t ns = p->interval_ns > 0 ? due_ns(p, p->stamped) : now_ns;
        if (o->has_latency)
            publishes_stamp(&p->publishes, p->stamped, ns, p->flow->owner);
        window_note_sent(&p->window, p->stamped + 1, ns);
    }
}

static void note_published(struct producer *p, uint64_t n)
{
    struct flow *f = p->flow;
    uint64_t before = p->sent / p->publishes.each;
    p->sent += n;
    flow_add(&f->sends, 1);
    flow_add(&f->sent, n);
    flow_add(&f->published, p->sent / p->publishes.each - before);
}

/* The most bytes of one write if they carry times; not fewer than TLS had already. */
static uint64_t at_once(const struct producer *p)
{
    uint64_t pending = p->offered > p->sent ? p->offered - p->sent : 0;
    uint64_t least = p->publishes.each > pending ? p->publishes.each : pending;
    return least > STAMPED_ROOM ? least : STAMPED_ROOM;
}

bool producer_push(struct producer *p, uint64_t now_ns)
{
    bool has_times = p->flow->o->has_latency || p->window.sent_ns != NULL;
    size_t at = p->sent % p->publishes.len, n = p->publishes.len - at;
    uint64_t may = p->is_writable ? may_send(p, now_ns) : 0;
    if (has_times && may > at_once(p))
        may = at_once(p);
    if (may < n)
        n = (size_t)may;
    if (n == 0)
        return false;
    if (has_times)
        stamp(p, p->sent + n, now_ns);
    if (p->offered < p->sent + n)
        p->offered = p->sent + n;
    ssize_t sent = link_send(&p->link, p->publishes.at + at, n);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        int why = errno;
        producer_hear(p); /* it may have said why */
        die("publishing: %s", strerrordesc_np(why));
    }
    if (sent < (ssize_t)n)
        p->is_writable = false;
    if (p->link.tls == NULL)
        p->offered = 0;
    if (sent <= 0)
        return false;
    note_published(p, (uint64_t)sent);
    return true;
}

static void note_confirm(struct producer *p, uint64_t tag, bool multiple, bool is_ack, uint64_t now_ns)
{
    bool is_measured = atomic_load_explicit(&p->flow->is_measuring, memory_order_relaxed);
    int64_t n = window_note_confirm(&p->window, tag, multiple, now_ns, is_measured ? p->latency : NULL);
    if (n < 0)
        die("a confirm of %llu, which was never published", (unsigned long long)tag);
    flow_add(is_ack ? &p->flow->confirmed : &p->flow->refused, (uint64_t)n);
}

static void take_frame(struct producer *p, const struct frame *f, uint64_t now_ns)
{
    if (f->type != FRAME_METHOD)
        return;
    union method m = link_method(f);
    if (m.id == METHOD_basic_ack)
        note_confirm(p, m.basic_ack.delivery_tag, m.basic_ack.multiple, true, now_ns);
    else if (m.id == METHOD_basic_nack)
        note_confirm(p, m.basic_nack.delivery_tag, m.basic_nack.multiple, false, now_ns);
    else if (m.id == METHOD_basic_return)
        flow_add(&p->flow->returned, 1);
    else if (m.id == METHOD_connection_blocked)
        flow_add(&p->flow->blocked, 1);
}

/* The confirms at the front of the buffer, which are nearly all that ever comes. */
static void take_confirms(struct producer *p, uint64_t now_ns)
{
    static const uint8_t head[] = {FRAME_METHOD, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80};
    struct link *l = &p->link;
    while (l->end - l->start >= CONFIRM_SIZE && memcmp(l->in + l->start, head, sizeof head) == 0) {
        struct cursor c = cursor_over(bytes_of(l->in + l->start + sizeof head, CONFIRM_SIZE - sizeof head));
        uint64_t tag = cursor_u64(&c);
        bool multiple = cursor_u8(&c) != 0;
        if (cursor_u8(&c) != FRAME_END)
            die("the broker sent a frame that does not end");
        l->start += CONFIRM_SIZE;
        note_confirm(p, tag, multiple, true, now_ns);
    }
}

void producer_hear(struct producer *p)
{
    struct frame f;
    uint64_t before = p->link.received;
    bool has_more = true;
    while (has_more) {
        size_t room = p->link.in_room - (p->link.start == p->link.end ? 0 : p->link.end);
        size_t n = link_fill(&p->link, MSG_DONTWAIT);
        uint64_t now = p->latency != NULL ? now_ns() : 0;
        do
            take_confirms(p, now);
        while (link_cut(&p->link, &f) && (take_frame(p, &f, now), true));
        has_more = n > 0 && (n >= room || link_is_pending(&p->link));
    }
    p->is_readable = false;
    flow_add(&p->flow->heard, p->link.received - before);
}

void producer_settle(struct producer *p)
{
    link_call(&p->link, 1, &(struct basic_qos){.id = METHOD_basic_qos}, METHOD_basic_qos_ok);
}
