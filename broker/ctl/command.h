/* The commands: a table of what there is (commands.def), what it takes and says, and who does it. */
#ifndef BROKER_CTL_COMMAND_H
#define BROKER_CTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/ctl/options.h"

struct ctl;

enum section {
    SECTION_HELP,
    SECTION_NODES,
    SECTION_USERS,
    SECTION_ACCESS,
    SECTION_MONITORING,
    SECTION_PARAMETERS,
    SECTION_POLICIES,
    SECTION_VHOSTS,
    SECTION_OBJECTS,
    SECTION_CONFIGURATION,
    SECTION_DEFINITIONS,
    SECTION_CHECKS,
    SECTION_FEATURES,
    SECTION_OTHER, /* not shown: what is taken for the sake of scripts, or refused with a reason */
    SECTION_COUNT
};

enum {
    COMMAND_WORDS_ANY = 255,
    COMMAND_SECRET = 1 << 0,  /* a word may be a password: it is taken out of what other users see */
    COMMAND_OFFLINE = 1 << 1, /* it asks no broker */
    COMMAND_PLUGINS = 1 << 2, /* of rabbitmq-plugins alone */
    COMMAND_CHECKS = 1 << 3,  /* it says its banner itself, when it has looked at its words */
    COMMAND_BYTES = 1 << 4,   /* its words are files or a message, which need not be UTF-8 */
};

struct command {
    const char *name;
    enum section section;
    unsigned least, most; /* words */
    unsigned flags;
    uint64_t options;   /* a bit each that it takes beyond the common ones */
    const char *usage;  /* what follows the name */
    const char *banner; /* a template for ctl_say(), or NULL */
    const char *about;
    int (*run)(struct ctl *c);
};

/* NULL: there is none.  tool is the name by which it was called. */
const struct command *command_find(const char *tool, const char *name);

/* The most similar name, or NULL. */
const char *command_suggest(const char *name);

bool command_takes(const struct command *c, enum option id);

void command_print_usage(FILE *to, const char *tool, const struct command *c);

/* All commands in their sections; command_print_help() is about one. */
void command_print_all(FILE *to, const char *tool);
void command_print_help(FILE *to, const char *tool, const struct command *c);

/* Names, options of a command: a line each, for shells that complete words. */
void command_complete(FILE *to, const char *begin);
#endif
