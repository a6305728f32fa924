#define _GNU_SOURCE
#include "broker/admin/browser.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char POLICY[] = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                             "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* ---- Other origins (CORS). */

enum trust { TRUST_NONE, TRUST_ANY, TRUST_NAMED };

static enum trust trust_in(const struct request *r, const char *origin)
{
    const struct admin_config *c = request_config(r);
    enum trust trust = TRUST_NONE;
    for (unsigned i = 0; i < c->n_origins; i++) {
        if (strcasecmp(c->origins[i], origin) == 0)
            return TRUST_NAMED;
        if (strcmp(c->origins[i], "*") == 0)
            trust = TRUST_ANY;
    }
    return trust;
}

/* Who may come from anywhere comes without credentials, which a script may add by itself all the same. */
static void add_cors(struct request *r)
{
    const char *origin = request_header(r, "Origin");
    enum trust trust = origin != NULL ? trust_in(r, origin) : TRUST_NONE;
    if (trust == TRUST_NAMED) {
        request_set_header(r, "Access-Control-Allow-Origin", origin);
        request_set_header(r, "Access-Control-Allow-Credentials", "true");
    } else if (trust == TRUST_ANY) {
        request_set_header(r, "Access-Control-Allow-Origin", "*");
    }
}

void browser_add_preflight(struct request *r, const char *methods)
{
    enum { ROOM = 24 };
    const char *origin = request_header(r, "Origin"), *headers = request_header(r, "Access-Control-Request-Headers");
    char age[ROOM];
    if (origin == NULL || trust_in(r, origin) == TRUST_NONE)
        return;
    snprintf(age, sizeof age, "%u", request_config(r)->cors_age_s);
    request_set_header(r, "Access-Control-Allow-Methods", methods);
    if (headers != NULL)
        request_set_header(r, "Access-Control-Allow-Headers", headers);
    request_set_header(r, "Access-Control-Max-Age", age);
}

/* "https://host:15672" and the header Host: "host:15672". */
static bool is_own(const char *origin, const char *host)
{
    const char *at = strstr(origin, "://");
    return at != NULL && host != NULL && strcasecmp(at + sizeof "://" - 1, host) == 0;
}

/* A form, or a script that does as one: browsers send that without asking first, and with the password that they know
 * for this place. */
static bool is_unasked(const struct request *r)
{
    static const char json[] = "application/json";
    const char *type = request_header(r, "Content-Type");
    return r->method == EVHTTP_REQ_POST && (type == NULL || strncasecmp(type, json, sizeof json - 1) != 0);
}

bool browser_check_origin(struct request *r)
{
    const char *origin = request_header(r, "Origin");
    if (origin == NULL || is_own(origin, request_header(r, "Host")))
        return true;
    enum trust trust = trust_in(r, origin);
    if (trust == TRUST_NAMED || (trust == TRUST_ANY && !is_unasked(r)))
        return true;
    request_fail(
        r, HTTP_STATUS_FORBIDDEN, "cross_origin",
        "a page of another origin may not change anything; management.cors.allow_origins names those that may");
    return false;
}

/* ---- Every answer. */

static void add(struct request *r, const char *name, const char *value)
{
    if (value != NULL && *value != '\0' && !request_has_header(r, name))
        request_set_header(r, name, value);
}

void browser_add_headers(struct request *r)
{
    const struct admin_config *c = request_config(r);
    add(r, "Cache-Control", r->entrance == ENTRANCE_CONTROL ? "no-cache" : "no-cache, no-store");
    add(r, "Vary", "accept, accept-encoding, origin");
    if (r->entrance == ENTRANCE_CONTROL)
        return;
    add(r, "Content-Security-Policy", c->content_policy != NULL ? c->content_policy : POLICY);
    add(r, "X-Content-Type-Options", c->sniff_header);
    add(r, "Referrer-Policy", c->referrer_header);
    add(r, "X-Frame-Options", c->frame_header);
    add(r, "X-XSS-Protection", c->xss_header);
    if (r->is_tls)
        add(r, "Strict-Transport-Security", c->transport_policy);
    add_cors(r);
}
