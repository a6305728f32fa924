#include "broker/port/message.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/pool.h"

static struct message *create(const struct message_spec *spec, uint64_t body_size, struct message *body_of)
{
    CHECK(spec->exchange.len <= 255 && spec->routing_key.len <= 255);
    size_t inline_size = body_of != NULL ? 0 : body_size > MESSAGE_INLINE_MAX ? MESSAGE_INLINE_MAX : (size_t)body_size;
    size_t names = spec->exchange.len + spec->routing_key.len + spec->properties.len + spec->extra_keys.len;
    struct message *m = pool_alloc(sizeof *m + names + inline_size);
    *m = (struct message){
        .flags = spec->flags,
        .priority = spec->priority,
        .exchange_len = (uint8_t)spec->exchange.len,
        .key_len = (uint8_t)spec->routing_key.len,
        .properties_len = (uint32_t)spec->properties.len,
        .extra_keys_len = (uint32_t)spec->extra_keys.len,
        .cc_count = spec->cc_count,
        .deaths = spec->deaths,
        .inline_size = (uint32_t)inline_size,
        .body_size = body_size,
        .body_filled = body_of != NULL ? body_size : 0,
        .expiration_ms = spec->expiration_ms,
        .body_of = body_of,
    };
    atomic_init(&m->refs, 1);
    uint8_t *to = m->data;
    const struct bytes parts[] = {spec->exchange, spec->routing_key, spec->properties, spec->extra_keys};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0)
            memcpy(to, parts[i].at, parts[i].len);
        to += parts[i].len;
    }
    return m;
}

struct message *message_create(const struct message_spec *spec)
{
    return create(spec, spec->body_size, NULL);
}

struct message *message_create_whole(const struct message_spec *spec, struct bytes body)
{
    size_t names = spec->exchange.len + spec->routing_key.len;
    size_t head = names + spec->properties.len;
    CHECK(spec->properties.at == spec->exchange.at + names && body.len <= MESSAGE_INLINE_MAX);
    CHECK(spec->exchange.len <= 255 && spec->routing_key.len <= 255);
    struct message *m = pool_alloc(sizeof *m + head + body.len);
    /* Member by member: a compound literal is cleared first, by an instruction that is slow for so little. */
    atomic_init(&m->refs, 1);
    m->flags = spec->flags;
    m->priority = spec->priority;
    m->exchange_len = (uint8_t)spec->exchange.len;
    m->key_len = (uint8_t)spec->routing_key.len;
    m->properties_len = (uint32_t)spec->properties.len;
    m->extra_keys_len = 0;
    m->cc_count = m->deaths = 0;
    m->entries = 0;
    m->inline_size = (uint32_t)body.len;
    m->body_size = m->body_filled = body.len;
    m->expiration_ms = spec->expiration_ms;
    m->arrived_ms = 0;
    m->body_of = NULL;
    m->more = m->last_chunk = NULL;
    memcpy(m->data, spec->exchange.at, head);
    if (body.len > 0)
        memcpy(m->data + head, body.at, body.len);
    return m;
}

struct message *message_create_with_body(const struct message_spec *spec, struct message *body_of)
{
    while (body_of->body_of != NULL)
        body_of = body_of->body_of;
    return create(spec, body_of->body_size, message_ref(body_of));
}

static size_t names_size(const struct message *m)
{
    return (size_t)m->exchange_len + m->key_len + m->properties_len + m->extra_keys_len;
}

static uint8_t *inline_body(const struct message *m)
{
    return (uint8_t *)(uintptr_t)(m->data + names_size(m));
}

/* The chunk that takes the byte at body_filled; a new one when the last is full. */
static struct message_chunk *chunk_for_more(struct message *m)
{
    struct message_chunk *last = m->last_chunk;
    if (last != NULL && last->filled < last->size)
        return last;
    uint64_t size = message_missing(m) > MESSAGE_CHUNK_MAX ? MESSAGE_CHUNK_MAX : message_missing(m);
    struct message_chunk *c = pool_alloc(sizeof *c + size);
    c->next = NULL;
    c->size = (uint32_t)size;
    c->filled = 0;
    if (last != NULL)
        last->next = c;
    else
        m->more = c;
    return m->last_chunk = c;
}

uint8_t *message_room(struct message *m, size_t *n)
{
    CHECK(message_missing(m) > 0);
    if (m->body_filled < m->inline_size) {
        *n = (size_t)(m->inline_size - m->body_filled);
        return inline_body(m) + m->body_filled;
    }
    struct message_chunk *c = chunk_for_more(m);
    *n = c->size - c->filled;
    return c->at + c->filled;
}

void message_grew(struct message *m, size_t n)
{
    if (m->body_filled < m->inline_size) {
        CHECK(n <= m->inline_size - m->body_filled);
    } else if (n > 0) {
        CHECK(n <= m->last_chunk->size - m->last_chunk->filled);
        m->last_chunk->filled += (uint32_t)n;
    }
    m->body_filled += n;
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

void message_unref(struct message *m)
{
    if (m == NULL)
        return;
    unsigned was = atomic_fetch_sub_explicit(&m->refs, 1, memory_order_release);
    CHECK(was > 0);
    if (was > 1)
        return;
    (void)atomic_load_explicit(&m->refs, memory_order_acquire); /* a fence would do, but ThreadSanitizer knows none */
    struct message *body_of = m->body_of;
    for (struct message_chunk *c = m->more, *next; c != NULL; c = next) {
        next = c->next;
        pool_free(c, sizeof *c + c->size);
    }
    pool_free(m, sizeof *m + names_size(m) + m->inline_size);
    message_unref(body_of); /* which shares nobody's: at most one deep */
}

struct body_walk message_walk(const struct message *m)
{
    while (m->body_of != NULL)
        m = m->body_of;
    return (struct body_walk){.m = m, .chunk = m->more, .inline_done = m->inline_size == 0};
}

struct bytes body_walk_next(struct body_walk *w)
{
    if (!w->inline_done) {
        w->inline_done = true;
        return bytes_of(inline_body(w->m), w->m->inline_size);
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
