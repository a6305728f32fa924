#include "tests/unit/unit.h"

#include "broker/store/format.h"
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

/* A queue with spots at the positions of [first, last], in a segment of its own. */
static void fill_spots(struct image *im, uint64_t first, uint64_t last)
{
    if (im->n_segments == 0)
        image_add_segment(im, 1);
    for (uint64_t p = first; p <= last; p++)
        image_publish(im, 1, &(struct spot){.position = p, .segment = 1, .bytes = 10});
}

static void fill_chunk(struct image *im, uint64_t number, uint64_t first, uint64_t last)
{
    struct pack *p = image_pack(im, 1);
    if (p == NULL)
        p = image_add_pack(im, 1);
    uint64_t count = last - first + 1;
    assert_non_null(image_add_chunk(im,
                                    &(struct chunk_meta){.queue = 1,
                                                         .chunk = number,
                                                         .pack = 1,
                                                         .size = 100 * count,
                                                         .first = first,
                                                         .last = last,
                                                         .count = count,
                                                         .bytes = 10 * count},
                                    p));
}

/* Chunks of 10 messages each from 0 to 39, spots from 40 to 49. */
static void fill(struct image *im)
{
    image_init(im);
    for (uint64_t i = 0; i < 4; i++)
        fill_chunk(im, i + 1, i * 10, i * 10 + 9);
    fill_spots(im, 40, 49);
}

static void end(struct image *im)
{
    image_check(im);
    struct pack *p = image_pack(im, 1);
    while (p != NULL && !list_is_empty(&p->chunks))
        image_drop_chunk(im, item_of(p->chunks.ring.next, struct chunk, in_pack));
    image_fini(im);
}

static void a_trim_drops_what_is_before_its_position(void **state)
{
    (void)state;
    for (uint64_t before = 0; before <= 60; before++) {
        struct image im;
        fill(&im);
        image_trim(&im, 1, before);
        image_check(&im);
        const struct image_queue *q = image_queue_find(&im, 1);
        uint64_t left = before < 50 ? 50 - before : 0;
        assert_int_equal(q->messages, left);
        assert_int_equal(q->bytes, left * 10);
        assert_int_equal(q->next_position, 50);
        assert_int_equal(q->n_chunks, before < 40 ? 4 - before / 10 : 0);
        assert_int_equal(image_pack(&im, 1)->live_bytes, before < 40 ? (40 - before) * 100 : 0);
        end(&im);
    }
}

static void what_is_trimmed_again_was_gone(void **state)
{
    (void)state;
    struct image im;
    fill(&im);
    image_trim(&im, 1, 25);
    image_trim(&im, 1, 12);
    image_trim(&im, 2, 12);
    assert_int_equal(image_queue_find(&im, 1)->messages, 25);
    image_trim(&im, 1, UINT64_MAX);
    assert_int_equal(image_queue_find(&im, 1)->messages, 0);
    fill_spots(&im, 50, 54);
    assert_int_equal(image_queue_find(&im, 1)->messages, 5);
    end(&im);
}

/* Settles are not the only thing that takes messages from the middle of a chunk. */
static void a_trim_goes_with_settles_and_a_purge(void **state)
{
    (void)state;
    struct image im;
    fill(&im);
    for (uint64_t p = 5; p < 25; p += 2)
        image_settle(&im, 1, p);
    image_purge(&im, 1, 45);
    image_trim(&im, 1, 15);
    image_check(&im);
    assert_int_equal(image_queue_find(&im, 1)->messages, 30 - 5);
    for (uint64_t p = 16; p < 20; p += 2) /* all that is left of the chunk */
        image_settle(&im, 1, p);
    assert_int_equal(image_queue_find(&im, 1)->n_chunks, 2);
    end(&im);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_undefined_queues_are_dropped),         cmocka_unit_test(defined_queues_stay),
        cmocka_unit_test(a_trim_drops_what_is_before_its_position), cmocka_unit_test(what_is_trimmed_again_was_gone),
        cmocka_unit_test(a_trim_goes_with_settles_and_a_purge),
    };
    return unit_main("image", tests, argc, argv);
}
