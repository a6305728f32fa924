#include "broker/net/gate.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

void gate_init(struct gate *g, uint64_t durable)
{
    *g = (struct gate){.durable = durable};
}

void gate_fini(struct gate *g)
{
    for (; g->count > 0; g->count--, g->first = (g->first + 1) % g->capacity)
        event_drop(&g->waiting[g->first]);
    free(g->waiting);
    gate_init(g, 0);
}

static void gate_grow(struct gate *g)
{
    size_t capacity = alloc_grown(g->capacity, g->count + 1);
    struct event *waiting = alloc_array(NULL, capacity, sizeof *waiting);
    for (size_t i = 0; i < g->count; i++)
        waiting[i] = g->waiting[(g->first + i) % g->capacity];
    free(g->waiting);
    g->waiting = waiting;
    g->first = 0;
    g->capacity = capacity;
}

size_t gate_hold(struct gate *g, struct event *events, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (events[i].after <= g->durable) {
            if (left != i)
                events[left] = events[i];
            left++;
            continue;
        }
        if (g->count == g->capacity)
            gate_grow(g);
        g->waiting[(g->first + g->count++) % g->capacity] = events[i];
    }
    return left;
}

void gate_open(struct gate *g, uint64_t position)
{
    CHECK(position >= g->durable);
    g->durable = position;
}

bool gate_take(struct gate *g, struct event *e)
{
    if (g->count == 0 || g->waiting[g->first].after > g->durable)
        return false;
    *e = g->waiting[g->first];
    g->first = (g->first + 1) % g->capacity;
    g->count--;
    return true;
}
