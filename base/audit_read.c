#define _GNU_SOURCE
#include "base/audit_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"

enum { BLOCK = 64 * 1024 }; /* many times AUDIT_LINE_MAX */

struct reading {
    audit_each_fn *each;
    void *arg;
    uint64_t left; /* bytes that may still be read */
    char *block;   /* BLOCK bytes */
};

enum step { STEP_ON, STEP_ENOUGH };

static size_t read_at(int fd, char *to, size_t n, uint64_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* The lines of block[from..n), last one first.  *end goes down with each: the file's offset behind those that are still
 * to be told. */
static enum step tell_lines(struct reading *r, size_t from, size_t n, uint64_t start, uint64_t *end)
{
    while (n > from) {
        size_t stop = r->block[n - 1] == '\n' ? n - 1 : n;
        const char *before = stop > from ? memrchr(r->block + from, '\n', stop - from) : NULL;
        size_t begin = before != NULL ? (size_t)(before - r->block) + 1 : from;
        *end = start + begin;
        n = begin;
        if (stop > begin && !r->each(bytes_of(r->block + begin, stop - begin), r->arg))
            return STEP_ENOUGH;
    }
    return STEP_ON;
}

/* Backwards from *end to the file's beginning. */
static enum step read_file(struct reading *r, int fd, uint64_t *end)
{
    while (*end > 0) {
        if (r->left == 0)
            return STEP_ENOUGH;
        uint64_t start = *end > BLOCK ? *end - BLOCK : 0;
        size_t n = read_at(fd, r->block, (size_t)(*end - start), start);
        r->left -= r->left > n ? n : r->left;
        if (n < *end - start)
            *end = start + n; /* it has become shorter */
        const char *first = start > 0 ? memchr(r->block, '\n', n) : NULL;
        size_t from = first != NULL ? (size_t)(first - r->block) + 1 : 0;
        if (start > 0 && (first == NULL || from == n)) {
            *end = start; /* no line is that long: nonsense, which is passed over */
            continue;
        }
        if (tell_lines(r, from, n, start, end) == STEP_ENOUGH)
            return STEP_ENOUGH;
    }
    return STEP_ON;
}

/* Opens the nth old file; -1: there is none, or it is no plain file. */
static int open_nth(unsigned nth, struct stat *st)
{
    char *name = audit_name(nth);
    int fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
    free(name);
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

bool audit_read(struct audit_place *place, audit_each_fn *each, void *arg)
{
    struct reading r = {.each = each, .arg = arg, .left = AUDIT_READ_BYTES};
    bool has_found = place->inode == 0, has_read = false;
    enum step step = STEP_ON;
    audit_flush();
    r.block = alloc(BLOCK);
    for (unsigned nth = 0, keep = audit_keep(); nth <= keep && step == STEP_ON; nth++) {
        struct stat st;
        int fd = open_nth(nth, &st);
        if (fd < 0)
            continue;
        uint64_t size = (uint64_t)st.st_size, end = size;
        bool is_last = st.st_ino == place->inode;
        if (has_read && is_last) {
            close(fd); /* it was rotated meanwhile */
            continue;
        }
        if (!has_found && is_last) {
            has_found = true;
            end = place->offset < size ? place->offset : size;
        } else if (!has_found) {
            close(fd);
            continue;
        }
        step = read_file(&r, fd, &end);
        has_read = true;
        *place = (struct audit_place){.inode = st.st_ino, .offset = end};
        close(fd);
    }
    free(r.block);
    return step == STEP_ENOUGH;
}
