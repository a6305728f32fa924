#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/deadletter.h"
#include "broker/model/exchange.h"
#include "broker/model/explain_state.h"
#include "broker/model/letters.h"
#include "broker/model/obituary.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/waiting.h"
#include "codec/table.h"

enum { FOLLOWED_MAX = 4 /* of one letter's queues */ };

/* A message that dies in a queue. */
struct job {
    struct message *msg; /* owned */
    enum death death;
    unsigned depth;                        /* 1: the message itself, 2: its dead letter … */
    struct queue *path[EXPLAIN_DEPTH_MAX]; /* borrowed: where it and those before it have died: depth of them */
};

struct jobs {
    struct job at[EXPLAIN_WALKS_MAX];
    unsigned n;
};

static struct queue *queue_of(const struct job *j)
{
    return j->path[j->depth - 1];
}

static bool is_on_path(const struct job *j, const struct queue *q)
{
    for (unsigned i = 0; i < j->depth; i++)
        if (j->path[i] == q)
            return true;
    return false;
}

/* ---- Rows. */

static const char *const causes[DEATH_COUNT] = {[DEATH_REJECTED] = "When it is rejected",
                                                [DEATH_EXPIRED] = "When its time to live is over",
                                                [DEATH_MAXLEN] = "When the queue's length limit drops it",
                                                [DEATH_DELIVERY_LIMIT] = "When it has been given back too often"};

static struct pen open_row(struct explain *e, const struct job *j, const char *outcome, size_t room)
{
    const struct queue *q = queue_of(j), *first = j->path[0], *before = j->depth > 1 ? j->path[j->depth - 2] : NULL;
    struct pen row = explain_open(e, "dead_letter", first->name.len + 2 * q->name.len + room);
    table_put_string(&row, BYTES("queue"), first->name);
    table_put_string(&row, BYTES("reason"), death_word(j->death));
    table_put_i64(&row, BYTES("depth"), j->depth);
    if (before != NULL)
        table_put_string(&row, BYTES("via"), q->name);
    table_put_string(&row, BYTES("outcome"), bytes_of_string(outcome));
    return row;
}

static void tell_lost(struct explain *e, const struct job *j, const char *outcome, const char *why)
{
    struct pen row = open_row(e, j, outcome, 0);
    explain_say(&row, "explanation", "%s it is gone: %s.", causes[j->death], why);
    explain_close(e, &row);
}

static void tell_missing(struct explain *e, const struct job *j, struct bytes name)
{
    struct pen row = open_row(e, j, "no_exchange", name.len);
    table_put_string(&row, BYTES("exchange"), name);
    name = waiting_name(name);
    explain_say(&row, "explanation", "%s it %s: its dead-letter exchange '%.*s' does not exist.", causes[j->death],
                letters_must_arrive(queue_of(j)) ? "waits" : "is gone", BYTES_ARG(name));
    explain_close(e, &row);
}

/* ---- Following it. */

/* Where a letter has come to. */
struct arrival {
    const struct exchange *x;
    struct message *letter;
    size_t n, allowed;        /* queues that are routed to; of those, that may have it */
    const struct queue *back; /* one of them has been on the path; NULL */
};

static bool may_enter(const struct job *j, const struct message *letter, const struct queue *q)
{
    return j->death == DEATH_REJECTED || obituary_allows(message_properties(letter), message_deaths(letter), q->name);
}

static void put_queues(struct explain *e, struct pen *row, const struct job *j, const struct arrival *a)
{
    uint8_t *mark = table_open(row, BYTES("queues"), 'A');
    size_t told = 0;
    for (size_t i = 0; i < a->n && told < EXPLAIN_QUEUES_MAX; i++) {
        const struct queue *q = e->b->route.queues[i];
        if (may_enter(j, a->letter, q)) {
            table_put_string_in_array(row, q->name);
            told++;
        }
    }
    table_close(row, mark);
    e->left_off += a->allowed - told;
}

static size_t names_room(const struct explain *e, size_t n)
{
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += e->b->route.queues[i]->name.len + 8;
    return room < (size_t)512 * EXPLAIN_QUEUES_MAX ? room : (size_t)512 * EXPLAIN_QUEUES_MAX;
}

static void say_where(struct pen *row, const struct job *j, const struct arrival *a)
{
    struct bytes x = waiting_name(a->x->name), back = a->back != NULL ? waiting_name(a->back->name) : x;
    const char *cause = causes[j->death];
    bool waits = letters_must_arrive(queue_of(j));
    if (a->n == 0)
        explain_say(row, "explanation", "%s it %s: exchange '%.*s' routes it to no queue.", cause,
                    waits ? "waits" : "is gone", BYTES_ARG(x));
    else if (a->allowed == 0)
        explain_say(row, "explanation",
                    "%s it is gone: it would come back to a queue that it has died in without having been rejected.",
                    cause);
    else if (a->back != NULL)
        explain_say(row, "explanation", "%s it goes to exchange '%.*s', and comes back to '%.*s': it goes round.",
                    cause, BYTES_ARG(x), BYTES_ARG(back));
    else
        explain_say(row, "explanation", "%s it goes to exchange '%.*s', and from there to %zu queue%s%s.", cause,
                    BYTES_ARG(x), a->allowed, a->allowed == 1 ? "" : "s",
                    waits ? "; it waits until all of them have taken it" : "");
}

static void tell_arrival(struct explain *e, const struct job *j, const struct arrival *a)
{
    struct bytes key = message_key(a->letter);
    const char *outcome = a->n == 0 ? "nowhere" : a->allowed == 0 ? "cycle" : "routed";
    struct pen row = open_row(e, j, outcome, a->x->name.len + key.len + names_room(e, a->n));
    table_put_string(&row, BYTES("exchange"), a->x->name);
    table_put_string(&row, BYTES("routing_key"), key);
    if (a->back != NULL)
        table_put_bool(&row, BYTES("goes_round"), true);
    say_where(&row, j, a);
    put_queues(e, &row, j, a);
    explain_close(e, &row);
}

/* Letters that expire where they have come to are followed: nobody needs to do anything for that. */
static void follow(struct explain *e, struct jobs *jobs, const struct job *j, const struct arrival *a)
{
    unsigned followed = 0;
    for (size_t i = 0; i < a->n && followed < FOLLOWED_MAX && j->depth < EXPLAIN_DEPTH_MAX; i++) {
        struct queue *q = e->b->route.queues[i];
        if (!may_enter(j, a->letter, q) || is_on_path(j, q) || q->options->message_ttl_ms == SPEC_NONE ||
            q->log != NULL || jobs->n == EXPLAIN_WALKS_MAX)
            continue;
        struct job *next = &jobs->at[jobs->n++];
        *next = *j;
        next->msg = message_ref(a->letter);
        next->death = DEATH_EXPIRED;
        next->path[next->depth++] = q;
        followed++;
    }
}

static void look_around(struct explain *e, const struct job *j, struct arrival *a)
{
    struct look *l = &e->look;
    a->letter->arrived_ms = (int64_t)e->b->now.ms;
    look_walk(l, (struct exchange *)(uintptr_t)a->x, a->letter);
    e->walks++;
    for (size_t i = 0; i < l->n_steps; i++)
        e->found += l->steps[i].matches;
    a->n = l->n;
    for (size_t i = 0; i < l->n; i++) {
        const struct queue *q = e->b->route.queues[i];
        if (!may_enter(j, a->letter, q))
            continue;
        a->allowed++;
        if (a->back == NULL && is_on_path(j, q))
            a->back = q;
    }
}

static void take(struct explain *e, struct jobs *jobs, const struct job *j)
{
    struct queue *q = queue_of(j);
    struct bytes name;
    if (!deadletter_find_name(q, j->msg, &name)) {
        tell_lost(e, j, "discarded", "the queue has no dead-letter exchange");
        return;
    }
    struct arrival a = {.x = deadletter_exchange(e->b, q, j->msg)};
    if (a.x == NULL) {
        tell_missing(e, j, name);
        return;
    }
    if (e->walks == EXPLAIN_WALKS_MAX || e->found > EXPLAIN_MATCHES_MAX ||
        e->b->route.looked - e->looked_before > EXPLAIN_LOOKS_MAX) {
        e->left_off++;
        return;
    }
    const struct entry died = {.msg = j->msg, .queue = q, .death = j->death};
    a.letter = deadletter_write(e->b, &died, a.x);
    look_around(e, j, &a);
    tell_arrival(e, j, &a);
    follow(e, jobs, j, &a);
    message_unref(a.letter);
}

static bool can_die_of(const struct explain *e, const struct queue *q, enum death death)
{
    const struct queue_options *o = q->options;
    bool is_limited = o->max_length != SPEC_NONE || o->max_length_bytes != SPEC_NONE;
    switch (death) {
    case DEATH_REJECTED:
        return true;
    case DEATH_EXPIRED:
        return o->message_ttl_ms != SPEC_NONE || message_expiration_ms(e->msg) != MESSAGE_NO_EXPIRATION;
    case DEATH_MAXLEN:
        return is_limited && o->overflow != OVERFLOW_REJECT_PUBLISH;
    case DEATH_DELIVERY_LIMIT:
        return o->delivery_limit != SPEC_NONE;
    case DEATH_DUE:
    case DEATH_COUNT:
        break;
    }
    return false;
}

void explain_deaths(struct explain *e, struct queue *q)
{
    struct jobs *jobs;
    if (q->log != NULL || q->spec->is_reply)
        return;
    jobs = alloc_zeroed(sizeof *jobs);
    for (enum death death = 0; death < DEATH_COUNT; death++)
        if (can_die_of(e, q, death))
            jobs->at[jobs->n++] = (struct job){.msg = message_ref(e->msg), .death = death, .depth = 1, .path = {q}};
    for (unsigned i = 0; i < jobs->n; i++) {
        const struct job j = jobs->at[i];
        take(e, jobs, &j);
        message_unref(j.msg);
    }
    free(jobs);
}
