/* What the model counts, by rows of INSPECT (broker/port/sample.h, broker/model/statistics.h).  Besides,
 * every world holds the totals to its events (tests/unit/abacus.h). */
#include "tests/unit/keepsake.h"
#include "tests/unit/tally.h"
#include "tests/unit/unit.h"

#include "base/alloc.h"
#include "base/str.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* ---- Each counter. */

TEST(what_was_not_used_is_not_counted)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    struct inspection *i = tally_inspect(&w, INSPECT_QUEUES, "q");
    size_t at = 0;
    struct bytes row;
    struct field f;
    assert_true(inspection_next(i, &at, &row));
    assert_false(table_find(row, BYTES("statistics"), &f));
    inspection_destroy(i);
    assert_int_equal(tally_total(&w, "received"), 0);
    world_fini(&w);
}

TEST(a_publish_is_counted_whichever_way_it_goes)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    const struct tally_publish p = {.exchange = "", .key = "q", .size = 3};
    tally_publish(&w, p, 3); /* the first finds the route, the others remember it */
    assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), 3);
    world_consume(&w, 0, "q", 0, 0, true); /* takes the three, and what is published now is handed over */
    tally_publish(&w, p, 4);
    assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), 7);
    assert_int_equal(tally_queue(&w, "q", COUNT_DELIVER_NO_ACK), 7);
    assert_int_equal(tally_queue(&w, "q", COUNT_DELIVER), 0);
    assert_int_equal(tally_exchange(&w, "", COUNT_PUBLISH_IN), 7);
    assert_int_equal(tally_exchange(&w, "", COUNT_PUBLISH_OUT), 7);
    assert_int_equal(tally_channels(&w, COUNT_PUBLISH), 7);
    assert_int_equal(tally_channels(&w, COUNT_DELIVER_NO_ACK), 7);
    assert_int_equal(tally_number(&w, INSPECT_VHOSTS, "/", "statistics", "publish"), 7);
    assert_int_equal(tally_number(&w, INSPECT_VHOSTS, "/", "statistics", "deliver_no_ack"), 7);
    assert_int_equal(tally_total(&w, "received"), 7);
    assert_int_equal(tally_total(&w, "routed"), 7);
    assert_int_equal(tally_total(&w, "publishers"), 1);
    assert_int_equal(tally_type(&w, "classic", "publish"), 7);
    assert_int_equal(tally_type(&w, "quorum", "publish"), 0);
    world_fini(&w);
}

TEST(acknowledgements_and_redeliveries)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 0, 0, false);
    const struct tally_publish p = {.exchange = "", .key = "q"};
    for (unsigned i = 0; i < 3; i++) {
        tally_publish(&w, p, 1);
        world_settle(&w, 0, tally_last_ticket(&w), REQUEUED); /* it comes again at once */
        world_settle(&w, 0, tally_last_ticket(&w), i < 2 ? ACCEPTED : REJECTED);
    }
    tally_publish(&w, p, 1);
    world_settle(&w, 0, (ticket){.slot = 99}, ACCEPTED); /* nobody has that */
    assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), 4);
    assert_int_equal(tally_queue(&w, "q", COUNT_DELIVER), 7);
    assert_int_equal(tally_queue(&w, "q", COUNT_REDELIVER), 3);
    assert_int_equal(tally_queue(&w, "q", COUNT_ACK), 2);
    assert_int_equal(tally_channels(&w, COUNT_DELIVER), 7);
    assert_int_equal(tally_channels(&w, COUNT_REDELIVER), 3);
    assert_int_equal(tally_channels(&w, COUNT_ACK), 2);
    assert_int_equal(tally_type(&w, "classic", "ack"), 2);
    assert_int_equal(tally_type(&w, "classic", "dead_lettered_disabled_rejected"), 1);
    assert_int_equal(tally_type(&w, "classic", "dead_lettered_rejected"), 0);
    tally_delete_queue(&w, "q"); /* what is out falls: nobody has acknowledged it */
    assert_int_equal(tally_type(&w, "classic", "ack"), 2);
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
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = i == 1 || i == 2 ? "b" : "a"}, 1);
        t[i] = tally_last_ticket(&w);
    }
    struct command c = {.verb = SETTLE, .settle = {.ticket = t[0], .outcome = ACCEPTED, .more_count = 5}};
    c.settle.more = alloc_copy(&t[1], 5 * sizeof t[0]);
    world_do(&w, c, 0, 0);
    assert_int_equal(tally_queue(&w, "a", COUNT_ACK), 4);
    assert_int_equal(tally_queue(&w, "b", COUNT_ACK), 2);
    assert_int_equal(tally_channels(&w, COUNT_ACK), 6);
    world_fini(&w);
}

TEST(fetching_is_counted_by_how_and_when_there_is_nothing)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q"}, 3);
    tally_get(&w, "q", true);
    tally_get(&w, "q", false);
    world_settle(&w, 0, tally_last_ticket(&w), REQUEUED);
    tally_get(&w, "q", false);
    tally_get(&w, "q", true);
    tally_get(&w, "q", true);
    tally_get(&w, "q", false);
    assert_int_equal(tally_queue(&w, "q", COUNT_GET), 2);
    assert_int_equal(tally_queue(&w, "q", COUNT_GET_NO_ACK), 2);
    assert_int_equal(tally_queue(&w, "q", COUNT_GET_EMPTY), 2);
    assert_int_equal(tally_queue(&w, "q", COUNT_REDELIVER), 1);
    assert_int_equal(tally_channels(&w, COUNT_GET), 2);
    assert_int_equal(tally_channels(&w, COUNT_GET_NO_ACK), 2);
    assert_int_equal(tally_channels(&w, COUNT_GET_EMPTY), 2);
    world_fini(&w);
}

TEST(what_goes_nowhere_was_dropped_or_returned)
{
    struct world w;
    world_init(&w);
    world_exchange(&w, "x", "fanout");
    tally_publish(&w, (struct tally_publish){.exchange = "x", .key = "k"}, 2);
    tally_publish(&w, (struct tally_publish){.exchange = "x", .key = "k", .mandatory = true}, 3);
    assert_int_equal(tally_exchange(&w, "x", COUNT_PUBLISH_IN), 5);
    assert_int_equal(tally_exchange(&w, "x", COUNT_PUBLISH_OUT), 0);
    assert_int_equal(tally_channels(&w, COUNT_DROP_UNROUTABLE), 2);
    assert_int_equal(tally_channels(&w, COUNT_RETURN_UNROUTABLE), 3);
    assert_int_equal(tally_total(&w, "unroutable_dropped"), 2);
    assert_int_equal(tally_total(&w, "unroutable_returned"), 3);
    assert_int_equal(tally_total(&w, "received"), 5);
    assert_int_equal(tally_total(&w, "routed"), 0);
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
    tally_publish(&w, (struct tally_publish){.exchange = "x", .key = ""}, 5);
    assert_int_equal(tally_exchange(&w, "x", COUNT_PUBLISH_IN), 5);
    assert_int_equal(tally_exchange(&w, "x", COUNT_PUBLISH_OUT), 10);
    assert_int_equal(tally_queue(&w, "a", COUNT_PUBLISH), 5);
    assert_int_equal(tally_queue(&w, "b", COUNT_PUBLISH), 5);
    assert_int_equal(tally_total(&w, "received"), 5);
    assert_int_equal(tally_total(&w, "routed"), 10);
    world_fini(&w);
}

TEST(confirms_are_counted_but_not_refusals)
{
    struct world w;
    world_init(&w);
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.max_length = 2;
    o.overflow = OVERFLOW_REJECT_PUBLISH;
    tally_declare(&w, "q", o);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .confirm = true}, 5);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "nowhere", .confirm = true}, 1);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "nowhere"}, 1);
    assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), 2); /* those that it took */
    assert_int_equal(tally_channels(&w, COUNT_PUBLISH), 7);
    assert_int_equal(tally_channels(&w, COUNT_CONFIRM), 3);
    assert_int_equal(tally_total(&w, "received_confirm"), 6);
    assert_int_equal(tally_total(&w, "confirmed"), 3);
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
        assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), i);
        struct tx *tx = alloc_zeroed(sizeof *tx);
        tx->commands = alloc_zeroed(sizeof *tx->commands);
        tx->n = tx->capacity = 1;
        tx->commands[0] = (struct command){.verb = PUBLISH, .publish = {.msg = m}};
        world_do(&w, (struct command){.verb = COMMIT, .tx = tx}, 0, 0);
    }
    assert_int_equal(tally_queue(&w, "q", COUNT_PUBLISH), 2);
    assert_int_equal(tally_channels(&w, COUNT_PUBLISH), 2);
    assert_int_equal(tally_exchange(&w, "", COUNT_PUBLISH_OUT), 2);
    assert_int_equal(tally_total(&w, "received"), 2);
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
    tally_declare(&w, "q", o);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q"}, 5); /* three are too many */
    tally_get(&w, "q", false);
    world_settle(&w, 0, tally_last_ticket(&w), REJECTED);
    world_wait(&w, 100); /* and the last expires */
    assert_int_equal(tally_queue(&w, "dead", COUNT_PUBLISH), 5);
    assert_int_equal(tally_type(&w, "classic", "dead_lettered_maxlen"), 3);
    assert_int_equal(tally_type(&w, "classic", "dead_lettered_rejected"), 1);
    assert_int_equal(tally_type(&w, "classic", "dead_lettered_expired"), 1);
    assert_int_equal(tally_type(&w, "classic", "publish"), 10);
    assert_int_equal(tally_total(&w, "received"), 5);
    assert_int_equal(tally_total(&w, "routed"), 5); /* of what clients have published */
    assert_int_equal(tally_exchange(&w, "", COUNT_PUBLISH_IN), 10);
    assert_int_equal(tally_exchange(&w, "", COUNT_PUBLISH_OUT), 10);
    world_fini(&w);
}

TEST(sizes_are_counted_in_classes)
{
    static const size_t sizes[] = {0, 100, 101, 1000, 1001, 10000, 10001};
    static const uint64_t classes[] = {2, 2, 2, 1, 0, 0, 0, 0, 0};
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q"}, 2);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .size = sizes[i]}, 1);
    struct inspection *i = tally_inspect(&w, INSPECT_TOTALS, NULL);
    size_t at = 0, n = 0;
    struct bytes row;
    struct field f, e;
    assert_true(inspection_next(i, &at, &row));
    assert_true(table_find(row, BYTES("message_sizes"), &f) && f.type == 'A');
    for (struct cursor c = cursor_over(f.bytes); table_next_in_array(&c, &e); n++)
        assert_int_equal(e.integer, classes[n] + (n == 0 ? 2 : 0));
    assert_int_equal(n, sizeof classes / sizeof classes[0]);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes"), 100 + 101 + 1000 + 1001 + 10000 + 10001);
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
        struct inspection *i = tally_inspect(&w, INSPECT_CONNECTIONS, NULL);
        size_t at = 0;
        struct bytes row;
        assert_true(inspection_next(i, &at, &row));
        assert_int_equal(tally_number_in(i, "statistics", "recv_oct"), 100 * n);
        assert_int_equal(tally_number_in(i, "statistics", "send_cnt"), n);
        assert_int_equal(tally_number_in(i, NULL, "send_pend"), 5);
        assert_true(bytes_equal(table_find_string(row, "state"), n == 1 ? BYTES("blocked") : BYTES("blocking")));
        inspection_destroy(i);
    }
    assert_int_equal(tally_number(&w, INSPECT_CHANNELS, NULL, NULL, "messages_unconfirmed"), 3);
    assert_int_equal(tally_number(&w, INSPECT_CHANNELS, NULL, NULL, "messages_uncommitted"), 4);
    assert_int_equal(tally_number(&w, INSPECT_CHANNELS, NULL, NULL, "acks_uncommitted"), 5);
    assert_int_equal(tally_number(&w, INSPECT_VHOSTS, "/", "statistics", "recv_oct"), 200);
    assert_int_equal(tally_number(&w, INSPECT_VHOSTS, "/", "statistics", "send_oct"), 14);
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
    tally_declare(&w, "quorum", quorum);
    tally_publish(&w, (struct tally_publish){.key = "q", .exchange = "", .size = 7}, 3);
    tally_publish(&w, (struct tally_publish){.key = "quorum", .exchange = "", .size = 100}, 2);
    tally_get(&w, "quorum", false);
    assert_int_equal(tally_total(&w, "message_bytes_ready"), 121);
    assert_int_equal(tally_total(&w, "message_bytes_unacknowledged"), 100);
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
        assert_int_equal(tally_total(&w, sums[i].key), sums[i].of_both);
    world_detach(&w, 1);
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        assert_int_equal(tally_total(&w, sums[i].key), sums[i].of_one);
    world_detach(&w, 0);
    assert_int_equal(tally_total(&w, "global_prefetch_count") + tally_total(&w, "send_pend"), 0);
    assert_int_equal(tally_total(&w, "message_bytes_unacknowledged"), 0);
    assert_int_equal(tally_total(&w, "message_bytes_ready"), 221);
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
    tally_declare(&w, "q", (struct queue_options)QUEUE_OPTIONS_NONE);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .persistent = true}, N);
    assert_int_equal(tally_queue(&w, "q", COUNT_DISK_WRITES), N);
    assert_int_equal(tally_queue(&w, "q", COUNT_DISK_READS), 0);
    keepsake_take(&k, &w.effects.records);
    world_consume(&w, 0, "q", 0, 0, true);
    keepsake_take(&k, &w.effects.records);
    for (struct load *l; (l = keepsake_load(&k)) != NULL; keepsake_take(&k, &w.effects.records))
        world_do(&w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    uint64_t reads = tally_queue(&w, "q", COUNT_DISK_READS);
    assert_int_equal(tally_queue(&w, "q", COUNT_DELIVER_NO_ACK), N);
    assert_true(reads >= N / 2 && reads < N); /* the first ones were never cold */
    assert_int_equal(tally_type(&w, "classic", "disk_reads"), reads);
    assert_int_equal(tally_number(&w, INSPECT_VHOSTS, "/", "statistics", "disk_writes"), N);
    world_fini(&w);
    keepsake_fini(&k);
}

TEST(churn)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "q", NULL);
    tally_delete_queue(&w, "q");
    world_attach(&w, 1);
    world_queue(&w, 1, "r", NULL);
    world_detach(&w, 1);
    assert_int_equal(tally_total(&w, "queues_declared"), 3);
    assert_int_equal(tally_total(&w, "queues_created"), 2);
    assert_int_equal(tally_total(&w, "queues_deleted"), 1);
    assert_int_equal(tally_total(&w, "connections_opened"), 2);
    assert_int_equal(tally_total(&w, "connections_closed"), 1);
    assert_int_equal(tally_total(&w, "channels_opened"), 2);
    assert_int_equal(tally_total(&w, "channels_closed"), 1);
    assert_int_equal(tally_total(&w, "channels"), 1);
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
    tally_publish(&w, (struct tally_publish){.exchange = "x", .key = "", .size = 7, .confirm = true}, 4);
    struct spec *x = spec_create(&(struct spec){.name = BYTES("x")});
    world_do(&w, (struct command){.verb = DELETE_EXCHANGE, .spec = x}, 0, 0);
    tally_delete_queue(&w, "q");
    world_do(&w, (struct command){.verb = RESET}, 0, 0);
    for (unsigned step = 0; step < 2; step++) {
        assert_int_equal(tally_total(&w, "received"), 4);
        assert_int_equal(tally_total(&w, "confirmed"), 4);
        assert_int_equal(tally_total(&w, "message_bytes"), 28);
        assert_int_equal(tally_type(&w, "classic", "deliver_no_ack"), 4);
        assert_int_equal(tally_total(&w, "publishers"), 0);
        struct changes *c = changes_create(); /* and the virtual host */
        changes_add(c, CHANGE_REMOVE, DEFINE_VHOST,
                    spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("/")}));
        world_forget(&w);
        world_do(&w, (struct command){.verb = ALTER, .changes = c}, DESK_GENERATION, 0);
    }
    assert_int_equal(tally_total(&w, "vhosts"), 0);
    world_fini(&w);
}

/* ---- How it is. */

TEST(a_queue_says_how_it_is)
{
    struct world w;
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX, .records = true});
    tally_declare(&w, "q", (struct queue_options)QUEUE_OPTIONS_NONE);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .size = 10, .persistent = true}, 3);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .size = 7}, 1);
    world_wait(&w, 50);
    tally_get(&w, "q", false);
    world_wait(&w, 20);
    struct inspection *i = tally_inspect(&w, INSPECT_QUEUES, "q");
    assert_int_equal(tally_number_in(i, NULL, "message_bytes"), 37);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes_ready"), 27);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes_unacknowledged"), 10);
    assert_int_equal(tally_number_in(i, NULL, "messages_persistent"), 3);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes_persistent"), 30);
    assert_int_equal(tally_number_in(i, NULL, "messages_ram"), 4);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes_ram"), 37);
    assert_int_equal(tally_number_in(i, NULL, "messages_paged_out"), 0);
    assert_int_equal(tally_number_in(i, NULL, "head_message_age_ms"), 70);
    assert_int_equal(tally_number_in(i, NULL, "oldest_unacked_age_ms"), 20);
    assert_true(tally_number_in(i, NULL, "memory") > 37);
    inspection_destroy(i);
    world_settle(&w, 0, (ticket){0}, ACCEPTED); /* nobody has that */
    tally_get(&w, "q", true);
    i = tally_inspect(&w, INSPECT_QUEUES, "q");
    assert_int_equal(tally_number_in(i, NULL, "messages_persistent"), 2);
    assert_int_equal(tally_number_in(i, NULL, "message_bytes"), 27);
    inspection_destroy(i);
    world_fini(&w);
}

/* Of queue q, in thousandths. */
static unsigned utilisation(struct world *w)
{
    struct inspection *i = tally_inspect(w, INSPECT_QUEUES, "q");
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
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q"}, 1);
    ticket t = tally_last_ticket(&w);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q"}, 1); /* which it cannot take */
    world_wait(&w, 100);
    assert_int_equal(utilisation(&w), 750);
    world_settle(&w, 0, t, ACCEPTED);
    world_settle(&w, 0, tally_last_ticket(&w), ACCEPTED);
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
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "q", .size = 9}, 2);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "other"}, 1);
    tally_get(&w, "other", false);
    world_wait(&w, 30);
    struct bytes vhost = BYTES("/"), name = BYTES("q");
    struct inspection *i = inspection_create(INSPECT_UNACKED, &vhost, &name);
    struct event *e = tally_ask(&w, (struct command){.verb = INSPECT, .inspection = i});
    i = e->done.inspection;
    assert_int_equal(i->n, 1);
    assert_int_equal(tally_number_in(i, NULL, "age_ms"), 30);
    assert_int_equal(tally_number_in(i, NULL, "since_ms"), w.now.wall_ms - 30);
    assert_int_equal(tally_number_in(i, NULL, "payload_bytes"), 9);
    size_t at = 0;
    struct bytes row;
    assert_true(inspection_next(i, &at, &row));
    assert_true(bytes_equal(table_find_string(row, "consumer_tag"), BYTES("tag")));
    assert_true(bytes_equal(table_find_string(row, "user"), BYTES("guest")));
    assert_true(bytes_equal(table_find_string(row, "routing_key"), BYTES("q")));
    e = tally_ask(&w,
                  (struct command){.verb = INSPECT, .inspection = inspection_create(INSPECT_UNACKED, &vhost, NULL)});
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
    };
    return unit_main("statistics", tests, argc, argv);
}
