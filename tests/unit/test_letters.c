#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/letters.h"
#include "broker/model/queue.h"
#include "broker/model/queue_change.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { ARGUMENTS_ROOM = 256 };

static void begin(struct pair *p)
{
    pair_init(p, &pair_narrow);
}

static void restart(struct pair *p)
{
    pair_crash(p);
    world_attach(&p->w, 0);
    world_forget(&p->w);
    pair_serve(p);
}

static void queue(struct pair *p, const char *name, struct queue_options o, struct bytes arguments)
{
    world_queue(&p->w, 0, name, &(struct spec){.durable = true, .options = o, .arguments = arguments});
    world_forget(&p->w);
}

/* A queue whose dead letters must arrive at the exchange `later`, with the key of their messages. */
static void dying_queue(struct pair *p, const char *name)
{
    uint8_t room[ARGUMENTS_ROOM];
    struct pen pen = pen_over(room, sizeof room);
    struct queue_options o;
    table_put_string(&pen, BYTES("x-dead-letter-exchange"), BYTES("later"));
    table_put_string(&pen, BYTES("x-dead-letter-strategy"), BYTES("at-least-once"));
    table_put_string(&pen, BYTES("x-overflow"), BYTES("reject-publish"));
    queue_options_of_arguments(pen_written(&pen), &o);
    queue(p, name, o, pen_written(&pen));
}

static void publish(struct pair *p, const char *key, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct message_spec like = {
            .routing_key = bytes_of_string(key), .flags = MESSAGE_PERSISTENT, .expiration_ms = MESSAGE_NO_EXPIRATION};
        pair_publish_like(p, like, i);
        world_forget(&p->w);
    }
}

static void reject(struct pair *p, const char *name, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        world_forget(&p->w);
        world_do(&p->w,
                 (struct command){.verb = GET, .spec = spec_create(&(struct spec){.name = bytes_of_string(name)})}, 0,
                 0);
        pair_serve(p);
        const struct event *e = world_next(&p->w);
        CHECK(e != NULL && e->what == GOT);
        world_settle(&p->w, 0, e->delivered.ticket, REJECTED);
    }
    world_forget(&p->w);
}

static struct queue *find(const struct pair *p, const char *name)
{
    return vhost_find_queue(p->w.broker, vhost_find(p->w.broker, BYTES("/")), bytes_of_string(name));
}

/* To change them behind everybody's back. */
static struct queue_options *options_of(const struct pair *p, const char *name)
{
    struct queue *q = find(p, name);
    if (q->own_options == NULL)
        q->options = q->own_options = alloc_copy(q->options, sizeof *q->options);
    return q->own_options;
}

static void make_later(struct pair *p)
{
    struct spec *s = spec_create(&(struct spec){.name = BYTES("later"), .type = BYTES("fanout"), .durable = true});
    world_do(&p->w, (struct command){.verb = DECLARE_EXCHANGE, .spec = s}, 0, 0);
    world_wait(&p->w, LETTERS_SWEEP_MS);
    world_forget(&p->w);
}

static void bind(struct pair *p, const char *name)
{
    world_bind(&p->w, name, "later", "");
    world_wait(&p->w, LETTERS_SWEEP_MS);
    world_forget(&p->w);
    pair_serve(p);
}

static void expect_numbers(struct pair *p, const char *name, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char body[16];
        snprintf(body, sizeof body, "%u", i);
        struct message *m = world_get(&p->w, name);
        if (m == NULL)
            fail_msg("%s: %u is missing", name, i);
        assert_int_equal(message_body(m, 0).len, strlen(body));
        assert_memory_equal(message_body(m, 0).at, body, strlen(body));
        message_unref(m);
        world_forget(&p->w);
        pair_serve(p);
    }
    assert_null(world_get(&p->w, name));
    world_forget(&p->w);
}

TEST(a_letter_that_waits_has_settled_its_message_by_one_record)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    publish(&p, "q", 0, 2);
    reject(&p, "q", 1); /* this makes the box */
    pair_serve(&p);
    reject(&p, "q", 1);
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_non_null(strstr(text, "publish 2:1 for 1:1"));
    assert_null(strstr(text, "settle"));
    free(text);
    pair_fini(&p);
}

TEST(what_waits_is_there_after_a_restart_and_not_delivered_again)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    queue(&p, "dead", queue_options_none, BYTES(""));
    publish(&p, "q", 0, 10);
    reject(&p, "q", 10);
    pair_serve(&p);
    restart(&p);
    assert_int_equal(world_count(&p.w, "q"), 0);
    world_forget(&p.w);
    assert_int_equal(letters_count(find(&p, "q")), 10);
    world_wait(&p.w, 1);
    make_later(&p);
    bind(&p, "dead");
    for (unsigned i = 0; i < 10; i++, pair_serve(&p))
        world_wait(&p.w, 1);
    assert_int_equal(letters_count(find(&p, "q")), 0);
    expect_numbers(&p, "dead", 0, 10);
    pair_fini(&p);
}

TEST(after_a_restart_it_is_tried_at_once)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    publish(&p, "q", 0, 1);
    reject(&p, "q", 1);
    /* What would have made it go has been recorded, and the broker has ended before it went. */
    queue(&p, "dead", queue_options_none, BYTES(""));
    struct spec *s = spec_create(&(struct spec){.name = BYTES("later"), .type = BYTES("fanout"), .durable = true});
    world_do(&p.w, (struct command){.verb = DECLARE_EXCHANGE, .spec = s}, 0, 0);
    world_bind(&p.w, "dead", "later", "");
    assert_int_equal(letters_count(find(&p, "q")), 1);
    restart(&p);
    world_wait(&p.w, 0);
    expect_numbers(&p, "dead", 0, 1);
    pair_fini(&p);
}

TEST(it_is_tried_again_after_a_time)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    queue(&p, "dead", queue_options_none, BYTES(""));
    make_later(&p);
    bind(&p, "dead");
    options_of(&p, "dead")->max_length = 0; /* and nobody says so */
    publish(&p, "q", 0, 1);
    reject(&p, "q", 1);
    options_of(&p, "dead")->max_length = SPEC_NONE;
    world_wait(&p.w, LETTERS_RETRY_MS - 1);
    assert_int_equal(letters_count(find(&p, "q")), 1);
    world_wait(&p.w, 1);
    expect_numbers(&p, "dead", 0, 1);
    pair_fini(&p);
}

TEST(where_it_need_not_arrive_any_more_it_is_dropped)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    publish(&p, "q", 0, 10);
    reject(&p, "q", 10);
    pair_serve(&p);
    struct queue_options o = *find(&p, "q")->options;
    o.at_least_once = false;
    p.w.broker->effects = &p.w.effects; /* as in a step */
    queue_change_options(p.w.broker, find(&p, "q"), &o);
    broker_step(p.w.broker, &p.w.now, NULL, 0, &p.w.effects);
    assert_int_equal(letters_count(find(&p, "q")), 0);
    pair_serve(&p);
    restart(&p);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 0);
    pair_fini(&p);
}

TEST(a_queue_takes_its_letters_along)
{
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    publish(&p, "q", 0, 10);
    reject(&p, "q", 10);
    pair_serve(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 2);
    world_do(&p.w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
    world_forget(&p.w);
    pair_serve(&p);
    assert_int_equal(keepsake_definitions(&p.k, DEFINE_QUEUE), 0);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 0);
    pair_fini(&p);
}

TEST(all_of_several_queues_or_none)
{
    struct pair p;
    struct queue_options full = queue_options_none;
    begin(&p);
    full.max_length = 1;
    full.overflow = OVERFLOW_REJECT_PUBLISH;
    dying_queue(&p, "q");
    queue(&p, "dead", queue_options_none, BYTES(""));
    queue(&p, "full", full, BYTES(""));
    make_later(&p);
    bind(&p, "dead");
    bind(&p, "full");
    publish(&p, "q", 0, 3);
    reject(&p, "q", 3);
    expect_numbers(&p, "dead", 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        struct message *m = world_get(&p.w, "full");
        message_unref(m);
        pair_serve(&p);
    }
    expect_numbers(&p, "dead", 1, 3);
    pair_fini(&p);
}

/* Many that cannot go cost a step no more than a few; when they can go, a step moves no more than its share. */
TEST(however_many_wait_a_step_does_little)
{
    enum { MANY = 3 * DEATHS_PER_STEP };
    struct pair p;
    begin(&p);
    dying_queue(&p, "q");
    queue(&p, "dead", queue_options_none, BYTES(""));
    p.w.broker->cold.window_bytes = UINT64_MAX; /* all in memory: the worst case */
    publish(&p, "q", 0, MANY);
    options_of(&p, "q")->message_ttl_ms = 0;
    publish(&p, "q", MANY, MANY + 1);
    pair_serve(&p);
    reject(&p, "q", MANY);
    assert_int_equal(letters_count(find(&p, "q")), MANY + 1);
    make_later(&p);
    pair_serve(&p);
    world_bind(&p.w, "dead", "later", "");
    p.w.now.ms += LETTERS_SWEEP_MS;
    uint64_t before = letters_count(find(&p, "q"));
    unsigned steps = 0;
    for (; letters_count(find(&p, "q")) > 0 && steps < MANY; steps++, pair_serve(&p)) {
        broker_step(p.w.broker, &p.w.now, NULL, 0, &p.w.effects);
        uint64_t after = letters_count(find(&p, "q"));
        assert_in_range(before - after, 0, DEATHS_PER_STEP);
        before = after;
        if (broker_deadline(p.w.broker) > p.w.now.ms)
            p.w.now.ms = broker_deadline(p.w.broker);
    }
    assert_in_range(steps, 3, 100);
    assert_int_equal(world_count(&p.w, "dead"), MANY + 1);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_that_waits_has_settled_its_message_by_one_record),
        cmocka_unit_test(what_waits_is_there_after_a_restart_and_not_delivered_again),
        cmocka_unit_test(after_a_restart_it_is_tried_at_once),
        cmocka_unit_test(it_is_tried_again_after_a_time),
        cmocka_unit_test(where_it_need_not_arrive_any_more_it_is_dropped),
        cmocka_unit_test(a_queue_takes_its_letters_along),
        cmocka_unit_test(all_of_several_queues_or_none),
        cmocka_unit_test(however_many_wait_a_step_does_little),
    };
    return unit_main("letters", tests, argc, argv);
}
