#include "tests/sim/naive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/port/message.h"
#include "tests/sim/rng.h"

/* ---- Letters. */

enum { LETTER_MAX = 512 << 10, LETTER_SHIFT = 4096 };

static const uint8_t *letter_body(struct letter l)
{
    static uint8_t noise[LETTER_MAX + LETTER_SHIFT];
    if (noise[0] == 0) {
        struct rng r = {.state = 4711};
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)(rng_next(&r) | 1);
    }
    CHECK(l.size <= LETTER_MAX);
    return noise + l.number * 7 % LETTER_SHIFT;
}

struct bytes naive_text(char to[16], char kind, uint32_t number)
{
    int n = snprintf(to, 16, "%c%u", kind, number);
    return bytes_of(to, (size_t)n);
}

static struct message_spec letter_spec(struct letter l, char exchange[16], char key[16], char properties[16])
{
    static const uint8_t keys[] = {0, 0, 0, 2, 'c', 'c', 0, 0, 0, 1, 'b'};
    return (struct message_spec){
        .exchange = naive_text(exchange, 'x', l.number % 5),
        .routing_key = naive_text(key, 'k', l.number),
        .properties = naive_text(properties, 'p', l.number % 3),
        .extra_keys = l.number % 7 == 0 ? bytes_of(keys, sizeof keys) : (struct bytes){0},
        .cc_count = l.number % 7 == 0,
        .deaths = (uint16_t)(l.number % 4),
        .body_size = l.size,
        .expiration_ms = l.number % 3 == 0 ? l.number : MESSAGE_NO_EXPIRATION,
        .flags = l.number % 2 == 0 ? MESSAGE_PERSISTENT : 0,
        .priority = (uint8_t)(l.number % 10),
    };
}

struct message *letter_message(struct letter l)
{
    char exchange[16], key[16], properties[16];
    struct message_spec spec = letter_spec(l, exchange, key, properties);
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of(letter_body(l), l.size));
    return m;
}

uint64_t letter_ttl(struct letter l)
{
    return l.number % 4 == 1 ? l.number * 10 : PLACE_NO_TTL;
}

struct letter letter_of(const struct message *m)
{
    char key[16] = "";
    struct bytes b = message_key(m);
    if (b.len < 2 || b.len >= sizeof key || m->body_size > LETTER_MAX)
        return (struct letter){0};
    memcpy(key, b.at, b.len);
    return (struct letter){.number = (uint32_t)strtoul(key + 1, NULL, 10), .size = (uint32_t)m->body_size};
}

bool letter_is(struct letter l, const struct message *m)
{
    char exchange[16], key[16], properties[16];
    struct message_spec s = letter_spec(l, exchange, key, properties);
    if (!bytes_equal(s.exchange, message_exchange(m)) || !bytes_equal(s.routing_key, message_key(m)) ||
        !bytes_equal(s.properties, message_properties(m)) || !bytes_equal(s.extra_keys, message_extra_keys(m)) ||
        s.cc_count != message_cc_count(m) || s.deaths != message_deaths(m) ||
        s.expiration_ms != message_expiration_ms(m) || s.flags != (m->flags & ~MESSAGE_IS_RARE) ||
        s.priority != m->priority || m->body_size != l.size)
        return false;
    const uint8_t *body = letter_body(l);
    struct body_walk walk = message_walk(m);
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0; body += b.len)
        if (memcmp(b.at, body, b.len) != 0)
            return false;
    return body == letter_body(l) + l.size;
}

/* ---- States. */

void naive_init(struct naive *s)
{
    *s = (struct naive){0};
}

static void clear(struct naive *s)
{
    for (size_t i = 0; i < s->n_queues; i++)
        free(s->queues[i].entries);
    s->n_queues = s->n_definitions = 0;
}

void naive_fini(struct naive *s)
{
    clear(s);
    free(s->queues);
    free(s->definitions);
    naive_init(s);
}

void naive_copy(struct naive *to, const struct naive *from)
{
    clear(to);
    for (size_t i = 0; i < from->n_definitions; i++)
        naive_define(to, &from->definitions[i]);
    for (size_t i = 0; i < from->n_queues; i++) {
        const struct naive_queue *q = &from->queues[i];
        struct naive_queue *copy = naive_add_queue(to, q->id);
        *copy = *q;
        copy->room = q->n;
        copy->entries = q->n == 0 ? NULL : alloc_copy(q->entries, q->n * sizeof *q->entries);
    }
    to->queue_max = from->queue_max;
}

struct naive_queue *naive_find(struct naive *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_queues; i++)
        if (s->queues[i].id == id)
            return &s->queues[i];
    return NULL;
}

struct naive_queue *naive_add_queue(struct naive *s, uint64_t id)
{
    struct naive_queue *q = naive_find(s, id);
    if (q != NULL)
        return q;
    if (s->n_queues == s->queues_room) {
        s->queues_room = alloc_grown(s->queues_room, s->n_queues + 1);
        s->queues = alloc_array(s->queues, s->queues_room, sizeof *s->queues);
    }
    q = &s->queues[s->n_queues++];
    *q = (struct naive_queue){.id = id};
    if (id > s->queue_max)
        s->queue_max = id;
    return q;
}

struct naive_entry *naive_add_entry(struct naive_queue *q, uint64_t position, struct letter l)
{
    if (q->n == q->room) {
        q->room = alloc_grown(q->room, q->n + 1);
        q->entries = alloc_array(q->entries, q->room, sizeof *q->entries);
    }
    struct naive_entry *e = &q->entries[q->n++];
    *e = (struct naive_entry){.position = position, .letter = l};
    if (position >= q->next_position)
        q->next_position = position + 1;
    return e;
}

struct naive_entry *naive_entry(struct naive_queue *q, uint64_t position)
{
    for (size_t i = 0; q != NULL && i < q->n; i++)
        if (q->entries[i].position == position)
            return &q->entries[i];
    return NULL;
}

static void remove_entry(struct naive_queue *q, const struct naive_entry *e)
{
    if (e == NULL)
        return;
    size_t i = (size_t)(e - q->entries);
    q->n--;
    memmove(q->entries + i, q->entries + i + 1, (q->n - i) * sizeof *q->entries);
}

static void remove_queue(struct naive *s, size_t i)
{
    free(s->queues[i].entries);
    s->n_queues--;
    memmove(s->queues + i, s->queues + i + 1, (s->n_queues - i) * sizeof *s->queues);
}

void naive_define(struct naive *s, const struct naive_definition *d)
{
    for (size_t i = 0; i < s->n_definitions; i++)
        if (s->definitions[i].what == d->what && s->definitions[i].key == d->key) {
            s->definitions[i] = *d;
            return;
        }
    if (s->n_definitions == s->definitions_room) {
        s->definitions_room = alloc_grown(s->definitions_room, s->n_definitions + 1);
        s->definitions = alloc_array(s->definitions, s->definitions_room, sizeof *s->definitions);
    }
    s->definitions[s->n_definitions++] = *d;
    if (d->what == DEFINE_QUEUE)
        naive_add_queue(s, d->queue)->is_defined = true;
}

static void undefine(struct naive *s, const struct naive_definition *d)
{
    for (size_t i = 0; i < s->n_queues && d->what == DEFINE_QUEUE; i++)
        if (s->queues[i].id == d->queue)
            remove_queue(s, i--);
    for (size_t i = 0; i < s->n_definitions && d->key != 0; i++)
        if (s->definitions[i].what == d->what && s->definitions[i].key == d->key) {
            s->n_definitions--;
            memmove(s->definitions + i, s->definitions + i + 1, (s->n_definitions - i) * sizeof *s->definitions);
        }
}

static void give_back(struct naive_entry *e)
{
    e->is_out = false;
    e->redelivered = true;
    e->deliveries++;
}

void naive_restart(struct naive *s, bool is_suspect)
{
    for (size_t i = 0; i < s->n_queues; i++) {
        struct naive_queue *q = &s->queues[i];
        if (!q->is_defined) {
            remove_queue(s, i--);
            continue;
        }
        for (size_t k = 0; k < q->n; k++)
            if (q->entries[k].is_out)
                give_back(&q->entries[k]);
        for (size_t k = 0; k < q->n && is_suspect; k++)
            q->entries[k].redelivered = true;
    }
}

static void publish(struct naive *s, const struct naive_record *r)
{
    struct naive_queue *from = r->at.queue != 0 ? naive_find(s, r->at.queue) : NULL;
    if (from != NULL)
        remove_entry(from, naive_entry(from, r->at.position));
    for (uint32_t i = 0; i < r->n_places; i++)
        naive_add_entry(naive_add_queue(s, r->places[i].queue), r->places[i].position, r->letter)->wall_ms = r->wall_ms;
}

void naive_apply(struct naive *s, const struct naive_record *r)
{
    struct naive_queue *q = naive_find(s, r->at.queue);
    struct naive_entry *e = naive_entry(q, r->at.position);
    switch (r->kind) {
    case RECORD_DEFINE:
        naive_define(s, &r->definition);
        break;
    case RECORD_UNDEFINE:
        undefine(s, &r->definition);
        break;
    case RECORD_PUBLISH:
        publish(s, r);
        break;
    case RECORD_SETTLE:
        remove_entry(q, e);
        break;
    case RECORD_DELIVER:
        if (e != NULL)
            e->is_out = true;
        break;
    case RECORD_RETURN:
        if (e != NULL)
            give_back(e);
        break;
    case RECORD_PURGE:
        while (q != NULL && q->n > 0 && q->entries[q->n - 1].position >= r->at.position)
            q->n--;
        break;
    case RECORD_TRIM:
        while (q != NULL && q->n > 0 && q->entries[0].position < r->at.position)
            remove_entry(q, &q->entries[0]);
        break;
    case NAIVE_RESTART:
        naive_restart(s, r->is_suspect);
        break;
    default:
        break;
    }
}

/* ---- Comparing. */

static bool entry_differs(const struct naive_entry *found, const struct naive_entry *should, bool is_suspect)
{
    return found->position != should->position || found->letter.number != should->letter.number ||
           found->letter.size != should->letter.size || found->wall_ms != should->wall_ms ||
           found->redelivered != (is_suspect || should->redelivered || should->is_out) ||
           found->deliveries != should->deliveries + should->is_out;
}

static const char *queue_differs(const struct naive_queue *found, const struct naive_queue *should, bool is_suspect)
{
    static char text[160];
    for (size_t i = 0; i < found->n || i < should->n; i++) {
        const struct naive_entry *f = i < found->n ? &found->entries[i] : NULL;
        const struct naive_entry *e = i < should->n ? &should->entries[i] : NULL;
        if (f != NULL && e != NULL && !entry_differs(f, e, is_suspect))
            continue;
        snprintf(text, sizeof text, "queue %llu: found %llu (letter %u, %u times), should be %llu (%u, %u times)",
                 (unsigned long long)found->id, f ? (unsigned long long)f->position : 0, f ? f->letter.number : 0,
                 f ? f->deliveries : 0, e ? (unsigned long long)e->position : 0, e ? e->letter.number : 0,
                 e ? e->deliveries + e->is_out : 0);
        return text;
    }
    if (found->next_position == should->next_position)
        return NULL;
    snprintf(text, sizeof text, "queue %llu: next position %llu, should be %llu", (unsigned long long)found->id,
             (unsigned long long)found->next_position, (unsigned long long)should->next_position);
    return text;
}

static const char *definitions_differ(const struct naive *found, const struct naive *should)
{
    static char text[96];
    if (found->n_definitions != should->n_definitions) {
        snprintf(text, sizeof text, "%zu definitions, should be %zu", found->n_definitions, should->n_definitions);
        return text;
    }
    size_t i = 0;
    for (int what = 0; what < DEFINE_CLASSES; what++)
        for (size_t k = 0; k < should->n_definitions; k++) {
            const struct naive_definition *d = &should->definitions[k], *f = &found->definitions[i];
            if ((int)d->what != what)
                continue;
            i++;
            if (f->what != d->what || f->queue != d->queue || f->key != d->key || f->value != d->value) {
                snprintf(text, sizeof text, "definition %u=%u of class %d, should be %u=%u of class %d", f->key,
                         f->value, f->what, d->key, d->value, d->what);
                return text;
            }
        }
    return NULL;
}

const char *naive_differs(const struct naive *found, const struct naive *should, bool is_suspect)
{
    const char *text = definitions_differ(found, should);
    for (size_t i = 0; i < should->n_queues && text == NULL; i++) {
        const struct naive_queue *q = &should->queues[i], *f = NULL;
        for (size_t k = 0; k < found->n_queues && f == NULL; k++)
            if (found->queues[k].id == q->id)
                f = &found->queues[k];
        if (q->is_defined)
            text = f == NULL ? "a queue is missing" : queue_differs(f, q, is_suspect);
    }
    return text;
}
