/* How bytes get to a peer and back: five functions, so that plain and TLS sockets look alike to a connection. */
#ifndef BROKER_NET_TRANSPORT_H
#define BROKER_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;
struct transport;

struct transport_kind {
    /* Bytes read, 0: the peer has ended its side, or -errno (-EAGAIN: nothing there now; -ECONNABORTED: the peer's side
     * has ended, but not as TLS wants it, so that something may have been cut off). */
    ssize_t (*read)(struct transport *t, void *to, size_t size);
    ssize_t (*readv)(struct transport *t, const struct iovec *iov, int n); /* likewise, in order */
    /* Bytes written, or -errno (-EAGAIN: no room now).  What was not taken must come again, at the front of the next
     * call. */
    ssize_t (*writev)(struct transport *t, const struct iovec *iov, int n);
    /* Nothing more will be written: tells the peer. */
    void (*shutdown)(struct transport *t);
    void (*destroy)(struct transport *t); /* closes fd */
};

struct transport {
    const struct transport_kind *kind;
    int fd; /* owned, non-blocking */

    /* What the socket does not tell; all false for a plain one. */
    bool has_more;          /* there is something to read though the socket may have nothing */
    bool reads_by_writing;  /* reading got -EAGAIN until the socket can be written … */
    bool writes_by_reading; /* … and the other way round */
};

/* A socket as it is.  Owns fd. */
struct transport *transport_plain_create(int fd);

/* TLS, once the handshake is over.  Owns both. */
struct transport *transport_tls_create(int fd, struct ssl_st *ssl);
#endif
