/* What an administrator takes away while it is used, and alterations as a whole (broker/port/change.h). */
#include "tests/unit/office.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* ---- Taking away. */

/* The first event of that kind that is not read yet; one of another kind: there is none. */
static struct event find(struct world *w, enum happening what)
{
    for (const struct event *e; (e = world_next(w)) != NULL;)
        if (e->what == what)
            return *e;
    return (struct event){.what = DONE};
}

static const char *farewell(struct world *w)
{
    struct event e = find(w, EXPELLED);
    return e.what == EXPELLED ? e.expelled.text : "nobody was expelled";
}

TEST(who_may_not_read_any_more_loses_consumers_and_nothing_else)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    world_queue(&w, 0, "mine", NULL);
    world_queue(&w, 0, "yours", NULL);
    world_consume(&w, 1, "mine", 0, 0, false);
    world_consume(&w, 1, "yours", 1, 0, false);
    world_forget(&w);
    office_permit(&w, "ann", ".*", ".*", "^mine$");
    struct event e = find(&w, CANCELLED);
    assert_int_equal(e.what, CANCELLED);
    assert_int_equal(e.cancelled.consumer, 1);
    assert_int_equal(find(&w, CANCELLED).what, DONE);
    world_forget(&w);
    world_publish(&w, "", "mine", "m");
    world_expect_delivery(&w, 0, "m", false);
    world_fini(&w);
}

static uint32_t cancel(struct world *w, const char *user, uint16_t channel, const char *tag)
{
    struct spec *which = spec_create(&(struct spec){.source = bytes_of_string(user), .key = bytes_of_string(tag)});
    struct event *e = office_say(w, (struct command){.verb = CANCEL, .prefetch = {.spec = which, .channel = channel}});
    assert_int_equal(e->what, DONE);
    return e->done.messages;
}

TEST(a_consumer_that_is_cancelled_keeps_what_it_has_and_gets_no_more)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    world_queue(&w, 0, "q", NULL);
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q"), .key = BYTES("tag")});
    world_do(&w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = s, .consumer = 3, .limit = 1}}, 1, 0);
    world_forget(&w);
    world_publish(&w, "", "q", "held");
    ticket held = world_expect_delivery(&w, 3, "held", false);
    assert_int_equal(cancel(&w, "guest", 0, "tag"), 0);
    assert_int_equal(cancel(&w, "ann", 7, "tag"), 0);
    assert_int_equal(cancel(&w, "ann", 0, "ta"), 0);
    assert_int_equal(find(&w, CANCELLED).what, DONE);
    assert_int_equal(cancel(&w, "ann", 0, "tag"), 1);
    assert_int_equal(find(&w, CANCELLED).cancelled.consumer, 3);
    assert_int_equal(cancel(&w, "ann", 0, "tag"), 0);
    assert_int_equal(broker_totals(w.broker).consumers, 0);
    world_forget(&w);
    assert_int_equal(broker_totals(w.broker).messages_out, 1);
    world_publish(&w, "", "q", "next");
    assert_int_equal(broker_totals(w.broker).messages_ready, 1);
    world_settle(&w, 1, held, ACCEPTED);
    assert_int_equal(broker_totals(w.broker).messages_out, 0);
    assert_int_equal(broker_totals(w.broker).messages_ready, 1);
    world_fini(&w);
}

TEST(a_permission_that_is_cleared_ends_the_connections_of_that_virtual_host)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    world_queue(&w, 0, "q", NULL);
    world_publish(&w, "", "q", "m");
    world_consume(&w, 1, "q", 0, 0, false);
    world_forget(&w);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_PERMISSION, office_permission("ann", (struct bytes){0})),
                     CHANGE_REMOVED);
    struct event e = find(&w, EXPELLED);
    assert_int_equal(e.what, EXPELLED);
    assert_int_equal(e.to.outlet.slot, 1);
    assert_string_equal(e.expelled.text, "access of user 'ann' to vhost '/' was taken away");
    world_forget(&w);
    office_publish(&w, 1, "", "q"); /* what it says after that counts for nothing */
    world_expect_nothing(&w);
    struct message *m = world_get(&w, "q"); /* what it had is back */
    assert_non_null(m);
    message_unref(m);
    world_do(&w, (struct command){.verb = DETACH}, 1, 0); /* as its session does */
    assert_int_equal(find(&w, DETACHED).what, DETACHED);
    world_fini(&w);
}

TEST(a_user_that_is_deleted_goes_at_once)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    world_forget(&w);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_USER, (struct spec){.name = BYTES("ann")}),
                     CHANGE_REMOVED);
    assert_string_equal(farewell(&w), "user 'ann' is deleted");
    assert_false(office_enter(&w, 2, "ann", NULL));
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_USER, (struct spec){.name = BYTES("ann")}),
                     CHANGE_NOTHING);
    office_add_user(&w, "ann"); /* another one, who has nothing of the first */
    assert_false(office_enter(&w, 2, "ann", NULL));
    world_fini(&w);
}

TEST(a_virtual_host_that_is_deleted_takes_everything_along)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_publish(&w, "", "q", "m");
    world_consume(&w, 0, "q", 0, 0, false);
    world_forget(&w);
    office_limit(&w, DEFINE_PARAMETER, "limits", "max-queues", 5);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_VHOST, (struct spec){.name = BYTES("/")}), CHANGE_REMOVED);
    assert_string_equal(farewell(&w), "vhost '/' is deleted");
    const struct broker_totals t = broker_totals(w.broker);
    assert_int_equal(t.queues + t.exchanges + t.bindings + t.vhosts + t.outlets, 0);
    assert_int_equal(t.messages_ready + t.messages_out, 0);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_VHOST, (struct spec){.name = BYTES("/")}), CHANGE_MADE);
    assert_int_equal(broker_totals(w.broker).exchanges, 7);
    world_fini(&w);
}

TEST(connections_are_closed_by_name_user_or_virtual_host)
{
    struct world w;
    world_init(&w);
    world_attach(&w, 1);
    world_attach(&w, 2);
    world_forget(&w);
    struct spec which = {.source = BYTES("nobody"), .objection = BYTES("because")};
    struct event *e = office_say(&w, (struct command){.verb = EXPEL, .expel = {.spec = spec_create(&which)}});
    assert_int_equal(e->done.messages, 0);
    which.source = BYTES("guest");
    e = office_say(&w, (struct command){.verb = EXPEL, .expel = {.spec = spec_create(&which), .limit = 2}});
    assert_int_equal(e->done.messages, 2);
    assert_string_equal(farewell(&w), "because");
    assert_int_equal(broker_totals(w.broker).outlets, 1);
    world_fini(&w);
}

/* ---- All or nothing. */

TEST(one_that_is_wrong_spoils_all)
{
    struct world w;
    world_init(&w);
    struct changes *all = changes_create();
    changes_add(all, CHANGE_PUT, DEFINE_VHOST, spec_create(&(struct spec){.name = BYTES("v")}));
    changes_add(all, CHANGE_PUT, DEFINE_USER, spec_create(&(struct spec){.name = BYTES("ann")}));
    changes_add(all, CHANGE_PUT, DEFINE_PERMISSION,
                spec_create(&(struct spec){.vhost = BYTES("v"), .name = BYTES("bob")}));
    struct event *e = office_alter(&w, all);
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, NO_SUCH_USER);
    assert_int_equal(e->failed.changes->failed, 2);
    assert_string_equal(e->failed.text, "user 'bob' does not exist");
    assert_int_equal(broker_totals(w.broker).vhosts, 1);
    assert_int_equal(broker_totals(w.broker).users, 1);
    world_fini(&w);
}

TEST(what_an_alteration_has_removed_it_does_not_fill)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    struct changes *all = changes_create();
    changes_add(all, CHANGE_REMOVE, DEFINE_USER, spec_create(&(struct spec){.name = BYTES("ann")}));
    changes_add(all, CHANGE_PUT, DEFINE_PERMISSION,
                spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("ann")}));
    changes_add(all, CHANGE_REMOVE, DEFINE_VHOST, spec_create(&(struct spec){.name = BYTES("/")}));
    changes_add(all, CHANGE_PUT, DEFINE_PERMISSION,
                spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("guest")}));
    changes_add(all, CHANGE_PUT, DEFINE_TOPIC_PERMISSION,
                spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("guest"), .key = BYTES("x")}));
    changes_add(all, CHANGE_PUT, DEFINE_EXCHANGE,
                spec_create(&(struct spec){.vhost = BYTES("/"), .name = BYTES("x"), .type = BYTES("topic")}));
    struct event *e = office_alter(&w, all);
    assert_int_equal(e->what, DONE);
    const struct change *c = e->done.changes->at;
    assert_int_equal(c[0].outcome, CHANGE_REMOVED);
    assert_int_equal(c[1].outcome, CHANGE_SKIPPED);
    assert_int_equal(c[2].outcome, CHANGE_REMOVED);
    for (int i = 3; i < 6; i++)
        assert_int_equal(c[i].outcome, CHANGE_SKIPPED);
    world_fini(&w);
}

TEST(what_is_wrong_is_said)
{
    struct world w;
    uint8_t room[100];
    static const char *const bad[] = {"configure", "(", NULL};
    world_init(&w);
    assert_int_equal(office_refusal(&w, CHANGE_PUT, DEFINE_PERMISSION,
                                    office_permission("guest", office_table(room, sizeof room, bad))),
                     BAD_ARGUMENT);
    assert_int_equal(office_refusal(&w, CHANGE_PUT, DEFINE_USER, (struct spec){0}), BAD_ARGUMENT);
    assert_int_equal(office_refusal(&w, CHANGE_PUT, DEFINE_PARAMETER, (struct spec){.name = BYTES("x")}), BAD_ARGUMENT);
    assert_int_equal(
        office_refusal(&w, CHANGE_PUT, DEFINE_QUEUE, (struct spec){.vhost = BYTES("no"), .name = BYTES("q")}),
        NO_SUCH_VHOST);
    assert_int_equal(office_refusal(&w, CHANGE_PUT, DEFINE_EXCHANGE,
                                    (struct spec){.vhost = BYTES("/"), .name = BYTES("x"), .type = BYTES("odd")}),
                     UNKNOWN_EXCHANGE_TYPE);
    world_fini(&w);
}

TEST(topology_is_changed_and_what_does_not_fit_is_skipped)
{
    struct world w;
    const struct spec x = {.vhost = BYTES("/"), .name = BYTES("x"), .type = BYTES("topic"), .durable = true};
    struct spec other = x, bind = {.vhost = BYTES("/"), .source = BYTES("x"), .name = BYTES("q"), .key = BYTES("k")};
    world_init(&w);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_EXCHANGE, x), CHANGE_MADE);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_EXCHANGE, x), CHANGE_NOTHING);
    other.type = BYTES("fanout");
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_EXCHANGE, other), CHANGE_SKIPPED);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_SKIPPED);
    world_queue(&w, 0, "q", NULL);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_MADE);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_NOTHING);
    world_publish(&w, "x", "k", "m");
    struct spec q = {.vhost = BYTES("/"), .name = BYTES("q"), .if_empty = true};
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_SKIPPED);
    assert_int_equal(office_change(&w, CHANGE_PURGE, DEFINE_QUEUE, q), CHANGE_REMOVED);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_REMOVED);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_NOTHING);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_BINDING, bind), CHANGE_NOTHING);
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_EXCHANGE, x), CHANGE_REMOVED);
    other.name = BYTES("amq.fanout");
    assert_int_equal(office_change(&w, CHANGE_REMOVE, DEFINE_EXCHANGE, other), CHANGE_SKIPPED);
    world_fini(&w);
}

/* ---- Lists. */

/* Counts the rows of all pages; between them declares and deletes queues, if told so. */
static size_t count_rows(struct world *w, enum inspection_kind what, bool churn)
{
    static unsigned serial;
    const struct bytes vhost = BYTES("/");
    struct inspection *i = inspection_create(what, &vhost, NULL);
    size_t n = 0;
    char name[32];
    do {
        struct event *e = office_say(w, (struct command){.verb = INSPECT, .inspection = i});
        assert_int_equal(e->what, DONE);
        i = e->done.inspection;
        e->done.inspection = NULL;
        struct bytes row;
        for (size_t at = 0; inspection_next(i, &at, &row); n++)
            assert_true(table_check(row, TABLE_DEPTH_MAX));
        assert_true(i->n <= INSPECTION_ROWS_MAX + 64);
        for (int j = 0; churn && j < 40; j++) {
            snprintf(name, sizeof name, "new-%u", serial++);
            office_declare(w, 0, name);
        }
        world_forget(w);
    } while (i->cursor != 0);
    inspection_destroy(i);
    return n;
}

TEST(a_list_comes_in_pages_and_misses_nothing_that_stays)
{
    struct world w;
    char name[32];
    world_init(&w);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "q%u", i);
        office_declare(&w, 0, name);
    }
    world_forget(&w);
    assert_int_equal(count_rows(&w, INSPECT_QUEUES, false), 2000);
    assert_true(count_rows(&w, INSPECT_QUEUES, true) >= 2000);
    assert_int_equal(count_rows(&w, INSPECT_EXCHANGES, false), 7);
    assert_int_equal(count_rows(&w, INSPECT_PERMISSIONS, false), 1);
    assert_int_equal(count_rows(&w, INSPECT_CONNECTIONS, false), 1);
    assert_int_equal(count_rows(&w, INSPECT_USERS, false), 1);
    assert_int_equal(count_rows(&w, INSPECT_TOTALS, false), 1);
    world_fini(&w);
}

/* ---- Afterwards. */

TEST(an_alteration_is_one_transaction_and_nothing_is_recorded_twice)
{
    struct world w;
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX, .records = true});
    const struct sheaf *records = &w.effects.records;
    size_t before = records->n;
    office_add_user(&w, "ann");
    assert_int_equal(records->n, before + 2);
    assert_int_equal(records->records[before].kind, RECORD_DEFINE);
    assert_true(records->records[before].tx);
    assert_int_equal(records->records[before + 1].kind, RECORD_COMMIT);
    struct event *e = &w.effects.events[w.effects.n - 1];
    assert_int_equal(e->after, before + 2);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = BYTES("ann")}), CHANGE_NOTHING);
    assert_int_equal(records->n, before + 2);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_not_read_any_more_loses_consumers_and_nothing_else),
        cmocka_unit_test(a_consumer_that_is_cancelled_keeps_what_it_has_and_gets_no_more),
        cmocka_unit_test(a_permission_that_is_cleared_ends_the_connections_of_that_virtual_host),
        cmocka_unit_test(a_user_that_is_deleted_goes_at_once),
        cmocka_unit_test(a_virtual_host_that_is_deleted_takes_everything_along),
        cmocka_unit_test(connections_are_closed_by_name_user_or_virtual_host),
        cmocka_unit_test(one_that_is_wrong_spoils_all),
        cmocka_unit_test(what_an_alteration_has_removed_it_does_not_fill),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(topology_is_changed_and_what_does_not_fit_is_skipped),
        cmocka_unit_test(a_list_comes_in_pages_and_misses_nothing_that_stays),
        cmocka_unit_test(an_alteration_is_one_transaction_and_nothing_is_recorded_twice),
    };
    return unit_main("alterations", tests, argc, argv);
}
