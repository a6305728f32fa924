#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"
#include "broker/net/hub.h"

/* ---- What the system says of this process. */

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL && fscanf(f, "%*u %llu", &pages) != 1) // NOLINT(cert-err34-c): the system's own numbers
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_entries(const char *path)
{
    uint64_t n = 0;
    DIR *d = opendir(path);
    while (d != NULL && readdir(d) != NULL) // NOLINT(concurrency-mt-unsafe): nobody else has it
        n++;
    if (d != NULL)
        closedir(d);
    return n > 2 ? n - 2 : 0;
}

static uint64_t disk_free(const char *path)
{
    struct statvfs s;
    return statvfs(path, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize : 0;
}

static void set_number(json_t *o, const char *key, uint64_t n)
{
    json_set(o, key, json_integer((json_int_t)n));
}

/* ---- Listeners. */

/* "127.0.0.1:5672", "[::1]:5672" or "unix:/path", which has no port. */
static json_t *listener_of(const char *node, const char *protocol, struct bytes address)
{
    enum { DECIMAL = 10 };
    json_t *one = json_object();
    char *host = str_copy(address), *shown = host;
    char *colon = strncmp(host, "unix:", sizeof "unix:" - 1) == 0 ? NULL : strrchr(host, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, DECIMAL) : 0;
    if (colon != NULL)
        *colon = '\0';
    size_t len = strlen(host);
    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        shown++;
    }
    json_set(one, "node", json_string(node));
    json_set(one, "protocol", json_string(strcmp(protocol, "amqps") == 0 ? "amqp/ssl" : protocol));
    json_set(one, "ip_address", json_of_text(bytes_of_string(shown)));
    set_number(one, "port", port);
    json_set(one, "socket_opts", json_object());
    free(host);
    return one;
}

/* "amqp 127.0.0.1:5672, unix:/run/a.sock, amqps [::1]:5671": a protocol counts until the next. */
json_t *shape_listeners(struct request *r)
{
    const struct admin_config *config = request_config(r);
    json_t *all = json_array();
    char *protocol = str_copy(BYTES("amqp"));
    for (const char *at = config->listeners; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ","), word = strcspn(at, " ,");
        struct bytes address = bytes_of(at, len);
        if (word < len && at[word] == ' ') {
            free(protocol);
            protocol = str_copy(bytes_of(at, word));
            address = bytes_of(at + word + 1, len - word - 1);
        }
        if (!bytes_equal(address, BYTES("none")))
            json_add(all, listener_of(config->node, protocol, address));
        at += len + strspn(at + len, ", ");
    }
    free(protocol);
    return all;
}

/* ---- The node. */

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

static void set_resources(struct request *r, json_t *node)
{
    const struct admin_config *config = request_config(r);
    struct rlimit files = {0};
    unsigned alarms = hub_alarms(request_hub(r));
    uint64_t open = count_entries("/proc/self/fd");
    getrlimit(RLIMIT_NOFILE, &files);
    set_number(node, "fd_total", files.rlim_cur);
    set_number(node, "fd_used", open);
    set_number(node, "sockets_total", files.rlim_cur);
    set_number(node, "sockets_used", open);
    set_number(node, "proc_used", count_entries("/proc/self/task"));
    set_number(node, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    set_number(node, "mem_used", resident_bytes());
    set_number(node, "mem_limit", config->memory_limit);
    json_set(node, "mem_alarm", json_boolean((alarms & ALARM_MEMORY) != 0));
    set_number(node, "disk_free", disk_free(config->data_dir));
    set_number(node, "disk_free_limit", config->disk_limit);
    json_set(node, "disk_free_alarm", json_boolean((alarms & ALARM_DISK) != 0));
    set_number(node, "uptime", request_uptime_ms(r));
}

json_t *shape_node(struct request *r)
{
    const struct admin_config *config = request_config(r);
    json_t *node = json_object();
    char *pid = str_format("%ld", (long)getpid());
    json_set(node, "name", json_string(config->node));
    json_set(node, "os_pid", json_string(pid));
    free(pid);
    set_resources(r, node);
    json_set(node, "applications", applications(config));
    json_set(node, "db_dir", json_of_text(bytes_of_string(config->data_dir)));
    json_set(node, "exchange_types",
             json_incref(json_object_get(r->admin->templates[TEMPLATE_OVERVIEW], "exchange_types")));
    json_object_update_missing(node, r->admin->templates[TEMPLATE_NODE]);
    return node;
}

json_t *shape_memory(void)
{
    static const char *const parts[] = {"connection_readers",
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
                                        "mgmt_db",
                                        "mnesia",
                                        "quorum_ets",
                                        "other_ets",
                                        "binary",
                                        "msg_index",
                                        "code",
                                        "atom",
                                        "other_system",
                                        "allocated_unused",
                                        "reserved_unallocated",
                                        "metadata_store",
                                        "metadata_store_ets"};
    uint64_t resident = resident_bytes();
    json_t *memory = json_object(), *total = json_object(), *all = json_object();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        set_number(memory, parts[i], 0);
    set_number(memory, "other_proc", resident);
    json_set(memory, "strategy", json_string("rss"));
    set_number(total, "erlang", resident);
    set_number(total, "rss", resident);
    set_number(total, "allocated", resident);
    json_set(memory, "total", total);
    json_set(all, "memory", memory);
    return all;
}

/* ---- The overview. */

static json_t *picked(const json_t *from, const char *const *names, size_t n, bool have_details)
{
    json_t *to = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_object_get(from, names[i]);
        json_set(to, names[i], value != NULL ? json_incref(value) : json_integer(0));
        if (have_details) {
            char *details = str_format("%s_details", names[i]);
            json_set(to, details, json_pack("{s:f}", "rate", 0.0));
            free(details);
        }
    }
    return to;
}

json_t *shape_overview(struct request *r, json_t *totals)
{
    static const char *const objects[] = {"channels", "connections", "consumers", "exchanges", "queues"};
    static const char *const messages[] = {"messages", "messages_ready", "messages_unacknowledged"};
    const struct admin_config *config = request_config(r);
    json_t *all = json_object();
    json_set(all, "management_version", json_string(config->version));
    json_set(all, "rabbitmq_version", json_string(config->version));
    json_set(all, "product_version", json_string(config->product_version));
    json_set(all, "cluster_name", json_string(config->cluster_name));
    json_set(all, "node", json_string(config->node));
    json_set(all, "listeners", shape_listeners(r));
    json_set(all, "object_totals", picked(totals, objects, sizeof objects / sizeof objects[0], false));
    json_set(all, "queue_totals", picked(totals, messages, sizeof messages / sizeof messages[0], true));
    json_object_update_missing(all, r->admin->templates[TEMPLATE_OVERVIEW]);
    json_decref(totals);
    return all;
}

json_t *shape_status(struct request *r, json_t *totals)
{
    const struct admin_config *config = request_config(r);
    json_t *status = shape_node(r), *alarms = json_array();
    unsigned set = hub_alarms(request_hub(r));
    if ((set & ALARM_MEMORY) != 0)
        json_add(alarms, json_string("memory"));
    if ((set & ALARM_DISK) != 0)
        json_add(alarms, json_string("disk"));
    json_set(status, "product_name", json_string("Millrace"));
    json_set(status, "product_version", json_string(config->product_version));
    json_set(status, "rabbitmq_version", json_string(config->version));
    json_set(status, "cluster_name", json_string(config->cluster_name));
    json_set(status, "data_directory", json_of_text(bytes_of_string(config->data_dir)));
    json_set(status, "control_socket", json_of_text(bytes_of_string(config->socket)));
    json_set(status, "pid", json_integer(getpid()));
    json_set(status, "alarms", alarms);
    json_set(status, "listeners", shape_listeners(r));
    json_set(status, "totals", totals);
    return status;
}
