/* Exchanges, bindings and virtual hosts; queues have shape_queue.c. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "broker/admin/shape_parts.h"
#include "broker/admin/stats.h"

json_t *shape_exchange(struct request *r, json_t *row)
{
    json_t *statistics = shape_take(row, "statistics");
    if (!r->look.is_short)
        stats_set_messages(r, row, SAMPLE_EXCHANGE, statistics, stats_find(r, SAMPLE_EXCHANGE, statistics));
    json_set(row, "user_who_performed_action", json_string("rmq-internal"));
    json_decref(statistics);
    return row;
}

/* ---- Bindings. */

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

/* ---- Virtual hosts. */

static void add_numbers(struct request *r, json_t *row, const json_t *statistics)
{
    const struct rates_object *o = stats_find(r, SAMPLE_VHOST, statistics);
    stats_set_lengths(r, row, o);
    stats_set(r, row, "recv_oct", o, STATS_BIT(RECV_OCT), stats_number(statistics, "recv_oct"), r->look.data_rates);
    stats_set(r, row, "send_oct", o, STATS_BIT(SEND_OCT), stats_number(statistics, "send_oct"), r->look.data_rates);
    stats_set_messages(r, row, SAMPLE_VHOST, statistics, o);
}

json_t *shape_vhost(struct request *r, json_t *row)
{
    static const char *const lengths[] = {"messages", "messages_ready", "messages_unacknowledged"};
    json_t *statistics = shape_take(row, "statistics"), *metadata = json_object(), *states = json_object();
    json_object_del(row, "limits");
    if (!r->look.is_short)
        add_numbers(r, row, statistics);
    for (size_t i = 0; r->look.is_short && i < sizeof lengths / sizeof lengths[0]; i++)
        json_object_del(row, lengths[i]);
    json_decref(statistics);
    shape_complete(r, row, TEMPLATE_VHOST);
    json_set(metadata, "description", json_incref(json_object_get(row, "description")));
    json_set(metadata, "tags", json_incref(json_object_get(row, "tags")));
    json_set(row, "metadata", metadata);
    json_set(states, r->admin->config.node, json_string("running"));
    json_set(row, "cluster_state", states);
    return row;
}
