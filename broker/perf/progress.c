#define _GNU_SOURCE
#include "broker/perf/progress.h"

#include <unistd.h>

#include "broker/perf/options.h"
#include "broker/perf/summary.h"
#include "broker/perf/text.h"

enum { SHORT_NS = 200000000 };

void perf_progress_init(struct perf_progress *p, FILE *to, const struct perf_options *o)
{
    bool is_wanted = o->has_progress && !o->is_quiet;
    *p = (struct perf_progress){.to = is_wanted ? to : NULL};
    if (is_wanted)
        p->is_terminal = isatty(fileno(to)) == 1;
}

static void put_rate(FILE *to, const struct perf_summary *s, bool is_wanted, uint64_t n, const char *what)
{
    if (is_wanted)
        fprintf(to, "  %s %s/s", perf_text_count(perf_summary_rate(s, n)).s, what);
}

void perf_progress_tell(struct perf_progress *p, const struct perf_result *r)
{
    const struct perf_options *o = r->options;
    if (p->to == NULL || r->samples_count < 2)
        return;
    const struct perf_sample *to = perf_result_last(r), *from = to - 1;
    struct perf_summary s = {.seconds = (double)(to->ns - from->ns) / 1e9,
                             .counts = perf_counts_between(&from->at, &to->at)};
    if (to->ns - from->ns < SHORT_NS)
        return; /* a rate of that little time says nothing */
    bool is_churn = o->churn != PERF_CHURN_NONE;
    if (p->is_terminal)
        fputs("\r\033[K", p->to);
    fprintf(p->to, "%6.1f s", (double)to->ns / 1e9);
    put_rate(p->to, &s, !is_churn && o->producers > 0, s.counts.published, "published");
    put_rate(p->to, &s, !is_churn && o->window > 0, s.counts.confirmed, "confirmed");
    put_rate(p->to, &s, !is_churn && o->consumers > 0, s.counts.consumed, "consumed");
    put_rate(p->to, &s, is_churn, s.counts.operations, perf_churn_name(o->churn));
    if (to->server_rss > 0)
        fprintf(p->to, "  server %.0f %%, %s",
                s.seconds > 0 ? (double)(to->server_cpu_ns - from->server_cpu_ns) / s.seconds / 1e7 : 0,
                perf_text_bytes((double)to->server_rss).s);
    if (!p->is_terminal)
        fputc('\n', p->to);
    p->is_open = p->is_terminal;
    fflush(p->to);
}

void perf_progress_end(struct perf_progress *p)
{
    if (p->is_open)
        fputc('\n', p->to);
    p->is_open = false;
}
