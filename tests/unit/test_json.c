#define _GNU_SOURCE
#include "broker/admin/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "tests/unit/unit.h"

static json_t *read_ok(const char *text)
{
    char *error = NULL;
    json_t *j = json_read(bytes_of_string(text), &error);
    if (j == NULL)
        fail_msg("%s: %s", text, error);
    return j;
}

static void expect_refused(struct bytes text, const char *part)
{
    char *error = NULL;
    assert_null(json_read(text, &error));
    assert_non_null(error);
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, error);
    free(error);
}

static void there_and_back(const char *text)
{
    char *error = NULL;
    struct bytes table;
    json_t *one = read_ok(text);
    void *memory = json_make_table(one, &table, &error);
    assert_non_null(memory);
    assert_true(table_check(table, TABLE_DEPTH_MAX));
    json_t *two = json_of_table(table);
    if (!json_equal(one, two))
        fail_msg("%s became %s", text, json_dumps(two, 0));
    json_decref(one);
    json_decref(two);
    free(memory);
}

TEST(what_json_has_goes_there_and_back)
{
    there_and_back("{}");
    there_and_back("{\"a\":1,\"b\":-9223372036854775808,\"c\":9223372036854775807}");
    there_and_back("{\"d\":0.1,\"e\":-1e300,\"f\":3.0}");
    there_and_back("{\"s\":\"\",\"t\":\"h\\u00e9llo \\u0000 \\\"\\\\\",\"u\":true,\"v\":false,\"w\":null}");
    there_and_back("{\"o\":{},\"a\":[],\"deep\":{\"a\":[1,[2,{\"x\":[null]}],\"s\"],\"b\":{\"c\":{}}}}");
    there_and_back("{\"\":1}");
}

TEST(letters_are_those_that_were_promised)
{
    const struct {
        const char *text;
        char type;
    } all[] = {{"{\"k\":1}", 'l'},    {"{\"k\":1.0}", 'd'}, {"{\"k\":\"1\"}", 'S'}, {"{\"k\":true}", 't'},
               {"{\"k\":null}", 'V'}, {"{\"k\":[1]}", 'A'}, {"{\"k\":{}}", 'F'}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char *error = NULL;
        struct bytes table;
        struct field f;
        json_t *j = read_ok(all[i].text);
        void *memory = json_make_table(j, &table, &error);
        assert_non_null(memory);
        assert_true(table_find(table, BYTES("k"), &f));
        assert_int_equal(f.type, all[i].type);
        json_t *value = json_of_value(&f);
        assert_true(json_equal(value, json_object_get(j, "k")));
        json_decref(value);
        json_decref(j);
        free(memory);
    }
}

static char *nested(unsigned depth, const char *open, const char *close)
{
    char *text = alloc(depth * (strlen(open) + strlen(close)) + 2), *at = text;
    for (unsigned i = 0; i < depth; i++)
        at = stpcpy(at, open);
    *at++ = '1';
    for (unsigned i = 0; i < depth; i++)
        at = stpcpy(at, close);
    *at = '\0';
    return text;
}

TEST(sixty_four_levels_and_no_more)
{
    char *text = nested(JSON_NESTING_MAX, "{\"a\":", "}");
    there_and_back(text);
    free(text);
    text = nested(JSON_NESTING_MAX + 1, "{\"a\":", "}");
    expect_refused(bytes_of_string(text), "nested");
    free(text);
    text = nested(JSON_NESTING_MAX + 1, "[", "]");
    expect_refused(bytes_of_string(text), "nested");
    free(text);
    text = nested(100000, "[", "]");
    expect_refused(bytes_of_string(text), "depth");
    free(text);
}

TEST(keys_have_255_bytes_at_most)
{
    for (size_t length = JSON_KEY_MAX; length <= JSON_KEY_MAX + 1; length++) {
        char key[JSON_KEY_MAX + 2] = "", *error = NULL;
        memset(key, 'k', length);
        struct bytes table;
        json_t *j = json_object();
        json_set(j, key, json_integer(1));
        void *memory = json_make_table(j, &table, &error);
        assert_int_equal(memory != NULL, length == JSON_KEY_MAX);
        free(error);
        free(memory);
        json_decref(j);
    }
}

TEST(a_table_is_limited)
{
    for (int i = 0; i < 2; i++) {
        size_t length = i == 0 ? TABLE_SIZE_MAX - 64 : TABLE_SIZE_MAX;
        char *big = alloc(length), *error = NULL;
        memset(big, 'x', length);
        struct bytes table;
        json_t *j = json_object();
        json_set(j, "k", json_stringn(big, length));
        void *memory = json_make_table(j, &table, &error);
        assert_int_equal(memory != NULL, i == 0);
        assert_int_equal(error != NULL, i == 1);
        free(error);
        free(memory);
        json_decref(j);
        free(big);
    }
    uint8_t small[8];
    char *error = NULL;
    struct pen p = pen_over(small, sizeof small);
    json_t *j = read_ok("{\"a\":\"0123456789\"}");
    assert_false(json_to_table(&p, j, &error));
    assert_string_equal(error, "too large");
    free(error);
    json_decref(j);
}

TEST(hostile_documents_are_refused)
{
    expect_refused(BYTES(""), "1:0");
    expect_refused(BYTES("{\"a\":1,\n \"a\":2}"), "duplicate");
    expect_refused(BYTES("{\"a\":\n\"\xff\xfe\"}"), "2:");
    expect_refused(BYTES("{\"a\":99999999999999999999}"), "big");
    expect_refused(BYTES("{\"a\\u0000b\":1}"), "NUL");
    expect_refused(BYTES("{} x"), "end of file");
    expect_refused(BYTES("{\"a\":1"), "1:");
    expect_refused(BYTES("nope"), "1:");
    char *error = NULL;
    struct bytes table;
    json_t *list = read_ok("[1]");
    assert_null(json_make_table(list, &table, &error));
    free(error);
    json_decref(list);
}

static void put_raw(struct pen *p, struct bytes key, char type, struct bytes raw)
{
    table_put_field(p, &(struct field){.key = key, .type = type, .raw = raw});
}

TEST(what_clients_send_can_be_shown)
{
    enum { ROOM = 1024 };
    uint8_t room[ROOM];
    struct pen p = pen_over(room, sizeof room);
    put_raw(&p, BYTES("b"), 'b', BYTES("\xff"));
    put_raw(&p, BYTES("u"), 'u', BYTES("\xff\xff"));
    put_raw(&p, BYTES("f"), 'f', BYTES("\x3f\x00\x00\x00"));
    put_raw(&p, BYTES("nan"), 'd', BYTES("\x7f\xf8\x00\x00\x00\x00\x00\x00"));
    put_raw(&p, BYTES("less"), 'd', BYTES("\xff\xf0\x00\x00\x00\x00\x00\x00"));
    put_raw(&p, BYTES("D"), 'D', BYTES("\x02\x00\x00\x04\xd2"));
    put_raw(&p, BYTES("T"), 'T', BYTES("\x00\x00\x00\x00\x00\x00\x00\x05"));
    put_raw(&p, BYTES("x"), 'x', BYTES("\x00\x00\x00\x03\x00\\a"));
    table_put_string(&p, BYTES("bad"), BYTES("a\xff\\"));
    table_put_string(&p, BYTES("k\xff"), BYTES("v"));
    table_put_i64(&p, BYTES("k\0n"), 1);
    table_put_i64(&p, BYTES("twice"), 1);
    table_put_i64(&p, BYTES("twice"), 2);
    uint8_t *mark = table_open(&p, BYTES("twice"), 'F');
    table_put_i64(&p, BYTES("inner"), 3);
    table_close(&p, mark);
    assert_false(p.full);
    assert_true(table_check(pen_written(&p), TABLE_DEPTH_MAX));
    json_t *is = json_of_table(pen_written(&p));
    json_t *expected = read_ok("{\"b\":-1,\"u\":65535,\"f\":0.5,\"nan\":\"NaN\",\"less\":\"-Infinity\",\"D\":12.34,"
                               "\"T\":5,\"x\":\"\\u0000\\\\a\",\"bad\":\"a\\\\xff\\\\x5c\",\"k\\\\xff\":\"v\","
                               "\"k\\\\x00n\":1,\"twice\":1}");
    if (!json_equal(is, expected))
        fail_msg("%s", json_dumps(is, 0));
    json_decref(is);
    json_decref(expected);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_json_has_goes_there_and_back),
        cmocka_unit_test(letters_are_those_that_were_promised),
        cmocka_unit_test(sixty_four_levels_and_no_more),
        cmocka_unit_test(keys_have_255_bytes_at_most),
        cmocka_unit_test(a_table_is_limited),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(what_clients_send_can_be_shown),
    };
    return unit_main("json", tests, argc, argv);
}
