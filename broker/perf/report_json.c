#define _GNU_SOURCE
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/utf8.h"
#include "broker/perf/latency.h"
#include "broker/perf/options.h"
#include "broker/perf/report.h"
#include "broker/perf/summary.h"

enum { DIGITS = 6, TIME_ROOM = 32 };

const struct perf_percentile perf_percentiles[PERF_PERCENTILES] = {
    {"p50", 50}, {"p75", 75}, {"p95", 95}, {"p99", 99}, {"p99.9", 99.9}};

/* ---- Values */

static void put(json_t *object, const char *key, json_t *value)
{
    CHECK(value != NULL && json_object_set_new(object, key, value) == 0);
}

static void put_count(json_t *object, const char *key, uint64_t n)
{
    put(object, key, json_integer(n <= INT64_MAX ? (json_int_t)n : INT64_MAX));
}

/* JSON has no infinity. */
static void put_real(json_t *object, const char *key, double d)
{
    put(object, key, isfinite(d) ? json_real(d) : json_null());
}

/* What is not UTF-8 becomes question marks: a label may be anything, and a broker's name, too. */
static void put_text(json_t *object, const char *key, const char *text)
{
    if (text == NULL) {
        put(object, key, json_null());
        return;
    }
    char *copy = alloc_copy(text, strlen(text) + 1);
    for (char *at = copy; *at != '\0';) {
        size_t n = utf8_length(bytes_of(at, strlen(at)));
        if (n == 0)
            *at = '?';
        at += n > 0 ? n : 1;
    }
    put(object, key, json_string(copy));
    free(copy);
}

static json_t *add_object(json_t *parent, const char *key)
{
    json_t *o = json_object();
    put(parent, key, o);
    return o;
}

/* ---- Parts */

static void put_options(json_t *to, const struct perf_options *o)
{
    put_text(to, "program", o->program);
    json_t *settings = json_array();
    put(to, "set", settings);
    for (unsigned i = 0; i < o->settings_count; i++) {
        json_t *holder = json_object();
        put_text(holder, "", o->settings[i]);
        CHECK(json_array_append(settings, json_object_get(holder, "")) == 0);
        json_decref(holder);
    }
    put_text(to, "host", o->uri.host);
    put_count(to, "port", o->uri.port);
    put_text(to, "vhost", o->uri.vhost);
    put(to, "tls", json_boolean(o->uri.is_tls));
    put_text(to, "tls_version", o->tls_version);
    put_count(to, "producers", o->producers);
    put_count(to, "consumers", o->consumers);
    put_count(to, "queues", o->queues);
    put_count(to, "threads", o->threads);
    put(to, "spin", json_boolean(o->is_spinning));
    put_text(to, "queue", o->queue);
    put_text(to, "queue_type", o->queue_type);
    put_text(to, "exchange", o->exchange);
    put_text(to, "type", o->exchange_type);
    put_text(to, "routing_key", o->routing_key);
    put_count(to, "bindings", o->bindings);
    put(to, "durable", json_boolean(o->is_durable));
    put(to, "predeclared", json_boolean(o->is_predeclared));
    put(to, "fanout", json_boolean(o->is_fanout));
    put_count(to, "size", o->size);
    put(to, "persistent", json_boolean(o->is_persistent));
    put(to, "mandatory", json_boolean(o->is_mandatory));
    put_count(to, "confirm", o->window);
    put_count(to, "multi_ack_every", o->acks);
    put_count(to, "qos", o->prefetch);
    put_count(to, "rate", o->rate);
    put_count(to, "backlog", o->backlog);
    put_count(to, "time", o->seconds);
    put_count(to, "warm_up", o->warm_up);
    put_count(to, "pmessages", o->producer_messages);
    put_count(to, "cmessages", o->consumer_messages);
    put(to, "cpu_server", json_integer(o->cpu_server));
    put(to, "cpu_client", json_integer(o->cpu_client));
    put_text(to, "churn", o->churn != PERF_CHURN_NONE ? perf_churn_name(o->churn) : NULL);
    put_text(to, "idle", o->idle != PERF_IDLE_NONE ? perf_idle_name(o->idle) : NULL);
}

/* Every counter, by the names that all reports have for them: as it is, or a second. */
static void put_counters(json_t *counts, json_t *rates, const struct perf_summary *s)
{
    const struct {
        const char *name;
        uint64_t n;
    } all[] = {
        {"published", s->counts.published},     {"confirmed", s->counts.confirmed}, {"refused", s->counts.refused},
        {"returned", s->counts.returned},       {"consumed", s->counts.consumed},   {"settled", s->counts.settled},
        {"redelivered", s->counts.redelivered}, {"sent", s->counts.sent},           {"received", s->counts.received},
        {"operations", s->counts.operations},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put_count(counts, all[i].name, all[i].n);
        put_real(rates, all[i].name, perf_summary_rate(s, all[i].n));
    }
}

static json_t *make_latency(const struct latency *l)
{
    if (l == NULL || l->count == 0)
        return json_null();
    json_t *o = json_object();
    put_count(o, "count", l->count);
    put_count(o, "min", l->min);
    put_real(o, "mean", latency_mean(l));
    for (unsigned i = 0; i < PERF_PERCENTILES; i++)
        put_count(o, perf_percentiles[i].name, latency_percentile(l, perf_percentiles[i].percent));
    put_count(o, "max", l->max);
    return o;
}

static json_t *make_server(const struct perf_result *r, const struct perf_summary *s)
{
    if (!r->has_server)
        return json_null();
    json_t *o = json_object(), *threads = json_array();
    put_real(o, "ns", s->server_ns);
    put_real(o, "user_ns", s->user_ns);
    put_real(o, "kernel_ns", s->kernel_ns);
    put_real(o, "busy", s->server_busy);
    put_count(o, "rss", r->server_to.rss);
    put_count(o, "rss_peak", r->server_to.rss_peak);
    put_count(o, "written", r->server_to.written - r->server_from.written);
    put_real(o, "disk_per_byte", s->disk_per_byte);
    put(o, "threads", threads);
    for (unsigned i = 0; i < s->busy_count; i++) {
        const struct perf_busy *b = &s->busy[i];
        json_t *t = json_object();
        put_text(t, "name", b->name);
        put_count(t, "threads", b->threads);
        put_real(t, "ns", s->units > 0 ? (double)b->cpu_ns / s->units : 0);
        put_real(t, "busy", s->seconds > 0 ? (double)b->cpu_ns / s->seconds / 1e9 : 0);
        CHECK(json_array_append_new(threads, t) == 0);
    }
    return o;
}

static json_t *make_churn(const struct perf_result *r, const struct perf_summary *s)
{
    if (r->options->churn == PERF_CHURN_NONE)
        return json_null();
    json_t *o = json_object();
    put_text(o, "kind", perf_churn_name(r->options->churn));
    put_count(o, "done", s->counts.operations);
    put_count(o, "failed", r->churned.failed);
    put_real(o, "rate", perf_summary_rate(s, s->counts.operations));
    return o;
}

static json_t *make_idle(const struct perf_result *r)
{
    const struct perf_idled *i = &r->idled;
    if (r->options->idle == PERF_IDLE_NONE)
        return json_null();
    json_t *o = json_object();
    put_text(o, "kind", perf_idle_name(r->options->idle));
    put_count(o, "count", i->count);
    put_count(o, "rss_before", i->rss_before);
    put_count(o, "rss_after", i->rss_after);
    put_real(o, "rss_each", i->count > 0 ? ((double)i->rss_after - (double)i->rss_before) / (double)i->count : 0);
    return o;
}

static json_t *make_samples(const struct perf_result *r)
{
    json_t *all = json_array();
    double origin = perf_result_first(r) != NULL ? (double)perf_result_first(r)->ns : 0;
    for (unsigned i = 1; i < r->samples_count; i++) {
        const struct perf_sample *from = &r->samples[i - 1], *to = &r->samples[i];
        double seconds = (double)(to->ns - from->ns) / 1e9;
        struct perf_summary s = {.seconds = seconds, .counts = perf_counts_between(&from->at, &to->at)};
        if (seconds <= 0)
            continue;
        json_t *o = json_object();
        put_real(o, "seconds", ((double)to->ns - origin) / 1e9);
        put_real(o, "published", perf_summary_rate(&s, s.counts.published));
        put_real(o, "consumed", perf_summary_rate(&s, s.counts.consumed));
        put_real(o, "confirmed", perf_summary_rate(&s, s.counts.confirmed));
        put_real(o, "operations", perf_summary_rate(&s, s.counts.operations));
        put_real(o, "client_busy", (double)(to->client_cpu_ns - from->client_cpu_ns) / seconds / 1e9);
        if (r->has_server) {
            put_real(o, "server_busy", (double)(to->server_cpu_ns - from->server_cpu_ns) / seconds / 1e9);
            put_count(o, "server_rss", to->server_rss);
        }
        CHECK(json_array_append_new(all, o) == 0);
    }
    return all;
}

static void put_head(json_t *to, const struct perf_result *r, const struct perf_machine *m)
{
    char at[TIME_ROOM] = "";
    time_t started = (time_t)r->started_at;
    struct tm t;
    if (gmtime_r(&started, &t) != NULL)
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &t);
    put_count(to, "format", 1);
    put_text(to, "label", r->options->label);
    put_text(to, "tool", "millrace-perf " PACKAGE_VERSION);
    put_text(to, "started_at", at);
    json_t *broker = add_object(to, "broker"), *machine = add_object(to, "machine");
    put_text(broker, "product", r->product);
    put_text(broker, "version", r->version);
    put_text(machine, "cpu", m->cpu);
    put_count(machine, "cores", m->cores);
    put_text(machine, "kernel", m->kernel);
    put_count(machine, "memory", m->memory);
}

void perf_report_json(FILE *to, const struct perf_result *r, const struct perf_machine *m)
{
    struct perf_summary s;
    perf_summary_make(&s, r);
    json_t *all = json_object();
    put_head(all, r, m);
    put_options(add_object(all, "options"), r->options);
    put_real(all, "seconds", s.seconds);
    json_t *counts = add_object(all, "counts"), *rates = add_object(all, "rates");
    put_counters(counts, rates, &s);
    put_text(all, "unit", s.unit);
    put_real(all, "units", s.units);
    put(all, "latency", make_latency(r->latency));
    put(all, "confirm_latency", make_latency(r->confirm_latency));
    put(all, "server", make_server(r, &s));
    json_t *client = add_object(all, "client");
    put_real(client, "ns", s.client_ns);
    put_real(client, "busy", s.client_busy);
    put_count(client, "sends", r->sends);
    put_count(client, "fills", r->fills);
    put_count(all, "blocked", r->blocked);
    put(all, "churn", make_churn(r, &s));
    put(all, "idle", make_idle(r));
    put(all, "samples", make_samples(r));
    CHECK(json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS)) == 0 || ferror(to) != 0);
    fputc('\n', to);
    json_decref(all);
}
