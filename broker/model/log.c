#include "broker/model/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/bookmark.h"
#include "broker/model/entry.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/replay.h"
#include "broker/model/statistics.h"
#include "broker/port/definition.h"
#include "broker/port/message.h"

void log_state_init(struct log_state *s)
{
    *s = (struct log_state){0};
    list_init(&s->wanting);
    list_init(&s->suspended);
}

static void on_aging(struct broker *b, struct wakeup *t)
{
    queue_mark_dirty(b, item_of(t, struct log, aging)->queue);
}

static void on_saving(struct broker *b, struct wakeup *t)
{
    bookmark_save_all(b, item_of(t, struct log, saving)->queue);
}

struct log *log_create(struct broker *b, struct queue *q)
{
    struct log *l = alloc_zeroed(sizeof *l);
    (void)b;
    l->queue = q;
    list_init(&l->replays);
    link_init(&l->suspended);
    wakeup_init(&l->aging, on_aging);
    list_init(&l->bookmarks);
    wakeup_init(&l->saving, on_saving);
    l->receipt = message_create(&(struct message_spec){.expiration_ms = MESSAGE_NO_EXPIRATION});
    return l;
}

/* ---- Parts. */

static struct log_part *oldest_part(const struct log *l)
{
    return &l->parts[l->first_part];
}

/* The one that is being written. */
static struct log_part *open_part(const struct log *l)
{
    return &l->parts[l->n_parts - 1];
}

static size_t count_parts(const struct log *l)
{
    return l->n_parts - l->first_part;
}

/* Room for another, where those that are gone were or behind the rest. */
static void grow_parts(struct log *l)
{
    if (l->parts != NULL && l->first_part > l->parts_room / 2) {
        l->n_parts -= l->first_part;
        memmove(l->parts, l->parts + l->first_part, l->n_parts * sizeof *l->parts);
        l->first_part = 0;
        return;
    }
    l->parts_room = alloc_grown(l->parts_room, l->n_parts + 1);
    l->parts = alloc_array(l->parts, l->parts_room, sizeof *l->parts);
}

static struct log_part *add_part(struct log *l, uint64_t first)
{
    if (l->n_parts == l->parts_room)
        grow_parts(l);
    CHECK(l->parts != NULL);
    struct log_part *p = &l->parts[l->n_parts++];
    *p = (struct log_part){.first = first};
    return p;
}

uint64_t log_first(const struct log *l)
{
    return count_parts(l) == 0 ? l->queue->next_position : oldest_part(l)->first;
}

static uint64_t message_size(const struct message *m)
{
    return (uint64_t)LOG_MESSAGE_BYTES + m->exchange_len + m->key_len + m->properties_len + message_extra_keys_len(m) +
           m->body_size;
}

/* The part that the next message belongs to. */
static void look_at_open_part(struct broker *b, struct queue *q)
{
    struct log *l = q->log;
    uint64_t max = q->options->segment_bytes != SPEC_NONE ? q->options->segment_bytes : (uint64_t)LOG_PART_BYTES;
    if (count_parts(l) == 0) {
        add_part(l, q->next_position);
        return;
    }
    struct log_part *p = open_part(l);
    if (p->count == 0 || p->size < max || p->size < l->size / LOG_PARTS_MAX)
        return;
    if (p->last_ms == LOG_UNKNOWN_MS)
        p->last_ms = b->now.wall_ms;
    p->defined = p->first;
    remember_part(b, RECORD_DEFINE, q, p);
    add_part(l, q->next_position);
}

/* ---- What is in memory. */

static struct log_recent *recent(const struct log *l, size_t i)
{
    return &l->recent[(l->first_recent + i) & (l->recent_room - 1)];
}

uint64_t log_recent_first(const struct log *l)
{
    return l->queue->next_position - l->n_recent;
}

const struct log_recent *log_recent_at(const struct log *l, uint64_t offset)
{
    uint64_t i = offset - log_recent_first(l);
    CHECK(offset >= log_recent_first(l) && i < l->n_recent);
    return recent(l, (size_t)i);
}

static void drop_recent(struct broker *b, struct log *l)
{
    struct message *m = recent(l, 0)->msg;
    l->recent_cost -= message_cost(m);
    l->first_recent = (l->first_recent + 1) & (l->recent_room - 1);
    l->n_recent--;
    entry_release(b, m);
}

static void add_recent(struct broker *b, struct log *l, struct message *m)
{
    enum { ROOM_MIN = 16 };
    if (l->n_recent == l->recent_room) {
        size_t room = l->recent_room == 0 ? ROOM_MIN : 2 * l->recent_room;
        struct log_recent *all = alloc_array(NULL, room, sizeof *all);
        for (size_t i = 0; i < l->n_recent; i++)
            all[i] = *recent(l, i);
        free(l->recent);
        l->recent = all;
        l->first_recent = 0;
        l->recent_room = room;
    }
    l->n_recent++;
    *recent(l, l->n_recent - 1) = (struct log_recent){.msg = m, .wall_ms = b->now.wall_ms, .stamp = l->last};
    l->recent_cost += message_cost(m);
    entry_hold(b, m);
}

/* The rest is in the store. */
static void shrink_recent(struct broker *b, struct log *l)
{
    const struct cold_state *s = &b->cold;
    bool is_scant = b->totals.message_bytes >= s->window_bytes;
    uint64_t messages = s->window_messages, bytes = s->window_queue_bytes;
    if (is_scant && messages > LOG_RECENT_SCANT)
        messages = LOG_RECENT_SCANT;
    if (is_scant && bytes > LOG_RECENT_SCANT_BYTES)
        bytes = LOG_RECENT_SCANT_BYTES;
    while (b->records && l->n_recent > 1 && (l->n_recent > messages || l->recent_cost > bytes))
        drop_recent(b, l);
}

/* ---- Coming. */

uint64_t log_stamp_value(const struct broker *b, struct log_stamp s)
{
    return s.is_in_tx && s.record < b->logs.committed ? b->logs.committed : s.record;
}

/* It is not known of each message when it is safe, once it has left memory. */
static void pass_milestone(struct log *l, uint64_t offset)
{
    if (offset < l->milestones[LOG_MILESTONES - 1].before + LOG_MILESTONE_MESSAGES)
        return;
    memmove(&l->milestones[0], &l->milestones[1], (LOG_MILESTONES - 1) * sizeof l->milestones[0]);
    l->milestones[LOG_MILESTONES - 1].before = offset + 1;
    l->milestones[LOG_MILESTONES - 1].stamp = l->last;
}

uint64_t log_stamp_before(const struct broker *b, const struct log *l, uint64_t offset)
{
    for (size_t i = 0; i < LOG_MILESTONES; i++)
        if (offset < l->milestones[i].before)
            return log_stamp_value(b, l->milestones[i].stamp);
    return log_stamp_value(b, l->last);
}

void log_append(struct broker *b, struct queue *q, struct message *m)
{
    struct log *l = q->log;
    look_at_open_part(b, q);
    queue_touch_counters(b, q);
    uint64_t offset = q->next_position++, size = message_size(m);
    if (b->records) {
        remember_place(b, q, offset, PLACE_NO_TTL);
        l->last = (struct log_stamp){.record = b->publishing.position, .is_in_tx = b->is_in_tx};
        pass_milestone(l, offset);
    }
    struct log_part *p = open_part(l);
    p->count++;
    p->bytes += m->body_size;
    p->size += size;
    p->last_ms = b->now.wall_ms;
    l->size += size;
    queue_count(b, q, COUNT_PUBLISH, 1);
    queue_count_ready(b, q, 1);
    queue_add_bytes(q, m->body_size);
    add_recent(b, l, m);
    shrink_recent(b, l);
    queue_mark_dirty(b, q);
}

void log_resume(struct broker *b)
{
    struct log *l;
    b->logs.committed = b->position;
    list_each (l, &b->logs.suspended, struct log, suspended) {
        list_remove(&l->suspended);
        queue_mark_dirty(b, l->queue);
    }
}

/* ---- Going. */

static void drop_oldest_part(struct broker *b, struct queue *q)
{
    struct log *l = q->log;
    struct log_part p = *oldest_part(l);
    l->first_part++;
    l->size -= p.size;
    queue_count_ready(b, q, -p.count);
    queue_take_bytes(q, p.bytes);
    while (l->n_recent > 0 && log_recent_first(l) < log_first(l))
        drop_recent(b, l);
    if (b->records)
        remember_part(b, RECORD_UNDEFINE, q, &p);
}

/* Of the oldest part, when it is too old. */
static uint64_t old_at(const struct queue *q)
{
    uint64_t last = oldest_part(q->log)->last_ms, age = q->options->max_age_ms;
    return last > UINT64_MAX - age ? UINT64_MAX : last + age;
}

/* As soon as there are records to say so. */
static void forget_stale(struct broker *b, struct queue *q)
{
    struct log *l = q->log;
    for (size_t i = 0; i < l->n_stale; i++)
        remember_part(b, RECORD_UNDEFINE, q, &(struct log_part){.defined = l->stale[i]});
    free(l->stale);
    l->stale = NULL;
    l->n_stale = 0;
}

void log_retain(struct broker *b, struct queue *q)
{
    struct log *l = q->log;
    bool has_age = q->options->max_age_ms != SPEC_NONE, is_trimmed = false;
    if (l->n_stale > 0)
        forget_stale(b, q);
    while (count_parts(l) > 1 && (l->size > q->options->max_length_bytes || (has_age && old_at(q) < b->now.wall_ms))) {
        drop_oldest_part(b, q);
        is_trimmed = true;
    }
    if (is_trimmed &&
        b->records) /* behind the parts: a crash between leaves messages without a part, not the reverse */
        remember_trim(b, q, log_first(l));
    if (count_parts(l) > 1 && has_age && old_at(q) != UINT64_MAX)
        wakeup_set(b, &l->aging, b->now.ms + (old_at(q) - b->now.wall_ms) + 1);
    else
        wakeup_set(b, &l->aging, UINT64_MAX);
}

void log_forget_parts(struct broker *b, struct queue *q)
{
    const struct log *l = q->log;
    forget_stale(b, q);
    bookmark_forget_all(b, q);
    for (size_t i = l->first_part; b->records && i + 1 < l->n_parts; i++)
        remember_part(b, RECORD_UNDEFINE, q, &l->parts[i]);
}

uint64_t log_drop(struct broker *b, struct queue *q)
{
    struct log *l = q->log;
    uint64_t count = q->ready_count;
    while (l->n_recent > 0)
        drop_recent(b, l);
    l->first_part = l->n_parts = 0;
    l->size = 0;
    queue_count_ready(b, q, -q->ready_count);
    queue_take_bytes(q, q->ready_bytes);
    wakeup_set(b, &l->aging, UINT64_MAX);
    wakeup_set(b, &l->saving, UINT64_MAX);
    list_remove(&l->suspended);
    return count;
}

void log_destroy(struct log *l)
{
    if (l == NULL)
        return;
    CHECK(list_is_empty(&l->replays) && l->n_recent == 0);
    bookmark_free_all(l->queue);
    message_unref(l->receipt);
    free(l->recent);
    free(l->stale);
    free(l->parts);
    free(l);
}

/* ---- When. */

void log_find_time(const struct log *l, uint64_t ms, uint64_t *low, uint64_t *high)
{
    size_t i = l->first_part;
    *low = *high = l->queue->next_position;
    if (count_parts(l) == 0)
        return;
    if (l->n_recent > 0 && recent(l, 0)->wall_ms < ms) {
        *low = log_recent_first(l);
        while (*low < *high && log_recent_at(l, *low)->wall_ms < ms)
            ++*low;
        *high = *low;
        return;
    }
    while (i + 1 < l->n_parts && l->parts[i].last_ms < ms)
        i++;
    *low = l->parts[i].first;
    *high = i + 1 < l->n_parts ? l->parts[i + 1].first : log_recent_first(l);
    if (*high < *low)
        *high = *low;
}

/* ---- After a restart. */

bool log_restore_part(struct broker *b, uint64_t queue, struct bytes key, struct bytes value)
{
    struct queue *q = queue_find_by_id(b, queue);
    struct definition_part d;
    if (q == NULL || q->log == NULL || q->next_position > 0 || !definition_read_part(queue, key, value, &d))
        return false;
    struct log *l = q->log;
    if (d.count == 0 || d.first > UINT64_MAX - d.count)
        return false;
    size_t i = l->n_parts; /* while the disk is full, one may overtake another that waits with its transaction */
    while (i > 0 && l->parts[i - 1].first > d.first)
        i--;
    if ((i > 0 && d.first < l->parts[i - 1].first + l->parts[i - 1].count) ||
        (i < l->n_parts && l->parts[i].first < d.first + d.count))
        return false;
    add_part(l, d.first);
    struct log_part *p = &l->parts[i];
    memmove(p + 1, p, (l->n_parts - 1 - i) * sizeof *p);
    *p = (struct log_part){.first = d.first};
    p->defined = d.first;
    p->count = d.count;
    p->bytes = d.bytes;
    p->size = d.size;
    p->last_ms = d.last_ms;
    return true;
}

/* Damage may have taken some that parts say they hold: the oldest, for all that anybody knows. */
static void lose_messages(struct log *l, uint64_t messages, uint64_t bytes)
{
    for (size_t i = 0; i < l->n_parts; i++) {
        struct log_part *p = &l->parts[i];
        uint64_t n = messages < p->count ? messages : p->count, size = bytes < p->bytes ? bytes : p->bytes;
        p->count -= n;
        p->bytes -= size;
        messages -= n;
        bytes -= size;
    }
}

/* What is said of messages that are not there: they were not written, for want of room, and what overtook them was. The
 * part that ends too late is the one that is being written; those behind it were never. */
static void drop_parts_beyond(struct log *l, uint64_t next_position, bool is_empty)
{
    while (l->n_parts > 0) {
        const struct log_part *p = open_part(l);
        if (!is_empty && p->first + p->count <= next_position)
            return;
        l->n_parts--;
        if (!is_empty && p->first < next_position)
            return;
        l->stale = alloc_array(l->stale, l->n_stale + 1, sizeof *l->stale);
        l->stale[l->n_stale++] = p->defined;
    }
}

void log_restore(struct broker *b, struct queue *q, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    struct log *l = q->log;
    uint64_t count = 0, size = 0, end = next_position - messages;
    q->next_position = next_position;
    drop_parts_beyond(l, next_position, messages == 0);
    for (size_t i = 0; i < l->n_parts; i++) {
        count += l->parts[i].count;
        size += l->parts[i].bytes;
        end = l->parts[i].first + l->parts[i].count;
    }
    struct log_part *p = add_part(l, end);
    p->count = next_position - end;
    count += p->count;
    p->bytes = bytes > size ? bytes - size : 0;
    size += p->bytes;
    p->size = p->bytes + p->count * LOG_MESSAGE_BYTES;
    p->last_ms = LOG_UNKNOWN_MS;
    if (messages > count) { /* some are older than all that is known of */
        p = oldest_part(l);
        p->first -= messages - count < p->first ? messages - count : p->first;
        p->count += messages - count;
        count = messages;
    }
    lose_messages(l, count - messages, size > bytes ? size - bytes : 0);
    for (size_t i = 0; i < l->n_parts; i++)
        l->size += l->parts[i].size;
    q->ready_count = messages;
    q->tally->ready += messages;
    queue_add_bytes(q, bytes - q->ready_bytes);
    b->totals.messages_ready += messages;
    l->milestones[LOG_MILESTONES - 1].before = next_position;
    wakeup_set(b, &l->aging, b->now.ms);
}

/* ---- Invariants. */

void log_check(const struct broker *b, const struct queue *q)
{
    const struct log *l = q->log;
    const struct replay *r;
    uint64_t count = 0, bytes = 0, size = 0, cost = 0, last = 0;
    for (size_t i = l->first_part; i < l->n_parts; i++) {
        const struct log_part *p = &l->parts[i];
        CHECK(i == l->first_part || p->first >= last);
        last = p->first;
        count += p->count;
        bytes += p->bytes;
        size += p->size;
    }
    CHECK(count == q->ready_count && bytes == q->ready_bytes && size == l->size && last <= q->next_position);
    for (size_t i = 0; i < l->n_recent; i++)
        cost += message_cost(recent(l, i)->msg);
    CHECK(cost == l->recent_cost && l->n_recent <= q->next_position && log_recent_first(l) >= log_first(l));
    CHECK(b->records || l->n_recent == q->ready_count);
    list_each (r, &l->replays, struct replay, in_log)
        replay_check(b, r);
}
