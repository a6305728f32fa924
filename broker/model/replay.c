#include "broker/model/replay.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/bookmark.h"
#include "broker/model/consumer.h"
#include "broker/model/entry.h"
#include "broker/model/log.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/statistics.h"
#include "broker/model/trace.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "codec/properties.h"

/* ---- Filters. */

char *replay_filter_read(struct bytes arguments, struct replay_filter *out)
{
    struct field f;
    *out = (struct replay_filter){0};
    out->takes_unfiltered = table_find(arguments, BYTES("x-stream-match-unfiltered"), &f) && f.type == 't' && f.boolean;
    if (!table_find(arguments, BYTES("x-stream-filter"), &f))
        return NULL;
    struct field e = f;
    struct cursor c = cursor_over(f.type == 'A' ? f.bytes : (struct bytes){0});
    while (e.type != 'S' || f.type == 'A') {
        if (f.type != 'A' || (e.type != 'S' && e.type != 'A'))
            return str_format("{unacceptable_type,%s}", field_type_name(e.type));
        if (!table_next_in_array(&c, &e))
            break;
        if (e.type != 'S')
            return str_format("{unacceptable_type,%s}", field_type_name(e.type));
    }
    out->is_set = true;
    out->wanted = f;
    return NULL;
}

static bool filter_value(const struct message *m, struct bytes *value)
{
    struct properties p;
    struct field f;
    if (!(m->flags & MESSAGE_HAS_HEADERS) || !properties_decode(message_properties(m), &p) ||
        !table_find(p.headers, BYTES("x-stream-filter-value"), &f) || f.type != 'S')
        return false;
    *value = f.bytes;
    return true;
}

bool replay_filter_takes(const struct replay_filter *f, const struct message *m)
{
    struct bytes value;
    struct field e;
    if (!f->is_set)
        return true;
    if (!filter_value(m, &value))
        return f->takes_unfiltered;
    if (f->wanted.type == 'S')
        return bytes_equal(f->wanted.bytes, value);
    struct cursor c = cursor_over(f->wanted.bytes);
    while (table_next_in_array(&c, &e))
        if (bytes_equal(e.bytes, value))
            return true;
    return false;
}

/* ---- Where it begins. */

static uint64_t back_from(uint64_t end, uint64_t n)
{
    return n < end ? end - n : 0;
}

static void begin(struct replay *r, const struct offset *from)
{
    const struct queue *q = r->queue;
    switch (from->kind) {
    case OFFSET_NEXT:
        r->next = q->next_position;
        break;
    case OFFSET_FIRST:
        r->next = 0;
        break;
    case OFFSET_LAST:
        r->next = back_from(q->next_position, 1);
        break;
    case OFFSET_AT:
        r->next = from->number;
        break;
    case OFFSET_BACK:
        r->next = back_from(q->next_position, from->number);
        break;
    case OFFSET_TIME:
        log_find_time(q->log, from->number, &r->low, &r->high);
        r->seek_ms = from->number;
        r->is_seeking = r->low < r->high;
        r->next = r->low;
        break;
    }
    if (r->next < log_first(q->log))
        r->next = log_first(q->log);
}

struct replay *replay_create(struct broker *b, struct queue *q, struct consumer *c, const struct offset *from)
{
    struct replay *r = alloc_zeroed(sizeof *r);
    r->consumer = c;
    r->queue = q;
    r->id = ++b->logs.last_reader;
    link_init(&r->in_log);
    link_init(&r->wanting);
    list_append(&q->log->replays, &r->in_log);
    char *refusal = replay_filter_read(c->arguments, &r->filter);
    CHECK(refusal == NULL);
    begin(r, from);
    if (bookmark_is_wanted(c->arguments, &refusal))
        bookmark_open(b, r, c->tag);
    CHECK(refusal == NULL);
    queue_mark_dirty(b, q);
    return r;
}

/* ---- Loads. */

static void drop_load(struct broker *b, struct replay *r)
{
    struct load *l = r->loads[0];
    for (uint32_t i = r->at; i < l->n; i++) {
        entry_release(b, l->entries[i].msg);
        l->entries[i].msg = NULL;
    }
    load_destroy(l);
    for (size_t i = 1; i < REPLAY_LOADS; i++)
        r->loads[i - 1] = r->loads[i];
    r->loads[REPLAY_LOADS - 1] = NULL;
    r->at = 0;
}

void replay_destroy(struct broker *b, struct replay *r)
{
    bookmark_close(b, r);
    while (r->loads[0] != NULL)
        drop_load(b, r);
    list_remove(&r->in_log);
    list_remove(&r->wanting);
    free(r);
}

static size_t count_loads(const struct replay *r)
{
    size_t n = 0;
    while (n < REPLAY_LOADS && r->loads[n] != NULL)
        n++;
    return n;
}

/* Where the next load begins. */
static uint64_t load_from(const struct replay *r)
{
    size_t n = count_loads(r);
    uint64_t first = log_first(r->queue->log), from = n > 0 ? r->loads[n - 1]->next : r->next;
    if (r->is_seeking)
        return r->low + (r->high - r->low) / 2;
    return from > first ? from : first;
}

static bool wants_load(const struct replay *r)
{
    return !r->is_loading && r->loads[REPLAY_LOADS - 1] == NULL && load_from(r) < log_recent_first(r->queue->log);
}

static void look(struct broker *b, struct replay *r)
{
    if (wants_load(r) && !link_is_linked(&r->wanting))
        list_append(&b->logs.wanting, &r->wanting);
}

bool replay_is_due(const struct broker *b)
{
    return b->logs.loads < REPLAY_LOADS_MAX && !list_is_empty(&b->logs.wanting);
}

void replay_ask(struct broker *b)
{
    while (replay_is_due(b)) {
        struct replay *r = item_of(b->logs.wanting.ring.next, struct replay, wanting);
        list_remove(&r->wanting);
        if (!wants_load(r)) /* not any more */
            continue;
        bool is_scant = b->cold.paging_bytes > 0 && b->totals.message_bytes >= b->cold.paging_bytes;
        r->is_loading = true;
        r->load_end = r->queue->next_position;
        b->logs.loads++;
        remember_read(b, r->queue, load_from(r), r->id,
                      r->is_seeking ? 1
                      : is_scant    ? REPLAY_SCANT_MESSAGES
                                    : REPLAY_LOAD_MESSAGES,
                      is_scant ? REPLAY_SCANT_BYTES : REPLAY_LOAD_BYTES);
    }
}

/* What the search found in the middle: the message is in the one half or in the other. */
static void seek(struct broker *b, struct replay *r, struct load *l)
{
    uint64_t middle = load_from(r);
    if (l->n == 0 || l->entries[0].position >= r->high || l->entries[0].written_ms >= r->seek_ms)
        r->high = middle;
    else
        r->low = l->entries[0].position + 1;
    if (r->low < log_first(r->queue->log))
        r->low = log_first(r->queue->log);
    load_destroy(l);
    r->is_seeking = r->low < r->high;
    r->next = r->low;
    look(b, r);
}

static struct replay *find(struct broker *b, const struct load *l)
{
    struct queue *q = queue_find_by_id(b, l->queue);
    struct replay *r;
    if (q == NULL || q->log == NULL)
        return NULL;
    list_each (r, &q->log->replays, struct replay, in_log)
        if (r->id == l->reader)
            return r;
    return NULL;
}

/* What is nonsense falls: positions rise, and are of messages that there were. */
static void sift(struct broker *b, const struct replay *r, struct load *l)
{
    uint64_t next = load_from(r);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct load_entry e = l->entries[i];
        l->entries[i].msg = NULL;
        if (e.position < next || e.position >= r->load_end) {
            message_unref(e.msg);
            continue;
        }
        next = e.position + 1;
        entry_hold(b, e.msg);
        l->entries[n++] = e;
    }
    queue_count(b, r->queue, COUNT_DISK_READS, n);
    /* One that has not moved on would be asked for again, for ever. */
    bool is_end = l->is_end || (l->n == 0 && l->next <= load_from(r));
    l->n = n;
    if (l->next > r->load_end || is_end)
        l->next = r->load_end;
    if (l->next < next)
        l->next = next;
}

void replay_take_load(struct broker *b, struct load *l)
{
    struct replay *r = find(b, l);
    if (b->logs.loads > 0)
        b->logs.loads--;
    if (r == NULL || !r->is_loading) {
        load_destroy(l);
        return;
    }
    r->is_loading = false;
    if (r->is_seeking) {
        seek(b, r, l);
    } else {
        sift(b, r, l);
        r->loads[count_loads(r)] = l;
    }
    queue_mark_dirty(b, r->queue);
}

/* ---- Reading. */

struct found {
    struct message *msg; /* borrowed */
    uint64_t offset, after;
};

/* The next one, in memory or loaded.  False: there is none, or it has to come first. */
static bool find_next(struct broker *b, struct replay *r, struct found *f)
{
    const struct queue *q = r->queue;
    const struct log *log = q->log;
    if (r->next < log_first(log))
        r->next = log_first(log);
    for (struct load *l; (l = r->loads[0]) != NULL; drop_load(b, r)) {
        if (r->next >= log_recent_first(log))
            continue;
        for (; r->at < l->n && l->entries[r->at].position < r->next; r->at++) {
            entry_release(b, l->entries[r->at].msg);
            l->entries[r->at].msg = NULL;
        }
        if (r->at < l->n) {
            f->msg = l->entries[r->at].msg;
            f->offset = l->entries[r->at].position;
            f->after = log_stamp_before(b, log, f->offset);
            return true;
        }
        if (r->next < l->next)
            r->next = l->next;
    }
    if (r->next < log_recent_first(log) || r->next >= q->next_position)
        return false;
    const struct log_recent *recent = log_recent_at(log, r->next);
    *f = (struct found){.msg = recent->msg, .offset = r->next, .after = log_stamp_value(b, recent->stamp)};
    return true;
}

/* It is told when it is safe, and whatever comes behind it on the stream comes later (event.h): an offset that a client
 * has seen is never another message's. */
static void deliver(struct broker *b, const struct replay *r, const struct found *f)
{
    struct consumer *c = r->consumer;
    struct stream *s = c->stream;
    struct entry *e = entry_create(b, r->queue, message_ref(r->queue->log->receipt));
    struct event *ev = broker_tell(b, DELIVERED, stream_origin(s));
    e->position = f->offset;
    c->outlet->window -= (int64_t)message_window_cost(f->msg);
    if (f->after > s->after)
        s->after = f->after;
    if (s->after > s->stamped)
        s->stamped = s->after;
    ev->after = s->after;
    ev->delivered.msg = message_ref(f->msg);
    ev->delivered.consumer = c->number;
    ev->delivered.stamp = STAMP_OFFSET;
    ev->delivered.stamp_value = f->offset;
    if (trace_is_on(c->outlet->vhost))
        trace_delivered(b, s, f->msg, r->queue, false);
    if (observer_is_on(b))
        observer_delivered(b, s, c, r->queue, f->msg, false);
    ev->delivered.ticket = queue_send_out(b, e, c, s);
    b->totals.messages_read++;
    r->queue->tally->read++;
    queue_touch_counters(b, r->queue);
    queue_count_delivery(b, r->queue, s, COUNT_DELIVER, false);
}

void replay_run(struct broker *b, struct replay *r)
{
    struct found f;
    while (!r->is_seeking && consumer_can_take(r->consumer) && find_next(b, r, &f)) {
        if (replay_filter_takes(&r->filter, f.msg))
            deliver(b, r, &f);
        r->next = f.offset + 1;
    }
    look(b, r);
}

/* ---- Invariants. */

void replay_check(const struct broker *b, const struct replay *r)
{
    size_t n = count_loads(r);
    (void)b;
    CHECK(r->consumer->replay == r && r->queue->log != NULL);
    CHECK(n == 0 || r->at <= r->loads[0]->n);
    CHECK(n < REPLAY_LOADS || !r->is_loading);
    CHECK(!r->is_loading || !link_is_linked(&r->wanting));
    CHECK(!r->is_seeking || (r->low < r->high && n == 0));
}
