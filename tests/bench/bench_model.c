/* How long the model takes, alone: nanoseconds of CPU per message for the paths that matter.  Everything else in the
 * broker scales out; this does not (architecture: one thread owns all state).
 *
 *   bench_model [NAME [ROUNDS]]   all workloads; or one, by name, in so many rounds of 256 messages
 *
 * The difference between two counts of rounds under `valgrind --tool=callgrind` is instructions per message, which a
 * busy machine does not change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/broker.h"
#include "broker/port/batch.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "tests/unit/guest.h"

enum { ROUNDS = 4000, PER_ROUND = 256, FAN_QUEUES = 10 };

struct bench {
    struct broker *broker;
    struct effects effects;
    struct instant now;
    struct command commands[PER_ROUND];
    ticket tickets[PER_ROUND];
    unsigned ticket_count;
    unsigned rounds;
    double began; /* when what is measured did: a workload says so */
};

/* A workload, and which it is of its kind. */
struct workload {
    const char *name, *what;
    void (*run)(struct bench *x, const struct workload *w);
    bool records, settles;
    unsigned n; /* bindings, queues */
};

static const struct origin me = {.outlet = {.slot = 0, .generation = 1}};

static void step(struct bench *x, size_t n)
{
    uint64_t window = 0;
    broker_step(x->broker, &x->now, x->commands, n, &x->effects);
    x->ticket_count = 0;
    for (size_t i = 0; i < x->effects.n; i++) {
        struct event *e = &x->effects.events[i];
        CHECK(e->what != FAILED);
        if (e->what == DELIVERED) {
            window += message_window_cost(e->delivered.msg);
            if (!e->delivered.no_ack)
                x->tickets[x->ticket_count++] = e->delivered.ticket;
        }
        event_drop(e);
    }
    effects_clear(&x->effects); /* the records too */
    if (window > 0) {
        struct command c = {.verb = WINDOW, .from = me, .window = {.bytes = window}};
        broker_step(x->broker, &x->now, &c, 1, &x->effects);
    }
}

static void say(struct bench *x, struct command c)
{
    c.from = me;
    x->commands[0] = c;
    step(x, 1);
}

static void declare(struct bench *x, const char *name)
{
    struct spec s = {.name = bytes_of_string(name), .durable = true, .options = QUEUE_OPTIONS_NONE};
    say(x, (struct command){.verb = DECLARE_QUEUE, .spec = spec_create(&s)});
}

static void subscribe(struct bench *x, const char *queue, unsigned number, bool no_ack)
{
    struct spec s = {.name = bytes_of_string(queue), .no_ack = no_ack};
    say(x, (struct command){.verb = SUBSCRIBE, .subscribe = {.spec = spec_create(&s), .consumer = number}});
}

static void bind(struct bench *x, const char *queue, const char *exchange, const char *key)
{
    struct spec s = {.name = bytes_of_string(queue), .source = bytes_of_string(exchange), .key = bytes_of_string(key)};
    say(x, (struct command){.verb = BIND, .spec = spec_create(&s)});
}

static void start(struct bench *x, bool records)
{
    x->now = (struct instant){.ms = 1, .wall_ms = 1};
    effects_init(&x->effects);
    x->broker = broker_create(
        &(struct broker_config){.default_vhost = "/", .hash_seed = 5, .memory_high = UINT64_MAX, .records = records});
    guest_let_in(x->broker);
    say(x, (struct command){.verb = ATTACH, .spec = guest_attach()});
}

static void stop(struct bench *x)
{
    broker_destroy(x->broker);
    effects_fini(&x->effects);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fill_publishes(struct bench *x, const char *exchange, const char *key)
{
    static const uint8_t body[100];
    for (unsigned i = 0; i < PER_ROUND; i++) {
        struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(exchange),
                                                                  .routing_key = bytes_of_string(key),
                                                                  .properties = bytes_of("\0\0", 2),
                                                                  .body_size = sizeof body,
                                                                  .flags = MESSAGE_PERSISTENT,
                                                                  .expiration_ms = MESSAGE_NO_EXPIRATION});
        message_fill(m, bytes_of(body, sizeof body));
        x->commands[i] = (struct command){.verb = PUBLISH, .from = me, .publish = {.msg = m}};
    }
}

static void settle_all(struct bench *x)
{
    unsigned n = x->ticket_count;
    for (unsigned i = 0; i < n; i++)
        x->commands[i] =
            (struct command){.verb = SETTLE, .from = me, .settle = {.ticket = x->tickets[i], .outcome = ACCEPTED}};
    step(x, n);
}

/* Publishes through to a consumer; if it settles, each delivery is acknowledged too. */
static void through(struct bench *x, const struct workload *w)
{
    declare(x, "q");
    subscribe(x, "q", 0, !w->settles);
    x->began = cpu_ns();
    for (unsigned r = 0; r < x->rounds; r++) {
        fill_publishes(x, "", "q");
        step(x, PER_ROUND);
        if (w->settles)
            settle_all(x);
    }
}

/* Each message goes to n queues, each with a consumer. */
static void fan_out(struct bench *x, const struct workload *w)
{
    char name[16];
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(name, sizeof name, "q%u", i);
        declare(x, name);
        subscribe(x, name, i, true);
        bind(x, name, "amq.fanout", "");
    }
    x->began = cpu_ns();
    for (unsigned r = 0; r < x->rounds; r++) {
        fill_publishes(x, "amq.fanout", "");
        step(x, PER_ROUND);
    }
}

/* Publishes into a queue that nobody reads. */
static void pile_up(struct bench *x, const struct workload *w)
{
    (void)w;
    declare(x, "q");
    x->began = cpu_ns();
    for (unsigned r = 0; r < x->rounds; r++) {
        fill_publishes(x, "", "q");
        step(x, PER_ROUND);
    }
}

/* Publishes made, and freed again: what all of the others have in common. */
static void nothing(struct bench *x, const struct workload *w)
{
    (void)w;
    x->began = cpu_ns();
    for (unsigned r = 0; r < x->rounds; r++) {
        fill_publishes(x, "", "q");
        for (unsigned i = 0; i < PER_ROUND; i++)
            command_drop(&x->commands[i]);
    }
}

/* A topic exchange with so many bindings that do not match, and keys that change, so that no route is remembered. */
static void topic(struct bench *x, const struct workload *w)
{
    char key[64];
    declare(x, "q");
    subscribe(x, "q", 0, true);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(key, sizeof key, "other.%u.*.#", i);
        bind(x, "q", "amq.topic", key);
    }
    bind(x, "q", "amq.topic", "mine.*.c");
    x->began = cpu_ns();
    for (unsigned r = 0; r < x->rounds; r++) {
        snprintf(key, sizeof key, "mine.%u.c", r);
        fill_publishes(x, "amq.topic", key);
        for (unsigned i = 1; i < PER_ROUND; i += 2) { /* every other one elsewhere: the route changes each time */
            message_unref(x->commands[i].publish.msg);
            x->commands[i].publish.msg = message_create(&(struct message_spec){.exchange = BYTES("amq.topic"),
                                                                               .routing_key = BYTES("mine.b.c"),
                                                                               .properties = bytes_of("\0\0", 2),
                                                                               .expiration_ms = MESSAGE_NO_EXPIRATION});
        }
        step(x, PER_ROUND);
    }
}

static const struct workload workloads[] = {
    {"nothing", "messages made and freed", nothing, false, false, 0},
    {"through", "publish through to a no-ack consumer", through, false, false, 0},
    {"through-records", "… with records, of which there are none", through, true, false, 0},
    {"ack", "publish, deliver, acknowledge", through, false, true, 0},
    {"ack-records", "… with records", through, true, true, 0},
    {"fan-out", "publish to ten queues, each with a consumer", fan_out, true, false, FAN_QUEUES},
    {"pile-up", "publish into a queue, freed at the end", pile_up, false, false, 0},
    {"pile-up-records", "… with records: most of it cold", pile_up, true, false, 0},
    {"topic-1", "topic, 1 binding that does not match", topic, false, false, 1},
    {"topic-100", "topic, 100 bindings that do not match", topic, false, false, 100},
    {"topic-10000", "topic, 10,000 bindings that do not match", topic, false, false, 10000},
    {"topic-1000000", "topic, 1,000,000 bindings that do not match", topic, false, false, 1000000},
};

static void run(const struct workload *w, unsigned rounds)
{
    struct bench *x = alloc_zeroed(sizeof *x);
    x->rounds = rounds;
    start(x, w->records);
    w->run(x, w);
    printf("%-16s %-46s %7.1f ns\n", w->name, w->what, (cpu_ns() - x->began) / rounds / PER_ROUND);
    stop(x);
    free(x);
}

int main(int argc, char **argv)
{
    enum { COUNT = sizeof workloads / sizeof workloads[0] };
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS, n = 0;
    printf("The model alone, CPU per message (message made and freed included)\n");
    for (unsigned i = 0; i < COUNT; i++) {
        if (argc > 1 && strcmp(argv[1], workloads[i].name) != 0)
            continue;
        run(&workloads[i], rounds);
        n++;
    }
    return n > 0 && rounds > 0 ? 0 : 2;
}
