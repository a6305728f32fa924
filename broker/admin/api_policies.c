/* Policies and the other parameters: all are one kind of thing to the model (port/definition.h). */
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/identify.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/policy.h"
#include "broker/admin/shape.h"
#include "broker/admin/visitor.h"

static const struct bytes none = {0}; /* global parameters belong to no virtual host */

/* ---- Policies of both kinds; r->more: operator policies. */

static struct bytes component_of(const struct request *r)
{
    return r->more != 0 ? BYTES("operator_policy") : BYTES("policy");
}

static void list_policies(struct request *r)
{
    listing_begin(r, &(struct listing_plan){
                         .sources = {{INSPECT_PARAMETERS, r->more != 0 ? shape_operator_policy : shape_policy}},
                         .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

static void begin_list(struct request *r, bool is_operator)
{
    r->more = is_operator;
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], list_policies);
    else
        list_policies(r);
}

static void get_policy(struct request *r, bool is_operator)
{
    listing_begin(
        r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, is_operator ? shape_operator_policy : shape_policy}},
                                  .vhost = &r->param[0],
                                  .name = &r->param[1],
                                  .keep = true,
                                  .done = listing_answer_one});
}

static void on_policy(struct request *r, struct event *e)
{
    if (e->what == DONE)
        log_info("admin", "%s %s '%.*s' in virtual host '%.*s' (%s)",
                 r->method == EVHTTP_REQ_PUT ? "Successfully set" : "Successfully cleared",
                 r->more != 0 ? "operator policy" : "policy", BYTES_ARG(r->param[1]), BYTES_ARG(r->param[0]), r->actor);
    request_answer_change(r, e);
}

/* What a policy says, in the members that are kept; NULL: it was answered. */
static json_t *read_policy(struct request *r)
{
    static const char *const names[] = {"pattern", "definition", NULL};
    struct bytes pattern, apply_to;
    json_t *definition = request_member(r, "definition"), *priority = request_member(r, "priority");
    if (!request_has_all(r, names) || !request_need_text(r, "pattern", &pattern) ||
        !request_text(r, "apply-to", &apply_to))
        return NULL;
    if (definition == NULL) {
        request_refuse(r, "[{key_missing,definition}]");
        return NULL;
    }
    json_t *value = json_object();
    json_set(value, "pattern", json_of_text(pattern));
    json_set(value, "definition", json_incref(definition));
    json_set(value, "priority", priority != NULL ? json_incref(priority) : json_integer(0));
    json_set(value, "apply-to", apply_to.at != NULL ? json_of_text(apply_to) : json_string("all"));
    char *wrong = policy_check(value, r->more != 0);
    if (wrong == NULL)
        return value;
    request_refuse(r, "Validation failed\n\n%s\n", wrong);
    free(wrong);
    json_decref(value);
    return NULL;
}

static void put_parameter(struct request *r, const struct spec *spec, json_t *value, answer_fn *then)
{
    struct changes *c = changes_create();
    json_t *arguments = json_object();
    json_set(arguments, "value", value);
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_PARAMETER, spec, arguments))
        request_alter(r, c, then);
}

static void remove_parameter(struct request *r, const struct spec *spec, answer_fn *then)
{
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_REMOVE, DEFINE_PARAMETER, spec, NULL))
        request_alter(r, c, then);
}

static void set_policy(struct request *r)
{
    json_t *old = listing_rows(r);
    r->before = json_incref(json_array_get(old, 0));
    const struct spec spec = {.vhost = r->param[0], .type = component_of(r), .name = r->param[1]};
    if (r->method == EVHTTP_REQ_DELETE) {
        remove_parameter(r, &spec, on_policy);
        return;
    }
    json_t *value = read_policy(r); /* NULL: it was answered, and r is gone */
    if (value != NULL)
        put_parameter(r, &spec, value, on_policy);
}

/* What it was before is for the audit log. */
static void change_policy(struct request *r, bool is_operator)
{
    r->more = is_operator;
    listing_begin(
        r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, is_operator ? shape_operator_policy : shape_policy}},
                                  .vhost = &r->param[0],
                                  .name = &r->param[1],
                                  .keep = true,
                                  .done = set_policy});
}

void policies_list(struct request *r)
{
    begin_list(r, false);
}

void operator_policies_list(struct request *r)
{
    begin_list(r, true);
}

void policies_get(struct request *r)
{
    get_policy(r, false);
}

void operator_policies_get(struct request *r)
{
    get_policy(r, true);
}

void policies_put(struct request *r)
{
    change_policy(r, false);
}

/* False: it has been answered. */
static bool may_change_operators(struct request *r)
{
    if (!request_config(r)->keeps_operator_policies || r->entrance == ENTRANCE_CONTROL)
        return true;
    request_fail(r, HTTP_STATUS_NOT_ALLOWED, "not_allowed",
                 "management.restrictions.operator_policy_changes.disabled is set");
    return false;
}

void operator_policies_put(struct request *r)
{
    if (may_change_operators(r))
        change_policy(r, true);
}

void policies_delete(struct request *r)
{
    change_policy(r, false);
}

void operator_policies_delete(struct request *r)
{
    if (may_change_operators(r))
        change_policy(r, true);
}

/* ---- Parameters: params are the component, the virtual host, the name. */

static json_t *shape_of_component(struct request *r, json_t *row)
{
    if (r->n_params == 0 || bytes_equal(json_text_in(row, "component"), r->param[0]))
        return shape_parameter(r, row);
    json_decref(row);
    return NULL;
}

static void list_parameters(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_of_component}},
                                            .vhost = r->n_params > 1 ? &r->param[1] : NULL});
}

void parameters_list(struct request *r)
{
    if (r->n_params > 1)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[1], list_parameters);
    else
        list_parameters(r);
}

void parameters_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_of_component}},
                                            .vhost = &r->param[1],
                                            .name = &r->param[2],
                                            .keep = true,
                                            .done = listing_answer_one});
}

/* Why that is no parameter of this component, in RabbitMQ's words; NULL: it is one. */
static char *judge_parameter(const struct request *r, json_t *value)
{
    if (bytes_equal(r->param[0], BYTES("operator_policy")))
        return policy_check(value, true);
    if (!bytes_equal(r->param[0], BYTES("vhost-limits")))
        return str_format("component %.*s not found", BYTES_ARG(r->param[0]));
    if (!bytes_equal(r->param[2], BYTES("limits")))
        return str_format("limits of a virtual host have the name 'limits', not '%.*s'", BYTES_ARG(r->param[2]));
    char *unknown = policy_find_unknown_limit(value);
    return unknown != NULL ? unknown : policy_check_limits(value);
}

/* False: it was answered. */
static bool check_parameter(struct request *r, json_t *value)
{
    if (bytes_equal(r->param[0], BYTES("policy"))) {
        request_refuse(r, "policies may not be set using this method");
        return false;
    }
    char *wrong = judge_parameter(r, value);
    if (wrong != NULL)
        request_refuse(r, "Validation failed\n\n%s\n", wrong);
    free(wrong);
    return wrong == NULL;
}

/* What bounds those who make policies is not theirs: it is set where administrators set it (operator-policies,
 * vhost-limits), and by this way round there no sooner.  False: it was answered. */
static bool may_change(struct request *r)
{
    bool is_bound =
        bytes_equal(r->param[0], BYTES("operator_policy")) || bytes_equal(r->param[0], BYTES("vhost-limits"));
    if (!is_bound || visitor_is(r->visitor, TAG_ADMINISTRATOR))
        return true;
    identify_refuse(r, "Not administrator user");
    return false;
}

/* Operator policies are parameters, too. */
static bool may_change_parameter(struct request *r)
{
    return !bytes_equal(r->param[0], BYTES("operator_policy")) || may_change_operators(r);
}

void parameters_put(struct request *r)
{
    json_t *value = r->body != NULL ? json_object_get(r->body, "value") : NULL;
    const struct spec spec = {.vhost = r->param[1], .type = r->param[0], .name = r->param[2]};
    if (!may_change(r))
        return;
    if (json_is_array(value) && json_array_size(value) == 0) { /* as RabbitMQ shows a table with nothing in it */
        json_set(r->body, "value", json_object());
        value = json_object_get(r->body, "value");
    }
    if (value == NULL)
        request_refuse(r, "[{key_missing,value}]");
    else if (may_change_parameter(r) && check_parameter(r, value))
        put_parameter(r, &spec, json_incref(value), request_answer_change);
}

void parameters_delete(struct request *r)
{
    const struct spec spec = {.vhost = r->param[1], .type = r->param[0], .name = r->param[2]};
    if (may_change(r) && may_change_parameter(r))
        remove_parameter(r, &spec, request_answer_change);
}

/* ---- Global parameters. */

/* There is always a cluster name: the configuration's, until another one is set. */
static json_t *default_name(const struct request *r)
{
    json_t *name = json_object();
    json_set(name, "name", json_string("cluster_name"));
    json_set(name, "value", json_string(request_config(r)->cluster_name));
    return name;
}

static void on_globals(struct request *r)
{
    json_t *rows = listing_rows(r);
    bool has_name = false;
    for (size_t i = 0; i < json_array_size(rows); i++)
        has_name = has_name || bytes_equal(json_text_in(json_array_get(rows, i), "name"), BYTES("cluster_name"));
    if (!has_name)
        json_add(rows, default_name(r));
    request_reply(r, HTTP_STATUS_OK, json_incref(rows));
}

void global_parameters_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_global_parameter}},
                                            .vhost = &none,
                                            .keep = true,
                                            .done = on_globals});
}

static void on_global(struct request *r)
{
    bool is_missing = json_array_size(listing_rows(r)) == 0;
    if (is_missing && bytes_equal(r->param[0], BYTES("cluster_name")))
        listing_answer_object(r, default_name(r));
    else
        listing_answer_one(r);
}

void global_parameters_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_global_parameter}},
                                            .vhost = &none,
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = on_global});
}

void global_parameters_put(struct request *r)
{
    json_t *value = r->body != NULL ? json_object_get(r->body, "value") : NULL;
    const struct spec spec = {.name = r->param[0]};
    if (value == NULL)
        request_refuse(r, "[{key_missing,value}]");
    else
        put_parameter(r, &spec, json_incref(value), request_answer_change);
}

void global_parameters_delete(struct request *r)
{
    remove_parameter(r, &(struct spec){.name = r->param[0]}, request_answer_change);
}
