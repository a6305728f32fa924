/* The model under any commands in any order: every invariant holds after each, and the same commands have the same
 * effects.  Four clients with three streams each, a handful of names, tickets that were handed out and some that were
 * not.
 *
 * Each input is played four times: without records; with them, which must not change a thing; and twice with windows so
 * small that queues go cold at once.  A naive store checks that the records make sense, answers the loads (late), and
 * in the end must be able to fill another broker. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "broker/model/broker.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/queue_options.h"
#include "broker/port/sample.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/unit/abacus.h"
#include "tests/unit/keepsake.h"

enum mode { MODE_PLAIN, MODE_RECORDS, MODE_COLD };

enum { CLIENTS = 4, STREAMS = 3, TICKETS = 64, CONSUMERS = 6, EVENTS_MAX = 100000, RESTART_LOADS = 100 };

struct run {
    const uint8_t *at, *end;
    struct broker *broker;
    struct effects effects;
    struct instant now;
    struct keepsake keepsake;
    bool is_cold; /* MODE_COLD */
    uint64_t steps;
    bool attached[CLIENTS];
    bool consuming[CLIENTS][CONSUMERS];
    uint8_t consumer_stream[CLIENTS][CONSUMERS];
    ticket tickets[TICKETS];
    unsigned ticket_count;
    bool has_subscribed; /* since that was forgotten */
    uint64_t trace;      /* a hash of all events */
    uint64_t events;
    struct abacus abacus;
};

#define ADDRESSES "amq.rabbitmq.reply-to."

static unsigned pick(struct run *r, unsigned kinds)
{
    return r->at < r->end ? *r->at++ % kinds : 0;
}

static struct bytes pick_name(struct run *r)
{
    static const char *const names[] = {"a",
                                        "b",
                                        "c",
                                        "d",
                                        "e",
                                        "",
                                        "amq.topic",
                                        "amq.headers",
                                        ADDRESSES "00",
                                        "amq.rabbitmq.trace",
                                        "amq.rabbitmq.event"};
    return bytes_of_string(names[pick(r, 11)]);
}

static struct bytes pick_key(struct run *r)
{
    static const char *const keys[] = {"a", "b", "c", "d", "#", "a.*", "a.b", "", "1", "30", ADDRESSES "00"};
    return bytes_of_string(keys[pick(r, 11)]);
}

static uint64_t pick_limit(struct run *r)
{
    static const uint64_t limits[] = {SPEC_NONE, SPEC_NONE, SPEC_NONE, 0, 1, 2, 5, 300};
    return limits[pick(r, 8)];
}

/* A declaration with some arguments; buf keeps its table. */
static struct spec *pick_spec(struct run *r)
{
    static const char *const types[] = {"direct",
                                        "fanout",
                                        "topic",
                                        "headers",
                                        "nonsense",
                                        "x-random",
                                        "x-local-random",
                                        "x-consistent-hash",
                                        "x-recent-history",
                                        "x-modulus-hash",
                                        "x-delayed-message"};
    uint8_t buf[256];
    struct pen p = pen_over(buf, sizeof buf);
    unsigned flags = pick(r, 256);
    struct spec s = {.name = pick_name(r), .source = pick_name(r), .key = pick_key(r)};
    s.type = bytes_of_string(types[pick(r, 11)]);
    s.passive = flags & 1 && flags & 2;
    s.durable = flags & 4;
    s.exclusive = flags & 8 && flags & 16;
    s.auto_delete = flags & 32;
    s.to_exchange = flags & 64;
    s.if_unused = flags & 128;
    s.if_empty = flags & 2;
    s.no_ack = flags & 1;
    s.priority = pick(r, 3);
    s.options = queue_options_none;
    s.options.message_ttl_ms = pick_limit(r);
    s.options.expires_ms = pick_limit(r);
    s.options.max_length = pick_limit(r);
    s.options.max_length_bytes = pick_limit(r);
    s.options.overflow = (enum overflow)pick(r, 3);
    s.options.delivery_limit = pick_limit(r);
    s.options.consumer_timeout_ms = pick_limit(r);
    unsigned kind = pick(r, 32);
    s.options.max_priority = kind & 1 ? (uint8_t)(kind * 8) : 0;
    s.options.single_active_consumer = kind & 2;
    s.options.at_least_once = kind & 8;
    s.options.type = kind & 4 && s.durable && !s.exclusive && !s.auto_delete ? QUEUE_QUORUM : QUEUE_CLASSIC;
    if (kind & 16) {
        unsigned what = pick(r, 8);
        s.options.deduplicates = what & 1;
        s.options.cache_ttl_ms = what & 2 ? pick_limit(r) : SPEC_NONE;
        s.options.cache_size = what & 2 ? 1 + what : SPEC_NONE;
        if (what & 4)
            s.options.group_header = BYTES("g");
        s.options.publish_rate = what == 7 ? 1 : SPEC_NONE;
    }
    if (pick(r, 4) == 1) {
        s.options.retry_type = (uint8_t)pick(r, RETRY_RETURNED + 1);
        s.options.retry_growth = (uint8_t)pick(r, RETRY_EXPONENTIAL + 1);
        s.options.retry_min_ms = pick_limit(r);
    }
    bool is_stream = s.options.type == QUEUE_QUORUM && (kind & 8);
    if (is_stream) {
        uint64_t limit = s.options.max_length_bytes;
        s.options = queue_options_none;
        s.options.type = QUEUE_STREAM;
        s.options.max_length_bytes = limit;
        s.options.segment_bytes = pick_limit(r);
        s.options.max_age_ms = pick_limit(r);
        table_put_i64(&p, BYTES("x-stream-offset"), (int64_t)pick(r, 16) - 4);
        table_put_bool(&p, BYTES("x-stream-automatic-offset-tracking"), kind & 16);
    }
    if (s.options.expires_ms == 0)
        s.options.expires_ms = 1;
    if (!is_stream && pick(r, 2) == 1) {
        s.options.has_dead_letter_exchange = true;
        s.options.dead_letter_exchange = pick_name(r);
        s.options.has_dead_letter_routing_key = pick(r, 2) == 1;
        s.options.dead_letter_routing_key = pick_key(r);
    }
    if (pick(r, 4) == 1)
        table_put_string(&p, BYTES("alternate-exchange"), pick_name(r));
    if (pick(r, 4) == 1) {
        table_put_bool(&p, BYTES("x-message-deduplication"), true);
        table_put_i64(&p, BYTES("x-cache-size"), 1 + pick(r, 3));
    }
    if (pick(r, 4) == 1)
        table_put_string(&p, BYTES("x-match"), pick(r, 2) == 1 ? BYTES("any") : BYTES("all"));
    if (bytes_equal(s.type, BYTES("x-delayed-message")))
        table_put_string(&p, BYTES("x-delayed-type"), bytes_of_string(types[pick(r, 8)]));
    if (pick(r, 8) == 1)
        table_put_i64(&p, BYTES("x-recent-history-length"), pick(r, 4));
    if (pick(r, 8) == 1)
        table_put_string(&p, BYTES("hash-property"), pick(r, 4) == 1 ? BYTES("type") : BYTES("message_id"));
    s.arguments = pen_written(&p);
    return spec_create(&s);
}

/* Its properties, in buf. */
static struct bytes pick_delay(struct run *r, uint8_t *buf, size_t room)
{
    uint8_t table[32];
    struct pen headers = pen_over(table, sizeof table), p = pen_over(buf, room);
    table_put_i32(&headers, BYTES("x-delay"), (int32_t)pick(r, 256) - 16);
    properties_encode(&p, &(struct properties){.flags = PROPERTY_headers, .headers = pen_written(&headers)});
    return pen_written(&p);
}

static struct message *pick_message(struct run *r)
{
    uint8_t delayed[64];
    static const uint8_t cc[] = {0, 0, 0, 1, 'b', 0, 0, 0, 1, 'c'};
    static const uint8_t keyed[] = "\x20\0\0\0\0\x25\x16x-deduplication-headerS\0\0\0\x01k\x01gS\0\0\0\x01v";
    unsigned size = pick(r, 8), key = pick(r, 8);
    uint8_t properties[sizeof keyed - 1];
    memcpy(properties, keyed, sizeof properties);
    properties[34] = (uint8_t)('a' + key);
    properties[sizeof properties - 1] = (uint8_t)('0' + key % 3);
    struct bytes some = key == 7  ? pick_delay(r, delayed, sizeof delayed)
                        : key > 0 ? bytes_of(properties, sizeof properties)
                                  : bytes_of("\0\0", 2);
    struct message_spec spec = {
        .exchange = pick_name(r),
        .routing_key = pick_key(r),
        .properties = some,
        .extra_keys = pick(r, 4) == 1 ? bytes_of(cc, sizeof cc) : (struct bytes){0},
        .body_size = size,
        .flags = (size % 3 != 0 ? MESSAGE_PERSISTENT : 0) | (key > 0 ? MESSAGE_HAS_HEADERS : 0),
        .priority = (uint8_t)(size * 40),
        .expiration_ms = pick(r, 3) == 1 ? pick_limit(r) : MESSAGE_NO_EXPIRATION,
    };
    spec.cc_count = spec.extra_keys.len > 0;
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of("12345678", size));
    return m;
}

/* Of one ticket, or of some more, which may be the same. */
static struct command pick_settle(struct run *r)
{
    enum { MORE = 3 };
    ticket t = r->ticket_count > 0 ? r->tickets[pick(r, r->ticket_count)] : (ticket){pick(r, 9), pick(r, 3)};
    struct command c = {.verb = SETTLE, .settle = {.ticket = t, .outcome = (enum outcome)pick(r, HELD)}};
    if (t.slot % 4 != 1 || r->ticket_count < MORE)
        return c;
    c.settle.more = calloc(MORE, sizeof *c.settle.more);
    CHECK(c.settle.more != NULL);
    for (; c.settle.more_count < MORE; c.settle.more_count++)
        c.settle.more[c.settle.more_count] = r->tickets[c.settle.more_count];
    return c;
}

static struct command pick_commit(struct run *r)
{
    struct tx *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->commands = calloc(4, sizeof *t->commands);
    CHECK(t->commands != NULL);
    for (t->n = 0; t->n < pick(r, 5) % 4; t->n++)
        t->commands[t->n] =
            pick(r, 2) == 1 ? pick_settle(r) : (struct command){.verb = PUBLISH, .publish = {.msg = pick_message(r)}};
    return (struct command){.verb = COMMIT, .tx = t};
}

/* Waits for replies: as long as it does, nobody else has that number. */
static struct spec *pick_reply(unsigned client, unsigned number)
{
    char name[] = ADDRESSES "00";
    name[sizeof name - 3] = (char)('0' + client);
    name[sizeof name - 2] = (char)('0' + number);
    return spec_create(&(struct spec){.name = bytes_of_string(name), .no_ack = true, .is_reply = true});
}

static bool pick_subscribe(struct run *r, unsigned client, unsigned stream, struct command *c)
{
    unsigned number = pick(r, CONSUMERS);
    if (r->consuming[client][number])
        return false;
    r->consuming[client][number] = true;
    r->consumer_stream[client][number] = (uint8_t)stream;
    *c = (struct command){.verb = SUBSCRIBE,
                          .subscribe = {.spec = pick(r, 4) == 1 ? pick_reply(client, number) : pick_spec(r),
                                        .consumer = number,
                                        .limit = pick(r, 4)}};
    return true;
}

static void forget_consumers(struct run *r, unsigned client, int stream)
{
    for (unsigned i = 0; i < CONSUMERS; i++)
        if (stream < 0 || r->consumer_stream[client][i] == stream)
            r->consuming[client][i] = false;
}

/* ---- An administrator. */

static struct bytes pick_user(struct run *r)
{
    return pick(r, 3) == 1 ? BYTES("ann") : BYTES("guest");
}

static struct bytes pick_vhost(struct run *r)
{
    return pick(r, 3) == 1 ? BYTES("v") : BYTES("/");
}

static struct bytes pick_pattern(struct run *r)
{
    static const char *const patterns[] = {".*", ".*", "^[abc]", "", "^(a+)+$", "("};
    return bytes_of_string(patterns[pick(r, 6)]);
}

static void put_limit(struct run *r, struct pen *p, const char *table, const char *key)
{
    uint8_t *mark = table_open(p, bytes_of_string(table), 'F');
    table_put_i64(p, bytes_of_string(key), (int64_t)pick(r, 6) - 1);
    table_close(p, mark);
}

/* A policy of either kind; its numbers are few, so that they collide. */
static void put_policy(struct run *r, struct pen *p, struct spec *s)
{
    static const char *const keys[] = {"message-ttl",    "expires",          "max-length",   "max-length-bytes",
                                       "delivery-limit", "consumer-timeout", "max-priority", "delayed-retry-min"};
    static const char *const kinds[] = {"all", "queues", "exchanges", "classic_queues", "quorum_queues", "streams"};
    static const char *const overflows[] = {"drop-head", "reject-publish", "reject-publish-dlx"};
    s->type = pick(r, 2) == 1 ? BYTES("policy") : BYTES("operator_policy");
    s->name = pick_key(r);
    uint8_t *value = table_open(p, BYTES("value"), 'F');
    table_put_string(p, BYTES("pattern"), pick_pattern(r));
    table_put_i64(p, BYTES("priority"), pick(r, 3));
    table_put_string(p, BYTES("apply-to"), bytes_of_string(kinds[pick(r, 6)]));
    uint8_t *definition = table_open(p, BYTES("definition"), 'F');
    for (unsigned n = pick(r, 3); n > 0; n--)
        table_put_i64(p, bytes_of_string(keys[pick(r, 8)]), 1 + pick(r, 20));
    if (pick(r, 4) == 1)
        table_put_string(p, BYTES("overflow"), bytes_of_string(overflows[pick(r, 3)]));
    if (pick(r, 4) == 1)
        table_put_string(p, pick(r, 2) == 1 ? BYTES("dead-letter-exchange") : BYTES("alternate-exchange"),
                         pick_name(r));
    if (pick(r, 4) == 1)
        table_put_bool(p, BYTES("message-deduplication"), true);
    if (pick(r, 4) == 1)
        table_put_string(p, BYTES("message-group-header"), pick_key(r));
    table_close(p, definition);
    table_close(p, value);
}
static const char *const limits_of_users[] = {"max-connections", "max-channels", "max-publish-rate",
                                              "max-publish-bytes-rate"};
static const char *const limits_of_vhosts[] = {"max-connections", "max-queues",      "max-exchanges",
                                               "max-bindings",    "max-queue-bytes", "max-publish-rate"};

/* An object of that class, as an administrator might put it; buf keeps its table. */
static struct spec *pick_object(struct run *r, enum definition_class what)
{
    uint8_t buf[1024];
    struct pen p = pen_over(buf, sizeof buf);
    if (what == DEFINE_EXCHANGE || what == DEFINE_QUEUE || what == DEFINE_BINDING) {
        struct spec *s = pick_spec(r);
        struct spec there = *s;
        there.vhost = pick_vhost(r);
        struct spec *with = spec_create(&there);
        free(s);
        return with;
    }
    struct spec s = {.vhost = pick_vhost(r), .name = pick_user(r)};
    if (what == DEFINE_VHOST) {
        s.name = s.vhost;
        if (pick(r, 2) == 1)
            table_put_bool(&p, BYTES("tracing"), true);
    }
    if (what == DEFINE_PERMISSION || what == DEFINE_TOPIC_PERMISSION) {
        table_put_string(&p, BYTES("configure"), pick_pattern(r));
        table_put_string(&p, BYTES("write"), pick_pattern(r));
        table_put_string(&p, BYTES("read"), pick_pattern(r));
    }
    if (what == DEFINE_TOPIC_PERMISSION)
        s.key = BYTES("amq.topic");
    if (what == DEFINE_USER)
        put_limit(r, &p, "limits", limits_of_users[pick(r, 4)]);
    unsigned parameter = what == DEFINE_PARAMETER ? pick(r, 6) : 0;
    if (parameter > 1) {
        put_policy(r, &p, &s);
    } else if (parameter == 1) {
        s.type = BYTES("paused-queue");
        s.name = pick_name(r);
        table_put_bool(&p, BYTES("value"), true);
    } else if (what == DEFINE_PARAMETER) {
        s.type = BYTES("vhost-limits");
        s.name = BYTES("limits");
        put_limit(r, &p, "value", limits_of_vhosts[pick(r, 6)]);
    }
    s.arguments = pen_written(&p);
    return spec_create(&s);
}

static struct changes *pick_changes(struct run *r)
{
    struct changes *all = changes_create();
    for (unsigned n = 1 + pick(r, 3); n > 0; n--) {
        enum definition_class what = (enum definition_class)pick(r, DEFINE_PART);
        static const enum change_kind kinds[] = {CHANGE_PUT, CHANGE_REMOVE, CHANGE_PURGE, CHANGE_UPDATE};
        enum change_kind kind = kinds[pick(r, what == DEFINE_QUEUE ? 4 : 2)];
        struct spec *spec = pick_object(r, what);
        if (what == DEFINE_EXCHANGE && pick(r, 4) == 1) {
            kind = CHANGE_CANCEL;
            spec->serial = pick(r, 8);
        }
        changes_add(all, kind, what, spec);
    }
    return all;
}

static struct move *pick_move(struct run *r)
{
    const struct move m = {.to = (enum move_to)pick(r, MOVE_TO_ORIGIN_EXCHANGE + 1),
                           .vhost = pick_vhost(r),
                           .queue = pick_name(r),
                           .exchange = pick_name(r),
                           .key = pick(r, 3) == 1 ? (struct bytes){0} : pick_key(r),
                           .drops_history = pick(r, 2) == 1,
                           .limit = pick(r, 3),
                           .position = pick(r, 4),
                           .end = pick(r, 3) * 4};
    return move_create(&m);
}

static struct command pick_look(struct run *r)
{
    struct bytes vhost = pick_vhost(r), name = pick_name(r);
    bool is_delayed = r->is_cold && pick(r, 2) == 1; /* it waits for loads, where there are records */
    struct inspection *i = inspection_create(is_delayed ? INSPECT_DELAYED : INSPECT_MESSAGES, &vhost, &name);
    i->cursor = pick(r, 4);
    i->limit = pick(r, 4);
    return (struct command){.verb = INSPECT, .inspection = i};
}

static void step(struct run *r, struct command *c, size_t n);

static void administer(struct run *r)
{
    struct command c = {.verb = ALTER};
    unsigned what = pick(r, 10);
    if (what == 0) {
        struct spec which = {.source = pick_user(r), .objection = BYTES("because")};
        c = (struct command){.verb = EXPEL, .expel = {.spec = spec_create(&which), .limit = pick(r, 3)}};
    } else if (what == 1) {
        struct bytes vhost = pick_vhost(r);
        enum inspection_kind kind = (enum inspection_kind)pick(r, INSPECT_CHANNELS + 1);
        c = (struct command){.verb = INSPECT, .inspection = inspection_create(kind, &vhost, NULL)};
    } else if (what == 2) {
        c = pick_look(r);
    } else if (what == 3) {
        c = (struct command){.verb = MOVE, .move = pick_move(r)};
    } else if (what == 4) {
        c = (struct command){.verb = SAMPLE, .samples = samples_create()};
    } else {
        c.changes = pick_changes(r);
    }
    step(r, &c, 1);
}

/* There is a guest, who may do everything, as an administrator would have it. */
static void let_guest_in(struct run *r)
{
    uint8_t buf[128];
    struct pen p = pen_over(buf, sizeof buf);
    struct command c = {.verb = ALTER, .changes = changes_create()};
    table_put_string(&p, BYTES("configure"), BYTES(".*"));
    table_put_string(&p, BYTES("write"), BYTES(".*"));
    table_put_string(&p, BYTES("read"), BYTES(".*"));
    struct spec may = {.vhost = BYTES("/"), .name = BYTES("guest"), .arguments = pen_written(&p)};
    changes_add(c.changes, CHANGE_PUT, DEFINE_USER, spec_create(&(struct spec){.name = BYTES("guest")}));
    changes_add(c.changes, CHANGE_PUT, DEFINE_PERMISSION, spec_create(&may));
    step(r, &c, 1);
}

static struct report *pick_report(struct run *r)
{
    struct report *report = calloc(1, sizeof *report);
    CHECK(report != NULL);
    report->recv_oct = pick(r, 256);
    report->send_cnt = pick(r, 256);
    report->is_blocked = pick(r, 2) == 1;
    for (unsigned n = pick(r, STREAMS + 2); report->n_channels < n; report->n_channels++)
        report->channels[report->n_channels] =
            (struct report_channel){.stream = (uint16_t)report->n_channels, .unconfirmed = pick(r, 9)};
    return report;
}

/* What a client attaches with: who it is, is asked first. */
static struct spec *pick_attach(struct run *r)
{
    struct spec who = {.name = pick(r, 8) == 1 ? BYTES("ann") : BYTES("guest")};
    struct spec where = {.name = pick(r, 8) == 1 ? BYTES("v") : BYTES("/"), .source = who.name};
    struct command c = {.verb = LOGIN, .spec = spec_create(&who)};
    broker_step(r->broker, &r->now, &c, 1, &r->effects);
    where.serial = r->effects.events[r->effects.n - 1].done.spec->serial;
    step(r, NULL, 0);
    return spec_create(&where);
}

/* The next command; false: there is nothing to say this time. */
static bool pick_command(struct run *r, unsigned client, unsigned stream, struct command *c)
{
    enum verb verb = (enum verb)pick(r, ROLLBACK + 4);
    if (!r->attached[client]) {
        r->attached[client] = true;
        *c = (struct command){.verb = ATTACH, .spec = pick_attach(r)};
        return true;
    }
    switch ((int)verb) {
    case ATTACH:
        return false;
    case DETACH:
        r->attached[client] = false;
        forget_consumers(r, client, -1);
        *c = (struct command){.verb = verb};
        return true;
    case RESET:
        forget_consumers(r, client, (int)stream);
        *c = (struct command){.verb = verb};
        return true;
    case RECOVER:
    case ROLLBACK:
        *c = (struct command){.verb = verb};
        return true;
    case REPORT:
        *c = (struct command){.verb = verb, .report = pick_report(r)};
        return true;
    case WINDOW:
    case PACE:
        *c = (struct command){.verb = verb, .window = {.bytes = pick(r, 256) * 64}};
        return true;
    case SUBSCRIBE:
        return pick_subscribe(r, client, stream, c);
    case UNSUBSCRIBE: {
        unsigned number = pick(r, CONSUMERS);
        if (!r->consuming[client][number] || r->consumer_stream[client][number] != stream)
            return false;
        *c = (struct command){.verb = verb, .subscribe = {.consumer = number}};
        return true;
    }
    case LIMIT:
        *c = (struct command){.verb = verb, .subscribe = {.consumer = pick(r, CONSUMERS), .limit = pick(r, 4)}};
        return true;
    case CREDIT:
        *c = (struct command){.verb = verb, .credit = {.limit = pick(r, 4)}};
        return true;
    case SETTLE:
        *c = pick_settle(r);
        return true;
    case COMMIT:
        *c = pick_commit(r);
        return true;
    case PUBLISH:
    case ROLLBACK + 1:
    case ROLLBACK + 2:
    case ROLLBACK + 3:
        *c = (struct command){.verb = PUBLISH,
                              .publish = {.msg = pick_message(r), .mandatory = pick(r, 2), .confirm = pick(r, 2)}};
        c->publish.hold = pick(r, 4) == 1;
        return true;
    default:
        *c = (struct command){.verb = verb, .spec = pick_spec(r)};
        return true;
    }
}

static void take_event(struct run *r, struct event *e)
{
    unsigned client = e->to.outlet.slot;
    uint64_t what = (uint64_t)e->what << 32 | (uint64_t)client << 16 | e->to.stream;
    r->trace = hash_mix(hash_mix(r->trace, what), e->cookie);
    if (e->what == DELIVERED || e->what == GOT) {
        r->trace = hash_mix(r->trace, e->delivered.ticket.slot ^ e->delivered.consumer);
        r->tickets[r->ticket_count < TICKETS ? r->ticket_count++ : r->events % TICKETS] = e->delivered.ticket;
    }
    if (e->what == EXPELLED || (e->what == FAILED && e->verb == ATTACH)) {
        r->attached[client] = false;
        forget_consumers(r, client, -1);
    }
    if (e->what == DONE && e->verb == SUBSCRIBE)
        r->has_subscribed = true;
    if (e->what == CANCELLED)
        r->consuming[client][e->cancelled.consumer] = false;
    if (e->what == DONE && e->verb == UNSUBSCRIBE && e->cookie < CONSUMERS)
        r->consuming[client][e->cookie] = false;
    r->events++;
    event_drop(e);
}

static void step(struct run *r, struct command *c, size_t n)
{
    broker_step(r->broker, &r->now, c, n, &r->effects);
    broker_check(r->broker);
    abacus_watch(&r->abacus, r->broker, &r->effects);
    abacus_check(&r->abacus, r->broker);
    abacus_forget(&r->abacus);
    for (size_t i = 0; i < r->effects.n; i++)
        take_event(r, &r->effects.events[i]);
    keepsake_take(&r->keepsake, &r->effects.records);
    effects_clear(&r->effects);
    r->steps++;
}

/* The store answers a load, maybe. */
static bool answer_load(struct run *r, bool at_once)
{
    struct load *l = at_once || r->steps % 3 == 0 ? keepsake_load(&r->keepsake) : NULL;
    struct command c = {.verb = LOADED, .load = l};
    if (l != NULL)
        step(r, &c, 1);
    return l != NULL;
}

static struct broker_config config_for(enum mode mode, uint64_t memory_high)
{
    struct broker_config c = {.default_vhost = "/", .event_vhost = "/", .hash_seed = 3, .memory_high = memory_high};
    c.records = mode != MODE_PLAIN;
    if (mode == MODE_COLD) {
        c.window_bytes = 1;
        c.window_messages = 3;
        c.window_queue_bytes = 600;
    } else {
        c.window_bytes = UINT64_MAX;
    }
    return c;
}

/* What the store has is there after a restart, all of it. */
static void restart(struct run *r)
{
    struct broker_config c = config_for(MODE_COLD, UINT64_MAX);
    uint64_t kept = 0;
    broker_destroy(r->broker);
    r->broker = broker_create(&c);
    keepsake_restart(&r->keepsake);
    keepsake_restore(&r->keepsake, r->broker);
    for (uint64_t q = 1; q < r->keepsake.next_queue; q++)
        kept += keepsake_count(&r->keepsake, q);
    CHECK(broker_totals(r->broker).messages_ready + broker_totals(r->broker).messages_delayed == kept);
    broker_check(r->broker);
    step(r, NULL, 0);
    for (unsigned i = 0; i < RESTART_LOADS && answer_load(r, true); i++)
        ;
}

static uint64_t play(const uint8_t *data, size_t size, enum mode mode)
{
    struct run *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->at = data;
    r->end = data + size;
    r->now = (struct instant){.ms = 1, .wall_ms = 1};
    effects_init(&r->effects);
    keepsake_init(&r->keepsake);
    r->is_cold = mode == MODE_COLD;
    struct broker_config config = config_for(mode, pick(r, 2) == 1 ? 2000 : UINT64_MAX);
    r->broker = broker_create(&config);
    let_guest_in(r);
    while (r->at < r->end && r->events < EVENTS_MAX) {
        unsigned client = pick(r, CLIENTS), stream = pick(r, STREAMS);
        struct command c;
        unsigned turn = pick(r, 16);
        if (turn == 1)
            r->now.ms += pick(r, 256);
        if (turn == 2)
            administer(r);
        if (!pick_command(r, client, stream, &c))
            continue;
        c.from = (struct origin){.outlet = {.slot = client, .generation = 1}, .stream = (uint16_t)stream};
        c.cookie = c.verb == UNSUBSCRIBE ? c.subscribe.consumer : r->events + CONSUMERS;
        bool failed_subscribe = c.verb == SUBSCRIBE;
        unsigned number = failed_subscribe ? c.subscribe.consumer : 0;
        r->has_subscribed = false;
        step(r, &c, 1);
        if (failed_subscribe && !r->has_subscribed)
            r->consuming[client][number] = false;
        answer_load(r, false);
    }
    while (answer_load(r, true))
        ;
    uint64_t trace = r->trace;
    if (mode == MODE_COLD)
        restart(r);
    effects_fini(&r->effects);
    broker_destroy(r->broker);
    keepsake_fini(&r->keepsake);
    free(r);
    return trace;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CHECK(play(data, size, MODE_PLAIN) == play(data, size, MODE_RECORDS));
    CHECK(play(data, size, MODE_COLD) == play(data, size, MODE_COLD));
    return 0;
}
