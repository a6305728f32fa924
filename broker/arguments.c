#include "broker/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/config.h"
#include "broker/environment.h"
#include "broker/host.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

static const char USAGE[] =
    "Usage: millraced [OPTION...]\n"
    "An AMQP 0-9-1 message broker that clients cannot tell from RabbitMQ.\n"
    "\n"
    "  -c, --config FILE       read this configuration; otherwise " SYSCONFDIR
    "/millrace/millrace.conf and conf.d/*.conf there,\n"
    "                          or those of /etc/rabbitmq\n"
    "      --set KEY=VALUE     set one key, whatever files say; may be given more than once\n"
    "      --check-config      read and judge the configuration, print what would be in effect, and stop\n"
    "      --version           print the version and stop\n"
    "      --help              print this and stop\n"
    "\n"
    "Exit status: 0; 64 wrong usage; 69 a port or the data folder is in use; 70 the disk failed to sync or to write;\n"
    "73 no data folder; 74 the disk cannot be read, or was full at the end; 76 data of a newer version; 77 root's\n"
    "rights cannot be given up; 78 wrong configuration.\n";

int arguments_read(struct arguments *a, int argc, char **argv)
{
    enum { SET = 256, CHECK, VERSION, HELP };
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},   {"set", required_argument, NULL, SET},
        {"check-config", no_argument, NULL, CHECK}, {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},          {0},
    };
    for (int c; (c = getopt_long(argc, argv, "c:", known, NULL)) != -1;) { // NOLINT(concurrency-mt-unsafe)
        switch (c) {
        case 'c':
            a->file = optarg;
            break;
        case SET:
            CHECK(optarg != NULL); /* required_argument says so */
            a->settings = alloc_array((void *)a->settings, a->n_settings + 1, sizeof(char *));
            a->settings[a->n_settings++] = optarg;
            break;
        case CHECK:
            a->check_only = true;
            break;
        case VERSION:
            puts("millrace " PACKAGE_VERSION);
            return EX_OK;
        case HELP:
            fputs(USAGE, stdout);
            return EX_OK;
        default:
            fputs("Try 'millraced --help'.\n", stderr);
            return EX_USAGE;
        }
    }
    if (a->check_only && a->file == NULL && optind < argc)
        a->file = argv[optind++];
    if (optind == argc)
        return -1;
    fprintf(stderr, "millraced: what is '%s'?  Try 'millraced --help'.\n", argv[optind]);
    return EX_USAGE;
}

/* Reads FOLDER/NAME.conf and FOLDER/conf.d; false: there is neither. */
static bool read_folder(struct config *c, const char *folder, const char *name)
{
    char *main_file = str_format("%s/%s", folder, name), *more = str_format("%s/conf.d", folder);
    bool has_main = access(main_file, F_OK) == 0, has_more = access(more, F_OK) == 0;
    if (has_main)
        config_read_file(c, main_file);
    if (has_more) {
        char *include = str_format("include %s/*.conf\n", more);
        config_read_text(c, more, bytes_of_string(include));
        free(include);
    }
    free(main_file);
    free(more);
    return has_main || has_more;
}

/* Files that variables name: one, with or without .conf at its end; a folder of them, or a pattern. */
static void read_named(struct config *c, const char *file, const char *more)
{
    struct stat st;
    char *text;
    if (file != NULL) {
        text = str_format("%s%s", file, access(file, F_OK) == 0 ? "" : ".conf");
        config_read_file(c, text);
        free(text);
    }
    if (more == NULL)
        return;
    bool is_folder = stat(more, &st) == 0 && S_ISDIR(st.st_mode);
    text = str_format("include %s%s\n", more, is_folder ? "/*.conf" : "");
    config_read_text(c, more, bytes_of_string(text));
    free(text);
}

/* What stood behind --set KEY= is in the list of processes no longer, if KEY is a secret. */
static void wipe_argument(char *setting)
{
    char *value = strchr(setting, '=');
    if (value == NULL)
        return;
    *value = '\0';
    const struct config_key *key = config_key_find(setting);
    *value = '=';
    if (key != NULL && key->type == TYPE_SECRET)
        str_wipe(value + 1);
}

void arguments_configure(const struct arguments *a, struct config *c)
{
    environment_load(c);
    const char *file = environment_find("CONFIG_FILE"), *more = environment_find("CONFIG_FILES");
    if (a->file != NULL)
        config_read_file(c, a->file);
    else if (file != NULL || more != NULL)
        read_named(c, file, more);
    else if (!read_folder(c, SYSCONFDIR "/millrace", "millrace.conf"))
        read_folder(c, "/etc/rabbitmq", "rabbitmq.conf");
    environment_apply(c);
    for (unsigned i = 0; i < a->n_settings; i++) {
        config_set(c, a->settings[i], i + 1);
        wipe_argument(a->settings[i]);
    }

    char *name = host_node_name(), *dir = host_data_dir();
    config_suggest(c, KEY_NODE_NAME, name, "host name");
    config_suggest(c, KEY_CLUSTER_NAME, config_text(c, KEY_NODE_NAME), "node name");
    if (dir != NULL)
        config_suggest(c, KEY_DATA_DIR, dir, "default");
    free(name);
    free(dir);
    const char *runtime = getenv("RUNTIME_DIRECTORY"); // NOLINT(concurrency-mt-unsafe): threads come later
    if (runtime != NULL && runtime[0] == '/') {
        char *pid_file = str_format("%.*s/pid", (int)strcspn(runtime, ":"), runtime);
        config_suggest(c, KEY_PID_FILE, pid_file, "RUNTIME_DIRECTORY");
        free(pid_file);
    }
}

void arguments_fini(struct arguments *a)
{
    free((void *)a->settings);
}
