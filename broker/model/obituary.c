#include "broker/model/obituary.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/history.h"
#include "codec/properties.h"
#include "codec/table.h"

static const struct bytes words[DEATH_COUNT] = {
    [DEATH_REJECTED] = {.at = (const uint8_t *)"rejected", .len = 8},
    [DEATH_EXPIRED] = {.at = (const uint8_t *)"expired", .len = 7},
    [DEATH_MAXLEN] = {.at = (const uint8_t *)"maxlen", .len = 6},
    [DEATH_DELIVERY_LIMIT] = {.at = (const uint8_t *)"delivery_limit", .len = 14},
};

struct bytes death_word(enum death death)
{
    return words[death];
}

/* The x-death array of these headers, without its length; empty if there is none that is one. */
static struct bytes history_of(struct bytes headers)
{
    struct field f;
    return table_find(headers, BYTES("x-death"), &f) && f.type == 'A' ? f.bytes : (struct bytes){0};
}

static bool has_string(struct bytes table, struct bytes key, struct bytes value)
{
    struct field f;
    return table_find(table, key, &f) && f.type == 'S' && bytes_equal(f.bytes, value);
}

/* The earlier entry for this queue and reason. */
static bool entry_find(struct bytes history, const struct death_record *r, struct field *out, unsigned *index)
{
    unsigned i = 0;
    for (struct cursor c = cursor_over(history); table_next_in_array(&c, out); i++) {
        if (out->type == 'F' && has_string(out->bytes, BYTES("queue"), r->queue) &&
            has_string(out->bytes, BYTES("reason"), death_word(r->death))) {
            *index = i;
            return true;
        }
    }
    return false;
}

static void write_routing_keys(struct pen *p, const struct message *m)
{
    uint8_t *keys = table_open(p, BYTES("routing-keys"), 'A');
    table_put_string_in_array(p, message_key(m));
    struct cursor c = cursor_over(message_extra_keys(m));
    for (unsigned i = 0; i < message_cc_count(m); i++)
        table_put_string_in_array(p, cursor_longstr(&c));
    table_close(p, keys);
}

static void write_new_entry(struct pen *p, const struct death_record *r, const struct properties *props)
{
    uint8_t *entry = table_open_in_array(p, 'F');
    if (properties_has(props, PROPERTY_expiration))
        table_put_string(p, BYTES("original-expiration"), props->expiration);
    table_put_i64(p, BYTES("count"), 1);
    table_put_string(p, BYTES("reason"), death_word(r->death));
    table_put_string(p, BYTES("queue"), r->queue);
    table_put_timestamp(p, BYTES("time"), r->wall_ms / 1000);
    table_put_string(p, BYTES("exchange"), message_exchange(r->msg));
    write_routing_keys(p, r->msg);
    table_close(p, entry);
}

/* The same entry with a count that is one higher. */
static void write_counted_entry(struct pen *p, struct bytes old)
{
    uint8_t *entry = table_open_in_array(p, 'F');
    struct field f;
    bool counted = false;
    for (struct cursor c = cursor_over(old); table_next(&c, &f);) {
        if (!bytes_equal(f.key, BYTES("count"))) {
            table_put_field(p, &f);
        } else if (!counted) {
            counted = true;
            table_put_i64(p, BYTES("count"), field_is_integer(&f) && f.integer < INT64_MAX ? f.integer + 1 : 1);
        }
    }
    if (!counted)
        table_put_i64(p, BYTES("count"), 1);
    table_close(p, entry);
}

/* What the message says has happened to it is a client's word, which does not count. */
static bool is_foreign(const struct death_record *r)
{
    return r->ignores_client && message_deaths(r->msg) == 0;
}

/* Writes x-death; answers how many of its entries are the broker's own. */
static uint16_t write_history(struct pen *p, const struct death_record *r, const struct properties *props)
{
    struct bytes history = {0};
    if (!is_foreign(r))
        history = history_of(props->headers);
    struct field same, f;
    unsigned at = 0, i = 0, own = message_deaths(r->msg);
    uint8_t *array = table_open(p, BYTES("x-death"), 'A');
    bool again = entry_find(history, r, &same, &at);
    if (again)
        write_counted_entry(p, same.bytes);
    else
        write_new_entry(p, r, props);
    for (struct cursor c = cursor_over(history); table_next_in_array(&c, &f); i++) {
        if (again && i == at)
            continue;
        if (f.type == 'F') {
            uint8_t *entry = table_open_in_array(p, 'F');
            pen_bytes(p, f.bytes);
            table_close(p, entry);
        }
    }
    table_close(p, array);
    if (!again || at >= own)
        own++;
    return own > UINT16_MAX ? UINT16_MAX : (uint16_t)own;
}

static bool is_rewritten(const struct death_record *r, struct bytes key)
{
    return bytes_equal(key, BYTES("x-death")) || bytes_start_with(key, BYTES("x-last-death-")) ||
           (!r->keeps_address && history_is_address(key)) ||
           (is_foreign(r) && bytes_start_with(key, BYTES("x-first-death-")));
}

static void write_death(struct pen *p, const struct death_record *r, bool first)
{
    table_put_string(p, first ? BYTES("x-first-death-reason") : BYTES("x-last-death-reason"), death_word(r->death));
    table_put_string(p, first ? BYTES("x-first-death-queue") : BYTES("x-last-death-queue"), r->queue);
    table_put_string(p, first ? BYTES("x-first-death-exchange") : BYTES("x-last-death-exchange"),
                     message_exchange(r->msg));
}

uint16_t obituary_write(const struct death_record *r, struct bytes *out)
{
    enum { NEW_HEADERS_MAX = 4096 }; /* names of at most 255 bytes each, and what is around them */
    struct properties props = {0};
    struct field f;
    if (!properties_decode(message_properties(r->msg), &props))
        props = (struct properties){0}; /* what the session let in decodes: see amqp/content.c */
    size_t room = props.headers.len + NEW_HEADERS_MAX + 2 * (size_t)message_extra_keys_len(r->msg);
    uint8_t *headers = alloc(room);
    struct pen p = pen_over(headers, room);
    for (struct cursor c = cursor_over(props.headers); table_next(&c, &f);)
        if (!is_rewritten(r, f.key))
            table_put_field(&p, &f);
    uint16_t own = write_history(&p, r, &props);
    if (is_foreign(r) || !table_find(props.headers, BYTES("x-first-death-reason"), &f))
        write_death(&p, r, true);
    write_death(&p, r, false);
    CHECK(!p.full);
    props.headers = pen_written(&p);
    props.flags = (uint16_t)((props.flags | PROPERTY_headers) & ~PROPERTY_expiration);
    size_t size = properties_size(&props);
    uint8_t *encoded = alloc(size);
    struct pen w = pen_over(encoded, size);
    properties_encode(&w, &props);
    CHECK(!w.full);
    free(headers);
    *out = pen_written(&w);
    return own;
}

bool obituary_allows(struct bytes properties, uint16_t recorded, struct bytes queue)
{
    struct properties props;
    struct field f;
    unsigned i = 0;
    if (!properties_decode(properties, &props))
        return true;
    for (struct cursor c = cursor_over(history_of(props.headers)); i < recorded && table_next_in_array(&c, &f); i++) {
        if (f.type != 'F')
            continue;
        if (has_string(f.bytes, BYTES("reason"), death_word(DEATH_REJECTED)))
            return true;
        if (has_string(f.bytes, BYTES("queue"), queue))
            return false;
    }
    return true;
}
