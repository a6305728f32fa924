/* broker/model/policy.c: which policies apply, how they are merged, and that they outlive the broker. */
#include "tests/unit/guest.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/model/queue.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { ROOM = 4096 };

static const struct queue_options plain = QUEUE_OPTIONS_NONE;
static const struct broker_config with_records = {.memory_high = UINT64_MAX, .records = true};

/* What a policy says: words and numbers by key; ends with a NULL key. */
struct said {
    const char *key;
    const char *word; /* NULL: the number */
    int64_t number;
};

static void put_policy(struct world *w, const char *component, const char *name, const char *pattern, int64_t priority,
                       const struct said *said)
{
    uint8_t room[ROOM];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *value = table_open(&p, BYTES("value"), 'F');
    table_put_string(&p, BYTES("pattern"), bytes_of_string(pattern));
    table_put_i64(&p, BYTES("priority"), priority);
    uint8_t *definition = table_open(&p, BYTES("definition"), 'F');
    for (; said->key != NULL; said++) {
        if (said->word != NULL)
            table_put_string(&p, bytes_of_string(said->key), bytes_of_string(said->word));
        else
            table_put_i64(&p, bytes_of_string(said->key), said->number);
    }
    table_close(&p, definition);
    table_close(&p, value);
    const struct spec spec = {.vhost = BYTES("/"),
                              .type = bytes_of_string(component),
                              .name = bytes_of_string(name),
                              .arguments = pen_written(&p)};
    struct changes *c = changes_create();
    changes_add(c, CHANGE_PUT, DEFINE_PARAMETER, spec_create(&spec));
    world_do(w, (struct command){.verb = ALTER, .changes = c}, 0, 0);
    world_forget(w);
}

static void remove_policy(struct world *w, const char *component, const char *name)
{
    const struct spec spec = {.vhost = BYTES("/"), .type = bytes_of_string(component), .name = bytes_of_string(name)};
    struct changes *c = changes_create();
    changes_add(c, CHANGE_REMOVE, DEFINE_PARAMETER, spec_create(&spec));
    world_do(w, (struct command){.verb = ALTER, .changes = c}, 0, 0);
    world_forget(w);
}

/* The row of a queue or an exchange, in to. */
static struct bytes row_of(struct world *w, enum inspection_kind what, const char *name, uint8_t *to)
{
    const struct bytes vhost = BYTES("/"), wanted = bytes_of_string(name);
    struct inspection *i = inspection_create(what, &vhost, &wanted);
    struct bytes row = {0};
    size_t at = 0;
    world_do(w, (struct command){.verb = INSPECT, .inspection = i}, 0, 0);
    struct event *e = world_next(w);
    while (e != NULL && !(e->what == DONE && e->verb == INSPECT))
        e = world_next(w);
    CHECK(e != NULL);
    assert_true(inspection_next(e->done.inspection, &at, &row));
    assert_true(row.len <= ROOM);
    memcpy(to, row.at, row.len);
    world_forget(w);
    return bytes_of(to, row.len);
}

static void expect_names(struct world *w, enum inspection_kind what, const char *name, const char *policy,
                         const char *operator_policy)
{
    uint8_t room[ROOM];
    struct bytes row = row_of(w, what, name, room);
    struct bytes is = table_find_string(row, "policy"), of = table_find_string(row, "operator_policy");
    assert_true(bytes_equal(is, bytes_of_string(policy)));
    assert_true(bytes_equal(of, bytes_of_string(operator_policy)));
}

static int64_t effective(struct world *w, const char *queue, const char *key)
{
    uint8_t room[ROOM];
    struct bytes row = row_of(w, INSPECT_QUEUES, queue, room);
    struct field definition, value;
    assert_true(table_find(row, BYTES("effective_policy_definition"), &definition));
    assert_true(table_find(definition.bytes, bytes_of_string(key), &value));
    assert_true(field_is_integer(&value));
    return value.integer;
}

static void start(struct world *w)
{
    world_init_with(w, &with_records);
    world_queue(w, 0, "q", &(struct spec){.durable = true, .options = plain});
    world_forget(w);
}

TEST(numbers_of_both_are_merged_by_the_rule_of_their_key)
{
    static const struct {
        const char *key;
        int64_t user, op, both;
    } rows[] = {
        {"message-ttl", 5, 7, 5},       {"message-ttl", 7, 5, 5},       {"expires", 5, 7, 5},
        {"max-length", 0, 7, 0},        {"max-length-bytes", 7, 5, 5},  {"max-in-memory-length", 7, 5, 5},
        {"delivery-limit", 7, 5, 5},    {"delivery-limit", -1, 5, 5},   {"delivery-limit", 7, -5, 7},
        {"delivery-limit", -1, -5, -1}, {"delayed-retry-min", 7, 5, 7}, {"delayed-retry-min", 5, 7, 7},
        {"delayed-retry-max", 7, 5, 5}, {"target-group-size", 3, 5, 5}, {"queue-version", 1, 2, 2},
    };
    struct world w;
    start(&w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_policy(&w, "policy", "p", "q", 0, (struct said[]){{rows[i].key, NULL, rows[i].user}, {0}});
        assert_int_equal(effective(&w, "q", rows[i].key), rows[i].user);
        put_policy(&w, "operator_policy", "o", "q", 0, (struct said[]){{rows[i].key, NULL, rows[i].op}, {0}});
        assert_int_equal(effective(&w, "q", rows[i].key), rows[i].both);
        remove_policy(&w, "policy", "p");
        assert_int_equal(effective(&w, "q", rows[i].key), rows[i].op);
        remove_policy(&w, "operator_policy", "o");
    }
    world_fini(&w);
}

TEST(keys_of_one_alone_are_all_there_and_the_operators_words_count)
{
    struct world w;
    uint8_t room[ROOM];
    struct field definition;
    start(&w);
    put_policy(&w, "policy", "p", "", 0,
               (struct said[]){{"max-length", NULL, 5}, {"overflow", "reject-publish", 0}, {0}});
    put_policy(&w, "operator_policy", "o", "", 0,
               (struct said[]){{"overflow", "drop-head", 0}, {"expires", NULL, 9}, {0}});
    struct bytes row = row_of(&w, INSPECT_QUEUES, "q", room);
    assert_true(table_find(row, BYTES("effective_policy_definition"), &definition));
    assert_true(bytes_equal(table_find_string(definition.bytes, "overflow"), BYTES("drop-head")));
    assert_int_equal(effective(&w, "q", "max-length"), 5);
    assert_int_equal(effective(&w, "q", "expires"), 9);
    world_fini(&w);
}

TEST(the_first_by_priority_and_name_applies_whatever_the_order_they_come_in)
{
    static const struct said some[] = {{"max-length", NULL, 5}, {0}};
    struct world w;
    start(&w);
    expect_names(&w, INSPECT_QUEUES, "q", "", "");
    put_policy(&w, "policy", "m", "^q", 0, some);
    expect_names(&w, INSPECT_QUEUES, "q", "m", "");
    put_policy(&w, "policy", "z", "^q", 0, some);
    expect_names(&w, INSPECT_QUEUES, "q", "m", "");
    put_policy(&w, "policy", "a", "^q", 0, some);
    expect_names(&w, INSPECT_QUEUES, "q", "a", "");
    put_policy(&w, "policy", "z", "^q", 1, some);
    expect_names(&w, INSPECT_QUEUES, "q", "z", "");
    put_policy(&w, "policy", "z", "^q", -1, some); /* the same, ranked lower: one that was there before applies */
    expect_names(&w, INSPECT_QUEUES, "q", "a", "");
    put_policy(&w, "policy", "a", "not", 0, some);
    expect_names(&w, INSPECT_QUEUES, "q", "m", "");
    remove_policy(&w, "policy", "m");
    expect_names(&w, INSPECT_QUEUES, "q", "z", "");
    put_policy(&w, "operator_policy", "o", "^.$", 0, some);
    expect_names(&w, INSPECT_QUEUES, "q", "z", "o");
    expect_names(&w, INSPECT_EXCHANGES, "amq.direct", "", "");
    put_policy(&w, "policy", "x", "^amq", 0, some);
    expect_names(&w, INSPECT_EXCHANGES, "amq.direct", "x", "");
    remove_policy(&w, "policy", "z");
    remove_policy(&w, "policy", "x");
    expect_names(&w, INSPECT_QUEUES, "q", "", "o");
    expect_names(&w, INSPECT_EXCHANGES, "amq.direct", "", "");
    world_fini(&w);
}

TEST(a_policy_with_a_key_of_other_queues_does_not_apply_to_a_stream)
{
    uint8_t room[ROOM];
    struct pen p = pen_over(room, sizeof room);
    struct world w;
    start(&w);
    table_put_string(&p, BYTES("x-queue-type"), BYTES("stream"));
    struct spec stream = {.durable = true, .arguments = pen_written(&p)};
    queue_options_of_arguments(stream.arguments, &stream.options);
    world_queue(&w, 0, "s", &stream);
    world_forget(&w);
    put_policy(&w, "policy", "ttl", "", 9,
               (struct said[]){{"message-ttl", NULL, 5}, {"max-length-bytes", NULL, 9}, {0}});
    put_policy(&w, "policy", "fits", "", 0, (struct said[]){{"max-age", "1h", 0}, {"max-length-bytes", NULL, 7}, {0}});
    expect_names(&w, INSPECT_QUEUES, "s", "fits", "");
    expect_names(&w, INSPECT_QUEUES, "q", "ttl", "");
    put_policy(&w, "operator_policy", "o", "", 0, (struct said[]){{"max-length", NULL, 5}, {0}});
    expect_names(&w, INSPECT_QUEUES, "s", "fits", "");
    expect_names(&w, INSPECT_QUEUES, "q", "ttl", "o");
    world_fini(&w);
}

/* Those that a change does not concern are not asked again, and those that come and go meanwhile agree with them. */
TEST(whatever_changes_every_queue_has_what_a_new_one_would_have)
{
    enum { QUEUES = 40, POLICIES = 6, ROUNDS = 300 };
    struct world w;
    unsigned seed = 12345;
    char name[32], pattern[32];
    uint8_t room[ROOM], other[ROOM];
    world_init_with(&w, &with_records);
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof name, "%u", i);
        world_queue(&w, 0, name, NULL);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        seed = seed * 1103515245 + 12345;
        unsigned number = seed >> 16;
        const char *component = number % 2 != 0 ? "policy" : "operator_policy";
        snprintf(name, sizeof name, "p%u", number / 2 % POLICIES);
        snprintf(pattern, sizeof pattern, "%u", number / 16 % 10);
        if (number / 256 % 3 == 0)
            remove_policy(&w, component, name);
        else
            put_policy(&w, component, name, pattern, number / 1024 % 3,
                       (struct said[]){{"max-length", NULL, round}, {0}});
        snprintf(name, sizeof name, "%u", number % QUEUES);
        struct bytes row = row_of(&w, INSPECT_QUEUES, name, room);
        struct spec gone = {.name = bytes_of_string(name)};
        world_do(&w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&gone)}, 0, 0);
        world_queue(&w, 0, name, NULL);
        struct bytes again = row_of(&w, INSPECT_QUEUES, name, other);
        assert_true(table_same_entries(row, again));
    }
    world_fini(&w);
}

TEST(a_pattern_that_runs_into_its_limit_does_not_apply)
{
    enum { QUEUES = 50 };
    struct world w;
    char name[64];
    world_init_with(&w, &with_records);
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%u", i);
        world_queue(&w, 0, name, NULL);
    }
    put_policy(&w, "policy", "evil", "^(a+)+$", 0, (struct said[]){{"max-length", NULL, 1}, {0}});
    expect_names(&w, INSPECT_QUEUES, name, "", "");
    world_queue(&w, 0, "aaa", NULL);
    world_forget(&w);
    expect_names(&w, INSPECT_QUEUES, "aaa", "evil", "");
    world_fini(&w);
}

TEST(policies_and_changed_arguments_are_there_after_a_restart)
{
    struct world w;
    struct keepsake k;
    uint8_t room[ROOM];
    struct pen p = pen_over(room, sizeof room);
    struct broker_config c = with_records;
    start(&w);
    keepsake_init(&k);
    put_policy(&w, "policy", "p", "q", 0, (struct said[]){{"max-length", NULL, 3}, {0}});
    put_policy(&w, "operator_policy", "o", "q", 0, (struct said[]){{"message-ttl", NULL, 100}, {0}});
    table_put_i32(&p, BYTES("x-max-length"), 2);
    struct spec spec = {.vhost = BYTES("/"), .name = BYTES("q"), .durable = true, .arguments = pen_written(&p)};
    queue_options_of_arguments(spec.arguments, &spec.options);
    struct changes *changes = changes_create();
    changes_add(changes, CHANGE_UPDATE, DEFINE_QUEUE, spec_create(&spec));
    world_do(&w, (struct command){.verb = ALTER, .changes = changes}, 0, 0);
    keepsake_take(&k, &w.effects.records);
    world_forget(&w);
    broker_destroy(w.broker);
    keepsake_restart(&k);
    c.default_vhost = "/";
    w.broker = broker_create(&c);
    guest_let_in(w.broker);
    keepsake_restore(&k, w.broker);
    world_attach(&w, 0);
    world_forget(&w);
    expect_names(&w, INSPECT_QUEUES, "q", "p", "o");
    for (unsigned i = 0; i < 3; i++)
        world_publish(&w, "", "q", "m");
    world_forget(&w);
    assert_int_equal(world_count(&w, "q"), 2);
    world_wait(&w, 100);
    world_forget(&w);
    assert_int_equal(world_count(&w, "q"), 0);
    world_fini(&w);
    keepsake_fini(&k);
}

TEST(a_virtual_host_goes_with_its_policies)
{
    struct world w;
    static const struct said some[] = {{"dead-letter-exchange", "", 0}, {"max-length", NULL, 1}, {0}};
    start(&w);
    put_policy(&w, "policy", "p", "", 0, some);
    put_policy(&w, "operator_policy", "o", "", 0, (struct said[]){{"message-ttl", NULL, 1}, {0}});
    struct changes *c = changes_create();
    const struct spec more = {.name = BYTES("v")}, gone = {.name = BYTES("/")};
    changes_add(c, CHANGE_PUT, DEFINE_VHOST, spec_create(&more));
    changes_add(c, CHANGE_REMOVE, DEFINE_VHOST, spec_create(&gone));
    world_do(&w, (struct command){.verb = ALTER, .changes = c}, 0, 0);
    world_fini(&w);
}

/* Ids are from 1 on: how many of them have that limit? */
static unsigned count_limited(const struct world *w, unsigned n, uint64_t max_length)
{
    unsigned limited = 0;
    for (unsigned i = 0; i < n; i++)
        limited += queue_find_by_id(w->broker, 1 + i)->options->max_length == max_length;
    return limited;
}

TEST(a_change_reaches_many_queues_a_step_at_a_time)
{
    enum { MANY = 2 * REFRESHES_PER_STEP, FIVES = MANY / 10 };
    struct world w;
    char name[16];
    world_init_with(&w, &(struct broker_config){.memory_high = UINT64_MAX});
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u", i);
        const struct spec s = {.name = bytes_of_string(name), .options = QUEUE_OPTIONS_NONE};
        struct command c = {.verb = DECLARE_QUEUE, .from = {.outlet = {.generation = 1}}, .spec = spec_create(&s)};
        broker_step(w.broker, &w.now, &c, 1, &w.effects);
    }
    put_policy(&w, "policy", "p", "^n", 0, (struct said[]){{"max-length", NULL, 7}, {0}});
    unsigned reached = count_limited(&w, MANY, 7);
    assert_in_range(reached, 1, MANY - 1);
    /* What changes meanwhile is about all of them, those that were reached too. */
    put_policy(&w, "policy", "o", "5$", 1, (struct said[]){{"max-length", NULL, 9}, {0}});
    world_queue(&w, 0, "other", NULL);
    world_queue(&w, 0, "n-new", NULL);
    assert_int_equal(queue_find_by_id(w.broker, MANY + 1)->options->max_length, SPEC_NONE);
    assert_int_equal(queue_find_by_id(w.broker, MANY + 2)->options->max_length, 7);
    assert_true(count_limited(&w, MANY, 7) + count_limited(&w, MANY, 9) < MANY);
    world_wait(&w, 0);
    assert_int_equal(count_limited(&w, MANY, 7), MANY - count_limited(&w, MANY, 9));
    assert_in_range(count_limited(&w, MANY, 9), FIVES, FIVES + 1);
    remove_policy(&w, "policy", "p");
    remove_policy(&w, "policy", "o");
    world_wait(&w, 0);
    assert_int_equal(count_limited(&w, MANY + 2, SPEC_NONE), MANY + 2);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_both_are_merged_by_the_rule_of_their_key),
        cmocka_unit_test(keys_of_one_alone_are_all_there_and_the_operators_words_count),
        cmocka_unit_test(the_first_by_priority_and_name_applies_whatever_the_order_they_come_in),
        cmocka_unit_test(a_policy_with_a_key_of_other_queues_does_not_apply_to_a_stream),
        cmocka_unit_test(whatever_changes_every_queue_has_what_a_new_one_would_have),
        cmocka_unit_test(a_pattern_that_runs_into_its_limit_does_not_apply),
        cmocka_unit_test(policies_and_changed_arguments_are_there_after_a_restart),
        cmocka_unit_test(a_virtual_host_goes_with_its_policies),
        cmocka_unit_test(a_change_reaches_many_queues_a_step_at_a_time),
    };
    return unit_main("policies", tests, argc, argv);
}
