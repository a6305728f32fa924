/* millrace-store: looks at a broker's data folder from outside. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/tool/commands.h"

static const char USAGE[] =
    "Usage: millrace-store verify  [--json] [--force] DIR\n"
    "       millrace-store dump    [--json] [--force] DIR\n";

enum need { NEEDS_NEW_DIR = 1 << 0, MAY_FORCE = 1 << 1, MAY_RUN = 1 << 2 /* beside a broker */ };

static const struct verb {
    const char *name;
    int (*run)(struct folder *f, const struct command *c);
    unsigned needs; /* enum need */
} verbs[] = {
    {"verify", command_verify, MAY_FORCE},
    {"dump", command_dump, MAY_FORCE},
};

struct arguments {
    const struct verb *verb;
    struct command command;
    bool is_forced;
};

static int complain(const char *what, const char *which)
{
    fprintf(stderr, "millrace-store: %s%s.  Try 'millrace-store --help'.\n", what, which);
    return EX_USAGE;
}

static int read_words(struct arguments *a, int n, char **words)
{
    if (n == 0)
        return complain("what is to be done?", "");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, words[0]) == 0)
            a->verb = &verbs[i];
    if (a->verb == NULL)
        return complain("there is no ", words[0]);
    int wanted = a->verb->needs & NEEDS_NEW_DIR ? 3 : 2;
    if (n < wanted)
        return complain("a folder is missing for ", words[0]);
    if (n > wanted)
        return complain("one word too many: ", words[wanted]);
    a->command.dir = words[1];
    a->command.new_dir = wanted > 2 ? words[2] : NULL;
    return -1;
}

/* -1: go on; otherwise the exit status. */
static int read_arguments(struct arguments *a, int argc, char **argv)
{
    enum { JSON = 256, FORCE, VHOST, QUEUE, TO, VERSION, HELP };
    static const struct option known[] = {
        {"json", no_argument, NULL, JSON},        {"force", no_argument, NULL, FORCE},
        {"vhost", required_argument, NULL, VHOST}, {"queue", required_argument, NULL, QUEUE},
        {"to", required_argument, NULL, TO},      {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) { // NOLINT(concurrency-mt-unsafe)
        switch (c) {
        case JSON:
            a->command.is_json = true;
            break;
        case FORCE:
            a->is_forced = true;
            break;
        case VHOST:
            a->command.vhost = optarg;
            break;
        case QUEUE:
            a->command.queue = optarg;
            break;
        case TO:
            a->command.to = optarg;
            break;
        case VERSION:
            puts("millrace-store " PACKAGE_VERSION);
            return EX_OK;
        case HELP:
            fputs(USAGE, stdout);
            return EX_OK;
        default:
            fputs("Try 'millrace-store --help'.\n", stderr);
            return EX_USAGE;
        }
    }
    return read_words(a, argc - optind, argv + optind);
}

static int run(const struct arguments *a)
{
    struct folder f;
    int status = folder_open(&f, a->command.dir);
    if (status != 0)
        return status;
    bool may_go_on = (a->verb->needs & MAY_RUN) || ((a->verb->needs & MAY_FORCE) && a->is_forced);
    status = may_go_on ? 0 : folder_refuse_use(&f);
    if (status == 0)
        status = a->verb->run(&f, &a->command);
    folder_close(&f);
    if (fflush(stdout) == 0)
        return status;
    perror("millrace-store: standard output");
    return EX_IOERR;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};
    int status = read_arguments(&a, argc, argv);
    return status >= 0 ? status : run(&a);
}
