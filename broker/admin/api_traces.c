/* Traces: what happens to the messages of a queue or an exchange, asked for again and again (model/observer.h). */
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/note.h"
#include "broker/admin/topology.h"

enum { DIGITS_MAX = 19 };

static void fail(struct request *r, const struct event *e)
{
    if (e->failed.reason == NO_SUCH_QUEUE || e->failed.reason == NO_SUCH_EXCHANGE || e->failed.reason == BAD_ARGUMENT ||
        e->failed.reason == NO_SUCH_VHOST)
        request_not_found(r);
    else if (e->failed.reason == TOO_MUCH)
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "too_many", "%s", e->failed.text);
    else
        request_answer_failure(r, e);
}

static void on_begun(struct request *r, struct event *e)
{
    if (e->what != DONE) {
        fail(r, e);
        return;
    }
    const struct inspection *i = e->done.inspection;
    note_trace(r, i->trace.of_exchange ? "exchange" : "queue", i->vhost, i->name);
    json_t *o = json_object();
    json_set(o, "id", json_integer((json_int_t)i->cursor));
    json_set(o, "vhost", json_of_text(i->vhost));
    json_set(o, "name", json_of_text(i->name));
    json_set(o, "kind", json_string(i->trace.of_exchange ? "exchange" : "queue"));
    request_reply(r, HTTP_STATUS_CREATED, o);
}

static void begin(struct request *r, bool of_exchange)
{
    int64_t payload_bytes = 0;
    struct bytes name = of_exchange ? topology_exchange(r->param[1]) : r->param[1];
    if (!request_integer(r, "payload_bytes", &payload_bytes))
        return;
    if (payload_bytes < 0 || payload_bytes > UINT32_MAX) {
        request_refuse(r, "payload_bytes is out of range");
        return;
    }
    struct inspection *i = inspection_create(INSPECT_TRACE, &r->param[0], &name);
    i->trace.of_exchange = of_exchange;
    i->trace.payload_bytes = (uint32_t)payload_bytes;
    request_inspect(r, i, on_begun);
}

void traces_queue(struct request *r)
{
    begin(r, false);
}

void traces_exchange(struct request *r)
{
    begin(r, true);
}

/* The trace that the path names; NULL: it was answered. */
static struct inspection *named(struct request *r)
{
    uint64_t id = 0;
    struct bytes text = r->param[1];
    bool is_number = text.len > 0 && text.len < DIGITS_MAX;
    for (size_t i = 0; i < text.len && is_number; i++) {
        is_number = text.at[i] >= '0' && text.at[i] <= '9';
        id = id * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (!is_number || id == 0) {
        request_not_found(r);
        return NULL;
    }
    struct inspection *i = inspection_create(INSPECT_TRACE, &r->param[0], NULL);
    i->cursor = id;
    return i;
}

static void on_read(struct request *r, struct event *e)
{
    if (e->what != DONE) {
        fail(r, e);
        return;
    }
    const struct inspection *page = e->done.inspection;
    json_t *o = json_object(), *items = json_array();
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row);)
        json_add(items, json_of_table(row));
    json_set(o, "items", items);
    request_reply(r, HTTP_STATUS_OK, o);
}

void traces_get(struct request *r)
{
    struct inspection *i = named(r);
    if (i != NULL)
        request_inspect(r, i, on_read);
}

static void on_ended(struct request *r, struct event *e)
{
    if (e->what != DONE)
        fail(r, e);
    else
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void traces_delete(struct request *r)
{
    struct inspection *i = named(r);
    if (i == NULL)
        return;
    i->trace.ends = true;
    request_inspect(r, i, on_ended);
}
