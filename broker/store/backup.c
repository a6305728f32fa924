#define _GNU_SOURCE
#include "broker/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "broker/store/state.h"

/* ---- The plan. */

void backup_add(struct backup *b, const char *from, const char *to, uint64_t size)
{
    if (b->n == b->room) {
        b->room = alloc_grown(b->room, b->n + 1);
        b->files = alloc_array(b->files, b->room, sizeof *b->files);
    }
    struct backup_file *f = &b->files[b->n++];
    snprintf(f->from, sizeof f->from, "%s", from);
    snprintf(f->to, sizeof f->to, "%s", to);
    f->size = size;
    b->bytes += size;
}

void backup_fini(struct backup *b)
{
    free(b->files);
    *b = (struct backup){0};
}

static void add_numbered(struct backup *b, const char *kind, uint64_t number, uint64_t size)
{
    char name[NAME_MAX_BYTES];
    file_name(name, kind, number);
    backup_add(b, name, name, size);
}

void backup_plan(struct store *s)
{
    struct backup *b = &s->backup;
    struct pack *p;
    char a[NAME_MAX_BYTES], twin[NAME_MAX_BYTES];
    backup_fini(b);
    *b = (struct backup){.position = s->position, .checkpoint = s->next.number, .random = s->config.random};
    for (size_t i = 0; i < s->image.n_segments; i++) {
        const struct segment *g = s->image.segments[i];
        if (g != NULL && g->file >= 0)
            add_numbered(b, "journal", g->number, g->used);
    }
    list_each (p, &s->image.packs, struct pack, in_order)
        if (!list_is_empty(&p->chunks))
            add_numbered(b, "pack", p->number, p->used);
    file_name(a, "checkpoint-a", s->next.number);
    file_name(twin, "checkpoint-b", s->next.number); /* which the original may have had no room for */
    backup_add(b, a, a, s->next.len);
    backup_add(b, a, twin, s->next.len);
}

void store_backup_begin(struct store *s)
{
    s->is_backing_up = true;
    backup_fini(&s->backup);
}

const struct backup *store_backup_ready(const struct store *s)
{
    return s->is_backing_up && s->backup.checkpoint != 0 && s->checkpoint >= s->backup.checkpoint ? &s->backup : NULL;
}

void store_backup_end(struct store *s)
{
    s->is_backing_up = false;
    backup_fini(&s->backup);
}

/* ---- Copying. */

struct copying {
    const struct backup *backup;
    struct disk *from, *to;
    const atomic_bool *stop;
    struct backup_result *result;
    char **text;
    uint8_t *block; /* owned */
};

static bool fail(struct copying *c, const char *what, const char *name, int error)
{
    if (*c->text == NULL)
        *c->text = str_format("%s %s: %s", what, name, error == 0 ? "it is too short" : strerrordesc_np(-error));
    return false;
}

static bool is_stopped(struct copying *c)
{
    if (c->stop == NULL || !atomic_load(c->stop))
        return false;
    if (*c->text == NULL)
        *c->text = str_format("it was given up: the broker stops, or its disk is full");
    return true;
}

static int write_block(struct disk *to, int file, const uint8_t *at, size_t n, uint64_t offset)
{
    while (n > 0) {
        ssize_t put = to->calls->write(to, file, at, n, offset);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        at += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

/* Leaves the disk to others for a while. */
static void rest(const struct copying *c, uint64_t since_us)
{
    enum { US_PER_MS = 1000, NS_PER_US = 1000, REST_US = BACKUP_REST_MS * US_PER_MS };
    uint64_t us = clock_us() - since_us;
    if (c->stop == NULL)
        return;
    if (us > REST_US)
        us = REST_US;
    const struct timespec pause = {.tv_nsec = (long)(us * NS_PER_US)};
    nanosleep(&pause, NULL);
}

/* Copies what is open; with to < 0 it only sums up what is there. */
static bool copy_bytes(struct copying *c, const struct backup_file *f, struct disk *d, int from, int to, uint32_t *sum)
{
    uint64_t unsynced = 0, since_us = clock_us();
    *sum = 0;
    for (uint64_t at = 0; at < f->size;) {
        size_t want = f->size - at < BACKUP_BLOCK_BYTES ? (size_t)(f->size - at) : BACKUP_BLOCK_BYTES;
        if (is_stopped(c))
            return false;
        ssize_t got = d->calls->read(d, from, c->block, want, at);
        if (got <= 0)
            return fail(c, "cannot read", f->from, (int)got);
        *sum = crc32c(*sum, c->block, (size_t)got);
        int error = to < 0 ? 0 : write_block(c->to, to, c->block, (size_t)got, at);
        unsynced += (uint64_t)got;
        if (error == 0 && to >= 0 && (unsynced >= BACKUP_SYNC_BYTES || at + (uint64_t)got == f->size)) {
            error = c->to->calls->sync(c->to, to);
            unsynced = 0;
            rest(c, since_us);
            since_us = clock_us();
        }
        if (error < 0)
            return fail(c, "cannot write", f->to, error);
        at += (uint64_t)got;
    }
    return true;
}

static bool copy_file(struct copying *c, const struct backup_file *f, uint32_t *sum)
{
    int from = c->from->calls->open(c->from, f->from, DISK_READ);
    if (from < 0)
        return fail(c, "cannot open", f->from, from);
    int to = c->to->calls->open(c->to, f->to, DISK_CREATE);
    bool is_fine = to >= 0 ? copy_bytes(c, f, c->from, from, to, sum) : fail(c, "cannot create", f->to, to);
    c->from->calls->close(c->from, from);
    if (to >= 0)
        c->to->calls->close(c->to, to);
    return is_fine;
}

static bool check_file(struct copying *c, const struct backup_file *f, uint32_t sum)
{
    uint32_t there;
    int file = c->to->calls->open(c->to, f->to, DISK_READ);
    if (file < 0)
        return fail(c, "cannot open the copy of", f->to, file);
    bool is_fine = copy_bytes(c, f, c->to, file, -1, &there);
    c->to->calls->close(c->to, file);
    if (is_fine && there != sum)
        return fail(c, "the copy is not like the original:", f->to, -EIO);
    return is_fine;
}

/* ---- Does it open? */

static void on_lost(void *arg, const struct store_loss *loss)
{
    struct copying *c = arg;
    c->result->lost += loss->messages > 0 ? loss->messages : 1;
}

struct opened {
    struct copying *copying;
    struct store *store;
};

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    (void)arg, (void)what, (void)queue, (void)key, (void)value;
}

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    enum { PAGE_MESSAGES = 1000, PAGE_BYTES = 4 << 20 };
    struct opened *o = arg;
    (void)messages, (void)bytes, (void)next_position;
    for (uint64_t from = 0;;) {
        struct load *l = store_load(o->store, queue, from, PAGE_MESSAGES, PAGE_BYTES);
        bool is_over = l->is_end || l->next == from || is_stopped(o->copying);
        o->copying->result->messages += l->n;
        from = l->next;
        load_destroy(l);
        if (is_over)
            return;
    }
}

static bool check_store(struct copying *c)
{
    struct disk *d = disk_readonly_create(c->to);
    const struct store_witness witness = {.arg = c, .lost = on_lost};
    const struct store_config config = {.disk = d, .random = c->backup->random};
    struct opened o = {.copying = c};
    const struct store_reader reader = {.arg = &o, .definition = on_definition, .queue = on_queue};
    bool is_fine = store_open(&config, &witness, &o.store, c->text) == STORE_FINE;
    if (is_fine)
        store_read(o.store, &reader);
    else
        fail(c, "cannot open", "the copy", -EIO);
    store_destroy(o.store);
    disk_readonly_destroy(d);
    return is_fine && !is_stopped(c);
}

bool backup_copy(const struct backup *b, struct disk *from, struct disk *to, const atomic_bool *stop,
                 struct backup_result *result, char **text)
{
    struct copying c = {.backup = b, .from = from, .to = to, .stop = stop, .result = result, .text = text};
    uint32_t *sums = alloc_array(NULL, b->n + 1, sizeof *sums);
    bool is_fine = true;
    c.block = alloc(BACKUP_BLOCK_BYTES);
    *text = NULL;
    *result = (struct backup_result){.files = b->n, .bytes = b->bytes};
    for (size_t i = 0; is_fine && i < b->n; i++)
        is_fine = copy_file(&c, &b->files[i], &sums[i]);
    int error = is_fine ? to->calls->sync_folder(to, ".") : 0;
    if (error < 0)
        is_fine = fail(&c, "cannot sync", "the folder", error);
    for (size_t i = 0; is_fine && i < b->n; i++)
        is_fine = check_file(&c, &b->files[i], sums[i]);
    if (is_fine)
        is_fine = check_store(&c);
    free(c.block);
    free(sums);
    return is_fine;
}

/* ---- The folder. */

static void target_free(struct backup_target *t)
{
    disk_real_destroy(t->disk);
    free(t->path);
    free(t->partial);
    free(t->store);
    *t = (struct backup_target){0};
}

static int make_private(const char *path)
{
    enum { PRIVATE = 0700 };
    return mkdir(path, PRIVATE) == 0 ? 0 : -errno;
}

static void drop_own(void *arg, const char *name, uint64_t size)
{
    static const char *const kinds[] = {"journal-", "pack-", "checkpoint-", "spare-"};
    struct disk *d = arg;
    (void)size;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            d->calls->unlink(d, name);
}

/* What a backup left that was cut off goes; if there is anything else in it, it stays. */
static void drop_leftovers(const struct backup_target *t)
{
    int why;
    struct disk *d = disk_real_create(t->store, &why);
    if (d != NULL)
        d->calls->list(d, ".", drop_own, d);
    disk_real_destroy(d);
    rmdir(t->store);
    rmdir(t->partial);
}

int backup_target_make(struct backup_target *t, const char *path)
{
    struct stat st;
    int error = lstat(path, &st) == 0 ? -EEXIST : 0;
    *t = (struct backup_target){.path = str_format("%s", path), .partial = str_format("%s.partial", path)};
    t->store = str_format("%s/store", t->partial);
    if (error == 0) {
        drop_leftovers(t);
        error = make_private(t->partial);
    }
    if (error == 0) {
        int why = 0;
        error = make_private(t->store);
        t->disk = error == 0 ? disk_real_create(t->store, &why) : NULL;
        if (why != 0)
            error = -why;
        if (error != 0) {
            rmdir(t->store);
            rmdir(t->partial);
        }
    }
    if (error != 0)
        target_free(t);
    return error;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return error;
}

int backup_target_keep(struct backup_target *t)
{
    char *parent = str_format("%s", t->path);
    char *slash = strrchr(parent, '/');
    int error = sync_path(t->partial);
    if (slash != NULL)
        slash[slash == parent] = '\0';
    if (error == 0 && renameat2(AT_FDCWD, t->partial, AT_FDCWD, t->path, RENAME_NOREPLACE) != 0)
        error = -errno;
    if (error == 0)
        error = sync_path(slash != NULL ? parent : ".");
    free(parent);
    if (error != 0)
        backup_target_drop(t);
    else
        target_free(t);
    return error;
}

static void drop_file(void *arg, const char *name, uint64_t size)
{
    struct disk *d = arg;
    (void)size;
    d->calls->unlink(d, name);
}

void backup_target_drop(struct backup_target *t)
{
    if (t->disk == NULL)
        return;
    t->disk->calls->list(t->disk, ".", drop_file, t->disk);
    rmdir(t->store);
    rmdir(t->partial);
    target_free(t);
}
