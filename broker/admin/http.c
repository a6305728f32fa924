#define _GNU_SOURCE
#include "broker/admin/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "broker/admin/caller.h"
#include "broker/admin/chunks.h"

struct http_call {
    struct http_head head;
    struct evkeyvalq out;
    struct evbuffer *body; /* owned */
    void *owner;           /* borrowed; NULL: nobody waits */
    uint64_t max;          /* of the body */
    bool is_whole;         /* the body: all of it was read */
    bool is_in_pieces;     /* the answer is */
    void (*written)(void *owner);
    struct chunks chunks;
};

/* A caller, and what is said with them. */
struct talk {
    struct caller caller;
    struct http *http; /* borrowed */
    size_t scanned;    /* of a head */
    uint64_t skip;     /* bytes to be skipped */
    bool is_last;      /* request of this connection */
    struct http_call call;
};

struct http {
    struct callers *callers; /* owned */
    struct http_hooks hooks;
    bool has_told_greeting;
};

static void talk_read(struct talk *t);

/* ---- The end of one. */

static void end_call(struct talk *t)
{
    struct http_call *c = &t->call;
    http_head_fini(&c->head);
    if (c->out.tqh_last != NULL)
        evhttp_clear_headers(&c->out);
    if (c->body != NULL)
        evbuffer_free(c->body);
    *c = (struct http_call){0};
    t->caller.body_bytes = 0;
    t->caller.may_go = false;
}

/* Nobody waits for the answer to it any more. */
static void let_owner_go(struct talk *t)
{
    void *owner = t->call.owner;
    t->call.owner = NULL;
    if (owner != NULL)
        t->http->hooks.gone(owner);
}

/* What was read ahead and must not stay in memory is wiped. */
static void drain(struct evbuffer *in, size_t len)
{
    while (len > 0) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(in, 1, NULL, &piece, 1) < 1)
            return;
        size_t n = piece.iov_len < len ? piece.iov_len : len;
        explicit_bzero(piece.iov_base, n);
        evbuffer_drain(in, n);
        len -= n;
    }
}

/* Says nothing more, but lets it read what was said: closing with its bytes unread would take that away. */
static void talk_linger(struct talk *t)
{
    caller_hush(&t->caller);
    t->skip = HTTP_LINGER_BYTES;
    caller_do(&t->caller, DOING_LINGER, HTTP_LINGER_MS);
    talk_read(t);
}

/* ---- Answers. */

static void add_date(struct evbuffer *to)
{
    enum { ROOM = 40 };
    char text[ROOM];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    evbuffer_add_printf(to, "Date: %s\r\n", text);
}

static struct talk *talk_of(struct http_call *c)
{
    return item_of(c, struct talk, call);
}

static const struct caller *caller_of(const struct http_call *c)
{
    return &((const struct talk *)(const void *)((const char *)c - offsetof(struct talk, call)))->caller;
}

/* Whether this is the last answer here, and what is skipped before the next request. */
static void plan_rest(struct talk *t)
{
    const struct http_call *c = &t->call;
    bool is_untouched = c->body == NULL && !c->head.is_chunked;
    t->skip = is_untouched ? c->head.length : 0;
    t->is_last = c->head.is_last || (!c->is_whole && !is_untouched) || t->skip > HTTP_SKIP_BYTES ||
                 (t->skip > 0 && c->head.expects_continue);
}

static void say_head(struct talk *t, enum http_status status, const char *extent)
{
    const struct http_call *c = &t->call;
    struct evbuffer *out = bufferevent_get_output(t->caller.bev);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", (int)status, http_status_text(status));
    for (const struct evkeyval *f = c->out.tqh_first; f != NULL; f = f->next.tqe_next)
        evbuffer_add_printf(out, "%s: %s\r\n", f->key, f->value);
    add_date(out);
    evbuffer_add_printf(out, "%s%s\r\n", extent, t->is_last ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    bufferevent_enable(t->caller.bev, EV_WRITE);
}

void http_reply(struct http_call *c, enum http_status status, struct evbuffer *body)
{
    enum { ROOM = 48 };
    struct talk *t = talk_of(c);
    struct evbuffer *out = bufferevent_get_output(t->caller.bev);
    const size_t len = body != NULL ? evbuffer_get_length(body) : 0;
    const bool has_body = status != HTTP_STATUS_NO_CONTENT && status != HTTP_STATUS_NOT_MODIFIED;
    char extent[ROOM] = "";
    if (has_body)
        snprintf(extent, sizeof extent, "Content-Length: %zu\r\n", len);
    c->owner = NULL;
    caller_make_way(&t->caller, len);
    plan_rest(t);
    say_head(t, status, extent);
    if (has_body && len > 0 && c->head.method != EVHTTP_REQ_HEAD)
        evbuffer_add_buffer(out, body);
    caller_do(&t->caller, DOING_WRITE, HTTP_ANSWER_MS + evbuffer_get_length(out) / HTTP_ANSWER_BYTES_MS);
}

/* A client of HTTP/1.0 knows the end by the connection's. */
void http_begin(struct http_call *c, enum http_status status)
{
    struct talk *t = talk_of(c);
    c->is_in_pieces = true;
    plan_rest(t);
    t->is_last = t->is_last || c->head.is_old;
    say_head(t, status, c->head.is_old ? "" : "Transfer-Encoding: chunked\r\n");
    caller_do(&t->caller, DOING_WRITE, HTTP_ANSWER_MS);
}

void http_write(struct http_call *c, struct evbuffer *piece, void (*written)(void *owner))
{
    struct talk *t = talk_of(c);
    struct evbuffer *out = bufferevent_get_output(t->caller.bev);
    c->written = written;
    caller_do(&t->caller, DOING_WRITE, HTTP_ANSWER_MS);
    if (c->head.method == EVHTTP_REQ_HEAD) {
        evbuffer_drain(piece, evbuffer_get_length(piece));
        bufferevent_trigger(t->caller.bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
        return;
    }
    if (!c->head.is_old)
        evbuffer_add_printf(out, "%zx\r\n", evbuffer_get_length(piece));
    evbuffer_add_buffer(out, piece);
    if (!c->head.is_old)
        evbuffer_add(out, "\r\n", 2);
}

void http_end(struct http_call *c)
{
    struct talk *t = talk_of(c);
    c->owner = NULL;
    c->written = NULL;
    c->is_in_pieces = false;
    if (!c->head.is_old && c->head.method != EVHTTP_REQ_HEAD)
        evbuffer_add_printf(bufferevent_get_output(t->caller.bev), "0\r\n\r\n");
    bufferevent_trigger(t->caller.bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void http_reply_error(struct http_call *c, enum http_status status, const char *error, const char *reason)
{
    struct evbuffer *body = evbuffer_new();
    CHECK(body != NULL);
    evbuffer_add_printf(body, "{\"error\":\"%s\",\"reason\":\"%s\"}", error, reason);
    http_add(c, "Content-Type", "application/json");
    http_add(c, "Cache-Control", "no-cache, no-store");
    http_reply(c, status, body);
    evbuffer_free(body);
}

/* Of a request that is none: nothing that comes behind it can be trusted to be one. */
static void refuse(struct talk *t, enum http_status status, const char *reason)
{
    let_owner_go(t);
    t->call.head.is_last = true;
    http_reply_error(&t->call, status, "bad_request", reason);
}

static const char *reason_of(enum http_status status)
{
    switch ((int)status) {
    case HTTP_STATUS_URI_TOO_LONG:
        return "the request line is too long";
    case HTTP_STATUS_HEADERS_TOO_LARGE:
        return "the header fields are too many or too long";
    case HTTP_STATUS_TOO_LARGE:
        return "the body is too large";
    case HTTP_STATUS_NOT_IMPLEMENTED:
        return "no such Transfer-Encoding";
    case HTTP_STATUS_TIMEOUT:
        return "the request took too long";
    case HTTP_STATUS_UNAVAILABLE:
        return "too many large bodies are sent at once";
    default:
        return "this is no HTTP request";
    }
}

/* ---- Reading. */

/* Somebody speaks AMQP to us, or TLS.  True: it was told, and has gone. */
static bool is_greeting(struct talk *t, const char *text, size_t len)
{
    enum { TLS_HANDSHAKE = 0x16 };
    bool is_amqp = len >= 4 && memcmp(text, "AMQP", 4) == 0;
    if (!is_amqp && text[0] != TLS_HANDSHAKE)
        return false;
    char at[ADDRESS_TEXT_MAX];
    address_format(&t->caller.from, at);
    if (is_amqp && !t->http->has_told_greeting) {
        t->http->has_told_greeting = true;
        log_warning("admin", "AMQP client connected to the HTTP port (from %s); this is not told again", at);
    }
    caller_destroy(&t->caller);
    return true;
}

/* The head is whole. */
static void take_head(struct talk *t, const char *text, size_t len)
{
    struct http_call *c = &t->call;
    enum http_status status = http_head_read(&c->head, text, len);
    c->out.tqh_last = &c->out.tqh_first;
    drain(bufferevent_get_input(t->caller.bev), len);
    if (status != HTTP_STATUS_OK) {
        refuse(t, status, reason_of(status));
        return;
    }
    caller_do(&t->caller, DOING_THINK, 0);
    t->http->hooks.head(t->http->hooks.arg, c);
}

static void read_head(struct talk *t)
{
    struct evbuffer *in = bufferevent_get_input(t->caller.bev);
    size_t len = evbuffer_get_length(in);
    if (t->scanned == 0)
        for (char c; len > 0 && evbuffer_copyout(in, &c, 1) == 1 && (c == '\r' || c == '\n'); len--)
            evbuffer_drain(in, 1); /* some send an empty line behind a body */
    if (len == 0)
        return;
    if (t->caller.doing == DOING_IDLE)
        caller_do(&t->caller, DOING_HEAD, t->http->hooks.head_ms);
    size_t whole = len <= HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX + 1;
    const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)whole);
    if (t->scanned == 0 && is_greeting(t, text, whole))
        return;
    size_t end = http_head_end(text, whole, &t->scanned);
    enum http_status status = end == 0 ? http_head_check(text, whole) : HTTP_STATUS_OK;
    if (end > 0) {
        t->scanned = 0;
        take_head(t, text, end);
    } else if (status != HTTP_STATUS_OK) {
        t->call.out.tqh_last = &t->call.out.tqh_first;
        refuse(t, status, reason_of(status));
    }
}

static void body_is_there(struct talk *t)
{
    t->call.is_whole = true;
    caller_do(&t->caller, DOING_THINK, 0);
    t->http->hooks.body(t->call.owner, &t->call);
}

static void read_body(struct talk *t)
{
    struct http_call *c = &t->call;
    struct evbuffer *in = bufferevent_get_input(t->caller.bev);
    if (c->head.is_chunked) {
        enum chunks_state state = chunks_read(&c->chunks, in, c->body, c->max);
        t->caller.body_bytes = evbuffer_get_length(c->body);
        if (state == CHUNKS_END)
            body_is_there(t);
        else if (state == CHUNKS_MORE && !caller_has_room(&t->caller))
            refuse(t, HTTP_STATUS_UNAVAILABLE, reason_of(HTTP_STATUS_UNAVAILABLE));
        else if (state != CHUNKS_MORE)
            refuse(t, state == CHUNKS_TOO_LARGE ? HTTP_STATUS_TOO_LARGE : HTTP_STATUS_BAD,
                   state == CHUNKS_TOO_LARGE ? reason_of(HTTP_STATUS_TOO_LARGE) : "these are no chunks");
        return;
    }
    uint64_t rest = c->head.length - evbuffer_get_length(c->body);
    evbuffer_remove_buffer(in, c->body, rest);
    if (evbuffer_get_length(c->body) == c->head.length)
        body_is_there(t);
}

static void skip(struct talk *t)
{
    struct evbuffer *in = bufferevent_get_input(t->caller.bev);
    size_t len = evbuffer_get_length(in);
    if (t->caller.doing == DOING_LINGER && len >= t->skip) { /* else it would be listened to again */
        caller_destroy(&t->caller);
        return;
    }
    if (len > t->skip)
        len = t->skip;
    t->skip -= len;
    drain(in, len);
    if (t->skip == 0)
        caller_do(&t->caller, DOING_IDLE, t->http->hooks.idle_ms);
}

static void talk_read(struct talk *t)
{
    if (t->caller.doing == DOING_SKIP || t->caller.doing == DOING_LINGER) {
        bool is_linger = t->caller.doing == DOING_LINGER;
        skip(t);
        if (is_linger || t->caller.doing != DOING_IDLE)
            return;
    }
    if (t->caller.doing == DOING_IDLE || t->caller.doing == DOING_HEAD)
        read_head(t);
    else if (t->caller.doing == DOING_BODY)
        read_body(t);
}

/* ---- Bodies. */

struct evbuffer *http_body(struct http_call *c)
{
    return c->body;
}

void http_accept_body(struct http_call *c, uint64_t max)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct talk *t = talk_of(c);
    if (c->head.length > max) {
        refuse(t, HTTP_STATUS_TOO_LARGE, reason_of(HTTP_STATUS_TOO_LARGE));
        return;
    }
    c->max = max;
    c->body = evbuffer_new();
    CHECK(c->body != NULL);
    if (c->head.length == 0 && !c->head.is_chunked) {
        body_is_there(t);
        return;
    }
    t->caller.body_bytes = c->head.length;
    caller_do(&t->caller, DOING_BODY, HTTP_BODY_MS);
    if (!caller_has_room(&t->caller)) {
        refuse(t, HTTP_STATUS_UNAVAILABLE, reason_of(HTTP_STATUS_UNAVAILABLE));
        return;
    }
    if (c->head.expects_continue && evbuffer_get_length(bufferevent_get_input(t->caller.bev)) == 0)
        bufferevent_write(t->caller.bev, go_on, sizeof go_on - 1);
    c->head.expects_continue = false;
    talk_read(t);
}

/* ---- What happens. */

static struct talk *talk_with(struct caller *l)
{
    return item_of(l, struct talk, caller);
}

static struct caller *on_come(void *http)
{
    struct talk *t = alloc_zeroed(sizeof *t);
    t->http = http;
    return &t->caller;
}

static void on_gone(struct caller *l)
{
    let_owner_go(talk_with(l));
}

static void on_destroy(struct caller *l)
{
    struct talk *t = talk_with(l);
    end_call(t);
    free(t);
}

static void on_read(struct caller *l)
{
    talk_read(talk_with(l));
}

/* A whole answer, or a piece of one. */
static void on_written(struct caller *l)
{
    struct talk *t = talk_with(l);
    if (t->call.is_in_pieces) {
        void (*written)(void *owner) = t->call.written;
        t->call.written = NULL;
        if (written != NULL)
            written(t->call.owner);
        return;
    }
    bool is_last = t->is_last;
    end_call(t);
    caller_do(l, t->skip > 0 ? DOING_SKIP : DOING_IDLE, t->skip > 0 ? HTTP_BODY_MS : t->http->hooks.idle_ms);
    if (is_last)
        talk_linger(t);
    else
        talk_read(t);
}

static void on_late(struct caller *l)
{
    struct talk *t = talk_with(l);
    if (l->doing == DOING_HEAD)
        t->call.out.tqh_last = &t->call.out.tqh_first;
    refuse(t, HTTP_STATUS_TIMEOUT, reason_of(HTTP_STATUS_TIMEOUT));
    caller_set_time(l, HTTP_LINGER_MS); /* to take that */
}

/* ---- All of them. */

void http_listen(struct http *h, int fd, enum entrance entrance, struct tls *const *tls)
{
    callers_listen(h->callers, fd, entrance, tls);
}

struct http *http_create(struct event_base *base, const struct http_hooks *hooks)
{
    struct http *h = alloc_zeroed(sizeof *h);
    h->hooks = *hooks;
    if (h->hooks.idle_ms == 0)
        h->hooks.idle_ms = HTTP_IDLE_MS;
    if (h->hooks.head_ms == 0)
        h->hooks.head_ms = HTTP_HEAD_MS;
    const struct caller_hooks below = {
        .create = on_come,
        .destroy = on_destroy,
        .gone = on_gone,
        .read = on_read,
        .written = on_written,
        .late = on_late,
        .owner = h,
        .first_ms = h->hooks.head_ms, /* the first request is expected at once */
        .read_max = HTTP_HEAD_MAX + HTTP_READ_BYTES,
    };
    h->callers = callers_create(base, &below);
    return h;
}

void http_destroy(struct http *h)
{
    if (h == NULL)
        return;
    callers_destroy(h->callers);
    free(h);
}

unsigned http_unwritten(const struct http *h)
{
    return callers_writing(h->callers);
}

/* ---- What an owner may know. */

const struct http_head *http_head_of(const struct http_call *c)
{
    return &c->head;
}

const char *http_header(const struct http_call *c, const char *name)
{
    return evhttp_find_header(&c->head.fields, name);
}

enum entrance http_entrance(const struct http_call *c)
{
    return caller_entrance(caller_of(c));
}

bool http_is_tls(const struct http_call *c)
{
    return caller_of(c)->tls != NULL;
}

const struct address *http_peer(const struct http_call *c)
{
    return &caller_of(c)->from;
}

int http_socket(const struct http_call *c)
{
    return bufferevent_getfd(caller_of(c)->bev);
}

void http_set_owner(struct http_call *c, void *owner)
{
    c->owner = owner;
}

void http_let_go(struct http_call *c, bool may_go)
{
    talk_of(c)->caller.may_go = may_go;
}

void http_add(struct http_call *c, const char *name, const char *value)
{
    evhttp_add_header(&c->out, name, value);
}

bool http_has(const struct http_call *c, const char *name)
{
    return evhttp_find_header(&c->out, name) != NULL;
}
