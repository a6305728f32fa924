#define _GNU_SOURCE
#include "broker/admin/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "broker/admin/browser.h"
#include "broker/admin/definitions.h"
#include "broker/admin/http.h"
#include "broker/admin/identify.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/metrics.h"
#include "broker/admin/note.h"
#include "broker/admin/pack.h"
#include "broker/admin/state.h"
#include "broker/admin/ticker.h"
#include "broker/admin/visit.h"
#include "broker/admin/visitor.h"
#include "broker/port/move.h"

/* ---- What was asked. */

json_t *request_member(const struct request *r, const char *name)
{
    json_t *value = r->body != NULL ? json_object_get(r->body, name) : NULL;
    return json_is_null(value) ? NULL : value;
}

bool request_text(struct request *r, const char *name, struct bytes *text)
{
    const json_t *value = request_member(r, name);
    *text = (struct bytes){0};
    if (value == NULL)
        return true;
    if (!json_is_string(value)) {
        request_refuse(r, "[not_string,%s]", name);
        return false;
    }
    *text = json_text(value);
    return true;
}

bool request_need_text(struct request *r, const char *name, struct bytes *text)
{
    if (!request_text(r, name, text))
        return false;
    if (text->at != NULL)
        return true;
    request_refuse(r, "[{key_missing,%s}]", name); /* text may be a part of r, which has gone now */
    return false;
}

bool request_has_all(struct request *r, const char *const *names)
{
    char *missing = NULL;
    for (; *names != NULL; names++) {
        if (r->body != NULL && json_object_get(r->body, *names) != NULL)
            continue;
        char *more =
            str_format("%s%s{key_missing,%s}", missing != NULL ? missing : "", missing != NULL ? "," : "", *names);
        free(missing);
        missing = more;
    }
    if (missing == NULL)
        return true;
    request_refuse(r, "[%s]", missing);
    free(missing);
    return false;
}

bool request_flag(struct request *r, const char *name, bool *value)
{
    const json_t *member = request_member(r, name);
    struct bytes text = json_text(member);
    if (member == NULL)
        return true;
    if (json_is_true(member) || bytes_equal(text, BYTES("true"))) {
        *value = true;
    } else if (json_is_false(member) || bytes_equal(text, BYTES("false"))) {
        *value = false;
    } else {
        request_refuse(r, "[not_boolean,%s]", name);
        return false;
    }
    return true;
}

bool request_integer(struct request *r, const char *name, int64_t *value)
{
    enum { DECIMAL = 10 };
    const json_t *member = request_member(r, name);
    if (member == NULL)
        return true;
    const char *text = json_string_value(member);
    char *end = NULL;
    errno = 0;
    long long parsed = text != NULL && *text != '\0' ? strtoll(text, &end, DECIMAL) : 0;
    if (json_is_integer(member)) {
        *value = json_integer_value(member);
    } else if (end != NULL && *end == '\0' && errno == 0) {
        *value = parsed;
    } else {
        request_refuse(r, "[not_int,%s]", name);
        return false;
    }
    return true;
}

const char *request_query(const struct request *r, const char *name)
{
    return evhttp_find_header(&r->query, name);
}

bool request_query_flag(const struct request *r, const char *name)
{
    const char *value = request_query(r, name);
    return value != NULL && strcmp(value, "true") == 0;
}

const char *request_header(const struct request *r, const char *name)
{
    return r->http == NULL ? NULL : http_header(r->http, name);
}

const struct admin_config *request_config(const struct request *r)
{
    return &r->admin->config;
}

const struct hub *request_hub(const struct request *r)
{
    return r->admin->hub;
}

uint64_t request_uptime_ms(const struct request *r)
{
    return clock_ms() - r->admin->started_ms;
}

/* ---- Its end. */

static void end_turn(struct request *r)
{
    struct admin *a = r->admin;
    bool had_turn = r->has_turn;
    list_remove(&r->waiting);
    r->has_turn = false;
    if (!had_turn || list_is_empty(&a->turns))
        return;
    struct request *next = item_of(a->turns.ring.next, struct request, waiting);
    next->has_turn = true;
    ticker_set(next->ticker, 0); /* not from within another one's answer */
}

void request_forget_text(struct request *r)
{
    union {
        const uint8_t *text;
        void *own;
    } secret = {.text = r->text.at};
    if (r->text.len > 0)
        explicit_bzero(secret.own, r->text.len);
    free(secret.own);
    r->text = (struct bytes){0};
}

void request_destroy(struct request *r)
{
    if (r == NULL)
        return;
    if (r->http != NULL)
        http_set_owner(r->http, NULL);
    slots_give(&r->admin->requests, r->slot);
    end_turn(r);
    ticker_destroy(r->ticker);
    listing_destroy(r->listing);
    metrics_destroy(r->metrics);
    json_decref(r->before);
    json_decref(r->warnings);
    move_destroy(r->move);
    definitions_writer_destroy(r->writer);
    visit_abandon(r->visit);
    visitor_destroy(r->visitor);
    identify_forget(r->identification);
    json_wipe(json_object_get(r->body, "password")); /* what is secret does not stay in memory */
    json_decref(r->body);
    request_forget_text(r);
    evhttp_clear_headers(&r->query);
    free(r->path);
    free(r);
}

/* ---- Answers. */

void request_set_header(struct request *r, const char *name, const char *value)
{
    if (r->http != NULL)
        http_add(r->http, name, value);
}

bool request_has_header(const struct request *r, const char *name)
{
    return r->http != NULL && http_has(r->http, name);
}

void request_reply_buffer(struct request *r, enum http_status status, struct evbuffer *body)
{
    struct http_call *http = r->http;
    struct admin *a = r->admin;
    if (evbuffer_get_length(body) > 0 && !request_has_header(r, "Content-Type"))
        request_set_header(r, "Content-Type", "application/json");
    if (!request_has_header(r, "Content-Encoding") && pack_is_accepted(request_header(r, "Accept-Encoding")) &&
        pack(body))
        request_set_header(r, "Content-Encoding", "gzip");
    browser_add_headers(r);
    a->has_answered_much = a->has_answered_much || evbuffer_get_length(body) > ADMIN_TRIM_BYTES;
    request_destroy(r);
    if (http != NULL)
        http_reply(http, status, body);
    evbuffer_free(body);
}

void request_begin_reply(struct request *r, enum http_status status)
{
    browser_add_headers(r);
    r->is_writing = true;
    r->admin->has_answered_much = true;
    http_begin(r->http, status);
}

static void on_sent(void *request)
{
    struct request *r = request;
    request_fn *next = r->next;
    r->next = NULL;
    next(r);
}

void request_send(struct request *r, struct evbuffer *piece, request_fn *then)
{
    r->next = then;
    http_write(r->http, piece, on_sent);
}

void request_end_reply(struct request *r)
{
    struct http_call *http = r->http;
    request_destroy(r);
    http_end(http);
}

void request_reply(struct request *r, enum http_status status, json_t *body)
{
    enum { PRECISION = 17 };
    struct evbuffer *buffer = evbuffer_new();
    CHECK(buffer != NULL);
    if (body != NULL) {
        char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(PRECISION));
        CHECK(text != NULL);
        evbuffer_add(buffer, text, strlen(text));
        free(text);
        json_decref(body);
    }
    request_reply_buffer(r, status, buffer);
}

/* Takes the text. */
static void reply_error(struct request *r, enum http_status status, const char *error, char *text)
{
    json_t *body = json_object();
    json_set(body, "error", json_string(error));
    json_set(body, "reason", json_of_text(bytes_of_string(text)));
    free(text);
    request_reply(r, status, body);
}

void request_fail(struct request *r, enum http_status status, const char *error, const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    CHECK(vasprintf(&text, format, args) >= 0);
    va_end(args);
    reply_error(r, status, error, text);
}

void request_refuse(struct request *r, const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    CHECK(vasprintf(&text, format, args) >= 0);
    va_end(args);
    reply_error(r, HTTP_STATUS_BAD, "bad_request", text);
}

void request_not_found(struct request *r)
{
    request_fail(r, HTTP_STATUS_NOT_FOUND, "Object Not Found", "Not Found");
}

/* ---- The model. */

static struct command *request_ask(struct request *r, enum verb verb, answer_fn *then)
{
    const struct origin desk = {.outlet = {.slot = r->slot, .generation = DESK_GENERATION}};
    CHECK(r->on_answer == NULL);
    r->on_answer = then;
    return outbox_add(&r->admin->outbox, verb, desk, r->generation);
}

void request_alter(struct request *r, struct changes *c, answer_fn *then)
{
    if (r->visitor != NULL)
        c->user = str_copy(r->visitor->name);
    request_ask(r, ALTER, then)->changes = c;
}

void request_alter_as_administrator(struct request *r, struct changes *c, answer_fn *then)
{
    request_ask(r, ALTER, then)->changes = c;
}

void request_inspect(struct request *r, struct inspection *i, answer_fn *then)
{
    bool is_asked = i->what == INSPECT_MESSAGES || i->what == INSPECT_UNACKED || i->what == INSPECT_TRACE;
    if (r->visitor != NULL && is_asked && i->user == NULL)
        i->user = str_copy(r->visitor->name);

    request_ask(r, INSPECT, then)->inspection = i;
}

void request_move(struct request *r, struct move *m, answer_fn *then)
{
    request_ask(r, MOVE, then)->move = m;
}

void request_expel(struct request *r, const struct spec *whom, uint32_t limit, answer_fn *then)
{
    struct command *c = request_ask(r, EXPEL, then);
    c->expel.spec = spec_create(whom);
    c->expel.limit = limit;
}

void request_prefetch(struct request *r, const struct spec *whom, uint16_t channel, uint32_t limit, answer_fn *then)
{
    struct command *c = request_ask(r, PREFETCH, then);
    c->prefetch.spec = spec_create(whom);
    c->prefetch.channel = channel;
    c->prefetch.limit = limit;
}

void request_cancel(struct request *r, const struct spec *whom, uint16_t channel, answer_fn *then)
{
    struct command *c = request_ask(r, CANCEL, then);
    c->prefetch.spec = spec_create(whom);
    c->prefetch.channel = channel;
}

void request_on_event(struct request *r, struct event *e)
{
    answer_fn *then = r->on_answer;
    CHECK(then != NULL);
    r->on_answer = NULL;
    note_answer(r, e);
    then(r, e);
}

static void on_ticker(void *arg)
{
    struct request *r = arg;
    request_fn *next = r->next;
    r->next = NULL;
    if (next != NULL)
        next(r);
}

void request_wait(struct request *r, uint64_t ms, request_fn *next)
{
    r->next = next;
    if (r->ticker == NULL)
        r->ticker = ticker_create(r->admin->base, on_ticker, r);
    ticker_set(r->ticker, ms);
}

void request_take_turn(struct request *r, request_fn *next)
{
    bool is_free = list_is_empty(&r->admin->turns);
    list_append(&r->admin->turns, &r->waiting);
    if (is_free) {
        r->has_turn = true;
        next(r);
        return;
    }
    r->next = next;
    if (r->ticker == NULL)
        r->ticker = ticker_create(r->admin->base, on_ticker, r);
}

bool request_add_change(struct request *r, struct changes *c, enum change_kind kind, enum definition_class what,
                        const struct spec *names, json_t *arguments)
{
    struct spec spec = *names;
    char *error = NULL;
    void *table = NULL;
    if (arguments != NULL)
        table = json_make_table(arguments, &spec.arguments, &error);
    json_decref(arguments);
    if (error == NULL)
        changes_add(c, kind, what, spec_create(&spec));
    free(table);
    if (error == NULL)
        return true;
    changes_destroy(c);
    request_refuse(r, "%s", error);
    free(error);
    return false;
}

/* ---- What came of it. */

/* RabbitMQ says so where a right is missing, and where nobody has it. */
static bool is_forbidden(const char *text)
{
    return strstr(text, "reserved prefix") != NULL || strstr(text, "deletion of system exchange") != NULL ||
           strstr(text, "not permitted on the default exchange") != NULL;
}

static bool is_missing(const char *text)
{
    return strncmp(text, "no queue ", sizeof "no queue " - 1) == 0 ||
           strncmp(text, "no exchange ", sizeof "no exchange " - 1) == 0;
}

void request_refuse_access(struct request *r, const char *text)
{
    if (r->visitor != NULL)
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "Access refused.");
    else
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "Access refused. (%s)", text);
}

static void answer_skipped(struct request *r, const struct change *c)
{
    const char *text = c->text != NULL ? c->text : "not possible";
    if (is_forbidden(text))
        request_refuse_access(r, text);
    else if (is_missing(text))
        request_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", "%s", text);
    else
        request_refuse(r, "%s", text);
}

void request_answer_change(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    const struct change *c = &e->done.changes->at[0];
    switch (c->outcome) {
    case CHANGE_MADE:
        request_reply(r, HTTP_STATUS_CREATED, NULL);
        break;
    case CHANGE_CHANGED:
    case CHANGE_REMOVED:
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
        break;
    case CHANGE_NOTHING:
        if (c->kind == CHANGE_PUT || c->kind == CHANGE_UPDATE)
            request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
        else
            request_not_found(r);
        break;
    case CHANGE_SKIPPED:
        answer_skipped(r, c);
        break;
    }
}

void request_answer_failure(struct request *r, const struct event *e)
{
    if ((e->failed.reason == NO_SUCH_VHOST || e->failed.reason == NO_SUCH_EXCHANGE) && e->verb == INSPECT)
        request_not_found(r);
    else if (e->failed.reason == NO_SUCH_VHOST)
        request_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", "vhost_not_found");
    else if (e->failed.reason == NO_ACCESS)
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "User not authorised to access virtual host");
    else if (e->failed.reason == DENIED || e->failed.reason == RESERVED)
        request_refuse_access(r, e->failed.text);
    else if (e->failed.reason == NO_SUCH_USER)
        request_refuse(r, "vhost_or_user_not_found");
    else
        request_refuse(r, "%s", e->failed.text);
}

bool request_is_done(struct request *r, const struct event *e)
{
    if (e->what == DONE)
        return true;
    request_answer_failure(r, e);
    return false;
}
