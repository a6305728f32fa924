/* Recovery: the newest checkpoint, then the journal behind it.  It reads twice: first to learn how much was durable and
 * where the damage is, then to apply.  It writes nothing; at the end, files that cannot be read are renamed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/store/recover.h"

/* ---- Applying. */

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
    if (type > ITEM_TRIM && type < ITEM_COMPATIBLE)
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
    case ITEM_PURGE:
    case ITEM_TRIM: {
        uint64_t queue = cursor_varint(&c), position = cursor_varint(&c);
        if (!c.bad)
            (t->type == ITEM_TRIM ? image_trim : image_purge)(im, queue, position);
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

/* ---- Walking. */

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

static uint64_t journal_bytes(const struct image *im)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < im->n_segments; i++)
        bytes += im->segments[i] != NULL && im->segments[i]->file >= 0 ? im->segments[i]->size : 0;
    return bytes;
}

static void tell_progress(const struct store *s, uint64_t done, uint64_t total)
{
    if (s->witness.progress != NULL)
        s->witness.progress(s->witness.arg, done, total);
}

/* All segments that have something behind the checkpoint. */
static void walk(struct recovery *r)
{
    struct image *im = &r->s->image;
    const uint64_t total = 2 * journal_bytes(im); /* there are two passes */
    uint64_t done = r->is_second ? total / 2 : 0;
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
        done += g->size;
        tell_progress(r->s, done, total);
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

/* ---- What is left. */

static void lose_missing(struct recovery *r)
{
    struct store *s = r->s;
    char name[NAME_MAX_BYTES];
    for (struct map_node *n = map_walk(&s->image.queues, NULL); n != NULL; n = map_walk(&s->image.queues, n)) {
        struct image_queue *q = item_of(n, struct image_queue, by_id);
        for (size_t i = 0; i < q->n_chunks;) {
            struct chunk *c = q->chunks[i];
            const struct found_file *f = recover_found(&r->files[FOUND_PACK], c->pack->number);
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
    if (number >= *next && number <= RECOVER_NUMBER_MAX / 2)
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
            file_name(name, recover_kind_names[k], number);
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
    if (recover_journal_is_complete(r) || (!has_history(r) && (!has_any || r->files[FOUND_JOURNAL].n == 0)))
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
    recover_doubt_guesses(r);
    bool is_trusted = read_checkpoints(r);
    r->has_lost = !is_trusted;
    if (s->image.n_segments == 0 && r->files[FOUND_JOURNAL].n > 0)
        recover_segments(s, recover_first_segment(&r->files[FOUND_JOURNAL]));
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
    s->recovery = &r;
    enum store_verdict v = recover_find_files(&r, text);
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
