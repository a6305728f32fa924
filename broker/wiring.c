#define _GNU_SOURCE
#include "broker/wiring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "broker/host.h"
#include "broker/net/password.h"
#include "broker/net/throttle.h"
#include "broker/port/sample.h"

/* ---- Listeners and logins. */

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

bool wiring_check_files(const struct config *c)
{
    struct listeners l;
    struct tls *tls;
    struct web web;
    bool is_sound = open_listeners(c, &l, &tls, &web);
    tls_unref(tls);
    web_fini(&web);
    listeners_fini(&l);
    return is_sound;
}

void wiring_fini(struct wiring *w)
{
    tls_unref(w->tls);
    web_fini(&w->web);
    listeners_fini(&w->listeners);
    free(w->loopback_users);
    throttle_destroy(w->login.throttle);
}

bool wiring_init(struct wiring *w, const struct config *c)
{
    *w = (struct wiring){0};
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

/* ---- Limits. */

static uint64_t memory_total(const struct config *c)
{
    return config_is_set(c, KEY_TOTAL_MEMORY) ? config_number(c, KEY_TOTAL_MEMORY) : host_memory();
}

uint64_t wiring_memory_limit(const struct config *c)
{
    return config_is_set(c, KEY_WATERMARK_ABSOLUTE)
               ? config_number(c, KEY_WATERMARK_ABSOLUTE)
               : (uint64_t)((double)memory_total(c) * config_fraction(c, KEY_WATERMARK_RELATIVE));
}

static uint64_t tell_memory_limit(const struct config *c)
{
    uint64_t total = memory_total(c), high = wiring_memory_limit(c);
    log_info("main",
             "Memory high watermark set to %" PRIu64 " MiB (%" PRIu64 " bytes) of %" PRIu64 " MiB (%" PRIu64
             " bytes) total",
             high >> 20, high, total >> 20, total);
    return high;
}

uint64_t wiring_disk_limit(const struct config *c, bool *has_limit)
{
    *has_limit = true;
    if (config_is_set(c, KEY_DISK_LIMIT_ABSOLUTE))
        return config_number(c, KEY_DISK_LIMIT_ABSOLUTE);
    *has_limit = config_is_set(c, KEY_DISK_LIMIT_RELATIVE);
    return *has_limit ? (uint64_t)((double)memory_total(c) * config_fraction(c, KEY_DISK_LIMIT_RELATIVE)) : 0;
}

static unsigned threads_of(const struct config *c)
{
    uint64_t n = config_number(c, KEY_IO_THREADS);
    return n == CONFIG_AUTO ? server_threads_for(host_cores()) : (unsigned)n;
}

/* ---- The model, the server. */

struct broker_config wiring_broker(const struct config *c)
{
    const char *events = config_text(c, KEY_EVENT_VHOST);
    uint64_t hash_seed;
    login_random(NULL, &hash_seed, sizeof hash_seed);
    return (struct broker_config){
        .hash_seed = hash_seed,
        .memory_high = tell_memory_limit(c),
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

struct server_config wiring_server(struct wiring *w, const struct config *c)
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
    };
}
