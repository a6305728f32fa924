/* Stores that are harmed, forged, filled or written by others: what the broker makes of them, and millrace-store. */
#define _GNU_SOURCE
#include "tests/tool/workshop.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "broker/store/format.h"

/* ---- Items of a later version. */

/* The first item of `type` in a file becomes one of another. */
static void change_item(const char *path, const char *pattern, uint8_t type, uint8_t to)
{
    char *command = str_format("ls %s/%s | tail -n 1", path, pattern);
    FILE *ls = popen(command, "r"); // NOLINT
    char name[300];
    assert_non_null(fgets(name, sizeof name, ls));
    pclose(ls);
    name[strcspn(name, "\n")] = '\0';
    free(command);
    FILE *f = fopen(name, "r+b");
    assert_non_null(f);
    uint8_t head[FORMAT_ITEM_HEADER];
    struct item_head h;
    for (long at = FORMAT_FILE_HEADER;; at += (long)item_size(h.meta_len, h.body_len)) {
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
        assert_true(item_head_decode(head, &h));
        if (h.type != type)
            continue;
        h.type = to;
        item_head_encode(head, &h);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        assert_int_equal(fwrite(head, 1, sizeof head, f), sizeof head);
        break;
    }
    assert_int_equal(fclose(f), 0);
}

TEST(an_item_that_is_not_known_is_passed_by_only_if_it_may_be)
{
    static const struct {
        const char *file;
        uint8_t type, to;
        bool is_open;
    } cases[] = {{"journal-*", ITEM_SETTLE, 100, false},
                 {"journal-*", ITEM_SETTLE, ITEM_COMPATIBLE + 1, true},
                 {"checkpoint-[ab]-*", ITEM_QUEUE, 100, false}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stock k;
        char *path = workshop_folder("later");
        workshop_fill(&k, path, 70 + i, 2000, false);
        if (i == 2)
            workshop_run("rm %s/checkpoint-a-*", path); /* there must not be another copy */
        change_item(path, cases[i].file, cases[i].type, cases[i].to);
        assert_true(workshop_open(&k, path).is_open == cases[i].is_open);
        stock_free(&k);
        free(path);
    }
}

/* ---- Items that a client has made. */

static uint8_t *put_item(uint8_t *to, uint8_t type, uint64_t lsn, struct bytes meta, struct bytes body)
{
    const struct item_head h = {.type = type,
                                .epoch = 0x41414141,
                                .lsn = lsn,
                                .meta_len = (uint32_t)meta.len,
                                .body_len = (uint32_t)body.len,
                                .meta_crc = crc32c(0, meta.at, meta.len),
                                .body_crc = crc32c(0, body.at, body.len)};
    item_head_encode(to, &h);
    memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
    if (body.len > 0)
        memcpy(to + FORMAT_ITEM_HEADER + meta.len, body.at, body.len);
    return to + item_size(meta.len, body.len);
}

/* A message whose body holds a group of items, at each offset that an item may have. */
static struct message *forged_message(uint64_t lsn)
{
    enum { LEAD = 4500, ROOM = 12000 };
    static uint8_t body[ROOM];
    memset(body, 'x', sizeof body);
    uint8_t *at = body + LEAD;
    for (unsigned i = 0; i < FORMAT_ALIGN; i++, at++) {
        uint8_t meta[MESSAGE_META_MAX + PLACE_META_MAX], batch[BATCH_META_MAX];
        const struct message_meta m = {.message_flags = 1, .body_size = 3, .n_places = 1};
        const struct place p = {.queue = 1, .position = 100000, .ttl_ms = PLACE_NO_TTL};
        const struct batch_meta b = {.first_lsn = lsn, .count = 1, .durable = lsn + 1, .position = lsn};
        struct pen pen = pen_over(meta, sizeof meta), end = pen_over(batch, sizeof batch);
        message_meta_write(&pen, &m);
        place_write(&pen, &p);
        batch_meta_write(&end, &b);
        at = put_item(at, ITEM_MESSAGE, lsn, pen_written(&pen), BYTES("evil"));
        at = put_item(at, ITEM_BATCH, lsn + 1, pen_written(&end), (struct bytes){0});
    }
    CHECK(at <= body + ROOM);
    const struct message_spec spec = {
        .body_size = ROOM, .expiration_ms = MESSAGE_NO_EXPIRATION, .flags = MESSAGE_PERSISTENT};
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of(body, ROOM));
    return m;
}

TEST(a_segment_without_its_header_is_not_what_a_client_says)
{
    struct stock k;
    struct sheaf h;
    char *path = workshop_folder("forged");
    workshop_fill(&k, path, 80, 100, true);
    stock_reopen(&k);
    assert_int_equal(store_begin(k.store), STORE_FINE);
    sheaf_init(&h);
    sheaf_add(&h, RECORD_PUBLISH)->msg = forged_message(100000); /* the first of its segment */
    sheaf_place(&h, (struct place){.queue = STOCK_QUEUES + 1, .position = 0, .ttl_ms = PLACE_NO_TTL});
    stock_hand_over(&k, &h);
    stock_write(&k);
    stock_fill(&k, 30); /* there must be more in the segment than what is forged */
    stock_close(&k, false);
    assert_int_equal(
        workshop_run("f=$(ls %s/journal-* | tail -n 1); dd if=/dev/zero of=$f bs=4096 count=1 conv=notrunc 2>/dev/null",
                     path),
        0);
    struct workshop_outcome o = workshop_open(&k, path);
    assert_true(o.is_open);
    assert_int_equal(o.wrong, 0);
    stock_free(&k);
    free(path);
}

/* ---- What must not pile up. */

TEST(who_is_killed_again_and_again_leaves_no_more_behind)
{
    enum { LIVES = 60, FILES_MAX = 20 };
    struct stock k;
    char *path = workshop_folder("short-lived");
    workshop_fill(&k, path, 61, 10, false);
    for (unsigned i = 0; i < LIVES; i++) {
        stock_reopen(&k);
        assert_int_equal(store_begin(k.store), STORE_FINE);
        for (unsigned n = 0; n < 6; n++)
            stock_fill(&k, 1);
        stock_close(&k, false);
    }
    assert_int_equal(workshop_run("test $(ls %s | wc -l) -lt %u", path, (unsigned)FILES_MAX), 0);
    assert_int_equal(workshop_open(&k, path).wrong, 0);
    stock_free(&k);
    free(path);
}

TEST(no_item_becomes_too_long_with_what_is_settled_at_once)
{
    enum { SETTLED = 400000 };
    struct stock k;
    struct sheaf h;
    char *path = workshop_folder("long-runs");
    workshop_fill(&k, path, 63, 1000, true);
    stock_reopen(&k);
    sheaf_init(&h);
    for (uint64_t i = 0; i < SETTLED; i++) /* nobody's, and no neighbours */
        sheaf_add(&h, RECORD_SETTLE)->at = (struct place){.queue = 1, .position = 1000000 + 2 * i};
    stock_hand_over(&k, &h);
    stock_write(&k);
    assert_int_equal(workshop_run("test $(find %s -size +600k | wc -l) = 0", path), 0);
    stock_close(&k, false);
    assert_int_equal(workshop_open(&k, path).wrong, 0);
    stock_free(&k);
    free(path);
}

static void count_messages(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    (void)queue;
    (void)bytes;
    (void)next_position;
    *(uint64_t *)arg += messages;
}

static void no_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    (void)arg;
    (void)what;
    (void)queue;
    (void)key;
    (void)value;
}

TEST(a_checkpoint_takes_a_queue_of_any_length)
{
    enum { PLACES = 1200000 };
    struct stock k;
    struct sheaf h;
    uint64_t messages = 0;
    const struct store_reader r = {.arg = &messages, .definition = no_definition, .queue = count_messages};
    char *path = workshop_folder("long-queue");
    stock_open(&k, path, 64);
    sheaf_init(&h);
    const struct message_spec spec = {.expiration_ms = MESSAGE_NO_EXPIRATION, .flags = MESSAGE_PERSISTENT};
    sheaf_add(&h, RECORD_PUBLISH)->msg = message_create(&spec);
    for (uint64_t i = 0; i < PLACES; i++)
        sheaf_place(&h, (struct place){.queue = 1, .position = i, .ttl_ms = PLACE_NO_TTL});
    stock_hand_over(&k, &h);
    stock_close(&k, true);
    stock_reopen(&k);
    store_read(k.store, &r);
    assert_int_equal(messages, PLACES);
    stock_free(&k);
    free(path);
}

/* For a full disk there are spare files only: what does not fit into one would keep all behind it waiting. */
TEST(the_largest_message_of_the_default_limit_fits_into_an_ordinary_segment)
{
    enum { LARGEST = 16 << 20, PROPERTIES = 100 << 10 };
    struct stock k = {0};
    struct sheaf h;
    char *path = workshop_folder("largest"), *text = NULL, *properties = alloc_zeroed(PROPERTIES),
         *body = alloc_zeroed(LARGEST);
    int error = 0;
    k.disk = disk_real_create(path, &error);
    struct store_config c = stock_config(k.disk);
    c.segment_bytes = c.pack_bytes = 0;
    assert_int_equal(store_open(&c, NULL, &k.store, &text), STORE_FINE);
    sheaf_init(&h);
    const struct message_spec spec = {.properties = bytes_of(properties, PROPERTIES),
                                      .body_size = LARGEST,
                                      .expiration_ms = MESSAGE_NO_EXPIRATION,
                                      .flags = MESSAGE_PERSISTENT};
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of(body, LARGEST));
    sheaf_add(&h, RECORD_PUBLISH)->msg = m;
    sheaf_place(&h, (struct place){.queue = 1, .position = 0, .ttl_ms = PLACE_NO_TTL});
    stock_hand_over(&k, &h);
    stock_write(&k);
    assert_int_equal(workshop_run("test $(find %s -size +%uc | wc -l) = 0", path, (unsigned)STORE_SEGMENT_BYTES), 0);
    stock_free(&k);
    free(properties);
    free(body);
    free(path);
}

/* ---- The scrubber. */

static void on_note(void *arg, bool is_warning, const char *text)
{
    (void)text;
    *(unsigned *)arg += is_warning;
}

/* A pass over a store: how many warnings there are. */
static unsigned scrub(const char *path, struct store_stats *stats)
{
    int error = 0;
    unsigned warnings = 0;
    char *text = NULL;
    struct disk *d = disk_real_create(path, &error);
    const struct store_witness w = {.arg = &warnings, .note = on_note};
    const struct store_config c = stock_config(d);
    struct store *s;
    assert_int_equal(store_open(&c, &w, &s, &text), STORE_FINE);
    while (store_scrub(s, 5000))
        ;
    *stats = store_stats(s);
    store_destroy(s);
    disk_real_destroy(d);
    return warnings;
}

TEST(the_scrubber_finds_damage_before_anybody_wants_it)
{
    struct stock k;
    struct store_stats stats;
    char *path = workshop_folder("scrubbed");
    workshop_fill(&k, path, 32, 2500, true);
    assert_int_equal(scrub(path, &stats), 0);
    assert_int_equal(stats.scrub_passes, 1);
    assert_true(stats.scrubbed_bytes > STOCK_SEGMENT_BYTES);
    char *name = str_format("ls %s/pack-* | sed -n 3p", path);
    assert_int_equal(workshop_run("f=$(%s); printf XXXX | dd of=$f bs=1 seek=20000 conv=notrunc 2>/dev/null", name), 0);
    assert_int_equal(scrub(path, &stats), 1);
    assert_int_equal(stats.scrub_damaged, 1);
    assert_int_equal(stats.lost_messages, 0);
    stock_free(&k);
    free(name);
    free(path);
}

/* ---- Damage. */

enum damage { FLIP, ZERO, CUT, REMOVE, DAMAGES };

static uint64_t mix(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static int not_dots(const struct dirent *e)
{
    return e->d_name[0] != '.' && strncmp(e->d_name, "spare", 5) != 0;
}

/* Does something bad to one of the files; says what. */
static char *harm(const char *path, uint64_t seed)
{
    struct dirent **names;
    int n = scandir(path, &names, not_dots, alphasort);
    assert_true(n > 0);
    char *name = str_format("%s", names[mix(&seed) % (unsigned)n]->d_name);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    char *file = str_format("%s/%s", path, name);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    uint64_t at = mix(&seed) % (uint64_t)st.st_size;
    uint64_t what = mix(&seed) % DAMAGES;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    uint8_t block[512] = {0};
    if (what == FLIP && pread(fd, block, 1, (off_t)at) == 1) {
        block[0] ^= (uint8_t)(1u << mix(&seed) % 8);
        CHECK(pwrite(fd, block, 1, (off_t)at) == 1);
    } else if (what == ZERO) {
        size_t len = (uint64_t)st.st_size - at < sizeof block ? (size_t)((uint64_t)st.st_size - at) : sizeof block;
        CHECK(pwrite(fd, block, len, (off_t)at) == (ssize_t)len);
    } else if (what == CUT) {
        CHECK(ftruncate(fd, (off_t)at) == 0);
    } else if (what == REMOVE) {
        CHECK(unlink(file) == 0);
    }
    close(fd);
    static const char *const words[] = {"flip", "zero", "cut", "remove"};
    char *said = str_format("%s %s at %llu", words[what], name, (unsigned long long)at);
    free(file);
    free(name);
    return said;
}

static bool judge(const struct stock *k, const char *path, bool is_clean, const char *what)
{
    int status = workshop_verify(path);
    const struct workshop_outcome o = workshop_open(k, path);
    bool has_lost = o.losses > 0 || (is_clean && o.wrong > 0);
    bool is_right = !o.is_open ? status == 3 : has_lost ? status == 2 : status < 2;
    /* After a crash nobody can tell whether there was more behind what there is. */
    is_right |= !is_clean && o.losses == 0 && o.wrong > 0;
    if (!is_right) {
        print_message("# %s: verify says %d; open %d, lost %llu times, wrong %llu\n", what, status, o.is_open,
                      (unsigned long long)o.losses, (unsigned long long)o.wrong);
        workshop_show_said();
    }
    return is_right;
}

/* Whatever there still is can be had, and what comes out is whole. */
static bool repairs(const struct stock *k, const char *path, const char *what)
{
    char *new = str_format("%s/repaired", workshop_path()), *store = str_format("%s/store", new);
    workshop_run("rm -rf %s", new);
    int status = workshop_run("%s repair %s %s >/dev/null 2>&1", workshop_tool, path, new);
    const struct workshop_outcome was = workshop_open(k, path);
    bool is_right = !was.is_open || (status == (was.losses > 0 ? 2 : 0) || (status == 0 && was.wrong > 0));
    if (was.is_open)
        is_right = is_right && workshop_verify(new) == 0 && workshop_open(k, store).wrong == was.wrong;
    if (!is_right)
        print_message("# %s: repair says %d\n", what, status);
    free(store);
    free(new);
    return is_right;
}

static void harm_many(const char *name, bool is_clean, unsigned times)
{
    struct stock k;
    char *whole = workshop_folder(name), *path = str_format("%s/harmed", workshop_path());
    unsigned wrong = 0;
    workshop_fill(&k, whole, 3, 2500, is_clean);
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(workshop_run("rm -rf %s && cp -r %s %s", path, whole, path), 0);
        char *said = harm(path, i * 7919 + is_clean);
        char *copy = str_format("%s/second", workshop_path());
        assert_int_equal(workshop_run("rm -rf %s && cp -r %s %s", copy, path, copy), 0);
        wrong += !judge(&k, path, is_clean, said);
        if (i % 20 == 0)
            wrong += !repairs(&k, copy, said);
        free(copy);
        free(said);
    }
    assert_int_equal(wrong, 0);
    stock_free(&k);
    free(whole);
    free(path);
}

TEST(verify_finds_all_that_the_broker_would_lose)
{
    harm_many("whole", true, 250);
}

TEST(so_it_does_after_a_crash)
{
    harm_many("crashed", false, 150);
}

TEST(a_store_without_its_checkpoints_is_known_for_one)
{
    struct stock k;
    char *path = workshop_folder("unchecked");
    workshop_fill(&k, path, 31, 2500, true);
    assert_int_equal(workshop_run("rm %s/checkpoint-*", path), 0);
    assert_int_equal(workshop_verify(path), 2);
    assert_true(workshop_open(&k, path).losses > 0);
    assert_int_equal(workshop_run("ls %s/damaged-pack-* >/dev/null", path), 0); /* what nothing refers to is kept */
    stock_free(&k);
    free(path);
}

/* A spare file was to become the next checkpoint when power failed: its name is on the disk, and nothing else is. */
static void begin_checkpoint(const char *what, const char *harm)
{
    struct stock k;
    char *path = workshop_folder("begun"), *before = workshop_folder("before");
    stock_open(&k, path, 32);
    do {
        stock_fill(&k, 20);
        stock_write(&k);
        workshop_run("cp %s/* %s", path, before);
    } while (workshop_run("cd %s && ls journal-0000000000000002 checkpoint-a-0000000000000001 >%s.list 2>&1", before,
                          before) != 0);
    stock_fill(&k, 2500);
    stock_write(&k);
    stock_close(&k, false);
    assert_int_equal(workshop_run("cp %s/%s %s/checkpoint-a-00000000000fffff", before, what, path), 0);
    assert_int_equal(
        workshop_run("dd if=/dev/zero of=%s/checkpoint-a-00000000000fffff conv=notrunc status=none %s", path, harm), 0);
    struct workshop_outcome found = workshop_open(&k, path);
    assert_true(found.is_open);
    assert_int_equal(found.wrong, 0);
    assert_int_equal(found.losses, 0);
    stock_free(&k);
    free(before);
    free(path);
}

TEST(what_a_file_was_before_it_became_a_checkpoint_is_none)
{
    begin_checkpoint("checkpoint-a-0000000000000001", "count=0");
    begin_checkpoint("journal-0000000000000001", "count=0");
    begin_checkpoint("journal-0000000000000001", "bs=128 count=1");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_that_is_not_known_is_passed_by_only_if_it_may_be),
        cmocka_unit_test(a_segment_without_its_header_is_not_what_a_client_says),
        cmocka_unit_test(who_is_killed_again_and_again_leaves_no_more_behind),
        cmocka_unit_test(no_item_becomes_too_long_with_what_is_settled_at_once),
        cmocka_unit_test(a_checkpoint_takes_a_queue_of_any_length),
        cmocka_unit_test(the_largest_message_of_the_default_limit_fits_into_an_ordinary_segment),
        cmocka_unit_test(the_scrubber_finds_damage_before_anybody_wants_it),
        cmocka_unit_test(verify_finds_all_that_the_broker_would_lose),
        cmocka_unit_test(so_it_does_after_a_crash),
        cmocka_unit_test(a_store_without_its_checkpoints_is_known_for_one),
        cmocka_unit_test(what_a_file_was_before_it_became_a_checkpoint_is_none),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests_name("store harm", tests, workshop_begin, workshop_end);
}
