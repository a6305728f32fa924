/* Pages of INSPECT that are found by keys, and those that are longer than one step should take. */
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <string.h>

#include "broker/port/event.h"
#include "broker/port/inspection.h"
#include "broker/port/sample.h"
#include "codec/table.h"

enum { NAME_ROOM = 32 };

/* Asks, and takes the answer, which may be asked again. */
static struct inspection *ask(struct world *w, struct inspection *i)
{
    world_forget(w);
    world_do(w, (struct command){.verb = INSPECT, .inspection = i}, DESK_GENERATION, 0);
    struct event *e = world_next(w);
    assert_int_equal(e->what, DONE);
    i = e->done.inspection;
    e->done.inspection = NULL;
    return i;
}

static struct inspection *of_vhost(enum inspection_kind what, const char *name)
{
    struct bytes vhost = BYTES("/"), named = bytes_of_string(name != NULL ? name : "");
    return inspection_create(what, &vhost, name != NULL ? &named : NULL);
}

static int64_t number_in(struct bytes row, const char *key)
{
    struct field f;
    return table_find(row, bytes_of_string(key), &f) ? f.integer : -1;
}

static void world_with_queues(struct world *w, unsigned n)
{
    world_init(w);
    world_attach(w, 1);
    for (unsigned i = 0; i < n; i++) {
        char name[NAME_ROOM];
        snprintf(name, sizeof name, "q%u", i);
        world_queue(w, 1, name, NULL);
    }
}

TEST(brief_rows_have_the_numbers_and_no_more)
{
    struct world w;
    world_with_queues(&w, 2);
    world_publish(&w, "", "q1", "one");
    world_publish(&w, "", "q1", "two");
    struct inspection *i = of_vhost(INSPECT_QUEUES, "q1");
    i->is_brief = true;
    i->counters = 1U << COUNT_PUBLISH;
    i = ask(&w, i);
    struct bytes row;
    size_t at = 0;
    assert_true(inspection_next(i, &at, &row));
    assert_int_equal(number_in(row, "messages"), 2);
    assert_int_equal(number_in(row, "messages_ready"), 2);
    assert_int_equal(number_in(row, "messages_unacknowledged"), 0);
    assert_int_equal(number_in(row, "consumers"), 0);
    assert_int_equal(number_in(row, "count"), 2);
    assert_true(number_in(row, "id") > 0);
    assert_int_equal(number_in(row, "durable"), -1);
    assert_false(inspection_next(i, &at, &row));
    inspection_destroy(i);
    world_fini(&w);
}

TEST(brief_pages_are_longer_and_have_every_queue)
{
    enum { QUEUES = 3 * INSPECTION_BRIEF_ROWS_MAX };
    struct world w;
    world_with_queues(&w, QUEUES);
    struct inspection *i = of_vhost(INSPECT_QUEUES, NULL);
    i->is_brief = true;
    unsigned seen = 0, pages = 0;
    do {
        inspection_clear(i);
        i = ask(&w, i);
        seen += (unsigned)i->n;
        assert_true(i->n < INSPECTION_BRIEF_ROWS_MAX + INSPECTION_ROWS_MAX);
        pages++;
    } while (i->cursor != 0);
    assert_int_equal(seen, QUEUES);
    assert_true(pages <= 5);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(named_queues_come_in_the_order_of_the_names)
{
    const struct bytes pairs[][2] = {{BYTES("/"), BYTES("q2")},
                                     {BYTES("/"), BYTES("gone")},
                                     {BYTES("nowhere"), BYTES("q1")},
                                     {BYTES("/"), BYTES("q0")}};
    struct world w;
    world_with_queues(&w, 3);
    struct inspection *i = ask(&w, inspection_create_named(pairs, sizeof pairs / sizeof pairs[0]));
    struct bytes row;
    size_t at = 0;
    assert_int_equal(i->n, 2);
    assert_true(inspection_next(i, &at, &row));
    assert_true(bytes_equal(table_find_string(row, "name"), BYTES("q2")));
    assert_true(inspection_next(i, &at, &row));
    assert_true(bytes_equal(table_find_string(row, "name"), BYTES("q0")));
    assert_true(bytes_equal(table_find_string(row, "vhost"), BYTES("/")));
    assert_int_equal(i->cursor, 0);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(many_names_take_more_than_a_page)
{
    enum { QUEUES = INSPECTION_ROWS_MAX + 10 };
    static char names[QUEUES][NAME_ROOM];
    static struct bytes pairs[QUEUES][2];
    struct world w;
    world_with_queues(&w, QUEUES);
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(names[i], sizeof names[i], "q%u", i);
        pairs[i][0] = BYTES("/");
        pairs[i][1] = bytes_of_string(names[i]);
    }
    struct inspection *i = ask(&w, inspection_create_named((const struct bytes(*)[2])pairs, QUEUES));
    assert_int_equal(i->n, INSPECTION_ROWS_MAX);
    assert_int_not_equal(i->cursor, 0);
    inspection_clear(i);
    i = ask(&w, i);
    assert_int_equal(i->n, 10);
    assert_int_equal(i->cursor, 0);
    inspection_destroy(i);
    world_fini(&w);
}

/* Each of the consumers' numbers, once. */
static void assert_all_consumers(struct world *w, struct inspection *i, unsigned wanted)
{
    unsigned seen = 0, pages = 0;
    do {
        inspection_clear(i);
        i = ask(w, i);
        assert_true(i->n <= INSPECTION_ROWS_MAX);
        seen += (unsigned)i->n;
        pages++;
        assert_true(pages < 10);
    } while (i->cursor != 0);
    assert_int_equal(seen, wanted);
    assert_true(pages >= wanted / INSPECTION_ROWS_MAX);
    inspection_destroy(i);
}

TEST(a_queue_with_more_consumers_than_a_page_is_told_in_pages)
{
    enum { CONSUMERS = 3 * INSPECTION_ROWS_MAX + 7 };
    struct world w;
    world_with_queues(&w, 20);
    for (unsigned i = 0; i < CONSUMERS; i++)
        world_consume(&w, 1, "q7", i, 1, false);
    for (unsigned i = 0; i < 20; i++) {
        char name[NAME_ROOM];
        snprintf(name, sizeof name, "q%u", i);
        world_consume(&w, 1, name, CONSUMERS + i, 1, false);
    }
    assert_all_consumers(&w, of_vhost(INSPECT_CONSUMERS, "q7"), CONSUMERS + 1);
    assert_all_consumers(&w, of_vhost(INSPECT_CONSUMERS, NULL), CONSUMERS + 20);
    world_fini(&w);
}

TEST(what_is_out_has_its_bytes)
{
    struct world w;
    struct bytes row;
    size_t at = 0;
    world_with_queues(&w, 1);
    world_consume(&w, 1, "q0", 0, 2, false);
    world_publish(&w, "", "q0", "four");
    world_publish(&w, "", "q0", "three");
    world_publish(&w, "", "q0", "x");
    struct inspection *i = ask(&w, of_vhost(INSPECT_QUEUES, "q0"));
    assert_true(inspection_next(i, &at, &row));
    assert_int_equal(number_in(row, "message_bytes_unacknowledged"), 9);
    assert_int_equal(number_in(row, "message_bytes_ready"), 1);
    assert_int_equal(number_in(row, "messages_ram"), 3);
    assert_int_equal(number_in(row, "message_bytes_ram"), 10);
    assert_int_equal(number_in(row, "messages_paged_out"), 0);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(a_connection_with_more_channels_than_a_page_is_told_in_pages)
{
    enum { CHANNELS = 2 * INSPECTION_ROWS_MAX + 9 };
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    for (unsigned client = 0; client < 2; client++)
        for (unsigned i = 0; i < CHANNELS; i++)
            world_do(&w, (struct command){.verb = OPEN}, client, i);
    unsigned seen = 0;
    struct inspection *i = inspection_create(INSPECT_CHANNELS, NULL, NULL);
    do {
        inspection_clear(i);
        i = ask(&w, i);
        assert_true(i->n <= INSPECTION_ROWS_MAX);
        seen += (unsigned)i->n;
    } while (i->cursor != 0);
    assert_in_range(seen, 2 * CHANNELS, 2 * CHANNELS + 2);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(a_page_of_large_rows_ends_early)
{
    enum { QUEUES = 60, LARGE = 100000 };
    static uint8_t room[LARGE + 64], text[LARGE];
    struct world w;
    struct pen p = pen_over(room, sizeof room);
    memset(text, 'x', sizeof text);
    table_put_string(&p, BYTES("x-note"), bytes_of(text, sizeof text));
    world_with_queues(&w, 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        char name[NAME_ROOM];
        snprintf(name, sizeof name, "q%u", i);
        struct spec s = {.name = BYTES("q"), .key = bytes_of_string(name), .source = BYTES("amq.headers")};
        s.arguments = pen_written(&p);
        if (i == 0)
            world_queue(&w, 1, "q", NULL);
        world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&s)}, 1, 0);
    }
    unsigned seen = 0;
    struct inspection *i = of_vhost(INSPECT_BINDINGS, NULL);
    do {
        inspection_clear(i);
        i = ask(&w, i);
        assert_true(i->size < 2 * INSPECTION_BYTES_MAX);
        seen += (unsigned)i->n;
    } while (i->cursor != 0);
    assert_int_equal(seen, QUEUES);
    inspection_destroy(i);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brief_rows_have_the_numbers_and_no_more),
        cmocka_unit_test(brief_pages_are_longer_and_have_every_queue),
        cmocka_unit_test(named_queues_come_in_the_order_of_the_names),
        cmocka_unit_test(many_names_take_more_than_a_page),
        cmocka_unit_test(a_queue_with_more_consumers_than_a_page_is_told_in_pages),
        cmocka_unit_test(what_is_out_has_its_bytes),
        cmocka_unit_test(a_connection_with_more_channels_than_a_page_is_told_in_pages),
        cmocka_unit_test(a_page_of_large_rows_ends_early),
    };
    return unit_main("model/inspect", tests, argc, argv);
}
