/* Intrusive binary heaps: the smallest key is on top.  Every operation but the top is O(log n).  For timers (keys are
 * times) and for requeued messages (keys are places in their queue). */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NOWHERE SIZE_MAX

struct heap_node {
    uint64_t key;
    size_t index; /* HEAP_NOWHERE: in no heap */
};

struct heap {
    struct heap_node **nodes; /* owned; the nodes are not */
    size_t count, capacity;
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h); /* forgets the items */

static inline void heap_node_init(struct heap_node *n)
{
    n->index = HEAP_NOWHERE;
}

static inline bool heap_has(const struct heap_node *n)
{
    return n->index != HEAP_NOWHERE;
}

static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->count == 0 ? NULL : h->nodes[0];
}

void heap_add(struct heap *h, struct heap_node *n, uint64_t key); /* must be in no heap */
void heap_remove(struct heap *h, struct heap_node *n);            /* nothing happens if it is in none */
void heap_set(struct heap *h, struct heap_node *n, uint64_t key); /* adds it, or gives it another key */
#endif
