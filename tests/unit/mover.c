#include "tests/unit/mover.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "broker/port/message.h"
#include "tests/unit/unit.h"

void mover_begin(struct pair *p)
{
    pair_init(p, &pair_narrow);
    world_attach(&p->w, 1);
    world_forget(&p->w);
}

void mover_restart(struct pair *p)
{
    pair_crash(p);
    world_attach(&p->w, 0);
    world_forget(&p->w);
}

struct queue_options mover_dying(const char *dead)
{
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.has_dead_letter_exchange = o.has_dead_letter_routing_key = true;
    o.dead_letter_routing_key = bytes_of_string(dead);
    return o;
}

void mover_publish_with(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t priority)
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

void mover_publish_to(struct pair *p, const char *exchange, const char *key, unsigned number)
{
    mover_publish_with(p, exchange, key, number, 0);
}

void mover_publish(struct pair *p, const char *queue, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        mover_publish_to(p, "", queue, i);
}

struct move *mover_ask(struct move from)
{
    from.vhost = BYTES("/");
    return move_create(&from);
}

struct event *mover_say(struct pair *p, struct move *m)
{
    struct command c = {.verb = MOVE, .move = m, .cookie = p->w.cookie++};
    c.from = (struct origin){.outlet = {.slot = 3, .generation = DESK_GENERATION}};
    broker_step(p->w.broker, &p->w.now, &c, 1, &p->w.effects);
    broker_check(p->w.broker);
    return &p->w.effects.events[p->w.effects.n - 1];
}

struct move *mover_do(struct pair *p, struct move *m)
{
    struct event *e = mover_say(p, m);
    if (e->what == FAILED)
        fail_msg("%s", e->failed.text);
    m = e->done.move;
    e->done.move = NULL;
    world_forget(&p->w);
    return m;
}

struct mover_sum mover_do_all(struct pair *p, struct move what)
{
    struct mover_sum s = {0};
    struct move *m = mover_ask(what);
    do {
        m = mover_do(p, m);
        s.moved += m->moved;
        s.kept += m->kept;
        s.commands++;
        pair_serve(p);
    } while (!m->is_over && s.commands < MOVER_PLENTY);
    CHECK(m->is_over);
    s.stopped = m->stopped;
    m->stopped = NULL;
    move_destroy(m);
    return s;
}

void mover_expect_failure(struct pair *p, struct move what, enum reason reason)
{
    const struct event *e = mover_say(p, mover_ask(what));
    assert_int_equal(e->what, FAILED);
    assert_int_equal(e->failed.reason, reason);
    world_forget(&p->w);
}

void mover_expect_numbers(struct pair *p, const char *name, unsigned from, unsigned to)
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

uint32_t mover_count(struct pair *p, const char *name)
{
    uint32_t n = world_count(&p->w, name);
    world_forget(&p->w);
    return n;
}

ticket mover_fetch(struct pair *p, const char *name)
{
    struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(name)});
    world_forget(&p->w);
    world_do(&p->w, (struct command){.verb = GET, .spec = s}, 0, 0);
    const struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == GOT);
    return e->delivered.ticket;
}

void mover_reject(struct pair *p, const char *name)
{
    world_settle(&p->w, 0, mover_fetch(p, name), REJECTED);
    world_forget(&p->w);
    pair_serve(p);
}
