#include "base/heap.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { HEAP_KEEP = 64 }; /* room that an emptied heap keeps */

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void put(struct heap *h, size_t at, struct heap_node *n)
{
    h->nodes[at] = n;
    n->index = at;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *n)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (h->nodes[parent]->key <= n->key)
            break;
        put(h, at, h->nodes[parent]);
        at = parent;
    }
    put(h, at, n);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *n)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (n->key <= h->nodes[child]->key)
            break;
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, n);
}

static void place(struct heap *h, size_t at, struct heap_node *n)
{
    if (at > 0 && n->key < h->nodes[(at - 1) / 2]->key)
        sift_up(h, at, n);
    else
        sift_down(h, at, n);
}

void heap_add(struct heap *h, struct heap_node *n, uint64_t key)
{
    CHECK(!heap_has(n));
    if (h->count == h->capacity) {
        h->capacity = alloc_grown(h->capacity, h->count + 1);
        h->nodes = alloc_array(h->nodes, h->capacity, sizeof(struct heap_node *));
    }
    n->key = key;
    sift_up(h, h->count++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (!heap_has(n))
        return;
    size_t at = n->index;
    CHECK(at < h->count && h->nodes[at] == n);
    struct heap_node *last = h->nodes[--h->count];
    if (last != n)
        place(h, at, last);
    n->index = HEAP_NOWHERE;
    if (h->count == 0 && h->capacity > HEAP_KEEP) {
        free(h->nodes);
        h->nodes = NULL;
        h->capacity = 0;
    }
}

void heap_set(struct heap *h, struct heap_node *n, uint64_t key)
{
    if (!heap_has(n)) {
        heap_add(h, n, key);
        return;
    }
    n->key = key;
    place(h, n->index, n);
}
