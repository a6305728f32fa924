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
    gate_open(&g, 11, 11);
    assert_true(gate_take(&g, &e));
    assert_int_equal(e.cookie, 1);
    assert_false(gate_take(&g, &e));
    gate_open(&g, 20, 20);
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
        gate_open(&g, held - 20, held - 20);
        for (struct event e; gate_take(&g, &e); taken++)
            assert_int_equal(e.cookie, taken);
        assert_int_equal(taken, held - 20);
    }
    gate_fini(&g);
}

static struct event to(uint32_t slot, enum happening what, uint64_t cookie, uint64_t after)
{
    return (struct event){.what = what, .to.outlet = {.slot = slot, .generation = 1}, .cookie = cookie, .after = after};
}

/* Holds n events, and says which cookies went on at once and which after the gate was opened. */
static void check_order(struct event *events, size_t n, uint64_t open, const char *at_once, const char *then)
{
    struct gate g;
    char went[64] = "", came[64] = "";
    gate_init(&g, 10);
    size_t left = gate_hold(&g, events, n);
    for (size_t i = 0; i < left; i++)
        went[i] = (char)('0' + events[i].cookie);
    gate_open(&g, open, open);
    struct event e;
    for (size_t i = 0; gate_take(&g, &e); i++)
        came[i] = (char)('0' + e.cookie);
    assert_string_equal(went, at_once);
    assert_string_equal(came, then);
    gate_fini(&g);
}

TEST(an_answer_that_waits_holds_up_its_client_and_nobody_else)
{
    struct event events[] = {to(4, DONE, 1, 0), to(4, DONE, 2, 11),       to(4, DELIVERED, 3, 0),
                             to(5, DONE, 4, 0), to(700, DELIVERED, 5, 0), to(4, DETACHED, 6, 0)};
    check_order(events, 6, 11, "145", "236");
}

TEST(confirms_neither_hold_up_nor_are_held_up)
{
    struct event events[] = {to(1, CONFIRMED, 1, 12), to(1, DELIVERED, 2, 0), to(1, DONE, 3, 13),
                             to(1, CONFIRMED, 4, 0),  to(1, REFUSED, 5, 9),   to(1, CONFIRMED, 6, 11)};
    check_order(events, 6, 20, "245", "136");
}

TEST(a_confirm_does_not_overtake_what_was_returned_before_it)
{
    struct event events[] = {to(1, DONE, 1, 11), to(1, RETURNED, 2, 0), to(1, CONFIRMED, 3, 0), to(2, CONFIRMED, 4, 0)};
    check_order(events, 4, 11, "4", "123");
}

TEST(what_is_released_together_has_no_gaps)
{
    struct event events[] = {to(1, DONE, 1, 15), to(2, DONE, 2, 11), to(2, DELIVERED, 3, 0)};
    check_order(events, 3, 14, "", "");
}

TEST(a_fence_falls_when_it_is_durable)
{
    struct gate g;
    gate_init(&g, 0);
    struct event e = to(3, DONE, 1, 5);
    assert_int_equal(gate_hold(&g, &e, 1), 0);
    gate_open(&g, 5, 5);
    assert_true(gate_take(&g, &e));
    e = to(3, DELIVERED, 2, 0);
    assert_int_equal(gate_hold(&g, &e, 1), 1);
    gate_fini(&g);
}

/* As check_order(), while publishes are stuck behind position 10. */
static void check_stuck(struct event *events, size_t n, uint64_t changes, const char *then)
{
    struct gate g;
    char came[64] = "";
    gate_init(&g, 10);
    assert_int_equal(gate_hold(&g, events, n), 0);
    gate_open(&g, 10, changes);
    size_t i = 0;
    for (struct event e; gate_take(&g, &e); i++)
        came[i] = (char)('0' + e.cookie);
    assert_string_equal(came, then);
    gate_open(&g, 50, 50);
    for (struct event e; gate_take(&g, &e); i++)
        continue;
    assert_int_equal(i, n);
    gate_fini(&g);
}

static struct event answer(uint32_t slot, enum verb verb, uint64_t cookie, uint64_t after)
{
    struct event e = to(slot, DONE, cookie, after);
    e.verb = verb;
    return e;
}

TEST(changes_overtake_publishes_that_are_stuck)
{
    struct event events[] = {to(1, CONFIRMED, 1, 11),         answer(2, PURGE_QUEUE, 2, 12), to(1, REFUSED, 3, 13),
                             answer(1, DELETE_QUEUE, 4, 14),  answer(3, COMMIT, 5, 15),      answer(4, RESET, 6, 16),
                             answer(5, DECLARE_QUEUE, 7, 17), to(6, DETACHED, 8, 18)};
    check_stuck(events, 8, 17, "247");
}

TEST(a_commit_of_nothing_but_settles_is_a_change)
{
    struct event events[] = {to(1, CONFIRMED, 1, 11), answer(2, COMMIT, 2, 12), answer(3, COMMIT, 3, 13)};
    events[2].nothing_published = true;
    check_stuck(events, 3, 20, "3");
}

TEST(behind_a_commit_that_is_stuck_its_client_waits)
{
    struct event events[] = {answer(1, COMMIT, 1, 11), answer(1, PURGE_QUEUE, 2, 12), answer(2, PURGE_QUEUE, 3, 13),
                             to(1, DELIVERED, 4, 0),   to(2, DELIVERED, 5, 0),        to(1, DETACHED, 6, 0)};
    check_stuck(events, 6, 20, "35");
}

TEST(a_commit_does_not_overtake_a_change_before_it)
{
    struct gate g;
    gate_init(&g, 10);
    struct event e, events[] = {answer(1, PURGE_QUEUE, 1, 14), answer(1, COMMIT, 2, 0), to(1, DELIVERED, 3, 0)};
    assert_int_equal(gate_hold(&g, events, 3), 0);
    gate_open(&g, 12, 13);
    assert_false(gate_take(&g, &e));
    gate_open(&g, 14, 14);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_true(gate_take(&g, &e));
        assert_int_equal(e.cookie, i);
    }
    gate_fini(&g);
}

TEST(what_went_as_a_change_holds_nothing_up)
{
    struct gate g;
    gate_init(&g, 10);
    struct event e = answer(1, PURGE_QUEUE, 1, 14);
    assert_int_equal(gate_hold(&g, &e, 1), 0);
    gate_open(&g, 10, 20);
    assert_true(gate_take(&g, &e));
    struct event more[] = {to(1, DELIVERED, 2, 14), to(1, CONFIRMED, 3, 9), answer(1, COMMIT, 4, 10)};
    assert_int_equal(gate_hold(&g, more, 3), 3);
    gate_fini(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_journal_nothing_waits),
        cmocka_unit_test(what_is_not_durable_waits_and_the_rest_goes_in_order),
        cmocka_unit_test(any_number_may_wait),
        cmocka_unit_test(an_answer_that_waits_holds_up_its_client_and_nobody_else),
        cmocka_unit_test(confirms_neither_hold_up_nor_are_held_up),
        cmocka_unit_test(a_confirm_does_not_overtake_what_was_returned_before_it),
        cmocka_unit_test(what_is_released_together_has_no_gaps),
        cmocka_unit_test(a_fence_falls_when_it_is_durable),
        cmocka_unit_test(changes_overtake_publishes_that_are_stuck),
        cmocka_unit_test(a_commit_of_nothing_but_settles_is_a_change),
        cmocka_unit_test(behind_a_commit_that_is_stuck_its_client_waits),
        cmocka_unit_test(a_commit_does_not_overtake_a_change_before_it),
        cmocka_unit_test(what_went_as_a_change_holds_nothing_up),
    };
    return unit_main("net/gate", tests, argc, argv);
}
