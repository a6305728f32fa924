#include "broker/model/notice.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/outlet.h"
#include "broker/model/post.h"
#include "broker/model/queue.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { FACTS_MAX = 8 * 1024 /* of names, and what is around them */, MS_PER_S = 1000 };

struct notice {
    struct pen p;
    uint8_t *room; /* owned */
};

static void text(struct notice *n, const char *key, struct bytes value)
{
    table_put_string(&n->p, bytes_of_string(key), value);
}

static void flag(struct notice *n, const char *key, bool value)
{
    table_put_bool(&n->p, bytes_of_string(key), value);
}

static void number(struct notice *n, const char *key, uint64_t value)
{
    table_put_i64(&n->p, bytes_of_string(key), (int64_t)value);
}

static void arguments(struct notice *n, struct bytes table)
{
    uint8_t *mark = table_open(&n->p, BYTES("arguments"), 'F');
    if (table.len <= NOTICE_ARGUMENTS_MAX)
        pen_bytes(&n->p, table);
    table_close(&n->p, mark);
}

static struct notice begin(void)
{
    struct notice n = {.room = alloc(FACTS_MAX + NOTICE_ARGUMENTS_MAX)};
    n.p = pen_over(n.room, FACTS_MAX + NOTICE_ARGUMENTS_MAX);
    return n;
}

static void finish(struct broker *b, struct notice *n, const char *key)
{
    text(n, "user_who_performed_action", b->actor != NULL ? b->actor->name : BYTES("rmq-internal"));
    number(n, "timestamp_in_ms", b->now.wall_ms);
    CHECK(!n->p.full);
    const struct properties p = {.flags = PROPERTY_headers | PROPERTY_delivery_mode | PROPERTY_timestamp,
                                 .headers = pen_written(&n->p),
                                 .delivery_mode = 2,
                                 .timestamp = b->now.wall_ms / MS_PER_S};
    size_t size = properties_size(&p);
    uint8_t *encoded = alloc(size);
    struct pen w = pen_over(encoded, size);
    properties_encode(&w, &p);
    post_later(b, b->notices,
               message_create(&(struct message_spec){.exchange = b->notices->name,
                                                     .routing_key = bytes_of_string(key),
                                                     .properties = pen_written(&w),
                                                     .expiration_ms = MESSAGE_NO_EXPIRATION,
                                                     .flags = MESSAGE_PERSISTENT | MESSAGE_HAS_HEADERS}));
    free(encoded);
    free(n->room);
}

static struct bytes connection_name(const struct outlet *o)
{
    struct field f;
    bool has = table_find(o->facts->arguments, BYTES("name"), &f) && f.type == 'S' && f.bytes.len <= UINT8_MAX;
    return has ? f.bytes : BYTES("");
}

static void channel_name(struct notice *n, const char *key, const struct stream *s)
{
    char *name = str_format("%.*s (%u)", BYTES_ARG(connection_name(s->outlet)), s->channel);
    text(n, key, bytes_of_string(name));
    free(name);
}

/* ---- What may come and go. */

void notice_queue(struct broker *b, const struct queue *q, bool is_new)
{
    struct notice n = begin();
    text(&n, "vhost", q->vhost->name);
    text(&n, "name", q->name);
    if (is_new) {
        flag(&n, "durable", q->spec->durable);
        flag(&n, "auto_delete", q->spec->auto_delete);
        flag(&n, "exclusive", q->owner != NULL);
        arguments(&n, q->spec->arguments);
        text(&n, "owner_pid", q->owner != NULL ? connection_name(q->owner) : BYTES(""));
    }
    finish(b, &n, is_new ? "queue.created" : "queue.deleted");
}

void notice_exchange(struct broker *b, const struct exchange *x, bool is_new)
{
    struct notice n = begin();
    text(&n, "vhost", x->vhost->name);
    text(&n, "name", x->name);
    if (is_new) {
        text(&n, "type", x->kind->name);
        flag(&n, "durable", x->spec->durable);
        flag(&n, "auto_delete", x->spec->auto_delete);
        flag(&n, "internal", x->spec->internal);
        arguments(&n, x->spec->arguments);
    }
    finish(b, &n, is_new ? "exchange.created" : "exchange.deleted");
}

void notice_binding(struct broker *b, const struct binding *bd, bool is_new)
{
    struct notice n = begin();
    text(&n, "source_name", bd->source->name);
    text(&n, "source_kind", BYTES("exchange"));
    text(&n, "destination_name", bd->queue != NULL ? bd->queue->name : bd->to->name);
    text(&n, "destination_kind", bd->queue != NULL ? BYTES("queue") : BYTES("exchange"));
    text(&n, "routing_key", bd->key);
    arguments(&n, bd->arguments);
    text(&n, "vhost", bd->source->vhost->name);
    finish(b, &n, is_new ? "binding.created" : "binding.deleted");
}

void notice_consumer(struct broker *b, const struct consumer *c, bool is_new)
{
    struct notice n = begin();
    text(&n, "consumer_tag", c->tag);
    if (is_new) {
        flag(&n, "exclusive", c->exclusive);
        flag(&n, "ack_required", !c->no_ack);
        number(&n, "prefetch_count", c->limit);
        arguments(&n, c->arguments);
    }
    channel_name(&n, "channel", c->stream);
    text(&n, "vhost", c->queue->vhost->name);
    text(&n, "queue", c->queue->name);
    finish(b, &n, is_new ? "consumer.created" : "consumer.deleted");
}

void notice_connection(struct broker *b, const struct outlet *o, bool is_new)
{
    struct notice n = begin();
    text(&n, "node", bytes_of_string(b->node));
    b->actor = o->access->user; /* it attaches, and was not there before */
    if (is_new) {
        text(&n, "user", o->access->user->name);
        text(&n, "vhost", o->vhost->name);
        number(&n, "connected_at", o->since_ms);
    }
    if (is_new && o->facts->arguments.len <= NOTICE_ARGUMENTS_MAX)
        pen_bytes(&n.p, o->facts->arguments); /* its name among them */
    else
        text(&n, "name", connection_name(o));
    finish(b, &n, is_new ? "connection.created" : "connection.closed");
}

void notice_channel(struct broker *b, const struct stream *s, bool is_new)
{
    struct notice n = begin();
    channel_name(&n, "name", s);
    if (is_new) {
        text(&n, "connection", connection_name(s->outlet));
        number(&n, "number", s->channel);
        text(&n, "user", s->outlet->access->user->name);
        text(&n, "vhost", s->outlet->vhost->name);
    }
    finish(b, &n, is_new ? "channel.created" : "channel.closed");
}

/* ---- What administrators change. */

static void put_patterns(struct notice *n, const struct spec *spec)
{
    static const char *const keys[] = {"configure", "write", "read"};
    struct field f;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (table_find(spec->arguments, bytes_of_string(keys[i]), &f) && f.bytes.len <= NOTICE_ARGUMENTS_MAX / 4)
            text(n, keys[i], f.bytes);
}

void notice_definition(struct broker *b, enum definition_class what, const struct spec *spec, bool is_put)
{
    bool is_policy = what == DEFINE_PARAMETER && bytes_equal(spec->type, BYTES("policy"));
    bool is_right = what == DEFINE_PERMISSION || what == DEFINE_TOPIC_PERMISSION;
    const char *key = what == DEFINE_VHOST        ? (is_put ? "vhost.created" : "vhost.deleted")
                      : what == DEFINE_USER       ? (is_put ? "user.created" : "user.deleted")
                      : what == DEFINE_PERMISSION ? (is_put ? "permission.created" : "permission.deleted")
                      : what == DEFINE_TOPIC_PERMISSION
                          ? (is_put ? "topic.permission.created" : "topic.permission.deleted")
                      : is_policy ? (is_put ? "policy.set" : "policy.cleared")
                                  : (is_put ? "parameter.set" : "parameter.cleared");
    struct notice n = begin();
    text(&n, is_right ? "user" : "name", spec->name);
    if (what != DEFINE_VHOST && what != DEFINE_USER)
        text(&n, "vhost", spec->vhost);
    if (what == DEFINE_TOPIC_PERMISSION)
        text(&n, "exchange", spec->key);
    if (what == DEFINE_PARAMETER && !is_policy)
        text(&n, "component", spec->type);
    if (is_right && is_put)
        put_patterns(&n, spec);
    finish(b, &n, key);
}
