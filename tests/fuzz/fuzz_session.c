/* A session under any bytes, in any pieces, with a model that answers in any order that the port allows.
 *
 * The input is a list of actions, an octet each with what it needs after it: bytes of the client's own, whole frames
 * made of methods.def so that the fuzzer gets deep, answers of the model to the oldest command, deliveries, alarms,
 * time.  Whatever happens, the session must keep the port's promises, take back what it is owed, hold no more memory
 * than its limits say, and end when its peer has gone.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/session.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "codec/frame.h"
#include "codec/method.h"
#include "codec/properties.h"
#include "tests/fuzz/witness.h"

enum {
    ACTIONS_MAX = 4096,
    INPUT_MAX = 1 << 18,
    STREAMS = 65536,
    CONSUMERS = 256,
    OUTPUT_BOUND = SESSION_OUTPUT_MAX + (32 << 20), /* unwritten bytes: what was let in before reading stopped */
};

#define BYTES_OF(literal)                                                                                              \
    {                                                                                                                  \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                                \
    }

/* What the port knows of a stream and of a consumer. */
struct stream {
    bool poisoned;
    uint32_t generation; /* which use of the stream it is: RESET ends one */
};

struct consumer {
    bool is_there;
    uint16_t stream;
};

struct run {
    const uint8_t *at, *end;
    struct session_config config;
    struct outbox outbox;
    struct session *session;
    struct witness *witness;
    uint64_t now;
    uint8_t in[INPUT_MAX];
    size_t in_len;
    struct command *queue; /* commands that are not yet carried out, oldest first */
    size_t first, last, capacity;
    bool is_attached, was_detached;
    struct stream streams[STREAMS];
    struct consumer consumers[CONSUMERS];
    int64_t window;
    uint32_t tickets;
};

static unsigned pick(struct run *r, unsigned kinds)
{
    return r->at < r->end ? *r->at++ % kinds : 0;
}

static struct bytes pick_bytes(struct run *r, size_t max)
{
    size_t len = pick(r, 256) % (max + 1), left = (size_t)(r->end - r->at);
    struct bytes b = bytes_of(r->at, len < left ? len : left);
    r->at += b.len;
    return b;
}

/* ---- The session's callbacks. */

static enum login login(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms)
{
    (void)now;
    *delay_ms = pick(arg, 8) == 1 ? 300 : 0;
    return bytes_equal(l->user, l->password) ? LOGIN_OK : LOGIN_REFUSED;
}

static void count(void *arg, void *to, size_t n)
{
    struct run *r = arg;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)(++r->tickets * 37);
}

/* ---- The client. */

static void feed(struct run *r)
{
    uint8_t *exact = alloc_copy(r->in, r->in_len > 0 ? r->in_len : 1); /* a sanitizer sees what reads beyond */
    size_t used = session_feed(r->session, bytes_of(exact, r->in_len), r->now);
    CHECK(used <= r->in_len);
    free(exact);
    r->in_len -= used;
    memmove(r->in, r->in + used, r->in_len);
}

static void say(struct run *r, struct bytes b)
{
    if (b.len > INPUT_MAX - r->in_len || b.len == 0)
        return;
    memcpy(r->in + r->in_len, b.at, b.len);
    r->in_len += b.len;
}

static void say_frame(struct run *r, uint8_t type, uint16_t channel, struct bytes payload)
{
    uint8_t room[2048];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = frame_open(&p, type, channel);
    pen_bytes(&p, payload);
    frame_close(&p, mark);
    if (!p.full)
        say(r, pen_written(&p));
}

/* A table that is well-formed and says something, or any bytes. */
static struct bytes pick_table(struct run *r)
{
    static const struct bytes tables[] = {
        {0},
        BYTES_OF("\2CCA\0\0\0\x0CS\0\0\0\1aS\0\0\0\1b"),
        BYTES_OF("\3BCCA\0\0\0\x08S\0\0\0\1aI\0\1axt\1"),
        BYTES_OF("\1at\1\3BCCA\0\0\0\6S\0\0\0\1a\1bV"),
        BYTES_OF("\2CCS\0\0\0\1a"),
        BYTES_OF("\x09x-expiresI\0\0\0\0"),
        BYTES_OF("\x0Ax-priorityb\3"),
        BYTES_OF("\x0Cx-max-lengthb\3\x0Ax-overflowS\0\0\0\x0Ereject-publish"),
        BYTES_OF("\x0Cx-queue-typeS\0\0\0\6quorum"),
        BYTES_OF("\x16x-dead-letter-exchangeS\0\0\0\0\x19x-dead-letter-routing-keyS\0\0\0\1k"),
        BYTES_OF("\x16x-dead-letter-exchanget\1"),
    };
    unsigned n = pick(r, 16);
    return n < sizeof tables / sizeof tables[0] ? tables[n] : pick_bytes(r, 200);
}

static struct bytes pick_properties(struct run *r, uint8_t room[1024])
{
    static const char *const texts[] = {"10", "-5", "1x", "", "x", "99999999999999", "amq.rabbitmq.reply-to", "y"};
    if (pick(r, 4) == 0)
        return pick_bytes(r, 200);
    struct properties props = {
        .flags = (uint16_t)((pick(r, 256) << 8 | pick(r, 256)) & 0xFFFC),
        .headers = pick_table(r),
        .delivery_mode = (uint8_t)pick(r, 3),
        .priority = (uint8_t)pick(r, 256),
        .reply_to = bytes_of_string(texts[pick(r, 8)]),
        .expiration = bytes_of_string(texts[pick(r, 8)]),
        .user_id = bytes_of_string(texts[pick(r, 8)]),
    };
    struct pen p = pen_over(room, 1024);
    properties_encode(&p, &props);
    return p.full ? BYTES("\0\0") : pen_written(&p);
}

static void pick_field(struct run *r, enum wire wire, void *to)
{
    static const char *const names[] = {"q", "", "t", "amq.topic", "guest", "PLAIN", "/", "x"};
    switch (wire) {
    case WIRE_bit:
        *(bool *)to = pick(r, 2);
        break;
    case WIRE_u8:
        *(uint8_t *)to = (uint8_t)pick(r, 256);
        break;
    case WIRE_u16:
        *(uint16_t *)to = (uint16_t)pick(r, 256);
        break;
    case WIRE_u32:
        *(uint32_t *)to = pick(r, 8) != 1 ? 0 : 4096 * (1 + pick(r, 33));
        break;
    case WIRE_u64:
        *(uint64_t *)to = pick(r, 8);
        break;
    case WIRE_shortstr:
    case WIRE_rawstr:
        *(struct bytes *)to = bytes_of_string(names[pick(r, 8)]);
        break;
    case WIRE_longstr:
        *(struct bytes *)to = pick(r, 2) == 0 ? BYTES("\0x\0x") : pick_bytes(r, 64);
        break;
    case WIRE_table:
        *(struct bytes *)to = pick_table(r);
        break;
    case WIRE_END:
        break;
    }
}

/* A whole method: one of all, or one of those that lead somewhere. */
static void say_method(struct run *r)
{
    static const enum method_id frequent[] = {
        METHOD_basic_consume, METHOD_basic_cancel,     METHOD_basic_ack,     METHOD_basic_nack,
        METHOD_basic_get,     METHOD_basic_qos,        METHOD_tx_select,     METHOD_tx_commit,
        METHOD_tx_rollback,   METHOD_confirm_select,   METHOD_queue_declare, METHOD_channel_open,
        METHOD_channel_close, METHOD_channel_close_ok, METHOD_basic_recover, METHOD_queue_bind,
    };
    const struct method_info *info = pick(r, 3) == 0 ? method_at(pick(r, 72)) : method_find(frequent[pick(r, 16)]);
    uint16_t channel = (uint16_t)pick(r, 4);
    union method m = {.connection_start = {.id = 0}};
    uint8_t room[1536];
    struct pen p = pen_over(room, sizeof room);
    if (info == NULL)
        return;
    m.id = info->id;
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++)
        pick_field(r, f->wire, (uint8_t *)&m + f->offset);
    method_encode(&p, &m);
    if (!p.full)
        say_frame(r, FRAME_METHOD, (unsigned)info->id >> 16 == 10 ? 0 : channel, pen_written(&p));
}

static void say_login(struct run *r)
{
    const union method methods[] = {
        {.connection_start_ok = {.id = METHOD_connection_start_ok,
                                 .client_properties = BYTES("\x0C"
                                                            "capabilitiesF\0\0\0\x2E"
                                                            "\x16"
                                                            "consumer_cancel_notifyt\1"
                                                            "\x12"
                                                            "connection.blockedt\1\1at\1\1bV"),
                                 .mechanism = BYTES("PLAIN"),
                                 .response = BYTES("\0x\0x")}},
        {.connection_tune_ok =
             {.id = METHOD_connection_tune_ok, .channel_max = 2047, .frame_max = 4096, .heartbeat = 9}},
        {.connection_open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")}},
        {.channel_open = {.id = METHOD_channel_open}},
    };
    say(r, BYTES("AMQP\0\0\x09\x01"));
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        uint8_t room[512];
        struct pen p = pen_over(room, sizeof room);
        method_encode(&p, &methods[i]);
        CHECK(!p.full);
        say_frame(r, FRAME_METHOD, i == 3, pen_written(&p));
    }
}

/* A publish with its content, or a part of one. */
static void say_content(struct run *r)
{
    union method publish = {.basic_publish = {.id = METHOD_basic_publish, .routing_key = BYTES("q")}};
    publish.basic_publish.mandatory = pick(r, 4) == 1;
    publish.basic_publish.immediate = pick(r, 32) == 1;
    uint16_t channel = (uint16_t)(1 + pick(r, 2));
    unsigned parts = pick(r, 8);
    size_t size = pick(r, 256) * (pick(r, 4) == 0 ? 20U : 1U);
    uint8_t room[2048], properties[1024];
    static const uint8_t body[256 * 20];
    struct pen p = pen_over(room, sizeof room);
    method_encode(&p, &publish);
    if (parts != 1)
        say_frame(r, FRAME_METHOD, channel, pen_written(&p));
    p = pen_over(room, sizeof room);
    pen_u32(&p, pick(r, 64) == 1 ? 50 << 16 : 60 << 16);
    pen_u64(&p, pick(r, 64) == 1 ? UINT64_MAX : size);
    pen_bytes(&p, pick(r, 3) == 0 ? pick_properties(r, properties) : BYTES("\0\0"));
    if (parts != 2)
        say_frame(r, FRAME_HEADER, channel, pen_written(&p));
    for (size_t sent = 0; parts != 3 && sent < size; sent += 1000)
        say_frame(r, FRAME_BODY, channel, bytes_of(body, size - sent < 1000 ? size - sent : 1000));
}

/* ---- The model. */

static void collect(struct run *r)
{
    for (struct batch *b = outbox_take(&r->outbox), *next; b != NULL; b = next) {
        next = b->next;
        if (r->last + b->n > r->capacity) {
            r->capacity = alloc_grown(r->capacity, r->last + b->n);
            r->queue = alloc_array(r->queue, r->capacity, sizeof *r->queue);
        }
        memcpy(r->queue + r->last, b->commands, b->n * sizeof *r->queue);
        r->last += b->n;
        b->n = 0;
        outbox_give(&r->outbox, b);
    }
    CHECK(r->last - r->first <= 200000);
}

static void tell(struct run *r, struct event *e)
{
    session_event(r->session, e, r->now);
}

static void fail(struct run *r, struct command *c)
{
    struct event e = {.what = FAILED, .verb = c->verb, .to = c->from, .cookie = c->cookie};
    e.failed.reason = (enum reason)pick(r, TOO_MUCH + 1);
    e.failed.text = str_copy(pick_bytes(r, 255));
    r->streams[c->from.stream].poisoned = true;
    command_drop(c);
    tell(r, &e);
}

static void done(struct run *r, const struct command *c, struct spec *spec)
{
    struct event e = {.what = DONE, .verb = c->verb, .to = c->from, .cookie = c->cookie};
    e.done.spec = spec;
    e.done.messages = pick(r, 256);
    tell(r, &e);
}

static struct message *make_message(struct run *r)
{
    static const uint8_t body[300 * 1024];
    static const size_t sizes[] = {0, 5, 4096, 4097, 9000, 140000, sizeof body, 1};
    struct message *m = message_create(
        &(struct message_spec){.properties = BYTES("\0\0"), .routing_key = BYTES("q"), .body_size = sizes[pick(r, 8)]});
    message_fill(m, bytes_of(body, m->body_size));
    return m;
}

static void carry_out_get(struct run *r, struct command *c)
{
    struct event e = {.what = pick(r, 2) == 0 ? EMPTY : GOT, .verb = GET, .to = c->from, .cookie = c->cookie};
    if (e.what == GOT) {
        e.delivered.msg = make_message(r);
        e.delivered.ticket = (ticket){.slot = ++r->tickets};
        e.delivered.no_ack = c->spec->no_ack;
    }
    command_drop(c);
    tell(r, &e);
}

static void carry_out_publish(struct run *r, struct command *c)
{
    struct event e = {.what = pick(r, 8) == 0 ? REFUSED : CONFIRMED, .to = c->from, .cookie = c->cookie};
    CHECK(message_missing(c->publish.msg) == 0);
    if (c->publish.objection != NULL) {
        fail(r, c);
        return;
    }
    if (c->publish.mandatory && !c->publish.hold) {
        struct event returned = {.what = RETURNED, .to = c->from};
        returned.delivered.msg = message_ref(c->publish.msg);
        tell(r, &returned);
    }
    if (c->publish.confirm)
        tell(r, &e);
    command_drop(c);
}

static void end_stream(struct run *r, uint16_t stream)
{
    for (unsigned i = 0; i < CONSUMERS; i++)
        if (r->consumers[i].stream == stream)
            r->consumers[i].is_there = false;
    r->streams[stream].poisoned = false;
    r->streams[stream].generation++;
}

static void carry_out_subscribe(struct run *r, struct command *c)
{
    uint32_t number = c->subscribe.consumer;
    CHECK(number < CONSUMERS && !r->consumers[number].is_there); /* numbers are dense, and free when they are used */
    r->consumers[number] = (struct consumer){.is_there = true, .stream = c->from.stream};
    done(r, c, c->subscribe.spec);
}

static void carry_out_unsubscribe(struct run *r, struct command *c)
{
    struct consumer *k = &r->consumers[c->subscribe.consumer % CONSUMERS];
    CHECK(!k->is_there || k->stream == c->from.stream);
    k->is_there = false;
    done(r, c, c->subscribe.spec);
}

static void carry_out_detach(struct run *r)
{
    struct event e = {.what = DETACHED};
    CHECK(r->is_attached && !r->was_detached);
    r->was_detached = true;
    r->is_attached = false;
    tell(r, &e);
}

static void carry_out_attach(struct run *r, struct command *c)
{
    CHECK(!r->is_attached && !r->was_detached);
    if (pick(r, 16) == 1) {
        fail(r, c);
        r->streams[0].poisoned = false;
        return;
    }
    r->is_attached = true;
    done(r, c, c->spec);
}

/* It may publish so much before it asks again. */
static void slow(struct run *r)
{
    struct event e = {.what = SLOWED};
    e.slowed.publishes = pick(r, 4);
    tell(r, &e);
}

static bool may_fail(enum verb verb)
{
    switch (verb) {
    case DECLARE_EXCHANGE:
    case DELETE_EXCHANGE:
    case DECLARE_QUEUE:
    case DELETE_QUEUE:
    case PURGE_QUEUE:
    case BIND:
    case UNBIND:
    case PUBLISH:
    case SUBSCRIBE:
    case GET:
    case COMMIT:
    case OPEN:
        return true;
    case LOGIN:
    case ATTACH:
    case DETACH:
    case RESET:
    case ECHO:
    case WINDOW:
    case PACE:
    case UNSUBSCRIBE:
    case LIMIT:
    case CREDIT:
    case SETTLE:
    case RECOVER:
    case ROLLBACK:
    case LOADED:
    case ALTER:
    case INSPECT:
    case MOVE:
    case EXPEL:
    case PREFETCH:
    case SAMPLE:
    case CANCEL:
    case REPORT:
        break;
    }
    return false;
}

static void carry_out(struct run *r, struct command *c)
{
    switch (c->verb) {
    case LOADED:
    case ALTER:
    case INSPECT:
    case MOVE:
    case EXPEL:
    case PREFETCH:
    case SAMPLE:
    case CANCEL:
    case REPORT:
        CHECK(c->verb == LOGIN); /* no session says that */
        break;
    case LOGIN:
        c->spec->serial = pick(r, 16) == 1 ? 0 : 1;
        done(r, c, c->spec);
        break;
    case ATTACH:
        carry_out_attach(r, c);
        break;
    case DETACH:
        carry_out_detach(r);
        break;
    case PACE:
        slow(r);
        break;
    case WINDOW:
        r->window -= (int64_t)c->window.bytes;
        CHECK(r->window >= 0); /* never more than was delivered */
        break;
    case RESET:
        end_stream(r, c->from.stream);
        done(r, c, NULL);
        break;
    case SUBSCRIBE:
        carry_out_subscribe(r, c);
        break;
    case UNSUBSCRIBE:
        carry_out_unsubscribe(r, c);
        break;
    case PUBLISH:
        carry_out_publish(r, c);
        break;
    case GET:
        carry_out_get(r, c);
        break;
    case COMMIT:
        tx_destroy(c->tx);
        done(r, c, NULL);
        break;
    case SETTLE:
        CHECK(c->settle.ticket.slot > 0 && c->settle.ticket.slot <= r->tickets);
        CHECK(c->settle.more_count <= SETTLE_MORE_MAX);
        for (uint32_t i = 0; i < c->settle.more_count; i++)
            CHECK(c->settle.more[i].slot > 0 && c->settle.more[i].slot <= r->tickets);
        command_drop(c);
        break;
    case LIMIT:
        break;
    case CREDIT:
    case RECOVER:
    case ROLLBACK:
    case OPEN:
        done(r, c, NULL);
        break;
    case ECHO:
    case DECLARE_EXCHANGE:
    case DELETE_EXCHANGE:
    case DECLARE_QUEUE:
    case DELETE_QUEUE:
    case PURGE_QUEUE:
    case BIND:
    case UNBIND:
        done(r, c, c->spec);
        break;
    }
}

/* Carries out the oldest command; false: there is none. */
static bool answer_one(struct run *r)
{
    collect(r);
    if (r->first == r->last)
        return false;
    struct command c = r->queue[r->first++];
    bool is_for_client = c.verb == ATTACH || c.verb == DETACH || c.verb == WINDOW || c.verb == PACE;
    CHECK(r->is_attached || c.verb == ATTACH || c.verb == LOGIN); /* nothing before it, nothing after DETACH */
    if (!is_for_client && r->streams[c.from.stream].poisoned && c.verb != RESET)
        command_drop(&c);
    else if (may_fail(c.verb) && pick(r, 8) == 1)
        fail(r, &c);
    else
        carry_out(r, &c);
    return true;
}

static void deliver(struct run *r)
{
    unsigned number = pick(r, pick(r, 8) == 0 ? CONSUMERS : 4);
    if (!r->is_attached || !r->consumers[number].is_there || r->streams[r->consumers[number].stream].poisoned)
        return;
    struct event e = {.what = DELIVERED, .to = {.stream = r->consumers[number].stream}};
    e.delivered.msg = make_message(r);
    e.delivered.consumer = number;
    e.delivered.ticket = (ticket){.slot = ++r->tickets};
    e.delivered.no_ack = pick(r, 2);
    r->window += (int64_t)message_window_cost(e.delivered.msg);
    tell(r, &e);
}

static void lose_queue(struct run *r)
{
    unsigned number = pick(r, pick(r, 8) == 0 ? CONSUMERS : 4);
    if (r->is_attached && !r->consumers[number].is_there)
        slow(r);
    if (!r->is_attached || !r->consumers[number].is_there)
        return;
    struct event e = {.what = CANCELLED, .to = {.stream = r->consumers[number].stream}};
    e.cancelled.consumer = number;
    r->consumers[number].is_there = false;
    tell(r, &e);
}

/* ---- The socket. */

static void write_some(struct run *r, size_t most)
{
    struct iovec iov[16];
    int n = session_gather(r->session, iov, 16);
    size_t total = 0;
    for (int i = 0; i < n && total < most; i++) {
        size_t part = iov[i].iov_len < most - total ? iov[i].iov_len : most - total;
        witness_read(r->witness, bytes_of(iov[i].iov_base, part));
        total += part;
    }
    CHECK(total <= OUTPUT_BOUND);
    session_wrote(r->session, total);
}

static void act(struct run *r)
{
    switch (pick(r, 16)) {
    case 0:
        say(r, pick_bytes(r, 255));
        break;
    case 1:
    case 2:
    case 3:
        say_method(r);
        break;
    case 4:
        say_content(r);
        break;
    case 5:
        say_frame(r, (uint8_t)pick(r, 10), (uint16_t)pick(r, 3), pick_bytes(r, 255));
        break;
    case 6:
        say_login(r);
        break;
    case 7:
    case 8:
    case 9:
        answer_one(r);
        break;
    case 10:
        deliver(r);
        break;
    case 11:
        lose_queue(r);
        break;
    case 12:
        session_alarm(r->session, pick(r, 8), r->now);
        break;
    case 13:
        r->now += pick(r, 256) * UINT64_C(100);
        session_tick(r->session, r->now);
        break;
    case 14:
        write_some(r, pick(r, 2) == 0 ? SIZE_MAX : pick(r, 256));
        break;
    case 15:
        if (pick(r, 64) == 1)
            session_force_close(r->session, "no reason", r->now);
        else
            while (answer_one(r))
                continue;
        break;
    }
    session_turn(r->session);
    collect(r);
    if (session_wants(r->session) & (SESSION_READ | SESSION_CLOSE))
        feed(r);
}

/* The peer goes away: the session must come to its end with the model's help alone. */
static void finish(struct run *r)
{
    for (int i = 0; i < 1000 && (session_wants(r->session) & SESSION_WRITE); i++)
        write_some(r, SIZE_MAX);
    session_lost(r->session);
    CHECK(session_wants(r->session) == SESSION_ABORT);
    while (answer_one(r))
        session_turn(r->session);
    CHECK(session_is_over(r->session));
    CHECK(session_deadline(r->session) == UINT64_MAX);
    session_destroy(r->session);
    witness_destroy(r->witness);
    outbox_fini(&r->outbox);
    free(r->queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *r = alloc_zeroed(sizeof *r);
    struct session_peer peer = {.name = "peer", .is_loopback = true};
    log_set_level(LOG_NO_LEVEL);
    r->at = data;
    r->end = data + size;
    r->now = 1000;
    r->config = (struct session_config){
        .channel_max = 2047,
        .frame_max = 131072,
        .heartbeat_s = 60,
        .max_message_size = 4000,
        .handshake_timeout_ms = 10000,
        .product = "RabbitMQ",
        .version = "3.13.7",
        .broker_version = "0",
        .cluster_name = "fuzz",
        .mechanisms = SASL_PLAIN | SASL_AMQPLAIN | SASL_EXTERNAL,
        .login = login,
        .random = count,
        .arg = r,
    };
    outbox_init(&r->outbox);
    r->witness = witness_create();
    r->session = session_create(&r->config, (outlet_id){0}, &peer, &r->outbox, r->now);
    for (unsigned i = 0; i < ACTIONS_MAX && r->at < r->end; i++)
        act(r);
    finish(r);
    free(r);
    return 0;
}
