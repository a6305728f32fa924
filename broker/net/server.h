/* A broker that serves: listeners, loops, the hub, signals, and their start and end. */
#ifndef BROKER_NET_SERVER_H
#define BROKER_NET_SERVER_H

#include <stdbool.h>

#include "amqp/session.h"
#include "broker/model/broker.h"
#include "broker/net/greeter.h"
#include "broker/net/hub.h"
#include "broker/net/listener.h"

struct server;

enum {
    SERVER_REFUSALS_MAX = 64, /* beyond connections_max, who come in to be told so by the model */
    SERVER_THREADS_CORES = 3, /* with fewer cores threads only take them from each other (docs/adr/0016) */
    SERVER_THREADS_MAX = 8,   /* that are started unasked */
};

struct tls;
struct tls_facts;

/* Where to listen, and what is spoken there. */
struct server_listener {
    const char *text; /* borrowed: for address_split() */
    struct greeting how;
};

/* Who wants to know how it is; any may be NULL.  Called on the main thread. */
struct server_watch {
    void (*serving)(void *arg);                 /* once: connections are accepted */
    void (*reloading)(void *arg, bool is_over); /* SIGHUP: before it is carried out, and after */
    void (*stopping)(void *arg);                /* once: it has been asked to end */
    void (*look)(void *arg);                    /* every look_ms, unless that is 0; as long as it serves */
    uint64_t look_ms;
    void *arg;
};

/* What is borrowed lives as long as the server. */
struct server_config {
    const struct server_listener *listeners; /* borrowed */
    unsigned n_listeners;
    struct tls *tls;                     /* taken over; NULL: no listener has TLS */
    uint64_t tls_handshake_ms;           /* of session.handshake_timeout_ms */
    const struct address_range *proxies; /* borrowed: who may speak for others where a listener has_proxy */
    unsigned n_proxies;
    struct socket_options socket;
    unsigned io_threads;      /* network threads, at most LOOPS_MAX; 0: one thread does all */
    unsigned connections_max; /* 0: no limit */
    struct session_config session;
    void (*on_hangup)(void *arg); /* SIGHUP, on the thread that serves; NULL: nothing more than is said below */
    void *on_hangup_arg;
    const struct hub_keeper *keeper; /* NULL: nothing is kept */
    struct server_watch watch;
};

/* Where it will listen.  Ports may need root to be bound, and data is better not touched as root, so this comes first;
 * nobody can connect yet.  UNIX sockets are not among them: their files belong to whom the broker runs as. */
struct server_sockets;

/* NULL: *error says why, and the caller frees it. */
struct server_sockets *server_bind(const struct server_config *config, char **error);
void server_unbind(struct server_sockets *sockets); /* NULL is allowed */

/* How many network threads serve best with so many cores to run on, as far as that is known (docs/adr/0016). */
unsigned server_threads_for(unsigned cores);

/* Listens, and takes over the signals, but does not accept yet.  Takes over the broker and the sockets.  NULL: *error
 * says why, and the caller frees it.  SIGHUP reads the certificates again, SIGUSR1 opens the log files anew, SIGUSR2
 * logs how it is. */
struct server *server_create(const struct server_config *config, struct server_sockets *sockets, struct broker *broker,
                             char **error);

/* What the keeper tells; as long as the server lives. */
struct hub *server_hub(struct server *s);

/* Somebody who asks the hub from a thread of their own, in mails (HUB_DESK) that are posted to the lane answered here;
 * the answers come to `desk`.  end is called when all connections have ended: nothing may be posted after it has
 * returned.  Before server_run(). */
struct lane *server_seat(struct server *s, struct lane *desk, void (*end)(void *arg), void *arg);

/* From now on; 0: no limit.  In on_hangup. */
void server_set_connections_max(struct server *s, unsigned max);

/* Nobody can connect for AMQP until they are resumed; connections that there are go on.  Any thread. */
void server_suspend(struct server *s);

/* 0 or -errno: one of them could not be had again.  Any thread. */
int server_resume(struct server *s);
bool server_is_suspended(struct server *s);

/* When its certificate ends, in seconds since 1970; INT64_MAX: it has none.  Any thread. */
int64_t server_certificate_expiry(const struct server *s);

/* What it says of that certificate; false: it has none.  Any thread. */
bool server_describe_certificate(const struct server *s, struct tls_facts *to);

/* Where it listens: "amqp 127.0.0.1:5672, unix:/run/millrace/amqp.sock, amqps [::1]:5671"; lives as long as the
 * server. */
const char *server_addresses(const struct server *s);

/* Serves until SIGTERM or SIGINT, on the calling thread and those that it starts.  True: all connections have ended in
 * an orderly manner; false: there was no time for that, and only exiting makes sense. */
bool server_run(struct server *s);
void server_destroy(struct server *s); /* after a server_run() that was true, or none */
#endif
