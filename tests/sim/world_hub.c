#include "tests/sim/world_state.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "tests/sim/history.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

/* ---- Hub. */

bool world_post(struct world *w, unsigned loop)
{
    struct loop *l = &w->loops[loop];
    for (unsigned i = 0; i < CONNS; i++)
        if (w->conns[i].session != NULL && w->conns[i].loop == loop)
            session_turn(w->conns[i].session);
    struct batch *b = outbox_take(&l->outbox);
    if (b == NULL)
        return false;
    if (l->first != NULL) {
        l->last->next = b;
        mark_hit(MARK_deep_pipeline);
    } else {
        l->first = b;
    }
    for (l->last = b; l->last->next != NULL;)
        l->last = l->last->next;
    return true;
}

/* A command that may end consumers. */
static void spy_end(struct world *w, struct conn *conn, const struct command *c)
{
    CHECK(c->from.stream < STREAMS);
    for (unsigned i = 0; i < STREAMS; i++)
        if (c->verb == DETACH || (c->from.stream == i && (c->verb == UNSUBSCRIBE || c->verb == RESET)))
            conn->told_to_end[i] = w->steps;
}

static bool may_be_over(const struct world *w)
{
    for (const struct conn *conn = w->conns; conn < w->conns + CONNS; conn++)
        if (conn->session != NULL && conn->number == w->active.connection)
            return conn->told_to_end[w->active.stream] >= w->active.since;
    return true;
}

/* Only one consumer of it is given anything, until it ends (queue-features 5.4). */
static void check_active(struct world *w, const struct conn *conn, const struct event *e)
{
    if (w->active.connection == conn->number && w->active.consumer == e->delivered.consumer)
        return;
    if (w->active.connection != 0 && !may_be_over(w))
        verdict_fail("connection %u was given a message of single, whose active consumer is of connection %u",
                     conn->number, w->active.connection);
    if (w->active.connection != 0)
        mark_hit(MARK_handed_over);
    w->active.connection = conn->number;
    w->active.consumer = e->delivered.consumer;
    w->active.stream = e->to.stream;
    w->active.since = w->steps;
}

/* What the model is about to be told, as far as the ledger must know it. */
static void spy(struct world *w, const struct command *c)
{
    if (c->verb == LOADED)
        return; /* from nobody */
    struct conn *conn = &w->conns[c->from.outlet.slot];
    verdict_note("    model: verb %d of connection %u, stream %u", (int)c->verb, conn->number, c->from.stream);
    spy_end(w, conn, c);
    if (c->verb == SUBSCRIBE && c->subscribe.consumer < NUMBERS)
        conn->queue_of[c->subscribe.consumer] =
            topology_find(&w->topology, c->subscribe.spec->name.at, c->subscribe.spec->name.len);
    else if (c->verb == WINDOW)
        conn->window += (int64_t)c->window.bytes;
    else if (c->verb == GET)
        *GROW(conn->gets, conn->n_gets) = (struct asked_get){
            .stream = c->from.stream, .queue = topology_find(&w->topology, c->spec->name.at, c->spec->name.len)};
    else if (c->verb == RESET)
        *GROW(conn->gets, conn->n_gets) = (struct asked_get){.stream = c->from.stream, .is_reset = true};
}

static void account_window(struct conn *conn, const struct message *m)
{
    if (conn->window <= 0)
        verdict_fail("connection %u was sent more than its window", conn->number);
    conn->window -= (int64_t)message_window_cost(m);
    if (conn->window <= 0)
        mark_hit(MARK_window_stall);
}

static void handed_out(struct world *w, struct conn *conn, const struct event *e, uint8_t queue)
{
    struct message *m = e->delivered.msg;
    struct cursor body = cursor_over(message_body(m, 0));
    struct handout h = {.message = cursor_u32(&body),
                        .generation = history_count(message_properties(m)),
                        .connection = conn->number,
                        .queue = queue,
                        .redelivered = e->delivered.redelivered,
                        .no_ack = e->delivered.no_ack};
    if (queue == NO_QUEUE)
        verdict_fail("message %u was handed out from nowhere", h.message);
    verdict_note("    model: message %u of %s goes to connection %u", h.message, w->topology.queues[queue].name,
                 conn->number);
    w->trace = hash_mix(w->trace, (uint64_t)h.message << 32 | (uint64_t)queue << 8 | h.redelivered);
    if (queue != Q_LOG) /* which keeps it: see scroll.h */
        ledger_handed_out(w->ledger, &h, w->now.ms);
}

/* Takes the oldest GET of the event's stream, or (is_reset) all up to the RESET that is answered. */
static uint8_t take_get(struct conn *conn, const struct event *e, bool is_reset)
{
    size_t i = 0;
    while (i < conn->n_gets) {
        struct asked_get g = conn->gets[i];
        if (g.stream != e->to.stream) {
            i++;
            continue;
        }
        if (g.is_reset && !is_reset)
            break;
        memmove(&conn->gets[i], &conn->gets[i + 1], (--conn->n_gets - i) * sizeof g);
        if (g.is_reset == is_reset)
            return g.queue;
    }
    return NO_QUEUE;
}

static void line_add(struct line_of_events *l, const struct event *e)
{
    if (l->head == l->end)
        l->head = l->end = 0;
    if (l->end == l->capacity) {
        l->capacity = alloc_grown(l->capacity, l->end + 1);
        l->at = alloc_array(l->at, l->capacity, sizeof *l->at);
    }
    l->at[l->end++] = *e;
}

/* Without a disk some confirms wait all the same, and what comes after them does not wait for them. */
void world_pass_on(struct world *w, struct event *e)
{
    struct conn *conn = &w->conns[e->to.outlet.slot];
    bool is_over = conn->session == NULL || conn->generation != e->to.outlet.generation || conn->is_detached;
    if (is_over && e->what == DONE && e->verb == LOGIN) { /* it hung up before it was told whether it may come in */
        event_drop(e);
        return;
    }
    if (is_over)
        verdict_fail("an event for a connection that is over");
    if (conn->client == NULL)
        mark_hit(MARK_late_events);
    conn->is_detached = e->what == DETACHED;
    if (w->storage == NULL && e->what == CONFIRMED && rng_one_in(&w->rng, 2))
        line_add(&w->gate, e);
    else
        line_add(&w->loops[conn->loop].events, e);
}

bool world_sync(struct world *w, bool all)
{
    size_t n = w->gate.end - w->gate.head;
    if (n == 0)
        return false;
    for (n = all ? n : 1 + rng_below(&w->rng, (uint32_t)n); n > 0; n--) {
        struct event *e = &w->gate.at[w->gate.head++];
        struct conn *conn = &w->conns[e->to.outlet.slot];
        if (conn->session == NULL || conn->generation != e->to.outlet.generation || conn->is_detached)
            event_drop(e);
        else
            line_add(&w->loops[conn->loop].events, e);
        mark_hit(MARK_late_confirm);
    }
    return true;
}

static void look_at(struct world *w, const struct event *e)
{
    struct conn *conn = &w->conns[e->to.outlet.slot];
    if (e->what == DELIVERED) {
        account_window(conn, e->delivered.msg);
        if (conn->queue_of[e->delivered.consumer] == Q_SINGLE)
            check_active(w, conn, e);
        handed_out(w, conn, e, conn->queue_of[e->delivered.consumer]);
    } else if (e->what == GOT) {
        handed_out(w, conn, e, take_get(conn, e, false));
    } else if (e->what == EMPTY) {
        take_get(conn, e, false);
    } else if (e->what == DONE && e->verb == RESET) {
        take_get(conn, e, true);
    }
}

static void tell_alarms(struct world *w, unsigned alarms)
{
    if (alarms != 0)
        mark_hit(MARK_blocked);
    w->alarms = alarms;
    for (unsigned i = 0; i < CONNS; i++)
        if (w->conns[i].session != NULL)
            session_alarm(w->conns[i].session, alarms, w->now.ms);
}

void world_commands(struct world *w, struct command *commands, size_t n)
{
    struct effects *e = &w->effects;
    struct instant now = {.ms = w->now.ms - w->boot_ms, .wall_ms = w->now.wall_ms};
    w->steps++;
    for (size_t i = 0; i < n; i++)
        spy(w, &commands[i]);
    broker_step(w->broker, &now, commands, n, e);
    if (w->check)
        broker_check(w->broker);
    if (e->records.n > 0)
        w->position = e->records.last;
    ledger_position(w->ledger, w->position);
    for (size_t i = 0; i < e->n; i++)
        look_at(w, &e->events[i]);
    if (w->storage != NULL) {
        storage_keep(w->storage, &e->records);
        e->n = gate_hold(&w->real_gate, e->events, e->n);
    }
    for (size_t i = 0; i < e->n; i++)
        world_pass_on(w, &e->events[i]);
    if (e->alarms_changed)
        tell_alarms(w, e->alarms);
    effects_clear(e);
}

bool world_step(struct world *w, unsigned loop)
{
    struct loop *l = &w->loops[loop];
    struct batch *b = l->first;
    if (b == NULL)
        return false;
    l->first = b->next;
    world_commands(w, b->commands, b->n);
    outbox_give(&l->outbox, b);
    return true;
}

bool world_expire(struct world *w)
{
    if (broker_deadline(w->broker) > w->now.ms - w->boot_ms)
        return false;
    world_commands(w, NULL, 0);
    return true;
}

bool world_hand(struct world *w, unsigned loop, bool all)
{
    struct loop *l = &w->loops[loop];
    size_t n = l->events.end - l->events.head;
    if (n == 0)
        return false;
    if (!all)
        n = 1 + rng_below(&w->rng, (uint32_t)n);
    while (n-- > 0) {
        struct event e = l->events.at[l->events.head++];
        session_event(w->conns[e.to.outlet.slot].session, &e, w->now.ms);
    }
    return true;
}
