#include "amqp/unacked.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { ROOM_MIN = 16 };

enum place_state { HOLE, OUTSTANDING, SETTLED_IN_TX };

struct place {
    uint64_t tag : 62;
    uint64_t state : 2; /* enum place_state */
    ticket ticket;
};

struct unacked {
    struct place *ring;   /* owned */
    uint32_t mask;        /* places less one: a power of two less one */
    uint32_t head, count; /* places in use, holes included; the first and the last are no holes */
    uint32_t outstanding, in_tx;
    uint32_t clear; /* so many places from the head on hold nothing outstanding */
};

struct unacked *unacked_create(void)
{
    struct unacked *u = alloc(sizeof *u);
    *u = (struct unacked){.ring = alloc_array(NULL, ROOM_MIN, sizeof *u->ring), .mask = ROOM_MIN - 1};
    return u;
}

void unacked_destroy(struct unacked *u)
{
    if (u == NULL)
        return;
    free(u->ring);
    free(u);
}

static struct place *place_at(const struct unacked *u, uint32_t i)
{
    return &u->ring[(u->head + i) & u->mask];
}

/* Moves everything but holes into a ring of that many places. */
static void unacked_move(struct unacked *u, uint32_t room)
{
    struct place *ring = alloc_array(NULL, room, sizeof *ring);
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->count; i++)
        if (place_at(u, i)->state != HOLE)
            ring[n++] = *place_at(u, i);
    free(u->ring);
    u->ring = ring;
    u->mask = room - 1;
    u->head = 0;
    u->count = n;
    u->clear = 0;
}

void unacked_push(struct unacked *u, uint64_t tag, ticket t)
{
    uint32_t room = u->mask + 1;
    CHECK(u->count == 0 || tag > place_at(u, u->count - 1)->tag);
    if (u->count == room) {
        bool half_empty = u->outstanding + u->in_tx <= room / 2;
        CHECK(half_empty || room <= UINT32_MAX / 4);
        unacked_move(u, half_empty ? room : room * 2);
    }
    *place_at(u, u->count++) = (struct place){.tag = tag & (UINT64_MAX >> 2), .state = OUTSTANDING, .ticket = t};
    u->outstanding++;
}

/* Drops so many places from the head. */
static void unacked_advance(struct unacked *u, uint32_t n)
{
    u->head = (u->head + n) & u->mask;
    u->count -= n;
    u->clear -= u->clear < n ? u->clear : n;
}

/* Drops the holes at both ends. */
static void unacked_trim(struct unacked *u)
{
    uint32_t holes = 0;
    while (holes < u->count && place_at(u, holes)->state == HOLE)
        holes++;
    unacked_advance(u, holes);
    while (u->count > 0 && place_at(u, u->count - 1)->state == HOLE)
        u->count--;
    if (u->clear > u->count)
        u->clear = u->count;
    if (u->count == 0 && u->mask >= ROOM_MIN * 64)
        unacked_move(u, ROOM_MIN);
}

/* The place of a tag; UINT32_MAX: it has none.  Without holes it is where its distance from the first tag says, with
 * them it is before that. */
static uint32_t unacked_search(const struct unacked *u, uint64_t tag)
{
    uint64_t first = u->count > 0 ? place_at(u, 0)->tag : UINT64_MAX;
    if (tag <= first)
        return tag == first ? 0 : UINT32_MAX;
    uint64_t distance = tag - first;
    uint32_t low = 0, high = distance < u->count ? (uint32_t)distance : u->count - 1;
    if (place_at(u, high)->tag == tag)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (place_at(u, middle)->tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return place_at(u, low)->tag == tag ? low : UINT32_MAX;
}

/* Settles what is outstanding in the places from first to last. */
static void settle_places(struct unacked *u, uint32_t first, uint32_t last, enum unacked_for how, unacked_each_fn *each,
                          void *arg)
{
    for (uint32_t i = first; i <= last; i++) {
        struct place *p = place_at(u, i);
        if (p->state != OUTSTANDING)
            continue;
        p->state = how == IN_TRANSACTION ? SETTLED_IN_TX : HOLE;
        u->in_tx += how == IN_TRANSACTION;
        u->outstanding--;
        each(arg, p->ticket);
    }
}

/* The oldest, alone and for good: what a consumer that acknowledges each delivery says every time. */
static void settle_first(struct unacked *u, unacked_each_fn *each, void *arg)
{
    struct place *p = place_at(u, 0);
    p->state = HOLE;
    u->outstanding--;
    each(arg, p->ticket);
    unacked_advance(u, 1);
    if (u->count == 0 || place_at(u, 0)->state == HOLE)
        unacked_trim(u);
}

static bool is_first(const struct unacked *u, uint64_t tag)
{
    const struct place *p = place_at(u, 0);
    return u->count > 0 && p->tag == tag && p->state == OUTSTANDING;
}

bool unacked_settle(struct unacked *u, uint64_t tag, bool multiple, enum unacked_for how, unacked_each_fn *each,
                    void *arg)
{
    bool all = multiple && tag == 0;
    if (!multiple && how == FOR_GOOD && is_first(u, tag)) {
        settle_first(u, each, arg);
        return true;
    }
    if (all && u->count == 0)
        return true;
    uint32_t at = all ? u->count - 1 : unacked_search(u, tag);
    if (at == UINT32_MAX || (!all && place_at(u, at)->state != OUTSTANDING))
        return false;
    settle_places(u, multiple ? u->clear : at, at, how, each, arg);
    if (multiple && u->clear <= at)
        u->clear = at + 1;
    if (multiple && u->in_tx == 0)
        unacked_advance(u, at + 1); /* all holes */
    unacked_trim(u);
    return true;
}

/* Gives what was settled in the transaction another state. */
static void end_transaction(struct unacked *u, enum place_state to)
{
    for (uint32_t i = 0; u->in_tx > 0; i++) {
        struct place *p = place_at(u, i);
        if (p->state == SETTLED_IN_TX) {
            p->state = to & 3;
            u->in_tx--;
        }
    }
}

void unacked_commit(struct unacked *u)
{
    end_transaction(u, HOLE);
    unacked_trim(u);
}

void unacked_rollback(struct unacked *u)
{
    u->outstanding += u->in_tx;
    end_transaction(u, OUTSTANDING);
    u->clear = 0;
}

static void forget(void *arg, ticket t)
{
    (void)arg;
    (void)t;
}

void unacked_clear(struct unacked *u)
{
    unacked_settle(u, 0, true, FOR_GOOD, forget, NULL);
}

uint32_t unacked_count(const struct unacked *u)
{
    return u->outstanding;
}

uint32_t unacked_room(const struct unacked *u)
{
    return u->mask + 1;
}
