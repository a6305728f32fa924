/* Loaded before the C library (LD_PRELOAD): as long as there is a file STALL_FILE, the thread named STALL_THREAD stands
 * still when it next asks what time it is, as if it were caught in an endless loop.  STALL_FILE.on says that it does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void stand_still(const char *file)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    char mark[4096];
    snprintf(mark, sizeof mark, "%s.on", file);
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    while (access(file, F_OK) == 0)
        nanosleep(&pause, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *to)
{
    static int (*real)(clockid_t clock, struct timespec * to);
    char name[16] = "";
    const char *thread = getenv("STALL_THREAD"), *file = getenv("STALL_FILE");
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime"); /* POSIX's own way to say it */
    prctl(PR_GET_NAME, name, 0, 0, 0);
    if (thread != NULL && file != NULL && strcmp(name, thread) == 0 && access(file, F_OK) == 0)
        stand_still(file);
    return real(clock, to);
}
