#include "broker/store/image_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/store/format.h"
#include "broker/store/image.h"

/* ---- What is where. */

size_t queue_find_spot(const struct image_queue *q, uint64_t position)
{
    if (q->n_spots == 0 || position <= queue_spot(q, 0)->position)
        return 0;
    uint64_t guess = position - queue_spot(q, 0)->position; /* right where there are no gaps */
    if (guess < q->n_spots && queue_spot(q, guess)->position == position)
        return guess;
    size_t low = 0, high = q->n_spots;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (queue_spot(q, mid)->position < position)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t queue_find_chunk(const struct image_queue *q, uint64_t position)
{
    size_t low = 0, high = q->n_chunks;
    if (high > 0 && q->chunks[0]->last >= position)
        return 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (q->chunks[mid]->last < position)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint16_t chunk_fate(const struct chunk *c, uint64_t position)
{
    if (position < c->first || position > c->last)
        return FATE_DEAD;
    return c->fates == NULL ? 0 : c->fates[position - c->first];
}

/* Where a message is; NULL and NULL: it does not live. */
struct found {
    struct image_queue *queue;
    struct spot *spot;
    struct chunk *chunk;
};

static struct found message_find(struct image *im, uint64_t queue, uint64_t position)
{
    struct found f = {.queue = image_queue_find(im, queue)};
    if (f.queue == NULL)
        return f;
    size_t i = queue_find_spot(f.queue, position);
    if (i < f.queue->n_spots && queue_spot(f.queue, i)->position == position) {
        struct spot *s = queue_spot(f.queue, i);
        if (!(s->fate & FATE_DEAD))
            f.spot = s;
        return f;
    }
    i = queue_find_chunk(f.queue, position);
    if (i < f.queue->n_chunks && !(chunk_fate(f.queue->chunks[i], position) & FATE_DEAD))
        f.chunk = f.queue->chunks[i];
    return f;
}

/* ---- In the journal. */

static void spot_die(struct image *im, struct image_queue *q, struct spot *s)
{
    struct segment *seg = image_spot_segment(im, s);
    s->fate |= FATE_DEAD;
    if (seg != NULL && seg->live > 0)
        seg->live--;
    q->messages--;
    q->bytes -= s->bytes < q->bytes ? s->bytes : q->bytes;
    q->dead_spots++;
}

static void spots_resize(struct image *im, struct image_queue *q, size_t room)
{
    struct spot *spots = alloc_array(NULL, room, sizeof *spots);
    size_t n = 0;
    for (size_t i = 0; i < q->n_spots; i++) {
        const struct spot *s = queue_spot(q, i);
        if (!(s->fate & FATE_DEAD))
            spots[n++] = *s;
    }
    free(q->spots);
    im->n_spots -= q->n_spots - n;
    q->spots = spots;
    q->first_spot = 0;
    q->n_spots = n;
    q->spot_room = room;
    q->dead_spots = 0;
}

/* The first spot is alive, and not too many dead ones lie between. */
static void spots_tidy(struct image *im, struct image_queue *q)
{
    while (q->n_spots > 0 && (queue_spot(q, 0)->fate & FATE_DEAD)) {
        q->first_spot = (q->first_spot + 1) & (q->spot_room - 1);
        q->n_spots--;
        im->n_spots--;
        q->dead_spots--;
    }
    if (q->dead_spots > 64 && q->dead_spots > q->n_spots / 2)
        spots_resize(im, q, q->spot_room);
    if (q->n_spots == 0 && q->spot_room > 4096) {
        free(q->spots);
        q->spots = NULL;
        q->spot_room = 0;
    } else if (q->spot_room > 4096 && q->n_spots < q->spot_room / 8) {
        spots_resize(im, q, q->spot_room / 4);
    }
}

static void segment_know_queue(struct segment *s, struct image_queue *q)
{
    if (q->last_segment == (uint32_t)s->number && s->n_queues > 0)
        return;
    q->last_segment = (uint32_t)s->number;
    if (s->n_queues == s->queue_room) {
        s->queue_room = alloc_grown(s->queue_room, s->n_queues + 1);
        s->queues = alloc_array(s->queues, s->queue_room, sizeof *s->queues);
    }
    s->queues[s->n_queues++] = q->id;
}

void image_publish(struct image *im, uint64_t queue, const struct spot *spot)
{
    struct image_queue *q = image_queue_make(im, queue);
    struct segment *s = image_spot_segment(im, spot);
    if (spot->position < q->next_position || s == NULL)
        return; /* positions rise, else it is damage */
    if (q->n_spots == q->spot_room)
        spots_resize(im, q, q->spot_room == 0 ? 8 : q->spot_room * 2);
    if (q->n_spots == 0)
        q->first_spot = 0;
    q->n_spots++;
    im->n_spots++;
    *queue_spot(q, q->n_spots - 1) = *spot;
    q->next_position = spot->position + 1;
    q->messages++;
    q->bytes += spot->bytes;
    s->live++;
    s->dead_since_lsn = 0;
    segment_know_queue(s, q);
}

/* Unlike a publish it may come after the queue has said how far it was. */
void image_restore_spot(struct image *im, uint64_t queue, const struct spot *spot)
{
    struct image_queue *q = image_queue_make(im, queue);
    uint64_t next = q->next_position;
    size_t chunk = queue_find_chunk(q, spot->position);
    if (chunk < q->n_chunks || (q->n_spots > 0 && queue_spot(q, q->n_spots - 1)->position >= spot->position))
        return;
    q->next_position = 0;
    image_publish(im, queue, spot);
    if (next > q->next_position)
        q->next_position = next;
}

/* ---- In packs. */

static void chunk_free(struct image *im, struct chunk *c)
{
    list_remove(&c->in_pack);
    im->n_chunks--;
    free(c->fates);
    free(c);
}

/* How much of a chunk's size its live messages are. */
static uint64_t chunk_live_size(const struct chunk *c)
{
    return c->count == 0 ? 0 : (uint64_t)c->size * c->live / c->count;
}

static void queue_forget_chunk(struct image_queue *q, const struct chunk *c)
{
    size_t i = queue_find_chunk(q, c->first);
    while (i < q->n_chunks && q->chunks[i] != c)
        i++;
    CHECK(i < q->n_chunks);
    q->n_chunks--;
    memmove((void *)(q->chunks + i), (void *)(q->chunks + i + 1), (q->n_chunks - i) * sizeof(struct chunk *));
}

/* What lives in it does not any more. */
static void chunk_uncount(const struct chunk *c)
{
    struct image_queue *q = c->queue;
    q->messages -= c->live;
    q->bytes -= c->bytes < q->bytes ? c->bytes : q->bytes;
    c->pack->live_bytes -= chunk_live_size(c);
}

void image_drop_chunk(struct image *im, struct chunk *c)
{
    chunk_uncount(c);
    queue_forget_chunk(c->queue, c);
    chunk_free(im, c);
}

/* The first n chunks, at the price of one. */
static void queue_drop_first_chunks(struct image *im, struct image_queue *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        chunk_uncount(q->chunks[i]);
        chunk_free(im, q->chunks[i]);
    }
    q->n_chunks -= n;
    if (n > 0 && q->n_chunks > 0)
        memmove((void *)q->chunks, (void *)(q->chunks + n), q->n_chunks * sizeof(struct chunk *));
}

static uint16_t *chunk_fates(struct chunk *c)
{
    if (c->fates == NULL)
        c->fates = alloc_zeroed((size_t)(c->last - c->first + 1) * sizeof(uint16_t));
    return c->fates;
}

/* One message of it is dead.  Its body's size is not known here: the average will do. */
static void chunk_settle(struct image *im, struct chunk *c, uint64_t position)
{
    if (c->live == 0)
        return;
    uint64_t before = chunk_live_size(c), bytes = c->bytes / c->live;
    chunk_fates(c)[position - c->first] |= FATE_DEAD;
    c->live--;
    c->bytes -= bytes;
    c->queue->messages--;
    c->queue->bytes -= bytes < c->queue->bytes ? bytes : c->queue->bytes;
    c->pack->live_bytes -= before - chunk_live_size(c);
    if (c->live == 0)
        image_drop_chunk(im, c);
}

static bool chunk_is_sane(const struct chunk_meta *m)
{
    return m->last >= m->first && m->last - m->first < CHUNK_SPAN_MAX && m->count > 0 &&
           m->count <= m->last - m->first + 1 && m->size <= UINT32_MAX && m->pack != 0;
}

static struct chunk *chunk_create(struct image *im, struct image_queue *q, const struct chunk_meta *m, struct pack *p)
{
    struct chunk *c = alloc_zeroed(sizeof *c);
    *c = (struct chunk){.queue = q,
                        .pack = p,
                        .number = m->chunk,
                        .offset = m->offset,
                        .first = m->first,
                        .last = m->last,
                        .bytes = m->bytes,
                        .size = (uint32_t)m->size,
                        .count = (uint32_t)m->count,
                        .live = (uint32_t)m->count};
    list_append(&p->chunks, &c->in_pack);
    p->dead_since_lsn = 0;
    im->n_chunks++;
    if (m->chunk >= im->next_chunk)
        im->next_chunk = m->chunk + 1;
    size_t i = queue_find_chunk(q, m->first);
    if (q->n_chunks == q->chunk_room) {
        q->chunk_room = alloc_grown(q->chunk_room, q->n_chunks + 1);
        q->chunks = alloc_array((void *)q->chunks, q->chunk_room, sizeof(struct chunk *));
    }
    memmove((void *)(q->chunks + i + 1), (void *)(q->chunks + i), (q->n_chunks - i) * sizeof(struct chunk *));
    q->chunks[i] = c;
    q->n_chunks++;
    if (m->last >= q->next_position)
        q->next_position = m->last + 1;
    return c;
}

struct chunk *image_add_chunk(struct image *im, const struct chunk_meta *m, struct pack *p)
{
    if (!chunk_is_sane(m))
        return NULL;
    struct image_queue *q = image_queue_make(im, m->queue);
    size_t i = queue_find_chunk(q, m->first);
    if (i < q->n_chunks && q->chunks[i]->first <= m->last)
        return NULL; /* they do not overlap */
    struct chunk *c = chunk_create(im, q, m, p);
    q->messages += c->live;
    q->bytes += c->bytes;
    p->live_bytes += c->size;
    return c;
}

void image_load_fates(struct image *im, struct chunk *c, struct bytes fates, uint64_t bytes)
{
    struct image_queue *q = c->queue;
    uint64_t span = c->last - c->first + 1, before = chunk_live_size(c);
    uint32_t live = 0;
    CHECK(fates.len == span * 2);
    for (uint64_t i = 0; i < span; i++)
        live += !(fates.at[2 * i + 1] & (FATE_DEAD >> 8));
    if (live == 0 || live > c->count) {
        image_drop_chunk(im, c);
        return;
    }
    for (uint64_t i = 0; i < span; i++)
        chunk_fates(c)[i] = (uint16_t)(fates.at[2 * i] | fates.at[2 * i + 1] << 8);
    q->messages -= c->live - live;
    q->bytes = q->bytes - c->bytes + bytes;
    c->live = live;
    c->bytes = bytes;
    c->pack->live_bytes -= before - chunk_live_size(c);
}

/* ---- From the journal to a pack, or from one to another. */

/* The fates of what lives now in [first, last], and how many that are; all others are dead. */
static uint16_t *gather_fates(struct image_queue *q, const struct chunk_meta *m, const struct chunk *old,
                              uint32_t *live, uint64_t *bytes, bool *as_written)
{
    uint64_t span = m->last - m->first + 1;
    uint16_t *fates = alloc_array(NULL, span, sizeof *fates);
    for (uint64_t i = 0; i < span; i++)
        fates[i] = FATE_DEAD;
    *live = 0;
    *bytes = 0;
    bool marked = false;
    if (old != NULL) {
        for (uint64_t p = m->first; p <= m->last; p++) {
            uint16_t fate = chunk_fate(old, p);
            if (fate & FATE_DEAD)
                continue;
            fates[p - m->first] = fate;
            marked |= fate != 0;
        }
        *live = old->live;
        *bytes = old->bytes;
    } else {
        for (size_t i = queue_find_spot(q, m->first); i < q->n_spots && queue_spot(q, i)->position <= m->last; i++) {
            const struct spot *s = queue_spot(q, i);
            if (s->fate & FATE_DEAD)
                continue;
            fates[s->position - m->first] = s->fate;
            marked |= s->fate != 0;
            ++*live;
            *bytes += s->bytes;
        }
    }
    *as_written = !marked && *live == span;
    return fates;
}

/* The chunk that it says to replace; NULL: none.  If damage took what made that one, its messages are still spots. */
static struct chunk *chunk_replaced(const struct image_queue *q, const struct chunk_meta *m)
{
    size_t i = m->replaces != 0 ? queue_find_chunk(q, m->first) : q->n_chunks;
    return i < q->n_chunks && q->chunks[i]->number == m->replaces ? q->chunks[i] : NULL;
}

/* Chunks do not overlap, and are before all spots: else there is damage. */
static bool chunk_fits(const struct image_queue *q, const struct chunk_meta *m, const struct chunk *old)
{
    if (old != NULL)
        return m->first >= old->first && m->last <= old->last;
    size_t i = queue_find_chunk(q, m->first);
    return (i == q->n_chunks || q->chunks[i]->first > m->last) &&
           (q->n_spots == 0 || queue_spot(q, 0)->position >= m->first);
}

struct chunk *image_move(struct image *im, const struct chunk_meta *m, struct pack *p)
{
    struct image_queue *q = image_queue_find(im, m->queue);
    if (m->chunk >= im->next_chunk)
        im->next_chunk = m->chunk + 1;
    if (q == NULL || !chunk_is_sane(m))
        return NULL;
    struct chunk *old = chunk_replaced(q, m);
    if (!chunk_fits(q, m, old))
        return NULL;
    uint32_t live;
    uint64_t bytes;
    bool as_written;
    uint16_t *fates = gather_fates(q, m, old, &live, &bytes, &as_written);
    if (old != NULL) {
        image_drop_chunk(im, old);
    } else {
        for (size_t i = queue_find_spot(q, m->first); i < q->n_spots && queue_spot(q, i)->position <= m->last; i++)
            if (!(queue_spot(q, i)->fate & FATE_DEAD))
                spot_die(im, q, queue_spot(q, i));
        spots_tidy(im, q);
    }
    if (live == 0) {
        free(fates);
        return NULL;
    }
    struct chunk *c = chunk_create(im, q, m, p);
    c->live = live;
    c->count = c->count > live ? c->count : live; /* more than it holds: settles are lost, loads will tell */
    c->bytes = bytes;
    q->messages += live;
    q->bytes += bytes;
    p->live_bytes += chunk_live_size(c);
    if (as_written)
        free(fates);
    else
        c->fates = fates;
    return c;
}

/* ---- What becomes of it. */

bool image_settle(struct image *im, uint64_t queue, uint64_t position)
{
    struct found f = message_find(im, queue, position);
    if (f.spot != NULL) {
        spot_die(im, f.queue, f.spot);
        spots_tidy(im, f.queue);
    } else if (f.chunk != NULL) {
        chunk_settle(im, f.chunk, position);
    }
    return f.spot != NULL || f.chunk != NULL;
}

/* Its fate, to be changed; NULL: it does not live. */
static uint16_t *message_fate(struct image *im, uint64_t queue, uint64_t position)
{
    struct found f = message_find(im, queue, position);
    if (f.spot != NULL)
        return &f.spot->fate;
    return f.chunk != NULL ? &chunk_fates(f.chunk)[position - f.chunk->first] : NULL;
}

bool image_deliver(struct image *im, uint64_t queue, uint64_t position)
{
    uint16_t *fate = message_fate(im, queue, position);
    if (fate != NULL)
        *fate |= FATE_OUT;
    return fate != NULL;
}

static void fate_return(uint16_t *fate)
{
    *fate = (uint16_t)((*fate & ~FATE_OUT) | FATE_REDELIVERED);
    if ((*fate & FATE_DELIVERIES) < DELIVERIES_MAX)
        ++*fate;
}

bool image_return(struct image *im, uint64_t queue, uint64_t position)
{
    uint16_t *fate = message_fate(im, queue, position);
    if (fate != NULL)
        fate_return(fate);
    return fate != NULL;
}

void image_purge(struct image *im, uint64_t queue, uint64_t from)
{
    struct image_queue *q = image_queue_find(im, queue);
    if (q == NULL)
        return;
    for (size_t i = queue_find_spot(q, from); i < q->n_spots; i++)
        if (!(queue_spot(q, i)->fate & FATE_DEAD))
            spot_die(im, q, queue_spot(q, i));
    spots_tidy(im, q);
    while (q->n_chunks > 0 && q->chunks[q->n_chunks - 1]->first >= from)
        image_drop_chunk(im, q->chunks[q->n_chunks - 1]);
    struct chunk *c = q->n_chunks > 0 ? q->chunks[q->n_chunks - 1] : NULL;
    if (c == NULL || c->last < from)
        return;
    for (uint64_t p = from, last = c->last; p <= last; p++) {
        if (chunk_fate(c, p) & FATE_DEAD)
            continue;
        bool is_last = c->live == 1;
        chunk_settle(im, c, p);
        if (is_last) /* and the chunk is gone */
            return;
    }
}

void image_trim(struct image *im, uint64_t queue, uint64_t before)
{
    struct image_queue *q = image_queue_find(im, queue);
    if (q == NULL)
        return;
    queue_drop_first_chunks(im, q, queue_find_chunk(q, before));
    struct chunk *c = q->n_chunks > 0 ? q->chunks[0] : NULL;
    uint64_t end = c == NULL ? 0 : before; /* no further than its last */
    for (uint64_t p = c == NULL ? 0 : c->first; p < end; p++) {
        if (chunk_fate(c, p) & FATE_DEAD)
            continue;
        bool is_last = c->live == 1;
        chunk_settle(im, c, p);
        if (is_last) /* and the chunk is gone */
            break;
    }
    for (size_t i = 0; i < q->n_spots && queue_spot(q, i)->position < before; i++)
        if (!(queue_spot(q, i)->fate & FATE_DEAD))
            spot_die(im, q, queue_spot(q, i));
    spots_tidy(im, q);
}

void image_queue_return_all(struct image_queue *q)
{
    for (size_t i = 0; i < q->n_spots; i++)
        if (queue_spot(q, i)->fate & FATE_OUT)
            fate_return(&queue_spot(q, i)->fate);
    for (size_t i = 0; i < q->n_chunks; i++)
        for (uint64_t p = 0; q->chunks[i]->fates != NULL && p <= q->chunks[i]->last - q->chunks[i]->first; p++)
            if (q->chunks[i]->fates[p] & FATE_OUT)
                fate_return(&q->chunks[i]->fates[p]);
}

void image_queue_clear(struct image *im, struct image_queue *q)
{
    for (size_t i = 0; i < q->n_spots; i++)
        if (!(queue_spot(q, i)->fate & FATE_DEAD))
            spot_die(im, q, queue_spot(q, i));
    while (q->n_chunks > 0)
        image_drop_chunk(im, q->chunks[q->n_chunks - 1]);
}

void image_queue_free(struct image *im, struct image_queue *q)
{
    for (size_t i = 0; i < q->n_chunks; i++)
        chunk_free(im, q->chunks[i]);
    im->n_spots -= q->n_spots;
    free(q->spots);
    free((void *)q->chunks);
    free(q);
}
