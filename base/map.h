/* Intrusive hash maps: the node lives in the item, the map never owns.  The map knows hashes only; whoever looks
 * something up walks the items of one hash and compares what makes them equal:
 *
 *     for (struct map_node *n = map_first(&m, hash); n != NULL; n = map_next(n))
 *         if (bytes_equal(item_of(n, struct queue, in_vhost)->name, name)) …
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"

struct map_node {
    struct map_node *next; /* in its bucket */
    uint64_t hash;
};

struct map {
    struct map_node **buckets; /* owned */
    size_t mask;               /* buckets less one; 0 while there are none */
    size_t count;
};

void map_init(struct map *m);
void map_fini(struct map *m); /* forgets the items */

void map_add(struct map *m, struct map_node *n, uint64_t hash);
void map_remove(struct map *m, struct map_node *n); /* must be in it */

struct map_node *map_first(const struct map *m, uint64_t hash);
struct map_node *map_next(const struct map_node *n); /* the next with the same hash */

/* Every item, in an order that depends on the hashes alone: start with NULL, ends with NULL.  The item that was
 * answered last must still be there. */
struct map_node *map_walk(const struct map *m, const struct map_node *after);

/* A walk in pieces, between which the map may change: calls each for the items of one bucket, and answers the cursor
 * for the next call; the first is 0, and 0 is answered when that was all.  What is there from the first call to the
 * last is seen at least once.  each changes nothing. */
uint64_t map_scan(const struct map *m, uint64_t cursor, void (*each)(void *arg, struct map_node *n), void *arg);

/* A well-mixed hash; seed it with what outsiders do not know. */
uint64_t hash_bytes(struct bytes b, uint64_t seed);
uint64_t hash_mix(uint64_t a, uint64_t b);
#endif
