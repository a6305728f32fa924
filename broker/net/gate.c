#include "broker/net/gate.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

struct waiting {
    struct event event;
    uint64_t number;
};

void gate_init(struct gate *g, uint64_t durable)
{
    *g = (struct gate){.durable = durable, .changes = durable};
}

static struct waiting *line_at(const struct gate_line *l, size_t i)
{
    return &l->at[(l->first + i) % l->capacity];
}

static void line_fini(struct gate_line *l)
{
    for (size_t i = 0; i < l->count; i++)
        event_drop(&line_at(l, i)->event);
    free(l->at);
}

void gate_fini(struct gate *g)
{
    line_fini(&g->sure);
    line_fini(&g->light);
    free(g->fences);
    gate_init(g, 0);
}

static struct waiting *line_add(struct gate_line *l)
{
    if (l->count == l->capacity) {
        size_t capacity = alloc_grown(l->capacity, l->count + 1);
        struct waiting *at = alloc_array(NULL, capacity, sizeof *at);
        for (size_t i = 0; i < l->count; i++)
            at[i] = *line_at(l, i);
        free(l->at);
        l->at = at;
        l->first = 0;
        l->capacity = capacity;
    }
    return line_at(l, l->count++);
}

static bool is_confirm(const struct event *e)
{
    return e->what == CONFIRMED || e->what == REFUSED;
}

/* Does it answer for publishes?  Those of its transaction, or whatever is still under way. */
static bool is_sure(const struct event *e)
{
    bool is_answer = e->what == DONE || e->what == FAILED;
    /* From a stream: its message must be safe (model/replay.c). */
    bool is_read = e->what == DELIVERED && e->delivered.stamp == STAMP_OFFSET;
    return is_confirm(e) || is_read || e->what == DETACHED || (is_answer && e->verb == RESET) ||
           (is_answer && e->verb == COMMIT && !e->nothing_published);
}

/* e waits: nothing may overtake it from now on. */
static void gate_put_fence(struct gate *g, const struct event *e, bool sure)
{
    size_t slot = e->to.outlet.slot;
    if (slot >= g->n_fences) {
        size_t n = alloc_grown(g->n_fences, slot + 1);
        g->fences = alloc_array(g->fences, n, sizeof *g->fences);
        for (size_t i = g->n_fences; i < n; i++)
            g->fences[i] = (struct fence){0};
        g->n_fences = n;
    }
    struct fence *f = &g->fences[slot];
    f->all = e->after;
    if (sure)
        f->sure = e->after;
    if (e->what == RETURNED)
        f->confirms = e->after;
    if (e->after > g->fence)
        g->fence = e->after;
}

static void gate_keep(struct gate *g, const struct event *e, uint64_t after, bool sure)
{
    struct gate_line *l = sure ? &g->sure : &g->light;
    if (l->count > 0) {
        uint64_t last = line_at(l, l->count - 1)->event.after;
        after = after > last ? after : last;
    }
    struct waiting *kept = line_add(l);
    *kept = (struct waiting){.event = *e, .number = ++g->held};
    kept->event.after = after;
    if (!is_confirm(e))
        gate_put_fence(g, &kept->event, sure);
}

/* True: it has to wait, and is kept.  What it has to wait for because of those that wait already is in the fences. */
static bool gate_holds(struct gate *g, const struct event *e)
{
    uint64_t after = e->after;
    bool sure = is_sure(e);
    if (g->fence > g->durable && e->to.outlet.slot < g->n_fences) {
        const struct fence *f = &g->fences[e->to.outlet.slot];
        bool has_fallen = f->all <= g->changes && f->sure <= g->durable;
        uint64_t fence = has_fallen ? 0 : is_confirm(e) ? f->confirms : f->all;
        after = after > fence ? after : fence;
        sure |= f->sure > g->durable && !is_confirm(e);
    }
    if (after <= (sure ? g->durable : g->changes))
        return false;
    gate_keep(g, e, after, sure);
    return true;
}

size_t gate_hold(struct gate *g, struct event *events, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (events[i].after <= g->durable && g->fence <= g->durable) {
            if (left != i)
                events[left] = events[i];
            left++;
        } else if (!gate_holds(g, &events[i])) {
            events[left++] = events[i];
        }
    }
    return left;
}

void gate_open(struct gate *g, uint64_t position, uint64_t changes)
{
    CHECK(position >= g->durable && changes >= g->changes && changes >= position);
    g->durable = position;
    g->changes = changes;
}

/* Its first event, if that may go. */
static const struct waiting *line_first(const struct gate_line *l, uint64_t durable)
{
    return l->count > 0 && line_at(l, 0)->event.after <= durable ? line_at(l, 0) : NULL;
}

bool gate_take(struct gate *g, struct event *e)
{
    const struct waiting *sure = line_first(&g->sure, g->durable), *light = line_first(&g->light, g->changes);
    if (sure == NULL && light == NULL)
        return false;
    bool is_sure_first = light == NULL || (sure != NULL && sure->number < light->number);
    struct gate_line *l = is_sure_first ? &g->sure : &g->light;
    *e = is_sure_first ? sure->event : light->event;
    l->first = (l->first + 1) % l->capacity;
    l->count--;
    return true;
}
