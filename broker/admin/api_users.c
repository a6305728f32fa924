#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/credential.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/net/password.h"

static const char *const limits[] = {"max-connections", "max-channels", "max-publish-rate", "max-publish-bytes-rate",
                                     NULL};

/* ---- Lists. */

void users_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_USERS, shape_user}}});
}

void users_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_USERS, shape_user}},
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = listing_answer_one});
}

/* r->before holds the names of those who have permissions. */
static json_t *shape_user_without(struct request *r, json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "name"));
    if (name != NULL && json_object_get(r->before, name) == NULL)
        return shape_user(r, row);
    json_decref(row);
    return NULL;
}

static void on_all_permissions(struct request *r)
{
    const json_t *rows = listing_rows(r);
    r->before = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *user = json_string_value(json_object_get(json_array_get(rows, i), "user"));
        if (user != NULL)
            json_set(r->before, user, json_true());
    }
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_USERS, shape_user_without}}});
}

void users_without_permissions(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PERMISSIONS, shape_as_is}},
                                            .is_by_vhost = true,
                                            .keep = true,
                                            .done = on_all_permissions});
}

static void list_permissions(struct request *r)
{
    listing_begin(r, &(struct listing_plan){
                         .sources = {{INSPECT_PERMISSIONS, shape_as_is}}, .is_by_vhost = true, .name = &r->param[0]});
}

static void list_topic_permissions(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_TOPIC_PERMISSIONS, shape_as_is}},
                                            .is_by_vhost = true,
                                            .name = &r->param[0]});
}

void users_permissions(struct request *r)
{
    fetch_to_go_on(r, INSPECT_USERS, NULL, &r->param[0], list_permissions);
}

void users_topic_permissions(struct request *r)
{
    fetch_to_go_on(r, INSPECT_USERS, NULL, &r->param[0], list_topic_permissions);
}

/* ---- Making and changing. */

/* Adds what logs the user in; false: it was answered. */
static bool set_password(struct request *r, json_t *arguments)
{
    struct bytes password, hash, algorithm;
    if (!request_text(r, "password", &password) || !request_text(r, "password_hash", &hash) ||
        !request_text(r, "hashing_algorithm", &algorithm))
        return false;
    if (password.at != NULL && hash.at != NULL) {
        request_refuse(r, "both_password_and_password_hash_are_provided");
        return false;
    }
    struct bytes ours = bytes_of_string(request_config(r)->hashing_algorithm);
    if (hash.at != NULL && !password_is_hash(algorithm, hash)) {
        request_refuse(r, "[not_base64,%.*s] or no hash of this hashing_algorithm", BYTES_ARG(hash));
        return false;
    }
    char *made = NULL;
    char *refusal = password.at != NULL ? credential_refuse(request_config(r)->credential, password) : NULL;
    if (refusal != NULL) {
        request_refuse(r, "%s", refusal);
        free(refusal);
        return false;
    }
    if (password.len > 0) {
        made = password_make_hash(ours, password);
        if (made == NULL) {
            request_refuse(r, "a password has at most %d bytes", PASSWORD_BYTES_MAX);
            return false;
        }
    }
    if (hash.at != NULL && algorithm.len == 0)
        algorithm = BYTES("rabbit_password_hashing_sha256");
    json_set(arguments, "password_hash", made != NULL ? json_string(made) : json_of_text(hash));
    json_set(arguments, "hashing_algorithm", json_of_text(hash.at != NULL ? algorithm : ours));
    free(made);
    return true;
}

/* "[administrator,monitoring]", as RabbitMQ has it; the caller frees it. */
static char *print_tags(const json_t *tags)
{
    if (!json_is_array(tags))
        return str_format("[%.*s]", BYTES_ARG(json_text(tags)));
    char *text = str_format("[");
    size_t i;
    json_t *tag;
    json_array_foreach(tags, i, tag)
    {
        char *longer = str_format("%s%s%.*s", text, i > 0 ? "," : "", BYTES_ARG(json_text(tag)));
        free(text);
        text = longer;
    }
    char *all = str_format("%s]", text);
    free(text);
    return all;
}

static void log_tags(const struct request *r)
{
    char *text = print_tags(request_member(r, "tags"));
    log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin", "Successfully set user tags for user '%.*s' to %s (%s)",
                 BYTES_ARG(r->param[0]), text, r->actor);
    free(text);
}

static void on_put(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->at[0].outcome == CHANGE_MADE)
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin", "Created user '%.*s' (%s)", BYTES_ARG(r->param[0]), r->actor);
    else if (e->what == DONE && (r->body == NULL || json_object_get(r->body, "password") != NULL ||
                                 json_object_get(r->body, "password_hash") != NULL))
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin", "Successfully changed password for user '%.*s' (%s)",
                     BYTES_ARG(r->param[0]), r->actor);
    if (e->what == DONE)
        log_tags(r);
    request_answer_change(r, e);
}

static void put_user(struct request *r)
{
    json_t *tags = fetch_tags(r, request_member(r, "tags"));
    if (tags == NULL)
        return;
    json_t *arguments = json_object(), *kept = json_object_get(r->before, "limits");
    json_set(arguments, "tags", tags);
    if (kept != NULL)
        json_set(arguments, "limits", json_incref(kept));
    if (!set_password(r, arguments)) {
        json_decref(arguments);
        return;
    }
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_USER, &(struct spec){.name = r->param[0]}, arguments))
        request_alter(r, c, on_put);
}

static void look_before_put(struct request *r)
{
    fetch_before(r, INSPECT_USERS, NULL, &r->param[0], put_user);
}

void users_put(struct request *r)
{
    request_take_turn(r, look_before_put);
}

/* ---- Removing. */

static void on_delete(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->at[0].outcome == CHANGE_REMOVED)
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin", "Deleted user '%.*s' (%s)", BYTES_ARG(r->param[0]), r->actor);
    request_answer_change(r, e);
}

void users_delete(struct request *r)
{
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_USER, &(struct spec){.name = r->param[0]}, NULL))
        request_alter(r, c, on_delete);
}

static void on_bulk_delete(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    const struct change *missing = NULL;
    for (size_t i = 0; i < e->done.changes->n; i++) {
        const struct change *c = &e->done.changes->at[i];
        if (c->outcome == CHANGE_REMOVED)
            log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin", "Deleted user '%.*s' (%s)", BYTES_ARG(c->spec->name),
                         r->actor);
        else if (missing == NULL)
            missing = c;
    }
    if (missing != NULL)
        request_refuse(r, "[no_such_user,%.*s]", BYTES_ARG(missing->spec->name));
    else
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void users_bulk_delete(struct request *r)
{
    const json_t *names = request_member(r, "users");
    if (!json_is_array(names)) {
        request_refuse(r, "[{key_missing,users}]");
        return;
    }
    struct changes *c = changes_create();
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct bytes name = json_text(json_array_get(names, i));
        if (!request_add_change(r, c, CHANGE_REMOVE, DEFINE_USER, &(struct spec){.name = name}, NULL))
            return;
    }
    request_alter(r, c, on_bulk_delete);
}

/* ---- Limits, which are part of the user. */

static json_t *shape_limits(struct request *r, json_t *row)
{
    (void)r;
    json_t *value = json_object_get(row, "limits"), *shown = NULL;
    if (json_object_size(value) > 0) {
        shown = json_object();
        json_set(shown, "user", json_incref(json_object_get(row, "name")));
        json_set(shown, "value", json_incref(value));
    }
    json_decref(row);
    return shown;
}

static void list_limits(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_USERS, shape_limits}},
                                            .name = r->n_params > 0 ? &r->param[0] : NULL});
}

void users_limits(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_USERS, NULL, &r->param[0], list_limits);
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
    if (r->before == NULL) {
        request_not_found(r);
        return;
    }
    json_t *arguments = fetch_rest(r->before), *old = json_object_get(arguments, "limits");
    json_t *new = json_is_object(old) ? json_copy(old) : json_object();
    char name[REQUEST_PATH_NAME_MAX + 1] = {0};
    memcpy(name, r->param[1].at, r->param[1].len);
    bool is_nothing = r->more == 0 && json_object_get(new, name) == NULL;
    if (r->more != 0)
        json_set(new, name, json_integer(r->number));
    else
        json_object_del(new, name);
    json_set(arguments, "limits", new);
    if (is_nothing) {
        json_decref(arguments);
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
        return;
    }
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_USER, &(struct spec){.name = r->param[0]}, arguments))
        request_alter(r, c, on_limit);
}

static void look_before_limit(struct request *r)
{
    fetch_before(r, INSPECT_USERS, NULL, &r->param[0], change_limit);
}

void users_put_limit(struct request *r)
{
    r->more = 1;
    if (fetch_limit(r, r->param[1], limits, &r->number))
        request_take_turn(r, look_before_limit);
}

void users_delete_limit(struct request *r)
{
    request_take_turn(r, look_before_limit);
}
