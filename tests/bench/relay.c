/* Usage: relay [--port PORT].  The bare relay (relay.h): says where it listens, on 127.0.0.1, and ends at SIGTERM. */
#define _GNU_SOURCE
#include "tests/bench/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum { TURN_EVENTS = 256, CONTENT_MIN = FRAME_OVERHEAD + 14, BACKLOG = 4096, FLUSH_MIN = 64 << 10 };

/* ---- Cutting */

/* The length of a content, header and body frames; 0: it is not all there, and *need is what must be there at least;
 * SIZE_MAX: it is no content. */
static inline size_t cut_content(const uint8_t *at, size_t len, size_t *need)
{
    if (len < CONTENT_MIN) {
        *need = CONTENT_MIN;
        return 0;
    }
    size_t end = relay_u32(at + 3) + (size_t)FRAME_OVERHEAD;
    uint64_t left = relay_u64(at + FRAME_HEAD + 4);
    if (at[0] != FRAME_HEADER || end > RELAY_FRAME_MAX || left > RELAY_BODY_MAX)
        return SIZE_MAX;
    for (;;) {
        if (len < end || (left > 0 && len < end + FRAME_HEAD))
            break;
        if (at[end - 1] != FRAME_END)
            return SIZE_MAX;
        if (left == 0)
            return end;
        uint32_t size = relay_u32(at + end + 3);
        if (at[end] != FRAME_BODY || size > left || size > RELAY_FRAME_MAX || size == 0)
            return SIZE_MAX;
        left -= size;
        end += size + (size_t)FRAME_OVERHEAD;
    }
    *need = end + left + (left == 0 ? 0 : (left / (RELAY_FRAME_MAX - FRAME_OVERHEAD) + 1) * FRAME_OVERHEAD);
    return 0;
}

static void confirm(struct relay *r, struct relay_conn *c)
{
    if (c->confirm_channel == 0)
        return;
    relay_put(r, c, c->confirm_channel,
              &(struct basic_ack){.id = METHOD_basic_ack,
                                  .delivery_tag = relay_channel(c, c->confirm_channel)->publishes,
                                  .multiple = true});
    c->confirm_channel = 0;
}

static inline void note_publish(struct relay *r, struct relay_conn *c)
{
    unsigned number = (unsigned)(c->route.method[1] << 8 | c->route.method[2]);
    struct relay_channel *channel = relay_channel(c, number);
    if (!channel->confirms)
        return;
    if (c->confirm_channel != number)
        confirm(r, c);
    channel->publishes++;
    c->confirm_channel = number;
}

static inline bool is_same_publish(const struct relay *r, const struct relay_conn *c, const uint8_t *at, size_t len)
{
    const struct relay_route *route = &c->route;
    return route->version == r->version && len >= route->method_len &&
           memcmp(at, route->method, route->method_len) == 0;
}

enum cut { CUT, SHORT, STALLED, BROKEN };

static inline enum cut take_publish(struct relay *r, struct relay_conn *c, uint8_t *at, size_t len, size_t *used)
{
    size_t method = c->route.method_len, n = cut_content(at + method, len - method, &c->need);
    if (n == SIZE_MAX)
        return BROKEN;
    if (n == 0) {
        c->need += method;
        return SHORT;
    }
    *used = c->need = method + n;
    if (!relay_hand_out(r, c, at + method, n))
        return STALLED;
    note_publish(r, c);
    return CUT;
}

/* Takes one message or one other frame off the front; *used is its length. */
static enum cut take_one(struct relay *r, struct relay_conn *c, uint8_t *at, size_t len, size_t *used)
{
    struct frame f;
    if (is_same_publish(r, c, at, len))
        return take_publish(r, c, at, len, used);
    c->need = 0;
    enum frame_verdict verdict = frame_cut(bytes_of(at, len), RELAY_FRAME_MAX, &f, used);
    if (verdict != FRAME_OK)
        return verdict == FRAME_SHORT ? SHORT : BROKEN;
    if (f.type == FRAME_METHOD && f.payload.len >= 4 && relay_u32(f.payload.at) == METHOD_basic_publish) {
        bool found = relay_find_route(r, c, at, *used);
        *used = 0; /* it is taken together with its contents */
        return found ? CUT : BROKEN;
    }
    confirm(r, c); /* before whatever is answered */
    return relay_hear(r, c, &f) ? CUT : BROKEN;
}

static size_t take_header(struct relay_conn *c, const uint8_t *at, size_t len)
{
    if (len < 8)
        return 0;
    c->is_greeted = memcmp(at, "AMQP\0\0\11\1", 8) == 0;
    return c->is_greeted ? 8 : SIZE_MAX;
}

/* Takes all that is whole; answers how much that was. */
static size_t take_all(struct relay *r, struct relay_conn *c, uint8_t *at, size_t len)
{
    size_t start = 0, used;
    if (!c->is_greeted) {
        start = take_header(c, at, len);
        if (start == SIZE_MAX)
            relay_drop(r, c);
        if (!c->is_greeted)
            return 0;
        relay_hear(r, c, NULL);
    }
    while (len - start >= FRAME_OVERHEAD && !c->is_dead) {
        enum cut cut = take_one(r, c, at + start, len - start, &used);
        if (cut == BROKEN)
            relay_drop(r, c);
        if (cut != CUT)
            break;
        start += used;
    }
    confirm(r, c);
    relay_settle(r, c);
    if (c->is_hung && c->stalled_on == NULL)
        relay_drop(r, c);
    return start;
}

/* ---- Reading */

/* Keeps the rest of what came for the next read. */
static void keep(struct relay_conn *c, const uint8_t *at, size_t len)
{
    size_t room = c->need + RELAY_SLACK;
    c->is_large = c->is_large || c->need >= RELAY_DIRECT_MIN;
    if (c->is_large) {
        room = 2 * c->need < RELAY_LARGE_ROOM ? RELAY_LARGE_ROOM : c->need;
        room += RELAY_SLACK;
    }
    if (room < len + RELAY_SLACK)
        room = len + RELAY_SLACK;
    if (c->in_room < room) {
        uint8_t *in = alloc(room); /* (at may be in the old one) */
        if (len > 0)
            memcpy(in, at, len);
        free(c->in);
        c->in = in;
        c->in_room = room;
    } else if (len > 0) {
        memmove(c->in, at, len);
    }
    c->in_start = 0;
    c->in_end = len;
}

/* A connection with large messages reads into its own buffer, so that these can go out from there. */
static void read_large(struct relay *r, struct relay_conn *c)
{
    if (c->in_start == c->in_end)
        c->in_start = c->in_end = 0;
    /* (With nothing there, need is what the last one needed: the next one is likely to be like it.) */
    size_t have = c->in_end - c->in_start, want = c->need > have ? c->need : have + 1;
    if (c->in_start + want + RELAY_SLACK > c->in_room)
        keep(c, c->in + c->in_start, have);
    size_t room = c->in_room - RELAY_SLACK - c->in_end;
    if (2 * want > RELAY_LARGE_ROOM) /* exactly to its end, so that nothing has to be moved afterwards */
        room = want - have;
    ssize_t n = recv(c->fd, c->in + c->in_end, room, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        relay_drop(r, c);
    if (n <= 0)
        return;
    c->in_end += (size_t)n;
    size_t start = c->in_start;
    c->in_start += take_all(r, c, c->in + start, c->in_end - start);
}

static void read_small(struct relay *r, struct relay_conn *c)
{
    size_t have = c->in_end - c->in_start;
    memcpy(r->in, c->in + c->in_start, have);
    ssize_t n = recv(c->fd, r->in + have, RELAY_IN_ROOM - have, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        relay_drop(r, c);
    if (n <= 0)
        return;
    have += (size_t)n;
    size_t used = take_all(r, c, r->in, have);
    c->in_start = c->in_end = 0;
    if (used < have)
        keep(c, r->in + used, have - used);
    if (have >= FLUSH_MIN)
        relay_flush_all(r);
}

/* What stood still goes on. */
static void resume(struct relay *r, struct relay_conn *c)
{
    size_t start = c->in_start;
    c->stalled_on = NULL;
    c->in_start += take_all(r, c, c->in + start, c->in_end - start);
    if (c->stalled_on != NULL)
        return;
    c->is_large = c->is_large || c->need >= RELAY_DIRECT_MIN;
    if (c->is_hung)
        relay_drop(r, c);
    else
        relay_watch(r, c, c->events | EPOLLIN);
}

/* ---- The loop */

static void destroy(struct relay *r, struct relay_conn *c)
{
    relay_forget(r, c);
    if (c->direct_from != NULL)
        relay_end_direct(r, c);
    relay_release(r, c);
    list_remove(&c->waiting);
    list_remove(&c->in_dirty);
    list_remove(&c->in_dead);
    list_remove(&c->in_relay);
    close(c->fd);
    free(c->channels);
    free(c->route.targets);
    free(c->in);
    free(c->out);
    free(c);
}

static void take_connections(struct relay *r)
{
    for (;;) {
        int on = 1, fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct relay_conn *c = alloc_zeroed(sizeof *c);
        c->fd = fd;
        c->events = EPOLLIN;
        list_init(&c->publishers);
        list_init(&c->consumers);
        link_init(&c->waiting);
        link_init(&c->in_dirty);
        link_init(&c->in_dead);
        list_append(&r->conns, &c->in_relay);
        keep(c, NULL, 0);
        if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}) != 0)
            die("epoll: %s", strerror(errno));
    }
}

static void on_event(struct relay *r, struct relay_conn *c, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && !c->is_dead)
        relay_on_writable(r, c);
    if (c->stalled_on != NULL) {
        if ((events & (EPOLLHUP | EPOLLERR)) != 0)
            relay_drop(r, c);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || c->is_dead)
        return;
    if (c->is_large)
        read_large(r, c);
    else
        read_small(r, c);
}

static void end_turn(struct relay *r)
{
    do {
        while (!list_is_empty(&r->ready)) {
            struct relay_conn *c = item_of(r->ready.ring.next, struct relay_conn, waiting);
            list_remove(&c->waiting);
            if (!c->is_dead)
                resume(r, c);
        }
        relay_flush_all(r);
        while (!list_is_empty(&r->dead))
            destroy(r, item_of(r->dead.ring.next, struct relay_conn, in_dead));
    } while (!list_is_empty(&r->ready) || !list_is_empty(&r->dirty));
}

static _Noreturn void run(struct relay *r)
{
    struct epoll_event events[TURN_EVENTS];
    for (;;) {
        int n = epoll_wait(r->epoll, events, TURN_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                take_connections(r);
            else
                on_event(r, events[i].data.ptr, events[i].events);
        }
        end_turn(r);
    }
}

static void listen_on(struct relay *r, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof a;
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (r->epoll < 0 || r->listener < 0 || bind(r->listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(r->listener, BACKLOG) != 0 || getsockname(r->listener, (struct sockaddr *)&a, &len) != 0 ||
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->listener, &(struct epoll_event){.events = EPOLLIN}) != 0)
        die("cannot listen on port %u: %s", port, strerror(errno));
    printf("relay ready: amqp 127.0.0.1:%u, pid %d\n", ntohs(a.sin_port), (int)getpid());
    fflush(stdout);
}

static void on_term(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    struct relay r = {.version = 1};
    struct rlimit files;
    unsigned long port = 0;
    if (argc == 3 && strcmp(argv[1], "--port") == 0)
        port = strtoul(argv[2], NULL, 10);
    else if (argc != 1)
        die("usage: relay [--port PORT]");
    if (port > UINT16_MAX)
        die("port %s?", argv[2]);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGTERM, on_term);
    map_init(&r.queues);
    map_init(&r.exchanges);
    list_init(&r.conns);
    list_init(&r.dirty);
    list_init(&r.dead);
    list_init(&r.ready);
    r.in = alloc(RELAY_IN_ROOM + RELAY_SLACK);
    listen_on(&r, (unsigned)port);
    run(&r);
}
