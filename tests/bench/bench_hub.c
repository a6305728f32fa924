/* Usage: bench_hub [MILLIONS].  The hub alone, without sockets and frames: how many commands it carries out in a second
 * of its own processor time.
 *
 * Twice each: "calls" is a turn as the one loop takes it (hub_begin, hub_step, hub_end) with nothing else in the time;
 * "thread" is the hub's own thread behind its lane, fed by one loop, with the lane, the mails and the wake-ups.  What a
 * session does, making messages and freeing them, is not the hub's and not in the time.  Commands are publishes,
 * settles and windows.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/net/hub.h"
#include "broker/perf/die.h"
#include "broker/perf/process.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "tests/unit/guest.h"

enum { BODY = 16, TURN_BATCHES = 4, OUT_MAX = 16384, MILLIONS = 4, MILLIONS_MAX = 10000, WARM_UP = 200000 };

struct workload {
    const char *name;
    bool acks, confirms;
};

/* A loop as the hub sees it, with one client: publishes, and answers what it is delivered. */
struct feeder {
    struct workload w;
    struct hub *hub;
    struct outbox outbox;
    uint64_t published, delivered, confirmed, commands, to_publish;
    struct lane lane; /* with a thread */
};

static const struct origin me = {.outlet = {.slot = DESK_SLOTS, .generation = 1}};

/* ---- What a session would say */

static void add_spec(struct feeder *f, enum verb verb, const struct spec *s)
{
    outbox_add(&f->outbox, verb, me, 0)->spec = spec_create(s);
}

static void introduce(struct feeder *f)
{
    outbox_add(&f->outbox, ATTACH, me, 0)->spec = guest_attach();
    add_spec(f, DECLARE_QUEUE, &(struct spec){.name = BYTES("q"), .options = QUEUE_OPTIONS_NONE});
    struct command *c = outbox_add(&f->outbox, SUBSCRIBE, me, 0);
    c->subscribe.spec = spec_create(&(struct spec){.name = BYTES("q"), .no_ack = !f->w.acks});
}

static void add_publish(struct feeder *f)
{
    static const uint8_t body[BODY];
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = sizeof body,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    message_fill(m, bytes_of(body, sizeof body));
    struct command *c = outbox_add(&f->outbox, PUBLISH, me, ++f->published);
    c->publish.msg = m;
    c->publish.confirm = f->w.confirms;
    f->commands++;
}

/* Answers events: one window for them all, and a settle for each delivery. */
static void answer(struct feeder *f, struct event *events, size_t n)
{
    uint64_t window = 0;
    for (size_t i = 0; i < n; i++) {
        struct event *e = &events[i];
        CHECK(e->what != FAILED && e->what != REFUSED);
        f->confirmed += e->what == CONFIRMED ? 1 + (uint64_t)e->confirmed.more : 0;
        if (e->what == DELIVERED) {
            f->delivered++;
            window += message_window_cost(e->delivered.msg);
            if (f->w.acks) {
                struct command *c = outbox_add(&f->outbox, SETTLE, me, 0);
                c->settle.ticket = e->delivered.ticket;
                c->settle.outcome = ACCEPTED;
                f->commands++;
            }
        }
        event_drop(e);
    }
    if (window == 0)
        return;
    outbox_add(&f->outbox, WINDOW, me, 0)->window.bytes = window;
    f->commands++;
}

static void publish_some(struct feeder *f)
{
    for (unsigned i = 0; i < TURN_BATCHES * BATCH_MAX && f->published < f->to_publish; i++)
        add_publish(f);
}

static bool is_done(const struct feeder *f)
{
    return f->delivered == f->to_publish && (!f->w.confirms || f->confirmed == f->to_publish);
}

/* ---- By calls */

static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Takes turns until all is delivered; answers what they took. */
static uint64_t take_turns(struct feeder *f)
{
    uint64_t ns = 0;
    do {
        publish_some(f);
        struct batch *first = outbox_take(&f->outbox);
        uint64_t began = thread_ns();
        hub_begin(f->hub);
        for (struct batch *b = first; b != NULL; b = b->next)
            hub_step(f->hub, b);
        struct effects *e = hub_end(f->hub);
        ns += thread_ns() - began;
        for (struct batch *b = first, *next; b != NULL; b = next) {
            next = b->next;
            outbox_give(&f->outbox, b);
        }
        answer(f, e->events, e->n);
        effects_clear(e);
    } while (!is_done(f));
    return ns;
}

static uint64_t run_calls(struct feeder *f, uint64_t messages)
{
    introduce(f);
    f->to_publish = WARM_UP;
    take_turns(f);
    f->to_publish += messages;
    f->commands = 0;
    return take_turns(f);
}

/* ---- By its thread */

static void open_mails(struct feeder *f)
{
    for (struct parcel *p = lane_collect(&f->lane), *next; p != NULL; p = next) {
        next = p->next;
        struct mail *m = mail_of(p);
        for (struct batch *b = m->batches, *after; b != NULL; b = after) {
            after = b->next;
            outbox_give(&f->outbox, b);
        }
        m->batches = NULL;
        answer(f, m->events, m->n);
        m->n = 0;
        mail_destroy(m);
    }
}

static void post(struct feeder *f)
{
    struct batch *first = outbox_take(&f->outbox);
    if (first == NULL) {
        if (!is_done(f))
            lane_wait(&f->lane, UINT64_MAX);
        return;
    }
    struct mail *m = mail_create(0);
    m->batches = first;
    lane_post(hub_inbox(f->hub), &m->parcel);
}

static void feed(struct feeder *f)
{
    do {
        if (f->published - f->delivered < OUT_MAX)
            publish_some(f);
        post(f);
        open_mails(f);
    } while (!is_done(f));
}

static uint64_t hub_thread_ns(void)
{
    struct thread_usage threads[THREADS_MAX];
    unsigned n = process_threads(getpid(), threads);
    for (unsigned i = 0; i < n; i++)
        if (strcmp(threads[i].name, "hub") == 0)
            return threads[i].cpu_ns;
    die("the hub has no thread");
}

static uint64_t run_thread(struct feeder *f, uint64_t messages)
{
    struct lane *lanes[] = {&f->lane};
    hub_start(f->hub, lanes);
    introduce(f);
    f->to_publish = WARM_UP;
    feed(f);
    f->commands = 0;
    f->to_publish += messages;
    uint64_t began = hub_thread_ns();
    feed(f);
    uint64_t ns = hub_thread_ns() - began;
    hub_stop(f->hub);
    open_mails(f);
    return ns;
}

/* ---- */

static void measure(const struct workload *w, uint64_t messages, bool by_thread)
{
    struct feeder f = {.w = *w};
    struct broker *broker =
        broker_create(&(struct broker_config){.default_vhost = "/", .hash_seed = 5, .memory_high = UINT64_MAX});
    guest_let_in(broker);
    outbox_init(&f.outbox);
    lane_init(&f.lane);
    f.hub = hub_create(broker, NULL, by_thread ? 1 : 0);
    uint64_t ns = by_thread ? run_thread(&f, messages) : run_calls(&f, messages);
    printf("%-36s %-7s %7.1f %9.1f %10.2f\n", w->name, by_thread ? "thread" : "calls", (double)ns / (double)messages,
           (double)ns / (double)f.commands, (double)f.commands * 1e3 / (double)ns);
    hub_destroy(f.hub);
    lane_fini(&f.lane);
    outbox_fini(&f.outbox);
}

int main(int argc, char **argv)
{
    static const struct workload workloads[] = {
        {.name = "publish, deliver"},
        {.name = "publish, deliver, settle", .acks = true},
        {.name = "publish, confirm, deliver, settle", .acks = true, .confirms = true},
    };
    unsigned long millions = argc > 1 ? strtoul(argv[1], NULL, 10) : MILLIONS;
    if (argc > 2 || millions == 0 || millions > MILLIONS_MAX)
        die("usage: bench_hub [MILLIONS]");
    printf("%-36s %-7s %7s %9s %10s\n", "the hub alone", "by", "ns/msg", "ns/cmd", "Mcmd/s");
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        for (int by_thread = 0; by_thread < 2; by_thread++)
            measure(&workloads[i], millions * 1000000, by_thread == 1);
    return 0;
}
