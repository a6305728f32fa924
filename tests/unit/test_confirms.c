#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "amqp/confirms.h"

enum { NUMBERS_MAX = 4096 };

/* What was written, as text: "+3*" an ack of everything up to 3, "-4" a nack of 4. */
struct written {
    char text[4096];
    size_t len;
};

static void note(void *arg, uint64_t number, bool multiple, bool refused)
{
    struct written *w = arg;
    w->len += (size_t)snprintf(w->text + w->len, sizeof w->text - w->len, "%s%c%llu%s", w->len > 0 ? " " : "",
                               refused ? '-' : '+', (unsigned long long)number, multiple ? "*" : "");
}

static const char *flush(struct confirms *c)
{
    static struct written w;
    w = (struct written){.len = 0};
    confirms_flush(c, note, &w);
    assert_false(confirms_is_gathered(c));
    return w.text;
}

static struct confirms *with_publishes(unsigned n)
{
    struct confirms *c = confirms_create();
    for (unsigned i = 1; i <= n; i++)
        assert_int_equal(confirms_next(c), i);
    return c;
}

static void gather(struct confirms *c, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++)
        confirms_gather(c, i, false);
}

TEST(a_lone_confirm_is_not_multiple)
{
    struct confirms *c = with_publishes(1);
    gather(c, 1, 1);
    assert_true(confirms_is_gathered(c));
    assert_string_equal(flush(c), "+1");
    confirms_destroy(c);
}

TEST(a_run_from_the_oldest_is_one_ack)
{
    struct confirms *c = with_publishes(5);
    gather(c, 1, 3);
    assert_string_equal(flush(c), "+3*");
    gather(c, 4, 5);
    assert_string_equal(flush(c), "+5*");
    confirms_destroy(c);
}

TEST(nothing_open_is_covered)
{
    struct confirms *c = with_publishes(5);
    gather(c, 2, 3);
    gather(c, 5, 5);
    assert_string_equal(flush(c), "+2 +3 +5");
    gather(c, 1, 1);
    assert_string_equal(flush(c), "+1");
    gather(c, 4, 4);
    assert_string_equal(flush(c), "+4");
    confirms_destroy(c);
}

TEST(a_run_may_close_over_what_was_written_before)
{
    struct confirms *c = with_publishes(6);
    gather(c, 3, 4);
    assert_string_equal(flush(c), "+3 +4");
    gather(c, 1, 2);
    gather(c, 5, 5);
    assert_string_equal(flush(c), "+5*");
    confirms_destroy(c);
}

TEST(what_is_refused_is_never_covered)
{
    struct confirms *c = with_publishes(5);
    gather(c, 1, 2);
    confirms_gather(c, 3, true);
    gather(c, 4, 5);
    assert_string_equal(flush(c), "+2* -3 +5*");
    confirms_destroy(c);
}

TEST(what_nobody_awaits_is_ignored)
{
    struct confirms *c = with_publishes(2);
    confirms_gather(c, 0, false);
    confirms_gather(c, 3, false);
    gather(c, 1, 1);
    assert_string_equal(flush(c), "+1");
    confirms_gather(c, 1, true);
    assert_false(confirms_is_gathered(c));
    gather(c, 2, 2);
    confirms_gather(c, 2, true);
    assert_string_equal(flush(c), "+2");
    confirms_destroy(c);
}

/* Plays a client: every number must be settled once, and as the model said. */
struct client {
    uint8_t said[NUMBERS_MAX]; /* 0: open, 1: safe, 2: refused */
    uint8_t got[NUMBERS_MAX];
    uint64_t next;
};

static void receive(void *arg, uint64_t number, bool multiple, bool refused)
{
    struct client *k = arg;
    unsigned covered = 0;
    for (uint64_t i = multiple ? 1 : number; i <= number; i++) {
        if (k->got[i] != 0)
            continue;
        assert_int_equal(k->said[i], refused ? 2 : 1);
        k->got[i] = refused ? 2 : 1;
        covered++;
    }
    assert_true(covered > 0);
}

static void some_answers(struct confirms *c, struct client *k)
{
    for (int i = rand() % 40; i > 0 && k->next > 1; i--) {
        uint64_t back = (uint64_t)rand() % (rand() % 2 == 0 ? 10 : 500) + 1;
        uint64_t number = back < k->next ? k->next - back : 1;
        bool refused = rand() % 10 == 0;
        if (k->said[number] == 0)
            k->said[number] = refused ? 2 : 1;
        confirms_gather(c, number, refused);
    }
}

TEST(a_client_hears_of_every_publish_once)
{
    for (unsigned seed = 1; seed <= 100; seed++) {
        struct confirms *c = confirms_create();
        struct client k = {.next = 1};
        srand(seed);
        while (k.next < NUMBERS_MAX - 64) {
            for (int i = rand() % 30; i > 0; i--)
                assert_int_equal(confirms_next(c), k.next++);
            some_answers(c, &k);
            if (rand() % 3 > 0)
                confirms_flush(c, receive, &k);
        }
        for (uint64_t i = 1; i < k.next; i++) {
            if (k.said[i] == 0)
                k.said[i] = 1;
            confirms_gather(c, i, false);
        }
        confirms_flush(c, receive, &k);
        assert_memory_equal(k.said, k.got, k.next);
        confirms_destroy(c);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_confirm_is_not_multiple),
        cmocka_unit_test(a_run_from_the_oldest_is_one_ack),
        cmocka_unit_test(nothing_open_is_covered),
        cmocka_unit_test(a_run_may_close_over_what_was_written_before),
        cmocka_unit_test(what_is_refused_is_never_covered),
        cmocka_unit_test(what_nobody_awaits_is_ignored),
        cmocka_unit_test(a_client_hears_of_every_publish_once),
    };
    return unit_main("amqp/confirms", tests, argc, argv);
}
