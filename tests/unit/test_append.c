/* What happens to records when the file system is full: the real store on the simulation's disk. */
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/port/message.h"
#include "broker/store/state.h"
#include "tests/sim/disk.h"

enum { SEGMENT = 64 << 10 };

struct full {
    struct rng rng;
    struct sim_disk *disk;
    struct store *store;
    struct sheaf sheaf;
    uint64_t position;
    struct load *answer;
};

static void on_random(void *to, size_t n)
{
    memset(to, 7, n);
}

static void on_answer(void *arg, struct load *l)
{
    struct full *f = arg;
    assert_null(f->answer);
    f->answer = l;
}

static void open_store(struct full *f)
{
    const struct store_config config = {
        .disk = sim_disk_table(f->disk), .segment_bytes = SEGMENT, .pack_bytes = SEGMENT, .random = on_random};
    char *text = NULL;
    assert_int_equal(store_open(&config, NULL, &f->store, &text), STORE_FINE);
    f->position = 0;
}

static struct record *add(struct full *f, enum record_kind kind, uint64_t queue, uint64_t position)
{
    struct record *r = sheaf_add(&f->sheaf, kind);
    r->at = (struct place){.queue = queue, .position = position};
    f->position++;
    return r;
}

static struct record *publish(struct full *f, uint64_t queue, uint64_t position, uint64_t size)
{
    static const uint8_t body[4 * SEGMENT];
    struct record *r = add(f, RECORD_PUBLISH, 0, 0);
    r->msg = message_create(&(struct message_spec){.body_size = size, .flags = MESSAGE_PERSISTENT});
    message_fill(r->msg, bytes_of(body, size));
    sheaf_place(&f->sheaf, (struct place){.queue = queue, .position = position, .ttl_ms = PLACE_NO_TTL});
    return r;
}

static void define(struct full *f, enum record_kind kind, uint64_t queue)
{
    const struct bytes key = bytes_of((const uint8_t *)"qrstuvwxyz" + queue, 1);
    add(f, kind, 0, 0)->definition = definition_create(DEFINE_QUEUE, queue, key, (struct bytes){0});
}

/* More than once: a disk that is nearly full refuses a write now and then. */
static enum store_verdict try_to_write(struct full *f)
{
    enum store_verdict v = STORE_FULL;
    for (unsigned i = 0; i < 40 && v == STORE_FULL; i++)
        v = store_write(f->store);
    return v;
}

static enum store_verdict write_all(struct full *f)
{
    f->sheaf.last = f->position;
    f->sheaf.wall_ms = 1000 + f->position;
    store_append(f->store, &f->sheaf, on_answer, f);
    return try_to_write(f);
}

static void sync_all(struct full *f)
{
    struct sync_job job;
    while (store_sync_begin(f->store, &job)) {
        assert_int_equal(sync_job_run(sim_disk_table(f->disk), &job), 0);
        store_sync_end(f->store, &job);
    }
}

static void tend_all(struct full *f)
{
    bool more = true;
    for (unsigned i = 0; i < 40; i++) {
        sync_all(f);
        assert_int_equal(store_tend(f->store, 1 << 20, &more), STORE_FINE);
    }
}

static uint64_t messages(struct full *f, uint64_t queue)
{
    const struct image_queue *q = image_queue_find(&f->store->image, queue);
    return q == NULL ? 0 : q->messages;
}

/* Queue 1 has 4 messages, queue 2 has one; then nothing more fits, and message 5 of queue 1 is stuck. */
static struct full *fill(void)
{
    struct full *f = test_calloc(1, sizeof *f);
    f->rng.state = 1;
    f->disk = sim_disk_create(&f->rng);
    sheaf_init(&f->sheaf);
    open_store(f);
    for (uint64_t i = 1; i <= 3; i++)
        define(f, RECORD_DEFINE, i);
    for (uint64_t i = 1; i <= 4; i++)
        publish(f, 1, i, 100);
    publish(f, 2, 1, 100);
    assert_int_equal(write_all(f), STORE_FINE);
    tend_all(f);
    sim_disk_limit(f->disk, sim_disk_used(f->disk));
    assert_int_equal(store_durable(f->store), 8);
    publish(f, 1, 5, 2 * SEGMENT);
    assert_int_equal(write_all(f), STORE_FULL);
    return f;
}

static void crash(struct full *f)
{
    store_destroy(f->store);
    sim_disk_limit(f->disk, 0);
    sim_disk_restart(f->disk, CRASH_CUT);
    open_store(f);
}

static void end(struct full *f)
{
    image_check(&f->store->image);
    store_destroy(f->store);
    sim_disk_destroy(f->disk);
    sheaf_fini(&f->sheaf);
    test_free(f);
}

/* Queue 1 has message 5 beside those of fill(), which is settled in the next sheaf, and durable. */
static struct full *come_and_go(bool publishes_tx, bool settles_tx, struct place replaces)
{
    struct full *f = fill();
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    tend_all(f);
    struct record *r = publish(f, 2, 2, 10);
    r->tx = publishes_tx;
    r->at = replaces;
    struct message *m = message_ref(r->msg);
    message_keep(m);
    if (publishes_tx)
        add(f, RECORD_COMMIT, 0, 0);
    f->sheaf.last = f->position;
    store_append(f->store, &f->sheaf, on_answer, f);
    assert_true(store_gather(f->store));
    add(f, RECORD_DELIVER, 2, 2);
    add(f, RECORD_SETTLE, 2, 2)->tx = settles_tx;
    if (settles_tx)
        add(f, RECORD_COMMIT, 0, 0);
    else
        message_unkeep(m);
    message_unref(m);
    assert_int_equal(write_all(f), STORE_FINE);
    return f;
}

static const struct place nothing = {0};

TEST(a_message_that_is_done_with_before_it_is_written_is_spared)
{
    struct full *f = come_and_go(false, false, nothing);
    assert_int_equal(store_stats(f->store).spared, 1);
    uint64_t lsn = f->store->lsn;
    assert_int_equal(f->store->settles.run.count + f->store->delivers.run.count, 0);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(f->store->lsn, lsn);
    assert_true(store_durable(f->store) < f->position);
    sync_all(f);
    assert_int_equal(store_durable(f->store), f->position);
    crash(f);
    assert_int_equal(messages(f, 1), 5);
    assert_int_equal(messages(f, 2), 1);
    assert_int_equal(image_queue_find(&f->store->image, 2)->next_position, 2); /* 2 was never there */
    end(f);
}

TEST(what_a_transaction_publishes_or_settles_is_not_spared)
{
    struct full *f = come_and_go(true, false, nothing);
    assert_int_equal(store_stats(f->store).spared, 0);
    end(f);
    f = come_and_go(false, true, nothing);
    assert_int_equal(store_stats(f->store).spared, 0);
    end(f);
}

TEST(what_replaces_another_is_not_spared)
{
    struct full *f = come_and_go(false, false, (struct place){.queue = 1, .position = 1, .bytes = 100});
    assert_int_equal(store_stats(f->store).spared, 0);
    sync_all(f);
    crash(f);
    assert_int_equal(messages(f, 1), 4);
    assert_int_equal(messages(f, 2), 1);
    end(f);
}

TEST(what_has_a_place_left_is_not_spared)
{
    struct full *f = fill();
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    struct message *m = message_ref(publish(f, 2, 2, 10)->msg);
    sheaf_place(&f->sheaf, (struct place){.queue = 3, .position = 1, .ttl_ms = PLACE_NO_TTL});
    message_keep(m);
    message_keep(m);
    add(f, RECORD_SETTLE, 2, 2);
    message_unkeep(m);
    message_unref(m);
    assert_int_equal(write_all(f), STORE_FINE);
    sync_all(f);
    crash(f);
    assert_int_equal(messages(f, 2), 1);
    assert_int_equal(messages(f, 3), 1);
    end(f);
}

TEST(a_message_of_which_nothing_is_known_is_not_spared)
{
    struct full *f = fill(); /* its messages were never kept */
    assert_int_equal(store_stats(f->store).spared, 0);
    end(f);
}

TEST(whoever_waits_for_a_load_does_not_wait_for_a_sync)
{
    struct full *f = fill();
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    publish(f, 2, 2, 10);
    f->sheaf.last = f->position;
    store_append(f->store, &f->sheaf, on_answer, f);
    assert_true(store_gather(f->store));
    add(f, RECORD_LOAD, 2, 2)->load.messages_max = 10;
    f->sheaf.records[0].load.bytes_max = 1 << 20;
    f->sheaf.last = f->position;
    store_append(f->store, &f->sheaf, on_answer, f);
    assert_false(store_gather(f->store));
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(f->answer->n, 1);
    load_destroy(f->answer);
    end(f);
}

TEST(a_sheaf_that_was_encoded_can_be_had_back_with_what_it_holds)
{
    struct full *f = fill();
    struct sheaf back;
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    while (store_take_back(f->store, &back))
        sheaf_fini(&back);
    struct message *m = message_ref(publish(f, 2, 2, 10)->msg);
    f->sheaf.last = f->position;
    store_append(f->store, &f->sheaf, on_answer, f);
    assert_false(store_take_back(f->store, &back));
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_true(store_take_back(f->store, &back));
    assert_int_equal(back.n, 1);
    assert_ptr_equal(back.records[0].msg, m);
    assert_int_equal(m->refs, 2);
    sheaf_clear(&back);
    assert_int_equal(m->refs, 1);
    assert_true(back.capacity > 0);
    sheaf_fini(&back);
    message_unref(m);
    assert_false(store_take_back(f->store, &back));
    end(f);
}

TEST(what_is_stuck_stays_when_its_sheaf_is_had_back)
{
    struct full *f = fill(); /* message 5 of queue 1 is stuck */
    struct sheaf back;
    while (store_take_back(f->store, &back))
        sheaf_fini(&back);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(messages(f, 1), 5);
    end(f);
}

TEST(a_sheaf_with_much_in_it_is_dropped)
{
    struct full *f = fill();
    struct sheaf back;
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    while (store_take_back(f->store, &back))
        sheaf_fini(&back);
    publish(f, 2, 2, 10);
    f->sheaf.bytes = EMPTY_BYTES_MAX + 1;
    assert_int_equal(write_all(f), STORE_FINE);
    assert_false(store_take_back(f->store, &back));
    end(f);
}

TEST(changes_are_written_though_a_publish_is_stuck)
{
    struct full *f = fill();
    add(f, RECORD_SETTLE, 1, 1);
    add(f, RECORD_PURGE, 2, 0);
    define(f, RECORD_UNDEFINE, 2);
    publish(f, 3, 1, 10); /* small, but it has to wait for its turn */
    assert_int_equal(write_all(f), STORE_FULL);
    sync_all(f);
    assert_int_equal(store_durable(f->store), 8);
    assert_int_equal(store_durable_changes(f->store), 13);
    crash(f);
    assert_int_equal(messages(f, 1), 3);
    assert_null(image_queue_find(&f->store->image, 2));
    assert_int_equal(messages(f, 3), 0);
    end(f);
}

TEST(a_trim_overtakes_what_is_stuck_and_takes_it_along)
{
    struct full *f = fill();
    publish(f, 1, 6, 10);
    publish(f, 1, 7, 2 * SEGMENT);
    add(f, RECORD_TRIM, 1, 7);
    assert_int_equal(write_all(f), STORE_FULL);
    assert_int_equal(messages(f, 1), 0);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    sync_all(f);
    assert_int_equal(messages(f, 1), 1);
    crash(f);
    assert_int_equal(messages(f, 1), 1);
    assert_int_equal(image_queue_find(&f->store->image, 1)->next_position, 8);
    end(f);
}

TEST(what_is_stuck_is_written_in_order_when_there_is_room)
{
    struct full *f = fill();
    publish(f, 1, 6, 10);
    publish(f, 3, 1, 10);
    assert_int_equal(write_all(f), STORE_FULL);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    sync_all(f);
    assert_int_equal(store_durable(f->store), f->position);
    crash(f);
    assert_int_equal(messages(f, 1), 6);
    assert_int_equal(messages(f, 3), 1);
    end(f);
}

TEST(a_message_that_is_settled_while_it_is_stuck_is_not_written)
{
    struct full *f = fill();
    struct record *both = publish(f, 1, 6, 10);
    sheaf_place(&f->sheaf, (struct place){.queue = 3, .position = 1, .ttl_ms = PLACE_NO_TTL});
    assert_int_equal(both->places, 2);
    assert_int_equal(write_all(f), STORE_FULL);
    add(f, RECORD_SETTLE, 1, 5);
    add(f, RECORD_PURGE, 1, 6);
    write_all(f);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(messages(f, 1), 4);
    assert_int_equal(messages(f, 3), 1);
    end(f);
}

TEST(nothing_is_stuck_any_more_when_nobody_wants_it)
{
    struct full *f = fill();
    define(f, RECORD_UNDEFINE, 1);
    assert_int_equal(write_all(f), STORE_FINE);
    sync_all(f);
    assert_int_equal(store_durable(f->store), f->position);
    end(f);
}

TEST(what_became_of_it_meanwhile_is_written_behind_it)
{
    struct full *f = fill();
    add(f, RECORD_DELIVER, 1, 5);
    add(f, RECORD_RETURN, 1, 5);
    add(f, RECORD_DELIVER, 1, 5);
    assert_int_equal(write_all(f), STORE_FULL);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    const struct image_queue *q = image_queue_find(&f->store->image, 1);
    assert_int_equal(queue_spot(q, queue_find_spot(q, 5))->fate, FATE_OUT | FATE_REDELIVERED | 1);
    end(f);
}

TEST(a_letter_that_is_settled_settles_what_it_replaced)
{
    struct full *f = fill();
    publish(f, 3, 1, 100)->at = (struct place){.queue = 1, .position = 2, .bytes = 100};
    assert_int_equal(write_all(f), STORE_FULL);
    assert_int_equal(messages(f, 1), 4);
    add(f, RECORD_SETTLE, 3, 1);
    assert_int_equal(write_all(f), STORE_FULL);
    sync_all(f);
    crash(f);
    assert_int_equal(messages(f, 1), 3);
    end(f);
}

TEST(a_queue_is_not_deleted_before_its_letters_are_safe)
{
    struct full *f = fill();
    publish(f, 3, 1, 100)->at = (struct place){.queue = 2, .position = 1, .bytes = 100};
    define(f, RECORD_UNDEFINE, 2);
    add(f, RECORD_SETTLE, 1, 1);
    assert_int_equal(write_all(f), STORE_FULL);
    sync_all(f);
    assert_int_equal(store_durable_changes(f->store), 10);
    assert_int_equal(messages(f, 2), 1);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(messages(f, 3), 1);
    assert_null(image_queue_find(&f->store->image, 2));
    end(f);
}

TEST(a_transaction_is_stuck_as_a_whole_or_not_at_all)
{
    struct full *f = fill();
    add(f, RECORD_SETTLE, 1, 1)->tx = true;
    publish(f, 1, 6, 10)->tx = true;
    add(f, RECORD_COMMIT, 0, 0);
    add(f, RECORD_SETTLE, 1, 2)->tx = true;
    add(f, RECORD_COMMIT, 0, 0);
    assert_int_equal(write_all(f), STORE_FULL);
    sync_all(f);
    assert_int_equal(messages(f, 1), 3);
    assert_int_equal(store_durable_changes(f->store), f->position);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_int_equal(messages(f, 1), 4);
    end(f);
}

TEST(a_transaction_that_does_not_fit_leaves_nothing_behind)
{
    struct full *f = fill();
    define(f, RECORD_UNDEFINE, 1);
    assert_int_equal(write_all(f), STORE_FINE);
    for (unsigned i = 0; i < 4; i++) { /* each would fit */
        add(f, RECORD_SETTLE, 2, 1)->tx = true;
        publish(f, 3, 1 + i, SEGMENT / 2)->tx = true;
    }
    add(f, RECORD_COMMIT, 0, 0);
    define(f, RECORD_DEFINE, 4);
    assert_int_equal(write_all(f), STORE_FULL);
    assert_int_equal(messages(f, 2), 1);
    assert_int_equal(messages(f, 3), 0);
    sync_all(f);
    assert_int_equal(store_durable_changes(f->store), f->position);
    end(f);
}

TEST(a_load_waits_for_what_is_stuck_and_gets_what_is_there)
{
    struct full *f = fill();
    add(f, RECORD_LOAD, 1, 3)->load.messages_max = 10;
    f->sheaf.records[0].load.bytes_max = 1 << 20;
    assert_int_equal(write_all(f), STORE_FULL);
    assert_non_null(f->answer);
    assert_int_equal(f->answer->n, 2);
    assert_false(f->answer->is_end);
    load_destroy(f->answer);
    f->answer = NULL;
    add(f, RECORD_LOAD, 1, 5)->load.messages_max = 10;
    f->sheaf.records[0].load.bytes_max = 1 << 20;
    assert_int_equal(write_all(f), STORE_FULL);
    assert_null(f->answer);
    sim_disk_limit(f->disk, 0);
    tend_all(f);
    assert_int_equal(store_write(f->store), STORE_FINE);
    assert_non_null(f->answer);
    assert_int_equal(f->answer->n, 1);
    assert_true(f->answer->is_end);
    load_destroy(f->answer);
    end(f);
}

TEST(publishes_leave_a_segment_to_those_who_make_room)
{
    struct full *f = fill();
    define(f, RECORD_UNDEFINE, 1);
    assert_int_equal(write_all(f), STORE_FINE);
    enum store_verdict v = STORE_FINE;
    for (uint64_t i = 2; v == STORE_FINE; i++) {
        publish(f, 2, i, 1000);
        v = write_all(f);
    }
    assert_int_equal(v, STORE_FULL);
    assert_int_equal(f->store->n_spares, STORE_RESERVE);
    for (unsigned i = 0; i < 600; i++)
        add(f, i % 2 == 0 ? RECORD_DELIVER : RECORD_RETURN, 2, 1 + i % 60);
    assert_int_equal(write_all(f), STORE_FULL);
    sync_all(f);
    assert_int_equal(store_durable_changes(f->store), f->position);
    end(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_done_with_before_it_is_written_is_spared),
        cmocka_unit_test(what_a_transaction_publishes_or_settles_is_not_spared),
        cmocka_unit_test(what_replaces_another_is_not_spared),
        cmocka_unit_test(what_has_a_place_left_is_not_spared),
        cmocka_unit_test(a_message_of_which_nothing_is_known_is_not_spared),
        cmocka_unit_test(whoever_waits_for_a_load_does_not_wait_for_a_sync),
        cmocka_unit_test(a_sheaf_that_was_encoded_can_be_had_back_with_what_it_holds),
        cmocka_unit_test(what_is_stuck_stays_when_its_sheaf_is_had_back),
        cmocka_unit_test(a_sheaf_with_much_in_it_is_dropped),
        cmocka_unit_test(changes_are_written_though_a_publish_is_stuck),
        cmocka_unit_test(a_trim_overtakes_what_is_stuck_and_takes_it_along),
        cmocka_unit_test(what_is_stuck_is_written_in_order_when_there_is_room),
        cmocka_unit_test(a_message_that_is_settled_while_it_is_stuck_is_not_written),
        cmocka_unit_test(nothing_is_stuck_any_more_when_nobody_wants_it),
        cmocka_unit_test(what_became_of_it_meanwhile_is_written_behind_it),
        cmocka_unit_test(a_letter_that_is_settled_settles_what_it_replaced),
        cmocka_unit_test(a_queue_is_not_deleted_before_its_letters_are_safe),
        cmocka_unit_test(a_transaction_is_stuck_as_a_whole_or_not_at_all),
        cmocka_unit_test(a_transaction_that_does_not_fit_leaves_nothing_behind),
        cmocka_unit_test(a_load_waits_for_what_is_stuck_and_gets_what_is_there),
        cmocka_unit_test(publishes_leave_a_segment_to_those_who_make_room),
    };
    return unit_main("store/append", tests, argc, argv);
}
