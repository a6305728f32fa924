#include "amqp/content.h"

#include <stdlib.h>

#include "amqp/dispatch.h"
#include "amqp/publish.h"
#include "amqp/state.h"
#include "base/check.h"
#include "broker/port/message.h"

enum { CLASS_BASIC = 60 };

static void refuse(struct session *s, struct error *e)
{
    session_raise(s, NULL, error_place(e, METHOD_basic_publish));
}

static void finish(struct session *s, struct channel *c)
{
    c->content.phase = CONTENT_NONE;
    struct error *e = c->state == CHANNEL_OPEN ? publish_whole(s, c) : NULL;
    content_abandon(s, c);
    if (e != NULL)
        session_raise(s, c, error_place(e, METHOD_basic_publish));
}

static void take_header(struct session *s, struct channel *c, const struct frame *f)
{
    struct cursor in = cursor_over(f->payload);
    uint16_t class_id = cursor_u16(&in), weight = cursor_u16(&in);
    uint64_t size = cursor_u64(&in);
    if (f->type != FRAME_HEADER || weight != 0) {
        refuse(s, error_create(AMQP_UNEXPECTED_FRAME,
                               "expected content header for class 60, got non content header frame instead"));
        return;
    }
    if (class_id != CLASS_BASIC) {
        refuse(s, error_create(AMQP_UNEXPECTED_FRAME,
                               "expected content header for class 60, got one for class %u instead", class_id));
        return;
    }
    if (size > CONTENT_SIZE_MAX) {
        refuse(s, error_create(AMQP_FRAME_ERROR, "content body size %llu exceeds maximum allowed size %u",
                               (unsigned long long)size, CONTENT_SIZE_MAX));
        return;
    }
    c->content.size = c->content.missing = size;
    c->content.phase = CONTENT_BODY;
    if (c->state == CHANNEL_OPEN)
        publish_header(s, c, cursor_take(&in, cursor_left(&in)));
    if (size == 0)
        finish(s, c);
}

/* So many bytes of the body have come, in a frame, and lie in the message if they are wanted. */
static void count_body(struct session *s, struct channel *c, size_t size)
{
    struct content *content = &c->content;
    content->missing -= size;
    if (content->msg != NULL) {
        content->assembled += size;
        s->assembled += size;
        if (s->assembled > SESSION_ASSEMBLY_MAX + s->config->max_message_size) {
            refuse(s, error_create(AMQP_RESOURCE_ERROR, "unfinished contents of this connection hold too much"));
            return;
        }
    }
    if (content->missing == 0)
        finish(s, c);
}

static void take_body(struct session *s, struct channel *c, const struct frame *f)
{
    struct content *content = &c->content;
    if (f->type != FRAME_BODY) {
        refuse(s, error_create(AMQP_UNEXPECTED_FRAME, "expected content body, got non content body frame instead"));
        return;
    }
    if (f->payload.len > content->missing) {
        refuse(s, error_create(AMQP_FRAME_ERROR, "content body frame exceeds remaining content size"));
        return;
    }
    if (content->msg != NULL)
        message_fill(content->msg, f->payload);
    count_body(s, c, f->payload.len);
}

void content_take_bulk(struct session *s, struct channel *c, size_t size)
{
    CHECK(c->content.phase == CONTENT_BODY && size <= c->content.missing);
    count_body(s, c, size);
}

void content_take(struct session *s, struct channel *c, const struct frame *f)
{
    switch ((enum content_phase)c->content.phase) {
    case CONTENT_HEADER:
        take_header(s, c, f);
        return;
    case CONTENT_BODY:
        take_body(s, c, f);
        return;
    case CONTENT_NONE:
        break;
    }
    if (f->type == FRAME_METHOD)
        dispatch_method(s, c, f->payload);
    else
        session_raise(
            s, NULL,
            error_place(error_create(AMQP_UNEXPECTED_FRAME, "expected method frame, got non method frame instead"), 0));
}

void content_abandon(struct session *s, struct channel *c)
{
    s->assembled -= c->content.assembled;
    c->content.assembled = 0;
    message_unref(c->content.msg);
    free(c->content.objection);
    c->content.msg = NULL;
    c->content.objection = NULL;
    c->content.defect = CONTENT_FINE;
}

void content_fini(struct session *s, struct channel *c)
{
    content_abandon(s, c);
    free(c->content.names);
    c->content.names = NULL;
}
