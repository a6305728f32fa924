#define _GNU_SOURCE
#include "base/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"

struct waiting {
    char *bytes; /* owned, AUDIT_WAITING_MAX */
    size_t used;
    uint64_t lines;
};

static atomic_bool is_on;
static atomic_bool has_waiting;   /* a hint, so that a loop with nothing to flush takes no lock */
static atomic_uint_fast64_t lost; /* lines */

/* What is waiting; held for a copy. */
static pthread_mutex_t waiting_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct waiting filling;

/* The file and what is being written to it; held while the disk works.  Taken before waiting_mutex. */
static pthread_mutex_t file_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct waiting writing;
static struct {
    char *path; /* owned */
    uint64_t max_bytes;
    unsigned keep;
    int fd;
    uint64_t size;
    uint64_t rotate_at; /* that size; UINT64_MAX: never */
    bool is_plain;      /* a file, not a terminal or a pipe */
    bool is_torn;       /* it ends in half a line */
    bool is_failing;    /* to be written; and the log knows */
    bool is_stuck;      /* it cannot be rotated or opened anew; and the log knows */
    uint64_t lost_untold;
} file = {.fd = -1};

/* Half a line at the end: of a crash. */
static bool ends_torn(int fd, uint64_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, (off_t)(size - 1)) == 1 && last != '\n';
}

/* Opens the path and, if that works, lets go of the file that was open. */
static int file_open(void)
{
    int fd = open(file.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return -error;
    }
    if (file.fd >= 0)
        close(file.fd);
    file.fd = fd;
    file.is_stuck = false;
    file.is_plain = S_ISREG(st.st_mode);
    file.size = file.is_plain ? (uint64_t)st.st_size : 0;
    file.is_torn = file.is_plain && ends_torn(fd, file.size);
    file.rotate_at = file.is_plain && file.max_bytes > 0 ? file.max_bytes : UINT64_MAX;
    return 0;
}

/* A new name in a folder lasts when the folder does. */
static void sync_folder(void)
{
    const char *slash = strrchr(file.path, '/');
    char *folder = slash == NULL ? str_format(".") : str_format("%.*s", (int)(slash - file.path) + 1, file.path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

static void note_failure(bool *is_known, const char *what, int error, const char *and_so)
{
    if (!*is_known)
        log_error("audit", "cannot %s audit log %s: %s; %s", what, file.path, strerrordesc_np(error), and_so);
    *is_known = true;
}

int audit_open(const char *path, uint64_t max_bytes, unsigned keep)
{
    CHECK(!audit_is_on());
    if (keep > AUDIT_KEEP_MAX || (max_bytes > 0 && keep == 0))
        return -EINVAL;
    pthread_mutex_lock(&file_mutex);
    file.path = str_format("%s", path);
    file.max_bytes = max_bytes;
    file.keep = keep;
    int error = file_open();
    if (error != 0) {
        free(file.path);
        file.path = NULL;
    } else {
        file.is_failing = false;
        file.lost_untold = 0;
        writing = (struct waiting){.bytes = alloc(AUDIT_WAITING_MAX)};
        pthread_mutex_lock(&waiting_mutex);
        filling = (struct waiting){.bytes = alloc(AUDIT_WAITING_MAX)};
        pthread_mutex_unlock(&waiting_mutex);
        atomic_store(&lost, 0);
        sync_folder();
        atomic_store(&is_on, true);
    }
    pthread_mutex_unlock(&file_mutex);
    return error;
}

bool audit_is_on(void)
{
    return atomic_load_explicit(&is_on, memory_order_relaxed);
}

uint64_t audit_lost(void)
{
    return atomic_load(&lost);
}

/* The name of the file that is nth old, 0 the one that is written; the caller frees it. */
static char *old_name(unsigned nth)
{
    return nth == 0 ? str_format("%s", file.path) : str_format("%s.%u", file.path, nth);
}

/* Moves every file one further, the last one over the edge.  Where there is none to move, as after half a rotation,
 * the old ones stay: trying again and again costs none of them. */
static int move_files(void)
{
    if (access(file.path, F_OK) != 0)
        return errno == ENOENT ? 0 : -errno;
    int error = 0;
    for (unsigned n = file.keep; n > 0 && error == 0; n--) {
        char *from = old_name(n - 1), *to = old_name(n);
        error = rename(from, to) != 0 && errno != ENOENT ? -errno : 0;
        free(from);
        free(to);
    }
    return error;
}

static int file_rotate(void)
{
    fsync(file.fd);
    int error = move_files();
    if (error == 0)
        error = file_open();
    sync_folder();
    if (error != 0)
        file.rotate_at = file.size + file.max_bytes / 4; /* not at every turn */
    return error;
}

/* Takes half a line back, if nobody else wrote meanwhile. */
static bool take_back(size_t done)
{
    struct stat st;
    return file.is_plain && fstat(file.fd, &st) == 0 && (uint64_t)st.st_size == file.size + done &&
           ftruncate(file.fd, (off_t)file.size) == 0;
}

/* Writes all, or answers an error and leaves the file as it was, if it lets us. */
static int file_append(struct bytes b)
{
    size_t done = 0;
    while (done < b.len) {
        ssize_t n = write(file.fd, b.at + done, b.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int error = n < 0 ? errno : EIO;
            if (done > 0 && !take_back(done)) {
                file.size += done;
                file.is_torn = true;
            }
            return -error;
        }
        done += (size_t)n;
    }
    file.size += b.len;
    return 0;
}

static uint64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Closes half a line, and says what is missing here. */
static int file_mend(void)
{
    if (file.is_torn) {
        int error = file_append(BYTES("\n"));
        if (error != 0)
            return error;
        file.is_torn = false;
    }
    if (file.lost_untold == 0)
        return 0;
    char line[AUDIT_LINE_MAX];
    struct audit a = {.action = "audit.lost", .has_count = true, .count = file.lost_untold};
    int error = file_append(bytes_of(line, audit_line(&a, wall_us(), line)));
    if (error == 0)
        file.lost_untold = 0;
    return error;
}

static void file_write(struct bytes lines, uint64_t n_lines)
{
    bool is_full = file.size > 0 && file.size + lines.len > file.rotate_at;
    int moved = is_full ? file_rotate() : 0;
    if (moved != 0)
        note_failure(&file.is_stuck, "rotate", -moved, "it goes on with the file that there is");
    int error = file_mend();
    if (error == 0)
        error = file_append(lines);
    if (error != 0) {
        note_failure(&file.is_failing, "write", -error, "events are lost until it works");
        file.lost_untold += n_lines;
        atomic_fetch_add(&lost, n_lines);
    } else if (file.is_failing) {
        file.is_failing = false;
        log_notice("audit", "audit log %s can be written again", file.path);
    }
}

static void flush_locked(void)
{
    pthread_mutex_lock(&waiting_mutex);
    struct waiting full = filling;
    filling = writing;
    writing = full;
    atomic_store_explicit(&has_waiting, false, memory_order_relaxed);
    pthread_mutex_unlock(&waiting_mutex);
    if (writing.used > 0)
        file_write(bytes_of(writing.bytes, writing.used), writing.lines);
    writing.used = 0;
    writing.lines = 0;
}

void audit_flush(void)
{
    if (!atomic_load_explicit(&has_waiting, memory_order_relaxed))
        return;
    pthread_mutex_lock(&file_mutex);
    if (audit_is_on())
        flush_locked();
    pthread_mutex_unlock(&file_mutex);
}

/* Answers how many bytes are waiting then, or 0 if there is no room. */
static size_t add_waiting(const char *line, size_t len)
{
    size_t used = 0;
    pthread_mutex_lock(&waiting_mutex);
    if (filling.used + len <= AUDIT_WAITING_MAX) {
        memcpy(filling.bytes + filling.used, line, len);
        used = filling.used += len;
        filling.lines++;
        atomic_store_explicit(&has_waiting, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&waiting_mutex);
    return used;
}

void audit_write(const struct audit *a)
{
    if (!audit_is_on())
        return;
    char line[AUDIT_LINE_MAX];
    size_t len = audit_line(a, wall_us(), line), waiting;
    while ((waiting = add_waiting(line, len)) == 0)
        audit_flush();
    /* Another thread that is writing will be back; it has more room until then. */
    if (waiting >= AUDIT_FLUSH_BYTES && pthread_mutex_trylock(&file_mutex) == 0) {
        flush_locked();
        pthread_mutex_unlock(&file_mutex);
    }
}

int audit_reopen(void)
{
    int error = 0;
    pthread_mutex_lock(&file_mutex);
    if (audit_is_on()) {
        flush_locked();
        error = file_open();
        if (error != 0)
            note_failure(&file.is_stuck, "open", -error, "it goes on with the old file");
        else
            sync_folder();
    }
    pthread_mutex_unlock(&file_mutex);
    return error;
}

char *audit_name(unsigned nth)
{
    pthread_mutex_lock(&file_mutex);
    char *name = file.path != NULL ? old_name(nth) : NULL;
    pthread_mutex_unlock(&file_mutex);
    return name;
}

unsigned audit_keep(void)
{
    pthread_mutex_lock(&file_mutex);
    unsigned keep = file.path != NULL ? file.keep : 0;
    pthread_mutex_unlock(&file_mutex);
    return keep;
}

void audit_close(void)
{
    pthread_mutex_lock(&file_mutex);
    if (audit_is_on()) {
        flush_locked();
        atomic_store(&is_on, false);
        fsync(file.fd);
        close(file.fd);
        file.fd = -1;
        free(file.path);
        file.path = NULL;
        free(writing.bytes);
        pthread_mutex_lock(&waiting_mutex);
        free(filling.bytes);
        filling = writing = (struct waiting){0};
        pthread_mutex_unlock(&waiting_mutex);
    }
    pthread_mutex_unlock(&file_mutex);
}
