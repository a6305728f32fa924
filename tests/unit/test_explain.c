#include "tests/unit/asker.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/explain.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "codec/properties.h"
#include "codec/table.h"

/* ---- Messages and answers. */

struct draft {
    const char *exchange, *key;
    const char *keys[3]; /* CC */
    int a, b;            /* headers; 0: it has none */
    int delay, unique;   /* x-delay, x-deduplication-header; likewise */
    uint64_t ttl_ms;     /* 0: none */
};

static struct message *make(const struct draft *d)
{
    uint8_t room[512], headers[256], extra[64];
    struct pen h = pen_over(headers, sizeof headers), p = pen_over(room, sizeof room),
               k = pen_over(extra, sizeof extra);
    uint16_t n = 0;
    table_put_string(&h, BYTES("some"), BYTES("text"));
    if (d->a > 0)
        table_put_i32(&h, BYTES("a"), d->a);
    if (d->b > 0)
        table_put_i32(&h, BYTES("b"), d->b);
    if (d->delay > 0)
        table_put_i32(&h, BYTES("x-delay"), d->delay);
    if (d->unique > 0)
        table_put_i32(&h, BYTES("x-deduplication-header"), d->unique);
    for (; n < 3 && d->keys[n] != NULL; n++)
        pen_longstr(&k, bytes_of_string(d->keys[n]));
    struct properties properties = {.flags = PROPERTY_headers, .headers = pen_written(&h)};
    properties_encode(&p, &properties);
    struct message_spec spec = {.exchange = bytes_of_string(d->exchange),
                                .routing_key = bytes_of_string(d->key),
                                .properties = pen_written(&p),
                                .extra_keys = pen_written(&k),
                                .cc_count = n,
                                .flags = MESSAGE_HAS_HEADERS,
                                .expiration_ms = d->ttl_ms > 0 ? d->ttl_ms : MESSAGE_NO_EXPIRATION};
    return message_create_whole(&spec, BYTES("body"));
}

static struct inspection *ask(struct world *w, const struct draft *d)
{
    const struct bytes vhost = BYTES("/"), name = bytes_of_string(d->exchange);
    struct inspection *i = inspection_create(INSPECT_ROUTE, &vhost, &name);
    i->msg = make(d);
    return asker_inspect(w, i);
}

static void publish(struct world *w, const struct draft *d)
{
    world_forget(w);
    world_do(w, (struct command){.verb = PUBLISH, .publish = {.msg = make(d)}}, 0, 0);
}

static bool is_sort(struct bytes row, const char *sort)
{
    return bytes_equal(table_find_string(row, "row"), bytes_of_string(sort));
}

static bool has_text(struct bytes row, const char *key, const char *value)
{
    return bytes_equal(table_find_string(row, key), bytes_of_string(value));
}

static bool has_flag(struct bytes row, const char *key)
{
    struct field f;
    return table_find(row, bytes_of_string(key), &f) && f.type == 't' && f.boolean;
}

static int64_t number(struct bytes row, const char *key)
{
    struct field f;
    return table_find(row, bytes_of_string(key), &f) && field_is_integer(&f) ? f.integer : -1;
}

/* The first row of that sort whose column has that value (column NULL: any). */
static bool find_row(const struct inspection *i, const char *sort, const char *column, const char *value,
                     struct bytes *row)
{
    for (size_t at = 0; inspection_next(i, &at, row);)
        if (is_sort(*row, sort) && (column == NULL || has_text(*row, column, value)))
            return true;
    return false;
}

static void expect_text(struct bytes row, const char *key, const char *part)
{
    char *text = asker_text(row, key);
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("%s is '%s', not '%s'", key, text != NULL ? text : "(nothing)", part);
    free(text);
}

/* ---- Random topologies. */

enum { EXCHANGES = 8, QUEUES = 10, BINDINGS = 30, TOPOLOGIES = 300, MESSAGES = 12 };

static const char *const types[] = {"direct",
                                    "fanout",
                                    "topic",
                                    "headers",
                                    "x-consistent-hash",
                                    "x-modulus-hash",
                                    "x-random",
                                    "x-local-random",
                                    "x-recent-history",
                                    "x-delayed-message",
                                    "x-message-deduplication"};
enum { TYPES = sizeof types / sizeof types[0] };

struct dice {
    uint64_t seed;
};

static unsigned roll(struct dice *d, unsigned n)
{
    d->seed = d->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(d->seed >> 33) % n;
}

static const char *roll_key(struct dice *d)
{
    static const char *const keys[] = {"", "a", "a.b", "b", "a.b.c", "q0", "q1", "q2"};
    return keys[roll(d, 8)];
}

static void make_exchange(struct world *w, struct dice *d, unsigned n, const char **type)
{
    char name[8], alternate[8];
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof room);
    snprintf(name, sizeof name, "x%u", n);
    snprintf(alternate, sizeof alternate, "x%u", roll(d, EXCHANGES + 1));
    *type = types[roll(d, TYPES)];
    if (strcmp(*type, "x-delayed-message") == 0) {
        *type = types[roll(d, 4)];
        table_put_string(&p, BYTES("x-delayed-type"), bytes_of_string(*type));
        struct spec s = {.name = bytes_of_string(name), .type = BYTES("x-delayed-message")};
        s.arguments = pen_written(&p);
        world_do(w, (struct command){.verb = DECLARE_EXCHANGE, .spec = spec_create(&s)}, 0, 0);
        return;
    }
    if (strcmp(*type, "x-message-deduplication") == 0)
        table_put_i64(&p, BYTES("x-cache-size"), 10);
    if (roll(d, 3) == 0)
        table_put_string(&p, BYTES("alternate-exchange"), bytes_of_string(alternate));
    struct spec s = {.name = bytes_of_string(name), .type = bytes_of_string(*type), .arguments = pen_written(&p)};
    world_do(w, (struct command){.verb = DECLARE_EXCHANGE, .spec = spec_create(&s)}, 0, 0);
}

/* Some are short and refuse what is more, or push out what is oldest. */
static void make_queue(struct world *w, struct dice *d, unsigned n)
{
    char name[8];
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    snprintf(name, sizeof name, "q%u", n);
    if (roll(d, 4) == 0) {
        s.options.max_length = roll(d, 3);
        s.options.overflow = roll(d, 2) == 0 ? OVERFLOW_REJECT_PUBLISH : OVERFLOW_DROP_HEAD;
    }
    world_queue(w, 0, name, &s);
}

static void make_binding(struct world *w, struct dice *d, const char *const *kinds)
{
    static const char *const patterns[] = {"#", "a.*", "*", "a.#", "#.b", "a.b"};
    char source[8], to[8];
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    unsigned x = roll(d, EXCHANGES);
    const char *type = kinds[x], *key = roll_key(d);
    snprintf(source, sizeof source, "x%u", x);
    struct spec s = {.source = bytes_of_string(source), .to_exchange = roll(d, 3) == 0};
    snprintf(to, sizeof to, s.to_exchange ? "x%u" : "q%u", roll(d, s.to_exchange ? EXCHANGES : QUEUES));
    s.name = bytes_of_string(to);
    if (strcmp(type, "topic") == 0 && roll(d, 3) > 0)
        key = patterns[roll(d, 6)];
    if (strcmp(type, "x-consistent-hash") == 0)
        key = roll(d, 2) == 0 ? "1" : "3";
    if (strcmp(type, "x-local-random") == 0)
        key = "";
    if (strcmp(type, "headers") == 0) {
        table_put_string(&p, BYTES("x-match"), roll(d, 2) == 0 ? BYTES("any") : BYTES("all"));
        table_put_i32(&p, BYTES("a"), (int32_t)roll(d, 3));
        if (roll(d, 2) == 0)
            table_put_i32(&p, BYTES("b"), (int32_t)roll(d, 3));
    }
    s.key = bytes_of_string(key);
    s.arguments = pen_written(&p);
    world_do(w, (struct command){.verb = BIND, .spec = spec_create(&s)}, 0, 0);
}

static void make_topology(struct world *w, uint64_t seed)
{
    struct dice d = {.seed = seed};
    const char *kinds[EXCHANGES];
    for (unsigned i = 0; i < EXCHANGES; i++)
        make_exchange(w, &d, i, &kinds[i]);
    for (unsigned i = 0; i < QUEUES; i++)
        make_queue(w, &d, i);
    for (unsigned i = 0; i < BINDINGS; i++)
        make_binding(w, &d, kinds);
    for (size_t i = 0; i < w->effects.n; i++)
        assert_int_equal(w->effects.events[i].what, DONE);
    world_forget(w);
}

static struct draft roll_message(struct dice *d, char *exchange, size_t room)
{
    struct draft m = {.exchange = exchange, .key = roll_key(d)};
    if (roll(d, 12) == 0)
        *exchange = '\0';
    else
        snprintf(exchange, room, "x%u", roll(d, EXCHANGES));
    for (unsigned i = 0, n = roll(d, 4); i < n; i++)
        m.keys[i] = roll_key(d);
    m.a = (int)roll(d, 3);
    m.b = (int)roll(d, 3);
    m.delay = roll(d, 3) == 0 ? 100 : 0;
    m.unique = (int)roll(d, 4);
    return m;
}

static void count(struct world *w, uint64_t *counts)
{
    char name[8];
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof name, "q%u", i);
        counts[i] = world_count(w, name);
        world_forget(w);
    }
}

/* What the answer says of each queue: how many messages more it will have, at least and at most. */
static void read_answer(const struct inspection *i, int *least, int *most)
{
    struct bytes row;
    memset(least, 0, QUEUES * sizeof *least);
    memset(most, 0, QUEUES * sizeof *most);
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        assert_true(table_check(row, TABLE_DEPTH_MAX));
        if (!is_sort(row, "queue"))
            continue;
        unsigned q = (unsigned)(table_find_string(row, "name").at[1] - '0');
        most[q] = has_text(row, "outcome", "queued");
        least[q] = most[q] && has_flag(row, "certain");
    }
}

/* One world explains each message before it is published; the other one is never asked.  Nothing may tell them apart,
 * and what the first one said must be what happens. */
TEST(what_is_explained_is_what_a_publish_does)
{
    unsigned checked = 0, uncertain = 0, delayed = 0;
    for (uint64_t seed = 1; seed <= TOPOLOGIES; seed++) {
        struct world asked, other;
        uint64_t before[QUEUES], after[QUEUES], twin[QUEUES];
        int least[QUEUES], most[QUEUES];
        struct dice d = {.seed = seed * 977};
        char exchange[8];
        world_init(&asked);
        world_init(&other);
        make_topology(&asked, seed);
        make_topology(&other, seed);
        for (unsigned n = 0; n < MESSAGES; n++) {
            struct draft m = roll_message(&d, exchange, sizeof exchange);
            count(&asked, before);
            struct inspection *i = ask(&asked, &m);
            assert_non_null(i);
            read_answer(i, least, most);
            publish(&asked, &m);
            publish(&other, &m);
            world_wait(&asked, 150);
            world_wait(&other, 150);
            count(&asked, after);
            count(&other, twin);
            for (unsigned q = 0; q < QUEUES; q++) {
                int more = (int)(after[q] - before[q]);
                struct bytes row;
                assert_int_equal(after[q], twin[q]);
                bool is_later = find_row(i, "exchange", NULL, NULL, &row) && m.delay > 0;
                if (more < least[q] || (more > most[q] && !is_later))
                    fail_msg("topology %u, message %u: q%u has %d more, and %d to %d were told", (unsigned)seed, n, q,
                             more, least[q], most[q]);
                checked++;
                uncertain += least[q] != most[q];
                delayed += is_later && most[q];
            }
            inspection_destroy(i);
        }
        world_fini(&asked);
        world_fini(&other);
    }
    assert_true(checked > 30000 && uncertain > 200 && delayed > 200);
}

/* ---- What is told. */

static void bind(struct world *w, const char *queue, const char *exchange, const char *key, struct bytes arguments)
{
    struct spec s = {.name = bytes_of_string(queue), .source = bytes_of_string(exchange), .key = bytes_of_string(key)};
    s.arguments = arguments;
    world_do(w, (struct command){.verb = BIND, .spec = spec_create(&s)}, 0, 0);
    world_forget(w);
}

TEST(a_direct_exchange_tells_what_matched_and_what_did_not)
{
    struct world w;
    struct bytes row;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "p", NULL);
    bind(&w, "q", "amq.direct", "a", (struct bytes){0});
    bind(&w, "p", "amq.direct", "b", (struct bytes){0});
    struct inspection *i = ask(&w, &(struct draft){.exchange = "amq.direct", .key = "x", .keys = {"a"}});
    assert_true(find_row(i, "binding", "destination", "q", &row));
    assert_true(has_flag(row, "matched") && has_flag(row, "certain"));
    expect_text(row, "key", "a");
    assert_true(find_row(i, "binding", "destination", "p", &row));
    assert_false(has_flag(row, "matched"));
    expect_text(row, "why", "none of the routing keys is 'b'");
    assert_true(find_row(i, "queue", NULL, NULL, &row));
    expect_text(row, "name", "q");
    expect_text(row, "explanation", "It waits behind 0 messages: it has no consumer.");
    assert_true(find_row(i, "end", NULL, NULL, &row));
    assert_int_equal(number(row, "reached"), 1);
    assert_int_equal(number(row, "left_off"), 0);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(a_miss_of_a_pattern_and_of_headers_is_told)
{
    struct world w;
    struct bytes row;
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    bind(&w, "q", "amq.topic", "a.*.c", (struct bytes){0});
    struct inspection *i = ask(&w, &(struct draft){.exchange = "amq.topic", .key = "a.b.x"});
    assert_true(find_row(i, "binding", NULL, NULL, &row));
    expect_text(row, "why", "word 3 of the routing key is 'x', and the pattern wants 'c'");
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "amq.topic", .key = "a.b"});
    assert_true(find_row(i, "binding", NULL, NULL, &row));
    expect_text(row, "why", "the pattern wants 3 words, and the routing key has 2");
    inspection_destroy(i);
    table_put_i32(&p, BYTES("a"), 1);
    table_put_i32(&p, BYTES("b"), 2);
    bind(&w, "q", "amq.headers", "", pen_written(&p));
    i = ask(&w, &(struct draft){.exchange = "amq.headers", .key = "", .a = 1});
    assert_true(find_row(i, "binding", NULL, NULL, &row));
    expect_text(row, "why", "the header 'b' is missing");
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "amq.headers", .key = "", .a = 1, .b = 3});
    assert_true(find_row(i, "binding", NULL, NULL, &row));
    expect_text(row, "why", "the header 'b' is 3, and 2 is wanted");
    inspection_destroy(i);
    world_fini(&w);
}

TEST(chance_and_delay_are_told)
{
    struct world w;
    struct bytes row;
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    world_init(&w);
    world_exchange(&w, "lot", "x-random");
    table_put_string(&p, BYTES("x-delayed-type"), BYTES("fanout"));
    struct spec later = {.name = BYTES("later"), .type = BYTES("x-delayed-message"), .arguments = pen_written(&p)};
    world_do(&w, (struct command){.verb = DECLARE_EXCHANGE, .spec = spec_create(&later)}, 0, 0);
    world_queue(&w, 0, "q", NULL);
    world_queue(&w, 0, "p", NULL);
    bind(&w, "q", "lot", "", (struct bytes){0});
    bind(&w, "p", "lot", "", (struct bytes){0});
    bind(&w, "q", "later", "", (struct bytes){0});
    struct inspection *i = ask(&w, &(struct draft){.exchange = "lot", .key = ""});
    assert_true(find_row(i, "exchange", "name", "lot", &row));
    assert_int_equal(number(row, "one_of"), 2);
    assert_true(find_row(i, "queue", "name", "p", &row));
    assert_false(has_flag(row, "certain"));
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "later", .key = "", .delay = 700});
    assert_true(find_row(i, "exchange", "name", "later", &row));
    assert_int_equal(number(row, "delay_ms"), 700);
    assert_true(find_row(i, "queue", "name", "q", &row));
    assert_int_equal(number(row, "after_ms"), 700);
    inspection_destroy(i);
    world_fini(&w);
}

static void make_dying(struct world *w, const char *name, const char *exchange, const char *key, uint64_t ttl_ms)
{
    struct spec s = {.options = QUEUE_OPTIONS_NONE};
    s.options.has_dead_letter_exchange = true;
    s.options.dead_letter_exchange = bytes_of_string(exchange);
    s.options.has_dead_letter_routing_key = key != NULL;
    s.options.dead_letter_routing_key = bytes_of_string(key != NULL ? key : "");
    s.options.message_ttl_ms = ttl_ms;
    world_queue(w, 0, name, &s);
    world_forget(w);
}

/* The row of that reason and depth. */
static void expect_death(const struct inspection *i, const char *reason, int64_t depth, const char *outcome,
                         const char *text)
{
    struct bytes row;
    for (size_t at = 0; inspection_next(i, &at, &row);) {
        if (is_sort(row, "dead_letter") && has_text(row, "reason", reason) && number(row, "depth") == depth) {
            expect_text(row, "outcome", outcome);
            expect_text(row, "explanation", text);
            return;
        }
    }
    fail_msg("nothing of %s at depth %d", reason, (int)depth);
}

/* work rejects to retry, whose time to live brings back to work. */
TEST(a_dead_letter_is_followed_and_a_round_is_named)
{
    struct world w;
    world_init(&w);
    make_dying(&w, "work", "", "retry", SPEC_NONE);
    make_dying(&w, "retry", "", "work", 1000);
    struct inspection *i = ask(&w, &(struct draft){.exchange = "", .key = "work"});
    expect_death(i, "rejected", 1, "routed", "goes to exchange '', and from there to 1 queue.");
    expect_death(i, "expired", 2, "routed", "comes back to 'work': it goes round.");
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "", .key = "retry"});
    expect_death(i, "expired", 1, "routed", "from there to 1 queue");
    inspection_destroy(i);
    make_dying(&w, "loop", "", "loop", 1000);
    i = ask(&w, &(struct draft){.exchange = "", .key = "loop"});
    expect_death(i, "expired", 1, "cycle", "without having been rejected");
    expect_death(i, "rejected", 1, "routed", "goes round");
    inspection_destroy(i);
    world_fini(&w);
}

TEST(a_dead_letter_that_goes_nowhere_is_told)
{
    struct world w;
    world_init(&w);
    world_queue(&w, 0, "plain", NULL);
    make_dying(&w, "missing", "no such", NULL, SPEC_NONE);
    make_dying(&w, "unbound", "amq.direct", NULL, SPEC_NONE);
    struct inspection *i = ask(&w, &(struct draft){.exchange = "", .key = "plain", .ttl_ms = 5});
    expect_death(i, "rejected", 1, "discarded", "the queue has no dead-letter exchange");
    expect_death(i, "expired", 1, "discarded", "When its time to live is over it is gone");
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "", .key = "missing"});
    expect_death(i, "rejected", 1, "no_exchange", "'no such' does not exist");
    inspection_destroy(i);
    i = ask(&w, &(struct draft){.exchange = "", .key = "unbound"});
    expect_death(i, "rejected", 1, "nowhere", "routes it to no queue");
    inspection_destroy(i);
    world_fini(&w);
}

/* What is said of an expired message is what becomes of it, in random topologies. */
TEST(a_letter_goes_where_it_was_told)
{
    unsigned gone = 0, routed = 0;
    for (uint64_t seed = 1; seed <= TOPOLOGIES; seed++) {
        struct world w;
        struct dice d = {.seed = seed * 31};
        struct bytes row;
        uint64_t before[QUEUES], after[QUEUES];
        bool told[QUEUES] = {0};
        world_init(&w);
        make_topology(&w, seed);
        char exchange[8];
        const char *key = roll(&d, 2) == 0 ? roll_key(&d) : NULL;
        snprintf(exchange, sizeof exchange, "x%u", roll(&d, EXCHANGES + 1));
        make_dying(&w, "dying", exchange, key, 10);
        const struct draft m = {.exchange = "", .key = "dying", .keys = {roll_key(&d)}, .a = 1, .b = (int)roll(&d, 3)};
        struct inspection *i = ask(&w, &m);
        count(&w, before);
        publish(&w, &m);
        count(&w, after);
        for (unsigned q = 0; q < QUEUES; q++)
            before[q] = after[q]; /* CC may have brought it there, too */
        world_wait(&w, 20);
        count(&w, after);
        for (size_t at = 0; inspection_next(i, &at, &row);) {
            struct field queues, f;
            if (!is_sort(row, "dead_letter") || !has_text(row, "queue", "dying") ||
                !has_text(row, "reason", "expired") || !table_find(row, BYTES("queues"), &queues))
                continue;
            for (struct cursor c = cursor_over(queues.bytes); table_next_in_array(&c, &f);)
                told[f.bytes.at[1] - '0'] = true;
        }
        for (unsigned q = 0; q < QUEUES; q++) {
            if (after[q] != before[q] && !told[q])
                fail_msg("topology %u: q%u has it, and was not told", (unsigned)seed, q);
            routed += after[q] != before[q];
            gone += told[q] && after[q] == before[q]; /* by chance, or full */
        }
        inspection_destroy(i);
        world_fini(&w);
    }
    assert_true(routed > 150 && gone < routed);
}

TEST(a_fan_of_many_queues_is_bounded)
{
    struct world w;
    struct bytes row;
    char name[16];
    size_t rows = 0;
    world_init(&w);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "q%u", i);
        world_queue(&w, 0, name, NULL);
        bind(&w, name, "amq.fanout", "", (struct bytes){0});
    }
    struct inspection *i = ask(&w, &(struct draft){.exchange = "amq.fanout", .key = ""});
    for (size_t at = 0; inspection_next(i, &at, &row);)
        rows++;
    assert_true(rows < EXPLAIN_BINDINGS_MAX + EXPLAIN_NAMES_MAX + 5 * EXPLAIN_QUEUES_MAX);
    assert_true(find_row(i, "end", NULL, NULL, &row));
    assert_int_equal(number(row, "reached"), 1000);
    assert_int_equal(number(row, "matches"), 1000);
    assert_int_equal(number(row, "left_off"), 2 * 1000 - EXPLAIN_BINDINGS_MAX - EXPLAIN_NAMES_MAX);
    inspection_destroy(i);
    world_fini(&w);
}

/* Each of the letters would walk over them all again. */
TEST(letters_through_many_bindings_by_headers_are_not_followed)
{
    enum { BOUND = EXPLAIN_LOOKS_MAX / 2, DYING = 4 };
    struct world w;
    struct bytes row;
    uint8_t room[64];
    char name[16];
    size_t letters = 0;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_exchange(&w, "x", "headers");
    for (unsigned i = 0; i < DYING; i++) {
        snprintf(name, sizeof name, "d%u", i);
        make_dying(&w, name, "x", NULL, SPEC_NONE);
        bind(&w, name, "x", "", (struct bytes){0});
    }
    for (unsigned i = DYING; i < BOUND; i++) {
        struct pen p = pen_over(room, sizeof room);
        table_put_i64(&p, BYTES("h"), i);
        bind(&w, "q", "x", "", pen_written(&p));
    }
    struct inspection *i = ask(&w, &(struct draft){.exchange = "x", .key = ""});
    for (size_t at = 0; inspection_next(i, &at, &row);)
        letters += is_sort(row, "dead_letter");
    assert_int_equal(letters, 2); /* with the walk of the message, three times all bindings */
    assert_true(find_row(i, "end", NULL, NULL, &row));
    assert_int_equal(number(row, "reached"), DYING);
    assert_int_equal(number(row, "left_off"), DYING - 2);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(misses_along_a_chain_are_bounded)
{
    enum { CHAIN = 30 };
    struct world w;
    struct bytes row;
    char name[16], next[16], key[16];
    size_t rows = 0;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    for (unsigned i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof name, "c%u", i);
        world_exchange(&w, name, "direct");
    }
    for (unsigned i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof name, "c%u", i);
        snprintf(next, sizeof next, "c%u", i + 1);
        struct spec s = {.source = bytes_of_string(name), .name = bytes_of_string(next), .to_exchange = true};
        if (i + 1 < CHAIN)
            world_do(&w, (struct command){.verb = BIND, .spec = spec_create(&s)}, 0, 0);
        for (unsigned j = 1; j < EXPLAIN_MISSES_MAX; j++) {
            snprintf(key, sizeof key, "k%u", j);
            bind(&w, "q", name, key, (struct bytes){0});
        }
    }
    struct inspection *i = ask(&w, &(struct draft){.exchange = "c0", .key = ""});
    for (size_t at = 0; inspection_next(i, &at, &row);)
        rows += is_sort(row, "binding");
    assert_int_equal(rows, EXPLAIN_ALL_MISSES_MAX + CHAIN - 1);
    assert_true(find_row(i, "end", NULL, NULL, &row));
    assert_int_equal(number(row, "left_off"), CHAIN * (EXPLAIN_MISSES_MAX - 1) - EXPLAIN_ALL_MISSES_MAX);
    inspection_destroy(i);
    world_fini(&w);
}

TEST(who_would_get_it_is_told)
{
    struct world w;
    struct bytes row;
    world_init(&w);
    world_queue(&w, 0, "q", NULL);
    world_consume(&w, 0, "q", 1, 1, false);
    struct inspection *i = ask(&w, &(struct draft){.exchange = "", .key = "q"});
    assert_true(find_row(i, "queue", NULL, NULL, &row));
    expect_text(row, "outcome", "delivered");
    assert_true(find_row(i, "consumer", "queue", "q", &row));
    expect_text(row, "user", "guest");
    inspection_destroy(i);
    publish(&w, &(struct draft){.exchange = "", .key = "q"});
    i = ask(&w, &(struct draft){.exchange = "", .key = "q"});
    assert_true(find_row(i, "queue", NULL, NULL, &row));
    expect_text(row, "explanation", "none of its consumers can take more now");
    assert_false(find_row(i, "consumer", NULL, NULL, &row));
    inspection_destroy(i);
    assert_null(ask(&w, &(struct draft){.exchange = "no such", .key = ""}));
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_explained_is_what_a_publish_does),
        cmocka_unit_test(a_direct_exchange_tells_what_matched_and_what_did_not),
        cmocka_unit_test(a_miss_of_a_pattern_and_of_headers_is_told),
        cmocka_unit_test(chance_and_delay_are_told),
        cmocka_unit_test(a_dead_letter_is_followed_and_a_round_is_named),
        cmocka_unit_test(a_dead_letter_that_goes_nowhere_is_told),
        cmocka_unit_test(a_letter_goes_where_it_was_told),
        cmocka_unit_test(a_fan_of_many_queues_is_bounded),
        cmocka_unit_test(letters_through_many_bindings_by_headers_are_not_followed),
        cmocka_unit_test(misses_along_a_chain_are_bounded),
        cmocka_unit_test(who_would_get_it_is_told),
    };
    return unit_main("explain", tests, argc, argv);
}
