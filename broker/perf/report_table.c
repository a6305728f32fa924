#define _GNU_SOURCE
#include <string.h>
#include <time.h>

#include "broker/perf/latency.h"
#include "broker/perf/options.h"
#include "broker/perf/report.h"
#include "broker/perf/summary.h"
#include "broker/perf/text.h"

enum { NAME_WIDTH = 18, NUMBER_WIDTH = 18, PLAIN_ROOM = 256 };

static void put_name(FILE *to, const char *name)
{
    fprintf(to, "%-*s", NAME_WIDTH, name);
}

/* Padding by characters: printf() would count the two bytes of µ. */
static void put_right(FILE *to, const char *text)
{
    int width = 0;
    for (const char *at = text; *at != '\0'; at++)
        width += ((unsigned char)*at & 0xC0) != 0x80;
    fprintf(to, "%*s%s", width < NUMBER_WIDTH ? NUMBER_WIDTH - width : 0, "", text);
}

static void put_counter(FILE *to, const struct perf_summary *s, const char *name, uint64_t n)
{
    put_name(to, name);
    put_right(to, perf_text_count((double)n).s);
    put_right(to, perf_text_count(perf_summary_rate(s, n)).s);
    fputc('\n', to);
}

static void put_counters(FILE *to, const struct perf_result *r, const struct perf_summary *s)
{
    const struct {
        const char *name;
        uint64_t n;
        bool is_always;
    } all[] = {
        {"published", s->counts.published, r->options->churn == PERF_CHURN_NONE && r->options->producers > 0},
        {"confirmed", s->counts.confirmed, r->options->churn == PERF_CHURN_NONE && r->options->window > 0},
        {"refused", s->counts.refused, false},
        {"returned", s->counts.returned, false},
        {"consumed", s->counts.consumed, r->options->churn == PERF_CHURN_NONE && r->options->consumers > 0},
        {"acknowledged", s->counts.settled, r->options->churn == PERF_CHURN_NONE && r->options->acks > 0},
        {"redelivered", s->counts.redelivered, false},
        {r->options->churn == PERF_CHURN_NONE ? "operations" : perf_churn_name(r->options->churn), s->counts.operations,
         r->options->churn != PERF_CHURN_NONE},
        {"failed", r->churned.failed, false},
        {"bytes sent", s->counts.sent, false},
        {"bytes received", s->counts.received, false},
    };
    put_name(to, "");
    put_right(to, "total");
    put_right(to, "a second");
    fputc('\n', to);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].is_always || all[i].n > 0)
            put_counter(to, s, all[i].name, all[i].n);
}

static void put_moment(FILE *to, const char *name, const struct latency *const *columns, double percent)
{
    put_name(to, name);
    for (unsigned i = 0; columns[i] != NULL; i++)
        put_right(to, perf_text_duration((double)latency_percentile(columns[i], percent)).s);
    fputc('\n', to);
}

static void put_latencies(FILE *to, const struct perf_result *r)
{
    const struct latency *columns[3] = {NULL};
    unsigned n = 0;
    bool has_first = r->latency != NULL && r->latency->count > 0;
    bool has_second = r->confirm_latency != NULL && r->confirm_latency->count > 0;
    if (has_first)
        columns[n++] = r->latency;
    if (has_second)
        columns[n++] = r->confirm_latency;
    if (n == 0)
        return;
    fputc('\n', to);
    put_name(to, "latency");
    if (has_first)
        put_right(to, r->options->churn != PERF_CHURN_NONE ? "operation" : "delivery");
    if (has_second)
        put_right(to, "confirm");
    fputc('\n', to);
    put_name(to, "min");
    for (unsigned i = 0; i < n; i++)
        put_right(to, perf_text_duration((double)columns[i]->min).s);
    fputc('\n', to);
    for (unsigned i = 0; i < PERF_PERCENTILES; i++)
        put_moment(to, perf_percentiles[i].name, columns, perf_percentiles[i].percent);
    put_moment(to, "max", columns, 100);
}

static void put_cost(FILE *to, const char *name, double ns, const char *unit, double busy)
{
    put_name(to, name);
    put_right(to, perf_text_duration(ns).s);
    fprintf(to, " %s %s, %.0f %% of a processor", *unit == 'o' ? "an" : "a", unit, busy * 100);
}

static void put_costs(FILE *to, const struct perf_result *r, const struct perf_summary *s)
{
    fputc('\n', to);
    if (r->has_server && s->units > 0) {
        put_cost(to, "server", s->server_ns, s->unit, s->server_busy);
        if (s->user_ns + s->kernel_ns > 0)
            fprintf(to, " (kernel %.0f %%)", s->kernel_ns / s->server_ns * 100);
        fputc('\n', to);
        for (unsigned i = 0; i < s->busy_count; i++) {
            char name[NAME_WIDTH + 1], plain[16];
            const struct perf_busy *b = &s->busy[i];
            if (s->busy_count < 2 || (double)b->cpu_ns < s->seconds * 1e6) /* a thousandth of a processor */
                continue;
            snprintf(name, sizeof name, "  %s", perf_text_plain(plain, sizeof plain, b->name));
            put_cost(to, name, (double)b->cpu_ns / s->units, s->unit,
                     s->seconds > 0 ? (double)b->cpu_ns / s->seconds / 1e9 : 0);
            fprintf(to, b->threads > 1 ? ", %u threads\n" : "\n", b->threads);
        }
    }
    if (s->units > 0) {
        put_cost(to, "client", s->client_ns, s->unit, s->client_busy);
        fputc('\n', to);
    }
    if (r->has_server && r->options->idle == PERF_IDLE_NONE) {
        put_name(to, "server memory");
        put_right(to, perf_text_bytes((double)r->server_to.rss).s);
        fprintf(to, ", %s at most\n", perf_text_bytes((double)r->server_to.rss_peak).s);
    }
    if (s->disk_per_byte > 0 && r->options->is_persistent)
        fprintf(to, "%-*s%*.2f for each byte of a body\n", NAME_WIDTH, "bytes to disk", NUMBER_WIDTH, s->disk_per_byte);
    if (r->blocked > 0)
        fprintf(to, "%-*s%*llu times\n", NAME_WIDTH, "blocked", NUMBER_WIDTH, (unsigned long long)r->blocked);
}

static void put_idle(FILE *to, const struct perf_result *r, const struct perf_summary *s)
{
    const struct perf_idled *i = &r->idled;
    put_name(to, perf_idle_name(r->options->idle));
    put_right(to, perf_text_count((double)i->count).s);
    fprintf(to, ", made %s a second\n", perf_text_count(perf_summary_rate(s, s->counts.operations)).s);
    put_name(to, "server memory");
    put_right(to, perf_text_bytes((double)i->rss_after).s);
    fprintf(to, ", %s before\n", perf_text_bytes((double)i->rss_before).s);
    put_name(to, "each");
    put_right(to,
              perf_text_bytes(i->count > 0 ? ((double)i->rss_after - (double)i->rss_before) / (double)i->count : 0).s);
    fputc('\n', to);
}

void perf_report_table(FILE *to, const struct perf_result *r)
{
    struct perf_summary s;
    char plain[PLAIN_ROOM], words[PERF_WORDS_ROOM];
    perf_summary_make(&s, r);
    if (r->options->label[0] != '\0')
        fprintf(to, "%s: ", perf_text_plain(plain, sizeof plain, r->options->label));
    fprintf(to, "%s ", perf_text_plain(plain, sizeof plain, r->product[0] != '\0' ? r->product : "a broker"));
    fprintf(to, "%s", perf_text_plain(plain, sizeof plain, r->version));
    if (r->options->idle != PERF_IDLE_NONE) {
        fputs("\n\n", to);
        put_idle(to, r, &s);
        return;
    }
    perf_summary_words(words, r->options);
    fprintf(to, "; %s; %s s\n\n", words, perf_text_number(s.seconds).s);
    put_counters(to, r, &s);
    put_latencies(to, r);
    put_costs(to, r, &s);
}
