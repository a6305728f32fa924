/* A broker in this process: sessions and the model, with a clock that is moved by hand.  Whatever is sent is carried
 * out at once, all that follows from it too. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "amqp/session.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/broker.h"
#include "tests/talk/peer.h"
#include "tests/unit/guest.h"

enum {
    LINES_MAX = 256,
    PIECES_MAX = 16,
    TRICKLE_MAX = 4096,   /* octets that go in one by one; what is behind them, in pieces of that size */
    ROUNDS_MAX = 1000000, /* of one pumping: more is a loop */
    TICKS_MAX = 10000,    /* at one time: more is a loop */
    CHECKED_MAX = 2000,   /* messages: more are checked only at the end */
};

/* 2023-11-14 22:13:20. */
static const uint64_t wall_start_ms = 1700000000000;

struct line {
    struct session *session; /* owned; NULL: free */
    uint32_t generation;
    struct buffer to, from; /* what the session has not taken, what the client has not */
    bool has_closed;        /* the server has */
    bool is_dropped;        /* the client has gone */
};

struct peer_model {
    struct peer peer;
    struct session_config config;
    struct broker *broker; /* owned */
    struct outbox outbox;
    struct effects effects;
    uint64_t now, seed;
    bool trickles;
    struct line lines[LINES_MAX];
};

static struct peer_model *of(struct peer *p)
{
    return (struct peer_model *)(void *)p;
}

static enum login judge(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms)
{
    (void)arg;
    (void)now;
    (void)delay_ms;
    return l->is_user && bytes_equal(l->user, l->password) && l->is_loopback ? LOGIN_OK : LOGIN_REFUSED;
}

/* Always the same bytes, but never twice in one conversation. */
static void make_random(void *arg, void *to, size_t n)
{
    struct peer_model *m = arg;
    for (uint8_t *at = to; n-- > 0; at++) {
        m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
        *at = (uint8_t)(m->seed >> 56);
    }
}

/* ---- Turning the wheel. */

static void hand_out(struct peer_model *m)
{
    for (size_t i = 0; i < m->effects.n; i++) {
        struct event *e = &m->effects.events[i];
        struct line *l = &m->lines[e->to.outlet.slot];
        if (l->session != NULL && l->generation == e->to.outlet.generation)
            session_event(l->session, e, m->now);
        else
            event_drop(e);
    }
    for (size_t i = 0; m->effects.alarms_changed && i < LINES_MAX; i++)
        if (m->lines[i].session != NULL)
            session_alarm(m->lines[i].session, m->effects.alarms, m->now);
    effects_clear(&m->effects);
}

static void step(struct peer_model *m, struct command *commands, size_t n)
{
    struct instant now = {.ms = m->now, .wall_ms = wall_start_ms + m->now};
    broker_step(m->broker, &now, commands, n, &m->effects);
    hand_out(m);
}

/* Carries out what is in the outbox; true if there was something. */
static bool step_batches(struct peer_model *m)
{
    struct batch *b = outbox_take(&m->outbox);
    bool any = b != NULL;
    while (b != NULL) {
        struct batch *next = b->next;
        step(m, b->commands, b->n);
        outbox_give(&m->outbox, b);
        b = next;
    }
    return any;
}

static bool line_feed(struct peer_model *m, struct line *l)
{
    struct bytes in = buffer_bytes(&l->to);
    if (l->is_dropped || l->has_closed || in.len == 0 || (session_wants(l->session) & SESSION_READ) == 0)
        return false;
    size_t used = session_feed(l->session, in, m->now);
    buffer_use(&l->to, used);
    return used > 0;
}

static bool line_write(struct line *l)
{
    struct iovec pieces[PIECES_MAX];
    bool any = false;
    if (l->is_dropped || l->has_closed)
        return false;
    session_turn(l->session);
    for (int n; (n = session_gather(l->session, pieces, PIECES_MAX)) > 0; any = true) {
        size_t sum = 0;
        for (int i = 0; i < n; i++, sum += pieces[i - 1].iov_len)
            buffer_add(&l->from, bytes_of(pieces[i].iov_base, pieces[i].iov_len));
        session_wrote(l->session, sum);
    }
    unsigned wants = session_wants(l->session);
    CHECK((wants & SESSION_WRITE) == 0 || (wants & SESSION_ABORT) != 0);
    l->has_closed = (wants & (SESSION_CLOSE | SESSION_ABORT)) != 0;
    return any;
}

static void line_end(struct line *l)
{
    if ((l->is_dropped || l->has_closed) && session_is_over(l->session)) {
        session_destroy(l->session);
        l->session = NULL;
    }
}

/* Until nobody has anything to say. */
static void pump(struct peer_model *m)
{
    bool any = true;
    for (unsigned rounds = 0; any; rounds++) {
        CHECK(rounds < ROUNDS_MAX);
        any = false;
        for (struct line *l = m->lines; l < m->lines + LINES_MAX; l++)
            if (l->session != NULL && line_feed(m, l))
                any = true;
        if (step_batches(m))
            any = true;
        for (struct line *l = m->lines; l < m->lines + LINES_MAX; l++)
            if (l->session != NULL && line_write(l))
                any = true;
        if (step_batches(m))
            any = true;
    }
    for (struct line *l = m->lines; l < m->lines + LINES_MAX; l++)
        if (l->session != NULL)
            line_end(l);
    struct broker_totals totals = broker_totals(m->broker);
    if (totals.messages_ready + totals.messages_out < CHECKED_MAX)
        broker_check(m->broker);
}

/* ---- What a peer does. */

static int model_open(struct peer *p)
{
    struct peer_model *m = of(p);
    for (int i = 0; i < LINES_MAX; i++) {
        struct line *l = &m->lines[i];
        if (l->session != NULL || l->from.end > l->from.start)
            continue;
        uint32_t generation = l->generation + 1;
        buffer_fini(&l->to);
        buffer_fini(&l->from);
        *l = (struct line){.generation = generation};
        struct session_peer who = {.name = "talk", .is_loopback = true};
        outlet_id id = {.slot = (uint32_t)i, .generation = generation};
        l->session = session_create(&m->config, id, &who, &m->outbox, m->now);
        if (m->effects.alarms != 0)
            session_alarm(l->session, m->effects.alarms, m->now);
        return i;
    }
    return -1;
}

static void model_send(struct peer *p, int line, struct bytes b)
{
    struct peer_model *m = of(p);
    struct line *l = &m->lines[line];
    size_t n = b.len;
    for (size_t at = 0; at < b.len && l->session != NULL && !l->has_closed; at += n) {
        if (m->trickles)
            n = at < TRICKLE_MAX ? 1 : TRICKLE_MAX;
        buffer_add(&l->to, bytes_of(b.at + at, b.len - at < n ? b.len - at : n));
        pump(m);
    }
}

static bool model_receive(struct peer *p, int line, struct buffer *in, unsigned timeout_ms)
{
    (void)timeout_ms;
    struct line *l = &of(p)->lines[line];
    struct bytes b = buffer_bytes(&l->from);
    buffer_add(in, b);
    buffer_use(&l->from, b.len);
    return b.len > 0;
}

static bool model_has_closed(struct peer *p, int line)
{
    const struct line *l = &of(p)->lines[line];
    return l->has_closed && l->from.end == l->from.start;
}

static void model_drop(struct peer *p, int line)
{
    struct peer_model *m = of(p);
    struct line *l = &m->lines[line];
    l->is_dropped = true;
    buffer_fini(&l->from);
    if (l->session != NULL)
        session_lost(l->session);
    pump(m);
    CHECK(l->session == NULL);
}

/* The next time that something is due, not before now. */
static uint64_t next_deadline(const struct peer_model *m)
{
    uint64_t due = broker_deadline(m->broker);
    for (const struct line *l = m->lines; l < m->lines + LINES_MAX; l++)
        if (l->session != NULL && !l->has_closed && session_deadline(l->session) < due)
            due = session_deadline(l->session);
    return due < m->now ? m->now : due;
}

static void model_wait(struct peer *p, uint64_t ms)
{
    struct peer_model *m = of(p);
    uint64_t until = m->now + ms;
    for (unsigned ticks = 0; next_deadline(m) <= until; ticks++) {
        uint64_t due = next_deadline(m);
        if (due > m->now)
            ticks = 0;
        CHECK(ticks < TICKS_MAX);
        m->now = due;
        for (struct line *l = m->lines; l < m->lines + LINES_MAX; l++)
            if (l->session != NULL && !l->has_closed && session_deadline(l->session) <= m->now)
                session_tick(l->session, m->now);
        step(m, NULL, 0);
        pump(m);
    }
    m->now = until;
}

static char *model_alter(struct peer *p, struct changes *all)
{
    struct peer_model *m = of(p);
    struct instant now = {.ms = m->now, .wall_ms = wall_start_ms + m->now};
    struct command c = {.verb = ALTER, .changes = all, .from = {.outlet = {.generation = DESK_GENERATION}}};
    char *refusal = NULL;
    broker_step(m->broker, &now, &c, 1, &m->effects);
    for (size_t i = 0; i < m->effects.n; i++) {
        struct event *e = &m->effects.events[i];
        if (e->to.outlet.generation == DESK_GENERATION && e->what == FAILED)
            refusal = str_copy(bytes_of_string(e->failed.text));
    }
    hand_out(m);
    pump(m);
    return refusal;
}

static void model_destroy(struct peer *p)
{
    struct peer_model *m = of(p);
    for (int i = 0; i < LINES_MAX; i++) {
        if (m->lines[i].session != NULL)
            model_drop(p, i);
        buffer_fini(&m->lines[i].to);
        buffer_fini(&m->lines[i].from);
    }
    struct broker_totals totals = broker_totals(m->broker);
    CHECK(totals.outlets == 0 && totals.consumers == 0 && totals.messages_out == 0);
    broker_check(m->broker);
    broker_destroy(m->broker);
    effects_fini(&m->effects);
    outbox_fini(&m->outbox);
    free(m);
}

struct peer *peer_model_create(const struct peer_options *options, bool trickle)
{
    struct peer_model *m = alloc_zeroed(sizeof *m);
    struct broker_config config = {.default_vhost = "/",
                                   .event_vhost = options->has_events ? "/" : NULL,
                                   .memory_high = options->memory_high,
                                   .expires_at_head = options->expires_at_head,
                                   .delays_anywhere = options->delays_anywhere,
                                   .default_queue_type = options->default_queue_type,
                                   .strict_queue_types = options->strict_queue_types,
                                   .ignores_client_deaths = options->ignores_client_deaths,
                                   .relaxed_redeclare = options->relaxed_redeclare,
                                   .relaxed_quorum = options->relaxed_quorum};
    m->config = (struct session_config){
        .channel_max = options->channel_max,
        .frame_max = options->frame_max,
        .heartbeat_s = options->heartbeat_s,
        .max_message_size = options->max_message_size,
        .handshake_timeout_ms = 10000,
        .live_prefetch = options->live_prefetch,
        .product = "RabbitMQ",
        .version = "3.13.7",
        .broker_version = "talk",
        .cluster_name = "millrace@talk",
        .mechanisms = SASL_PLAIN | SASL_AMQPLAIN,
        .login = judge,
        .random = make_random,
        .arg = m,
    };
    m->now = 1000;
    m->trickles = trickle;
    m->broker = broker_create(&config);
    guest_let_in(m->broker);
    outbox_init(&m->outbox);
    effects_init(&m->effects);
    m->peer = (struct peer){
        .open = model_open,
        .send = model_send,
        .receive = model_receive,
        .has_closed = model_has_closed,
        .drop = model_drop,
        .wait = model_wait,
        .alter = model_alter,
        .destroy = model_destroy,
    };
    return &m->peer;
}
