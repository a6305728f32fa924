/* millrace-store: looks at a broker's data folder from outside. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/tool/commands.h"

static const char USAGE[] =
    "Usage: millrace-store verify  [--json] [--force] DIR\n"
    "       millrace-store stat    [--json] [--force] DIR\n"
    "       millrace-store dump    [--json] [--force] DIR\n"
    "       millrace-store extract [--vhost V] [--queue Q] [--to FOLDER] [--force] DIR\n"
    "       millrace-store repair  DIR NEWDIR\n"
    "       millrace-store backup  DIR NEWDIR\n"
    "Looks at what a Millrace broker keeps on disk.  DIR is the broker's data_dir.  Nothing below it is ever changed.\n"
    "\n"
    "  verify   reads every file wholly, as it lies there and as the broker would, and says what is damaged, where, "
    "and\n"
    "           how many messages of which queue that costs\n"
    "  stat     sizes of all kinds of files, and queues with their counts\n"
    "  dump     every item of every file, a line each: file, offset, type, what it says\n"
    "  extract  messages, in order, as lines of JSON on standard output (the body in base64), or with --to as two "
    "files\n"
    "           each in a new folder: the body, and what there is to say of it\n"
    "  repair   makes NEWDIR, a data folder with all that can still be read\n"
    "  backup   makes NEWDIR, a copy that was read back and verified.  A broker that runs makes it itself, of one\n"
    "           moment, while it works; it must be able to write there (later: millracectl backup)\n"
    "\n"
    "      --json         JSON: verify and stat one object, dump one a line\n"
    "      --force        look although a broker is using it: what it writes meanwhile may look like damage\n"
    "      --vhost V      only the queues of this virtual host\n"
    "      --queue Q      only the queues of this name\n"
    "      --to FOLDER    where extract puts files; it must not exist\n"
    "      --version      print the version and stop\n"
    "      --help         print this and stop\n"
    "\n"
    "Exit status: 0 all is well; 1 nothing is lost, but not all is as it should be, as after a crash; 2 something is\n"
    "lost; 3 there is no store, or of a newer version, or the disk answers errors; 4 a broker is using it; 5 what was\n"
    "to be written cannot be; 64 wrong usage.\n";

enum need { NEEDS_NEW_DIR = 1 << 0, MAY_FORCE = 1 << 1, MAY_RUN = 1 << 2 /* beside a broker */ };

static const struct verb {
    const char *name;
    int (*run)(struct folder *f, const struct command *c);
    unsigned needs; /* enum need */
} verbs[] = {
    {"verify", command_verify, MAY_FORCE},     {"stat", command_stat, MAY_FORCE},
    {"dump", command_dump, MAY_FORCE},         {"extract", command_extract, MAY_FORCE},
    {"repair", command_repair, NEEDS_NEW_DIR}, {"backup", command_backup, NEEDS_NEW_DIR | MAY_RUN},
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
        {"json", no_argument, NULL, JSON},         {"force", no_argument, NULL, FORCE},
        {"vhost", required_argument, NULL, VHOST}, {"queue", required_argument, NULL, QUEUE},
        {"to", required_argument, NULL, TO},       {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},         {0},
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
