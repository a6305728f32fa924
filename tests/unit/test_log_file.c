#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_file.h"
#include "base/str.h"

static const struct log_rotation never;

struct place {
    char dir[64];
    char *path;
};

static struct place place_make(void)
{
    struct place p = {.dir = "/tmp/millrace-log-XXXXXX"};
    assert_non_null(mkdtemp(p.dir));
    p.path = str_format("%s/m.log", p.dir);
    return p;
}

static char *path_in(const struct place *p, const char *name)
{
    return str_format("%s/%s", p->dir, name);
}

/* What is in a file of that place; NULL: it is not there. */
static char *content(const struct place *p, const char *name)
{
    char *path = path_in(p, name), *text = NULL;
    FILE *f = fopen(path, "re");
    size_t size = 0;
    if (f != NULL && getdelim(&text, &size, '\0', f) < 0)
        text = strcpy(realloc(text, 1), "");
    if (f != NULL)
        fclose(f);
    free(path);
    return text;
}

static void assert_content(const struct place *p, const char *name, const char *expect)
{
    char *text = content(p, name);
    if (expect == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expect);
    free(text);
}

static void place_drop(struct place *p)
{
    static const char *const names[] = {"m.log", "m.log.0", "m.log.1", "m.log.2", "away"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = path_in(p, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(p->dir);
    free(p->path);
}

static struct log_file *create(const struct place *p, uint64_t max, unsigned keep, const struct log_rotation *when)
{
    int error = 0;
    struct log_file *f = log_file_create(p->path, max, keep, when, &error);
    assert_int_equal(error, 0);
    return f;
}

static void put(struct log_file *f, const char *line)
{
    log_file_write(f, line, strlen(line), time(NULL));
}

TEST(lines_are_appended_to_what_is_there)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 0, 3, &never);
    put(f, "a\n");
    log_file_destroy(f);
    f = create(&p, 0, 3, &never);
    put(f, "b\n");
    assert_content(&p, "m.log", "a\nb\n");
    assert_int_equal(log_file_lost(f), 0);
    log_file_destroy(f);
    place_drop(&p);
}

TEST(after_a_rename_no_line_is_lost)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 0, 3, &never);
    char *away = path_in(&p, "away");
    put(f, "a\n");
    assert_int_equal(rename(p.path, away), 0);
    put(f, "b\n");
    assert_int_equal(log_file_reopen(f), 0);
    put(f, "c\n");
    assert_content(&p, "away", "a\nb\n");
    assert_content(&p, "m.log", "c\n");
    log_file_destroy(f);
    free(away);
    place_drop(&p);
}

TEST(what_cannot_be_opened_anew_goes_on)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 0, 3, &never);
    char *away = path_in(&p, "away");
    assert_int_equal(rename(p.path, away), 0);
    assert_int_equal(mkdir(p.path, 0700), 0);
    assert_true(log_file_reopen(f) < 0);
    put(f, "a\n");
    assert_content(&p, "away", "a\n");
    rmdir(p.path);
    log_file_destroy(f);
    free(away);
    place_drop(&p);
}

TEST(a_large_file_is_renamed_and_so_many_are_kept)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 4, 2, &never);
    put(f, "a\nb\n");
    put(f, "c\n");
    assert_content(&p, "m.log.0", "a\nb\n");
    put(f, "d\n");
    put(f, "e\n");
    put(f, "f\n");
    put(f, "a line that is larger alone\n");
    assert_content(&p, "m.log", "a line that is larger alone\n");
    assert_content(&p, "m.log.0", "e\nf\n");
    assert_content(&p, "m.log.1", "c\nd\n");
    assert_content(&p, "m.log.2", NULL);
    log_file_destroy(f);
    place_drop(&p);
}

TEST(without_old_ones_it_is_emptied)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 4, 0, &never);
    put(f, "a\nb\n");
    put(f, "c\n");
    assert_content(&p, "m.log", "c\n");
    assert_content(&p, "m.log.0", NULL);
    log_file_destroy(f);
    place_drop(&p);
}

static time_t moment(const char *text)
{
    struct tm t = {.tm_isdst = -1};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &t));
    return mktime(&t);
}

/* 2026-11-22 is a Sunday. */
TEST(the_next_time_is_found)
{
    static const struct {
        const char *rule, *now, *next;
    } all[] = {
        {"$D0", "2026-11-22 10:00:00", "2026-11-23 00:00:00"},
        {"$D0", "2026-11-22 00:00:00", "2026-11-23 00:00:00"},
        {"$D23", "2026-11-22 22:59:59", "2026-11-22 23:00:00"},
        {"$H30", "2026-11-22 10:29:59", "2026-11-22 10:30:00"},
        {"$H30", "2026-11-22 10:30:00", "2026-11-22 11:30:00"},
        {"$H0", "2026-12-31 23:59:59", "2027-01-01 00:00:00"},
        {"$W0", "2026-11-22 00:00:00", "2026-11-29 00:00:00"},
        {"$W0D23", "2026-11-22 10:00:00", "2026-11-22 23:00:00"},
        {"$W3", "2026-11-22 10:00:00", "2026-11-25 00:00:00"},
        {"$M1", "2026-11-22 10:00:00", "2026-12-01 00:00:00"},
        {"$M1D4", "2026-12-01 03:59:59", "2026-12-01 04:00:00"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct log_rotation r;
        assert_true(log_rotation_parse(all[i].rule, &r));
        assert_int_equal(log_rotation_next(&r, moment(all[i].now)), moment(all[i].next));
    }
}

TEST(what_is_no_time_is_refused)
{
    static const char *const all[] = {"D0",   "$",     "$X1", "$D24", "$H60", "$W7",
                                      "$W1D", "$W1H3", "$M0", "$M32", "$D0 ", "$D"};
    struct log_rotation r;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_false(log_rotation_parse(all[i], &r));
    assert_true(log_rotation_parse("", &r));
    assert_int_equal(log_rotation_next(&r, time(NULL)), 0);
}

TEST(a_file_whose_day_is_over_is_renamed_with_the_next_line)
{
    struct place p = place_make();
    struct log_rotation daily;
    assert_true(log_rotation_parse("$D0", &daily));
    struct log_file *f = create(&p, 0, 2, &daily);
    time_t midnight = log_rotation_next(&daily, time(NULL));
    log_file_write(f, "a\n", 2, midnight - 1);
    log_file_write(f, "b\n", 2, midnight);
    log_file_write(f, "c\n", 2, midnight + 1);
    assert_content(&p, "m.log.0", "a\n");
    assert_content(&p, "m.log", "b\nc\n");
    log_file_destroy(f);
    place_drop(&p);
}

TEST(the_log_writes_to_a_file_what_its_levels_let_through)
{
    struct place p = place_make();
    struct log_file *f = create(&p, 0, 2, &never);
    log_set_output_level(LOG_TO_CONSOLE, LOG_NO_LEVEL);
    log_info("main", "before there is a file");
    log_set_file(f);
    log_set_output_level(LOG_TO_FILE, LOG_INFO_LEVEL);
    log_debug("main", "no");
    log_info("main", "yes");
    log_set_category_level(LOG_CHANNEL, LOG_ERROR_LEVEL);
    log_write_in(LOG_CHANNEL, LOG_WARNING_LEVEL, "main", "no");
    log_write_in(LOG_CHANNEL, LOG_ERROR_LEVEL, "main", "channel");
    log_set_level(LOG_NO_LEVEL);
    log_error("main", "no");
    assert_false(log_is_on(LOG_ERROR_LEVEL));
    log_set_level(LOG_DEBUG_LEVEL);
    log_set_output_level(LOG_TO_FILE, LOG_NO_LEVEL);
    log_set_file(NULL);
    char *text = content(&p, "m.log");
    assert_null(strstr(text, "before"));
    assert_null(strstr(text, "no"));
    assert_non_null(strstr(text, "[info] <main> yes\n"));
    assert_non_null(strstr(text, "[error] <main> channel\n"));
    free(text);
    log_file_destroy(f);
    place_drop(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_appended_to_what_is_there),
        cmocka_unit_test(after_a_rename_no_line_is_lost),
        cmocka_unit_test(what_cannot_be_opened_anew_goes_on),
        cmocka_unit_test(a_large_file_is_renamed_and_so_many_are_kept),
        cmocka_unit_test(without_old_ones_it_is_emptied),
        cmocka_unit_test(the_next_time_is_found),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_file_whose_day_is_over_is_renamed_with_the_next_line),
        cmocka_unit_test(the_log_writes_to_a_file_what_its_levels_let_through),
    };
    setenv("TZ", "UTC", 1);
    return unit_main("log_file", tests, argc, argv);
}
