#include "broker/model/schedule.h"
#include "tests/unit/unit.h"

#include "base/check.h"

static uint64_t top_position(struct schedule *s)
{
    const struct due *top = schedule_top(s);
    return top != NULL ? top->position : UINT64_MAX;
}

TEST(what_is_due_first_is_on_top_and_of_the_same_time_what_came_first)
{
    static const uint64_t dues[] = {50, 10, 30, 10, 0, 30}, order[] = {4, 1, 3, 2, 5, 0};
    struct schedule s;
    schedule_init(&s);
    for (uint64_t i = 0; i < 6; i++)
        schedule_add(&s, i, (int64_t)dues[i], 1);
    for (unsigned i = 0; i < 6; i++) {
        schedule_check(&s);
        assert_int_equal(top_position(&s), order[i]);
        schedule_remove(&s, schedule_top(&s));
    }
    assert_null(schedule_top(&s));
    schedule_fini(&s);
}

TEST(a_slot_is_found_by_its_position_until_it_is_removed)
{
    struct schedule s;
    schedule_init(&s);
    for (uint64_t i = 0; i < 100; i++)
        schedule_add(&s, i * 10, 1000 - (int64_t)i, i);
    assert_null(schedule_find(&s, 15));
    assert_int_equal(schedule_find(&s, 150)->bytes, 15);
    assert_int_equal(schedule_from(&s, 151)->position, 160);
    assert_null(schedule_from(&s, 991));
    schedule_remove(&s, schedule_find(&s, 150));
    assert_null(schedule_find(&s, 150));
    assert_int_equal(schedule_from(&s, 145)->position, 160);
    assert_int_equal(schedule_next(&s, schedule_find(&s, 140))->position, 160);
    assert_null(schedule_next(&s, schedule_find(&s, 990)));
    schedule_fini(&s);
}

/* The same as an array that is searched from end to end, whatever is done. */
TEST(a_long_random_run_agrees_with_a_naive_one)
{
    enum { ALL = 20000 };
    static uint64_t due[ALL];
    static bool is_there[ALL];
    uint64_t random = 1, n = 0, live = 0;
    struct schedule s;
    schedule_init(&s);
    for (unsigned step = 0; step < 2 * ALL; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        unsigned what = (unsigned)(random >> 60);
        if (n < ALL && what < 8) {
            due[n] = (random >> 32) % 1000;
            is_there[n] = true;
            schedule_add(&s, n, (int64_t)due[n], 0);
            n++;
            live++;
        } else if (what < 14) { /* the one on top */
            const uint64_t p = top_position(&s);
            assert_int_equal(p == UINT64_MAX, live == 0);
            if (p == UINT64_MAX)
                continue;
            for (uint64_t i = 0; step % 64 == 0 && i < n; i++)
                assert_true(!is_there[i] || due[i] > due[p] || (due[i] == due[p] && i >= p));
            is_there[p] = false;
            schedule_remove(&s, schedule_top(&s));
            live--;
        } else if (n > 0) { /* any */
            uint64_t p = (random >> 20) % n;
            struct due *slot = schedule_find(&s, p);
            assert_int_equal(slot != NULL, is_there[p]);
            if (slot == NULL)
                continue;
            is_there[p] = false;
            schedule_remove(&s, slot);
            live--;
        }
        assert_int_equal(s.live, live);
        if (step % 512 == 0)
            schedule_check(&s);
    }
    schedule_fini(&s);
}

TEST(what_is_removed_does_not_stay_in_memory)
{
    struct schedule s;
    schedule_init(&s);
    schedule_add(&s, 0, 1 << 30, 0); /* a long one, before many short ones */
    for (uint64_t i = 1; i < 100000; i++) {
        schedule_add(&s, i, (int64_t)i, 0);
        schedule_remove(&s, schedule_find(&s, i));
    }
    assert_int_equal(top_position(&s), 0);
    assert_in_range(s.capacity, 1, 1024);
    assert_in_range(s.heap_capacity, 1, 1024);
    schedule_fini(&s);
}

static void widened(struct schedule *s, uint64_t at, unsigned count, uint64_t from, uint64_t to)
{
    uint64_t a = at, b = at;
    schedule_widen(s, 100, count, &a, &b);
    assert_int_equal(a, from);
    assert_int_equal(b, to);
}

TEST(a_range_is_widened_to_what_is_due_too)
{
    struct schedule s;
    schedule_init(&s);
    for (uint64_t i = 0; i < 20; i++)
        schedule_add(&s, i, i == 3 || i == 12 ? 101 : 100, 0);
    widened(&s, 7, 100, 4, 11);
    widened(&s, 7, 4, 5, 8);
    widened(&s, 7, 1, 7, 7);
    widened(&s, 0, 100, 0, 2);
    widened(&s, 19, 100, 13, 19);
    schedule_warm(schedule_find(&s, 9), NULL);
    schedule_remove(&s, schedule_find(&s, 5)); /* nothing to bring there, but nothing lost either */
    widened(&s, 7, 100, 4, 8);
    schedule_fini(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_first_is_on_top_and_of_the_same_time_what_came_first),
        cmocka_unit_test(a_slot_is_found_by_its_position_until_it_is_removed),
        cmocka_unit_test(a_long_random_run_agrees_with_a_naive_one),
        cmocka_unit_test(what_is_removed_does_not_stay_in_memory),
        cmocka_unit_test(a_range_is_widened_to_what_is_due_too),
    };
    return unit_main("schedule", tests, argc, argv);
}
