#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/table.h"
#include "tests/bench/relay.h"

enum { PROPERTIES_ROOM = 512 };

struct relay_channel *relay_channel(struct relay_conn *c, unsigned channel)
{
    if (channel >= c->channels_room) {
        unsigned room = (unsigned)alloc_grown(c->channels_room, channel + 1);
        c->channels = alloc_array(c->channels, room, sizeof *c->channels);
        memset(c->channels + c->channels_room, 0, (room - c->channels_room) * sizeof *c->channels);
        c->channels_room = room;
    }
    return &c->channels[channel];
}

static struct bytes copy(struct bytes b)
{
    return b.len == 0 ? (struct bytes){0} : bytes_of(alloc_copy(b.at, b.len), b.len);
}

static void drop(struct bytes b)
{
    union {
        const uint8_t *at;
        void *mine;
    } u = {.at = b.at}; /* (what copy() made) */
    free(u.mine);
}

/* ---- Queues and exchanges */

static struct relay_queue *find_queue(const struct relay *r, struct bytes name)
{
    for (struct map_node *n = map_first(&r->queues, hash_bytes(name, 0)); n != NULL; n = map_next(n))
        if (bytes_equal(item_of(n, struct relay_queue, in_map)->name, name))
            return item_of(n, struct relay_queue, in_map);
    return NULL;
}

static struct relay_exchange *find_exchange(const struct relay *r, struct bytes name)
{
    for (struct map_node *n = map_first(&r->exchanges, hash_bytes(name, 0)); n != NULL; n = map_next(n))
        if (bytes_equal(item_of(n, struct relay_exchange, in_map)->name, name))
            return item_of(n, struct relay_exchange, in_map);
    return NULL;
}

static struct relay_queue *make_queue(struct relay *r, struct relay_conn *c, const struct queue_declare *m,
                                      struct bytes name)
{
    struct relay_queue *q = find_queue(r, name);
    if (q != NULL)
        return q;
    q = alloc_zeroed(sizeof *q);
    q->name = copy(name);
    q->auto_delete = m->auto_delete;
    if (m->exclusive) {
        q->owner = c;
        c->owned_queues++;
    }
    map_add(&r->queues, &q->in_map, hash_bytes(name, 0));
    r->version++;
    return q;
}

static void end_consumer(struct relay_consumer *s)
{
    list_remove(&s->in_conn);
    drop(s->tag);
    free(s);
}

static void delete_queue(struct relay *r, struct relay_queue *q)
{
    for (unsigned i = 0; i < q->consumers; i++)
        end_consumer(q->of[i]);
    if (q->owner != NULL)
        q->owner->owned_queues--;
    map_remove(&r->queues, &q->in_map);
    drop(q->name);
    free(q->of);
    free(q);
    r->version++;
}

static void cancel(struct relay *r, struct relay_consumer *s)
{
    struct relay_queue *q = s->queue;
    unsigned i = 0;
    while (q->of[i] != s)
        i++;
    q->of[i] = q->of[--q->consumers];
    q->next = 0;
    end_consumer(s);
    r->version++;
    if (q->consumers == 0 && q->auto_delete)
        delete_queue(r, q);
}

void relay_forget(struct relay *r, struct relay_conn *c)
{
    while (!list_is_empty(&c->consumers))
        cancel(r, item_of(c->consumers.ring.next, struct relay_consumer, in_conn));
    for (struct map_node *n = NULL; c->owned_queues > 0;) {
        struct relay_queue *q = item_of(n = map_walk(&r->queues, n), struct relay_queue, in_map);
        if (q->owner == c) {
            delete_queue(r, q);
            n = NULL;
        }
    }
}

static void declare_exchange(struct relay *r, const struct exchange_declare *m)
{
    if (find_exchange(r, m->exchange) != NULL)
        return;
    struct relay_exchange *x = alloc_zeroed(sizeof *x);
    x->name = copy(m->exchange);
    x->is_fanout = bytes_equal(m->type, BYTES("fanout"));
    x->is_topic = bytes_equal(m->type, BYTES("topic"));
    map_add(&r->exchanges, &x->in_map, hash_bytes(x->name, 0));
    r->version++;
}

static void drop_binding(struct relay_binding *b)
{
    drop(b->key);
    drop(b->queue);
    free(b);
}

static void delete_exchange(struct relay *r, struct bytes name)
{
    struct relay_exchange *x = find_exchange(r, name);
    if (x == NULL)
        return;
    for (struct relay_binding *b = x->bindings, *after; b != NULL; b = after) {
        after = b->next;
        drop_binding(b);
    }
    map_remove(&r->exchanges, &x->in_map);
    drop(x->name);
    free(x);
    r->version++;
}

static bool bind_queue(struct relay *r, struct bytes exchange, struct bytes key, struct bytes queue)
{
    struct relay_exchange *x = find_exchange(r, exchange);
    if (x == NULL)
        return false;
    struct relay_binding *b = alloc(sizeof *b);
    *b = (struct relay_binding){.next = x->bindings, .key = copy(key), .queue = copy(queue)};
    x->bindings = b;
    r->version++;
    return true;
}

static void unbind_queue(struct relay *r, const struct queue_unbind *m)
{
    struct relay_exchange *x = find_exchange(r, m->exchange);
    for (struct relay_binding **at = x == NULL ? NULL : &x->bindings; at != NULL && *at != NULL; at = &(*at)->next) {
        struct relay_binding *b = *at;
        if (!bytes_equal(b->key, m->routing_key) || !bytes_equal(b->queue, m->queue))
            continue;
        *at = b->next;
        drop_binding(b);
        r->version++;
        return;
    }
}

/* ---- Routes */

static struct bytes cut_word(struct bytes *key)
{
    const uint8_t *dot = key->len == 0 ? NULL : memchr(key->at, '.', key->len);
    struct bytes word = bytes_of(key->at, dot == NULL ? key->len : (size_t)(dot - key->at));
    size_t used = dot == NULL ? word.len : word.len + 1;
    *key = bytes_of(key->at + used, key->len - used);
    return word;
}

/* Of topic patterns as much as a benchmark has: words, "*", and "#" as the last word. */
static bool key_matches(struct bytes pattern, struct bytes key, bool is_topic)
{
    if (!is_topic)
        return bytes_equal(pattern, key);
    while (pattern.len > 0 && key.len > 0) {
        struct bytes p = cut_word(&pattern), k;
        if (bytes_equal(p, BYTES("#")))
            return true;
        k = cut_word(&key);
        if (!bytes_equal(p, BYTES("*")) && !bytes_equal(p, k))
            return false;
    }
    return key.len == 0 && (pattern.len == 0 || bytes_equal(pattern, BYTES("#")));
}

static void add_target(struct relay_route *route, struct relay_queue *q)
{
    for (unsigned i = 0; i < route->n; i++)
        if (route->targets[i] == q)
            return;
    if (q == NULL || route->n == RELAY_TARGETS_MAX)
        return;
    if (route->n == route->room) {
        route->room = (unsigned)alloc_grown(route->room, route->n + 1);
        route->targets = alloc_array(route->targets, route->room, sizeof(struct relay_queue *));
    }
    route->targets[route->n++] = q;
}

static void find_targets(const struct relay *r, struct relay_route *route, const struct basic_publish *m)
{
    route->n = 0;
    if (m->exchange.len == 0) {
        add_target(route, find_queue(r, m->routing_key));
        return;
    }
    const struct relay_exchange *x = find_exchange(r, m->exchange);
    for (const struct relay_binding *b = x == NULL ? NULL : x->bindings; b != NULL; b = b->next)
        if (x->is_fanout || key_matches(b->key, m->routing_key, x->is_topic))
            add_target(route, find_queue(r, b->queue));
}

bool relay_find_route(struct relay *r, struct relay_conn *c, const uint8_t *frame, size_t len)
{
    struct relay_route *route = &c->route;
    union method m;
    if (len > RELAY_METHOD_MAX || method_decode(bytes_of(frame + FRAME_HEAD, len - FRAME_OVERHEAD), &m) != METHOD_OK ||
        (frame[1] << 8 | frame[2]) > RELAY_CHANNEL_MAX)
        return false;
    relay_channel(c, (unsigned)(frame[1] << 8 | frame[2]));
    find_targets(r, route, &m.basic_publish);
    memcpy(route->method, frame, len);
    route->method_len = len;
    struct pen p = pen_over(route->tail, sizeof route->tail);
    pen_u8(&p, 0); /* not redelivered */
    pen_shortstr(&p, m.basic_publish.exchange);
    pen_shortstr(&p, m.basic_publish.routing_key);
    pen_u8(&p, FRAME_END);
    route->tail_len = pen_written(&p).len;
    route->version = r->version;
    return true;
}

/* ---- Answers */

static void consume(struct relay *r, struct relay_conn *c, unsigned channel, const struct basic_consume *m)
{
    char name[32];
    struct bytes tag = m->consumer_tag;
    struct relay_queue *q = find_queue(r, m->queue);
    if (tag.len == 0)
        tag = bytes_of(name, (size_t)snprintf(name, sizeof name, "ctag-%llu", (unsigned long long)++r->names));
    if (!m->no_wait)
        relay_put(r, c, channel, &(struct basic_consume_ok){.id = METHOD_basic_consume_ok, .consumer_tag = tag});
    if (q == NULL)
        return;
    struct relay_consumer *s = alloc_zeroed(sizeof *s);
    *s = (struct relay_consumer){.conn = c, .queue = q, .channel = (uint16_t)channel, .tag = copy(tag)};
    struct pen p = pen_over(s->head, sizeof s->head);
    frame_open(&p, FRAME_METHOD, (uint16_t)channel);
    pen_u32(&p, METHOD_basic_deliver);
    pen_shortstr(&p, tag);
    s->head_len = pen_written(&p).len;
    list_append(&c->consumers, &s->in_conn);
    relay_channel(c, channel);
    if (q->consumers == q->room) {
        q->room = (unsigned)alloc_grown(q->room, q->consumers + 1);
        q->of = alloc_array(q->of, q->room, sizeof(struct relay_consumer *));
    }
    q->of[q->consumers++] = s;
    r->version++;
}

static void cancel_by_tag(struct relay *r, struct relay_conn *c, unsigned channel, struct bytes tag)
{
    struct relay_consumer *s;
    list_each (s, &c->consumers, struct relay_consumer, in_conn)
        if (s->channel == channel && bytes_equal(s->tag, tag)) {
            cancel(r, s);
            return;
        }
}

static void declare(struct relay *r, struct relay_conn *c, unsigned channel, const struct queue_declare *m)
{
    char room[32];
    struct bytes name = m->queue;
    if (name.len == 0)
        name = bytes_of(room, (size_t)snprintf(room, sizeof room, "amq.gen-%llu", (unsigned long long)++r->names));
    struct relay_queue *q = make_queue(r, c, m, name);
    if (!m->no_wait)
        relay_put(
            r, c, channel,
            &(struct queue_declare_ok){.id = METHOD_queue_declare_ok, .queue = name, .consumer_count = q->consumers});
}

static void close_channel(struct relay *r, struct relay_conn *c, unsigned channel)
{
    struct relay_consumer *s;
    list_each (s, &c->consumers, struct relay_consumer, in_conn)
        if (s->channel == channel)
            cancel(r, s);
    *relay_channel(c, channel) = (struct relay_channel){0};
}

static void start(struct relay *r, struct relay_conn *c)
{
    uint8_t room[PROPERTIES_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("product"), BYTES("relay"));
    uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
    table_put_bool(&p, BYTES("publisher_confirms"), true);
    table_put_bool(&p, BYTES("basic.nack"), true);
    table_put_bool(&p, BYTES("consumer_cancel_notify"), true);
    table_close(&p, mark);
    relay_put(r, c, 0,
              &(struct connection_start){.id = METHOD_connection_start,
                                         .version_minor = 9,
                                         .server_properties = pen_written(&p),
                                         .mechanisms = BYTES("PLAIN AMQPLAIN"),
                                         .locales = BYTES("en_US")});
}

#define ANSWER(name_) relay_put(r, c, channel, &(struct name_){.id = METHOD_##name_})
#define ANSWER_WITH(name_, ...) relay_put(r, c, channel, &(struct name_){.id = METHOD_##name_, __VA_ARGS__})

static bool hear_connection(struct relay *r, struct relay_conn *c, unsigned channel, const union method *m)
{
    switch ((unsigned)m->id) {
    case METHOD_connection_start_ok:
        ANSWER_WITH(connection_tune, .channel_max = RELAY_CHANNEL_MAX, .frame_max = RELAY_FRAME_MAX);
        return true;
    case METHOD_connection_tune_ok: /* contents go on in the frames they came in */
        if (m->connection_tune_ok.frame_max != RELAY_FRAME_MAX && m->connection_tune_ok.frame_max != 0)
            fprintf(stderr, "relay: frames of %u are not supported\n", m->connection_tune_ok.frame_max);
        return m->connection_tune_ok.frame_max == RELAY_FRAME_MAX || m->connection_tune_ok.frame_max == 0;
    case METHOD_connection_open:
        ANSWER(connection_open_ok);
        return true;
    case METHOD_connection_close:
        ANSWER(connection_close_ok);
        c->is_closing = true;
        return true;
    case METHOD_channel_open:
        ANSWER(channel_open_ok);
        return true;
    case METHOD_channel_close:
        close_channel(r, c, channel);
        ANSWER(channel_close_ok);
        return true;
    case METHOD_channel_flow:
        ANSWER_WITH(channel_flow_ok, .active = m->channel_flow.active);
        return true;
    case METHOD_confirm_select:
        relay_channel(c, channel)->confirms = true;
        if (!m->confirm_select.no_wait)
            ANSWER(confirm_select_ok);
        return true;
    default:
        return false;
    }
}

static bool hear_topology(struct relay *r, struct relay_conn *c, unsigned channel, const union method *m)
{
    struct relay_queue *q;
    switch ((unsigned)m->id) {
    case METHOD_exchange_declare:
        declare_exchange(r, &m->exchange_declare);
        if (!m->exchange_declare.no_wait)
            ANSWER(exchange_declare_ok);
        return true;
    case METHOD_exchange_delete:
        delete_exchange(r, m->exchange_delete.exchange);
        if (!m->exchange_delete.no_wait)
            ANSWER(exchange_delete_ok);
        return true;
    case METHOD_queue_declare:
        declare(r, c, channel, &m->queue_declare);
        return true;
    case METHOD_queue_bind:
        if (!bind_queue(r, m->queue_bind.exchange, m->queue_bind.routing_key, m->queue_bind.queue))
            return false;
        if (!m->queue_bind.no_wait)
            ANSWER(queue_bind_ok);
        return true;
    case METHOD_queue_unbind:
        unbind_queue(r, &m->queue_unbind);
        ANSWER(queue_unbind_ok);
        return true;
    case METHOD_queue_purge:
        if (!m->queue_purge.no_wait)
            ANSWER(queue_purge_ok);
        return true;
    case METHOD_queue_delete:
        if ((q = find_queue(r, m->queue_delete.queue)) != NULL)
            delete_queue(r, q);
        if (!m->queue_delete.no_wait)
            ANSWER(queue_delete_ok);
        return true;
    default:
        return hear_connection(r, c, channel, m);
    }
}

static bool hear(struct relay *r, struct relay_conn *c, unsigned channel, const union method *m)
{
    switch ((unsigned)m->id) {
    case METHOD_basic_ack:
    case METHOD_basic_nack:
    case METHOD_basic_reject:
    case METHOD_connection_close_ok:
    case METHOD_channel_close_ok:
        return true;
    case METHOD_basic_qos:
        ANSWER(basic_qos_ok);
        return true;
    case METHOD_basic_consume:
        consume(r, c, channel, &m->basic_consume);
        return true;
    case METHOD_basic_cancel:
        cancel_by_tag(r, c, channel, m->basic_cancel.consumer_tag);
        if (!m->basic_cancel.no_wait)
            ANSWER_WITH(basic_cancel_ok, .consumer_tag = m->basic_cancel.consumer_tag);
        return true;
    case METHOD_basic_get:
        ANSWER(basic_get_empty);
        return true;
    default:
        return hear_topology(r, c, channel, m);
    }
}

bool relay_hear(struct relay *r, struct relay_conn *c, const struct frame *f)
{
    union method m;
    if (f == NULL) {
        start(r, c);
        return true;
    }
    if (f->type == FRAME_HEARTBEAT || c->is_closing)
        return true;
    if (f->type == FRAME_METHOD && f->channel <= RELAY_CHANNEL_MAX && method_decode(f->payload, &m) == METHOD_OK) {
        if (hear(r, c, f->channel, &m))
            return true;
        fprintf(stderr, "relay: what is %s here?\n", method_find(m.id)->name);
    }
    return false;
}
