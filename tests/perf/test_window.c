/* Confirms in any order. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "broker/perf/window.h"

static struct latency latency;

TEST(a_gap_holds_back_what_follows_it)
{
    struct window w;
    window_init(&w, 10, false);
    assert_int_equal(window_note_confirm(&w, 2, false, 0, NULL), 1);
    assert_int_equal(window_note_confirm(&w, 3, false, 0, NULL), 1);
    assert_int_equal(w.confirmed, 0);
    assert_int_equal(window_note_confirm(&w, 1, false, 0, NULL), 1);
    assert_int_equal(w.confirmed, 3);
    window_fini(&w);
}

TEST(each_publish_is_confirmed_once)
{
    struct window w;
    window_init(&w, 10, false);
    assert_int_equal(window_note_confirm(&w, 5, false, 0, NULL), 1);
    assert_int_equal(window_note_confirm(&w, 5, false, 0, NULL), 0);
    assert_int_equal(window_note_confirm(&w, 7, true, 0, NULL), 6);
    assert_int_equal(w.confirmed, 7);
    assert_int_equal(window_note_confirm(&w, 7, true, 0, NULL), 0);
    assert_int_equal(window_note_confirm(&w, 3, false, 0, NULL), 0);
    window_fini(&w);
}

TEST(what_was_never_published_is_noticed)
{
    struct window w;
    window_init(&w, 10, false);
    assert_int_equal(window_note_confirm(&w, 11, false, 0, NULL), -1);
    assert_int_equal(window_note_confirm(&w, 10, true, 0, NULL), 10);
    assert_int_equal(window_note_confirm(&w, 21, true, 0, NULL), -1);
    window_fini(&w);
}

TEST(a_full_window_goes_round_and_round)
{
    static const unsigned sizes[] = {1, 2, 3, 7, 8, 9, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct window w;
        uint64_t size = sizes[i];
        window_init(&w, sizes[i], true);
        memset(&latency, 0, sizeof latency);
        for (uint64_t round = 0; round < 5; round++) {
            for (uint64_t seq = round * size + 1; seq <= (round + 1) * size; seq++)
                window_note_sent(&w, seq, 100 + seq);
            for (uint64_t seq = (round + 1) * size; seq > round * size; seq--) /* backwards: the gap is closed last */
                assert_int_equal(window_note_confirm(&w, seq, false, 150 + seq, &latency), 1);
            assert_int_equal(w.confirmed, (round + 1) * size);
        }
        assert_int_equal(latency.count, 5 * size);
        assert_int_equal(latency.min, 50);
        assert_int_equal(latency.max, 50);
        window_fini(&w);
    }
}

TEST(no_window_needs_no_memory)
{
    struct window w;
    window_init(&w, 0, true);
    assert_null(w.is_confirmed);
    assert_null(w.sent_ns);
    window_note_sent(&w, 1, 5);
    window_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_holds_back_what_follows_it),    cmocka_unit_test(each_publish_is_confirmed_once),
        cmocka_unit_test(what_was_never_published_is_noticed), cmocka_unit_test(a_full_window_goes_round_and_round),
        cmocka_unit_test(no_window_needs_no_memory),
    };
    return unit_main("window", tests, argc, argv);
}
