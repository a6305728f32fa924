#include "broker/admin/asset.h"

#include <string.h>

#include "broker/admin/asset_table.h"
#include "tests/unit/unit.h"

enum { BUDGET = 150000, NAMES_MAX = 64 };

static const struct asset *find(const char *path)
{
    return asset_find(bytes_of_string(path));
}

TEST(the_empty_path_is_the_page)
{
    const struct asset *a = find("");
    assert_non_null(a);
    assert_string_equal(a->path, "index.html");
    assert_string_equal(a->type, "text/html; charset=utf-8");
    assert_memory_equal(a->at, "<!doctype html>", sizeof "<!doctype html>" - 1);
}

TEST(every_file_is_found_and_nothing_near_it)
{
    for (size_t i = 0; i < asset_count; i++) {
        char name[NAMES_MAX] = "";
        assert_true(strlen(asset_table[i].path) + 2 < sizeof name);
        strcpy(name, asset_table[i].path);
        assert_ptr_equal(find(name), &asset_table[i]);
        strcat(name, "x");
        assert_null(find(name));
        name[strlen(name) - 2] = '\0';
        assert_null(find(name));
        assert_null(asset_find((struct bytes){(const uint8_t *)asset_table[i].path, strlen(asset_table[i].path) + 1}));
    }
}

TEST(no_path_leads_out_of_the_table)
{
    static const char *const paths[] = {"/",           "/index.html", "../asset.c", "js/../index.html",
                                        "js/",         "js",          "INDEX.HTML", "./index.html",
                                        "index.html/", "\xff",        "zzz",        "a"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_null(find(paths[i]));
}

TEST(every_file_has_a_tag_of_its_own_and_is_packed)
{
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0}; /* no name, and no time */
    for (size_t i = 0; i < asset_count; i++) {
        const struct asset *a = &asset_table[i];
        size_t len = strlen(a->etag);
        assert_true(len > 2 && a->etag[0] == '"' && a->etag[len - 1] == '"');
        assert_true(a->size > 0 && a->packed_size > sizeof gzip);
        assert_memory_equal(a->packed, gzip, sizeof gzip);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(a->etag, asset_table[j].etag);
            assert_true(strcmp(asset_table[j].path, a->path) < 0);
        }
    }
}

TEST(the_page_is_small)
{
    size_t sum = 0;
    for (size_t i = 0; i < asset_count; i++)
        sum += asset_table[i].size;
    assert_true(sum < BUDGET);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_path_is_the_page),
        cmocka_unit_test(every_file_is_found_and_nothing_near_it),
        cmocka_unit_test(no_path_leads_out_of_the_table),
        cmocka_unit_test(every_file_has_a_tag_of_its_own_and_is_packed),
        cmocka_unit_test(the_page_is_small),
    };
    return unit_main("asset", tests, argc, argv);
}
