#define _GNU_SOURCE
#include "base/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

enum { WRITERS_MAX = 4, LINES_MAX = 20000 };

static char folder[SCRATCH_PATH_MAX], path[96];
static unsigned synced; /* calls of fsync() */

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    synced++;
    return __real_fsync(fd);
}

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

/* The nth old file's name; 0: the one that is written. */
static const char *old(unsigned nth)
{
    static char name[128];
    snprintf(name, sizeof name, nth == 0 ? "%s" : "%s.%u", path, nth);
    return name;
}

static bool exists(unsigned nth)
{
    return access(old(nth), F_OK) == 0;
}

static long size_of(unsigned nth)
{
    struct stat st;
    return stat(old(nth), &st) == 0 ? (long)st.st_size : -1;
}

static void write_numbered(unsigned writer, uint64_t number)
{
    struct audit a = {.action = writer < WRITERS_MAX ? (const char *[]){"0", "1", "2", "3"}[writer] : "other",
                      .user = BYTES("alice"),
                      .count = number,
                      .has_count = true};
    audit_write(&a);
}

/* What is in the files: of each writer the numbers 0 to n in their order, if nothing was lost. */
struct found {
    uint64_t next[WRITERS_MAX]; /* the number that comes next */
    uint64_t lines, lost, out_of_order, not_json;
};

static void take_line(struct found *f, const char *line)
{
    json_t *j = json_loads(line, 0, NULL);
    if (j == NULL) {
        f->not_json++;
        return;
    }
    const char *action = json_string_value(json_object_get(j, "action"));
    uint64_t number = (uint64_t)json_integer_value(json_object_get(j, "count"));
    if (strcmp(action, "audit.lost") == 0) {
        f->lost += number;
    } else {
        unsigned writer = (unsigned)(action[0] - '0');
        f->lines++;
        f->out_of_order += number != f->next[writer];
        f->next[writer] = number + 1;
    }
    json_decref(j);
}

static void take_file(struct found *f, const char *name)
{
    FILE *file = fopen(name, "r");
    char line[AUDIT_LINE_MAX + 2];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        take_line(f, line);
    if (file != NULL)
        fclose(file);
}

static struct found find_lines(unsigned keep)
{
    struct found f = {0};
    for (unsigned n = keep + 1; n-- > 0;)
        take_file(&f, old(n));
    return f;
}

static void assert_all(struct found f, uint64_t lines)
{
    assert_int_equal(f.not_json, 0);
    assert_int_equal(f.out_of_order, 0);
    assert_int_equal(f.lost, 0);
    assert_int_equal(f.lines, lines);
}

TEST(nothing_happens_while_it_is_off)
{
    assert_false(audit_is_on());
    write_numbered(0, 0);
    audit_flush();
    assert_int_equal(audit_reopen(), 0);
    audit_close();
    assert_false(exists(0));
}

TEST(lines_wait_for_the_flush_and_nobody_else_may_read_them)
{
    umask(0);
    assert_int_equal(audit_open(path, 0, 0), 0);
    assert_true(audit_is_on());
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    for (unsigned i = 0; i < 10; i++)
        write_numbered(0, i);
    assert_int_equal(size_of(0), 0);
    audit_flush();
    assert_all(find_lines(0), 10);
    write_numbered(0, 10);
    audit_close();
    assert_all(find_lines(0), 11);
}

TEST(many_lines_do_not_wait)
{
    assert_int_equal(audit_open(path, 0, 0), 0);
    for (unsigned i = 0; i < 1000; i++)
        write_numbered(0, i);
    assert_true(size_of(0) >= AUDIT_FLUSH_BYTES);
    audit_flush();
    assert_all(find_lines(0), 1000);
}

TEST(what_was_there_stays)
{
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 0);
    audit_close();
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 1);
    audit_close();
    assert_all(find_lines(0), 2);
}

TEST(half_a_line_of_a_crash_is_closed_before_the_next)
{
    FILE *f = fopen(path, "w");
    fputs("{\"time\":\"2026-", f);
    fclose(f);
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 0);
    audit_close();
    struct found found = find_lines(0);
    assert_int_equal(found.not_json, 1);
    assert_int_equal(found.lines, 1);
}

TEST(refuses_what_cannot_be)
{
    assert_int_equal(audit_open(path, 1000, 0), -EINVAL);
    assert_int_equal(audit_open(path, 1000, AUDIT_KEEP_MAX + 1), -EINVAL);
    assert_int_equal(audit_open(folder, 0, 0), -EISDIR);
    assert_int_equal(audit_open("/nowhere/audit.log", 0, 0), -ENOENT);
    assert_false(audit_is_on());
}

TEST(reopen_makes_the_file_anew)
{
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 0);
    audit_flush();
    write_numbered(0, 1);
    assert_int_equal(rename(path, old(1)), 0);
    write_numbered(0, 2);
    assert_int_equal(audit_reopen(), 0);
    write_numbered(0, 3);
    audit_flush();
    struct found moved = {0};
    take_file(&moved, old(1));
    assert_int_equal(moved.lines, 3);
    assert_all(find_lines(1), 4);
}

TEST(a_reopen_that_fails_goes_on_with_the_old_file)
{
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 0);
    assert_int_equal(rename(path, old(1)), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(audit_reopen(), -EISDIR);
    write_numbered(0, 1);
    audit_flush();
    struct found f = {0};
    take_file(&f, old(1));
    assert_all(f, 2);
    assert_int_equal(audit_lost(), 0);
}

TEST(files_become_old_and_the_oldest_goes)
{
    assert_int_equal(audit_open(path, 1000, 3), 0);
    for (unsigned i = 0; i < 100; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    for (unsigned n = 0; n <= 3; n++) {
        assert_in_range(size_of(n), 1, 1000);
        assert_true(n == 0 || size_of(n) > 900);
    }
    assert_false(exists(4));
    struct found f = find_lines(3);
    assert_int_equal(f.next[0], 100); /* the newest are there, in order; there is one gap, at the beginning */
    assert_int_equal(f.out_of_order, 1);
    assert_in_range(f.lines, 30, 50);
    assert_int_equal(audit_lost(), 0);
}

TEST(a_file_is_synced_before_it_becomes_old)
{
    assert_int_equal(audit_open(path, 200, 2), 0);
    write_numbered(0, 0);
    audit_flush();
    synced = 0;
    write_numbered(0, 1);
    audit_flush();
    assert_false(exists(1));
    assert_int_equal(synced, 0);
    write_numbered(0, 2);
    audit_flush();
    assert_true(exists(1));
    assert_int_equal(synced, 2); /* file and folder */
}

TEST(an_empty_file_never_becomes_old)
{
    assert_int_equal(audit_open(path, 100, 2), 0);
    for (unsigned i = 0; i < 10; i++)
        write_numbered(0, i);
    audit_flush(); /* at once, and more than a file should have */
    assert_false(exists(1));
    assert_all(find_lines(0), 10);
}

TEST(without_a_limit_it_is_never_rotated)
{
    assert_int_equal(audit_open(path, 0, 0), 0);
    for (unsigned i = 0; i < 10000; i++)
        write_numbered(0, i);
    audit_flush();
    assert_false(exists(1));
    assert_all(find_lines(0), 10000);
}

TEST(a_rotation_that_fails_loses_nothing)
{
    assert_int_equal(mkdir(old(1), 0700), 0);
    assert_int_equal(audit_open(path, 1000, 1), 0);
    for (unsigned i = 0; i < 100; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    assert_int_equal(audit_lost(), 0);
    assert_all(find_lines(0), 100);
    assert_int_equal(rmdir(old(1)), 0);
    for (unsigned i = 100; i < 104; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    assert_true(exists(1));
    assert_all(find_lines(1), 104);
}

/* Files can be renamed, and none opened. */
TEST(half_a_rotation_again_and_again_costs_no_old_file)
{
    assert_int_equal(audit_open(path, 1000, 20), 0);
    for (unsigned i = 0; i < 100; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 0, .rlim_max = files.rlim_max});
    for (unsigned i = 100; i < 400; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    setrlimit(RLIMIT_NOFILE, &files);
    assert_false(exists(0));
    for (unsigned i = 400; i < 410; i++) {
        write_numbered(0, i);
        audit_flush();
    }
    assert_true(exists(0));
    assert_int_equal(audit_lost(), 0);
    assert_all(find_lines(20), 410);
}

static void *write_many(void *arg)
{
    unsigned writer = *(const unsigned *)arg;
    for (uint64_t i = 0; i < LINES_MAX; i++) {
        write_numbered(writer, i);
        if (i % 64 == 0)
            audit_flush();
    }
    return NULL;
}

TEST(rotation_under_many_writers_loses_no_line)
{
    enum { KEEP = 200 };
    pthread_t threads[WRITERS_MAX];
    static unsigned names[WRITERS_MAX];
    assert_int_equal(audit_open(path, 64 * 1024, KEEP), 0);
    for (unsigned i = 0; i < WRITERS_MAX; i++) {
        names[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &names[i]), 0);
    }
    for (unsigned i = 0; i < 50; i++)
        audit_reopen();
    for (unsigned i = 0; i < WRITERS_MAX; i++)
        pthread_join(threads[i], NULL);
    audit_close();
    assert_true(exists(20));
    assert_false(exists(KEEP)); /* or some could be gone */
    assert_all(find_lines(KEEP), (uint64_t)WRITERS_MAX * LINES_MAX);
}

TEST(a_full_disk_stops_nobody_and_is_counted)
{
    assert_int_equal(audit_open("/dev/full", 100, 3), 0);
    for (unsigned i = 0; i < 10000; i++)
        write_numbered(0, i);
    audit_flush();
    assert_int_equal(audit_lost(), 10000);
    audit_close();
    assert_int_equal(access("/dev/full.1", F_OK), -1);
}

/* A limit on the file's size stands for the disk: a write gets so far and no further. */
TEST(what_could_not_be_written_is_told_when_it_can_and_no_line_is_half)
{
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(audit_open(path, 0, 0), 0);
    write_numbered(0, 0);
    audit_flush();
    struct rlimit size;
    getrlimit(RLIMIT_FSIZE, &size);
    for (unsigned i = 1; i < 100; i++) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = (rlim_t)size_of(0) + i, .rlim_max = size.rlim_max});
        write_numbered(1, 0);
        write_numbered(1, 1);
        audit_flush();
        setrlimit(RLIMIT_FSIZE, &size);
        write_numbered(0, i);
        audit_flush();
    }
    struct found f = find_lines(0);
    assert_int_equal(f.not_json, 0);
    assert_int_equal(f.next[0], 100);
    assert_int_equal(f.lost, audit_lost());
    assert_int_equal(f.lines, 100 + 2 * 99 - f.lost);
    assert_true(f.lost >= 2 * 80);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    log_set_level(LOG_NO_LEVEL);
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(nothing_happens_while_it_is_off),
        WITH_FOLDER(lines_wait_for_the_flush_and_nobody_else_may_read_them),
        WITH_FOLDER(many_lines_do_not_wait),
        WITH_FOLDER(what_was_there_stays),
        WITH_FOLDER(half_a_line_of_a_crash_is_closed_before_the_next),
        WITH_FOLDER(refuses_what_cannot_be),
        WITH_FOLDER(reopen_makes_the_file_anew),
        WITH_FOLDER(a_reopen_that_fails_goes_on_with_the_old_file),
        WITH_FOLDER(files_become_old_and_the_oldest_goes),
        WITH_FOLDER(a_file_is_synced_before_it_becomes_old),
        WITH_FOLDER(an_empty_file_never_becomes_old),
        WITH_FOLDER(without_a_limit_it_is_never_rotated),
        WITH_FOLDER(a_rotation_that_fails_loses_nothing),
        WITH_FOLDER(half_a_rotation_again_and_again_costs_no_old_file),
        WITH_FOLDER(rotation_under_many_writers_loses_no_line),
        WITH_FOLDER(a_full_disk_stops_nobody_and_is_counted),
        WITH_FOLDER(what_could_not_be_written_is_told_when_it_can_and_no_line_is_half),
    };
    return unit_main("base/audit", tests, argc, argv);
}
