#define _GNU_SOURCE
#include "broker/tool/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whose lock it is: "PID HOST" is written in it. */
static long read_owner(int lock)
{
    char text[32] = "";
    ssize_t n = pread(lock, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

/* A shared lock keeps a broker from starting meanwhile, and writes nothing. */
static void claim(struct folder *f)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    char *name = str_format("%s/lock", f->home);
    f->lock = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(name);
    if (f->lock < 0 || fcntl(f->lock, F_OFD_SETLK, &whole) == 0 || (errno != EAGAIN && errno != EACCES))
        return;
    f->is_in_use = true;
    f->owner = read_owner(f->lock);
}

int folder_open(struct folder *f, const char *dir)
{
    int error = 0;
    *f = (struct folder){.path = str_format("%s/store", dir), .lock = -1};
    bool is_home = is_folder(f->path);
    f->home = is_home ? str_format("%s", dir) : str_format("%s/..", dir);
    if (!is_home) {
        free(f->path);
        f->path = str_format("%s", dir);
    }
    f->real = disk_real_create(f->path, &error);
    if (f->real == NULL) {
        fprintf(stderr, "millrace-store: %s: %s\n", dir, strerrordesc_np(error));
        folder_close(f);
        return TOOL_UNREADABLE;
    }
    f->disk = disk_readonly_create(f->real);
    claim(f);
    return 0;
}

void folder_close(struct folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    disk_readonly_destroy(f->disk);
    disk_real_destroy(f->real);
    free(f->path);
    free(f->home);
    *f = (struct folder){.lock = -1};
}

int folder_refuse_use(const struct folder *f)
{
    if (!f->is_in_use)
        return 0;
    if (f->owner > 0)
        fprintf(stderr, "millrace-store: %s: in use by pid %ld\n", f->path, f->owner);
    else
        fprintf(stderr, "millrace-store: %s: in use by a broker\n", f->path);
    return TOOL_IN_USE;
}
