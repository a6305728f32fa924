#define _GNU_SOURCE
#include "broker/net/throttle.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/unit/unit.h"

#define BEFORE 1000000 /* when a test begins */

static struct throttle *t;
static uint64_t now;

static int set_up(void **unused)
{
    (void)unused;
    t = throttle_create(42);
    now = BEFORE;
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    throttle_destroy(t);
    return 0;
}

static struct throttle_answer login(const char *place, const char *user, bool is_right)
{
    return throttle_judge(t, bytes_of_string(place), bytes_of_string(user), is_right, now);
}

/* How long the verdict waits; dies if it was refused. */
static uint64_t wait_of(const char *place, const char *user, bool is_right)
{
    struct throttle_answer a = login(place, user, is_right);
    assert_false(a.is_refused);
    assert_true(a.tell_at_ms >= now && a.tell_at_ms <= now + THROTTLE_MAX_MS);
    return a.tell_at_ms - now;
}

/* Fails, and comes again as soon as it was told so. */
static uint64_t fail_and_hear(const char *place, const char *user)
{
    uint64_t waited = wait_of(place, user, false);
    now += waited;
    return waited;
}

static void fail_times(const char *place, const char *user, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        login(place, user, false);
}

static const char *numbered(const char *what, unsigned n)
{
    static char text[4][32];
    static unsigned next;
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], "%s-%u", what, n);
    return to;
}

TEST(who_is_right_at_once_does_not_wait)
{
    for (int i = 0; i < 5000; i++)
        assert_int_equal(wait_of("place", "user", true), 0);
    assert_int_equal(throttle_count(t), 0);
}

TEST(first_failures_cost_the_least_time_and_then_it_doubles)
{
    static const uint64_t waits[] = {200, 200, 200, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        assert_int_equal(fail_and_hear("place", "user"), waits[i]);
}

TEST(a_place_that_tries_user_after_user_is_slowed_down_alike)
{
    static const uint64_t waits[] = {200, 200, 200, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++)
        assert_int_equal(fail_and_hear("place", numbered("user", i)), waits[i]);
}

TEST(waiting_in_line_does_not_heal)
{
    for (int i = 0; i < 11; i++)
        fail_and_hear("place", "user");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(fail_and_hear("place", "user"), THROTTLE_MAX_MS);
}

TEST(right_and_wrong_wait_alike)
{
    struct throttle *other = throttle_create(42), *first = t;
    for (int i = 0; i < 12; i++) {
        t = first;
        uint64_t from = now, wrong = fail_and_hear("place", "user");
        now = from;
        t = other;
        throttle_destroy(other); /* the same history up to here, in another throttle */
        t = other = throttle_create(42);
        now = BEFORE;
        for (int k = 0; k < i; k++)
            fail_and_hear("place", "user");
        assert_int_equal(now, from);
        uint64_t right = wait_of("place", "user", true);
        assert_true(wrong == right || (wrong == THROTTLE_MIN_MS && right == 0));
        now = from + wrong;
    }
    throttle_destroy(other);
    t = first;
}

TEST(a_success_takes_back_what_its_pair_did)
{
    for (int i = 0; i < 8; i++)
        fail_and_hear("place", "user");
    assert_int_equal(wait_of("place", "user", true), 8000);
    now += 8000;
    assert_int_equal(wait_of("place", "user", true), 0);
    assert_int_equal(fail_and_hear("place", "user"), THROTTLE_MIN_MS);
    assert_int_equal(wait_of("elsewhere", "user", true), 0); /* the user's score, too */
}

TEST(a_success_takes_back_nothing_else)
{
    for (unsigned i = 0; i < 8; i++)
        fail_and_hear("place", numbered("victim", i));
    for (int i = 0; i < 10; i++)
        assert_int_equal(wait_of("place", "own", true), 8000);
    for (int i = 0; i < 2; i++)
        fail_times("place", "own", 1), now += THROTTLE_MAX_MS;
    uint64_t before = wait_of("place", "any", true);
    wait_of("place", "own", true); /* two failures back, and no more */
    assert_in_range(wait_of("place", "any", true), before / 8, before / 2);
}

TEST(a_success_takes_back_its_pair_s_part_of_the_place_s_guilt)
{
    fail_times("place", "one", 2);
    fail_times("place", "two", 2);
    assert_int_equal(wait_of("place", "three", true), 3 * THROTTLE_STEP_MS); /* the second one, after the first */
    wait_of("place", "one", true);
    assert_int_equal(wait_of("place", "three", true), THROTTLE_STEP_MS); /* the line of who came before */
    now += THROTTLE_STEP_MS;
    assert_int_equal(wait_of("place", "three", true), 0);
}

TEST(guesses_with_a_login_of_ones_own_in_between_are_guesses)
{
    uint64_t start = now;
    unsigned guesses = 0;
    while (now < start + 600000) {
        login("place", "own", true);
        struct throttle_answer a = login("place", "victim", false);
        guesses += !a.is_refused;
        now = a.is_refused ? now + 100 : a.tell_at_ms;
    }
    assert_in_range(guesses, 20, 32); /* ten within the first half minute, then two a minute */
}

TEST(one_stuck_client_does_not_slow_down_its_machine)
{
    for (int i = 0; i < 100000; i++, now += 10) {
        login("place", "stuck", false);
        assert_int_equal(wait_of("place", "user", true), 0);
    }
    assert_true(login("place", "stuck", true).is_refused); /* though itself it has to wait */
}

TEST(a_thousand_guesses_a_second_from_one_place_are_no_more_than_one_after_another)
{
    unsigned judged = 0;
    for (unsigned i = 0; i < 600 * 1000; i++, now++) {
        judged += !login("attacker", numbered("user", i % 50), false).is_refused;
        assert_int_equal(wait_of("honest", "someone", true), 0);
    }
    assert_in_range(judged, 25, 32);
    assert_true(wait_of("honest", "user-7", true) <= THROTTLE_USER_MAX_MS); /* a user who was attacked */
}

/* Two hours of tries at one pace, at so many users in turn. */
static unsigned guesses_of(unsigned pace_ms, unsigned users)
{
    unsigned judged = 0, tries = 0;
    throttle_destroy(t);
    t = throttle_create(42);
    for (now = BEFORE; now < BEFORE + 7200000; now += pace_ms)
        judged += !login("attacker", numbered("user", tries++ % users), false).is_refused;
    return judged;
}

TEST(no_pace_and_no_number_of_users_gains_much)
{
    static const unsigned users[] = {1, 2, 3, 4, 5, 10, 50, 100000};
    for (size_t u = 0; u < sizeof users / sizeof users[0]; u++)
        for (unsigned pace_ms = 500; pace_ms < 60000; pace_ms += pace_ms / 8)
            assert_in_range(guesses_of(pace_ms, users[u]), 0, 10 + (users[u] == 1 ? 4 : 8) * 120);
}

/* Every user whenever it can be: pairs that wait for themselves alone must not add up. */
TEST(many_patient_guesses_at_many_users_are_slowed_down_as_a_place)
{
    unsigned judged = 0;
    for (; now < BEFORE + 7200000; now += 250)
        for (unsigned u = 0, known = (unsigned)((now - BEFORE) / 120000) + 1; u < known; u++) /* ever more users */
            judged += !login("attacker", numbered("user", u), false).is_refused;
    assert_in_range(judged, 0, 10 + 4 * 120);
}

TEST(guesses_side_by_side_wait_for_one_another)
{
    uint64_t last = now;
    unsigned judged = 0;
    for (int i = 0; i < 1000; i++) {
        struct throttle_answer a = login("place", "user", false);
        if (a.is_refused) {
            assert_int_equal(a.tell_at_ms, now);
            continue;
        }
        judged++;
        assert_true(judged <= THROTTLE_FREE || a.tell_at_ms >= last + THROTTLE_STEP_MS || last <= now + 200);
        last = a.tell_at_ms;
    }
    assert_in_range(judged, THROTTLE_FREE + 1, 10);
}

TEST(who_is_refused_is_refused_right_or_wrong_and_not_counted)
{
    fail_times("place", "user", 100);
    size_t count = throttle_count(t);
    assert_true(login("place", "user", false).is_refused);
    assert_true(login("place", "user", true).is_refused);
    now += THROTTLE_MAX_MS; /* the line is empty: what was refused did not make it longer */
    assert_true(wait_of("place", "user", true) <= THROTTLE_MAX_MS);
    assert_true(throttle_count(t) < count);
}

TEST(a_user_guessed_from_everywhere_is_slowed_down_and_not_locked_out)
{
    for (unsigned i = 0; i < 5000; i++, now += 10) {
        uint64_t waited = wait_of(numbered("bot", i), "user", false);
        assert_true(waited <= THROTTLE_USER_MAX_MS);
        assert_true(i < 6 || waited == THROTTLE_USER_MAX_MS);
        assert_true(wait_of("home", "user", true) <= THROTTLE_USER_MAX_MS);
    }
    assert_int_equal(wait_of("home", "other", true), 0);
}

TEST(a_suspect_place_waits_the_user_s_whole_delay)
{
    for (unsigned i = 0; i < 20; i++)
        login(numbered("bot", i), "user", false);
    for (unsigned i = 0; i < THROTTLE_FREE; i++)
        login("place", numbered("other", i), false);
    assert_int_equal(wait_of("place", "user", true), THROTTLE_MAX_MS);
}

TEST(guilt_decays)
{
    fail_times("place", "user", 3);
    assert_int_equal(wait_of("place", "other", true), 0);
    now += THROTTLE_HALF_LIFE_MS;
    assert_int_equal(fail_and_hear("place", "user"), THROTTLE_MIN_MS);
    now = BEFORE + 100000000;
    fail_times("place", "user", 100000);
    now += THROTTLE_MAX_MS + 3 * THROTTLE_HALF_LIFE_MS; /* even the worst is forgotten in three half-lives */
    assert_int_equal(wait_of("place", "user", true), 0);
}

TEST(half_the_guilt_is_gone_in_half_a_life)
{
    fail_times("place", "user", 6); /* 3 free, then 250, 500, 1000 in line */
    now += 1750 + THROTTLE_HALF_LIFE_MS;
    assert_int_equal(wait_of("place", "user", true), THROTTLE_STEP_MS);
    fail_times("other", "another", 6);
    now += 1750 + THROTTLE_HALF_LIFE_MS / 2; /* 6 to 4.24 */
    assert_int_equal(wait_of("other", "another", true), 2 * THROTTLE_STEP_MS);
}

TEST(a_clock_that_is_a_little_behind_does_no_harm)
{
    fail_times("place", "user", 5);
    now -= 50;
    uint64_t waited = wait_of("place", "user", true);
    assert_in_range(waited, 1000, 2000);
}

TEST(what_is_kept_is_bounded)
{
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 100000; i++) {
        login(numbered("place", i), numbered("user", i), false);
        unsigned suppressed;
        throttle_may_log(t, bytes_of_string(numbered("speaker", i)), now, &suppressed);
    }
    assert_int_equal(throttle_count(t), THROTTLE_ENTRIES_MAX);
    assert_true(mallinfo2().uordblks - before < 10 << 20);
}

TEST(who_goes_on_is_not_forgotten_in_a_flood_of_others)
{
    fail_times("attacker", "user", 20);
    for (unsigned i = 0; i < 100000; i++) {
        login(numbered("place", i), numbered("name", i), false);
        if (i % 1000 == 0)
            assert_true(login("attacker", "user", false).is_refused);
    }
    assert_true(login("attacker", "user", true).is_refused);
}

TEST(what_is_forgotten_makes_room)
{
    for (unsigned i = 0; i < 100000; i++, now += 100)
        login(numbered("place", i), numbered("user", i), false);
    assert_true(throttle_count(t) < 3 * 2000); /* of the last two minutes or so */
}

TEST(names_are_told_apart_whatever_is_in_them)
{
    uint8_t name[300] = {0};
    for (unsigned len = 0; len < sizeof name; len++)
        throttle_judge(t, bytes_of(name, len), BYTES(""), false, now);
    assert_int_equal(throttle_count(t), 300 + 1 + 300);
    login("a", "bc", false);
    login("ab", "c", false);
    assert_int_equal(throttle_count(t), 300 + 1 + 300 + 2 + 2 + 2);
}

static unsigned lines_of(const char *place, unsigned tries, unsigned *suppressed)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) {
        unsigned s = 0;
        if (throttle_may_log(t, bytes_of_string(place), now, &s)) {
            *suppressed = s;
            n++;
        }
    }
    return n;
}

TEST(log_lines_of_a_place_are_few_and_say_how_many_there_were)
{
    unsigned suppressed = 9;
    assert_int_equal(lines_of("place", 1000, &suppressed), THROTTLE_LOG_BURST);
    assert_int_equal(suppressed, 0);
    assert_int_equal(lines_of("other", 1, &suppressed), 1);
    now += THROTTLE_LOG_EVERY_MS;
    assert_int_equal(lines_of("place", 10, &suppressed), 1);
    assert_int_equal(suppressed, 1000 - THROTTLE_LOG_BURST);
    now += THROTTLE_LOG_EVERY_MS;
    assert_int_equal(lines_of("place", 1, &suppressed), 1);
    assert_int_equal(suppressed, 9);
    now += 100 * THROTTLE_LOG_EVERY_MS;
    assert_int_equal(lines_of("place", 1000, &suppressed), THROTTLE_LOG_BURST);
}

TEST(log_lines_of_all_places_are_few)
{
    unsigned lines = 0, suppressed;
    for (unsigned i = 0; i < 100000; i++, now += i % 100 == 0) /* for a second */
        lines += lines_of(numbered("place", i), 1, &suppressed);
    assert_in_range(lines, THROTTLE_LOG_ALL_BURST, THROTTLE_LOG_ALL_BURST + 1000 / THROTTLE_LOG_ALL_EVERY_MS + 1);
}

static void *hammer(void *arg)
{
    const char *own = arg;
    char user[32];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(user, sizeof user, "user-%u", i % 100);
        throttle_judge(t, BYTES("attacker"), bytes_of_string(user), false, BEFORE);
        struct throttle_answer a = throttle_judge(t, bytes_of_string(own), bytes_of_string(own), true, BEFORE);
        unsigned suppressed;
        throttle_may_log(t, bytes_of_string(own), BEFORE, &suppressed);
        if (a.is_refused || a.tell_at_ms != BEFORE)
            return arg;
    }
    return NULL;
}

TEST(many_threads_may_ask)
{
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, names[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(login("attacker", "user-1", false).is_refused);
}

#define WITH_THROTTLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH_THROTTLE(who_is_right_at_once_does_not_wait),
        WITH_THROTTLE(first_failures_cost_the_least_time_and_then_it_doubles),
        WITH_THROTTLE(a_place_that_tries_user_after_user_is_slowed_down_alike),
        WITH_THROTTLE(waiting_in_line_does_not_heal),
        WITH_THROTTLE(right_and_wrong_wait_alike),
        WITH_THROTTLE(a_success_takes_back_what_its_pair_did),
        WITH_THROTTLE(a_success_takes_back_nothing_else),
        WITH_THROTTLE(a_success_takes_back_its_pair_s_part_of_the_place_s_guilt),
        WITH_THROTTLE(guesses_with_a_login_of_ones_own_in_between_are_guesses),
        WITH_THROTTLE(one_stuck_client_does_not_slow_down_its_machine),
        WITH_THROTTLE(a_thousand_guesses_a_second_from_one_place_are_no_more_than_one_after_another),
        WITH_THROTTLE(no_pace_and_no_number_of_users_gains_much),
        WITH_THROTTLE(many_patient_guesses_at_many_users_are_slowed_down_as_a_place),
        WITH_THROTTLE(guesses_side_by_side_wait_for_one_another),
        WITH_THROTTLE(who_is_refused_is_refused_right_or_wrong_and_not_counted),
        WITH_THROTTLE(a_user_guessed_from_everywhere_is_slowed_down_and_not_locked_out),
        WITH_THROTTLE(a_suspect_place_waits_the_user_s_whole_delay),
        WITH_THROTTLE(guilt_decays),
        WITH_THROTTLE(half_the_guilt_is_gone_in_half_a_life),
        WITH_THROTTLE(a_clock_that_is_a_little_behind_does_no_harm),
        WITH_THROTTLE(what_is_kept_is_bounded),
        WITH_THROTTLE(who_goes_on_is_not_forgotten_in_a_flood_of_others),
        WITH_THROTTLE(what_is_forgotten_makes_room),
        WITH_THROTTLE(names_are_told_apart_whatever_is_in_them),
        WITH_THROTTLE(log_lines_of_a_place_are_few_and_say_how_many_there_were),
        WITH_THROTTLE(log_lines_of_all_places_are_few),
        WITH_THROTTLE(many_threads_may_ask),
    };
    return unit_main("net/throttle", tests, argc, argv);
}
