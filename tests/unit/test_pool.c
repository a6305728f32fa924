#include "tests/unit/unit.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/pool.h"

enum { MANY = 5000, ROUNDS = 20 };

TEST(a_block_holds_what_was_asked_for_and_at_most_an_eighth_more)
{
    for (size_t size = 0; size < POOL_BLOCK_MAX + 64; size += size < 4096 ? 1 : 997) {
        size_t room = pool_room(size);
        assert_true(room >= size);
        assert_true(room <= (size < 8 ? 24 : size + (size <= 256 ? 16 : size / 8)));
    }
    assert_true(pool_room(POOL_BLOCK_MAX) >= POOL_BLOCK_MAX);
}

/* Blocks of all sizes at once, each filled with a mark of its own: none may lie in another, be it new or used. */
TEST(blocks_never_overlap)
{
    static uint8_t *at[MANY];
    static size_t size[MANY];
    unsigned seed = 7;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            if (at[i] != NULL) {
                for (size_t k = 0; k < size[i]; k += 15)
                    assert_int_equal(at[i][k], (uint8_t)(i * 31 + size[i]));
                pool_free(at[i], size[i]);
                at[i] = NULL;
            }
            seed = seed * 1103515245 + 12345;
            if ((seed >> 16) % 3 == 0)
                continue;
            size[i] = (seed >> 8) % ((seed >> 20) % 20 == 0 ? 70000 : 600);
            at[i] = pool_alloc(size[i]);
            memset(at[i], (int)(uint8_t)(i * 31 + size[i]), size[i]);
        }
    }
    for (unsigned i = 0; i < MANY; i++)
        pool_free(at[i], size[i]);
    pool_trim();
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(a_block_that_was_freed_is_the_next)
{
    void *first = pool_alloc(100);
    pool_free(first, 100);
    assert_ptr_equal(pool_alloc(101), first);
    pool_free(first, 101);
}

TEST(what_is_kept_is_bounded_and_can_be_given_back)
{
    enum { BLOCKS = 4 * POOL_DEPOT_BYTES / 1024 };
    void **at = malloc(BLOCKS * sizeof *at);
    pool_trim();
    for (unsigned i = 0; i < BLOCKS; i++)
        at[i] = pool_alloc(1024);
    for (unsigned i = 0; i < BLOCKS; i++)
        pool_free(at[i], 1024);
    assert_in_range(pool_kept(), POOL_DEPOT_BYTES - POOL_MAGAZINE_BYTES, POOL_DEPOT_BYTES);
    pool_trim();
    assert_int_equal(pool_kept(), 0);
    struct mallinfo2 now = mallinfo2();
    free(at);
    assert_true(now.uordblks < POOL_DEPOT_BYTES); /* the racks are empty too */
}
#endif

/* One thread allocates, another frees: in the end the first lives on what came home, and nothing is lost or doubled. */
struct ferry {
    _Atomic(void *) slots[1024];
    _Atomic bool is_over;
};

static void *sink(void *arg)
{
    struct ferry *f = arg;
    for (bool over = false; !over;) {
        over = f->is_over;
        for (unsigned i = 0; i < 1024; i++) {
            unsigned *at = atomic_exchange(&f->slots[i], NULL);
            if (at == NULL)
                continue;
            assert_int_equal(at[0], ~at[49]);
            pool_free(at, 200);
        }
    }
    pool_trim();
    return NULL;
}

TEST(blocks_travel_home_from_the_thread_that_freed_them)
{
    static struct ferry f;
    pthread_t t;
    pthread_create(&t, NULL, sink, &f);
    for (unsigned n = 0; n < 300000; n++) {
        unsigned *at = pool_alloc(200);
        at[0] = n;
        at[49] = ~n;
        void *old = atomic_exchange(&f.slots[n % 1024], at);
        if (old != NULL)
            pool_free(old, 200);
    }
    f.is_over = true;
    pthread_join(t, NULL);
    for (unsigned i = 0; i < 1024; i++)
        pool_free(f.slots[i], 200);
    pool_trim();
    assert_int_equal(pool_kept(), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_holds_what_was_asked_for_and_at_most_an_eighth_more),
        cmocka_unit_test(blocks_never_overlap),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(a_block_that_was_freed_is_the_next),
        cmocka_unit_test(what_is_kept_is_bounded_and_can_be_given_back),
#endif
        cmocka_unit_test(blocks_travel_home_from_the_thread_that_freed_them),
    };
    return unit_main("base/pool", tests, argc, argv);
}
