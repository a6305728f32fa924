#define _GNU_SOURCE
#include "broker/net/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/net/sni.h"

enum { KEY_NAME_BYTES = 16, KEY_BYTES = 32, SESSION_SECONDS = 3600, DAY_SECONDS = 86400 };

static const char GOOD_CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char GOOD_SUITES[] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
static const char GOOD_GROUPS[] = "X25519:P-256:P-384";

static const char UNSAFE[] = "TLS configuration is unsafe";
static const char NO_CERTIFICATE[] = "connection peer presented no TLS (x.509) certificate";
static const char NO_NAME[] = "no name found";

struct ticket_key {
    bool is_there;
    uint8_t name[KEY_NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
    uint64_t made_ms;
};

struct tls {
    atomic_uint holders;
    SSL_CTX *context;                /* owned */
    struct sni *sni;                 /* owned; NULL: there is one certificate for all names */
    const struct tls_config *config; /* borrowed */
    time_t expiry;
    pthread_mutex_t lock;
    struct ticket_key keys[2]; /* under lock: the one that makes tickets, the one before */
};

void tls_error(char *text, unsigned size)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long code = ERR_peek_error_data(&data, &flags);
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    bool has_data = (flags & ERR_TXT_STRING) != 0 && data != NULL && data[0] != '\0';
    snprintf(text, size, "%s%s%s",
             code == 0        ? "unknown error"
             : reason != NULL ? reason
                              : "unknown reason",
             has_data ? ": " : "", has_data ? data : "");
    ERR_clear_error();
}

static bool fail(char **error, const char *key, const char *path)
{
    char reason[256];
    tls_error(reason, sizeof reason);
    *error = path != NULL ? str_format("ssl_options.%s: %s: %s", key, path, reason)
                          : str_format("ssl_options.%s: %s", key, reason);
    return false;
}

/* ---- Files. */

/* Opens what ssl_options.KEY names; NULL: *error says what RabbitMQ says, and why. */
static BIO *open_file(const char *key, const char *path, struct stat *st, char **error)
{
    FILE *f = fopen(path, "re");
    bool is_open = f != NULL && fstat(fileno(f), st) == 0;
    if (is_open && (S_ISDIR(st->st_mode) || st->st_size > TLS_FILE_BYTES_MAX)) {
        errno = S_ISDIR(st->st_mode) ? EISDIR : EFBIG;
        is_open = false;
    }
    if (is_open)
        return BIO_new_fp(f, BIO_CLOSE);
    *error = str_format("ssl_options.%s invalid, file does not exist or cannot be read by the node: %s: %s (uid %u)",
                        key, path, strerrordesc_np(errno), (unsigned)geteuid());
    if (f != NULL)
        fclose(f);
    return NULL;
}

static int on_password(char *to, int size, int is_writing, void *arg)
{
    (void)is_writing;
    const char *password = arg;
    size_t n = password != NULL ? strlen(password) : 0;
    if (n == 0 || n > (size_t)size)
        return -1;
    memcpy(to, password, n); // NOLINT(bugprone-not-null-terminated-result): its length goes with it
    return (int)n;
}

static bool load_key(SSL_CTX *context, const struct tls_config *c, char **error)
{
    const char *path = c->keyfile != NULL ? c->keyfile : c->certfile;
    struct stat st;
    BIO *in = open_file("keyfile", path, &st, error);
    if (in == NULL)
        return false;
    if ((st.st_mode & S_IRWXO) != 0) {
        *error = str_format("ssl_options.keyfile: %s can be read by everybody (mode %04o): take that away with "
                            "'chmod o= %s'",
                            path, (unsigned)st.st_mode & 07777, path);
        BIO_free(in);
        return false;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, on_password, (void *)(uintptr_t)c->password);
    BIO_free(in);
    if (key == NULL) {
        char reason[256];
        tls_error(reason, sizeof reason);
        *error = str_format("ssl_options.keyfile: %s: no private key that can be read: %s%s", path, reason,
                            c->password != NULL ? " (is ssl_options.password right?)"
                                                : " (if it is encrypted, ssl_options.password is missing)");
        return false;
    }
    bool is_good = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    if (is_good)
        return true;
    char reason[256];
    tls_error(reason, sizeof reason);
    *error =
        str_format("ssl_options.keyfile: %s does not belong to the certificate in %s: %s", path, c->certfile, reason);
    return false;
}

static time_t time_of(const ASN1_TIME *at)
{
    struct tm tm;
    return ASN1_TIME_to_tm(at, &tm) == 1 ? timegm(&tm) : 0;
}

static bool load_certificate(struct tls *t, const struct tls_config *c, char **error)
{
    struct stat st;
    BIO *in = open_file("certfile", c->certfile, &st, error);
    if (in == NULL)
        return false;
    BIO_free(in);
    if (SSL_CTX_use_certificate_chain_file(t->context, c->certfile) != 1)
        return fail(error, "certfile", c->certfile);
    const X509 *x = SSL_CTX_get0_certificate(t->context);
    char *validity = certificate_validity(x);
    t->expiry = time_of(X509_get0_notAfter(x));
    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        log_warning("tls", "the certificate in %s has expired (%s)", c->certfile, validity);
    else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
        log_warning("tls", "the certificate in %s is not valid yet (%s)", c->certfile, validity);
    free(validity);
    return true;
}

static bool load_authorities(SSL_CTX *context, const struct tls_config *c, char **error)
{
    if (c->cacertfile == NULL)
        return true;
    struct stat st;
    BIO *in = open_file("cacertfile", c->cacertfile, &st, error);
    if (in == NULL)
        return false;
    BIO_free(in);
    if (SSL_CTX_load_verify_file(context, c->cacertfile) != 1)
        return fail(error, "cacertfile", c->cacertfile);
    if (c->verify_peer)
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(c->cacertfile));
    ERR_clear_error();
    return true;
}

/* What cannot be found out is accepted; what has been revoked is not. */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
    int error = X509_STORE_CTX_get_error(store);
    bool is_unknown = error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_HAS_EXPIRED ||
                      error == X509_V_ERR_CRL_NOT_YET_VALID;
    if (is_unknown)
        X509_STORE_CTX_set_error(store, X509_V_OK);
    return is_good || is_unknown;
}

static bool load_lists(SSL_CTX *context, const struct tls_config *c, char **error)
{
    if (c->crl_check == CRL_CHECK_NONE)
        return true;
    struct stat st;
    BIO *in = open_file("crlfile", c->crlfile, &st, error);
    if (in == NULL)
        return false;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    unsigned n = 0;
    for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL; n++) {
        const ASN1_TIME *until = X509_CRL_get0_nextUpdate(crl);
        if (until != NULL && X509_cmp_current_time(until) < 0)
            log_warning("tls", "a revocation list in %s is out of date", c->crlfile);
        X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
    }
    BIO_free(in);
    /* It ends with "no start line", unless there is something that is no list. */
    if (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return fail(error, "crlfile", c->crlfile);
    ERR_clear_error();
    X509_STORE_set_flags(store, c->crl_check == CRL_CHECK_CHAIN ? X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL
                                                                : X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool load_parameters(SSL_CTX *context, const struct tls_config *c, char **error)
{
    if (c->dhfile == NULL) {
        SSL_CTX_set_dh_auto(context, 1);
        return true;
    }
    struct stat st;
    BIO *in = open_file("dhfile", c->dhfile, &st, error);
    if (in == NULL)
        return false;
    EVP_PKEY *parameters = PEM_read_bio_Parameters(in, NULL);
    BIO_free(in);
    if (parameters != NULL && SSL_CTX_set0_tmp_dh_pkey(context, parameters) == 1)
        return true;
    EVP_PKEY_free(parameters);
    return fail(error, "dhfile", c->dhfile);
}

/* ---- What is agreed to. */

static void append(char **list, const char *name)
{
    char *longer = *list == NULL ? str_format("%s", name) : str_format("%s:%s", *list, name);
    free(*list);
    *list = longer;
}

/* Whether OpenSSL knows a name, tried alone. */
static bool is_known(SSL_CTX *context, const char *name, bool is_suite)
{
    bool is = (is_suite ? SSL_CTX_set_ciphersuites(context, name) : SSL_CTX_set_cipher_list(context, name)) == 1;
    ERR_clear_error();
    return is;
}

/* TLS 1.3's suites and the ciphers of before go different ways. */
static bool choose_ciphers(SSL_CTX *context, const struct tls_config *c, char **error)
{
    char *ciphers = NULL, *suites = NULL;
    for (unsigned i = 0; i < c->n_ciphers; i++) {
        const char *name = c->ciphers[i];
        bool is_suite = strncmp(name, "TLS_", 4) == 0 && strstr(name, "_WITH_") == NULL;
        if (strncmp(name, "TLS_", 4) == 0 && !is_suite)
            name = OPENSSL_cipher_name(name);
        if (is_known(context, name, is_suite))
            append(is_suite ? &suites : &ciphers, name);
        else
            log_warning("tls", "ssl_options.ciphers: OpenSSL has no cipher '%s' for us: left out", c->ciphers[i]);
    }
    bool is_ours = c->n_ciphers == 0;
    bool has_1_2 = c->has_tls_1_2 && (is_ours || ciphers != NULL),
         has_1_3 = c->has_tls_1_3 && (is_ours || suites != NULL);
    if (!has_1_2 && !has_1_3) {
        *error = str_format("ssl_options.ciphers: none of them can be used with ssl_options.versions");
    } else {
        SSL_CTX_set_min_proto_version(context, has_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        SSL_CTX_set_max_proto_version(context, has_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
        SSL_CTX_set_cipher_list(context, ciphers != NULL ? ciphers : GOOD_CIPHERS);
        SSL_CTX_set_ciphersuites(context, suites != NULL ? suites : GOOD_SUITES);
        SSL_CTX_set1_groups_list(context, (uintptr_t)GOOD_GROUPS); /* it does not change them */
    }
    ERR_clear_error();
    free(ciphers);
    free(suites);
    return has_1_2 || has_1_3;
}

/* ---- Tickets. */

static void ticket_key_make(struct ticket_key *k, uint64_t now_ms)
{
    k->is_there = true;
    k->made_ms = now_ms;
    CHECK(RAND_bytes(k->name, sizeof k->name) == 1 && RAND_bytes(k->cipher, sizeof k->cipher) == 1 &&
          RAND_bytes(k->mac, sizeof k->mac) == 1);
}

static void turn_keys(struct tls *t, uint64_t now_ms)
{
    struct ticket_key *k = t->keys;
    if (k[0].is_there && (now_ms < k[0].made_ms || now_ms - k[0].made_ms < TLS_TICKET_KEY_MS))
        return;
    OPENSSL_cleanse(&k[1], sizeof k[1]);
    if (k[0].is_there && now_ms - k[0].made_ms < 2 * (uint64_t)TLS_TICKET_KEY_MS)
        k[1] = k[0];
    ticket_key_make(&k[0], now_ms);
}

void tls_turn_keys(struct tls *t, uint64_t now_ms)
{
    pthread_mutex_lock(&t->lock);
    turn_keys(t, now_ms);
    pthread_mutex_unlock(&t->lock);
}

static int ticket_use(const struct ticket_key *k, const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      bool is_new)
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool is_set = EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
                  EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, is_new) == 1;
    return is_set ? 1 : -1;
}

/* OpenSSL's callback: 1 fine, 2 fine and give the peer a new one, 0 a ticket that is not ours. */
static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
    struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    int result = 0;
    int again = SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1; /* there a ticket is used once, and wants a successor */
    pthread_mutex_lock(&t->lock);
    turn_keys(t, clock_ms());
    if (is_new != 0) {
        memcpy(name, t->keys[0].name, KEY_NAME_BYTES);
        result = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1
                     ? -1
                     : ticket_use(&t->keys[0], iv, cipher, mac, true);
    } else {
        for (int i = 0; i < 2 && result == 0; i++)
            if (t->keys[i].is_there && CRYPTO_memcmp(name, t->keys[i].name, KEY_NAME_BYTES) == 0)
                result = ticket_use(&t->keys[i], iv, cipher, mac, false) != 1 ? -1 : i == 0 ? again : 2;
    }
    pthread_mutex_unlock(&t->lock);
    return result;
}

static int on_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls *t = arg;
    *alert = SSL_AD_UNRECOGNIZED_NAME; /* if it is fatal */
    return sni_choose(t->sni, ssl) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool load_names(struct tls *t, const struct tls_config *c, char **error)
{
    if (c->n_snis == 0)
        return true;
    t->sni = sni_create(c->snis, c->n_snis, c->password, error);
    SSL_CTX_set_tlsext_servername_callback(t->context, on_name);
    SSL_CTX_set_tlsext_servername_arg(t->context, t);
    return t->sni != NULL;
}

static void set_sessions(SSL_CTX *context, const struct tls_config *c)
{
    static const uint8_t id[] = "millrace amqp";
    SSL_CTX_set_session_id_context(context, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets remember for us */
    SSL_CTX_set_timeout(context, SESSION_SECONDS);
    SSL_CTX_set_num_tickets(context, c->reuse_sessions ? 1 : 0);
    if (!c->reuse_sessions)
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}

/* ---- Its life. */

static bool config_makes_sense(const struct tls_config *c, char **error)
{
    const char *wrong = NULL;
    if (c->certfile == NULL)
        wrong = "certfile: a TLS listener needs a certificate";
    else if (!c->has_tls_1_2 && !c->has_tls_1_3)
        wrong = "versions: neither tlsv1.2 nor tlsv1.3 is left, and older ones are not safe";
    else if (c->verify_peer && c->cacertfile == NULL)
        wrong = "verify: verify_peer needs ssl_options.cacertfile";
    else if (c->needs_certificate && !c->verify_peer)
        wrong = "fail_if_no_peer_cert: needs ssl_options.verify = verify_peer";
    else if (c->crl_check != CRL_CHECK_NONE && !c->verify_peer)
        wrong = "crl_check: needs ssl_options.verify = verify_peer";
    else if (c->crl_check != CRL_CHECK_NONE && c->crlfile == NULL)
        wrong = "crl_check: needs ssl_options.crlfile, a file with the revocation lists";
    if (wrong != NULL)
        *error = str_format("ssl_options.%s", wrong);
    return wrong == NULL;
}

static void set_verification(SSL_CTX *context, const struct tls_config *c)
{
    int mode = SSL_VERIFY_NONE;
    if (c->verify_peer)
        mode = SSL_VERIFY_PEER | (c->needs_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(context, mode, c->crl_check == CRL_CHECK_BEST_EFFORT ? on_verify : NULL);
    SSL_CTX_set_verify_depth(context, (int)c->depth);
    SSL_CTX_set_max_cert_list(context, TLS_CHAIN_BYTES_MAX);
}

struct tls *tls_create(const struct tls_config *config, char **error)
{
    ERR_clear_error();
    if (!config_makes_sense(config, error))
        return NULL;
    struct tls *t = alloc_zeroed(sizeof *t);
    atomic_init(&t->holders, 1);
    pthread_mutex_init(&t->lock, NULL);
    t->config = config;
    SSL_CTX *context = t->context = SSL_CTX_new(TLS_server_method());
    CHECK(context != NULL);
    SSL_CTX_set_app_data(context, t);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
                                     (config->honor_cipher_order ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
    SSL_CTX_set_mode(context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    set_sessions(context, config);
    set_verification(context, config);
    if (choose_ciphers(context, config, error) && load_parameters(context, config, error) &&
        load_certificate(t, config, error) && load_key(context, config, error) &&
        load_authorities(context, config, error) && load_lists(context, config, error) &&
        load_names(t, config, error)) {
        ERR_clear_error();
        return t;
    }
    tls_unref(t);
    return NULL;
}

struct tls *tls_ref(struct tls *t)
{
    atomic_fetch_add(&t->holders, 1);
    return t;
}

void tls_unref(struct tls *t)
{
    if (t == NULL || atomic_fetch_sub(&t->holders, 1) > 1)
        return;
    SSL_CTX_free(t->context);
    sni_destroy(t->sni);
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
    free(t);
}

time_t tls_expiry(const struct tls *t)
{
    return t->expiry;
}

static void format_day(time_t at, char text[32])
{
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, 32, "%Y-%m-%d %H:%M:%SZ", &tm);
}

struct tls *tls_reload(struct tls *old)
{
    char *error = NULL;
    struct tls *t = tls_create(old->config, &error);
    if (t == NULL) {
        log_error("tls", "certificates were not reloaded, the old ones stay in use: %s", error);
        free(error);
        return old;
    }
    char before[32], now[32];
    format_day(old->expiry, before);
    format_day(t->expiry, now);
    log_notice("tls", "certificates were reloaded: the old one expires %s, the new one %s", before, now);
    tls_unref(old);
    return t;
}

bool tls_warn_expiry(const struct tls *t, time_t now, unsigned *told)
{
    static const int days[] = {30, 7, 1, 0};
    unsigned stage = 0;
    while (stage < sizeof days / sizeof days[0] && t->expiry - now <= (time_t)days[stage] * DAY_SECONDS)
        stage++;
    bool is_news = stage > *told;
    *told = stage;
    if (!is_news)
        return false;
    char at[32];
    format_day(t->expiry, at);
    if (t->expiry <= now)
        log_warning("tls", "the certificate in %s expired %s", t->config->certfile, at);
    else
        log_warning("tls", "the certificate in %s expires in %" PRId64 " days, %s", t->config->certfile,
                    (int64_t)(t->expiry - now) / DAY_SECONDS, at);
    return true;
}

/* ---- What it says of itself. */

void tls_describe(const struct tls *t, struct tls_facts *to)
{
    const X509 *x = SSL_CTX_get0_certificate(t->context);
    *to = (struct tls_facts){.certfile = t->config->certfile,
                             .subject = certificate_subject(x),
                             .issuer = certificate_issuer(x),
                             .validity = certificate_validity(x)};
}

void tls_each_suite(bool are_all, tls_suite_fn *each, void *arg)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    CHECK(context != NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, are_all ? "ALL" : GOOD_CIPHERS);
    if (!are_all)
        SSL_CTX_set_ciphersuites(context, GOOD_SUITES);
    const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(suites, i);
        const char *standard = SSL_CIPHER_standard_name(c);
        each(arg, SSL_CIPHER_get_name(c), standard != NULL ? standard : "", SSL_CIPHER_get_version(c));
    }
    SSL_CTX_free(context);
}

/* ---- Connections. */

SSL *tls_open(struct tls *t, int fd)
{
    SSL *ssl = SSL_new(t->context);
    CHECK(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    SSL_set_accept_state(ssl);
    return ssl;
}

bool tls_may_stay(const struct tls *t, SSL *ssl, const char **fault)
{
    const X509 *x = SSL_get0_peer_certificate(ssl);
    *fault = NULL;
    if (!t->config->verify_peer || SSL_session_reused(ssl) == 0)
        return true;
    if (x == NULL && t->config->needs_certificate)
        *fault = "a session without a certificate";
    else if (x != NULL && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        *fault = "the certificate of the session has expired";
    return *fault == NULL;
}

char *tls_login_name(const struct tls *t, SSL *ssl, const char **fault)
{
    const struct tls_config *c = t->config;
    const X509 *x = SSL_get0_peer_certificate(ssl);
    char *name = NULL;
    *fault = NULL;
    if (!c->verify_peer || (x != NULL && SSL_get_verify_result(ssl) != X509_V_OK))
        *fault = UNSAFE;
    else if (x == NULL)
        *fault = NO_CERTIFICATE;
    else if ((name = certificate_login_name(x, c->login_from, c->san_type, c->san_index)) == NULL)
        *fault = NO_NAME;
    return name;
}
