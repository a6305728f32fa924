#define _GNU_SOURCE
#include "amqp/prepared.h"

#include <endian.h>
#include <string.h>

#include "base/check.h"
#include "codec/frame.h"
#include "codec/method.h"

enum {
    CLASS_BASIC = 60,
    SIZE_AT = 3,                  /* of a frame's size in it */
    METHOD_FIXED = 8 + 1 + 1 + 1, /* delivery tag, redelivered, lengths of exchange and routing key */
    HEADER_FIXED = 12,            /* class, weight, body size */
    BETWEEN = FRAME_OVERHEAD,     /* the end of a frame and the head of the next */
};

/* The room was counted before: these need not look. */
static inline uint8_t *put_u8(uint8_t *at, uint8_t v)
{
    *at = v;
    return at + 1;
}

static inline uint8_t *put_u16(uint8_t *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
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

/* Behind the end of a frame. */
static inline uint8_t *put_next_head(uint8_t *at, uint8_t type, uint16_t channel, size_t size)
{
    return put_u64(at, (uint64_t)FRAME_END << 56 | (uint64_t)type << 48 | (uint64_t)channel << 32 | size);
}

size_t prepared_write(uint8_t *to, uint16_t channel, struct bytes consumer_tag)
{
    CHECK(consumer_tag.len <= 255);
    uint8_t *at = put_u8(to, FRAME_METHOD);
    at = put_u16(at, channel);
    at = put_u32(at, 0); /* the size differs */
    at = put_u32(at, METHOD_basic_deliver);
    at = put_u8(at, (uint8_t)consumer_tag.len);
    put_bytes(at, consumer_tag.at, consumer_tag.len);
    return PREPARED_HEAD + consumer_tag.len;
}

void prepared_deliver(struct output *o, struct bytes beginning, uint64_t delivery_tag, bool redelivered,
                      const struct message *m)
{
    size_t exchange_len = m->exchange_len, key_len = m->key_len, properties_len = m->properties_len;
    size_t body_len = m->body_size, rest = exchange_len + key_len + properties_len + body_len;
    uint64_t cost = message_window_cost(m);
    size_t size = beginning.len + METHOD_FIXED + BETWEEN + HEADER_FIXED + 1 + rest + (body_len > 0 ? BETWEEN : 0);
    uint16_t channel = (uint16_t)(beginning.at[1] << 8 | beginning.at[2]);
    uint8_t *start = output_room(o, size), *at = start;
    const uint8_t *from = m->data;

    at = put_bytes(at, beginning.at, beginning.len);
    put_u32(start + SIZE_AT, (uint32_t)(beginning.len - FRAME_HEAD + METHOD_FIXED + exchange_len + key_len));
    at = put_u64(at, delivery_tag);
    at = put_u8(at, redelivered);
    at = put_u8(at, (uint8_t)exchange_len);
    at = put_bytes(at, from, exchange_len);
    at = put_u8(at, (uint8_t)key_len);
    at = put_bytes(at, from + exchange_len, key_len);

    at = put_next_head(at, FRAME_HEADER, channel, HEADER_FIXED + properties_len);
    at = put_u32(at, (uint32_t)CLASS_BASIC << 16);
    at = put_u64(at, body_len);
    at = put_bytes(at, from + exchange_len + key_len, properties_len);

    if (body_len > 0) {
        at = put_next_head(at, FRAME_BODY, channel, body_len);
        at = put_bytes(at, message_small_body(m).at, body_len);
    }
    at = put_u8(at, FRAME_END);
    CHECK(at == start + size);
    output_add(o, size, cost);
}
