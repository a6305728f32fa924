/* Definitions out of a broker and into it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { PATIENCE_MS = 300000 };

static bool is_json(const struct ctl *c)
{
    return strcmp(options_text(c->options, OPTION_FORMAT, "json"), "json") == 0;
}

static bool is_stream(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Writes to a file beside it that only its owner can read (there are hashes of passwords in it), and puts that in the
 * place of the file when it is whole. */
static int write_file(struct ctl *c, const char *path, const struct answer *a)
{
    char *beside = str_format("%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC), error = fd < 0 ? errno : 0;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f != NULL) {
        fwrite(a->text, 1, a->len, f);
        if (ferror(f) || fflush(f) != 0 || fsync(fd) != 0)
            error = errno;
        if (fclose(f) != 0 && error == 0)
            error = errno;
        if (error == 0 && rename(beside, path) != 0)
            error = errno;
        if (error != 0)
            unlink(beside);
    }
    free(beside);
    if (error == 0)
        return 0;
    if (error == EACCES)
        return ctl_fail(c, EX_DATAERR, "No permissions to write to file %s or its parent directory", path);
    return ctl_fail(c, EX_CANTCREAT, "%s: %s", path, strerrordesc_np(error));
}

int definitions_export(struct ctl *c)
{
    const char *path = c->args[0];
    if (!is_json(c))
        return ctl_misused(c, EX_USAGE, "format '%s' is not supported. Please use json",
                           options_text(c->options, OPTION_FORMAT, ""));
    if (!is_stream(path))
        ctl_say(c, "Exporting definitions in JSON to a file at \"{1}\" ...");
    ctl_set_timeout(c, ctl_timeout_ms(c, PATIENCE_MS));
    bool is_one = options_has(c->options, OPTION_VHOST);
    struct answer a;
    int status = ctl_call(c, "GET", is_one ? path_of("definitions", ctl_vhost(c)) : path_of("definitions"), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0 && is_stream(path)) {
        fwrite(a.text, 1, a.len, stdout);
        putchar('\n');
    } else if (status == 0) {
        status = write_file(c, path, &a);
    }
    answer_fini(&a);
    return status;
}

/* The document; NULL: it has said what is wrong. */
static json_t *read_document(struct ctl *c, const char *path, int *status)
{
    json_error_t error;
    FILE *f = is_stream(path) ? stdin : fopen(path, "re");
    if (f == NULL) {
        *status = errno == ENOENT ? ctl_misused(c, EX_DATAERR, "Bad argument: File %s does not exist", path)
                                  : ctl_fail(c, EX_DATAERR, "%s: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    json_t *document = json_loadf(f, 0, &error);
    if (f != stdin)
        fclose(f);
    if (document == NULL)
        *status = ctl_fail(c, EX_DATAERR, "%s:%d:%d: %s", is_stream(path) ? "standard input" : path, error.line,
                           error.column, error.text);
    return document;
}

static void print_warnings(const json_t *warnings)
{
    size_t i;
    json_t *warning;
    json_array_foreach((json_t *)(uintptr_t)warnings, i, warning)
    {
        char *text = output_cell(warning, KIND_PLAIN);
        fputs("Warning: ", stderr);
        output_text(stderr, text);
        putc('\n', stderr);
        free(text);
    }
}

int definitions_import(struct ctl *c)
{
    const char *path = c->n_args > 0 ? c->args[0] : "-";
    int status = 0;
    if (!is_json(c))
        return ctl_misused(c, EX_USAGE, "format '%s' is not supported. Please use json",
                           options_text(c->options, OPTION_FORMAT, ""));
    json_t *document = read_document(c, path, &status);
    if (document == NULL)
        return status;
    ctl_say(c, is_stream(path) ? "Importing definitions in JSON from standard input ..."
                               : "Importing definitions in JSON from a file at \"{1}\" ...");
    ctl_set_timeout(c, ctl_timeout_ms(c, PATIENCE_MS));
    bool is_one = options_has(c->options, OPTION_VHOST);
    char *to = is_one ? path_of("definitions", ctl_vhost(c)) : path_of("definitions");
    to = path_query(to, "verbose", "true");
    if (options_has(c->options, OPTION_SKIP_UNCHANGED))
        to = path_query(to, "skip_if_unchanged", "true");
    struct answer a;
    status = ctl_call(c, "POST", to, document, &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0 && a.status >= 400 && a.status < 500) {
        char *reason = ctl_reason(&a);
        status = ctl_fail(c, EX_DATAERR, "%s", reason);
        free(reason);
    } else if (status == 0) {
        status = ctl_refused(c, &a);
    }
    if (status == 0)
        print_warnings(json_object_get(a.json, "warnings"));
    answer_fini(&a);
    if (status == 0 && !c->is_quiet)
        ctl_tell(c, "Successfully imported definitions");
    return ctl_done(c, status);
}
