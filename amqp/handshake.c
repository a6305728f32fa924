#include "amqp/handshake.h"

#include <stdlib.h>

#include "amqp/ending.h"
#include "amqp/heartbeat.h"
#include "amqp/login.h"
#include "amqp/sasl.h"
#include "amqp/state.h"
#include "amqp/trail.h"
#include "base/str.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum {
    HEADER_SIZE = 8,
    PROPERTIES_ROOM = 2048,  /* of our server-properties */
    PROPERTY_TEXT_MAX = 200, /* bytes of one that the configuration gives */
    CLIENT_TABLE_DEPTH = 32, /* of client-properties, and how many of them: reliability C2 */
    CLIENT_PROPERTIES_MAX = 128,
};

/* ---- connection.start. */

static void put_text(struct pen *p, const char *key, const char *value)
{
    struct bytes text = bytes_of_string(value);
    if (text.len > PROPERTY_TEXT_MAX)
        text.len = PROPERTY_TEXT_MAX;
    table_put_string(p, bytes_of_string(key), text);
}

/* Reference 2.2 and 2.3. */
static void put_server_properties(struct pen *p, const struct session_config *config)
{
    static const char *const capabilities[] = {
        "publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
        "consumer_cancel_notify",       "connection.blocked",         "consumer_priorities",
        "authentication_failure_close", "per_consumer_qos",           "direct_reply_to",
    };
    uint8_t *mark = table_open(p, BYTES("capabilities"), 'F');
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
        table_put_bool(p, bytes_of_string(capabilities[i]), true);
    table_close(p, mark);
    put_text(p, "broker", "Millrace");
    put_text(p, "broker_version", config->broker_version);
    put_text(p, "cluster_name", config->cluster_name);
    put_text(p, "copyright", "Copyright (c) the Millrace authors");
    put_text(p, "information", "An AMQP 0-9-1 broker");
    put_text(p, "platform", "C");
    put_text(p, "product", config->product);
    put_text(p, "version", config->version);
}

static void send_start(struct session *s)
{
    uint8_t room[PROPERTIES_ROOM];
    char mechanisms[SASL_OFFER_ROOM];
    struct pen properties = pen_over(room, sizeof room);
    put_server_properties(&properties, s->config);
    struct connection_start start = {
        .id = METHOD_connection_start,
        .version_major = 0,
        .version_minor = 9,
        .server_properties = pen_written(&properties),
        .mechanisms = bytes_of_string(sasl_offer(login_mechanisms(s), mechanisms)),
        .locales = BYTES("en_US"),
    };
    struct pen p = output_open(&s->output, PROPERTIES_ROOM + SESSION_METHOD_ROOM);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, 0);
    method_encode(&p, &(union method){.connection_start = start});
    frame_close(&p, mark);
    output_close(&s->output, &p);
}

static void refuse_header(struct session *s, struct bytes header)
{
    bool is_http = bytes_start_with(header, BYTES("GET ")) || bytes_start_with(header, BYTES("POST "));
    bool is_tls = bytes_start_with(header, BYTES("\x16\x03")); /* a handshake record's beginning */
    if (greeting_may_log(s, NULL))
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "closing ", ": {bad_header}: bad protocol header \"%.*s\"%s",
                    BYTES_ARG(header),
                    is_http  ? " (HTTP client on the AMQP port?)"
                    : is_tls ? " (TLS client on the plain port?)"
                             : "");
    struct pen p = output_open(&s->output, HEADER_SIZE);
    pen_bytes(&p, BYTES("AMQP\0\0\x09\x01"));
    output_close(&s->output, &p);
    ending_finish(s, false);
}

size_t handshake_take_header(struct session *s, struct bytes in)
{
    if (in.len < HEADER_SIZE)
        return 0;
    struct bytes header = bytes_of(in.at, HEADER_SIZE);
    s->greeting_bytes += HEADER_SIZE;
    if (bytes_equal(header, BYTES("AMQP\0\0\x09\x01")) || bytes_equal(header, BYTES("AMQP\x01\x01\0\x09"))) {
        session_log(s, LOG_CONNECTION, LOG_INFO_LEVEL, "accepting AMQP ", NULL);
        session_enter(s, STARTING);
        send_start(s);
    } else {
        refuse_header(s, header);
    }
    return HEADER_SIZE;
}

/* ---- connection.start-ok. */

static bool is_true(struct bytes table, const char *key)
{
    struct field f;
    return table_find(table, bytes_of_string(key), &f) && f.type == 't' && f.boolean;
}

static bool is_modest(struct bytes properties)
{
    struct cursor c = cursor_over(properties);
    struct field f;
    unsigned n = 0;
    while (n <= CLIENT_PROPERTIES_MAX && table_next(&c, &f))
        n++;
    return n <= CLIENT_PROPERTIES_MAX && table_check(properties, CLIENT_TABLE_DEPTH);
}

static void read_client_properties(struct session *s, struct bytes properties)
{
    struct field f;
    if (table_find(properties, BYTES("capabilities"), &f) && f.type == 'F') {
        if (is_true(f.bytes, "authentication_failure_close"))
            s->capabilities |= CAPABILITY_AUTHENTICATION_FAILURE_CLOSE;
        if (is_true(f.bytes, "consumer_cancel_notify"))
            s->capabilities |= CAPABILITY_CONSUMER_CANCEL_NOTIFY;
        if (is_true(f.bytes, "connection.blocked"))
            s->capabilities |= CAPABILITY_CONNECTION_BLOCKED;
    }
    if (table_find(properties, BYTES("connection_name"), &f) && f.type == 'S') {
        size_t len = f.bytes.len < SESSION_CLIENT_NAME_MAX ? f.bytes.len : SESSION_CLIENT_NAME_MAX;
        char *name = str_copy(bytes_of(f.bytes.at, len));
        session_log(s, LOG_CONNECTION, LOG_INFO_LEVEL, "", " has a client-provided name: %s", name);
        s->client_name = name;
    }
}

static void send_tune(struct session *s)
{
    struct connection_tune tune = {
        .id = METHOD_connection_tune,
        .channel_max = s->config->channel_max,
        .frame_max = s->config->frame_max,
        .heartbeat = s->config->heartbeat_s,
    };
    session_enter(s, TUNING);
    session_send(s, 0, &(union method){.connection_tune = tune});
}

void handshake_on_login(struct session *s)
{
    send_tune(s);
}

static void on_start_ok(struct session *s, const union method *m)
{
    const struct connection_start_ok *ok = &m->connection_start_ok;
    if (!is_modest(ok->client_properties)) {
        ending_linger(s, "too many client properties, or too deeply nested");
        return;
    }
    read_client_properties(s, ok->client_properties);
    login_begin(s, m);
}

/* ---- connection.tune-ok, connection.open. */

/* True if a value may be agreed on.  0 means no limit, on either side. */
static bool is_negotiable(uint32_t value, uint32_t low, uint32_t offered)
{
    return offered == 0 ? value == 0 || value >= low : value >= low && value <= offered;
}

/* Reference 2.5: RabbitMQ only logs why; saying it is kinder. */
static void refuse_tuning(struct session *s, const char *field, uint32_t value, uint32_t low, uint32_t offered)
{
    bool too_low = value != 0 && value < low;
    struct error *e =
        error_create(AMQP_NOT_ALLOWED, "negotiated %s = %u is %s than the %s allowed value (%u)", field, value,
                     too_low ? "lower" : "higher", too_low ? "minimum" : "maximum", too_low ? low : offered);
    ending_refuse(s, error_place(e, METHOD_connection_tune_ok), SESSION_LINGER_MS);
}

static void on_tune_ok(struct session *s, const union method *m)
{
    const struct connection_tune_ok *ok = &m->connection_tune_ok;
    if (!is_negotiable(ok->channel_max, 1, s->config->channel_max)) {
        refuse_tuning(s, "channel_max", ok->channel_max, 1, s->config->channel_max);
        return;
    }
    if (!is_negotiable(ok->frame_max, FRAME_MIN_SIZE, s->config->frame_max)) {
        refuse_tuning(s, "frame_max", ok->frame_max, FRAME_MIN_SIZE, s->config->frame_max);
        return;
    }
    s->channel_max = ok->channel_max;
    s->frame_max = ok->frame_max;
    s->heartbeat_s = ok->heartbeat;
    session_enter(s, OPENING);
    heartbeat_start(s);
}

static void on_open(struct session *s, const union method *m)
{
    size_t len;
    uint8_t *facts = login_make_facts(s, &len);
    const struct spec spec = {.name = m->connection_open.virtual_host,
                              .source = bytes_of_string(s->user),
                              .serial = s->serial,
                              .arguments = bytes_of(facts, len)};
    greeting_destroy(s->greeting);
    s->greeting = NULL;
    s->vhost = str_copy(m->connection_open.virtual_host);
    session_enter(s, ATTACHING);
    s->attachment = ASKED;
    session_tell(s, NULL, ATTACH, 0)->spec = spec_create(&spec);
    free(facts);
}

void handshake_on_attached(struct session *s, const struct event *e)
{
    s->attachment = ATTACHED;
    s->is_counted = e->done.is_counted;
    if (s->state == OVER) {
        ending_finish(s, s->abort);
        return;
    }
    session_enter(s, RUNNING);
    s->state_deadline = SESSION_NEVER;
    trail_open(s, true, NULL);
    session_log(s, LOG_CONNECTION, LOG_INFO_LEVEL, "", ": user '%s' authenticated and granted access to vhost '%s'",
                s->user, s->vhost);
    struct error *fault = s->error;
    s->error = NULL;
    if (fault != NULL) {
        ending_raise(s, fault);
        return;
    }
    struct connection_open_ok ok = {.id = METHOD_connection_open_ok};
    session_send(s, 0, &(union method){.connection_open_ok = ok});
}

void handshake_on_refused(struct session *s, const struct event *failed)
{
    s->attachment = UNATTACHED;
    if (s->state != ATTACHING)
        return;
    trail_open(s, false, failed->failed.text);
    session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ", ", state: opening: %s", failed->failed.text);
    ending_refuse(s, error_of_event(failed, METHOD_connection_open), SESSION_CLOSE_MS);
}

/* ---- What may come when. */

static void on_close(struct session *s, const union method *m)
{
    (void)m;
    ending_on_close(s);
}

static void on_close_ok(struct session *s, const union method *m)
{
    (void)m;
    ending_on_close_ok(s);
}

/* The users are our own: any new secret is as good as the old one (reference 2.10). */
static void on_update_secret(struct session *s, const union method *m)
{
    (void)m;
    session_send_bare(s, 0, METHOD_connection_update_secret_ok);
}

#define IN(state) (1u << (state))
static const struct row {
    enum method_id id;
    unsigned states; /* in which it may come */
    void (*handle)(struct session *s, const union method *m);
} rows[] = {
    {METHOD_connection_start_ok, IN(STARTING), on_start_ok},
    {METHOD_connection_tune_ok, IN(TUNING), on_tune_ok},
    {METHOD_connection_open, IN(OPENING), on_open},
    {METHOD_connection_close, IN(RUNNING) | IN(CLOSING) | IN(CLOSED), on_close},
    {METHOD_connection_close_ok, IN(CLOSING) | IN(CLOSED), on_close_ok},
    {METHOD_connection_update_secret, IN(RUNNING), on_update_secret},
};

void handshake_take(struct session *s, const union method *m)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].id == m->id && (rows[i].states & IN(s->state))) {
            rows[i].handle(s, m);
            return;
        }
    }
    if (s->state >= CLOSING)
        return;
    struct error *e =
        error_create(AMQP_CHANNEL_ERROR, "unexpected method in connection state %s", session_state_word(s));
    session_raise(s, NULL, error_place(e, m->id));
}
