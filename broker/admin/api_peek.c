#define _GNU_SOURCE
/* Looking at the messages of a queue without touching them, and deleting one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/api.h"
#include "broker/admin/envelope.h"
#include "broker/admin/json.h"
#include "codec/table.h"

enum {
    PEEK_COUNT_MAX = 256, /* messages of one answer */
    PEEK_PAGES_MAX = 64,  /* that one request looks through */
};

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

/* ---- Pages, until so many are found that are meant: r->number of them, in r->before; r->more pages were looked at. */

/* ?routing_key=…&payload=…: the latter is in the part of the body that is shown. */
static bool is_meant(const struct request *r, struct bytes row)
{
    const char *key = request_query(r, "routing_key"), *text = request_query(r, "payload");
    struct field f;
    if (key != NULL && !(table_find(row, BYTES("routing_key"), &f) && bytes_equal(f.bytes, bytes_of_string(key))))
        return false;
    return text == NULL || (table_find(row, BYTES("payload"), &f) && f.bytes.len > 0 &&
                            memmem(f.bytes.at, f.bytes.len, text, strlen(text)) != NULL);
}

/* Where the next page begins: behind the last row that was taken, if there are more of them. */
static uint64_t take_rows(struct request *r, const struct inspection *page)
{
    struct bytes row;
    struct field position;
    for (size_t at = 0; inspection_next(page, &at, &row);) {
        if (!is_meant(r, row))
            continue;
        json_add(r->before, message_of(row));
        if (--r->number == 0 && at < page->size && table_find(row, BYTES("position"), &position))
            return (uint64_t)position.integer + 1;
        if (r->number == 0)
            break;
    }
    return page->cursor;
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what != DONE && e->failed.reason == NO_SUCH_QUEUE) {
        request_not_found(r);
        return;
    }
    if (!request_is_done(r, e))
        return;
    struct inspection *page = e->done.inspection;
    uint64_t next = take_rows(r, page);
    if (next > 0 && r->number > 0 && ++r->more < PEEK_PAGES_MAX) {
        e->done.inspection = NULL;
        inspection_clear(page);
        page->cursor = next;
        page->limit = PEEK_COUNT_MAX;
        request_inspect(r, page, on_page);
        return;
    }
    json_t *o = json_object();
    json_set(o, "items", json_incref(r->before));
    json_set(o, "next", next > 0 ? json_integer((json_int_t)next) : json_null());
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
    bool is_filtered = request_query(r, "routing_key") != NULL || request_query(r, "payload") != NULL;
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &r->param[0], &r->param[1]);
    r->number = limit < PEEK_COUNT_MAX ? (int64_t)limit : PEEK_COUNT_MAX;
    r->before = json_array();
    i->cursor = offset;
    i->limit = is_filtered ? PEEK_COUNT_MAX : (uint32_t)r->number;
    if (!is_filtered)
        r->more = PEEK_PAGES_MAX; /* what a page holds is the answer */
    request_inspect(r, i, on_page);
}
