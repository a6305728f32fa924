#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/port/message.h"
#include "broker/store/keeper.h"
#include "tests/unit/fake_store.h"

/* What the hub would be told; under the fake store's lock. */
struct hub {
    uint64_t durable, changes, times_told;
    uint64_t loaded[16];
    unsigned loads;
    bool alarm;
    uint64_t alarms;
    bool holds_loaded; /* the journal thread, in on_loaded() */
};

static struct hub hub;
static struct sheaf records;
static uint64_t position;

static void on_durable(void *arg, uint64_t up_to, uint64_t changes)
{
    struct hub *h = arg;
    fake_store_lock();
    assert_true(up_to >= h->durable && changes >= h->changes && changes >= up_to);
    h->durable = up_to;
    h->changes = changes;
    h->times_told++;
    fake_store_unlock();
}

static void on_loaded(void *arg, struct load *l)
{
    struct hub *h = arg;
    fake_store_lock();
    h->loaded[h->loads++] = l->queue;
    fake_store_unlock(); /* wakes who waits for that */
    fake_store_lock();
    while (h->holds_loaded)
        fake_store_wait();
    fake_store_unlock();
    load_destroy(l);
}

static void on_disk_alarm(void *arg, bool is_set)
{
    struct hub *h = arg;
    fake_store_lock();
    assert_true(is_set != h->alarm);
    h->alarm = is_set;
    h->alarms++;
    fake_store_unlock();
}

static const struct keeper_ear ear = {
    .durable = on_durable, .loaded = on_loaded, .disk_alarm = on_disk_alarm, .arg = &hub};

static struct keeper *begin(void)
{
    const struct keeper_config config = {.store = fake_store_reset(), .disk = &fake_store.disk, .drain_ms = 300};
    hub = (struct hub){0};
    position = 0;
    sheaf_init(&records);
    return keeper_create(&config);
}

static void end(struct keeper *k)
{
    assert_true(keeper_stop(k));
    assert_int_equal(fake_store.closes, 1);
    assert_int_equal(fake_store.synced, position);
    keeper_destroy(k);
    assert_true(fake_store.is_destroyed);
    sheaf_fini(&records);
}

/* Hands over n records, of publishes that have so many bytes together. */
static void keep(struct keeper *k, size_t n, uint64_t bytes)
{
    for (size_t i = 0; i < n; i++)
        sheaf_add(&records, RECORD_SETTLE);
    records.last = position += n;
    records.bytes = bytes;
    keeper_keep(k, &records);
    assert_int_equal(records.n, 0);
}

#define wait_until(condition)                                                                                          \
    do {                                                                                                               \
        fake_store_lock();                                                                                             \
        while (!(condition))                                                                                           \
            fake_store_wait();                                                                                         \
        fake_store_unlock();                                                                                           \
    } while (0)

#define tell_store(statement)                                                                                          \
    do {                                                                                                               \
        fake_store_lock();                                                                                             \
        statement;                                                                                                     \
        fake_store_unlock();                                                                                           \
    } while (0)

TEST(what_is_kept_becomes_durable)
{
    struct keeper *k = begin();
    keep(k, 2, 0); /* it may be handed over before the start */
    keeper_start(k, &ear);
    wait_until(hub.durable == 2);
    keep(k, 3, 0);
    wait_until(hub.durable == 5);
    struct keeper_stats stats;
    keeper_stats(k, &stats);
    assert_int_equal(stats.durable, 5);
    assert_int_equal(stats.queueing_us.count, 2);
    assert_int_equal(stats.sync_us.count, 2);
    end(k);
}

TEST(what_needs_no_sync_is_durable_without_one)
{
    struct keeper *k = begin();
    tell_store(fake_store.is_spared = fake_store.holds_sync = true);
    keeper_start(k, &ear);
    keep(k, 3, 0);
    wait_until(hub.durable == 3);
    struct keeper_stats stats;
    keeper_stats(k, &stats);
    assert_int_equal(stats.sync_us.count, 0);
    assert_int_equal(stats.durable, 3);
    tell_store(fake_store.is_spared = fake_store.holds_sync = false);
    end(k);
}

TEST(while_one_group_syncs_the_next_is_written)
{
    struct keeper *k = begin();
    tell_store(fake_store.holds_sync = true);
    keeper_start(k, &ear);
    keep(k, 1, 0);
    wait_until(fake_store.is_syncing);
    keep(k, 1, 0);
    wait_until(fake_store.written == 2);
    keep(k, 1, 0);
    wait_until(fake_store.written == 3);
    assert_int_equal(fake_store.writes_while_syncing, 2);
    assert_int_equal(hub.durable, 0);
    tell_store(fake_store.holds_sync = false);
    wait_until(hub.durable == 3);
    assert_int_equal(hub.times_told, 2); /* the first, and then both others at once */
    end(k);
}

TEST(what_has_become_durable_is_told_whatever_the_journal_thread_does)
{
    struct keeper *k = begin();
    tell_store(fake_store.holds_sync = hub.holds_loaded = true);
    keeper_start(k, &ear);
    keep(k, 1, 0);
    wait_until(fake_store.is_syncing);
    sheaf_add(&records, RECORD_LOAD);
    records.last = ++position;
    keeper_keep(k, &records);
    wait_until(hub.loads == 1); /* and there it stays */
    tell_store(fake_store.holds_sync = false);
    wait_until(hub.durable == 1);
    struct keeper_stats stats;
    keeper_stats(k, &stats);
    assert_int_equal(stats.durable, 1);
    assert_int_equal(stats.sync_us.count, 1);
    tell_store(hub.holds_loaded = false);
    wait_until(hub.durable == 2);
    end(k);
}

TEST(what_is_asked_for_is_answered_in_order)
{
    struct keeper *k = begin();
    keeper_start(k, &ear);
    for (unsigned i = 0; i < 8; i++)
        sheaf_add(&records, RECORD_LOAD)->at.queue = 10 + i;
    records.last = position = 8;
    keeper_keep(k, &records);
    wait_until(hub.loads == 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(hub.loaded[i], 10 + i);
    end(k);
}

TEST(a_full_file_system_raises_the_alarm_until_there_is_room)
{
    struct keeper *k = begin();
    tell_store(fake_store.write_verdict = STORE_FULL);
    keeper_start(k, &ear);
    keep(k, 1, STORE_SEGMENT_BYTES);
    wait_until(hub.alarm);
    assert_int_equal(keeper_pending(k), STORE_SEGMENT_BYTES);
    uint64_t writes = 0;
    keep(k, 1, 0);
    tell_store(writes = fake_store.writes);
    wait_until(fake_store.writes > writes + 1); /* it tries again */
    wait_until(fake_store.appended == 2);       /* and takes what comes meanwhile */
    assert_int_equal(hub.durable, 0);
    tell_store(fake_store.write_verdict = STORE_FINE);
    wait_until(hub.durable == 2 && !hub.alarm);
    assert_int_equal(hub.alarms, 2);
    assert_int_equal(keeper_pending(k), 0);
    end(k);
}

TEST(what_overtakes_stuck_publishes_is_written_and_told_at_once)
{
    struct keeper *k = begin();
    tell_store(fake_store.write_verdict = STORE_FULL; fake_store.is_overtaken = true);
    keeper_start(k, &ear);
    keep(k, 1, 1000);
    wait_until(hub.alarm && hub.changes == 1);
    for (unsigned i = 0; i < 20; i++) {
        keep(k, 1, 0);
        wait_until(hub.changes == position);
    }
    assert_int_equal(hub.durable, 0);
    assert_int_equal(keeper_pending(k), 1000);
    tell_store(fake_store.write_verdict = STORE_FINE);
    wait_until(hub.durable == position && !hub.alarm);
    assert_int_equal(keeper_pending(k), 0);
    end(k);
}

TEST(too_little_space_raises_the_alarm_before_it_is_full)
{
    struct keeper *k = begin();
    keeper_start(k, &ear);
    keep(k, 1, 0);
    wait_until(hub.durable == 1);
    tell_store(fake_store.available = ((uint64_t)5 << 30) - 1; fake_store.segments++);
    keep(k, 1, 0); /* a new segment: looks at once */
    wait_until(hub.alarm);
    tell_store(fake_store.available = (uint64_t)6 << 30; fake_store.segments++);
    keep(k, 1, 0);
    wait_until(hub.durable == 3);
    assert_true(hub.alarm); /* not yet */
    tell_store(fake_store.available = (uint64_t)7 << 30; fake_store.segments++);
    keep(k, 1, 0);
    wait_until(!hub.alarm);
    end(k);
}

TEST(no_room_for_the_reserve_raises_it_too)
{
    struct keeper *k = begin();
    keeper_start(k, &ear);
    tell_store(fake_store.is_tight = true);
    keep(k, 1, 0);
    wait_until(hub.alarm);
    wait_until(hub.durable == 1); /* what came is kept all the same */
    tell_store(fake_store.is_tight = false);
    keep(k, 1, 0);
    wait_until(!hub.alarm);
    end(k);
}

TEST(what_has_no_hurry_is_done_under_load_too)
{
    struct keeper *k = begin();
    keeper_start(k, &ear);
    uint64_t tends = 0;
    wait_until(fake_store.tends > 0);
    tell_store(tends = fake_store.tends);
    for (unsigned i = 0; i < 4 * KEEPER_TEND_GROUPS; i++) {
        keep(k, 1, 0);
        wait_until(fake_store.written == position);
    }
    wait_until(fake_store.tends >= tends + 2);
    end(k);
}

TEST(the_end_waits_for_room_only_so_long)
{
    struct keeper *k = begin();
    tell_store(fake_store.write_verdict = fake_store.close_verdict = STORE_FULL);
    keeper_start(k, &ear);
    keep(k, 1, 0);
    assert_false(keeper_stop(k));
    assert_int_equal(hub.durable, 0);
    keeper_destroy(k);
    sheaf_fini(&records);
}

/* In a process of its own: hands one record over, and one more when the first is durable.  Answers its exit status, and
 * what it had said. */
static int status_of(void (*spoil)(void), char said[512])
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        struct keeper *k = begin();
        keeper_start(k, &ear);
        keep(k, 1, 0);
        wait_until(hub.durable == 1);
        tell_store(spoil());
        keep(k, 1, 0);
        wait_until(hub.durable == 2);
        _exit(0);
    }
    int status = 0;
    size_t n = 0;
    close(out[1]);
    for (ssize_t got; n < 511 && (got = read(out[0], said + n, 511 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void spoil_sync(void)
{
    fake_store.sync_error = -EIO;
}

static void spoil_write(void)
{
    fake_store.write_verdict = STORE_FAILED;
}

TEST(a_sync_that_fails_ends_the_process_and_confirms_nothing)
{
    char said[512];
    assert_int_equal(status_of(spoil_sync, said), KEEPER_EXIT);
    assert_non_null(strstr(said,
                           "FATAL: the journal cannot be synced: Input/output error; stopping, so that nothing is "
                           "confirmed that is not on disk"));
}

TEST(so_does_a_write_that_fails)
{
    char said[512];
    assert_int_equal(status_of(spoil_write, said), KEEPER_EXIT);
    assert_non_null(strstr(said, "FATAL: the journal cannot be written"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_that_fails_ends_the_process_and_confirms_nothing),
        cmocka_unit_test(so_does_a_write_that_fails),
        cmocka_unit_test(what_is_kept_becomes_durable),
        cmocka_unit_test(what_needs_no_sync_is_durable_without_one),
        cmocka_unit_test(while_one_group_syncs_the_next_is_written),
        cmocka_unit_test(what_has_become_durable_is_told_whatever_the_journal_thread_does),
        cmocka_unit_test(what_is_asked_for_is_answered_in_order),
        cmocka_unit_test(a_full_file_system_raises_the_alarm_until_there_is_room),
        cmocka_unit_test(what_overtakes_stuck_publishes_is_written_and_told_at_once),
        cmocka_unit_test(too_little_space_raises_the_alarm_before_it_is_full),
        cmocka_unit_test(no_room_for_the_reserve_raises_it_too),
        cmocka_unit_test(what_has_no_hurry_is_done_under_load_too),
        cmocka_unit_test(the_end_waits_for_room_only_so_long),
    };
    return unit_main("store/keeper", tests, argc, argv);
}
