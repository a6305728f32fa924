/* The command line, and the configuration that it asks for. */
#ifndef BROKER_ARGUMENTS_H
#define BROKER_ARGUMENTS_H

#include <stdbool.h>

struct config;

struct arguments {
    const char *file; /* borrowed: -c, or the argument of --check-config; NULL: the usual files */
    bool check_only;
    char **settings; /* owned; what it points to is borrowed: --set */
    unsigned n_settings;
};

/* Reads them into *a, which is zeroed.  -1: go on; otherwise the program has said all that it has to say, and this is
 * its exit status. */
int arguments_read(struct arguments *a, int argc, char **argv);

/* Reads the files and the settings into the configuration, which takes note of what is wrong.  Secrets are wiped from
 * the command line. */
void arguments_configure(const struct arguments *a, struct config *c);

void arguments_fini(struct arguments *a);
#endif
