/* Packs: what outlives the journal's few segments, by queue and in order.  A chunk is written, its pack is synced, and
 * then an item in the journal puts it in force: until then the messages are where they were. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/store/state.h"

enum {
    PACKS_SLACK = 2,   /* packs' bytes of dead messages that are nobody's concern */
    PENDING_MAX = 256, /* chunks that wait for a sync */
};

/* ---- Reading what is copied. */

struct bytes block_at(struct store *s, struct block *b, const struct segment *g, uint64_t offset, size_t n,
                      uint64_t end)
{
    if (b->number == g->number && offset >= b->offset && offset + n <= b->offset + b->len)
        return bytes_of(b->at + (offset - b->offset), n);
    if (offset > end || n > end - offset)
        return (struct bytes){0};
    size_t want = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    if (want > end - offset)
        want = (size_t)(end - offset);
    if (want > b->capacity || (b->capacity > BLOCK_KEPT_MAX && want <= BLOCK_BYTES)) {
        free(b->at);
        b->capacity = want > BLOCK_BYTES ? want : BLOCK_BYTES;
        b->at = alloc(b->capacity);
    }
    b->number = 0;
    size_t got = 0;
    while (got < want) {
        ssize_t r = s->disk->calls->read(s->disk, g->file, b->at + got, want - got, offset + got);
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    if (got < n)
        return (struct bytes){0};
    b->number = g->number;
    b->file = g->file;
    b->offset = offset;
    b->len = got;
    return bytes_of(b->at, n);
}

/* ---- Building a chunk. */

struct builder {
    uint8_t *at; /* the store's chunk_buffer */
    size_t len;
    struct chunk_meta meta;
    uint32_t epoch;
    uint64_t lsn;
};

static void builder_reserve(struct store *s, struct builder *b, size_t size)
{
    if (s->chunk_room - b->len < size) {
        s->chunk_room = b->len + size + s->config.chunk_bytes;
        s->chunk_buffer = alloc_array(s->chunk_buffer, s->chunk_room, 1);
    }
    b->at = s->chunk_buffer;
}

/* The chunk's own item comes first; it is written when the rest is known, and always as long as this. */
static size_t chunk_head_size(void)
{
    return item_size(CHUNK_META_MAX, 0);
}

static void builder_begin(struct store *s, struct builder *b, uint64_t queue)
{
    *b = (struct builder){.meta = {.queue = queue, .chunk = s->image.next_chunk++}};
    builder_reserve(s, b, chunk_head_size());
    b->len = chunk_head_size();
}

static void builder_item(struct builder *b, enum item_type type, struct bytes meta, size_t body_len, uint32_t body_crc,
                         uint8_t *to)
{
    size_t len = FORMAT_ITEM_HEADER + meta.len + body_len;
    const struct item_head head = {.type = (uint8_t)type,
                                   .epoch = b->epoch,
                                   .lsn = ++b->lsn,
                                   .meta_len = (uint32_t)meta.len,
                                   .body_len = (uint32_t)body_len,
                                   .meta_crc = crc32c(0, meta.at, meta.len),
                                   .body_crc = body_crc};
    memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
    memset(to + len, 0, format_pad(len) - len);
    item_head_encode(to, &head);
}

/* Adds a message, read from wherever it was, under its place here.  False: it is damaged. */
static bool builder_add(struct store *s, struct builder *b, struct bytes bytes, uint64_t position, uint64_t *body_size)
{
    struct item item;
    struct message_meta m;
    struct place place = {0}, p;
    size_t need;
    enum item_verdict verdict = item_decode(bytes, &item, &need);
    if ((verdict != ITEM_FINE && verdict != ITEM_BAD_BODY) || item.type != ITEM_MESSAGE)
        return false;
    struct cursor c = cursor_over(item.meta);
    if (!message_meta_read(&c, &m))
        return false;
    for (uint32_t i = 0; i < m.n_places && place_read(&c, &p); i++)
        if (p.queue == b->meta.queue && p.position == position)
            place = p;
    if (place.queue == 0)
        return false;
    uint8_t meta[MESSAGE_META_MAX + PLACE_META_MAX];
    struct pen pen = pen_over(meta, sizeof meta);
    m.n_places = 1;
    m.replaces = (struct place){0};
    message_meta_write(&pen, &m);
    place_write(&pen, &place);
    struct bytes written = pen_written(&pen);
    size_t size = item_size(written.len, item.body.len);
    builder_reserve(s, b, size);
    uint8_t *to = b->at + b->len;
    if (item.body.len > 0)
        memcpy(to + FORMAT_ITEM_HEADER + written.len, item.body.at, item.body.len);
    builder_item(b, ITEM_MESSAGE, written, item.body.len, item.body_crc, to); /* if it is bad, it stays bad */
    b->len += size;
    if (b->meta.count++ == 0)
        b->meta.first = position;
    b->meta.last = position;
    b->meta.bytes += m.body_size;
    *body_size = m.body_size;
    return true;
}

static bool builder_is_full(const struct store *s, const struct builder *b, uint64_t next_position)
{
    return b->meta.count > 0 && (b->meta.count >= s->config.chunk_messages || b->len >= s->config.chunk_bytes ||
                                 next_position - b->meta.first >= CHUNK_SPAN_MAX);
}

/* ---- Packs. */

static enum store_verdict pack_seal(struct store *s)
{
    struct pack *p = s->pack;
    p->is_sealed = true;
    s->pack = NULL;
    if (s->is_tight || p->used + s->config.segment_bytes / 16 > p->size)
        return STORE_FINE;
    int error = s->disk->calls->truncate(s->disk, p->file, p->used);
    if (error < 0) {
        char name[NAME_MAX_BYTES];
        file_name(name, "pack", p->number);
        return store_fail(s, "cannot truncate", name, error);
    }
    p->size = p->used;
    return STORE_FINE;
}

static void pack_dirty(struct store *s, struct pack *p)
{
    s->dirty_packs += !p->is_dirty;
    p->is_dirty = true;
}

static enum store_verdict pack_open(struct store *s, uint64_t room)
{
    char name[NAME_MAX_BYTES];
    uint8_t header[FORMAT_FILE_HEADER];
    uint64_t number = s->next_pack, size = room + FORMAT_FILE_HEADER;
    int file;
    if (size < s->config.pack_bytes)
        size = s->config.pack_bytes;
    file_name(name, "pack", number);
    enum store_verdict v = file_take(s, name, &size, &file);
    if (v != STORE_FINE)
        return v;
    s->next_pack++;
    struct pack *p = image_add_pack(&s->image, number);
    p->file = file;
    p->size = size;
    p->epoch = store_random_epoch(s);
    const struct file_header h = store_header(s, FILE_PACK, number, p->epoch, 0);
    file_header_encode(header, &h);
    v = file_write(s, file, name, header, sizeof header, 0);
    if (v == STORE_FULL) {
        file_untake(s, name, file);
        image_drop_pack(&s->image, p);
        return v;
    }
    p->used = FORMAT_FILE_HEADER;
    pack_dirty(s, p);
    s->pack = p;
    return v;
}

/* The epoch and the numbers of items are the pack's, so it must be there before the chunk is built. */
static enum store_verdict pack_room(struct store *s, uint64_t room)
{
    if (s->pack != NULL && s->pack->used + room > s->pack->size) {
        enum store_verdict v = pack_seal(s);
        if (v != STORE_FINE)
            return v;
    }
    return s->pack != NULL ? STORE_FINE : pack_open(s, room);
}

/* Writes what was built and remembers it until it is durable. */
static enum store_verdict builder_end(struct store *s, struct builder *b)
{
    enum store_verdict v = pack_room(s, b->len);
    if (v != STORE_FINE)
        return v;
    struct pack *p = s->pack;
    b->meta.size = b->len;
    b->meta.pack = p->number;
    b->meta.offset = p->used;
    /* Heads say the pack's epoch and numbers, now that they are known. */
    uint8_t meta[CHUNK_META_MAX] = {0};
    struct pen pen = pen_over(meta, sizeof meta);
    chunk_meta_write(&pen, &b->meta);
    b->epoch = p->epoch;
    b->lsn = p->next_lsn;
    builder_item(b, ITEM_CHUNK, bytes_of(meta, sizeof meta), 0, 0, b->at);
    for (size_t at = chunk_head_size(); at < b->len;) {
        struct item_head head;
        CHECK(item_head_decode(b->at + at, &head));
        head.epoch = p->epoch;
        head.lsn = ++b->lsn;
        item_head_encode(b->at + at, &head);
        at += item_size(head.meta_len, head.body_len);
    }
    char name[NAME_MAX_BYTES];
    file_name(name, "pack", p->number);
    v = file_write(s, p->file, name, b->at, b->len, p->used);
    if (v != STORE_FINE)
        return v;
    p->next_lsn = b->lsn;
    p->used += b->len;
    pack_dirty(s, p);
    p->pending++;
    struct pending_chunk *w = alloc_zeroed(sizeof *w);
    w->meta = b->meta;
    w->pack = p;
    *s->pending_last = w;
    s->pending_last = &w->next;
    s->n_pending++;
    return STORE_FINE;
}

void pack_synced(struct store *s, uint64_t serial)
{
    s->synced_serial = serial;
}

enum store_verdict pack_enforce(struct store *s)
{
    while (s->pending != NULL && s->pending->serial != 0 && s->pending->serial <= s->synced_serial) {
        struct pending_chunk *w = s->pending;
        uint8_t meta[CHUNK_META_MAX];
        struct pen pen = pen_over(meta, sizeof meta);
        chunk_meta_write(&pen, &w->meta);
        enum store_verdict v = journal_put_meta(s, ITEM_CHUNK, 0, pen_written(&pen));
        if (v != STORE_FINE)
            return v;
        image_move(&s->image, &w->meta, w->pack);
        w->pack->pending--;
        s->pending = w->next;
        s->n_pending--;
        if (s->pending == NULL)
            s->pending_last = &s->pending;
        free(w);
    }
    return STORE_FINE;
}

/* ---- Moving what lives out of the oldest segment. */

static void lose(struct store *s, struct image_queue *q, const struct segment *g, const struct spot *spot)
{
    char name[NAME_MAX_BYTES];
    file_name(name, "journal", g->number);
    store_lose(s, q, spot->position,
               &(struct store_loss){.messages = 1,
                                    .bytes = spot->bytes,
                                    .file = name,
                                    .offset = (uint64_t)spot->offset * FORMAT_ALIGN,
                                    .reason = "its checksum does not hold"});
}

/* Copies spots of q in segment g, from where it is at, into one chunk.  *done: none is left. */
static enum store_verdict move_spots(struct store *s, struct segment *g, struct image_queue *q, uint64_t *budget,
                                     bool *done)
{
    struct builder b;
    builder_begin(s, &b, q->id);
    size_t i = queue_find_spot(q, q->moved_to);
    uint64_t from = q->moved_to, to = from;
    for (; i < q->n_spots; i++) {
        const struct spot *spot = queue_spot(q, i);
        if (spot->segment != (uint32_t)g->number || builder_is_full(s, &b, spot->position))
            break;
        to = spot->position + 1;
        if (spot->fate & FATE_DEAD)
            continue;
        uint64_t offset = (uint64_t)spot->offset * FORMAT_ALIGN, body = 0;
        struct item_head head;
        struct bytes at = block_at(s, &s->block, g, offset, FORMAT_ITEM_HEADER, g->used);
        size_t size = at.len > 0 && item_head_decode(at.at, &head) ? item_size(head.meta_len, head.body_len) : 0;
        if (size > 0)
            at = block_at(s, &s->block, g, offset, size, g->used);
        if (size == 0 || at.len < size || !builder_add(s, &b, at, spot->position, &body)) {
            lose(s, q, g, spot);
            i = queue_find_spot(q, to) - 1; /* the ring may have been tidied */
        }
    }
    *done = i >= q->n_spots || queue_spot(q, i)->segment != (uint32_t)g->number;
    q->moved_to = to;
    *budget -= b.len < *budget ? b.len : *budget;
    enum store_verdict v = b.meta.count > 0 ? builder_end(s, &b) : STORE_FINE;
    if (v != STORE_FINE)
        q->moved_to = from;
    return v;
}

/* The oldest segment with something that is not copied yet, once there are too many of those; one that is copied waits
 * for a sync, and nobody waits for it. */
static struct segment *oldest_to_move(const struct store *s)
{
    size_t there = 0;
    struct segment *oldest = NULL;
    for (size_t i = 0; i < s->image.n_segments; i++) {
        struct segment *g = s->image.segments[i];
        if (g == NULL || g == s->open || (g->live > 0 && g->queues_done == g->n_queues))
            continue;
        there++;
        if (oldest == NULL && g->live > 0)
            oldest = g;
    }
    return there > STORE_SEGMENTS_KEPT ? oldest : NULL;
}

static enum store_verdict relocate(struct store *s, uint64_t *budget, bool *more)
{
    struct segment *g;
    while (*budget > 0 && s->n_pending < PENDING_MAX && (g = oldest_to_move(s)) != NULL) {
        struct image_queue *q = image_queue_find(&s->image, g->queues[g->queues_done]);
        bool done = true;
        enum store_verdict v = q == NULL ? STORE_FINE : move_spots(s, g, q, budget, &done);
        if (v != STORE_FINE)
            return v == STORE_FULL ? STORE_FINE : v;
        if (done)
            g->queues_done++;
    }
    *more |= s->n_pending < PENDING_MAX && oldest_to_move(s) != NULL;
    return STORE_FINE;
}

/* ---- Compaction. */

static bool chunk_read(struct store *s, struct chunk *c, struct builder *b, uint64_t *budget)
{
    char name[NAME_MAX_BYTES];
    file_name(name, "pack", c->pack->number);
    int file = c->pack->file >= 0 ? c->pack->file : s->disk->calls->open(s->disk, name, DISK_READ);
    uint8_t *at = alloc(c->size);
    ssize_t got = file < 0 ? -1 : s->disk->calls->read(s->disk, file, at, c->size, c->offset);
    if (file >= 0 && c->pack->file < 0)
        s->disk->calls->close(s->disk, file);
    bool fine = got == (ssize_t)c->size;
    uint64_t seen = 0;
    for (size_t off = chunk_head_size(); fine && off + FORMAT_ITEM_HEADER <= c->size;) {
        struct item_head head;
        struct item item;
        struct message_meta m;
        struct place place;
        size_t need;
        uint64_t body;
        if (!item_head_decode(at + off, &head) || item_size(head.meta_len, head.body_len) > c->size - off) {
            fine = false;
            break;
        }
        struct bytes whole = bytes_of(at + off, item_size(head.meta_len, head.body_len));
        off += whole.len;
        if (item_decode(whole, &item, &need) == ITEM_BAD_META) {
            fine = false;
            break;
        }
        struct cursor cur = cursor_over(item.meta);
        if (!message_meta_read(&cur, &m) || !place_read(&cur, &place)) {
            fine = false;
            break;
        }
        if (chunk_fate(c, place.position) & FATE_DEAD)
            continue;
        fine = builder_add(s, b, whole, place.position, &body);
        seen++;
    }
    free(at);
    *budget -= c->size < *budget ? c->size : *budget;
    return fine && seen == c->live;
}

/* The sealed pack of which the least lives, if there is too much of what does not. */
static struct pack *worst_pack(struct store *s)
{
    uint64_t used = 0, live = 0;
    struct pack *worst = NULL, *p;
    list_each (p, &s->image.packs, struct pack, in_order) {
        used += p->size;
        live += p->live_bytes;
        bool may = p->is_sealed && !p->is_compacted && p->pending == 0 && p->live_bytes > 0;
        if (may && (worst == NULL || p->live_bytes * worst->used < worst->live_bytes * p->used))
            worst = p;
    }
    s->stats.pack_bytes = used;
    s->stats.pack_live_bytes = live;
    bool too_much = used > live + live / 2 + PACKS_SLACK * s->config.pack_bytes;
    return too_much && worst != NULL && worst->live_bytes < worst->used / 2 ? worst : NULL;
}

static enum store_verdict compact(struct store *s, uint64_t *budget, bool *more)
{
    if (s->compacting == 0 && s->tends++ % 16 == 0) {
        struct pack *p = worst_pack(s);
        s->compacting = p != NULL ? p->number : 0;
    }
    struct pack *p = image_pack(&s->image, s->compacting);
    if (p == NULL)
        s->compacting = 0; /* it is gone already */
    while (p != NULL && *budget > 0 && s->n_pending < PENDING_MAX) {
        struct chunk *c = NULL, *at;
        list_each (at, &p->chunks, struct chunk, in_pack)
            if (!at->is_moving) {
                c = at;
                break;
            }
        if (c == NULL) {
            p->is_compacted = true;
            s->compacting = 0;
            break;
        }
        struct builder b;
        builder_begin(s, &b, c->queue->id);
        c->is_moving = true;
        if (!chunk_read(s, c, &b, budget) || b.meta.count == 0)
            continue; /* damaged: it stays, and is reported when it is wanted */
        b.meta.replaces = c->number;
        enum store_verdict v = builder_end(s, &b);
        if (v == STORE_FULL)
            c->is_moving = false;
        if (v != STORE_FINE)
            return v == STORE_FULL ? STORE_FINE : v;
    }
    *more |= s->compacting != 0 && s->n_pending < PENDING_MAX;
    return STORE_FINE;
}

/* ---- The end of a pack. */

static void drop_dead_packs(struct store *s)
{
    struct pack *p;
    list_each (p, &s->image.packs, struct pack, in_order) {
        if (!list_is_empty(&p->chunks) || p->pending > 0 || (p == s->pack && p->used == FORMAT_FILE_HEADER))
            continue;
        if (p->dead_since_lsn == 0)
            p->dead_since_lsn = journal_image_lsn(s);
        if (p->dead_since_lsn > s->durable_lsn || p->is_dirty)
            continue;
        char name[NAME_MAX_BYTES];
        file_name(name, "pack", p->number);
        if (p->file >= 0)
            s->disk->calls->close(s->disk, p->file);
        if (p == s->pack)
            s->pack = NULL;
        file_doom(s, name, p->size, p->dead_since_lsn);
        image_drop_pack(&s->image, p);
    }
}

enum store_verdict pack_tend(struct store *s, uint64_t budget, bool *more)
{
    if (s->in_tx || s->n_waiting > 0)
        return STORE_FINE;
    enum store_verdict v = relocate(s, &budget, more);
    if (v == STORE_FINE)
        v = compact(s, &budget, more);
    if (v == STORE_FINE)
        drop_dead_packs(s);
    return v;
}
