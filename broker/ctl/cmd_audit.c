/* Who did what: the audit log, the newest first. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { LINES_DEFAULT = 20, PAGE = 1000 };

/* 90s, 30m, 12h, 7d ago as RFC 3339; anything else is a time already.  The caller gives it to free(). */
static char *since_when(const char *text)
{
    static const struct {
        char letter;
        long seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end, stamp[32];
    long n = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end == text || end[0] != units[i].letter || end[1] != '\0' || n < 0 || n > 100000)
            continue;
        time_t then = time(NULL) - n * units[i].seconds;
        struct tm utc;
        gmtime_r(&then, &utc);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
        return str_copy(bytes_of_string(stamp));
    }
    return str_copy(bytes_of_string(text));
}

static char *query(const struct ctl *c, const char *since, const char *next, json_int_t left)
{
    static const struct {
        enum option option;
        const char *name;
    } filters[] = {
        {OPTION_ACTION, "action"}, {OPTION_OBJECT, "object"}, {OPTION_USER, "user"}, {OPTION_VHOST, "vhost"}};
    char n[24];
    char *path = path_of("millrace", "audit");
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (options_has(c->options, filters[i].option))
            path = path_query(path, filters[i].name, options_text(c->options, filters[i].option, ""));
    if (since != NULL)
        path = path_query(path, "since", since);
    if (next != NULL)
        path = path_query(path, "next", next);
    snprintf(n, sizeof n, "%lld", (long long)(left < PAGE ? left : PAGE));
    return path_query(path, "n", n);
}

/* One call; *next is where the next one goes on, or NULL. */
static int print_page(struct ctl *c, struct table *t, const char *since, char **next, json_int_t *left)
{
    struct answer a;
    size_t i;
    json_t *item;
    int status = ctl_call(c, "GET", query(c, since, *next, *left), NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    free(*next);
    *next = NULL;
    json_array_foreach(json_object_get(a.json, "items"), i, item)
    {
        table_row(t, item);
        --*left;
    }
    if (json_is_string(json_object_get(a.json, "next")))
        *next = str_copy(bytes_of_string(ctl_string(a.json, "next")));
    answer_fini(&a);
    return status;
}

int audit_run(struct ctl *c)
{
    static const struct column columns[] = {
        {"time", NULL, KIND_PLAIN},   {"action", NULL, KIND_PLAIN}, {"vhost", NULL, KIND_PLAIN},
        {"object", NULL, KIND_PLAIN}, {"count", NULL, KIND_PLAIN},  {"user", NULL, KIND_PLAIN},
        {"peer", NULL, KIND_PLAIN},   {"result", NULL, KIND_PLAIN}, {"reason", NULL, KIND_PLAIN},
        {"before", NULL, KIND_PLAIN}, {"after", NULL, KIND_PLAIN}};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    const struct column *shown[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        shown[i] = &columns[i];
    json_int_t left = (json_int_t)options_number(c->options, OPTION_LINES, LINES_DEFAULT);
    if (left < 1)
        return ctl_misused(c, EX_USAGE, "--number is how many lines at most");
    const char *given = options_text(c->options, OPTION_SINCE, NULL);
    char *since = given != NULL ? since_when(given) : NULL, *next = NULL;
    bool has_headers = !c->is_silent && !options_has(c->options, OPTION_NO_HEADERS);
    struct table *t = table_create(stdout, c->format, has_headers, shown, COLUMNS);
    int status = 0;
    do {
        status = print_page(c, t, since, &next, &left);
    } while (status == 0 && left > 0 && next != NULL);
    table_destroy(t);
    free(next);
    free(since);
    return status;
}
