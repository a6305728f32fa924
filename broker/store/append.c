/* From records to items: encodes them into the open group and applies them to the image. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/port/message.h"
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
    uint8_t *to = journal_room(s, item_size(meta.len, body), &v);
    if (to != NULL) {
        uint64_t offset = s->buffer_at + s->buffered;
        uint32_t crc;
        memcpy(to + FORMAT_ITEM_HEADER, meta.at, meta.len);
        message_item_body_write(to + FORMAT_ITEM_HEADER + meta.len, r->msg, &crc);
        journal_put(s, ITEM_MESSAGE, r->tx ? ITEM_TX : 0, meta.len, body, crc);
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
    if (r->kind == RECORD_DEFINE)
        image_define(&s->image, d->what, d->queue, d->key, d->value);
    else
        image_undefine(&s->image, d->what, d->queue, d->key);
    return STORE_FINE;
}

static enum store_verdict put_purge(struct store *s, const struct record *r)
{
    uint8_t meta[2 * VARINT_MAX];
    struct pen p = pen_over(meta, sizeof meta);
    pen_varint(&p, r->at.queue);
    pen_varint(&p, r->at.position);
    enum store_verdict v = journal_put_meta(s, ITEM_PURGE, r->tx ? ITEM_TX : 0, pen_written(&p));
    if (v == STORE_FINE)
        image_purge(&s->image, r->at.queue, r->at.position);
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
    return v;
}

static bool is_fate(const struct record *r)
{
    return r->kind == RECORD_SETTLE || r->kind == RECORD_DELIVER || r->kind == RECORD_RETURN;
}

static enum store_verdict put_record(struct store *s, const struct record *r, const struct place *places)
{
    enum store_verdict v;
    if (r->tx && !s->in_tx) {
        v = put_runs(s, 0);
        if (v != STORE_FINE)
            return v;
        s->in_tx = true;
    }
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
        run_add(&s->settles, r->at.queue, r->at.position, r->at.bytes);
        image_settle(&s->image, r->at.queue, r->at.position);
        break;
    case RECORD_DELIVER:
        v = s->returns.len + s->returns.run.count > 0 ? put_runs(s, r->tx ? ITEM_TX : 0) : STORE_FINE;
        if (v != STORE_FINE) /* what is out again was given back before */
            return v;
        run_add(&s->delivers, r->at.queue, r->at.position, 0);
        image_deliver(&s->image, r->at.queue, r->at.position);
        break;
    case RECORD_RETURN:
        run_add(&s->returns, r->at.queue, r->at.position, 0);
        image_return(&s->image, r->at.queue, r->at.position);
        break;
    case RECORD_PURGE:
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
    sheaf_init(records);
}

void append_free(struct store *s)
{
    for (size_t i = 0; i < s->n_waiting; i++)
        sheaf_fini(&s->waiting[i]);
    free(s->waiting);
    free(s->loads);
    run_writer_fini(&s->settles);
    run_writer_fini(&s->delivers);
    run_writer_fini(&s->returns);
}

/* Encodes what waits; stops where there is no room. */
static enum store_verdict put_waiting(struct store *s)
{
    size_t done = 0;
    enum store_verdict v = STORE_FINE;
    for (; done < s->n_waiting && v == STORE_FINE; done++) {
        struct sheaf *h = &s->waiting[done];
        s->wall_ms = h->wall_ms;
        while (s->next_record < h->n) {
            const struct record *r = &h->records[s->next_record];
            v = put_record(s, r, h->places + s->next_place);
            if (v != STORE_FINE)
                break;
            s->next_place += r->kind == RECORD_PUBLISH ? r->places : 0;
            s->next_record++;
        }
        if (v != STORE_FINE)
            break;
        if (h->last > s->position)
            s->position = h->last;
        s->next_record = s->next_place = 0;
        sheaf_fini(h);
    }
    s->n_waiting -= done;
    if (done > 0 && s->n_waiting > 0)
        memmove(s->waiting, s->waiting + done, s->n_waiting * sizeof *s->waiting);
    return v;
}

static void answer_loads(struct store *s)
{
    for (size_t i = 0; i < s->n_loads; i++)
        s->answer(s->answer_arg, load_messages(s, &s->loads[i]));
    s->n_loads = 0;
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
    if (v == STORE_FAILED || s->buffered > 0) /* what is not written yet cannot be loaded */
        return v;
    answer_loads(s);
    if (v == STORE_FULL)
        answer_stuck_loads(s);
    return s->verdict == STORE_FAILED ? STORE_FAILED : v;
}
