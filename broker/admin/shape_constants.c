/* The parts of shapes that do not depend on anything.  What only Erlang has is there with zeros: clients look for it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"

#define GARBAGE                                                                                                        \
    "'garbage_collection': {'fullsweep_after': 0, 'max_heap_size': 0, 'min_bin_vheap_size': 0, 'min_heap_size': 0,"    \
    "    'minor_gcs': 0}"

/* JSON, with ' for ". */
static const char *const texts[TEMPLATES] = {
    [TEMPLATE_QUEUE] = "{'policy': null, 'operator_policy': null, 'effective_policy_definition': {},"
                       " 'exclusive_consumer_tag': null, 'single_active_consumer_tag': null,"
                       " 'recoverable_slaves': null, 'consumer_capacity': 0.0, 'consumer_utilisation': 0.0, "
                       "'head_message_timestamp': null, 'memory': 0,"
                       " 'messages_ram': 0, 'messages_ready_ram': 0, 'messages_unacknowledged_ram': 0,"
                       " 'messages_persistent': 0, 'messages_paged_out': 0, 'message_bytes_unacknowledged': 0,"
                       " 'message_bytes_ram': 0, 'message_bytes_persistent': 0, 'message_bytes_paged_out': 0,"
                       "" GARBAGE "}",
    [TEMPLATE_BACKING] = "{'mode': 'default', 'version': 2, 'q1': 0, 'q2': 0, 'delta': ['delta', 'undefined', 0, 0,"
                         " 'undefined'], 'q3': 0, 'q4': 0, 'target_ram_count': 'infinity'}",
    [TEMPLATE_VHOST] = "{'description': '', 'tags': [], 'default_queue_type': 'classic', 'tracing': false,"
                       " 'protected_from_deletion': false}",
    [TEMPLATE_CONNECTION] = "{'type': 'network', 'protocol': 'AMQP 0-9-1',"
                            " 'auth_mechanism': 'PLAIN', 'host': '', 'port': 0, 'peer_host': '', 'peer_port': 0,"
                            " 'timeout': 0, 'channel_max': 0, 'frame_max': 0, 'client_properties': {}, 'ssl': false,"
                            " 'ssl_protocol': null, 'ssl_key_exchange': null, 'ssl_cipher': null, 'ssl_hash': null,"
                            " 'peer_cert_subject': null, 'peer_cert_issuer': null, 'peer_cert_validity': null,"
                            " 'send_pend': 0," GARBAGE "}",
    [TEMPLATE_CHANNEL] = "{'state': 'running', 'confirm': false, 'transactional': false, 'consumer_count': 0,"
                         " 'prefetch_count': 0, 'global_prefetch_count': 0, 'messages_unacknowledged': 0,"
                         " 'messages_unconfirmed': 0, 'messages_uncommitted': 0, 'acks_uncommitted': 0,"
                         " 'pending_raft_commands': 0," GARBAGE "}",
    [TEMPLATE_NODE] = "{'type': 'disc', 'running': true, 'being_drained': false, 'partitions': [], 'run_queue': 0,"
                      " 'net_ticktime': 60, 'proc_total': 1048576, 'mem_calculation_strategy': 'rss',"
                      " 'auth_mechanisms': ["
                      "{'name': 'PLAIN', 'description': 'SASL PLAIN authentication mechanism', 'enabled': true},"
                      "{'name': 'AMQPLAIN', 'description': 'QPid AMQPLAIN mechanism', 'enabled': true},"
                      "{'name': 'EXTERNAL', 'description': 'By the certificate of a TLS client', 'enabled': true}],"
                      " 'enabled_plugins': ['rabbitmq_management', 'rabbitmq_prometheus'], 'contexts': [],"
                      " 'cluster_links': [], 'log_files': [], 'config_files': [], 'metrics_gc_queue_length': {"
                      "'connection_closed': 0, 'channel_closed': 0, 'consumer_deleted': 0, 'exchange_deleted': 0,"
                      " 'queue_deleted': 0, 'vhost_deleted': 0, 'node_node_deleted': 0,"
                      " 'channel_consumer_deleted': 0}, 'ra_open_file_metrics': {'ra_log_wal': 0,"
                      " 'ra_log_segment_writer': 0}}",
    [TEMPLATE_OVERVIEW] =
        "{'sample_retention_policies': {'global': [600, 3600, 28800, 86400], 'basic': [600, 3600], 'detailed': []},"
        " 'product_name': 'Millrace', 'erlang_version': 'n/a', 'erlang_full_version': 'n/a',"
        " 'release_series_support_status': 'supported', 'disable_stats': false, 'enable_queue_totals': false,"
        " 'statistics_db_event_queue': 0, 'contexts': [], 'exchange_types': ["
        "{'name': 'direct', 'description': 'AMQP direct exchange, as per the AMQP specification', 'enabled': true},"
        "{'name': 'fanout', 'description': 'AMQP fanout exchange, as per the AMQP specification', 'enabled': true},"
        "{'name': 'headers', 'description': 'AMQP headers exchange, as per the AMQP specification', 'enabled': true},"
        "{'name': 'topic', 'description': 'AMQP topic exchange, as per the AMQP specification', 'enabled': true},"
        "{'name': 'x-consistent-hash', 'description': 'Consistent Hashing Exchange', 'enabled': true},"
        "{'name': 'x-local-random', 'description': 'Picks one random local binding (queue) to route via (to).',"
        " 'enabled': true},"
        "{'name': 'x-modulus-hash', 'description': 'Modulus Hashing Exchange', 'enabled': true},"
        "{'name': 'x-random', 'description': 'Exchange type with random routing', 'enabled': true},"
        "{'name': 'x-recent-history', 'description': 'Recent History Exchange', 'enabled': true}]}",
    [TEMPLATE_STILL] = "{'rate': 0.0}",
};

void shape_load(json_t **templates)
{
    for (unsigned i = 0; i < TEMPLATES; i++) {
        json_error_t error;
        char *text = str_copy(bytes_of_string(texts[i]));
        for (char *quote = text; (quote = strchr(quote, '\'')) != NULL;)
            *quote = '"';
        templates[i] = json_loads(text, 0, &error);
        CHECK(templates[i] != NULL);
        free(text);
    }
}
