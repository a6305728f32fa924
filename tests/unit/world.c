#include "tests/unit/world.h"

#include "tests/unit/guest.h"
#include "tests/unit/unit.h"

#include "base/check.h"

#include "broker/port/message.h"
#include "broker/port/queue_options.h"

void world_init(struct world *w)
{
    world_init_with(w, &(struct broker_config){.memory_high = UINT64_MAX});
}

void world_init_with(struct world *w, const struct broker_config *config)
{
    struct broker_config c = *config;
    c.default_vhost = "/";
    c.hash_seed = config->hash_seed != 0 ? config->hash_seed : 7;
    *w = (struct world){.now = {.ms = 1000, .wall_ms = 1700000000000}, .cookie = 1};
    effects_init(&w->effects);
    w->broker = broker_create(&c);
    guest_let_in(w->broker);
    world_attach(w, 0);
}

void world_fini(struct world *w)
{
    broker_check(w->broker);
    effects_fini(&w->effects);
    broker_destroy(w->broker);
}

static outlet_id client_id(unsigned client)
{
    return (outlet_id){.slot = client, .generation = 1};
}

uint64_t world_do(struct world *w, struct command c, unsigned client, unsigned stream)
{
    c.from = (struct origin){.outlet = client_id(client), .stream = (uint16_t)stream};
    c.cookie = w->cookie++;
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    broker_check(w->broker);
    abacus_watch(&w->abacus, w->broker, &w->effects);
    abacus_check(&w->abacus, w->broker);
    return c.cookie;
}

void world_wait(struct world *w, uint64_t ms)
{
    w->now.ms += ms;
    w->now.wall_ms += ms;
    while (broker_deadline(w->broker) <= w->now.ms)
        broker_step(w->broker, &w->now, NULL, 0, &w->effects);
    broker_check(w->broker);
    abacus_watch(&w->abacus, w->broker, &w->effects);
    abacus_check(&w->abacus, w->broker);
}

struct event *world_next(struct world *w)
{
    return w->read < w->effects.n ? &w->effects.events[w->read++] : NULL;
}

void world_forget(struct world *w)
{
    abacus_forget(&w->abacus);
    for (size_t i = 0; i < w->effects.n; i++)
        event_drop(&w->effects.events[i]);
    w->effects.n = 0;
    w->effects.alarms_changed = false;
    w->read = 0;
}

static void expect_done(struct world *w)
{
    struct event *e;
    do {
        e = world_next(w);
        CHECK(e != NULL);
        if (e->what == FAILED)
            fail_msg("%s", e->failed.text);
    } while (e->what != DONE);
}

static struct bytes text(const char *s)
{
    return bytes_of_string(s);
}

void world_attach(struct world *w, unsigned client)
{
    struct spec *s = guest_attach();
    world_do(w, (struct command){.verb = ATTACH, .spec = s}, client, 0);
    expect_done(w);
}

void world_detach(struct world *w, unsigned client)
{
    world_do(w, (struct command){.verb = DETACH}, client, 0);
}

void world_queue(struct world *w, unsigned client, const char *name, const struct spec *options)
{
    static const struct spec none = {.options = QUEUE_OPTIONS_NONE};
    struct spec s = options != NULL ? *options : none;
    s.name = text(name);
    world_do(w, (struct command){.verb = DECLARE_QUEUE, .spec = spec_create(&s)}, client, 0);
    expect_done(w);
}

void world_exchange(struct world *w, const char *name, const char *type)
{
    struct spec *s = spec_create(&(struct spec){.name = text(name), .type = text(type)});
    world_do(w, (struct command){.verb = DECLARE_EXCHANGE, .spec = s}, 0, 0);
    expect_done(w);
}

void world_bind(struct world *w, const char *queue, const char *exchange, const char *key)
{
    struct spec *s = spec_create(&(struct spec){.name = text(queue), .source = text(exchange), .key = text(key)});
    world_do(w, (struct command){.verb = BIND, .spec = s}, 0, 0);
    expect_done(w);
}

void world_publish(struct world *w, const char *exchange, const char *key, const char *body)
{
    struct message *m = message_create(&(struct message_spec){.exchange = text(exchange),
                                                              .routing_key = text(key),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = strlen(body),
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, text(body));
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

void world_consume(struct world *w, unsigned client, const char *queue, unsigned consumer, unsigned limit, bool no_ack)
{
    struct spec *s = spec_create(&(struct spec){.name = text(queue), .no_ack = no_ack});
    world_do(w, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = s, .consumer = consumer, .limit = limit}},
             client, 0);
    expect_done(w);
}

void world_settle(struct world *w, unsigned client, ticket t, enum outcome outcome)
{
    world_do(w, (struct command){.verb = SETTLE, .settle = {.ticket = t, .outcome = outcome}}, client, 0);
}

ticket world_expect_delivery(struct world *w, unsigned consumer, const char *body, bool redelivered)
{
    struct event *e = world_next(w);
    CHECK(e != NULL);
    assert_int_equal(e->what, DELIVERED);
    assert_int_equal(e->delivered.consumer, consumer);
    assert_true(bytes_equal(message_body(e->delivered.msg, 0), text(body)));
    assert_int_equal(e->delivered.redelivered, redelivered);
    return e->delivered.ticket;
}

void world_expect_nothing(struct world *w)
{
    assert_null(world_next(w));
}

uint32_t world_count(struct world *w, const char *queue)
{
    struct spec *s = spec_create(&(struct spec){.name = text(queue), .passive = true});
    uint64_t cookie = world_do(w, (struct command){.verb = DECLARE_QUEUE, .spec = s}, 0, 0);
    struct event *e = &w->effects.events[w->effects.n - 1];
    assert_int_equal(e->what, DONE);
    assert_int_equal(e->cookie, cookie);
    w->read = w->effects.n;
    return e->done.messages;
}

struct message *world_get(struct world *w, const char *queue)
{
    struct spec *s = spec_create(&(struct spec){.name = text(queue), .no_ack = true});
    world_do(w, (struct command){.verb = GET, .spec = s}, 0, 0);
    struct event *e = &w->effects.events[w->effects.n - 1];
    w->read = w->effects.n;
    return e->what == GOT ? message_ref(e->delivered.msg) : NULL;
}
