/* A cursor walks bytes it does not own; a pen fills bytes it does not own.
 *
 * The first read past the end marks a cursor bad; every later read then yields zero, so a decoder reads straight
 * through and asks once, at the end, whether it was ever short.  A pen that runs out of room is full in the same way:
 * it writes nothing more, and its owner asks once.
 */
#ifndef CODEC_CURSOR_H
#define CODEC_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct cursor cursor_over(struct bytes b)
{
    return (struct cursor){.at = b.at, .end = b.len == 0 ? b.at : b.at + b.len};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return c->bad ? 0 : (size_t)(c->end - c->at);
}

/* Cuts len bytes off the front; an empty view once the cursor is bad. */
static inline struct bytes cursor_take(struct cursor *c, size_t len)
{
    if (len > cursor_left(c)) {
        c->bad = true;
        return (struct bytes){0};
    }
    struct bytes cut = {.at = c->at, .len = len};
    if (len > 0)
        c->at += len;
    return cut;
}

static inline uint64_t cursor_uint(struct cursor *c, size_t width)
{
    struct bytes b = cursor_take(c, width);
    uint64_t v = 0;
    for (size_t i = 0; i < b.len; i++)
        v = v << 8 | b.at[i];
    return v;
}

/* The fixed widths are spelt out, because then compilers make one load and one byte swap of each. */
static inline uint8_t cursor_u8(struct cursor *c)
{
    struct bytes b = cursor_take(c, 1);
    return b.len == 0 ? 0 : b.at[0]; // NOLINT(clang-analyzer-core.NullDereference): at is NULL only if len is 0
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    struct bytes b = cursor_take(c, 2);
    if (b.len == 0)
        return 0;
    return (uint16_t)(b.at[0] << 8 | b.at[1]);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    struct bytes b = cursor_take(c, 4);
    if (b.len == 0)
        return 0;
    return (uint32_t)b.at[0] << 24 | (uint32_t)b.at[1] << 16 | (uint32_t)b.at[2] << 8 | (uint32_t)b.at[3];
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    struct bytes b = cursor_take(c, 8);
    if (b.len == 0)
        return 0;
    return (uint64_t)b.at[0] << 56 | (uint64_t)b.at[1] << 48 | (uint64_t)b.at[2] << 40 | (uint64_t)b.at[3] << 32 |
           (uint64_t)b.at[4] << 24 | (uint64_t)b.at[5] << 16 | (uint64_t)b.at[6] << 8 | (uint64_t)b.at[7];
}

/* One length octet and that many bytes. */
static inline struct bytes cursor_shortstr(struct cursor *c)
{
    return cursor_take(c, cursor_u8(c));
}

/* Four length octets and that many bytes; tables and arrays have the same outer shape. */
static inline struct bytes cursor_longstr(struct cursor *c)
{
    return cursor_take(c, cursor_u32(c));
}

struct pen {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool full;
};

static inline struct pen pen_over(void *at, size_t room)
{
    return (struct pen){.start = at, .at = at, .end = room == 0 ? at : (uint8_t *)at + room};
}

/* What was written so far; of no use once the pen is full. */
static inline struct bytes pen_written(const struct pen *p)
{
    return (struct bytes){.at = p->start, .len = (size_t)(p->at - p->start)};
}

static inline void pen_bytes(struct pen *p, struct bytes b)
{
    if (p->full || b.len > (size_t)(p->end - p->at)) {
        p->full = true;
        return;
    }
    if (b.len == 0)
        return;
    memcpy(p->at, b.at, b.len);
    p->at += b.len;
}

static inline void pen_uint(struct pen *p, uint64_t v, size_t width)
{
    if (p->full || width > (size_t)(p->end - p->at)) {
        p->full = true;
        return;
    }
    for (size_t i = width; i-- > 0; v >>= 8)
        p->at[i] = (uint8_t)v;
    p->at += width;
}

static inline void pen_u8(struct pen *p, uint8_t v)
{
    pen_uint(p, v, 1);
}

static inline void pen_u16(struct pen *p, uint16_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 8), (uint8_t)v};
    pen_bytes(p, bytes_of(be, sizeof(be)));
}

static inline void pen_u32(struct pen *p, uint32_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    pen_bytes(p, bytes_of(be, sizeof(be)));
}

static inline void pen_u64(struct pen *p, uint64_t v)
{
    uint8_t be[] = {(uint8_t)(v >> 56), (uint8_t)(v >> 48), (uint8_t)(v >> 40), (uint8_t)(v >> 32),
                    (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),  (uint8_t)v};
    pen_bytes(p, bytes_of(be, sizeof(be)));
}

/* At most 255 bytes; a longer one makes the pen full. */
static inline void pen_shortstr(struct pen *p, struct bytes b)
{
    if (b.len > 255) {
        p->full = true;
        return;
    }
    pen_u8(p, (uint8_t)b.len);
    pen_bytes(p, b);
}

static inline void pen_longstr(struct pen *p, struct bytes b)
{
    if (b.len > UINT32_MAX) {
        p->full = true;
        return;
    }
    pen_u32(p, (uint32_t)b.len);
    pen_bytes(p, b);
}

/* Leaves room for a 32-bit length that is not known yet; pen_fill() writes into it how much came after it. */
static inline uint8_t *pen_length(struct pen *p)
{
    uint8_t *mark = p->at;
    pen_u32(p, 0);
    return mark;
}

static inline void pen_fill(struct pen *p, uint8_t *mark)
{
    if (p->full)
        return;
    uint32_t n = (uint32_t)(p->at - mark - 4);
    struct pen at = pen_over(mark, 4);
    pen_u32(&at, n);
}
#endif
