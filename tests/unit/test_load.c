/* Reading back what was moved to packs: the real store on the simulation's disk. */
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/store/state.h"
#include "tests/sim/disk.h"

enum { SEGMENT = 64 << 10, MESSAGES = 4000, CHUNK = 100, BODY = 200 };

struct shelf {
    struct rng rng;
    struct sim_disk *disk;
    struct disk_calls calls; /* the simulation's, but for reading */
    const struct disk_calls *true_calls;
    struct store *store;
};

static struct shelf *reading; /* whose disk counts */
static uint64_t reads;

static ssize_t count_read(struct disk *d, int file, void *to, size_t n, uint64_t offset)
{
    reads++;
    return reading->true_calls->read(d, file, to, n, offset);
}

static void on_random(void *to, size_t n)
{
    memset(to, 7, n);
}

static void open_store(struct shelf *f)
{
    const struct store_config config = {.disk = sim_disk_table(f->disk),
                                        .segment_bytes = SEGMENT,
                                        .pack_bytes = SEGMENT,
                                        .chunk_messages = CHUNK,
                                        .random = on_random};
    char *text = NULL;
    assert_int_equal(store_open(&config, NULL, &f->store, &text), STORE_FINE);
}

static void publish(struct sheaf *h, uint64_t position)
{
    uint8_t body[BODY] = {0};
    memcpy(body, &position, sizeof position);
    struct record *r = sheaf_add(h, RECORD_PUBLISH);
    r->msg = message_create(&(struct message_spec){.body_size = BODY, .flags = MESSAGE_PERSISTENT});
    message_fill(r->msg, bytes_of(body, BODY));
    sheaf_place(h, (struct place){.queue = 1, .position = position, .ttl_ms = PLACE_NO_TTL});
}

static void sync_all(struct shelf *f)
{
    struct sync_job job;
    while (store_sync_begin(f->store, &job)) {
        assert_int_equal(sync_job_run(sim_disk_table(f->disk), &job), 0);
        store_sync_end(f->store, &job);
    }
}

static void tend_all(struct shelf *f)
{
    bool more = true;
    for (unsigned i = 0; i < 40; i++) {
        sync_all(f);
        assert_int_equal(store_tend(f->store, 1 << 20, &more), STORE_FINE);
    }
}

/* A queue whose messages are in chunks of packs, all but the last. */
static struct shelf *fill(void)
{
    struct shelf *f = test_calloc(1, sizeof *f);
    struct sheaf h;
    sheaf_init(&h);
    f->rng.state = 1;
    f->disk = sim_disk_create(&f->rng);
    open_store(f);
    sheaf_add(&h, RECORD_DEFINE)->definition = definition_create(DEFINE_QUEUE, 1, BYTES("q"), (struct bytes){0});
    for (uint64_t p = 0; p < MESSAGES; p++) {
        publish(&h, p);
        if (p % CHUNK != CHUNK - 1)
            continue;
        h.last = p + 2;
        h.wall_ms = 1000 + p;
        store_append(f->store, &h, NULL, NULL);
        assert_int_equal(store_write(f->store), STORE_FINE);
        tend_all(f);
    }
    sheaf_fini(&h);
    struct disk *d = sim_disk_table(f->disk);
    f->true_calls = d->calls;
    f->calls = *d->calls;
    f->calls.read = count_read;
    d->calls = &f->calls;
    reading = f;
    reads = 0;
    return f;
}

static void end(struct shelf *f)
{
    image_check(&f->store->image);
    store_destroy(f->store);
    sim_disk_destroy(f->disk);
    test_free(f);
}

/* Loads some messages and looks at them; answers the position behind them. */
static uint64_t load_some(struct shelf *f, uint64_t from, uint32_t n)
{
    struct load *l = store_load(f->store, 1, from, n, 1 << 20);
    assert_int_equal(l->n, from + n <= MESSAGES ? n : MESSAGES - from);
    assert_int_equal(l->lost, 0);
    for (uint32_t i = 0; i < l->n; i++) {
        uint64_t position;
        memcpy(&position, message_body(l->entries[i].msg, 0).at, sizeof position);
        assert_int_equal(position, from + i);
        assert_int_equal(l->entries[i].position, from + i);
    }
    uint64_t next = l->next;
    load_destroy(l);
    return next;
}

/* Each reads in another place, in turn: what one has read is kept while the others read theirs. */
TEST(several_readers_read_a_chunk_once_each)
{
    struct shelf *f = fill();
    uint64_t chunks = image_queue_find(&f->store->image, 1)->n_chunks;
    uint64_t at[] = {0, 500, 1000, 1500, 2000, 2500};
    enum { READERS = sizeof at / sizeof *at, STEPS = 50 };
    assert_true(chunks > 30);
    for (unsigned i = 0; i < STEPS; i++)
        for (unsigned r = 0; r < READERS; r++)
            at[r] = load_some(f, at[r], CHUNK / 10);
    assert_true(reads <= chunks);
    end(f);
}

TEST(readers_behind_one_another_in_one_chunk_are_answered_each)
{
    struct shelf *f = fill();
    uint64_t ahead = 130, behind = 105;
    for (unsigned i = 0; i < 20; i++) {
        ahead = load_some(f, ahead, 3);
        behind = load_some(f, behind, 3);
    }
    assert_true(reads <= 2);
    end(f);
}

TEST(no_more_is_kept_than_is_allowed)
{
    struct shelf *f = fill();
    for (uint64_t from = 0; from < MESSAGES; from += CHUNK)
        load_some(f, from, 1);
    size_t bytes = 0;
    for (unsigned i = 0; i < CHUNKS_KEPT; i++)
        bytes += f->store->kept.chunks[i].capacity;
    assert_int_equal(bytes, f->store->kept.bytes);
    assert_true(bytes <= CHUNKS_KEPT_BYTES);
    end(f);
}

/* A trim within a chunk: what is before it is not found any more, what is behind it is. */
TEST(what_was_trimmed_is_passed_by)
{
    struct shelf *f = fill();
    struct sheaf h;
    sheaf_init(&h);
    sheaf_add(&h, RECORD_TRIM)->at = (struct place){.queue = 1, .position = 1234};
    h.last = MESSAGES + 2;
    h.wall_ms = 9000;
    store_append(f->store, &h, NULL, NULL);
    assert_int_equal(store_write(f->store), STORE_FINE);
    uint64_t packs = f->store->image.packs_by_number.count;
    tend_all(f);
    assert_true(f->store->image.packs_by_number.count < packs);
    struct load *l = store_load(f->store, 1, 0, 10, 1 << 20);
    assert_int_equal(l->n, 10);
    assert_int_equal(l->entries[0].position, 1234);
    assert_int_equal(l->lost, 0);
    load_destroy(l);
    load_some(f, 1234, 500);
    tend_all(f);
    store_destroy(f->store); /* the same after a restart */
    open_store(f);
    assert_int_equal(image_queue_find(&f->store->image, 1)->messages, MESSAGES - 1234);
    load_some(f, 1234, 500);
    sheaf_fini(&h);
    end(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_readers_read_a_chunk_once_each),
        cmocka_unit_test(readers_behind_one_another_in_one_chunk_are_answered_each),
        cmocka_unit_test(no_more_is_kept_than_is_allowed),
        cmocka_unit_test(what_was_trimmed_is_passed_by),
    };
    return unit_main("load", tests, argc, argv);
}
