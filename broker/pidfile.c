#define _GNU_SOURCE
#include "broker/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

enum { PIDFILE_MODE = 0644 }; /* the number of a process is no secret, and others wait for it */

struct pidfile {
    char *path; /* owned */
};

/* 0, or the errno. */
static int write_number(const char *path)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, PIDFILE_MODE);
    if (fd < 0)
        return errno;
    int error = fchmod(fd, PIDFILE_MODE) != 0 || write(fd, text, (size_t)len) != len ? errno : 0;
    close(fd);
    return error;
}

struct pidfile *pidfile_create(const char *path, int *error)
{
    char *draft = str_format("%s.new", path);
    *error = write_number(draft);
    if (*error == 0 && rename(draft, path) != 0)
        *error = errno;
    if (*error != 0)
        unlink(draft);
    free(draft);
    if (*error != 0)
        return NULL;
    struct pidfile *p = alloc_zeroed(sizeof *p);
    p->path = str_format("%s", path);
    return p;
}

/* Whether the number in it is this process's. */
static bool is_own(const char *path)
{
    long pid = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    if (fscanf(f, "%ld", &pid) != 1) // NOLINT(cert-err34-c): what is no number is not ours
        pid = 0;
    fclose(f);
    return pid == (long)getpid();
}

void pidfile_destroy(struct pidfile *p)
{
    if (p == NULL)
        return;
    if (is_own(p->path))
        unlink(p->path);
    free(p->path);
    free(p);
}
