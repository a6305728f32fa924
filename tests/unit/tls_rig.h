/* A TLS server's files, and clients that shake hands with it over a socket pair. */
#ifndef TESTS_UNIT_TLS_RIG_H
#define TESTS_UNIT_TLS_RIG_H

#include <openssl/ssl.h>

#include "broker/net/tls.h"
#include "tests/unit/certs.h"

struct rig {
    char *folder;                         /* owned */
    struct somebody ca, server, client;   /* client: CN=client,O=org */
    char ca_pem[512], pem[512], key[512]; /* where they are */
    struct tls_config config;             /* verify_none */
};

void rig_up(struct rig *r);
void rig_down(struct rig *r);

/* A client's side: trusts the CA, shows who's certificate unless that is NULL. */
SSL_CTX *rig_client(const struct rig *r, const struct somebody *who);

struct hands {
    SSL *server, *client; /* owned */
    int fds[2];           /* owned: the server's, the client's */
    bool is_done;         /* both sides say so */
};

/* Shakes hands; session: to be resumed, or NULL. */
void hands_shake(struct hands *h, struct tls *t, SSL_CTX *client, SSL_SESSION *session);
/* The same, and the client asks for that host name. */
void hands_shake_with(struct hands *h, struct tls *t, SSL_CTX *client, SSL_SESSION *session, const char *name);
void hands_drop(struct hands *h);

/* What the client may come back with, for SSL_SESSION_free(); reads the tickets that the server has sent. */
SSL_SESSION *hands_session(struct hands *h);
#endif
