#include "broker/store/stuck.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/port/message.h"

void stuck_init(struct stuck *k)
{
    *k = (struct stuck){0};
    map_init(&k->queues);
}

static struct stuck_queue *queue_find(const struct stuck *k, uint64_t id)
{
    for (struct map_node *n = map_first(&k->queues, hash_mix(id, 1)); n != NULL; n = map_next(n)) {
        struct stuck_queue *q = item_of(n, struct stuck_queue, by_id);
        if (q->id == id)
            return q;
    }
    return NULL;
}

static bool is_letter(const struct record *r)
{
    return r->kind == RECORD_PUBLISH && r->at.queue != 0;
}

static void drop(const struct stuck *k, struct record *r)
{
    struct stuck_queue *q = is_letter(r) ? queue_find(k, r->at.queue) : NULL;
    if (q != NULL)
        q->letters--;
    if (r->kind == RECORD_PUBLISH)
        message_unref(r->msg);
    else if (r->kind == RECORD_DEFINE || r->kind == RECORD_UNDEFINE)
        free(r->definition);
    *r = (struct record){.kind = RECORD_LOAD};
}

void stuck_fini(struct stuck *k)
{
    struct map_node *n;
    for (; k->next < k->n; k->next++)
        drop(k, &k->records[k->next].record);
    while ((n = map_walk(&k->queues, NULL)) != NULL) {
        struct stuck_queue *q = item_of(n, struct stuck_queue, by_id);
        map_remove(&k->queues, n);
        free(q->places);
        free(q);
    }
    map_fini(&k->queues);
    free(k->records);
    free(k->places);
    stuck_init(k);
}

void stuck_clear(struct stuck *k)
{
    CHECK(stuck_is_empty(k));
    if (k->room > 0)
        stuck_fini(k);
}

/* ---- Queues. */

static struct stuck_queue *queue_make(struct stuck *k, uint64_t id)
{
    struct stuck_queue *q = queue_find(k, id);
    if (q != NULL)
        return q;
    q = alloc_zeroed(sizeof *q);
    q->id = id;
    map_add(&k->queues, &q->by_id, hash_mix(id, 1));
    return q;
}

static bool is_alive(const struct stuck *k, const struct stuck_place *p)
{
    return !p->is_gone && p->record >= k->next;
}

struct stuck_place *stuck_find_from(struct stuck *k, uint64_t queue, uint64_t position)
{
    struct stuck_queue *q = queue_find(k, queue);
    if (q == NULL)
        return NULL;
    while (q->first < q->n && !is_alive(k, &k->places[q->places[q->first]]))
        q->first++;
    size_t low = q->first, high = q->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (k->places[q->places[mid]].place.position < position)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < q->n; low++)
        if (is_alive(k, &k->places[q->places[low]]))
            return &k->places[q->places[low]];
    return NULL;
}

struct stuck_place *stuck_find(struct stuck *k, uint64_t queue, uint64_t position)
{
    struct stuck_queue *q = queue_find(k, queue);
    size_t low = q == NULL ? 0 : q->first, high = q == NULL ? 0 : q->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct stuck_place *p = &k->places[q->places[mid]];
        if (p->place.position == position)
            return is_alive(k, p) ? p : NULL;
        if (p->place.position < position)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

bool stuck_has_letters(struct stuck *k, uint64_t queue, uint64_t from)
{
    const struct stuck_queue *q = queue_find(k, queue);
    return q != NULL && q->letters > 0 && from <= q->letters_to;
}

/* ---- Records. */

static void add_place(struct stuck *k, const struct place *place)
{
    struct stuck_queue *q = queue_make(k, place->queue);
    if (k->n_places == k->places_room) {
        k->places_room = alloc_grown(k->places_room, k->n_places + 1);
        k->places = alloc_array(k->places, k->places_room, sizeof *k->places);
    }
    if (q->n == q->room) {
        q->room = alloc_grown(q->room, q->n + 1);
        q->places = alloc_array(q->places, q->room, sizeof *q->places);
    }
    q->places[q->n++] = k->n_places;
    k->places[k->n_places++] = (struct stuck_place){.place = *place, .record = k->n};
}

struct stuck_record *stuck_add(struct stuck *k, struct record *r, const struct place *places)
{
    if (k->n == k->room) {
        k->room = alloc_grown(k->room, k->n + 1);
        k->records = alloc_array(k->records, k->room, sizeof *k->records);
    }
    struct stuck_record *to = &k->records[k->n];
    *to = (struct stuck_record){.record = *r, .first_place = k->n_places};
    if (r->kind == RECORD_PUBLISH) {
        to->places = r->places;
        for (uint32_t i = 0; i < r->places; i++)
            add_place(k, &places[i]);
    }
    if (is_letter(r)) {
        struct stuck_queue *q = queue_make(k, r->at.queue);
        q->letters++;
        q->letters_to = r->at.position > q->letters_to ? r->at.position : q->letters_to;
    }
    k->n++;
    *r = (struct record){.kind = RECORD_LOAD};
    return to;
}

void stuck_next(struct stuck *k)
{
    struct stuck_record *r = stuck_first(k);
    CHECK(k->next < k->n);
    k->held -= r->is_held;
    drop(k, &r->record);
    k->next++;
}

void stuck_skip(struct stuck *k)
{
    while (k->next < k->n && k->fated == k->next && stuck_first(k)->record.kind == RECORD_LOAD)
        k->fated = ++k->next;
}

uint64_t stuck_before(const struct stuck *k)
{
    return k->next < k->n ? k->records[k->next].position - 1 : UINT64_MAX;
}

uint64_t stuck_held_before(const struct stuck *k)
{
    if (k->held == 0)
        return UINT64_MAX;
    size_t i = k->next;
    while (!k->records[i].is_held)
        i++;
    return k->records[i].position - 1;
}

bool stuck_settle(struct stuck *k, struct stuck_place *p, struct place *at)
{
    struct record *r = &k->records[p->record].record;
    p->is_gone = true;
    if (--r->places > 0 || r->tx)
        return false;
    *at = r->at;
    drop(k, r);
    return at->queue != 0;
}
