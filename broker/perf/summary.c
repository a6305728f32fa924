#include "broker/perf/summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/perf/options.h"
#include "broker/perf/text.h"

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

__attribute__((format(printf, 2, 3))) static void add_words(char to[PERF_WORDS_ROOM], const char *format, ...)
{
    size_t len = strlen(to);
    va_list args;
    va_start(args, format);
    vsnprintf(to + len, PERF_WORDS_ROOM - len, format, args);
    va_end(args);
}

static void add_plural(char to[PERF_WORDS_ROOM], unsigned n, const char *what)
{
    add_words(to, ", %u %s%s", n, what, n != 1 ? "s" : "");
}

static void add_messages(char to[PERF_WORDS_ROOM], const struct perf_options *o)
{
    add_words(to, "%s", perf_text_bytes((double)o->size).s);
    add_plural(to, o->producers, "producer");
    add_plural(to, o->consumers, "consumer");
    if (o->queues > 1)
        add_plural(to, o->queues, "queue");
    if (o->is_fanout)
        add_words(to, ", fan-out");
    if (o->bindings > 0)
        add_words(to, ", %s other bindings", perf_text_count((double)o->bindings).s);
    if (o->is_persistent)
        add_words(to, ", persistent");
    if (o->window > 0)
        add_words(to, ", confirms of %u", o->window);
    if (o->acks > 0)
        add_words(to, ", acknowledgements of %u", o->acks);
    if (o->prefetch > 0)
        add_words(to, ", prefetch %u", o->prefetch);
    if (o->rate > 0)
        add_words(to, ", %s a second", perf_text_count((double)o->rate).s);
    if (o->uri.is_tls)
        add_words(to, ", TLS %.8s", o->tls_version);
}

void perf_summary_words(char to[PERF_WORDS_ROOM], const struct perf_options *o)
{
    to[0] = '\0';
    if (o->churn != PERF_CHURN_NONE)
        add_words(to, "churn of %s, %u at once", perf_churn_name(o->churn), o->producers);
    else if (o->idle != PERF_IDLE_NONE)
        add_words(to, "%s idle %s", perf_text_count((double)o->idle_count).s, perf_idle_name(o->idle));
    else
        add_messages(to, o);
}
