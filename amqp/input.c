#include "amqp/input.h"

#include <stdio.h>

#include "amqp/content.h"
#include "amqp/ending.h"
#include "amqp/express.h"
#include "amqp/handshake.h"
#include "amqp/state.h"

static uint32_t payload_max(const struct session *s)
{
    if (s->state <= TUNING)
        return SESSION_GREETING_FRAME_MAX;
    return s->frame_max == 0 ? SESSION_FRAME_CEILING : s->frame_max;
}

/* ---- Frames that cannot be. */

static bool is_known(const struct frame *f)
{
    switch (f->type) {
    case FRAME_METHOD:
        return f->payload.len >= 4;
    case FRAME_HEADER:
        return f->payload.len >= 12;
    case FRAME_BODY:
        return true;
    case FRAME_HEARTBEAT:
        return f->payload.len == 0;
    default:
        return false;
    }
}

/* The stream of frames cannot be followed any further: nothing more is read. */
static void lose_framing(struct session *s, struct error *e)
{
    s->deaf = true;
    session_raise(s, NULL, e);
}

static void take_too_large(struct session *s, const struct frame *f)
{
    char detail[64];
    uint32_t max = payload_max(s);
    struct frame shown = {.type = f->type};
    snprintf(detail, sizeof detail, "{frame_too_large,%zu,%u}", f->payload.len,
             max == SESSION_FRAME_CEILING ? max : max - FRAME_OVERHEAD);
    lose_framing(s, error_of_frame(AMQP_FRAME_ERROR, &shown, detail));
}

static void take_bad_end(struct session *s, const struct frame *f, uint8_t end)
{
    char detail[64];
    struct frame shown = {.type = f->type, .payload = f->payload};
    snprintf(detail, sizeof detail, "{invalid_frame_end_marker,%u}", end);
    lose_framing(s, error_of_frame(AMQP_FRAME_ERROR, &shown, detail));
}

/* ---- Whole frames. */

/* A method of class connection, or one that strayed there. */
static void take_on_channel_0(struct session *s, const struct frame *f)
{
    union method m;
    if (f->type == FRAME_HEARTBEAT)
        return;
    if (f->type != FRAME_METHOD) {
        session_raise(s, NULL, error_of_frame(AMQP_UNEXPECTED_FRAME, f, NULL));
        return;
    }
    switch (method_decode(f->payload, &m)) {
    case METHOD_OK:
        handshake_take(s, &m);
        break;
    case METHOD_UNKNOWN:
        session_raise(s, NULL, error_place(error_create(AMQP_COMMAND_INVALID, "unimplemented method"), m.id));
        break;
    case METHOD_CANNOT_DECODE:
        session_raise(s, NULL, error_create(AMQP_INTERNAL_ERROR, NULL)); /* without the method, as RabbitMQ has it */
        break;
    case METHOD_BAD_UTF8:
        session_raise(s, NULL, error_place(error_create(AMQP_FRAME_ERROR, "Malformed UTF-8 in shortstr"), m.id));
        break;
    }
}

static void take_frame(struct session *s, const struct frame *f)
{
    if (s->state >= CLOSING && f->channel != 0)
        return; /* ignored without a look */
    if (!is_known(f)) {
        session_raise(s, NULL, error_of_frame(AMQP_FRAME_ERROR, f, "unknown_frame"));
        return;
    }
    if (f->channel == 0) {
        take_on_channel_0(s, f);
        return;
    }
    if (s->state != RUNNING || f->type == FRAME_HEARTBEAT) {
        session_raise(s, NULL, error_of_frame(AMQP_UNEXPECTED_FRAME, f, NULL));
        return;
    }
    struct channel *c = channel_find(s, f->channel);
    if (c != NULL)
        content_take(s, c, f);
    else
        channel_take_stray(s, f);
}

/* An alarm stops a connection at the first content it sends (reference 2.9).  True: this frame has to wait. */
static bool is_stopped_by_alarm(struct session *s, const struct frame *f)
{
    bool is_content = f->type == FRAME_HEADER || f->type == FRAME_BODY;
    if (s->alarms == 0 || s->state != RUNNING || f->channel == 0 || !is_content)
        return false;
    s->is_blocked = true;
    session_tell_blocked(s);
    return true;
}

/* What a peer may send before it has logged in is counted.  True: it was too much. */
static bool greeting_is_too_long(struct session *s, size_t bytes)
{
    if (s->state > STARTING)
        return false;
    s->greeting_bytes += (uint32_t)bytes;
    if (s->greeting_bytes <= SESSION_GREETING_BYTES_MAX)
        return false;
    s->deaf = true;
    ending_linger(s, "too many bytes before the login");
    return true;
}

/* Takes one frame; 0: not all of it is there, or it has to wait. */
static size_t take_one(struct session *s, struct bytes in)
{
    struct frame f;
    size_t used = 0;
    switch (frame_cut(in, payload_max(s), &f, &used)) {
    case FRAME_SHORT:
        return 0;
    case FRAME_TOO_LARGE:
        take_too_large(s, &f);
        return in.len;
    case FRAME_BAD_END:
        take_bad_end(s, &f, in.at[FRAME_HEAD + f.payload.len]);
        return in.len;
    case FRAME_OK:
        break;
    }
    if (is_stopped_by_alarm(s, &f))
        return 0;
    if (!greeting_is_too_long(s, used))
        take_frame(s, &f);
    return used;
}

/* More of a body frame that is taken as it comes; 0: there is nothing more, or its end has to wait. */
static size_t take_bulk(struct session *s, struct bytes in)
{
    size_t n = bulk_take(s, in);
    if (s->bulk.left > 0 || n == in.len)
        return n;
    const struct bulk all = s->bulk;
    const struct frame f = {.type = FRAME_BODY, .channel = all.channel, .payload = bytes_of(all.shown, BULK_SHOWN)};
    if (in.at[n] != FRAME_END) {
        s->bulk = (struct bulk){0};
        take_bad_end(s, &f, in.at[n]);
        return in.len;
    }
    if (is_stopped_by_alarm(s, &f))
        return n;
    s->bulk = (struct bulk){0};
    if (s->state < CLOSING)
        content_take_bulk(s, channel_find(s, all.channel), all.size);
    return n + 1;
}

/* Takes what comes first: answers how many bytes, 0: not enough is there, or it has to wait. */
static size_t take_some(struct session *s, struct bytes in)
{
    if (bulk_is_under_way(&s->bulk))
        return take_bulk(s, in);
    if (s->state == GREETING)
        return handshake_take_header(s, in);
    bool may_hurry = s->state == RUNNING && !s->config->decodes_all;
    size_t used = may_hurry ? express_take(s, in, payload_max(s)) : 0;
    if (used == 0)
        used = take_one(s, in);
    if (used == 0 && may_hurry && s->alarms == 0)
        used = bulk_begin(s, in, payload_max(s));
    return used;
}

size_t input_take(struct session *s, struct bytes in)
{
    size_t done = 0;
    while (done < in.len && session_is_reading(s)) {
        struct bytes rest = bytes_of(in.at + done, in.len - done);
        size_t used = take_some(s, rest);
        if (used == 0)
            break;
        done += used;
    }
    /* Nobody will ever look at what comes after this. */
    return s->deaf || s->state >= LINGERING ? in.len : done;
}
