#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/admin/topology.h"
#include "codec/table.h"

/* Answers the row if it fits, else drops it. */
static json_t *kept_if(json_t *row, bool fits)
{
    if (fits)
        return row;
    json_decref(row);
    return NULL;
}

/* ---- Lists.  Those of the default exchange are implied: one a queue, of its name. */

void bindings_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){
                         .sources = {{INSPECT_QUEUES, shape_implied_binding}, {INSPECT_BINDINGS, shape_binding}},
                         .is_by_vhost = true,
                         .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

static json_t *shape_to_queue(struct request *r, json_t *row)
{
    json_t *shown = kept_if(row, bytes_equal(json_text_in(row, "destination_type"), BYTES("queue")));
    return shown != NULL ? shape_binding(r, shown) : NULL;
}

static void list_of_queue(struct request *r)
{
    listing_begin(r, &(struct listing_plan){
                         .sources = {{INSPECT_QUEUES, shape_implied_binding}, {INSPECT_BINDINGS, shape_to_queue}},
                         .is_by_vhost = true,
                         .vhost = &r->param[0],
                         .name = &r->param[1]});
}

void queues_bindings(struct request *r)
{
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], list_of_queue);
}

static json_t *shape_from(struct request *r, json_t *row)
{
    json_t *shown = kept_if(row, bytes_equal(json_text_in(row, "source"), r->param[1]));
    return shown != NULL ? shape_binding(r, shown) : NULL;
}

static void list_from(struct request *r)
{
    bool is_default = r->param[1].len == 0;
    listing_begin(r, &(struct listing_plan){.sources = {{is_default ? INSPECT_QUEUES : INSPECT_BINDINGS,
                                                         is_default ? shape_implied_binding : shape_from}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0]});
}

static json_t *shape_to_exchange(struct request *r, json_t *row)
{
    json_t *shown = kept_if(row, bytes_equal(json_text_in(row, "destination_type"), BYTES("exchange")));
    return shown != NULL ? shape_binding(r, shown) : NULL;
}

static void list_to(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_BINDINGS, shape_to_exchange}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1]});
}

void exchanges_bindings_source(struct request *r)
{
    r->param[1] = topology_exchange(r->param[1]);
    fetch_to_go_on(r, INSPECT_EXCHANGES, &r->param[0], &r->param[1], list_from);
}

void exchanges_bindings_destination(struct request *r)
{
    r->param[1] = topology_exchange(r->param[1]);
    fetch_to_go_on(r, INSPECT_EXCHANGES, &r->param[0], &r->param[1], list_to);
}

/* ---- Between two: params are the virtual host, the source, the destination; r->more: the destination is an exchange.
 */

static bool is_between(const struct request *r, const json_t *row)
{
    struct bytes type = r->more != 0 ? BYTES("exchange") : BYTES("queue");
    return bytes_equal(json_text_in(row, "source"), r->param[1]) &&
           bytes_equal(json_text_in(row, "destination"), r->param[2]) &&
           bytes_equal(json_text_in(row, "destination_type"), type);
}

/* ?routing_key=…&arguments={…}: those that are said; r->body holds the arguments then. */
static bool fits_query(const struct request *r, const json_t *row)
{
    const char *key = request_query(r, "routing_key");
    if (key != NULL && !bytes_equal(json_text_in(row, "routing_key"), bytes_of_string(key)))
        return false;
    return request_query(r, "arguments") == NULL || json_equal(json_object_get(row, "arguments"), r->body) != 0;
}

/* False: the arguments are no object, and that was answered. */
static bool read_query(struct request *r)
{
    const char *arguments = request_query(r, "arguments");
    char *error = NULL;
    if (arguments == NULL)
        return true;
    json_decref(r->body);
    r->body = json_read(bytes_of_string(arguments), &error);
    free(error);
    if (json_is_object(r->body))
        return true;
    request_refuse(r, "arguments are no object");
    return false;
}

static json_t *shape_between(struct request *r, json_t *row)
{
    json_t *shown = kept_if(row, is_between(r, row) && fits_query(r, row));
    return shown != NULL ? shape_binding(r, shown) : NULL;
}

/* Of one whose default exchange is the source. */
static json_t *shape_implied_between(struct request *r, json_t *queue)
{
    bool fits = r->more == 0 && r->param[1].len == 0 && bytes_equal(json_text_in(queue, "name"), r->param[2]);
    json_t *shown = kept_if(queue, fits), *binding = shown != NULL ? shape_implied_binding(r, shown) : NULL;
    return binding != NULL ? kept_if(binding, fits_query(r, binding)) : NULL;
}

static void list_between(struct request *r, bool keep, request_fn *done)
{
    listing_begin(r, &(struct listing_plan){
                         .sources = {{INSPECT_QUEUES, shape_implied_between}, {INSPECT_BINDINGS, shape_between}},
                         .is_by_vhost = true,
                         .vhost = &r->param[0],
                         .name = &r->param[2],
                         .keep = keep,
                         .done = done});
}

static void between(struct request *r, bool to_exchange)
{
    r->more = to_exchange;
    r->param[1] = topology_exchange(r->param[1]);
    if (to_exchange)
        r->param[2] = topology_exchange(r->param[2]);
}

static void list_all_between(struct request *r)
{
    list_between(r, false, NULL);
}

static void on_source_there(struct request *r)
{
    fetch_to_go_on(r, r->more != 0 ? INSPECT_EXCHANGES : INSPECT_QUEUES, &r->param[0], &r->param[2], list_all_between);
}

static void list_if_both(struct request *r, bool to_exchange)
{
    between(r, to_exchange);
    if (read_query(r))
        fetch_to_go_on(r, INSPECT_EXCHANGES, &r->param[0], &r->param[1], on_source_there);
}

void bindings_between_queue(struct request *r)
{
    list_if_both(r, false);
}

void bindings_between_exchange(struct request *r)
{
    list_if_both(r, true);
}

/* ---- Making one. */

/* <destination>/<key>, both percent-encoded. */
static char *location_of(const struct request *r)
{
    char *key = shape_properties_key(json_text(request_member(r, "routing_key")), request_member(r, "arguments"));
    char *name = evhttp_uriencode((const char *)r->param[2].at, (ev_ssize_t)r->param[2].len, 0);
    char *coded = evhttp_uriencode(key, -1, 0);
    char *location = str_format("%s/%s", name, coded);
    free(key);
    free(name);
    free(coded);
    return location;
}

static void on_bound(struct request *r, struct event *e)
{
    if (e->what != DONE || e->done.changes->at[0].outcome == CHANGE_SKIPPED) {
        request_answer_change(r, e);
        return;
    }
    char *location = location_of(r);
    request_set_header(r, "Location", location);
    free(location);
    request_reply(r, HTTP_STATUS_CREATED, NULL);
}

static void post(struct request *r, bool to_exchange)
{
    between(r, to_exchange);
    struct spec spec = {.vhost = r->param[0], .source = r->param[1], .name = r->param[2], .to_exchange = to_exchange};
    if (!request_text(r, "routing_key", &spec.key))
        return;
    json_t *arguments = topology_arguments(r);
    if (arguments == NULL)
        return;
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_BINDING, &spec, arguments))
        request_alter(r, c, on_bound);
}

void bindings_post_queue(struct request *r)
{
    post(r, false);
}

void bindings_post_exchange(struct request *r)
{
    post(r, true);
}

/* ---- One of them, by its properties_key.  It may come encoded twice, or be the routing key itself; but only where no
 * binding has exactly that one: the key of "a b" is another one's routing key. */

static bool has_exact_key(const struct request *r, const json_t *row)
{
    return bytes_equal(json_text_in(row, "properties_key"), r->param[3]);
}

static bool has_similar_key(const struct request *r, const json_t *row)
{
    bool is_of_none = bytes_equal(r->param[3], BYTES("~")); /* the empty key's, always */
    if (is_of_none || json_object_size(json_object_get(row, "arguments")) > 0)
        return false;
    struct bytes key = json_text_in(row, "routing_key");
    size_t len;
    char *coded = str_copy(r->param[3]), *decoded = evhttp_uridecode(coded, 1, &len);
    bool fits = bytes_equal(key, r->param[3]) || (decoded != NULL && bytes_equal(key, bytes_of(decoded, len)));
    free(coded);
    free(decoded);
    return fits;
}

static void on_rows_for_one(struct request *r)
{
    const json_t *rows = listing_rows(r);
    json_t *exact = NULL, *similar = NULL;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        if (exact == NULL && has_exact_key(r, row))
            exact = row;
        else if (similar == NULL && has_similar_key(r, row))
            similar = row;
    }
    if (exact == NULL && similar == NULL)
        request_not_found(r);
    else
        listing_answer_object(r, json_incref(exact != NULL ? exact : similar));
}

void bindings_get_queue(struct request *r)
{
    between(r, false);
    list_between(r, true, on_rows_for_one);
}

void bindings_get_exchange(struct request *r)
{
    between(r, true);
    list_between(r, true, on_rows_for_one);
}

/* Its arguments must go back as they are, letter by letter, which JSON does not keep: so the model's own rows are
 * looked through, for the exact key, and then again: r->number is 1. */
static bool is_meant(const struct request *r, const json_t *row)
{
    return r->n_params == 3 || (r->number == 0 ? has_exact_key(r, row) : has_similar_key(r, row));
}

static struct spec *find_in(struct request *r, const struct inspection *page)
{
    struct bytes bytes;
    struct spec *found = NULL;
    for (size_t at = 0; found == NULL && inspection_next(page, &at, &bytes);) {
        struct field arguments;
        json_t *row = shape_between(r, json_of_table(bytes));
        if (row != NULL && is_meant(r, row) && table_find(bytes, BYTES("arguments"), &arguments))
            found = spec_create(&(struct spec){.vhost = r->param[0],
                                               .source = r->param[1],
                                               .name = r->param[2],
                                               .key = json_text_in(row, "routing_key"),
                                               .arguments = arguments.bytes,
                                               .to_exchange = r->more != 0});
        json_decref(row);
    }
    return found;
}

static void on_page(struct request *r, struct event *e);

static void look_through(struct request *r)
{
    request_inspect(r, inspection_create(INSPECT_BINDINGS, &r->param[0], &r->param[2]), on_page);
}

static void on_page(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    struct inspection *page = e->done.inspection;
    struct spec *found = find_in(r, page);
    if (found != NULL) {
        struct changes *c = changes_create();
        changes_add(c, CHANGE_REMOVE, DEFINE_BINDING, found);
        request_alter(r, c, request_answer_change);
    } else if (page->cursor == 0 && r->number++ == 0 && r->n_params > 3) {
        look_through(r);
    } else if (page->cursor == 0) {
        request_not_found(r);
    } else {
        e->done.inspection = NULL;
        inspection_clear(page);
        request_inspect(r, page, on_page);
    }
}

void bindings_delete_queue(struct request *r)
{
    between(r, false);
    look_through(r);
}

void bindings_delete_exchange(struct request *r)
{
    between(r, true);
    look_through(r);
}

/* ---- One of them by what it is, without the key that only a listing tells. */

static void delete_by(struct request *r, bool to_exchange)
{
    between(r, to_exchange);
    if (request_query(r, "routing_key") == NULL) {
        request_refuse(r, "[{key_missing,routing_key}]");
        return;
    }
    if (request_query(r, "arguments") == NULL)
        evhttp_add_header(&r->query, "arguments", "{}");
    if (read_query(r))
        look_through(r);
}

void bindings_delete_queue_by(struct request *r)
{
    delete_by(r, false);
}

void bindings_delete_exchange_by(struct request *r)
{
    delete_by(r, true);
}
