#define _GNU_SOURCE
#include "broker/net/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

struct conn *conn_create(struct transport *transport)
{
    struct conn *c = alloc_zeroed(sizeof *c);
    link_init(&c->touched);
    link_init(&c->readable);
    heap_node_init(&c->deadline);
    guest_init(&c->guest);
    intake_init(&c->in);
    c->close_by_ms = UINT64_MAX;
    c->transport = transport;
    return c;
}

void conn_destroy(struct conn *c)
{
    CHECK(conn_is_over(c) && !link_is_linked(&c->touched) && !link_is_linked(&c->readable));
    CHECK(!heap_has(&c->deadline) && c->guest.place == NULL);
    session_destroy(c->session);
    free(c);
}

void conn_drop(struct conn *c)
{
    if (c->state == CONN_GONE)
        return;
    watch_destroy(c->watch);
    c->watch = NULL;
    c->transport->kind->destroy(c->transport);
    c->transport = NULL;
    intake_fini(&c->in);
    c->state = CONN_GONE;
    c->is_paused = false;
    c->close_by_ms = UINT64_MAX;
    session_lost(c->session);
}

static void conn_feed(struct conn *c, struct bytes all, uint64_t now_ms)
{
    intake_keep(&c->in, all, session_feed(c->session, all, now_ms));
    c->is_paused = c->in.len > 0 && (session_wants(c->session) & SESSION_READ) == 0;
}

/* What a read came to: bytes, or the end. */
static void conn_note_read(struct conn *c, ssize_t n)
{
    if (c->transport->has_more)
        c->ready |= WATCH_READ; /* in the next turn: the socket will not say so */
    if (n <= 0 && n != -EAGAIN)
        conn_drop(c);
}

/* Reads what there is, and feeds it; true: there may be more. */
static bool conn_read_some(struct conn *c, uint8_t *scratch, uint64_t now_ms)
{
    /* Until it has opened there may be a password in what comes. */
    const bool is_secret = c->in.is_secret = c->guest.place != NULL;
    struct space space = intake_space(&c->in, scratch);
    ssize_t n = c->transport->kind->read(c->transport, space.at, space.size);
    conn_note_read(c, n);
    if (n > 0 && c->state == CONN_UP)
        conn_feed(c, intake_got(&c->in, &space, (size_t)n), now_ms);
    if (is_secret)
        intake_wipe(&c->in, &space, n > 0 ? (size_t)n : 0);
    return n == (ssize_t)space.size;
}

/* Reads while a large body is under way, whose bytes need not be copied: to where they belong, and a little of what
 * comes behind them.  Ends when there is no more, or it is the others' turn. */
static void conn_read_bulk(struct conn *c, uint8_t *scratch, uint64_t now_ms)
{
    size_t budget = CONN_TURN_READ, room;
    uint8_t *at;
    while (budget > 0 && c->state == CONN_UP && (at = session_room(c->session, &room)) != NULL) {
        struct iovec iov[] = {{.iov_base = at, .iov_len = room}, {.iov_base = scratch, .iov_len = CONN_READ_BEHIND}};
        ssize_t n = c->transport->kind->readv(c->transport, iov, 2);
        conn_note_read(c, n);
        if (n <= 0)
            return;
        size_t behind = (size_t)n > room ? (size_t)n - room : 0;
        session_got(c->session, (size_t)n - behind, now_ms);
        if (behind > 0)
            conn_feed(c, bytes_of(scratch, behind), now_ms);
        if ((size_t)n < room + CONN_READ_BEHIND)
            return;
        budget = budget > (size_t)n ? budget - (size_t)n : 0;
    }
}

void conn_read(struct conn *c, uint8_t *scratch, uint64_t now_ms)
{
    c->ready &= ~(unsigned)WATCH_READ;
    if (c->state == CONN_GONE)
        return;
    if (c->transport->writes_by_reading)
        c->is_blocked = false;
    if (c->state == CONN_UP && (session_wants(c->session) & (SESSION_READ | SESSION_LISTEN)) == 0)
        return; /* that was before it stopped wanting */
    size_t room;
    bool is_bulk = c->state == CONN_UP && session_room(c->session, &room) != NULL;
    if (is_bulk || conn_read_some(c, scratch, now_ms))
        conn_read_bulk(c, scratch, now_ms);
}

void conn_tick(struct conn *c, uint64_t now_ms)
{
    session_tick(c->session, now_ms);
    if (now_ms >= c->close_by_ms)
        conn_drop(c);
}

/* Writes until nothing is left, the socket is full, or it is the others' turn; false: the socket is broken. */
static bool conn_write(struct conn *c)
{
    size_t budget = CONN_TURN_BYTES;
    bool has_written = false;
    session_turn(c->session);
    while (!c->is_blocked && budget > 0 && (session_wants(c->session) & SESSION_WRITE) != 0) {
        struct iovec iov[CONN_IOV_MAX];
        int n = session_gather(c->session, iov, CONN_IOV_MAX);
        if (n == 0)
            break;
        size_t size = 0;
        for (int i = 0; i < n; i++)
            size += iov[i].iov_len;
        ssize_t done = c->transport->kind->writev(c->transport, iov, n);
        if (done < 0 && done != -EAGAIN)
            return false;
        if (done > 0) {
            session_wrote(c->session, (size_t)done);
            has_written = true;
            budget = budget > (size_t)done ? budget - (size_t)done : 0;
        }
        c->is_blocked = done < 0 || (size_t)done < size;
    }
    if (has_written)
        session_turn(c->session); /* what the socket has taken opens the window */
    return true;
}

static void conn_shut_down(struct conn *c, uint64_t now_ms)
{
    c->transport->kind->shutdown(c->transport);
    c->state = CONN_DRAINING;
    c->close_by_ms = now_ms + CONN_DRAIN_MS;
    intake_fini(&c->in);
    c->is_paused = false;
    watch_set(c->watch, WATCH_READ);
}

/* The peer takes nothing more.  It may have said something before that, an acknowledgement perhaps, which is read
 * still: the end of it is the connection's. */
static bool conn_hear_out(struct conn *c, unsigned wants)
{
    if ((wants & SESSION_READ) == 0 || (wants & (SESSION_CLOSE | SESSION_ABORT)) != 0)
        conn_drop(c);
    else
        watch_set(c->watch, WATCH_READ);
    if (c->transport != NULL && c->transport->has_more)
        c->ready |= WATCH_READ;
    return false;
}

/* The socket can be written, which reading may have waited for too. */
static void conn_unblock(struct conn *c)
{
    c->ready &= ~(unsigned)WATCH_WRITE;
    c->is_blocked = false;
    if (c->transport != NULL && c->transport->reads_by_writing)
        c->ready |= WATCH_READ;
}

/* What the socket must be watched for, and whether there is something to be read besides. */
static void conn_watch(struct conn *c, unsigned wants)
{
    const struct transport *t = c->transport;
    bool will_read = (wants & (SESSION_READ | SESSION_LISTEN)) != 0;
    bool waits_to_write = (c->is_blocked && !t->writes_by_reading) || (will_read && t->reads_by_writing);
    bool waits_to_read = will_read || (c->is_blocked && t->writes_by_reading);
    watch_set(c->watch, (waits_to_read ? WATCH_READ : 0U) | (waits_to_write ? WATCH_WRITE : 0U));
    if (will_read && t->has_more)
        c->ready |= WATCH_READ;
}

bool conn_serve(struct conn *c, uint64_t now_ms)
{
    if ((c->ready & WATCH_WRITE) != 0)
        conn_unblock(c);
    if (c->state != CONN_UP)
        return false;
    if (!c->is_broken && !conn_write(c))
        c->is_broken = true;
    unsigned wants = session_wants(c->session);
    if (c->is_broken)
        return conn_hear_out(c, wants);
    if (c->is_paused && (wants & SESSION_READ) != 0) {
        conn_feed(c, intake_left(&c->in), now_ms);
        wants = session_wants(c->session);
        if (!c->is_blocked && (wants & SESSION_ABORT) == 0)
            return true;
    }
    if ((wants & SESSION_ABORT) != 0) {
        conn_drop(c);
        return false;
    }
    if ((wants & SESSION_CLOSE) != 0) {
        if ((wants & SESSION_WRITE) == 0) {
            conn_shut_down(c, now_ms);
            return false;
        }
        if (c->close_by_ms == UINT64_MAX)
            c->close_by_ms = now_ms + SESSION_CLOSE_MS; /* for a peer that does not even read that it is closed */
    }
    conn_watch(c, wants);
    return !c->is_blocked && (wants & SESSION_WRITE) != 0;
}

uint64_t conn_deadline(const struct conn *c)
{
    uint64_t of_session = session_deadline(c->session);
    return of_session < c->close_by_ms ? of_session : c->close_by_ms;
}

bool conn_is_over(const struct conn *c)
{
    return c->state == CONN_GONE && session_is_over(c->session);
}
