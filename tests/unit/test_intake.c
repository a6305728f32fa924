#include "tests/unit/unit.h"

#include <string.h>

#include "broker/net/intake.h"

static uint8_t scratch[SCRATCH_BYTES];

/* Reads n bytes with the values from, from + 1, …; answers all there is to be fed. */
static struct bytes arrive(struct intake *in, unsigned from, size_t n)
{
    struct space space = intake_space(in, scratch);
    assert_true(space.size >= n);
    for (size_t i = 0; i < n; i++)
        space.at[i] = (uint8_t)(from + i);
    return intake_got(in, &space, n);
}

static void assert_counts(struct bytes b, unsigned from, size_t n)
{
    assert_int_equal(b.len, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(b.at[i], (uint8_t)(from + i));
}

TEST(what_was_taken_costs_no_memory)
{
    struct intake in;
    intake_init(&in);
    struct bytes all = arrive(&in, 0, 1000);
    assert_counts(all, 0, 1000);
    intake_keep(&in, all, 1000);
    assert_null(in.at);
    intake_fini(&in);
}

TEST(what_was_left_comes_again_in_front)
{
    struct intake in;
    intake_init(&in);
    struct bytes all = arrive(&in, 0, 1000);
    intake_keep(&in, all, 900);
    all = arrive(&in, 1000, 50);
    assert_counts(all, 900, 150);
    intake_keep(&in, all, 150);
    assert_null(in.at);
    intake_fini(&in);
}

TEST(what_cannot_be_taken_is_not_copied_about)
{
    struct intake in;
    intake_init(&in);
    struct bytes all = arrive(&in, 0, 10);
    intake_keep(&in, all, 0);
    assert_true(in.is_stuck);
    for (unsigned i = 0; i < 20000; i++) {
        struct space space = intake_space(&in, scratch);
        assert_true(space.is_own);
        all = arrive(&in, 10 + i, 1);
        assert_int_equal(all.len, 11 + i);
        intake_keep(&in, all, 0);
    }
    assert_counts(all, 0, 20010);
    intake_keep(&in, all, 20000);
    assert_false(in.is_stuck);
    assert_true(in.capacity < 8192);
    assert_counts(intake_left(&in), 20000, 10);
    intake_fini(&in);
}

TEST(a_frame_may_be_larger_than_the_scratch_buffer)
{
    struct intake in;
    intake_init(&in);
    size_t total = 0;
    struct bytes all = {0};
    while (total < 3 * (size_t)SCRATCH_BYTES) {
        struct space space = intake_space(&in, scratch);
        size_t n = space.size < 60000 ? space.size : 60000;
        all = arrive(&in, (unsigned)total, n);
        total += n;
        intake_keep(&in, all, 0);
    }
    assert_counts(all, 0, total);
    intake_keep(&in, intake_left(&in), total);
    assert_null(in.at);
    intake_fini(&in);
}

static bool has_been(const uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != 0)
            return true;
    return false;
}

/* As a connection does it that may be told a password. */
static void arrive_secretly(struct intake *in, unsigned from, size_t n, size_t used)
{
    struct space space = intake_space(in, scratch);
    for (size_t i = 0; i < n; i++)
        space.at[i] = (uint8_t)(from + i) | 1U; /* never 0 */
    struct bytes all = intake_got(in, &space, n);
    intake_keep(in, all, used);
    intake_wipe(in, &space, n);
}

TEST(secrets_leave_nothing_behind)
{
    struct intake in;
    intake_init(&in);
    in.is_secret = true;
    memset(scratch, 0, sizeof scratch);
    arrive_secretly(&in, 0, 1000, 1000);
    assert_false(has_been(scratch, sizeof scratch));
    arrive_secretly(&in, 0, 500, 300); /* a part is left: in memory of its own */
    assert_false(has_been(scratch, sizeof scratch));
    assert_int_equal(in.len, 200);
    assert_true(has_been(in.at, in.len));
    arrive_secretly(&in, 0, 100, 0); /* nothing can be taken */
    arrive_secretly(&in, 0, 100, 0);
    assert_int_equal(in.len, 400);
    arrive_secretly(&in, 0, 10, 350); /* the front was taken from where it lay */
    assert_int_equal(in.len, 60);
    assert_false(has_been(in.at + in.len, in.capacity - in.len));
    assert_false(has_been(scratch, sizeof scratch));
    arrive_secretly(&in, 0, 10, 70);
    assert_null(in.at);
    assert_true(in.is_secret);
    intake_fini(&in);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_taken_costs_no_memory),
        cmocka_unit_test(what_was_left_comes_again_in_front),
        cmocka_unit_test(what_cannot_be_taken_is_not_copied_about),
        cmocka_unit_test(secrets_leave_nothing_behind),
        cmocka_unit_test(a_frame_may_be_larger_than_the_scratch_buffer),
    };
    return unit_main("net/intake", tests, argc, argv);
}
