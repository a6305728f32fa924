#include "tests/unit/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/unit/guest.h"
#include "tests/unit/unit.h"

const struct broker_config pair_narrow = {.memory_high = UINT64_MAX,
                                          .records = true,
                                          .window_bytes = 1,
                                          .window_messages = PAIR_WINDOW,
                                          .window_queue_bytes = 1 << 20};

void pair_init(struct pair *p, const struct broker_config *config)
{
    *p = (struct pair){.config = *config};
    world_init_with(&p->w, config);
    world_forget(&p->w);
    keepsake_init(&p->k);
}

void pair_take(struct pair *p)
{
    keepsake_take(&p->k, &p->w.effects.records);
}

bool pair_serve_one(struct pair *p)
{
    pair_take(p);
    struct load *l = keepsake_load(&p->k);
    if (l != NULL)
        world_do(&p->w, (struct command){.verb = LOADED, .load = l}, 9, 0);
    pair_take(p);
    return l != NULL;
}

unsigned pair_serve(struct pair *p)
{
    unsigned n = 0;
    while (pair_serve_one(p))
        n++;
    return n;
}

void pair_fini(struct pair *p)
{
    pair_serve(p);
    world_fini(&p->w);
    keepsake_fini(&p->k);
}

void pair_crash(struct pair *p)
{
    struct broker_config c = p->config;
    pair_take(p);
    world_forget(&p->w);
    broker_destroy(p->w.broker);
    keepsake_restart(&p->k);
    c.default_vhost = "/";
    p->w.broker = broker_create(&c);
    guest_let_in(p->w.broker);
    keepsake_restore(&p->k, p->w.broker);
    broker_check(p->w.broker);
}

void pair_queue(struct pair *p, const char *name, struct queue_options o)
{
    world_queue(&p->w, 0, name, &(struct spec){.durable = true, .options = o});
    pair_take(p);
    world_forget(&p->w);
}

void pair_publish_like(struct pair *p, struct message_spec like, unsigned number)
{
    char body[16];
    snprintf(body, sizeof body, "%u", number);
    like.properties = bytes_of("\0\0", 2);
    like.body_size = strlen(body);
    struct message *m = message_create(&like);
    message_fill(m, bytes_of_string(body));
    world_do(&p->w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

unsigned pair_number(const struct message *m)
{
    char body[16] = "";
    struct bytes b = message_body(m, 0);
    memcpy(body, b.at, b.len < sizeof body ? b.len : sizeof body - 1);
    return (unsigned)strtoul(body, NULL, 10);
}

void pair_expect_records(struct pair *p, const char *expected)
{
    char *text = keepsake_spell(&p->w.effects.records, 0);
    assert_string_equal(text, expected);
    free(text);
    pair_take(p);
}

/* ---- A queue q of numbered messages. */

void pair_publish_as(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t flags)
{
    pair_publish_like(p,
                      (struct message_spec){.exchange = bytes_of_string(exchange),
                                            .routing_key = bytes_of_string(key),
                                            .flags = flags,
                                            .expiration_ms = MESSAGE_NO_EXPIRATION},
                      number);
}

void pair_publish(struct pair *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        pair_publish_as(p, "", "q", i, MESSAGE_PERSISTENT);
}

uint32_t pair_count(struct pair *p)
{
    return world_count(&p->w, "q");
}

ticket pair_expect_number(struct pair *p, unsigned number, bool redelivered)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL && e->what == DELIVERED);
    assert_int_equal(pair_number(e->delivered.msg), number);
    assert_int_equal(e->delivered.redelivered, redelivered);
    return e->delivered.ticket;
}

void pair_get(struct pair *p, unsigned client)
{
    struct spec *s = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = true});
    world_do(&p->w, (struct command){.verb = GET, .spec = s}, client, 0);
}

void pair_expect_got(struct pair *p, unsigned client, unsigned number)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL);
    assert_int_equal(e->what, GOT);
    assert_int_equal(e->to.outlet.slot, client);
    assert_int_equal(pair_number(e->delivered.msg), number);
}

void pair_expect_what(struct pair *p, enum happening what)
{
    struct event *e = world_next(&p->w);
    CHECK(e != NULL);
    assert_int_equal(e->what, what);
}

void pair_purge(struct pair *p)
{
    world_do(&p->w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
}

void pair_delete_queue(struct pair *p)
{
    world_do(&p->w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
}

void pair_drain(struct pair *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        pair_get(p, 0);
        pair_expect_got(p, 0, i);
    }
}
