/* The command line, and the paths that are made of it. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/items.h"
#include "broker/ctl/options.h"
#include "broker/ctl/path.h"

enum { WORDS_MAX = 16 };

/* Reads a line of words that spaces part; o's values lie in `line`. */
static bool read_line(struct options *o, char *line)
{
    static char program[] = "millracectl";
    char *argv[WORDS_MAX + 2] = {program}, *rest = NULL;
    int argc = 1;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    return options_read(o, argc, argv);
}

static struct options o; /* large */

TEST(options_may_stand_anywhere)
{
    char line[] = "-q list_queues -p v name --formatter json messages";
    assert_true(read_line(&o, line));
    assert_int_equal(o.n_words, 3);
    assert_string_equal(o.words[0], "list_queues");
    assert_string_equal(o.words[2], "messages");
    assert_string_equal(options_text(&o, OPTION_VHOST, NULL), "v");
    assert_string_equal(options_text(&o, OPTION_FORMATTER, NULL), "json");
    assert_true(options_has(&o, OPTION_QUIET));
    assert_false(options_has(&o, OPTION_SILENT));
}

TEST(values_may_be_joined_with_an_equals_sign)
{
    char line[] = "x --vhost=a=b -t=5 --description=";
    assert_true(read_line(&o, line));
    assert_string_equal(options_text(&o, OPTION_VHOST, NULL), "a=b");
    assert_true(options_number(&o, OPTION_TIMEOUT, 0) == 5);
    assert_string_equal(options_text(&o, OPTION_DESCRIPTION, NULL), "");
}

TEST(letters_may_be_joined)
{
    char line[] = "-qsp v x";
    assert_true(read_line(&o, line));
    assert_true(options_has(&o, OPTION_QUIET) && options_has(&o, OPTION_SILENT));
    assert_string_equal(options_text(&o, OPTION_VHOST, NULL), "v");
    assert_string_equal(o.words[0], "x");
}

TEST(two_dashes_end_the_options)
{
    char line[] = "set_permissions u -- -p --quiet";
    assert_true(read_line(&o, line));
    assert_int_equal(o.n_words, 4);
    assert_string_equal(o.words[2], "-p");
    assert_false(options_has(&o, OPTION_QUIET));
}

TEST(a_flag_can_be_taken_back)
{
    char line[] = "x -q --quiet=false --silent=true";
    assert_true(read_line(&o, line));
    assert_false(options_has(&o, OPTION_QUIET));
    assert_true(options_has(&o, OPTION_SILENT));
}

TEST(negative_numbers_and_a_dash_are_values)
{
    char line[] = "import_definitions - --priority -5 -p -";
    assert_true(read_line(&o, line));
    assert_true(options_number(&o, OPTION_PRIORITY, 0) == -5);
    assert_string_equal(options_text(&o, OPTION_VHOST, NULL), "-");
    assert_string_equal(o.words[1], "-");
}

static const struct {
    const char *line, *wrong, *value;
} wrongs[] = {
    {"x --nosuch", "--nosuch", NULL},
    {"x --nosuch=5", "--nosuch=5", NULL},
    {"x -z", "-z", NULL},
    {"x -p", "-p", NULL},
    {"x -p --quiet", "-p", NULL},
    {"x --timeout abc", "--timeout", "abc"},
    {"x --timeout 1e3", "--timeout", "1e3"},
    {"x --quiet=maybe", "--quiet=maybe", "maybe"},
    {"x --priority", "--priority", NULL},
    {"x -qz", "-qz", NULL},
};

TEST(what_cannot_be_is_named)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s", wrongs[i].line);
        assert_false(read_line(&o, line));
        assert_string_equal(o.wrong, wrongs[i].wrong);
        if (wrongs[i].value == NULL)
            assert_null(o.wrong_value);
        else
            assert_string_equal(o.wrong_value, wrongs[i].value);
    }
}

TEST(there_is_a_limit_of_words)
{
    static char word[] = "x";
    static char *many[OPTIONS_WORDS_MAX + 3];
    for (size_t i = 0; i < OPTIONS_WORDS_MAX + 2; i++)
        many[i] = word;
    assert_true(options_read(&o, OPTIONS_WORDS_MAX + 1, many));
    assert_false(options_read(&o, OPTIONS_WORDS_MAX + 2, many));
}

/* ---- Paths. */

TEST(a_name_is_one_segment_whatever_it_holds)
{
    char *p = path_of("queues", "/", "a b/c%\xC3\xA9+?#&\x01\xFF~");
    assert_string_equal(p, "/api/queues/%2F/a%20b%2Fc%25%C3%A9%2B%3F%23%26%01%FF~");
    free(p);
}

TEST(dots_are_no_folders)
{
    char *p = path_of("users", "..", ".", "...", "");
    assert_string_equal(p, "/api/users/%2E%2E/%2E/.../");
    free(p);
}

TEST(queries_are_encoded)
{
    char *p = path_query(path_query(path_of("queues"), "columns", "a,b c"), "if-empty", "true");
    assert_string_equal(p, "/api/queues?columns=a%2Cb%20c&if-empty=true");
    free(p);
}

/* ---- Commands. */

TEST(commands_are_found_by_their_names)
{
    assert_non_null(command_find("rabbitmqctl", "list_queues"));
    assert_null(command_find("rabbitmqctl", "list_queue"));
    assert_null(command_find("rabbitmqctl", "enable"));
    assert_non_null(command_find("rabbitmq-plugins", "enable"));
    assert_string_equal(command_suggest("list_queus"), "list_queues");
    assert_string_equal(command_suggest("add_vhots"), "add_vhost");
    assert_null(command_suggest("completely_different_from_all"));
}

/* ---- Items. */

struct seen {
    char text[256];
    size_t most, n;
};

static bool on_item(const char *item, size_t len, void *arg)
{
    struct seen *s = arg;
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%.*s|", (int)len, item);
    return ++s->n != s->most;
}

/* Feeds the text in pieces of so many bytes. */
static bool cut(const char *json, size_t piece, size_t limit, struct seen *s)
{
    struct items i;
    bool is_good = true;
    items_init(&i, limit, on_item, s);
    for (size_t at = 0, n = strlen(json); at < n && is_good; at += piece)
        is_good = items_feed(&i, json + at, n - at < piece ? n - at : piece);
    bool is_whole = items_is_whole(&i);
    items_fini(&i);
    return is_good && is_whole;
}

static const struct {
    const char *json, *items; /* NULL: it is none */
} lists[] = {
    {"[]", ""},
    {" [ ] ", ""},
    {"[1,2 , 3]", "1|2|3|"},
    {"[{\"a\":[1,{}]},{\"b\":\"]},[\"}]", "{\"a\":[1,{}]}|{\"b\":\"]},[\"}|"},
    {"[\"a\\\"]\",\"\\\\\"]", "\"a\\\"]\"|\"\\\\\"|"},
    {"[[1],[2,[3]]]trailing", "[1]|[2,[3]]|"},
    {"{\"page\":1,\"x\":{\"items\":[9]},\"items\":[1,2],\"y\":[3]}", "1|2|"},
    {"{\"items2\":[9],\"items\":[1]}", "1|"},
    {"{\"x\":\"items\",\"y\":[9],\"items\":[1]}", "1|"},
    {"{\"error\":\"x\"}", NULL},
    {"{\"items\":5}", NULL},
    {"[1,2", NULL},
    {"", NULL},
    {"nonsense", NULL},
    {"\"items\"", NULL},
};

TEST(a_list_is_cut_into_its_items_however_it_comes)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t piece = 1; piece <= 7; piece++) {
            struct seen s = {.text = ""};
            bool is_list = cut(lists[i].json, piece, 100, &s);
            assert_int_equal(is_list, lists[i].items != NULL);
            if (lists[i].items != NULL)
                assert_string_equal(s.text, lists[i].items);
        }
    }
}

TEST(an_item_has_a_limit)
{
    struct seen s = {.text = ""};
    assert_true(cut("[\"12345678\"]", 3, 10, &s));
    assert_false(cut("[\"123456789\"]", 3, 10, &s));
}

TEST(a_list_can_be_left)
{
    struct seen s = {.text = "", .most = 2};
    assert_false(cut("[1,2,3]", 1, 10, &s));
    assert_string_equal(s.text, "1|2|");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(values_may_be_joined_with_an_equals_sign),
        cmocka_unit_test(letters_may_be_joined),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_flag_can_be_taken_back),
        cmocka_unit_test(negative_numbers_and_a_dash_are_values),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(there_is_a_limit_of_words),
        cmocka_unit_test(a_name_is_one_segment_whatever_it_holds),
        cmocka_unit_test(dots_are_no_folders),
        cmocka_unit_test(queries_are_encoded),
        cmocka_unit_test(commands_are_found_by_their_names),
        cmocka_unit_test(a_list_is_cut_into_its_items_however_it_comes),
        cmocka_unit_test(an_item_has_a_limit),
        cmocka_unit_test(a_list_can_be_left),
    };
    return unit_main("ctl options", tests, argc, argv);
}
