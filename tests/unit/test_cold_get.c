/* GETs that wait until the store has answered (cold.h). */
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include "base/check.h"
#include "broker/port/change.h"
#include "codec/table.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static void begin(struct pair *p)
{
    pair_init(p, &pair_narrow);
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

TEST(a_get_waits_for_the_load_and_its_stream_for_it)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 7);
    pair_drain(&p, 4);
    pair_take(&p);
    world_forget(&p.w);
    pair_get(&p, 0);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    pair_get(&p, 1);
    pair_get(&p, 0);
    world_do(&p.w, (struct command){.verb = ECHO}, 0, 1); /* another stream */
    pair_expect_what(&p, DONE);
    world_expect_nothing(&p.w);
    pair_serve(&p);
    pair_expect_got(&p, 0, 4);
    pair_expect_got(&p, 1, 5);
    pair_expect_what(&p, DONE);
    pair_expect_got(&p, 0, 6);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(gets_behind_one_that_waits_may_have_to_wait_themselves)
{
    struct pair p;
    struct broker_config one = pair_narrow;
    one.window_queue_bytes = 1; /* a load brings one message */
    pair_init(&p, &one);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 5);
    pair_drain(&p, 1);
    pair_take(&p);
    world_forget(&p.w);
    for (unsigned i = 1; i < 5; i++) {
        pair_get(&p, 0);
        world_do(&p.w, (struct command){.verb = ECHO}, 0, 0);
    }
    world_expect_nothing(&p.w);
    pair_serve(&p);
    for (unsigned i = 1; i < 5; i++) {
        pair_expect_got(&p, 0, i);
        pair_expect_what(&p, DONE);
    }
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(a_get_is_answered_from_what_comes_back)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    world_consume(&p.w, 1, "q", 0, 4, false);
    pair_take(&p);
    ticket t = pair_expect_number(&p, 0, false);
    world_do(&p.w, (struct command){.verb = UNSUBSCRIBE, .subscribe = {.consumer = 0}}, 1, 0);
    pair_get(&p, 0);
    world_forget(&p.w);
    world_settle(&p.w, 1, t, REQUEUED);
    pair_expect_got(&p, 0, 0);
    pair_fini(&p);
}

TEST(a_get_whose_queue_is_purged_finds_it_empty)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_get(&p, 1);
    world_forget(&p.w);
    pair_purge(&p);
    pair_expect_what(&p, DONE);
    pair_expect_what(&p, EMPTY);
    pair_fini(&p);
}

TEST(a_get_whose_queue_goes_fails_and_poisons_its_stream)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_get(&p, 1);
    world_do(&p.w, (struct command){.verb = ECHO}, 1, 0);
    world_forget(&p.w);
    pair_delete_queue(&p);
    pair_expect_what(&p, DONE);
    struct event *e = world_next(&p.w);
    CHECK(e != NULL);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, NO_SUCH_QUEUE);
    world_expect_nothing(&p.w);
    pair_fini(&p);
}

TEST(what_waits_behind_a_get_is_carried_out_before_its_client_ends)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    world_queue(&p.w, 0, "other", NULL);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_get(&p, 0);
    world_publish(&p.w, "", "other", "x");
    pair_get(&p, 0);
    world_do(&p.w, (struct command){.verb = RESET}, 0, 0);
    world_forget(&p.w);
    world_detach(&p.w, 0);
    pair_expect_what(&p, DONE); /* of the RESET; but nobody is there for the messages any more */
    pair_expect_what(&p, DETACHED);
    world_expect_nothing(&p.w);
    world_attach(&p.w, 0);
    pair_serve(&p);
    assert_int_equal(world_count(&p.w, "other"), 1);
    assert_int_equal(pair_count(&p), 2);
    pair_fini(&p);
}

TEST(a_stream_does_not_end_before_its_get_is_answered)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    world_forget(&p.w);
    world_do(&p.w, (struct command){.verb = GET, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0, 0);
    world_do(&p.w, (struct command){.verb = RESET}, 0, 0);
    world_expect_nothing(&p.w);
    pair_serve(&p);
    pair_expect_got(&p, 0, 4);
    pair_expect_what(&p, DONE);
    assert_int_equal(pair_count(&p), 2); /* it came back */
    pair_fini(&p);
}

TEST(a_broker_may_end_with_a_get_that_waits)
{
    struct pair p;
    begin(&p);
    pair_queue(&p, "q", plain);
    pair_publish(&p, 0, 6);
    pair_drain(&p, 4);
    pair_get(&p, 0);
    world_publish(&p.w, "", "q", "x");
    pair_take(&p);
    world_fini(&p.w);
    keepsake_fini(&p.k);
}

/* ---- Rights that change while a GET waits. */

static void alter(struct pair *p, enum change_kind kind, enum definition_class what, const char *read)
{
    uint8_t room[64];
    struct pen pen = pen_over(room, sizeof room);
    struct changes *all = changes_create();
    table_put_string(&pen, BYTES("read"), bytes_of_string(read));
    const struct spec spec = {.vhost = BYTES("/"), .name = BYTES("guest"), .arguments = pen_written(&pen)};
    changes_add(all, kind, what, spec_create(&spec));
    struct command c = {.verb = ALTER, .changes = all, .from = {.outlet = {.generation = DESK_GENERATION}}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    broker_check(p->w.broker);
    pair_take(p);
}

/* Everything is cold; client 1 waits for a message. */
static void begin_waiting(struct pair *p)
{
    begin(p);
    pair_queue(p, "q", plain);
    pair_publish(p, 0, 8);
    pair_drain(p, PAIR_WINDOW);
    pair_get(p, 1);
    pair_get(p, 1);
    world_forget(&p->w);
}

TEST(who_may_not_read_any_more_is_not_given_what_it_waits_for)
{
    struct pair p;
    begin_waiting(&p);
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, "^other$");
    world_forget(&p.w);
    pair_serve(&p);
    struct event *e = world_next(&p.w);
    CHECK(e != NULL);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->verb, GET);
    assert_int_equal(e->failed.reason, DENIED);
    world_expect_nothing(&p.w); /* the second is behind the error */
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, ".*");
    world_forget(&p.w);
    pair_get(&p, 0);
    pair_expect_got(&p, 0, 4); /* nothing is lost */
    pair_fini(&p);
}

TEST(who_is_deleted_while_it_waits_takes_nothing_along)
{
    struct pair p;
    begin_waiting(&p);
    alter(&p, CHANGE_PUT, DEFINE_USER, "new"); /* so that records know both */
    alter(&p, CHANGE_PUT, DEFINE_PERMISSION, "^q$");
    alter(&p, CHANGE_REMOVE, DEFINE_USER, "");
    assert_int_equal(broker_totals(p.w.broker).outlets, 0);
    world_forget(&p.w);
    pair_serve(&p);
    world_expect_nothing(&p.w);
    assert_int_equal(broker_totals(p.w.broker).messages_ready, 4);
    pair_fini(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_waits_for_the_load_and_its_stream_for_it),
        cmocka_unit_test(gets_behind_one_that_waits_may_have_to_wait_themselves),
        cmocka_unit_test(a_get_is_answered_from_what_comes_back),
        cmocka_unit_test(a_get_whose_queue_is_purged_finds_it_empty),
        cmocka_unit_test(a_get_whose_queue_goes_fails_and_poisons_its_stream),
        cmocka_unit_test(what_waits_behind_a_get_is_carried_out_before_its_client_ends),
        cmocka_unit_test(a_stream_does_not_end_before_its_get_is_answered),
        cmocka_unit_test(a_broker_may_end_with_a_get_that_waits),
        cmocka_unit_test(who_may_not_read_any_more_is_not_given_what_it_waits_for),
        cmocka_unit_test(who_is_deleted_while_it_waits_takes_nothing_along),
    };
    return unit_main("cold_get", tests, argc, argv);
}
