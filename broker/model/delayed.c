#include "broker/model/delayed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/delayed_list.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/port/change.h"
#include "broker/port/load.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { NAME_ROOM = 64, ARGUMENTS_ROOM = 512 };

/* ---- The header x-delay. */

/* Digits alone, maybe with a sign before them. */
static uint64_t time_of_text(struct bytes text)
{
    uint64_t ms = 0;
    size_t i = text.len > 0 && text.at[0] == '+' ? 1 : 0;
    if (i == text.len)
        return 0;
    for (; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || ms > DELAYED_MAX_MS)
            return 0;
        ms = ms * 10 + (uint64_t)(text.at[i] - '0');
    }
    return ms;
}

uint64_t delayed_time(const struct field *f)
{
    uint64_t ms = 0;
    if (field_is_integer(f))
        ms = f->integer > 0 ? (uint64_t)f->integer : 0;
    else if (f->type == 'S')
        ms = time_of_text(f->bytes);
    else if ((f->type == 'f' || f->type == 'd') && f->real >= 1 && f->real <= (double)DELAYED_MAX_MS)
        ms = (uint64_t)f->real;
    return ms <= DELAYED_MAX_MS ? ms : 0;
}

static uint64_t time_of(const struct message *msg)
{
    struct properties p;
    struct field f;
    if ((msg->flags & MESSAGE_HAS_HEADERS) == 0 || !properties_decode(message_properties(msg), &p) ||
        !table_find(p.headers, BYTES("x-delay"), &f))
        return 0;
    return delayed_time(&f);
}

static void put_headers(struct pen *p, struct bytes headers)
{
    struct field f;
    bool is_first = true;
    for (struct cursor c = cursor_over(headers); table_next(&c, &f);) {
        if (!is_first || !bytes_equal(f.key, BYTES("x-delay"))) {
            table_put_field(p, &f);
            continue;
        }
        int64_t delay = (int64_t)delayed_time(&f);
        is_first = false;
        if (delay <= INT32_MAX)
            table_put_i32(p, f.key, (int32_t)-delay);
        else
            table_put_i64(p, f.key, -delay);
    }
}

struct message *delayed_write_letter(struct message *died)
{
    enum { LONGER_MAX = 16 }; /* a number takes no more than that, whatever stood there */
    struct properties props = {0};
    if (!properties_decode(message_properties(died), &props))
        props = (struct properties){0}; /* what the session let in decodes: see amqp/content.c */
    size_t room = props.headers.len + LONGER_MAX;
    uint8_t *headers = alloc(room);
    struct pen p = pen_over(headers, room);
    put_headers(&p, props.headers);
    CHECK(!p.full);
    props.headers = pen_written(&p);
    size_t size = properties_size(&props);
    uint8_t *encoded = alloc(size);
    struct pen w = pen_over(encoded, size);
    properties_encode(&w, &props);
    CHECK(!w.full);
    const struct message_spec spec = {
        .exchange = message_exchange(died),
        .routing_key = message_key(died),
        .properties = pen_written(&w),
        .extra_keys = message_extra_keys(died),
        .cc_count = message_cc_count(died),
        .deaths = message_deaths(died),
        .expiration_ms = message_expiration_ms(died),
        .flags = died->flags,
        .priority = died->priority,
    };
    struct message *letter = message_create_with_body(&spec, died);
    free(headers);
    free(encoded);
    return letter;
}

/* ---- The queue. */

static struct queue *queue_of(struct delayed *d)
{
    return d->exchange->waiting;
}

static int64_t now_of(const struct broker *b)
{
    return (int64_t)b->now.ms;
}

static void fire(struct broker *b, struct delayed *d);
static const struct queue_kind queue_delayed;

static void on_due(struct broker *b, struct wakeup *t)
{
    fire(b, item_of(t, struct delayed, due));
}

struct queue *delayed_queue_create(struct broker *b, struct exchange *x, uint64_t id)
{
    uint8_t arguments[ARGUMENTS_ROOM];
    char name[NAME_ROOM];
    struct pen p = pen_over(arguments, sizeof arguments);
    snprintf(name, sizeof name, "amq.delayed.%" PRIu64, id);
    table_put_string(&p, BYTES("x-delayed-exchange"), x->name);
    CHECK(!p.full && x->waiting == NULL);
    struct spec spec = {.name = bytes_of_string(name),
                        .arguments = pen_written(&p),
                        .durable = x->spec->durable,
                        .hidden = true,
                        .options = QUEUE_OPTIONS_NONE};
    struct queue *q = queue_create(b, x->vhost, &spec, NULL, id);
    struct delayed *d = q->delayed = alloc_zeroed(sizeof *d);
    q->kind = &queue_delayed;
    queue_judge(q);
    d->exchange = x;
    x->waiting = q;
    schedule_init(&d->schedule);
    schedule_init(&d->late);
    list_init(&d->listings);
    wakeup_init(&d->due, on_due);
    return q;
}

struct queue *delayed_queue(struct broker *b, struct exchange *x)
{
    if (x->waiting == NULL)
        remember_queue(b, RECORD_DEFINE, delayed_queue_create(b, x, b->next_queue_id++));
    return x->waiting;
}

bool delayed_read_exchange(struct bytes arguments, struct bytes *name)
{
    struct field f;
    bool is_there = table_find(arguments, BYTES("x-delayed-exchange"), &f) && f.type == 'S';
    if (is_there)
        *name = f.bytes;
    return is_there;
}

uint64_t delayed_count(const struct exchange *x)
{
    return x->waiting != NULL ? x->waiting->delayed->count : 0;
}

/* ---- What waits. */

/* Says anew how many there are. */
static void count(struct broker *b, struct delayed *d)
{
    uint64_t n = d->schedule.live + d->late.live + d->unswept;
    b->totals.messages_delayed += n - d->count;
    d->count = n;
}

static void warm(struct broker *b, struct delayed *d, struct due *slot, struct message *msg)
{
    struct entry *e = entry_create(b, queue_of(d), msg);
    e->position = slot->position;
    e->state = ENTRY_DELAYED;
    e->stored = b->records;
    if (e->stored)
        queue_count_stored(e->queue, msg);
    schedule_warm(slot, e);
    d->warm_count++;
    d->warm_cost += message_cost(msg);
}

/* The message is not in the schedule any more; its entry, if there is one, is the caller's. */
static struct entry *take(struct broker *b, struct delayed *d, struct schedule *s, struct due *slot)
{
    struct entry *e = slot->is_warm ? slot->entry : NULL;
    if (e != NULL) {
        d->warm_count--;
        d->warm_cost -= message_cost(e->msg);
    }
    schedule_remove(s, slot);
    count(b, d);
    return e;
}

static bool stays_warm(const struct broker *b, const struct delayed *d, const struct message *msg, uint64_t ms)
{
    if (!b->records)
        return true;
    return ms <= DELAYED_WARM_MS && d->warm_count < b->cold.window_messages &&
           d->warm_cost + message_cost(msg) <= b->cold.window_queue_bytes &&
           b->totals.message_bytes < b->cold.window_bytes;
}

void delayed_want(struct broker *b, struct delayed *d)
{
    struct queue *q = queue_of(d);
    if (d->loading == LOADS_NOTHING && !link_is_linked(&q->cold.wanting))
        list_append(&b->cold.wanting, &q->cold.wanting);
}

static void watch(struct broker *b, struct delayed *d)
{
    const struct due *top = schedule_top(&d->schedule);
    wakeup_set(b, &d->due, top == NULL ? UINT64_MAX : top->due_ms > 0 ? (uint64_t)top->due_ms : 0);
}

static bool publish(struct broker *b, struct queue *q, struct message *msg)
{
    struct delayed *d = q->delayed;
    struct schedule *to = d->sweep_to > 0 ? &d->late : &d->schedule;
    uint64_t ms = time_of(msg);
    if (d->count >= DELAYED_COUNT_MAX) {
        message_unref(msg);
        return false;
    }
    struct due *slot = schedule_add(to, q->next_position, now_of(b) + (int64_t)ms, msg->body_size);
    if (b->records)
        remember_place(b, q, q->next_position, ms);
    q->next_position++;
    count(b, d);
    if (stays_warm(b, d, msg, ms))
        warm(b, d, slot, msg);
    else
        message_unref(msg);
    if (d->sweep_to == 0 && schedule_top(to) == slot)
        watch(b, d);
    return true;
}

/* All that is due, in the order of their times, as far as it is in memory: the first that is not has the others wait
 * for it. */
static void fire(struct broker *b, struct delayed *d)
{
    struct due *top;
    if (d->sweep_to > 0)
        return;
    for (unsigned n = 0; (top = schedule_top(&d->schedule)) != NULL && top->due_ms <= now_of(b); n++) {
        if (!top->is_warm) {
            wakeup_set(b, &d->due, UINT64_MAX);
            delayed_want(b, d);
            return;
        }
        if (n == EXPIRED_PER_STEP) {
            wakeup_set(b, &d->due, b->now.ms);
            return;
        }
        struct entry *e = take(b, d, &d->schedule, top);
        e->state = ENTRY_DYING;
        e->death = DEATH_DUE;
        queue_pin(e->queue);
        list_append(&b->fresh, &e->in_queue);
    }
    watch(b, d);
}

/* ---- Loads. */

void delayed_restore(struct broker *b, struct queue *q, uint64_t messages)
{
    struct delayed *d = q->delayed;
    if (messages == 0)
        return;
    d->unswept = messages;
    count(b, d);
    d->sweep_to = q->next_position;
    q->cold.from = 0;
    delayed_want(b, d);
}

static void ask(struct broker *b, struct queue *q, enum delayed_load what, uint64_t from, uint64_t messages_max)
{
    uint64_t most = b->cold.window_messages;
    q->delayed->loading = what;
    q->cold.from = from;
    remember_load(b, q, (uint32_t)(messages_max < most ? messages_max : most), (uint32_t)b->cold.window_queue_bytes);
}

bool delayed_ask(struct broker *b, struct queue *q)
{
    struct delayed *d = q->delayed;
    const struct due *top = schedule_top(&d->schedule);
    if (d->sweep_to > 0) {
        ask(b, q, LOADS_ALL, q->cold.from, UINT32_MAX);
    } else if (top != NULL && top->due_ms <= now_of(b) && !top->is_warm) {
        d->load_from = d->load_to = top->position;
        if (!d->is_narrow)
            schedule_widen(&d->schedule, now_of(b), (unsigned)b->cold.window_messages, &d->load_from, &d->load_to);
        ask(b, q, LOADS_DUE, d->load_from, d->load_to - d->load_from + 1);
    } else if (!list_is_empty(&d->listings)) {
        ask(b, q, LOADS_LISTED, delayed_list_wants(d), INSPECTION_ROWS_MAX);
    } else {
        return false;
    }
    return true;
}

/* What came while the queue was swept lies behind all that was there. */
static void end_sweep(struct broker *b, struct delayed *d)
{
    d->unswept = d->sweep_to = 0;
    for (struct due *s = schedule_from(&d->late, 0); s != NULL; s = schedule_next(&d->late, s)) {
        struct due *to = schedule_add(&d->schedule, s->position, s->due_ms, s->bytes);
        if (s->is_warm)
            schedule_warm(to, s->entry);
    }
    schedule_fini(&d->late);
    count(b, d);
}

/* The wall clock may have jumped since it was written, but it never waits longer than it was to. */
static int64_t due_of(const struct broker *b, const struct load_entry *le)
{
    uint64_t end = le->written_ms + le->ttl_ms;
    if (le->ttl_ms > DELAYED_MAX_MS)
        return now_of(b);      /* nonsense */
    if (end <= b->now.wall_ms) /* those that are overdue come in the order of their times */
        return now_of(b) - (int64_t)(b->now.wall_ms - end);
    return now_of(b) + (int64_t)(end - b->now.wall_ms < le->ttl_ms ? end - b->now.wall_ms : le->ttl_ms);
}

static void sweep(struct broker *b, struct delayed *d, const struct load *l)
{
    struct queue *q = queue_of(d);
    uint64_t from = q->cold.from, looked_at = l->lost;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct load_entry *le = &l->entries[i];
        if (le->position < from || le->position >= d->sweep_to)
            continue;
        from = le->position + 1;
        looked_at++;
        schedule_add(&d->schedule, le->position, due_of(b, le), le->msg->body_size);
    }
    d->unswept -= looked_at < d->unswept ? looked_at : d->unswept;
    count(b, d);
    if (l->is_end || l->next <= q->cold.from || l->next >= d->sweep_to)
        end_sweep(b, d);
    else
        q->cold.from = l->next;
}

/* What was asked for and has not come cannot be read any more, as far as the load has looked. */
static void lose(struct broker *b, struct delayed *d, uint64_t end)
{
    struct due *slot;
    for (uint64_t p = d->load_from; (slot = schedule_from(&d->schedule, p)) != NULL && slot->position < end;) {
        p = slot->position + 1;
        if (!slot->is_warm)
            take(b, d, &d->schedule, slot);
    }
}

static void bring(struct broker *b, struct delayed *d, struct load *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        struct load_entry *le = &l->entries[i];
        struct due *slot = schedule_find(&d->schedule, le->position);
        if (slot == NULL || slot->is_warm || slot->due_ms > now_of(b))
            continue;
        warm(b, d, slot, le->msg);
        le->msg = NULL;
    }
    lose(b, d, l->is_end || l->next > d->load_to ? d->load_to + 1 : l->next);
    const struct due *top = schedule_top(&d->schedule);
    d->is_narrow = top != NULL && top->due_ms <= now_of(b) && !top->is_warm && top->position >= d->load_from &&
                   top->position <= d->load_to;
}

void delayed_take_load(struct broker *b, struct queue *q, struct load *l)
{
    struct delayed *d = q->delayed;
    enum delayed_load what = d->loading;
    d->loading = LOADS_NOTHING;
    if (what == LOADS_ALL)
        sweep(b, d, l);
    else if (what == LOADS_DUE)
        bring(b, d, l);
    else if (what == LOADS_LISTED)
        delayed_list_answer(b, d, l);
    fire(b, d);
    if (d->sweep_to > 0 || !list_is_empty(&d->listings))
        delayed_want(b, d);
}

/* ---- The end. */

void delayed_cancel(struct broker *b, struct exchange *x, uint64_t number, struct change *c)
{
    struct delayed *d = x->waiting != NULL ? x->waiting->delayed : NULL;
    if (d == NULL)
        return;
    if (number < d->sweep_to) {
        c->outcome = CHANGE_SKIPPED;
        c->text = str_copy(BYTES("what was delayed before the broker's start is still being read"));
        return;
    }
    struct schedule *s = d->sweep_to > 0 ? &d->late : &d->schedule;
    struct due *slot = schedule_find(s, number);
    if (slot == NULL)
        return;
    uint64_t bytes = slot->is_warm ? slot->entry->msg->body_size : slot->bytes;
    struct entry *e = take(b, d, s, slot);
    if (e != NULL)
        entry_destroy(b, e);
    if (b->records)
        remember_settle(b, x->waiting, number, bytes);
    if (d->sweep_to == 0)
        watch(b, d);
    c->outcome = CHANGE_REMOVED;
    c->count = 1;
}

static void drop_all(struct broker *b, struct schedule *s)
{
    for (struct due *slot = schedule_from(s, 0); slot != NULL; slot = schedule_next(s, slot))
        if (slot->is_warm)
            entry_destroy(b, slot->entry);
    schedule_fini(s);
}

/* It is only ever purged when it goes. */
static uint64_t purge(struct broker *b, struct queue *q)
{
    struct delayed *d = q->delayed;
    uint64_t n = d->count;
    CHECK(q->gone);
    d->exchange->waiting = NULL;
    delayed_list_forget(b, d);
    drop_all(b, &d->schedule);
    drop_all(b, &d->late);
    b->totals.messages_delayed -= d->count;
    wakeup_set(b, &d->due, UINT64_MAX);
    list_remove(&q->cold.wanting);
    q->delayed = NULL;
    free(d);
    return n;
}

static void clean(struct broker *b, struct queue *q)
{
    (void)b;
    (void)q;
}

static const struct queue_kind queue_delayed = {.publish = publish, .clean = clean, .purge = purge};

void delayed_check(const struct broker *b, const struct queue *q)
{
    const struct delayed *d = q->delayed;
    CHECK(q->spec->hidden && d->exchange->waiting == q);
    schedule_check(&d->schedule);
    schedule_check(&d->late);
    CHECK(d->count == d->schedule.live + d->late.live + d->unswept);
    CHECK(d->sweep_to > 0 || (d->unswept == 0 && d->late.n == 0));
    CHECK(q->ready_count == 0 && q->out_count == 0 && q->consumer_count == 0);
    CHECK(d->loading == LOADS_NOTHING || (b->cold.loads > 0 && !link_is_linked(&q->cold.wanting)));
    CHECK(b->records || d->warm_count == d->count);
    /* Something sees to what is the next. */
    CHECK(d->schedule.live == 0 || heap_has(&d->due.node) || d->loading != LOADS_NOTHING ||
          link_is_linked(&q->cold.wanting));
}
