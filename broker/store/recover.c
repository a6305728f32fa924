/* Recovery: the newest checkpoint, then the journal behind it.  It reads twice: first to learn how much was durable and
 * where the damage is, then to apply.  It writes nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/store/state.h"

/* --- what files there are */

enum {
    SEGMENT_GAP_MAX = 1 << 20, /* from one segment to the next that is wanted, though files are missing … */
    SEGMENT_GAP_FEW = 1 << 10, /* … and to one that is not */
};
/* Of a file.  Those that are named by the store go on behind half of that at most, so there is always a next one. */
static const uint64_t NUMBER_MAX = UINT64_MAX / 2;

struct found_file {
    uint64_t number, size;
    struct file_header header;
    enum header_verdict verdict;
    bool is_unwritten; /* a spare that got its name and nothing else */
    bool is_guessed;   /* the header, from its items */
};

struct found_files {
    struct found_file *at; /* owned, by number */
    size_t n, capacity;
};

enum found_kind { FOUND_JOURNAL, FOUND_PACK, FOUND_CHECKPOINT_A, FOUND_CHECKPOINT_B, FOUND_SPARE, FOUND_KINDS };

static const char *const kind_names[FOUND_KINDS] = {"journal", "pack", "checkpoint-a", "checkpoint-b", "spare"};

struct recovery {
    struct store *s;
    struct found_files files[FOUND_KINDS];
    unsigned foreign;
    uint64_t highest; /* number that any file bears as a segment of the journal, whatever its name is now */

    /* First pass. */
    uint64_t durable; /* the highest LSN that any BATCH calls durable */
    uint64_t end;     /* what comes from here on is not read: it was not durable, and something before it is missing */

    /* Both. */
    uint64_t expected; /* LSN of the next item */
    uint64_t seen;     /* the highest of all that there are */
    bool is_second;
    bool has_lost;      /* items that nobody can tell anything of */
    bool has_more;      /* something happened after the checkpoint */
    bool is_sealed;     /* the last item was an END: another segment must follow */
    uint8_t newer;      /* type of an item that must not be passed by, and is not known; 0: none */
    struct tx_item *tx; /* owned: items that wait for their COMMIT */
    size_t n_tx, tx_room;
    uint64_t last_batch; /* LSN of the last BATCH so far */
    struct gap *gaps;    /* owned: what is missing */
    size_t n_gaps, gaps_room;
};

struct gap {
    uint64_t lsn, batch; /* of the first item that is missing, and of the last BATCH before it */
};

struct tx_item {
    uint8_t type;
    bool is_bad_body;
    uint64_t segment, offset;
    struct bytes meta; /* owned */
};

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct recovery *r = arg;
    for (unsigned k = 0; k < FOUND_KINDS; k++) {
        size_t len = strlen(kind_names[k]);
        if (strncmp(name, kind_names[k], len) != 0 || name[len] != '-' || strlen(name + len + 1) != 16)
            continue;
        uint64_t number = strtoull(name + len + 1, NULL, 16);
        if (strspn(name + len + 1, "0123456789abcdef") != 16 || number == 0 || number > NUMBER_MAX)
            continue;
        struct found_files *f = &r->files[k];
        if (f->n == f->capacity) {
            f->capacity = alloc_grown(f->capacity, f->n + 1);
            f->at = alloc_array(f->at, f->capacity, sizeof *f->at);
        }
        f->at[f->n++] = (struct found_file){.number = number, .size = size};
        return;
    }
    r->foreign++;
}

static int by_number(const void *a, const void *b)
{
    const struct found_file *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

uint8_t *store_read_file(struct store *s, const char *name, uint64_t *size)
{
    enum { PIECE = 16 << 20 };
    int file = s->disk->calls->open(s->disk, name, DISK_READ);
    if (file < 0 && file != -ENOENT)
        store_fail(s, "cannot open", name, file);
    if (file < 0)
        return NULL;
    uint8_t *at = NULL;
    size_t len = 0, room = 0;
    for (;;) {
        if (len == room) {
            room = room == 0 ? PIECE : room * 2;
            at = alloc_array(at, room, 1);
        }
        ssize_t got = s->disk->calls->read(s->disk, file, at + len, room - len, len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    s->disk->calls->close(s->disk, file);
    *size = len;
    return at;
}

/* -errno: it cannot be opened, which is no damage. */
static int read_header(struct store *s, const char *name, struct file_header *h, enum header_verdict *verdict)
{
    uint8_t bytes[FORMAT_FILE_HEADER];
    int file = s->disk->calls->open(s->disk, name, DISK_READ);
    if (file < 0)
        return file;
    ssize_t got = s->disk->calls->read(s->disk, file, bytes, sizeof bytes, 0);
    s->disk->calls->close(s->disk, file);
    *verdict = got == (ssize_t)sizeof bytes ? file_header_decode(bytes, h) : HEADER_DAMAGED;
    return 0;
}

/* The epoch that most bytes of items have whose LSN is at least lsn_min; false: there are none.  Not that of the first
 * item: where a message has lost its head, its body begins with whatever its publisher liked it to.  (In a pack it is:
 * what a recycled one had before may be more, and its LSNs do not tell.) */
static bool guess_epoch(struct bytes all, bool is_journal, uint64_t lsn_min, uint32_t *epoch)
{
    enum { EFFORT_A_STEP = 64 };
    uint64_t lead = 0, effort = all.len;
    for (size_t i = FORMAT_FILE_HEADER; i + FORMAT_ITEM_HEADER <= all.len;) {
        struct item item;
        struct item_head h;
        size_t size = 0;
        effort += EFFORT_A_STEP; /* headers that claim too much must not cost too much: see item_find() */
        if (item_head_decode(all.at + i, &h) && h.lsn >= lsn_min)
            size = item_size(h.meta_len, h.body_len);
        if (size == 0 || size > effort || size > all.len - i ||
            item_decode(bytes_of(all.at + i, all.len - i), &item, &size) != ITEM_FINE) {
            effort -= size < effort ? size : 0;
            i += FORMAT_ALIGN;
            continue;
        }
        if (lead > 0 && item.epoch != *epoch && lead >= size) {
            lead -= size;
        } else if (lead > 0 && item.epoch == *epoch) {
            lead += size;
        } else {
            *epoch = item.epoch;
            lead = size - lead;
        }
        if (!is_journal)
            break;
        i += size;
    }
    return lead > 0;
}

/* The first item of that epoch; it must have a group, if there ought to be: the items of a pack have none. */
static bool find_first(struct bytes all, uint32_t epoch, uint64_t lsn_min, bool wants_group, struct item *first)
{
    size_t need = 0, at = item_find(all, FORMAT_FILE_HEADER, epoch, lsn_min);
    if (at >= all.len)
        return false;
    item_decode(bytes_of(all.at + at, all.len - at), first, &need);
    struct item item = *first;
    while (wants_group && item.type != ITEM_BATCH) {
        at = item_find(all, at + need, epoch, lsn_min);
        if (at >= all.len)
            return false;
        item_decode(bytes_of(all.at + at, all.len - at), &item, &need);
    }
    return true;
}

/* The header is not to be read: the items know most of what it said.  Those that a recycled file had before are older
 * than what the segments before it hold: they are nothing. */
static void guess_header(struct store *s, const char *name, struct found_file *f, bool is_journal, uint64_t lsn_min)
{
    uint64_t size = 0;
    uint32_t epoch = 0;
    struct item first;
    uint8_t *at = store_read_file(s, name, &size);
    struct bytes all = bytes_of(at, (size_t)size);
    f->is_unwritten = true;
    if (guess_epoch(all, is_journal, lsn_min, &epoch) && find_first(all, epoch, lsn_min, is_journal, &first)) {
        f->header = (struct file_header){
            .number = f->number, .epoch = epoch, .first_lsn = first.lsn, .after_lsn = first.lsn - 1};
        f->is_unwritten = false;
        f->is_guessed = true;
    }
    free(at);
}

/* The highest LSN that a segment calls durable, and the highest that it has. */
static uint64_t durable_in(struct store *s, const struct found_file *f, uint64_t *seen)
{
    char name[NAME_MAX_BYTES];
    uint64_t size = 0, durable = 0;
    file_name(name, kind_names[FOUND_JOURNAL], f->number);
    uint8_t *at = store_read_file(s, name, &size);
    struct bytes all = bytes_of(at, (size_t)size);
    for (size_t i = item_find(all, FORMAT_FILE_HEADER, f->header.epoch, 0), need = 0; i < all.len;
         i = item_find(all, i + need, f->header.epoch, 0)) {
        struct item item;
        struct batch_meta batch;
        item_decode(bytes_of(all.at + i, all.len - i), &item, &need);
        struct cursor c = cursor_over(item.meta);
        if (item.lsn > *seen)
            *seen = item.lsn;
        if (item.type == ITEM_BATCH && batch_meta_read(&c, &batch) && batch.durable > durable)
            durable = batch.durable;
    }
    free(at);
    return durable;
}

/* A segment without a header was damaged, or never synced: then its items may go on where those of another life end
 * that was cut off there.  What was durable is known to be. */
static void doubt_guesses(struct recovery *r)
{
    const struct found_files *f = &r->files[FOUND_JOURNAL];
    uint64_t durable = 0;
    bool any = false;
    for (size_t i = 0; i < f->n; i++)
        any |= f->at[i].is_guessed;
    for (size_t i = 0; i < f->n && any; i++) {
        uint64_t d = f->at[i].is_unwritten ? 0 : durable_in(r->s, &f->at[i], &r->seen);
        durable = d > durable ? d : durable;
    }
    for (enum found_kind k = FOUND_CHECKPOINT_A; k <= FOUND_CHECKPOINT_B; k++) /* written when its LSN was durable */
        for (size_t i = 0; i < r->files[k].n; i++) {
            const struct found_file *c = &r->files[k].at[i];
            if (c->verdict == HEADER_FINE && !c->is_unwritten && c->header.first_lsn > durable)
                durable = c->header.first_lsn;
        }
    for (size_t i = 0; i < f->n; i++)
        f->at[i].is_unwritten |= f->at[i].is_guessed && f->at[i].header.first_lsn > durable;
}

/* file_kind 0: spares, which may bear anything. */
static enum store_verdict read_headers(struct recovery *r, enum found_kind kind, enum file_kind file_kind, char **text)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < r->files[kind].n; i++) {
        struct found_file *f = &r->files[kind].at[i];
        char name[NAME_MAX_BYTES];
        file_name(name, kind_names[kind], f->number);
        int error = read_header(r->s, name, &f->header, &f->verdict);
        if (error < 0)
            return store_fail(r->s, "cannot open", name, error);
        if (f->verdict == HEADER_NEWER && file_kind != 0) {
            *text = str_format("%s was written by a newer version (format %u.%u, this is %u.%u)", name, f->header.major,
                               f->header.minor, FORMAT_MAJOR, FORMAT_MINOR);
            return STORE_NEWER;
        }
        if (f->verdict == HEADER_FINE) {
            if (f->header.kind == FILE_JOURNAL && f->header.number > r->highest)
                r->highest = f->header.number;
            f->is_unwritten = f->header.number != f->number || f->header.kind != file_kind;
            memcpy(r->s->node, f->header.node, sizeof r->s->node);
            if (file_kind == FILE_JOURNAL && !f->is_unwritten && f->header.first_lsn > lsn)
                lsn = f->header.first_lsn;
            continue;
        }
        if (file_kind == 0)
            continue;
        guess_header(r->s, name, f, file_kind == FILE_JOURNAL, file_kind == FILE_JOURNAL ? lsn + 1 : 0);
        if (!f->is_unwritten)
            store_note(r->s, true, "%s: its header is damaged", name);
    }
    return STORE_FINE;
}

static const struct found_file *found(const struct found_files *f, uint64_t number)
{
    const struct found_file key = {.number = number};
    return f->n == 0 ? NULL : bsearch(&key, f->at, f->n, sizeof *f->at, by_number);
}

/* From its very first item. */
static bool journal_is_complete(const struct recovery *r)
{
    const struct found_files *f = &r->files[FOUND_JOURNAL];
    size_t i = 0;
    while (i < f->n && (f->at[i].is_unwritten || f->at[i].header.after_lsn != 0))
        i++;
    return i < f->n;
}

/* --- segments */

/* Anybody can name a file like a segment.  One that is far away from the others is none: whoever believed it would look
 * for millions that never were. */
static uint64_t last_segment(const struct found_files *f, uint64_t first)
{
    uint64_t last = 0;
    for (size_t i = 0; i < f->n; i++) {
        uint64_t number = f->at[i].number, gap = f->at[i].is_unwritten ? SEGMENT_GAP_FEW : SEGMENT_GAP_MAX;
        if (number >= first && number - (last > 0 ? last : first) <= gap)
            last = number;
    }
    return last;
}

/* The first that is known by more than its name, or the first. */
static uint64_t first_segment(const struct found_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->at[i].is_unwritten)
            return f->at[i].number;
    return f->n == 0 || f->at[0].number > NUMBER_MAX / 2 ? 0 : f->at[0].number;
}

/* Knows every segment from the first that is wanted to the last that there is; those without a file are known as such.
 */
bool recover_segments(struct store *s, uint64_t first)
{
    const struct found_files *f = &s->recovery->files[FOUND_JOURNAL];
    for (size_t i = f->n; i-- > 0;) /* those that should be gone already */
        if (f->at[i].number < first && first - f->at[i].number <= SEGMENT_GAP_FEW)
            first = f->at[i].number;
    uint64_t last = last_segment(f, first);
    if (s->next_segment > last + 1)
        last = s->next_segment - 1;
    if (first == 0 || last < first || last - first > SEGMENT_GAP_MAX)
        first = last;
    for (uint64_t n = first; n <= last && n > 0; n++) {
        struct segment *g = image_add_segment(&s->image, n);
        const struct found_file *file = found(f, n);
        if (file == NULL || file->is_unwritten) {
            g->last_lsn = UINT64_MAX;
            continue;
        }
        char name[NAME_MAX_BYTES];
        file_name(name, "journal", n);
        g->file = s->disk->calls->open(s->disk, name, DISK_WRITE);
        if (g->file < 0)
            store_fail(s, "cannot open", name, g->file);
        g->size = g->used = file->size;
        g->epoch = file->header.epoch;
        g->first_lsn = file->header.first_lsn;
        g->after_lsn = file->header.after_lsn;
    }
    if (last >= s->next_segment)
        s->next_segment = last + 1;
    return true;
}

/* --- applying */

static void lose_places(struct recovery *r, const struct message_meta *m, struct cursor c, uint64_t segment,
                        uint64_t offset)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    struct place p;
    file_name(name, "journal", segment);
    for (uint32_t i = 0; i < m->n_places && place_read(&c, &p); i++) {
        image_restore_queue(&s->image, p.queue, p.position + 1, 0);
        store_lose(s, image_queue_find(&s->image, p.queue), 0,
                   &(struct store_loss){.messages = 1,
                                        .bytes = m->body_size,
                                        .file = name,
                                        .offset = offset,
                                        .reason = "its checksum does not hold"});
    }
}

static void apply_message(struct recovery *r, const struct tx_item *t)
{
    struct image *im = &r->s->image;
    struct cursor c = cursor_over(t->meta);
    struct message_meta m;
    struct place p;
    if (!message_meta_read(&c, &m))
        return;
    if (m.replaces.queue != 0)
        image_settle(im, m.replaces.queue, m.replaces.position);
    if (t->is_bad_body) {
        lose_places(r, &m, c, t->segment, t->offset);
        return;
    }
    for (uint32_t i = 0; i < m.n_places && place_read(&c, &p); i++) {
        const struct spot spot = {.position = p.position,
                                  .segment = (uint32_t)t->segment,
                                  .offset = (uint32_t)(t->offset / FORMAT_ALIGN),
                                  .bytes = (uint32_t)m.body_size};
        image_publish(im, p.queue, &spot);
    }
}

static void apply_runs(struct image *im, uint8_t type, struct bytes meta)
{
    struct run_reader reader;
    struct run run;
    run_reader_init(&reader, meta);
    while (run_next(&reader, &run)) {
        /* A run over positions that nobody has is damage; it must not take for ever. */
        const struct image_queue *q = image_queue_find(im, run.queue);
        uint64_t end = run.first + run.count;
        if (q == NULL || run.first >= q->next_position)
            continue;
        if (end > q->next_position || end < run.first)
            end = q->next_position;
        for (uint64_t p = run.first; p < end; p++) {
            if (type == ITEM_SETTLE)
                image_settle(im, run.queue, p);
            else if (type == ITEM_DELIVER)
                image_deliver(im, run.queue, p);
            else
                image_return(im, run.queue, p);
        }
    }
}

static void apply_definition(struct image *im, uint8_t type, struct bytes meta)
{
    struct cursor c = cursor_over(meta);
    enum definition_class what;
    uint64_t queue;
    struct bytes key, value;
    if (!definition_read(&c, &what, &queue, &key, &value))
        return;
    if (type == ITEM_DEFINE)
        image_define(im, what, queue, key, value);
    else
        image_undefine(im, what, queue, key);
}

/* Those of them before a position that are in segments that are gone. */
static void lose_missing_spots(struct store *s, struct image_queue *q, uint64_t before)
{
    uint64_t lost = 0, bytes = 0, segment = 0;
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < q->n_spots && queue_spot(q, i)->position < before;) {
        const struct spot *spot = queue_spot(q, i);
        const struct segment *g = image_spot_segment(&s->image, spot);
        if ((spot->fate & FATE_DEAD) || (g != NULL && g->file >= 0)) {
            i++;
            continue;
        }
        lost++;
        bytes += spot->bytes;
        segment = spot->segment;
        uint64_t position = spot->position;
        image_settle(&s->image, q->id, position);
        i = queue_find_spot(q, position);
    }
    file_name(name, "journal", segment);
    if (lost > 0 && q->definition != NULL)
        store_lose(
            s, q, 0,
            &(struct store_loss){.messages = lost, .bytes = bytes, .file = name, .reason = "the file is missing"});
}

static void apply_chunk(struct store *s, struct bytes meta)
{
    struct cursor c = cursor_over(meta);
    struct chunk_meta m;
    if (!chunk_meta_read(&c, &m) || m.pack == 0)
        return;
    struct pack *p = image_pack(&s->image, m.pack);
    if (p == NULL) {
        p = image_add_pack(&s->image, m.pack);
        p->is_sealed = true;
    }
    if (m.pack >= s->next_pack)
        s->next_pack = m.pack + 1; /* though it may be gone again */
    /* What is before it was moved before it.  If that was not to be read, its segment may be gone. */
    struct image_queue *q = image_queue_find(&s->image, m.queue);
    if (q != NULL && m.replaces == 0)
        lose_missing_spots(s, q, m.first);
    image_move(&s->image, &m, p);
}

void recover_unknown(struct store *s, uint8_t type)
{
    if (type > ITEM_RESTART && type < ITEM_COMPATIBLE)
        s->recovery->newer = type;
}

/* Queues without a definition were not durable, unless what defined them is among what cannot be read. */
static void drop_undefined(struct recovery *r)
{
    struct image *im = &r->s->image;
    for (struct map_node *n = map_walk(&im->queues, NULL); r->has_lost && n != NULL; n = map_walk(&im->queues, n)) {
        struct image_queue *q = item_of(n, struct image_queue, by_id);
        if (q->definition == NULL && q->messages > 0)
            store_lose(r->s, q, 0,
                       &(struct store_loss){.messages = q->messages,
                                            .bytes = q->bytes,
                                            .file = "journal",
                                            .reason = "the queue's definition cannot be read, or it was transient"});
    }
    image_drop_undefined(im);
}

static void apply(struct recovery *r, const struct tx_item *t)
{
    struct image *im = &r->s->image;
    struct cursor c = cursor_over(t->meta);
    switch (t->type) {
    case ITEM_MESSAGE:
        apply_message(r, t);
        break;
    case ITEM_SETTLE:
    case ITEM_DELIVER:
    case ITEM_RETURN:
        apply_runs(im, t->type, t->meta);
        break;
    case ITEM_PURGE: {
        uint64_t queue = cursor_varint(&c), from = cursor_varint(&c);
        if (!c.bad)
            image_purge(im, queue, from);
        break;
    }
    case ITEM_DEFINE:
    case ITEM_UNDEFINE:
        apply_definition(im, t->type, t->meta);
        break;
    case ITEM_CHUNK:
        apply_chunk(r->s, t->meta);
        break;
    case ITEM_RESTART:
        image_return_all(im);
        drop_undefined(r);
        break;
    default:
        recover_unknown(r->s, t->type);
        break;
    }
}

static void tx_forget(struct recovery *r)
{
    for (size_t i = 0; i < r->n_tx; i++)
        free((void *)(uintptr_t)r->tx[i].meta.at);
    r->n_tx = 0;
}

static void tx_keep(struct recovery *r, const struct tx_item *t)
{
    if (r->n_tx == r->tx_room) {
        r->tx_room = alloc_grown(r->tx_room, r->n_tx + 1);
        r->tx = alloc_array(r->tx, r->tx_room, sizeof *r->tx);
    }
    r->tx[r->n_tx] = *t;
    r->tx[r->n_tx++].meta.at = t->meta.len == 0 ? NULL : alloc_copy(t->meta.at, t->meta.len);
}

static void tx_commit(struct recovery *r)
{
    for (size_t i = 0; i < r->n_tx; i++)
        apply(r, &r->tx[i]);
    tx_forget(r);
}

/* --- walking */

static void on_item(struct recovery *r, const struct segment *g, uint64_t offset, const struct item *item,
                    bool is_bad_body)
{
    struct cursor c = cursor_over(item->meta);
    struct batch_meta batch;
    if (item->type == ITEM_BATCH && batch_meta_read(&c, &batch)) {
        if (!r->is_second && batch.durable > r->durable)
            r->durable = batch.durable;
        r->last_batch = item->lsn;
        if (batch.wall_ms > r->s->wall_ms)
            r->s->wall_ms = batch.wall_ms;
    }
    r->is_sealed = item->type == ITEM_END;
    if (!r->is_second || item->type == ITEM_BATCH || item->type == ITEM_END || item->type == ITEM_PAD)
        return;
    r->has_more = true;
    const struct tx_item t = {
        .type = item->type, .is_bad_body = is_bad_body, .segment = g->number, .offset = offset, .meta = item->meta};
    if (item->flags & ITEM_TX) {
        tx_keep(r, &t);
    } else if (item->type == ITEM_COMMIT) {
        tx_commit(r);
    } else {
        tx_forget(r); /* one that was never committed */
        apply(r, &t);
    }
}

/* Items from one LSN to before another cannot be read, somewhere in this segment. */
static void on_gap(struct recovery *r, const struct segment *g, uint64_t offset, uint64_t from, uint64_t to,
                   const char *reason)
{
    if (!r->is_second) {
        if (r->n_gaps == r->gaps_room) {
            r->gaps_room = alloc_grown(r->gaps_room, r->n_gaps + 1);
            r->gaps = alloc_array(r->gaps, r->gaps_room, sizeof *r->gaps);
        }
        r->gaps[r->n_gaps++] = (struct gap){.lsn = from, .batch = r->last_batch};
        return;
    }
    if (from >= r->end)
        return;
    if (to > r->end)
        to = r->end;
    char name[NAME_MAX_BYTES];
    file_name(name, "journal", g->number);
    r->has_lost = true;
    store_lose_items(r->s, from, to - 1, name, offset, reason);
}

/* Reads one segment from the item that is expected on.  next_lsn: the item before which it ends; 0: nobody knows. */
static void walk_segment(struct recovery *r, struct segment *g, uint64_t next_lsn)
{
    char name[NAME_MAX_BYTES];
    uint64_t size;
    file_name(name, "journal", g->number);
    uint8_t *at = store_read_file(r->s, name, &size);
    if (at == NULL)
        return;
    struct bytes all = bytes_of(at, (size_t)size);
    size_t offset = FORMAT_FILE_HEADER;
    while (offset < all.len && (next_lsn == 0 || r->expected < next_lsn) && r->expected < r->end) {
        struct item item;
        size_t need = 0;
        enum item_verdict v = item_decode(bytes_of(all.at + offset, all.len - offset), &item, &need);
        bool has_head = v == ITEM_FINE || v == ITEM_BAD_BODY || v == ITEM_BAD_META;
        if (has_head && item.epoch == g->epoch && item.lsn > r->seen)
            r->seen = item.lsn;
        if (has_head && item.epoch == g->epoch && next_lsn != 0 && item.lsn >= next_lsn)
            break;
        if (has_head && item.epoch == g->epoch && item.lsn >= r->expected) {
            if (item.lsn > r->expected)
                on_gap(r, g, offset, r->expected, item.lsn, "items are missing");
            if (v == ITEM_BAD_META)
                on_gap(r, g, offset, item.lsn, item.lsn + 1, "its checksum does not hold");
            else if (item.lsn < r->end) {
                if (v == ITEM_BAD_BODY && !r->is_second)
                    on_gap(r, g, offset, item.lsn, item.lsn + 1, NULL);
                on_item(r, g, offset, &item, v == ITEM_BAD_BODY);
            }
            r->expected = item.lsn + 1;
            offset += need;
        } else if (has_head && item.epoch == g->epoch) {
            offset += need; /* it is known already */
        } else {
            size_t next = item_find(all, offset + FORMAT_ALIGN, g->epoch, r->expected);
            if (next >= all.len)
                break;
            offset = next; /* what lies between is missed when its number is */
        }
    }
    g->used = offset < all.len ? offset : all.len;
    free(at);
    if (next_lsn != 0 && r->expected < next_lsn) {
        on_gap(r, g, g->used, r->expected, next_lsn, "the rest of the file cannot be read");
        r->expected = next_lsn;
    }
}

/* Before which item this segment ends, as those behind it know; 0: there are none.  Not always the very next: what lay
 * behind the end that an earlier recovery found is passed by. */
static uint64_t segment_end(const struct image *im, size_t i)
{
    uint64_t end = 0;
    while (++i < im->n_segments)
        if (im->segments[i]->file >= 0 && (end == 0 || im->segments[i]->after_lsn + 1 < end))
            end = im->segments[i]->after_lsn + 1;
    return end;
}

/* All segments that have something behind the checkpoint. */
static void walk(struct recovery *r)
{
    struct image *im = &r->s->image;
    r->expected = r->s->checkpoint_lsn + 1;
    r->last_batch = r->s->checkpoint_lsn;
    for (size_t i = 0; i < im->n_segments && r->expected < r->end; i++) {
        struct segment *g = im->segments[i];
        if (g == NULL || g->file < 0)
            continue;
        uint64_t next = segment_end(im, i);
        if (next != 0 && (next <= r->expected || next <= g->first_lsn))
            continue;
        if (g->after_lsn >= r->expected)
            on_gap(r, g, 0, r->expected, g->after_lsn + 1,
                   r->expected == 1 ? "no checkpoint can be read" : "a file of the journal is missing");
        if (g->first_lsn > r->expected)
            r->expected = g->first_lsn;
        walk_segment(r, g, next);
        g->is_dirty = true; /* it may never have been synced, and what follows builds on it */
    }
    if (r->is_second)
        tx_forget(r);
    if (r->expected > r->end)
        r->expected = r->end;
}

/* Where reading ends: behind the last group that is whole, and before the first thing missing that was never said to be
 * durable. */
static void find_end(struct recovery *r)
{
    r->end = r->last_batch + 1;
    for (size_t i = 0; i < r->n_gaps; i++)
        if (r->gaps[i].lsn > r->durable && r->gaps[i].batch < r->end)
            r->end = r->gaps[i].batch + 1;
    if (r->end <= r->durable)
        r->end = r->durable + 1;
    if (r->end < r->expected)
        store_note(r->s, false, "the journal ends with item %llu of %llu; up to %llu it was known to be durable",
                   (unsigned long long)r->end - 1, (unsigned long long)r->expected - 1, (unsigned long long)r->durable);
}

static void close_segments(struct recovery *r)
{
    struct image *im = &r->s->image;
    uint64_t last = r->expected - 1;
    for (size_t i = im->n_segments; i-- > 0;) {
        struct segment *g = im->segments[i];
        if (g == NULL)
            continue;
        g->last_lsn = last > 0 ? last : 1; /* 0 would be an open one */
        if (g->file >= 0 && g->first_lsn > 0 && g->after_lsn < last)
            last = g->after_lsn;
    }
}

/* --- what is left */

static void lose_missing(struct recovery *r)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    for (struct map_node *n = map_walk(&s->image.queues, NULL); n != NULL; n = map_walk(&s->image.queues, n)) {
        struct image_queue *q = item_of(n, struct image_queue, by_id);
        for (size_t i = 0; i < q->n_chunks;) {
            struct chunk *c = q->chunks[i];
            const struct found_file *f = found(&r->files[FOUND_PACK], c->pack->number);
            if (f != NULL && c->offset + c->size <= f->size) {
                i++;
                continue;
            }
            file_name(name, "pack", c->pack->number);
            store_lose(s, q, 0,
                       &(struct store_loss){.messages = c->live,
                                            .bytes = c->bytes,
                                            .file = name,
                                            .offset = c->offset,
                                            .reason = f == NULL ? "the file is missing" : "the file is too short"});
            image_drop_chunk(&s->image, c);
        }
        lose_missing_spots(s, q, UINT64_MAX);
    }
}

static int move_aside(struct store *s, const char *name)
{
    char aside[NAME_MAX_BYTES + 16];
    snprintf(aside, sizeof aside, "damaged-%s", name);
    store_note(s, true, "%s cannot be read, or nothing refers to it and its checkpoint is lost: kept as %s", name,
               aside);
    s->names_changed = true;
    return s->disk->calls->rename(s->disk, name, aside);
}

/* Those that the journal speaks of, and nothing lives in any more: their files are gone, or go. */
static void drop_empty_packs(struct image *im)
{
    struct pack *p;
    list_each (p, &im->packs, struct pack, in_order)
        if (list_is_empty(&p->chunks))
            image_drop_pack(im, p);
}

/* The next file of a kind has none of the numbers that there are. */
static void number_behind(uint64_t *next, uint64_t number)
{
    if (number >= *next && number <= NUMBER_MAX / 2)
        *next = number + 1;
}

static void sort_out_packs(struct recovery *r, bool is_trusted)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < r->files[FOUND_PACK].n; i++) {
        const struct found_file *f = &r->files[FOUND_PACK].at[i];
        number_behind(&s->next_pack, f->number);
        struct pack *p = image_pack(&s->image, f->number);
        if (p != NULL && !list_is_empty(&p->chunks)) {
            p->size = p->used = f->size;
            p->epoch = f->header.epoch;
            p->is_sealed = true;
            continue;
        }
        file_name(name, "pack", f->number);
        if (is_trusted)
            file_doom(s, name, f->size, s->lsn);
        else
            move_aside(s, name);
    }
    drop_empty_packs(&s->image);
}

/* Files that nothing refers to: spares, and those that were made in vain.  They go when what was recovered is durable.
 */
static void sort_out(struct recovery *r, bool is_trusted)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < r->files[FOUND_SPARE].n; i++) {
        const struct found_file *f = &r->files[FOUND_SPARE].at[i];
        number_behind(&s->next_spare, f->number);
        file_name(name, "spare", f->number);
        if (f->size == s->config.segment_bytes && s->n_spares < STORE_SPARE_SEGMENTS)
            s->spares[s->n_spares++] = f->number;
        else
            file_doom(s, name, 0, s->lsn);
    }
    for (size_t i = 0; i < r->files[FOUND_JOURNAL].n; i++) {
        file_name(name, "journal", r->files[FOUND_JOURNAL].at[i].number);
        if (image_segment(&s->image, r->files[FOUND_JOURNAL].at[i].number) == NULL)
            move_aside(s, name);
    }
    sort_out_packs(r, is_trusted);
    for (enum found_kind k = FOUND_CHECKPOINT_A; k <= FOUND_CHECKPOINT_B; k++)
        for (size_t i = 0; i < r->files[k].n; i++) {
            uint64_t number = r->files[k].at[i].number;
            number_behind(&s->next_checkpoint, number);
            file_name(name, kind_names[k], number);
            if (number == s->checkpoint)
                s->checkpoint_file_size = k == FOUND_CHECKPOINT_A ? r->files[k].at[i].size : s->checkpoint_file_size;
            else if (is_trusted)
                file_doom(s, name, r->files[k].at[i].size, s->lsn);
            else
                move_aside(s, name);
        }
    if (r->foreign > 0)
        store_note(s, true, "%u files in the store's folder are not the store's; they were left alone", r->foreign);
}

/* There must have been a checkpoint: packs and the beginning of the journal do not come and go without one. */
static bool has_history(const struct recovery *r)
{
    const struct found_files *f = &r->files[FOUND_JOURNAL];
    for (size_t i = 0; i < f->n; i++)
        if (f->at[i].header.after_lsn > 0)
            return true;
    return r->files[FOUND_PACK].n > 0;
}

/* The newest that can be read. */
static bool read_newest(struct recovery *r, bool must_be_whole, bool *is_whole)
{
    const struct found_files *a = &r->files[FOUND_CHECKPOINT_A], *b = &r->files[FOUND_CHECKPOINT_B];
    size_t i = a->n, k = b->n;
    while (i + k > 0) {
        uint64_t number = i > 0 ? a->at[i - 1].number : 0;
        if (k > 0 && b->at[k - 1].number > number)
            number = b->at[k - 1].number;
        i -= i > 0 && a->at[i - 1].number == number;
        k -= k > 0 && b->at[k - 1].number == number;
        if (checkpoint_read(r->s, number, must_be_whole, is_whole)) {
            r->s->checkpoint = number;
            return true;
        }
    }
    return false;
}

/* True: what it says, with the journal, is everything.  A newer one that is not whole was being made when power failed,
 * or it is damaged and there is no older one. */
static bool read_checkpoints(struct recovery *r)
{
    bool is_whole = true, has_any = r->files[FOUND_CHECKPOINT_A].n + r->files[FOUND_CHECKPOINT_B].n > 0;
    if (read_newest(r, true, &is_whole) || read_newest(r, false, &is_whole))
        return is_whole;
    if (journal_is_complete(r) || (!has_history(r) && (!has_any || r->files[FOUND_JOURNAL].n == 0)))
        return true;
    store_note(r->s, true, "no checkpoint can be read; going on with what the journal knows");
    store_lose(r->s, NULL, 0,
               &(struct store_loss){.file = "checkpoint",
                                    .reason = has_any ? "no checkpoint can be read" : "there is no checkpoint"});
    return false;
}

/* Bytes of all segments behind the checkpoint.  Who is killed again and again before it can make one begins a segment
 * each time: they would pile up, and be read at every start. */
static uint64_t journal_behind(const struct store *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->image.n_segments; i++) {
        const struct segment *g = s->image.segments[i];
        bytes += g != NULL && g->file >= 0 && g->last_lsn > s->checkpoint_lsn ? g->size : 0;
    }
    return bytes > s->config.segment_bytes ? bytes : s->config.segment_bytes;
}

/* The image, from what the files say, all of whose headers are read. */
static enum store_verdict rebuild(struct recovery *r, char **text)
{
    struct store *s = r->s;
    doubt_guesses(r);
    bool is_trusted = read_checkpoints(r);
    r->has_lost = !is_trusted;
    if (s->image.n_segments == 0 && r->files[FOUND_JOURNAL].n > 0)
        recover_segments(s, first_segment(&r->files[FOUND_JOURNAL]));
    walk(r);
    find_end(r);
    r->is_second = true;
    walk(r);
    if (r->newer != 0)
        *text = str_format("a newer version has written items of type %u, which this one must not pass by", r->newer);
    if (r->is_sealed)
        store_note(s, true, "the journal goes on in a file that is missing, unless power failed when it was made");
    s->after_lsn = s->written_lsn = s->group_lsn = r->expected - 1;
    if (s->lsn < s->after_lsn)
        s->lsn = s->after_lsn;
    if (s->lsn < r->seen)
        s->lsn = r->seen;
    close_segments(r);
    if (r->has_more || !s->was_closed)
        image_suspect_all(&s->image);
    image_return_all(&s->image);
    drop_undefined(r);
    lose_missing(r);
    if (r->newer == 0) /* else nothing is touched */
        sort_out(r, is_trusted);
    if (r->highest >= s->next_segment)
        s->next_segment = r->highest + 1;
    s->journal_since = s->lsn > s->checkpoint_lsn ? journal_behind(s) : 0;
    if (s->checkpoint != 0)
        checkpoint_adopt(s, s->checkpoint, s->checkpoint_lsn);
    s->names_changed = true; /* by the process before, for all that is known */
    return s->verdict == STORE_FINE && r->newer != 0 ? STORE_NEWER : s->verdict;
}

enum store_verdict recover(struct store *s, char **text)
{
    struct recovery r = {.s = s, .end = UINT64_MAX};
    static const enum file_kind kinds[FOUND_KINDS] = {FILE_JOURNAL, FILE_PACK, FILE_CHECKPOINT, FILE_CHECKPOINT, 0};
    s->recovery = &r;
    int error = s->disk->calls->list(s->disk, ".", on_file, &r);
    enum store_verdict v = error < 0 ? store_fail(s, "cannot list", "the folder", error) : STORE_FINE;
    for (unsigned k = 0; k < FOUND_KINDS && v == STORE_FINE; k++) {
        if (r.files[k].n > 1)
            qsort(r.files[k].at, r.files[k].n, sizeof *r.files[k].at, by_number);
        v = read_headers(&r, k, kinds[k], text);
    }
    if (v == STORE_FINE)
        v = rebuild(&r, text);
    tx_forget(&r);
    free(r.tx);
    free(r.gaps);
    for (unsigned k = 0; k < FOUND_KINDS; k++)
        free(r.files[k].at);
    s->recovery = NULL;
    return v;
}
