/* How long the model takes, alone: nanoseconds of CPU per message for the paths that matter.  Everything else in the
 * broker scales out; this does not (architecture: one thread owns all state). */
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

enum { ROUNDS = 4000, PER_ROUND = 256 };

struct bench {
    struct broker *broker;
    struct effects effects;
    struct instant now;
    struct command commands[PER_ROUND];
    ticket tickets[PER_ROUND];
    unsigned ticket_count;
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

static void start(struct bench *x, bool records, bool consume, bool no_ack)
{
    memset(x, 0, sizeof *x);
    x->now = (struct instant){.ms = 1, .wall_ms = 1};
    effects_init(&x->effects);
    x->broker = broker_create(
        &(struct broker_config){.default_vhost = "/", .hash_seed = 5, .memory_high = UINT64_MAX, .records = records});
    guest_let_in(x->broker);
    say(x, (struct command){.verb = ATTACH, .spec = guest_attach()});
    declare(x, "q");
    if (consume)
        say(x, (struct command){.verb = SUBSCRIBE,
                                .subscribe = {.spec = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = no_ack}),
                                              .consumer = 0}});
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

/* Publishes through to a consumer; with settle each delivery is acknowledged too. */
static void through(const char *what, bool records, bool settle)
{
    struct bench *x = alloc(sizeof *x);
    start(x, records, true, !settle);
    double began = cpu_ns();
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill_publishes(x, "", "q");
        step(x, PER_ROUND);
        if (settle)
            settle_all(x);
    }
    printf("%-40s %7.1f ns\n", what, (cpu_ns() - began) / ROUNDS / PER_ROUND);
    stop(x);
    free(x);
}

/* Publishes into a queue that nobody reads. */
static void pile_up(const char *what, bool records)
{
    struct bench *x = alloc(sizeof *x);
    start(x, records, false, false);
    double began = cpu_ns();
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill_publishes(x, "", "q");
        step(x, PER_ROUND);
    }
    printf("%-40s %7.1f ns\n", what, (cpu_ns() - began) / ROUNDS / PER_ROUND);
    stop(x);
    free(x);
}

/* A topic exchange with so many bindings that do not match, and keys that change, so that no route is remembered. */
static void topic(unsigned bindings)
{
    struct bench *x = alloc(sizeof *x);
    char key[64], what[64];
    start(x, false, true, true);
    for (unsigned i = 0; i < bindings; i++) {
        snprintf(key, sizeof key, "other.%u.*.#", i);
        struct spec s = {.name = BYTES("q"), .source = BYTES("amq.topic"), .key = bytes_of_string(key)};
        say(x, (struct command){.verb = BIND, .spec = spec_create(&s)});
    }
    say(x, (struct command){.verb = BIND,
                            .spec = spec_create(&(struct spec){
                                .name = BYTES("q"), .source = BYTES("amq.topic"), .key = BYTES("mine.*.c")})});
    double began = cpu_ns();
    for (unsigned r = 0; r < ROUNDS / 4; r++) {
        snprintf(key, sizeof key, "mine.%u.c", r);
        fill_publishes(x, "amq.topic", key);
        for (unsigned i = 1; i < PER_ROUND; i += 2) { /* every other one elsewhere: the route changes each time */
            message_unref(x->commands[i].publish.msg);
            struct message *m = message_create(&(struct message_spec){.exchange = BYTES("amq.topic"),
                                                                      .routing_key = BYTES("mine.b.c"),
                                                                      .properties = bytes_of("\0\0", 2),
                                                                      .expiration_ms = MESSAGE_NO_EXPIRATION});
            x->commands[i].publish.msg = m;
        }
        step(x, PER_ROUND);
    }
    snprintf(what, sizeof what, "topic, %u bindings that do not match", bindings);
    printf("%-40s %7.1f ns\n", what, (cpu_ns() - began) / (ROUNDS / 4) / PER_ROUND);
    stop(x);
    free(x);
}

int main(void)
{
    printf("The model alone, CPU per message (message made and freed included)\n");
    through("publish through to a no-ack consumer", false, false);
    through("… with records, of which there are none", true, false);
    through("publish, deliver, acknowledge", false, true);
    through("… with records", true, true);
    pile_up("publish into a queue, freed at the end", false);
    pile_up("… with records: most of it cold", true);
    for (unsigned n = 1; n <= 1000000; n *= 100)
        topic(n);
    return 0;
}
