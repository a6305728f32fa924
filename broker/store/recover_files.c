/* Which files there are, and what their headers say, or would say if they could be read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/store/recover.h"

enum {
    SEGMENT_GAP_MAX = 1 << 20, /* from one segment to the next that is wanted, though files are missing … */
    SEGMENT_GAP_FEW = 1 << 10, /* … and to one that is not */
};
const char *const recover_kind_names[FOUND_KINDS] = {"journal", "pack", "checkpoint-a", "checkpoint-b", "spare"};

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct recovery *r = arg;
    for (unsigned k = 0; k < FOUND_KINDS; k++) {
        size_t len = strlen(recover_kind_names[k]);
        if (strncmp(name, recover_kind_names[k], len) != 0 || name[len] != '-' || strlen(name + len + 1) != 16)
            continue;
        uint64_t number = strtoull(name + len + 1, NULL, 16);
        if (strspn(name + len + 1, "0123456789abcdef") != 16 || number == 0 || number > RECOVER_NUMBER_MAX)
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
    file_name(name, recover_kind_names[FOUND_JOURNAL], f->number);
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
void recover_doubt_guesses(struct recovery *r)
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
        file_name(name, recover_kind_names[kind], f->number);
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

const struct found_file *recover_found(const struct found_files *f, uint64_t number)
{
    const struct found_file key = {.number = number};
    return f->n == 0 ? NULL : bsearch(&key, f->at, f->n, sizeof *f->at, by_number);
}

/* From its very first item. */
bool recover_journal_is_complete(const struct recovery *r)
{
    const struct found_files *f = &r->files[FOUND_JOURNAL];
    size_t i = 0;
    while (i < f->n && (f->at[i].is_unwritten || f->at[i].header.after_lsn != 0))
        i++;
    return i < f->n;
}

enum store_verdict recover_find_files(struct recovery *r, char **text)
{
    static const enum file_kind kinds[FOUND_KINDS] = {FILE_JOURNAL, FILE_PACK, FILE_CHECKPOINT, FILE_CHECKPOINT, 0};
    int error = r->s->disk->calls->list(r->s->disk, ".", on_file, r);
    enum store_verdict v = error < 0 ? store_fail(r->s, "cannot list", "the folder", error) : STORE_FINE;
    for (unsigned k = 0; k < FOUND_KINDS && v == STORE_FINE; k++) {
        if (r->files[k].n > 1)
            qsort(r->files[k].at, r->files[k].n, sizeof *r->files[k].at, by_number);
        v = read_headers(r, k, kinds[k], text);
    }
    return v;
}

/* ---- Segments. */

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
uint64_t recover_first_segment(const struct found_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->at[i].is_unwritten)
            return f->at[i].number;
    return f->n == 0 || f->at[0].number > RECOVER_NUMBER_MAX / 2 ? 0 : f->at[0].number;
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
        const struct found_file *file = recover_found(f, n);
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
