/* Changing a broker that runs: its log, its configuration, its limits, its doors. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

/* Calls one of our own; a broker that has it not says so.  Takes path and body. */
static int tell(struct ctl *c, const char *method, char *path, json_t *body)
{
    struct answer a;
    int status = ctl_call(c, method, path, body, &a);
    if (status == 0 && (ctl_is_unknown(&a)))
        status = ctl_fail(c, EX_UNAVAILABLE, "this broker cannot do that while it runs");
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int change_log_level(struct ctl *c)
{
    static const char *const levels[] = {"debug", "info", "warning", "error", "critical", "none"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        is_known |= strcmp(levels[i], c->args[0]) == 0;
    if (!is_known)
        return ctl_fail(c, EX_UNAVAILABLE,
                        "level %s is not supported. Try one of debug, info, warning, error, critical, none",
                        c->args[0]);
    ctl_say(c, "Setting log level to \"{1}\" ...");
    return tell(c, "PUT", path_of("millrace", "log-level"), json_pack("{s:s}", "level", c->args[0]));
}

int change_rotate_logs(struct ctl *c)
{
    return tell(c, "POST", path_of("millrace", "rotate-logs"), NULL);
}

static void tell_of_restarts(const struct ctl *c, const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        ctl_tell(c, "%s is in effect after a restart", key != NULL ? key : "");
    }
}

/* Says which keys need a restart, if the broker does. */
int change_reload(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "POST", path_of("millrace", "reload"), NULL, &a);
    if (status == 0 && ctl_is_unknown(&a))
        status = ctl_fail(c, EX_UNAVAILABLE, "this broker cannot do that while it runs");
    else if (status == 0 && a.status == 400) {
        char *reason = ctl_reason(&a);
        status = ctl_fail(c, EX_CONFIG, "%s", reason);
        free(reason);
    } else if (status == 0) {
        status = ctl_refused(c, &a);
    }
    bool is_shown = status == 0 && c->format == FORMAT_JSON && json_is_object(a.json);
    if (is_shown)
        output_json(stdout, a.json);
    else if (status == 0)
        tell_of_restarts(c, json_object_get(a.json, "needs_restart"));
    answer_fini(&a);
    return is_shown ? 0 : ctl_done(c, status);
}

static bool is_size(const char *word)
{
    size_t n = strspn(word, "0123456789.");
    return n > 0 && strspn(word + n, "kKMGTPiB") == strlen(word + n) && strlen(word + n) <= 3;
}

/* A key of the configuration; takes key. */
static int set_key(struct ctl *c, char *key, const char *value)
{
    int status = tell(c, "PUT", path_of("millrace", "environment", key), json_pack("{s:s}", "value", value));
    free(key);
    return status;
}

int change_memory_limit(struct ctl *c)
{
    bool is_absolute = c->n_args == 2;
    const char *value = c->args[c->n_args - 1];
    if (!is_absolute && strcmp(value, "absolute") == 0)
        return ctl_misused(c, EX_USAGE, "not enough arguments.");
    if (!is_absolute && options_is_number(value) && strtod(value, NULL) > 1)
        return ctl_misused(c, EX_DATAERR, "Bad argument: The threshold should be a fraction between 0.0 and 1.0");
    if (is_absolute ? strcmp(c->args[0], "absolute") != 0 || !is_size(value) : !options_is_number(value))
        return ctl_misused(c, EX_DATAERR, "Bad argument.");
    ctl_say(c, is_absolute ? "Setting memory threshold on {node} to {2} bytes ..."
                           : "Setting memory threshold on {node} to {1} ...");
    return set_key(c, str_format("vm_memory_high_watermark.%s", is_absolute ? "absolute" : "relative"), value);
}

int change_disk_limit(struct ctl *c)
{
    bool is_relative = c->n_args == 2;
    const char *value = c->args[c->n_args - 1];
    if (is_relative ? strcmp(c->args[0], "mem_relative") != 0 || !options_is_number(value) : !is_size(value))
        return ctl_misused(c, EX_DATAERR, "Bad argument.");
    ctl_say(c, is_relative ? "Setting disk free limit on {node} to {2} times the total RAM ..."
                           : "Setting disk free limit on {node} to {1} bytes ...");
    return set_key(c, str_format("disk_free_limit.%s", is_relative ? "relative" : "absolute"), value);
}

/* Also what maintenance and stopped applications were: clients stay out, administration goes on. */
int change_listeners(struct ctl *c)
{
    static const char *const closing[] = {"suspend_listeners", "stop_app", "drain"};
    bool closes = false;
    for (size_t i = 0; i < sizeof closing / sizeof closing[0]; i++)
        closes |= strcmp(c->command->name, closing[i]) == 0;
    int status = tell(c, "POST", path_of("millrace", closes ? "suspend-listeners" : "resume-listeners"), NULL);
    bool ends_clients = closes && strcmp(c->command->name, "suspend_listeners") != 0;
    if (status != 0 || !ends_clients)
        return status;
    return ctl_do(c, "POST", path_of("millrace", "close-connections"),
                  json_pack("{s:s}", "reason", "Node was put into maintenance mode"));
}
