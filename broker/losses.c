#define _GNU_SOURCE
#include "broker/losses.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/port/definition.h"

/* What one queue, or nobody knows whom, has lost since the last warning. */
struct toll {
    uint64_t queue;
    char *vhost, *name; /* owned; NULL: not known */
    uint64_t messages, bytes;
};

struct losses {
    char *path; /* owned */
    FILE *file; /* owned; NULL: nothing was lost yet, or it cannot be written */
    bool has_failed;
    unsigned lines;
    struct toll tolls[LOSSES_QUEUES_MAX];
    unsigned n;
    uint64_t more; /* messages of further queues */
};

struct losses *losses_create(const char *data_dir)
{
    struct losses *l = alloc_zeroed(sizeof *l);
    l->path = str_format("%s/lost.jsonl", data_dir);
    return l;
}

static void losses_forget(struct losses *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        free(l->tolls[i].vhost);
        free(l->tolls[i].name);
    }
    l->n = 0;
    l->more = 0;
}

void losses_destroy(struct losses *l)
{
    if (l == NULL)
        return;
    losses_forget(l);
    if (l->file != NULL)
        fclose(l->file);
    free(l->path);
    free(l);
}

/* ---- lost.jsonl */

static bool losses_open(struct losses *l)
{
    if (l->file != NULL || l->has_failed)
        return l->file != NULL;
    int fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    l->file = fd >= 0 ? fdopen(fd, "a") : NULL;
    l->has_failed = l->file == NULL;
    if (l->has_failed)
        log_error("store", "%s cannot be written: %s", l->path, strerrordesc_np(errno));
    return !l->has_failed;
}

static void put_text(FILE *f, const char *name, struct bytes text)
{
    fprintf(f, "\"%s\":\"", name);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c < ' ' || c == '"' || c == '\\')
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputs("\",", f);
}

static void put_name(FILE *f, const char *name, const char *text)
{
    if (text != NULL)
        put_text(f, name, bytes_of_string(text));
    else
        fprintf(f, "\"%s\":null,", name);
}

static void losses_write(struct losses *l, const struct toll *t, const struct store_loss *loss)
{
    char when[32];
    struct tm tm;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (l->lines == LOSSES_LINES_MAX || !losses_open(l))
        return;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fputc('{', l->file);
    put_name(l->file, "time", when);
    put_name(l->file, "vhost", t->vhost);
    put_name(l->file, "queue", t->name);
    put_name(l->file, "file", loss->file);
    put_name(l->file, "reason", loss->reason);
    fprintf(l->file,
            "\"queue_id\":%" PRIu64 ",\"first_lsn\":%" PRIu64 ",\"last_lsn\":%" PRIu64 ",\"messages\":%" PRIu64
            ",\"bytes\":%" PRIu64 ",\"offset\":%" PRIu64 "}\n",
            loss->queue, loss->first_lsn, loss->last_lsn, loss->messages, loss->bytes, loss->offset);
    if (++l->lines == LOSSES_LINES_MAX)
        log_error("store", "%s: no more lines in this run", l->path);
}

/* ---- Who has lost how much. */

/* The toll of the queue; the last one but one is for those that have none. */
static struct toll *losses_toll(struct losses *l, const struct store_loss *loss)
{
    struct bytes vhost, name;
    for (unsigned i = l->n; i-- > 0;)
        if (l->tolls[i].queue == loss->queue)
            return &l->tolls[i];
    if (l->n == LOSSES_QUEUES_MAX)
        return NULL;
    struct toll *t = &l->tolls[l->n++];
    *t = (struct toll){.queue = loss->queue};
    if (loss->definition.len > 0 && definition_read_key(DEFINE_QUEUE, loss->definition, &vhost, &name)) {
        t->vhost = str_copy(vhost);
        t->name = str_copy(name);
    }
    return t;
}

void losses_add(struct losses *l, const struct store_loss *loss)
{
    struct toll none = {0}, *t = losses_toll(l, loss);
    losses_write(l, t != NULL ? t : &none, loss);
    if (t == NULL) {
        l->more += loss->messages;
        return;
    }
    t->messages += loss->messages;
    t->bytes += loss->bytes;
}

void losses_warn(struct losses *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct toll *t = &l->tolls[i];
        if (t->name != NULL)
            log_warning("store",
                        "DATA LOSS: queue '%s' in vhost '%s': %" PRIu64 " messages (%" PRIu64
                        " bytes) cannot be read; see %s",
                        t->name, t->vhost, t->messages, t->bytes, l->path);
        else
            log_warning("store", "DATA LOSS: %" PRIu64 " records of unknown queues cannot be read; see %s", t->messages,
                        l->path);
    }
    if (l->more > 0)
        log_warning("store", "DATA LOSS: %" PRIu64 " messages of further queues cannot be read; see %s", l->more,
                    l->path);
    losses_forget(l);
    if (l->file != NULL && (fflush(l->file) != 0 || fdatasync(fileno(l->file)) != 0))
        log_error("store", "%s cannot be written: %s", l->path, strerrordesc_np(errno));
}
