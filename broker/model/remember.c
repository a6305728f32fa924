#include "broker/model/remember.h"

#include "base/check.h"
#include "broker/model/bookmark.h"
#include "broker/model/cold.h"
#include "broker/model/exchange.h"
#include "broker/model/log.h"
#include "broker/model/outlet.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"
#include "broker/port/definition.h"

static struct record *remember(struct broker *b, enum record_kind kind)
{
    struct record *r = sheaf_add(&b->effects->records, kind);
    r->tx = b->is_in_tx;
    b->position++;
    return r;
}

/* ---- Definitions. */

static void define(struct broker *b, enum record_kind kind, enum definition_class what, uint64_t queue,
                   struct bytes vhost, const struct spec *spec)
{
    struct definition *d = kind == RECORD_DEFINE ? definition_define(what, queue, vhost, spec)
                                                 : definition_undefine(what, queue, vhost, spec);
    remember(b, kind)->definition = d;
    remember_changed(b);
}

void remember_exchange(struct broker *b, enum record_kind kind, struct exchange *x)
{
    bool is_predeclared = x->name.len == 0 || bytes_start_with(x->name, BYTES("amq."));
    if (!b->records || !x->spec->durable || is_predeclared)
        return;
    define(b, kind, DEFINE_EXCHANGE, 0, x->vhost->name, x->spec);
    x->defined = b->position;
}

void remember_queue(struct broker *b, enum record_kind kind, struct queue *q)
{
    static const struct bytes none = {0};
    if (!b->records)
        return;
    if (q->spec->durable) {
        const struct spec spec = queue_spec_as_spec(q->spec);
        define(b, kind, DEFINE_QUEUE, q->id, q->vhost->name, &spec);
        q->defined = b->position;
    } else if (kind == RECORD_UNDEFINE && q->was_stored) {
        remember(b, kind)->definition = definition_create(DEFINE_QUEUE, q->id, none, none);
    }
}

void remember_binding(struct broker *b, enum record_kind kind, struct binding *bd)
{
    const bool is_durable = bd->queue != NULL ? bd->queue->spec->durable : bd->to->spec->durable;
    if (!b->records || !bd->source->spec->durable || !is_durable)
        return;
    const struct spec spec = {.source = bd->source->name,
                              .name = bd->queue != NULL ? bd->queue->name : bd->to->name,
                              .key = bd->key,
                              .arguments = bd->arguments,
                              .durable = true,
                              .to_exchange = bd->to != NULL};
    define(b, kind, DEFINE_BINDING, 0, bd->source->vhost->name, &spec);
    bd->defined = b->position;
}

/* Only what counts for its class, so that one object has one key. */
static struct spec essence(enum definition_class what, const struct spec *spec)
{
    struct spec e = {.name = spec->name, .arguments = spec->arguments};
    if (what == DEFINE_TOPIC_PERMISSION)
        e.key = spec->key;
    if (what == DEFINE_PARAMETER)
        e.type = spec->type;
    if (what != DEFINE_USER && what != DEFINE_VHOST)
        e.vhost = spec->vhost;
    return e;
}

void remember_definition(struct broker *b, enum record_kind kind, enum definition_class what, const struct spec *spec)
{
    if (!b->records || b->effects == NULL) /* what is restored was remembered already */
        return;
    const struct spec e = essence(what, spec);
    define(b, kind, what, 0, what == DEFINE_VHOST ? e.name : e.vhost, &e);
}

/* ---- Publishes. */

void remember_begin_letter(struct broker *b, struct message *letter, const struct entry *source)
{
    remember_begin(b, letter);
    if (source->stored && !source->queue->gone)
        b->publishing.source = source;
}

bool remember_is_durable(const struct queue *q, const struct message *msg)
{
    const bool always = q->spec->hidden || q->options->type != QUEUE_CLASSIC; /* what is delayed, what is replicated */
    return q->spec->durable && (always || (msg->flags & MESSAGE_PERSISTENT) != 0);
}

static struct place place_of(const struct entry *e)
{
    return (struct place){.queue = e->queue->id, .position = e->position, .bytes = e->msg->body_size};
}

/* The record of the message that is being published; what it settles is as durable as it was. */
static void open_publish(struct broker *b)
{
    struct sheaf *to = &b->effects->records;
    struct publishing *p = &b->publishing;
    struct record *r = remember(b, RECORD_PUBLISH);
    r->msg = message_ref(p->msg);
    r->transient = true;
    to->bytes += message_cost(p->msg);
    p->is_open = true;
    p->position = b->position;
    p->record = to->n - 1;
    if (p->source != NULL) {
        r->at = place_of(p->source);
        r->transient = !remember_is_durable(p->source->queue, p->source->msg);
    }
}

void remember_place(struct broker *b, struct queue *q, uint64_t position, uint64_t ttl_ms)
{
    struct sheaf *to = &b->effects->records;
    struct publishing *p = &b->publishing;
    if (!p->is_open)
        open_publish(b);
    if (remember_is_durable(q, p->msg)) {
        to->records[p->record].transient = false;
        p->after = p->position;
    }
    /* Not sheaf_place(): other records may have come since, but no other publish. */
    if (to->n_places == to->places_capacity)
        sheaf_grow_places(to);
    to->places[to->n_places++] = (struct place){.queue = q->id, .position = position, .ttl_ms = ttl_ms};
    to->records[p->record].places++;
    message_keep(p->msg);
    q->was_stored = true;
    queue_count(b, q, COUNT_DISK_WRITES, 1);
}

/* ---- What becomes of them. */

void remember_fate(struct broker *b, enum record_kind kind, const struct entry *e)
{
    if (e->queue->gone || !b->records) /* its queue has taken it along; or nobody wants to know any more */
        return;
    struct record *r = remember(b, kind);
    r->at = place_of(e);
    if (kind != RECORD_SETTLE)
        r->at.bytes = 0;
    else if (!b->is_in_tx)
        message_unkeep(e->msg);
}

void remember_settle(struct broker *b, const struct queue *q, uint64_t position, uint64_t bytes)
{
    remember(b, RECORD_SETTLE)->at = (struct place){.queue = q->id, .position = position, .bytes = bytes};
}

void remember_purge(struct broker *b, const struct queue *q, uint64_t from)
{
    if (b->records)
        remember(b, RECORD_PURGE)->at = (struct place){.queue = q->id, .position = from};
}

void remember_store(struct broker *b, enum record_kind kind, struct bytes vhost, uint64_t id, const struct spec *spec)
{
    if (b->records)
        define(b, kind, DEFINE_QUEUE, id, vhost, spec);
}

void remember_key(struct broker *b, uint64_t store, uint64_t position, struct message *msg, uint64_t ttl_ms)
{
    struct sheaf *to = &b->effects->records;
    struct record *r = remember(b, RECORD_PUBLISH);
    r->msg = msg;
    to->bytes += message_cost(msg);
    sheaf_place(to, (struct place){.queue = store, .position = position, .ttl_ms = ttl_ms});
}

void remember_key_gone(struct broker *b, uint64_t store, uint64_t position)
{
    if (b->records)
        remember(b, RECORD_SETTLE)->at = (struct place){.queue = store, .position = position};
}

void remember_trim(struct broker *b, const struct queue *q, uint64_t before)
{
    remember(b, RECORD_TRIM)->at = (struct place){.queue = q->id, .position = before};
}

void remember_part(struct broker *b, enum record_kind kind, const struct queue *q, const struct log_part *p)
{
    const struct definition_part part = {.queue = q->id,
                                         .first = p->defined,
                                         .count = p->count,
                                         .bytes = p->bytes,
                                         .size = p->size,
                                         .last_ms = p->last_ms};
    if (b->records)
        remember(b, kind)->definition = definition_of_part(&part, kind == RECORD_DEFINE);
}

void remember_bookmark(struct broker *b, enum record_kind kind, const struct queue *q, const struct bookmark *m)
{
    if (b->records)
        remember(b, kind)->definition =
            definition_of_bookmark(q->id, bytes_of(m->tag, m->tag_len), m->next, kind == RECORD_DEFINE);
}

void remember_read(struct broker *b, const struct queue *q, uint64_t from, uint64_t reader, uint32_t messages_max,
                   uint32_t bytes_max)
{
    struct record *r = remember(b, RECORD_LOAD);
    r->at = (struct place){.queue = q->id, .position = from, .reader = reader};
    r->load.messages_max = messages_max;
    r->load.bytes_max = bytes_max;
}

void remember_load(struct broker *b, const struct queue *q, uint32_t messages_max, uint32_t bytes_max)
{
    remember_load_from(b, q->id, q->cold.from, messages_max, bytes_max);
}

void remember_load_from(struct broker *b, uint64_t queue, uint64_t position, uint32_t messages_max, uint32_t bytes_max)
{
    struct record *r = remember(b, RECORD_LOAD);
    r->at = (struct place){.queue = queue, .position = position};
    r->load.messages_max = messages_max;
    r->load.bytes_max = bytes_max;
}

void remember_tx_begin(struct broker *b)
{
    b->tx_began = b->position;
    b->is_in_tx = b->records;
}

bool remember_tx_publishes(const struct broker *b)
{
    return b->publishing.position > b->tx_began;
}

uint64_t remember_tx_end(struct broker *b)
{
    bool is_empty = b->position == b->tx_began;
    b->is_in_tx = false;
    if (is_empty) {
        log_resume(b);
        return 0;
    }
    remember(b, RECORD_COMMIT);
    log_resume(b);
    return b->position;
}

/* ---- Events that wait. */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void remember_answer(struct broker *b, struct event *e)
{
    struct outlet *o = outlet_find(b, e->to.outlet);
    struct stream *s = o != NULL && e->to.stream < o->stream_count ? o->streams[e->to.stream] : NULL;
    e->after = later(e->after, b->changed);
    if (s == NULL)
        return;
    e->after = s->after = later(e->after, s->after);
    s->stamped = later(s->stamped, s->after);
}

void remember_confirm(struct broker *b, struct event *e, struct stream *s)
{
    e->after = later(e->after, b->publishing.after);
    s->stamped = later(s->stamped, e->after);
}

uint64_t remember_last_stamp(const struct outlet *o)
{
    uint64_t last = o->stamped;
    for (size_t i = 0; i < o->stream_count; i++)
        if (o->streams[i] != NULL)
            last = later(last, o->streams[i]->stamped);
    return last;
}
