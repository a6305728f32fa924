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

#define MESSAGE_BODY_MAX UINT32_MAX
#define MESSAGE_NO_EXPIRATION UINT64_MAX

enum message_flag {
    MESSAGE_PERSISTENT = 1 << 0,      /* delivery-mode is 2 */
    MESSAGE_HAS_HEADERS = 1 << 1,     /* there is a headers table, maybe empty */
    MESSAGE_HAS_DEAD_LETTER = 1 << 4, /* with x-dead-letter-exchange or -routing-key: for its dead letter */
    MESSAGE_IS_RARE = 1 << 7,         /* this module's own, not to be remembered: there is a struct message_rare */
};

struct message_chunk {
    struct message_chunk *next;
    uint32_t size;   /* bytes it holds, once the message is whole */
    uint32_t filled; /* bytes that are there */
    uint8_t at[];
};

/* What few messages have: it lies before those that do. */
struct message_rare {
    struct message *body_of;                 /* shared: whose body this is; NULL: its own */
    struct message_chunk *more, *last_chunk; /* owned: the body beyond what is inline */
    uint64_t expiration_ms;                  /* relative, as published; MESSAGE_NO_EXPIRATION: none */
    uint32_t extra_keys_len;
    uint16_t cc_count; /* how many of the extra keys came by CC; the rest by BCC */
    uint16_t deaths;   /* how many of its x-death entries, from the first, the broker recorded itself */
};

/* Read freely; written by this module alone.  There are millions of them: no member without need. */
struct message {
    atomic_uint refs;
    uint8_t flags; /* enum message_flag */
    uint8_t priority;
    uint8_t exchange_len, key_len;
    uint32_t properties_len;
    uint32_t body_size; /* as the content header announced */
    int64_t arrived_ms; /* the model's own: when it came into its queues, instant.ms; perhaps before the start */
    union {
        uint32_t missing; /* how much of the body is still to come, and then … */
        uint32_t entries; /* … the model's own, on its thread: how many queue entries hold the message */
    };
    atomic_uint kept; /* places that records have given it and nobody has settled yet, and one; 0: there was none */
    uint8_t data[];   /* exchange, routing key, properties, extra keys, inline body */
};

/* What a message is made of; everything is copied. */
struct message_spec {
    struct bytes exchange, routing_key; /* at most 255 bytes each */
    struct bytes properties;            /* flags and values, as codec/properties.h encodes them; BCC already removed */
    struct bytes extra_keys;            /* CC, then BCC: each a 4-byte big-endian length and bytes */
    uint16_t cc_count, deaths;
    uint64_t body_size; /* at most MESSAGE_BODY_MAX */
    uint64_t expiration_ms;
    uint8_t flags, priority; /* MESSAGE_IS_RARE is ignored */
};

/* A message that still wants its body, unless body_size is 0.  The caller holds the only reference. */
struct message *message_create(const struct message_spec *spec);

/* A message with all of its body, which is at most MESSAGE_INLINE_MAX bytes; spec->body_size is ignored. */
struct message *message_create_whole(const struct message_spec *spec, struct bytes body);

/* One like the pattern but for its body, which is whole, and at most MESSAGE_INLINE_MAX bytes.  The pattern has none,
 * and has been in no queue. */
struct message *message_create_like(const struct message *pattern, struct bytes body);

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
    return m->missing;
}

/* Takes another reference; answers m, so that handing one on reads `entry->msg = message_ref(m)`. */
static inline struct message *message_ref(struct message *m)
{
    /* Whoever calls holds a reference already, so nothing needs ordering here. */
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* Takes n more at once. */
static inline void message_ref_many(struct message *m, unsigned n)
{
    atomic_fetch_add_explicit(&m->refs, n, memory_order_relaxed);
}

/* On the model's thread: a record gives it a place, and a record of its own, which belongs to no transaction, says that
 * it is done with there. */
static inline void message_keep(struct message *m)
{
    unsigned kept = atomic_load_explicit(&m->kept, memory_order_relaxed);
    atomic_store_explicit(&m->kept, kept == 0 ? 2 : kept + 1, memory_order_relaxed);
}

static inline void message_unkeep(struct message *m)
{
    unsigned kept = atomic_load_explicit(&m->kept, memory_order_relaxed);
    if (kept > 1)
        atomic_store_explicit(&m->kept, kept - 1, memory_order_relaxed);
}

/* It had places, and is done with in all of them: what was not written of it need not be (docs/adr/0014).  Any thread.
 */
static inline bool message_is_settled(const struct message *m)
{
    return atomic_load_explicit(&m->kept, memory_order_relaxed) == 1;
}

/* Gives one reference back.  NULL is allowed. */
void message_unref(struct message *m);

/* NULL: it has nothing rare. */
static inline const struct message_rare *message_rare(const struct message *m)
{
    return (m->flags & MESSAGE_IS_RARE) != 0 ? (const struct message_rare *)(const void *)m - 1 : NULL;
}

static inline uint64_t message_expiration_ms(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r != NULL ? r->expiration_ms : MESSAGE_NO_EXPIRATION;
}

static inline uint16_t message_deaths(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r != NULL ? r->deaths : 0;
}

static inline uint16_t message_cc_count(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r != NULL ? r->cc_count : 0;
}

static inline uint32_t message_extra_keys_len(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r != NULL ? r->extra_keys_len : 0;
}

/* How many bytes lie before the body, in data. */
static inline size_t message_names_size(const struct message *m)
{
    return (size_t)m->exchange_len + m->key_len + m->properties_len + message_extra_keys_len(m);
}

/* Does all of its body lie in data, behind the names? */
static inline bool message_is_in_one_piece(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    return r == NULL || (r->body_of == NULL && m->body_size <= MESSAGE_INLINE_MAX);
}

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
    return (struct bytes){.at = m->data + m->exchange_len + m->key_len + m->properties_len,
                          .len = message_extra_keys_len(m)};
}

/* The slice of the body that begins at offset: as much as lies in one piece, empty at the end.
 *     for (uint64_t at = 0; (b = message_body(m, at)).len > 0; at += b.len) …
 * Walking a body of many chunks from its start is linear: keep a struct body_walk for that. */
struct bytes message_body(const struct message *m, uint64_t offset);

/* All of it, of a message whose body is not larger than MESSAGE_INLINE_MAX. */
static inline struct bytes message_small_body(const struct message *m)
{
    const struct message_rare *r = message_rare(m);
    const struct message *of = r != NULL && r->body_of != NULL ? r->body_of : m;
    return (struct bytes){.at = of->data + message_names_size(of), .len = of->body_size};
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
    return sizeof *m + ((m->flags & MESSAGE_IS_RARE) != 0 ? sizeof(struct message_rare) : 0) + message_names_size(m) +
           m->body_size;
}

/* What one delivery of m takes of its client's window (port/command.h, WINDOW): both sides reckon with this. */
static inline uint64_t message_window_cost(const struct message *m)
{
    return 64 + (uint64_t)m->exchange_len + m->key_len + m->properties_len + m->body_size;
}
#endif
