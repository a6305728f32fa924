#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/store/disk.h"

struct disk_real {
    struct disk disk; /* first */
    int folder;       /* owned */
};

static int folder_of(const struct disk *d)
{
    return ((const struct disk_real *)(const void *)d)->folder;
}

/* What went wrong in the call before.  A quota is a small disk. */
static int refusal(void)
{
    return errno == EDQUOT ? -ENOSPC : -errno;
}

static int verdict(long answer)
{
    return answer < 0 ? refusal() : 0;
}

static int real_open(struct disk *d, const char *path, enum disk_open how)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_WRITE] = O_RDWR,
        [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [DISK_DIRECT] = O_WRONLY | O_DIRECT,
    };
    int file = (int)TEMP_FAILURE_RETRY(openat(folder_of(d), path, flags[how] | O_CLOEXEC | O_NOFOLLOW, 0600));
    return file < 0 ? refusal() : file;
}

static int real_close(struct disk *d, int file)
{
    (void)d;
    return close(file) < 0 && errno != EINTR ? refusal() : 0; /* EINTR: Linux has closed it all the same */
}

static ssize_t real_read(struct disk *d, int file, void *to, size_t n, uint64_t offset)
{
    (void)d;
    size_t done = 0;
    while (done < n) {
        ssize_t got = TEMP_FAILURE_RETRY(pread(file, (uint8_t *)to + done, n - done, (off_t)(offset + done)));
        if (got < 0)
            return refusal();
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static ssize_t real_write(struct disk *d, int file, const void *from, size_t n, uint64_t offset)
{
    (void)d;
    ssize_t put = TEMP_FAILURE_RETRY(pwrite(file, from, n, (off_t)offset));
    return put < 0 ? refusal() : put;
}

static int real_truncate(struct disk *d, int file, uint64_t size)
{
    (void)d;
    return verdict(TEMP_FAILURE_RETRY(ftruncate(file, (off_t)size)));
}

/* For file systems that cannot promise room: zeroes from the file's end on take it. */
static int write_zeroes(struct disk *d, int file, uint64_t from, uint64_t size)
{
    static const uint8_t zeroes[64 << 10];
    while (from < size) {
        size_t n = size - from < sizeof zeroes ? (size_t)(size - from) : sizeof zeroes;
        ssize_t put = real_write(d, file, zeroes, n, from);
        if (put < 0)
            return (int)put;
        from += (uint64_t)put;
    }
    return 0;
}

static int real_allocate(struct disk *d, int file, uint64_t size)
{
    struct stat st;
    if (fstat(file, &st) < 0)
        return refusal();
    int answer = verdict(TEMP_FAILURE_RETRY(fallocate(file, 0, 0, (off_t)size)));
    if (answer == -EOPNOTSUPP || answer == -ENOSYS)
        answer = write_zeroes(d, file, (uint64_t)st.st_size, size);
    if (answer != 0)
        real_truncate(d, file, (uint64_t)st.st_size); /* half of the room helps nobody */
    return answer;
}

static int real_sync(struct disk *d, int file)
{
    (void)d;
    return verdict(TEMP_FAILURE_RETRY(fdatasync(file)));
}

static int real_rename(struct disk *d, const char *from, const char *to)
{
    return verdict(renameat(folder_of(d), from, folder_of(d), to));
}

static int real_unlink(struct disk *d, const char *path)
{
    return verdict(unlinkat(folder_of(d), path, 0));
}

static int open_folder(int below, const char *path)
{
    int folder = (int)TEMP_FAILURE_RETRY(openat(below, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return folder < 0 ? refusal() : folder;
}

static int real_make_folder(struct disk *d, const char *path)
{
    int answer = verdict(mkdirat(folder_of(d), path, 0700));
    if (answer != -EEXIST)
        return answer;
    int folder = open_folder(folder_of(d), path);
    return folder < 0 ? folder : real_close(d, folder);
}

static int real_sync_folder(struct disk *d, const char *path)
{
    int folder = open_folder(folder_of(d), path);
    if (folder < 0)
        return folder;
    int answer = verdict(TEMP_FAILURE_RETRY(fsync(folder)));
    close(folder);
    return answer;
}

static int list_all(DIR *folder, disk_list_fn *each, void *arg)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder); // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (entry == NULL)
            return errno != 0 ? refusal() : 0;
        struct stat st;
        if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno != ENOENT) /* gone meanwhile */
                return refusal();
        } else if (S_ISREG(st.st_mode)) {
            each(arg, entry->d_name, (uint64_t)st.st_size);
        }
    }
}

static int real_list(struct disk *d, const char *path, disk_list_fn *each, void *arg)
{
    int file = open_folder(folder_of(d), path);
    if (file < 0)
        return file;
    DIR *folder = fdopendir(file);
    if (folder == NULL) {
        int answer = refusal();
        close(file);
        return answer;
    }
    int answer = list_all(folder, each, arg);
    closedir(folder);
    return answer;
}

static int real_space(struct disk *d, uint64_t *available, uint64_t *total)
{
    struct statvfs st;
    int answer = verdict(TEMP_FAILURE_RETRY(fstatvfs(folder_of(d), &st)));
    if (answer != 0)
        return answer;
    *available = (uint64_t)st.f_bavail * st.f_frsize;
    *total = (uint64_t)st.f_blocks * st.f_frsize;
    return 0;
}

struct disk *disk_real_create(const char *folder, int *error_number)
{
    static const struct disk_calls calls = {
        .open = real_open,
        .close = real_close,
        .read = real_read,
        .write = real_write,
        .allocate = real_allocate,
        .truncate = real_truncate,
        .sync = real_sync,
        .rename = real_rename,
        .unlink = real_unlink,
        .make_folder = real_make_folder,
        .sync_folder = real_sync_folder,
        .list = real_list,
        .space = real_space,
    };
    int file = open_folder(AT_FDCWD, folder);
    if (file < 0) {
        *error_number = -file;
        return NULL;
    }
    struct disk_real *d = alloc(sizeof *d);
    *d = (struct disk_real){.disk = {.calls = &calls}, .folder = file};
    return &d->disk;
}

void disk_real_destroy(struct disk *d)
{
    if (d == NULL)
        return;
    close(folder_of(d));
    free(d);
}
