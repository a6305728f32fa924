/* The bindings of an exchange that picks one of them: an array, so that the nth is found at once.  A binding comes to
 * its end and goes in constant time; the order is by destination when somebody asks for that, which costs a sort after
 * each change.
 */
#ifndef BROKER_MODEL_ROSTER_H
#define BROKER_MODEL_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;

struct seat {
    struct binding *binding; /* borrowed */
    uint64_t hash;           /* of the destination's name; the same in every process */
    double weight;
};

struct roster {
    struct seat *seats; /* owned */
    size_t n, capacity;
    bool is_sorted;
};

struct roster *roster_create(void);
void roster_destroy(struct roster *r);

/* The binding has a seat from now on, binding->seat, until it is removed. */
void roster_add(struct roster *r, struct binding *bd, double weight);
void roster_remove(struct roster *r, struct binding *bd);

/* Orders the seats by what they lead to: queues by name, then exchanges. */
void roster_sort(struct roster *r);
#endif
