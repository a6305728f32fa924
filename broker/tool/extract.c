/* extract: messages as they would be delivered: JSON lines on standard output, or files in a folder. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/record.h"
#include "broker/tool/commands.h"
#include "broker/tool/message_json.h"
#include "broker/tool/text.h"
#include "broker/tool/view.h"

struct extract {
    const char *to; /* NULL: standard output */
    int error;      /* what went wrong first */
    char *where;    /* owned: with that */
};

static json_t *entry_json(const struct view_queue *q, const struct load_entry *e)
{
    json_t *o = message_json(e->msg);
    text_set(o, "vhost", json_incref(q->vhost));
    text_set(o, "queue", json_incref(q->name));
    text_set_number(o, "position", e->position);
    text_set(o, "redelivered", json_boolean(e->redelivered));
    text_set_number(o, "deliveries", e->deliveries);
    text_set(o, "persistent", json_boolean(e->persistent));
    text_set_number(o, "written_ms", e->written_ms);
    text_set(o, "ttl_ms", e->ttl_ms == PLACE_NO_TTL ? json_null() : json_integer((json_int_t)e->ttl_ms));
    text_set_number(o, "size", e->msg->body_size);
    return o;
}

static json_t *body_base64(const struct message *m)
{
    uint8_t *all = alloc((size_t)m->body_size + 1), *to = all;
    struct body_walk walk = message_walk(m);
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0; to += b.len)
        memcpy(to, b.at, b.len);
    json_t *text = text_base64(bytes_of(all, (size_t)(to - all)));
    free(all);
    return text;
}

/* ---- Files. */

static bool write_body(FILE *f, const struct message *m)
{
    struct body_walk walk = message_walk(m);
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0;)
        if (fwrite(b.at, 1, b.len, f) != b.len)
            return false;
    return true;
}

static void remember_error(struct extract *x, const char *path)
{
    if (x->error == 0) {
        x->error = errno;
        x->where = str_format("%s", path);
    }
}

static FILE *make_file(struct extract *x, const char *path)
{
    enum { PRIVATE = 0600 };
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PRIVATE);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL)
        remember_error(x, path);
    return f;
}

static void write_files(struct extract *x, const struct view_queue *q, const struct load_entry *e)
{
    char *stem = str_format("%s/queue-%" PRIu64 "/%020" PRIu64, x->to, q->id, e->position);
    char *body = str_format("%s.body", stem), *about = str_format("%s.json", stem);
    FILE *f = make_file(x, body);
    if (f != NULL) {
        bool is_written = write_body(f, e->msg);
        if (fclose(f) != 0 || !is_written)
            remember_error(x, body);
    }
    f = x->error == 0 ? make_file(x, about) : NULL;
    if (f != NULL) {
        json_t *o = entry_json(q, e);
        bool is_written = json_dumpf(o, f, JSON_INDENT(1)) == 0 && fputc('\n', f) != EOF;
        json_decref(o);
        if (fclose(f) != 0 || !is_written)
            remember_error(x, about);
    }
    free(about);
    free(body);
    free(stem);
}

static void on_message(void *arg, const struct view_queue *q, const struct load_entry *e)
{
    struct extract *x = arg;
    if (x->error != 0)
        return;
    if (x->to != NULL) {
        write_files(x, q, e);
        return;
    }
    json_t *o = entry_json(q, e);
    text_set(o, "body", body_base64(e->msg));
    text_show(o, "", true);
}

/* ---- Queues. */

static bool is_wanted(const struct view_queue *q, const struct command *c)
{
    return (c->vhost == NULL || bytes_equal(q->raw_vhost, bytes_of_string(c->vhost))) &&
           (c->queue == NULL || bytes_equal(q->raw_name, bytes_of_string(c->queue)));
}

static void make_folder(struct extract *x, const char *path)
{
    enum { PRIVATE = 0700 };
    if (x->error == 0 && mkdir(path, PRIVATE) != 0)
        remember_error(x, path);
}

static void extract_queue(struct extract *x, struct view *v, struct view_queue *q)
{
    if (x->to != NULL) {
        char *path = str_format("%s/queue-%" PRIu64, x->to, q->id);
        make_folder(x, path);
        free(path);
    }
    if (x->error == 0)
        view_read_queue(v, q, on_message, x);
}

/* What was skipped, on standard error. */
static void tell_losses(const struct view *v)
{
    for (size_t i = 0; i < json_array_size(v->losses); i++) {
        fputs("millrace-store: skipped: ", stderr);
        json_dumpf(json_array_get(v->losses, i), stderr, JSON_COMPACT);
        fputc('\n', stderr);
    }
}

static int finish(struct extract *x, const struct view *v, size_t queues)
{
    tell_losses(v);
    if (x->error != 0) {
        fprintf(stderr, "millrace-store: %s: %s\n", x->where, strerrordesc_np(x->error));
        return TOOL_CANNOT;
    }
    if (queues == 0)
        fputs("millrace-store: there is no such queue\n", stderr);
    return queues == 0 ? TOOL_CANNOT : json_array_size(v->losses) > 0 ? TOOL_LOSS : TOOL_CLEAN;
}

int command_extract(struct folder *f, const struct command *c)
{
    struct view v;
    struct extract x = {.to = c->to};
    size_t queues = 0;
    int status = view_open(&v, f->disk, f->path);
    if (status != 0)
        return status;
    for (size_t i = 0; i < v.n_queues; i++)
        if (is_wanted(&v.queues[i], c)) {
            if (x.to != NULL && queues == 0)
                make_folder(&x, x.to);
            extract_queue(&x, &v, &v.queues[i]);
            queues++;
        }
    status = finish(&x, &v, queues);
    free(x.where);
    view_close(&v);
    return status;
}
