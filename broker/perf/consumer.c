#define _GNU_SOURCE
#include "broker/perf/consumer.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/perf/die.h"

static void consume(struct link *l, const struct perf_options *o, const char *queue)
{
    link_put(
        l, 1,
        &(struct basic_consume){.id = METHOD_basic_consume, .queue = bytes_of_string(queue), .no_ack = o->acks == 0});
    link_flush(l);
}

/* Waits for so many consume-ok; deliveries that come before the last of them are counted. */
static void await_consumers(struct consumer *c, unsigned n)
{
    struct link *l = &c->link;
    while (n > 0) {
        struct frame f = link_next(l);
        if (f.type == FRAME_METHOD && link_method(&f).id == METHOD_basic_consume_ok)
            n--;
        else /* a frame as it came, head and end included */
            deliveries_take(&c->deliveries, f.payload.at - FRAME_HEAD, f.payload.len + FRAME_OVERHEAD, 0);
    }
}

void consumer_fini(struct consumer *c)
{
    link_fini(&c->link);
    deliveries_fini(&c->deliveries);
}

void consumer_answer(struct consumer *c)
{
    struct deliveries *d = &c->deliveries;
    ssize_t n = link_send(&c->link, d->answers, d->answers_len);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("acknowledging: %s", strerrordesc_np(errno));
    size_t sent = n > 0 ? (size_t)n : 0;
    d->answers_len -= sent;
    memmove(d->answers, d->answers + sent, d->answers_len);
    c->is_stuck = d->answers_len > 0;
}

/* Tells the others how far this consumer is. */
static void publish_counts(struct consumer *c, const struct deliveries *before, size_t received)
{
    struct flow *f = c->flow;
    const struct deliveries *d = &c->deliveries;
    uint64_t one = 1, consumed = flow_read(&f->consumed) + d->count - before->count;
    flow_add(&f->settled, d->settled - before->settled);
    flow_add(&f->redelivered, d->redelivered - before->redelivered);
    flow_add(&f->received, received);
    flow_add(&f->fills, 1);
    if (d->count == before->count)
        return;
    atomic_store(&f->consumed, consumed);
    if (consumed >= f->consume_goal && consumed - (d->count - before->count) < f->consume_goal &&
        write(f->done, &one, sizeof one) < 0)
        die("eventfd: %s", strerrordesc_np(errno));
    if (atomic_load(&f->is_waiting) && flow_room(f) > flow_least_room(f) && atomic_exchange(&f->is_waiting, false) &&
        write(f->progress, &one, sizeof one) < 0)
        die("eventfd: %s", strerrordesc_np(errno));
}

/* What came behind the last answer. */
static void take_rest(struct consumer *c)
{
    const struct deliveries none = {0};
    struct link *l = &c->link;
    l->start += deliveries_take(&c->deliveries, l->in + l->start, l->end - l->start, 0);
    if (c->deliveries.answers_len > 0)
        consumer_answer(c);
    publish_counts(c, &none, 0);
}

void consumer_init(struct consumer *c, struct flow *f, const struct link_to *to, const struct topology *t, unsigned i)
{
    const struct perf_options *o = t->o;
    unsigned n = 0, step = o->consumers < t->queues_count ? o->consumers : t->queues_count;
    *c = (struct consumer){.flow = f, .deliveries = {.acks = o->acks, .has_stamps = o->has_latency, .owner = f->owner}};
    link_init(&c->link, to);
    if (o->prefetch > 0)
        link_call(&c->link, 1, &(struct basic_qos){.id = METHOD_basic_qos, .prefetch_count = (uint16_t)o->prefetch},
                  METHOD_basic_qos_ok);
    for (unsigned q = i % step; q < t->queues_count; q += step) {
        consume(&c->link, o, t->queues[q]);
        n++;
    }
    await_consumers(c, n);
    take_rest(c);
}

/* Skips a part of a body where it is; false: none is to be skipped, or nothing has come. */
static bool discard(struct consumer *c)
{
    struct deliveries *d = &c->deliveries;
    if (c->link.tls != NULL || d->skip < CONSUMER_DISCARD_MIN)
        return false;
    size_t n = link_discard(&c->link, d->skip - 1); /* but for the end octet, which is looked at */
    d->skip -= n;
    flow_add(&c->flow->received, n);
    return n > 0;
}

static size_t most_to_read(const struct consumer *c, size_t left)
{
    bool is_large = c->link.tls == NULL && c->deliveries.body >= CONSUMER_DISCARD_MIN;
    return is_large && left < CONSUMER_DISCARD_READ ? CONSUMER_DISCARD_READ : CONSUMER_ROOM - left;
}

bool consumer_pull(struct consumer *c, uint8_t room[CONSUMER_ROOM])
{
    struct link *l = &c->link;
    struct deliveries *d = &c->deliveries, before = *d;
    size_t left = l->end - l->start;
    bool has_discarded = discard(c);
    memcpy(room, l->in + l->start, left);
    size_t n = link_receive(l, room + left, most_to_read(c, left));
    if (n == 0)
        return has_discarded;
    bool is_measured = c->latency != NULL && atomic_load_explicit(&c->flow->is_measuring, memory_order_relaxed);
    d->latency = is_measured ? c->latency : NULL;
    size_t used = deliveries_take(d, room, left + n, is_measured ? now_ns() : 0);
    l->start = 0;
    l->end = left + n - used;
    link_reserve(l, l->end);
    memcpy(l->in, room + used, l->end);
    if (d->answers_len > 0)
        consumer_answer(c);
    publish_counts(c, &before, n);
    return true;
}
