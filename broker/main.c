/* The program: reads the command line and the configuration, then serves. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/admin.h"
#include "broker/arguments.h"
#include "broker/boot.h"
#include "broker/config.h"
#include "broker/control.h"
#include "broker/harden.h"
#include "broker/host.h"
#include "broker/listeners.h"
#include "broker/logging.h"
#include "broker/model/broker.h"
#include "broker/net/hub.h"
#include "broker/net/login.h"
#include "broker/net/password.h"
#include "broker/net/server.h"
#include "broker/net/throttle.h"
#include "broker/pidfile.h"
#include "broker/port/sample.h"
#include "broker/pulse.h"
#include "broker/readiness.h"
#include "broker/recovery.h"
#include "broker/reload.h"
#include "broker/store/backup_desk.h"
#include "broker/store/keeper.h"
#include "broker/web.h"

/* ---- The configuration. */

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

/* What there is before the configuration counts. */
struct startup {
    const struct arguments *arguments;
    struct readiness *readiness;
    bool are_keys_locked; /* in memory */
};

/* What the server borrows from the configuration, in the shapes that it wants. */
struct wiring {
    struct listeners listeners;
    struct web web;
    struct control *control;      /* borrowed, while it serves */
    struct server *server;        /* likewise */
    struct keeper *keeper;        /* likewise */
    struct tls *tls;              /* owned, until the server has it */
    struct bytes *loopback_users; /* owned; the names are borrowed */
    unsigned n_loopback_users;
    bool is_guest_named; /* loopback_users.guest is set */
    struct login_rules login;
    struct login_attempts attempts;
    const struct startup *startup; /* borrowed, with the configuration that it led to */
    const struct config *config;
    struct readiness *readiness; /* borrowed */
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

/* Where to listen, and the certificates for it, whose key perhaps only root may read; false: it has said what is wrong
 * with them. */
static bool open_listeners(const struct config *c, struct listeners *l, struct tls **tls, struct web *web)
{
    char *error = NULL;
    *tls = NULL;
    bool is_open = listeners_init(l, c, &error) && listeners_open_tls(l, tls, &error);
    web_init(web, c, &l->tls);
    is_open = is_open && web_open_tls(web, &error);
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
    struct web web;
    int status = open_listeners(c, &l, &tls, &web) ? EX_OK : EX_CONFIG;
    tls_unref(tls);
    web_fini(&web);
    listeners_fini(&l);
    return status;
}

static void on_mechanism(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)value;
    unsigned *mechanisms = arg;
    *mechanisms |= 1U << number;
}

static unsigned mechanisms_of(const struct config *c)
{
    unsigned mechanisms = 0;
    config_each(c, KEY_AUTH_MECHANISMS, on_mechanism, &mechanisms);
    return mechanisms != 0 ? mechanisms : SASL_PLAIN | SASL_AMQPLAIN | SASL_EXTERNAL;
}

static void unwire(struct wiring *w)
{
    tls_unref(w->tls);
    web_fini(&w->web);
    listeners_fini(&w->listeners);
    free(w->loopback_users);
    throttle_destroy(w->login.throttle);
}

/* False: it has said what is wrong, and unwire() is due all the same. */
static bool wire(struct wiring *w, const struct config *c, struct readiness *readiness)
{
    *w = (struct wiring){.readiness = readiness};
    if (!open_listeners(c, &w->listeners, &w->tls, &w->web))
        return false;
    listeners_warn(&w->listeners, c);
    config_each(c, KEY_LOOPBACK_USERS, on_loopback_user, w);
    if (config_is_set(c, KEY_LOOPBACK_USERS_NONE))
        w->n_loopback_users = 0;
    else if (!w->is_guest_named)
        add_loopback_user(w, "guest");
    uint64_t seed;
    login_random(NULL, &seed, sizeof seed);
    w->login = (struct login_rules){
        .loopback_users = w->loopback_users,
        .n_loopback_users = w->n_loopback_users,
        .throttle = throttle_create(seed),
        .attempts = &w->attempts,
    };
    return true;
}

static uint64_t memory_total(const struct config *c)
{
    return config_is_set(c, KEY_TOTAL_MEMORY) ? config_number(c, KEY_TOTAL_MEMORY) : host_memory();
}

/* Bytes of messages that raise the memory alarm. */
static uint64_t memory_high_of(const struct config *c)
{
    return config_is_set(c, KEY_WATERMARK_ABSOLUTE)
               ? config_number(c, KEY_WATERMARK_ABSOLUTE)
               : (uint64_t)((double)memory_total(c) * config_fraction(c, KEY_WATERMARK_RELATIVE));
}

static uint64_t memory_high(const struct config *c)
{
    uint64_t total = memory_total(c), high = memory_high_of(c);
    log_info("main",
             "Memory high watermark set to %" PRIu64 " MiB (%" PRIu64 " bytes) of %" PRIu64 " MiB (%" PRIu64
             " bytes) total",
             high >> 20, high, total >> 20, total);
    return high;
}

static struct broker_config broker_config_of(const struct config *c)
{
    const char *events = config_text(c, KEY_EVENT_VHOST);
    uint64_t hash_seed;
    login_random(NULL, &hash_seed, sizeof hash_seed);
    return (struct broker_config){
        .hash_seed = hash_seed,
        .memory_high = memory_high(c),
        .event_vhost = strcmp(events, "none") != 0 ? events : NULL,
        .connections_max = config_number(c, KEY_CONNECTION_MAX),
        .expires_at_head = config_number(c, KEY_TTL_EXPIRE_ANYWHERE) == 0,
        .delays_anywhere = config_number(c, KEY_DELAY_ANY_EXCHANGE) != 0,
        .consumer_timeout_ms = config_number(c, KEY_CONSUMER_TIMEOUT),
        .delivery_limit = config_number(c, KEY_DEFAULT_DELIVERY_LIMIT),
        .ignores_client_deaths = config_number(c, KEY_HONOUR_CLIENT_X_DEATH) == 0,
        .default_queue_type = (uint8_t)config_number(c, KEY_DEFAULT_QUEUE_TYPE),
        .strict_queue_types = config_number(c, KEY_STRICT_QUEUE_TYPES) != 0,
        .relaxed_redeclare = config_number(c, KEY_RELAXED_REDECLARE) != 0,
        .relaxed_quorum = config_number(c, KEY_RELAXED_QUORUM) != 0,
    };
}

static unsigned threads_of(const struct config *c)
{
    uint64_t n = config_number(c, KEY_IO_THREADS);
    return n == CONFIG_AUTO ? server_threads_for(host_cores()) : (unsigned)n;
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

/* Limits that hold from now on.  A disk limit that is not set any more stays until the next start. */
static void apply_limits(void *arg, const struct config *c)
{
    const struct wiring *w = arg;
    bool has_disk_limit;
    uint64_t disk = disk_limit(c, &has_disk_limit);
    uint64_t memory = memory_high_of(c);
    control_override(w->control, &memory, &disk, &has_disk_limit);
    const struct broker_tuning tuning = {.memory_high = memory,
                                         .connections_max = config_number(c, KEY_CONNECTION_MAX),
                                         .consumer_timeout_ms = config_number(c, KEY_CONSUMER_TIMEOUT)};
    hub_tell_tuning(server_hub(w->server), &tuning);
    server_set_connections_max(w->server, (unsigned)tuning.connections_max);
    if (has_disk_limit)
        keeper_set_disk_limit(w->keeper, disk);
    control_set_limits(w->control, &(struct admin_limits){.connections_max = tuning.connections_max,
                                                          .memory_limit = tuning.memory_high,
                                                          .disk_limit = disk,
                                                          .has_disk_limit = has_disk_limit});
}

static void reload(void *arg)
{
    const struct wiring *w = arg;
    reload_configuration(w->startup->arguments, w->config, apply_limits, arg);
    control_reread(w->control);
}

static struct server_config server_config_of(const struct config *c, struct wiring *w, const struct hub_keeper *keeper)
{
    return (struct server_config){
        .listeners = w->listeners.all,
        .n_listeners = w->listeners.n,
        .tls_handshake_ms = config_number(c, KEY_TLS_HANDSHAKE_TIMEOUT),
        .proxies = w->listeners.proxies,
        .n_proxies = w->listeners.n_proxies,
        .socket = {.backlog = (int)config_number(c, KEY_BACKLOG),
                   .nodelay = config_number(c, KEY_NODELAY) != 0,
                   .keepalive = config_number(c, KEY_KEEPALIVE) != 0,
                   .sndbuf = (int)config_number(c, KEY_SNDBUF),
                   .recbuf = (int)config_number(c, KEY_RECBUF),
                   .unix_mode = (unsigned)config_number(c, KEY_UNIX_SOCKET_MODE)},
        .io_threads = threads_of(c),
        .connections_max = (unsigned)config_number(c, KEY_CONNECTION_MAX),
        .session = {.channel_max = (uint16_t)config_number(c, KEY_CHANNEL_MAX),
                    .frame_max = (uint32_t)config_number(c, KEY_FRAME_MAX),
                    .heartbeat_s = (uint16_t)config_number(c, KEY_HEARTBEAT),
                    .max_message_size = config_number(c, KEY_MAX_MESSAGE_SIZE),
                    .handshake_timeout_ms = config_number(c, KEY_HANDSHAKE_TIMEOUT),
                    .report_ms = REPORT_MS,
                    .live_prefetch = config_number(c, KEY_LIVE_PREFETCH) != 0,
                    .product = config_text(c, KEY_PRODUCT),
                    .version = config_text(c, KEY_VERSION),
                    .broker_version = PACKAGE_VERSION,
                    .cluster_name = config_text(c, KEY_CLUSTER_NAME),
                    .mechanisms = mechanisms_of(c),
                    .login = login_judge,
                    .may_log = login_may_log,
                    .random = login_random,
                    .arg = &w->login},
        .on_hangup = reload,
        .on_hangup_arg = w,
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
static int claim_data(const char *dir, const struct identity *id)
{
    if (id->is_other && !host_owns_dir(dir))
        return EX_CANTCREAT;
    return host_claim_dir(dir);
}

/* 0, or the exit status after saying what is wrong. */
static int open_audit(const struct config *c)
{
    const char *name = config_text(c, KEY_AUDIT_FILE);
    if (strcmp(name, "none") == 0 || strcmp(name, "false") == 0 || name[0] == '\0')
        return EX_OK;
    char *path = name[0] == '/' ? str_format("%s", name) : str_format("%s/%s", config_text(c, KEY_DATA_DIR), name);
    int error = audit_open(path, config_number(c, KEY_AUDIT_ROTATION_SIZE),
                           (unsigned)config_number(c, KEY_AUDIT_ROTATION_COUNT));
    if (error != 0)
        fprintf(stderr, "millraced: audit.file %s: %s\n", path, strerrordesc_np(-error));
    free(path);
    return error != 0 ? EX_CANTCREAT : EX_OK;
}

/* Likewise. */
static int open_pidfile(const struct config *c, struct pidfile **to)
{
    const char *path = config_text(c, KEY_PID_FILE);
    int error = 0;
    *to = NULL;
    if (path == NULL || strcmp(path, "none") == 0)
        return EX_OK;
    *to = pidfile_create(path, &error);
    if (*to == NULL)
        fprintf(stderr, "millraced: pid_file %s: %s\n", path, strerrordesc_np(error));
    return *to != NULL ? EX_OK : EX_CANTCREAT;
}

/* ---- Until it ends. */

/* Until it is told to stop; the exit status. */
static int run(const struct config *c, struct wiring *w, uint64_t memory_limit, struct server *s, struct keeper *k)
{
    bool has_disk_limit;
    char *error;
    const struct control_config cc = {.config = c,
                                      .server = s,
                                      .keeper = k,
                                      .web = &w->web,
                                      .login = &w->login,
                                      .memory_limit = memory_limit,
                                      .disk_limit = disk_limit(c, &has_disk_limit)};
    struct control *control = control_start(&cc, &error);
    if (error != NULL) {
        fprintf(stderr, "millraced: %s\n", error);
        free(error);
        return EX_UNAVAILABLE;
    }
    const struct keeper_ear ear = {
        .durable = on_durable, .loaded = on_loaded, .disk_alarm = on_disk_alarm, .arg = server_hub(s)};
    keeper_start(k, &ear);
    log_info("main", "Server startup complete; 0 plugins started.");
    printf("millrace " PACKAGE_VERSION " ready: %s\n",
           control != NULL ? control_addresses(control) : server_addresses(s));
    fflush(stdout);
    w->control = control;
    w->server = s;
    w->keeper = k;
    bool has_ended = server_run(s);
    w->control = NULL;
    int status = keeper_stop(k) ? EX_OK : EX_IOERR;
    if (!has_ended) {
        log_warning("main", "not all connections could be closed in an orderly manner");
        _exit(status); /* they still refer to everything that would be freed */
    }
    control_destroy(control);
    log_info("main", "stopped");
    return status;
}

/* Takes over the sockets and what was recovered. */
static int serve_on(const struct config *c, struct wiring *w, struct server_sockets *sockets, struct recovery *r,
                    struct keeper *k, uint64_t memory_limit)
{
    const struct hub_keeper keeper = {.keep = keep,
                                      .pending = pending,
                                      .pending_max = keeper_pending_max(k),
                                      .pending_easy = keeper_pending_max(k) / 2,
                                      .arg = k};
    struct server_config sc = server_config_of(c, w, &keeper);
    struct pulse pulse = {.readiness = w->readiness, .keeper = k};
    sc.watch = pulse_watch(&pulse);
    sc.tls = w->tls;
    w->tls = NULL;
    char *error = NULL;
    int status = EX_UNAVAILABLE;
    struct server *s = server_create(&sc, sockets, r->broker, &error);
    pulse.server = s;
    if (s == NULL)
        fprintf(stderr, "millraced: %s\n", error);
    else
        status = run(c, w, memory_limit, s, k);
    server_destroy(s);
    free(error);
    return status;
}

/* With what was recovered, which it uses up. */
static int serve_recovered(struct config *c, struct wiring *w, struct server_sockets *sockets, struct recovery *r,
                           uint64_t memory_limit)
{
    struct backup_desk *desk = backup_desk_create(config_text(c, KEY_DATA_DIR), r->disk, r->store);
    struct keeper *k = create_keeper(c, r, desk);
    readiness_status(w->readiness, "reading definitions");
    int status = boot_define(c, r->broker, k, r->definitions[DEFINE_VHOST] > 0);
    config_forget_secret(c, KEY_DEFAULT_PASS); /* its hash is kept */
    if (status == EX_OK) {
        status = serve_on(c, w, sockets, r, k, memory_limit);
    } else {
        server_unbind(sockets);
        broker_destroy(r->broker);
    }
    keeper_destroy(k);
    backup_desk_destroy(desk);
    return status;
}

/* With the rights that it will have; takes over the sockets. */
static int serve_data(struct config *c, struct wiring *w, struct server_sockets *sockets)
{
    struct broker_config bc = broker_config_of(c);
    struct recovery r;
    bc.node = config_text(c, KEY_NODE_NAME);
    const struct recovery_witness witness = pulse_of_recovery(w->readiness);
    int status = recovery_init(&r, config_text(c, KEY_DATA_DIR), &bc, fill_random, &witness);
    if (status != 0) {
        server_unbind(sockets);
        return status;
    }
    status = serve_recovered(c, w, sockets, &r, bc.memory_high);
    recovery_fini(&r);
    return status;
}

/* Once the log is all there. */
static void log_start(const struct config *c, const struct identity *id, bool are_keys_locked)
{
    log_info("main", "Starting Millrace " PACKAGE_VERSION " (RabbitMQ %s compatible)", config_text(c, KEY_VERSION));
    log_warnings(c);
    if (!are_keys_locked)
        log_warning("main", "private keys may be swapped to disk: %d KiB cannot be locked in memory (RLIMIT_MEMLOCK)",
                    HARDEN_SECURE_BYTES >> 10);
    if (id->is_other)
        log_info("main", "runs as user '%s' (%u), group id %u", id->name, (unsigned)id->uid, (unsigned)id->gid);
    else if (geteuid() == 0)
        log_warning("main", "runs as root; 'user' in the configuration names whom it should become");
    log_info("main", "data in %s; at most %" PRIu64 " open files", config_text(c, KEY_DATA_DIR), host_raise_files());
}

/* All that root is needed for; then becomes who it shall be, and claims the data.  0, or the exit status. */
static int settle_in(const struct config *c, const struct identity *id, const struct server_config *sc, struct web *web,
                     struct server_sockets **sockets)
{
    const char *dir = config_text(c, KEY_DATA_DIR);
    char *error = NULL;
    int status = EX_UNAVAILABLE;
    *sockets = server_bind(sc, &error);
    if (*sockets != NULL && !web_bind(web, &error)) {
        server_unbind(*sockets);
        *sockets = NULL;
    }
    if (*sockets != NULL) {
        status = id->is_other ? host_make_dir_for(dir, id->uid, id->gid) : 0;
        if (status == 0 && !harden_drop(id, &error))
            status = EX_NOPERM;
    }
    if (error != NULL)
        fprintf(stderr, "millraced: %s\n", error);
    free(error);
    if (status == 0)
        status = claim_data(dir, id);
    if (status != 0)
        server_unbind(*sockets);
    return status;
}

static int serve_as(struct config *c, const struct startup *u, const struct identity *id)
{
    struct wiring w;
    struct server_sockets *sockets;
    if (!wire(&w, c, u->readiness)) {
        unwire(&w);
        return EX_CONFIG;
    }
    w.startup = u;
    w.config = c;
    const struct server_config sc = server_config_of(c, &w, NULL);
    int status = settle_in(c, id, &sc, &w.web, &sockets);
    if (status == 0) {
        struct pidfile *pidfile = NULL;
        status = logging_open(c);
        if (status == 0) {
            log_start(c, id, u->are_keys_locked);
            status = open_audit(c);
        }
        if (status == 0)
            status = open_pidfile(c, &pidfile);
        if (status == 0)
            status = serve_data(c, &w, sockets);
        else
            server_unbind(sockets);
        pidfile_destroy(pidfile);
        audit_close();
        logging_close();
    }
    unwire(&w);
    return status;
}

static int serve(struct config *c, const struct startup *u)
{
    logging_begin(c, config_text(c, KEY_NODE_NAME));
    if (config_number(c, KEY_CORE_DUMPS) != 0)
        harden_allow_cores();
    if (config_text(c, KEY_DATA_DIR) == NULL) {
        fputs("millraced: there is no folder for data; set data_dir\n", stderr);
        return EX_CANTCREAT;
    }
    signal(SIGPIPE, SIG_IGN);
    struct identity id;
    char *error = NULL;
    int status = EX_CONFIG;
    if (harden_find(config_text(c, KEY_USER), config_text(c, KEY_GROUP), &id, &error))
        status = serve_as(c, u, &id);
    else
        fprintf(stderr, "millraced: %s\n", error);
    harden_forget(&id);
    free(error);
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
    const bool are_keys_locked = harden_start();
    struct arguments a = {0};
    int status = arguments_read(&a, argc, argv);
    if (status < 0) {
        struct config *c = config_create();
        arguments_configure(&a, c);
        if (a.check_only || config_errors(c) > 0)
            status = tell_complaints(c) ? EX_CONFIG : EX_OK;
        if (a.check_only && status == EX_OK)
            status = check_files(c);
        if (a.check_only && status == EX_OK)
            config_print(c, stdout);
        if (status < 0) {
            const struct startup u = {
                .arguments = &a, .readiness = readiness_create(), .are_keys_locked = are_keys_locked};
            status = serve(c, &u);
            readiness_destroy(u.readiness);
        }
        config_destroy(c);
    }
    arguments_fini(&a);
    return status;
}
