/* What SAMPLE says of what the model counts (broker/port/sample.h), and that nothing is lost on the way, whatever
 * happens. */
#include "tests/unit/tally.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

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
        struct event *e = tally_ask(w, (struct command){.verb = SAMPLE, .samples = samples_create()});
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
    return tally_number(w, INSPECT_QUEUES, name, "statistics", "id");
}

TEST(a_sample_says_what_has_changed_and_nothing_else)
{
    struct world w;
    struct told *t = told_create();
    world_init(&w);
    world_queue(&w, 0, "a", NULL);
    world_queue(&w, 0, "b", NULL);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "a"}, 2);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "b"}, 1);
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
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "b"}, 3);
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
    tally_declare(&w, "expires", o);
    world_queue(&w, 0, "purged", NULL);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "expires"}, 2);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "purged"}, 2);
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
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = name}, 1);
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
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = name}, 1);
    }
    struct event *e = tally_ask(&w, (struct command){.verb = SAMPLE, .samples = samples_create()});
    assert_false(e->done.samples->is_all);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = name}, 1);
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
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "told"}, 1);
    uint64_t id = id_of_queue(&w, "told");
    sample_round(&w, t);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "told"}, 1);
    tally_publish(&w, (struct tally_publish){.exchange = "", .key = "untold"}, 1);
    uint64_t untold = id_of_queue(&w, "untold");
    tally_delete_queue(&w, "told");
    tally_delete_queue(&w, "untold");
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
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = name}, 1);
    }
    sample_round(&w, t);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        tally_publish(&w, (struct tally_publish){.exchange = "", .key = name}, 1);
    }
    struct event *e = tally_ask(&w, (struct command){.verb = SAMPLE, .samples = samples_create()});
    assert_false(e->done.samples->is_all); /* some of them are told by now, others are not */
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "q%u", i);
        tally_delete_queue(&w, name);
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

/* ---- Whatever happens. */

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
        tally_get(w, queues[draw(c, 3)], draw(c, 2) == 0);
        break;
    case 1: {
        struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(queues[draw(c, 3)])});
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
            tally_publish_from(w, stream,
                               (struct tally_publish){.exchange = draw(c, 3) == 0 ? "x" : "",
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
    struct inspection *i = tally_inspect(&c->w, INSPECT_TOTALS, NULL);
    uint64_t gone = c->purged;
    for (size_t n = 0; n < sizeof ways / sizeof ways[0]; n++)
        gone += tally_number_in(i, "classic", ways[n]);
    assert_int_equal(tally_number_in(i, "classic", "publish"), gone + tally_number_in(i, NULL, "messages"));
    uint64_t letters = 0;
    for (size_t n = 3; n < 6; n++)
        letters += tally_number_in(i, "classic", ways[n]);
    assert_int_equal(tally_number_in(i, "classic", "publish"), tally_number_in(i, NULL, "routed") + letters);
    uint64_t received = tally_number_in(i, NULL, "received"), confirmed = tally_number_in(i, NULL, "confirmed");
    uint64_t acks = tally_number_in(i, "classic", "ack"), delivered = tally_number_in(i, "classic", "deliver");
    uint64_t redelivered = tally_number_in(i, "classic", "redeliver");
    inspection_destroy(i);
    assert_int_equal(tally_channels(&c->w, COUNT_PUBLISH), received);
    assert_int_equal(tally_channels(&c->w, COUNT_CONFIRM), confirmed);
    assert_int_equal(tally_channels(&c->w, COUNT_ACK), acks);
    assert_int_equal(tally_channels(&c->w, COUNT_DELIVER), delivered);
    assert_int_equal(tally_channels(&c->w, COUNT_REDELIVER), redelivered);
    uint64_t of_queues = tally_queue(&c->w, "a", COUNT_ACK) + tally_queue(&c->w, "b", COUNT_ACK) +
                         tally_queue(&c->w, "c", COUNT_ACK) + tally_queue(&c->w, "d", COUNT_ACK);
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
    tally_declare(&c->w, "b", o);
    o.message_ttl_ms = SPEC_NONE;
    o.max_length = 3;
    tally_declare(&c->w, "c", o);
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
            struct inspection *row = tally_inspect(&c->w, INSPECT_QUEUES, queues[i]);
            const struct sample *s = &t->last[tally_number_in(row, "statistics", "id")];
            for (unsigned n = 0; n < COUNTERS; n++)
                assert_int_equal(s->counts[n], tally_number_in(row, "statistics", sample_names[n]));
            assert_int_equal(s->ready, tally_number_in(row, NULL, "messages_ready"));
            assert_int_equal(s->unacknowledged, tally_number_in(row, NULL, "messages_unacknowledged"));
            assert_int_equal(s->messages, tally_number_in(row, NULL, "messages"));
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
        cmocka_unit_test(a_sample_says_what_has_changed_and_nothing_else),
        cmocka_unit_test(a_depth_that_changes_by_itself_is_a_change),
        cmocka_unit_test(a_round_has_as_many_answers_as_it_takes),
        cmocka_unit_test(what_goes_is_told_once_more_if_it_was_told),
        cmocka_unit_test(what_goes_with_messages_in_it_is_told_once_more),
        cmocka_unit_test(whatever_came_is_there_or_has_gone_in_a_way_that_is_counted),
        cmocka_unit_test(a_round_says_what_the_rows_say),
    };
    return unit_main("samples", tests, argc, argv);
}
