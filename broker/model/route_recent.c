#include "broker/model/route_recent.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

struct kept {
    struct link in_history;
    struct message *msg; /* shared */
};

struct history {
    struct list kept; /* the oldest first */
    uint64_t n, max;
    uint64_t bytes;
};

static char *recent_refuse(const struct spec *spec)
{
    struct field f;
    if (!table_find(spec->arguments, BYTES("x-recent-history-length"), &f) || (field_is_integer(&f) && f.integer > 0))
        return NULL;
    char value[64];
    field_print(&f, value, sizeof value);
    return str_format(f.type == 'S'
                          ? "Invalid argument <<\"%s\">>, 'x-recent-history-length' must be a positive integer"
                          : "Invalid argument %s, 'x-recent-history-length' must be a positive integer",
                      value);
}

static void recent_init(struct broker *b, struct exchange *x)
{
    struct field f;
    (void)b;
    struct history *h = alloc_zeroed(sizeof *h);
    list_init(&h->kept);
    h->max = RECENT_LENGTH;
    if (table_find(x->spec->arguments, BYTES("x-recent-history-length"), &f))
        h->max = f.integer < RECENT_LENGTH_MAX ? (uint64_t)f.integer : RECENT_LENGTH_MAX;
    x->history = h;
}

static void forget(struct broker *b, struct history *h, struct kept *k)
{
    uint64_t cost = message_cost(k->msg);
    h->n--;
    h->bytes -= cost;
    b->history_bytes -= cost;
    list_remove(&k->in_history);
    message_unref(k->msg);
    free(k);
}

static void recent_fini(struct broker *b, struct exchange *x)
{
    struct kept *k;
    list_each (k, &x->history->kept, struct kept, in_history)
        forget(b, x->history, k);
    free(x->history);
}

uint64_t recent_bytes(const struct exchange *x)
{
    return x->history->bytes;
}

static void keep(struct broker *b, struct history *h, const struct message *m)
{
    uint64_t cost = message_cost(m), limit = b->memory_high / RECENT_SHARE;
    struct kept *k;
    list_each (k, &h->kept, struct kept, in_history) {
        if (h->n < h->max && b->history_bytes + cost <= limit)
            break;
        forget(b, h, k);
    }
    if (b->history_bytes + cost > limit)
        return;
    k = alloc(sizeof *k);
    k->msg = message_ref((struct message *)(uintptr_t)m); /* it stays as it is: but for its references */
    list_append(&h->kept, &k->in_history);
    h->n++;
    h->bytes += cost;
    b->history_bytes += cost;
}

static bool recent_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    struct binding *bd;
    to->is_fleeting = true; /* the next one with this key is to be kept, too */
    if (message->msg != NULL && !message->is_held) {
        const struct field *no_store = routing_header(to, message, BYTES("x-recent-history-no-store"));
        if (no_store == NULL || no_store->type != 't' || !no_store->boolean)
            keep(b, x->history, message->msg);
    }
    list_each (bd, &x->outgoing, struct binding, in_source)
        route_add_binding(b, to, bd);
    return !list_is_empty(&x->outgoing);
}

void recent_commit(struct broker *b, struct exchange *x, const struct message *m)
{
    struct properties p;
    struct field f;
    if (x->kind != &exchange_recent_history)
        return;
    bool has_headers = (m->flags & MESSAGE_HAS_HEADERS) != 0 && properties_decode(message_properties(m), &p);
    if (!has_headers || !table_find(p.headers, BYTES("x-recent-history-no-store"), &f) || f.type != 't' || !f.boolean)
        keep(b, x->history, m);
}

static void give(struct broker *b, const struct binding *bd, struct message *m)
{
    if (bd->queue != NULL) {
        remember_begin(b, m);
        queue_publish(b, bd->queue, message_ref(m));
        return;
    }
    struct routing routing = {.key = message_key(m), .extra_keys = message_extra_keys(m), .msg = m};
    const struct route *route = route_message(b, bd->to, &routing);
    remember_begin(b, m);
    for (size_t i = 0; i < route->n; i++)
        queue_publish(b, route->queues[i], message_ref(m));
}

/* The way may lead back to this exchange, which keeps what comes by again: only what was there before is given. */
static void recent_bound(struct broker *b, struct binding *bd)
{
    const struct history *h = bd->source->history;
    const struct kept *k;
    size_t n = 0;
    struct message **messages = alloc_array(NULL, h->n + 1, sizeof(struct message *));
    list_each (k, &h->kept, const struct kept, in_history)
        messages[n++] = message_ref(k->msg);
    for (size_t i = 0; i < n; i++) {
        give(b, bd, messages[i]);
        message_unref(messages[i]);
    }
    free(messages);
}

const struct exchange_kind exchange_recent_history = {.name = BYTES_CONSTANT("x-recent-history"),
                                                      .route = recent_route,
                                                      .init = recent_init,
                                                      .fini = recent_fini,
                                                      .refuse = recent_refuse,
                                                      .bound = recent_bound};
