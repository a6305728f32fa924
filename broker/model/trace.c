#include "broker/model/trace.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/access.h"
#include "broker/model/outlet.h"
#include "broker/model/post.h"
#include "broker/model/queue.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { KEY_MAX = 255, FACTS_MAX = 16 * 1024 /* names and what is around them; the lists and the headers aside */ };

/* ---- What a copy says. */

static void put_text(struct pen *p, const char *key, bool is_there, struct bytes text)
{
    if (is_there)
        table_put_string(p, bytes_of_string(key), text);
}

static void put_small(struct pen *p, const char *key, bool is_there, int32_t number)
{
    if (is_there)
        table_put_i32(p, bytes_of_string(key), number);
}

static void put_properties(struct pen *to, const struct message *m)
{
    struct properties p;
    uint8_t *mark = table_open(to, BYTES("properties"), 'F');
    if (properties_decode(message_properties(m), &p)) {
        put_text(to, "content_type", properties_has(&p, PROPERTY_content_type), p.content_type);
        put_text(to, "content_encoding", properties_has(&p, PROPERTY_content_encoding), p.content_encoding);
        if (properties_has(&p, PROPERTY_headers) && p.headers.len <= TRACE_HEADERS_MAX) {
            uint8_t *headers = table_open(to, BYTES("headers"), 'F');
            pen_bytes(to, p.headers);
            table_close(to, headers);
        }
        put_small(to, "delivery_mode", properties_has(&p, PROPERTY_delivery_mode), p.delivery_mode);
        put_small(to, "priority", properties_has(&p, PROPERTY_priority), p.priority);
        put_text(to, "correlation_id", properties_has(&p, PROPERTY_correlation_id), p.correlation_id);
        put_text(to, "reply_to", properties_has(&p, PROPERTY_reply_to), p.reply_to);
        put_text(to, "expiration", properties_has(&p, PROPERTY_expiration), p.expiration);
        put_text(to, "message_id", properties_has(&p, PROPERTY_message_id), p.message_id);
        put_small(to, "timestamp", properties_has(&p, PROPERTY_timestamp) && p.timestamp <= INT32_MAX,
                  (int32_t)p.timestamp);
        if (properties_has(&p, PROPERTY_timestamp) && p.timestamp > INT32_MAX)
            table_put_i64(to, BYTES("timestamp"), (int64_t)p.timestamp);
        put_text(to, "type", properties_has(&p, PROPERTY_type), p.type);
        put_text(to, "user_id", properties_has(&p, PROPERTY_user_id), p.user_id);
        put_text(to, "app_id", properties_has(&p, PROPERTY_app_id), p.app_id);
        put_text(to, "cluster_id", properties_has(&p, PROPERTY_cluster_id), p.cluster_id);
    }
    table_close(to, mark);
}

static void put_keys(struct pen *p, const struct message *m)
{
    const struct routing routing = {.key = message_key(m), .extra_keys = message_extra_keys(m)};
    uint8_t *mark = table_open(p, BYTES("routing_keys"), 'A');
    size_t left = TRACE_NAMES_MAX;
    struct bytes key;
    for (struct key_walk w = routing_keys(&routing); key_walk_next(&w, &key) && key.len + 5 <= left;) {
        table_put_string_in_array(p, key);
        left -= key.len + 5;
    }
    table_close(p, mark);
}

static void put_queues(struct pen *p, struct queue *const *queues, size_t n)
{
    uint8_t *mark = table_open(p, BYTES("routed_queues"), 'A');
    size_t left = TRACE_NAMES_MAX;
    for (size_t i = 0; i < n && queues[i]->name.len + 5 <= left; i++) {
        table_put_string_in_array(p, queues[i]->name);
        left -= queues[i]->name.len + 5;
    }
    table_close(p, mark);
}

static void put_facts(struct pen *p, const struct broker *b, const struct stream *s, const struct message *m)
{
    struct field name;
    bool has_name = table_find(s->outlet->facts->arguments, BYTES("name"), &name) && name.type == 'S';
    table_put_string(p, BYTES("exchange_name"), message_exchange(m));
    put_keys(p, m);
    put_properties(p, m);
    table_put_string(p, BYTES("node"), bytes_of_string(b->node));
    table_put_string(p, BYTES("vhost"), s->outlet->vhost->name);
    put_text(p, "connection", true, has_name ? name.bytes : BYTES(""));
    table_put_i32(p, BYTES("channel"), s->channel);
    table_put_string(p, BYTES("user"), s->outlet->access->user->name);
}

/* A dead letter of a copy is one, too: else those who are given it would cause the next. */
static bool is_copy(const struct message *m)
{
    struct properties p;
    if (bytes_equal(message_exchange(m), BYTES("amq.rabbitmq.trace")))
        return true;
    if ((m->flags & MESSAGE_HAS_HEADERS) == 0 || !properties_decode(message_properties(m), &p))
        return false;
    return bytes_equal(table_find_string(p.headers, "x-first-death-exchange"), BYTES("amq.rabbitmq.trace"));
}

/* ---- On its way. */

static void send_later(struct broker *b, struct vhost *v, const char *kind, struct bytes name, struct bytes headers,
                       const struct message *m)
{
    uint8_t key[KEY_MAX + 16];
    struct pen k = pen_over(key, sizeof key);
    const struct properties p = {.flags = PROPERTY_headers, .headers = headers};
    size_t size = properties_size(&p);
    uint8_t *encoded = alloc(size);
    struct pen w = pen_over(encoded, size);
    properties_encode(&w, &p);
    pen_bytes(&k, bytes_of_string(kind));
    pen_bytes(&k, name);
    struct message_spec spec = {.exchange = v->trace->name,
                                .routing_key = pen_written(&k),
                                .properties = pen_written(&w),
                                .expiration_ms = MESSAGE_NO_EXPIRATION,
                                .flags = MESSAGE_HAS_HEADERS};
    if (spec.routing_key.len > KEY_MAX)
        spec.routing_key.len = KEY_MAX;
    /* But for its references, m stays as it is. */
    post_later(b, v->trace, message_create_with_body(&spec, (struct message *)(uintptr_t)m));
    free(encoded);
}

static uint8_t *facts_open(struct pen *p)
{
    size_t room = FACTS_MAX + TRACE_HEADERS_MAX + 2 * TRACE_NAMES_MAX;
    uint8_t *facts = alloc(room);
    *p = pen_over(facts, room);
    return facts;
}

void trace_published(struct broker *b, const struct stream *s, const struct message *m, struct queue *const *queues,
                     size_t n)
{
    struct pen p;
    uint8_t *facts = facts_open(&p);
    put_facts(&p, b, s, m);
    put_queues(&p, queues, n);
    CHECK(!p.full);
    send_later(b, s->outlet->vhost, "publish.", message_exchange(m), pen_written(&p), m);
    free(facts);
}

void trace_delivered(struct broker *b, const struct stream *s, const struct message *m, const struct queue *q,
                     bool redelivered)
{
    struct pen p;
    if (is_copy(m))
        return;
    uint8_t *facts = facts_open(&p);
    put_facts(&p, b, s, m);
    table_put_i32(&p, BYTES("redelivered"), redelivered);
    CHECK(!p.full);
    send_later(b, s->outlet->vhost, "deliver.", q->name, pen_written(&p), m);
    free(facts);
}
