/* millrace-store against stores whose contents are known, whole and damaged. */
#define _GNU_SOURCE
#include "tests/tool/workshop.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "broker/store/backup.h"
#include "broker/store/format.h"

TEST(a_store_that_was_closed_is_clean)
{
    struct stock k;
    char *path = workshop_folder("clean");
    workshop_fill(&k, path, 1, 3000, true);
    int status = workshop_verify(path);
    if (status != 0)
        workshop_show_said();
    assert_int_equal(status, 0);
    assert_int_equal(workshop_open(&k, path).wrong, 0);
    stock_free(&k);
    free(path);
}

TEST(one_whose_broker_was_killed_has_lost_nothing)
{
    for (uint64_t seed = 10; seed < 15; seed++) {
        struct stock k;
        char *path = workshop_folder("killed");
        workshop_fill(&k, path, seed, 2000, false);
        int status = workshop_verify(path);
        if (status > 1)
            workshop_show_said();
        assert_in_range(status, 0, 1);
        assert_int_equal(workshop_open(&k, path).wrong, 0);
        stock_free(&k);
        free(path);
    }
}

TEST(nothing_below_the_folder_changes)
{
    struct stock k;
    char *path = workshop_folder("readonly");
    workshop_fill(&k, path, 2, 2000, false);
    uint32_t before = workshop_fingerprint(path);
    workshop_verify(path);
    workshop_run("%s dump %s >/dev/null", workshop_tool, path);
    workshop_run("%s dump --json %s >/dev/null", workshop_tool, path);
    workshop_run("%s stat %s >/dev/null", workshop_tool, path);
    workshop_run("%s extract %s >/dev/null", workshop_tool, path);
    assert_int_equal(workshop_run("%s repair %s %s-repaired >/dev/null", workshop_tool, path, path), 0);
    assert_int_equal(workshop_run("%s backup %s %s-copy >/dev/null", workshop_tool, path, path), 0);
    assert_int_equal(workshop_fingerprint(path), before);
    stock_free(&k);
    free(path);
}

TEST(a_folder_that_is_no_store_has_an_exit_code)
{
    assert_int_equal(workshop_verify("/nonexistent/millrace"), 3);
    assert_int_equal(workshop_run("%s verify 2>/dev/null", workshop_tool), 64);
    assert_int_equal(workshop_run("%s nonsense . 2>/dev/null", workshop_tool), 64);
}

TEST(a_newer_format_is_not_guessed_at)
{
    struct stock k;
    char *path = workshop_folder("newer");
    workshop_fill(&k, path, 20, 10, true);
    /* A new major version with the right sum. */
    char *file = str_format("%s/checkpoint-a-0000000000000001", path);
    uint8_t header[FORMAT_FILE_HEADER];
    struct file_header h;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    assert_int_equal(file_header_decode(header, &h), HEADER_FINE);
    h.major++;
    file_header_encode(header, &h);
    assert_int_equal(pwrite(fd, header, sizeof header, 0), sizeof header);
    close(fd);
    assert_int_equal(workshop_verify(path), 3);
    stock_free(&k);
    free(file);
    free(path);
}

static uint64_t count_lines(const char *file)
{
    char *path = str_format("%s/%s", workshop_path(), file);
    FILE *f = fopen(path, "re");
    uint64_t n = 0;
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    free(path);
    return n;
}

TEST(all_messages_are_extracted)
{
    struct stock k;
    char *path = workshop_folder("extract");
    workshop_fill(&k, path, 21, 2000, true);
    assert_int_equal(workshop_run("%s extract %s >%s/lines", workshop_tool, path, workshop_path()), 0);
    assert_int_equal(count_lines("lines"), stock_count(&k));
    assert_int_equal(
        workshop_run("%s extract --vhost / --queue orders --to %s/files %s", workshop_tool, workshop_path(), path), 0);
    assert_int_equal(
        workshop_run("cd %s/files/queue-1 && ls | sed -n 's/.body$//p' >%s/names", workshop_path(), workshop_path()),
        0);
    uint64_t orders = 0;
    for (size_t i = 0; i < k.queues[0].n; i++)
        orders += !k.queues[0].messages[i].is_gone;
    assert_int_equal(count_lines("names"), orders);
    assert_int_equal(workshop_run("%s extract --queue unknown %s 2>/dev/null", workshop_tool, path), 5);
    stock_free(&k);
    free(path);
}

TEST(json_is_json)
{
    struct stock k;
    char *path = workshop_folder("json");
    workshop_fill(&k, path, 22, 500, false);
    assert_int_equal(workshop_run("%s verify --json %s >%s/v && %s stat --json %s >%s/s && %s dump --json %s >%s/d",
                                  workshop_tool, path, workshop_path(), workshop_tool, path, workshop_path(),
                                  workshop_tool, path, workshop_path()),
                     0);
    assert_int_equal(count_lines("v"), 1);
    assert_int_equal(count_lines("s"), 1);
    assert_int_equal(workshop_run("grep -q '^{\"verdict\":\"clean\",\"lost_messages\":0,' %s/v", workshop_path()), 0);
    assert_int_equal(workshop_run("! grep -v '^{.*}$' %s/d", workshop_path()), 0);
    stock_free(&k);
    free(path);
}

/* ---- Repair and backup. */

TEST(a_repaired_store_has_what_the_old_one_had)
{
    for (unsigned is_clean = 0; is_clean < 2; is_clean++) {
        struct stock k;
        char *path = workshop_folder("old"), *new = str_format("%s/new-%u", workshop_path(), is_clean);
        char *store = str_format("%s/store", new);
        workshop_fill(&k, path, 23 + is_clean, 2500, is_clean);
        assert_int_equal(workshop_run("%s repair %s %s >/dev/null", workshop_tool, path, new), 0);
        assert_int_equal(workshop_verify(new), 0);
        assert_int_equal(workshop_open(&k, store).wrong, 0);
        assert_int_equal(workshop_run("%s repair %s %s >/dev/null 2>&1", workshop_tool, path, new), 5);
        stock_free(&k);
        free(store);
        free(new);
        free(path);
    }
}

TEST(a_copy_of_a_store_that_is_not_at_work_is_like_it)
{
    struct stock k;
    char *path = workshop_folder("still");
    workshop_fill(&k, path, 30, 2500, false);
    assert_int_equal(workshop_run("%s backup %s %s/still-copy >/dev/null", workshop_tool, path, workshop_path()), 0);
    assert_int_equal(workshop_run("test $(stat -c %%a %s/still-copy) = 700", workshop_path()), 0);
    char *copy = str_format("%s/still-copy/store", workshop_path());
    assert_int_equal(workshop_verify(copy), 0);
    assert_int_equal(workshop_open(&k, copy).wrong, 0);
    assert_int_equal(workshop_run("%s backup %s %s/still-copy 2>/dev/null", workshop_tool, path, workshop_path()), 5);
    stock_free(&k);
    free(copy);
    free(path);
}

/* What must be in a stock at one moment. */
static void remember(struct stock *to, const struct stock *k)
{
    *to = *k;
    to->store = NULL;
    to->disk = NULL;
    for (unsigned i = 0; i < STOCK_QUEUES; i++) {
        const struct stock_queue *q = &k->queues[i];
        to->queues[i].messages = q->n == 0 ? NULL : alloc_copy(q->messages, q->n * sizeof *q->messages);
    }
}

/* Works on until the plan is there; what must be in the copy is in *then.  The mark is where the plan says. */
static const struct backup *reach_mark(struct stock *k, struct stock *then)
{
    const struct backup *b = NULL;
    struct stock moments[40];
    unsigned n = 0;
    store_backup_begin(k->store);
    while (b == NULL && n < sizeof moments / sizeof moments[0]) {
        remember(&moments[n++], k);
        stock_fill(k, 10); /* in one group */
        b = store_backup_ready(k->store);
    }
    assert_non_null(b);
    bool is_known = false;
    for (unsigned i = 0; i < n; i++) {
        if (!is_known && moments[i].position == b->position) {
            *then = moments[i];
            is_known = true;
        } else {
            stock_free(&moments[i]);
        }
    }
    assert_true(is_known);
    return b;
}

struct copying {
    const struct backup *backup;
    struct disk *from, *to;
    struct backup_result result;
    char *text;
    bool is_fine;
    atomic_bool is_over;
};

static void *copy_run(void *arg)
{
    struct copying *c = arg;
    c->is_fine = backup_copy(c->backup, c->from, c->to, NULL, &c->result, &c->text);
    atomic_store(&c->is_over, true);
    return NULL;
}

TEST(a_copy_that_is_made_at_work_is_the_state_at_its_mark)
{
    for (uint64_t seed = 40; seed < 50; seed++) {
        struct stock k, then;
        struct copying c = {0};
        struct backup_target t;
        pthread_t thread;
        char *path = workshop_folder("busy"),
             *copy = str_format("%s/busy-%llu", workshop_path(), (unsigned long long)seed);
        stock_open(&k, path, seed);
        stock_fill(&k, 1500);
        c.backup = reach_mark(&k, &then);
        assert_int_equal(backup_target_make(&t, copy), 0);
        c.from = k.disk;
        c.to = t.disk;
        stock_fill(&k, 1000); /* segments fill, packs come and go */
        assert_int_equal(pthread_create(&thread, NULL, copy_run, &c), 0);
        while (!atomic_load(&c.is_over))
            stock_fill(&k, 20);
        pthread_join(thread, NULL);
        if (!c.is_fine)
            print_message("# %s\n", c.text);
        assert_true(c.is_fine);
        assert_int_equal(c.result.lost, 0);
        store_backup_end(k.store);
        assert_int_equal(backup_target_keep(&t), 0);
        assert_int_equal(workshop_verify(copy), 0);
        char *store = str_format("%s/store", copy);
        assert_int_equal(workshop_open(&then, store).wrong, 0);
        stock_close(&k, true);
        assert_int_equal(workshop_verify(path), 0);
        assert_int_equal(workshop_open(&k, path).wrong, 0);
        stock_free(&then);
        stock_free(&k);
        free(store);
        free(copy);
        free(path);
    }
}

/* ---- Files that are the store's by name only. */

TEST(a_file_with_a_strange_number_changes_nothing)
{
    static const char *const names[] = {"journal-ffffffffffffffff",      "journal-00000000ffffffff",
                                        "journal-00000000000fffff",      "journal-0x00000000000001",
                                        "pack-ffffffffffffffff",         "spare-ffffffffffffffff",
                                        "checkpoint-a-ffffffffffffffff", "checkpoint-b-7fffffffffffffff"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stock k;
        char *path = workshop_folder("strange");
        workshop_fill(&k, path, 40 + i, 2000, i % 2 == 0);
        assert_int_equal(workshop_run(": >%s/%s", path, names[i]), 0);
        for (unsigned times = 0; times < 2; times++) {
            struct workshop_outcome o = workshop_open(&k, path);
            assert_true(o.is_open);
            assert_int_equal(o.wrong, 0);
            assert_int_equal(o.losses, 0);
            stock_reopen(&k);
            stock_fill(&k, 500);
            stock_close(&k, times == 0);
        }
        assert_int_equal(workshop_open(&k, path).wrong, 0);

        stock_free(&k);
        free(path);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_was_closed_is_clean),
        cmocka_unit_test(one_whose_broker_was_killed_has_lost_nothing),
        cmocka_unit_test(nothing_below_the_folder_changes),
        cmocka_unit_test(a_folder_that_is_no_store_has_an_exit_code),
        cmocka_unit_test(a_newer_format_is_not_guessed_at),
        cmocka_unit_test(all_messages_are_extracted),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(a_repaired_store_has_what_the_old_one_had),
        cmocka_unit_test(a_copy_of_a_store_that_is_not_at_work_is_like_it),
        cmocka_unit_test(a_copy_that_is_made_at_work_is_the_state_at_its_mark),
        cmocka_unit_test(a_file_with_a_strange_number_changes_nothing),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests_name("store tool", tests, workshop_begin, workshop_end);
}
