/* A broker behind a TCP socket. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/talk/peer.h"

enum { LINES_MAX = 256, CHUNK = 256 * 1024, SEND_TIMEOUT_MS = 10000 };

struct peer_socket {
    struct peer peer;
    struct addrinfo *address; /* owned */
    int fds[LINES_MAX];       /* -1: free */
    bool closed[LINES_MAX];
    uint8_t *chunk; /* owned */
};

static struct peer_socket *of(struct peer *p)
{
    return (struct peer_socket *)(void *)p;
}

static int socket_open(struct peer *p)
{
    struct peer_socket *s = of(p);
    int line = 0, one = 1;
    while (line < LINES_MAX && s->fds[line] >= 0)
        line++;
    if (line == LINES_MAX)
        return -1;
    int fd = socket(s->address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, s->address->ai_addr, s->address->ai_addrlen) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    s->fds[line] = fd;
    s->closed[line] = false;
    return line;
}

static void socket_send(struct peer *p, int line, struct bytes b)
{
    struct peer_socket *s = of(p);
    while (b.len > 0 && !s->closed[line]) {
        ssize_t n = send(s->fds[line], b.at, b.len, MSG_NOSIGNAL);
        if (n > 0) {
            b = bytes_of(b.at + n, b.len - (size_t)n);
            continue;
        }
        struct pollfd pfd = {.fd = s->fds[line], .events = POLLOUT};
        if (errno != EAGAIN || poll(&pfd, 1, SEND_TIMEOUT_MS) <= 0)
            return; /* what it said before that can still be received */
    }
}

static bool socket_receive(struct peer *p, int line, struct buffer *in, unsigned timeout_ms)
{
    struct peer_socket *s = of(p);
    if (s->closed[line])
        return false;
    struct pollfd pfd = {.fd = s->fds[line], .events = POLLIN};
    if (poll(&pfd, 1, (int)timeout_ms) <= 0)
        return false;
    ssize_t n = recv(s->fds[line], s->chunk, CHUNK, 0);
    if (n > 0)
        buffer_add(in, bytes_of(s->chunk, (size_t)n));
    else if (n == 0 || errno != EAGAIN)
        s->closed[line] = true;
    return n > 0;
}

static bool socket_has_closed(struct peer *p, int line)
{
    return of(p)->closed[line];
}

/* Goes, and waits until the broker has noticed: what another client says next comes after that. */
static void socket_drop(struct peer *p, int line)
{
    enum { NOTICED_MS = 5000 };
    struct pollfd pfd = {.fd = of(p)->fds[line], .events = POLLIN};
    shutdown(pfd.fd, SHUT_WR);
    while (poll(&pfd, 1, NOTICED_MS) > 0 && recv(pfd.fd, of(p)->chunk, CHUNK, MSG_DONTWAIT) > 0)
        ;
    close(pfd.fd);
    of(p)->fds[line] = -1;
}

static void socket_wait(struct peer *p, uint64_t ms)
{
    (void)p;
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0)
        ;
}

static void socket_destroy(struct peer *p)
{
    struct peer_socket *s = of(p);
    for (int i = 0; i < LINES_MAX; i++)
        if (s->fds[i] >= 0)
            close(s->fds[i]);
    freeaddrinfo(s->address);
    free(s->chunk);
    free(s);
}

struct peer *peer_socket_create(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    if (getaddrinfo(host, port, &hints, &address) != 0)
        return NULL;
    struct peer_socket *s = alloc_zeroed(sizeof *s);
    s->address = address;
    s->chunk = alloc(CHUNK);
    for (int i = 0; i < LINES_MAX; i++)
        s->fds[i] = -1;
    s->peer = (struct peer){
        .is_remote = true,
        .open = socket_open,
        .send = socket_send,
        .receive = socket_receive,
        .has_closed = socket_has_closed,
        .drop = socket_drop,
        .wait = socket_wait,
        .destroy = socket_destroy,
    };
    return &s->peer;
}
