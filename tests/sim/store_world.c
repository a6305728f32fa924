#include "tests/sim/store_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum {
    SEGMENT = 64 << 10,
    CHUNK = 4 << 10,
    CHUNK_MESSAGES = 16,
    PACK = 64 << 10,
    CHECKPOINT = 128 << 10,
    QUIET_ROUNDS = 400,
};

/* ---- What the store is given. */

static struct rng store_rng;

static void on_random(void *to, size_t n)
{
    uint8_t *at = to;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)rng_next(&store_rng);
}

static void on_lost(void *arg, const struct store_loss *loss)
{
    struct world *w = arg;
    verdict_note("lost: queue %llu, %llu messages or items, in %s at %llu: %s", (unsigned long long)loss->queue,
                 (unsigned long long)loss->messages, loss->file ? loss->file : "?", (unsigned long long)loss->offset,
                 loss->reason);
    if (loss->queue != 0)
        w->lost += loss->messages;
    else
        w->lost_anyhow += loss->messages;
}

static void on_note(void *arg, bool is_warning, const char *text)
{
    struct world *w = arg;
    verdict_note("store: %s", text);
    w->warnings += is_warning;
    w->has_aside |= strstr(text, "kept as") != NULL;
}

static void on_answer(void *arg, struct load *l)
{
    struct world *w = arg;
    CHECK(w->n_answers < ASKS);
    w->answers[w->n_answers++] = l;
    const struct image_queue *q = image_queue_find(&w->store->image, l->queue);
    if (l->n > 0)
        mark_hit(q != NULL && q->n_chunks > 0 && q->chunks[0]->first <= l->entries[0].position ? MARK_load_chunk
                                                                                               : MARK_load_journal);
}

/* ---- The life of a store. */

static void drop_work(struct world *w)
{
    for (size_t i = 0; i < w->n_answers; i++)
        load_destroy(w->answers[i]);
    w->n_answers = w->n_asks = 0;
    w->job_state = JOB_NONE;
    w->is_full = false;
    sheaf_clear(&w->draft);
}

static enum crash any_crash(struct world *w)
{
    static const enum mark marks[CRASH_KINDS] = {MARK_kill, MARK_cut, MARK_cut_some, MARK_tear};
    static const char *const names[CRASH_KINDS] = {"kill", "cut", "cut some", "tear"};
    enum crash how = (enum crash)rng_below(&w->rng, CRASH_KINDS);
    mark_hit(marks[how]);
    verdict_note("crash: %s", names[how]);
    return how;
}

static enum store_verdict open_store(struct world *w)
{
    const struct store_config config = {
        .disk = sim_disk_table(w->disk),
        .segment_bytes = SEGMENT,
        .checkpoint_bytes = CHECKPOINT,
        .chunk_bytes = CHUNK,
        .chunk_messages = CHUNK_MESSAGES,
        .pack_bytes = PACK,
        .random = on_random,
    };
    const struct store_witness witness = {.arg = w, .lost = on_lost, .note = on_note};
    char *text = NULL;
    w->lost = w->lost_anyhow = w->warnings = 0;
    enum store_verdict v = store_open(&config, &witness, &w->store, &text);
    if (v != STORE_FINE && !sim_disk_is_off(w->disk))
        verdict_fail("the store cannot be opened: %d %s", (int)v, text ? text : "");
    free(text);
    if (v == STORE_FINE && w->store->next.number != 0)
        mark_hit(MARK_checkpoint_read);
    return v;
}

/* Opens what is left, sometimes in spite of another power cut.  True: the power went, on the way. */
static bool recover_world(struct world *w)
{
    bool was_cut = false;
    if (rng_one_in(&w->rng, 3))
        sim_disk_cut(w->disk, 1 + rng_below(&w->rng, 6));
    while (open_store(w) != STORE_FINE || sim_disk_is_off(w->disk)) {
        mark_hit(MARK_cut_in_recovery);
        store_destroy(w->store);
        enum crash how = any_crash(w);
        was_cut |= how != CRASH_KILL;
        sim_disk_restart(w->disk, how);
    }
    sim_disk_cut(w->disk, 0);
    return was_cut;
}

static void crash_with(struct world *w, enum crash how)
{
    store_destroy(w->store);
    w->store = NULL;
    drop_work(w);
    w->crashes++;
    sim_disk_restart(w->disk, how);
}

/* Recovers again, with nothing in between: it must be the same. */
static void recover_twice(struct world *w)
{
    enum crash how = w->is_settled ? any_crash(w) : CRASH_KILL;
    bool was_settled = w->is_settled;
    crash_with(w, how);
    bool was_cut = recover_world(w);
    check_recovered(w, was_settled || !was_cut);
    w->is_settled = was_settled || was_cut;
    mark_hit(MARK_twice);
}

static void sync_now(struct world *w);
static void tend(struct world *w);

enum { MARK_PAGES = 8 << 10 };

/* Damages the disk.  True: also where the journal says how much is durable. */
static bool rot_some(struct world *w, const char *open, uint64_t used)
{
    bool is_hit = false;
    for (uint32_t n = 1 + rng_below(&w->rng, 3); n > 0; n--) {
        struct rot r = sim_disk_rot(w->disk);
        verdict_note("rot: %s: %zu bytes at %zu", r.name, r.len, r.at);
        is_hit |= strcmp(r.name, open) == 0 && r.at < used && r.at + r.len + MARK_PAGES > used;
    }
    return is_hit;
}

/* Damage behind what the journal itself says to be durable looks like a torn tail.  So it mostly says so before. */
static void rot(struct world *w)
{
    bool is_marked = !rng_one_in(&w->rng, 4);
    enum crash how = is_marked ? CRASH_KILL : any_crash(w);
    unsigned crashes = w->crashes;
    if (is_marked) {
        world_write(w);
        sync_now(w);
        tend(w);
        is_marked = w->crashes == crashes;
    }
    char open[NAME_MAX_BYTES] = "";
    uint64_t used = 0;
    if (w->store->open != NULL) {
        file_name(open, "journal", w->store->open->number);
        used = w->store->open->used;
    }
    crash_with(w, how);
    is_marked &= !rot_some(w, open, used);
    if (open_store(w) != STORE_FINE)
        verdict_fail("damage keeps the store from being opened");
    w->is_damaged = true;
    check_damaged(w, is_marked);
}

static void check_found(struct world *w, bool is_all)
{
    if (w->is_damaged)
        check_damaged(w, false);
    else
        check_recovered(w, is_all);
}

static void crash(struct world *w)
{
    enum crash how = any_crash(w);
    uint32_t odds = rng_below(&w->rng, 4);
    if (w->is.rots && odds < 2 && !sim_disk_is_off(w->disk)) {
        rot(w);
        return;
    }
    crash_with(w, how);
    bool was_cut = recover_world(w);
    check_found(w, false);
    w->is_settled = how != CRASH_KILL || was_cut;
    if (odds == 0 && !w->is_damaged)
        recover_twice(w);
}

/* It must have been the disk. */
static void on_failed(struct world *w, const char *what)
{
    bool is_off = sim_disk_is_off(w->disk), has_failed = sim_disk_has_failed(w->disk);
    if (!is_off && !has_failed)
        verdict_fail("%s failed: %s", what, store_trouble(w->store));
    verdict_note("%s failed: %s", what, store_trouble(w->store));
    mark_hit(is_off ? MARK_cut_in_call : MARK_write_failed);
    crash(w);
}

/* ---- Steps. */

void world_append(struct world *w, struct sheaf *records)
{
    w->is_settled = false;
    verdict_note("append: %zu records up to %llu", records->n, (unsigned long long)records->last);
    store_append(w->store, records, on_answer, w);
}

static void mark_changes(struct world *w, const struct store *before)
{
    const struct store *s = w->store;
    if (before->open != NULL && s->open != before->open)
        mark_hit(MARK_rotation);
    if (s->open != before->open && s->open != NULL)
        mark_hit(s->direct >= 0 ? MARK_direct : s->no_direct ? MARK_no_direct : MARK_direct_ended);
    if (s->open == before->open && s->direct < 0 && before->direct >= 0)
        mark_hit(MARK_direct_refused);
    if (s->n_spares < before->n_spares)
        mark_hit(MARK_spare_reused);
    if (s->n_pending > before->n_pending)
        mark_hit(s->compacting != 0 ? MARK_compaction : MARK_relocation);
    if (s->n_pending < before->n_pending)
        mark_hit(MARK_chunk_in_force);
    if (s->checkpoint != before->checkpoint)
        mark_hit(MARK_checkpoint);
    if (s->image.packs_by_number.count < before->image.packs_by_number.count)
        mark_hit(MARK_pack_gone);
    if (s->image.n_segments < before->image.n_segments)
        mark_hit(MARK_segment_gone);
    if (s->is_tight)
        mark_hit(MARK_tight);
}

void world_write(struct world *w)
{
    struct store before = *w->store;
    enum store_verdict v = store_write(w->store);
    world_order(w);
    verdict_note("write: %d", (int)v);
    if (v == STORE_FAILED || sim_disk_is_off(w->disk)) { /* what a broker says without power nobody hears */
        on_failed(w, "write");
        return;
    }
    if (v == STORE_FULL) {
        if (!w->is.fills)
            verdict_fail("the disk is full, and there is no limit");
        mark_hit(MARK_full);
    } else if (w->is_full) {
        mark_hit(MARK_full_over);
    }
    w->is_full = v == STORE_FULL;
    mark_changes(w, &before);
    world_durable(w);
    check_answers(w, v == STORE_FINE && !w->is_damaged);
    image_check(&w->store->image);
}

static void job_begin(struct world *w)
{
    if (w->job_state == JOB_NONE && store_sync_begin(w->store, &w->job)) {
        verdict_note("sync of %u files%s up to %llu", w->job.n_files, w->job.folder ? " and the folder" : "",
                     (unsigned long long)w->job.position);
        w->job_state = JOB_BEGUN;
    }
}

static void job_run(struct world *w)
{
    if (w->job_state == JOB_BEGUN)
        w->job_state = sync_job_run(sim_disk_table(w->disk), &w->job) == 0 ? JOB_RUN : JOB_FAILED;
    if (w->job_state != JOB_NONE)
        verdict_note("sync ran");
}

static void job_end(struct world *w)
{
    if (w->job_state == JOB_FAILED) {
        if (!sim_disk_is_off(w->disk) && !sim_disk_has_failed(w->disk))
            verdict_fail("a sync failed");
        verdict_note("sync failed");
        mark_hit(sim_disk_is_off(w->disk) ? MARK_cut_in_sync : MARK_sync_failed);
        crash(w);
    } else if (w->job_state == JOB_RUN) {
        struct store before = *w->store;
        store_sync_end(w->store, &w->job);
        verdict_note("sync ended: durable up to %llu", (unsigned long long)store_durable(w->store));
        w->job_state = JOB_NONE;
        if (w->store->written_position > w->job.position)
            mark_hit(MARK_written_behind);
        mark_changes(w, &before);
        world_durable(w);
    }
}

/* Another thread, while the store is in a call. */
static void on_between(void *arg)
{
    struct world *w = arg;
    if (w->job_state == JOB_BEGUN && rng_one_in(&w->rng, 8)) {
        mark_hit(MARK_job_between);
        job_run(w);
    }
}

static void tend(struct world *w)
{
    bool more = false;
    struct store before = *w->store;
    w->is_settled = false;
    enum store_verdict v = store_tend(w->store, 1 + rng_below(&w->rng, w->is.tend_budget), &more);
    verdict_note("tend: %d%s", (int)v, more ? ", more" : "");
    if (v == STORE_FAILED || sim_disk_is_off(w->disk)) {
        on_failed(w, "tending");
        return;
    }
    mark_changes(w, &before);
    image_check(&w->store->image);
}

static void sync_now(struct world *w)
{
    job_begin(w);
    if (w->job_state == JOB_BEGUN)
        job_run(w);
    if (w->job_state != JOB_NONE)
        job_end(w);
}

static void close_and_open(struct world *w)
{
    job_run(w);
    job_end(w);
    if (w->is_full)
        return;
    world_write(w);
    if (w->is_full)
        return;
    enum store_verdict v = store_close(w->store);
    world_order(w);
    if (v == STORE_FULL && w->is.fills)
        return;
    if (v != STORE_FINE) {
        on_failed(w, "closing");
        return;
    }
    bool was_closed = w->store->was_closed;
    world_durable(w);
    if (w->n_log > 0 && w->log[w->n_log - 1].kind != NAIVE_RESTART)
        verdict_fail("%zu records were not durable when the store was closed", w->n_log);
    crash_with(w, any_crash(w));
    recover_world(w);
    w->was_closed = was_closed;
    check_found(w, true);
    w->was_closed = false;
    w->is_settled = true;
    mark_hit(MARK_closed);
}

static void make_trouble(struct world *w)
{
    static const int errors[] = {-EIO, -EIO, -EROFS};
    if (rng_one_in(&w->rng, 2))
        sim_disk_cut(w->disk, 1 + rng_below(&w->rng, 30));
    else if (w->is.fails)
        sim_disk_fail(w->disk, (enum disk_fault)rng_below(&w->rng, 4), 1 + rng_below(&w->rng, 10),
                      errors[rng_below(&w->rng, 3)]);
    if (w->is.fills) {
        uint64_t used = sim_disk_used(w->disk);
        sim_disk_limit(w->disk, rng_one_in(&w->rng, 3) ? 0 : used + rng_below(&w->rng, 3 * SEGMENT));
    }
}

/* What fills packs and leaves holes in them. */
static void hoard(struct world *w)
{
    w->may_publish = true;
    if (rng_one_in(&w->rng, 12))
        work_thin_out(w);
    else
        work_traffic(w);
    world_write(w);
    sync_now(w);
    tend(w);
}

static void step(struct world *w)
{
    if (rng_one_in(&w->rng, 60))
        w->is.publish_odds = 5 + rng_below(&w->rng, 85);
    bool is_short = w->is_full || (w->is.fills && w->store->is_tight);
    w->may_publish = !is_short || rng_one_in(&w->rng, 8);
    uint32_t what = rng_below(&w->rng, 100);
    if (w->is.hoards && rng_one_in(&w->rng, 2)) {
        hoard(w);
        return;
    }
    if (rng_one_in(&w->rng, w->is.crash_in))
        crash(w);
    else if (rng_one_in(&w->rng, 150))
        close_and_open(w);
    else if (rng_one_in(&w->rng, 50))
        make_trouble(w);
    else if (what < 35)
        work_append(w);
    else if (what < 55)
        world_write(w);
    else if (what < 65)
        job_begin(w);
    else if (what < 75)
        job_run(w);
    else if (what < 85)
        job_end(w);
    else
        tend(w);
}

/* ---- The end. */

static uint64_t calm(struct world *w)
{
    uint64_t used = 0;
    unsigned same = 0;
    for (unsigned i = 0; i < QUIET_ROUNDS && same < 20; i++) {
        world_write(w);
        sync_now(w);
        tend(w);
        same = used == sim_disk_used(w->disk) ? same + 1 : 0;
        used = sim_disk_used(w->disk);
    }
    if (w->is_full)
        verdict_fail("there is room again, and the disk is still full");
    return used;
}

static void check_space(struct world *w, uint64_t used, uint64_t bound, const char *what)
{
    if (w->store->open != NULL && w->store->open->size > SEGMENT)
        bound += w->store->open->size - SEGMENT + (4 << 10);
    unsigned open_files = sim_disk_open_files(w->disk);
    verdict_note("%s: %llu bytes, %u files open", what, (unsigned long long)used, open_files);
    bool is_fair = !w->is_damaged && !w->has_aside;
    if (used > bound && is_fair)
        sim_disk_print(w->disk);
    if (used > bound && is_fair)
        verdict_fail("%s, and %llu bytes of disk are used, should be %llu", what, (unsigned long long)used,
                     (unsigned long long)bound);
    if (open_files > w->store->image.n_segments + 2) /* a pack, and the open segment once more (DISK_DIRECT) */
        verdict_fail("%s, and %u files are open", what, open_files);
}

/* One message stays, everything before and behind it goes. */
static void pin(struct world *w)
{
    const uint64_t bound = 7 * SEGMENT + 2 * PACK;
    w->may_publish = true;
    work_traffic(w);
    for (size_t i = 0; i < w->now.n_queues && w->pinned_queue == 0; i++)
        if (w->now.queues[i].is_defined && w->now.queues[i].n > 0) {
            w->pinned_queue = w->now.queues[i].id;
            w->pinned_position = w->now.queues[i].entries[0].position;
        }
    for (unsigned i = 0; i < 60; i++) {
        work_traffic(w);
        work_settle_all(w, true);
        world_write(w);
        sync_now(w);
        tend(w);
    }
    check_space(w, calm(w), bound, "one old message is left");
    mark_hit(MARK_pinned);
}

static void end(struct world *w)
{
    const uint64_t bound = (STORE_SPARE_SEGMENTS + 2) * SEGMENT + PACK;
    if (sim_disk_is_off(w->disk) || sim_disk_has_failed(w->disk))
        crash(w);
    sim_disk_cut(w->disk, 0);
    sim_disk_fail(w->disk, FAULT_ANY, 0, 0);
    sim_disk_limit(w->disk, 0);
    w->is.fails = false;
    calm(w);
    if (w->n_log > 0 && w->log[w->n_log - 1].kind != NAIVE_RESTART)
        verdict_fail("it is quiet, and %zu records are not durable", w->n_log);
    if (w->is.pins)
        pin(w);
    w->pinned_queue = 0;
    work_settle_all(w, false);
    check_space(w, calm(w), bound, "everything is consumed");
    mark_hit(MARK_quiet);
    crash_with(w, any_crash(w));
    recover_world(w);
    check_found(w, true);
}

static void choose_traits(struct world *w, uint64_t seed)
{
    w->is = (struct traits){
        .fails = seed % 4 == 1,
        .fills = seed % 4 == 2,
        .rots = seed % 4 == 3,
        .pins = seed % 16 == 4,
        .hoards = seed % 16 == 8,
        .bodies = rng_below(&w->rng, 4),
        .publish_odds = 20 + rng_below(&w->rng, 60),
        .crash_in = rng_one_in(&w->rng, 4) ? 20 : 100,
        .tend_budget = rng_one_in(&w->rng, 2) ? 20000 : 200000,
        .records_max = rng_one_in(&w->rng, 4) ? 200 : 20,
    };
}

uint64_t world_run(uint64_t seed, unsigned steps)
{
    struct world *w = alloc_zeroed(sizeof *w);
    verdict_begin(seed);
    w->rng.state = seed;
    store_rng.state = ~seed;
    choose_traits(w, seed);
    w->disk = sim_disk_create(&w->rng);
    w->queues = 1;
    sheaf_init(&w->draft);
    open_store(w);
    sim_disk_between(w->disk, on_between, w);
    for (unsigned i = 0; i < steps; i++) {
        verdict_step(i);
        step(w);
    }
    verdict_step(steps);
    end(w);
    uint64_t trace = sim_disk_trace(w->disk);
    store_destroy(w->store);
    drop_work(w);
    sheaf_fini(&w->draft);
    sim_disk_destroy(w->disk);
    naive_fini(&w->base);
    naive_fini(&w->now);
    for (size_t i = 0; i < w->n_log; i++)
        free(w->log[i].places);
    free(w->log);
    free(w);
    return trace;
}
