#include "broker/admin/fetch.h"

#include <string.h>

#include "broker/admin/json.h"
#include "broker/admin/listing.h"
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

bool fetch_limit(struct request *r, struct bytes name, const char *const *names, int64_t *value)
{
    bool is_known = false;
    for (; *names != NULL && !is_known; names++)
        is_known = bytes_equal(name, bytes_of_string(*names));
    const json_t *given = request_member(r, "value");
    if (given == NULL) {
        request_refuse(r, "[{key_missing,value}]");
        return false;
    }
    if (!request_integer(r, "value", value))
        return false;
    if (!is_known)
        request_refuse(r, "Unrecognised terms [{<<\"%.*s\">>,%lld}] in limits", BYTES_ARG(name), (long long)*value);
    return is_known;
}
