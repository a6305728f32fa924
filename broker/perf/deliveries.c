#define _GNU_SOURCE
#include "broker/perf/deliveries.h"

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/options.h"
#include "codec/cursor.h"
#include "codec/frame.h"
#include "codec/method.h"

enum {
    ID_SIZE = 4,        /* of a class and a method */
    HEADER_SIZE_AT = 4, /* in a content header's payload: the body's size */
    HEADER_LEAST = 14,  /* class, weight, size, flags */
    DELIVER_LEAST = ID_SIZE + 1 + 8 + 1 + 1 + 1,
};

void deliveries_fini(struct deliveries *d)
{
    free(d->answers);
    *d = (struct deliveries){0};
}

static void settle(struct deliveries *d)
{
    if (d->answers_room - d->answers_len < DELIVERIES_ACK_SIZE) {
        d->answers_room = alloc_grown(d->answers_room, d->answers_len + DELIVERIES_ACK_SIZE);
        d->answers = alloc_array(d->answers, d->answers_room, 1);
    }
    struct pen p = pen_over(d->answers + d->answers_len, DELIVERIES_ACK_SIZE);
    pen_u8(&p, FRAME_METHOD);
    pen_u16(&p, 1);
    pen_u32(&p, DELIVERIES_ACK_SIZE - FRAME_OVERHEAD);
    pen_u32(&p, METHOD_basic_ack);
    pen_u64(&p, d->tag);
    pen_u8(&p, d->acks > 1); /* multiple */
    pen_u8(&p, FRAME_END);
    d->answers_len += DELIVERIES_ACK_SIZE;
    d->settled += d->unsettled;
    d->unsettled = 0;
}

/* A message is whole. */
static inline void count(struct deliveries *d)
{
    d->count++;
    d->redelivered += d->is_redelivered;
    if (d->acks > 0 && ++d->unsettled >= d->acks)
        settle(d);
}

static void take_other(const uint8_t *payload, size_t n)
{
    struct frame f = {.type = FRAME_METHOD, .channel = 1, .payload = bytes_of(payload, n)};
    if (link_method(&f).id == METHOD_basic_cancel)
        die("the consumer was cancelled");
}

/* A method or a header, whole: payload of n bytes. */
static void take_head(struct deliveries *d, unsigned type, const uint8_t *payload, size_t n)
{
    struct cursor c = cursor_over(bytes_of(payload, n));
    if (type == FRAME_HEADER && n >= HEADER_LEAST) {
        c.at += HEADER_SIZE_AT;
        d->body = d->body_left = cursor_u64(&c);
        d->is_stamp_next = d->has_stamps && d->body_left >= PERF_STAMP_SIZE;
        if (d->body_left == 0)
            count(d);
    } else if (type == FRAME_METHOD && n >= DELIVER_LEAST && cursor_u32(&c) == METHOD_basic_deliver) {
        cursor_shortstr(&c);
        d->tag = cursor_u64(&c);
        d->is_redelivered = cursor_u8(&c) != 0;
    } else if (type == FRAME_METHOD && n >= ID_SIZE) {
        take_other(payload, n);
    } else if (type != FRAME_HEARTBEAT) {
        die("the broker sent a frame that is none, of type %u", type);
    }
}

static void take_stamp(struct deliveries *d, const uint8_t *body, uint64_t now_ns)
{
    struct cursor c = cursor_over(bytes_of(body, PERF_STAMP_SIZE));
    uint64_t sent_ns = cursor_u64(&c);
    d->is_stamp_next = false;
    if (d->latency != NULL && cursor_u64(&c) == d->owner)
        latency_add_since(d->latency, sent_ns, now_ns);
}

/* Goes over what comes of a body's frame; how many bytes that were. */
static size_t skip(struct deliveries *d, const uint8_t *at, size_t n)
{
    size_t step = d->skip < n ? (size_t)d->skip : n;
    d->skip -= step;
    if (d->skip > 0)
        return step;
    if (at[step - 1] != FRAME_END)
        die("the broker sent a frame that does not end");
    if (d->body_left == 0)
        count(d);
    return step;
}

size_t deliveries_take(struct deliveries *d, const uint8_t *at, size_t n, uint64_t now_ns)
{
    size_t used = 0;
    while (used < n) {
        if (d->skip > 0) {
            used += skip(d, at + used, n - used);
            continue;
        }
        if (n - used < FRAME_HEAD)
            break;
        struct cursor c = cursor_over(bytes_of(at + used + 3, 4));
        const uint8_t *payload = at + used + FRAME_HEAD;
        size_t size = cursor_u32(&c), here = n - used - FRAME_HEAD;
        unsigned type = at[used];
        if (type == FRAME_BODY) {
            if (size > d->body_left || (d->is_stamp_next && size < PERF_STAMP_SIZE))
                die("the broker sent a body in frames that cannot be");
            if (d->is_stamp_next && here < PERF_STAMP_SIZE)
                break;
            if (d->is_stamp_next)
                take_stamp(d, payload, now_ns);
            d->body_left -= size;
            d->skip = size + 1;
            used += FRAME_HEAD;
            continue;
        }
        if (size > LINK_FRAME_MAX)
            die("the broker sent something that is not a frame");
        if (here < size + 1)
            break;
        if (payload[size] != FRAME_END)
            die("the broker sent a frame that does not end");
        take_head(d, type, payload, size);
        used += FRAME_OVERHEAD + size;
    }
    return used;
}
