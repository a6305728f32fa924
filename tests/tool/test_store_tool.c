/* millrace-store against stores whose contents are known, whole and damaged. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/store/crc32c.h"
#include "tests/tool/stock.h"

static char work[] = "/tmp/millrace-tool-XXXXXX";
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
             "cd %s && { find . -printf '%%p %%s %%T@ %%C@ %%m\\n' | sort; find . -type f | sort | xargs -r cat; }", path);
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
    assert_int_equal(fingerprint(path), before);
    stock_free(&k);
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

static void harm_many(const char *name, bool is_clean, unsigned times)
{
    struct stock k;
    char *whole = folder(name), *path = str_format("%s/harmed", work);
    unsigned wrong = 0;
    fill(&k, whole, 3, 2500, is_clean);
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(run("rm -rf %s && cp -r %s %s", path, whole, path), 0);
        char *said = harm(path, i * 7919 + is_clean);
        wrong += !judge(&k, path, is_clean, said);
        free(said);
    }
    assert_int_equal(wrong, 0);
    stock_free(&k);
    free(whole);
    free(path);
}

TEST(verify_finds_all_that_the_broker_would_lose)
{
    harm_many("whole", true, 300);
}

TEST(so_it_does_after_a_crash)
{
    harm_many("crashed", false, 200);
}

static int begin(void **state)
{
    (void)state;
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
        cmocka_unit_test(verify_finds_all_that_the_broker_would_lose),
        cmocka_unit_test(so_it_does_after_a_crash),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests_name("store tool", tests, begin, end);
}
