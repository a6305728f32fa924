#include "broker/port/definition.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum {
    FLAG_DURABLE = 1 << 0,
    FLAG_AUTO_DELETE = 1 << 1,
    FLAG_INTERNAL = 1 << 2,
    FLAG_TO_EXCHANGE = 1 << 3,
    FLAG_HIDDEN = 1 << 4,
    NUMBERS_MAX = 64, /* bytes of all that is not text */
    TEXTS = 7,
    PART_KEY_BYTES = 16,
    PART_VALUE_BYTES = 33,
};

/* ---- Writing. */

/* Of those that administrators make, but virtual hosts. */
static bool is_administrative(enum definition_class what)
{
    return what >= DEFINE_USER;
}

static void write_key(struct pen *p, enum definition_class what, struct bytes vhost, const struct spec *s)
{
    if (what == DEFINE_VHOST) {
        pen_longstr(p, s->name);
        return;
    }
    if (is_administrative(what)) {
        pen_longstr(p, vhost);
        pen_longstr(p, s->name);
        pen_longstr(p, s->type);
        pen_longstr(p, s->key);
        return;
    }
    pen_longstr(p, vhost);
    if (what == DEFINE_BINDING) {
        pen_longstr(p, s->source);
        pen_u8(p, s->to_exchange ? 1 : 0);
    }
    pen_longstr(p, s->name);
    if (what == DEFINE_BINDING) {
        pen_longstr(p, s->key);
        pen_longstr(p, s->arguments);
    }
}

static void write_options(struct pen *p, const struct queue_options *o)
{
    pen_u64(p, o->message_ttl_ms);
    pen_u64(p, o->expires_ms);
    pen_u64(p, o->max_length);
    pen_u64(p, o->max_length_bytes);
    pen_u8(p, (uint8_t)o->overflow);
}

/* Those that mean something for its class. */
static uint8_t flags_of(enum definition_class what, const struct spec *s)
{
    unsigned flags = s->durable ? FLAG_DURABLE : 0;
    if (what != DEFINE_BINDING && s->auto_delete)
        flags |= FLAG_AUTO_DELETE;
    if (what == DEFINE_EXCHANGE && s->internal)
        flags |= FLAG_INTERNAL;
    if (what == DEFINE_QUEUE && s->hidden)
        flags |= FLAG_HIDDEN;
    if (what == DEFINE_BINDING && s->to_exchange)
        flags |= FLAG_TO_EXCHANGE;
    return (uint8_t)flags;
}

static void write_value(struct pen *p, enum definition_class what, struct bytes vhost, const struct spec *s)
{
    pen_u8(p, DEFINITION_VERSION);
    pen_longstr(p, what == DEFINE_VHOST ? s->name : vhost);
    pen_longstr(p, s->name);
    if (is_administrative(what)) {
        pen_longstr(p, s->type);
        pen_longstr(p, s->key);
    }
    if (is_administrative(what) || what == DEFINE_VHOST) {
        pen_longstr(p, s->arguments);
        return;
    }
    pen_u8(p, flags_of(what, s));
    pen_longstr(p, s->arguments);
    if (what == DEFINE_QUEUE) {
        write_options(p, &s->options);
    } else if (what == DEFINE_EXCHANGE) {
        pen_longstr(p, s->type);
    } else {
        pen_longstr(p, s->source);
        pen_longstr(p, s->key);
    }
}

static size_t size_of(struct bytes vhost, const struct spec *s)
{
    return NUMBERS_MAX + TEXTS * sizeof(uint32_t) + vhost.len + 2 * s->name.len + s->source.len + s->key.len +
           s->type.len + s->arguments.len;
}

static struct definition *create(enum definition_class what, uint64_t queue, struct bytes vhost, const struct spec *s,
                                 bool with_value)
{
    size_t room = size_of(vhost, s);
    uint8_t *buf = alloc(2 * room);
    struct pen key = pen_over(buf, room), value = pen_over(buf + room, room);
    write_key(&key, what, vhost, s);
    if (with_value)
        write_value(&value, what, vhost, s);
    struct definition *d = definition_create(what, queue, pen_written(&key), pen_written(&value));
    free(buf);
    return d;
}

struct definition *definition_define(enum definition_class what, uint64_t queue, struct bytes vhost,
                                     const struct spec *spec)
{
    return create(what, queue, vhost, spec, true);
}

struct definition *definition_undefine(enum definition_class what, uint64_t queue, struct bytes vhost,
                                       const struct spec *spec)
{
    return create(what, queue, vhost, spec, false);
}

/* ---- Reading. */

static struct bytes read_name(struct cursor *c)
{
    struct bytes name = cursor_longstr(c);
    c->bad |= name.len > DEFINITION_NAME_MAX;
    return name;
}

static void read_flags(struct cursor *c, enum definition_class what, struct spec *s)
{
    uint8_t flags = cursor_u8(c);
    s->durable = flags & FLAG_DURABLE;
    s->auto_delete = flags & FLAG_AUTO_DELETE;
    s->internal = flags & FLAG_INTERNAL;
    s->to_exchange = flags & FLAG_TO_EXCHANGE;
    s->hidden = flags & FLAG_HIDDEN;
    c->bad |= flags != flags_of(what, s);
}

/* Most are in the arguments alone. */
static void read_options(struct cursor *c, struct spec *s)
{
    struct queue_options *o = &s->options;
    queue_options_of_arguments(s->arguments, o);
    o->message_ttl_ms = cursor_u64(c);
    o->expires_ms = cursor_u64(c);
    o->max_length = cursor_u64(c);
    o->max_length_bytes = cursor_u64(c);
    uint8_t overflow = cursor_u8(c);
    c->bad |= overflow > OVERFLOW_REJECT_PUBLISH_DLX;
    o->overflow = (enum overflow)overflow;
}

static void read_value(struct cursor *c, enum definition_class what, struct spec *s, struct bytes *vhost)
{
    c->bad |= cursor_u8(c) != DEFINITION_VERSION;
    *vhost = read_name(c);
    s->name = read_name(c);
    if (what == DEFINE_VHOST)
        c->bad |= !bytes_equal(*vhost, s->name);
    if (is_administrative(what)) {
        s->type = read_name(c);
        s->key = read_name(c);
    } else if (what != DEFINE_VHOST) {
        read_flags(c, what, s);
    }
    s->arguments = cursor_longstr(c);
    if (!c->bad && !table_check(s->arguments, TABLE_DEPTH_MAX))
        c->bad = true;
    if (c->bad || what == DEFINE_VHOST || is_administrative(what))
        return;
    if (what == DEFINE_QUEUE) {
        read_options(c, s);
    } else if (what == DEFINE_EXCHANGE) {
        s->type = read_name(c);
    } else {
        s->source = read_name(c);
        s->key = read_name(c);
    }
}

static bool key_fits(enum definition_class what, struct bytes key, struct bytes vhost, const struct spec *s)
{
    size_t room = size_of(vhost, s);
    uint8_t *buf = alloc(room);
    struct pen p = pen_over(buf, room);
    write_key(&p, what, vhost, s);
    bool fits = bytes_equal(pen_written(&p), key);
    free(buf);
    return fits;
}

struct spec *definition_read_spec(enum definition_class what, struct bytes key, struct bytes value, struct bytes *vhost)
{
    struct spec s = {0};
    struct cursor c = cursor_over(value);
    if ((unsigned)what >= DEFINE_CLASSES || what == DEFINE_PART || what == DEFINE_BOOKMARK)
        return NULL;
    read_value(&c, what, &s, vhost);
    if (c.bad || cursor_left(&c) > 0 || !key_fits(what, key, *vhost, &s))
        return NULL;
    s.vhost = *vhost;
    return spec_create(&s);
}

struct definition *definition_of_part(const struct definition_part *d, bool with_value)
{
    uint8_t key[PART_KEY_BYTES], value[PART_VALUE_BYTES];
    struct pen k = pen_over(key, sizeof key), v = pen_over(value, sizeof value);
    pen_u64(&k, d->queue);
    pen_u64(&k, d->first);
    pen_u8(&v, DEFINITION_VERSION);
    pen_u64(&v, d->count);
    pen_u64(&v, d->bytes);
    pen_u64(&v, d->size);
    pen_u64(&v, d->last_ms);
    return definition_create(DEFINE_PART, d->queue, pen_written(&k), with_value ? pen_written(&v) : (struct bytes){0});
}

bool definition_read_part(uint64_t queue, struct bytes key, struct bytes value, struct definition_part *out)
{
    struct cursor k = cursor_over(key), v = cursor_over(value);
    uint64_t named = cursor_u64(&k);
    *out = (struct definition_part){.queue = queue, .first = cursor_u64(&k)};
    bool is_known = cursor_u8(&v) == DEFINITION_VERSION;
    out->count = cursor_u64(&v);
    out->bytes = cursor_u64(&v);
    out->size = cursor_u64(&v);
    out->last_ms = cursor_u64(&v);
    return is_known && named == queue && !k.bad && !v.bad && cursor_left(&k) == 0 && cursor_left(&v) == 0;
}

struct definition *definition_of_bookmark(uint64_t queue, struct bytes tag, uint64_t next, bool with_value)
{
    uint8_t key[sizeof queue + DEFINITION_NAME_MAX], value[1 + sizeof next];
    struct pen k = pen_over(key, sizeof key), v = pen_over(value, sizeof value);
    pen_u64(&k, queue);
    pen_bytes(&k, tag);
    pen_u8(&v, DEFINITION_VERSION);
    pen_u64(&v, next);
    return definition_create(DEFINE_BOOKMARK, queue, pen_written(&k), with_value ? pen_written(&v) : (struct bytes){0});
}

bool definition_read_bookmark(uint64_t queue, struct bytes key, struct bytes value, struct bytes *tag, uint64_t *next)
{
    struct cursor k = cursor_over(key), v = cursor_over(value);
    uint64_t named = cursor_u64(&k);
    bool is_known = cursor_u8(&v) == DEFINITION_VERSION;
    *next = cursor_u64(&v);
    *tag = cursor_take(&k, cursor_left(&k));
    return is_known && named == queue && !k.bad && !v.bad && cursor_left(&v) == 0 && tag->len <= DEFINITION_NAME_MAX;
}

bool definition_read_key(enum definition_class what, struct bytes key, struct bytes *vhost, struct bytes *name)
{
    struct cursor c = cursor_over(key);
    if (what == DEFINE_PART) {
        *vhost = *name = (struct bytes){0};
        return key.len == PART_KEY_BYTES;
    }
    if (what == DEFINE_BOOKMARK) {
        uint64_t queue = cursor_u64(&c);
        *vhost = (struct bytes){0};
        *name = cursor_take(&c, cursor_left(&c));
        return !c.bad && queue != 0;
    }
    *vhost = cursor_longstr(&c);
    *name = *vhost;
    if (what == DEFINE_VHOST)
        return !c.bad;
    if (what == DEFINE_BINDING) { /* its source, and what the destination is */
        cursor_longstr(&c);
        cursor_u8(&c);
    }
    *name = cursor_longstr(&c);
    return !c.bad;
}

const char *definition_word(enum definition_class what)
{
    static const char *const words[DEFINE_CLASSES] = {
        [DEFINE_VHOST] = "vhost",
        [DEFINE_EXCHANGE] = "exchange",
        [DEFINE_QUEUE] = "queue",
        [DEFINE_BINDING] = "binding",
        [DEFINE_USER] = "user",
        [DEFINE_PERMISSION] = "permission",
        [DEFINE_TOPIC_PERMISSION] = "topic permission",
        [DEFINE_PARAMETER] = "parameter",
        [DEFINE_PART] = "part of a stream",
        [DEFINE_BOOKMARK] = "offset of a reader",
    };
    return (unsigned)what < DEFINE_CLASSES ? words[what] : "unknown";
}
