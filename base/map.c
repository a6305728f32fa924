#include "base/map.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { BUCKETS_MIN = 16 };

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    free(m->buckets);
    *m = (struct map){0};
}

/* Buckets are kept in the order that items came, also through a resize, so that a walk is the same on every run. */
static void bucket_append(struct map_node **bucket, struct map_node *n)
{
    n->next = *bucket;
    *bucket = n;
}

static void map_resize(struct map *m, size_t buckets)
{
    struct map_node **old = m->buckets;
    size_t olds = old == NULL ? 0 : m->mask + 1;
    m->buckets = alloc_zeroed(buckets * sizeof(struct map_node *));
    m->mask = buckets - 1;
    for (size_t i = 0; i < olds; i++) {
        for (struct map_node *n = old[i], *next; n != NULL; n = next) {
            next = n->next;
            bucket_append(&m->buckets[n->hash & m->mask], n);
        }
    }
    free(old);
}

void map_add(struct map *m, struct map_node *n, uint64_t hash)
{
    if (m->buckets == NULL)
        map_resize(m, BUCKETS_MIN);
    else if (m->count > m->mask)
        map_resize(m, (m->mask + 1) * 2);
    n->hash = hash;
    bucket_append(&m->buckets[hash & m->mask], n);
    m->count++;
}

void map_remove(struct map *m, struct map_node *n)
{
    struct map_node **at = &m->buckets[n->hash & m->mask];
    while (*at != n) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = n->next;
    m->count--;
    if (m->mask >= BUCKETS_MIN && m->count < m->mask / 8)
        map_resize(m, (m->mask + 1) / 2);
}

static struct map_node *same_hash(struct map_node *n, uint64_t hash)
{
    while (n != NULL && n->hash != hash)
        n = n->next;
    return n;
}

struct map_node *map_first(const struct map *m, uint64_t hash)
{
    return m->count == 0 ? NULL : same_hash(m->buckets[hash & m->mask], hash);
}

struct map_node *map_next(const struct map_node *n)
{
    return same_hash(n->next, n->hash);
}

struct map_node *map_walk(const struct map *m, const struct map_node *after)
{
    if (m->count == 0)
        return NULL;
    size_t bucket = 0;
    if (after != NULL) {
        if (after->next != NULL)
            return after->next;
        bucket = (after->hash & m->mask) + 1;
    }
    for (; bucket <= m->mask; bucket++)
        if (m->buckets[bucket] != NULL)
            return m->buckets[bucket];
    return NULL;
}

static uint64_t reverse_bits(uint64_t v)
{
    v = __builtin_bswap64(v);
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    return (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
}

/* The cursor counts buckets from its highest bit down: when a bucket is split in two or two become one, those already
 * seen stay behind the cursor, and those to be seen before it. */
uint64_t map_scan(const struct map *m, uint64_t cursor, void (*each)(void *arg, struct map_node *n), void *arg)
{
    if (m->count == 0)
        return 0;
    for (struct map_node *n = m->buckets[cursor & m->mask]; n != NULL; n = n->next)
        each(arg, n);
    cursor |= ~(uint64_t)m->mask;
    return reverse_bits(reverse_bits(cursor) + 1);
}

/* 64 by 64 bits to 128, folded: every bit of both counts. */
uint64_t hash_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    /* a and b once more: where one factor is zero, what the other knew is not lost. */
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ a ^ (b << 32 | b >> 32);
}

uint64_t hash_bytes(struct bytes b, uint64_t seed)
{
    uint64_t h = hash_mix(seed, b.len);
    while (b.len >= 8) {
        uint64_t word;
        memcpy(&word, b.at, 8);
        h = hash_mix(h, word);
        b = bytes_of(b.at + 8, b.len - 8);
    }
    uint64_t rest = 0;
    if (b.len > 0)
        memcpy(&rest, b.at, b.len);
    return hash_mix(h, rest);
}
