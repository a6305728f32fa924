/* TLS for a link: OpenSSL's client over a socket that does not block.
 *
 * One cipher suite and one group, so that every broker does the same work: AES-128-GCM with X25519 (P-256 is there for
 * the certificate's key, which TLS 1.2 counts among the groups).  Where there is a CA to trust, the broker's
 * certificate is verified, and the link's host must be in it.
 */
#ifndef BROKER_PERF_LINK_TLS_H
#define BROKER_PERF_LINK_TLS_H

#include "broker/perf/link.h"

/* What links have in common: whom to trust (NULL: anyone), which version ("1.2" or "1.3").  Many threads may use it. */
struct link_tls *link_tls_create(const char *ca_file, const char *version);

/* The links show this certificate to brokers that want one. */
void link_tls_show(struct link_tls *t, const char *cert_file, const char *key_file);
void link_tls_destroy(struct link_tls *t);

/* What a broker gave to make the next handshake shorter.  Zeroed at first; one link at a time. */
struct link_ticket {
    struct ssl_session_st *session; /* owned; NULL: none yet */
};
void link_ticket_fini(struct link_ticket *t);

/* The handshake; dies if there is none.  ticket: offered if there is something in it, replaced by what the broker
 * gives; NULL: none. */
struct link_tls_io *link_tls_open(const struct link_tls *t, int fd, const char *host, struct link_ticket *ticket);

/* The same without waiting, for many at once: begins one, and goes on with it.  link_tls_shake() answers 0 when the
 * handshake is done, or else what it waits for, POLLIN or POLLOUT. */
struct link_tls_io *link_tls_begin(const struct link_tls *t, int fd, const char *host, struct link_ticket *ticket);
short link_tls_shake(struct link_tls_io *io);

/* Says goodbye if the socket takes it; the socket stays open.  NULL is fine. */
void link_tls_close(struct link_tls_io *io);

/* As recv() and send() do it; waits, for LINK_TLS_WAIT_MS, only if it may.  What write did not take must be offered
 * again. */
enum { LINK_TLS_WAIT_MS = 50 };
ssize_t link_tls_read(struct link_tls_io *io, void *to, size_t room, bool may_wait);
ssize_t link_tls_write(struct link_tls_io *io, const void *at, size_t n);
bool link_tls_is_pending(const struct link_tls_io *io);

/* The broker has taken the ticket. */
bool link_tls_is_resumed(const struct link_tls_io *io);
#endif
