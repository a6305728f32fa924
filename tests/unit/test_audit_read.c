#define _GNU_SOURCE
#include "base/audit_read.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/audit.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static char folder[SCRATCH_PATH_MAX], path[96];

static int set_up(void **unused)
{
    (void)unused;
    scratch_make(folder, "audit");
    snprintf(path, sizeof path, "%s/audit.log", folder);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    audit_close();
    return scratch_remove(folder);
}

static void put(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        audit_write(&(struct audit){.action = "queue.purge", .count = i, .has_count = true});
        audit_flush();
    }
}

/* What is told: counts that go down by one, from `next` on. */
struct told {
    int64_t next;
    unsigned n, most; /* of one call */
};

static bool on_line(struct bytes line, void *arg)
{
    struct told *t = arg;
    const char *count = memmem(line.at, line.len, "\"count\":", 8);
    assert_non_null(count);
    assert_int_equal(line.at[line.len - 1], '}');
    assert_int_equal(strtoll(count + 8, NULL, 10), t->next);
    t->next--;
    t->n++;
    return t->n % t->most != 0;
}

TEST(all_files_are_read_the_newest_line_first)
{
    struct audit_place place = {0};
    struct told t = {.next = 2999, .most = UINT32_MAX};
    assert_int_equal(audit_open(path, 20000, 100), 0);
    put(0, 3000);
    assert_false(audit_read(&place, on_line, &t));
    assert_int_equal(t.n, 3000);
    assert_false(audit_read(&place, on_line, &t));
    assert_int_equal(t.n, 3000);
}

TEST(pages_follow_each_other_though_files_are_rotated_between_them)
{
    struct audit_place place = {0};
    struct told t = {.next = 999, .most = 7};
    assert_int_equal(audit_open(path, 10000, 100), 0);
    put(0, 1000);
    for (unsigned later = 1000; audit_read(&place, on_line, &t); later += 50)
        put(later, later + 50);
    assert_int_equal(t.next, -1);
    assert_int_equal(t.n, 1000);
}

TEST(a_large_file_is_read_in_bounded_pieces)
{
    enum { LINES = 120000 }; /* about 9 MB */
    struct audit_place place = {0};
    struct told t = {.next = LINES - 1, .most = UINT32_MAX};
    unsigned calls = 1;
    assert_int_equal(audit_open(path, 0, 1), 0);
    for (unsigned i = 0; i < LINES; i++)
        audit_write(&(struct audit){.action = "queue.purge", .count = i, .has_count = true});
    while (audit_read(&place, on_line, &t))
        calls++;
    assert_int_equal(t.n, LINES);
    assert_true(calls >= 2 && calls < 10);
}

static unsigned lines, bytes;

static bool on_any(struct bytes line, void *unused)
{
    (void)unused;
    lines++;
    bytes += (unsigned)line.len;
    return true;
}

TEST(nonsense_in_the_file_is_passed_over)
{
    struct audit_place place = {0};
    char block[4096];
    assert_int_equal(audit_open(path, 0, 1), 0);
    put(0, 3);
    int fd = open(path, O_WRONLY | O_APPEND);
    memset(block, 'x', sizeof block);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    assert_int_equal(write(fd, "\n\n\nhalf", 7), 7);
    close(fd);
    lines = bytes = 0;
    assert_false(audit_read(&place, on_any, NULL));
    assert_true(lines >= 4 && lines < 10 && bytes < 80 * 1024);
}

TEST(nothing_is_read_where_there_is_no_log)
{
    struct audit_place place = {0}, gone = {.inode = 12345, .offset = 10};
    lines = 0;
    assert_false(audit_read(&place, on_any, NULL));
    assert_int_equal(audit_open(path, 0, 1), 0);
    put(0, 3);
    assert_false(audit_read(&gone, on_any, NULL));
    assert_int_equal(lines, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_files_are_read_the_newest_line_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_follow_each_other_though_files_are_rotated_between_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_large_file_is_read_in_bounded_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_in_the_file_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_read_where_there_is_no_log, set_up, tear_down),
    };
    return unit_main("base/audit_read", tests, argc, argv);
}
