/* The short way of a publish is the long one's equal: any commands have the same effects on two brokers, of which one
 * takes every detour. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/model/broker.h"
#include "broker/model/outlet.h"
#include "broker/model/state.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"
#include "tests/unit/guest.h"

enum {
    CLIENTS = 3,
    STREAMS = 2,
    CONSUMERS = 4,
    QUEUES = 6,
    BATCH = 6,
    TICKETS = 32,
    STEPS = 400,
    SEEDS = 60,
    ROOM = 160
};

static const char *const queues[QUEUES] = {"plain", "limited", "refusing", "ranked", "brief", "active"};

struct side {
    struct broker *broker;
    struct effects effects;
};

struct pair {
    struct side sides[2]; /* the short way, the long one */
    struct instant now;
    uint64_t seed, cookie;
    bool consuming[CLIENTS][CONSUMERS], poisoned[CLIENTS][STREAMS];
    ticket tickets[TICKETS];
    struct origin holders[TICKETS];
    unsigned n_tickets;
    bool was_piled, has_records;
};

/* A command that each side is given in a copy of its own. */
struct wish {
    struct command command; /* without what it owns */
    struct message_spec message;
    struct spec *spec; /* owned until it was granted; NULL: none */
    bool has_message;
    enum change_kind change;
    enum definition_class what;
};

static unsigned pick(struct pair *p, unsigned n)
{
    p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((p->seed >> 33) % n);
}

static struct command granted(const struct wish *w)
{
    struct command c = w->command;
    if (w->has_message) {
        static const uint8_t body[200];
        c.publish.msg = message_create(&w->message);
        message_fill(c.publish.msg, bytes_of(body, w->message.body_size));
    } else if (c.verb == ALTER) {
        c.changes = changes_create();
        changes_add(c.changes, w->change, w->what, spec_create(w->spec));
    } else if (w->spec != NULL) {
        c.spec = spec_create(w->spec);
    }
    return c;
}

/* ---- What is the same. */

static void assert_same_message(const struct message *a, const struct message *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a == NULL)
        return;
    assert_true(bytes_equal(message_exchange(a), message_exchange(b)));
    assert_true(bytes_equal(message_key(a), message_key(b)));
    assert_true(bytes_equal(message_properties(a), message_properties(b)));
    assert_int_equal(a->body_size, b->body_size);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->entries, b->entries);
}

static void assert_same_event(const struct event *a, const struct event *b)
{
    assert_int_equal(a->what, b->what);
    assert_int_equal(a->verb, b->verb);
    assert_memory_equal(&a->to, &b->to, sizeof a->to);
    assert_int_equal(a->cookie, b->cookie);
    assert_int_equal(a->after, b->after);
    if (a->what == FAILED)
        assert_string_equal(a->failed.text, b->failed.text);
    if (a->what == CANCELLED)
        assert_int_equal(a->cancelled.consumer, b->cancelled.consumer);
    if (a->what != DELIVERED && a->what != GOT && a->what != RETURNED)
        return;
    assert_same_message(a->delivered.msg, b->delivered.msg);
    assert_int_equal(a->delivered.ticket.slot, b->delivered.ticket.slot);
    assert_int_equal(a->delivered.ticket.generation, b->delivered.ticket.generation);
    assert_int_equal(a->delivered.consumer, b->delivered.consumer);
    assert_int_equal(a->delivered.redelivered, b->delivered.redelivered);
    assert_int_equal(a->delivered.no_ack, b->delivered.no_ack);
    assert_int_equal(a->delivered.stamp, b->delivered.stamp);
    assert_int_equal(a->delivered.stamp_value, b->delivered.stamp_value);
}

static void assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->tx, b->tx);
    assert_int_equal(a->transient, b->transient);
    assert_int_equal(a->places, b->places);
    assert_memory_equal(&a->at, &b->at, sizeof a->at);
    if (a->kind == RECORD_PUBLISH)
        assert_same_message(a->msg, b->msg);
}

static void assert_same_effects(const struct effects *a, const struct effects *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_same_event(&a->events[i], &b->events[i]);
    assert_int_equal(a->records.n, b->records.n);
    for (size_t i = 0; i < a->records.n; i++)
        assert_same_record(&a->records.records[i], &b->records.records[i]);
    assert_int_equal(a->records.n_places, b->records.n_places);
    for (size_t i = 0; i < a->records.n_places; i++)
        assert_memory_equal(&a->records.places[i], &b->records.places[i], sizeof(struct place));
    assert_int_equal(a->records.last, b->records.last);
    assert_int_equal(a->alarms, b->alarms);
}

/* ---- Both. */

static void take(struct pair *p, const struct event *e)
{
    if (e->what == DELIVERED && !e->delivered.no_ack) {
        unsigned at = p->n_tickets < TICKETS ? p->n_tickets++ : pick(p, TICKETS);
        p->tickets[at] = e->delivered.ticket;
        p->holders[at] = e->to;
    }
    if (e->what == CANCELLED)
        p->consuming[e->to.outlet.slot][e->cancelled.consumer] = false;
    if (e->what == FAILED && e->to.outlet.generation != DESK_GENERATION)
        p->poisoned[e->to.outlet.slot][e->to.stream] = true;
}

/* Carries the wishes out in one step, on both sides. */
static void grant(struct pair *p, const struct wish *wishes, size_t n)
{
    struct command commands[BATCH];
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < n; k++)
            commands[k] = granted(&wishes[k]);
        broker_step(p->sides[i].broker, &p->now, commands, n, &p->sides[i].effects);
        broker_check(p->sides[i].broker);
    }
    assert_same_effects(&p->sides[0].effects, &p->sides[1].effects);
    /* What waits takes less memory where it may be in a pile. */
    struct broker_totals a = broker_totals(p->sides[0].broker), b = broker_totals(p->sides[1].broker);
    assert_true(a.message_bytes <= b.message_bytes);
    p->was_piled |= a.message_bytes < b.message_bytes;
    a.message_bytes = b.message_bytes;
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(broker_deadline(p->sides[0].broker), broker_deadline(p->sides[1].broker));
    for (size_t k = 0; k < n; k++)
        free(wishes[k].spec);
    for (size_t i = 0; i < p->sides[0].effects.n; i++)
        take(p, &p->sides[0].effects.events[i]);
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < p->sides[i].effects.n; k++)
            event_drop(&p->sides[i].effects.events[k]);
        effects_clear(&p->sides[i].effects);
    }
}

static struct wish wish_of(enum verb verb, unsigned client, unsigned stream)
{
    struct wish w = {.command = {.verb = verb}};
    w.command.from = (struct origin){
        .outlet = {.slot = client, .generation = 1}, .stream = (uint16_t)stream, .channel = (uint16_t)(stream + 1)};
    return w;
}

static void say(struct pair *p, enum verb verb, unsigned client, const struct spec *spec)
{
    struct wish w = wish_of(verb, client, 0);
    w.spec = spec_create(spec);
    grant(p, &w, 1);
}

static void start(struct pair *p, uint64_t seed, bool records, bool is_cold)
{
    *p = (struct pair){.now = {.ms = 5, .wall_ms = 5}, .seed = seed * 77 + 1};
    for (unsigned i = 0; i < 2; i++) {
        const struct broker_config config = {.default_vhost = "/",
                                             .hash_seed = 5,
                                             .memory_high = UINT64_MAX,
                                             .records = records,
                                             .window_bytes = is_cold ? 1 : 0,
                                             .window_messages = is_cold ? 2 : 0,
                                             .takes_detours = i == 1};
        effects_init(&p->sides[i].effects);
        p->sides[i].broker = broker_create(&config);
        guest_let_in(p->sides[i].broker);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        say(p, ATTACH, i, &(struct spec){.name = BYTES("/"), .source = BYTES("guest"), .serial = GUEST_SERIAL});
    for (unsigned i = 0; i < QUEUES; i++) {
        struct spec s = {.name = bytes_of_string(queues[i]), .durable = true, .options = queue_options_none};
        s.options.max_length = i == 1 || i == 2 ? 3 : SPEC_NONE;
        s.options.overflow = i == 2 ? OVERFLOW_REJECT_PUBLISH : OVERFLOW_DROP_HEAD;
        s.options.max_priority = i == 3 ? 3 : 0;
        s.options.message_ttl_ms = i == 4 ? 4 : SPEC_NONE;
        s.options.single_active_consumer = i == 5;
        s.options.deduplicates = i == 4 && seed % 5 == 0;
        s.options.cache_ttl_ms = i == 4 && seed % 5 == 0 ? 50 : SPEC_NONE;
        say(p, DECLARE_QUEUE, 0, &s);
        if (i != 2)
            say(p, BIND, 0, &(struct spec){.name = s.name, .source = BYTES("amq.fanout")});
        say(p, BIND, 0,
            &(struct spec){.name = s.name, .source = BYTES("amq.direct"), .key = i < 2 ? BYTES("k") : s.name});
    }
    say(p, BIND, 0, &(struct spec){.name = BYTES("limited"), .source = BYTES("amq.rabbitmq.trace"), .key = BYTES("#")});
}

static void finish(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        effects_fini(&p->sides[i].effects);
        broker_destroy(p->sides[i].broker);
    }
}

/* ---- Any commands. */

static struct wish pick_publish(struct pair *p)
{
    static const struct {
        const char *exchange, *key;
    } to[] = {{"", "plain"},      {"", "plain"},       {"", "plain"},   {"", "limited"}, {"", "refusing"},
              {"", "ranked"},     {"", "brief"},       {"", "active"},  {"", "nobody"},  {"amq.fanout", ""},
              {"amq.fanout", ""}, {"amq.direct", "k"}, {"nowhere", "k"}};
    static const uint8_t keyed[] = "\x20\0\0\0\0\x1d\x16x-deduplication-headerS\0\0\0\1k";
    unsigned where = pick(p, 60) == 0 ? 12 : pick(p, 12);
    bool has_key = pick(p, 8) == 0;
    struct wish w = wish_of(PUBLISH, pick(p, CLIENTS), pick(p, STREAMS));
    w.command.publish.mandatory = pick(p, 3) == 0;
    w.command.publish.confirm = pick(p, 3) == 0;
    w.has_message = true;
    w.message = (struct message_spec){
        .exchange = bytes_of_string(to[where].exchange),
        .routing_key = bytes_of_string(to[where].key),
        .properties = has_key ? bytes_of(keyed, sizeof keyed - 1) : bytes_of("\0\0", 2),
        .body_size = pick(p, 200),
        .flags = (uint8_t)((pick(p, 2) == 0 ? MESSAGE_PERSISTENT : 0) | (has_key ? MESSAGE_HAS_HEADERS : 0)),
        .priority = (uint8_t)pick(p, 5),
        .expiration_ms = pick(p, 8) == 0 ? pick(p, 3) : MESSAGE_NO_EXPIRATION};
    return w;
}

static struct wish pick_consumer(struct pair *p)
{
    unsigned client = pick(p, CLIENTS), number = pick(p, CONSUMERS);
    bool is_new = !p->consuming[client][number];
    struct wish w = wish_of(is_new ? SUBSCRIBE : UNSUBSCRIBE, client, number % STREAMS);
    p->consuming[client][number] = is_new;
    w.command.subscribe.consumer = number;
    if (!is_new)
        return w;
    struct spec s = {.name = bytes_of_string(queues[pick(p, QUEUES)]), .no_ack = pick(p, 3) != 0};
    s.priority = pick(p, 8) == 0;
    w.spec = spec_create(&s);
    w.command.subscribe.limit = pick(p, 4);
    return w;
}

/* What an administrator does: a policy, a pause, a trace, a limit; or the end of it. */
static struct wish pick_change(struct pair *p)
{
    struct wish w = wish_of(ALTER, 0, 0);
    uint8_t room[ROOM];
    struct pen pen = pen_over(room, ROOM);
    unsigned what = pick(p, 5);
    w.command.from = (struct origin){.outlet = {.generation = DESK_GENERATION}};
    struct spec s = {.vhost = BYTES("/"), .name = bytes_of_string(queues[pick(p, QUEUES)])};
    w.change = pick(p, 2) == 0 ? CHANGE_PUT : CHANGE_REMOVE;
    w.what = DEFINE_PARAMETER;
    if (what == 0) {
        w.what = DEFINE_VHOST;
        w.change = CHANGE_PUT;
        s.name = BYTES("/");
        table_put_bool(&pen, BYTES("tracing"), pick(p, 2) == 0);
    } else if (what == 1) {
        s.type = BYTES("paused-queue");
        table_put_bool(&pen, BYTES("value"), true);
    } else if (what == 2) {
        static const char *const limits[] = {"max-queue-bytes", "max-publish-rate"};
        s.type = BYTES("vhost-limits");
        s.name = BYTES("limits");
        uint8_t *mark = table_open(&pen, BYTES("value"), 'F');
        table_put_i64(&pen, bytes_of_string(limits[pick(p, 2)]), 200 + pick(p, 300));
        table_close(&pen, mark);
    } else {
        s.type = BYTES("policy");
        uint8_t *value = table_open(&pen, BYTES("value"), 'F');
        table_put_string(&pen, BYTES("pattern"), bytes_of_string(queues[pick(p, QUEUES)]));
        uint8_t *definition = table_open(&pen, BYTES("definition"), 'F');
        if (what == 3)
            table_put_string(&pen, BYTES("overflow"), BYTES("reject-publish"));
        else
            table_put_bool(&pen, BYTES("message-deduplication"), true);
        table_put_i64(&pen, BYTES("max-length"), pick(p, 4));
        table_close(&pen, definition);
        table_close(&pen, value);
    }
    s.arguments = pen_written(&pen);
    w.spec = spec_create(&s);
    return w;
}

static struct wish pick_settle(struct pair *p)
{
    unsigned at = p->n_tickets > 0 ? pick(p, p->n_tickets) : 0;
    struct wish w = wish_of(SETTLE, p->holders[at].outlet.slot, p->holders[at].stream);
    w.command.settle.ticket = p->tickets[at];
    w.command.settle.outcome = (enum outcome)pick(p, HELD);
    return w;
}

static struct wish pick_wish(struct pair *p)
{
    static const enum verb others[] = {GET, PURGE_QUEUE, RECOVER, CREDIT};
    unsigned what = pick(p, 100);
    if (what < 55)
        return pick_publish(p);
    if (what < 67)
        return pick_consumer(p);
    if (what < 80)
        return pick_settle(p);
    struct wish w = wish_of(what < 92 ? WINDOW : others[pick(p, 4)], pick(p, CLIENTS), pick(p, STREAMS));
    if (what >= 97)
        return pick_change(p);
    if (w.command.verb == WINDOW) {
        w.command.window.bytes = pick(p, 3000);
    } else if (w.command.verb == CREDIT) {
        w.command.credit.limit = pick(p, 3);
    } else if (w.command.verb != RECOVER) {
        /* A pile is purged in one record, and only the short way has piles. */
        unsigned first = w.command.verb == PURGE_QUEUE && p->has_records ? 1 : 0;
        struct spec s = {.name = bytes_of_string(queues[first + pick(p, QUEUES - first)]), .no_ack = pick(p, 2) == 0};
        w.spec = spec_create(&s);
    }
    return w;
}

/* Streams that failed begin anew, without consumers. */
static void reset_poisoned(struct pair *p)
{
    for (unsigned i = 0; i < CLIENTS * STREAMS; i++) {
        unsigned client = i % CLIENTS, stream = i / CLIENTS;
        if (!p->poisoned[client][stream])
            continue;
        p->poisoned[client][stream] = false;
        for (unsigned n = stream; n < CONSUMERS; n += STREAMS)
            p->consuming[client][n] = false;
        struct wish w = wish_of(RESET, client, stream);
        grant(p, &w, 1);
    }
}

/* records: they are never answered, so where queues go cold they have no head any more. */
static bool play(uint64_t seed, bool records, bool is_cold)
{
    struct wish wishes[BATCH];
    struct pair p;
    start(&p, seed, records, is_cold);
    p.has_records = records;
    for (unsigned i = 0; i < CLIENTS; i++) /* windows are soon used up */
        for (unsigned k = 0; k < 2; k++)
            p.sides[k].broker->outlets[i]->window = 2000;
    for (unsigned i = 0; i < STEPS; i++) {
        size_t n = 1 + pick(&p, BATCH);
        if (pick(&p, 10) == 0)
            p.now.ms += pick(&p, 6);
        for (size_t k = 0; k < n; k++) {
            wishes[k] = pick_wish(&p);
            wishes[k].command.cookie = ++p.cookie;
            bool may_fail = wishes[k].command.verb == SUBSCRIBE || wishes[k].command.verb == UNSUBSCRIBE;
            if (may_fail) /* what follows must know what became of it */
                n = k + 1;
        }
        grant(&p, wishes, n);
        reset_poisoned(&p);
    }
    finish(&p);
    return p.was_piled;
}

TEST(any_commands_have_the_same_effects_on_the_long_way)
{
    bool was_piled = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        was_piled |= play(seed, seed % 3 != 0, seed % 3 == 1);
    assert_true(was_piled);
}

/* A consumer of "plain", and many messages for it. */
static void publish_through(struct pair *p)
{
    struct spec s = {.name = BYTES("plain"), .no_ack = true};
    say(p, SUBSCRIBE, 1, &s);
    for (unsigned i = 0; i < 100; i++) {
        struct wish w = wish_of(PUBLISH, 0, 0);
        w.has_message = true;
        w.message = (struct message_spec){.routing_key = BYTES("plain"),
                                          .properties = bytes_of("\0\0", 2),
                                          .flags = MESSAGE_PERSISTENT,
                                          .expiration_ms = MESSAGE_NO_EXPIRATION};
        grant(p, &w, 1);
    }
}

/* Else what is above would compare the long way with itself. */
TEST(what_is_handed_over_has_no_entry)
{
    struct pair p;
    start(&p, 1, true, false);
    publish_through(&p);
    assert_int_equal(broker_totals(p.sides[0].broker).messages_ready, 0);
    assert_null(p.sides[0].broker->entries.slabs);
    assert_non_null(p.sides[1].broker->entries.slabs);
    finish(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_commands_have_the_same_effects_on_the_long_way),
        cmocka_unit_test(what_is_handed_over_has_no_entry),
    };
    return unit_main("broker/model/handover", tests, argc, argv);
}
