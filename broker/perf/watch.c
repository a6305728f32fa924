#define _GNU_SOURCE
#include "broker/perf/watch.h"

#include "broker/perf/die.h"

#define SECOND UINT64_C(1000000000)

enum { SHORT_NS = 200000000 };

void perf_watch_init(struct perf_watch *w, struct perf_result *r, const struct perf_server *server,
                     struct perf_progress *progress)
{
    *w = (struct perf_watch){.result = r, .server = server, .progress = progress, .began_ns = now_ns()};
    perf_watch_begin(w, &(struct perf_counts){0});
}

static void take(struct perf_watch *w, const struct perf_counts *at)
{
    struct perf_usage server = {0};
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    if (w->server != NULL && !perf_server_glance(w->server, &server))
        die("the broker's process is gone");
    uint64_t now = now_ns();
    *perf_result_add_sample(w->result) =
        (struct perf_sample){.ns = now - w->began_ns,
                             .at = *at,
                             .client_cpu_ns = (uint64_t)cpu.tv_sec * SECOND + (uint64_t)cpu.tv_nsec,
                             .server_cpu_ns = server.cpu_ns,
                             .server_rss = server.rss};
    if (now >= w->next_ns)
        w->next_ns = w->next_ns + SECOND > now ? w->next_ns + SECOND : now + SECOND;
}

void perf_watch_sample(struct perf_watch *w, const struct perf_counts *at)
{
    take(w, at);
    perf_progress_tell(w->progress, w->result);
}

/* At an edge the last second ends, unless it was the edge before: a rate of the last few milliseconds would say
 * nothing.
 */
static void take_edge(struct perf_watch *w, const struct perf_counts *at)
{
    struct perf_result *r = w->result;
    bool is_short = r->samples_count > r->from + 1 && now_ns() - w->began_ns - perf_result_last(r)->ns < SHORT_NS;
    if (is_short)
        r->samples_count--;
    take(w, at);
    if (!is_short)
        perf_progress_tell(w->progress, r);
}

void perf_watch_begin(struct perf_watch *w, const struct perf_counts *at)
{
    take_edge(w, at);
    w->next_ns = now_ns() + SECOND;
    w->result->from = w->result->samples_count - 1;
    w->result->has_server = w->server != NULL && perf_server_look(w->server, &w->result->server_from);
}

void perf_watch_end(struct perf_watch *w, const struct perf_counts *at)
{
    take_edge(w, at);
    if (w->server != NULL && !perf_server_look(w->server, &w->result->server_to))
        die("the broker's process is gone");
}
