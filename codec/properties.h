/* Basic properties: the content header's flags and the values they announce (reference amqp-protocol 3.3).
 *
 * They travel through the broker as the bytes that came; this decodes a view of them where somebody must look.
 */
#ifndef CODEC_PROPERTIES_H
#define CODEC_PROPERTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "codec/cursor.h"

/* PROPERTY(name, bit, wire type), in the order they are encoded. */
enum property_bit {
#define PROPERTY(name, bit, wire) PROPERTY_##name = (bit),
#include "codec/properties.def"
};

struct properties {
    uint16_t flags; /* which are there, as bits of enum property_bit; no other bits */
    struct bytes content_type, content_encoding;
    struct bytes headers; /* a checked table, without its length */
    uint8_t delivery_mode, priority;
    struct bytes correlation_id, reply_to, expiration, message_id;
    uint64_t timestamp;
    struct bytes type, user_id, app_id, cluster_id;
};

static inline bool properties_has(const struct properties *p, enum property_bit bit)
{
    return (p->flags & bit) != 0;
}

/* Decodes flags and values, which must fill b exactly; what is not there is empty or zero.  The two lowest flag bits
 * are ignored.  False: malformed (also a headers table that table_check() refuses). */
bool properties_decode(struct bytes b, struct properties *out);

/* Writes flags and the values they announce.  The pen is full if they did not fit, or a short string is too long. */
void properties_encode(struct pen *p, const struct properties *props);

/* An upper bound of what properties_encode() writes. */
size_t properties_size(const struct properties *props);
#endif
