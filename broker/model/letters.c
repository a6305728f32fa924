#include "broker/model/letters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/carry.h"
#include "broker/model/cold.h"
#include "broker/model/deadletter.h"
#include "broker/model/exchange.h"
#include "broker/model/obituary.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"

#define BOX_PREFIX "amq.letters."
enum { BOX_NAME_MAX = sizeof BOX_PREFIX + 20 };

void letters_state_init(struct letters_state *s)
{
    *s = (struct letters_state){0};
    list_init(&s->boxes);
    list_init(&s->orphans);
}

void letters_state_fini(struct broker *b)
{
    struct queue *box;
    list_each (box, &b->letters.orphans, struct queue, in_letters)
        queue_delete(b, box);
}

bool letters_must_arrive(const struct queue *q)
{
    const struct queue_options *o = q->options;
    return o->at_least_once && o->has_dead_letter_exchange && o->overflow == OVERFLOW_REJECT_PUBLISH;
}

uint64_t letters_count(const struct queue *q)
{
    return q->letters != NULL ? q->letters->ready_count : 0;
}

uint64_t letters_bytes(const struct queue *q)
{
    return q->letters != NULL ? q->letters->ready_bytes : 0;
}

/* ---- The box. */

static bool box_publish(struct broker *b, struct queue *q, struct message *msg)
{
    return queue_ordinary.publish(b, q, msg);
}

static uint64_t box_purge(struct broker *b, struct queue *q)
{
    return queue_ordinary.purge(b, q);
}

/* Nobody finds it who could ask. */
static char *box_refuse(const struct queue *q, enum verb verb, const struct spec *spec, uint32_t limit,
                        enum reason *reason)
{
    return queue_ordinary.refuse(q, verb, spec, limit, reason);
}

static void box_clean(struct broker *b, struct queue *box);

const struct queue_kind queue_of_letters = {
    .publish = box_publish,
    .clean = box_clean,
    .purge = box_purge,
    .refuse = box_refuse,
};

static struct bytes box_name(char *room, const struct queue *q)
{
    int n = snprintf(room, BOX_NAME_MAX, BOX_PREFIX "%llu", (unsigned long long)q->id);
    return bytes_of(room, (size_t)n);
}

static void box_join(struct queue *q, struct queue *box)
{
    CHECK(q->letters == NULL && box->letters_of == NULL);
    q->letters = box;
    box->letters_of = q;
}

static struct queue *box_make(struct broker *b, struct vhost *v, const struct spec *spec, uint64_t id)
{
    struct queue *box = queue_create(b, v, spec, NULL, id);
    box->kind = &queue_of_letters;
    queue_judge(box);
    return box;
}

static struct queue *box_create(struct broker *b, struct queue *q)
{
    char name[BOX_NAME_MAX];
    const struct spec spec = {
        .name = box_name(name, q), .durable = q->spec->durable, .hidden = true, .options = QUEUE_OPTIONS_NONE};
    struct queue *box = box_make(b, q->vhost, &spec, b->next_queue_id++);
    box_join(q, box);
    remember_queue(b, RECORD_DEFINE, box);
    return box;
}

bool letters_is_box(const struct spec *spec)
{
    return spec->hidden && bytes_start_with(spec->name, BYTES(BOX_PREFIX));
}

static bool is_box_of(const struct queue *box, const struct queue *q)
{
    char name[BOX_NAME_MAX];
    return q->vhost == box->vhost && bytes_equal(box->name, box_name(name, q));
}

void letters_restore(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec)
{
    struct queue *box = box_make(b, v, spec, id);
    uint64_t number = 0;
    for (size_t i = sizeof BOX_PREFIX - 1; i < spec->name.len; i++)
        number = number * 10 + (uint64_t)(spec->name.at[i] - '0');
    struct queue *q = queue_find_by_id(b, number);
    if (q != NULL && q->letters == NULL && is_box_of(box, q))
        box_join(q, box);
    else
        list_append(&b->letters.orphans, &box->in_letters);
}

void letters_adopt(struct broker *b, struct queue *q)
{
    struct queue *box;
    list_each (box, &b->letters.orphans, struct queue, in_letters)
        if (q->letters == NULL && is_box_of(box, q)) {
            list_remove(&box->in_letters);
            box_join(q, box);
        }
}

void letters_begin(struct broker *b, struct queue *box)
{
    if (box->letters_of == NULL)
        return;
    if (!link_is_linked(&box->in_letters))
        list_append(&b->letters.boxes, &box->in_letters);
    box->letters_looks = LETTERS_LOOKED;
    wakeup_set(b, &box->expiry, b->now.ms);
}

void letters_delete(struct broker *b, struct queue *q)
{
    struct queue *box = q->letters;
    list_remove(&q->in_letters); /* it may be one itself */
    if (box == NULL)
        return;
    q->letters = NULL;
    box->letters_of = NULL;
    queue_delete(b, box);
}

void letters_judge(struct broker *b, struct queue *q)
{
    if (letters_count(q) > 0 && !letters_must_arrive(q))
        queue_purge(b, q->letters);
    if (letters_count(q) > 0)
        letters_begin(b, q->letters);
    if (q->is_awaited)
        letters_find_room(b, q);
}

/* ---- One letter. */

/* Where it goes, and whether all of it can. */
struct way {
    struct route *route;
    struct queue *full; /* the first that refuses it, or NULL */
    bool is_open;
};

/* A queue that the rule against cycles keeps it out of has had it: that is no reason to wait. */
static void drop_cycles(struct route *r, const struct message *letter)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (obituary_allows(message_properties(letter), message_deaths(letter), r->queues[i]->name))
            r->queues[n++] = r->queues[i];
    r->n = n;
}

static struct way find_way(struct broker *b, struct exchange *x, struct message *letter)
{
    struct routing routing = {.key = message_key(letter), .extra_keys = message_extra_keys(letter), .msg = letter};
    struct way w = {.route = &b->route};
    routing.is_held = true; /* it may be tried again and again */
    route_message(b, x, &routing);
    bool goes_somewhere = w.route->n > 0;
    drop_cycles(w.route, letter);
    w.is_open = goes_somewhere && carry_has_room(w.route->queues, w.route->n, letter, &w.full);
    return w;
}

/* Sends the letter that was written for the entry, which is on no list then; takes it.  False: it cannot go, nothing
 * has changed; *full as in struct way. */
static bool send(struct broker *b, struct entry *e, struct message *letter, struct exchange *x, struct queue **full)
{
    struct way w = find_way(b, x, letter);
    *full = w.full;
    if (!w.is_open) {
        message_unref(letter);
        return false;
    }
    if (e->state != ENTRY_DYING)
        queue_take_out(b, e->queue, e);
    statistics_letter(b, x, 1, w.route->n);
    if (observer_is_on(b))
        observer_letter(b, e, letter, w.route->queues, w.route->n);
    (e->queue->letters_of != NULL ? e->queue->letters_of : e->queue)->tally->letters_arrived++;
    carry_over(b, e, letter, w.route->queues, w.route->n);
    return true;
}

static void wait_for_room(struct queue *box, struct queue *full)
{
    box->waits_for = full != NULL ? full->id : 0;
    if (full != NULL)
        full->is_awaited = true;
}

void letters_send(struct broker *b, struct entry *e)
{
    struct queue *q = e->queue, *full = NULL;
    struct exchange *x = letters_count(q) < LETTERS_LOOKED ? deadletter_exchange(b, q, e->msg) : NULL;
    if (x != NULL && send(b, e, deadletter_write(b, e, x), x, &full))
        return;
    struct queue *box = q->letters != NULL ? q->letters : box_create(b, q);
    bool is_first = box->ready_count == 0;
    carry_over(b, e, deadletter_describe(b, e), &box, 1);
    if (!is_first)
        return;
    if (!link_is_linked(&box->in_letters))
        list_append(&b->letters.boxes, &box->in_letters);
    wait_for_room(box, full);
    box->letters_looks = LETTERS_LOOKED;
    wakeup_set(b, &box->expiry, b->now.ms + LETTERS_RETRY_MS);
}

/* ---- Those that wait. */

/* Tries them from the first on, until so many could not go. */
static void box_try(struct broker *b, struct queue *box)
{
    struct queue *q = box->letters_of, *full;
    struct entry *e;
    unsigned stuck = 0;
    list_each (e, ready_list(&box->ready, 0), struct entry, in_queue) {
        if (stuck == box->letters_looks || b->deaths_left == 0)
            break;
        struct exchange *x = deadletter_exchange(b, q, e->msg);
        full = NULL;
        if (x != NULL && send(b, e, deadletter_address(q, e->msg, x), x, &full)) {
            b->deaths_left--;
            continue;
        }
        if (stuck++ == 0)
            wait_for_room(box, full);
    }
    bool is_cut = b->deaths_left == 0 && stuck < box->letters_looks;
    box->letters_looks = LETTERS_LOOKED;
    wakeup_set(b, &box->expiry, is_cut ? b->now.ms : b->now.ms + LETTERS_RETRY_MS);
}

static void box_clean(struct broker *b, struct queue *box)
{
    struct queue *q = box->letters_of;
    uint64_t before = box->ready_count;
    if (q == NULL)
        return;
    if (before > 0)
        box_try(b, box);
    if (box->cold.count > 0)
        cold_look(b, box);
    if (box->ready_count == 0) {
        list_remove(&box->in_letters);
        wakeup_set(b, &box->expiry, UINT64_MAX);
    }
    if (box->ready_count < before && q->is_awaited)
        letters_find_room(b, q);
}

bool letters_are_due(const struct broker *b)
{
    const struct letters_state *s = &b->letters;
    return s->version != b->topology_version && !list_is_empty(&s->boxes) &&
           b->now.ms >= s->swept_ms + LETTERS_SWEEP_MS;
}

uint64_t letters_deadline(const struct broker *b)
{
    const struct letters_state *s = &b->letters;
    return s->version != b->topology_version && !list_is_empty(&s->boxes) ? s->swept_ms + LETTERS_SWEEP_MS : UINT64_MAX;
}

void letters_sweep(struct broker *b)
{
    struct queue *box;
    b->letters.version = b->topology_version;
    b->letters.swept_ms = b->now.ms;
    unsigned n = 0;
    list_each (box, &b->letters.boxes, struct queue, in_letters)
        if (n++ < LETTERS_SWEPT)
            queue_mark_dirty(b, box);
        else
            wakeup_set(b, &box->expiry, b->now.ms + n / LETTERS_SWEPT);
}

void letters_find_room(struct broker *b, struct queue *q)
{
    struct queue *box;
    q->is_awaited = false;
    list_each (box, &b->letters.boxes, struct queue, in_letters)
        if (box->waits_for == q->id) {
            box->letters_looks = 1;
            queue_mark_dirty(b, box);
        }
}

void letters_check(const struct broker *b, const struct queue *box)
{
    const struct queue *q = box->letters_of;
    CHECK(box->spec->hidden && box->kind == &queue_of_letters && box->out_count == 0 && box->consumer_count == 0);
    CHECK(q == NULL || (q->letters == box && q->vhost == box->vhost && !q->gone));
    CHECK(q == NULL || box->ready_count == 0 || link_is_linked(&box->in_letters) || b->position == 0);
    CHECK(q == NULL || box->ready_count == 0 || heap_has(&box->expiry.node) || b->position == 0);
}
