/* What is published and got over HTTP (reference operations 1.9.11), and the test that does both. */
#include <stdlib.h>
#include <string.h>

#include "amqp/publish.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/envelope.h"
#include "broker/admin/json.h"
#include "broker/admin/topology.h"
#include "broker/admin/visit.h"
#include "broker/admin/visitor.h"
#include "broker/net/hub.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/method.h"

enum {
    GOT_MAX = 10000, /* messages of one answer … */
    GOT_BYTES_MAX =
        64 << 20, /* … and bytes of their payloads, as they are shown; the one that goes beyond is the last */
};

/* True: a client would be blocked, and this is answered. */
static bool is_blocked(struct request *r)
{
    if ((hub_alarms(request_hub(r)) & ALARMS_TOLD) == 0)
        return false;
    request_fail(r, HTTP_STATUS_UNAVAILABLE, "not_available",
                 "a resource alarm is on: nothing is published until it clears");
    return true;
}

/* ---- Publish. */

static void on_published(struct request *r, struct event *e)
{
    if (e->what == FAILED) {
        visit_refuse(r, e, METHOD_basic_publish, true);
        return;
    }
    if (e->what == REFUSED) {
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", "rejected Unable to publish message. Check queue limits.");
        return;
    }
    json_t *o = json_object();
    json_set(o, "routed", json_boolean(!r->visit->was_returned));
    visit_leave(r, HTTP_STATUS_OK, o);
}

/* Sends it; NULL: malformed properties. */
static void publish_it(struct request *r, struct bytes exchange, struct bytes key, struct bytes properties,
                       struct bytes payload, answer_fn *then)
{
    const struct message_spec names = {.exchange = exchange, .routing_key = key};
    char *user = r->visitor != NULL ? str_copy(r->visitor->name) : str_copy(BYTES("")), *objection;
    bool impersonates;
    struct message *m = publish_make(user, &names, properties, payload, &objection, &impersonates);
    free(user);
    CHECK(m != NULL);
    struct command *c = visit_ask(r, PUBLISH, then);
    c->publish.msg = m;
    c->publish.objection = objection;
    c->publish.impersonates = impersonates;
    c->publish.mandatory = true;
    c->publish.confirm = true;
}

/* The payload, which the caller frees if it was made; false: it was answered. */
static bool read_payload(struct request *r, struct bytes *payload, uint8_t **made)
{
    struct bytes text = json_text(request_member(r, "payload")), encoding;
    *made = NULL;
    *payload = text;
    if (!json_is_string(request_member(r, "payload"))) {
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", "payload_not_string");
        return false;
    }
    encoding = json_text(request_member(r, "payload_encoding"));
    if (bytes_equal(encoding, BYTES("string")))
        return true;
    const char *what = "unsupported_encoding";
    if (bytes_equal(encoding, BYTES("base64"))) {
        what = "not_base64";
        *made = envelope_decode(text, &payload->len);
        payload->at = *made;
    }
    if (*made != NULL)
        return true;
    enum { SHOWN_MAX = 64 };
    struct bytes shown = what[0] == 'n' ? text : encoding;
    char *why = str_format("[%s,%.*s]", what, (int)(shown.len < SHOWN_MAX ? shown.len : SHOWN_MAX), shown.at);
    visit_fail(r, HTTP_STATUS_BAD, "bad_request", why);
    free(why);
    return false;
}

static void publish_body(struct request *r)
{
    char *why = NULL;
    struct bytes payload, encoded, key = json_text(request_member(r, "routing_key"));
    uint8_t *made;
    if (!read_payload(r, &payload, &made))
        return;
    void *properties = envelope_read_properties(request_member(r, "properties"), &encoded, &why);
    if (properties == NULL)
        visit_fail(r, HTTP_STATUS_BAD, "bad_request", why);
    else
        publish_it(r, topology_exchange(r->param[1]), key, encoded, payload, on_published);
    free(properties);
    free(why);
    free(made);
}

void exchanges_publish(struct request *r)
{
    static const char *const names[] = {"routing_key", "properties", "payload", "payload_encoding", NULL};
    enum { NAME_MAX_BYTES = 255 };
    struct bytes key;
    const json_t *properties;
    if (!request_has_all(r, names) || !request_text(r, "routing_key", &key))
        return;
    properties = request_member(r, "properties");
    bool is_empty = json_is_array(properties) && json_array_size(properties) == 0;
    if (properties != NULL && !json_is_object(properties) && !is_empty)
        request_refuse(r, "[not_object,properties]");
    else if (key.len > NAME_MAX_BYTES || r->param[1].len > NAME_MAX_BYTES)
        request_refuse(r, "a routing key, and a name, has at most %d bytes", NAME_MAX_BYTES);
    else if (!is_blocked(r))
        visit_begin(r, r->param[0], publish_body);
}

/* ---- Get. */

enum ack_mode { ACK_REQUEUE_TRUE, ACK_REQUEUE_FALSE, REJECT_REQUEUE_TRUE, REJECT_REQUEUE_FALSE, ACK_MODES };
static const char *const ack_words[ACK_MODES] = {"ack_requeue_true", "ack_requeue_false", "reject_requeue_true",
                                                 "reject_requeue_false"};
static const enum outcome ack_outcomes[ACK_MODES] = {REQUEUED, ACCEPTED, REQUEUED, REJECTED};

/* r->more: the mode, and this if payloads are always in base64; r->number: how many are to be got still; r->kept: where
 * payloads are cut. */
enum { ALL_IN_BASE64 = 1 << 8 };

/* Some clients that are very old say {"requeue": true} instead. */
static bool read_mode(struct request *r)
{
    struct bytes text;
    bool requeues = true;
    if (!request_text(r, "ackmode", &text) || !request_flag(r, "requeue", &requeues))
        return false;
    if (text.at == NULL && request_member(r, "requeue") == NULL) {
        request_refuse(r, "[{key_missing,ackmode}]"); /* it is null */
        return false;
    }
    r->more = requeues ? ACK_REQUEUE_TRUE : ACK_REQUEUE_FALSE;
    for (r->more = text.at != NULL ? 0 : r->more; text.at != NULL && r->more < ACK_MODES; r->more++)
        if (bytes_equal(text, bytes_of_string(ack_words[r->more])))
            break;
    if (r->more == ACK_MODES)
        request_refuse(r,
                       "Invalid ackmode value: '%.*s'. It must be one of ack_requeue_true, ack_requeue_false, "
                       "reject_requeue_true, reject_requeue_false",
                       BYTES_ARG(text));
    return r->more < ACK_MODES;
}

static bool read_get(struct request *r)
{
    static const char *const names[] = {"ackmode", "count", "encoding", NULL};
    bool is_old = r->body != NULL && json_object_get(r->body, "requeue") != NULL;
    struct bytes encoding;
    int64_t truncate = INT64_MAX;
    if (!request_has_all(r, is_old ? names + 1 : names))
        return false;
    if (request_member(r, "count") == NULL) {
        request_refuse(r, "[not_int,count]");
        return false;
    }
    if (!request_integer(r, "count", &r->number) || !request_integer(r, "truncate", &truncate) || !read_mode(r) ||
        !request_need_text(r, "encoding", &encoding))
        return false;
    bool is_base64 = bytes_equal(encoding, BYTES("base64"));
    if (!is_base64 && !bytes_equal(encoding, BYTES("auto"))) {
        request_refuse(r, "Unsupported encoding. Please use auto or base64.");
        return false;
    }
    r->more |= is_base64 ? ALL_IN_BASE64 : 0;
    r->kept = truncate >= 0 ? (uint64_t)truncate : 0;
    if (r->number < 0 || r->number > GOT_MAX) /* RabbitMQ takes less than nothing for all that there is */
        r->number = GOT_MAX;
    return true;
}

/* The first so many bytes of the body, which the caller frees. */
static uint8_t *copy_body(const struct message *m, uint64_t limit, size_t *len)
{
    uint64_t room = m->body_size < limit ? m->body_size : limit;
    uint8_t *to = alloc(room + 1);
    struct body_walk w = message_walk(m);
    *len = 0;
    for (struct bytes b; *len < room && (b = body_walk_next(&w)).len > 0;) {
        size_t n = b.len < room - *len ? b.len : (size_t)(room - *len);
        memcpy(to + *len, b.at, n);
        *len += n;
    }
    return to;
}

static json_t *message_of(struct request *r, const struct event *e)
{
    const struct message *m = e->delivered.msg;
    json_t *o = json_object();
    size_t len;
    uint8_t *body = copy_body(m, r->kept, &len);
    json_set(o, "payload_bytes", json_integer((json_int_t)m->body_size));
    json_set(o, "redelivered", json_boolean(e->delivered.redelivered));
    json_set(o, "exchange", json_of_text(message_exchange(m)));
    json_set(o, "routing_key", json_of_text(message_key(m)));
    json_set(o, "message_count", json_integer(e->delivered.messages));
    json_set(o, "properties", envelope_properties(message_properties(m)));
    if ((r->more & ALL_IN_BASE64) != 0)
        envelope_set_base64(o, bytes_of(body, len));
    else
        envelope_set_payload(o, bytes_of(body, len));
    free(body);
    r->visit->bytes += len;
    return o;
}

static void keep(struct visit *v, const struct event *e, json_t *item)
{
    if (v->n == v->capacity) {
        v->capacity = alloc_grown(v->capacity, v->n + 1);
        v->tickets = alloc_array(v->tickets, v->capacity, sizeof *v->tickets);
    }
    v->tickets[v->n++] = e->delivered.ticket;
    json_add(v->items, item);
}

/* Whoever has gone meanwhile takes nothing along: it goes back as if nobody had asked. */
static void end_get(struct request *r)
{
    json_t *items = r->visit->items;
    r->visit->items = NULL;
    visit_settle_all(r, r->http != NULL ? ack_outcomes[r->more & ~ALL_IN_BASE64] : HANDED_BACK);
    visit_leave(r, HTTP_STATUS_OK, items);
}

static void get_next(struct request *r);

static void on_got(struct request *r, struct event *e)
{
    struct visit *v = r->visit;
    if (e->what == FAILED) {
        visit_refuse(r, e, METHOD_basic_get, false);
        return;
    }
    if (e->what == GOT)
        keep(v, e, message_of(r, e));
    if (e->what == GOT && --r->number > 0 && v->bytes < GOT_BYTES_MAX && r->http != NULL)
        get_next(r);
    else
        end_get(r);
}

static void get_next(struct request *r)
{
    visit_ask(r, GET, on_got)->spec = spec_create(&(struct spec){.name = r->param[1]});
}

/* With a count of 0 nothing is got; but whether one may is looked at. */
static void begin_get(struct request *r)
{
    if (r->number > 0)
        get_next(r);
    else
        end_get(r);
}

void queues_fetch(struct request *r)
{
    if (read_get(r))
        visit_begin(r, r->param[0], begin_get);
}

/* ---- Is it alive? */

#define ALIVENESS BYTES("aliveness-test")

static void on_alive(struct request *r, struct event *e)
{
    if (e->what == GOT) {
        keep(r->visit, e, json_null());
        visit_settle_all(r, ACCEPTED);
    }
    json_t *o = json_object();
    json_set(o, "status", json_string("ok"));
    if (e->what == FAILED) {
        json_decref(o);
        visit_refuse(r, e, METHOD_basic_get, false);
    } else {
        visit_leave(r, HTTP_STATUS_OK, o);
    }
}

static void on_sent(struct request *r, struct event *e)
{
    if (e->what == FAILED)
        visit_refuse(r, e, METHOD_basic_publish, false);
    else
        visit_ask(r, GET, on_alive)->spec = spec_create(&(struct spec){.name = ALIVENESS});
}

static void on_declared(struct request *r, struct event *e)
{
    if (e->what == FAILED)
        visit_refuse(r, e, METHOD_queue_declare, false);
    else
        publish_it(r, BYTES(""), ALIVENESS, bytes_of("\0\0", 2), BYTES("test_message"), on_sent);
}

static void declare_test(struct request *r)
{
    struct spec spec = {.name = ALIVENESS};
    spec.options = queue_options_none;
    visit_ask(r, DECLARE_QUEUE, on_declared)->spec = spec_create(&spec);
}

void vhosts_aliveness(struct request *r)
{
    if (!is_blocked(r))
        visit_begin(r, r->param[0], declare_test);
}
