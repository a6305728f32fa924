#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/admin/visitor.h"

#define PROTECTED "protected_from_deletion" /* an argument of its definition */

static const char *const limits[] = {"max-connections", "max-queues",       "max-exchanges",          "max-bindings",
                                     "max-queue-bytes", "max-publish-rate", "max-publish-bytes-rate", NULL};

/* ---- Lists. */

void vhosts_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_VHOSTS, shape_vhost}}});
}

void vhosts_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_VHOSTS, shape_vhost}},
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = listing_answer_one});
}

static void list_in(struct request *r, enum inspection_kind what, json_t *(*shape)(struct request *, json_t *))
{
    listing_begin(r, &(struct listing_plan){.sources = {{what, shape}}, .vhost = &r->param[0]});
}

void vhosts_permissions(struct request *r)
{
    list_in(r, INSPECT_PERMISSIONS, shape_as_is);
}

void vhosts_topic_permissions(struct request *r)
{
    list_in(r, INSPECT_TOPIC_PERMISSIONS, shape_as_is);
}

void vhosts_connections(struct request *r)
{
    list_in(r, INSPECT_CONNECTIONS, shape_connection);
}

void vhosts_channels(struct request *r)
{
    list_in(r, INSPECT_CHANNELS, shape_channel);
}

/* ---- Making, changing, removing. */

static void on_put(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->at[0].outcome == CHANGE_MADE) {
        json_t *given = request_member(r, "description"), *tags = request_member(r, "tags");
        char *text = tags != NULL ? json_dumps(tags, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        log_info("admin", "Adding vhost '%.*s' (description: '%s', tags: %s) (%s)", BYTES_ARG(r->param[0]),
                 json_is_string(given) ? json_string_value(given) : "", text != NULL ? text : "[]", r->actor);
        free(text);
    }
    request_answer_change(r, e);
}

static bool is_queue_type(struct bytes word)
{
    static const char *const words[] = {"classic",
                                        "quorum",
                                        "stream",
                                        "undefined",
                                        "rabbit_classic_queue",
                                        "rabbit_quorum_queue",
                                        "rabbit_stream_queue"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (bytes_equal(word, bytes_of_string(words[i])))
            return true;
    return word.len == 0;
}

/* What is absent stays as it is.  NULL: it was answered. */
static json_t *read_vhost(struct request *r)
{
    struct bytes description, type;
    const json_t *tags = request_member(r, "tags");
    bool is_traced = json_is_true(json_object_get(r->before, "tracing"));
    if (!request_text(r, "description", &description) || !request_text(r, "default_queue_type", &type) ||
        !request_flag(r, "tracing", &is_traced))
        return NULL;
    if (!is_queue_type(type)) {
        request_refuse(r, "Unsupported default queue type '%.*s'", BYTES_ARG(type));
        return NULL;
    }
    json_t *all = tags != NULL ? fetch_tags(r, tags) : json_incref(json_object_get(r->before, "tags"));
    if (tags != NULL && all == NULL)
        return NULL;
    json_t *arguments = json_object(), *old = json_object_get(r->before, "description");
    json_set(arguments, "description",
             description.at != NULL || old == NULL ? json_of_text(description) : json_incref(old));
    json_set(arguments, "tags", all != NULL ? all : json_array());
    old = json_object_get(r->before, "default_queue_type");
    if (type.len > 0 && !bytes_equal(type, BYTES("undefined")))
        json_set(arguments, "default_queue_type", json_of_text(type));
    else if (type.at == NULL && old != NULL)
        json_set(arguments, "default_queue_type", json_incref(old));
    if (is_traced)
        json_set(arguments, "tracing", json_true());
    if (json_is_true(json_object_get(r->before, PROTECTED)))
        json_set(arguments, PROTECTED, json_true());
    return arguments;
}

/* Whoever makes a virtual host has all rights in it.  False: it was answered. */
static bool let_in(struct request *r, struct changes *c)
{
    if (r->visitor == NULL || r->before != NULL)
        return true;
    json_t *rights = json_object();
    json_set(rights, "configure", json_string(".*"));
    json_set(rights, "write", json_string(".*"));
    json_set(rights, "read", json_string(".*"));
    const struct spec who = {.vhost = r->param[0], .name = r->visitor->name};
    return request_add_change(r, c, CHANGE_PUT, DEFINE_PERMISSION, &who, rights);
}

static void put_vhost(struct request *r)
{
    json_t *arguments = read_vhost(r);
    if (arguments == NULL)
        return;
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_VHOST, &(struct spec){.name = r->param[0]}, arguments) &&
        let_in(r, c))
        request_alter(r, c, on_put);
}

static void look_before_put(struct request *r)
{
    fetch_before(r, INSPECT_VHOSTS, NULL, &r->param[0], put_vhost);
}

void vhosts_put(struct request *r)
{
    request_take_turn(r, look_before_put);
}

static void on_delete(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->at[0].outcome == CHANGE_REMOVED)
        log_info("admin", "Deleting vhost '%.*s' (%s)", BYTES_ARG(r->param[0]), r->actor);
    request_answer_change(r, e);
}

static void delete_vhost(struct request *r)
{
    if (json_is_true(json_object_get(r->before, PROTECTED))) {
        request_fail(r, HTTP_STATUS_PRECONDITION, "precondition_failed",
                     "Cannot delete virtual host '%.*s' because it is protected from deletion", BYTES_ARG(r->param[0]));
        return;
    }
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_VHOST, &(struct spec){.name = r->param[0]}, NULL))
        request_alter(r, c, on_delete);
}

static void look_before_delete(struct request *r)
{
    fetch_before(r, INSPECT_VHOSTS, NULL, &r->param[0], delete_vhost);
}

void vhosts_delete(struct request *r)
{
    request_take_turn(r, look_before_delete);
}

/* ---- Protection: r->more says whether it is set.  Its other arguments stay what they are. */

static void on_protection(struct request *r, struct event *e)
{
    if (request_is_done(r, e))
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void set_protection(struct request *r)
{
    json_t *arguments = r->before != NULL ? read_vhost(r) : NULL;
    if (r->before == NULL) {
        request_not_found(r);
        return;
    }
    if (arguments == NULL)
        return;
    json_object_del(arguments, PROTECTED);
    if (r->more != 0)
        json_set(arguments, PROTECTED, json_true());
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_VHOST, &(struct spec){.name = r->param[0]}, arguments))
        request_alter(r, c, on_protection);
}

static void look_before_protection(struct request *r)
{
    fetch_before(r, INSPECT_VHOSTS, NULL, &r->param[0], set_protection);
}

void vhosts_protect(struct request *r)
{
    r->more = 1;
    request_take_turn(r, look_before_protection);
}

void vhosts_unprotect(struct request *r)
{
    request_take_turn(r, look_before_protection);
}

/* ---- Limits: one parameter with both. */

static json_t *shape_limits(struct request *r, json_t *row)
{
    json_t *shown = NULL;
    (void)r;
    json_t *value = json_object_get(row, "value");
    if (bytes_equal(json_text_in(row, "component"), BYTES("vhost-limits")) && json_object_size(value) > 0) {
        shown = json_object();
        json_set(shown, "vhost", json_incref(json_object_get(row, "vhost")));
        json_set(shown, "value", json_incref(value));
    }
    json_decref(row);
    return shown;
}

static void list_limits(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_limits}},
                                            .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

void vhosts_limits(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], list_limits);
    else
        list_limits(r);
}

static void on_limit(struct request *r, struct event *e)
{
    if (request_is_done(r, e))
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

/* r->more: 1 is to set it to r->number, 0 to take it away. */
static void change_limit(struct request *r)
{
    const json_t *row = json_array_get(listing_rows(r), 0);
    const json_t *old = json_object_get(row, "value");
    json_t *new = json_object(), *copy = old != NULL ? json_deep_copy(old) : NULL;
    char name[REQUEST_PATH_NAME_MAX + 1] = {0};
    memcpy(name, r->param[1].at, r->param[1].len);
    if (copy != NULL)
        json_object_update(new, copy);
    json_decref(copy);
    if (r->more != 0)
        json_set(new, name, json_integer(r->number));
    else
        json_object_del(new, name);
    bool is_empty = json_object_size(new) == 0;
    json_t *arguments = NULL;
    if (!is_empty) {
        arguments = json_object();
        json_set(arguments, "value", json_incref(new));
    }
    json_decref(new);
    struct changes *c = changes_create();
    const struct spec spec = {.vhost = r->param[0], .type = BYTES("vhost-limits"), .name = BYTES("limits")};
    if (request_add_change(r, c, is_empty ? CHANGE_REMOVE : CHANGE_PUT, DEFINE_PARAMETER, &spec, arguments))
        request_alter(r, c, on_limit);
}

static void look_at_limits(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_limits}},
                                            .vhost = &r->param[0],
                                            .keep = true,
                                            .done = change_limit});
}

static void look_before_limit(struct request *r)
{
    fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], look_at_limits);
}

void vhosts_put_limit(struct request *r)
{
    r->more = 1;
    if (fetch_limit(r, r->param[1], limits, &r->number))
        request_take_turn(r, look_before_limit);
}

void vhosts_delete_limit(struct request *r)
{
    request_take_turn(r, look_before_limit);
}
