#include "tests/sim/world_state.h"
#include "tests/unit/guest.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "broker/port/message.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum { GATHER_MAX = 16, SETTLE_ROUNDS = 20000 };

/* ---- The whole. */

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
                                  .scroll = w->scroll,
                                  .topology = &w->topology,
                                  .now = &w->now.ms,
                                  .publishers = &w->publishers,
                                  .is_heavy = rng_one_in(&w->rng, 12),
                                  .likes_log = rng_one_in(&w->rng, 4),
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
    w->scroll = scroll_create(&w->topology, w->ledger);
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
    scroll_destroy(w->scroll);
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

struct scroll *world_scroll(struct world *w)
{
    return w->scroll;
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

/* ---- Sockets. */

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
    memset(conn->told_to_end, 0, sizeof conn->told_to_end);
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
void world_close_socket(struct world *w, struct conn *conn)
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
    world_close_socket(w, conn);
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
            world_close_socket(w, conn);
        else if (conn->client != NULL && conn->client->state == CLIENT_CLOSED && buf_len(&conn->client->up) == 0 &&
                 !(wants & SESSION_WRITE))
            world_close_socket(w, conn); /* after close-ok, the client closes */
        if (conn->client == NULL && session_is_over(conn->session)) {
            session_destroy(conn->session);
            conn->session = NULL;
        }
    }
}

/* ---- When it is to be quiet. */

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
    moved |= w->storage == NULL ? world_sync(w, true) : world_keep_all(w);
    for (unsigned i = 0; i <= CLIENTS; i++)
        moved |= world_download(w, i, true);
    world_look(w);
    return moved;
}

void world_settle(struct world *w)
{
    for (unsigned i = 0; i <= CLIENTS; i++)
        w->clients[i].is_reading = true;
    for (unsigned round = 0; move_all(w); round++)
        if (round == SETTLE_ROUNDS)
            verdict_fail("the world does not come to rest");
    for (unsigned round = 0; move_all(w); round++) /* who was closed last may take more than a step to go */
        if (round == SETTLE_ROUNDS)
            verdict_fail("the world does not come to rest");
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
