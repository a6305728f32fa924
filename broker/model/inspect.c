/* INSPECT: a page of a list, each row a field table (broker/port/inspection.h). */
#include <stdlib.h>

#include "base/str.h"
#include "broker/model/commands.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/explain.h"
#include "broker/model/inspect_page.h"
#include "broker/model/observer.h"
#include "broker/model/outlet.h"
#include "broker/model/peek.h"
#include "broker/model/queue.h"
#include "broker/model/rights.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

/* ---- Rows. */

struct pen row_open(const struct page *p, size_t room)
{
    return pen_over(inspection_open_row(p->to, ROW_ROOM + room), ROW_ROOM + room);
}

void row_close(const struct page *p, const struct pen *row)
{
    inspection_close_row(p->to, pen_written(row).len);
}

void row_put_table(struct pen *row, const char *key, struct bytes table)
{
    uint8_t *mark = table_open(row, bytes_of_string(key), 'F');
    pen_bytes(row, table);
    table_close(row, mark);
}

void row_put_text(struct pen *row, const char *key, struct bytes text)
{
    table_put_string(row, bytes_of_string(key), text);
}

void row_put_number(struct pen *row, const char *key, uint64_t n)
{
    table_put_i64(row, bytes_of_string(key), (int64_t)n);
}

void row_put_flag(struct pen *row, const char *key, bool is_set)
{
    table_put_bool(row, bytes_of_string(key), is_set);
}

void row_put_counters(struct pen *row, const uint64_t *counts)
{
    for (size_t i = 0; i < COUNTERS; i++)
        if (counts[i] > 0)
            row_put_number(row, sample_names[i], counts[i]);
}

void row_put_statistics(const struct page *p, struct pen *row, struct counted *c)
{
    uint64_t counts[COUNTERS];
    const struct statistics *own = statistics_of(p->b, c, counts);
    if (own == NULL)
        return;
    uint8_t *mark = table_open(row, BYTES("statistics"), 'F');
    row_put_number(row, "id", own->id);
    row_put_counters(row, counts);
    table_close(row, mark);
}

bool page_wants(const struct page *p, struct bytes name)
{
    return !p->to->has_name || bytes_equal(p->to->name, name);
}

struct bytes connection_name(const struct outlet *o)
{
    struct field f;
    bool has = table_find(o->facts->arguments, BYTES("name"), &f) && f.type == 'S';
    return has ? f.bytes : (struct bytes){0};
}

/* ---- Pages. */

static void inspect_map(struct page *p, const struct map *m, void (*each)(void *arg, struct map_node *n))
{
    unsigned buckets = 0;
    do {
        p->to->cursor = map_scan(m, p->to->cursor, each, p);
    } while (p->to->cursor != 0 && !page_is_full(p) && ++buckets < BUCKETS_PER_PAGE);
}

/* One queue's, when it was named: no need to look through all. */
static void inspect_named_queue(struct page *p, void (*each)(void *arg, struct map_node *n))
{
    struct queue *q = p->to->has_name ? vhost_find_queue(p->b, p->vhost, p->to->name) : NULL;
    p->to->cursor = p->to->has_name ? 0 : p->to->cursor;
    if (q != NULL)
        each(p, &q->in_vhost);
    else if (!p->to->has_name)
        inspect_map(p, &p->vhost->queues, each);
}

/* Those that the names say; the cursor is a place among them. */
static void inspect_named_queues(struct page *p)
{
    struct inspection *to = p->to;
    struct cursor c = cursor_over(bytes_of(to->names.at + to->cursor, to->names.len - to->cursor));
    while (cursor_left(&c) > 0 && !page_is_full(p)) {
        struct bytes vhost = cursor_take(&c, cursor_u16(&c));
        struct bytes name = cursor_take(&c, cursor_u16(&c));
        struct vhost *v = vhost_find(p->b, vhost);
        struct queue *q = v != NULL ? vhost_find_queue(p->b, v, name) : NULL;
        if (q != NULL)
            inspect_queue(p, &q->in_vhost);
    }
    to->cursor = cursor_left(&c) > 0 ? to->names.len - cursor_left(&c) : 0;
}

/* A queue may have more consumers than a page: then the cursor stays with its bucket, and says so. */
static void inspect_all_consumers(struct page *p)
{
    struct inspection *to = p->to;
    struct queue *named = to->has_name ? vhost_find_queue(p->b, p->vhost, to->name) : NULL;
    uint64_t bucket = to->cursor & ~CURSOR_IS_WITHIN;
    unsigned buckets = 0;
    do {
        uint64_t next = 0;
        p->index = 0;
        if (named != NULL)
            inspect_consumers(p, &named->in_vhost);
        else if (!to->has_name)
            next = map_scan(&p->vhost->queues, bucket, inspect_consumers, p);
        if (p->is_cut)
            break;
        to->skip = 0;
        bucket = next;
    } while (bucket != 0 && !page_is_full(p) && ++buckets < BUCKETS_PER_PAGE);
    to->skip = p->is_cut ? p->index : 0;
    to->cursor = p->is_cut ? bucket | CURSOR_IS_WITHIN : bucket;
}

/* One user, when it was named: every login over HTTP asks for one. */
static void inspect_users(struct page *p)
{
    struct user *u = p->to->has_name ? user_find(p->b, p->to->name) : NULL;
    if (!p->to->has_name) {
        inspect_map(p, &p->b->users, inspect_user);
        return;
    }
    if (u != NULL)
        inspect_user(p, &u->in_broker);
    p->to->cursor = 0;
}

static void inspect_in_vhost(struct page *p)
{
    const struct vhost *v = p->vhost;
    switch ((int)p->to->what) {
    case INSPECT_PERMISSIONS:
        inspect_map(p, &v->accesses, inspect_access);
        break;
    case INSPECT_TOPIC_PERMISSIONS:
        inspect_map(p, &v->topics, inspect_topic_access);
        break;
    case INSPECT_EXCHANGES:
        inspect_map(p, &v->exchanges, inspect_exchange);
        break;
    case INSPECT_QUEUES:
        inspect_named_queue(p, p->to->is_brief ? inspect_queue_briefly : inspect_queue);
        break;
    case INSPECT_BINDINGS:
        inspect_map(p, &v->bindings, inspect_binding);
        break;
    case INSPECT_CONSUMERS:
        inspect_all_consumers(p);
        break;
    case INSPECT_UNACKED:
        inspect_unacked(p);
        break;
    default:
        break;
    }
}

static void inspect(struct page *p)
{
    switch (p->to->what) {
    case INSPECT_TOTALS:
        inspect_totals(p);
        break;
    case INSPECT_VHOSTS:
        inspect_map(p, &p->b->vhosts, inspect_vhost);
        break;
    case INSPECT_USERS:
        inspect_users(p);
        break;
    case INSPECT_PARAMETERS:
        inspect_map(p, &p->b->parameters, inspect_parameter);
        break;
    case INSPECT_CONNECTIONS:
    case INSPECT_CHANNELS:
        inspect_outlets(p);
        break;
    case INSPECT_PERMISSIONS:
    case INSPECT_TOPIC_PERMISSIONS:
    case INSPECT_EXCHANGES:
    case INSPECT_QUEUES:
    case INSPECT_BINDINGS:
    case INSPECT_CONSUMERS:
    case INSPECT_UNACKED:
    case INSPECT_MESSAGES:
    case INSPECT_DELAYED:
    case INSPECT_ROUTE:
    case INSPECT_TRACE:
        if (p->to->names.len > 0)
            inspect_named_queues(p);
        else if (p->vhost != NULL)
            inspect_in_vhost(p);
        else if (p->to->what == INSPECT_PERMISSIONS && p->to->has_name)
            inspect_map(p, &p->b->vhosts, inspect_access_of_user);
        else
            p->to->cursor = 0;
        break;
    }
}

/* Answered when the store has been asked, maybe. */
static void inspect_delayed(struct broker *b, struct command *c, const struct page *p)
{
    struct exchange *x = p->vhost != NULL ? vhost_find_exchange(b, p->vhost, p->to->name) : NULL;
    if (x != NULL) {
        delayed_list(b, c, x);
        return;
    }
    broker_fail(b, c, NO_SUCH_EXCHANGE,
                str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(p->to);
}

/* NULL, or why who looks may not. */
static char *refuse_reader(struct broker *b, const struct page *p)
{
    struct bytes user = bytes_of_string(p->to->user);
    struct access *a = p->vhost != NULL ? access_find(p->vhost, user) : NULL;
    return a != NULL
               ? rights_refuse_right(b, a, RIGHT_READ, RESOURCE_QUEUE, p->to->name)
               : str_format("access to vhost '%.*s' refused for user '%.*s'", BYTES_ARG(p->to->vhost), BYTES_ARG(user));
}

/* False: who looks may not, and that was answered. */
static bool may_read(struct broker *b, struct command *c, const struct page *p)
{
    char *refusal = p->to->user != NULL ? refuse_reader(b, p) : NULL;
    if (refusal == NULL)
        return true;
    broker_fail(b, c, DENIED, refusal);
    inspection_destroy(c->inspection);
    return false;
}

static void inspect_messages(struct broker *b, struct command *c, const struct page *p)
{
    struct queue *q = p->vhost != NULL && p->to->has_name ? vhost_find_queue(b, p->vhost, p->to->name) : NULL;
    if (!may_read(b, c, p))
        return;
    if (q != NULL) {
        peek(b, c, q);
        return;
    }
    broker_fail(b, c, NO_SUCH_QUEUE,
                str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(c->inspection);
}

static void inspect_route(struct broker *b, struct command *c, const struct page *p)
{
    struct exchange *x = NULL;
    if (p->vhost != NULL && p->to->has_name && p->to->msg != NULL)
        x = p->to->name.len == 0 ? p->vhost->default_exchange : vhost_find_exchange(b, p->vhost, p->to->name);
    if (x != NULL) {
        explain(b, p->to, x);
        broker_done(b, c, NULL)->done.inspection = p->to;
        return;
    }
    broker_fail(b, c, NO_SUCH_EXCHANGE,
                str_format("no exchange '%.*s' in vhost '%.*s'", BYTES_ARG(p->to->name), BYTES_ARG(p->to->vhost)));
    inspection_destroy(p->to);
}

void command_inspect(struct broker *b, struct command *c)
{
    struct page p = {.b = b, .to = c->inspection};
    b->changed = 0;
    inspection_clear(p.to);
    if (p.to->what == INSPECT_TRACE) {
        observer_answer(b, c);
        return;
    }
    if (p.to->has_vhost)
        p.vhost = vhost_find(b, p.to->vhost);
    if (p.to->has_vhost && p.vhost == NULL && p.to->what != INSPECT_PARAMETERS) {
        broker_fail(b, c, NO_SUCH_VHOST, str_format("vhost '%.*s' does not exist", BYTES_ARG(p.to->vhost)));
        inspection_destroy(c->inspection);
        return;
    }
    if (p.to->what == INSPECT_DELAYED) {
        inspect_delayed(b, c, &p);
        return;
    }
    if (p.to->what == INSPECT_MESSAGES) {
        inspect_messages(b, c, &p);
        return;
    }
    if (p.to->what == INSPECT_ROUTE) {
        inspect_route(b, c, &p);
        return;
    }
    if (p.to->what == INSPECT_UNACKED && !may_read(b, c, &p))
        return;
    inspect(&p);
    broker_done(b, c, NULL)->done.inspection = p.to;
}
