/* Connections, channels and consumers. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/shape_parts.h"
#include "broker/admin/stats.h"

/* The peer's address is in the connection's name, up to the last colon before the arrow. */
void shape_set_peer(json_t *details, const json_t *connection)
{
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
}

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
    shape_set_peer(details, connection);
    return details;
}

json_t *shape_consumer(struct request *r, json_t *row)
{
    json_t *queue = json_object(), *connection = shape_take(row, "connection"), *user = shape_take(row, "user");
    json_t *number = shape_take(row, "channel");
    json_set(queue, "name", shape_or_null(shape_take(row, "queue_name")));
    json_set(queue, "vhost", shape_or_null(shape_take(row, "vhost")));
    json_set(row, "queue", queue);
    if (json_object_get(row, "activity_status") == NULL)
        json_set(row, "activity_status", json_string("up"));
    json_set(row, "channel_details", channel_details(r, connection, json_integer_value(number), user));
    json_object_del(row, "priority");
    json_decref(connection);
    json_decref(user);
    json_decref(number);
    return row;
}

/* What is fetched has no consumer. */
json_t *shape_unacked(struct request *r, json_t *row)
{
    enum { MS = 1000 };
    json_t *connection = shape_take(row, "connection"), *number = shape_take(row, "channel");
    json_t *age = shape_take(row, "age_ms"), *since = shape_take(row, "since_ms"), *queue = json_object();
    json_t *user = json_object_get(row, "user"), *tag = shape_take(row, "consumer_tag");
    json_t *details = channel_details(r, connection, json_integer_value(number), user);
    json_set(queue, "name", shape_or_null(shape_take(row, "queue_name")));
    json_set(queue, "vhost", shape_or_null(shape_take(row, "vhost")));
    json_set(row, "queue", queue);
    json_set(row, "consumer_tag", shape_or_null(tag));
    json_set(row, "channel_name", json_incref(json_object_get(details, "name"))); /* as LavinMQ has it */
    json_set(row, "channel_details", details);
    json_set(row, "unacked_for_seconds", json_integer(json_integer_value(age) / MS)); /* likewise */
    json_set(row, "delivered_at", shape_or_null(since));
    json_decref(connection);
    json_decref(number);
    json_decref(age);
    return row;
}

static void add_octets(const struct request *r, json_t *row, const json_t *statistics)
{
    const struct rates_object *o = stats_find(r, SAMPLE_CONNECTION, statistics);
    stats_set(r, row, "recv_oct", o, STATS_BIT(RECV_OCT), stats_number(statistics, "recv_oct"), r->look.data_rates);
    stats_set(r, row, "send_oct", o, STATS_BIT(SEND_OCT), stats_number(statistics, "send_oct"), r->look.data_rates);
    stats_set(r, row, "reductions", NULL, 0, 0, r->look.data_rates);
    shape_set_number(row, "recv_cnt", stats_number(statistics, "recv_cnt"));
    shape_set_number(row, "send_cnt", stats_number(statistics, "send_cnt"));
}

json_t *shape_connection(struct request *r, json_t *row)
{
    static const char *const names[] = {"name", "vhost", "user", "node", NULL};
    if (r->look.is_short) {
        shape_set_node(r, row);
        return shape_pick(row, names);
    }
    json_t *given = json_object_get(json_object_get(row, "client_properties"), "connection_name");
    if (json_is_string(given))
        json_set(row, "user_provided_name", json_incref(given));
    if (json_object_get(row, "user_who_performed_action") == NULL)
        json_set(row, "user_who_performed_action", json_incref(json_object_get(row, "user")));
    json_t *statistics = shape_take(row, "statistics");
    add_octets(r, row, statistics);
    json_decref(statistics);
    shape_set_node(r, row);
    return shape_complete(r, row, TEMPLATE_CONNECTION);
}

json_t *shape_channel(struct request *r, json_t *row)
{
    json_t *connection = shape_take(row, "connection"), *statistics = shape_take(row, "statistics");
    const struct rates_object *o = stats_find(r, SAMPLE_CHANNEL, statistics);
    stats_set_messages(r, row, SAMPLE_CHANNEL, statistics, o);
    stats_set_idle(r, row, o);
    stats_set(r, row, "reductions", NULL, 0, 0, r->look.data_rates);
    json_decref(statistics);
    json_t *all = channel_details(r, connection, json_integer_value(json_object_get(row, "number")),
                                  json_object_get(row, "user"));
    json_t *details = json_object();
    json_set(details, "name", connection);
    json_set(details, "peer_host", shape_or_null(shape_take(all, "peer_host")));
    json_set(details, "peer_port", shape_or_null(shape_take(all, "peer_port")));
    json_set(row, "connection_details", details);
    json_set(row, "name", shape_take(all, "name"));
    json_set(row, "user_who_performed_action", json_incref(json_object_get(row, "user")));
    json_decref(all);
    shape_set_node(r, row);
    return shape_complete(r, row, TEMPLATE_CHANNEL);
}
