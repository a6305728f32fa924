/* repair: a new data folder with all that can be read of the old one, which stays as it is.  Both are stores: what one
 * finds, the other is told as a broker would tell it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/store/backup.h"
#include "broker/tool/commands.h"
#include "broker/tool/text.h"
#include "broker/tool/view.h"

enum { GROUP_BYTES = 4 << 20, TEND_BYTES = 4 << 20, SYNCS = 4 };

struct repair {
    struct disk *disk;   /* borrowed */
    struct store *store; /* owned: the new one */
    struct sheaf sheaf;
    uint64_t position, messages;
    bool has_suspects; /* that may have been out when the broker crashed, and nobody knows */
    enum store_verdict verdict;
};

static void fill_random(void *to, size_t n)
{
    if (getrandom(to, n, 0) != (ssize_t)n)
        abort(); /* never, for so few bytes */
}

/* ---- Writing. */

static void sync_store(struct repair *r)
{
    struct sync_job job;
    if (r->verdict != STORE_FINE || !store_sync_begin(r->store, &job))
        return;
    if (sync_job_run(r->disk, &job) < 0)
        r->verdict = STORE_FAILED;
    else
        store_sync_end(r->store, &job);
}

/* Hands over what was gathered. */
static void flush(struct repair *r)
{
    bool more = false;
    if (r->sheaf.n == 0 || r->verdict != STORE_FINE)
        return;
    r->position += r->sheaf.n;
    r->sheaf.last = r->position;
    uint64_t wall_ms = r->sheaf.wall_ms;
    store_append(r->store, &r->sheaf, NULL, NULL);
    r->sheaf.wall_ms = wall_ms;
    r->verdict = store_write(r->store);
    sync_store(r);
    if (r->verdict == STORE_FINE)
        r->verdict = store_tend(r->store, TEND_BYTES, &more);
}

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    struct repair *r = arg;
    sheaf_add(&r->sheaf, RECORD_DEFINE)->definition = definition_create(what, queue, key, value);
}

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    (void)arg, (void)queue, (void)messages, (void)bytes, (void)next_position;
}

/* Deliveries are counted by what was given back. */
static void on_message(void *arg, const struct view_queue *q, const struct load_entry *e)
{
    struct repair *r = arg;
    if (r->sheaf.wall_ms != e->written_ms || r->sheaf.bytes >= GROUP_BYTES)
        flush(r);
    if (r->verdict != STORE_FINE)
        return;
    r->sheaf.wall_ms = e->written_ms;
    r->sheaf.bytes += message_cost(e->msg);
    struct record *publish = sheaf_add(&r->sheaf, RECORD_PUBLISH);
    publish->msg = message_ref(e->msg);
    publish->transient = !e->persistent;
    sheaf_place(&r->sheaf, (struct place){.queue = q->id, .position = e->position, .ttl_ms = e->ttl_ms});
    r->has_suspects |= e->redelivered && e->deliveries == 0;
    for (unsigned i = 0; i < e->deliveries; i++)
        sheaf_add(&r->sheaf, RECORD_RETURN)->at = (struct place){.queue = q->id, .position = e->position};
    r->messages++;
}

/* ---- All of it. */

static void copy_all(struct repair *r, struct view *v)
{
    const struct store_reader reader = {.arg = r, .definition = on_definition, .queue = on_queue};
    bool more = false;
    store_read(v->store, &reader);
    flush(r);
    for (size_t i = 0; i < v->n_queues && r->verdict == STORE_FINE; i++)
        view_read_queue(v, &v->queues[i], on_message, r);
    flush(r);
    /* A store that was not closed has suspects. */
    for (unsigned i = 0; i < SYNCS && r->has_suspects && r->verdict == STORE_FINE; i++) {
        sync_store(r);
        if (r->verdict == STORE_FINE)
            r->verdict = store_tend(r->store, TEND_BYTES, &more);
    }
    if (r->verdict == STORE_FINE && !r->has_suspects)
        r->verdict = store_close(r->store);
}

static void tell(const struct repair *r, const struct view *v)
{
    text_show_each(v->losses, "lost");
    printf("%" PRIu64 " messages in %zu queues were copied", r->messages, v->n_queues);
    if (json_array_size(v->losses) > 0)
        printf("; at least %" PRIu64 " messages or records are lost", v->lost_messages);
    putchar('\n');
}

static int write_new(struct view *v, const struct command *c)
{
    struct backup_target t;
    int error = backup_target_make(&t, c->new_dir);
    if (error != 0) {
        fprintf(stderr, "millrace-store: %s: %s\n", c->new_dir, strerrordesc_np(-error));
        return TOOL_CANNOT;
    }
    struct repair r = {.disk = t.disk};
    const struct store_config config = {.disk = t.disk, .random = fill_random};
    char *text = NULL;
    sheaf_init(&r.sheaf);
    r.verdict = store_open(&config, NULL, &r.store, &text);
    if (r.verdict == STORE_FINE)
        copy_all(&r, v);
    if (r.verdict != STORE_FINE) {
        const char *why = text != NULL ? text : r.store != NULL ? store_trouble(r.store) : "";
        fprintf(stderr, "millrace-store: %s: %s\n", c->new_dir, why[0] != '\0' ? why : "there is no room");
    }
    sheaf_fini(&r.sheaf);
    store_destroy(r.store);
    free(text);
    if (r.verdict != STORE_FINE) {
        backup_target_drop(&t);
        return TOOL_CANNOT;
    }
    error = backup_target_keep(&t);
    if (error != 0) {
        fprintf(stderr, "millrace-store: %s: %s\n", c->new_dir, strerrordesc_np(-error));
        return TOOL_CANNOT;
    }
    tell(&r, v);
    return json_array_size(v->losses) > 0 ? TOOL_LOSS : TOOL_CLEAN;
}

int command_repair(struct folder *f, const struct command *c)
{
    struct view v;
    int status = view_open(&v, f->disk, f->path);
    if (status == 0)
        status = write_new(&v, c);
    if (v.store != NULL)
        view_close(&v);
    return status;
}
