/* What the model counts, by rows of INSPECT and by SAMPLE (broker/port/sample.h, broker/model/statistics.h).  Besides,
 * every world holds the totals to its events (tests/unit/abacus.h). */
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "broker/port/sample.h"
#include "codec/table.h"

static struct bytes text(const char *s)
{
    return bytes_of_string(s);
}

/* --- asking
 * ---------------------------------------------------------------------------------------------------------*/

/* Forgets all events that were not read. */
static struct event *ask(struct world *w, struct command c)
{
    world_forget(w);
    world_do(w, c, DESK_GENERATION, 0);
    struct event *e = world_next(w);
    assert_int_equal(e->what, DONE);
    return e;
}

/* The row of that name in a list of the virtual host, or the row of totals, or the first of a connection's channels. */
static struct inspection *inspect(struct world *w, enum inspection_kind what, const char *name)
{
    struct bytes vhost = BYTES("/"), named = name != NULL ? text(name) : (struct bytes){0};
    bool is_in_vhost = what == INSPECT_QUEUES || what == INSPECT_EXCHANGES;
    struct inspection *i = inspection_create(what, is_in_vhost ? &vhost : NULL, name != NULL ? &named : NULL);
    struct event *e = ask(w, (struct command){.verb = INSPECT, .inspection = i});
    i = e->done.inspection;
    e->done.inspection = NULL;
    return i;
}

/* A number of a table of the first row; table NULL: of the row itself.  0: it is not there. */
static uint64_t number_in(const struct inspection *i, const char *table, const char *key)
{
    size_t at = 0;
    struct bytes row;
    struct field f;
    assert_true(inspection_next(i, &at, &row));
    if (table != NULL && (!table_find(row, text(table), &f) || f.type != 'F'))
        return 0;
    if (table != NULL)
        row = f.bytes;
    return table_find(row, text(key), &f) ? (uint64_t)f.integer : 0;
}

static uint64_t number_of(struct world *w, enum inspection_kind what, const char *name, const char *table,
                          const char *key)
{
    struct inspection *i = inspect(w, what, name);
    uint64_t n = number_in(i, table, key);
    inspection_destroy(i);
    return n;
}

static uint64_t of_queue(struct world *w, const char *queue, enum sample_counter counter)
{
    return number_of(w, INSPECT_QUEUES, queue, "statistics", sample_names[counter]);
}

static uint64_t of_exchange(struct world *w, const char *exchange, enum sample_counter counter)
{
    return number_of(w, INSPECT_EXCHANGES, exchange, "statistics", sample_names[counter]);
}

static uint64_t in_total(struct world *w, const char *key)
{
    return number_of(w, INSPECT_TOTALS, NULL, NULL, key);
}

static uint64_t of_type(struct world *w, const char *type, const char *key)
{
    return number_of(w, INSPECT_TOTALS, NULL, type, key);
}

/* Of all channels together. */
static uint64_t of_channels(struct world *w, enum sample_counter counter)
{
    struct inspection *i = inspect(w, INSPECT_CHANNELS, NULL);
    uint64_t n = 0;
    struct bytes row;
    struct field f, g;
    for (size_t at = 0; inspection_next(i, &at, &row);)
        if (table_find(row, BYTES("statistics"), &f) && table_find(f.bytes, text(sample_names[counter]), &g))
            n += (uint64_t)g.integer;
    inspection_destroy(i);
    return n;
}

/* --- doing
 * ----------------------------------------------------------------------------------------------------------*/

struct publish {
    const char *exchange, *key;
    size_t size;
    bool mandatory, confirm, persistent;
};

static void publish_from(struct world *w, unsigned stream, struct publish p)
{
    struct message *m = message_create(&(struct message_spec){.exchange = text(p.exchange),
                                                              .routing_key = text(p.key),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = p.size,
                                                              .flags = p.persistent ? MESSAGE_PERSISTENT : 0,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    uint8_t *body = alloc_zeroed(p.size + 1);
    message_fill(m, bytes_of(body, p.size));
    free(body);
    world_do(w,
             (struct command){.verb = PUBLISH, .publish = {.msg = m, .mandatory = p.mandatory, .confirm = p.confirm}},
             0, stream);
}

static void publish(struct world *w, struct publish p, unsigned times)
{
    while (times-- > 0)
        publish_from(w, 0, p);
}

static void get(struct world *w, const char *queue, bool no_ack)
{
    struct spec *s = spec_create(&(struct spec){.name = text(queue), .no_ack = no_ack});
    world_do(w, (struct command){.verb = GET, .spec = s}, 0, 0);
}

static void declare_with(struct world *w, const char *name, struct queue_options o)
{
    world_queue(w, 0, name, &(struct spec){.options = o, .durable = true});
}

static void delete_queue(struct world *w, const char *name)
{
    struct spec *s = spec_create(&(struct spec){.name = text(name)});
    world_do(w, (struct command){.verb = DELETE_QUEUE, .spec = s}, 0, 0);
}

static ticket last_ticket(const struct world *w)
{
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_true(e->what == DELIVERED || e->what == GOT);
    return e->delivered.ticket;
}

/* --- each counter
 * ---------------------------------------------------------------------------------------------------*/

TEST(what_was_not_used_is_not_counted)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    struct inspection *i = inspect(&w, INSPECT_QUEUES, "q");
    size_t at = 0;
    struct bytes row;
    struct field f;
    assert_true(inspection_next(i, &at, &row));
    assert_false(table_find(row, BYTES("statistics"), &f));
    inspection_destroy(i);
    assert_int_equal(in_total(&w, "received"), 0);
    world_fini(&w);
}

TEST(a_publish_is_counted_whichever_way_it_goes)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    const struct publish p = {.exchange = "", .key = "q", .size = 3};
    publish(&w, p, 3); /* the first finds the route, the others remember it */
    assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), 3);
    world_consume(&w, 0, "q", 0, 0, true); /* takes the three, and what is published now is handed over */
    publish(&w, p, 4);
    assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), 7);
    assert_int_equal(of_queue(&w, "q", COUNT_DELIVER_NO_ACK), 7);
    assert_int_equal(of_queue(&w, "q", COUNT_DELIVER), 0);
    assert_int_equal(of_exchange(&w, "", COUNT_PUBLISH_IN), 7);
    assert_int_equal(of_exchange(&w, "", COUNT_PUBLISH_OUT), 7);
    assert_int_equal(of_channels(&w, COUNT_PUBLISH), 7);
    assert_int_equal(of_channels(&w, COUNT_DELIVER_NO_ACK), 7);
    assert_int_equal(number_of(&w, INSPECT_VHOSTS, "/", "statistics", "publish"), 7);
    assert_int_equal(number_of(&w, INSPECT_VHOSTS, "/", "statistics", "deliver_no_ack"), 7);
    assert_int_equal(in_total(&w, "received"), 7);
    assert_int_equal(in_total(&w, "routed"), 7);
    assert_int_equal(in_total(&w, "publishers"), 1);
    assert_int_equal(of_type(&w, "classic", "publish"), 7);
    assert_int_equal(of_type(&w, "quorum", "publish"), 0);
    world_fini(&w);
}

TEST(acknowledgements_and_redeliveries)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 0, 0, false);
    const struct publish p = {.exchange = "", .key = "q"};
    for (unsigned i = 0; i < 3; i++) {
        publish(&w, p, 1);
        world_settle(&w, 0, last_ticket(&w), REQUEUED); /* it comes again at once */
        world_settle(&w, 0, last_ticket(&w), i < 2 ? ACCEPTED : REJECTED);
    }
    publish(&w, p, 1);
    world_settle(&w, 0, (ticket){.slot = 99}, ACCEPTED); /* nobody has that */
    assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), 4);
    assert_int_equal(of_queue(&w, "q", COUNT_DELIVER), 7);
    assert_int_equal(of_queue(&w, "q", COUNT_REDELIVER), 3);
    assert_int_equal(of_queue(&w, "q", COUNT_ACK), 2);
    assert_int_equal(of_channels(&w, COUNT_DELIVER), 7);
    assert_int_equal(of_channels(&w, COUNT_REDELIVER), 3);
    assert_int_equal(of_channels(&w, COUNT_ACK), 2);
    assert_int_equal(of_type(&w, "classic", "ack"), 2);
    assert_int_equal(of_type(&w, "classic", "dead_lettered_disabled_rejected"), 1);
    assert_int_equal(of_type(&w, "classic", "dead_lettered_rejected"), 0);
    delete_queue(&w, "q"); /* what is out falls: nobody has acknowledged it */
    assert_int_equal(of_type(&w, "classic", "ack"), 2);
    world_fini(&w);
}

TEST(an_acknowledgement_of_many_is_counted_by_queue)
{
    struct world w;
    world_init(&w);
    ticket t[6];
    world_queue(&w, 0, "a", NULL);
    world_queue(&w, 0, "b", NULL);
    world_consume(&w, 0, "a", 0, 0, false);
    world_consume(&w, 0, "b", 1, 0, false);
    for (unsigned i = 0; i < 6; i++) {
        publish(&w, (struct publish){.exchange = "", .key = i == 1 || i == 2 ? "b" : "a"}, 1);
        t[i] = last_ticket(&w);
    }
    struct command c = {.verb = SETTLE, .settle = {.ticket = t[0], .outcome = ACCEPTED, .more_count = 5}};
    c.settle.more = alloc_copy(&t[1], 5 * sizeof t[0]);
    world_do(&w, c, 0, 0);
    assert_int_equal(of_queue(&w, "a", COUNT_ACK), 4);
    assert_int_equal(of_queue(&w, "b", COUNT_ACK), 2);
    assert_int_equal(of_channels(&w, COUNT_ACK), 6);
    world_fini(&w);
}

TEST(fetching_is_counted_by_how_and_when_there_is_nothing)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    publish(&w, (struct publish){.exchange = "", .key = "q"}, 3);
    get(&w, "q", true);
    get(&w, "q", false);
    world_settle(&w, 0, last_ticket(&w), REQUEUED);
    get(&w, "q", false);
    get(&w, "q", true);
    get(&w, "q", true);
    get(&w, "q", false);
    assert_int_equal(of_queue(&w, "q", COUNT_GET), 2);
    assert_int_equal(of_queue(&w, "q", COUNT_GET_NO_ACK), 2);
    assert_int_equal(of_queue(&w, "q", COUNT_GET_EMPTY), 2);
    assert_int_equal(of_queue(&w, "q", COUNT_REDELIVER), 1);
    assert_int_equal(of_channels(&w, COUNT_GET), 2);
    assert_int_equal(of_channels(&w, COUNT_GET_NO_ACK), 2);
    assert_int_equal(of_channels(&w, COUNT_GET_EMPTY), 2);
    world_fini(&w);
}

TEST(what_goes_nowhere_was_dropped_or_returned)
{
    struct world w;
    world_init(&w);
    world_exchange(&w, "x", "fanout");
    publish(&w, (struct publish){.exchange = "x", .key = "k"}, 2);
    publish(&w, (struct publish){.exchange = "x", .key = "k", .mandatory = true}, 3);
    assert_int_equal(of_exchange(&w, "x", COUNT_PUBLISH_IN), 5);
    assert_int_equal(of_exchange(&w, "x", COUNT_PUBLISH_OUT), 0);
    assert_int_equal(of_channels(&w, COUNT_DROP_UNROUTABLE), 2);
    assert_int_equal(of_channels(&w, COUNT_RETURN_UNROUTABLE), 3);
    assert_int_equal(in_total(&w, "unroutable_dropped"), 2);
    assert_int_equal(in_total(&w, "unroutable_returned"), 3);
    assert_int_equal(in_total(&w, "received"), 5);
    assert_int_equal(in_total(&w, "routed"), 0);
    world_fini(&w);
}

TEST(copies_are_the_exchange_s_that_was_published_to)
{
    struct world w;
    world_init(&w);
    world_exchange(&w, "x", "fanout");
    world_queue(&w, 0, "a", NULL);
    world_queue(&w, 0, "b", NULL);
    world_bind(&w, "a", "x", "");
    world_bind(&w, "b", "x", "");
    world_consume(&w, 0, "b", 0, 0, true);
    publish(&w, (struct publish){.exchange = "x", .key = ""}, 5);
    assert_int_equal(of_exchange(&w, "x", COUNT_PUBLISH_IN), 5);
    assert_int_equal(of_exchange(&w, "x", COUNT_PUBLISH_OUT), 10);
    assert_int_equal(of_queue(&w, "a", COUNT_PUBLISH), 5);
    assert_int_equal(of_queue(&w, "b", COUNT_PUBLISH), 5);
    assert_int_equal(in_total(&w, "received"), 5);
    assert_int_equal(in_total(&w, "routed"), 10);
    world_fini(&w);
}

TEST(confirms_are_counted_but_not_refusals)
{
    struct world w;
    world_init(&w);
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.max_length = 2;
    o.overflow = OVERFLOW_REJECT_PUBLISH;
    declare_with(&w, "q", o);
    publish(&w, (struct publish){.exchange = "", .key = "q", .confirm = true}, 5);
    publish(&w, (struct publish){.exchange = "", .key = "nowhere", .confirm = true}, 1);
    publish(&w, (struct publish){.exchange = "", .key = "nowhere"}, 1);
    assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), 2); /* those that it took */
    assert_int_equal(of_channels(&w, COUNT_PUBLISH), 7);
    assert_int_equal(of_channels(&w, COUNT_CONFIRM), 3);
    assert_int_equal(in_total(&w, "received_confirm"), 6);
    assert_int_equal(in_total(&w, "confirmed"), 3);
    world_fini(&w);
}

TEST(a_transaction_counts_when_it_is_committed)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct message *m = message_create(&(struct message_spec){
            .routing_key = BYTES("q"), .properties = bytes_of("\0\0", 2), .expiration_ms = MESSAGE_NO_EXPIRATION});
        world_do(&w, (struct command){.verb = PUBLISH, .publish = {.msg = message_ref(m), .hold = true}}, 0, 0);
        assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), i);
        struct tx *tx = alloc_zeroed(sizeof *tx);
        tx->commands = alloc_zeroed(sizeof *tx->commands);
        tx->n = tx->capacity = 1;
        tx->commands[0] = (struct command){.verb = PUBLISH, .publish = {.msg = m}};
        world_do(&w, (struct command){.verb = COMMIT, .tx = tx}, 0, 0);
    }
    assert_int_equal(of_queue(&w, "q", COUNT_PUBLISH), 2);
    assert_int_equal(of_channels(&w, COUNT_PUBLISH), 2);
    assert_int_equal(of_exchange(&w, "", COUNT_PUBLISH_OUT), 2);
    assert_int_equal(in_total(&w, "received"), 2);
    world_fini(&w);
}

TEST(dead_letters_are_publishes_of_their_queue_and_told_by_reason)
{
    struct world w;
    world_init(&w);
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_routing_key = BYTES("dead");
    o.max_length = 2;
    o.message_ttl_ms = 100;
    world_queue(&w, 0, "dead", NULL);
    declare_with(&w, "q", o);
    publish(&w, (struct publish){.exchange = "", .key = "q"}, 5); /* three are too many */
    get(&w, "q", false);
    world_settle(&w, 0, last_ticket(&w), REJECTED);
    world_wait(&w, 100); /* and the last expires */
    assert_int_equal(of_queue(&w, "dead", COUNT_PUBLISH), 5);
    assert_int_equal(of_type(&w, "classic", "dead_lettered_maxlen"), 3);
    assert_int_equal(of_type(&w, "classic", "dead_lettered_rejected"), 1);
    assert_int_equal(of_type(&w, "classic", "dead_lettered_expired"), 1);
    assert_int_equal(of_type(&w, "classic", "publish"), 10);
    assert_int_equal(in_total(&w, "received"), 5);
    assert_int_equal(in_total(&w, "routed"), 5); /* of what clients have published */
    assert_int_equal(of_exchange(&w, "", COUNT_PUBLISH_IN), 10);
    assert_int_equal(of_exchange(&w, "", COUNT_PUBLISH_OUT), 10);
    world_fini(&w);
}

TEST(sizes_are_counted_in_classes)
{
    static const size_t sizes[] = {0, 100, 101, 1000, 1001, 10000, 10001};
    static const uint64_t classes[] = {2, 2, 2, 1, 0, 0, 0, 0, 0};
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    publish(&w, (struct publish){.exchange = "", .key = "q"}, 2);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        publish(&w, (struct publish){.exchange = "", .key = "q", .size = sizes[i]}, 1);
    struct inspection *i = inspect(&w, INSPECT_TOTALS, NULL);
    size_t at = 0, n = 0;
    struct bytes row;
    struct field f, e;
    assert_true(inspection_next(i, &at, &row));
    assert_true(table_find(row, BYTES("message_sizes"), &f) && f.type == 'A');
    for (struct cursor c = cursor_over(f.bytes); table_next_in_array(&c, &e); n++)
        assert_int_equal(e.integer, classes[n] + (n == 0 ? 2 : 0));
    assert_int_equal(n, sizeof classes / sizeof classes[0]);
    assert_int_equal(number_in(i, NULL, "message_bytes"), 100 + 101 + 1000 + 1001 + 10000 + 10001);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(what_a_session_reports_is_in_the_rows)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    for (uint64_t n = 1; n <= 2; n++) {
        struct report *r = alloc_zeroed(sizeof *r);
        *r = (struct report){.recv_oct = 100 * n, .recv_cnt = 10 * n, .send_oct = 7 * n, .send_cnt = n, .send_pend = 5};
        r->is_blocked = n == 1;
        r->is_blocking = n == 2;
        r->n_channels = 1;
        r->channels[0] = (struct report_channel){.unconfirmed = 3, .uncommitted = 4, .acks_uncommitted = 5};
        world_do(&w, (struct command){.verb = REPORT, .report = r}, 0, 0);
        struct inspection *i = inspect(&w, INSPECT_CONNECTIONS, NULL);
        size_t at = 0;
        struct bytes row;
        assert_true(inspection_next(i, &at, &row));
        assert_int_equal(number_in(i, "statistics", "recv_oct"), 100 * n);
        assert_int_equal(number_in(i, "statistics", "send_cnt"), n);
        assert_int_equal(number_in(i, NULL, "send_pend"), 5);
        assert_true(bytes_equal(table_find_string(row, "state"), n == 1 ? BYTES("blocked") : BYTES("blocking")));
        inspection_destroy(i);
    }
    assert_int_equal(number_of(&w, INSPECT_CHANNELS, NULL, NULL, "messages_unconfirmed"), 3);
    assert_int_equal(number_of(&w, INSPECT_CHANNELS, NULL, NULL, "messages_uncommitted"), 4);
    assert_int_equal(number_of(&w, INSPECT_CHANNELS, NULL, NULL, "acks_uncommitted"), 5);
    assert_int_equal(number_of(&w, INSPECT_VHOSTS, "/", "statistics", "recv_oct"), 200);
    assert_int_equal(number_of(&w, INSPECT_VHOSTS, "/", "statistics", "send_oct"), 14);
    world_do(&w, (struct command){.verb = REPORT, .report = alloc_zeroed(sizeof(struct report))}, 5, 0); /* has gone */
    world_fini(&w);
}

TEST(the_totals_are_the_sums_of_what_clients_and_queues_are_listed_with)
{
    struct world w;
    struct queue_options quorum = QUEUE_OPTIONS_NONE;
    quorum.type = QUEUE_QUORUM;
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    declare_with(&w, "quorum", quorum);
    publish(&w, (struct publish){.key = "q", .exchange = "", .size = 7}, 3);
    publish(&w, (struct publish){.key = "quorum", .exchange = "", .size = 100}, 2);
    get(&w, "quorum", false);
    assert_int_equal(in_total(&w, "message_bytes_ready"), 121);
    assert_int_equal(in_total(&w, "message_bytes_unacknowledged"), 100);
    for (unsigned client = 0; client < 2; client++)
        for (unsigned n = 1; n <= 2; n++) {
            struct report *r = alloc_zeroed(sizeof *r);
            *r = (struct report){.recv_oct = 100 * n, .recv_cnt = n, .send_oct = 7 * n, .send_cnt = n, .send_pend = 5};
            r->n_channels = 1;
            r->channels[0] = (struct report_channel){.unconfirmed = 3, .uncommitted = 4, .acks_uncommitted = 5};
            world_do(&w, (struct command){.verb = CREDIT, .credit = {.limit = 10 * n}}, client, 0);
            world_do(&w, (struct command){.verb = REPORT, .report = r}, client, 0);
        }
    static const struct {
        const char *key;
        uint64_t of_both, of_one;
    } sums[] = {{"received_octets", 400, 400},  {"received_reads", 4, 4},    {"sent_octets", 28, 28},
                {"sent_writes", 4, 4},          {"send_pend", 10, 5},        {"messages_unconfirmed", 6, 3},
                {"messages_uncommitted", 8, 4}, {"acks_uncommitted", 10, 5}, {"global_prefetch_count", 40, 20}};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        assert_int_equal(in_total(&w, sums[i].key), sums[i].of_both);
    world_detach(&w, 1);
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        assert_int_equal(in_total(&w, sums[i].key), sums[i].of_one);
    world_detach(&w, 0);
    assert_int_equal(in_total(&w, "global_prefetch_count") + in_total(&w, "send_pend"), 0);
    assert_int_equal(in_total(&w, "message_bytes_unacknowledged"), 0);
    assert_int_equal(in_total(&w, "message_bytes_ready"), 221);
    world_fini(&w);
}

TEST(records_and_loads_are_disk_writes_and_reads)
{
    enum { N = 40 };
    struct world w;
    struct keepsake k;
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX,
                                                .records = true,
                                                .window_bytes = 1,
                                                .window_messages = 4,
                                                .window_queue_bytes = 1 << 20});
    keepsake_init(&k);
    declare_with(&w, "q", (struct queue_options)QUEUE_OPTIONS_NONE);
    publish(&w, (struct publish){.exchange = "", .key = "q", .persistent = true}, N);
    assert_int_equal(of_queue(&w, "q", COUNT_DISK_WRITES), N);
    assert_int_equal(of_queue(&w, "q", COUNT_DISK_READS), 0);
    keepsake_take(&k, &w.effects.records);
    world_consume(&w, 0, "q", 0, 0, true);
    keepsake_take(&k, &w.effects.records);
    for (struct load *l; (l = keepsake_load(&k)) != NULL; keepsake_take(&k, &w.effects.records))
        world_do(&w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    uint64_t reads = of_queue(&w, "q", COUNT_DISK_READS);
    assert_int_equal(of_queue(&w, "q", COUNT_DELIVER_NO_ACK), N);
    assert_true(reads >= N / 2 && reads < N); /* the first ones were never cold */
    assert_int_equal(of_type(&w, "classic", "disk_reads"), reads);
    assert_int_equal(number_of(&w, INSPECT_VHOSTS, "/", "statistics", "disk_writes"), N);
    world_fini(&w);
    keepsake_fini(&k);
}

TEST(churn)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "q", NULL);
    delete_queue(&w, "q");
    world_attach(&w, 1);
    world_queue(&w, 1, "r", NULL);
    world_detach(&w, 1);
    assert_int_equal(in_total(&w, "queues_declared"), 3);
    assert_int_equal(in_total(&w, "queues_created"), 2);
    assert_int_equal(in_total(&w, "queues_deleted"), 1);
    assert_int_equal(in_total(&w, "connections_opened"), 2);
    assert_int_equal(in_total(&w, "connections_closed"), 1);
    assert_int_equal(in_total(&w, "channels_opened"), 2);
    assert_int_equal(in_total(&w, "channels_closed"), 1);
    assert_int_equal(in_total(&w, "channels"), 1);
    world_fini(&w);
}

TEST(totals_stay_when_what_was_counted_goes)
{
    struct world w;
    world_init(&w);
    world_exchange(&w, "x", "fanout");
    world_queue(&w, 0, "q", NULL);
    world_bind(&w, "q", "x", "");
    world_consume(&w, 0, "q", 0, 0, true);
    publish(&w, (struct publish){.exchange = "x", .key = "", .size = 7, .confirm = true}, 4);
    struct spec *x = spec_create(&(struct spec){.name = BYTES("x")});
    world_do(&w, (struct command){.verb = DELETE_EXCHANGE, .spec = x}, 0, 0);
    delete_queue(&w, "q");
    world_do(&w, (struct command){.verb = RESET}, 0, 0);
    for (unsigned step = 0; step < 2; step++) {
        assert_int_equal(in_total(&w, "received"), 4);
        assert_int_equal(in_total(&w, "confirmed"), 4);
        assert_int_equal(in_total(&w, "message_bytes"), 28);
        assert_int_equal(of_type(&w, "classic", "deliver_no_ack"), 4);
        assert_int_equal(in_total(&w, "publishers"), 0);
        struct changes *c = changes_create(); /* and the virtual host */
        changes_add(c, CHANGE_REMOVE, DEFINE_VHOST,
                    spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("/")}));
        world_forget(&w);
        world_do(&w, (struct command){.verb = ALTER, .changes = c}, DESK_GENERATION, 0);
    }
    assert_int_equal(in_total(&w, "vhosts"), 0);
    world_fini(&w);
}

/* --- how it is
 * ------------------------------------------------------------------------------------------------------*/

TEST(a_queue_says_how_it_is)
{
    struct world w;
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX, .records = true});
    declare_with(&w, "q", (struct queue_options)QUEUE_OPTIONS_NONE);
    publish(&w, (struct publish){.exchange = "", .key = "q", .size = 10, .persistent = true}, 3);
    publish(&w, (struct publish){.exchange = "", .key = "q", .size = 7}, 1);
    world_wait(&w, 50);
    get(&w, "q", false);
    world_wait(&w, 20);
    struct inspection *i = inspect(&w, INSPECT_QUEUES, "q");
    assert_int_equal(number_in(i, NULL, "message_bytes"), 37);
    assert_int_equal(number_in(i, NULL, "message_bytes_ready"), 27);
    assert_int_equal(number_in(i, NULL, "message_bytes_unacknowledged"), 10);
    assert_int_equal(number_in(i, NULL, "messages_persistent"), 3);
    assert_int_equal(number_in(i, NULL, "message_bytes_persistent"), 30);
    assert_int_equal(number_in(i, NULL, "messages_ram"), 4);
    assert_int_equal(number_in(i, NULL, "message_bytes_ram"), 37);
    assert_int_equal(number_in(i, NULL, "messages_paged_out"), 0);
    assert_int_equal(number_in(i, NULL, "head_message_age_ms"), 70);
    assert_int_equal(number_in(i, NULL, "oldest_unacked_age_ms"), 20);
    assert_true(number_in(i, NULL, "memory") > 37);
    inspection_destroy(i);
    world_settle(&w, 0, (ticket){0}, ACCEPTED); /* nobody has that */
    get(&w, "q", true);
    i = inspect(&w, INSPECT_QUEUES, "q");
    assert_int_equal(number_in(i, NULL, "messages_persistent"), 2);
    assert_int_equal(number_in(i, NULL, "message_bytes"), 27);
    inspection_destroy(i);
    world_fini(&w);
}

/* Of queue q, in thousandths. */
static unsigned utilisation(struct world *w)
{
    struct inspection *i = inspect(w, INSPECT_QUEUES, "q");
    size_t at = 0;
    struct bytes row;
    struct field f;
    assert_true(inspection_next(i, &at, &row) && table_find(row, BYTES("consumer_utilisation"), &f));
    assert_int_equal(f.type, 'd');
    unsigned n = (unsigned)(f.real * 1000 + 0.5);
    inspection_destroy(i);
    return n;
}

TEST(utilisation_is_the_time_in_which_somebody_could_take_more)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    assert_int_equal(utilisation(&w), 0); /* nobody is there */
    world_consume(&w, 0, "q", 0, 1, false);
    world_wait(&w, 300);
    assert_int_equal(utilisation(&w), 1000);
    publish(&w, (struct publish){.exchange = "", .key = "q"}, 1);
    ticket t = last_ticket(&w);
    publish(&w, (struct publish){.exchange = "", .key = "q"}, 1); /* which it cannot take */
    world_wait(&w, 100);
    assert_int_equal(utilisation(&w), 750);
    world_settle(&w, 0, t, ACCEPTED);
    world_settle(&w, 0, last_ticket(&w), ACCEPTED);
    world_wait(&w, 100000); /* what was long ago does not count */
    assert_true(utilisation(&w) > 990);
    world_fini(&w);
}

TEST(what_is_out_is_listed_with_who_has_it)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "other", NULL);
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q"), .key = BYTES("tag")});
    world_do(&w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = s, .limit = 1}}, 0, 0);
    publish(&w, (struct publish){.exchange = "", .key = "q", .size = 9}, 2);
    publish(&w, (struct publish){.exchange = "", .key = "other"}, 1);
    get(&w, "other", false);
    world_wait(&w, 30);
    struct bytes vhost = BYTES("/"), name = BYTES("q");
    struct inspection *i = inspection_create(INSPECT_UNACKED, &vhost, &name);
    struct event *e = ask(&w, (struct command){.verb = INSPECT, .inspection = i});
    i = e->done.inspection;
    assert_int_equal(i->n, 1);
    assert_int_equal(number_in(i, NULL, "age_ms"), 30);
    assert_int_equal(number_in(i, NULL, "since_ms"), w.now.wall_ms - 30);
    assert_int_equal(number_in(i, NULL, "payload_bytes"), 9);
    size_t at = 0;
    struct bytes row;
    assert_true(inspection_next(i, &at, &row));
    assert_true(bytes_equal(table_find_string(row, "consumer_tag"), BYTES("tag")));
    assert_true(bytes_equal(table_find_string(row, "user"), BYTES("guest")));
    assert_true(bytes_equal(table_find_string(row, "routing_key"), BYTES("q")));
    e = ask(&w, (struct command){.verb = INSPECT, .inspection = inspection_create(INSPECT_UNACKED, &vhost, NULL)});
    assert_int_equal(e->done.inspection->n, 2);
    i = inspection_create(INSPECT_UNACKED, &vhost, &name);
    i->user = str_copy(BYTES("nobody"));
    world_forget(&w);
    world_do(&w, (struct command){.verb = INSPECT, .inspection = i}, DESK_GENERATION, 0);
    e = world_next(&w);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, DENIED);
    world_fini(&w);
}

/* --- SAMPLE
 * ---------------------------------------------------------------------------------------------------------*/

/* What the rounds have said so far, by id. */
enum { IDS = 4096 };

struct told {
    struct sample last[IDS];
    unsigned times[IDS]; /* in the last round */
    unsigned n, answers; /* likewise */
};

static void sample_round(struct world *w, struct told *t)
{
    bool is_all = false;
    memset(t->times, 0, sizeof t->times);
    for (t->n = t->answers = 0; !is_all; t->answers++) {
        struct event *e = ask(w, (struct command){.verb = SAMPLE, .samples = samples_create()});
        struct samples *s = e->done.samples;
        assert_true(s->n <= SAMPLES_MAX);
        assert_int_equal(s->now_ms, w->now.ms);
        for (size_t i = 0; i < s->n; i++) {
            assert_true(s->at[i].id < IDS);
            t->last[s->at[i].id] = s->at[i];
            assert_int_equal(++t->times[s->at[i].id], 1); /* each once a round */
        }
        t->n += (unsigned)s->n;
        is_all = s->is_all;
    }
}

static struct told *told_create(void)
{
    return alloc_zeroed(sizeof(struct told));
}

static uint64_t id_of_queue(struct world *w, const char *name)
{
    return number_of(w, INSPECT_QUEUES, name, "statistics", "id");
}

TEST(a_sample_says_what_has_changed_and_nothing_else)
{
    struct world w;
    struct told *t = told_create();
    world_init(&w);
    world_queue(&w, 0, "a", NULL);
    world_queue(&w, 0, "b", NULL);
    publish(&w, (struct publish){.exchange = "", .key = "a"}, 2);
    publish(&w, (struct publish){.exchange = "", .key = "b"}, 1);
    sample_round(&w, t); /* two queues, the exchange, the channel, the virtual host, all */
    assert_int_equal(t->n, 6);
    uint64_t a = id_of_queue(&w, "a"), b = id_of_queue(&w, "b");
    assert_int_equal(t->last[a].counts[COUNT_PUBLISH], 2);
    assert_int_equal(t->last[a].ready, 2);
    assert_int_equal(t->last[a].kind, SAMPLE_QUEUE);
    sample_round(&w, t);
    assert_int_equal(t->n, 1);
    assert_int_equal(t->last[0].kind, SAMPLE_BROKER);
    assert_int_equal(t->last[0].counts[COUNT_PUBLISH], 3);
    assert_int_equal(t->last[0].messages, 3);
    publish(&w, (struct publish){.exchange = "", .key = "b"}, 3);
    sample_round(&w, t);
    assert_int_equal(t->n, 5);
    assert_int_equal(t->times[a], 0);
    assert_int_equal(t->last[b].counts[COUNT_PUBLISH], 4);
    assert_int_equal(t->last[b].messages, 4);
    world_fini(&w);
    free(t);
}

TEST(a_depth_that_changes_by_itself_is_a_change)
{
    struct world w;
    struct told *t = told_create();
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.message_ttl_ms = 100;
    world_init(&w);
    declare_with(&w, "expires", o);
    world_queue(&w, 0, "purged", NULL);
    publish(&w, (struct publish){.exchange = "", .key = "expires"}, 2);
    publish(&w, (struct publish){.exchange = "", .key = "purged"}, 2);
    uint64_t expires = id_of_queue(&w, "expires"), purged = id_of_queue(&w, "purged");
    sample_round(&w, t);
    assert_int_equal(t->last[expires].ready, 2);
    world_wait(&w, 100);
    struct spec *s = spec_create(&(struct spec){.name = BYTES("purged")});
    world_do(&w, (struct command){.verb = PURGE_QUEUE, .spec = s}, 0, 0);
    sample_round(&w, t);
    assert_int_equal(t->times[expires], 1);
    assert_int_equal(t->last[expires].ready, 0);
    assert_int_equal(t->times[purged], 1);
    assert_int_equal(t->last[purged].messages, 0);
    world_fini(&w);
    free(t);
}

TEST(a_round_has_as_many_answers_as_it_takes)
{
    enum { N = 2 * SAMPLES_MAX + 100 };
    struct world w;
    struct told *t = told_create();
    char name[16];
    world_init(&w);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        world_queue(&w, 0, name, NULL);
        publish(&w, (struct publish){.exchange = "", .key = name}, 1);
    }
    sample_round(&w, t);
    assert_int_equal(t->n, N + 4);
    assert_int_equal(t->answers, 3);
    unsigned queues = 0;
    for (unsigned i = 0; i < IDS; i++)
        queues += t->times[i] == 1 && t->last[i].kind == SAMPLE_QUEUE && t->last[i].ready == 1;
    assert_int_equal(queues, N);
    /* What is touched again before it is its turn is told then, and in the next round. */
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        publish(&w, (struct publish){.exchange = "", .key = name}, 1);
    }
    struct event *e = ask(&w, (struct command){.verb = SAMPLE, .samples = samples_create()});
    assert_false(e->done.samples->is_all);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        publish(&w, (struct publish){.exchange = "", .key = name}, 1);
    }
    sample_round(&w, t); /* the rest of it */
    sample_round(&w, t);
    queues = 0;
    for (unsigned i = 0; i < IDS; i++)
        queues += t->times[i] == 1 && t->last[i].kind == SAMPLE_QUEUE && t->last[i].counts[COUNT_PUBLISH] == 3;
    assert_int_equal(queues, N);
    world_fini(&w);
    free(t);
}

TEST(what_goes_is_told_once_more_if_it_was_told)
{
    struct world w;
    struct told *t = told_create();
    world_init(&w);
    world_queue(&w, 0, "told", NULL);
    world_queue(&w, 0, "untold", NULL);
    publish(&w, (struct publish){.exchange = "", .key = "told"}, 1);
    uint64_t id = id_of_queue(&w, "told");
    sample_round(&w, t);
    publish(&w, (struct publish){.exchange = "", .key = "told"}, 1);
    publish(&w, (struct publish){.exchange = "", .key = "untold"}, 1);
    uint64_t untold = id_of_queue(&w, "untold");
    delete_queue(&w, "told");
    delete_queue(&w, "untold");
    sample_round(&w, t);
    assert_int_equal(t->times[id], 1);
    assert_true(t->last[id].is_gone);
    assert_int_equal(t->last[id].counts[COUNT_PUBLISH], 2);
    assert_int_equal(t->times[untold], 0);
    sample_round(&w, t);
    assert_int_equal(t->n, 1);
    world_fini(&w);
    free(t);
}

/* Also where its end, which drops what is in it, is the first that touches it since the round began. */
TEST(what_goes_with_messages_in_it_is_told_once_more)
{
    enum { N = SAMPLES_MAX + 100 };
    struct world w;
    struct told *t = told_create();
    char name[16];
    world_init(&w);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        world_queue(&w, 0, name, NULL);
        publish(&w, (struct publish){.exchange = "", .key = name}, 1);
    }
    sample_round(&w, t);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        publish(&w, (struct publish){.exchange = "", .key = name}, 1);
    }
    struct event *e = ask(&w, (struct command){.verb = SAMPLE, .samples = samples_create()});
    assert_false(e->done.samples->is_all); /* some of them are told by now, others are not */
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        delete_queue(&w, name);
    }
    sample_round(&w, t);
    unsigned gone = 0;
    for (unsigned i = 0; i < IDS; i++)
        gone += t->times[i] == 1 && t->last[i].is_gone && t->last[i].counts[COUNT_PUBLISH] == 2;
    assert_int_equal(gone, N);
    sample_round(&w, t);
    assert_int_equal(t->last[0].messages, 0);
    world_fini(&w);
    free(t);
}

/* --- whatever happens
 * -----------------------------------------------------------------------------------------------*/

struct chaos {
    struct world w;
    uint64_t random;
    uint64_t purged;
    ticket tickets[64];
    unsigned n_tickets;
};

static unsigned draw(struct chaos *c, unsigned n)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->random >> 33) % n;
}

static void take_tickets(struct chaos *c)
{
    struct event *e;
    while ((e = world_next(&c->w)) != NULL)
        if ((e->what == DELIVERED || e->what == GOT) && !e->delivered.no_ack)
            c->tickets[c->n_tickets < 64 ? c->n_tickets++ : draw(c, 64)] = e->delivered.ticket;
    world_forget(&c->w);
}

static void act(struct chaos *c)
{
    static const char *const queues[] = {"a", "b", "c", "nowhere"};
    struct world *w = &c->w;
    const char *name = queues[draw(c, 4)];
    switch (draw(c, 12)) {
    case 0:
        get(w, queues[draw(c, 3)], draw(c, 2) == 0);
        break;
    case 1: {
        struct spec *s = spec_create(&(struct spec){.name = text(queues[draw(c, 3)])});
        world_do(w, (struct command){.verb = PURGE_QUEUE, .spec = s}, 0, 0);
        c->purged += draw(c, 1) + w->effects.events[w->effects.n - 1].done.messages;
        break;
    }
    case 2:
        world_do(w, (struct command){.verb = RECOVER}, 0, draw(c, 2));
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        if (c->n_tickets > 0)
            world_do(w,
                     (struct command){.verb = SETTLE,
                                      .settle = {.ticket = c->tickets[draw(c, c->n_tickets)],
                                                 .outcome = draw(c, 4) > 1 ? ACCEPTED
                                                            : draw(c, 2)   ? REQUEUED
                                                                           : REJECTED}},
                     0, draw(c, 2));
        break;
    case 7:
        world_wait(w, draw(c, 5));
        break;
    default:
        for (unsigned n = 1 + draw(c, 3), stream = draw(c, 2); n > 0; n--)
            publish_from(w, stream,
                         (struct publish){.exchange = draw(c, 3) == 0 ? "x" : "",
                                          .key = name,
                                          .size = draw(c, 300),
                                          .confirm = stream == 1,
                                          .mandatory = draw(c, 4) == 0});
        break;
    }
}

/* Whatever came into queues is there still, or has gone in one of the ways that are counted. */
static void weigh(struct chaos *c)
{
    static const char *const ways[] = {"deliver_no_ack",
                                       "get_no_ack",
                                       "ack",
                                       "dead_lettered_rejected",
                                       "dead_lettered_expired",
                                       "dead_lettered_maxlen",
                                       "dead_lettered_disabled_rejected",
                                       "dead_lettered_disabled_expired",
                                       "dead_lettered_disabled_maxlen"};
    struct inspection *i = inspect(&c->w, INSPECT_TOTALS, NULL);
    uint64_t gone = c->purged;
    for (size_t n = 0; n < sizeof ways / sizeof ways[0]; n++)
        gone += number_in(i, "classic", ways[n]);
    assert_int_equal(number_in(i, "classic", "publish"), gone + number_in(i, NULL, "messages"));
    uint64_t letters = 0;
    for (size_t n = 3; n < 6; n++)
        letters += number_in(i, "classic", ways[n]);
    assert_int_equal(number_in(i, "classic", "publish"), number_in(i, NULL, "routed") + letters);
    uint64_t received = number_in(i, NULL, "received"), confirmed = number_in(i, NULL, "confirmed");
    uint64_t acks = number_in(i, "classic", "ack"), delivered = number_in(i, "classic", "deliver");
    uint64_t redelivered = number_in(i, "classic", "redeliver");
    inspection_destroy(i);
    assert_int_equal(of_channels(&c->w, COUNT_PUBLISH), received);
    assert_int_equal(of_channels(&c->w, COUNT_CONFIRM), confirmed);
    assert_int_equal(of_channels(&c->w, COUNT_ACK), acks);
    assert_int_equal(of_channels(&c->w, COUNT_DELIVER), delivered);
    assert_int_equal(of_channels(&c->w, COUNT_REDELIVER), redelivered);
    uint64_t of_queues = of_queue(&c->w, "a", COUNT_ACK) + of_queue(&c->w, "b", COUNT_ACK) +
                         of_queue(&c->w, "c", COUNT_ACK) + of_queue(&c->w, "d", COUNT_ACK);
    assert_int_equal(of_queues, acks);
}

static void run_chaos(uint64_t seed, bool takes_detours)
{
    struct chaos *c = alloc_zeroed(sizeof *c);
    c->random = seed;
    world_init_with(&c->w, &(struct broker_config){.memory_high = UINT64_MAX, .takes_detours = takes_detours});
    struct queue_options o = QUEUE_OPTIONS_NONE;
    world_queue(&c->w, 0, "a", NULL);
    o.message_ttl_ms = 5;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_routing_key = BYTES("d");
    declare_with(&c->w, "b", o);
    o.message_ttl_ms = SPEC_NONE;
    o.max_length = 3;
    declare_with(&c->w, "c", o);
    world_queue(&c->w, 0, "d", NULL);
    world_exchange(&c->w, "x", "fanout");
    world_bind(&c->w, "a", "x", "");
    world_bind(&c->w, "b", "x", "");
    world_bind(&c->w, "c", "x", "");
    world_consume(&c->w, 0, "a", 0, 3, false);
    world_consume(&c->w, 0, "b", 1, 0, seed % 2 == 0);
    world_consume(&c->w, 0, "d", 2, 0, seed % 3 == 0);
    take_tickets(c);
    for (unsigned i = 0; i < 400; i++) {
        act(c);
        take_tickets(c);
        if (i % 20 == 0)
            weigh(c);
    }
    weigh(c);
    world_fini(&c->w);
    free(c);
}

TEST(whatever_came_is_there_or_has_gone_in_a_way_that_is_counted)
{
    for (uint64_t seed = 1; seed <= 24; seed++)
        run_chaos(seed, seed % 4 == 0);
}

/* The rows and the samples are of the same numbers. */
TEST(a_round_says_what_the_rows_say)
{
    struct told *t = told_create();
    struct chaos *c = alloc_zeroed(sizeof *c);
    static const char *const queues[] = {"a", "b", "c"};
    c->random = 7;
    world_init(&c->w);
    for (unsigned i = 0; i < 3; i++)
        world_queue(&c->w, 0, queues[i], NULL);
    world_exchange(&c->w, "x", "fanout");
    world_bind(&c->w, "a", "x", "");
    world_bind(&c->w, "b", "x", "");
    world_consume(&c->w, 0, "a", 0, 3, false);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 30; i++) {
            act(c);
            take_tickets(c);
        }
        sample_round(&c->w, t);
        for (unsigned i = 0; i < 3; i++) {
            struct inspection *row = inspect(&c->w, INSPECT_QUEUES, queues[i]);
            const struct sample *s = &t->last[number_in(row, "statistics", "id")];
            for (unsigned n = 0; n < COUNTERS; n++)
                assert_int_equal(s->counts[n], number_in(row, "statistics", sample_names[n]));
            assert_int_equal(s->ready, number_in(row, NULL, "messages_ready"));
            assert_int_equal(s->unacknowledged, number_in(row, NULL, "messages_unacknowledged"));
            assert_int_equal(s->messages, number_in(row, NULL, "messages"));
            inspection_destroy(row);
        }
    }
    world_fini(&c->w);
    free(c);
    free(t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_used_is_not_counted),
        cmocka_unit_test(a_publish_is_counted_whichever_way_it_goes),
        cmocka_unit_test(acknowledgements_and_redeliveries),
        cmocka_unit_test(an_acknowledgement_of_many_is_counted_by_queue),
        cmocka_unit_test(fetching_is_counted_by_how_and_when_there_is_nothing),
        cmocka_unit_test(what_goes_nowhere_was_dropped_or_returned),
        cmocka_unit_test(copies_are_the_exchange_s_that_was_published_to),
        cmocka_unit_test(confirms_are_counted_but_not_refusals),
        cmocka_unit_test(a_transaction_counts_when_it_is_committed),
        cmocka_unit_test(dead_letters_are_publishes_of_their_queue_and_told_by_reason),
        cmocka_unit_test(sizes_are_counted_in_classes),
        cmocka_unit_test(what_a_session_reports_is_in_the_rows),
        cmocka_unit_test(the_totals_are_the_sums_of_what_clients_and_queues_are_listed_with),
        cmocka_unit_test(records_and_loads_are_disk_writes_and_reads),
        cmocka_unit_test(churn),
        cmocka_unit_test(totals_stay_when_what_was_counted_goes),
        cmocka_unit_test(a_queue_says_how_it_is),
        cmocka_unit_test(utilisation_is_the_time_in_which_somebody_could_take_more),
        cmocka_unit_test(what_is_out_is_listed_with_who_has_it),
        cmocka_unit_test(a_sample_says_what_has_changed_and_nothing_else),
        cmocka_unit_test(a_depth_that_changes_by_itself_is_a_change),
        cmocka_unit_test(a_round_has_as_many_answers_as_it_takes),
        cmocka_unit_test(what_goes_is_told_once_more_if_it_was_told),
        cmocka_unit_test(what_goes_with_messages_in_it_is_told_once_more),
        cmocka_unit_test(whatever_came_is_there_or_has_gone_in_a_way_that_is_counted),
        cmocka_unit_test(a_round_says_what_the_rows_say),
    };
    return unit_main("statistics", tests, argc, argv);
}
