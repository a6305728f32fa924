#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include "broker/net/porch.h"

TEST(who_came_first_is_taken_first)
{
    struct porch p;
    porch_init(&p);
    assert_null(porch_first(&p));
    for (int i = 0; i < 3; i++) {
        struct stranger s = {.came_ms = (uint64_t)i * 10};
        porch_add(&p, &s);
        s.came_ms = 0; /* it has a copy */
    }
    assert_int_equal(p.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(porch_first(&p)->came_ms, i * 10);
        struct stranger s = porch_take(&p);
        assert_int_equal(s.came_ms, i * 10);
    }
    assert_null(porch_first(&p));
    assert_int_equal(p.count, 0);
    porch_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_first_is_taken_first),
    };
    return unit_main("net/porch", tests, argc, argv);
}
