#include "tests/sim/storage.h"
#include "tests/unit/guest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/store/state.h"
#include "tests/sim/disk.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum {
    SEGMENT = 12 << 10,
    CHUNK = 2 << 10,
    CHUNK_MESSAGES = 8,
    PACK = 4 << 10,
    CHECKPOINT = 24 << 10,
    TEND_MAX = 32 << 10,
    RECOVERIES_CUT_MAX = 3,
};

/* A step's records on their way. */
struct bundle {
    struct bundle *next;
    struct sheaf sheaf;
};

struct storage {
    struct rng *rng; /* borrowed */
    struct sim_disk *disk;
    struct store *store;          /* NULL: nobody is running */
    struct bundle *first, **last; /* owned: oldest first */
    struct load **loads;          /* owned: answers, oldest first */
    size_t n_loads, loads_room;
    struct sync_job job;
    enum { JOB_NONE, JOB_BEGUN, JOB_RUN, JOB_FAILED } job_state;
    bool is_dead, is_full, has_group;
    uint64_t opens;
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
    const struct storage *s = arg;
    if (sim_disk_is_off(s->disk))
        return; /* it only looks like that */
    verdict_fail("the store lost %llu messages or items of queue %llu, in %s at %llu: %s",
                 (unsigned long long)loss->messages, (unsigned long long)loss->queue, loss->file ? loss->file : "?",
                 (unsigned long long)loss->offset, loss->reason);
}

static void on_note(void *arg, bool is_warning, const char *text)
{
    (void)arg;
    verdict_note("store%s: %s", is_warning ? " warns" : "", text);
}

static void on_answer(void *arg, struct load *l)
{
    struct storage *s = arg;
    if (s->n_loads == s->loads_room) {
        s->loads_room = alloc_grown(s->loads_room, s->n_loads + 1);
        s->loads = alloc_array((void *)s->loads, s->loads_room, sizeof *s->loads);
    }
    verdict_note("loaded: %u messages of queue %llu%s", l->n, (unsigned long long)l->queue,
                 l->is_end ? ", the end" : "");
    s->loads[s->n_loads++] = l;
}

/* The sync thread, while the store is in a call. */
static void on_between(void *arg)
{
    struct storage *s = arg;
    if (s->job_state == JOB_BEGUN && rng_one_in(s->rng, 8))
        storage_run(s);
}

/* ---- Its life. */

struct storage *storage_create(struct rng *rng)
{
    struct storage *s = alloc_zeroed(sizeof *s);
    s->rng = rng;
    s->last = &s->first;
    s->disk = sim_disk_create(rng);
    store_rng.state = rng_next(rng);
    sim_disk_between(s->disk, on_between, s);
    return s;
}

static void drop_work(struct storage *s)
{
    for (struct bundle *b = s->first, *next; b != NULL; b = next) {
        next = b->next;
        sheaf_fini(&b->sheaf);
        free(b);
    }
    s->first = NULL;
    s->last = &s->first;
    for (size_t i = 0; i < s->n_loads; i++)
        load_destroy(s->loads[i]);
    s->n_loads = 0;
    s->job_state = JOB_NONE;
    s->is_dead = s->is_full = s->has_group = false;
}

void storage_destroy(struct storage *s)
{
    if (s == NULL)
        return;
    store_destroy(s->store);
    s->store = NULL;
    drop_work(s);
    sim_disk_destroy(s->disk);
    free((void *)s->loads);
    free(s);
}

static void restart(struct storage *s)
{
    static const enum mark marks[CRASH_KINDS] = {MARK_kill, MARK_cut, MARK_cut_some, MARK_tear};
    static const char *const names[CRASH_KINDS] = {"kill", "cut", "cut some", "tear"};
    enum crash how = (enum crash)rng_below(s->rng, CRASH_KINDS);
    mark_hit(marks[how]);
    verdict_note("the end: %s", names[how]);
    store_destroy(s->store);
    s->store = NULL;
    sim_disk_restart(s->disk, how);
}

void storage_crash(struct storage *s)
{
    if (s->job_state != JOB_NONE)
        mark_hit(MARK_crash_in_sync);
    if (s->has_group)
        mark_hit(MARK_crash_unwritten);
    if (s->store != NULL && s->store->n_pending > 0)
        mark_hit(MARK_crash_moving);
    if (s->n_loads > 0)
        mark_hit(MARK_crash_load);
    restart(s);
    drop_work(s);
}

/* ---- Recovery, as in broker/recovery.c. */

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    if (!broker_restore_definition(arg, what, queue, key, value))
        verdict_fail("a definition of class %d cannot be restored: %.*s", (int)what, BYTES_ARG(key));
}

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    verdict_note("restored: queue %llu has %llu messages, the next is %llu", (unsigned long long)queue,
                 (unsigned long long)messages, (unsigned long long)next_position);
    if (!broker_restore_queue(arg, queue, messages, bytes, next_position))
        verdict_fail("queue %llu cannot be restored", (unsigned long long)queue);
}

static bool open_store(struct storage *s)
{
    const struct store_config config = {
        .disk = sim_disk_table(s->disk),
        .segment_bytes = SEGMENT,
        .checkpoint_bytes = CHECKPOINT,
        .chunk_bytes = CHUNK,
        .chunk_messages = CHUNK_MESSAGES,
        .pack_bytes = PACK,
        .random = on_random,
    };
    const struct store_witness witness = {.arg = s, .lost = on_lost, .note = on_note};
    char *text = NULL;
    enum store_verdict v = store_open(&config, &witness, &s->store, &text);
    if (v == STORE_FINE)
        v = store_begin(s->store);
    if (v != STORE_FINE && v != STORE_FULL && !sim_disk_is_off(s->disk))
        verdict_fail("the store cannot be opened: %d %s", (int)v, text ? text : "");
    free(text);
    return (v == STORE_FINE || v == STORE_FULL) && !sim_disk_is_off(s->disk);
}

struct broker *storage_open(struct storage *s, const struct broker_config *config)
{
    unsigned cuts = 0;
    sim_disk_limit(s->disk, 0);
    if (s->opens++ > 0 && rng_one_in(s->rng, 3))
        sim_disk_cut(s->disk, 1 + rng_below(s->rng, 8));
    while (!open_store(s)) {
        mark_hit(MARK_crash_in_recovery);
        restart(s);
        if (++cuts < RECOVERIES_CUT_MAX && rng_one_in(s->rng, 2))
            sim_disk_cut(s->disk, 1 + rng_below(s->rng, 8));
    }
    sim_disk_cut(s->disk, 0);
    struct broker_config with_records = *config;
    with_records.records = true;
    struct broker *b = broker_create(&with_records);
    const struct store_reader reader = {.arg = b, .definition = on_definition, .queue = on_queue};
    store_read(s->store, &reader);
    broker_set_next_queue_id(b, store_next_queue(s->store));
    guest_let_in(b);
    return b;
}

/* ---- At work. */

bool storage_is_dead(const struct storage *s)
{
    return s->is_dead || sim_disk_is_off(s->disk); /* nobody may have noticed yet */
}

/* It must have been the disk. */
static void on_failed(struct storage *s, const char *what)
{
    bool is_off = sim_disk_is_off(s->disk);
    if (!is_off && !sim_disk_has_failed(s->disk))
        verdict_fail("%s failed: %s", what, store_trouble(s->store));
    verdict_note("%s failed: %s", what, is_off ? "the power is off" : "the disk answers errors");
    mark_hit(is_off ? MARK_power_off_in_call : MARK_disk_failed);
    s->is_dead = true;
}

void storage_keep(struct storage *s, struct sheaf *records)
{
    if (records->n == 0)
        return;
    struct bundle *b = alloc_zeroed(sizeof *b);
    struct sheaf empty;
    sheaf_init(&empty);
    b->sheaf = *records;
    *records = empty;
    *s->last = b;
    s->last = &b->next;
}

bool storage_append(struct storage *s, bool all)
{
    bool moved = false;
    while (s->first != NULL && (all || !moved)) {
        struct bundle *b = s->first;
        s->first = b->next;
        if (s->first == NULL)
            s->last = &s->first;
        verdict_note("append: %zu records up to %llu", b->sheaf.n, (unsigned long long)b->sheaf.last);
        store_append(s->store, &b->sheaf, on_answer, s);
        if (rng_one_in(s->rng, 3))
            store_gather(s->store);
        sheaf_fini(&b->sheaf);
        free(b);
        s->has_group = moved = true;
    }
    return moved;
}

static void mark_changes(const struct store *s, const struct store *before)
{
    if (before->open != NULL && s->open != before->open)
        mark_hit(MARK_rotated);
    if (s->n_pending > before->n_pending)
        mark_hit(MARK_packed);
    if (s->checkpoint != before->checkpoint)
        mark_hit(MARK_checkpointed);
    if (s->stats.spared > before->stats.spared)
        mark_hit(MARK_spared);
}

bool storage_write(struct storage *s)
{
    if (!s->has_group)
        return false;
    struct store before = *s->store;
    enum store_verdict v = store_write(s->store);
    verdict_note("write: %d", (int)v);
    if (v == STORE_FAILED) {
        on_failed(s, "writing");
        return true;
    }
    if (v == STORE_FULL)
        mark_hit(MARK_disk_full);
    else if (s->is_full)
        mark_hit(MARK_disk_full_over);
    s->is_full = s->has_group = v == STORE_FULL;
    mark_changes(s->store, &before);
    return true;
}

bool storage_is_full(const struct storage *s)
{
    return s->is_full;
}

bool storage_begin(struct storage *s)
{
    if (s->job_state != JOB_NONE || !store_sync_begin(s->store, &s->job))
        return false;
    verdict_note("sync of %u files%s up to %llu", s->job.n_files, s->job.folder ? " and the folder" : "",
                 (unsigned long long)s->job.position);
    s->job_state = JOB_BEGUN;
    return true;
}

bool storage_run(struct storage *s)
{
    if (s->job_state != JOB_BEGUN)
        return false;
    s->job_state = sync_job_run(sim_disk_table(s->disk), &s->job) == 0 ? JOB_RUN : JOB_FAILED;
    return true;
}

bool storage_end(struct storage *s)
{
    if (s->job_state == JOB_FAILED) {
        if (!sim_disk_is_off(s->disk))
            mark_hit(MARK_sync_failed);
        on_failed(s, "a sync");
        return true;
    }
    if (s->job_state != JOB_RUN)
        return false;
    struct store before = *s->store;
    store_sync_end(s->store, &s->job);
    s->job_state = JOB_NONE;
    mark_changes(s->store, &before);
    verdict_note("durable up to %llu", (unsigned long long)store_durable(s->store));
    return true;
}

bool storage_tend(struct storage *s)
{
    bool more = false;
    struct store before = *s->store;
    enum store_verdict v = store_tend(s->store, 1 + rng_below(s->rng, TEND_MAX), &more);
    verdict_note("tend: %d%s", (int)v, more ? ", more" : "");
    if (v == STORE_FAILED)
        on_failed(s, "tending");
    else
        mark_changes(s->store, &before);
    return more || v == STORE_FAILED;
}

struct load *storage_take_load(struct storage *s)
{
    if (s->n_loads == 0)
        return NULL;
    struct load *l = s->loads[0];
    for (size_t i = 1; i < s->n_loads; i++)
        s->loads[i - 1] = s->loads[i];
    s->n_loads--;
    return l;
}

uint64_t storage_durable(const struct storage *s)
{
    return store_durable(s->store);
}

uint64_t storage_durable_changes(const struct storage *s)
{
    return store_durable_changes(s->store);
}

/* ---- Trouble. */

void storage_trouble(struct storage *s)
{
    static const int errors[] = {-EIO, -EIO, -EROFS};
    uint32_t what = rng_below(s->rng, 10);
    if (what < 4) {
        sim_disk_cut(s->disk, 1 + rng_below(s->rng, 30));
    } else if (what < 6) {
        /* Not FAULT_ANY: a pack that cannot be opened costs the messages that are wanted from it, rightly. */
        static const enum disk_fault faults[] = {FAULT_SYNC, FAULT_WRITE, FAULT_NAME};
        sim_disk_fail(s->disk, faults[rng_below(s->rng, 3)], 1 + rng_below(s->rng, 10), errors[rng_below(s->rng, 3)]);
    } else {
        uint64_t used = sim_disk_used(s->disk);
        sim_disk_limit(s->disk, rng_one_in(s->rng, 2) ? 0 : used + rng_below(s->rng, SEGMENT));
    }
}

void storage_calm(struct storage *s)
{
    if (s->job_state == JOB_FAILED)
        on_failed(s, "a sync");
    else if (s->store->verdict == STORE_FAILED)
        on_failed(s, "what was done before"); /* the next call would have said so */
    sim_disk_cut(s->disk, 0);
    sim_disk_fail(s->disk, FAULT_SYNC, 0, 0);
    sim_disk_limit(s->disk, 0);
}

bool storage_close(struct storage *s)
{
    storage_append(s, true);
    if (s->job_state != JOB_NONE) {
        storage_run(s);
        storage_end(s);
    }
    enum store_verdict v = s->is_dead ? STORE_FAILED : store_close(s->store);
    if (v == STORE_FAILED && !s->is_dead)
        on_failed(s, "closing");
    return v == STORE_FINE;
}

uint64_t storage_trace(const struct storage *s)
{
    return sim_disk_trace(s->disk);
}
