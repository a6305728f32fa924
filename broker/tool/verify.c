/* verify: reads all there is, twice: item by item as it lies there, and as the broker would, message by message. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/tool/commands.h"
#include "broker/tool/text.h"
#include "broker/tool/view.h"
#include "broker/tool/walk.h"

struct verify {
    json_t *files, *damage; /* owned: arrays of objects */
    struct view view;
    uint64_t checkpoint_lsn; /* the highest that a whole checkpoint says */
    unsigned own;            /* files of a store, be they empty */

    /* The last file of the journal. */
    char journal[64];
    uint64_t journal_end, journal_lsn;
    uint8_t journal_last; /* the type of its last item */
    bool is_journal_torn;
};

/* ---- The files. */

static void add_damage(struct verify *v, const char *file, uint64_t offset, uint64_t bytes, const char *reason)
{
    json_t *o = json_object();
    text_set(o, "file", text_of(bytes_of_string(file)));
    text_set_number(o, "offset", offset);
    text_set_number(o, "bytes", bytes);
    text_set(o, "reason", json_string(reason));
    json_array_append_new(v->damage, o);
}

static void on_begin(void *arg, const struct walk_file *f)
{
    struct verify *all = arg;
    all->own += f->kind != WALK_FOREIGN;
    if (f->kind == WALK_SPARE || f->kind == WALK_FOREIGN || f->is_unwritten)
        return;
    if (f->is_unreadable)
        add_damage(arg, f->name, f->size, 0, "the disk answers errors");
    else if (f->verdict != HEADER_FINE && f->verdict != HEADER_NEWER)
        add_damage(arg, f->name, 0, FORMAT_FILE_HEADER, "its header is damaged");
}

static void on_item(void *arg, const struct walk_file *f, uint64_t offset, const struct item *item, enum item_verdict v)
{
    if (v == ITEM_FINE)
        return;
    add_damage(arg, f->name, offset, item_size(item->meta.len, item->body.len),
               v == ITEM_BAD_META ? "the checksum of its meta does not hold"
                                  : "the checksum of its body does not hold");
}

static void on_damage(void *arg, const struct walk_file *f, uint64_t offset, uint64_t bytes, const char *reason)
{
    add_damage(arg, f->name, offset, bytes, reason);
}

static const char *kind_name(const struct walk_file *f)
{
    static const char *const names[] = {"journal", "pack", "checkpoint", "spare", "foreign"};
    return names[f->kind];
}

static void on_end(void *arg, const struct walk_file *f)
{
    struct verify *v = arg;
    json_t *o = json_object();
    text_set(o, "file", text_of(bytes_of_string(f->name)));
    text_set(o, "kind", json_string(kind_name(f)));
    text_set_number(o, "size", f->size);
    text_set_number(o, "items", f->items);
    text_set_number(o, "used", f->end);
    text_set_number(o, "damaged", f->damaged);
    json_array_append_new(v->files, o);
    bool has_end = f->items > 0 && f->last_type == ITEM_END;
    if (f->kind == WALK_CHECKPOINT && has_end && f->header.first_lsn > v->checkpoint_lsn)
        v->checkpoint_lsn = f->header.first_lsn;
    if (f->kind == WALK_CHECKPOINT && !has_end && !f->is_unwritten)
        add_damage(v, f->name, f->end, 0, "it has no end");
    if (f->kind == WALK_PACK && f->is_torn)
        add_damage(v, f->name, f->end, 0, "its last item is not whole");
    if (f->kind != WALK_JOURNAL || f->is_unwritten)
        return;
    snprintf(v->journal, sizeof v->journal, "%s", f->name);
    v->journal_end = f->end;
    v->journal_last = f->last_type;
    v->journal_lsn = f->last_lsn;
    v->is_journal_torn = f->is_torn;
}

/* The journal ends where a group does; in a segment that is sealed it does not. */
static void judge_tail(struct verify *v)
{
    if (v->journal[0] == '\0')
        return;
    if (v->journal_last == ITEM_END && v->journal_lsn >= v->checkpoint_lsn) {
        json_t *o = json_object();
        text_set_number(o, "messages", 0);
        text_set_number(o, "bytes", 0);
        text_set(o, "file", json_string(v->journal));
        text_set_number(o, "offset", v->journal_end);
        text_set(o, "reason", json_string("the journal goes on in a file that is missing"));
        json_array_append_new(v->view.losses, o);
    } else if (v->is_journal_torn || (v->journal_last != ITEM_BATCH && v->journal_last != ITEM_END)) {
        add_damage(v, v->journal, v->journal_end, 0, "the journal's tail is torn");
    }
}

/* ---- What comes out. */

static const char *const verdict_words[] = {"clean", "torn", "loss", "unreadable"};

static json_t *queue_json(const struct view_queue *q)
{
    json_t *o = json_object();
    text_set_number(o, "queue", q->id);
    text_set(o, "vhost", json_incref(q->vhost));
    text_set(o, "name", json_incref(q->name));
    text_set_number(o, "fine", q->fine);
    text_set_number(o, "lost", q->lost);
    return o;
}

static void show_all(const struct verify *v, int status)
{
    json_t *o = json_object(), *queues = json_array();
    for (size_t i = 0; i < v->view.n_queues; i++)
        json_array_append_new(queues, queue_json(&v->view.queues[i]));
    text_set(o, "verdict", json_string(verdict_words[status]));
    text_set_number(o, "lost_messages", v->view.lost_messages);
    text_set(o, "files", json_incref(v->files));
    text_set(o, "queues", queues);
    text_set(o, "losses", json_incref(v->view.losses));
    text_set(o, "damage", json_incref(v->damage));
    text_set(o, "notes", json_incref(v->view.notes));
    text_show(o, "", true);
}

static void show_words(const struct verify *v, int status)
{
    static const char *const sentences[] = {
        "clean: all is there",
        "nothing is lost, but not all is as it should be (after a crash: a torn tail)",
        "something is lost",
    };
    text_show_each(v->files, "file");
    for (size_t i = 0; i < v->view.n_queues; i++)
        text_show(queue_json(&v->view.queues[i]), "queue", false);
    text_show_each(v->damage, "damage");
    for (size_t i = 0; i < json_array_size(v->view.notes); i++)
        printf("note: %s\n", json_string_value(json_array_get(v->view.notes, i)));
    text_show_each(v->view.losses, "lost");
    printf("%s", sentences[status]);
    if (v->view.lost_messages > 0)
        printf(": at least %" PRIu64 " messages or records", v->view.lost_messages);
    putchar('\n');
}

static int judge(const struct verify *v)
{
    if (json_array_size(v->view.losses) > 0)
        return TOOL_LOSS;
    return json_array_size(v->damage) + json_array_size(v->view.notes) > 0 ? TOOL_TORN : TOOL_CLEAN;
}

int command_verify(struct folder *f, const struct command *c)
{
    struct verify v = {.files = json_array(), .damage = json_array()};
    const struct walk_witness w = {.arg = &v, .begin = on_begin, .item = on_item, .damage = on_damage, .end = on_end};
    int status = view_open(&v.view, f->disk, f->path);
    int error = status == 0 ? walk_all(f->disk, &w) : 0;
    if (error != 0) {
        fprintf(stderr, "millrace-store: %s: %s\n", f->path, strerror(-error)); // NOLINT(concurrency-mt-unsafe)
        status = TOOL_UNREADABLE;
    }
    if (status == 0 && v.own == 0) {
        fprintf(stderr, "millrace-store: %s: there is no store here\n", f->path);
        status = TOOL_UNREADABLE;
    }
    if (status == 0) {
        for (size_t i = 0; i < v.view.n_queues; i++)
            view_read_queue(&v.view, &v.view.queues[i], NULL, NULL);
        judge_tail(&v);
        status = judge(&v);
        if (c->is_json)
            show_all(&v, status);
        else
            show_words(&v, status);
    }
    json_decref(v.files);
    json_decref(v.damage);
    view_close(&v.view);
    return status;
}
