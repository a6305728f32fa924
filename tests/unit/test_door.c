#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/net/door.h"

enum { MAX = 20, MAX_PER_PLACE = 4 };

/* 10.0.0.n */
static struct address place(uint8_t n)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000U + n)};
    struct address a = {.len = sizeof in};
    memcpy(&a.storage, &in, sizeof in);
    return a;
}

static void enter(struct door *d, struct guest *g, uint8_t from, uint64_t now)
{
    struct address a = place(from);
    guest_init(g);
    door_enter(d, g, &a, now);
}

TEST(few_are_left_in_peace)
{
    struct door d;
    struct guest guests[MAX_PER_PLACE];
    door_init(&d, MAX, MAX_PER_PLACE);
    for (int i = 0; i < MAX_PER_PLACE; i++) {
        enter(&d, &guests[i], 1, 1000 * (uint64_t)i);
        assert_null(door_overdue(&d, &guests[i], 1000000));
    }
    for (int i = 0; i < MAX_PER_PLACE; i++)
        door_leave(&d, &guests[i]);
    door_leave(&d, &guests[0]);
    door_fini(&d);
}

TEST(unix_sockets_are_one_place_without_a_number_of_its_own)
{
    struct door d;
    struct guest guests[MAX + 1];
    struct address here = {.len = sizeof(sa_family_t)};
    here.storage.ss_family = AF_UNIX;
    door_init(&d, MAX, MAX_PER_PLACE);
    for (int i = 0; i < MAX; i++) {
        guest_init(&guests[i]);
        door_enter(&d, &guests[i], &here, 0);
        assert_null(door_overdue(&d, &guests[i], 1000000));
    }
    guest_init(&guests[MAX]);
    door_enter(&d, &guests[MAX], &here, 0); /* but the whole number holds */
    assert_ptr_equal(door_overdue(&d, &guests[MAX], 1000000), &guests[0]);
    for (int i = 0; i <= MAX; i++)
        door_leave(&d, &guests[i]);
    door_fini(&d);
}

TEST(the_oldest_goes_when_there_are_too_many)
{
    struct door d;
    struct guest guests[MAX + 2];
    door_init(&d, MAX, MAX_PER_PLACE);
    for (uint8_t i = 0; i < MAX; i++) {
        enter(&d, &guests[i], i, 0);
        assert_null(door_overdue(&d, &guests[i], 0));
    }
    door_leave(&d, &guests[0]);
    enter(&d, &guests[MAX], 100, 0);
    assert_null(door_overdue(&d, &guests[MAX], 0));
    enter(&d, &guests[MAX + 1], 101, 0);
    assert_ptr_equal(door_overdue(&d, &guests[MAX + 1], 0), &guests[1]);
    door_leave(&d, &guests[1]);
    assert_null(door_overdue(&d, &guests[MAX + 1], 0));
    for (int i = 2; i < MAX + 2; i++)
        door_leave(&d, &guests[i]);
    door_fini(&d);
}

TEST(a_place_that_dawdles_keeps_only_its_newest)
{
    struct door d;
    struct guest guests[MAX_PER_PLACE + 1], other;
    door_init(&d, MAX, MAX_PER_PLACE);
    enter(&d, &other, 2, 0);
    for (int i = 0; i < MAX_PER_PLACE; i++)
        enter(&d, &guests[i], 1, 10);
    enter(&d, &guests[MAX_PER_PLACE], 1, 10 + DOOR_GRACE_MS);
    assert_ptr_equal(door_overdue(&d, &guests[MAX_PER_PLACE], 10 + DOOR_GRACE_MS), &guests[0]);
    door_leave(&d, &guests[0]);
    assert_null(door_overdue(&d, &guests[MAX_PER_PLACE], 10 + DOOR_GRACE_MS));
    for (int i = 1; i <= MAX_PER_PLACE; i++)
        door_leave(&d, &guests[i]);
    door_leave(&d, &other);
    door_fini(&d);
}

TEST(a_crowd_that_comes_at_once_gets_its_grace)
{
    struct door d;
    struct guest guests[MAX];
    door_init(&d, MAX, MAX_PER_PLACE);
    for (int i = 0; i < MAX; i++) {
        enter(&d, &guests[i], 1, 5);
        assert_null(door_overdue(&d, &guests[i], 5 + DOOR_GRACE_MS - 1));
    }
    for (int i = 0; i < MAX; i++)
        door_leave(&d, &guests[i]);
    door_fini(&d);
}

TEST(it_knows_when_the_oldest_has_had_its_time)
{
    struct door d;
    struct guest guests[2];
    door_init(&d, MAX, MAX);
    assert_int_equal(door_ripe_at(&d), UINT64_MAX);
    enter(&d, &guests[0], 1, 5);
    enter(&d, &guests[1], 2, 7);
    assert_int_equal(door_ripe_at(&d), 5 + DOOR_GRACE_MS);
    door_leave(&d, &guests[0]);
    assert_int_equal(door_ripe_at(&d), 7 + DOOR_GRACE_MS);
    door_leave(&d, &guests[1]);
    assert_int_equal(door_ripe_at(&d), UINT64_MAX);
    door_fini(&d);
}

TEST(who_comes_from_elsewhere_goes_before_a_crowd)
{
    struct door d;
    struct guest guests[MAX], more;
    const struct address crowd = place(1), few = place(2), fresh = place(3);
    door_init(&d, MAX, MAX_PER_PLACE);
    assert_null(door_rival(&d, &fresh, 5));
    for (int i = 0; i < MAX; i++) { /* two from the one, all others from the other */
        assert_false(door_is_full(&d));
        enter(&d, &guests[i], i == 3 || i == 4 ? 2 : 1, 5);
    }
    assert_true(door_is_full(&d));
    assert_null(door_rival(&d, &crowd, 6)); /* its own kind waits */
    assert_ptr_equal(door_rival(&d, &few, 6), &guests[0]);
    assert_ptr_equal(door_rival(&d, &fresh, 6), &guests[0]);
    door_leave(&d, &guests[0]);
    enter(&d, &more, 3, 6);
    assert_ptr_equal(door_rival(&d, &fresh, 6), &guests[1]);
    /* Who has had the time is the first to go, wherever from. */
    assert_ptr_equal(door_rival(&d, &crowd, 5 + DOOR_GRACE_MS), &guests[1]);
    for (int i = 1; i < MAX; i++)
        door_leave(&d, &guests[i]);
    door_leave(&d, &more);
    door_fini(&d);
}

TEST(where_all_have_their_share_newcomers_wait)
{
    struct door d;
    struct guest guests[MAX];
    const struct address one = place(0), fresh = place(MAX);
    door_init(&d, MAX, MAX_PER_PLACE);
    for (uint8_t i = 0; i < MAX; i++)
        enter(&d, &guests[i], i % (MAX / 2), 5); /* two from each */
    assert_null(door_rival(&d, &one, 6));
    assert_ptr_equal(door_rival(&d, &fresh, 6), &guests[0]);
    for (int i = 0; i < MAX / 2; i++)
        door_leave(&d, &guests[i]);
    for (uint8_t i = 0; i < MAX / 2; i++)
        enter(&d, &guests[i], MAX / 2 + i, 5); /* one from each */
    assert_null(door_rival(&d, &fresh, 6));
    assert_non_null(door_rival(&d, &fresh, 5 + DOOR_GRACE_MS));
    for (int i = 0; i < MAX; i++)
        door_leave(&d, &guests[i]);
    door_fini(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_left_in_peace),
        cmocka_unit_test(unix_sockets_are_one_place_without_a_number_of_its_own),
        cmocka_unit_test(the_oldest_goes_when_there_are_too_many),
        cmocka_unit_test(a_place_that_dawdles_keeps_only_its_newest),
        cmocka_unit_test(a_crowd_that_comes_at_once_gets_its_grace),
        cmocka_unit_test(it_knows_when_the_oldest_has_had_its_time),
        cmocka_unit_test(who_comes_from_elsewhere_goes_before_a_crowd),
        cmocka_unit_test(where_all_have_their_share_newcomers_wait),
    };
    return unit_main("net/door", tests, argc, argv);
}
