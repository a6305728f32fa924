#include "tests/sim/world_state.h"

#include <stdlib.h>

#include "broker/port/load.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

/* ---- The disk. */

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
        world_commands(w, NULL, 0);
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
        world_pass_on(w, &e);
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
        world_commands(w, &c, 1);
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
bool world_keep_all(struct world *w)
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

/* ---- Brokers end, and others begin. */

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
            world_close_socket(w, conn);
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
           a->messages_ready + a->messages_out - a->messages_read != b->messages_ready ||
           a->messages_delayed != b->messages_delayed;
}

/* The storage and the ledger learn that the broker has ended, and time goes by without one. */
static void go_down(struct world *w, uint64_t durable, bool is_clean)
{
    uint64_t ended = w->now.ms;
    storage_crash(w->storage);
    world_pass(w, rng_below(&w->rng, 300));
    ledger_crash(w->ledger, durable, is_clean, ended, w->now.ms);
}

/* was: what there was, if all of that must be there again; NULL: some of it may be lost. */
static void begin_again(struct world *w, const struct broker_totals *was)
{
    w->broker = storage_open(w->storage, &w->broker_config);
    gate_init(&w->real_gate, 0);
    w->position = 0;
    ledger_position(w->ledger, 0);
    w->boot_ms = w->now.ms - rng_below(&w->rng, 1000);
    w->lives++;
    w->active.connection = 0;
    w->alarms = 0;
    struct broker_totals t = broker_totals(w->broker);
    if (was != NULL && totals_differ(was, &t))
        verdict_fail("there were %llu queues, %llu exchanges, %llu bindings, %llu messages and %llu delayed ones; now "
                     "%llu, %llu, %llu, %llu and %llu",
                     (unsigned long long)was->queues, (unsigned long long)was->exchanges,
                     (unsigned long long)was->bindings, (unsigned long long)(was->messages_ready + was->messages_out),
                     (unsigned long long)was->messages_delayed, (unsigned long long)t.queues,
                     (unsigned long long)t.exchanges, (unsigned long long)t.bindings,
                     (unsigned long long)t.messages_ready, (unsigned long long)t.messages_delayed);
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
    go_down(w, durable, false);
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
    go_down(w, UINT64_MAX, true);
    begin_again(w, w->is_exact ? &was : NULL);
}
