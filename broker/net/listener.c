#define _GNU_SOURCE
#include "broker/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum { COMPLAIN_EVERY_MS = 10000 };

struct listener {
    int fd;      /* owned */
    int reserve; /* owned: given up to turn somebody away when there are no more; -1: none */
    struct address at;
    int backlog;
    struct stat file;     /* a UNIX socket's */
    struct watch *watch;  /* owned */
    struct timer *resume; /* owned */
    struct listener_host host;
    atomic_bool is_suspended; /* set by any thread */
    bool has_complained;
    uint64_t complained_ms;
};

static void set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) != 0)
        log_warning("net", "a socket option could not be set: %s", strerrordesc_np(errno));
}

/* A socket at a, or -errno. */
static int open_socket(const struct addrinfo *a, const struct socket_options *options)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (a->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a->ai_addr;
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr));
    }
    if (options->nodelay)
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->keepalive)
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (options->sndbuf > 0)
        set(fd, SOL_SOCKET, SO_SNDBUF, options->sndbuf);
    if (options->recbuf > 0)
        set(fd, SOL_SOCKET, SO_RCVBUF, options->recbuf);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static struct listener *listener_create(int fd, const struct socket_options *options)
{
    struct listener *l = alloc_zeroed(sizeof *l);
    l->fd = fd;
    l->backlog = options->backlog;
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->at.len = sizeof l->at.storage;
    getsockname(fd, (struct sockaddr *)&l->at.storage, &l->at.len);
    return l;
}

/* Any address: one socket for IPv6 and IPv4, or for IPv4 alone where there is no IPv6. */
static int open_any(uint16_t port, const struct socket_options *options, struct listener *to[])
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct addrinfo v6 = {.ai_family = AF_INET6, .ai_addr = (void *)&in6, .ai_addrlen = sizeof in6};
    const struct addrinfo v4 = {.ai_family = AF_INET, .ai_addr = (void *)&in, .ai_addrlen = sizeof in};
    int fd = open_socket(&v6, options);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        fd = open_socket(&v4, options);
    if (fd < 0)
        return fd;
    to[0] = listener_create(fd, options);
    return 1;
}

/* Every address that a name stands for. */
static int open_named(const struct addrinfo *all, const struct socket_options *options, struct listener *to[])
{
    int n = 0, error = 0;
    for (const struct addrinfo *a = all; a != NULL && n < LISTENER_SOCKETS_MAX; a = a->ai_next) {
        int fd = open_socket(a, options);
        if (fd >= 0)
            to[n++] = listener_create(fd, options);
        else if (error == 0 || fd != -EADDRNOTAVAIL)
            error = fd;
    }
    if (error != 0 && (n == 0 || error == -EADDRINUSE)) {
        while (n > 0)
            listener_destroy(to[--n]);
        return error;
    }
    return n;
}

/* ---- UNIX sockets. */

static const char UNIX_PREFIX[] = "unix:";

bool listener_is_unix(const char *text)
{
    return strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

/* True: the file at un is a socket, and whoever made it has gone without removing it. */
static bool is_stale(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, (const struct sockaddr *)un, sizeof *un) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

/* A socket at un, with a file that has this mode; or -errno. */
static int bind_unix(const struct sockaddr_un *un, unsigned mode)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = bind(fd, (const struct sockaddr *)un, sizeof *un);
    if (status != 0 && errno == EADDRINUSE && is_stale(un))
        status = unlink(un->sun_path) == 0 ? bind(fd, (const struct sockaddr *)un, sizeof *un) : -1;
    if (status == 0 && chmod(un->sun_path, mode) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static int open_unix(const char *path, const struct socket_options *options, struct listener *to[])
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const size_t len = strlen(path);
    if (path[0] != '/')
        return -EINVAL;
    if (len >= sizeof un.sun_path)
        return -ENAMETOOLONG;
    memcpy(un.sun_path, path, len + 1);
    int fd = bind_unix(&un, options->unix_mode);
    if (fd < 0)
        return fd;
    to[0] = listener_create(fd, options);
    if (lstat(path, &to[0]->file) != 0)
        to[0]->file.st_ino = 0;
    return 1;
}

/* The file, if it is still the one that was made. */
static void remove_file(const struct listener *l)
{
    struct sockaddr_un un = {0};
    struct stat now;
    memcpy(&un, &l->at.storage, l->at.len < sizeof un ? l->at.len : sizeof un);
    if (lstat(un.sun_path, &now) == 0 && now.st_ino == l->file.st_ino && now.st_dev == l->file.st_dev &&
        unlink(un.sun_path) != 0)
        log_warning("net", "cannot remove %s: %s", un.sun_path, strerrordesc_np(errno));
}

/* ---- All kinds. */

int listener_open(const char *text, const struct socket_options *options, struct listener *to[LISTENER_SOCKETS_MAX],
                  char **error)
{
    char host[ADDRESS_TEXT_MAX] = "";
    uint16_t port = 0;
    if (!listener_is_unix(text) && !address_split(text, host, &port)) {
        *error = str_format("cannot listen on %s: not an address", text);
        return -EINVAL;
    }
    int n;
    if (listener_is_unix(text)) {
        n = open_unix(text + strlen(UNIX_PREFIX), options, to);
    } else if (host[0] == '\0') {
        n = open_any(port, options, to);
    } else {
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
        struct addrinfo *all = NULL;
        char service[8];
        snprintf(service, sizeof service, "%u", port);
        int status = getaddrinfo(host, service, &hints, &all);
        if (status != 0) {
            *error = str_format("cannot listen on %s: %s", text, gai_strerror(status));
            return -EADDRNOTAVAIL;
        }
        n = open_named(all, options, to);
        freeaddrinfo(all);
    }
    if (n < 0)
        *error = str_format("cannot listen on %s: %s", text, strerrordesc_np(-n));
    return n;
}

int listener_take_socket(struct listener *l)
{
    int fd = l->fd;
    if (l->reserve >= 0)
        close(l->reserve);
    free(l);
    return fd;
}

int listener_listen(struct listener *l)
{
    return listen(l->fd, l->backlog) == 0 ? 0 : -errno;
}

/* A TCP socket that is shut down listens no more, and who comes is refused by the system; its epoll says so again and
 * again, so its watch sleeps (on_connections).  A UNIX socket would never listen again: it goes on, and turns away. */
void listener_suspend(struct listener *l)
{
    atomic_store(&l->is_suspended, true);
    if (address_is_unix(&l->at))
        return;
    set(l->fd, SOL_SOCKET, SO_REUSEADDR, 0); /* else anybody on this machine could listen there meanwhile */
    if (shutdown(l->fd, SHUT_RD) != 0 && errno != ENOTCONN)
        log_warning("net", "a listener cannot be shut: %s; who connects is turned away", strerrordesc_np(errno));
}

/* The system took the port back if it had chosen it; otherwise bind fails, and need not be done. */
static int listen_again(struct listener *l)
{
    set(l->fd, SOL_SOCKET, SO_REUSEADDR, 1); /* for the sake of the connections that there are */
    bool is_bound = bind(l->fd, (const struct sockaddr *)&l->at.storage, l->at.len) == 0 || errno == EINVAL;
    int status = is_bound ? listener_listen(l) : -errno;
    if (status != 0)
        set(l->fd, SOL_SOCKET, SO_REUSEADDR, 0);
    return status;
}

int listener_resume(struct listener *l)
{
    if (!atomic_load(&l->is_suspended))
        return 0;
    atomic_store(&l->is_suspended, false);
    int status = address_is_unix(&l->at) ? 0 : listen_again(l);
    if (status != 0)
        atomic_store(&l->is_suspended, true);
    return status;
}

void listener_destroy(struct listener *l)
{
    if (l == NULL)
        return;
    if (address_is_unix(&l->at))
        remove_file(l);
    watch_destroy(l->watch);
    timer_destroy(l->resume);
    close(l->fd);
    if (l->reserve >= 0)
        close(l->reserve);
    free(l);
}

const struct address *listener_address(const struct listener *l)
{
    return &l->at;
}

static void on_resume(void *arg)
{
    struct listener *l = arg;
    watch_set(l->watch, WATCH_READ);
}

static void listener_pause(struct listener *l, uint64_t ms)
{
    watch_set(l->watch, 0);
    timer_set(l->resume, ms);
}

/* Accepts one connection with the descriptor in reserve and closes it; false: nobody is there. */
static bool turn_one_away(struct listener *l)
{
    close(l->reserve);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* No more descriptors: those who wait are turned away, and then there is a pause. */
static void listener_turn_away(struct listener *l, int error)
{
    uint64_t now = clock_ms();
    if (!l->has_complained || now - l->complained_ms >= COMPLAIN_EVERY_MS) {
        log_error("net", "cannot accept connections: %s", strerrordesc_np(error));
        l->has_complained = true;
        l->complained_ms = now;
    }
    if (l->reserve < 0)
        l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < LISTENER_BATCH && l->reserve >= 0; i++)
        if (!turn_one_away(l))
            break;
    listener_pause(l, LISTENER_PAUSE_MS);
}

/* Who had come before it was suspended, or comes to a socket that cannot be shut. */
static void turn_all_away(struct listener *l)
{
    for (int i = 0, fd = 0; i < LISTENER_BATCH && fd >= 0; i++) {
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
    }
}

static void on_connections(void *arg, unsigned what)
{
    (void)what;
    struct listener *l = arg;
    if (atomic_load(&l->is_suspended)) {
        turn_all_away(l);
        listener_pause(l, LISTENER_PAUSE_MS);
        return;
    }
    for (int i = 0; i < LISTENER_BATCH; i++) {
        if (!l->host.has_room(l->host.arg)) {
            listener_pause(l, LISTENER_CROWD_MS);
            return;
        }
        struct address from = {.len = sizeof from.storage};
        int fd = accept4(l->fd, (struct sockaddr *)&from.storage, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->host.take(l->host.arg, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            listener_turn_away(l, errno);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

void listener_start(struct listener *l, struct poller *p, const struct listener_host *host)
{
    l->host = *host;
    l->resume = timer_new(p, on_resume, l);
    l->watch = watch_create(p, l->fd, on_connections, l);
    watch_set(l->watch, WATCH_READ);
}
