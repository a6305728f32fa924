#include "broker/model/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/exchange.h"
#include "broker/model/explain_state.h"
#include "broker/model/queue.h"
#include "broker/model/route_headers.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/model/waiting.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "codec/table.h"

struct pen explain_open(struct explain *e, const char *sort, size_t room)
{
    room += EXPLAIN_ROW_ROOM;
    struct pen row = pen_over(inspection_open_row(e->to, room), room);
    table_put_string(&row, BYTES("row"), bytes_of_string(sort));
    return row;
}

void explain_close(struct explain *e, const struct pen *row)
{
    CHECK(!row->full);
    inspection_close_row(e->to, pen_written(row).len);
}

void explain_say(struct pen *row, const char *key, const char *format, ...)
{
    char text[WAITING_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    table_put_string(row, bytes_of_string(key), bytes_of_string(text));
}

/* ---- Bindings. */

static struct pen open_binding(struct explain *e, const struct binding *bd, size_t room, bool matched)
{
    struct bytes to = bd->queue != NULL ? bd->queue->name : bd->to->name;
    struct pen row = explain_open(e, "binding", bd->source->name.len + to.len + bd->key.len + bd->arguments.len + room);
    table_put_string(&row, BYTES("source"), bd->source->name);
    table_put_string(&row, BYTES("destination"), to);
    table_put_string(&row, BYTES("destination_type"), bd->queue != NULL ? BYTES("queue") : BYTES("exchange"));
    table_put_string(&row, BYTES("routing_key"), bd->key);
    uint8_t *mark = table_open(&row, BYTES("arguments"), 'F');
    pen_bytes(&row, bd->arguments);
    table_close(&row, mark);
    table_put_bool(&row, BYTES("matched"), matched);
    return row;
}

static void on_match(struct look *l, const struct binding *bd, struct bytes key)
{
    struct explain *e = l->arg;
    if (e->n_matched < EXPLAIN_MISSES_MAX)
        e->matched[e->n_matched] = bd;
    e->n_matched++;
    e->matches++;
    if (e->bindings == EXPLAIN_BINDINGS_MAX || e->to->size >= INSPECTION_BYTES_MAX) {
        e->left_off++;
        return;
    }
    e->bindings++;
    const struct look_step *s = &l->steps[l->at];
    struct pen row = open_binding(e, bd, key.len, true);
    table_put_string(&row, BYTES("key"), key);
    table_put_bool(&row, BYTES("certain"), s->place.is_certain && !s->is_by_chance);
    explain_close(e, &row);
}

static size_t count_words(struct bytes key)
{
    size_t n = key.len > 0;
    for (size_t i = 0; i < key.len; i++)
        n += key.at[i] == '.';
    return n;
}

static struct bytes cut_word(struct bytes *rest)
{
    const uint8_t *dot = rest->len > 0 ? memchr(rest->at, '.', rest->len) : NULL;
    size_t len = dot != NULL ? (size_t)(dot - rest->at) : rest->len;
    struct bytes word = bytes_of(rest->at, len);
    *rest = dot != NULL ? bytes_of(dot + 1, rest->len - len - 1) : (struct bytes){0};
    return word;
}

/* The pattern does not match the key: where they part, if that can be said in few words. */
static void tell_pattern(struct pen *row, struct bytes pattern, struct bytes key)
{
    bool has_hash = false;
    for (struct bytes rest = pattern; rest.len > 0 && !has_hash;)
        has_hash = bytes_equal(cut_word(&rest), BYTES("#"));
    size_t wanted = count_words(pattern), n = count_words(key);
    if (!has_hash && wanted != n) {
        explain_say(row, "why", "the pattern wants %zu word%s, and the routing key has %zu", wanted,
                    wanted == 1 ? "" : "s", n);
        return;
    }
    for (size_t i = 1; i <= n && i <= wanted; i++) {
        struct bytes want = cut_word(&pattern), is = cut_word(&key);
        if (bytes_equal(want, BYTES("#")))
            break;
        if (bytes_equal(want, BYTES("*")) || bytes_equal(want, is))
            continue;
        want = waiting_name(want);
        is = waiting_name(is);
        explain_say(row, "why", "word %zu of the routing key is '%.*s', and the pattern wants '%.*s'", i, BYTES_ARG(is),
                    BYTES_ARG(want));
        return;
    }
    explain_say(row, "why", "the pattern does not match the routing key");
}

static void tell_headers(struct explain *e, struct pen *row, const struct binding *bd)
{
    struct routing routing = {.key = message_key(e->msg), .msg = e->msg, .is_held = true};
    char *why = headers_match_tell(bd, &e->b->route, &routing);
    explain_say(row, "why", "%s", why != NULL ? why : "");
    free(why);
}

static void put_why_not(struct explain *e, struct pen *row, const struct exchange *x, const struct binding *bd)
{
    bool has_more_keys = message_extra_keys_len(e->msg) > 0;
    struct bytes key = waiting_name(message_key(e->msg));
    if (x->kind == &exchange_direct)
        explain_say(row, "why", has_more_keys ? "none of the routing keys is '%.*s'" : "the routing key is not '%.*s'",
                    BYTES_ARG(waiting_name(bd->key)));
    else if (x->kind == &exchange_topic && has_more_keys)
        explain_say(row, "why", "the pattern matches none of the routing keys");
    else if (x->kind == &exchange_topic)
        tell_pattern(row, bd->key, message_key(e->msg));
    else if (x->kind == &exchange_headers)
        tell_headers(e, row, bd);
    else if (x->kind == &exchange_consistent_hash && bd->seat == SIZE_MAX)
        explain_say(row, "why", "an earlier binding of the same destination counts, not this one");
    else if (x->kind == &exchange_consistent_hash || x->kind == &exchange_modulus_hash)
        explain_say(row, "why", "the hash of '%.*s' falls to another binding", BYTES_ARG(key));
    else
        explain_say(row, "why", "it was not chosen");
}

static bool is_matched(const struct explain *e, const struct binding *bd)
{
    for (size_t i = 0; i < e->n_matched && i < EXPLAIN_MISSES_MAX; i++)
        if (e->matched[i] == bd)
            return true;
    return false;
}

/* Where there are few bindings, those that do not match are told, too. */
static void tell_misses(struct explain *e, const struct look_step *s)
{
    const struct binding *bd;
    size_t n = 0;
    list_each (bd, &s->exchange->outgoing, const struct binding, in_source)
        if (++n > EXPLAIN_MISSES_MAX)
            return;
    if (s->is_duplicate || e->n_matched > EXPLAIN_MISSES_MAX)
        return;
    list_each (bd, &s->exchange->outgoing, const struct binding, in_source) {
        if (is_matched(e, bd))
            continue;
        if (e->misses == EXPLAIN_ALL_MISSES_MAX || e->to->size >= INSPECTION_BYTES_MAX) {
            e->left_off++;
            continue;
        }
        e->misses++;
        struct pen row = open_binding(e, bd, 0, false);
        put_why_not(e, &row, s->exchange, bd);
        explain_close(e, &row);
    }
}

/* ---- Exchanges. */

static void put_alternate(struct explain *e, struct pen *row, const struct exchange *x)
{
    if (!x->has_alternate)
        return;
    table_put_string(row, BYTES("alternate"), x->alternate);
    if (vhost_find_exchange(e->b, x->vhost, x->alternate) == NULL)
        table_put_bool(row, BYTES("alternate_missing"), true);
}

static void on_step(struct look *l, const struct look_step *s)
{
    struct explain *e = l->arg;
    const struct exchange *x = s->exchange;
    const char *via = l->at == 0 ? "published" : s->place.is_alternate ? "alternate" : "binding";
    tell_misses(e, s);
    e->n_matched = 0;
    if (e->exchanges == EXPLAIN_NAMES_MAX) {
        e->left_off++;
        return;
    }
    e->exchanges++;
    struct pen row = explain_open(e, "exchange", x->name.len + x->spec->type.len + x->alternate.len);
    table_put_string(&row, BYTES("name"), x->name);
    table_put_string(&row, BYTES("type"), x->name.len == 0 ? BYTES("direct") : x->spec->type);
    table_put_bool(&row, BYTES("internal"), x->spec->internal);
    table_put_string(&row, BYTES("via"), bytes_of_string(via));
    table_put_bool(&row, BYTES("certain"), s->place.is_certain);
    table_put_i64(&row, BYTES("matches"), (int64_t)s->matches);
    if (s->place.after_ms > 0)
        table_put_i64(&row, BYTES("after_ms"), (int64_t)s->place.after_ms);
    if (s->delay_ms > 0)
        table_put_i64(&row, BYTES("delay_ms"), (int64_t)s->delay_ms);
    if (s->is_duplicate)
        table_put_bool(&row, BYTES("duplicate"), true);
    if (s->is_by_chance)
        table_put_i64(&row, BYTES("one_of"), (int64_t)s->matches);
    put_alternate(e, &row, x);
    explain_close(e, &row);
}

/* ---- All of it. */

/* The next walk needs the broker's route: queues that are told in full are put by first. */
struct reached {
    struct queue *queue;
    struct look_place place;
};

static void tell_in_short(struct explain *e, const struct queue *q, const struct look_place *place)
{
    struct pen row = explain_open(e, "queue", q->name.len);
    table_put_string(&row, BYTES("name"), q->name);
    table_put_bool(&row, BYTES("certain"), place->is_certain);
    explain_close(e, &row);
}

static void tell_queues(struct explain *e)
{
    struct reached told[EXPLAIN_QUEUES_MAX];
    size_t n = e->look.n, n_told = n < EXPLAIN_QUEUES_MAX ? n : EXPLAIN_QUEUES_MAX;
    for (size_t i = 0; i < n_told; i++) // cppcheck-suppress knownConditionTrueFalse
        told[i] = (struct reached){.queue = e->b->route.queues[i], .place = e->look.places[i]};
    for (size_t i = 0; i < n_told; i++) // cppcheck-suppress knownConditionTrueFalse
        explain_queue(e, told[i].queue, &told[i].place);
    for (size_t i = n_told; i < n && i < EXPLAIN_NAMES_MAX; i++)
        tell_in_short(e, e->b->route.queues[i], &e->look.places[i]);
    e->left_off += n > EXPLAIN_NAMES_MAX ? n - EXPLAIN_NAMES_MAX : 0;
    for (size_t i = 0; i < n_told; i++) // cppcheck-suppress knownConditionTrueFalse
        explain_deaths(e, told[i].queue);
}

void explain(struct broker *b, struct inspection *to, struct exchange *x)
{
    struct explain *e = alloc_zeroed(sizeof *e);
    e->b = b;
    e->to = to;
    e->msg = to->msg;
    to->cursor = 0;
    e->looked_before = b->route.looked;
    look_init(&e->look, b);
    e->look.on_match = on_match;
    e->look.on_step = on_step;
    e->look.arg = e;
    e->msg->arrived_ms = (int64_t)b->now.ms;
    look_walk(&e->look, x, e->msg);
    uint64_t queues = e->look.n;
    e->look.on_match = NULL;
    e->look.on_step = NULL;
    tell_queues(e);
    struct pen row = explain_open(e, "end", 0);
    table_put_i64(&row, BYTES("reached"), (int64_t)queues);
    table_put_i64(&row, BYTES("matches"), (int64_t)e->matches);
    table_put_i64(&row, BYTES("left_off"), (int64_t)e->left_off);
    explain_close(e, &row);
    look_fini(&e->look);
    free(e);
}
