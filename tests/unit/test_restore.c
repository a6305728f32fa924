#include "broker/port/queue_options.h"
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/port/change.h"
#include "broker/port/definition.h"
#include "broker/port/message.h"
#include "codec/table.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static const struct broker_config with_records = {
    .memory_high = UINT64_MAX, .records = true, .window_bytes = 1, .window_messages = 4};

static void begin(struct pair *p)
{
    pair_init(p, &with_records);
}

/* The broker ends without a warning, and another one begins with what was kept, a minute later. */
static void restart(struct pair *p)
{
    pair_crash(p);
    p->w.now.ms += 50;
    p->w.now.wall_ms += 60000;
    world_attach(&p->w, 0);
    world_forget(&p->w);
}

static void queue(struct pair *p, const char *name, struct queue_options o, struct bytes arguments)
{
    world_queue(&p->w, 0, name, &(struct spec){.durable = true, .options = o, .arguments = arguments});
}

static void publish_with(struct pair *p, const char *exchange, const char *key, unsigned number, unsigned priority)
{
    pair_publish_like(p,
                      (struct message_spec){.exchange = bytes_of_string(exchange),
                                            .routing_key = bytes_of_string(key),
                                            .flags = MESSAGE_PERSISTENT,
                                            .priority = (uint8_t)priority,
                                            .expiration_ms = MESSAGE_NO_EXPIRATION},
                      number);
}

static void publish(struct pair *p, const char *exchange, const char *key, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        publish_with(p, exchange, key, i, 0);
}

static struct broker_totals totals(const struct pair *p)
{
    return broker_totals(p->w.broker);
}

TEST(what_is_durable_is_back_and_routes_as_before)
{
    struct pair p;
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_string(&pen, BYTES("x-match"), BYTES("any"));
    begin(&p);
    uint64_t exchanges = totals(&p).exchanges;
    queue(&p, "q", plain, BYTES(""));
    world_queue(&p.w, 0, "transient", NULL);
    queue(&p, "gone", plain, BYTES(""));
    struct spec x = {.name = BYTES("x"), .type = BYTES("topic"), .durable = true, .internal = true};
    world_do(&p.w, (struct command){.verb = DECLARE_EXCHANGE, .spec = spec_create(&x)}, 0, 0);
    struct spec bd = {.name = BYTES("x"), .source = BYTES("amq.fanout"), .to_exchange = true};
    world_do(&p.w, (struct command){.verb = BIND, .spec = spec_create(&bd)}, 0, 0);
    bd = (struct spec){.name = BYTES("q"), .source = BYTES("x"), .key = BYTES("a.*")};
    world_do(&p.w, (struct command){.verb = BIND, .spec = spec_create(&bd)}, 0, 0);
    bd = (struct spec){.name = BYTES("q"), .source = BYTES("amq.headers"), .arguments = pen_written(&pen)};
    world_do(&p.w, (struct command){.verb = BIND, .spec = spec_create(&bd)}, 0, 0);
    struct spec gone = {.name = BYTES("gone")};
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&gone)}, 0, 0);
    restart(&p);
    assert_int_equal(totals(&p).queues, 1);
    assert_int_equal(totals(&p).exchanges, exchanges + 1);
    assert_int_equal(totals(&p).bindings, 3);
    publish(&p, "amq.fanout", "a.b", 0, 1);
    assert_int_equal(world_count(&p.w, "q"), 1);
    world_queue(&p.w, 0, "new", &(struct spec){.durable = true, .options = plain});
    pair_take(&p);
    assert_int_equal(keepsake_queue(&p.k, "new"), 4); /* no number is used again */
    world_do(&p.w, (struct command){.verb = UNBIND, .spec = spec_create(&bd)}, 0, 0);
    pair_take(&p); /* its key is the same as before */
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_BINDING), 2);
    pair_fini(&p);
}

TEST(a_redeclaration_after_a_restart_waits_for_nothing)
{
    struct pair p;
    begin(&p);
    queue(&p, "q", plain, BYTES(""));
    restart(&p);
    queue(&p, "q", plain, BYTES(""));
    assert_int_equal(p.w.effects.events[0].after, 0);
    assert_int_equal(p.w.effects.records.n, 0);
    pair_fini(&p);
}

TEST(messages_are_back_in_order_and_know_whether_they_were_out)
{
    struct pair p;
    begin(&p);
    queue(&p, "q", plain, BYTES(""));
    publish(&p, "", "q", 0, 12);
    world_publish(&p.w, "", "q", "transient");
    world_consume(&p.w, 0, "q", 0, 3, false);
    struct event *e = world_next(&p.w);
    CHECK(e != NULL && e->what == DELIVERED);
    world_settle(&p.w, 0, e->delivered.ticket, ACCEPTED); /* 1, 2, 3 are out */
    restart(&p);
    assert_int_equal(totals(&p).messages_ready, 11);
    assert_int_equal(world_count(&p.w, "q"), 11);
    world_consume(&p.w, 0, "q", 0, 0, false);
    pair_serve(&p);
    for (unsigned i = 1; i < 12; i++) {
        char body[8];
        snprintf(body, sizeof body, "%u", i);
        world_expect_delivery(&p.w, 0, body, i < 4);
    }
    world_expect_nothing(&p.w);
    publish(&p, "", "q", 12, 13);
    world_expect_delivery(&p.w, 0, "12", false);
    pair_fini(&p);
}

TEST(priorities_are_in_order_after_a_restart_also_with_what_came_meanwhile)
{
    struct pair p;
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    struct queue_options o = plain;
    o.max_priority = 3;
    table_put_i32(&pen, BYTES("x-max-priority"), 3);
    begin(&p);
    queue(&p, "q", o, pen_written(&pen));
    for (unsigned i = 0; i < 12; i++)
        publish_with(&p, "", "q", i, i % 4);
    restart(&p);
    assert_int_equal(world_count(&p.w, "q"), 12);
    publish_with(&p, "", "q", 12, 3); /* before anything is loaded */
    publish_with(&p, "", "q", 13, 0);
    world_consume(&p.w, 0, "q", 0, 0, true);
    world_expect_nothing(&p.w);
    pair_serve(&p);
    static const char *const order[] = {"3", "7", "11", "12", "2", "6", "10", "1", "5", "9", "0", "4", "8", "13"};
    for (unsigned i = 0; i < 14; i++)
        world_expect_delivery(&p.w, 0, order[i], false);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(a_restart_in_the_middle_of_a_long_queue_loses_nothing)
{
    struct pair p;
    begin(&p);
    queue(&p, "q", plain, BYTES(""));
    for (unsigned round = 0; round < 5; round++) {
        publish(&p, "", "q", round * 10, round * 10 + 10);
        pair_serve(&p);
        for (unsigned i = 0; i < 5; i++) {
            struct message *m = world_get(&p.w, "q");
            assert_non_null(m);
            char body[8];
            snprintf(body, sizeof body, "%u", round * 5 + i);
            assert_true(bytes_equal(message_body(m, 0), bytes_of_string(body)));
            message_unref(m);
            pair_serve(&p);
        }
        restart(&p);
        pair_serve(&p);
    }
    assert_int_equal(totals(&p).messages_ready, 25);
    pair_fini(&p);
}

TEST(options_and_dead_letters_work_after_a_restart)
{
    struct pair p;
    uint8_t buf[128];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_string(&pen, BYTES("x-dead-letter-exchange"), BYTES(""));
    table_put_string(&pen, BYTES("x-dead-letter-routing-key"), BYTES("dlq"));
    struct queue_options o = plain;
    o.max_length = 2;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_routing_key = BYTES("dlq");
    begin(&p);
    queue(&p, "q", o, pen_written(&pen));
    queue(&p, "dlq", plain, BYTES(""));
    publish(&p, "", "q", 0, 2);
    restart(&p);
    pair_serve(&p);
    publish(&p, "", "q", 2, 4);
    pair_serve(&p);
    assert_int_equal(world_count(&p.w, "q"), 2);
    assert_int_equal(world_count(&p.w, "dlq"), 2);
    pair_fini(&p);
}

static void publish_prior(struct pair *p, unsigned n, uint8_t priority)
{
    char body[16];
    snprintf(body, sizeof body, "%u", n);
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = strlen(body),
                                                              .flags = MESSAGE_PERSISTENT,
                                                              .priority = priority,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of_string(body));
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

/* Priorities 0, 1, 2, 0, 1, 2 … of as many messages, far more than the window takes. */
enum { PRIOR_MESSAGES = 30, PRIORITIES = 3 };

static void expect_by_priority(struct pair *p, bool redelivered)
{
    for (int level = PRIORITIES - 1; level >= 0; level--) {
        for (unsigned i = (unsigned)level; i < PRIOR_MESSAGES; i += PRIORITIES) {
            char body[8];
            snprintf(body, sizeof body, "%u", i);
            world_expect_delivery(&p->w, 0, body, redelivered);
        }
    }
    world_expect_nothing(&p->w);
}

TEST(the_higher_priority_comes_first_after_a_restart_too)
{
    struct pair p;
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_i32(&pen, BYTES("x-max-priority"), PRIORITIES - 1);
    struct queue_options o = plain;
    o.max_priority = PRIORITIES - 1;
    for (unsigned restarts = 0; restarts < 2; restarts++) {
        begin(&p);
        queue(&p, "q", o, pen_written(&pen));
        for (unsigned i = 0; i < PRIOR_MESSAGES; i++)
            publish_prior(&p, i, (uint8_t)(i % PRIORITIES));
        if (restarts > 0)
            restart(&p);
        pair_serve(&p);
        world_consume(&p.w, 0, "q", 0, 0, false);
        pair_serve(&p);
        expect_by_priority(&p, false);
        pair_fini(&p);
    }
}

/* What comes before everything is loaded neither overtakes what is not in memory yet, nor comes twice. */
TEST(priorities_hold_for_what_comes_while_a_queue_is_loaded)
{
    struct pair p;
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_i32(&pen, BYTES("x-max-priority"), PRIORITIES - 1);
    struct queue_options o = plain;
    o.max_priority = PRIORITIES - 1;
    begin(&p);
    queue(&p, "q", o, pen_written(&pen));
    for (unsigned i = 0; i < PRIOR_MESSAGES / 2; i++)
        publish_prior(&p, i, (uint8_t)(i % PRIORITIES));
    restart(&p);
    world_consume(&p.w, 0, "q", 0, 0, false);
    for (unsigned i = PRIOR_MESSAGES / 2; i < PRIOR_MESSAGES; i++)
        publish_prior(&p, i, (uint8_t)(i % PRIORITIES));
    world_expect_nothing(&p.w);
    pair_serve(&p);
    expect_by_priority(&p, false);
    pair_fini(&p);
}

TEST(a_purge_takes_priorities_that_are_not_loaded_too)
{
    struct pair p;
    uint8_t buf[64];
    struct pen pen = pen_over(buf, sizeof buf);
    table_put_i32(&pen, BYTES("x-max-priority"), PRIORITIES - 1);
    struct queue_options o = plain;
    o.max_priority = PRIORITIES - 1;
    begin(&p);
    queue(&p, "q", o, pen_written(&pen));
    for (unsigned i = 0; i < PRIOR_MESSAGES; i++)
        publish_prior(&p, i, (uint8_t)(i % PRIORITIES));
    restart(&p);
    publish_prior(&p, 100, 1);
    struct spec purge = {.name = BYTES("q")};
    world_do(&p.w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&purge)}, 0, 0);
    publish_prior(&p, 101, 1);
    pair_serve(&p);
    assert_int_equal(world_count(&p.w, "q"), 1);
    restart(&p);
    world_consume(&p.w, 0, "q", 0, 0, false);
    pair_serve(&p);
    world_expect_delivery(&p.w, 0, "101", false);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

/* Given back twice before the restart; the limit takes one more, or not. */
TEST(how_often_a_message_came_back_is_known_after_a_restart)
{
    for (unsigned limit = 2; limit <= 3; limit++) {
        struct pair p;
        uint8_t buf[64];
        struct pen pen = pen_over(buf, sizeof buf);
        table_put_i32(&pen, BYTES("x-delivery-limit"), (int32_t)limit);
        struct queue_options o = plain;
        o.delivery_limit = limit;
        begin(&p);
        queue(&p, "q", o, pen_written(&pen));
        publish(&p, "", "q", 0, 1);
        world_consume(&p.w, 0, "q", 0, 1, false);
        world_settle(&p.w, 0, world_expect_delivery(&p.w, 0, "0", false), REQUEUED);
        world_expect_delivery(&p.w, 0, "0", true);
        world_detach(&p.w, 0);
        restart(&p);
        world_consume(&p.w, 0, "q", 0, 1, false);
        pair_serve(&p);
        world_settle(&p.w, 0, world_expect_delivery(&p.w, 0, "0", true), REQUEUED);
        if (limit == 3)
            world_expect_delivery(&p.w, 0, "0", true);
        world_expect_nothing(&p.w);
        pair_fini(&p);
    }
}

TEST(a_ttl_goes_on_by_the_wall_clock)
{
    struct pair p;
    struct queue_options o = plain;
    o.message_ttl_ms = 60010;
    begin(&p);
    queue(&p, "q", o, BYTES(""));
    publish(&p, "", "q", 0, 1);
    restart(&p); /* it took 60 s */
    pair_serve(&p);
    world_wait(&p.w, 9);
    assert_int_equal(world_count(&p.w, "q"), 1);
    world_wait(&p.w, 1);
    assert_int_equal(world_count(&p.w, "q"), 0);
    pair_fini(&p);
}

TEST(a_lease_begins_anew)
{
    struct pair p;
    struct queue_options o = plain;
    o.expires_ms = 40; /* less than the clock says at the first step */
    begin(&p);
    queue(&p, "q", o, BYTES(""));
    restart(&p);
    world_wait(&p.w, 39);
    assert_int_equal(totals(&p).queues, 1);
    world_wait(&p.w, 1);
    assert_int_equal(totals(&p).queues, 0);
    pair_fini(&p);
}

TEST(many_queues_ask_for_their_messages_in_turn)
{
    struct pair p;
    begin(&p);
    for (unsigned i = 0; i < 100; i++) {
        char name[8];
        snprintf(name, sizeof name, "q%u", i);
        queue(&p, name, plain, BYTES(""));
        publish(&p, "", name, 0, 1);
    }
    restart(&p);
    assert_int_equal(p.w.effects.records.n, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(p.w.effects.records.records[i].kind, RECORD_LOAD);
    assert_int_equal(totals(&p).messages_ready, 100);
    pair_serve(&p);
    assert_int_equal(p.k.position, 100);
    assert_int_equal(broker_deadline(p.w.broker), UINT64_MAX);
    pair_fini(&p);
}

TEST(a_restored_broker_wants_a_step_at_once)
{
    struct broker *b = broker_create(&(struct broker_config){.default_vhost = "/", .records = true});
    struct definition *d = definition_define(DEFINE_QUEUE, 7, BYTES("/"),
                                             &(struct spec){.name = BYTES("q"), .durable = true, .options = plain});
    assert_true(broker_restore_definition(b, d->what, 7, d->key, d->value));
    assert_true(broker_restore_queue(b, 7, 1, 10, 5));
    assert_int_equal(broker_deadline(b), 0);
    broker_check(b);
    free(d);
    broker_destroy(b);
}

/* ---- Users and rights. */

static void put(struct changes *all, enum definition_class what, const char *pair[4], struct spec s)
{
    uint8_t room[200];
    struct pen p = pen_over(room, sizeof room);
    for (size_t i = 0; i + 1 < 4 && pair[i] != NULL; i += 2)
        table_put_string(&p, bytes_of_string(pair[i]), bytes_of_string(pair[i + 1]));
    s.arguments = pen_written(&p);
    changes_add(all, CHANGE_PUT, what, spec_create(&s));
}

static size_t alter(struct pair *p, struct changes *all)
{
    struct command c = {.verb = ALTER, .changes = all};
    struct world *w = &p->w;
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, DONE);
    size_t changed = 0;
    for (size_t i = 0; i < e->done.changes->n; i++)
        changed += e->done.changes->at[i].outcome != CHANGE_NOTHING;
    return changed;
}

static struct changes *everything(void)
{
    struct changes *all = changes_create();
    const char *none[4] = {NULL}, *rights[4] = {"write", "^a", "read", ".*"}, *value[4] = {"value", "x"};
    put(all, DEFINE_VHOST, none, (struct spec){.name = BYTES("v")});
    put(all, DEFINE_USER, rights, (struct spec){.name = BYTES("ann")});
    put(all, DEFINE_PERMISSION, rights, (struct spec){.vhost = BYTES("v"), .name = BYTES("ann")});
    put(all, DEFINE_TOPIC_PERMISSION, rights,
        (struct spec){.vhost = BYTES("v"), .name = BYTES("ann"), .key = BYTES("amq.topic")});
    put(all, DEFINE_PARAMETER, value, (struct spec){.vhost = BYTES("v"), .type = BYTES("c"), .name = BYTES("n")});
    put(all, DEFINE_PARAMETER, value, (struct spec){.name = BYTES("global")});
    return all;
}

TEST(users_rights_and_parameters_are_there_again)
{
    struct pair p;
    begin(&p);
    assert_int_equal(alter(&p, everything()), 6);
    restart(&p);
    assert_int_equal(broker_totals(p.w.broker).users, 2); /* guest is one */
    assert_int_equal(alter(&p, everything()), 0);         /* it is all as it was */
    assert_int_equal(p.w.effects.records.n, 0);
    struct changes *less = changes_create();
    changes_add(less, CHANGE_REMOVE, DEFINE_USER, spec_create(&(struct spec){.name = BYTES("ann")}));
    changes_add(less, CHANGE_REMOVE, DEFINE_VHOST, spec_create(&(struct spec){.name = BYTES("v")}));
    assert_int_equal(alter(&p, less), 2);
    restart(&p);
    assert_int_equal(broker_totals(p.w.broker).users, 1);
    assert_int_equal(broker_totals(p.w.broker).vhosts, 1);
    assert_int_equal(alter(&p, everything()), 5); /* the global parameter has stayed */
    pair_fini(&p);
}

/* ---- What is refused. */

static bool restore(struct broker *b, enum definition_class what, uint64_t id, const char *vhost, struct spec s)
{
    struct broker_totals before = broker_totals(b);
    struct definition *d = definition_define(what, id, bytes_of_string(vhost), &s);
    bool fine = broker_restore_definition(b, what, id, d->key, d->value);
    struct broker_totals after = broker_totals(b);
    free(d);
    if (!fine)
        assert_memory_equal(&before, &after, sizeof before);
    broker_check(b);
    return fine;
}

TEST(nonsense_is_refused_and_changes_nothing)
{
    struct broker *b = broker_create(&(struct broker_config){.default_vhost = "/", .records = true});
    struct spec q = {.name = BYTES("q"), .durable = true, .options = plain};
    struct spec x = {.name = BYTES("x"), .type = BYTES("direct"), .durable = true};
    struct spec bd = {.name = BYTES("q"), .source = BYTES("x"), .durable = true};
    assert_false(restore(b, DEFINE_BINDING, 0, "/", bd)); /* no ends */
    assert_false(restore(b, DEFINE_QUEUE, 0, "/", q));
    assert_false(restore(b, DEFINE_QUEUE, 1, "nowhere", q));
    assert_true(restore(b, DEFINE_QUEUE, 1, "/", q));
    assert_false(restore(b, DEFINE_QUEUE, 2, "/", q)); /* that name */
    q.name = BYTES("r");
    assert_false(restore(b, DEFINE_QUEUE, 1, "/", q)); /* that number */
    q.durable = false;
    assert_false(restore(b, DEFINE_QUEUE, 3, "/", q));
    x.type = BYTES("new-fangled");
    assert_false(restore(b, DEFINE_EXCHANGE, 0, "/", x));
    x.type = BYTES("direct");
    assert_true(restore(b, DEFINE_EXCHANGE, 0, "/", x));
    assert_false(restore(b, DEFINE_EXCHANGE, 0, "/", x));
    assert_true(restore(b, DEFINE_BINDING, 0, "/", bd));
    assert_false(restore(b, DEFINE_BINDING, 0, "/", bd));
    bd.source = BYTES("");
    assert_false(restore(b, DEFINE_BINDING, 0, "/", bd));
    assert_true(restore(b, DEFINE_VHOST, 0, "", (struct spec){.name = BYTES("v")}));
    assert_true(restore(b, DEFINE_VHOST, 0, "", (struct spec){.name = BYTES("/")})); /* it is there */
    assert_true(restore(b, DEFINE_EXCHANGE, 0, "v", x));
    assert_false(broker_restore_definition(b, DEFINE_QUEUE, 9, BYTES("x"), BYTES("y")));
    assert_false(broker_restore_queue(b, 9, 1, 1, 1));
    assert_false(broker_restore_queue(b, 1, 2, 1, 1)); /* more messages than positions */
    assert_true(broker_restore_queue(b, 1, 1, 1, 1));
    assert_false(broker_restore_queue(b, 1, 1, 1, 1));
    broker_destroy(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_durable_is_back_and_routes_as_before),
        cmocka_unit_test(a_redeclaration_after_a_restart_waits_for_nothing),
        cmocka_unit_test(messages_are_back_in_order_and_know_whether_they_were_out),
        cmocka_unit_test(priorities_are_in_order_after_a_restart_also_with_what_came_meanwhile),
        cmocka_unit_test(a_restart_in_the_middle_of_a_long_queue_loses_nothing),
        cmocka_unit_test(options_and_dead_letters_work_after_a_restart),
        cmocka_unit_test(the_higher_priority_comes_first_after_a_restart_too),
        cmocka_unit_test(priorities_hold_for_what_comes_while_a_queue_is_loaded),
        cmocka_unit_test(a_purge_takes_priorities_that_are_not_loaded_too),
        cmocka_unit_test(how_often_a_message_came_back_is_known_after_a_restart),
        cmocka_unit_test(a_ttl_goes_on_by_the_wall_clock),
        cmocka_unit_test(a_lease_begins_anew),
        cmocka_unit_test(many_queues_ask_for_their_messages_in_turn),
        cmocka_unit_test(a_restored_broker_wants_a_step_at_once),
        cmocka_unit_test(users_rights_and_parameters_are_there_again),
        cmocka_unit_test(nonsense_is_refused_and_changes_nothing),
    };
    return unit_main("restore", tests, argc, argv);
}
