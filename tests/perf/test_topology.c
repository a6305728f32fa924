/* The names of what a run declares. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/perf/topology.h"

TEST(names_are_of_one_length)
{
    static const unsigned counts[] = {1, 9, 10, 11, 100, 101, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct perf_options o = {.queues = counts[i], .queue = i % 2 == 0 ? "name" : NULL, .exchange = ""};
        struct topology t;
        topology_init(&t, &o);
        assert_int_equal(t.keys_count, counts[i]);
        assert_int_equal(t.copies, 1);
        for (unsigned q = 1; q < counts[i]; q++) {
            assert_int_equal(strlen(t.queues[q]), strlen(t.queues[0]));
            assert_string_not_equal(t.queues[q], t.queues[q - 1]);
        }
        topology_fini(&t);
    }
}

TEST(one_queue_has_the_name_that_was_given)
{
    struct perf_options o = {.queues = 1, .queue = "name", .exchange = ""};
    struct topology t;
    topology_init(&t, &o);
    assert_string_equal(t.queues[0], "name");
    assert_string_equal(t.keys[0], "name");
    assert_string_equal(t.exchange, "");
    topology_fini(&t);
}

TEST(what_is_shared_goes_to_all_queues)
{
    struct perf_options fanout = {.queues = 10, .exchange_type = "fanout", .is_fanout = true},
                        key = {.queues = 3, .exchange_type = "direct", .routing_key = "a.b"},
                        named = {.queues = 1, .exchange = "", .routing_key = "a.b"};
    struct topology t;
    topology_init(&t, &fanout);
    assert_int_equal(t.keys_count, 1);
    assert_int_equal(t.copies, 10);
    assert_true(strlen(t.exchange) > 0);
    topology_fini(&t);
    topology_init(&t, &key);
    assert_int_equal(t.keys_count, 1);
    assert_string_equal(t.keys[0], "a.b");
    assert_int_equal(t.copies, 3);
    topology_fini(&t);
    topology_init(&t, &named);
    assert_string_equal(t.keys[0], "a.b");
    assert_int_equal(t.copies, 1);
    topology_fini(&t);
}

/* Whether a topic pattern's words match a key's; short and slow. */
static bool matches(const char *pattern, const char *key)
{
    if (*pattern == '#')
        return matches(pattern + 1 + (pattern[1] == '.'), key) ||
               (*key != '\0' && matches(pattern, strchrnul(key, '.') + (strchr(key, '.') != NULL)));
    if (*pattern == '\0' || *key == '\0')
        return *pattern == *key || strcmp(pattern, ".#") == 0;
    size_t p = strcspn(pattern, "."), k = strcspn(key, ".");
    if (!(p == 1 && *pattern == '*') && (p != k || memcmp(pattern, key, k) != 0))
        return false;
    if (pattern[p] == '\0' || key[k] == '\0')
        return pattern[p] == key[k] || strcmp(pattern + p, ".#") == 0;
    return matches(pattern + p + 1, key + k + 1);
}

TEST(other_bindings_are_many_and_match_no_key)
{
    static const char *const keys[] = {NULL, "a.b.c", "word", "a.no7.b", "perf.no.5"};
    char other[TOPOLOGY_KEY_ROOM], before[TOPOLOGY_KEY_ROOM] = "";
    assert_true(matches("a.*.#", "a.b.c") && matches("a.b.#", "a.b") && !matches("a.*", "a.b.c")); /* it can tell */
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct perf_options o = {.queues = 1, .exchange_type = "topic", .routing_key = keys[i]};
        struct topology t;
        topology_init(&t, &o);
        for (uint64_t n = 0; n < 300; n++) {
            topology_other_key(&t, n, other);
            if (matches(other, t.keys[0]))
                fail_msg("%s matches %s", other, t.keys[0]);
            assert_string_not_equal(other, before);
            memcpy(before, other, sizeof before);
        }
        topology_fini(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_of_one_length),
        cmocka_unit_test(one_queue_has_the_name_that_was_given),
        cmocka_unit_test(what_is_shared_goes_to_all_queues),
        cmocka_unit_test(other_bindings_are_many_and_match_no_key),
    };
    return unit_main("topology", tests, argc, argv);
}
