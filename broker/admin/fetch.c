#include "broker/admin/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/policy.h"
#include "broker/admin/shape.h"

static void on_before(struct request *r)
{
    request_fn *next = r->fetched;
    json_decref(r->before);
    r->before = json_incref(json_array_get(listing_rows(r), 0));
    next(r);
}

void fetch_before(struct request *r, enum inspection_kind what, const struct bytes *vhost, const struct bytes *name,
                  request_fn *next)
{
    r->fetched = next;
    listing_begin(r, &(struct listing_plan){.sources = {{what, shape_as_is}},
                                            .vhost = vhost,
                                            .name = name,
                                            .or_nothing = true,
                                            .keep = true,
                                            .done = on_before});
}

static void on_there(struct request *r)
{
    if (json_array_size(listing_rows(r)) == 0)
        request_not_found(r);
    else
        r->fetched(r);
}

void fetch_to_go_on(struct request *r, enum inspection_kind what, const struct bytes *vhost, const struct bytes *name,
                    request_fn *next)
{
    r->fetched = next;
    listing_begin(r,
                  &(struct listing_plan){
                      .sources = {{what, shape_as_is}}, .vhost = vhost, .name = name, .keep = true, .done = on_there});
}

static json_t *split(const char *text)
{
    json_t *tags = json_array();
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ","), used = len;
        while (used > 0 && at[used - 1] == ' ')
            used--;
        if (used > 0)
            json_add(tags, json_stringn(at, used));
        at += len;
    }
    return tags;
}

json_t *fetch_tags(struct request *r, const json_t *value)
{
    if (value == NULL)
        return json_array();
    if (json_is_string(value))
        return split(json_string_value(value));
    json_t *tags = json_array();
    bool is_fine = json_is_array(value);
    for (size_t i = 0; is_fine && i < json_array_size(value); i++) {
        json_t *tag = json_array_get(value, i);
        is_fine = json_is_string(tag);
        json_add(tags, json_incref(tag));
    }
    if (is_fine)
        return tags;
    json_decref(tags);
    request_refuse(r, "tags are a list of texts, or one text with commas");
    return NULL;
}

json_t *fetch_rest(json_t *row)
{
    json_t *rest = json_copy(row);
    json_object_del(rest, "name");
    return rest;
}

static bool is_among(struct bytes name, const char *const *names)
{
    while (*names != NULL && !bytes_equal(name, bytes_of_string(*names)))
        names++;
    return *names != NULL;
}

/* Why it is no limit, in RabbitMQ's words; the caller frees it. */
static char *refuse_limit(struct bytes name, const char *const *names, const json_t *value, const char *where)
{
    char *shown = policy_print(value), *why;
    if (!is_among(name, names))
        why = str_format("Unrecognised terms [{<<\"%.*s\">>,%s}] in %s", BYTES_ARG(name), shown, where);
    else
        why = str_format("%.*s should be a number, actually was %s", BYTES_ARG(name), shown);
    free(shown);
    return why;
}

bool fetch_limit(struct request *r, struct bytes name, const char *const *names, int64_t *value)
{
    const json_t *given = r->body != NULL ? json_object_get(r->body, "value") : NULL;
    if (given == NULL) {
        request_refuse(r, "[{key_missing,value}]");
        return false;
    }
    if (is_among(name, names) && json_is_integer(given)) {
        *value = json_integer_value(given);
        return true;
    }
    bool is_of_user = strncmp(r->route->path, "user", strlen("user")) == 0;
    char *why = refuse_limit(name, names, given, is_of_user ? "user-limits" : "limits");
    request_refuse(r, is_of_user ? "%s" : "Validation failed\n\n%s\n", why);
    free(why);
    return false;
}
