#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/net/transport.h"

static ssize_t result(ssize_t n)
{
    return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t plain_read(struct transport *t, void *to, size_t size)
{
    return result(read(t->fd, to, size));
}

static ssize_t plain_readv(struct transport *t, const struct iovec *iov, int n)
{
    return result(readv(t->fd, iov, n));
}

static ssize_t plain_writev(struct transport *t, const struct iovec *iov, int n)
{
    return result(writev(t->fd, iov, n));
}

static void plain_shutdown(struct transport *t)
{
    shutdown(t->fd, SHUT_WR);
}

static void plain_destroy(struct transport *t)
{
    close(t->fd);
    free(t);
}

static const struct transport_kind plain = {
    .read = plain_read,
    .readv = plain_readv,
    .writev = plain_writev,
    .shutdown = plain_shutdown,
    .destroy = plain_destroy,
};

struct transport *transport_plain_create(int fd)
{
    struct transport *t = alloc(sizeof *t);
    *t = (struct transport){.kind = &plain, .fd = fd};
    return t;
}
