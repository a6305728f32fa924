/* From the configuration to what the server, the model and the disk want to know of it, in their own shapes. */
#ifndef BROKER_WIRING_H
#define BROKER_WIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/config.h"
#include "broker/listeners.h"
#include "broker/model/broker.h"
#include "broker/net/login.h"
#include "broker/net/server.h"
#include "broker/web.h"

/* What the server borrows, and the configuration has not in that shape. */
struct wiring {
    struct listeners listeners;
    struct web web;
    struct tls *tls;              /* owned, until somebody takes it and sets this to NULL */
    struct bytes *loopback_users; /* owned; the names are the configuration's */
    unsigned n_loopback_users;
    bool is_guest_named; /* loopback_users.guest is set */
    struct login_rules login;
    struct login_attempts attempts;
};

/* Reads certificates, whose keys perhaps only root may read.  The configuration must outlive it.  False: it has said
 * what is wrong, and wiring_fini() is due all the same. */
bool wiring_init(struct wiring *w, const struct config *c);
void wiring_fini(struct wiring *w);

/* What only opening files can tell of a configuration; false: it has said what is wrong. */
bool wiring_check_files(const struct config *c);

/* Borrows from both.  TLS, who keeps, and who is told what are not set. */
struct server_config wiring_server(struct wiring *w, const struct config *c);

/* Without the node's name; says in the log how much memory messages may take. */
struct broker_config wiring_broker(const struct config *c);

/* Bytes of messages that raise the memory alarm. */
uint64_t wiring_memory_limit(const struct config *c);

/* Bytes that must be free on disk; has_limit if that was configured. */
uint64_t wiring_disk_limit(const struct config *c, bool *has_limit);
#endif
