/* The journal: segments of items, groups that end in a BATCH. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/store/state.h"

enum store_verdict journal_flush(struct store *s)
{
    enum { ROOM = 2 * BUFFER_BYTES, ROOM_MAX = 8 * BUFFER_BYTES };
    if (s->buffered == 0)
        return STORE_FINE;
    char name[NAME_MAX_BYTES];
    file_name(name, "journal", s->open->number);
    enum store_verdict v = file_write(s, s->open->file, name, s->buffer, s->buffered, s->buffer_at);
    if (v != STORE_FINE)
        return v;
    s->open->is_dirty = true;
    s->buffer_at += s->buffered;
    s->journal_since += s->buffered;
    s->buffered = 0;
    if (s->buffer_room > ROOM_MAX) { /* there was a large message */
        s->buffer_room = ROOM;
        free(s->buffer);
        s->buffer = alloc(s->buffer_room);
    }
    return STORE_FINE;
}

static void buffer_reserve(struct store *s, size_t size)
{
    if (s->buffer_room - s->buffered >= size)
        return;
    s->buffer_room = s->buffered + size + BUFFER_BYTES;
    s->buffer = alloc_array(s->buffer, s->buffer_room, 1);
}

void journal_put(struct store *s, enum item_type type, uint8_t flags, size_t meta_len, size_t body_len,
                 uint32_t body_crc)
{
    uint8_t *to = s->buffer + s->buffered;
    size_t len = FORMAT_ITEM_HEADER + meta_len + body_len, size = format_pad(len);
    const struct item_head head = {.type = (uint8_t)type,
                                   .flags = flags,
                                   .epoch = s->open->epoch,
                                   .lsn = ++s->lsn,
                                   .meta_len = (uint32_t)meta_len,
                                   .body_len = (uint32_t)body_len,
                                   .meta_crc = crc32c(0, to + FORMAT_ITEM_HEADER, meta_len),
                                   .body_crc = body_crc};
    CHECK(s->buffered + size <= s->buffer_room && s->open->used + size <= s->open->size);
    if (!s->is_group_open)
        s->group_first_lsn = s->lsn;
    memset(to + len, 0, size - len);
    item_head_encode(to, &head);
    s->buffered += size;
    s->open->used += size;
    s->is_group_open = true;
}

/* Nothing more is written to the open segment but the end of a group.  STORE_FULL: it is sealed all the same. */
static enum store_verdict journal_seal(struct store *s)
{
    if (s->open->last_lsn == 0) {
        buffer_reserve(s, item_size(0, 0));
        journal_put(s, ITEM_END, 0, 0, 0, 0);
        s->open->last_lsn = s->lsn;
    }
    enum store_verdict v = journal_flush(s);
    if (v == STORE_FINE)
        s->open->last_lsn = s->lsn;
    return v;
}

/* Of one that has room for an item of that many bytes. */
static uint64_t segment_size(uint64_t item)
{
    return FORMAT_FILE_HEADER + item + 2 * (uint64_t)SEGMENT_TAIL_BYTES;
}

static enum store_verdict journal_next_segment(struct store *s, uint64_t item)
{
    char name[NAME_MAX_BYTES];
    uint64_t number = s->image.n_segments == 0 ? s->next_segment : s->image.first_segment + s->image.n_segments;
    uint64_t size = segment_size(item);
    int file;
    if (number < s->next_segment)
        number = s->next_segment;
    if (size < s->config.segment_bytes)
        size = s->config.segment_bytes;
    file_name(name, "journal", number);
    enum store_verdict v = file_take(s, name, &size, &file);
    if (v == STORE_FINE && s->open != NULL) {
        v = journal_seal(s);
        if (v == STORE_FULL)
            file_untake(s, name, file);
    }
    if (v != STORE_FINE)
        return v;
    struct segment *g = image_add_segment(&s->image, number);
    g->file = file;
    g->size = size;
    g->epoch = store_random_epoch(s);
    g->first_lsn = s->lsn + 1;
    bool is_first = s->open == NULL;
    struct file_header h = store_header(s, FILE_JOURNAL, number, g->epoch, g->first_lsn);
    h.after_lsn = g->after_lsn = is_first ? s->after_lsn : s->lsn;
    buffer_reserve(s, FORMAT_FILE_HEADER + item_size(0, 0));
    file_header_encode(s->buffer, &h);
    s->next_segment = number + 1;
    s->open = g;
    s->buffer_at = 0;
    s->buffered = g->used = FORMAT_FILE_HEADER;
    if (is_first && s->lsn > 0)
        journal_put(s, ITEM_RESTART, 0, 0, 0, 0);
    return STORE_FINE;
}

enum store_verdict journal_begin_segment(struct store *s)
{
    return journal_next_segment(s, 0);
}

static bool is_too_much(const struct store *s, uint64_t size)
{
    return s->open == NULL || s->open->last_lsn != 0 || s->open->used + size + SEGMENT_TAIL_BYTES > s->open->size;
}

enum store_verdict journal_spare(struct store *s, uint64_t size)
{
    bool is_new = is_too_much(s, size);
    bool takes_spare = is_new && segment_size(size) <= s->config.segment_bytes;
    unsigned spares = STORE_RESERVE + takes_spare;
    enum store_verdict v = s->n_spares < spares ? files_reserve(s, spares) : STORE_FINE;
    return v == STORE_FINE && is_new ? journal_next_segment(s, size) : v;
}

uint8_t *journal_room(struct store *s, size_t size, enum store_verdict *verdict)
{
    *verdict = STORE_FINE;
    if (s->buffered >= BUFFER_BYTES)
        *verdict = journal_flush(s);
    if (*verdict == STORE_FINE && is_too_much(s, size))
        *verdict = journal_next_segment(s, size);
    if (*verdict != STORE_FINE)
        return NULL;
    buffer_reserve(s, size);
    return s->buffer + s->buffered;
}

enum store_verdict journal_put_meta(struct store *s, enum item_type type, uint8_t flags, struct bytes meta)
{
    enum store_verdict v;
    uint8_t *to = journal_room(s, item_size(meta.len, 0), &v);
    if (to == NULL)
        return v;
    if (meta.len > 0)
        memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
    journal_put(s, type, flags, meta.len, 0, 0);
    return STORE_FINE;
}

/* The BATCH has its room in every segment, so only writing can fail. */
static void journal_put_batch(struct store *s)
{
    uint8_t meta[BATCH_META_MAX];
    struct pen p = pen_over(meta, sizeof meta);
    const struct batch_meta m = {.first_lsn = s->group_first_lsn,
                                 .count = s->is_group_open ? s->lsn + 1 - s->group_first_lsn : 0,
                                 .durable = s->durable_lsn,
                                 .position = s->position,
                                 .wall_ms = s->wall_ms};
    batch_meta_write(&p, &m);
    struct bytes b = pen_written(&p);
    buffer_reserve(s, item_size(b.len, 0));
    memcpy(s->buffer + s->buffered + FORMAT_ITEM_HEADER, b.at, b.len);
    journal_put(s, ITEM_BATCH, 0, b.len, 0, 0);
}

enum store_verdict journal_end_group(struct store *s)
{
    if (s->is_group_open) {
        journal_put_batch(s);
        s->is_group_open = false;
        s->is_mark_due = false;
        s->group_lsn = s->lsn;
        s->stats.groups++;
    }
    enum store_verdict v = journal_flush(s);
    if (v == STORE_FINE) {
        s->written_lsn = s->group_lsn;
        s->written_position = s->position;
        s->written_changes = s->changes;
    }
    return v;
}

/* Runs may still wait to be written in the group that is open. */
uint64_t journal_image_lsn(const struct store *s)
{
    return s->is_group_open ? s->lsn + 1 : s->group_lsn;
}

/* Says how much is durable when nothing else is to be said, so that damage to it will not be taken for a torn tail.  It
 * needs no sync of its own, and nobody waits for it. */
enum store_verdict journal_mark(struct store *s)
{
    if (!s->is_mark_due || s->is_group_open || s->buffered > 0)
        return STORE_FINE;
    if (s->open == NULL) { /* after recovery: a group of its own */
        enum store_verdict v = journal_begin_segment(s);
        return v == STORE_FINE ? journal_end_group(s) : v;
    }
    if (s->open->last_lsn != 0 || s->open->used + SEGMENT_TAIL_BYTES / 2 > s->open->size)
        return STORE_FINE;
    journal_put_batch(s);
    s->is_group_open = false;
    s->is_mark_due = false;
    bool was_dirty = s->open->is_dirty;
    enum store_verdict v = journal_flush(s);
    s->open->is_dirty = was_dirty;
    return v;
}

/* Segments go when a checkpoint covers them, nothing lives in them, and that is durable. */
void journal_tend(struct store *s)
{
    for (size_t i = 0; i < s->image.n_segments; i++) {
        struct segment *g = s->image.segments[i];
        if (g == NULL || g == s->open || g->live > 0 || g->last_lsn == 0 || g->last_lsn > s->checkpoint_lsn)
            continue;
        if (g->dead_since_lsn == 0)
            g->dead_since_lsn = journal_image_lsn(s);
        if (g->dead_since_lsn > s->durable_lsn || g->is_dirty)
            continue;
        char name[NAME_MAX_BYTES];
        file_name(name, "journal", g->number);
        if (g->file >= 0)
            s->disk->calls->close(s->disk, g->file);
        if (s->block.number == g->number)
            s->block.number = 0;
        if (s->load_block.number == g->number)
            s->load_block.number = 0;
        file_doom(s, name, g->size, g->dead_since_lsn);
        size_t gone = s->image.first_segment;
        image_drop_segment(&s->image, g);
        i -= (size_t)(s->image.first_segment - gone);
        if (s->image.first_segment != gone)
            i = (size_t)-1; /* the array has moved: begin again */
    }
}
