/* A message as every part of Millrace sees it: immutable once whole, shared by reference count, freed by the last to
 * let go.  Any thread may hold one; none may change one.
 *
 * It is one allocation: the names it was published with, its properties as the bytes that came, and its body.  Only a
 * body larger than MESSAGE_INLINE_MAX goes on in chunks, which are allocated as the bytes arrive, never as announced
 * (reliability C7).  A dead letter is a new message with properties of its own and the body of the one that died.
 */
#ifndef BROKER_PORT_MESSAGE_H
#define BROKER_PORT_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    MESSAGE_INLINE_MAX = 128 * 1024, /* body bytes that lie in the message itself */
    MESSAGE_CHUNK_MAX = 256 * 1024,  /* body bytes of one chunk */
};

#define MESSAGE_NO_EXPIRATION UINT64_MAX

enum message_flag {
    MESSAGE_PERSISTENT = 1 << 0,      /* delivery-mode is 2 */
    MESSAGE_HAS_HEADERS = 1 << 1,     /* there is a headers table, maybe empty */
    MESSAGE_HAS_DEAD_LETTER = 1 << 4, /* with x-dead-letter-exchange or -routing-key: for its dead letter */
};

struct message_chunk {
    struct message_chunk *next;
    uint32_t size;   /* bytes it holds, once the message is whole */
    uint32_t filled; /* bytes that are there */
    uint8_t at[];
};

/* Read freely; written by this module alone. */
struct message {
    atomic_uint refs;
    uint8_t flags; /* enum message_flag */
    uint8_t priority;
    uint8_t exchange_len, key_len;
    uint32_t properties_len;
    uint32_t extra_keys_len;
    uint16_t cc_count;       /* how many of the extra keys came by CC; the rest by BCC */
    uint16_t deaths;         /* how many of its x-death entries, from the first, the broker recorded itself */
    uint32_t entries;        /* the model's own, on its thread: how many queue entries hold the message */
    uint32_t inline_size;    /* body bytes in data[] */
    uint64_t body_size;      /* as the content header announced */
    uint64_t body_filled;    /* how many of them are there */
    uint64_t expiration_ms;  /* relative, as published; MESSAGE_NO_EXPIRATION: none */
    int64_t arrived_ms;      /* the model's own: when it came into its queues, instant.ms; perhaps before the start */
    struct message *body_of; /* shared: whose body this is; NULL: its own */
    struct message_chunk *more, *last_chunk; /* owned: the body beyond inline_size */
    uint8_t data[];                          /* exchange, routing key, properties, extra keys, inline body */
};

/* What a message is made of; everything is copied. */
struct message_spec {
    struct bytes exchange, routing_key; /* at most 255 bytes each */
    struct bytes properties;            /* flags and values, as codec/properties.h encodes them; BCC already removed */
    struct bytes extra_keys;            /* CC, then BCC: each a 4-byte big-endian length and bytes */
    uint16_t cc_count, deaths;
    uint64_t body_size;
    uint64_t expiration_ms;
    uint8_t flags, priority;
};

/* A message that still wants its body, unless body_size is 0.  The caller holds the only reference. */
struct message *message_create(const struct message_spec *spec);

/* A message with all of its body, which is at most MESSAGE_INLINE_MAX bytes.  The exchange, the routing key and the
 * properties of spec lie one behind the other, there are no extra keys and no deaths, and spec->body_size is ignored.
 */
struct message *message_create_whole(const struct message_spec *spec, struct bytes body);

/* Like message_create(), with the body of another, which it takes a reference to; spec->body_size is ignored. */
struct message *message_create_with_body(const struct message_spec *spec, struct message *body_of);

/* Appends b to the body.  b.len must not go beyond what is still missing. */
void message_fill(struct message *m, struct bytes b);

/* The same for bytes that come from elsewhere: where the next ones belong, and how many lie there in one piece, at
 * least one and none beyond the body, which must not be whole; then, that n of them were put there. */
uint8_t *message_room(struct message *m, size_t *n);
void message_grew(struct message *m, size_t n);

static inline uint64_t message_missing(const struct message *m)
{
    return m->body_size - m->body_filled;
}

/* Takes another reference; answers m, so that handing one on reads `entry->msg = message_ref(m)`. */
static inline struct message *message_ref(struct message *m)
{
    /* Whoever calls holds a reference already, so nothing needs ordering here. */
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* Gives one reference back.  NULL is allowed. */
void message_unref(struct message *m);

static inline struct bytes message_exchange(const struct message *m)
{
    return (struct bytes){.at = m->data, .len = m->exchange_len};
}

static inline struct bytes message_key(const struct message *m)
{
    return (struct bytes){.at = m->data + m->exchange_len, .len = m->key_len};
}

static inline struct bytes message_properties(const struct message *m)
{
    return (struct bytes){.at = m->data + m->exchange_len + m->key_len, .len = m->properties_len};
}

static inline struct bytes message_extra_keys(const struct message *m)
{
    return (struct bytes){.at = m->data + m->exchange_len + m->key_len + m->properties_len, .len = m->extra_keys_len};
}

/* The slice of the body that begins at offset: as much as lies in one piece, empty at the end.
 *     for (uint64_t at = 0; (b = message_body(m, at)).len > 0; at += b.len) …
 * Walking a body of many chunks from its start is linear: keep a struct body_walk for that. */
struct bytes message_body(const struct message *m, uint64_t offset);

/* All of it, of a message whose body is not larger than MESSAGE_INLINE_MAX. */
static inline struct bytes message_small_body(const struct message *m)
{
    const struct message *of = m->body_of != NULL ? m->body_of : m;
    size_t names = (size_t)of->exchange_len + of->key_len + of->properties_len + of->extra_keys_len;
    return (struct bytes){.at = of->data + names, .len = of->inline_size};
}

struct body_walk {
    const struct message *m; /* borrowed */
    const struct message_chunk *chunk;
    bool inline_done;
};

struct body_walk message_walk(const struct message *m);
struct bytes body_walk_next(struct body_walk *w); /* empty at the end */

/* Bytes of memory the message takes; a body that is another's counts as if it were its own. */
static inline uint64_t message_cost(const struct message *m)
{
    return sizeof *m + m->exchange_len + m->key_len + m->properties_len + m->extra_keys_len + m->body_size;
}

/* What one delivery of m takes of its client's window (port/command.h, WINDOW): both sides reckon with this. */
static inline uint64_t message_window_cost(const struct message *m)
{
    return 64 + (uint64_t)m->exchange_len + m->key_len + m->properties_len + m->body_size;
}
#endif
