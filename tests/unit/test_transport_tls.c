/* The TLS transport over a socket pair with little room, against a client of OpenSSL's. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/transport.h"
#include "tests/unit/tls_rig.h"

enum { RECORD = 16384, ALL = 1 << 20 };

struct pair {
    struct rig rig;
    struct tls *tls;
    SSL_CTX *context;
    struct hands hands; /* the server's side is the transport's now */
    struct transport *t;
};

static uint8_t out[ALL], in[ALL], scattered[64 * 100200];

/* What the client has got by now, behind so many bytes. */
static size_t client_reads(const struct pair *p, size_t at)
{
    for (;;) {
        ERR_clear_error();
        int n = SSL_read(p->hands.client, in + at, (int)(ALL - at));
        if (n <= 0)
            return at;
        at += (size_t)n;
    }
}

static void set_up(struct pair *p, int version)
{
    char *error;
    rig_up(&p->rig);
    p->tls = tls_create(&p->rig.config, &error);
    assert_non_null(p->tls);
    p->context = rig_client(&p->rig, NULL);
    SSL_CTX_set_max_proto_version(p->context, version);
    SSL_CTX_set_mode(p->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    hands_shake(&p->hands, p->tls, p->context, NULL);
    assert_true(p->hands.is_done);
    p->t = transport_tls_create(p->hands.fds[0], p->hands.server);
    p->hands.server = NULL;
    for (size_t i = 0; i < ALL; i++)
        out[i] = (uint8_t)(i * 7 + i / 251);
    assert_true(p->t->has_more); /* what the handshake may have read */
    assert_int_equal(p->t->kind->read(p->t, in, ALL), -EAGAIN);
    assert_false(p->t->has_more);
    client_reads(p, 0); /* tickets */
}

static void tear_down(struct pair *p)
{
    if (p->t != NULL)
        p->t->kind->destroy(p->t);
    SSL_free(p->hands.client);
    if (p->hands.fds[1] >= 0)
        close(p->hands.fds[1]);
    SSL_CTX_free(p->context);
    tls_unref(p->tls);
    rig_down(&p->rig);
}

static void client_says(const struct pair *p, size_t from, size_t n)
{
    ERR_clear_error();
    assert_int_equal(SSL_write(p->hands.client, out + from, (int)n), n);
}

TEST(a_read_takes_all_records_there_are)
{
    struct pair p;
    set_up(&p, 0);
    client_says(&p, 0, 100);
    client_says(&p, 100, RECORD);
    client_says(&p, 100 + RECORD, 1);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), RECORD + 101);
    assert_memory_equal(in, out, RECORD + 101);
    assert_false(p.t->has_more);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), -EAGAIN);
    tear_down(&p);
}

TEST(a_read_into_pieces_fills_one_after_another)
{
    struct pair p;
    struct iovec two[] = {{.iov_base = in, .iov_len = 1000}, {.iov_base = in + 1000, .iov_len = RECORD}};
    set_up(&p, 0);
    client_says(&p, 0, 500);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), 500);
    assert_false(p.t->has_more);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), -EAGAIN);
    client_says(&p, 0, 1000);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), 1000);
    assert_false(p.t->has_more);
    client_says(&p, 0, 1500);
    client_says(&p, 1500, RECORD);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), RECORD + 1000);
    assert_memory_equal(in, out, RECORD + 1000);
    assert_true(p.t->has_more);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), 500);
    assert_memory_equal(in, out + RECORD + 1000, 500);
    tear_down(&p);
}

/* Between the pieces, too: it is not lost, and the socket will not say so. */
TEST(an_end_behind_the_first_piece_is_told_the_next_time)
{
    struct pair p;
    struct iovec two[] = {{.iov_base = in, .iov_len = 10}, {.iov_base = in + 10, .iov_len = 10}};
    set_up(&p, 0);
    client_says(&p, 0, 10);
    SSL_shutdown(p.hands.client);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), 10);
    assert_true(p.t->has_more);
    assert_int_equal(p.t->kind->readv(p.t, two, 2), 0);
    tear_down(&p);
}

/* The socket is silent, and yet there is more. */
TEST(what_is_decrypted_and_did_not_fit_is_not_forgotten)
{
    struct pair p;
    set_up(&p, 0);
    client_says(&p, 0, 1000);
    client_says(&p, 1000, 1000);
    for (size_t got = 0; got < 2000; got += 10) {
        assert_int_equal(p.t->kind->read(p.t, in, 10), 10);
        assert_memory_equal(in, out + got, 10);
        assert_true(p.t->has_more);
        char c;
        assert_int_equal(recv(p.t->fd, &c, 1, MSG_PEEK), -1);
        assert_int_equal(errno, EAGAIN);
    }
    assert_int_equal(p.t->kind->read(p.t, in, 10), -EAGAIN);
    assert_false(p.t->has_more);
    tear_down(&p);
}

TEST(half_a_record_is_waited_for)
{
    struct pair p;
    set_up(&p, 0);
    /* the client's bytes go to a pipe of ours first, and on from there in pieces */
    int pipe_fds[2];
    uint8_t raw[2000];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pipe_fds), 0);
    SSL_set_fd(p.hands.client, pipe_fds[0]);
    client_says(&p, 0, 1000);
    ssize_t n = read(pipe_fds[1], raw, sizeof raw);
    assert_true(n > 1000);
    for (ssize_t i = 0; i < n; i++) {
        assert_int_equal(p.t->kind->read(p.t, in, ALL), -EAGAIN);
        assert_false(p.t->has_more);
        assert_int_equal(write(p.hands.fds[1], raw + i, 1), 1);
    }
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 1000);
    assert_memory_equal(in, out, 1000);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    tear_down(&p);
}

/* Pieces of all sizes, a socket that is full again and again: what arrives is what was written, once. */
static void write_all(struct pair *p, size_t piece, int room)
{
    setsockopt(p->t->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    size_t done = 0, got = 0;
    unsigned stuck = 0;
    while (done < ALL) {
        struct iovec iov[64];
        int n = 0;
        for (size_t at = done; n < 64 && at < ALL; n++) {
            size_t len = n % 7 == 3 ? 0 : n % 5 == 4 ? 40000 : piece; /* an empty one, a large one, small ones */
            if (len > ALL - at)
                len = ALL - at;
            /* nothing of it behind or before what belongs there */
            uint8_t *to = scattered + (size_t)n * 100100 + 7;
            memset(to - 7, 0xee, len + 14);
            memcpy(to, out + at, len);
            iov[n] = (struct iovec){.iov_base = to, .iov_len = len};
            at += len;
        }
        ssize_t taken = p->t->kind->writev(p->t, iov, n);
        if (taken == -EAGAIN) {
            stuck++;
            assert_false(p->t->writes_by_reading);
            got = client_reads(p, got);
        } else {
            assert_true(taken > 0);
            done += (size_t)taken;
        }
    }
    assert_true(stuck > 0);
    assert_int_equal(client_reads(p, got), ALL);
    assert_memory_equal(in, out, ALL);
}

TEST(what_is_written_arrives_whatever_its_pieces)
{
    static const size_t pieces[] = {1, 100, 5000, RECORD, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct pair p;
        set_up(&p, i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        write_all(&p, pieces[i], 8192); /* less than a record */
        tear_down(&p);
        set_up(&p, 0);
        write_all(&p, pieces[i], 100000); /* several */
        tear_down(&p);
    }
}

/* Bytes on the wire: many small pieces share records. */
TEST(small_pieces_share_a_record)
{
    struct pair p;
    set_up(&p, 0);
    struct iovec iov[64];
    for (int i = 0; i < 64; i++)
        iov[i] = (struct iovec){.iov_base = out + 20 * i, .iov_len = 20};
    assert_int_equal(p.t->kind->writev(p.t, iov, 64), 64 * 20);
    uint8_t raw[4000];
    ssize_t n = recv(p.hands.fds[1], raw, sizeof raw, MSG_PEEK);
    assert_true(n > 64 * 20 && n < 64 * 20 + 64);
    assert_int_equal(client_reads(&p, 0), 64 * 20);
    assert_memory_equal(in, out, 64 * 20);
    tear_down(&p);
}

TEST(a_large_piece_is_a_record_of_its_own)
{
    static const int records[] = {12000, RECORD, 20000 - (RECORD - 10)};
    struct pair p;
    set_up(&p, 0);
    struct iovec iov[] = {{.iov_base = out, .iov_len = 12000},
                          {.iov_base = out + 12000, .iov_len = 10},
                          {.iov_base = out + 12010, .iov_len = 20000}};
    assert_int_equal(p.t->kind->writev(p.t, iov, 3), 32010);
    size_t got = 0;
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        assert_int_equal(SSL_read(p.hands.client, in + got, ALL), records[i]);
        got += (size_t)records[i];
    }
    assert_memory_equal(in, out, 32010);
    tear_down(&p);
}

TEST(what_must_come_again_and_does_not_is_an_error)
{
    struct pair p;
    set_up(&p, 0);
    ssize_t n;
    size_t done = 0;
    while ((n = p.t->kind->writev(p.t, &(struct iovec){.iov_base = out + done, .iov_len = RECORD}, 1)) > 0)
        done += (size_t)n;
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(p.t->kind->writev(p.t, &(struct iovec){.iov_base = out + done, .iov_len = 10}, 1), -EINVAL);
    tear_down(&p);
}

/* The client wants them in the middle of a record that could not be written. */
TEST(new_keys_do_not_break_what_is_under_way)
{
    struct pair p;
    set_up(&p, TLS1_3_VERSION);
    size_t done = 0, got = 0;
    ssize_t n;
    while ((n = p.t->kind->writev(p.t, &(struct iovec){.iov_base = out + done, .iov_len = 100}, 1)) > 0)
        done += (size_t)n;
    assert_int_equal(n, -EAGAIN);
    SSL_key_update(p.hands.client, SSL_KEY_UPDATE_REQUESTED);
    client_says(&p, 0, 100);
    assert_int_equal(p.t->kind->read(p.t, in + ALL / 2, ALL / 2), 100);
    while (done < ALL / 2) {
        got = client_reads(&p, got);
        n = p.t->kind->writev(p.t, &(struct iovec){.iov_base = out + done, .iov_len = ALL / 2 - done}, 1);
        assert_true(n > 0 || n == -EAGAIN);
        done += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(client_reads(&p, got), ALL / 2);
    assert_memory_equal(in, out, ALL / 2);
    tear_down(&p);
}

TEST(an_orderly_end_is_told_from_one_that_was_cut)
{
    struct pair p;
    set_up(&p, 0);
    client_says(&p, 0, 10);
    SSL_shutdown(p.hands.client);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 10);
    assert_true(p.t->has_more); /* the end, which the socket does not show */
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 0);
    assert_int_equal(p.t->kind->writev(p.t, &(struct iovec){.iov_base = out, .iov_len = 10}, 1), 10);
    tear_down(&p);

    set_up(&p, 0);
    client_says(&p, 0, 10);
    close(p.hands.fds[1]);
    p.hands.fds[1] = -1;
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 10);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), -ECONNABORTED);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), -ECONNABORTED);
    tear_down(&p);
}

TEST(bytes_that_somebody_has_changed_are_not_read)
{
    struct pair p;
    set_up(&p, 0);
    client_says(&p, 0, 10);
    assert_int_equal(write(p.hands.fds[1], "\x17\x03\x03\0\x20not what it should be at all, is it", 37), 37);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 10);
    assert_true(p.t->has_more);
    assert_int_equal(p.t->kind->read(p.t, in, ALL), -EPROTO);
    assert_int_equal(p.t->kind->writev(p.t, &(struct iovec){.iov_base = out, .iov_len = 10}, 1), -EPROTO);
    p.t->kind->shutdown(p.t);
    tear_down(&p);
}

TEST(closing_says_so)
{
    struct pair p;
    set_up(&p, 0);
    p.t->kind->writev(p.t, &(struct iovec){.iov_base = out, .iov_len = 10}, 1);
    p.t->kind->shutdown(p.t);
    assert_int_equal(client_reads(&p, 0), 10);
    ERR_clear_error();
    int n = SSL_read(p.hands.client, in, 1);
    assert_int_equal(SSL_get_error(p.hands.client, n), SSL_ERROR_ZERO_RETURN);
    char c;
    assert_int_equal(recv(p.hands.fds[1], &c, 1, 0), 0);
    client_says(&p, 0, 5); /* it may still talk */
    assert_int_equal(p.t->kind->read(p.t, in, ALL), 5);
    tear_down(&p);
}

TEST(a_socket_that_broke_stays_broken)
{
    struct pair p;
    set_up(&p, 0);
    close(p.hands.fds[1]);
    p.hands.fds[1] = -1;
    assert_int_equal(p.t->kind->writev(p.t, &(struct iovec){.iov_base = out, .iov_len = 10}, 1), -EPIPE);
    assert_int_equal(p.t->kind->writev(p.t, &(struct iovec){.iov_base = out, .iov_len = 10}, 1), -EPIPE);
    tear_down(&p);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_takes_all_records_there_are),
        cmocka_unit_test(a_read_into_pieces_fills_one_after_another),
        cmocka_unit_test(an_end_behind_the_first_piece_is_told_the_next_time),
        cmocka_unit_test(what_is_decrypted_and_did_not_fit_is_not_forgotten),
        cmocka_unit_test(half_a_record_is_waited_for),
        cmocka_unit_test(what_is_written_arrives_whatever_its_pieces),
        cmocka_unit_test(small_pieces_share_a_record),
        cmocka_unit_test(a_large_piece_is_a_record_of_its_own),
        cmocka_unit_test(what_must_come_again_and_does_not_is_an_error),
        cmocka_unit_test(new_keys_do_not_break_what_is_under_way),
        cmocka_unit_test(an_orderly_end_is_told_from_one_that_was_cut),
        cmocka_unit_test(bytes_that_somebody_has_changed_are_not_read),
        cmocka_unit_test(closing_says_so),
        cmocka_unit_test(a_socket_that_broke_stays_broken),
    };
    return unit_main("transport_tls", tests, argc, argv);
}
