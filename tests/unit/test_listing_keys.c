#include "broker/admin/listing_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/pattern.h"
#include "codec/table.h"
#include "tests/unit/unit.h"

enum { ROOM = 1024, INTERVAL_MS = 5000 };

static void add(struct inspection *i, const char *name, int64_t messages, int64_t id, int64_t count)
{
    struct pen p = pen_over(inspection_open_row(i, ROOM), ROOM);
    table_put_string(&p, BYTES("name"), bytes_of_string(name));
    table_put_i64(&p, BYTES("messages"), messages);
    table_put_i64(&p, BYTES("count"), count);
    if (id != 0)
        table_put_i64(&p, BYTES("id"), id);
    inspection_close_row(i, pen_written(&p).len);
}

/* The names that are asked for, from one on: "a/x b/y". */
static void assert_page(struct listing_keys *k, size_t from, size_t n, const char *wanted)
{
    char shown[ROOM] = "";
    struct inspection *page = listing_keys_page(k, from, n);
    assert_int_equal(page->what, INSPECT_QUEUES);
    for (struct cursor c = cursor_over(page->names); cursor_left(&c) > 0;) {
        struct bytes vhost = cursor_take(&c, cursor_u16(&c));
        struct bytes name = cursor_take(&c, cursor_u16(&c));
        size_t len = strlen(shown);
        snprintf(shown + len, sizeof shown - len, "%s%.*s/%.*s", len > 0 ? " " : "", BYTES_ARG(vhost), BYTES_ARG(name));
    }
    assert_string_equal(shown, wanted);
    inspection_destroy(page);
}

/* Virtual host b before a, and their queues in no order. */
static struct listing_keys *filled(const char *sort, bool is_reversed, const char *filter, struct pattern *pattern,
                                   const struct rates *rates)
{
    struct listing_keys *k = listing_keys_create(sort, is_reversed, rates);
    assert_non_null(k);
    struct inspection *page = inspection_create(INSPECT_QUEUES, NULL, NULL);
    listing_keys_enter(k, BYTES("b"));
    add(page, "two", 5, 2, 20);
    add(page, "One", 5, 1, 30);
    assert_true(listing_keys_take(k, page, filter, pattern, INTERVAL_MS));
    inspection_clear(page);
    listing_keys_enter(k, BYTES("a"));
    add(page, "two", 1, 3, 10);
    add(page, "three", 9, 0, 0);
    assert_true(listing_keys_take(k, page, filter, pattern, INTERVAL_MS));
    inspection_destroy(page);
    return k;
}

static void assert_order(const char *sort, bool is_reversed, const char *wanted)
{
    struct listing_keys *k = filled(sort, is_reversed, NULL, NULL, NULL);
    assert_int_equal(listing_keys_count(k), 4);
    assert_page(k, 0, 10, wanted);
    listing_keys_destroy(k);
}

TEST(without_a_path_it_is_by_virtual_host_and_name)
{
    assert_order(NULL, false, "a/three a/two b/One b/two");
    assert_order(NULL, true, "b/two b/One a/two a/three");
    assert_order("vhost", false, "a/three a/two b/One b/two");
}

TEST(by_name_the_virtual_host_decides_between_equals)
{
    assert_order("name", false, "b/One a/three a/two b/two");
    assert_order("name", true, "b/two a/two a/three b/One");
}

TEST(numbers_are_sorted_as_numbers_and_equals_by_name)
{
    assert_order("messages", false, "a/two b/One b/two a/three");
    assert_order("messages", true, "a/three b/two b/One a/two");
    assert_order("message_stats.publish", true, "b/One b/two a/two a/three");
    /* Nothing is known of consumers: all are equal. */
    assert_order("consumers", false, "a/three a/two b/One b/two");
}

TEST(counters_of_a_path_are_asked_for)
{
    struct listing_keys *k = listing_keys_create("message_stats.deliver_get", false, NULL);
    assert_int_equal(listing_keys_counters(k),
                     1U << COUNT_DELIVER | 1U << COUNT_DELIVER_NO_ACK | 1U << COUNT_GET | 1U << COUNT_GET_NO_ACK);
    listing_keys_destroy(k);
    k = listing_keys_create("message_stats.ack", false, NULL);
    assert_int_equal(listing_keys_counters(k), 1U << COUNT_ACK);
    listing_keys_destroy(k);
    k = listing_keys_create("messages", false, NULL);
    assert_int_equal(listing_keys_counters(k), 0);
    listing_keys_destroy(k);
}

TEST(what_only_whole_rows_tell_is_not_for_keys)
{
    static const char *const paths[] = {"arguments.x-max-length", "owner_pid_details.name", "message_stats.nothing",
                                        "consumers_details.rate", "message_stats",          "state",
                                        "_details.rate"};
    for (unsigned i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_null(listing_keys_create(paths[i], false, NULL));
}

TEST(a_rate_is_that_of_the_samples)
{
    struct rates *r = rates_create(INTERVAL_MS, 0);
    struct samples *s = samples_create();
    for (uint64_t round = 0; round < 2; round++) {
        rates_begin(r, round * INTERVAL_MS);
        s->n = 2;
        s->is_all = true;
        s->now_ms = round * INTERVAL_MS;
        s->at[0] = (struct sample){.kind = SAMPLE_QUEUE, .id = 1, .counts = {[COUNT_PUBLISH] = 100 * round}};
        s->at[1] = (struct sample){.kind = SAMPLE_QUEUE, .id = 3, .counts = {[COUNT_PUBLISH] = 900 * round}};
        rates_take_samples(r, s);
        rates_end(r);
    }
    struct listing_keys *k = filled("message_stats.publish_details.rate", true, NULL, NULL, r);
    assert_page(k, 0, 2, "a/two b/One");
    listing_keys_destroy(k);
    samples_destroy(s);
    rates_destroy(r);
}

TEST(a_filter_looks_anywhere_in_the_name_whatever_the_case)
{
    struct listing_keys *k = filled(NULL, false, "oN", NULL, NULL);
    assert_int_equal(listing_keys_total(k), 4);
    assert_page(k, 0, 10, "b/One");
    listing_keys_destroy(k);
}

TEST(a_pattern_is_a_pattern)
{
    char *error = NULL;
    struct pattern *p = pattern_create(BYTES("^t.*e$"), &error);
    struct listing_keys *k = filled(NULL, false, "^t.*e$", p, NULL);
    assert_page(k, 0, 10, "a/three");
    listing_keys_destroy(k);
    pattern_destroy(p);
}

TEST(a_pattern_that_takes_too_long_is_given_up)
{
    enum { QUEUES = 10 * LISTING_KEYS_FAILURES_MAX };
    char *error = NULL;
    struct pattern *p = pattern_create(BYTES("^(a+)+$"), &error);
    struct listing_keys *k = listing_keys_create(NULL, false, NULL);
    struct inspection *page = inspection_create(INSPECT_QUEUES, NULL, NULL);
    listing_keys_enter(k, BYTES("/"));
    for (unsigned i = 0; i < QUEUES; i++) {
        char name[ROOM];
        snprintf(name, sizeof name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%u", i);
        add(page, name, 0, 0, 0);
    }
    assert_false(listing_keys_take(k, page, "", p, 0));
    assert_true(listing_keys_total(k) < QUEUES);
    inspection_destroy(page);
    listing_keys_destroy(k);
    pattern_destroy(p);
}

TEST(a_page_is_the_part_that_was_asked_for)
{
    struct listing_keys *k = filled(NULL, false, NULL, NULL, NULL);
    assert_page(k, 1, 2, "a/two b/One");
    listing_keys_destroy(k);
    k = filled(NULL, false, NULL, NULL, NULL);
    assert_page(k, 3, 2, "b/two");
    listing_keys_destroy(k);
    k = filled(NULL, false, "nothing", NULL, NULL);
    assert_page(k, 0, 2, "");
    listing_keys_destroy(k);
}

TEST(a_queue_that_is_seen_twice_counts_once)
{
    enum { QUEUES = 5000 }; /* more than what is remembered at first */
    struct listing_keys *k = listing_keys_create(NULL, false, NULL);
    listing_keys_enter(k, BYTES("/"));
    for (unsigned round = 0; round < 2; round++) {
        struct inspection *page = inspection_create(INSPECT_QUEUES, NULL, NULL);
        for (unsigned i = 0; i < QUEUES; i++) {
            char name[ROOM];
            snprintf(name, sizeof name, "q%u", i);
            add(page, name, 0, 0, 0);
        }
        assert_true(listing_keys_take(k, page, NULL, NULL, 0));
        inspection_destroy(page);
    }
    assert_int_equal(listing_keys_total(k), QUEUES);
    assert_int_equal(listing_keys_count(k), QUEUES);
    listing_keys_destroy(k);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_path_it_is_by_virtual_host_and_name),
        cmocka_unit_test(by_name_the_virtual_host_decides_between_equals),
        cmocka_unit_test(numbers_are_sorted_as_numbers_and_equals_by_name),
        cmocka_unit_test(counters_of_a_path_are_asked_for),
        cmocka_unit_test(what_only_whole_rows_tell_is_not_for_keys),
        cmocka_unit_test(a_rate_is_that_of_the_samples),
        cmocka_unit_test(a_filter_looks_anywhere_in_the_name_whatever_the_case),
        cmocka_unit_test(a_pattern_is_a_pattern),
        cmocka_unit_test(a_pattern_that_takes_too_long_is_given_up),
        cmocka_unit_test(a_page_is_the_part_that_was_asked_for),
        cmocka_unit_test(a_queue_that_is_seen_twice_counts_once),
    };
    return unit_main("listing_keys", tests, argc, argv);
}
