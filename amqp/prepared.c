#include "amqp/prepared.h"

#include <string.h>

#include "base/check.h"
#include "codec/frame.h"
#include "codec/method.h"

enum {
    CLASS_BASIC = 60,
    SIZE_AT = 3,          /* of a frame's size in it */
    METHOD_FIXED = 8 + 1, /* delivery tag, redelivered; the names have a length octet each */
    HEADER_FIXED = 12,    /* class, weight, body size */
};

/* The room was counted before: these need not look. */
static inline uint8_t *put_u8(uint8_t *at, uint8_t v)
{
    *at = v;
    return at + 1;
}

static inline uint8_t *put_u16(uint8_t *at, uint16_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 8), (uint8_t)v};
    memcpy(at, be, sizeof be);
    return at + sizeof be;
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    memcpy(at, be, sizeof be);
    return at + sizeof be;
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 56), (uint8_t)(v >> 48), (uint8_t)(v >> 40), (uint8_t)(v >> 32),
                    (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),  (uint8_t)v};
    memcpy(at, be, sizeof be);
    return at + sizeof be;
}

/* Names are short: two overlapping words are less than a call.  A name of no bytes may be anywhere. */
static inline uint8_t *put_bytes(uint8_t *at, const uint8_t *from, size_t n)
{
    if (n > 32) {
        memcpy(at, from, n);
    } else if (n >= 16) {
        memcpy(at, from, 16);
        memcpy(at + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(at, from, 8);
        memcpy(at + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(at, from, 4);
        memcpy(at + n - 4, from + n - 4, 4);
    } else if (n > 0) {
        at[0] = from[0];
        at[n / 2] = from[n / 2];
        at[n - 1] = from[n - 1];
    }
    return at + n;
}

static inline uint8_t *put_frame_head(uint8_t *at, uint8_t type, uint16_t channel, size_t size)
{
    at = put_u8(at, type);
    at = put_u16(at, channel);
    return put_u32(at, (uint32_t)size);
}

size_t prepared_write(uint8_t *to, uint16_t channel, struct bytes consumer_tag)
{
    CHECK(consumer_tag.len <= 255);
    uint8_t *at = put_frame_head(to, FRAME_METHOD, channel, 0); /* it differs */
    at = put_u32(at, METHOD_basic_deliver);
    at = put_u8(at, (uint8_t)consumer_tag.len);
    put_bytes(at, consumer_tag.at, consumer_tag.len);
    return PREPARED_HEAD + consumer_tag.len;
}

/* Of the method's payload. */
static inline size_t method_size(struct bytes beginning, const struct message *m)
{
    return beginning.len - FRAME_HEAD + METHOD_FIXED + 1 + m->exchange_len + 1 + m->key_len;
}

size_t prepared_size(struct bytes beginning, const struct message *m)
{
    size_t body = m->body_size > 0 ? FRAME_OVERHEAD + (size_t)m->body_size : 0;
    return FRAME_OVERHEAD + method_size(beginning, m) + FRAME_OVERHEAD + HEADER_FIXED + m->properties_len + body;
}

uint8_t *prepared_deliver(uint8_t *to, struct bytes beginning, uint64_t delivery_tag, bool redelivered,
                          const struct message *m)
{
    struct bytes exchange = message_exchange(m), key = message_key(m), properties = message_properties(m);
    uint16_t channel = (uint16_t)(beginning.at[1] << 8 | beginning.at[2]);

    uint8_t *at = put_bytes(to, beginning.at, beginning.len);
    put_u32(to + SIZE_AT, (uint32_t)method_size(beginning, m));
    at = put_u64(at, delivery_tag);
    at = put_u8(at, redelivered);
    at = put_u8(at, (uint8_t)exchange.len);
    at = put_bytes(at, exchange.at, exchange.len);
    at = put_u8(at, (uint8_t)key.len);
    at = put_bytes(at, key.at, key.len);
    at = put_u8(at, FRAME_END);

    at = put_frame_head(at, FRAME_HEADER, channel, HEADER_FIXED + properties.len);
    at = put_u32(at, (uint32_t)CLASS_BASIC << 16);
    at = put_u64(at, m->body_size);
    at = put_bytes(at, properties.at, properties.len);
    at = put_u8(at, FRAME_END);

    if (m->body_size > 0) {
        struct bytes body = message_body(m, 0);
        CHECK(body.len == m->body_size);
        at = put_frame_head(at, FRAME_BODY, channel, body.len);
        at = put_bytes(at, body.at, body.len);
        at = put_u8(at, FRAME_END);
    }
    return at;
}
