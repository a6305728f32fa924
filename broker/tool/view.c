#define _GNU_SOURCE
#include "broker/tool/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "broker/port/definition.h"
#include "broker/tool/text.h"

enum { PAGE_MESSAGES = 1024, PAGE_BYTES = 16 << 20 };

/* ---- What the store says. */

static void on_lost(void *arg, const struct store_loss *loss)
{
    struct view *v = arg;
    json_t *o = json_object();
    if (loss->queue != 0) {
        struct view_queue *q = view_find(v, loss->queue);
        text_set_number(o, "queue", loss->queue);
        if (q != NULL)
            q->lost += loss->messages;
    }
    text_set_number(o, "messages", loss->messages);
    text_set_number(o, "bytes", loss->bytes);
    if (loss->first_lsn != 0) {
        text_set_number(o, "first_lsn", loss->first_lsn);
        text_set_number(o, "last_lsn", loss->last_lsn);
    }
    text_set(o, "file", json_string(loss->file != NULL ? loss->file : ""));
    text_set_number(o, "offset", loss->offset);
    text_set(o, "reason", json_string(loss->reason));
    json_array_append_new(v->losses, o);
    v->lost_messages += loss->messages;
}

static void on_note(void *arg, bool is_warning, const char *text)
{
    struct view *v = arg;
    if (is_warning)
        json_array_append_new(v->notes, text_of(bytes_of_string(text)));
}

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    (void)value;
    struct view *v = arg;
    if (what != DEFINE_QUEUE)
        return;
    if (v->n_queues == v->queue_room) {
        v->queue_room = alloc_grown(v->queue_room, v->n_queues + 1);
        v->queues = alloc_array(v->queues, v->queue_room, sizeof *v->queues);
    }
    struct view_queue *q = &v->queues[v->n_queues++];
    *q = (struct view_queue){.id = queue};
    if (!definition_read_key(what, key, &q->raw_vhost, &q->raw_name))
        q->raw_name = key;
    q->vhost = text_of(q->raw_vhost);
    q->name = text_of(q->raw_name);
}

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    struct view_queue *q = view_find(arg, queue);
    if (q == NULL)
        return;
    q->messages = messages;
    q->bytes = bytes;
    q->next_position = next_position;
}

/* Losses that were told before the queues were known. */
static void count_early_losses(struct view *v)
{
    for (size_t i = 0; i < json_array_size(v->losses); i++) {
        const json_t *o = json_array_get(v->losses, i);
        struct view_queue *q = view_find(v, (uint64_t)json_integer_value(json_object_get(o, "queue")));
        if (q != NULL)
            q->lost += (uint64_t)json_integer_value(json_object_get(o, "messages"));
    }
}

/* ---- Opening. */

static void fill_random(void *to, size_t n)
{
    if (getrandom(to, n, 0) != (ssize_t)n)
        abort(); /* never, for so few bytes */
}

int view_open(struct view *v, struct disk *disk, const char *path)
{
    const struct store_witness witness = {.arg = v, .lost = on_lost, .note = on_note};
    const struct store_config config = {.disk = disk, .random = fill_random};
    const struct store_reader reader = {.arg = v, .definition = on_definition, .queue = on_queue};
    char *text = NULL;
    *v = (struct view){.losses = json_array(), .notes = json_array()};
    if (store_open(&config, &witness, &v->store, &text) != STORE_FINE) {
        fprintf(stderr, "millrace-store: %s: %s\n", path, text != NULL ? text : "it cannot be opened");
        free(text);
        view_close(v);
        return TOOL_UNREADABLE;
    }
    store_read(v->store, &reader);
    count_early_losses(v);
    return 0;
}

void view_close(struct view *v)
{
    for (size_t i = 0; i < v->n_queues; i++) {
        json_decref(v->queues[i].vhost);
        json_decref(v->queues[i].name);
    }
    free(v->queues);
    json_decref(v->losses);
    json_decref(v->notes);
    store_destroy(v->store);
    *v = (struct view){0};
}

struct view_queue *view_find(struct view *v, uint64_t id)
{
    /* They are asked for one after the other, mostly. */
    for (size_t i = 0; i < v->n_queues; i++) {
        size_t at = (v->found_last + i) % v->n_queues;
        if (v->queues[at].id == id) {
            v->found_last = at;
            return &v->queues[at];
        }
    }
    return NULL;
}

void view_read_queue(struct view *v, struct view_queue *q, view_message_fn *each, void *arg)
{
    for (uint64_t from = 0;;) {
        struct load *l = store_load(v->store, q->id, from, PAGE_MESSAGES, PAGE_BYTES);
        bool is_over = l->is_end || (l->n == 0 && l->next == from);
        q->fine += l->n;
        for (uint32_t i = 0; each != NULL && i < l->n; i++)
            each(arg, q, &l->entries[i]);
        from = l->next;
        load_destroy(l);
        if (is_over)
            return;
    }
}
