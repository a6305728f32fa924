#include "amqp/stamp.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { STAMPS_ROOM = 64 }; /* bytes of all headers that are added */

static bool is_stamped(enum stamp stamp, struct bytes key)
{
    if (stamp == STAMP_OFFSET)
        return bytes_equal(key, BYTES("x-stream-offset"));
    return bytes_equal(key, BYTES("x-delivery-count")) || bytes_equal(key, BYTES("x-acquired-count"));
}

static void write_headers(struct pen *p, struct bytes headers, enum stamp stamp, uint64_t value)
{
    struct field f;
    for (struct cursor c = cursor_over(headers); table_next(&c, &f);)
        if (!is_stamped(stamp, f.key))
            table_put_field(p, &f);
    if (stamp == STAMP_OFFSET) {
        table_put_i64(p, BYTES("x-stream-offset"), (int64_t)value);
        return;
    }
    table_put_i64(p, BYTES("x-acquired-count"), (int64_t)value);
    table_put_i64(p, BYTES("x-delivery-count"), (int64_t)value);
}

struct bytes stamp_write(struct bytes properties, enum stamp stamp, uint64_t value)
{
    struct properties props;
    if (!properties_decode(properties, &props))
        props = (struct properties){0}; /* what the session let in decodes: see amqp/content.c */
    size_t room = props.headers.len + STAMPS_ROOM;
    uint8_t *headers = alloc(room);
    struct pen p = pen_over(headers, room);
    write_headers(&p, props.headers, stamp, value);
    CHECK(!p.full);
    props.headers = pen_written(&p);
    props.flags |= PROPERTY_headers;
    size_t size = properties_size(&props);
    uint8_t *encoded = alloc(size);
    struct pen w = pen_over(encoded, size);
    properties_encode(&w, &props);
    CHECK(!w.full);
    free(headers);
    return pen_written(&w);
}
