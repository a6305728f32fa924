/* Names, spare files, deletions: what journal, packs and checkpoints have in common. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/store/state.h"

void file_name(char to[NAME_MAX_BYTES], const char *kind, uint64_t number)
{
    snprintf(to, NAME_MAX_BYTES, "%s-%016" PRIx64, kind, number);
}

void store_note(struct store *s, bool is_warning, const char *format, ...)
{
    char text[512];
    va_list args;
    if (s->witness.note == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->witness.note(s->witness.arg, is_warning, text);
}

enum store_verdict store_fail(struct store *s, const char *what, const char *name, int error)
{
    if (s->trouble == NULL)
        s->trouble = str_format("%s %s: %s", what, name, strerror(-error)); // NOLINT(concurrency-mt-unsafe)
    return s->verdict = STORE_FAILED;
}

uint32_t store_random_epoch(struct store *s)
{
    uint32_t epoch = 0;
    s->config.random(&epoch, sizeof epoch);
    return epoch;
}

struct file_header store_header(struct store *s, enum file_kind kind, uint64_t number, uint32_t epoch, uint64_t lsn)
{
    struct file_header h = {
        .kind = kind, .major = FORMAT_MAJOR, .minor = FORMAT_MINOR, .number = number, .epoch = epoch, .first_lsn = lsn};
    memcpy(h.node, s->node, sizeof h.node);
    snprintf(h.version, sizeof h.version, "millrace %s", PACKAGE_VERSION);
    return h;
}

static bool is_no_space(int error)
{
    return error == -ENOSPC || error == -EDQUOT;
}

/* A new file with room; STORE_FULL: nothing is left of it. */
static enum store_verdict file_create(struct store *s, const char *name, uint64_t size, int *file)
{
    int f = s->disk->calls->open(s->disk, name, DISK_CREATE);
    if (f < 0)
        return is_no_space(f) ? STORE_FULL : store_fail(s, "cannot create", name, f);
    int error = s->disk->calls->allocate(s->disk, f, size);
    if (error == 0) {
        s->names_changed = true;
        *file = f;
        return STORE_FINE;
    }
    s->disk->calls->close(s->disk, f);
    s->disk->calls->unlink(s->disk, name);
    return is_no_space(error) ? STORE_FULL : store_fail(s, "cannot make room for", name, error);
}

enum store_verdict file_take(struct store *s, const char *name, uint64_t *size, int *file)
{
    if (*size > s->config.segment_bytes || s->n_spares == 0) {
        if (*size < s->config.segment_bytes)
            *size = s->config.segment_bytes;
        enum store_verdict v = file_create(s, name, *size, file);
        s->is_tight = v == STORE_FULL || (s->is_tight && v != STORE_FINE);
        return v;
    }
    char spare[NAME_MAX_BYTES];
    file_name(spare, "spare", s->spares[s->n_spares - 1]);
    int error = s->disk->calls->rename(s->disk, spare, name);
    if (error < 0)
        return store_fail(s, "cannot rename", spare, error);
    s->n_spares--;
    s->names_changed = true;
    *size = s->config.segment_bytes;
    *file = s->disk->calls->open(s->disk, name, DISK_WRITE);
    return *file < 0 ? store_fail(s, "cannot open", name, *file) : STORE_FINE;
}

void file_untake(struct store *s, const char *name, int file)
{
    s->disk->calls->close(s->disk, file);
    s->disk->calls->unlink(s->disk, name);
}

enum store_verdict file_wrote(struct store *s, const char *name, ssize_t put)
{
    if (put < 0 && is_no_space((int)put))
        return STORE_FULL; /* what was written is beyond the end of the last group, or is written again */
    if (put <= 0)
        return store_fail(s, "cannot write", name, put < 0 ? (int)put : -EIO);
    s->stats.written_bytes += (uint64_t)put;
    return STORE_FINE;
}

enum store_verdict file_write(struct store *s, int file, const char *name, const void *from, size_t n, uint64_t offset)
{
    const uint8_t *at = from;
    while (n > 0) {
        ssize_t done = s->disk->calls->write(s->disk, file, at, n, offset);
        enum store_verdict v = file_wrote(s, name, done);
        if (v != STORE_FINE)
            return v;
        at += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return STORE_FINE;
}

void file_doom(struct store *s, const char *name, uint64_t size, uint64_t lsn)
{
    struct doomed_file *d = alloc_zeroed(sizeof *d);
    snprintf(d->name, sizeof d->name, "%s", name);
    d->size = size;
    d->lsn = lsn;
    struct doomed_file **last = &s->doomed;
    while (*last != NULL)
        last = &(*last)->next;
    *last = d;
}

/* A file of the right size becomes a spare, another is deleted. */
static enum store_verdict doomed_end(struct store *s, const struct doomed_file *d)
{
    s->names_changed = true;
    if (d->size == s->config.segment_bytes && s->n_spares < STORE_SPARES_MAX) {
        char spare[NAME_MAX_BYTES];
        file_name(spare, "spare", s->next_spare);
        int error = s->disk->calls->rename(s->disk, d->name, spare);
        if (error < 0)
            return store_fail(s, "cannot rename", d->name, error);
        s->spares[s->n_spares++] = s->next_spare++;
        return STORE_FINE;
    }
    int error = s->disk->calls->unlink(s->disk, d->name);
    if (error < 0 && error != -ENOENT)
        return store_fail(s, "cannot delete", d->name, error);
    s->is_tight = false;
    return STORE_FINE;
}

/* Deletes what nothing needs any more, once what says so is durable. */
static enum store_verdict doomed_tend(struct store *s)
{
    for (struct doomed_file **at = &s->doomed; *at != NULL;) {
        struct doomed_file *d = *at;
        if (d->lsn > s->durable_lsn) {
            at = &d->next;
            continue;
        }
        enum store_verdict v = doomed_end(s, d);
        *at = d->next;
        free(d);
        if (v != STORE_FINE)
            return v;
    }
    return STORE_FINE;
}

/* More were kept than are needed when nothing happens. */
static enum store_verdict spare_drop(struct store *s)
{
    char name[NAME_MAX_BYTES];
    file_name(name, "spare", s->spares[s->n_spares - 1]);
    int error = s->disk->calls->unlink(s->disk, name);
    if (error < 0)
        return store_fail(s, "cannot delete", name, error);
    s->n_spares--;
    s->names_changed = true;
    return STORE_FINE;
}

static enum store_verdict spare_make(struct store *s)
{
    char name[NAME_MAX_BYTES];
    int file;
    file_name(name, "spare", s->next_spare);
    enum store_verdict v = file_create(s, name, s->config.segment_bytes, &file);
    s->is_tight = v == STORE_FULL;
    if (v == STORE_FINE) {
        s->disk->calls->close(s->disk, file);
        s->spares[s->n_spares++] = s->next_spare++;
    }
    return v == STORE_FULL ? STORE_FINE : v;
}

enum store_verdict files_reserve(struct store *s, unsigned n)
{
    CHECK(n <= STORE_SPARES_MAX);
    while (s->n_spares < n) {
        unsigned before = s->n_spares;
        enum store_verdict v = spare_make(s);
        if (v != STORE_FINE || s->n_spares == before)
            return v == STORE_FINE ? STORE_FULL : v;
    }
    return STORE_FINE;
}

enum store_verdict files_tend(struct store *s, bool *more)
{
    enum store_verdict v = s->is_backing_up ? STORE_FINE : doomed_tend(s);
    bool is_idle = store_is_idle(s);
    if (v != STORE_FINE)
        return v;
    if (s->n_spares < STORE_SPARE_SEGMENTS)
        v = spare_make(s);
    else if (s->n_spares > STORE_SPARE_SEGMENTS && is_idle)
        v = spare_drop(s);
    *more |= !s->is_tight && (s->n_spares < STORE_SPARE_SEGMENTS || (s->n_spares > STORE_SPARE_SEGMENTS && is_idle));
    return v;
}
