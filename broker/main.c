/* The program: reads the command line and the configuration, then serves. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/config.h"
#include "broker/host.h"
#include "broker/listeners.h"
#include "broker/net/login.h"
#include "broker/net/server.h"
#include "broker/recovery.h"
#include "broker/store/backup_desk.h"
#include "broker/store/keeper.h"

struct options {
    const char *file; /* -c, or the argument of --check-config */
    bool check_only;
    const char **settings; /* owned: --set */
    unsigned n_settings;
};

static const char USAGE[] =
    "Usage: millraced [OPTION...]\n"
    "An AMQP 0-9-1 message broker that clients cannot tell from RabbitMQ.\n"
    "\n"
    "  -c, --config FILE       read this configuration; otherwise /etc/millrace/millrace.conf and conf.d/*.conf "
    "there,\n"
    "                          or those of /etc/rabbitmq\n"
    "      --set KEY=VALUE     set one key, whatever files say; may be given more than once\n"
    "      --check-config      read and judge the configuration, print what would be in effect, and stop\n"
    "      --version           print the version and stop\n"
    "      --help              print this and stop\n"
    "\n"
    "Exit status: 0; 64 wrong usage; 69 a port or the data folder is in use; 70 the disk failed to sync or to write;\n"
    "73 no data folder; 74 the disk cannot be read, or was full at the end; 76 data of a newer version; 78 wrong\n"
    "configuration.\n";

/* -1: go on; otherwise the exit status. */
static int read_options(struct options *o, int argc, char **argv)
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
            o->file = optarg;
            break;
        case SET:
            o->settings = alloc_array((void *)o->settings, o->n_settings + 1, sizeof(char *));
            o->settings[o->n_settings++] = optarg;
            break;
        case CHECK:
            o->check_only = true;
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
    if (o->check_only && o->file == NULL && optind < argc)
        o->file = argv[optind++];
    if (optind == argc)
        return -1;
    fprintf(stderr, "millraced: what is '%s'?  Try 'millraced --help'.\n", argv[optind]);
    return EX_USAGE;
}

/* ---- The configuration. */

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

static void read_config(struct config *c, const struct options *o)
{
    if (o->file != NULL)
        config_read_file(c, o->file);
    else if (!read_folder(c, "/etc/millrace", "millrace.conf"))
        read_folder(c, "/etc/rabbitmq", "rabbitmq.conf");
    for (unsigned i = 0; i < o->n_settings; i++)
        config_set(c, o->settings[i], i + 1);

    char *name = host_node_name(), *dir = host_data_dir();
    config_suggest(c, KEY_CLUSTER_NAME, name, "host name");
    if (dir != NULL)
        config_suggest(c, KEY_DATA_DIR, dir, "default");
    free(name);
    free(dir);
}

/* Prints what is wrong; true if it is too wrong to go on. */
static bool tell_complaints(const struct config *c)
{
    size_t n, errors = config_errors(c);
    const struct config_complaint *all = config_complaints(c, &n);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s\n", all[i].text);
    if (errors > 0)
        fprintf(stderr, "%zu errors, %zu warnings\n", errors, n - errors);
    return errors > 0;
}

static void log_warnings(const struct config *c)
{
    size_t n;
    const struct config_complaint *all = config_complaints(c, &n);
    for (size_t i = 0; i < n; i++)
        log_warning("main", "%s", all[i].text);
}

/* ---- From the configuration to the server. */

/* What the server borrows from the configuration, in the shapes that it wants. */
struct wiring {
    struct bytes *loopback_users; /* owned; the names are borrowed */
    unsigned n_loopback_users;
    bool is_guest_named; /* loopback_users.guest is set */
    struct login_rules login;
};

static void add_loopback_user(struct wiring *w, const char *name)
{
    w->loopback_users = alloc_array(w->loopback_users, w->n_loopback_users + 1, sizeof *w->loopback_users);
    w->loopback_users[w->n_loopback_users++] = bytes_of_string(name);
}

static void on_loopback_user(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)value;
    struct wiring *w = arg;
    if (strcmp(name, "guest") == 0)
        w->is_guest_named = true;
    if (number != 0)
        add_loopback_user(w, name);
}

static void wire(struct wiring *w, const struct config *c)
{
    *w = (struct wiring){0};
    config_each(c, KEY_LOOPBACK_USERS, on_loopback_user, w);
    if (config_is_set(c, KEY_LOOPBACK_USERS_NONE))
        w->n_loopback_users = 0;
    else if (!w->is_guest_named)
        add_loopback_user(w, "guest");
    w->login = (struct login_rules){
        .user = bytes_of_string(config_text(c, KEY_DEFAULT_USER)),
        .password = bytes_of_string(config_text(c, KEY_DEFAULT_PASS)),
        .loopback_users = w->loopback_users,
        .n_loopback_users = w->n_loopback_users,
    };
}

static uint64_t memory_total(const struct config *c)
{
    return config_is_set(c, KEY_TOTAL_MEMORY) ? config_number(c, KEY_TOTAL_MEMORY) : host_memory();
}

/* Bytes of messages that raise the memory alarm. */
static uint64_t memory_high(const struct config *c)
{
    uint64_t total = memory_total(c);
    uint64_t high = config_is_set(c, KEY_WATERMARK_ABSOLUTE)
                        ? config_number(c, KEY_WATERMARK_ABSOLUTE)
                        : (uint64_t)((double)total * config_fraction(c, KEY_WATERMARK_RELATIVE));
    log_info("main",
             "Memory high watermark set to %" PRIu64 " MiB (%" PRIu64 " bytes) of %" PRIu64 " MiB (%" PRIu64
             " bytes) total",
             high >> 20, high, total >> 20, total);
    return high;
}

static struct broker_config broker_config_of(const struct config *c)
{
    uint64_t hash_seed;
    login_random(NULL, &hash_seed, sizeof hash_seed);
    return (struct broker_config){
        .default_vhost = config_text(c, KEY_DEFAULT_VHOST), .hash_seed = hash_seed, .memory_high = memory_high(c)};
}

static struct server_config server_config_of(const struct config *c, const struct listeners *l, struct wiring *w,
                                             const struct hub_keeper *keeper)
{
    return (struct server_config){
        .listeners = l->all,
        .n_listeners = l->n,
        .tls_handshake_ms = config_number(c, KEY_TLS_HANDSHAKE_TIMEOUT),
        .proxies = l->proxies,
        .n_proxies = l->n_proxies,
        .socket = {.backlog = (int)config_number(c, KEY_BACKLOG),
                   .nodelay = config_number(c, KEY_NODELAY) != 0,
                   .keepalive = config_number(c, KEY_KEEPALIVE) != 0,
                   .sndbuf = (int)config_number(c, KEY_SNDBUF),
                   .recbuf = (int)config_number(c, KEY_RECBUF)},
        .io_threads = (unsigned)config_number(c, KEY_IO_THREADS),
        .connections_max = (unsigned)config_number(c, KEY_CONNECTION_MAX),
        .session = {.channel_max = (uint16_t)config_number(c, KEY_CHANNEL_MAX),
                    .frame_max = (uint32_t)config_number(c, KEY_FRAME_MAX),
                    .heartbeat_s = (uint16_t)config_number(c, KEY_HEARTBEAT),
                    .max_message_size = config_number(c, KEY_MAX_MESSAGE_SIZE),
                    .handshake_timeout_ms = config_number(c, KEY_HANDSHAKE_TIMEOUT),
                    .product = config_text(c, KEY_PRODUCT),
                    .version = config_text(c, KEY_VERSION),
                    .broker_version = PACKAGE_VERSION,
                    .cluster_name = config_text(c, KEY_CLUSTER_NAME),
                    .login = login_judge,
                    .random = login_random,
                    .arg = &w->login},
        .keeper = keeper,
    };
}

/* ---- Keeping: the keeper has the hub's ear, and the other way round. */

static void on_durable(void *hub, uint64_t position, uint64_t changes)
{
    hub_tell_durable(hub, position, changes);
}

static void on_loaded(void *hub, struct load *l)
{
    hub_tell_loaded(hub, l);
}

static void on_disk_alarm(void *hub, bool is_set)
{
    hub_tell_disk_alarm(hub, is_set);
}

static void keep(void *keeper, struct sheaf *records)
{
    keeper_keep(keeper, records);
}

static uint64_t pending(void *keeper)
{
    return keeper_pending(keeper);
}

/* What must be free on disk: has_limit if that was configured. */
static uint64_t disk_limit(const struct config *c, bool *has_limit)
{
    *has_limit = true;
    if (config_is_set(c, KEY_DISK_LIMIT_ABSOLUTE))
        return config_number(c, KEY_DISK_LIMIT_ABSOLUTE);
    *has_limit = config_is_set(c, KEY_DISK_LIMIT_RELATIVE);
    return *has_limit ? (uint64_t)((double)memory_total(c) * config_fraction(c, KEY_DISK_LIMIT_RELATIVE)) : 0;
}

static void on_tick(void *desk, bool is_last)
{
    if (is_last)
        backup_desk_end(desk);
    else
        backup_desk_tend(desk);
}

static struct keeper *create_keeper(const struct config *c, const struct recovery *r, struct backup_desk *desk)
{
    struct keeper_config kc = {.store = r->store, .disk = r->disk, .on_tick = on_tick, .tick_arg = desk};
    kc.disk_limit = disk_limit(c, &kc.is_disk_limit_chosen);
    return keeper_create(&kc);
}

static void fill_random(void *to, size_t n)
{
    login_random(NULL, to, n);
}

/* ---- Serving. */

/* Claims the data folder; 0, or the exit status. */
static int claim_data(const struct config *c)
{
    const char *dir = config_text(c, KEY_DATA_DIR);
    if (dir == NULL) {
        fputs("millraced: there is no folder for data; set data_dir\n", stderr);
        return EX_CANTCREAT;
    }
    return host_claim_dir(dir);
}

/* Until it is told to stop; the exit status. */
static int run(struct server *s, struct keeper *k)
{
    const struct keeper_ear ear = {
        .durable = on_durable, .loaded = on_loaded, .disk_alarm = on_disk_alarm, .arg = server_hub(s)};
    keeper_start(k, &ear);
    log_info("main", "Server startup complete; 0 plugins started.");
    printf("millrace " PACKAGE_VERSION " ready: %s\n", server_addresses(s));
    fflush(stdout);
    bool has_ended = server_run(s);
    int status = keeper_stop(k) ? EX_OK : EX_IOERR;
    if (!has_ended) {
        log_warning("main", "not all connections could be closed in an orderly manner");
        _exit(status); /* they still refer to everything that would be freed */
    }
    log_info("main", "stopped");
    return status;
}

/* With what was recovered, which it uses up, and tls, which it takes over. */
static int serve_recovered(const struct config *c, const struct listeners *l, struct tls *tls, struct recovery *r)
{
    struct wiring w;
    wire(&w, c);
    struct backup_desk *desk = backup_desk_create(config_text(c, KEY_DATA_DIR), r->disk, r->store);
    struct keeper *k = create_keeper(c, r, desk);
    const struct hub_keeper keeper = {.keep = keep,
                                      .pending = pending,
                                      .pending_max = keeper_pending_max(k),
                                      .pending_easy = keeper_pending_max(k) / 2,
                                      .arg = k};
    struct server_config sc = server_config_of(c, l, &w, &keeper);
    sc.tls = tls;
    char *error = NULL;
    int status = EX_UNAVAILABLE;
    struct server *s = server_create(&sc, r->broker, &error);
    if (s == NULL)
        fprintf(stderr, "millraced: %s\n", error);
    else
        status = run(s, k);
    server_destroy(s);
    keeper_destroy(k);
    backup_desk_destroy(desk);
    free(error);
    free(w.loopback_users);
    return status;
}

/* With certificates at hand, which it takes over. */
static int serve_at(const struct config *c, const struct listeners *l, struct tls *tls)
{
    int status = claim_data(c);
    if (status != 0) {
        tls_unref(tls);
        return status;
    }
    const char *dir = config_text(c, KEY_DATA_DIR);
    log_info("main", "data in %s; at most %" PRIu64 " open files", dir, host_raise_files());
    signal(SIGPIPE, SIG_IGN);

    const struct broker_config bc = broker_config_of(c);
    struct recovery r;
    status = recovery_init(&r, dir, &bc, fill_random);
    if (status != 0) {
        tls_unref(tls);
        return status;
    }
    status = serve_recovered(c, l, tls, &r);
    recovery_fini(&r);
    return status;
}

/* Where to listen, and the certificates for it; false: it has said what is wrong with them. */
static bool open_listeners(const struct config *c, struct listeners *l, struct tls **tls)
{
    char *error = NULL;
    *tls = NULL;
    bool is_open = listeners_init(l, c, &error) && listeners_open_tls(l, tls, &error);
    if (!is_open)
        fprintf(stderr, "millraced: %s\n", error);
    free(error);
    return is_open;
}

/* What only opening files can tell of a configuration; the exit status. */
static int check_files(const struct config *c)
{
    struct listeners l;
    struct tls *tls;
    int status = open_listeners(c, &l, &tls) ? EX_OK : EX_CONFIG;
    tls_unref(tls);
    listeners_fini(&l);
    return status;
}

static int serve(const struct config *c)
{
    if (config_number(c, KEY_LOG_CONSOLE) == 0)
        log_set_level(LOG_NO_LEVEL);
    else
        log_set_level((enum log_level)config_number(c, KEY_LOG_CONSOLE_LEVEL));
    log_info("main", "Starting Millrace " PACKAGE_VERSION " (RabbitMQ %s compatible)", config_text(c, KEY_VERSION));
    log_warnings(c);
    struct listeners l;
    struct tls *tls;
    int status = EX_CONFIG;
    if (open_listeners(c, &l, &tls)) {
        listeners_warn(&l, c);
        status = serve_at(c, &l, tls);
    }
    listeners_fini(&l);
    return status;
}

/* Messages are made on one thread and freed on another: with an arena a thread each would keep the peak of its own. */
static void configure_malloc(void)
{
    enum { MMAP_BYTES = 256 << 10, TRIM_BYTES = 16 << 20 };
    // NOLINTBEGIN(concurrency-mt-unsafe): there is no other thread yet
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    // NOLINTEND(concurrency-mt-unsafe)
}

int main(int argc, char **argv)
{
    configure_malloc();
    struct options o = {0};
    int status = read_options(&o, argc, argv);
    if (status < 0) {
        struct config *c = config_create();
        read_config(c, &o);
        if (o.check_only || config_errors(c) > 0)
            status = tell_complaints(c) ? EX_CONFIG : EX_OK;
        if (o.check_only && status == EX_OK)
            status = check_files(c);
        if (o.check_only && status == EX_OK)
            config_print(c, stdout);
        if (status < 0)
            status = serve(c);
        config_destroy(c);
    }
    free((void *)o.settings);
    return status;
}
