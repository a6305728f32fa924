/* Where a message would go, without publishing one: the model's rows (model/explain.h) as one object. */
#include <stdlib.h>

#include "amqp/publish.h"
#include "base/alloc.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/topology.h"
#include "broker/port/message.h"
#include "codec/properties.h"

/* ---- The message that is asked about. */

/* The strings of an array in the headers, as a message has them (broker/port/message.h); answers how many. */
static uint16_t put_keys(struct pen *p, struct bytes headers, struct bytes name)
{
    struct field list, key;
    uint16_t n = 0;
    if (!table_find(headers, name, &list) || list.type != 'A')
        return 0;
    for (struct cursor c = cursor_over(list.bytes); n < UINT16_MAX && table_next_in_array(&c, &key);) {
        if (key.type != 'S')
            continue;
        pen_longstr(p, key.bytes);
        n++;
    }
    return n;
}

static struct message *make_message(struct message_spec *spec, struct bytes headers)
{
    struct field f;
    struct properties p = {.flags = PROPERTY_headers, .headers = headers};
    size_t size = properties_size(&p);
    uint8_t *encoded = alloc(size), *keys = alloc(headers.len + 1);
    struct pen w = pen_over(encoded, size), k = pen_over(keys, headers.len + 1);
    properties_encode(&w, &p);
    spec->properties = pen_written(&w);
    spec->cc_count = put_keys(&k, headers, BYTES("CC"));
    put_keys(&k, headers, BYTES("BCC"));
    spec->extra_keys = pen_written(&k);
    spec->flags = MESSAGE_HAS_HEADERS;
    if (table_find(headers, BYTES("x-dead-letter-exchange"), &f) ||
        table_find(headers, BYTES("x-dead-letter-routing-key"), &f))
        spec->flags |= MESSAGE_HAS_DEAD_LETTER;
    struct message *m = message_create_whole(spec, (struct bytes){0});
    free(encoded);
    free(keys);
    return m;
}

/* ?headers=…, an object; NULL: it was answered.  The caller owns it. */
static json_t *read_headers(struct request *r)
{
    const char *text = request_query(r, "headers");
    char *error = NULL;
    if (text == NULL || *text == '\0')
        return json_object();
    json_t *headers = json_read(bytes_of_string(text), &error);
    if (json_is_object(headers))
        return headers;
    request_refuse(r, "headers: %s", error != NULL ? error : "an object is wanted");
    json_decref(headers);
    free(error);
    return NULL;
}

static bool read_expiration(struct request *r, uint64_t *ms)
{
    const char *text = request_query(r, "expiration");
    char *why;
    if (text == NULL || publish_read_expiration(bytes_of_string(text), ms, &why))
        return true;
    request_refuse(r, "expiration: %s", why);
    free(why);
    return false;
}

/* NULL: it was answered. */
static struct message *read_message(struct request *r, struct bytes exchange)
{
    const char *key = request_query(r, "routing_key");
    struct message_spec spec = {.exchange = exchange,
                                .routing_key = bytes_of_string(key != NULL ? key : ""),
                                .expiration_ms = MESSAGE_NO_EXPIRATION};
    struct bytes table;
    char *error = NULL;
    if (exchange.len > UINT8_MAX || spec.routing_key.len > UINT8_MAX) {
        request_refuse(r, "a name is longer than 255 bytes");
        return NULL;
    }
    if (!read_expiration(r, &spec.expiration_ms))
        return NULL;
    json_t *headers = read_headers(r);
    if (headers == NULL)
        return NULL;
    void *made = json_make_table(headers, &table, &error);
    json_decref(headers);
    if (made == NULL) {
        request_refuse(r, "headers: %s", error);
        free(error);
        return NULL;
    }
    struct message *m = make_message(&spec, table);
    free(made);
    return m;
}

/* ---- The answer. */

static json_t *list_in(json_t *o, const char *key)
{
    json_t *list = json_object_get(o, key);
    if (list == NULL)
        json_set(o, key, list = json_array());
    return list;
}

/* The queue that a consumer's row or a dead letter's is about, which comes before them. */
static json_t *queue_of(json_t *answer, const json_t *row)
{
    size_t i;
    json_t *queue, *name = json_object_get(row, "queue");
    json_array_foreach(list_in(answer, "queues"), i,
                       queue) if (json_equal(json_object_get(queue, "name"), name)) return queue;
    return NULL;
}

static void take_row(json_t *answer, json_t *row)
{
    struct bytes sort = json_text_in(row, "row");
    json_t *to = NULL;
    if (bytes_equal(sort, BYTES("end"))) {
        json_object_update(answer, row);
        json_set(answer, "routed", json_boolean(json_integer_value(json_object_get(row, "reached")) > 0));
        json_object_del(answer, "row");
    } else if (bytes_equal(sort, BYTES("exchange"))) {
        to = list_in(answer, "exchanges");
    } else if (bytes_equal(sort, BYTES("binding"))) {
        to = list_in(answer, "bindings");
    } else if (bytes_equal(sort, BYTES("queue"))) {
        to = list_in(answer, "queues");
    } else {
        json_t *queue = queue_of(answer, row);
        to = queue == NULL ? NULL
                           : list_in(queue, bytes_equal(sort, BYTES("consumer")) ? "next_consumers" : "dead_letters");
    }
    json_object_del(row, "row");
    if (to != NULL)
        json_add(to, row);
    else
        json_decref(row);
}

static void on_explained(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    const struct inspection *page = e->done.inspection;
    json_t *answer = json_object();
    struct bytes row;
    json_set(answer, "vhost", json_of_text(page->vhost));
    json_set(answer, "exchange", json_of_text(page->name));
    json_set(answer, "routing_key", json_of_text(message_key(page->msg)));
    list_in(answer, "exchanges");
    list_in(answer, "bindings");
    list_in(answer, "queues");
    for (size_t at = 0; inspection_next(page, &at, &row);)
        take_row(answer, json_of_table(row));
    request_reply(r, HTTP_STATUS_OK, answer);
}

void exchanges_explain(struct request *r)
{
    struct bytes name = topology_exchange(r->param[1]);
    struct message *m = read_message(r, name);
    if (m == NULL)
        return;
    struct inspection *i = inspection_create(INSPECT_ROUTE, &r->param[0], &name);
    i->msg = m;
    request_inspect(r, i, on_explained);
}
