#include "base/real.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A double is a sign, EXPONENT_BITS and FRACTION_BITS (IEEE 754). */
enum { FRACTION_BITS = 52, EXPONENT_BIAS = 1023 };

#define LN2 0.693147180559945309417
#define SQRT2 1.41421356237309504880

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^exponent, which must be that of a normal number. */
static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + EXPONENT_BIAS) << FRACTION_BITS;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* With x = m * 2^k, m about 1, and s = (m - 1) / (m + 1): ln(m) = 2 (s + s^3 / 3 + s^5 / 5 ...), and s^2 is less than
 * 0.03, so that ten terms are more than a double holds. */
double real_log(double x)
{
    int k = (int)(bits_of(x) >> FRACTION_BITS) - EXPONENT_BIAS;
    double m = x * power_of_two(-k / 2) * power_of_two(-(k - k / 2)); /* in two steps: 2^1023 has no inverse */
    if (m > SQRT2) {
        m /= 2;
        k++;
    }
    static const double parts[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                   1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        sum = (sum + parts[i]) * square;
    return k * LN2 + 2 * (s + s * sum);
}

/* With x = k + f, f at most a half: 2^k times e^(f ln 2) by its series. */
double real_exp2(double x)
{
    if (!(x >= 1 - EXPONENT_BIAS))
        return 0;
    if (x >= EXPONENT_BIAS + 1)
        return HUGE_VAL;
    int k = (int)(x < 0 ? x - 0.5 : x + 0.5);
    if (k > EXPONENT_BIAS)
        k = EXPONENT_BIAS;
    double y = (x - k) * LN2, sum = 1;
    for (int i = 17; i > 0; i--)
        sum = 1 + sum * y / i;
    return sum * power_of_two(k);
}

double real_power(double base, unsigned n)
{
    long double product = 1;
    while (n-- > 0)
        product *= base;
    return (double)product;
}
