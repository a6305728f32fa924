#define _GNU_SOURCE
#include "broker/ctl/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/ctl/ctl.h"

/* GET of one object; NULL: it has said what is wrong, or there is none. */
static json_t *load(struct ctl *c, char *path, int *status)
{
    struct answer a;
    *status = ctl_call(c, "GET", path, NULL, &a);
    if (*status == 0 && a.status != 404)
        *status = ctl_refused(c, &a);
    json_t *found = *status == 0 && a.status == 200 ? json_incref(a.json) : NULL;
    answer_fini(&a);
    return found;
}

int node_load(struct ctl *c, struct node *n)
{
    int status;
    *n = (struct node){0};
    n->overview = load(c, path_of("overview"), &status);
    json_t *nodes = status == 0 ? load(c, path_of("nodes"), &status) : NULL;
    n->node = json_incref(json_array_get(nodes, 0));
    json_decref(nodes);
    json_t *memory = NULL;
    if (status == 0 && n->node != NULL)
        memory = load(c, path_of("nodes", ctl_string(n->node, "name"), "memory"), &status);
    n->memory = json_incref(json_object_get(memory, "memory"));
    json_decref(memory);
    return status;
}

void node_fini(struct node *n)
{
    json_decref(n->overview);
    json_decref(n->node);
    json_decref(n->memory);
    *n = (struct node){0};
}

json_t *node_alarms(const struct node *n)
{
    static const char *const flags[][2] = {{"mem_alarm", "memory"}, {"disk_free_alarm", "disk"}};
    json_t *alarms = json_array();
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (json_is_true(json_object_get(n->node, flags[i][0])))
            json_array_append_new(
                alarms, json_pack("{s:s, s:s}", "node", ctl_string(n->node, "name"), "resource", flags[i][1]));
    return alarms;
}

static const char *purpose_of(const char *protocol)
{
    static const char *const known[][2] = {
        {"amqp", "AMQP 0-9-1"},
        {"amqp/ssl", "AMQP 0-9-1 over TLS"},
        {"http", "HTTP API"},
        {"https", "HTTP API (HTTPS)"},
        {"http/prometheus", "Prometheus exporter API over HTTP"},
        {"clustering", "inter-node and CLI tool communication"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i][0], protocol) == 0)
            return known[i][1];
    return protocol;
}

json_t *node_listeners_of(const struct node *n)
{
    json_t *list = json_array(), *item;
    size_t i;
    json_array_foreach(json_object_get(n->overview, "listeners"), i, item)
    {
        const char *address = ctl_string(item, "ip_address"), *protocol = ctl_string(item, "protocol");
        char *interface = str_format(strchr(address, ':') != NULL ? "[%s]" : "%s", address);
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:s}", "interface", interface, "node",
                                              ctl_string(item, "node"), "port",
                                              json_integer_value(json_object_get(item, "port")), "protocol", protocol,
                                              "purpose", purpose_of(protocol)));
        free(interface);
    }
    return list;
}

void node_print_listeners(FILE *to, const struct node *n, const char *head)
{
    json_t *list = node_listeners_of(n), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        fprintf(to, "%s: %s, port: %lld, protocol: %s, purpose: %s\n", head, ctl_string(item, "interface"),
                (long long)json_integer_value(json_object_get(item, "port")), ctl_string(item, "protocol"),
                ctl_string(item, "purpose"));
    }
    json_decref(list);
}
