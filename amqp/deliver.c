#include "amqp/deliver.h"

#include <stdlib.h>

#include "amqp/consume.h"
#include "amqp/prepared.h"
#include "amqp/stamp.h"
#include "amqp/state.h"
#include "amqp/unacked.h"
#include "broker/port/message.h"

enum { HEADER_FIXED = 14 /* class, weight, body size, and what frames it */ };

/* The most bytes of body that a frame may carry to this client. */
static size_t body_frame_max(const struct session *s)
{
    return s->frame_max == 0 ? UINT32_MAX : s->frame_max - FRAME_OVERHEAD;
}

static void put_header(struct pen *p, uint16_t channel, const struct message *m, struct bytes properties)
{
    uint8_t *mark = frame_open(p, FRAME_HEADER, channel);
    pen_u16(p, 60);
    pen_u16(p, 0);
    pen_u64(p, m->body_size);
    pen_bytes(p, properties);
    frame_close(p, mark);
}

/* A small body, copied: in one frame almost always. */
static void put_body(struct session *s, struct pen *p, uint16_t channel, const struct message *m)
{
    size_t max = body_frame_max(s);
    struct bytes rest = message_body(m, 0);
    while (rest.len > 0) {
        size_t n = rest.len < max ? rest.len : max;
        uint8_t *mark = frame_open(p, FRAME_BODY, channel);
        pen_bytes(p, bytes_of(rest.at, n));
        frame_close(p, mark);
        rest = bytes_of(rest.at + n, rest.len - n);
    }
}

/* One body frame's worth, from where it lies. */
static void refer_frame(struct session *s, uint16_t channel, struct message *m, struct body_walk *walk,
                        struct bytes *slice, size_t size)
{
    struct pen p = output_open(&s->output, FRAME_HEAD);
    pen_u8(&p, FRAME_BODY);
    pen_u16(&p, channel);
    pen_u32(&p, (uint32_t)size);
    output_close(&s->output, &p);
    while (size > 0) {
        if (slice->len == 0)
            *slice = body_walk_next(walk);
        size_t n = slice->len < size ? slice->len : size;
        output_refer(&s->output, m, bytes_of(slice->at, n));
        *slice = bytes_of(slice->at + n, slice->len - n);
        size -= n;
    }
    p = output_open(&s->output, 1);
    pen_u8(&p, FRAME_END);
    output_close(&s->output, &p);
}

static void refer_body(struct session *s, uint16_t channel, struct message *m)
{
    struct body_walk walk = message_walk(m);
    struct bytes slice = {0};
    uint64_t left = m->body_size;
    size_t max = body_frame_max(s);
    while (left > 0) {
        size_t n = left < max ? (size_t)left : max;
        refer_frame(s, channel, m, &walk, &slice, n);
        left -= n;
    }
}

/* Writes a method and the content it carries. */
static void send_content_with(struct session *s, uint16_t channel, const union method *method, struct message *m,
                              struct bytes properties)
{
    bool copied = m->body_size <= OUTPUT_COPY_MAX;
    size_t frames = copied ? (size_t)m->body_size + FRAME_OVERHEAD * (1 + (size_t)m->body_size / body_frame_max(s)) : 0;
    size_t room = SESSION_METHOD_ROOM + FRAME_OVERHEAD + HEADER_FIXED + properties.len + frames;
    struct pen p = output_open(&s->output, room);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, channel);
    method_encode(&p, method);
    frame_close(&p, mark);
    put_header(&p, channel, m, properties);
    if (copied)
        put_body(s, &p, channel, m);
    output_close(&s->output, &p);
    if (!copied)
        refer_body(s, channel, m);
}

static void send_content(struct session *s, uint16_t channel, const union method *method, const struct event *e)
{
    struct message *m = e->delivered.msg;
    if (e->delivered.stamp == STAMP_NONE) {
        send_content_with(s, channel, method, m, message_properties(m));
        return;
    }
    struct bytes stamped = stamp_write(message_properties(m), (enum stamp)e->delivered.stamp, e->delivered.stamp_value);
    send_content_with(s, channel, method, m, stamped);
    free((void *)(uintptr_t)stamped.at);
}

/* The next delivery tag of the channel, which is remembered if it is to be acknowledged. */
static uint64_t take_tag(struct channel *c, const struct event *e)
{
    uint64_t tag = ++c->last_tag;
    if (!e->delivered.no_ack) {
        if (c->unacked == NULL)
            c->unacked = unacked_create();
        unacked_push(c->unacked, tag, e->delivered.ticket);
    }
    return tag;
}

/* Apart, so that plain ones do not pay for what it needs. */
static __attribute__((noinline)) void send_delivery(struct session *s, struct channel *c, struct bytes prepared,
                                                    const struct event *e)
{
    struct message *m = e->delivered.msg;
    struct basic_deliver deliver = {
        .id = METHOD_basic_deliver,
        .consumer_tag = bytes_of(prepared.at + PREPARED_HEAD, prepared.len - PREPARED_HEAD),
        .delivery_tag = take_tag(c, e),
        .redelivered = e->delivered.redelivered,
        .exchange = message_exchange(m),
        .routing_key = message_key(m),
    };
    send_content(s, c->number, &(union method){.basic_deliver = deliver}, e);
    output_cost(&s->output, message_window_cost(m));
}

/* Where a delivery goes. */
struct destination {
    struct channel *channel; /* NULL: nowhere, it is dropped */
    struct bytes prepared;
    uint16_t stream;
    uint32_t consumer;
    bool has_window; /* what is dropped goes back to the window */
};

static struct destination find_destination(const struct session *s, const struct event *e)
{
    struct destination d = {.stream = e->to.stream, .consumer = e->delivered.consumer};
    d.has_window = s->attachment == ATTACHED;
    struct channel *c = d.has_window ? channel_find_stream(s, d.stream) : NULL;
    if (c == NULL || c->state != CHANNEL_OPEN)
        return d; /* it has ended, or is ending */
    d.prepared = consume_find_prepared(s, c, d.consumer);
    d.channel = d.prepared.len > 0 ? c : NULL;
    return d;
}

static inline bool is_delivery_for(const struct session *s, const struct event *e)
{
    return e->what == DELIVERED && e->to.outlet.slot == s->id.slot && e->to.outlet.generation == s->id.generation;
}

size_t deliver_run(struct session *s, struct event *events, size_t n)
{
    struct destination d = find_destination(s, events);
    /* Nothing is out of the ordinary about one with a small body that goes in one frame, if nothing is added. */
    uint64_t plain_max = body_frame_max(s) < OUTPUT_COPY_MAX ? body_frame_max(s) : OUTPUT_COPY_MAX;
    size_t i = 0;
    do {
        const struct event *e = &events[i];
        struct message *m = e->delivered.msg;
        if (e->to.stream != d.stream || e->delivered.consumer != d.consumer)
            d = find_destination(s, e);
        if (d.channel == NULL)
            s->window_bytes += d.has_window ? message_window_cost(m) : 0;
        else if (e->delivered.stamp == STAMP_NONE && m->body_size <= plain_max)
            prepared_deliver(&s->output, d.prepared, take_tag(d.channel, e), e->delivered.redelivered, m);
        else
            send_delivery(s, d.channel, d.prepared, e);
        message_unref(m);
    } while (++i < n && is_delivery_for(s, &events[i]));
    return i;
}

void deliver_on_got(struct session *s, struct channel *c, const struct event *e)
{
    if (e->what == EMPTY) {
        session_send(s, c->number, &(union method){.basic_get_empty = {.id = METHOD_basic_get_empty}});
        return;
    }
    struct message *m = e->delivered.msg;
    struct basic_get_ok ok = {
        .id = METHOD_basic_get_ok,
        .delivery_tag = take_tag(c, e),
        .redelivered = e->delivered.redelivered,
        .exchange = message_exchange(m),
        .routing_key = message_key(m),
        .message_count = e->delivered.messages,
    };
    send_content(s, c->number, &(union method){.basic_get_ok = ok}, e);
}

void deliver_on_returned(struct session *s, struct channel *c, const struct event *e)
{
    struct message *m = e->delivered.msg;
    struct basic_return returned = {
        .id = METHOD_basic_return,
        .reply_code = AMQP_NO_ROUTE->code,
        .reply_text = bytes_of_string(AMQP_NO_ROUTE->name),
        .exchange = message_exchange(m),
        .routing_key = message_key(m),
    };
    send_content(s, c->number, &(union method){.basic_return = returned}, e);
}
