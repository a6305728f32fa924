#include "broker/model/cold.h"

#include "base/check.h"
#include "broker/model/delayed.h"
#include "broker/model/groups.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/port/load.h"

static uint64_t given_or(uint64_t n, uint64_t otherwise)
{
    return n > 0 ? n : otherwise;
}

/* Queues go cold long before publishers are blocked. */
static uint64_t default_window(const struct broker_config *config)
{
    uint64_t share = config->memory_high / COLD_WINDOW_SHARE;
    return share > 0 && share < COLD_WINDOW_BYTES ? share : COLD_WINDOW_BYTES;
}

void cold_state_init(struct cold_state *s, const struct broker_config *config)
{
    *s = (struct cold_state){
        .window_bytes = given_or(config->window_bytes, default_window(config)),
        .paging_bytes = config->memory_high / 2,
        .window_messages = given_or(config->window_messages, COLD_WINDOW_MESSAGES),
        .window_queue_bytes = given_or(config->window_queue_bytes, COLD_WINDOW_QUEUE_BYTES),
    };
    list_init(&s->wanting);
    list_init(&s->starved);
}

void cold_init(struct cold *c)
{
    *c = (struct cold){0};
    link_init(&c->wanting);
}

static uint64_t warm_count(const struct queue *q)
{
    return q->ready_count - q->cold.count;
}

bool cold_takes(const struct broker *b, const struct queue *q, const struct message *msg)
{
    const struct cold_state *s = &b->cold;
    uint64_t warm = warm_count(q);
    if (q->cold.count > 0)
        return true;
    if (q->ready.levels != NULL)
        return false;
    if (warm == 0 || (warm < s->window_messages && q->cold.warm_cost + message_cost(msg) <= s->window_queue_bytes))
        return warm > 0 && s->paging_bytes > 0 && b->totals.message_bytes >= s->paging_bytes;
    return b->totals.message_bytes >= s->window_bytes;
}

/* ---- Counting. */

void cold_count(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes)
{
    q->cold.count += messages;
    q->cold.bytes += bytes;
    q->ready_count += messages;
    q->tally->ready += messages;
    queue_add_bytes(q, bytes);
    b->totals.messages_ready += messages;
}

static void uncount(struct broker *b, struct queue *q)
{
    queue_count_ready(b, q, -q->cold.count);
    queue_take_bytes(q, q->cold.bytes);
    q->cold.count = q->cold.bytes = 0;
}

void cold_add(struct broker *b, struct queue *q, const struct message *msg, uint64_t position, uint64_t ttl_ms)
{
    struct cold *c = &q->cold;
    remember_place(b, q, position, ttl_ms);
    if (c->count == 0)
        c->from = position;
    cold_count(b, q, 1, msg->body_size);
    if (c->is_loading) {
        c->late_count++;
        c->late_bytes += msg->body_size;
    }
}

void cold_set_behind(struct broker *b, struct queue *q, bool is_behind)
{
    b->cold.behind += is_behind;
    b->cold.behind -= q->cold.is_behind;
    q->cold.is_behind = is_behind;
}

void cold_purge(struct broker *b, struct queue *q)
{
    struct cold *c = &q->cold;
    list_remove(&c->wanting);
    cold_set_behind(b, q, false);
    if (c->count == 0)
        return;
    if (!q->gone)
        remember_purge(b, q, c->from);
    if (q->dedup != NULL)
        dedup_forget_from(b, q, c->from);
    uncount(b, q);
    expiring_forget_cold(q);
    c->late_count = c->late_bytes = 0;
    c->from = q->next_position;
    c->is_stale = c->is_loading;
}

/* ---- Loading. */

/* There is no memory to spare, and nobody waits for what is cold: after a restart, many queues may be so. */
static bool is_scant(const struct broker *b, const struct queue *q)
{
    return b->totals.message_bytes >= b->cold.window_bytes && q->consumer_count == 0 && list_is_empty(&q->parked);
}

static bool is_low(const struct broker *b, const struct queue *q)
{
    uint64_t warm = warm_count(q);
    return warm == 0 || q->ready.levels != NULL || groups_want_more(q) ||
           (warm < b->cold.window_messages / 2 && q->cold.warm_cost < b->cold.window_queue_bytes / 2 &&
            !is_scant(b, q));
}

void cold_look(struct broker *b, struct queue *q)
{
    struct cold *c = &q->cold;
    if (c->count > 0 && !c->is_loading && !c->is_held && !link_is_linked(&c->wanting) && is_low(b, q))
        list_append(&b->cold.wanting, &c->wanting);
}

bool cold_want(struct broker *b, struct queue *q)
{
    struct cold *c = &q->cold;
    if (c->count > 0 && !c->is_loading && !c->is_held && !link_is_linked(&c->wanting))
        list_append(&b->cold.wanting, &c->wanting);
    return c->count > 0;
}

bool cold_is_due(const struct broker *b)
{
    return b->cold.loads < COLD_LOADS_MAX && !list_is_empty(&b->cold.wanting);
}

static uint32_t at_most(uint64_t n, uint32_t max)
{
    return n < max ? (uint32_t)n : max;
}

/* So many queues may be like that, that a little for each is too much. */
static bool is_spent(const struct broker *b)
{
    return b->totals.message_bytes / COLD_SCANT_TIMES >= b->cold.window_bytes;
}

/* Consumers that take without limit, and settle nothing, must not take all the memory.  A GET is answered. */
static bool is_starved(const struct broker *b, const struct queue *q)
{
    return b->alarms != 0 && q->out_count >= COLD_OUT_MAX && list_is_empty(&q->parked);
}

void cold_look_again(struct broker *b, struct queue *q)
{
    if (link_is_linked(&q->cold.wanting) && !is_starved(b, q)) {
        list_remove(&q->cold.wanting);
        list_append(&b->cold.wanting, &q->cold.wanting);
    }
}

void cold_feed(struct broker *b)
{
    list_prepend_all(&b->cold.wanting, &b->cold.starved);
}

static void begin_load(struct broker *b, struct queue *q)
{
    q->cold.is_loading = true;
    q->cold.late_count = q->cold.late_bytes = 0;
    q->cold.late_from = q->next_position;
    b->cold.loads++;
}

void cold_fetch(struct broker *b, struct queue *q, uint64_t position, uint64_t messages_max)
{
    uint64_t most = b->cold.window_messages;
    begin_load(b, q);
    remember_load_from(b, q->id, position, at_most(messages_max < most ? messages_max : most, UINT32_MAX),
                       at_most(b->cold.window_queue_bytes, UINT32_MAX));
}

void cold_drop(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes)
{
    struct cold *c = &q->cold;
    bool takes_all = messages >= c->count;
    messages = takes_all ? c->count : messages;
    bytes = takes_all || bytes > c->bytes ? c->bytes : bytes;
    c->count -= messages;
    c->bytes -= bytes;
    queue_count_ready(b, q, -messages);
    queue_take_bytes(q, bytes);
    if (c->count > 0)
        return;
    list_remove(&c->wanting);
    cold_set_behind(b, q, false);
}

void cold_ask(struct broker *b)
{
    struct cold_state *s = &b->cold;
    while (cold_is_due(b)) {
        struct queue *q = item_of(s->wanting.ring.next, struct queue, cold.wanting);
        list_remove(&q->cold.wanting);
        if (q->delayed != NULL) {
            s->loads += delayed_ask(b, q);
            continue;
        }
        if (is_starved(b, q)) {
            list_append(&s->starved, &q->cold.wanting);
            continue;
        }
        if (expiring_asks(b, q))
            continue;
        begin_load(b, q);
        bool scant = is_scant(b, q);
        remember_load(b, q,
                      at_most(s->window_messages, !scant        ? UINT32_MAX
                                                  : is_spent(b) ? 1
                                                                : COLD_SCANT_MESSAGES),
                      at_most(s->window_queue_bytes, scant ? COLD_SCANT_BYTES : UINT32_MAX));
    }
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int64_t cold_arrival(const struct broker *b, const struct load_entry *le)
{
    uint64_t age = b->now.wall_ms > le->written_ms ? b->now.wall_ms - le->written_ms : 0;
    return (int64_t)b->now.ms - (int64_t)(age < INT64_MAX / 2 ? age : INT64_MAX / 2);
}

struct entry *cold_entry(struct broker *b, struct queue *q, struct load_entry *le)
{
    struct entry *e = entry_create(b, q, le->msg);
    queue_count(b, q, COUNT_DISK_READS, 1);
    le->msg = NULL;
    e->position = le->position;
    e->msg->arrived_ms = cold_arrival(b, le);
    e->expires_at = queue_deadline(q, e->msg); /* by what the queue is like now, not when it came */
    e->deliveries = le->deliveries;
    e->redelivered = le->redelivered;
    e->stored = true;
    queue_count_stored(q, e->msg);
    return e;
}

/* What is left of `count` when `taken` are not cold any more and `late` cannot have been among them. */
static uint64_t rest(uint64_t count, uint64_t taken, uint64_t late)
{
    return count > sum(taken, late) ? count - taken : late;
}

/* One that came late has come with the load all the same. */
static void not_late(struct cold *c, uint64_t bytes)
{
    if (c->late_count == 0)
        return;
    c->late_count--;
    c->late_bytes -= bytes < c->late_bytes ? bytes : c->late_bytes;
}

/* The load brings what was cold when it was asked for, from the front, and maybe what came since. */
static void fill(struct broker *b, struct queue *q, struct load *l)
{
    struct cold *c = &q->cold;
    uint64_t count = c->count, bytes = c->bytes, taken = l->lost, taken_bytes = l->lost_bytes, next = c->from;
    if (q->dedup != NULL)
        dedup_forget_lost(b, q, l, c->from);
    uncount(b, q);
    for (uint32_t i = 0; i < l->n; i++) {
        struct load_entry *le = &l->entries[i];
        taken = sum(taken, 1);
        taken_bytes = sum(taken_bytes, le->msg->body_size);
        if (le->position < next || le->position >= q->next_position)
            continue; /* nonsense: it falls with the load */
        next = le->position + 1;
        if (le->position >= c->late_from)
            not_late(c, le->msg->body_size);
        queue_append(b, q, cold_entry(b, q, le));
    }
    /* One that has not moved on would be asked for again, for ever. */
    bool is_end = l->is_end || (l->n == 0 && l->next <= c->from);
    uint64_t left = is_end ? c->late_count : rest(count, taken, c->late_count);
    uint64_t left_bytes = is_end ? c->late_bytes : rest(bytes, taken_bytes, c->late_bytes);
    cold_count(b, q, left, left > 0 ? left_bytes : 0);
    c->from = l->next > next ? l->next : next;
}

void cold_take_load(struct broker *b, struct load *l)
{
    struct queue *q = queue_find_by_id(b, l->queue);
    if (b->cold.loads > 0)
        b->cold.loads--;
    if (q != NULL && q->delayed != NULL) {
        delayed_take_load(b, q, l);
    } else if (q != NULL && q->cold.is_loading) {
        q->cold.is_loading = false;
        if (q->expiring.is_fetching)
            expiring_take_load(b, q, l);
        else if (!q->cold.is_stale)
            fill(b, q, l);
        q->cold.is_stale = false;
        queue_mark_dirty(b, q);
    }
    load_destroy(l);
}

/* ---- Invariants. */

void cold_check(const struct broker *b, const struct queue *q, uint64_t warm, uint64_t warm_cost)
{
    const struct cold *c = &q->cold;
    CHECK(warm + c->count == q->ready_count && warm_cost == c->warm_cost);
    CHECK(b->records || (c->count == 0 && !c->is_loading));
    CHECK(c->count > 0 || (c->bytes == 0 && !link_is_linked(&c->wanting)));
    CHECK(!c->is_loading || (c->late_count <= c->count && c->late_bytes <= c->bytes));
    CHECK(!c->is_loading || !link_is_linked(&c->wanting));
    CHECK(c->is_loading || !c->is_stale);
    CHECK(!c->is_behind || c->count > 0);
    CHECK(!c->is_loading || b->cold.loads > 0);
    CHECK(c->count == 0 || c->from <= q->next_position);
    /* Nothing stays cold that could be wanted; with something warm before it, it has time (a large message may not fit
     * into a window that is nearly empty). */
    CHECK(c->count == 0 || c->is_loading || c->is_held || link_is_linked(&c->wanting) || warm > 0);
}
