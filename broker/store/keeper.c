#define _GNU_SOURCE
#include "broker/store/keeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/lane.h"
#include "base/log.h"
#include "broker/store/bundle.h"
#include "broker/store/space.h"

enum keeper_parcel { KEEPER_SHEAF, KEEPER_SYNC, KEEPER_STOP };

/* A sync on its way to the sync thread and back. */
struct errand {
    struct parcel parcel;
    struct sync_job job;
    uint64_t us; /* how long it took */
};

struct keeper {
    struct disk *disk; /* borrowed */
    struct keeper_ear ear;
    void (*on_tick)(void *arg, bool is_last);
    void *tick_arg;
    atomic_ullong pending;
    atomic_ullong seen_ms;    /* when the journal thread last began a turn … */
    atomic_ullong syncing_ms; /* … and when the sync under way began; 0: there is none */
    uint64_t pending_max;
    pthread_t journal, syncer;
    struct bundles bundles;

    /* The journal thread's. */
    struct store *store; /* owned */
    struct lane inbox;
    struct space space;
    atomic_uint_least64_t wanted_limit; /* of space, by any thread; UINT64_MAX: as it is */
    struct errand errand;
    uint64_t synced_from_ms; /* since when the errand is out */
    uint64_t unwritten;      /* bytes of publishes appended since the last write */
    uint64_t retry_ms;       /* when to try again, if it is full */
    uint64_t bytes_untended; /* of publishes, written since the last slice */
    uint64_t segments;       /* of the journal, when space was looked at */
    uint64_t scrub_left;     /* bytes that may be reread before the next tick */
    uint64_t scrub_ms;       /* when the next pass may begin */
    uint64_t groups_seen;    /* at the last tick */
    uint64_t tick_ms;        /* when the next is due */
    uint64_t alarm_ms;       /* when the ear was last told of the alarm */
    uint64_t stop_ms, drain_ms;
    unsigned groups_untended; /* written since the last slice */
    bool is_syncing;          /* the errand is out … */
    uint64_t lazy_ms;         /* when to sync what nobody waits for; UINT64_MAX: there is nothing */
    bool is_sync_slow;        /* … and was complained about */
    bool has_group;           /* something was appended since the last write */
    bool is_full;             /* the last write found no room … */
    bool has_new;             /* … and something was appended since */
    bool is_tight;            /* there was no room for a file in reserve */
    bool has_debt;            /* there may be something to tend */
    bool is_alarm_set;        /* as the ear was told */
    bool is_stopping, is_stopped, is_clean;
    bool is_started; /* the hub's thread */
    /* The sync thread's. */
    struct lane jobs;
    /* Under lock. */
    pthread_mutex_t lock;
    struct keeper_stats stats; /* durable as the ear was told … */
    uint64_t told_changes;     /* … and that */
};

/* Nothing leaves this process any more. */
static _Noreturn void keeper_die(const char *what, const char *why)
{
    enum { LINE_MAX_BYTES = 512 };
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line, "FATAL: %s%s%s; stopping, so that nothing is confirmed that is not on disk", what,
             why[0] != '\0' ? ": " : "", why);
    if (log_is_on(LOG_CRITICAL_LEVEL))
        log_write(LOG_CRITICAL_LEVEL, "store", "%s", line);
    else
        fprintf(stderr, "millraced: %s\n", line);
    _exit(KEEPER_EXIT);
}

/* True: there was no room.  Anything worse ends the process. */
static bool found_no_room(const struct keeper *k, enum store_verdict v, const char *what)
{
    if (v != STORE_FINE && v != STORE_FULL)
        keeper_die(what, store_trouble(k->store));
    return v == STORE_FULL;
}

/* ---- For the hub. */

struct keeper *keeper_create(const struct keeper_config *config)
{
    struct keeper *k = alloc_zeroed(sizeof *k);
    uint64_t available = UINT64_MAX, total = 0;
    k->store = config->store;
    k->disk = config->disk;
    k->on_tick = config->on_tick;
    k->tick_arg = config->tick_arg;
    k->space = (struct space){.limit = config->disk_limit, .is_chosen = config->is_disk_limit_chosen};
    if (k->disk->calls->space(k->disk, &available, &total) != 0)
        total = 0;
    if (!k->space.is_chosen)
        k->space.limit = space_limit_at_start(total, available);
    atomic_init(&k->pending, 0);
    atomic_init(&k->seen_ms, clock_ms());
    atomic_init(&k->wanted_limit, UINT64_MAX);
    atomic_init(&k->syncing_ms, 0);
    k->pending_max = store_segment_bytes(k->store);
    lane_init(&k->inbox);
    lane_init(&k->jobs);
    bundles_init(&k->bundles);
    pthread_mutex_init(&k->lock, NULL);
    k->has_debt = true;
    k->drain_ms = config->drain_ms != 0 ? config->drain_ms : KEEPER_DRAIN_MS;
    k->stats.disk_limit = k->space.limit;
    return k;
}

void keeper_destroy(struct keeper *k)
{
    if (k == NULL)
        return;
    bundles_destroy(lane_collect(&k->inbox));
    bundles_fini(&k->bundles);
    lane_fini(&k->inbox);
    lane_fini(&k->jobs);
    pthread_mutex_destroy(&k->lock);
    store_destroy(k->store);
    free(k);
}

void keeper_keep(struct keeper *k, struct sheaf *records)
{
    struct bundle *b = bundles_take(&k->bundles);
    struct sheaf empty = b->sheaf;
    b->sheaf = *records;
    *records = empty;
    b->posted_us = clock_us();
    atomic_fetch_add(&k->pending, b->sheaf.bytes);
    lane_post(&k->inbox, &b->parcel);
}

void keeper_set_disk_limit(struct keeper *k, uint64_t bytes)
{
    atomic_store(&k->wanted_limit, bytes);
}

uint64_t keeper_pending(const struct keeper *k)
{
    return atomic_load(&k->pending);
}

uint64_t keeper_pending_max(const struct keeper *k)
{
    return k->pending_max;
}

void keeper_stats(struct keeper *k, struct keeper_stats *to)
{
    pthread_mutex_lock(&k->lock);
    *to = k->stats;
    pthread_mutex_unlock(&k->lock);
}

uint64_t keeper_standstill_ms(const struct keeper *k)
{
    uint64_t seen = atomic_load(&k->seen_ms), syncing = atomic_load(&k->syncing_ms), now = clock_ms();
    uint64_t since = seen + KEEPER_TICK_MS; /* so long it may sleep */
    if (syncing != 0 && syncing < since)
        since = syncing;
    return now > since ? now - since : 0;
}

/* On the thread that learns of it, so that nobody who waits for a confirm waits for one thread more to wake up.  Two
 * may come at once, and the one with less come last. */
static void keeper_tell_durable(struct keeper *k, uint64_t position, uint64_t changes)
{
    pthread_mutex_lock(&k->lock);
    if (position > k->stats.durable)
        k->stats.durable = position;
    if (changes > k->told_changes)
        k->told_changes = changes;
    k->ear.durable(k->ear.arg, k->stats.durable, k->told_changes);
    pthread_mutex_unlock(&k->lock);
}

/* ---- The sync thread. */

static void sync_do(struct keeper *k, struct errand *e)
{
    uint64_t from = clock_us();
    int error = sync_job_run(k->disk, &e->job);
    if (error != 0)
        keeper_die("the journal cannot be synced", strerrordesc_np(-error));
    e->us = clock_us() - from;
    atomic_store(&k->syncing_ms, 0);
    pthread_mutex_lock(&k->lock);
    histogram_add(&k->stats.sync_us, e->us);
    k->stats.syncing_since_ms = 0;
    pthread_mutex_unlock(&k->lock);
    keeper_tell_durable(k, e->job.position, e->job.changes);
}

static void *sync_run(void *arg)
{
    struct keeper *k = arg;
    for (bool is_stopping = false; !is_stopping;) {
        lane_wait(&k->jobs, UINT64_MAX);
        for (struct parcel *p = lane_collect(&k->jobs), *next; p != NULL; p = next) {
            next = p->next;
            if (p->kind == KEEPER_STOP) {
                is_stopping = true;
                free(p);
                continue;
            }
            sync_do(k, (struct errand *)(void *)p);
            lane_post(&k->inbox, p);
        }
    }
    return NULL;
}

/* ---- The journal thread: what comes in. */

/* Sends home what the store is done with. */
static void journal_give_back(struct keeper *k)
{
    struct sheaf sheaf;
    while (store_take_back(k->store, &sheaf))
        bundles_send_home(&k->bundles, &sheaf);
}

static void on_answer(void *arg, struct load *l)
{
    struct keeper *k = arg;
    k->ear.loaded(k->ear.arg, l);
}

static void journal_append(struct keeper *k, struct bundle *b)
{
    uint64_t waited = clock_us() - b->posted_us;
    k->unwritten += b->sheaf.bytes;
    k->has_group = k->has_new = true;
    store_append(k->store, &b->sheaf, on_answer, k);
    pthread_mutex_lock(&k->lock);
    histogram_add(&k->stats.queueing_us, waited);
    pthread_mutex_unlock(&k->lock);
    bundles_keep_shell(&k->bundles, b);
}

static void journal_warn_of_slow_sync(struct keeper *k, uint64_t ms)
{
    if (k->is_sync_slow || ms < KEEPER_SLOW_SYNC_MS)
        return;
    k->is_sync_slow = true;
    log_warning("store", "the disk is slow: a sync of the journal has taken %" PRIu64 " ms so far", ms);
    pthread_mutex_lock(&k->lock);
    k->stats.slow_syncs++;
    pthread_mutex_unlock(&k->lock);
}

/* The ear has been told. */
static void journal_on_synced(struct keeper *k)
{
    journal_warn_of_slow_sync(k, k->errand.us / 1000);
    k->is_syncing = false;
    k->has_debt = true;
    store_sync_end(k->store, &k->errand.job);
}

/* True: something came. */
static bool journal_collect(struct keeper *k)
{
    struct parcel *p = lane_collect(&k->inbox);
    bool has_come = p != NULL;
    for (struct parcel *next; p != NULL; p = next) {
        next = p->next;
        switch ((enum keeper_parcel)p->kind) {
        case KEEPER_SHEAF:
            journal_append(k, bundle_of(p));
            break;
        case KEEPER_SYNC:
            journal_on_synced(k);
            break;
        case KEEPER_STOP:
            k->is_stopping = true;
            k->stop_ms = clock_ms();
            free(p);
            break;
        }
    }
    return has_come;
}

/* ---- The journal thread: room on disk. */

/* The alarm is set at once.  It stays for a while: room that comes and goes with every file would set it off and on,
 * and every publisher is told each time. */
static void journal_tell_alarm(struct keeper *k)
{
    bool is_set = k->is_full || k->is_tight || k->space.is_low;
    uint64_t now = clock_ms();
    is_set |= k->is_alarm_set && now < k->alarm_ms + KEEPER_ALARM_MS; /* looked at again at the next tick */
    pthread_mutex_lock(&k->lock);
    k->stats.is_disk_alarm = is_set;
    k->stats.disk_available = k->space.available;
    pthread_mutex_unlock(&k->lock);
    if (is_set == k->is_alarm_set)
        return;
    k->is_alarm_set = is_set;
    k->alarm_ms = now;
    log_info("store", "Free disk space is %s. Free bytes: %" PRIu64 ". Limit: %" PRIu64,
             is_set ? "insufficient" : "sufficient", k->space.available, k->space.limit);
    k->ear.disk_alarm(k->ear.arg, is_set);
}

static void journal_take_limit(struct keeper *k)
{
    uint64_t wanted = atomic_exchange(&k->wanted_limit, UINT64_MAX);
    if (wanted == UINT64_MAX)
        return;
    k->space.limit = wanted;
    k->space.is_chosen = true;
    pthread_mutex_lock(&k->lock);
    k->stats.disk_limit = wanted;
    pthread_mutex_unlock(&k->lock);
}

static void journal_look_at_space(struct keeper *k)
{
    uint64_t available = 0, total = 0;
    journal_take_limit(k);
    if (k->disk->calls->space(k->disk, &available, &total) == 0)
        space_judge(&k->space, available);
    k->is_tight = store_stats(k->store).is_tight;
    journal_tell_alarm(k);
}

/* ---- The journal thread: what goes out. */

static void journal_ease(struct keeper *k)
{
    uint64_t before = atomic_fetch_sub(&k->pending, k->unwritten);
    uint64_t easy = k->pending_max / 2;
    bool is_eased = before > easy && before - k->unwritten <= easy;
    k->unwritten = 0;
    if (is_eased)
        keeper_tell_durable(k, store_durable(k->store), store_durable_changes(k->store));
}

static void journal_on_full(struct keeper *k)
{
    k->is_full = k->has_debt = true;
    k->retry_ms = clock_ms() + KEEPER_RETRY_MS;
    pthread_mutex_lock(&k->lock);
    k->stats.full_writes++;
    pthread_mutex_unlock(&k->lock);
    journal_look_at_space(k);
}

/* Something was written, or names have changed: a sync is due, though nobody may wait for it. */
static void journal_sync_later(struct keeper *k)
{
    if (k->lazy_ms == UINT64_MAX)
        k->lazy_ms = clock_ms() + KEEPER_LAZY_MS;
}

/* Writes what was appended. */
static void journal_write_group(struct keeper *k)
{
    if (!k->has_group || (k->is_full && !k->has_new && clock_ms() < k->retry_ms))
        return; /* what is new may overtake what is stuck */
    if (k->is_syncing && !k->is_full && store_gather(k->store))
        return; /* the next group; it is written when this sync ends */
    uint64_t from = clock_us();
    k->has_new = false;
    if (found_no_room(k, store_write(k->store), "the journal cannot be written")) {
        journal_on_full(k);
        return;
    }
    uint64_t segments = store_stats(k->store).segments;
    bool was_full = k->is_full;
    k->is_full = k->has_group = false;
    k->has_debt = true;
    k->groups_untended++;
    k->bytes_untended += k->unwritten;
    pthread_mutex_lock(&k->lock);
    histogram_add(&k->stats.write_us, clock_us() - from);
    pthread_mutex_unlock(&k->lock);
    journal_ease(k);
    journal_sync_later(k);
    if (was_full || segments != k->segments)
        journal_look_at_space(k);
    k->segments = segments;
}

static void journal_write(struct keeper *k)
{
    journal_write_group(k);
    journal_give_back(k);
}

/* Everything that was written is durable already: what this job says came of messages that were spared. */
static bool journal_is_synced(const struct sync_job *job)
{
    return job->n_files == 0 && !job->folder;
}

/* Hands over what can be synced, unless the sync thread is at work. */
static void journal_sync(struct keeper *k)
{
    if (k->is_syncing || (!store_sync_is_awaited(k->store) && !k->is_stopping && clock_ms() < k->lazy_ms))
        return;
    k->lazy_ms = UINT64_MAX;
    if (!store_sync_begin(k->store, &k->errand.job))
        return;
    if (journal_is_synced(&k->errand.job)) {
        k->has_debt = true;
        store_sync_end(k->store, &k->errand.job);
        keeper_tell_durable(k, k->errand.job.position, k->errand.job.changes);
        return;
    }
    k->is_syncing = true;
    k->is_sync_slow = false;
    k->synced_from_ms = clock_ms();
    atomic_store(&k->syncing_ms, k->synced_from_ms);
    pthread_mutex_lock(&k->lock);
    k->stats.syncing_since_ms = k->synced_from_ms;
    pthread_mutex_unlock(&k->lock);
    k->errand.parcel.kind = KEEPER_SYNC;
    lane_post(&k->jobs, &k->errand.parcel);
}

static uint64_t journal_files(const struct keeper *k)
{
    struct store_stats s = store_stats(k->store);
    return s.segments + s.packs;
}

/* Does a slice of what has no hurry: when there is nothing else to do, or it has waited for long enough. */
static void journal_tend(struct keeper *k, bool is_idle)
{
    bool more = false;
    bool is_time = k->groups_untended >= KEEPER_TEND_GROUPS || k->bytes_untended >= KEEPER_TEND_BUSY_BYTES;
    if (!k->has_debt || (k->is_stopping && !k->is_full) || (!is_idle && !is_time))
        return;
    uint64_t files = journal_files(k);
    uint64_t budget = is_idle ? KEEPER_TEND_BYTES : KEEPER_TEND_BUSY_BYTES;
    if (budget < 2 * k->bytes_untended)
        budget = 2 * k->bytes_untended; /* the debt is paid faster than it grows */
    k->groups_untended = 0;
    k->bytes_untended = 0;
    bool has_no_room = found_no_room(k, store_tend(k->store, budget, &more), "the store cannot be written");
    k->has_debt = more && !has_no_room; /* or at the next tick */
    journal_sync_later(k);
    if (k->is_full && journal_files(k) < files)
        k->retry_ms = 0; /* there may be room now */
    if (store_stats(k->store).is_tight != k->is_tight)
        journal_look_at_space(k);
}

/* Rereads a slice of what is sealed, when there is nothing else to do. */
static void journal_scrub(struct keeper *k, bool is_idle)
{
    if (!is_idle || k->has_debt || k->is_stopping || k->scrub_left == 0)
        return;
    uint64_t slice = k->scrub_left < KEEPER_SCRUB_SLICE ? k->scrub_left : KEEPER_SCRUB_SLICE;
    k->scrub_left -= slice;
    if (store_scrub(k->store, slice))
        return;
    k->scrub_ms = clock_ms() + KEEPER_SCRUB_PAUSE_MS;
    k->scrub_left = 0;
}

/* How much may be reread until the next tick. */
static void journal_allow_scrub(struct keeper *k, uint64_t now, uint64_t groups)
{
    bool is_busy = groups != k->groups_seen;
    k->groups_seen = groups;
    k->scrub_left = now < k->scrub_ms ? 0 : is_busy ? KEEPER_SCRUB_BUSY_BYTES : KEEPER_SCRUB_BYTES;
}

static void journal_tick(struct keeper *k)
{
    uint64_t now = clock_ms();
    if (now < k->tick_ms)
        return;
    k->tick_ms = now + KEEPER_TICK_MS;
    k->has_debt = true;
    bundles_drop_used(&k->bundles);
    if (k->on_tick != NULL)
        k->on_tick(k->tick_arg, false);
    if (k->is_syncing)
        journal_warn_of_slow_sync(k, now - k->synced_from_ms);
    journal_look_at_space(k);
    struct store_stats stats = store_stats(k->store);
    journal_allow_scrub(k, now, stats.groups);
    pthread_mutex_lock(&k->lock);
    k->stats.store = stats;
    pthread_mutex_unlock(&k->lock);
}

/* ---- The journal thread: its life. */

static uint64_t journal_patience(const struct keeper *k)
{
    uint64_t now = clock_ms(), until = k->tick_ms;
    if (k->is_full && k->retry_ms < until)
        until = k->retry_ms;
    if (k->has_debt || (k->scrub_left > 0 && !k->is_stopping))
        return 0;
    if (!k->is_syncing && k->lazy_ms < until)
        until = k->lazy_ms;
    return until > now ? until - now : 0;
}

/* Told to stop, and nothing is left that could be made durable. */
static void journal_finish(struct keeper *k)
{
    if (!k->is_stopping || k->is_syncing)
        return;
    bool is_late = clock_ms() >= k->stop_ms + k->drain_ms;
    if (k->has_group && !is_late)
        return; /* the file system is full */
    if (k->on_tick != NULL)
        k->on_tick(k->tick_arg, true);
    bool has_no_room = found_no_room(k, store_close(k->store), "the store cannot be closed");
    k->is_stopped = !has_no_room || is_late;
    k->is_clean = !has_no_room && !k->has_group;
}

static void *journal_run(void *arg)
{
    struct keeper *k = arg;
    while (!k->is_stopped) {
        lane_wait(&k->inbox, journal_patience(k));
        bool has_come = journal_collect(k);
        atomic_store(&k->seen_ms, clock_ms());
        journal_write(k);
        journal_sync(k);
        journal_tend(k, !has_come);
        journal_scrub(k, !has_come);
        journal_tick(k);
        journal_finish(k);
    }
    return NULL;
}

void keeper_start(struct keeper *k, const struct keeper_ear *ear)
{
    sigset_t all, before; /* signals are the main thread's */
    k->ear = *ear;
    k->is_started = true;
    found_no_room(k, store_begin(k->store), "the journal cannot be written");
    log_info("store", "Disk free limit set to %" PRIu64 "MB", k->space.limit / 1000000);
    journal_look_at_space(k); /* before anybody is served */
    atomic_store(&k->seen_ms, clock_ms());
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&k->journal, NULL, journal_run, k) == 0);
    CHECK(pthread_create(&k->syncer, NULL, sync_run, k) == 0);
    pthread_setname_np(k->journal, "journal");
    pthread_setname_np(k->syncer, "sync");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void keeper_post_stop(struct lane *to)
{
    struct parcel *stop = alloc_zeroed(sizeof *stop);
    stop->kind = KEEPER_STOP;
    lane_post(to, stop);
}

bool keeper_stop(struct keeper *k)
{
    if (!k->is_started)
        return true;
    k->is_started = false;
    keeper_post_stop(&k->inbox);
    pthread_join(k->journal, NULL);
    keeper_post_stop(&k->jobs);
    pthread_join(k->syncer, NULL);
    if (!k->is_clean)
        log_error("store",
                  "the file system is full: what was last handed over could not be kept, and was not confirmed");
    return k->is_clean;
}
