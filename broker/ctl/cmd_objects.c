/* Queues, exchanges, bindings, messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { BODY_BYTES_MAX = 128 << 20 };

/* ---- Queues. */

static char *with_conditions(const struct ctl *c, char *path)
{
    if (options_has(c->options, OPTION_IF_EMPTY))
        path = path_query(path, "if-empty", "true");
    return options_has(c->options, OPTION_IF_UNUSED) ? path_query(path, "if-unused", "true") : path;
}

int objects_delete_queue(struct ctl *c)
{
    const char *vhost = ctl_vhost(c), *name = c->args[0];
    bool is_empty = options_has(c->options, OPTION_IF_EMPTY), is_unused = options_has(c->options, OPTION_IF_UNUSED);
    if (!c->is_quiet)
        ctl_tell(c, "Deleting queue '%s' on vhost '%s' %s%s%s%s...", name, vhost,
                 is_empty || is_unused ? "if queue is " : "", is_empty ? "empty " : "",
                 is_empty && is_unused ? "and if queue is " : "", is_unused ? "unused " : "");
    struct answer before, a;
    int status = ctl_call(c, "GET", path_of("queues", vhost, name), NULL, &before);
    json_int_t ready = json_integer_value(json_object_get(before.json, "messages_ready"));
    if (status == 0 && before.status == 404)
        status = ctl_fail(c, EX_USAGE, "Queue not found");
    answer_fini(&before);
    if (status != 0)
        return status;
    status = ctl_call(c, "DELETE", with_conditions(c, path_of("queues", vhost, name)), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_USAGE, "Queue not found");
    else if (status == 0)
        status = ctl_refused(c, &a) == 0 ? 0 : EX_USAGE;
    answer_fini(&a);
    if (status == 0)
        ctl_tell(c, "Queue was successfully deleted with %lld ready messages", (long long)ready);
    return ctl_done(c, status);
}

int objects_cancel_delayed(struct ctl *c)
{
    const char *segments[] = {"exchanges", ctl_vhost(c), c->args[0], "delayed", c->args[1], NULL};
    return ctl_done(c, ctl_delete(c, path_join(segments), EX_UNAVAILABLE, "not_found"));
}

int objects_purge_queue(struct ctl *c)
{
    return ctl_done(
        c, ctl_delete(c, path_of("queues", ctl_vhost(c), c->args[0], "contents"), EX_UNAVAILABLE, "not_found"));
}

/* --arguments as an object, perhaps an empty one; NULL: it has said what is wrong. */
static json_t *read_arguments(struct ctl *c, int *status)
{
    json_t *arguments = ctl_read_json(c, options_text(c->options, OPTION_ARGUMENTS, "{}"), status);
    if (arguments == NULL || json_is_object(arguments))
        return arguments;
    json_decref(arguments);
    *status = ctl_misused(c, EX_USAGE, "--arguments must be a JSON object");
    return NULL;
}

/* Puts or posts, and says what is missing; takes path and body. */
static int send_body(struct ctl *c, const char *method, char *path, json_t *body)
{
    struct answer a;
    int status = ctl_call(c, method, path, body, &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int objects_create_queue(struct ctl *c)
{
    static const struct {
        enum option option;
        const char *argument;
    } known[] = {
        {OPTION_EXPIRES, "x-expires"}, {OPTION_MAX_LENGTH, "x-max-length"}, {OPTION_MESSAGE_TTL, "x-message-ttl"}};
    int status = 0;
    json_t *arguments = read_arguments(c, &status);
    if (arguments == NULL)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (options_has(c->options, known[i].option))
            json_object_set_new(arguments, known[i].argument,
                                json_integer((json_int_t)options_number(c->options, known[i].option, 0)));
    json_t *body = json_pack("{s:b, s:b, s:o}", "durable", options_has(c->options, OPTION_DURABLE), "auto_delete",
                             options_has(c->options, OPTION_AUTO_DELETE), "arguments", arguments);
    return send_body(c, "PUT", path_of("queues", ctl_vhost(c), c->args[0]), body);
}

/* NAME=VALUE, where the value is JSON, or else a text; false: it has said what is wrong. */
static bool add_argument(struct ctl *c, json_t *arguments, const char *word, int *status)
{
    const char *value = strchr(word, '=');
    if (value == NULL || value == word) {
        *status = ctl_misused(c, EX_USAGE, "'%s' is not of the form <argument>=<value>", word);
        return false;
    }
    json_t *read = json_loads(value + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    char *name = str_copy(bytes_of(word, (size_t)(value - word)));
    json_object_set_new(arguments, name, read != NULL ? read : json_string(value + 1));
    free(name);
    return true;
}

int objects_set_queue_arguments(struct ctl *c)
{
    int status = 0;
    struct answer a;
    json_t *arguments = json_object();
    for (size_t i = 1; i < c->n_args; i++)
        if (!add_argument(c, arguments, c->args[i], &status)) {
            json_decref(arguments);
            return status;
        }
    status = ctl_call(c, "PUT", path_query(path_of("queues", ctl_vhost(c), c->args[0]), "update", "true"),
                      json_pack("{s:o}", "arguments", arguments), &a);
    if (status == 0 && a.status == 404)
        status = ctl_need_vhost(c, ctl_vhost(c));
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_USAGE, "Queue not found");
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int objects_switch_queue(struct ctl *c)
{
    const char *what = strcmp(c->command->name, "pause_queue") == 0 ? "pause" : "resume";
    return send_body(c, "PUT", path_of("queues", ctl_vhost(c), c->args[0], what), NULL);
}

/* ---- Exchanges and bindings. */

int objects_create_exchange(struct ctl *c)
{
    int status = 0;
    json_t *arguments = read_arguments(c, &status);
    if (arguments == NULL)
        return status;
    json_t *body =
        json_pack("{s:s, s:b, s:b, s:b, s:o}", "type", c->args[0], "durable", options_has(c->options, OPTION_DURABLE),
                  "auto_delete", options_has(c->options, OPTION_AUTO_DELETE), "internal",
                  options_has(c->options, OPTION_INTERNAL), "arguments", arguments);
    return send_body(c, "PUT", path_of("exchanges", ctl_vhost(c), c->args[1]), body);
}

int objects_delete_exchange(struct ctl *c)
{
    char *path = with_conditions(c, path_of("exchanges", ctl_vhost(c), c->args[0]));
    return ctl_done(c, ctl_delete(c, path, EX_UNAVAILABLE, "not_found"));
}

int objects_bind(struct ctl *c)
{
    int status = 0;
    json_t *arguments = read_arguments(c, &status);
    if (arguments == NULL)
        return status;
    json_t *body = json_pack("{s:s, s:o}", "routing_key", c->n_args > 2 ? c->args[2] : "", "arguments", arguments);
    return send_body(c, "POST", path_of("bindings", ctl_vhost(c), "e", c->args[0], "q", c->args[1]), body);
}

/* ---- Messages. */

/* All of standard input; NULL: it is too long. */
static char *read_input(size_t *len)
{
    size_t room = 0, got;
    char *text = NULL;
    *len = 0;
    do {
        room = alloc_grown(room, *len + 65536);
        text = alloc_array(text, room, 1);
        got = fread(text + *len, 1, room - *len, stdin);
        *len += got;
    } while (got > 0 && *len < BODY_BYTES_MAX);
    if (*len < BODY_BYTES_MAX)
        return text;
    free(text);
    return NULL;
}

static char *base64_of(const char *bytes, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = alloc((n + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; i < n; i += 3) {
        unsigned rest = n - i > 2 ? 3 : (unsigned)(n - i), bits = 0;
        for (unsigned j = 0; j < 3; j++)
            bits = bits << 8 | (j < rest ? (unsigned char)bytes[i + j] : 0);
        for (unsigned j = 0; j < 4; j++)
            *to++ = (char)(j <= rest ? letters[bits >> (18 - 6 * j) & 63] : '=');
    }
    *to = '\0';
    return text;
}

int objects_publish(struct ctl *c)
{
    size_t len = c->n_args > 2 ? strlen(c->args[2]) : 0;
    char *input = c->n_args > 2 ? NULL : read_input(&len);
    if (c->n_args <= 2 && input == NULL)
        return ctl_fail(c, EX_DATAERR, "the message is too long");
    char *payload = base64_of(input != NULL ? input : c->args[2], len);
    free(input);
    json_t *body = json_pack("{s:{s:i}, s:s, s:s, s:s}", "properties", "delivery_mode",
                             options_has(c->options, OPTION_DURABLE) ? 2 : 1, "routing_key", c->args[1], "payload",
                             payload, "payload_encoding", "base64");
    free(payload);
    if (body == NULL)
        return ctl_fail(c, EX_DATAERR, "the routing key is not UTF-8");
    const char *exchange = c->args[0][0] == '\0' ? "amq.default" : c->args[0];
    struct answer a;
    int status = ctl_call(c, "POST", path_of("exchanges", ctl_vhost(c), exchange, "publish"), body, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "not_found");
    else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0 && !json_is_true(json_object_get(a.json, "routed")))
        status = ctl_fail(c, EX_UNAVAILABLE, "Message was published but NOT routed");
    else if (status == 0)
        ctl_tell(c, "Message published");
    answer_fini(&a);
    return ctl_done(c, status);
}

int objects_get(struct ctl *c)
{
    struct answer a;
    double count = options_number(c->options, OPTION_COUNT, 1);
    json_t *body =
        json_pack("{s:I, s:s, s:s}", "count", (json_int_t)count, "ackmode",
                  options_has(c->options, OPTION_ACK) ? "ack_requeue_false" : "ack_requeue_true", "encoding", "auto");
    int status = ctl_call(c, "POST", path_of("queues", ctl_vhost(c), c->args[0], "get"), body, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "not_found");
    else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, a.json);
    for (size_t i = 0; status == 0 && c->format != FORMAT_JSON && i < json_array_size(a.json); i++)
        output_json(stdout, json_array_get(a.json, i));
    answer_fini(&a);
    return status;
}
