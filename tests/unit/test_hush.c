#include "tests/unit/unit.h"

#include "broker/net/hush.h"

TEST(so_many_lines_are_written_and_then_none)
{
    struct hush h = {0};
    unsigned hidden;
    for (int i = 0; i < HUSH_LINES; i++) {
        assert_true(hush_may(&h, HUSH_LINES, 50000, &hidden));
        assert_int_equal(hidden, 0);
    }
    assert_false(hush_may(&h, HUSH_LINES, 50000, &hidden));
    assert_false(hush_may(&h, HUSH_LINES, 50000 + HUSH_MS - 1, &hidden));
}

TEST(the_next_line_says_how_many_were_not)
{
    struct hush h = {0};
    unsigned hidden;
    assert_true(hush_may(&h, 1, 50000, &hidden));
    for (int i = 0; i < 7; i++)
        assert_false(hush_may(&h, 1, 50001, &hidden));
    assert_true(hush_may(&h, 1, 50000 + HUSH_MS, &hidden));
    assert_int_equal(hidden, 7);
    assert_true(hush_may(&h, 2, 50000 + HUSH_MS, &hidden));
    assert_int_equal(hidden, 0); /* it was told */
}

TEST(a_clock_that_has_just_begun_is_no_reason_for_silence)
{
    struct hush h = {0};
    unsigned hidden;
    assert_true(hush_may(&h, 1, 0, &hidden));
    assert_false(hush_may(&h, 1, 1, &hidden));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_lines_are_written_and_then_none),
        cmocka_unit_test(the_next_line_says_how_many_were_not),
        cmocka_unit_test(a_clock_that_has_just_begun_is_no_reason_for_silence),
    };
    return unit_main("hush", tests, argc, argv);
}
