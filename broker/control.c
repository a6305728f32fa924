#define _GNU_SOURCE
#include "broker/control.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/admin.h"
#include "broker/admin/credential.h"
#include "broker/config.h"
#include "broker/import.h"
#include "broker/net/server.h"
#include "broker/store/keeper.h"

struct control {
    const struct server *server;   /* borrowed */
    const struct config *config;   /* borrowed */
    struct keeper *keeper;         /* borrowed */
    struct admin *admin;           /* owned */
    char *path;                    /* owned */
    struct credential *credential; /* owned */
};

/* Signals are how everybody asks for these, and the main thread knows what to do. */
static void ask_to_stop(void *arg)
{
    (void)arg;
    kill(getpid(), SIGTERM);
}

static void ask_to_reload(void *arg)
{
    (void)arg;
    kill(getpid(), SIGHUP);
}

static void print_environment(void *arg, FILE *to)
{
    config_print(((struct control *)arg)->config, to);
}

static int64_t certificate_expiry(void *arg)
{
    return server_certificate_expiry(((struct control *)arg)->server);
}

static void measure(void *arg, struct admin_measures *to)
{
    struct keeper_stats stats;
    keeper_stats(((struct control *)arg)->keeper, &stats);
    *to = (struct admin_measures){
        .queueing_us = stats.queueing_us,
        .write_us = stats.write_us,
        .sync_us = stats.sync_us,
        .written_bytes = stats.store.written_bytes,
        .slow_syncs = stats.slow_syncs,
        .full_writes = stats.full_writes,
        .journal_bytes = stats.store.journal_bytes,
        .pack_bytes = stats.store.pack_bytes,
        .checkpoint_bytes = stats.store.checkpoint_bytes,
        .buffered_bytes = stats.store.buffered_bytes,
        .image_bytes = stats.store.memory_bytes,
    };
}

static void end_admin(void *arg)
{
    admin_stop(arg);
}

static char *path_of(const struct config *c)
{
    const char *named = config_text(c, KEY_CONTROL_SOCKET);
    if (named != NULL)
        return strcmp(named, "none") == 0 ? NULL : str_copy(bytes_of_string(named));
    return str_format("%s/control.sock", config_text(c, KEY_DATA_DIR));
}

struct control *control_start(const struct config *c, struct server *s, struct keeper *keeper, uint64_t memory_limit,
                              uint64_t disk_limit, char **error)
{
    char *path = path_of(c);
    *error = NULL;
    if (path == NULL)
        return NULL;
    struct control *k = alloc_zeroed(sizeof *k);
    k->config = c;
    k->server = s;
    k->keeper = keeper;
    k->path = path;
    k->credential = import_credential(c, error);
    if (k->credential == NULL) {
        control_destroy(k);
        return NULL;
    }
    const struct admin_config ac = {
        .socket = path,
        .node = config_text(c, KEY_NODE_NAME),
        .cluster_name = config_text(c, KEY_CLUSTER_NAME),
        .product_version = PACKAGE_VERSION,
        .version = config_text(c, KEY_VERSION),
        .data_dir = config_text(c, KEY_DATA_DIR),
        .listeners = server_addresses(s),
        .hashing_algorithm = config_text(c, KEY_PASSWORD_HASHING_MODULE),
        .credential = k->credential,
        .connections_max = config_number(c, KEY_CONNECTION_MAX),
        .memory_limit = memory_limit,
        .disk_limit = disk_limit,
        .statistics_interval_ms = config_number(c, KEY_STATISTICS_INTERVAL),
        .is_without_rates = config_number(c, KEY_RATES_MODE) == CONFIG_RATES_NONE,
        .measure = measure,
        .print_environment = print_environment,
        .reload = ask_to_reload,
        .rotate_logs = ask_to_reload,
        .stop = ask_to_stop,
        .certificate_expiry = certificate_expiry,
        .arg = k,
    };
    k->admin = admin_create(&ac, error);
    if (k->admin != NULL) {
        admin_start(k->admin, server_seat(s, admin_lane(k->admin), end_admin, k->admin), server_hub(s));
        return k;
    }
    if (config_text(c, KEY_CONTROL_SOCKET) == NULL) {
        log_warning("main", "%s: the broker goes on without", *error);
        free(*error);
        *error = NULL;
    }
    control_destroy(k);
    return NULL;
}

void control_destroy(struct control *k)
{
    if (k == NULL)
        return;
    admin_destroy(k->admin);
    credential_destroy(k->credential);
    free(k->path);
    free(k);
}
