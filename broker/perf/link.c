#define _GNU_SOURCE
#include "broker/perf/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link_tls.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { IN_ROOM = 4096, METHOD_ROOM = 1024, LOGIN_ROOM = 640, QUEUE_EXPIRES_MS = 60000 };

static int open_socket(const struct link_to *to, const struct addrinfo *a)
{
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (to->receive_buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &to->receive_buffer, sizeof to->receive_buffer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* The first of its addresses that answers. */
static int connect_to(const struct link_to *to)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    char port[12];
    int fd = -1;
    snprintf(port, sizeof port, "%u", to->port);
    int wrong = getaddrinfo(to->host, port, &hints, &all);
    if (wrong != 0)
        die("%s: %s", to->host, gai_strerror(wrong));
    for (const struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next)
        fd = open_socket(to, a);
    freeaddrinfo(all);
    if (fd < 0)
        die("cannot connect to %s:%u: %s", to->host, to->port, strerrordesc_np(errno));
    return fd;
}

void link_connect(struct link *l, const struct link_to *to)
{
    *l = (struct link){.fd = connect_to(to), .frame_max = LINK_FRAME_MAX, .in_room = IN_ROOM, .out_room = METHOD_ROOM};
    l->in = alloc(l->in_room);
    l->out = alloc(l->out_room);
    if (to->tls != NULL)
        l->tls = link_tls_open(to->tls, l->fd, to->host, to->ticket);
}

static void put_client_properties(struct pen *p)
{
    table_put_string(p, BYTES("product"), BYTES("millrace-perf"));
    uint8_t *mark = table_open(p, BYTES("capabilities"), 'F');
    table_put_bool(p, BYTES("publisher_confirms"), true);
    table_put_bool(p, BYTES("basic.nack"), true);
    table_put_bool(p, BYTES("consumer_cancel_notify"), true);
    table_put_bool(p, BYTES("connection.blocked"), true);
    table_put_bool(p, BYTES("authentication_failure_close"), true);
    table_close(p, mark);
}

/* The first of two keys that is there. */
static void note_name(struct bytes properties, const char *key, const char *other, char to[LINK_NAME_ROOM])
{
    struct bytes name = table_find_string(properties, key);
    if (name.len == 0)
        name = table_find_string(properties, other);
    snprintf(to, LINK_NAME_ROOM, "%.*s", BYTES_ARG(name));
}

void link_greet(struct link *l, struct link_server *server)
{
    memcpy(l->out, "AMQP\0\0\11\1", 8);
    l->out_len = 8;
    link_flush(l);
    union method m = link_expect(l, 0, METHOD_connection_start);
    if (server == NULL)
        return;
    note_name(m.connection_start.server_properties, "broker", "product", server->product);
    note_name(m.connection_start.server_properties, "broker_version", "version", server->version);
}

/* RFC 4616: no name of another, NUL, the name, NUL, the password. */
static void put_login(struct pen *p, const struct link_to *to)
{
    pen_u8(p, 0);
    pen_bytes(p, bytes_of_string(to->user != NULL ? to->user : "guest"));
    pen_u8(p, 0);
    pen_bytes(p, bytes_of_string(to->password != NULL ? to->password : "guest"));
    if (p->full)
        die("the user's name and password are too long");
}

void link_put_start_ok(struct link *l, const struct link_to *to)
{
    uint8_t room[METHOD_ROOM], login_room[LOGIN_ROOM];
    struct pen p = pen_over(room, sizeof room), login = pen_over(login_room, sizeof login_room);
    put_client_properties(&p);
    put_login(&login, to);
    link_put(l, 0,
             &(struct connection_start_ok){.id = METHOD_connection_start_ok,
                                           .client_properties = pen_written(&p),
                                           .mechanism = BYTES("PLAIN"),
                                           .response = pen_written(&login),
                                           .locale = BYTES("en_US")});
}

void link_put_open(struct link *l, const struct link_to *to, const struct connection_tune *offered)
{
    if (offered->frame_max > 0 && offered->frame_max < l->frame_max)
        l->frame_max = offered->frame_max;
    link_put(l, 0,
             &(struct connection_tune_ok){
                 .id = METHOD_connection_tune_ok, .channel_max = offered->channel_max, .frame_max = l->frame_max});
    struct bytes vhost = bytes_of_string(to->vhost != NULL ? to->vhost : "/");
    link_put(l, 0, &(struct connection_open){.id = METHOD_connection_open, .virtual_host = vhost});
}

static void log_in(struct link *l, const struct link_to *to)
{
    link_greet(l, to->server);
    link_put_start_ok(l, to);
    link_flush(l);
    union method tune = link_expect(l, 0, METHOD_connection_tune);
    link_put_open(l, to, &tune.connection_tune);
    link_flush(l);
    link_expect(l, 0, METHOD_connection_open_ok);
    link_call(l, 1, &(struct channel_open){.id = METHOD_channel_open}, METHOD_channel_open_ok);
}

void link_init(struct link *l, const struct link_to *to)
{
    link_connect(l, to);
    log_in(l, to);
}

void link_fini(struct link *l)
{
    link_tls_close(l->tls);
    close(l->fd);
    free(l->in);
    free(l->out);
    *l = (struct link){.fd = -1};
}

void link_reserve(struct link *l, size_t room)
{
    if (room <= l->in_room)
        return;
    l->in = alloc_array(l->in, room, 1);
    l->in_room = room;
}

static struct pen open_pen(struct link *l, size_t need)
{
    if (l->out_room - l->out_len < need) {
        l->out_room = alloc_grown(l->out_room, l->out_len + need);
        l->out = alloc_array(l->out, l->out_room, 1);
    }
    return pen_over(l->out + l->out_len, l->out_room - l->out_len);
}

static void close_pen(struct link *l, const struct pen *p)
{
    if (p->full)
        die("a method is larger than its buffer");
    l->out_len += pen_written(p).len;
}

void link_put(struct link *l, unsigned channel, const void *method)
{
    struct pen p = open_pen(l, METHOD_ROOM);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, (uint16_t)channel);
    method_encode(&p, method);
    frame_close(&p, mark);
    close_pen(l, &p);
}

size_t link_message_size(const struct link_message *m, uint32_t frame_max)
{
    const struct properties props = {.flags = m->persistent ? PROPERTY_delivery_mode : 0};
    uint32_t most = frame_max - FRAME_OVERHEAD;
    size_t method = 4 + 2 + 1 + m->exchange.len + 1 + m->routing_key.len + 1, flags = 2, mode = props.flags != 0;
    return FRAME_OVERHEAD + method + FRAME_OVERHEAD + 12 + flags + mode + m->body.len +
           (m->body.len + most - 1) / most * FRAME_OVERHEAD;
}

void link_encode_message(struct pen *p, unsigned channel, const struct link_message *m, uint32_t frame_max)
{
    struct properties props = {.flags = m->persistent ? PROPERTY_delivery_mode : 0, .delivery_mode = 2};
    struct basic_publish publish = {
        .id = METHOD_basic_publish, .exchange = m->exchange, .routing_key = m->routing_key, .mandatory = m->mandatory};
    struct bytes left = m->body;
    uint32_t most = frame_max - FRAME_OVERHEAD;
    uint8_t *mark = frame_open(p, FRAME_METHOD, (uint16_t)channel);
    method_encode(p, (const union method *)(const void *)&publish);
    frame_close(p, mark);
    mark = frame_open(p, FRAME_HEADER, (uint16_t)channel);
    pen_u16(p, METHOD_basic_publish >> 16);
    pen_u16(p, 0);
    pen_u64(p, left.len);
    properties_encode(p, &props);
    frame_close(p, mark);
    while (left.len > 0) {
        size_t n = left.len < most ? left.len : most;
        mark = frame_open(p, FRAME_BODY, (uint16_t)channel);
        pen_bytes(p, bytes_of(left.at, n));
        frame_close(p, mark);
        left = bytes_of(left.at + n, left.len - n);
    }
}

void link_put_message(struct link *l, unsigned channel, const struct link_message *m)
{
    struct pen p = open_pen(l, link_message_size(m, l->frame_max));
    link_encode_message(&p, channel, m, l->frame_max);
    close_pen(l, &p);
}

ssize_t link_send(struct link *l, const void *at, size_t n)
{
    return l->tls != NULL ? link_tls_write(l->tls, at, n) : send(l->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool link_is_pending(const struct link *l)
{
    return l->tls != NULL && link_tls_is_pending(l->tls);
}

void link_flush(struct link *l)
{
    for (size_t at = 0; at < l->out_len;) {
        if (!link_wait(l, POLLOUT, LINK_PATIENCE_MS))
            die("the broker does not read");
        ssize_t n = link_send(l, l->out + at, l->out_len - at);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            die("write: %s", strerrordesc_np(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    l->out_len = 0;
}

static size_t receive(struct link *l, void *to, size_t room, int flags)
{
    ssize_t n;
    if (l->tls != NULL)
        n = link_tls_read(l->tls, to, room, (flags & MSG_DONTWAIT) == 0);
    else
        n = recv(l->fd, to, room, flags);
    if (n == 0)
        die("the broker has closed the connection");
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        die("read: %s", strerrordesc_np(errno));
    l->received += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? (size_t)n : 0;
}

size_t link_receive(struct link *l, void *to, size_t room)
{
    return receive(l, to, room, MSG_DONTWAIT);
}

size_t link_discard(struct link *l, size_t n)
{
    return receive(l, NULL, n, MSG_DONTWAIT | MSG_TRUNC);
}

size_t link_fill(struct link *l, int flags)
{
    if (l->start == l->end)
        l->start = l->end = 0;
    if (l->start > 0 && l->in_room - l->end < l->in_room / 2) {
        memmove(l->in, l->in + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->end == l->in_room)
        link_reserve(l, 2 * l->in_room);
    size_t n = receive(l, l->in + l->end, l->in_room - l->end, flags);
    l->end += n;
    return n;
}

bool link_cut(struct link *l, struct frame *f)
{
    size_t used = 0;
    enum frame_verdict v = frame_cut(bytes_of(l->in + l->start, l->end - l->start), UINT32_MAX, f, &used);
    if (v == FRAME_BAD_END || v == FRAME_TOO_LARGE)
        die("the broker sent something that is not a frame");
    l->start += used;
    return v == FRAME_OK;
}

struct frame link_next(struct link *l)
{
    struct frame f;
    while (!link_cut(l, &f)) {
        if (!link_wait(l, POLLIN, LINK_PATIENCE_MS))
            die("the broker does not answer");
        link_fill(l, MSG_DONTWAIT);
    }
    return f;
}

union method link_method(const struct frame *f)
{
    union method m;
    if (method_decode(f->payload, &m) != METHOD_OK)
        die("the broker sent a method that cannot be read, %#x", m.id);
    if (m.id == METHOD_connection_close)
        die("connection closed: %u %.*s", m.connection_close.reply_code, BYTES_ARG(m.connection_close.reply_text));
    if (m.id == METHOD_channel_close)
        die("channel %u closed: %u %.*s", f->channel, m.channel_close.reply_code,
            BYTES_ARG(m.channel_close.reply_text));
    return m;
}

union method link_expect(struct link *l, unsigned channel, enum method_id id)
{
    for (;;) {
        struct frame f = link_next(l);
        if (f.type != FRAME_METHOD)
            continue;
        union method m = link_method(&f);
        if (m.id == id && f.channel == channel)
            return m;
    }
}

union method link_call(struct link *l, unsigned channel, const void *method, enum method_id answer)
{
    link_put(l, channel, method);
    link_flush(l);
    return link_expect(l, channel, answer);
}

bool link_wait(const struct link *l, short events, int ms)
{
    struct pollfd p = {.fd = l->fd, .events = events};
    if ((events & POLLIN) != 0 && link_is_pending(l))
        return true;
    return poll(&p, 1, ms) > 0;
}

static void declare(struct link *l, const char *queue, bool durable, struct bytes arguments)
{
    link_call(l, 1,
              &(struct queue_declare){.id = METHOD_queue_declare,
                                      .queue = bytes_of_string(queue),
                                      .durable = durable,
                                      .auto_delete = !durable,
                                      .arguments = arguments},
              METHOD_queue_declare_ok);
}

void link_declare(struct link *l, const char *queue, bool durable, int64_t max_length)
{
    uint8_t room[METHOD_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_i64(&p, BYTES("x-expires"), QUEUE_EXPIRES_MS);
    if (max_length > 0)
        table_put_i64(&p, BYTES("x-max-length"), max_length);
    declare(l, queue, durable, pen_written(&p));
}

void link_declare_durable(struct link *l, const char *queue, const char *type, bool stays)
{
    uint8_t room[METHOD_ROOM];
    struct pen p = pen_over(room, sizeof room);
    if (!stays)
        table_put_i64(&p, BYTES("x-expires"), QUEUE_EXPIRES_MS);
    if (type != NULL)
        table_put_string(&p, BYTES("x-queue-type"), bytes_of_string(type));
    declare(l, queue, true, pen_written(&p));
}

void link_consume(struct link *l, const char *queue, bool no_ack, unsigned prefetch)
{
    if (prefetch > 0)
        link_call(l, 1, &(struct basic_qos){.id = METHOD_basic_qos, .prefetch_count = (uint16_t)prefetch},
                  METHOD_basic_qos_ok);
    link_call(l, 1,
              &(struct basic_consume){.id = METHOD_basic_consume, .queue = bytes_of_string(queue), .no_ack = no_ack},
              METHOD_basic_consume_ok);
}
