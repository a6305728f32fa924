/* More certificates of a TLS server, chosen by the host name that a client asks for (RFC 6066, server_name): each says
 * by its own names for whom it is.  Who asks for none, or for another, gets the server's ordinary one.
 *
 * Does not change once it is made; any thread.
 */
#ifndef BROKER_NET_SNI_H
#define BROKER_NET_SNI_H

#include <stdbool.h>

struct ssl_st;
struct sni;

enum { SNI_CERTIFICATES_MAX = 64 };

/* Reads n PEM files, each a certificate, what is between it and a root, and its key, in this order or another.  NULL:
 * *error says which file is wrong and why, and the caller frees it.  password: the keys', or NULL. */
struct sni *sni_create(const char *const *files, unsigned n, const char *password, char **error);
void sni_destroy(struct sni *s); /* NULL is allowed */

/* The handshake has come to where the name is known: shows the certificate for it, if there is one.  False: OpenSSL
 * would not. */
bool sni_choose(const struct sni *s, struct ssl_st *ssl);
#endif
