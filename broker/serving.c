#include "broker/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/boot.h"
#include "broker/config.h"
#include "broker/control.h"
#include "broker/net/hub.h"
#include "broker/net/login.h"
#include "broker/net/server.h"
#include "broker/pulse.h"
#include "broker/readiness.h"
#include "broker/recovery.h"
#include "broker/reload.h"
#include "broker/store/backup_desk.h"
#include "broker/store/keeper.h"
#include "broker/wiring.h"

/* ---- While it serves. */

/* Limits that hold from now on.  A disk limit that is not set any more stays until the next start. */
static void apply_limits(void *arg, const struct config *c)
{
    const struct serving *s = arg;
    bool has_disk_limit;
    uint64_t disk = wiring_disk_limit(c, &has_disk_limit);
    uint64_t memory = wiring_memory_limit(c);
    control_override(s->control, &memory, &disk, &has_disk_limit);
    const struct broker_tuning tuning = {.memory_high = memory,
                                         .connections_max = config_number(c, KEY_CONNECTION_MAX),
                                         .consumer_timeout_ms = config_number(c, KEY_CONSUMER_TIMEOUT)};
    hub_tell_tuning(server_hub(s->server), &tuning);
    server_set_connections_max(s->server, (unsigned)tuning.connections_max);
    if (has_disk_limit)
        keeper_set_disk_limit(s->keeper, disk);
    control_set_limits(s->control, &(struct admin_limits){.connections_max = tuning.connections_max,
                                                          .memory_limit = tuning.memory_high,
                                                          .disk_limit = disk,
                                                          .has_disk_limit = has_disk_limit});
}

static void reload(void *arg)
{
    const struct serving *s = arg;
    reload_configuration(s->arguments, s->config, apply_limits, arg);
    control_reread(s->control);
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
    kc.disk_limit = wiring_disk_limit(c, &kc.is_disk_limit_chosen);
    return keeper_create(&kc);
}

static void fill_random(void *to, size_t n)
{
    login_random(NULL, to, n);
}

/* ---- From its start to its end. */

/* With a server and a keeper, until it is told to stop; the exit status. */
static int run(struct serving *s, uint64_t memory_limit)
{
    bool has_disk_limit;
    char *error;
    const struct control_config cc = {.config = s->config,
                                      .server = s->server,
                                      .keeper = s->keeper,
                                      .web = &s->wiring->web,
                                      .login = &s->wiring->login,
                                      .memory_limit = memory_limit,
                                      .disk_limit = wiring_disk_limit(s->config, &has_disk_limit)};
    struct control *control = control_start(&cc, &error);
    if (error != NULL) {
        fprintf(stderr, "millraced: %s\n", error);
        free(error);
        return EX_UNAVAILABLE;
    }
    const struct keeper_ear ear = {
        .durable = on_durable, .loaded = on_loaded, .disk_alarm = on_disk_alarm, .arg = server_hub(s->server)};
    keeper_start(s->keeper, &ear);
    log_info("main", "Server startup complete; 0 plugins started.");
    printf("millrace " PACKAGE_VERSION " ready: %s\n",
           control != NULL ? control_addresses(control) : server_addresses(s->server));
    fflush(stdout);
    s->control = control;
    bool has_ended = server_run(s->server);
    s->control = NULL;
    int status = keeper_stop(s->keeper) ? EX_OK : EX_IOERR;
    if (!has_ended) {
        log_warning("main", "not all connections could be closed in an orderly manner");
        _exit(status); /* they still refer to everything that would be freed */
    }
    control_destroy(control);
    log_info("main", "stopped");
    return status;
}

/* With a keeper; takes over the sockets and the broker. */
static int serve(struct serving *s, struct server_sockets *sockets, struct broker *b, uint64_t memory_limit)
{
    const struct hub_keeper keeper = {.keep = keep,
                                      .pending = pending,
                                      .pending_max = keeper_pending_max(s->keeper),
                                      .pending_easy = keeper_pending_max(s->keeper) / 2,
                                      .arg = s->keeper};
    struct pulse pulse = {.readiness = s->readiness, .keeper = s->keeper};
    struct server_config sc = wiring_server(s->wiring, s->config);
    sc.on_hangup = reload;
    sc.on_hangup_arg = s;
    sc.keeper = &keeper;
    sc.watch = pulse_watch(&pulse);
    sc.tls = s->wiring->tls;
    s->wiring->tls = NULL;
    char *error = NULL;
    int status = EX_UNAVAILABLE;
    s->server = server_create(&sc, sockets, b, &error);
    pulse.server = s->server;
    if (s->server == NULL)
        fprintf(stderr, "millraced: %s\n", error);
    else
        status = run(s, memory_limit);
    server_destroy(s->server);
    s->server = NULL;
    free(error);
    return status;
}

/* With what was recovered, which it uses up. */
static int serve_recovered(struct serving *s, struct server_sockets *sockets, struct recovery *r, uint64_t memory_limit)
{
    struct config *c = s->config;
    struct backup_desk *desk = backup_desk_create(config_text(c, KEY_DATA_DIR), r->disk, r->store);
    s->keeper = create_keeper(c, r, desk);
    readiness_status(s->readiness, "reading definitions");
    int status = boot_define(c, r->broker, s->keeper, r->definitions[DEFINE_VHOST] > 0);
    config_forget_secret(c, KEY_DEFAULT_PASS); /* its hash is kept */
    config_forget_secret(c, KEY_USERS_PASSWORD);
    if (status == EX_OK) {
        status = serve(s, sockets, r->broker, memory_limit);
    } else {
        server_unbind(sockets);
        broker_destroy(r->broker);
    }
    keeper_destroy(s->keeper);
    s->keeper = NULL;
    backup_desk_destroy(desk);
    return status;
}

int serving_run(struct serving *s, struct server_sockets *sockets)
{
    struct broker_config bc = wiring_broker(s->config);
    struct recovery r;
    bc.node = config_text(s->config, KEY_NODE_NAME);
    const struct recovery_witness witness = pulse_of_recovery(s->readiness);
    int status = recovery_init(&r, config_text(s->config, KEY_DATA_DIR), &bc, fill_random, &witness);
    if (status != 0) {
        server_unbind(sockets);
        return status;
    }
    status = serve_recovered(s, sockets, &r, bc.memory_high);
    recovery_fini(&r);
    return status;
}
