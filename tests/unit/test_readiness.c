#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/readiness.h"

/* The manager: a socket, by a path or in the abstract namespace. */
struct manager {
    int fd;
    char folder[32], *address;
};

static struct manager manager_open(bool is_abstract)
{
    struct manager m = {.folder = "/tmp/test_readiness-XXXXXX"};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(m.folder));
    m.address = is_abstract ? str_format("@%s", m.folder) : str_format("%s/notify", m.folder);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", m.address);
    socklen_t len = sizeof at;
    if (is_abstract) {
        at.sun_path[0] = '\0';
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m.address));
    }
    m.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(m.fd, (const struct sockaddr *)&at, len), errno);
    assert_int_equal(setenv("NOTIFY_SOCKET", m.address, 1), 0);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return m;
}

static void manager_close(struct manager *m)
{
    close(m->fd);
    if (m->address[0] == '/')
        unlink(m->address);
    rmdir(m->folder);
    free(m->address);
}

/* The next datagram, which is there already; "" if there is none. */
static const char *manager_hears(struct manager *m)
{
    static char text[4096];
    ssize_t n = recv(m->fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void wait_for_look(const struct readiness *r)
{
    poll(NULL, 0, (int)readiness_look_ms(r));
}

TEST(a_manager_by_path_is_told_that_it_is_ready)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    assert_string_equal(manager_hears(&m), "");
    readiness_ready(r, "amqp 127.0.0.1:5672");
    assert_string_equal(manager_hears(&m), "READY=1\nSTATUS=serving amqp 127.0.0.1:5672");
    assert_string_equal(manager_hears(&m), "");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(so_is_one_in_the_abstract_namespace)
{
    struct manager m = manager_open(true);
    struct readiness *r = readiness_create();
    readiness_ready(r, "amqp none");
    assert_string_equal(manager_hears(&m), "READY=1\nSTATUS=serving amqp none");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(children_inherit_nothing_of_it)
{
    struct manager m = manager_open(false);
    setenv("WATCHDOG_USEC", "1000000", 1);
    struct readiness *r = readiness_create();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    readiness_destroy(r);
    manager_close(&m);
}

TEST(without_a_manager_nothing_happens)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1000000", 1);
    struct readiness *r = readiness_create();
    readiness_ready(r, "amqp none");
    readiness_look(r, true);
    readiness_stopping(r);
    assert_int_equal(readiness_look_ms(r), 0);
    readiness_destroy(r);
}

TEST(an_address_that_is_none_is_not_used)
{
    static const char *const wrong[] = {"", "/", "@", "vsock:2:1234", "relative/path"};
    char far_too_long[300] = "/";
    memset(far_too_long + 1, 'x', sizeof far_too_long - 2);
    for (size_t i = 0; i <= sizeof wrong / sizeof wrong[0]; i++) {
        setenv("NOTIFY_SOCKET", i < sizeof wrong / sizeof wrong[0] ? wrong[i] : far_too_long, 1);
        struct readiness *r = readiness_create();
        readiness_ready(r, "amqp none");
        readiness_destroy(r);
    }
}

TEST(a_reload_says_when_it_began_and_that_it_is_over)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    readiness_ready(r, "amqp none");
    manager_hears(&m);
    readiness_reloading(r);
    const char *said = manager_hears(&m);
    assert_ptr_equal(strstr(said, "RELOADING=1\nMONOTONIC_USEC="), said);
    assert_true(strtoull(said + strlen("RELOADING=1\nMONOTONIC_USEC="), NULL, 10) > 0);
    readiness_reloaded(r);
    assert_string_equal(manager_hears(&m), "READY=1\nSTATUS=serving amqp none");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(a_reload_during_the_start_does_not_make_it_ready)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    readiness_reloading(r);
    manager_hears(&m);
    readiness_reloaded(r);
    assert_string_equal(manager_hears(&m), "");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(the_end_is_told)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    readiness_stopping(r);
    assert_int_equal(strncmp(manager_hears(&m), "STOPPING=1\n", strlen("STOPPING=1\n")), 0);
    readiness_destroy(r);
    manager_close(&m);
}

TEST(progress_asks_for_more_time_and_not_too_often)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    readiness_progress(r, "recovering:", 12, 50);
    assert_string_equal(manager_hears(&m), "STATUS=recovering: 12/50\nEXTEND_TIMEOUT_USEC=60000000");
    for (int i = 0; i < 1000; i++)
        readiness_progress(r, "recovering:", 13, 50);
    int told = 0;
    while (manager_hears(&m)[0] != '\0')
        told++;
    assert_in_range(told, 0, 10); /* a second may have gone by, not ten */
    readiness_destroy(r);
    manager_close(&m);
}

TEST(a_status_cannot_say_more_than_a_status)
{
    struct manager m = manager_open(false);
    struct readiness *r = readiness_create();
    readiness_status(r, "reading %s", "a\nREADY=1");
    assert_string_equal(manager_hears(&m), "STATUS=reading a READY=1");
    readiness_ready(r, "amqp\nWATCHDOG=trigger");
    assert_string_equal(manager_hears(&m), "READY=1\nSTATUS=serving amqp WATCHDOG=trigger");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(heartbeats_come_while_all_moves)
{
    struct manager m = manager_open(false);
    setenv("WATCHDOG_USEC", "80000", 1);
    struct readiness *r = readiness_create();
    assert_int_equal(readiness_look_ms(r), 10);
    assert_int_equal(readiness_patience_ms(r), 20);
    readiness_ready(r, "amqp none");
    manager_hears(&m);
    readiness_look(r, true);
    assert_string_equal(manager_hears(&m), "WATCHDOG=1");
    while (manager_hears(&m)[0] == '\0') {
        wait_for_look(r);
        readiness_look(r, true);
    }
    readiness_destroy(r);
    manager_close(&m);
}

TEST(none_comes_while_something_stands_still_and_one_as_soon_as_it_moves)
{
    struct manager m = manager_open(false);
    setenv("WATCHDOG_USEC", "8000", 1);
    struct readiness *r = readiness_create();
    readiness_ready(r, "amqp none");
    manager_hears(&m);
    for (int i = 0; i < 20; i++) {
        wait_for_look(r);
        readiness_look(r, false);
    }
    assert_string_equal(manager_hears(&m), "");
    readiness_look(r, true);
    assert_string_equal(manager_hears(&m), "WATCHDOG=1");
    readiness_destroy(r);
    manager_close(&m);
}

TEST(heartbeats_are_for_the_process_that_was_meant)
{
    struct manager m = manager_open(false);
    setenv("WATCHDOG_USEC", "8000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    struct readiness *r = readiness_create();
    assert_int_equal(readiness_look_ms(r), 0);
    assert_true(readiness_patience_ms(r) == UINT64_MAX);
    readiness_look(r, true);
    assert_string_equal(manager_hears(&m), "");
    readiness_destroy(r);

    char *self = str_format("%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", m.address, 1);
    setenv("WATCHDOG_USEC", "8000", 1);
    setenv("WATCHDOG_PID", self, 1);
    r = readiness_create();
    assert_int_equal(readiness_look_ms(r), 1);
    readiness_destroy(r);
    free(self);
    manager_close(&m);
}

TEST(a_manager_that_is_gone_is_no_trouble)
{
    struct manager m = manager_open(false);
    setenv("WATCHDOG_USEC", "8000", 1);
    struct readiness *r = readiness_create();
    close(m.fd);
    readiness_ready(r, "amqp none");
    readiness_look(r, true);
    readiness_stopping(r);
    readiness_destroy(r);
    m.fd = -1;
    manager_close(&m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_by_path_is_told_that_it_is_ready),
        cmocka_unit_test(so_is_one_in_the_abstract_namespace),
        cmocka_unit_test(children_inherit_nothing_of_it),
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(an_address_that_is_none_is_not_used),
        cmocka_unit_test(a_reload_says_when_it_began_and_that_it_is_over),
        cmocka_unit_test(a_reload_during_the_start_does_not_make_it_ready),
        cmocka_unit_test(the_end_is_told),
        cmocka_unit_test(progress_asks_for_more_time_and_not_too_often),
        cmocka_unit_test(a_status_cannot_say_more_than_a_status),
        cmocka_unit_test(heartbeats_come_while_all_moves),
        cmocka_unit_test(none_comes_while_something_stands_still_and_one_as_soon_as_it_moves),
        cmocka_unit_test(heartbeats_are_for_the_process_that_was_meant),
        cmocka_unit_test(a_manager_that_is_gone_is_no_trouble),
    };
    return unit_main("readiness", tests, argc, argv);
}
