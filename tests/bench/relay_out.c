#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "tests/bench/bench.h"
#include "tests/bench/relay.h"

void relay_watch(struct relay *r, struct relay_conn *c, uint32_t events)
{
    if (c->events == events || c->is_dead || c->is_hung)
        return;
    c->events = events;
    if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){.events = events, .data.ptr = c}) != 0)
        die("epoll: %s", strerror(errno));
}

void relay_drop(struct relay *r, struct relay_conn *c)
{
    if (c->is_dead)
        return;
    if (!c->is_hung)
        epoll_ctl(r->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    c->is_hung = true;
    if (c->stalled_on != NULL && c->stalled_on->direct.from == c)
        return; /* its buffer is needed still; relay_drop() comes again */
    c->is_dead = true;
    list_append(&r->dead, &c->in_dead);
}

void relay_release(struct relay *r, struct relay_conn *c)
{
    struct relay_conn *p;
    list_each (p, &c->publishers, struct relay_conn, waiting) {
        list_remove(&p->waiting);
        list_append(&r->ready, &p->waiting);
    }
}

static void stall(struct relay *r, struct relay_conn *p, struct relay_conn *on)
{
    p->stalled_on = on;
    list_append(&on->publishers, &p->waiting);
    relay_watch(r, p, p->events & ~(uint32_t)EPOLLIN);
}

static inline void mark_dirty(struct relay *r, struct relay_conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    list_append(&r->dirty, &c->in_dirty);
}

/* ---- Writing */

static void give_back(struct relay *r, struct relay_conn *c)
{
    if (c->out_room == RELAY_OUT_ROOM && r->spare_out == NULL)
        r->spare_out = c->out;
    else
        free(c->out);
    c->out = NULL;
    c->out_start = c->out_end = c->out_room = 0;
}

static ssize_t write_some(struct relay_conn *c)
{
    uint8_t *out = c->out + c->out_start;
    size_t len = c->out_end - c->out_start;
    if (c->direct.from == NULL)
        return send(c->fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    struct iovec parts[] = {{out, c->direct.before},
                            {c->direct.from->in + c->direct.at, c->direct.left},
                            {out + c->direct.before, len - c->direct.before}};
    return sendmsg(c->fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 3}, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The contents that went out from its buffer are out. */
void relay_end_direct(struct relay *r, struct relay_conn *c)
{
    struct relay_conn *p = c->direct.from;
    p->in_start = p->direct_end;
    c->direct.from = NULL;
    list_remove(&p->waiting);
    list_append(&r->ready, &p->waiting);
}

static void note_written(struct relay *r, struct relay_conn *c, size_t n)
{
    if (c->direct.from == NULL) {
        c->out_start += n;
        return;
    }
    size_t before = n < c->direct.before ? n : c->direct.before;
    c->direct.before -= before;
    c->out_start += before;
    n -= before;
    size_t part = n < c->direct.left ? n : c->direct.left;
    c->direct.at += part;
    c->direct.left -= part;
    c->out_start += n - part;
    if (c->direct.left == 0)
        relay_end_direct(r, c);
}

static bool has_output(const struct relay_conn *c)
{
    return c->out_end > c->out_start || c->direct.from != NULL;
}

void relay_flush(struct relay *r, struct relay_conn *c)
{
    while (has_output(c) && !c->is_dead) {
        ssize_t n = write_some(c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            relay_drop(r, c);
            return;
        }
        if (n < 0) {
            relay_watch(r, c, c->events | EPOLLOUT);
            break;
        }
        note_written(r, c, (size_t)n);
    }
    if (c->out != NULL && c->out_end == c->out_start)
        give_back(r, c);
    if (!has_output(c))
        relay_watch(r, c, c->events & ~(uint32_t)EPOLLOUT);
    if (c->is_closing && !has_output(c))
        relay_drop(r, c);
}

void relay_on_writable(struct relay *r, struct relay_conn *c)
{
    relay_flush(r, c);
    if (c->direct.from == NULL && c->out_end - c->out_start < RELAY_OUT_ROOM / 2)
        relay_release(r, c);
}

void relay_flush_all(struct relay *r)
{
    struct relay_conn *c;
    list_each (c, &r->dirty, struct relay_conn, in_dirty) {
        list_remove(&c->in_dirty);
        c->is_dirty = false;
        relay_flush(r, c);
        if (!has_output(c)) /* or those would try in vain, for ever */
            relay_release(r, c);
    }
}

/* ---- Room */

static void open_out(struct relay *r, struct relay_conn *c, size_t need)
{
    c->out_room = need + RELAY_SLACK > RELAY_OUT_ROOM ? need + RELAY_SLACK : RELAY_OUT_ROOM;
    if (c->out_room == RELAY_OUT_ROOM && r->spare_out != NULL) {
        c->out = r->spare_out;
        r->spare_out = NULL;
    } else {
        c->out = alloc(c->out_room);
    }
}

static bool fits(const struct relay_conn *c, size_t need)
{
    return c->out_room - c->out_end >= need + RELAY_SLACK;
}

static bool make_room(struct relay *r, struct relay_conn *c, size_t need)
{
    if (c->out != NULL && c->out_start > 0 && c->direct.from == NULL) {
        memmove(c->out, c->out + c->out_start, c->out_end - c->out_start);
        c->out_end -= c->out_start;
        c->out_start = 0;
    }
    if (c->out != NULL && !fits(c, need)) {
        relay_flush(r, c);
        mark_dirty(r, c); /* others may wait for the room that there is now */
    }
    if (c->out != NULL && c->out_start == c->out_end && !fits(c, need))
        give_back(r, c);
    if (c->out == NULL)
        open_out(r, c, need);
    return fits(c, need);
}

/* Room for a delivery; a connection that is dead has all the room of the world. */
static inline bool has_room(struct relay *r, struct relay_conn *c, size_t need)
{
    if (c->direct.from != NULL)
        return c->is_dead;
    return fits(c, need) || c->is_dead || make_room(r, c, need);
}

void relay_put(struct relay *r, struct relay_conn *c, unsigned channel, const void *method)
{
    if (c->is_dead)
        return;
    if (c->out == NULL)
        open_out(r, c, 0);
    if (!fits(c, RELAY_METHOD_MAX)) {
        if (c->out_end > RELAY_OUT_MAX) {
            relay_drop(r, c);
            return;
        }
        c->out_room *= 2;
        c->out = alloc_array(c->out, c->out_room, 1);
    }
    struct pen p = pen_over(c->out + c->out_end, RELAY_METHOD_MAX);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, (uint16_t)channel);
    method_encode(&p, method);
    frame_close(&p, mark);
    if (p.full)
        die("a method is too long");
    c->out_end += pen_written(&p).len;
    mark_dirty(r, c);
}

/* ---- Handing out */

/* For a few dozen bytes: whole blocks, up to 31 bytes more than asked for. */
static inline uint8_t *copy_short(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i += 32)
        memcpy(to + i, from + i, 32);
    return to + n;
}

static void set_channel(uint8_t *at, size_t len, uint16_t channel)
{
    for (size_t i = 0; i < len; i += FRAME_OVERHEAD + relay_u32(at + i + 3)) {
        at[i + 1] = (uint8_t)(channel >> 8);
        at[i + 2] = (uint8_t)channel;
    }
}

static inline uint8_t *put_deliver(uint8_t *to, const struct relay_consumer *s, const struct relay_route *route)
{
    uint64_t tag = __builtin_bswap64(++s->conn->channels[s->channel].deliveries);
    uint32_t size = __builtin_bswap32((uint32_t)(s->head_len + 8 + route->tail_len - FRAME_OVERHEAD));
    uint8_t *at = copy_short(to, s->head, s->head_len);
    memcpy(to + 3, &size, sizeof size);
    memcpy(at, &tag, sizeof tag);
    return copy_short(at + sizeof tag, route->tail, route->tail_len);
}

static inline void put_small(struct relay *r, const struct relay_consumer *s, const struct relay_conn *p,
                             const uint8_t *at, size_t len)
{
    struct relay_conn *c = s->conn;
    if (c->is_dead)
        return;
    uint8_t *to = put_deliver(c->out + c->out_end, s, &p->route);
    if (len <= 256)
        copy_short(to, at, len);
    else
        memcpy(to, at, len);
    if (to[1] != (uint8_t)(s->channel >> 8) || to[2] != (uint8_t)s->channel)
        set_channel(to, len, s->channel);
    c->out_end = (size_t)(to + len - c->out);
    mark_dirty(r, c);
}

/* Sends a content from where it lies, without copying it; what the socket does not take now pins p's buffer. */
static enum relay_handed put_large(struct relay *r, const struct relay_consumer *s, struct relay_conn *p, uint8_t *at,
                                   size_t len)
{
    struct relay_conn *c = s->conn;
    if (c->is_dead)
        return HANDED;
    set_channel(at, len, s->channel);
    c->out_end = (size_t)(put_deliver(c->out + c->out_end, s, &p->route) - c->out);
    size_t before = c->out_end - c->out_start;
    struct iovec parts[] = {{c->out + c->out_start, before}, {at, len}};
    ssize_t n = sendmsg(c->fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        relay_drop(r, c);
        return HANDED;
    }
    size_t sent = n > 0 ? (size_t)n : 0, first = sent < before ? sent : before;
    c->out_start += first;
    if (c->out_start == c->out_end)
        c->out_start = c->out_end = 0;
    if (sent == before + len)
        return HANDED;
    c->direct.from = p;
    c->direct.before = before - first;
    c->direct.at = (size_t)(at - p->in) + sent - first;
    c->direct.left = len - (sent - first);
    stall(r, p, c);
    relay_watch(r, c, c->events | EPOLLOUT);
    return HANDED_LATER;
}

static inline struct relay_consumer *pick(const struct relay_queue *q)
{
    return q->consumers == 0 ? NULL : q->of[q->next];
}

enum relay_handed relay_hand_out(struct relay *r, struct relay_conn *p, uint8_t *at, size_t len)
{
    struct relay_route *route = &p->route;
    bool is_direct = len >= RELAY_DIRECT_MIN && route->n == 1 && p->is_large;
    for (unsigned i = 0; i < route->n; i++) {
        const struct relay_consumer *s = pick(route->targets[i]);
        if (s == NULL)
            continue;
        size_t need = s->head_len + 8 + route->tail_len + (is_direct ? 0 : len);
        need *= route->n; /* all may be on one connection */
        if (!has_room(r, s->conn, need)) {
            stall(r, p, s->conn);
            return NOT_HANDED;
        }
    }
    for (unsigned i = 0; i < route->n; i++) {
        struct relay_queue *q = route->targets[i];
        const struct relay_consumer *s = pick(q);
        if (s == NULL)
            continue;
        if (++q->next == q->consumers)
            q->next = 0;
        if (is_direct)
            return put_large(r, s, p, at, len);
        put_small(r, s, p, at, len);
    }
    return HANDED;
}
