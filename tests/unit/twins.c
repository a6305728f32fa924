#include "tests/unit/twins.h"

#include <stdlib.h>

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

enum {
    PENDING_MAX = 1 << 17, /* bytes that the client has said and the sessions have not taken */
    STEPS_MAX = 2000,
    COMMANDS_MAX = 1 << 14,
    FRAME_LIMIT = 4096,
    MESSAGE_LIMIT = 6000,
    CHANNELS = 3,
    KINDS = 24, /* of steps */
};

struct twin {
    struct session_config config;
    struct outbox outbox;
    struct session *session;
    struct command commands[COMMANDS_MAX]; /* not yet carried out, oldest first */
    unsigned first, last;
    unsigned compared; /* the commands before it are known to be the same */
};

struct twins {
    const uint8_t *at, *end;
    struct twin short_way, long_way;
    uint64_t now;
    uint8_t pending[PENDING_MAX];
    size_t pending_len;
    uint32_t tickets;
    /* The publish that is repeated. */
    unsigned key, properties, size;
};

static unsigned pick(struct twins *t, unsigned kinds)
{
    return t->at < t->end ? *t->at++ % kinds : 0;
}

static enum login login(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms)
{
    (void)arg;
    (void)l;
    (void)now;
    *delay_ms = 0;
    return LOGIN_OK;
}

static void no_random(void *arg, void *to, size_t n)
{
    (void)arg;
    memset(to, 7, n);
}

/* ---- What is the same. */

static bool is_same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static void check_messages(const struct message *a, const struct message *b)
{
    struct bytes part;
    CHECK(bytes_equal(message_exchange(a), message_exchange(b)));
    CHECK(bytes_equal(message_key(a), message_key(b)));
    CHECK(bytes_equal(message_properties(a), message_properties(b)));
    CHECK(bytes_equal(message_extra_keys(a), message_extra_keys(b)));
    const struct message_rare *one = message_rare(a), *other = message_rare(b);
    CHECK(a->flags == b->flags && a->priority == b->priority && a->body_size == b->body_size);
    CHECK((one == NULL) == (other == NULL) && message_missing(a) == 0 && message_missing(b) == 0);
    CHECK(one == NULL || (one->expiration_ms == other->expiration_ms && one->cc_count == other->cc_count &&
                          one->deaths == other->deaths && one->body_of == NULL && other->body_of == NULL));
    for (uint64_t at = 0; (part = message_body(a, at)).len > 0; at += part.len)
        CHECK(bytes_equal(part, message_body(b, at)));
}

static void check_commands(const struct command *a, const struct command *b);

static void check_transactions(const struct tx *a, const struct tx *b)
{
    CHECK(a->n == b->n && a->bytes == b->bytes);
    for (size_t i = 0; i < a->n; i++)
        check_commands(&a->commands[i], &b->commands[i]);
}

static void check_commands(const struct command *a, const struct command *b)
{
    CHECK(a->verb == b->verb && a->cookie == b->cookie);
    CHECK(a->from.outlet.slot == b->from.outlet.slot && a->from.outlet.generation == b->from.outlet.generation);
    CHECK(a->from.stream == b->from.stream && a->from.channel == b->from.channel);
    switch ((int)a->verb) {
    case PUBLISH:
        check_messages(a->publish.msg, b->publish.msg);
        CHECK(is_same_text(a->publish.objection, b->publish.objection));
        CHECK(a->publish.mandatory == b->publish.mandatory && a->publish.confirm == b->publish.confirm);
        CHECK(a->publish.impersonates == b->publish.impersonates && a->publish.hold == b->publish.hold);
        break;
    case SETTLE:
        CHECK(a->settle.ticket.slot == b->settle.ticket.slot && a->settle.outcome == b->settle.outcome);
        break;
    case WINDOW:
        CHECK(a->window.bytes == b->window.bytes);
        break;
    case COMMIT:
        check_transactions(a->tx, b->tx);
        break;
    default:
        break;
    }
}

/* Keeps a command; tickets that are settled together one by one, for the short way puts more of them together. */
static void keep_command(struct twin *w, struct command *c)
{
    uint32_t more = c->verb == SETTLE ? c->settle.more_count : 0;
    for (uint32_t i = 0; i <= more; i++) {
        CHECK(w->last < COMMANDS_MAX);
        struct command *kept = &w->commands[w->last++];
        *kept = *c;
        if (more == 0)
            continue;
        kept->settle.ticket = i == 0 ? c->settle.ticket : c->settle.more[i - 1];
        kept->settle.more_count = 0;
        kept->settle.more = NULL;
    }
    if (more > 0)
        command_drop(c);
}

static void collect(struct twin *w)
{
    if (w->first == w->last)
        w->first = w->last = w->compared = 0;
    for (struct batch *b = outbox_take(&w->outbox), *next; b != NULL; b = next) {
        next = b->next;
        for (unsigned i = 0; i < b->n; i++)
            keep_command(w, &b->commands[i]);
        b->n = 0;
        outbox_give(&w->outbox, b);
    }
}

/* Everything that the two have written, which goes away. */
static void check_output(struct twin *a, struct twin *b)
{
    struct iovec one[1], other[1];
    while (session_gather(a->session, one, 1) == 1) {
        CHECK(session_gather(b->session, other, 1) == 1);
        size_t n = one[0].iov_len < other[0].iov_len ? one[0].iov_len : other[0].iov_len;
        CHECK(memcmp(one[0].iov_base, other[0].iov_base, n) == 0);
        session_wrote(a->session, n);
        session_wrote(b->session, n);
    }
    CHECK(session_gather(b->session, other, 1) == 0);
}

static void compare(struct twins *t)
{
    struct twin *a = &t->short_way, *b = &t->long_way;
    session_turn(a->session);
    session_turn(b->session);
    check_output(a, b);
    collect(a);
    collect(b);
    CHECK(a->last == b->last && a->first == b->first);
    for (; a->compared < a->last; a->compared++)
        check_commands(&a->commands[a->compared], &b->commands[a->compared]);
    CHECK(session_wants(a->session) == session_wants(b->session));
    CHECK(session_deadline(a->session) == session_deadline(b->session));
}

/* ---- The client. */

static size_t feed_one(struct twin *w, struct bytes b, uint64_t now)
{
    uint8_t *exact = alloc_copy(b.at, b.len); /* a sanitizer sees what reads beyond, and what is kept */
    size_t used = session_feed(w->session, bytes_of(exact, b.len), now);
    memset(exact, 0, b.len);
    free(exact);
    return used;
}

/* Feeds all but the last bytes of what is pending. */
static void feed(struct twins *t, size_t less)
{
    if ((session_wants(t->short_way.session) & SESSION_READ) != 0 && t->pending_len > less) {
        struct bytes b = bytes_of(t->pending, t->pending_len - less);
        size_t used = feed_one(&t->short_way, b, t->now);
        CHECK(feed_one(&t->long_way, b, t->now) == used);
        t->pending_len -= used;
        memmove(t->pending, t->pending + used, t->pending_len);
    }
    compare(t);
}

static void say_frame(struct twins *t, uint8_t type, uint16_t channel, struct bytes payload)
{
    struct pen p = pen_over(t->pending + t->pending_len, PENDING_MAX - t->pending_len);
    uint8_t *mark = frame_open(&p, type, channel);
    pen_bytes(&p, payload);
    frame_close(&p, mark);
    if (!p.full)
        t->pending_len += pen_written(&p).len;
}

static void say(struct twins *t, uint16_t channel, const union method *m)
{
    uint8_t room[1024];
    struct pen p = pen_over(room, sizeof room);
    method_encode(&p, m);
    CHECK(!p.full);
    say_frame(t, FRAME_METHOD, channel, pen_written(&p));
}

static const struct bytes all_properties[] = {
    BYTES_CONSTANT("\0\0"),
    BYTES_CONSTANT("\x10\0\2"),   /* persistent */
    BYTES_CONSTANT("\x18\0\1\7"), /* priority */
    BYTES_CONSTANT("\1\0\2"
                   "60"), /* expiration … */
    BYTES_CONSTANT("\1\0\2"
                   "6x"), /* … which is none */
    BYTES_CONSTANT("\0\x10\5"
                   "guest"), /* user … */
    BYTES_CONSTANT("\0\x10\5"
                   "other"), /* … who is another */
    BYTES_CONSTANT("\2\0\x15"
                   "amq.rabbitmq.reply-to"),                               /* direct reply-to */
    BYTES_CONSTANT("\2\0\1r"),                                             /* reply-to */
    BYTES_CONSTANT("\x20\0\0\0\0\4\1at\1"),                                /* headers */
    BYTES_CONSTANT("\x20\0\0\0\0\x0F\2CCA\0\0\0\x06S\0\0\0\1aV"),          /* not quite */
    BYTES_CONSTANT("\x20\0\0\0\0\x0E\2CCA\0\0\0\x06S\0\0\0\1a"),           /* CC */
    BYTES_CONSTANT("\x20\0\0\0\0\x0F\3BCCA\0\0\0\x06S\0\0\0\1a"),          /* BCC */
    BYTES_CONSTANT("\x20\0\0\0\0\x08\2CCS\0\0\0\0"),                       /* CC of no use */
    BYTES_CONSTANT("\x20\0\0\0\0\x1C\x16x-dead-letter-exchangeS\0\0\0\0"), /* for its dead letter */
    BYTES_CONSTANT("\4\0\3"
                   "abc"), /* correlation-id */
    BYTES_CONSTANT("\4\0\4"
                   "abc"), /* short of an octet */
    BYTES_CONSTANT("\0"),
    BYTES_CONSTANT(""),
    BYTES_CONSTANT("\0\3"), /* bits without a meaning */
};
enum { ALL_PROPERTIES = sizeof all_properties / sizeof all_properties[0] };

/* Long ones, about as long as is remembered. */
static struct bytes long_properties(unsigned len, uint8_t room[700])
{
    struct pen p = pen_over(room, 700);
    static const uint8_t letters[255];
    pen_u16(&p, 0x8000 | 0x4000 | 0x0400);
    pen_shortstr(&p, bytes_of(letters, 255));
    pen_shortstr(&p, bytes_of(letters, 250));
    pen_shortstr(&p, bytes_of(letters, len));
    return pen_written(&p);
}

static void say_header(struct twins *t, uint16_t channel, uint64_t size, unsigned strange)
{
    uint8_t room[1024], more[700];
    struct pen p = pen_over(room, sizeof room);
    pen_u16(&p, strange == 1 ? 50 : 60);
    pen_u16(&p, strange == 2);
    pen_u64(&p, strange == 3 ? UINT64_MAX : size);
    pen_bytes(&p,
              t->properties < ALL_PROPERTIES ? all_properties[t->properties] : long_properties(t->properties, more));
    CHECK(!p.full);
    say_frame(t, FRAME_HEADER, channel, bytes_of(room, strange == 4 ? 11 : pen_written(&p).len));
}

/* One that is larger than a frame may be: a table with a long string. */
static void say_large_header(struct twins *t, uint16_t channel, uint64_t size)
{
    static const uint8_t zeros[FRAME_LIMIT];
    static uint8_t room[2 * FRAME_LIMIT];
    struct pen p = pen_over(room, sizeof room);
    pen_u32(&p, 60 << 16);
    pen_u64(&p, size);
    pen_u16(&p, PROPERTY_headers);
    pen_u32(&p, FRAME_LIMIT + 7);
    pen_shortstr(&p, BYTES("a"));
    pen_u8(&p, 'S');
    pen_longstr(&p, bytes_of(zeros, FRAME_LIMIT));
    CHECK(!p.full);
    say_frame(t, FRAME_HEADER, channel, pen_written(&p));
}

static void say_body(struct twins *t, uint16_t channel, size_t size, size_t a_frame)
{
    static uint8_t body[3 * FRAME_LIMIT];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + t->now);
    for (size_t sent = 0; sent < size; sent += a_frame)
        say_frame(t, FRAME_BODY, channel, bytes_of(body + sent, size - sent < a_frame ? size - sent : a_frame));
}

/* A publish, mostly like the one before, now and then with a part that is missing or wrong. */
static void say_publish(struct twins *t)
{
    static const struct bytes names[] = {BYTES_CONSTANT(""), BYTES_CONSTANT("q"), BYTES_CONSTANT("amq.topic"),
                                         BYTES_CONSTANT("a.long.key.that.is.longer.than.the.others.by.far")};
    static const size_t sizes[] = {
        16, 0, 1, 100, 1024, FRAME_LIMIT - 8, FRAME_LIMIT, FRAME_LIMIT + 1, MESSAGE_LIMIT, MESSAGE_LIMIT + 1};
    union method m = {.basic_publish = {.id = METHOD_basic_publish}};
    unsigned where = pick(t, 8), change = pick(t, 16), strange = pick(t, 32) == 31 ? pick(t, 16) : 0;
    uint16_t channel = (uint16_t)(where < 6 ? 1 : where - 4);
    if (change == 1)
        t->key = pick(t, 64);
    if (change == 2)
        t->properties = pick(t, ALL_PROPERTIES + 12);
    if (change == 3)
        t->size = pick(t, sizeof sizes / sizeof sizes[0]);
    m.basic_publish.exchange = names[t->key & 3];
    m.basic_publish.routing_key = names[t->key >> 2 & 3];
    m.basic_publish.mandatory = t->key >> 4 == 1;
    m.basic_publish.immediate = strange == 5;
    m.basic_publish.reserved_1 = t->key >> 4 == 2;
    size_t size = strange == 11 ? FRAME_LIMIT + 1 : sizes[t->size];
    if (strange != 6)
        say(t, channel, &m);
    if (strange == 14)
        say_large_header(t, channel, size);
    else if (strange != 7)
        say_header(t, channel, size, strange);
    if (strange == 15 && t->pending_len > 0)
        t->pending[t->pending_len - 1] = 0xCD;
    size += strange == 8;
    if (strange != 9)
        say_body(t, channel, size, strange == 10 ? 1 + size / 2 : strange == 11 ? FRAME_LIMIT + 1 : FRAME_LIMIT - 8);
    if (strange == 12 && t->pending_len > 0)
        t->pending[t->pending_len - 1] = 0xCD;
    if (strange == 13)
        say_frame(t, FRAME_BODY, channel, BYTES(""));
}

static void say_ack(struct twins *t)
{
    uint8_t room[16];
    struct pen p = pen_over(room, sizeof room);
    pen_u32(&p, pick(t, 8) == 7 ? METHOD_basic_nack : METHOD_basic_ack);
    pen_u64(&p, pick(t, 8) == 7 ? 99 : pick(t, 16));
    pen_u8(&p, (uint8_t)pick(t, 256)); /* its lowest bit has a meaning */
    if (pick(t, 32) == 31)
        pen_u8(&p, 0);
    say_frame(t, FRAME_METHOD, (uint16_t)(1 + pick(t, 2)), pen_written(&p));
}

static void say_other(struct twins *t)
{
    static const enum method_id ids[] = {METHOD_channel_open,   METHOD_channel_close, METHOD_channel_close_ok,
                                         METHOD_confirm_select, METHOD_tx_select,     METHOD_tx_commit,
                                         METHOD_basic_recover,  METHOD_tx_rollback};
    union method m = {.basic_consume = {.id = METHOD_basic_consume, .no_ack = pick(t, 4) == 1, .no_wait = true}};
    if (pick(t, 4) == 1)
        m.basic_consume.queue = BYTES("amq.rabbitmq.reply-to");
    uint16_t channel = (uint16_t)(1 + pick(t, CHANNELS));
    unsigned which = pick(t, 32);
    if (which < sizeof ids / sizeof ids[0])
        m = (union method){.id = ids[which]};
    if (which == 9)
        say_frame(t, (uint8_t)pick(t, 10), channel, bytes_of(t->at, (size_t)(t->end - t->at) > 20 ? 20 : 0));
    else if (which == 10)
        say_frame(t, FRAME_HEARTBEAT, 0, BYTES(""));
    else
        say(t, channel, &m);
}

/* ---- The model. */

static struct spec *spec_of(struct command *c)
{
    struct spec *spec = NULL;
    if (c->verb == ATTACH || c->verb == LOGIN || c->verb == ECHO) {
        spec = c->spec;
        c->spec = NULL;
    } else if (c->verb == SUBSCRIBE || c->verb == UNSUBSCRIBE) {
        spec = c->subscribe.spec;
        c->subscribe.spec = NULL;
    }
    if (c->verb == LOGIN)
        spec->serial = 1;
    return spec;
}

static bool is_answered(enum verb verb)
{
    return verb != PUBLISH && verb != SETTLE && verb != WINDOW && verb != PACE && verb != LIMIT;
}

static void answer(struct twins *t, struct twin *w, struct command *c, bool fails, unsigned choice)
{
    struct event e = {.what = DONE, .verb = c->verb, .to = c->from, .cookie = c->cookie};
    bool is_answer = is_answered(c->verb);
    if (c->verb == DETACH) {
        e.what = DETACHED;
    } else if (c->verb == PACE) {
        e.what = SLOWED;
        e.slowed.publishes = choice;
        is_answer = true;
    } else if (c->verb == PUBLISH && (c->publish.objection != NULL || fails)) {
        e.what = FAILED;
        e.failed.reason = OBJECTION;
        e.failed.text = str_copy(bytes_of_string(c->publish.objection != NULL ? c->publish.objection : "no"));
        is_answer = true;
    } else if (c->verb == PUBLISH && c->publish.confirm) {
        e.what = choice == 0 ? REFUSED : CONFIRMED;
        is_answer = true;
    } else if (is_answer) {
        e.done.spec = spec_of(c);
    }
    command_drop(c);
    if (is_answer)
        session_event(w->session, &e, t->now);
}

/* Carries out the oldest command; false: there is none. */
static bool answer_one(struct twins *t)
{
    struct twin *a = &t->short_way, *b = &t->long_way;
    if (a->first == a->compared)
        return false;
    bool fails = pick(t, 32) == 31;
    unsigned choice = pick(t, 4);
    answer(t, a, &a->commands[a->first++], fails, choice);
    answer(t, b, &b->commands[b->first++], fails, choice);
    compare(t);
    return true;
}

static void deliver(struct twins *t)
{
    struct event e = {.what = DELIVERED,
                      .to = {.outlet = {.slot = 3, .generation = 9}, .stream = (uint16_t)pick(t, 2)}};
    const struct message_spec spec = {.properties = BYTES("\0\0"), .expiration_ms = MESSAGE_NO_EXPIRATION};
    uint32_t consumer = pick(t, 2), n = 1 + pick(t, 8);
    for (; n > 0; n--) {
        for (unsigned i = 0; i < 2; i++) {
            struct event own = e;
            own.delivered.msg = message_create(&spec);
            own.delivered.consumer = consumer;
            own.delivered.ticket = (ticket){.slot = t->tickets, .generation = 1};
            session_event(i == 0 ? t->short_way.session : t->long_way.session, &own, t->now);
        }
        t->tickets++;
    }
    compare(t);
}

static void alarm(struct twins *t)
{
    unsigned alarms = pick(t, 4) == 3 ? ALARM_MEMORY : 0;
    session_alarm(t->short_way.session, alarms, t->now);
    session_alarm(t->long_way.session, alarms, t->now);
    compare(t);
}

static void slow(struct twins *t)
{
    uint32_t publishes = pick(t, 6);
    for (unsigned i = 0; i < 2; i++) {
        struct event e = {.what = SLOWED};
        e.slowed.publishes = publishes;
        session_event(i == 0 ? t->short_way.session : t->long_way.session, &e, t->now);
    }
    compare(t);
}

/* ---- Their life. */

static void twin_init(struct twin *w, bool decodes_all)
{
    static const struct session_peer peer = {.name = "peer", .is_loopback = true};
    w->config = (struct session_config){
        .channel_max = 2047,
        .frame_max = FRAME_LIMIT,
        .max_message_size = MESSAGE_LIMIT,
        .handshake_timeout_ms = 10000,
        .product = "RabbitMQ",
        .version = "3.13.7",
        .broker_version = "0",
        .cluster_name = "twins",
        .mechanisms = SASL_PLAIN,
        .login = login,
        .random = no_random,
        .decodes_all = decodes_all,
    };
    outbox_init(&w->outbox);
    w->session = session_create(&w->config, (outlet_id){.slot = 3, .generation = 9}, &peer, &w->outbox, 1000);
}

static void twin_fini(struct twin *w)
{
    CHECK(session_is_over(w->session));
    session_destroy(w->session);
    while (w->first < w->last)
        command_drop(&w->commands[w->first++]);
    outbox_fini(&w->outbox);
}

static void answer_all(struct twins *t)
{
    while (answer_one(t))
        continue;
}

static void log_in(struct twins *t)
{
    const union method methods[] = {
        {.connection_start_ok = {.id = METHOD_connection_start_ok,
                                 .mechanism = BYTES("PLAIN"),
                                 .response = BYTES("\0guest\0guest")}},
        {.connection_tune_ok = {.id = METHOD_connection_tune_ok, .channel_max = 2047, .frame_max = FRAME_LIMIT}},
        {.connection_open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")}},
    };
    memcpy(t->pending, "AMQP\0\0\x09\x01", 8);
    t->pending_len = 8;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        say(t, 0, &methods[i]);
    for (uint16_t n = 1; n <= CHANNELS; n++)
        say(t, n, &(union method){.channel_open = {.id = METHOD_channel_open}});
    for (unsigned i = 0; i < 4; i++) {
        feed(t, 0);
        answer_all(t);
    }
    CHECK(t->pending_len == 0 && t->short_way.first == t->short_way.last);
}

static void step(struct twins *t)
{
    unsigned kind = pick(t, KINDS);
    t->now++;
    if (kind < 10)
        say_publish(t);
    else if (kind < 12)
        say_ack(t);
    else if (kind == 12)
        say_other(t);
    else if (kind < 15)
        feed(t, pick(t, 256));
    else if (kind < 17)
        feed(t, 0);
    else if (kind < 19)
        answer_one(t);
    else if (kind == 19)
        answer_all(t);
    else if (kind < 22)
        deliver(t);
    else if (kind == 22)
        alarm(t);
    else
        slow(t);
}

void twins_run(struct bytes script)
{
    struct twins *t = alloc_zeroed(sizeof *t);
    struct bytes none = {0};
    log_set_level(LOG_NO_LEVEL);
    t->now = 1000;
    t->at = t->end = none.at;
    twin_init(&t->short_way, false);
    twin_init(&t->long_way, true);
    log_in(t);
    t->at = script.at;
    t->end = script.at + script.len;
    for (unsigned i = 0; i < STEPS_MAX && t->at < t->end; i++)
        step(t);
    feed(t, 0);
    session_lost(t->short_way.session);
    session_lost(t->long_way.session);
    compare(t);
    answer_all(t);
    twin_fini(&t->short_way);
    twin_fini(&t->long_way);
    free(t);
}
