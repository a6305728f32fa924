/* Permissions of users, and limits of users and virtual hosts. */
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

/* The API says the same of both: tells which of them does not exist. */
static int who_is_missing(struct ctl *c, const char *vhost, const char *user)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_query(path_of("vhosts", vhost), "columns", "name"), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "Virtual host %s does not exist", vhost);
    answer_fini(&a);
    if (status != 0)
        return status;
    status = ctl_call(c, "GET", path_of("users", user), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_NOUSER, "User %s does not exist", user);
    answer_fini(&a);
    return status;
}

static bool speaks_of_missing(const struct answer *a)
{
    char *reason = ctl_reason(a);
    bool does = a->status == 404 || strstr(reason, "vhost_or_user_not_found") != NULL;
    free(reason);
    return does;
}

/* Puts; takes path and body. */
static int set(struct ctl *c, const char *vhost, char *path, json_t *body)
{
    struct answer a;
    int status = ctl_call(c, "PUT", path, body, &a);
    if (status == 0 && a.status >= 400 && speaks_of_missing(&a))
        status = who_is_missing(c, vhost, c->args[0]);
    if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return status;
}

static json_t *three(const char *configure, const char *write, const char *read)
{
    return json_pack("{s:s, s:s, s:s}", "configure", configure, "write", write, "read", read);
}

int access_set(struct ctl *c)
{
    const char *vhost = ctl_vhost(c);
    return ctl_done(
        c, set(c, vhost, path_of("permissions", vhost, c->args[0]), three(c->args[1], c->args[2], c->args[3])));
}

int access_set_globally(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_query(path_of("vhosts"), "columns", "name"), NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    size_t i;
    json_t *vhost;
    json_array_foreach(a.json, i, vhost)
    {
        const char *name = ctl_string(vhost, "name");
        if (status == 0)
            status = set(c, name, path_of("permissions", name, c->args[0]), three(c->args[1], c->args[2], c->args[3]));
    }
    answer_fini(&a);
    return ctl_done(c, status);
}

int access_set_topic(struct ctl *c)
{
    const char *vhost = ctl_vhost(c);
    json_t *body = json_pack("{s:s, s:s, s:s}", "exchange", c->args[1], "write", c->args[2], "read", c->args[3]);
    return ctl_done(c, set(c, vhost, path_of("topic-permissions", vhost, c->args[0]), body));
}

/* Deletes; that there were none is as good. */
static int clear(struct ctl *c, char *path)
{
    struct answer a;
    int status = ctl_call(c, "DELETE", path, NULL, &a);
    if (status == 0)
        status = speaks_of_missing(&a) ? who_is_missing(c, ctl_vhost(c), c->args[0]) : ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int access_clear(struct ctl *c)
{
    return clear(c, path_of("permissions", ctl_vhost(c), c->args[0]));
}

int access_clear_topic(struct ctl *c)
{
    ctl_say(c, c->n_args > 1 ? "Clearing topic permissions on \"{2}\" for user \"{1}\" in vhost \"{vhost}\" ..."
                             : "Clearing topic permissions for user \"{1}\" in vhost \"{vhost}\" ...");
    if (c->n_args > 1)
        return clear(c, path_of("topic-permissions", ctl_vhost(c), c->args[0], c->args[1]));
    return clear(c, path_of("topic-permissions", ctl_vhost(c), c->args[0]));
}

/* ---- Limits. */

/* What limits there are now: the value of the one item, or an empty object; NULL: it has said what is wrong. */
static json_t *limits_now(struct ctl *c, const char *what, const char *of, int *status)
{
    struct answer a;
    *status = ctl_call(c, "GET", path_of(what, of), NULL, &a);
    if (*status == 0 && a.status != 404)
        *status = ctl_refused(c, &a);
    json_t *now = json_incref(json_object_get(json_array_get(a.json, 0), "value"));
    answer_fini(&a);
    if (*status != 0) {
        json_decref(now);
        return NULL;
    }
    if (json_is_object(now))
        return now;
    json_decref(now);
    return json_object();
}

/* Deletes those of the limits that are not among the kept ones. */
static int drop(struct ctl *c, const char *what, const char *of, json_t *limits, const json_t *kept)
{
    int status = 0;
    const char *name;
    json_t *value;
    json_object_foreach(limits, name, value)
    {
        if (json_object_get(kept, name) != NULL)
            continue;
        status = ctl_delete(c, path_of(what, of, name), 0, NULL);
        if (status != 0)
            break;
    }
    return status;
}

/* Makes the limits what the word says: all of them for a virtual host; a user keeps those that it does not name, as
 * with rabbitmqctl. */
static int set_limits(struct ctl *c, const char *what, const char *of, const char *word, bool is_all)
{
    int status = 0;
    json_t *wanted = ctl_read_json(c, word, &status), *now = NULL, *value;
    const char *name;
    if (wanted == NULL)
        return status;
    if (!json_is_object(wanted))
        status = ctl_fail(c, EX_UNAVAILABLE, "Validation failed\n\nlimits must be a JSON object\n");
    json_object_foreach(wanted, name, value)
    {
        if (status == 0)
            status = ctl_do(c, "PUT", path_of(what, of, name), json_pack("{s:O}", "value", value));
    }
    if (status == 0 && is_all)
        now = limits_now(c, what, of, &status);
    if (status == 0 && is_all)
        status = drop(c, what, of, now, wanted);
    json_decref(wanted);
    json_decref(now);
    return status;
}

int limits_set(struct ctl *c)
{
    bool is_user = c->n_args == 2;
    int status = is_user ? ctl_need_user(c, c->args[0]) : ctl_need_vhost(c, ctl_vhost(c));
    if (status != 0)
        return status;
    status = is_user ? set_limits(c, "user-limits", c->args[0], c->args[1], false)
                     : set_limits(c, "vhost-limits", ctl_vhost(c), c->args[0], true);
    return ctl_done(c, status);
}

int limits_clear_vhost(struct ctl *c)
{
    int status;
    json_t *now = limits_now(c, "vhost-limits", ctl_vhost(c), &status);
    if (now == NULL)
        return status;
    status = json_object_size(now) == 0 ? ctl_fail(c, EX_UNAVAILABLE, "Parameter does not exist")
                                        : drop(c, "vhost-limits", ctl_vhost(c), now, NULL);
    json_decref(now);
    return ctl_done(c, status);
}

int limits_clear_user(struct ctl *c)
{
    bool are_all = strcmp(c->args[1], "all") == 0;
    ctl_say(c, are_all ? "Clearing all limits for user \"{1}\" ..." : "Clearing \"{2}\" limit for user \"{1}\" ...");
    int status = ctl_need_user(c, c->args[0]);
    if (status != 0)
        return status;
    if (!are_all)
        return ctl_done(c, ctl_delete(c, path_of("user-limits", c->args[0], c->args[1]), 0, NULL));
    json_t *now = limits_now(c, "user-limits", c->args[0], &status);
    if (status == 0)
        status = drop(c, "user-limits", c->args[0], now, NULL);
    json_decref(now);
    return ctl_done(c, status);
}
