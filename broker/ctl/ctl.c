#define _GNU_SOURCE
#include "broker/ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/ctl/command.h"

static const char *const DEFAULT_DIR = "/var/lib/millrace";
enum { DEFAULT_TIMEOUT_MS = 60000 };

/* ---- Beginning and end. */

static const char *environment(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static char *node_name(const struct options *o)
{
    const char *given = options_text(o, OPTION_NODE, environment("RABBITMQ_NODENAME"));
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        memcpy(host, "localhost", sizeof "localhost");
    int len = (int)strcspn(host, ".");
    if (given == NULL)
        return str_format("rabbit@%.*s", len, host);
    return strchr(given, '@') != NULL ? str_format("%s", given) : str_format("%s@%.*s", given, len, host);
}

/* The rule of the broker's data_dir, when its configuration says nothing. */
static char *data_dir(const struct options *o)
{
    const char *given = options_text(o, OPTION_DATA_DIR, environment("MILLRACE_DATA_DIR"));
    if (given != NULL)
        return str_format("%s", given);
    if (geteuid() == 0 || access(DEFAULT_DIR, W_OK) == 0)
        return str_format("%s", DEFAULT_DIR);
    const char *state = environment("XDG_STATE_HOME"), *home = environment("HOME");
    if (state != NULL && state[0] == '/')
        return str_format("%s/millrace", state);
    return home != NULL && home[0] == '/' ? str_format("%s/.local/state/millrace", home) : NULL;
}

bool ctl_init(struct ctl *c, const char *tool, const struct options *o)
{
    *c = (struct ctl){.tool = tool, .options = o, .args = (const char **)(uintptr_t)&o->words[o->n_words > 0]};
    c->n_args = o->n_words > 0 ? o->n_words - 1 : 0;
    c->is_silent = options_has(o, OPTION_SILENT);
    c->is_quiet = c->is_silent || options_has(o, OPTION_QUIET);
    c->node = node_name(o);
    c->data_dir = data_dir(o);
    const char *path = options_text(o, OPTION_SOCKET, NULL);
    bool has_url = path == NULL && (options_has(o, OPTION_URL) || environment("MILLRACECTL_URL") != NULL) &&
                   !options_has(o, OPTION_DATA_DIR);
    if (!has_url && (path != NULL || c->data_dir != NULL))
        c->socket = path != NULL ? str_format("%s", path) : str_format("%s/control.sock", c->data_dir);
    c->timeout_ms = ctl_timeout_ms(c, DEFAULT_TIMEOUT_MS);
    if (!format_read(options_text(o, OPTION_FORMATTER, "table"), &c->format)) {
        fprintf(stderr,
                "Error (argument validation): there is no formatter '%s'.  Use one of: table, json, csv, "
                "pretty_table\n",
                options_text(o, OPTION_FORMATTER, ""));
        return false;
    }
    return true;
}

void ctl_fini(struct ctl *c)
{
    client_destroy(c->client);
    free(c->node);
    free(c->data_dir);
    free(c->socket);
    *c = (struct ctl){0};
}

const char *ctl_vhost(const struct ctl *c)
{
    return options_text(c->options, OPTION_VHOST, "/");
}

long ctl_timeout_ms(const struct ctl *c, long otherwise)
{
    double seconds = options_number(c->options, OPTION_TIMEOUT, (double)otherwise / 1000);
    return seconds > 0 && seconds < 1e9 ? (long)(seconds * 1000) : otherwise;
}

static struct client *client_of(struct ctl *c)
{
    if (c->client != NULL)
        return c->client;
    const struct options *o = c->options;
    struct client_config config = {
        .socket = c->socket,
        .url = options_text(o, OPTION_URL, environment("MILLRACECTL_URL")),
        .user = options_text(o, OPTION_USERNAME, environment("MILLRACECTL_USER")),
        .password = options_text(o, OPTION_PASSWORD, environment("MILLRACECTL_PASSWORD")),
        .timeout_ms = c->timeout_ms,
    };
    if (config.url == NULL && config.socket == NULL)
        config.socket = "control.sock";
    c->client = client_create(&config);
    return c->client;
}

void ctl_set_timeout(struct ctl *c, long ms)
{
    client_destroy(c->client);
    c->client = NULL;
    c->timeout_ms = ms;
}

/* ---- Calls. */

enum client_error ctl_try(struct ctl *c, const char *method, char *path, json_t *body, struct answer *a)
{
    struct request r = {.method = method, .path = path, .body = body, .reason = c->reason};
    enum client_error error = client_call(client_of(c), &r, a);
    json_decref(body);
    free(path);
    return error;
}

enum client_error ctl_try_as(struct ctl *c, const char *user, const char *password, char *path, struct answer *a)
{
    struct request r = {.method = "GET", .path = path, .user = user, .password = password};
    enum client_error error = client_call(client_of(c), &r, a);
    free(path);
    return error;
}

int ctl_unreachable(struct ctl *c, enum client_error error)
{
    const char *problem = c->client == NULL ? "" : client_problem(c->client);
    switch (error) {
    case CLIENT_OK:
        return 0;
    case CLIENT_TIMEOUT:
        fprintf(stderr, "Error: operation %s on node %s timed out. Timeout value used: %ld\n", c->command->name,
                c->node, c->timeout_ms);
        return EX_TIMEOUT;
    case CLIENT_TOO_LARGE:
        return ctl_fail(c, EX_SOFTWARE, "the answer is larger than this tool takes");
    case CLIENT_NONSENSE:
        return ctl_fail(c, EX_SOFTWARE, "the answer cannot be understood: is this the HTTP API of a broker?");
    case CLIENT_UNREACHABLE:
        break;
    }
    fprintf(stderr,
            "Error: unable to perform an operation on node '%s'. Please see diagnostics information and "
            "suggestions below.\n\n",
            c->node);
    if (c->socket != NULL)
        fprintf(stderr,
                " * There is no broker at %s: %s\n"
                " * Is it running, with this data_dir (--data-dir), and may this user open its socket?\n",
                c->socket, problem);
    else
        fprintf(stderr, " * %s\n * Is the URL that of the broker's HTTP API (--url http://host:15672)?\n", problem);
    return EX_UNAVAILABLE;
}

/* 0: the caller looks at it. */
static int judge(struct ctl *c, enum client_error error, const struct answer *a)
{
    if (error != CLIENT_OK)
        return ctl_unreachable(c, error);
    if (a->status == 401) {
        char *reason = ctl_reason(a);
        int status = ctl_fail(c, EX_NOPERM, "the broker refuses this login: %s", reason);
        free(reason);
        return status;
    }
    if (a->status >= 500 && a->status != 503)
        return ctl_fail(c, EX_SOFTWARE, "the broker failed to answer (HTTP status %ld)", a->status);
    return 0;
}

/* As judge(): takes path and body. */
static int refuse_gap(struct ctl *c, char *path, json_t *body, struct answer *a)
{
    *a = (struct answer){0};
    json_decref(body);
    free(path);
    return ctl_fail(c, EX_DATAERR, "Bad argument: a name cannot be an empty string");
}

int ctl_call(struct ctl *c, const char *method, char *path, json_t *body, struct answer *a)
{
    if (!path_is_whole(path))
        return refuse_gap(c, path, body, a);
    enum client_error error = ctl_try(c, method, path, body, a);
    return judge(c, error, a);
}

int ctl_each(struct ctl *c, char *path, client_each_fn *each, void *arg, struct answer *a)
{
    if (!path_is_whole(path))
        return refuse_gap(c, path, NULL, a);
    struct request r = {.method = "GET", .path = path};
    enum client_error error = client_each(client_of(c), &r, a, each, arg);
    free(path);
    return judge(c, error, a);
}

char *ctl_reason(const struct answer *a)
{
    const json_t *reason = json_object_get(a->json, "reason");
    if (reason == NULL)
        reason = json_object_get(a->json, "error");
    if (reason == NULL)
        return str_format("HTTP status %ld", a->status);
    return output_cell(reason, KIND_PLAIN);
}

int ctl_refused(struct ctl *c, const struct answer *a)
{
    if (a->status >= 200 && a->status < 300)
        return 0;
    char *reason = ctl_reason(a);
    int status = ctl_fail(c, EX_UNAVAILABLE, "%s", reason);
    free(reason);
    return status;
}

bool ctl_is_unknown(const struct answer *a)
{
    return a->status == 404 || a->status == 405;
}

int ctl_do(struct ctl *c, const char *method, char *path, json_t *body)
{
    struct answer a;
    int status = ctl_call(c, method, path, body, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return status;
}

int ctl_delete(struct ctl *c, char *path, int missing_status, const char *missing)
{
    struct answer a;
    int status = ctl_call(c, "DELETE", path, NULL, &a);
    if (status == 0 && a.status == 404)
        status = missing == NULL ? 0 : ctl_fail(c, missing_status, "%s", missing);
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return status;
}

int ctl_need_vhost(struct ctl *c, const char *vhost)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_query(path_of("vhosts", vhost), "columns", "name"), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail_bare(c, EX_DATAERR, "Virtual host '%s' does not exist", vhost);
    answer_fini(&a);
    return status;
}

int ctl_need_user(struct ctl *c, const char *user)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_of("users", user), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_NOUSER, "User \"%s\" does not exist", user);
    answer_fini(&a);
    return status;
}

/* ---- What is said. */

void ctl_announce(const struct ctl *c)
{
    bool is_first = !(c->command->flags & COMMAND_CHECKS) || options_has(c->options, OPTION_DRY_RUN);
    if (c->command->banner != NULL && is_first)
        ctl_say(c, c->command->banner);
}

static bool is_for_programs(const struct ctl *c)
{
    return c->format == FORMAT_JSON || c->format == FORMAT_CSV;
}

/* Prints what stands in braces, and answers what follows it. */
static const char *print_part(const struct ctl *c, const char *open)
{
    const char *close = strchr(open, '}');
    size_t n = (size_t)(close - open) - 1;
    const char *name = open + 1;
    if (n == 1 && isdigit((unsigned char)name[0])) {
        size_t i = (size_t)(name[0] - '1');
        output_text(stdout, i < c->n_args ? c->args[i] : "");
    } else if (n == 5 && strncmp(name, "rest", 4) == 0) {
        for (size_t i = (size_t)(name[4] - '1'), first = i; i < c->n_args; i++) {
            fputs(i > first ? ", " : "", stdout);
            output_text(stdout, c->args[i]);
        }
    } else if (strncmp(name, "vhost", n) == 0) {
        output_text(stdout, ctl_vhost(c));
    } else if (strncmp(name, "node", n) == 0) {
        output_text(stdout, c->node);
    } else if (strncmp(name, "lines", n) == 0) {
        printf("%.0f", options_number(c->options, OPTION_LINES, LOG_TAIL_LINES));
    } else {
        printf("%.1f", (double)c->timeout_ms / 1000);
    }
    return close + 1;
}

void ctl_say(const struct ctl *c, const char *text)
{
    if (c->is_quiet || is_for_programs(c))
        return;
    while (*text != '\0') {
        if (*text == '{')
            text = print_part(c, text);
        else
            putchar(*text++);
    }
    putchar('\n');
}

/* printf to f, with what could harm a terminal shown; line ends stay. */
__attribute__((format(printf, 2, 0))) static void print_safely(FILE *f, const char *format, va_list args)
{
    char *text = NULL, *line, *rest;
    if (vasprintf(&text, format, args) < 0)
        return;
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL) {
        output_text(f, line);
        putc('\n', f);
    }
    free(text);
}

void ctl_tell(const struct ctl *c, const char *format, ...)
{
    if (is_for_programs(c))
        return;
    va_list args;
    va_start(args, format);
    print_safely(stdout, format, args);
    va_end(args);
}

int ctl_fail(const struct ctl *c, int status, const char *format, ...)
{
    (void)c;
    fflush(stdout);
    fputs("Error:\n", stderr);
    va_list args;
    va_start(args, format);
    print_safely(stderr, format, args);
    va_end(args);
    return status;
}

int ctl_fail_bare(const struct ctl *c, int status, const char *format, ...)
{
    (void)c;
    fflush(stdout);
    va_list args;
    va_start(args, format);
    print_safely(stderr, format, args);
    va_end(args);
    return status;
}

int ctl_misused(const struct ctl *c, int status, const char *format, ...)
{
    fflush(stdout);
    fputs("Error (argument validation): ", stderr);
    va_list args;
    va_start(args, format);
    print_safely(stderr, format, args);
    va_end(args);
    fputs("\nUsage\n\n", stderr);
    command_print_usage(stderr, c->tool, c->command);
    return status;
}

int ctl_done(const struct ctl *c, int status)
{
    if (status == 0 && c->format == FORMAT_JSON)
        return ctl_print_json(c, json_pack("{s:s, s:s}", "node", c->node, "result", "ok"));
    return status;
}

int ctl_print_json(const struct ctl *c, json_t *value)
{
    (void)c;
    output_json(stdout, value);
    json_decref(value);
    return 0;
}

/* ---- Small things. */

long ctl_count(const char *word)
{
    char *end;
    errno = 0;
    long n = strtol(word, &end, 10);
    return errno == 0 && end != word && *end == '\0' && n >= 0 ? n : -1;
}

const char *ctl_string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

json_t *ctl_read_json(struct ctl *c, const char *word, int *status)
{
    json_error_t error;
    json_t *value = json_loads(word, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        *status = ctl_fail(c, EX_UNAVAILABLE, "JSON decoding error. Reason: %s", error.text);
    return value;
}

void ctl_sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

int64_t ctl_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
