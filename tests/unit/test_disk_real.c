#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/disk.h"

/* ---- Calls of the system that fail when they are told to (the linker puts these in their place). */

static struct {
    int error;       /* what the next of the calls below fails with, once */
    int write_error; /* what pwrite fails with, always … */
    size_t room;     /* … when it has written so many bytes */
    size_t piece;    /* the most that one pread or pwrite does; 0: everything */
} faults;

static bool fails(void)
{
    if (faults.error == 0)
        return false;
    errno = faults.error;
    faults.error = 0;
    return true;
}

int __real_fallocate(int file, int mode, off_t offset, off_t size);
int __real_fdatasync(int file);
ssize_t __real_pread(int file, void *to, size_t n, off_t offset);
ssize_t __real_pwrite(int file, const void *from, size_t n, off_t offset);
int __wrap_fallocate(int file, int mode, off_t offset, off_t size);
int __wrap_fdatasync(int file);
ssize_t __wrap_pread(int file, void *to, size_t n, off_t offset);
ssize_t __wrap_pwrite(int file, const void *from, size_t n, off_t offset);

int __wrap_fallocate(int file, int mode, off_t offset, off_t size)
{
    return fails() ? -1 : __real_fallocate(file, mode, offset, size);
}

int __wrap_fdatasync(int file)
{
    return fails() ? -1 : __real_fdatasync(file);
}

ssize_t __wrap_pread(int file, void *to, size_t n, off_t offset)
{
    return fails() ? -1 : __real_pread(file, to, faults.piece != 0 && faults.piece < n ? faults.piece : n, offset);
}

ssize_t __wrap_pwrite(int file, const void *from, size_t n, off_t offset)
{
    if (fails())
        return -1;
    if (faults.piece != 0 && faults.piece < n)
        n = faults.piece;
    if (faults.write_error != 0) {
        if (faults.room == 0) {
            errno = faults.write_error;
            return -1;
        }
        n = faults.room < n ? faults.room : n;
        faults.room -= n;
    }
    return __real_pwrite(file, from, n, offset);
}

/* ---- A folder for each test. */

static char path_of_folder[64];
static struct disk *d;

static int begin(void **unused)
{
    (void)unused;
    int error;
    memset(&faults, 0, sizeof faults);
    snprintf(path_of_folder, sizeof path_of_folder, "%s", "/tmp/test_disk_real.XXXXXX");
    assert_non_null(mkdtemp(path_of_folder));
    d = disk_real_create(path_of_folder, &error);
    assert_non_null(d);
    return 0;
}

static char here[] = ".", sub[] = "sub";

static void remove_file(void *folder, const char *name, uint64_t size)
{
    (void)size;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", (const char *)folder, name);
    assert_int_equal(d->calls->unlink(d, path), 0);
}

static int end(void **unused)
{
    (void)unused;
    d->calls->list(d, sub, remove_file, sub);
    d->calls->list(d, here, remove_file, here);
    char path[80];
    snprintf(path, sizeof path, "%s/sub", path_of_folder);
    rmdir(path);
    disk_real_destroy(d);
    assert_int_equal(rmdir(path_of_folder), 0);
    return 0;
}

static int make(const char *path)
{
    int file = d->calls->open(d, path, DISK_CREATE);
    assert_true(file >= 0);
    return file;
}

static struct stat stat_of(const char *path)
{
    char whole[128];
    struct stat st;
    snprintf(whole, sizeof whole, "%s/%s", path_of_folder, path);
    assert_int_equal(lstat(whole, &st), 0);
    return st;
}

TEST(what_was_written_is_read)
{
    char to[16];
    int file = make("a");
    assert_int_equal(d->calls->write(d, file, "hello world", 11, 5), 11);
    assert_int_equal(d->calls->read(d, file, to, 5, 11), 5); /* through the same handle */
    assert_memory_equal(to, "world", 5);
    assert_int_equal(d->calls->sync(d, file), 0);
    assert_int_equal(d->calls->close(d, file), 0);
    file = d->calls->open(d, "a", DISK_READ);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 0), 16);
    assert_memory_equal(to, "\0\0\0\0\0hello world", 16);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 11), 5);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 16), 0);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 1000), 0);
    assert_int_equal(d->calls->write(d, file, "x", 1, 0), -EBADF);
    assert_int_equal(d->calls->close(d, file), 0);
    file = d->calls->open(d, "a", DISK_WRITE);
    assert_int_equal(d->calls->truncate(d, file, 10), 0);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 0), 10);
    assert_int_equal(d->calls->close(d, file), 0);
}

TEST(files_and_folders_are_private_and_close_with_exec)
{
    int file = make("a");
    assert_int_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(stat_of("a").st_mode & 07777, 0600);
    d->calls->close(d, file);
    assert_int_equal(d->calls->make_folder(d, "sub"), 0);
    assert_int_equal(stat_of("sub").st_mode & 07777, 0700);
    assert_int_equal(d->calls->make_folder(d, "sub"), 0);
    assert_int_equal(d->calls->make_folder(d, "a"), -ENOTDIR);
    assert_int_equal(d->calls->make_folder(d, "no/sub"), -ENOENT);
}

TEST(what_is_not_as_said_is_refused)
{
    char path[128];
    int error = 0;
    assert_int_equal(d->calls->open(d, "a", DISK_READ), -ENOENT);
    assert_int_equal(d->calls->open(d, "a", DISK_WRITE), -ENOENT);
    d->calls->close(d, make("a"));
    assert_int_equal(d->calls->open(d, "a", DISK_CREATE), -EEXIST);
    assert_int_equal(d->calls->close(d, 999), -EBADF);
    assert_int_equal(d->calls->unlink(d, "b"), -ENOENT);
    assert_int_equal(d->calls->rename(d, "b", "a"), -ENOENT);
    assert_int_equal(d->calls->sync_folder(d, "sub"), -ENOENT);
    assert_int_equal(d->calls->list(d, sub, remove_file, sub), -ENOENT);
    snprintf(path, sizeof path, "%s/a", path_of_folder);
    assert_null(disk_real_create(path, &error));
    assert_int_equal(error, ENOTDIR);
    disk_real_destroy(NULL);
}

TEST(a_rename_replaces)
{
    char to[4];
    int file = make("old"), other = make("new");
    assert_int_equal(d->calls->write(d, other, "new", 3, 0), 3);
    assert_int_equal(d->calls->rename(d, "new", "old"), 0);
    assert_int_equal(d->calls->sync_folder(d, "."), 0);
    assert_int_equal(d->calls->open(d, "new", DISK_READ), -ENOENT);
    d->calls->close(d, file);
    d->calls->close(d, other);
    file = d->calls->open(d, "old", DISK_READ);
    assert_int_equal(d->calls->read(d, file, to, sizeof to, 0), 3);
    d->calls->close(d, file);
}

struct found {
    unsigned n;
    uint64_t sizes;
    bool wrong;
};

static void find(void *arg, const char *name, uint64_t size)
{
    struct found *f = arg;
    f->n++;
    f->sizes += size;
    f->wrong = f->wrong || (strcmp(name, "a") != 0 && strcmp(name, "b") != 0);
}

TEST(a_list_has_the_files_alone)
{
    struct found top = {0}, below = {0};
    assert_int_equal(d->calls->make_folder(d, "sub"), 0);
    assert_int_equal(d->calls->sync_folder(d, "sub"), 0);
    int file = make("a");
    assert_int_equal(d->calls->write(d, file, "1234567", 7, 0), 7);
    d->calls->close(d, file);
    d->calls->close(d, make("b"));
    d->calls->close(d, make("sub/a"));
    assert_int_equal(d->calls->list(d, ".", find, &top), 0);
    assert_int_equal(d->calls->list(d, "sub", find, &below), 0);
    assert_true(top.n == 2 && top.sizes == 7 && !top.wrong);
    assert_true(below.n == 1 && below.sizes == 0 && !below.wrong);
}

TEST(room_is_taken_and_what_is_there_stays)
{
    char to[4];
    int file = make("a");
    assert_int_equal(d->calls->write(d, file, "abc", 3, 0), 3);
    assert_int_equal(d->calls->allocate(d, file, 1 << 20), 0);
    assert_int_equal(stat_of("a").st_size, 1 << 20);
    assert_int_equal(d->calls->read(d, file, to, 4, 0), 4);
    assert_memory_equal(to, "abc", 4);
    d->calls->close(d, file);
}

TEST(room_is_written_where_it_cannot_be_had_otherwise)
{
    char to[4];
    int file = make("a");
    assert_int_equal(d->calls->write(d, file, "abc", 3, 0), 3);
    faults.error = EOPNOTSUPP;
    faults.piece = 1000;
    assert_int_equal(d->calls->allocate(d, file, 100003), 0);
    assert_int_equal(stat_of("a").st_size, 100003);
    assert_int_equal(d->calls->read(d, file, to, 4, 0), 4);
    assert_memory_equal(to, "abc", 4);
    d->calls->close(d, file);
}

TEST(where_there_is_no_room_none_is_taken)
{
    int file = make("a");
    assert_int_equal(d->calls->write(d, file, "abc", 3, 0), 3);
    faults.error = ENOSPC;
    assert_int_equal(d->calls->allocate(d, file, 1 << 20), -ENOSPC);
    assert_int_equal(stat_of("a").st_size, 3);
    faults.error = EOPNOTSUPP;
    faults.write_error = EDQUOT;
    faults.room = 100000;
    assert_int_equal(d->calls->allocate(d, file, 1 << 20), -ENOSPC);
    assert_int_equal(stat_of("a").st_size, 3);
    assert_int_equal(d->calls->write(d, file, "abc", 3, 0), -ENOSPC);
    d->calls->close(d, file);
}

TEST(signals_and_short_reads_are_nobodys_business)
{
    char to[8] = {0};
    int file = make("a");
    faults.error = EINTR;
    assert_int_equal(d->calls->write(d, file, "12345678", 8, 0), 8);
    faults.error = EINTR;
    faults.piece = 3;
    assert_int_equal(d->calls->read(d, file, to, 8, 0), 8);
    assert_memory_equal(to, "12345678", 8);
    assert_int_equal(d->calls->write(d, file, "12345678", 8, 0), 3); /* a short write is the caller's */
    faults.error = EINTR;
    assert_int_equal(d->calls->sync(d, file), 0);
    faults.error = EINTR;
    assert_int_equal(d->calls->allocate(d, file, 4096), 0);
    d->calls->close(d, file);
}

TEST(errors_are_passed_on)
{
    char to[8];
    int file = make("a");
    faults.error = EIO;
    assert_int_equal(d->calls->sync(d, file), -EIO);
    faults.error = EIO;
    assert_int_equal(d->calls->read(d, file, to, 8, 0), -EIO);
    faults.error = EIO;
    assert_int_equal(d->calls->write(d, file, to, 8, 0), -EIO);
    faults.error = EIO;
    assert_int_equal(d->calls->allocate(d, file, 8), -EIO);
    d->calls->close(d, file);
}

TEST(the_space_is_that_of_the_file_system)
{
    uint64_t available = 0, total = 0;
    assert_int_equal(d->calls->space(d, &available, &total), 0);
    assert_true(total > 0 && available <= total);
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_was_written_is_read),
        DISK_TEST(files_and_folders_are_private_and_close_with_exec),
        DISK_TEST(what_is_not_as_said_is_refused),
        DISK_TEST(a_rename_replaces),
        DISK_TEST(a_list_has_the_files_alone),
        DISK_TEST(room_is_taken_and_what_is_there_stays),
        DISK_TEST(room_is_written_where_it_cannot_be_had_otherwise),
        DISK_TEST(where_there_is_no_room_none_is_taken),
        DISK_TEST(signals_and_short_reads_are_nobodys_business),
        DISK_TEST(errors_are_passed_on),
        DISK_TEST(the_space_is_that_of_the_file_system),
    };
    return unit_main("disk_real", tests, argc, argv);
}
