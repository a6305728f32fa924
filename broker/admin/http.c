#define _GNU_SOURCE
#include "broker/admin/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/admin/chunks.h"
#include "broker/admin/ticker.h"
#include "broker/net/tls.h"

enum doing {
    DOING_IDLE,   /* between requests */
    DOING_HEAD,   /* it has begun to say one */
    DOING_THINK,  /* the owner has the head, or all of it */
    DOING_BODY,   /* what the owner has asked for is read */
    DOING_WRITE,  /* the answer is written */
    DOING_SKIP,   /* what nobody wanted of the body is read */
    DOING_LINGER, /* nothing more is told; it may read what was */
};

struct http_call {
    struct http_head head;
    struct evkeyvalq out;
    struct evbuffer *body; /* owned */
    void *owner;           /* borrowed; NULL: nobody waits */
    uint64_t max;          /* of the body */
    uint64_t bytes;        /* of it, until the answer */
    bool is_whole;         /* the body: all of it was read */
    bool is_in_pieces;     /* the answer is */
    void (*written)(void *owner);
    bool may_go; /* for somebody else */
    struct chunks chunks;
};

struct gate;

/* A connection. */
struct caller {
    struct link in_http;
    struct gate *gate; /* borrowed: by which it came */
    struct http *http; /* borrowed */
    struct bufferevent *bev;
    struct tls *tls; /* a reference; NULL: plain */
    struct address from;
    struct ticker *deadline; /* owned */
    enum doing doing;
    uint64_t since_ms; /* it does that */
    size_t scanned;    /* of a head */
    uint64_t skip;     /* bytes to be skipped */
    bool is_last;      /* request of this connection */
    struct http_call call;
};

/* A socket that is listened at. */
struct gate {
    struct link in_http;
    struct http *http; /* borrowed */
    enum entrance entrance;
    struct tls *const *tls;          /* borrowed */
    struct evconnlistener *listener; /* owned */
};

/* Callers of a kind are counted by themselves. */
struct kind {
    unsigned count;
    bool is_full; /* its gates are closed */
};

struct http {
    struct event_base *base; /* borrowed */
    struct http_hooks hooks;
    struct list gates, links;
    struct kind kinds[2]; /* over TCP, over the control socket */
    unsigned unwritten;   /* answers */
    bool has_told_greeting;
    struct ticker *retry; /* owned */
};

static void caller_read(struct caller *l);

/* ---- The end of one. */

static struct kind *kind_of(struct http *h, enum entrance entrance)
{
    return &h->kinds[entrance == ENTRANCE_CONTROL];
}

static void set_gates(struct http *h, struct kind *k, bool are_open)
{
    k->is_full = !are_open;
    for (struct link *at = h->gates.ring.next; at != &h->gates.ring; at = at->next) {
        const struct gate *g = item_of(at, struct gate, in_http);
        if (kind_of(h, g->entrance) != k)
            continue;
        if (are_open)
            evconnlistener_enable(g->listener);
        else
            evconnlistener_disable(g->listener); /* the others wait in the backlog */
    }
}

static void call_fini(struct http_call *c)
{
    http_head_fini(&c->head);
    if (c->out.tqh_last != NULL)
        evhttp_clear_headers(&c->out);
    if (c->body != NULL)
        evbuffer_free(c->body);
    *c = (struct http_call){0};
}

/* Nobody may look at it any more. */
static void caller_destroy(struct caller *l)
{
    struct http *h = l->http;
    SSL *ssl = l->tls != NULL ? bufferevent_openssl_get_ssl(l->bev) : NULL;
    if (l->doing == DOING_WRITE)
        h->unwritten--;
    if (ssl != NULL) {
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(ssl);
    }
    list_remove(&l->in_http);
    struct kind *kind = kind_of(h, l->gate->entrance);
    kind->count--;
    ticker_destroy(l->deadline);
    bufferevent_free(l->bev);
    tls_unref(l->tls);
    call_fini(&l->call);
    free(l);
    if (kind->is_full)
        set_gates(h, kind, true);
}

/* Its client has gone, or must go. */
static void caller_drop(struct caller *l)
{
    void *owner = l->call.owner;
    l->call.owner = NULL;
    if (owner != NULL)
        l->http->hooks.gone(owner);
    caller_destroy(l);
}

/* For so long at most; 0: as long as it takes. */
static void caller_do(struct caller *l, enum doing doing, uint64_t ms)
{
    /* What comes meanwhile is left to the system: with more than its high watermark libevent would call us for it
     * again and again, and never come back to the rest of this thread. */
    bool reads = doing != DOING_THINK && doing != DOING_WRITE;
    if (reads)
        bufferevent_enable(l->bev, EV_READ);
    else
        bufferevent_disable(l->bev, EV_READ);
    l->doing = doing;
    l->since_ms = clock_ms();
    if (ms > 0)
        ticker_set(l->deadline, ms);
    else
        ticker_stop(l->deadline);
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
static void caller_linger(struct caller *l)
{
    int fd = bufferevent_getfd(l->bev);
    if (l->tls != NULL)
        SSL_shutdown(bufferevent_openssl_get_ssl(l->bev));
    else
        shutdown(fd, SHUT_WR);
    l->skip = HTTP_LINGER_BYTES;
    caller_do(l, DOING_LINGER, HTTP_LINGER_MS);
    caller_read(l);
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

static struct caller *caller_of(struct http_call *c)
{
    return item_of(c, struct caller, call);
}

static const struct caller *caller_of_const(const struct http_call *c)
{
    return (const struct caller *)(const void *)((const char *)c - offsetof(struct caller, call));
}

/* Whether this is the last answer here, and what is skipped before the next request. */
static void plan_rest(struct caller *l)
{
    const struct http_call *c = &l->call;
    bool is_untouched = c->body == NULL && !c->head.is_chunked;
    l->skip = is_untouched ? c->head.length : 0;
    l->is_last = c->head.is_last || (!c->is_whole && !is_untouched) || l->skip > HTTP_SKIP_BYTES ||
                 (l->skip > 0 && c->head.expects_continue);
}

static void say_head(struct caller *l, enum http_status status, const char *extent)
{
    const struct http_call *c = &l->call;
    struct evbuffer *out = bufferevent_get_output(l->bev);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", (int)status, http_status_text(status));
    for (const struct evkeyval *f = c->out.tqh_first; f != NULL; f = f->next.tqe_next)
        evbuffer_add_printf(out, "%s: %s\r\n", f->key, f->value);
    add_date(out);
    evbuffer_add_printf(out, "%s%s\r\n", extent, l->is_last ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    l->http->unwritten++;
    bufferevent_enable(l->bev, EV_WRITE);
}

static size_t unwritten_of(const struct caller *l)
{
    return l->doing == DOING_WRITE ? evbuffer_get_length(bufferevent_get_output(l->bev)) : 0;
}

/* For an answer of so many bytes: of the large ones, those go that their clients have been taking for longest. */
static void make_way(struct caller *for_whom, size_t len)
{
    struct http *h = for_whom->http;
    while (len > HTTP_LARGE_BYTES) {
        struct caller *goes = NULL;
        size_t all = len;
        for (struct link *at = h->links.ring.next; at != &h->links.ring; at = at->next) {
            struct caller *l = item_of(at, struct caller, in_http);
            all += unwritten_of(l);
            if (l != for_whom && unwritten_of(l) > HTTP_LARGE_BYTES && (goes == NULL || l->since_ms < goes->since_ms))
                goes = l;
        }
        if (all <= HTTP_ANSWERS_MAX || goes == NULL)
            return;
        caller_drop(goes);
    }
}

void http_reply(struct http_call *c, enum http_status status, struct evbuffer *body)
{
    enum { ROOM = 48 };
    struct caller *l = caller_of(c);
    struct evbuffer *out = bufferevent_get_output(l->bev);
    const size_t len = body != NULL ? evbuffer_get_length(body) : 0;
    const bool has_body = status != HTTP_STATUS_NO_CONTENT && status != HTTP_STATUS_NOT_MODIFIED;
    char extent[ROOM] = "";
    if (has_body)
        snprintf(extent, sizeof extent, "Content-Length: %zu\r\n", len);
    c->owner = NULL;
    make_way(l, len);
    plan_rest(l);
    say_head(l, status, extent);
    if (has_body && len > 0 && c->head.method != EVHTTP_REQ_HEAD)
        evbuffer_add_buffer(out, body);
    caller_do(l, DOING_WRITE, HTTP_ANSWER_MS + evbuffer_get_length(out) / HTTP_ANSWER_BYTES_MS);
}

/* A client of HTTP/1.0 knows the end by the connection's. */
void http_begin(struct http_call *c, enum http_status status)
{
    struct caller *l = caller_of(c);
    c->is_in_pieces = true;
    plan_rest(l);
    l->is_last = l->is_last || c->head.is_old;
    say_head(l, status, c->head.is_old ? "" : "Transfer-Encoding: chunked\r\n");
    caller_do(l, DOING_WRITE, HTTP_ANSWER_MS);
}

void http_write(struct http_call *c, struct evbuffer *piece, void (*written)(void *owner))
{
    struct caller *l = caller_of(c);
    struct evbuffer *out = bufferevent_get_output(l->bev);
    c->written = written;
    caller_do(l, DOING_WRITE, HTTP_ANSWER_MS);
    if (c->head.method == EVHTTP_REQ_HEAD) {
        evbuffer_drain(piece, evbuffer_get_length(piece));
        bufferevent_trigger(l->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
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
    struct caller *l = caller_of(c);
    c->owner = NULL;
    c->written = NULL;
    c->is_in_pieces = false;
    if (!c->head.is_old && c->head.method != EVHTTP_REQ_HEAD)
        evbuffer_add_printf(bufferevent_get_output(l->bev), "0\r\n\r\n");
    bufferevent_trigger(l->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
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
static void refuse(struct caller *l, enum http_status status, const char *reason)
{
    void *owner = l->call.owner;
    l->call.owner = NULL;
    if (owner != NULL)
        l->http->hooks.gone(owner);
    l->call.head.is_last = true;
    http_reply_error(&l->call, status, "bad_request", reason);
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
static bool is_greeting(struct caller *l, const char *text, size_t len)
{
    enum { TLS_HANDSHAKE = 0x16 };
    bool is_amqp = len >= 4 && memcmp(text, "AMQP", 4) == 0;
    if (!is_amqp && text[0] != TLS_HANDSHAKE)
        return false;
    char at[ADDRESS_TEXT_MAX];
    address_format(&l->from, at);
    if (is_amqp && !l->http->has_told_greeting) {
        l->http->has_told_greeting = true;
        log_warning("admin", "AMQP client connected to the HTTP port (from %s); this is not told again", at);
    }
    caller_destroy(l);
    return true;
}

/* The head is whole. */
static void take_head(struct caller *l, const char *text, size_t len)
{
    struct http_call *c = &l->call;
    enum http_status status = http_head_read(&c->head, text, len);
    c->out.tqh_last = &c->out.tqh_first;
    drain(bufferevent_get_input(l->bev), len);
    if (status != HTTP_STATUS_OK) {
        refuse(l, status, reason_of(status));
        return;
    }
    caller_do(l, DOING_THINK, 0);
    l->http->hooks.head(l->http->hooks.arg, c);
}

static void read_head(struct caller *l)
{
    struct evbuffer *in = bufferevent_get_input(l->bev);
    size_t len = evbuffer_get_length(in);
    if (l->scanned == 0)
        for (char c; len > 0 && evbuffer_copyout(in, &c, 1) == 1 && (c == '\r' || c == '\n'); len--)
            evbuffer_drain(in, 1); /* some send an empty line behind a body */
    if (len == 0)
        return;
    if (l->doing == DOING_IDLE)
        caller_do(l, DOING_HEAD, l->http->hooks.head_ms);
    size_t whole = len <= HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX + 1;
    const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)whole);
    if (l->scanned == 0 && is_greeting(l, text, whole))
        return;
    size_t end = http_head_end(text, whole, &l->scanned);
    enum http_status status = end == 0 ? http_head_check(text, whole) : HTTP_STATUS_OK;
    if (end > 0) {
        l->scanned = 0;
        take_head(l, text, end);
    } else if (status != HTTP_STATUS_OK) {
        l->call.out.tqh_last = &l->call.out.tqh_first;
        refuse(l, status, reason_of(status));
    }
}

static void body_is_there(struct caller *l)
{
    l->call.is_whole = true;
    caller_do(l, DOING_THINK, 0);
    l->http->hooks.body(l->call.owner, &l->call);
}

/* What its body takes, or will, until it is answered. */
static uint64_t body_bytes(const struct caller *l)
{
    return l->doing == DOING_BODY || l->doing == DOING_THINK ? l->call.bytes : 0;
}

/* Is there room for this one's body together with all others'?  If need be one goes that has taken long over its own.
 */
static bool has_room(struct caller *for_whom)
{
    struct http *h = for_whom->http;
    const uint64_t now = clock_ms();
    while (body_bytes(for_whom) > HTTP_LARGE_BYTES) {
        struct caller *goes = NULL;
        uint64_t all = 0;
        for (struct link *at = h->links.ring.next; at != &h->links.ring; at = at->next) {
            struct caller *l = item_of(at, struct caller, in_http);
            all += body_bytes(l); // NOLINT(clang-analyzer-unix.Malloc): who was dropped is on the list no more
            if (l != for_whom && l->doing == DOING_BODY && body_bytes(l) > HTTP_LARGE_BYTES &&
                now - l->since_ms >= HTTP_GRACE_MS && (goes == NULL || l->since_ms < goes->since_ms))
                goes = l;
        }
        if (all <= HTTP_BODIES_MAX || all == body_bytes(for_whom))
            return true;
        if (goes == NULL)
            return false;
        caller_drop(goes);
    }
    return true;
}

static void read_body(struct caller *l)
{
    struct http_call *c = &l->call;
    struct evbuffer *in = bufferevent_get_input(l->bev);
    if (c->head.is_chunked) {
        enum chunks_state state = chunks_read(&c->chunks, in, c->body, c->max);
        c->bytes = evbuffer_get_length(c->body);
        if (state == CHUNKS_END)
            body_is_there(l);
        else if (state == CHUNKS_MORE && !has_room(l))
            refuse(l, HTTP_STATUS_UNAVAILABLE, reason_of(HTTP_STATUS_UNAVAILABLE));
        else if (state != CHUNKS_MORE)
            refuse(l, state == CHUNKS_TOO_LARGE ? HTTP_STATUS_TOO_LARGE : HTTP_STATUS_BAD,
                   state == CHUNKS_TOO_LARGE ? reason_of(HTTP_STATUS_TOO_LARGE) : "these are no chunks");
        return;
    }
    uint64_t rest = c->head.length - evbuffer_get_length(c->body);
    evbuffer_remove_buffer(in, c->body, rest);
    if (evbuffer_get_length(c->body) == c->head.length)
        body_is_there(l);
}

static void skip(struct caller *l)
{
    struct evbuffer *in = bufferevent_get_input(l->bev);
    size_t len = evbuffer_get_length(in);
    if (l->doing == DOING_LINGER && len >= l->skip) { /* else it would be listened to again */
        caller_destroy(l);
        return;
    }
    if (len > l->skip)
        len = l->skip;
    l->skip -= len;
    drain(in, len);
    if (l->skip == 0)
        caller_do(l, DOING_IDLE, l->http->hooks.idle_ms);
}

static void caller_read(struct caller *l)
{
    if (l->doing == DOING_SKIP || l->doing == DOING_LINGER) {
        bool is_linger = l->doing == DOING_LINGER;
        skip(l);
        if (is_linger || l->doing != DOING_IDLE)
            return;
    }
    if (l->doing == DOING_IDLE || l->doing == DOING_HEAD)
        read_head(l);
    else if (l->doing == DOING_BODY)
        read_body(l);
}

/* ---- Bodies. */

struct evbuffer *http_body(struct http_call *c)
{
    return c->body;
}

void http_accept_body(struct http_call *c, uint64_t max)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct caller *l = caller_of(c);
    if (c->head.length > max) {
        refuse(l, HTTP_STATUS_TOO_LARGE, reason_of(HTTP_STATUS_TOO_LARGE));
        return;
    }
    c->max = max;
    c->body = evbuffer_new();
    CHECK(c->body != NULL);
    if (c->head.length == 0 && !c->head.is_chunked) {
        body_is_there(l);
        return;
    }
    c->bytes = c->head.length;
    caller_do(l, DOING_BODY, HTTP_BODY_MS);
    if (!has_room(l)) {
        refuse(l, HTTP_STATUS_UNAVAILABLE, reason_of(HTTP_STATUS_UNAVAILABLE));
        return;
    }
    if (c->head.expects_continue && evbuffer_get_length(bufferevent_get_input(l->bev)) == 0)
        bufferevent_write(l->bev, go_on, sizeof go_on - 1);
    c->head.expects_continue = false;
    caller_read(l);
}

/* ---- What happens. */

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    caller_read(arg);
}

/* Everything has been written. */
static void on_written(struct bufferevent *bev, void *arg)
{
    struct caller *l = arg;
    if (l->doing != DOING_WRITE || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (l->call.is_in_pieces) {
        void (*written)(void *owner) = l->call.written;
        l->call.written = NULL;
        if (written != NULL)
            written(l->call.owner);
        return;
    }
    l->http->unwritten--;
    bool is_last = l->is_last;
    call_fini(&l->call);
    caller_do(l, l->skip > 0 ? DOING_SKIP : DOING_IDLE, l->skip > 0 ? HTTP_BODY_MS : l->http->hooks.idle_ms);
    if (is_last)
        caller_linger(l);
    else
        caller_read(l);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct caller *l = arg;
    const char *fault = NULL;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        if (l->tls != NULL && !tls_may_stay(l->tls, bufferevent_openssl_get_ssl(bev), &fault))
            caller_destroy(l);
        return;
    }
    /* While an answer is awaited nothing is read, so who has said all that it has to say still gets that. */
    caller_drop(l);
}

static void on_deadline(void *arg)
{
    struct caller *l = arg;
    bool is_slow = l->doing == DOING_HEAD || l->doing == DOING_BODY;
    if (!is_slow) {
        caller_drop(l);
        return;
    }
    if (l->doing == DOING_HEAD)
        l->call.out.tqh_last = &l->call.out.tqh_first;
    refuse(l, HTTP_STATUS_TIMEOUT, reason_of(HTTP_STATUS_TIMEOUT));
    ticker_set(l->deadline, HTTP_LINGER_MS); /* to take that */
}

/* ---- Who comes. */

static unsigned place_of(const struct caller *l)
{
    uint8_t group[ADDRESS_GROUP_BYTES];
    address_group(&l->from, group);
    return (unsigned)(hash_bytes(bytes_of(group, sizeof group), 1) % HTTP_PLACES);
}

/* Who has not asked for anything that is under way, or takes long over it. */
static bool may_go(const struct caller *l, uint64_t now)
{
    switch (l->doing) {
    case DOING_IDLE:
    case DOING_HEAD:
    case DOING_SKIP:
    case DOING_LINGER:
        return true;
    case DOING_BODY:
    case DOING_WRITE:
        return now - l->since_ms >= HTTP_GRACE_MS;
    case DOING_THINK:
        return l->call.may_go;
    }
    return false;
}

/* Makes room at the cost of who has most of it; false: all of them are being served. */
static bool make_room(struct http *h, const struct kind *kind)
{
    unsigned count[HTTP_PLACES] = {0}, most = 0;
    const uint64_t now = clock_ms();
    struct caller *goes = NULL;
    for (struct link *at = h->links.ring.next; at != &h->links.ring; at = at->next) {
        const struct caller *l = item_of(at, struct caller, in_http);
        if (kind_of(h, l->gate->entrance) == kind)
            count[place_of(l)]++;
    }
    for (struct link *at = h->links.ring.next; at != &h->links.ring; at = at->next) {
        struct caller *l = item_of(at, struct caller, in_http);
        if (kind_of(h, l->gate->entrance) != kind || !may_go(l, now))
            continue;
        unsigned n = count[place_of(l)];
        if (goes == NULL || n > most || (n == most && l->since_ms < goes->since_ms)) {
            goes = l;
            most = n;
        }
    }
    if (goes != NULL)
        caller_drop(goes);
    return goes != NULL;
}

static struct bufferevent *open_stream(struct caller *l, int fd)
{
    struct bufferevent *bev;
    if (l->tls == NULL) {
        bev = bufferevent_socket_new(l->http->base, fd, BEV_OPT_CLOSE_ON_FREE);
    } else {
        SSL *ssl = tls_open(l->tls, fd);
        SSL_set_read_ahead(ssl, 0); /* libevent asks the socket, and does not see what OpenSSL has read already */
        bev = bufferevent_openssl_socket_new(l->http->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    }
    CHECK(bev != NULL);
    return bev;
}

static void on_accept(struct evconnlistener *listener, int fd, struct sockaddr *from, int len, void *arg)
{
    (void)listener;
    struct gate *g = arg;
    struct http *h = g->http;
    struct kind *kind = kind_of(h, g->entrance);
    if (kind->count >= HTTP_LINKS_MAX && (g->entrance == ENTRANCE_CONTROL || !make_room(h, kind))) {
        close(fd);
        set_gates(h, kind, false);
        return;
    }
    struct caller *l = alloc_zeroed(sizeof *l);
    l->http = h;
    l->gate = g;
    l->tls = g->tls != NULL && *g->tls != NULL ? tls_ref(*g->tls) : NULL;
    l->from.len = (socklen_t)len < sizeof l->from.storage ? (socklen_t)len : sizeof l->from.storage;
    memcpy(&l->from.storage, from, l->from.len);
    l->deadline = ticker_create(h->base, on_deadline, l);
    l->bev = open_stream(l, fd);
    kind->count++;
    /* Whoever has the control socket is trusted, and waits for the others rather than taking their place. */
    if (g->entrance == ENTRANCE_CONTROL && kind->count == HTTP_LINKS_MAX)
        set_gates(h, kind, false);
    list_append(&h->links, &l->in_http);
    caller_do(l, DOING_IDLE, l->http->hooks.head_ms); /* the first one is expected at once */
    bufferevent_setcb(l->bev, on_read, on_written, on_event, l);
    bufferevent_setwatermark(l->bev, EV_READ, 0, HTTP_HEAD_MAX + HTTP_READ_BYTES);
    bufferevent_enable(l->bev, EV_READ | EV_WRITE);
}

/* No descriptors: others hold them, and will let go. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct gate *g = arg;
    (void)listener;
    struct kind *kind = kind_of(g->http, g->entrance);
    if (kind->count > 0 && make_room(g->http, kind))
        return;
    set_gates(g->http, kind, false); /* else we would be told so again at once, and for ever */
    ticker_set(g->http->retry, HTTP_RETRY_MS);
}

static void on_retry(void *arg)
{
    struct http *h = arg;
    for (size_t i = 0; i < sizeof h->kinds / sizeof h->kinds[0]; i++)
        if (h->kinds[i].is_full && h->kinds[i].count < HTTP_LINKS_MAX)
            set_gates(h, &h->kinds[i], true);
}

void http_listen(struct http *h, int fd, enum entrance entrance, struct tls *const *tls)
{
    struct gate *g = alloc_zeroed(sizeof *g);
    g->http = h;
    g->entrance = entrance;
    g->tls = tls;
    g->listener = evconnlistener_new(h->base, on_accept, g, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    CHECK(g->listener != NULL);
    evconnlistener_set_error_cb(g->listener, on_accept_error);
    list_append(&h->gates, &g->in_http);
}

struct http *http_create(struct event_base *base, const struct http_hooks *hooks)
{
    struct http *h = alloc_zeroed(sizeof *h);
    h->base = base;
    h->hooks = *hooks;
    if (h->hooks.idle_ms == 0)
        h->hooks.idle_ms = HTTP_IDLE_MS;
    if (h->hooks.head_ms == 0)
        h->hooks.head_ms = HTTP_HEAD_MS;
    list_init(&h->gates);
    list_init(&h->links);
    h->retry = ticker_create(base, on_retry, h);
    return h;
}

void http_destroy(struct http *h)
{
    if (h == NULL)
        return;
    for (struct link *at = h->links.ring.next, *next; at != &h->links.ring; at = next) {
        next = at->next;
        caller_destroy(item_of(at, struct caller, in_http));
    }
    for (struct link *at = h->gates.ring.next, *next; at != &h->gates.ring; at = next) {
        struct gate *g = item_of(at, struct gate, in_http);
        next = at->next;
        evconnlistener_free(g->listener);
        free(g);
    }
    ticker_destroy(h->retry);
    free(h);
}

unsigned http_unwritten(const struct http *h)
{
    return h->unwritten;
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
    return caller_of_const(c)->gate->entrance;
}

bool http_is_tls(const struct http_call *c)
{
    return caller_of_const(c)->tls != NULL;
}

const struct address *http_peer(const struct http_call *c)
{
    return &caller_of_const(c)->from;
}

int http_socket(const struct http_call *c)
{
    return bufferevent_getfd(caller_of_const(c)->bev);
}

void http_set_owner(struct http_call *c, void *owner)
{
    c->owner = owner;
}

void http_let_go(struct http_call *c, bool may_go)
{
    c->may_go = may_go;
}

void http_add(struct http_call *c, const char *name, const char *value)
{
    evhttp_add_header(&c->out, name, value);
}

bool http_has(const struct http_call *c, const char *name)
{
    return evhttp_find_header(&c->out, name) != NULL;
}
