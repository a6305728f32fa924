#include "tests/unit/unit.h"

#include <string.h>

#include "broker/net/login.h"

static const struct bytes local_only[] = {{(const uint8_t *)"guest", 5}};
static struct login_rules rules;

static bool may(const char *user, const char *password, bool from_loopback)
{
    return login_judge(&rules, bytes_of_string(user), bytes_of_string(password), from_loopback) == LOGIN_OK;
}

static void set_up(const char *user, const char *password, unsigned n_local)
{
    rules = (struct login_rules){.user = bytes_of_string(user),
                                 .password = bytes_of_string(password),
                                 .loopback_users = local_only,
                                 .n_loopback_users = n_local};
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

TEST(an_empty_password_never_opens)
{
    set_up("guest", "", 0);
    assert_false(may("guest", "", true));
}

TEST(zeros_in_names_and_passwords_count)
{
    set_up("guest", "guest", 0);
    assert_int_equal(login_judge(&rules, BYTES("guest\0"), BYTES("guest"), true), LOGIN_REFUSED);
    assert_int_equal(login_judge(&rules, BYTES("guest"), BYTES("guest\0"), true), LOGIN_REFUSED);
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
        cmocka_unit_test(guest_comes_from_here_only_unless_told_otherwise),
        cmocka_unit_test(an_empty_password_never_opens),
        cmocka_unit_test(zeros_in_names_and_passwords_count),
        cmocka_unit_test(random_bytes_differ),
    };
    return unit_main("net/login", tests, argc, argv);
}
