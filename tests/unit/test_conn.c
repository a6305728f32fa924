/* Connections over a socket pair, with a session that does as each test says. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/conn.h"

enum { OUT_MAX = 4 << 20, SMALL = 1000, NOW = 1000 };

/* ---- The session that stands in. */

struct session {
    unsigned wants;
    char fed[256]; /* all that was taken, if it is text */
    size_t fed_bytes;
    size_t take; /* how much one call takes at most */
    bool is_lost, is_over;
    uint64_t deadline, ticked;
    unsigned turns;
    const uint8_t *out;
    size_t out_len;
    struct bytes last; /* the view that was fed last */
    uint8_t *room;     /* where it wants to be read to … */
    size_t room_len;   /* … so many bytes */
};

size_t session_feed(struct session *s, struct bytes in, uint64_t now)
{
    assert_int_equal(now, NOW);
    if ((s->wants & SESSION_READ) == 0)
        return 0;
    s->last = in;
    size_t n = in.len < s->take ? in.len : s->take;
    if (s->fed_bytes + n < sizeof s->fed)
        memcpy(s->fed + s->fed_bytes, in.at, n);
    s->fed_bytes += n;
    return n;
}

uint8_t *session_room(struct session *s, size_t *n)
{
    *n = s->room_len;
    return s->room_len > 0 && (s->wants & SESSION_READ) != 0 ? s->room : NULL;
}

void session_got(struct session *s, size_t n, uint64_t now)
{
    assert_int_equal(now, NOW);
    assert_true(n > 0 && n <= s->room_len);
    s->room += n;
    s->room_len -= n;
}

void session_turn(struct session *s)
{
    s->turns++;
}

int session_gather(struct session *s, struct iovec *iov, int max)
{
    assert_true(max >= 2);
    size_t half = s->out_len / 2;
    iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)s->out, .iov_len = half};
    iov[1] = (struct iovec){.iov_base = (void *)(uintptr_t)(s->out + half), .iov_len = s->out_len - half};
    return 2;
}

void session_wrote(struct session *s, size_t bytes)
{
    assert_true(bytes <= s->out_len);
    s->out += bytes;
    s->out_len -= bytes;
}

uint64_t session_deadline(const struct session *s)
{
    return s->deadline;
}

void session_tick(struct session *s, uint64_t now)
{
    s->ticked = now;
}

unsigned session_wants(const struct session *s)
{
    return s->wants | (s->out_len > 0 && !s->is_lost ? (unsigned)SESSION_WRITE : 0U);
}

void session_lost(struct session *s)
{
    s->is_lost = true;
    s->out_len = 0;
}

bool session_is_over(const struct session *s)
{
    return s->is_over;
}

void session_destroy(struct session *s)
{
    (void)s;
}

/* ---- A connection to it. */

static uint8_t scratch[SCRATCH_BYTES], output[OUT_MAX];

struct pair {
    struct session session;
    struct poller *poller;
    struct conn *conn;
    int peer;
    unsigned ready; /* as the watch says */
};

static void on_ready(void *arg, unsigned what)
{
    struct pair *p = arg;
    p->ready |= what;
    p->conn->ready |= what;
}

static void set_up(struct pair *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *p = (struct pair){.peer = fds[1]};
    p->session = (struct session){.wants = SESSION_READ, .take = SIZE_MAX, .deadline = UINT64_MAX};
    p->poller = poller_create();
    p->conn = conn_create(transport_plain_create(fds[0]));
    p->conn->session = &p->session;
    p->conn->watch = watch_create(p->poller, fds[0], on_ready, p);
    assert_false(conn_serve(p->conn, NOW));
}

static void tear_down(struct pair *p)
{
    conn_drop(p->conn);
    p->session.is_over = true;
    conn_destroy(p->conn);
    poller_destroy(p->poller);
    if (p->peer >= 0)
        close(p->peer);
}

static void peer_says(const struct pair *p, const char *text)
{
    assert_int_equal(write(p->peer, text, strlen(text)), strlen(text));
}

/* What the socket is ready for, as far as the connection wants to know. */
static unsigned look(struct pair *p)
{
    p->ready = 0;
    poller_turn(p->poller, 0);
    return p->ready;
}

/* Looks, reads if there is something to be read, serves. */
static bool turn(struct pair *p)
{
    if ((look(p) & WATCH_READ) != 0)
        conn_read(p->conn, scratch, NOW);
    return conn_serve(p->conn, NOW);
}

/* Reads all there is; answers how much. */
static size_t peer_reads(const struct pair *p)
{
    size_t all = 0;
    static char buffer[OUT_MAX];
    for (ssize_t n; (n = read(p->peer, buffer, sizeof buffer)) > 0; all += (size_t)n)
        assert_memory_equal(buffer, output + all, (size_t)n);
    return all;
}

static void session_says(struct pair *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        output[i] = (uint8_t)(i * 7);
    p->session.out = output;
    p->session.out_len = bytes;
}

TEST(what_comes_is_fed_and_what_is_gathered_goes)
{
    struct pair p;
    set_up(&p);
    peer_says(&p, "hello");
    session_says(&p, SMALL);
    assert_false(turn(&p));
    assert_string_equal(p.session.fed, "hello");
    assert_int_equal(peer_reads(&p), SMALL);
    assert_true(p.session.turns >= 2); /* before the writing, and after it for the window */
    assert_null(p.conn->in.at);
    assert_int_equal(look(&p), 0); /* it does not watch for room that it does not need */
    tear_down(&p);
}

/* The session says where it wants what comes, and what comes behind that is fed. */
TEST(what_is_wanted_elsewhere_is_read_there_and_the_rest_is_fed)
{
    struct pair p;
    char room[8] = "";
    set_up(&p);
    p.session.room = (uint8_t *)room;
    p.session.room_len = 7;
    peer_says(&p, "large");
    turn(&p);
    assert_string_equal(room, "large");
    assert_int_equal(p.session.fed_bytes, 0);
    peer_says(&p, "r!then the rest");
    turn(&p);
    assert_string_equal(room, "larger!");
    assert_string_equal(p.session.fed, "then the rest");
    assert_null(p.conn->in.at);
    tear_down(&p);
}

TEST(what_comes_behind_it_and_is_not_taken_is_kept)
{
    struct pair p;
    char room[8] = "";
    set_up(&p);
    p.session.room = (uint8_t *)room;
    p.session.room_len = 2;
    p.session.take = 3;
    peer_says(&p, "--abcdef");
    turn(&p);
    assert_string_equal(p.session.fed, "abc");
    p.session.take = SIZE_MAX;
    peer_says(&p, "ghi");
    turn(&p);
    assert_string_equal(p.session.fed, "abcdefghi");
    tear_down(&p);
}

TEST(one_that_hangs_up_in_the_middle_of_it_is_dropped)
{
    struct pair p;
    char room[8] = "";
    set_up(&p);
    p.session.room = (uint8_t *)room;
    p.session.room_len = 7;
    peer_says(&p, "half");
    close(p.peer);
    p.peer = -1;
    turn(&p);
    assert_string_equal(room, "half");
    turn(&p);
    assert_true(p.session.is_lost);
    assert_int_equal(p.conn->state, CONN_GONE);
    tear_down(&p);
}

TEST(what_was_not_taken_is_fed_again_with_what_follows)
{
    struct pair p;
    set_up(&p);
    p.session.take = 2;
    peer_says(&p, "abc");
    turn(&p);
    peer_says(&p, "def");
    turn(&p);
    assert_string_equal(p.session.fed, "abcd");
    assert_int_equal(p.session.last.len, 4);
    tear_down(&p);
}

TEST(a_session_that_does_not_want_to_read_is_left_alone)
{
    struct pair p;
    set_up(&p);
    p.session.take = 2;
    peer_says(&p, "abcd");
    assert_int_equal(look(&p), WATCH_READ);
    conn_read(p.conn, scratch, NOW);
    p.session.wants = 0;
    conn_serve(p.conn, NOW);
    peer_says(&p, "ef");
    assert_int_equal(look(&p), 0);
    assert_string_equal(p.session.fed, "ab");
    tear_down(&p);
}

TEST(what_a_pause_left_over_is_fed_without_new_bytes)
{
    struct pair p;
    set_up(&p);
    peer_says(&p, "abcd");
    p.session.wants = 0;
    conn_serve(p.conn, NOW);
    p.session.wants = SESSION_READ;
    conn_serve(p.conn, NOW);
    p.session.take = 2;
    look(&p);
    p.conn->ready = WATCH_READ;
    conn_read(p.conn, scratch, NOW);
    assert_string_equal(p.session.fed, "ab");
    p.conn->is_paused = true; /* as if it had stopped wanting in the middle of it */
    assert_true(conn_serve(p.conn, NOW));
    assert_string_equal(p.session.fed, "abcd");
    assert_false(conn_serve(p.conn, NOW));
    tear_down(&p);
}

TEST(a_full_socket_is_waited_for_and_nothing_is_lost)
{
    struct pair p;
    set_up(&p);
    session_says(&p, OUT_MAX);
    conn_serve(p.conn, NOW);
    assert_true(p.conn->is_blocked);
    assert_int_equal(look(&p), 0);
    size_t all = 0;
    static uint8_t got[OUT_MAX];
    while (all < OUT_MAX) {
        ssize_t n = read(p.peer, got + all, sizeof got - all);
        if (n > 0)
            all += (size_t)n;
        else
            assert_int_equal(errno, EAGAIN);
        look(&p);
        conn_serve(p.conn, NOW);
    }
    assert_memory_equal(got, output, OUT_MAX);
    assert_false(p.conn->is_blocked);
    tear_down(&p);
}

/* ---- A transport that is not what its socket is. */

struct odd {
    struct transport base;
    const struct transport_kind *plain; /* borrowed: what it is below */
    ssize_t read_answer, write_answer;  /* 0: as plain */
    unsigned reads, writes;
};

static struct odd *odd_of(struct transport *t)
{
    return (struct odd *)(void *)t;
}

static ssize_t odd_read(struct transport *t, void *to, size_t size)
{
    struct odd *o = odd_of(t);
    o->reads++;
    return o->read_answer != 0 ? o->read_answer : o->plain->read(t, to, size);
}

static ssize_t odd_writev(struct transport *t, const struct iovec *iov, int n)
{
    struct odd *o = odd_of(t);
    o->writes++;
    return o->write_answer != 0 ? o->write_answer : o->plain->writev(t, iov, n);
}

static void odd_shutdown(struct transport *t)
{
    odd_of(t)->plain->shutdown(t);
}

static void odd_destroy(struct transport *t)
{
    close(t->fd);
}

static const struct transport_kind odd_kind = {
    .read = odd_read, .writev = odd_writev, .shutdown = odd_shutdown, .destroy = odd_destroy};

static void set_up_odd(struct pair *p, struct odd *o)
{
    set_up(p);
    struct transport *plain = p->conn->transport;
    *o = (struct odd){.base = {.kind = &odd_kind, .fd = plain->fd}, .plain = plain->kind};
    p->conn->transport = &o->base;
    free(plain);
}

TEST(what_the_socket_does_not_show_is_read_in_the_next_turn)
{
    struct pair p;
    struct odd o;
    set_up_odd(&p, &o);
    o.base.has_more = true;
    assert_int_equal(look(&p), 0);
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->ready, WATCH_READ); /* the loop comes back for it */
    peer_says(&p, "ab");
    conn_read(p.conn, scratch, NOW);
    assert_string_equal(p.session.fed, "ab");
    assert_int_equal(p.conn->ready, WATCH_READ);
    o.base.has_more = false;
    conn_read(p.conn, scratch, NOW);
    assert_int_equal(p.conn->ready, 0);

    /* and while the session does not want to read it waits */
    o.base.has_more = true;
    p.session.wants = 0;
    p.conn->ready = WATCH_READ;
    conn_read(p.conn, scratch, NOW);
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->ready, 0);
    p.session.wants = SESSION_READ;
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->ready, WATCH_READ);
    tear_down(&p);
}

TEST(reading_that_waits_for_writing_goes_on_when_there_is_room)
{
    struct pair p;
    struct odd o;
    set_up_odd(&p, &o);
    peer_says(&p, "ab");
    o.read_answer = -EAGAIN;
    o.base.reads_by_writing = true;
    turn(&p);
    assert_int_equal(o.reads, 1);
    p.conn->ready = 0;
    assert_int_equal(look(&p) & WATCH_WRITE, WATCH_WRITE); /* it watches for room, though there is no output */
    p.conn->ready = WATCH_WRITE;
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->ready, WATCH_READ);
    o.read_answer = 0;
    o.base.reads_by_writing = false;
    conn_read(p.conn, scratch, NOW);
    conn_serve(p.conn, NOW);
    assert_string_equal(p.session.fed, "ab");
    assert_int_equal(look(&p), 0);
    tear_down(&p);
}

TEST(writing_that_waits_for_reading_goes_on_when_something_comes)
{
    struct pair p;
    struct odd o;
    set_up_odd(&p, &o);
    p.session.wants = 0; /* it does not even want to read */
    session_says(&p, SMALL);
    o.write_answer = -EAGAIN;
    o.base.writes_by_reading = true;
    conn_serve(p.conn, NOW);
    assert_true(p.conn->is_blocked);
    assert_int_equal(look(&p), 0); /* room is not what it waits for */
    peer_says(&p, "x");
    assert_int_equal(look(&p), WATCH_READ);
    o.write_answer = 0;
    conn_read(p.conn, scratch, NOW);
    conn_serve(p.conn, NOW);
    o.base.writes_by_reading = false;
    assert_int_equal(peer_reads(&p), SMALL);
    assert_int_equal(p.session.fed_bytes, 0);
    tear_down(&p);
}

TEST(a_peer_that_goes_is_told_to_the_session)
{
    struct pair p;
    set_up(&p);
    peer_says(&p, "last words");
    close(p.peer);
    p.peer = -1;
    turn(&p);
    assert_string_equal(p.session.fed, "last words");
    assert_false(p.session.is_lost);
    turn(&p);
    assert_true(p.session.is_lost);
    assert_int_equal(p.conn->state, CONN_GONE);
    assert_false(conn_is_over(p.conn)); /* the model still has something for it */
    p.session.is_over = true;
    assert_true(conn_is_over(p.conn));
    tear_down(&p);
}

TEST(what_was_said_before_a_socket_broke_is_heard)
{
    struct pair p;
    set_up(&p);
    peer_says(&p, "last words");
    close(p.peer);
    p.peer = -1;
    session_says(&p, SMALL);
    assert_false(conn_serve(p.conn, NOW)); /* cannot be written */
    assert_false(p.session.is_lost);
    turn(&p);
    assert_string_equal(p.session.fed, "last words");
    turn(&p);
    assert_true(p.session.is_lost);
    assert_int_equal(p.conn->state, CONN_GONE);
    tear_down(&p);
}

TEST(who_only_listens_keeps_what_comes_and_hears_the_end)
{
    struct pair p;
    set_up(&p);
    p.session.wants = SESSION_LISTEN;
    conn_serve(p.conn, NOW);
    peer_says(&p, "one ");
    turn(&p);
    peer_says(&p, "two");
    turn(&p);
    assert_int_equal(p.session.fed_bytes, 0);
    p.session.wants = SESSION_READ;
    while (turn(&p))
        ;
    assert_int_equal(p.session.fed_bytes, 7);
    assert_memory_equal(p.session.fed, "one two", 7);
    p.session.wants = SESSION_LISTEN;
    conn_serve(p.conn, NOW);
    close(p.peer);
    p.peer = -1;
    turn(&p);
    assert_true(p.session.is_lost);
    tear_down(&p);
}

TEST(closing_writes_all_shuts_down_and_drains)
{
    struct pair p;
    set_up(&p);
    session_says(&p, SMALL);
    p.session.wants = SESSION_READ | SESSION_CLOSE;
    conn_serve(p.conn, NOW);
    assert_int_equal(peer_reads(&p), SMALL);
    assert_int_equal(p.conn->state, CONN_DRAINING);
    char c;
    assert_int_equal(read(p.peer, &c, 1), 0);
    peer_says(&p, "nobody listens");
    turn(&p);
    assert_int_equal(p.session.fed_bytes, 0);
    assert_int_equal(conn_deadline(p.conn), NOW + CONN_DRAIN_MS);
    close(p.peer);
    p.peer = -1;
    turn(&p);
    turn(&p);
    assert_int_equal(p.conn->state, CONN_GONE);
    tear_down(&p);
}

TEST(a_peer_that_never_hangs_up_is_not_waited_for)
{
    struct pair p;
    set_up(&p);
    p.session.wants = SESSION_CLOSE;
    conn_serve(p.conn, NOW);
    conn_tick(p.conn, NOW + CONN_DRAIN_MS - 1);
    assert_int_equal(p.conn->state, CONN_DRAINING);
    conn_tick(p.conn, NOW + CONN_DRAIN_MS);
    assert_int_equal(p.conn->state, CONN_GONE);
    assert_int_equal(p.session.ticked, NOW + CONN_DRAIN_MS);
    tear_down(&p);
}

TEST(a_peer_that_never_reads_is_not_waited_for)
{
    struct pair p;
    set_up(&p);
    session_says(&p, OUT_MAX);
    p.session.wants = SESSION_CLOSE;
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->state, CONN_UP);
    assert_int_equal(conn_deadline(p.conn), NOW + SESSION_CLOSE_MS);
    conn_tick(p.conn, NOW + SESSION_CLOSE_MS);
    assert_int_equal(p.conn->state, CONN_GONE);
    tear_down(&p);
}

TEST(aborting_closes_at_once)
{
    struct pair p;
    set_up(&p);
    p.session.wants = SESSION_ABORT;
    conn_serve(p.conn, NOW);
    assert_int_equal(p.conn->state, CONN_GONE);
    char c;
    assert_int_equal(read(p.peer, &c, 1), 0);
    tear_down(&p);
}

TEST(the_deadline_is_the_session_s)
{
    struct pair p;
    set_up(&p);
    assert_int_equal(conn_deadline(p.conn), UINT64_MAX);
    p.session.deadline = 1234;
    assert_int_equal(conn_deadline(p.conn), 1234);
    conn_tick(p.conn, 1234);
    assert_int_equal(p.session.ticked, 1234);
    tear_down(&p);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_is_fed_and_what_is_gathered_goes),
        cmocka_unit_test(what_is_wanted_elsewhere_is_read_there_and_the_rest_is_fed),
        cmocka_unit_test(what_comes_behind_it_and_is_not_taken_is_kept),
        cmocka_unit_test(one_that_hangs_up_in_the_middle_of_it_is_dropped),
        cmocka_unit_test(what_was_not_taken_is_fed_again_with_what_follows),
        cmocka_unit_test(a_session_that_does_not_want_to_read_is_left_alone),
        cmocka_unit_test(what_a_pause_left_over_is_fed_without_new_bytes),
        cmocka_unit_test(a_full_socket_is_waited_for_and_nothing_is_lost),
        cmocka_unit_test(what_the_socket_does_not_show_is_read_in_the_next_turn),
        cmocka_unit_test(reading_that_waits_for_writing_goes_on_when_there_is_room),
        cmocka_unit_test(writing_that_waits_for_reading_goes_on_when_something_comes),
        cmocka_unit_test(a_peer_that_goes_is_told_to_the_session),
        cmocka_unit_test(what_was_said_before_a_socket_broke_is_heard),
        cmocka_unit_test(who_only_listens_keeps_what_comes_and_hears_the_end),
        cmocka_unit_test(closing_writes_all_shuts_down_and_drains),
        cmocka_unit_test(a_peer_that_never_hangs_up_is_not_waited_for),
        cmocka_unit_test(a_peer_that_never_reads_is_not_waited_for),
        cmocka_unit_test(aborting_closes_at_once),
        cmocka_unit_test(the_deadline_is_the_session_s),
    };
    return unit_main("net/conn", tests, argc, argv);
}
