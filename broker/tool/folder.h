/* The data folder that a tool looks at: found, locked against a broker that would change it, and read-only. */
#ifndef BROKER_TOOL_FOLDER_H
#define BROKER_TOOL_FOLDER_H

#include <stdbool.h>

#include "broker/store/disk.h"

/* Exit codes; with 64 (EX_USAGE) for a wrong command line. */
enum tool_exit {
    TOOL_CLEAN = 0,
    TOOL_TORN = 1,       /* nothing is lost, but something is not as it should be */
    TOOL_LOSS = 2,       /* something cannot be read any more */
    TOOL_UNREADABLE = 3, /* there is no store, or of a newer version, or the disk answers errors */
    TOOL_IN_USE = 4,     /* a broker has it */
    TOOL_CANNOT = 5,     /* what was to be written cannot be */
};

struct folder {
    char *home;        /* owned: the broker's data_dir */
    char *path;        /* owned: where the store's files are, home/store or home itself */
    struct disk *disk; /* owned: read-only */
    struct disk *real; /* owned: below it */
    int lock;          /* a file; -1: none */
    bool is_in_use;    /* by a broker */
    long owner;        /* its pid; 0: not known */
};

/* Opens dir, a data_dir or its folder "store".  Where a broker has it, is_in_use says so.  0, or an exit code after
 * saying why on standard error. */
int folder_open(struct folder *f, const char *dir);
void folder_close(struct folder *f);

/* 0, or TOOL_IN_USE after saying so. */
int folder_refuse_use(const struct folder *f);
#endif
