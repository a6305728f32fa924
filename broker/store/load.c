/* Reading messages back: of one queue, by position, first from its chunks and then from the journal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/port/message.h"
#include "broker/store/state.h"

struct reading {
    struct store *s;
    struct image_queue *q;
    struct load *l;
    uint64_t bytes, bytes_max;
    struct {
        uint64_t position, file, offset;
        const char *kind; /* of the file */
    } lost[LOADS_MAX];    /* until the walk is over */
    unsigned n_lost;
    const char *kind; /* what is being read: a file of this kind … */
    uint64_t file, offset;
};

static bool is_full(const struct reading *r)
{
    return r->l->n == r->l->capacity || r->bytes >= r->bytes_max || r->n_lost == LOADS_MAX;
}

static void lose(struct reading *r, uint64_t position)
{
    r->lost[r->n_lost].position = position;
    r->lost[r->n_lost].kind = r->kind;
    r->lost[r->n_lost].file = r->file;
    r->lost[r->n_lost++].offset = r->offset;
    r->l->next = position + 1;
}

/* False: it cannot be made out. */
static bool take(struct reading *r, struct bytes bytes, uint64_t position, uint16_t fate)
{
    struct item item;
    struct message_meta m;
    struct place p, place = {0};
    size_t need;
    if (item_decode(bytes, &item, &need) != ITEM_FINE || item.type != ITEM_MESSAGE)
        return false;
    struct cursor c = cursor_over(item.meta);
    if (!message_meta_read(&c, &m))
        return false;
    for (uint32_t i = 0; i < m.n_places && place.queue == 0 && place_read(&c, &p); i++)
        if (p.queue == r->q->id && p.position == position)
            place = p;
    struct message *msg = place.queue == 0 ? NULL : message_from_item(&m, item.body);
    if (msg == NULL)
        return false;
    int deliveries = (fate & FATE_DELIVERIES) + ((fate & FATE_OUT) != 0);
    r->l->entries[r->l->n++] = (struct load_entry){.msg = msg,
                                                   .position = position,
                                                   .ttl_ms = place.ttl_ms,
                                                   .written_ms = m.wall_ms,
                                                   .deliveries = (uint16_t)deliveries,
                                                   .redelivered = (fate & (FATE_OUT | FATE_REDELIVERED)) != 0 ||
                                                                  position < r->q->suspect_before,
                                                   .persistent = (msg->flags & MESSAGE_PERSISTENT) != 0};
    r->l->next = position + 1;
    r->bytes += message_cost(msg);
    return true;
}

/* ---- Chunks. */

/* That which nobody has used for longest: an empty one first. */
static struct kept_chunk *kept_oldest(struct store *s, bool is_empty_fine)
{
    struct kept_chunk *oldest = NULL;
    for (unsigned i = 0; i < CHUNKS_KEPT; i++) {
        struct kept_chunk *k = &s->kept.chunks[i];
        if ((k->capacity > 0 || is_empty_fine) && (oldest == NULL || k->used < oldest->used))
            oldest = k;
    }
    return oldest;
}

static void kept_forget(struct store *s, struct kept_chunk *k)
{
    free(k->at);
    s->kept.bytes -= k->capacity;
    *k = (struct kept_chunk){0};
}

/* Room for so many bytes.  Others go, the oldest first, if all together are too much. */
static struct kept_chunk *kept_make(struct store *s, size_t size)
{
    struct kept_chunk *k = kept_oldest(s, true);
    if (k->capacity >= size && k->capacity <= BLOCK_KEPT_MAX)
        return k;
    kept_forget(s, k);
    for (struct kept_chunk *old; s->kept.bytes > 0 && s->kept.bytes + size > CHUNKS_KEPT_BYTES; kept_forget(s, old))
        old = kept_oldest(s, false);
    k->at = alloc(size);
    k->capacity = size;
    s->kept.bytes += size;
    return k;
}

void load_free(struct store *s)
{
    for (unsigned i = 0; i < CHUNKS_KEPT; i++)
        kept_forget(s, &s->kept.chunks[i]);
}

/* The chunk's bytes, or as many as can be read; NULL: none. */
static struct kept_chunk *kept_fill(struct store *s, const struct chunk *c)
{
    for (unsigned i = 0; i < CHUNKS_KEPT; i++)
        if (s->kept.chunks[i].chunk == c->number) {
            s->kept.chunks[i].used = ++s->kept.uses;
            return &s->kept.chunks[i];
        }
    char name[NAME_MAX_BYTES];
    file_name(name, "pack", c->pack->number);
    int file = c->pack->file >= 0 ? c->pack->file : s->disk->calls->open(s->disk, name, DISK_READ);
    if (file < 0 && file != -ENOENT)
        store_fail(s, "cannot open", name, file);
    if (file < 0)
        return NULL;
    struct kept_chunk *k = kept_make(s, c->size);
    size_t got = 0;
    while (got < c->size) {
        ssize_t n = s->disk->calls->read(s->disk, file, k->at + got, c->size - got, c->offset + got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (c->pack->file < 0)
        s->disk->calls->close(s->disk, file);
    k->chunk = c->number;
    k->used = ++s->kept.uses;
    k->len = got;
    k->offset = 0;
    k->position = 0;
    return got > 0 ? k : NULL;
}

/* The next message's item in it: its bytes and position.  Damage is stepped over.  False: at the end. */
static bool kept_next(struct kept_chunk *k, const struct chunk *c, struct bytes *bytes, uint64_t *position)
{
    struct bytes all = bytes_of(k->at, k->len);
    while (k->offset + FORMAT_ITEM_HEADER <= all.len) {
        struct item_head head;
        struct message_meta m;
        struct place place;
        const uint8_t *at = all.at + k->offset;
        size_t left = all.len - k->offset;
        size_t size = item_head_decode(at, &head) ? item_size(head.meta_len, head.body_len) : 0;
        if (size == 0 || size > left) {
            k->offset = item_find(all, k->offset + FORMAT_ALIGN, c->pack->epoch, 0);
            continue;
        }
        struct cursor cur = cursor_over(bytes_of(at + FORMAT_ITEM_HEADER, head.meta_len));
        k->offset += size;
        if (head.type != ITEM_MESSAGE || head.epoch != c->pack->epoch || !message_meta_read(&cur, &m) ||
            !place_read(&cur, &place) || place.position < c->first || place.position > c->last)
            continue;
        *bytes = bytes_of(at, size);
        *position = place.position;
        return true;
    }
    return false;
}

/* All positions in [from, to) that are alive were not there. */
static void lose_between(struct reading *r, const struct chunk *c, uint64_t from, uint64_t to)
{
    for (uint64_t p = from; p < to && !is_full(r); p++)
        if (!(chunk_fate(c, p) & FATE_DEAD))
            lose(r, p);
}

/* Reads the chunk from position r->l->next on.  True: to its end. */
static bool read_chunk(struct reading *r, const struct chunk *c)
{
    struct store *s = r->s;
    uint64_t expected = r->l->next > c->first ? r->l->next : c->first, position;
    struct bytes bytes;
    r->kind = "pack";
    r->file = c->pack->number;
    r->offset = c->offset;
    struct kept_chunk *k = kept_fill(s, c);
    if (s->verdict == STORE_FAILED)
        return false;
    if (k != NULL && k->position > expected) { /* it was read further than is wanted now */
        k->offset = 0;
        k->position = 0;
    }
    while (k != NULL && !is_full(r)) {
        size_t before = k->offset;
        if (!kept_next(k, c, &bytes, &position))
            break;
        if (position < expected)
            continue;
        lose_between(r, c, expected, position);
        uint16_t fate = chunk_fate(c, position);
        if (is_full(r)) {
            k->offset = before;
            return false;
        }
        if (!(fate & FATE_DEAD) && !take(r, bytes, position, fate))
            lose(r, position);
        k->position = expected = position + 1;
    }
    if (is_full(r))
        return expected > c->last;
    lose_between(r, c, expected, c->last + 1);
    if (is_full(r))
        return r->l->next > c->last;
    r->l->next = c->last + 1;
    return true;
}

/* ---- The journal. */

static bool read_spot(struct reading *r, const struct spot *spot)
{
    struct store *s = r->s;
    struct segment *g = image_spot_segment(&s->image, spot);
    uint64_t offset = (uint64_t)spot->offset * FORMAT_ALIGN;
    struct item_head head;
    r->kind = "journal";
    r->file = spot->segment;
    r->offset = offset;
    if (g == NULL || g->file < 0)
        return false;
    r->file = g->number;
    /* What is still in the write buffer cannot be asked for: loads are answered when it is empty. */
    uint64_t end = g == s->open ? journal_written(s) : g->used;
    struct bytes at = block_at(s, &s->load_block, g, offset, FORMAT_ITEM_HEADER, end);
    if (at.len == 0 || !item_head_decode(at.at, &head))
        return false;
    size_t size = item_size(head.meta_len, head.body_len);
    at = block_at(s, &s->load_block, g, offset, size, end);
    s->journal_loads++;
    return at.len == size && take(r, at, spot->position, spot->fate);
}

static void read_spots(struct reading *r)
{
    for (size_t i = queue_find_spot(r->q, r->l->next); i < r->q->n_spots && !is_full(r); i++) {
        const struct spot *spot = queue_spot(r->q, i);
        if (!(spot->fate & FATE_DEAD) && !read_spot(r, spot))
            lose(r, spot->position);
    }
    size_t i = queue_find_spot(r->q, r->l->next);
    while (i < r->q->n_spots && (queue_spot(r->q, i)->fate & FATE_DEAD))
        i++;
    r->l->is_end = i == r->q->n_spots;
}

static void tell_lost(struct reading *r)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0; i < r->n_lost; i++) {
        file_name(name, r->lost[i].kind, r->lost[i].file);
        uint64_t before = r->q->bytes, messages = r->q->messages;
        store_lose(
            s, r->q, r->lost[i].position,
            &(struct store_loss){
                .messages = 1, .file = name, .offset = r->lost[i].offset, .reason = "its checksum does not hold"});
        r->l->lost++;
        if (messages > 0)
            r->l->lost_bytes += before - r->q->bytes;
    }
}

struct load *load_messages(struct store *s, const struct record *record)
{
    enum { MESSAGES_MAX = 1 << 16 };
    uint32_t n = record->load.messages_max < MESSAGES_MAX ? record->load.messages_max : MESSAGES_MAX;
    struct load *l = load_create(n);
    l->queue = record->at.queue;
    l->reader = record->at.reader;
    l->next = record->at.position;
    struct reading r = {
        .s = s, .q = image_queue_find(&s->image, record->at.queue), .l = l, .bytes_max = record->load.bytes_max};
    if (r.q == NULL) {
        l->is_end = true;
        return l;
    }
    bool is_over = true;
    for (size_t i = queue_find_chunk(r.q, l->next); i < r.q->n_chunks && is_over && !is_full(&r); i++)
        is_over = read_chunk(&r, r.q->chunks[i]);
    size_t i = queue_find_chunk(r.q, l->next);
    if (is_over && i >= r.q->n_chunks)
        read_spots(&r);
    tell_lost(&r);
    return l;
}

struct load *store_load(struct store *s, uint64_t queue, uint64_t position, uint32_t messages_max, uint32_t bytes_max)
{
    const struct record r = {.kind = RECORD_LOAD,
                             .at = {.queue = queue, .position = position},
                             .load = {.messages_max = messages_max, .bytes_max = bytes_max}};
    struct load *l = load_messages(s, &r);
    run_clear(&s->settles); /* what was lost is not settled: that is for those who write */
    return l;
}
