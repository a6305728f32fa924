#include "broker/perf/summary.h"

#include "broker/perf/options.h"

struct perf_counts perf_counts_between(const struct perf_counts *from, const struct perf_counts *to)
{
    return (struct perf_counts){
        .published = to->published - from->published,
        .confirmed = to->confirmed - from->confirmed,
        .refused = to->refused - from->refused,
        .returned = to->returned - from->returned,
        .consumed = to->consumed - from->consumed,
        .settled = to->settled - from->settled,
        .redelivered = to->redelivered - from->redelivered,
        .sent = to->sent - from->sent,
        .received = to->received - from->received,
        .operations = to->operations - from->operations,
    };
}

double perf_summary_rate(const struct perf_summary *s, uint64_t n)
{
    return s->seconds > 0 ? (double)n / s->seconds : 0;
}

static void choose_unit(struct perf_summary *s, const struct perf_options *o)
{
    double published = (double)s->counts.published, consumed = (double)s->counts.consumed;
    if (o->churn != PERF_CHURN_NONE) {
        s->unit = "operation";
        s->units = (double)s->counts.operations;
    } else if (consumed > 0 && (o->is_fanout || o->producers == 0)) {
        s->unit = "delivery";
        s->units = consumed;
    } else if (o->consumers == 0) {
        s->unit = "publish";
        s->units = published;
    } else {
        s->unit = "message";
        s->units = (published + consumed) / 2;
    }
}

static double each(double sum, double n)
{
    return n > 0 ? sum / n : 0;
}

static void cost_server(struct perf_summary *s, const struct perf_result *r)
{
    const struct perf_usage *from = &r->server_from, *to = &r->server_to;
    double cpu = (double)(to->cpu_ns - from->cpu_ns), bytes = (double)s->counts.published * (double)r->options->size;
    double user = (double)(to->user_ns - from->user_ns), kernel = (double)(to->kernel_ns - from->kernel_ns);
    s->server_ns = each(cpu, s->units);
    s->server_busy = each(cpu, s->seconds * 1e9);
    s->user_ns = user + kernel > 0 ? s->server_ns * user / (user + kernel) : 0;
    s->kernel_ns = user + kernel > 0 ? s->server_ns - s->user_ns : 0;
    s->disk_per_byte = each((double)(to->written - from->written), bytes);
    s->busy_count = perf_busy_since(from, to, s->busy);
}

void perf_summary_make(struct perf_summary *s, const struct perf_result *r)
{
    const struct perf_sample *from = perf_result_first(r), *to = perf_result_last(r);
    *s = (struct perf_summary){0};
    if (from != NULL && to != NULL) {
        s->seconds = (double)(to->ns - from->ns) / 1e9;
        s->counts = perf_counts_between(&from->at, &to->at);
    }
    choose_unit(s, r->options);
    if (from != NULL && to != NULL) {
        double client = (double)(to->client_cpu_ns - from->client_cpu_ns);
        s->client_ns = each(client, s->units);
        s->client_busy = each(client, s->seconds * 1e9);
    }
    if (r->has_server)
        cost_server(s, r);
}
