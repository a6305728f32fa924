/* The row of INSPECT_TOTALS. */
#include <stdio.h>

#include "broker/model/inspect_page.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { TOTALS_ROOM = 8192 };

/* By enum death. */
static const char *const death_words[DEATH_DUE] = {"rejected", "expired", "maxlen", "delivery_limit"};

static void put_deaths(struct pen *row, const struct tally *t)
{
    char key[64];
    for (size_t death = 0; death < DEATH_DUE; death++) {
        const char *word = death_words[death];
        snprintf(key, sizeof key, "dead_lettered_%s", word);
        row_put_number(row, key, t->deaths[AT_MOST_ONCE][death] + t->deaths[AT_LEAST_ONCE][death]);
        snprintf(key, sizeof key, "dead_lettered_at_least_once_%s", word);
        row_put_number(row, key, t->deaths[AT_LEAST_ONCE][death]);
        snprintf(key, sizeof key, "dead_lettered_disabled_%s", word);
        row_put_number(row, key, t->deaths[DROPPED][death]);
    }
    row_put_number(row, "dead_lettered_confirmed", t->letters_arrived);
}

static void put_type(struct pen *row, enum queue_type type, const struct tally *t)
{
    uint64_t counts[COUNTERS] = {0};
    uint8_t *mark = table_open(row, bytes_of_string(queue_type_words[type]), 'F');
    tally_counts(t, counts);
    for (size_t i = 0; i < COUNTERS; i++)
        row_put_number(row, sample_names[i], counts[i]);
    put_deaths(row, t);
    table_close(row, mark);
}

static void put_published(struct pen *row, const struct tallies *t)
{
    const uint64_t *counts = t->counts;
    row_put_number(row, "received", counts[COUNT_PUBLISH]);
    row_put_number(row, "received_confirm", counts[COUNT_CONFIRM] + t->refused);
    row_put_number(row, "confirmed", counts[COUNT_CONFIRM]);
    row_put_number(row, "routed", t->routed);
    row_put_number(row, "unroutable_dropped", counts[COUNT_DROP_UNROUTABLE]);
    row_put_number(row, "unroutable_returned", counts[COUNT_RETURN_UNROUTABLE]);
    uint8_t *mark = table_open(row, BYTES("message_sizes"), 'A');
    for (size_t i = 0; i < MESSAGE_SIZES; i++) {
        pen_u8(row, 'l');
        pen_u64(row, t->sizes[i]);
    }
    table_close(row, mark);
    row_put_number(row, "message_bytes", t->bytes);
}

static void put_churn(struct pen *row, const struct statistics_state *s)
{
    row_put_number(row, "connections_opened", s->connections_opened);
    row_put_number(row, "connections_closed", s->connections_closed);
    row_put_number(row, "channels_opened", s->channels_opened);
    row_put_number(row, "channels_closed", s->channels_closed);
    row_put_number(row, "queues_declared", s->queues_declared);
    row_put_number(row, "queues_created", s->queues_created);
    row_put_number(row, "queues_deleted", s->queues_deleted);
    row_put_number(row, "publishers", s->publishers);
}

/* Of all queues, connections and channels, what each of them is listed with. */
static void put_sums(struct pen *row, const struct statistics_state *s, const struct tallies *all)
{
    uint64_t ready = 0, out = 0;
    for (size_t i = 0; i < QUEUE_TYPES; i++) {
        ready += all->types[i].ready_bytes;
        out += all->types[i].out_bytes;
    }
    row_put_number(row, "message_bytes_ready", ready);
    row_put_number(row, "message_bytes_unacknowledged", out);
    row_put_number(row, "received_octets", all->counts[COUNT_RECV_OCT]);
    row_put_number(row, "received_reads", all->counts[COUNT_RECV_CNT]);
    row_put_number(row, "sent_octets", all->counts[COUNT_SEND_OCT]);
    row_put_number(row, "sent_writes", all->counts[COUNT_SEND_CNT]);
    row_put_number(row, "send_pend", s->send_pend);
    row_put_number(row, "messages_unconfirmed", s->unconfirmed);
    row_put_number(row, "messages_uncommitted", s->uncommitted);
    row_put_number(row, "acks_uncommitted", s->acks_uncommitted);
    row_put_number(row, "global_prefetch_count", s->credit_limits);
}

static void put_there_is(struct pen *row, const struct broker *b)
{
    const struct broker_totals *t = &b->totals;
    row_put_number(row, "queues", t->queues);
    row_put_number(row, "exchanges", t->exchanges);
    row_put_number(row, "bindings", t->bindings);
    row_put_number(row, "consumers", t->consumers);
    row_put_number(row, "connections", t->outlets);
    row_put_number(row, "channels", b->statistics.streams);
    row_put_number(row, "messages_ready", t->messages_ready);
    row_put_number(row, "messages_unacknowledged", b->tickets.used);
    row_put_number(row, "messages", t->messages_ready + b->tickets.used - t->messages_read);
    row_put_number(row, "memory_bytes",
                   t->message_bytes + b->bytes_outside + b->history_bytes + b->dedup.bytes + b->groups_bytes);
    row_put_number(row, "vhosts", b->vhosts.count);
    row_put_number(row, "users", b->users.count);
}

void inspect_totals(const struct page *p)
{
    const struct tallies *all = statistics_fold(p->b);
    struct pen row = row_open(p, TOTALS_ROOM);
    put_there_is(&row, p->b);
    put_sums(&row, &p->b->statistics, all);
    put_churn(&row, &p->b->statistics);
    put_published(&row, all);
    for (unsigned type = 0; type < QUEUE_TYPES; type++)
        put_type(&row, (enum queue_type)type, &all->types[type]);
    row_close(p, &row);
    p->to->cursor = 0;
}
