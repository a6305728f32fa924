#define _GNU_SOURCE
/* MOVE: messages from one queue to where an administrator wants them (broker/port/move.h). */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/model/carry.h"
#include "broker/model/cold.h"
#include "broker/model/commands.h"
#include "broker/model/exchange.h"
#include "broker/model/history.h"
#include "broker/model/pick.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/rights.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/move.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { KEYS_ROOM = 4096 }; /* bytes of routing keys beyond the first */

struct moving {
    struct broker *b;
    struct move *m;
    struct vhost *vhost;
    struct queue *from;
    struct exchange *exchange; /* NULL: each to where it came from */
    struct access *access;     /* of the user who asks; NULL: the machine's administrator */
    size_t places;             /* filled */
};

/* ---- One message. */

static void stop(struct moving *g, char *why)
{
    free(g->m->stopped);
    g->m->stopped = why;
    g->m->is_over = true;
}

/* The message as it is to arrive.  That it was moved is nobody's death: the rule against cycles begins anew. */
static struct message *rewrite(const struct moving *g, const struct message *old, const struct last_death *death)
{
    uint8_t room[KEYS_ROOM];
    const struct move *m = g->m;
    struct message_spec spec = {.exchange = message_exchange(old),
                                .routing_key = message_key(old),
                                .properties = message_properties(old),
                                .expiration_ms = message_expiration_ms(old),
                                .flags = old->flags,
                                .priority = old->priority};
    if (m->to == MOVE_TO_QUEUE || (m->to == MOVE_TO_EXCHANGE && m->key.at != NULL)) {
        spec.exchange = g->exchange->name;
        spec.routing_key = m->key;
    } else if (m->to == MOVE_TO_EXCHANGE) {
        spec.exchange = g->exchange->name;
        spec.extra_keys = message_extra_keys(old);
        spec.cc_count = message_cc_count(old);
    } else if (death->has_names) {
        spec.exchange = death->exchange;
        spec.routing_key = death->key;
        spec.cc_count = (uint16_t)history_read_keys(death->more_keys, room, sizeof room, &spec.extra_keys);
    }
    uint8_t *stripped = NULL;
    if (m->drops_history) {
        stripped = history_strip(spec.properties, &spec.properties.len);
        spec.properties.at = stripped;
    }
    struct message *msg = message_create_with_body(&spec, (struct message *)(uintptr_t)old);
    free(stripped);
    return msg;
}

/* Where it goes: the queue that it came from, or what the exchange says. */
static size_t find_places(struct moving *g, struct message *msg, const struct last_death *death, struct queue **origin,
                          struct queue *const **queues)
{
    struct broker *b = g->b;
    struct exchange *x = g->exchange;
    if (g->m->to == MOVE_TO_ORIGIN) {
        *origin = vhost_find_queue(b, g->vhost, death->queue);
        *queues = origin;
        return *origin != NULL;
    }
    if (g->m->to == MOVE_TO_ORIGIN_EXCHANGE)
        x = death->has_names ? vhost_find_exchange(b, g->vhost, death->exchange) : NULL;
    if (x == NULL)
        return 0;
    struct routing routing = {.key = message_key(msg), .extra_keys = message_extra_keys(msg), .msg = msg};
    routing.is_held = true; /* it is no duplicate of itself */
    const struct route *route = route_message(b, x, &routing);
    *queues = route->queues;
    return route->n;
}

static void refuse_full(struct moving *g, const struct queue *full)
{
    char *name = queue_describe(full);
    stop(g, str_format("%s has no room for more", name));
    free(name);
}

static void refuse_unroutable(struct moving *g, const struct message *msg)
{
    char *name = exchange_describe(g->exchange);
    stop(g, str_format("%s routes a message with routing key '%.*s' nowhere", name, BYTES_ARG(message_key(msg))));
    free(name);
}

/* NULL, or why the user may not publish it there. */
static char *refuse_publish(const struct moving *g, const struct exchange *x, const struct message *msg)
{
    if (g->access == NULL || x == NULL)
        return NULL;
    char *why = rights_refuse_right(g->b, g->access, RIGHT_WRITE, RESOURCE_EXCHANGE, x->name);
    return why != NULL ? why : rights_refuse_keys(g->b, g->access, x, msg);
}

/* The exchange that it goes through: for what goes back into its queue it is the default one. */
static const struct exchange *exchange_for(const struct moving *g, const struct last_death *death)
{
    if (g->m->to == MOVE_TO_ORIGIN)
        return g->vhost->default_exchange;
    if (g->m->to == MOVE_TO_ORIGIN_EXCHANGE)
        return death->has_names ? vhost_find_exchange(g->b, g->vhost, death->exchange) : NULL;
    return g->exchange;
}

/* Does it have these headers? */
static bool has_headers(const struct message *msg, struct bytes wanted)
{
    struct properties p;
    struct cursor c = cursor_over(wanted);
    struct field want, has;
    if (wanted.len == 0)
        return true;
    if (!properties_decode(message_properties(msg), &p) || !properties_has(&p, PROPERTY_headers))
        return false;
    while (table_next(&c, &want))
        if (!table_find(p.headers, want.key, &has) || !field_equal_value(&want, &has))
            return false;
    return true;
}

static bool has_in_body(const struct message *msg, struct bytes wanted)
{
    uint8_t room[MOVE_MATCH_BYTES];
    size_t len = 0;
    if (wanted.len == 0)
        return true;
    struct body_walk w = message_walk(msg);
    for (struct bytes b; len < sizeof room && (b = body_walk_next(&w)).len > 0;) {
        size_t n = b.len < sizeof room - len ? b.len : sizeof room - len;
        memcpy(room + len, b.at, n);
        len += n;
    }
    return memmem(room, len, wanted.at, wanted.len) != NULL;
}

static bool is_meant(const struct move *m, const struct message *msg)
{
    return (m->match_key.at == NULL || bytes_equal(m->match_key, message_key(msg))) &&
           has_headers(msg, m->match_headers) && has_in_body(msg, m->match_body);
}

/* False: it must stay, and nothing goes on behind it. */
static bool move_one(struct moving *g, struct entry *e)
{
    struct move *m = g->m;
    struct last_death death = {0};
    struct queue *origin, *full, *const *queues = NULL;
    bool goes_back = g->exchange == NULL;
    if (!is_meant(m, e->msg)) {
        m->kept++;
        return true;
    }
    if (m->to == MOVE_TO_NOTHING) {
        m->moved++;
        m->bytes += e->msg->body_size;
        queue_take_out(g->b, g->from, e);
        entry_end(g->b, e);
        return true;
    }
    if (goes_back && !history_find_last(message_properties(e->msg), &death)) {
        m->kept++;
        return true;
    }
    if (m->is_rehearsal) {
        m->moved++;
        m->bytes += e->msg->body_size;
        return true;
    }
    struct message *msg = rewrite(g, e->msg, &death);
    char *denied = refuse_publish(g, exchange_for(g, &death), msg);
    if (denied != NULL) {
        message_unref(msg);
        stop(g, denied);
        return false;
    }
    size_t n = find_places(g, msg, &death, &origin, &queues);
    bool stays = n == 0, fits = carry_has_room(queues, n, msg, &full);
    if (stays && !goes_back)
        refuse_unroutable(g, msg);
    if (!fits)
        refuse_full(g, full);
    if (stays || !fits) {
        message_unref(msg);
        m->kept += stays && goes_back;
        return stays && goes_back;
    }
    m->moved++;
    m->bytes += e->msg->body_size;
    g->places += n;
    queue_take_out(g->b, g->from, e);
    carry_over(g->b, e, msg, queues, n);
    return true;
}

/* ---- All of it. */

/* Nothing in memory is left to look at. */
static void look_behind(struct moving *g)
{
    struct queue *q = g->from;
    if (q->cold.count == 0 || q->cold.from >= g->m->end)
        g->m->is_over = true;
    else if (q->ready_count - q->cold.count > MOVE_KEPT_MAX)
        stop(g, str_format("%u messages stay and fill the memory before those that are behind them", MOVE_KEPT_MAX));
    else if (cold_want(g->b, q))
        g->m->is_waiting = true;
}

static bool is_enough(const struct moving *g, uint64_t limit)
{
    return g->m->moved >= limit || g->places >= MOVE_PLACES_MAX;
}

static void move_some(struct moving *g)
{
    struct picked p;
    struct move *m = g->m;
    uint64_t limit = m->limit > 0 && m->limit < MOVES_MAX ? m->limit : MOVES_MAX;
    pick_next(g->b, g->from, m->position, m->end, &p);
    unsigned looked = 0;
    for (; looked < p.n && !is_enough(g, limit); looked++) {
        struct entry *e = p.at[looked];
        uint64_t next = e->position + 1;
        if (e->expires_at <= g->b->now.ms)
            queue_mark_dirty(g->b, g->from); /* it dies instead */
        else if (!move_one(g, e))
            return;
        m->position = next;
    }
    if (looked == p.n && p.n < PICK_MAX)
        look_behind(g);
}

static bool fail(struct broker *b, const struct command *c, enum reason reason, char *text)
{
    broker_fail(b, c, reason, text);
    return false;
}

/* What it takes to take them out, and to bring them where they all go. */
static bool is_permitted(struct broker *b, const struct command *c, struct moving *g)
{
    const struct move *m = c->move;
    char *why = NULL;
    if (m->user.at == NULL)
        return true;
    g->access = access_find(g->vhost, m->user);
    if (g->access == NULL)
        why = str_format("access to vhost '%.*s' refused for user '%.*s'", BYTES_ARG(m->vhost), BYTES_ARG(m->user));
    else
        why = rights_refuse_right(b, g->access, RIGHT_READ, RESOURCE_QUEUE, m->queue);
    bool has_exchange = m->to != MOVE_TO_NOTHING && m->to != MOVE_TO_ORIGIN_EXCHANGE;
    if (why == NULL && has_exchange)
        why = rights_refuse_right(b, g->access, RIGHT_WRITE, RESOURCE_EXCHANGE,
                                  m->to == MOVE_TO_EXCHANGE ? m->exchange : BYTES(""));
    return why == NULL || fail(b, c, g->access == NULL ? NO_ACCESS : DENIED, why);
}

static bool find_source(struct broker *b, const struct command *c, struct moving *g)
{
    const struct move *m = c->move;
    g->vhost = vhost_find(b, m->vhost);
    if (g->vhost == NULL)
        return fail(b, c, NO_SUCH_VHOST, str_format("vhost '%.*s' does not exist", BYTES_ARG(m->vhost)));
    if (!is_permitted(b, c, g))
        return false;
    g->from = vhost_find_queue(b, g->vhost, m->queue);
    if (g->from == NULL)
        return fail(b, c, NO_SUCH_QUEUE,
                    str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(m->queue), BYTES_ARG(m->vhost)));
    char *name = queue_describe(g->from), *why = NULL;
    bool is_stream = g->from->options->type == QUEUE_STREAM;
    if (is_stream)
        why = str_format("%s is a stream: nothing is taken out of it", name);
    else if (g->from->owner != NULL)
        why = str_format("%s is exclusive to a connection: only that may take messages out", name);
    free(name);
    return why == NULL || fail(b, c, is_stream ? BAD_ARGUMENT : LOCKED, why);
}

static bool find_destination(struct broker *b, const struct command *c, struct moving *g)
{
    const struct move *m = c->move;
    if (m->to == MOVE_TO_ORIGIN || m->to == MOVE_TO_ORIGIN_EXCHANGE || m->to == MOVE_TO_NOTHING)
        return true;
    if (m->key.len > HISTORY_NAME_MAX)
        return fail(b, c, BAD_ARGUMENT, str_format("a routing key has at most %d bytes", HISTORY_NAME_MAX));
    g->exchange = vhost_find_exchange(b, g->vhost, m->to == MOVE_TO_QUEUE ? BYTES("") : m->exchange);
    if (g->exchange == NULL)
        return fail(b, c, NO_SUCH_EXCHANGE,
                    str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(m->exchange), BYTES_ARG(m->vhost)));
    if (m->to == MOVE_TO_QUEUE && vhost_find_queue(b, g->vhost, m->key) == NULL)
        return fail(b, c, NO_SUCH_QUEUE,
                    str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(m->key), BYTES_ARG(m->vhost)));
    if (m->to == MOVE_TO_QUEUE && bytes_equal(m->key, m->queue))
        return fail(b, c, BAD_ARGUMENT, str_copy(BYTES("the messages are in that queue already")));
    return true;
}

void command_move(struct broker *b, struct command *c)
{
    struct move *m = c->move;
    struct moving g = {.b = b, .m = m};
    b->changed = 0;
    if (!find_source(b, c, &g) || !find_destination(b, c, &g)) {
        move_destroy(m);
        return;
    }
    if (m->end == 0)
        m->end = g.from->next_position;
    m->moved = m->bytes = m->kept = 0;
    m->is_over = m->is_waiting = false;
    free(m->stopped);
    m->stopped = NULL;
    if ((b->alarms | b->alarms_outside) != 0)
        stop(&g, str_copy(BYTES("a resource alarm is on: nothing is published until it clears")));
    else if (b->cold.behind > 0)
        m->is_waiting = true;
    else
        move_some(&g);
    broker_finish(b);
    remember_changed(b);
    broker_done(b, c, NULL)->done.move = m;
}
