#include "base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

/* AddressSanitizer is to see each block come and go. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_KEPT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_KEPT 0
#endif
#endif
#ifndef IS_KEPT
#define IS_KEPT 1
#else
/* Of the sanitizer, whose header not every compiler has. */
size_t __sanitizer_get_allocated_size(const volatile void *at); // NOLINT(bugprone-reserved-identifier,cert-dcl37-c)
#endif

/* Sizes: by STEP up to FINE_MAX, always half a step more, which is what malloc() has to give away; then PER_DOUBLING to
 * each power of two, so at most an eighth is wasted. */
enum { STEP = 16, STEP_BITS = 4, FINE_MAX = 256, FINE_BITS = 8, PER_DOUBLING = 8, PER_BITS = 3 };
enum { FINE_CLASSES = FINE_MAX / STEP + 1, CLASSES = FINE_CLASSES + 11 * PER_DOUBLING };

/* A free block, in its own first bytes. */
struct block {
    struct block *next;
    struct block *next_magazine; /* the first of a magazine in the depot: the next one there */
};

struct rack {
    struct block *first; /* owned: fewer than two magazines; the newest first, which the cache knows best */
    unsigned room;       /* how many more it takes, until they are a magazine */
    struct block *rest;  /* owned: a whole magazine below them, or NULL */
};

static _Thread_local struct rack racks[CLASSES];

static struct depot {
    pthread_mutex_t lock;
    struct block *magazines[CLASSES]; /* owned: full ones */
    size_t bytes;
} depot = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline unsigned class_of(size_t size)
{
    if (size <= FINE_MAX)
        return (unsigned)((size + STEP / 2 - 1) >> STEP_BITS);
    /* The three bits behind the leading one, of size - 1, say which eighth; the next one holds it. */
    unsigned top = 63U - (unsigned)__builtin_clzll(size - 1), shift = top - PER_BITS;
    return FINE_CLASSES + (top - FINE_BITS) * PER_DOUBLING + (unsigned)((size - 1) >> shift & (PER_DOUBLING - 1));
}

static inline size_t class_room(unsigned class)
{
    if (class < FINE_CLASSES)
        return ((size_t)(class == 0 ? 1 : class) << STEP_BITS) + STEP / 2;
    unsigned coarse = class - FINE_CLASSES, top = FINE_BITS + coarse / PER_DOUBLING;
    return (size_t)(PER_DOUBLING + coarse % PER_DOUBLING + 1) << (top - PER_BITS);
}

static inline unsigned magazine_blocks(unsigned class)
{
    size_t n = POOL_MAGAZINE_BYTES / class_room(class);
    return n > POOL_MAGAZINE_BLOCKS  ? POOL_MAGAZINE_BLOCKS
           : n < POOL_MAGAZINE_LEAST ? POOL_MAGAZINE_LEAST
                                     : (unsigned)n;
}

static void magazine_free(struct block *b)
{
    for (struct block *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
}

/* A magazine of this size from the depot; NULL: it has none. */
static struct block *depot_take(unsigned class)
{
    pthread_mutex_lock(&depot.lock);
    struct block *b = depot.magazines[class];
    if (b != NULL) {
        depot.magazines[class] = b->next_magazine;
        depot.bytes -= magazine_blocks(class) * class_room(class);
    }
    pthread_mutex_unlock(&depot.lock);
    return b;
}

/* Leaves a full magazine there; frees it if there is no room. */
static void depot_leave(unsigned class, struct block *b)
{
    const size_t bytes = magazine_blocks(class) * class_room(class);
    pthread_mutex_lock(&depot.lock);
    const bool has_room = depot.bytes + bytes <= POOL_DEPOT_BYTES;
    if (has_room) {
        b->next_magazine = depot.magazines[class];
        depot.magazines[class] = b;
        depot.bytes += bytes;
    }
    pthread_mutex_unlock(&depot.lock);
    if (!has_room)
        magazine_free(b);
}

/* The rack is empty above its whole magazine. */
static void *refill(struct rack *r, unsigned class)
{
    struct block *b = r->rest != NULL ? r->rest : depot_take(class);
    r->rest = NULL;
    if (b == NULL)
        return alloc(class_room(class));
    r->first = b->next;
    r->room = 1;
    return b;
}

/* The rack has a whole magazine above the other, or was never used. */
static void make_room(struct rack *r, unsigned class)
{
    if (r->first != NULL) {
        if (r->rest != NULL)
            depot_leave(class, r->rest);
        r->rest = r->first;
    }
    r->first = NULL;
    r->room = magazine_blocks(class);
}

void *pool_alloc(size_t size)
{
    if (!IS_KEPT || size > POOL_BLOCK_MAX)
        return alloc(size);
    unsigned class = class_of(size);
    struct rack *r = &racks[class];
    struct block *b = r->first;
    if (b == NULL)
        return refill(r, class);
    r->first = b->next;
    r->room++;
    __builtin_prefetch(r->first, 1);
    return b;
}

/* A size that is not the one asked for would put the block among those of another size: only here can that be seen. */
static inline void check_size(const void *at, size_t size)
{
#if !IS_KEPT
    CHECK(at == NULL || __sanitizer_get_allocated_size(at) == (size > 0 ? size : 1));
#else
    (void)at;
    (void)size;
#endif
}

void pool_free(void *at, size_t size)
{
    check_size(at, size);
    if (!IS_KEPT || size > POOL_BLOCK_MAX || at == NULL) {
        free(at);
        return;
    }
    unsigned class = class_of(size);
    struct rack *r = &racks[class];
    struct block *b = at;
    if (r->room == 0)
        make_room(r, class);
    b->next = r->first;
    r->first = b;
    r->room--;
}

size_t pool_room(size_t size)
{
    return !IS_KEPT || size > POOL_BLOCK_MAX ? size : class_room(class_of(size));
}

void pool_trim(void)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        for (struct block *b; (b = depot_take(class)) != NULL;)
            magazine_free(b);
        magazine_free(racks[class].first);
        magazine_free(racks[class].rest);
        racks[class] = (struct rack){0};
    }
}

size_t pool_kept(void)
{
    pthread_mutex_lock(&depot.lock);
    size_t bytes = depot.bytes;
    pthread_mutex_unlock(&depot.lock);
    return bytes;
}
