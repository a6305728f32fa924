/* What a TLS server is set up with: certificate, key, whom it trusts, what it agrees to (reference queue-features 12.5,
 * reliability C18 to C20).
 *
 * A struct tls never changes once it is made, but for the keys of its tickets: new files make a new one, and whoever
 * has the old one goes on with it.  Only TLS 1.2 and 1.3, at OpenSSL's security level 2, without compression,
 * renegotiation and early data, whatever is configured.
 *
 * Sessions are resumed by tickets.  Their keys are made anew every TLS_TICKET_KEY_MS, the last but one is accepted
 * still, and every struct tls has keys of its own, so whom new files do not trust cannot come back by an old ticket.
 */
#ifndef BROKER_NET_TLS_H
#define BROKER_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "broker/net/certificate.h"

struct ssl_st;
struct tls;

enum {
    TLS_TICKET_KEY_MS = 3600 * 1000, /* the age at which a ticket's key makes no more tickets */
    TLS_CHAIN_BYTES_MAX = 32 << 10,  /* certificates that a peer may send */
    TLS_FILE_BYTES_MAX = 16 << 20,   /* a certificate, key or list that is larger is none */
    TLS_EXPIRY_CHECK_MS = 86400000,  /* how often tls_warn_expiry() should be asked */
};

enum tls_crl_check { CRL_CHECK_NONE, CRL_CHECK_CHAIN, CRL_CHECK_PEER, CRL_CHECK_BEST_EFFORT };

/* All texts are borrowed, and may be NULL. */
struct tls_config {
    const char *cacertfile;  /* PEM: who may sign peers' certificates, and what completes our own chain */
    const char *certfile;    /* PEM: our certificate, and what is between it and a root */
    const char *keyfile;     /* PEM; NULL: it is in certfile */
    const char *password;    /* the key's */
    const char *const *snis; /* PEM: certificates with their keys, for clients that ask for other names (sni.h) */
    unsigned n_snis;
    bool verify_peer;       /* ask for a certificate, and refuse one that is not good */
    bool needs_certificate; /* … and who has none (fail_if_no_peer_cert) */
    unsigned depth;         /* certificates between a peer's and a trusted one */
    bool has_tls_1_2, has_tls_1_3;
    const char *const *ciphers; /* names of OpenSSL's or IANA's; none: the good ones */
    unsigned n_ciphers;
    bool honor_cipher_order; /* our order counts, not the client's */
    bool reuse_sessions;
    const char *dhfile; /* PEM: parameters, for ciphers with DHE */
    enum tls_crl_check crl_check;
    const char *crlfile; /* PEM: one or more revocation lists */
    enum login_from login_from;
    enum san_type san_type;
    unsigned san_index;
};

/* Reads the files; the config must outlive it.  NULL: *error says which key and file is wrong and why, and the caller
 * frees it.  Logs what is odd but no reason not to start. */
struct tls *tls_create(const struct tls_config *config, char **error);
struct tls *tls_ref(struct tls *t);
void tls_unref(struct tls *t); /* NULL is allowed */

/* Reads the files again: answers the new one and gives up the old one, or, when something is wrong with them, the old
 * one.  Logs which. */
struct tls *tls_reload(struct tls *old);

/* Says so if the certificate ends in 30, 7 or 1 days or has ended; once for each, which it keeps in *told (0 at
 * first).  Answers whether it said something. */
bool tls_warn_expiry(const struct tls *t, time_t now, unsigned *told);
time_t tls_expiry(const struct tls *t);

/* The certificate in use, in certificate.h's words: texts for the caller to free, but the file's, which is borrowed. */
struct tls_facts {
    const char *certfile;
    char *subject, *issuer, *validity;
};
void tls_describe(const struct tls *t, struct tls_facts *to);

/* Cipher suites: those that are agreed to where none are configured, or all that OpenSSL has for us; by OpenSSL's name,
 * the standard's, and the version of TLS that they came with. */
typedef void tls_suite_fn(void *arg, const char *name, const char *standard_name, const char *version);
void tls_each_suite(bool are_all, tls_suite_fn *each, void *arg);

/* A server's side of a connection over fd, which it does not own; t must live until its handshake is over. */
struct ssl_st *tls_open(struct tls *t, int fd);

/* After its handshake.  False: it must not go on; *fault says why.  (A session is resumed without a look at the
 * certificate that it began with, which may have ended since.) */
bool tls_may_stay(const struct tls *t, struct ssl_st *ssl, const char **fault);

/* Who the peer is by its certificate, for the caller to free; NULL: *fault, a text that stays, says why that is unknown
 * (queue-features 12.5). */
char *tls_login_name(const struct tls *t, struct ssl_st *ssl, const char **fault);

/* Makes a new ticket key if the last one is old enough; happens by itself when tickets are made. */
void tls_turn_keys(struct tls *t, uint64_t now_ms);

/* What the calling thread's last TLS function said was wrong, and forgets it: "bad decrypt". */
void tls_error(char *text, unsigned size);
#endif
