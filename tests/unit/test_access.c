/* Users, rights, limits and what changes them: the model, through its commands. */
#include <stdio.h>

#include "broker/port/queue_options.h"
#include "tests/unit/guest.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "base/alloc.h"
#include "broker/model/access.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "codec/table.h"

enum { DESK = 0 };

/* ---- An administrator, and clients. */

static struct event *say(struct world *w, struct command c)
{
    c.from = (struct origin){.outlet = {.slot = DESK, .generation = DESK_GENERATION}};
    c.cookie = w->cookie++;
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    broker_check(w->broker);
    return &w->effects.events[w->effects.n - 1];
}

/* The answer, whatever came before it. */
static struct event *alter(struct world *w, struct changes *all)
{
    return say(w, (struct command){.verb = ALTER, .changes = all});
}

static struct bytes table(uint8_t *room, size_t size, const char *const *pairs)
{
    struct pen p = pen_over(room, size);
    for (; *pairs != NULL; pairs += 2)
        table_put_string(&p, bytes_of_string(pairs[0]), bytes_of_string(pairs[1]));
    return pen_written(&p);
}

static enum change_outcome one(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec)
{
    struct changes *all = changes_create();
    changes_add(all, kind, what, spec_create(&spec));
    struct event *e = alter(w, all);
    assert_int_equal(e->what, DONE);
    return e->done.changes->at[0].outcome;
}

static enum reason refusal(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec)
{
    struct changes *all = changes_create();
    changes_add(all, kind, what, spec_create(&spec));
    struct event *e = alter(w, all);
    assert_int_equal(e->what, FAILED);
    assert_non_null(e->failed.changes);
    return e->failed.reason;
}

static void add_user(struct world *w, const char *name)
{
    assert_int_equal(one(w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = bytes_of_string(name)}), CHANGE_MADE);
}

static struct spec permission(const char *user, struct bytes arguments)
{
    return (struct spec){.vhost = BYTES("/"), .name = bytes_of_string(user), .arguments = arguments};
}

static enum change_outcome permit(struct world *w, const char *user, const char *configure, const char *write,
                                  const char *read)
{
    uint8_t room[512];
    const char *const pairs[] = {"configure", configure, "write", write, "read", read, NULL};
    return one(w, CHANGE_PUT, DEFINE_PERMISSION, permission(user, table(room, sizeof room, pairs)));
}

/* Logs in and attaches; false: refused, and text says why. */
static bool enter(struct world *w, unsigned client, const char *user, char *text)
{
    struct spec who = {.name = bytes_of_string(user)};
    world_do(w, (struct command){.verb = LOGIN, .spec = spec_create(&who)}, client, 0);
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, DONE);
    struct spec where = {.name = BYTES("/"), .source = bytes_of_string(user), .serial = e->done.spec->serial};
    world_do(w, (struct command){.verb = ATTACH, .spec = spec_create(&where)}, client, 0);
    e = &w->effects.events[w->effects.n - 1];
    if (e->what == FAILED && text != NULL)
        snprintf(text, 200, "%s", e->failed.text);
    return e->what == DONE;
}

static const char *last_text(const struct world *w)
{
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, FAILED);
    return e->failed.text;
}

static bool did(const struct world *w)
{
    return w->effects.events[w->effects.n - 1].what == DONE;
}

static void reset(struct world *w, unsigned client)
{
    world_do(w, (struct command){.verb = RESET}, client, 0);
}

static void declare(struct world *w, unsigned client, const char *queue)
{
    struct spec s = {.name = bytes_of_string(queue)};
    s.options = queue_options_none;
    world_do(w, (struct command){.verb = DECLARE_QUEUE, .spec = spec_create(&s)}, client, 0);
}

static void publish(struct world *w, unsigned client, const char *exchange, const char *key)
{
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(exchange),
                                                              .routing_key = bytes_of_string(key),
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .confirm = true}}, client, 0);
}

static bool published(const struct world *w)
{
    return w->effects.events[w->effects.n - 1].what == CONFIRMED;
}

/* ---- Coming in. */

TEST(nobody_comes_in_without_a_permission)
{
    struct world w;
    char text[200];
    world_init(&w);
    assert_false(enter(&w, 1, "ann", text));
    assert_string_equal(text, "access to vhost '/' refused for user 'ann'");
    add_user(&w, "ann");
    assert_false(enter(&w, 1, "ann", text));
    assert_int_equal(permit(&w, "ann", "", "", ""), CHANGE_MADE);
    assert_true(enter(&w, 1, "ann", text));
    world_fini(&w);
}

TEST(a_login_is_void_when_the_password_changes_before_it_opens)
{
    struct world w;
    uint8_t room[200];
    static const char *const pairs[] = {"password_hash", "x", NULL};
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    world_do(&w, (struct command){.verb = LOGIN, .spec = spec_create(&(struct spec){.name = BYTES("ann")})}, 1, 0);
    uint64_t serial = w.effects.events[w.effects.n - 1].done.spec->serial;
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_USER,
                         (struct spec){.name = BYTES("ann"), .arguments = table(room, sizeof room, pairs)}),
                     CHANGE_CHANGED);
    struct spec where = {.name = BYTES("/"), .source = BYTES("ann"), .serial = serial};
    world_do(&w, (struct command){.verb = ATTACH, .spec = spec_create(&where)}, 1, 0);
    assert_false(did(&w));
    world_fini(&w);
}

static void limit(struct world *w, enum definition_class what, const char *name, const char *key, int64_t n)
{
    uint8_t room[200];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, what == DEFINE_USER ? BYTES("limits") : BYTES("value"), 'F');
    table_put_i64(&p, bytes_of_string(key), n);
    table_close(&p, mark);
    struct spec s = {.name = bytes_of_string(name), .arguments = pen_written(&p)};
    if (what == DEFINE_PARAMETER) {
        s.vhost = BYTES("/");
        s.type = BYTES("vhost-limits");
    }
    one(w, CHANGE_PUT, what, s);
}

TEST(connections_are_limited_by_user_and_by_virtual_host)
{
    struct world w;
    char text[200];
    world_init(&w); /* guest is in */
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    limit(&w, DEFINE_USER, "ann", "max-connections", 1);
    assert_true(enter(&w, 1, "ann", text));
    assert_false(enter(&w, 2, "ann", text));
    assert_string_equal(text, "connection refused for user 'ann': user connection limit (1) is reached");
    limit(&w, DEFINE_USER, "ann", "max-connections", -1);
    assert_true(enter(&w, 2, "ann", text));
    limit(&w, DEFINE_PARAMETER, "limits", "max-connections", 3);
    assert_false(enter(&w, 3, "ann", text));
    assert_string_equal(text, "access to vhost '/' refused for user 'ann': connection limit (3) is reached");
    world_detach(&w, 2);
    assert_true(enter(&w, 3, "ann", text));
    world_fini(&w);
}

TEST(queues_of_a_virtual_host_are_limited)
{
    struct world w;
    world_init(&w);
    declare(&w, 0, "one");
    limit(&w, DEFINE_PARAMETER, "limits", "max-queues", 1);
    declare(&w, 0, "two");
    assert_string_equal(last_text(&w), "cannot declare queue 'two': queue limit in vhost '/' (1) is reached");
    reset(&w, 0);
    declare(&w, 0, "one"); /* it is there */
    assert_true(did(&w));
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_PARAMETER,
                         (struct spec){.vhost = BYTES("/"), .type = BYTES("vhost-limits"), .name = BYTES("limits")}),
                     CHANGE_REMOVED);
    declare(&w, 0, "two");
    assert_true(did(&w));
    world_fini(&w);
}

TEST(channels_of_a_user_are_limited_over_all_connections)
{
    struct world w;
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    limit(&w, DEFINE_USER, "ann", "max-channels", 2);
    assert_true(enter(&w, 1, "ann", NULL));
    assert_true(w.effects.events[w.effects.n - 1].done.is_counted);
    assert_true(enter(&w, 2, "ann", NULL));
    world_do(&w, (struct command){.verb = OPEN}, 1, 0);
    assert_true(did(&w));
    world_do(&w, (struct command){.verb = OPEN}, 2, 0);
    assert_true(did(&w));
    world_do(&w, (struct command){.verb = OPEN}, 2, 1);
    assert_string_equal(last_text(&w),
                        "number of channels opened for user 'ann' has reached the maximum allowed user limit of (2)");
    world_fini(&w);
}

/* ---- What one may do. */

TEST(a_refusal_comes_before_the_look_at_what_there_is)
{
    struct world w;
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", "^ann-", "^ann-", "^ann-");
    enter(&w, 1, "ann", NULL);
    struct spec nowhere = {.name = BYTES("nowhere")};
    world_do(&w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&nowhere)}, 1, 0);
    assert_string_equal(last_text(&w), "read access to queue 'nowhere' in vhost '/' refused for user 'ann'");
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, DENIED);
    reset(&w, 1);
    publish(&w, 1, "", "ann-1"); /* the default exchange has a name here */
    assert_string_equal(last_text(&w), "write access to exchange 'amq.default' in vhost '/' refused for user 'ann'");
    reset(&w, 1);
    declare(&w, 1, "ann-1");
    assert_true(did(&w));
    declare(&w, 1, "bob-1");
    assert_string_equal(last_text(&w), "configure access to queue 'bob-1' in vhost '/' refused for user 'ann'");
    world_fini(&w);
}

TEST(a_pattern_that_goes_too_far_denies)
{
    struct world w;
    char name[64] = "";
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", "^(a+)+$", ".*", ".*");
    enter(&w, 1, "ann", NULL);
    memset(name, 'a', 50);
    name[50] = 'b';
    declare(&w, 1, name);
    assert_false(did(&w));
    world_fini(&w);
}

static bool may_declare(struct world *w, unsigned client, const char *name)
{
    declare(w, client, name);
    bool allowed = did(w);
    if (!allowed)
        reset(w, client);
    world_forget(w);
    return allowed;
}

TEST(who_chokes_a_pattern_again_and_again_is_not_heard)
{
    struct world w;
    char name[64];
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", "^((a|aa)+x|a+[0-9]+|fine)$", ".*", ".*"); /* dear, but no bomb, for names like these: */
    enter(&w, 1, "ann", NULL);
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
    add_user(&w, "ann");
    permit(&w, "ann", "^$", "^$", "^$");
    enter(&w, 1, "ann", NULL);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "queue-%u", i);
        declare(&w, 1, name);
        assert_false(did(&w));
        reset(&w, 1);
        world_forget(&w);
    }
    world_fini(&w); /* a sanitizer counts */
}

TEST(a_remembered_route_is_judged_again_when_rights_change)
{
    struct world w;
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    enter(&w, 1, "ann", NULL);
    declare(&w, 1, "q");
    for (int i = 0; i < 3; i++) {
        publish(&w, 1, "", "q");
        assert_true(published(&w));
    }
    assert_int_equal(permit(&w, "ann", ".*", "", ".*"), CHANGE_CHANGED);
    publish(&w, 1, "", "q");
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, DENIED);
    world_fini(&w);
}

TEST(a_topic_permission_is_about_keys)
{
    struct world w;
    uint8_t room[200];
    static const char *const pairs[] = {"write", "^{username}\\.", "read", "^public\\.", NULL};
    world_init(&w);
    add_user(&w, "a.n");
    permit(&w, "a.n", ".*", ".*", ".*");
    struct spec topic = {.vhost = BYTES("/"), .name = BYTES("a.n"), .key = BYTES("amq.topic")};
    topic.arguments = table(room, sizeof room, pairs);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_MADE);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_NOTHING);
    enter(&w, 1, "a.n", NULL);
    publish(&w, 1, "amq.topic", "a.n.news");
    assert_true(published(&w));
    publish(&w, 1, "amq.topic", "aXn.news"); /* the name is no pattern */
    assert_string_equal(last_text(&w), "write access to topic 'aXn.news' in exchange 'amq.topic' in vhost '/' refused "
                                       "for user 'a.n'");
    reset(&w, 1);
    publish(&w, 1, "amq.direct", "aXn.news"); /* another exchange */
    assert_true(published(&w));
    declare(&w, 1, "q");
    struct spec bind = {.name = BYTES("q"), .source = BYTES("amq.topic"), .key = BYTES("#")};
    world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&bind)}, 1, 0);
    assert_false(did(&w));
    reset(&w, 1);
    bind.key = BYTES("public.#");
    world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&bind)}, 1, 0);
    assert_true(did(&w));
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
    topic.arguments = table(room, sizeof room, pairs);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), CHANGE_MADE);
    topic.key = bytes_of(name, 256); /* what is longer could not be restored */
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_TOPIC_PERMISSION, topic), BAD_ARGUMENT);
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
    reset(&w, 0);
    uint8_t *mark = table_open(&p, BYTES("tags"), 'A');
    table_put_string_in_array(&p, BYTES("impersonator"));
    table_close(&p, mark);
    one(&w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = BYTES("guest"), .arguments = pen_written(&p)});
    publish_as(&w, 0);
    assert_true(published(&w));
    world_fini(&w);
}

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
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    enter(&w, 1, "ann", NULL);
    world_queue(&w, 0, "mine", NULL);
    world_queue(&w, 0, "yours", NULL);
    world_consume(&w, 1, "mine", 0, 0, false);
    world_consume(&w, 1, "yours", 1, 0, false);
    world_forget(&w);
    permit(&w, "ann", ".*", ".*", "^mine$");
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
    struct event *e = say(w, (struct command){.verb = CANCEL, .prefetch = {.spec = which, .channel = channel}});
    assert_int_equal(e->what, DONE);
    return e->done.messages;
}

TEST(a_consumer_that_is_cancelled_keeps_what_it_has_and_gets_no_more)
{
    struct world w;
    world_init(&w);
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    enter(&w, 1, "ann", NULL);
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
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    enter(&w, 1, "ann", NULL);
    world_queue(&w, 0, "q", NULL);
    world_publish(&w, "", "q", "m");
    world_consume(&w, 1, "q", 0, 0, false);
    world_forget(&w);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_PERMISSION, permission("ann", (struct bytes){0})), CHANGE_REMOVED);
    struct event e = find(&w, EXPELLED);
    assert_int_equal(e.what, EXPELLED);
    assert_int_equal(e.to.outlet.slot, 1);
    assert_string_equal(e.expelled.text, "access of user 'ann' to vhost '/' was taken away");
    world_forget(&w);
    publish(&w, 1, "", "q"); /* what it says after that counts for nothing */
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
    add_user(&w, "ann");
    permit(&w, "ann", ".*", ".*", ".*");
    enter(&w, 1, "ann", NULL);
    world_forget(&w);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_USER, (struct spec){.name = BYTES("ann")}), CHANGE_REMOVED);
    assert_string_equal(farewell(&w), "user 'ann' is deleted");
    assert_false(enter(&w, 2, "ann", NULL));
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_USER, (struct spec){.name = BYTES("ann")}), CHANGE_NOTHING);
    add_user(&w, "ann"); /* another one, who has nothing of the first */
    assert_false(enter(&w, 2, "ann", NULL));
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
    limit(&w, DEFINE_PARAMETER, "limits", "max-queues", 5);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_VHOST, (struct spec){.name = BYTES("/")}), CHANGE_REMOVED);
    assert_string_equal(farewell(&w), "vhost '/' is deleted");
    const struct broker_totals t = broker_totals(w.broker);
    assert_int_equal(t.queues + t.exchanges + t.bindings + t.vhosts + t.outlets, 0);
    assert_int_equal(t.messages_ready + t.messages_out, 0);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_VHOST, (struct spec){.name = BYTES("/")}), CHANGE_MADE);
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
    struct event *e = say(&w, (struct command){.verb = EXPEL, .expel = {.spec = spec_create(&which)}});
    assert_int_equal(e->done.messages, 0);
    which.source = BYTES("guest");
    e = say(&w, (struct command){.verb = EXPEL, .expel = {.spec = spec_create(&which), .limit = 2}});
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
    struct event *e = alter(&w, all);
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
    add_user(&w, "ann");
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
    struct event *e = alter(&w, all);
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
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_PERMISSION, permission("guest", table(room, sizeof room, bad))),
                     BAD_ARGUMENT);
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_USER, (struct spec){0}), BAD_ARGUMENT);
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_PARAMETER, (struct spec){.name = BYTES("x")}), BAD_ARGUMENT);
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_QUEUE, (struct spec){.vhost = BYTES("no"), .name = BYTES("q")}),
                     NO_SUCH_VHOST);
    assert_int_equal(refusal(&w, CHANGE_PUT, DEFINE_EXCHANGE,
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
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_EXCHANGE, x), CHANGE_MADE);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_EXCHANGE, x), CHANGE_NOTHING);
    other.type = BYTES("fanout");
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_EXCHANGE, other), CHANGE_SKIPPED);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_SKIPPED);
    world_queue(&w, 0, "q", NULL);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_MADE);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_BINDING, bind), CHANGE_NOTHING);
    world_publish(&w, "x", "k", "m");
    struct spec q = {.vhost = BYTES("/"), .name = BYTES("q"), .if_empty = true};
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_SKIPPED);
    assert_int_equal(one(&w, CHANGE_PURGE, DEFINE_QUEUE, q), CHANGE_REMOVED);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_REMOVED);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_QUEUE, q), CHANGE_NOTHING);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_BINDING, bind), CHANGE_NOTHING);
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_EXCHANGE, x), CHANGE_REMOVED);
    other.name = BYTES("amq.fanout");
    assert_int_equal(one(&w, CHANGE_REMOVE, DEFINE_EXCHANGE, other), CHANGE_SKIPPED);
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
        struct event *e = say(w, (struct command){.verb = INSPECT, .inspection = i});
        assert_int_equal(e->what, DONE);
        i = e->done.inspection;
        e->done.inspection = NULL;
        struct bytes row;
        for (size_t at = 0; inspection_next(i, &at, &row); n++)
            assert_true(table_check(row, TABLE_DEPTH_MAX));
        assert_true(i->n <= INSPECTION_ROWS_MAX + 64);
        for (int j = 0; churn && j < 40; j++) {
            snprintf(name, sizeof name, "new-%u", serial++);
            declare(w, 0, name);
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
        declare(&w, 0, name);
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
    add_user(&w, "ann");
    assert_int_equal(records->n, before + 2);
    assert_int_equal(records->records[before].kind, RECORD_DEFINE);
    assert_true(records->records[before].tx);
    assert_int_equal(records->records[before + 1].kind, RECORD_COMMIT);
    struct event *e = &w.effects.events[w.effects.n - 1];
    assert_int_equal(e->after, before + 2);
    assert_int_equal(one(&w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = BYTES("ann")}), CHANGE_NOTHING);
    assert_int_equal(records->n, before + 2);
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
    return unit_main("model/access", tests, argc, argv);
}
