/* A disk that cannot be written to: what reads is passed on to the one below, what writes is refused with -EROFS. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "broker/store/disk.h"

struct disk_readonly {
    struct disk disk;   /* first */
    struct disk *below; /* borrowed */
};

static struct disk *below(const struct disk *d)
{
    return ((const struct disk_readonly *)(const void *)d)->below;
}

/* Recovery opens what it may have to go on with later for writing: here it never will. */
static int readonly_open(struct disk *d, const char *path, enum disk_open how)
{
    return how == DISK_CREATE ? -EROFS : below(d)->calls->open(below(d), path, DISK_READ);
}

static int readonly_close(struct disk *d, int file)
{
    return below(d)->calls->close(below(d), file);
}

static ssize_t readonly_read(struct disk *d, int file, void *to, size_t n, uint64_t offset)
{
    return below(d)->calls->read(below(d), file, to, n, offset);
}

static int readonly_list(struct disk *d, const char *path, disk_list_fn *each, void *arg)
{
    return below(d)->calls->list(below(d), path, each, arg);
}

static int readonly_space(struct disk *d, uint64_t *available, uint64_t *total)
{
    return below(d)->calls->space(below(d), available, total);
}

static ssize_t refuse_write(struct disk *d, int file, const void *from, size_t n, uint64_t offset)
{
    (void)d, (void)file, (void)from, (void)n, (void)offset;
    return -EROFS;
}

static int refuse_size(struct disk *d, int file, uint64_t size)
{
    (void)d, (void)file, (void)size;
    return -EROFS;
}

static int refuse_sync(struct disk *d, int file)
{
    (void)d, (void)file;
    return -EROFS;
}

static int refuse_rename(struct disk *d, const char *from, const char *to)
{
    (void)d, (void)from, (void)to;
    return -EROFS;
}

static int refuse_path(struct disk *d, const char *path)
{
    (void)d, (void)path;
    return -EROFS;
}

struct disk *disk_readonly_create(struct disk *of)
{
    static const struct disk_calls calls = {
        .open = readonly_open,
        .close = readonly_close,
        .read = readonly_read,
        .write = refuse_write,
        .allocate = refuse_size,
        .truncate = refuse_size,
        .sync = refuse_sync,
        .rename = refuse_rename,
        .unlink = refuse_path,
        .make_folder = refuse_path,
        .sync_folder = refuse_path,
        .list = readonly_list,
        .space = readonly_space,
    };
    struct disk_readonly *d = alloc(sizeof *d);
    *d = (struct disk_readonly){.disk = {.calls = &calls}, .below = of};
    return &d->disk;
}

void disk_readonly_destroy(struct disk *d)
{
    free(d);
}
