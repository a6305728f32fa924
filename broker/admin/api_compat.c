/* What clients of RabbitMQ, old and new, ask for besides: of a broker that is one node and has no plugins the answer
 * is short (reference operations 1.8). */
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/note.h"
#include "broker/net/hub.h"
#include "broker/net/login.h"
#include "broker/net/password.h"

static void answer_nothing(struct request *r)
{
    request_reply(r, HTTP_STATUS_OK, json_array());
}

static bool is_this_node(struct request *r, struct bytes name)
{
    return bytes_equal(name, bytes_of_string(request_config(r)->node));
}

/* ---- Logins. */

void auth_get(struct request *r)
{
    json_t *o = json_object();
    json_set(o, "oauth_enabled", json_false());
    json_set(o, "enable_uaa", json_false()); /* as versions before 3.11 have it */
    json_set(o, "uaa_client_id", json_string(""));
    json_set(o, "uaa_location", json_string(""));
    listing_answer_object(r, o);
}

static struct login_attempts *attempts_of(const struct request *r)
{
    const struct login_rules *rules = request_config(r)->login;
    return rules != NULL ? rules->attempts : NULL;
}

static json_t *shape_attempts(struct login_attempts *a, enum login_protocol protocol, const char *name)
{
    json_int_t succeeded = (json_int_t)atomic_load(&a->succeeded[protocol]);
    json_int_t failed = (json_int_t)atomic_load(&a->failed[protocol]);
    json_t *o = json_object();
    json_set(o, "protocol", json_string(name));
    json_set(o, "auth_attempts", json_integer(succeeded + failed));
    json_set(o, "auth_attempts_failed", json_integer(failed));
    json_set(o, "auth_attempts_succeeded", json_integer(succeeded));
    return o;
}

void auth_attempts(struct request *r)
{
    struct login_attempts *a = attempts_of(r);
    json_t *rows = json_array();
    if (a != NULL) {
        json_add(rows, shape_attempts(a, LOGIN_HTTP, "http"));
        json_add(rows, shape_attempts(a, LOGIN_AMQP, "amqp091"));
    }
    if (is_this_node(r, r->param[0])) {
        request_reply(r, HTTP_STATUS_OK, rows);
    } else {
        json_decref(rows);
        request_not_found(r);
    }
}

/* Nobody counts them by where they came from, which RabbitMQ does not either, unless it is told to. */
void auth_attempts_by_source(struct request *r)
{
    if (is_this_node(r, r->param[0]))
        answer_nothing(r);
    else
        request_not_found(r);
}

void auth_reset_attempts(struct request *r)
{
    struct login_attempts *a = attempts_of(r);
    if (!is_this_node(r, r->param[0])) {
        request_not_found(r);
        return;
    }
    if (a != NULL)
        login_forget_attempts(a);
    log_info("admin", "%s has reset the counters of login attempts", r->actor);
    note_control(r, "node.reset-login-attempts", NULL);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void answer_hash(struct request *r, struct bytes password, const char *key)
{
    char *hash = password_make_hash(bytes_of_string(request_config(r)->hashing_algorithm), password);
    if (hash == NULL) {
        request_refuse(r, "a password has 1 to %d bytes", PASSWORD_BYTES_MAX);
        return;
    }
    json_t *o = json_object();
    json_set(o, key, json_string(hash));
    free(hash);
    request_reply(r, HTTP_STATUS_OK, o);
}

/* As RabbitMQ 4 has it, with the password in the path … */
void auth_hash_password(struct request *r)
{
    answer_hash(r, r->param[0], "ok");
}

/* … and as LavinMQ has it, where no proxy logs it. */
void auth_put_hash_password(struct request *r)
{
    struct bytes password;
    if (request_need_text(r, "password", &password))
        answer_hash(r, password, "password_hash");
}

/* ---- Features: what is always there. */

static const struct {
    const char *name, *what;
} features[] = {
    {"classic_mirrored_queue_version", "Support setting version for classic mirrored queues"},
    {"direct_exchange_routing_v2", "v2 direct exchange routing implementation"},
    {"drop_unroutable_metric", "Count unroutable publishes to be dropped in stats"},
    {"empty_basic_get_metric", "Count AMQP `basic.get` on empty queues in stats"},
    {"implicit_default_bindings", "Default bindings are now implicit"},
    {"maintenance_mode_status", "Maintenance mode status"},
    {"quorum_queue", "Support queues of type `quorum`"},
    {"stream_queue", "Support queues of type `stream`"},
    {"stream_single_active_consumer", "Single active consumer for streams"},
    {"user_limits", "Configure connection and channel limits for a user"},
    {"virtual_host_metadata", "Virtual host metadata (description, tags, etc)"},
};

void features_list(struct request *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        json_t *o = json_object();
        json_set(o, "name", json_string(features[i].name));
        json_set(o, "desc", json_string(features[i].what));
        json_set(o, "doc_url", json_string(""));
        json_set(o, "state", json_string("enabled"));
        json_set(o, "stability", json_string("required"));
        json_set(o, "provided_by", json_string("rabbit"));
        json_add(all, o);
    }
    request_reply(r, HTTP_STATUS_OK, all);
}

void features_enable(struct request *r)
{
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (bytes_equal(r->param[0], bytes_of_string(features[i].name))) {
            request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
            return;
        }
    }
    request_refuse(r, "unsupported: no feature flag '%.*s'", BYTES_ARG(r->param[0]));
}

void features_deprecated(struct request *r)
{
    answer_nothing(r);
}

/* ---- Plugins that are not there, and a cluster of one. */

void plugins_nothing(struct request *r)
{
    answer_nothing(r);
}

void plugins_nothing_in(struct request *r)
{
    fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], answer_nothing);
}

static void answer_done(struct request *r)
{
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void cluster_rebalance(struct request *r)
{
    answer_done(r);
}

static void start_here(struct request *r)
{
    if (is_this_node(r, r->param[1]))
        answer_done(r);
    else
        request_refuse(r, "Request to node %.*s failed with nodedown", BYTES_ARG(r->param[1]));
}

void vhosts_start(struct request *r)
{
    fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], start_here);
}

/* ---- A queue's. */

static void judge_action(struct request *r)
{
    struct bytes action;
    if (!request_need_text(r, "action", &action))
        return;
    if (bytes_equal(action, BYTES("sync")) || bytes_equal(action, BYTES("cancel_sync")))
        answer_done(r);
    else
        request_refuse(r, "[unknown,%.*s]", BYTES_ARG(action));
}

void queues_actions(struct request *r)
{
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], judge_action);
}

void queues_restart(struct request *r)
{
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], answer_done);
}

/* ---- The health check of old. */

static void answer_health(struct request *r)
{
    unsigned alarms = hub_alarms(request_hub(r)) & ALARMS_TOLD;
    json_t *o = json_object();
    json_set(o, "status", json_string(alarms == 0 ? "ok" : "failed"));
    if (alarms != 0) {
        char *why = str_format("resource alarm(s) in effect:[%s%s%s]", (alarms & ALARM_MEMORY) != 0 ? "memory" : "",
                               alarms == ALARMS_TOLD ? "," : "", (alarms & ALARM_DISK) != 0 ? "disk" : "");
        json_set(o, "reason", json_string(why));
        free(why);
    }
    request_reply(r, alarms == 0 ? HTTP_STATUS_OK : HTTP_STATUS_UNAVAILABLE, o);
}

void health_node(struct request *r)
{
    if (r->n_params == 0 || is_this_node(r, r->param[0]))
        answer_health(r);
    else
        request_not_found(r);
}
