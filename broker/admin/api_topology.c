/* Exchanges and queues; bindings are in api_bindings.c. */
#include <stdlib.h>
#include <string.h>

#include "amqp/options.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/admin/topology.h"

struct bytes topology_exchange(struct bytes name)
{
    return bytes_equal(name, BYTES("amq.default")) ? BYTES("") : name;
}

json_t *topology_arguments(struct request *r)
{
    json_t *arguments = request_member(r, "arguments"), *value;
    const char *key;
    bool is_nothing = json_is_array(arguments) && json_array_size(arguments) == 0;
    if (arguments == NULL || is_nothing) /* [] is how PHP writes an empty object */
        return json_object();
    if (!json_is_object(arguments)) {
        request_refuse(r, "arguments are no object");
        return NULL;
    }
    if (json_object_size(arguments) > SPEC_ARGUMENTS_MAX) {
        request_refuse(r, "more than %d arguments", SPEC_ARGUMENTS_MAX);
        return NULL;
    }
    json_object_foreach(arguments, key, value)
    {
        if (json_is_null(value)) {
            request_refuse(r, "null_not_allowed: argument '%s'", key);
            return NULL;
        }
    }
    return json_incref(arguments);
}

/* ---- Exchanges. */

void exchanges_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_EXCHANGES, shape_exchange}},
                                            .is_by_vhost = true,
                                            .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

static void on_exchange(struct request *r)
{
    json_t *row = json_array_get(listing_rows(r), 0);
    if (row != NULL) {
        json_set(row, "incoming", json_array());
        json_set(row, "outgoing", json_array());
    }
    listing_answer_one(r);
}

void exchanges_get(struct request *r)
{
    r->param[1] = topology_exchange(r->param[1]);
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_EXCHANGES, shape_exchange}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1],
                                            .keep = true,
                                            .done = on_exchange});
}

void exchanges_put(struct request *r)
{
    struct spec spec = {.vhost = r->param[0], .name = topology_exchange(r->param[1])};
    if (!request_text(r, "type", &spec.type) || !request_flag(r, "durable", &spec.durable) ||
        !request_flag(r, "auto_delete", &spec.auto_delete) || !request_flag(r, "internal", &spec.internal))
        return;
    if (spec.type.at == NULL)
        spec.type = BYTES("direct");
    json_t *arguments = topology_arguments(r);
    if (arguments == NULL)
        return;
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_EXCHANGE, &spec, arguments))
        request_alter(r, c, request_answer_change);
}

void exchanges_delete(struct request *r)
{
    const struct spec spec = {
        .vhost = r->param[0], .name = topology_exchange(r->param[1]), .if_unused = request_query_flag(r, "if-unused")};
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_EXCHANGE, &spec, NULL))
        request_alter(r, c, request_answer_change);
}

static json_t *shape_delayed(struct request *r, json_t *row)
{
    (void)r;
    return row;
}

void exchanges_delayed(struct request *r)
{
    r->param[1] = topology_exchange(r->param[1]);
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_DELAYED, shape_delayed}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1]});
}

/* Digits alone. */
static bool read_id(struct bytes text, uint64_t *id)
{
    enum { DIGITS_MAX = 18 };
    *id = 0;
    if (text.len == 0 || text.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *id = *id * 10 + (uint64_t)(text.at[i] - '0');
    }
    return true;
}

void exchanges_cancel_delayed(struct request *r)
{
    struct spec spec = {.vhost = r->param[0], .name = topology_exchange(r->param[1])};
    if (!read_id(r->param[2], &spec.serial)) {
        request_not_found(r);
        return;
    }
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_CANCEL, DEFINE_EXCHANGE, &spec, NULL))
        request_alter(r, c, request_answer_change);
}

/* ---- Queues. */

void queues_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_QUEUES, shape_queue}},
                                            .is_by_vhost = true,
                                            .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

static void on_consumers(struct request *r)
{
    json_t *queue = json_incref(r->before);
    json_set(queue, "consumer_details", json_incref(listing_rows(r)));
    json_set(queue, "incoming", json_array());
    json_set(queue, "deliveries", json_array());
    listing_answer_object(r, queue);
}

static void on_queue(struct request *r)
{
    r->before = json_incref(json_array_get(listing_rows(r), 0));
    if (r->before == NULL)
        request_not_found(r);
    else if (r->look.is_short)
        listing_answer_one(r);
    else
        listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONSUMERS, shape_consumer}},
                                                .is_by_vhost = true,
                                                .vhost = &r->param[0],
                                                .name = &r->param[1],
                                                .keep = true,
                                                .done = on_consumers});
}

void queues_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_QUEUES, shape_queue}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1],
                                            .keep = true,
                                            .done = on_queue});
}

/* Its x-… arguments are read as a session reads them; what is wrong with them the model says, after its own checks. */
static void declare_queue(struct request *r, enum change_kind kind, struct spec *spec, const json_t *arguments)
{
    char *error = NULL;
    void *table = json_make_table(arguments, &spec->arguments, &error);
    if (table == NULL) {
        request_refuse(r, "%s", error);
        free(error);
        return;
    }
    char *objection = options_read_queue(spec, spec->vhost);
    if (objection != NULL)
        spec->objection = bytes_of_string(objection);
    struct changes *c = changes_create();
    changes_add(c, kind, DEFINE_QUEUE, spec_create(spec));
    free(objection);
    free(table);
    request_alter(r, c, request_answer_change);
}

/* The arguments that are given take the places of those that it has; null takes one away. */
static void update_queue(struct request *r)
{
    struct spec spec = {.vhost = r->param[0], .name = r->param[1]};
    const json_t *given = request_member(r, "arguments");
    json_t *value;
    const char *key;
    if (r->before == NULL) {
        request_not_found(r);
        return;
    }
    if (!json_is_object(given)) {
        request_refuse(r, "arguments are no object");
        return;
    }
    spec.durable = json_is_true(json_object_get(r->before, "durable"));
    spec.auto_delete = json_is_true(json_object_get(r->before, "auto_delete"));
    json_t *arguments = json_copy(json_object_get(r->before, "arguments"));
    json_object_foreach((json_t *)(uintptr_t)given, key, value)
    {
        if (json_is_null(value))
            json_object_del(arguments, key);
        else
            json_set(arguments, key, json_incref(value));
    }
    declare_queue(r, CHANGE_UPDATE, &spec, arguments);
    json_decref(arguments);
}

static void look_before_update(struct request *r)
{
    fetch_before(r, INSPECT_QUEUES, &r->param[0], &r->param[1], update_queue);
}

void queues_put(struct request *r)
{
    struct spec spec = {.vhost = r->param[0], .name = r->param[1]};
    if (request_query_flag(r, "update")) {
        request_take_turn(r, look_before_update);
        return;
    }
    if (!request_flag(r, "durable", &spec.durable) || !request_flag(r, "auto_delete", &spec.auto_delete))
        return;
    json_t *arguments = topology_arguments(r);
    if (arguments != NULL)
        declare_queue(r, CHANGE_PUT, &spec, arguments);
    json_decref(arguments);
}

void queues_delete(struct request *r)
{
    const struct spec spec = {.vhost = r->param[0],
                              .name = r->param[1],
                              .if_unused = request_query_flag(r, "if-unused"),
                              .if_empty = request_query_flag(r, "if-empty")};
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_QUEUE, &spec, NULL))
        request_alter(r, c, request_answer_change);
}

void queues_purge(struct request *r)
{
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PURGE, DEFINE_QUEUE, &(struct spec){.vhost = r->param[0], .name = r->param[1]},
                           NULL))
        request_alter(r, c, request_answer_change);
}

/* ---- Pausing: a parameter, so that it outlives the broker. */

static void on_paused(struct request *r, struct event *e)
{
    if (request_is_done(r, e))
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void set_paused(struct request *r)
{
    const struct spec spec = {.vhost = r->param[0], .type = BYTES("paused-queue"), .name = r->param[1]};
    json_t *arguments = NULL;
    if (r->more != 0) {
        arguments = json_object();
        json_set(arguments, "value", json_true());
    }
    struct changes *c = changes_create();
    if (request_add_change(r, c, r->more != 0 ? CHANGE_PUT : CHANGE_REMOVE, DEFINE_PARAMETER, &spec, arguments))
        request_alter(r, c, on_paused);
}

void queues_pause(struct request *r)
{
    r->more = 1;
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], set_paused);
}

void queues_resume(struct request *r)
{
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], set_paused);
}
