#include "tests/sim/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "tests/sim/verdict.h"

enum {
    PAGE = 4096,
    SECTOR = 512,
    NAME = 64,
    NODES = 256,
    NAMES = 1024,
    HANDLES = 8192,
    SHORT_WRITE_IN = 12,
    NO_DIRECT_IN = 8,
    REFUSED_DIRECT_IN = 256,
    NEARLY_FULL = 64 << 10
};

struct node {
    char name[NAME], safe_name[NAME]; /* empty: none */
    uint8_t *now, *safe;              /* owned; room bytes each */
    size_t size, safe_size, room;
    uint8_t *dirty; /* owned: a byte a page */
    unsigned opens;
    bool is_size_dirty;
};

/* A file came to have this name, or none; not synced yet. */
struct name_change {
    struct node *node;
    char to[NAME];
};

struct sim_disk {
    struct disk disk; /* first */
    struct rng *rng;  /* borrowed */
    struct node *nodes[NODES];
    size_t n_nodes;
    struct name_change changes[NAMES];
    size_t n_changes;
    struct node *handles[HANDLES];
    bool may_write[HANDLES], is_direct[HANDLES];
    int first_handle; /* handles[i] is first_handle + i: a closed one never comes back */
    size_t n_handles;
    uint64_t cut_in, fail_in, limit, trace;
    enum disk_fault fault;
    enum direct direct;
    int error;
    bool is_off, has_failed;
    struct node *last;
    uint64_t last_at, last_len; /* of the last write */
    void (*between)(void *arg);
    void *between_arg;
    bool is_between;
};

static struct sim_disk *self(struct disk *d)
{
    return (struct sim_disk *)(void *)d;
}

static void mix(struct sim_disk *d, uint64_t what)
{
    d->trace = hash_mix(d->trace, what);
}

/* ---- Files. */

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE;
}

static struct node *node_find(const struct sim_disk *d, const char *name)
{
    for (size_t i = 0; i < d->n_nodes; i++)
        if (strcmp(d->nodes[i]->name, name) == 0)
            return d->nodes[i];
    return NULL;
}

static bool node_is_wanted(const struct sim_disk *d, const struct node *n)
{
    if (n->name[0] != '\0' || n->safe_name[0] != '\0' || n->opens > 0)
        return true;
    for (size_t i = 0; i < d->n_changes; i++)
        if (d->changes[i].node == n)
            return true;
    return false;
}

static void node_free(struct node *n)
{
    free(n->now);
    free(n->safe);
    free(n->dirty);
    free(n);
}

static void forget_unwanted(struct sim_disk *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_nodes; i++) {
        struct node *n = d->nodes[i];
        if (node_is_wanted(d, n)) {
            d->nodes[kept++] = n;
            continue;
        }
        if (d->last == n)
            d->last = NULL;
        node_free(n);
    }
    d->n_nodes = kept;
}

static void node_reserve(struct node *n, size_t size)
{
    if (size <= n->room)
        return;
    size_t room = pages(size < n->room * 2 ? n->room * 2 : size) * PAGE;
    n->now = alloc_array(n->now, room, 1);
    n->safe = alloc_array(n->safe, room, 1);
    n->dirty = alloc_array(n->dirty, room / PAGE, 1);
    memset(n->now + n->room, 0, room - n->room);
    memset(n->safe + n->room, 0, room - n->room);
    memset(n->dirty + n->room / PAGE, 0, (room - n->room) / PAGE);
    n->room = room;
}

static void node_dirty(struct node *n, size_t at, size_t len)
{
    if (len > 0)
        memset(n->dirty + at / PAGE, 1, (at + len - 1) / PAGE - at / PAGE + 1);
}

static void keep_page(struct node *n, size_t page)
{
    memcpy(n->safe + page * PAGE, n->now + page * PAGE, PAGE);
    n->dirty[page] = 0;
}

static void node_sync(struct node *n)
{
    for (size_t i = 0; i < pages(n->room); i++)
        if (n->dirty[i])
            keep_page(n, i);
    n->safe_size = n->size;
    n->is_size_dirty = false;
}

static uint64_t charge(size_t size)
{
    return pages(size) * PAGE;
}

/* Files that still take room: those with a name and those that are open. */
uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    for (size_t i = 0; i < d->n_nodes; i++)
        if (d->nodes[i]->name[0] != '\0' || d->nodes[i]->opens > 0)
            used += charge(d->nodes[i]->size);
    return used;
}

/* ---- Faults. */

/* What every call begins with: 0, or what it has to answer. */
static int begin(struct sim_disk *d, enum disk_fault what)
{
    if (d->between != NULL && !d->is_between) {
        d->is_between = true;
        d->between(d->between_arg);
        d->is_between = false;
    }
    if (d->is_off)
        return -EIO;
    if (d->cut_in > 0 && --d->cut_in == 0) {
        d->is_off = true;
        return 0; /* this one may still leave something */
    }
    if (d->fail_in > 0 && (d->fault == FAULT_ANY || d->fault == what) && --d->fail_in == 0) {
        d->has_failed = true;
        return d->error;
    }
    return 0;
}

static struct node *of_handle(struct sim_disk *d, int file)
{
    int i = file - d->first_handle;
    return i >= 0 && (size_t)i < d->n_handles ? d->handles[i] : NULL;
}

static int new_handle(struct sim_disk *d, struct node *n, bool may_write)
{
    if (d->n_handles == HANDLES) {
        size_t gone = 0;
        while (gone < HANDLES && d->handles[gone] == NULL)
            gone++;
        CHECK(gone > 0);
        memmove((void *)d->handles, (void *)(d->handles + gone), (HANDLES - gone) * sizeof d->handles[0]);
        memmove(d->may_write, d->may_write + gone, HANDLES - gone);
        memmove(d->is_direct, d->is_direct + gone, HANDLES - gone);
        d->n_handles -= gone;
        d->first_handle += (int)gone;
    }
    d->handles[d->n_handles] = n;
    d->may_write[d->n_handles] = may_write;
    d->is_direct[d->n_handles] = false;
    n->opens++;
    return d->first_handle + (int)d->n_handles++;
}

static void name_change(struct sim_disk *d, struct node *n, const char *to)
{
    CHECK(d->n_changes < NAMES);
    verdict_note("disk: %s %s%s", n->name, to[0] != '\0' ? "becomes " : "goes", to);
    struct name_change *c = &d->changes[d->n_changes++];
    c->node = n;
    snprintf(c->to, sizeof c->to, "%s", to);
    memcpy(n->name, c->to, sizeof n->name);
    mix(d, hash_bytes(bytes_of_string(to), 3));
}

/* ---- The table. */

static bool refuses_direct(struct sim_disk *d, uint32_t odds, enum direct always)
{
    return d->direct == DIRECT_AT_RANDOM ? rng_one_in(d->rng, odds) : d->direct == always;
}

static int on_open(struct disk *disk, const char *path, enum disk_open how)
{
    struct sim_disk *d = self(disk);
    int error = begin(d, how == DISK_CREATE ? FAULT_NAME : FAULT_ANY);
    struct node *n = node_find(d, path);
    if (error < 0 || d->is_off)
        return error < 0 ? error : -EIO;
    if (how == DISK_DIRECT && n != NULL && refuses_direct(d, NO_DIRECT_IN, DIRECT_NEVER))
        return -EINVAL;
    if (how != DISK_CREATE) {
        int file = n == NULL ? -ENOENT : new_handle(d, n, how != DISK_READ);
        if (file >= 0)
            d->is_direct[file - d->first_handle] = how == DISK_DIRECT;
        return file;
    }
    if (n != NULL)
        return -EEXIST;
    if (d->limit > 0 && sim_disk_used(d) >= d->limit)
        return -ENOSPC;
    CHECK(d->n_nodes < NODES);
    n = d->nodes[d->n_nodes++] = alloc_zeroed(sizeof *n);
    name_change(d, n, path);
    return new_handle(d, n, true);
}

static int on_close(struct disk *disk, int file)
{
    struct sim_disk *d = self(disk);
    struct node *n = of_handle(d, file);
    CHECK(n != NULL);
    d->handles[file - d->first_handle] = NULL;
    n->opens--;
    forget_unwanted(d);
    return 0;
}

static ssize_t on_read(struct disk *disk, int file, void *to, size_t n, uint64_t offset)
{
    struct sim_disk *d = self(disk);
    const struct node *f = of_handle(d, file);
    CHECK(f != NULL);
    if (d->is_off)
        return -EIO;
    if (offset >= f->size)
        return 0;
    if (n > f->size - offset)
        n = (size_t)(f->size - offset);
    memcpy(to, f->now + offset, n);
    return (ssize_t)n;
}

static ssize_t on_write(struct disk *disk, int file, const void *from, size_t n, uint64_t offset)
{
    struct sim_disk *d = self(disk);
    struct node *f = of_handle(d, file);
    int error = begin(d, FAULT_WRITE);
    CHECK(f != NULL && d->may_write[file - d->first_handle]);
    if (error < 0)
        return error;
    bool is_direct = d->is_direct[file - d->first_handle];
    CHECK(!is_direct || (n % DISK_BLOCK == 0 && offset % DISK_BLOCK == 0 && (uintptr_t)from % DISK_BLOCK == 0));
    if (is_direct && refuses_direct(d, REFUSED_DIRECT_IN, DIRECT_AT_FIRST))
        return -EINVAL; /* some file systems take their time to say so */
    if (n > 1 && rng_one_in(d->rng, SHORT_WRITE_IN))
        n = is_direct ? DISK_BLOCK * (1 + rng_below(d->rng, (uint32_t)n / DISK_BLOCK))
                      : 1 + rng_below(d->rng, (uint32_t)n);
    if (d->limit > 0 && sim_disk_used(d) + NEARLY_FULL > d->limit && rng_one_in(d->rng, 8))
        return -ENOSPC; /* where what is overwritten goes to another place */
    if (d->limit > 0 && charge(offset + n) > charge(f->size)) {
        uint64_t used = sim_disk_used(d), left = used < d->limit ? d->limit - used : 0;
        uint64_t end = charge(f->size) + left / PAGE * PAGE;
        if (offset >= end)
            return -ENOSPC;
        if (n > end - offset)
            n = (size_t)(end - offset);
    }
    node_reserve(f, offset + n);
    memcpy(f->now + offset, from, n);
    node_dirty(f, offset, n);
    if (offset + n > f->size) {
        f->size = offset + n;
        f->is_size_dirty = true;
    }
    d->last = f;
    d->last_at = offset;
    d->last_len = n;
    mix(d, hash_bytes(bytes_of(from, n), offset));
    return d->is_off ? -EIO : (ssize_t)n;
}

static int on_allocate(struct disk *disk, int file, uint64_t size)
{
    struct sim_disk *d = self(disk);
    struct node *f = of_handle(d, file);
    int error = begin(d, FAULT_WRITE);
    CHECK(f != NULL);
    if (error < 0 || d->is_off)
        return error < 0 ? error : -EIO;
    if (size <= f->size)
        return 0;
    if (d->limit > 0 && sim_disk_used(d) - charge(f->size) + charge(size) > d->limit)
        return -ENOSPC;
    node_reserve(f, size);
    f->size = size;
    f->is_size_dirty = true;
    mix(d, size);
    return 0;
}

static int on_truncate(struct disk *disk, int file, uint64_t size)
{
    struct sim_disk *d = self(disk);
    struct node *f = of_handle(d, file);
    int error = begin(d, FAULT_WRITE);
    CHECK(f != NULL);
    if (error < 0 || d->is_off)
        return error < 0 ? error : -EIO;
    node_reserve(f, size);
    if (size < f->size) {
        memset(f->now + size, 0, f->size - size);
        node_dirty(f, size, f->size - size);
    }
    f->size = size;
    f->is_size_dirty = true;
    mix(d, size);
    return 0;
}

static int on_sync(struct disk *disk, int file)
{
    struct sim_disk *d = self(disk);
    struct node *f = of_handle(d, file);
    int error = begin(d, FAULT_SYNC);
    if (f == NULL)
        return -EBADF;
    if (error < 0 || d->is_off)
        return error < 0 ? error : -EIO;
    verdict_note("disk: %s is synced", f->name);
    node_sync(f);
    mix(d, 5);
    return 0;
}

static int on_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = self(disk);
    int error = begin(d, FAULT_NAME);
    struct node *n = node_find(d, from), *old = node_find(d, to);
    if (error < 0)
        return error;
    if (n == NULL)
        return -ENOENT;
    if (old != NULL)
        name_change(d, old, "");
    name_change(d, n, to);
    return d->is_off ? -EIO : 0;
}

static int on_unlink(struct disk *disk, const char *path)
{
    struct sim_disk *d = self(disk);
    int error = begin(d, FAULT_NAME);
    struct node *n = node_find(d, path);
    if (error < 0)
        return error;
    if (n == NULL)
        return -ENOENT;
    name_change(d, n, "");
    return d->is_off ? -EIO : 0;
}

static int on_make_folder(struct disk *disk, const char *path)
{
    (void)path;
    return begin(self(disk), FAULT_NAME);
}

static void apply_change(struct sim_disk *d, const struct name_change *c)
{
    if (strcmp(c->node->safe_name, c->to) == 0)
        return;
    for (size_t i = 0; i < d->n_nodes && c->to[0] != '\0'; i++)
        if (strcmp(d->nodes[i]->safe_name, c->to) == 0)
            d->nodes[i]->safe_name[0] = '\0';
    memcpy(c->node->safe_name, c->to, sizeof c->to);
}

static int on_sync_folder(struct disk *disk, const char *path)
{
    struct sim_disk *d = self(disk);
    int error = begin(d, FAULT_SYNC);
    (void)path;
    if (error < 0 || d->is_off)
        return error < 0 ? error : -EIO;
    for (size_t i = 0; i < d->n_changes; i++)
        apply_change(d, &d->changes[i]);
    verdict_note("disk: the folder is synced");
    d->n_changes = 0;
    forget_unwanted(d);
    mix(d, 6);
    return 0;
}

static int on_list(struct disk *disk, const char *path, disk_list_fn *each, void *arg)
{
    struct sim_disk *d = self(disk);
    (void)path;
    if (d->is_off)
        return -EIO;
    for (size_t i = d->n_nodes; i-- > 0;)
        if (d->nodes[i]->name[0] != '\0')
            each(arg, d->nodes[i]->name, d->nodes[i]->size);
    return 0;
}

static int on_space(struct disk *disk, uint64_t *available, uint64_t *total)
{
    const struct sim_disk *d = self(disk);
    uint64_t used = sim_disk_used(d);
    *total = d->limit > 0 ? d->limit : (uint64_t)1 << 40;
    *available = *total > used ? *total - used : 0;
    return 0;
}

/* ---- What the simulation does with it. */

struct sim_disk *sim_disk_create(struct rng *rng)
{
    static const struct disk_calls calls = {
        .open = on_open,
        .close = on_close,
        .read = on_read,
        .write = on_write,
        .allocate = on_allocate,
        .truncate = on_truncate,
        .sync = on_sync,
        .rename = on_rename,
        .unlink = on_unlink,
        .make_folder = on_make_folder,
        .sync_folder = on_sync_folder,
        .list = on_list,
        .space = on_space,
    };
    struct sim_disk *d = alloc_zeroed(sizeof *d);
    d->disk.calls = &calls;
    d->rng = rng;
    return d;
}

void sim_disk_destroy(struct sim_disk *d)
{
    for (size_t i = 0; i < d->n_nodes; i++)
        node_free(d->nodes[i]);
    free(d);
}

struct disk *sim_disk_table(struct sim_disk *d)
{
    return &d->disk;
}

void sim_disk_between(struct sim_disk *d, void (*call)(void *arg), void *arg)
{
    d->between = call;
    d->between_arg = arg;
}

void sim_disk_cut(struct sim_disk *d, uint64_t n)
{
    d->cut_in = n;
}

bool sim_disk_is_off(const struct sim_disk *d)
{
    return d->is_off;
}

void sim_disk_fail(struct sim_disk *d, enum disk_fault what, uint64_t n, int error)
{
    d->fault = what;
    d->fail_in = n;
    d->error = error;
}

bool sim_disk_has_failed(const struct sim_disk *d)
{
    return d->has_failed;
}

void sim_disk_direct(struct sim_disk *d, enum direct how)
{
    d->direct = how;
}

void sim_disk_limit(struct sim_disk *d, uint64_t bytes)
{
    d->limit = bytes;
}

/* ---- Crashes. */

/* Nothing that was not synced is left of the file. */
static void node_revert(struct node *n)
{
    for (size_t i = 0; i < pages(n->room); i++)
        if (n->dirty[i]) {
            memcpy(n->now + i * PAGE, n->safe + i * PAGE, PAGE);
            n->dirty[i] = 0;
        }
    n->size = n->safe_size;
    n->is_size_dirty = false;
}

static void keep_some_pages(struct sim_disk *d, struct node *n)
{
    uint32_t odds = rng_below(d->rng, 5); /* of 4 */
    size_t end = 0;
    for (size_t i = 0; i < pages(n->room); i++)
        if (n->dirty[i] && rng_below(d->rng, 4) < odds) {
            keep_page(n, i);
            end = (i + 1) * PAGE;
        }
    if (n->is_size_dirty && rng_one_in(d->rng, 2))
        n->safe_size = n->size;
    if (end > n->size)
        end = n->size;
    if (end > n->safe_size)
        n->safe_size = end;
}

static void keep_some_names(struct sim_disk *d)
{
    for (size_t i = d->n_changes; i > 1 && rng_one_in(d->rng, 2); i--) {
        size_t k = rng_below(d->rng, (uint32_t)i);
        struct name_change c = d->changes[k];
        d->changes[k] = d->changes[i - 1];
        d->changes[i - 1] = c;
    }
    uint32_t odds = rng_below(d->rng, 5);
    for (size_t i = 0; i < d->n_changes; i++)
        if (rng_below(d->rng, 4) < odds)
            apply_change(d, &d->changes[i]);
}

/* What the last write left out, in sectors. */
static void tear(struct sim_disk *d)
{
    struct node *n = d->last;
    if (n == NULL || d->last_len == 0)
        return;
    uint64_t end = d->last_at + d->last_len;
    uint64_t from = (d->last_at + rng_below(d->rng, (uint32_t)d->last_len + 1)) / SECTOR * SECTOR;
    if (from < d->last_at)
        from = d->last_at;
    memcpy(n->now + from, n->safe + from, end - from);
    if (n->is_size_dirty && end == n->size)
        n->size = from > n->safe_size ? from : n->safe_size;
}

static void cut(struct sim_disk *d)
{
    for (size_t i = 0; i < d->n_nodes; i++)
        node_revert(d->nodes[i]);
    for (size_t i = 0; i < d->n_nodes; i++)
        memcpy(d->nodes[i]->name, d->nodes[i]->safe_name, NAME);
    d->n_changes = 0;
}

void sim_disk_restart(struct sim_disk *d, enum crash how)
{
    for (size_t i = 0; i < d->n_handles; i++)
        if (d->handles[i] != NULL)
            d->handles[i]->opens--;
    d->first_handle += (int)d->n_handles;
    d->n_handles = 0;
    if (how == CRASH_TEAR) {
        tear(d);
        for (size_t i = 0; i < d->n_nodes; i++)
            node_sync(d->nodes[i]);
        for (size_t i = 0; i < d->n_changes; i++)
            apply_change(d, &d->changes[i]);
        cut(d);
    } else if (how != CRASH_KILL) {
        for (size_t i = 0; i < d->n_nodes && how == CRASH_CUT_SOME; i++)
            keep_some_pages(d, d->nodes[i]);
        if (how == CRASH_CUT_SOME)
            keep_some_names(d);
        cut(d);
    }
    forget_unwanted(d);
    d->last = NULL;
    d->is_off = d->has_failed = false;
    d->cut_in = d->fail_in = 0;
}

struct rot sim_disk_rot(struct sim_disk *d)
{
    struct node *n = NULL;
    for (unsigned tries = 0; tries < 8 && d->n_nodes > 0 && (n == NULL || n->size == 0); tries++)
        n = d->nodes[rng_below(d->rng, (uint32_t)d->n_nodes)];
    if (n == NULL || n->size == 0)
        return (struct rot){.name = "nothing"};
    size_t at = rng_below(d->rng, (uint32_t)n->size), len = 1;
    if (rng_one_in(d->rng, 2)) {
        uint32_t bits = 1 + rng_below(d->rng, 3);
        for (uint32_t i = 0; i < bits && at + i < n->size; i++)
            n->now[at + i] ^= (uint8_t)(1U << rng_below(d->rng, 8));
        len = bits;
    } else {
        at = at / PAGE * PAGE;
        len = n->size - at < PAGE ? n->size - at : PAGE;
        memset(n->now + at, 0, len);
    }
    if (at + len > n->size)
        len = n->size - at;
    memcpy(n->safe + at, n->now + at, len);
    return (struct rot){.name = n->name, .at = at, .len = len};
}

uint64_t sim_disk_trace(const struct sim_disk *d)
{
    return d->trace;
}

unsigned sim_disk_open_files(const struct sim_disk *d)
{
    unsigned n = 0;
    for (size_t i = 0; i < d->n_handles; i++)
        n += d->handles[i] != NULL;
    return n;
}

void sim_disk_print(const struct sim_disk *d)
{
    for (size_t i = 0; i < d->n_nodes; i++)
        printf("# %-32s %8zu bytes%s\n", d->nodes[i]->name, d->nodes[i]->size, d->nodes[i]->opens > 0 ? ", open" : "");
}
