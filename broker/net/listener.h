/* Sockets that clients connect to.  Accepts in batches, and keeps a descriptor in reserve: when the process has no more
 * of them, who comes is turned away, not left hanging, and the loop does not spin.
 */
#ifndef BROKER_NET_LISTENER_H
#define BROKER_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/net/address.h"
#include "broker/net/poller.h"

struct listener;

enum {
    LISTENER_BATCH = 64,     /* accepted before the connections there are have their turn */
    LISTENER_PAUSE_MS = 100, /* when there are no descriptors */
    LISTENER_CROWD_MS = 20,  /* when the host has no room */
    LISTENER_SOCKETS_MAX = 8 /* that one name may stand for */
};

/* What accepted sockets inherit. */
struct socket_options {
    int backlog;
    bool nodelay, keepalive;
    int sndbuf, recbuf; /* 0: the system's choice */
    unsigned unix_mode; /* of a UNIX socket's file: who may connect */
};

/* Who connections are for. */
struct listener_host {
    bool (*has_room)(void *arg); /* false: not now; who wants in waits in the system's queue */
    void (*take)(void *arg, int fd, const struct address *from); /* takes over fd, which is non-blocking */
    void *arg;
};

/* Sockets at the place that text says (address_split), which may be several; answers how many there are in to, or
 * -errno and a text for people in error, which the caller frees.  They are bound, but nobody can connect yet.
 *
 * "unix:/PATH" is a UNIX socket.  A file that is there is replaced if it is a socket where nobody answers; the listener
 * removes its own in the end. */
bool listener_is_unix(const char *text);
int listener_open(const char *text, const struct socket_options *options, struct listener *to[LISTENER_SOCKETS_MAX],
                  char **error);

/* Gives its socket to the caller, who listens at it, and ends. */
int listener_take_socket(struct listener *l);

/* Lets clients connect; they wait.  0 or -errno. */
int listener_listen(struct listener *l);

/* Nobody can connect any more, and who waits is turned away; the place stays taken, but a port that the system chose.
 * Connections that there are go on.  Any thread, as long as nobody destroys it. */
void listener_suspend(struct listener *l);

/* Clients can connect again; 0 or -errno, and then it stays as it is.  Any thread, likewise. */
int listener_resume(struct listener *l);

/* From now on gives every connection to the host, on p's thread. */
void listener_start(struct listener *l, struct poller *p, const struct listener_host *host);
void listener_destroy(struct listener *l); /* NULL is allowed */

/* Where it listens, with the port that it got if 0 was asked for. */
const struct address *listener_address(const struct listener *l);
#endif
