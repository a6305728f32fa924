#include "broker/model/observer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/exchange.h"
#include "broker/model/obituary.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/rights.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/inspection.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { ROW_ROOM = 1024 /* of keys, numbers and flags */ };

struct observer {
    uint64_t id;
    struct inspection *buffer; /* owned: what is observed, and rows that nobody has read yet */
    uint64_t read_ms, dropped;
};

/* ---- Who observes what. */

static void end(struct broker *b, unsigned i)
{
    struct observers *all = &b->observers;
    inspection_destroy(all->at[i]->buffer);
    free(all->at[i]);
    all->at[i] = all->at[--all->n];
}

/* Those that nobody reads. */
static void end_idle(struct broker *b)
{
    for (unsigned i = 0; i < b->observers.n;) {
        if (b->now.ms - b->observers.at[i]->read_ms > OBSERVER_IDLE_MS)
            end(b, i);
        else
            i++;
    }
}

void observers_fini(struct broker *b)
{
    while (b->observers.n > 0)
        end(b, 0);
}

/* What has happened: to whom it is told. */
struct occasion {
    const char *what;
    const struct vhost *vhost;
    const struct queue *queue;   /* NULL: none alone … */
    struct queue *const *queues; /* … but these */
    size_t n;
    const struct message *msg;   /* NULL: none */
    const struct stream *stream; /* whose doing it is, or NULL */
    struct bytes tag;            /* of the consumer */
    struct bytes reason, exchange;
    bool is_walked, has_count, redelivered;
    uint64_t count;
};

static bool concerns_exchange(const struct broker *b, const struct observer *o, const struct occasion *e)
{
    struct bytes name = o->buffer->name;
    if (e->msg != NULL && bytes_equal(message_exchange(e->msg), name))
        return true;
    const struct exchange *x = e->is_walked ? vhost_find_exchange(b, e->vhost, name) : NULL;
    return x != NULL && x->stamp == b->stamp;
}

static bool concerns_queue(const struct observer *o, const struct occasion *e)
{
    struct bytes name = o->buffer->name;
    if (e->queue != NULL)
        return bytes_equal(e->queue->name, name);
    for (size_t i = 0; i < e->n; i++)
        if (bytes_equal(e->queues[i]->name, name))
            return true;
    return false;
}

static bool concerns(const struct broker *b, const struct observer *o, const struct occasion *e)
{
    if (!bytes_equal(o->buffer->vhost, e->vhost->name))
        return false;
    return o->buffer->trace.of_exchange ? concerns_exchange(b, o, e) : concerns_queue(o, e);
}

/* ---- Rows. */

static struct bytes connection_of(const struct stream *s)
{
    struct field f;
    bool has = table_find(s->outlet->facts->arguments, BYTES("name"), &f) && f.type == 'S';
    return has ? f.bytes : (struct bytes){0};
}

static void put_who(struct pen *row, const struct occasion *e)
{
    if (e->stream == NULL || e->stream->outlet == NULL)
        return;
    table_put_string(row, BYTES("connection"), connection_of(e->stream));
    table_put_i32(row, BYTES("channel"), e->stream->channel);
    table_put_string(row, BYTES("user"), e->stream->outlet->access->user->name);
}

static void put_queues(struct pen *row, const struct occasion *e)
{
    uint8_t *mark = table_open(row, BYTES("queues"), 'A');
    size_t told = 0;
    for (size_t i = 0; i < e->n && i < (size_t)2 * OBSERVER_QUEUES_MAX && told < OBSERVER_QUEUES_MAX; i++) {
        if (e->queues[i]->spec->hidden)
            continue;
        table_put_string_in_array(row, e->queues[i]->name);
        told++;
    }
    table_close(row, mark);
    if (e->n > OBSERVER_QUEUES_MAX)
        table_put_i64(row, BYTES("count"), (int64_t)e->n);
}

static void put_message(struct pen *row, const struct occasion *e, size_t payload)
{
    struct properties p;
    const struct message *m = e->msg;
    table_put_string(row, BYTES("exchange"), e->exchange.at != NULL ? e->exchange : message_exchange(m));
    table_put_string(row, BYTES("routing_key"), message_key(m));
    table_put_i64(row, BYTES("payload_bytes"), (int64_t)m->body_size);
    if (properties_decode(message_properties(m), &p) && properties_has(&p, PROPERTY_message_id))
        table_put_string(row, BYTES("message_id"), p.message_id);
    if (payload == 0)
        return;
    uint8_t *mark = table_open(row, BYTES("payload"), 'S');
    struct body_walk walk = message_walk(m);
    for (struct bytes b; payload > 0 && (b = body_walk_next(&walk)).len > 0; payload -= b.len) {
        if (b.len > payload)
            b.len = payload;
        pen_bytes(row, b);
    }
    table_close(row, mark);
}

static size_t room_of(const struct occasion *e, size_t payload)
{
    size_t room = (size_t)ROW_ROOM + payload + e->tag.len + e->reason.len + e->exchange.len;
    if (e->queue != NULL)
        room += e->queue->name.len;
    for (size_t i = 0; i < e->n && i < OBSERVER_QUEUES_MAX; i++)
        room += e->queues[i]->name.len + 8;
    for (size_t i = OBSERVER_QUEUES_MAX; i < e->n && i < (size_t)2 * OBSERVER_QUEUES_MAX; i++)
        room += 264; /* hidden ones may have gone before */
    if (e->msg != NULL)
        room += (size_t)e->msg->exchange_len + e->msg->key_len + 256;
    if (e->stream != NULL && e->stream->outlet != NULL)
        room += connection_of(e->stream).len + e->stream->outlet->access->user->name.len;
    return room;
}

static void tell(const struct broker *b, struct observer *o, const struct occasion *e)
{
    struct inspection *to = o->buffer;
    size_t payload = e->msg == NULL ? 0 : to->trace.payload_bytes;
    if (payload > 0 && e->msg->body_size < payload)
        payload = (size_t)e->msg->body_size;
    size_t room = room_of(e, payload);
    if (to->n >= OBSERVER_ROWS_MAX || to->size + room > OBSERVER_BYTES_MAX) {
        o->dropped++;
        return;
    }
    struct pen row = pen_over(inspection_open_row(to, room), room);
    table_put_string(&row, BYTES("what"), bytes_of_string(e->what));
    table_put_i64(&row, BYTES("at"), (int64_t)b->now.wall_ms);
    if (e->queue != NULL)
        table_put_string(&row, BYTES("queue"), e->queue->name);
    else
        put_queues(&row, e);
    if (e->reason.len > 0)
        table_put_string(&row, BYTES("reason"), e->reason);
    if (e->tag.len > 0)
        table_put_string(&row, BYTES("consumer_tag"), e->tag);
    if (e->redelivered)
        table_put_bool(&row, BYTES("redelivered"), true);
    if (e->has_count)
        table_put_i64(&row, BYTES("count"), (int64_t)e->count);
    put_who(&row, e);
    if (e->msg != NULL)
        put_message(&row, e, payload);
    CHECK(!row.full);
    inspection_close_row(to, pen_written(&row).len);
}

static void happened(struct broker *b, const struct occasion *e)
{
    end_idle(b);
    for (unsigned i = 0; i < b->observers.n; i++)
        if (concerns(b, b->observers.at[i], e))
            tell(b, b->observers.at[i], e);
}

/* ---- What happens. */

void observer_published(struct broker *b, const struct stream *s, const struct message *m, struct queue *const *queues,
                        size_t n, bool is_walked)
{
    happened(b, &(struct occasion){.what = n > 0 ? "published" : "unroutable",
                                   .vhost = s->outlet->vhost,
                                   .queues = queues,
                                   .n = n,
                                   .msg = m,
                                   .stream = s,
                                   .is_walked = is_walked});
}

void observer_returned(struct broker *b, const struct stream *s, const struct message *m)
{
    happened(b, &(struct occasion){.what = "returned", .vhost = s->outlet->vhost, .msg = m, .stream = s});
}

void observer_refused(struct broker *b, const struct queue *q, const struct message *m)
{
    happened(b, &(struct occasion){.what = "refused", .vhost = q->vhost, .queue = q, .msg = m});
}

void observer_delivered(struct broker *b, const struct stream *s, const struct consumer *c, const struct queue *q,
                        const struct message *m, bool redelivered)
{
    happened(b, &(struct occasion){.what = c != NULL ? "delivered" : "got",
                                   .vhost = q->vhost,
                                   .queue = q,
                                   .msg = m,
                                   .stream = s,
                                   .tag = c != NULL ? c->tag : (struct bytes){0},
                                   .redelivered = redelivered});
}

void observer_settled(struct broker *b, const struct entry *e, enum outcome outcome)
{
    bool is_receipt = e->queue->log != NULL; /* of a stream: which message it was is not kept */
    happened(b, &(struct occasion){.what = outcome == ACCEPTED || is_receipt ? "acked"
                                           : outcome == REJECTED             ? "rejected"
                                                                             : "requeued",
                                   .vhost = e->queue->vhost,
                                   .queue = e->queue,
                                   .msg = is_receipt ? NULL : e->msg,
                                   .stream = e->stream,
                                   .tag = e->consumer != NULL ? e->consumer->tag : (struct bytes){0},
                                   .redelivered = e->redelivered});
}

void observer_died(struct broker *b, const struct entry *e, enum death death)
{
    static const char *const words[DEATH_COUNT] = {
        [DEATH_EXPIRED] = "expired", [DEATH_MAXLEN] = "maxlen", [DEATH_DELIVERY_LIMIT] = "delivery_limit"};
    if (words[death] != NULL)
        happened(b,
                 &(struct occasion){.what = words[death], .vhost = e->queue->vhost, .queue = e->queue, .msg = e->msg});
}

/* It concerns the queue in which it has died, and those that it goes to. */
void observer_letter(struct broker *b, const struct entry *e, const struct message *letter, struct queue *const *queues,
                     size_t n)
{
    const struct queue *q = e->queue->letters_of != NULL ? e->queue->letters_of : e->queue;
    struct queue *all[OBSERVER_QUEUES_MAX + 1];
    size_t told = n < OBSERVER_QUEUES_MAX ? n : OBSERVER_QUEUES_MAX;
    bool is_due = e->death == DEATH_DUE;
    struct bytes reason = {0};
    if (!is_due)
        reason = death_word(e->death);
    struct occasion to = {.what = is_due ? "due" : "dead_lettered",
                          .vhost = q->vhost,
                          .queues = all,
                          .n = told,
                          .msg = letter,
                          .reason = reason,
                          .is_walked = true};
    for (size_t i = 0; i < told; i++) // cppcheck-suppress knownConditionTrueFalse
        all[i] = queues[i];
    end_idle(b);
    for (unsigned i = 0; i < b->observers.n; i++) {
        struct observer *o = b->observers.at[i];
        bool is_of_its = !o->buffer->trace.of_exchange && bytes_equal(o->buffer->vhost, q->vhost->name) &&
                         bytes_equal(o->buffer->name, q->name);
        if (is_of_its || concerns(b, o, &to))
            tell(b, o, &to);
    }
}

void observer_queue(struct broker *b, const struct queue *q, const char *what, uint64_t count)
{
    happened(b, &(struct occasion){.what = what, .vhost = q->vhost, .queue = q, .has_count = true, .count = count});
}

/* ---- Asking. */

static void fail(struct broker *b, struct command *c, enum reason reason, const char *text)
{
    struct inspection *to = c->inspection;
    broker_fail(b, c, reason, str_copy(bytes_of_string(text)));
    inspection_destroy(to);
}

/* NULL, or why who asks may not: bodies are shown. */
static char *refuse_reader(struct broker *b, const struct inspection *i, const struct vhost *v)
{
    if (i->user == NULL)
        return NULL;
    struct access *a = access_find(v, bytes_of_string(i->user));
    enum resource what = i->trace.of_exchange ? RESOURCE_EXCHANGE : RESOURCE_QUEUE;
    if (a != NULL)
        return rights_refuse_right(b, a, RIGHT_READ, what, i->name);
    return str_format("access to vhost '%.*s' refused for user '%s'", BYTES_ARG(i->vhost), i->user);
}

static void begin(struct broker *b, struct command *c, const struct vhost *v)
{
    struct inspection *to = c->inspection;
    char *refusal = refuse_reader(b, to, v);
    if (refusal != NULL) {
        fail(b, c, DENIED, refusal);
        free(refusal);
        return;
    }
    struct observers *all = &b->observers;
    bool is_there = to->trace.of_exchange ? vhost_find_exchange(b, v, to->name) != NULL || to->name.len == 0
                                          : vhost_find_queue(b, v, to->name) != NULL;
    end_idle(b);
    if (!is_there) {
        fail(b, c, to->trace.of_exchange ? NO_SUCH_EXCHANGE : NO_SUCH_QUEUE, "there is nothing of that name");
        return;
    }
    if (all->n == OBSERVERS_MAX) {
        fail(b, c, TOO_MUCH, "there are as many traces as there may be");
        return;
    }
    struct observer *o = alloc_zeroed(sizeof *o);
    o->id = ++all->last_id;
    o->read_ms = b->now.ms;
    o->buffer = inspection_create(INSPECT_TRACE, &to->vhost, &to->name);
    o->buffer->trace = to->trace;
    o->buffer->user = to->user != NULL ? str_copy(bytes_of_string(to->user)) : NULL;
    if (o->buffer->trace.payload_bytes > OBSERVER_PAYLOAD_MAX)
        o->buffer->trace.payload_bytes = OBSERVER_PAYLOAD_MAX;
    all->at[all->n++] = o;
    to->cursor = o->id;
    broker_done(b, c, NULL)->done.inspection = to;
}

/* What has been gathered becomes the answer's, whose empty buffer is filled from now on. */
static void read_rows(struct broker *b, struct observer *o, struct inspection *to)
{
    enum { DROPPED_ROOM = 128 };
    struct inspection *from = o->buffer;
    uint8_t *rows = to->rows;
    size_t capacity = to->capacity;
    to->n = from->n;
    to->rows = from->rows;
    to->size = from->size;
    to->capacity = from->capacity;
    from->rows = rows;
    from->capacity = capacity;
    inspection_clear(from);
    o->read_ms = b->now.ms;
    if (o->dropped == 0)
        return;
    struct pen row = pen_over(inspection_open_row(to, DROPPED_ROOM), DROPPED_ROOM);
    table_put_string(&row, BYTES("what"), BYTES("dropped"));
    table_put_i64(&row, BYTES("at"), (int64_t)b->now.wall_ms);
    table_put_i64(&row, BYTES("count"), (int64_t)o->dropped);
    inspection_close_row(to, pen_written(&row).len);
    o->dropped = 0;
}

/* It is another's; the machine's administrator may read all. */
static bool is_its(const struct observer *o, const struct inspection *to)
{
    const char *owner = o->buffer->user;
    bool is_his = to->user == NULL || (owner != NULL && strcmp(owner, to->user) == 0);
    return o->id == to->cursor && bytes_equal(o->buffer->vhost, to->vhost) && is_his;
}

void observer_answer(struct broker *b, struct command *c)
{
    struct inspection *to = c->inspection;
    const struct vhost *v = to->has_vhost ? vhost_find(b, to->vhost) : NULL;
    unsigned i = 0;
    if (v == NULL) {
        fail(b, c, NO_SUCH_VHOST, "there is no such virtual host");
        return;
    }
    if (to->cursor == 0) {
        begin(b, c, v);
        return;
    }
    end_idle(b);
    while (i < b->observers.n && !is_its(b->observers.at[i], to))
        i++;
    if (i == b->observers.n) {
        fail(b, c, BAD_ARGUMENT, "there is no such trace, or it has ended: nobody has read it for 10 s");
        return;
    }
    char *refusal = to->user != NULL ? refuse_reader(b, b->observers.at[i]->buffer, v) : NULL;
    if (refusal != NULL) { /* his rights have changed since he began */
        end(b, i);
        fail(b, c, DENIED, refusal);
        free(refusal);
        return;
    }
    read_rows(b, b->observers.at[i], to);
    if (to->trace.ends)
        end(b, i);
    broker_done(b, c, NULL)->done.inspection = to;
}
