#include "broker/ctl/command.h"

#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "broker/ctl/handlers.h"

static const struct command commands[] = {
#define O(id) (UINT64_C(1) << (OPTION_##id - OPTION_LAST_COMMON - 1))
#define COMMAND(name, section, least, most, flags, options, usage, banner, about, run)                                 \
    {name, SECTION_##section, least, most, flags, options, usage, banner, about, run},
#include "broker/ctl/commands.def"
#undef COMMAND
#undef O
};

_Static_assert(OPTION_COUNT_OF_THEM - OPTION_LAST_COMMON - 1 <= 64, "a command's options are bits of one word");

enum { N_COMMANDS = sizeof commands / sizeof commands[0], SIMILAR_MOST = 5 };

/* rabbitmqctl takes underscores; people write dashes as well. */
static bool is_called(const char *command, const char *name)
{
    for (; *command != '\0' && (*command == *name || (*command == '_' && *name == '-')); command++)
        name++;
    return *command == *name;
}

const struct command *command_find(const char *tool, const char *name)
{
    bool is_plugins = strcmp(tool, "rabbitmq-plugins") == 0;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (is_called(commands[i].name, name) && (is_plugins || !(commands[i].flags & COMMAND_PLUGINS)))
            return &commands[i];
    return NULL;
}

const char *command_suggest(const char *name)
{
    size_t most = strlen(name) / 3 + 1, best = (most < SIMILAR_MOST ? most : SIMILAR_MOST) + 1;
    const char *found = NULL;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        size_t d = commands[i].flags & COMMAND_PLUGINS ? SIZE_MAX : str_distance(name, commands[i].name);
        if (d < best) {
            best = d;
            found = commands[i].name;
        }
    }
    return found;
}

bool command_takes(const struct command *c, enum option id)
{
    const unsigned bit = (unsigned)id - OPTION_LAST_COMMON - 1;
    return options_is_common(id) || (bit < sizeof c->options * CHAR_BIT && (c->options >> bit & 1) != 0);
}

void command_print_usage(FILE *to, const char *tool, const struct command *c)
{
    if (c == NULL)
        fprintf(to, "%s [--data-dir <folder> | --url <url>] [--timeout <seconds>] [--quiet] <command> [<options>]\n",
                tool);
    else
        fprintf(to, "%s [--node <node>] [--quiet] %s%s%s\n", tool, c->name, c->usage[0] != '\0' ? " " : "", c->usage);
}

void command_print_all(FILE *to, const char *tool)
{
    static const char *const names[SECTION_OTHER] = {"Help",
                                                     "Nodes",
                                                     "Users",
                                                     "Access Control",
                                                     "Monitoring, observability and health checks",
                                                     "Parameters",
                                                     "Policies",
                                                     "Virtual hosts",
                                                     "Queues, exchanges, connections",
                                                     "Configuration and Environment",
                                                     "Definitions",
                                                     "Diagnostics",
                                                     "Feature flags"};
    fputs("\nUsage\n\n", to);
    command_print_usage(to, tool, NULL);
    fputs("\nAvailable commands:\n", to);
    for (unsigned section = 0; section < SECTION_OTHER; section++) {
        fprintf(to, "\n%s:\n\n", names[section]);
        for (size_t i = 0; i < N_COMMANDS; i++)
            if (commands[i].section == section)
                fprintf(to, "   %-29s %s\n", commands[i].name, commands[i].about);
    }
    fprintf(to, "\nUse '%s help <command>' to learn more about a specific command\n", tool);
}

static void print_options(FILE *to, const struct command *c, bool are_common)
{
    for (unsigned i = 0; i < OPTION_COUNT_OF_THEM; i++) {
        enum option id = (enum option)i;
        if (options_is_common(id) != are_common || !command_takes(c, id))
            continue;
        char letter[] = {'-', options_letter(id), ',', ' ', '\0'};
        const char *of = options_value_name(id);
        fprintf(to, "  %s--%s%s%s%s\n", options_letter(id) != '\0' ? letter : "    ", options_name(id),
                of != NULL ? " <" : "", of != NULL ? of : "", of != NULL ? ">" : "");
    }
}

void command_print_help(FILE *to, const char *tool, const struct command *c)
{
    fputs("\nUsage\n\n", to);
    command_print_usage(to, tool, c);
    bool has_number = c->about[0] >= '0' && c->about[0] <= '9';
    fprintf(to, "\n%s\n", c->about + (has_number ? 3 : 0));
    if (c->options != 0) {
        fputs("\nOptions\n\n", to);
        print_options(to, c, false);
    }
    fputs("\nGeneral Options\n\n", to);
    print_options(to, c, true);
}

void command_complete(FILE *to, const char *begin)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].section != SECTION_OTHER && strncmp(commands[i].name, begin, strlen(begin)) == 0)
            fprintf(to, "%s\n", commands[i].name);
}
