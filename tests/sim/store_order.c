/* The log in the order in which the store writes it: what found no room comes behind what has overtaken it.  The store
 * says which records are stuck; what that means for all others is worked out here, the naive way. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/sim/marks.h"
#include "tests/sim/store_world.h"

struct order {
    const struct stuck *stuck;
    struct naive_record *written, *late; /* owned */
    size_t n_written, n_late;
};

/* It was stuck, and came to nothing. */
static bool was_dropped(const struct stuck *k, const struct stuck_record *r)
{
    bool is_dropped = r->places > 0;
    for (uint32_t i = 0; i < r->places; i++)
        is_dropped &= k->places[r->first_place + i].is_gone;
    return is_dropped;
}

static bool is_stuck(const struct order *o, const struct naive_record *r)
{
    for (size_t i = 0; i < o->stuck->n; i++) {
        const struct stuck_record *k = &o->stuck->records[i];
        if (k->position != r->position)
            continue;
        bool is_late = i >= o->stuck->next && k->record.kind != RECORD_LOAD;
        return is_late || (r->kind == RECORD_PUBLISH && !r->tx && was_dropped(o->stuck, k));
    }
    return false;
}

static struct naive_record *late_with(const struct order *o, struct place at, uint32_t *place)
{
    for (size_t i = 0; i < o->n_late; i++)
        for (uint32_t k = 0; k < o->late[i].n_places; k++)
            if (o->late[i].places[k].queue == at.queue && o->late[i].places[k].position == at.position) {
                *place = k;
                return &o->late[i];
            }
    return NULL;
}

/* Takes the message from a record that is stuck.  A letter that nobody wants any more settles what it has replaced. */
static void settle(struct order *o, struct naive_record r)
{
    struct naive_record *late;
    uint32_t k;
    while ((late = late_with(o, r.at, &k)) != NULL) {
        mark_hit(MARK_stuck_settled);
        memmove(late->places + k, late->places + k + 1, (--late->n_places - k) * sizeof *late->places);
        if (late->n_places > 0 || late->tx)
            return;
        late->kind = RECORD_LOAD;
        if (late->at.queue == 0)
            return;
        mark_hit(MARK_stuck_letter);
        r.at = late->at;
    }
    r.kind = RECORD_SETTLE;
    o->written[o->n_written++] = r;
}

/* Those at positions in [from, to). */
static void settle_from(struct order *o, const struct naive_record *r, uint64_t queue, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < o->n_late; i++)
        for (uint32_t k = 0; k < o->late[i].n_places; k++)
            if (o->late[i].places[k].queue == queue && o->late[i].places[k].position >= from &&
                o->late[i].places[k].position < to) {
                struct naive_record s = {
                    .kind = RECORD_SETTLE, .tx = r->tx, .position = r->position, .at = o->late[i].places[k]};
                settle(o, s);
                k = (uint32_t)-1; /* they have moved */
            }
}

/* What came or went while the message was stuck is written behind it, or behind its transaction. */
static void put_behind(struct order *o, size_t i, const struct naive_record *r)
{
    while (o->late[i].tx)
        i++;
    for (i++; i < o->n_late && !is_stuck(o, &o->late[i]); i++)
        continue;
    memmove(o->late + i + 1, o->late + i, (o->n_late++ - i) * sizeof *o->late);
    o->late[i] = *r;
}

static void write_one(struct order *o, const struct naive_record *r)
{
    uint32_t k;
    const struct naive_record *late = NULL;
    if (r->kind == RECORD_DELIVER || r->kind == RECORD_RETURN)
        late = late_with(o, r->at, &k);
    if (late != NULL) {
        put_behind(o, (size_t)(late - o->late), r);
        return;
    }
    if (r->kind == RECORD_SETTLE) {
        settle(o, *r);
        return;
    }
    o->written[o->n_written++] = *r;
    if (r->kind == RECORD_PURGE)
        settle_from(o, r, r->at.queue, r->at.position, UINT64_MAX);
    if (r->kind == RECORD_TRIM)
        settle_from(o, r, r->at.queue, 0, r->at.position);
    if (r->kind == RECORD_UNDEFINE && r->definition.what == DEFINE_QUEUE)
        settle_from(o, r, r->definition.queue, 0, UINT64_MAX);
}

/* Of the first record that the store has not looked at. */
static uint64_t first_waiting(const struct store *s)
{
    return s->n_waiting == 0 ? UINT64_MAX : s->waiting[0].last - s->waiting[0].n + s->next_record + 1;
}

static size_t places_in(const struct world *w)
{
    size_t n = w->n_log;
    for (size_t i = 0; i < w->n_log; i++)
        n += w->log[i].n_places;
    return n;
}

void world_order(struct world *w)
{
    struct order o = {.stuck = &w->store->stuck};
    uint64_t end = first_waiting(w->store);
    size_t room = 2 * places_in(w) + 1, i = 0;
    if (o.stuck->n == 0)
        return;
    o.written = alloc_array(NULL, room, sizeof *o.written);
    o.late = alloc_array(NULL, room, sizeof *o.late);
    for (; i < w->n_log && w->log[i].position < end; i++)
        if (is_stuck(&o, &w->log[i])) {
            o.late[o.n_late++] = w->log[i];
            mark_hit(w->log[i].kind == RECORD_PUBLISH || w->log[i].tx ? MARK_stuck : MARK_stuck_held);
        } else {
            if (o.n_late > 0)
                mark_hit(MARK_overtaken);
            write_one(&o, &w->log[i]);
        }
    for (size_t k = 0; k < o.n_late; k++)
        o.written[o.n_written++] = o.late[k];
    for (; i < w->n_log; i++)
        o.written[o.n_written++] = w->log[i];
    CHECK(o.n_written <= room);
    free(w->log);
    free(o.late);
    w->log = o.written;
    w->n_log = o.n_written;
    w->log_room = room;
}
