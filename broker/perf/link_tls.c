#define _GNU_SOURCE
#include "broker/perf/link_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum { NAME_ROOM = 256 };

struct link_tls {
    SSL_CTX *context;
    bool is_verifying;
};

struct link_tls_io {
    SSL *ssl;
    int fd; /* borrowed */
};

static _Noreturn void die_tls(const char *what)
{
    char why[256] = "no reason is known";
    unsigned long error = ERR_get_error();
    if (error != 0)
        ERR_error_string_n(error, why, sizeof why);
    die("%s: %s", what, why);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct link_ticket *t = SSL_get_app_data(ssl);
    if (t == NULL)
        return 0;
    SSL_SESSION_free(t->session);
    t->session = session;
    return 1;
}

struct link_tls *link_tls_create(const char *ca_file, const char *version)
{
    struct link_tls *t = alloc(sizeof *t);
    int v = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (v == TLS1_3_VERSION && strcmp(version, "1.3") != 0)
        die("no version %s of TLS", version);
    t->context = SSL_CTX_new(TLS_client_method());
    if (t->context == NULL || SSL_CTX_set_min_proto_version(t->context, v) != 1 ||
        SSL_CTX_set_max_proto_version(t->context, v) != 1 ||
        SSL_CTX_set_cipher_list(t->context, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") != 1 ||
        SSL_CTX_set_ciphersuites(t->context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(t->context, "X25519:P-256") != 1)
        die_tls("TLS");
    t->is_verifying = ca_file != NULL;
    if (ca_file != NULL && SSL_CTX_load_verify_file(t->context, ca_file) != 1)
        die_tls(ca_file);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    SSL_CTX_set_verify(t->context, ca_file != NULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(t->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(t->context, keep_session);
    return t;
}

void link_tls_show(struct link_tls *t, const char *cert_file, const char *key_file)
{
    if (SSL_CTX_use_certificate_chain_file(t->context, cert_file) != 1)
        die_tls(cert_file);
    if (SSL_CTX_use_PrivateKey_file(t->context, key_file, SSL_FILETYPE_PEM) != 1)
        die_tls(key_file);
}

void link_tls_destroy(struct link_tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    free(t);
}

void link_ticket_fini(struct link_ticket *t)
{
    SSL_SESSION_free(t->session);
    t->session = NULL;
}

static bool wait_for(const struct link_tls_io *io, int error, int ms)
{
    struct pollfd p = {.fd = io->fd, .events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    return poll(&p, 1, ms) > 0;
}

/* The certificate must be for this address, or this name. */
static bool expect_host(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    char name[NAME_ROOM]; /* (SSL_set_tlsext_host_name() casts a const away) */
    snprintf(name, sizeof name, "%s", host);
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

struct link_tls_io *link_tls_begin(const struct link_tls *t, int fd, const char *host, struct link_ticket *ticket)
{
    struct link_tls_io *io = alloc(sizeof *io);
    *io = (struct link_tls_io){.ssl = SSL_new(t->context), .fd = fd};
    if (io->ssl == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || SSL_set_fd(io->ssl, fd) != 1 ||
        (t->is_verifying && !expect_host(io->ssl, host)))
        die_tls("TLS");
    SSL_set_app_data(io->ssl, ticket);
    if (ticket != NULL && ticket->session != NULL && SSL_set_session(io->ssl, ticket->session) != 1)
        die_tls("a ticket");
    return io;
}

short link_tls_shake(struct link_tls_io *io)
{
    int rc = SSL_connect(io->ssl), error = rc != 1 ? SSL_get_error(io->ssl, rc) : SSL_ERROR_NONE;
    if (rc != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        die_tls("TLS handshake");
    if (rc == 1)
        return 0;
    return error == SSL_ERROR_WANT_WRITE ? (short)POLLOUT : (short)POLLIN;
}

struct link_tls_io *link_tls_open(const struct link_tls *t, int fd, const char *host, struct link_ticket *ticket)
{
    struct link_tls_io *io = link_tls_begin(t, fd, host, ticket);
    for (short events; (events = link_tls_shake(io)) != 0;)
        if (!wait_for(io, events == POLLOUT ? SSL_ERROR_WANT_WRITE : SSL_ERROR_WANT_READ, LINK_PATIENCE_MS))
            die("TLS handshake: the broker does not answer");
    return io;
}

void link_tls_close(struct link_tls_io *io)
{
    if (io == NULL)
        return;
    SSL_shutdown(io->ssl); /* whoever drops a session without this may not resume it */
    SSL_free(io->ssl);
    ERR_clear_error();
    free(io);
}

/* What a call that did nothing means, as recv() and send() say it. */
static ssize_t nothing(const struct link_tls_io *io, int rc, int *error)
{
    *error = SSL_get_error(io->ssl, rc);
    if (*error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (*error == SSL_ERROR_WANT_READ || *error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (*error != SSL_ERROR_SYSCALL || errno == 0)
        die_tls("TLS");
    return -1;
}

ssize_t link_tls_read(struct link_tls_io *io, void *to, size_t room, bool may_wait)
{
    size_t sum = 0, n;
    int error;
    do { /* a record at a time; what else has come is better taken now than asked for again */
        int rc;
        while ((rc = SSL_read_ex(io->ssl, (char *)to + sum, room - sum, &n)) == 1 && (sum += n) < room)
            ;
        if (sum > 0)
            return (ssize_t)sum;
        ssize_t none = nothing(io, rc, &error);
        if (none == 0 || errno != EAGAIN || !may_wait)
            return none;
        may_wait = false;
    } while (wait_for(io, error, LINK_TLS_WAIT_MS));
    errno = EAGAIN;
    return -1;
}

ssize_t link_tls_write(struct link_tls_io *io, const void *at, size_t n)
{
    size_t sum = 0, taken;
    int rc = 0, error;
    while (sum < n && (rc = SSL_write_ex(io->ssl, (const char *)at + sum, n - sum, &taken)) == 1)
        sum += taken;
    return sum > 0 ? (ssize_t)sum : nothing(io, rc, &error);
}

bool link_tls_is_pending(const struct link_tls_io *io)
{
    return SSL_has_pending(io->ssl);
}

bool link_tls_is_resumed(const struct link_tls_io *io)
{
    return SSL_session_reused(io->ssl);
}
