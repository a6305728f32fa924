#define _GNU_SOURCE
#include "broker/perf/machine.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LINE_ROOM = 4096 };

/* x86 says "model name"; some ARM kernels say "Hardware" or "Model", of the whole board; others nothing. */
void perf_machine_read_cpu(char to[PERF_MACHINE_ROOM], FILE *cpuinfo)
{
    static const char *const words[] = {"model name", "cpu model", "Model", "Hardware"};
    size_t best = sizeof words / sizeof *words;
    char line[LINE_ROOM];
    to[0] = '\0';
    while (best > 0 && fgets(line, sizeof line, cpuinfo) != NULL) {
        const char *value = strchr(line, ':');
        if (value == NULL)
            continue;
        for (size_t i = 0; i < best; i++) {
            size_t n = strlen(words[i]);
            if (strncmp(line, words[i], n) != 0 || line[n + strspn(line + n, " \t")] != ':')
                continue;
            value += 1 + strspn(value + 1, " \t");
            snprintf(to, PERF_MACHINE_ROOM, "%.*s", (int)strcspn(value, "\n"), value);
            best = i;
        }
    }
}

void perf_machine_read(struct perf_machine *m)
{
    struct utsname u;
    *m = (struct perf_machine){0};
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f != NULL) {
        perf_machine_read_cpu(m->cpu, f);
        fclose(f);
    }
    if (uname(&u) == 0) {
        snprintf(m->kernel, sizeof m->kernel, "%s %s", u.sysname, u.release);
        if (m->cpu[0] == '\0')
            snprintf(m->cpu, sizeof m->cpu, "%s", u.machine);
    }
    m->cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    m->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}
