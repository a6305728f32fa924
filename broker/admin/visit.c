#include "broker/admin/visit.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/error.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"
#include "broker/port/spec.h"

static struct command *visit_tell(struct visit *v, enum verb verb)
{
    const struct origin from = {.outlet = v->id, .stream = 0, .channel = 1};
    return outbox_add(&v->admin->outbox, verb, from, 0);
}

static void visit_destroy(struct visit *v)
{
    slots_give(&v->admin->visits, v->id.slot);
    v->admin->n_visits--;
    json_decref(v->items);
    json_decref(v->body);
    free(v->tickets);
    free(v);
}

/* ---- Coming. */

static void on_refused(struct request *r, const struct event *e)
{
    if (e->failed.reason == NO_SUCH_VHOST && r->method == EVHTTP_REQ_GET)
        visit_fail(r, HTTP_STATUS_NOT_FOUND, "Object Not Found", "Not Found");
    else if (e->failed.reason == NO_SUCH_VHOST)
        visit_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", "vhost_not_found");
    else if (e->failed.reason == NO_ACCESS)
        visit_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "User not authorised to access virtual host");
    else
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", e->failed.text);
}

static void on_begun(struct request *r, struct event *e)
{
    if (e->what == FAILED) {
        on_refused(r, e);
        return;
    }
    r->visit->is_attached = true;
    if (e->verb == ATTACH && e->done.is_counted)
        visit_ask(r, OPEN, on_begun); /* its channel is counted, too */
    else
        r->visit->begun(r);
}

void visit_begin(struct request *r, struct bytes vhost, request_fn *begun)
{
    struct admin *a = r->admin;
    if (a->n_visits == VISITS_MAX) {
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "not_available", "too many messages are published and got at once");
        return;
    }
    struct visit *v = alloc_zeroed(sizeof *v);
    v->admin = a;
    v->request = r;
    v->id.slot = slots_take(&a->visits, v, &v->id.generation);
    v->begun = begun;
    v->items = json_array();
    a->n_visits++;
    r->visit = v;
    const struct spec who = {
        .name = vhost, .source = r->visitor != NULL ? r->visitor->name : (struct bytes){0}, .hidden = true};
    visit_ask(r, ATTACH, on_begun)->spec = spec_create(&who);
}

struct command *visit_ask(struct request *r, enum verb verb, answer_fn *then)
{
    struct visit *v = r->visit;
    CHECK(v->on_answer == NULL && !v->is_leaving);
    v->on_answer = then;
    return visit_tell(v, verb);
}

void visit_settle_all(struct request *r, enum outcome outcome)
{
    struct visit *v = r->visit;
    for (size_t i = 0; i < v->n;) {
        struct command *c = visit_tell(v, SETTLE);
        size_t more = v->n - i - 1 < SETTLE_MORE_MAX ? v->n - i - 1 : SETTLE_MORE_MAX;
        c->settle.ticket = v->tickets[i];
        c->settle.outcome = outcome;
        c->settle.more_count = (uint32_t)more;
        c->settle.more = NULL;
        if (more > 0) { // cppcheck-suppress knownConditionTrueFalse
            c->settle.more = alloc_array(NULL, more, sizeof(ticket));
            memcpy(c->settle.more, v->tickets + i + 1, more * sizeof(ticket));
        }
        i += more + 1;
    }
    v->n = 0;
}

/* ---- Going. */

/* The answer to the visit's request, which is gone then, and the visit with it. */
static void answer(struct visit *v)
{
    struct request *r = v->request;
    json_t *body = v->body;
    enum http_status status = v->status;
    v->body = NULL;
    visit_destroy(v);
    if (r == NULL) {
        json_decref(body);
        return;
    }
    r->visit = NULL;
    request_reply(r, status, body);
}

void visit_leave(struct request *r, enum http_status status, json_t *body)
{
    struct visit *v = r->visit;
    v->status = status;
    v->body = body;
    v->is_leaving = true;
    v->on_answer = NULL;
    if (v->is_attached)
        visit_tell(v, DETACH);
    else
        answer(v);
}

void visit_fail(struct request *r, enum http_status status, const char *error, const char *reason)
{
    json_t *o = json_object();
    json_set(o, "error", json_string(error));
    json_set(o, "reason", json_of_text(bytes_of_string(reason)));
    visit_leave(r, status, o);
}

void visit_refuse(struct request *r, const struct event *failed, uint32_t method_id, bool is_bad_request)
{
    struct error *e = error_of_event(failed, method_id);
    if (is_bad_request) {
        char *reason = str_format("%u %s", e->kind->code, e->text);
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", reason);
        free(reason);
    } else if (e->kind == AMQP_ACCESS_REFUSED) {
        visit_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", e->text);
    } else if (e->kind == AMQP_NOT_FOUND) {
        visit_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", e->text);
    } else {
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", e->text);
    }
    free(e);
}

void visit_abandon(struct visit *v)
{
    if (v == NULL)
        return;
    v->request = NULL;
    v->on_answer = NULL;
    if (!v->is_leaving)
        visit_tell(v, DETACH); /* carried out behind ATTACH, if that is under way still */
    v->is_leaving = true;
}

/* ---- What comes. */

void visit_on_event(struct admin *a, struct event *e)
{
    struct visit *v = slots_find(&a->visits, e->to.outlet.slot, e->to.outlet.generation);
    if (v == NULL)
        return;
    if (e->what == DETACHED) {
        answer(v);
    } else if (e->what == EXPELLED && !v->is_leaving) {
        visit_fail(v->request, HTTP_STATUS_BAD, "bad_request", e->expelled.text);
    } else if (e->what == RETURNED) {
        v->was_returned = true;
    } else if (e->what != EXPELLED && e->what != SLOWED && v->on_answer != NULL) {
        answer_fn *then = v->on_answer;
        v->on_answer = NULL;
        then(v->request, e);
    }
}

void visits_fini(struct admin *a)
{
    for (uint32_t i = 0; i < a->visits.count; i++)
        if (a->visits.at[i].item != NULL)
            visit_destroy(a->visits.at[i].item);
    slots_fini(&a->visits);
}
