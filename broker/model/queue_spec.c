#include "broker/model/queue_spec.h"

#include "base/alloc.h"
#include "broker/port/queue_options.h"

static struct bytes keep(struct bytes b, uint8_t *to)
{
    if (b.len > 0)
        memcpy(to, b.at, b.len);
    return bytes_of(to, b.len);
}

/* A view into one copy of the arguments becomes the same view into another. */
static void rebase(struct bytes *view, struct bytes from, struct bytes to)
{
    if (view->len > 0 && from.len > 0 && view->at >= from.at && view->at < from.at + from.len)
        view->at = to.at + (view->at - from.at);
}

struct queue_spec *queue_spec_create(const struct spec *from)
{
    /* What differs in padding alone is copied, which does no harm. */
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
    bool says_something = memcmp(&from->options, &queue_options_none, sizeof from->options) != 0;
    size_t options = says_something ? sizeof(struct queue_options) : 0;
    struct queue_spec *s = alloc(sizeof *s + options + from->name.len + from->arguments.len);
    *s = (struct queue_spec){
        .options = &queue_options_none,
        .durable = from->durable,
        .exclusive = from->exclusive,
        .auto_delete = from->auto_delete,
        .hidden = from->hidden,
        .is_reply = from->is_reply,
    };
    s->name = keep(from->name, s->data + options);
    s->arguments = keep(from->arguments, s->data + options + from->name.len);
    if (!says_something)
        return s;
    struct queue_options *o = (void *)s->data;
    memcpy(o, &from->options, sizeof *o);
    rebase(&o->dead_letter_exchange, from->arguments, s->arguments);
    rebase(&o->dead_letter_routing_key, from->arguments, s->arguments);
    rebase(&o->deduplication_header, from->arguments, s->arguments);
    rebase(&o->group_header, from->arguments, s->arguments);
    s->options = o;
    return s;
}

struct spec queue_spec_as_spec(const struct queue_spec *s)
{
    return (struct spec){
        .name = s->name,
        .arguments = s->arguments,
        .durable = s->durable,
        .exclusive = s->exclusive,
        .auto_delete = s->auto_delete,
        .hidden = s->hidden,
        .is_reply = s->is_reply,
        .options = *s->options,
    };
}
