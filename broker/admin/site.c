#define _GNU_SOURCE
#include "broker/admin/site.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/admin/asset.h"
#include "broker/admin/json.h"
#include "broker/admin/pack.h"
#include "broker/admin/state.h"
#include "broker/net/hub.h"

enum { CONTROL = ENTRANCE_CONTROL, MANAGEMENT = ENTRANCE_MANAGEMENT, METRICS = ENTRANCE_METRICS };

static const struct site sites[] = {
#define SITE(method, path, entrances, handle) {{EVHTTP_REQ_##method, path, TAG_MONITORING, handle, false}, entrances},
#define SITE_OPEN(method, path, entrances, handle) {{EVHTTP_REQ_##method, path, TAG_NONE, handle, false}, entrances},
#include "broker/admin/site.def"
#undef SITE
#undef SITE_OPEN
};

// NOLINTNEXTLINE(readability-function-size): api_find() with the entrance
const struct route *site_find(enum entrance entrance, enum evhttp_cmd_type method, const struct bytes *segments,
                              unsigned n, struct bytes *params, unsigned *n_params, unsigned *allowed)
{
    const struct route *found = NULL;
    *allowed = 0;
    for (size_t i = 0; i < sizeof sites / sizeof sites[0] && found == NULL; i++) {
        const struct site *s = &sites[i];
        if ((s->entrances & (unsigned)entrance) == 0 || !api_fits(s->route.path, segments, n, params, n_params))
            continue;
        *allowed |= (unsigned)s->route.method;
        if (s->route.method == method)
            found = &s->route;
    }
    return found;
}

/* ---- Answers that are no JSON. */

static struct evbuffer *buffer_of(const void *data, size_t size)
{
    struct evbuffer *body = evbuffer_new();
    CHECK(body != NULL);
    evbuffer_add(body, data, size);
    return body;
}

static void reply_text(struct request *r, const char *type, const char *text)
{
    request_set_header(r, "Content-Type", type);
    request_reply_buffer(r, HTTP_STATUS_OK, buffer_of(text, strlen(text)));
}

/* ---- For probes: cheap, without a login, and silent about everything else. */

static void answer_probe(struct request *r, const char *why_not)
{
    json_t *o = json_object();
    json_set(o, "status", json_string(why_not == NULL ? "ok" : "failed"));
    if (why_not != NULL)
        json_set(o, "reason", json_string(why_not));
    request_reply(r, why_not == NULL ? HTTP_STATUS_OK : HTTP_STATUS_UNAVAILABLE, o);
}

/* It lives; alarms are no reason to kill a broker. */
void site_healthz(struct request *r)
{
    answer_probe(r, NULL);
}

/* Clients may come; with ?alarms=1 also publish. */
void site_readyz(struct request *r)
{
    const char *alarms = request_query(r, "alarms");
    bool heeds_alarms = alarms != NULL && strcmp(alarms, "0") != 0 && strcmp(alarms, "false") != 0;
    if (r->admin->is_stopping)
        answer_probe(r, "shutting down");
    else if (heeds_alarms && (hub_alarms(request_hub(r)) & ALARMS_TOLD) != 0)
        answer_probe(r, "there are alarms in effect");
    else
        answer_probe(r, NULL);
}

/* ---- Small things. */

void site_robots(struct request *r)
{
    reply_text(r, "text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n");
}

/* RabbitMQ's own tool works with this broker; it comes with RabbitMQ, and not from here. */
void site_rabbitmqadmin(struct request *r)
{
    reply_text(
        r, "application/octet-stream",
        "#!/bin/sh\n"
        "echo \"This broker does not hand out rabbitmqadmin.  RabbitMQ's own one works with it (Debian: package\" >&2\n"
        "echo \"rabbitmq-server), and so does millracectl, which comes with the broker.\" >&2\n"
        "exit 69\n");
}

static void redirect(struct request *r, const char *to)
{
    char *where = str_format("%s%s", request_config(r)->path_prefix, to);
    request_set_header(r, "Location", where);
    request_reply(r, HTTP_STATUS_MOVED, NULL);
    free(where);
}

/* ---- The page's files. */

static void serve_asset(struct request *r, const struct asset *a)
{
    const char *known = request_header(r, "If-None-Match");
    request_set_header(r, "Cache-Control", "no-cache");
    request_set_header(r, "ETag", a->etag);
    if (known != NULL && (strcmp(known, "*") == 0 || strstr(known, a->etag) != NULL)) {
        request_reply(r, HTTP_STATUS_NOT_MODIFIED, NULL);
        return;
    }
    bool is_packed = a->packed_size > 0 && pack_is_accepted(request_header(r, "Accept-Encoding"));
    request_set_header(r, "Content-Type", a->type);
    request_set_header(r, "Content-Encoding", is_packed ? "gzip" : "identity");
    struct evbuffer *body = evbuffer_new();
    CHECK(body != NULL);
    if (is_packed)
        evbuffer_add_reference(body, a->packed, a->packed_size, NULL, NULL);
    else
        evbuffer_add_reference(body, a->at, a->size, NULL, NULL);
    request_reply_buffer(r, HTTP_STATUS_OK, body);
}

/* ---- Where people land who type in an address. */

static struct evbuffer *page_begin(const char *title)
{
    struct evbuffer *body = evbuffer_new();
    CHECK(body != NULL);
    evbuffer_add_printf(
        body, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Millrace: %s</title><h1>%s</h1>", title,
        title);
    return body;
}

/* Takes body over. */
static void page_end(struct request *r, struct evbuffer *body)
{
    evbuffer_add_printf(body, "</html>\n");
    request_set_header(r, "Content-Type", "text/html; charset=utf-8");
    request_reply_buffer(r, HTTP_STATUS_OK, body);
}

/* The routes, which are RabbitMQ's, one a line. */
static void serve_api_page(struct request *r)
{
    struct evbuffer *body = page_begin("HTTP API");
    evbuffer_add_printf(body,
                        "<p>As RabbitMQ's management plugin has it: with a login (Basic), names percent-encoded, in "
                        "JSON.</p><pre>");
    for (size_t i = 0; i < api_routes_count; i++) {
        enum { ROOM = 64 };
        char methods[ROOM];
        api_print_methods((unsigned)api_routes[i].method, methods, sizeof methods);
        const char *method = strncmp(methods, "HEAD, ", strlen("HEAD, ")) == 0 ? methods + strlen("HEAD, ") : methods;
        evbuffer_add_printf(body, "%-7.*s%s/api/%s\n", (int)strcspn(method, ","), method,
                            request_config(r)->path_prefix, api_routes[i].path);
    }
    evbuffer_add_printf(body, "</pre>");
    page_end(r, body);
}

static void serve_cli_page(struct request *r)
{
    struct evbuffer *body = page_begin("Command line");
    evbuffer_add_printf(body,
                        "<p><code>millracectl</code> comes with the broker. RabbitMQ's <code>rabbitmqadmin</code> "
                        "works with it, too.</p>");
    page_end(r, body);
}

/* RabbitMQ's, for every method.  False: that path leads nowhere else. */
static bool serve_redirection(struct request *r, struct bytes path)
{
    static const char *const ways[][2] = {{"api", "/api/index.html"},
                                          {"api/", "/api/index.html"},
                                          {"stats", "/api/index.html"},
                                          {"doc/stats.html", "/api/index.html"},
                                          {"cli", "/cli/index.html"},
                                          {"cli/", "/cli/index.html"},
                                          {"mgmt", "/"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (bytes_equal(path, bytes_of_string(ways[i][0]))) {
            redirect(r, ways[i][1]);
            return true;
        }
    }
    return false;
}

static request_fn *page_of(struct bytes path)
{
    if (bytes_equal(path, BYTES("api/index.html")))
        return serve_api_page;
    return bytes_equal(path, BYTES("cli/index.html")) ? serve_cli_page : NULL;
}

void site_serve(struct request *r, struct bytes path)
{
    bool is_here = r->entrance == ENTRANCE_MANAGEMENT;
    const struct asset *a = is_here ? asset_find(path) : NULL;
    request_fn *page = is_here ? page_of(path) : NULL;
    if (r->method != EVHTTP_REQ_GET && (a != NULL || page != NULL)) {
        request_set_header(r, "Allow", "HEAD, GET, OPTIONS");
        request_reply(r, r->method == EVHTTP_REQ_OPTIONS ? HTTP_STATUS_OK : HTTP_STATUS_NOT_ALLOWED, NULL);
    } else if (a != NULL) {
        serve_asset(r, a);
    } else if (page != NULL) {
        page(r);
    } else if (!is_here || !serve_redirection(r, path)) {
        request_not_found(r);
    }
}
