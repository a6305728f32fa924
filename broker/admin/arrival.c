#define _GNU_SOURCE
#include "broker/admin/arrival.h"

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
#include "broker/admin/browser.h"
#include "broker/admin/identify.h"
#include "broker/admin/json.h"
#include "broker/admin/request.h"
#include "broker/admin/site.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"

/* ---- The path.  It is cut first and decoded then, so that %2F is no separator;  */

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
    const char *host = strstr(uri, "://");
    if (host != NULL && (strncmp(uri, "http:", 5) == 0 || strncmp(uri, "https:", 6) == 0))
        uri = strchrnul(host + sizeof "://" - 1, '/');
    while (*uri == '/')
        uri++;
    return uri;
}

/* Cuts the path into segments, decoded into r->path; one empty segment at the end is nothing.  False: there are too
 * many, or one is too long. */
static bool cut_path(struct request *r, const char *uri, struct bytes *segments, unsigned *n)
{
    const char *at = uri;
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

/* A byte or two of text can be a value that takes a hundred of memory. */
static bool has_many_values(struct bytes text)
{
    size_t n = 0;
    bool is_in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (is_in_string && c == '\\')
            i++;
        else if (c == '"')
            is_in_string = !is_in_string;
        else if (!is_in_string)
            n += c == ',' || c == '[' || c == '{';
    }
    return n > ARRIVAL_VALUES_MAX;
}

/* NULL, or what is wrong with it; the caller frees that.  *body stays as it is if there is none. */
static char *parse_body(struct bytes text, json_t **body)
{
    text = trimmed(text);
    if (text.len == 0 || bytes_equal(text, BYTES("null")) || bytes_equal(text, BYTES("undefined")))
        return NULL;
    if (has_many_values(text))
        return str_format("not_json: more than %d values", ARRIVAL_VALUES_MAX);
    char *error = NULL, *wrong;
    json_t *parsed = json_read(text, &error);
    if (json_is_object(parsed)) {
        *body = parsed;
        return NULL;
    }
    if (json_is_string(parsed))
        wrong = str_copy(BYTES("invalid payload: the request body JSON-decoded to a string. Is the input "
                               "doubly-JSON-encoded?"));
    else if (parsed != NULL)
        wrong = str_copy(BYTES("not_json: the body is no object"));
    else
        wrong = str_format("not_json: %s", error);
    free(error);
    json_decref(parsed);
    return wrong;
}

/* Takes the body out of the buffer, and leaves none of it there: it may hold a password.  False: it is no object
 * where there should be one, and that was answered. */
static bool read_body(struct request *r, bool as_text)
{
    enum { PIECES = 64 };
    struct evbuffer *in = http_body(r->http);
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

static void find_peer(struct request *r)
{
    struct ucred who;
    socklen_t len = sizeof who;
    r->from = *http_peer(r->http);
    if (r->entrance != ENTRANCE_CONTROL) {
        address_format(&r->from, r->peer);
        snprintf(r->actor, sizeof r->actor, "somebody from %s", r->peer);
        return;
    }
    snprintf(r->peer, sizeof r->peer, "unix");
    if (getsockopt(http_socket(r->http), SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
        snprintf(r->actor, sizeof r->actor, "uid:%u", (unsigned)who.uid);
    else
        snprintf(r->actor, sizeof r->actor, "unknown");
}

static struct request *create(struct admin *a, struct http_call *c)
{
    struct request *r = alloc_zeroed(sizeof *r);
    r->admin = a;
    r->http = c;
    r->entrance = http_entrance(c);
    r->is_tls = http_is_tls(c);
    r->method = http_head_of(c)->method;
    if (r->method == EVHTTP_REQ_HEAD)
        r->method = EVHTTP_REQ_GET;
    r->slot = slots_take(&a->requests, r, &r->generation);
    link_init(&r->waiting);
    TAILQ_INIT(&r->query);
    http_set_owner(c, r);
    find_peer(r);
    return r;
}

static void refuse_method(struct request *r, unsigned allowed)
{
    enum { ROOM = 64 };
    char methods[ROOM];
    api_print_methods(allowed, methods, sizeof methods);
    request_set_header(r, "Allow", methods);
    if (r->method == EVHTTP_REQ_OPTIONS)
        browser_add_preflight(r, methods);
    request_reply(r, r->method == EVHTTP_REQ_OPTIONS ? HTTP_STATUS_OK : HTTP_STATUS_NOT_ALLOWED, NULL);
}

/* ---- May they? */

static const char *const refusals[] = {
    [TAG_NONE] = "Login failed",
    [TAG_MANAGEMENT] = "Not management user",
    [TAG_POLICYMAKER] = "Not policymaker user",
    [TAG_MONITORING] = "Not monitor user",
    [TAG_ADMINISTRATOR] = "Not administrator user",
};

/* What a body may be like is known by now, and who sends it. */
static uint64_t body_max(const struct request *r)
{
    static const char publish[] = "/publish";
    const struct admin_config *config = request_config(r);
    size_t len = strlen(r->route->path);
    if (r->entrance == ENTRANCE_CONTROL || r->route->wants_text)
        return config->publish_bytes_max > ADMIN_IMPORT_BYTES_MAX ? config->publish_bytes_max : ADMIN_IMPORT_BYTES_MAX;
    if (len >= sizeof publish && strcmp(r->route->path + len - sizeof publish + 1, publish) == 0)
        return config->publish_bytes_max;
    return ADMIN_BODY_BYTES_MAX;
}

static void handle(struct request *r)
{
    if (r->http == NULL) {
        request_destroy(r); /* it has gone while we looked who it was */
        return;
    }
    if (!check_names(r))
        return;
    r->is_reading = true;
    http_accept_body(r->http, body_max(r));
}

void arrival_on_body(void *request, struct http_call *c)
{
    struct request *r = request;
    (void)c;
    r->is_reading = false;
    if (read_body(r, r->route->wants_text) && look_read(r))
        r->route->handle(r);
}

void arrival_on_gone(void *request)
{
    struct request *r = request;
    r->http = NULL;
    if (r->is_reading || r->is_writing)
        request_destroy(r); /* nothing else would; else the model's answer is awaited, and dropped */
}

/* As RabbitMQ says it: what is looked at is not there, and what is to be made has no place. */
static void answer_no_vhost(struct request *r)
{
    if (r->method == EVHTTP_REQ_PUT || r->method == EVHTTP_REQ_POST)
        request_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", "vhost_not_found");
    else
        request_not_found(r);
}

static void on_vhost(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    if (e->done.inspection->n == 0)
        answer_no_vhost(r);
    else
        identify_refuse(r, "User not authorised to access virtual host");
}

/* What stands for {v} in the route's path; NULL: it has none. */
static const struct bytes *vhost_of(const struct request *r)
{
    unsigned n = 0;
    for (const char *at = r->route->path; (at = strchr(at, '{')) != NULL; at++, n++)
        if (strncmp(at, "{v}", sizeof "{v}" - 1) == 0)
            return &r->param[n];
    return NULL;
}

/* What is about virtual hosts, not in them, is for whoever sees them; and administrators may administrate those too
 * that they have no permissions on. */
static bool may_enter(const struct request *r, struct bytes vhost)
{
    static const char *const about[] = {"vhosts/{v}", "vhost-limits/{v}"};
    if (r->route->tag == TAG_ADMINISTRATOR)
        return true;
    for (size_t i = 0; i < sizeof about / sizeof about[0]; i++)
        if (strcmp(r->route->path, about[i]) == 0)
            return visitor_sees(r->visitor, vhost);
    return visitor_may_enter(r->visitor, vhost);
}

static void on_identified(struct request *r)
{
    const struct bytes *vhost = vhost_of(r);
    if ((r->visitor->tags & (1U << r->route->tag)) == 0)
        identify_refuse(r, refusals[r->route->tag]);
    else if (vhost != NULL && !may_enter(r, *vhost))
        request_inspect(r, inspection_create(INSPECT_VHOSTS, NULL, vhost), on_vhost);
    else
        handle(r);
}

/* ---- What is it about? */

static bool begins_with(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || strchr("/?#", path[len]) != NULL);
}

/* Where the path begins behind what the configuration puts before it; NULL: it was answered. */
static const char *strip_prefix(struct request *r, const char *path)
{
    const char *prefix = request_config(r)->path_prefix;
    if (r->entrance != ENTRANCE_MANAGEMENT || *prefix == '\0')
        return path;
    if (begins_with(path, prefix + 1))
        return path_begin(path + strlen(prefix + 1));
    if (begins_with(path, "healthz") || begins_with(path, "readyz")) /* probes know no proxy */
        return path;
    if (*path == '\0' && r->method == EVHTTP_REQ_GET) {
        char *to = str_format("%s/", prefix);
        request_set_header(r, "Location", to);
        free(to);
        request_reply(r, HTTP_STATUS_MOVED, NULL);
    } else {
        request_not_found(r);
    }
    return NULL;
}

/* prometheus.path instead of /metrics, at its own ports. */
static void rename_metrics(const struct request *r, const char *path, struct bytes *segments, unsigned *n)
{
    const char *wanted = path_begin(request_config(r)->metrics_path);
    if (r->entrance != ENTRANCE_METRICS || strcmp(wanted, "metrics") == 0)
        return;
    unsigned skipped = 1;
    for (const char *at = wanted; (at = strchr(at, '/')) != NULL; at++)
        skipped += at[1] != '\0';
    if (begins_with(path, wanted) && *n >= skipped) {
        segments[skipped - 1] = BYTES("metrics");
        memmove(segments, segments + skipped - 1, (*n - skipped + 1) * sizeof *segments);
        *n -= skipped - 1;
    } else if (*n > 0 && bytes_equal(segments[0], BYTES("metrics"))) {
        *n = 0;
    }
}

static bool needs_login(const struct request *r)
{
    if (r->entrance == ENTRANCE_CONTROL || r->route->tag == TAG_NONE)
        return false;
    return r->entrance == ENTRANCE_MANAGEMENT || request_config(r)->has_metrics_login;
}

static void begin_route(struct request *r)
{
    if (r->method != EVHTTP_REQ_GET && !browser_check_origin(r))
        return;
    if (needs_login(r))
        identify(r, on_identified);
    else
        handle(r);
}

void arrival_on_head(void *admin, struct http_call *c)
{
    struct request *r = create(admin, c);
    const enum entrance entrance = r->entrance;
    struct bytes segments[REQUEST_SEGMENTS_MAX];
    unsigned n, allowed = 0;
    const char *path = strip_prefix(r, path_begin(http_head_of(c)->target));
    if (path == NULL)
        return;
    if (!cut_path(r, path, segments, &n)) {
        request_not_found(r);
        return;
    }
    read_query(r, path);
    rename_metrics(r, path, segments, &n);
    if (n > 1 && segments[1].len == 0 && bytes_equal(segments[0], BYTES("api")))
        memmove(&segments[1], &segments[2], (--n - 1) * sizeof *segments); /* "/api//queues" */
    bool is_api = n > 1 && bytes_equal(segments[0], BYTES("api"));
    if (is_api && entrance != ENTRANCE_METRICS)
        r->route = api_find(r->method, segments + 1, n - 1, r->param, &r->n_params, &allowed);
    if (!is_api && n > 0)
        r->route = site_find(entrance, r->method, segments, n, r->param, &r->n_params, &allowed);
    if (r->route != NULL)
        begin_route(r);
    else if (allowed != 0)
        refuse_method(r, allowed);
    else
        site_serve(r, bytes_of(path, strcspn(path, "?#")));
}
