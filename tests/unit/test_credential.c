#include "broker/admin/credential.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct credential *make(const char *backend, uint64_t min_length, const char *regexp)
{
    char *error = NULL;
    struct credential *c = credential_create(backend, min_length, regexp, &error);
    if (c == NULL)
        fail_msg("%s: %s", backend, error);
    return c;
}

static void expect(struct credential *c, const char *password, const char *part)
{
    char *why = credential_refuse(c, bytes_of_string(password));
    if ((why == NULL) != (part == NULL) || (why != NULL && strstr(why, part) == NULL))
        fail_msg("'%s': %s", password, why != NULL ? why : "is right");
    free(why);
}

static void expect_no_validator(const char *backend, const char *regexp, const char *part)
{
    char *error = NULL;
    assert_null(credential_create(backend, 0, regexp, &error));
    assert_non_null(error);
    assert_non_null(strstr(error, part));
    free(error);
}

TEST(everything_is_accepted_by_default)
{
    struct credential *c = make("rabbit_credential_validator_accept_everything", 100, "^never$");
    expect(c, "", NULL);
    expect(c, "x", NULL);
    expect(NULL, "", NULL);
    credential_destroy(c);
    credential_destroy(NULL);
}

TEST(a_length_is_counted_in_characters)
{
    struct credential *c = make("rabbit_credential_validator_min_password_length", 4, "^never$");
    expect(c, "abc", "minimum required password length: 4");
    expect(c, "äöü", "minimum required password length: 4");
    expect(c, "", "minimum required password length: 4");
    expect(c, "abcd", NULL);
    expect(c, "äöüß", NULL);
    credential_destroy(c);
}

TEST(a_pattern_has_to_match)
{
    struct credential *c = make("rabbit_credential_validator_password_regexp", 100, "^[a-z]{3,}[0-9]+$");
    expect(c, "abc1", NULL);
    expect(c, "ab1", "regular expression");
    expect(c, "", "regular expression");
    credential_destroy(c);
}

TEST(a_pattern_that_takes_too_long_refuses)
{
    struct credential *c = make("rabbit_credential_validator_password_regexp", 0, "^(a+)+$");
    expect(c, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "regular expression");
    credential_destroy(c);
}

TEST(other_validators_are_not_there)
{
    expect_no_validator("rabbit_credential_validator_nonsense", NULL, "there is no validator");
    expect_no_validator("accept_everything", NULL, "there is no validator");
    expect_no_validator("", NULL, "there is no validator");
    expect_no_validator("rabbit_credential_validator_password_regexp", "(", "regular expression");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_accepted_by_default),
        cmocka_unit_test(a_length_is_counted_in_characters),
        cmocka_unit_test(a_pattern_has_to_match),
        cmocka_unit_test(a_pattern_that_takes_too_long_refuses),
        cmocka_unit_test(other_validators_are_not_there),
    };
    return unit_main("credential", tests, argc, argv);
}
