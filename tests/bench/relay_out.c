#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
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
    if (c->direct_to != NULL)
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
    if (c->out_room == RELAY_OUT_ROOM && r->spares < RELAY_SPARES_MAX)
        r->spare[r->spares++] = c->out;
    else
        free(c->out);
    c->out = NULL;
    c->out_start = c->out_end = c->out_room = 0;
}

static ssize_t write_some(struct relay_conn *c)
{
    if (c->direct_from == NULL)
        return send(c->fd, c->out + c->out_start, c->out_end - c->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);
    struct iovec at[RELAY_PARTS_MAX + 1];
    unsigned n = 0;
    for (unsigned i = c->parts_at; i < c->parts_end; i++) {
        const struct relay_part *part = &c->parts[i];
        at[n++] = (struct iovec){(part->is_out ? c->out : c->direct_from->in) + part->at, part->len};
    }
    if (c->out_end > c->out_parted)
        at[n++] = (struct iovec){c->out + c->out_parted, c->out_end - c->out_parted};
    return sendmsg(c->fd, &(struct msghdr){.msg_iov = at, .msg_iovlen = n}, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void relay_end_direct(struct relay *r, struct relay_conn *c)
{
    struct relay_conn *p = c->direct_from;
    c->direct_from = p->direct_to = NULL;
    c->parts_at = c->parts_end = 0;
    if (p->stalled_on != c)
        return;
    list_remove(&p->waiting);
    list_append(&r->ready, &p->waiting);
}

static void note_written(struct relay *r, struct relay_conn *c, size_t n)
{
    if (c->direct_from == NULL) {
        c->out_start += n;
        return;
    }
    while (c->parts_at < c->parts_end && n >= c->parts[c->parts_at].len)
        n -= c->parts[c->parts_at++].len;
    if (c->parts_at < c->parts_end) {
        c->parts[c->parts_at].at += n;
        c->parts[c->parts_at].len -= n;
        return;
    }
    c->out_start = c->out_parted + n;
    relay_end_direct(r, c);
}

static bool has_output(const struct relay_conn *c)
{
    return c->out_end > c->out_start || c->direct_from != NULL;
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
    if (c->direct_from == NULL && c->out_end - c->out_start < RELAY_OUT_ROOM / 2)
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
    if (c->out_room == RELAY_OUT_ROOM && r->spares > 0)
        c->out = r->spare[--r->spares];
    else
        c->out = alloc(c->out_room);
}

static bool fits(const struct relay_conn *c, size_t need)
{
    return c->out_room - c->out_end >= need + RELAY_SLACK;
}

static bool make_room(struct relay *r, struct relay_conn *c, size_t need)
{
    if (c->out != NULL && c->out_start > 0 && c->direct_from == NULL) {
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

/* Room for a delivery from p; a connection that is dead has all the room of the world. */
static inline bool has_room(struct relay *r, const struct relay_conn *p, struct relay_conn *c, size_t need)
{
    if (c->direct_from == NULL && fits(c, need))
        return true;
    if (c->direct_from != NULL && (c->direct_from != p || c->parts_end + 2 > RELAY_PARTS_MAX))
        relay_flush(r, c);
    if (c->direct_from != NULL && (c->direct_from != p || c->parts_end + 2 > RELAY_PARTS_MAX))
        return c->is_dead;
    return c->is_dead || make_room(r, c, need);
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

static void add_part(struct relay_conn *c, bool is_out, size_t at, size_t len)
{
    c->parts[c->parts_end++] = (struct relay_part){.is_out = is_out, .at = at, .len = len};
}

/* Has a content go out from where it lies, in p's buffer, when p's turn ends. */
static void put_large(const struct relay_consumer *s, struct relay_conn *p, uint8_t *at, size_t len)
{
    struct relay_conn *c = s->conn;
    if (c->is_dead)
        return;
    if (c->direct_from == NULL)
        c->out_parted = c->out_start;
    c->direct_from = p;
    p->direct_to = c;
    set_channel(at, len, s->channel);
    c->out_end = (size_t)(put_deliver(c->out + c->out_end, s, &p->route) - c->out);
    add_part(c, true, c->out_parted, c->out_end - c->out_parted);
    add_part(c, false, (size_t)(at - p->in), len);
    c->out_parted = c->out_end;
}

void relay_settle(struct relay *r, struct relay_conn *p)
{
    struct relay_conn *c = p->direct_to;
    if (c == NULL || p->stalled_on != NULL)
        return;
    relay_flush(r, c);
    if (p->direct_to != NULL)
        stall(r, p, c);
}

static inline struct relay_consumer *pick(const struct relay_queue *q)
{
    return q->consumers == 0 ? NULL : q->of[q->next];
}

static const struct relay_conn *direct_target(const struct relay_route *route)
{
    const struct relay_consumer *s = pick(route->targets[0]);
    return s == NULL ? NULL : s->conn;
}

static bool have_room(struct relay *r, struct relay_conn *p, size_t len, bool is_direct)
{
    const struct relay_route *route = &p->route;
    for (unsigned i = 0; i < route->n; i++) {
        const struct relay_consumer *s = pick(route->targets[i]);
        if (s == NULL)
            continue;
        size_t need = s->head_len + 8 + route->tail_len + (is_direct ? 0 : len);
        need *= route->n; /* all may be on one connection */
        if (!has_room(r, p, s->conn, need)) {
            stall(r, p, s->conn);
            return false;
        }
    }
    return true;
}

bool relay_hand_out(struct relay *r, struct relay_conn *p, uint8_t *at, size_t len)
{
    struct relay_route *route = &p->route;
    bool is_direct = len >= RELAY_DIRECT_MIN && route->n == 1 && p->is_large;
    if (p->direct_to != NULL && (!is_direct || p->direct_to != direct_target(route))) {
        relay_settle(r, p);
        if (p->stalled_on != NULL)
            return false;
    }
    if (!have_room(r, p, len, is_direct))
        return false;
    for (unsigned i = 0; i < route->n; i++) {
        struct relay_queue *q = route->targets[i];
        const struct relay_consumer *s = pick(q);
        if (s == NULL)
            continue;
        if (++q->next >= q->consumers)
            q->next = 0;
        if (is_direct)
            put_large(s, p, at, len);
        else
            put_small(r, s, p, at, len);
    }
    return true;
}
