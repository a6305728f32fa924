#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/unit/keepsake.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/port/definition.h"
#include "broker/port/message.h"

struct kept_message {
    struct link in_queue;
    struct message *msg; /* shared */
    uint64_t position, ttl_ms, written_ms;
    uint16_t deliveries;
    bool is_out, redelivered, transient, is_lost;
};

struct kept_queue {
    struct link in_store;
    uint64_t id, next_position;
    struct list messages;
};

struct kept_definition {
    struct link in_store;
    struct definition *definition; /* owned */
};

struct kept_load {
    struct link in_store;
    struct load *load; /* owned */
};

void keepsake_init(struct keepsake *k)
{
    *k = (struct keepsake){.next_queue = 1};
    list_init(&k->queues);
    list_init(&k->definitions);
    list_init(&k->loads);
}

static void forget_message(struct kept_message *m)
{
    list_remove(&m->in_queue);
    message_unref(m->msg);
    free(m);
}

static void forget_queue(struct kept_queue *q)
{
    struct kept_message *m;
    list_each (m, &q->messages, struct kept_message, in_queue)
        forget_message(m);
    list_remove(&q->in_store);
    free(q);
}

static void forget_definition(struct kept_definition *d)
{
    list_remove(&d->in_store);
    free(d->definition);
    free(d);
}

void keepsake_fini(struct keepsake *k)
{
    struct kept_queue *q;
    struct kept_definition *d;
    struct load *l;
    list_each (q, &k->queues, struct kept_queue, in_store)
        forget_queue(q);
    list_each (d, &k->definitions, struct kept_definition, in_store)
        forget_definition(d);
    while ((l = keepsake_load(k)) != NULL)
        load_destroy(l);
}

/* ---- What there is. */

static struct kept_queue *find_queue(const struct keepsake *k, uint64_t id)
{
    struct kept_queue *q;
    list_each (q, &k->queues, struct kept_queue, in_store)
        if (q->id == id)
            return q;
    return NULL;
}

static struct kept_message *find_message(const struct kept_queue *q, uint64_t position)
{
    struct kept_message *m;
    if (q == NULL)
        return NULL;
    list_each (m, &q->messages, struct kept_message, in_queue)
        if (m->position == position)
            return m;
    return NULL;
}

static struct kept_definition *find_definition(const struct keepsake *k, const struct definition *like)
{
    struct kept_definition *d;
    list_each (d, &k->definitions, struct kept_definition, in_store)
        if (d->definition->what == like->what && bytes_equal(d->definition->key, like->key))
            return d;
    return NULL;
}

static uint64_t count(const struct kept_queue *q, uint64_t *bytes)
{
    uint64_t n = 0;
    *bytes = 0;
    for (struct link *l = q->messages.ring.next; l != &q->messages.ring; l = l->next, n++)
        *bytes += item_of(l, struct kept_message, in_queue)->msg->body_size;
    return n;
}

uint64_t keepsake_count(const struct keepsake *k, uint64_t queue)
{
    uint64_t bytes;
    const struct kept_queue *q = find_queue(k, queue);
    return q != NULL ? count(q, &bytes) : 0;
}

uint64_t keepsake_queue(const struct keepsake *k, const char *name)
{
    struct kept_definition *d;
    uint64_t id = 0;
    list_each (d, &k->definitions, struct kept_definition, in_store) {
        const struct definition *at = d->definition;
        struct bytes vhost;
        if (at->what != DEFINE_QUEUE)
            continue;
        struct spec *s = definition_read_spec(at->what, at->key, at->value, &vhost);
        CHECK(s != NULL);
        if (bytes_equal(s->name, bytes_of_string(name)))
            id = at->queue;
        free(s);
    }
    return id;
}

size_t keepsake_definitions(const struct keepsake *k, enum definition_class what)
{
    struct kept_definition *d;
    size_t n = 0;
    list_each (d, &k->definitions, struct kept_definition, in_store)
        n += d->definition->what == what;
    return n;
}

void keepsake_lose(struct keepsake *k, uint64_t queue, uint64_t position)
{
    struct kept_message *m = find_message(find_queue(k, queue), position);
    CHECK(m != NULL);
    m->is_lost = true;
}

/* ---- Taking records. */

static void take_define(struct keepsake *k, struct record *r)
{
    struct definition *d = r->definition;
    struct bytes vhost;
    struct definition_part part;
    struct bytes tag;
    uint64_t next;
    bool is_part = d->what == DEFINE_PART, is_bookmark = d->what == DEFINE_BOOKMARK;
    struct spec *s = is_part || is_bookmark ? NULL : definition_read_spec(d->what, d->key, d->value, &vhost);
    bool is_durable_anyway = d->what != DEFINE_EXCHANGE && d->what != DEFINE_QUEUE;
    struct kept_definition *old = find_definition(k, d);
    CHECK(is_part       ? definition_read_part(d->queue, d->key, d->value, &part)
          : is_bookmark ? definition_read_bookmark(d->queue, d->key, d->value, &tag, &next)
                        : s != NULL && (is_durable_anyway || s->durable));
    CHECK(!is_part || old == NULL);
    bool is_same_queue = old != NULL && d->what == DEFINE_QUEUE && old->definition->queue == d->queue;
    CHECK(old == NULL || d->what >= DEFINE_USER || d->what == DEFINE_VHOST || is_same_queue); /* they are changed */
    if (old != NULL)
        forget_definition(old);
    free(s);
    struct kept_definition *kept = alloc(sizeof *kept);
    kept->definition = definition_create(d->what, d->queue, d->key, d->value);
    list_append(&k->definitions, &kept->in_store);
    if (d->what == DEFINE_QUEUE) {
        CHECK(d->queue > 0 && (is_same_queue || find_queue(k, d->queue) == NULL));
        if (d->queue >= k->next_queue)
            k->next_queue = d->queue + 1;
    }
}

static void take_undefine(struct keepsake *k, struct record *r)
{
    const struct definition *d = r->definition;
    struct kept_definition *kept = find_definition(k, d);
    struct kept_queue *q = d->what == DEFINE_QUEUE ? find_queue(k, d->queue) : NULL;
    CHECK(d->value.len == 0);
    CHECK(kept != NULL ? kept->definition->queue == d->queue : d->key.len == 0 && q != NULL);
    if (kept != NULL)
        forget_definition(kept);
    if (q != NULL)
        forget_queue(q);
}

static struct kept_queue *some_queue(struct keepsake *k, uint64_t id)
{
    struct kept_queue *q = find_queue(k, id);
    if (q != NULL)
        return q;
    q = alloc(sizeof *q);
    *q = (struct kept_queue){.id = id};
    list_init(&q->messages);
    list_append(&k->queues, &q->in_store);
    if (id >= k->next_queue)
        k->next_queue = id + 1;
    return q;
}

static void settle(struct keepsake *k, struct place at)
{
    struct kept_message *m = find_message(find_queue(k, at.queue), at.position);
    CHECK(m != NULL && m->msg->body_size == at.bytes);
    forget_message(m);
}

static void take_publish(struct keepsake *k, const struct record *r, const struct place *places, uint64_t wall_ms)
{
    CHECK(r->places > 0);
    if (r->at.queue != 0)
        settle(k, r->at);
    for (uint32_t i = 0; i < r->places; i++) {
        struct kept_queue *q = some_queue(k, places[i].queue);
        CHECK(places[i].position >= q->next_position);
        q->next_position = places[i].position + 1;
        struct kept_message *m = alloc(sizeof *m);
        *m = (struct kept_message){.msg = message_ref(r->msg),
                                   .position = places[i].position,
                                   .ttl_ms = places[i].ttl_ms,
                                   .written_ms = wall_ms,
                                   .transient = r->transient};
        list_append(&q->messages, &m->in_queue);
    }
}

static void take_fate(struct keepsake *k, const struct record *r)
{
    struct kept_message *m = find_message(find_queue(k, r->at.queue), r->at.position);
    CHECK(m != NULL && m->is_out == (r->kind == RECORD_RETURN));
    m->is_out = !m->is_out;
    m->redelivered = true;
    if (r->kind == RECORD_RETURN)
        m->deliveries++;
}

static void take_purge(struct keepsake *k, struct place at)
{
    struct kept_queue *q = find_queue(k, at.queue);
    struct kept_message *m;
    CHECK(q != NULL);
    list_each (m, &q->messages, struct kept_message, in_queue) {
        CHECK(m->position < at.position || !m->is_out);
        if (m->position >= at.position)
            forget_message(m);
    }
}

static void take_trim(struct keepsake *k, struct place at)
{
    struct kept_queue *q = find_queue(k, at.queue);
    struct kept_message *m;
    CHECK(q != NULL);
    list_each (m, &q->messages, struct kept_message, in_queue)
        if (m->position < at.position)
            forget_message(m);
}

static void take_load(struct keepsake *k, const struct record *r)
{
    struct kept_queue *q = find_queue(k, r->at.queue);
    struct kept_message *m;
    struct kept_load *kept = alloc(sizeof *kept);
    struct load *l = load_create(r->load.messages_max);
    uint64_t bytes = 0;
    CHECK(q != NULL && r->load.messages_max > 0);
    l->queue = r->at.queue;
    l->reader = r->at.reader;
    l->next = r->at.position;
    l->is_end = true;
    list_each (m, &q->messages, struct kept_message, in_queue) {
        if (m->position < r->at.position)
            continue;
        if (l->n == r->load.messages_max || bytes >= r->load.bytes_max) {
            l->is_end = false;
            break;
        }
        CHECK(!m->is_out);
        l->next = m->position + 1;
        bytes += message_cost(m->msg);
        if (m->is_lost) {
            l->lost++;
            l->lost_bytes += m->msg->body_size;
            forget_message(m);
            continue;
        }
        l->entries[l->n++] = (struct load_entry){.msg = message_ref(m->msg),
                                                 .position = m->position,
                                                 .ttl_ms = m->ttl_ms,
                                                 .written_ms = m->written_ms,
                                                 .deliveries = m->deliveries,
                                                 .redelivered = m->redelivered,
                                                 .persistent = (m->msg->flags & MESSAGE_PERSISTENT) != 0};
    }
    kept->load = l;
    list_append(&k->loads, &kept->in_store);
}

static void take_one(struct keepsake *k, struct record *r, const struct place *places, uint64_t wall_ms)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_DEFINE:
        take_define(k, r);
        break;
    case RECORD_UNDEFINE:
        take_undefine(k, r);
        break;
    case RECORD_PUBLISH:
        take_publish(k, r, places, wall_ms);
        break;
    case RECORD_SETTLE:
        settle(k, r->at);
        break;
    case RECORD_DELIVER:
    case RECORD_RETURN:
        take_fate(k, r);
        break;
    case RECORD_PURGE:
        take_purge(k, r->at);
        break;
    case RECORD_TRIM:
        take_trim(k, r->at);
        break;
    case RECORD_LOAD:
        take_load(k, r);
        break;
    case RECORD_COMMIT:
        break;
    }
}

void keepsake_take(struct keepsake *k, struct sheaf *s)
{
    size_t places = 0;
    uint64_t bytes = 0;
    bool tx = false;
    for (size_t i = 0; i < s->n; i++) {
        struct record *r = &s->records[i];
        CHECK(!tx || r->tx || r->kind == RECORD_COMMIT);
        CHECK(tx || r->kind != RECORD_COMMIT);
        CHECK(!r->tx || (r->kind != RECORD_COMMIT && r->kind != RECORD_LOAD));
        tx = r->tx;
        take_one(k, r, r->places > 0 ? s->places + places : NULL, s->wall_ms);
        places += r->places;
        bytes += r->kind == RECORD_PUBLISH ? message_cost(r->msg) : 0;
    }
    k->position += s->n;
    CHECK(!tx && places == s->n_places && bytes == s->bytes);
    CHECK(s->n == 0 || s->last == k->position);
    sheaf_clear(s);
}

struct load *keepsake_load(struct keepsake *k)
{
    if (list_is_empty(&k->loads))
        return NULL;
    struct kept_load *kept = item_of(k->loads.ring.next, struct kept_load, in_store);
    struct load *l = kept->load;
    list_remove(&kept->in_store);
    free(kept);
    return l;
}

/* ---- A restart. */

static bool is_defined(const struct keepsake *k, uint64_t queue)
{
    struct kept_definition *d;
    list_each (d, &k->definitions, struct kept_definition, in_store)
        if (d->definition->what == DEFINE_QUEUE && d->definition->queue == queue)
            return true;
    return false;
}

static void restart_queue(struct kept_queue *q)
{
    struct kept_message *m;
    list_each (m, &q->messages, struct kept_message, in_queue) {
        if (m->is_out)
            m->deliveries++;
        m->is_out = false;
        if (m->transient)
            forget_message(m);
    }
}

void keepsake_restart(struct keepsake *k)
{
    struct kept_queue *q;
    struct load *l;
    k->position = 0;
    while ((l = keepsake_load(k)) != NULL)
        load_destroy(l);
    list_each (q, &k->queues, struct kept_queue, in_store) {
        if (is_defined(k, q->id))
            restart_queue(q);
        else
            forget_queue(q);
    }
}

static void restore_class(const struct keepsake *k, struct broker *b, enum definition_class what)
{
    struct kept_definition *d;
    list_each (d, &k->definitions, struct kept_definition, in_store) {
        const struct definition *at = d->definition;
        CHECK(at->what != what || broker_restore_definition(b, what, at->queue, at->key, at->value));
    }
}

void keepsake_restore(const struct keepsake *k, struct broker *b)
{
    struct kept_queue *q;
    for (int what = 0; what < DEFINE_CLASSES; what++)
        restore_class(k, b, (enum definition_class)what);
    list_each (q, &k->queues, struct kept_queue, in_store) {
        uint64_t bytes, n = count(q, &bytes);
        CHECK(broker_restore_queue(b, q->id, n, bytes, q->next_position));
    }
    broker_set_next_queue_id(b, k->next_queue);
}

/* ---- In words. */

static void spell_place(FILE *to, struct place p, bool with_ttl)
{
    fprintf(to, " %llu:%llu", (unsigned long long)p.queue, (unsigned long long)p.position);
    if (with_ttl && p.ttl_ms != PLACE_NO_TTL)
        fprintf(to, " ttl %llu", (unsigned long long)p.ttl_ms);
}

static void spell_definition(FILE *to, const struct definition *d)
{
    fprintf(to, " %s", definition_word(d->what));
    if (d->what == DEFINE_QUEUE)
        fprintf(to, " %llu", (unsigned long long)d->queue);
    if (d->what == DEFINE_QUEUE && d->key.len == 0)
        fprintf(to, " without a name");
}

static void spell_one(FILE *to, const struct record *r, const struct place *places)
{
    static const char *const kinds[] = {"define", "undefine", "publish", "settle", "deliver",
                                        "return", "purge",    "trim",    "commit", "load"};
    fprintf(to, "%s%s%s", r->tx ? "tx " : "", r->transient ? "transient " : "", kinds[r->kind]);
    for (uint32_t i = 0; i < r->places; i++)
        spell_place(to, places[i], true);
    if (r->kind == RECORD_DEFINE || r->kind == RECORD_UNDEFINE)
        spell_definition(to, r->definition);
    if (r->kind == RECORD_PUBLISH && r->at.queue != 0)
        fprintf(to, " for");
    if (r->at.queue != 0)
        spell_place(to, r->at, false);
}

char *keepsake_spell(const struct sheaf *records, size_t from)
{
    char *text = NULL;
    size_t len = 0, places = 0;
    FILE *to = open_memstream(&text, &len);
    CHECK(to != NULL);
    for (size_t i = 0; i < records->n; i++) {
        const struct record *r = &records->records[i];
        if (i >= from) {
            fprintf(to, i > from ? ", " : "%s", "");
            spell_one(to, r, r->places > 0 ? records->places + places : NULL);
        }
        places += r->places;
    }
    fclose(to);
    return text;
}
