#define _GNU_SOURCE
#include "broker/perf/callers.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/perf/die.h"
#include "broker/perf/link_tls.h"

enum {
    EVENTS_MAX = 256,
    IN_ROOM = 16 << 10, /* what one connection may say at once in a handshake */
    WHY_ROOM = 256,
};

/* What a caller waits for. */
enum state {
    AT_REST,
    DIALLING,
    SHAKING, /* hands, by TLS */
    START,
    TUNE,
    OPEN_OK,
    CHANNEL_OPEN_OK,
    OPEN, /* nothing */
    CLOSE_OK,
    STATES
};

struct caller {
    int fd;
    uint8_t state;           /* enum state */
    uint16_t kept_len;       /* of a frame that has not come whole */
    uint8_t *kept;           /* owned; NULL: none */
    struct link_tls_io *tls; /* owned; NULL: plain */
    uint64_t since_ns;       /* when it dialled */
};

struct callers {
    const struct link_to *to;            /* borrowed */
    const struct callers_events *events; /* borrowed */
    struct sockaddr_storage address;
    socklen_t address_len;
    /* On this machine a port may be used again a second after its connection was closed.  Elsewhere it would take a
     * minute, and 500 connections a second would use them all up, so we end them with a reset, when all is said. */
    bool is_local;
    int epoll;
    unsigned count;
    struct caller *all;    /* owned */
    uint8_t *says[STATES]; /* owned: what is said when that comes that was waited for */
    size_t says_len[STATES];
    struct connection_tune tuned; /* what says[TUNE] answers */
    uint64_t sent, received;
    uint8_t in[IN_ROOM];
};

static const enum method_id awaited[STATES] = {
    [START] = METHOD_connection_start,       [TUNE] = METHOD_connection_tune,
    [OPEN_OK] = METHOD_connection_open_ok,   [CHANNEL_OPEN_OK] = METHOD_channel_open_ok,
    [CLOSE_OK] = METHOD_connection_close_ok,
};

/* ---- What is said */

/* Takes what was put into a link that is no connection. */
static void keep(struct callers *c, enum state state, struct link *l)
{
    free(c->says[state]);
    c->says[state] = l->out;
    c->says_len[state] = l->out_len;
    l->out = NULL;
    l->out_len = l->out_room = 0;
}

static void prepare_open(struct callers *c, const struct connection_tune *offered)
{
    struct link l = {.fd = -1, .frame_max = LINK_FRAME_MAX};
    link_put_open(&l, c->to, offered);
    keep(c, TUNE, &l);
    c->tuned = *offered;
}

static void prepare(struct callers *c)
{
    struct link l = {.fd = -1, .frame_max = LINK_FRAME_MAX};
    c->says[DIALLING] = alloc_copy("AMQP\0\0\11\1", 8);
    c->says_len[DIALLING] = 8;
    link_put_start_ok(&l, c->to);
    keep(c, START, &l);
    link_put(&l, 1, &(struct channel_open){.id = METHOD_channel_open});
    keep(c, OPEN_OK, &l);
    link_put(
        &l, 0,
        &(struct connection_close){.id = METHOD_connection_close, .reply_code = 200, .reply_text = BYTES("goodbye")});
    keep(c, OPEN, &l);
}

/* ---- Lives of callers */

static unsigned number_of(const struct callers *c, const struct caller *caller)
{
    return (unsigned)(caller - c->all);
}

static void drop(struct caller *caller)
{
    link_tls_close(caller->tls);
    close(caller->fd);
    free(caller->kept);
    *caller = (struct caller){.fd = -1};
}

static void end(struct callers *c, struct caller *caller, const char *why)
{
    drop(caller);
    c->events->on_end(c->events->arg, number_of(c, caller), why);
}

/* False: it has ended.  A handshake's few bytes go into an empty socket at once, or it is broken. */
static bool say(struct callers *c, struct caller *caller, enum state state)
{
    const uint8_t *what = c->says[state];
    size_t len = c->says_len[state];
    ssize_t n = caller->tls != NULL ? link_tls_write(caller->tls, what, len)
                                    : send(caller->fd, what, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == (ssize_t)len) {
        c->sent += len;
        return true;
    }
    end(c, caller, n < 0 ? strerrordesc_np(errno) : "the socket takes less than a handshake");
    return false;
}

static bool begin_amqp(struct callers *c, struct caller *caller)
{
    caller->state = START;
    return say(c, caller, DIALLING);
}

/* The first event of a socket: it is connected, or never will be. */
static bool answer_dial(struct callers *c, struct caller *caller)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(caller->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        end(c, caller, strerrordesc_np(error != 0 ? error : errno));
        return false;
    }
    if (c->to->tls == NULL)
        return begin_amqp(c, caller);
    caller->state = SHAKING;
    caller->tls = link_tls_begin(c->to->tls, caller->fd, c->to->host, NULL);
    return true;
}

void callers_dial(struct callers *c, unsigned number)
{
    struct caller *caller = &c->all[number];
    int on = 1;
    CHECK(caller->state == AT_REST);
    caller->fd = socket(c->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (caller->fd < 0)
        die("no socket: %s", strerrordesc_np(errno));
    caller->state = DIALLING;
    caller->since_ns = now_ns();
    if (!c->is_local)
        setsockopt(caller->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    if (c->to->tls != NULL)
        setsockopt(caller->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(caller->fd, (const struct sockaddr *)&c->address, c->address_len) != 0 && errno != EINPROGRESS)
        die("cannot connect to %s:%u: %s", c->to->host, c->to->port, strerrordesc_np(errno));
    uint32_t events = EPOLLIN | EPOLLET;
    /* On this machine it is connected by now, nearly always; otherwise we hear of it, as of an error. */
    if (c->to->tls == NULL && send(caller->fd, c->says[DIALLING], c->says_len[DIALLING], MSG_NOSIGNAL | MSG_DONTWAIT) ==
                                  (ssize_t)c->says_len[DIALLING]) {
        c->sent += c->says_len[DIALLING];
        caller->state = START;
    } else {
        events |= EPOLLOUT;
    }
    struct epoll_event e = {.events = events, .data.u32 = number};
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, caller->fd, &e) != 0)
        die("epoll: %s", strerrordesc_np(errno));
}

/* ---- What is heard */

/* A method that was not waited for; false: it ended the connection. */
static bool hear_other(struct callers *c, struct caller *caller, const struct frame *f)
{
    union method m;
    char why[WHY_ROOM];
    if (f->type != FRAME_METHOD)
        return true; /* a heartbeat */
    bool is_method = method_decode(f->payload, &m) == METHOD_OK;
    if (is_method && (m.id == METHOD_connection_blocked || m.id == METHOD_connection_unblocked))
        return true;
    if (is_method && m.id == METHOD_connection_close)
        snprintf(why, sizeof why, "connection closed: %u %.*s", m.connection_close.reply_code,
                 BYTES_ARG(m.connection_close.reply_text));
    else if (is_method && m.id == METHOD_channel_close)
        snprintf(why, sizeof why, "channel closed: %u %.*s", m.channel_close.reply_code,
                 BYTES_ARG(m.channel_close.reply_text));
    else
        snprintf(why, sizeof why, "the broker says %#x in a handshake", (unsigned)m.id);
    end(c, caller, why);
    return false;
}

static bool hear_tune(struct callers *c, struct caller *caller, const struct frame *f)
{
    union method m;
    if (method_decode(f->payload, &m) != METHOD_OK)
        return hear_other(c, caller, f);
    if (c->says[TUNE] == NULL || m.connection_tune.channel_max != c->tuned.channel_max ||
        m.connection_tune.frame_max != c->tuned.frame_max)
        prepare_open(c, &m.connection_tune);
    return say(c, caller, TUNE);
}

/* False: the caller has ended. */
static bool hear(struct callers *c, struct caller *caller, const struct frame *f)
{
    struct cursor cursor = cursor_over(f->payload);
    enum state state = caller->state;
    if (f->type != FRAME_METHOD || awaited[state] == 0 || cursor_u32(&cursor) != (uint32_t)awaited[state])
        return hear_other(c, caller, f);
    if (state == CLOSE_OK) {
        end(c, caller, NULL);
        return false;
    }
    caller->state++;
    if (state == START || state == OPEN_OK)
        return say(c, caller, state);
    if (state == TUNE)
        return hear_tune(c, caller, f);
    if (state != CHANNEL_OPEN_OK ||
        !c->events->on_open(c->events->arg, number_of(c, caller), now_ns() - caller->since_ns))
        return true;
    caller->state = CLOSE_OK;
    return say(c, caller, OPEN);
}

/* Keeps what is left for the next time; false: that is too much. */
static bool keep_rest(struct caller *caller, const uint8_t *at, size_t n)
{
    free(caller->kept);
    caller->kept = n > 0 ? alloc_copy(at, n) : NULL;
    caller->kept_len = (uint16_t)n;
    return n < IN_ROOM;
}

/* Everything that is in a buffer of so many bytes; false: the caller has ended. */
static bool hear_all(struct callers *c, struct caller *caller, size_t len)
{
    struct frame f;
    size_t at = 0, used;
    enum frame_verdict v;
    while ((v = frame_cut(bytes_of(c->in + at, len - at), IN_ROOM, &f, &used)) == FRAME_OK) {
        at += used;
        if (!hear(c, caller, &f))
            return false;
    }
    if (v == FRAME_SHORT && keep_rest(caller, c->in + at, len - at))
        return true;
    end(c, caller, "the broker sent something that is not a frame of a handshake");
    return false;
}

static void listen_to(struct callers *c, struct caller *caller)
{
    for (;;) {
        size_t len = caller->kept_len, room = sizeof c->in - len;
        if (len > 0)
            memcpy(c->in, caller->kept, len);
        ssize_t n = caller->tls != NULL ? link_tls_read(caller->tls, c->in + len, room, false)
                                        : recv(caller->fd, c->in + len, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            end(c, caller, n == 0 ? "the broker closed the socket" : strerrordesc_np(errno));
            return;
        }
        c->received += (uint64_t)n;
        if (!hear_all(c, caller, len + (size_t)n))
            return;
        if ((size_t)n < room && caller->tls == NULL)
            return; /* edges: whatever comes later is an event of its own */
    }
}

static void serve(struct callers *c, const struct epoll_event *e)
{
    struct caller *caller = &c->all[e->data.u32];
    if (caller->state == DIALLING) {
        if ((e->events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 || !answer_dial(c, caller))
            return;
    }
    if (caller->state == SHAKING) {
        if (link_tls_shake(caller->tls) != 0 || !begin_amqp(c, caller))
            return;
    }
    if ((e->events & ~(uint32_t)EPOLLOUT) != 0 && caller->state != AT_REST)
        listen_to(c, caller);
}

void callers_turn(struct callers *c, int ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(c->epoll, events, EVENTS_MAX, ms);
    if (n < 0 && errno != EINTR)
        die("epoll: %s", strerrordesc_np(errno));
    for (int i = 0; i < n; i++)
        serve(c, &events[i]);
}

/* ---- All of them */

static bool is_local(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *four = (const void *)a;
    const struct sockaddr_in6 *six = (const void *)a;
    if (a->ss_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return a->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

struct callers *callers_create(const struct link_to *to, unsigned count, const struct callers_events *events)
{
    struct callers *c = alloc_zeroed(sizeof *c);
    struct link l;
    *c = (struct callers){.to = to, .events = events, .count = count, .address_len = sizeof c->address};
    link_init(&l, to);
    if (getpeername(l.fd, (struct sockaddr *)&c->address, &c->address_len) != 0)
        die("no address: %s", strerrordesc_np(errno));
    link_fini(&l);
    c->is_local = is_local(&c->address);
    c->all = alloc_zeroed(count * sizeof *c->all);
    for (unsigned i = 0; i < count; i++)
        c->all[i].fd = -1;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll < 0)
        die("epoll: %s", strerrordesc_np(errno));
    prepare(c);
    return c;
}

void callers_destroy(struct callers *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->count; i++)
        if (c->all[i].state != AT_REST)
            drop(&c->all[i]);
    for (unsigned i = 0; i < STATES; i++)
        free(c->says[i]);
    close(c->epoll);
    free(c->all);
    free(c);
}

uint64_t callers_sent(const struct callers *c)
{
    return c->sent;
}

uint64_t callers_received(const struct callers *c)
{
    return c->received;
}
