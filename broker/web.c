#define _GNU_SOURCE
#include "broker/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/net/address.h"
#include "broker/net/listener.h"

enum { MANAGEMENT_PORT = 15672, PROMETHEUS_PORT = 15692, BACKLOG = 256 };

/* One port, at one address or more. */
struct web_site {
    enum entrance entrance;
    bool is_tls, is_default; /* nobody has configured it */
    uint16_t port;
    const char *ip; /* borrowed; NULL: all, or this machine's own ones if it is_default */
};

/* ---- From the configuration. */

static const struct {
    enum entrance entrance;
    enum config_id port, ip, tls_port, tls_ip;
    enum config_id cacertfile, certfile, keyfile, password, verify, needs_certificate, depth, versions, ciphers, order;
    uint16_t usual;
    const char *name, *what, *protocol;
} kinds[] = {
    {ENTRANCE_MANAGEMENT, KEY_MANAGEMENT_PORT, KEY_MANAGEMENT_IP, KEY_MANAGEMENT_TLS_PORT, KEY_MANAGEMENT_TLS_IP,
     KEY_MANAGEMENT_TLS_CACERTFILE, KEY_MANAGEMENT_TLS_CERTFILE, KEY_MANAGEMENT_TLS_KEYFILE,
     KEY_MANAGEMENT_TLS_PASSWORD, KEY_MANAGEMENT_TLS_VERIFY, KEY_MANAGEMENT_TLS_NEEDS_CERTIFICATE,
     KEY_MANAGEMENT_TLS_DEPTH, KEY_MANAGEMENT_TLS_VERSIONS, KEY_MANAGEMENT_TLS_CIPHERS,
     KEY_MANAGEMENT_TLS_HONOR_CIPHER_ORDER, MANAGEMENT_PORT, "management", "Management plugin", ""},
    {ENTRANCE_METRICS, KEY_PROMETHEUS_PORT, KEY_PROMETHEUS_IP, KEY_PROMETHEUS_TLS_PORT, KEY_PROMETHEUS_TLS_IP,
     KEY_PROMETHEUS_TLS_CACERTFILE, KEY_PROMETHEUS_TLS_CERTFILE, KEY_PROMETHEUS_TLS_KEYFILE,
     KEY_PROMETHEUS_TLS_PASSWORD, KEY_PROMETHEUS_TLS_VERIFY, KEY_PROMETHEUS_TLS_NEEDS_CERTIFICATE,
     KEY_PROMETHEUS_TLS_DEPTH, KEY_PROMETHEUS_TLS_VERSIONS, KEY_PROMETHEUS_TLS_CIPHERS,
     KEY_PROMETHEUS_TLS_HONOR_CIPHER_ORDER, PROMETHEUS_PORT, "prometheus", "Prometheus metrics", "/prometheus"},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static unsigned kind_of(enum entrance entrance)
{
    return entrance == ENTRANCE_METRICS;
}

static void add_site(struct web *w, unsigned kind, bool is_tls, bool is_default, uint64_t port, const char *ip)
{
    if (port == CONFIG_NO_PORT)
        return;
    w->sites[w->n_sites++] = (struct web_site){
        .entrance = kinds[kind].entrance, .is_tls = is_tls, .is_default = is_default, .port = (uint16_t)port, .ip = ip};
}

static const char *set_text(const struct config *c, enum config_id id)
{
    return config_is_set(c, id) ? config_text(c, id) : NULL;
}

/* An address without a port means the usual one.  Where only TLS is wanted, there is nothing plain, as in RabbitMQ. */
static void read_sites(struct web *w, const struct config *c, unsigned kind)
{
    enum config_id port = kinds[kind].port, ip = kinds[kind].ip;
    bool has_plain = config_is_set(c, port) || config_is_set(c, ip);
    bool has_tls = config_is_set(c, kinds[kind].tls_port);
    if (has_plain)
        add_site(w, kind, false, false, config_is_set(c, port) ? config_number(c, port) : kinds[kind].usual,
                 set_text(c, ip));
    if (has_tls)
        add_site(w, kind, true, false, config_number(c, kinds[kind].tls_port), set_text(c, kinds[kind].tls_ip));
    if (kind == 0 && config_is_set(c, KEY_MANAGEMENT_OLD_PORT) && !has_plain && !has_tls)
        add_site(w, kind, config_number(c, KEY_MANAGEMENT_OLD_TLS) != 0, false,
                 config_number(c, KEY_MANAGEMENT_OLD_PORT), set_text(c, KEY_MANAGEMENT_OLD_IP));
    else if (!has_plain && !(has_tls && config_number(c, kinds[kind].tls_port) != CONFIG_NO_PORT))
        add_site(w, kind, false, true, kinds[kind].usual, NULL);
}

static void on_version(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)value;
    struct tls_config *t = arg;
    t->has_tls_1_2 = t->has_tls_1_2 || number == CONFIG_TLS_1_2;
    t->has_tls_1_3 = t->has_tls_1_3 || number == CONFIG_TLS_1_3;
}

static void on_any(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)value, (void)number;
    *(bool *)arg = true;
}

static void on_cipher(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)number;
    struct web_tls *t = arg;
    t->ciphers = alloc_array((void *)t->ciphers, t->config.n_ciphers + 1, sizeof(char *));
    t->ciphers[t->config.n_ciphers++] = value;
}

static void read_tls(struct web_tls *t, const struct config *c, unsigned kind, const struct tls_config *common)
{
    bool has_versions = false;
    t->is_shared = config_text(c, kinds[kind].certfile) == NULL;
    if (t->is_shared) {
        t->config = *common;
        return;
    }
    t->config = (struct tls_config){
        .cacertfile = config_text(c, kinds[kind].cacertfile),
        .certfile = config_text(c, kinds[kind].certfile),
        .keyfile = config_text(c, kinds[kind].keyfile),
        .password = config_text(c, kinds[kind].password),
        .verify_peer = config_number(c, kinds[kind].verify) != 0,
        .needs_certificate = config_number(c, kinds[kind].needs_certificate) != 0,
        .depth = (unsigned)config_number(c, kinds[kind].depth),
        .honor_cipher_order = config_number(c, kinds[kind].order) != 0,
        .reuse_sessions = true,
    };
    config_each(c, kinds[kind].versions, on_any, &has_versions);
    t->config.has_tls_1_2 = t->config.has_tls_1_3 = !has_versions;
    config_each(c, kinds[kind].versions, on_version, &t->config);
    config_each(c, kinds[kind].ciphers, on_cipher, t);
    t->config.ciphers = t->ciphers;
}

void web_init(struct web *w, const struct config *c, const struct tls_config *common)
{
    *w = (struct web){.sites = alloc_zeroed(WEB_SITES * sizeof *w->sites), .addresses = str_copy(BYTES(""))};
    for (unsigned kind = 0; kind < KINDS; kind++) {
        read_sites(w, c, kind);
        read_tls(&w->tls[kind], c, kind, common);
    }
}

static void web_close(struct web *w)
{
    for (unsigned i = 0; i < w->n_doors; i++)
        if (w->doors[i].fd >= 0)
            close(w->doors[i].fd);
    w->n_doors = 0;
}

void web_fini(struct web *w)
{
    web_close(w);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        tls_unref(w->tls[kind].tls);
        free((void *)w->tls[kind].ciphers);
    }
    free(w->sites);
    free(w->addresses);
}

/* ---- TLS. */

/* The texts of tls.c speak of ssl_options; takes one, and answers it with the right key. */
static char *with_key(char *text, const struct web_tls *t, unsigned kind)
{
    static const char common[] = "ssl_options.";
    const char *rest = strncmp(text, common, sizeof common - 1) == 0 ? text + sizeof common - 1 : NULL;
    if (t->is_shared || rest == NULL)
        return text;
    char *own = str_format("%s.ssl.%s", kinds[kind].name, rest);
    free(text);
    return own;
}

bool web_open_tls(struct web *w, char **error)
{
    for (unsigned i = 0; i < w->n_sites; i++) {
        unsigned kind = kind_of(w->sites[i].entrance);
        struct web_tls *t = &w->tls[kind];
        if (!w->sites[i].is_tls || t->tls != NULL)
            continue;
        t->tls = tls_create(&t->config, error);
        if (t->tls == NULL) {
            *error = with_key(*error, t, kind);
            return false;
        }
    }
    return true;
}

/* ---- Sockets. */

/* 0, or -errno and *error. */
static int bind_at(struct web *w, const struct web_site *s, const char *text, char **error)
{
    const struct socket_options options = {.backlog = BACKLOG, .nodelay = true};
    struct listener *opened[LISTENER_SOCKETS_MAX];
    int n = listener_open(text, &options, opened, error);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        if (w->n_doors == WEB_DOORS_MAX) {
            listener_destroy(opened[i]);
            continue;
        }
        struct admin_door *d = &w->doors[w->n_doors++];
        *d = (struct admin_door){
            .entrance = s->entrance, .tls = s->is_tls ? w->tls[kind_of(s->entrance)].tls : NULL, .site = s};
        d->address = *listener_address(opened[i]);
        d->fd = listener_take_socket(opened[i]);
    }
    return 0;
}

/* Where the configuration is silent: this machine's own addresses. */
static int bind_default(struct web *w, const struct web_site *s, char **error)
{
    char *v4 = str_format("127.0.0.1:%u", s->port), *v6 = str_format("[::1]:%u", s->port), *absent = NULL;
    int status = bind_at(w, s, v4, error);
    if (status == 0) {
        int second = bind_at(w, s, v6, &absent);
        if (second == -EADDRINUSE) {
            status = second;
            *error = absent;
        } else {
            free(absent); /* there is no IPv6 here */
        }
    }
    free(v4);
    free(v6);
    return status;
}

static int bind_configured(struct web *w, const struct web_site *s, char **error)
{
    char *text;
    if (s->ip == NULL)
        text = str_format("%u", s->port);
    else if (strchr(s->ip, ':') != NULL)
        text = str_format("[%s]:%u", s->ip, s->port);
    else
        text = str_format("%s:%u", s->ip, s->port);
    int status = bind_at(w, s, text, error);
    free(text);
    return status;
}

/* Closes what was bound for it, and says so; takes the text. */
static void do_without(struct web *w, const struct web_site *s, char *why)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < w->n_doors; i++) {
        if (w->doors[i].site == s)
            close(w->doors[i].fd);
        else
            w->doors[kept++] = w->doors[i];
    }
    w->n_doors = kept;
    const char *name = kinds[kind_of(s->entrance)].name;
    log_warning("main",
                "%s: %s: the broker goes on without; %s.tcp.port = none says that it is not wanted, another "
                "number where it shall be",
                name, why, name);
    free(why);
}

/* For one that could not be had: takes the text.  False: it had to be, and *error says so. */
static bool may_do_without(struct web *w, const struct web_site *s, char *why, char **error)
{
    if (s->is_default) {
        do_without(w, s, why);
        return true;
    }
    *error = str_format("%s: %s", kinds[kind_of(s->entrance)].name, why);
    free(why);
    return false;
}

bool web_bind(struct web *w, char **error)
{
    for (unsigned i = 0; i < w->n_sites; i++) {
        const struct web_site *s = &w->sites[i];
        char *why = NULL;
        int status = s->is_default ? bind_default(w, s, &why) : bind_configured(w, s, &why);
        if (status != 0 && !may_do_without(w, s, why, error))
            return false;
    }
    return true;
}

static void tell(struct web *w, const struct admin_door *d, const struct admin_door *before)
{
    const unsigned kind = kind_of(d->entrance);
    bool is_same = before != NULL && before->entrance == d->entrance && (before->tls == NULL) == (d->tls == NULL);
    char at[ADDRESS_TEXT_MAX];
    address_format(&d->address, at);
    char *all = is_same ? str_format("%s, %s", w->addresses, at)
                        : str_format("%s%shttp%s%s %s", w->addresses, *w->addresses != '\0' ? ", " : "",
                                     d->tls != NULL ? "s" : "", kinds[kind].protocol, at);
    free(w->addresses);
    w->addresses = all;
    log_info("admin", "%s: %s listener started on port %u (%s)", kinds[kind].what,
             d->tls != NULL ? "HTTPS" : "HTTP (non-TLS)", address_port(&d->address), at);
}

bool web_listen(struct web *w, char **error)
{
    for (unsigned i = 0; i < w->n_doors;) {
        const struct web_site *s = w->doors[i].site;
        if (listen(w->doors[i].fd, BACKLOG) == 0) {
            i++;
            continue;
        }
        char at[ADDRESS_TEXT_MAX];
        const char *reason = strerrordesc_np(errno);
        address_format(&w->doors[i].address, at);
        if (!may_do_without(w, s, str_format("cannot listen on %s: %s", at, reason), error))
            return false;
        i = 0; /* those that listen may do so again */
    }
    for (unsigned i = 0; i < w->n_doors; i++)
        tell(w, &w->doors[i], i > 0 ? &w->doors[i - 1] : NULL);
    return true;
}
