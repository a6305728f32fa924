#include "broker/model/history.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/properties.h"
#include "codec/table.h"

static bool find_name(struct bytes table, struct bytes key, struct bytes *name)
{
    struct field f;
    if (!table_find(table, key, &f) || f.type != 'S' || f.bytes.len > HISTORY_NAME_MAX)
        return false;
    *name = f.bytes;
    return true;
}

/* The array's first element is the routing key, the others came by CC. */
static bool read_names(struct bytes entry, struct last_death *out)
{
    struct field keys, key;
    if (!find_name(entry, BYTES("exchange"), &out->exchange) || !table_find(entry, BYTES("routing-keys"), &keys) ||
        keys.type != 'A')
        return false;
    struct cursor c = cursor_over(keys.bytes);
    if (!table_next_in_array(&c, &key) || key.type != 'S' || key.bytes.len > HISTORY_NAME_MAX)
        return false;
    out->key = key.bytes;
    out->more_keys = cursor_take(&c, cursor_left(&c));
    return true;
}

bool history_find_last(struct bytes properties, struct last_death *out)
{
    struct properties props;
    struct field history, entry;
    *out = (struct last_death){0};
    if (!properties_decode(properties, &props) || !table_find(props.headers, BYTES("x-death"), &history) ||
        history.type != 'A')
        return false;
    struct cursor c = cursor_over(history.bytes);
    if (!table_next_in_array(&c, &entry) || entry.type != 'F' || !find_name(entry.bytes, BYTES("queue"), &out->queue) ||
        out->queue.len == 0)
        return false;
    out->has_names = read_names(entry.bytes, out);
    return true;
}

unsigned history_read_keys(struct bytes more_keys, uint8_t *to, size_t room, struct bytes *keys)
{
    struct pen p = pen_over(to, room);
    struct field key;
    unsigned n = 0;
    for (struct cursor c = cursor_over(more_keys); table_next_in_array(&c, &key);)
        if (key.type == 'S' && key.bytes.len <= HISTORY_NAME_MAX) {
            pen_longstr(&p, key.bytes);
            n++;
        }
    *keys = (struct bytes){0};
    if (p.full)
        return 0;
    *keys = pen_written(&p);
    return n;
}

static bool is_history(struct bytes key)
{
    return bytes_equal(key, BYTES("x-death")) || bytes_start_with(key, BYTES("x-first-death-")) ||
           bytes_start_with(key, BYTES("x-last-death-"));
}

void history_read_address(struct bytes properties, struct address *a)
{
    struct properties props;
    if (!properties_decode(properties, &props))
        return;
    a->has_exchange |= find_name(props.headers, BYTES("x-dead-letter-exchange"), &a->exchange);
    a->has_key |= find_name(props.headers, BYTES("x-dead-letter-routing-key"), &a->key);
}

bool history_is_address(struct bytes header)
{
    return bytes_equal(header, BYTES("x-dead-letter-exchange")) ||
           bytes_equal(header, BYTES("x-dead-letter-routing-key"));
}

static uint8_t *strip(struct bytes properties, bool (*is_taken)(struct bytes header), size_t *size)
{
    struct properties props;
    struct field f;
    if (!properties_decode(properties, &props))
        props = (struct properties){0}; /* what the session let in decodes: see amqp/content.c */
    uint8_t *headers = alloc(props.headers.len + 1);
    struct pen p = pen_over(headers, props.headers.len);
    for (struct cursor c = cursor_over(props.headers); table_next(&c, &f);)
        if (!is_taken(f.key))
            table_put_field(&p, &f);
    CHECK(!p.full);
    props.headers = pen_written(&p);
    size_t room = properties_size(&props);
    uint8_t *encoded = alloc(room);
    struct pen w = pen_over(encoded, room);
    properties_encode(&w, &props);
    CHECK(!w.full);
    free(headers);
    *size = pen_written(&w).len;
    return encoded;
}

uint8_t *history_strip(struct bytes properties, size_t *size)
{
    return strip(properties, is_history, size);
}

uint8_t *history_strip_address(struct bytes properties, size_t *size)
{
    return strip(properties, history_is_address, size);
}
