#include "tests/unit/office.h"

#include <stdio.h>

#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"
#include "tests/unit/unit.h"

struct event *office_say(struct world *w, struct command c)
{
    c.from = (struct origin){.outlet = {.slot = OFFICE_DESK, .generation = DESK_GENERATION}};
    c.cookie = w->cookie++;
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    broker_check(w->broker);
    return &w->effects.events[w->effects.n - 1];
}

struct event *office_alter(struct world *w, struct changes *all)
{
    return office_say(w, (struct command){.verb = ALTER, .changes = all});
}

struct bytes office_table(uint8_t *room, size_t size, const char *const *pairs)
{
    struct pen p = pen_over(room, size);
    for (; *pairs != NULL; pairs += 2)
        table_put_string(&p, bytes_of_string(pairs[0]), bytes_of_string(pairs[1]));
    return pen_written(&p);
}

enum change_outcome office_change(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec)
{
    struct changes *all = changes_create();
    changes_add(all, kind, what, spec_create(&spec));
    struct event *e = office_alter(w, all);
    assert_int_equal(e->what, DONE);
    return e->done.changes->at[0].outcome;
}

enum reason office_refusal(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec)
{
    struct changes *all = changes_create();
    changes_add(all, kind, what, spec_create(&spec));
    struct event *e = office_alter(w, all);
    assert_int_equal(e->what, FAILED);
    assert_non_null(e->failed.changes);
    return e->failed.reason;
}

void office_add_user(struct world *w, const char *name)
{
    assert_int_equal(office_change(w, CHANGE_PUT, DEFINE_USER, (struct spec){.name = bytes_of_string(name)}),
                     CHANGE_MADE);
}

struct spec office_permission(const char *user, struct bytes arguments)
{
    return (struct spec){.vhost = BYTES("/"), .name = bytes_of_string(user), .arguments = arguments};
}

enum change_outcome office_permit(struct world *w, const char *user, const char *configure, const char *write,
                                  const char *read)
{
    uint8_t room[512];
    const char *const pairs[] = {"configure", configure, "write", write, "read", read, NULL};
    return office_change(w, CHANGE_PUT, DEFINE_PERMISSION,
                         office_permission(user, office_table(room, sizeof room, pairs)));
}

void office_limit(struct world *w, enum definition_class what, const char *name, const char *key, int64_t n)
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
    office_change(w, CHANGE_PUT, what, s);
}

bool office_enter(struct world *w, unsigned client, const char *user, char *text)
{
    struct spec who = {.name = bytes_of_string(user)};
    world_do(w, (struct command){.verb = LOGIN, .spec = spec_create(&who)}, client, 0);
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, DONE);
    struct spec where = {.name = BYTES("/"), .source = bytes_of_string(user), .serial = e->done.spec->serial};
    world_do(w, (struct command){.verb = ATTACH, .spec = spec_create(&where)}, client, 0);
    e = &w->effects.events[w->effects.n - 1];
    if (e->what == FAILED && text != NULL)
        snprintf(text, OFFICE_TEXT_MAX, "%s", e->failed.text);
    return e->what == DONE;
}

const char *office_last_text(const struct world *w)
{
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, FAILED);
    return e->failed.text;
}

bool office_did(const struct world *w)
{
    return w->effects.events[w->effects.n - 1].what == DONE;
}

void office_reset(struct world *w, unsigned client)
{
    world_do(w, (struct command){.verb = RESET}, client, 0);
}

void office_declare(struct world *w, unsigned client, const char *queue)
{
    struct spec s = {.name = bytes_of_string(queue)};
    s.options = queue_options_none;
    world_do(w, (struct command){.verb = DECLARE_QUEUE, .spec = spec_create(&s)}, client, 0);
}

void office_publish(struct world *w, unsigned client, const char *exchange, const char *key)
{
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(exchange),
                                                              .routing_key = bytes_of_string(key),
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m, .confirm = true}}, client, 0);
}

bool office_has_published(const struct world *w)
{
    return w->effects.events[w->effects.n - 1].what == CONFIRMED;
}
