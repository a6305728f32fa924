#define _GNU_SOURCE
#include "broker/admin/arrival.h"

#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/request.h"
#include "broker/admin/state.h"

/* ---- The path.  It is cut first and decoded then, so that %2F is no separator; evhttp would decode it as a whole. */

static int hex(uint8_t c)
{
    enum { LETTERS_FROM = 10 };
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + LETTERS_FROM : -1;
}

/* A bad escape is literal text.  Answers where the decoded bytes end. */
static uint8_t *decode(struct bytes raw, uint8_t *to)
{
    enum { ESCAPE = 3 };
    for (size_t i = 0; i < raw.len; i++) {
        int high = -1, low = -1;
        if (raw.at[i] == '%' && i + ESCAPE <= raw.len) {
            high = hex(raw.at[i + 1]);
            low = hex(raw.at[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            *to++ = (uint8_t)(high << 4 | low);
            i += ESCAPE - 1;
        } else {
            *to++ = raw.at[i];
        }
    }
    return to;
}

/* From the first character that counts: absolute URIs have a scheme and a host, and some clients begin with //. */
static const char *path_begin(const char *uri)
{
    const char *host = strncmp(uri, "http://", sizeof "http://" - 1) == 0 ? uri + sizeof "http://" - 1 : NULL;
    if (host != NULL)
        uri = strchrnul(host, '/');
    while (*uri == '/')
        uri++;
    return uri;
}

/* Cuts the path into segments, decoded into r->path; one empty segment at the end is nothing.  False: there are too
 * many, or one is too long. */
static bool cut_path(struct request *r, const char *uri, struct bytes *segments, unsigned *n)
{
    const char *at = path_begin(uri);
    size_t len = strcspn(at, "?#");
    uint8_t *to = alloc(len + 1);
    r->path = (char *)to;
    *n = 0;
    for (const char *end = at + len;; at++) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        struct bytes raw = bytes_of(at, (size_t)((slash != NULL ? slash : end) - at));
        if (slash == NULL && raw.len == 0)
            return true;
        if (*n == REQUEST_SEGMENTS_MAX)
            return false;
        uint8_t *after = decode(raw, to);
        segments[(*n)++] = bytes_of(to, (size_t)(after - to));
        if (segments[*n - 1].len > REQUEST_PATH_NAME_MAX)
            return false;
        to = after;
        if (slash == NULL)
            return true;
        at = slash;
    }
}

static void read_query(struct request *r, const char *uri)
{
    const char *query = strchr(uri, '?');
    if (query != NULL)
        evhttp_parse_query_str(query + 1, &r->query);
}

/* What is made has a name that can be shown.  False: it was answered. */
static bool check_names(struct request *r)
{
    bool is_fine = r->method != EVHTTP_REQ_PUT && r->method != EVHTTP_REQ_POST;
    for (unsigned i = 0; !is_fine && i < r->n_params; i++) {
        json_t *text = json_stringn((const char *)r->param[i].at, r->param[i].len);
        if (text == NULL) {
            request_refuse(r, "a name is not UTF-8");
            return false;
        }
        json_decref(text);
    }
    return true;
}

/* ---- The body. */

static struct bytes trimmed(struct bytes b)
{
    static const char blank[] = " \t\r\n";
    while (b.len > 0 && memchr(blank, b.at[0], sizeof blank - 1) != NULL)
        b = bytes_of(b.at + 1, b.len - 1);
    while (b.len > 0 && memchr(blank, b.at[b.len - 1], sizeof blank - 1) != NULL)
        b.len--;
    return b;
}

/* NULL, or what is wrong with it; the caller frees that.  *body stays as it is if there is none. */
static char *parse_body(struct bytes text, json_t **body)
{
    text = trimmed(text);
    if (text.len == 0 || bytes_equal(text, BYTES("null")) || bytes_equal(text, BYTES("undefined")))
        return NULL;
    char *error = NULL, *wrong;
    json_t *parsed = json_read(text, &error);
    if (json_is_object(parsed)) {
        *body = parsed;
        return NULL;
    }
    if (json_is_string(parsed))
        wrong = str_copy(BYTES("invalid payload: the request body JSON-decoded to a string, is it encoded twice?"));
    else if (parsed != NULL)
        wrong = str_copy(BYTES("not_json: the body is no object"));
    else
        wrong = str_format("not_json: %s", error);
    free(error);
    json_decref(parsed);
    return wrong;
}

/* Takes the body out of evhttp's memory, and leaves none of it there: it may hold a password.  False: it is no object
 * where there should be one, and that was answered. */
static bool read_body(struct request *r, bool as_text)
{
    enum { PIECES = 64 };
    struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
    size_t len = evbuffer_get_length(in);
    uint8_t *text = alloc(len + 1);
    evbuffer_copyout(in, text, len);
    for (struct evbuffer_iovec pieces[PIECES]; evbuffer_get_length(in) > 0;) {
        int n = evbuffer_peek(in, -1, NULL, pieces, PIECES);
        size_t wiped = 0;
        for (int i = 0; i < (n < PIECES ? n : PIECES); i++) {
            explicit_bzero(pieces[i].iov_base, pieces[i].iov_len);
            wiped += pieces[i].iov_len;
        }
        evbuffer_drain(in, wiped);
    }
    r->text = bytes_of(text, len);
    if (as_text)
        return true;
    json_t *body = NULL;
    char *wrong = parse_body(r->text, &body);
    r->body = body;
    request_forget_text(r);
    if (wrong == NULL)
        return true;
    request_refuse(r, "%s", wrong);
    free(wrong);
    return false;
}

/* ---- Who asks. */

static void find_actor(struct request *r)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r->http);
    struct ucred who;
    socklen_t len = sizeof who;
    int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
        snprintf(r->actor, sizeof r->actor, "uid:%u", (unsigned)who.uid);
    else
        snprintf(r->actor, sizeof r->actor, "unknown");
}

static void on_close(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    ((struct request *)arg)->http = NULL;
}

static struct request *create(struct admin *a, struct evhttp_request *http)
{
    struct request *r = alloc_zeroed(sizeof *r);
    r->admin = a;
    r->http = http;
    r->entrance = ENTRANCE_CONTROL;
    r->method = evhttp_request_get_command(http);
    if (r->method == EVHTTP_REQ_HEAD)
        r->method = EVHTTP_REQ_GET;
    r->slot = slots_take(&a->requests, r, &r->generation);
    link_init(&r->waiting);
    TAILQ_INIT(&r->query);
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_close, r);
    find_actor(r);
    return r;
}

static void refuse_method(struct request *r, unsigned allowed)
{
    enum { ROOM = 64 };
    char methods[ROOM];
    if (allowed == 0) {
        request_not_found(r);
        return;
    }
    api_print_methods(allowed, methods, sizeof methods);
    request_set_header(r, "Allow", methods);
    request_reply(r, r->method == EVHTTP_REQ_OPTIONS ? HTTP_STATUS_OK : HTTP_STATUS_NOT_ALLOWED, NULL);
}

void arrival_begin(struct admin *a, struct evhttp_request *http)
{
    struct request *r = create(a, http);
    const char *uri = evhttp_request_get_uri(http);
    struct bytes segments[REQUEST_SEGMENTS_MAX];
    unsigned n, allowed = 0;
    const struct route *route = NULL;
    bool is_path = cut_path(r, uri, segments, &n) && n > 1 && bytes_equal(segments[0], BYTES("api"));
    read_query(r, uri);
    if (is_path)
        route = api_find(r->method, segments + 1, n - 1, r->param, &r->n_params, &allowed);
    if (route == NULL)
        refuse_method(r, allowed);
    else if (check_names(r) && read_body(r, route->wants_text) && look_read(r))
        route->handle(r);
}
