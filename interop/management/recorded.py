"""Requests as consumers of RabbitMQ's management API make them, and what each relies on in the answers: the paths,
verbs and bodies of their own sources, and the keys that they decode, with the types that they decode them into.

    Ask("PUT", "queues/{v}/q", {...}, status=(201,), keys={"messages": "integer"}, …)

keys: dotted paths, through every element of a list; of which one at least must be there, unless the path ends with "?".
Kinds: string, object, list, boolean, number, integer; with "?" behind: or null; "=…": that value, as JSON.
{v}: a virtual host of the test's own; {node}: the node; {amqp}: the AMQP port; {properties_key}: the last Location's.
"""

from dataclasses import dataclass, field


@dataclass
class Ask:
    method: str
    path: str
    body: object = None
    status: tuple = (200,)
    keys: dict = field(default_factory=dict)
    absent: tuple = ()
    is_list: bool = None
    location: bool = False
    peerless: bool = False  # RabbitMQ 3.10 has it otherwise, or not
    headers: dict = None


def get(path, keys=None, is_list=None, **more):
    return Ask("GET", path, keys=keys or {}, is_list=is_list, **more)


MADE, SAME, GONE, NONE = (201,), (204,), (204,), (404,)
RATE = {"publish_details.rate": "number"}
PUBLISH = {"properties": {}, "routing_key": "orders", "payload": "x", "payload_encoding": "string"}

# ---- KEDA's scaler: http mode, one queue, or all whose names match, summed up.
KEDA_QUEUE = {"name": "string", "messages": "integer", "messages_ready?": "integer",
              "messages_unacknowledged": "integer", "message_stats.publish_details.rate?": "number",
              "message_stats.deliver_get_details.rate?": "number"}
KEDA = [
    ("a queue that is idle", [
        Ask("PUT", "queues/{v}/orders", {}, status=(201, 204)),
        get("queues/{v}/orders", {"name": '="orders"', **KEDA_QUEUE}),
    ]),
    ("a queue that is used", [
        Ask("POST", "exchanges/{v}/amq.default/publish", PUBLISH, keys={"routed": "=true"}),
        get("queues/{v}/orders", KEDA_QUEUE),
    ]),
    ("queues by an expression", [
        get("queues/{v}?page=1&use_regex=true&pagination=false&name=%5Eord&page_size=100",
            {"items": "list", "filtered_count": "integer", "page_count": "integer", "items.name": "string",
             "items.messages?": "integer"}, is_list=False),
    ]),
    ("a queue that is not there", [get("queues/{v}/nosuch", {"error": "string", "reason": "string"}, status=NONE)]),
]

# ---- Terraform's provider, the messaging topology operator: rabbit-hole.
REASON = {"error": "string", "reason": "string"}
TERRAFORM = [
    ("rabbitmq_vhost", [
        Ask("PUT", "vhosts/millrace-tf", {"description": "", "tags": None, "tracing": False}, status=MADE),
        get("vhosts/millrace-tf", {"name": '="millrace-tf"', "tracing": "boolean", "description?": "string"}),
        Ask("PUT", "vhosts/millrace-tf", {"description": "d", "tags": "a,b", "tracing": False}, status=SAME),
        get("vhosts/", {"name": "string"}, is_list=True),
        Ask("PUT", "vhost-limits/millrace-tf/max-connections", {"value": 100}, status=(201, 204)),
        get("vhost-limits/millrace-tf", {"vhost": '="millrace-tf"', "value.max-connections": "=100"}, is_list=True),
        Ask("DELETE", "vhost-limits/millrace-tf/max-connections", status=GONE),
    ]),
    ("rabbitmq_user", [
        Ask("PUT", "users/millrace-tf", {"name": "millrace-tf", "password": "p", "tags": "management,monitoring"},
            status=MADE),
        get("users/millrace-tf", {"name": "string", "tags": "list", "password_hash": "string",
                                  "hashing_algorithm": '="rabbit_password_hashing_sha256"'}),
        Ask("PUT", "users/millrace-tf", {"name": "millrace-tf", "tags": "", "password": "q"}, status=SAME),
        get("users/", {"name": "string"}, is_list=True),
    ]),
    ("rabbitmq_permissions", [
        Ask("PUT", "permissions/millrace-tf/millrace-tf", {"configure": ".*", "write": ".*", "read": ""}, status=MADE),
        get("permissions/millrace-tf/millrace-tf", {"user": "string", "vhost": "string", "configure": '=".*"',
                                                     "write": '=".*"', "read": '=""'}),
        get("users/millrace-tf/permissions", {"vhost": "string"}, is_list=True),
        get("permissions/", {"user": "string"}, is_list=True),
    ]),
    ("rabbitmq_topic_permissions", [
        Ask("PUT", "topic-permissions/millrace-tf/millrace-tf", {"exchange": "amq.topic", "write": ".*", "read": ".*"},
            status=MADE),
        get("topic-permissions/millrace-tf/millrace-tf", {"exchange": '="amq.topic"', "write": "string"}, is_list=True),
        get("users/millrace-tf/topic-permissions", {"exchange": "string"}, is_list=True),
        Ask("DELETE", "topic-permissions/millrace-tf/millrace-tf", status=GONE),
    ]),
    ("rabbitmq_exchange", [
        Ask("PUT", "exchanges/millrace-tf/x", {"vhost": "millrace-tf", "type": "fanout", "durable": True,
                                                "auto_delete": False, "arguments": {}}, status=MADE),
        get("exchanges/millrace-tf/x", {"name": '="x"', "vhost": "string", "type": '="fanout"', "durable": "=true",
                                         "auto_delete": "=false", "internal": "=false", "arguments": "object",
                                         "incoming": "list", "outgoing": "list"}),
        Ask("PUT", "exchanges/millrace-tf/x", {"type": "fanout", "durable": True}, status=SAME),
        Ask("PUT", "exchanges/millrace-tf/x", {"type": "direct", "durable": True}, status=(400,), keys=REASON),
    ]),
    ("rabbitmq_queue", [
        Ask("PUT", "queues/millrace-tf/q", {"durable": True, "arguments": {"x-message-ttl": 60000,
                                                                           "x-max-length-bytes": 1000000}},
            status=MADE),
        get("queues/millrace-tf/q", {"name": "string", "vhost": "string", "durable": "=true", "auto_delete": "=false",
                                      "arguments.x-message-ttl": "=60000", "status?": "string", "state?": "string",
                                      "consumers?": "integer", "memory?": "integer",
                                      "effective_policy_definition?": "object",
                                      "backing_queue_status.mode?": "string"}),
        get("queues/millrace-tf", {"name": "string"}, is_list=True),
        Ask("PUT", "queues/millrace-tf/q%2Fwith%20space%C3%BC", {}, status=MADE),
        get("queues/millrace-tf/q%2Fwith%20space%C3%BC", {"name": '="q/with space\\u00fc"'}),
    ]),
    ("rabbitmq_binding", [
        Ask("POST", "bindings/millrace-tf/e/x/q/q", {"routing_key": "", "arguments": {}, "source": "x"}, status=MADE,
            location=True),
        get("bindings/millrace-tf/e/x/q/q/{properties_key}", {"properties_key": '="~"'}),
        Ask("POST", "bindings/millrace-tf/e/x/q/q", {"routing_key": "r/k a#~\u00fc", "arguments": {}}, status=MADE,
            location=True),
        get("bindings/millrace-tf/e/x/q/q/{properties_key}", {"routing_key": '="r/k a#~\\u00fc"'}),
        Ask("DELETE", "bindings/millrace-tf/e/x/q/q/{properties_key}", status=GONE),
        Ask("POST", "bindings/millrace-tf/e/x/q/q", {"routing_key": "k", "arguments": {"a": "b", "n": 1}}, status=MADE,
            location=True),
        Ask("DELETE", "bindings/millrace-tf/e/x/q/q/{properties_key}", status=GONE),
        Ask("DELETE", "bindings/millrace-tf/e/x/q/q/{properties_key}", status=NONE),
        Ask("POST", "bindings/millrace-tf/e/amq.topic/e/x", {"routing_key": "a.*.b"}, status=MADE, location=True),
        get("bindings/millrace-tf", {"source": "string", "destination": "string", "destination_type": "string",
                                      "routing_key": "string", "arguments": "object", "properties_key": "string"},
            is_list=True),
        get("queues/millrace-tf/q/bindings", {"properties_key": "string"}, is_list=True),
        get("exchanges/millrace-tf/x/bindings/source", is_list=True),
        get("exchanges/millrace-tf/x/bindings/destination", {"source": '="amq.topic"'}, is_list=True),
        Ask("POST", "bindings/millrace-tf/e/nosuch/q/q", {}, status=NONE, keys=REASON),
    ]),
    ("rabbitmq_policy, rabbitmq_operator_policy", [
        Ask("PUT", "policies/millrace-tf/p", {"pattern": ".*", "priority": 0, "apply-to": "all",
                                               "definition": {"max-length": 10}}, status=MADE),
        get("policies/millrace-tf/p", {"vhost": "string", "name": "string", "pattern": "string", "priority": "=0",
                                        "apply-to": '="all"', "definition.max-length": "=10"}),
        get("policies/millrace-tf", {"name": "string"}, is_list=True),
        Ask("DELETE", "policies/millrace-tf/p", status=GONE),
        get("policies/millrace-tf/p", REASON, status=NONE),
        Ask("PUT", "operator-policies/millrace-tf/p", {"pattern": ".*", "priority": 0, "apply-to": "queues",
                                                        "definition": {"max-length": 10}}, status=MADE),
        get("operator-policies/millrace-tf/p", {"definition.max-length": "=10"}),
        Ask("DELETE", "operator-policies/millrace-tf/p", status=GONE),
    ]),
    ("rabbitmq_shovel, rabbitmq_federation_upstream: refused, in those words", [
        Ask("PUT", "parameters/shovel/millrace-tf/s", {"value": {"src-uri": "amqp://"}}, status=(400,), keys=REASON),
        get("parameters/shovel/millrace-tf/s", REASON, status=NONE),
        get("parameters/federation-upstream/millrace-tf", is_list=True),
    ]),
    ("destroying it all", [
        Ask("DELETE", "queues/millrace-tf/q", status=GONE),
        get("queues/millrace-tf/q", REASON, status=NONE),
        Ask("DELETE", "exchanges/millrace-tf/x", status=GONE),
        get("exchanges/millrace-tf/x", REASON, status=NONE),
        Ask("DELETE", "permissions/millrace-tf/millrace-tf", status=GONE),
        Ask("DELETE", "users/millrace-tf", status=GONE),
        get("users/millrace-tf", REASON, status=NONE),
        Ask("DELETE", "vhosts/millrace-tf", status=GONE),
        get("vhosts/millrace-tf", REASON, status=NONE),
        get("overview", {"management_version": "string", "rabbitmq_version": "string", "cluster_name": "string",
                         "node": "string", "object_totals.queues": "integer", "queue_totals": "object",
                         "listeners.protocol": "string", "contexts": "list"}),
    ]),
]

# ---- Terraform's provider for LavinMQ: only 200, 201 and 204 are success, and 404 is absence.
LAVINMQ = [
    ("pausing and resuming", [
        Ask("PUT", "queues/{v}/lavin", {"durable": True}, status=(201, 204)),
        Ask("PUT", "queues/{v}/lavin/pause", status=SAME, peerless=True),
        get("queues/{v}/lavin", {"state": '="paused"', "name": "string"}, peerless=True),
        Ask("PUT", "queues/{v}/lavin/resume", status=SAME, peerless=True),
        Ask("PUT", "queues/{v}/lavin/restart", status=SAME, peerless=True),
    ]),
    ("hashing a password", [
        Ask("PUT", "auth/hash_password", {"password": "p"}, keys={"password_hash": "string"}, peerless=True),
    ]),
]

# ---- Celery Flower: for the virtual host "/" it asks for queues// .
FLOWER = [
    ("broker queues of the virtual host /", [
        get("queues//", is_list=True, peerless=True),
        get("queues/{v}", {"name": "string", "messages?": "integer", "messages_ready?": "integer",
                            "messages_unacknowledged?": "integer", "consumers?": "integer", "idle_since?": "string"},
            is_list=True),
    ]),
]

# ---- Telegraf's inputs.rabbitmq.
TELEGRAF = [
    ("gathering", [
        get("overview", {"object_totals.channels": "integer", "object_totals.connections": "integer",
                         "queue_totals": "object", "message_stats": "object", "listeners": "list",
                         "listeners.protocol": "string"}),
        get("nodes", {"name": "string", "disk_free": "integer", "disk_free_limit": "integer",
                      "disk_free_alarm": "boolean", "fd_total": "integer", "fd_used": "integer",
                      "mem_limit": "integer", "mem_used": "integer",
                      "mem_alarm": "boolean", "proc_total": "integer", "proc_used": "integer", "run_queue": "integer",
                      "sockets_total": "integer", "sockets_used": "integer", "running": "boolean", "uptime": "integer",
                      "mnesia_disk_tx_count": "integer", "mnesia_ram_tx_count": "integer", "gc_num": "integer",
                      "gc_bytes_reclaimed": "integer", "io_read_avg_time": "number", "io_read_bytes": "integer",
                      "io_write_avg_time": "number", "io_write_bytes": "integer", "gc_num_details.rate": "number",
                      "mnesia_disk_tx_count_details.rate": "number", "io_read_avg_time_details.rate": "number"},
            is_list=True),
        get("nodes/{node}/memory", {"memory": "object", "memory.total": "object", "memory.total.rss": "integer",
                                     "memory.connection_readers": "integer", "memory.queue_procs": "integer",
                                     "memory.binary": "integer", "memory.other_system": "integer"}),
        get("queues", {"name": "string", "node": "string", "vhost": "string", "durable": "boolean",
                       "auto_delete": "boolean", "message_stats?": "object", "memory?": "integer",
                       "consumer_utilisation?": "number?", "slave_nodes?": "list"}, is_list=True),
        get("exchanges", {"name": "string", "type": "string", "vhost": "string", "internal": "boolean",
                          "durable": "boolean", "auto_delete": "boolean"}, is_list=True),
        get("federation-links", is_list=True, peerless=True),
    ]),
]

# ---- Zabbix: RabbitMQ by HTTP, node and cluster.
ZABBIX = [
    ("the cluster's template", [
        get("overview", {"management_version": "string", "message_stats": "object", "queue_totals": "object",
                         "object_totals.queues": "integer", "object_totals.consumers": "integer"}),
        get("nodes", {"name": "string"}, is_list=True),
        get("exchanges", {"name": "string"}, is_list=True),
    ]),
    ("the node's template", [
        get("nodes/{node}", {"name": "string", "fd_used": "integer", "disk_free": "integer", "mem_used": "integer",
                              "mem_limit": "integer", "disk_free_limit": "integer", "run_queue": "integer",
                              "sockets_used": "integer", "running": "boolean", "mem_alarm": "boolean",
                              "disk_free_alarm": "boolean", "uptime": "integer", "partitions": "list"}),
        get("queues", {"name": "string"}, is_list=True),
        get("health/checks/local-alarms", {"status": '="ok"'}),
        get("health/checks/certificate-expiration/1/months", {"status": '="ok"'}),
        get("health/checks/virtual-hosts", {"status": '="ok"'}),
        get("healthchecks/node/{node}", {"status": '="ok"'}),
    ]),
]

# ---- Datadog's agent check.
DATADOG = [
    ("collecting", [
        get("overview", {"cluster_name": "string", "queue_totals": "object", "object_totals": "object",
                         "message_stats": "object", "rabbitmq_version": "string"}),
        get("nodes", {"name": "string", "partitions": "list"}, is_list=True),
        get("queues", {"name": "string", "vhost": "string"}, is_list=True),
        get("exchanges", {"name": "string", "vhost": "string"}, is_list=True),
        get("vhosts", {"name": "string"}, is_list=True),
        get("connections", is_list=True),
        get("aliveness-test/{v}", {"status": '="ok"'}),
    ]),
]

# ---- collectd's plugin: one object after the other; an "error" in one breaks it.
COLLECTD = [
    ("reading", [
        get("nodes", {"name": "string"}, is_list=True),
        get("vhosts", {"name": "string"}, is_list=True),
        get("exchanges/{v}", {"name": "string"}, is_list=True),
        get("exchanges/{v}/amq.direct", {"name": "string"}, absent=("error",)),
        get("queues/{v}", {"name": "string"}, is_list=True),
        get("queues/{v}/orders", {"name": "string"}, absent=("error",)),
        get("overview", {"object_totals": "object"}),
    ]),
]

# ---- kbudde's exporter, which asks for another format and takes JSON: RabbitMQ gives it the other.
BERT = {"Accept": "application/bert, application/json;q=0.1"}
EXPORTER = [
    ("scraping", [
        get("overview?sort=", {"object_totals.channels": "integer", "queue_totals?": "object"}, headers=BERT,
            peerless=True),
        get("queues?sort=&columns=name,vhost,messages,messages_ready,message_stats,policy,state", {"name": "string"},
            is_list=True, headers=BERT, peerless=True),
        get("nodes?columns=name,uptime,running,mem_used,fd_used,partitions,mem_alarm", {"uptime": "integer"},
            is_list=True, headers=BERT, peerless=True),
        get("exchanges?sort=", {"name": "string"}, is_list=True, headers=BERT, peerless=True),
        get("connections?columns=vhost,node,peer_host,user,state,channels,recv_oct", is_list=True, headers=BERT,
            peerless=True),
        get("nodes/{node}/memory", {"memory": "object"}, headers=BERT, peerless=True),
        get("aliveness-test/%2F", {"status": '="ok"'}, headers=BERT, peerless=True),
        get("shovels", is_list=True, headers=BERT, peerless=True),
    ]),
]

# ---- Sensu's checks.
SENSU = [
    ("queues and nodes", [
        get("queues/{v}/orders", {"consumers": "integer", "messages": "integer", "message_stats?": "object",
                                   "backing_queue_status.avg_egress_rate?": "number",
                                   "consumer_utilisation?": "number?"}),
        get("queues/{v}/orders/bindings", {"source": "string"}, is_list=True),
        get("bindings/{v}", {"destination": "string"}, is_list=True),
        get("nodes", {"name": "string"}, is_list=True),
        get("aliveness-test/{v}", {"status": '="ok"'}),
    ]),
]

# ---- rabbitmqadmin of RabbitMQ 4, whose types are strict: a key that it needs and does not find is an error.
NEW_ADMIN = [
    ("overview and nodes", [
        get("overview", {"cluster_name": "string", "node": "string", "erlang_version": "string",
                         "erlang_full_version": "string", "rabbitmq_version": "string", "product_name": "string",
                         "product_version": "string", "statistics_db_event_queue": "integer", "churn_rates": "object",
                         "queue_totals": "object", "object_totals": "object", "message_stats": "object",
                         "listeners.node": "string", "listeners.protocol": "string", "listeners.port": "integer",
                         "listeners.ip_address": "string"}),
        get("nodes", {"name": "string", "uptime": "integer", "run_queue": "integer", "processors": "integer",
                      "os_pid": "string", "fd_total": "integer", "proc_total": "integer", "mem_limit": "integer",
                      "mem_alarm": "boolean", "disk_free_limit": "integer", "disk_free_alarm": "boolean",
                      "rates_mode": "string", "enabled_plugins": "list"}, is_list=True),
        get("nodes/{node}", {"being_drained": "boolean"}, peerless=True),
        get("nodes/{node}/memory", {"memory.connection_readers": "integer", "memory.quorum_queue_procs": "integer",
                                     "memory.strategy": "string", "memory.total.rss": "integer"}),
        get("cluster-name", {"name": "string"}),
        get("whoami", {"name": "string", "tags": "list"}),
    ]),
    ("listing", [
        get("vhosts", {"name": "string", "tracing": "boolean", "cluster_state": "object"}, is_list=True),
        get("users", {"name": "string", "tags": "list", "password_hash": "string"}, is_list=True),
        get("queues/detailed?page=1&page_size=100", {"items": "list"}, peerless=True),
        get("queues/{v}", {"name": "string", "vhost": "string", "type": "string", "durable": "boolean",
                            "auto_delete": "boolean", "exclusive": "boolean", "arguments": "object"}, is_list=True),
        get("exchanges/{v}", {"name": "string", "type": "string", "durable": "boolean", "auto_delete": "boolean",
                               "arguments": "object"}, is_list=True),
        get("consumers", is_list=True),
        get("channels", is_list=True),
        get("permissions", {"configure": "string"}, is_list=True),
        get("feature-flags", {"name": "string", "desc": "string", "state": "string", "stability": "string",
                              "provided_by": "string"}, is_list=True),
        get("deprecated-features/used", is_list=True, peerless=True),
        get("auth/attempts/{node}", {"protocol": "string", "auth_attempts": "integer",
                                     "auth_attempts_failed": "integer", "auth_attempts_succeeded": "integer"},
            is_list=True),
        get("global-parameters", {"name": "string"}, is_list=True),
        get("user-limits", is_list=True),
    ]),
    ("health checks", [
        get("health/checks/alarms", {"status": '="ok"'}),
        get("health/checks/local-alarms", {"status": '="ok"'}),
        get("health/checks/node-is-quorum-critical", {"status": '="ok"'}),
        get("health/checks/port-listener/{amqp}", {"status": '="ok"', "port": "integer"}),
        get("health/checks/port-listener/1", {"status": '="failed"', "reason": "string", "missing": "integer",
                                              "ports": "list"}, status=(503,)),
        get("health/checks/protocol-listener/amqp", {"status": '="ok"'}),
        get("health/checks/protocol-listener/mqtt", {"status": '="failed"', "protocols": "list"}, status=(503,)),
        get("health/checks/is-in-service", {"status": '="ok"'}, peerless=True),
        get("health/checks/ready-to-serve-clients", {"status": '="ok"'}, peerless=True),
        get("health/checks/below-node-connection-limit", {"status": '="ok"'}, peerless=True),
        get("health/checks/metadata-store/initialized", {"status": '="ok"'}, peerless=True),
        get("health/checks/reached-target-cluster-size", {"status": '="ok"'}, peerless=True),
    ]),
    ("deletion protection", [
        Ask("PUT", "vhosts/millrace-kept", {}, status=MADE),
        Ask("POST", "vhosts/millrace-kept/deletion/protection", status=SAME, peerless=True),
        Ask("DELETE", "vhosts/millrace-kept", status=(412,), keys=REASON, peerless=True),
        Ask("DELETE", "vhosts/millrace-kept/deletion/protection", status=SAME, peerless=True),
        Ask("DELETE", "vhosts/millrace-kept", status=GONE),
    ]),
    ("a cluster's commands", [
        Ask("POST", "rebalance/queues", status=SAME),
        Ask("PUT", "feature-flags/quorum_queue/enable", {"name": "quorum_queue"}, status=SAME),
        get("auth/hash_password/p", {"ok": "string"}, peerless=True),
    ]),
    ("publish and get", [
        Ask("PUT", "queues/{v}/new-admin", {}, status=(201, 204)),
        Ask("POST", "exchanges/{v}/amq.default/publish", {**PUBLISH, "routing_key": "new-admin"},
            keys={"routed": "=true"}),
        Ask("POST", "queues/{v}/new-admin/get", {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"},
            keys={"payload_bytes": "=1", "redelivered": "=false", "exchange": '=""', "routing_key": "string",
                  "message_count": "=0", "payload": '="x"', "payload_encoding": '="string"'}),
        Ask("DELETE", "queues/{v}/new-admin/contents", status=GONE),
    ]),
]

# ---- Ruby's rabbitmq_http_api_client, hop, EasyNetQ's client: what others do not ask for.
LIBRARIES = [
    ("listing by virtual host, and what is between two", [
        get("vhosts/{v}/permissions", {"user": "string"}, is_list=True),
        get("vhosts/{v}/topic-permissions", is_list=True),
        get("vhosts/{v}/connections", is_list=True),
        get("vhosts/{v}/channels", is_list=True),
        get("consumers/{v}", is_list=True),
        get("bindings/{v}/e/amq.direct/q/orders", is_list=True),
        get("bindings/{v}/e/amq.direct/e/amq.fanout", is_list=True),
        get("users/without-permissions", is_list=True),
        get("extensions", is_list=True),
        get("topic-permissions", is_list=True),
        get("operator-policies/{v}", is_list=True),
        get("parameters", is_list=True),
        get("global-parameters/cluster_name", {"name": "string", "value": "string"}, peerless=True),
        get("connections/username/guest", is_list=True),
    ]),
    ("changing a few", [
        Ask("PUT", "users/millrace-rb", {"password": "p", "tags": "management"}, status=MADE),
        Ask("PUT", "user-limits/millrace-rb/max-channels", {"value": 10}, status=(201, 204)),
        get("user-limits/millrace-rb", {"value.max-channels": "=10"}, is_list=True),
        Ask("DELETE", "user-limits/millrace-rb/max-channels", status=GONE),
        Ask("POST", "users/bulk-delete", {"users": ["millrace-rb"]}, status=GONE),
        Ask("PUT", "global-parameters/millrace-test", {"name": "millrace-test", "value": {"a": 1}}, status=(201, 204)),
        Ask("DELETE", "global-parameters/millrace-test", status=GONE),
        Ask("POST", "queues/{v}/orders/actions", {"action": "sync"}, status=SAME),
        Ask("POST", "queues/{v}/orders/actions", {"action": "nosuch"}, status=(400,), keys={"error": "string"}),
        Ask("DELETE", "connections/nosuch", status=NONE),
    ]),
]

# ---- Probes of containers and charts.
PROBES = [
    ("liveness and readiness", [
        get("aliveness-test/%2F", {"status": '="ok"'}),
        get("healthchecks/node", {"status": '="ok"'}),
        get("health/checks/virtual-hosts", {"status": '="ok"'}),
        get("health/checks/local-alarms", {"status": '="ok"'}),
        get("health/checks/protocol-listener/amqp", {"status": '="ok"'}),
        get("health/checks/node-is-mirror-sync-critical", {"status": "string"}),
        get("overview", {"node": "string"}),
    ]),
    ("exporting and importing definitions", [
        get("definitions", {"users": "list", "vhosts": "list", "queues": "list", "rabbit_version": "string"}),
        Ask("POST", "definitions/{v}", {"queues": [{"name": "probe", "durable": True, "auto_delete": False,
                                                    "arguments": {}}]}, status=SAME),
        get("definitions/{v}", {"queues.name": "string", "bindings": "list", "policies": "list"}),
        get("queues/{v}/probe", {"durable": "=true"}),
    ]),
]

CONSUMERS = {
    "KEDA": KEDA,
    "Terraform": TERRAFORM,
    "Terraform LavinMQ": LAVINMQ,
    "Flower": FLOWER,
    "Telegraf": TELEGRAF,
    "Zabbix": ZABBIX,
    "Datadog": DATADOG,
    "collectd": COLLECTD,
    "kbudde exporter": EXPORTER,
    "Sensu": SENSU,
    "rabbitmqadmin 4": NEW_ADMIN,
    "client libraries": LIBRARIES,
    "probes": PROBES,
}
