/* Policies and parameters. */
#include <stdio.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

static bool is_operator(const struct ctl *c)
{
    return strstr(c->command->name, "operator") != NULL;
}

/* Puts; takes path and body. */
static int put(struct ctl *c, const char *vhost, char *path, json_t *body)
{
    struct answer a;
    int status = ctl_call(c, "PUT", path, body, &a);
    if (status == 0 && a.status == 404 && vhost != NULL)
        status = ctl_need_vhost(c, vhost);
    if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int policies_set(struct ctl *c)
{
    int status = 0;
    const char *vhost = ctl_vhost(c), *kind = is_operator(c) ? "operator-policies" : "policies";
    double priority = options_number(c->options, OPTION_PRIORITY, 0);
    if (priority < INT32_MIN || priority > INT32_MAX || (double)(int32_t)priority != priority)
        return ctl_misused(c, EX_USAGE, "Invalid options for this command:\n--priority : %s",
                           options_text(c->options, OPTION_PRIORITY, ""));
    if (!c->is_quiet)
        ctl_tell(c, "Setting %s \"%s\" for pattern \"%s\" to \"%s\" with priority \"%.0f\" for vhost \"%s\" ...",
                 is_operator(c) ? "operator policy override" : "policy", c->args[0], c->args[1], c->args[2], priority,
                 vhost);
    json_t *definition = ctl_read_json(c, c->args[2], &status);
    if (definition == NULL)
        return status;
    json_t *body = json_pack("{s:s, s:o, s:I, s:s}", "pattern", c->args[1], "definition", definition, "priority",
                             (json_int_t)priority, "apply-to", options_text(c->options, OPTION_APPLY_TO, "all"));
    return put(c, vhost, path_of(kind, vhost, c->args[0]), body);
}

int policies_clear(struct ctl *c)
{
    const char *kind = is_operator(c) ? "operator-policies" : "policies";
    return ctl_done(c,
                    ctl_delete(c, path_of(kind, ctl_vhost(c), c->args[0]), EX_UNAVAILABLE, "Parameter does not exist"));
}

int parameters_set(struct ctl *c)
{
    int status = 0;
    const char *vhost = ctl_vhost(c);
    json_t *value = ctl_read_json(c, c->args[2], &status);
    if (value == NULL)
        return status;
    return put(c, vhost, path_of("parameters", c->args[0], vhost, c->args[1]), json_pack("{s:o}", "value", value));
}

int parameters_clear(struct ctl *c)
{
    return ctl_done(c, ctl_delete(c, path_of("parameters", c->args[0], ctl_vhost(c), c->args[1]), EX_UNAVAILABLE,
                                  "Parameter does not exist"));
}

int parameters_set_global(struct ctl *c)
{
    int status = 0;
    json_t *value = ctl_read_json(c, c->args[1], &status);
    if (value == NULL)
        return status;
    return put(c, NULL, path_of("global-parameters", c->args[0]), json_pack("{s:o}", "value", value));
}

int parameters_clear_global(struct ctl *c)
{
    return ctl_done(
        c, ctl_delete(c, path_of("global-parameters", c->args[0]), EX_UNAVAILABLE, "Parameter does not exist"));
}

int parameters_set_cluster_name(struct ctl *c)
{
    return put(c, NULL, path_of("cluster-name"), json_pack("{s:s}", "name", c->args[0]));
}
