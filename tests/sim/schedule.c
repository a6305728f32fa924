#include "tests/sim/schedule.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"
#include "tests/sim/world.h"

enum happening_kind {
    ACT,
    CONNECT,
    UPLOAD,
    DOWNLOAD,
    POST,
    STEP,
    HAND,
    EXPIRE,
    SYNC,
    PASS,
    WAKE,
    REST,
    APPEND, /* from here on with a disk */
    WRITE,
    SYNC_BEGIN,
    SYNC_RUN,
    SYNC_END,
    TEND,
    LOAD,
    KEEP, /* all of these, one after the other, up to some point */
    NOTE,
    KINDS
};

struct schedule {
    struct world *world;
    unsigned weights[KINDS]; /* this run's own: some hubs are slow, some clients are busy */
    unsigned total;
    uint32_t calamity_in; /* steps; 0: never */
};

static void schedule_init(struct schedule *s, struct world *w)
{
    static const unsigned usual[KINDS] = {
        [ACT] = 40,       [CONNECT] = 10, [UPLOAD] = 40,  [DOWNLOAD] = 40, [POST] = 30, [STEP] = 30,  [HAND] = 30,
        [EXPIRE] = 10,    [SYNC] = 10,    [PASS] = 10,    [WAKE] = 4,      [REST] = 1,  [APPEND] = 6, [WRITE] = 6,
        [SYNC_BEGIN] = 6, [SYNC_RUN] = 6, [SYNC_END] = 6, [TEND] = 6,      [LOAD] = 6,  [KEEP] = 20,  [NOTE] = 10};
    s->world = w;
    s->total = 0;
    s->calamity_in = world_has_disk(w) ? 30U << rng_below(world_rng(w), 5) : 0;
    for (unsigned i = 0; i < KINDS; i++) {
        s->weights[i] = usual[i];
        if (i >= APPEND && !world_has_disk(w))
            s->weights[i] = 0;
        else if (i == SYNC && world_has_disk(w))
            s->weights[i] = 0;
        else if (i != REST)
            s->weights[i] = 1 + usual[i] * (1 + rng_below(world_rng(w), 8)) / 4;
        s->total += s->weights[i];
    }
}

/* ---- The quiet world. */

/* The auditor is there, and nothing bad happens until something else does. */
static void calm(struct world *w)
{
    struct client *auditor = world_client(w, AUDITOR);
    unsigned life;
    do {
        life = world_lives(w);
        if (world_has_disk(w))
            world_calm(w);
        world_connect(w, AUDITOR);
        world_settle(w);
    } while (life != world_lives(w));
    if (auditor->channels[0].state == CHANNEL_NONE)
        channel_start(auditor, &auditor->channels[0]);
    world_settle(w);
}

/* Who reads the stream has read what is there, or is at its limit. */
static void audit_log(struct world *w)
{
    struct client *auditor = world_client(w, AUDITOR);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (auditor->world.topology->queues[Q_LOG].keep_bytes == 0 &&
            client_log_waits(world_client(w, i), auditor->seen_counts[Q_LOG]))
            verdict_fail("client %u waits for what is in the stream", i);
}

static void audit_queue(struct world *w, uint8_t q)
{
    struct client *auditor = world_client(w, AUDITOR);
    uint32_t ready = auditor->seen_counts[q], most = 0;
    unsigned consumers = 0, hungry = 0;
    bool is_single = auditor->world.topology->queues[q].is_single;
    for (unsigned i = 0; i < CLIENTS; i++)
        client_count_consumers(world_client(w, i), q, &consumers, &hungry);
    if (hungry > 0)
        mark_hit(MARK_quiet_check);
    if (is_single && consumers > 1)
        mark_hit(MARK_single_waits);
    /* Which of them is active cannot be known from outside: if all could take more, it could. */
    if (ready > 0 && (is_single ? hungry == consumers && hungry > 0 : hungry > 0))
        verdict_fail("%u messages wait in queue %u, and %u consumers wait for them", ready, q, hungry);
    most = auditor->world.topology->queues[q].max_length;
    if (most > 0 && !auditor->world.topology->queues[q].refuses && ready > most)
        verdict_fail("queue %u holds %u messages, its limit is %u", q, ready, most);
}

/* Lets everything arrive, and looks: every answer is there, nobody waits in vain. */
static void rest(struct world *w)
{
    struct client *auditor = world_client(w, AUDITOR);
    calm(w);
    for (unsigned i = 0; i <= CLIENTS; i++)
        client_check_quiet(world_client(w, i));
    for (uint8_t q = 0; q < QUEUE_COUNT; q++)
        if (q != Q_PASSING)
            client_ask_passive(auditor, q);
    world_settle(w);
    for (uint8_t q = 0; q < QUEUE_COUNT; q++)
        if (q != Q_PASSING && q != Q_LOG)
            audit_queue(w, q);
    audit_log(w);
}

/* ---- A step. */

enum { ACTS_AT_ONCE = 6 };

/* The first client, from a random one on, that this moves something for. */
static void for_some_client(struct world *w, bool (*move)(struct world *w, unsigned client, bool all), bool all)
{
    unsigned n = world_has_disk(w) ? CLIENTS + 1 : CLIENTS; /* else the auditor comes when all is quiet */
    unsigned from = rng_below(world_rng(w), n);
    for (unsigned i = 0; i < n; i++)
        if (move(w, (from + i) % n, all))
            return;
}

static bool act(struct world *w, unsigned client, bool busy)
{
    struct client *c = world_client(w, client);
    if (client == AUDITOR)
        return false;
    unsigned n = busy ? 1 + rng_below(world_rng(w), ACTS_AT_ONCE) : 1;
    if (c->state != CLIENT_OPEN)
        return false;
    while (n-- > 0)
        client_act(c);
    return true;
}

static void wake(struct world *w, struct client *c)
{
    (void)w;
    if (!c->is_reading)
        mark_hit(MARK_paused);
    c->is_reading = true;
}

static void happen_in_loop(struct world *w, enum happening_kind kind)
{
    unsigned from = rng_below(world_rng(w), LOOPS);
    bool all = rng_one_in(world_rng(w), 3), moved = false;
    for (unsigned i = 0; i < LOOPS && !moved; i++) {
        unsigned loop = (from + i) % LOOPS;
        if (kind == POST)
            moved = world_post(w, loop);
        else
            moved = kind == STEP ? world_step(w, loop) : world_hand(w, loop, all);
    }
}

static void keep(struct world *w)
{
    static bool (*const moves[])(struct world * w) = {world_write, world_sync_begin, world_sync_run, world_sync_end};
    unsigned life = world_lives(w);
    world_append(w, true);
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        if (life != world_lives(w) || rng_one_in(world_rng(w), 8))
            return;
        moves[i](w);
    }
    if (life == world_lives(w))
        world_load(w, true);
}

static void happen_on_disk(struct world *w, enum happening_kind kind)
{
    switch ((int)kind) {
    case KEEP:
        keep(w);
        break;
    case NOTE:
        if (!world_connect(w, AUDITOR))
            client_note(world_client(w, AUDITOR));
        break;
    case APPEND:
        world_append(w, rng_one_in(world_rng(w), 2));
        break;
    case WRITE:
        world_write(w);
        break;
    case SYNC_BEGIN:
        world_sync_begin(w);
        break;
    case SYNC_RUN:
        world_sync_run(w);
        break;
    case SYNC_END:
        world_sync_end(w);
        break;
    case TEND:
        world_tend(w);
        break;
    case LOAD:
        world_load(w, false);
        break;
    }
}

/* The broker ends, or will. */
static void calamity(struct world *w)
{
    uint32_t what = rng_below(world_rng(w), 8);
    if (what < 3)
        world_crash(w);
    else if (what < 7)
        world_trouble(w);
    else
        world_stop(w);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (rng_one_in(world_rng(w), 2))
            world_connect(w, i);
}

static void happen(struct schedule *s)
{
    struct world *w = s->world;
    struct rng *r = world_rng(w);
    unsigned at = rng_below(r, s->total), kind = 0;
    if (s->calamity_in > 0 && rng_one_in(r, s->calamity_in)) {
        calamity(w);
        return;
    }
    for (; at >= s->weights[kind]; kind++)
        at -= s->weights[kind];
    switch ((int)kind) {
    case ACT:
        for_some_client(w, act, rng_one_in(r, 2));
        break;
    case CONNECT:
        world_connect(w, rng_below(r, CLIENTS));
        break;
    case UPLOAD:
        for_some_client(w, world_upload, rng_one_in(r, 3));
        break;
    case DOWNLOAD:
        for_some_client(w, world_download, false);
        break;
    case POST:
    case STEP:
    case HAND:
        happen_in_loop(w, (enum happening_kind)kind);
        break;
    case EXPIRE:
        world_expire(w);
        break;
    case SYNC:
        world_sync(w, false);
        break;
    case PASS:
        world_pass(w, rng_one_in(r, 8) ? rng_below(r, 400) : rng_below(r, 20));
        break;
    case WAKE:
        wake(w, world_client(w, rng_below(r, CLIENTS)));
        break;
    case REST:
        rest(w);
        break;
    default:
        happen_on_disk(w, (enum happening_kind)kind);
        break;
    }
    world_look(w);
}

/* ---- The end. */

enum { AT_ONCE = 16, DRAINS_MAX = 64 };

/* Takes out what the queue holds; answers how much that was. */
static uint32_t drain_queue(struct world *w, uint8_t q)
{
    struct client *auditor = world_client(w, AUDITOR);
    client_ask_passive(auditor, q);
    world_settle(w);
    uint32_t held = auditor->seen_counts[q];
    for (uint32_t left = held; left > 0;) {
        for (unsigned i = 0; i < AT_ONCE && left > 0; i++, left--)
            client_ask_get(auditor, q);
        world_settle(w);
    }
    return held;
}

/* Takes out whatever the queues still hold: again and again, since taking one may let what is behind it expire. */
static void drain(struct world *w)
{
    uint32_t held = 1;
    ledger_drains(world_ledger(w));
    client_declare_passing(world_client(w, AUDITOR)); /* it may be gone: what it holds does not count */
    client_purge(world_client(w, AUDITOR), Q_PASSING);
    for (unsigned n = 0; held > 0; n++) {
        if (n == DRAINS_MAX)
            verdict_fail("the queues are not empty after %u times", n);
        held = 0;
        for (uint8_t q = 0; q < Q_PASSING; q++)
            held += drain_queue(w, q);
    }
}

/* Reads the stream from its first message on; then it goes. */
static void unroll(struct world *w)
{
    struct client *auditor = world_client(w, AUDITOR);
    client_ask_passive(auditor, Q_LOG);
    client_read_log(auditor);
    world_settle(w);
    scroll_verdict(world_scroll(w), auditor->seen_counts[Q_LOG]);
    client_delete_log(auditor);
    world_settle(w);
}

/* All that waits at "later" comes, and what is surely there not a moment too late. */
static void await_delayed(struct world *w)
{
    uint64_t due = ledger_last_due(world_ledger(w)), now = world_now(w);
    world_pass(w, due > now ? due - now : 0);
    world_settle(w);
    ledger_drains(world_ledger(w));
    drain_queue(w, Q_LATE);
    ledger_check_due(world_ledger(w), world_now(w));
    world_pass(w, DELAY_MAX_MS);
    world_settle(w);
}

static void finish(struct world *w)
{
    struct client *auditor = world_client(w, AUDITOR);
    rest(w);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_finish(world_client(w, i));
    world_settle(w);
    if (world_connections(w) > 0)
        verdict_fail("%u connections never ended", world_connections(w));
    await_delayed(w);
    drain(w);
    unroll(w);
    world_check_empty(w);
    ledger_verdict(world_ledger(w), world_now(w));
    auditor->wants_to_drop = true;
    world_settle(w);
}

uint64_t schedule_run(uint64_t seed, unsigned steps, bool has_disk, bool check)
{
    struct schedule s;
    verdict_begin(seed);
    struct world *w = world_create(seed, has_disk, check);
    schedule_init(&s, w);
    calm(w);
    client_declare_all(world_client(w, AUDITOR));
    world_settle(w);
    for (unsigned i = 0; i < steps; i++) {
        verdict_step(i + 1);
        happen(&s);
    }
    verdict_step(steps + 1);
    finish(w);
    uint64_t trace = world_trace(w);
    world_destroy(w);
    return trace;
}

/* ---- The program. */

enum { SEEDS = 300, STEPS = 1000, STEPS_WITH_DISK = 2000, TWICE_EVERY = 25, CHECKED_STEPS_MAX = 600000 };
enum { MORE_SEEDS = 600 }; /* at most, for a branch that is very rare */

/* Unset and empty are the same: make passes what it was not given as empty. */
static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

int schedule_main(bool has_disk)
{
    uint64_t first = number_from("SEED", 1), n = number_from("N", SEEDS);
    unsigned steps = (unsigned)number_from("STEPS", has_disk ? STEPS_WITH_DISK : STEPS), differ = 0;
    bool check = n * steps <= CHECKED_STEPS_MAX;
    log_set_level(LOG_NO_LEVEL);
    if (!has_disk)
        marks_without_disk();
    printf("1..3\n");
    for (uint64_t seed = first; seed < first + n; seed++) {
        uint64_t trace = schedule_run(seed, steps, has_disk, check);
        if ((seed - first) % TWICE_EVERY == 0 && schedule_run(seed, steps, has_disk, check) != trace) {
            printf("# seed %llu had two traces\n", (unsigned long long)seed);
            differ++;
        }
    }
    printf("ok 1 - %llu seeds from %llu, %u steps each, break no promise\n", (unsigned long long)n,
           (unsigned long long)first, steps);
    printf("%s 2 - the same seed is the same run\n", differ == 0 ? "ok" : "not ok");
    if (n < SEEDS) {
        printf("ok 3 - # SKIP too few seeds for every rare branch\n");
        return differ > 0;
    }
    for (uint64_t seed = first + n; marks_left() > 0 && seed < first + n + MORE_SEEDS; seed++)
        schedule_run(seed, steps, has_disk, check);
    unsigned never = marks_report(getenv("MARKS") != NULL);
    printf("%s 3 - every rare branch was taken\n", never == 0 ? "ok" : "not ok");
    return differ > 0 || never > 0;
}
