#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { PLENTY = 1000 };

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static void begin(struct pair *p)
{
    pair_init(p, &pair_narrow);
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

/* The broker ends without a warning, and another one begins with what was kept. */
static void restart(struct pair *p)
{
    pair_crash(p);
    world_attach(&p->w, 0);
    world_forget(&p->w);
}

/* A queue whose dead letters go to `dead` by the default exchange. */
static struct queue_options dying(const char *dead)
{
    struct queue_options o = plain;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_routing_key = bytes_of_string(dead);
    return o;
}

static void publish_with(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t priority)
{
    pair_publish_like(p,
                      (struct message_spec){.exchange = bytes_of_string(exchange),
                                            .routing_key = bytes_of_string(key),
                                            .flags = MESSAGE_PERSISTENT,
                                            .priority = priority,
                                            .expiration_ms = MESSAGE_NO_EXPIRATION},
                      number);
    world_forget(&p->w);
}

static void publish_to(struct pair *p, const char *exchange, const char *key, unsigned number)
{
    publish_with(p, exchange, key, number, 0);
}

static void publish(struct pair *p, const char *queue, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        publish_to(p, "", queue, i);
}

static struct move *ask(struct move from)
{
    from.vhost = BYTES("/");
    return move_create(&from);
}

static struct event *say_move(struct pair *p, struct move *m)
{
    struct command c = {.verb = MOVE, .move = m, .cookie = p->w.cookie++};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    broker_check(p->w.broker);
    return &p->w.effects.events[p->w.effects.n - 1];
}

/* The answer, which the caller owns. */
static struct move *do_move(struct pair *p, struct move *m)
{
    struct event *e = say_move(p, m);
    if (e->what == FAILED)
        fail_msg("%s", e->failed.text);
    m = e->done.move;
    e->done.move = NULL;
    world_forget(&p->w);
    return m;
}

struct sum {
    uint64_t moved, kept, commands;
    char *stopped;
};

/* Repeats the command until it is over, with all loads answered between. */
static struct sum move_all(struct pair *p, struct move what)
{
    struct sum s = {0};
    struct move *m = ask(what);
    do {
        m = do_move(p, m);
        s.moved += m->moved;
        s.kept += m->kept;
        s.commands++;
        pair_serve(p);
    } while (!m->is_over && s.commands < PLENTY);
    CHECK(m->is_over);
    s.stopped = m->stopped;
    m->stopped = NULL;
    move_destroy(m);
    return s;
}

static void expect_failure(struct pair *p, struct move what, enum reason reason)
{
    const struct event *e = say_move(p, ask(what));
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, reason);
    world_forget(&p->w);
}

/* Fetches all of a queue without acknowledgement and expects these numbers. */
static void expect_numbers(struct pair *p, const char *name, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char body[16];
        snprintf(body, sizeof body, "%u", i);
        struct message *m = world_get(&p->w, name);
        if (m == NULL)
            fail_msg("%s: %u is missing", name, i);
        assert_memory_equal(message_body(m, 0).at, body, strlen(body));
        message_unref(m);
        world_forget(&p->w);
        pair_serve(p);
    }
    assert_null(world_get(&p->w, name));
    world_forget(&p->w);
}

static uint32_t count(struct pair *p, const char *name)
{
    uint32_t n = world_count(&p->w, name);
    world_forget(&p->w);
    return n;
}

static ticket fetch(struct pair *p, const char *name)
{
    struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(name)});
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = GET, .spec = s}, 0, 0);
    const struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == GOT);
    return e->delivered.ticket;
}

/* The first message of the queue is rejected. */
static void reject(struct pair *p, const char *name)
{
    world_settle(&p->w, 0, fetch(p, name), REJECTED);
    world_forget(&p->w);
    pair_serve(p);
}

/* --- moving to a queue */

TEST(all_that_is_ready_moves_in_order)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 3);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 3);
    assert_null(s.stopped);
    assert_int_equal(count(&p, "a"), 0);
    expect_numbers(&p, "b", 0, 3);
    pair_fini(&p);
}

TEST(a_message_moves_by_one_record)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 2);
    pair_take(&p);
    move_destroy(do_move(&p, ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")})));
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "publish 2:0 for 1:0, publish 2:1 for 1:1");
    free(text);
    pair_fini(&p);
}

TEST(the_answer_waits_until_it_is_durable)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 1);
    pair_take(&p);
    const struct event *e =
        say_move(&p, ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->after, p.w.effects.records.last);
    pair_fini(&p);
}

TEST(a_command_moves_no_more_than_its_limit_and_goes_on_where_it_was)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 3);
    struct move *m =
        do_move(&p, ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b"), .limit = 2}));
    assert_int_equal(m->moved, 2);
    assert_false(m->is_over);
    m->limit = 0;
    m = do_move(&p, m);
    assert_int_equal(m->moved, 1);
    assert_true(m->is_over);
    move_destroy(m);
    pair_fini(&p);
}

TEST(more_than_a_command_moves_takes_several)
{
    enum { ALL = 2 * MOVES_MAX + 1 };
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, ALL);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, ALL);
    assert_in_range(s.commands, 3, PLENTY - 1);
    expect_numbers(&p, "b", 0, ALL);
    pair_fini(&p);
}

TEST(what_is_cold_is_waited_for)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 20);
    pair_take(&p);
    struct move *m = do_move(&p, ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(m->moved, PAIR_WINDOW);
    assert_true(m->is_waiting);
    assert_false(m->is_over);
    move_destroy(m);
    pair_serve(&p);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 20 - PAIR_WINDOW);
    expect_numbers(&p, "b", 0, 20);
    pair_fini(&p);
}

TEST(what_was_given_back_moves_in_its_place)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 4);
    ticket first = fetch(&p, "a"), second = fetch(&p, "a");
    world_settle(&p.w, 0, second, REQUEUED);
    world_settle(&p.w, 0, first, REQUEUED);
    world_forget(&p.w);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 4);
    world_consume(&p.w, 1, "b", 0, 0, true);
    for (unsigned i = 0; i < 4; i++) /* nobody has had them yet */
        world_expect_delivery(&p.w, 0, (const char *[]){"0", "1", "2", "3"}[i], false);
    pair_fini(&p);
}

TEST(what_is_out_stays)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 2);
    ticket t = fetch(&p, "a");
    world_forget(&p.w);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 1);
    world_settle(&p.w, 0, t, REQUEUED);
    assert_int_equal(count(&p, "a"), 1);
    pair_fini(&p);
}

TEST(a_full_queue_stops_it_and_nothing_is_lost)
{
    struct pair p;
    struct queue_options full = plain;
    begin(&p);
    full.max_length = 2;
    for (int overflow = OVERFLOW_DROP_HEAD; overflow <= OVERFLOW_REJECT_PUBLISH_DLX; overflow++) {
        static const char *const names[] = {"b", "c", "d"};
        full.overflow = (enum overflow)overflow;
        pair_queue(&p, "a", plain);
        pair_queue(&p, names[overflow], full);
        publish(&p, "a", 0, 3);
        struct sum s = move_all(
            &p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = bytes_of_string(names[overflow])});
        assert_int_equal(s.moved, 2);
        assert_non_null(strstr(s.stopped, "has no room for more"));
        free(s.stopped);
        expect_numbers(&p, names[overflow], 0, 2);
        expect_numbers(&p, "a", 2, 3);
    }
    pair_fini(&p);
}

TEST(what_is_overdue_dies_and_does_not_move)
{
    struct pair p;
    struct queue_options brief = dying("dead");
    brief.message_ttl_ms = 50;
    begin(&p);
    pair_queue(&p, "a", brief);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "dead", plain);
    publish(&p, "a", 0, 2);
    p.w.now.ms += 50; /* nothing has been done about it yet */
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 0);
    expect_numbers(&p, "dead", 0, 2);
    pair_fini(&p);
}

TEST(a_consumer_there_gets_it_at_once)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 2);
    world_consume(&p.w, 1, "b", 0, 1, false);
    world_forget(&p.w);
    struct event *e = say_move(&p, ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}));
    assert_int_equal(e->what, DONE);
    world_expect_delivery(&p.w, 0, "0", false);
    assert_int_equal(count(&p, "b"), 1);
    pair_fini(&p);
}

TEST(what_cannot_be_is_refused)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    world_queue(&p.w, 0, "mine", &(struct spec){.exclusive = true, .options = plain});
    expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("none"), .key = BYTES("a")}, NO_SUCH_QUEUE);
    expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("none")}, NO_SUCH_QUEUE);
    expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("a")}, BAD_ARGUMENT);
    expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("mine"), .key = BYTES("a")}, LOCKED);
    expect_failure(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("none")},
                   NO_SUCH_EXCHANGE);
    pair_fini(&p);
}

TEST(of_a_priority_queue_they_go_in_the_order_in_which_they_came)
{
    struct pair p;
    struct queue_options o = plain;
    begin(&p);
    o.max_priority = 3;
    pair_queue(&p, "a", o);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "c", o);
    for (uint8_t i = 0; i < 3; i++)
        publish_with(&p, "", "a", i, i);
    publish(&p, "a", 3, 4);
    assert_int_equal(move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")}).moved, 4);
    assert_int_equal(
        move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("b"), .key = BYTES("c"), .end = 4}).moved, 4);
    world_consume(&p.w, 1, "c", 0, 0, true);
    const char *const order[] = {"2", "1", "0", "3"}; /* and there by their priorities again */
    for (unsigned i = 0; i < 4; i++)
        world_expect_delivery(&p.w, 0, order[i], false);
    pair_fini(&p);
}

TEST(into_a_stream_they_go_and_out_of_it_they_do_not)
{
    struct pair p;
    struct queue_options o = plain;
    begin(&p);
    o.type = QUEUE_STREAM;
    pair_queue(&p, "a", plain);
    pair_queue(&p, "s", o);
    publish(&p, "a", 0, 3);
    assert_int_equal(move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("s")}).moved, 3);
    assert_int_equal(count(&p, "s"), 3);
    assert_int_equal(count(&p, "a"), 0);
    expect_failure(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("s"), .key = BYTES("a")}, BAD_ARGUMENT);
    pair_fini(&p);
}

TEST(one_message_is_deleted_by_its_position)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    publish(&p, "a", 0, 10);
    for (uint64_t position = 8; position > 6; position--) { /* they are cold */
        struct sum s = move_all(
            &p, (struct move){.to = MOVE_TO_NOTHING, .queue = BYTES("a"), .position = position, .end = position + 1});
        assert_int_equal(s.moved, 1);
        assert_int_equal(s.kept, 0);
    }
    restart(&p);
    pair_serve(&p);
    assert_int_equal(count(&p, "a"), 8);
    const unsigned left[] = {0, 1, 2, 3, 4, 5, 6, 9};
    for (unsigned i = 0; i < 8; i++, pair_serve(&p)) {
        struct message *m = world_get(&p.w, "a");
        assert_int_equal(message_body(m, 0).at[0], '0' + left[i]);
        message_unref(m);
        world_forget(&p.w);
    }
    pair_fini(&p);
}

TEST(an_alarm_stops_it)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    publish(&p, "a", 0, 2);
    broker_set_alarm(p.w.broker, ALARM_DISK, true);
    struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
    assert_int_equal(s.moved, 0);
    assert_non_null(strstr(s.stopped, "alarm"));
    free(s.stopped);
    pair_fini(&p);
}

/* --- looking without touching */

/* A page: the numbers of its bodies, one after the other. */
static uint64_t look(struct pair *p, uint64_t cursor, uint32_t limit, char *numbers)
{
    struct bytes vhost = BYTES("/"), name = BYTES("a"), row;
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &vhost, &name);
    struct field f;
    i->cursor = cursor;
    i->limit = limit;
    struct command c = {.verb = INSPECT, .inspection = i, .cookie = p->w.cookie++};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    pair_serve(p);
    const struct event *e = &p->w.effects.events[p->w.effects.n - 1];
    CHECK(e->what == DONE && e->verb == INSPECT);
    i = e->done.inspection;
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        CHECK(table_check(row, TABLE_DEPTH_MAX) && table_find(row, BYTES("payload"), &f));
        *numbers++ = (char)f.bytes.at[0];
    }
    *numbers = '\0';
    cursor = i->cursor;
    world_forget(&p->w);
    return cursor;
}

TEST(who_looks_sees_all_and_leaves_no_trace)
{
    struct pair p;
    char numbers[32], more[32];
    begin(&p);
    pair_queue(&p, "a", plain);
    publish(&p, "a", 0, 10);
    pair_take(&p);
    uint64_t next = look(&p, 0, 3, numbers);
    assert_string_equal(numbers, "012");
    for (size_t n = 3; next != 0; n += strlen(more)) {
        next = look(&p, next, 4, more);
        CHECK(n + strlen(more) < sizeof numbers);
        memcpy(numbers + n, more, strlen(more) + 1);
    }
    assert_string_equal(numbers, "0123456789");
    assert_int_equal(p.w.effects.records.n, 0);
    world_consume(&p.w, 1, "a", 0, 0, true);
    pair_serve(&p);
    for (unsigned i = 0; i < 10; i++)
        world_expect_delivery(&p.w, 0, (const char[]){(char)('0' + i), '\0'}, false);
    pair_fini(&p);
}

TEST(a_broker_may_end_while_somebody_looks)
{
    struct pair p;
    struct bytes vhost = BYTES("/"), name = BYTES("a");
    begin(&p);
    pair_queue(&p, "a", plain);
    publish(&p, "a", 0, 10);
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &vhost, &name);
    i->cursor = 9;
    struct command c = {.verb = INSPECT, .inspection = i};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p.w.broker, &p.w.now, &c, 1, &p.w.effects);
    pair_take(&p);
    world_fini(&p.w);
    keepsake_fini(&p.k);
}

/* --- to an exchange */

TEST(to_an_exchange_every_message_goes_with_its_own_key_or_with_that_one)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "c", plain);
    world_bind(&p.w, "a", "amq.fanout", "");
    world_bind(&p.w, "b", "amq.direct", "one");
    world_bind(&p.w, "c", "amq.direct", "two");
    publish_to(&p, "amq.fanout", "one", 0);
    publish_to(&p, "amq.fanout", "one", 1);
    const struct move what = {.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.direct")};
    struct move once = what;
    once.limit = 1;
    move_destroy(do_move(&p, ask(once)));
    once.key = BYTES("two");
    move_destroy(do_move(&p, ask(once)));
    expect_numbers(&p, "b", 0, 1);
    expect_numbers(&p, "c", 1, 2);
    pair_fini(&p);
}

TEST(where_nothing_would_arrive_nothing_goes)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    publish(&p, "a", 0, 2);
    struct sum s =
        move_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.direct")});
    assert_int_equal(s.moved, 0);
    assert_string_equal(s.stopped, "exchange 'amq.direct' in vhost '/' routes a message with routing key 'a' nowhere");
    free(s.stopped);
    assert_int_equal(count(&p, "a"), 2);
    pair_fini(&p);
}

TEST(one_full_queue_of_several_keeps_the_message_out_of_all)
{
    struct pair p;
    struct queue_options full = plain;
    begin(&p);
    full.max_length = 0;
    full.overflow = OVERFLOW_REJECT_PUBLISH;
    pair_queue(&p, "a", plain);
    pair_queue(&p, "b", plain);
    pair_queue(&p, "full", full);
    world_bind(&p.w, "b", "amq.fanout", "");
    world_bind(&p.w, "full", "amq.fanout", "");
    publish(&p, "a", 0, 1);
    struct sum s =
        move_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.fanout")});
    assert_int_equal(s.moved, 0);
    free(s.stopped);
    assert_int_equal(count(&p, "b"), 0);
    assert_int_equal(count(&p, "a"), 1);
    pair_fini(&p);
}

TEST(what_comes_back_at_once_is_moved_once)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "a", plain);
    world_bind(&p.w, "a", "amq.fanout", "");
    publish(&p, "a", 0, 10);
    struct sum s =
        move_all(&p, (struct move){.to = MOVE_TO_EXCHANGE, .queue = BYTES("a"), .exchange = BYTES("amq.fanout")});
    assert_int_equal(s.moved, 10);
    assert_null(s.stopped);
    expect_numbers(&p, "a", 0, 10);
    pair_fini(&p);
}

/* --- back to where it came from */

#define REDRIVE                                                                                                        \
    (struct move)                                                                                                      \
    {                                                                                                                  \
        .to = MOVE_TO_ORIGIN, .queue = BYTES("dead")                                                                   \
    }

/* Number i has died in the i-th of two queues. */
static void bury_two(struct pair *p)
{
    pair_queue(p, "dead", plain);
    pair_queue(p, "work", dying("dead"));
    pair_queue(p, "play", dying("dead"));
    world_bind(&p->w, "work", "amq.direct", "w");
    world_bind(&p->w, "play", "amq.direct", "p");
    publish_to(p, "amq.direct", "w", 0);
    publish_to(p, "amq.direct", "p", 1);
    reject(p, "work");
    reject(p, "play");
    assert_int_equal(count(p, "dead"), 2);
}

TEST(each_goes_back_to_the_queue_that_it_died_in_as_it_was)
{
    struct pair p;
    begin(&p);
    bury_two(&p);
    struct sum s = move_all(&p, REDRIVE);
    assert_int_equal(s.moved, 2);
    assert_int_equal(s.kept, 0);
    struct message *m = world_get(&p.w, "work");
    assert_true(bytes_equal(message_exchange(m), BYTES("amq.direct")));
    assert_true(bytes_equal(message_key(m), BYTES("w")));
    message_unref(m);
    expect_numbers(&p, "play", 1, 2);
    pair_fini(&p);
}

static bool has_header(const struct message *m, const char *name)
{
    struct properties props;
    struct field f;
    assert_true(properties_decode(message_properties(m), &props));
    return table_find(props.headers, bytes_of_string(name), &f);
}

TEST(its_history_stays_or_goes)
{
    struct pair p;
    begin(&p);
    bury_two(&p);
    struct move once = REDRIVE;
    once.limit = 1;
    move_destroy(do_move(&p, ask(once)));
    once.drops_history = true;
    move_destroy(do_move(&p, ask(once)));
    struct message *kept = world_get(&p.w, "work"), *stripped = world_get(&p.w, "play");
    assert_true(has_header(kept, "x-death") && has_header(kept, "x-first-death-queue"));
    assert_false(has_header(stripped, "x-death") || has_header(stripped, "x-first-death-queue") ||
                 has_header(stripped, "x-last-death-queue"));
    message_unref(kept);
    message_unref(stripped);
    pair_fini(&p);
}

TEST(what_has_no_history_or_no_such_queue_stays_and_is_counted)
{
    struct pair p;
    begin(&p);
    bury_two(&p);
    publish(&p, "dead", 7, 17); /* of unknown origin, some of them cold */
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("play")})},
             0, 0);
    publish_to(&p, "amq.direct", "w", 2);
    reject(&p, "work");
    struct sum s = move_all(&p, REDRIVE);
    assert_int_equal(s.moved, 2);
    assert_int_equal(s.kept, 11);
    assert_null(s.stopped);
    assert_int_equal(count(&p, "work"), 2);
    assert_int_equal(count(&p, "dead"), 11);
    pair_fini(&p);
}

TEST(by_exchange_it_is_published_again_as_it_was)
{
    struct pair p;
    begin(&p);
    bury_two(&p);
    pair_queue(&p, "copy", plain);
    world_bind(&p.w, "copy", "amq.direct", "w");
    struct move what = REDRIVE;
    what.to = MOVE_TO_ORIGIN_EXCHANGE;
    struct sum s = move_all(&p, what);
    assert_int_equal(s.moved, 2);
    expect_numbers(&p, "copy", 0, 1);
    expect_numbers(&p, "work", 0, 1);
    expect_numbers(&p, "play", 1, 2);
    pair_fini(&p);
}

/* Rejected by its own queue's consumer again and again, it may still expire, and is no cycle. */
TEST(what_was_moved_may_die_there_again)
{
    struct pair p;
    struct queue_options brief = dying("dead");
    brief.message_ttl_ms = 50;
    begin(&p);
    pair_queue(&p, "dead", plain);
    pair_queue(&p, "work", brief);
    publish(&p, "work", 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        world_wait(&p.w, 100);
        world_forget(&p.w);
        assert_int_equal(count(&p, "dead"), 1);
        assert_int_equal(move_all(&p, REDRIVE).moved, 1);
    }
    pair_fini(&p);
}

/* --- the broker ends in the middle of it */

TEST(after_a_crash_every_message_is_in_one_queue)
{
    enum { ALL = 3 * MOVES_MAX };
    for (unsigned commands = 0; commands < 5; commands++) {
        struct pair p;
        begin(&p);
        pair_queue(&p, "a", plain);
        pair_queue(&p, "b", plain);
        publish(&p, "a", 0, ALL);
        struct move *m = ask((struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
        for (unsigned i = 0; i < commands; i++, pair_serve(&p))
            m = do_move(&p, m);
        move_destroy(m);
        restart(&p);
        struct broker_totals t = broker_totals(p.w.broker);
        assert_int_equal(t.messages_ready, ALL);
        struct sum s = move_all(&p, (struct move){.to = MOVE_TO_QUEUE, .queue = BYTES("a"), .key = BYTES("b")});
        assert_int_equal(keepsake_count(&p.k, keepsake_queue(&p.k, "b")), ALL);
        assert_int_equal(keepsake_count(&p.k, keepsake_queue(&p.k, "a")), 0);
        assert_in_range(s.moved, 0, ALL);
        pair_fini(&p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_ready_moves_in_order),
        cmocka_unit_test(a_message_moves_by_one_record),
        cmocka_unit_test(the_answer_waits_until_it_is_durable),
        cmocka_unit_test(a_command_moves_no_more_than_its_limit_and_goes_on_where_it_was),
        cmocka_unit_test(more_than_a_command_moves_takes_several),
        cmocka_unit_test(what_is_cold_is_waited_for),
        cmocka_unit_test(what_was_given_back_moves_in_its_place),
        cmocka_unit_test(what_is_out_stays),
        cmocka_unit_test(a_full_queue_stops_it_and_nothing_is_lost),
        cmocka_unit_test(what_is_overdue_dies_and_does_not_move),
        cmocka_unit_test(a_consumer_there_gets_it_at_once),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(of_a_priority_queue_they_go_in_the_order_in_which_they_came),
        cmocka_unit_test(into_a_stream_they_go_and_out_of_it_they_do_not),
        cmocka_unit_test(one_message_is_deleted_by_its_position),
        cmocka_unit_test(an_alarm_stops_it),
        cmocka_unit_test(who_looks_sees_all_and_leaves_no_trace),
        cmocka_unit_test(a_broker_may_end_while_somebody_looks),
        cmocka_unit_test(to_an_exchange_every_message_goes_with_its_own_key_or_with_that_one),
        cmocka_unit_test(where_nothing_would_arrive_nothing_goes),
        cmocka_unit_test(one_full_queue_of_several_keeps_the_message_out_of_all),
        cmocka_unit_test(what_comes_back_at_once_is_moved_once),
        cmocka_unit_test(each_goes_back_to_the_queue_that_it_died_in_as_it_was),
        cmocka_unit_test(its_history_stays_or_goes),
        cmocka_unit_test(what_has_no_history_or_no_such_queue_stays_and_is_counted),
        cmocka_unit_test(by_exchange_it_is_published_again_as_it_was),
        cmocka_unit_test(what_was_moved_may_die_there_again),
        cmocka_unit_test(after_a_crash_every_message_is_in_one_queue),
    };
    return unit_main("move", tests, argc, argv);
}
