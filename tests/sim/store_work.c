/* What the model would have remembered: records in an order that it could emit. */
#include <string.h>

#include "base/check.h"
#include "broker/port/message.h"
#include "tests/sim/marks.h"
#include "tests/sim/store_world.h"
#include "tests/sim/verdict.h"

static uint32_t below(struct world *w, uint32_t n)
{
    return rng_below(&w->rng, n);
}

static bool one_in(struct world *w, uint32_t n)
{
    return rng_one_in(&w->rng, n);
}

/* ---- Records. */

/* Counts and remembers it; the sheaf's record is the caller's to fill. */
static struct record *emit(struct world *w, struct naive_record *r)
{
    struct record *to = sheaf_add(&w->draft, r->kind);
    r->position = ++w->position;
    r->wall_ms = w->wall_ms;
    to->tx = r->tx;
    to->at = r->at;
    world_remember(w, r);
    return to;
}

static struct letter new_letter(struct world *w)
{
    struct letter l = {.number = ++w->letters};
    uint32_t kind = below(w, 400);
    if (kind < 20)
        l.size = 0;
    else if (kind < 370 || w->is.bodies == 0)
        l.size = below(w, 400);
    else if (kind < 398 || w->is.bodies == 1)
        l.size = below(w, 9000);
    else if (kind < 399 || w->is.bodies == 2)
        l.size = below(w, 80000);
    else
        l.size = below(w, 300000);
    if (l.size > 64 << 10)
        mark_hit(MARK_big_item);
    return l;
}

static void publish(struct world *w, const uint64_t *queues, uint32_t n, struct place at, bool tx)
{
    struct letter l = new_letter(w);
    struct place places[QUEUES];
    for (uint32_t i = 0; i < n; i++) {
        const struct naive_queue *q = naive_find(&w->now, queues[i]);
        uint64_t next = q != NULL && q->next_position > 0 ? q->next_position : 1;
        places[i] = (struct place){
            .queue = queues[i], .position = next + (one_in(w, 20) ? below(w, 5) : 0), .ttl_ms = letter_ttl(l)};
    }
    struct naive_record r = {.kind = RECORD_PUBLISH, .tx = tx, .at = at, .letter = l, .places = places, .n_places = n};
    struct record *to = emit(w, &r);
    to->msg = letter_message(l);
    for (uint32_t i = 0; i < n; i++)
        sheaf_place(&w->draft, places[i]);
}

static void simple(struct world *w, enum record_kind kind, struct place at, bool tx)
{
    struct naive_record r = {.kind = (uint8_t)kind, .tx = tx, .at = at};
    emit(w, &r);
}

static void define(struct world *w, enum record_kind kind, struct naive_definition d, bool tx)
{
    char key[16], value[16];
    struct naive_record r = {.kind = (uint8_t)kind, .definition = d, .tx = tx};
    struct record *to = emit(w, &r);
    to->tx = tx;
    struct bytes none = {0};
    to->definition = definition_create(d.what, d.queue, d.key == 0 ? none : naive_text(key, 'n', d.key),
                                       kind == RECORD_UNDEFINE ? none : naive_text(value, 'v', d.value));
}

/* ---- What to do. */

static struct naive_queue *any_queue(struct world *w)
{
    return w->now.n_queues == 0 ? NULL : &w->now.queues[below(w, (uint32_t)w->now.n_queues)];
}

/* Mostly near the front. */
static struct naive_entry *any_entry(struct world *w, struct naive_queue *q)
{
    if (q == NULL || q->n == 0)
        return NULL;
    uint32_t n = (uint32_t)q->n;
    struct naive_entry *e = &q->entries[one_in(w, 4) ? below(w, n) : below(w, n < 4 ? n : 4)];
    bool is_pinned = q->id == w->pinned_queue && e->position == w->pinned_position;
    return is_pinned ? NULL : e;
}

static struct place place_of(const struct naive_queue *q, const struct naive_entry *e, bool with_bytes)
{
    return (struct place){.queue = q->id, .position = e->position, .bytes = with_bytes ? e->letter.size : 0};
}

static uint64_t new_queue(struct world *w)
{
    uint64_t id = w->queues++;
    if (one_in(w, 4)) /* transient: known by what is in it */
        return id;
    define(w, RECORD_DEFINE,
           (struct naive_definition){.what = DEFINE_QUEUE, .queue = id, .key = (uint32_t)id, .value = below(w, 1000)},
           false);
    return id;
}

static void define_any(struct world *w, bool tx)
{
    static const enum definition_class classes[] = {DEFINE_VHOST, DEFINE_EXCHANGE,   DEFINE_BINDING,
                                                    DEFINE_USER,  DEFINE_PERMISSION, DEFINE_PARAMETER};
    struct naive_definition d = {
        .what = classes[below(w, sizeof classes / sizeof classes[0])], .key = 1 + below(w, 6), .value = below(w, 1000)};
    bool is_there = false;
    for (size_t i = 0; i < w->now.n_definitions; i++)
        is_there |= w->now.definitions[i].what == d.what && w->now.definitions[i].key == d.key;
    define(w, is_there && one_in(w, 2) ? RECORD_UNDEFINE : RECORD_DEFINE, d, tx);
}

/* What an administrator changes: all of it or nothing. */
static void do_alter(struct world *w)
{
    for (uint32_t n = 1 + below(w, 6); n > 0; n--)
        define_any(w, true);
    simple(w, RECORD_COMMIT, (struct place){0}, false);
}

static void do_define(struct world *w)
{
    const struct naive_queue *q = any_queue(w);
    if (q != NULL && q->is_defined && one_in(w, 3)) { /* again, changed */
        define(w, RECORD_DEFINE,
               (struct naive_definition){
                   .what = DEFINE_QUEUE, .queue = q->id, .key = (uint32_t)q->id, .value = below(w, 1000)},
               false);
        return;
    }
    define_any(w, false);
}

static void do_undefine(struct world *w)
{
    const struct naive_queue *q = any_queue(w);
    if (q == NULL || q->id == w->pinned_queue)
        return;
    define(w, RECORD_UNDEFINE,
           (struct naive_definition){.what = DEFINE_QUEUE, .queue = q->id, .key = q->is_defined ? (uint32_t)q->id : 0},
           false);
}

static void do_publish(struct world *w, bool tx)
{
    uint64_t to[QUEUES];
    uint32_t n = 0, want = one_in(w, 5) ? 1 + below(w, 4) : 1;
    if (w->now.n_queues < QUEUES && (w->now.n_queues == 0 || one_in(w, 40)) && !tx)
        to[n++] = new_queue(w);
    for (size_t i = 0, from = below(w, QUEUES); i < w->now.n_queues && n < want; i++) {
        uint64_t id = w->now.queues[(from + i) % w->now.n_queues].id;
        if (n == 0 || to[0] != id)
            to[n++] = id;
    }
    if (n > 0)
        publish(w, to, n, (struct place){0}, tx);
}

static void do_letter(struct world *w, bool tx)
{
    struct naive_queue *q = any_queue(w);
    const struct naive_entry *e = any_entry(w, q);
    const struct naive_queue *to = any_queue(w);
    if (e == NULL)
        return;
    uint64_t queue = to->id;
    publish(w, &queue, 1, place_of(q, e, true), tx);
    mark_hit(MARK_letter_moved);
}

static void do_settle(struct world *w, bool tx)
{
    struct naive_queue *q = any_queue(w);
    uint32_t n = one_in(w, 3) ? 1 + below(w, 20) : 1;
    while (n-- > 0) {
        const struct naive_entry *e = any_entry(w, q);
        if (e != NULL)
            simple(w, RECORD_SETTLE, place_of(q, e, true), tx);
    }
}

static void do_deliver(struct world *w)
{
    struct naive_queue *q = any_queue(w);
    const struct naive_entry *e = any_entry(w, q);
    if (e != NULL)
        simple(w, e->is_out ? RECORD_RETURN : RECORD_DELIVER, place_of(q, e, false), false);
}

static void do_purge(struct world *w)
{
    const struct naive_queue *q = any_queue(w);
    if (q == NULL || q->n == 0 || q->id == w->pinned_queue)
        return;
    uint64_t from = q->entries[below(w, (uint32_t)q->n)].position;
    if (one_in(w, 2)) {
        simple(w, RECORD_TRIM, (struct place){.queue = q->id, .position = one_in(w, 9) ? UINT64_MAX : from}, false);
        mark_hit(MARK_trimmed);
        return;
    }
    simple(w, RECORD_PURGE, (struct place){.queue = q->id, .position = one_in(w, 3) ? 0 : from}, false);
}

void work_ask(struct world *w, struct naive_queue *q)
{
    if (q == NULL || w->n_asks == ASKS)
        return;
    for (size_t i = 0; i < w->n_asks; i++)
        if (w->asks[i].queue == q->id)
            return;
    struct naive_record r = {.kind = RECORD_LOAD, .at = {.queue = q->id}};
    if (q->n > 0 && one_in(w, 2))
        r.at.position = q->entries[below(w, (uint32_t)q->n)].position + below(w, 2);
    struct record *to = emit(w, &r);
    to->load.messages_max = one_in(w, 3) ? 1 + below(w, 5) : 1 + below(w, 400);
    to->load.bytes_max = one_in(w, 3) ? 1 + below(w, 3000) : 1 << 20;
    w->asks[w->n_asks++] = (struct ask){
        .queue = q->id, .from = r.at.position, .messages_max = to->load.messages_max, .bytes_max = to->load.bytes_max};
}

static void do_tx(struct world *w)
{
    uint64_t before = w->position;
    uint32_t n = 1 + below(w, 8);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t what = below(w, 8);
        if (what < 4 && w->may_publish)
            do_publish(w, true);
        else if (what == 4 && w->may_publish)
            do_letter(w, true);
        else
            do_settle(w, true);
    }
    if (w->position > before)
        simple(w, RECORD_COMMIT, (struct place){0}, false);
}

static void do_something(struct world *w)
{
    if (w->may_publish && below(w, 100) < w->is.publish_odds) {
        do_publish(w, false);
        return;
    }
    uint32_t what = below(w, 100);
    if (what < 40)
        do_settle(w, false);
    else if (what < 70)
        do_deliver(w);
    else if (what < 78 && w->may_publish)
        do_letter(w, false);
    else if (what < 84)
        do_tx(w);
    else if (what < 94)
        work_ask(w, any_queue(w));
    else if (what < 96)
        do_purge(w);
    else if (what < 98)
        do_define(w);
    else if (what < 99)
        do_alter(w);
    else
        do_undefine(w);
}

static void send(struct world *w)
{
    if (w->draft.n == 0)
        return;
    w->draft.last = w->position;
    w->draft.wall_ms = w->wall_ms;
    world_append(w, &w->draft);
}

void work_append(struct world *w)
{
    w->wall_ms += below(w, 50);
    uint32_t n = 1 + below(w, w->is.records_max);
    for (uint32_t i = 0; i < n; i++)
        do_something(w);
    send(w);
}

void work_settle_all(struct world *w, bool but_pinned)
{
    for (size_t i = 0; i < w->now.n_queues; i++)
        for (struct naive_queue *q = &w->now.queues[i]; q->n > 0;) {
            size_t k = q->n - 1;
            bool is_pinned = but_pinned && q->id == w->pinned_queue && q->entries[k].position == w->pinned_position;
            if (is_pinned && q->n == 1)
                break;
            simple(w, RECORD_SETTLE, place_of(q, &q->entries[is_pinned ? k - 1 : k], true), false);
        }
    send(w);
}

void work_thin_out(struct world *w)
{
    struct naive_queue *q = any_queue(w);
    for (size_t i = 0; q != NULL && i < q->n;)
        if (rng_below(&w->rng, 3) > 0)
            simple(w, RECORD_SETTLE, place_of(q, &q->entries[i], true), false);
        else
            i++;
    send(w);
}

void work_traffic(struct world *w)
{
    for (unsigned i = 0; i < 20; i++) {
        do_publish(w, false);
        do_deliver(w);
    }
    send(w);
}
