/* The overview, and what Millrace's own status says. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/shape_parts.h"
#include "broker/admin/stats.h"
#include "broker/net/hub.h"

/* ---- Listeners. */

/* "127.0.0.1:5672", "[::1]:5672" or "unix:/path", which has no port. */
static json_t *listener_of(const char *node, const char *protocol, struct bytes address)
{
    enum { DECIMAL = 10, LISTENER_BACKLOG = 128 };
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
    shape_set_number(one, "port", port);
    json_set(one, "socket_opts",
             json_pack("{s:i,s:b,s:[b,i],s:b}", "backlog", LISTENER_BACKLOG, "nodelay", 1, "linger", 1, 0,
                       "exit_on_close", 0));
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

json_t *shape_contexts(struct request *r, const json_t *listeners, bool is_nodes)
{
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *listener = json_array_get(listeners, i);
        struct bytes protocol = json_text_in(listener, "protocol");
        if (!bytes_equal(protocol, BYTES("http")) && !bytes_equal(protocol, BYTES("https")))
            continue;
        json_t *one = json_object();
        char *port = str_format("%" PRIu64, stats_number(listener, "port"));
        if (!is_nodes) {
            json_set(one, "ssl_opts", json_array());
            shape_set_node(r, one);
        }
        json_set(one, "description", json_string("RabbitMQ Management"));
        json_set(one, "path", json_string("/"));
        json_set(one, "cowboy_opts", json_string("[]"));
        json_set(one, "ip", json_of_text(json_text_in(listener, "ip_address")));
        json_set(one, "port", json_string(port));
        free(port);
        json_add(all, one);
    }
    return all;
}

/* ---- The overview. */

static json_t *object_totals(const json_t *totals)
{
    static const char *const names[] = {"channels", "connections", "consumers", "exchanges", "queues"};
    json_t *to = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        shape_set_number(to, names[i], stats_number(totals, names[i]));
    return to;
}

static json_t *queue_totals(const struct request *r, const json_t *totals)
{
    static const char *const names[] = {"messages", "messages_ready", "messages_unacknowledged"};
    json_t *to = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        shape_set_number(to, names[i], stats_number(totals, names[i]));
    stats_set_lengths(r, to, rates_find(collector_rates(r->admin->collector), SAMPLE_BROKER, 0));
    return to;
}

static json_t *churn_rates(const struct request *r, const json_t *totals)
{
    uint64_t values[RATES_COLUMNS];
    json_t *to = json_object();
    collector_node(r->admin->collector, totals, values);
    shape_set_churn(r, to, values, r->look.lengths);
    return to;
}

/* What the types of queues have counted together, and what clients were told. */
static json_t *statistics_of(const json_t *totals)
{
    static const char *const types[] = {"classic", "quorum", "stream"};
    static const char *const own[][2] = {{"publish", "received"},
                                         {"confirm", "confirmed"},
                                         {"return_unroutable", "unroutable_returned"},
                                         {"drop_unroutable", "unroutable_dropped"}};
    json_t *to = json_object();
    for (unsigned i = 0; i < COUNTERS; i++) {
        uint64_t sum = 0;
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            sum += stats_number(json_object_get(totals, types[t]), sample_names[i]);
        shape_set_number(to, sample_names[i], sum);
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        shape_set_number(to, own[i][0], stats_number(totals, own[i][1]));
    return to;
}

static void set_labels(json_t *all, const struct admin_config *config)
{
    for (unsigned i = 0; i < config->n_labels; i++) {
        const struct admin_label *l = &config->labels[i];
        const char *key = l->is_nodes ? "node_tags" : "cluster_tags";
        if (json_object_get(all, key) == NULL)
            json_set(all, key, json_object());
        json_set(json_object_get(all, key), l->name, json_string(l->value));
    }
}

json_t *shape_overview(struct request *r, json_t *totals)
{
    const struct admin_config *config = request_config(r);
    json_t *all = json_object(), *statistics = statistics_of(totals);
    json_set(all, "management_version", json_string(config->version));
    json_set(all, "rabbitmq_version", json_string(config->version));
    json_set(all, "product_version", json_string(config->product_version));
    json_set(all, "cluster_name", json_string(config->cluster_name));
    json_set(all, "rates_mode", json_string(config->is_without_rates ? "none" : "basic"));
    json_set(all, "node", json_string(config->node));
    json_set(all, "listeners", shape_listeners(r));
    json_set(all, "contexts", shape_contexts(r, json_object_get(all, "listeners"), false));
    set_labels(all, config);
    json_set(all, "object_totals", object_totals(totals));
    if (!r->look.is_short) {
        stats_set_messages(r, all, SAMPLE_BROKER, statistics,
                           rates_find(collector_rates(r->admin->collector), SAMPLE_BROKER, 0));
        json_set(all, "churn_rates", churn_rates(r, totals));
    }
    if (!r->look.is_short || r->look.has_totals)
        json_set(all, "queue_totals", queue_totals(r, totals));
    json_object_update_missing(all, r->admin->templates[TEMPLATE_OVERVIEW]);
    json_decref(statistics);
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
