/* Checkpoints: the image as a file, twice.  It is taken between two groups, waits in memory until the journal is
 * durable up to there, and is in force once both files are; then older ones go, and the segments before it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/store/state.h"

enum { CHECKPOINT_FACTOR = 8, COPIES = 2, SPOTS_MAX = 1 << 20 /* in one item */ };
enum {
    STATE_META_MAX = 9 * VARINT_MAX,
    QUEUE_META_MAX = 3 * VARINT_MAX,
    SPOTS_META_MAX = 2 * VARINT_MAX, /* without the spots */
    SPOT_ROOM = 5 * VARINT_MAX,
};

static const char *const kinds[COPIES] = {"checkpoint-a", "checkpoint-b"};

/* ---- Writing. */

struct writer {
    uint8_t *at; /* owned */
    size_t len, room;
    uint32_t epoch;
    uint64_t lsn;
};

static uint8_t *writer_room(struct writer *w, size_t size)
{
    if (w->room - w->len < size) {
        w->room = alloc_grown(w->room, w->len + size);
        w->at = alloc_array(w->at, w->room, 1);
    }
    return w->at + w->len;
}

/* Meta and body lie where writer_room() said, behind the header. */
static void writer_put(struct writer *w, enum item_type type, size_t meta_len, size_t body_len)
{
    uint8_t *to = w->at + w->len;
    size_t len = FORMAT_ITEM_HEADER + meta_len + body_len;
    const struct item_head head = {
        .type = (uint8_t)type,
        .epoch = w->epoch,
        .lsn = ++w->lsn,
        .meta_len = (uint32_t)meta_len,
        .body_len = (uint32_t)body_len,
        .meta_crc = crc32c(0, to + FORMAT_ITEM_HEADER, meta_len),
        .body_crc = crc32c(0, to + FORMAT_ITEM_HEADER + meta_len, body_len),
    };
    memset(to + len, 0, format_pad(len) - len);
    item_head_encode(to, &head);
    w->len += format_pad(len);
}

static struct pen writer_pen(struct writer *w, size_t meta_max)
{
    uint8_t *to = writer_room(w, item_size(meta_max, 0));
    return pen_over(to + FORMAT_ITEM_HEADER, meta_max);
}

static void write_state(struct store *s, struct writer *w)
{
    struct pen p = writer_pen(w, STATE_META_MAX);
    pen_varint(&p, s->group_lsn);
    pen_varint(&p, s->image.first_segment);
    pen_varint(&p, s->image.next_queue);
    pen_varint(&p, s->image.next_chunk);
    pen_varint(&p, s->next_pack);
    pen_varint(&p, s->next_segment);
    pen_varint(&p, s->wall_ms);
    pen_varint(&p, s->is_closing);
    pen_varint(&p, s->lsn);
    writer_put(w, ITEM_STATE, pen_written(&p).len, 0);
}

static void write_definitions(const struct store *s, struct writer *w)
{
    struct image_definition *d;
    for (unsigned i = 0; i < DEFINE_CLASSES; i++)
        list_each (d, &s->image.classes[i], struct image_definition, in_class) {
            const struct definition def = {.what = d->what, .queue = d->queue, .key = d->key, .value = d->value};
            size_t size = definition_size(&def);
            struct pen p = writer_pen(w, size);
            definition_write(&p, &def);
            CHECK(!p.full);
            writer_put(w, ITEM_DEFINE, pen_written(&p).len, 0);
        }
}

static void write_chunk(struct writer *w, const struct chunk *c)
{
    size_t span = c->fates == NULL ? 0 : (size_t)(c->last - c->first + 1);
    uint8_t *to = writer_room(w, item_size(CHUNK_META_MAX, span * sizeof(uint16_t)));
    struct pen p = pen_over(to + FORMAT_ITEM_HEADER, CHUNK_META_MAX);
    const struct chunk_meta m = {.queue = c->queue->id,
                                 .chunk = c->number,
                                 .pack = c->pack->number,
                                 .offset = c->offset,
                                 .size = c->size,
                                 .first = c->first,
                                 .last = c->last,
                                 .count = c->count,
                                 .bytes = c->bytes};
    chunk_meta_write(&p, &m);
    CHECK(!p.full);
    for (size_t i = 0; i < span; i++) {
        p.at[2 * i] = (uint8_t)c->fates[i];
        p.at[2 * i + 1] = (uint8_t)(c->fates[i] >> 8);
    }
    writer_put(w, ITEM_CHUNK, pen_written(&p).len, span * sizeof(uint16_t));
}

/* The live spots from index *i on, each relative to the one before: as many as an item takes. */
static void write_some_spots(struct writer *w, const struct image_queue *q, size_t live, size_t *i)
{
    struct pen p = writer_pen(w, SPOTS_META_MAX + live * SPOT_ROOM);
    struct spot last = {0};
    pen_varint(&p, q->id);
    pen_varint(&p, live);
    for (; live > 0; ++*i) {
        const struct spot *s = queue_spot(q, *i);
        if (s->fate & FATE_DEAD)
            continue;
        pen_varint(&p, s->position - last.position);
        pen_varint(&p, (uint32_t)(s->segment - last.segment));
        pen_varint(&p, (uint32_t)(s->offset - last.offset));
        pen_varint(&p, s->bytes);
        pen_varint(&p, s->fate);
        last = *s;
        live--;
    }
    CHECK(!p.full);
    writer_put(w, ITEM_PLACES, pen_written(&p).len, 0);
}

static void write_spots(struct writer *w, const struct image_queue *q)
{
    size_t i = 0;
    for (size_t live = q->n_spots - q->dead_spots, n; live > 0; live -= n) {
        n = live < SPOTS_MAX ? live : SPOTS_MAX;
        write_some_spots(w, q, n, &i);
    }
}

static void write_queues(const struct store *s, struct writer *w)
{
    for (struct map_node *n = map_walk(&s->image.queues, NULL); n != NULL; n = map_walk(&s->image.queues, n)) {
        const struct image_queue *q = item_of(n, struct image_queue, by_id);
        struct pen p = writer_pen(w, QUEUE_META_MAX);
        pen_varint(&p, q->id);
        pen_varint(&p, q->next_position);
        pen_varint(&p, q->suspect_before);
        writer_put(w, ITEM_QUEUE, pen_written(&p).len, 0);
        for (size_t i = 0; i < q->n_chunks; i++)
            write_chunk(w, q->chunks[i]);
        write_spots(w, q);
    }
}

static void checkpoint_take(struct store *s)
{
    s->next.number = s->next_checkpoint++;
    s->next.lsn = s->group_lsn;
    s->next.files[0] = s->next.files[1] = -1;
    s->next.is_written = false;
    s->next.is_last = s->is_closing;
    s->next.serial = 0;
    struct writer w = {.epoch = store_random_epoch(s)};
    const struct file_header h = store_header(s, FILE_CHECKPOINT, s->next.number, w.epoch, s->group_lsn);
    file_header_encode(writer_room(&w, FORMAT_FILE_HEADER), &h);
    w.len = FORMAT_FILE_HEADER;
    write_state(s, &w);
    write_definitions(s, &w);
    write_queues(s, &w);
    writer_room(&w, item_size(0, 0));
    writer_put(&w, ITEM_END, 0, 0);
    s->next.at = w.at;
    s->next.len = w.len;
    s->journal_since = 0;
    if (s->is_backing_up && s->backup.checkpoint == 0)
        backup_plan(s);
}

void checkpoint_free(struct store *s)
{
    for (unsigned i = 0; i < COPIES && s->next.number != 0; i++)
        if (s->next.files[i] >= 0)
            s->disk->calls->close(s->disk, s->next.files[i]);
    free(s->next.at);
    s->next.at = NULL;
    s->next.number = 0;
}

/* Full: it is given up, what was written of it goes. */
static void checkpoint_give_up(struct store *s)
{
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0; i < COPIES; i++)
        if (s->next.files[i] >= 0) {
            file_name(name, kinds[i], s->next.number);
            file_doom(s, name, s->next.size, 0);
        }
    if (s->backup.checkpoint == s->next.number)
        backup_fini(&s->backup); /* the next one will be its mark */
    checkpoint_free(s);
}

static enum store_verdict checkpoint_write(struct store *s)
{
    s->next.size = s->next.len;
    for (unsigned i = 0; i < COPIES; i++) {
        char name[NAME_MAX_BYTES];
        file_name(name, kinds[i], s->next.number);
        /* The second copy has no claim on the last spare files. */
        bool may_create = i == 0 || !s->is_tight;
        enum store_verdict v = STORE_FULL;
        if (may_create) {
            int f = s->disk->calls->open(s->disk, name, DISK_CREATE);
            s->names_changed = true;
            if (f < 0 && f != -ENOSPC)
                return store_fail(s, "cannot create", name, f);
            s->next.files[i] = f < 0 ? -1 : f;
            v = f < 0 ? STORE_FULL : file_write(s, f, name, s->next.at, s->next.len, 0);
        }
        if (v == STORE_FULL && i == 0) { /* in the place of a spare file, if it is not too big */
            s->is_tight = true;
            if (s->next.files[0] >= 0) {
                s->disk->calls->close(s->disk, s->next.files[0]);
                s->disk->calls->unlink(s->disk, name);
                s->next.files[0] = -1;
            }
            uint64_t size = s->next.len;
            if (size <= s->config.segment_bytes && s->n_spares > 0) {
                v = file_take(s, name, &size, &s->next.files[0]);
                if (v == STORE_FINE)
                    v = file_write(s, s->next.files[0], name, s->next.at, s->next.len, 0);
                s->next.size = size;
            }
        }
        if (v == STORE_FAILED || (v == STORE_FULL && i == 0))
            return v;
    }
    s->next.is_written = true;
    free(s->next.at);
    s->next.at = NULL;
    return STORE_FINE;
}

static void doom_checkpoint(struct store *s, uint64_t number, uint64_t size)
{
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0; i < COPIES && number != 0; i++) {
        file_name(name, kinds[i], number);
        file_doom(s, name, i == 0 ? size : 0, 0);
    }
}

void checkpoint_synced(struct store *s)
{
    if (s->next.number == 0 || s->next.serial == 0 || s->next.serial > s->synced_serial)
        return;
    doom_checkpoint(s, s->checkpoint, s->checkpoint_file_size);
    s->was_closed = s->next.is_last;
    s->checkpoint = s->next.number;
    s->checkpoint_lsn = s->next.lsn;
    s->checkpoint_size = s->next.len;
    s->checkpoint_file_size = s->next.size;
    checkpoint_free(s);
}

void checkpoint_adopt(struct store *s, uint64_t number, uint64_t lsn)
{
    s->next.number = number;
    s->next.lsn = lsn;
    s->next.len = s->checkpoint_size;
    s->next.size = s->checkpoint_file_size;
    s->next.is_written = true;
    for (unsigned i = 0; i < COPIES; i++) {
        char name[NAME_MAX_BYTES];
        file_name(name, kinds[i], number);
        s->next.files[i] = s->disk->calls->open(s->disk, name, DISK_WRITE);
        if (s->next.files[i] < 0 && s->next.files[i] != -ENOENT)
            store_fail(s, "cannot open", name, s->next.files[i]);
    }
    s->checkpoint = s->checkpoint_lsn = 0;
}

/* Would it set anything free?  Then it is worth its while when there is nothing else to do. */
static bool has_garbage(const struct store *s)
{
    for (size_t i = 0; i < s->image.n_segments; i++) {
        const struct segment *g = s->image.segments[i];
        if (g != NULL && g != s->open && g->live == 0 && g->last_lsn > s->checkpoint_lsn)
            return true;
    }
    return false;
}

static bool is_due(struct store *s, bool force)
{
    uint64_t after = s->checkpoint_size * CHECKPOINT_FACTOR;
    if (after < s->config.checkpoint_bytes)
        after = s->config.checkpoint_bytes;
    return force || s->journal_since >= after ||
           ((store_is_idle(s) || s->n_spares == 0 || !stuck_is_empty(&s->stuck)) && has_garbage(s));
}

enum store_verdict checkpoint_tend(struct store *s, bool force, bool *more)
{
    force |= s->is_backing_up && s->backup.checkpoint == 0;
    if (s->next.number == 0) {
        if (s->is_group_open || s->n_waiting > 0 || s->in_tx || (s->group_lsn == s->checkpoint_lsn && !force) ||
            !is_due(s, force))
            return STORE_FINE;
        checkpoint_take(s);
    }
    if (s->next.is_written || s->durable_lsn < s->next.lsn)
        return STORE_FINE;
    enum store_verdict v = checkpoint_write(s);
    if (v == STORE_FULL)
        checkpoint_give_up(s);
    *more |= v == STORE_FINE;
    return v == STORE_FULL ? STORE_FINE : v;
}

/* ---- Reading. */

static bool read_state(struct store *s, struct bytes meta)
{
    struct cursor c = cursor_over(meta);
    uint64_t lsn = cursor_varint(&c), first = cursor_varint(&c), queue = cursor_varint(&c), chunk = cursor_varint(&c),
             pack = cursor_varint(&c), segment = cursor_varint(&c);
    s->wall_ms = cursor_varint(&c);
    s->was_closed = cursor_varint(&c) != 0;
    s->lsn = cursor_varint(&c);
    if (c.bad || queue == 0 || chunk == 0)
        return false;
    s->checkpoint_lsn = lsn;
    s->image.next_queue = queue;
    s->image.next_chunk = chunk;
    s->next_pack = pack;
    s->next_segment = segment;
    return recover_segments(s, first);
}

static bool read_chunk(struct store *s, const struct item *item)
{
    struct cursor c = cursor_over(item->meta);
    struct chunk_meta m;
    if (!chunk_meta_read(&c, &m))
        return false;
    uint64_t bytes = m.bytes;
    struct pack *p = image_pack(&s->image, m.pack);
    if (p == NULL && m.pack != 0) {
        p = image_add_pack(&s->image, m.pack);
        p->is_sealed = true;
    }
    struct chunk *k = p != NULL ? image_add_chunk(&s->image, &m, p) : NULL;
    if (k == NULL || (item->body.len != 0 && item->body.len != (m.last - m.first + 1) * sizeof(uint16_t)))
        return k != NULL;
    if (item->body.len > 0)
        image_load_fates(&s->image, k, item->body, bytes);
    return true;
}

static bool read_spots(struct store *s, struct bytes meta)
{
    struct cursor c = cursor_over(meta);
    uint64_t queue = cursor_varint(&c), n = cursor_varint(&c);
    struct spot spot = {0};
    for (uint64_t i = 0; i < n && !c.bad; i++) {
        spot.position += cursor_varint(&c);
        spot.segment += (uint32_t)cursor_varint(&c);
        spot.offset += (uint32_t)cursor_varint(&c);
        spot.bytes = (uint32_t)cursor_varint(&c);
        spot.fate = (uint16_t)(cursor_varint(&c) & (uint16_t)~FATE_DEAD);
        if (!c.bad)
            image_restore_spot(&s->image, queue, &spot);
    }
    return !c.bad;
}

static bool read_item(struct store *s, const struct item *item)
{
    struct cursor c = cursor_over(item->meta);
    enum definition_class what;
    struct bytes key, value;
    uint64_t queue, position, suspect;
    switch (item->type) {
    case ITEM_STATE:
        return read_state(s, item->meta);
    case ITEM_DEFINE:
        if (!definition_read(&c, &what, &queue, &key, &value))
            return false;
        image_define(&s->image, what, queue, key, value);
        return true;
    case ITEM_QUEUE:
        queue = cursor_varint(&c);
        position = cursor_varint(&c);
        suspect = cursor_varint(&c);
        if (!c.bad)
            image_restore_queue(&s->image, queue, position, suspect);
        return !c.bad;
    case ITEM_CHUNK:
        return read_chunk(s, item);
    case ITEM_PLACES:
        return read_spots(s, item->meta);
    default:
        recover_unknown(s, item->type);
        return true;
    }
}

/* Where the items of one copy are, by their numbers. */
struct copy {
    uint8_t *at; /* owned; NULL: not there */
    size_t len;
    uint32_t epoch;
    size_t *offsets; /* owned: of item i + 1; 0: it cannot be read */
    size_t n, room;
    bool has_end;
};

/* The epoch of its items; false: it is something else, still.  A spare file that was to become a checkpoint when power
 * failed may be a whole segment of the journal, or a whole checkpoint of long ago. */
static bool copy_epoch(const struct copy *c, uint64_t number, uint32_t *epoch)
{
    struct file_header h;
    struct item_head first;
    switch (file_header_decode(c->at, &h)) {
    case HEADER_FINE:
        *epoch = h.epoch;
        return h.kind == FILE_CHECKPOINT && h.number == number;
    case HEADER_NEWER:
    case HEADER_DAMAGED:
    case HEADER_FOREIGN:
        break;
    }
    if (!item_head_decode(c->at + FORMAT_FILE_HEADER, &first))
        return true;
    *epoch = first.epoch;
    return first.type == ITEM_STATE;
}

static void copy_load(struct store *s, struct copy *c, unsigned kind, uint64_t number)
{
    char name[NAME_MAX_BYTES];
    uint64_t size;
    *c = (struct copy){0};
    file_name(name, kinds[kind], number);
    c->at = store_read_file(s, name, &size);
    if (c->at == NULL || size < FORMAT_FILE_HEADER + FORMAT_ITEM_HEADER)
        return;
    c->len = (size_t)size;
    if (!copy_epoch(c, number, &c->epoch))
        return;
    for (size_t at = FORMAT_FILE_HEADER; at < c->len && !c->has_end;) {
        struct item item;
        size_t need;
        struct bytes rest = bytes_of(c->at + at, c->len - at);
        enum item_verdict v = item_decode(rest, &item, &need);
        if (v == ITEM_FINE && item.epoch == c->epoch && item.lsn > c->n && item.lsn < c->n + (c->len / 8)) {
            if (item.lsn > c->room) {
                c->room = alloc_grown(c->room, (size_t)item.lsn);
                c->offsets = alloc_array(c->offsets, c->room, sizeof *c->offsets);
            }
            while (c->n < item.lsn)
                c->offsets[c->n++] = 0;
            c->offsets[c->n - 1] = at;
            c->has_end = item.type == ITEM_END;
            at += need;
        } else {
            size_t next = item_find(bytes_of(c->at, c->len), at + FORMAT_ALIGN, c->epoch, c->n + 1);
            at = next;
        }
    }
}

static void copy_free(struct copy *c)
{
    free(c->at);
    free(c->offsets);
}

static bool copy_item(const struct copy *c, size_t i, struct item *item)
{
    size_t need;
    return i < c->n && c->offsets[i] != 0 &&
           item_decode(bytes_of(c->at + c->offsets[i], c->len - c->offsets[i]), item, &need) == ITEM_FINE;
}

/* Items that neither copy has. */
static size_t copies_lack(const struct copy copies[COPIES], size_t n)
{
    size_t lacking = 0;
    struct item item;
    for (size_t i = 0; i < n; i++)
        lacking += !copy_item(&copies[0], i, &item) && !copy_item(&copies[1], i, &item);
    return lacking;
}

bool checkpoint_read(struct store *s, uint64_t number, bool must_be_whole, bool *is_whole)
{
    struct copy copies[COPIES];
    char name[NAME_MAX_BYTES];
    size_t n = 0, lost = 0;
    bool has_end = false;
    for (unsigned i = 0; i < COPIES; i++) {
        copy_load(s, &copies[i], i, number);
        if (copies[i].n > n)
            n = copies[i].n;
        has_end |= copies[i].has_end;
    }
    if (must_be_whole && (!has_end || copies_lack(copies, n) > 0)) {
        for (unsigned i = 0; i < COPIES; i++)
            copy_free(&copies[i]);
        return false;
    }
    for (size_t i = 0; has_end && i < n; i++) {
        struct item item;
        bool there = copy_item(&copies[0], i, &item) || copy_item(&copies[1], i, &item);
        if (!there || !read_item(s, &item))
            lost++;
        if (there && item.type == ITEM_END)
            break;
    }
    s->checkpoint_size = copies[0].len > copies[1].len ? copies[0].len : copies[1].len;
    if (has_end)
        for (unsigned i = 0; i < COPIES; i++)
            if (!copies[i].has_end || copies[i].n != n) {
                file_name(name, kinds[i], number);
                store_note(s, copies[i].has_end || lost > 0, "%s is not whole; %s", name,
                           lost == 0 ? "the other copy was used" : "nor is the other copy");
            }
    for (unsigned i = 0; i < COPIES; i++)
        copy_free(&copies[i]);
    file_name(name, "checkpoint", number);
    if (lost > 0)
        store_lose(s, NULL, 0,
                   &(struct store_loss){.messages = lost, .file = name, .reason = "neither copy can be read"});
    *is_whole = has_end && lost == 0;
    return has_end;
}
