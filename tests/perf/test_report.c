/* Reports: the arithmetic that all of them share, JSON that is JSON whatever a broker calls itself, a table and a
 * picture that nobody's name can break. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/perf/latency.h"
#include "broker/perf/options.h"
#include "broker/perf/progress.h"
#include "broker/perf/report.h"
#include "broker/perf/summary.h"
#include "broker/perf/text.h"

#define SECOND UINT64_C(1000000000)
#define NASTY "<script>\"a\" & 'b'\n\033[31m\xff\xc3\xb6\xef\xbf\xbf"

static const struct perf_machine machine = {.cpu = "A & B", .kernel = "Linux 6.1", .cores = 2, .memory = 1 << 30};

/* A run with a second of warm-up and four that were measured: 1,000 published and 900 consumed in each, and the server
 * works half of the time. */
struct world {
    struct perf_options options;
    struct perf_result result;
};

static void add_thread(struct perf_usage *u, const char *name, int id, uint64_t cpu_ns)
{
    struct perf_thread *t = &u->threads[u->threads_count++];
    *t = (struct perf_thread){.id = id, .cpu_ns = cpu_ns};
    strcpy(t->name, name);
}

static int set_up(void **state)
{
    struct world *w = *state = alloc_zeroed(sizeof *w);
    static char host[] = "127.0.0.1", user[] = "ann", password[] = "hunter2", vhost[] = "/";
    w->options = (struct perf_options){.uri = {false, 5672, user, password, host, vhost},
                                       .producers = 1,
                                       .consumers = 1,
                                       .queues = 1,
                                       .size = 100,
                                       .exchange = "",
                                       .label = "a run",
                                       .tls_version = "1.3",
                                       .cpu_server = -1,
                                       .cpu_client = 0};
    struct perf_result *r = &w->result;
    perf_result_init(r, &w->options);
    strcpy(r->product, "Broker");
    strcpy(r->version, "1.2.3");
    for (unsigned i = 0; i <= 5; i++)
        *perf_result_add_sample(r) = (struct perf_sample){.ns = i * SECOND,
                                                          .at = {.published = 1000 * i, .consumed = 900 * i},
                                                          .client_cpu_ns = i * SECOND / 4,
                                                          .server_cpu_ns = i * SECOND / 2,
                                                          .server_rss = 10 << 20};
    r->from = 1;
    r->has_server = true;
    r->server_from = (struct perf_usage){.cpu_ns = SECOND, .user_ns = SECOND / 2, .kernel_ns = SECOND / 2};
    r->server_to = (struct perf_usage){.cpu_ns = 3 * SECOND,
                                       .user_ns = SECOND,
                                       .kernel_ns = 2 * SECOND,
                                       .rss = 10 << 20,
                                       .rss_peak = 20 << 20,
                                       .written = 800000};
    add_thread(&r->server_from, "hub", 1, SECOND);
    add_thread(&r->server_to, "hub", 1, 2 * SECOND);
    add_thread(&r->server_to, "loop-1", 2, SECOND / 2);
    add_thread(&r->server_to, "loop-2", 3, SECOND / 2);
    r->latency = alloc_zeroed(sizeof *r->latency);
    for (unsigned i = 1; i <= 1000; i++)
        latency_add(r->latency, i * 1000);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    perf_result_fini(&w->result);
    free(w);
    return 0;
}

#define WORLD_TEST(name) static void name(void **state)

typedef void report_fn(FILE *to, const struct perf_result *r, const struct perf_machine *m);

static void tabulate(FILE *to, const struct perf_result *r, const struct perf_machine *m)
{
    (void)m;
    perf_report_table(to, r);
}

static char *write_report(report_fn *report, const struct perf_result *r)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    report(f, r, &machine);
    fclose(f);
    assert_int_equal(strlen(text), n);
    return text;
}

static json_t *read_json(const struct perf_result *r)
{
    json_error_t error;
    char *text = write_report(perf_report_json, r);
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (all == NULL)
        fail_msg("%d: %s", error.line, error.text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    return all;
}

/* The value at a path like "server.threads"; there must be one. */
static const json_t *at(const json_t *all, const char *path)
{
    char *copy = strdup(path), *rest = copy;
    for (const char *word; (word = strsep(&rest, "/")) != NULL;) {
        all = json_object_get(all, word);
        if (all == NULL)
            fail_msg("no %s in %s", word, path);
    }
    free(copy);
    return all;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= fabs(b) / 10000;
}

#define assert_number(all, path, n) assert_true(is_near(json_number_value(at((all), (path))), (n)))
#define assert_text(all, path, s) assert_string_equal(json_string_value(at((all), (path))), (s))

/* ---- The arithmetic */

WORLD_TEST(only_what_was_measured_counts)
{
    const struct world *w = *state;
    struct perf_summary s;
    perf_summary_make(&s, &w->result);
    assert_true(is_near(s.seconds, 4));
    assert_int_equal(s.counts.published, 4000);
    assert_int_equal(s.counts.consumed, 3600);
    assert_true(is_near(perf_summary_rate(&s, s.counts.published), 1000));
    assert_string_equal(s.unit, "message");
    assert_true(is_near(s.units, 3800));
    assert_true(is_near(s.server_ns, 2e9 / 3800));
    assert_true(is_near(s.server_busy, 0.5));
    assert_true(is_near(s.client_ns, 1e9 / 3800));
    assert_true(is_near(s.kernel_ns, s.server_ns * 0.75));
    assert_true(is_near(s.user_ns, s.server_ns * 0.25));
    assert_true(is_near(s.disk_per_byte, 2));
    assert_int_equal(s.busy_count, 2);
}

WORLD_TEST(costs_are_for_what_was_asked_for)
{
    struct world *w = *state;
    struct perf_summary s;
    w->options.is_fanout = true;
    perf_summary_make(&s, &w->result);
    assert_string_equal(s.unit, "delivery");
    assert_true(is_near(s.units, 3600));
    w->options.consumers = 0;
    for (unsigned i = 0; i < w->result.samples_count; i++)
        w->result.samples[i].at.consumed = 0;
    perf_summary_make(&s, &w->result);
    assert_string_equal(s.unit, "publish");
    assert_true(is_near(s.units, 4000));
    w->options.churn = PERF_CHURN_QUEUES;
    w->result.samples[w->result.samples_count - 1].at.operations = 200;
    perf_summary_make(&s, &w->result);
    assert_string_equal(s.unit, "operation");
    assert_true(is_near(s.server_ns, 1e7));
}

WORLD_TEST(nothing_measured_is_no_division_by_zero)
{
    struct world *w = *state;
    struct perf_summary s;
    w->result.samples_count = 1;
    w->result.from = 0;
    perf_summary_make(&s, &w->result);
    assert_true(is_near(s.server_ns + s.client_ns + s.server_busy + perf_summary_rate(&s, 7), 0));
    w->result.samples_count = 0;
    json_t *all = read_json(&w->result);
    assert_number(all, "seconds", 0);
    assert_int_equal(json_array_size(at(all, "samples")), 0);
    json_decref(all);
    free(write_report(tabulate, &w->result));
    char *svg = write_report(perf_report_svg, &w->result);
    assert_null(strstr(svg, "nan"));
    free(svg);
}

/* ---- JSON */

WORLD_TEST(json_has_what_a_program_wants_to_know)
{
    const struct world *w = *state;
    json_t *all = read_json(&w->result);
    assert_number(all, "format", 1);
    assert_text(all, "label", "a run");
    assert_text(all, "broker/product", "Broker");
    assert_text(all, "broker/version", "1.2.3");
    assert_text(all, "machine/cpu", "A & B");
    assert_number(all, "machine/cores", 2);
    assert_text(all, "machine/kernel", "Linux 6.1");
    assert_int_equal(strlen(json_string_value(at(all, "started_at"))), strlen("2026-01-01T00:00:00Z"));
    assert_number(all, "options/size", 100);
    assert_number(all, "options/cpu_server", -1);
    assert_number(all, "counts/published", 4000);
    assert_number(all, "counts/consumed", 3600);
    assert_number(all, "rates/published", 1000);
    assert_text(all, "unit", "message");
    assert_number(all, "units", 3800);
    assert_number(all, "server/ns", 2e9 / 3800);
    assert_number(all, "server/rss", 10 << 20);
    assert_number(all, "server/rss_peak", 20 << 20);
    const json_t *hub = json_array_get(at(all, "server/threads"), 0),
                 *loop = json_array_get(at(all, "server/threads"), 1);
    assert_text(hub, "name", "hub");
    assert_text(loop, "name", "loop-#");
    assert_number(loop, "threads", 2);
    assert_number(loop, "ns", 1e9 / 3800);
    assert_number(loop, "busy", 0.25);
    assert_number(all, "client/ns", 1e9 / 3800);
    assert_number(all, "latency/count", 1000);
    assert_number(all, "latency/min", 1000);
    assert_number(all, "latency/max", 1000000);
    assert_true(fabs(json_number_value(at(all, "latency/p50")) - 500000) < 5000);
    assert_true(fabs(json_number_value(at(all, "latency/p75")) - 750000) < 7500);
    assert_true(fabs(json_number_value(at(all, "latency/p95")) - 950000) < 9500);
    assert_true(fabs(json_number_value(at(all, "latency/p99")) - 990000) < 9900);
    assert_true(fabs(json_number_value(at(all, "latency/p99.9")) - 999000) < 9990);
    assert_true(json_is_null(at(all, "confirm_latency")));
    assert_true(json_is_null(at(all, "churn")));
    assert_true(json_is_null(at(all, "idle")));
    assert_int_equal(json_array_size(at(all, "samples")), 5);
    const json_t *first = json_array_get(at(all, "samples"), 0);
    assert_number(first, "seconds", 0); /* the end of the warm-up */
    assert_number(first, "published", 1000);
    assert_number(first, "server_busy", 0.5);
    json_decref(all);
}

WORLD_TEST(json_is_json_whatever_the_broker_calls_itself)
{
    struct world *w = *state;
    strcpy(w->result.product, NASTY);
    w->options.label = NASTY;
    w->options.queue = NASTY;
    w->options.settings[0] = "key=" NASTY;
    w->options.settings_count = 1;
    json_t *all = read_json(&w->result);
    assert_text(all, "broker/product", "<script>\"a\" & 'b'\n\033[31m?\xc3\xb6\xef\xbf\xbf");
    assert_int_equal(json_array_size(at(all, "options/set")), 1);
    json_decref(all);
}

WORLD_TEST(no_report_tells_the_password)
{
    struct world *w = *state;
    report_fn *all[] = {perf_report_json, perf_report_svg, tabulate};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        char *text = write_report(all[i], &w->result);
        assert_null(strstr(text, "hunter2"));
        free(text);
    }
}

WORLD_TEST(churn_and_idle_have_figures_of_their_own)
{
    struct world *w = *state;
    w->options.churn = PERF_CHURN_CONNECTIONS;
    w->result.samples[w->result.samples_count - 1].at.operations = 2000;
    w->result.churned.failed = 3;
    json_t *all = read_json(&w->result);
    assert_text(all, "churn/kind", perf_churn_name(PERF_CHURN_CONNECTIONS));
    assert_number(all, "churn/done", 2000);
    assert_number(all, "churn/failed", 3);
    assert_number(all, "churn/rate", 500);
    assert_text(all, "unit", "operation");
    assert_number(all, "server/ns", 1e6);
    json_decref(all);
    w->options.churn = PERF_CHURN_NONE;
    w->options.idle = PERF_IDLE_QUEUES;
    w->result.idled = (struct perf_idled){.count = 1000, .rss_before = 1 << 20, .rss_after = (1 << 20) + 512000};
    all = read_json(&w->result);
    assert_text(all, "idle/kind", perf_idle_name(PERF_IDLE_QUEUES));
    assert_number(all, "idle/rss_each", 512);
    json_decref(all);
    char *table = write_report(tabulate, &w->result);
    assert_non_null(strstr(table, "512 B"));
    free(table);
}

/* ---- For people */

WORLD_TEST(the_table_says_what_was_measured)
{
    const struct world *w = *state;
    char *text = write_report(tabulate, &w->result);
    assert_non_null(strstr(text, "a run: Broker 1.2.3; 100 B, 1 producer, 1 consumer; 4.00 s"));
    assert_non_null(strstr(text, "4,000"));
    assert_non_null(strstr(text, "526 µs a message, 50 % of a processor (kernel 75 %)"));
    assert_non_null(strstr(text, "loop-#"));
    assert_non_null(strstr(text, "p99.9"));
    assert_non_null(strstr(text, "10.0 MiB, 20.0 MiB at most"));
    assert_null(strstr(text, "confirmed"));
    free(text);
}

WORLD_TEST(the_table_leaves_a_terminal_alone)
{
    struct world *w = *state;
    strcpy(w->result.product, NASTY);
    w->options.label = NASTY;
    strcpy(w->result.server_to.threads[0].name, "\033[2J");
    char *text = write_report(tabulate, &w->result);
    for (const char *c = text; *c != '\0'; c++)
        assert_true((unsigned char)*c >= ' ' || *c == '\n');
    free(text);
}

WORLD_TEST(the_picture_holds_no_markup_but_its_own)
{
    struct world *w = *state;
    strcpy(w->result.product, NASTY);
    w->options.label = NASTY "</svg>";
    char *text = write_report(perf_report_svg, &w->result);
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "&lt;script&gt;&quot;a&quot; &amp; 'b'??[31m?\xc3\xb6?&lt;/svg&gt;"));
    assert_string_equal(strstr(text, "</svg>"), "</svg>\n");
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_null(strstr(text, "href"));
    int depth = 0;
    for (const char *c = text; *c != '\0'; c++) {
        depth += (*c == '<') - (*c == '>');
        assert_in_range(depth, 0, 1);
    }
    assert_int_equal(depth, 0);
    free(text);
}

WORLD_TEST(a_week_of_samples_is_still_a_small_picture)
{
    struct world *w = *state;
    for (unsigned i = 6; i < 7 * 86400; i++) {
        struct perf_sample *s = perf_result_add_sample(&w->result);
        *s = (struct perf_sample){.ns = i * SECOND, .at = {.published = 1000 * (uint64_t)i}};
    }
    char *text = write_report(perf_report_svg, &w->result);
    assert_true(strlen(text) < 64000);
    free(text);
}

/* ---- Progress */

static char *tell_all(struct world *w, bool is_terminal)
{
    char *text = NULL;
    size_t n;
    struct perf_progress p;
    FILE *f = open_memstream(&text, &n);
    unsigned count = w->result.samples_count;
    perf_progress_init(&p, f, &w->options);
    p.is_terminal = is_terminal;
    for (w->result.samples_count = 1; w->result.samples_count <= count; w->result.samples_count++)
        perf_progress_tell(&p, &w->result);
    w->result.samples_count = count;
    perf_progress_end(&p);
    perf_progress_end(&p);
    fclose(f);
    return text;
}

static unsigned count_of(const char *text, char c)
{
    unsigned n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

WORLD_TEST(progress_is_a_line_each_second)
{
    struct world *w = *state;
    w->options.has_progress = true;
    char *text = tell_all(w, false);
    assert_int_equal(count_of(text, '\n'), 5);
    assert_int_equal(count_of(text, '\r'), 0);
    assert_non_null(strstr(text, "   1.0 s  1,000 published/s  900 consumed/s  server 50 %, 10.0 MiB\n"));
    free(text);
    text = tell_all(w, true);
    assert_int_equal(count_of(text, '\n'), 1); /* at the end */
    assert_int_equal(count_of(text, '\r'), 5);
    free(text);
}

WORLD_TEST(progress_is_silent_unless_asked_for)
{
    struct world *w = *state;
    char *text = tell_all(w, false);
    assert_string_equal(text, "");
    free(text);
    w->options.has_progress = w->options.is_quiet = true;
    text = tell_all(w, false);
    assert_string_equal(text, "");
    free(text);
}

/* ---- Words */

TEST(a_workload_has_words)
{
    char words[PERF_WORDS_ROOM];
    struct perf_options o = {.size = 1024, .producers = 2, .consumers = 1, .queues = 10, .is_fanout = true};
    perf_summary_words(words, &o);
    assert_string_equal(words, "1.00 KiB, 2 producers, 1 consumer, 10 queues, fan-out");
    o = (struct perf_options){.producers = 1,
                              .is_persistent = true,
                              .window = 1000,
                              .acks = 100,
                              .prefetch = 300,
                              .rate = 5000,
                              .bindings = 1000000,
                              .uri.is_tls = true,
                              .tls_version = "1.3"};
    perf_summary_words(words, &o);
    assert_string_equal(words, "0 B, 1 producer, 0 consumers, 1,000,000 other bindings, persistent, confirms of 1000, "
                               "acknowledgements of 100, prefetch 300, 5,000 a second, TLS 1.3");
    o = (struct perf_options){.churn = PERF_CHURN_SERVER_NAMED, .producers = 4};
    perf_summary_words(words, &o);
    assert_string_equal(words, "churn of server-named-queues, 4 at once");
    o = (struct perf_options){.idle = PERF_IDLE_CONNECTIONS, .idle_count = 5000};
    perf_summary_words(words, &o);
    assert_string_equal(words, "5,000 idle connections");
}

TEST(numbers_read_well)
{
    assert_string_equal(perf_text_count(0).s, "0");
    assert_string_equal(perf_text_count(999).s, "999");
    assert_string_equal(perf_text_count(1000).s, "1,000");
    assert_string_equal(perf_text_count(1234567.6).s, "1,234,568");
    assert_string_equal(perf_text_count(0.5).s, "0.500");
    assert_string_equal(perf_text_count(99.97).s, "100");
    assert_string_equal(perf_text_count(NAN).s, "-");
    assert_string_equal(perf_text_duration(0).s, "0 ns");
    assert_string_equal(perf_text_duration(254.4).s, "254 ns");
    assert_string_equal(perf_text_duration(999.6).s, "1.00 µs");
    assert_string_equal(perf_text_duration(25340).s, "25.3 µs");
    assert_string_equal(perf_text_duration(1.9e6).s, "1.90 ms");
    assert_string_equal(perf_text_duration(2e9).s, "2.00 s");
    assert_string_equal(perf_text_duration(9e11).s, "900 s");
    assert_string_equal(perf_text_bytes(512).s, "512 B");
    assert_string_equal(perf_text_bytes(-2048).s, "-2.00 KiB");
    assert_string_equal(perf_text_bytes(1.5 * 1073741824).s, "1.50 GiB");
    assert_string_equal(perf_text_short(2500000).s, "2.5M");
    assert_string_equal(perf_text_short(800).s, "800");
    assert_string_equal(perf_text_number(99.96).s, "100");
    assert_string_equal(perf_text_number(9.996).s, "10.0");
}

TEST(plain_text_is_cut_between_characters)
{
    char room[8];
    assert_string_equal(perf_text_plain(room, sizeof room, "abcdefghij"), "abcdefg");
    assert_string_equal(perf_text_plain(room, sizeof room, "abcdef\xc3\xb6"), "abcdef");
    assert_string_equal(perf_text_plain(room, sizeof room, "\x7f\xc2\x85\xc3"), "???");
    assert_string_equal(perf_text_plain(room, 1, "abc"), "");
}

TEST(a_processor_has_the_name_that_its_kernel_gives_it)
{
    static const struct {
        const char *text, *name;
    } all[] = {
        {"processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nmodel name\t: another\n", "AMD EPYC"},
        {"processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4"},
        {"processor\t: 0\nCPU part\t: 0xd0c\n", ""},
        {"", ""},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        char name[PERF_MACHINE_ROOM];
        FILE *f = fmemopen((void *)(uintptr_t)all[i].text, strlen(all[i].text) + 1, "r");
        perf_machine_read_cpu(name, f);
        fclose(f);
        assert_string_equal(name, all[i].name);
    }
    struct perf_machine m;
    perf_machine_read(&m);
    assert_true(m.cpu[0] != '\0' && m.kernel[0] != '\0' && m.cores > 0 && m.memory > 0);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        world_test(only_what_was_measured_counts),
        world_test(costs_are_for_what_was_asked_for),
        world_test(nothing_measured_is_no_division_by_zero),
        world_test(json_has_what_a_program_wants_to_know),
        world_test(json_is_json_whatever_the_broker_calls_itself),
        world_test(no_report_tells_the_password),
        world_test(churn_and_idle_have_figures_of_their_own),
        world_test(the_table_says_what_was_measured),
        world_test(the_table_leaves_a_terminal_alone),
        world_test(the_picture_holds_no_markup_but_its_own),
        world_test(a_week_of_samples_is_still_a_small_picture),
        world_test(progress_is_a_line_each_second),
        world_test(progress_is_silent_unless_asked_for),
        cmocka_unit_test(a_workload_has_words),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(plain_text_is_cut_between_characters),
        cmocka_unit_test(a_processor_has_the_name_that_its_kernel_gives_it),
    };
    return unit_main("report", tests, argc, argv);
}
