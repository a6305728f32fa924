/* Looking at the messages of a queue without touching them.
 *
 * What is looked for is looked for here, in pages that the model gives as they are: a request reads so many pages and
 * then says where to go on, so that neither the hub nor this thread is held up by a search through millions. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/api.h"
#include "broker/admin/envelope.h"
#include "broker/admin/json.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { PEEK_COUNT_MAX = 256, PEEK_PAGES_MAX = 16 /* of a request that searches */, PEEK_VALUE_MAX = 256 };

/* ?name=…, a number; false: it was answered. */
static bool query_number(struct request *r, const char *name, uint64_t *value)
{
    const char *text = request_query(r, name);
    char *end = NULL;
    if (text == NULL)
        return true;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n > INT64_MAX) {
        request_refuse(r, "%s is no number", name);
        return false;
    }
    *value = n;
    return true;
}

/* ---- A message. */

static json_t *message_of(struct bytes row, uint64_t truncate)
{
    static const char *const plain[] = {"position",       "exchange",   "routing_key",  "redelivered",
                                        "delivery_count", "expires_in", "payload_bytes"};
    struct field f;
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (table_find(row, bytes_of_string(plain[i]), &f))
            json_set(o, plain[i], json_of_value(&f));
    if (table_find(row, BYTES("properties"), &f))
        json_set(o, "properties", envelope_properties(f.bytes));
    if (table_find(row, BYTES("payload"), &f)) {
        if (f.bytes.len > truncate)
            f.bytes.len = (size_t)truncate;
        envelope_set_payload(o, f.bytes);
    }
    return o;
}

/* ---- What is looked for: all of the query, borrowed; NULL: anything. */

struct filter {
    const char *key, *header, *text;
    bool is_set;
    uint64_t truncate; /* bytes of a payload that are shown */
};

static struct filter filter_of(const struct request *r)
{
    struct filter f = {.key = request_query(r, "routing_key"),
                       .header = request_query(r, "header"),
                       .text = request_query(r, "contains"),
                       .truncate = UINT64_MAX};
    const char *truncate = request_query(r, "truncate");
    if (truncate != NULL)
        f.truncate = strtoull(truncate, NULL, 10);
    f.is_set = f.key != NULL || f.header != NULL || f.text != NULL;
    return f;
}

/* "name", or "name=value": the value as it is printed. */
static bool has_header(struct bytes row, const char *wanted)
{
    struct properties p;
    struct field f;
    char value[PEEK_VALUE_MAX];
    const char *equals = strchr(wanted, '=');
    struct bytes name = equals != NULL ? bytes_of(wanted, (size_t)(equals - wanted)) : bytes_of_string(wanted);
    if (!table_find(row, BYTES("properties"), &f) || !properties_decode(f.bytes, &p) ||
        !table_find(p.headers, name, &f))
        return false;
    if (equals == NULL)
        return true;
    if (f.type == 'S')
        return bytes_equal(f.bytes, bytes_of_string(equals + 1));
    field_print(&f, value, sizeof value);
    return strcmp(value, equals + 1) == 0;
}

static bool is_wanted(struct bytes row, const struct filter *w)
{
    struct bytes body = table_find_string(row, "payload");
    if (w->key != NULL && !bytes_equal(table_find_string(row, "routing_key"), bytes_of_string(w->key)))
        return false;
    if (w->header != NULL && !has_header(row, w->header))
        return false;
    return w->text == NULL || w->text[0] == '\0' ||
           (body.len > 0 && memmem(body.at, body.len, w->text, strlen(w->text)) != NULL);
}

/* ---- Pages: while the answer, r->before, has room for r->number more, and r->more pages may still be asked for. */

static void on_page(struct request *r, struct event *e);

static void ask_page(struct request *r, uint64_t from)
{
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &r->param[0], &r->param[1]);
    i->cursor = from;
    i->limit = filter_of(r).is_set || r->number > PEEK_COUNT_MAX ? PEEK_COUNT_MAX : (uint32_t)r->number;
    request_inspect(r, i, on_page);
}

/* Takes what is wanted; answers where the next page begins, 0: nowhere. */
static uint64_t take_rows(struct request *r, const struct inspection *page)
{
    const struct filter wanted = filter_of(r);
    json_t *items = json_object_get(r->before, "items");
    json_int_t looked = json_integer_value(json_object_get(r->before, "looked"));
    uint64_t next = page->cursor;
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row); looked++) {
        struct field position;
        if (r->number == 0) {
            next = table_find(row, BYTES("position"), &position) ? (uint64_t)position.integer : next;
            break;
        }
        if (!is_wanted(row, &wanted))
            continue;
        json_add(items, message_of(row, wanted.truncate));
        r->number--;
    }
    json_set(r->before, "looked", json_integer(looked));
    return next;
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what != DONE && e->failed.reason == NO_SUCH_QUEUE) {
        request_not_found(r);
        return;
    }
    if (!request_is_done(r, e))
        return;
    uint64_t next = take_rows(r, e->done.inspection);
    if (next > 0 && r->number > 0 && --r->more > 0) {
        ask_page(r, next);
        return;
    }
    json_t *answer = r->before;
    r->before = NULL;
    json_set(answer, "next", next > 0 ? json_integer((json_int_t)next) : json_null());
    request_reply(r, HTTP_STATUS_OK, answer);
}

void queues_messages(struct request *r)
{
    uint64_t offset = 0, limit = PEEK_COUNT_MAX, truncate;
    if (!query_number(r, "offset", &offset) || !query_number(r, "limit", &limit) ||
        !query_number(r, "truncate", &truncate))
        return;
    if (limit == 0) {
        request_refuse(r, "limit is 0");
        return;
    }
    r->number = limit < PEEK_COUNT_MAX ? (int64_t)limit : PEEK_COUNT_MAX;
    r->more = filter_of(r).is_set ? PEEK_PAGES_MAX : 1;
    r->before = json_object();
    json_set(r->before, "items", json_array());
    ask_page(r, offset);
}
