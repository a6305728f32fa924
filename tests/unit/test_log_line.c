#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"

static const struct timespec at = {.tv_sec = 1795255914, .tv_nsec = 778765432};

static const char *print(const struct log_line *l, const struct log_style *style)
{
    static char to[LOG_LINE_ROOM + 1];
    memset(to, 'x', sizeof to);
    size_t n = log_line_print(l, style, to);
    assert_in_range(n, 1, LOG_LINE_ROOM);
    assert_int_equal(to[n - 1], '\n');
    to[n] = '\0';
    assert_null(memchr(to, '\n', n - 1)); /* a line is one line */
    return to;
}

static struct log_line line_of(const char *text)
{
    return (struct log_line){.at = at, .level = LOG_INFO_LEVEL, .where = "conn-1.2", .text = text};
}

TEST(plain_lines_are_those_that_people_grep_for)
{
    struct log_line l = line_of("accepting AMQP connection");
    const struct log_style style = {0};
    assert_string_equal(print(&l, &style),
                        "2026-11-21 10:11:54.778765+00:00 [info] <conn-1.2> accepting AMQP connection\n");
    l.level = LOG_WARNING_LEVEL;
    assert_non_null(strstr(print(&l, &style), " [warning] <"));
}

TEST(a_journal_gets_priorities)
{
    struct log_line l = line_of("x");
    const struct log_style style = {.has_priorities = true};
    assert_memory_equal(print(&l, &style), "<6>2026-", 8);
    l.level = LOG_ERROR_LEVEL;
    assert_memory_equal(print(&l, &style), "<3>2026-", 8);
}

TEST(times_may_be_said_otherwise)
{
    const struct log_line l = line_of("x");
    static const struct {
        enum log_time how;
        const char *begins;
    } all[] = {
        {LOG_TIME_T, "2026-11-21T10:11:54.778765+00:00 ["},
        {LOG_TIME_USECS, "1795255914778765 ["},
        {LOG_TIME_SECS, "1795255914.778765 ["},
        {LOG_TIME_LAGER, "2026-11-21 10:11:54.778 ["},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct log_style style = {.time = all[i].how};
        assert_memory_equal(print(&l, &style), all[i].begins, strlen(all[i].begins));
    }
}

static json_t *read(const struct log_line *l, const struct log_style *style)
{
    json_error_t error;
    json_t *o = json_loads(print(l, style), 0, &error);
    if (o == NULL)
        fail_msg("%s", error.text);
    return o;
}

static const char *member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

TEST(json_lines_are_json)
{
    struct log_line l = line_of("it said \"no\" \\ twice");
    const struct log_style style = {.is_json = true, .node = "rabbit@h"};
    l.category = LOG_CONNECTION;
    json_t *o = read(&l, &style);
    assert_string_equal(member(o, "time"), "2026-11-21 10:11:54.778765+00:00");
    assert_string_equal(member(o, "level"), "info");
    assert_string_equal(member(o, "domain"), "rabbitmq.connection");
    assert_string_equal(member(o, "pid"), "<conn-1.2>");
    assert_string_equal(member(o, "node"), "rabbit@h");
    assert_string_equal(member(o, "msg"), l.text);
    json_decref(o);
}

TEST(times_that_are_numbers_are_numbers_in_json)
{
    const struct log_line l = line_of("x");
    const struct log_style style = {.is_json = true, .time = LOG_TIME_USECS};
    json_t *o = read(&l, &style);
    assert_int_equal(json_integer_value(json_object_get(o, "time")), 1795255914778765);
    assert_null(json_object_get(o, "node"));
    json_decref(o);
}

/* Every byte there is, at the place where it hurts most. */
TEST(nothing_that_a_peer_sends_forges_a_line_or_reaches_a_terminal)
{
    char text[300];
    size_t n = 0;
    for (unsigned c = 1; c < 256; c++)
        text[n++] = (char)c;
    text[n] = '\0';
    const struct log_line l = line_of(text);
    for (unsigned json = 0; json < 2; json++) {
        const struct log_style style = {.is_json = json != 0};
        const char *line = print(&l, &style);
        for (size_t i = 0; i + 1 < strlen(line); i++)
            assert_in_range((unsigned char)line[i], 0x20, 0x7e);
        if (json != 0)
            json_decref(read(&l, &style));
    }
}

TEST(a_line_has_an_end_however_much_there_is_to_escape)
{
    char *text = malloc(LOG_LINE_MAX);
    memset(text, '\1', LOG_LINE_MAX - 1);
    text[LOG_LINE_MAX - 1] = '\0';
    const struct log_line l = line_of(text);
    for (unsigned json = 0; json < 2; json++) {
        const struct log_style style = {.is_json = json != 0, .node = "n"};
        assert_true(strlen(print(&l, &style)) > LOG_LINE_ROOM / 2);
        if (json != 0)
            json_decref(read(&l, &style));
    }
    free(text);
}

TEST(names_are_found)
{
    assert_int_equal(log_level_find("warning"), LOG_WARNING_LEVEL);
    assert_int_equal(log_level_find("emergency"), LOG_CRITICAL_LEVEL);
    assert_int_equal(log_level_find("loud"), -1);
    assert_int_equal(log_category_find("channel"), LOG_CHANNEL);
    assert_int_equal(log_category_find("mirroring"), -1);
    for (int i = 0; i < LOG_CATEGORIES; i++)
        assert_int_equal(log_category_find(log_category_name((enum log_category)i)), i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_are_those_that_people_grep_for),
        cmocka_unit_test(a_journal_gets_priorities),
        cmocka_unit_test(times_may_be_said_otherwise),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(times_that_are_numbers_are_numbers_in_json),
        cmocka_unit_test(nothing_that_a_peer_sends_forges_a_line_or_reaches_a_terminal),
        cmocka_unit_test(a_line_has_an_end_however_much_there_is_to_escape),
        cmocka_unit_test(names_are_found),
    };
    setenv("TZ", "UTC", 1);
    return unit_main("log_line", tests, argc, argv);
}
