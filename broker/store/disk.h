/* All that the store does with files goes through this table (reliability D3).  There is the real one (disk_real.c),
 * and tests have others: in memory, losing what was not synced, failing where they are told to.
 *
 * Paths are relative to the data folder.  Every function answers -errno when it fails, -ENOSPC also for a quota.  Those
 * of one disk may be called from two threads at once, as long as each file is written by one.
 */
#ifndef BROKER_STORE_DISK_H
#define BROKER_STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk;

enum disk_open {
    DISK_READ,
    DISK_WRITE,
    DISK_CREATE, /* must not exist */
    DISK_DIRECT, /* to write past the cache: size, offset and memory in multiples of DISK_BLOCK; -EINVAL: it cannot be
                  */
};
enum { DISK_BLOCK = 4096 };

typedef void disk_list_fn(void *arg, const char *name, uint64_t size);

struct disk_calls {
    int (*open)(struct disk *d, const char *path, enum disk_open how); /* a handle, at least 0 */
    int (*close)(struct disk *d, int file);
    ssize_t (*read)(struct disk *d, int file, void *to, size_t n, uint64_t offset);          /* fewer only at the end */
    ssize_t (*write)(struct disk *d, int file, const void *from, size_t n, uint64_t offset); /* may be short */
    int (*allocate)(struct disk *d, int file, uint64_t size); /* room for so many bytes from the start; -ENOSPC */
    int (*truncate)(struct disk *d, int file, uint64_t size);
    int (*sync)(struct disk *d, int file); /* data, and what is needed to find it */
    int (*rename)(struct disk *d, const char *from, const char *to);
    int (*unlink)(struct disk *d, const char *path);
    int (*make_folder)(struct disk *d, const char *path); /* 0 if it is there already */
    int (*sync_folder)(struct disk *d, const char *path); /* "." is the data folder: names are durable */
    int (*list)(struct disk *d, const char *path, disk_list_fn *each, void *arg); /* files, in no order */
    int (*space)(struct disk *d, uint64_t *available, uint64_t *total);           /* bytes of the file system */
};

/* The first member of every kind of disk. */
struct disk {
    const struct disk_calls *calls;
};

/* The file system, below folder, which is there and is held open; NULL: *error_number says why. */
struct disk *disk_real_create(const char *folder, int *error_number);
void disk_real_destroy(struct disk *d);

/* What reads is passed on to the disk `of`, which is borrowed; what writes is refused with -EROFS. */
struct disk *disk_readonly_create(struct disk *of);
void disk_readonly_destroy(struct disk *d); /* NULL is allowed */
#endif
