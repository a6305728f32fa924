#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "amqp/unacked.h"

/* What an acknowledgement settled, in order. */
struct settled {
    uint32_t slots[4096];
    unsigned n;
};

static void note(void *arg, ticket t)
{
    struct settled *s = arg;
    assert_true(s->n < sizeof s->slots / sizeof s->slots[0]);
    s->slots[s->n++] = t.slot;
}

/* Tags 1 to n, each with its own number as ticket. */
static struct unacked *with_tags(unsigned n)
{
    struct unacked *u = unacked_create();
    for (unsigned i = 1; i <= n; i++)
        unacked_push(u, i, (ticket){.slot = i});
    return u;
}

/* Settles for good; answers what was settled as text: "1 2 3", or "unknown". */
static const char *settle(struct unacked *u, uint64_t tag, bool multiple, enum unacked_for how)
{
    static char text[256];
    struct settled s = {.n = 0};
    size_t at = 0;
    if (!unacked_settle(u, tag, multiple, how, note, &s)) {
        assert_int_equal(s.n, 0);
        return "unknown";
    }
    text[0] = '\0';
    for (unsigned i = 0; i < s.n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i > 0 ? " " : "", s.slots[i]);
    return text;
}

TEST(a_tag_is_settled_once)
{
    struct unacked *u = with_tags(3);
    assert_string_equal(settle(u, 2, false, FOR_GOOD), "2");
    assert_string_equal(settle(u, 2, false, FOR_GOOD), "unknown");
    assert_int_equal(unacked_count(u), 2);
    unacked_destroy(u);
}

TEST(a_tag_that_never_was_is_unknown)
{
    struct unacked *u = with_tags(3);
    assert_string_equal(settle(u, 0, false, FOR_GOOD), "unknown");
    assert_string_equal(settle(u, 4, false, FOR_GOOD), "unknown");
    assert_string_equal(settle(u, UINT64_MAX, false, FOR_GOOD), "unknown");
    unacked_destroy(u);
}

TEST(multiple_settles_everything_up_to_a_tag_in_order)
{
    struct unacked *u = with_tags(5);
    assert_string_equal(settle(u, 2, false, FOR_GOOD), "2");
    assert_string_equal(settle(u, 4, true, FOR_GOOD), "1 3 4");
    assert_int_equal(unacked_count(u), 1);
    unacked_destroy(u);
}

TEST(multiple_needs_the_tag_itself_to_be_outstanding)
{
    struct unacked *u = with_tags(3);
    assert_string_equal(settle(u, 5, true, FOR_GOOD), "unknown");
    assert_string_equal(settle(u, 2, false, FOR_GOOD), "2");
    assert_string_equal(settle(u, 2, true, FOR_GOOD), "unknown");
    assert_int_equal(unacked_count(u), 2);
    unacked_destroy(u);
}

TEST(tag_0_with_multiple_settles_all_be_it_nothing)
{
    struct unacked *u = with_tags(3);
    assert_string_equal(settle(u, 0, true, FOR_GOOD), "1 2 3");
    assert_string_equal(settle(u, 0, true, FOR_GOOD), "");
    unacked_destroy(u);
}

TEST(tags_may_leave_gaps)
{
    struct unacked *u = unacked_create();
    for (unsigned tag = 10; tag < 1000; tag += 10) /* those between went to consumers that do not acknowledge */
        unacked_push(u, tag, (ticket){.slot = tag});
    assert_string_equal(settle(u, 15, false, FOR_GOOD), "unknown");
    assert_string_equal(settle(u, 500, false, FOR_GOOD), "500");
    assert_string_equal(settle(u, 990, false, FOR_GOOD), "990");
    assert_string_equal(settle(u, 30, true, FOR_GOOD), "10 20 30");
    unacked_destroy(u);
}

TEST(what_is_settled_in_a_transaction_is_gone_until_rollback)
{
    struct unacked *u = with_tags(4);
    assert_string_equal(settle(u, 2, true, IN_TRANSACTION), "1 2");
    assert_string_equal(settle(u, 1, false, IN_TRANSACTION), "unknown");
    assert_int_equal(unacked_count(u), 2);
    unacked_rollback(u);
    assert_int_equal(unacked_count(u), 4);
    assert_string_equal(settle(u, 3, true, IN_TRANSACTION), "1 2 3");
    unacked_commit(u);
    unacked_rollback(u);
    assert_string_equal(settle(u, 2, true, IN_TRANSACTION), "unknown");
    assert_string_equal(settle(u, 0, true, IN_TRANSACTION), "4");
    unacked_destroy(u);
}

TEST(clearing_forgets_what_is_outstanding_and_keeps_the_transaction)
{
    struct unacked *u = with_tags(4);
    assert_string_equal(settle(u, 2, false, IN_TRANSACTION), "2");
    unacked_clear(u);
    assert_int_equal(unacked_count(u), 0);
    unacked_rollback(u);
    assert_string_equal(settle(u, 0, true, FOR_GOOD), "2");
    unacked_destroy(u);
}

TEST(an_old_delivery_does_not_make_the_ring_grow)
{
    struct unacked *u = with_tags(1);
    struct settled s;
    for (uint64_t tag = 2; tag < 100000; tag++) {
        s.n = 0;
        unacked_push(u, tag, (ticket){.slot = 7});
        assert_true(unacked_settle(u, tag, false, FOR_GOOD, note, &s));
    }
    assert_true(unacked_room(u) <= 64);
    assert_int_equal(unacked_count(u), 1);
    unacked_destroy(u);
}

TEST(an_emptied_ring_is_small_again)
{
    struct unacked *u = with_tags(4000);
    struct settled s = {.n = 0};
    assert_true(unacked_room(u) >= 4000);
    assert_true(unacked_settle(u, 4000, true, FOR_GOOD, note, &s));
    assert_int_equal(s.n, 4000);
    assert_true(unacked_room(u) <= 64);
    unacked_destroy(u);
}

/* The same rules, by brute force. */
enum { STATES_MAX = 3000 };
struct naive {
    uint8_t state[STATES_MAX]; /* 0: none, 1: outstanding, 2: in the transaction */
    unsigned next;
};

static unsigned naive_settle(struct naive *n, uint64_t tag, bool multiple, uint8_t to, uint32_t *slots)
{
    unsigned count = 0;
    uint64_t first = multiple ? 0 : tag, last = multiple && tag == 0 ? n->next - 1 : tag;
    for (uint64_t i = first; i <= last; i++) {
        if (n->state[i] != 1)
            continue;
        n->state[i] = to;
        slots[count++] = (uint32_t)i;
    }
    return count;
}

static void compare_step(struct unacked *u, struct naive *n, unsigned roll)
{
    struct settled s = {.n = 0};
    uint32_t expected[STATES_MAX];
    uint64_t tag = (unsigned)rand() % n->next;
    bool multiple = rand() % 4 == 0, in_tx = rand() % 3 == 0;
    if (roll < 50) {
        n->next += rand() % 5 == 0;
        unacked_push(u, n->next, (ticket){.slot = n->next});
        n->state[n->next++] = 1;
    } else if (roll < 94) {
        bool known = (multiple && tag == 0) || n->state[tag] == 1;
        assert_int_equal(unacked_settle(u, tag, multiple, in_tx ? IN_TRANSACTION : FOR_GOOD, note, &s), known);
        unsigned count = known ? naive_settle(n, tag, multiple, in_tx ? 2 : 0, expected) : 0;
        assert_int_equal(s.n, count);
        assert_memory_equal(s.slots, expected, count * sizeof expected[0]);
    } else {
        bool commit = roll < 97;
        (commit ? unacked_commit : unacked_rollback)(u);
        for (unsigned i = 0; i < n->next; i++)
            if (n->state[i] == 2)
                n->state[i] = commit ? 0 : 1;
    }
}

TEST(it_agrees_with_brute_force)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct unacked *u = unacked_create();
        struct naive n = {.next = 1};
        srand(seed);
        while (n.next < STATES_MAX - 2 && n.next < seed * 20)
            compare_step(u, &n, (unsigned)rand() % 100);
        unsigned outstanding = 0;
        for (unsigned i = 0; i < n.next; i++)
            outstanding += n.state[i] == 1;
        assert_int_equal(unacked_count(u), outstanding);
        unacked_destroy(u);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_settled_once),
        cmocka_unit_test(a_tag_that_never_was_is_unknown),
        cmocka_unit_test(multiple_settles_everything_up_to_a_tag_in_order),
        cmocka_unit_test(multiple_needs_the_tag_itself_to_be_outstanding),
        cmocka_unit_test(tag_0_with_multiple_settles_all_be_it_nothing),
        cmocka_unit_test(tags_may_leave_gaps),
        cmocka_unit_test(what_is_settled_in_a_transaction_is_gone_until_rollback),
        cmocka_unit_test(clearing_forgets_what_is_outstanding_and_keeps_the_transaction),
        cmocka_unit_test(an_old_delivery_does_not_make_the_ring_grow),
        cmocka_unit_test(an_emptied_ring_is_small_again),
        cmocka_unit_test(it_agrees_with_brute_force),
    };
    return unit_main("amqp/unacked", tests, argc, argv);
}
