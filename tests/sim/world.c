#include "tests/sim/world.h"
#include "tests/unit/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/session.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "broker/model/broker.h"
#include "broker/net/gate.h"
#include "broker/port/batch.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "tests/sim/history.h"
#include "tests/sim/marks.h"
#include "tests/sim/storage.h"
#include "tests/sim/verdict.h"

enum { GATHER_MAX = 16, NUMBERS = 4096, SETTLE_ROUNDS = 20000 };

/* Which queue an answer to GET is from: that of the oldest command of its stream that is not answered. */
struct asked_get {
    uint16_t stream;
    uint8_t queue;
    bool is_reset; /* or a RESET: what was asked before it is answered before it, or never */
};

struct conn {
    struct session *session; /* owned; NULL: the slot is free */
    struct client *client;   /* borrowed; NULL once the socket is closed */
    uint32_t generation, number;
    unsigned loop;
    struct buf in;             /* came out of the socket, not taken yet */
    bool is_detached;          /* its last event has been sent */
    int64_t window;            /* what the model may still send */
    uint8_t queue_of[NUMBERS]; /* consumers' queues, by the session's number */
    struct asked_get *gets;    /* owned: oldest first */
    size_t n_gets;
};

/* Events on their way, oldest first. */
struct line_of_events {
    struct event *at; /* owned */
    size_t head, end, capacity;
};

struct loop {
    struct outbox outbox;
    struct batch *first, *last; /* owned: posted, oldest first */
    struct line_of_events events;
};

struct world {
    struct rng rng, names;
    struct topology topology;
    struct ledger *ledger; /* owned */
    struct client clients[CLIENTS + 1];
    struct conn conns[CONNS];
    struct conn *of_client[CLIENTS + 1]; /* NULL: none */
    struct loop loops[LOOPS];
    struct session_config config;
    struct broker *broker; /* owned */
    struct effects effects;
    struct instant now;
    uint32_t connections, publishers;
    uint64_t trace;
    struct line_of_events gate; /* confirms that wait for a disk which is not there */
    bool check;

    /* With a disk. */
    struct storage *storage; /* owned; NULL: there is none */
    struct broker_config broker_config;
    struct gate real_gate;
    uint64_t position; /* records so far, of this broker */
    uint64_t boot_ms;  /* when it began */
    unsigned lives, alarms;
    bool is_exact; /* all is durable: what was there is there again */
};

/* --- the whole */

static enum login let_in(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms)
{
    (void)arg;
    (void)now;
    (void)delay_ms;
    return bytes_equal(l->user, l->password) ? LOGIN_OK : LOGIN_REFUSED;
}

static void make_random(void *arg, void *to, size_t n)
{
    struct world *w = arg;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)rng_next(&w->names);
}

static void clients_init(struct world *w)
{
    struct client_world shared = {.rng = &w->rng,
                                  .ledger = w->ledger,
                                  .topology = &w->topology,
                                  .now = &w->now.ms,
                                  .publishers = &w->publishers,
                                  .is_heavy = rng_one_in(&w->rng, 12),
                                  .is_mixed = w->storage != NULL && !w->is_exact,
                                  .likes = w->storage != NULL ? (uint8_t)rng_below(&w->rng, 3) : MODE_PLAIN};
    for (unsigned i = 0; i <= CLIENTS; i++)
        client_init(&w->clients[i], i, &shared);
}

static void begin_with_disk(struct world *w)
{
    w->is_exact = rng_one_in(&w->rng, 2);
    w->topology.queues[Q_PASSING].is_durable = w->is_exact || rng_one_in(&w->rng, 2);
    w->broker_config.window_bytes = 1 + rng_below(&w->rng, 4000);
    w->broker_config.window_messages = 1 + rng_below(&w->rng, 8);
    w->broker_config.window_queue_bytes = 1 + rng_below(&w->rng, 4000);
    w->storage = storage_create(&w->rng);
}

struct world *world_create(uint64_t seed, bool has_disk, bool check)
{
    struct world *w = alloc_zeroed(sizeof *w);
    w->rng.state = seed;
    w->names.state = ~seed;
    w->check = check;
    w->lives = 1;
    topology_init(&w->topology, &w->rng);
    w->ledger = ledger_create(&w->topology);
    w->now = (struct instant){.ms = 1000, .wall_ms = UINT64_C(1700000000000)};
    w->broker_config = (struct broker_config){.default_vhost = "/", .hash_seed = seed, .memory_high = UINT64_MAX};
    if (has_disk)
        begin_with_disk(w);
    clients_init(w);
    w->broker = has_disk ? storage_open(w->storage, &w->broker_config) : broker_create(&w->broker_config);
    if (!has_disk)
        guest_let_in(w->broker);
    gate_init(&w->real_gate, 0);
    effects_init(&w->effects);
    for (unsigned i = 0; i < LOOPS; i++)
        outbox_init(&w->loops[i].outbox);
    w->config = (struct session_config){
        .channel_max = 2047,
        .frame_max = 131072,
        .max_message_size = 1 << 24,
        .handshake_timeout_ms = UINT64_C(1) << 40,
        .product = "RabbitMQ",
        .version = "3.13.7",
        .broker_version = "sim",
        .cluster_name = "sim",
        .mechanisms = SASL_PLAIN,
        .login = let_in,
        .random = make_random,
        .arg = w,
    };
    return w;
}

void world_destroy(struct world *w)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        outbox_fini(&w->loops[i].outbox);
        free(w->loops[i].events.at);
    }
    free(w->gate.at);
    gate_fini(&w->real_gate);
    for (unsigned i = 0; i <= CLIENTS; i++)
        client_fini(&w->clients[i]);
    for (unsigned i = 0; i < CONNS; i++) {
        buf_fini(&w->conns[i].in);
        free(w->conns[i].gets);
    }
    effects_fini(&w->effects);
    broker_destroy(w->broker);
    storage_destroy(w->storage);
    ledger_destroy(w->ledger);
    free(w);
}

struct rng *world_rng(struct world *w)
{
    return &w->rng;
}

struct ledger *world_ledger(struct world *w)
{
    return w->ledger;
}

struct client *world_client(struct world *w, unsigned number)
{
    return &w->clients[number];
}

uint64_t world_now(const struct world *w)
{
    return w->now.ms;
}

uint64_t world_trace(const struct world *w)
{
    return w->storage == NULL ? w->trace : hash_mix(w->trace, storage_trace(w->storage));
}

void world_pass(struct world *w, uint64_t ms)
{
    w->now.ms += ms;
    w->now.wall_ms += ms;
}

/* --- sockets */

bool world_connect(struct world *w, unsigned client)
{
    unsigned slot = 0;
    while (slot < CONNS && w->conns[slot].session != NULL)
        slot++;
    if (w->of_client[client] != NULL || slot == CONNS)
        return false;
    struct conn *conn = &w->conns[slot];
    conn->generation++;
    conn->number = ++w->connections;
    conn->loop = rng_below(&w->rng, LOOPS);
    conn->client = &w->clients[client];
    conn->window = WINDOW_BYTES;
    conn->is_detached = false;
    conn->n_gets = 0;
    conn->session = session_create(&w->config, (outlet_id){.slot = slot, .generation = conn->generation},
                                   &(struct session_peer){.name = "client -> sim", .is_loopback = true},
                                   &w->loops[conn->loop].outbox, w->now.ms);
    if (w->alarms != 0)
        session_alarm(conn->session, w->alarms, w->now.ms);
    w->of_client[client] = conn;
    client_connect(conn->client, conn->number);
    return true;
}

static bool feed(struct world *w, struct conn *conn)
{
    if (buf_len(&conn->in) == 0 || !(session_wants(conn->session) & SESSION_READ))
        return false;
    size_t used = session_feed(conn->session, buf_view(&conn->in), w->now.ms);
    if (used < buf_len(&conn->in))
        mark_hit(MARK_split_frame);
    buf_drop(&conn->in, used);
    return used > 0;
}

bool world_upload(struct world *w, unsigned client, bool all)
{
    struct conn *conn = w->of_client[client];
    if (conn == NULL)
        return false;
    struct buf *up = &conn->client->up;
    size_t n = buf_len(up);
    if (n > 0 && !all)
        n = 1 + rng_below(&w->rng, rng_one_in(&w->rng, 2) ? (uint32_t)n : n < 64 ? (uint32_t)n : 64);
    buf_add(&conn->in, bytes_of(buf_view(up).at, n));
    buf_drop(up, n);
    return feed(w, conn) || n > 0;
}

bool world_download(struct world *w, unsigned client, bool all)
{
    struct iovec iov[GATHER_MAX];
    struct conn *conn = w->of_client[client];
    if (conn == NULL || !conn->client->is_reading)
        return false;
    session_turn(conn->session);
    int n = session_gather(conn->session, iov, GATHER_MAX);
    size_t room = all || rng_one_in(&w->rng, 3) ? SIZE_MAX : 1 + rng_below(&w->rng, 3000), taken = 0;
    for (int i = 0; i < n && room > 0; i++) {
        size_t some = iov[i].iov_len < room ? iov[i].iov_len : room;
        struct bytes piece = bytes_of(iov[i].iov_base, some);
        buf_add(&conn->client->down, piece);
        w->trace = hash_mix(w->trace, hash_bytes(piece, conn->number));
        taken += some;
        room -= some;
    }
    if (taken == 0)
        return false;
    session_wrote(conn->session, taken);
    client_read(conn->client);
    return true;
}

/* The socket is closed, by whomever. */
static void close_socket(struct world *w, struct conn *conn)
{
    ledger_connection_ends(w->ledger, conn->number);
    w->of_client[conn->client->number] = NULL;
    session_lost(conn->session);
    client_lost(conn->client);
    conn->client = NULL;
    buf_clear(&conn->in);
}

/* The client is cut off: what it had sent arrives up to a point. */
static void cut(struct world *w, struct conn *conn)
{
    struct client *c = conn->client;
    size_t sent = buf_len(&c->up);
    for (unsigned i = 0; i < CHANNELS; i++)
        if (c->channels[i].held_count > 0)
            mark_hit(MARK_drop_with_unacked);
    if (session_wants(conn->session) & SESSION_WRITE)
        mark_hit(MARK_drop_unread);
    if (sent > 0 && rng_one_in(&w->rng, 2)) {
        world_upload(w, c->number, false);
        if (buf_len(&conn->in) > 0)
            mark_hit(MARK_drop_mid_frame);
    }
    verdict_note("client %u drops", c->number);
    close_socket(w, conn);
}

void world_look(struct world *w)
{
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn *conn = &w->conns[i];
        if (conn->session == NULL)
            continue;
        if (session_deadline(conn->session) <= w->now.ms)
            session_tick(conn->session, w->now.ms);
        unsigned wants = session_wants(conn->session);
        if (conn->client != NULL && conn->client->wants_to_drop)
            cut(w, conn);
        else if (conn->client != NULL && (wants & SESSION_ABORT || (wants & SESSION_CLOSE && !(wants & SESSION_WRITE))))
            close_socket(w, conn);
        else if (conn->client != NULL && conn->client->state == CLIENT_CLOSED && buf_len(&conn->client->up) == 0 &&
                 !(wants & SESSION_WRITE))
            close_socket(w, conn); /* after close-ok, the client closes */
        if (conn->client == NULL && session_is_over(conn->session)) {
            session_destroy(conn->session);
            conn->session = NULL;
        }
    }
}

/* --- hub */

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

/* What the model is about to be told, as far as the ledger must know it. */
static void spy(struct world *w, const struct command *c)
{
    if (c->verb == LOADED)
        return; /* from nobody */
    struct conn *conn = &w->conns[c->from.outlet.slot];
    verdict_note("    model: verb %d of connection %u, stream %u", (int)c->verb, conn->number, c->from.stream);
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
static void pass_on(struct world *w, struct event *e)
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

static void step(struct world *w, struct command *commands, size_t n)
{
    struct effects *e = &w->effects;
    struct instant now = {.ms = w->now.ms - w->boot_ms, .wall_ms = w->now.wall_ms};
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
        pass_on(w, &e->events[i]);
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
    step(w, b->commands, b->n);
    outbox_give(&l->outbox, b);
    return true;
}

bool world_expire(struct world *w)
{
    if (broker_deadline(w->broker) > w->now.ms - w->boot_ms)
        return false;
    step(w, NULL, 0);
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

/* --- the disk */

bool world_has_disk(const struct world *w)
{
    return w->storage != NULL;
}

unsigned world_lives(const struct world *w)
{
    return w->lives;
}

/* Something moved in the storage; it may have been the end. */
static bool after(struct world *w, bool moved)
{
    if (storage_is_dead(w->storage))
        world_crash(w);
    return moved;
}

bool world_append(struct world *w, bool all)
{
    return storage_append(w->storage, all);
}

bool world_write(struct world *w)
{
    bool moved = after(w, storage_write(w->storage)), is_full = storage_is_full(w->storage);
    if (is_full != (w->alarms != 0)) {
        broker_set_alarm(w->broker, ALARM_DISK, is_full);
        step(w, NULL, 0);
    }
    return moved;
}

bool world_sync_begin(struct world *w)
{
    return storage_begin(w->storage);
}

bool world_sync_run(struct world *w)
{
    return storage_run(w->storage);
}

static void let_go(struct world *w)
{
    struct event e;
    gate_open(&w->real_gate, storage_durable(w->storage), storage_durable_changes(w->storage));
    while (gate_take(&w->real_gate, &e)) {
        pass_on(w, &e);
        mark_hit(MARK_late_confirm);
    }
}

bool world_sync_end(struct world *w)
{
    bool moved = storage_end(w->storage);
    if (moved && !storage_is_dead(w->storage))
        let_go(w);
    return after(w, moved);
}

bool world_tend(struct world *w)
{
    return after(w, storage_tend(w->storage));
}

bool world_load(struct world *w, bool all)
{
    struct load *l;
    bool moved = false;
    while ((all || !moved) && (l = storage_take_load(w->storage)) != NULL) {
        struct command c = {.verb = LOADED, .load = l};
        step(w, &c, 1);
        moved = true;
    }
    return moved;
}

void world_trouble(struct world *w)
{
    storage_trouble(w->storage);
}

void world_calm(struct world *w)
{
    storage_calm(w->storage);
    after(w, true);
}

/* All that the disk has to do, now. */
static bool keep_all(struct world *w)
{
    unsigned life = w->lives;
    bool moved = world_append(w, true);
    moved |= world_write(w);
    moved |= world_load(w, true);
    for (unsigned i = 0; i < 2 && life == w->lives; i++) {
        moved |= world_sync_begin(w);
        moved |= world_sync_run(w);
        moved |= world_sync_end(w);
    }
    if (life == w->lives)
        world_tend(w);
    return moved || life != w->lives;
}

/* --- when it is to be quiet */

static bool move_all(struct world *w)
{
    bool moved = false;
    for (unsigned i = 0; i <= CLIENTS; i++)
        moved |= world_upload(w, i, true);
    for (unsigned i = 0; i < LOOPS; i++) {
        moved |= world_post(w, i);
        moved |= world_step(w, i);
        moved |= world_hand(w, i, true);
    }
    moved |= world_expire(w);
    moved |= w->storage == NULL ? world_sync(w, true) : keep_all(w);
    for (unsigned i = 0; i <= CLIENTS; i++)
        moved |= world_download(w, i, true);
    world_look(w);
    return moved;
}

static void drop_batches(struct loop *l)
{
    for (struct batch *b = l->first, *next; b != NULL; b = next) {
        next = b->next;
        for (unsigned i = 0; i < b->n; i++)
            command_drop(&b->commands[i]);
        free(b);
    }
    l->first = NULL;
    for (; l->events.head < l->events.end; l->events.head++)
        event_drop(&l->events.at[l->events.head]);
    outbox_fini(&l->outbox);
    outbox_init(&l->outbox);
}

/* The process is gone, and all its sockets. */
static void lose_all(struct world *w)
{
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn *conn = &w->conns[i];
        if (conn->session == NULL)
            continue;
        if (conn->client != NULL)
            close_socket(w, conn);
        session_event(conn->session,
                      &(struct event){.what = DETACHED, .to.outlet = {.slot = i, .generation = conn->generation}},
                      w->now.ms);
        session_destroy(conn->session);
        conn->session = NULL;
    }
    for (unsigned i = 0; i < LOOPS; i++)
        drop_batches(&w->loops[i]);
    gate_fini(&w->real_gate);
    broker_destroy(w->broker);
}

static bool totals_differ(const struct broker_totals *a, const struct broker_totals *b)
{
    return a->queues != b->queues || a->exchanges != b->exchanges || a->bindings != b->bindings ||
           a->messages_ready + a->messages_out != b->messages_ready;
}

/* was: what there was, if all of that must be there again; NULL: some of it may be lost. */
static void begin_again(struct world *w, const struct broker_totals *was)
{
    world_pass(w, rng_below(&w->rng, 300));
    w->broker = storage_open(w->storage, &w->broker_config);
    gate_init(&w->real_gate, 0);
    w->position = 0;
    ledger_position(w->ledger, 0);
    w->boot_ms = w->now.ms - rng_below(&w->rng, 1000);
    w->lives++;
    w->alarms = 0;
    struct broker_totals t = broker_totals(w->broker);
    if (was != NULL && totals_differ(was, &t))
        verdict_fail("there were %llu queues, %llu exchanges, %llu bindings, %llu messages; now %llu, %llu, %llu, %llu",
                     (unsigned long long)was->queues, (unsigned long long)was->exchanges,
                     (unsigned long long)was->bindings, (unsigned long long)(was->messages_ready + was->messages_out),
                     (unsigned long long)t.queues, (unsigned long long)t.exchanges, (unsigned long long)t.bindings,
                     (unsigned long long)t.messages_ready);
    if (w->check)
        broker_check(w->broker);
}

void world_crash(struct world *w)
{
    uint64_t durable = storage_durable(w->storage);
    struct broker_totals was = broker_totals(w->broker);
    bool is_all = w->is_exact && durable == w->position;
    verdict_note("the broker ends: durable up to %llu of %llu", (unsigned long long)durable,
                 (unsigned long long)w->position);
    if (durable == w->position)
        mark_hit(MARK_crash_all_durable);
    lose_all(w);
    ledger_crash(w->ledger, durable, false);
    storage_crash(w->storage);
    begin_again(w, is_all ? &was : NULL);
}

void world_stop(struct world *w)
{
    unsigned life;
    world_calm(w);
    life = w->lives;
    broker_shut_down(w->broker);
    for (unsigned i = 0; i < CONNS; i++)
        if (w->conns[i].session != NULL) {
            if (w->conns[i].client != NULL)
                client_expect_end(w->conns[i].client);
            session_force_close(w->conns[i].session, "broker forced connection closure with reason 'shutdown'",
                                w->now.ms);
        }
    world_settle(w);
    for (unsigned i = 0; i <= CLIENTS; i++)
        w->clients[i].wants_to_drop = w->of_client[i] != NULL; /* one that lingers */
    world_settle(w);
    if (life != w->lives)
        return; /* the store had failed before, and has noticed now */
    CHECK(world_connections(w) == 0);
    struct broker_totals was = broker_totals(w->broker);
    if (!storage_close(w->storage))
        verdict_fail("the store cannot be closed");
    mark_hit(MARK_stopped);
    verdict_note("the broker stops");
    lose_all(w);
    ledger_crash(w->ledger, UINT64_MAX, true);
    storage_crash(w->storage);
    begin_again(w, w->is_exact ? &was : NULL);
}

void world_settle(struct world *w)
{
    for (unsigned i = 0; i <= CLIENTS; i++)
        w->clients[i].is_reading = true;
    for (unsigned round = 0; move_all(w); round++)
        if (round == SETTLE_ROUNDS)
            verdict_fail("the world does not come to rest");
    move_all(w);
}

unsigned world_connections(const struct world *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CONNS; i++)
        n += w->conns[i].session != NULL && &w->conns[i] != w->of_client[AUDITOR];
    return n;
}

void world_check_empty(const struct world *w)
{
    struct broker_totals t = broker_totals(w->broker);
    if (t.messages_ready != 0 || t.messages_out != 0 || t.consumers != 0 || t.message_bytes != 0 || t.outlets > 1)
        verdict_fail("the model still has %llu messages ready, %llu out, %llu bytes, %llu consumers, %llu clients",
                     (unsigned long long)t.messages_ready, (unsigned long long)t.messages_out,
                     (unsigned long long)t.message_bytes, (unsigned long long)t.consumers,
                     (unsigned long long)t.outlets);
}
