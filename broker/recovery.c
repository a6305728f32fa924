#define _GNU_SOURCE
#include "broker/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/losses.h"
#include "broker/port/definition.h"
#include "broker/store/keeper.h"

/* ---- What the store says. */

static void on_lost(void *arg, const struct store_loss *loss)
{
    struct recovery *r = arg;
    losses_add(r->losses, loss);
    if (r->is_over)
        losses_warn(r->losses);
}

static void on_note(void *arg, bool is_warning, const char *text)
{
    (void)arg;
    log_write(is_warning ? LOG_WARNING_LEVEL : LOG_INFO_LEVEL, "store", "%s", text);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    const struct recovery *r = arg;
    if (r->witness != NULL)
        r->witness->progress(r->witness->arg, "recovering: journal, MiB", done >> 20, total >> 20);
}

/* One more object. */
static void recovery_count(const struct recovery *r)
{
    uint64_t n = 0;
    for (int i = 0; i < DEFINE_CLASSES; i++)
        n += r->definitions[i];
    if (r->witness != NULL)
        r->witness->progress(r->witness->arg, "recovering: definitions", n, 0);
}

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    struct recovery *r = arg;
    struct bytes vhost = {0}, name = {0};
    if (broker_restore_definition(r->broker, what, queue, key, value)) {
        r->definitions[what]++;
        recovery_count(r);
        return;
    }
    r->refused++;
    definition_read_key(what, key, &vhost, &name);
    log_warning("store", "a definition cannot be restored: %s '%.*s' in vhost '%.*s'", definition_word(what),
                (int)name.len, (const char *)name.at, (int)vhost.len, (const char *)vhost.at);
}

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    struct recovery *r = arg;
    if (broker_restore_queue(r->broker, queue, messages, bytes, next_position)) {
        r->messages += messages;
        r->bytes += bytes;
    } else if (messages > 0) {
        const struct store_loss loss = {
            .queue = queue, .messages = messages, .bytes = bytes, .reason = "its queue cannot be restored"};
        losses_add(r->losses, &loss);
    }
}

/* ---- The folder. */

/* Makes the store's folder, and its name durable; 0, or an exit status and errno. */
static int make_folder(const char *data_dir, const char *folder)
{
    if (mkdir(folder, 0700) != 0)
        return errno == EEXIST ? 0 : EX_IOERR;
    int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 ? EX_IOERR : fsync(fd) != 0 ? KEEPER_EXIT : 0, error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return status;
}

/* 0, or the exit status after saying why. */
static int open_disk(const char *data_dir, struct disk **to)
{
    char *folder = str_format("%s/store", data_dir);
    int status = make_folder(data_dir, folder), error = errno;
    *to = status == 0 ? disk_real_create(folder, &error) : NULL;
    if (*to == NULL)
        fprintf(stderr, "millraced: data_dir %s: %s: %s\n", data_dir,
                status == KEEPER_EXIT ? "FATAL: it cannot be synced" : "its store cannot be opened",
                strerrordesc_np(abs(error)));
    free(folder);
    return *to != NULL ? 0 : status != 0 ? status : EX_IOERR;
}

/* ---- */

/* A segment is a small part of the file system (reliability D25). */
static uint64_t segment_bytes(struct disk *d)
{
    uint64_t available, total;
    if (d->calls->space(d, &available, &total) != 0 || total / RECOVERY_SEGMENTS_MIN >= STORE_SEGMENT_BYTES)
        return STORE_SEGMENT_BYTES;
    uint64_t part = total / RECOVERY_SEGMENTS_MIN & ~(uint64_t)(RECOVERY_SEGMENT_BYTES_MIN - 1);
    return part > RECOVERY_SEGMENT_BYTES_MIN ? part : RECOVERY_SEGMENT_BYTES_MIN;
}

/* The exit status that goes with it, after saying what is wrong. */
static int refuse(const char *data_dir, enum store_verdict v, const char *text)
{
    static const struct {
        const char *otherwise;
        int status;
    } refusals[] = {
        [STORE_NEWER] = {"it was written by a newer version", EX_PROTOCOL},
        [STORE_FAILED] = {"the disk answers errors", EX_IOERR},
        [STORE_FULL] = {"the file system is full", EX_IOERR},
    };
    fprintf(stderr, "millraced: data_dir %s: %s\n", data_dir, text != NULL ? text : refusals[v].otherwise);
    return refusals[v].status;
}

static void recovery_read(struct recovery *r, const struct broker_config *config, uint64_t began_ms)
{
    const struct store_reader reader = {.arg = r, .definition = on_definition, .queue = on_queue};
    struct broker_config with_records = *config;
    with_records.records = true;
    r->broker = broker_create(&with_records);
    store_read(r->store, &reader);
    broker_set_next_queue_id(r->broker, store_next_queue(r->store));
    losses_warn(r->losses);
    r->is_over = true;
    log_info("store",
             "recovered %" PRIu64 " vhosts, %" PRIu64 " exchanges, %" PRIu64 " queues, %" PRIu64 " bindings, %" PRIu64
             " messages (%" PRIu64 " bytes) in %" PRIu64 " ms",
             r->definitions[DEFINE_VHOST], r->definitions[DEFINE_EXCHANGE], r->definitions[DEFINE_QUEUE],
             r->definitions[DEFINE_BINDING], r->messages, r->bytes, clock_ms() - began_ms);
}

int recovery_init(struct recovery *r, const char *data_dir, const struct broker_config *config,
                  void (*random)(void *to, size_t n), const struct recovery_witness *told)
{
    const struct store_witness witness = {.arg = r, .lost = on_lost, .note = on_note, .progress = on_progress};
    char *text = NULL;
    uint64_t began_ms = clock_ms();
    *r = (struct recovery){.witness = told};
    int status = open_disk(data_dir, &r->disk);
    if (status != 0)
        return status;
    r->losses = losses_create(data_dir);
    const uint64_t segment = segment_bytes(r->disk);
    const struct store_config sc = {.disk = r->disk, .segment_bytes = segment, .pack_bytes = segment, .random = random};
    enum store_verdict v = store_open(&sc, &witness, &r->store, &text);
    status = v == STORE_FINE ? 0 : refuse(data_dir, v, text);
    free(text);
    if (status != 0)
        recovery_fini(r);
    else
        recovery_read(r, config, began_ms);
    return status;
}

void recovery_fini(struct recovery *r)
{
    disk_real_destroy(r->disk);
    losses_destroy(r->losses);
    *r = (struct recovery){0};
}
