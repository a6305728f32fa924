/* Health checks: 0, or 69 and a reason on standard error. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"
#include "broker/ctl/node.h"

enum { PORT_MAX = 65535, PORTS_MOST = 64 };

/* 0, or it has said that it does not run. */
static int need_running(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_query(path_of("overview"), "columns", "node"), NULL, &a);
    if (status == 0 && a.status != 200)
        status = ctl_fail(c, EX_UNAVAILABLE, "Millrace on node %s is not running or has not fully booted yet", c->node);
    answer_fini(&a);
    return status;
}

/* In JSON a sentence, and what it comes to; takes both. */
static int print_verdict(const struct ctl *c, char *message, json_t *result)
{
    json_t *all = json_pack("{s:s, s:s}", "message", message, "node", c->node);
    json_object_set_new(all, "result", result);
    free(message);
    return ctl_print_json(c, all);
}

int check_running(struct ctl *c)
{
    bool asks = strcmp(c->command->name, "is_running") == 0;
    int status = need_running(c);
    if (status != 0)
        return status;
    char *message = str_format("Millrace on node %s is fully booted and running", c->node);
    if (c->format == FORMAT_JSON)
        return print_verdict(c, message, asks ? json_true() : json_string("ok"));
    ctl_tell(c, "%s", message);
    free(message);
    return 0;
}

/* Whoever can be asked has started, but for those that say 503 meanwhile. */
int check_booting(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_query(path_of("overview"), "columns", "node"), NULL, &a);
    bool is_booting = status == 0 && a.status == 503;
    answer_fini(&a);
    if (status != 0)
        return status;
    char *message = str_format(is_booting ? "Millrace on node %s is booting"
                                          : "Millrace on node %s is fully booted (check with is_running), stopped or "
                                            "has not started booting yet",
                               c->node);
    if (c->format == FORMAT_JSON)
        return print_verdict(c, message, json_boolean(is_booting));
    ctl_tell(c, "%s", message);
    free(message);
    return 0;
}

/* GETs a check; 0 and *failed tells how it went. */
static int ask(struct ctl *c, char *path, struct answer *a, bool *failed)
{
    int status = ctl_call(c, "GET", path, NULL, a);
    *failed = status == 0 && (a->status == 503 || strcmp(ctl_string(a->json, "status"), "failed") == 0);
    return status == 0 && !*failed ? ctl_refused(c, a) : status;
}

static int print_alarms(struct ctl *c, const json_t *alarms, bool is_failure)
{
    size_t i;
    json_t *alarm;
    FILE *to = is_failure ? stderr : stdout;
    json_array_foreach((json_t *)(uintptr_t)alarms, i, alarm)
    {
        const char *resource = ctl_string(alarm, "resource");
        fprintf(to, "%s alarm on node %s\n", strcmp(resource, "disk") == 0 ? "Free disk space" : "Memory",
                ctl_string(alarm, "node")[0] != '\0' ? ctl_string(alarm, "node") : c->node);
    }
    return is_failure ? EX_UNAVAILABLE : 0;
}

int check_alarms(struct ctl *c)
{
    struct answer a;
    bool failed, is_list = strcmp(c->command->name, "alarms") == 0;
    bool is_local = strcmp(c->command->name, "check_local_alarms") == 0;
    int status = ask(c, path_of("health", "checks", is_local ? "local-alarms" : "alarms"), &a, &failed);
    json_t *alarms = json_object_get(a.json, "alarms");
    if (status == 0 && is_list && c->format == FORMAT_JSON) {
        ctl_print_json(c, json_pack("{s:o, s:s, s:s}", "alarms", alarms != NULL ? json_incref(alarms) : json_array(),
                                    "node", c->node, "result", "ok"));
    } else if (status == 0 && failed) {
        if (!is_list)
            ctl_fail_bare(c, 0, "Node %s reported alarms:", c->node);
        status = print_alarms(c, alarms, !is_list);
    } else if (status == 0) {
        ctl_tell(c, is_local ? "Node %s reported no local alarms" : "Node %s reported no alarms, local or clusterwide",
                 c->node);
        status = ctl_done(c, 0);
    }
    answer_fini(&a);
    return status;
}

/* ---- Listeners. */

/* Which host a listener's port is tried on. */
static char *host_of(struct ctl *c, const struct client *client, const json_t *listener)
{
    const char *given = options_text(c->options, OPTION_ADDRESS, NULL), *address = ctl_string(listener, "ip_address");
    bool is_any = address[0] == '\0' || strcmp(address, "::") == 0 || strcmp(address, "0.0.0.0") == 0;
    if (given != NULL)
        return str_format("%s", given);
    return is_any || c->socket == NULL ? client_host(client) : str_format("%s", address);
}

int check_ports(struct ctl *c)
{
    struct node n;
    int status = node_load(c, &n);
    json_t *listeners = json_object_get(n.overview, "listeners"), *listener;
    char *good = str_format("%s", ""), *bad = str_format("%s", "");
    size_t i;
    json_array_foreach(listeners, i, listener)
    {
        if (status != 0 || i == PORTS_MOST)
            break;
        if (strcmp(ctl_string(listener, "protocol"), "clustering") == 0)
            continue;
        unsigned port = (unsigned)json_integer_value(json_object_get(listener, "port"));
        char *host = host_of(c, c->client, listener);
        char **list = client_can_connect(c->client, host, port) ? &good : &bad;
        char *longer = str_format("%s%s%u", *list, (*list)[0] != '\0' ? ", " : "", port);
        free(*list);
        *list = longer;
        free(host);
    }
    if (status == 0 && bad[0] != '\0')
        status = ctl_fail(c, EX_UNAVAILABLE, "Connection failed on ports %s of node %s", bad, c->node);
    else if (status == 0)
        ctl_tell(c, "Successfully connected to ports %s on node %s.", good, c->node);
    free(good);
    free(bad);
    node_fini(&n);
    return ctl_done(c, status);
}

static int compare(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t m = json_integer_value(x), n = json_integer_value(y);
    if (json_is_string(x) && json_is_string(y))
        return strcmp(json_string_value(x), json_string_value(y));
    return (m > n) - (m < n);
}

/* The first items of a list in order, with commas between. */
static char *join(const json_t *list)
{
    const json_t *items[PORTS_MOST];
    size_t n = json_array_size(list);
    char *text = str_format("%s", "");
    if (n > PORTS_MOST)
        n = PORTS_MOST;
    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(list, i);
    if (n > 0)
        qsort(items, n, sizeof(void *), compare);
    for (size_t i = 0; i < n; i++) {
        char *item = output_cell(items[i], KIND_PLAIN), *longer = str_format("%s%s%s", text, i > 0 ? ", " : "", item);
        free(item);
        free(text);
        text = longer;
    }
    return text;
}

int check_port(struct ctl *c)
{
    long port = ctl_count(c->args[0]);
    if (port < 1 || port > PORT_MAX)
        return ctl_misused(c, EX_DATAERR, "Bad argument: Argument must be a positive integer");
    ctl_say(c, c->command->banner);
    struct answer a;
    bool failed;
    int status = ask(c, path_of("health", "checks", "port-listener", c->args[0]), &a, &failed);
    if (failed) {
        char *ports = join(json_object_get(a.json, "ports"));
        status = ctl_fail_bare(c, EX_UNAVAILABLE,
                               "No listener for port %ld is active on node %s. Found listeners that use "
                               "the following ports: %s",
                               port, c->node, ports);
        free(ports);
    } else if (status == 0) {
        ctl_tell(c, "A listener for port %ld is running on node %s.", port, c->node);
    }
    answer_fini(&a);
    return ctl_done(c, status);
}

int check_protocol(struct ctl *c)
{
    struct answer a;
    bool failed;
    int status = ask(c, path_of("health", "checks", "protocol-listener", c->args[0]), &a, &failed);
    if (failed) {
        char *protocols = join(json_object_get(a.json, "protocols"));
        status = ctl_fail(c, EX_UNAVAILABLE,
                          "No listener for protocol %s is active on node %s. Found listeners for the "
                          "following protocols: %s",
                          c->args[0], c->node, protocols);
        free(protocols);
    } else if (status == 0) {
        ctl_tell(c, "A listener for protocol %s is running on node %s.", c->args[0], c->node);
    }
    answer_fini(&a);
    return ctl_done(c, status);
}

/* ---- The rest. */

/* A check that only has a reason. */
static int check(struct ctl *c, char *path, const char *good)
{
    struct answer a;
    bool failed;
    int status = ask(c, path, &a, &failed);
    if (failed) {
        char *reason = ctl_reason(&a);
        status = ctl_fail(c, EX_UNAVAILABLE, "%s", reason);
        free(reason);
    } else if (status == 0) {
        ctl_tell(c, "%s", good);
    }
    answer_fini(&a);
    return ctl_done(c, status);
}

int check_vhosts(struct ctl *c)
{
    char *good = str_format("Node %s reported all vhosts as running", c->node);
    int status = check(c, path_of("health", "checks", "virtual-hosts"), good);
    free(good);
    return status;
}

int check_node(struct ctl *c)
{
    return check(c, path_of("health", "checks", "local-alarms"), "Health check passed");
}

int check_critical(struct ctl *c)
{
    int status = need_running(c);
    if (status == 0)
        ctl_tell(c, "Node %s seems to be the only one in a single node cluster, the check does not apply", c->node);
    return ctl_done(c, status);
}

int check_certificates(struct ctl *c)
{
    static const char *const names[] = {"days", "weeks", "months", "years"};
    const char *unit = options_text(c->options, OPTION_UNIT, "weeks");
    double within = options_number(c->options, OPTION_WITHIN, 4);
    bool is_known = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        is_known |= strcmp(names[i], unit) == 0;
    if (!is_known)
        return ctl_misused(c, EX_USAGE, "\"unit '%s' is not supported. Please use one of: days, weeks, months, years\"",
                           unit);
    if (within < 0 || within > 1e6)
        return ctl_misused(c, EX_USAGE, "--within is not negative");
    ctl_say(c, c->command->banner);
    struct answer a;
    bool failed;
    char *period = str_format("%.0f", within);
    int status = ask(c, path_of("health", "checks", "certificate-expiration", period, unit), &a, &failed);
    int len = (int)strlen(unit) - (strcmp(period, "1") == 0);
    if (failed) {
        char *expired = output_cell(json_object_get(a.json, "expired"), KIND_TEXT);
        status = ctl_fail(c, EX_UNAVAILABLE, "Certificates expire within %s %.*s: %s", period, len, unit, expired);
        free(expired);
    } else if (status == 0) {
        ctl_tell(c, "No certificates are expiring within %s %.*s.", period, len, unit);
    }
    free(period);
    answer_fini(&a);
    return ctl_done(c, status);
}
