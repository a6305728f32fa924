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
    ACK_SIZE = METHOD_ID_SIZE + 8 + 1,   /* with tag and bits */
    HEADER_FIXED = 4 + 8,                /* class and weight, body size: before the properties */
    HEADER_BEFORE_SIZE = FRAME_HEAD + 4, /* of a header frame */
    HEADER_CLASS = 60 << 16,             /* basic, and no weight */
};

/* A publish is remembered as it comes: before[] is the method's frame and the header's up to the body size; the
 * properties are the pattern's, from which the messages are made. */
struct express {
    struct message *pattern; /* owned; NULL: nothing is remembered */
    struct bytes properties; /* its own */
    uint32_t before_len;
    uint32_t others; /* publishes that were not like the pattern */
    bool mandatory;
    bool has_recurred; /* the pattern was of use */
    uint8_t before[FRAME_OVERHEAD + EXPRESS_METHOD_MAX + HEADER_BEFORE_SIZE];
};

static void forget(struct express *x)
{
    message_unref(x->pattern);
    x->pattern = NULL;
}

void express_destroy(struct express *x)
{
    if (x != NULL)
        forget(x);
    free(x);
}

/* ---- Frames. */

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
static inline bool cut_frame(struct bytes *in, uint8_t type, uint16_t channel, uint32_t payload_max,
                             struct bytes *payload)
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

/* ---- Publishes. */

/* A publish as it lies in the input; the views of spec too. */
struct found {
    struct message_spec spec;
    struct bytes body;
    size_t before_len, whole; /* bytes up to the body size, and all of it */
    bool mandatory;
};

static bool read_method(struct bytes payload, struct found *f)
{
    union method m;
    const struct basic_publish *publish = &m.basic_publish;
    if (method_decode(payload, &m) != METHOD_OK || m.id != METHOD_basic_publish || publish->immediate)
        return false;
    f->before_len = FRAME_OVERHEAD + payload.len + HEADER_BEFORE_SIZE;
    f->mandatory = publish->mandatory;
    f->spec.exchange = publish->exchange;
    f->spec.routing_key = publish->routing_key;
    f->spec.extra_keys = (struct bytes){0};
    f->spec.cc_count = f->spec.deaths = 0;
    return true;
}

/* Reads the publish at the front of in, if it is whole and nothing about it is unusual. */
static bool find(const struct session *s, const struct channel *c, struct bytes in, uint32_t payload_max,
                 uint64_t size_max, struct found *f)
{
    struct bytes rest = in, method, header;
    f->body = (struct bytes){0};
    if (!cut_frame(&rest, FRAME_METHOD, c->number, payload_max, &method) ||
        !cut_frame(&rest, FRAME_HEADER, c->number, payload_max, &header) || header.len <= HEADER_FIXED ||
        load_u32(header.at) != HEADER_CLASS)
        return false;
    uint64_t size = load_u64(header.at + HEADER_FIXED - sizeof size);
    if (size > size_max || (size > 0 && !cut_frame(&rest, FRAME_BODY, c->number, payload_max, &f->body)) ||
        f->body.len != size)
        return false;
    f->spec.properties = bytes_of(header.at + HEADER_FIXED, header.len - HEADER_FIXED);
    f->spec.body_size = 0;
    f->whole = in.len - rest.len;
    return read_method(method, f) && publish_read_plain(s, c, f->spec.properties, &f->spec);
}

static void remember(struct express *x, struct bytes in, const struct found *f)
{
    forget(x);
    x->has_recurred = false;
    if (f->before_len > sizeof x->before || f->spec.properties.len > EXPRESS_PROPERTIES_MAX)
        return;
    x->pattern = message_create(&f->spec);
    x->properties = message_properties(x->pattern);
    x->mandatory = f->mandatory;
    x->before_len = (uint32_t)f->before_len;
    memcpy(x->before, in.at, f->before_len);
}

static inline void tell(struct session *s, struct channel *c, struct message *m, bool mandatory)
{
    publish_tell(s, c, m, mandatory);
    if (s->publishes_left > 0)
        publish_count(s);
}

/* Takes the publish at the front of in, which is like none that is remembered; 0: it goes the ordinary road.  It is
 * remembered in its turn, but where none ever recurs this is not tried each time. */
static size_t __attribute__((noinline)) take_other(struct session *s, struct channel *c, struct express *x,
                                                   struct bytes in, uint32_t payload_max, uint64_t size_max)
{
    struct found f;
    if (!find(s, c, in, payload_max, size_max, &f))
        return 0;
    if (x->has_recurred || x->others++ % EXPRESS_TRIES == 0)
        remember(x, in, &f);
    tell(s, c, message_create_whole(&f.spec, f.body), f.mandatory);
    return f.whole;
}

/* Takes the publish at the front of in, if it is the one that is remembered with any body, and whole; else answers 0.
 */
static inline size_t take_like_it(struct session *s, struct channel *c, struct express *x, struct bytes in,
                                  uint64_t size_max)
{
    size_t size_at = x->before_len, properties_at = size_at + sizeof(uint64_t);
    size_t whole = properties_at + x->properties.len + 1;
    if (x->pattern == NULL || in.len < whole || memcmp(in.at, x->before, size_at) != 0 ||
        memcmp(in.at + properties_at, x->properties.at, x->properties.len) != 0 || in.at[whole - 1] != FRAME_END)
        return 0;
    uint64_t size = load_u64(in.at + size_at);
    struct bytes body = {0};
    if (size > 0) {
        const uint64_t head = (uint64_t)FRAME_BODY << 48 | (uint64_t)c->number << 32 | size;
        if (size > size_max || in.len - whole < FRAME_OVERHEAD + size || load_u64(in.at + whole) >> 8 != head ||
            in.at[whole + FRAME_HEAD + size] != FRAME_END)
            return 0;
        body = bytes_of(in.at + whole + FRAME_HEAD, size);
        whole += FRAME_OVERHEAD + size;
    }
    x->has_recurred = true;
    tell(s, c, message_create_like(x->pattern, body), x->mandatory);
    return whole;
}

static size_t take_publishes(struct session *s, struct channel *c, struct bytes in, uint32_t payload_max)
{
    uint64_t size_max = s->config->max_message_size;
    size_t done = 0;
    if (s->alarms != 0 || c->tx != NULL || s->assembled > SESSION_ASSEMBLY_MAX)
        return 0;
    size_max = size_max < payload_max ? size_max : payload_max;
    size_max = size_max < MESSAGE_INLINE_MAX ? size_max : MESSAGE_INLINE_MAX;
    if (c->express == NULL)
        c->express = alloc_zeroed(sizeof *c->express);
    while (!s->is_slowed) {
        struct bytes rest = bytes_of(in.at + done, in.len - done);
        size_t used = take_like_it(s, c, c->express, rest, size_max);
        if (used == 0)
            used = take_other(s, c, c->express, rest, payload_max, size_max);
        if (used == 0)
            break;
        done += used;
    }
    return done;
}

/* ---- Acknowledgements. */

static size_t take_acks(struct session *s, struct channel *c, struct bytes in, uint32_t payload_max)
{
    struct bytes rest = in, payload;
    struct settler by;
    struct error *e = NULL;
    size_t done = 0;
    settle_begin(&by, s, c, ACCEPTED);
    while (e == NULL && cut_frame(&rest, FRAME_METHOD, c->number, payload_max, &payload) && payload.len == ACK_SIZE &&
           load_u32(payload.at) == METHOD_basic_ack) {
        bool multiple = (payload.at[ACK_SIZE - 1] & 1) != 0;
        done += FRAME_OVERHEAD + ACK_SIZE;
        e = settle_next(&by, load_u64(payload.at + METHOD_ID_SIZE), multiple);
    }
    settle_tell(&by);
    if (e != NULL)
        session_raise(s, c, error_place(e, METHOD_basic_ack));
    return done;
}

/* ---- Which. */

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
