#include "broker/model/dedup.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/siphash.h"
#include "base/str.h"
#include "broker/model/dedup_state.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/load.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

/* ---- Keys. */

/* The hash of a field's value: integers of every width are one kind, everything else is as it was written. */
static void hash_field(const struct dedup *d, const struct field *f, uint64_t hash[2])
{
    uint8_t integer[8];
    bool is_integer = field_is_integer(f);
    bool has_bytes = f->type == 'S' || f->type == 'x' || f->type == 'A' || f->type == 'F';
    struct pen p = pen_over(integer, sizeof integer);
    if (is_integer)
        pen_u64(&p, (uint64_t)f->integer);
    const uint64_t secret[2] = {d->secret[0], d->secret[1] ^ (uint8_t)(is_integer ? 'l' : f->type)};
    siphash128(secret, is_integer ? pen_written(&p) : has_bytes ? f->bytes : f->raw, hash);
}

/* False: the message has no key. */
static bool read_key(struct dedup *d, const struct message *msg, struct dedup_pending *out)
{
    struct properties p;
    struct field f;
    if ((msg->flags & MESSAGE_HAS_HEADERS) == 0 || !properties_decode(message_properties(msg), &p) ||
        !table_find(p.headers, d->header, &f))
        return false;
    out->cache = d;
    hash_field(d, &f, out->hash);
    out->ttl_ms = d->ttl_ms;
    if (table_find(p.headers, BYTES("x-cache-ttl"), &f) && field_is_integer(&f) && f.integer >= 0)
        out->ttl_ms = (uint64_t)f.integer;
    return true;
}

static struct dedup_key *key_find(const struct dedup *d, const uint64_t hash[2])
{
    for (struct map_node *n = map_first(&d->keys, hash[0]); n != NULL; n = map_next(n)) {
        struct dedup_key *k = item_of(n, struct dedup_key, in_keys);
        if (k->rest == hash[1])
            return k;
    }
    return NULL;
}

static void key_forget(struct broker *b, struct dedup *d, struct dedup_key *k)
{
    if (k->is_stored)
        remember_key_gone(b, d->store->id, k->position);
    map_remove(&d->keys, &k->in_keys);
    list_remove(&k->by_age);
    b->dedup.bytes -= sizeof *k;
    free(k);
}

static struct dedup_key *oldest(const struct dedup *d)
{
    return list_is_empty(&d->ages) ? NULL : item_of(d->ages.ring.next, struct dedup_key, by_age);
}

struct dedup_key *dedup_add_key(struct broker *b, struct dedup *d, const uint64_t hash[2], uint64_t expires_at,
                                uint64_t position)
{
    struct dedup_key *k;
    while ((k = oldest(d)) != NULL && (k->expires_at <= b->now.ms || d->keys.count >= d->size_max))
        key_forget(b, d, k);
    k = alloc(sizeof *k);
    *k = (struct dedup_key){.rest = hash[1], .expires_at = expires_at, .position = position};
    map_add(&d->keys, &k->in_keys, hash[0]);
    list_append(&d->ages, &k->by_age);
    b->dedup.bytes += sizeof *k;
    return k;
}

/* Its key, if it has not had its time. */
struct dedup_key *dedup_find_key(struct broker *b, struct dedup *d, const uint64_t hash[2])
{
    struct dedup_key *k = key_find(d, hash);
    if (k == NULL || k->expires_at > b->now.ms)
        return k;
    key_forget(b, d, k);
    return NULL;
}

static uint64_t deadline(const struct broker *b, uint64_t ttl_ms)
{
    return ttl_ms > UINT64_MAX - b->now.ms ? DEDUP_FOREVER : b->now.ms + ttl_ms;
}

/* ---- Caches. */

static struct bytes bytes_copy(struct bytes b)
{
    return bytes_of(str_copy(b), b.len);
}

static struct dedup *create(struct broker *b, struct vhost *v, struct bytes header)
{
    struct dedup *d = alloc_zeroed(sizeof *d);
    d->vhost = v;
    d->header = bytes_copy(header.len > 0 ? header : BYTES("x-deduplication-header"));
    d->secret[0] = hash_mix(b->hash_seed, b->next_queue_id);
    d->secret[1] = hash_mix(d->secret[0], b->hash_seed);
    d->ttl_ms = DEDUP_FOREVER;
    map_init(&d->keys);
    list_init(&d->ages);
    link_init(&d->wanting);
    return d;
}

static uint64_t size_said(uint64_t n)
{
    return n == SPEC_NONE || n == 0 ? DEDUP_SIZE : n > DEDUP_SIZE_MAX ? DEDUP_SIZE_MAX : n;
}

struct dedup *dedup_create_for_queue(struct broker *b, struct queue *q)
{
    const struct queue_options *o = q->options;
    if (!o->deduplicates || o->type == QUEUE_STREAM || q->spec->is_reply)
        return NULL;
    struct dedup *d = create(b, q->vhost, o->deduplication_header);
    d->queue = q;
    d->is_by_queue = o->cache_ttl_ms == SPEC_NONE;
    d->size_max = d->is_by_queue ? DEDUP_SIZE_MAX : size_said(o->cache_size);
    d->ttl_ms = o->cache_ttl_ms;
    d->keeps = q->spec->durable && !d->is_by_queue;
    b->dedup.queues++;
    return d;
}

static bool is_of_type(const struct spec *spec)
{
    return bytes_equal(spec->type, BYTES("x-message-deduplication"));
}

static bool find_number(struct bytes arguments, const char *key, uint64_t *out)
{
    struct field f;
    bool found = table_find(arguments, bytes_of_string(key), &f) && field_is_integer(&f) && f.integer > 0;
    if (found)
        *out = (uint64_t)f.integer;
    return found;
}

struct dedup *dedup_create_for_exchange(struct broker *b, struct exchange *x)
{
    struct bytes arguments = x->spec->arguments;
    struct field f;
    uint64_t size = SPEC_NONE;
    bool is_on = table_find(arguments, BYTES("x-message-deduplication"), &f) && f.type == 't' && f.boolean;
    if (!is_of_type(x->spec) && !is_on)
        return NULL;
    struct dedup *d = create(b, x->vhost, table_find_string(arguments, "x-deduplication-header"));
    d->exchange = x;
    find_number(arguments, "x-cache-size", &size);
    d->size_max = size_said(size);
    find_number(arguments, "x-cache-ttl", &d->ttl_ms);
    d->keeps = x->spec->durable && !bytes_equal(table_find_string(arguments, "x-cache-persistence"), BYTES("memory"));
    b->dedup.exchanges++;
    return d;
}

void dedup_destroy(struct broker *b, struct dedup *d)
{
    struct dedup_key *k;
    if (d == NULL)
        return;
    dedup_end_learning(b, d);
    list_each (k, &d->ages, struct dedup_key, by_age) {
        k->is_stored = false; /* it goes with its store */
        key_forget(b, d, k);
    }
    if (d->store != NULL)
        dedup_store_remove(b, d->store);
    b->dedup.exchanges -= d->exchange != NULL;
    b->dedup.queues -= d->queue != NULL;
    map_fini(&d->keys);
    free((void *)(uintptr_t)d->header.at);
    free(d);
}

static char *refuse_number(struct bytes arguments, const char *key, bool is_needed)
{
    struct field f;
    bool found = table_find(arguments, bytes_of_string(key), &f);
    if ((!found && !is_needed) || (found && field_is_integer(&f) && f.integer > 0))
        return NULL;
    return str_format("%s argument, '%s' must be an integer greater than 0",
                      is_needed ? "Missing or invalid" : "Invalid", key);
}

char *dedup_refuse(const struct spec *spec)
{
    struct field f;
    bool is_on = table_find(spec->arguments, BYTES("x-message-deduplication"), &f) && f.type == 't' && f.boolean;
    if (!is_of_type(spec) && !is_on)
        return NULL;
    char *why = refuse_number(spec->arguments, "x-cache-size", is_of_type(spec));
    if (why == NULL)
        why = refuse_number(spec->arguments, "x-cache-ttl", false);
    bool has = table_find(spec->arguments, BYTES("x-cache-persistence"), &f);
    bool is_word =
        has && f.type == 'S' && (bytes_equal(f.bytes, BYTES("disk")) || bytes_equal(f.bytes, BYTES("memory")));
    if (why == NULL && has && !is_word)
        why = str_copy(BYTES("Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'"));
    return why;
}

/* ---- A message on its way. */

bool dedup_visit(struct broker *b, struct dedup *d, const struct message *msg)
{
    struct dedup_round *r = &b->dedup.round;
    struct dedup_pending p;
    if (message_deaths(msg) > 0 || !read_key(d, msg, &p))
        return true;
    r->is_persistent = (msg->flags & MESSAGE_PERSISTENT) != 0;
    if (dedup_find_key(b, d, p.hash) != NULL) {
        r->is_duplicate = true;
        return false;
    }
    if (r->n < DEDUP_ROUND_MAX)
        r->keys[r->n++] = p;
    return true;
}

static bool is_to_be_stored(const struct broker *b, const struct dedup_round *round, struct queue *const *queues,
                            size_t n)
{
    for (unsigned i = 0; round != NULL && i < round->n; i++)
        if (round->keys[i].cache->keeps)
            return true;
    for (size_t i = 0; b->dedup.queues > 0 && i < n; i++)
        if (queues[i]->dedup != NULL && queues[i]->dedup->keeps)
            return true;
    return false;
}

bool dedup_begin(struct broker *b, const struct dedup_round *round, struct queue *const *queues, size_t n)
{
    b->dedup.n_stored = 0;
    bool is_tx = b->records && !b->is_in_tx && is_to_be_stored(b, round, queues, n);
    if (is_tx)
        remember_tx_begin(b);
    return is_tx;
}

/* It is known from now on; its record is written at the end, since places of the message may still come. */
static void learn(struct broker *b, const struct dedup_pending *p, uint64_t position, bool is_persistent)
{
    struct dedup_state *s = &b->dedup;
    dedup_add_key(b, p->cache, p->hash, deadline(b, p->ttl_ms), position);
    if (b->records && p->cache->keeps && is_persistent && s->n_stored < DEDUP_ROUND_MAX)
        s->stored[s->n_stored++] = *p;
}

static void learn_of_exchanges(struct broker *b, const struct dedup_round *round)
{
    for (unsigned i = 0; i < round->n; i++)
        learn(b, &round->keys[i], 0, round->is_persistent);
}

static void not_before(uint64_t *after, uint64_t position)
{
    if (*after < position)
        *after = position;
}

void dedup_end(struct broker *b, const struct dedup_round *round, bool is_taken, bool is_tx)
{
    struct dedup_state *s = &b->dedup;
    bool has_stored = false;
    if (round != NULL && is_taken)
        learn_of_exchanges(b, round);
    for (unsigned i = 0; i < s->n_stored; i++) {
        struct dedup_key *k = key_find(s->stored[i].cache, s->stored[i].hash);
        if (k == NULL)
            continue;
        dedup_store_key(b, s->stored[i].cache, k, &s->stored[i]);
        has_stored = true;
    }
    s->n_stored = 0;
    uint64_t commit = is_tx ? remember_tx_end(b) : 0;
    if (commit > 0 && (has_stored || b->publishing.after > 0))
        b->publishing.after = commit;
    /* The first may not be safe yet: then this one is not either. */
    if (round != NULL && round->is_duplicate)
        not_before(&b->publishing.after, b->position);
}

/* ---- Queues. */

/* A dead letter, or what an administrator moves, is no duplicate of itself: a cache lets it pass.  A queue's own rule
 * needs no such exception. */
static bool is_known_already(const struct broker *b, const struct dedup *d, const struct message *msg)
{
    return !d->is_by_queue && (message_deaths(msg) > 0 || b->dedup.is_moving);
}

bool dedup_stops(struct broker *b, struct queue *q, const struct message *msg)
{
    struct dedup_pending p;
    if (is_known_already(b, q->dedup, msg) || !read_key(q->dedup, msg, &p) ||
        dedup_find_key(b, q->dedup, p.hash) == NULL)
        return false;
    not_before(&b->publishing.after, b->position);
    return true;
}

bool dedup_knows(const struct broker *b, struct dedup *d, const struct message *msg)
{
    struct dedup_pending p;
    if ((!d->is_by_queue && message_deaths(msg) > 0) || !read_key(d, msg, &p))
        return false;
    const struct dedup_key *k = key_find(d, p.hash);
    return k != NULL && k->expires_at > b->now.ms;
}

void dedup_learn(struct broker *b, struct queue *q, const struct message *msg, uint64_t position)
{
    struct dedup_pending p;
    if (is_known_already(b, q->dedup, msg) || !read_key(q->dedup, msg, &p))
        return;
    if (q->dedup->is_by_queue)
        dedup_add_key(b, q->dedup, p.hash, DEDUP_FOREVER, position);
    else
        learn(b, &p, position, (msg->flags & MESSAGE_PERSISTENT) != 0);
}

void dedup_forget(struct broker *b, struct queue *q, const struct message *msg, uint64_t position)
{
    struct dedup_pending p;
    if (!q->dedup->is_by_queue || !read_key(q->dedup, msg, &p))
        return;
    struct dedup_key *k = key_find(q->dedup, p.hash);
    if (k != NULL && k->position == position)
        key_forget(b, q->dedup, k);
}

void dedup_forget_from(struct broker *b, struct queue *q, uint64_t position)
{
    struct dedup_key *k;
    if (!q->dedup->is_by_queue)
        return;
    list_each (k, &q->dedup->ages, struct dedup_key, by_age)
        if (k->position >= position)
            key_forget(b, q->dedup, k);
}

static bool has_come(const struct load *l, uint64_t position)
{
    uint32_t low = 0, high = l->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->entries[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->n && l->entries[low].position == position;
}

void dedup_forget_lost(struct broker *b, struct queue *q, const struct load *l, uint64_t from)
{
    struct dedup_key *k;
    if (!q->dedup->is_by_queue || l->lost == 0)
        return;
    list_each (k, &q->dedup->ages, struct dedup_key, by_age)
        if (k->position >= from && k->position < l->next && !has_come(l, k->position))
            key_forget(b, q->dedup, k);
}

bool dedup_reads_key(struct dedup *d, const struct message *msg, uint64_t hash[2])
{
    struct dedup_pending p;
    if (!read_key(d, msg, &p))
        return false;
    hash[0] = p.hash[0];
    hash[1] = p.hash[1];
    return true;
}

static void learn_ready(void *arg, struct entry *e)
{
    struct broker *b = arg;
    if (e->queue->dedup->is_by_queue && !dedup_stops(b, e->queue, e->msg))
        dedup_learn(b, e->queue, e->msg, e->position);
}

void dedup_refit(struct broker *b, struct queue *q)
{
    const struct queue_options *o = q->options;
    struct dedup *new = dedup_create_for_queue(b, q), *old = q->dedup;
    struct entry *e;
    if (new == NULL && old == NULL)
        return;
    if (new != NULL && old != NULL &&new->is_by_queue == old->is_by_queue &&bytes_equal(new->header, old->header)) {
        old->size_max = new->size_max;
        old->ttl_ms = o->cache_ttl_ms;
        dedup_destroy(b, new);
        return;
    }
    dedup_destroy(b, old);
    q->dedup = new;
    if (new == NULL)
        return;
    ready_each(&q->ready, learn_ready, b);
    list_each (e, &q->out, struct entry, in_queue)
        learn_ready(b, e);
}

/* ---- Invariants. */

void dedup_check(const struct broker *b, const struct dedup *d)
{
    const struct dedup_key *k;
    uint64_t n = 0;
    list_each (k, &d->ages, struct dedup_key, by_age) {
        CHECK(!k->is_stored || (b->records && d->store != NULL && k->position < d->store->next_position));
        n++;
    }
    CHECK(n == d->keys.count && n <= d->size_max);
    CHECK(d->store == NULL || (d->keeps && d->store->cache == d));
    CHECK((d->queue != NULL) != (d->exchange != NULL));
    CHECK(!link_is_linked(&d->wanting) || d->is_learning);
}
