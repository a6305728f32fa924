#include "tests/unit/rig.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/table.h"

enum { WRITTEN_AT_ONCE = 8 };

static enum login login(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms)
{
    struct rig *r = arg;
    (void)now;
    r->logins++;
    *delay_ms = r->login_delay_ms;
    bool right = l->is_user && bytes_equal(l->user, BYTES("guest")) &&
                 (l->is_external || bytes_equal(l->password, BYTES("guest")));
    return right && l->is_loopback ? LOGIN_OK : LOGIN_REFUSED;
}

static void count_up(void *arg, void *to, size_t n)
{
    uint8_t *at = to;
    (void)arg;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(i + 1);
}

struct rig *rig_create(void)
{
    return rig_create_for(&(struct session_peer){.name = "127.0.0.1:4000 -> 127.0.0.1:5672", .is_loopback = true});
}

struct rig *rig_create_for(const struct session_peer *peer)
{
    struct rig *r = alloc_zeroed(sizeof *r);
    log_set_level(LOG_NO_LEVEL);
    r->config = (struct session_config){
        .channel_max = 2047,
        .frame_max = 131072,
        .heartbeat_s = 60,
        .max_message_size = 1 << 20,
        .handshake_timeout_ms = 10000,
        .product = "RabbitMQ",
        .version = "3.13.7",
        .broker_version = "0.1",
        .cluster_name = "millrace@test",
        .mechanisms = SASL_PLAIN | SASL_AMQPLAIN | SASL_EXTERNAL,
        .login = login,
        .random = count_up,
        .arg = r,
    };
    r->now = 1000;
    r->in = alloc(RIG_BYTES_MAX);
    r->out = alloc(RIG_BYTES_MAX);
    outbox_init(&r->outbox);
    r->session = session_create(&r->config, (outlet_id){.slot = 3, .generation = 9}, peer, &r->outbox, r->now);
    return r;
}

/* ---- Moving. */

void rig_answer_login(struct rig *r, const struct command *c)
{
    struct event e = {.what = DONE, .verb = LOGIN, .to = c->from, .cookie = c->cookie, .done = {.spec = c->spec}};
    c->spec->serial = bytes_equal(c->spec->name, BYTES("guest")) ? 77 : 0;
    session_event(r->session, &e, r->now);
}

/* Keeps a command; tickets that are settled together one by one, for tests that do not care. */
static void keep_command(struct rig *r, const struct command *c)
{
    uint32_t more = c->verb == SETTLE ? c->settle.more_count : 0;
    for (uint32_t i = 0; i <= more; i++) {
        assert_true(r->last < RIG_COMMANDS_MAX);
        struct command *kept = &r->commands[r->last++];
        *kept = *c;
        if (more == 0)
            continue;
        kept->settle.ticket = i == 0 ? c->settle.ticket : c->settle.more[i - 1];
        kept->settle.more_count = 0;
        kept->settle.more = NULL;
    }
    if (more > 0)
        free(c->settle.more);
    r->settles += c->verb == SETTLE;
}

/* True: a login was among them, and has been answered. */
static bool collect_commands(struct rig *r)
{
    bool has_answered = false;
    for (struct batch *b = outbox_take(&r->outbox), *next; b != NULL; b = next) {
        next = b->next;
        for (unsigned i = 0; i < b->n; i++) {
            bool is_answered = b->commands[i].verb == LOGIN && !r->keeps_logins;
            has_answered |= is_answered;
            if (is_answered)
                rig_answer_login(r, &b->commands[i]);
            else
                keep_command(r, &b->commands[i]);
        }
        b->n = 0;
        outbox_give(&r->outbox, b);
    }
    return has_answered;
}

static void collect_output(struct rig *r)
{
    struct iovec iov[WRITTEN_AT_ONCE];
    int n;
    while ((n = session_gather(r->session, iov, WRITTEN_AT_ONCE)) > 0) {
        size_t total = 0;
        for (int i = 0; i < n; i++) {
            assert_true(r->out_len + total + iov[i].iov_len <= RIG_BYTES_MAX);
            memcpy(r->out + r->out_len + total, iov[i].iov_base, iov[i].iov_len);
            total += iov[i].iov_len;
        }
        r->out_len += total;
        session_wrote(r->session, total);
    }
}

static void feed(struct rig *r)
{
    size_t used = session_feed(r->session, bytes_of(r->in, r->in_len), r->now);
    assert_true(used <= r->in_len);
    r->in_len -= used;
    memmove(r->in, r->in + used, r->in_len);
}

void rig_turn(struct rig *r)
{
    bool again = true;
    while (again) {
        session_turn(r->session);
        collect_output(r);
        session_turn(r->session);
        again = collect_commands(r);
        if (again)
            feed(r); /* what waited for the login */
    }
}

void rig_feed_again(struct rig *r)
{
    feed(r);
    rig_turn(r);
}

void rig_bytes(struct rig *r, struct bytes b)
{
    assert_true(r->in_len + b.len <= RIG_BYTES_MAX);
    memcpy(r->in + r->in_len, b.at, b.len);
    r->in_len += b.len;
    rig_feed_again(r);
}

/* ---- The client. */

void rig_frame(struct rig *r, uint8_t type, uint16_t channel, struct bytes payload)
{
    uint8_t *room = alloc(payload.len + FRAME_OVERHEAD);
    struct pen p = pen_over(room, payload.len + FRAME_OVERHEAD);
    uint8_t *mark = frame_open(&p, type, channel);
    pen_bytes(&p, payload);
    frame_close(&p, mark);
    rig_bytes(r, pen_written(&p));
    free(room);
}

void rig_send(struct rig *r, uint16_t channel, const union method *m)
{
    uint8_t room[4096];
    struct pen p = pen_over(room, sizeof room);
    method_encode(&p, m);
    assert_false(p.full);
    rig_frame(r, FRAME_METHOD, channel, pen_written(&p));
}

void rig_send_bare(struct rig *r, uint16_t channel, enum method_id id)
{
    union method m = {.connection_start = {.id = id}};
    rig_send(r, channel, &m);
}

void rig_header(struct rig *r, uint16_t channel, uint64_t size, struct bytes properties)
{
    uint8_t room[4096];
    struct pen p = pen_over(room, sizeof room);
    pen_u32(&p, 60 << 16);
    pen_u64(&p, size);
    pen_bytes(&p, properties);
    rig_frame(r, FRAME_HEADER, channel, pen_written(&p));
}

void rig_publish(struct rig *r, uint16_t channel, const char *key, struct bytes properties, const char *body)
{
    struct basic_publish publish = {.id = METHOD_basic_publish, .routing_key = bytes_of_string(key)};
    rig_send(r, channel, &(union method){.basic_publish = publish});
    rig_header(r, channel, strlen(body), properties);
    if (body[0] != '\0')
        rig_frame(r, FRAME_BODY, channel, bytes_of_string(body));
}

struct rig *rig_greet(enum rig_capability capability)
{
    static const char *const capabilities[] = {"consumer_cancel_notify", "connection.blocked",
                                               "authentication_failure_close"};
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof room);
    if (capability == RIG_CAPABLE) {
        uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
        for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
            table_put_bool(&p, bytes_of_string(capabilities[i]), true);
        table_close(&p, mark);
    }
    struct rig *r = rig_create();
    struct connection_start_ok ok = {
        .id = METHOD_connection_start_ok,
        .client_properties = pen_written(&p),
        .mechanism = BYTES("PLAIN"),
        .response = BYTES("\0guest\0guest"),
        .locale = BYTES("en_US"),
    };
    rig_bytes(r, BYTES("AMQP\0\0\x09\x01"));
    rig_expect(r, 0, METHOD_connection_start, NULL);
    rig_send(r, 0, &(union method){.connection_start_ok = ok});
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    return r;
}

struct rig *rig_open_with(enum rig_capability capability, uint32_t frame_max)
{
    struct rig *r = rig_greet(capability);
    struct connection_tune_ok tune = {.id = METHOD_connection_tune_ok, .channel_max = 2047, .frame_max = frame_max};
    struct connection_open open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")};
    rig_send(r, 0, &(union method){.connection_tune_ok = tune});
    rig_send(r, 0, &(union method){.connection_open = open});
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    return r;
}

struct rig *rig_open(void)
{
    return rig_open_with(RIG_PLAIN, 131072);
}

void rig_destroy(struct rig *r)
{
    session_lost(r->session);
    for (;;) {
        collect_commands(r);
        if (r->first == r->last)
            break;
        struct command c = r->commands[r->first++];
        struct event e = {.what = c.verb == DETACH ? DETACHED : DONE, .verb = c.verb, .to = c.from};
        command_drop(&c);
        if (c.verb == DETACH || c.verb == ATTACH)
            session_event(r->session, &e, r->now);
    }
    assert_true(session_is_over(r->session));
    session_destroy(r->session);
    outbox_fini(&r->outbox);
    free(r->in);
    free(r->out);
    free(r);
}

/* ---- What it sees. */

bool rig_next(struct rig *r, struct frame *f)
{
    static uint8_t kept[RIG_BYTES_MAX];
    size_t used;
    if (frame_cut(bytes_of(r->out, r->out_len), UINT32_MAX, f, &used) != FRAME_OK)
        return false;
    memcpy(kept, f->payload.at, f->payload.len);
    f->payload.at = kept;
    r->out_len -= used;
    memmove(r->out, r->out + used, r->out_len);
    return true;
}

void rig_expect(struct rig *r, uint16_t channel, enum method_id id, union method *m)
{
    struct frame f;
    union method got;
    if (!rig_next(r, &f))
        fail_msg("expected %s, got nothing", method_find(id)->name);
    assert_int_equal(f.type, FRAME_METHOD);
    assert_int_equal(method_decode(f.payload, &got), METHOD_OK);
    assert_string_equal(method_find(got.id)->name, method_find(id)->name);
    assert_int_equal(f.channel, channel);
    if (m != NULL)
        *m = got;
}

void rig_expect_nothing(struct rig *r)
{
    struct frame f;
    union method m;
    if (!rig_next(r, &f)) {
        assert_int_equal(r->out_len, 0);
        return;
    }
    bool is_method = f.type == FRAME_METHOD && method_decode(f.payload, &m) == METHOD_OK;
    fail_msg("expected nothing, got %s", is_method ? method_find(m.id)->name : "a frame");
}

void rig_expect_close(struct rig *r, uint16_t channel, unsigned code, const char *text, enum method_id about)
{
    union method m;
    char got[256] = "";
    rig_expect(r, channel, channel == 0 ? METHOD_connection_close : METHOD_channel_close, &m);
    struct bytes reply = channel == 0 ? m.connection_close.reply_text : m.channel_close.reply_text;
    memcpy(got, reply.at, reply.len);
    assert_string_equal(got, text);
    assert_int_equal(channel == 0 ? m.connection_close.reply_code : m.channel_close.reply_code, code);
    assert_int_equal(channel == 0 ? m.connection_close.class_id : m.channel_close.class_id, (unsigned)about >> 16);
    assert_int_equal(channel == 0 ? m.connection_close.method_id : m.channel_close.method_id, about & 0xFFFF);
}

void rig_expect_content(struct rig *r, uint16_t channel, struct bytes body)
{
    struct frame f;
    assert_true(rig_next(r, &f));
    assert_int_equal(f.type, FRAME_HEADER);
    assert_int_equal(f.channel, channel);
    struct cursor c = cursor_over(f.payload);
    assert_int_equal(cursor_u32(&c), 60 << 16);
    assert_int_equal(cursor_u64(&c), body.len);
    while (body.len > 0) {
        assert_true(rig_next(r, &f));
        assert_int_equal(f.type, FRAME_BODY);
        assert_int_equal(f.channel, channel);
        assert_true(f.payload.len > 0 && f.payload.len <= body.len);
        assert_memory_equal(f.payload.at, body.at, f.payload.len);
        body = bytes_of(body.at + f.payload.len, body.len - f.payload.len);
    }
}

/* ---- The model. */

struct command rig_command(struct rig *r, enum verb verb)
{
    collect_commands(r);
    if (r->first == r->last)
        fail_msg("expected command %d, got none", (int)verb);
    struct command c = r->commands[r->first++];
    assert_int_equal(c.verb, verb);
    assert_int_equal(c.from.outlet.slot, 3);
    assert_int_equal(c.from.outlet.generation, 9);
    return c;
}

void rig_expect_no_command(struct rig *r)
{
    collect_commands(r);
    if (r->first < r->last)
        fail_msg("expected no command, got %d", (int)r->commands[r->first].verb);
}

void rig_event(struct rig *r, struct event *e)
{
    session_event(r->session, e, r->now);
    rig_turn(r);
}

static struct spec *spec_of(const struct command *c)
{
    switch ((int)c->verb) {
    case ATTACH:
    case ECHO:
    case DECLARE_EXCHANGE:
    case DELETE_EXCHANGE:
    case DECLARE_QUEUE:
    case DELETE_QUEUE:
    case PURGE_QUEUE:
    case BIND:
    case UNBIND:
    case GET:
        return c->spec;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
        return c->subscribe.spec;
    default:
        return NULL;
    }
}

void rig_done(struct rig *r, const struct command *c)
{
    struct event e = {.what = DONE, .verb = c->verb, .to = c->from, .cookie = c->cookie};
    if (c->verb == DETACH)
        e.what = DETACHED;
    else if (c->verb == GET)
        e.what = EMPTY;
    else
        e.done.spec = spec_of(c);
    if (c->verb == GET)
        free(c->spec);
    if (c->verb == COMMIT)
        tx_destroy(c->tx);
    rig_event(r, &e);
}

void rig_fail(struct rig *r, const struct command *c, enum reason reason, const char *text)
{
    struct event e = {.what = FAILED, .verb = c->verb, .to = c->from, .cookie = c->cookie};
    struct command dropped = *c;
    command_drop(&dropped);
    e.failed.reason = reason;
    e.failed.text = str_copy(bytes_of_string(text));
    rig_event(r, &e);
}

void rig_deliver(struct rig *r, uint16_t stream, uint32_t consumer, uint32_t slot, struct message *m)
{
    struct event e = {.what = DELIVERED, .to = {.outlet = {.slot = 3, .generation = 9}, .stream = stream}};
    e.delivered.msg = m;
    e.delivered.consumer = consumer;
    e.delivered.ticket = (ticket){.slot = slot, .generation = 1};
    rig_event(r, &e);
}

void rig_confirm(struct rig *r, const struct command *publish, enum happening what)
{
    struct event e = {.what = what, .to = publish->from, .cookie = publish->cookie};
    rig_event(r, &e);
}

void rig_carry_out(struct rig *r, enum verb verb)
{
    struct command c = rig_command(r, verb);
    rig_done(r, &c);
}

struct message *rig_message(const char *body)
{
    struct message_spec spec = {
        .routing_key = BYTES("key"),
        .properties = rig_no_properties(),
        .body_size = strlen(body),
        .expiration_ms = MESSAGE_NO_EXPIRATION,
    };
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of_string(body));
    return m;
}

struct bytes rig_no_properties(void)
{
    return BYTES("\0\0");
}
