/* From records to items: encodes them into the open group and applies them to the image.  Publishes that find no room
 * are set aside (stuck.h), and what makes room overtakes them. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/port/message.h"
#include "broker/store/need.h"
#include "broker/store/state.h"

/* Ends the runs of settles and their kin that were gathered. */
static enum store_verdict put_runs(struct store *s, uint8_t flags)
{
    struct {
        struct run_writer *w;
        enum item_type type;
    } all[] = {{&s->delivers, ITEM_DELIVER}, {&s->returns, ITEM_RETURN}, {&s->settles, ITEM_SETTLE}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct bytes meta = run_end(all[i].w);
        if (meta.len == 0)
            continue;
        enum store_verdict v = journal_put_meta(s, all[i].type, flags, meta);
        if (v != STORE_FINE)
            return v;
        run_clear(all[i].w);
    }
    return STORE_FINE;
}

static void publish_image(struct store *s, const struct record *r, const struct place *places, uint64_t offset)
{
    if (r->at.queue != 0)
        image_settle(&s->image, r->at.queue, r->at.position);
    for (uint32_t i = 0; i < r->places; i++) {
        const struct spot spot = {.position = places[i].position,
                                  .segment = (uint32_t)s->open->number,
                                  .offset = (uint32_t)(offset / FORMAT_ALIGN),
                                  .bytes = (uint32_t)r->msg->body_size};
        image_publish(&s->image, places[i].queue, &spot);
    }
}

static enum store_verdict put_publish(struct store *s, const struct record *r, const struct place *places)
{
    enum { STACK = 512 };
    uint8_t stack[STACK];
    size_t room = MESSAGE_META_MAX + (size_t)r->places * PLACE_META_MAX;
    uint8_t *scratch = room <= STACK ? stack : alloc(room);
    struct message_meta m;
    message_meta_of(&m, r->msg, s->wall_ms);
    m.transient = r->transient;
    m.replaces = r->at;
    m.n_places = r->places;
    struct pen p = pen_over(scratch, room);
    message_meta_write(&p, &m);
    for (uint32_t i = 0; i < r->places; i++)
        place_write(&p, &places[i]);
    struct bytes meta = pen_written(&p);
    size_t body = message_item_body_size(r->msg);
    enum store_verdict v;
    uint64_t size = item_size(meta.len, body);
    v = s->in_tx ? STORE_FINE : journal_spare(s, size); /* a transaction has its room */
    uint8_t *to = v == STORE_FINE ? journal_room(s, size, &v) : NULL;
    if (to != NULL) {
        uint64_t offset = s->buffer_at + s->buffered;
        uint32_t crc;
        memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
        message_item_body_write(to + FORMAT_ITEM_HEADER + meta.len, r->msg, &crc);
        journal_put(s, ITEM_MESSAGE, r->tx ? ITEM_TX : 0, meta.len, body, crc);
        s->is_awaited = true;
        publish_image(s, r, places, offset);
    }
    if (scratch != stack)
        free(scratch);
    return v;
}

static enum store_verdict put_definition(struct store *s, const struct record *r)
{
    const struct definition *d = r->definition;
    enum store_verdict v;
    size_t size = definition_size(d);
    uint8_t *to = journal_room(s, item_size(size, 0), &v);
    if (to == NULL)
        return v;
    struct pen p = pen_over(to + FORMAT_ITEM_HEADER, size);
    definition_write(&p, d);
    journal_put(s, r->kind == RECORD_DEFINE ? ITEM_DEFINE : ITEM_UNDEFINE, r->tx ? ITEM_TX : 0, pen_written(&p).len, 0,
                0);
    s->is_awaited = true;
    if (r->kind == RECORD_DEFINE)
        image_define(&s->image, d->what, d->queue, d->key, d->value);
    else
        image_undefine(&s->image, d->what, d->queue, d->key);
    return STORE_FINE;
}

/* PURGE and TRIM. */
static enum store_verdict put_purge(struct store *s, const struct record *r)
{
    bool is_trim = r->kind == RECORD_TRIM;
    uint8_t meta[2 * VARINT_MAX];
    struct pen p = pen_over(meta, sizeof meta);
    pen_varint(&p, r->at.queue);
    pen_varint(&p, r->at.position);
    s->is_awaited = true;
    enum store_verdict v = journal_put_meta(s, is_trim ? ITEM_TRIM : ITEM_PURGE, r->tx ? ITEM_TX : 0, pen_written(&p));
    if (v == STORE_FINE)
        (is_trim ? image_trim : image_purge)(&s->image, r->at.queue, r->at.position);
    return v;
}

static void keep_load(struct store *s, const struct record *r)
{
    if (s->n_loads == s->loads_room) {
        s->loads_room = alloc_grown(s->loads_room, s->n_loads + 1);
        s->loads = alloc_array(s->loads, s->loads_room, sizeof *s->loads);
    }
    s->loads[s->n_loads++] = *r;
}

static enum store_verdict put_commit(struct store *s)
{
    enum store_verdict v = put_runs(s, ITEM_TX);
    if (v == STORE_FINE)
        v = journal_put_meta(s, ITEM_COMMIT, 0, (struct bytes){0});
    if (v == STORE_FINE)
        s->in_tx = false;
    s->is_awaited = true;
    return v;
}

static bool is_fate(const struct record *r)
{
    return r->kind == RECORD_SETTLE || r->kind == RECORD_DELIVER || r->kind == RECORD_RETURN;
}

static enum store_verdict put_record(struct store *s, const struct record *r, const struct place *places)
{
    enum store_verdict v;
    /* An item has its limit, and a segment; runs may be long, of messages that are not neighbours. */
    if (is_fate(r) && (s->settles.len > RUNS_BYTES || s->delivers.len > RUNS_BYTES || s->returns.len > RUNS_BYTES)) {
        v = put_runs(s, r->tx ? ITEM_TX : 0);
        if (v != STORE_FINE)
            return v;
    }
    switch ((enum record_kind)r->kind) {
    case RECORD_DEFINE:
    case RECORD_UNDEFINE:
        return put_definition(s, r);
    case RECORD_PUBLISH:
        return put_publish(s, r, places);
    case RECORD_SETTLE:
        if (!image_settle(&s->image, r->at.queue, r->at.position))
            return STORE_FINE; /* it was never written */
        run_add(&s->settles, r->at.queue, r->at.position, r->at.bytes);
        break;
    case RECORD_DELIVER:
        v = s->returns.len + s->returns.run.count > 0 ? put_runs(s, r->tx ? ITEM_TX : 0) : STORE_FINE;
        if (v != STORE_FINE) /* what is out again was given back before */
            return v;
        if (!image_deliver(&s->image, r->at.queue, r->at.position))
            return STORE_FINE;
        run_add(&s->delivers, r->at.queue, r->at.position, 0);
        break;
    case RECORD_RETURN:
        if (!image_return(&s->image, r->at.queue, r->at.position))
            return STORE_FINE;
        run_add(&s->returns, r->at.queue, r->at.position, 0);
        break;
    case RECORD_PURGE:
    case RECORD_TRIM:
        return put_purge(s, r);
    case RECORD_COMMIT:
        return put_commit(s);
    case RECORD_LOAD:
        if (r->load.messages_max > 0) /* else it was answered already */
            keep_load(s, r);
        return STORE_FINE;
    }
    s->is_group_open = true;
    return STORE_FINE;
}

void store_append(struct store *s, struct sheaf *records, store_answer_fn *answer, void *arg)
{
    s->answer = answer;
    s->answer_arg = arg;
    if (s->n_waiting == s->waiting_room) {
        s->waiting_room = alloc_grown(s->waiting_room, s->n_waiting + 1);
        s->waiting = alloc_array(s->waiting, s->waiting_room, sizeof *s->waiting);
    }
    s->waiting[s->n_waiting++] = *records;
    s->waiting_bytes += records->bytes;
    s->is_load_waiting |= records->has_loads;
    sheaf_init(records);
}

void append_free(struct store *s)
{
    for (size_t i = 0; i < s->n_waiting; i++)
        sheaf_fini(&s->waiting[i]);
    for (size_t i = 0; i < s->n_empty; i++)
        sheaf_fini(&s->empty[i]);
    stuck_fini(&s->stuck);
    free(s->waiting);
    free(s->loads);
    run_writer_fini(&s->settles);
    run_writer_fini(&s->delivers);
    run_writer_fini(&s->returns);
}

/* ---- Transactions: all of one finds room, or none of it. */

static enum store_verdict begin_tx(struct store *s, uint64_t publishes_bytes)
{
    enum store_verdict v = put_runs(s, 0);
    if (v == STORE_FINE && publishes_bytes > 0)
        v = journal_spare(s, publishes_bytes);
    s->in_tx = v == STORE_FINE;
    return v;
}

/* ---- What is stuck, and what overtakes it. */

static struct stuck_record *stick(struct store *s, const struct sheaf *h, struct record *r, const struct place *places)
{
    if (r->kind == RECORD_COMMIT)
        s->is_tx_stuck = false;
    struct stuck_record *k = stuck_add(&s->stuck, r, places);
    k->position = h->last - h->n + s->next_record + 1;
    k->wall_ms = h->wall_ms;
    return k;
}

static void hold(struct store *s, struct stuck_record *k)
{
    k->is_held = true;
    s->stuck.held++;
}

/* Settles a message, though it may be stuck. */
static void settle_past(struct store *s, struct place at)
{
    struct stuck_place *p;
    do {
        p = stuck_find(&s->stuck, at.queue, at.position);
        if (p == NULL && image_settle(&s->image, at.queue, at.position)) {
            run_add(&s->settles, at.queue, at.position, at.bytes);
            s->is_group_open = true;
        }
    } while (p != NULL && stuck_settle(&s->stuck, p, &at));
}

/* It came or went while the message was stuck: that is said behind it. */
static void note_fate(struct stuck_place *p, enum record_kind kind)
{
    p->is_out = kind == RECORD_DELIVER;
    p->returns += kind == RECORD_RETURN && p->returns < DELIVERIES_MAX;
}

/* A queue is purged from a position on, or deleted: not before the letters are written that replace what it held. */
static enum store_verdict drop_past(struct store *s, const struct sheaf *h, struct record *r, struct place from)
{
    if (stuck_has_letters(&s->stuck, from.queue, from.position)) {
        hold(s, stick(s, h, r, NULL));
        return STORE_FINE;
    }
    enum store_verdict v = put_record(s, r, NULL);
    if (v != STORE_FINE)
        return v;
    for (struct stuck_place *p; (p = stuck_find_from(&s->stuck, from.queue, from.position)) != NULL;)
        settle_past(s, p->place);
    return v;
}

/* A queue is purged up to a position: of its letters it is as above, whatever they replace. */
static enum store_verdict trim_past(struct store *s, const struct sheaf *h, struct record *r)
{
    struct place before = r->at;
    if (stuck_has_letters(&s->stuck, before.queue, 0)) {
        hold(s, stick(s, h, r, NULL));
        return STORE_FINE;
    }
    enum store_verdict v = put_record(s, r, NULL);
    if (v != STORE_FINE)
        return v;
    for (struct stuck_place *p; (p = stuck_find_from(&s->stuck, before.queue, 0)) != NULL;) {
        if (p->place.position >= before.position)
            break;
        settle_past(s, p->place);
    }
    return v;
}

/* A record behind those that are stuck. */
static enum store_verdict put_past(struct store *s, const struct sheaf *h, struct record *r, const struct place *places)
{
    struct stuck_place *p;
    switch ((enum record_kind)r->kind) {
    case RECORD_PUBLISH:
        stick(s, h, r, places);
        return STORE_FINE;
    case RECORD_SETTLE:
        settle_past(s, r->at);
        return STORE_FINE;
    case RECORD_DELIVER:
    case RECORD_RETURN:
        p = stuck_find(&s->stuck, r->at.queue, r->at.position);
        if (p == NULL)
            break;
        note_fate(p, r->kind);
        return STORE_FINE;
    case RECORD_PURGE:
        return drop_past(s, h, r, r->at);
    case RECORD_TRIM:
        return trim_past(s, h, r);
    case RECORD_UNDEFINE:
        if (r->definition->what == DEFINE_QUEUE)
            return drop_past(s, h, r, (struct place){.queue = r->definition->queue});
        break;
    case RECORD_DEFINE:
    case RECORD_COMMIT:
    case RECORD_LOAD:
        break;
    }
    return put_record(s, r, places);
}

/* The first record of a transaction: the whole is stuck if it has publishes, or takes what others are to replace. */
static enum store_verdict put_tx(struct store *s, const struct sheaf *h, struct record *r, const struct place *places)
{
    struct need n = need_of(h, s->next_record);
    bool is_stuck = !stuck_is_empty(&s->stuck) && (n.publishes || n.drops);
    enum store_verdict v = is_stuck ? STORE_FULL : begin_tx(s, n.publishes ? n.bytes : 0);
    if (v == STORE_FINE)
        return stuck_is_empty(&s->stuck) ? put_record(s, r, places) : put_past(s, h, r, places);
    if (v != STORE_FULL || !(n.publishes || is_stuck))
        return v;
    s->is_tx_stuck = true;
    struct stuck_record *k = stick(s, h, r, places);
    k->tx_bytes = n.bytes;
    if (!n.publishes)
        hold(s, k);
    return STORE_FINE;
}

/* ---- What was stuck, when there is room again. */

static enum store_verdict put_fate(struct store *s, struct stuck_place *p)
{
    struct record r = {.kind = RECORD_RETURN, .at = {.queue = p->place.queue, .position = p->place.position}};
    enum store_verdict v = STORE_FINE;
    for (; !p->is_gone && p->returns > 0 && v == STORE_FINE; p->returns -= v == STORE_FINE)
        v = put_record(s, &r, NULL);
    r.kind = RECORD_DELIVER;
    if (v == STORE_FINE && !p->is_gone && p->is_out)
        v = put_record(s, &r, NULL);
    return v;
}

/* What became meanwhile of the messages that are written now. */
static enum store_verdict put_fates(struct store *s)
{
    struct stuck *k = &s->stuck;
    for (; k->fated < k->next; k->fated++) {
        const struct stuck_record *r = &k->records[k->fated];
        for (uint32_t i = 0; i < r->places; i++) {
            enum store_verdict v = put_fate(s, &k->places[r->first_place + i]);
            if (v != STORE_FINE)
                return v;
        }
    }
    return STORE_FINE;
}

/* To those places that are wanted still. */
static enum store_verdict put_stuck_publish(struct store *s, const struct stuck_record *k)
{
    struct record r = k->record;
    struct place *places = alloc_array(NULL, k->places, sizeof *places);
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->places; i++)
        if (!s->stuck.places[k->first_place + i].is_gone)
            places[n++] = s->stuck.places[k->first_place + i].place;
    CHECK(n == r.places);
    enum store_verdict v = STORE_FINE;
    if (n > 0)
        v = put_record(s, &r, places);
    else if (r.at.queue != 0)
        settle_past(s, r.at);
    free(places);
    return v;
}

/* The first of them.  STORE_FULL: it stays. */
static enum store_verdict put_first(struct store *s)
{
    const struct stuck_record *k = stuck_first(&s->stuck);
    enum store_verdict v = k->record.tx && !s->in_tx ? begin_tx(s, k->tx_bytes) : STORE_FINE;
    if (v != STORE_FINE)
        return v;
    s->wall_ms = k->wall_ms;
    v = k->record.kind == RECORD_PUBLISH ? put_stuck_publish(s, k) : put_record(s, &k->record, NULL);
    if (v == STORE_FINE)
        stuck_next(&s->stuck);
    s->is_tx_late = s->in_tx;
    return v;
}

/* Those that find room by now.  STORE_FULL: nothing may overtake the rest. */
static enum store_verdict put_stuck(struct store *s)
{
    struct stuck *k = &s->stuck;
    uint64_t wall_ms = s->wall_ms;
    enum store_verdict v = STORE_FINE;
    bool is_between = !s->in_tx && k->fated == k->next;
    if (stuck_is_empty(k))
        stuck_clear(k);
    if (stuck_is_empty(k) || (s->in_tx && !s->is_tx_late))
        return STORE_FINE;
    if (is_between && s->n_spares <= STORE_RESERVE && !s->is_retry_due)
        return STORE_FINE;
    s->is_retry_due = false;
    while (v == STORE_FINE && !stuck_is_empty(k))
        v = k->fated < k->next && !s->in_tx ? put_fates(s) : put_first(s);
    s->wall_ms = wall_ms;
    return v == STORE_FULL && !s->in_tx && k->fated == k->next ? STORE_FINE : v;
}

/* How far everything is encoded. */
static void look_how_far(struct store *s)
{
    s->position = s->changes = s->taken;
    if (s->stuck.room == 0)
        return;
    stuck_skip(&s->stuck);
    uint64_t before = stuck_before(&s->stuck), held = stuck_held_before(&s->stuck);
    if (s->changes > held)
        s->changes = held;
    s->position = s->changes < before ? s->changes : before;
}

/* ---- What waits. */

/* A message that has come and gone meanwhile need not be written, nor what became of it (docs/adr/0014): not part of a
 * transaction, and not in the place of another, which would go with it. */
static bool is_over(const struct record *r)
{
    return r->kind == RECORD_PUBLISH && !r->tx && r->at.queue == 0 && message_is_settled(r->msg);
}

static enum store_verdict put_next(struct store *s, const struct sheaf *h, struct record *r)
{
    const struct place *places = h->places + s->next_place;
    if (is_over(r)) {
        s->is_awaited = true;
        s->stats.spared++;
        return STORE_FINE;
    }
    if (s->is_tx_stuck) {
        stick(s, h, r, places);
        return STORE_FINE;
    }
    if (r->tx && !s->in_tx)
        return put_tx(s, h, r, places);
    if (!stuck_is_empty(&s->stuck))
        return put_past(s, h, r, places);
    enum store_verdict v = put_record(s, r, places);
    if (v != STORE_FULL || r->kind != RECORD_PUBLISH || s->in_tx)
        return v;
    stick(s, h, r, places);
    return STORE_FINE;
}

/* It is encoded: whoever appended it may have it back. */
static void put_aside(struct store *s, struct sheaf *h)
{
    if (s->n_empty == EMPTY_MAX || h->bytes > EMPTY_BYTES_MAX)
        sheaf_fini(h);
    else
        s->empty[s->n_empty++] = *h;
}

bool store_take_back(struct store *s, struct sheaf *to)
{
    if (s->n_empty == 0)
        return false;
    *to = s->empty[--s->n_empty];
    return true;
}

/* Encodes what waits; stops where there is no room, unless that is for publishes only. */
static enum store_verdict put_waiting(struct store *s)
{
    size_t done = 0;
    enum store_verdict v = s->stuck.room == 0 ? STORE_FINE : put_stuck(s);
    for (; done < s->n_waiting && v == STORE_FINE; done++) {
        struct sheaf *h = &s->waiting[done];
        s->wall_ms = h->wall_ms;
        while (s->next_record < h->n) {
            struct record *r = &h->records[s->next_record];
            uint32_t places = r->kind == RECORD_PUBLISH ? r->places : 0;
            v = put_next(s, h, r);
            if (v != STORE_FINE)
                break;
            s->next_place += places;
            s->next_record++;
        }
        if (v != STORE_FINE)
            break;
        if (h->last > s->taken)
            s->taken = h->last;
        s->next_record = s->next_place = 0;
        put_aside(s, h);
    }
    s->n_waiting -= done;
    if (s->n_waiting == 0) {
        s->waiting_bytes = 0;
        s->is_load_waiting = false;
    }
    if (done > 0 && s->n_waiting > 0)
        memmove(s->waiting, s->waiting + done, s->n_waiting * sizeof *s->waiting);
    look_how_far(s);
    return v;
}

/* Those that would find nothing but what is stuck wait for it. */
static void answer_loads(struct store *s)
{
    size_t left = 0;
    for (size_t i = 0; i < s->n_loads; i++) {
        struct load *l = load_messages(s, &s->loads[i]);
        if (!stuck_is_empty(&s->stuck) && stuck_has_queue(&s->stuck, l->queue)) {
            l->is_end = false;
            if (l->n == 0 && l->lost == 0) {
                load_destroy(l);
                s->loads[left++] = s->loads[i];
                continue;
            }
        }
        s->answer(s->answer_arg, l);
    }
    s->n_loads = left;
}

/* There is no room for a record before them: loads that can be answered in part are, so that consumers can make some.
 */
static void answer_stuck_loads(struct store *s)
{
    for (size_t i = 0; i < s->n_waiting; i++)
        for (size_t k = i == 0 ? s->next_record : 0; k < s->waiting[i].n; k++) {
            struct record *r = &s->waiting[i].records[k];
            if (r->kind != RECORD_LOAD || r->load.messages_max == 0)
                continue;
            struct load *l = load_messages(s, r);
            if (l->n == 0) {
                load_destroy(l);
                continue;
            }
            l->is_end = false;
            r->load.messages_max = 0;
            s->answer(s->answer_arg, l);
        }
}

enum store_verdict append_end_group(struct store *s)
{
    enum store_verdict v = put_runs(s, 0);
    return v == STORE_FINE ? journal_end_group(s) : v;
}

bool store_gather(struct store *s)
{
    if (s->verdict != STORE_FAILED && s->waiting_bytes <= LATE_BYTES && !s->is_load_waiting && s->n_loads == 0)
        return true;
    if (s->verdict == STORE_FAILED || put_waiting(s) != STORE_FINE)
        return false;
    return s->n_loads == 0 && s->buffered < GATHER_BYTES;
}

enum store_verdict store_write(struct store *s)
{
    if (s->verdict == STORE_FAILED)
        return STORE_FAILED;
    enum store_verdict v = put_waiting(s);
    if (v == STORE_FINE)
        v = append_end_group(s);
    else if (v == STORE_FULL && journal_flush(s) == STORE_FAILED)
        v = STORE_FAILED;
    if (v == STORE_FAILED || !journal_is_flushed(s)) /* what is not written yet cannot be loaded */
        return v;
    answer_loads(s);
    if (v == STORE_FULL)
        answer_stuck_loads(s);
    if (s->verdict == STORE_FAILED)
        return STORE_FAILED;
    return v == STORE_FINE && !stuck_is_empty(&s->stuck) ? STORE_FULL : v;
}
