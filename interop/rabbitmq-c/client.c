/* Connections, channels, queues and exchanges; see interop.h. */
#include "interop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static amqp_connection_state_t connections[CONNECTION_LIMIT]; /* NULL where closed */

const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

const char *text(amqp_bytes_t b)
{
    char *s = malloc(b.len + 1);
    if (!s)
        abort();
    if (b.len > 0)
        memcpy(s, b.bytes, b.len);
    s[b.len] = '\0';
    return s;
}

const char *numbered(int i)
{
    char *s = NULL;
    if (asprintf(&s, "message %d", i) < 0)
        abort();
    return s;
}

bool is(amqp_bytes_t b, const char *s)
{
    return b.len == strlen(s) && (b.len == 0 || memcmp(b.bytes, s, b.len) == 0);
}

int64_t deadline(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + WAIT_MS;
}

void pause_before(int64_t end_ms, const char *what)
{
    check(deadline() - WAIT_MS < end_ms, "never happened: %s", what);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* AMQP_CA alone is trusted, the host's name is checked, a client certificate is shown if there is one. */
static amqp_socket_t *tls_socket(amqp_connection_state_t conn)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(conn);
    check(socket, "no TLS socket");
    amqp_ssl_socket_set_verify_peer(socket, true);
    amqp_ssl_socket_set_verify_hostname(socket, true);
    int status = amqp_ssl_socket_set_cacert(socket, setting("AMQP_CA", ""));
    check(status == AMQP_STATUS_OK, "AMQP_CA: %s", amqp_error_string2(status));
    if (*setting("AMQP_CERT", "")) {
        status = amqp_ssl_socket_set_key(socket, setting("AMQP_CERT", ""), setting("AMQP_KEY", ""));
        check(status == AMQP_STATUS_OK, "AMQP_CERT, AMQP_KEY: %s", amqp_error_string2(status));
    }
    return socket;
}

amqp_rpc_reply_t try_connect(amqp_connection_state_t *conn, const char *vhost, const char *password, int heartbeat)
{
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    *conn = amqp_new_connection();
    amqp_socket_t *socket = strcmp(setting("AMQP_TLS", ""), "1") == 0 ? tls_socket(*conn) : amqp_tcp_socket_new(*conn);
    check(socket, "no socket");
    const char *port = setting("AMQP_PORT", "5672");
    int status = amqp_socket_open_noblock(socket, setting("AMQP_HOST", "127.0.0.1"), atoi(port), &limit);
    check(status == AMQP_STATUS_OK, "connect: %s", amqp_error_string2(status));
    amqp_set_rpc_timeout(*conn, &limit);
    /* By itself the library does not ask to be told of cancelled consumers. */
    amqp_table_t properties = TABLE(entry_table("capabilities", TABLE(entry_bool("consumer_cancel_notify", true))));
    /* Who tries another password wants it to be looked at.  The library cannot send an empty identity. */
    if (strcmp(setting("AMQP_MECHANISM", ""), "EXTERNAL") == 0 && strcmp(password, setting("AMQP_PASS", "guest")) == 0)
        return amqp_login_with_properties(*conn, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat, &properties,
                                          AMQP_SASL_METHOD_EXTERNAL, setting("AMQP_USER", "guest"));
    return amqp_login_with_properties(*conn, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat, &properties,
                                      AMQP_SASL_METHOD_PLAIN, setting("AMQP_USER", "guest"), password);
}

/* Why a call failed. */
static const char *reason(amqp_rpc_reply_t reply)
{
    char *s = NULL;
    int n = 0;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        return amqp_error_string2(reply.library_error);
    } else if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) {
        return "no error";
    } else if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *m = reply.reply.decoded;
        n = asprintf(&s, "channel.close %d %s", m->reply_code, text(m->reply_text));
    } else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        amqp_connection_close_t *m = reply.reply.decoded;
        n = asprintf(&s, "connection.close %d %s", m->reply_code, text(m->reply_text));
    } else {
        return amqp_method_name(reply.reply.id);
    }
    return n < 0 ? "no memory" : s;
}

amqp_connection_state_t connect_beating(int heartbeat)
{
    for (int i = 0; i < CONNECTION_LIMIT; i++) {
        if (connections[i])
            continue;
        amqp_rpc_reply_t reply = try_connect(&connections[i], "/", setting("AMQP_PASS", "guest"), heartbeat);
        check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login: %s", reason(reply));
        return connections[i];
    }
    fail("too many connections");
}

amqp_connection_state_t connect_new(void)
{
    return connect_beating(10);
}

void disconnect(amqp_connection_state_t conn)
{
    for (int i = 0; i < CONNECTION_LIMIT; i++) {
        if (connections[i] == conn)
            connections[i] = NULL;
    }
    amqp_rpc_reply_t reply = amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "connection.close: %s", reason(reply));
    int status = amqp_destroy_connection(conn);
    check(status == AMQP_STATUS_OK, "destroy a connection: %s", amqp_error_string2(status));
}

void disconnect_all(void)
{
    for (int i = 0; i < CONNECTION_LIMIT; i++) {
        if (connections[i])
            disconnect(connections[i]);
    }
}

void answered(struct channel ch, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(ch.conn);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "%s: %s", what, reason(reply));
}

struct channel channel_on(amqp_connection_state_t conn, int number)
{
    struct channel ch = {.conn = conn, .number = (amqp_channel_t)number};
    amqp_channel_open(conn, ch.number);
    answered(ch, "channel.open");
    return ch;
}

struct channel channel_new(void)
{
    return channel_on(connect_new(), 1);
}

void channel_shut(struct channel ch)
{
    amqp_rpc_reply_t reply = amqp_channel_close(ch.conn, ch.number, AMQP_REPLY_SUCCESS);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "channel.close: %s", reason(reply));
}

void is_refusal(amqp_rpc_reply_t reply, amqp_method_number_t id, int code, const char *part)
{
    check(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == id, "%s, not a %s %d", reason(reply),
          amqp_method_name(id), code);
    amqp_bytes_t said;
    int got;
    if (id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *m = reply.reply.decoded;
        got = m->reply_code;
        said = m->reply_text;
    } else {
        amqp_connection_close_t *m = reply.reply.decoded;
        got = m->reply_code;
        said = m->reply_text;
    }
    check(got == code, "%s, not %d", reason(reply), code);
    check(strstr(text(said), part), "text \"%s\" lacks \"%s\"", text(said), part);
}

/* The library leaves the answer to channel.close to us. */
static void accept_close(struct channel ch)
{
    amqp_channel_close_ok_t ok = {0};
    int status = amqp_send_method(ch.conn, ch.number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    check(status == AMQP_STATUS_OK, "channel.close-ok: %s", amqp_error_string2(status));
}

void refused(struct channel ch, int code, const char *part)
{
    is_refusal(amqp_get_rpc_reply(ch.conn), AMQP_CHANNEL_CLOSE_METHOD, code, part);
    accept_close(ch);
}

void *await(struct channel ch, amqp_method_number_t id)
{
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(ch.conn, &frame, &limit);
    check(status == AMQP_STATUS_OK, "no %s: %s", amqp_method_name(id), amqp_error_string2(status));
    check(frame.frame_type == AMQP_FRAME_METHOD, "frame type %d, not %s", frame.frame_type, amqp_method_name(id));
    check(frame.payload.method.id == id, "%s, not %s", amqp_method_name(frame.payload.method.id), amqp_method_name(id));
    check(frame.channel == ch.number, "channel %d, not %d", frame.channel, ch.number);
    return frame.payload.method.decoded;
}

void closed(struct channel ch, int code, const char *part)
{
    amqp_channel_close_t *m = await(ch, AMQP_CHANNEL_CLOSE_METHOD);
    check(m->reply_code == code, "closed with %d %s, not %d", m->reply_code, text(m->reply_text), code);
    check(strstr(text(m->reply_text), part), "text \"%s\" lacks \"%s\"", text(m->reply_text), part);
    accept_close(ch);
}

void alive(amqp_connection_state_t conn, int number)
{
    struct channel ch = channel_on(conn, number);
    const char *q = queue_new(ch);
    publish(ch, "", q, "alive");
    get(ch, q, true, "alive");
}

amqp_queue_declare_ok_t *declare(struct channel ch, const char *queue, bool durable, bool exclusive, bool auto_delete,
                                 amqp_table_t arguments)
{
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(ch.conn, ch.number, amqp_cstring_bytes(queue), 0, durable,
                                                     exclusive, auto_delete, arguments);
    answered(ch, "queue.declare");
    check(*queue == '\0' || is(ok->queue, queue), "declare-ok names %s, not %s", text(ok->queue), queue);
    return ok;
}

amqp_queue_declare_ok_t *declare_passively(struct channel ch, const char *queue)
{
    return amqp_queue_declare(ch.conn, ch.number, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
}

const char *queue_with(struct channel ch, amqp_table_t arguments)
{
    const char *name = name_new();
    declare(ch, name, false, false, false, arguments);
    return name;
}

const char *queue_new(struct channel ch)
{
    return queue_with(ch, amqp_empty_table);
}

const char *exchange_with(struct channel ch, const char *type, amqp_table_t arguments)
{
    const char *name = name_new();
    amqp_exchange_declare(ch.conn, ch.number, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, 0, 0, 0,
                          arguments);
    answered(ch, "exchange.declare");
    return name;
}

const char *exchange_new(struct channel ch, const char *type)
{
    return exchange_with(ch, type, amqp_empty_table);
}

void bind_queue(struct channel ch, const char *queue, const char *exchange, const char *key, amqp_table_t arguments)
{
    amqp_queue_bind(ch.conn, ch.number, amqp_cstring_bytes(queue), amqp_cstring_bytes(exchange),
                    amqp_cstring_bytes(key), arguments);
    answered(ch, "queue.bind");
}

void ready(struct channel ch, const char *queue, unsigned n)
{
    amqp_queue_declare_ok_t *ok = declare_passively(ch, queue);
    answered(ch, "passive declare");
    check(ok->message_count == n, "%u messages are ready, not %u", ok->message_count, n);
}

void ready_soon(struct channel ch, const char *queue, unsigned n)
{
    for (int64_t end = deadline();; pause_before(end, "the count of ready messages")) {
        amqp_queue_declare_ok_t *ok = declare_passively(ch, queue);
        answered(ch, "passive declare");
        if (ok->message_count == n)
            return;
    }
}

void gone(amqp_connection_state_t conn, int number, const char *queue)
{
    struct channel ch = channel_on(conn, number);
    declare_passively(ch, queue);
    refused(ch, AMQP_NOT_FOUND, queue);
}

bool exists(amqp_connection_state_t conn, int number, const char *queue)
{
    struct channel ch = channel_on(conn, number);
    if (declare_passively(ch, queue)) {
        channel_shut(ch);
        return true;
    }
    refused(ch, AMQP_NOT_FOUND, queue);
    return false;
}
