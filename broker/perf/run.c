#define _GNU_SOURCE
#include "broker/perf/run.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link_tls.h"
#include "broker/perf/server.h"
#include "broker/perf/worker.h"

enum {
    SAMPLE_MS = 1000,
    DRAIN_LOOK_MS = 2,   /* how often is looked whether the last messages are through, once a goal is reached */
    BEGIN_NS = 20000000, /* until the first message is due: threads have started then */
};

struct run {
    const struct perf_options *o;
    struct perf_result *r;
    const struct perf_watcher *watcher;
    struct perf_server server;
    struct link_tls *tls; /* owned; NULL: plain */
    struct link_to to;
    struct link control; /* declares and deletes */
    struct topology topology;
    struct flow flow;
    struct producer *producers; /* owned, as the consumers are */
    struct consumer *consumers;
    struct worker workers[2];
    unsigned workers_count;
    int signals; /* owned: a signalfd */
    uint64_t begin_ns;
};

/* ---- Before */

static void prepare_link(struct run *run)
{
    const struct perf_uri *uri = &run->o->uri;
    struct link_server server = {0};
    run->to = (struct link_to){
        .host = uri->host, .port = uri->port, .user = uri->user, .password = uri->password, .vhost = uri->vhost};
    if (uri->is_tls) {
        run->tls = link_tls_create(run->o->ca_file, run->o->tls_version);
        if (run->o->cert_file != NULL)
            link_tls_show(run->tls, run->o->cert_file, run->o->key_file);
        run->to.tls = run->tls;
    }
    run->to.server = &server;
    link_init(&run->control, &run->to);
    run->to.server = NULL;
    memcpy(run->r->product, server.product, sizeof server.product);
    memcpy(run->r->version, server.version, sizeof server.version);
}

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
        die("eventfd: %s", strerror(errno));
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
        consumer_init(&run->consumers[i], &run->flow, &run->to, &run->topology, i);
        run->consumers[i].latency = run->r->latency;
    }
    for (unsigned i = 0; i < o->producers; i++) {
        producer_init(&run->producers[i], &run->flow, &run->to, &run->topology, i);
        run->producers[i].latency = run->r->confirm_latency;
    }
}

static void catch_signals(struct run *run)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (run->signals < 0)
        die("signalfd: %s", strerror(errno));
}

static void prepare(struct run *run)
{
    if (run->o->pid > 0 && perf_server_find(&run->server, run->o->pid) != 0)
        die("there is no process %d", run->o->pid);
    perf_server_forget_peak(&run->server);
    prepare_link(run);
    topology_init(&run->topology, run->o);
    topology_declare(&run->topology, &run->control);
    prepare_flow(run);
    prepare_links(run);
    catch_signals(run);
}

/* ---- Meanwhile */

static uint64_t client_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void take_sample(struct run *run)
{
    const struct flow *f = &run->flow;
    struct perf_sample *s = perf_result_add_sample(run->r);
    struct perf_usage usage;
    s->ns = now_ns() - run->begin_ns;
    s->at = (struct perf_counts){.published = flow_read(&f->published),
                                 .confirmed = flow_read(&f->confirmed),
                                 .refused = flow_read(&f->refused),
                                 .returned = flow_read(&f->returned),
                                 .consumed = flow_read(&f->consumed),
                                 .settled = flow_read(&f->settled),
                                 .redelivered = flow_read(&f->redelivered),
                                 .sent = flow_read(&f->sent),
                                 .received = flow_read(&f->heard) + flow_read(&f->received)};
    s->client_cpu_ns = client_cpu_ns();
    if (run->server.count > 0 && perf_server_glance(&run->server, &usage)) {
        s->server_cpu_ns = usage.cpu_ns;
        s->server_rss = usage.rss;
    }
    run->r->sends = flow_read(&f->sends);
    run->r->fills = flow_read(&f->fills);
    run->r->blocked = flow_read(&f->blocked);
    if (run->watcher != NULL)
        run->watcher->on_sample(run->watcher->arg, run->r);
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
    bool has_goal = f->publish_goal != UINT64_MAX || f->consume_goal != UINT64_MAX;
    uint64_t next_ns = now_ns() + (uint64_t)SAMPLE_MS * 1000000;
    struct pollfd fds[] = {{.fd = run->signals, .events = POLLIN}, {.fd = f->done, .events = POLLIN}};
    for (;;) {
        uint64_t now = now_ns(), next = next_ns < until_ns ? next_ns : until_ns;
        if (is_whole(f))
            return true;
        if (now >= until_ns)
            return false;
        if (now >= next_ns) {
            take_sample(run);
            next_ns += (uint64_t)SAMPLE_MS * 1000000;
            continue;
        }
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
    run->begin_ns = now_ns();
    run->flow.begin_ns = run->begin_ns + BEGIN_NS;
    take_sample(run);
    run->r->samples[0].at = (struct perf_counts){0}; /* what came while we connected belongs to the run */
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

static void begin_to_measure(struct run *run)
{
    if (run->server.count > 0)
        run->r->has_server = perf_server_look(&run->server, &run->r->server_from);
    atomic_store(&run->flow.is_measuring, true);
}

static void measure(struct run *run)
{
    const struct perf_options *o = run->o;
    struct perf_result *r = run->r;
    bool is_over = false;
    if (o->warm_up == 0)
        begin_to_measure(run);
    start_workers(run);
    if (o->warm_up > 0) {
        is_over = watch_until(run, run->begin_ns + o->warm_up * UINT64_C(1000000000));
        take_sample(run);
        r->from = r->samples_count - 1;
        begin_to_measure(run);
    }
    if (!is_over)
        is_over = watch_until(run, o->seconds > 0 ? now_ns() + o->seconds * UINT64_C(1000000000) : UINT64_MAX);
    if (is_whole(&run->flow))
        await_broker(run);
    take_sample(run);
    atomic_store(&run->flow.is_measuring, false);
    if (run->server.count > 0)
        r->has_server &= perf_server_look(&run->server, &r->server_to);
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
    link_tls_destroy(run->tls);
    close(run->signals);
    close(run->flow.progress);
    close(run->flow.done);
}

void perf_run(const struct perf_options *o, struct perf_result *r, const struct perf_watcher *watcher)
{
    struct run *run = aligned_alloc(_Alignof(struct run), sizeof *run);
    if (run == NULL)
        die("no memory");
    memset(run, 0, sizeof *run);
    run->o = o;
    run->r = r;
    run->watcher = watcher;
    prepare(run);
    measure(run);
    finish(run);
    free(run);
}
