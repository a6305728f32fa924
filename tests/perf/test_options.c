/* What a command line comes to. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/perf/options.h"

enum { WORDS_MAX = 80, LINE_MAX_LENGTH = 1024 };

static struct perf_options o;
static char line[LINE_MAX_LENGTH]; /* what o points into */

/* Reads a line of words that spaces part. */
static int read_line(const char *text)
{
    static char program[] = "millrace-perf";
    char *argv[WORDS_MAX + 2] = {program}, *rest = NULL;
    int argc = 1;
    snprintf(line, sizeof line, "%s", text);
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    perf_options_fini(&o);
    return perf_options_read(&o, argc, argv);
}

/* What is refused is refused aloud; that is none of the test's output. */
static int dup_stderr(void)
{
    int before = dup(STDERR_FILENO);
    assert_non_null(freopen("/dev/null", "w", stderr));
    return before;
}

static void undup_stderr(int before)
{
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
}

static void assert_taken(const char *text)
{
    if (read_line(text) != PERF_OPTIONS_OK)
        fail_msg("'%s' was refused", text);
}

TEST(nothing_but_defaults_is_a_run)
{
    assert_taken("");
    assert_string_equal(o.uri.host, "127.0.0.1");
    assert_int_equal(o.uri.port, 5672);
    assert_int_equal(o.producers, 1);
    assert_int_equal(o.consumers, 1);
    assert_int_equal(o.queues, 1);
    assert_int_equal(o.threads, 2);
    assert_int_equal(o.seconds, 10);
    assert_int_equal(o.warm_up, 1);
    assert_int_equal(o.size, 16);
    assert_int_equal(o.backlog, PERF_BACKLOG);
    assert_int_equal(o.cpu_server, -1);
    assert_int_equal(o.cpu_client, -1);
    assert_string_equal(o.exchange, "");
    assert_null(o.queue);
    assert_false(o.is_durable);
}

TEST(every_letter_is_what_rabbitmq_perf_test_has)
{
    assert_taken(
        "-h amqps://u:p@h:1/v -x 2 -y 3 -u q -s 100 -c 50 -A 10 -q 20 -f persistent -f mandatory -e x -t topic "
        "-k a.b -r 1000 -z 7 -C 5 -D 6 -p");
    assert_true(o.uri.is_tls);
    assert_string_equal(o.uri.user, "u");
    assert_int_equal(o.producers, 2);
    assert_int_equal(o.consumers, 3);
    assert_string_equal(o.queue, "q");
    assert_int_equal(o.size, 100);
    assert_int_equal(o.window, 50);
    assert_int_equal(o.acks, 10);
    assert_int_equal(o.prefetch, 20);
    assert_true(o.is_persistent && o.is_mandatory && o.is_durable && o.is_predeclared);
    assert_string_equal(o.exchange, "x");
    assert_string_equal(o.exchange_type, "topic");
    assert_string_equal(o.routing_key, "a.b");
    assert_int_equal(o.rate, 1000);
    assert_int_equal(o.seconds, 7);
    assert_int_equal(o.producer_messages, 5);
    assert_int_equal(o.consumer_messages, 6);
}

TEST(long_names_take_values_in_both_forms)
{
    assert_taken("--queues=4 --queue-type quorum --label=a --json - --svg f --progress --quiet --start p --set a=b "
                 "--set c=d --cpu-server 0 --cpu-client 1 --spin --cacert a --cert b --key c --tls-version=1.2");
    assert_int_equal(o.queues, 4);
    assert_int_equal(o.producers, 4);
    assert_int_equal(o.consumers, 4);
    assert_string_equal(o.queue_type, "quorum");
    assert_true(o.is_durable);
    assert_string_equal(o.label, "a");
    assert_string_equal(o.json_file, "-");
    assert_string_equal(o.svg_file, "f");
    assert_true(o.has_progress && o.is_quiet && o.is_spinning);
    assert_int_equal(o.settings_count, 2);
    assert_string_equal(o.settings[0], "a=b");
    assert_string_equal(o.settings[1], "c=d");
    assert_null(o.settings[2]);
    assert_int_equal(o.threads, 1); /* on one processor */
    assert_string_equal(o.ca_file, "a");
    assert_string_equal(o.tls_version, "1.2");
}

TEST(one_producer_feeds_a_fanout)
{
    assert_taken("--fanout 10");
    assert_true(o.is_fanout);
    assert_int_equal(o.queues, 10);
    assert_int_equal(o.producers, 1);
    assert_int_equal(o.consumers, 10);
    assert_string_equal(o.exchange_type, "fanout");
    assert_null(o.exchange); /* one of its own */
}

TEST(bindings_make_a_topic_exchange)
{
    assert_taken("--bindings 1000000");
    assert_string_equal(o.exchange_type, "topic");
    assert_null(o.exchange);
    assert_int_equal(o.bindings, 1000000);
}

TEST(a_key_alone_makes_a_direct_exchange)
{
    assert_taken("-k key");
    assert_string_equal(o.exchange_type, "direct");
    assert_null(o.exchange);
}

TEST(a_number_of_messages_replaces_the_time)
{
    assert_taken("-C 10");
    assert_int_equal(o.seconds, 0);
    assert_int_equal(o.warm_up, 0);
    assert_taken("-C 10 -z 3 --warm-up 2");
    assert_int_equal(o.seconds, 3);
    assert_int_equal(o.warm_up, 2);
}

TEST(the_backlog_is_bounded_in_bytes_too)
{
    assert_taken("-s 1048576");
    assert_int_equal(o.backlog, PERF_BACKLOG_BYTES / (1048576 + 1) + 1);
    assert_taken("-s 1048576 --backlog 5");
    assert_int_equal(o.backlog, 5);
    assert_taken("-y 0"); /* nobody would ever make room */
    assert_int_equal(o.backlog, 0);
}

TEST(acknowledgements_never_wait_for_more_than_the_prefetch)
{
    assert_taken("-A 100 -q 10");
    assert_int_equal(o.acks, 10);
}

TEST(churn_and_idle_are_named)
{
    assert_taken("--churn connections-tls");
    assert_int_equal(o.churn, PERF_CHURN_CONNECTIONS_TLS);
    assert_string_equal(perf_churn_name(o.churn), "connections-tls");
    assert_taken("--idle queues:1000");
    assert_int_equal(o.idle, PERF_IDLE_QUEUES);
    assert_int_equal(o.idle_count, 1000);
    assert_taken("--idle connections 5");
    assert_int_equal(o.idle, PERF_IDLE_CONNECTIONS);
    assert_int_equal(o.idle_count, 5);
}

TEST(what_cannot_be_is_refused)
{
    static const char *const wrong[] = {
        "word",
        "--nothing",
        "-x",
        "-x -1",
        "-x 1x",
        "-x 20001",
        "-x 0 -y 0",
        "-s 134217729",
        "-s 99999999999999999999",
        "--queues 0",
        "--threads 3",
        "-t headers",
        "-t fanout -e ",
        "--fanout 3 -t topic",
        "--bindings 5 -t direct",
        "-f transient",
        "--set a=b",
        "--start p --pid 1",
        "--cpu-server 1",
        "--latency -s 15",
        "--confirm-latency",
        "-D 5 -y 0",
        "--churn messages",
        "--idle queues",
        "--idle queues:0",
        "--idle messages:5",
        "--idle queues:5 --churn queues",
        "--tls-version 1.1",
        "--cert a",
        "-h http://x",
    };
    int before = dup_stderr();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (read_line(wrong[i]) != PERF_OPTIONS_WRONG) {
            undup_stderr(before);
            fail_msg("'%s' was taken", wrong[i]);
        }
    undup_stderr(before);
}

TEST(too_many_settings_are_refused)
{
    char text[LINE_MAX_LENGTH] = "--start p";
    for (unsigned i = 0; i < PERF_SETTINGS_MAX; i++)
        strcat(text, " --set a=b");
    assert_taken(text);
    strcat(text, " --set a=b");
    int before = dup_stderr();
    int verdict = read_line(text);
    undup_stderr(before);
    assert_int_equal(verdict, PERF_OPTIONS_WRONG);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_defaults_is_a_run),
        cmocka_unit_test(every_letter_is_what_rabbitmq_perf_test_has),
        cmocka_unit_test(long_names_take_values_in_both_forms),
        cmocka_unit_test(one_producer_feeds_a_fanout),
        cmocka_unit_test(bindings_make_a_topic_exchange),
        cmocka_unit_test(a_key_alone_makes_a_direct_exchange),
        cmocka_unit_test(a_number_of_messages_replaces_the_time),
        cmocka_unit_test(the_backlog_is_bounded_in_bytes_too),
        cmocka_unit_test(acknowledgements_never_wait_for_more_than_the_prefetch),
        cmocka_unit_test(churn_and_idle_are_named),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(too_many_settings_are_refused),
    };
    int verdict = unit_main("options", tests, argc, argv);
    perf_options_fini(&o);
    return verdict;
}
