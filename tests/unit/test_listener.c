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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/net/listener.h"

static const struct socket_options options = {.backlog = 16, .nodelay = true, .unix_mode = 0660};

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
    assert_int_equal(listener_listen(opened[0]), 0);
    return opened[0];
}

static int knock(const struct listener *l)
{
    const struct address *at = listener_address(l);
    int fd = socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
    char at[ADDRESS_TEXT_MAX], expect[ADDRESS_TEXT_MAX + 64];
    address_format(listener_address(l), at);
    snprintf(expect, sizeof expect, "cannot listen on %s: Address already in use", at);
    assert_refused(at, expect);
    assert_refused("127.0.0.1:x", "cannot listen on 127.0.0.1:x: not an address");
    listener_destroy(l);
}

TEST(nobody_can_connect_before_it_listens)
{
    struct listener *opened[LISTENER_SOCKETS_MAX];
    char *error = NULL;
    assert_int_equal(listener_open("127.0.0.1:0", &options, opened, &error), 1);
    const struct address *at = listener_address(opened[0]);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at->storage, at->len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    listener_destroy(opened[0]);
}

TEST(a_listener_that_is_suspended_refuses_until_it_is_resumed)
{
    struct host h = {.has_room = true};
    struct poller *p = poller_create();
    struct listener *l = open_one();
    const struct address *at = listener_address(l);
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    for (int round = 0; round < 2; round++) {
        listener_suspend(l);
        listener_suspend(l);
        poller_turn(p, UINT64_MAX); /* the socket says that it has ended */
        poller_turn(p, 0);
        assert_int_equal(h.n, 0);
        int fd = socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&at->storage, at->len), -1);
        assert_int_equal(errno, ECONNREFUSED);
        close(fd);
        assert_int_equal(listener_resume(l), 0);
        assert_int_equal(listener_resume(l), 0);
        fd = knock(l); /* at the same port */
        while (h.n == 0)
            poller_turn(p, UINT64_MAX);
        close(fd);
        close_all(&h);
    }
    listener_destroy(l);
    poller_destroy(p);
}

TEST(nobody_takes_the_port_of_a_listener_that_is_suspended)
{
    struct listener *l = open_one(), *opened[LISTENER_SOCKETS_MAX];
    const struct address at = *listener_address(l);
    char text[ADDRESS_TEXT_MAX], *error = NULL;
    address_format(&at, text);
    listener_destroy(l);
    assert_int_equal(listener_open(text, &options, opened, &error), 1);
    assert_int_equal(listener_listen(opened[0]), 0);
    listener_suspend(opened[0]);
    int fd = socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at.storage, at.len), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(listener_resume(opened[0]), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at.storage, at.len), -1);
    close(fd);
    listener_destroy(opened[0]);
}

/* ---- UNIX sockets. */

static char folder[] = "/tmp/test_listener-XXXXXX";
static char socket_path[64], socket_text[80];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_listener-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    snprintf(socket_text, sizeof socket_text, "unix:%s", socket_path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(socket_path);
    return rmdir(folder);
}

static struct listener *open_unix(void)
{
    struct listener *opened[LISTENER_SOCKETS_MAX];
    char *error = NULL;
    int n = listener_open(socket_text, &options, opened, &error);
    if (n < 0)
        print_message("# %s\n", error);
    assert_int_equal(n, 1);
    assert_int_equal(listener_listen(opened[0]), 0);
    return opened[0];
}

TEST(a_unix_socket_has_its_mode_and_goes_with_its_listener)
{
    struct host h = {.has_room = true};
    struct poller *p = poller_create();
    struct stat st;
    mode_t before = umask(0077); /* which does not count */
    struct listener *l = open_unix();
    umask(before);
    char at[ADDRESS_TEXT_MAX];
    address_format(listener_address(l), at);
    assert_string_equal(at, socket_text);
    assert_int_equal(lstat(socket_path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    int fd = knock(l);
    while (h.n == 0)
        poller_turn(p, UINT64_MAX);
    close(fd);
    close_all(&h);
    listener_destroy(l);
    poller_destroy(p);
    assert_int_equal(lstat(socket_path, &st), -1);
}

TEST(a_unix_socket_where_somebody_answers_is_left_alone)
{
    struct listener *l = open_unix();
    char expect[128];
    snprintf(expect, sizeof expect, "cannot listen on %s: Address already in use", socket_text);
    assert_refused(socket_text, expect);
    close(knock(l)); /* it answers still */
    listener_destroy(l);
}

TEST(a_unix_socket_that_was_left_behind_is_replaced)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd); /* and the file stays */
    struct listener *l = open_unix();
    close(knock(l));
    listener_destroy(l);
}

TEST(no_other_file_is_touched)
{
    char expect[128], text[16];
    snprintf(expect, sizeof expect, "cannot listen on %s: Address already in use", socket_text);
    FILE *f = fopen(socket_path, "we");
    assert_non_null(f);
    fputs("precious", f);
    fclose(f);
    assert_refused(socket_text, expect);
    f = fopen(socket_path, "re");
    assert_non_null(fgets(text, sizeof text, f));
    assert_string_equal(text, "precious");
    fclose(f);
    unlink(socket_path);

    struct listener *l = open_unix(); /* and one that another put in its place is not its own */
    struct stat st;
    assert_int_equal(unlink(socket_path), 0);
    f = fopen(socket_path, "we");
    fclose(f);
    listener_destroy(l);
    assert_int_equal(lstat(socket_path, &st), 0);
}

TEST(a_unix_socket_that_is_suspended_turns_away_until_it_is_resumed)
{
    struct host h = {.has_room = true};
    struct poller *p = poller_create();
    struct listener *l = open_unix();
    char c;
    listener_start(l, p, &(struct listener_host){.has_room = has_room, .take = take, .arg = &h});
    listener_suspend(l);
    int fd = knock(l);
    poller_turn(p, UINT64_MAX);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    assert_int_equal(h.n, 0);
    close(fd);
    assert_int_equal(listener_resume(l), 0);
    fd = knock(l);
    while (h.n == 0)
        poller_turn(p, UINT64_MAX);
    close(fd);
    close_all(&h);
    listener_destroy(l);
    poller_destroy(p);
}

TEST(a_path_must_be_one)
{
    char text[200], expect[300];
    assert_refused("unix:relative", "cannot listen on unix:relative: Invalid argument");
    assert_refused("unix:", "cannot listen on unix:: Invalid argument");
    snprintf(text, sizeof text, "unix:/%0150d", 0);
    snprintf(expect, sizeof expect, "cannot listen on %s: File name too long", text);
    assert_refused(text, expect);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(int argc, char **argv)
{
    log_set_level(LOG_NO_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_given_to_the_host),
        cmocka_unit_test(who_finds_no_room_waits_outside),
        cmocka_unit_test(without_descriptors_clients_are_turned_away),
        cmocka_unit_test(what_cannot_be_listened_at_is_said),
        cmocka_unit_test(nobody_can_connect_before_it_listens),
        cmocka_unit_test(a_listener_that_is_suspended_refuses_until_it_is_resumed),
        cmocka_unit_test(nobody_takes_the_port_of_a_listener_that_is_suspended),
        IN_FOLDER(a_unix_socket_has_its_mode_and_goes_with_its_listener),
        IN_FOLDER(a_unix_socket_where_somebody_answers_is_left_alone),
        IN_FOLDER(a_unix_socket_that_was_left_behind_is_replaced),
        IN_FOLDER(no_other_file_is_touched),
        IN_FOLDER(a_unix_socket_that_is_suspended_turns_away_until_it_is_resumed),
        IN_FOLDER(a_path_must_be_one),
    };
    return unit_main("net/listener", tests, argc, argv);
}
