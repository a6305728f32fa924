/* What happens to a connection before it has a session, over real sockets, on the greeter's own thread. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/net/door.h"
#include "broker/net/greeter.h"
#include "broker/net/tls.h"
#include "broker/net/transport.h"
#include "codec/table.h"
#include "tests/unit/tls_rig.h"

enum { PATIENCE_MS = 20000, FOREVER_MS = 3600000, PASSED_MAX = 64 };

/* Who was passed on, and how many have gone; the greeter's thread adds, the test waits. */
struct house {
    struct rig rig;
    struct greeter *greeter;
    struct address_range range;
    int listener;
    struct sockaddr_in at;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct stranger passed[PASSED_MAX];
    unsigned n_passed, n_gone;
};

static void on_pass(void *arg, struct stranger *s)
{
    struct house *h = arg;
    pthread_mutex_lock(&h->lock);
    assert_true(h->n_passed < PASSED_MAX);
    h->passed[h->n_passed++] = *s;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void on_gone(void *arg)
{
    struct house *h = arg;
    pthread_mutex_lock(&h->lock);
    h->n_gone++;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void wait_until(struct house *h, unsigned passed, unsigned gone)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&h->lock);
    while (h->n_passed < passed || h->n_gone < gone)
        if (pthread_cond_timedwait(&h->changed, &h->lock, &end) != 0)
            break;
    unsigned is_passed = h->n_passed, is_gone = h->n_gone;
    pthread_mutex_unlock(&h->lock);
    assert_int_equal(is_passed, passed);
    assert_int_equal(is_gone, gone);
}

static void set_up(struct house *h, uint64_t handshake_ms, uint64_t tls_ms, const char *proxies)
{
    *h = (struct house){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    rig_up(&h->rig);
    h->rig.config.verify_peer = true;
    char *error;
    struct greeter_config gc = {.tls = tls_create(&h->rig.config, &error),
                                .handshake_ms = handshake_ms,
                                .tls_handshake_ms = tls_ms,
                                .pass = on_pass,
                                .gone = on_gone,
                                .arg = h};
    assert_non_null(gc.tls);
    if (proxies != NULL) {
        assert_true(address_range_parse(proxies, &h->range));
        gc.proxies = &h->range;
        gc.n_proxies = 1;
    }
    h->greeter = greeter_create(&gc);
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    h->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof h->at;
    assert_int_equal(bind(h->listener, (struct sockaddr *)&h->at, len), 0);
    assert_int_equal(listen(h->listener, 1000), 0);
    assert_int_equal(getsockname(h->listener, (struct sockaddr *)&h->at, &len), 0);
}

static void tear_down(struct house *h)
{
    greeter_destroy(h->greeter);
    for (unsigned i = 0; i < h->n_passed; i++)
        stranger_fini(&h->passed[i]);
    close(h->listener);
    rig_down(&h->rig);
}

/* A client's socket; its other end goes to the greeter. */
static int arrive(struct house *h, struct greeting how)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&h->at, sizeof h->at), 0);
    struct address from = {.len = sizeof from.storage};
    int peer = accept4(h->listener, (struct sockaddr *)&from.storage, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(peer >= 0);
    greeter_take(h->greeter, peer, &from, how);
    return fd;
}

static void say(int fd, const void *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

/* Waits for bytes, or the end (0). */
static ssize_t hear(int fd, void *to, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    return recv(fd, to, n, 0);
}

static const struct greeting TLS = {.is_tls = true}, PROXY = {.has_proxy = true},
                             BOTH = {.is_tls = true, .has_proxy = true};

/* A client's whole handshake, blocking. */
static SSL *shake(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static void assert_fact(struct bytes facts, const char *key, const char *value)
{
    struct field f;
    if (!table_find(facts, bytes_of_string(key), &f))
        fail_msg("no %s", key);
    assert_int_equal(f.type, 'S');
    assert_true(bytes_equal(f.bytes, bytes_of_string(value)));
}

TEST(a_tls_client_is_passed_on_with_what_is_known_of_it)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    SSL_CTX *context = rig_client(&h.rig, &h.rig.client);
    int fd = arrive(&h, TLS);
    SSL *ssl = shake(context, fd);
    assert_non_null(ssl);
    assert_int_equal(SSL_write(ssl, "hello", 5), 5);
    wait_until(&h, 1, 0);
    struct stranger *s = &h.passed[0];
    struct peer_room room;
    struct session_peer p = peer_for_session(&s->peer, &room);
    assert_true(p.is_tls && p.is_loopback);
    assert_string_equal(p.certificate_name, "CN=client,O=org");
    assert_null(p.certificate_fault);
    assert_int_equal(p.place.len, ADDRESS_GROUP_BYTES);
    assert_memory_equal(p.place.at, "\x04\x7f\0\0\x01\0\0\0\0", 9);
    assert_true(table_check(p.facts, 1));
    assert_fact(p.facts, "host", "127.0.0.1");
    assert_fact(p.facts, "peer_host", "127.0.0.1");
    assert_fact(p.facts, "ssl_protocol", "tlsv1.3");
    assert_fact(p.facts, "ssl_cipher", "aes_256_gcm");
    assert_fact(p.facts, "ssl_key_exchange", "any");
    assert_fact(p.facts, "ssl_hash", "aead");
    assert_fact(p.facts, "peer_cert_subject", "CN=client,O=org");
    assert_fact(p.facts, "peer_cert_issuer", "CN=ca");
    struct field f;
    assert_true(table_find(p.facts, BYTES("ssl"), &f) && f.type == 't' && f.boolean);
    assert_true(table_find(p.facts, BYTES("port"), &f) && f.integer == ntohs(h.at.sin_port));
    char got[16];
    struct pollfd ready = {.fd = s->transport->fd, .events = POLLIN};
    ssize_t n;
    while ((n = s->transport->kind->read(s->transport, got, sizeof got)) == -EAGAIN)
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    assert_int_equal(n, 5);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(context);
    tear_down(&h);
}

TEST(nobody_waits_for_somebody_who_does_not_speak)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    enum { SILENT = 100 };
    int silent[SILENT];
    static const uint8_t half[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    for (int i = 0; i < SILENT; i++) {
        silent[i] = arrive(&h, TLS);
        if (i % 2 == 0)
            say(silent[i], half, sizeof half); /* half a ClientHello */
    }
    SSL_CTX *context = rig_client(&h.rig, NULL);
    int fd = arrive(&h, TLS);
    SSL *ssl = shake(context, fd);
    assert_non_null(ssl);
    wait_until(&h, 1, 0); /* and all the others are there still */
    struct peer_room room;
    assert_string_equal(peer_for_session(&h.passed[0].peer, &room).certificate_fault,
                        "connection peer presented no TLS (x.509) certificate");
    for (int i = 0; i < SILENT; i++)
        close(silent[i]);
    wait_until(&h, 1, SILENT);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(context);
    tear_down(&h);
}

TEST(a_deadline_holds_whatever_is_sent)
{
    struct house h;
    set_up(&h, FOREVER_MS, 200, NULL);
    int silent = arrive(&h, TLS), dripping = arrive(&h, TLS);
    struct pollfd gone = {.fd = dripping, .events = POLLIN};
    static const uint8_t hello[] = {0x16, 3, 1, 0x3f, 0, 1, 0, 0x3e, 0xfc, 3, 3};
    for (size_t i = 0; poll(&gone, 1, 20) == 0; i++)
        send(dripping, i < sizeof hello ? &hello[i] : (const uint8_t *)"", 1, MSG_NOSIGNAL);
    wait_until(&h, 0, 2);
    char c;
    assert_int_equal(hear(silent, &c, 1), 0);
    close(silent);
    close(dripping);
    tear_down(&h);
}

TEST(the_shorter_of_both_deadlines_counts)
{
    struct house h;
    set_up(&h, 100, FOREVER_MS, "127.0.0.0/8");
    int a = arrive(&h, TLS), b = arrive(&h, PROXY);
    wait_until(&h, 0, 2);
    close(a);
    close(b);
    tear_down(&h);
}

TEST(what_is_no_tls_is_sent_away_in_an_orderly_manner)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    static const char *const said[] = {"AMQP\0\0\x09\x01", "GET / HTTP/1.1\r\n\r\n", "\x80\x2e\x01\3\1\0\x15\0",
                                       "\0\0\0\0\0\0\0\0"};
    for (unsigned i = 0; i < sizeof said / sizeof said[0]; i++) {
        int fd = arrive(&h, TLS);
        char c;
        say(fd, said[i], i == 1 ? 18 : 8);
        assert_int_equal(hear(fd, &c, 1), 0); /* the end, and no reset */
        close(fd);
        wait_until(&h, 0, i + 1);
    }
    tear_down(&h);
}

TEST(a_client_that_fails_is_told_why)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    struct somebody liar = cert_make(&(struct cert_wish){.subject = "CN=client,O=org"}, NULL);
    for (unsigned i = 0; i < 2; i++) {
        SSL_CTX *context = rig_client(&h.rig, &liar);
        SSL_CTX_set_max_proto_version(context, i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        int fd = arrive(&h, TLS);
        SSL *ssl = SSL_new(context);
        char c;
        SSL_set_fd(ssl, fd);
        int n = SSL_connect(ssl);
        if (n == 1) /* in 1.3 it learns with the first bytes, even if it has said something before */
            n = SSL_write(ssl, "AMQP\0\0\x09\x01", 8) > 0 ? SSL_read(ssl, &c, 1) : -1;
        assert_int_equal(SSL_get_error(ssl, n), SSL_ERROR_SSL);
        SSL_free(ssl);
        close(fd);
        SSL_CTX_free(context);
        wait_until(&h, 0, i + 1);
    }
    cert_drop(&liar);
    tear_down(&h);
}

TEST(a_proxy_says_for_whom_it_speaks)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, "127.0.0.0/8");
    static const char header[] = "PROXY TCP4 192.0.2.7 198.51.100.9 4711 5671\r\n";
    /* all at once, with what follows it */
    int plain = arrive(&h, PROXY);
    say(plain, header, sizeof header - 1);
    wait_until(&h, 1, 0);
    struct peer_room room;
    struct session_peer p = peer_for_session(&h.passed[0].peer, &room);
    assert_string_equal(p.name, "192.0.2.7:4711 -> 198.51.100.9:5671");
    assert_false(p.is_loopback); /* the stated address counts */
    assert_false(p.is_tls);
    assert_string_equal(p.certificate_fault, "not a TLS-enabled connection");
    assert_fact(p.facts, "peer_host", "192.0.2.7");
    say(plain, "AMQP", 4);
    char got[8];
    struct pollfd ready = {.fd = h.passed[0].transport->fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    assert_int_equal(h.passed[0].transport->kind->read(h.passed[0].transport, got, sizeof got), 4);
    assert_memory_equal(got, "AMQP", 4);
    close(plain);

    /* a byte at a time, and the greeting sits in the same segment as its last one */
    int drip = arrive(&h, PROXY);
    for (size_t i = 0; i + 2 < sizeof header; i++) {
        say(drip, header + i, 1);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* no harm if they come together after all */
    }
    say(drip, "\nAMQP", 5);
    wait_until(&h, 2, 0);
    assert_int_equal(h.passed[1].transport->kind->read(h.passed[1].transport, got, sizeof got), 4);
    assert_memory_equal(got, "AMQP", 4);
    assert_string_equal(peer_for_session(&h.passed[1].peer, &room).name, "192.0.2.7:4711 -> 198.51.100.9:5671");
    close(drip);

    /* and TLS behind it */
    SSL_CTX *context = rig_client(&h.rig, NULL);
    int both = arrive(&h, BOTH);
    say(both, header, sizeof header - 1);
    SSL *ssl = shake(context, both);
    assert_non_null(ssl);
    wait_until(&h, 3, 0);
    p = peer_for_session(&h.passed[2].peer, &room);
    assert_true(p.is_tls && !p.is_loopback);
    SSL_free(ssl);
    close(both);
    SSL_CTX_free(context);
    tear_down(&h);
}

TEST(a_proxy_that_speaks_for_itself_keeps_its_address_and_is_no_loopback)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, "127.0.0.1");
    int fd = arrive(&h, PROXY);
    say(fd, "PROXY UNKNOWN\r\n", 15);
    wait_until(&h, 1, 0);
    struct peer_room hidden;
    assert_true(address_is_loopback(&h.passed[0].peer.from));
    assert_false(peer_for_session(&h.passed[0].peer, &hidden).is_loopback); /* nobody knows who comes through it */
    close(fd);
    tear_down(&h);
}

TEST(who_is_no_proxy_is_not_believed)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, "10.0.0.0/8");
    int fd = arrive(&h, PROXY);
    char c;
    assert_true(hear(fd, &c, 1) <= 0);
    wait_until(&h, 0, 1);
    close(fd);
    tear_down(&h);
    set_up(&h, FOREVER_MS, FOREVER_MS, "127.0.0.0/8");
    fd = arrive(&h, PROXY);
    say(fd, "AMQP\0\0\x09\x01", 8);
    assert_true(hear(fd, &c, 1) <= 0);
    wait_until(&h, 0, 1);
    close(fd);
    char endless[5000];
    memcpy(endless, "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16);
    memset(endless + 16, 0, sizeof endless - 16);
    fd = arrive(&h, PROXY);
    say(fd, endless, sizeof endless);
    wait_until(&h, 0, 2);
    close(fd);
    tear_down(&h);
}

TEST(new_certificates_are_for_new_connections)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    SSL_CTX *context = rig_client(&h.rig, NULL);
    struct somebody next = cert_make(&(struct cert_wish){.subject = "CN=next"}, &h.rig.ca);
    certs_write(h.rig.folder, "server.pem", &next.x, 1); /* does not fit the key yet */
    greeter_reload(h.greeter);
    int fd = arrive(&h, TLS);
    SSL *ssl = shake(context, fd);
    assert_non_null(ssl);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(ssl), h.rig.server.x), 0);
    SSL_free(ssl);
    close(fd);
    certs_write_key(h.rig.folder, "server.key", next.key, NULL);
    greeter_reload(h.greeter);
    fd = arrive(&h, TLS);
    ssl = shake(context, fd);
    assert_non_null(ssl);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(ssl), next.x), 0);
    SSL_free(ssl);
    close(fd);
    wait_until(&h, 2, 0);
    cert_drop(&next);
    SSL_CTX_free(context);
    tear_down(&h);
}

TEST(stopping_closes_who_is_there)
{
    struct house h;
    set_up(&h, FOREVER_MS, FOREVER_MS, NULL);
    int a = arrive(&h, TLS), b = arrive(&h, TLS);
    char c;
    greeter_stop(h.greeter);
    assert_int_equal(hear(a, &c, 1), 0);
    assert_int_equal(hear(b, &c, 1), 0);
    wait_until(&h, 0, 2);
    assert_true(greeter_has_room(h.greeter));
    close(a);
    close(b);
    tear_down(&h);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_NO_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tls_client_is_passed_on_with_what_is_known_of_it),
        cmocka_unit_test(nobody_waits_for_somebody_who_does_not_speak),
        cmocka_unit_test(a_deadline_holds_whatever_is_sent),
        cmocka_unit_test(the_shorter_of_both_deadlines_counts),
        cmocka_unit_test(what_is_no_tls_is_sent_away_in_an_orderly_manner),
        cmocka_unit_test(a_client_that_fails_is_told_why),
        cmocka_unit_test(a_proxy_says_for_whom_it_speaks),
        cmocka_unit_test(a_proxy_that_speaks_for_itself_keeps_its_address_and_is_no_loopback),
        cmocka_unit_test(who_is_no_proxy_is_not_believed),
        cmocka_unit_test(new_certificates_are_for_new_connections),
        cmocka_unit_test(stopping_closes_who_is_there),
    };
    return unit_main("greeter", tests, argc, argv);
}
