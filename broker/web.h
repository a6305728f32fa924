/* Where HTTP is served besides the control socket: the ports of the management and of the metrics, from the
 * configuration to sockets (docs/adr/0017).
 */
#ifndef BROKER_WEB_H
#define BROKER_WEB_H

#include <stdbool.h>

#include "broker/admin/admin.h"
#include "broker/config.h"
#include "broker/net/tls.h"

enum { WEB_SITES = 4, WEB_DOORS_MAX = 32 };

/* Of management or metrics, what its TLS is set up with. */
struct web_tls {
    struct tls_config config;
    const char **ciphers; /* owned: what the config refers to */
    struct tls *tls;      /* owned; NULL: there is no TLS */
    bool is_shared;       /* what ssl_options.* says */
};

struct web_site;

struct web {
    struct web_site *sites; /* owned: what the configuration wants */
    unsigned n_sites;
    struct web_tls tls[2];                  /* of the management, of the metrics */
    struct admin_door doors[WEB_DOORS_MAX]; /* where it is bound; of those that were given away the socket is -1 */
    unsigned n_doors;
    char *addresses; /* owned: "http 127.0.0.1:15672, [::1]:15672, http/prometheus 127.0.0.1:15692"; "": nowhere */
};

/* What the configuration wants; `common`, which must outlive this, counts where TLS has no certificate of its own. */
void web_init(struct web *w, const struct config *c, const struct tls_config *common);
void web_fini(struct web *w);

/* Reads certificates and keys.  False: *error, which the caller frees, says what is wrong. */
bool web_open_tls(struct web *w, char **error);

/* Binds its ports: before root's rights are given up.  One that nobody has configured and that cannot be had is left
 * out, which the log says; for another one it is false, and *error says why. */
bool web_bind(struct web *w, char **error);

/* From now on clients can connect, and the log says where.  False likewise. */
bool web_listen(struct web *w, char **error);
#endif
