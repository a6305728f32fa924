#include "base/pattern.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "tests/unit/unit.h"

static enum pattern_match match(const char *pattern, const char *subject)
{
    char *error = NULL;
    struct pattern *p = pattern_create(bytes_of_string(pattern), &error);
    assert_non_null(p);
    enum pattern_match m = pattern_match(p, bytes_of_string(subject));
    pattern_destroy(p);
    return m;
}

TEST(is_searched_for_anywhere)
{
    assert_int_equal(match("b", "abc"), PATTERN_MATCHES);
    assert_int_equal(match("^b", "abc"), PATTERN_DOES_NOT);
    assert_int_equal(match("^(amq\\.|app-).*", "app-1"), PATTERN_MATCHES);
    assert_int_equal(match(".*", ""), PATTERN_MATCHES);
}

TEST(empty_matches_nothing_but_empty)
{
    assert_int_equal(match("", "a"), PATTERN_DOES_NOT);
    assert_int_equal(match("", ""), PATTERN_MATCHES);
}

TEST(end_is_the_very_end)
{
    assert_int_equal(match("^a$", "a\n"), PATTERN_DOES_NOT);
}

TEST(takes_bytes_that_are_no_text)
{
    assert_int_equal(match(".*", "\xff\xfe"), PATTERN_MATCHES);
}

TEST(fails_at_a_bomb)
{
    assert_int_equal(match("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), PATTERN_FAILED);
    assert_int_equal(match("^(([a-z])+.)+[A-Z]([a-z])+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                     PATTERN_FAILED);
}

/* PCRE2's own limit begins anew at every place where a match may begin. */
TEST(fails_at_a_bomb_that_goes_off_everywhere)
{
    static const char *const bombs[] = {"[^,]*[^,]*[,;]", "[a-z]*[a-z]*[a-z]*[0-9]", "(a*)*(a*)*[,;]"};
    char subject[256];
    memset(subject, 'a', 255);
    subject[255] = '\0';
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++)
        assert_int_equal(match(bombs[i], subject), PATTERN_FAILED);
    assert_int_equal(match("[a-z]*-[0-9]*", subject), PATTERN_DOES_NOT);
}

TEST(a_first_try_takes_fewer_steps)
{
    char *error = NULL;
    struct pattern *p = pattern_create(BYTES("^(a|aa)+$"), &error);
    assert_int_equal(pattern_match_within(p, BYTES("aaaaaaaaaab"), 100), PATTERN_FAILED);
    assert_int_equal(pattern_match_within(p, BYTES("aaaaaaaaaab"), 5000), PATTERN_DOES_NOT);
    assert_int_equal(pattern_match_within(p, BYTES("aaaa"), 100), PATTERN_MATCHES);
    pattern_destroy(p);
}

TEST(says_what_is_wrong)
{
    static const char *const bad[] = {"(", "[a", "a{2,1}", "*", "\\C"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *error = NULL;
        assert_null(pattern_create(bytes_of_string(bad[i]), &error));
        assert_non_null(error);
        free(error);
    }
}

TEST(is_not_longer_than_its_limit)
{
    char *error = NULL, *text = alloc_zeroed(PATTERN_BYTES_MAX + 2);
    memset(text, 'a', PATTERN_BYTES_MAX);
    pattern_destroy(pattern_create(bytes_of_string(text), &error));
    assert_null(error);
    text[PATTERN_BYTES_MAX] = 'a';
    assert_null(pattern_create(bytes_of_string(text), &error));
    assert_non_null(error);
    free(error);
    free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_searched_for_anywhere),
        cmocka_unit_test(empty_matches_nothing_but_empty),
        cmocka_unit_test(end_is_the_very_end),
        cmocka_unit_test(takes_bytes_that_are_no_text),
        cmocka_unit_test(fails_at_a_bomb),
        cmocka_unit_test(fails_at_a_bomb_that_goes_off_everywhere),
        cmocka_unit_test(a_first_try_takes_fewer_steps),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(is_not_longer_than_its_limit),
    };
    return unit_main("base/pattern", tests, argc, argv);
}
