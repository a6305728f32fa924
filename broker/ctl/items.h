/* A JSON array that comes in pieces, cut into its items without keeping more than one.
 *
 * It may also be an object with such an array under "items", the envelope of pages: then everything else in it is
 * passed over.  It only cuts: whether an item is good JSON is seen by who reads it.
 */
#ifndef BROKER_CTL_ITEMS_H
#define BROKER_CTL_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

typedef bool items_each_fn(const char *item, size_t len, void *arg);

struct items {
    size_t limit; /* of one item */
    items_each_fn *each;
    void *arg;
    char *at; /* owned: the item so far */
    size_t len, room;
    unsigned depth; /* of brackets within the item */
    bool is_in_string, is_escaped;
    bool is_over;   /* the array has ended */
    bool has_begun; /* its "[" was there */
    bool is_broken;
};

void items_init(struct items *i, size_t limit, items_each_fn *each, void *arg);
void items_fini(struct items *i);

/* False: an item is larger than the limit, each() answered false, or this is no array. */
bool items_feed(struct items *i, const char *bytes, size_t n);

/* True: the array came to its end. */
bool items_is_whole(const struct items *i);
#endif
