#include <stdlib.h>

#include "base/log.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/admin/topology.h"

/* Paths are …/{v}/{u} and …/{v}/{u}/{x}. */

void permissions_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PERMISSIONS, shape_as_is}}, .is_by_vhost = true});
}

void permissions_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PERMISSIONS, shape_as_is}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1],
                                            .keep = true,
                                            .done = listing_answer_one});
}

/* The members that must be there; NULL: it was answered. */
static json_t *read_rights(struct request *r, const char *const *names)
{
    json_t *rights = json_object();
    for (; *names != NULL; names++) {
        struct bytes text;
        if (!request_need_text(r, *names, &text)) {
            json_decref(rights);
            return NULL;
        }
        json_set(rights, *names, json_of_text(text));
    }
    return rights;
}

/* True: one of the two that it is about is not there, and it was answered. */
static bool lacks_somebody(struct request *r, const struct event *e)
{
    if (e->what != FAILED || (e->failed.reason != NO_SUCH_VHOST && e->failed.reason != NO_SUCH_USER))
        return false;
    request_refuse(r, "vhost_or_user_not_found");
    return true;
}

static void on_put(struct request *r, struct event *e)
{
    if (lacks_somebody(r, e))
        return;
    if (e->what == DONE)
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin",
                     "Successfully set permissions for user '%.*s' in virtual host '%.*s' to '%s', '%s', '%s' (%s)",
                     BYTES_ARG(r->param[1]), BYTES_ARG(r->param[0]),
                     json_string_value(json_object_get(r->body, "configure")),
                     json_string_value(json_object_get(r->body, "write")),
                     json_string_value(json_object_get(r->body, "read")), r->actor);
    request_answer_change(r, e);
}

static void put(struct request *r)
{
    static const char *const names[] = {"configure", "write", "read", NULL};
    json_t *rights = request_has_all(r, names) ? read_rights(r, names) : NULL;
    if (rights == NULL)
        return;
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_PERMISSION,
                           &(struct spec){.vhost = r->param[0], .name = r->param[1]}, rights))
        request_alter(r, c, on_put);
}

/* What they were before is for the audit log. */
void permissions_put(struct request *r)
{
    fetch_before(r, INSPECT_PERMISSIONS, &r->param[0], &r->param[1], put);
}

static void on_delete(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->at[0].outcome == CHANGE_REMOVED)
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin",
                     "Successfully cleared permissions for user '%.*s' in virtual host '%.*s' (%s)",
                     BYTES_ARG(r->param[1]), BYTES_ARG(r->param[0]), r->actor);
    request_answer_change(r, e);
}

static void delete (struct request *r)
{
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_PERMISSION,
                           &(struct spec){.vhost = r->param[0], .name = r->param[1]}, NULL))
        request_alter(r, c, on_delete);
}

void permissions_delete(struct request *r)
{
    fetch_before(r, INSPECT_PERMISSIONS, &r->param[0], &r->param[1], delete);
}

/* ---- Topic permissions. */

void topic_permissions_list(struct request *r)
{
    listing_begin(r,
                  &(struct listing_plan){.sources = {{INSPECT_TOPIC_PERMISSIONS, shape_as_is}}, .is_by_vhost = true});
}

/* Of one exchange, if the path names one. */
static json_t *shape_chosen(struct request *r, json_t *row)
{
    if (r->n_params < 3 || bytes_equal(json_text_in(row, "exchange"), topology_exchange(r->param[2])))
        return row;
    json_decref(row);
    return NULL;
}

static void on_chosen(struct request *r)
{
    if (json_array_size(listing_rows(r)) == 0)
        request_not_found(r);
    else
        request_reply(r, HTTP_STATUS_OK, json_incref(listing_rows(r)));
}

static void list_chosen(struct request *r, request_fn *done)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_TOPIC_PERMISSIONS, shape_chosen}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1],
                                            .keep = true,
                                            .done = done});
}

void topic_permissions_get(struct request *r)
{
    list_chosen(r, on_chosen);
}

static void on_topic_put(struct request *r, struct event *e)
{
    if (lacks_somebody(r, e))
        return;
    if (e->what == DONE)
        log_write_in(
            LOG_USER, LOG_INFO_LEVEL, "admin",
            "Successfully set topic permissions on '%s' for user '%.*s' in virtual host '%.*s' to '%s', '%s' (%s)",
            json_string_value(json_object_get(r->body, "exchange")), BYTES_ARG(r->param[1]), BYTES_ARG(r->param[0]),
            json_string_value(json_object_get(r->body, "write")), json_string_value(json_object_get(r->body, "read")),
            r->actor);
    request_answer_change(r, e);
}

void topic_permissions_put(struct request *r)
{
    static const char *const names[] = {"exchange", "write", "read", NULL};
    struct bytes exchange;
    if (!request_has_all(r, names) || !request_need_text(r, "exchange", &exchange))
        return;
    json_t *rights = read_rights(r, names + 1);
    if (rights == NULL)
        return;
    struct changes *c = changes_create();
    const struct spec spec = {.vhost = r->param[0], .name = r->param[1], .key = topology_exchange(exchange)};
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, &spec, rights))
        request_alter(r, c, on_topic_put);
}

static void on_topic_delete(struct request *r, struct event *e)
{
    if (e->what == DONE)
        log_write_in(LOG_USER, LOG_INFO_LEVEL, "admin",
                     "Successfully cleared topic permissions for user '%.*s' in virtual host '%.*s' (%s)",
                     BYTES_ARG(r->param[1]), BYTES_ARG(r->param[0]), r->actor);
    request_answer_change(r, e);
}

static void delete_chosen(struct request *r)
{
    const json_t *rows = listing_rows(r);
    struct changes *c = changes_create();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct bytes exchange = json_text_in(json_array_get(rows, i), "exchange");
        const struct spec spec = {.vhost = r->param[0], .name = r->param[1], .key = exchange};
        if (!request_add_change(r, c, CHANGE_REMOVE, DEFINE_TOPIC_PERMISSION, &spec, NULL))
            return;
    }
    if (c->n > 0) {
        request_alter(r, c, on_topic_delete);
        return;
    }
    changes_destroy(c);
    request_not_found(r);
}

void topic_permissions_delete(struct request *r)
{
    list_chosen(r, delete_chosen);
}
