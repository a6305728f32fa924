#include "tests/unit/unit.h"

#include <float.h>
#include <math.h>

#include "base/real.h"

/* How many units of the last place lie between two numbers. */
static double units_between(double is, double wanted)
{
    return is == wanted ? 0 : fabs(is - wanted) / (nextafter(fabs(wanted), HUGE_VAL) - fabs(wanted));
}

/* A number in [0, 1), another each time. */
static double next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

TEST(logarithms_are_those_of_the_library)
{
    static const double edges[] = {1,
                                   0x1p-53,
                                   1 - 0x1p-53,
                                   1 + 0x1p-52,
                                   2,
                                   1.4142135623730949,
                                   1.4142135623730951,
                                   0.7071067811865475,
                                   0.7071067811865476,
                                   DBL_MIN,
                                   DBL_MAX,
                                   10};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        assert_true(units_between(real_log(edges[i]), log(edges[i])) <= 2);
    assert_true(real_log(1) == 0);
    uint64_t state = 1;
    for (int i = 0; i < 200000; i++) {
        double even = next(&state) + 0x1p-53, large = ldexp(even, i % 2000 - 1000);
        assert_true(units_between(real_log(even), log(even)) <= 2);
        assert_true(units_between(real_log(large), log(large)) <= 2);
    }
}

TEST(powers_of_two_are_those_of_the_library)
{
    for (int i = -1022; i < 1024; i++)
        assert_true(real_exp2(i) == ldexp(1, i));
    uint64_t state = 1;
    for (int i = 0; i < 200000; i++) {
        double x = (next(&state) - 0.5) * (i % 2040);
        assert_true(units_between(real_exp2(x), exp2(x)) <= 4);
    }
    assert_true(units_between(real_exp2(1023.9), exp2(1023.9)) <= 4);
    assert_true(real_exp2(-1023) == 0 && real_exp2(-1e300) == 0 && real_exp2(-HUGE_VAL) == 0);
    assert_true(isinf(real_exp2(1024)) && isinf(real_exp2(HUGE_VAL)));
}

TEST(powers_are_those_of_the_library)
{
    for (unsigned n = 0; n < 6; n++) {
        assert_true(real_power(1024, n) == ldexp(1, 10 * (int)n));
        assert_true(real_power(1000, n) == pow(1000, n));
    }
    for (unsigned n = 0; n < 256; n++)
        assert_true(units_between(real_power(10, n), pow(10, n)) <= 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_those_of_the_library),
        cmocka_unit_test(powers_of_two_are_those_of_the_library),
        cmocka_unit_test(powers_are_those_of_the_library),
    };
    return unit_main("base/real", tests, argc, argv);
}
