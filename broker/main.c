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

#include "base/audit.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/arguments.h"
#include "broker/config.h"
#include "broker/harden.h"
#include "broker/host.h"
#include "broker/logging.h"
#include "broker/net/server.h"
#include "broker/pidfile.h"
#include "broker/readiness.h"
#include "broker/serving.h"
#include "broker/web.h"
#include "broker/wiring.h"

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

/* ---- Starting, step by step. */

/* What there is before the configuration counts. */
struct startup {
    const struct arguments *arguments;
    struct readiness *readiness;
    bool are_keys_locked; /* in memory */
};

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
    if (!wiring_init(&w, c)) {
        wiring_fini(&w);
        return EX_CONFIG;
    }
    const struct server_config sc = wiring_server(&w, c);
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
        struct serving serving = {.arguments = u->arguments, .config = c, .wiring = &w, .readiness = u->readiness};
        if (status == 0)
            status = serving_run(&serving, sockets); /* with the rights that it will have */
        else
            server_unbind(sockets);
        pidfile_destroy(pidfile);
        audit_close();
        logging_close();
    }
    wiring_fini(&w);
    return status;
}

/* Until the server listens to those that tell it to look at its files, which may be long: whoever rotates logs must not
 * end a broker that reads its journal. */
static void ignore_signals(void)
{
    static const int all[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        signal(all[i], SIG_IGN);
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
    ignore_signals();
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
            status = wiring_check_files(c) ? EX_OK : EX_CONFIG;
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
