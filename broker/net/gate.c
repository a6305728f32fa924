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
    free(g->fences);
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

static bool is_confirm(const struct event *e)
{
    return e->what == CONFIRMED || e->what == REFUSED;
}

/* What e has to wait for because of those that wait already. */
static uint64_t gate_fence(const struct gate *g, const struct event *e)
{
    size_t slot = e->to.outlet.slot;
    if (slot >= g->n_fences)
        return 0;
    return is_confirm(e) ? g->fences[slot].confirms : g->fences[slot].all;
}

/* e waits: nothing may overtake it from now on. */
static void gate_put_fence(struct gate *g, const struct event *e)
{
    size_t slot = e->to.outlet.slot;
    if (slot >= g->n_fences) {
        size_t n = alloc_grown(g->n_fences, slot + 1);
        g->fences = alloc_array(g->fences, n, sizeof *g->fences);
        for (size_t i = g->n_fences; i < n; i++)
            g->fences[i] = (struct fence){0};
        g->n_fences = n;
    }
    g->fence = g->fences[slot].all = e->after;
    if (e->what == RETURNED)
        g->fences[slot].confirms = e->after;
}

static void gate_keep(struct gate *g, const struct event *e, uint64_t after)
{
    if (g->count == g->capacity)
        gate_grow(g);
    if (g->count > 0) {
        const struct event *last = &g->waiting[(g->first + g->count - 1) % g->capacity];
        after = after > last->after ? after : last->after;
    }
    struct event *kept = &g->waiting[(g->first + g->count++) % g->capacity];
    *kept = *e;
    kept->after = after;
    if (!is_confirm(e))
        gate_put_fence(g, kept);
}

size_t gate_hold(struct gate *g, struct event *events, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t after = events[i].after;
        if (g->fence > g->durable) {
            uint64_t fence = gate_fence(g, &events[i]);
            after = after > fence ? after : fence;
        }
        if (after > g->durable) {
            gate_keep(g, &events[i], after);
            continue;
        }
        if (left != i)
            events[left] = events[i];
        left++;
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
