/* The node, and what its memory is for. */
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/shape_parts.h"
#include "broker/admin/stats.h"
#include "broker/net/hub.h"

static json_t *applications(const struct admin_config *config)
{
    json_t *all = json_array();
    const char *const names[][2] = {{"rabbit", "RabbitMQ"}, {"rabbitmq_management", "RabbitMQ Management Console"}};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *one = json_object();
        json_set(one, "name", json_string(names[i][0]));
        json_set(one, "description", json_string(names[i][1]));
        json_set(one, "version", json_string(config->version));
        json_add(all, one);
    }
    return all;
}

static void set_limits(struct request *r, json_t *node, const struct measure *m)
{
    const struct admin_config *config = request_config(r);
    unsigned alarms = hub_alarms(request_hub(r));
    shape_set_number(node, "fd_total", m->descriptors_max);
    shape_set_number(node, "sockets_total", m->descriptors_max);
    shape_set_number(node, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    shape_set_number(node, "mem_limit", config->memory_limit);
    json_set(node, "mem_alarm", json_boolean((alarms & ALARM_MEMORY) != 0));
    shape_set_number(node, "disk_free_limit", config->disk_limit);
    json_set(node, "disk_free_alarm", json_boolean((alarms & ALARM_DISK) != 0));
    shape_set_number(node, "uptime", request_uptime_ms(r));
}

static const struct rates_object *node_rates(const struct request *r)
{
    return rates_find(collector_rates(r->admin->collector), RATES_NODE, 0);
}

static void set_measured(const struct request *r, json_t *to, const uint64_t *values, const unsigned *columns, size_t n,
                         struct rates_range range)
{
    static const char *const names[RATES_COLUMNS] = {
#define MEASURE(id, name) [RATES_##id] = (name),
        NODE_MEASURES
#undef MEASURE
    };
    for (size_t i = 0; i < n; i++)
        stats_set(r, to, names[columns[i]], node_rates(r), RATES_BIT(columns[i]), values[columns[i]], range);
}

void shape_set_churn(const struct request *r, json_t *to, const uint64_t *values, struct rates_range range)
{
    static const unsigned columns[] = {RATES_CONNECTION_CREATED, RATES_CONNECTION_CLOSED, RATES_CHANNEL_CREATED,
                                       RATES_CHANNEL_CLOSED,     RATES_QUEUE_DECLARED,    RATES_QUEUE_CREATED,
                                       RATES_QUEUE_DELETED};
    set_measured(r, to, values, columns, sizeof columns / sizeof columns[0], range);
}

static void set_counters(const struct request *r, json_t *node, const uint64_t *values)
{
    static const unsigned columns[] = {RATES_CONTEXT_SWITCHES, RATES_IO_READ_COUNT,    RATES_IO_READ_BYTES,
                                       RATES_IO_WRITE_COUNT,   RATES_IO_WRITE_BYTES,   RATES_IO_SYNC_COUNT,
                                       RATES_MSG_STORE_READS,  RATES_MSG_STORE_WRITES, RATES_MEM_USED,
                                       RATES_FD_USED,          RATES_SOCKETS_USED,     RATES_PROC_USED,
                                       RATES_DISK_FREE};
    static const char *const nothing[] = {"io_seek_count",
                                          "io_reopen_count",
                                          "queue_index_read_count",
                                          "queue_index_write_count",
                                          "mnesia_ram_tx_count",
                                          "mnesia_disk_tx_count",
                                          "gc_num",
                                          "gc_bytes_reclaimed"};
    set_measured(r, node, values, columns, sizeof columns / sizeof columns[0], r->look.node_stats);
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        stats_set(r, node, nothing[i], node_rates(r), 0, 0, r->look.node_stats);
    shape_set_churn(r, node, values, r->look.node_stats);
}

static void set_averages(const struct request *r, json_t *node, const uint64_t *values)
{
    const struct rates_object *o = node_rates(r);
    const struct rates_range range = r->look.node_stats;
    stats_set_average(r, node, "io_read_avg_time", o, (struct stats_average){0}, range);
    stats_set_average(r, node, "io_seek_avg_time", o, (struct stats_average){0}, range);
    stats_set_average(r, node, "io_write_avg_time", o,
                      (struct stats_average){RATES_BIT(RATES_IO_WRITE_US), values[RATES_IO_WRITE_US],
                                             RATES_BIT(RATES_IO_WRITE_COUNT), values[RATES_IO_WRITE_COUNT]},
                      range);
    stats_set_average(r, node, "io_sync_avg_time", o,
                      (struct stats_average){RATES_BIT(RATES_IO_SYNC_US), values[RATES_IO_SYNC_US],
                                             RATES_BIT(RATES_IO_SYNC_COUNT), values[RATES_IO_SYNC_COUNT]},
                      range);
}

static void set_files(json_t *node, const struct admin_config *config)
{
    json_t *logs = json_array(), *read = json_array();
    if (config->log_file != NULL)
        json_add(logs, json_of_text(bytes_of_string(config->log_file)));
    if (config->has_log_console)
        json_add(logs, json_string("<stderr>"));
    for (size_t i = 0; i < config->n_config_files; i++)
        json_add(read, json_of_text(bytes_of_string(config->config_files[i])));
    json_set(node, "log_files", logs);
    json_set(node, "config_files", read);
}

json_t *shape_node(struct request *r)
{
    static const char *const in_short[] = {"name", "type", "running", NULL};
    const struct admin_config *config = request_config(r);
    uint64_t values[RATES_COLUMNS];
    json_t *node = json_object();
    char *pid = str_format("%ld", (long)getpid());
    json_set(node, "name", json_string(config->node));
    json_set(node, "os_pid", json_string(pid));
    free(pid);
    json_set(node, "rates_mode", json_string(config->is_without_rates ? "none" : "basic"));
    collector_node(r->admin->collector, NULL, values);
    set_limits(r, node, collector_measure(r->admin->collector));
    set_counters(r, node, values);
    set_averages(r, node, values);
    json_t *listeners = shape_listeners(r);
    json_set(node, "contexts", shape_contexts(r, listeners, true));
    json_decref(listeners);
    json_set(node, "applications", applications(config));
    json_set(node, "being_drained", json_boolean(config->is_suspended != NULL && config->is_suspended(config->arg)));
    json_set(node, "db_dir", json_of_text(bytes_of_string(config->data_dir)));
    set_files(node, config);
    json_set(node, "exchange_types",
             json_incref(json_object_get(r->admin->templates[TEMPLATE_OVERVIEW], "exchange_types")));
    json_object_update_missing(node, r->admin->templates[TEMPLATE_NODE]);
    return r->look.is_short ? shape_pick(node, in_short) : node;
}

/* ---- Memory. */

json_t *shape_memory(struct request *r)
{
    static const char *const nothing[] = {"connection_readers",
                                          "connection_writers",
                                          "connection_channels",
                                          "connection_other",
                                          "queue_procs",
                                          "queue_slave_procs",
                                          "quorum_queue_procs",
                                          "quorum_queue_dlx_procs",
                                          "stream_queue_procs",
                                          "stream_queue_replica_reader_procs",
                                          "stream_queue_coordinator_procs",
                                          "plugins",
                                          "metrics",
                                          "mnesia",
                                          "quorum_ets",
                                          "other_ets",
                                          "atom",
                                          "other_system",
                                          "allocated_unused",
                                          "reserved_unallocated",
                                          "metadata_store",
                                          "metadata_store_ets",
                                          NULL};
    const struct measure *m = collector_measure(r->admin->collector);
    const struct {
        const char *name;
        uint64_t bytes;
    } known[] = {
        {"code", m->code_bytes},
        {"binary", collector_total(r->admin->collector, "memory_bytes")},
        {"mgmt_db", rates_size(collector_rates(r->admin->collector)).bytes},
        {"msg_index", m->own.image_bytes + m->own.buffered_bytes},
    };
    json_t *memory = json_object(), *total = json_object(), *all = json_object();
    uint64_t rest = m->resident_bytes;
    shape_set_zeros(memory, nothing);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint64_t bytes = known[i].bytes < rest ? known[i].bytes : rest;
        shape_set_number(memory, known[i].name, bytes);
        rest -= bytes;
    }
    shape_set_number(memory, "other_proc", rest);
    json_set(memory, "strategy", json_string("rss"));
    shape_set_number(total, "erlang", m->resident_bytes);
    shape_set_number(total, "rss", m->resident_bytes);
    shape_set_number(total, "allocated", m->resident_bytes);
    json_set(memory, "total", total);
    json_set(all, "memory", memory);
    return all;
}
