#include "codec/properties.h"

#include "codec/table.h"

/* Every bit that announces a property; the rest of the flag word is ignored. */
#define PROPERTY(name, bit, wire) | (bit)
enum {
    ALL_PROPERTIES = 0
#include "codec/properties.def"
};

static inline struct bytes cursor_table(struct cursor *c)
{
    return cursor_longstr(c);
}

static inline void pen_table(struct pen *p, struct bytes b)
{
    pen_longstr(p, b);
}

// NOLINTNEXTLINE(readability-function-size): two statements a property, from the table
bool properties_decode(struct bytes b, struct properties *out)
{
    struct cursor c = cursor_over(b);
    uint16_t flags = cursor_u16(&c) & ALL_PROPERTIES;
    out->flags = flags;
#define PROPERTY(name, bit, wire)                                                                                      \
    if ((flags & (bit)) != 0)                                                                                          \
        out->name = cursor_##wire(&c);                                                                                 \
    else                                                                                                               \
        memset(&out->name, 0, sizeof out->name);
#include "codec/properties.def"
    if (c.bad || cursor_left(&c) != 0)
        return false;
    return (flags & PROPERTY_headers) == 0 || table_check(out->headers, TABLE_DEPTH_MAX);
}

void properties_encode(struct pen *p, const struct properties *props)
{
    uint16_t flags = props->flags & ALL_PROPERTIES;
    pen_u16(p, flags);
#define PROPERTY(name, bit, wire)                                                                                      \
    if ((flags & (bit)) != 0)                                                                                          \
        pen_##wire(p, props->name);
#include "codec/properties.def"
}

size_t properties_size(const struct properties *props)
{
    return sizeof(uint16_t) + (1 + props->content_type.len) + (1 + props->content_encoding.len) +
           (4 + props->headers.len) + sizeof(props->delivery_mode) + sizeof(props->priority) +
           (1 + props->correlation_id.len) + (1 + props->reply_to.len) + (1 + props->expiration.len) +
           (1 + props->message_id.len) + sizeof(props->timestamp) + (1 + props->type.len) + (1 + props->user_id.len) +
           (1 + props->app_id.len) + (1 + props->cluster_id.len);
}
