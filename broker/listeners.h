/* Where the broker listens, and what is spoken there: from the configuration to what the server wants. */
#ifndef BROKER_LISTENERS_H
#define BROKER_LISTENERS_H

#include <stdbool.h>

#include "broker/config.h"
#include "broker/net/server.h"
#include "broker/net/tls.h"

struct listeners {
    struct server_listener *all; /* owned; the texts are the configuration's, which outlives this */
    unsigned n;
    bool has_tls; /* one of them */
    struct tls_config tls;
    const char **ciphers; /* owned: what tls refers to */
    const char **snis;    /* owned array: the files of tls.snis */
    bool has_proxy;
    struct address_range *proxies; /* owned */
    unsigned n_proxies;
};

/* False: *error, which the caller frees, says what is wrong. */
bool listeners_init(struct listeners *l, const struct config *c, char **error);
void listeners_fini(struct listeners *l); /* after whoever was given some of it */

/* What is allowed, but should be known; into the log. */
void listeners_warn(const struct listeners *l, const struct config *c);

/* Reads certificates and keys, if there is a TLS listener: true, and *tls, which is the caller's, or NULL.  False:
 * *error, which the caller frees, says what is wrong. */
bool listeners_open_tls(const struct listeners *l, struct tls **tls, char **error);
#endif
