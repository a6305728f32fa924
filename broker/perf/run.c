#define _GNU_SOURCE
#include "broker/perf/run.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/site.h"
#include "broker/perf/worker.h"

#define SECOND UINT64_C(1000000000)

enum {
    DRAIN_LOOK_MS = 2,   /* how often is looked whether the last messages are through, once a goal is reached */
    BEGIN_NS = 20000000, /* until the first message is due: threads have started then */
};

struct run {
    const struct perf_options *o;
    struct perf_result *r;
    struct perf_site site;
    struct link control; /* declares and deletes */
    struct topology topology;
    struct flow flow;
    struct producer *producers; /* owned, as the consumers are */
    struct consumer *consumers;
    struct worker workers[2];
    unsigned workers_count;
};

/* ---- Before */

static uint64_t goal(uint64_t each, uint64_t n)
{
    return each > 0 && n > 0 ? each * n : UINT64_MAX;
}

static void prepare_flow(struct run *run)
{
    const struct perf_options *o = run->o;
    struct flow *f = &run->flow;
    f->o = o;
    f->copies = run->topology.copies;
    f->owner = now_ns() ^ (uint64_t)getpid() << 48;
    f->publish_goal = goal(o->producer_messages, o->producers);
    f->consume_goal = goal(o->consumer_messages, o->consumers);
    if (o->consumer_messages == 0 && o->consumers > 0 && f->publish_goal != UINT64_MAX)
        f->consume_goal = f->publish_goal * f->copies;
    f->progress = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->progress < 0 || f->done < 0)
        die("eventfd: %s", strerrordesc_np(errno));
}

static void prepare_links(struct run *run)
{
    const struct perf_options *o = run->o;
    run->consumers = alloc_zeroed((o->consumers + 1) * sizeof *run->consumers);
    run->producers = alloc_zeroed((o->producers + 1) * sizeof *run->producers);
    if (o->has_latency)
        run->r->latency = alloc_zeroed(sizeof *run->r->latency);
    if (o->has_confirm_latency)
        run->r->confirm_latency = alloc_zeroed(sizeof *run->r->confirm_latency);
    for (unsigned i = 0; i < o->consumers; i++) {
        consumer_init(&run->consumers[i], &run->flow, &run->site.to, &run->topology, i);
        run->consumers[i].latency = run->r->latency;
    }
    for (unsigned i = 0; i < o->producers; i++) {
        producer_init(&run->producers[i], &run->flow, &run->site.to, &run->topology, i);
        run->producers[i].latency = run->r->confirm_latency;
    }
}

static void prepare(struct run *run)
{
    link_init(&run->control, &run->site.to);
    topology_init(&run->topology, run->o);
    topology_declare(&run->topology, &run->control);
    prepare_flow(run);
    prepare_links(run);
}

/* ---- Meanwhile */

static struct perf_counts counts_of(const struct flow *f)
{
    return (struct perf_counts){.published = flow_read(&f->published),
                                .confirmed = flow_read(&f->confirmed),
                                .refused = flow_read(&f->refused),
                                .returned = flow_read(&f->returned),
                                .consumed = flow_read(&f->consumed),
                                .settled = flow_read(&f->settled),
                                .redelivered = flow_read(&f->redelivered),
                                .sent = flow_read(&f->sent),
                                .received = flow_read(&f->heard) + flow_read(&f->received)};
}

static bool is_whole(const struct flow *f)
{
    if (f->publish_goal != UINT64_MAX && flow_read(&f->published) < f->publish_goal)
        return false;
    if (f->publish_goal != UINT64_MAX && f->o->window > 0 &&
        flow_read(&f->confirmed) + flow_read(&f->refused) < f->publish_goal)
        return false;
    if (f->consume_goal != UINT64_MAX && flow_read(&f->consumed) < f->consume_goal)
        return false;
    return f->publish_goal != UINT64_MAX || f->consume_goal != UINT64_MAX;
}

/* Until then, with a sample each second; true: it is over before, because all is through or somebody stops us. */
static bool watch_until(struct run *run, uint64_t until_ns)
{
    const struct flow *f = &run->flow;
    struct perf_watch *watch = &run->site.watch;
    bool has_goal = f->publish_goal != UINT64_MAX || f->consume_goal != UINT64_MAX;
    struct pollfd fds[] = {{.fd = run->site.signals, .events = POLLIN}, {.fd = f->done, .events = POLLIN}};
    for (;;) {
        uint64_t now = now_ns();
        if (is_whole(f))
            return true;
        if (now >= until_ns)
            return false;
        if (perf_watch_is_due(watch, now)) {
            struct perf_counts at = counts_of(f);
            perf_watch_sample(watch, &at);
            continue;
        }
        uint64_t next = watch->next_ns < until_ns ? watch->next_ns : until_ns;
        int ms = (int)((next - now + 999999) / 1000000);
        bool is_near = has_goal && (fds[1].revents != 0 || f->consume_goal == UINT64_MAX);
        poll(fds, is_near ? 1 : 2, is_near && ms > DRAIN_LOOK_MS ? DRAIN_LOOK_MS : ms);
        if (fds[0].revents != 0)
            return true;
    }
}

static void start_workers(struct run *run)
{
    const struct perf_options *o = run->o;
    struct worker *w = run->workers;
    run->flow.begin_ns = now_ns() + BEGIN_NS;
    if (o->threads == 1) {
        worker_start(&w[0], &run->flow, run->producers, o->producers, run->consumers, o->consumers);
        run->workers_count = 1;
        return;
    }
    worker_start(&w[0], &run->flow, NULL, 0, run->consumers, o->consumers);
    worker_start(&w[1], &run->flow, run->producers, o->producers, NULL, 0);
    run->workers_count = 2;
}

static void stop_workers(struct run *run)
{
    atomic_store(&run->flow.is_over, true);
    for (unsigned i = 0; i < run->workers_count; i++)
        worker_stop(&run->workers[i]);
    run->workers_count = 0;
}

/* A number of publishes that nobody confirms and nobody consumes: it is over when the broker has taken the last. */
static void await_broker(struct run *run)
{
    const struct perf_options *o = run->o;
    if (run->flow.publish_goal == UINT64_MAX || o->window > 0 || o->consumers > 0)
        return;
    stop_workers(run);
    for (unsigned i = 0; i < o->producers; i++)
        producer_settle(&run->producers[i]);
}

static void measure(struct run *run)
{
    const struct perf_options *o = run->o;
    struct perf_counts at = {0}; /* (what came while we connected belongs to the run) */
    bool is_over = false;
    atomic_store(&run->flow.is_measuring, o->warm_up == 0);
    perf_watch_begin(&run->site.watch, &at);
    start_workers(run);
    if (o->warm_up > 0) {
        is_over = watch_until(run, now_ns() + o->warm_up * SECOND);
        at = counts_of(&run->flow);
        perf_watch_begin(&run->site.watch, &at);
        atomic_store(&run->flow.is_measuring, true);
    }
    if (!is_over)
        watch_until(run, o->seconds > 0 ? now_ns() + o->seconds * SECOND : UINT64_MAX);
    if (is_whole(&run->flow))
        await_broker(run);
    at = counts_of(&run->flow);
    perf_watch_end(&run->site.watch, &at);
    atomic_store(&run->flow.is_measuring, false);
    stop_workers(run);
}

/* ---- After */

static void finish(struct run *run)
{
    const struct perf_options *o = run->o;
    for (unsigned i = 0; i < o->producers; i++)
        producer_fini(&run->producers[i]);
    for (unsigned i = 0; i < o->consumers; i++)
        consumer_fini(&run->consumers[i]);
    free(run->producers);
    free(run->consumers);
    topology_delete(&run->topology, &run->control);
    topology_fini(&run->topology);
    link_fini(&run->control);
    run->r->sends = flow_read(&run->flow.sends);
    run->r->fills = flow_read(&run->flow.fills);
    run->r->blocked = flow_read(&run->flow.blocked);
    close(run->flow.progress);
    close(run->flow.done);
}

void perf_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress)
{
    struct run *run = aligned_alloc(_Alignof(struct run), sizeof *run);
    if (run == NULL)
        die("no memory");
    memset(run, 0, sizeof *run);
    run->o = o;
    run->r = r;
    perf_site_init(&run->site, o, r, progress);
    prepare(run);
    measure(run);
    finish(run);
    perf_site_fini(&run->site);
    free(run);
}
