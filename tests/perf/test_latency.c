/* Latencies: how near a percentile is to the truth, and that merging and subtracting lose nothing. */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/perf/latency.h"

enum { VALUES = 20000 };

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 24;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Values of every magnitude: as many below a microsecond as above a second. */
static uint64_t any_value(uint64_t *state)
{
    uint64_t bits = next(state) % LATENCY_BITS;
    return next(state) & ((UINT64_C(2) << bits) - 1) & LATENCY_MOST;
}

TEST(buckets_follow_one_another_without_a_gap)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        assert_int_equal(latency_bucket(latency_bucket_first(i)), i);
        assert_int_equal(latency_bucket(latency_bucket_last(i)), i);
        if (i > 0)
            assert_int_equal(latency_bucket_first(i), latency_bucket_last(i - 1) + 1);
    }
    assert_int_equal(latency_bucket_first(0), 0);
    assert_int_equal(latency_bucket_last(LATENCY_BUCKETS - 1), LATENCY_MOST);
}

TEST(a_bucket_is_narrower_than_a_hundredth_of_its_values)
{
    for (unsigned i = LATENCY_EXACT; i < LATENCY_BUCKETS; i++) {
        uint64_t first = latency_bucket_first(i);
        assert_true((latency_bucket_last(i) - first) * 100 < first);
    }
}

TEST(a_percentile_is_within_a_hundredth_of_the_sorted_one)
{
    static const double percents[] = {0.01, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99};
    struct latency *l = alloc_zeroed(sizeof *l);
    uint64_t *all = alloc(VALUES * sizeof *all), state = 1;
    for (unsigned i = 0; i < VALUES; i++)
        latency_add(l, all[i] = any_value(&state));
    qsort(all, VALUES, sizeof *all, compare);
    for (unsigned i = 0; i < sizeof percents / sizeof *percents; i++) {
        double truth = (double)all[(size_t)ceil(VALUES * percents[i] / 100) - 1];
        double told = (double)latency_percentile(l, percents[i]);
        assert_true(fabs(told - truth) <= truth / 100);
    }
    assert_int_equal(latency_percentile(l, 100), all[VALUES - 1]);
    assert_int_equal(l->max, all[VALUES - 1]);
    assert_int_equal(l->min, all[0]);
    free(all);
    free(l);
}

TEST(few_values_are_told_as_they_are)
{
    struct latency *l = alloc_zeroed(sizeof *l);
    assert_int_equal(latency_percentile(l, 50), 0);
    assert_int_equal((uint64_t)latency_mean(l), 0);
    latency_add(l, 123457);
    assert_int_equal(latency_percentile(l, 0), 123457);
    assert_int_equal(latency_percentile(l, 50), 123457);
    assert_int_equal(latency_percentile(l, 99.9), 123457);
    latency_add(l, 3);
    assert_int_equal(latency_percentile(l, 50), 3);
    assert_int_equal(latency_percentile(l, 50.1), 123457);
    assert_int_equal((uint64_t)latency_mean(l), 61730);
    free(l);
}

TEST(a_value_beyond_all_buckets_is_still_the_largest)
{
    struct latency *l = alloc_zeroed(sizeof *l);
    latency_add(l, LATENCY_MOST * 4);
    latency_add(l, UINT64_C(7));
    assert_int_equal(l->max, LATENCY_MOST * 4);
    assert_int_equal(latency_percentile(l, 100), LATENCY_MOST * 4);
    assert_int_equal(l->buckets[LATENCY_BUCKETS - 1], 1);
    free(l);
}

/* A broker that stops for a second while messages are due every millisecond delays a thousand of them, however few the
 * generator could send meanwhile. */
TEST(what_was_due_while_the_broker_stood_still_counts)
{
    struct latency *l = alloc_zeroed(sizeof *l);
    const uint64_t ms = 1000000;
    for (uint64_t due = 0; due < 10000 * ms; due += ms) {
        uint64_t sent = due < 1000 * ms ? 1000 * ms : due; /* it stood still for the first second */
        latency_add_since(l, due, sent + 50000);
    }
    assert_int_equal(l->count, 10000);
    assert_true(latency_percentile(l, 89) < ms);
    assert_true(latency_percentile(l, 95) > 490 * ms && latency_percentile(l, 95) < 510 * ms);
    assert_int_equal(l->max, 1000 * ms + 50000);
    latency_add_since(l, 5000, 4000); /* clocks of two threads may differ by a little */
    assert_int_equal(l->min, 0);
    free(l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_one_another_without_a_gap),
        cmocka_unit_test(a_bucket_is_narrower_than_a_hundredth_of_its_values),
        cmocka_unit_test(a_percentile_is_within_a_hundredth_of_the_sorted_one),
        cmocka_unit_test(few_values_are_told_as_they_are),
        cmocka_unit_test(a_value_beyond_all_buckets_is_still_the_largest),
        cmocka_unit_test(what_was_due_while_the_broker_stood_still_counts),
    };
    return unit_main("latency", tests, argc, argv);
}
