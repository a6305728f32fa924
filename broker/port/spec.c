#include "broker/port/spec.h"

#include "base/alloc.h"

static uint8_t *keep(struct bytes *view, uint8_t *to)
{
    size_t len = view->len;
    if (len > 0)
        memcpy(to, view->at, len);
    *view = bytes_of(to, len);
    return to + len;
}

/* A view into one copy of the arguments becomes the same view into another. */
static void rebase(struct bytes *view, struct bytes from, struct bytes to)
{
    if (view->len > 0 && from.len > 0 && view->at >= from.at && view->at < from.at + from.len)
        view->at = to.at + (view->at - from.at);
}

struct spec *spec_create(const struct spec *from)
{
    size_t size = from->vhost.len + from->name.len + from->source.len + from->key.len + from->type.len +
                  from->arguments.len + from->objection.len;
    struct spec *s = alloc(sizeof *s + size);
    *s = *from;
    uint8_t *to = s->data;
    to = keep(&s->vhost, to);
    to = keep(&s->name, to);
    to = keep(&s->source, to);
    to = keep(&s->key, to);
    to = keep(&s->type, to);
    to = keep(&s->arguments, to);
    keep(&s->objection, to);
    rebase(&s->options.dead_letter_exchange, from->arguments, s->arguments);
    rebase(&s->options.dead_letter_routing_key, from->arguments, s->arguments);
    rebase(&s->options.deduplication_header, from->arguments, s->arguments);
    rebase(&s->options.group_header, from->arguments, s->arguments);
    return s;
}
