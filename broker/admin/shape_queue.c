#include <string.h>

#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/shape_parts.h"
#include "broker/admin/stats.h"

/* Where its messages are: here. */
static void add_members(const struct request *r, json_t *row)
{
    static const char *const names[] = {"members", "online"};
    const char *node = r->admin->config.node;
    if (bytes_equal(json_text_in(row, "type"), BYTES("classic")))
        return;
    json_t *files = json_object();
    json_set(files, node, json_integer(0));
    json_set(row, "open_files", files);
    json_set(row, "leader", json_string(node));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *list = json_array();
        json_add(list, json_string(node));
        json_set(row, names[i], list);
    }
}

/* disable_stats: what it is, and perhaps how many messages are in it. */
static json_t *in_short(struct request *r, json_t *row)
{
    static const char *const names[] = {"name",      "vhost",       "type",    "node",      "state",
                                        "arguments", "auto_delete", "durable", "exclusive", "policy",
                                        "members",   "online",      "leader",  NULL};
    static const char *const totals[] = {"messages", "messages_ready", "messages_unacknowledged", NULL};
    shape_set_node(r, row);
    add_members(r, row);
    json_t *kept = r->look.has_totals ? shape_pick(json_incref(row), totals) : json_object();
    row = shape_pick(row, names);
    json_object_update(row, kept);
    json_decref(kept);
    return row;
}

/* What RabbitMQ tells of how its classic queues are made; the rates mean something here, too. */
static json_t *backing(const struct request *r, const json_t *row, const json_t *statistics,
                       const struct rates_object *o)
{
    enum { PRIORITIES_MAX = 255, DIGITS = 4 };
    json_t *all = json_object();
    json_t *highest = json_object_get(json_object_get(row, "arguments"), "x-max-priority");
    uint64_t ready = stats_number(row, "messages_ready"), published = stats_number(statistics, "publish");
    shape_set_number(all, "len", ready);
    shape_set_number(all, "next_seq_id", published);
    shape_set_number(all, "next_deliver_seq_id", published > ready ? published - ready : 0);
    shape_set_number(all, "q4", ready);
    json_set(all, "avg_ingress_rate", json_real(stats_rate(r, o, STATS_BIT(PUBLISH))));
    json_set(all, "avg_egress_rate", json_real(stats_rate(r, o, STATS_DELIVER_GET)));
    json_set(all, "avg_ack_ingress_rate", json_real(stats_rate(r, o, STATS_BIT(DELIVER) | STATS_BIT(GET))));
    json_set(all, "avg_ack_egress_rate", json_real(stats_rate(r, o, STATS_BIT(ACK))));
    if (json_is_integer(highest) && json_integer_value(highest) >= 0 && json_integer_value(highest) <= PRIORITIES_MAX) {
        json_t *lengths = json_object();
        char *key;
        for (json_int_t i = 0; i <= json_integer_value(highest); i++, free(key)) {
            key = str_format("%" JSON_INTEGER_FORMAT, i);
            json_set(lengths, key, json_integer(0)); /* the model does not count them one by one */
        }
        json_set(all, "priority_lengths", lengths);
    }
    json_object_update_missing(all, r->admin->templates[TEMPLATE_BACKING]);
    return all;
}

/* LavinMQ's names for some. */
static void add_aliases(json_t *row)
{
    static const char *const aliases[][2] = {{"ready", "messages_ready"},
                                             {"unacked", "messages_unacknowledged"},
                                             {"ready_bytes", "message_bytes_ready"},
                                             {"unacked_bytes", "message_bytes_unacknowledged"}};
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        shape_set_number(row, aliases[i][0], stats_number(row, aliases[i][1]));
}

/* The model tells milliseconds, of those that there are. */
static void set_ages(json_t *row)
{
    static const char *const ages[][2] = {{"head_message_age_seconds", "head_message_age_ms"},
                                          {"oldest_unacked_age_seconds", "oldest_unacked_age_ms"}};
    enum { MS_PER_S = 1000 };
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++)
        json_set(row, ages[i][0], json_real((double)stats_number(row, ages[i][1]) / MS_PER_S));
}

json_t *shape_queue(struct request *r, json_t *row)
{
    if (r->look.is_short)
        return in_short(r, row);
    json_t *owner = shape_take(row, "owner_pid"), *statistics = shape_take(row, "statistics");
    const struct rates_object *o = stats_find(r, SAMPLE_QUEUE, statistics);
    if (owner != NULL) {
        json_t *details = json_object();
        shape_set_peer(details, owner);
        json_set(details, "name", owner);
        json_set(row, "owner_pid_details", details);
    }
    if (json_object_get(row, "message_bytes") == NULL)
        shape_set_number(row, "message_bytes",
                         stats_number(row, "message_bytes_ready") + stats_number(row, "message_bytes_unacknowledged"));
    shape_set_node(r, row);
    set_ages(row);
    stats_set_lengths(r, row, o);
    stats_set_messages(r, row, SAMPLE_QUEUE, statistics, o);
    stats_set_idle(r, row, o);
    stats_set(r, row, "reductions", NULL, 0, 0, r->look.data_rates);
    json_set(row, "backing_queue_status", backing(r, row, statistics, o));
    add_aliases(row);
    add_members(r, row);
    json_decref(statistics);
    return shape_complete(r, row, TEMPLATE_QUEUE);
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
