/* Loaded before the C library (LD_PRELOAD): fsync, fdatasync and their kin take SLOW_SYNC_MS milliseconds longer, as
 * with a disk that means it.  Each thread waits for its own, as it would for the disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_longer(void)
{
    const char *ms = getenv("SLOW_SYNC_MS"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    long n = ms == NULL ? 0 : strtol(ms, NULL, 10);
    struct timespec left = {.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000};
    while (n > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* The C library's function of this name, called and waited for. */
static int sync_slowly(const char *name, int fd)
{
    int (*real)(int fd);
    *(void **)&real = dlsym(RTLD_NEXT, name); /* POSIX's own way to say it */
    int result = real(fd), error = errno;
    wait_longer();
    errno = error;
    return result;
}

int fsync(int fd)
{
    return sync_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_slowly("fdatasync", fd);
}

int syncfs(int fd)
{
    return sync_slowly("syncfs", fd);
}
