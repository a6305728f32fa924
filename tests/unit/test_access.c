/* Users, rights and limits: the model, through its commands. */
#include <stdio.h>

#include "tests/unit/office.h"
#include "tests/unit/unit.h"

#include "base/alloc.h"
#include "broker/model/access.h"
#include "broker/port/change.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* ---- Coming in. */

TEST(nobody_comes_in_without_a_permission)
{
    struct world w;
    char text[200];
    world_init(&w);
    assert_false(office_enter(&w, 1, "ann", text));
    assert_string_equal(text, "access to vhost '/' refused for user 'ann'");
    office_add_user(&w, "ann");
    assert_false(office_enter(&w, 1, "ann", text));
    assert_int_equal(office_permit(&w, "ann", "", "", ""), CHANGE_MADE);
    assert_true(office_enter(&w, 1, "ann", text));
    world_fini(&w);
}

TEST(a_login_is_void_when_the_password_changes_before_it_opens)
{
    struct world w;
    uint8_t room[200];
    static const char *const pairs[] = {"password_hash", "x", NULL};
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    world_do(&w, (struct command){.verb = LOGIN, .spec = spec_create(&(struct spec){.name = BYTES("ann")})}, 1, 0);
    uint64_t serial = w.effects.events[w.effects.n - 1].done.spec->serial;
    assert_int_equal(
        office_change(&w, CHANGE_PUT, DEFINE_USER,
                      (struct spec){.name = BYTES("ann"), .arguments = office_table(room, sizeof room, pairs)}),
        CHANGE_CHANGED);
    struct spec where = {.name = BYTES("/"), .source = BYTES("ann"), .serial = serial};
    world_do(&w, (struct command){.verb = ATTACH, .spec = spec_create(&where)}, 1, 0);
    assert_false(office_did(&w));
    world_fini(&w);
}

TEST(connections_are_limited_by_user_and_by_virtual_host)
{
    struct world w;
    char text[200];
    world_init(&w); /* guest is in */
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_limit(&w, DEFINE_USER, "ann", "max-connections", 1);
    assert_true(office_enter(&w, 1, "ann", text));
    assert_false(office_enter(&w, 2, "ann", text));
    assert_string_equal(text, "connection refused for user 'ann': user connection limit (1) is reached");
    office_limit(&w, DEFINE_USER, "ann", "max-connections", -1);
    assert_true(office_enter(&w, 2, "ann", text));
    office_limit(&w, DEFINE_PARAMETER, "limits", "max-connections", 3);
    assert_false(office_enter(&w, 3, "ann", text));
    assert_string_equal(text, "access to vhost '/' refused for user 'ann': connection limit (3) is reached");
    world_detach(&w, 2);
    assert_true(office_enter(&w, 3, "ann", text));
    world_fini(&w);
}

TEST(queues_of_a_virtual_host_are_limited)
{
    struct world w;
    world_init(&w);
    office_declare(&w, 0, "one");
    office_limit(&w, DEFINE_PARAMETER, "limits", "max-queues", 1);
    office_declare(&w, 0, "two");
    assert_string_equal(office_last_text(&w), "cannot declare queue 'two': queue limit in vhost '/' (1) is reached");
    office_reset(&w, 0);
    office_declare(&w, 0, "one"); /* it is there */
    assert_true(office_did(&w));
    assert_int_equal(
        office_change(&w, CHANGE_REMOVE, DEFINE_PARAMETER,
                      (struct spec){.vhost = BYTES("/"), .type = BYTES("vhost-limits"), .name = BYTES("limits")}),
        CHANGE_REMOVED);
    office_declare(&w, 0, "two");
    assert_true(office_did(&w));
    world_fini(&w);
}

TEST(channels_of_a_user_are_limited_over_all_connections)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_limit(&w, DEFINE_USER, "ann", "max-channels", 2);
    assert_true(office_enter(&w, 1, "ann", NULL));
    assert_true(w.effects.events[w.effects.n - 1].done.is_counted);
    assert_true(office_enter(&w, 2, "ann", NULL));
    world_do(&w, (struct command){.verb = OPEN}, 1, 0);
    assert_true(office_did(&w));
    world_do(&w, (struct command){.verb = OPEN}, 2, 0);
    assert_true(office_did(&w));
    world_do(&w, (struct command){.verb = OPEN}, 2, 1);
    assert_string_equal(office_last_text(&w),
                        "number of channels opened for user 'ann' has reached the maximum allowed user limit of (2)");
    world_fini(&w);
}

/* ---- What one may do. */

TEST(a_refusal_comes_before_the_look_at_what_there_is)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", "^ann-", "^ann-", "^ann-");
    office_enter(&w, 1, "ann", NULL);
    struct spec nowhere = {.name = BYTES("nowhere")};
    world_do(&w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&nowhere)}, 1, 0);
    assert_string_equal(office_last_text(&w), "read access to queue 'nowhere' in vhost '/' refused for user 'ann'");
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, DENIED);
    office_reset(&w, 1);
    office_publish(&w, 1, "", "ann-1"); /* the default exchange has a name here */
    assert_string_equal(office_last_text(&w),
                        "write access to exchange 'amq.default' in vhost '/' refused for user 'ann'");
    office_reset(&w, 1);
    office_declare(&w, 1, "ann-1");
    assert_true(office_did(&w));
    office_declare(&w, 1, "bob-1");
    assert_string_equal(office_last_text(&w), "configure access to queue 'bob-1' in vhost '/' refused for user 'ann'");
    world_fini(&w);
}

TEST(a_pattern_that_goes_too_far_denies)
{
    struct world w;
    char name[64] = "";
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", "^(a+)+$", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    memset(name, 'a', 50);
    name[50] = 'b';
    office_declare(&w, 1, name);
    assert_false(office_did(&w));
    world_fini(&w);
}

static bool may_declare(struct world *w, unsigned client, const char *name)
{
    office_declare(w, client, name);
    bool allowed = office_did(w);
    if (!allowed)
        office_reset(w, client);
    world_forget(w);
    return allowed;
}

TEST(who_chokes_a_pattern_again_and_again_is_not_heard)
{
    struct world w;
    char name[64];
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", "^((a|aa)+x|a+[0-9]+|fine)$", ".*", ".*"); /* dear, but no bomb, for names like these: */
    office_enter(&w, 1, "ann", NULL);
    for (unsigned i = 0; i < ACCESS_DEAR_BURST; i++) {
        snprintf(name, sizeof name, "aaaaaaaaaaaaaaaa%u", i);
        assert_true(may_declare(&w, 1, name));
    }
    assert_false(may_declare(&w, 1, "aaaaaaaaaaaaaaaa-1"));
    assert_false(may_declare(&w, 1, "aaaaaaaaaaaaaaaa1000"));
    assert_true(may_declare(&w, 1, "aaaaaaaaaaaaaaaa1")); /* what was decided stays */
    assert_true(may_declare(&w, 1, "fine"));
    w.now.ms += ACCESS_DEAR_MS;
    assert_true(may_declare(&w, 1, "aaaaaaaaaaaaaaaa1000"));
    assert_false(may_declare(&w, 1, "aaaaaaaaaaaaaaaa1001"));
    world_fini(&w);
}

TEST(names_that_clients_make_up_are_not_remembered_for_ever)
{
    struct world w;
    char name[64];
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", "^$", "^$", "^$");
    office_enter(&w, 1, "ann", NULL);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "queue-%u", i);
        office_declare(&w, 1, name);
        assert_false(office_did(&w));
        office_reset(&w, 1);
        world_forget(&w);
    }
    world_fini(&w); /* a sanitizer counts */
}

TEST(a_remembered_route_is_judged_again_when_rights_change)
{
    struct world w;
    world_init(&w);
    office_add_user(&w, "ann");
    office_permit(&w, "ann", ".*", ".*", ".*");
    office_enter(&w, 1, "ann", NULL);
    office_declare(&w, 1, "q");
    for (int i = 0; i < 3; i++) {
        office_publish(&w, 1, "", "q");
        assert_true(office_has_published(&w));
    }
    assert_int_equal(office_permit(&w, "ann", ".*", "", ".*"), CHANGE_CHANGED);
    office_publish(&w, 1, "", "q");
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, DENIED);
    world_fini(&w);
}

TEST(a_topic_permission_is_about_keys)
{
    struct world w;
    uint8_t room[200];
    static const char *const pairs[] = {"write", "^{username}\\.", "read", "^public\\.", NULL};
    world_init(&w);
    office_add_user(&w, "a.n");
    office_permit(&w, "a.n", ".*", ".*", ".*");
    struct spec topic = {.vhost = BYTES("/"), .name = BYTES("a.n"), .key = BYTES("amq.topic")};
    topic.arguments = office_table(room, sizeof room, pairs);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_MADE);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_NOTHING);
    office_enter(&w, 1, "a.n", NULL);
    office_publish(&w, 1, "amq.topic", "a.n.news");
    assert_true(office_has_published(&w));
    office_publish(&w, 1, "amq.topic", "aXn.news"); /* the name is no pattern */
    assert_string_equal(office_last_text(&w),
                        "write access to topic 'aXn.news' in exchange 'amq.topic' in vhost '/' refused "
                        "for user 'a.n'");
    office_reset(&w, 1);
    office_publish(&w, 1, "amq.direct", "aXn.news"); /* another exchange */
    assert_true(office_has_published(&w));
    office_declare(&w, 1, "q");
    struct spec bind = {.name = BYTES("q"), .source = BYTES("amq.topic"), .key = BYTES("#")};
    world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&bind)}, 1, 0);
    assert_false(office_did(&w));
    office_reset(&w, 1);
    bind.key = BYTES("public.#");
    world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&bind)}, 1, 0);
    assert_true(office_did(&w));
    world_fini(&w);
}

TEST(a_topic_permission_names_what_may_be_an_exchange)
{
    struct world w;
    uint8_t room[200], name[256];
    static const char *const pairs[] = {"write", "", "read", "", NULL};
    world_init(&w);
    memset(name, 'x', sizeof name);
    struct spec topic = {.vhost = BYTES("/"), .name = BYTES("guest"), .key = bytes_of(name, 255)};
    topic.arguments = office_table(room, sizeof room, pairs);
    assert_int_equal(office_change(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_MADE);
    topic.key = bytes_of(name, 256); /* what is longer could not be restored */
    assert_int_equal(office_refusal(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), BAD_ARGUMENT);
    world_fini(&w);
}

static void publish_as(struct world *w, unsigned client)
{
    struct message *m =
        message_create(&(struct message_spec){.exchange = BYTES("amq.direct"), .expiration_ms = MESSAGE_NO_EXPIRATION});
    char *objection = alloc_copy("user_id is another's", sizeof "user_id is another's");
    world_do(w,
             (struct command){.verb = PUBLISH,
                              .publish = {.msg = m, .confirm = true, .objection = objection, .impersonates = true}},
             client, 0);
}

TEST(an_impersonator_publishes_in_other_names)
{
    struct world w;
    uint8_t room[100];
    struct pen p = pen_over(room, sizeof room);
    world_init(&w);
    publish_as(&w, 0);
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, OBJECTION);
    office_reset(&w, 0);
    uint8_t *mark = table_open(&p, BYTES("tags"), 'A');
    table_put_string_in_array(&p, BYTES("impersonator"));
    table_close(&p, mark);
    office_change(&w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = BYTES("guest"), .arguments = pen_written(&p)});
    publish_as(&w, 0);
    assert_true(office_has_published(&w));
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_comes_in_without_a_permission),
        cmocka_unit_test(a_login_is_void_when_the_password_changes_before_it_opens),
        cmocka_unit_test(connections_are_limited_by_user_and_by_virtual_host),
        cmocka_unit_test(queues_of_a_virtual_host_are_limited),
        cmocka_unit_test(channels_of_a_user_are_limited_over_all_connections),
        cmocka_unit_test(a_refusal_comes_before_the_look_at_what_there_is),
        cmocka_unit_test(a_pattern_that_goes_too_far_denies),
        cmocka_unit_test(who_chokes_a_pattern_again_and_again_is_not_heard),
        cmocka_unit_test(names_that_clients_make_up_are_not_remembered_for_ever),
        cmocka_unit_test(a_remembered_route_is_judged_again_when_rights_change),
        cmocka_unit_test(a_topic_permission_is_about_keys),
        cmocka_unit_test(a_topic_permission_names_what_may_be_an_exchange),
        cmocka_unit_test(an_impersonator_publishes_in_other_names),
    };
    return unit_main("model/access", tests, argc, argv);
}
