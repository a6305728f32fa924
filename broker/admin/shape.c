#include "broker/admin/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/state.h"

#define RATE "{\"rate\":0.0}"
#define NUMBER(name) "\"" name "\":0"
#define COUNTER(name) "\"" name "\":0,\"" name "_details\":" RATE
#define DETAILS(name) "\"" name "_details\":" RATE
#define GARBAGE                                                                                                        \
    "\"garbage_collection\":{\"fullsweep_after\":0,\"max_heap_size\":0,\"min_bin_vheap_size\":0,\"min_heap_size\":0,"  \
    "\"minor_gcs\":0}"
#define DELIVERIES                                                                                                     \
    COUNTER("ack")                                                                                                     \
    "," COUNTER("deliver") "," COUNTER("deliver_get") "," COUNTER("deliver_no_ack") "," COUNTER("get") "," COUNTER(    \
        "get_empty") "," COUNTER("get_no_ack") "," COUNTER("publish") "," COUNTER("redeliver")

static const char
    *const
        texts
            [TEMPLATES] =
                {
                    [TEMPLATE_QUEUE] =
                        "{\"policy\":null,\"operator_policy\":null,\"effective_policy_definition\":{},\"exclusive_"
                        "consumer_"
                        "tag\":null,"
                        "\"single_active_consumer_tag\":null,\"recoverable_slaves\":null,\"head_message_timestamp\":"
                        "null,"
                        "\"consumer_capacity\":0.0,\"consumer_utilisation\":0.0,"
                        "\"memory\":0," COUNTER("reductions") "," DETAILS("messages") "," DETAILS(
                            "messages_ready") "," DETAILS("messages_unacknowledged") ",\"messages_ram\":0,\"messages_"
                                                                                     "ready_"
                                                                                     "ram\":0,\"messages_"
                                                                                     "unacknowledged_"
                                                                                     "ram\":0,"
                                                                                     "\"messages_persistent\":0,"
                                                                                     "\"messages_"
                                                                                     "paged_out\":0,\"message_bytes\":"
                                                                                     "0,"
                                                                                     "\"message_bytes_unacknowledged\":"
                                                                                     "0,"
                                                                                     "\"message_bytes_ram\":0,"
                                                                                     "\"message_bytes_persistent\":0,"
                                                                                     "\"message_bytes_paged_out\":"
                                                                                     "0," GARBAGE ",\"backing_queue_"
                                                                                     "status\":{\"mode\":"
                                                                                     "\"default\",\"len\":0,"
                                                                                     "\"avg_ingress_rate\":0.0,\"avg_"
                                                                                     "egress_rate\":0.0,\"avg_ack_"
                                                                                     "ingress_"
                                                                                     "rate\":0.0,"
                                                                                     "\"avg_ack_egress_rate\":0.0}}",
                    [TEMPLATE_QUEUE_ALONE] = "{\"consumer_details\":[],\"incoming\":[],\"deliveries\":[]}",
                    [TEMPLATE_VHOST] =
                        "{\"description\":\"\",\"tags\":[],\"default_queue_type\":\"classic\",\"tracing\":"
                        "false," DETAILS("messages") "," DETAILS("messages_ready") "," DETAILS(
                            "messages_unacknowledged") "," COUNTER("recv_oct") "," COUNTER("send_oct") "}",
                    [TEMPLATE_CONNECTION] =
                        "{\"user_provided_name\":null,\"type\":\"network\",\"protocol\":\"AMQP "
                        "0-9-1\",\"auth_mechanism\":\"PLAIN\","
                        "\"host\":\"\",\"port\":0,\"peer_host\":\"\",\"peer_port\":0,\"timeout\":0,\"channel_max\":0,"
                        "\"frame_max\":0,"
                        "\"client_properties\":{},\"ssl\":false,\"ssl_protocol\":null,\"ssl_key_exchange\":null,\"ssl_"
                        "cipher\":null,"
                        "\"ssl_hash\":null,\"peer_cert_subject\":null,\"peer_cert_issuer\":null,\"peer_cert_validity\":"
                        "null," COUNTER("recv_oct") ",\"recv_cnt\":0," COUNTER(
                            "send_oct") ",\"send_cnt\":0,\"send_pend\":0," COUNTER("reductions") "," GARBAGE "}",
                    [TEMPLATE_CHANNEL] =
                        "{\"state\":\"running\",\"confirm\":false,\"transactional\":false,\"consumer_count\":0,"
                        "\"prefetch_count\":0,\"global_prefetch_count\":0,\"messages_unacknowledged\":0,"
                        "\"messages_unconfirmed\":0,\"messages_uncommitted\":0,\"acks_uncommitted\":0,"
                        "\"pending_raft_commands\":0," COUNTER("reductions") "," GARBAGE "}",
                    [TEMPLATE_NODE] =
                        "{\"type\":\"disc\",\"running\":true,\"being_drained\":false,\"partitions\":[],\"run_"
                        "queue\":0,"
                        "\"rates_mode\":\"basic\",\"net_ticktime\":60,\"proc_total\":1048576,\"mem_"
                        "calculation_strategy\":\"rss\","
                        "\"mem_used_details\":" RATE ",\"disk_free_details\":" RATE ",\"fd_used_details\":" RATE
                        ",\"sockets_used_details\":" RATE ",\"proc_used_"
                        "details\":" RATE "," COUNTER("io_read_count") "," COUNTER(
                            "io_read_bytes") "," COUNTER("io_read_avg_time") "," COUNTER("io_"
                                                                                         "writ"
                                                                                         "e_"
                                                                                         "coun"
                                                                                         "t") "," COUNTER("io_write_"
                                                                                                          "bytes") "," COUNTER("io_write_avg_time") "," COUNTER("io_sync_count") "," COUNTER("io"
                                                                                                                                                                                             "_s"
                                                                                                                                                                                             "yn"
                                                                                                                                                                                             "c_"
                                                                                                                                                                                             "av"
                                                                                                                                                                                             "g_"
                                                                                                                                                                                             "ti"
                                                                                                                                                                                             "m"
                                                                                                                                                                                             "e") "," COUNTER("io_seek_count") "," COUNTER("io_seek_avg_time") "," COUNTER("io_reopen_count") "," COUNTER("msg_store_read_"
                                                                                                                                                                                                                                                                                                          "count") "," COUNTER("msg_store_write_count") "," COUNTER("queue_index_read_count") "," COUNTER("queue_index_write_count") "," COUNTER("mnesia_ram_tx_count") "," COUNTER("mnesia_disk_tx_count") "," COUNTER("gc_num") "," COUNTER("gc_bytes_reclaimed") "," COUNTER("context_switches") "," COUNTER("connection_created") "," COUNTER("connection_closed") "," COUNTER("channel_created") "," COUNTER("channel_closed") "," COUNTER("queue_"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "declared") "," COUNTER("queue_created") "," COUNTER("queue_deleted") ",\"auth_mechanisms\":[{\"name\":\"PLAIN\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"description\":\"SASL PLAIN authentication mechanism\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"enabled\":true},{\"name\":\"AMQPLAIN\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"description\":\"QPid AMQPLAIN mechanism\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"enabled\":true}],\"enabled_plugins\":"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "[\"rabbitmq_management\"],\"contexts\":[],"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"cluster_links\":[],\"log_files\":[],"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"config_files\":[],\"metrics_gc_queue_length\":{},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "\"ra_open_file_metrics\":{}}",
                    [TEMPLATE_OVERVIEW] =
                        "{\"rates_mode\":\"basic\",\"sample_retention_policies\":{\"global\":[600,"
                        "3600,"
                        "28800,86400],"
                        "\"basic\":[600,3600],\"detailed\":[600]},\"product_name\":\"Millrace\","
                        "\"erlang_"
                        "version\":\"n/a\","
                        "\"erlang_full_version\":\"n/"
                        "a\",\"release_series_support_status\":\"supported\",\"disable_stats\":false,"
                        "\"enable_queue_totals\":false,\"statistics_db_event_queue\":0,\"contexts\":["
                        "],"
                        "\"message_stats\":{" DELIVERIES
                        "," COUNTER("confirm") "," COUNTER("return_unroutable") "," COUNTER(
                            "drop_"
                            "unrou"
                            "tabl"
                            "e") "," COUNTER("disk_reads") "," COUNTER("disk_writes") "},\"churn_"
                                                                                      "rates\":"
                                                                                      "{" COUNTER("ch"
                                                                                                  "an"
                                                                                                  "ne"
                                                                                                  "l_"
                                                                                                  "cl"
                                                                                                  "os"
                                                                                                  "e"
                                                                                                  "d") "," COUNTER("cha"
                                                                                                                   "nne"
                                                                                                                   "l_"
                                                                                                                   "cre"
                                                                                                                   "ate"
                                                                                                                   "d") "," COUNTER("connection_"
                                                                                                                                    "closed") "," COUNTER("connection_created") "," COUNTER("queue_"
                                                                                                                                                                                            "created") "," COUNTER("queue_declared") "," COUNTER("queue_deleted") "},\"exchange_types\":["
                                                                                                                                                                                                                                                                  "{\"name\":\"direct\",\"description\":\"AMQP direct "
                                                                                                                                                                                                                                                                  "exchange, as per the AMQP specification\","
                                                                                                                                                                                                                                                                  "\"enabled\":true},{\"name\":\"fanout\","
                                                                                                                                                                                                                                                                  "\"description\":\"AMQP fanout exchange, as per the AMQP "
                                                                                                                                                                                                                                                                  "specification\",\"enabled\":true},{\"name\":\"headers\","
                                                                                                                                                                                                                                                                  "\"description\":\"AMQP headers exchange, as per the AMQP "
                                                                                                                                                                                                                                                                  "specification\",\"enabled\":true},{\"name\":\"topic\","
                                                                                                                                                                                                                                                                  "\"description\":\"AMQP topic exchange, as per the AMQP "
                                                                                                                                                                                                                                                                  "specification\",\"enabled\":true},"
                                                                                                                                                                                                                                                                  "{\"name\":\"x-consistent-hash\",\"description\":\"Consistent Hashing Exchange\",\"enabled\":true},"
                                                                                                                                                                                                                                                                  "{\"name\":\"x-local-random\",\"description\":\"Picks one random local binding (queue) to route via (to).\",\"enabled\":true},"
                                                                                                                                                                                                                                                                  "{\"name\":\"x-modulus-hash\",\"description\":\"Modulus Hashing Exchange\",\"enabled\":true},"
                                                                                                                                                                                                                                                                  "{\"name\":\"x-random\",\"description\":\"Exchange type with random routing\",\"enabled\":true},"
                                                                                                                                                                                                                                                                  "{\"name\":\"x-recent-history\",\"description\":\"Recent History Exchange\",\"enabled\":true}]}",
};

void shape_load(json_t **templates)
{
    for (unsigned i = 0; i < TEMPLATES; i++) {
        json_error_t error;
        templates[i] = json_loads(texts[i], 0, &error);
        CHECK(templates[i] != NULL);
    }
}

/* The row's own members come first; those of the template are shared, and nobody changes them. */
static json_t *completed(const struct request *r, json_t *row, enum admin_template what)
{
    CHECK(json_object_update_missing(row, r->admin->templates[what]) == 0);
    return row;
}

static void set_node(const struct request *r, json_t *row)
{
    json_set(row, "node", json_string(r->admin->config.node));
}

static json_t *taken(json_t *row, const char *key)
{
    json_t *value = json_incref(json_object_get(row, key));
    json_object_del(row, key);
    return value;
}

static json_t *or_null(json_t *value)
{
    return value != NULL ? value : json_null();
}

/* ---- Topology. */

json_t *shape_queue(struct request *r, json_t *row)
{
    json_t *owner = taken(row, "owner_pid");
    if (owner != NULL) {
        json_t *details = json_object();
        json_set(details, "name", owner);
        json_set(row, "owner_pid_details", details);
    }
    set_node(r, row);
    return completed(r, row, TEMPLATE_QUEUE);
}

json_t *shape_exchange(struct request *r, json_t *row)
{
    (void)r;
    json_set(row, "user_who_performed_action", json_string("rmq-internal"));
    return row;
}

/* Letters and digits stand for themselves, - _ . as well; a space is a plus. */
static char *put_form(char *to, struct bytes text)
{
    static const char digits[] = "0123456789ABCDEF", plain[] = "-_.";
    enum { LOW = 15 };
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_letter || (c != '\0' && strchr(plain, c) != NULL)) {
            *to++ = (char)c;
        } else if (c == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & LOW];
        }
    }
    return to;
}

char *shape_properties_key(struct bytes routing_key, const json_t *arguments)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum { LONGEST = 3, HASH_DIGITS = 8, BITS = 6, MASK = 63, REST = 16 };
    char *key = alloc(routing_key.len * LONGEST + REST), *to = put_form(key, routing_key);
    if (json_object_size(arguments) > 0) {
        char *text = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
        uint64_t hash = hash_bytes(bytes_of_string(text), 0); /* no seed: it is the same after a restart */
        free(text);
        *to++ = '~';
        for (unsigned i = 0; i < HASH_DIGITS; i++, hash >>= BITS)
            *to++ = digits[hash & MASK];
    } else if (routing_key.len == 0) {
        *to++ = '~';
    }
    *to = '\0';
    return key;
}

json_t *shape_binding(struct request *r, json_t *row)
{
    (void)r;
    char *key = shape_properties_key(json_text_in(row, "routing_key"), json_object_get(row, "arguments"));
    json_set(row, "properties_key", json_string(key));
    free(key);
    return row;
}

json_t *shape_implied_binding(struct request *r, json_t *queue)
{
    json_t *row = json_object(), *name = json_object_get(queue, "name");
    json_set(row, "source", json_string(""));
    json_set(row, "vhost", json_incref(json_object_get(queue, "vhost")));
    json_set(row, "destination", json_incref(name));
    json_set(row, "destination_type", json_string("queue"));
    json_set(row, "routing_key", json_incref(name));
    json_set(row, "arguments", json_object());
    json_decref(queue);
    return shape_binding(r, row);
}

/* ---- Clients. */

/* "127.0.0.1:40944 -> 127.0.0.1:5672 (1)" and the rest that says which channel that is. */
static json_t *channel_details(const struct request *r, json_t *connection, json_int_t number, json_t *user)
{
    json_t *details = json_object();
    char *name = str_format("%s (%" JSON_INTEGER_FORMAT ")", json_string_value(connection), number);
    json_set(details, "name", json_string(name));
    json_set(details, "connection_name", json_incref(connection));
    json_set(details, "number", json_integer(number));
    json_set(details, "user", json_incref(user));
    json_set(details, "node", json_string(r->admin->config.node));
    free(name);
    /* The peer's address is in the connection's name, up to the last colon before the arrow. */
    struct bytes all = json_text(connection);
    const char *arrow = json_string_length(connection) > 0 ? strstr(json_string_value(connection), " -> ") : NULL;
    size_t len = arrow != NULL ? (size_t)(arrow - json_string_value(connection)) : 0, colon = len;
    while (colon > 0 && all.at[colon - 1] != ':')
        colon--;
    if (colon > 0) {
        enum { DECIMAL = 10 };
        bool has_brackets = all.at[0] == '[' && colon > 2;
        struct bytes host =
            has_brackets ? bytes_of(all.at + 1, colon - 3) : bytes_of(all.at, colon - 1); /* [::1]: or 127.0.0.1: */
        json_set(details, "peer_host", json_of_text(host));
        json_set(details, "peer_port", json_integer(strtol((const char *)all.at + colon, NULL, DECIMAL)));
    }
    return details;
}

json_t *shape_consumer(struct request *r, json_t *row)
{
    json_t *queue = json_object(), *connection = taken(row, "connection"), *user = taken(row, "user");
    json_t *number = taken(row, "channel");
    json_set(queue, "name", or_null(taken(row, "queue_name")));
    json_set(queue, "vhost", or_null(taken(row, "vhost")));
    json_set(row, "queue", queue);
    json_set(row, "activity_status", json_string(json_is_false(json_object_get(row, "active")) ? "waiting" : "up"));
    json_set(row, "channel_details", channel_details(r, connection, json_integer_value(number), user));
    json_object_del(row, "priority");
    json_decref(connection);
    json_decref(user);
    json_decref(number);
    return row;
}

json_t *shape_connection(struct request *r, json_t *row)
{
    json_t *given = json_object_get(json_object_get(row, "client_properties"), "connection_name");
    if (json_is_string(given))
        json_set(row, "user_provided_name", json_incref(given));
    if (json_object_get(row, "user_who_performed_action") == NULL)
        json_set(row, "user_who_performed_action", json_incref(json_object_get(row, "user")));
    set_node(r, row);
    return completed(r, row, TEMPLATE_CONNECTION);
}

json_t *shape_channel(struct request *r, json_t *row)
{
    json_t *connection = taken(row, "connection");
    json_t *all = channel_details(r, connection, json_integer_value(json_object_get(row, "number")),
                                  json_object_get(row, "user"));
    json_t *details = json_object();
    json_set(details, "name", connection);
    json_set(details, "peer_host", or_null(taken(all, "peer_host")));
    json_set(details, "peer_port", or_null(taken(all, "peer_port")));
    json_set(row, "connection_details", details);
    json_set(row, "name", taken(all, "name"));
    json_set(row, "user_who_performed_action", json_incref(json_object_get(row, "user")));
    json_decref(all);
    set_node(r, row);
    return completed(r, row, TEMPLATE_CHANNEL);
}

/* ---- Users and virtual hosts. */

json_t *shape_vhost(struct request *r, json_t *row)
{
    json_object_del(row, "limits");
    completed(r, row, TEMPLATE_VHOST);
    json_t *metadata = json_object(), *states = json_object();
    json_set(metadata, "description", json_incref(json_object_get(row, "description")));
    json_set(metadata, "tags", json_incref(json_object_get(row, "tags")));
    json_set(row, "metadata", metadata);
    json_set(states, r->admin->config.node, json_string("running"));
    json_set(row, "cluster_state", states);
    return row;
}

json_t *shape_user(struct request *r, json_t *row)
{
    (void)r;
    if (json_object_get(row, "password_hash") == NULL)
        json_set(row, "password_hash", json_string(""));
    if (json_text_in(row, "hashing_algorithm").len == 0)
        json_set(row, "hashing_algorithm", json_string("rabbit_password_hashing_sha256"));
    if (json_object_get(row, "tags") == NULL)
        json_set(row, "tags", json_array());
    if (json_object_get(row, "limits") == NULL)
        json_set(row, "limits", json_object());
    return row;
}

json_t *shape_as_is(struct request *r, json_t *row)
{
    (void)r;
    return row;
}

/* ---- Parameters. */

static json_t *policy_of(json_t *row, struct bytes component)
{
    if (!bytes_equal(json_text_in(row, "component"), component)) {
        json_decref(row);
        return NULL;
    }
    json_t *value = taken(row, "value"), *policy = json_object();
    json_set(policy, "vhost", json_incref(json_object_get(row, "vhost")));
    json_set(policy, "name", json_incref(json_object_get(row, "name")));
    if (value != NULL)
        json_object_update_missing(policy, value);
    json_decref(value);
    json_decref(row);
    return policy;
}

json_t *shape_policy(struct request *r, json_t *row)
{
    (void)r;
    return policy_of(row, BYTES("policy"));
}

json_t *shape_operator_policy(struct request *r, json_t *row)
{
    (void)r;
    return policy_of(row, BYTES("operator_policy"));
}

json_t *shape_parameter(struct request *r, json_t *row)
{
    (void)r;
    struct bytes component = json_text_in(row, "component");
    if (component.len > 0 && !bytes_equal(component, BYTES("policy")))
        return row;
    json_decref(row);
    return NULL;
}

json_t *shape_global_parameter(struct request *r, json_t *row)
{
    (void)r;
    if (json_text_in(row, "component").len > 0 || json_text_in(row, "vhost").len > 0) {
        json_decref(row);
        return NULL;
    }
    json_object_del(row, "component");
    json_object_del(row, "vhost");
    return row;
}
