#define _GNU_SOURCE
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/losses.h"
#include "broker/port/definition.h"

static char folder[SCRATCH_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    scratch_make(folder, "losses");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

/* The lines of lost.jsonl without their times; the caller frees it. */
static char *written(unsigned *lines)
{
    char *path = str_format("%s/lost.jsonl", folder), line[1024], *all = str_format("%s", "");
    FILE *f = fopen(path, "re");
    free(path);
    assert_non_null(f);
    for (*lines = 0; fgets(line, sizeof line, f) != NULL; ++*lines) {
        const char *rest = strchr(line, ',');
        assert_non_null(rest);
        if (*lines >= 3)
            continue;
        char *more = str_format("%s%s", all, rest + 1);
        free(all);
        all = more;
    }
    fclose(f);
    return all;
}

TEST(each_is_a_line_that_a_program_can_read)
{
    const struct spec spec = {.name = BYTES("my \"q\"\n"), .durable = true};
    struct definition *d = definition_define(DEFINE_QUEUE, 7, BYTES("/"), &spec);
    const struct store_loss known = {.queue = 7,
                                     .definition = d->key,
                                     .messages = 2,
                                     .bytes = 30,
                                     .first_lsn = 4,
                                     .last_lsn = 5,
                                     .file = "journal-1",
                                     .offset = 64,
                                     .reason = "its checksum does not hold"};
    const struct store_loss unknown = {.messages = 3, .first_lsn = 8, .last_lsn = 10, .reason = "gone"};
    struct losses *l = losses_create(folder);
    losses_add(l, &known);
    losses_add(l, &unknown);
    losses_warn(l);
    losses_destroy(l);
    unsigned lines;
    char *text = written(&lines);
    assert_int_equal(lines, 2);
    assert_string_equal(text, "\"vhost\":\"/\",\"queue\":\"my \\u0022q\\u0022\\u000a\",\"file\":\"journal-1\","
                              "\"reason\":\"its checksum does not hold\",\"queue_id\":7,\"first_lsn\":4,"
                              "\"last_lsn\":5,\"messages\":2,\"bytes\":30,\"offset\":64}\n"
                              "\"vhost\":null,\"queue\":null,\"file\":null,\"reason\":\"gone\",\"queue_id\":0,"
                              "\"first_lsn\":8,\"last_lsn\":10,\"messages\":3,\"bytes\":0,\"offset\":0}\n");
    free(text);
    free(d);
}

TEST(nothing_is_written_when_nothing_is_lost)
{
    struct losses *l = losses_create(folder);
    losses_warn(l);
    losses_destroy(l);
    char *path = str_format("%s/lost.jsonl", folder);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

TEST(however_much_is_lost_the_report_is_not_endless)
{
    struct losses *l = losses_create(folder);
    log_set_level(LOG_NO_LEVEL);
    for (uint64_t i = 1; i <= LOSSES_LINES_MAX + 100; i++)
        losses_add(l, &(struct store_loss){.queue = i, .messages = 1, .reason = "gone"});
    losses_warn(l);
    losses_destroy(l);
    log_set_level(LOG_INFO_LEVEL);
    unsigned lines;
    free(written(&lines));
    assert_int_equal(lines, LOSSES_LINES_MAX);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(each_is_a_line_that_a_program_can_read),
        IN_FOLDER(nothing_is_written_when_nothing_is_lost),
        IN_FOLDER(however_much_is_lost_the_report_is_not_endless),
    };
    return unit_main("losses", tests, argc, argv);
}
