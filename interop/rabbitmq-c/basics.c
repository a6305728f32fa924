/* Connections, declarations, routing, and the contents of messages. */
#include "interop.h"
#include <string.h>

static void connect_and_close(void)
{
    amqp_connection_state_t conn = connect_new();
    const amqp_table_t *server = amqp_get_server_properties(conn);
    check(find_is(server, "product", "RabbitMQ"), "the product is not RabbitMQ");
    const amqp_field_value_t *capabilities = find(server, "capabilities");
    check(capabilities && capabilities->kind == AMQP_FIELD_KIND_TABLE, "no table of capabilities");
    const char *names[] = {"publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
                           "consumer_cancel_notify",       "connection.blocked",         "consumer_priorities",
                           "authentication_failure_close", "per_consumer_qos",           "direct_reply_to"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const amqp_field_value_t *v = find(&capabilities->value.table, names[i]);
        check(v && v->kind == AMQP_FIELD_KIND_BOOLEAN && v->value.boolean, "no capability %s", names[i]);
    }
    channel_shut(channel_on(conn, 1));
    disconnect(conn);
}

static void wrong_password(void)
{
    amqp_connection_state_t conn;
    is_refusal(try_connect(&conn, "/", "wrong", 0), AMQP_CONNECTION_CLOSE_METHOD, AMQP_ACCESS_REFUSED,
               "ACCESS_REFUSED");
}

static void wrong_vhost(void)
{
    amqp_connection_state_t conn;
    amqp_rpc_reply_t reply = try_connect(&conn, name_new(), setting("AMQP_PASS", "guest"), 0);
    is_refusal(reply, AMQP_CONNECTION_CLOSE_METHOD, AMQP_NOT_ALLOWED, "NOT_ALLOWED - vhost");
}

static void is_unused(const amqp_queue_declare_ok_t *ok)
{
    check(ok->message_count == 0, "%u messages", ok->message_count);
    check(ok->consumer_count == 0, "%u consumers", ok->consumer_count);
}

static void declare_queue(void)
{
    struct channel ch = channel_new();
    const char *name = name_new();
    is_unused(declare(ch, name, false, false, false, amqp_empty_table));
    is_unused(declare(ch, name, false, false, false, amqp_empty_table));
    amqp_queue_declare_ok_t *ok = declare_passively(ch, name);
    answered(ch, "passive declare");
    check(is(ok->queue, name), "passive declare-ok names %s", text(ok->queue));
    is_unused(ok);
    amqp_queue_delete_ok_t *deleted = amqp_queue_delete(ch.conn, ch.number, amqp_cstring_bytes(name), 0, 0);
    answered(ch, "queue.delete");
    check(deleted->message_count == 0, "delete-ok counts %u", deleted->message_count);
    gone(ch.conn, 2, name);
}

static void server_named(void)
{
    struct channel ch = channel_new();
    const char *name = text(declare(ch, "", false, true, false, amqp_empty_table)->queue);
    check(strncmp(name, "amq.gen-", 8) == 0 && name[8], "named %s", name);
    publish(ch, "", name, "to a server-named queue");
    get(ch, name, true, "to a server-named queue");
    const char *other = text(declare(ch, "", false, true, false, amqp_empty_table)->queue);
    check(strcmp(name, other) != 0, "two queues are named %s", name);
}

static void declare_mismatch(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    amqp_queue_declare(ch.conn, ch.number, amqp_cstring_bytes(q), 0, 1, 0, 0, amqp_empty_table);
    refused(ch, AMQP_PRECONDITION_FAILED, "inequivalent arg 'durable'");
    alive(ch.conn, 2);
}

static void not_found(void)
{
    struct channel ch = channel_new();
    declare_passively(ch, name_new());
    refused(ch, AMQP_NOT_FOUND, "no queue '");
    alive(ch.conn, 2);
    alive(ch.conn, ch.number); /* its number is free again */
}

static void access_refused(void)
{
    struct channel ch = channel_new();
    amqp_queue_declare(ch.conn, ch.number, amqp_cstring_bytes("amq.interop"), 0, 0, 0, 0, amqp_empty_table);
    refused(ch, AMQP_ACCESS_REFUSED, "reserved prefix");
    alive(ch.conn, 2);
}

static void resource_locked(void)
{
    struct channel owner = channel_new();
    const char *name = name_new();
    declare(owner, name, false, true, false, amqp_empty_table);
    struct channel other = channel_new();
    declare_passively(other, name);
    refused(other, AMQP_RESOURCE_LOCKED, "exclusive");
    other = channel_on(other.conn, 2);
    is_refusal(amqp_basic_get(other.conn, 2, amqp_cstring_bytes(name), 1), AMQP_CHANNEL_CLOSE_METHOD,
               AMQP_RESOURCE_LOCKED, "exclusive");
    refused(other, AMQP_RESOURCE_LOCKED, "exclusive");
    alive(other.conn, 3);
    publish(owner, "", name, "the owner may");
    get(owner, name, true, "the owner may");
}

static void bind_direct(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "direct");
    const char *q = queue_new(ch);
    bind_queue(ch, q, x, "key", amqp_empty_table);
    publish(ch, x, "other", "wrong key");
    publish(ch, x, "key", "right key");
    struct message m = get(ch, q, true, "right key");
    came_from(&m, x, "key");
    empty(ch, q);
    amqp_queue_unbind(ch.conn, ch.number, amqp_cstring_bytes(q), amqp_cstring_bytes(x), amqp_cstring_bytes("key"),
                      amqp_empty_table);
    answered(ch, "queue.unbind");
    publish(ch, x, "key", "unbound");
    empty(ch, q);
}

static void fanout(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "fanout");
    const char *queues[] = {queue_new(ch), queue_new(ch), queue_new(ch)};
    const char *keys[] = {"", "k", "kk"};
    const char *unbound = queue_new(ch);
    for (int i = 0; i < 3; i++)
        bind_queue(ch, queues[i], x, keys[i], amqp_empty_table);
    publish(ch, x, "whatever", "one");
    publish(ch, x, "", "two");
    for (int i = 0; i < 3; i++) {
        struct message m = get(ch, queues[i], true, "one");
        came_from(&m, x, "whatever");
        m = get(ch, queues[i], true, "two");
        came_from(&m, x, "");
        empty(ch, queues[i]);
    }
    empty(ch, unbound);
}

static void topic(void)
{
    static const char *const keys[] = {"a", "a.b.c", "a.c", "a.b.b.c", "a.b.z", "z", "x.z", "b.c", "a..c"};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    static const struct {
        const char *pattern;
        const char *gets; /* a mark a key */
    } want[] = {{"a.*.c", "-x------x"}, {"a.#", "xxxxx---x"}, {"#.z", "----xxx--"}, {"#", "xxxxxxxxx"}};
    enum { PATTERNS = sizeof want / sizeof want[0] };
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "topic");
    const char *queues[PATTERNS];
    for (int i = 0; i < PATTERNS; i++) {
        queues[i] = queue_new(ch);
        bind_queue(ch, queues[i], x, want[i].pattern, amqp_empty_table);
    }
    for (int k = 0; k < KEYS; k++)
        publish(ch, x, keys[k], keys[k]);
    for (int i = 0; i < PATTERNS; i++) {
        for (int k = 0; k < KEYS; k++) {
            if (want[i].gets[k] == 'x') {
                struct message m = get(ch, queues[i], true, keys[k]);
                came_from(&m, x, keys[k]);
            }
        }
        empty(ch, queues[i]);
    }
}

static void send_with(struct channel ch, const char *exchange, const char *body, amqp_table_t headers)
{
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = headers};
    publish_with(ch, exchange, "ignored", false, &p, amqp_cstring_bytes(body));
}

static void headers(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "headers");
    const char *all = queue_new(ch);
    const char *any = queue_new(ch);
    bind_queue(ch, all, x, "",
               TABLE(entry_string("x-match", "all"), entry_string("colour", "red"), entry_int("size", 7)));
    bind_queue(ch, any, x, "",
               TABLE(entry_string("x-match", "any"), entry_string("colour", "red"), entry_int("size", 7)));
    send_with(ch, x, "both", TABLE(entry_string("colour", "red"), entry_int("size", 7), entry_string("extra", "yes")));
    send_with(ch, x, "one", TABLE(entry_string("colour", "red"), entry_int("size", 8)));
    send_with(ch, x, "other", TABLE(entry_int("size", 7)));
    send_with(ch, x, "neither", TABLE(entry_string("colour", "blue"), entry_int("size", 8)));
    publish(ch, x, "", "none");
    get(ch, all, true, "both");
    empty(ch, all);
    get(ch, any, true, "both");
    get(ch, any, true, "one");
    get(ch, any, true, "other");
    empty(ch, any);
}

static void exchange_to_exchange(void)
{
    struct channel ch = channel_new();
    const char *first = exchange_new(ch, "direct");
    const char *second = exchange_new(ch, "fanout");
    const char *q = queue_new(ch);
    bind_queue(ch, q, second, "", amqp_empty_table);
    amqp_exchange_bind(ch.conn, ch.number, amqp_cstring_bytes(second), amqp_cstring_bytes(first),
                       amqp_cstring_bytes("key"), amqp_empty_table);
    answered(ch, "exchange.bind");
    publish(ch, first, "other", "wrong key");
    publish(ch, first, "key", "through two");
    struct message m = get(ch, q, true, "through two");
    came_from(&m, first, "key");
    empty(ch, q);
    amqp_exchange_unbind(ch.conn, ch.number, amqp_cstring_bytes(second), amqp_cstring_bytes(first),
                         amqp_cstring_bytes("key"), amqp_empty_table);
    answered(ch, "exchange.unbind");
    publish(ch, first, "key", "unbound");
    empty(ch, q);
}

static void alternate_exchange(void)
{
    struct channel ch = channel_new();
    const char *behind = exchange_new(ch, "fanout");
    const char *x = exchange_with(ch, "direct", TABLE(entry_string("alternate-exchange", behind)));
    const char *routed = queue_new(ch);
    const char *rest = queue_new(ch);
    bind_queue(ch, routed, x, "key", amqp_empty_table);
    bind_queue(ch, rest, behind, "", amqp_empty_table);
    publish(ch, x, "key", "routed");
    publish(ch, x, "lost", "not routed");
    get(ch, routed, true, "routed");
    empty(ch, routed);
    struct message m = get(ch, rest, true, "not routed");
    came_from(&m, x, "lost");
    empty(ch, rest);
}

static void publish_get(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "direct");
    const char *q = queue_new(ch);
    bind_queue(ch, q, x, "the.key", amqp_empty_table);
    for (int i = 0; i < 3; i++)
        publish(ch, x, "the.key", numbered(i));
    for (unsigned i = 0; i < 3; i++) {
        struct message m = get(ch, q, false, numbered((int)i));
        came_from(&m, x, "the.key");
        check(!m.redelivered, "redelivered is set");
        check(m.left == 2 - i, "%u messages are left, not %u", m.left, 2 - i);
        check(m.tag == i + 1, "delivery tag %llu", (unsigned long long)m.tag);
        ack(ch, m.tag, false);
    }
    empty(ch, q);
}

static void same_text(amqp_bytes_t got, amqp_bytes_t want, const char *what)
{
    check(got.len == want.len && memcmp(got.bytes, want.bytes, got.len) == 0, "%s is \"%s\", not \"%s\"", what,
          text(got), text(want));
}

static void same_properties(const amqp_basic_properties_t *got, const amqp_basic_properties_t *want)
{
    check(got->_flags == want->_flags, "property flags %x, not %x", got->_flags, want->_flags);
    check(got->delivery_mode == want->delivery_mode, "delivery mode %d", got->delivery_mode);
    check(got->priority == want->priority, "priority %d", got->priority);
    check(got->timestamp == want->timestamp, "timestamp %llu", (unsigned long long)got->timestamp);
    same_text(got->content_type, want->content_type, "content type");
    same_text(got->content_encoding, want->content_encoding, "content encoding");
    same_text(got->correlation_id, want->correlation_id, "correlation id");
    same_text(got->reply_to, want->reply_to, "reply to");
    same_text(got->expiration, want->expiration, "expiration");
    same_text(got->message_id, want->message_id, "message id");
    same_text(got->type, want->type, "type");
    same_text(got->user_id, want->user_id, "user id");
    same_text(got->app_id, want->app_id, "app id");
    same_text(got->cluster_id, want->cluster_id, "cluster id");
    for (int i = 0; i < want->headers.num_entries; i++) {
        const char *key = text(want->headers.entries[i].key);
        const amqp_field_value_t *v = find(&got->headers, key);
        check(v && value_same(v, &want->headers.entries[i].value), "header %s differs", key);
    }
    check(got->headers.num_entries == want->headers.num_entries, "%d headers", got->headers.num_entries);
}

static amqp_table_entry_t entry(const char *key, amqp_field_value_t value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key), .value = value};
}

static void properties(void)
{
    amqp_field_value_t items[] = {entry_string("", "one").value, entry_int("", 2).value, entry_bool("", true).value,
                                  entry_table("", TABLE(entry_string("k", "v"))).value};
    amqp_table_t table =
        TABLE(entry_string("string", "grün"), entry_int("int", -5), entry_bool("true", true),
              entry_bool("false", false), entry("long", (amqp_field_value_t){.kind = 'l', .value = {.i64 = 1LL << 40}}),
              entry_table("nested", TABLE(entry_table("deep", TABLE(entry_string("er", "yes"))), entry_int("n", 1))),
              entry("array", (amqp_field_value_t){.kind = 'A', .value = {.array = {4, items}}}),
              entry("time", (amqp_field_value_t){.kind = 'T', .value = {.u64 = 1700000000}}),
              entry("double", (amqp_field_value_t){.kind = 'd', .value = {.f64 = 2.5}}),
              entry("short", (amqp_field_value_t){.kind = 's', .value = {.i16 = -300}}),
              entry("void", (amqp_field_value_t){.kind = 'V'}));
    amqp_basic_properties_t sent = {
        ._flags = 0xfffc, /* all fourteen */
        .content_type = amqp_cstring_bytes("text/plain"),
        .content_encoding = amqp_cstring_bytes("identity"),
        .headers = table,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .priority = 7,
        .correlation_id = amqp_cstring_bytes("correlation"),
        .reply_to = amqp_cstring_bytes("reply"),
        .expiration = amqp_cstring_bytes("60000"),
        .message_id = amqp_cstring_bytes("message"),
        .timestamp = 1700000000,
        .type = amqp_cstring_bytes("type"),
        .user_id = amqp_cstring_bytes(setting("AMQP_USER", "guest")),
        .app_id = amqp_cstring_bytes("app"),
        .cluster_id = amqp_cstring_bytes("cluster"),
    };
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_with(ch, "", q, false, &sent, amqp_cstring_bytes("body"));
    struct message m = get(ch, q, true, "body");
    same_properties(&m.properties, &sent);
    publish(ch, "", q, "bare");
    m = get(ch, q, true, "bare");
    check(m.properties._flags == 0, "a bare message has properties %x", m.properties._flags);
}

const struct scenario basics[] = {{"connect", connect_and_close},
                                  {"wrong-password", wrong_password},
                                  {"wrong-vhost", wrong_vhost},
                                  {"declare-queue", declare_queue},
                                  {"server-named", server_named},
                                  {"declare-mismatch", declare_mismatch},
                                  {"not-found", not_found},
                                  {"access-refused", access_refused},
                                  {"resource-locked", resource_locked},
                                  {"bind-direct", bind_direct},
                                  {"fanout", fanout},
                                  {"topic", topic},
                                  {"headers", headers},
                                  {"exchange-to-exchange", exchange_to_exchange},
                                  {"alternate-exchange", alternate_exchange},
                                  {"publish-get", publish_get},
                                  {"properties", properties},
                                  {NULL, NULL}};
