#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/net/hub.h"
#include "broker/port/spec.h"

enum { LOOPS = 3, ECHOES = 5000, PATIENCE_MS = 10000 };

static const struct broker_config config = {.default_vhost = "/", .hash_seed = 1, .memory_high = UINT64_MAX};

static void add(struct outbox *o, enum verb verb, uint32_t slot, uint64_t cookie)
{
    const struct origin from = {.outlet = {.slot = slot, .generation = 1}};
    struct command *c = outbox_add(o, verb, from, cookie);
    if (verb == ATTACH)
        c->spec = spec_create(&(struct spec){.name = BYTES("/"), .source = BYTES("guest")});
}

TEST(without_threads_a_turn_is_three_calls)
{
    struct hub *h = hub_create(&config, 0);
    struct outbox o;
    outbox_init(&o);
    add(&o, ATTACH, 0, 7);
    add(&o, ECHO, 0, 8);
    struct batch *b = outbox_take(&o);
    hub_begin(h);
    hub_step(h, b);
    assert_int_equal(b->n, 0);
    struct effects *e = hub_end(h);
    assert_int_equal(e->n, 2);
    assert_int_equal(e->events[0].cookie, 7);
    assert_int_equal(e->events[1].cookie, 8);
    for (size_t i = 0; i < e->n; i++)
        event_drop(&e->events[i]);
    effects_clear(e);
    outbox_give(&o, b);
    outbox_fini(&o);
    assert_int_equal(hub_deadline(h), UINT64_MAX);
    hub_destroy(h);
}

/* A loop that attaches one client and then asks for many answers, a batch of them at a time. */
struct asker {
    struct hub *hub;
    unsigned number;
    struct lane lane;
    struct outbox outbox;
    uint64_t answered, batches_out;
    pthread_t thread;
};

static void post(struct asker *a)
{
    struct mail *m = mail_create(a->number);
    m->batches = outbox_take(&a->outbox);
    for (const struct batch *b = m->batches; b != NULL; b = b->next)
        a->batches_out++;
    lane_post(hub_inbox(a->hub), &m->parcel);
}

static void open_mail(struct asker *a, struct mail *m)
{
    assert_int_equal(m->loop, a->number);
    for (size_t i = 0; i < m->n; i++) {
        assert_int_equal(m->events[i].what, DONE);
        assert_int_equal(m->events[i].to.outlet.slot % LOOPS, a->number);
        assert_int_equal(m->events[i].cookie, a->answered++);
        event_drop(&m->events[i]);
    }
    m->n = 0;
    for (struct batch *b; (b = m->batches) != NULL; a->batches_out--) {
        m->batches = b->next;
        assert_int_equal(b->n, 0);
        outbox_give(&a->outbox, b);
    }
    mail_destroy(m);
}

static void *ask(void *arg)
{
    struct asker *a = arg;
    add(&a->outbox, ATTACH, a->number + LOOPS, 0);
    for (uint64_t asked = 1; a->answered < ECHOES || a->batches_out > 0;) {
        for (unsigned i = 0; i < 300 && asked < ECHOES; i++)
            add(&a->outbox, ECHO, a->number + LOOPS, asked++);
        if (a->outbox.first != NULL)
            post(a);
        lane_wait(&a->lane, PATIENCE_MS);
        for (struct parcel *p = lane_collect(&a->lane), *next; p != NULL; p = next) {
            next = p->next;
            open_mail(a, mail_of(p));
        }
    }
    return NULL;
}

TEST(with_threads_answers_and_empty_batches_come_home_in_order)
{
    struct hub *h = hub_create(&config, LOOPS);
    static struct asker askers[LOOPS];
    struct lane *lanes[LOOPS];
    for (unsigned i = 0; i < LOOPS; i++) {
        askers[i] = (struct asker){.hub = h, .number = i};
        lane_init(&askers[i].lane);
        outbox_init(&askers[i].outbox);
        lanes[i] = &askers[i].lane;
    }
    hub_start(h, lanes);
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(askers[i].thread, NULL);
    hub_stop(h);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(askers[i].answered, ECHOES);
        lane_fini(&askers[i].lane);
        outbox_fini(&askers[i].outbox);
    }
    hub_destroy(h);
}

TEST(what_is_under_way_when_it_stops_is_dropped)
{
    struct hub *h = hub_create(&config, LOOPS);
    struct lane lane, *lanes[LOOPS] = {&lane, &lane, &lane};
    lane_init(&lane);
    struct outbox o;
    outbox_init(&o);
    hub_start(h, lanes);
    for (unsigned i = 0; i < 100; i++) {
        add(&o, ATTACH, i, 0);
        struct mail *m = mail_create(i % LOOPS);
        m->batches = outbox_take(&o);
        lane_post(hub_inbox(h), &m->parcel);
    }
    hub_stop(h);
    hub_destroy(h);
    for (struct parcel *p = lane_collect(&lane), *next; p != NULL; p = next) {
        next = p->next;
        mail_destroy(mail_of(p));
    }
    lane_fini(&lane);
    outbox_fini(&o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_threads_a_turn_is_three_calls),
        cmocka_unit_test(with_threads_answers_and_empty_batches_come_home_in_order),
        cmocka_unit_test(what_is_under_way_when_it_stops_is_dropped),
    };
    return unit_main("net/hub", tests, argc, argv);
}
