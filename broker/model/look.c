#include "broker/model/look.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/list.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "codec/table.h"

bool look_is_by_chance(const struct exchange *x)
{
    return x->kind == &exchange_random || x->kind == &exchange_local_random;
}

/* Those for which each routing key counts for itself. */
static bool is_by_key(const struct exchange *x)
{
    return x->kind == &exchange_direct || x->kind == &exchange_topic || x->kind == &exchange_default;
}

static void on_binding(struct route_watch *w, const struct binding *bd)
{
    struct look *l = item_of(w, struct look, watch);
    l->steps[l->at].matches++;
    if (l->on_match != NULL)
        l->on_match(l, bd, l->key);
}

void look_init(struct look *l, struct broker *b)
{
    *l = (struct look){.b = b, .watch = {.on_binding = on_binding}};
}

void look_fini(struct look *l)
{
    free(l->places);
    free(l->steps);
}

/* What the walk has reached since the last time: all from the same exchange. */
static void note_reached(struct look *l, const struct look_place *place)
{
    const struct route *r = &l->b->route;
    if (l->steps_room < r->walk_n) {
        l->steps_room = alloc_grown(l->steps_room, r->walk_n);
        l->steps = alloc_array(l->steps, l->steps_room, sizeof(struct look_step));
    }
    for (; l->n_steps < r->walk_n; l->n_steps++)
        l->steps[l->n_steps] = (struct look_step){.exchange = r->walk[l->n_steps], .place = *place};
    if (l->places_room < r->n) {
        l->places_room = alloc_grown(l->places_room, r->n);
        l->places = alloc_array(l->places, l->places_room, sizeof(struct look_place));
    }
    for (; l->n_places < r->n; l->n_places++)
        l->places[l->n_places] = *place;
}

static bool is_known_key(const struct routing *all, struct bytes key, unsigned n)
{
    struct bytes other;
    struct key_walk w = routing_keys(all);
    for (unsigned i = 0; i < n && key_walk_next(&w, &other); i++)
        if (bytes_equal(other, key))
            return true;
    return false;
}

/* One key after the other, so that it is known which of them did it. */
static bool match_by_keys(struct look *l, struct exchange *x, struct routing *all)
{
    bool has_matched = false;
    struct key_walk w = routing_keys(all);
    for (unsigned n = 0; n < LOOK_KEYS_MAX && key_walk_next(&w, &l->key); n++) {
        struct routing one = *all;
        one.key = l->key;
        one.extra_keys = (struct bytes){0};
        if (!is_known_key(all, l->key, n))
            has_matched |= x->kind->route(l->b, x, &one, &l->b->route);
    }
    struct bytes next;
    if (key_walk_next(&w, &next)) {
        struct routing rest = *all;
        rest.key = l->key = next;
        rest.extra_keys = w.rest;
        has_matched |= x->kind->route(l->b, x, &rest, &l->b->route);
    }
    return has_matched;
}

static void look_at_alternate(struct look *l, const struct exchange *x, struct look_place place)
{
    struct exchange *alternate = x->has_alternate ? vhost_find_exchange(l->b, x->vhost, x->alternate) : NULL;
    place.is_alternate = true;
    if (alternate != NULL)
        route_visit(l->b, &l->b->route, alternate);
    note_reached(l, &place);
}

static uint64_t find_delay(struct look *l, const struct look_step *s, struct routing *routing)
{
    if (!s->exchange->delays && !l->b->delays_anywhere)
        return 0;
    const struct field *f = routing_header(&l->b->route, routing, BYTES("x-delay"));
    return f != NULL && s->place.after_ms == 0 ? delayed_time(f) : 0;
}

static void look_at(struct look *l, struct routing *routing)
{
    struct exchange *x = l->steps[l->at].exchange;
    struct look_step *s = &l->steps[l->at];
    s->delay_ms = find_delay(l, s, routing);
    struct look_place beyond = {.is_certain = s->place.is_certain, .after_ms = s->place.after_ms + s->delay_ms};
    s->is_duplicate = x->dedup != NULL && dedup_knows(l->b, x->dedup, l->msg);
    s->is_by_chance = look_is_by_chance(x) && !list_is_empty(&x->outgoing);
    l->key = routing->key;
    if (!s->is_duplicate && !s->is_by_chance) {
        bool has_matched = is_by_key(x) ? match_by_keys(l, x, routing) : x->kind->route(l->b, x, routing, &l->b->route);
        note_reached(l, &beyond);
        if (!has_matched)
            look_at_alternate(l, x, beyond);
    }
    if (!l->steps[l->at].is_by_chance && l->on_step != NULL)
        l->on_step(l, &l->steps[l->at]);
}

/* All that a random exchange may pick. */
static void look_at_chances(struct look *l)
{
    struct binding *bd;
    struct exchange *x = l->steps[l->at].exchange;
    struct look_place beyond = {.after_ms = l->steps[l->at].place.after_ms + l->steps[l->at].delay_ms};
    l->key = message_key(l->msg);
    list_each (bd, &x->outgoing, struct binding, in_source)
        route_add_binding(l->b, &l->b->route, bd);
    note_reached(l, &beyond);
    if (l->on_step != NULL)
        l->on_step(l, &l->steps[l->at]);
}

void look_walk(struct look *l, struct exchange *x, struct message *msg)
{
    struct route *r = &l->b->route;
    struct routing routing = {
        .key = message_key(msg), .extra_keys = message_extra_keys(msg), .msg = msg, .is_held = true};
    l->msg = msg;
    l->n_steps = l->n_places = 0;
    r->watch = &l->watch;
    route_begin(l->b, r, x);
    note_reached(l, &(struct look_place){.is_certain = true});
    size_t chance = 0; /* those before it have been picked from */
    for (l->at = 0; l->at < r->walk_n || chance < r->walk_n;) {
        if (l->at < r->walk_n) {
            look_at(l, &routing);
            l->at++;
            continue;
        }
        size_t end = l->at;
        l->at = chance++;
        if (l->steps[l->at].is_by_chance)
            look_at_chances(l);
        l->at = end;
    }
    r->watch = NULL;
    l->n = l->n_places;
}
