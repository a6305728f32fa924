#include "broker/model/route.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/route_delayed.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "codec/properties.h"
#include "codec/table.h"

void route_init(struct route *r)
{
    *r = (struct route){0};
}

void route_fini(struct route *r)
{
    free(r->queues);
    free(r->walk);
    free(r->states[0]);
    free(r->states[1]);
    free(r->fields);
    route_init(r);
}

struct key_walk routing_keys(const struct routing *message)
{
    return (struct key_walk){.first = message->key, .rest = message->extra_keys};
}

bool key_walk_next(struct key_walk *w, struct bytes *key)
{
    if (!w->begun) {
        w->begun = true;
        *key = w->first;
        return true;
    }
    struct cursor c = cursor_over(w->rest);
    if (cursor_left(&c) == 0)
        return false;
    *key = cursor_longstr(&c);
    w->rest = bytes_of(c.at, cursor_left(&c));
    return !c.bad;
}

/* By key; of the same key in the order they came. */
static int field_order(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    int order = bytes_compare(x->key, y->key);
    return order != 0 ? order : (x->key.at > y->key.at) - (x->key.at < y->key.at);
}

static void sort_headers(struct route *r, struct routing *message)
{
    struct properties p;
    struct field f;
    size_t n = 0;
    message->headers_known = true;
    if (message->msg == NULL || (message->msg->flags & MESSAGE_HAS_HEADERS) == 0 ||
        !properties_decode(message_properties(message->msg), &p))
        return;
    for (struct cursor c = cursor_over(p.headers); table_next(&c, &f); n++) {
        if (n == r->field_capacity) {
            r->field_capacity = alloc_grown(r->field_capacity, n + 1);
            r->fields = alloc_array(r->fields, r->field_capacity, sizeof(struct field));
        }
        r->fields[n] = f;
    }
    if (n > 0)
        qsort(r->fields, n, sizeof(struct field), field_order);
    message->headers = r->fields;
    message->header_count = n;
}

const struct field *routing_header(struct route *r, struct routing *message, struct bytes key)
{
    if (!message->headers_known)
        sort_headers(r, message);
    size_t low = 0, high = message->header_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(message->headers[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < message->header_count && bytes_equal(message->headers[low].key, key);
    return found ? &message->headers[low] : NULL;
}

void route_add_queue(struct broker *b, struct route *r, struct queue *q)
{
    if (q->stamp == b->stamp)
        return;
    q->stamp = b->stamp;
    if (r->n == r->capacity) {
        r->capacity = alloc_grown(r->capacity, r->n + 1);
        r->queues = alloc_array(r->queues, r->capacity, sizeof(struct queue *));
    }
    r->queues[r->n++] = q;
}

void route_visit(struct broker *b, struct route *r, struct exchange *x)
{
    if (x->stamp == b->stamp)
        return;
    x->stamp = b->stamp;
    if (r->walk_n == r->walk_capacity) {
        r->walk_capacity = alloc_grown(r->walk_capacity, r->walk_n + 1);
        r->walk = alloc_array(r->walk, r->walk_capacity, sizeof(struct exchange *));
    }
    r->walk[r->walk_n++] = x;
}

void route_add_binding(struct broker *b, struct route *r, const struct binding *bd)
{
    if (r->watch != NULL)
        r->watch->on_binding(r->watch, bd);
    if (bd->queue != NULL)
        route_add_queue(b, r, bd->queue);
    else
        route_visit(b, r, bd->to);
}

void route_begin(struct broker *b, struct route *r, struct exchange *x)
{
    b->stamp++;
    r->n = r->walk_n = 0;
    r->is_fleeting = false;
    route_visit(b, r, x);
}

const struct route *route_message(struct broker *b, struct exchange *x, struct routing *message)
{
    struct route *r = &b->route;
    dedup_round_begin(&b->dedup.round);
    route_begin(b, r, x);
    for (size_t i = 0; i < r->walk_n; i++) {
        struct exchange *at = r->walk[i];
        if ((at->delays || b->delays_anywhere) && route_delayed(b, at, message, r))
            continue;
        r->is_fleeting |= at->dedup != NULL;
        if (at->dedup != NULL && !message->is_held && !dedup_visit(b, at->dedup, message->msg))
            continue; /* nor does a duplicate go to the alternate one */
        if (at->kind->route(b, at, message, r) || !at->has_alternate)
            continue;
        struct exchange *alternate = vhost_find_exchange(b, at->vhost, at->alternate);
        if (alternate != NULL)
            route_visit(b, r, alternate);
    }
    return r;
}
