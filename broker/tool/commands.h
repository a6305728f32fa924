/* What millrace-store can do: each answers its exit code (folder.h). */
#ifndef BROKER_TOOL_COMMANDS_H
#define BROKER_TOOL_COMMANDS_H

#include <stdbool.h>

#include "broker/tool/folder.h"

struct command {
    const char *dir, *new_dir; /* new_dir: repair and backup alone */
    const char *vhost, *queue; /* extract: which; NULL: all */
    const char *to;            /* extract: a folder; NULL: standard output */
    bool is_json;
};

int command_verify(struct folder *f, const struct command *c);
int command_stat(struct folder *f, const struct command *c);
int command_dump(struct folder *f, const struct command *c);
int command_extract(struct folder *f, const struct command *c);
int command_repair(struct folder *f, const struct command *c);
int command_backup(struct folder *f, const struct command *c);
#endif
