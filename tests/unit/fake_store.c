#define _GNU_SOURCE
#include "tests/unit/fake_store.h"

#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "broker/port/load.h"
#include "broker/port/record.h"

enum { PATIENCE_S = 20 };

struct fake_store fake_store = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void fake_store_lock(void)
{
    pthread_mutex_lock(&fake_store.lock);
}

void fake_store_unlock(void)
{
    pthread_cond_broadcast(&fake_store.changed);
    pthread_mutex_unlock(&fake_store.lock);
}

void fake_store_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    CHECK(pthread_cond_timedwait(&fake_store.changed, &fake_store.lock, &until) == 0);
}

static int fake_space(struct disk *d, uint64_t *available, uint64_t *total)
{
    (void)d;
    fake_store_lock();
    *available = fake_store.available;
    *total = fake_store.total;
    fake_store_unlock();
    return 0;
}

static const struct disk_calls fake_calls = {.space = fake_space};

/* What callers hold; it is nothing. */
struct store {
    int unused;
};
static struct store handle;

struct store *fake_store_reset(void)
{
    fake_store = (struct fake_store){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .disk.calls = &fake_calls,
        .available = (uint64_t)100 << 30,
        .total = (uint64_t)100 << 30,
        .segments = 1,
    };
    return &handle;
}

void store_destroy(struct store *s)
{
    (void)s;
    fake_store_lock();
    fake_store.is_destroyed = true;
    fake_store_unlock();
}

void store_append(struct store *s, struct sheaf *records, store_answer_fn *answer, void *arg)
{
    (void)s;
    for (size_t i = 0; i < records->n; i++) {
        const struct record *r = &records->records[i];
        if (r->kind != RECORD_LOAD)
            continue;
        struct load *l = load_create(0);
        l->queue = r->at.queue;
        answer(arg, l);
    }
    fake_store_lock();
    CHECK(records->last == fake_store.appended + records->n);
    fake_store.appended = records->last;
    fake_store_unlock();
    sheaf_clear(records);
}

enum store_verdict store_write(struct store *s)
{
    (void)s;
    fake_store_lock();
    enum store_verdict verdict = fake_store.write_verdict;
    fake_store.writes++;
    if (verdict == STORE_FINE) {
        fake_store.written = fake_store.appended;
        fake_store.writes_while_syncing += fake_store.is_syncing;
    }
    if (verdict == STORE_FINE || fake_store.is_overtaken)
        fake_store.changes_written = fake_store.appended;
    fake_store_unlock();
    return verdict;
}

bool store_sync_begin(struct store *s, struct sync_job *job)
{
    (void)s;
    fake_store_lock();
    bool has_work = fake_store.written > fake_store.synced || fake_store.changes_written > fake_store.changes_synced;
    job->position = fake_store.written;
    job->changes = fake_store.changes_written;
    job->n_files = !fake_store.is_spared;
    job->folder = false;
    fake_store_unlock();
    return has_work;
}

int sync_job_run(struct disk *d, const struct sync_job *job)
{
    (void)d;
    (void)job;
    fake_store_lock();
    fake_store.is_syncing = true;
    pthread_cond_broadcast(&fake_store.changed);
    while (fake_store.holds_sync)
        fake_store_wait();
    fake_store.is_syncing = false;
    int error = fake_store.sync_error;
    fake_store_unlock();
    return error;
}

void store_sync_end(struct store *s, const struct sync_job *job)
{
    (void)s;
    fake_store_lock();
    CHECK(job->position > fake_store.synced || job->changes > fake_store.changes_synced);
    fake_store.synced = job->position;
    fake_store.changes_synced = job->changes;
    fake_store_unlock();
}

uint64_t store_durable(const struct store *s)
{
    (void)s;
    fake_store_lock();
    uint64_t durable = fake_store.synced;
    fake_store_unlock();
    return durable;
}

uint64_t store_durable_changes(const struct store *s)
{
    (void)s;
    fake_store_lock();
    uint64_t changes = fake_store.changes_synced;
    fake_store_unlock();
    return changes;
}

const char *store_trouble(const struct store *s)
{
    (void)s;
    return "so it was told";
}

uint64_t store_segment_bytes(const struct store *s)
{
    (void)s;
    return STORE_SEGMENT_BYTES;
}

bool store_sync_is_awaited(const struct store *s)
{
    (void)s;
    return true;
}

bool store_take_back(struct store *s, struct sheaf *to)
{
    (void)s;
    (void)to;
    return false;
}

bool store_gather(struct store *s)
{
    (void)s;
    return false;
}

enum store_verdict store_begin(struct store *s)
{
    (void)s;
    return STORE_FINE;
}

bool store_scrub(struct store *s, uint64_t budget)
{
    (void)s;
    (void)budget;
    return false;
}

enum store_verdict store_tend(struct store *s, uint64_t budget, bool *more)
{
    (void)s;
    (void)budget;
    *more = false;
    fake_store_lock();
    fake_store.tends++;
    enum store_verdict verdict = fake_store.tend_verdict;
    fake_store_unlock();
    return verdict;
}

enum store_verdict store_close(struct store *s)
{
    (void)s;
    fake_store_lock();
    fake_store.closes++;
    if (fake_store.close_verdict == STORE_FINE)
        fake_store.synced = fake_store.changes_synced = fake_store.written;
    enum store_verdict verdict = fake_store.close_verdict;
    fake_store_unlock();
    return verdict;
}

struct store_stats store_stats(const struct store *s)
{
    (void)s;
    fake_store_lock();
    struct store_stats stats = {.segments = fake_store.segments, .is_tight = fake_store.is_tight};
    fake_store_unlock();
    return stats;
}
