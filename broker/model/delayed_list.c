#include "broker/model/delayed_list.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/vhost.h"
#include "broker/port/command.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "codec/table.h"

enum { ROW_ROOM = 1024 }; /* of keys and numbers; names come on top */

struct listing {
    struct link in_delayed;
    struct command command; /* INSPECT */
};

static struct listing *first_of(const struct delayed *d)
{
    return item_of(d->listings.ring.next, struct listing, in_delayed);
}

/* By the wall clock. */
static int64_t due_at(const struct broker *b, int64_t due_ms)
{
    return (int64_t)b->now.wall_ms + (due_ms - (int64_t)b->now.ms);
}

static void put_row(const struct broker *b, struct inspection *to, const struct exchange *x, const struct due *slot,
                    const struct message *msg)
{
    size_t room = ROW_ROOM + x->name.len + x->vhost->name.len + msg->exchange_len + msg->key_len;
    struct pen row = pen_over(inspection_open_row(to, room), room);
    table_put_i64(&row, BYTES("id"), (int64_t)slot->position);
    table_put_string(&row, BYTES("vhost"), x->vhost->name);
    table_put_string(&row, BYTES("exchange"), x->name);
    table_put_string(&row, BYTES("published_to"), message_exchange(msg));
    table_put_string(&row, BYTES("routing_key"), message_key(msg));
    table_put_i64(&row, BYTES("due_at"), due_at(b, slot->due_ms));
    table_put_i64(&row, BYTES("bytes"), (int64_t)msg->body_size);
    inspection_close_row(to, pen_written(&row).len);
}

static void list_warm(const struct broker *b, struct delayed *d, struct inspection *to)
{
    struct due *slot = schedule_from(&d->schedule, to->cursor);
    for (; slot != NULL && to->n < INSPECTION_ROWS_MAX; slot = schedule_next(&d->schedule, slot))
        put_row(b, to, d->exchange, slot, slot->entry->msg);
    to->cursor = slot != NULL ? slot->position : 0;
}

void delayed_list(struct broker *b, struct command *c, struct exchange *x)
{
    struct delayed *d = x->waiting != NULL ? x->waiting->delayed : NULL;
    struct inspection *to = c->inspection;
    if (d != NULL && d->listing_count == DELAYED_LISTINGS_MAX) {
        broker_fail(b, c, TOO_MUCH, str_copy(BYTES("too many lists of delayed messages are under way")));
        inspection_destroy(to);
        return;
    }
    if (d != NULL && d->count > 0 && b->records) {
        struct listing *l = alloc(sizeof *l);
        l->command = *c;
        list_append(&d->listings, &l->in_delayed);
        d->listing_count++;
        delayed_want(b, d);
        return;
    }
    if (d != NULL && !b->records)
        list_warm(b, d, to);
    else
        to->cursor = 0;
    broker_done(b, c, NULL)->done.inspection = to;
}

static struct command unlist(struct delayed *d, struct listing *l)
{
    struct command c = l->command;
    list_remove(&l->in_delayed);
    d->listing_count--;
    free(l);
    return c;
}

uint64_t delayed_list_wants(const struct delayed *d)
{
    return first_of(d)->command.inspection->cursor;
}

void delayed_list_answer(struct broker *b, struct delayed *d, const struct load *l)
{
    struct command c = unlist(d, first_of(d));
    struct inspection *to = c.inspection;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct due *slot = schedule_find(&d->schedule, l->entries[i].position);
        if (slot != NULL)
            put_row(b, to, d->exchange, slot, l->entries[i].msg);
    }
    to->cursor = !l->is_end && l->next > to->cursor ? l->next : 0;
    b->changed = 0;
    broker_done(b, &c, NULL)->done.inspection = to;
}

void delayed_list_forget(struct broker *b, struct delayed *d)
{
    struct listing *l;
    list_each (l, &d->listings, struct listing, in_delayed) {
        struct command c = unlist(d, l);
        c.inspection->cursor = 0;
        broker_done(b, &c, NULL)->done.inspection = c.inspection;
    }
}
