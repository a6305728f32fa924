#include "tests/sim/ledger.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum fate {
    FATE_WAITING, /* in its queue, as far as anybody knows */
    FATE_OUT,
    FATE_MAYBE_ACCEPTED, /* settled, in doubt */
    FATE_MAYBE_REJECTED,
    FATE_ACCEPTED,
    FATE_REJECTED,
    FATE_DEAD, /* the next copy has been seen */
};

struct handing {
    uint64_t serial;
    uint32_t connection;
    bool redelivered, is_received;
};

struct copy {
    enum fate fate;
    uint64_t position;    /* the records say so from here on, if it is settled or dead */
    bool is_reborn;       /* maybe its death before was undone, and it is another one now: not redelivered */
    bool is_proven;       /* FATE_WAITING: it is sure that it was requeued */
    bool may_vanish;      /* purged, perhaps */
    bool is_unclear;      /* which of two handings a client has read cannot be told: nothing more is said of it */
    bool requeue_asked;   /* of the one who has it out */
    bool is_drained;      /* handed out when the queues were drained … */
    bool was_left;        /* first handed out when the queue was drained */
    uint32_t scope;       /* of the one who has it out; NO_SCOPE: not read yet */
    uint32_t tx;          /* the transaction that has settled it last; 0: none */
    uint32_t purge;       /* it was surely waiting when that one began … */
    unsigned purge_count; /* … and had been handed out so often */
    unsigned count;       /* handings … */
    unsigned count_kept;  /* … which the broker cannot have forgotten */
    struct handing *out;  /* owned */
};

struct line {
    uint8_t target;
    unsigned count;
    struct copy *copies; /* owned; by generation */
};

struct record {
    struct publishing how;
    uint64_t sent_at, sure_at;
    uint64_t position; /* it is on record from here on, if it is sure */
    uint32_t tx;       /* in which it was published; 0: none */
    uint32_t crashes;  /* before it */
    bool waited;       /* its delay was not over when the broker ended, which was not in an orderly way … */
    bool was_due;      /* … or was over before there was another one */
    struct line lines[2];
};

struct transaction {
    uint32_t *messages;                /* owned */
    struct tx_settlement *settlements; /* owned */
    size_t n, n_settlements;
    uint32_t crashes;  /* before it */
    uint64_t position; /* it is on record from here on, if it happened */
    bool is_divisible; /* a full queue may have refused a part of it */
    enum { TX_SENT, TX_HAPPENED, TX_NEVER } state;
};

struct ledger {
    const struct topology *topology; /* borrowed */
    struct record *records;          /* owned */
    bool *scopes;                    /* owned: true once one may be ending */
    uint32_t record_count, scope_count;
    uint64_t serial;
    struct transaction *txs; /* owned: by number less one */
    uint32_t tx_count, purge_count, crashes;
    uint64_t position;  /* records so far */
    uint32_t suspected; /* messages before this one may come flagged for no reason: there was a crash */
    uint32_t attempts[QUEUE_COUNT];
    uint32_t purges[QUEUE_COUNT]; /* under way */
    bool is_draining;
};

#define NO_SCOPE UINT32_MAX

struct ledger *ledger_create(const struct topology *t)
{
    struct ledger *l = alloc_zeroed(sizeof *l);
    l->topology = t;
    return l;
}

void ledger_destroy(struct ledger *l)
{
    for (uint32_t m = 0; m < l->record_count; m++)
        for (unsigned i = 0; i < 2; i++) {
            for (unsigned g = 0; g < l->records[m].lines[i].count; g++)
                free(l->records[m].lines[i].copies[g].out);
            free(l->records[m].lines[i].copies);
        }
    for (uint32_t i = 0; i < l->tx_count; i++) {
        free(l->txs[i].messages);
        free(l->txs[i].settlements);
    }
    free(l->txs);
    free(l->records);
    free(l->scopes);
    free(l);
}

/* ---- Copies. */

static uint8_t queue_after(const struct ledger *l, uint8_t target, uint32_t deaths)
{
    uint8_t q = target;
    for (uint32_t i = 0; i < deaths && q != NO_QUEUE; i++)
        q = l->topology->queues[q].dead_to;
    return q;
}

static struct copy *copy_of(struct line *line, uint32_t generation)
{
    if (generation >= line->count) {
        line->copies = alloc_array(line->copies, generation + 1, sizeof *line->copies);
        while (line->count <= generation)
            line->copies[line->count++] = (struct copy){.fate = FATE_WAITING, .scope = NO_SCOPE};
    }
    return &line->copies[generation];
}

/* ---- Publishing. */

uint32_t ledger_publish(struct ledger *l, const struct publishing *p, uint64_t now)
{
    uint32_t m = l->record_count++;
    l->records = alloc_array(l->records, l->record_count, sizeof *l->records);
    l->records[m] = (struct record){.how = *p, .sent_at = now, .sure_at = UINT64_MAX, .crashes = l->crashes};
    for (unsigned i = 0; i < 2; i++) {
        l->records[m].lines[i].target = p->targets[i];
        if (p->targets[i] == NO_QUEUE)
            continue;
        l->attempts[p->targets[i]]++;
        if (l->purges[p->targets[i]] > 0)
            copy_of(&l->records[m].lines[i], 0)->may_vanish = true;
    }
    return m;
}

void ledger_stands(struct ledger *l, uint32_t message, enum standing standing, uint64_t now)
{
    struct record *r = &l->records[message];
    r->how.standing = standing;
    if (standing != STANDING_SURE)
        return;
    r->sure_at = now;
    r->position = l->position;
}

void ledger_confirmed(struct ledger *l, uint32_t message, uint64_t now)
{
    ledger_stands(l, message, STANDING_SURE, now);
    l->records[message].position = 0;
}

bool ledger_was_overfull(const struct ledger *l, uint8_t queue)
{
    uint32_t limit = l->topology->queues[queue].max_length;
    return limit > 0 && l->attempts[queue] > limit;
}

void ledger_refused(struct ledger *l, uint32_t message)
{
    uint8_t q = l->records[message].how.targets[0];
    if (q == NO_QUEUE || !l->topology->queues[q].refuses || !ledger_was_overfull(l, q))
        verdict_fail("message %u was refused by a queue that cannot be full", message);
    l->records[message].how.standing = STANDING_NEVER;
}

void ledger_returned(const struct ledger *l, uint32_t message)
{
    if (message >= l->record_count)
        verdict_fail("message %u came back, but was never published", message);
    uint8_t q = l->records[message].how.targets[0];
    if (q != NO_QUEUE && !l->topology->queues[q].is_passing)
        verdict_fail("message %u came back, though there is a queue for it", message);
    mark_hit(MARK_returned);
}

/* ---- Where copies may be. */

/* The line of this message's copies that is in that queue after so many deaths. */
static struct line *line_find(struct ledger *l, uint32_t message, uint8_t queue, uint32_t generation)
{
    if (message >= l->record_count)
        verdict_fail("message %u was never published", message);
    for (unsigned i = 0; i < 2; i++) {
        struct line *line = &l->records[message].lines[i];
        if (line->target != NO_QUEUE && queue_after(l, line->target, generation) == queue)
            return line;
    }
    verdict_fail("message %u in queue %s after %u deaths: that is not its way", message,
                 l->topology->queues[queue].name, generation);
}

static uint64_t ttl_of(const struct ledger *l, const struct record *r, uint8_t queue, uint32_t generation)
{
    uint64_t ttl = l->topology->queues[queue].ttl_ms;
    if (generation == 0 && r->how.ttl_ms > 0 && (ttl == 0 || r->how.ttl_ms < ttl))
        ttl = r->how.ttl_ms;
    return ttl;
}

/* It may have left its queue by itself: by age, over the limit. */
static bool may_have_died(const struct ledger *l, const struct record *r, uint8_t queue, uint32_t generation,
                          uint64_t now)
{
    uint64_t ttl = ttl_of(l, r, queue, generation);
    return (ttl > 0 && r->sent_at + ttl <= now) ||
           (!l->topology->queues[queue].refuses && ledger_was_overfull(l, queue));
}

/* It may have come back once too often. */
static bool may_be_returned_to_death(const struct ledger *l, uint8_t queue, const struct copy *c)
{
    const struct sim_queue *q = &l->topology->queues[queue];
    return q->has_return_limit && c->count > q->return_limit;
}

static unsigned level_of(const struct ledger *l, const struct record *r, uint8_t queue)
{
    unsigned max = l->topology->queues[queue].max_priority;
    return r->how.priority < max ? r->how.priority : max;
}

/* Copy `generation` has been seen, so all before it have died; each must have had a cause. */
static void bury_ancestors(struct ledger *l, uint32_t message, struct line *line, uint32_t generation, uint64_t now)
{
    const struct record *r = &l->records[message];
    for (uint32_t g = 0; g < generation; g++) {
        uint8_t q = queue_after(l, line->target, g);
        struct copy *c = copy_of(line, g);
        bool rejected = c->fate == FATE_MAYBE_REJECTED || c->fate == FATE_REJECTED || c->fate == FATE_DEAD;
        if (!c->is_unclear && !rejected &&
            (c->fate == FATE_ACCEPTED || !(may_have_died(l, r, q, g, now) || may_be_returned_to_death(l, q, c))))
            verdict_fail("message %u has a dead letter, but in %s nothing killed it (fate %d)", message,
                         l->topology->queues[q].name, (int)c->fate);
        if (c->fate != FATE_DEAD && generation >= 3)
            mark_hit(MARK_letter_again);
        if (c->fate != FATE_DEAD)
            c->position = l->position;
        c->fate = FATE_DEAD;
    }
}

/* ---- Order. */

/* It is in the queue beyond doubt, so whoever published it expects it before what came later. */
static bool is_surely_waiting(const struct ledger *l, const struct record *r, const struct line *line, uint64_t now)
{
    uint8_t q = line->target;
    if (r->how.standing != STANDING_SURE || l->topology->queues[q].is_passing || may_have_died(l, r, q, 0, now))
        return false;
    if (line->count == 0)
        return true;
    const struct copy *c = &line->copies[0];
    return c->fate == FATE_WAITING && !c->may_vanish && !c->is_unclear && (c->count == 0 || c->is_proven) &&
           !may_be_returned_to_death(l, q, c);
}

/* Publish order among one publisher's messages of one priority in one queue (reference 10.11); and nobody's message of
 * a higher priority waits (queue-features 4). */
static void check_order(struct ledger *l, uint32_t message, uint8_t queue, bool is_first, uint64_t now)
{
    const struct record *mine = &l->records[message];
    unsigned own_level = level_of(l, mine, queue);
    /* It may have been dropped before the others left, or its queue deleted, and a crash has undone that. */
    bool is_passing = l->topology->queues[queue].is_passing;
    bool was_dropped = message < l->suspected && (is_passing || may_have_died(l, mine, queue, 0, now));
    for (uint32_t m = 0; m < l->record_count; m++) {
        const struct record *r = &l->records[m];
        unsigned level = level_of(l, r, queue);
        /* A transaction's messages come one after the other, though all of them are sure when the first is seen. */
        bool is_later_in_tx = r->tx != 0 && r->tx == mine->tx && m > message;
        bool is_higher = level > own_level && !is_later_in_tx, is_ours = r->how.publisher == mine->how.publisher;
        if (m == message || (!is_ours && !is_higher))
            continue;
        bool is_due_first = m < message && r->how.delay_ms <= mine->how.delay_ms;
        bool is_due_last = m > message && r->how.delay_ms >= mine->how.delay_ms;
        for (unsigned i = 0; i < 2; i++) {
            const struct line *line = &r->lines[i];
            if (line->target != queue)
                continue;
            if (((is_due_first && level == own_level) || is_higher) && is_surely_waiting(l, r, line, now))
                verdict_fail("message %u left %s before %u, which was published first or is of a higher priority and "
                             "waits there",
                             message, l->topology->queues[queue].name, m);
            bool was_first = line->count > 0 && (is_first ? line->copies[0].count > 0 : line->copies[0].is_drained);
            if (was_first && m > message && is_higher)
                mark_hit(MARK_overtaken);
            if (was_first && m > message && is_ours && !is_due_last)
                mark_hit(MARK_delay_overtaken);
            if (was_first && is_due_last && is_ours && level <= own_level && !was_dropped)
                verdict_fail("message %u left %s before %u, which was published first", m,
                             l->topology->queues[queue].name, message);
        }
    }
}

/* Never too early (queue-features 9.9). */
static void check_delay(const struct ledger *l, uint32_t message, bool is_first, uint64_t now)
{
    const struct record *r = &l->records[message];
    if (r->how.delay_ms == 0)
        return;
    if (now < r->sent_at + r->how.delay_ms)
        verdict_fail("message %u came %llu ms too early", message,
                     (unsigned long long)(r->sent_at + r->how.delay_ms - now));
    if (is_first)
        mark_hit(MARK_delayed);
    if (is_first && r->crashes < l->crashes)
        mark_hit(MARK_delayed_kept);
    if (is_first && r->waited)
        mark_hit(MARK_delayed_crash);
    if (is_first && r->was_due)
        mark_hit(MARK_delayed_down);
}

/* ---- Handing out. */

static void check_may_leave(const struct ledger *l, const struct handout *h, const struct copy *c)
{
    const char *name = l->topology->queues[h->queue].name;
    if (c->is_unclear)
        return;
    if (c->fate == FATE_ACCEPTED || c->fate == FATE_REJECTED || c->fate == FATE_DEAD)
        verdict_fail("message %u came back from %s after it was settled (fate %d)", h->message, name, (int)c->fate);
    bool is_suspect = c->count == 0 && h->redelivered && h->message < l->suspected;
    bool is_reborn = c->is_reborn && !h->redelivered;
    if (h->redelivered != (c->count > 0) && !is_suspect && !is_reborn)
        verdict_fail("message %u left %s with redelivered=%d for time number %u", h->message, name, h->redelivered,
                     c->count + 1);
    if (l->topology->queues[h->queue].has_return_limit && c->count_kept > l->topology->queues[h->queue].return_limit)
        verdict_fail("message %u left %s for time number %u, and may come back %u times", h->message, name,
                     c->count_kept + 1, l->topology->queues[h->queue].return_limit);
    if (c->fate == FATE_OUT && !c->requeue_asked && c->scope != NO_SCOPE && !l->scopes[c->scope])
        verdict_fail("message %u left %s while somebody else had it", h->message, name);
}

/* ---- Transactions. */

static struct copy *held_copy(struct ledger *l, const struct hold *h);

static void tx_happened(struct ledger *l, uint32_t number, uint64_t now)
{
    struct transaction *t = &l->txs[number - 1];
    if (t->is_divisible || t->state == TX_HAPPENED)
        return;
    if (t->state == TX_NEVER)
        verdict_fail("transaction %u is there in parts", number);
    t->state = TX_HAPPENED;
    t->position = l->position;
    if (t->crashes < l->crashes && t->n > 1)
        mark_hit(MARK_tx_kept);
    for (size_t i = 0; i < t->n; i++) {
        const struct record *r = &l->records[t->messages[i]];
        if (r->how.standing == STANDING_SENT && (t->crashes == l->crashes || !r->how.is_transient))
            ledger_stands(l, t->messages[i], STANDING_SURE, now);
    }
    for (size_t i = 0; i < t->n_settlements; i++)
        if (t->settlements[i].outcome != REQUEUED) /* that comes after the publishes: it may be still to come */
            ledger_settled(l, &t->settlements[i].hold, t->settlements[i].outcome);
}

/* A message that it settled has come back. */
static void tx_never_happened(struct ledger *l, uint32_t number, const struct handout *h)
{
    struct transaction *t = &l->txs[number - 1];
    if (t->is_divisible)
        return;
    if (t->state == TX_HAPPENED)
        verdict_fail("message %u came back from %s, and transaction %u has settled it", h->message,
                     l->topology->queues[h->queue].name, number);
    if (t->state == TX_SENT && t->crashes < l->crashes && t->n > 0)
        mark_hit(MARK_tx_cut);
    t->state = TX_NEVER;
    for (size_t i = 0; i < t->n; i++)
        ledger_stands(l, t->messages[i], STANDING_NEVER, 0);
}

uint32_t ledger_tx(struct ledger *l, const uint32_t *messages, size_t n, const struct tx_settlement *settlements,
                   size_t n_settlements)
{
    l->txs = alloc_array(l->txs, l->tx_count + 1, sizeof *l->txs);
    struct transaction *t = &l->txs[l->tx_count++];
    *t = (struct transaction){.n = n, .n_settlements = n_settlements, .crashes = l->crashes};
    t->messages = n > 0 ? alloc_copy(messages, n * sizeof *messages) : NULL;
    t->settlements = n_settlements > 0 ? alloc_copy(settlements, n_settlements * sizeof *settlements) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct record *r = &l->records[messages[i]];
        uint8_t q = r->how.targets[0];
        r->tx = l->tx_count;
        t->is_divisible |= q != NO_QUEUE && l->topology->queues[q].refuses;
    }
    for (size_t i = 0; i < n_settlements; i++) {
        struct copy *c = held_copy(l, &settlements[i].hold);
        if (c != NULL && settlements[i].outcome != REQUEUED)
            c->tx = l->tx_count;
    }
    return l->tx_count;
}

void ledger_tx_done(struct ledger *l, uint32_t tx)
{
    struct transaction *t = &l->txs[tx - 1];
    if (!t->is_divisible && t->state == TX_NEVER)
        verdict_fail("transaction %u was committed, and is there in parts", tx);
    t->state = TX_HAPPENED;
    t->position = 0; /* the answer says so */
    for (size_t i = 0; i < t->n; i++)
        l->records[t->messages[i]].position = 0;
    for (size_t i = 0; i < t->n_settlements; i++) {
        struct copy *c = held_copy(l, &t->settlements[i].hold);
        if (c != NULL && (c->fate == FATE_ACCEPTED || c->fate == FATE_REJECTED))
            c->position = 0;
    }
}

/* ---- Handing out, for real. */

/* It is here, so if it died before the broker ended, that was undone. */
static void forget_later(struct line *line, uint32_t generation)
{
    while (line->count > generation + 1)
        free(line->copies[--line->count].out);
}

void ledger_handed_out(struct ledger *l, const struct handout *h, uint64_t now)
{
    struct line *line = line_find(l, h->message, h->queue, h->generation);
    struct record *r = &l->records[h->message];
    uint64_t ttl = ttl_of(l, r, h->queue, h->generation);
    if (r->how.standing == STANDING_NEVER)
        verdict_fail("message %u left %s though it never was published", h->message,
                     l->topology->queues[h->queue].name);
    bury_ancestors(l, h->message, line, h->generation, now);
    struct copy *c = copy_of(line, h->generation);
    check_may_leave(l, h, c);
    if (h->generation == 0) {
        if (ttl > 0 && r->sure_at != UINT64_MAX && r->sure_at + ttl <= now)
            verdict_fail("message %u left %s though it had expired", h->message, l->topology->queues[h->queue].name);
        check_order(l, h->message, h->queue, c->count == 0, now);
        check_delay(l, h->message, c->count == 0, now);
    }
    if (r->tx != 0)
        tx_happened(l, r->tx, now);
    if (c->tx != 0 && !c->is_unclear && (c->fate == FATE_MAYBE_ACCEPTED || c->fate == FATE_MAYBE_REJECTED))
        tx_never_happened(l, c->tx, h);
    forget_later(line, h->generation);
    c->tx = 0;
    c->is_reborn = false;
    c->is_drained = l->is_draining;
    c->was_left = l->is_draining && c->count == 0;
    c->out = alloc_array(c->out, c->count + 1, sizeof *c->out);
    c->out[c->count++] =
        (struct handing){.serial = ++l->serial, .connection = h->connection, .redelivered = h->redelivered};
    c->count_kept++;
    c->fate = h->no_ack ? FATE_ACCEPTED : FATE_OUT;
    c->position = l->position;
    c->is_proven = c->requeue_asked = false;
    c->scope = NO_SCOPE;
    if (h->redelivered)
        mark_hit(MARK_redelivered);
}

static bool was_missed(const struct line *line, uint32_t connection)
{
    for (uint32_t g = 0; g < line->count; g++)
        for (unsigned i = 0; i < line->copies[g].count; i++) {
            const struct handing *h = &line->copies[g].out[i];
            if (h->connection == connection && !h->is_received && line->copies[g].fate == FATE_ACCEPTED)
                return true;
        }
    return false;
}

void ledger_connection_ends(const struct ledger *l, uint32_t connection)
{
    for (uint32_t m = 0; m < l->record_count; m++)
        for (unsigned i = 0; i < 2; i++)
            if (was_missed(&l->records[m].lines[i], connection))
                mark_hit(MARK_no_ack_lost);
}

void ledger_read_in_log(struct ledger *l, uint32_t message, uint64_t now)
{
    line_find(l, message, Q_LOG, 0);
    if (l->records[message].how.standing == STANDING_NEVER)
        verdict_fail("message %u is in the stream though it never was published", message);
    if (l->records[message].tx != 0)
        tx_happened(l, l->records[message].tx, now);
}

const struct publishing *ledger_publishing(const struct ledger *l, uint32_t message)
{
    return message < l->record_count ? &l->records[message].how : NULL;
}

/* Whether what was read may be this handing out. */
static bool fits(const struct handing *o, const struct handout *h)
{
    return !o->is_received && o->connection == h->connection && o->redelivered == h->redelivered;
}

struct hold ledger_received(struct ledger *l, const struct handout *h, uint32_t scope)
{
    struct line *line = line_find(l, h->message, h->queue, h->generation);
    struct copy *c = copy_of(line, h->generation);
    unsigned first = c->count;
    for (unsigned i = c->count; i-- > 0;) {
        c->is_unclear |= first < c->count && fits(&c->out[i], h); /* two channels of one connection, most likely */
        if (fits(&c->out[i], h))
            first = i;
    }
    if (first == c->count)
        verdict_fail("message %u of %s was read (redelivered=%d), but it was not handed out like that", h->message,
                     l->topology->queues[h->queue].name, h->redelivered);
    c->out[first].is_received = true;
    if (first == c->count - 1)
        c->scope = scope;
    return (struct hold){
        .message = h->message, .generation = h->generation, .queue = h->queue, .serial = c->out[first].serial};
}

/* ---- Settling. */

/* The copy that is held, if nobody was given it since. */
static struct copy *held_copy(struct ledger *l, const struct hold *h)
{
    struct copy *c = copy_of(line_find(l, h->message, h->queue, h->generation), h->generation);
    return c->count > 0 && c->out[c->count - 1].serial == h->serial && !c->is_unclear ? c : NULL;
}

void ledger_settle(struct ledger *l, const struct hold *h, enum outcome outcome)
{
    struct copy *c = held_copy(l, h);
    if (c == NULL || c->fate == FATE_DEAD)
        return;
    if (outcome == REQUEUED)
        c->requeue_asked = true;
    else
        c->fate = outcome == ACCEPTED ? FATE_MAYBE_ACCEPTED : FATE_MAYBE_REJECTED;
}

void ledger_settled(struct ledger *l, const struct hold *h, enum outcome outcome)
{
    struct copy *c = held_copy(l, h);
    if (c == NULL || c->fate == FATE_DEAD)
        return;
    if (outcome == REQUEUED) {
        c->fate = FATE_WAITING;
        c->is_proven = true;
    } else {
        c->fate = outcome == ACCEPTED ? FATE_ACCEPTED : FATE_REJECTED;
        c->position = l->position;
    }
}

uint32_t ledger_scope(struct ledger *l)
{
    l->scopes = alloc_array(l->scopes, l->scope_count + 1, sizeof *l->scopes);
    l->scopes[l->scope_count] = false;
    return l->scope_count++;
}

void ledger_scope_ends(struct ledger *l, uint32_t scope)
{
    l->scopes[scope] = true;
}

static void may_vanish(struct ledger *l, uint8_t queue)
{
    for (uint32_t m = 0; m < l->record_count; m++)
        for (unsigned i = 0; i < 2; i++) {
            struct line *line = &l->records[m].lines[i];
            uint32_t end = line->count + 2; /* two deaths may have gone unseen */
            for (uint32_t g = 0; line->target != NO_QUEUE && g < end; g++)
                if (queue_after(l, line->target, g) == queue)
                    copy_of(line, g)->may_vanish = true;
        }
}

uint32_t ledger_purge_begins(struct ledger *l, uint8_t queue, uint64_t now)
{
    uint32_t purge = ++l->purge_count;
    for (uint32_t m = 0; m < l->record_count; m++)
        for (unsigned i = 0; i < 2; i++) {
            struct line *line = &l->records[m].lines[i];
            if (line->target != queue || l->records[m].how.delay_ms > 0 || /* maybe it comes later */
                !is_surely_waiting(l, &l->records[m], line, now))
                continue;
            struct copy *c = copy_of(line, 0);
            c->purge = purge;
            c->purge_count = c->count;
        }
    l->purges[queue]++;
    may_vanish(l, queue);
    return purge;
}

void ledger_purge_ends(struct ledger *l, uint8_t queue, uint32_t purge, uint64_t now)
{
    l->purges[queue]--;
    may_vanish(l, queue);
    for (uint32_t m = 0; m < l->record_count; m++)
        for (unsigned i = 0; i < 2; i++) {
            const struct line *line = &l->records[m].lines[i];
            struct copy *c = line->count > 0 ? &line->copies[0] : NULL;
            if (c == NULL || c->purge != purge || c->count != c->purge_count || c->fate != FATE_WAITING ||
                may_have_died(l, &l->records[m], queue, 0, now) || may_be_returned_to_death(l, queue, c))
                continue;
            c->fate = FATE_ACCEPTED;
            c->position = 0; /* the answer says so */
            mark_hit(MARK_surely_purged);
        }
}

/* ---- The broker ends. */

void ledger_position(struct ledger *l, uint64_t position)
{
    l->position = position;
}

static void copy_crash(struct copy *c, uint64_t durable, bool is_clean)
{
    bool is_kept = c->position <= durable;
    if (!is_clean)
        c->count_kept = 0;
    c->requeue_asked = false;
    c->scope = NO_SCOPE;
    switch (c->fate) {
    case FATE_WAITING:
    case FATE_MAYBE_ACCEPTED:
    case FATE_MAYBE_REJECTED:
        break;
    case FATE_OUT:
        c->fate = FATE_WAITING;
        c->is_proven = true;
        mark_hit(MARK_crash_out);
        break;
    case FATE_ACCEPTED:
        c->fate = is_kept ? FATE_ACCEPTED : FATE_MAYBE_ACCEPTED;
        mark_hit(is_kept ? MARK_crash_settled : MARK_crash_settling);
        break;
    case FATE_REJECTED:
    case FATE_DEAD:
        if (!is_kept)
            c->fate = FATE_MAYBE_REJECTED;
        mark_hit(is_kept ? MARK_crash_dead : MARK_crash_dying);
        break;
    }
    c->position = 0;
}

static void line_crash(struct line *line, bool was_delayed, uint64_t durable, bool is_clean)
{
    bool may_be_undone = was_delayed && line->count > 0 && line->copies[0].position > durable; /* its coming */
    for (uint32_t g = 0; g < line->count; g++) {
        struct copy *c = &line->copies[g];
        bool was_dead = c->fate == FATE_DEAD;
        copy_crash(c, durable, is_clean);
        c->is_reborn |= may_be_undone;
        may_be_undone |= was_dead && c->fate != FATE_DEAD;
    }
}

/* It surely waits at its exchange: nobody can have put it into its queue before it was due. */
static bool is_surely_delayed(const struct record *r, uint64_t now)
{
    return r->how.standing == STANDING_SURE && r->how.delay_ms > 0 && now < r->sent_at + r->how.delay_ms;
}

static uint64_t surely_due_at(const struct record *r)
{
    return r->sure_at + r->how.delay_ms;
}

void ledger_crash(struct ledger *l, uint64_t durable, bool is_clean, uint64_t now, uint64_t next)
{
    for (uint32_t m = 0; m < l->record_count; m++) {
        struct record *r = &l->records[m];
        bool is_kept = r->position <= durable && !r->how.is_transient;
        if (r->how.standing == STANDING_SURE && !is_kept)
            r->how.standing = STANDING_SENT;
        r->position = 0;
        if (is_surely_delayed(r, now)) {
            r->waited |= !is_clean;
            r->was_due |= surely_due_at(r) <= next;
        }
        for (unsigned i = 0; i < 2; i++)
            if (r->lines[i].target != NO_QUEUE)
                line_crash(&r->lines[i], r->how.delay_ms > 0, durable, is_clean);
    }
    for (uint32_t i = 0; i < l->tx_count; i++) {
        struct transaction *t = &l->txs[i];
        if (t->state == TX_HAPPENED && t->position > durable)
            t->state = TX_SENT;
        t->position = 0;
    }
    for (uint8_t q = 0; q < QUEUE_COUNT; q++) {
        if (l->purges[q] > 0)
            may_vanish(l, q);
        l->purges[q] = 0;
    }
    l->crashes++;
    if (!is_clean)
        l->suspected = l->record_count;
}

/* ---- The end. */

void ledger_drains(struct ledger *l)
{
    l->is_draining = true;
}

static void note_vanished(const struct ledger *l, uint8_t q)
{
    if (l->topology->queues[q].max_length > 0)
        mark_hit(MARK_dropped);
    else
        mark_hit(MARK_expired);
}

/* Walks from death to death to where the message must be, or may have vanished. */
static void account_for(struct ledger *l, uint32_t message, struct line *line, uint64_t now)
{
    const struct record *r = &l->records[message];
    for (uint32_t g = 0;; g++) {
        uint8_t q = queue_after(l, line->target, g);
        const struct copy *c = copy_of(line, g);
        if (c->fate == FATE_ACCEPTED || c->fate == FATE_MAYBE_ACCEPTED || c->may_vanish || c->is_unclear ||
            l->topology->queues[q].is_passing)
            return;
        bool rejected = c->fate == FATE_REJECTED || c->fate == FATE_MAYBE_REJECTED || c->fate == FATE_DEAD;
        if (!rejected && !may_have_died(l, r, q, g, now) && !may_be_returned_to_death(l, q, c))
            verdict_fail("message %u is lost: it was in %s, and nobody took it (fate %d, handed out %u times)", message,
                         l->topology->queues[q].name, (int)c->fate, c->count);
        if (l->topology->queues[q].dead_to == NO_QUEUE) {
            if (!rejected)
                note_vanished(l, q);
            return;
        }
    }
}

/* Drop-head drops what is oldest: nothing older of the same publisher may have been left. */
static void check_drop_order(const struct ledger *l, uint32_t message, uint8_t queue)
{
    for (uint32_t m = 0; m < message; m++) {
        const struct line *line = &l->records[m].lines[0];
        if (l->records[m].how.publisher == l->records[message].how.publisher && line->target == queue &&
            line->count > 0 && line->copies[0].was_left)
            verdict_fail("message %u was dropped from %s, but %u, which is older, was left", message,
                         l->topology->queues[queue].name, m);
    }
}

uint64_t ledger_last_due(const struct ledger *l)
{
    uint64_t last = 0;
    for (const struct record *r = l->records; r < l->records + l->record_count; r++)
        if (r->how.standing == STANDING_SURE && r->how.delay_ms > 0 && surely_due_at(r) > last)
            last = surely_due_at(r);
    return last;
}

void ledger_check_due(const struct ledger *l, uint64_t now)
{
    for (uint32_t m = 0; m < l->record_count; m++) {
        const struct record *r = &l->records[m];
        const struct copy *c = r->lines[0].count > 0 ? &r->lines[0].copies[0] : NULL;
        if (r->how.standing == STANDING_SURE && r->how.delay_ms > 0 && surely_due_at(r) <= now &&
            (c == NULL || (c->count == 0 && !c->may_vanish && c->fate == FATE_WAITING)))
            verdict_fail("message %u was due at %llu, and has not come by %llu", m,
                         (unsigned long long)surely_due_at(r), (unsigned long long)now);
    }
}

void ledger_verdict(struct ledger *l, uint64_t now)
{
    for (uint32_t m = 0; m < l->record_count; m++) {
        struct record *r = &l->records[m];
        if (r->how.standing != STANDING_SURE)
            continue;
        for (unsigned i = 0; i < 2; i++) {
            struct line *line = &r->lines[i];
            if (line->target == NO_QUEUE || line->target == Q_LOG) /* see scroll_verdict() */
                continue;
            account_for(l, m, line, now);
            if (l->topology->queues[line->target].max_length > 0 && r->how.ttl_ms == 0 && copy_of(line, 0)->count == 0)
                check_drop_order(l, m, line->target);
        }
    }
}
