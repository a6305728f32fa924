#include "broker/port/message.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/pool.h"

/* What all of it takes, from the first byte. */
static inline size_t size_with(bool is_rare, size_t names, size_t inline_size)
{
    size_t size = offsetof(struct message, data) + names + inline_size;
    return (is_rare ? sizeof(struct message_rare) : 0) +
           (size > sizeof(struct message) ? size : sizeof(struct message));
}

/* It has that. */
static struct message_rare *rare_of(struct message *m)
{
    return (struct message_rare *)(void *)m - 1;
}

/* Pool memory.  The compiler is not to know its size: _FORTIFY_SOURCE=3 would work it out again for each copy, in
 * twenty instructions. */
static inline void *pool_alloc_quietly(size_t size)
{
    void *at = pool_alloc(size);
    __asm__("" : "+r"(at));
    return at;
}

/* In memory of its own, with everything but its names; what is rare is zeroed but for the expiration. */
static inline struct message *allocate(const struct message_spec *spec, bool is_rare, uint64_t body_size,
                                       size_t inline_size)
{
    CHECK((spec->exchange.len | spec->routing_key.len) <= 255);
    CHECK((spec->properties.len | spec->extra_keys.len | body_size) <= MESSAGE_BODY_MAX); /* all bits set: so is each */
    size_t names = spec->exchange.len + spec->routing_key.len + spec->properties.len + spec->extra_keys.len;
    void *at = pool_alloc_quietly(size_with(is_rare, names, inline_size));
    if (is_rare)
        *(struct message_rare *)at = (struct message_rare){.expiration_ms = spec->expiration_ms};
    struct message *m = is_rare ? (struct message *)(void *)((struct message_rare *)at + 1) : at;
    /* Member by member: a compound literal is cleared first, by an instruction that is slow for so little. */
    atomic_init(&m->refs, 1);
    m->flags = (uint8_t)((spec->flags & ~MESSAGE_IS_RARE) | (is_rare ? MESSAGE_IS_RARE : 0));
    m->priority = spec->priority;
    m->exchange_len = (uint8_t)spec->exchange.len;
    m->key_len = (uint8_t)spec->routing_key.len;
    m->properties_len = (uint32_t)spec->properties.len;
    m->body_size = (uint32_t)body_size;
    m->arrived_ms = 0;
    m->missing = 0;
    atomic_init(&m->kept, 0);
    return m;
}

static struct message *create(const struct message_spec *spec, uint64_t body_size, struct message *body_of)
{
    size_t inline_size = body_of != NULL ? 0 : body_size > MESSAGE_INLINE_MAX ? MESSAGE_INLINE_MAX : (size_t)body_size;
    bool is_rare = body_of != NULL || inline_size < body_size || spec->extra_keys.len > 0 || spec->cc_count > 0 ||
                   spec->deaths > 0 || spec->expiration_ms != MESSAGE_NO_EXPIRATION;
    struct message *m = allocate(spec, is_rare, body_size, inline_size);
    if (is_rare) {
        struct message_rare *r = rare_of(m);
        r->body_of = body_of;
        r->extra_keys_len = (uint32_t)spec->extra_keys.len;
        r->cc_count = spec->cc_count;
        r->deaths = spec->deaths;
    }
    m->missing = body_of != NULL ? 0 : m->body_size;
    uint8_t *to = m->data;
    const struct bytes parts[] = {spec->exchange, spec->routing_key, spec->properties, spec->extra_keys};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0)
            memcpy(to, parts[i].at, parts[i].len);
        to += parts[i].len;
    }
    return m;
}

struct message *message_create_like(const struct message *pattern, struct bytes body)
{
    const struct message_rare *r = message_rare(pattern);
    size_t names = message_names_size(pattern), rare = r != NULL ? sizeof *r : 0;
    CHECK(pattern->body_size == 0 && pattern->entries == 0 && body.len <= MESSAGE_INLINE_MAX);
    CHECK(r == NULL || r->body_of == NULL);
    uint8_t *at = pool_alloc_quietly(size_with(r != NULL, names, body.len));
    memcpy(at, (const uint8_t *)pattern - rare, rare + offsetof(struct message, data) + names);
    struct message *m = (struct message *)(void *)(at + rare);
    atomic_init(&m->refs, 1);
    m->body_size = (uint32_t)body.len;
    if (body.len > 0)
        memcpy(m->data + names, body.at, body.len);
    return m;
}

struct message *message_create(const struct message_spec *spec)
{
    return create(spec, spec->body_size, NULL);
}

struct message *message_create_whole(const struct message_spec *spec, struct bytes body)
{
    CHECK(body.len <= MESSAGE_INLINE_MAX);
    struct message *m = create(spec, body.len, NULL);
    if (body.len > 0)
        memcpy(m->data + message_names_size(m), body.at, body.len);
    m->missing = 0;
    return m;
}

/* Whose body it is. */
static const struct message *body_holder(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r != NULL && r->body_of != NULL ? r->body_of : m; /* which shares nobody's: at most one deep */
}

struct message *message_create_with_body(const struct message_spec *spec, struct message *body_of)
{
    body_of = (struct message *)(uintptr_t)body_holder(body_of);
    return create(spec, body_of->body_size, message_ref(body_of));
}

static uint32_t bytes_inline(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    if (r == NULL)
        return m->body_size;
    return r->body_of != NULL ? 0 : m->body_size > MESSAGE_INLINE_MAX ? MESSAGE_INLINE_MAX : m->body_size;
}

static uint8_t *inline_body(const struct message *m)
{
    return (uint8_t *)(uintptr_t)(m->data + message_names_size(m));
}

/* The chunk that takes the next byte; a new one when the last is full. */
static struct message_chunk *chunk_for_more(struct message *m)
{
    struct message_rare *r = rare_of(m);
    struct message_chunk *last = r->last_chunk;
    if (last != NULL && last->filled < last->size)
        return last;
    uint32_t size = m->missing > MESSAGE_CHUNK_MAX ? MESSAGE_CHUNK_MAX : m->missing;
    struct message_chunk *c = pool_alloc(sizeof *c + size);
    *c = (struct message_chunk){.size = size};
    if (last != NULL)
        last->next = c;
    else
        r->more = c;
    return r->last_chunk = c;
}

uint8_t *message_room(struct message *m, size_t *n)
{
    uint32_t filled = m->body_size - m->missing, is_inline = bytes_inline(m);
    CHECK(m->missing > 0);
    if (filled < is_inline) {
        *n = is_inline - filled;
        return inline_body(m) + filled;
    }
    struct message_chunk *c = chunk_for_more(m);
    *n = c->size - c->filled;
    return c->at + c->filled;
}

void message_grew(struct message *m, size_t n)
{
    uint32_t filled = m->body_size - m->missing, is_inline = bytes_inline(m);
    if (filled < is_inline) {
        CHECK(n <= is_inline - filled);
    } else if (n > 0) {
        struct message_chunk *c = rare_of(m)->last_chunk;
        CHECK(n <= c->size - c->filled);
        c->filled += (uint32_t)n;
    }
    m->missing -= (uint32_t)n;
}

void message_fill(struct message *m, struct bytes b)
{
    CHECK(b.len <= message_missing(m));
    while (b.len > 0) {
        size_t room;
        uint8_t *at = message_room(m, &room);
        size_t n = room < b.len ? room : b.len;
        memcpy(at, b.at, n);
        message_grew(m, n);
        b = bytes_of(b.at + n, b.len - n);
    }
}

static void destroy_rare(struct message *m)
{
    struct message_rare *r = rare_of(m);
    size_t size = size_with(true, message_names_size(m), bytes_inline(m));
    for (struct message_chunk *c = r->more, *next; c != NULL; c = next) {
        next = c->next;
        pool_free(c, sizeof *c + c->size);
    }
    message_unref(r->body_of); /* which shares nobody's: at most one deep */
    pool_free(r, size);
}

void message_unref(struct message *m)
{
    if (m == NULL)
        return;
    /* The only holder need not tell anybody that it lets go. */
    if (atomic_load_explicit(&m->refs, memory_order_acquire) != 1) {
        unsigned was = atomic_fetch_sub_explicit(&m->refs, 1, memory_order_release);
        CHECK(was > 0);
        if (was > 1)
            return;
        (void)atomic_load_explicit(&m->refs, memory_order_acquire); /* a fence would do, but TSan knows none */
    }
    if ((m->flags & MESSAGE_IS_RARE) != 0)
        destroy_rare(m);
    else
        pool_free(m, size_with(false, message_names_size(m), m->body_size));
}

struct body_walk message_walk(const struct message *m)
{
    m = body_holder(m);
    const struct message_rare *r = message_rare(m);
    return (struct body_walk){.m = m, .chunk = r != NULL ? r->more : NULL, .inline_done = m->body_size == 0};
}

struct bytes body_walk_next(struct body_walk *w)
{
    if (!w->inline_done) {
        w->inline_done = true;
        return bytes_of(inline_body(w->m), bytes_inline(w->m));
    }
    const struct message_chunk *c = w->chunk;
    if (c == NULL)
        return (struct bytes){0};
    w->chunk = c->next;
    return bytes_of(c->at, c->size);
}

struct bytes message_body(const struct message *m, uint64_t offset)
{
    struct body_walk w = message_walk(m);
    for (;;) {
        struct bytes b = body_walk_next(&w);
        if (b.len == 0 || offset < b.len)
            return b.len == 0 ? b : bytes_of(b.at + offset, b.len - (size_t)offset);
        offset -= b.len;
    }
}
