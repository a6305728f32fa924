/* How bytes get to a peer and back: four functions, so that plain and TLS sockets look alike to a connection. */
#ifndef BROKER_NET_TRANSPORT_H
#define BROKER_NET_TRANSPORT_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct transport;

struct transport_kind {
    /* Bytes read, 0: the peer has ended its side, or -errno (-EAGAIN: nothing there now). */
    ssize_t (*read)(struct transport *t, void *to, size_t size);
    /* Bytes written, or -errno (-EAGAIN: no room now). */
    ssize_t (*writev)(struct transport *t, const struct iovec *iov, int n);
    /* Nothing more will be written: tells the peer. */
    void (*shutdown)(struct transport *t);
    void (*destroy)(struct transport *t); /* closes fd */
};

struct transport {
    const struct transport_kind *kind;
    int fd; /* owned, non-blocking */
};

/* A socket as it is.  Owns fd. */
struct transport *transport_plain_create(int fd);
#endif
