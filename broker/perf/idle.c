#define _GNU_SOURCE
#include "broker/perf/idle.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/callers.h"
#include "broker/perf/die.h"
#include "broker/perf/site.h"

enum {
    AT_ONCE = 64,   /* connections that are being made */
    PIPELINE = 256, /* declares that are under way */
    NAME_ROOM = 48,
    FILES_SPARE = 64, /* that the broker and we have besides */
    TICK_MS = 50,
    PATIENCE_MS = 60000, /* without a single connection more */
};

struct idle {
    const struct perf_options *o; /* borrowed */
    struct perf_site site;
    struct callers *callers; /* owned; while connections are made */
    unsigned dialled, open;
};

static void sample(struct idle *d, uint64_t made)
{
    if (perf_watch_is_due(&d->site.watch, now_ns()))
        perf_watch_sample(&d->site.watch, &(struct perf_counts){.operations = made});
}

/* ---- Connections */

static bool on_open(void *arg, unsigned caller, uint64_t ns)
{
    struct idle *d = arg;
    (void)caller, (void)ns;
    d->open++;
    if (d->dialled < d->o->idle_count)
        callers_dial(d->callers, d->dialled++);
    return false;
}

static void on_end(void *arg, unsigned caller, const char *why)
{
    const struct idle *d = arg;
    (void)caller;
    die("after %u connections: %s", d->open, why);
}

/* As many files as we may have, and enough. */
static void allow_files(const struct idle *d)
{
    struct rlimit r;
    uint64_t need = (uint64_t)d->o->idle_count + FILES_SPARE, theirs = perf_server_files_allowed(&d->site.server);
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        die("no limit of files: %s", strerrordesc_np(errno));
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < need)
        die("%u connections want %llu open files; we may have %llu: ulimit -n", d->o->idle_count,
            (unsigned long long)need, (unsigned long long)r.rlim_cur);
    if (theirs < need)
        die("%u connections want %llu open files; the broker may have %llu", d->o->idle_count, (unsigned long long)need,
            (unsigned long long)theirs);
}

static void make_connections(struct idle *d)
{
    uint64_t heard_ns = now_ns();
    unsigned open = 0;
    while (d->dialled < d->o->idle_count && d->dialled < AT_ONCE)
        callers_dial(d->callers, d->dialled++);
    while (d->open < d->o->idle_count) {
        callers_turn(d->callers, TICK_MS);
        sample(d, d->open);
        uint64_t now = now_ns();
        if (d->open > open)
            heard_ns = now;
        open = d->open;
        if (now > heard_ns + PATIENCE_MS * UINT64_C(1000000))
            die("after %u connections the broker does not answer", open);
        if (perf_site_is_stopped(&d->site))
            die("stopped after %u connections", open);
    }
}

/* ---- Queues */

static void make_queues(struct idle *d, struct link *l, unsigned first, unsigned count)
{
    char name[NAME_ROOM];
    for (unsigned i = first; i < first + count;) {
        unsigned end = i + PIPELINE < first + count ? i + PIPELINE : first + count, asked = i;
        for (; asked < end; asked++) {
            snprintf(name, sizeof name, "perf.idle.%u", asked);
            link_put(
                l, 1,
                &(struct queue_declare){.id = METHOD_queue_declare, .queue = bytes_of_string(name), .exclusive = true});
        }
        link_flush(l);
        for (; i < end; i++)
            link_expect(l, 1, METHOD_queue_declare_ok);
        sample(d, i);
        if (perf_site_is_stopped(&d->site))
            die("stopped after %u queues", i);
    }
}

static void warm_up(struct idle *d)
{
    struct link l;
    link_init(&l, &d->site.to);
    if (d->o->idle == PERF_IDLE_QUEUES)
        make_queues(d, &l, 0, 1);
    link_fini(&l);
}

/* ---- Both */

void idle_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress)
{
    struct idle d = {.o = o};
    struct link l;
    const struct callers_events events = {.on_open = on_open, .on_end = on_end, .arg = &d};
    bool is_connections = o->idle == PERF_IDLE_CONNECTIONS;
    if (o->pid <= 0)
        die("--idle measures the broker's memory: --pid or --start says whose");
    perf_site_init(&d.site, o, r, progress);
    if (is_connections)
        allow_files(&d);
    warm_up(&d);
    if (is_connections)
        d.callers = callers_create(&d.site.to, o->idle_count, &events);
    else
        link_init(&l, &d.site.to);
    r->idled.rss_before = perf_server_settle(&d.site.server);
    perf_watch_begin(&d.site.watch, &(struct perf_counts){0});
    if (is_connections)
        make_connections(&d);
    else
        make_queues(&d, &l, 0, o->idle_count);
    perf_watch_end(&d.site.watch, &(struct perf_counts){.operations = o->idle_count});
    r->idled.rss_after = perf_server_settle(&d.site.server);
    r->idled.count = o->idle_count;
    callers_destroy(d.callers);
    if (!is_connections)
        link_fini(&l);
    perf_site_fini(&d.site);
}
