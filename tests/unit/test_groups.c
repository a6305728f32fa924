#include "tests/unit/guest.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/groups.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { CONSUMERS = 4, GROUPS = 5, DELIVERIES_MAX = 20000 };

/* What is out, as this test sees it. */
struct seen {
    bool is_out;
    unsigned consumer, group, number;
    ticket ticket;
};

struct scene {
    struct world w;
    struct keepsake k;
    bool has_store;
    unsigned consumers; /* of which each has a client of its own */
    unsigned published; /* the number of the next message is its place among all */
    unsigned settled;
    unsigned last[GROUPS + 1]; /* the highest number of a group that was settled, plus one; the last: of none */
    struct seen out[DELIVERIES_MAX];
    unsigned n_out;
    uint64_t seed;
};

static unsigned pick(struct scene *s, unsigned n)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->seed >> 33) % n;
}

static void begin(struct scene *s, bool has_store)
{
    const struct broker_config c = {
        .memory_high = UINT64_MAX, .records = has_store, .window_bytes = 1, .window_messages = 8};
    *s = (struct scene){.has_store = has_store, .seed = 11};
    world_init_with(&s->w, &c);
    keepsake_init(&s->k);
    struct spec q = {.durable = true, .options = QUEUE_OPTIONS_NONE};
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("x-message-group-header"), BYTES("group"));
    q.arguments = pen_written(&p);
    queue_options_of_arguments(q.arguments, &q.options);
    world_queue(&s->w, 0, "q", &q);
    world_forget(&s->w);
}

static void serve(struct scene *s)
{
    struct load *l;
    if (!s->has_store)
        return;
    keepsake_take(&s->k, &s->w.effects.records);
    while ((l = keepsake_load(&s->k)) != NULL) {
        world_do(&s->w, (struct command){.verb = LOADED, .load = l}, 9, 0);
        keepsake_take(&s->k, &s->w.effects.records);
    }
}

static void end(struct scene *s)
{
    serve(s);
    world_fini(&s->w);
    keepsake_fini(&s->k);
    free(s);
}

/* The body is its number; group GROUPS is none. */
static void publish(struct scene *s, unsigned group)
{
    uint8_t room[256], headers[64];
    char body[16];
    struct pen h = pen_over(headers, sizeof headers), p = pen_over(room, sizeof room);
    table_put_i32(&h, BYTES("n"), (int32_t)group);
    if (group < GROUPS)
        table_put_i32(&h, BYTES("group"), (int32_t)group);
    struct properties properties = {.flags = PROPERTY_headers, .headers = pen_written(&h)};
    properties_encode(&p, &properties);
    snprintf(body, sizeof body, "%u", s->published++);
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = pen_written(&p),
                                                              .flags = MESSAGE_PERSISTENT | MESSAGE_HAS_HEADERS,
                                                              .body_size = strlen(body),
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of_string(body));
    world_do(&s->w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

static unsigned number_in(const struct message *m)
{
    unsigned n = 0;
    struct bytes b = message_body(m, 0);
    for (size_t i = 0; i < b.len; i++)
        n = n * 10 + (b.at[i] - '0');
    return n;
}

static unsigned group_in(const struct message *m)
{
    struct properties p;
    struct field f;
    CHECK(properties_decode(message_properties(m), &p) && table_find(p.headers, BYTES("n"), &f));
    return (unsigned)f.integer;
}

/* Nobody else has anything of its group, and nothing of it that comes before is still to come. */
static void judge(struct scene *s, const struct seen *d)
{
    if (d->group == GROUPS)
        return;
    assert_true(d->number >= s->last[d->group]);
    for (unsigned i = 0; i < s->n_out; i++)
        if (s->out[i].is_out && s->out[i].group == d->group)
            assert_int_equal(s->out[i].consumer, d->consumer);
}

static void look(struct scene *s)
{
    struct event *e;
    serve(s);
    while ((e = world_next(&s->w)) != NULL) {
        if (e->what != DELIVERED)
            continue;
        struct seen d = {.is_out = true,
                         .consumer = e->to.outlet.slot,
                         .number = number_in(e->delivered.msg),
                         .group = group_in(e->delivered.msg),
                         .ticket = e->delivered.ticket};
        judge(s, &d);
        CHECK(s->n_out < DELIVERIES_MAX);
        s->out[s->n_out++] = d;
    }
    world_forget(&s->w);
}

static void consume(struct scene *s, unsigned limit)
{
    if (s->consumers > 0)
        world_attach(&s->w, s->consumers);
    world_consume(&s->w, s->consumers, "q", 0, limit, false);
    s->consumers++;
    look(s);
}

static void settle(struct scene *s, struct seen *d, enum outcome outcome)
{
    d->is_out = false;
    if (outcome == ACCEPTED) {
        s->settled++;
        if (d->number >= s->last[d->group])
            s->last[d->group] = d->number + 1;
    }
    world_settle(&s->w, d->consumer, d->ticket, outcome);
    look(s);
}

/* One of those that are out, the oldest first; NULL: nothing is. */
static struct seen *oldest(struct scene *s)
{
    for (unsigned i = 0; i < s->n_out; i++)
        if (s->out[i].is_out)
            return &s->out[i];
    return NULL;
}

static struct seen *of(struct scene *s, unsigned number)
{
    struct seen *found = NULL;
    for (unsigned i = 0; i < s->n_out; i++)
        if (s->out[i].number == number && s->out[i].is_out)
            found = &s->out[i];
    CHECK(found != NULL);
    return found;
}

static struct scene *make(bool has_store)
{
    struct scene *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    begin(s, has_store);
    return s;
}

/* Consumers of every size that settle the oldest: everything arrives, each group in order with one at a time. */
static void everything_arrives(bool has_store)
{
    struct scene *s = make(has_store);
    struct seen *d;
    for (unsigned i = 0; i < CONSUMERS; i++)
        consume(s, 1 + i);
    for (unsigned i = 0; i < 3000; i++) {
        publish(s, pick(s, GROUPS + 1));
        look(s);
        for (unsigned n = pick(s, 3); n > 0 && (d = oldest(s)) != NULL; n--)
            settle(s, d, ACCEPTED);
    }
    while ((d = oldest(s)) != NULL)
        settle(s, d, ACCEPTED);
    assert_int_equal(s->settled, 3000);
    assert_int_equal(broker_totals(s->w.broker).messages_ready, 0);
    end(s);
}

TEST(everything_arrives_in_order_and_with_one_at_a_time)
{
    everything_arrives(false);
}

TEST(and_so_it_does_from_a_queue_that_is_cold)
{
    everything_arrives(true);
}

TEST(what_comes_back_takes_its_place_in_the_group)
{
    struct scene *s = make(false);
    consume(s, 2);
    consume(s, 1);
    for (unsigned i = 0; i < 4; i++)
        publish(s, 0);
    publish(s, 1);
    look(s);
    assert_int_equal(s->n_out, 3); /* 0, 1 and 4 */
    assert_int_equal(of(s, 1)->consumer, of(s, 0)->consumer);
    assert_int_not_equal(of(s, 4)->consumer, of(s, 0)->consumer);
    settle(s, of(s, 0), REQUEUED);
    assert_int_equal(of(s, 0)->consumer, of(s, 1)->consumer);
    assert_int_equal(s->n_out, 4);
    settle(s, of(s, 1), ACCEPTED);
    assert_int_equal(of(s, 2)->number, 2);
    end(s);
}

TEST(a_group_moves_when_nothing_of_it_is_out)
{
    struct scene *s = make(false);
    consume(s, 1);
    consume(s, 0);
    publish(s, 0);
    publish(s, 0);
    look(s);
    unsigned holder = of(s, 0)->consumer;
    if (holder == 1) { /* it takes both */
        settle(s, of(s, 0), ACCEPTED);
        settle(s, of(s, 1), ACCEPTED);
    } else {
        assert_int_equal(s->n_out, 1);
        s->out[0].is_out = false;
        world_detach(&s->w, 0);
        look(s);
        assert_int_equal(of(s, 0)->consumer, 1);
        assert_int_equal(of(s, 1)->consumer, 1);
    }
    end(s);
}

TEST(a_busy_group_does_not_hide_what_lies_behind_it)
{
    struct scene *s = make(true);
    consume(s, 1);
    consume(s, 1);
    for (unsigned i = 0; i < 400; i++) /* far more than a window */
        publish(s, 0);
    publish(s, 1);
    look(s);
    assert_int_equal(s->n_out, 2);
    assert_int_equal(of(s, 400)->group, 1);
    end(s);
}

/* What one more message costs must not depend on how many wait behind a busy consumer; counted in picks it would be a
 * loop: here it is only held that it ends. */
TEST(many_wait_behind_one)
{
    struct scene *s = make(false);
    consume(s, 1);
    consume(s, 1);
    for (unsigned i = 0; i < 2000; i++)
        publish(s, 0);
    look(s);
    for (unsigned i = 0; i < 2000; i++) {
        publish(s, 1);
        look(s);
        settle(s, of(s, 2000 + i), ACCEPTED);
    }
    assert_int_equal(s->settled, 2000);
    end(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_in_order_and_with_one_at_a_time),
        cmocka_unit_test(and_so_it_does_from_a_queue_that_is_cold),
        cmocka_unit_test(what_comes_back_takes_its_place_in_the_group),
        cmocka_unit_test(a_group_moves_when_nothing_of_it_is_out),
        cmocka_unit_test(a_busy_group_does_not_hide_what_lies_behind_it),
        cmocka_unit_test(many_wait_behind_one),
    };
    return unit_main("groups", tests, argc, argv);
}
