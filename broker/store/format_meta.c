#include "broker/store/format.h"

void pen_long_varint(struct pen *p, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    pen_bytes(p, bytes_of(bytes, n));
}

/* Only the shortest form of a number is one. */
uint64_t cursor_long_varint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = cursor_u8(c);
        if ((b == 0 && shift > 0) || (shift == 63 && b > 1))
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    c->bad = true;
    return 0;
}

/* ---- Groups. */

void batch_meta_write(struct pen *p, const struct batch_meta *m)
{
    pen_varint(p, m->first_lsn);
    pen_varint(p, m->count);
    pen_varint(p, m->durable);
    pen_varint(p, m->position);
    pen_varint(p, m->wall_ms);
}

bool batch_meta_read(struct cursor *c, struct batch_meta *m)
{
    m->first_lsn = cursor_varint(c);
    m->count = cursor_varint(c);
    m->durable = cursor_varint(c);
    m->position = cursor_varint(c);
    m->wall_ms = cursor_varint(c);
    return !c->bad && m->count <= UINT64_MAX - m->first_lsn;
}

/* ---- Chunks. */

void chunk_meta_write(struct pen *p, const struct chunk_meta *m)
{
    pen_varint(p, m->queue);
    pen_varint(p, m->chunk);
    pen_varint(p, m->pack);
    pen_varint(p, m->offset);
    pen_varint(p, m->size);
    pen_varint(p, m->first);
    pen_varint(p, m->last);
    pen_varint(p, m->count);
    pen_varint(p, m->bytes);
    pen_varint(p, m->replaces);
}

bool chunk_meta_read(struct cursor *c, struct chunk_meta *m)
{
    m->queue = cursor_varint(c);
    m->chunk = cursor_varint(c);
    m->pack = cursor_varint(c);
    m->offset = cursor_varint(c);
    m->size = cursor_varint(c);
    m->first = cursor_varint(c);
    m->last = cursor_varint(c);
    m->count = cursor_varint(c);
    m->bytes = cursor_varint(c);
    m->replaces = cursor_varint(c);
    return !c->bad && m->queue != 0 && m->size <= UINT64_MAX - m->offset && m->first <= m->last &&
           (m->count == 0 || m->count - 1 <= m->last - m->first);
}

/* ---- Definitions. */

size_t definition_size(const struct definition *d)
{
    return 4 * (size_t)VARINT_MAX + d->key.len + d->value.len;
}

void definition_write(struct pen *p, const struct definition *d)
{
    pen_varint(p, d->what);
    pen_varint(p, d->queue);
    pen_varint(p, d->key.len);
    pen_bytes(p, d->key);
    pen_varint(p, d->value.len);
    pen_bytes(p, d->value);
}

bool definition_read(struct cursor *c, enum definition_class *what, uint64_t *queue, struct bytes *key,
                     struct bytes *value)
{
    uint64_t class = cursor_varint(c);
    *queue = cursor_varint(c);
    *key = cursor_take(c, cursor_varint(c));
    *value = cursor_take(c, cursor_varint(c));
    *what = class < DEFINE_CLASSES ? (enum definition_class) class : DEFINE_CLASSES;
    return !c->bad && class < DEFINE_CLASSES && (class != DEFINE_QUEUE || *queue != 0);
}
