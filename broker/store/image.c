#include "broker/store/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

void image_init(struct image *im)
{
    *im = (struct image){.next_queue = 1, .first_segment = 1, .next_chunk = 1};
    map_init(&im->queues);
    map_init(&im->definitions);
    map_init(&im->packs_by_number);
    list_init(&im->packs);
    for (unsigned i = 0; i < DEFINE_CLASSES; i++)
        list_init(&im->classes[i]);
}

void image_fini(struct image *im)
{
    /* On from the one before: a walk from the start each time would pass over all that is empty by then. */
    struct map_node *next;
    for (struct map_node *n = map_walk(&im->queues, NULL); n != NULL; n = next) {
        next = map_walk(&im->queues, n);
        image_queue_free(im, item_of(n, struct image_queue, by_id));
    }
    for (struct map_node *n = map_walk(&im->definitions, NULL); n != NULL; n = next) {
        next = map_walk(&im->definitions, n);
        free(item_of(n, struct image_definition, in_image));
    }
    for (size_t i = 0; i < im->n_segments; i++)
        if (im->segments[i] != NULL) {
            free(im->segments[i]->queues);
            free(im->segments[i]);
        }
    free((void *)im->segments);
    while (!list_is_empty(&im->packs)) {
        struct pack *p = item_of(im->packs.ring.next, struct pack, in_order);
        image_drop_pack(im, p);
    }
    map_fini(&im->queues);
    map_fini(&im->definitions);
    map_fini(&im->packs_by_number);
}

/* ---- Files. */

struct segment *image_segment(struct image *im, uint64_t number)
{
    uint64_t i = number - im->first_segment;
    return number >= im->first_segment && i < im->n_segments ? im->segments[i] : NULL;
}

struct segment *image_spot_segment(struct image *im, const struct spot *s)
{
    return image_segment(im, im->first_segment + (uint32_t)(s->segment - (uint32_t)im->first_segment));
}

struct segment *image_add_segment(struct image *im, uint64_t number)
{
    if (im->n_segments == 0)
        im->first_segment = number;
    CHECK(number >= im->first_segment + im->n_segments && number - im->first_segment < UINT32_MAX);
    size_t n = (size_t)(number - im->first_segment) + 1;
    if (n > im->segment_room) {
        im->segment_room = alloc_grown(im->segment_room, n);
        im->segments = alloc_array((void *)im->segments, im->segment_room, sizeof(struct segment *));
    }
    while (im->n_segments < n)
        im->segments[im->n_segments++] = NULL;
    struct segment *s = alloc_zeroed(sizeof *s);
    s->number = number;
    s->file = -1;
    im->segments[n - 1] = s;
    return s;
}

void image_drop_segment(struct image *im, struct segment *s)
{
    CHECK(s->live == 0);
    im->segments[s->number - im->first_segment] = NULL;
    free(s->queues);
    free(s);
    size_t gone = 0;
    while (gone < im->n_segments && im->segments[gone] == NULL)
        gone++;
    im->n_segments -= gone;
    im->first_segment += gone;
    if (gone > 0 && im->n_segments > 0)
        memmove((void *)im->segments, (void *)(im->segments + gone), im->n_segments * sizeof(struct segment *));
}

struct pack *image_pack(struct image *im, uint64_t number)
{
    for (struct map_node *n = map_first(&im->packs_by_number, hash_mix(number, 1)); n != NULL; n = map_next(n)) {
        struct pack *p = item_of(n, struct pack, by_number);
        if (p->number == number)
            return p;
    }
    return NULL;
}

struct pack *image_add_pack(struct image *im, uint64_t number)
{
    struct pack *p = alloc_zeroed(sizeof *p);
    p->number = number;
    p->file = -1;
    list_init(&p->chunks);
    list_append(&im->packs, &p->in_order);
    map_add(&im->packs_by_number, &p->by_number, hash_mix(number, 1));
    return p;
}

void image_drop_pack(struct image *im, struct pack *p)
{
    CHECK(list_is_empty(&p->chunks));
    map_remove(&im->packs_by_number, &p->by_number);
    list_remove(&p->in_order);
    free(p);
}

/* ---- Definitions, and the queues that they are about. */

static uint64_t definition_hash(const struct image *im, enum definition_class what, struct bytes key)
{
    return hash_mix(hash_bytes(key, im->hash_seed), what);
}

static struct image_definition *definition_find(const struct image *im, enum definition_class what, struct bytes key)
{
    for (struct map_node *n = map_first(&im->definitions, definition_hash(im, what, key)); n != NULL; n = map_next(n)) {
        struct image_definition *d = item_of(n, struct image_definition, in_image);
        if (d->what == what && bytes_equal(d->key, key))
            return d;
    }
    return NULL;
}

static void definition_drop(struct image *im, struct image_definition *d)
{
    struct image_queue *q = d->what == DEFINE_QUEUE ? image_queue_find(im, d->queue) : NULL;
    if (q != NULL && q->definition == d)
        q->definition = NULL;
    map_remove(&im->definitions, &d->in_image);
    list_remove(&d->in_class);
    free(d);
}

struct image_queue *image_queue_find(struct image *im, uint64_t id)
{
    if (im->last_queue != NULL && im->last_queue->id == id)
        return im->last_queue;
    for (struct map_node *n = map_first(&im->queues, hash_mix(id, 1)); n != NULL; n = map_next(n)) {
        struct image_queue *q = item_of(n, struct image_queue, by_id);
        if (q->id == id)
            return im->last_queue = q;
    }
    return NULL;
}

struct image_queue *image_queue_make(struct image *im, uint64_t id)
{
    struct image_queue *q = image_queue_find(im, id);
    if (q != NULL)
        return q;
    q = alloc_zeroed(sizeof *q);
    q->id = id;
    map_add(&im->queues, &q->by_id, hash_mix(id, 1));
    if (id >= im->next_queue)
        im->next_queue = id + 1;
    return q;
}

void image_restore_queue(struct image *im, uint64_t queue, uint64_t next_position, uint64_t suspect_before)
{
    struct image_queue *q = image_queue_make(im, queue);
    if (suspect_before > q->suspect_before)
        q->suspect_before = suspect_before;
    if (next_position > q->next_position)
        q->next_position = next_position;
}

static void queue_drop(struct image *im, struct image_queue *q)
{
    image_queue_clear(im, q);
    map_remove(&im->queues, &q->by_id);
    if (im->last_queue == q)
        im->last_queue = NULL;
    if (q->definition != NULL)
        definition_drop(im, q->definition);
    image_queue_free(im, q);
}

void image_define(struct image *im, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    struct image_definition *old = definition_find(im, what, key);
    struct image_definition *d = alloc(sizeof *d + key.len + value.len);
    *d = (struct image_definition){.what = what, .queue = queue};
    d->key = bytes_of(d->data, key.len);
    d->value = bytes_of(d->data + key.len, value.len);
    if (key.len > 0)
        memcpy(d->data, key.at, key.len);
    if (value.len > 0)
        memcpy(d->data + key.len, value.at, value.len);
    link_init(&d->in_class);
    if (old != NULL) { /* keeps its place among the others */
        d->in_class.prev = old->in_class.prev;
        d->in_class.next = &old->in_class;
        old->in_class.prev->next = &d->in_class;
        old->in_class.prev = &d->in_class;
        definition_drop(im, old);
    } else {
        list_append(&im->classes[what], &d->in_class);
    }
    map_add(&im->definitions, &d->in_image, definition_hash(im, what, d->key));
    if (what == DEFINE_QUEUE && queue != 0)
        image_queue_make(im, queue)->definition = d;
}

void image_undefine(struct image *im, enum definition_class what, uint64_t queue, struct bytes key)
{
    struct image_queue *q = what == DEFINE_QUEUE ? image_queue_find(im, queue) : NULL;
    if (q != NULL)
        queue_drop(im, q);
    struct image_definition *d = definition_find(im, what, key);
    if (d != NULL && d->queue == queue)
        definition_drop(im, d);
}

/* ---- The whole. */

void image_suspect_all(struct image *im)
{
    for (struct map_node *n = map_walk(&im->queues, NULL); n != NULL; n = map_walk(&im->queues, n)) {
        struct image_queue *q = item_of(n, struct image_queue, by_id);
        q->suspect_before = q->next_position;
    }
}

void image_return_all(struct image *im)
{
    for (struct map_node *n = map_walk(&im->queues, NULL); n != NULL; n = map_walk(&im->queues, n))
        image_queue_return_all(item_of(n, struct image_queue, by_id));
}

void image_drop_undefined(struct image *im)
{
    /* Again until none is found: a map that shrinks under a walk has the rest in another order. */
    for (bool is_dropping = true; is_dropping;) {
        struct map_node *next;
        is_dropping = false;
        for (struct map_node *n = map_walk(&im->queues, NULL); n != NULL; n = next) {
            struct image_queue *q = item_of(n, struct image_queue, by_id);
            next = map_walk(&im->queues, n);
            if (q->definition == NULL) {
                queue_drop(im, q);
                is_dropping = true;
            }
        }
    }
}

uint64_t image_memory(const struct image *im)
{
    return im->n_spots * sizeof(struct spot) + im->n_chunks * sizeof(struct chunk) +
           im->queues.count * sizeof(struct image_queue) + im->definitions.count * sizeof(struct image_definition);
}

void image_check(const struct image *im)
{
    size_t chunks = 0, spots = 0;
    for (struct map_node *n = map_walk(&im->queues, NULL); n != NULL; n = map_walk(&im->queues, n)) {
        const struct image_queue *q = item_of(n, struct image_queue, by_id);
        uint64_t live = 0, last = 0;
        for (size_t i = 0; i < q->n_chunks; i++) {
            const struct chunk *c = q->chunks[i];
            CHECK(c->queue == q && c->live > 0 && c->live <= c->count && (i == 0 || c->first > last));
            last = c->last;
            live += c->live;
            chunks++;
        }
        size_t dead = 0;
        for (size_t i = 0; i < q->n_spots; i++) {
            const struct spot *s = queue_spot(q, i);
            CHECK((i == 0 && q->n_chunks == 0) || s->position > last);
            last = s->position;
            dead += (s->fate & FATE_DEAD) != 0;
            live += !(s->fate & FATE_DEAD);
        }
        CHECK(dead == q->dead_spots && live == q->messages && (live == 0 || last < q->next_position));
        spots += q->n_spots;
    }
    CHECK(chunks == im->n_chunks && spots == im->n_spots);
}
