#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/net/transport.h"

enum {
    READ_BYTES = 32 << 10,  /* from the socket at once, into a buffer that goes when it is empty */
    RECORD_LEAST = 8 << 10, /* a piece of so many bytes is worth a record of its own */
};

struct tls_transport {
    struct transport base;
    SSL *ssl;          /* owned */
    size_t unfinished; /* bytes of a record that is encrypted already and could not be written */
    int broken;        /* what every call answers from now on; 0: nothing is wrong */
};

static struct tls_transport *tls_of(struct transport *t)
{
    return (struct tls_transport *)(void *)t;
}

/* What an SSL function that answered n has run into, as -errno; *wants: what the socket must be able to do first. */
static int trouble_of(struct tls_transport *t, int n, int *wants)
{
    int error = errno;
    *wants = SSL_get_error(t->ssl, n);
    switch (*wants) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_SYSCALL:
        t->broken = error != 0 ? -error : -ECONNABORTED;
        break;
    default:
        t->broken = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? -ECONNABORTED : -EPROTO;
        break;
    }
    ERR_clear_error();
    return t->broken;
}

/* Fills to as far as there is something: a record holds at most 16 KiB, and several may be there already. */
static ssize_t tls_read(struct transport *transport, void *to, size_t size)
{
    struct tls_transport *t = tls_of(transport);
    size_t got = 0;
    int trouble = t->broken;
    transport->reads_by_writing = false;
    while (trouble == 0 && got < size) {
        size_t room = size - got < INT_MAX ? size - got : INT_MAX;
        errno = 0;
        int n = SSL_read(t->ssl, (uint8_t *)to + got, (int)room);
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        int wants;
        trouble = trouble_of(t, n, &wants);
        if (wants == SSL_ERROR_ZERO_RETURN) {
            t->broken = 0; /* the peer may have ended its side alone */
            transport->has_more = got > 0;
            return (ssize_t)got;
        }
        transport->reads_by_writing = wants == SSL_ERROR_WANT_WRITE;
    }
    /* Not only what did not fit: what is wrong is told when all before it was read, and the socket may be silent. */
    transport->has_more = got > 0 && trouble != -EAGAIN;
    return got > 0 ? (ssize_t)got : trouble;
}

static ssize_t tls_readv(struct transport *transport, const struct iovec *iov, int n)
{
    ssize_t got = 0;
    for (int i = 0; i < n; i++) {
        ssize_t more = tls_read(transport, iov[i].iov_base, iov[i].iov_len);
        if (more <= 0 && got > 0) {
            transport->has_more |= more != -EAGAIN; /* it is told the next time */
            break;
        }
        if (more <= 0)
            return more;
        got += more;
        if ((size_t)more < iov[i].iov_len)
            break;
    }
    return got;
}

/* The pieces of a gathered write, as they are used up. */
struct pieces {
    const struct iovec *iov;
    int n;
    size_t used; /* of the first */
};

static void skip(struct pieces *p, size_t bytes)
{
    while (p->n > 0 && bytes >= p->iov->iov_len - p->used) {
        bytes -= p->iov->iov_len - p->used;
        p->used = 0;
        p->iov++;
        p->n--;
    }
    p->used += bytes;
}

/* The next record's bytes: where they lie, if one piece has enough for it, or gathered into record.  When they come
 * again they are no fewer: only the last piece can have become longer. */
static const void *next_record(const struct pieces *all, uint8_t record[SSL3_RT_MAX_PLAIN_LENGTH], size_t *len)
{
    struct pieces p = *all;
    const uint8_t *at = (const uint8_t *)p.iov->iov_base + p.used;
    size_t size = p.iov->iov_len - p.used;
    if (size >= RECORD_LEAST || p.n == 1) {
        *len = size < SSL3_RT_MAX_PLAIN_LENGTH ? size : SSL3_RT_MAX_PLAIN_LENGTH;
        return at;
    }
    *len = 0;
    while (p.n > 0 && *len < SSL3_RT_MAX_PLAIN_LENGTH) {
        size_t room = SSL3_RT_MAX_PLAIN_LENGTH - *len;
        size = p.iov->iov_len - p.used < room ? p.iov->iov_len - p.used : room;
        memcpy(record + *len, (const uint8_t *)p.iov->iov_base + p.used, size);
        *len += size;
        skip(&p, size);
    }
    return record;
}

static ssize_t tls_writev(struct transport *transport, const struct iovec *iov, int n)
{
    struct tls_transport *t = tls_of(transport);
    struct pieces left = {.iov = iov, .n = n};
    uint8_t record[SSL3_RT_MAX_PLAIN_LENGTH];
    size_t done = 0;
    int trouble = t->broken;
    transport->writes_by_reading = false;
    skip(&left, 0); /* empty ones */
    while (trouble == 0 && left.n > 0) {
        size_t len;
        const void *at = next_record(&left, record, &len);
        if (len < t->unfinished) {
            trouble = t->broken = -EINVAL; /* what must come again has not */
            break;
        }
        errno = 0;
        int taken = SSL_write(t->ssl, at, (int)len);
        if (taken > 0) {
            t->unfinished = 0;
            done += (size_t)taken;
            skip(&left, (size_t)taken);
            continue;
        }
        int wants;
        trouble = trouble_of(t, taken, &wants);
        t->unfinished = len;
        transport->writes_by_reading = wants == SSL_ERROR_WANT_READ;
    }
    return done > 0 ? (ssize_t)done : trouble;
}

static void tls_shutdown(struct transport *transport)
{
    struct tls_transport *t = tls_of(transport);
    if (t->broken == 0)
        SSL_shutdown(t->ssl);
    ERR_clear_error();
    shutdown(transport->fd, SHUT_WR);
}

static void tls_destroy(struct transport *transport)
{
    struct tls_transport *t = tls_of(transport);
    SSL_free(t->ssl);
    close(transport->fd);
    free(t);
}

static const struct transport_kind tls = {
    .read = tls_read,
    .readv = tls_readv,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .destroy = tls_destroy,
};

struct transport *transport_tls_create(int fd, SSL *ssl)
{
    struct tls_transport *t = alloc(sizeof *t);
    SSL_set_default_read_buffer_len(ssl, READ_BYTES);
    /* What came behind the handshake may have been read with it already. */
    *t = (struct tls_transport){.base = {.kind = &tls, .fd = fd, .has_more = true}, .ssl = ssl};
    return &t->base;
}
