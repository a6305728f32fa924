/* Virtual hosts. */
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

/* What the options say of a virtual host. */
static json_t *metadata(struct ctl *c)
{
    static const struct {
        enum option option;
        const char *key;
    } said[] = {
        {OPTION_DESCRIPTION, "description"}, {OPTION_TAGS, "tags"}, {OPTION_DEFAULT_QUEUE_TYPE, "default_queue_type"}};
    json_t *body = json_object();
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        const char *value = options_text(c->options, said[i].option, NULL);
        if (value != NULL)
            json_object_set_new(body, said[i].key, json_string(value));
    }
    return body;
}

/* One that exists stays as it is, unless something is said of it. */
int vhosts_add(struct ctl *c)
{
    struct answer a;
    json_t *body = metadata(c);
    int status = ctl_call(c, "GET", path_query(path_of("vhosts", c->args[0]), "columns", "name"), NULL, &a);
    bool is_there = status == 0 && a.status == 200;
    if (status == 0 && (!is_there || json_object_size(body) > 0))
        status = ctl_do(c, "PUT", path_of("vhosts", c->args[0]), json_incref(body));
    json_decref(body);
    answer_fini(&a);
    return ctl_done(c, status);
}

/* Puts body over what the virtual host is; takes it. */
static int update(struct ctl *c, const char *vhost, json_t *body)
{
    static const char *const kept[] = {"description", "tags", "default_queue_type", "tracing"};
    struct answer a;
    int status = ctl_call(c, "GET", path_of("vhosts", vhost), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_DATAERR, "Virtual host \"%s\" does not exist", vhost);
    else if (status == 0)
        status = ctl_refused(c, &a);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        json_t *value = json_object_get(a.json, kept[i]);
        bool is_nothing = value == NULL || json_is_null(value) || strcmp(ctl_string(a.json, kept[i]), "undefined") == 0;
        if (json_object_get(body, kept[i]) == NULL && !is_nothing)
            json_object_set(body, kept[i], value);
    }
    json_t *tags = json_object_get(body, "tags");
    if (json_is_array(tags)) { /* a list with commas is what all versions read */
        char *list = output_cell(tags, KIND_LIST);
        list[strlen(list) - 1] = '\0';
        json_object_set_new(body, "tags", json_string(list + 1));
        free(list);
    }
    if (status == 0)
        status = ctl_do(c, "PUT", path_of("vhosts", vhost), json_incref(body));
    json_decref(body);
    answer_fini(&a);
    return status;
}

int vhosts_update(struct ctl *c)
{
    json_t *body = metadata(c);
    if (json_object_size(body) > 0)
        return ctl_done(c, update(c, c->args[0], body));
    json_decref(body);
    return ctl_misused(c, EX_USAGE, "not enough arguments: what is to be changed?");
}

int vhosts_set_tags(struct ctl *c)
{
    json_t *tags = json_array();
    for (size_t i = 1; i < c->n_args; i++)
        json_array_append_new(tags, json_string(c->args[i]));
    return ctl_done(c, update(c, c->args[0], json_pack("{s:o}", "tags", tags)));
}

int vhosts_delete(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "DELETE", path_of("vhosts", c->args[0]), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail_bare(c, EX_DATAERR, "Virtual host '%s' does not exist", c->args[0]);
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int vhosts_protect(struct ctl *c)
{
    struct answer a;
    const char *method = c->command->name[0] == 'e' ? "POST" : "DELETE";
    int status = ctl_call(c, method, path_of("vhosts", c->args[0], "deletion", "protection"), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, c->args[0]);
    if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int vhosts_trace(struct ctl *c)
{
    bool is_on = strcmp(c->command->name, "trace_on") == 0;
    const char *vhost = ctl_vhost(c);
    int status = ctl_need_vhost(c, vhost);
    if (status == 0)
        status = update(c, vhost, json_pack("{s:b}", "tracing", is_on));
    if (status == 0)
        ctl_tell(c, "Trace %s for vhost %s", is_on ? "enabled" : "disabled", vhost);
    return ctl_done(c, status);
}

int vhosts_restart(struct ctl *c)
{
    int status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0)
        ctl_tell(c, "Vhost '%s' is already running on node '%s'", ctl_vhost(c), c->node);
    return ctl_done(c, status);
}
