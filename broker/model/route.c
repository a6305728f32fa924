#include "broker/model/route.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "codec/properties.h"

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

struct bytes routing_headers(struct routing *message)
{
    struct properties p;
    if (!message->headers_known) {
        message->headers_known = true;
        if (message->msg != NULL && (message->msg->flags & MESSAGE_HAS_HEADERS) != 0 &&
            properties_decode(message_properties(message->msg), &p))
            message->headers = p.headers;
    }
    return message->headers;
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

static void visit(struct broker *b, struct route *r, struct exchange *x)
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
    if (bd->queue != NULL)
        route_add_queue(b, r, bd->queue);
    else
        visit(b, r, bd->to);
}

const struct route *route_message(struct broker *b, struct exchange *x, struct routing *message)
{
    struct route *r = &b->route;
    b->stamp++;
    r->n = r->walk_n = 0;
    r->by_headers = false;
    visit(b, r, x);
    for (size_t i = 0; i < r->walk_n; i++) {
        struct exchange *at = r->walk[i];
        if (at->kind->route(b, at, message, r) || !at->has_alternate)
            continue;
        struct exchange *alternate = vhost_find_exchange(b, at->vhost, at->alternate);
        if (alternate != NULL)
            visit(b, r, alternate);
    }
    return r;
}
