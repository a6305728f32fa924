#define _GNU_SOURCE
#include "broker/admin/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Resident, and the program's own. */
static void measure_memory(struct measure *to)
{
    unsigned long long pages = 0, code = 0;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL &&
        fscanf(f, "%*u %llu %*u %llu", &pages, &code) != 2) // NOLINT(cert-err34-c): the system's own numbers
        pages = code = 0;
    if (f != NULL)
        fclose(f);
    to->resident_bytes = pages * page_bytes;
    to->code_bytes = code * page_bytes;
}

static uint64_t count_entries(const char *path)
{
    uint64_t n = 0;
    DIR *d = opendir(path);
    while (d != NULL && readdir(d) != NULL) // NOLINT(concurrency-mt-unsafe): nobody else has it
        n++;
    if (d != NULL)
        closedir(d);
    return n > 2 ? n - 2 : 0;
}

static uint64_t read_bytes(void)
{
    enum { LINE_MAX_BYTES = 80 };
    static const char key[] = "read_bytes: ";
    uint64_t n = 0;
    char line[LINE_MAX_BYTES];
    FILE *f = fopen("/proc/self/io", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, sizeof key - 1) == 0)
            n = strtoull(line + sizeof key - 1, NULL, 10);
    if (f != NULL)
        fclose(f);
    return n;
}

static uint64_t disk_free(const char *path)
{
    struct statvfs s;
    return statvfs(path, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize : 0;
}

void measure_take(struct measure *to, const struct admin_config *config)
{
    struct rlimit files = {0};
    struct rusage usage = {0};
    *to = (struct measure){0};
    getrlimit(RLIMIT_NOFILE, &files);
    getrusage(RUSAGE_SELF, &usage);
    measure_memory(to);
    to->context_switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
    to->read_bytes = read_bytes();
    to->descriptors = count_entries("/proc/self/fd");
    to->descriptors_max = files.rlim_cur;
    to->threads = count_entries("/proc/self/task");
    to->disk_free = disk_free(config->data_dir);
    if (config->measure != NULL)
        config->measure(config->arg, &to->own);
}
