#include "broker/admin/form.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/unit/unit.h"

#define TYPE "multipart/form-data; boundary=B"

static bool finds(const char *type, const char *body, const char *name, const char *content)
{
    struct bytes found = {0};
    bool is_there = form_find(type, bytes_of_string(body), name, &found);
    if (is_there && content != NULL && !bytes_equal(found, bytes_of_string(content)))
        fail_msg("'%.*s' instead of '%s'", BYTES_ARG(found), content);
    return is_there;
}

static const char two[] = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n"
                          "Content-Type: application/json\r\n\r\n{\"a\": 1}\r\n"
                          "--B\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n/x\r\n--B--\r\n";

TEST(a_part_is_found_by_its_name)
{
    assert_true(finds(TYPE, two, "file", "{\"a\": 1}"));
    assert_true(finds(TYPE, two, "redirect", "/x"));
    assert_true(finds("Multipart/Form-Data; charset=utf-8; boundary=\"B\"", two, "file", "{\"a\": 1}"));
}

TEST(a_name_is_the_whole_name)
{
    assert_false(finds(TYPE, two, "fil", NULL));
    assert_false(finds(TYPE, two, "files", NULL));
    assert_false(finds(TYPE, two, "d.json", NULL)); /* that is a file's */
}

TEST(what_looks_like_a_boundary_but_begins_no_line_is_content)
{
    assert_true(finds(TYPE, "--B\r\nX: form-data; name=\"file\"\r\n\r\na--B b\r\n--B--\r\n", "file", "a--B b"));
}

TEST(a_part_may_be_empty_or_hold_anything)
{
    assert_true(finds(TYPE, "--B\r\nX: form-data; name=\"file\"\r\n\r\n\r\n--B--\r\n", "file", ""));
    assert_true(
        finds(TYPE, "before\r\n--B\r\nX: form-data; name=\"file\"\r\n\r\n\r\n\r\n--B--\r\nafter", "file", "\r\n"));
}

TEST(what_is_no_form_has_no_parts)
{
    static const char *const bodies[] = {"",
                                         "--B",
                                         "--B--",
                                         "--B\r\n",
                                         "--B\r\n\r\n",
                                         "--B\r\nX: form-data; name=\"file\"\r\n\r\nno end",
                                         "--B\r\nX: form-data; name=\"file\"\r\n",
                                         "--C\r\nX: form-data; name=\"file\"\r\n\r\nx\r\n--C--\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_false(finds(TYPE, bodies[i], "file", NULL));
    assert_false(finds(NULL, two, "file", NULL));
    assert_false(finds("application/json", two, "file", NULL));
    assert_false(finds("multipart/form-data", two, "file", NULL));
    assert_false(finds("multipart/form-data; boundary=", two, "file", NULL));
}

TEST(no_beginning_of_a_form_is_read_beyond_its_end)
{
    for (size_t len = 0; len < sizeof two - 1; len++) {
        struct bytes found;
        uint8_t *copy = alloc(len); /* of that size, so that a sanitizer sees who goes beyond it */
        memcpy(copy, two, len);
        bool is_there = form_find(TYPE, bytes_of(copy, len), "redirect", &found);
        if (is_there)
            assert_true(found.at >= copy && found.at + found.len <= copy + len);
        free(copy);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_found_by_its_name),
        cmocka_unit_test(a_name_is_the_whole_name),
        cmocka_unit_test(what_looks_like_a_boundary_but_begins_no_line_is_content),
        cmocka_unit_test(a_part_may_be_empty_or_hold_anything),
        cmocka_unit_test(what_is_no_form_has_no_parts),
        cmocka_unit_test(no_beginning_of_a_form_is_read_beyond_its_end),
    };
    return unit_main("admin/form", tests, argc, argv);
}
