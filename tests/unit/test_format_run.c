#include "tests/unit/unit.h"

#include "broker/store/format.h"
#include "tests/unit/vectors.h"

TEST(neighbours_become_one_run)
{
    struct run_writer w;
    struct run_reader r;
    struct run run;
    run_writer_init(&w);
    for (uint64_t i = 10; i < 20; i++)
        run_add(&w, 1, i, 100);
    for (uint64_t i = 9; i > 4; i--)
        run_add(&w, 1, i, 100);
    struct bytes meta = run_end(&w);
    assert_true(meta.len <= 5);
    run_reader_init(&r, meta);
    assert_true(run_next(&r, &run));
    assert_true(run.queue == 1 && run.first == 5 && run.count == 15 && run.bytes == 100);
    assert_false(run_next(&r, &run));
    assert_false(r.c.bad);
    run_writer_fini(&w);
}

TEST(runs_come_back_in_order)
{
    static const struct run all[] = {
        {.queue = 1, .first = 0, .count = 1, .bytes = 0},
        {.queue = 1, .first = 1, .count = 1, .bytes = 1}, /* another size */
        {.queue = 1, .first = 3, .count = 2, .bytes = 1}, /* a gap */
        {.queue = 2, .first = 5, .count = 1, .bytes = 1}, /* another queue */
        {.queue = UINT64_MAX, .first = UINT64_MAX, .count = 1, .bytes = FORMAT_BODY_MAX},
        {.queue = 1, .first = 0, .count = 3, .bytes = FORMAT_BODY_MAX},
        {.queue = UINT64_MAX / 2 + 2, .first = UINT64_MAX / 2, .count = 1, .bytes = 0},
    };
    enum { N = sizeof all / sizeof all[0] };
    struct run_writer w;
    struct run_reader r;
    struct run run;
    run_writer_init(&w);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            for (uint64_t k = 0; k < all[i].count; k++)
                run_add(&w, all[i].queue, all[i].first + k, all[i].bytes);
            if (i == 3)
                run_end(&w); /* one may look, and go on */
        }
        run_reader_init(&r, run_end(&w));
        for (size_t i = 0; i < N; i++) {
            assert_true(run_next(&r, &run));
            assert_memory_equal(&run, &all[i], sizeof run);
        }
        assert_false(run_next(&r, &run));
        assert_false(r.c.bad);
        run_clear(&w);
        assert_int_equal(run_end(&w).len, 0);
    }
    run_writer_fini(&w);
}

TEST(runs_out_of_range_are_refused)
{
    static const char *const wrong[] = {
        "02",                      /* short */
        "00 00 01 00",             /* queue 0 */
        "02 00 00 00",             /* none */
        "02 01 02 00",             /* beyond the last position */
        "02 00 ff ff ff ff 10 00", /* too many */
        "02 00 01 81 80 80 80 03", /* too large */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes b = hex(wrong[i]);
        struct run_reader r;
        struct run run;
        run_reader_init(&r, b);
        assert_false(run_next(&r, &run));
        assert_true(r.c.bad);
        assert_false(run_next(&r, &run));
        drop(b);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_become_one_run),
        cmocka_unit_test(runs_come_back_in_order),
        cmocka_unit_test(runs_out_of_range_are_refused),
    };
    return unit_main("format_run", tests, argc, argv);
}
