/* The scrubber: rereads what is sealed, so that damage is known before somebody wants what is damaged (reliability
 * D35). It changes nothing: what cannot be read is lost when it is asked for, and not before. */
#include <stdlib.h>

#include "base/alloc.h"
#include "broker/store/state.h"

static bool is_journal_due(const struct segment *g, const struct store *s, uint64_t from)
{
    return g != NULL && g != s->open && g->file >= 0 && g->live > 0 && g->number >= from;
}

static void scrub_close(struct store *s)
{
    if (s->scrub.file >= 0)
        s->disk->calls->close(s->disk, s->scrub.file);
    s->scrub.file = -1;
}

static void scrub_enter(struct store *s, const char *kind, uint64_t number, uint32_t epoch, uint64_t end)
{
    char name[NAME_MAX_BYTES];
    file_name(name, kind, number);
    s->scrub.number = number;
    s->scrub.epoch = epoch;
    s->scrub.end = end;
    s->scrub.offset = FORMAT_FILE_HEADER;
    s->scrub.file = s->disk->calls->open(s->disk, name, DISK_READ);
    if (s->scrub.file < 0)
        store_note(s, true, "%s cannot be opened", name);
}

/* The first file of the journal with a number of at least `from`, or the first pack. */
static bool next_segment(struct store *s, uint64_t from)
{
    for (size_t i = 0; i < s->image.n_segments; i++) {
        const struct segment *g = s->image.segments[i];
        if (is_journal_due(g, s, from)) {
            scrub_enter(s, "journal", g->number, g->epoch, g->used);
            return true;
        }
    }
    return false;
}

/* Behind the last chunk: what follows may be of an earlier life of the file. */
static uint64_t pack_end(const struct pack *p)
{
    uint64_t end = 0;
    const struct chunk *c;
    list_each (c, &p->chunks, const struct chunk, in_pack)
        if (c->offset + c->size > end)
            end = c->offset + c->size;
    return end;
}

static bool next_pack(struct store *s, uint64_t from)
{
    const struct pack *next = NULL, *p;
    list_each (p, &s->image.packs, const struct pack, in_order)
        if (p->is_sealed && !list_is_empty(&p->chunks) && p->number >= from &&
            (next == NULL || p->number < next->number))
            next = p;
    if (next != NULL)
        scrub_enter(s, "pack", next->number, next->epoch, pack_end(next));
    return next != NULL;
}

/* False: the pass is over. */
static bool scrub_next(struct store *s)
{
    uint64_t from = s->scrub.number + 1;
    scrub_close(s);
    if (!s->scrub.is_in_packs && next_segment(s, from))
        return true;
    if (!s->scrub.is_in_packs) {
        s->scrub.is_in_packs = true;
        from = 1;
    }
    if (next_pack(s, from))
        return true;
    s->scrub.is_in_packs = false;
    s->scrub.number = 0;
    s->stats.scrub_passes++;
    return false;
}

/* A file that is gone may become another. */
static bool is_still_there(struct store *s)
{
    if (s->scrub.file < 0)
        return false;
    if (!s->scrub.is_in_packs)
        return is_journal_due(image_segment(&s->image, s->scrub.number), s, s->scrub.number);
    const struct pack *p = image_pack(&s->image, s->scrub.number);
    return p != NULL && !list_is_empty(&p->chunks);
}

static void tell_damage(struct store *s, uint64_t bytes, const char *reason)
{
    char name[NAME_MAX_BYTES];
    file_name(name, s->scrub.is_in_packs ? "pack" : "journal", s->scrub.number);
    s->stats.scrub_damaged++;
    store_note(s, true, "%s is damaged at %llu, %llu bytes: %s; millrace-store verify says whose messages these are",
               name, (unsigned long long)s->scrub.offset, (unsigned long long)bytes, reason);
}

/* Checks the items in b, which lies at the offset; says how far it came, 0: b is too short for the first of them, which
 * takes *need. */
static size_t check_items(struct store *s, struct bytes b, size_t *need)
{
    size_t at = 0;
    while (at < b.len) {
        struct item item;
        struct bytes rest = bytes_of(b.at + at, b.len - at);
        enum item_verdict v = item_decode(rest, &item, need);
        if (v == ITEM_SHORT)
            return at;
        if (v == ITEM_NOTHING || item.epoch != s->scrub.epoch) {
            size_t next = item_find(b, at + FORMAT_ALIGN, s->scrub.epoch, 0);
            if (next >= b.len && !s->scrub.is_in_packs) { /* the journal ends where no item begins */
                s->scrub.offset = s->scrub.end;
                return b.len;
            }
            tell_damage(s, next - at, "no item can be read here");
            s->scrub.offset += next - at;
            at = next;
            continue;
        }
        if (v != ITEM_FINE)
            tell_damage(s, *need, "a checksum does not hold");
        s->scrub.offset += *need;
        at += *need;
        if (item.type == ITEM_END)
            s->scrub.end = s->scrub.offset;
    }
    return at;
}

/* Reads so many bytes at the offset, or to the end; answers how many. */
static uint64_t scrub_block(struct store *s, uint64_t budget)
{
    uint64_t left = s->scrub.end - s->scrub.offset, want = budget < left ? budget : left;
    size_t need = 0;
    uint8_t *at = alloc((size_t)want);
    ssize_t got = s->disk->calls->read(s->disk, s->scrub.file, at, (size_t)want, s->scrub.offset);
    size_t done = got > 0 ? check_items(s, bytes_of(at, (size_t)got), &need) : 0;
    free(at);
    if (done == 0 && need > want && need <= left && got > 0)
        return scrub_block(s, need); /* a large message; the second time there is room for it */
    if (done == 0) {
        tell_damage(s, left, got < 0 ? "the disk answers errors" : "the last item is not whole");
        s->scrub.offset = s->scrub.end;
    }
    return want;
}

bool store_scrub(struct store *s, uint64_t budget)
{
    if (s->verdict == STORE_FAILED || budget == 0)
        return false;
    while (!is_still_there(s) || s->scrub.offset >= s->scrub.end)
        if (!scrub_next(s))
            return false;
    s->stats.scrubbed_bytes += scrub_block(s, budget);
    return true;
}

void scrub_free(struct store *s)
{
    scrub_close(s);
}
