/* What an import of a file of definitions would change: each object of the file against the broker's own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { KEYS_MAX = 6, EX_DIFFERENT = 1 };

/* What makes an object of that list the same as another. */
static const struct {
    const char *list, *what;
    const char *keys[KEYS_MAX + 1];
} kinds[] = {
    {"vhosts", "vhost", {"name"}},
    {"users", "user", {"name"}},
    {"permissions", "permission", {"user", "vhost"}},
    {"topic_permissions", "topic permission", {"user", "vhost", "exchange"}},
    {"global_parameters", "global parameter", {"name"}},
    {"parameters", "parameter", {"component", "name", "vhost"}},
    {"policies", "policy", {"name", "vhost"}},
    {"exchanges", "exchange", {"name", "vhost"}},
    {"queues", "queue", {"name", "vhost"}},
    {"bindings", "binding", {"source", "destination", "destination_type", "routing_key", "arguments", "vhost"}},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct diff {
    struct ctl *c;
    json_t *created, *changed, *only_here; /* owned: arrays of texts */
};

/* "queue q /": found by that among the broker's own; the caller frees it. */
static char *name_of(size_t kind, const json_t *object)
{
    char *name = str_copy(bytes_of_string(kinds[kind].what));
    for (size_t i = 0; kinds[kind].keys[i] != NULL; i++) {
        json_t *value = json_object_get(object, kinds[kind].keys[i]);
        char *text = json_is_string(value) ? str_format("'%s'", json_string_value(value))
                     : value != NULL       ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)
                                           : str_copy(BYTES("''"));
        char *longer = str_format("%s %s", name, text);
        free(text);
        free(name);
        name = longer;
    }
    return name;
}

/* Tags may be a list, or a text with commas. */
static bool are_same_tags(const json_t *text, const json_t *list)
{
    char *joined = str_copy(BYTES(""));
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *longer = str_format("%s%s%s", joined, i > 0 ? "," : "", json_string_value(json_array_get(list, i)));
        free(joined);
        joined = longer;
    }
    bool are_same = json_is_string(text) && json_is_array(list) && strcmp(json_string_value(text), joined) == 0;
    free(joined);
    return are_same;
}

/* Members of the file's object that are otherwise here; what it does not say does not count.  The caller frees it. */
static char *differences(const json_t *wanted, const json_t *is)
{
    const char *key;
    json_t *value;
    char *all = str_copy(BYTES(""));
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
    {
        const json_t *here = json_object_get(is, key);
        if (json_equal(value, here) || (here == NULL && json_is_null(value)) ||
            (strcmp(key, "tags") == 0 && are_same_tags(value, here)))
            continue;
        char *before = here != NULL ? output_cell(here, KIND_TEXT) : str_copy(BYTES("nothing"));
        char *after = output_cell(value, KIND_TEXT);
        char *longer = str_format("%s%s %s: %s -> %s", all, all[0] != '\0' ? "," : "", key, before, after);
        free(before);
        free(after);
        free(all);
        all = longer;
    }
    return all;
}

static void add(json_t *list, const char *name, const char *more)
{
    char *text = str_format("%s%s%s", name, more[0] != '\0' ? ":" : "", more);
    json_array_append_new(list, json_string(text));
    free(text);
}

static void compare_kind(struct diff *d, size_t kind, const json_t *file, const json_t *broker)
{
    size_t i;
    json_t *object, *wanted = json_object_get(file, kinds[kind].list);
    const char *name;
    if (wanted == NULL)
        return;
    json_t *here = json_object();
    json_array_foreach(json_object_get(broker, kinds[kind].list), i, object)
    {
        char *its = name_of(kind, object);
        json_object_set(here, its, object);
        free(its);
    }
    json_array_foreach(wanted, i, object)
    {
        char *its = name_of(kind, object);
        json_t *is = json_object_get(here, its);
        char *more = is != NULL ? differences(object, is) : NULL;
        if (is == NULL)
            add(d->created, its, "");
        else if (more[0] != '\0')
            add(d->changed, its, more);
        json_object_del(here, its);
        free(more);
        free(its);
    }
    json_object_foreach(here, name, object)
    {
        add(d->only_here, name, "");
    }
    json_decref(here);
}

static void tell(const struct diff *d, const char *sign, const json_t *list)
{
    size_t i;
    json_t *text;
    json_array_foreach((json_t *)(uintptr_t)list, i, text)
    {
        ctl_tell(d->c, "%s %s", sign, json_string_value(text));
    }
}

static int compare(struct ctl *c, const json_t *file, const json_t *broker)
{
    struct diff d = {.c = c, .created = json_array(), .changed = json_array(), .only_here = json_array()};
    for (size_t kind = 0; kind < KINDS; kind++)
        compare_kind(&d, kind, file, broker);
    bool is_same = json_array_size(d.created) + json_array_size(d.changed) == 0;
    tell(&d, "+", d.created);
    tell(&d, "~", d.changed);
    tell(&d, "=", d.only_here);
    if (c->format == FORMAT_JSON)
        return ctl_print_json(c, json_pack("{s:o, s:o, s:o}", "created", d.created, "changed", d.changed, "only_here",
                                           d.only_here)) != 0 ||
               !is_same;
    json_decref(d.created);
    json_decref(d.changed);
    json_decref(d.only_here);
    return is_same ? 0 : EX_DIFFERENT;
}

int definitions_diff(struct ctl *c)
{
    struct answer a;
    json_error_t error;
    const char *path = c->args[0];
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL)
        return ctl_fail(c, EX_DATAERR, "%s: %s", path, strerror(errno)); // NOLINT(concurrency-mt-unsafe): one thread
    json_t *file = json_loadf(f, 0, &error);
    if (f != stdin)
        fclose(f);
    if (!json_is_object(file)) {
        json_decref(file);
        return ctl_fail(c, EX_DATAERR, "%s:%d:%d: %s", path, error.line, error.column,
                        file != NULL ? "an object is wanted" : error.text);
    }
    bool is_one = options_has(c->options, OPTION_VHOST);
    int status = ctl_call(c, "GET", is_one ? path_of("definitions", ctl_vhost(c)) : path_of("definitions"), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0)
        status = compare(c, file, a.json);
    json_decref(file);
    answer_fini(&a);
    return status;
}
