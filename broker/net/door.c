#include "broker/net/door.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* Where guests come from; there while there are any. */
struct place {
    struct map_node in_door;
    uint8_t group[ADDRESS_GROUP_BYTES];
    struct list guests;
    size_t count, max;
};

void door_init(struct door *d, size_t max, size_t max_per_place)
{
    list_init(&d->guests);
    d->count = 0;
    d->max = max;
    d->max_per_place = max_per_place;
    map_init(&d->places);
}

void door_fini(struct door *d)
{
    CHECK(d->count == 0 && d->places.count == 0);
    map_fini(&d->places);
}

void guest_init(struct guest *g)
{
    link_init(&g->at_door);
    link_init(&g->at_place);
    g->place = NULL;
    g->since_ms = 0;
}

static struct place *place_find(const struct door *d, const uint8_t group[ADDRESS_GROUP_BYTES], uint64_t hash)
{
    for (struct map_node *n = map_first(&d->places, hash); n != NULL; n = map_next(n)) {
        struct place *p = item_of(n, struct place, in_door);
        if (memcmp(p->group, group, sizeof p->group) == 0)
            return p;
    }
    return NULL;
}

static uint64_t group_of(const struct address *from, uint8_t group[ADDRESS_GROUP_BYTES])
{
    address_group(from, group);
    return hash_bytes(bytes_of(group, ADDRESS_GROUP_BYTES), 0);
}

static struct place *place_get(struct door *d, const struct address *from)
{
    uint8_t group[ADDRESS_GROUP_BYTES];
    uint64_t hash = group_of(from, group);
    struct place *p = place_find(d, group, hash);
    if (p != NULL)
        return p;
    p = alloc_zeroed(sizeof *p);
    memcpy(p->group, group, sizeof group);
    p->max = address_is_unix(from) ? SIZE_MAX : d->max_per_place;
    list_init(&p->guests);
    map_add(&d->places, &p->in_door, hash);
    return p;
}

void door_enter(struct door *d, struct guest *g, const struct address *from, uint64_t now_ms)
{
    CHECK(g->place == NULL);
    g->place = place_get(d, from);
    g->since_ms = now_ms;
    list_append(&d->guests, &g->at_door);
    list_append(&g->place->guests, &g->at_place);
    d->count++;
    g->place->count++;
}

void door_leave(struct door *d, struct guest *g)
{
    struct place *p = g->place;
    if (p == NULL)
        return;
    list_remove(&g->at_door);
    list_remove(&g->at_place);
    g->place = NULL;
    d->count--;
    if (--p->count == 0) {
        map_remove(&d->places, &p->in_door);
        free(p);
    }
}

static struct guest *door_oldest(const struct door *d)
{
    return item_of(d->guests.ring.next, struct guest, at_door);
}

uint64_t door_ripe_at(const struct door *d)
{
    return d->count > 0 ? door_oldest(d)->since_ms + DOOR_GRACE_MS : UINT64_MAX;
}

bool door_is_full(const struct door *d)
{
    return d->count >= d->max;
}

/* Where most are; only a full door asks, so somebody is there. */
static const struct place *door_most_crowded(const struct door *d)
{
    const struct place *most = door_oldest(d)->place;
    const struct guest *g;
    list_each (g, &d->guests, struct guest, at_door)
        if (g->place->count > most->count)
            most = g->place;
    return most;
}

struct guest *door_rival(const struct door *d, const struct address *from, uint64_t now_ms)
{
    if (d->count == 0)
        return NULL;
    if (now_ms >= door_ripe_at(d))
        return door_oldest(d);
    uint8_t group[ADDRESS_GROUP_BYTES];
    uint64_t hash = group_of(from, group);
    const struct place *own = place_find(d, group, hash), *most = door_most_crowded(d);
    if (most->count < (own == NULL ? 0 : own->count) + 2)
        return NULL;
    return item_of(most->guests.ring.next, struct guest, at_place);
}

struct guest *door_overdue(const struct door *d, const struct guest *newest, uint64_t now_ms)
{
    if (d->count > d->max)
        return door_oldest(d);
    const struct place *p = newest->place;
    if (p == NULL || p->count <= p->max)
        return NULL;
    struct guest *oldest = item_of(p->guests.ring.next, struct guest, at_place);
    return now_ms - oldest->since_ms >= DOOR_GRACE_MS ? oldest : NULL;
}
