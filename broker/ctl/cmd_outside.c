/* What other programs of Millrace do: they are run in the place of this one. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { NOT_FOUND = 127 };

/* Becomes the program, which lies beside this one or in PATH; answers only if it cannot. */
static int become(struct ctl *c, const char *program, char *const *words)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    char *beside =
        slash != NULL ? str_format("%.*s/%s", (int)(slash - self), self, program) : str_format("%s", program);
    fflush(stdout);
    execv(beside, words);
    if (errno == ENOENT)
        execvp(program, words);
    int error = errno;
    free(beside);
    return ctl_fail(c, error == ENOENT ? NOT_FOUND : EX_OSERR, "%s: %s", program, strerrordesc_np(error));
}

int outside_check_config(struct ctl *c)
{
    char name[] = "millraced", check[] = "--check-config", *file = c->n_args > 0 ? str_format("%s", c->args[0]) : NULL;
    char *words[] = {name, check, file, NULL};
    int status = become(c, name, words);
    free(file);
    return status;
}

int outside_backup(struct ctl *c)
{
    if (c->data_dir == NULL)
        return ctl_misused(c, EX_USAGE, "which data folder?  See --data-dir");
    char name[] = "millrace-store", verb[] = "backup", *to = str_format("%s", c->args[0]);
    char *words[] = {name, verb, c->data_dir, to, NULL};
    int status = become(c, name, words);
    free(to);
    return status;
}
