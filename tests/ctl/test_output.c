#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/ctl/output.h"

static const struct column name = {"name", NULL, KIND_PLAIN}, tags = {"tags", NULL, KIND_LIST},
                           arguments = {"arguments", NULL, KIND_TABLE},
                           nested = {"channel", "details.name", KIND_PLAIN},
                           constant = {"kind", "=exchange", KIND_PLAIN}, text = {"definition", NULL, KIND_TEXT},
                           map = {"state", NULL, KIND_MAP};

static json_t *object(const char *json)
{
    json_t *o = json_loads(json, 0, NULL);
    assert_non_null(o);
    return o;
}

/* The table of these objects, up to a NULL; the caller frees it. */
static char *print(enum format format, bool has_headers, const struct column *const *columns, size_t n,
                   const char *const *objects)
{
    char *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);
    struct table *t = table_create(f, format, has_headers, columns, n);
    for (; *objects != NULL; objects++) {
        json_t *o = object(*objects);
        table_row(t, o);
        json_decref(o);
    }
    table_destroy(t);
    fclose(f);
    return out;
}

static void expect(enum format format, const struct column *const *columns, size_t n, const char *const *objects,
                   const char *expected)
{
    char *out = print(format, true, columns, n, objects);
    assert_string_equal(out, expected);
    free(out);
}

#define PRINT(format, expected, objects, ...)                                                                          \
    expect(format, (const struct column *const[]){__VA_ARGS__},                                                        \
           sizeof((const struct column *const[]){__VA_ARGS__}) / sizeof(struct column *), objects, expected)

static const char *const users[] = {"{\"name\":\"a\",\"tags\":[]}", "{\"name\":\"b\",\"tags\":[\"x\",\"y\"]}", NULL};
static const char *const none[] = {NULL};

TEST(a_table_has_tabs_and_a_row_of_names)
{
    PRINT(FORMAT_TABLE, "name\ttags\na\t[]\nb\t[x, y]\n", users, &name, &tags);
}

TEST(names_can_be_left_out)
{
    char *out = print(FORMAT_TABLE, false, (const struct column *const[]){&name}, 1, users);
    assert_string_equal(out, "a\nb\n");
    free(out);
}

TEST(an_empty_table_is_nothing_but_an_empty_list_is_one)
{
    PRINT(FORMAT_TABLE, "", none, &name);
    PRINT(FORMAT_CSV, "", none, &name);
    PRINT(FORMAT_PRETTY, "", none, &name);
    PRINT(FORMAT_JSON, "[\n]\n", none, &name);
}

TEST(json_is_an_array_with_a_line_for_each_row)
{
    PRINT(FORMAT_JSON, "[\n{\"name\":\"a\",\"tags\":[]}\n,{\"name\":\"b\",\"tags\":[\"x\",\"y\"]}\n]\n", users, &name,
          &tags);
}

TEST(csv_quotes_everything_and_doubles_quotes)
{
    static const char *const odd[] = {"{\"name\":\"a \\\"b\\\", c\",\"tags\":[\"x\"]}", NULL};
    PRINT(FORMAT_CSV, "\"name\",\"tags\"\n\"a \"\"b\"\", c\",\"[x]\"\n", odd, &name, &tags);
}

TEST(boxes_are_as_wide_as_characters_not_bytes)
{
    static const char *const odd[] = {"{\"name\":\"\xC3\xA9t\xC3\xA9\"}", NULL};
    PRINT(FORMAT_PRETTY,
          "┌──────┐\n"
          "│ name │\n"
          "├──────┤\n"
          "│ \xC3\xA9t\xC3\xA9  │\n"
          "└──────┘\n",
          odd, &name);
}

TEST(control_characters_never_reach_a_terminal)
{
    static const char *const odd[] = {"{\"name\":\"a\\u001b[31m\\n\\tb\\u007f\\u009bc\\\\d\"}", NULL};
    PRINT(FORMAT_TABLE, "name\na\\x1B[31m\\x0A\\x09b\\x7F\\xC2\\x9Bc\\d\n", odd, &name);
    PRINT(FORMAT_CSV, "\"name\"\n\"a\\x1B[31m\\x0A\\x09b\\x7F\\xC2\\x9Bc\\d\"\n", odd, &name);
    char *out = print(FORMAT_PRETTY, true, (const struct column *const[]){&name}, 1, odd);
    assert_null(strchr(out, '\x1B'));
    free(out);
}

TEST(json_keeps_every_character)
{
    static const char *const odd[] = {"{\"name\":\"a\\u001b\\n\xC3\xA9\"}", NULL};
    PRINT(FORMAT_JSON, "[\n{\"name\":\"a\\u001B\\n\xC3\xA9\"}\n]\n", odd, &name);
}

TEST(what_is_missing_is_empty)
{
    static const char *const odd[] = {"{\"name\":null}", "{}", NULL};
    PRINT(FORMAT_TABLE, "name\tchannel\n\t\n\t\n", odd, &name, &nested);
    PRINT(FORMAT_JSON, "[\n{\"name\":\"\",\"channel\":\"\"}\n,{\"name\":\"\",\"channel\":\"\"}\n]\n", odd, &name,
          &nested);
}

TEST(columns_come_from_where_they_say)
{
    static const char *const odd[] = {"{\"details\":{\"name\":\"c1\"},\"details.name\":\"no\"}", NULL};
    PRINT(FORMAT_TABLE, "channel\tkind\nc1\texchange\n", odd, &nested, &constant);
}

TEST(numbers_and_booleans_keep_their_types_in_json)
{
    static const char *const odd[] = {"{\"name\":9007199254740993}", "{\"name\":true}", "{\"name\":0.5}", NULL};
    PRINT(FORMAT_TABLE, "name\n9007199254740993\ntrue\n0.5\n", odd, &name);
    PRINT(FORMAT_JSON, "[\n{\"name\":9007199254740993}\n,{\"name\":true}\n,{\"name\":0.5}\n]\n", odd, &name);
}

TEST(definitions_are_a_text_of_json)
{
    static const char *const odd[] = {"{\"definition\":{\"max-length\":5},\"state\":{\"rabbit@h\":\"running\"}}", NULL};
    PRINT(FORMAT_TABLE, "definition\tstate\n{\"max-length\":5}\t[{rabbit@h, running}]\n", odd, &text, &map);
    PRINT(FORMAT_JSON, "[\n{\"definition\":\"{\\\"max-length\\\":5}\",\"state\":{\"rabbit@h\":\"running\"}}\n]\n", odd,
          &text, &map);
}

TEST(arguments_are_json_and_none_is_a_pair_of_brackets)
{
    static const char *const odd[] = {"{\"arguments\":{}}", "{\"arguments\":{\"x-expires\":5}}", NULL};
    PRINT(FORMAT_TABLE, "arguments\n[]\n{\"x-expires\":5}\n", odd, &arguments);
    PRINT(FORMAT_JSON, "[\n{\"arguments\":{}}\n,{\"arguments\":{\"x-expires\":5}}\n]\n", odd, &arguments);
}

TEST(formats_have_names)
{
    enum format f;
    assert_true(format_read("json", &f) && f == FORMAT_JSON);
    assert_true(format_read("pretty_table", &f) && f == FORMAT_PRETTY);
    assert_true(format_read("erlang", &f) && f == FORMAT_TABLE);
    assert_false(format_read("xml", &f));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_tabs_and_a_row_of_names),
        cmocka_unit_test(names_can_be_left_out),
        cmocka_unit_test(an_empty_table_is_nothing_but_an_empty_list_is_one),
        cmocka_unit_test(json_is_an_array_with_a_line_for_each_row),
        cmocka_unit_test(csv_quotes_everything_and_doubles_quotes),
        cmocka_unit_test(boxes_are_as_wide_as_characters_not_bytes),
        cmocka_unit_test(control_characters_never_reach_a_terminal),
        cmocka_unit_test(json_keeps_every_character),
        cmocka_unit_test(what_is_missing_is_empty),
        cmocka_unit_test(columns_come_from_where_they_say),
        cmocka_unit_test(numbers_and_booleans_keep_their_types_in_json),
        cmocka_unit_test(definitions_are_a_text_of_json),
        cmocka_unit_test(arguments_are_json_and_none_is_a_pair_of_brackets),
        cmocka_unit_test(formats_have_names),
    };
    return unit_main("ctl output", tests, argc, argv);
}
