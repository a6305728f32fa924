#include "broker/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/store/state.h"

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

enum store_verdict store_open(const struct store_config *config, const struct store_witness *witness,
                              struct store **out, char **text)
{
    struct store *s = alloc_zeroed(sizeof *s);
    s->config = *config;
    s->config.segment_bytes = or_default(config->segment_bytes, STORE_SEGMENT_BYTES);
    s->config.checkpoint_bytes = or_default(config->checkpoint_bytes, STORE_CHECKPOINT_BYTES);
    s->config.pack_bytes = or_default(config->pack_bytes, STORE_PACK_BYTES);
    s->config.chunk_bytes = (uint32_t)or_default(config->chunk_bytes, STORE_CHUNK_BYTES);
    s->config.chunk_messages = (uint32_t)or_default(config->chunk_messages, STORE_CHUNK_MESSAGES);
    if (witness != NULL)
        s->witness = *witness;
    s->disk = config->disk;
    s->next_spare = s->next_pack = s->next_checkpoint = s->next_segment = 1;
    s->pending_last = &s->pending;
    s->next.files[0] = s->next.files[1] = s->scrub.file = s->direct = -1;
    image_init(&s->image);
    stuck_init(&s->stuck);
    s->config.random(&s->image.hash_seed, sizeof s->image.hash_seed);
    run_writer_init(&s->settles);
    run_writer_init(&s->delivers);
    run_writer_init(&s->returns);
    s->config.random(s->node, sizeof s->node);
    *text = NULL;
    enum store_verdict v = recover(s, text);
    if (v == STORE_FINE) {
        *out = s;
        return v;
    }
    if (*text == NULL && s->trouble != NULL)
        *text = str_copy(bytes_of_string(s->trouble));
    store_destroy(s);
    *out = NULL;
    return v;
}

void store_destroy(struct store *s)
{
    struct pack *p;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->image.n_segments; i++)
        if (s->image.segments[i] != NULL && s->image.segments[i]->file >= 0)
            s->disk->calls->close(s->disk, s->image.segments[i]->file);
    list_each (p, &s->image.packs, struct pack, in_order)
        if (p->file >= 0)
            s->disk->calls->close(s->disk, p->file);
    journal_close_direct(s);
    checkpoint_free(s);
    backup_fini(&s->backup);
    scrub_free(s);
    append_free(s);
    for (struct pending_chunk *w = s->pending, *next; w != NULL; w = next) {
        next = w->next;
        free(w);
    }
    for (struct doomed_file *d = s->doomed, *next; d != NULL; d = next) {
        next = d->next;
        free(d);
    }
    image_fini(&s->image);
    free(s->buffer);
    free(s->chunk_buffer);
    free(s->block.at);
    free(s->load_block.at);
    load_free(s);
    free(s->trouble);
    free(s);
}

const char *store_trouble(const struct store *s)
{
    return s->trouble != NULL ? s->trouble : "";
}

void store_read(struct store *s, const struct store_reader *r)
{
    struct image_definition *d;
    for (unsigned i = 0; i < DEFINE_CLASSES; i++)
        list_each (d, &s->image.classes[i], struct image_definition, in_class)
            r->definition(r->arg, d->what, d->queue, d->key, d->value);
    list_each (d, &s->image.classes[DEFINE_QUEUE], struct image_definition, in_class) {
        const struct image_queue *q = image_queue_find(&s->image, d->queue);
        if (q != NULL)
            r->queue(r->arg, q->id, q->messages, q->bytes, q->next_position);
    }
}

uint64_t store_segment_bytes(const struct store *s)
{
    return s->config.segment_bytes;
}

uint64_t store_next_queue(const struct store *s)
{
    return s->image.next_queue;
}

/* ---- Losses. */

void store_lose(struct store *s, struct image_queue *q, uint64_t position, const struct store_loss *loss)
{
    s->stats.lost_messages += loss->messages;
    if (s->witness.lost != NULL) {
        struct store_loss told = *loss;
        told.queue = q != NULL ? q->id : 0;
        if (q != NULL && q->definition != NULL)
            told.definition = q->definition->key;
        s->witness.lost(s->witness.arg, &told);
    }
    if (q == NULL || s->recovery != NULL)
        return;
    run_add(&s->settles, q->id, position, 0);
    image_settle(&s->image, q->id, position);
}

void store_lose_items(struct store *s, uint64_t first_lsn, uint64_t last_lsn, const char *file, uint64_t offset,
                      const char *reason)
{
    uint64_t n = last_lsn - first_lsn + 1;
    s->stats.lost_messages += n;
    if (s->witness.lost == NULL)
        return;
    const struct store_loss loss = {
        .messages = n, .first_lsn = first_lsn, .last_lsn = last_lsn, .file = file, .offset = offset, .reason = reason};
    s->witness.lost(s->witness.arg, &loss);
}

/* ---- Syncs. */

static void job_add(struct sync_job *job, int file, bool *is_dirty)
{
    if (*is_dirty && file >= 0 && job->n_files < SYNC_FILES_MAX) {
        job->files[job->n_files++] = file;
        *is_dirty = false;
    }
}

/* All that was written of the journal, and the packs; false: there are more files than one job takes. */
static bool job_gather(struct store *s, struct sync_job *job)
{
    bool is_all = true;
    for (size_t i = 0; i < s->image.n_segments; i++) {
        struct segment *g = s->image.segments[i];
        if (g == NULL || g->file < 0)
            continue;
        job_add(job, g->file, &g->is_dirty);
        is_all &= !g->is_dirty;
    }
    for (struct link *l = s->image.packs.ring.prev; l != &s->image.packs.ring; l = l->prev) {
        struct pack *p = item_of(l, struct pack, in_order);
        if (s->dirty_packs == 0)
            break;
        bool was_dirty = p->is_dirty;
        job_add(job, p->file, &p->is_dirty);
        s->dirty_packs -= was_dirty && !p->is_dirty;
    }
    return is_all;
}

bool store_sync_begin(struct store *s, struct sync_job *job)
{
    *job = (struct sync_job){.position = s->durable_position, .changes = s->durable_changes, .lsn = s->durable_lsn};
    if (s->verdict == STORE_FAILED)
        return false;
    bool writes_checkpoint = s->next.is_written && s->next.serial == 0;
    if (writes_checkpoint)
        for (unsigned i = 0; i < 2; i++)
            if (s->next.files[i] >= 0)
                job->files[job->n_files++] = s->next.files[i];
    if (job_gather(s, job)) {
        job->position = s->written_position;
        job->changes = s->written_changes;
        job->lsn = s->written_lsn;
    }
    job->folder = s->names_changed;
    bool says_more = job->position != s->durable_position || job->changes != s->durable_changes;
    if (job->n_files == 0 && !job->folder && !says_more && job->lsn == s->durable_lsn)
        return false;
    s->names_changed = false;
    s->is_awaited &= s->is_group_open;
    job->serial = ++s->serial;
    if (writes_checkpoint)
        s->next.serial = job->serial;
    for (struct pending_chunk *w = s->pending; w != NULL; w = w->next)
        if (w->serial == 0 && !w->pack->is_dirty)
            w->serial = job->serial;
    s->stats.syncs++;
    return true;
}

bool store_sync_is_awaited(const struct store *s)
{
    return s->is_awaited;
}

int sync_job_run(struct disk *d, const struct sync_job *job)
{
    for (unsigned i = 0; i < job->n_files; i++) {
        int error = d->calls->sync(d, job->files[i]);
        if (error < 0)
            return error;
    }
    return job->folder ? d->calls->sync_folder(d, ".") : 0;
}

/* Sealed packs are opened when they are wanted. */
static void close_sealed_packs(struct store *s)
{
    for (struct link *l = s->image.packs.ring.prev; l != &s->image.packs.ring; l = l->prev) {
        struct pack *p = item_of(l, struct pack, in_order);
        if (p->file < 0 && s->dirty_packs == 0)
            break;
        if (p->file < 0 || p == s->pack || p->is_dirty)
            continue;
        s->disk->calls->close(s->disk, p->file);
        p->file = -1;
    }
}

void store_sync_end(struct store *s, const struct sync_job *job)
{
    s->durable_position = job->position;
    s->durable_changes = job->changes;
    if (job->lsn > s->durable_lsn) {
        s->durable_lsn = job->lsn;
        s->is_mark_due |= job->n_files > 0; /* else it was a mark itself, and that would go on for ever */
    }
    pack_synced(s, job->serial);
    close_sealed_packs(s);
    checkpoint_synced(s);
}

uint64_t store_durable(const struct store *s)
{
    return s->durable_position;
}

uint64_t store_durable_changes(const struct store *s)
{
    return s->durable_changes;
}

/* ---- The rest. */

enum store_verdict store_tend(struct store *s, uint64_t budget, bool *more)
{
    enum store_verdict v = s->verdict;
    *more = false;
    if (v == STORE_FAILED)
        return v;
    s->is_retry_due = true;
    s->idle_tends = s->idle_lsn == s->group_lsn ? s->idle_tends + 1 : 0;
    s->idle_lsn = s->group_lsn;
    v = files_tend(s, more);
    if (v == STORE_FINE && !s->in_tx && s->n_waiting == 0) {
        v = s->is_group_open ? append_end_group(s) : STORE_FINE;
        if (v == STORE_FINE)
            v = pack_enforce(s);
        if (v == STORE_FINE)
            v = pack_tend(s, budget, more);
        if (v == STORE_FINE && s->is_group_open)
            v = append_end_group(s);
        if (v == STORE_FINE)
            v = checkpoint_tend(s, false, more);
        if (v == STORE_FINE)
            v = journal_mark(s);
    }
    journal_tend(s);
    return v == STORE_FULL ? STORE_FINE : v;
}

static enum store_verdict sync_all(struct store *s)
{
    struct sync_job job;
    while (store_sync_begin(s, &job)) {
        int error = sync_job_run(s->disk, &job);
        if (error < 0)
            return store_fail(s, "cannot sync", "the journal", error);
        store_sync_end(s, &job);
    }
    return s->verdict;
}

enum store_verdict store_begin(struct store *s)
{
    s->is_mark_due = true;
    enum store_verdict v = journal_mark(s), synced = v;
    if (v == STORE_FINE || v == STORE_FULL)
        synced = sync_all(s);
    return synced == STORE_FINE ? v : synced;
}

enum store_verdict store_close(struct store *s)
{
    bool more = false;
    s->is_retry_due = true;
    enum store_verdict v = store_write(s);
    s->is_closing = true;
    s->was_closed = false;
    for (unsigned i = 0; i < 4 && v == STORE_FINE && !s->was_closed; i++) {
        v = sync_all(s);
        if (v == STORE_FINE && s->is_group_open)
            v = append_end_group(s);
        if (v == STORE_FINE)
            v = checkpoint_tend(s, true, &more);
        if (v == STORE_FINE)
            v = sync_all(s);
    }
    if (v == STORE_FINE) {
        journal_tend(s);
        v = files_tend(s, &more);
    }
    if (v == STORE_FINE)
        v = sync_all(s);
    return v;
}

struct store_stats store_stats(const struct store *s)
{
    struct store_stats t = s->stats;
    t.segments = s->image.n_segments;
    t.journal_bytes = 0;
    for (size_t i = 0; i < s->image.n_segments; i++)
        t.journal_bytes += s->image.segments[i] != NULL ? s->image.segments[i]->size : 0;
    t.packs = s->image.packs_by_number.count;
    t.chunks = s->image.n_chunks;
    t.checkpoint_bytes = s->checkpoint_size;
    t.buffered_bytes = s->buffered - s->buffer_written;
    t.stuck = s->stuck.n - s->stuck.next;
    t.is_tight = s->is_tight;
    t.memory_bytes = image_memory(&s->image);
    return t;
}
