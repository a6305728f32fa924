#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "broker/net/address.h"
#include "broker/net/login.h"
#include "broker/net/password.h"
#include "broker/net/throttle.h"
#include "codec/table.h"

static const struct bytes local_only[] = {{(const uint8_t *)"guest", 5}};
static struct login_rules rules;
static char *hash;

/* The table of a user with that password. */
static struct bytes arguments_of(const char *password, uint8_t *room, size_t size)
{
    struct pen p = pen_over(room, size);
    free(hash);
    hash = password_make_hash((struct bytes){0}, bytes_of_string(password));
    table_put_string(&p, BYTES("password_hash"), bytes_of_string(hash != NULL ? hash : ""));
    return pen_written(&p);
}

static const char *its_name, *its_password;

static enum login judge(struct bytes user, struct bytes password, bool from_loopback)
{
    uint8_t room[256];
    uint64_t delay_ms;
    const struct session_login l = {.user = user,
                                    .password = password,
                                    .is_user = bytes_equal(user, bytes_of_string(its_name)),
                                    .arguments = arguments_of(its_password, room, sizeof room),
                                    .is_loopback = from_loopback};
    return login_judge(&rules, &l, 0, &delay_ms);
}

static bool may(const char *user, const char *password, bool from_loopback)
{
    return judge(bytes_of_string(user), bytes_of_string(password), from_loopback) == LOGIN_OK;
}

static void set_up(const char *user, const char *password, unsigned n_local)
{
    its_name = user;
    its_password = password;
    rules = (struct login_rules){.loopback_users = local_only, .n_loopback_users = n_local};
}

TEST(only_the_right_password_opens)
{
    set_up("guest", "secret", 1);
    assert_true(may("guest", "secret", true));
    assert_false(may("guest", "secre", true));
    assert_false(may("guest", "secret ", true));
    assert_false(may("guest", "", true));
    assert_false(may("Guest", "secret", true));
    assert_false(may("", "secret", true));
}

TEST(guest_comes_from_here_only_unless_told_otherwise)
{
    set_up("guest", "guest", 1);
    assert_false(may("guest", "guest", false));
    set_up("guest", "guest", 0);
    assert_true(may("guest", "guest", false));
    set_up("other", "guest", 1);
    assert_true(may("other", "guest", false));
}

static void expect_attempts(const struct login_attempts *a, enum login_protocol p, unsigned succeeded, unsigned failed)
{
    assert_int_equal(atomic_load(&a->succeeded[p]), succeeded);
    assert_int_equal(atomic_load(&a->failed[p]), failed);
}

TEST(attempts_are_counted_by_protocol_and_outcome)
{
    struct login_attempts attempts = {0};
    uint64_t delay_ms;
    set_up("guest", "secret", 1);
    rules.attempts = &attempts;
    may("guest", "secret", true);
    may("guest", "secret", false); /* from elsewhere */
    may("guest", "wrong", true);
    expect_attempts(&attempts, LOGIN_AMQP, 1, 2);
    expect_attempts(&attempts, LOGIN_HTTP, 0, 0);
    const struct session_login l = {.user = BYTES("nobody"), .password = BYTES("x"), .is_http = true};
    login_judge(&rules, &l, 0, &delay_ms);
    expect_attempts(&attempts, LOGIN_AMQP, 1, 2);
    expect_attempts(&attempts, LOGIN_HTTP, 0, 1);
    login_forget_attempts(&attempts);
    expect_attempts(&attempts, LOGIN_AMQP, 0, 0);
    expect_attempts(&attempts, LOGIN_HTTP, 0, 0);
}

static struct address address_of(int family, const char *text)
{
    struct address a = {0};
    a.storage.ss_family = (sa_family_t)family;
    void *host = family == AF_INET ? (void *)&((struct sockaddr_in *)&a.storage)->sin_addr
                                   : (void *)&((struct sockaddr_in6 *)&a.storage)->sin6_addr;
    assert_int_equal(inet_pton(family, text, host), 1);
    a.len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return a;
}

/* Reliability R56. */
TEST(guest_is_here_in_every_form_of_an_address_and_nowhere_else)
{
    static const struct {
        int family;
        const char *text;
        bool is_here;
    } peers[] = {{AF_INET, "127.0.0.1", true},
                 {AF_INET, "127.255.255.254", true},
                 {AF_INET, "10.0.0.1", false},
                 {AF_INET, "128.0.0.1", false},
                 {AF_INET6, "::1", true},
                 {AF_INET6, "::ffff:127.0.0.1", true},
                 {AF_INET6, "::ffff:10.0.0.1", false},
                 {AF_INET6, "::127.0.0.1", false},
                 {AF_INET6, "fe80::1", false},
                 {AF_INET6, "::", false}};
    set_up("guest", "guest", 1);
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        const struct address a = address_of(peers[i].family, peers[i].text);
        assert_int_equal(may("guest", "guest", address_is_loopback(&a)), peers[i].is_here);
    }
}

TEST(an_empty_password_never_opens)
{
    set_up("guest", "", 0);
    assert_false(may("guest", "", true));
}

TEST(zeros_in_names_and_passwords_count)
{
    set_up("guest", "guest", 0);
    assert_int_equal(judge(BYTES("guest\0"), BYTES("guest"), true), LOGIN_REFUSED);
    assert_int_equal(judge(BYTES("guest"), BYTES("guest\0"), true), LOGIN_REFUSED);
}

TEST(a_certificate_needs_no_password)
{
    struct session_login l = {.user = BYTES("guest"), .is_external = true, .is_user = true};
    uint64_t delay_ms;
    set_up("guest", "guest", 1);
    assert_int_equal(login_judge(&rules, &l, 0, &delay_ms), LOGIN_REFUSED); /* and comes from far away */
    l.is_loopback = true;
    assert_int_equal(login_judge(&rules, &l, 0, &delay_ms), LOGIN_OK);
    l.is_user = false;
    assert_int_equal(login_judge(&rules, &l, 0, &delay_ms), LOGIN_REFUSED);
}

TEST(who_guesses_waits_for_either_verdict)
{
    uint8_t room[256];
    struct session_login l = {.user = BYTES("guest"), .is_user = true, .is_loopback = true, .place = BYTES("here")};
    uint64_t delay_ms = 0;
    set_up("guest", "guest", 0);
    rules.throttle = throttle_create(1);
    for (unsigned i = 0; i < 10; i++) {
        l.password = BYTES("wrong");
        l.arguments = arguments_of("guest", room, sizeof room);
        assert_int_equal(login_judge(&rules, &l, 1000, &delay_ms), LOGIN_REFUSED);
        assert_true(delay_ms >= THROTTLE_MIN_MS);
    }
    l.password = BYTES("guest");
    login_judge(&rules, &l, 1000, &delay_ms);
    assert_true(delay_ms > 1000 || delay_ms == THROTTLE_MIN_MS); /* then it is refused: too many are before it */
    l.place = BYTES("elsewhere");
    assert_int_equal(login_judge(&rules, &l, 1000, &delay_ms), LOGIN_OK);
    assert_true(delay_ms <= THROTTLE_USER_MAX_MS);
    throttle_destroy(rules.throttle);
}

TEST(random_bytes_differ)
{
    uint8_t a[32] = {0}, b[32] = {0};
    login_random(NULL, a, sizeof a);
    login_random(NULL, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_right_password_opens),
        cmocka_unit_test(attempts_are_counted_by_protocol_and_outcome),
        cmocka_unit_test(guest_comes_from_here_only_unless_told_otherwise),
        cmocka_unit_test(guest_is_here_in_every_form_of_an_address_and_nowhere_else),
        cmocka_unit_test(an_empty_password_never_opens),
        cmocka_unit_test(zeros_in_names_and_passwords_count),
        cmocka_unit_test(a_certificate_needs_no_password),
        cmocka_unit_test(who_guesses_waits_for_either_verdict),
        cmocka_unit_test(random_bytes_differ),
    };
    return unit_main("net/login", tests, argc, argv);
}
