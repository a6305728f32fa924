#include "amqp/express.h"

#include <stdlib.h>

#include "amqp/confirms.h"
#include "amqp/publish.h"
#include "amqp/settle.h"
#include "amqp/state.h"
#include "base/alloc.h"
#include "broker/port/message.h"
#include "codec/frame.h"

enum {
    METHOD_ID_SIZE = 4,
    ACK_SIZE = METHOD_ID_SIZE + 8 + 1, /* with tag and bits */
    HEADER_FIXED = 12,                 /* class, weight and body size, before the properties */
    HEADER_CLASS = 60 << 16,           /* basic, and no weight */
    NAMES_MAX = 255 + 255,
};

struct express {
    struct message_spec spec; /* its views lie in image[], one behind the other */
    uint16_t method_len;      /* 0: nothing is remembered */
    uint16_t properties_len;  /* 0: of the method only */
    uint16_t names_len;       /* of image[]; the properties follow */
    bool mandatory;
    uint8_t method[EXPRESS_METHOD_MAX]; /* the payload that came */
    uint8_t image[NAMES_MAX + EXPRESS_PROPERTIES_MAX];
};

void express_destroy(struct express *x)
{
    free(x);
}

/* --- frames --------------------------------------------------------------------------------------------------------
 */

static inline uint64_t load_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

/* Cuts a frame off the front of in, if it is whole, of that type and on that channel; else in is as it was. */
static inline bool cut(struct bytes *in, uint8_t type, uint16_t channel, uint32_t payload_max, struct bytes *payload)
{
    if (in->len < FRAME_OVERHEAD)
        return false;
    uint64_t head = load_u64(in->at); /* type, channel, size, and an octet more */
    uint32_t size = (uint32_t)(head >> 8);
    if (head >> 40 != ((uint32_t)type << 16 | channel) || size > payload_max || in->len - FRAME_OVERHEAD < size ||
        in->at[FRAME_HEAD + size] != FRAME_END)
        return false;
    *payload = bytes_of(in->at + FRAME_HEAD, size);
    *in = bytes_of(in->at + FRAME_OVERHEAD + size, in->len - FRAME_OVERHEAD - size);
    return true;
}

/* --- publishes -----------------------------------------------------------------------------------------------------
 */

static bool learn_method(struct express *x, struct bytes payload)
{
    union method m;
    const struct basic_publish *publish = &m.basic_publish;
    if (payload.len > EXPRESS_METHOD_MAX || method_decode(payload, &m) != METHOD_OK || m.id != METHOD_basic_publish ||
        publish->immediate)
        return false;
    struct pen p = pen_over(x->image, NAMES_MAX);
    pen_bytes(&p, publish->exchange);
    pen_bytes(&p, publish->routing_key);
    memcpy(x->method, payload.at, payload.len);
    x->method_len = (uint16_t)payload.len;
    x->names_len = (uint16_t)(publish->exchange.len + publish->routing_key.len);
    x->properties_len = 0; /* they are elsewhere now */
    x->mandatory = publish->mandatory;
    x->spec.exchange = bytes_of(x->image, publish->exchange.len);
    x->spec.routing_key = bytes_of(x->image + publish->exchange.len, publish->routing_key.len);
    return true;
}

static bool learn_properties(const struct session *s, const struct channel *c, struct express *x, struct bytes b)
{
    x->properties_len = 0;
    if (b.len > EXPRESS_PROPERTIES_MAX || !publish_read_plain(s, c, b, &x->spec))
        return false;
    memcpy(x->image + x->names_len, b.at, b.len);
    x->spec.properties = bytes_of(x->image + x->names_len, b.len);
    x->properties_len = (uint16_t)b.len;
    return true;
}

static inline bool is_same(struct bytes b, const uint8_t *remembered, size_t len)
{
    return len > 0 && b.len == len && memcmp(b.at, remembered, len) == 0;
}

/* One publish; 0: it goes the ordinary road. */
static inline size_t take_publish(struct session *s, struct channel *c, struct express *x, struct bytes in,
                                  uint32_t payload_max, uint64_t size_max)
{
    struct bytes rest = in, method, header, body = {0};
    if (!cut(&rest, FRAME_METHOD, c->number, payload_max, &method) ||
        !cut(&rest, FRAME_HEADER, c->number, payload_max, &header) || header.len <= HEADER_FIXED ||
        load_u32(header.at) != HEADER_CLASS)
        return 0;
    uint64_t size = load_u64(header.at + METHOD_ID_SIZE);
    if (size > size_max || (size > 0 && !cut(&rest, FRAME_BODY, c->number, payload_max, &body)) || body.len != size)
        return 0;
    if (!is_same(method, x->method, x->method_len) && !learn_method(x, method))
        return 0;
    struct bytes properties = bytes_of(header.at + HEADER_FIXED, header.len - HEADER_FIXED);
    if (!is_same(properties, x->image + x->names_len, x->properties_len) && !learn_properties(s, c, x, properties))
        return 0;
    publish_tell(s, c, message_create_whole(&x->spec, body), x->mandatory);
    return in.len - rest.len;
}

static size_t take_publishes(struct session *s, struct channel *c, struct bytes in, uint32_t payload_max)
{
    uint64_t size_max = s->config->max_message_size;
    size_t done = 0, used;
    if (s->alarms != 0 || c->tx != NULL || s->assembled > SESSION_ASSEMBLY_MAX)
        return 0;
    if (size_max > MESSAGE_INLINE_MAX)
        size_max = MESSAGE_INLINE_MAX;
    if (c->express == NULL)
        c->express = alloc_zeroed(sizeof *c->express);
    do {
        used = take_publish(s, c, c->express, bytes_of(in.at + done, in.len - done), payload_max, size_max);
        done += used;
    } while (used > 0 && !s->is_slowed);
    return done;
}

/* --- acknowledgements ----------------------------------------------------------------------------------------------
 */

static size_t take_acks(struct session *s, struct channel *c, struct bytes in, uint32_t payload_max)
{
    struct bytes rest = in, payload;
    size_t done = 0;
    while (cut(&rest, FRAME_METHOD, c->number, payload_max, &payload) && payload.len == ACK_SIZE &&
           load_u32(payload.at) == METHOD_basic_ack) {
        bool multiple = (payload.at[ACK_SIZE - 1] & 1) != 0;
        done += FRAME_OVERHEAD + ACK_SIZE;
        struct error *e = settle_ack(s, c, load_u64(payload.at + METHOD_ID_SIZE), multiple);
        if (e != NULL) {
            session_raise(s, c, error_place(e, METHOD_basic_ack));
            break;
        }
    }
    return done;
}

/* --- which ---------------------------------------------------------------------------------------------------------
 */

size_t express_take(struct session *s, struct bytes in, uint32_t payload_max)
{
    if (in.len < FRAME_HEAD + METHOD_ID_SIZE || in.at[0] != FRAME_METHOD)
        return 0;
    uint32_t id = load_u32(in.at + FRAME_HEAD);
    if (id != METHOD_basic_publish && id != METHOD_basic_ack)
        return 0;
    struct channel *c = channel_find(s, (uint16_t)(in.at[1] << 8 | in.at[2]));
    if (c == NULL || c->state != CHANNEL_OPEN || c->content.phase != CONTENT_NONE)
        return 0;
    return id == METHOD_basic_publish ? take_publishes(s, c, in, payload_max) : take_acks(s, c, in, payload_max);
}
