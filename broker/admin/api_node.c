#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/note.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"
#include "broker/net/hub.h"

/* ---- The node, and who asks. */

static void on_totals(struct request *r)
{
    listing_answer_object(r, shape_overview(r, json_incref(json_array_get(listing_rows(r), 0))));
}

void node_overview(struct request *r)
{
    listing_begin(r,
                  &(struct listing_plan){.sources = {{INSPECT_TOTALS, shape_as_is}}, .keep = true, .done = on_totals});
}

void node_whoami(struct request *r)
{
    json_t *who = json_object(), *tags = json_array();
    if (r->visitor != NULL) {
        json_decref(tags);
        tags = json_incref(r->visitor->tag_list);
        json_set(who, "name", json_of_text(r->visitor->name));
    } else {
        json_set(who, "name", json_string(r->actor));
        json_add(tags, json_string("administrator"));
    }
    json_set(who, "tags", tags);
    if (request_config(r)->session_minutes > 0)
        json_set(who, "login_session_timeout", json_integer(request_config(r)->session_minutes));
    listing_answer_object(r, who);
}

void node_list(struct request *r)
{
    json_t *all = json_array();
    json_add(all, listing_project(r, shape_node(r)));
    request_reply(r, HTTP_STATUS_OK, all);
}

void node_get(struct request *r)
{
    if (bytes_equal(r->param[0], bytes_of_string(request_config(r)->node)))
        listing_answer_object(r, shape_node(r));
    else
        request_not_found(r);
}

void node_memory(struct request *r)
{
    if (bytes_equal(r->param[0], bytes_of_string(request_config(r)->node)))
        listing_answer_object(r, shape_memory(r));
    else
        request_not_found(r);
}

/* The same in per cent, rounded up, as RabbitMQ does. */
void node_memory_relative(struct request *r)
{
    enum { WHOLE = 100 };
    if (!bytes_equal(r->param[0], bytes_of_string(request_config(r)->node))) {
        request_not_found(r);
        return;
    }
    json_t *all = shape_memory(r), *memory = json_object_get(all, "memory"), *bytes;
    json_int_t total = json_integer_value(json_object_get(json_object_get(memory, "total"), "rss"));
    const char *name;
    json_object_del(memory, "strategy");
    json_set(memory, "total", json_integer(WHOLE));
    json_object_foreach(memory, name, bytes)
    {
        json_int_t n = json_integer_value(bytes);
        if (strcmp(name, "total") != 0)
            json_integer_set(bytes, total > 0 ? (n * WHOLE + total - 1) / total : 0);
    }
    listing_answer_object(r, all);
}

/* What was kept for charts goes; counters stay, and so do the last two samples, which say how fast it goes. */
void node_reset(struct request *r)
{
    if (r->n_params > 0 && !bytes_equal(r->param[0], bytes_of_string(request_config(r)->node))) {
        request_not_found(r);
        return;
    }
    collector_forget_histories(r->admin->collector);
    log_info("admin", "%s has reset the histories of statistics", r->actor);
    note_control(r, "node.reset-statistics", NULL);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void on_cluster_name(struct request *r)
{
    json_t *set = json_object_get(json_array_get(listing_rows(r), 0), "value"), *name = json_object();
    json_set(name, "name", json_is_string(set) ? json_incref(set) : json_string(request_config(r)->cluster_name));
    request_reply(r, HTTP_STATUS_OK, name);
}

void node_cluster_name(struct request *r)
{
    static const struct bytes none = {0};
    r->param[0] = BYTES("cluster_name");
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_PARAMETERS, shape_global_parameter}},
                                            .vhost = &none,
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = on_cluster_name});
}

static void on_cluster_name_set(struct request *r, struct event *e)
{
    if (request_is_done(r, e))
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void node_put_cluster_name(struct request *r)
{
    struct bytes name;
    if (!request_need_text(r, "name", &name))
        return;
    json_t *arguments = json_object();
    json_set(arguments, "value", json_of_text(name));
    struct changes *c = changes_create();
    if (request_add_change(r, c, CHANGE_PUT, DEFINE_PARAMETER, &(struct spec){.name = BYTES("cluster_name")},
                           arguments))
        request_alter(r, c, on_cluster_name_set);
}

void node_extensions(struct request *r)
{
    request_reply(r, HTTP_STATUS_OK, json_array());
}

void node_version(struct request *r)
{
    request_reply(r, HTTP_STATUS_OK, json_string(request_config(r)->version));
}

/* ---- Health checks (reference operations 1.9.10). */

static json_t *verdict(const char *status)
{
    json_t *o = json_object();
    json_set(o, "status", json_string(status));
    return o;
}

static json_t *failed(const char *reason)
{
    json_t *o = verdict("failed");
    json_set(o, "reason", json_string(reason));
    return o;
}

void node_check_fine(struct request *r)
{
    request_reply(r, HTTP_STATUS_OK, verdict("ok"));
}

void node_check_critical(struct request *r)
{
    json_t *o = verdict("ok");
    json_set(o, "reason", json_string("single node cluster"));
    request_reply(r, HTTP_STATUS_OK, o);
}

static void add_alarm(const struct request *r, json_t *alarms, const char *resource)
{
    json_t *one = json_object();
    json_set(one, "node", json_string(request_config(r)->node));
    json_set(one, "resource", json_string(resource));
    json_add(alarms, one);
}

static void check_alarms(struct request *r, const char *reason)
{
    unsigned set = hub_alarms(request_hub(r)) & ALARMS_TOLD;
    if (set == 0) {
        node_check_fine(r);
        return;
    }
    json_t *o = failed(reason), *alarms = json_array();
    if ((set & ALARM_MEMORY) != 0)
        add_alarm(r, alarms, "memory");
    if ((set & ALARM_DISK) != 0)
        add_alarm(r, alarms, "disk");
    json_set(o, "alarms", alarms);
    request_reply(r, HTTP_STATUS_UNAVAILABLE, o);
}

void node_check_alarms(struct request *r)
{
    check_alarms(r, "There are alarms in effect in the cluster");
}

void node_check_local_alarms(struct request *r)
{
    check_alarms(r, "There are alarms in effect on the node");
}

/* Without a limit there is always room for one. */
static void on_connections(struct request *r)
{
    const json_t *row = json_array_get(listing_rows(r), 0);
    int64_t current = json_integer_value(json_object_get(row, "connections"));
    int64_t limit = (int64_t)request_config(r)->connections_max;
    bool is_below = limit == 0 || current < limit;
    json_t *o = is_below ? verdict("ok") : failed("node connection limit is reached");
    json_set(o, "current", json_integer(current));
    json_set(o, "limit", limit == 0 ? json_string("infinity") : json_integer(limit));
    request_reply(r, is_below ? HTTP_STATUS_OK : HTTP_STATUS_UNAVAILABLE, o);
}

void node_check_connections(struct request *r)
{
    listing_begin(
        r, &(struct listing_plan){.sources = {{INSPECT_TOTALS, shape_as_is}}, .keep = true, .done = on_connections});
}

void node_check_port(struct request *r)
{
    enum { DECIMAL = 10, PORT_MAX = 65535 };
    char *text = str_copy(r->param[0]), *end;
    long port = strtol(text, &end, DECIMAL);
    bool is_number = isdigit((unsigned char)*text) && *end == '\0' && port <= PORT_MAX;
    free(text);
    if (!is_number) {
        request_refuse(r, "Invalid port");
        return;
    }
    json_t *listeners = shape_listeners(r), *ports = json_array();
    bool is_there = false;
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        json_t *one = json_object_get(json_array_get(listeners, i), "port");
        is_there = is_there || json_integer_value(one) == port;
        json_add(ports, json_incref(one));
    }
    json_decref(listeners);
    json_t *o = is_there ? verdict("ok") : failed("No active listener");
    json_set(o, is_there ? "port" : "missing", json_integer(port));
    if (!is_there)
        json_set(o, "ports", json_incref(ports));
    json_decref(ports);
    request_reply(r, is_there ? HTTP_STATUS_OK : HTTP_STATUS_UNAVAILABLE, o);
}

/* Other names of the two that there are. */
static struct bytes protocol_of(struct bytes name)
{
    static const char *const plain[] = {"amqp091", "amqp0.9.1", "amqp-0-9-1"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (bytes_equal(name, bytes_of_string(plain[i])))
            return BYTES("amqp");
    return bytes_equal(name, BYTES("amqps")) ? BYTES("amqp/ssl") : name;
}

/* NULL: there are listeners for all of them; else the first that has none. */
static json_t *missing_protocol(const json_t *listeners, struct bytes names)
{
    while (names.len > 0) {
        const uint8_t *comma = memchr(names.at, ',', names.len);
        size_t len = comma != NULL ? (size_t)(comma - names.at) : names.len;
        struct bytes one = protocol_of(bytes_of(names.at, len));
        bool is_there = false;
        for (size_t i = 0; i < json_array_size(listeners); i++)
            is_there = is_there || bytes_equal(json_text_in(json_array_get(listeners, i), "protocol"), one);
        if (!is_there)
            return json_of_text(bytes_of(names.at, len));
        len += comma != NULL;
        names = bytes_of(names.at + len, names.len - len);
    }
    return NULL;
}

void node_check_protocol(struct request *r)
{
    json_t *listeners = shape_listeners(r), *protocols = json_array();
    json_t *missing = missing_protocol(listeners, r->param[0]);
    for (size_t i = 0; i < json_array_size(listeners); i++)
        json_add(protocols, json_incref(json_object_get(json_array_get(listeners, i), "protocol")));
    json_t *o = missing == NULL ? verdict("ok") : failed("No active listener");
    json_set(o, missing == NULL ? "protocol" : "missing", missing == NULL ? json_of_text(r->param[0]) : missing);
    if (missing != NULL)
        json_set(o, "protocols", json_incref(protocols));
    json_decref(protocols);
    json_decref(listeners);
    request_reply(r, missing == NULL ? HTTP_STATUS_OK : HTTP_STATUS_UNAVAILABLE, o);
}

void node_check_certificates(struct request *r)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400},     {"days", 86400},     {"week", 604800},   {"weeks", 604800},
                 {"month", 2592000}, {"months", 2592000}, {"year", 31536000}, {"years", 31536000}};
    enum { DECIMAL = 10, COUNT_MAX = 1000 };
    const struct admin_config *config = request_config(r);
    char *text = str_copy(r->param[0]), *end;
    long count = strtol(text, &end, DECIMAL);
    int64_t within = -1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (bytes_equal(r->param[1], bytes_of_string(units[i].name)))
            within = units[i].seconds;
    bool is_number = isdigit((unsigned char)*text) && *end == '\0' && count <= COUNT_MAX;
    free(text);
    if (!is_number || within < 0) {
        request_refuse(r, is_number ? "Time unit not recognised. Supported units: days, weeks, months, years."
                                    : "Invalid expiration value.");
        return;
    }
    int64_t expiry = config->certificate_expiry != NULL ? config->certificate_expiry(config->arg) : INT64_MAX;
    if (expiry > time(NULL) + count * within)
        node_check_fine(r);
    else
        request_reply(r, HTTP_STATUS_UNAVAILABLE, failed("Certificates expiring"));
}
