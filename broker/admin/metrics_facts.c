#define _GNU_SOURCE
#include "broker/admin/metrics_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/metrics_text.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"
#include "broker/net/hub.h"
#include "broker/net/login.h"

enum { THOUSAND = 1000, MILLION = 1000000 };

static void set_number(json_t *o, const char *key, uint64_t n)
{
    json_set(o, key, json_integer((json_int_t)n));
}

static void set_seconds(json_t *o, const char *key, uint64_t us)
{
    json_set(o, key, json_real((double)us / MILLION));
}

static void set_histogram(json_t *o, const char *key, const struct histogram *h)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        json_add(all, json_integer((json_int_t)h->buckets[i]));
    json_add(all, json_integer((json_int_t)h->sum));
    json_set(o, key, all);
}

/* ---- The process. */

static uint64_t virtual_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL && fscanf(f, "%llu", &pages) != 1) // NOLINT(cert-err34-c): the system's own numbers
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * MILLION + (uint64_t)t.tv_usec;
}

static void add_process(json_t *facts, const struct measure *m)
{
    struct rlimit threads = {0};
    struct rusage used = {0};
    getrlimit(RLIMIT_NPROC, &threads);
    getrusage(RUSAGE_SELF, &used);
    set_number(facts, "virtual_bytes", virtual_bytes());
    set_number(facts, "resident_bytes", m->resident_bytes);
    set_number(facts, "open_fds", m->descriptors);
    set_number(facts, "max_fds", m->descriptors_max);
    json_set(facts, "fd_alarm", json_boolean(m->descriptors >= m->descriptors_max));
    set_number(facts, "threads", m->threads);
    set_number(facts, "max_threads", threads.rlim_cur < INT32_MAX ? threads.rlim_cur : INT32_MAX);
    set_seconds(facts, "cpu_seconds", microseconds(used.ru_utime) + microseconds(used.ru_stime));
    set_number(facts, "disk_available", m->disk_free);
    set_number(facts, "read_bytes", m->read_bytes);
}

/* ---- The broker. */

static void add_node(struct request *r, json_t *facts)
{
    const struct admin_config *config = request_config(r);
    unsigned alarms = hub_alarms(request_hub(r));
    uint64_t up_ms = request_uptime_ms(r);
    set_number(facts, "disk_limit", config->disk_limit);
    set_number(facts, "memory_limit", config->memory_limit);
    json_set(facts, "memory_alarm", json_boolean((alarms & ALARM_MEMORY) != 0));
    json_set(facts, "disk_alarm", json_boolean((alarms & ALARM_DISK) != 0));
    json_set(facts, "uptime_seconds", json_real((double)up_ms / THOUSAND));
    const uint64_t start_s = (clock_wall_ms() - up_ms) / THOUSAND;
    json_set(facts, "start_time_seconds", json_real((double)start_s));
    set_number(facts, "audit_lost", audit_lost());
}

static void add_journal(json_t *facts, const struct admin_measures *m)
{
    set_histogram(facts, "queueing", &m->queueing_us);
    set_histogram(facts, "write", &m->write_us);
    set_histogram(facts, "sync", &m->sync_us);
    set_number(facts, "write_groups", m->write_us.count);
    set_seconds(facts, "write_seconds", m->write_us.sum);
    set_number(facts, "written_bytes", m->written_bytes);
    set_number(facts, "syncs", m->sync_us.count);
    set_seconds(facts, "sync_seconds", m->sync_us.sum);
    set_number(facts, "slow_syncs", m->slow_syncs);
    set_number(facts, "full_writes", m->full_writes);
    set_number(facts, "journal_bytes", m->journal_bytes);
    set_number(facts, "pack_bytes", m->pack_bytes);
    set_number(facts, "checkpoint_bytes", m->checkpoint_bytes);
    set_number(facts, "buffered_bytes", m->buffered_bytes);
    set_number(facts, "image_bytes", m->image_bytes);
}

static void add_hub(const struct request *r, json_t *facts)
{
    struct hub_measures *m = alloc_zeroed(sizeof *m);
    hub_measure(request_hub(r), m);
    set_histogram(facts, "turn", &m->turns_us);
    set_histogram(facts, "confirm", &m->confirms_us);
    set_number(facts, "stalls", m->stalls);
    set_number(facts, "commands", m->commands);
    free(m);
}

/* "auth_failed", of all protocols, and of each. */
static void set_attempts(json_t *facts, const char *what, const uint64_t by_protocol[LOGIN_PROTOCOLS])
{
    static const char *const protocols[LOGIN_PROTOCOLS] = {[LOGIN_AMQP] = "amqp091", [LOGIN_HTTP] = "http"};
    json_t *each = json_object();
    uint64_t all = 0;
    for (unsigned i = 0; i < LOGIN_PROTOCOLS; i++) {
        set_number(each, protocols[i], by_protocol[i]);
        all += by_protocol[i];
    }
    char *key = str_format("%s_by_protocol", what);
    set_number(facts, what, all);
    json_set(facts, key, each);
    free(key);
}

static void add_logins(const struct request *r, json_t *facts)
{
    const struct login_rules *rules = request_config(r)->login;
    uint64_t all[LOGIN_PROTOCOLS] = {0}, succeeded[LOGIN_PROTOCOLS] = {0}, failed[LOGIN_PROTOCOLS] = {0};
    for (unsigned i = 0; rules != NULL && rules->attempts != NULL && i < LOGIN_PROTOCOLS; i++) {
        succeeded[i] = atomic_load(&rules->attempts->succeeded[i]);
        failed[i] = atomic_load(&rules->attempts->failed[i]);
        all[i] = succeeded[i] + failed[i];
    }
    set_attempts(facts, "auth_attempts", all);
    set_attempts(facts, "auth_succeeded", succeeded);
    set_attempts(facts, "auth_failed", failed);
}

void metrics_facts_add(struct request *r, json_t *facts)
{
    const struct measure *m = collector_measure(r->admin->collector);
    add_process(facts, m);
    add_node(r, facts);
    add_journal(facts, &m->own);
    add_hub(r, facts);
    add_logins(r, facts);
}

/* ---- Who it is. */

static char *escaped(const char *text)
{
    char *to = alloc(strlen(text) * METRICS_ESCAPE_MAX + 1);
    metrics_text_escape(to, bytes_of_string(text));
    return to;
}

void metrics_facts_identify(const struct request *r, const char *endpoint, struct evbuffer *to)
{
    const struct admin_config *config = request_config(r);
    char *node = escaped(config->node), *cluster = escaped(config->cluster_name);
    metrics_text_head(to, "rabbitmq_build_info", "gauge", "What is running");
    evbuffer_add_printf(to,
                        "rabbitmq_build_info{rabbitmq_version=\"%s\",prometheus_plugin_version=\"%s\","
                        "prometheus_client_version=\"n/a\",erlang_version=\"n/a\",product_name=\"Millrace\","
                        "product_version=\"%s\"} 1\n",
                        config->version, config->version, config->product_version);
    metrics_text_head(to, "rabbitmq_identity_info", "gauge", "Whose metrics these are");
    evbuffer_add_printf(to,
                        "rabbitmq_identity_info{rabbitmq_node=\"%s\",rabbitmq_cluster=\"%s\","
                        "rabbitmq_cluster_permanent_id=\"rabbitmq-cluster-id-%016" PRIx64 "\","
                        "rabbitmq_endpoint=\"%s\"} 1\n",
                        node, cluster,
                        hash_bytes(bytes_of_string(config->data_dir), hash_bytes(bytes_of_string(config->node), 0)),
                        endpoint);
    free(node);
    free(cluster);
}

void metrics_facts_print_memory(struct request *r, struct evbuffer *to)
{
    json_t *memory = shape_memory(r), *value;
    const char *key;
    json_object_foreach(json_object_get(memory, "memory"), key, value)
    {
        char name[METRICS_NAME_MAX];
        if (!json_is_number(value))
            continue;
        snprintf(name, sizeof name, "rabbitmq_memory_%s_bytes", key);
        metrics_text_head(to, name, "gauge", "Memory of that kind");
        metrics_text_series(to, name, "", json_number_value(value));
    }
    json_decref(memory);
}
