#include "broker/model/expiring.h"
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"

/* A durable queue q with a window of few messages, and a naive store.  q is number 1. */
static void begin(struct pair *p, bool has_letters, uint64_t ttl_ms)
{
    struct spec spec = {.durable = true, .options = QUEUE_OPTIONS_NONE};
    pair_init(p, &pair_narrow);
    spec.options.message_ttl_ms = ttl_ms;
    if (has_letters) {
        spec.options.has_dead_letter_exchange = true;
        spec.options.dead_letter_exchange = BYTES("amq.fanout");
    }
    world_queue(&p->w, 0, "q", &spec);
    world_queue(&p->w, 0, "dead", &(struct spec){.durable = true, .options = QUEUE_OPTIONS_NONE});
    world_bind(&p->w, "dead", "amq.fanout", "");
    pair_take(p);
    world_forget(&p->w);
}

static unsigned serve(struct pair *p)
{
    unsigned n = 0;
    for (; pair_serve_one(p); n++)
        world_wait(&p->w, 0);
    return n;
}

static void publish(struct pair *p, unsigned number, uint64_t expiration_ms)
{
    struct message_spec like = {.routing_key = BYTES("q"), .flags = MESSAGE_PERSISTENT, .expiration_ms = expiration_ms};
    pair_publish_like(p, like, number);
}

static unsigned got(struct pair *p, const char *queue)
{
    struct message *m = world_get(&p->w, queue);
    CHECK(m != NULL);
    unsigned number = pair_number(m);
    message_unref(m);
    return number;
}

static struct queue *queue(struct pair *p)
{
    struct queue *q = queue_find_by_id(p->w.broker, 1);
    CHECK(q != NULL);
    return q;
}

/* The first are in memory and stay, of the others every second one is overdue. */
static void fill(struct pair *p)
{
    for (unsigned i = 0; i < 20; i++)
        publish(p, i, i >= PAIR_WINDOW && i % 2 == 1 ? 100 : MESSAGE_NO_EXPIRATION);
    serve(p);
}

TEST(what_is_cold_and_only_to_be_dropped_is_dropped_unread)
{
    struct pair p;
    begin(&p, false, SPEC_NONE);
    fill(&p);
    assert_int_equal(world_count(&p.w, "q"), 20);
    world_forget(&p.w);
    world_wait(&p.w, 99);
    assert_int_equal(p.w.effects.records.n, 0);
    world_wait(&p.w, 1);
    char *text = keepsake_spell(&p.w.effects.records, 0);
    assert_string_equal(text, "settle 1:5, settle 1:7, settle 1:9, settle 1:11, settle 1:13, settle 1:15, "
                              "settle 1:17, settle 1:19");
    free(text);
    assert_int_equal(world_count(&p.w, "q"), 12);
    assert_int_equal(queue(&p)->ready_bytes, 4 + 3 + 3 * 2 + 4);
    serve(&p);
    assert_int_equal(keepsake_count(&p.k, 1), 12);
    for (unsigned i = 0; i < 20; i++) {
        serve(&p);
        if (i < PAIR_WINDOW || i % 2 == 0)
            assert_int_equal(got(&p, "q"), i);
    }
    assert_null(world_get(&p.w, "q"));
    pair_fini(&p);
}

TEST(what_is_cold_and_to_be_dead_lettered_is_loaded_for_that)
{
    struct pair p;
    begin(&p, true, SPEC_NONE);
    fill(&p);
    world_wait(&p.w, 100);
    assert_int_equal(world_count(&p.w, "q"), 20); /* until it has come */
    assert_in_range(serve(&p), 1, 8);
    assert_int_equal(world_count(&p.w, "q"), 12);
    for (unsigned i = 5; i < 20; i += 2) {
        assert_int_equal(got(&p, "dead"), i);
        serve(&p);
    }
    for (unsigned i = 0; i < 20; i++) {
        serve(&p);
        if (i < PAIR_WINDOW || i % 2 == 0)
            assert_int_equal(got(&p, "q"), i);
    }
    assert_int_equal(keepsake_count(&p.k, 1), 0);
    pair_fini(&p);
}

TEST(a_cold_message_that_cannot_be_read_is_gone)
{
    struct pair p;
    begin(&p, true, SPEC_NONE);
    fill(&p);
    keepsake_lose(&p.k, 1, 7);
    world_wait(&p.w, 100);
    serve(&p);
    assert_int_equal(world_count(&p.w, "q"), 12);
    assert_int_equal(world_count(&p.w, "dead"), 7);
    pair_fini(&p);
}

TEST(a_purge_while_they_are_loaded_leaves_nothing)
{
    struct pair p;
    begin(&p, true, SPEC_NONE);
    fill(&p);
    world_wait(&p.w, 100);
    world_do(&p.w, (struct command){.verb = PURGE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0,
             0);
    for (unsigned i = 20; i < 30; i++)
        publish(&p, i, MESSAGE_NO_EXPIRATION);
    serve(&p);
    assert_int_equal(world_count(&p.w, "q"), 10);
    assert_int_equal(world_count(&p.w, "dead"), 0);
    assert_int_equal(keepsake_count(&p.k, 1), 10);
    pair_fini(&p);
}

/* All have the same TTL: deadlines rise with positions. */
TEST(a_queue_whose_messages_live_equally_long_pays_nothing)
{
    struct pair p;
    begin(&p, false, 1000);
    for (unsigned i = 0; i < 50; i++) {
        publish(&p, i, MESSAGE_NO_EXPIRATION);
        world_wait(&p.w, 1);
        assert_int_equal(queue(&p)->expiring.heap.capacity, 0);
        assert_null(queue(&p)->expiring.cold);
    }
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(got(&p, "q"), i);
        serve(&p);
    }
    assert_int_equal(queue(&p)->expiring.heap.capacity, 0);
    pair_fini(&p);
}

/* Against a naive account of who is alive: whatever lives is there, and nothing else, whenever all loads are answered.
 */
static void run(bool has_letters, uint64_t seed)
{
    enum { ALL = 300 };
    static uint64_t dies[ALL];
    struct pair p;
    uint64_t random = seed;
    begin(&p, has_letters, SPEC_NONE);
    for (unsigned n = 0; n < ALL; n++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint64_t ttl = (random >> 40) % 3 == 0 ? MESSAGE_NO_EXPIRATION : (random >> 33) % 500;
        dies[n] = ttl == MESSAGE_NO_EXPIRATION ? UINT64_MAX : p.w.now.ms + ttl;
        publish(&p, n, ttl);
        if ((random >> 50) % 4 == 0)
            world_wait(&p.w, (random >> 20) % 20);
        serve(&p);
        world_wait(&p.w, 0);
        serve(&p);
        unsigned alive = 0;
        for (unsigned i = 0; i <= n; i++)
            alive += dies[i] > p.w.now.ms;
        assert_int_equal(world_count(&p.w, "q"), alive);
        world_forget(&p.w);
    }
    for (unsigned i = 0; i < ALL; i++) {
        serve(&p);
        if (dies[i] > p.w.now.ms)
            assert_int_equal(got(&p, "q"), i);
    }
    assert_null(world_get(&p.w, "q"));
    pair_fini(&p);
}

TEST(whatever_lives_is_there_and_nothing_else)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(false, seed);
        run(true, seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cold_and_only_to_be_dropped_is_dropped_unread),
        cmocka_unit_test(what_is_cold_and_to_be_dead_lettered_is_loaded_for_that),
        cmocka_unit_test(a_cold_message_that_cannot_be_read_is_gone),
        cmocka_unit_test(a_purge_while_they_are_loaded_leaves_nothing),
        cmocka_unit_test(a_queue_whose_messages_live_equally_long_pays_nothing),
        cmocka_unit_test(whatever_lives_is_there_and_nothing_else),
    };
    return unit_main("expiring", tests, argc, argv);
}
