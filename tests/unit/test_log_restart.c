/* Streams through restarts: offsets, parts, and how far who was (log.h, bookmark.h). */
#include "tests/unit/guest.h"
#include "tests/unit/logbook.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/model/bookmark.h"
#include "broker/model/log.h"
#include "broker/model/queue.h"
#include "broker/port/definition.h"
#include "codec/table.h"

TEST(a_restart_changes_neither_offsets_nor_what_goes)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_length_bytes = 6000;
    logbook_declare(&book);
    for (unsigned round = 0; round < 10; round++) {
        unsigned end = (round + 1) * 27;
        logbook_publish(&book, round * 27, end);
        uint64_t first = log_first(logbook_stream(&book)->log), size = logbook_stream(&book)->log->size;
        logbook_restart(&book);
        assert_int_equal(log_first(logbook_stream(&book)->log), first);
        assert_int_equal(logbook_totals(&book).messages_ready, end - first);
        assert_true(logbook_stream(&book)->log->size <= size + 500 && logbook_stream(&book)->log->size + 500 >= size);
        logbook_consume_at(&book, 1, "first", 1000);
        pair_serve(&book.pair);
        logbook_expect_offsets(&book, 1, first, end);
        assert_null(logbook_next(&book));
        logbook_cancel(&book, 1);
        world_forget(&book.pair.w);
    }
    pair_fini(&book.pair);
}

TEST(what_became_too_old_meanwhile_goes_after_a_restart)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_age_ms = 30000; /* a restart takes a minute */
    logbook_declare(&book);
    logbook_publish(&book, 0, 22);
    assert_int_equal(logbook_totals(&book).messages_ready, 22);
    logbook_restart(&book);
    world_wait(&book.pair.w, 1);
    pair_take(&book.pair);
    uint64_t first = log_first(logbook_stream(&book)->log);
    assert_true(first > 10 && first < 22);
    assert_int_equal(keepsake_count(&book.pair.k, 1), 22 - first);
    pair_fini(&book.pair);
}

/* Only some of the records reached the disk. */
TEST(a_crash_while_parts_go_leaves_messages_that_are_read_and_go_later)
{
    struct logbook book;
    logbook_init(&book);
    book.options.segment_bytes = 1000;
    book.options.max_length_bytes = 4000;
    logbook_declare(&book);
    unsigned n = 0;
    for (bool trims = false; !trims; n++) {
        pair_take(&book.pair);
        logbook_publish_with(&book, n, NULL, 0, false);
        trims = book.pair.w.effects.records.records[book.pair.w.effects.records.n - 1].kind == RECORD_TRIM;
    }
    uint64_t left = logbook_totals(&book).messages_ready;
    book.pair.w.effects.records.n--; /* not the TRIM */
    book.pair.w.effects.records.last--;
    logbook_restart(&book);
    assert_int_equal(logbook_totals(&book).messages_ready, n);
    logbook_consume_at(&book, 1, "first", 1000);
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 1, 0, n);
    logbook_publish(&book, n, n + 10);
    assert_true(logbook_totals(&book).messages_ready <= left + 10);
    assert_int_equal(keepsake_count(&book.pair.k, 1), logbook_totals(&book).messages_ready);
    pair_fini(&book.pair);
}

TEST(a_restored_part_that_is_nonsense_is_refused)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 1);
    struct definition_part part = {.queue = 1, .first = 0, .count = 5};
    struct broker_config c = book.pair.config;
    struct broker *b;
    c.default_vhost = "/";
    b = broker_create(&c);
    guest_let_in(b);
    struct definition *d = definition_of_part(&part, true);
    assert_false(broker_restore_definition(b, DEFINE_PART, 1, d->key, d->value)); /* of which queue? */
    free(d);
    broker_destroy(b);
    logbook_restart(&book);
    d = definition_of_part(&part, true);
    assert_false(broker_restore_definition(book.pair.w.broker, DEFINE_PART, 1, d->key, d->value)); /* too late */
    free(d);
    pair_fini(&book.pair);
}

static bool restores_part(struct broker *b, uint64_t first, uint64_t count)
{
    struct definition *d =
        definition_of_part(&(struct definition_part){.queue = 1, .first = first, .count = count, .bytes = count}, true);
    bool is_fine = broker_restore_definition(b, DEFINE_PART, 1, d->key, d->value);
    free(d);
    return is_fine;
}

/* While the disk is full, one overtakes another that waits with its transaction. */
TEST(parts_are_restored_in_any_order_but_never_overlap)
{
    struct logbook book;
    logbook_init(&book);
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_string(&pen, BYTES("x-queue-type"), BYTES("stream"));
    struct spec spec = {
        .name = BYTES("s"), .durable = true, .arguments = pen_written(&pen), .options = QUEUE_OPTIONS_NONE};
    struct broker_config c = book.pair.config;
    c.default_vhost = "/";
    struct broker *b = broker_create(&c);
    struct definition *d = definition_define(DEFINE_QUEUE, 1, BYTES("/"), &spec);
    assert_true(broker_restore_definition(b, DEFINE_QUEUE, 1, d->key, d->value));
    free(d);
    assert_true(restores_part(b, 10, 5));
    assert_true(restores_part(b, 0, 4));
    assert_false(restores_part(b, 3, 3));
    assert_false(restores_part(b, 8, 3));
    assert_false(restores_part(b, 12, 1));
    assert_true(restores_part(b, 4, 6));
    assert_true(broker_restore_queue(b, 1, 20, 20, 20));
    broker_check(b);
    broker_destroy(b);
    pair_fini(&book.pair);
}

/* A part that overtook its messages, for want of room: the one that is being written, or none. */
TEST(parts_of_messages_that_never_came_are_taken_back)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 5);
    const uint64_t firsts[] = {0, 10, 15};
    for (size_t i = 0; i < 3; i++) {
        const struct definition_part part = {.queue = 1, .first = firsts[i], .count = 5 + 5 * (i == 0), .bytes = 500};
        struct sheaf *to = &book.pair.w.effects.records;
        sheaf_add(to, RECORD_DEFINE)->definition = definition_of_part(&part, true);
        to->last = book.pair.k.position + i + 1;
    }
    logbook_restart(&book);
    pair_take(&book.pair);
    world_wait(&book.pair.w, 1);
    pair_take(&book.pair);
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_PART), 1); /* it is replaced when the part is closed */
    assert_int_equal(logbook_totals(&book).messages_ready, 5);
    logbook_publish(&book, 5, 40);
    logbook_restart(&book);
    logbook_consume_at(&book, 1, "first", 1000);
    pair_serve(&book.pair);
    logbook_expect_offsets(&book, 1, 0, 40);
    pair_fini(&book.pair);
}

/* ---- Bookmarks. */

static void consume_tracked(struct logbook *book, unsigned client, const char *tag, unsigned limit)
{
    uint8_t buf[100];
    struct pen table = pen_over(buf, sizeof buf);
    table_put_string(&table, BYTES("x-stream-offset"), BYTES("first"));
    table_put_bool(&table, BYTES("x-stream-automatic-offset-tracking"), true);
    struct spec *spec = spec_create(&(struct spec){.name = BYTES("s"),
                                                   .key = bytes_of_string(tag),
                                                   .arguments = pen_written(&table),
                                                   .options = {.consumer_timeout_ms = SPEC_NONE}});
    world_do(&book->pair.w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = spec, .limit = limit}}, client,
             0);
    pair_serve(&book->pair);
}

TEST(a_tracked_reader_goes_on_where_it_stopped_after_a_crash_too)
{
    struct logbook book;
    ticket tickets[10];
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 30);
    consume_tracked(&book, 1, "me", 10);
    for (unsigned i = 0; i < 10; i++)
        tickets[i] = logbook_expect_offset(&book, 1, i)->delivered.ticket;
    for (unsigned i = 0; i < 7; i++)
        if (i != 4)
            world_settle(&book.pair.w, 1, tickets[i], ACCEPTED);
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_BOOKMARK), 0);
    world_wait(&book.pair.w, BOOKMARK_MS);
    pair_take(&book.pair);
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_BOOKMARK), 1);
    logbook_restart(&book);
    consume_tracked(&book, 1, "me", 100);
    logbook_expect_offsets(&book, 1, 4, 30);
    consume_tracked(&book, 2, "you", 100);
    logbook_expect_offsets(&book, 2, 0, 30);
    world_do(&book.pair.w,
             (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("s")})}, 0, 0);
    pair_take(&book.pair);
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_BOOKMARK), 0);
    pair_fini(&book.pair);
}

TEST(bookmarks_are_not_more_than_can_be_counted)
{
    struct logbook book;
    logbook_init(&book);
    logbook_declare(&book);
    logbook_publish(&book, 0, 1);
    for (unsigned i = 0; i < BOOKMARKS_MAX + 20; i++) {
        char tag[20];
        snprintf(tag, sizeof tag, "t%u", i);
        world_forget(&book.pair.w);
        consume_tracked(&book, 1, tag, 1);
        logbook_settle(&book, 1, logbook_expect_offset(&book, 1, 0));
        logbook_cancel(&book, 1);
        pair_take(&book.pair);
    }
    assert_int_equal(keepsake_definitions(&book.pair.k, DEFINE_BOOKMARK), BOOKMARKS_MAX);
    logbook_restart(&book);
    assert_int_equal(logbook_stream(&book)->log->n_bookmarks, BOOKMARKS_MAX);
    pair_fini(&book.pair);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_changes_neither_offsets_nor_what_goes),
        cmocka_unit_test(what_became_too_old_meanwhile_goes_after_a_restart),
        cmocka_unit_test(a_crash_while_parts_go_leaves_messages_that_are_read_and_go_later),
        cmocka_unit_test(a_restored_part_that_is_nonsense_is_refused),
        cmocka_unit_test(parts_are_restored_in_any_order_but_never_overlap),
        cmocka_unit_test(parts_of_messages_that_never_came_are_taken_back),
        cmocka_unit_test(a_tracked_reader_goes_on_where_it_stopped_after_a_crash_too),
        cmocka_unit_test(bookmarks_are_not_more_than_can_be_counted),
    };
    return unit_main("log_restart", tests, argc, argv);
}
