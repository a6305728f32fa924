#define _GNU_SOURCE
#include "broker/control.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/admin.h"
#include "broker/admin/credential.h"
#include "broker/config.h"
#include "broker/host.h"
#include "broker/import.h"
#include "broker/logging.h"
#include "broker/net/server.h"
#include "broker/store/keeper.h"
#include "broker/web.h"

struct control {
    struct server *server;       /* borrowed */
    const struct config *config; /* borrowed */
    struct keeper *keeper;       /* borrowed */
    struct admin *admin;         /* owned */
    char *path, *addresses;      /* owned */
    char *prefix;                /* owned: with a slash before it and none behind, or empty */
    const char **origins;        /* owned; the texts are the configuration's */
    unsigned n_origins;
    struct admin_label *labels; /* owned, and the names; likewise */
    unsigned n_labels;
    bool is_reading_nodes;                          /* labels */
    struct credential *credential;                  /* owned */
    atomic_uint_least64_t memory_limit, disk_limit; /* that administrators have set; NOT_SET: none has */
};

#define NOT_SET UINT64_MAX

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

static int suspend(void *arg, bool is_suspended)
{
    struct control *k = arg;
    if (!is_suspended)
        return server_resume(k->server);
    server_suspend(k->server);
    return 0;
}

static bool is_suspended(void *arg)
{
    return server_is_suspended(((struct control *)arg)->server);
}

/* Until the next start; the main thread puts it into effect, as after SIGHUP. */
static char *set_key(void *arg, const char *key, const char *value)
{
    struct control *k = arg;
    struct config *c = config_create();
    size_t n;
    char *wrong = NULL;
    config_set_from(c, "value", key, value);
    const uint64_t memory =
        config_is_set(k->config, KEY_TOTAL_MEMORY) ? config_number(k->config, KEY_TOTAL_MEMORY) : host_memory();
    if (config_errors(c) > 0)
        wrong = str_format("%s", config_complaints(c, &n)[0].text);
    else if (config_is_set(c, KEY_WATERMARK_ABSOLUTE))
        atomic_store(&k->memory_limit, config_number(c, KEY_WATERMARK_ABSOLUTE));
    else if (config_is_set(c, KEY_WATERMARK_RELATIVE))
        atomic_store(&k->memory_limit, (uint64_t)((double)memory * config_fraction(c, KEY_WATERMARK_RELATIVE)));
    else if (config_is_set(c, KEY_DISK_LIMIT_ABSOLUTE))
        atomic_store(&k->disk_limit, config_number(c, KEY_DISK_LIMIT_ABSOLUTE));
    else if (config_is_set(c, KEY_DISK_LIMIT_RELATIVE))
        atomic_store(&k->disk_limit, (uint64_t)((double)memory * config_fraction(c, KEY_DISK_LIMIT_RELATIVE)));
    else
        wrong = str_format("'%s' cannot be set while the broker runs", key);
    config_destroy(c);
    if (wrong == NULL)
        ask_to_reload(k);
    return wrong;
}

static void print_environment(void *arg, FILE *to)
{
    config_print(((struct control *)arg)->config, to);
}

static int64_t certificate_expiry(void *arg)
{
    const struct control *k = arg;
    int64_t amqp = server_certificate_expiry(k->server), web = admin_certificate_expiry(k->admin);
    return amqp < web ? amqp : web;
}

static bool certificate(void *arg, struct tls_facts *to)
{
    return server_describe_certificate(((const struct control *)arg)->server, to);
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

static char *prefix_of(const struct config *c)
{
    const char *text = config_text(c, KEY_MANAGEMENT_PREFIX);
    text += strspn(text, "/");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    return str_format("%s%.*s", len > 0 ? "/" : "", (int)len, text);
}

static void on_origin(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)number;
    struct control *k = arg;
    k->origins = alloc_array((void *)k->origins, k->n_origins + 1, sizeof(char *));
    k->origins[k->n_origins++] = value;
}

static void on_label(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)number;
    struct control *k = arg;
    k->labels = alloc_array(k->labels, k->n_labels + 1, sizeof *k->labels);
    k->labels[k->n_labels++] =
        (struct admin_label){.is_nodes = k->is_reading_nodes, .name = str_copy(bytes_of_string(name)), .value = value};
}

static void read_labels(struct control *k, const struct config *c)
{
    config_each(c, KEY_CLUSTER_TAGS, on_label, k);
    k->is_reading_nodes = true;
    config_each(c, KEY_NODE_TAGS, on_label, k);
}

static bool is_without_rates(const struct config *c)
{
    return config_number(c, KEY_RATES_MODE) == CONFIG_RATES_NONE || config_number(c, KEY_MANAGEMENT_NO_STATS) != 0;
}

static struct admin_config admin_config_of(struct control *k, const struct control_config *cc)
{
    const struct config *c = cc->config;
    return (struct admin_config){
        .socket = k->path,
        .doors = cc->web->doors,
        .n_doors = cc->web->n_doors,
        .login = cc->login,
        .path_prefix = k->prefix,
        .metrics_path = config_text(c, KEY_PROMETHEUS_PATH),
        .has_metrics_login = config_number(c, KEY_PROMETHEUS_LOGIN) != 0,
        .content_policy = config_is_set(c, KEY_MANAGEMENT_CSP) ? config_text(c, KEY_MANAGEMENT_CSP) : NULL,
        .transport_policy = config_is_set(c, KEY_MANAGEMENT_HSTS) ? config_text(c, KEY_MANAGEMENT_HSTS) : NULL,
        .sniff_header = config_text(c, KEY_MANAGEMENT_SNIFF),
        .referrer_header = config_text(c, KEY_MANAGEMENT_REFERRER),
        .frame_header = config_text(c, KEY_MANAGEMENT_FRAME),
        .xss_header = config_text(c, KEY_MANAGEMENT_XSS),
        .labels = k->labels,
        .n_labels = k->n_labels,
        .session_minutes = (unsigned)config_number(c, KEY_MANAGEMENT_SESSION),
        .idle_ms = (unsigned)config_number(c, KEY_MANAGEMENT_IDLE),
        .head_ms = (unsigned)config_number(c, KEY_MANAGEMENT_REQUEST),
        .keeps_operator_policies = config_number(c, KEY_MANAGEMENT_NO_OPERATORS) != 0,
        .origins = k->origins,
        .n_origins = k->n_origins,
        .cors_age_s = (unsigned)config_number(c, KEY_MANAGEMENT_CORS_AGE),
        .publish_bytes_max = config_number(c, KEY_MANAGEMENT_BODY_MAX),
        .node = config_text(c, KEY_NODE_NAME),
        .cluster_name = config_text(c, KEY_CLUSTER_NAME),
        .product_version = PACKAGE_VERSION,
        .version = config_text(c, KEY_VERSION),
        .data_dir = config_text(c, KEY_DATA_DIR),
        .log_file = logging_file(),
        .has_log_console = config_number(c, KEY_LOG_CONSOLE) != 0,
        .listeners = k->addresses,
        .hashing_algorithm = config_text(c, KEY_PASSWORD_HASHING_MODULE),
        .credential = k->credential,
        .connections_max = config_number(c, KEY_CONNECTION_MAX),
        .memory_limit = cc->memory_limit,
        .disk_limit = cc->disk_limit,
        .statistics_interval_ms = config_number(c, KEY_STATISTICS_INTERVAL),
        .is_without_rates = is_without_rates(c),
        .has_metrics_per_object = config_number(c, KEY_PROMETHEUS_PER_OBJECT) != 0,
        .measure = measure,
        .print_environment = print_environment,
        .set_key = set_key,
        .reload = ask_to_reload,
        .rotate_logs = ask_to_reload,
        .stop = ask_to_stop,
        .suspend = suspend,
        .is_suspended = is_suspended,
        .certificate_expiry = certificate_expiry,
        .certificate = certificate,
        .arg = k,
    };
}

/* A control socket that cannot be had is an error only if somebody has named it; without one, NULL is the answer only
 * if there are no other doors. */
static struct admin *create_admin(struct control *k, const struct control_config *cc, char **error)
{
    struct admin_config ac = admin_config_of(k, cc);
    ac.config_files = config_files(cc->config, &ac.n_config_files);
    struct admin *a = ac.socket != NULL ? admin_create(&ac, error) : NULL;
    if (a == NULL && *error != NULL && config_text(cc->config, KEY_CONTROL_SOCKET) == NULL) {
        log_warning("main", "%s: the broker goes on without", *error);
        free(*error);
        *error = NULL;
    }
    ac.socket = NULL;
    return a == NULL && *error == NULL && ac.n_doors > 0 ? admin_create(&ac, error) : a;
}

struct control *control_start(const struct control_config *cc, char **error)
{
    struct server *s = cc->server;
    *error = NULL;
    if (!web_listen(cc->web, error))
        return NULL;
    struct control *k = alloc_zeroed(sizeof *k);
    atomic_init(&k->memory_limit, NOT_SET);
    atomic_init(&k->disk_limit, NOT_SET);
    k->config = cc->config;
    k->server = s;
    k->keeper = cc->keeper;
    k->path = path_of(cc->config);
    k->prefix = prefix_of(cc->config);
    config_each(cc->config, KEY_MANAGEMENT_ORIGINS, on_origin, k);
    read_labels(k, cc->config);
    k->addresses = *cc->web->addresses != '\0' ? str_format("%s, %s", server_addresses(s), cc->web->addresses)
                                               : str_copy(bytes_of_string(server_addresses(s)));
    k->credential = import_credential(cc->config, error);
    if (k->credential != NULL)
        k->admin = create_admin(k, cc, error);
    if (k->admin != NULL) {
        admin_start(k->admin, server_seat(s, admin_lane(k->admin), end_admin, k->admin), server_hub(s));
        return k;
    }
    control_destroy(k);
    return NULL;
}

void control_reread(struct control *k)
{
    if (k != NULL)
        admin_reload_certificates(k->admin);
}

void control_override(const struct control *k, uint64_t *memory, uint64_t *disk, bool *has_disk)
{
    if (k == NULL)
        return;
    if (atomic_load(&k->memory_limit) != NOT_SET)
        *memory = atomic_load(&k->memory_limit);
    if (atomic_load(&k->disk_limit) != NOT_SET) {
        *disk = atomic_load(&k->disk_limit);
        *has_disk = true;
    }
}

void control_set_limits(struct control *k, const struct admin_limits *l)
{
    if (k != NULL)
        admin_set_limits(k->admin, l);
}

const char *control_addresses(const struct control *k)
{
    return k->addresses;
}

void control_destroy(struct control *k)
{
    if (k == NULL)
        return;
    admin_destroy(k->admin);
    credential_destroy(k->credential);
    free(k->path);
    free(k->addresses);
    free(k->prefix);
    free((void *)k->origins);
    for (unsigned i = 0; i < k->n_labels; i++)
        free((char *)(uintptr_t)k->labels[i].name);
    free(k->labels);
    free(k);
}
