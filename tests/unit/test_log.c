/* Streams in the model (log.h, replay.h): with a naive store that answers their loads. */
#include "tests/unit/logbook.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/log.h"
#include "broker/model/queue.h"
#include "broker/model/replay.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* ---- Reading. */

TEST(everything_is_recorded_and_near_the_end_in_memory)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish_with(&book, 0, NULL, 0, false);
    logbook_publish_with(&book, 1, NULL, MESSAGE_PERSISTENT, false);
    char *text = keepsake_spell(&book.pair.w.effects.records, 0);
    assert_string_equal(text, "publish 1:0, publish 1:1");
    free(text);
    pair_take(&book.pair);
    logbook_publish(&book, 2, 50);
    assert_int_equal(logbook_totals(&book).messages_ready, 50);
    assert_int_equal(keepsake_count(&book.pair.k, 1), 50);
    assert_int_equal(logbook_stream(&book)->log->n_recent, LOGBOOK_WINDOW);
    logbook_consume_from(&book, 1, 46, 10);
    logbook_expect_offsets(&book, 1, 46, 50);
    assert_false(pair_serve_one(&book.pair)); /* nobody had to ask */
    pair_fini(&book.pair);
}

TEST(what_is_older_comes_from_the_store)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 50);
    logbook_consume_at(&book, 1, "first", 100);
    assert_null(logbook_next(&book));
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 1, 0, 50);
    logbook_publish(&book, 50, 52);
    logbook_expect_offsets(&book, 1, 50, 52);
    pair_fini(&book.pair);
}

TEST(readers_do_not_wait_for_one_another)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 30);
    logbook_consume_at(&book, 1, "first", 2); /* it settles nothing */
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 1, 0, 2);
    logbook_consume_from(&book, 2, 10, 100);
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 2, 10, 30);
    logbook_consume_at(&book, 3, "next", 100);
    logbook_publish(&book, 30, 31);
    logbook_expect_offset(&book, 2, 30);
    logbook_expect_offset(&book, 3, 30);
    assert_null(logbook_next(&book));
    pair_fini(&book.pair);
}

/* With credit for one message at a time, while others are published. */
TEST(a_slow_reader_misses_nothing)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 10);
    logbook_consume_at(&book, 1, "first", 1);
    for (unsigned i = 0; i < 200; i++) {
        pair_serve(&book.pair);
        logbook_settle(&book, 1, logbook_expect_offset(&book, 1, i));
        if (i < 180)
            logbook_publish(&book, 10 + i, 11 + i);
        if (i == 189)
            break;
    }
    pair_serve(&book.pair);
    assert_null(logbook_next(&book));
    pair_fini(&book.pair);
}

TEST(a_reader_has_no_more_in_memory_than_its_loads)
{
    enum { ALL = 12000, READERS = 3 };
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, ALL);
    uint64_t before = logbook_totals(&book).message_bytes, most = 0;
    unsigned read = 0;
    for (unsigned i = 0; i < READERS; i++)
        logbook_consume_from(&book, i + 1, i * 1000, 10);
    pair_serve(&book.pair);
    for (struct event *e; read < 6000;) {
        uint64_t now = logbook_totals(&book).message_bytes - before;
        most = now > most ? now : most;
        e = logbook_next(&book);
        if (e == NULL) {
            world_forget(&book.pair.w);
            assert_true(pair_serve_one(&book.pair));
            continue;
        }
        logbook_settle(&book, e->to.outlet.slot, e);
        read++;
    }
    assert_true(most <= READERS * REPLAY_LOADS * (REPLAY_LOAD_BYTES + (8 << 10)) + (16 << 10));
    assert_true(most > REPLAY_LOAD_BYTES / 2); /* else this shows nothing */
    for (unsigned i = 0; i < READERS; i++)
        logbook_cancel(&book, i + 1);
    pair_fini(&book.pair);
}

TEST(two_loads_are_under_way_or_there_and_no_third)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 3 * REPLAY_LOAD_MESSAGES);
    logbook_consume_at(&book, 1, "first", 1);
    unsigned loads = 0;
    while (pair_serve_one(&book.pair))
        loads++;
    assert_int_equal(loads, REPLAY_LOADS);
    pair_fini(&book.pair);
}

TEST(an_offset_beyond_the_end_waits_for_it)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 5);
    logbook_consume_from(&book, 1, 8, 10);
    logbook_publish(&book, 5, 8);
    assert_null(logbook_next(&book));
    logbook_publish(&book, 8, 10);
    logbook_expect_offsets(&book, 1, 8, 10);
    pair_fini(&book.pair);
}

TEST(a_message_that_is_lost_is_passed_by)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 20);
    keepsake_lose(&book.pair.k, 1, 0);
    keepsake_lose(&book.pair.k, 1, 7);
    logbook_consume_at(&book, 1, "first", 100);
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 1, 1, 7);
    logbook_expect_offsets(&book, 1, 8, 20);
    pair_fini(&book.pair);
}

TEST(a_load_for_who_is_gone_is_dropped)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 20);
    logbook_consume_at(&book, 1, "first", 100);
    logbook_consume_at(&book, 2, "first", 100);
    pair_take(&book.pair);
    logbook_cancel(&book, 1);
    world_do(&book.pair.w,
             (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("s")})}, 0, 0);
    pair_serve(&book.pair);
    assert_null(logbook_next(&book));
    assert_int_equal(logbook_totals(&book).message_bytes, 0);
    pair_fini(&book.pair);
}

/* ---- What a delivery waits for: nobody is told of an offset that may become another message's. */

TEST(a_delivery_waits_for_its_message)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_consume_at(&book, 1, "next", 100);
    logbook_publish_with(&book, 0, NULL, 0, false);
    uint64_t at = book.pair.w.effects.records.last;
    assert_int_equal(logbook_expect_offset(&book, 1, 0)->after, at);
    pair_take(&book.pair);
    for (unsigned i = 1; i < 20; i++)
        logbook_publish_with(&book, i, NULL, 0, false);
    at = book.pair.w.effects.records.last;
    logbook_consume_at(&book, 2, "first", 100);
    world_forget(&book.pair.w);
    pair_serve(&book.pair);
    for (unsigned i = 0; i < 16; i++) /* from the store: nobody knows better than that */
        assert_int_equal(logbook_expect_offset(&book, 2, i)->after, at);
    pair_fini(&book.pair);
}

TEST(a_delivery_from_a_transaction_waits_for_its_commit)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_consume_at(&book, 1, "next", 100);
    logbook_publish_with(&book, 0, NULL, 0, true);
    struct tx *tx = alloc_zeroed(sizeof *tx);
    tx->commands = alloc_zeroed(sizeof *tx->commands);
    tx->n = tx->capacity = 1;
    struct message *m = message_create(&(struct message_spec){
        .routing_key = BYTES("s"), .properties = bytes_of("\0\0", 2), .expiration_ms = MESSAGE_NO_EXPIRATION});
    tx->commands[0] = (struct command){.verb = PUBLISH, .publish = {.msg = m}};
    pair_take(&book.pair);
    world_do(&book.pair.w, (struct command){.verb = COMMIT, .tx = tx}, 0, 0);
    char *text = keepsake_spell(&book.pair.w.effects.records, 0);
    assert_string_equal(text, "tx publish 1:0, commit");
    free(text);
    struct event *e = logbook_next(&book);
    CHECK(e != NULL);
    assert_int_equal(e->after, book.pair.w.effects.records.last);
    pair_fini(&book.pair);
}

TEST(what_was_there_before_a_restart_is_safe)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 20);
    logbook_restart(&book);
    logbook_consume_at(&book, 1, "first", 100);
    pair_serve(&book.pair);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(logbook_expect_offset(&book, 1, i)->after, 0);
    pair_fini(&book.pair);
}

/* ---- Filters. */

TEST(a_filter_passes_by_what_it_does_not_want)
{
    struct logbook book;
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    logbook_init(&book);
    logbook_declare(&book);
    for (unsigned i = 0; i < 3 * REPLAY_LOAD_MESSAGES; i++) {
        logbook_publish_with(&book, i, i % 1000 == 999 ? "a" : i % 2 == 0 ? "b" : NULL, 0, false);
        pair_take(&book.pair);
    }
    uint64_t before = logbook_totals(&book).message_bytes;
    table_put_string(&table, BYTES("x-stream-offset"), BYTES("first"));
    table_put_string(&table, BYTES("x-stream-filter"), BYTES("a"));
    logbook_consume(&book, 1, &table, 100);
    pair_serve(&book.pair);
    for (unsigned i = 999; i < 3 * REPLAY_LOAD_MESSAGES; i += 1000)
        logbook_expect_offset(&book, 1, i);
    assert_null(logbook_next(&book));
    const struct replay *r = item_of(logbook_stream(&book)->log->replays.ring.next, struct replay, in_log);
    assert_null(r->loads[0]);
    assert_true(logbook_totals(&book).message_bytes < before + (16 << 10));
    pair_fini(&book.pair);
}

/* ---- Time. */

TEST(a_time_finds_the_first_message_that_is_not_older)
{
    enum { ALL = 60 };
    struct logbook book;
    uint64_t ms[ALL];
    logbook_init(&book);
    book.options.segment_bytes = 2000;
    logbook_declare(&book);
    book.pair.w.now.wall_ms = 5000000;
    for (unsigned i = 0; i < ALL; i++) {
        world_wait(&book.pair.w, 700 * (i % 5));
        ms[i] = book.pair.w.now.wall_ms;
        logbook_publish(&book, i, i + 1);
    }
    for (unsigned round = 0; round < 2; round++, logbook_restart(&book))
        for (uint64_t s = ms[0] / 1000 - 1; s <= ms[ALL - 1] / 1000 + 1; s++) {
            uint8_t buf[100];
            struct pen table = pen_over(buf, sizeof buf);
            unsigned first = 0;
            while (first < ALL && ms[first] < s * 1000)
                first++;
            table_put_timestamp(&table, BYTES("x-stream-offset"), s);
            logbook_consume(&book, 1, &table, 1);
            pair_serve(&book.pair);
            if (first < ALL)
                logbook_settle(&book, 1, logbook_expect_offset(&book, 1, first));
            logbook_cancel(&book, 1);
            world_forget(&book.pair.w);
            pair_serve(&book.pair);
        }
    pair_fini(&book.pair);
}

/* ---- What goes. */

TEST(what_is_too_much_goes_by_whole_parts)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_length_bytes = 4000;
    logbook_declare(&book);
    uint64_t first = 0;
    for (unsigned i = 0; i < 200; i++) {
        logbook_publish(&book, i, i + 1);
        const struct log *l = logbook_stream(&book)->log;
        assert_true(log_first(l) >= first);
        first = log_first(l);
        assert_true(l->size <= 4000);
        assert_int_equal(keepsake_count(&book.pair.k, 1), i + 1 - first);
        assert_int_equal(logbook_totals(&book).messages_ready, i + 1 - first);
    }
    assert_true(first > 150);
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_PART),
                     logbook_stream(&book)->log->n_parts - logbook_stream(&book)->log->first_part - 1);
    pair_fini(&book.pair);
}

TEST(a_reader_of_what_goes_continues_with_what_is_left)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_length_bytes = 4000;
    logbook_declare(&book);
    logbook_publish(&book, 0, 10);
    logbook_consume_at(&book, 1, "first", 1);
    pair_serve(&book.pair);
    const struct event *e = logbook_expect_offset(&book, 1, 0);
    ticket t = e->delivered.ticket;
    logbook_publish(&book, 10, 300);
    uint64_t first = log_first(logbook_stream(&book)->log);
    world_settle(&book.pair.w, 1, t, ACCEPTED);
    pair_serve(&book.pair);
    logbook_expect_offset(&book, 1, first);
    pair_fini(&book.pair);
}

TEST(the_records_of_what_goes_end_with_a_trim)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1;
    book.options.max_length_bytes = 1;
    logbook_declare(&book);
    logbook_publish(&book, 0, 1);
    logbook_publish_with(&book, 1, NULL, 0, false);
    char *text = keepsake_spell(&book.pair.w.effects.records, 0);
    assert_string_equal(text, "define part of a stream, publish 1:1, undefine part of a stream, trim 1:1");
    free(text);
    pair_fini(&book.pair);
}

TEST(what_is_too_old_goes_without_anybody_coming)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_age_ms = 10000;
    logbook_declare(&book);
    for (unsigned i = 0; i < 20; i++) {
        logbook_publish(&book, i, i + 1);
        world_wait(&book.pair.w, 100);
    }
    world_wait(&book.pair.w, 9000);
    pair_take(&book.pair);
    uint64_t kept = logbook_totals(&book).messages_ready;
    assert_true(kept < 20 && kept > 8);
    world_wait(&book.pair.w, 100000);
    pair_take(&book.pair);
    assert_true(logbook_totals(&book).messages_ready > 0 &&
                logbook_totals(&book).messages_ready <= 6); /* the part that is written */
    assert_int_equal(keepsake_count(&book.pair.k, 1), logbook_totals(&book).messages_ready);
    pair_fini(&book.pair);
}

TEST(parts_are_not_more_than_can_be_counted)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 0;
    logbook_declare(&book);
    logbook_publish(&book, 0, 5 * LOG_PARTS_MAX);
    assert_true(logbook_stream(&book)->log->n_parts <= 3 * LOG_PARTS_MAX);
    pair_fini(&book.pair);
}

/* ---- Without a store. */

TEST(without_records_all_of_it_is_in_memory)
{
    struct logbook book;
    logbook_init_with(&book, &(struct broker_config){.memory_high = UINT64_MAX, .window_messages = LOGBOOK_WINDOW});
    book.options.segment_bytes = 1000;
    book.options.max_length_bytes = 20000;
    logbook_declare(&book);
    logbook_publish(&book, 0, 100);
    logbook_consume_at(&book, 1, "first", 1000);
    logbook_expect_offsets(&book, 1, 0, 100);
    logbook_publish(&book, 100, 1000);
    logbook_cancel(&book, 1);
    assert_true(logbook_totals(&book).messages_ready < 200);
    assert_true(logbook_totals(&book).message_bytes < 300000);
    pair_fini(&book.pair);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_recorded_and_near_the_end_in_memory),
        cmocka_unit_test(what_is_older_comes_from_the_store),
        cmocka_unit_test(readers_do_not_wait_for_one_another),
        cmocka_unit_test(a_slow_reader_misses_nothing),
        cmocka_unit_test(a_reader_has_no_more_in_memory_than_its_loads),
        cmocka_unit_test(two_loads_are_under_way_or_there_and_no_third),
        cmocka_unit_test(an_offset_beyond_the_end_waits_for_it),
        cmocka_unit_test(a_message_that_is_lost_is_passed_by),
        cmocka_unit_test(a_load_for_who_is_gone_is_dropped),
        cmocka_unit_test(a_delivery_waits_for_its_message),
        cmocka_unit_test(a_delivery_from_a_transaction_waits_for_its_commit),
        cmocka_unit_test(what_was_there_before_a_restart_is_safe),
        cmocka_unit_test(a_filter_passes_by_what_it_does_not_want),
        cmocka_unit_test(a_time_finds_the_first_message_that_is_not_older),
        cmocka_unit_test(what_is_too_much_goes_by_whole_parts),
        cmocka_unit_test(a_reader_of_what_goes_continues_with_what_is_left),
        cmocka_unit_test(the_records_of_what_goes_end_with_a_trim),
        cmocka_unit_test(what_is_too_old_goes_without_anybody_coming),
        cmocka_unit_test(parts_are_not_more_than_can_be_counted),
        cmocka_unit_test(without_records_all_of_it_is_in_memory),
    };
    return unit_main("log", tests, argc, argv);
}
