#include "broker/model/reply.h"

#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"
#include "broker/port/reply.h"
#include "broker/port/spec.h"

struct queue *reply_find(const struct broker *b, const struct vhost *v, struct bytes address)
{
    for (struct map_node *n = map_first(&v->replies, hash_bytes(address, b->hash_seed)); n != NULL; n = map_next(n)) {
        struct queue *q = item_of(n, struct queue, in_vhost);
        if (bytes_equal(q->name, address))
            return q;
    }
    return NULL;
}

void reply_subscribe(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->subscribe.spec;
    struct spec address = {
        .name = spec->name, .is_reply = true, .auto_delete = true, .exclusive = true, .options = queue_options_none};
    address.options.max_length_bytes = REPLY_BACKLOG_MAX;
    address.options.max_length = REPLY_BACKLOG_MESSAGES_MAX;
    struct queue *q = queue_create(b, s->outlet->vhost, &address, s->outlet, 0);
    consumer_create(b, q, s, c->subscribe.consumer, spec, 0);
    broker_done(b, c, spec);
}

void reply_declare(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->spec;
    const struct vhost *v = s->outlet->vhost;
    if (reply_is_pseudo_queue(spec->name) || reply_find(b, v, spec->name) != NULL)
        broker_done(b, c, spec)->done.consumers = 1;
    else
        resource_fail(b, c, spec, NO_SUCH_QUEUE,
                      str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(spec->name), BYTES_ARG(v->name)));
}

bool reply_refuses_binding(struct broker *b, struct command *c)
{
    if (c->spec->to_exchange || !reply_is_address(c->spec->name))
        return false;
    resource_fail(b, c, c->spec, DENIED,
                  str_copy(BYTES("cannot bind or unbind to a volatile (direct reply-to) queue")));
    return true;
}

bool reply_refuses_consumer(struct broker *b, struct command *c, struct stream *s)
{
    struct spec *spec = c->subscribe.spec;
    const struct vhost *v = s->outlet->vhost;
    if (reply_find(b, v, spec->name) == NULL)
        return false;
    resource_fail(b, c, spec, BAD_ARGUMENT,
                  str_format("only creator channel may consume from queue '%.*s' in vhost '%.*s'",
                             BYTES_ARG(spec->name), BYTES_ARG(v->name)));
    return true;
}
