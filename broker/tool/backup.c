/* backup: of a store that nobody works on by copying it; of a broker's by asking the broker (backup_desk.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/store/backup.h"
#include "broker/tool/commands.h"
#include "broker/tool/walk.h"

static int refuse(const char *path, const char *why)
{
    fprintf(stderr, "millrace-store: %s: %s\n", path, why);
    return TOOL_CANNOT;
}

/* ---- Nobody works on it. */

static void fill_random(void *to, size_t n)
{
    if (getrandom(to, n, 0) != (ssize_t)n)
        abort(); /* never, for so few bytes */
}

static void on_file(void *arg, const struct walk_file *f)
{
    if (f->kind != WALK_SPARE && f->kind != WALK_FOREIGN)
        backup_add(arg, f->name, f->name, f->size);
}

static int copy_all(const struct folder *f, struct backup_target *t, const struct command *c)
{
    struct backup b = {.random = fill_random};
    struct backup_result result;
    char *text = NULL;
    const struct walk_witness w = {.arg = &b, .begin = on_file};
    int error = walk_all(f->disk, &w), status = TOOL_CLEAN;
    bool is_copied = error == 0 && backup_copy(&b, f->disk, t->disk, NULL, &result, &text);
    if (is_copied)
        error = backup_target_keep(t);
    else
        backup_target_drop(t);
    if (error != 0 || !is_copied)
        status = refuse(c->new_dir, text != NULL ? text : strerrordesc_np(-error));
    else
        printf("%" PRIu64 " messages in %" PRIu64 " files, %" PRIu64 " bytes; %" PRIu64
               " that were damaged in the original\n",
               result.messages, result.files, result.bytes, result.lost);
    free(text);
    backup_fini(&b);
    return status;
}

/* ---- A broker does. */

/* NULL: the folder that it is to be in is not there. */
static char *absolute(const char *path)
{
    char *copy = str_format("%s", path), *slash = strrchr(copy, '/');
    const char *name = slash != NULL ? slash + 1 : copy;
    char parent[PATH_MAX];
    if (slash == copy)
        snprintf(parent, sizeof parent, "/");
    else if (slash != NULL)
        *slash = '\0';
    const char *of = slash == NULL ? "." : slash == copy ? "/" : copy;
    char *whole = realpath(of, parent) != NULL && name[0] != '\0'
                      ? str_format("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name)
                      : NULL;
    free(copy);
    return whole;
}

static int ask(const struct folder *f, const char *path)
{
    enum { PRIVATE = 0600 };
    char *name = str_format("%s/backup.request", f->home), *draft = str_format("%s.%ld", name, (long)getpid());
    char *line = str_format("%s\n", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PRIVATE), error = 0;
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line) || link(draft, name) != 0)
        error = -errno; /* -EEXIST: somebody else has asked */
    if (fd >= 0)
        close(fd);
    unlink(draft);
    free(line);
    free(draft);
    free(name);
    return error;
}

/* True: that is the answer to this path; what it says is printed. */
static bool take_answer(const struct folder *f, const char *kind, const char *path, FILE *to)
{
    char *name = str_format("%s/backup.%s", f->home, kind), line[PATH_MAX + 2] = "", text[1024] = "";
    FILE *in = fopen(name, "re");
    bool is_it = in != NULL && fgets(line, sizeof line, in) != NULL && fgets(text, sizeof text, in) != NULL;
    line[strcspn(line, "\n")] = '\0';
    is_it = is_it && strcmp(line, path) == 0;
    if (is_it) {
        unlink(name);
        fprintf(to, "%s%s%s%s", to == stderr ? "millrace-store: " : "", to == stderr ? path : "",
                to == stderr ? ": " : "", text);
    }
    if (in != NULL)
        fclose(in);
    free(name);
    return is_it;
}

static bool is_broker_gone(const struct folder *f)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(f->lock, F_OFD_GETLK, &whole) == 0 && whole.l_type == F_UNLCK;
}

static void withdraw(const struct folder *f)
{
    char *name = str_format("%s/backup.request", f->home);
    unlink(name);
    free(name);
}

static int wait_for_answer(const struct folder *f, const char *path)
{
    static const struct timespec pause = {.tv_nsec = 100000000};
    for (;;) {
        bool is_gone = is_broker_gone(f); /* which may have answered at the very end */
        if (take_answer(f, "done", path, stdout))
            return TOOL_CLEAN;
        if (take_answer(f, "failed", path, stderr))
            return TOOL_CANNOT;
        if (is_gone) {
            withdraw(f);
            return refuse(path, "the broker has stopped");
        }
        nanosleep(&pause, NULL);
    }
}

int command_backup(struct folder *f, const struct command *c)
{
    char *path = absolute(c->new_dir);
    struct backup_target t;
    int error = path == NULL ? -ENOENT : 0, status = TOOL_CLEAN;
    if (error == 0 && !f->is_in_use)
        error = backup_target_make(&t, path);
    else if (error == 0)
        error = ask(f, path);
    if (error != 0)
        status = refuse(c->new_dir, f->is_in_use && error == -EEXIST ? "the broker is making another backup"
                                                                     : strerrordesc_np(-error));
    else
        status = f->is_in_use ? wait_for_answer(f, path) : copy_all(f, &t, c);
    free(path);
    return status;
}
