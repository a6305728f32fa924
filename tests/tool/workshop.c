#define _GNU_SOURCE
#include "tests/tool/workshop.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/str.h"
#include "tests/unit/unit.h"

static char work[64]; /* in memory where there is such a place: nothing here is about the disk itself */

const char *const workshop_tool = "./millrace-store";

const char *workshop_path(void)
{
    return work;
}

int workshop_run(const char *format, ...)
{
    char command[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command); // NOLINT
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int workshop_verify(const char *folder)
{
    return workshop_run("%s verify %s >%s/said 2>&1", workshop_tool, folder, work);
}

void workshop_show_said(void)
{
    workshop_run("sed 's/^/# /' %s/said >&2", work);
}

char *workshop_folder(const char *name)
{
    char *path = str_format("%s/%s", work, name);
    workshop_run("rm -rf %s && mkdir -p %s", path, path);
    return path;
}

uint32_t workshop_fingerprint(const char *path)
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

void workshop_fill(struct stock *k, const char *path, uint64_t seed, unsigned records, bool is_clean)
{
    stock_open(k, path, seed);
    stock_fill(k, records);
    stock_close(k, is_clean);
}

static void on_lost(void *arg, const struct store_loss *loss)
{
    (void)loss;
    ++*(uint64_t *)arg;
}

struct workshop_outcome workshop_open(const struct stock *k, const char *path)
{
    struct workshop_outcome o = {0};
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

int workshop_begin(void **state)
{
    (void)state;
    bool has_memory = access("/dev/shm", W_OK) == 0;
    snprintf(work, sizeof work, "%s/millrace-tool-XXXXXX", has_memory ? "/dev/shm" : "/tmp");
    return mkdtemp(work) == NULL;
}

int workshop_end(void **state)
{
    (void)state;
    return workshop_run("rm -rf %s", work);
}
