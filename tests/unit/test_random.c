#include "tests/unit/unit.h"

#include <string.h>

#include "base/random.h"

enum { ROOM = 4096 };

TEST(it_fills_what_it_is_told_and_no_more)
{
    for (size_t n = 0; n < 64; n++) {
        uint8_t bytes[66] = {0}, seen[66] = {0};
        for (int i = 0; i < 64; i++) { /* so that a random zero does not count as none */
            random_fill(bytes + 1, n);
            for (size_t at = 0; at < sizeof bytes; at++)
                seen[at] |= bytes[at];
        }
        assert_true(seen[0] == 0 && seen[n + 1] == 0);
        for (size_t at = 1; at <= n; at++)
            assert_true(seen[at] != 0);
    }
}

TEST(no_two_are_alike)
{
    static uint8_t one[ROOM], other[ROOM];
    random_fill(one, sizeof one);
    random_fill(other, sizeof other);
    for (size_t i = 0; i < ROOM; i += 16)
        assert_memory_not_equal(one + i, other + i, 16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fills_what_it_is_told_and_no_more),
        cmocka_unit_test(no_two_are_alike),
    };
    return unit_main("base/random", tests, argc, argv);
}
