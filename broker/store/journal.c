/* The journal: segments of items, groups that end in a BATCH. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/store/state.h"

/* ---- The write buffer.  Most messages are gone before their segment is full.  To write them through the cache costs
 * more than all the rest, so as long as that is so they are written past it: in blocks, the last one again when it has
 * grown.  What a backlog is read from again, soon, is written through the cache. */

void journal_close_direct(struct store *s)
{
    if (s->direct >= 0)
        s->disk->calls->close(s->disk, s->direct);
    s->direct = -1;
}

static size_t block_pad(size_t n)
{
    return (n + DISK_BLOCK - 1) & ~(size_t)(DISK_BLOCK - 1);
}

/* About a quarter of its messages do, or more: an item may be a message's, or end its group. */
static bool lives_on(const struct segment *g)
{
    return g->live > (g->last_lsn - g->first_lsn) / 4;
}

static bool direct_is_worth_it(const struct store *s)
{
    unsigned backlog = 0;
    for (size_t i = 0; i < s->image.n_segments; i++) {
        const struct segment *g = s->image.segments[i];
        backlog += g != NULL && g->last_lsn != 0 && lives_on(g);
    }
    return backlog < DIRECT_BACKLOG && s->loads_direct == s->journal_loads;
}

/* For the segment that was just opened. */
static void open_direct(struct store *s, const char *name, uint64_t size)
{
    bool is_worth_it = direct_is_worth_it(s);
    s->loads_direct = s->journal_loads;
    if (s->no_direct || !is_worth_it || size % DISK_BLOCK != 0)
        return;
    s->direct = s->disk->calls->open(s->disk, name, DISK_DIRECT);
    s->no_direct = s->direct == -EINVAL;
}

static void buffer_resize(struct store *s, size_t room)
{
    uint8_t *at = alloc_aligned(DISK_BLOCK, block_pad(room));
    if (s->buffered > 0)
        memcpy(at, s->buffer, s->buffered);
    free(s->buffer);
    s->buffer = at;
    s->buffer_room = block_pad(room);
}

static void buffer_reserve(struct store *s, size_t size)
{
    if (s->buffer_room - s->buffered < size)
        buffer_resize(s, s->buffered + size + BUFFER_BYTES);
}

/* Writes the buffer in whole blocks, the last one filled up with zeroes.  STORE_FINE with s->direct -1: it cannot be
 * done like that. */
static enum store_verdict write_blocks(struct store *s, const char *name)
{
    size_t len = block_pad(s->buffered);
    memset(s->buffer + s->buffered, 0, len - s->buffered);
    for (size_t at = 0; at < len;) {
        ssize_t put = s->disk->calls->write(s->disk, s->direct, s->buffer + at, len - at, s->buffer_at + at);
        if (put == -EINVAL) {
            journal_close_direct(s);
            s->no_direct = true;
            return STORE_FINE;
        }
        enum store_verdict v = file_wrote(s, name, put < DISK_BLOCK && put >= 0 ? 0 : put);
        if (v != STORE_FINE)
            return v;
        at += (size_t)put & ~(size_t)(DISK_BLOCK - 1);
    }
    return STORE_FINE;
}

/* All of it is written. */
static void buffer_clear(struct store *s)
{
    enum { ROOM = 2 * BUFFER_BYTES, ROOM_MAX = 8 * BUFFER_BYTES };
    size_t tail = s->direct >= 0 ? s->buffered % DISK_BLOCK : 0, whole = s->buffered - tail;
    s->journal_since += s->buffered - s->buffer_written;
    if (tail > 0 && whole > 0)
        memmove(s->buffer, s->buffer + whole, tail);
    s->buffer_at += whole;
    s->buffered = s->buffer_written = tail;
    if (s->buffer_room > ROOM_MAX) /* there was a large message */
        buffer_resize(s, ROOM);
}

enum store_verdict journal_flush(struct store *s)
{
    enum store_verdict v = STORE_FINE;
    if (journal_is_flushed(s))
        return v;
    char name[NAME_MAX_BYTES];
    file_name(name, "journal", s->open->number);
    if (s->direct >= 0)
        v = write_blocks(s, name);
    if (v == STORE_FINE && s->direct < 0)
        v = file_write(s, s->open->file, name, s->buffer + s->buffer_written, s->buffered - s->buffer_written,
                       journal_written(s));
    if (v != STORE_FINE)
        return v;
    s->open->is_dirty = true;
    buffer_clear(s);
    return v;
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
    size = size < s->config.segment_bytes ? s->config.segment_bytes : block_pad(size);
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
    s->buffer_at = s->buffer_written = 0;
    s->buffered = g->used = FORMAT_FILE_HEADER;
    journal_close_direct(s);
    open_direct(s, name, size);
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
    if (!s->is_mark_due || s->is_group_open || !journal_is_flushed(s))
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
