/* Looking at the messages of a queue without touching them, and deleting one. */
#include <errno.h>
#include <stdlib.h>

#include "broker/admin/api.h"
#include "broker/admin/envelope.h"
#include "broker/admin/json.h"
#include "codec/table.h"

enum { PEEK_COUNT_MAX = 256 };

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

static json_t *message_of(struct bytes row)
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
    if (table_find(row, BYTES("payload"), &f))
        envelope_set_payload(o, f.bytes);
    return o;
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what != DONE && e->failed.reason == NO_SUCH_QUEUE) {
        request_not_found(r);
        return;
    }
    if (!request_is_done(r, e))
        return;
    const struct inspection *page = e->done.inspection;
    json_t *o = json_object(), *items = json_array();
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row);)
        json_add(items, message_of(row));
    json_set(o, "items", items);
    json_set(o, "next", page->cursor > 0 ? json_integer((json_int_t)page->cursor) : json_null());
    request_reply(r, HTTP_STATUS_OK, o);
}

void queues_messages(struct request *r)
{
    uint64_t offset = 0, limit = PEEK_COUNT_MAX;
    if (!query_number(r, "offset", &offset) || !query_number(r, "limit", &limit))
        return;
    if (limit == 0) {
        request_refuse(r, "limit is 0");
        return;
    }
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &r->param[0], &r->param[1]);
    i->cursor = offset;
    i->limit = limit < PEEK_COUNT_MAX ? (uint32_t)limit : PEEK_COUNT_MAX;
    request_inspect(r, i, on_page);
}
