#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/model/pile.h"
#include "broker/model/queue.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"
#include "tests/unit/guest.h"
#include "tests/unit/world.h"

enum { MANY = 5 * PILE_CHUNK };

static struct message *nobody(uintptr_t n)
{
    return (struct message *)(n * 16 + 16);
}

/* Mostly they follow one another. */
static uint64_t place_of(uint64_t n)
{
    return n + n / 100 * 7;
}

static void expect_next(void *arg, const struct piled *piled)
{
    uint64_t *n = arg;
    assert_int_equal(piled->position, place_of(*n));
    assert_ptr_equal(piled->msg, nobody(*n));
    ++*n;
}

TEST(a_pile_is_first_in_first_out)
{
    struct pile p;
    uint64_t in = 0, out = 0;
    pile_init(&p);
    for (unsigned round = 0; round < 4000; round++) {
        unsigned more = round < 2000 ? 3 : 1, fewer = round < 2000 ? 1 : 3;
        for (unsigned i = 0; i < more; i++, in++)
            pile_add(&p, (struct piled){.msg = nobody(in), .position = place_of(in), .stored = in & 1});
        for (unsigned i = 0; i < fewer && p.count > 0; i++, out++) {
            struct piled piled = pile_take(&p);
            assert_ptr_equal(piled.msg, nobody(out));
            assert_int_equal(piled.position, place_of(out));
            assert_int_equal(piled.stored, out & 1);
        }
        assert_int_equal(p.count, in - out);
        uint64_t next = out;
        if (round % 500 == 0)
            pile_each(&p, expect_next, &next);
    }
    assert_int_equal(out, in);
    pile_fini(&p);
}

/* ---- In a queue. */

static struct queue *queue_of(const struct world *w)
{
    return queue_find_by_id(w->broker, 1);
}

static void publish(struct world *w, unsigned n)
{
    char body[16];
    snprintf(body, sizeof body, "%u", n);
    world_publish(w, "", "q", body);
}

/* A queue with MANY messages, most of them in its pile. */
static void deep(struct world *w)
{
    world_init(w);
    world_queue(w, 0, "q", NULL);
    for (unsigned i = 0; i < MANY; i++)
        publish(w, i);
    assert_int_equal(queue_of(w)->ready.pile.count, MANY - PILE_FROM);
    world_forget(w);
}

static void expect_get(struct world *w, unsigned n)
{
    char body[16];
    snprintf(body, sizeof body, "%u", n);
    struct message *m = world_get(w, "q");
    assert_non_null(m);
    assert_true(bytes_equal(message_body(m, 0), bytes_of_string(body)));
    message_unref(m);
    world_forget(w);
}

TEST(order_is_kept_while_a_queue_grows_and_shrinks)
{
    struct world w;
    unsigned in = MANY, out = 0;
    deep(&w);
    while (out < in) {
        expect_get(&w, out++);
        if (in < 2 * MANY && out % 3 == 0)
            publish(&w, in++);
    }
    assert_null(world_get(&w, "q"));
    assert_int_equal(broker_totals(w.broker).message_bytes, 0);
    world_fini(&w);
}

TEST(what_comes_back_is_before_the_pile)
{
    struct world w;
    ticket tickets[100];
    deep(&w);
    world_consume(&w, 0, "q", 0, 100, false);
    for (unsigned i = 0; i < 100; i++) {
        char body[16];
        snprintf(body, sizeof body, "%u", i);
        tickets[i] = world_expect_delivery(&w, 0, body, false);
    }
    world_do(&w, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 0}}, 0, 0);
    for (unsigned i = 0; i < 100; i += 2)
        world_settle(&w, 0, tickets[i], REQUEUED);
    for (unsigned i = 1; i < 100; i += 2)
        world_settle(&w, 0, tickets[i], ACCEPTED);
    world_forget(&w);
    for (unsigned i = 0; i < 100; i += 2)
        expect_get(&w, i);
    for (unsigned i = 100; i < MANY; i++)
        expect_get(&w, i);
    world_fini(&w);
}

TEST(a_message_with_a_deadline_ends_the_pile)
{
    struct world w;
    deep(&w);
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"), .expiration_ms = 5});
    world_do(&w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
    assert_int_equal(queue_of(&w)->ready.pile.count, 0);
    publish(&w, MANY);
    world_wait(&w, 6);
    assert_int_equal(world_count(&w, "q"), MANY + 1);
    world_forget(&w);
    for (unsigned i = 0; i <= MANY; i++)
        expect_get(&w, i);
    world_fini(&w);
}

static struct inspection *look(struct world *w, uint64_t from, uint32_t limit)
{
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &BYTES("/"), &BYTES("q"));
    i->cursor = from;
    i->limit = limit;
    world_do(w, (struct command){.verb = INSPECT, .inspection = i}, 0, 0);
    return w->effects.events[w->effects.n - 1].done.inspection;
}

TEST(whoever_looks_sees_what_is_in_the_pile)
{
    struct world w;
    struct bytes row;
    struct field f;
    size_t at = 0;
    deep(&w);
    const struct inspection *i = look(&w, 1000, 50);
    assert_int_equal(i->n, 50);
    assert_int_equal(i->cursor, 1050);
    assert_true(queue_of(&w)->ready.pile.count < MANY - PILE_FROM);
    for (int64_t n = 1000; inspection_next(i, &at, &row); n++) {
        assert_true(table_find(row, BYTES("position"), &f));
        assert_int_equal(f.integer, n);
    }
    world_forget(&w);
    for (unsigned n = 0; n < MANY; n++)
        expect_get(&w, n);
    world_fini(&w);
}

TEST(what_is_in_the_pile_can_be_moved)
{
    struct world w;
    deep(&w);
    world_queue(&w, 0, "other", NULL);
    const struct move m = {.to = MOVE_TO_EXCHANGE,
                           .vhost = BYTES("/"),
                           .queue = BYTES("q"),
                           .key = BYTES("other"),
                           .position = MANY - 10,
                           .end = MANY};
    world_do(&w, (struct command){.verb = MOVE, .move = move_create(&m)}, 0, 0);
    assert_int_equal(world_count(&w, "other"), 10);
    assert_int_equal(world_count(&w, "q"), MANY - 10);
    world_fini(&w);
}

TEST(a_purge_drops_the_pile_and_the_queue_goes_on)
{
    struct world w;
    deep(&w);
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q")});
    world_do(&w, (struct command){.verb = PURGE_QUEUE, .spec = s}, 0, 0);
    assert_int_equal(w.effects.events[w.effects.n - 1].done.messages, MANY);
    assert_int_equal(broker_totals(w.broker).message_bytes, 0);
    assert_int_equal(broker_totals(w.broker).messages_ready, 0);
    world_forget(&w);
    for (unsigned i = 0; i < MANY; i++)
        publish(&w, i);
    for (unsigned i = 0; i < MANY; i++)
        expect_get(&w, i);
    world_fini(&w);
}

static void put_policy(struct world *w, const char *key, int64_t limit)
{
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *value = table_open(&p, BYTES("value"), 'F');
    table_put_string(&p, BYTES("pattern"), BYTES("q"));
    uint8_t *definition = table_open(&p, BYTES("definition"), 'F');
    table_put_i64(&p, bytes_of_string(key), limit);
    table_close(&p, definition);
    table_close(&p, value);
    struct changes *c = changes_create();
    const struct spec policy = {
        .vhost = BYTES("/"), .type = BYTES("policy"), .name = BYTES("brief"), .arguments = pen_written(&p)};
    changes_add(c, CHANGE_PUT, DEFINE_PARAMETER, spec_create(&policy));
    world_do(w, (struct command){.verb = ALTER, .changes = c}, 0, 0);
}

/* A policy that says how long messages may stay is about those in the pile too, and leaves them there. */
TEST(a_policy_finds_what_is_in_the_pile)
{
    struct world w;
    deep(&w);
    put_policy(&w, "message-ttl", 10);
    assert_int_equal(queue_of(&w)->ready.pile.count, MANY - PILE_FROM);
    publish(&w, MANY);
    assert_int_equal(queue_of(&w)->ready.pile.count, MANY - PILE_FROM + 1);
    world_wait(&w, 9);
    assert_int_equal(broker_totals(w.broker).messages_ready, MANY + 1);
    world_wait(&w, 2);
    assert_int_equal(broker_totals(w.broker).messages_ready, 0);
    world_fini(&w);
}

TEST(a_ttl_that_goes_again_takes_nothing_along)
{
    struct world w;
    deep(&w);
    put_policy(&w, "message-ttl", 10);
    for (unsigned i = 0; i < PILE_FROM; i++)
        expect_get(&w, i); /* those behind have thawed */
    put_policy(&w, "max-length", MANY);
    world_wait(&w, 11);
    for (unsigned i = PILE_FROM; i < MANY; i++)
        expect_get(&w, i);
    world_fini(&w);
}

/* Publishes so many from that number on. */
static void pour_on(struct world *w, unsigned from, unsigned n)
{
    char body[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(body, sizeof body, "%u", i);
        const struct message_spec s = {
            .routing_key = BYTES("q"), .properties = bytes_of("\0\0", 2), .expiration_ms = MESSAGE_NO_EXPIRATION};
        struct command c = {.verb = PUBLISH,
                            .from = {.outlet = {.generation = 1}},
                            .publish = {.msg = message_create_whole(&s, bytes_of_string(body))}};
        broker_step(w->broker, &w->now, &c, 1, &w->effects);
    }
    abacus_watch(&w->abacus, w->broker, &w->effects);
}

/* The same from the first on, and looks at the broker once. */
static void pour(struct world *w, unsigned n)
{
    pour_on(w, 0, n);
    broker_step(w->broker, &w->now, NULL, 0, &w->effects);
    world_forget(w);
}

TEST(a_limit_that_comes_late_is_kept_a_step_at_a_time)
{
    enum { POURED = 3 * EXPIRED_PER_STEP, LEFT = 3 };
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    pour(&w, POURED);
    put_policy(&w, "max-length", LEFT);
    assert_int_equal(broker_totals(w.broker).messages_ready, POURED - EXPIRED_PER_STEP);
    world_forget(&w);
    world_consume(&w, 0, "q", 0, 0, true);
    assert_int_equal(broker_totals(w.broker).messages_ready, POURED - 2 * EXPIRED_PER_STEP);
    world_expect_nothing(&w); /* it has to go, so it goes to nobody */
    world_wait(&w, 0);
    for (unsigned i = POURED - LEFT; i < POURED; i++) {
        char body[16];
        snprintf(body, sizeof body, "%u", i);
        world_expect_delivery(&w, 0, body, false);
    }
    world_expect_nothing(&w);
    world_fini(&w);
}

enum { BATCH = 256, WIDE = 2 * EXPIRED_PER_STEP / BATCH };

/* So many queues of an exchange that gives to all of them. */
static void fan(struct world *w, unsigned queues, const struct spec *options)
{
    char name[16];
    world_init(w);
    world_exchange(w, "fan", "fanout");
    for (unsigned i = 0; i < queues; i++) {
        snprintf(name, sizeof name, "q%u", i);
        world_queue(w, 0, name, options);
        world_bind(w, name, "fan", "");
    }
    world_forget(w);
}

/* A step of publishes to all of them. */
static void pour_over_fan(struct world *w)
{
    struct command c[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        const struct message_spec s = {
            .exchange = BYTES("fan"), .properties = bytes_of("\0\0", 2), .expiration_ms = MESSAGE_NO_EXPIRATION};
        c[i] = (struct command){.verb = PUBLISH,
                                .from = {.outlet = {.generation = 1}},
                                .publish = {.msg = message_create_whole(&s, BYTES("much"))}};
    }
    broker_step(w->broker, &w->now, c, BATCH, &w->effects);
    abacus_watch(&w->abacus, w->broker, &w->effects);
    world_forget(w);
}

/* However many queues there are: a queue that has a limit keeps it while it is published to. */
TEST(a_limit_is_kept_in_many_queues_at_once)
{
    struct world w;
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    s.options.max_length = 2;
    fan(&w, WIDE, &s);
    for (unsigned i = 0; i < 4; i++) {
        pour_over_fan(&w);
        assert_int_equal(broker_totals(w.broker).messages_ready, 2 * WIDE);
    }
    world_fini(&w);
}

TEST(many_queues_expire_as_fast_as_they_fill)
{
    enum { STEPS = 12 };
    struct world w;
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    s.options.message_ttl_ms = 1;
    fan(&w, WIDE, &s);
    for (unsigned i = 0; i < STEPS; i++, w.now.ms++)
        pour_over_fan(&w);
    assert_true(broker_totals(w.broker).messages_ready <= 2 * WIDE * BATCH);
    world_fini(&w);
}

TEST(a_get_waits_until_what_is_overdue_has_gone)
{
    enum { POURED = 3 * EXPIRED_PER_STEP };
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    pour(&w, POURED);
    put_policy(&w, "message-ttl", 10);
    world_forget(&w);
    w.now.ms += 11;
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = true});
    world_do(&w, (struct command){.verb = GET, .spec = s}, 0, 1);
    world_expect_nothing(&w);
    assert_true(broker_totals(w.broker).messages_ready > 0);
    publish(&w, POURED);
    world_expect_nothing(&w);
    world_wait(&w, 0);
    const struct event *e = world_next(&w);
    assert_true(e != NULL && e->what == GOT);
    char body[16];
    snprintf(body, sizeof body, "%u", POURED);
    assert_true(bytes_equal(message_body(e->delivered.msg, 0), bytes_of_string(body)));
    assert_int_equal(e->delivered.messages, 0);
    world_expect_nothing(&w);
    world_fini(&w);
}

/* The second client fetches so many. */
static void fetch(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct command c = {.verb = GET,
                            .from = {.outlet = {.slot = 1, .generation = 1}},
                            .spec = spec_create(&(struct spec){.name = BYTES("q")})};
        broker_step(w->broker, &w->now, &c, 1, &w->effects);
    }
    abacus_watch(&w->abacus, w->broker, &w->effects);
    world_forget(w);
}

/* Each step, some of what it had comes back; who waits for that gets it in its order. */
TEST(a_client_that_had_much_goes_a_step_at_a_time)
{
    enum { HAD = 2 * ENDS_PER_STEP + 10, OTHERS = 3 };
    struct world w;
    char body[16];
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    pour(&w, HAD + OTHERS);
    fetch(&w, HAD);
    world_do(&w, (struct command){.verb = DETACH}, 1, 0);
    world_expect_nothing(&w);
    assert_int_equal(broker_totals(w.broker).messages_out, HAD - ENDS_PER_STEP);
    assert_int_equal(broker_totals(w.broker).messages_ready, ENDS_PER_STEP + OTHERS);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(body, sizeof body, "%u", i);
        struct message *m = world_get(&w, "q");
        assert_true(bytes_equal(message_body(m, 0), bytes_of_string(body)));
        message_unref(m);
    }
    world_wait(&w, 0);
    unsigned detached = 0;
    for (size_t i = 0; i < w.effects.n; i++)
        detached += w.effects.events[i].what == DETACHED && w.effects.events[i].to.outlet.slot == 1;
    assert_int_equal(detached, 1);
    assert_int_equal(broker_totals(w.broker).messages_out, 0);
    assert_int_equal(broker_totals(w.broker).messages_ready, HAD + OTHERS - 3);
    world_forget(&w);
    for (unsigned i = 3; i < 100; i++)
        expect_get(&w, i);
    world_fini(&w);
}

/* The next delivery is that message. */
static void expect_delivery(struct world *w, unsigned n)
{
    char body[16];
    const struct event *e = world_next(w);
    while (e != NULL && e->what != DELIVERED)
        e = world_next(w);
    snprintf(body, sizeof body, "%u", n);
    assert_non_null(e);
    if (e == NULL)
        return;
    assert_true(bytes_equal(message_body(e->delivered.msg, 0), bytes_of_string(body)));
}

/* More die than a step moves, and more die before those are moved. */
TEST(letters_come_in_the_order_in_which_messages_died)
{
    enum { MANY_DIE = 2 * EXPIRED_PER_STEP + 10 };
    struct world w;
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    world_init(&w);
    s.options.has_dead_letter_exchange = s.options.has_dead_letter_routing_key = true;
    s.options.dead_letter_routing_key = BYTES("dead");
    world_queue(&w, 0, "dead", NULL);
    world_queue(&w, 0, "q", &s);
    pour(&w, MANY_DIE);
    world_consume(&w, 0, "dead", 0, 0, true);
    struct command more = {.verb = WINDOW, .from = {.outlet = {.generation = 1}}, .window = {.bytes = 1U << 30}};
    broker_step(w.broker, &w.now, &more, 1, &w.effects);
    put_policy(&w, "max-length", 0);
    while (broker_deadline(w.broker) <= w.now.ms)
        broker_step(w.broker, &w.now, NULL, 0, &w.effects);
    abacus_watch(&w.abacus, w.broker, &w.effects);
    for (unsigned i = 0; i < MANY_DIE; i++)
        expect_delivery(&w, i);
    world_fini(&w);
}

/* All that comes back is before what nobody has had, however many steps that takes. */
TEST(who_waits_for_what_comes_back_gets_it_in_order)
{
    enum { HAD = 2 * ENDS_PER_STEP + 10, OTHERS = 3 };
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 1, "q", 0, 0, false);
    struct command more = {
        .verb = WINDOW, .from = {.outlet = {.slot = 1, .generation = 1}}, .window = {.bytes = 1U << 30}};
    broker_step(w.broker, &w.now, &more, 1, &w.effects);
    pour(&w, HAD);
    assert_int_equal(broker_totals(w.broker).messages_out, HAD);
    world_consume(&w, 0, "q", 0, 0, true);
    more.from.outlet.slot = 0;
    broker_step(w.broker, &w.now, &more, 1, &w.effects);
    world_forget(&w);
    world_do(&w, (struct command){.verb = DETACH}, 1, 0);
    pour_on(&w, HAD, OTHERS);
    for (unsigned i = 0; i < 3; i++)
        world_wait(&w, 0);
    for (unsigned i = 0; i < HAD + OTHERS; i++)
        expect_delivery(&w, i);
    world_fini(&w);
}

TEST(what_a_client_that_is_going_has_locked_can_be_declared)
{
    enum { HAD = ENDS_PER_STEP + 10 };
    struct world w;
    struct spec mine = {.exclusive = true, .options = QUEUE_OPTIONS_NONE};
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 1, "mine", &mine);
    world_publish(&w, "", "mine", "old");
    pour(&w, HAD);
    fetch(&w, HAD);
    mine.name = BYTES("mine");
    struct command both[] = {
        {.verb = DETACH, .from = {.outlet = {.slot = 1, .generation = 1}}},
        {.verb = DECLARE_QUEUE, .from = {.outlet = {.generation = 1}}, .spec = spec_create(&mine)}};
    broker_step(w.broker, &w.now, both, 2, &w.effects);
    const struct event *e = world_next(&w);
    assert_true(e != NULL && e->what == DONE && e->verb == DECLARE_QUEUE && e->done.messages == 0);
    world_forget(&w);
    world_wait(&w, 0);
    e = world_next(&w);
    assert_true(e != NULL && e->what == DETACHED);
    assert_int_equal(broker_totals(w.broker).queues, 2);
    assert_int_equal(broker_totals(w.broker).messages_ready, HAD);
    world_fini(&w);
}

TEST(a_client_that_is_going_can_be_expelled)
{
    enum { HAD = ENDS_PER_STEP + 10 };
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_queue(&w, 0, "q", NULL);
    pour(&w, HAD);
    fetch(&w, HAD);
    struct command both[] = {{.verb = DETACH, .from = {.outlet = {.slot = 1, .generation = 1}}},
                             {.verb = EXPEL,
                              .from = {.outlet = {.slot = 0}},
                              .expel = {.spec = spec_create(&(struct spec){.passive = false})}}};
    broker_step(w.broker, &w.now, both, 2, &w.effects);
    world_wait(&w, 0);
    unsigned detached = 0;
    for (const struct event *e; (e = world_next(&w)) != NULL;)
        detached += e->what == DETACHED && e->to.outlet.slot == 1;
    assert_int_equal(detached, 1);
    assert_int_equal(broker_totals(w.broker).outlets, 0);
    assert_int_equal(broker_totals(w.broker).messages_ready, HAD);
    world_fini(&w);
}

/* A waiting message is to cost at most 64 bytes beyond its own: this is its place's part. */
TEST(a_place_in_the_pile_is_small)
{
    struct world w;
    deep(&w);
    uint64_t before = broker_totals(w.broker).message_bytes;
    publish(&w, 1);
    assert_int_equal(broker_totals(w.broker).message_bytes - before,
                     sizeof(struct message) + strlen("q") + 2 + strlen("1") + PILED_COST);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pile_is_first_in_first_out),
        cmocka_unit_test(order_is_kept_while_a_queue_grows_and_shrinks),
        cmocka_unit_test(what_comes_back_is_before_the_pile),
        cmocka_unit_test(a_message_with_a_deadline_ends_the_pile),
        cmocka_unit_test(whoever_looks_sees_what_is_in_the_pile),
        cmocka_unit_test(what_is_in_the_pile_can_be_moved),
        cmocka_unit_test(a_purge_drops_the_pile_and_the_queue_goes_on),
        cmocka_unit_test(a_policy_finds_what_is_in_the_pile),
        cmocka_unit_test(a_ttl_that_goes_again_takes_nothing_along),
        cmocka_unit_test(a_limit_that_comes_late_is_kept_a_step_at_a_time),
        cmocka_unit_test(a_limit_is_kept_in_many_queues_at_once),
        cmocka_unit_test(many_queues_expire_as_fast_as_they_fill),
        cmocka_unit_test(a_get_waits_until_what_is_overdue_has_gone),
        cmocka_unit_test(a_client_that_had_much_goes_a_step_at_a_time),
        cmocka_unit_test(letters_come_in_the_order_in_which_messages_died),
        cmocka_unit_test(who_waits_for_what_comes_back_gets_it_in_order),
        cmocka_unit_test(what_a_client_that_is_going_has_locked_can_be_declared),
        cmocka_unit_test(a_client_that_is_going_can_be_expelled),
        cmocka_unit_test(a_place_in_the_pile_is_small),
    };
    return unit_main("broker/model/pile", tests, argc, argv);
}
