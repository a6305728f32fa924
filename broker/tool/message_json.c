#include "broker/tool/message_json.h"

#include "broker/port/message.h"
#include "broker/tool/text.h"
#include "codec/properties.h"
#include "codec/table.h"

static json_t *object_of(const char *key, json_t *value)
{
    json_t *o = json_object();
    text_set(o, key, value);
    return o;
}

static json_t *string_json(struct bytes b)
{
    json_t *s = json_stringn(b.len == 0 ? "" : (const char *)b.at, b.len);
    return s != NULL ? s : object_of("base64", text_base64(b));
}

static json_t *value_json(const struct field *f)
{
    json_t *real;
    switch (f->type) {
    case 't':
        return json_boolean(f->boolean);
    case 'S':
        return string_json(f->bytes);
    case 'x':
        return object_of("base64", text_base64(f->bytes));
    case 'T':
        return object_of("timestamp", json_integer((json_int_t)f->timestamp));
    case 'D':
        return object_of("decimal", json_pack("[iI]", f->decimal.scale, (json_int_t)f->decimal.digits));
    case 'f':
    case 'd':
        real = json_real(f->real);
        return real != NULL ? real : json_string("not a number");
    case 'V':
        return json_null();
    default:
        return json_integer((json_int_t)f->integer);
    }
}

/* A table or an array that is being read, and where what is in it goes. */
struct level {
    struct cursor c;
    json_t *to; /* borrowed, from the level below */
    bool is_array;
};

static void put(const struct level *l, const struct field *f, json_t *value)
{
    if (l->is_array) {
        json_array_append_new(l->to, value);
        return;
    }
    json_t *key = text_of(f->key);
    text_set(l->to, json_string_value(key), value);
    json_decref(key);
}

json_t *table_json(struct bytes table)
{
    struct level levels[TABLE_DEPTH_MAX + 1];
    json_t *all = json_object();
    unsigned depth = 1;
    levels[0] = (struct level){.c = cursor_over(table), .to = all};
    while (depth > 0) {
        struct level *l = &levels[depth - 1];
        struct field f;
        if (!(l->is_array ? table_next_in_array(&l->c, &f) : table_next(&l->c, &f))) {
            depth--;
            continue;
        }
        if ((f.type != 'F' && f.type != 'A') || depth > TABLE_DEPTH_MAX) {
            put(l, &f, value_json(&f));
            continue;
        }
        json_t *inner = f.type == 'A' ? json_array() : json_object();
        put(l, &f, inner);
        levels[depth++] = (struct level){.c = cursor_over(f.bytes), .to = inner, .is_array = f.type == 'A'};
    }
    return all;
}

static json_t *properties_json(struct bytes raw)
{
    struct properties p;
    if (!properties_decode(raw, &p))
        return object_of("base64", text_base64(raw));
    json_t *o = json_object();
    const struct {
        enum property_bit bit;
        const char *name;
        struct bytes text;
    } texts[] = {
        {PROPERTY_content_type, "content_type", p.content_type},
        {PROPERTY_content_encoding, "content_encoding", p.content_encoding},
        {PROPERTY_correlation_id, "correlation_id", p.correlation_id},
        {PROPERTY_reply_to, "reply_to", p.reply_to},
        {PROPERTY_expiration, "expiration", p.expiration},
        {PROPERTY_message_id, "message_id", p.message_id},
        {PROPERTY_type, "type", p.type},
        {PROPERTY_user_id, "user_id", p.user_id},
        {PROPERTY_app_id, "app_id", p.app_id},
        {PROPERTY_cluster_id, "cluster_id", p.cluster_id},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (properties_has(&p, texts[i].bit))
            text_set(o, texts[i].name, string_json(texts[i].text));
    if (properties_has(&p, PROPERTY_headers))
        text_set(o, "headers", table_json(p.headers));
    if (properties_has(&p, PROPERTY_delivery_mode))
        text_set_number(o, "delivery_mode", p.delivery_mode);
    if (properties_has(&p, PROPERTY_priority))
        text_set_number(o, "priority", p.priority);
    if (properties_has(&p, PROPERTY_timestamp))
        text_set_number(o, "timestamp", p.timestamp);
    return o;
}

json_t *message_json(const struct message *m)
{
    json_t *o = json_object();
    text_set(o, "exchange", string_json(message_exchange(m)));
    text_set(o, "routing_key", string_json(message_key(m)));
    text_set(o, "properties", properties_json(message_properties(m)));
    return o;
}
