#include "tests/unit/guest.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>

#include "broker/model/route_recent.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { KEYS = 2000, QUEUES = 8 };

/* Where each key went. */
struct placement {
    unsigned at[KEYS];
    unsigned count[QUEUES];
};

static const char *queue_name(unsigned i)
{
    static const char *const names[QUEUES] = {"q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7"};
    return names[i];
}

static const char *key_name(unsigned i)
{
    static char key[16];
    snprintf(key, sizeof key, "user-%u", i);
    return key;
}

static void unbind(struct world *w, unsigned queue, const char *key)
{
    struct spec *s = spec_create(
        &(struct spec){.name = bytes_of_string(queue_name(queue)), .source = BYTES("x"), .key = bytes_of_string(key)});
    world_do(w, (struct command){.verb = UNBIND, .spec = s}, 0, 0);
}

/* Publishes each key once; each must have gone to one queue. */
static void place(struct world *w, struct placement *p)
{
    *p = (struct placement){0};
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned copies = 0;
        world_publish(w, "x", key_name(k), "");
        for (unsigned q = 0; q < QUEUES; q++) {
            struct message *m = world_get(w, queue_name(q));
            if (m == NULL)
                continue;
            message_unref(m);
            copies++;
            p->at[k] = q;
            p->count[q]++;
        }
        assert_int_equal(copies, 1);
        world_forget(w);
    }
}

static void setup(struct world *w, const char *type, uint64_t seed)
{
    world_init_with(w, &(struct broker_config){.memory_high = UINT64_MAX, .hash_seed = seed});
    world_exchange(w, "x", type);
    for (unsigned q = 0; q < QUEUES; q++)
        world_queue(w, 0, queue_name(q), NULL);
}

static bool is_about(unsigned count, double share)
{
    return count > KEYS * share * 0.8 && count < KEYS * share * 1.2;
}

TEST(weights_are_shares)
{
    static const char *const weights[] = {"1", "2", "1", "4"};
    struct world w;
    struct placement p;
    setup(&w, "x-consistent-hash", 1);
    for (unsigned q = 0; q < 4; q++)
        world_bind(&w, queue_name(q), "x", weights[q]);
    place(&w, &p);
    assert_true(is_about(p.count[0], 1.0 / 8));
    assert_true(is_about(p.count[1], 2.0 / 8));
    assert_true(is_about(p.count[2], 1.0 / 8));
    assert_true(is_about(p.count[3], 4.0 / 8));
    world_fini(&w);
}

TEST(what_need_not_move_stays)
{
    struct world w;
    struct placement all, less, again;
    setup(&w, "x-consistent-hash", 1);
    for (unsigned q = 0; q < QUEUES; q++)
        world_bind(&w, queue_name(q), "x", "3");
    place(&w, &all);
    unbind(&w, 2, "3");
    place(&w, &less);
    for (unsigned k = 0; k < KEYS; k++)
        assert_true(less.at[k] == all.at[k] || all.at[k] == 2);
    for (unsigned q = 0; q < QUEUES; q++)
        assert_true(q == 2 || is_about(less.count[q], 1.0 / (QUEUES - 1)));
    world_bind(&w, queue_name(2), "x", "3");
    place(&w, &again);
    assert_memory_equal(&again, &all, sizeof all);
    world_fini(&w);
}

TEST(neither_the_process_nor_the_order_of_bindings_matters)
{
    static const char *const types[] = {"x-consistent-hash", "x-modulus-hash"};
    for (unsigned t = 0; t < 2; t++) {
        struct world w;
        struct placement one, other;
        setup(&w, types[t], 1);
        for (unsigned q = 0; q < QUEUES; q++)
            world_bind(&w, queue_name(q), "x", "1");
        place(&w, &one);
        world_fini(&w);
        setup(&w, types[t], 99);
        for (unsigned q = QUEUES; q-- > 0;)
            world_bind(&w, queue_name(q), "x", "1");
        place(&w, &other);
        assert_memory_equal(&one, &other, sizeof one);
        world_fini(&w);
    }
}

TEST(of_two_weights_the_first_counts)
{
    struct world w;
    struct placement p;
    setup(&w, "x-consistent-hash", 1);
    world_bind(&w, "q0", "x", "1");
    world_bind(&w, "q1", "x", "1");
    world_bind(&w, "q1", "x", "9");
    place(&w, &p);
    assert_true(is_about(p.count[1], 1.0 / 2));
    unbind(&w, 1, "9"); /* which never counted */
    unbind(&w, 0, "1");
    world_bind(&w, "q0", "x", "1");
    place(&w, &p);
    assert_true(is_about(p.count[1], 1.0 / 2));
    world_bind(&w, "q1", "x", "9");
    unbind(&w, 1, "1");
    place(&w, &p);
    assert_true(is_about(p.count[1], 9.0 / 10));
    world_fini(&w);
}

TEST(chance_is_even)
{
    static const char *const types[] = {"x-random", "x-local-random"};
    for (unsigned t = 0; t < 2; t++) {
        struct world w;
        struct placement p;
        setup(&w, types[t], 1);
        for (unsigned q = 0; q < 5; q++)
            world_bind(&w, queue_name(q), "x", "");
        unbind(&w, 0, "");
        place(&w, &p);
        assert_int_equal(p.count[0], 0);
        for (unsigned q = 1; q < 5; q++)
            assert_true(is_about(p.count[q], 1.0 / 4));
        world_fini(&w);
    }
}

/* ---- X-recent-history. */

static void recent(struct world *w, const char *name, int64_t length, uint64_t memory_high)
{
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    world_init_with(w, &(struct broker_config){.memory_high = memory_high, .records = true});
    table_put_i64(&p, BYTES("x-recent-history-length"), length);
    struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(name),
                                                .type = BYTES("x-recent-history"),
                                                .durable = true,
                                                .arguments = pen_written(&p)});
    world_do(w, (struct command){.verb = DECLARE_EXCHANGE, .spec = s}, 0, 0);
    world_forget(w);
}

static void publish_large(struct world *w, const char *exchange, bool persistent)
{
    static const uint8_t body[1000];
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(exchange),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = sizeof body,
                                                              .flags = persistent ? MESSAGE_PERSISTENT : 0,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of(body, sizeof body));
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
}

static unsigned count(struct world *w, const char *queue)
{
    unsigned n = 0;
    for (struct message *m; (m = world_get(w, queue)) != NULL; n++)
        message_unref(m);
    world_forget(w);
    return n;
}

/* What it keeps would raise the alarm, which nobody could clear. */
TEST(histories_have_a_share_of_memory_and_no_more)
{
    struct world w;
    recent(&w, "x", INT64_MAX, 100000);
    for (unsigned i = 0; i < 1000; i++)
        publish_large(&w, "x", false);
    assert_int_equal(w.effects.alarms, 0);
    world_queue(&w, 0, "q", NULL);
    world_bind(&w, "q", "x", "");
    unsigned kept = count(&w, "q");
    assert_true(kept > 5 && kept <= 100000 / RECENT_SHARE / 1000);
    /* A second one has what is left, which is nothing: it keeps nothing, and the first still has its own. */
    world_exchange(&w, "y", "x-recent-history");
    publish_large(&w, "y", false);
    publish_large(&w, "y", false);
    world_queue(&w, 0, "r", NULL);
    world_bind(&w, "r", "y", "");
    assert_true(count(&w, "r") <= 1);
    world_bind(&w, "r", "x", "");
    assert_true(count(&w, "r") >= kept - 1);
    /* When that one goes there is room. */
    struct spec *s = spec_create(&(struct spec){.name = BYTES("x")});
    world_do(&w, (struct command){.verb = DELETE_EXCHANGE, .spec = s}, 0, 0);
    publish_large(&w, "y", false);
    publish_large(&w, "y", false);
    assert_int_equal(count(&w, "r"), 2);
    world_fini(&w);
}

/* A new binding is given them in one step, and a publisher does not look at all of them. */
TEST(a_history_has_an_end_whatever_length_it_is_to_have)
{
    struct world w;
    recent(&w, "x", INT64_MAX, UINT64_MAX);
    for (unsigned i = 0; i < RECENT_LENGTH_MAX + 5; i++) {
        publish_large(&w, "x", false);
        world_forget(&w);
    }
    world_queue(&w, 0, "q", NULL);
    world_bind(&w, "q", "x", "");
    assert_int_equal(count(&w, "q"), RECENT_LENGTH_MAX);
    world_fini(&w);
}

TEST(what_a_new_binding_is_given_is_as_durable_as_any_message)
{
    struct world w;
    recent(&w, "x", 2, UINT64_MAX);
    publish_large(&w, "x", true);
    publish_large(&w, "x", false);
    world_queue(&w, 0, "q", &(struct spec){.durable = true, .options = queue_options_none});
    size_t before = w.effects.records.n;
    world_bind(&w, "q", "x", "");
    unsigned publishes = 0;
    for (size_t i = before; i < w.effects.records.n; i++)
        publishes += w.effects.records.records[i].kind == RECORD_PUBLISH;
    assert_int_equal(publishes, 1);
    assert_int_equal(count(&w, "q"), 2);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_shares),
        cmocka_unit_test(what_need_not_move_stays),
        cmocka_unit_test(neither_the_process_nor_the_order_of_bindings_matters),
        cmocka_unit_test(of_two_weights_the_first_counts),
        cmocka_unit_test(chance_is_even),
        cmocka_unit_test(histories_have_a_share_of_memory_and_no_more),
        cmocka_unit_test(a_history_has_an_end_whatever_length_it_is_to_have),
        cmocka_unit_test(what_a_new_binding_is_given_is_as_durable_as_any_message),
    };
    return unit_main("route_hash", tests, argc, argv);
}
