#define _GNU_SOURCE
#include "broker/store/backup_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/store/backup.h"
#include "broker/store/store.h"

enum desk_state {
    DESK_IDLE,
    DESK_WAITING, /* for the mark */
    DESK_COPYING,
};

struct backup_desk {
    /* The journal thread's. */
    char *data_dir;      /* owned */
    struct disk *disk;   /* borrowed */
    struct store *store; /* borrowed */
    enum desk_state state;
    pthread_t thread;
    struct backup_target target;
    char *path; /* owned: as it was asked for */
    bool has_ended;

    /* The copying thread's, until it is over. */
    const struct backup *backup;
    struct backup_result result;
    char *text; /* owned: why it failed */
    bool is_fine;

    atomic_bool is_over, stop;
};

struct backup_desk *backup_desk_create(const char *data_dir, struct disk *disk, struct store *s)
{
    struct backup_desk *d = alloc_zeroed(sizeof *d);
    d->data_dir = str_format("%s", data_dir);
    d->disk = disk;
    d->store = s;
    atomic_init(&d->is_over, false);
    atomic_init(&d->stop, false);
    return d;
}

/* ---- Asked and answered. */

/* The path that is asked for; NULL: none is. */
static char *take_request(const struct backup_desk *d)
{
    char line[PATH_MAX + 1] = "", *name = str_format("%s/backup.request", d->data_dir), *path = NULL;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (n >= 0) {
        line[strcspn(line, "\n")] = '\0';
        path = str_format("%s", line);
        unlink(name);
    }
    if (fd >= 0)
        close(fd);
    free(name);
    return path;
}

static void answer(const struct backup_desk *d, const char *kind, const char *text)
{
    enum { PRIVATE = 0600 };
    char *name = str_format("%s/backup.%s", d->data_dir, kind), *draft = str_format("%s.new", name);
    char *all = str_format("%s\n%s\n", d->path, text);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, PRIVATE);
    bool is_written = fd >= 0 && write(fd, all, strlen(all)) == (ssize_t)strlen(all);
    if (fd >= 0)
        close(fd);
    if (!is_written || rename(draft, name) != 0)
        log_warning("store", "cannot write %s: %s", name, strerrordesc_np(errno));
    free(all);
    free(draft);
    free(name);
}

/* ---- What is done with it. */

static void desk_end(struct backup_desk *d)
{
    store_backup_end(d->store);
    free(d->path);
    free(d->text);
    d->path = d->text = NULL;
    d->backup = NULL;
    d->state = DESK_IDLE;
}

static void desk_fail(struct backup_desk *d, const char *why)
{
    log_warning("store", "no backup in %s: %s", d->path, why);
    answer(d, "failed", why);
    backup_target_drop(&d->target);
    desk_end(d);
}

static void desk_begin(struct backup_desk *d)
{
    d->path = take_request(d);
    if (d->path == NULL)
        return;
    int error = d->path[0] != '/' ? -EINVAL : backup_target_make(&d->target, d->path);
    if (error != 0) {
        desk_fail(d, strerrordesc_np(-error));
        return;
    }
    log_info("store", "backup to %s begins", d->path);
    store_backup_begin(d->store);
    d->state = DESK_WAITING;
}

static void *copy_run(void *arg)
{
    struct backup_desk *d = arg;
    d->is_fine = backup_copy(d->backup, d->disk, d->target.disk, &d->stop, &d->result, &d->text);
    atomic_store(&d->is_over, true);
    return NULL;
}

static void desk_copy(struct backup_desk *d)
{
    d->backup = store_backup_ready(d->store);
    if (d->backup == NULL)
        return;
    atomic_store(&d->is_over, false);
    CHECK(pthread_create(&d->thread, NULL, copy_run, d) == 0);
    pthread_setname_np(d->thread, "backup");
    d->state = DESK_COPYING;
}

static void desk_finish(struct backup_desk *d)
{
    pthread_join(d->thread, NULL);
    if (!d->is_fine) {
        desk_fail(d, d->text);
        return;
    }
    int error = backup_target_keep(&d->target);
    if (error != 0) {
        desk_fail(d, strerrordesc_np(-error));
        return;
    }
    char *text = str_format("%" PRIu64 " messages in %" PRIu64 " files, %" PRIu64 " bytes; %" PRIu64
                            " that were damaged in the original",
                            d->result.messages, d->result.files, d->result.bytes, d->result.lost);
    log_info("store", "backup to %s is complete: %s", d->path, text);
    answer(d, "done", text);
    free(text);
    desk_end(d);
}

void backup_desk_tend(struct backup_desk *d)
{
    if (d->has_ended)
        return;
    if (d->state == DESK_IDLE)
        desk_begin(d);
    /* Files that a backup holds back may be the room that is missing. */
    if (d->state != DESK_IDLE && store_stats(d->store).is_tight)
        atomic_store(&d->stop, true);
    if (d->state == DESK_WAITING && atomic_load(&d->stop))
        desk_fail(d, "the disk is full");
    if (d->state == DESK_WAITING)
        desk_copy(d);
    if (d->state == DESK_COPYING && atomic_load(&d->is_over))
        desk_finish(d);
    if (d->state == DESK_IDLE)
        atomic_store(&d->stop, false);
}

void backup_desk_end(struct backup_desk *d)
{
    d->has_ended = true;
    atomic_store(&d->stop, true);
    if (d->state == DESK_COPYING)
        desk_finish(d);
    else if (d->state == DESK_WAITING)
        desk_fail(d, "the broker stops");
}

void backup_desk_destroy(struct backup_desk *d)
{
    if (d == NULL)
        return;
    free(d->data_dir);
    free(d);
}
