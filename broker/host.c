#define _GNU_SOURCE
#include "broker/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/str.h"

static const char *const DEFAULT_DIR = "/var/lib/millrace";

/* The number in a file of /sys, or UINT64_MAX: there is none, or it says "max" or -1. */
static uint64_t read_limit(const char *folder, const char *name)
{
    uint64_t limit = UINT64_MAX;
    char *path = str_format("%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    free(path);
    if (f == NULL)
        return UINT64_MAX;
    if (fscanf(f, "%" SCNu64, &limit) != 1) // NOLINT(cert-err34-c): the kernel writes a number or a word
        limit = UINT64_MAX;
    fclose(f);
    return limit;
}

static uint64_t read_memory(const char *folder, bool is_2)
{
    return read_limit(folder, is_2 ? "memory.max" : "memory.limit_in_bytes");
}

static uint64_t whole_cores(uint64_t quota_us, uint64_t period_us)
{
    return quota_us >= INT64_MAX || period_us == 0 ? UINT64_MAX : (quota_us + period_us - 1) / period_us;
}

static uint64_t read_cores(const char *folder, bool is_2)
{
    if (!is_2)
        return whole_cores(read_limit(folder, "cpu.cfs_quota_us"), read_limit(folder, "cpu.cfs_period_us"));
    uint64_t quota_us = UINT64_MAX, period_us = 0;
    char *path = str_format("%s/cpu.max", folder);
    FILE *f = fopen(path, "re");
    free(path);
    if (f == NULL)
        return UINT64_MAX;
    if (fscanf(f, "%" SCNu64 " %" SCNu64, &quota_us, &period_us) != 2) // NOLINT(cert-err34-c): likewise
        quota_us = UINT64_MAX;
    fclose(f);
    return whole_cores(quota_us, period_us);
}

/* What control groups limit. */
struct resource {
    const char *controller;
    uint64_t (*read)(const char *folder, bool is_2); /* a group's own limit; UINT64_MAX: none */
};

static const struct resource memory = {"memory", read_memory}, cores = {"cpu", read_cores};

/* The least limit of a control group and those above it; mount holds them, group is "/a/b", and is cut. */
static uint64_t least_limit(const struct resource *r, const char *mount, char *group, bool is_2)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        char *folder = str_format("%s%s", mount, group);
        uint64_t limit = r->read(folder, is_2);
        free(folder);
        if (limit < least)
            least = limit;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* True: the controller is one of these, "cpu,memory". */
static bool has_controller(const char *controllers, const char *wanted)
{
    const size_t len = strlen(wanted);
    for (const char *word = controllers; word != NULL; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, wanted, len) == 0 && (word[len] == ',' || word[len] == '\0'))
            return true;
    }
    return false;
}

/* Of a line of /proc/self/cgroup, which is cut: "0::/a/b" (version 2) or "4:memory:/a/b" (version 1). */
static uint64_t line_limit(const struct resource *r, const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL)
        return UINT64_MAX;
    *group++ = '\0';
    bool is_2 = strcmp(controllers, ":") == 0;
    if (!is_2 && !has_controller(controllers + 1, r->controller))
        return UINT64_MAX;
    char *mount = str_format("%s/sys/fs/cgroup%s%s", root, is_2 ? "" : "/", is_2 ? "" : r->controller);
    uint64_t limit = least_limit(r, mount, group, is_2);
    free(mount);
    return limit;
}

static uint64_t group_limit(const struct resource *r, const char *root)
{
    uint64_t least = UINT64_MAX;
    char line[4096], *path = str_format("%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    free(path);
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        uint64_t limit = line_limit(r, root, line);
        if (limit < least)
            least = limit;
    }
    if (f != NULL)
        fclose(f);
    return least;
}

uint64_t host_group_memory(const char *root)
{
    return group_limit(&memory, root);
}

uint64_t host_group_cores(const char *root)
{
    return group_limit(&cores, root);
}

unsigned host_cores(void)
{
    cpu_set_t set;
    uint64_t limit = host_group_cores("");
    uint64_t n = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint64_t)CPU_COUNT(&set) : 1;
    if (limit < n)
        n = limit;
    return n > 0 ? (unsigned)n : 1;
}

uint64_t host_memory(void)
{
    struct sysinfo info = {0};
    uint64_t total = UINT64_MAX, limit = host_group_memory("");
    if (sysinfo(&info) == 0)
        total = (uint64_t)info.totalram * info.mem_unit;
    return limit < total ? limit : total;
}

char *host_node_name(void)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        snprintf(name, sizeof name, "localhost");
    return str_format("rabbit@%.*s", (int)strcspn(name, "."), name);
}

char *host_data_dir(void)
{
    if (geteuid() == 0 || access(DEFAULT_DIR, W_OK) == 0)
        return str_format("%s", DEFAULT_DIR);
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
    if (state != NULL && state[0] == '/')
        return str_format("%s/millrace", state);
    return home != NULL && home[0] == '/' ? str_format("%s/.local/state/millrace", home) : NULL;
}

/* A folder that was just made, of nobody else's making meanwhile. */
static int give_dir(const char *path, uid_t uid, gid_t gid)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || fchown(fd, uid, gid) != 0)
        error = errno != 0 ? -errno : -EPERM;
    close(fd);
    return error;
}

/* Parents get 0750, the folder itself 0700, less what the umask takes. */
static int make_dirs(const char *path, uid_t uid, gid_t gid)
{
    char *part = str_format("%s", path);
    int error = 0;
    for (char *slash = strchr(part + 1, '/'); error == 0; slash = slash != NULL ? strchr(slash + 1, '/') : NULL) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, slash != NULL ? 0750 : 0700) == 0)
            error = uid != geteuid() ? give_dir(part, uid, gid) : 0;
        else if (errno != EEXIST)
            error = -errno;
        if (slash == NULL)
            break;
        *slash = '/';
    }
    free(part);
    return error;
}

static int complain_of_dir(const char *path, int error)
{
    fprintf(stderr, "millraced: data_dir %s: %s (as user id %u)\n", path, strerrordesc_np(-error), (unsigned)geteuid());
    return EX_CANTCREAT;
}

int host_make_dir_for(const char *path, uid_t uid, gid_t gid)
{
    int error = make_dirs(path, uid, gid);
    return error == 0 ? 0 : complain_of_dir(path, error);
}

bool host_owns_dir(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        complain_of_dir(path, -errno);
        return false;
    }
    if (st.st_uid == geteuid())
        return true;
    fprintf(stderr, "millraced: data_dir %s: belongs to user id %u, but the broker runs as %u\n", path,
            (unsigned)st.st_uid, (unsigned)geteuid());
    return false;
}

/* Who has it is written in the lock: "PID HOST". */
static int complain_of_owner(const char *path, int lock)
{
    char who[300] = "";
    ssize_t n = pread(lock, who, sizeof who - 1, 0);
    who[n > 0 ? n : 0] = '\0';
    who[strcspn(who, "\n")] = '\0';
    char *host = strchr(who, ' ');
    if (host != NULL)
        *host++ = '\0';
    fprintf(stderr, "millraced: data_dir %s: another broker is using it", path);
    if (host != NULL)
        fprintf(stderr, " (process %s on %s)", who, host);
    fputs("\n", stderr);
    return EX_UNAVAILABLE;
}

static void write_owner(int lock)
{
    char host[256] = "", who[300];
    gethostname(host, sizeof host - 1);
    int n = snprintf(who, sizeof who, "%ld %s\n", (long)getpid(), host);
    if (ftruncate(lock, 0) != 0 || pwrite(lock, who, (size_t)n, 0) != n)
        return; /* it is locked all the same */
}

int host_claim_dir(const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int error = make_dirs(path, geteuid(), getegid());
    char *lock = str_format("%s/lock", path);
    int fd = error == 0 ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (error == 0 && fd < 0)
        error = -errno;
    free(lock);
    if (error == 0 && fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        error = -errno;
        int status = error == -EAGAIN || error == -EACCES ? complain_of_owner(path, fd) : 0;
        close(fd);
        if (status != 0)
            return status;
    }
    if (error != 0)
        return complain_of_dir(path, error);
    write_owner(fd);
    return 0; /* fd stays open: it is the lock */
}

uint64_t host_raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 0;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}
