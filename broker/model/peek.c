#include "broker/model/peek.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/cold.h"
#include "broker/model/log.h"
#include "broker/model/pick.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/port/command.h"
#include "broker/port/inspection.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "codec/table.h"

enum { ROW_ROOM = 512 }; /* of keys, numbers and flags; names, properties and the body come on top */

struct waiting_peek {
    struct link in_broker;
    struct command command; /* INSPECT */
    uint64_t reader;
};

void peeks_init(struct peeks *s)
{
    list_init(&s->waiting);
    s->n = 0;
}

static struct command wake(struct broker *b, struct waiting_peek *w)
{
    struct command c = w->command;
    list_remove(&w->in_broker);
    free(w);
    b->peeks.n--;
    return c;
}

void peeks_fini(struct peeks *s)
{
    struct waiting_peek *w;
    list_each (w, &s->waiting, struct waiting_peek, in_broker) {
        list_remove(&w->in_broker);
        command_drop(&w->command);
        free(w);
    }
}

/* ---- Rows. */

struct shown {
    const struct message *msg;
    uint64_t position;
    uint64_t expires_ms; /* from now; PLACE_NO_TTL: never */
    uint16_t deliveries;
    bool redelivered;
};

static void put_body(struct pen *row, const struct message *msg, uint64_t most)
{
    uint8_t *mark = table_open(row, BYTES("payload"), 'S');
    struct body_walk walk = message_walk(msg);
    for (struct bytes b; most > 0 && (b = body_walk_next(&walk)).len > 0; most -= b.len) {
        if (b.len > most)
            b.len = (size_t)most;
        pen_bytes(row, b);
    }
    table_close(row, mark);
}

static void put_row(struct inspection *to, const struct shown *s)
{
    const struct message *msg = s->msg;
    uint64_t body = msg->body_size;
    if (body > PEEK_BODY_BYTES)
        body = PEEK_BODY_BYTES;
    size_t room = (size_t)ROW_ROOM + msg->exchange_len + msg->key_len + msg->properties_len + (size_t)body;
    struct pen row = pen_over(inspection_open_row(to, room), room);
    table_put_i64(&row, BYTES("position"), (int64_t)s->position);
    table_put_string(&row, BYTES("exchange"), message_exchange(msg));
    table_put_string(&row, BYTES("routing_key"), message_key(msg));
    table_put_bool(&row, BYTES("redelivered"), s->redelivered);
    table_put_i64(&row, BYTES("delivery_count"), s->deliveries);
    if (s->expires_ms != PLACE_NO_TTL)
        table_put_i64(&row, BYTES("expires_in"), (int64_t)s->expires_ms);
    table_put_i64(&row, BYTES("payload_bytes"), (int64_t)msg->body_size);
    table_put_string(&row, BYTES("properties"), message_properties(msg));
    put_body(&row, msg, body);
    inspection_close_row(to, pen_written(&row).len);
}

static uint64_t left_until(const struct broker *b, uint64_t expires_at)
{
    if (expires_at == ENTRY_NEVER)
        return PLACE_NO_TTL;
    return expires_at > b->now.ms ? expires_at - b->now.ms : 0;
}

static bool is_full(const struct inspection *to)
{
    uint64_t most = to->limit > 0 && to->limit < INSPECTION_ROWS_MAX ? to->limit : INSPECTION_ROWS_MAX;
    return to->n >= most || to->size >= PEEK_PAGE_BYTES;
}

static void answer(struct broker *b, struct command *c)
{
    b->changed = 0;
    broker_done(b, c, NULL)->done.inspection = c->inspection;
}

/* ---- What is in memory, what is cold. */

/* True: the page is full, or there was something that it shows; the cursor says where the next one begins. */
static bool show_warm(struct broker *b, struct inspection *to, struct queue *q)
{
    struct picked p;
    pick_next(b, q, to->cursor, UINT64_MAX, &p);
    for (unsigned i = 0; i < p.n && !is_full(to); i++) {
        const struct entry *e = p.at[i];
        put_row(to, &(struct shown){.msg = e->msg,
                                    .position = e->position,
                                    .expires_ms = left_until(b, e->expires_at),
                                    .deliveries = e->deliveries,
                                    .redelivered = e->redelivered});
        to->cursor = e->position + 1;
    }
    return to->n > 0;
}

static void ask_cold(struct broker *b, const struct command *c, const struct queue *q)
{
    struct inspection *to = c->inspection;
    struct waiting_peek *w = alloc(sizeof *w);
    uint32_t most = to->limit > 0 && to->limit < INSPECTION_ROWS_MAX ? to->limit : INSPECTION_ROWS_MAX;
    w->command = *c;
    w->reader = ++b->logs.last_reader;
    link_init(&w->in_broker);
    list_append(&b->peeks.waiting, &w->in_broker);
    b->peeks.n++;
    remember_read(b, q, to->cursor > q->cold.from ? to->cursor : q->cold.from, w->reader, most, PEEK_PAGE_BYTES);
}

static bool may_wait(struct broker *b, struct command *c)
{
    struct inspection *to = c->inspection;
    if (b->peeks.n < PEEKS_MAX)
        return true;
    broker_fail(b, c, TOO_MUCH, str_copy(BYTES("too many others look at messages that are not in memory")));
    inspection_destroy(to);
    return false;
}

/* Of a stream: a position is an offset. */
static void peek_log(struct broker *b, struct command *c, const struct queue *q)
{
    struct inspection *to = c->inspection;
    const struct log *log = q->log;
    if (to->cursor < log_first(log))
        to->cursor = log_first(log);
    if (to->cursor < log_recent_first(log) && to->cursor < q->next_position) {
        if (may_wait(b, c))
            ask_cold(b, c, q);
        return;
    }
    for (; to->cursor < q->next_position && !is_full(to); to->cursor++)
        put_row(to, &(struct shown){.msg = log_recent_at(log, to->cursor)->msg,
                                    .position = to->cursor,
                                    .expires_ms = PLACE_NO_TTL});
    if (to->cursor >= q->next_position)
        to->cursor = 0;
    answer(b, c);
}

void peek(struct broker *b, struct command *c, struct queue *q)
{
    struct inspection *to = c->inspection;
    if (q->log != NULL) {
        peek_log(b, c, q);
        return;
    }
    bool has_some = show_warm(b, to, q), is_cold = q->cold.count > 0;
    if (!has_some && is_cold) {
        if (may_wait(b, c))
            ask_cold(b, c, q);
        return;
    }
    if (!is_full(to) && !is_cold)
        to->cursor = 0;
    answer(b, c);
}

/* Behind what was loaded: of a stream the newest is in memory, whatever the store has of it by now. */
static uint64_t next_after(const struct queue *q, const struct load *l, uint64_t from, uint64_t next)
{
    bool is_end = l->is_end || next == from;
    if (q == NULL || q->log == NULL)
        return is_end ? 0 : next;
    if (is_end && next < log_recent_first(q->log))
        next = log_recent_first(q->log);
    return next < q->next_position ? next : 0;
}

static struct waiting_peek *find(const struct broker *b, const struct load *l)
{
    struct waiting_peek *w;
    list_each (w, &b->peeks.waiting, struct waiting_peek, in_broker)
        if (w->reader == l->reader)
            return w;
    return NULL;
}

bool peek_take_load(struct broker *b, struct load *l)
{
    struct waiting_peek *w = find(b, l);
    if (w == NULL)
        return false;
    struct command c = wake(b, w);
    struct inspection *to = c.inspection;
    struct queue *q = queue_find_by_id(b, l->queue);
    uint64_t next = to->cursor;
    if (q != NULL)
        queue_count(b, q, COUNT_DISK_READS, l->n);
    for (uint32_t i = 0; i < l->n && q != NULL; i++) {
        const struct load_entry *le = &l->entries[i];
        le->msg->arrived_ms = cold_arrival(b, le);
        put_row(to,
                &(struct shown){.msg = le->msg,
                                .position = le->position,
                                .expires_ms = q->log != NULL ? PLACE_NO_TTL : left_until(b, queue_deadline(q, le->msg)),
                                .deliveries = le->deliveries,
                                .redelivered = le->redelivered});
        next = le->position + 1;
    }
    if (l->next > next)
        next = l->next;
    to->cursor = next_after(q, l, to->cursor, next);
    answer(b, &c);
    load_destroy(l);
    return true;
}
