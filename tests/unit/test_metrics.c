#include "broker/admin/metrics.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/admin/json.h"
#include "broker/admin/metrics_rows.h"
#include "broker/admin/metrics_text.h"
#include "codec/table.h"
#include "tests/unit/unit.h"

enum { ROOM = 4096 };

/* The buffer's text, which the caller frees; the buffer is gone. */
static char *text_of(struct evbuffer *b)
{
    size_t len = evbuffer_get_length(b);
    char *text = alloc(len + 1);
    evbuffer_remove(b, text, len);
    text[len] = '\0';
    evbuffer_free(b);
    return text;
}

static size_t metric_named(const char *name)
{
    for (size_t i = 0; i < metrics_count; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return i;
    fail_msg("no metric %s", name);
    return 0;
}

static char *printed(const char *name, const json_t *facts)
{
    struct evbuffer *to = evbuffer_new();
    metrics_text_print(to, &metrics[metric_named(name)], facts, false);
    return text_of(to);
}

static void assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no %s in:\n%s", line, text);
}

TEST(names_are_there_once_and_are_names)
{
    for (size_t i = 0; i < metrics_count; i++) {
        const char *name = metrics[i].name;
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
        assert_true(strlen(name) + sizeof "detailed__bucket" < METRICS_NAME_MAX);
        assert_int_equal(metric_named(name), i);
        assert_true(metrics[i].help[0] != '\0' && strpbrk(metrics[i].help, "\\\n") == NULL);
    }
}

/* Prometheus' own check says so; and what grows without being a counter would not be asked for its rate. */
TEST(counters_alone_end_in_total)
{
    for (size_t i = 0; i < metrics_count; i++) {
        const char *name = metrics[i].name;
        size_t len = strlen(name);
        bool is_total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        assert_int_equal(is_total, strcmp(metrics[i].type, "counter") == 0);
    }
}

TEST(what_an_empty_broker_says_is_zeros_for_every_type)
{
    json_t *facts = json_object();
    char *text = printed("rabbitmq_global_messages_delivered_total", facts);
    static const char *const types[] = {"classic", "quorum", "stream"};
    for (unsigned i = 0; i < 3; i++) {
        char line[ROOM];
        snprintf(line, sizeof line,
                 "\nrabbitmq_global_messages_delivered_total{protocol=\"amqp091\",queue_type=\"rabbit_%s_queue\"} 0\n",
                 types[i]);
        assert_has(text, line);
    }
    free(text);
    text = printed("rabbitmq_global_messages_dead_lettered_expired_total", facts);
    assert_has(text, "{queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"at_most_once\"} 0\n");
    assert_has(text, "{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"} 0\n");
    assert_has(text, "{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"disabled\"} 0\n");
    free(text);
    json_decref(facts);
}

TEST(what_was_delivered_is_all_four_ways_together)
{
    json_t *facts = json_pack("{s:{s:i,s:i,s:i,s:i,s:i}}", "quorum", "deliver", 1, "deliver_no_ack", 10, "get", 100,
                              "get_no_ack", 1000, "redeliver", 7);
    char *text = printed("rabbitmq_global_messages_delivered_total", facts);
    assert_has(text, "queue_type=\"rabbit_quorum_queue\"} 1111\n");
    assert_has(text, "queue_type=\"rabbit_classic_queue\"} 0\n");
    free(text);
    json_decref(facts);
}

TEST(dead_letters_that_wait_for_arrival_are_not_at_most_once)
{
    json_t *facts = json_pack("{s:{s:i,s:i,s:i,s:i}}", "quorum", "dead_lettered_rejected", 10,
                              "dead_lettered_at_least_once_rejected", 3, "dead_lettered_disabled_rejected", 2,
                              "dead_lettered_confirmed", 5);
    char *text = printed("rabbitmq_global_messages_dead_lettered_rejected_total", facts);
    assert_has(text, "dead_letter_strategy=\"at_least_once\"} 3\n");
    assert_has(text, "{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_most_once\"} 7\n");
    assert_has(text, "{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"disabled\"} 2\n");
    free(text);
    text = printed("rabbitmq_global_messages_dead_lettered_confirmed_total", facts);
    assert_has(text, "{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"} 5\n");
    free(text);
    json_decref(facts);
}

/* The dashboard compares the text of `le`. */
TEST(sizes_have_the_limits_that_dashboards_compare_and_add_up)
{
    static const char *const limits[] = {"100.0", "1000.0", "10000.0", "100000.0", "1e+06",
                                         "1e+07", "5e+07",  "1e+08",   "+Inf"};
    json_t *facts =
        json_pack("{s:[iiiiiiiii],s:i}", "message_sizes", 1, 1, 1, 1, 1, 1, 1, 1, 1, "message_bytes", 12345);
    char *text = printed("rabbitmq_message_size_bytes", facts);
    for (unsigned i = 0; i < 9; i++) {
        char line[ROOM];
        snprintf(line, sizeof line, "\nrabbitmq_message_size_bytes_bucket{protocol=\"amqp091\",le=\"%s\"} %u\n",
                 limits[i], i + 1);
        assert_has(text, line);
    }
    assert_has(text, "\nrabbitmq_message_size_bytes_sum{protocol=\"amqp091\"} 12345\n");
    assert_has(text, "\nrabbitmq_message_size_bytes_count{protocol=\"amqp091\"} 9\n");
    free(text);
    json_decref(facts);
}

TEST(a_histogram_of_microseconds_is_told_in_seconds)
{
    json_t *facts = json_object(), *sync = json_array();
    for (int i = 0; i < 32; i++)
        json_add(sync, json_integer(i == 11 ? 4 : i == 31 ? 1 : 0)); /* 1024 to 2047 us, and for ages */
    json_add(sync, json_integer(6000000));
    json_set(facts, "sync", sync);
    char *text = printed("millrace_journal_sync_seconds", facts);
    assert_has(text, "_bucket{le=\"0.001024\"} 0\n");
    assert_has(text, "_bucket{le=\"0.002048\"} 4\n");
    assert_has(text, "_bucket{le=\"33.554432\"} 4\n");
    assert_has(text, "_bucket{le=\"+Inf\"} 5\n");
    assert_has(text, "_sum 6\n");
    assert_has(text, "_count 5\n");
    free(text);
    json_decref(facts);
}

static void assert_escaped(struct bytes name, const char *shown)
{
    char text[ROOM];
    assert_true(name.len * METRICS_ESCAPE_MAX < sizeof text);
    char *end = metrics_text_escape(text, name);
    assert_string_equal(text, shown);
    assert_ptr_equal(end, text + strlen(text));
}

TEST(a_name_cannot_end_its_label)
{
    assert_escaped(BYTES("a\"} 1\nb\\"), "a\\\"} 1\\nb\\\\");
    assert_escaped(BYTES("caf\xc3\xa9"), "caf\xc3\xa9");
    assert_escaped(BYTES("\xff\x01\x7f\xc3"), "\\\\xff\\\\x01\\\\x7f\\\\xc3");
    assert_escaped(bytes_of("\0", 1), "\\\\x00");
    assert_escaped(BYTES(""), "");
}

TEST(detailed_names_have_their_word_behind_the_first)
{
    char name[METRICS_NAME_MAX];
    metrics_text_name(name, "rabbitmq_queue_messages", true);
    assert_string_equal(name, "rabbitmq_detailed_queue_messages");
    metrics_text_name(name, "rabbitmq_cluster_vhost_status", true);
    assert_string_equal(name, "rabbitmq_cluster_vhost_status");
    metrics_text_name(name, "process_open_fds", true);
    assert_string_equal(name, "process_open_fds");
    metrics_text_name(name, "rabbitmq_queue_messages", false);
    assert_string_equal(name, "rabbitmq_queue_messages");
}

/* ---- Objects. */

static void take(struct metrics_rows *rows, const char *vhost, const char *name, int64_t ready, int64_t published)
{
    uint8_t room[ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("name"), bytes_of_string(name));
    table_put_string(&p, BYTES("vhost"), bytes_of_string(vhost));
    table_put_i64(&p, BYTES("messages_ready"), ready);
    uint8_t *mark = table_open(&p, BYTES("statistics"), 'F');
    table_put_i64(&p, BYTES("publish"), published);
    table_close(&p, mark);
    metrics_rows_take(rows, pen_written(&p));
}

static struct metrics_rows *rows_of(const char *const *names, size_t n)
{
    bool *wanted = alloc_zeroed(metrics_count * sizeof *wanted);
    for (size_t i = 0; i < n; i++)
        wanted[metric_named(names[i])] = true;
    struct metrics_rows *rows = metrics_rows_create(METRICS_QUEUES, wanted);
    free(wanted);
    return rows;
}

static char *rows_printed(const struct metrics_rows *rows, const char *name)
{
    struct evbuffer *to = evbuffer_new();
    metrics_rows_print(rows, metric_named(name), false, 0, to, SIZE_MAX);
    return text_of(to);
}

TEST(an_object_has_its_labels_and_its_counters)
{
    static const char *const names[] = {"rabbitmq_queue_messages_ready", "rabbitmq_queue_messages_published_total",
                                        "rabbitmq_queue_head_message_timestamp"};
    struct metrics_rows *rows = rows_of(names, 3);
    take(rows, "/", "b\"", 7, 70);
    take(rows, "/", "a", 3, 30);
    metrics_rows_sort(rows);
    char *text = rows_printed(rows, names[0]);
    assert_has(text, "\nrabbitmq_queue_messages_ready{vhost=\"/\",queue=\"a\"} 3\n"
                     "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"b\\\"\"} 7\n");
    free(text);
    text = rows_printed(rows, names[1]);
    assert_has(text, "\nrabbitmq_queue_messages_published_total{queue_vhost=\"/\",queue=\"a\"} 30\n");
    free(text);
    text = rows_printed(rows, names[2]); /* nobody knows */
    assert_has(text, "{vhost=\"/\",queue=\"a\"} NaN\n");
    free(text);
    metrics_rows_destroy(rows);
}

/* Prometheus takes two of the same for an error. */
TEST(an_object_that_was_seen_twice_is_told_once)
{
    static const char *const names[] = {"rabbitmq_queue_messages_ready"};
    struct metrics_rows *rows = rows_of(names, 1);
    take(rows, "/", "a", 1, 0);
    take(rows, "/", "b", 2, 0);
    take(rows, "/", "a", 3, 0);
    take(rows, "v", "a", 4, 0);
    metrics_rows_sort(rows);
    assert_int_equal(metrics_rows_count(rows), 3);
    metrics_rows_destroy(rows);
}

TEST(what_is_printed_in_pieces_is_the_same)
{
    enum { N = 1000, PIECE = 500 };
    static const char *const names[] = {"rabbitmq_queue_messages_ready"};
    struct metrics_rows *rows = rows_of(names, 1);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "q%d", i);
        take(rows, "/", name, i, 0);
    }
    metrics_rows_sort(rows);
    char *whole = rows_printed(rows, names[0]);
    struct evbuffer *all = evbuffer_new(), *piece = evbuffer_new();
    unsigned pieces = 0;
    for (size_t from = 0; from < metrics_rows_count(rows); pieces++) {
        from = metrics_rows_print(rows, metric_named(names[0]), false, from, piece, PIECE);
        assert_true(evbuffer_get_length(piece) < PIECE + 2 * METRICS_NAME_MAX);
        evbuffer_add_buffer(all, piece);
    }
    evbuffer_free(piece);
    char *pieced = text_of(all);
    assert_true(pieces > 10);
    assert_string_equal(pieced, whole);
    free(whole);
    free(pieced);
    metrics_rows_destroy(rows);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_there_once_and_are_names),
        cmocka_unit_test(counters_alone_end_in_total),
        cmocka_unit_test(what_an_empty_broker_says_is_zeros_for_every_type),
        cmocka_unit_test(what_was_delivered_is_all_four_ways_together),
        cmocka_unit_test(dead_letters_that_wait_for_arrival_are_not_at_most_once),
        cmocka_unit_test(sizes_have_the_limits_that_dashboards_compare_and_add_up),
        cmocka_unit_test(a_histogram_of_microseconds_is_told_in_seconds),
        cmocka_unit_test(a_name_cannot_end_its_label),
        cmocka_unit_test(detailed_names_have_their_word_behind_the_first),
        cmocka_unit_test(an_object_has_its_labels_and_its_counters),
        cmocka_unit_test(an_object_that_was_seen_twice_is_told_once),
        cmocka_unit_test(what_is_printed_in_pieces_is_the_same),
    };
    return unit_main("metrics", tests, argc, argv);
}
