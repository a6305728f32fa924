#define _GNU_SOURCE
#include "broker/admin/identify.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/http.h"
#include "broker/admin/json.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"
#include "broker/net/login.h"

struct identification {
    request_fn *then;
    struct visitor *visitor; /* owned, until it is r's */
    bool is_right, is_too_far;
    struct bytes user, password; /* in text */
    size_t size;
    uint8_t text[];
};

void identify_forget(struct identification *i)
{
    if (i == NULL)
        return;
    visitor_destroy(i->visitor);
    explicit_bzero(i->text, i->size);
    free(i);
}

/* ---- The header. */

static void refuse(struct request *r, const char *reason)
{
    request_set_header(r, "WWW-Authenticate", "Basic realm=\"RabbitMQ Management\"");
    if (reason != NULL)
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorized", "%s", reason);
    else
        request_reply(r, HTTP_STATUS_UNAUTHORIZED, NULL);
}

void identify_refuse(struct request *r, const char *reason)
{
    request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "%s", reason);
}

/* Base64 to bytes, or -1.  to has room for three quarters of it. */
static int decode(const char *text, size_t len, uint8_t *to)
{
    enum { QUANTUM = 4 };
    if (len == 0 || len % QUANTUM != 0 || len > IDENTIFY_HEADER_MAX)
        return -1;
    int n = EVP_DecodeBlock(to, (const unsigned char *)text, (int)len);
    for (size_t i = 1; n > 0 && i <= 2 && text[len - i] == '='; i++)
        n--;
    return n;
}

/* "Basic dXNlcjpwYXNz".  NULL: that is none. */
static struct identification *read_header(const char *header)
{
    static const char basic[] = "basic ";
    if (strncasecmp(header, basic, sizeof basic - 1) != 0)
        return NULL;
    header += sizeof basic - 1;
    header += strspn(header, " ");
    size_t len = strcspn(header, " \t");
    struct identification *i = alloc_zeroed(sizeof *i + len + 1);
    i->size = len + 1;
    int n = decode(header, len, i->text);
    const uint8_t *colon = n > 0 ? memchr(i->text, ':', (size_t)n) : NULL;
    if (colon == NULL || colon - i->text > IDENTIFY_USER_MAX) {
        identify_forget(i);
        return NULL;
    }
    i->user = bytes_of(i->text, (size_t)(colon - i->text));
    i->password = bytes_of(colon + 1, (size_t)(i->text + n - colon - 1));
    return i;
}

/* ---- What is told of it. */

/* Has that user logged in from there lately?  A tool asks every few seconds, and its logins are one. */
static bool is_known(struct admin *a, const struct request *r, const struct identification *i)
{
    uint8_t group[ADDRESS_GROUP_BYTES];
    uint64_t now = clock_ms();
    address_group(&r->from, group);
    uint64_t hash = hash_mix(hash_bytes(i->user, 1), hash_bytes(bytes_of(group, sizeof group), 2));
    struct known *oldest = &a->known[0];
    for (size_t k = 0; k < IDENTIFY_KNOWN_MAX; k++) {
        if (a->known[k].until_ms > now && a->known[k].hash == hash)
            return true;
        if (a->known[k].until_ms < oldest->until_ms)
            oldest = &a->known[k];
    }
    *oldest = (struct known){.hash = hash, .until_ms = now + IDENTIFY_KNOWN_MS};
    return false;
}

static void note(const struct request *r, const struct identification *i, bool is_ok, const char *why, unsigned untold)
{
    if (!audit_is_on())
        return;
    const struct audit a = {
        .action = "login",
        .result = is_ok ? BYTES("ok") : BYTES("refused"),
        .reason = why != NULL ? bytes_of_string(why) : (struct bytes){0},
        .user = i->user,
        .peer = bytes_of_string(r->peer),
        .kind = BYTES("mechanism"),
        .object = BYTES("HTTP Basic"),
        .has_count = untold > 0,
        .count = untold,
    };
    audit_write(&a);
}

/* At most as many lines as a refused AMQP login may leave. */
static void tell_refusal(struct request *r, const struct identification *i)
{
    uint8_t group[ADDRESS_GROUP_BYTES];
    const char *why = i->is_too_far ? "User can only log in via localhost" : "invalid credentials";
    unsigned untold = 0;
    address_group(&r->from, group);
    if (!login_may_log(request_config(r)->login, bytes_of(group, sizeof group), clock_ms(), &untold))
        return;
    if (untold > 0)
        log_warning("admin", "before it, %u logins of this address failed and were not logged", untold);
    log_warning("admin", "HTTP access denied: user '%.*s' - %s (from %s)", BYTES_ARG(i->user), why, r->peer);
    note(r, i, false, why, untold);
}

/* ---- What the model knows. */

static void on_rights(struct request *r, struct event *e)
{
    struct identification *i = r->identification;
    struct inspection *page = e->done.inspection;
    struct bytes bytes;
    if (!request_is_done(r, e))
        return;
    for (size_t at = 0; inspection_next(page, &at, &bytes);)
        json_add(i->visitor->rights, json_of_table(bytes));
    if (page->cursor != 0) {
        e->done.inspection = NULL;
        inspection_clear(page);
        request_inspect(r, page, on_rights);
        return;
    }
    request_fn *then = i->then;
    r->visitor = i->visitor;
    i->visitor = NULL;
    r->identification = NULL;
    identify_forget(i);
    then(r);
}

static void on_verdict(struct request *r)
{
    struct identification *i = r->identification;
    if (r->http != NULL)
        http_let_go(r->http, false);
    if (!i->is_right) {
        tell_refusal(r, i);
        refuse(r, i->is_too_far ? "User can only log in via localhost" : "Login failed");
        return;
    }
    if (!is_known(r->admin, r, i))
        note(r, i, true, NULL, 0);
    if ((i->visitor->tags & (1U << TAG_MANAGEMENT)) == 0) {
        identify_refuse(r, "Not management user");
        return;
    }
    request_inspect(r, inspection_create(INSPECT_PERMISSIONS, NULL, &i->user), on_rights);
}

/* What each tag includes. */
static unsigned tags_of(const json_t *list)
{
    static const struct {
        const char *name;
        unsigned tags;
    } known[] = {
        {"management", 1U << TAG_MANAGEMENT},
        {"policymaker", 1U << TAG_MANAGEMENT | 1U << TAG_POLICYMAKER},
        {"monitoring", 1U << TAG_MANAGEMENT | 1U << TAG_MONITORING},
        {"administrator",
         1U << TAG_MANAGEMENT | 1U << TAG_POLICYMAKER | 1U << TAG_MONITORING | 1U << TAG_ADMINISTRATOR},
    };
    unsigned tags = 1U << TAG_NONE;
    for (size_t i = 0; i < json_array_size(list); i++)
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            if (bytes_equal(json_text(json_array_get(list, i)), bytes_of_string(known[k].name)))
                tags |= known[k].tags;
    return tags;
}

static struct visitor *make_visitor(struct bytes name, struct bytes row)
{
    struct visitor *v = alloc_zeroed(sizeof *v + name.len + 1);
    json_t *user = json_of_table(row), *tags = json_object_get(user, "tags");
    memcpy(v->data, name.at, name.len);
    v->name = bytes_of(v->data, name.len);
    v->tag_list = json_is_array(tags) ? json_incref(tags) : json_array();
    v->tags = tags_of(v->tag_list);
    v->rights = json_array();
    json_decref(user);
    return v;
}

static bool is_too_far(const struct request *r, struct bytes user)
{
    const struct login_rules *rules = request_config(r)->login;
    bool is_far = false;
    for (unsigned i = 0; i < rules->n_loopback_users; i++)
        is_far |= bytes_equal(user, rules->loopback_users[i]) && !address_is_loopback(&r->from);
    return is_far;
}

static void on_user(struct request *r, struct event *e)
{
    struct identification *i = r->identification;
    uint8_t group[ADDRESS_GROUP_BYTES];
    struct bytes row = {0};
    size_t at = 0;
    uint64_t delay_ms = 0;
    if (!request_is_done(r, e))
        return;
    address_group(&r->from, group);
    const struct session_login login = {
        .user = i->user,
        .password = i->password,
        .is_user = inspection_next(e->done.inspection, &at, &row),
        .arguments = row,
        .is_loopback = address_is_loopback(&r->from),
        .is_http = true,
        .place = bytes_of(group, sizeof group),
    };
    i->is_right = login_judge(request_config(r)->login, &login, clock_ms(), &delay_ms) == LOGIN_OK;
    i->is_too_far = is_too_far(r, i->user);
    if (i->is_right)
        i->visitor = make_visitor(i->user, row);
    if (delay_ms > 0) {
        if (r->http != NULL)
            http_let_go(r->http, true);
        request_wait(r, delay_ms, on_verdict);
    } else {
        on_verdict(r);
    }
}

void identify(struct request *r, request_fn *then)
{
    const char *header = request_header(r, "Authorization");
    if (header == NULL) {
        refuse(r, NULL);
        return;
    }
    struct identification *i = read_header(header);
    if (i == NULL) {
        refuse(r, "Login failed");
        return;
    }
    i->then = then;
    r->identification = i;
    snprintf(r->actor, sizeof r->actor, "%.*s from %s", BYTES_ARG(i->user), r->peer);
    request_inspect(r, inspection_create(INSPECT_USERS, NULL, &i->user), on_user);
}
