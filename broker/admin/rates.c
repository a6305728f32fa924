#include "broker/admin/rates.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"

enum { RINGS = 4, RINGS_OF_ALL = 2, SLOTS_MAX = 121 + 61 + 49 + 49, SLOTS_OF_ALL = 121 + 61, MS_PER_S = 1000 };

static const struct {
    unsigned slots, first; /* how many, and which of a column's slots is its first */
    uint64_t width_ms;
} rings[RINGS] = {
    {121, 0, 5000},
    {61, 121, 60000},
    {49, 121 + 61, 600000},
    {49, 121 + 61 + 49, 1800000},
};

/* A column's slots are those of one ring after the other. */
struct history {
    struct link in_pool;
    struct rates_object *owner; /* borrowed */
    size_t bytes;
    uint64_t newest[RINGS]; /* the slot that was written last, since 1970 */
    uint64_t *columns[];    /* owned, n of the kind; NULL: it was 0 all the time */
};

struct rates_object {
    struct map_node in_rates;
    struct link by_change; /* of all, those that changed last are last */
    uint64_t id;
    uint64_t sampled_ms, before_ms;
    uint64_t round;          /* in which it changed last */
    struct history *history; /* owned; NULL: it has none */
    uint8_t kind;
    bool has_two;      /* samples */
    uint64_t values[]; /* the newest sample's, n of the kind, and the one's before */
};

/* Objects with histories. */
struct pool {
    struct list histories; /* struct history: those that changed last are last */
    size_t n, n_max, bytes, bytes_max;
};

struct rates {
    struct map objects;    /* struct rates_object, owned */
    struct list by_change; /* likewise */
    struct pool lasting, others;
    uint64_t next[RATES_KINDS]; /* the lowest id that was not seen: from there on they are new, others were forgotten */
    uint64_t interval_ms, epoch_ms;
    uint64_t round, ended;        /* rounds are counted: the one under way, or the last; the last that has ended */
    uint64_t begun_ms, before_ms; /* when it, and the one before it, began */
    size_t object_bytes;          /* of all objects, without histories */
};

#define BIT(id) RATES_BIT(COUNT_##id)
#define DELIVERIES                                                                                                     \
    (BIT(DELIVER) | BIT(DELIVER_NO_ACK) | BIT(GET) | BIT(GET_NO_ACK) | BIT(GET_EMPTY) | BIT(REDELIVER) | BIT(ACK))
#define LENGTHS (RATES_BIT(RATES_READY) | RATES_BIT(RATES_UNACKNOWLEDGED) | RATES_BIT(RATES_MESSAGES))
#define PUBLISHES (BIT(PUBLISH) | BIT(CONFIRM) | BIT(RETURN_UNROUTABLE) | BIT(DROP_UNROUTABLE))
#define OCTETS (BIT(RECV_OCT) | BIT(RECV_CNT) | BIT(SEND_OCT) | BIT(SEND_CNT))
#define MEASURES                                                                                                       \
    (RATES_BIT(RATES_MEM_USED) | RATES_BIT(RATES_FD_USED) | RATES_BIT(RATES_SOCKETS_USED) |                            \
     RATES_BIT(RATES_PROC_USED) | RATES_BIT(RATES_DISK_FREE))
#define ALL_COUNTERS (RATES_BIT(COUNTERS) - 1)

/* They rise and fall. */
static const uint64_t levels = LENGTHS | MEASURES;

/* Which columns are kept of each kind. */
static const uint64_t columns_of[RATES_KINDS] = {
    [SAMPLE_QUEUE] = BIT(PUBLISH) | DELIVERIES | BIT(DISK_READS) | BIT(DISK_WRITES) | LENGTHS,
    [SAMPLE_EXCHANGE] = BIT(PUBLISH_IN) | BIT(PUBLISH_OUT) | PUBLISHES,
    [SAMPLE_CHANNEL] = PUBLISHES | DELIVERIES,
    [SAMPLE_CONNECTION] = OCTETS,
    [SAMPLE_VHOST] = ALL_COUNTERS | LENGTHS,
    [SAMPLE_BROKER] = ALL_COUNTERS | LENGTHS,
    [RATES_NODE] = (RATES_BIT(RATES_COLUMNS) - 1) & ~(RATES_BIT(RATES_CONNECTION_CREATED) - 1),
};

static unsigned count_bits(uint64_t set)
{
    return (unsigned)__builtin_popcountll(set);
}

static unsigned width_of(unsigned kind)
{
    return count_bits(columns_of[kind]);
}

/* Where a column, which must be kept, is among the kind's. */
static unsigned place_of(unsigned kind, unsigned column)
{
    return count_bits(columns_of[kind] & (RATES_BIT(column) - 1));
}

static bool is_lasting(unsigned kind)
{
    return kind >= SAMPLE_VHOST;
}

static unsigned rings_of(unsigned kind)
{
    return is_lasting(kind) ? RINGS : RINGS_OF_ALL;
}

/* ---- Histories. */

static struct pool *pool_of(struct rates *r, unsigned kind)
{
    return is_lasting(kind) ? &r->lasting : &r->others;
}

static void pool_init(struct pool *p, size_t n_max, size_t bytes_max)
{
    *p = (struct pool){.n_max = n_max, .bytes_max = bytes_max};
    list_init(&p->histories);
}

static void forget_history(struct rates *r, struct rates_object *o)
{
    struct history *h = o->history;
    struct pool *p = pool_of(r, o->kind);
    if (h == NULL)
        return;
    for (unsigned i = 0; i < width_of(o->kind); i++)
        free(h->columns[i]);
    p->n--;
    p->bytes -= h->bytes;
    list_remove(&h->in_pool);
    free((void *)h);
    o->history = NULL;
}

/* Is there room for that?  Those that have stood still in this round go for it, the longest first. */
static bool make_room(struct rates *r, struct pool *p, size_t bytes, size_t n)
{
    while (p->bytes + bytes > p->bytes_max || p->n + n > p->n_max) {
        struct rates_object *oldest =
            list_is_empty(&p->histories) ? NULL : item_of(p->histories.ring.next, struct history, in_pool)->owner;
        if (oldest == NULL || oldest->round == r->round)
            return false;
        forget_history(r, oldest);
    }
    return true;
}

static void begin_history(struct rates *r, struct rates_object *o, uint64_t now_ms)
{
    struct pool *p = pool_of(r, o->kind);
    size_t bytes = sizeof(struct history) + width_of(o->kind) * sizeof(uint64_t *);
    if (!make_room(r, p, bytes, 1))
        return;
    struct history *h = alloc_zeroed(bytes);
    h->owner = o;
    h->bytes = bytes;
    for (unsigned i = 0; i < RINGS; i++)
        h->newest[i] = (now_ms + r->epoch_ms) / rings[i].width_ms;
    link_init(&h->in_pool);
    o->history = h;
    p->n++;
    p->bytes += bytes;
}

/* A column that was that all the time. */
static void begin_column(struct rates *r, struct rates_object *o, unsigned place, uint64_t value)
{
    struct pool *p = pool_of(r, o->kind);
    unsigned n = is_lasting(o->kind) ? SLOTS_MAX : SLOTS_OF_ALL;
    if (!make_room(r, p, n * sizeof(uint64_t), 0))
        return;
    uint64_t *slots = alloc_array(NULL, n, sizeof *slots);
    for (unsigned i = 0; i < n; i++)
        slots[i] = value;
    o->history->columns[place] = slots;
    o->history->bytes += n * sizeof *slots;
    p->bytes += n * sizeof *slots;
}

/* The slots up to that one that nothing was written to have what was so until now. */
static void write_ring(uint64_t *slots, unsigned ring, uint64_t newest, uint64_t slot, uint64_t before, uint64_t now)
{
    unsigned n = rings[ring].slots;
    slots += rings[ring].first;
    for (uint64_t i = slot - newest > n ? slot - n : newest + 1; i < slot; i++)
        slots[i % n] = before;
    slots[slot % n] = now;
}

/* Before the object's own values change. */
static void remember(struct rates *r, struct rates_object *o, const uint64_t *values, uint64_t now_ms)
{
    if (o->history == NULL)
        begin_history(r, o, now_ms);
    struct history *h = o->history;
    if (h == NULL)
        return;
    list_remove(&h->in_pool);
    list_append(&pool_of(r, o->kind)->histories, &h->in_pool);
    uint64_t slots[RINGS];
    for (unsigned i = 0; i < RINGS; i++) {
        slots[i] = (now_ms + r->epoch_ms) / rings[i].width_ms;
        slots[i] = slots[i] > h->newest[i] ? slots[i] : h->newest[i];
    }
    for (unsigned place = 0; place < width_of(o->kind); place++) {
        if (h->columns[place] == NULL && (values[place] != 0 || o->values[place] != 0))
            begin_column(r, o, place, o->values[place]);
        for (unsigned i = 0; h->columns[place] != NULL && i < rings_of(o->kind); i++)
            write_ring(h->columns[place], i, h->newest[i], slots[i], o->values[place], values[place]);
    }
    memcpy(h->newest, slots, sizeof slots);
}

/* What a column was at that time, which is in milliseconds since 1970. */
static uint64_t value_at(const struct rates_object *o, unsigned place, unsigned ring, uint64_t at_ms)
{
    const struct history *h = o->history;
    uint64_t slot = at_ms / rings[ring].width_ms;
    unsigned n = rings[ring].slots;
    if (h == NULL || h->columns[place] == NULL || slot >= h->newest[ring])
        return o->values[place];
    if (h->newest[ring] - slot >= n)
        slot = h->newest[ring] + 1 - n; /* the oldest that is known */
    return h->columns[place][rings[ring].first + slot % n];
}

/* ---- Objects. */

static uint64_t hash_of(unsigned kind, uint64_t id)
{
    return hash_mix(id, kind);
}

static struct rates_object *find(const struct rates *r, unsigned kind, uint64_t id)
{
    for (struct map_node *n = map_first(&r->objects, hash_of(kind, id)); n != NULL; n = map_next(n)) {
        struct rates_object *o = item_of(n, struct rates_object, in_rates);
        if (o->kind == kind && o->id == id)
            return o;
    }
    return NULL;
}

static size_t bytes_of_object(unsigned kind)
{
    return sizeof(struct rates_object) + sizeof(uint64_t) * 2 * width_of(kind);
}

static void forget(struct rates *r, struct rates_object *o)
{
    r->object_bytes -= bytes_of_object(o->kind);
    forget_history(r, o);
    map_remove(&r->objects, &o->in_rates);
    list_remove(&o->by_change);
    free(o);
}

/* Its first sample.  If it is new, all of that has happened since the last round; if it was forgotten, nobody knows. */
static struct rates_object *begin_object(struct rates *r, unsigned kind, uint64_t id, const uint64_t *values)
{
    size_t n = width_of(kind);
    struct rates_object *o = alloc_zeroed(bytes_of_object(kind));
    r->object_bytes += bytes_of_object(kind);
    o->kind = (uint8_t)kind;
    o->id = id;
    if (id < r->next[kind] || kind == RATES_NODE) /* the node was there before anybody measured it */
        memcpy(o->values, values, n * sizeof *values);
    else
        r->next[kind] = id + 1;
    link_init(&o->by_change);
    map_add(&r->objects, &o->in_rates, hash_of(kind, id));
    return o;
}

/* A connection without a history that has just come, or says little more than heartbeats: it needs none.  Thousands are
 * like that, and a history is more than all else that they take. */
static bool is_quiet(const struct rates_object *o, const uint64_t *values, bool is_first)
{
    uint64_t rise = 0;
    if (o->kind != SAMPLE_CONNECTION || o->history != NULL)
        return false;
    for (unsigned place = 0; place < width_of(o->kind); place++)
        rise += values[place] - o->values[place];
    return is_first || rise < RATES_QUIET_BYTES;
}

/* all: by columns. */
static void take(struct rates *r, unsigned kind, uint64_t id, uint64_t now_ms, const uint64_t *all)
{
    uint64_t values[RATES_COLUMNS];
    size_t n = 0, bytes = width_of(kind) * sizeof *values;
    for (unsigned i = 0; i < RATES_COLUMNS; i++)
        if ((columns_of[kind] & RATES_BIT(i)) != 0)
            values[n++] = all[i];
    struct rates_object *o = find(r, kind, id);
    bool is_first = o == NULL;
    if (is_first)
        o = begin_object(r, kind, id, values);
    else if (memcmp(o->values, values, bytes) == 0)
        return;
    /* A connection says what it has read and written at times of its own, about as often. */
    bool was_recent = r->round - o->round <= (kind == SAMPLE_CONNECTION ? 2 : 1);
    o->before_ms = was_recent ? o->sampled_ms : r->before_ms;
    o->has_two = !is_first;
    o->sampled_ms = now_ms;
    o->round = r->round;
    if (!is_quiet(o, values, is_first))
        remember(r, o, values, now_ms);
    memcpy(o->values + n, o->values, bytes);
    memcpy(o->values, values, bytes);
    list_remove(&o->by_change);
    list_append(&r->by_change, &o->by_change);
}

void rates_take_samples(struct rates *r, const struct samples *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct sample *one = &s->at[i];
        struct rates_object *known = one->is_gone ? find(r, one->kind, one->id) : NULL;
        if (known != NULL)
            forget(r, known);
        if (one->is_gone)
            continue;
        uint64_t all[RATES_COLUMNS] = {0};
        memcpy(all, one->counts, sizeof one->counts);
        all[RATES_READY] = one->ready;
        all[RATES_UNACKNOWLEDGED] = one->unacknowledged;
        all[RATES_MESSAGES] = one->messages;
        take(r, one->kind, one->kind == SAMPLE_BROKER ? 0 : one->id, s->now_ms, all);
    }
}

void rates_take_node(struct rates *r, uint64_t now_ms, const uint64_t values[RATES_COLUMNS])
{
    take(r, RATES_NODE, 0, now_ms, values);
}

/* ---- Rounds. */

struct rates *rates_create(uint64_t interval_ms, uint64_t epoch_ms)
{
    struct rates *r = alloc_zeroed(sizeof *r);
    map_init(&r->objects);
    list_init(&r->by_change);
    pool_init(&r->lasting, RATES_LASTING_MAX, RATES_LASTING_BYTES_MAX);
    pool_init(&r->others, RATES_HISTORIES_MAX, RATES_HISTORY_BYTES_MAX);
    r->interval_ms = interval_ms;
    r->epoch_ms = epoch_ms;
    return r;
}

void rates_destroy(struct rates *r)
{
    if (r == NULL)
        return;
    struct rates_object *o;
    list_each (o, &r->by_change, struct rates_object, by_change)
        forget(r, o);
    map_fini(&r->objects);
    free(r);
}

void rates_forget_histories(struct rates *r)
{
    struct rates_object *o;
    list_each (o, &r->by_change, struct rates_object, by_change)
        forget_history(r, o);
}

void rates_begin(struct rates *r, uint64_t now_ms)
{
    r->before_ms = r->round > 0 ? r->begun_ms : now_ms;
    r->begun_ms = now_ms;
    r->round++;
}

void rates_end(struct rates *r)
{
    r->ended = r->round;
    struct rates_object *o;
    list_each (o, &r->by_change, struct rates_object, by_change) {
        if (r->objects.count <= RATES_OBJECTS_MAX && r->begun_ms <= o->sampled_ms + RATES_IDLE_MS)
            break;
        forget(r, o);
    }
}

/* ---- What is known. */

const struct rates_object *rates_find(const struct rates *r, unsigned kind, uint64_t id)
{
    return find(r, kind, id);
}

uint64_t rates_value(const struct rates_object *o, uint64_t columns)
{
    uint64_t sum = 0;
    columns &= columns_of[o->kind];
    for (; columns != 0; columns &= columns - 1)
        sum += o->values[place_of(o->kind, (unsigned)__builtin_ctzll(columns))];
    return sum;
}

double rates_of(const struct rates *r, const struct rates_object *o, uint64_t columns, uint64_t now_ms)
{
    if (o == NULL || !o->has_two || o->sampled_ms <= o->before_ms)
        return 0.0;
    uint64_t rounds_since = r->ended > o->round ? r->ended - o->round : 0;
    if (rounds_since > (o->kind == SAMPLE_CONNECTION) || now_ms > r->begun_ms + 2 * r->interval_ms + MS_PER_S)
        return 0.0;
    double rise = 0.0;
    size_t n = width_of(o->kind);
    for (columns &= columns_of[o->kind]; columns != 0; columns &= columns - 1) {
        unsigned column = (unsigned)__builtin_ctzll(columns), place = place_of(o->kind, column);
        int64_t change = (int64_t)(o->values[place] - o->values[n + place]);
        if (change > 0 || (levels & RATES_BIT(column)) != 0)
            rise += (double)change;
    }
    return rise * MS_PER_S / (double)(o->sampled_ms - o->before_ms);
}

/* The finest ring that has a slot for the oldest still. */
static unsigned ring_for(unsigned kind, uint64_t oldest_ms, uint64_t newest_ms)
{
    unsigned i = 0;
    while (i + 1 < rings_of(kind) && newest_ms / rings[i].width_ms - oldest_ms / rings[i].width_ms >= rings[i].slots)
        i++;
    return i;
}

// NOLINTNEXTLINE(readability-function-size): a history, what is asked of it, and when
void rates_read(const struct rates *r, const struct rates_object *o, uint64_t columns, uint64_t now,
                struct rates_range range, uint64_t now_ms, struct rates_samples *to)
{
    uint64_t step_ms = (uint64_t)range.incr_s * MS_PER_S;
    to->n = 0;
    if (range.incr_s == 0)
        return;
    to->n = range.age_s / range.incr_s + 1;
    CHECK(to->n <= RATES_SAMPLES_MAX);
    to->at_ms = (now_ms + r->epoch_ms) / step_ms * step_ms;
    for (unsigned i = 0; i < to->n; i++)
        to->values[i] = o == NULL ? now : 0;
    if (o == NULL)
        return;
    uint64_t span_ms = (to->n - 1) * step_ms, oldest_ms = to->at_ms > span_ms ? to->at_ms - span_ms : 0;
    unsigned ring = ring_for(o->kind, oldest_ms, now_ms + r->epoch_ms);
    for (columns &= columns_of[o->kind]; columns != 0; columns &= columns - 1) {
        unsigned place = place_of(o->kind, (unsigned)__builtin_ctzll(columns));
        for (unsigned i = 0; i < to->n; i++)
            to->values[i] += value_at(o, place, ring, to->at_ms > i * step_ms ? to->at_ms - i * step_ms : 0);
    }
}

uint64_t rates_idle_since(const struct rates *r, const struct rates_object *o)
{
    return r->ended > o->round ? o->sampled_ms + r->epoch_ms : 0;
}

struct rates_size rates_size(const struct rates *r)
{
    return (struct rates_size){.objects = r->objects.count,
                               .histories = r->lasting.n + r->others.n,
                               .bytes = r->lasting.bytes + r->others.bytes + r->object_bytes};
}
