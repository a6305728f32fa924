#define _GNU_SOURCE
#include "tests/unit/tls_rig.h"

#include <openssl/err.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

void rig_up(struct rig *r)
{
    *r = (struct rig){.folder = certs_folder()};
    r->ca = cert_make(&(struct cert_wish){.subject = "CN=ca", .is_ca = true}, NULL);
    r->server = cert_make(&(struct cert_wish){.subject = "CN=server", .san = "DNS:localhost"}, &r->ca);
    r->client = cert_make(&(struct cert_wish){.subject = "O=org,CN=client", .san = "DNS:client.org"}, &r->ca);
    snprintf(r->ca_pem, sizeof r->ca_pem, "%s", certs_write(r->folder, "ca.pem", &r->ca.x, 1));
    snprintf(r->pem, sizeof r->pem, "%s", certs_write(r->folder, "server.pem", &r->server.x, 1));
    snprintf(r->key, sizeof r->key, "%s", certs_write_key(r->folder, "server.key", r->server.key, NULL));
    r->config = (struct tls_config){.cacertfile = r->ca_pem,
                                    .certfile = r->pem,
                                    .keyfile = r->key,
                                    .depth = 1,
                                    .has_tls_1_2 = true,
                                    .has_tls_1_3 = true,
                                    .honor_cipher_order = true,
                                    .reuse_sessions = true};
}

void rig_down(struct rig *r)
{
    cert_drop(&r->ca);
    cert_drop(&r->server);
    cert_drop(&r->client);
    certs_remove(r->folder);
}

SSL_CTX *rig_client(const struct rig *r, const struct somebody *who)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c, 0); /* the server is who judges */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(c), r->ca.x) == 1);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    if (who != NULL)
        CHECK(SSL_CTX_use_certificate(c, who->x) == 1 && SSL_CTX_use_PrivateKey(c, who->key) == 1);
    return c;
}

static bool is_waiting(SSL *ssl, int n)
{
    int error = SSL_get_error(ssl, n);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

void hands_shake(struct hands *h, struct tls *t, SSL_CTX *client, SSL_SESSION *session)
{
    hands_shake_with(h, t, client, session, NULL);
}

void hands_shake_with(struct hands *h, struct tls *t, SSL_CTX *client, SSL_SESSION *session, const char *name)
{
    *h = (struct hands){0};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, h->fds) == 0);
    h->server = tls_open(t, h->fds[0]);
    h->client = SSL_new(client);
    SSL_set_fd(h->client, h->fds[1]);
    SSL_set_connect_state(h->client);
    if (name != NULL)
        SSL_set_tlsext_host_name(h->client, (char *)(uintptr_t)name);
    if (session != NULL)
        SSL_set_session(h->client, session);
    int a = 0, b = 0;
    for (int i = 0; i < 20 && (a != 1 || b != 1); i++) {
        ERR_clear_error();
        if (b != 1 && (b = SSL_do_handshake(h->client)) != 1 && !is_waiting(h->client, b))
            break;
        ERR_clear_error();
        if (a != 1 && (a = SSL_do_handshake(h->server)) != 1 && !is_waiting(h->server, a))
            break;
    }
    h->is_done = a == 1 && b == 1;
}

void hands_drop(struct hands *h)
{
    SSL_set_shutdown(h->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or its session counts as broken */
    SSL_free(h->server);
    SSL_free(h->client);
    close(h->fds[0]);
    close(h->fds[1]);
    ERR_clear_error();
}

SSL_SESSION *hands_session(struct hands *h)
{
    char c;
    SSL_read(h->client, &c, 1); /* reads tickets, finds nothing else */
    SSL_set_shutdown(h->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    return SSL_get1_session(h->client);
}
