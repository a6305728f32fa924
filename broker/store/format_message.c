#include "base/crc32c.h"
#include "broker/port/message.h"
#include "broker/store/format.h"

enum message_bit { BIT_TRANSIENT = 1 << 0, BIT_REDELIVERED = 1 << 1 };

static const unsigned KNOWN_BITS = BIT_TRANSIENT | BIT_REDELIVERED;
static const unsigned KNOWN_FLAGS = MESSAGE_PERSISTENT | MESSAGE_HAS_HEADERS | MESSAGE_HAS_DEAD_LETTER;

/* PLACE_NO_TTL and MESSAGE_NO_EXPIRATION are the highest number there is: one more is 0, which takes one byte. */
static void write_limit(struct pen *p, uint64_t ms)
{
    pen_varint(p, ms + 1);
}

static uint64_t read_limit(struct cursor *c)
{
    return cursor_varint(c) - 1;
}

static uint64_t read_up_to(struct cursor *c, uint64_t max)
{
    uint64_t v = cursor_varint(c);
    if (v <= max)
        return v;
    c->bad = true;
    return 0;
}

void message_meta_write(struct pen *p, const struct message_meta *m)
{
    pen_varint(p, m->wall_ms);
    pen_u8(p, m->exchange_len);
    pen_u8(p, m->key_len);
    pen_varint(p, m->properties_len);
    pen_varint(p, m->extra_keys_len);
    pen_varint(p, m->cc_count);
    pen_varint(p, m->deaths);
    pen_u8(p, m->message_flags);
    pen_u8(p, m->priority);
    pen_u8(p, (uint8_t)((m->transient ? BIT_TRANSIENT : 0) | (m->redelivered ? BIT_REDELIVERED : 0)));
    write_limit(p, m->expiration_ms);
    pen_varint(p, m->body_size);
    pen_varint(p, m->deliveries);
    pen_varint(p, m->replaces.queue);
    if (m->replaces.queue != 0) {
        pen_varint(p, m->replaces.position);
        pen_varint(p, m->replaces.bytes);
    }
    pen_varint(p, m->n_places);
}

void place_write(struct pen *p, const struct place *place)
{
    pen_varint(p, place->queue);
    pen_varint(p, place->position);
    write_limit(p, place->ttl_ms);
}

bool message_meta_read(struct cursor *c, struct message_meta *m)
{
    *m = (struct message_meta){.wall_ms = cursor_varint(c)};
    m->exchange_len = cursor_u8(c);
    m->key_len = cursor_u8(c);
    m->properties_len = (uint32_t)read_up_to(c, FORMAT_BODY_MAX);
    m->extra_keys_len = (uint32_t)read_up_to(c, FORMAT_BODY_MAX);
    m->cc_count = (uint16_t)read_up_to(c, UINT16_MAX);
    m->deaths = (uint16_t)read_up_to(c, UINT16_MAX);
    m->message_flags = cursor_u8(c);
    m->priority = cursor_u8(c);
    uint8_t bits = cursor_u8(c);
    m->transient = (bits & BIT_TRANSIENT) != 0;
    m->redelivered = (bits & BIT_REDELIVERED) != 0;
    m->expiration_ms = read_limit(c);
    m->body_size = read_up_to(c, FORMAT_BODY_MAX);
    m->deliveries = (uint16_t)read_up_to(c, UINT16_MAX);
    m->replaces.queue = cursor_varint(c);
    if (m->replaces.queue != 0) {
        m->replaces.position = cursor_varint(c);
        m->replaces.bytes = read_up_to(c, FORMAT_BODY_MAX);
    }
    m->n_places = (uint32_t)read_up_to(c, UINT32_MAX);
    enum { PLACE_META_MIN = 3 };
    return !c->bad && (bits & ~KNOWN_BITS) == 0 && (m->message_flags & ~KNOWN_FLAGS) == 0 &&
           m->n_places <= cursor_left(c) / PLACE_META_MIN;
}

bool place_read(struct cursor *c, struct place *place)
{
    place->queue = cursor_varint(c);
    place->position = cursor_varint(c);
    place->ttl_ms = read_limit(c);
    return !c->bad && place->queue != 0;
}

void message_meta_of(struct message_meta *meta, const struct message *m, uint64_t wall_ms)
{
    *meta = (struct message_meta){
        .wall_ms = wall_ms,
        .exchange_len = m->exchange_len,
        .key_len = m->key_len,
        .properties_len = m->properties_len,
        .extra_keys_len = message_extra_keys_len(m),
        .cc_count = message_cc_count(m),
        .deaths = message_deaths(m),
        .message_flags = (uint8_t)(m->flags & ~MESSAGE_IS_RARE),
        .priority = m->priority,
        .expiration_ms = message_expiration_ms(m),
        .body_size = m->body_size,
    };
}

/* ---- What the store only keeps. */

size_t message_item_body_size(const struct message *m)
{
    return message_names_size(m) + (size_t)m->body_size;
}

enum { STRETCH = 16 << 10 }; /* copied and then summed up while it is in the first cache */

static uint8_t *copy_and_sum(uint8_t *to, struct bytes from, uint32_t *crc)
{
    for (size_t n; from.len > 0; from = bytes_of(from.at + n, from.len - n)) {
        n = from.len < STRETCH ? from.len : STRETCH;
        memcpy(to, from.at, n);
        *crc = crc32c(*crc, to, n);
        to += n;
    }
    return to;
}

void message_item_body_write(uint8_t *to, const struct message *m, uint32_t *crc)
{
    *crc = 0;
    if (message_is_in_one_piece(m)) {
        copy_and_sum(to, bytes_of(m->data, message_names_size(m) + m->body_size), crc);
        return;
    }
    to = copy_and_sum(to, bytes_of(m->data, message_names_size(m)), crc);
    struct body_walk walk = message_walk(m);
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0;)
        to = copy_and_sum(to, b, crc);
}

/* Whether these are extra keys, at least as many as came by CC. */
static bool are_extra_keys(struct bytes b, unsigned cc_count)
{
    struct cursor c = cursor_over(b);
    size_t n = 0;
    for (; cursor_left(&c) > 0; n++)
        cursor_longstr(&c);
    return !c.bad && n >= cc_count;
}

struct message *message_from_item(const struct message_meta *meta, struct bytes body)
{
    uint64_t names = (uint64_t)meta->exchange_len + meta->key_len + meta->properties_len + meta->extra_keys_len;
    if ((meta->message_flags & ~KNOWN_FLAGS) != 0 || meta->body_size > FORMAT_BODY_MAX ||
        names + meta->body_size != body.len)
        return NULL;
    struct message_spec spec = {
        .cc_count = meta->cc_count,
        .deaths = meta->deaths,
        .body_size = meta->body_size,
        .expiration_ms = meta->expiration_ms,
        .flags = meta->message_flags,
        .priority = meta->priority,
    };
    struct cursor c = cursor_over(body);
    spec.exchange = cursor_take(&c, meta->exchange_len);
    spec.routing_key = cursor_take(&c, meta->key_len);
    spec.properties = cursor_take(&c, meta->properties_len);
    spec.extra_keys = cursor_take(&c, meta->extra_keys_len);
    if (!are_extra_keys(spec.extra_keys, meta->cc_count))
        return NULL;
    struct message *m = message_create(&spec);
    message_fill(m, cursor_take(&c, (size_t)meta->body_size));
    return m;
}
