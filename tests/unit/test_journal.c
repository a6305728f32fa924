/* How the journal gets to its files: past the cache in whole blocks, or through it, the same bytes. */
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/port/message.h"
#include "broker/store/state.h"
#include "tests/sim/disk.h"

enum { SEGMENT = 64 << 10 };

struct book {
    struct rng rng;
    struct sim_disk *disk;
    struct store *store;
    struct sheaf sheaf;
    uint64_t position, next; /* next: position in queue 1 */
};

static void on_random(void *to, size_t n)
{
    memset(to, 7, n);
}

static void on_answer(void *arg, struct load *l)
{
    (void)arg;
    load_destroy(l);
}

static void open_store(struct book *b)
{
    const struct store_config config = {
        .disk = sim_disk_table(b->disk), .segment_bytes = SEGMENT, .pack_bytes = SEGMENT, .random = on_random};
    char *text = NULL;
    assert_int_equal(store_open(&config, NULL, &b->store, &text), STORE_FINE);
}

static struct book *begin(enum direct direct)
{
    struct book *b = test_calloc(1, sizeof *b);
    b->rng.state = 1;
    b->disk = sim_disk_create(&b->rng);
    sim_disk_direct(b->disk, direct);
    sheaf_init(&b->sheaf);
    open_store(b);
    sheaf_add(&b->sheaf, RECORD_DEFINE)->definition = definition_create(DEFINE_QUEUE, 1, BYTES("q"), (struct bytes){0});
    b->position = 1;
    return b;
}

static void end(struct book *b)
{
    image_check(&b->store->image);
    store_destroy(b->store);
    sim_disk_destroy(b->disk);
    sheaf_fini(&b->sheaf);
    test_free(b);
}

static void publish(struct book *b, size_t size)
{
    static const uint8_t body[2 * SEGMENT] = {1, 2, 3};
    struct record *r = sheaf_add(&b->sheaf, RECORD_PUBLISH);
    r->msg = message_create(&(struct message_spec){.body_size = size, .flags = MESSAGE_PERSISTENT});
    message_fill(r->msg, bytes_of(body, size));
    sheaf_place(&b->sheaf, (struct place){.queue = 1, .position = b->next++, .ttl_ms = PLACE_NO_TTL});
    b->position++;
}

static void settle(struct book *b, uint64_t position)
{
    sheaf_add(&b->sheaf, RECORD_SETTLE)->at = (struct place){.queue = 1, .position = position};
    b->position++;
}

static void write_group(struct book *b)
{
    b->sheaf.last = b->position;
    b->sheaf.wall_ms = 1000;
    store_append(b->store, &b->sheaf, on_answer, b);
    assert_int_equal(store_write(b->store), STORE_FINE);
}

static void sync_all(struct book *b)
{
    struct sync_job job;
    while (store_sync_begin(b->store, &job)) {
        assert_int_equal(sync_job_run(sim_disk_table(b->disk), &job), 0);
        store_sync_end(b->store, &job);
    }
}

/* The same groups for whoever asks: of any size, so that they end anywhere in a block. */
static void write_story(struct book *b)
{
    struct rng rng = {.state = 7};
    for (unsigned i = 0; i < 200; i++) {
        for (uint32_t n = rng_below(&rng, 4); n > 0; n--)
            publish(b, rng_one_in(&rng, 40) ? SEGMENT + rng_below(&rng, SEGMENT) : rng_below(&rng, 3000));
        if (b->next > 6)
            settle(b, b->next - 6);
        write_group(b);
        if (rng_one_in(&rng, 3))
            sync_all(b);
    }
    sync_all(b);
}

static void expect_same_segment(struct book *a, struct book *b, size_t i)
{
    const struct segment *x = a->store->image.segments[i], *y = b->store->image.segments[i];
    uint8_t *of_x, *of_y;
    struct disk *disk_x = sim_disk_table(a->disk), *disk_y = sim_disk_table(b->disk);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(x->used, y->used);
    of_x = test_malloc(x->used);
    of_y = test_malloc(x->used);
    assert_int_equal(disk_x->calls->read(disk_x, x->file, of_x, x->used, 0), x->used);
    assert_int_equal(disk_y->calls->read(disk_y, y->file, of_y, x->used, 0), x->used);
    assert_memory_equal(of_x, of_y, x->used);
    test_free(of_x);
    test_free(of_y);
}

static void expect_same(enum direct how)
{
    struct book *cached = begin(DIRECT_NEVER), *other = begin(how);
    write_story(cached);
    write_story(other);
    assert_true(cached->store->image.n_segments > 5);
    assert_int_equal(cached->store->image.n_segments, other->store->image.n_segments);
    for (size_t i = 0; i < cached->store->image.n_segments; i++)
        expect_same_segment(cached, other, i);
    end(cached);
    end(other);
}

TEST(what_is_written_past_the_cache_is_what_is_written_through_it)
{
    expect_same(DIRECT_ALWAYS);
}

TEST(a_file_system_that_refuses_late_gets_the_same_through_its_cache)
{
    expect_same(DIRECT_AT_FIRST);
    expect_same(DIRECT_AT_RANDOM);
}

TEST(every_group_is_there_after_a_crash_however_it_ends_in_its_block)
{
    struct book *b = begin(DIRECT_ALWAYS);
    write_group(b);
    assert_true(b->store->direct >= 0);
    for (size_t i = 0; i < 200; i++) {
        publish(b, i * 41);
        if (b->next > 3)
            settle(b, b->next - 4);
        write_group(b);
        assert_true(b->store->direct >= 0);
        sync_all(b);
        if (i % 10 != 9)
            continue;
        store_destroy(b->store);
        sim_disk_restart(b->disk, i % 20 == 9 ? CRASH_CUT : CRASH_TEAR);
        open_store(b);
        b->position = 0;
        assert_int_equal(image_queue_find(&b->store->image, 1)->messages, 3);
    }
    end(b);
}

TEST(a_backlog_is_written_through_the_cache)
{
    struct book *b = begin(DIRECT_ALWAYS);
    while (b->store->image.n_segments < 2 + DIRECT_BACKLOG) {
        publish(b, 2000);
        write_group(b);
        assert_true(b->store->direct >= 0 || b->store->image.n_segments == 1 + DIRECT_BACKLOG ||
                    b->store->image.n_segments == 2 + DIRECT_BACKLOG);
    }
    assert_int_equal(b->store->direct, -1);
    for (uint64_t i = 0; i < b->next; i++)
        settle(b, i);
    write_group(b);
    for (size_t n = b->store->image.n_segments; b->store->image.n_segments == n;) {
        publish(b, 2000);
        write_group(b);
    }
    assert_true(b->store->direct >= 0);
    end(b);
}

TEST(what_was_loaded_from_is_written_through_the_cache)
{
    struct book *b = begin(DIRECT_ALWAYS);
    publish(b, 2000);
    struct record *r = sheaf_add(&b->sheaf, RECORD_LOAD);
    r->at = (struct place){.queue = 1};
    r->load.messages_max = 10;
    r->load.bytes_max = 1 << 20;
    write_group(b);
    settle(b, 0);
    while (b->store->image.n_segments < 2) {
        publish(b, 2000);
        settle(b, b->next - 1);
        write_group(b);
    }
    assert_int_equal(b->store->direct, -1);
    while (b->store->image.n_segments < 3) {
        publish(b, 2000);
        settle(b, b->next - 1);
        write_group(b);
    }
    assert_true(b->store->direct >= 0);
    end(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_past_the_cache_is_what_is_written_through_it),
        cmocka_unit_test(a_file_system_that_refuses_late_gets_the_same_through_its_cache),
        cmocka_unit_test(every_group_is_there_after_a_crash_however_it_ends_in_its_block),
        cmocka_unit_test(a_backlog_is_written_through_the_cache),
        cmocka_unit_test(what_was_loaded_from_is_written_through_the_cache),
    };
    return unit_main("store/journal", tests, argc, argv);
}
