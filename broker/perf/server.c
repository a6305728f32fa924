#define _GNU_SOURCE
#include "broker/perf/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { PATH_ROOM = 64, LINE_ROOM = 1024, LOOK_MS = 50, PAGE = 4096 };

#define OPEN_FILES "Max open files"

/* Words of /proc/PID/stat after the name: state, parent, ten others, ticks in user mode, ticks in the kernel. */
enum { STAT_PARENT = 1, STAT_USER = 11, STAT_KERNEL = 12 };

static FILE *open_proc(const char *format, ...) __attribute__((format(printf, 1, 2)));
static FILE *open_proc(const char *format, ...)
{
    char path[PATH_ROOM];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return fopen(path, "re");
}

/* Calls each with every number that is the name of an entry of a folder under /proc. */
static void each_number(const char *folder, void (*each)(void *arg, pid_t number), void *arg)
{
    DIR *d = opendir(folder);
    if (d == NULL)
        return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) { // NOLINT(concurrency-mt-unsafe): d is nobody else's
        char *end;
        long n = strtol(e->d_name, &end, 10);
        if (n > 0 && *end == '\0')
            each(arg, (pid_t)n);
    }
    closedir(d);
}

/* What stands behind the name in /proc/PID/stat, which may hold anything, also parentheses: state, parent, …. */
static bool read_stat(pid_t pid, char to[LINE_ROOM])
{
    FILE *f = open_proc("/proc/%d/stat", (int)pid);
    if (f == NULL)
        return false;
    size_t n = fread(to, 1, LINE_ROOM - 1, f);
    fclose(f);
    to[n] = '\0';
    const char *name_end = strrchr(to, ')');
    if (name_end == NULL)
        return false;
    memmove(to, name_end + 1, strlen(name_end));
    return true;
}

/* The number that comes n words after the beginning of a line; 0 if there is none. */
static uint64_t number_at(const char *line, unsigned n)
{
    for (; n > 0; n--) {
        line += strspn(line, " \t");
        line += strcspn(line, " \t");
    }
    return strtoull(line, NULL, 10);
}

/* ---- Who it is */

struct family {
    struct perf_server *server;
    bool grew;
};

static bool is_member(const struct perf_server *s, pid_t pid)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->pids[i] == pid)
            return true;
    return false;
}

static void add_child(void *arg, pid_t pid)
{
    struct family *f = arg;
    char stat[LINE_ROOM];
    if (f->server->count == PERF_SERVER_PROCESSES_MAX || is_member(f->server, pid) || !read_stat(pid, stat) ||
        !is_member(f->server, (pid_t)number_at(stat, STAT_PARENT)))
        return;
    f->server->pids[f->server->count++] = pid;
    f->grew = true;
}

int perf_server_find(struct perf_server *s, pid_t pid)
{
    char stat[LINE_ROOM];
    *s = (struct perf_server){0};
    if (pid <= 0 || !read_stat(pid, stat))
        return -ESRCH;
    s->pids[s->count++] = pid;
    struct family f = {.server = s, .grew = true};
    while (f.grew) { /* numbers go round, so a child may come before its parent */
        f.grew = false;
        each_number("/proc", add_child, &f);
    }
    return 0;
}

/* ---- What it uses */

static uint64_t ns_of(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool add_cpu(pid_t pid, struct perf_usage *to)
{
    clockid_t clock;
    struct timespec t;
    char stat[LINE_ROOM];
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0 || !read_stat(pid, stat))
        return false;
    uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    to->cpu_ns += ns_of(t);
    to->user_ns += number_at(stat, STAT_USER) * tick_ns;
    to->kernel_ns += number_at(stat, STAT_KERNEL) * tick_ns;
    return true;
}

/* Adds the numbers after these words at the beginnings of lines. */
struct word {
    const char *word;
    uint64_t *sum;
    uint64_t unit;
};

static void add_words(FILE *f, const struct word *words, unsigned n)
{
    char line[LINE_ROOM];
    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL) {
        size_t len = strcspn(line, ":");
        for (unsigned i = 0; i < n; i++)
            if (strlen(words[i].word) == len && memcmp(line, words[i].word, len) == 0)
                *words[i].sum += strtoull(line + len + 1, NULL, 10) * words[i].unit;
    }
    fclose(f);
}

bool perf_server_glance(const struct perf_server *s, struct perf_usage *to)
{
    *to = (struct perf_usage){0};
    for (unsigned i = 0; i < s->count; i++) {
        if (!add_cpu(s->pids[i], to)) {
            if (i == 0)
                return false;
            continue;
        }
        add_words(open_proc("/proc/%d/status", (int)s->pids[i]),
                  (struct word[]){{"VmRSS", &to->rss, 1024}, {"VmHWM", &to->rss_peak, 1024}}, 2);
        add_words(open_proc("/proc/%d/io", (int)s->pids[i]), (struct word[]){{"write_bytes", &to->written, 1}}, 1);
    }
    return s->count > 0;
}

uint64_t perf_server_memory(const struct perf_server *s)
{
    uint64_t sum = 0;
    struct perf_usage u;
    for (unsigned i = 0; i < s->count; i++)
        add_words(open_proc("/proc/%d/smaps_rollup", (int)s->pids[i]), (struct word[]){{"Rss", &sum, 1024}}, 1);
    if (sum == 0 && perf_server_glance(s, &u)) /* another user's process */
        sum = u.rss;
    return sum;
}

uint64_t perf_server_settle(const struct perf_server *s)
{
    uint64_t began = clock_ms(), since = began, now = began, rss = perf_server_memory(s);
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    while (now < since + PERF_SETTLED_MS && now < began + PERF_SETTLE_MS) {
        nanosleep(&look, NULL);
        uint64_t then = rss;
        rss = perf_server_memory(s);
        now = clock_ms();
        if (rss > then + PAGE || then > rss + PAGE)
            since = now;
    }
    return rss;
}

bool perf_server_forget_peak(const struct perf_server *s)
{
    bool done = s->count > 0;
    for (unsigned i = 0; i < s->count; i++) {
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)s->pids[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        done &= fd >= 0 && write(fd, "5", 1) == 1;
        if (fd >= 0)
            close(fd);
    }
    return done;
}

uint64_t perf_server_files_allowed(const struct perf_server *s)
{
    uint64_t least = UINT64_MAX;
    char line[LINE_ROOM];
    for (unsigned i = 0; i < s->count; i++) {
        FILE *f = open_proc("/proc/%d/limits", (int)s->pids[i]);
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            const size_t len = sizeof OPEN_FILES - 1;
            if (strncmp(line, OPEN_FILES, len) != 0)
                continue;
            uint64_t n = strtoull(line + len, NULL, 10);
            if (n > 0 && n < least) /* "unlimited" is 0 here */
                least = n;
        }
        if (f != NULL)
            fclose(f);
    }
    return least;
}

/* ---- Threads */

struct gathering {
    struct perf_usage *to;
    pid_t pid;
};

/* Where the next one goes: behind the others, or over the laziest if there is no room and it is busier. */
static struct perf_thread *room_for(struct perf_usage *u, uint64_t cpu_ns)
{
    struct perf_thread *least = &u->threads[0];
    if (u->threads_count < PERF_THREADS_MAX)
        return &u->threads[u->threads_count++];
    for (unsigned i = 1; i < PERF_THREADS_MAX; i++)
        if (u->threads[i].cpu_ns < least->cpu_ns)
            least = &u->threads[i];
    return least->cpu_ns < cpu_ns ? least : NULL;
}

static void add_thread(void *arg, pid_t id)
{
    const struct gathering *g = arg;
    struct perf_thread t = {.id = (int)id}, *to;
    char line[LINE_ROOM];
    FILE *name = open_proc("/proc/%d/task/%d/comm", (int)g->pid, (int)id);
    FILE *time = open_proc("/proc/%d/task/%d/schedstat", (int)g->pid, (int)id);
    if (name != NULL && time != NULL && fgets(t.name, sizeof t.name, name) != NULL &&
        fgets(line, sizeof line, time) != NULL && (to = room_for(g->to, t.cpu_ns = strtoull(line, NULL, 10))) != NULL) {
        t.name[strcspn(t.name, "\n")] = '\0';
        *to = t;
    }
    if (name != NULL)
        fclose(name);
    if (time != NULL)
        fclose(time);
}

static int by_name_and_id(const void *a, const void *b)
{
    const struct perf_thread *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c != 0 ? c : (x->id > y->id) - (x->id < y->id);
}

bool perf_server_look(const struct perf_server *s, struct perf_usage *to)
{
    if (!perf_server_glance(s, to))
        return false;
    for (unsigned i = 0; i < s->count; i++) {
        char path[PATH_ROOM];
        struct gathering g = {.to = to, .pid = s->pids[i]};
        snprintf(path, sizeof path, "/proc/%d/task", (int)g.pid);
        each_number(path, add_thread, &g);
    }
    qsort(to->threads, to->threads_count, sizeof *to->threads, by_name_and_id);
    return true;
}

/* "loop-3" and "loop-4" become "loop-#", so that they are one. */
static void name_pool(char to[16], const char *name)
{
    const char *digits = "0123456789";
    size_t head = strspn(name, digits), len = strlen(name), tail = 0;
    while (head < len - tail && strchr(digits, name[len - tail - 1]) != NULL)
        tail++;
    if (head == len) /* a number is a name, too */
        head = 0;
    snprintf(to, 16, "%s%.*s%s", head > 0 ? "#" : "", (int)(len - head - tail), name + head, tail > 0 ? "#" : "");
}

static uint64_t cpu_before(const struct perf_usage *u, int id)
{
    for (unsigned i = 0; i < u->threads_count; i++)
        if (u->threads[i].id == id)
            return u->threads[i].cpu_ns;
    return 0;
}

static int by_cpu(const void *a, const void *b)
{
    const struct perf_busy *x = a, *y = b;
    return x->cpu_ns != y->cpu_ns ? (x->cpu_ns < y->cpu_ns) - (x->cpu_ns > y->cpu_ns) : strcmp(x->name, y->name);
}

unsigned perf_busy_since(const struct perf_usage *from, const struct perf_usage *to, struct perf_busy *busy)
{
    unsigned n = 0;
    for (unsigned i = 0; i < to->threads_count; i++) {
        struct perf_busy b = {.threads = 1};
        uint64_t before = cpu_before(from, to->threads[i].id);
        if (to->threads[i].cpu_ns <= before)
            continue;
        b.cpu_ns = to->threads[i].cpu_ns - before;
        name_pool(b.name, to->threads[i].name);
        unsigned at = 0;
        while (at < n && strcmp(busy[at].name, b.name) != 0)
            at++;
        if (at == n) {
            busy[n++] = b;
            continue;
        }
        busy[at].threads++;
        busy[at].cpu_ns += b.cpu_ns;
    }
    qsort(busy, n, sizeof *busy, by_cpu);
    return n;
}
