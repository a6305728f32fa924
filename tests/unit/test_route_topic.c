#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>

#include "broker/port/message.h"

/* What a pattern means, said naively: words, * for one, # for any number (reference amqp-protocol 5.5). */
static bool naive_match(const char *pattern, const char *key);

static const char *skip_word(const char *at)
{
    at += strcspn(at, ".");
    return *at == '.' ? at + 1 : NULL; /* NULL: that was the last word */
}

static bool naive_words(const char *pattern, const char *key)
{
    if (pattern == NULL)
        return key == NULL;
    size_t n = strcspn(pattern, ".");
    if (n == 1 && *pattern == '#')
        return naive_words(skip_word(pattern), key) || (key != NULL && naive_words(pattern, skip_word(key)));
    if (key == NULL)
        return false;
    size_t k = strcspn(key, ".");
    bool same = (n == 1 && *pattern == '*') || (n == k && memcmp(pattern, key, n) == 0);
    return same && naive_words(skip_word(pattern), skip_word(key));
}

static bool naive_match(const char *pattern, const char *key)
{
    return naive_words(*pattern == '\0' ? NULL : pattern, *key == '\0' ? NULL : key);
}

static bool matches(struct world *w, const char *pattern, const char *key)
{
    world_queue(w, 0, "q", NULL);
    world_bind(w, "q", "amq.topic", pattern);
    world_publish(w, "amq.topic", key, "x");
    bool found = world_count(w, "q") == 1;
    world_do(w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0, 0);
    world_forget(w);
    return found;
}

TEST(the_reference_table_holds)
{
    static const struct {
        const char *pattern, *key;
        bool match;
    } table[] = {
        {"", "", true},           {"", "a", false},        {"#", "", true},        {"#", "a.b", true},
        {"*", "a", true},         {"*", "#", true},        {"*", "", false},       {"*", ".", false},
        {"*", "a.b", false},      {"a.*", "a.b", true},    {"a.*", "a.", true},    {"a.*", "a", false},
        {"a.*", "a.b.c", false},  {"a.*", "a..b", false},  {"*.*", ".", true},     {"*.*", "a.", true},
        {"*.*", ".a", true},      {"*.*", "a..b", false},  {"a.#", "a", true},     {"a.#", "a.", true},
        {"a.#", "a.b.c", true},   {"a.#", ".a", false},    {"a.#", "b", false},    {"#.a", "a", true},
        {"#.a", ".a", true},      {"#.a", "b.a", true},    {"#.a", "a.", false},   {"*.#", ".", true},
        {"#.*", "a", true},       {"*.#", "", false},      {"a.#.c", "a.c", true}, {"a.#.c", "a.b.c", true},
        {"a.#.c", "a.b", false},  {"a..b", "a..b", true},  {"a..b", "a.b", false}, {"#.b.#", "b", true},
        {"#.b.#", "a.b.c", true}, {"#.b.#", "a..b", true}, {"#.b.#", "a.", false}, {"#.#", "", true},
        {"a*", "ab", false},      {"a*", "a*", true},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(naive_match(table[i].pattern, table[i].key), table[i].match);
        if (matches(&w, table[i].pattern, table[i].key) != table[i].match)
            fail_msg("'%s' and '%s'", table[i].pattern, table[i].key);
    }
    world_fini(&w);
}

/* Words from a small alphabet, so that much matches. */
static void random_key(char *to, uint64_t *seed, const char *const *words, unsigned kinds)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    unsigned n = (unsigned)(*seed >> 60) % 6;
    *to = '\0';
    for (unsigned i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        to += sprintf(to, "%s%s", i > 0 ? "." : "", words[(*seed >> 40) % kinds]);
    }
}

TEST(the_index_agrees_with_a_naive_match)
{
    static const char *const words[] = {"a", "b", "", "*", "#"};
    uint64_t seed = 20261121;
    struct world w;
    world_init(&w);
    for (unsigned i = 0; i < 3000; i++) {
        char pattern[64], key[64];
        random_key(pattern, &seed, words, 5);
        random_key(key, &seed, words, 3);
        if (matches(&w, pattern, key) != naive_match(pattern, key))
            fail_msg("'%s' and '%s'", pattern, key);
    }
    world_fini(&w);
}

TEST(many_hashes_cost_little)
{
    char pattern[256] = "#", key[256] = "a";
    for (unsigned i = 0; i < 60; i++) {
        strcat(pattern, ".#");
        strcat(key, ".a");
    }
    strcat(pattern, ".b");
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_bind(&w, "q", "amq.topic", pattern);
    world_publish(&w, "amq.topic", key, "x"); /* an exponential match would not end */
    assert_int_equal(world_count(&w, "q"), 0);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_table_holds),
        cmocka_unit_test(the_index_agrees_with_a_naive_match),
        cmocka_unit_test(many_hashes_cost_little),
    };
    return unit_main("route_topic", tests, argc, argv);
}
