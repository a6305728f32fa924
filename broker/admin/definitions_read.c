#include "broker/admin/definitions_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/options.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/port/definition.h"

enum { SAID_MAX = 2048 /* bytes of what is said about an object */ };

/* "queues[3] ('q' in vhost '/')" */
static char *describe(const struct reader *r)
{
    const json_t *name = json_object_get(r->object, "name"), *vhost = json_object_get(r->object, "vhost");
    if (name == NULL)
        name = json_object_get(r->object, "user");
    if (name == NULL)
        name = json_object_get(r->object, "source");
    if (!json_is_string(name))
        return str_format("%s[%zu]", r->section, r->index);
    if (!json_is_string(vhost))
        return str_format("%s[%zu] ('%.*s')", r->section, r->index, BYTES_ARG(json_text(name)));
    return str_format("%s[%zu] ('%.*s' in vhost '%.*s')", r->section, r->index, BYTES_ARG(json_text(name)),
                      BYTES_ARG(json_text(vhost)));
}

/* The caller frees it. */
__attribute__((format(printf, 2, 0))) static char *say(const struct reader *r, const char *format, va_list more)
{
    char said[SAID_MAX];
    vsnprintf(said, sizeof said, format, more);
    char *what = describe(r), *text = str_format("%s: %s", what, said);
    free(what);
    return text;
}

bool reader_fail(struct reader *r, const char *format, ...)
{
    va_list more;
    if (r->error != NULL)
        return false;
    va_start(more, format);
    r->error = say(r, format, more);
    va_end(more);
    return false;
}

void reader_warn(struct reader *r, const char *format, ...)
{
    va_list more;
    va_start(more, format);
    char *text = say(r, format, more);
    va_end(more);
    if (r->options->warn != NULL)
        r->options->warn(r->options->arg, text);
    else
        log_warning("definitions", "%s", text);
    free(text);
}

json_t *reader_member(struct reader *r, const char *key)
{
    json_t *value = json_object_get(r->object, key);
    return json_is_null(value) ? NULL : value;
}

struct bytes reader_text(struct reader *r, const char *key)
{
    const json_t *value = json_object_get(r->object, key);
    struct bytes text = json_text(value);
    if (value == NULL)
        reader_fail(r, "\"%s\" is missing", key);
    else if (!json_is_string(value))
        reader_fail(r, "\"%s\" must be text", key);
    else if (text.len > DEFINITION_NAME_MAX)
        reader_fail(r, "\"%s\" has more than %d bytes", key, DEFINITION_NAME_MAX);
    else
        return text;
    return (struct bytes){0};
}

struct bytes reader_name(struct reader *r, const char *key)
{
    struct bytes name = reader_text(r, key);
    if (name.len == 0)
        reader_fail(r, "\"%s\" is empty", key);
    return name;
}

struct bytes reader_vhost(struct reader *r)
{
    if (r->vhost != NULL)
        return *r->vhost;
    if (json_object_get(r->object, "vhost") == NULL)
        reader_fail(r,
                    "\"vhost\" is missing; if this is the export of one virtual host, it has to be imported into one");
    return reader_name(r, "vhost");
}

bool reader_flag(struct reader *r, const char *key, bool otherwise)
{
    const json_t *value = reader_member(r, key);
    bool is_true = json_is_true(value) || bytes_equal(json_text(value), BYTES("true"));
    if (value == NULL)
        return otherwise;
    if (!is_true && !json_is_false(value) && !bytes_equal(json_text(value), BYTES("false")))
        reader_fail(r, "\"%s\" must be true or false", key);
    return is_true;
}

json_t *reader_object(struct reader *r, const char *key)
{
    json_t *value = reader_member(r, key);
    if (value == NULL || (json_is_array(value) && json_array_size(value) == 0))
        return json_object();
    if (json_is_object(value))
        return json_incref(value);
    reader_fail(r, "\"%s\" must be an object", key);
    return NULL;
}

/* Adds the words between commas, without the spaces around them. */
static void split(json_t *words, struct bytes text)
{
    const char *at = (const char *)text.at, *end = at + text.len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *next = comma != NULL ? comma : end, *last = next;
        while (at < last && *at == ' ')
            at++;
        while (at < last && last[-1] == ' ')
            last--;
        if (at < last)
            json_add(words, json_of_text(bytes_of(at, (size_t)(last - at))));
        at = next + 1;
    }
}

json_t *reader_words(struct reader *r, const char *key)
{
    json_t *value = reader_member(r, key), *word, *words = json_array();
    size_t i;
    if (json_is_string(value))
        split(words, json_text(value));
    else if (json_is_array(value))
        json_array_foreach(value, i, word)
        {
            if (!json_is_string(word))
                reader_fail(r, "\"%s\" must be words", key);
            else
                json_add(words, json_incref(word));
        }
    else if (value != NULL)
        reader_fail(r, "\"%s\" must be words", key);
    return words;
}

/* The arguments of a queue are options. */
static bool read_options(struct reader *r, struct spec *spec)
{
    char *why = options_read_queue(spec, spec->vhost);
    if (why != NULL)
        reader_fail(r, "%s", why);
    free(why);
    return r->error == NULL;
}

void reader_put(struct reader *r, enum definition_class what, const struct spec *spec, json_t *arguments)
{
    struct spec whole = *spec;
    char *why = NULL;
    void *table = r->error == NULL ? json_make_table(arguments, &whole.arguments, &why) : NULL;
    if (why != NULL)
        reader_fail(r, "%s", why);
    free(why);
    json_decref(arguments);
    if (table != NULL && r->out->n == CHANGES_MAX)
        reader_fail(r, "more than %d objects", CHANGES_MAX);
    if (table != NULL && r->error == NULL && (what != DEFINE_QUEUE || read_options(r, &whole)))
        changes_add(r->out, CHANGE_PUT, what, spec_create(&whole));
    free(table);
}
