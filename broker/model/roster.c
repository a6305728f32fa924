#include "broker/model/roster.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"

/* Not the broker's seed, which nobody can guess: where a message goes must be the same after a restart. */
static const uint64_t PLACE_SEED = 0x6d696c6c72616365;

struct roster *roster_create(void)
{
    return alloc_zeroed(sizeof(struct roster));
}

void roster_destroy(struct roster *r)
{
    CHECK(r->n == 0);
    free(r->seats);
    free(r);
}

static struct bytes destination(const struct binding *bd)
{
    return bd->queue != NULL ? bd->queue->name : bd->to->name;
}

void roster_add(struct roster *r, struct binding *bd, double weight)
{
    if (r->n == r->capacity) {
        r->capacity = alloc_grown(r->capacity, r->n + 1);
        r->seats = alloc_array(r->seats, r->capacity, sizeof(struct seat));
    }
    bd->seat = r->n;
    r->seats[r->n++] = (struct seat){
        .binding = bd, .hash = hash_bytes(destination(bd), PLACE_SEED + (bd->queue == NULL)), .weight = weight};
    r->is_sorted = false;
}

void roster_remove(struct roster *r, struct binding *bd)
{
    CHECK(bd->seat < r->n && r->seats[bd->seat].binding == bd);
    struct seat last = r->seats[--r->n];
    r->seats[bd->seat] = last;
    last.binding->seat = bd->seat;
    r->is_sorted = false;
}

static int by_destination(const void *a, const void *b)
{
    const struct binding *x = ((const struct seat *)a)->binding, *y = ((const struct seat *)b)->binding;
    if ((x->queue != NULL) != (y->queue != NULL))
        return x->queue != NULL ? -1 : 1;
    return bytes_compare(destination(x), destination(y));
}

void roster_sort(struct roster *r)
{
    if (r->is_sorted)
        return;
    if (r->n > 1)
        qsort(r->seats, r->n, sizeof(struct seat), by_destination);
    for (size_t i = 0; i < r->n; i++)
        r->seats[i].binding->seat = i;
    r->is_sorted = true;
}
