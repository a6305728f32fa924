/* Publishing, getting and consuming; tables; see interop.h. */
#include "interop.h"
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static void sent(int status, const char *what)
{
    check(status == AMQP_STATUS_OK, "%s: %s", what, amqp_error_string2(status));
}

void publish_with(struct channel ch, const char *exchange, const char *key, bool mandatory,
                  const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
    sent(amqp_basic_publish(ch.conn, ch.number, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), mandatory, 0,
                            properties, body),
         "publish");
}

void publish(struct channel ch, const char *exchange, const char *key, const char *body)
{
    publish_with(ch, exchange, key, false, NULL, amqp_cstring_bytes(body));
}

void publish_many(struct channel ch, const char *queue, int n)
{
    for (int i = 0; i < n; i++)
        publish(ch, "", queue, numbered(i));
}

void read_content(struct channel ch, struct message *m)
{
    amqp_message_t content;
    amqp_rpc_reply_t reply = amqp_read_message(ch.conn, ch.number, &content, 0);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "the content does not come");
    m->properties = content.properties;
    m->body = content.body;
}

bool try_get(struct channel ch, const char *queue, bool no_ack, struct message *m)
{
    amqp_rpc_reply_t reply = amqp_basic_get(ch.conn, ch.number, amqp_cstring_bytes(queue), no_ack);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "basic.get on %s fails", queue);
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
        return false;
    check(reply.reply.id == AMQP_BASIC_GET_OK_METHOD, "%s, not get-ok", amqp_method_name(reply.reply.id));
    amqp_basic_get_ok_t *ok = reply.reply.decoded;
    *m = (struct message){.tag = ok->delivery_tag,
                          .redelivered = ok->redelivered,
                          .exchange = text(ok->exchange),
                          .key = text(ok->routing_key),
                          .left = ok->message_count};
    read_content(ch, m);
    return true;
}

struct message get(struct channel ch, const char *queue, bool no_ack, const char *body)
{
    struct message m;
    check(try_get(ch, queue, no_ack, &m), "the queue is empty, not holding \"%s\"", body);
    check(is(m.body, body), "body \"%s\", not \"%s\"", text(m.body), body);
    return m;
}

struct message get_soon(struct channel ch, const char *queue, const char *body)
{
    struct message m;
    for (int64_t end = deadline(); !try_get(ch, queue, true, &m);)
        pause_before(end, body);
    check(is(m.body, body), "body \"%s\", not \"%s\"", text(m.body), body);
    return m;
}

void empty(struct channel ch, const char *queue)
{
    struct message m;
    check(!try_get(ch, queue, true, &m), "the queue is not empty: \"%s\"", text(m.body));
}

void came_from(const struct message *m, const char *exchange, const char *key)
{
    check(strcmp(m->exchange, exchange) == 0, "exchange \"%s\", not \"%s\"", m->exchange, exchange);
    check(strcmp(m->key, key) == 0, "routing key \"%s\", not \"%s\"", m->key, key);
}

void consume(struct channel ch, const char *queue, const char *tag, bool no_ack)
{
    amqp_basic_consume_ok_t *ok = amqp_basic_consume(ch.conn, ch.number, amqp_cstring_bytes(queue),
                                                     amqp_cstring_bytes(tag), 0, no_ack, 0, amqp_empty_table);
    answered(ch, "basic.consume");
    check(*tag ? is(ok->consumer_tag, tag) : ok->consumer_tag.len > 0, "consumer tag \"%s\"", text(ok->consumer_tag));
}

struct message next_on(struct channel *ch)
{
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    amqp_envelope_t e;
    amqp_rpc_reply_t reply = amqp_consume_message(ch->conn, &e, &limit, 0);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "no delivery: %s", amqp_error_string2(reply.library_error));
    ch->number = e.channel;
    return (struct message){.tag = e.delivery_tag,
                            .redelivered = e.redelivered,
                            .exchange = text(e.exchange),
                            .key = text(e.routing_key),
                            .consumer = text(e.consumer_tag),
                            .properties = e.message.properties,
                            .body = e.message.body};
}

struct message next(struct channel ch, const char *body, bool redelivered)
{
    struct channel on = ch;
    struct message m = next_on(&on);
    check(on.number == ch.number, "delivered on channel %d, not %d", on.number, ch.number);
    check(is(m.body, body), "delivered \"%s\", not \"%s\"", text(m.body), body);
    check(m.redelivered == redelivered, "\"%s\" has redelivered=%d", body, m.redelivered);
    return m;
}

void ack(struct channel ch, uint64_t tag, bool multiple)
{
    sent(amqp_basic_ack(ch.conn, ch.number, tag, multiple), "ack");
}

void nack(struct channel ch, uint64_t tag, bool requeue)
{
    sent(amqp_basic_nack(ch.conn, ch.number, tag, 0, requeue), "nack");
}

void reject(struct channel ch, uint64_t tag)
{
    sent(amqp_basic_reject(ch.conn, ch.number, tag, 0), "reject");
}

void quiet(amqp_connection_state_t conn)
{
    struct timeval limit = {.tv_usec = QUIET_MS * 1000};
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(conn, &frame, &limit);
    check(status != AMQP_STATUS_OK, "an unexpected frame, type %d, %s", frame.frame_type,
          frame.frame_type == AMQP_FRAME_METHOD ? amqp_method_name(frame.payload.method.id) : "no method");
    check(status == AMQP_STATUS_TIMEOUT, "%s", amqp_error_string2(status));
}

void confirmed(struct channel ch, unsigned first, unsigned last, bool acked)
{
    enum { LIMIT = 200 };
    bool seen[LIMIT] = {false};
    check(last < LIMIT, "too many publishes");
    for (unsigned missing = last - first + 1; missing > 0;) {
        uint64_t tag;
        bool multiple;
        if (acked) {
            amqp_basic_ack_t *m = await(ch, AMQP_BASIC_ACK_METHOD);
            tag = m->delivery_tag;
            multiple = m->multiple;
        } else {
            amqp_basic_nack_t *m = await(ch, AMQP_BASIC_NACK_METHOD);
            tag = m->delivery_tag;
            multiple = m->multiple;
        }
        check(tag >= first && tag <= last && !seen[tag], "a confirm of %llu", (unsigned long long)tag);
        for (uint64_t i = multiple ? first : tag; i <= tag; i++) {
            missing -= !seen[i];
            seen[i] = true;
        }
    }
}

amqp_table_entry_t entry_string(const char *key, const char *value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes(value)}}};
}

amqp_table_entry_t entry_int(const char *key, int32_t value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = value}}};
}

amqp_table_entry_t entry_bool(const char *key, bool value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = value}}};
}

amqp_table_entry_t entry_table(const char *key, amqp_table_t value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_TABLE, .value = {.table = value}}};
}

const amqp_field_value_t *find(const amqp_table_t *t, const char *key)
{
    for (int i = 0; i < t->num_entries; i++) {
        if (is(t->entries[i].key, key))
            return &t->entries[i].value;
    }
    return NULL;
}

bool find_is(const amqp_table_t *t, const char *key, const char *value)
{
    const amqp_field_value_t *v = find(t, key);
    return v && v->kind == AMQP_FIELD_KIND_UTF8 && is(v->value.bytes, value);
}

static bool table_same(const amqp_table_t *a, const amqp_table_t *b)
{
    bool same = a->num_entries == b->num_entries;
    for (int i = 0; i < a->num_entries && same; i++) {
        const amqp_field_value_t *v = find(b, text(a->entries[i].key));
        same = v && value_same(&a->entries[i].value, v);
    }
    return same;
}

static bool array_same(const amqp_array_t *a, const amqp_array_t *b)
{
    bool same = a->num_entries == b->num_entries;
    for (int i = 0; i < a->num_entries && same; i++)
        same = value_same(&a->entries[i], &b->entries[i]);
    return same;
}

bool value_same(const amqp_field_value_t *a, const amqp_field_value_t *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        return !a->value.boolean == !b->value.boolean;
    case AMQP_FIELD_KIND_I8:
        return a->value.i8 == b->value.i8;
    case AMQP_FIELD_KIND_I16:
        return a->value.i16 == b->value.i16;
    case AMQP_FIELD_KIND_I32:
        return a->value.i32 == b->value.i32;
    case AMQP_FIELD_KIND_I64:
        return a->value.i64 == b->value.i64;
    case AMQP_FIELD_KIND_F64:
        return memcmp(&a->value.f64, &b->value.f64, sizeof a->value.f64) == 0;
    case AMQP_FIELD_KIND_TIMESTAMP:
        return a->value.u64 == b->value.u64;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return is(a->value.bytes, text(b->value.bytes)) && a->value.bytes.len == b->value.bytes.len;
    case AMQP_FIELD_KIND_TABLE:
        return table_same(&a->value.table, &b->value.table);
    case AMQP_FIELD_KIND_ARRAY:
        return array_same(&a->value.array, &b->value.array);
    case AMQP_FIELD_KIND_VOID:
        return true;
    default:
        return false;
    }
}
