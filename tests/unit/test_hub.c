#define _GNU_SOURCE
#include "tests/unit/guest.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/net/hub.h"
#include "broker/port/inspection.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"

enum { LOOPS = 3, ECHOES = 5000, PATIENCE_MS = 10000 };

static const struct broker_config config = {.default_vhost = "/", .hash_seed = 1, .memory_high = UINT64_MAX};

static struct broker *broker_with_guest(const struct broker_config *c)
{
    struct broker *b = broker_create(c);
    guest_let_in(b);
    return b;
}

static void add(struct outbox *o, enum verb verb, uint32_t slot, uint64_t cookie)
{
    const struct origin from = {.outlet = {.slot = DESK_SLOTS + slot, .generation = 1}};
    struct command *c = outbox_add(o, verb, from, cookie);
    if (verb == ATTACH)
        c->spec = guest_attach();
}

TEST(without_threads_a_turn_is_three_calls)
{
    struct hub *h = hub_create(broker_with_guest(&config), NULL, 0);
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
        assert_int_equal((m->events[i].to.outlet.slot - DESK_SLOTS) % LOOPS, a->number);
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
    struct hub *h = hub_create(broker_with_guest(&config), NULL, LOOPS);
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
    struct hub *h = hub_create(broker_with_guest(&config), NULL, LOOPS);
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

/* A keeper that only counts. */
struct fake_keeper {
    uint64_t last, pending;
    size_t records;
};

static void fake_keep(void *arg, struct sheaf *records)
{
    struct fake_keeper *k = arg;
    assert_int_equal(records->last, k->last + records->n);
    k->last = records->last;
    k->records += records->n;
    sheaf_clear(records);
}

static uint64_t fake_pending(void *arg)
{
    const struct fake_keeper *k = arg;
    return k->pending;
}

struct kept_hub {
    struct fake_keeper keeper;
    struct lane lane;
    struct outbox outbox;
    struct hub *hub;
};

static void kept_init(struct kept_hub *k)
{
    const struct hub_keeper keeper = {
        .keep = fake_keep, .pending = fake_pending, .pending_max = 1000, .pending_easy = 500, .arg = &k->keeper};
    struct broker_config with_records = config;
    with_records.records = true;
    k->keeper = (struct fake_keeper){0};
    lane_init(&k->lane);
    outbox_init(&k->outbox);
    k->hub = hub_create(broker_with_guest(&with_records), &keeper, 0);
    hub_attach(k->hub, &k->lane);
}

static void kept_fini(struct kept_hub *k)
{
    lane_collect(&k->lane); /* the hub's own parcel */
    lane_fini(&k->lane);
    outbox_fini(&k->outbox);
    hub_destroy(k->hub);
}

/* A turn with what is in the outbox; forgets the events, and answers their cookies as digits in text. */
static struct effects *kept_turn(struct kept_hub *k, char text[16])
{
    struct batch *b = outbox_take(&k->outbox);
    hub_begin(k->hub);
    if (b != NULL) {
        hub_step(k->hub, b);
        outbox_give(&k->outbox, b);
    }
    struct effects *e = hub_end(k->hub);
    size_t n = e->n;
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)('0' + e->events[i].cookie);
        event_drop(&e->events[i]);
    }
    text[n] = '\0';
    return e;
}

static void kept_hear(struct kept_hub *k)
{
    struct parcel *p = lane_collect(&k->lane);
    assert_non_null(p);
    assert_null(p->next); /* however much there is to tell */
    assert_int_equal(p->kind, PARCEL_NEWS);
    hub_has_news(k->hub);
    assert_int_equal(hub_deadline(k->hub), 0);
}

TEST(what_must_be_durable_waits_and_comes_before_what_follows)
{
    struct kept_hub k;
    char went[16];
    kept_init(&k);
    add(&k.outbox, ATTACH, 0, 1);
    effects_clear(kept_turn(&k, went));
    const struct spec durable = {.name = BYTES("q"), .durable = true};
    add(&k.outbox, DECLARE_QUEUE, 0, 2);
    k.outbox.last->commands[0].spec = spec_create(&durable);
    add(&k.outbox, ECHO, 0, 3);
    uint64_t before = k.keeper.last;
    effects_clear(kept_turn(&k, went));
    assert_string_equal(went, "");
    assert_true(k.keeper.last > before); /* the keeper has it already */

    hub_tell_durable(k.hub, k.keeper.last - 1, k.keeper.last - 1);
    hub_tell_durable(k.hub, k.keeper.last, k.keeper.last);
    kept_hear(&k);
    add(&k.outbox, ECHO, 0, 4);
    effects_clear(kept_turn(&k, went));
    assert_string_equal(went, "234");
    kept_fini(&k);
}

/* A durable queue, and publishes to it that are confirmed. */
static void publish_persistently(struct kept_hub *k, unsigned n)
{
    char went[16];
    const struct spec durable = {.name = BYTES("q"), .durable = true, .options = QUEUE_OPTIONS_NONE};
    add(&k->outbox, ATTACH, 0, 1);
    add(&k->outbox, DECLARE_QUEUE, 0, 2);
    k->outbox.last->commands[1].spec = spec_create(&durable);
    effects_clear(kept_turn(k, went));
    for (unsigned i = 0; i < n; i++) {
        const struct message_spec spec = {.routing_key = BYTES("q"),
                                          .properties = bytes_of("\0\0", 2),
                                          .flags = MESSAGE_PERSISTENT,
                                          .expiration_ms = MESSAGE_NO_EXPIRATION};
        add(&k->outbox, PUBLISH, 0, 10 + i);
        k->outbox.last->commands[i].publish.msg = message_create(&spec);
        k->outbox.last->commands[i].publish.confirm = true;
    }
    effects_clear(kept_turn(k, went));
}

TEST(turns_and_what_confirms_wait_for_are_measured)
{
    enum { N = 5 };
    struct kept_hub k;
    char went[16];
    struct hub_measures m;
    kept_init(&k);
    publish_persistently(&k, N);
    hub_measure(k.hub, &m);
    assert_int_equal(m.turns_us.count, 2);
    assert_int_equal(m.batches, 2);
    assert_int_equal(m.commands, 2 + N);
    assert_int_equal(m.confirms_us.count, 0); /* they wait */
    hub_tell_durable(k.hub, k.keeper.last, k.keeper.last);
    kept_hear(&k);
    effects_clear(kept_turn(&k, went));
    hub_measure(k.hub, &m);
    assert_int_equal(m.confirms_us.count, N);
    assert_true(m.confirms_us.max <= m.confirms_us.sum);
    kept_fini(&k);
}

TEST(publishers_pause_while_too_much_is_pending)
{
    struct kept_hub k;
    char went[16];
    kept_init(&k);
    static const struct {
        uint64_t pending;
        unsigned alarms;
        bool has_changed;
    } steps[] = {{1000, 0, false}, {1001, ALARM_BUSY, true}, {501, ALARM_BUSY, false}, {500, 0, true}, {900, 0, false}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        k.keeper.pending = steps[i].pending;
        struct effects *e = kept_turn(&k, went);
        assert_int_equal(e->alarms, steps[i].alarms);
        assert_int_equal(e->alarms_changed, steps[i].has_changed);
        effects_clear(e);
    }
    kept_fini(&k);
}

TEST(the_disk_alarm_reaches_everybody)
{
    struct kept_hub k;
    char went[16];
    kept_init(&k);
    hub_tell_disk_alarm(k.hub, true);
    kept_hear(&k);
    struct effects *e = kept_turn(&k, went);
    assert_true(e->alarms_changed);
    assert_int_equal(e->alarms, ALARM_DISK);
    effects_clear(e);
    hub_tell_disk_alarm(k.hub, false);
    kept_hear(&k);
    e = kept_turn(&k, went);
    assert_true(e->alarms_changed);
    assert_int_equal(e->alarms, 0);
    effects_clear(e);
    kept_fini(&k);
}

TEST(what_nobody_hears_any_more_is_dropped)
{
    struct kept_hub k;
    kept_init(&k);
    hub_tell_loaded(k.hub, load_create(3));
    hub_tell_shutdown(k.hub);
    kept_fini(&k);
}

/* ---- The desk. */

/* One question of the desk's, with a client's before and behind it. */
static void ask_as_desk(struct outbox *o)
{
    const struct origin desk = {.outlet = {.slot = 7, .generation = DESK_GENERATION}};
    outbox_add(o, INSPECT, desk, 99)->inspection = inspection_create(INSPECT_USERS, NULL, NULL);
}

static struct mail *next_mail(struct lane *l)
{
    for (;;) {
        struct parcel *p = lane_collect(l);
        if (p != NULL) {
            assert_null(p->next);
            return mail_of(p);
        }
        lane_wait(l, PATIENCE_MS);
    }
}

static void expect_users(const struct mail *m)
{
    assert_int_equal(m->loop, HUB_DESK);
    assert_int_equal(m->n, 1);
    assert_int_equal(m->events[0].what, DONE);
    assert_int_equal(m->events[0].verb, INSPECT);
    assert_int_equal(m->events[0].to.outlet.slot, 7);
    assert_int_equal(m->events[0].cookie, 99);
    assert_int_equal(m->events[0].done.inspection->n, 1);
}

TEST(a_desk_is_answered_in_its_own_lane_and_has_its_batches_back)
{
    struct hub *h = hub_create(broker_with_guest(&config), NULL, LOOPS);
    struct lane lane, desk, *lanes[LOOPS] = {&lane, &lane, &lane};
    struct outbox o;
    lane_init(&lane);
    lane_init(&desk);
    outbox_init(&o);
    hub_seat(h, &desk);
    hub_start(h, lanes);
    for (unsigned i = 0; i < 3; i++) {
        ask_as_desk(&o);
        struct mail *m = mail_create(HUB_DESK);
        m->batches = outbox_take(&o);
        lane_post(hub_inbox(h), &m->parcel);
        m = next_mail(&desk);
        expect_users(m);
        assert_non_null(m->batches);
        assert_null(m->batches->next);
        assert_int_equal(m->batches->n, 0);
        mail_destroy(m);
    }
    assert_null(lane_collect(&lane));
    hub_stop(h);
    hub_destroy(h);
    lane_fini(&lane);
    lane_fini(&desk);
    outbox_fini(&o);
}

TEST(without_threads_the_loop_passes_on_what_the_desk_is_told)
{
    struct hub *h = hub_create(broker_with_guest(&config), NULL, 0);
    struct lane desk;
    struct outbox o;
    lane_init(&desk);
    outbox_init(&o);
    hub_seat(h, &desk);
    ask_as_desk(&o);
    struct batch *b = outbox_take(&o);
    hub_begin(h);
    hub_step(h, b);
    struct effects *e = hub_end(h);
    assert_int_equal(e->n, 1);
    assert_int_equal(e->events[0].to.outlet.generation, DESK_GENERATION);
    hub_answer_desk(h, &e->events[0]);
    effects_clear(e);
    assert_null(lane_collect(&desk));
    hub_post_desk(h);
    struct mail *m = next_mail(&desk);
    expect_users(m);
    mail_destroy(m);
    hub_post_desk(h);
    assert_null(lane_collect(&desk)); /* there is nothing more */
    outbox_give(&o, b);
    outbox_fini(&o);
    hub_destroy(h);
    lane_fini(&desk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_threads_a_turn_is_three_calls),
        cmocka_unit_test(with_threads_answers_and_empty_batches_come_home_in_order),
        cmocka_unit_test(what_is_under_way_when_it_stops_is_dropped),
        cmocka_unit_test(what_must_be_durable_waits_and_comes_before_what_follows),
        cmocka_unit_test(turns_and_what_confirms_wait_for_are_measured),
        cmocka_unit_test(publishers_pause_while_too_much_is_pending),
        cmocka_unit_test(the_disk_alarm_reaches_everybody),
        cmocka_unit_test(what_nobody_hears_any_more_is_dropped),
        cmocka_unit_test(a_desk_is_answered_in_its_own_lane_and_has_its_batches_back),
        cmocka_unit_test(without_threads_the_loop_passes_on_what_the_desk_is_told),
    };
    return unit_main("net/hub", tests, argc, argv);
}
