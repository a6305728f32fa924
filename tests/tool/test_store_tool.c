/* millrace-store against stores whose contents are known, whole and damaged. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "broker/store/backup.h"
#include "broker/store/format.h"
#include "tests/tool/stock.h"

static char work[64]; /* in memory where there is such a place: nothing here is about the disk itself */
static const char *tool = "./millrace-store";

/* --- programs */

__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command); // NOLINT
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int verify(const char *folder)
{
    return run("%s verify %s >%s/said 2>&1", tool, folder, work);
}

static void show_said(void)
{
    run("sed 's/^/# /' %s/said >&2", work);
}

/* --- folders */

static char *folder(const char *name)
{
    char *path = str_format("%s/%s", work, name);
    run("rm -rf %s && mkdir -p %s", path, path);
    return path;
}

/* Bytes, names and times of all that is in there. */
static uint32_t fingerprint(const char *path)
{
    char command[500];
    snprintf(command, sizeof command,
             "cd %s && { find . -printf '%%p %%s %%T@ %%C@ %%m\\n' | sort; find . -type f | sort | xargs -r cat; }",
             path);
    FILE *f = popen(command, "r"); // NOLINT
    assert_non_null(f);
    uint32_t sum = 0;
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        sum = crc32c(sum, block, n);
    assert_int_equal(pclose(f), 0);
    return sum;
}

static void fill(struct stock *k, const char *path, uint64_t seed, unsigned records, bool is_clean)
{
    stock_open(k, path, seed);
    stock_fill(k, records);
    stock_close(k, is_clean);
}

/* What the broker would find, and how much the store says is lost. */
struct outcome {
    bool is_open;
    uint64_t wrong, losses;
};

static void on_lost(void *arg, const struct store_loss *loss)
{
    (void)loss;
    ++*(uint64_t *)arg;
}

static struct outcome open_for_real(const struct stock *k, const char *path)
{
    struct outcome o = {0};
    int error = 0;
    char *text = NULL;
    struct disk *d = disk_real_create(path, &error);
    const struct store_witness w = {.arg = &o.losses, .lost = on_lost};
    const struct store_config c = stock_config(d);
    struct store *s;
    o.is_open = store_open(&c, &w, &s, &text) == STORE_FINE;
    if (o.is_open)
        o.wrong = stock_compare(k, s);
    store_destroy(s);
    free(text);
    disk_real_destroy(d);
    return o;
}

/* --- */

TEST(a_store_that_was_closed_is_clean)
{
    struct stock k;
    char *path = folder("clean");
    fill(&k, path, 1, 3000, true);
    int status = verify(path);
    if (status != 0)
        show_said();
    assert_int_equal(status, 0);
    assert_int_equal(open_for_real(&k, path).wrong, 0);
    stock_free(&k);
    free(path);
}

TEST(one_whose_broker_was_killed_has_lost_nothing)
{
    for (uint64_t seed = 10; seed < 15; seed++) {
        struct stock k;
        char *path = folder("killed");
        fill(&k, path, seed, 2000, false);
        int status = verify(path);
        if (status > 1)
            show_said();
        assert_in_range(status, 0, 1);
        assert_int_equal(open_for_real(&k, path).wrong, 0);
        stock_free(&k);
        free(path);
    }
}

TEST(nothing_below_the_folder_changes)
{
    struct stock k;
    char *path = folder("readonly");
    fill(&k, path, 2, 2000, false);
    uint32_t before = fingerprint(path);
    verify(path);
    run("%s dump %s >/dev/null", tool, path);
    run("%s dump --json %s >/dev/null", tool, path);
    run("%s stat %s >/dev/null", tool, path);
    run("%s extract %s >/dev/null", tool, path);
    assert_int_equal(run("%s repair %s %s-repaired >/dev/null", tool, path, path), 0);
    assert_int_equal(run("%s backup %s %s-copy >/dev/null", tool, path, path), 0);
    assert_int_equal(fingerprint(path), before);
    stock_free(&k);
    free(path);
}

TEST(a_folder_that_is_no_store_has_an_exit_code)
{
    assert_int_equal(verify("/nonexistent/millrace"), 3);
    assert_int_equal(run("%s verify 2>/dev/null", tool), 64);
    assert_int_equal(run("%s nonsense . 2>/dev/null", tool), 64);
}

TEST(a_newer_format_is_not_guessed_at)
{
    struct stock k;
    char *path = folder("newer");
    fill(&k, path, 20, 10, true);
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
    assert_int_equal(verify(path), 3);
    stock_free(&k);
    free(file);
    free(path);
}

static uint64_t count_lines(const char *file)
{
    char *path = str_format("%s/%s", work, file);
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
    char *path = folder("extract");
    fill(&k, path, 21, 2000, true);
    assert_int_equal(run("%s extract %s >%s/lines", tool, path, work), 0);
    assert_int_equal(count_lines("lines"), stock_count(&k));
    assert_int_equal(run("%s extract --vhost / --queue orders --to %s/files %s", tool, work, path), 0);
    assert_int_equal(run("cd %s/files/queue-1 && ls | sed -n 's/.body$//p' >%s/names", work, work), 0);
    uint64_t orders = 0;
    for (size_t i = 0; i < k.queues[0].n; i++)
        orders += !k.queues[0].messages[i].is_gone;
    assert_int_equal(count_lines("names"), orders);
    assert_int_equal(run("%s extract --queue unknown %s 2>/dev/null", tool, path), 5);
    stock_free(&k);
    free(path);
}

TEST(json_is_json)
{
    struct stock k;
    char *path = folder("json");
    fill(&k, path, 22, 500, false);
    assert_int_equal(run("%s verify --json %s >%s/v && %s stat --json %s >%s/s && %s dump --json %s >%s/d", tool, path,
                         work, tool, path, work, tool, path, work),
                     0);
    assert_int_equal(count_lines("v"), 1);
    assert_int_equal(count_lines("s"), 1);
    assert_int_equal(run("grep -q '^{\"verdict\":\"clean\",\"lost_messages\":0,' %s/v", work), 0);
    assert_int_equal(run("! grep -v '^{.*}$' %s/d", work), 0);
    stock_free(&k);
    free(path);
}

/* --- repair and backup */

TEST(a_repaired_store_has_what_the_old_one_had)
{
    for (unsigned is_clean = 0; is_clean < 2; is_clean++) {
        struct stock k;
        char *path = folder("old"), *new = str_format("%s/new-%u", work, is_clean);
        char *store = str_format("%s/store", new);
        fill(&k, path, 23 + is_clean, 2500, is_clean);
        assert_int_equal(run("%s repair %s %s >/dev/null", tool, path, new), 0);
        assert_int_equal(verify(new), 0);
        assert_int_equal(open_for_real(&k, store).wrong, 0);
        assert_int_equal(run("%s repair %s %s >/dev/null 2>&1", tool, path, new), 5);
        stock_free(&k);
        free(store);
        free(new);
        free(path);
    }
}

TEST(a_copy_of_a_store_that_is_not_at_work_is_like_it)
{
    struct stock k;
    char *path = folder("still");
    fill(&k, path, 30, 2500, false);
    assert_int_equal(run("%s backup %s %s/still-copy >/dev/null", tool, path, work), 0);
    assert_int_equal(run("test $(stat -c %%a %s/still-copy) = 700", work), 0);
    char *copy = str_format("%s/still-copy/store", work);
    assert_int_equal(verify(copy), 0);
    assert_int_equal(open_for_real(&k, copy).wrong, 0);
    assert_int_equal(run("%s backup %s %s/still-copy 2>/dev/null", tool, path, work), 5);
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
        char *path = folder("busy"), *copy = str_format("%s/busy-%llu", work, (unsigned long long)seed);
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
        assert_int_equal(verify(copy), 0);
        char *store = str_format("%s/store", copy);
        assert_int_equal(open_for_real(&then, store).wrong, 0);
        stock_close(&k, true);
        assert_int_equal(verify(path), 0);
        assert_int_equal(open_for_real(&k, path).wrong, 0);
        stock_free(&then);
        stock_free(&k);
        free(store);
        free(copy);
        free(path);
    }
}

/* --- files that are the store's by name only */

TEST(a_file_with_a_strange_number_changes_nothing)
{
    static const char *const names[] = {"journal-ffffffffffffffff",      "journal-00000000ffffffff",
                                        "journal-00000000000fffff",      "journal-0x00000000000001",
                                        "pack-ffffffffffffffff",         "spare-ffffffffffffffff",
                                        "checkpoint-a-ffffffffffffffff", "checkpoint-b-7fffffffffffffff"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stock k;
        char *path = folder("strange");
        fill(&k, path, 40 + i, 2000, i % 2 == 0);
        assert_int_equal(run(": >%s/%s", path, names[i]), 0);
        for (unsigned times = 0; times < 2; times++) {
            struct outcome o = open_for_real(&k, path);
            assert_true(o.is_open);
            assert_int_equal(o.wrong, 0);
            assert_int_equal(o.losses, 0);
            stock_reopen(&k);
            stock_fill(&k, 500);
            stock_close(&k, times == 0);
        }
        assert_int_equal(open_for_real(&k, path).wrong, 0);

        stock_free(&k);
        free(path);
    }
}

/* --- items of a later version */

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
        char *path = folder("later");
        fill(&k, path, 70 + i, 2000, false);
        if (i == 2)
            run("rm %s/checkpoint-a-*", path); /* there must not be another copy */
        change_item(path, cases[i].file, cases[i].type, cases[i].to);
        assert_true(open_for_real(&k, path).is_open == cases[i].is_open);
        stock_free(&k);
        free(path);
    }
}

/* --- items that a client has made */

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
    char *path = folder("forged");
    fill(&k, path, 80, 100, true);
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
        run("f=$(ls %s/journal-* | tail -n 1); dd if=/dev/zero of=$f bs=4096 count=1 conv=notrunc 2>/dev/null", path),
        0);
    struct outcome o = open_for_real(&k, path);
    assert_true(o.is_open);
    assert_int_equal(o.wrong, 0);
    stock_free(&k);
    free(path);
}

/* --- what must not pile up */

TEST(who_is_killed_again_and_again_leaves_no_more_behind)
{
    enum { LIVES = 60, FILES_MAX = 20 };
    struct stock k;
    char *path = folder("short-lived");
    fill(&k, path, 61, 10, false);
    for (unsigned i = 0; i < LIVES; i++) {
        stock_reopen(&k);
        assert_int_equal(store_begin(k.store), STORE_FINE);
        for (unsigned n = 0; n < 6; n++)
            stock_fill(&k, 1);
        stock_close(&k, false);
    }
    assert_int_equal(run("test $(ls %s | wc -l) -lt %u", path, (unsigned)FILES_MAX), 0);
    assert_int_equal(open_for_real(&k, path).wrong, 0);
    stock_free(&k);
    free(path);
}

TEST(no_item_becomes_too_long_with_what_is_settled_at_once)
{
    enum { SETTLED = 400000 };
    struct stock k;
    struct sheaf h;
    char *path = folder("long-runs");
    fill(&k, path, 63, 1000, true);
    stock_reopen(&k);
    sheaf_init(&h);
    for (uint64_t i = 0; i < SETTLED; i++) /* nobody's, and no neighbours */
        sheaf_add(&h, RECORD_SETTLE)->at = (struct place){.queue = 1, .position = 1000000 + 2 * i};
    stock_hand_over(&k, &h);
    stock_write(&k);
    assert_int_equal(run("test $(find %s -size +600k | wc -l) = 0", path), 0);
    stock_close(&k, false);
    assert_int_equal(open_for_real(&k, path).wrong, 0);
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
    char *path = folder("long-queue");
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
    char *path = folder("largest"), *text = NULL, *properties = alloc_zeroed(PROPERTIES), *body = alloc_zeroed(LARGEST);
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
    assert_int_equal(run("test $(find %s -size +%uc | wc -l) = 0", path, (unsigned)STORE_SEGMENT_BYTES), 0);
    stock_free(&k);
    free(properties);
    free(body);
    free(path);
}

/* --- the scrubber */

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
    char *path = folder("scrubbed");
    fill(&k, path, 32, 2500, true);
    assert_int_equal(scrub(path, &stats), 0);
    assert_int_equal(stats.scrub_passes, 1);
    assert_true(stats.scrubbed_bytes > STOCK_SEGMENT_BYTES);
    char *name = str_format("ls %s/pack-* | sed -n 3p", path);
    assert_int_equal(run("f=$(%s); printf XXXX | dd of=$f bs=1 seek=20000 conv=notrunc 2>/dev/null", name), 0);
    assert_int_equal(scrub(path, &stats), 1);
    assert_int_equal(stats.scrub_damaged, 1);
    assert_int_equal(stats.lost_messages, 0);
    stock_free(&k);
    free(name);
    free(path);
}

/* --- damage */

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
    int status = verify(path);
    const struct outcome o = open_for_real(k, path);
    bool has_lost = o.losses > 0 || (is_clean && o.wrong > 0);
    bool is_right = !o.is_open ? status == 3 : has_lost ? status == 2 : status < 2;
    /* After a crash nobody can tell whether there was more behind what there is. */
    is_right |= !is_clean && o.losses == 0 && o.wrong > 0;
    if (!is_right) {
        print_message("# %s: verify says %d; open %d, lost %llu times, wrong %llu\n", what, status, o.is_open,
                      (unsigned long long)o.losses, (unsigned long long)o.wrong);
        show_said();
    }
    return is_right;
}

/* Whatever there still is can be had, and what comes out is whole. */
static bool repairs(const struct stock *k, const char *path, const char *what)
{
    char *new = str_format("%s/repaired", work), *store = str_format("%s/store", new);
    run("rm -rf %s", new);
    int status = run("%s repair %s %s >/dev/null 2>&1", tool, path, new);
    const struct outcome was = open_for_real(k, path);
    bool is_right = !was.is_open || (status == (was.losses > 0 ? 2 : 0) || (status == 0 && was.wrong > 0));
    if (was.is_open)
        is_right = is_right && verify(new) == 0 && open_for_real(k, store).wrong == was.wrong;
    if (!is_right)
        print_message("# %s: repair says %d\n", what, status);
    free(store);
    free(new);
    return is_right;
}

static void harm_many(const char *name, bool is_clean, unsigned times)
{
    struct stock k;
    char *whole = folder(name), *path = str_format("%s/harmed", work);
    unsigned wrong = 0;
    fill(&k, whole, 3, 2500, is_clean);
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(run("rm -rf %s && cp -r %s %s", path, whole, path), 0);
        char *said = harm(path, i * 7919 + is_clean);
        char *copy = str_format("%s/second", work);
        assert_int_equal(run("rm -rf %s && cp -r %s %s", copy, path, copy), 0);
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
    char *path = folder("unchecked");
    fill(&k, path, 31, 2500, true);
    assert_int_equal(run("rm %s/checkpoint-*", path), 0);
    assert_int_equal(verify(path), 2);
    assert_true(open_for_real(&k, path).losses > 0);
    assert_int_equal(run("ls %s/damaged-pack-* >/dev/null", path), 0); /* what nothing refers to is kept */
    stock_free(&k);
    free(path);
}

static int begin(void **state)
{
    (void)state;
    bool has_memory = access("/dev/shm", W_OK) == 0;
    snprintf(work, sizeof work, "%s/millrace-tool-XXXXXX", has_memory ? "/dev/shm" : "/tmp");
    return mkdtemp(work) == NULL;
}

static int end(void **state)
{
    (void)state;
    return run("rm -rf %s", work);
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
        cmocka_unit_test(an_item_that_is_not_known_is_passed_by_only_if_it_may_be),
        cmocka_unit_test(a_segment_without_its_header_is_not_what_a_client_says),
        cmocka_unit_test(who_is_killed_again_and_again_leaves_no_more_behind),
        cmocka_unit_test(no_item_becomes_too_long_with_what_is_settled_at_once),
        cmocka_unit_test(a_checkpoint_takes_a_queue_of_any_length),
        cmocka_unit_test(the_largest_message_of_the_default_limit_fits_into_an_ordinary_segment),
        cmocka_unit_test(the_scrubber_finds_damage_before_anybody_wants_it),
        cmocka_unit_test(verify_finds_all_that_the_broker_would_lose),
        cmocka_unit_test(a_store_without_its_checkpoints_is_known_for_one),
        cmocka_unit_test(so_it_does_after_a_crash),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests_name("store tool", tests, begin, end);
}
