/* stat: how large it is, and what is in it. */
#include <stdio.h>
#include <string.h>

#include "broker/tool/commands.h"
#include "broker/tool/text.h"
#include "broker/tool/view.h"
#include "broker/tool/walk.h"

struct sizes {
    uint64_t files[WALK_FOREIGN + 1], bytes[WALK_FOREIGN + 1];
};

static void on_file(void *arg, const struct walk_file *f)
{
    struct sizes *s = arg;
    s->files[f->kind]++;
    s->bytes[f->kind] += f->size;
}

static json_t *files_json(const struct sizes *s)
{
    static const char *const kinds[] = {"journal", "packs", "checkpoints", "spares", "foreign"};
    json_t *o = json_object();
    for (unsigned k = 0; k <= WALK_FOREIGN; k++) {
        json_t *one = json_object();
        text_set_number(one, "files", s->files[k]);
        text_set_number(one, "bytes", s->bytes[k]);
        text_set(o, kinds[k], one);
    }
    return o;
}

static json_t *store_json(const struct view *v)
{
    json_t *o = json_object();
    struct store_stats t = store_stats(v->store);
    uint64_t messages = 0, bytes = 0;
    for (size_t i = 0; i < v->n_queues; i++) {
        messages += v->queues[i].messages;
        bytes += v->queues[i].bytes;
    }
    text_set_number(o, "segments", t.segments);
    text_set_number(o, "packs", t.packs);
    text_set_number(o, "chunks", t.chunks);
    text_set_number(o, "pack_bytes", t.pack_bytes);
    text_set_number(o, "pack_live_bytes", t.pack_live_bytes);
    text_set(o, "pack_live_share",
             t.pack_bytes == 0 ? json_null() : json_real((double)t.pack_live_bytes / (double)t.pack_bytes));
    text_set_number(o, "queues", v->n_queues);
    text_set_number(o, "messages", messages);
    text_set_number(o, "message_bytes", bytes);
    text_set_number(o, "memory_bytes", t.memory_bytes);
    return o;
}

static json_t *queue_json(const struct view_queue *q)
{
    json_t *o = json_object();
    text_set_number(o, "queue", q->id);
    text_set(o, "vhost", json_incref(q->vhost));
    text_set(o, "name", json_incref(q->name));
    text_set_number(o, "messages", q->messages);
    text_set_number(o, "bytes", q->bytes);
    return o;
}

static void show_words(const struct sizes *s, const struct view *v)
{
    json_t *files = files_json(s);
    for (void *i = json_object_iter(files); i != NULL; i = json_object_iter_next(files, i))
        text_show(json_incref(json_object_iter_value(i)), json_object_iter_key(i), false);
    json_decref(files);
    text_show(store_json(v), "store", false);
    for (size_t i = 0; i < v->n_queues; i++)
        text_show(queue_json(&v->queues[i]), "queue", false);
}

static void show_all(const struct sizes *s, const struct view *v)
{
    json_t *o = json_object(), *queues = json_array();
    for (size_t i = 0; i < v->n_queues; i++)
        json_array_append_new(queues, queue_json(&v->queues[i]));
    text_set(o, "files", files_json(s));
    text_set(o, "store", store_json(v));
    text_set(o, "queues", queues);
    text_show(o, "", true);
}

int command_stat(struct folder *f, const struct command *c)
{
    struct view v;
    struct sizes s = {0};
    const struct walk_witness w = {.arg = &s, .begin = on_file};
    int status = view_open(&v, f->disk, f->path);
    if (status != 0)
        return status;
    int error = walk_all(f->disk, &w);
    if (error != 0) {
        fprintf(stderr, "millrace-store: %s: %s\n", f->path, strerror(-error)); // NOLINT(concurrency-mt-unsafe)
        status = TOOL_UNREADABLE;
    } else if (c->is_json) {
        show_all(&s, &v);
    } else {
        show_words(&s, &v);
    }
    view_close(&v);
    return status;
}
