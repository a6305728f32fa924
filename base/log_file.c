#define _GNU_SOURCE
#include "base/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

enum { FILE_MODE = 0640 };

struct log_file {
    pthread_mutex_t lock; /* of all that follows */
    char *path;           /* owned */
    int fd;
    uint64_t size, max_bytes, lost;
    unsigned keep;
    struct log_rotation when;
    time_t over_at; /* 0: never */
};

/* ---- When. */

/* A number of at most max, and what follows it; NULL: there is none. */
static const char *read_number(const char *text, unsigned max, unsigned *to)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    unsigned long n = strtoul(text, &end, 10);
    *to = (unsigned)n;
    return n <= max ? end : NULL;
}

bool log_rotation_parse(const char *text, struct log_rotation *r)
{
    enum { MINUTE_MAX = 59, HOUR_MAX = 23, WEEKDAY_MAX = 6, MONTHDAY_MAX = 31 };
    *r = (struct log_rotation){0};
    if (*text == '\0')
        return true;
    if (text[0] != '$' || text[1] == '\0' || strchr("HDWM", text[1]) == NULL)
        return false;
    r->unit = text[1];
    const char *at = text + 2;
    if (r->unit == 'H')
        return (at = read_number(at, MINUTE_MAX, &r->minute)) != NULL && *at == '\0';
    if (r->unit != 'D') {
        at = read_number(at, r->unit == 'W' ? WEEKDAY_MAX : MONTHDAY_MAX, &r->day);
        if (at == NULL || (r->unit == 'M' && r->day == 0))
            return false;
        if (*at == '\0')
            return true;
        if (*at++ != 'D')
            return false;
    }
    return (at = read_number(at, HOUR_MAX, &r->hour)) != NULL && *at == '\0';
}

time_t log_rotation_next(const struct log_rotation *r, time_t now)
{
    enum { DAYS_OF_WEEK = 7 };
    struct tm t;
    if (r->unit == 0)
        return 0;
    localtime_r(&now, &t);
    t.tm_sec = 0;
    t.tm_min = (int)r->minute;
    t.tm_isdst = -1;
    if (r->unit != 'H')
        t.tm_hour = (int)r->hour;
    if (r->unit == 'W')
        t.tm_mday += (int)r->day - t.tm_wday;
    if (r->unit == 'M')
        t.tm_mday = (int)r->day;
    for (struct tm at = t;; at = t) {
        time_t next = mktime(&at);
        if (next > now)
            return next;
        t.tm_hour += r->unit == 'H';
        t.tm_mday += r->unit == 'D' ? 1 : r->unit == 'W' ? DAYS_OF_WEEK : 0;
        t.tm_mon += r->unit == 'M';
    }
}

/* ---- The file. */

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, FILE_MODE);
}

static void take(struct log_file *f, int fd)
{
    struct stat st;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

struct log_file *log_file_create(const char *path, uint64_t max_bytes, unsigned keep, const struct log_rotation *when,
                                 int *error)
{
    int fd = open_path(path);
    if (fd < 0) {
        *error = -errno;
        return NULL;
    }
    struct log_file *f = alloc_zeroed(sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    f->path = str_format("%s", path);
    f->fd = -1;
    f->max_bytes = max_bytes;
    f->keep = keep < LOG_FILE_KEEP_MAX ? keep : LOG_FILE_KEEP_MAX;
    f->when = *when;
    f->over_at = log_rotation_next(when, time(NULL));
    take(f, fd);
    return f;
}

void log_file_destroy(struct log_file *f)
{
    if (f == NULL)
        return;
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}

static int reopen(struct log_file *f)
{
    int fd = open_path(f->path);
    if (fd < 0)
        return -errno;
    take(f, fd);
    return 0;
}

int log_file_reopen(struct log_file *f)
{
    pthread_mutex_lock(&f->lock);
    int status = reopen(f);
    pthread_mutex_unlock(&f->lock);
    return status;
}

/* path.0 becomes path.1 and so on; path becomes path.0. */
static void rotate(struct log_file *f)
{
    if (f->keep == 0) {
        if (ftruncate(f->fd, 0) == 0)
            f->size = 0;
        return;
    }
    for (unsigned i = f->keep; i-- > 0;) {
        char *to = str_format("%s.%u", f->path, i);
        char *from = i > 0 ? str_format("%s.%u", f->path, i - 1) : str_format("%s", f->path);
        int unused = rename(from, to); /* there may be none yet */
        (void)unused;
        free(from);
        free(to);
    }
    reopen(f);
}

void log_file_write(struct log_file *f, const char *line, size_t n, time_t now)
{
    pthread_mutex_lock(&f->lock);
    bool is_large = f->max_bytes > 0 && f->size > 0 && f->size + n > f->max_bytes;
    bool is_over = f->over_at != 0 && now >= f->over_at;
    if (is_large || (is_over && f->size > 0))
        rotate(f);
    if (is_over)
        f->over_at = log_rotation_next(&f->when, now);
    if (write(f->fd, line, n) == (ssize_t)n)
        f->size += n;
    else
        f->lost++;
    pthread_mutex_unlock(&f->lock);
}

uint64_t log_file_lost(struct log_file *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t lost = f->lost;
    pthread_mutex_unlock(&f->lock);
    return lost;
}
