#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/net/listener.h"

static const struct socket_options options = {.backlog = 16, .nodelay = true};

/* What the listener gave. */
struct host {
    bool has_room;
    int fds[64];
    unsigned n;
};

static bool has_room(void *arg)
{
    const struct host *h = arg;
    return h->has_room;
}

static void take(void *arg, int fd, const struct address *from)
{
    struct host *h = arg;
    assert_true(address_is_loopback(from));
    h->fds[h->n++] = fd;
}

static struct listener *open_one(void)
{
    struct listener *opened[LISTENER_SOCKETS_MAX];
    char *error = NULL;
    assert_int_equal(listener_open("127.0.0.1:0", &options, opened, &error), 1);
    return opened[0];
}

static int knock(const struct listener *l)
{
    const struct address *at = listener_address(l);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at->storage, at->len), 0);
    return fd;
}

static void close_all(struct host *h)
{
    while (h->n > 0)
        close(h->fds[--h->n]);
}

TEST(a_connection_is_given_to_the_host)
{
    struct host h = {.has_room = true};
    struct poller *p = poller_create();
    struct listener *l = open_one();
    assert_int_not_equal(address_port(listener_address(l)), 0);
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    int fd = knock(l);
    while (h.n == 0)
        poller_turn(p, UINT64_MAX);
    int nodelay = 0;
    socklen_t len = sizeof nodelay;
    assert_int_equal(getsockopt(h.fds[0], IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_true(nodelay);
    assert_true((fcntl(h.fds[0], F_GETFL) & O_NONBLOCK) != 0);
    close(fd);
    close_all(&h);
    listener_destroy(l);
    poller_destroy(p);
}

TEST(who_finds_no_room_waits_outside)
{
    struct host h = {.has_room = false};
    struct poller *p = poller_create();
    struct listener *l = open_one();
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    int fd = knock(l);
    poller_turn(p, UINT64_MAX);
    poller_turn(p, 0);
    assert_int_equal(h.n, 0);
    h.has_room = true;
    while (h.n == 0)
        poller_turn(p, UINT64_MAX);
    close(fd);
    close_all(&h);
    listener_destroy(l);
    poller_destroy(p);
}

TEST(without_descriptors_clients_are_turned_away)
{
    struct host h = {.has_room = true};
    struct poller *p = poller_create();
    struct listener *l = open_one();
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    int fd = knock(l), spare = dup(0);
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)spare; /* every number below is taken */
    close(spare);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    poller_turn(p, UINT64_MAX);
    assert_int_equal(h.n, 0);
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    int again = knock(l);
    while (h.n == 0)
        poller_turn(p, UINT64_MAX);
    close(fd);
    close(again);
    close_all(&h);
    listener_destroy(l);
    poller_destroy(p);
}

static void assert_refused(const char *text, const char *expect)
{
    struct listener *opened[LISTENER_SOCKETS_MAX];
    char *error = NULL;
    assert_true(listener_open(text, &options, opened, &error) < 0);
    assert_string_equal(error, expect);
    free(error);
}

TEST(what_cannot_be_listened_at_is_said)
{
    struct listener *l = open_one();
    char at[ADDRESS_TEXT_MAX], expect[128];
    address_format(listener_address(l), at);
    snprintf(expect, sizeof expect, "cannot listen on %s: Address already in use", at);
    assert_refused(at, expect);
    assert_refused("127.0.0.1:x", "cannot listen on 127.0.0.1:x: not an address");
    listener_destroy(l);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_NO_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_given_to_the_host),
        cmocka_unit_test(who_finds_no_room_waits_outside),
        cmocka_unit_test(without_descriptors_clients_are_turned_away),
        cmocka_unit_test(what_cannot_be_listened_at_is_said),
    };
    return unit_main("net/listener", tests, argc, argv);
}
