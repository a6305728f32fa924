#define _GNU_SOURCE
#include "broker/admin/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/listing_keys.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"
#include "codec/table.h"

/* One row that was taken. */
struct row {
    struct map_node in_seen;
    char *text;   /* owned: a comma and JSON */
    char *order;  /* owned: its virtual host and name … */
    char *sorted; /* owned: … and what it is sorted by, if that is text; NULL: the number */
    double number;
};

struct listing {
    struct listing_plan plan;
    json_t *vhosts; /* owned: names, still to be gone through */
    size_t at_vhost;
    unsigned at_source;
    bool is_gathering_vhosts;
    json_t *kept;      /* owned */
    struct map seen;   /* struct row */
    struct row **rows; /* owned, with the rows */
    size_t n, capacity, bytes, total;
    /* What the query says; borrowed from it. */
    const char *sort, *columns, *filter;
    bool is_paged, is_reversed;
    int64_t page, page_size;
    struct pattern *pattern;   /* owned: of the filter, if that is one */
    bool has_keys;             /* they are all there */
    struct listing_keys *keys; /* owned: finds the page first; NULL: all rows are taken */
};

static void listing_step(struct request *r);

static void row_destroy(struct row *row)
{
    free(row->text);
    free(row->order);
    free(row->sorted);
    free(row);
}

void listing_destroy(struct listing *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->n; i++)
        row_destroy(l->rows[i]);
    free((void *)l->rows);
    map_fini(&l->seen);
    json_decref(l->vhosts);
    json_decref(l->kept);
    pattern_destroy(l->pattern);
    listing_keys_destroy(l->keys);
    free(l);
}

json_t *listing_rows(const struct request *r)
{
    return r->listing->kept;
}

/* ---- What a row says. */

/* a.b.c; NULL: there is no such thing. */
static json_t *find_path(json_t *row, const char *path)
{
    enum { KEY_MAX = 256 };
    while (row != NULL) {
        size_t len = strcspn(path, ".");
        char key[KEY_MAX];
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = '\0';
        row = json_object_get(row, key);
        if (path[len] == '\0')
            return row;
        path += len + 1;
    }
    return NULL;
}

/* Puts what is there at that path to the same place in `to`. */
static void copy_path(json_t *to, json_t *from, const char *path)
{
    enum { KEY_MAX = 256 };
    if (find_path(from, path) == NULL)
        return;
    for (;;) {
        size_t len = strcspn(path, ".");
        char key[KEY_MAX];
        memcpy(key, path, len); /* find_path() has seen that it is short */
        key[len] = '\0';
        from = json_object_get(from, key);
        if (path[len] == '\0') {
            json_set(to, key, json_incref(from));
            return;
        }
        json_t *inner = json_object_get(to, key);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_set(to, key, inner);
        }
        to = inner;
        path += len + 1;
    }
}

/* The columns that were asked for, of an object; takes it. */
static json_t *project(json_t *row, const char *columns)
{
    if (columns == NULL || *columns == '\0' || !json_is_object(row))
        return row;
    json_t *shown = json_object();
    for (const char *at = columns; *at != '\0';) {
        size_t len = strcspn(at, ",");
        char *path = str_copy(bytes_of(at, len));
        copy_path(shown, row, path);
        free(path);
        at += len + (at[len] == ',');
    }
    json_decref(row);
    return shown;
}

/* A hash of what makes it that row and no other. */
static uint64_t identity_of(json_t *row)
{
    static const char *const names[] = {"vhost",           "name",           "user",        "exchange",
                                        "component",       "source",         "destination", "destination_type",
                                        "routing_key",     "properties_key", "queue",       "consumer_tag",
                                        "channel_details", "number",         "id",          "position"};
    uint64_t hash = 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_object_get(row, names[i]);
        if (value == NULL)
            continue;
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        hash = hash_mix(hash_bytes(bytes_of_string(text), hash), i);
        free(text);
    }
    return hash;
}

/* ---- Taking rows. */

static bool fits(const struct listing *l, struct bytes name)
{
    if (l->pattern != NULL)
        return pattern_match(l->pattern, name) == PATTERN_MATCHES;
    char *text = str_copy(name);
    bool has = strcasestr(text, l->filter) != NULL;
    free(text);
    return has;
}

/* A connection fits by the name that its client gave it, too; a consumer by its tag and its queue. */
static bool is_wanted(const struct listing *l, json_t *row)
{
    if (l->filter == NULL || fits(l, json_text_in(row, "name")))
        return true;
    const struct bytes others[] = {json_text_in(row, "user_provided_name"), json_text_in(row, "consumer_tag"),
                                   json_text_in(json_object_get(row, "queue"), "name")};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i].len > 0 && fits(l, others[i]))
            return true;
    return false;
}

static struct row *row_create(const struct listing *l, json_t *shown, uint64_t identity)
{
    struct row *row = alloc_zeroed(sizeof *row);
    row->in_seen.hash = identity;
    const json_t *id = json_object_get(shown, "id"), *ordinal = id != NULL ? id : json_object_get(shown, "position");
    row->order = str_format("%.*s\1%.*s\1%020lld", BYTES_ARG(json_text_in(shown, "vhost")),
                            BYTES_ARG(json_text_in(shown, "name")), (long long)json_integer_value(ordinal));
    json_t *by = l->sort != NULL ? find_path(shown, l->sort) : NULL;
    if (json_is_string(by))
        row->sorted = str_copy(json_text(by));
    row->number = json_is_boolean(by) ? json_is_true(by) : json_number_value(by);
    return row;
}

/* Takes what is shown of a row.  False: that is too much. */
static bool take_row(struct listing *l, json_t *shown)
{
    enum { PRECISION = 17 };
    uint64_t identity = identity_of(shown);
    if (map_first(&l->seen, identity) != NULL) { /* twice: it moved while the list was read */
        json_decref(shown);
        return true;
    }
    struct row *row = row_create(l, shown, identity);
    map_add(&l->seen, &row->in_seen, identity);
    if (l->n == l->capacity) {
        l->capacity = alloc_grown(l->capacity, l->n + 1);
        l->rows = alloc_array((void *)l->rows, l->capacity, sizeof(struct row *));
    }
    l->rows[l->n++] = row;
    shown = project(shown, l->columns);
    char *text = json_dumps(shown, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(PRECISION));
    CHECK(text != NULL);
    row->text = str_format(",%s", text);
    free(text);
    json_decref(shown);
    l->bytes += strlen(row->text);
    return l->bytes <= LISTING_BYTES_MAX;
}

/* Lists show whoever asks what is in the virtual hosts that they see, and connections and channels of their own; who
 * monitors sees all of them. */
static bool is_visible(const struct request *r, json_t *row)
{
    const enum inspection_kind what = r->listing->plan.sources[r->listing->at_source].what;
    if (r->visitor == NULL || r->listing->plan.keep)
        return true;
    if (what == INSPECT_CONNECTIONS || what == INSPECT_CHANNELS)
        return visitor_owns(r->visitor, json_text_in(row, "user"));
    if (what == INSPECT_VHOSTS)
        return visitor_sees(r->visitor, json_text_in(row, "name"));
    struct bytes vhost = json_text_in(row, "vhost");
    return vhost.len == 0 || visitor_sees(r->visitor, vhost);
}

static bool take_rows(struct request *r, const struct inspection *page)
{
    struct listing *l = r->listing;
    struct bytes bytes;
    for (size_t at = 0; inspection_next(page, &at, &bytes);) {
        json_t *row = json_of_table(bytes);
        if (l->is_gathering_vhosts) {
            if (l->plan.keep || visitor_sees(r->visitor, json_text_in(row, "name")))
                json_add(l->vhosts, json_incref(json_object_get(row, "name")));
            json_decref(row);
            continue;
        }
        if (!is_visible(r, row)) {
            json_decref(row);
            continue;
        }
        json_t *shown = l->plan.sources[l->at_source].shape(r, row);
        if (shown == NULL)
            continue;
        l->total++;
        if (l->plan.keep)
            json_add(l->kept, shown);
        else if (l->keys == NULL && !is_wanted(l, shown))
            json_decref(shown);
        else if (!take_row(l, shown))
            return false;
    }
    return true;
}

/* ---- Answering. */

static int compare_rows(const void *one, const void *two)
{
    const struct row *a = *(struct row *const *)one, *b = *(struct row *const *)two;
    int by_text = 0;
    if (a->sorted != NULL || b->sorted != NULL)
        by_text = strcmp(a->sorted != NULL ? a->sorted : "", b->sorted != NULL ? b->sorted : "");
    int by_number = (a->number > b->number) - (a->number < b->number);
    if (by_text != 0)
        return by_text;
    return by_number != 0 ? by_number : strcmp(a->order, b->order);
}

static void free_text(const void *data, size_t len, void *text)
{
    (void)data, (void)len;
    free(text);
}

static void add_rows(struct listing *l, struct evbuffer *to, size_t from, size_t until)
{
    evbuffer_add(to, "[", 1);
    for (size_t i = from; i < until; i++) {
        struct row *row = l->rows[l->is_reversed ? l->n - 1 - i : i];
        const char *text = i > from ? row->text : row->text + 1;
        evbuffer_add_reference(to, text, strlen(text), free_text, row->text);
        row->text = NULL; /* the buffer's now */
    }
    evbuffer_add(to, "]", 1);
}

/* False: it was answered that there is no such page. */
static bool has_page(struct request *r, size_t n)
{
    const struct listing *l = r->listing;
    bool is_beyond = (size_t)(l->page - 1) * (size_t)l->page_size >= n && l->page > 1;
    if (is_beyond)
        request_fail(r, HTTP_STATUS_BAD, "page_out_of_range", "Page out of range, page: %lld page size: %lld, len: %zu",
                     (long long)l->page, (long long)l->page_size, n);
    return !is_beyond;
}

/* The rows from one on until before another, of n. */
static void answer_page(struct request *r, struct evbuffer *to, size_t from, size_t until, size_t n)
{
    struct listing *l = r->listing;
    size_t size = (size_t)l->page_size;
    evbuffer_add_printf(to, "{\"filtered_count\":%zu,\"item_count\":%zu,\"items\":", n, until - from);
    add_rows(l, to, from, until);
    evbuffer_add_printf(to, ",\"page\":%lld,\"page_count\":%zu,\"page_size\":%zu,\"total_count\":%zu}",
                        (long long)l->page, (n + size - 1) / size, size, l->total);
    request_reply_buffer(r, HTTP_STATUS_OK, to);
}

static void answer(struct request *r)
{
    struct listing *l = r->listing;
    struct evbuffer *to = evbuffer_new();
    CHECK(to != NULL);
    if (l->keys != NULL) { /* what keys have found is in order */
        l->is_reversed = false;
        l->total = listing_keys_total(l->keys);
        answer_page(r, to, 0, l->n, listing_keys_count(l->keys));
        return;
    }
    if (l->n > 0)
        qsort((void *)l->rows, l->n, sizeof(struct row *), compare_rows);
    if (!l->is_paged) {
        add_rows(l, to, 0, l->n);
        request_reply_buffer(r, HTTP_STATUS_OK, to);
        return;
    }
    size_t size = (size_t)l->page_size, from = (size_t)(l->page - 1) * size;
    if (has_page(r, l->n))
        answer_page(r, to, from, from + size < l->n ? from + size : l->n, l->n);
    else
        evbuffer_free(to);
}

json_t *listing_project(struct request *r, json_t *object)
{
    return project(object, request_query(r, "columns"));
}

void listing_answer_object(struct request *r, json_t *object)
{
    request_reply(r, HTTP_STATUS_OK, listing_project(r, object));
}

void listing_answer_one(struct request *r)
{
    json_t *row = json_array_get(r->listing->kept, 0);
    if (row == NULL)
        request_not_found(r);
    else
        listing_answer_object(r, json_incref(row));
}

/* ---- Gathering. */

static void on_page(struct request *r, struct event *e);

/* The keys are all there: asks for the rows of the page. */
static void find_page(struct request *r)
{
    struct listing *l = r->listing;
    if (!has_page(r, listing_keys_count(l->keys)))
        return;
    l->has_keys = true;
    request_inspect(r, listing_keys_page(l->keys, (size_t)(l->page - 1) * (size_t)l->page_size, (size_t)l->page_size),
                    on_page);
}

static void listing_finish(struct request *r)
{
    if (r->listing->keys != NULL && !r->listing->has_keys) {
        find_page(r);
        return;
    }
    if (r->listing->plan.done != NULL)
        r->listing->plan.done(r);
    else
        answer(r);
}

/* What comes behind the last page of a source. */
static void listing_advance(struct request *r)
{
    struct listing *l = r->listing;
    if (l->has_keys) {
        listing_finish(r);
        return;
    }
    if (l->is_gathering_vhosts) {
        l->is_gathering_vhosts = false;
    } else if (++l->at_source == LISTING_SOURCES_MAX || l->plan.sources[l->at_source].shape == NULL) {
        l->at_source = 0;
        l->at_vhost++;
    }
    if (l->at_vhost < json_array_size(l->vhosts))
        listing_step(r);
    else
        listing_finish(r);
}

static void on_page(struct request *r, struct event *e)
{
    struct listing *l = r->listing;
    if (e->what != DONE) {
        /* One of many that has gone meanwhile is none. */
        if (e->failed.reason == NO_SUCH_VHOST && (l->plan.vhost == NULL || l->plan.or_nothing))
            listing_advance(r);
        else
            request_answer_failure(r, e);
        return;
    }
    if (e->done.inspection->is_brief) {
        if (!listing_keys_take(l->keys, e->done.inspection, l->filter, l->pattern, clock_ms())) {
            request_refuse(r, "Pagination parameters are invalid: the pattern takes too long");
            return;
        }
    } else if (!take_rows(r, e->done.inspection)) {
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "too_large", "the list is too long: ask for pages or columns");
        return;
    }
    if (e->done.inspection->cursor == 0) {
        listing_advance(r);
        return;
    }
    struct inspection *next = e->done.inspection;
    e->done.inspection = NULL;
    inspection_clear(next);
    request_inspect(r, next, on_page);
}

/* Asks for the first page of what comes next. */
static void listing_step(struct request *r)
{
    struct listing *l = r->listing;
    if (l->is_gathering_vhosts) {
        request_inspect(r, inspection_create(INSPECT_VHOSTS, NULL, NULL), on_page);
        return;
    }
    struct bytes vhost = l->plan.vhost != NULL ? *l->plan.vhost : json_text(json_array_get(l->vhosts, l->at_vhost));
    bool has_vhost = l->plan.is_by_vhost || l->plan.vhost != NULL;
    struct inspection *i =
        inspection_create(l->plan.sources[l->at_source].what, has_vhost ? &vhost : NULL, l->plan.name);
    i->is_brief = l->keys != NULL;
    if (l->keys != NULL) {
        i->counters = listing_keys_counters(l->keys);
        listing_keys_enter(l->keys, vhost);
    }
    request_inspect(r, i, on_page);
}

/* ---- What the query asks for.  False: it was answered. */

static bool refuse_paging(struct request *r)
{
    request_refuse(r, "Pagination parameters are invalid");
    return false;
}

/* What is beyond any number there could be is the largest. */
static bool read_number(struct request *r, const char *name, int64_t *value)
{
    enum { DECIMAL = 10 };
    const char *text = request_query(r, name);
    if (text == NULL || *text == '\0')
        return true;
    char *end;
    long long n = strtoll(text, &end, DECIMAL);
    *value = n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
    return *end == '\0' || refuse_paging(r);
}

/* RabbitMQ's words, too. */
static bool refuse_numbers(struct request *r, const struct listing *l)
{
    const char *size = request_query(r, "page_size");
    char *text = size != NULL ? str_format("%lld", (long long)l->page_size) : str_copy(BYTES("undefined"));
    request_fail(r, HTTP_STATUS_BAD, "invalid_pagination_parameters",
                 "Invalid pagination parameters: page number %lld, page size %s", (long long)l->page, text);
    free(text);
    return false;
}

/* Letters are the same in either case, as in RabbitMQ, with a pattern and without. */
static bool read_pattern(struct request *r, struct listing *l)
{
    char *text = str_format("(?i)%s", l->filter), *error = NULL;
    l->pattern = pattern_create(bytes_of_string(text), &error);
    free(text);
    free(error);
    return l->pattern != NULL || refuse_paging(r);
}

static bool read_paging(struct request *r, struct listing *l)
{
    l->page = 1;
    l->page_size = LISTING_PAGE_SIZE;
    l->is_paged = request_query(r, "page") != NULL;
    if (!l->is_paged)
        return true;
    if (!read_number(r, "page", &l->page) || !read_number(r, "page_size", &l->page_size))
        return false;
    if (l->page < 1 || l->page_size < 1 || l->page_size > LISTING_PAGE_SIZE_MAX)
        return refuse_numbers(r, l);
    const char *name = request_query(r, "name");
    l->filter = name != NULL && *name != '\0' ? name : NULL;
    if (l->filter == NULL || !request_query_flag(r, "use_regex"))
        return true;
    return read_pattern(r, l);
}

/* Without statistics there is nothing to sort by: only whole rows tell. */
static struct listing_keys *keys_of(struct request *r, const struct listing_plan *plan)
{
    const struct listing *l = r->listing;
    bool is_of_queues = plan->sources[0].what == INSPECT_QUEUES && plan->sources[0].shape == shape_queue &&
                        plan->sources[1].shape == NULL && plan->name == NULL && plan->done == NULL;
    bool has_numbers = l->sort == NULL || !request_query_flag(r, "disable_stats");
    if (!is_of_queues || !has_numbers || !l->is_paged)
        return NULL;
    return listing_keys_create(l->sort, l->is_reversed, collector_rates(r->admin->collector));
}

void listing_begin(struct request *r, const struct listing_plan *plan)
{
    listing_destroy(r->listing);
    struct listing *l = alloc_zeroed(sizeof *l);
    r->listing = l;
    l->plan = *plan;
    l->vhosts = json_array();
    l->kept = json_array();
    map_init(&l->seen);
    if (!plan->keep) {
        const char *sort = request_query(r, "sort");
        l->sort = sort != NULL && *sort != '\0' ? sort : NULL;
        l->columns = request_query(r, "columns");
        l->is_reversed = request_query_flag(r, "sort_reverse");
        if (!read_paging(r, l))
            return;
        l->keys = keys_of(r, plan);
    }
    l->is_gathering_vhosts = plan->is_by_vhost && plan->vhost == NULL;
    if (!l->is_gathering_vhosts)
        json_add(l->vhosts, json_string("")); /* one round */
    listing_step(r);
}
