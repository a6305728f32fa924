#include "broker/tool/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

struct walk_files {
    struct walk_file *at; /* owned */
    size_t n, capacity;
};

static enum walk_kind kind_of(const char *name)
{
    static const struct {
        const char *prefix;
        enum walk_kind kind;
    } kinds[] = {{"journal-", WALK_JOURNAL},
                 {"pack-", WALK_PACK},
                 {"checkpoint-a-", WALK_CHECKPOINT},
                 {"checkpoint-b-", WALK_CHECKPOINT},
                 {"spare-", WALK_SPARE}};
    enum { DIGITS = 16 };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(name, kinds[i].prefix, len) == 0 && strlen(name + len) == DIGITS &&
            strspn(name + len, "0123456789abcdef") == DIGITS)
            return kinds[i].kind;
    }
    return WALK_FOREIGN;
}

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct walk_files *all = arg;
    if (all->n == all->capacity) {
        all->capacity = alloc_grown(all->capacity, all->n + 1);
        all->at = alloc_array(all->at, all->capacity, sizeof *all->at);
    }
    all->at[all->n++] = (struct walk_file){.name = str_format("%s", name), .size = size, .kind = kind_of(name)};
}

static int by_name(const void *a, const void *b)
{
    const struct walk_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* All of it, on the heap; shorter than it should be where the disk answers errors. */
static uint8_t *read_all(struct disk *d, struct walk_file *f)
{
    uint8_t *at = alloc((size_t)f->size + 1);
    size_t len = 0;
    int file = d->calls->open(d, f->name, DISK_READ);
    ssize_t got = file < 0 ? -1 : 0;
    while (got >= 0 && len < f->size) {
        got = d->calls->read(d, file, at + len, (size_t)f->size - len, len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    if (file >= 0)
        d->calls->close(d, file);
    f->is_unreadable = got < 0;
    f->size = len;
    return at;
}

static bool is_zero(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] != 0)
            return false;
    return true;
}

static enum file_kind header_kind(enum walk_kind kind)
{
    return kind == WALK_JOURNAL ? FILE_JOURNAL : kind == WALK_PACK ? FILE_PACK : FILE_CHECKPOINT;
}

/* Of a header that cannot be read the first item knows what matters. */
static void judge_header(struct walk_file *f, struct bytes all)
{
    struct item_head head;
    f->verdict = all.len < FORMAT_FILE_HEADER ? HEADER_DAMAGED : file_header_decode(all.at, &f->header);
    if (f->verdict == HEADER_FINE && f->header.kind != header_kind(f->kind))
        f->is_unwritten = true;
    if (f->verdict != HEADER_DAMAGED && f->verdict != HEADER_FOREIGN)
        return;
    f->header = (struct file_header){0};
    if (all.len >= FORMAT_FILE_HEADER + FORMAT_ITEM_HEADER && item_head_decode(all.at + FORMAT_FILE_HEADER, &head))
        f->header = (struct file_header){.epoch = head.epoch, .first_lsn = head.lsn};
    else
        f->is_unwritten = is_zero(bytes_of(all.at, all.len < FORMAT_FILE_HEADER ? all.len : FORMAT_FILE_HEADER));
}

/* Behind the last item: does another begin?  What was in the file before its present life has another epoch. */
static bool is_torn_at(const struct walk_file *f, struct bytes all, size_t offset)
{
    enum { MAGIC_LEN = 2, EPOCH_AT = 4, EPOCH_END = 8 };
    if (all.len - offset < EPOCH_END)
        return false;
    const uint8_t *at = all.at + offset;
    uint32_t epoch = (uint32_t)at[EPOCH_AT] | (uint32_t)at[EPOCH_AT + 1] << 8 | (uint32_t)at[EPOCH_AT + 2] << 16 |
                     (uint32_t)at[EPOCH_AT + 3] << 24;
    return memcmp(at, "Mi", MAGIC_LEN) == 0 && epoch == f->header.epoch;
}

static void tell_damage(const struct walk_witness *w, const struct walk_file *f, uint64_t offset, uint64_t bytes,
                        const char *reason)
{
    if (w->damage != NULL)
        w->damage(w->arg, f, offset, bytes, reason);
}

static void take_item(const struct walk_witness *w, struct walk_file *f, uint64_t offset, const struct item *item,
                      enum item_verdict v)
{
    f->items++;
    f->damaged += v != ITEM_FINE;
    f->last_lsn = item->lsn;
    f->last_type = item->type;
    if (w->item != NULL)
        w->item(w->arg, f, offset, item, v);
}

static void walk_items(const struct walk_witness *w, struct walk_file *f, struct bytes all)
{
    size_t offset = FORMAT_FILE_HEADER;
    /* Items of packs and checkpoints are numbered from 1. */
    uint64_t expected = f->kind == WALK_JOURNAL ? f->header.first_lsn : 1;
    bool was_damage = false, has_end = false;
    while (offset < all.len && !has_end) {
        struct item item;
        size_t need;
        enum item_verdict v = item_decode(bytes_of(all.at + offset, all.len - offset), &item, &need);
        bool has_head = v == ITEM_FINE || v == ITEM_BAD_META || v == ITEM_BAD_BODY;
        if (has_head && item.epoch == f->header.epoch && item.lsn >= expected) {
            if (item.lsn > expected && expected != 0 && !was_damage)
                tell_damage(w, f, offset, 0, "items are missing");
            take_item(w, f, offset, &item, v);
            expected = item.lsn + 1;
            offset += need;
            was_damage = false;
            has_end = item.type == ITEM_END && v == ITEM_FINE && f->kind != WALK_PACK;
            continue;
        }
        size_t next = item_find(all, offset + FORMAT_ALIGN, f->header.epoch, expected);
        if (next >= all.len)
            break;
        tell_damage(w, f, offset, next - offset, "no item can be read here");
        offset = next;
        was_damage = true;
    }
    f->end = offset < all.len ? offset : all.len;
    f->is_torn = !has_end && is_torn_at(f, all, (size_t)f->end);
}

static void walk_file(struct disk *d, const struct walk_witness *w, struct walk_file *f)
{
    uint8_t *at = NULL;
    bool is_ours = f->kind != WALK_FOREIGN && f->kind != WALK_SPARE;
    if (is_ours) {
        at = read_all(d, f);
        judge_header(f, bytes_of(at, (size_t)f->size));
    }
    if (w->begin != NULL)
        w->begin(w->arg, f);
    if (is_ours && !f->is_unwritten && f->verdict != HEADER_NEWER && f->size > FORMAT_FILE_HEADER)
        walk_items(w, f, bytes_of(at, (size_t)f->size));
    free(at);
    if (w->end != NULL)
        w->end(w->arg, f);
}

int walk_all(struct disk *d, const struct walk_witness *w)
{
    struct walk_files all = {0};
    int error = d->calls->list(d, ".", on_file, &all);
    if (all.n > 1)
        qsort(all.at, all.n, sizeof *all.at, by_name);
    for (size_t i = 0; i < all.n; i++) {
        if (error == 0)
            walk_file(d, w, &all.at[i]);
        free(all.at[i].name);
    }
    free(all.at);
    return error;
}
