#include "tests/unit/asker.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "broker/model/observer.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

static struct inspection *call(struct world *w, const char *name, bool of_exchange, uint64_t id, bool ends)
{
    const struct bytes vhost = BYTES("/"), named = bytes_of_string(name);
    struct inspection *i = inspection_create(INSPECT_TRACE, &vhost, &named);
    i->cursor = id;
    i->trace.of_exchange = of_exchange;
    i->trace.ends = ends;
    i->trace.payload_bytes = 8;
    return asker_inspect(w, i);
}

static uint64_t begin(struct world *w, const char *name, bool of_exchange)
{
    struct inspection *i = call(w, name, of_exchange, 0, false);
    assert_non_null(i);
    uint64_t id = i->cursor;
    assert_true(id > 0 && i->n == 0);
    inspection_destroy(i);
    return id;
}

/* What has happened since the last time: its words, with a blank after each. */
static void expect(struct world *w, uint64_t id, const char *words)
{
    char told[512] = "";
    struct bytes row;
    struct inspection *i = call(w, "", false, id, false);
    assert_non_null(i);
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        assert_true(table_check(row, TABLE_DEPTH_MAX));
        char *what = asker_text(row, "what");
        strcat(strcat(told, what), " ");
        free(what);
    }
    assert_string_equal(told, words);
    inspection_destroy(i);
}

TEST(a_queues_messages_are_told_from_coming_to_going)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "other", NULL);
    uint64_t id = begin(&w, "q", false);
    world_publish(&w, "", "other", "no");
    world_publish(&w, "", "q", "yes");
    expect(&w, id, "published ");
    world_consume(&w, 0, "q", 1, 0, false);
    ticket t = world_expect_delivery(&w, 1, "yes", false);
    world_settle(&w, 0, t, REQUEUED);
    t = world_expect_delivery(&w, 1, "yes", true);
    world_settle(&w, 0, t, ACCEPTED);
    expect(&w, id, "delivered requeued delivered acked ");
    world_publish(&w, "", "q", "again");
    t = world_expect_delivery(&w, 1, "again", false);
    world_settle(&w, 0, t, REJECTED);
    expect(&w, id, "published delivered rejected ");
    world_do(&w, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 1}}, 0, 0);
    world_publish(&w, "", "q", "last");
    message_unref(world_get(&w, "q"));
    expect(&w, id, "published got ");
    world_fini(&w);
}

TEST(a_row_says_who_and_what)
{
    struct world w;
    struct bytes row;
    size_t at = 0;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    uint64_t id = begin(&w, "q", false);
    world_publish(&w, "", "q", "a longer body");
    struct inspection *i = call(&w, "", false, id, false);
    assert_true(inspection_next(i, &at, &row));
    assert_true(bytes_equal(table_find_string(row, "payload"), BYTES("a longer")));
    assert_true(bytes_equal(table_find_string(row, "user"), BYTES("guest")));
    assert_true(bytes_equal(table_find_string(row, "routing_key"), BYTES("q")));
    inspection_destroy(i);
    world_fini(&w);
}

TEST(deaths_letters_and_refusals_are_told)
{
    struct world w;
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    world_init(&w);
    world_queue(&w, 0, "dead", NULL);
    s.options.has_dead_letter_exchange = s.options.has_dead_letter_routing_key = true;
    s.options.dead_letter_routing_key = BYTES("dead");
    s.options.message_ttl_ms = 50;
    s.options.max_length = 1;
    world_queue(&w, 0, "q", &s);
    uint64_t id = begin(&w, "q", false), of_dead = begin(&w, "dead", false);
    world_publish(&w, "", "q", "1");
    world_publish(&w, "", "q", "2");
    expect(&w, id, "published published maxlen dead_lettered ");
    world_wait(&w, 60);
    expect(&w, id, "expired dead_lettered ");
    expect(&w, of_dead, "dead_lettered dead_lettered ");
    struct spec full = {.options = QUEUE_OPTIONS_NONE};
    full.options.max_length = 0;
    full.options.overflow = OVERFLOW_REJECT_PUBLISH;
    world_queue(&w, 0, "full", &full);
    uint64_t of_full = begin(&w, "full", false);
    world_publish(&w, "", "full", "3");
    expect(&w, of_full, "published refused ");
    world_fini(&w);
}

TEST(an_exchange_tells_what_came_by_it_and_what_becomes_of_that)
{
    struct world w;
    world_init(&w);
    world_exchange(&w, "first", "fanout");
    world_exchange(&w, "second", "fanout");
    world_queue(&w, 0, "q", NULL);
    struct spec e2e = {.name = BYTES("second"), .source = BYTES("first"), .to_exchange = true};
    world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&e2e)}, 0, 0);
    uint64_t first = begin(&w, "first", true), second = begin(&w, "second", true);
    world_publish(&w, "first", "k", "1");
    expect(&w, first, "unroutable ");
    expect(&w, second, "unroutable ");
    world_bind(&w, "q", "second", "");
    for (unsigned n = 0; n < 2; n++) { /* the second time the route is known */
        world_publish(&w, "first", "k", "2");
        expect(&w, first, "published ");
        expect(&w, second, "published ");
    }
    world_publish(&w, "", "q", "other");
    message_unref(world_get(&w, "q"));
    expect(&w, first, "got ");
    expect(&w, second, "");
    world_fini(&w);
}

TEST(what_is_handed_over_is_told)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 1, 0, true);
    world_publish(&w, "", "q", "1");
    world_publish(&w, "", "q", "2");
    uint64_t id = begin(&w, "q", false);
    world_publish(&w, "", "q", "3");
    expect(&w, id, "published delivered ");
    world_fini(&w);
}

TEST(a_purge_and_a_deletion_are_told)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    uint64_t id = begin(&w, "q", false);
    world_publish(&w, "", "q", "1");
    struct spec s = {.name = BYTES("q")};
    world_do(&w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&s)}, 0, 0);
    world_do(&w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&s)}, 0, 0);
    expect(&w, id, "published purged deleted ");
    world_queue(&w, 0, "q", NULL);
    world_publish(&w, "", "q", "2");
    expect(&w, id, "published ");
    world_fini(&w);
}

TEST(who_does_not_read_misses_what_finds_no_room)
{
    struct world w;
    struct bytes row;
    struct field count;
    size_t at = 0;
    unsigned rows = 0;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    uint64_t id = begin(&w, "q", false);
    for (unsigned n = 0; n < OBSERVER_ROWS_MAX + 100; n++) {
        world_forget(&w);
        world_publish(&w, "", "q", "a body of some length");
    }
    struct inspection *i = call(&w, "", false, id, false);
    assert_true(i->size <= OBSERVER_BYTES_MAX + 200);
    while (inspection_next(i, &at, &row))
        rows++;
    assert_true(rows > 1000);
    assert_true(bytes_equal(table_find_string(row, "what"), BYTES("dropped")));
    assert_true(table_find(row, BYTES("count"), &count));
    assert_int_equal(rows - 1 + (unsigned)count.integer, OBSERVER_ROWS_MAX + 100);
    inspection_destroy(i);
    expect(&w, id, "");
    world_publish(&w, "", "q", "next");
    expect(&w, id, "published ");
    world_fini(&w);
}

TEST(a_trace_ends_when_it_is_told_to_or_nobody_reads)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    uint64_t id = begin(&w, "q", false);
    struct inspection *i = call(&w, "", false, id, true);
    assert_non_null(i);
    inspection_destroy(i);
    assert_null(call(&w, "", false, id, false));
    id = begin(&w, "q", false);
    world_wait(&w, OBSERVER_IDLE_MS);
    expect(&w, id, "");
    world_wait(&w, OBSERVER_IDLE_MS + 1);
    world_publish(&w, "", "q", "1");
    assert_null(call(&w, "", false, id, false));
    world_fini(&w);
}

TEST(there_are_only_so_many)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    assert_null(call(&w, "no such", false, 0, false));
    assert_null(call(&w, "no such", true, 0, false));
    for (unsigned i = 0; i < OBSERVERS_MAX; i++)
        begin(&w, "q", false);
    assert_null(call(&w, "q", false, 0, false));
    world_wait(&w, OBSERVER_IDLE_MS + 1);
    begin(&w, "q", false);
    world_fini(&w);
}

static struct inspection *call_as(struct world *w, const char *user, uint64_t id)
{
    const struct bytes vhost = BYTES("/"), named = BYTES("q");
    struct inspection *i = inspection_create(INSPECT_TRACE, &vhost, &named);
    i->cursor = id;
    i->user = str_copy(bytes_of_string(user));
    return asker_inspect(w, i);
}

TEST(who_may_read_no_more_reads_no_more)
{
    struct world w;
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    table_put_string(&p, BYTES("configure"), BYTES(""));
    table_put_string(&p, BYTES("write"), BYTES(""));
    table_put_string(&p, BYTES("read"), BYTES("q"));
    struct spec eve = {.name = BYTES("eve")};
    asker_alter(&w, CHANGE_PUT, DEFINE_USER, &eve);
    eve.arguments = pen_written(&p);
    asker_alter(&w, CHANGE_PUT, DEFINE_PERMISSION, &eve);
    struct inspection *i = call_as(&w, "eve", 0);
    assert_non_null(i);
    uint64_t id = i->cursor;
    inspection_destroy(i);
    i = call_as(&w, "eve", id);
    assert_non_null(i);
    inspection_destroy(i);
    world_publish(&w, "", "q", "a secret");
    asker_alter(&w, CHANGE_REMOVE, DEFINE_PERMISSION, &eve);
    assert_null(call_as(&w, "eve", id));
    assert_null(call(&w, "q", false, id, false)); /* it has ended */
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queues_messages_are_told_from_coming_to_going),
        cmocka_unit_test(a_row_says_who_and_what),
        cmocka_unit_test(deaths_letters_and_refusals_are_told),
        cmocka_unit_test(an_exchange_tells_what_came_by_it_and_what_becomes_of_that),
        cmocka_unit_test(what_is_handed_over_is_told),
        cmocka_unit_test(a_purge_and_a_deletion_are_told),
        cmocka_unit_test(who_does_not_read_misses_what_finds_no_room),
        cmocka_unit_test(a_trace_ends_when_it_is_told_to_or_nobody_reads),
        cmocka_unit_test(there_are_only_so_many),
        cmocka_unit_test(who_may_read_no_more_reads_no_more),
    };
    return unit_main("observer", tests, argc, argv);
}
