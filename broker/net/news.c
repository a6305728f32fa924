#include "broker/net/news.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/net/hub.h"

void news_init(struct news *n, struct lane *lane)
{
    *n = (struct news){.lane = lane, .parcel.kind = PARCEL_NEWS};
    pthread_mutex_init(&n->lock, NULL);
}

void news_items_fini(struct news_items *items)
{
    for (size_t i = 0; i < items->n_loads; i++)
        load_destroy(items->loads[i]);
    free((void *)items->loads);
    *items = (struct news_items){0};
}

void news_fini(struct news *n)
{
    news_items_fini(&n->items);
    pthread_mutex_destroy(&n->lock);
}

/* Ends a change, and says that there is one. */
static void news_unlock(struct news *n)
{
    bool must_post = !n->is_posted;
    n->is_posted = true;
    pthread_mutex_unlock(&n->lock);
    if (must_post)
        lane_post(n->lane, &n->parcel);
}

void news_tell_durable(struct news *n, uint64_t position, uint64_t changes)
{
    pthread_mutex_lock(&n->lock);
    CHECK(position >= n->items.durable && changes >= n->items.changes && changes >= position);
    n->items.durable = position;
    n->items.changes = changes;
    news_unlock(n);
}

void news_tell_loaded(struct news *n, struct load *l)
{
    pthread_mutex_lock(&n->lock);
    if (n->items.n_loads == n->items.capacity) {
        n->items.capacity = alloc_grown(n->items.capacity, n->items.n_loads + 1);
        n->items.loads = alloc_array((void *)n->items.loads, n->items.capacity, sizeof(struct load *));
    }
    n->items.loads[n->items.n_loads++] = l;
    news_unlock(n);
}

void news_tell_alarms(struct news *n, unsigned alarms)
{
    pthread_mutex_lock(&n->lock);
    n->items.alarms = alarms;
    n->items.has_alarms = true;
    news_unlock(n);
}

void news_tell_tuning(struct news *n, const struct broker_tuning *t)
{
    pthread_mutex_lock(&n->lock);
    n->items.tuning = *t;
    n->items.has_tuning = true;
    news_unlock(n);
}

void news_tell_shutdown(struct news *n)
{
    pthread_mutex_lock(&n->lock);
    n->items.is_shutting_down = true;
    news_unlock(n);
}

void news_ask(struct news *n)
{
    pthread_mutex_lock(&n->lock);
    n->items.is_asked = true;
    news_unlock(n);
}

void news_take(struct news *n, struct news_items *items)
{
    struct load **room = items->loads;
    size_t capacity = items->capacity;
    pthread_mutex_lock(&n->lock);
    *items = n->items;
    n->items =
        (struct news_items){.durable = items->durable, .changes = items->changes, .loads = room, .capacity = capacity};
    n->is_posted = false;
    pthread_mutex_unlock(&n->lock);
}
