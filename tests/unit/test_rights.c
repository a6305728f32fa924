/* What a user may change through an administration: as much as by a client of its own, and no more. */
#include <stdio.h>

#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "base/str.h"
#include "broker/model/access.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { SETS = 1 << RIGHTS, CLIENT = 1, VISIT = 2, ARGUMENTS_ROOM = 256 };

static const char *const right_words[RIGHTS] = {"configure", "write", "read"};

/* ---- Who. */

static struct event *say(struct world *w, struct command c)
{
    c.from = (struct origin){.outlet = {.generation = DESK_GENERATION}};
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    broker_check(w->broker);
    return &w->effects.events[w->effects.n - 1];
}

static struct event *put(struct world *w, const char *user, enum change_kind kind, enum definition_class what,
                         struct spec spec)
{
    struct changes *all = changes_create();
    if (user != NULL)
        all->user = str_copy(bytes_of_string(user));
    spec.vhost = BYTES("/");
    spec.options = queue_options_none;
    changes_add(all, kind, what, spec_create(&spec));
    return say(w, (struct command){.verb = ALTER, .changes = all});
}

static void made(const struct event *e)
{
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->done.changes->at[0].outcome, CHANGE_MADE);
}

/* Users have rights to what begins with own, and to the default exchange, by that set of bits. */
static void grant(struct world *w, const char *user, unsigned rights)
{
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    for (unsigned r = 0; r < RIGHTS; r++)
        table_put_string(&p, bytes_of_string(right_words[r]),
                         (rights >> r & 1) != 0 ? BYTES("^own|^amq\\.default$") : BYTES("^$"));
    made(put(w, NULL, CHANGE_PUT, DEFINE_USER, (struct spec){.name = bytes_of_string(user)}));
    made(put(w, NULL, CHANGE_PUT, DEFINE_PERMISSION,
             (struct spec){.name = bytes_of_string(user), .arguments = pen_written(&p)}));
}

static void attach(struct world *w, unsigned client, struct spec who)
{
    who.name = BYTES("/");
    world_do(w, (struct command){.verb = ATTACH, .spec = spec_create(&who)}, client, 0);
}

static void begin(struct world *w, unsigned rights)
{
    static const char *const queues[] = {"own-q", "foreign-q"}, *const exchanges[] = {"own-x", "foreign-x", "own-t"};
    world_init(w);
    grant(w, "ann", rights);
    for (int i = 0; i < 2; i++)
        made(put(w, NULL, CHANGE_PUT, DEFINE_QUEUE, (struct spec){.name = bytes_of_string(queues[i])}));
    for (int i = 0; i < 3; i++)
        made(put(
            w, NULL, CHANGE_PUT, DEFINE_EXCHANGE,
            (struct spec){.name = bytes_of_string(exchanges[i]), .type = i < 2 ? BYTES("direct") : BYTES("topic")}));
    attach(w, CLIENT, (struct spec){.source = BYTES("ann"), .hidden = true}); /* no login: it is known */
    assert_int_equal(w->effects.events[w->effects.n - 1].what, DONE);
}

/* ---- What. */

struct deed {
    const char *what;
    enum change_kind kind;
    enum definition_class class;
    enum verb verb;
    struct bytes name, source, type, arguments;
    bool to_exchange;
};

static bool is_refusal(const struct event *e)
{
    return e->what == FAILED && (e->failed.reason == DENIED || e->failed.reason == RESERVED);
}

/* Is it refused to the client, and is it refused to who speaks for the same user? */
static void compare(const struct deed *d, unsigned rights)
{
    struct world client, desk;
    struct spec spec = {.name = d->name, .source = d->source, .type = d->type, .arguments = d->arguments};
    spec.to_exchange = d->to_exchange;
    spec.options = queue_options_none;
    begin(&client, rights);
    world_do(&client, (struct command){.verb = d->verb, .spec = spec_create(&spec)}, CLIENT, 0);
    const struct event *as_client = &client.effects.events[client.effects.n - 1];
    begin(&desk, rights);
    const struct event *as_user = put(&desk, "ann", d->kind, d->class, spec);
    if (is_refusal(as_client) != (as_user->what == FAILED))
        fail_msg("%s, rights %u: a client is %srefused, who speaks for it is %srefused", d->what, rights,
                 is_refusal(as_client) ? "" : "not ", as_user->what == FAILED ? "" : "not ");
    if (is_refusal(as_client)) {
        assert_string_equal(as_user->failed.text, as_client->failed.text);
        assert_int_equal(as_user->failed.reason, as_client->failed.reason);
    }
    world_fini(&client);
    world_fini(&desk);
}

TEST(a_change_takes_the_rights_that_a_client_needs_for_it)
{
    uint8_t room[2][ARGUMENTS_ROOM];
    struct pen dead = pen_over(room[0], sizeof room[0]), alternate = pen_over(room[1], sizeof room[1]);
    table_put_string(&dead, BYTES("x-dead-letter-exchange"), BYTES("foreign-x"));
    table_put_string(&alternate, BYTES("alternate-exchange"), BYTES("foreign-x"));
    const struct deed deeds[] = {
#define QUEUE(text, kind, verb, ...) {text, kind, DEFINE_QUEUE, verb, __VA_ARGS__}
#define EXCHANGE(text, kind, verb, ...)                                                                                \
    {                                                                                                                  \
        text, kind, DEFINE_EXCHANGE, verb, .type = BYTES("direct"), __VA_ARGS__                                        \
    }
#define BINDING(text, kind, verb, ...)                                                                                 \
    {                                                                                                                  \
        text, kind, DEFINE_BINDING, verb, __VA_ARGS__                                                                  \
    }
        QUEUE("declare own", CHANGE_PUT, DECLARE_QUEUE, .name = BYTES("own-none")),
        QUEUE("declare foreign", CHANGE_PUT, DECLARE_QUEUE, .name = BYTES("foreign-none")),
        QUEUE("declare one that is there", CHANGE_PUT, DECLARE_QUEUE, .name = BYTES("foreign-q")),
        QUEUE("declare reserved", CHANGE_PUT, DECLARE_QUEUE, .name = BYTES("amq.q")),
        QUEUE("declare with dead letters", CHANGE_PUT, DECLARE_QUEUE, .name = BYTES("own-none"),
              .arguments = pen_written(&dead)),
        QUEUE("delete own", CHANGE_REMOVE, DELETE_QUEUE, .name = BYTES("own-q")),
        QUEUE("delete foreign", CHANGE_REMOVE, DELETE_QUEUE, .name = BYTES("foreign-q")),
        QUEUE("delete what is not there", CHANGE_REMOVE, DELETE_QUEUE, .name = BYTES("foreign-none")),
        QUEUE("purge own", CHANGE_PURGE, PURGE_QUEUE, .name = BYTES("own-q")),
        QUEUE("purge foreign", CHANGE_PURGE, PURGE_QUEUE, .name = BYTES("foreign-q")),
        EXCHANGE("declare own exchange", CHANGE_PUT, DECLARE_EXCHANGE, .name = BYTES("own-none")),
        EXCHANGE("declare foreign exchange", CHANGE_PUT, DECLARE_EXCHANGE, .name = BYTES("foreign-none")),
        EXCHANGE("declare the default exchange", CHANGE_PUT, DECLARE_EXCHANGE, .name = BYTES("")),
        EXCHANGE("declare with an alternate", CHANGE_PUT, DECLARE_EXCHANGE, .name = BYTES("own-none"),
                 .arguments = pen_written(&alternate)),
        EXCHANGE("delete own exchange", CHANGE_REMOVE, DELETE_EXCHANGE, .name = BYTES("own-x")),
        EXCHANGE("delete foreign exchange", CHANGE_REMOVE, DELETE_EXCHANGE, .name = BYTES("foreign-x")),
        EXCHANGE("delete the default exchange", CHANGE_REMOVE, DELETE_EXCHANGE, .name = BYTES("")),
        EXCHANGE("delete the broker's exchange", CHANGE_REMOVE, DELETE_EXCHANGE, .name = BYTES("amq.direct")),
        BINDING("bind own", CHANGE_PUT, BIND, .source = BYTES("own-x"), .name = BYTES("own-q")),
        BINDING("bind foreign queue", CHANGE_PUT, BIND, .source = BYTES("own-x"), .name = BYTES("foreign-q")),
        BINDING("bind foreign exchange", CHANGE_PUT, BIND, .source = BYTES("foreign-x"), .name = BYTES("own-q")),
        BINDING("bind the default exchange", CHANGE_PUT, BIND, .source = BYTES(""), .name = BYTES("own-q")),
        BINDING("bind exchanges", CHANGE_PUT, BIND, .source = BYTES("own-x"), .name = BYTES("own-t"),
                .to_exchange = true),
        BINDING("unbind foreign exchange", CHANGE_REMOVE, UNBIND, .source = BYTES("foreign-x"), .name = BYTES("own-q")),
        BINDING("unbind own", CHANGE_REMOVE, UNBIND, .source = BYTES("own-x"), .name = BYTES("own-q")),
    };
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        for (unsigned rights = 0; rights < SETS; rights++)
            compare(&deeds[i], rights);
}

TEST(a_binding_takes_the_right_to_its_key)
{
    struct world w;
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    begin(&w, SETS - 1);
    table_put_string(&p, BYTES("write"), BYTES("^$"));
    table_put_string(&p, BYTES("read"), BYTES("^own\\."));
    made(put(&w, NULL, CHANGE_PUT, DEFINE_TOPIC_PERMISSION,
             (struct spec){.name = BYTES("ann"), .key = BYTES("own-t"), .arguments = pen_written(&p)}));
    struct spec spec = {.source = BYTES("own-t"), .name = BYTES("own-q"), .key = BYTES("own.k")};
    made(put(&w, "ann", CHANGE_PUT, DEFINE_BINDING, spec));
    spec.key = BYTES("foreign.k");
    assert_int_equal(put(&w, "ann", CHANGE_PUT, DEFINE_BINDING, spec)->failed.reason, DENIED);
    world_fini(&w);
}

TEST(who_has_no_permission_in_a_virtual_host_changes_nothing_there)
{
    struct world w;
    begin(&w, SETS - 1);
    made(put(&w, NULL, CHANGE_PUT, DEFINE_USER, (struct spec){.name = BYTES("bob")}));
    const struct event *e = put(&w, "bob", CHANGE_PUT, DEFINE_QUEUE, (struct spec){.name = BYTES("own-none")});
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, NO_ACCESS);
    e = put(&w, "nobody", CHANGE_REMOVE, DEFINE_QUEUE, (struct spec){.name = BYTES("own-q")});
    assert_int_equal(e->failed.reason, NO_ACCESS);
    world_fini(&w);
}

TEST(a_queue_is_paused_by_who_could_delete_it)
{
    struct world w;
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_bool(&p, BYTES("value"), true);
    struct spec own = {.type = BYTES("paused-queue"), .name = BYTES("own-q"), .arguments = pen_written(&p)};
    struct spec foreign = own;
    foreign.name = BYTES("foreign-q");
    begin(&w, 1 << RIGHT_CONFIGURE);
    made(put(&w, "ann", CHANGE_PUT, DEFINE_PARAMETER, own));
    assert_int_equal(put(&w, "ann", CHANGE_PUT, DEFINE_PARAMETER, foreign)->failed.reason, DENIED);
    world_fini(&w);
}

TEST(a_change_of_arguments_takes_the_rights_of_a_declaration)
{
    struct world w;
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("x-dead-letter-exchange"), BYTES("foreign-x"));
    begin(&w, SETS - 1);
    const struct spec spec = {.name = BYTES("own-q"), .arguments = pen_written(&p)};
    const struct event *e = put(&w, "ann", CHANGE_UPDATE, DEFINE_QUEUE, spec);
    assert_int_equal(e->failed.reason, DENIED);
    assert_string_equal(e->failed.text, "write access to exchange 'foreign-x' in vhost '/' refused for user 'ann'");
    world_fini(&w);
}

/* ---- Messages. */

/* Three are published to own-q, with that key. */
static void fill(struct world *w, const char *key)
{
    for (int i = 0; i < 3; i++) {
        struct message *m = message_create(&(struct message_spec){
            .exchange = BYTES("own-t"), .routing_key = bytes_of_string(key), .expiration_ms = MESSAGE_NO_EXPIRATION});
        world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, VISIT, 0);
    }
}

static const struct event *move(struct world *w, struct move what)
{
    what.vhost = BYTES("/");
    what.user = BYTES("ann");
    return say(w, (struct command){.verb = MOVE, .move = move_create(&what)});
}

static bool may_move(unsigned rights, struct move what)
{
    struct world w;
    begin(&w, rights);
    const struct event *e = move(&w, what);
    bool may = e->what == DONE;
    if (!may)
        assert_int_equal(e->failed.reason, DENIED);
    world_fini(&w);
    return may;
}

TEST(a_move_reads_the_one_and_writes_to_the_other)
{
    const unsigned read = 1 << RIGHT_READ, write = 1 << RIGHT_WRITE;
    for (unsigned rights = 0; rights < SETS; rights++) {
        bool reads = (rights & read) != 0, both = reads && (rights & write) != 0;
        const struct move to_queue = {.to = MOVE_TO_QUEUE, .queue = BYTES("own-q"), .key = BYTES("foreign-q")};
        const struct move to_own = {.to = MOVE_TO_EXCHANGE, .queue = BYTES("own-q"), .exchange = BYTES("own-x")};
        const struct move to_foreign = {
            .to = MOVE_TO_EXCHANGE, .queue = BYTES("own-q"), .exchange = BYTES("foreign-x")};
        const struct move from_foreign = {.to = MOVE_TO_QUEUE, .queue = BYTES("foreign-q"), .key = BYTES("own-q")};
        const struct move to_nothing = {.to = MOVE_TO_NOTHING, .queue = BYTES("own-q")};
        assert_int_equal(may_move(rights, to_queue), both);
        assert_int_equal(may_move(rights, to_own), both);
        assert_false(may_move(rights, to_foreign));
        assert_false(may_move(rights, from_foreign));
        assert_int_equal(may_move(rights, to_nothing), reads);
    }
}

TEST(a_move_is_no_way_round_a_topic_permission)
{
    struct world w;
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    begin(&w, SETS - 1);
    attach(&w, VISIT, (struct spec){.hidden = true});
    table_put_string(&p, BYTES("write"), BYTES("^own\\."));
    table_put_string(&p, BYTES("read"), BYTES(".*"));
    made(put(&w, NULL, CHANGE_PUT, DEFINE_TOPIC_PERMISSION,
             (struct spec){.name = BYTES("ann"), .key = BYTES("own-t"), .arguments = pen_written(&p)}));
    made(put(&w, NULL, CHANGE_PUT, DEFINE_BINDING,
             (struct spec){.source = BYTES("own-t"), .name = BYTES("own-q"), .key = BYTES("#")}));
    fill(&w, "foreign.k");
    const struct move what = {.to = MOVE_TO_EXCHANGE, .queue = BYTES("own-q"), .exchange = BYTES("own-t")};
    const struct event *e = move(&w, what);
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->done.move->moved, 0);
    assert_string_equal(e->done.move->stopped,
                        "write access to topic 'foreign.k' in exchange 'own-t' in vhost '/' refused for user 'ann'");
    world_fini(&w);
}

static const struct event *look(struct world *w, const char *user, const char *queue)
{
    const struct bytes vhost = BYTES("/"), name = bytes_of_string(queue);
    struct inspection *i = inspection_create(INSPECT_MESSAGES, &vhost, &name);
    i->user = user != NULL ? str_copy(bytes_of_string(user)) : NULL;
    return say(w, (struct command){.verb = INSPECT, .inspection = i});
}

TEST(who_looks_at_messages_needs_to_read_the_queue)
{
    struct world w;
    begin(&w, 1 << RIGHT_READ);
    assert_int_equal(look(&w, "ann", "own-q")->what, DONE);
    assert_int_equal(look(&w, "ann", "foreign-q")->failed.reason, DENIED);
    assert_int_equal(look(&w, "ann", "foreign-none")->failed.reason, DENIED);
    assert_int_equal(look(&w, "bob", "own-q")->failed.reason, DENIED);
    assert_int_equal(look(&w, NULL, "foreign-q")->what, DONE);
    world_fini(&w);
}

/* ---- The machine's administrator. */

static size_t rows(struct world *w, enum inspection_kind what)
{
    const struct bytes vhost = BYTES("/");
    bool is_all = what == INSPECT_USERS;
    const struct event *e =
        say(w, (struct command){.verb = INSPECT, .inspection = inspection_create(what, is_all ? NULL : &vhost, NULL)});
    assert_int_equal(e->what, DONE);
    return e->done.inspection->n;
}

TEST(the_administrator_of_the_machine_has_all_rights_and_is_in_no_list)
{
    struct world w;
    begin(&w, 0);
    size_t users = rows(&w, INSPECT_USERS), permissions = rows(&w, INSPECT_PERMISSIONS),
           connections = rows(&w, INSPECT_CONNECTIONS), channels = rows(&w, INSPECT_CHANNELS);
    attach(&w, VISIT, (struct spec){.hidden = true});
    assert_int_equal(w.effects.events[w.effects.n - 1].what, DONE);
    struct spec spec = {.name = BYTES("foreign-none"), .options = queue_options_none};
    world_do(&w, (struct command){.verb = DECLARE_QUEUE, .spec = spec_create(&spec)}, VISIT, 0);
    assert_int_equal(w.effects.events[w.effects.n - 1].what, DONE);
    assert_int_equal(rows(&w, INSPECT_USERS), users);
    assert_int_equal(rows(&w, INSPECT_PERMISSIONS), permissions);
    assert_int_equal(rows(&w, INSPECT_CONNECTIONS), connections);
    assert_int_equal(rows(&w, INSPECT_CHANNELS), channels);
    world_do(&w, (struct command){.verb = DETACH}, VISIT, 0);
    assert_int_equal(w.effects.events[w.effects.n - 1].what, DETACHED);
    world_fini(&w);
}

TEST(the_machines_administrator_goes_with_the_virtual_host)
{
    struct world w;
    begin(&w, 0);
    attach(&w, VISIT, (struct spec){.hidden = true});
    world_forget(&w);
    const struct event *e = put(&w, NULL, CHANGE_REMOVE, DEFINE_VHOST, (struct spec){.name = BYTES("/")});
    assert_int_equal(e->what, DONE);
    unsigned expelled = 0;
    for (size_t i = 0; i < w.effects.n; i++)
        expelled += w.effects.events[i].what == EXPELLED && w.effects.events[i].to.outlet.slot == VISIT;
    assert_int_equal(expelled, 1);
    world_do(&w, (struct command){.verb = DETACH}, VISIT, 0);
    world_fini(&w);
}

TEST(nobody_who_logs_in_is_the_machines_administrator)
{
    struct world w;
    begin(&w, 0);
    attach(&w, VISIT, (struct spec){.source = BYTES("")});
    assert_int_equal(w.effects.events[w.effects.n - 1].what, FAILED);
    assert_int_equal(w.effects.events[w.effects.n - 1].failed.reason, NO_ACCESS);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_takes_the_rights_that_a_client_needs_for_it),
        cmocka_unit_test(a_binding_takes_the_right_to_its_key),
        cmocka_unit_test(who_has_no_permission_in_a_virtual_host_changes_nothing_there),
        cmocka_unit_test(a_queue_is_paused_by_who_could_delete_it),
        cmocka_unit_test(a_change_of_arguments_takes_the_rights_of_a_declaration),
        cmocka_unit_test(a_move_reads_the_one_and_writes_to_the_other),
        cmocka_unit_test(a_move_is_no_way_round_a_topic_permission),
        cmocka_unit_test(who_looks_at_messages_needs_to_read_the_queue),
        cmocka_unit_test(the_administrator_of_the_machine_has_all_rights_and_is_in_no_list),
        cmocka_unit_test(the_machines_administrator_goes_with_the_virtual_host),
        cmocka_unit_test(nobody_who_logs_in_is_the_machines_administrator),
    };
    return unit_main("model/rights", tests, argc, argv);
}
