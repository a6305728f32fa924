#include "tests/unit/unit.h"

#include "broker/net/gate.h"

/* An event that confirms cookie once the journal is durable up to after. */
static struct event confirm(uint64_t cookie, uint64_t after)
{
    return (struct event){.what = CONFIRMED, .cookie = cookie, .after = after};
}

TEST(without_a_journal_nothing_waits)
{
    struct gate g;
    gate_init(&g, UINT64_MAX);
    struct event events[] = {confirm(1, 0), confirm(2, 5), confirm(3, UINT64_MAX)};
    assert_int_equal(gate_hold(&g, events, 3), 3);
    assert_int_equal(events[1].cookie, 2);
    gate_fini(&g);
}

TEST(what_is_not_durable_waits_and_the_rest_goes_in_order)
{
    struct gate g;
    gate_init(&g, 10);
    struct event events[] = {confirm(1, 11), confirm(2, 0), confirm(3, 10), confirm(4, 12), confirm(5, 0)};
    assert_int_equal(gate_hold(&g, events, 5), 3);
    assert_int_equal(events[0].cookie, 2);
    assert_int_equal(events[1].cookie, 3);
    assert_int_equal(events[2].cookie, 5);
    struct event e;
    assert_false(gate_take(&g, &e));
    gate_open(&g, 11);
    assert_true(gate_take(&g, &e));
    assert_int_equal(e.cookie, 1);
    assert_false(gate_take(&g, &e));
    gate_open(&g, 20);
    assert_true(gate_take(&g, &e));
    assert_int_equal(e.cookie, 4);
    assert_false(gate_take(&g, &e));
    gate_fini(&g);
}

TEST(any_number_may_wait)
{
    struct gate g;
    gate_init(&g, 0);
    uint64_t taken = 0, held = 0;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 50; i++) {
            struct event e = confirm(held, held + 1);
            assert_int_equal(gate_hold(&g, &e, 1), 0);
            held++;
        }
        gate_open(&g, held - 20);
        for (struct event e; gate_take(&g, &e); taken++)
            assert_int_equal(e.cookie, taken);
        assert_int_equal(taken, held - 20);
    }
    gate_fini(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_journal_nothing_waits),
        cmocka_unit_test(what_is_not_durable_waits_and_the_rest_goes_in_order),
        cmocka_unit_test(any_number_may_wait),
    };
    return unit_main("net/gate", tests, argc, argv);
}
