#define _GNU_SOURCE
#include "broker/perf/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/perf/die.h"

enum { PATH_ROOM = 512, ARGUMENTS_MAX = 32, READY_MS = 120000, STOP_MS = 30000, STOP_LOOK_MS = 2, PAGE = 4096 };

/* The first number of a file of one line, e.g. a thread's nanoseconds on a processor. */
static uint64_t read_number(const char *path)
{
    char line[64];
    uint64_t n = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0; /* a thread that has just ended */
    if (fgets(line, sizeof line, f) != NULL)
        n = strtoull(line, NULL, 10);
    fclose(f);
    return n;
}

void process_each_thread(pid_t pid, void (*each)(void *arg, pid_t pid, int thread), void *arg)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (d == NULL)
        die("no process %d", (int)pid);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (e->d_name[0] != '.')
            each(arg, pid, (int)strtol(e->d_name, NULL, 10));
    closedir(d);
}

static uint64_t thread_cpu(pid_t pid, int thread)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, thread);
    return read_number(path);
}

static void add_cpu(void *arg, pid_t pid, int thread)
{
    *(uint64_t *)arg += thread_cpu(pid, thread);
}

static uint64_t read_cpu(pid_t pid)
{
    uint64_t sum = 0;
    process_each_thread(pid, add_cpu, &sum);
    return sum;
}

struct threads {
    struct thread_usage *to;
    unsigned n;
};

static void note_thread(void *arg, pid_t pid, int thread)
{
    struct threads *all = arg;
    char path[PATH_ROOM];
    if (all->n == THREADS_MAX)
        return;
    struct thread_usage *t = &all->to[all->n++];
    *t = (struct thread_usage){.id = thread, .cpu_ns = thread_cpu(pid, thread), .name = "?"};
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, thread);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    if (fscanf(f, "%15s", t->name) != 1)
        strcpy(t->name, "?");
    fclose(f);
}

unsigned process_threads(pid_t pid, struct thread_usage to[THREADS_MAX])
{
    struct threads all = {.to = to};
    process_each_thread(pid, note_thread, &all);
    return all.n;
}

/* The number of a line that begins with this word and a colon; false: it does not. */
static bool take_line(const char *line, const char *word, uint64_t *to)
{
    size_t n = strlen(word);
    if (strncmp(line, word, n) != 0 || line[n] != ':')
        return false;
    *to = strtoull(line + n + 1, NULL, 10);
    return true;
}

static void read_memory(pid_t pid, struct usage *u)
{
    char path[PATH_ROOM], line[256];
    uint64_t kib;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("cannot read %s", path);
    while (fgets(line, sizeof line, f) != NULL) {
        if (take_line(line, "Rss", &kib))
            u->rss = kib * 1024;
        else if (take_line(line, "Anonymous", &kib))
            u->anon = kib * 1024;
        else if (take_line(line, "Private_Clean", &kib) || take_line(line, "Private_Dirty", &kib))
            u->unshared += kib * 1024;
    }
    fclose(f);
}

static void read_io(pid_t pid, struct usage *u)
{
    char path[PATH_ROOM], line[256];
    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return; /* somebody else's process: only its owner and root may know */
    while (fgets(line, sizeof line, f) != NULL) {
        (void)(take_line(line, "wchar", &u->said) || take_line(line, "write_bytes", &u->written));
    }
    fclose(f);
}

struct usage process_usage(pid_t pid)
{
    struct usage u = {.cpu_ns = read_cpu(pid)};
    read_io(pid, &u);
    read_memory(pid, &u);
    return u;
}

struct usage process_settle(pid_t pid)
{
    struct usage last = {0}, u = {0};
    for (int ms = 0, still = 0; ms < SETTLE_MS && still < SETTLED_MS; ms += 100) {
        pause_ms(100);
        u = (struct usage){0};
        read_memory(pid, &u);
        uint64_t change = u.rss > last.rss ? u.rss - last.rss : last.rss - u.rss;
        still = change <= PAGE ? still + 100 : 0;
        last = u;
    }
    return u;
}

/* The one that runs, so that its last words are found if the benchmark dies. */
static const struct process *running;
static bool is_pointing;

static void point_at_log(void)
{
    if (running != NULL)
        fprintf(stderr, "bench: the broker's log is %s/log\n", running->dir);
}

static _Noreturn void become_broker(const char *program, const char *folder, const char *const *settings, int out)
{
    char dir[PATH_ROOM], log_path[PATH_ROOM];
    const char *args[ARGUMENTS_MAX] = {program,
                                       "-c", /* what this machine's own broker is told is none of this one's business */
                                       "/dev/null",
                                       "--set",
                                       "listeners.tcp.default=127.0.0.1:0",
                                       "--set",
                                       "management.tcp.port=none",
                                       "--set",
                                       "prometheus.tcp.port=none",
                                       "--set",
                                       dir};
    unsigned n = 11;
    snprintf(dir, sizeof dir, "data_dir=%s/data", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    for (; *settings != NULL && n + 3 < ARGUMENTS_MAX; settings++) {
        args[n++] = "--set";
        args[n++] = *settings;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a benchmark that dies leaves no broker behind */
    dup2(out, STDOUT_FILENO);
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0)
        dup2(log, STDERR_FILENO);
    union {
        const char **strings;
        char *const *argv;
    } to = {.strings = args}; /* execv() changes nothing, it only says so badly */
    execv(program, to.argv);
    _exit(127);
}

/* Reads the line that says "ready: amqp 127.0.0.1:PORT". */
static unsigned read_port(int fd)
{
    char line[512];
    size_t n = 0;
    uint64_t until = now_ns() + (uint64_t)READY_MS * 1000000;
    while (n < sizeof line - 1 && now_ns() < until) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, READY_MS) <= 0 || read(fd, line + n, 1) != 1)
            break;
        if (line[n++] == '\n')
            break;
    }
    line[n] = '\0';
    const char *at = strstr(line, "ready: amqp ");
    const char *colon = at != NULL ? strchr(at + sizeof "ready: amqp" - 1, ':') : NULL;
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;
    if (port == 0 || port > UINT16_MAX)
        die("the broker did not start; it said: %s", line);
    return (unsigned)port;
}

void process_make_folder(struct process *p)
{
    const char *in = getenv("BENCH_DIR"); // NOLINT(concurrency-mt-unsafe): threads come later
    int n = snprintf(p->dir, sizeof p->dir, "%s/bench-data-XXXXXX", in != NULL && *in != '\0' ? in : ".");
    if (n >= (int)sizeof p->dir || mkdtemp(p->dir) == NULL)
        die("no folder %s: %s", p->dir, strerrordesc_np(errno));
}

void process_launch(struct process *p, const char *program, const char *const *settings)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        die("no pipe: %s", strerrordesc_np(errno));
    p->pid = fork();
    if (p->pid < 0)
        die("fork: %s", strerrordesc_np(errno));
    if (p->pid == 0)
        become_broker(program, p->dir, settings, ends[1]);
    close(ends[1]);
    p->out = ends[0];
    if (!is_pointing)
        atexit(point_at_log);
    is_pointing = true;
    running = p;
    p->port = read_port(p->out);
}

void process_end(struct process *p)
{
    int status = 0;
    pid_t ended = 0;
    kill(p->pid, SIGTERM);
    for (int ms = 0; ms < STOP_MS && (ended = waitpid(p->pid, &status, WNOHANG)) == 0; ms += STOP_LOOK_MS)
        pause_ms(STOP_LOOK_MS);
    if (ended == 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &status, 0);
    }
    close(p->out);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the broker did not end well: %s %d", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void process_kill(struct process *p)
{
    int status = 0;
    if (kill(p->pid, SIGKILL) != 0 || waitpid(p->pid, &status, 0) != p->pid)
        die("the broker cannot be killed: %s", strerrordesc_np(errno));
    close(p->out);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("the broker was dead before it was killed");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

void process_remove_folder(struct process *p)
{
    nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); // NOLINT(concurrency-mt-unsafe): one thread
    running = NULL;
}

void process_start(struct process *p, const char *program, const char *const *settings)
{
    process_make_folder(p);
    process_launch(p, program, settings);
}

void process_stop(struct process *p)
{
    process_end(p);
    process_remove_folder(p);
}

static uint64_t walked;

static int add_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)path, (void)walk;
    if (kind == FTW_F)
        walked += (uint64_t)st->st_blocks * 512;
    return 0;
}

uint64_t folder_bytes(const char *path)
{
    walked = 0;
    nftw(path, add_one, 16, FTW_PHYS); // NOLINT(concurrency-mt-unsafe): one thread
    return walked;
}

bool folder_is_on_disk(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}
