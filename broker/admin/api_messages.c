/* Messages that are moved: from a queue to another, to an exchange, or back to where they died (port/move.h). */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/note.h"
#include "broker/admin/topology.h"
#include "broker/admin/visitor.h"
#include "broker/port/move.h"

enum {
    MOVED_MAX = 4096,    /* messages that one request moves: whoever wants more asks again */
    LOOK_AGAIN_MS = 2,   /* while messages come from disk */
    LOOK_AGAIN_MAX = 500 /* times in a row without one */
};

/* ---- What was asked. */

static struct bytes mover(const struct request *r)
{
    return r->visitor != NULL ? r->visitor->name : (struct bytes){0};
}

static bool read_number(struct request *r, const char *name, uint64_t *value)
{
    int64_t n = (int64_t)*value;
    if (!request_integer(r, name, &n))
        return false;
    if (n < 0) {
        request_refuse(r, "%s is negative", name);
        return false;
    }
    *value = (uint64_t)n;
    return true;
}

/* "to" says what is meant; without it the names do. */
static bool read_destination(struct request *r, struct move *m)
{
    struct bytes to, queue, exchange, key;
    if (!request_text(r, "to", &to) || !request_text(r, "queue", &queue) || !request_text(r, "exchange", &exchange) ||
        !request_text(r, "routing_key", &key))
        return false;
    if (to.at == NULL)
        to = exchange.at != NULL ? BYTES("exchange") : BYTES("queue");
    m->exchange = topology_exchange(exchange);
    m->key = key;
    if (bytes_equal(to, BYTES("x-death-origin"))) {
        m->to = MOVE_TO_ORIGIN;
    } else if (bytes_equal(to, BYTES("x-death-exchange"))) {
        m->to = MOVE_TO_ORIGIN_EXCHANGE;
    } else if (bytes_equal(to, BYTES("exchange")) && exchange.at != NULL) {
        m->to = MOVE_TO_EXCHANGE;
    } else if (bytes_equal(to, BYTES("queue")) && queue.at != NULL) {
        m->to = MOVE_TO_QUEUE;
        m->key = queue;
    } else {
        request_refuse(r, "where to? \"queue\" or \"exchange\" must be named, or \"to\" be x-death-origin or "
                          "x-death-exchange");
        return false;
    }
    return true;
}

/* "match": {"routing_key": …, "headers": {…}, "payload": …}: the table of headers is the caller's to free. */
static bool read_match(struct request *r, struct move *m, void **headers)
{
    const json_t *match = request_member(r, "match"), *wanted = json_object_get(match, "headers");
    const json_t *key = json_object_get(match, "routing_key"), *payload = json_object_get(match, "payload");
    char *error = NULL;
    *headers = NULL;
    bool is_fine =
        match == NULL || (json_is_object(match) && (key == NULL || json_is_string(key)) &&
                          (payload == NULL || json_is_string(payload)) && (wanted == NULL || json_is_object(wanted)));
    if (!is_fine) {
        request_refuse(r, "match is an object with routing_key, headers (an object) and payload");
        return false;
    }
    if (wanted != NULL)
        *headers = json_make_table(wanted, &m->match_headers, &error);
    if (error != NULL) {
        request_refuse(r, "%s", error);
        free(error);
        return false;
    }
    if (key != NULL)
        m->match_key = json_text(key);
    m->match_body = json_text(payload);
    return true;
}

/* ---- One command after the other.  r->number: how many it has moved, r->more: how many it may move. */

static void move_more(struct request *r);
static void delete_one(struct request *r);

static json_t *result_of(const struct request *r)
{
    const struct move *m = r->move;
    json_t *o = json_object();
    json_set(o, "moved", json_integer(r->number));
    json_set(o, "bytes", json_integer((json_int_t)r->moved_bytes));
    json_set(o, "kept", json_integer((json_int_t)r->kept));
    json_set(o, "done", json_boolean(m->is_over));
    if (m->is_rehearsal)
        json_set(o, "dry_run", json_true());
    json_set(o, "waiting", json_boolean(m->is_waiting));
    json_set(o, "position", json_integer((json_int_t)m->position));
    json_set(o, "end", json_integer((json_int_t)m->end));
    if (m->stopped != NULL)
        json_set(o, "stopped", json_of_text(bytes_of_string(m->stopped)));
    return o;
}

static void answer(struct request *r)
{
    const struct move *m = r->move;
    if (r->number > 0 && !m->is_rehearsal)
        log_info("admin", "%s has moved %lld messages out of queue '%.*s' in vhost '%.*s'", r->actor,
                 (long long)r->number, BYTES_ARG(m->queue), BYTES_ARG(m->vhost));
    if (!m->is_rehearsal && (r->number > 0 || m->stopped != NULL))
        note_move(r, m, (uint64_t)r->number);
    request_reply(r, HTTP_STATUS_OK, result_of(r));
}

static void on_moved(struct request *r, struct event *e)
{
    if (e->what != DONE) {
        note_move_refused(r, e->failed.text);
        if (e->failed.reason == NO_SUCH_QUEUE || e->failed.reason == NO_SUCH_EXCHANGE)
            request_fail(r, HTTP_STATUS_NOT_FOUND, "not_found", "%s", e->failed.text);
        else
            request_answer_failure(r, e);
        return;
    }
    struct move *m = r->move = e->done.move;
    e->done.move = NULL;
    r->number += (int64_t)m->moved;
    r->moved_bytes += m->bytes;
    r->kept += m->kept;
    r->idle = m->is_waiting && m->moved + m->kept == 0 ? r->idle + 1 : 0;
    if (m->is_over || r->number >= r->more || r->idle > LOOK_AGAIN_MAX)
        answer(r);
    else if (m->is_waiting)
        request_wait(r, LOOK_AGAIN_MS, move_more);
    else
        move_more(r);
}

static void move_more(struct request *r)
{
    struct move *m = r->move;
    uint64_t left = (uint64_t)(r->more - r->number);
    r->move = NULL;
    m->limit = left < MOVES_MAX ? (uint32_t)left : MOVES_MAX;
    request_move(r, m, on_moved);
}

void queues_move(struct request *r)
{
    struct move what = {.vhost = r->param[0], .queue = r->param[1], .user = mover(r)};
    uint64_t limit = MOVED_MAX;
    if (!read_destination(r, &what) || !request_flag(r, "drop_history", &what.drops_history) ||
        !read_number(r, "limit", &limit) || !read_number(r, "position", &what.position) ||
        !read_number(r, "end", &what.end) || !request_flag(r, "dry_run", &what.is_rehearsal))
        return;
    if (limit == 0) {
        request_refuse(r, "limit is 0");
        return;
    }
    void *headers;
    if (!read_match(r, &what, &headers))
        return;
    r->more = limit < MOVED_MAX ? (int64_t)limit : MOVED_MAX;
    r->move = move_create(&what);
    free(headers);
    move_more(r);
}

/* ---- One message. */

static void on_deleted(struct request *r, struct event *e)
{
    if (e->what != DONE) {
        note_move_refused(r, e->failed.text);
        if (e->failed.reason == NO_SUCH_QUEUE)
            request_not_found(r);
        else
            request_answer_failure(r, e);
        return;
    }
    struct move *m = r->move = e->done.move;
    e->done.move = NULL;
    if (m->stopped != NULL) {
        note_move_refused(r, m->stopped);
        request_refuse(r, "%s", m->stopped);
    } else if (m->moved > 0) {
        note_move(r, m, m->moved);
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
    } else if (m->is_over) {
        request_not_found(r);
    } else if (r->idle++ > LOOK_AGAIN_MAX) {
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "not_available", "there are too many messages before it");
    } else {
        request_wait(r, LOOK_AGAIN_MS, delete_one);
    }
}

static void delete_one(struct request *r)
{
    struct move *m = r->move;
    r->move = NULL;
    request_move(r, m, on_deleted);
}

void queues_delete_message(struct request *r)
{
    struct move what = {
        .to = MOVE_TO_NOTHING, .vhost = r->param[0], .queue = r->param[1], .user = mover(r), .limit = 1};
    for (size_t i = 0; i < r->param[2].len; i++) {
        uint8_t digit = r->param[2].at[i] - '0';
        if (digit > 9 || what.position > INT64_MAX / 10 - 1) {
            request_refuse(r, "the position is no number");
            return;
        }
        what.position = what.position * 10 + digit;
    }
    what.end = what.position + 1;
    r->move = move_create(&what);
    delete_one(r);
}
