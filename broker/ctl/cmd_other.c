/* Help, and what has no meaning here but stands in scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

/* As which RabbitMQ the broker behaves: the default of server_properties.version. */
#define SERVER_VERSION "3.13.7"

int other_help(struct ctl *c)
{
    if (c->n_args == 0) {
        command_print_all(stdout, c->tool);
        return 0;
    }
    const struct command *found = command_find(c->tool, c->args[0]);
    if (found == NULL)
        return ctl_fail(c, EX_USAGE, "\nCommand '%s' not found.", c->args[0]);
    command_print_help(stdout, c->tool, found);
    return 0;
}

/* Whoever asks a tool of RabbitMQ's wants to know what its output looks like: deployment tools compare it. */
int other_version(struct ctl *c)
{
    puts(strncmp(c->tool, "rabbitmq", strlen("rabbitmq")) == 0 ? SERVER_VERSION : PACKAGE_VERSION);
    return 0;
}

int other_complete(struct ctl *c)
{
    command_complete(stdout, c->n_args > 0 ? c->args[0] : "");
    return 0;
}

int other_accept(struct ctl *c)
{
    fprintf(stderr, "%s: nothing to do: %s\n", c->command->name, c->command->about);
    if (strcmp(c->command->name, "await_online_nodes") == 0 && ctl_count(c->args[0]) > 1)
        return ctl_fail(c, EX_TIMEOUT, "there is one node, and there will be no more");
    return ctl_done(c, 0);
}

/* The text begins with the status. */
int other_refuse(struct ctl *c)
{
    char *why;
    int status = (int)strtol(c->command->about, &why, 10);
    return ctl_fail(c, status, "%s is not available:%s", c->command->name, why);
}

/* Plugins that are features of the broker, or of nobody. */
static bool is_built_in(const char *plugin)
{
    static const char *const names[] = {"rabbitmq_management", "rabbitmq_management_agent", "rabbitmq_prometheus",
                                        "rabbitmq_web_dispatch"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], plugin) == 0)
            return true;
    return false;
}

int other_plugins(struct ctl *c)
{
    const char *what = c->command->name;
    bool asks = strcmp(what, "is_enabled") == 0, enables = strcmp(what, "enable") == 0 || strcmp(what, "set") == 0;
    int status = 0;
    for (size_t i = 0; i < c->n_args && (asks || enables); i++) {
        bool is_there = is_built_in(c->args[i]);
        if (asks && is_there)
            ctl_tell(c, "Plugin %s is enabled on node %s", c->args[i], c->node);
        else if (asks)
            status = ctl_fail(c, EX_UNAVAILABLE, "Plugin %s is not enabled on node %s", c->args[i], c->node);
        else
            fprintf(stderr,
                    is_there ? "%s: nothing to do: it is part of the broker\n"
                             : "%s: there are no plugins, and the broker does not have this feature\n",
                    c->args[i]);
    }
    if (strcmp(what, "list") == 0)
        puts("[E*] rabbitmq_management\n[E*] rabbitmq_prometheus");
    else if (!asks && !enables)
        fprintf(stderr, "%s: nothing to do: there are no plugins\n", what);
    return status;
}
