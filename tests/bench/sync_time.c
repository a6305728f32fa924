/* Usage: sync_time FOLDER [COUNT].  What a sync takes there: writes 4 KiB into a file that has its size already, as a
 * journal does, and syncs it, so many times; prints the median and the 99th percentile. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum { BLOCK = 4096, FILE_BLOCKS = 256, COUNT = 1000, COUNT_MAX = 1000000, PATH_ROOM = 4096 };

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void write_block(int fd, unsigned i)
{
    static const char block[BLOCK];
    if (pwrite(fd, block, sizeof block, (off_t)(i % FILE_BLOCKS) * BLOCK) != BLOCK)
        die("write: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    char path[PATH_ROOM];
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : COUNT;
    if (argc < 2 || argc > 3 || count == 0 || count > COUNT_MAX)
        die("usage: sync_time FOLDER [COUNT]");
    int n = snprintf(path, sizeof path, "%s/sync-time-XXXXXX", argv[1]);
    int fd = n < (int)sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd < 0)
        die("no file in %s: %s", argv[1], strerror(errno));
    unlink(path);
    for (unsigned i = 0; i < FILE_BLOCKS; i++)
        write_block(fd, i);
    if (fsync(fd) != 0)
        die("fsync: %s", strerror(errno));
    uint64_t *took = alloc_array(NULL, count, sizeof *took);
    for (unsigned i = 0; i < count; i++) {
        uint64_t began = now_ns();
        write_block(fd, i);
        if (fdatasync(fd) != 0)
            die("fdatasync: %s", strerror(errno));
        took[i] = now_ns() - began;
    }
    qsort(took, count, sizeof *took, by_size);
    printf("p50 %.1f us, p99 %.1f us\n", (double)took[count / 2] / 1e3, (double)took[count * 99 / 100] / 1e3);
    free(took);
    close(fd);
    return 0;
}
