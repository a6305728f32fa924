#include "amqp/prepared.h"

#include <string.h>

#include "base/check.h"
#include "codec/frame.h"
#include "codec/method.h"

enum {
    CLASS_BASIC = 60,
    SIZE_AT = 3,                  /* of a frame's size in it */
    METHOD_FIXED = 8 + 1 + 1 + 1, /* delivery tag, redelivered, lengths of exchange and routing key */
    HEADER_FIXED = 12,            /* class, weight, body size */
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

/* Names and small bodies are short: overlapping words are less than a call, which is for the rest. */
static inline __attribute__((always_inline)) uint8_t *put_bytes(uint8_t *at, const uint8_t *from, size_t n)
{
    if (n < 16) {
        if (n >= 8) {
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
    } else if (n <= 32) {
        memcpy(at, from, 16);
        memcpy(at + n - 16, from + n - 16, 16);
    } else if (n <= 64) {
        memcpy(at, from, 32);
        memcpy(at + n - 32, from + n - 32, 32);
    } else {
        memcpy(at, from, n);
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

/* The three frames: the body, if there is one, goes in one. */
static inline uint8_t *put_delivery(uint8_t *at, struct bytes beginning, size_t method_size, uint64_t delivery_tag,
                                    bool redelivered, const struct message *m)
{
    struct bytes exchange = message_exchange(m), key = message_key(m), properties = message_properties(m);
    uint16_t channel = (uint16_t)(beginning.at[1] << 8 | beginning.at[2]);
    uint8_t *start = at;

    at = put_bytes(at, beginning.at, beginning.len);
    put_u32(start + SIZE_AT, (uint32_t)method_size);
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
        struct bytes body = message_small_body(m);
        at = put_frame_head(at, FRAME_BODY, channel, body.len);
        at = put_bytes(at, body.at, body.len);
        at = put_u8(at, FRAME_END);
    }
    return at;
}

void prepared_deliver(struct output *o, struct bytes beginning, uint64_t delivery_tag, bool redelivered,
                      const struct message *m)
{
    size_t names = (size_t)m->exchange_len + m->key_len;
    size_t method_size = beginning.len - FRAME_HEAD + METHOD_FIXED + names;
    size_t header_size = HEADER_FIXED + (size_t)m->properties_len;
    size_t body = m->body_size > 0 ? FRAME_OVERHEAD + (size_t)m->body_size : 0;
    size_t size = FRAME_OVERHEAD + method_size + FRAME_OVERHEAD + header_size + body;
    uint8_t *at = output_room(o, size);
    const uint8_t *end = put_delivery(at, beginning, method_size, delivery_tag, redelivered, m);
    CHECK(end == at + size);
    output_add(o, size, message_window_cost(m));
}
