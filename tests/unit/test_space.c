#include "tests/unit/unit.h"

#include "broker/store/space.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

TEST(the_default_limit_goes_by_the_file_system)
{
    assert_int_equal(space_default_limit(100 * MIB), 25 * MIB);
    assert_int_equal(space_default_limit(2 * GIB), GIB / 2);
    assert_int_equal(space_default_limit(4 * GIB), GIB);
    assert_int_equal(space_default_limit(10 * GIB), GIB);
    assert_int_equal(space_default_limit(40 * GIB), 2 * GIB);
    assert_int_equal(space_default_limit(4000 * GIB), 5 * GIB);
    assert_int_equal(space_default_limit(0), 0);
}

TEST(where_there_is_little_to_begin_with_half_of_it_is_kept)
{
    assert_int_equal(space_limit_at_start(100 * GIB, 50 * GIB), 5 * GIB);
    assert_int_equal(space_limit_at_start(100 * GIB, 4 * GIB), 2 * GIB);
    assert_int_equal(space_limit_at_start(100 * GIB, 0), SPACE_LIMIT_LEAST);
    assert_int_equal(space_limit_at_start(100 * MIB, 0), 25 * MIB);
}

TEST(the_alarm_clears_a_quarter_above_its_limit)
{
    struct space s = {.limit = GIB};
    assert_false(space_judge(&s, GIB));
    assert_true(space_judge(&s, GIB - 1));
    assert_true(s.is_low);
    assert_false(space_judge(&s, GIB + GIB / 4 - 1));
    assert_true(space_judge(&s, GIB + GIB / 4));
    assert_false(s.is_low);
}

TEST(a_limit_that_was_chosen_is_cleared_soon)
{
    struct space s = {.limit = GIB, .is_chosen = true};
    assert_true(space_judge(&s, 0));
    assert_false(space_judge(&s, GIB + 64 * MIB - 1));
    assert_true(space_judge(&s, GIB + 64 * MIB));
    s = (struct space){.limit = 50000000, .is_chosen = true};
    assert_true(space_judge(&s, 0));
    assert_true(space_judge(&s, 62500000));
}

TEST(a_limit_beyond_everything_is_never_kept)
{
    struct space s = {.limit = UINT64_MAX, .is_chosen = true};
    assert_true(space_judge(&s, GIB));
    assert_false(space_judge(&s, 1000 * GIB));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_limit_goes_by_the_file_system),
        cmocka_unit_test(where_there_is_little_to_begin_with_half_of_it_is_kept),
        cmocka_unit_test(the_alarm_clears_a_quarter_above_its_limit),
        cmocka_unit_test(a_limit_that_was_chosen_is_cleared_soon),
        cmocka_unit_test(a_limit_beyond_everything_is_never_kept),
    };
    return unit_main("store/space", tests, argc, argv);
}
