#define _GNU_SOURCE
#include "broker/listeners.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"

/* ---- Listeners. */

struct reading {
    struct listeners *l;
    struct greeting how;
    bool is_named;     /* one was, be it "none" */
    char *error;       /* owned */
    unsigned versions; /* 1 << enum config_tls_version */
};

static void add_listener(struct listeners *l, const char *text, struct greeting how)
{
    l->all = alloc_array(l->all, l->n + 1, sizeof *l->all);
    l->all[l->n++] = (struct server_listener){.text = text, .how = how};
    l->has_tls = l->has_tls || how.is_tls;
}

static void on_listener(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)number;
    struct reading *r = arg;
    r->is_named = true;
    if (strcmp(value, "none") != 0)
        add_listener(r->l, value, r->how);
}

static void read_listeners(struct listeners *l, const struct config *c)
{
    struct reading plain = {.l = l, .how.has_proxy = l->has_proxy};
    struct reading tls = {.l = l, .how = {.is_tls = true, .has_proxy = l->has_proxy}};
    if (!config_is_set(c, KEY_LISTENERS_TCP_NONE)) {
        config_each(c, KEY_LISTENERS_TCP, on_listener, &plain);
        if (!plain.is_named)
            add_listener(l, "5672", plain.how);
    }
    if (!config_is_set(c, KEY_LISTENERS_SSL_NONE))
        config_each(c, KEY_LISTENERS_SSL, on_listener, &tls);
}

/* ---- Who may speak for others. */

static bool add_range(struct listeners *l, const char *text)
{
    struct address_range range;
    if (!address_range_parse(text, &range))
        return false;
    l->proxies = alloc_array(l->proxies, l->n_proxies + 1, sizeof *l->proxies);
    l->proxies[l->n_proxies++] = range;
    return true;
}

static void on_source(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)number;
    struct reading *r = arg;
    if (!add_range(r->l, value) && r->error == NULL)
        r->error =
            str_format("proxy_protocol_sources.%s: expected addresses such as 10.0.0.0/8, got \"%s\"", name, value);
}

static bool read_proxies(struct listeners *l, const struct config *c, char **error)
{
    static const char *const near[] = {"127.0.0.0/8",    "::1",     "10.0.0.0/8", "172.16.0.0/12",
                                       "192.168.0.0/16", "fc00::/7"};
    struct reading r = {.l = l};
    l->has_proxy = config_number(c, KEY_PROXY_PROTOCOL) != 0;
    config_each(c, KEY_PROXY_SOURCES, on_source, &r);
    bool is_default = l->n_proxies == 0 && r.error == NULL;
    for (size_t i = 0; is_default && i < sizeof near / sizeof near[0]; i++)
        add_range(l, near[i]);
    *error = r.error;
    return r.error == NULL;
}

/* ---- TLS. */

static void on_version(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)value;
    struct reading *r = arg;
    r->versions |= 1U << number;
}

static void on_cipher(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)number;
    struct listeners *l = arg;
    l->ciphers = alloc_array((void *)l->ciphers, l->tls.n_ciphers + 1, sizeof(char *));
    l->ciphers[l->tls.n_ciphers++] = value;
}

static void on_sni(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)number;
    struct listeners *l = arg;
    l->snis = alloc_array((void *)l->snis, l->tls.n_snis + 1, sizeof(char *));
    l->snis[l->tls.n_snis++] = value;
}

static void read_tls(struct listeners *l, const struct config *c)
{
    struct reading r = {.l = l};
    config_each(c, KEY_TLS_VERSIONS, on_version, &r);
    if (r.versions == 0)
        r.versions = 1U << CONFIG_TLS_1_2 | 1U << CONFIG_TLS_1_3;
    l->tls = (struct tls_config){
        .cacertfile = config_text(c, KEY_TLS_CACERTFILE),
        .certfile = config_text(c, KEY_TLS_CERTFILE),
        .keyfile = config_text(c, KEY_TLS_KEYFILE),
        .password = config_text(c, KEY_TLS_PASSWORD),
        .verify_peer = config_number(c, KEY_TLS_VERIFY) != 0,
        .needs_certificate = config_number(c, KEY_TLS_NEEDS_CERTIFICATE) != 0,
        .depth = (unsigned)config_number(c, KEY_TLS_DEPTH),
        .has_tls_1_2 = (r.versions & 1U << CONFIG_TLS_1_2) != 0,
        .has_tls_1_3 = (r.versions & 1U << CONFIG_TLS_1_3) != 0,
        .honor_cipher_order = config_number(c, KEY_TLS_HONOR_CIPHER_ORDER) != 0,
        .reuse_sessions = config_number(c, KEY_TLS_REUSE_SESSIONS) != 0,
        .dhfile = config_text(c, KEY_TLS_DHFILE),
        .crl_check = (enum tls_crl_check)config_number(c, KEY_TLS_CRL_CHECK),
        .crlfile = config_text(c, KEY_TLS_CRLFILE),
        .login_from = (enum login_from)config_number(c, KEY_LOGIN_FROM),
        .san_type = (enum san_type)config_number(c, KEY_LOGIN_SAN_TYPE),
        .san_index = (unsigned)config_number(c, KEY_LOGIN_SAN_INDEX),
    };
    config_each(c, KEY_TLS_CIPHERS, on_cipher, l);
    l->tls.ciphers = l->ciphers;
    config_each(c, KEY_TLS_SNI, on_sni, l);
    l->tls.snis = l->snis;
}

/* ---- All of it. */

bool listeners_init(struct listeners *l, const struct config *c, char **error)
{
    *l = (struct listeners){0};
    if (!read_proxies(l, c, error))
        return false;
    read_listeners(l, c);
    read_tls(l, c);
    return true;
}

void listeners_fini(struct listeners *l)
{
    free(l->all);
    free((void *)l->ciphers);
    free((void *)l->snis);
    free(l->proxies);
}

static void on_old_version(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)arg;
    if (number != CONFIG_TLS_1_2 && number != CONFIG_TLS_1_3)
        log_warning("main", "ssl_options.versions.%s: %s is not safe and not offered", name, value);
}

static void on_any(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)name, (void)value, (void)number;
    *(bool *)arg = true;
}

void listeners_warn(const struct listeners *l, const struct config *c)
{
    bool has_sources = false;
    config_each(c, KEY_PROXY_SOURCES, on_any, &has_sources);
    if (l->has_proxy && !has_sources)
        log_warning("main", "proxy_protocol_sources is not set: whoever connects from a loopback or private address "
                            "may claim to speak for anybody");
    if (!l->has_tls)
        return;
    config_each(c, KEY_TLS_VERSIONS, on_old_version, NULL);
    if (config_number(c, KEY_TLS_CLIENT_RENEGOTIATION) != 0 && config_is_set(c, KEY_TLS_CLIENT_RENEGOTIATION))
        log_warning("main", "ssl_options.client_renegotiation: clients can never renegotiate");
}

bool listeners_open_tls(const struct listeners *l, struct tls **tls, char **error)
{
    *tls = l->has_tls ? tls_create(&l->tls, error) : NULL;
    return *tls != NULL || !l->has_tls;
}
