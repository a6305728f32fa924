/* The little of <math.h> that the broker needs.
 *
 * The C library's has half a MiB of it resident in whoever links it, most of it touched while it is loaded; and its
 * functions come in versions for this processor and that, whose last bits differ, where a consistent hash must send a
 * message to the same queue on every machine.
 */
#ifndef BASE_REAL_H
#define BASE_REAL_H

/* The natural logarithm of x, which must be positive and not subnormal; within two units of the last place. */
double real_log(double x);

/* Two to the power of x; within four units of the last place, 0 where that would be subnormal, infinite from 1024 on.
 */
double real_exp2(double x);

/* base to the power of n, rounded once if both are small: 10 to the power of 255 is right. */
double real_power(double base, unsigned n);

static inline double real_min(double a, double b)
{
    return a < b ? a : b;
}

static inline double real_max(double a, double b)
{
    return a > b ? a : b;
}
#endif
