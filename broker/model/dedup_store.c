/* How keys outlive the broker: see dedup.h.  In the journal a store is a durable queue named amq.keys.NUMBER, whose
 * arguments say whose it is; each of its messages has a key for its routing key, and nothing else. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/cold.h"
#include "broker/model/dedup_state.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "broker/port/record.h"
#include "broker/port/spec.h"
#include "codec/cursor.h"
#include "codec/table.h"

enum { KEY_BYTES = 16, ARGUMENTS_ROOM = 512 };

#define OF_EXCHANGE "x-keys-of-exchange"
#define OF_QUEUE "x-keys-of-queue"
#define SECRET "x-keys-secret"
#define STORE_PREFIX "amq.keys."

struct held {
    struct link in_held;
    struct command attach;
};

void dedup_state_init(struct dedup_state *d)
{
    map_init(&d->stores);
    list_init(&d->wanting);
    list_init(&d->held);
}

static void store_free(struct broker *b, struct key_store *s)
{
    map_remove(&b->dedup.stores, &s->in_stores);
    free(s->spec);
    free(s);
}

void dedup_state_fini(struct broker *b)
{
    struct map_node *n;
    struct held *h;
    list_each (h, &b->dedup.held, struct held, in_held) {
        struct command c = h->attach;
        list_remove(&h->in_held);
        free(h);
        command_drop(&c);
    }
    while ((n = map_walk(&b->dedup.stores, NULL)) != NULL)
        store_free(b, item_of(n, struct key_store, in_stores));
    map_fini(&b->dedup.stores);
}

static struct key_store *store_find(const struct broker *b, uint64_t id)
{
    for (struct map_node *n = map_first(&b->dedup.stores, hash_mix(id, 0)); n != NULL; n = map_next(n)) {
        struct key_store *s = item_of(n, struct key_store, in_stores);
        if (s->id == id)
            return s;
    }
    return NULL;
}

static struct key_store *store_add(struct broker *b, uint64_t id)
{
    struct key_store *s = alloc_zeroed(sizeof *s);
    s->id = id;
    map_add(&b->dedup.stores, &s->in_stores, hash_mix(id, 0));
    return s;
}

/* ---- Writing. */

static struct spec *describe(const struct dedup *d, uint64_t id)
{
    uint8_t room[ARGUMENTS_ROOM], secret[KEY_BYTES];
    struct pen p = pen_over(room, sizeof room), s = pen_over(secret, sizeof secret);
    pen_u64(&s, d->secret[0]);
    pen_u64(&s, d->secret[1]);
    if (d->queue != NULL)
        table_put_string(&p, BYTES(OF_QUEUE), d->queue->name);
    else
        table_put_string(&p, BYTES(OF_EXCHANGE), d->exchange->name);
    table_put_string(&p, BYTES(SECRET), pen_written(&s));
    char *name = str_format(STORE_PREFIX "%llu", (unsigned long long)id);
    struct spec *spec = spec_create(&(struct spec){
        .name = bytes_of_string(name), .arguments = pen_written(&p), .durable = true, .options = queue_options_none});
    free(name);
    return spec;
}

void dedup_store_key(struct broker *b, struct dedup *d, struct dedup_key *k, const struct dedup_pending *p)
{
    uint8_t key[KEY_BYTES];
    struct pen pen = pen_over(key, sizeof key);
    if (d->store == NULL) {
        d->store = store_add(b, b->next_queue_id++);
        d->store->cache = d;
        d->store->vhost = d->vhost;
        d->store->spec = describe(d, d->store->id);
        remember_store(b, RECORD_DEFINE, d->vhost->name, d->store->id, d->store->spec);
    }
    pen_u64(&pen, p->hash[0]);
    pen_u64(&pen, p->hash[1]);
    struct message *msg = message_create(&(struct message_spec){.routing_key = pen_written(&pen),
                                                                .properties = BYTES("\0\0"),
                                                                .flags = MESSAGE_PERSISTENT,
                                                                .expiration_ms = MESSAGE_NO_EXPIRATION});
    k->position = d->store->next_position++;
    k->is_stored = true;
    remember_key(b, d->store->id, k->position, msg, p->ttl_ms);
}

void dedup_store_remove(struct broker *b, struct key_store *s)
{
    if (s->spec != NULL)
        remember_store(b, RECORD_UNDEFINE, s->vhost->name, s->id, s->spec);
    s->cache = NULL;
    free(s->spec);
    s->spec = NULL;
    if (!s->is_loading)
        store_free(b, s);
}

/* ---- Restoring. */

bool dedup_restore(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec)
{
    struct field f;
    bool is_one = bytes_start_with(spec->name, BYTES(STORE_PREFIX)) && table_find(spec->arguments, BYTES(SECRET), &f) &&
                  f.type == 'S' && f.bytes.len == KEY_BYTES && store_find(b, id) == NULL;
    if (!is_one)
        return false;
    struct key_store *s = store_add(b, id);
    s->vhost = v;
    s->spec = spec_create(spec);
    return true;
}

bool dedup_restore_count(struct broker *b, uint64_t id, uint64_t messages, uint64_t next_position)
{
    struct key_store *s = store_find(b, id);
    if (s == NULL || s->next_position > 0)
        return false;
    s->restored = messages;
    s->next_position = next_position;
    return true;
}

static struct dedup *find_owner(struct broker *b, const struct key_store *s)
{
    struct field f;
    struct dedup *d = NULL;
    if (table_find(s->spec->arguments, BYTES(OF_EXCHANGE), &f) && f.type == 'S') {
        struct exchange *x = vhost_find_exchange(b, s->vhost, f.bytes);
        d = x != NULL ? x->dedup : NULL;
    } else if (table_find(s->spec->arguments, BYTES(OF_QUEUE), &f) && f.type == 'S') {
        struct queue *q = vhost_find_queue(b, s->vhost, f.bytes);
        d = q != NULL ? q->dedup : NULL;
    }
    return d != NULL && d->keeps && d->store == NULL ? d : NULL;
}

static void begin_learning(struct broker *b, struct dedup *d)
{
    d->is_learning = true;
    b->dedup.learners++;
    d->vhost->learners++;
    list_append(&b->dedup.wanting, &d->wanting);
}

void dedup_end_learning(struct broker *b, struct dedup *d)
{
    if (!d->is_learning)
        return;
    if (d->is_loading) {
        struct key_store *s = d->store != NULL ? d->store : store_add(b, d->queue->id); /* for what is still to come */
        s->is_loading = true;
    }
    d->is_learning = false;
    b->dedup.learners--;
    d->vhost->learners--;
    list_remove(&d->wanting);
    if (d->queue != NULL && d->is_by_queue) {
        d->queue->cold.is_held = false;
        if (!d->queue->gone)
            cold_look(b, d->queue);
    }
}

static void adopt(struct broker *b, struct key_store *s)
{
    struct dedup *d = find_owner(b, s);
    struct field f;
    if (d == NULL) {
        dedup_store_remove(b, s);
        return;
    }
    d->store = s;
    s->cache = d;
    CHECK(table_find(s->spec->arguments, BYTES(SECRET), &f) && f.bytes.len == KEY_BYTES);
    struct cursor c = cursor_over(f.bytes);
    d->secret[0] = cursor_u64(&c);
    d->secret[1] = cursor_u64(&c);
    if (s->restored > 0)
        begin_learning(b, d);
}

static void adopt_all(struct broker *b)
{
    bool again;
    do { /* a map that shrinks under a walk may leave some for the next one */
        again = false;
        for (struct map_node *n = map_walk(&b->dedup.stores, NULL), *next; n != NULL; n = next) {
            struct key_store *s = item_of(n, struct key_store, in_stores);
            next = map_walk(&b->dedup.stores, n);
            if (s->cache == NULL) {
                adopt(b, s);
                again = true;
            }
        }
    } while (again);
}

bool dedup_is_to_begin(const struct broker *b)
{
    return !b->dedup.has_begun && (b->dedup.stores.count > 0 || b->dedup.queues > 0);
}

void dedup_begin_learning(struct broker *b)
{
    b->dedup.has_begun = true;
    if (b->dedup.stores.count > 0)
        adopt_all(b);
    for (struct map_node *n = b->dedup.queues > 0 ? map_walk(&b->queues_by_id, NULL) : NULL; n != NULL;
         n = map_walk(&b->queues_by_id, n)) {
        struct queue *q = item_of(n, struct queue, in_ids);
        if (q->dedup == NULL || !q->dedup->is_by_queue || q->cold.count == 0)
            continue;
        q->cold.is_held = true;
        list_remove(&q->cold.wanting);
        q->dedup->learn_from = q->cold.from;
        begin_learning(b, q->dedup);
    }
}

/* ---- Learning. */

bool dedup_is_due(const struct broker *b)
{
    return !list_is_empty(&b->dedup.wanting) && b->dedup.loads < DEDUP_LOADS_MAX;
}

void dedup_ask(struct broker *b)
{
    while (dedup_is_due(b)) {
        struct dedup *d = item_of(b->dedup.wanting.ring.next, struct dedup, wanting);
        list_remove(&d->wanting);
        d->is_loading = true;
        b->dedup.loads++;
        remember_load_from(b, d->is_by_queue ? d->queue->id : d->store->id, d->learn_from, DEDUP_LOAD_MESSAGES,
                           DEDUP_LOAD_BYTES);
    }
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* When a stored key has had its time: as with messages (cold.c), the wall clock may have jumped. */
static uint64_t key_deadline(const struct broker *b, const struct load_entry *le)
{
    if (le->ttl_ms == PLACE_NO_TTL)
        return DEDUP_FOREVER;
    uint64_t end = sum(le->written_ms, le->ttl_ms);
    uint64_t left = end > b->now.wall_ms ? end - b->now.wall_ms : 0;
    return sum(b->now.ms, left < le->ttl_ms ? left : le->ttl_ms);
}

static void learn_stored(struct broker *b, struct dedup *d, const struct load_entry *le)
{
    uint64_t hash[2];
    struct cursor c = cursor_over(message_key(le->msg));
    hash[0] = cursor_u64(&c);
    hash[1] = cursor_u64(&c);
    uint64_t expires_at = key_deadline(b, le);
    if (c.bad || le->position >= d->store->next_position)
        return;
    if (expires_at <= b->now.ms || dedup_find_key(b, d, hash) != NULL)
        remember_key_gone(b, d->store->id, le->position);
    else
        dedup_add_key(b, d, hash, expires_at, le->position)->is_stored = true;
}

static void learn_from_message(struct broker *b, struct dedup *d, const struct load_entry *le)
{
    uint64_t hash[2];
    if (dedup_reads_key(d, le->msg, hash) && dedup_find_key(b, d, hash) == NULL)
        dedup_add_key(b, d, hash, DEDUP_FOREVER, le->position);
}

static void learn_load(struct broker *b, struct dedup *d, const struct load *l)
{
    uint64_t next = d->learn_from;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct load_entry *le = &l->entries[i];
        if (le->position < next)
            continue; /* nonsense */
        next = le->position + 1;
        if (d->is_by_queue)
            learn_from_message(b, d, le);
        else
            learn_stored(b, d, le);
    }
    next = l->next > next ? l->next : next;
    bool is_end = l->is_end || next == d->learn_from; /* one that has not moved on would be asked for again, for ever */
    d->learn_from = next;
    if (is_end || (d->is_by_queue && d->queue->cold.count == 0))
        dedup_end_learning(b, d);
    else
        list_append(&b->dedup.wanting, &d->wanting);
}

bool dedup_take_load(struct broker *b, struct load *l)
{
    struct key_store *s = b->dedup.loads > 0 ? store_find(b, l->queue) : NULL;
    struct queue *q = b->dedup.loads > 0 && s == NULL ? queue_find_by_id(b, l->queue) : NULL;
    struct dedup *d = s != NULL ? s->cache : q != NULL ? q->dedup : NULL;
    if (s == NULL && d != NULL && !d->is_by_queue)
        return false; /* what it learns from is its store: this is the queue's own */
    bool is_orphan = s != NULL && d == NULL;
    if (!is_orphan && (d == NULL || !d->is_loading))
        return false;
    b->dedup.loads--;
    if (is_orphan) {
        store_free(b, s);
    } else {
        d->is_loading = false;
        learn_load(b, d, l);
    }
    load_destroy(l);
    return true;
}

/* ---- Who has to wait for it. */

static bool is_learned(const struct broker *b, const struct command *attach)
{
    const struct vhost *v = vhost_find(b, attach->spec->name);
    return v == NULL || v->learners == 0;
}

bool dedup_holds(struct broker *b, const struct command *attach)
{
    if (b->dedup.learners == 0 || is_learned(b, attach))
        return false;
    struct held *h = alloc(sizeof *h);
    h->attach = *attach;
    list_append(&b->dedup.held, &h->in_held);
    return true;
}

bool dedup_next_held(struct broker *b, struct command *attach)
{
    struct held *h;
    list_each (h, &b->dedup.held, struct held, in_held) {
        if (!is_learned(b, &h->attach))
            continue;
        *attach = h->attach;
        list_remove(&h->in_held);
        free(h);
        return true;
    }
    return false;
}

void dedup_drop_held(struct broker *b, outlet_id id)
{
    struct held *h;
    list_each (h, &b->dedup.held, struct held, in_held) {
        if (h->attach.from.outlet.slot != id.slot || h->attach.from.outlet.generation != id.generation)
            continue;
        struct command c = h->attach;
        list_remove(&h->in_held);
        free(h);
        command_drop(&c);
    }
}
