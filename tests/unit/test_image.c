#include "tests/unit/unit.h"

#include "broker/store/image.h"

static const uint64_t sizes[] = {1, 17, 20, 48, 64, 100, 1000};

/* The map shrinks while they go: none may be passed over. */
static void all_undefined_queues_are_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct image im;
        image_init(&im);
        for (uint64_t id = 1; id <= sizes[i]; id++)
            image_restore_queue(&im, id, 0, 0);
        image_drop_undefined(&im);
        assert_int_equal(im.queues.count, 0);
        image_fini(&im);
    }
}

static void defined_queues_stay(void **state)
{
    (void)state;
    struct image im;
    image_init(&im);
    for (uint64_t id = 1; id <= 60; id++)
        image_restore_queue(&im, id, 0, 0);
    image_define(&im, DEFINE_QUEUE, 30, BYTES("thirty"), BYTES(""));
    image_drop_undefined(&im);
    assert_int_equal(im.queues.count, 1);
    assert_non_null(image_queue_find(&im, 30));
    image_fini(&im);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_undefined_queues_are_dropped),
        cmocka_unit_test(defined_queues_stay),
    };
    return unit_main("image", tests, argc, argv);
}
