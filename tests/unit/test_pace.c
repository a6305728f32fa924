#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>

#include "base/check.h"
#include "broker/model/pace.h"
#include "broker/model/state.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* key NULL: none. */
static void say_limit(struct world *w, const char *key, int64_t n)
{
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, BYTES("value"), 'F');
    if (key != NULL)
        table_put_i64(&p, bytes_of_string(key), n);
    table_close(&p, mark);
    struct changes *all = changes_create();
    changes_add(all, CHANGE_PUT, DEFINE_PARAMETER,
                spec_create(&(struct spec){.vhost = BYTES("/"),
                                           .type = BYTES("vhost-limits"),
                                           .name = BYTES("limits"),
                                           .arguments = pen_written(&p)}));
    world_do(w, (struct command){.verb = ALTER, .changes = all}, 9, 0);
}

static void limit(struct world *w, const char *key, int64_t n)
{
    say_limit(w, key, n);
    for (struct event *e; (e = world_next(w)) != NULL;)
        if (e->what == DONE && e->verb == ALTER)
            return;
    fail_msg("the limit was not set");
}

static void publish(struct world *w, unsigned client, size_t size)
{
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = BYTES("\0\0"),
                                                              .body_size = size,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    uint8_t byte = 'x';
    while (message_missing(m) > 0)
        message_fill(m, bytes_of(&byte, 1));
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, client, 0);
}

/* What the client is told next: -1 nothing, -2 that it has to wait, else how many it may publish. */
static int64_t told(struct world *w, unsigned client)
{
    struct event *e;
    while ((e = world_next(w)) != NULL && (e->what != SLOWED || e->to.outlet.slot != client))
        continue;
    return e == NULL ? -1 : e->slowed.is_slowed ? -2 : (int64_t)e->slowed.publishes;
}

static int64_t ask(struct world *w, unsigned client)
{
    world_forget(w);
    world_do(w, (struct command){.verb = PACE}, client, 0);
    return told(w, client);
}

TEST(a_burst_is_free_and_what_is_owed_is_paid)
{
    struct world w;
    world_init(&w);
    limit(&w, "max-publish-rate", 100);
    for (unsigned i = 0; i < 100; i++)
        publish(&w, 0, 0);
    assert_int_equal(told(&w, 0), -1);
    publish(&w, 0, 0);
    assert_int_equal(told(&w, 0), -2);
    publish(&w, 0, 0); /* under way already: it is told once */
    assert_int_equal(told(&w, 0), -1);
    world_wait(&w, 19);
    assert_int_equal(told(&w, 0), -1);
    world_wait(&w, 1);
    assert_int_equal(told(&w, 0), 1);
    publish(&w, 0, 0);
    assert_int_equal(told(&w, 0), -2);
    assert_int_equal(ask(&w, 0), -2);
    world_wait(&w, 510); /* its time to be told was long ago */
    assert_true(told(&w, 0) >= 1);
    assert_int_equal(ask(&w, 0), 50);
    world_wait(&w, 500);
    assert_int_equal(ask(&w, 0), 0); /* all is saved up: as many as it likes */
    world_fini(&w);
}

TEST(over_a_minute_the_rate_is_the_rate)
{
    struct world w;
    world_init(&w);
    limit(&w, "max-publish-rate", 50);
    world_attach(&w, 1);
    uint64_t n = 0, until = w.now.ms + 60000;
    bool may[2] = {true, true};
    int64_t left[2] = {0, 0};
    while (w.now.ms < until) {
        for (unsigned c = 0; c < 2; c++) {
            world_forget(&w);
            if (may[c]) {
                publish(&w, c, 0);
                n++;
                if (left[c] > 0 && --left[c] == 0)
                    world_do(&w, (struct command){.verb = PACE}, c, 0);
            }
            for (struct event *e; (e = world_next(&w)) != NULL;)
                if (e->what == SLOWED) {
                    may[e->to.outlet.slot] = !e->slowed.is_slowed;
                    left[e->to.outlet.slot] = e->slowed.publishes;
                }
        }
        world_forget(&w);
        world_wait(&w, 1);
        for (struct event *e; (e = world_next(&w)) != NULL;)
            if (e->what == SLOWED) {
                may[e->to.outlet.slot] = !e->slowed.is_slowed;
                left[e->to.outlet.slot] = e->slowed.publishes;
            }
    }
    assert_true(n >= 60 * 50 && n <= 61 * 50 + 2); /* what was saved up at first; one each on credit */
    world_fini(&w);
}

TEST(bytes_are_counted_and_a_large_message_goes_through_on_credit)
{
    struct world w;
    world_init(&w);
    limit(&w, "max-publish-bytes-rate", 10);
    publish(&w, 0, 1000);
    assert_int_equal(told(&w, 0), -2);
    world_wait(&w, 98999);
    assert_int_equal(told(&w, 0), -1);
    world_wait(&w, 1);
    assert_int_equal(told(&w, 0), 1);
    publish(&w, 0, 0); /* weighs nothing */
    assert_int_equal(told(&w, 0), -1);
    world_fini(&w);
}

TEST(a_limit_that_goes_lets_everybody_go_on)
{
    struct world w;
    world_init(&w);
    limit(&w, "max-publish-rate", 1);
    for (unsigned i = 0; i < 1000; i++)
        publish(&w, 0, 0);
    assert_int_equal(told(&w, 0), -2);
    world_forget(&w);
    say_limit(&w, NULL, 0);
    assert_int_equal(told(&w, 0), 0);
    assert_int_equal(w.broker->paces, 0);
    world_fini(&w);
}

TEST(no_number_is_too_large)
{
    struct world w;
    world_init(&w);
    const uint64_t rates[] = {0, 1, PACE_MAX - 1, PACE_MAX, UINT64_MAX - 1};
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct pace p;
        pace_init(&p);
        w.broker->now = w.now;
        pace_set(w.broker, &p, rates[i], rates[i]);
        assert_true(pace_is_set(&p));
        assert_int_equal(pace_wait_ms(&p, w.now.ms + (UINT64_C(1) << 60)), 0);
        pace_fini(w.broker, &p);
        assert_false(pace_is_set(&p));
    }
    limit(&w, "max-publish-rate", INT64_MAX);
    publish(&w, 0, 100);
    world_wait(&w, UINT64_C(1) << 50);
    publish(&w, 0, 100);
    assert_int_equal(told(&w, 0), -1);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_free_and_what_is_owed_is_paid),
        cmocka_unit_test(over_a_minute_the_rate_is_the_rate),
        cmocka_unit_test(bytes_are_counted_and_a_large_message_goes_through_on_credit),
        cmocka_unit_test(a_limit_that_goes_lets_everybody_go_on),
        cmocka_unit_test(no_number_is_too_large),
    };
    return unit_main("rates", tests, argc, argv);
}
